//! What may happen to the encoder.

use super::*;

#[test]
fn a_restart_replaces_the_playlist_with_its_first_segment() {
    let origin = with(EncoderFault::Restart {
        media_sequence: 0,
        names: Names::New,
    });
    // The old list stays until the new run has something to show.
    assert_eq!(
        summary(&origin, Span::from_micros(11_999_999)),
        "5 to seg10.ts"
    );
    assert_eq!(
        text(&origin, secs(11)),
        text(&Origin::new(spec()), secs(10))
    );
    assert_eq!(summary(&origin, secs(12)), "0 to r1-seg0.ts");
    assert_eq!(uris(&origin, secs(14)), ["r1-seg0.ts", "r1-seg1.ts"]);
    assert_eq!(
        load(&origin, secs(14)).listed,
        Some(Listed {
            run: 1,
            first: 0,
            last: 1,
            target_duration: secs(2)
        })
    );
    // Without a word about it.
    assert!(!text(&origin, secs(14)).contains("DISCONTINUITY"));
    assert_eq!(
        segment(&origin, secs(14), "seg10.ts").status,
        200,
        "old media is kept a while"
    );
}

#[test]
fn a_restart_with_the_same_names_writes_over_the_old_files() {
    let origin = with(EncoderFault::Restart {
        media_sequence: 0,
        names: Names::Same,
    });
    let old = media(&origin, secs(11), "seg5.ts");
    assert_eq!(uris(&origin, secs(14)), ["seg0.ts", "seg1.ts"]);
    let new = media(&origin, secs(14), "seg0.ts");
    assert_eq!((old.run, new.run, new.number), (0, 1, 0));
    assert_eq!(
        media(&origin, secs(14), "seg5.ts"),
        old,
        "not yet written over"
    );
    let newer = media(&origin, secs(22), "seg5.ts");
    assert_eq!((newer.run, newer.number), (1, 5));
    assert_ne!((newer.hash, newer.start_tick), (old.hash, old.start_tick));
}

#[test]
fn a_jump_leaves_numbers_and_media_out() {
    let origin = with(EncoderFault::JumpAhead { by: 100 });
    assert_eq!(summary(&origin, Span::from_millis(11_999)), "5 to seg10.ts");
    assert_eq!(summary(&origin, secs(12)), "111 to seg111.ts");
    assert_eq!(summary(&origin, secs(14)), "111 to seg112.ts");
    let before = media(&origin, secs(12), "seg10.ts");
    let after = media(&origin, secs(12), "seg111.ts");
    assert_eq!(after.start_tick - before.start_tick, 101 * 180_000);
    assert_eq!(summary(&Origin::new(spec()), secs(12)), "6 to seg11.ts");
}

#[test]
fn a_discontinuity_is_said_and_then_counted() {
    let origin = with(EncoderFault::DiscontinuityWithTimestampJump { ticks: 9_000_000 });
    let marked = "seg10.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:2.000000,\nseg11.ts\n";
    assert!(text(&origin, secs(12)).ends_with(marked));
    let count = |at| value(&text(&origin, at), "#EXT-X-DISCONTINUITY-SEQUENCE:").map(str::to_owned);
    assert_eq!(count(secs(12)), None);
    // Segment 11 is the first of the list until 24 s.
    assert!(text(&origin, secs(22)).contains("#EXT-X-DISCONTINUITY\n"));
    assert_eq!(count(secs(22)), None);
    assert!(!text(&origin, secs(24)).contains("#EXT-X-DISCONTINUITY\n"));
    assert_eq!(count(secs(24)).as_deref(), Some("1"));

    let before = media(&origin, secs(12), "seg10.ts");
    let after = media(&origin, secs(12), "seg11.ts");
    assert_eq!(
        after.start_tick,
        before.start_tick + before.ticks + 9_000_000
    );
    assert_eq!((before.run, after.run), (0, 0));

    let spec = OriginSpec {
        discontinuity_sequence: false,
        ..origin.spec().clone()
    };
    assert!(!text(&Origin::new(spec), secs(24)).contains("DISCONTINUITY"));
}

#[test]
fn a_jump_keeps_the_count_of_discontinuities() {
    let faults = vec![
        Fault::new(
            secs(10),
            secs(0),
            EncoderFault::DiscontinuityWithTimestampJump { ticks: 0 },
        ),
        Fault::new(secs(20), secs(0), EncoderFault::JumpAhead { by: 5 }),
    ];
    let origin = Origin::new(OriginSpec { faults, ..spec() });
    assert_eq!(
        value(&text(&origin, secs(22)), "#EXT-X-DISCONTINUITY-SEQUENCE:"),
        Some("1")
    );
}

