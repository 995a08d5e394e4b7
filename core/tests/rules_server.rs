//! The rules of a server (S-…), at the level of one channel: what viewers see over a long time. The
//! bench's checker looks at every version here and everywhere else; these tests ask for more.

mod support;

use hls_relay_core::event::{Desired, FetchError, StoreError};
use hls_relay_core::notice::{Break, Notice, State};
use hls_relay_core::playlist::MediaPlaylist;
use hls_relay_core::time::Span;
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, spec};

fn relayed(list: impl Fn(u64) -> String + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now))));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench
}

/// Ten minutes with an outage, a hole, a restart of the source, three of our own, and a store that
/// fails now and then.
fn eventful() -> Bench {
    let before = Run::new(2 * SEC);
    let after = Run::new(2 * SEC).named("b", 0).between(300 * SEC, u64::MAX);
    let mut bench = relayed(move |now| match now {
        0..310_000_000 => before.at(now),
        _ => after.at(now),
    });
    let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
    bench.source = Box::new(move |now, url| match now / SEC {
        100..108 | 200..217 => Err(FetchError::Status(500)),
        _ => source(now, url),
    });
    bench.segment = Box::new(|now, url| match url.contains("seg190") {
        true => Err(FetchError::Status(404)),
        false => Ok(50_000 + now % 700_000),
    });
    bench.publish = Box::new(|now| match now / SEC {
        400..404 => Err(StoreError::Failed("busy".into())),
        430..432 => Err(StoreError::Unknown),
        _ => Ok(()),
    });
    for (seed, at) in [(2, 450), (3, 500), (4, 550)] {
        bench.pass(at * SEC);
        bench.kill(seed, seed != 3);
        bench.run(spec(&[URL]));
    }
    bench.pass(600 * SEC);
    bench
}

fn pairs(bench: &Bench) -> Vec<(&MediaPlaylist, &MediaPlaylist)> {
    let versions: Vec<_> = bench.checker.versions().map(|it| it.1).collect();
    versions.windows(2).map(|it| (it[0], it[1])).collect()
}

#[test]
fn s_02_versions_differ_at_the_ends_only() {
    let bench = eventful();
    let pairs = pairs(&bench);
    assert!(pairs.len() > 250);
    for (before, after) in pairs {
        let gone = (after.media_sequence - before.media_sequence) as usize;
        let kept = before.segments.get(gone..).unwrap_or_default();
        assert!(after.segments.starts_with(kept), "{after:?}");
    }
}

#[test]
fn s_03_the_target_duration_stays_whatever_the_source_says_of_its_own() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| {
        let says = [2, 3, 2, 10, 4][(now / (50 * SEC)) as usize % 5];
        let text = run.at(now);
        text.replace("TARGETDURATION:2", &format!("TARGETDURATION:{says}"))
    });
    bench.pass(120 * SEC);
    bench.kill(2, true);
    bench.run(spec(&[URL]));
    bench.pass(240 * SEC);
    let mut told: Vec<_> = bench
        .checker
        .versions()
        .map(|it| it.1.target_duration)
        .collect();
    told.dedup();
    assert_eq!(told, [Span::from_secs(2)]);
}

#[test]
fn s_04_a_longer_segment_raises_it_once_to_what_it_needs() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| {
        let text = run.at(now);
        text.replace("2.000000,\nseg115", "4.600000,\nseg115")
    });
    bench.pass(120 * SEC);
    let mut told: Vec<_> = bench
        .checker
        .versions()
        .map(|it| it.1.target_duration)
        .collect();
    told.dedup();
    assert_eq!(told, [Span::from_secs(2), Span::from_secs(5)]);
}

#[test]
fn s_05_numbers_rise_by_what_was_removed_over_restarts_of_both_sides() {
    let bench = eventful();
    let numbers: Vec<u64> = bench.checker.ever().map(|it| it.media_sequence).collect();
    assert!(
        numbers.windows(2).all(|it| it[1] == it[0] + 1),
        "none is left out"
    );
    assert!(numbers.len() > 270, "{}", numbers.len());
    assert!(numbers[0] >= support::START_WALL as u64 / SEC);
}

