//! What holds for the playlist as a whole.

use super::*;

#[test]
fn c_04_a_list_is_of_one_kind() {
    let error = list_refused("#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXTINF:6,\na.ts\n");
    let PlaylistError::MixedKinds {
        media,
        multivariant,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((media.line, multivariant.line), (2, 3));
    // The longer names are other tags.
    assert_eq!(list("#EXT-X-MEDIA-SEQUENCE:7\n").media_sequence, 7);
    assert_eq!(refused("#EXTM3U\n"), PlaylistError::NeitherKind);
    assert_eq!(
        refused("#EXTM3U\n#EXT-X-VERSION:3\na.ts\n"),
        PlaylistError::NeitherKind
    );
}

#[test]
fn c_05_a_tag_that_stands_twice_with_different_values_is_refused() {
    for (first, second) in [
        ("#EXT-X-VERSION:3", "#EXT-X-VERSION:4"),
        ("#EXT-X-TARGETDURATION:7", "#EXT-X-TARGETDURATION:8"),
        ("#EXT-X-MEDIA-SEQUENCE:7", "#EXT-X-MEDIA-SEQUENCE:8"),
        (
            "#EXT-X-DISCONTINUITY-SEQUENCE:7",
            "#EXT-X-DISCONTINUITY-SEQUENCE:8",
        ),
        ("#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-PLAYLIST-TYPE:EVENT"),
        ("#EXT-X-START:TIME-OFFSET=1", "#EXT-X-START:TIME-OFFSET=2"),
        (
            "#EXT-X-SERVER-CONTROL:HOLD-BACK=18",
            "#EXT-X-SERVER-CONTROL:HOLD-BACK=19",
        ),
        (
            "#EXT-X-PART-INF:PART-TARGET=1",
            "#EXT-X-PART-INF:PART-TARGET=2",
        ),
        ("#EXT-X-ALLOW-CACHE:YES", "#EXT-X-ALLOW-CACHE:NO"),
    ] {
        let text = format!("#EXTM3U\n#EXT-X-GAP\n{first}\n#comment\n{second}\n");
        let error = refused(&text);
        let PlaylistError::Conflict { at, first } = error else {
            panic!("{second}: {error}")
        };
        assert_eq!((at.line, first), (5, 3));
    }
}

#[test]
fn c_05_a_tag_that_stands_twice_with_equal_values_is_forgiven() {
    for (first, second) in [
        ("#EXT-X-VERSION:3", "#EXT-X-VERSION: 3.0"),
        ("#EXT-X-TARGETDURATION:6", "#EXT-X-TARGETDURATION:06"),
        ("#EXT-X-MEDIA-SEQUENCE:7", "#EXT-X-MEDIA-SEQUENCE:7"),
        (
            "#EXT-X-DISCONTINUITY-SEQUENCE:7",
            "#EXT-X-DISCONTINUITY-SEQUENCE:7",
        ),
        ("#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-PLAYLIST-TYPE:VOD"),
        ("#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-INDEPENDENT-SEGMENTS"),
        ("#EXT-X-I-FRAMES-ONLY", "#EXT-X-I-FRAMES-ONLY"),
        ("#EXT-X-ENDLIST", "#EXT-X-ENDLIST"),
        ("#EXT-X-START:TIME-OFFSET=1", "#EXT-X-START:TIME-OFFSET=1"),
    ] {
        let playlist = list(&format!("{first}\n{second}\n#EXTINF:6\na.ts\n"));
        assert!(
            flaws(&playlist).contains(&FlawKind::RepeatedTag),
            "{second}"
        );
        // What is kept is kept once.
        assert!(playlist.head.len() <= 1, "{:?}", playlist.head);
    }
    // DEFINE may repeat (draft bis 4.4.2.3).
    let lines = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n#EXT-X-DEFINE:NAME=\"b\",VALUE=\"2\"\n";
    assert!(
        list(lines).head.is_empty(),
        "what is defined is in its places"
    );
}

#[test]
fn c_06_an_unknown_playlist_type_means_nothing_and_is_kept() {
    let playlist = list("#EXT-X-PLAYLIST-TYPE:LIVE\n#EXTINF:6,\na.ts\n");
    assert_eq!(playlist.playlist_type, None);
    assert_eq!(texts(&playlist.head), ["#EXT-X-PLAYLIST-TYPE:LIVE"]);
    assert_eq!(flaws(&playlist), [FlawKind::UnknownPlaylistType]);
    assert_eq!(media(&render(&playlist)).head, playlist.head);
}

#[test]
fn c_06_unknown_tags_are_kept_and_mean_nothing() {
    let playlist = list("#EXT-X-FUTURE:1\n#EXTINF:6,\n#EXTVLCOPT:x=1\na.ts\n#EXT-X-FUTURE:2\n");
    assert_eq!(
        texts(&playlist.segments[0].tags),
        ["#EXT-X-FUTURE:1", "#EXTVLCOPT:x=1"]
    );
    assert_eq!(texts(&playlist.tail), ["#EXT-X-FUTURE:2"]);
    assert!(flaws(&playlist).is_empty());
}

#[test]
fn c_07_integers_are_digits_below_two_to_the_64th() {
    let tag = "#EXT-X-MEDIA-SEQUENCE:";
    for bad in [
        "",
        "-1",
        "+1",
        "1.0",
        "0x10",
        "1 2",
        "18446744073709551616",
        "١",
    ] {
        let error = list_refused(&format!("{tag}{bad}\n#EXTINF:6,\na.ts\n"));
        assert!(
            matches!(error, PlaylistError::BadInteger { at } if at.line == 3),
            "{bad}"
        );
    }
    let playlist = list(&format!("{tag} 007 \n#EXTINF:6,\na.ts\n"));
    assert_eq!(playlist.media_sequence, 7);
    assert_eq!(flaws(&playlist), [FlawKind::BlankAroundValue]);
}

#[test]
fn c_16_the_first_segment_has_the_media_sequence_or_0() {
    let numbers = |playlist: MediaPlaylist| -> Vec<u64> {
        playlist
            .segments
            .iter()
            .map(|segment| segment.media_sequence)
            .collect()
    };
    assert_eq!(numbers(list("#EXTINF:6,\na\n#EXTINF:6,\nb\n")), [0, 1]);
    let numbered = list("#EXT-X-MEDIA-SEQUENCE:41\n#EXTINF:6,\na\n#EXTINF:6,\nb\n");
    assert_eq!(numbered.end_media_sequence(), 43);
    assert_eq!(numbers(numbered), [41, 42]);
    assert_eq!(list("#EXT-X-MEDIA-SEQUENCE:41\n").end_media_sequence(), 41);
}

#[test]
fn c_16_media_sequence_numbers_do_not_wrap() {
    let at =
        |number: u64| format!("#EXT-X-MEDIA-SEQUENCE:{number}\n#EXTINF:6,\na\n#EXTINF:6,\nb\n");
    let last = list(&at(u64::MAX - 2));
    assert_eq!(last.end_media_sequence(), u64::MAX);
    let error = list_refused(&at(u64::MAX - 1));
    assert!(matches!(error, PlaylistError::SequenceOverflow { at } if at.line == 7));
    let error = list_refused(&at(u64::MAX));
    assert!(matches!(error, PlaylistError::SequenceOverflow { at } if at.line == 5));
}

#[test]
fn c_22_sequence_tags_stand_before_what_they_number() {
    let misplaced = |lines: &str| {
        let error = list_refused(lines);
        let PlaylistError::Misplaced { at, first } = error else {
            panic!("{error}")
        };
        (at.line, first)
    };
    let segment = "#EXTINF:6,\na.ts\n";
    assert_eq!(
        misplaced(&format!("{segment}#EXT-X-MEDIA-SEQUENCE:0\n")),
        (5, 4)
    );
    assert_eq!(
        misplaced(&format!("{segment}#EXT-X-DISCONTINUITY-SEQUENCE:0\n")),
        (5, 4)
    );
    let lines = "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY-SEQUENCE:4\n";
    assert_eq!(misplaced(&format!("{lines}{segment}")), (4, 3));
    // Before the first URI there is no segment yet.
    let playlist = list("#EXTINF:6,\n#EXT-X-MEDIA-SEQUENCE:5\na.ts\n");
    assert_eq!(playlist.segments[0].media_sequence, 5);
}

#[test]
fn c_39_versions_above_13_are_refused_and_lower_ones_gate_nothing() {
    let error = list_refused("#EXT-X-VERSION:14\n#EXTINF:6,\na.ts\n");
    assert!(matches!(
        error,
        PlaylistError::UnsupportedVersion { version: 14, .. }
    ));
    assert_eq!(
        list("#EXT-X-VERSION:13\n#EXTINF:6,\na.ts\n").version,
        Some(13)
    );

    let playlist = list("#EXT-X-VERSION:3\n#EXTINF:6,\n#EXT-X-BYTERANGE:5@0\na.ts\n");
    assert_eq!(
        playlist.segments[0].byte_range,
        Some(ByteRange {
            offset: 0,
            length: 5
        })
    );
    assert_eq!(flaws(&playlist), [FlawKind::VersionTooLow]);
    assert_eq!(
        flaws(&list("#EXTINF:6.0,\na.ts\n")),
        [FlawKind::VersionTooLow]
    );
    assert!(flaws(&list("#EXTINF:6,\na.ts\n")).is_empty());

    let decimals = list("#EXT-X-VERSION:7.0\n#EXTINF:6,\na.ts\n");
    assert_eq!(
        (decimals.version, flaws(&decimals)),
        (Some(7), vec![FlawKind::FractionalVersion])
    );
    for bad in ["7.1", "seven", ""] {
        let error = list_refused(&format!("#EXT-X-VERSION:{bad}\n"));
        assert!(matches!(error, PlaylistError::BadInteger { .. }), "{bad}");
    }
}

#[test]
fn a_target_duration_is_required_and_not_0() {
    let without = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:1\n";
    assert_eq!(refused(without), PlaylistError::TargetDurationMissing);
    let with_segment = "#EXTM3U\n#EXTINF:6,\na.ts\n";
    assert_eq!(refused(with_segment), PlaylistError::TargetDurationMissing);
    for zero in ["0", "0.0", "00"] {
        let error = refused(&format!("#EXTM3U\n#EXT-X-TARGETDURATION:{zero}\n"));
        assert!(
            matches!(error, PlaylistError::TargetDurationZero { .. }),
            "{zero}"
        );
    }
}

#[test]
fn a_fractional_target_duration_is_rounded_up() {
    for (text, secs) in [
        ("10.5", 11),
        ("10.0", 10),
        ("0.2", 1),
        ("10.000001", 11),
        ("5.", 5),
    ] {
        let playlist = media(&format!("#EXTM3U\n#EXT-X-TARGETDURATION:{text}\n"));
        assert_eq!(playlist.target_duration, Span::from_secs(secs), "{text}");
        assert_eq!(flaws(&playlist), [FlawKind::FractionalTargetDuration]);
        assert!(playlist.segments.is_empty());
    }
    for bad in ["", "-1", "ten", "1e1", "1,5"] {
        let error = refused(&format!("#EXTM3U\n#EXT-X-TARGETDURATION:{bad}\n"));
        assert!(matches!(error, PlaylistError::BadInteger { .. }), "{bad}");
    }
    let error = refused("#EXTM3U\n#EXT-X-TARGETDURATION:86401\n");
    assert!(matches!(error, PlaylistError::DurationTooLong { .. }));
}

#[test]
fn c_59_endlist_may_stand_anywhere() {
    let segments = "#EXTINF:6,\na.ts\n#EXTINF:6,\nb.ts\n";
    let plain = list(segments);
    for text in [
        format!("{START}#EXT-X-ENDLIST\n{segments}"),
        format!("{START}{segments}#EXT-X-ENDLIST\n"),
        format!(
            "{START}{}",
            segments.replace("b.ts", "#EXT-X-ENDLIST\nb.ts")
        ),
    ] {
        let playlist = media(&text);
        assert!(playlist.end_list);
        assert_eq!(playlist.segments, plain.segments);
        assert!(playlist.tail.is_empty() && playlist.head.is_empty());
    }
    assert!(!plain.end_list);
}

#[test]
fn flags_with_a_value_are_flags() {
    let playlist = list("#EXT-X-ENDLIST:1\n#EXT-X-I-FRAMES-ONLY \n#EXT-X-INDEPENDENT-SEGMENTS\n");
    assert!(playlist.end_list && playlist.i_frames_only && playlist.independent_segments);
    let expected = [
        FlawKind::ValueOnFlag,
        FlawKind::BlankAroundValue,
        FlawKind::VersionTooLow,
    ];
    assert_eq!(flaws(&playlist), expected);
}

#[test]
fn unknown_lines_before_the_last_tag_of_the_head_belong_to_the_head() {
    let playlist = media(
        "#EXTM3U\n# made by x\n#EXT-X-CUE-OUT:30\n#EXT-X-TARGETDURATION:6\n#EXT-X-NEW-HEAD\n\
         #EXT-X-START:TIME-OFFSET=1\n#EXT-X-NEW\n#EXTINF:6,\na.ts\n#EXT-X-ALLOW-CACHE:NO\n# later\n\
         #EXTINF:6,\nb.ts\n",
    );
    let head = [
        "# made by x",
        "#EXT-X-NEW-HEAD",
        "#EXT-X-START:TIME-OFFSET=1",
        "#EXT-X-ALLOW-CACHE:NO",
    ];
    assert_eq!(texts(&playlist.head), head);
    assert_eq!(
        texts(&playlist.segments[0].tags),
        ["#EXT-X-CUE-OUT:30", "#EXT-X-NEW"]
    );
    assert_eq!(texts(&playlist.segments[1].tags), ["# later"]);
}

#[test]
fn what_a_vendor_says_of_the_list_before_its_first_segment_belongs_to_the_head() {
    let lines = "#EXT-X-TWITCH-LIVE-SEQUENCE:7\n#EXT-X-TWITCH-ELAPSED-SECS:42.000\n";
    let playlist = media(&format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n{lines}#EXT-X-CUE-OUT:30\n#EXT-X-NEW\n#EXTINF:6,\na.ts\n\
         #EXT-X-TWITCH-AD:1\n#EXTINF:6,\nb.ts\n#EXT-X-TWITCH-PREFETCH:https://edge/c.ts\n"
    ));
    assert_eq!(texts(&playlist.head), lines.lines().collect::<Vec<_>>());
    assert_eq!(
        texts(&playlist.segments[0].tags),
        ["#EXT-X-CUE-OUT:30", "#EXT-X-NEW"]
    );
    assert_eq!(texts(&playlist.segments[1].tags), ["#EXT-X-TWITCH-AD:1"]);
    assert_eq!(
        texts(&playlist.tail),
        ["#EXT-X-TWITCH-PREFETCH:https://edge/c.ts"]
    );
}

#[test]
fn delta_updates_that_nobody_asked_for_are_refused() {
    let error = list_refused("#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:6,\na.ts\n");
    assert!(matches!(error, PlaylistError::DeltaUpdate { at } if at.line == 3));
}

#[test]
fn flaws_are_counted_once_per_kind() {
    let playlist = list("#EXTINF:6\na\n#EXTINF:6\nb\n#EXTINF:6\nc\n");
    assert_eq!(playlist.flaws.len(), 1);
    let message = "line 3 (\"#EXTINF:6\"): no comma follows the duration (3 times)";
    assert_eq!(playlist.flaws[0].to_string(), message);
}
