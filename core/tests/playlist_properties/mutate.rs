//! Playlists as a hostile or broken origin may send them.

use super::FILES;
use proptest::prelude::*;

/// A body, shown as text where a test fails.
pub(crate) struct Body(pub(crate) Vec<u8>);

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "\"{}\"", self.0.escape_ascii())
    }
}

/// Lines that have broken parsers: cut values, missing quotes, names that begin like others.
const LINES: [&str; 48] = [
    "#EXTINF:6,",
    "#EXTINF:5.005,a, b",
    "#EXTINF:-1,",
    "#EXTINF:1e300",
    "#EXTINF",
    "a.ts",
    "b.ts?x=1&y=\"2\"",
    " c.ts ",
    "#",
    "# comment",
    "#EXT",
    "#EXTM3U",
    "",
    "\u{FEFF}",
    "#EXT-X-VERSION:3",
    "#EXT-X-VERSION:7.0",
    "#EXT-X-TARGETDURATION:6",
    "#EXT-X-TARGETDURATION:6.5",
    "#EXT-X-MEDIA-SEQUENCE:7",
    "#EXT-X-MEDIA-SEQUENCE:18446744073709551614",
    "#EXT-X-DISCONTINUITY-SEQUENCE:3",
    "#EXT-X-DISCONTINUITY-SEQUENCE: 3",
    "#EXT-X-DISCONTINUITY",
    "#EXT-X-DISCONTINUITY:1",
    "#EXT-X-ENDLIST",
    "#EXT-X-PLAYLIST-TYPE:EVENT",
    "#EXT-X-PLAYLIST-TYPE:event",
    "#EXT-X-I-FRAMES-ONLY",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    "#EXT-X-START:TIME-OFFSET=1",
    "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"",
    "#EXT-X-BYTERANGE:5@7",
    "#EXT-X-BYTERANGE:5",
    "#EXT-X-BYTERANGE:100@ 5",
    "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",FOO",
    "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"",
    "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"s\",KEYFORMAT=\"f\",IV=0x1",
    "#EXT-X-KEY:METHOD=NONE",
    "#EXT-X-MAP:URI=\"i\",BYTERANGE=\"5\"",
    "#EXT-X-MAP:URI=\"open",
    "#EXT-X-PROGRAM-DATE-TIME:2026-03-02T18:59:48.1207654+0100",
    "#EXT-X-PROGRAM-DATE-TIME:now",
    "#EXT-X-GAP",
    "#EXT-X-BITRATE:900",
    "#EXT-X-PART:DURATION=1,URI=\"p\"",
    "#EXT-X-DATERANGE:ID=\"a\",ID=\"a\", X-B",
    "#EXT-X-CUE-OUT:30",
    "#EXT-X-STREAM-INF:BANDWIDTH=1",
];

/// One thing that is done to a body. Places are shares of its length.
#[derive(Clone, Debug)]
enum Mutation {
    DropLine(prop::sample::Index),
    RepeatLine(prop::sample::Index),
    SwapLines(prop::sample::Index, prop::sample::Index),
    InsertLine(prop::sample::Index, &'static str),
    JoinLines(prop::sample::Index),
    SetByte(prop::sample::Index, u8),
    InsertText(prop::sample::Index, &'static str),
    Cut(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    let text = prop::sample::select(vec![
        ",",
        "\"",
        "=",
        ":",
        " ",
        "\t",
        "\r",
        "\n",
        "#",
        "@",
        ".",
        "-",
        "0",
        "9999999999",
        "\u{85}",
        "é",
        "NONE",
        "EXT",
        "\n#EXTINF:1,\n",
        "\r\n",
    ]);
    prop_oneof![
        3 => index().prop_map(Mutation::DropLine),
        3 => index().prop_map(Mutation::RepeatLine),
        3 => (index(), index()).prop_map(|(first, second)| Mutation::SwapLines(first, second)),
        5 => (index(), prop::sample::select(LINES.to_vec()))
            .prop_map(|(at, line)| Mutation::InsertLine(at, line)),
        1 => index().prop_map(Mutation::JoinLines),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::SetByte(at, byte)),
        2 => (index(), text).prop_map(|(at, text)| Mutation::InsertText(at, text)),
        1 => index().prop_map(Mutation::Cut),
    ]
}

fn apply(body: &mut Vec<u8>, mutation: &Mutation) {
    let mut lines: Vec<Vec<u8>> = body
        .split_inclusive(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return;
    }
    match mutation {
        Mutation::DropLine(at) => {
            lines.remove(at.index(lines.len()));
        }
        Mutation::RepeatLine(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at].clone());
        }
        Mutation::SwapLines(first, second) => {
            let (first, second) = (first.index(lines.len()), second.index(lines.len()));
            lines.swap(first, second);
        }
        Mutation::InsertLine(at, line) => {
            // Behind the header more often than not, or nothing of the body would be read.
            let at = 1 + at.index(lines.len());
            lines.insert(at, format!("{line}\n").into_bytes());
        }
        Mutation::JoinLines(at) => {
            let at = at.index(lines.len());
            lines[at].pop();
        }
        Mutation::SetByte(at, byte) => {
            let at = at.index(body.len());
            body[at] = *byte;
            return;
        }
        Mutation::InsertText(at, text) => {
            let at = at.index(body.len() + 1);
            body.splice(at..at, text.bytes());
            return;
        }
        Mutation::Cut(at) => {
            body.truncate(at.index(body.len()));
            return;
        }
    }
    *body = lines.concat();
}

/// A playlist of `testdata`, broken in up to six places.
pub(crate) fn mutated_file() -> impl Strategy<Value = Body> {
    let file = prop::sample::select(FILES.to_vec());
    (file, prop::collection::vec(mutation(), 1..7)).prop_map(|((_, body), mutations)| {
        let mut body = body.to_vec();
        for mutation in &mutations {
            apply(&mut body, mutation);
        }
        Body(body)
    })
}

/// Lines from the list above in any order, behind a beginning that lets most of them be read.
pub(crate) fn shuffled_lines() -> impl Strategy<Value = Body> {
    let lines = prop::collection::vec(prop::sample::select(LINES.to_vec()), 0..16);
    (lines, any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, ends_whole)| {
        let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n".to_owned();
        for line in lines {
            // Most shuffles have a URI without EXTINF; with one before each, more of them are read.
            if line.contains(".ts") && !line.starts_with('#') {
                text.push_str("#EXTINF:6,\n");
            }
            text.push_str(line);
            text.push('\n');
        }
        if !ends_whole {
            text.pop();
        }
        let text = if crlf {
            text.replace('\n', "\r\n")
        } else {
            text
        };
        Body(text.into_bytes())
    })
}
