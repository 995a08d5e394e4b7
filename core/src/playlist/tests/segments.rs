//! Lines to segments.

use super::*;

#[test]
fn c_56_durations_are_rounded_to_the_nearest_microsecond() {
    for (text, expected) in [
        ("5", 5_000_000),
        ("5.", 5_000_000),
        (".5", 500_000),
        ("0", 0),
        ("005.005", 5_005_000),
        ("5.0050004", 5_005_000),
        ("5.0050005", 5_005_001),
        ("5.9999995", 6_000_000),
        ("5.4999994", 5_499_999),
        ("5.99999949999999999999999999", 5_999_999),
        ("86400", 86_400_000_000),
    ] {
        let lines = format!("#EXTINF:{text},\na.ts\n");
        assert_eq!(
            list(&lines).segments[0].duration,
            micros(expected),
            "{text}"
        );
    }
}

#[test]
fn c_56_what_is_no_duration_is_refused() {
    for bad in [
        "", ".", "-1", "+5", "5e3", "1e300", "inf", "NaN", "5 5", "0x5", "٥",
    ] {
        let error = list_refused(&format!("#EXTINF:{bad},\na.ts\n"));
        assert!(
            matches!(error, PlaylistError::BadDuration { at } if at.line == 3),
            "{bad}"
        );
    }
    let huge = "9".repeat(400);
    for long in ["86400.000001", "86401", &huge] {
        let error = list_refused(&format!("#EXTINF:{long},\na.ts\n"));
        assert!(
            matches!(error, PlaylistError::DurationTooLong { .. }),
            "{long}"
        );
    }
}

#[test]
fn c_56_the_title_is_all_behind_the_first_comma() {
    let title = |line: &str| {
        list(&format!("{line}\na.ts\n")).segments[0]
            .title
            .to_string()
    };
    assert_eq!(
        title("#EXTINF:5.005,title, with comma"),
        "title, with comma"
    );
    assert_eq!(title("#EXTINF:5, a \"b\" , "), " a \"b\" , ");
    assert_eq!(title("#EXTINF:5,"), "");
    assert_eq!(title("#EXTINF:5"), "");
    let playlist = list("#EXTINF: 5 ,t\na.ts\n");
    assert_eq!(playlist.segments[0].duration, Span::from_secs(5));
    assert_eq!(flaws(&playlist), [FlawKind::BlankAroundValue]);
}

#[test]
fn c_56_each_uri_needs_its_extinf() {
    let error = list_refused("#EXTINF:6,\na.ts\nb.ts\n");
    assert!(matches!(error, PlaylistError::ExtinfMissing { at } if at.line == 5));
    // Two of them before one URI: a segment may have been lost.
    let error = list_refused("#EXTINF:6,\n#EXTINF:5,\na.ts\n");
    assert!(matches!(error, PlaylistError::Conflict { first: 3, .. }));
    let playlist = list("#EXTINF:6,t\n#EXTINF:6.,t\na.ts\n");
    assert_eq!(
        flaws(&playlist),
        [FlawKind::RepeatedTag, FlawKind::VersionTooLow]
    );
}

#[test]
fn c_56_a_segment_longer_than_the_target_is_a_flaw() {
    let playlist = list("#EXTINF:6.499999,\na.ts\n#EXTINF:6.5,\nb.ts\n");
    let flaw = playlist
        .flaws
        .iter()
        .find(|flaw| flaw.kind == FlawKind::LongerThanTarget);
    assert_eq!(flaw.map(|flaw| (flaw.at.line, flaw.count)), Some((5, 1)));
}

#[test]
fn s_04_a_duration_below_a_half_second_is_not_rounded_up_to_it() {
    let playlist = list("#EXT-X-VERSION:3\n#EXTINF:6.4999999,\na\n#EXTINF:6.5,\nb\n");
    let durations = playlist.segments.iter().map(|segment| segment.duration);
    assert_eq!(
        durations.collect::<Vec<_>>(),
        [micros(6_499_999), micros(6_500_000)]
    );
    assert_eq!(playlist.flaws[0].at.line, 6);
}

