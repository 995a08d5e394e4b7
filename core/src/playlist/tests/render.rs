//! The writer.

use super::*;

/// A segment as a publisher makes it.
fn segment(number: u64) -> Segment {
    Segment {
        media_sequence: number,
        discontinuity_sequence: 0,
        uri: Arc::from(format!("{number}.ts")),
        duration: micros(5_005_000),
        title: Arc::from(""),
        byte_range: None,
        discontinuity: false,
        date_time: None,
        date_time_text: None,
        gap: false,
        keys: Arc::from([]),
        map: None,
        bit_rate: None,
        tags: Vec::new(),
    }
}

fn window(segments: Vec<Segment>) -> MediaPlaylist {
    MediaPlaylist {
        target_duration: Span::from_secs(6),
        media_sequence: segments.first().map_or(0, |segment| segment.media_sequence),
        segments,
        ..MediaPlaylist::default()
    }
}

fn key(attributes: &str) -> Key {
    Key {
        attributes: AttributeList::parse(attributes).unwrap(),
    }
}

/// A live list in MPEG-TS, from text to text.
#[test]
fn a_live_list_is_written_in_a_fixed_order() {
    let playlist = media(
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:100\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n\
         #EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:00.500Z\n#EXTINF:5.005,one, two\na.ts?t=1\n\
         #EXT-X-GAP\n#EXT-X-BITRATE:900\n#EXT-X-CUE-OUT:30\n#EXTINF:6,\n#EXT-X-DISCONTINUITY\n\
         #EXTGRP:x\nb.ts\n#EXT-X-DATERANGE:ID=\"x\"\n#EXT-X-ENDLIST\n",
    );
    let written = render(&playlist);
    let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n\
         #EXT-X-MEDIA-SEQUENCE:100\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n\
         #EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:00.500Z\n#EXTINF:5.005000,one, two\na.ts?t=1\n\
         #EXT-X-CUE-OUT:30\n#EXTGRP:x\n#EXT-X-DISCONTINUITY\n#EXT-X-BITRATE:900\n#EXT-X-GAP\n\
         #EXTINF:6.000000,\nb.ts\n#EXT-X-DATERANGE:ID=\"x\"\n#EXT-X-ENDLIST\n";
    assert_eq!(written, expected);
    assert_eq!(render(&media(&written)), written);
}

#[test]
fn s_05_and_s_18_both_sequence_tags_are_always_written() {
    let written = render(&window(vec![segment(0)]));
    assert!(written.contains("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"));
}

#[test]
fn s_04_a_target_duration_of_0_is_never_written() {
    assert!(render(&MediaPlaylist::default()).contains("#EXT-X-TARGETDURATION:1\n"));
}

#[test]
fn s_28_durations_have_six_decimals_and_sums_do_not_drift() {
    let written = render(&window((0..1_000).map(segment).collect()));
    assert_eq!(written.matches("#EXTINF:5.005000,\n").count(), 1_000);
    assert_eq!(media(&written).duration(), micros(5_005_000_000));
}

#[test]
fn s_29_version_is_minimal() {
    let version = |change: &dyn Fn(&mut MediaPlaylist)| {
        let mut playlist = window(vec![segment(0), segment(1)]);
        change(&mut playlist);
        let version = required_version(&playlist);
        assert!(render(&playlist).contains(&format!("#EXTM3U\n#EXT-X-VERSION:{version}\n")));
        version
    };
    let with_key = |attributes: &'static str| {
        version(&|playlist| playlist.segments[1].keys = Arc::from([key(attributes)]))
    };
    let map = |keys: Arc<[Key]>| {
        let attributes = AttributeList::default();
        Some(Arc::new(Map {
            uri: Arc::from("i"),
            byte_range: None,
            attributes,
            keys,
        }))
    };
    assert_eq!(version(&|playlist| playlist.segments.clear()), 1);
    assert_eq!(version(&|_| ()), 3);
    // What was stated does not count, only what is used.
    assert_eq!(version(&|playlist| playlist.version = Some(9)), 3);
    assert_eq!(version(&|playlist| playlist.segments[1].gap = true), 3);
    assert_eq!(with_key("METHOD=AES-128,URI=\"k\",IV=0x1"), 3);
    assert_eq!(
        with_key("METHOD=AES-128,URI=\"k\",KEYFORMAT=\"identity\""),
        5
    );
    assert_eq!(with_key("METHOD=SAMPLE-AES,URI=\"k\""), 5);
    let range = Some(ByteRange {
        offset: 0,
        length: 1,
    });
    assert_eq!(
        version(&|playlist| playlist.segments[1].byte_range = range),
        4
    );
    assert_eq!(version(&|playlist| playlist.i_frames_only = true), 4);
    assert_eq!(
        version(&|playlist| playlist.segments[1].map = map(Arc::from([]))),
        6
    );
    let in_i_frames = |playlist: &mut MediaPlaylist| {
        playlist.i_frames_only = true;
        playlist.segments[1].map = map(Arc::from([]));
    };
    assert_eq!(version(&in_i_frames), 5);
    let define = |line: &'static str| version(&|playlist| playlist.head.push(Arc::from(line)));
    assert_eq!(define("#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\""), 8);
    assert_eq!(define("#EXT-X-DEFINE:QUERYPARAM=\"a\""), 11);
    let tail = |line: &'static str| version(&|playlist| playlist.tail.push(Arc::from(line)));
    assert_eq!(tail("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\""), 5);
    assert_eq!(tail("#EXT-X-MAP:URI=\"i\""), 6);
    assert_eq!(tail("#EXT-X-PART:DURATION=1,URI=\"p\""), 3);
}

