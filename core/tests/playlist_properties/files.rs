//! What each playlist of `testdata/playlists` says.

use super::{FILES, media};
use hls_relay_core::playlist::{ByteRange, FlawKind, MediaPlaylist, Playlist, parse};
use hls_relay_core::time::Span;

fn file(name: &str) -> MediaPlaylist {
    let (_, body) = FILES
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a file");
    media(body)
}

#[test]
fn the_live_window() {
    let live = file("live");
    assert!(live.flaws.is_empty() && !live.end_list);
    assert_eq!(
        (live.media_sequence, live.end_media_sequence()),
        (82_113, 82_119)
    );
    let numbers = live
        .segments
        .iter()
        .map(|segment| segment.discontinuity_sequence);
    assert_eq!(numbers.collect::<Vec<_>>(), [14, 14, 15, 15, 16, 16]);
    assert_eq!(live.duration(), Span::from_micros(31_953_383));
    assert!(live.segments[3].gap);
    assert_eq!(live.segments[2].tags.len(), 2);
    let dates = live.segments.iter().map(|segment| segment.date_time);
    let dates: Vec<_> = dates
        .map(|date| date.expect("counted").as_micros())
        .collect();
    let gaps: Vec<_> = dates.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(
        gaps,
        [5_005_000, 5_005_000, 6_000_000, 6_000_000, 5_005_000]
    );
}

#[test]
fn the_finished_lists() {
    let vod = file("vod");
    assert!(vod.end_list && vod.independent_segments && vod.flaws.is_empty());
    assert_eq!(
        &*vod.segments[0].title,
        "Opening, with a comma, and another"
    );
    assert_eq!(&*vod.segments[2].title, "  kept blanks ");
    assert_eq!(vod.segments[2].duration, Span::from_micros(11_499_999));
    let event = file("event");
    let micros = event
        .segments
        .iter()
        .map(|segment| segment.duration.as_micros());
    assert_eq!(
        micros.collect::<Vec<_>>(),
        [5_000_000, 5_000_000, 500_000, 5_000_000, 0]
    );
}

#[test]
fn the_encrypted_list() {
    let keys = file("keys");
    assert!(keys.flaws.is_empty(), "{:?}", keys.flaws);
    let counts = keys.segments.iter().map(|segment| segment.keys.len());
    assert_eq!(counts.collect::<Vec<_>>(), [0, 1, 1, 1, 3, 3, 0]);
    let maps = keys.segments.iter().map(|segment| {
        let map = segment.map.as_ref().expect("a map");
        (&*map.uri, map.keys.len())
    });
    let (clear, locked, drm) = (
        ("clear-init.mp4", 0),
        ("locked-init.mp4", 1),
        ("drm-init.mp4", 0),
    );
    assert_eq!(
        maps.collect::<Vec<_>>(),
        [clear, locked, locked, locked, drm, drm, drm]
    );
    let formats = keys.segments[5]
        .keys
        .iter()
        .map(|key| key.uri().expect("a URI"));
    let expected = [
        "data:text/plain;base64,AAAA",
        "skd://twelve",
        "data:text/plain;base64,BBBB",
    ];
    assert_eq!(formats.collect::<Vec<_>>(), expected);
}

#[test]
fn the_byte_ranges() {
    let list = file("byte_ranges");
    let ranges = list.segments.iter().map(|segment| segment.byte_range);
    let expected = [(1_204, 751_230), (752_434, 702_110), (1_454_544, 698_001)];
    let mut expected: Vec<_> = expected
        .map(|(offset, length)| Some(ByteRange { offset, length }))
        .to_vec();
    expected.extend([
        None,
        Some(ByteRange {
            offset: 900_719_925_474_099,
            length: 12,
        }),
    ]);
    assert_eq!(ranges.collect::<Vec<_>>(), expected);
    let frames = file("i_frames");
    assert!(frames.i_frames_only && frames.flaws.is_empty());
}

#[test]
fn the_low_latency_list_keeps_its_live_edge() {
    let list = file("low_latency");
    assert_eq!(list.head.len(), 2);
    assert_eq!(list.segments.len(), 3);
    assert_eq!(list.segments[2].tags.len(), 2);
    assert_eq!(list.tail.len(), 7);
    assert!(list.tail[6].ends_with("LAST-MSN=269,LAST-PART=1"));
    let kinds: Vec<_> = list.flaws.iter().map(|flaw| flaw.kind).collect();
    assert_eq!(kinds, [FlawKind::NoFinalNewline]);
    assert!(!list.last_uri_may_be_cut());
}

#[test]
fn the_vendor_list_loses_no_line() {
    let list = file("vendor");
    assert_eq!(list.head.len(), 3);
    let tags = list.segments.iter().map(|segment| segment.tags.len());
    assert_eq!(tags.collect::<Vec<_>>(), [3, 6, 2]);
    assert_eq!(list.segments[2].bit_rate, Some(1_200));
    assert_eq!(list.tail.len(), 2);
    assert!(
        list.flaws
            .iter()
            .all(|flaw| flaw.kind == FlawKind::VersionTooLow)
    );
}

#[test]
fn the_flawed_list_is_accepted_and_every_flaw_is_said() {
    let list = file("flawed");
    assert_eq!(
        (list.segments.len(), list.media_sequence, list.end_list),
        (3, 5, true)
    );
    assert_eq!(&*list.segments[0].uri, "a5.ts");
    assert_eq!(
        list.segments[0].keys[0].attributes.as_str(),
        "METHOD=AES-128,URI=\"k.bin\",IV=0x01"
    );
    let mut kinds: Vec<_> = list.flaws.iter().map(|flaw| flaw.kind).collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            FlawKind::ByteOrderMark,
            FlawKind::RepeatedHeader,
            FlawKind::Tab,
            FlawKind::BlankAroundUri,
            FlawKind::BlankAroundValue,
            FlawKind::ValueOnFlag,
            FlawKind::RepeatedTag,
            FlawKind::UnknownPlaylistType,
            FlawKind::ExtinfWithoutComma,
            FlawKind::ExtinfWithoutUri,
            FlawKind::LongerThanTarget,
            FlawKind::LooseAttributes,
            FlawKind::RepeatedAttribute,
            FlawKind::QuotesAmiss,
            FlawKind::UnreadableAttributes,
            FlawKind::UnreadableDateTime,
        ]
    );
}

#[test]
fn c_06_the_multivariant_list_keeps_its_pairs() {
    let (_, body) = FILES[9];
    let Ok(Playlist::Multivariant(list)) = parse(body) else {
        panic!("wrong kind")
    };
    let pairs = list
        .variants
        .iter()
        .map(|variant| (variant.bandwidth, &*variant.uri));
    let expected = [
        (800_000, "low/index.m3u8"),
        (2_400_000, "high/index.m3u8?token=9"),
    ];
    assert_eq!(pairs.collect::<Vec<_>>(), expected);
    assert_eq!(list.renditions.len(), 3);
    assert_eq!(list.flaws.len(), 1);
    assert_eq!(list.lines.len(), 12);
    assert_eq!(list.variables.get("cdn"), Some("a"));
}
