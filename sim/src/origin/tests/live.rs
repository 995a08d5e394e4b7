//! The ordinary live case.

use super::*;
use crate::origin::Tokens;
use hls_relay_core::time::WallTime;

#[test]
fn a_playlist_moves_on_with_its_segments() {
    let origin = Origin::new(OriginSpec {
        window: 3,
        backlog: 3,
        ..spec()
    });
    let first = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n\
                 #EXTINF:2.000000,\nseg0.ts\n#EXTINF:2.000000,\nseg1.ts\n#EXTINF:2.000000,\nseg2.ts\n";
    assert_eq!(text(&origin, Span::ZERO), first);
    assert_eq!(text(&origin, Span::from_micros(1_999_999)), first);
    assert_eq!(summary(&origin, secs(2)), "1 to seg3.ts");
    assert_eq!(
        summary(&origin, secs(3_600 * 24 * 365)),
        "15768000 to seg15768002.ts"
    );
}

#[test]
fn a_reply_says_which_segments_it_lists() {
    let reply = load(&Origin::new(spec()), secs(4));
    assert_eq!(
        reply.listed,
        Some(Listed {
            run: 0,
            first: 2,
            last: 7,
            target_duration: secs(2)
        })
    );
    assert_eq!(
        reply.headers.content_type,
        Some("application/vnd.apple.mpegurl")
    );
    assert_eq!(reply.delivery, Delivery::Whole { rate: None });
}

#[test]
fn without_a_backlog_the_playlist_is_absent_until_the_first_segment() {
    let origin = Origin::new(OriginSpec {
        backlog: 0,
        media_sequence: 7,
        ..spec()
    });
    assert_eq!(load(&origin, Span::from_millis(1_999)).status, 404);
    assert_eq!(summary(&origin, secs(2)), "7 to seg7.ts");
    assert_eq!(summary(&origin, secs(4)), "7 to seg8.ts");
}

#[test]
fn a_segment_can_be_fetched_from_its_listing_until_its_retention_is_over() {
    let origin = Origin::new(spec());
    assert_eq!(
        segment(&origin, Span::from_micros(1_999_999), "seg6.ts").status,
        404
    );
    let reply = segment(&origin, secs(2), "seg6.ts");
    assert_eq!(
        (reply.status, reply.headers.content_type),
        (200, Some("video/mp2t"))
    );

    // It leaves the list at 14 s and is kept for itself and the seven segments of a playlist.
    let offered = origin.segments_offered(secs(2)).pop().unwrap();
    assert_eq!(offered.path, "/live/seg6.ts");
    assert_eq!(
        (offered.listed_at, offered.removed_at),
        (secs(2), Some(secs(14)))
    );
    assert_eq!(offered.gone_at, Some(secs(30)));
    assert_eq!(
        segment(&origin, Span::from_micros(29_999_999), "seg6.ts").status,
        200
    );
    assert_eq!(segment(&origin, secs(30), "seg6.ts").status, 404);
}

#[test]
fn a_path_that_is_none_is_not_found() {
    let origin = Origin::new(spec());
    for path in [
        "/",
        "/seg1.ts",
        "/live/seg01.ts",
        "/live/seg.ts",
        "/live/r1-seg1.ts",
        "/live/1.ts",
    ] {
        assert_eq!(
            origin.respond(secs(1), &OriginRequest::get(path)).status,
            404,
            "{path}"
        );
    }
    let absurd = format!("/live/seg{}.ts", u64::MAX);
    assert_eq!(
        origin.respond(secs(1), &OriginRequest::get(absurd)).status,
        404
    );
}

#[test]
fn a_range_gives_a_part() {
    let origin = Origin::new(spec());
    let whole = media(&origin, secs(0), "seg5.ts");
    let ask = |range| {
        let request = OriginRequest {
            range: Some(range),
            ..OriginRequest::get("/live/seg5.ts")
        };
        origin.respond(secs(0), &request)
    };
    let part = ask((100, Some(199)));
    assert_eq!(part.status, 206);
    assert_eq!(part.headers.content_range, Some((100, 199, whole.len)));
    assert_eq!(
        part.body,
        Body::Media {
            media: whole,
            first: 100,
            len: 100
        }
    );
    assert_eq!(ask((100, None)).body.len(), whole.len - 100);
    assert_eq!(ask((whole.len, None)).status, 416);
}