#[test]
fn s_06_segments_leave_in_order_from_the_head() {
    let bench = eventful();
    for (before, after) in pairs(&bench) {
        let still = |it: &&_| after.segments.contains(it);
        let kept = before.segments.iter().skip_while(|it| !still(it));
        let kept = kept.filter(still).count();
        assert_eq!(kept, before.segments.iter().filter(still).count());
        let first = before.segments.iter().position(|it| still(&it));
        let first = first.unwrap_or(before.segments.len());
        assert_eq!(before.segments.len() - first, kept);
    }
}

#[test]
fn s_07_three_target_durations_stay_listed() {
    let mut run = Run::new(SEC);
    (run.target, run.window) = (6, 30);
    let mut bench = relayed(move |now| run.at(now));
    bench.pass(200 * SEC);
    assert_eq!(
        bench.last().duration(),
        Span::from_secs(18),
        "window 6 is too short"
    );
    for (before, after) in pairs(&bench) {
        let least = Span::from_secs(18).min(before.duration());
        assert!(after.duration() >= least);
    }
}

#[test]
fn s_08_six_segments_are_listed_once_it_runs() {
    let bench = eventful();
    let counts = bench.checker.versions().map(|it| it.1.segments.len());
    let reached = counts.skip_while(|count| *count < 6);
    let fewer = reached.filter(|count| *count < 6).count();
    // But for the restart with an empty store, whose source lists less than we did.
    assert!(fewer <= 2, "{fewer}");
}

#[test]
fn s_09_what_leaves_the_list_stays_for_its_time_and_not_for_ever() {
    let bench = eventful();
    let mut probed = 0;
    for (at, object) in &bench.deleted {
        let listing =
            |it: &(u64, &MediaPlaylist)| it.1.segments.iter().any(|it| *it.uri == **object);
        let versions: Vec<_> = bench.checker.versions().collect();
        let Some(last) = versions.iter().rposition(listing) else {
            continue;
        };
        let longest = versions
            .iter()
            .filter(|it| listing(it))
            .map(|it| it.1.duration())
            .max();
        let gone = versions.get(last + 1).map_or(u64::MAX, |it| it.0);
        let kept = Span::from_micros(at.saturating_sub(gone));
        let least = Span::from_secs(2) + longest.unwrap_or_default();
        assert!(
            kept + Span::from_millis(10) >= least,
            "{object}: {kept} of {least}"
        );
        probed += 1;
    }
    assert!(probed > 200, "{probed}");
    // Listed: 6; removed less than 14 s ago: 8; and what a restart keeps a little longer.
    assert!(bench.objects.len() <= 20, "{}", bench.objects.len());
}

#[test]
fn s_10_caches_are_told_no_more_than_what_is_kept() {
    let bench = eventful();
    for (_, publish) in &bench.published {
        let list = support::media(publish.entry().unwrap());
        assert_eq!(publish.segment_max_age, list.duration());
        assert_eq!(publish.max_age, list.target_duration.half());
    }
}

#[test]
fn s_11_nothing_is_listed_before_it_is_stored() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| run.at(now));
    // The bench looks at each version; downloads that overtake each other give it something to see.
    bench.segment = Box::new(|now, url| {
        Ok(if url.contains('5') {
            3 * SEC
        } else {
            20_000 + now % 7
        })
    });
    bench.pass(200 * SEC);
    let relayed: Vec<_> = bench.checker.relayed().into_iter().flatten().collect();
    assert!(relayed.len() > 80 && relayed.is_sorted());
}

