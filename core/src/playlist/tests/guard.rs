//! Bytes to lines: what is no playlist, the character set, line ends, limits.

use super::*;
use crate::limits;

fn looks_like(body: &[u8]) -> LooksLike {
    match parse(body) {
        Err(PlaylistError::NotAPlaylist { looks_like, .. }) => looks_like,
        other => panic!("not refused for its beginning: {other:?}"),
    }
}

#[test]
fn c_01_the_first_line_must_be_extm3u() {
    assert_eq!(parse(b""), Err(PlaylistError::Empty));
    assert_eq!(parse(b" \r\n\n"), Err(PlaylistError::Empty));
    assert_eq!(parse(b"\xEF\xBB\xBF"), Err(PlaylistError::Empty));
    assert_eq!(
        looks_like(b"\n#EXTM3U\n#EXT-X-TARGETDURATION:6\n"),
        LooksLike::LatePlaylist
    );
    assert_eq!(
        looks_like(b"#EXT-X-TARGETDURATION:6\n#EXTM3U\n"),
        LooksLike::Text
    );
    assert_eq!(
        looks_like(b"#EXTM3U8\n#EXT-X-TARGETDURATION:6\n"),
        LooksLike::Text
    );
    assert_eq!(
        looks_like(b"#extm3u\n#EXT-X-TARGETDURATION:6\n"),
        LooksLike::LatePlaylist
    );
}

#[test]
fn c_03_what_is_no_playlist_is_refused_by_its_body_and_named() {
    assert_eq!(
        looks_like(b"<!DOCTYPE html><html>403</html>"),
        LooksLike::Html
    );
    assert_eq!(looks_like(b"\r\n <HTML lang=en>"), LooksLike::Html);
    assert_eq!(looks_like(b"<?xml version=\"1.0\"?><MPD/>"), LooksLike::Xml);
    assert_eq!(looks_like(b"{\"error\":\"gone\"}"), LooksLike::Json);
    assert_eq!(looks_like(b"\x1f\x8b\x08\x00\x00"), LooksLike::Gzip);
    assert_eq!(looks_like(b"\0\0\0\x18ftypiso6"), LooksLike::Media);
    assert_eq!(looks_like(b"Not Found"), LooksLike::Text);
    assert_eq!(looks_like(b"\x01\x02\x03\xFF"), LooksLike::Binary);
    let mut transport = [0; 376];
    (transport[0], transport[188]) = (0x47, 0x47);
    assert_eq!(looks_like(&transport), LooksLike::Media);
}

#[test]
fn c_03_the_refusal_tells_an_operator_what_came() {
    let error = parse(b"<html>\n<body>\"Login\"").unwrap_err();
    let message = "the body does not begin with #EXTM3U but with \"<html>\\n<body>\\\"Login\\\"\": \
                   it looks like an HTML page";
    assert_eq!(error.to_string(), message);
}

#[test]
fn c_02_a_leading_byte_order_mark_is_dropped_and_said() {
    let playlist = media(&format!("\u{FEFF}{START}#EXTINF:6,\na.ts\n"));
    assert_eq!(flaws(&playlist), [FlawKind::ByteOrderMark]);
    assert_eq!(uris(&playlist), ["a.ts"]);
}

#[test]
fn c_02_text_that_is_not_utf_8_is_refused_with_its_line() {
    let mut body = START.as_bytes().to_vec();
    body.extend(b"#EXTINF:6,\xFF\na.ts\n");
    assert_eq!(parse(&body), Err(PlaylistError::NotUtf8 { line: 3 }));
}

#[test]
fn c_02_control_characters_are_refused() {
    for code in (0..0x20_u32).chain(0x7F..=0x9F) {
        let character = char::from_u32(code).unwrap();
        let text = format!("{START}#EXTINF:6,\na{character}.ts\n");
        match character {
            '\n' => assert!(matches!(
                refused(&text),
                PlaylistError::ExtinfMissing { .. }
            )),
            '\t' => assert_eq!(flaws(&media(&text)), [FlawKind::Tab]),
            '\r' => assert!(matches!(
                refused(&text),
                PlaylistError::LoneCarriageReturn { .. }
            )),
            _ => {
                let error = refused(&text);
                let PlaylistError::ControlCharacter { at, code: named } = error else {
                    panic!("U+{code:04X}: {error}");
                };
                assert_eq!((at.line, named), (4, code));
            }
        }
    }
    // Characters whose first byte is the same as that of U+0080 are harmless.
    assert_eq!(
        &*list("#EXTINF:6,\u{A9} \u{A0}\na.ts\n").segments[0].title,
        "\u{A9} \u{A0}"
    );
}

