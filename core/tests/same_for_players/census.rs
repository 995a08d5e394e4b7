//! What is never generated is never tested: each kind of source that there is comes out of the generators.

use crate::{presentation, source};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

/// Whether a text is of a kind.
type Is = fn(&str) -> bool;

/// Media playlists, and what stands in them.
const MEDIA: [(&str, Is); 43] = [
    ("a byte order mark", |text| text.starts_with('\u{FEFF}')),
    ("CRLF", |text| text.contains("\r\n")),
    ("LF", |text| !text.contains('\r')),
    ("a variable by its value", |text| {
        text.contains("#EXT-X-DEFINE:NAME=")
    }),
    ("a variable from the query", |text| {
        text.contains("#EXT-X-DEFINE:QUERYPARAM=")
    }),
    ("a variable in a URI", |text| text.contains("\n{$path}/")),
    ("a variable in an attribute", |text| {
        text.contains("2.key?{$token}")
    }),
    ("independent segments", |text| {
        text.contains("#EXT-X-INDEPENDENT-SEGMENTS")
    }),
    ("I-frames", |text| text.contains("#EXT-X-I-FRAMES-ONLY")),
    ("a start", |text| text.contains("#EXT-X-START:")),
    ("an event", |text| text.contains("PLAYLIST-TYPE:EVENT")),
    ("on demand", |text| text.contains("PLAYLIST-TYPE:VOD")),
    ("an end", |text| text.contains("#EXT-X-ENDLIST")),
    ("no end", |text| !text.contains("#EXT-X-ENDLIST")),
    ("discontinuities that have left", |text| {
        text.contains("SEQUENCE:") && !text.contains("DISCONTINUITY-SEQUENCE:0")
    }),
    ("a discontinuity", |text| {
        has_line(text, "#EXT-X-DISCONTINUITY")
    }),
    ("a gap", |text| has_line(text, "#EXT-X-GAP")),
    ("a date-time", |text| {
        text.contains("#EXT-X-PROGRAM-DATE-TIME:")
    }),
    ("a date-time of another zone", |text| {
        text.contains("-05:30")
    }),
    ("a date range", |text| text.contains("#EXT-X-DATERANGE:")),
    ("a date range told in two tags", |text| {
        text.contains("SCTE35-IN=") && text.contains("SCTE35-OUT=")
    }),
    ("a bit rate", |text| text.contains("#EXT-X-BITRATE:")),
    ("a cue", |text| {
        text.contains("#EXT-X-CUE-OUT") && text.contains("#EXT-X-CUE-IN")
    }),
    ("SCTE-35 of OATCLS", |text| {
        text.contains("#EXT-OATCLS-SCTE35")
    }),
    ("an asset", |text| text.contains("#EXT-X-ASSET:")),
    ("a vendor's tag", |text| text.contains("#EXT-X-VENDOR-")),
    ("a tag nobody knows", |text| text.contains("#EXT-X-UNKNOWN")),
    ("a comment for a player", |text| {
        text.contains("#EXTVLCOPT:")
    }),
    ("a comment", |text| has_line(text, "# made by hand")),
    ("low latency", |text| {
        text.contains("#EXT-X-PART:") && text.contains("#EXT-X-PRELOAD-HINT:")
    }),
    ("a byte range", |text| {
        text.contains("#EXT-X-BYTERANGE:") && text.contains('@')
    }),
    ("a byte range without an offset", |text| {
        let mut ranges = text
            .lines()
            .filter(|it| it.starts_with("#EXT-X-BYTERANGE:"));
        ranges.any(|it| !it.contains('@'))
    }),
    ("an init section", |text| text.contains("#EXT-X-MAP:")),
    ("an init section that is a byte range", |text| {
        text.contains("BYTERANGE=\"812@9\"")
    }),
    ("init sections in turn", |text| {
        different(text, "#EXT-X-MAP:") > 1
    }),
    ("AES-128 with an IV", |text| {
        text.contains("METHOD=AES-128") && text.contains("IV=0x")
    }),
    ("AES-128 without an IV", |text| {
        text.contains("../implied.key")
    }),
    ("keys in turn", |text| {
        different(text, "#EXT-X-KEY:METHOD=AES-128") > 1
    }),
    ("several keys for one segment", |text| {
        text.contains("#EXT-X-KEY:METHOD=SAMPLE-AES-CTR")
    }),
    ("SAMPLE-AES", |text| {
        text.contains("#EXT-X-KEY:METHOD=SAMPLE-AES,")
    }),
    ("AES-256-GCM", |text| {
        text.contains("#EXT-X-KEY:METHOD=AES-256-GCM")
    }),
    ("clear behind encrypted segments", |text| {
        let encrypted = text.find("#EXT-X-KEY:METHOD=AES").unwrap_or(text.len());
        text[encrypted..].contains("#EXT-X-KEY:METHOD=NONE")
    }),
    ("URLs of every form", |text| {
        [
            "\n../up/",
            "\n/root/",
            "\n//cdn",
            "\nhttps://",
            "\n?segment",
            "\n./a/b/../",
        ]
        .iter()
        .any(|form| text.contains(form))
    }),
];