#[test]
fn s_12_versions_come_in_the_pace_of_the_target_duration() {
    for (micros, target) in [(2 * SEC, 2), (5_005_000, 6), (4_000_000, 4), (6 * SEC, 6)] {
        let mut run = Run::new(micros);
        run.target = target;
        let mut bench = relayed(move |now| run.at(now));
        bench.pass(600 * SEC);
        let ends = bench.checker.versions();
        let mut grown: Vec<(u64, u64)> = ends.map(|it| (it.0, it.1.end_media_sequence())).collect();
        grown.dedup_by_key(|it| it.1);
        for pair in grown.windows(2) {
            let gap = pair[1].0 - pair[0].0;
            assert!(gap >= target * SEC / 2, "{gap} with {target}");
            assert!(gap <= target * SEC * 3 / 2, "{gap} with {target}");
        }
        assert!(grown.len() as u64 > 500 / target, "{}", grown.len());
    }
}

#[test]
fn s_13_a_source_with_parts_is_relayed_as_an_ordinary_one() {
    let mut run = Run::new(2 * SEC);
    run.head = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0\n\
                #EXT-X-PART-INF:PART-TARGET=0.33\n"
        .to_owned();
    let mut bench = relayed(move |now| {
        let part = "#EXT-X-PART:DURATION=0.33,URI=\"p.ts\"\n#EXTINF";
        let hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q.ts\"\n";
        run.at(now).replace("#EXTINF", part) + hint
    });
    bench.pass(60 * SEC);
    assert_eq!((bench.status().state, bench.holes()), (State::Live, 0));
    let promises = ["PART", "PRELOAD-HINT", "SERVER-CONTROL"];
    for (_, publish) in &bench.published {
        assert!(
            promises
                .iter()
                .all(|it| !publish.entry().unwrap().contains(it))
        );
    }
}

#[test]
fn s_19_where_the_media_breaks_a_discontinuity_stands() {
    let bench = eventful();
    // One restart of the source, and what its outage, or a store that was emptied, has cost.
    let breaks = bench.checker.check_breaks();
    assert!((1..=3).contains(&breaks), "{breaks}");
    assert_eq!(bench.discontinuities(), breaks, "and none stands elsewhere");
}

#[test]
fn s_20_where_the_media_goes_on_no_discontinuity_stands() {
    let run = Run::new(2 * SEC);
    let list = run.clone();
    let mut bench = relayed(move |now| list.at(now));
    bench.pass(300 * SEC);
    let relayed = bench.checker.relayed();
    let all = run.urls("http://origin.example/live/", 4..4 + relayed.len() as u64);
    assert!(relayed.len() > 140 && relayed.into_iter().flatten().eq(&all));
    assert!(bench.checker.ever().all(|it| !it.discontinuity));
}

fn ending() -> Bench {
    let mut first = Run::new(2 * SEC).between(0, 60 * SEC);
    first.ends = true;
    let second = Run::new(2 * SEC).named("b", 0).between(120 * SEC, u64::MAX);
    let mut bench = relayed(move |now| match now {
        0..122_000_000 => first.at(now),
        _ => second.at(now),
    });
    bench.pass(120 * SEC);
    bench
}

#[test]
fn s_14_the_end_of_the_source_is_the_end_of_the_list() {
    let bench = ending();
    let mut ended = bench.checker.versions().filter(|it| it.1.end_list);
    let at = ended.next().map(|it| it.0);
    assert!(at.is_some_and(|at| at <= 60 * SEC + 3 * SEC), "{at:?}");
    assert!(bench.relayed_last().ends_with("seg129.ts"));
    assert_eq!(bench.status().state, State::Ended);
}

#[test]
fn s_15_after_the_end_nothing_changes_until_a_new_run_begins() {
    let mut bench = ending();
    let last = bench
        .published
        .last()
        .map(|it| it.1.entry().unwrap().clone());
    let ended = bench
        .published
        .iter()
        .filter(|it| it.1.entry().unwrap().contains("ENDLIST"));
    assert!(ended.clone().all(|it| it.1.entry() == last.as_ref()));
    bench.pass(200 * SEC);
    let ever: Vec<_> = bench.checker.ever().collect();
    let first = ever
        .iter()
        .position(|it| it.discontinuity)
        .expect("a new run");
    assert!(bench.checker.relayed()[first].is_some_and(|it| it.contains("/b")));
    assert_eq!((bench.discontinuities(), bench.holes()), (1, 0));
    assert!(!bench.last().end_list);
}