#[test]
fn s_04_durations_are_compared_after_rounding() {
    let target = Span::from_secs(6);
    assert!(fits_target_duration(micros(6_499_999), target));
    assert!(!fits_target_duration(micros(6_500_000), target));
    assert_eq!(
        least_target_duration([micros(5_005_000), micros(6_500_000)]),
        Span::from_secs(7)
    );
    assert_eq!(least_target_duration([micros(400_000)]), Span::from_secs(1));
    assert_eq!(least_target_duration([]), Span::from_secs(1));
}

#[test]
fn c_21_discontinuity_sequence_counts_the_tags_before_each_uri() {
    let playlist = list(
        "#EXT-X-DISCONTINUITY-SEQUENCE:7\n#EXT-X-DISCONTINUITY\n#EXTINF:6,\na\n#EXTINF:6,\nb\n\
         #EXTINF:6,\n#EXT-X-DISCONTINUITY\nc\n",
    );
    let numbers = playlist
        .segments
        .iter()
        .map(|segment| segment.discontinuity_sequence);
    assert_eq!(numbers.collect::<Vec<_>>(), [8, 8, 9]);
    let marks = playlist
        .segments
        .iter()
        .map(|segment| segment.discontinuity);
    assert_eq!(marks.collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(playlist.discontinuity_sequence, 7);
    let first = &list("#EXTINF:6,\na\n").segments[0];
    assert_eq!(
        (first.discontinuity_sequence, first.discontinuity),
        (0, false)
    );
}

#[test]
fn c_21_the_number_of_a_segment_stays_when_the_head_goes() {
    let segment = |name: &str| format!("#EXTINF:6,\n{name}\n");
    let before = list(&format!(
        "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n{}#EXT-X-DISCONTINUITY\n{}{}",
        segment("a"),
        segment("b"),
        segment("c"),
    ));
    // The tag goes with the segment it stood before.
    let after = list(&format!(
        "#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-DISCONTINUITY-SEQUENCE:4\n{}",
        segment("c"),
    ));
    assert_eq!(before.segments[2], after.segments[0]);
}

#[test]
fn c_21_repeated_discontinuities_count_each_and_numbers_do_not_wrap() {
    let double = "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY\n#EXTINF:6,\na\n";
    let playlist = list(double);
    assert_eq!(playlist.segments[0].discontinuity_sequence, 2);
    assert_eq!(flaws(&playlist), [FlawKind::RepeatedTag]);
    assert_eq!(media(&render(&playlist)).segments, playlist.segments);
    let error = list_refused(&format!(
        "#EXT-X-DISCONTINUITY-SEQUENCE:{}\n{double}",
        u64::MAX
    ));
    assert!(matches!(error, PlaylistError::SequenceOverflow { .. }));
}

fn ranges(lines: &str) -> Vec<Option<(u64, u64)>> {
    let segments = list(lines).segments;
    let range = |segment: Segment| segment.byte_range.map(|range| (range.offset, range.length));
    segments.into_iter().map(range).collect()
}

#[test]
fn c_25_a_range_without_offset_follows_the_one_before() {
    let lines = "#EXTINF:6,\n#EXT-X-BYTERANGE:100@50\nf\n#EXT-X-BYTERANGE:10\n#EXTINF:6,\nf\n\
                 #EXTINF:6,\n#EXT-X-BYTERANGE:5\nf\n#EXTINF:6,\ng\n";
    assert_eq!(
        ranges(lines),
        [Some((50, 100)), Some((150, 10)), Some((160, 5)), None]
    );
}

#[test]
fn c_25_a_range_without_offset_needs_a_range_of_the_same_resource_before_it() {
    let implied = "#EXTINF:6,\n#EXT-X-BYTERANGE:10\nf\n";
    for before in [
        "",
        "#EXTINF:6,\nf\n",
        "#EXTINF:6,\n#EXT-X-BYTERANGE:5@0\nother\n",
        "#EXTINF:6,\n#EXT-X-BYTERANGE:5@0\nf\n#EXTINF:6,\ng\n",
    ] {
        let error = list_refused(&format!("{before}{implied}"));
        assert!(
            matches!(error, PlaylistError::ByteRangeWithoutStart { .. }),
            "{before}"
        );
    }
}

#[test]
fn c_25_ranges_that_no_request_can_name_are_refused() {
    let max = u64::MAX;
    for bad in [
        "",
        "0@5",
        "x",
        "5@",
        "@5",
        "5@x",
        "-5@0",
        "5@5@5",
        &format!("2@{max}"),
    ] {
        let error = list_refused(&format!("#EXTINF:6,\n#EXT-X-BYTERANGE:{bad}\nf\n"));
        assert!(
            matches!(error, PlaylistError::BadByteRange { at } if at.line == 4),
            "{bad}"
        );
    }
    let before = format!("#EXTINF:6,\n#EXT-X-BYTERANGE:{}@5\nf\n", max - 5);
    assert_eq!(ranges(&before), [Some((5, max - 5))]);
    let error = list_refused(&format!("{before}#EXTINF:6,\n#EXT-X-BYTERANGE:1\nf\n"));
    assert!(matches!(error, PlaylistError::BadByteRange { .. }));

    assert_eq!(
        ranges("#EXTINF:6,\n#EXT-X-BYTERANGE: 5 @ 7\nf\n"),
        [Some((7, 5))]
    );
    let blank = list("#EXT-X-VERSION:4\n#EXTINF:6,\n#EXT-X-BYTERANGE:5@ 7\nf\n");
    assert_eq!(flaws(&blank), [FlawKind::BlankAroundValue]);
    let error = list_refused("#EXTINF:6,\n#EXT-X-BYTERANGE:5@0\n#EXT-X-BYTERANGE:6@0\nf\n");
    assert!(matches!(error, PlaylistError::Conflict { .. }));
}

#[test]
fn c_18_the_identity_of_a_segment_is_the_same_in_each_body_that_lists_it() {
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n";
    let before = list(&format!(
        "#EXT-X-MEDIA-SEQUENCE:8\n{key}#EXTINF:6,\n#EXT-X-BYTERANGE:100@0\nf\n\
         #EXTINF:6.000,\n#EXT-X-BYTERANGE:50\nf\n",
    ));
    let after = list(&format!(
        "#EXT-X-MEDIA-SEQUENCE:9\n{key}#EXTINF:6,\n#EXT-X-BYTERANGE:50@100\nf\n",
    ));
    assert_eq!(before.segments[1], after.segments[0]);
}

#[test]
fn a_text_cut_in_mid_air_gives_no_segment_that_is_not_there() {
    let whole = format!(
        "{START}#EXT-X-MEDIA-SEQUENCE:1234\n#EXTINF:6.006,t\nseg1.ts\n#EXT-X-KEY:METHOD=NONE\n\
         #EXT-X-BYTERANGE:77@1\n#EXTINF:6.006,\nseg2.ts\n#EXT-X-ENDLIST\n"
    );
    let full = media(&whole);
    for cut in 1..whole.len() {
        let Ok(playlist) = parse(&whole.as_bytes()[..cut]) else {
            continue;
        };
        let Playlist::Media(playlist) = playlist else {
            panic!("cut at {cut}: wrong kind")
        };
        let count = playlist.segments.len();
        for (index, segment) in playlist.segments.iter().enumerate() {
            let is_last = index + 1 == count;
            if is_last && playlist.last_uri_may_be_cut() {
                assert!(
                    full.segments[index].uri.starts_with(&*segment.uri),
                    "cut at {cut}"
                );
            } else {
                assert_eq!(*segment, full.segments[index], "cut at {cut}");
            }
        }
        if count == 0 {
            assert!(
                whole.as_bytes()[cut - 1] == b'\n' || cut == whole.len(),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn a_cut_list_without_segments_is_refused_for_its_numbers() {
    let error = list_refused("#EXT-X-MEDIA-SEQUENCE:12");
    assert!(matches!(error, PlaylistError::Cut { at } if at.line == 3));
    assert!(list("#EXT-X-MEDIA-SEQUENCE:12\n").segments.is_empty());
}

#[test]
fn what_stands_behind_the_last_uri_is_kept_and_applies_to_nothing() {
    let playlist = list(
        "#EXTINF:6,\na.ts\n#EXT-X-KEY:METHOD=broken\n#EXT-X-DISCONTINUITY\n\
         #EXT-X-PART:DURATION=1,URI=\"p\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q\"\n#EXTINF:6,",
    );
    assert_eq!(
        texts(&playlist.tail),
        [
            "#EXT-X-KEY:METHOD=broken",
            "#EXT-X-DISCONTINUITY",
            "#EXT-X-PART:DURATION=1,URI=\"p\"",
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q\"",
        ]
    );
    assert_eq!(uris(&playlist), ["a.ts"]);
    assert_eq!(
        flaws(&playlist),
        [FlawKind::NoFinalNewline, FlawKind::ExtinfWithoutUri]
    );
}

#[test]
fn gap_and_discontinuity_belong_to_one_segment() {
    let playlist = list("#EXT-X-GAP\n#EXTINF:6,\na\n#EXTINF:6,\nb\n");
    let gaps = playlist.segments.iter().map(|segment| segment.gap);
    assert_eq!(gaps.collect::<Vec<_>>(), [true, false]);
    for (gap, flaw) in [
        ("GAP:", FlawKind::ValueOnFlag),
        ("GAP ", FlawKind::BlankAroundValue),
    ] {
        let playlist = list(&format!("#EXT-X-{gap}\n#EXTINF:6,\na\n"));
        assert!(playlist.segments[0].gap);
        assert_eq!(flaws(&playlist), [flaw]);
    }
}

#[test]
fn what_m3u8_rs_takes_for_a_segment_is_none() {
    // Each line makes the library invent or lose a URI when it sees the line bare.
    for line in [
        "#EXT-X-DATERANGE:ID=\"a\",FOO",
        "#EXT-X-START:TIME-OFFSET",
        "#EXT-X-BITRATE:1 2",
        "#EXT-X-PART:URI=\"open",
        "#",
        "#EXT-",
        "#EXT-X-",
        "#EXT:",
        "#EXTM3U8",
        "#EXT-Z:u",
    ] {
        let playlist = list(&format!(
            "{line}\n#EXTINF:6,\na.ts?x=1\n{line}\n#EXTINF:6,\nu\n"
        ));
        assert_eq!(uris(&playlist), ["a.ts?x=1", "u"], "{line}");
    }
}

#[test]
fn long_lists_are_read_in_pieces_without_a_seam() {
    let mut text = format!("{START}#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n");
    for number in 0..3_000 {
        text.push_str(&format!(
            "#EXT-X-CUE:{number}\n#EXTINF:6,{number}\ns{number}.ts\n"
        ));
    }
    text.push_str("#EXT-X-CUE:end\n#EXT-X-ENDLIST\n");
    let playlist = media(&text);
    assert_eq!(playlist.segments.len(), 3_000);
    for (number, segment) in playlist.segments.iter().enumerate() {
        assert_eq!(&*segment.uri, format!("s{number}.ts"));
        assert_eq!(&*segment.title, format!("{number}"));
        assert_eq!(texts(&segment.tags), [format!("#EXT-X-CUE:{number}")]);
        assert_eq!(segment.keys.len(), 1);
    }
    assert!(playlist.end_list);
    assert_eq!(texts(&playlist.tail), ["#EXT-X-CUE:end"]);
}

/// Shapes that cost the most per byte, at a quarter of the limits. Nothing is measured here: what
/// grows with the square of the body would not end.
#[test]
fn c_63_the_costliest_bodies_are_read() {
    let many =
        |count: usize, line: &dyn Fn(usize) -> String| -> String { (0..count).map(line).collect() };
    let segment = "#EXTINF:1\na\n";
    let short = list(&segment.repeat(12_000));
    assert_eq!(short.segments.len(), 12_000);
    assert_eq!(list(&"#\n".repeat(24_000)).tail.len(), 24_000);

    let rotating = |number: usize| {
        let key = format!(
            "#EXT-X-KEY:METHOD=X,URI=\"k\",KEYFORMAT=\"{}\",N={number}",
            number % 16
        );
        format!("{key}\n#EXT-X-MAP:URI=\"{number}\"\n{segment}")
    };
    let keys = list(&many(4_000, &rotating));
    assert_eq!(keys.segments[3_999].keys.len(), 16);

    let attributes = many(100, &|number| format!("A{number}=1,"));
    let ranges = format!("#EXT-X-DATERANGE:{attributes}\n").repeat(1_000);
    assert_eq!(
        list(&format!("{ranges}{segment}")).segments[0].tags.len(),
        1_000
    );

    // Lines of the head among lines that do not belong there.
    let mixed = "#EXT-X-CUE-IN\n#x\n".repeat(8_000);
    let mixed = list(&format!("{mixed}#EXT-X-ALLOW-CACHE:NO\n{segment}"));
    assert_eq!(
        (mixed.head.len(), mixed.segments[0].tags.len()),
        (8_001, 8_000)
    );
}