#[test]
fn an_etag_stands_for_the_text() {
    let origin = Origin::new(OriginSpec {
        etag: true,
        ..spec()
    });
    let etag = load(&origin, secs(0)).headers.etag;
    let ask = |at| {
        let request = OriginRequest {
            if_none_match: etag.clone(),
            ..OriginRequest::get("/live/index.m3u8")
        };
        origin.respond(at, &request)
    };
    let unchanged = ask(secs(1));
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(ask(secs(2)).status, 200);
    assert_eq!(load(&Origin::new(spec()), secs(0)).headers.etag, None);
}

#[test]
fn names_and_uris_take_every_form() {
    let last = |naming, form| {
        let origin = Origin::new(OriginSpec {
            naming,
            uris: form,
            ..spec()
        });
        let uri = uris(&origin, secs(0)).pop().unwrap();
        let path = uri
            .trim_start_matches("http://origin.test")
            .trim_start_matches("/live/");
        assert_eq!(media(&origin, secs(0), path).number, 5);
        uri
    };
    assert_eq!(last(Naming::Numbered, UriForm::Relative), "seg5.ts");
    assert_eq!(last(Naming::RunFolder, UriForm::Relative), "run0/seg5.ts");
    assert_eq!(
        last(Naming::Dated, UriForm::Relative),
        "20251231T235958Z-5.ts"
    );
    assert_eq!(
        last(Naming::Numbered, UriForm::AbsolutePath),
        "/live/seg5.ts"
    );
    assert_eq!(
        last(Naming::Numbered, UriForm::Absolute),
        "http://origin.test/live/seg5.ts"
    );
}

#[test]
fn date_times_follow_the_wall_clock() {
    let wall_at_start = WallTime::from_micros(1_767_225_600_000_000);
    let origin = Origin::new(OriginSpec {
        program_date_time: true,
        wall_at_start,
        ..spec()
    });
    let text = text(&origin, secs(0));
    let dates: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"))
        .collect();
    assert_eq!(dates.len(), 6);
    assert_eq!(dates[5], "2025-12-31T23:59:58.000Z");
}

#[test]
fn extra_tags_stand_before_their_segment() {
    let cue = vec!["#EXT-X-CUE-OUT:4".to_owned(), "#EXT-X-VENDOR".to_owned()];
    let origin = Origin::new(OriginSpec {
        tags: BTreeMap::from([(4, cue)]),
        ..spec()
    });
    let block = "seg3.ts\n#EXT-X-CUE-OUT:4\n#EXT-X-VENDOR\n#EXTINF:2.000000,\nseg4.ts\n";
    assert!(text(&origin, secs(0)).contains(block));
    assert!(
        text(&origin, secs(8)).contains("#EXT-X-CUE-OUT:4"),
        "the first of the window"
    );
    assert!(
        !text(&origin, secs(10)).contains("#EXT-X-CUE-OUT:4"),
        "it has left"
    );
}

#[test]
fn tokens_rotate_with_the_reload_and_any_will_do() {
    let origin = Origin::new(OriginSpec {
        tokens: Tokens::Query,
        ..spec()
    });
    let first = text_of(load_again(&origin, secs(0), 0));
    let second = text_of(load_again(&origin, secs(0), 1));
    assert_ne!(first, second);
    let uri = first.lines().last().unwrap();
    assert!(uri.starts_with("seg5.ts?token="), "{uri}");
    assert_eq!(
        media(&origin, secs(0), uri),
        media(&origin, secs(0), "seg5.ts")
    );
}

#[test]
fn latency_and_rate_are_those_of_the_network() {
    let latency = Span::from_millis(20);
    let latency_jitter = Span::from_millis(10);
    let origin = Origin::new(OriginSpec {
        latency,
        latency_jitter,
        rate: Some(1_000),
        ..spec()
    });
    let delays: Vec<Span> = (0..50)
        .map(|sequence| load_again(&origin, secs(0), sequence).delay)
        .collect();
    assert!(
        delays
            .iter()
            .all(|&delay| delay >= latency && delay < latency + latency_jitter)
    );
    assert!(delays.windows(2).any(|pair| pair[0] != pair[1]));
    assert_eq!(
        load(&origin, secs(0)).delivery,
        Delivery::Whole { rate: Some(1_000) }
    );
}