#[test]
fn s_15_after_a_restart_the_end_is_still_the_end() {
    for survives in [true, false] {
        let mut bench = ending();
        let ended = bench.checker.relayed().len();
        bench.kill(2, survives);
        bench.run(spec(&[URL]));
        bench.pass(121 * SEC);
        assert_eq!(bench.checker.relayed().len(), ended);
        assert_eq!(bench.status().state, State::Ended);
        bench.pass(200 * SEC);
        assert_eq!((bench.discontinuities(), bench.holes()), (1, 0));
    }
}

#[test]
fn s_16_a_sliding_list_has_no_type_whatever_the_sources_is() {
    let mut run = Run::new(2 * SEC);
    (run.window, run.head) = (u64::MAX, "#EXT-X-PLAYLIST-TYPE:EVENT\n".to_owned());
    let mut bench = relayed(move |now| run.at(now));
    bench.pass(120 * SEC);
    assert_eq!(bench.last().segments.len(), 6);
    let typed = bench
        .published
        .iter()
        .filter(|it| it.1.entry().unwrap().contains("PLAYLIST-TYPE"));
    assert_eq!(typed.count(), 0);
}

#[test]
fn s_17_the_discontinuity_sequence_counts_what_has_left() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| {
        let mut marked = run.at(now);
        for number in [113, 114, 120, 131] {
            let plain = format!("#EXTINF:2.000000,\nseg{number}.ts");
            marked = marked.replace(&plain, &format!("#EXT-X-DISCONTINUITY\n{plain}"));
        }
        marked
    });
    bench.pass(120 * SEC);
    let last = bench.last();
    assert_eq!(last.discontinuity_sequence, 4);
    let counted = bench.checker.ever().map(|it| it.discontinuity_sequence);
    let mut marks = 0;
    for (segment, counted) in bench.checker.ever().zip(counted) {
        marks += u64::from(segment.discontinuity);
        assert_eq!(counted, marks);
    }
}

#[test]
fn s_18_the_discontinuity_sequence_stands_in_the_first_list_already() {
    let bench = ending();
    let (_, first) = &bench.published[0];
    assert!(
        first
            .entry()
            .unwrap()
            .contains("#EXT-X-DISCONTINUITY-SEQUENCE:0\n")
    );
}

#[test]
fn s_21_dates_go_through_and_follow_from_durations_over_holes_too() {
    for fails in [112, 117, 122] {
        let run = Run::new(2 * SEC).dated();
        let mut bench = relayed(move |now| run.at(now));
        bench.run(Spec {
            window: Some(12),
            ..spec(&[URL])
        });
        let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
        // 113 to 116 are never seen, and the first after them may fail as well.
        bench.source = Box::new(move |now, url| match now {
            26_000_000..46_000_000 => Err(FetchError::Status(500)),
            _ => source(now, url),
        });
        bench.segment = Box::new(move |_, url| match url.contains(&format!("seg{fails}")) {
            true => Err(FetchError::Status(404)),
            false => Ok(50_000),
        });
        bench.pass(100 * SEC);
        assert!(bench.holes() >= 4, "{}", bench.holes());
        let ever: Vec<_> = bench.checker.ever().collect();
        for pair in ever.windows(2) {
            let end = pair[0].date_time.expect("dated") + pair[0].duration;
            assert_eq!(pair[1].date_time, Some(end), "{fails}");
        }
        assert_eq!(bench.discontinuities(), 0);
    }
}

