//! Tags that are not known here. They are kept as they came, but for where they lead to: the list is served from
//! elsewhere now.

use super::line::Tag;
use std::sync::Arc;
use url::Url;

/// The same tag with a relative `URI` resolved (RFC 3986 5.2), as in lists of thumbnails.
pub fn resolve_foreign(line: &mut Arc<str>, base: &Url) {
    if let Some(resolved) = resolved(line, base) {
        *line = resolved.into();
    }
}

/// As [`resolve_foreign`]; nothing where the line stays as it is.
pub(super) fn resolved(line: &str, base: &Url) -> Option<String> {
    const ATTRIBUTE: &str = "URI=\"";
    let is_name = |at: &usize| line[..*at].ends_with([':', ',', ' ']);
    let mut found = line.match_indices(ATTRIBUTE).map(|(at, _)| at);
    let start = found.find(is_name)? + ATTRIBUTE.len();
    if !line.starts_with("#EXT") || Tag::of(line) != Tag::Other {
        return None;
    }
    let end = start + line[start..].find('"')?;
    let uri = &line[start..end];
    let is_relative = Url::parse(uri) == Err(url::ParseError::RelativeUrlWithoutBase);
    let url = base.join(uri).ok().filter(|_| is_relative)?;
    Some(format!("{}{url}{}", &line[..start], &line[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tag_that_is_not_known_leads_to_stays_where_the_source_has_it() {
        let base = Url::parse("http://source.test/live/list.m3u8?token=1").unwrap();
        for (line, expected) in [
            (
                "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,URI=\"a/b.m3u8\",CODECS=\"jpeg\"",
                "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,URI=\"http://source.test/live/a/b.m3u8\",CODECS=\"jpeg\"",
            ),
            (
                "#EXT-X-A:URI=\"/b\"",
                "#EXT-X-A:URI=\"http://source.test/b\"",
            ),
            ("#EXT-X-A:URI=\"skd://b\"", "#EXT-X-A:URI=\"skd://b\""),
            ("#EXT-X-A:X-URI=\"b\"", "#EXT-X-A:X-URI=\"b\""),
            ("#EXT-X-A:URI=\"b", "#EXT-X-A:URI=\"b"),
            ("# URI=\"b\"", "# URI=\"b\""),
            ("#EXTVLCOPT:x", "#EXTVLCOPT:x"),
        ] {
            let mut line = Arc::from(line);
            resolve_foreign(&mut line, &base);
            assert_eq!(&*line, expected);
        }
    }
}