#[test]
fn durations_may_be_a_pattern_and_never_drift() {
    let spans = [2_002_000, 2_003_000, 2_001_001].map(Span::from_micros);
    let durations = SegmentDurations::Pattern(spans.to_vec());
    let origin = Origin::new(OriginSpec {
        durations,
        target_duration: 3,
        ..spec()
    });
    let offered = origin.segments_offered(secs(3_600 * 10));
    for (index, pair) in offered.windows(2).enumerate() {
        assert_eq!(pair[0].media.duration, spans[index % 3]);
        let end = pair[0].media.start_tick + pair[0].media.ticks;
        assert_eq!(end, pair[1].media.start_tick, "the timeline has no hole");
    }
    let late = secs(3_600 * 24 * 300);
    let newest = origin.encoder.newest(late).unwrap();
    let age = late.saturating_sub(origin.encoder.listed_at(newest));
    assert!(age < Span::from_millis(2_003));
}

#[test]
fn jitter_moves_boundaries_and_listings_and_keeps_the_order() {
    let durations = SegmentDurations::Jittered {
        mean: secs(4),
        by: Span::from_millis(500),
    };
    let publish_jitter = Span::from_millis(800);
    let origin = Origin::new(OriginSpec {
        durations,
        target_duration: 5,
        publish_jitter,
        publish_delay: Span::from_millis(300),
        seed: 3,
        ..spec()
    });
    let offered = origin.segments_offered(secs(4_000));
    assert!(
        offered.len().abs_diff(1_006) <= 1,
        "{} segments",
        offered.len()
    );
    for pair in offered[6..].windows(2) {
        assert!(pair[0].listed_at < pair[1].listed_at);
        let duration = pair[0].media.duration;
        assert!(duration.abs_diff(secs(4)) <= secs(1), "{duration:?}");
        let at = pair[1].listed_at;
        let newest = |at| origin.encoder.newest(at).unwrap().index;
        let before = at.saturating_sub(Span::from_micros(1));
        assert_eq!(newest(at) - newest(before), 1);
        assert_eq!(origin.next_listed_at(0, pair[0].media.number), Some(at));
    }
}

#[test]
fn the_truth_agrees_with_what_is_listed_at_any_time() {
    let durations = SegmentDurations::Jittered {
        mean: secs(2),
        by: Span::from_millis(300),
    };
    let mut spec = OriginSpec {
        durations,
        publish_jitter: secs(1),
        ..spec()
    };
    spec.faults = vec![
        Fault::new(secs(20), secs(0), EncoderFault::JumpAhead { by: 9 }),
        Fault::new(
            secs(33),
            secs(0),
            EncoderFault::DiscontinuityWithTimestampJump { ticks: 1 },
        ),
        Fault::new(
            secs(50),
            secs(9),
            EncoderFault::EndList {
                media_sequence: 3,
                names: Names::New,
            },
        ),
        Fault::new(
            secs(80),
            secs(0),
            EncoderFault::Restart {
                media_sequence: 0,
                names: Names::New,
            },
        ),
    ];
    let origin = Origin::new(spec);
    let truth = origin.segments_offered(secs(120));
    for millis in (0..120_000).step_by(137) {
        let at = Span::from_millis(millis);
        let expected: Vec<&str> = truth
            .iter()
            .filter(|segment| segment.listed_at <= at)
            .filter(|segment| segment.removed_at.is_none_or(|removed| at < removed))
            .map(|segment| segment.path.trim_start_matches("/live/"))
            .collect();
        assert_eq!(uris(&origin, at), expected, "at {millis} ms");
        assert!(expected.iter().all(|name| media(&origin, at, name).len > 0));
        let since = origin.segments_offered_since(at, at);
        assert!(
            since
                .iter()
                .map(|segment| segment.path.trim_start_matches("/live/"))
                .eq(expected)
        );
        let numbers = 3..9;
        let mut some = origin.segments_offered(at);
        some.retain(|segment| numbers.contains(&segment.media.number));
        assert_eq!(origin.segments_numbered(&numbers, at), some);
    }
}

#[test]
fn what_has_left_is_not_among_what_is_offered_since() {
    let origin = Origin::new(OriginSpec {
        backlog: 8,
        ..spec()
    });
    let first = |since, at| origin.segments_offered_since(since, at)[0].media.number;
    assert_eq!(
        origin.segments_offered(secs(0)).len(),
        6,
        "two had left before time zero"
    );
    // Segment 2 leaves at 2 s sharp.
    assert_eq!(first(Span::from_micros(1_999_999), secs(9)), 2);
    assert_eq!(first(secs(2), secs(9)), 3);
}