#[test]
fn s_65_names_are_ours_and_hold_nothing_of_the_source() {
    let mut run = Run::new(2 * SEC).named("secret", 100);
    run.tokens = true;
    let mut bench = relayed(move |now| {
        let gap = "#EXT-X-GAP\n#EXTINF:2.000000,\nsecret115";
        run.at(now).replace("#EXTINF:2.000000,\nsecret115", gap)
    });
    bench.pass(120 * SEC);
    assert_eq!(
        bench.downloaded_twice(),
        [""; 0],
        "tokens change, segments do not"
    );
    let mut names: Vec<_> = bench.checker.ever().map(|it| it.uri.clone()).collect();
    for (_, publish) in &bench.published {
        assert!(
            !publish.entry().unwrap().contains("secret")
                && !publish.entry().unwrap().contains("token")
        );
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(
        (
            names.len(),
            bench.checker.ever().filter(|it| it.gap).count()
        ),
        (count, 1)
    );
}

#[test]
fn s_70_a_process_that_dies_at_any_moment_is_gone_on_from() {
    for (survives, step) in [true, false]
        .into_iter()
        .flat_map(|it| (0..12).map(move |n| (it, n)))
    {
        let run = Run::new(2 * SEC);
        let list = run.clone();
        let mut bench = relayed(move |now| list.at(now));
        bench.segment = Box::new(|_, _| Ok(400_000));
        // Between the checkpoint and the list, too: saved and never visible.
        let unseen = 60 * SEC + step * 200_000;
        bench.publish = Box::new(move |now| match now + 100_000 > unseen && now <= unseen {
            true => Err(StoreError::Unknown),
            false => Ok(()),
        });
        bench.pass(unseen);
        bench.kill(100 + step, survives);
        bench.run(spec(&[URL]));
        bench.pass(unseen + 30 * SEC);
        bench.kill(200 + step, survives);
        bench.run(spec(&[URL]));
        bench.pass(140 * SEC);
        assert_eq!((bench.holes(), bench.discontinuities()), (0, 0), "{step}");
        let relayed = bench.checker.relayed();
        let all = run.urls("http://origin.example/live/", 4..4 + relayed.len() as u64);
        assert!(
            relayed.len() > 60 && relayed.into_iter().flatten().eq(&all),
            "{step}"
        );
    }
}

#[test]
fn s_70_without_a_checkpoint_the_numbers_still_rise() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| run.at(now));
    bench.pass(120 * SEC);
    bench.saved = None;
    bench.checker.forget_deletes = true;
    bench.kill(2, false);
    let listed = bench.checker.ever().next_back().map(|it| it.media_sequence);
    bench.run(spec(&[URL]));
    bench.pass(160 * SEC);
    assert!(Some(bench.last().media_sequence) > listed);
}

#[test]
fn s_46_a_stopped_channel_is_closed_and_taken_down_after_its_time() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| run.at(now));
    bench.pass(60 * SEC);
    bench.configure(spec(&[URL]), Desired::Stop);
    bench.pass(70 * SEC);
    assert!(bench.last().end_list && bench.withdrawn == 0);
    bench.pass(80 * SEC);
    assert_eq!((bench.withdrawn, bench.objects.len()), (1, 0));
}

#[test]
fn s_46_a_list_that_ended_long_ago_is_kept_for_its_time_from_the_stop() {
    let mut bench = ending();
    bench.configure(spec(&[URL]), Desired::Stop);
    let kept = bench.objects.len();
    bench.pass(133 * SEC);
    assert_eq!((bench.withdrawn, bench.objects.len()), (0, kept));
    bench.pass(136 * SEC);
    assert_eq!((bench.withdrawn, bench.objects.len()), (1, 0));
}

#[test]
fn s_15_after_a_stop_and_a_restart_a_new_run_begins() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| run.at(now));
    bench.pass(60 * SEC);
    bench.configure(spec(&[URL]), Desired::Stop);
    bench.pass(62 * SEC);
    bench.kill(2, true);
    bench.run(spec(&[URL]));
    bench.pass(80 * SEC);
    assert_eq!(bench.discontinuities(), 1);
    let why = Break::NewRun;
    assert!(bench.told(|notice| *notice == Notice::Broken { why }));
}