#[test]
fn s_29_an_initialization_vector_alone_needs_version_2() {
    let mut playlist = window(Vec::new());
    playlist
        .tail
        .push(Arc::from("#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1"));
    assert_eq!(required_version(&playlist), 2);
}

#[test]
fn s_34_byte_ranges_have_their_offset() {
    let playlist = list(
        "#EXT-X-MAP:URI=\"f\",BYTERANGE=\"7\"\n#EXTINF:6,\n#EXT-X-BYTERANGE:5@7\nf\n#EXTINF:6,\n\
         #EXT-X-BYTERANGE:6\nf\n",
    );
    let written = render(&playlist);
    assert!(written.contains("#EXT-X-MAP:URI=\"f\",BYTERANGE=\"7@0\"\n"));
    assert!(written.contains("#EXTINF:6.000000,\n#EXT-X-BYTERANGE:5@7\nf\n"));
    assert!(written.contains("#EXTINF:6.000000,\n#EXT-X-BYTERANGE:6@12\nf\n"));
}

#[test]
fn s_32_key_and_map_are_stated_again_when_the_head_goes() {
    let mut playlist = list(
        "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:6,\na\n\
         #EXTINF:6,\nb\n#EXTINF:6,\nc\n",
    );
    let block =
        "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x1\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:6.000000,\n";
    assert!(render(&playlist).contains(&format!("{block}a\n#EXTINF:6.000000,\nb\n")));
    playlist.segments.remove(0);
    playlist.media_sequence += 1;
    let written = render(&playlist);
    assert!(written.contains(&format!("{block}b\n#EXTINF:6.000000,\nc\n")));
    assert_eq!(media(&written).segments, playlist.segments);
}

#[test]
fn s_31_clear_segments_after_encrypted_ones_stand_under_none() {
    let mut locked = segment(0);
    locked.keys = Arc::from([key("METHOD=AES-128,URI=\"k\"")]);
    let written = render(&window(vec![
        locked.clone(),
        segment(1),
        segment(2),
        locked,
    ]));
    assert_eq!(written.matches("#EXT-X-KEY:METHOD=NONE\n").count(), 1);
    assert!(written.contains("0.ts\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:5.005000,\n1.ts\n#EXTINF"));
    assert!(written.contains("2.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF"));
    // A clear head needs no tag.
    assert!(!render(&window(vec![segment(0)])).contains("#EXT-X-KEY"));
}

#[test]
fn s_31_sets_of_keys_change_in_every_way() {
    let [a, b, c] =
        ["a", "b", "c"].map(|format| key(&format!("METHOD=X,URI=\"k\",KEYFORMAT=\"{format}\"")));
    let other = key("METHOD=X,URI=\"other\",KEYFORMAT=\"a\"");
    let sets: Vec<Vec<Key>> = vec![
        vec![],
        vec![a.clone()],
        vec![other.clone(), b.clone()],
        vec![b.clone(), a.clone()],
        vec![c.clone()],
        vec![a, b, c],
        vec![other],
    ];
    for first in &sets {
        for second in &sets {
            let mut segments = vec![segment(0), segment(1)];
            segments[0].keys = Arc::from(first.clone());
            segments[1].keys = Arc::from(second.clone());
            let playlist = window(segments);
            assert_eq!(media(&render(&playlist)).segments, playlist.segments);
        }
    }
}

