//! Models as a publisher may make them: any numbers, any kept lines, any order of keys.

use hls_relay_core::playlist::{
    AttributeList, ByteRange, Key, Map, MediaPlaylist, PlaylistType, Segment,
    least_target_duration, required_version,
};
use hls_relay_core::time::{Span, WallTime};
use proptest::prelude::*;
use std::sync::Arc;

/// What is drawn for one segment; the rest follows from its neighbours.
#[derive(Clone, Debug)]
struct Draft {
    uri: String,
    micros: u64,
    title: String,
    byte_range: Option<ByteRange>,
    discontinuity: bool,
    date: Option<(i64, Option<&'static str>)>,
    gap: bool,
    keys: usize,
    map: usize,
    bit_rate: Option<u64>,
    tags: Vec<String>,
}

/// Dates in other forms than the writer's own, with their moments.
const DATES: [(i64, &str); 4] = [
    (1_266_562_463_031_000, "2010-02-19T14:54:23.031+08:00"),
    (1_266_562_463_031_000, "2010-02-19T06:54:23.031"),
    (-1, "1969-12-31T23:59:59.9999990Z"),
    (0, "1970-01-01T01:00:00+0100"),
];

fn key(attributes: &str) -> Key {
    Key {
        attributes: AttributeList::parse(attributes).expect("a valid list"),
    }
}

/// Sets of keys as they may be in force.
fn key_sets() -> [Arc<[Key]>; 6] {
    let plain = key("METHOD=AES-128,URI=\"https://k/1\",IV=0x12");
    let rotated = key("METHOD=AES-128,URI=\"https://k/2\"");
    let wide = key("METHOD=SAMPLE-AES-CTR,URI=\"data:,w\",KEYFORMAT=\"urn:uuid:w\",KEYID=0x1");
    let fair = key("METHOD=SAMPLE-AES,URI=\"skd://f\",KEYFORMAT=\"com.f\",KEYFORMATVERSIONS=\"1\"");
    [
        Arc::from([]),
        Arc::from([plain.clone()]),
        Arc::from([rotated]),
        Arc::from([wide.clone(), fair.clone()]),
        Arc::from([fair, wide, plain.clone()]),
        Arc::from([plain]),
    ]
}

fn maps() -> [Arc<Map>; 3] {
    let [clear, plain, _, drm, ..] = key_sets();
    let map = |uri: &str, byte_range, attributes: &str, keys| {
        let attributes = AttributeList::parse(attributes).expect("a valid list");
        Arc::new(Map {
            uri: Arc::from(uri),
            byte_range,
            attributes,
            keys,
        })
    };
    [
        map("init.mp4", None, "", clear),
        map(
            "init.mp4",
            Some(ByteRange {
                offset: 9,
                length: 812,
            }),
            "X-A=\"b,c\",Z=1",
            plain,
        ),
        map("other/init.mp4?x=1", None, "", drm),
    ]
}

/// Lines that are kept with a segment, in the order in which the writer puts them.
fn tags() -> impl Strategy<Value = Vec<String>> {
    let first = prop_oneof![
        "# [ -~]{0,20}",
        "#EXT-X-VENDOR-[A-Z]{1,4}(:[ -~é]{0,20})?",
        "#EXTVLCOPT:[a-z=]{1,9}",
        Just("#EXT-X-CUE-OUT:30".to_owned()),
        Just("#EXT-OATCLS-SCTE35:/DAlAAAA+/=".to_owned()),
        "#EXT-X-DATERANGE:ID=\"[a-z ,=]{1,9}\",START-DATE=\"2026-01-01T00:00:00Z\",X-A=[0-9]{1,3}",
    ];
    let parts = prop::collection::vec("#EXT-X-PART:DURATION=1\\.0,URI=\"[a-z]{1,5}\"", 0..2);
    (prop::collection::vec(first, 0..3), parts)
        .prop_map(|(first, parts)| first.into_iter().chain(parts).collect())
}

fn draft() -> impl Strategy<Value = Draft> {
    let date = prop_oneof![
        // From the year 0 to the year 9999, less what the durations of a list may add.
        (-62_167_219_200_000_000_i64..253_300_000_000_000_000).prop_map(|micros| (micros, None)),
        prop::sample::select(DATES.to_vec()).prop_map(|(micros, text)| (micros, Some(text))),
    ];
    let range = (0..u64::MAX / 2, 1..u64::MAX / 2)
        .prop_map(|(offset, length)| ByteRange { offset, length });
    let micros = prop_oneof![0..12_000_000_u64, 0..=86_400_000_000_u64];
    // What looks like a variable is one, and nobody has defined it.
    let uri = "[a-zA-Z0-9/.:é(][ -~é]{0,20}[!-~é]".prop_map(|it: String| it.replace("{$", "{"));
    let text = (uri, "[ -~é]{0,20}");
    let places = (any::<bool>(), any::<bool>(), 0..6_usize, 0..4_usize);
    (
        text,
        micros,
        prop::option::of(range),
        prop::option::of(date),
        places,
        (prop::option::of(0..100_000_u64), tags()),
    )
        .prop_map(
            |(
                (uri, title),
                micros,
                byte_range,
                date,
                (discontinuity, gap, keys, map),
                (bit_rate, tags),
            )| {
                Draft {
                    uri,
                    micros,
                    title,
                    byte_range,
                    discontinuity,
                    date,
                    gap,
                    keys,
                    map,
                    bit_rate,
                    tags,
                }
            },
        )
}

fn head() -> impl Strategy<Value = Vec<Arc<str>>> {
    prop::sample::subsequence(
        vec![
            "# made by a relay",
            "#EXT-X-START:TIME-OFFSET=-18.5,PRECISE=YES",
            "#EXT-X-SERVER-CONTROL:HOLD-BACK=18.0",
            "#EXT-X-ALLOW-CACHE:NO",
            "#EXT-X-UNKNOWN",
        ],
        0..=5,
    )
    .prop_map(|lines| lines.into_iter().map(Arc::from).collect())
}

fn tail() -> impl Strategy<Value = Vec<Arc<str>>> {
    let line = prop::sample::select(vec![
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"",
        "#EXT-X-MAP:URI=\"i\"",
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z",
        "#EXT-X-PART:DURATION=0.5,URI=\"p\"",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q\"",
        "#EXT-X-RENDITION-REPORT:URI=\"r\",LAST-MSN=5",
        "# the end",
    ]);
    prop::collection::vec(line, 0..4).prop_map(|lines| lines.into_iter().map(Arc::from).collect())
}

/// A media playlist whose numbers agree with each other.
pub(crate) fn playlist() -> impl Strategy<Value = MediaPlaylist> {
    let numbers = (
        prop_oneof![0..1_000_u64, 0..u64::MAX - 100],
        prop_oneof![0..1_000_u64, 0..u64::MAX - 100],
    );
    let kind = prop::option::of(prop_oneof![
        Just(PlaylistType::Vod),
        Just(PlaylistType::Event)
    ]);
    let flags = (kind, any::<bool>(), any::<bool>(), any::<bool>());
    let drafts = prop::collection::vec(draft(), 0..9);
    (numbers, flags, head(), drafts, tail()).prop_map(|(numbers, flags, head, drafts, tail)| {
        let (playlist_type, end_list, i_frames_only, independent_segments) = flags;
        let segments = segments(numbers, drafts);
        let durations = segments.iter().map(|segment| segment.duration);
        let mut playlist = MediaPlaylist {
            version: None,
            target_duration: least_target_duration(durations),
            media_sequence: numbers.0,
            discontinuity_sequence: numbers.1,
            playlist_type,
            end_list,
            i_frames_only,
            independent_segments,
            head,
            segments,
            tail,
            flaws: Vec::new(),
        };
        playlist.version = Some(required_version(&playlist));
        playlist
    })
}

fn segments((first, discontinuities): (u64, u64), drafts: Vec<Draft>) -> Vec<Segment> {
    let (key_sets, maps) = (key_sets(), maps());
    let mut discontinuity_sequence = discontinuities;
    let (mut map, mut bit_rate) = (None, None);
    // Dates reach over a whole run of segments or over none of it, since readers fill up the rest.
    let mut is_dated = false;
    let mut segments = Vec::new();
    for (number, draft) in (first..).zip(drafts) {
        if draft.discontinuity {
            discontinuity_sequence += 1;
        }
        if draft.discontinuity || segments.is_empty() {
            is_dated = draft.date.is_some();
        }
        let date = draft.date.unwrap_or((0, None));
        map = maps.get(draft.map).cloned().or(map);
        // It holds until another one is said, and never for a part of a resource.
        bit_rate = draft
            .bit_rate
            .filter(|_| draft.byte_range.is_none())
            .or(bit_rate);
        segments.push(Segment {
            media_sequence: number,
            discontinuity_sequence,
            uri: Arc::from(draft.uri),
            duration: Span::from_micros(draft.micros),
            title: Arc::from(draft.title),
            byte_range: draft.byte_range,
            discontinuity: draft.discontinuity,
            date_time: is_dated.then_some(WallTime::from_micros(date.0)),
            date_time_text: date.1.filter(|_| is_dated).map(Arc::from),
            gap: draft.gap,
            keys: key_sets[draft.keys].clone(),
            map: map.clone(),
            bit_rate: bit_rate.filter(|_| draft.byte_range.is_none()),
            tags: draft.tags.into_iter().map(Arc::from).collect(),
        });
    }
    segments
}
