//! What stands in a `data:` URI (RFC 2397) may be a key, and keys are in no journal: what is written down, and what is
//! digested of it, has something else in its place.
//!
//! The machine passes such a URI on and reads nothing of it. So one that is told the same with other URIs does the same
//! with those, as long as equal ones stay equal, different ones different, and each as long as it was: a replay of what was
//! written down comes to the digests of what was done.

use crate::digest::Digest;
use crate::playlist::{defined_in, put_together};
use std::borrow::Cow;
use std::fmt::Write;

const SCHEME: &str = "data:";
/// No data begins so: it has to have a comma.
const HIDDEN: char = '~';

/// Whether a URI has all that it leads to in itself.
pub(crate) fn has_data(uri: &str) -> bool {
    let scheme = uri.as_bytes().get(..SCHEME.len());
    scheme.is_some_and(|it| it.eq_ignore_ascii_case(SCHEME.as_bytes()))
}

/// A text, or a line of JSON that it stands in, without what is in such URIs.
pub(crate) fn hidden(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    for colon in memchr::memchr_iter(b':', text.as_bytes()) {
        let start = colon + 1;
        if start <= done || !begins_before(text, start) {
            continue;
        }
        let data = &text[start..];
        let ends = |it: char| matches!(it, '"' | '\\') || it.is_control();
        let data = &data[..data.find(ends).unwrap_or(data.len())];
        if !data.is_empty() && !data.starts_with(HIDDEN) {
            out.push_str(&text[done..start]);
            out.push_str(&in_place_of(data));
            done = start + data.len();
        }
    }
    if done == 0 {
        return text.into();
    }
    out.push_str(&text[done..]);
    out.into()
}

/// An answer without it, whatever its bytes are.
pub(crate) fn hidden_in(body: &[u8]) -> Cow<'_, [u8]> {
    if let Ok(text) = std::str::from_utf8(body) {
        return match without_pieces(text) {
            Cow::Borrowed(text) => match hidden(text) {
                Cow::Borrowed(_) => body.into(),
                Cow::Owned(text) => text.into_bytes().into(),
            },
            Cow::Owned(text) => hidden(&text).into_owned().into_bytes().into(),
        };
    }
    // Each byte as the letter of its number, and back.
    let text: String = body.iter().copied().map(char::from).collect();
    let text = without_pieces(&text);
    let bytes = hidden(&text).chars().map(|it| it as u8).collect::<Vec<_>>();
    bytes.into()
}

/// A playlist that holds such a URI in pieces (EXT-X-DEFINE) as one that holds it whole. What the pieces are is told nowhere
/// else in it.
pub(crate) fn without_pieces(text: &str) -> Cow<'_, str> {
    let Some((whole, used)) = put_together(text, has_data) else {
        return text.into();
    };
    let mut out = String::with_capacity(whole.len());
    for line in whole.split_inclusive('\n') {
        let piece = defined_in(line).filter(|(name, _)| used.contains(*name));
        let Some((_, value)) = piece else {
            out.push_str(line);
            continue;
        };
        // It is a part of the line: the name may read the same.
        let at = value.as_ptr() as usize - line.as_ptr() as usize;
        let behind = &line[at + value.len()..];
        out.extend([&line[..at], &in_place_of(value), behind]);
    }
    out.into()
}

/// Whether the scheme ends there, at the beginning of a value.
fn begins_before(text: &str, end: usize) -> bool {
    let Some(at) = end.checked_sub(SCHEME.len()) else {
        return false;
    };
    let is_scheme = text.get(at..end).is_some_and(has_data);
    is_scheme && (at == 0 || text[..at].ends_with(['"', '=']))
}

/// Of a key nothing can be told from so few bits.
fn in_place_of(data: &str) -> String {
    let mut name = String::from(HIDDEN);
    let digest = Digest::of(data.as_bytes()) as u32;
    while name.len() < data.len() {
        let _ = write!(name, "{digest:08x}");
    }
    name.truncate(data.len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_has_a_limit_however_often_it_is_referred_to() {
        let value = "x".repeat(crate::limits::LINE_BYTES - 64);
        let body = format!("#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{value}\"\n");
        let body = body + &"{$a}\n".repeat(300_000) + "#EXT-X-KEY:URI=\"data:{$a}\"\n";
        // It would be gigabytes: of what has no room nothing is put together.
        assert_eq!(without_pieces(&body), body);
    }

    #[test]
    fn what_is_in_a_uri_is_hidden_once_and_equal_where_it_was_equal() {
        let line = |key: &str| format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{key}\",IV=0x1\nb.ts");
        let key = "DATA:text/plain;base64,AAECAwQFBgcICQoLDA0ODw==";
        let plain = line(key);
        let shown = hidden(&plain);
        assert!(shown.starts_with("#EXT-X-KEY:METHOD=AES-128,URI=\"DATA:~"));
        assert!(shown.ends_with("\",IV=0x1\nb.ts") && !shown.contains("AAEC"));
        assert_eq!((shown.len(), &*hidden(&shown)), (plain.len(), &*shown));
        let json = serde_json::to_string(&plain).unwrap();
        assert_eq!(hidden(&json), serde_json::to_string(&*shown).unwrap());
        assert_ne!(hidden(&line(&key.replace("AAEC", "AAED"))), shown);
        assert!(hidden(key).starts_with("DATA:~"));
        let bytes = [b"\xe4\n", plain.as_bytes()].concat();
        let told = [b"\xe4\n", shown.as_bytes()].concat();
        assert_eq!(*hidden_in(&bytes), told);
        let pieces = "#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"text/plain\"\n\
            #EXT-X-DEFINE:VALUE=\"AAECAwQF\",NAME=\"b\"\r\n#EXTINF:1,{$b}\n{$a}/{$b}\n\
            #EXT-X-KEY:URI=\"data:{$a};base64,{$b}{$c}\",IV={$a}\n";
        let told = hidden_in(pieces.as_bytes());
        let told = std::str::from_utf8(&told).unwrap();
        assert!(told.contains("NAME=\"a\",VALUE=\"~") && told.contains("\",NAME=\"b\"\r\n"));
        assert!(told.contains("{$b}\n{$a}/{$b}\n#EXT-X-KEY:URI=\"data:~"));
        assert!(
            !told.contains("AAEC") && told.ends_with("\",IV={$a}\n"),
            "{told}"
        );
        let alike = "#EXT-X-DEFINE:VALUE=\"k1\",NAME=\"k1\"\n#EXT-X-KEY:URI=\"data:,{$k1}\"\n";
        let told_alike = without_pieces(alike);
        assert!(
            told_alike.starts_with("#EXT-X-DEFINE:VALUE=\"~")
                && told_alike.contains("NAME=\"k1\"\n")
        );
        let whole = hidden("\"data:text/plain;base64,AAECAwQF{$c}\"").into_owned();
        assert!(told.contains(&whole) && without_pieces(told) == told);
        for other in ["a title with data: in it", "data:", "http://h/data:1", "é:"] {
            assert_eq!(hidden(other), other);
        }
    }
}