#[test]
fn s_63_nothing_that_is_put_into_a_list_can_leave_its_line() {
    let evil = "x\r\n#EXT-X-ENDLIST\n#EXTINF:1,\nhttp://evil/\u{85}\"";
    let mut bad = segment(0);
    bad.uri = Arc::from(evil);
    bad.title = Arc::from(evil);
    bad.date_time_text = Some(Arc::from(evil));
    bad.date_time = Some(WallTime::from_micros(0));
    let keys: Arc<[Key]> = Arc::from([]);
    let attributes = AttributeList::default().with_quoted("X", evil);
    bad.map = Some(Arc::new(Map {
        uri: Arc::from(evil),
        byte_range: None,
        attributes,
        keys,
    }));
    bad.tags = vec![Arc::from(evil), Arc::from(format!("#EXT-X-{evil}"))];
    let mut playlist = window(vec![bad, segment(1)]);
    playlist.head.push(Arc::from(format!("# {evil}")));
    playlist.tail.push(Arc::from(evil));

    let written = render(&playlist);
    assert!(
        !written
            .chars()
            .any(|character| character != '\n' && character.is_control())
    );
    assert!(written.ends_with('\n'));
    let again = media(&written);
    assert_eq!(again.segments.len(), 2);
    assert!(!again.end_list);
    let encoded = "x%0D%0A#EXT-X-ENDLIST%0A#EXTINF:1,%0Ahttp://evil/%C2%85";
    assert_eq!(*again.segments[0].uri, format!("{encoded}\""));
    assert_eq!(
        *again.segments[0].map.as_ref().unwrap().uri,
        format!("{encoded}%22")
    );
    assert_eq!(again.segments[0].date_time, Some(WallTime::from_micros(0)));
}

#[test]
fn s_63_a_uri_line_is_always_a_uri_line() {
    for (uri, expected) in [
        ("", "."),
        ("#a", "%23a"),
        (" a ", "%20a%20"),
        ("a ", "a%20"),
        (" ", "%20"),
        ("a b#c", "a b#c"),
    ] {
        let mut only = segment(0);
        only.uri = Arc::from(uri);
        assert_eq!(uris(&media(&render(&window(vec![only])))), [expected]);
    }
}

#[test]
fn s_63_kept_lines_that_are_tags_of_the_writer_become_comments() {
    let lines = [
        "#EXTINF:1,",
        "#EXT-X-ENDLIST",
        "#EXT-X-KEY:METHOD=NONE",
        "#EXT-X-MEDIA-SEQUENCE:9",
        "#EXT-X-STREAM-INF:BANDWIDTH=1",
        "#EXTM3U",
        "no-tag.ts",
    ];
    let mut playlist = window(vec![segment(5)]);
    playlist.segments[0].tags = lines.map(Arc::from).to_vec();
    playlist.head = lines.map(Arc::from).to_vec();
    playlist.tail = vec![Arc::from("#EXTINF:1,"), Arc::from("#EXT-X-VERSION:1")];
    let again = media(&render(&playlist));
    let comments = [
        "##EXTINF:1,",
        "##EXT-X-ENDLIST",
        "##EXT-X-KEY:METHOD=NONE",
        "##EXT-X-MEDIA-SEQUENCE:9",
        "##EXT-X-STREAM-INF:BANDWIDTH=1",
        "##EXTM3U",
        "# no-tag.ts",
    ];
    assert_eq!(texts(&again.segments[0].tags), comments);
    assert_eq!(texts(&again.head), comments);
    assert_eq!(texts(&again.tail), ["##EXTINF:1,", "##EXT-X-VERSION:1"]);
    assert_eq!(uris(&again), ["5.ts"]);
    assert_eq!(again.media_sequence, 5);
}

#[test]
fn s_63_the_text_is_the_same_each_time() {
    let playlist = list(
        "#EXT-X-KEY:METHOD=X,URI=\"k\",Z=1,A=2,M=3\n#EXT-X-DATERANGE:ID=\"a\",Z=1,A=2\n#EXTINF:6,\na\n",
    );
    let written = render(&playlist);
    assert_eq!(render(&playlist.clone()), written);
    assert!(written.contains("#EXT-X-KEY:METHOD=X,URI=\"k\",Z=1,A=2,M=3\n"));
}
