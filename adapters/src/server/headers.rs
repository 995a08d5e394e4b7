//! What requests say of what they would like.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// S-43: of the two registered types, the one that every player knows.
pub(super) const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";

/// The answer to another Accept-Encoding is another one (S-44).
pub(super) const BY_CODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Whether an object is text, which gzip makes smaller: of all that a channel stores, WebVTT (S-44).
pub(super) fn is_text(name: &str) -> bool {
    name.ends_with(".vtt")
}

/// The media type of an object, by the ending of its name (S-43).
pub(super) fn media_type(name: &str) -> &'static str {
    match name
        .rsplit_once('.')
        .map(|(_, ending)| ending)
        .unwrap_or_default()
    {
        "ts" => "video/mp2t",
        "m4s" => "video/iso.segment",
        "mp4" | "m4v" | "cmfv" => "video/mp4",
        "m4a" | "cmfa" => "audio/mp4",
        "aac" => "audio/aac",
        "mp3" => "audio/mpeg",
        "ac3" => "audio/ac3",
        "ec3" => "audio/eac3",
        "vtt" => "text/vtt; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether the client takes gzip (S-44): named, or covered by `*`, and not with a weight of 0.
pub(super) fn offers_gzip(head: &HeaderMap) -> bool {
    let mut by_name = None;
    let mut by_star = None;
    for item in list(head, &header::ACCEPT_ENCODING) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let wanted = weight.is_none_or(|weight| weight.bytes().any(|b| (b'1'..=b'9').contains(&b)));
        match coding.as_str() {
            "gzip" | "x-gzip" => by_name = Some(wanted),
            "*" => by_star = Some(wanted),
            _ => {}
        }
    }
    by_name.or(by_star).unwrap_or(false)
}

/// Whether If-None-Match names one of these tags, compared weakly (RFC 9110 13.1.2).
pub(super) fn is_known(head: &HeaderMap, etags: &[&str]) -> bool {
    list(head, &header::IF_NONE_MATCH)
        .map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .any(|tag| tag == "*" || etags.contains(&tag))
}

/// What a Range header asks of a body of a given length.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// No range, or none that has to be understood.
    Whole,
    /// First and last byte.
    Part(u64, u64),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads a single range (RFC 9110 14.1.2). Several at once may be answered with the whole, and are.
pub(super) fn wanted_range(head: &HeaderMap, etag: &str, length: u64) -> Wanted {
    let Some(range) = head
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
    else {
        return Wanted::Whole;
    };
    let condition = head.get(header::IF_RANGE).map(|value| value.as_bytes());
    if condition.is_some_and(|tag| tag != etag.as_bytes()) {
        return Wanted::Whole;
    }
    parse_range(range, length).unwrap_or(Wanted::Whole)
}

fn parse_range(range: &str, length: u64) -> Option<Wanted> {
    let (unit, spec) = range.split_once('=')?;
    let (first, last) = spec.trim().split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a u64 holds are beyond every end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let wanted = if first.is_empty() {
        match number(last)?.min(length) {
            0 => return Some(Wanted::Unsatisfiable),
            suffix => (length - suffix, length - 1),
        }
    } else {
        let last = if last.is_empty() {
            u64::MAX
        } else {
            number(last)?
        };
        (number(first)?, last)
    };
    match wanted {
        (first, last) if first > last => None,
        (first, _) if first >= length => Some(Wanted::Unsatisfiable),
        (first, last) => Some(Wanted::Part(first, last.min(length - 1))),
    }
}

fn list<'a>(head: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = head
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn s_44_gzip_is_offered_by_name_or_star_and_not_at_weight_zero() {
        let offers = |value| offers_gzip(&head(header::ACCEPT_ENCODING, value));
        for yes in [
            "gzip",
            "br, GZIP;q=0.5",
            "*",
            "deflate, gzip;q=1.0",
            "x-gzip",
            "*;q=0, gzip",
        ] {
            assert!(offers(yes), "{yes}");
        }
        for no in [
            "",
            "br",
            "gzip;q=0",
            "gzip;q=0.000",
            "*;q=0",
            "identity",
            "gzip;q=0, *",
        ] {
            assert!(!offers(no), "{no}");
        }
        assert!(!offers_gzip(&HeaderMap::new()));
    }

    #[test]
    fn s_69_ranges_are_read_as_http_says() {
        use Wanted::{Part, Unsatisfiable, Whole};
        for (range, wanted) in [
            ("bytes=0-0", Part(0, 0)),
            ("bytes=2-", Part(2, 9)),
            ("bytes=-3", Part(7, 9)),
            ("bytes=-30", Part(0, 9)),
            ("bytes=5-99999999999999999999999", Part(5, 9)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-2", Whole),
            ("bytes=0-1,4-5", Whole),
            ("bytes=+1-2", Whole),
            ("items=0-1", Whole),
            ("bytes", Whole),
        ] {
            assert_eq!(
                wanted_range(&head(header::RANGE, range), "\"t\"", 10),
                wanted,
                "{range}"
            );
        }
    }

    #[test]
    fn s_43_every_container_has_its_type() {
        for (name, expected) in [
            ("a.ts", "video/mp2t"),
            ("a.m4s", "video/iso.segment"),
            ("a.mp4", "video/mp4"),
            ("a.m4a", "audio/mp4"),
            ("a.aac", "audio/aac"),
            ("a.mp3", "audio/mpeg"),
            ("a.ac3", "audio/ac3"),
            ("a.ec3", "audio/eac3"),
            ("a.vtt", "text/vtt; charset=utf-8"),
            ("a.key", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), expected);
        }
    }
}