#[test]
fn c_02_line_ends_may_be_crlf_and_the_last_one_may_lack() {
    let unix = list("#EXTINF:6,one\na.ts\n\n#EXTINF:6,two\nb.ts\n");
    let text = format!("{START}#EXTINF:6,one\na.ts\n\n#EXTINF:6,two\nb.ts\n");
    assert_eq!(media(&text.replace('\n', "\r\n")), unix);
    let mixed = text.replacen('\n', "\r\n", 3);
    assert_eq!(media(&mixed), unix);

    let unfinished = media(text.trim_end());
    assert_eq!(unfinished.segments, unix.segments);
    assert_eq!(flaws(&unfinished), [FlawKind::NoFinalNewline]);
    // Only a URI without its line end may be the beginning of a longer one.
    assert!(unfinished.last_uri_may_be_cut());
    assert!(!media(&format!("{}\n  ", text.trim_end())).last_uri_may_be_cut());
    assert!(!media(&format!("{text}#EXT-X-ENDLIST")).last_uri_may_be_cut());
}

#[test]
fn a_carriage_return_inside_a_line_is_refused() {
    let is_refused = |text: &str| matches!(refused(text), PlaylistError::LoneCarriageReturn { .. });
    assert!(is_refused(&format!("{START}#EXTINF:6,\ra.ts\n")));
    assert!(is_refused(&format!("{START}#EXTINF:6,\r\r\na.ts\n")));
    assert!(is_refused(
        "#EXTM3U\r#EXT-X-TARGETDURATION:6\r#EXTINF:6,\ra.ts\r"
    ));
}

#[test]
fn blanks_before_a_tag_are_refused_and_around_a_uri_forgiven() {
    let error = list_refused("#EXTINF:6,\n #EXT-X-GAP\na.ts\n");
    assert!(matches!(error, PlaylistError::BlankBeforeTag { at } if at.line == 4));
    let playlist = list("#EXTINF:6,\n  a b.ts \n");
    assert_eq!(uris(&playlist), ["a b.ts"]);
    assert_eq!(flaws(&playlist), [FlawKind::BlankAroundUri]);
}

#[test]
fn text_after_the_header_and_a_second_header_are_forgiven() {
    let playlist =
        media("#EXTM3U x-tvg-url=\"a\"\n#EXT-X-TARGETDURATION:6\n#EXTM3U\n#EXTINF:6,\na\n");
    assert_eq!(
        flaws(&playlist),
        [FlawKind::TextAfterHeader, FlawKind::RepeatedHeader]
    );
    assert_eq!(uris(&playlist), ["a"]);
    assert!(flaws(&media("#EXTM3U \n#EXT-X-TARGETDURATION:6\n")).is_empty());
}

#[test]
fn c_63_size_lines_and_line_length_have_limits() {
    let big = vec![b'#'; limits::BODY_BYTES + 1];
    assert_eq!(
        parse(&big),
        Err(PlaylistError::TooLarge {
            bytes: big.len() as u64
        })
    );

    let line = |length: usize| format!("{START}#EXTINF:6,\n{}\n", "u".repeat(length));
    assert_eq!(media(&line(limits::LINE_BYTES)).segments.len(), 1);
    let error = refused(&line(limits::LINE_BYTES + 1));
    assert!(matches!(error, PlaylistError::LineTooLong { at, bytes: 16_385 } if at.line == 4));

    let blank = |count: usize| format!("{START}{}", "\n".repeat(count - 3));
    assert!(parse(blank(limits::LINES).as_bytes()).is_ok());
    let lines = limits::LINES as u64 + 1;
    let error = refused(&blank(limits::LINES + 1));
    assert_eq!(error, PlaylistError::TooManyLines { lines });
}

#[test]
fn c_63_an_error_shows_a_cut_and_escaped_piece_of_the_line() {
    let line = format!("#EXTINF:\u{1F600}{}", "\"x".repeat(500));
    let message = list_refused(&format!("{line}\na.ts\n")).to_string();
    assert!(
        message.starts_with("line 3 (\"#EXTINF:\u{1F600}\\\"x"),
        "{message}"
    );
    assert!(message.chars().count() < 150, "{message}");
    assert!(!message.contains(char::is_control));
}