#[test]
fn the_target_duration_changes_and_changes_back() {
    let segment = secs(4);
    let origin = with(EncoderFault::TargetDurationChange {
        target_duration: 4,
        segment,
    });
    let state = |at| {
        let text = text(&origin, at);
        let target = value(&text, "#EXT-X-TARGETDURATION:").unwrap().to_owned();
        (
            target,
            text.matches("4.000000").count(),
            uris(&origin, at).pop().unwrap(),
        )
    };
    assert_eq!(state(secs(13)), ("2".to_owned(), 0, "seg10.ts".to_owned()));
    assert_eq!(state(secs(14)), ("4".to_owned(), 1, "seg11.ts".to_owned()));
    // 10 to 14, 14 to 18, 18 to 22 are long, and from 22 s on it is as before.
    assert_eq!(state(secs(22)), ("4".to_owned(), 3, "seg13.ts".to_owned()));
    assert_eq!(state(secs(24)), ("2".to_owned(), 3, "seg14.ts".to_owned()));
    assert_eq!(state(secs(36)), ("2".to_owned(), 0, "seg20.ts".to_owned()));
}

#[test]
fn an_end_is_said_and_taken_back() {
    let origin = with(EncoderFault::EndList {
        media_sequence: 0,
        names: Names::New,
    });
    assert!(!text(&origin, Span::from_micros(9_999_999)).contains("ENDLIST"));
    assert!(text(&origin, secs(10)).ends_with("seg10.ts\n#EXT-X-ENDLIST\n"));
    assert_eq!(text(&origin, secs(10)), text(&origin, secs(21)));
    assert_eq!(uris(&origin, secs(22)), ["r1-seg0.ts"]);
    assert!(!text(&origin, secs(22)).contains("ENDLIST"));
}

#[test]
fn an_end_in_the_middle_of_a_segment_is_not_said_before_its_time() {
    let kind = EncoderFault::EndList {
        media_sequence: 0,
        names: Names::Same,
    };
    let faults = vec![Fault::new(secs(11), secs(5), kind)];
    let origin = Origin::new(OriginSpec { faults, ..spec() });
    assert!(!text(&origin, Span::from_micros(10_999_999)).contains("ENDLIST"));
    assert!(text(&origin, secs(11)).ends_with("seg10.ts\n#EXT-X-ENDLIST\n"));
}

#[test]
fn a_fault_injected_now_does_not_change_the_past() {
    let calm = Origin::new(OriginSpec {
        publish_jitter: secs(1),
        ..spec()
    });
    let restart = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::New,
    };
    let kinds: [FaultKind; 4] = [
        restart.into(),
        EncoderFault::JumpAhead { by: 3 }.into(),
        EncoderFault::EndList {
            media_sequence: 1,
            names: Names::Same,
        }
        .into(),
        EncoderFault::TargetDurationChange {
            target_duration: 4,
            segment: secs(4),
        }
        .into(),
    ];
    let now = Span::from_millis(31_300);
    for kind in kinds {
        let mut origin = calm.clone();
        origin.inject(now, secs(10), kind);
        for millis in (0..31_300).step_by(100) {
            let at = Span::from_millis(millis);
            assert_eq!(load(&origin, at), load(&calm, at));
        }
        assert_ne!(load(&origin, secs(60)), load(&calm, secs(60)));
    }
}

#[test]
fn several_starts_in_a_row_do_no_harm() {
    let restart = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::Same,
    };
    let end = EncoderFault::EndList {
        media_sequence: 0,
        names: Names::Same,
    };
    let jump = EncoderFault::JumpAhead { by: 1 };
    let faults = vec![
        Fault::new(secs(10), secs(0), restart),
        Fault::new(secs(11), secs(0), restart),
        Fault::new(secs(11), secs(8), end),
        Fault::new(secs(12), secs(0), jump),
        Fault::new(secs(12), secs(0), restart),
    ];
    let origin = Origin::new(OriginSpec { faults, ..spec() });
    assert_eq!(summary(&origin, secs(13)), "5 to seg10.ts");
    assert_eq!(summary(&origin, secs(14)), "0 to seg0.ts");
    assert_eq!(summary(&origin, secs(30)), "3 to seg8.ts");
}