#[test]
fn too_much_jitter_is_cut_to_half_a_segment() {
    let origin = Origin::new(OriginSpec {
        publish_jitter: secs(60),
        ..spec()
    });
    let offered = origin.segments_offered(secs(400));
    for pair in offered[6..].windows(2) {
        let gap = pair[1].listed_at.saturating_sub(pair[0].listed_at);
        assert!(gap > secs(1) && gap < secs(3), "{gap:?}");
    }
}

#[test]
fn the_same_spec_gives_the_same_replies() {
    let faults = vec![
        Fault::new(secs(5), secs(5), ViewFault::TwoEdges { lag: 2 }),
        Fault::new(
            secs(9),
            secs(9),
            SegmentFault::Missing {
                which: Which::OneIn(2),
            },
        ),
    ];
    let spec = OriginSpec {
        seed: 11,
        latency_jitter: secs(1),
        faults,
        ..spec()
    };
    let (one, two) = (Origin::new(spec.clone()), Origin::new(spec.clone()));
    let other = Origin::new(OriginSpec { seed: 12, ..spec });
    let mut differences = 0;
    for second in 0..30 {
        for path in [
            "/live/index.m3u8".to_owned(),
            format!("/live/seg{}.ts", 4 + second / 2),
        ] {
            let request = OriginRequest::get(path).numbered(second);
            let reply = one.respond(secs(second), &request);
            assert_eq!(reply, two.respond(secs(second), &request));
            differences += u32::from(reply != other.respond(secs(second), &request));
        }
    }
    assert!(differences > 30, "another seed is another origin");
}

#[test]
fn removing_a_fault_moves_no_other_draw() {
    let restart = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::New,
    };
    let late = Fault::new(secs(60), secs(0), restart);
    let early = Fault::new(secs(20), secs(0), restart);
    let base = OriginSpec {
        publish_jitter: secs(1),
        ..spec()
    };
    let both = Origin::new(OriginSpec {
        faults: vec![early, late.clone()],
        ..base.clone()
    });
    let one = Origin::new(OriginSpec {
        faults: vec![late],
        ..base
    });
    let after = |origin: &Origin| {
        let offered = origin.segments_offered(secs(100)).into_iter();
        let late = offered.filter(|segment| segment.listed_at > secs(62));
        late.map(|segment| (segment.listed_at, segment.media.start_tick))
            .collect::<Vec<_>>()
    };
    assert_eq!(after(&both), after(&one));
}

#[test]
fn a_spec_is_plain_data() {
    let kind = SegmentFault::Drip {
        which: Which::Number(4),
        bytes_per_second: 1_000,
    };
    let spec = OriginSpec {
        faults: vec![Fault::new(secs(1), secs(2), kind)],
        ..spec()
    };
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<OriginSpec>(&json).unwrap(), spec);
    assert_eq!(
        serde_json::from_str::<OriginSpec>("{}").unwrap(),
        OriginSpec::default()
    );
    assert_eq!(
        spec.faults[0].to_string(),
        "1 s to 3 s: segments numbered 4 drip at 1000 bytes a second"
    );
}

#[test]
fn an_event_keeps_all_that_it_has_listed() {
    let origin = Origin::new(OriginSpec {
        keeps: Keeps::Event,
        ..spec()
    });
    assert!(text(&origin, secs(0)).contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"));
    assert_eq!(uris(&origin, secs(0)).len(), 6);
    assert_eq!(summary(&origin, secs(600)), "0 to seg305.ts");
    assert_eq!(uris(&origin, secs(600)).len(), 306);
}

#[test]
fn a_vod_is_its_backlog_and_has_ended() {
    let origin = Origin::new(OriginSpec {
        keeps: Keeps::Vod,
        backlog: 20,
        publish_jitter: Span::from_millis(300),
        ..spec()
    });
    let first = text(&origin, secs(0));
    assert!(first.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && first.ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(uris(&origin, secs(0)).len(), 20);
    assert_eq!(text(&origin, secs(600)), first);
}

#[test]
fn whoever_shows_no_cookie_has_playlists_alone() {
    let origin = Origin::new(OriginSpec {
        cookies: true,
        ..spec()
    });
    let given = load(&origin, secs(0)).headers.set_cookie.unwrap();
    assert_eq!(segment(&origin, secs(0), "seg3.ts").status, 403);
    let cookie = given.split(';').next().map(str::to_owned);
    let asked = OriginRequest {
        cookie,
        ..OriginRequest::get("/live/seg3.ts")
    };
    assert_eq!(origin.respond(secs(0), &asked).status, 200);
}