/// Multivariant playlists.
const MULTIVARIANT: [(&str, Is); 19] = [
    ("audio", |text| text.contains("TYPE=AUDIO")),
    ("audio of several languages", |text| {
        text.contains("LANGUAGE=\"l1\"")
    }),
    ("subtitles", |text| text.contains("TYPE=SUBTITLES")),
    ("video", |text| text.contains("TYPE=VIDEO")),
    ("closed captions", |text| {
        text.contains("TYPE=CLOSED-CAPTIONS")
    }),
    ("no renditions", |text| !text.contains("#EXT-X-MEDIA:")),
    ("I-frames", |text| {
        text.contains("#EXT-X-I-FRAME-STREAM-INF:")
    }),
    ("several variants", |text| {
        text.matches("#EXT-X-STREAM-INF:").count() > 1
    }),
    ("equal bandwidths", |text| {
        text.matches("#EXT-X-STREAM-INF:BANDWIDTH=5000000").count() > 1
    }),
    ("an average bandwidth", |text| {
        text.contains("AVERAGE-BANDWIDTH=")
    }),
    ("codecs", |text| text.contains(",CODECS=")),
    ("no codecs", |text| {
        let mut variants = text
            .lines()
            .filter(|it| it.starts_with("#EXT-X-STREAM-INF"));
        variants.any(|it| !it.contains("CODECS="))
    }),
    ("a resolution", |text| text.contains("RESOLUTION=")),
    ("a frame rate", |text| text.contains("FRAME-RATE=")),
    ("session data by value", |text| {
        text.contains("DATA-ID=\"com.example.title\",VALUE=")
    }),
    ("session data by URI", |text| {
        text.contains("DATA-ID=\"com.example.data\",URI=")
    }),
    ("a session key", |text| text.contains("#EXT-X-SESSION-KEY:")),
    ("a start", |text| text.contains("#EXT-X-START:")),
    ("a variable", |text| {
        text.contains("#EXT-X-DEFINE:NAME=") && text.contains("{$text}")
    }),
];

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|it| it == line)
}

/// How many different lines begin so.
fn different(text: &str, beginning: &str) -> usize {
    let lines = text.lines().filter(|it| it.starts_with(beginning));
    lines.collect::<BTreeSet<_>>().len()
}

/// As many as a property looks at, always the same ones.
fn generated<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    let mut one = || strategy.new_tree(&mut runner).expect("one is found");
    (0..count).map(|_| one().current()).collect()
}

fn check(texts: &[String], kinds: &[(&str, Is)]) {
    let never = kinds
        .iter()
        .filter(|(_, is)| !texts.iter().any(|text| is(text)));
    let never: Vec<&str> = never.map(|(name, _)| *name).collect();
    assert!(never.is_empty(), "never generated: {never:?}");
}

#[test]
fn every_kind_of_media_playlist_is_generated() {
    let sources = generated(&source::source(), 150);
    let bodies = sources.iter().flat_map(|source| {
        let bodies = source.bodies.iter();
        bodies.map(|body| source.body(*body))
    });
    check(&bodies.collect::<Vec<_>>(), &MEDIA);
    assert!(
        sources
            .iter()
            .any(|it| it.bodies.iter().any(|body| body.0 > 0)),
        "no window slides"
    );
}

#[test]
fn every_kind_of_multivariant_playlist_is_generated() {
    check(&generated(&presentation::presentation(), 50), &MULTIVARIANT);
}
