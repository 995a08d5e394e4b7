//! The rules of a client (C-…), at the level of one channel: what it asks for, when, and what it
//! makes of the answers. What a single body means is tested with the parser.

mod support;

use hls_relay_core::config::ReloadPolicy;
use hls_relay_core::event::{Desired, FetchError};
use hls_relay_core::notice::{Notice, State};
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, spec};

const BACKUP: &str = "http://backup.example/live/index.m3u8";
const FOLDER: &str = "http://origin.example/live/";
/// A timer may be early by nothing; C-09 and C-10 forgive so much.
const EARLY: u64 = 50_000;

fn bench(run: &Run) -> Bench {
    let run = run.clone();
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.now = 20 * SEC;
    bench
}

fn relayed(run: &Run) -> Bench {
    let mut bench = bench(run);
    bench.run(spec(&[URL]));
    bench
}

/// Gives `bad` in place of the list, between 40 s and 50 s.
fn spoiled(bad: impl Fn(String) -> Vec<u8> + 'static) -> Bench {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(&run);
    bench.raw = Box::new(move |now, _| {
        let spoils = (40 * SEC..50 * SEC).contains(&now);
        spoils.then(|| bad(run.at(now).replace("seg", "evil")))
    });
    bench.pass(40 * SEC);
    bench
}

/// What every refused body comes to.
fn is_refused(mut bench: Bench, what: &str) {
    let before = bench.published.len();
    bench.pass(50 * SEC);
    let said = |it: &Notice| matches!(it, Notice::PlaylistRefused { .. });
    assert!(bench.told(said), "{what}");
    assert!(bench.published.len() <= before + 1, "{what}");
    bench.pass(80 * SEC);
    assert!(
        !bench.asked().iter().any(|it| it.contains("evil")),
        "{what}"
    );
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0), "{what}");
    assert_eq!(bench.status().state, State::Live);
}

#[test]
fn c_01_a_list_that_breaks_the_rules_is_not_used_at_all() {
    let broken: [fn(String) -> Vec<u8>; 6] = [
        |list| list.replace("#EXTM3U\n", "").into(),
        |list| list.replace("TARGETDURATION:2", "TARGETDURATION:0").into(),
        |list| list.replace("#EXTINF:2.000000,", "#EXTINF:two,").into(),
        |list| list.replace("VERSION:3", "VERSION:14").into(),
        |list| (list + "nothing-of-it.ts\n").into(),
        |_| Vec::new(),
    ];
    for (index, break_it) in broken.into_iter().enumerate() {
        is_refused(spoiled(break_it), &format!("body {index}"));
    }
}

#[test]
fn c_02_bytes_that_are_no_text_are_refused_and_a_byte_order_mark_is_said_once() {
    for wrong in [&b"\xff"[..], b"\0", b"\r,"] {
        is_refused(
            spoiled(move |list| [list.as_bytes(), b"#", wrong, b"\n"].concat()),
            &format!("{wrong:?}"),
        );
    }
    let run = Run::new(2 * SEC);
    let mut bench = relayed(&run);
    bench.raw = Box::new(move |now, _| Some(format!("\u{feff}{}", run.at(now)).into()));
    bench.pass(80 * SEC);
    let said = bench.notices.iter();
    let said = said.filter(|(_, it)| matches!(it, Notice::PlaylistFlaw { .. }));
    assert_eq!((said.count(), bench.status().state), (1, State::Live));
}

#[test]
fn c_03_an_html_page_with_200_is_refused() {
    is_refused(spoiled(|_| b"<!DOCTYPE html><html>evil".to_vec()), "HTML");
}

#[test]
fn c_08_after_the_end_only_a_new_run_is_looked_for_and_never_after_a_vod() {
    let mut run = Run::new(2 * SEC).between(0, 60 * SEC);
    run.ends = true;
    let mut live = relayed(&run);
    live.pass(400 * SEC);
    let after: Vec<u64> = live.loads_of(URL);
    let after: Vec<u64> = after.into_iter().filter(|at| *at > 62 * SEC).collect();
    let gaps: Vec<u64> = after.windows(2).map(|it| it[1] - it[0]).collect();
    assert!(gaps.iter().all(|gap| *gap >= 2 * SEC), "{gaps:?}");
    let late = gaps.iter().rev().take(10);
    assert!(late.min() >= Some(&(9 * SEC)), "{gaps:?}");
    run.head = "#EXT-X-PLAYLIST-TYPE:VOD\n".to_owned();
    let mut vod = bench(&run);
    vod.now = 61 * SEC;
    vod.run(spec(&[URL]));
    vod.pass(400 * SEC);
    assert_eq!(vod.loads_of(URL).len(), 1);
    assert!(vod.last().end_list);
}

/// Spacing of loads over ten minutes against the list that each load brought.
fn check_spacing(bench: &Bench, run: &Run, changed: u64, unchanged: u64) {
    let loads = bench.loads_of(URL);
    assert!(loads.len() > 60, "{} loads", loads.len());
    let mut before = None;
    for pair in loads.windows(2) {
        let (made, gap) = (run.made(pair[0]), pair[1] - pair[0]);
        let least = if before == Some(made) {
            unchanged
        } else {
            changed
        };
        assert!(gap + EARLY >= least, "{gap} at {}", pair[0]);
        before = Some(made);
    }
}

#[test]
fn c_09_after_a_change_the_last_segment_or_half_a_target_duration_is_waited_for() {
    let shapes = [(2 * SEC, 2), (5_005_000, 6), (6 * SEC, 6), (1_500_000, 5)];
    for (micros, target) in shapes {
        let mut run = Run::new(micros);
        run.target = target;
        let mut bench = relayed(&run);
        bench.pass(620 * SEC);
        let half = target * SEC / 2;
        check_spacing(&bench, &run, micros.max(half), half);
        assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
        let behind = run.made(bench.now) - bench.checker.ever().count() as u64;
        let began = (20 * SEC / micros).saturating_sub(6);
        assert!(behind <= began + 3, "{behind} behind, {began} before it");
    }
}

#[test]
fn c_09_the_strict_setting_waits_a_whole_target_duration() {
    for (micros, target) in [(2 * SEC, 2), (5_005_000, 6), (1_500_000, 5)] {
        let mut run = Run::new(micros);
        (run.target, run.window) = (target, 20);
        let mut bench = bench(&run);
        bench.run(Spec {
            reload: ReloadPolicy::TargetDuration,
            ..spec(&[URL])
        });
        bench.pass(620 * SEC);
        check_spacing(&bench, &run, target * SEC, target * SEC / 2);
        assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
    }
}

#[test]
fn c_10_an_unchanged_list_is_asked_for_again_after_half_a_target_duration() {
    // Nor are tokens that rotate a change.
    for tokens in [false, true] {
        let mut run = Run::new(2 * SEC).between(0, 60 * SEC);
        run.tokens = tokens;
        let mut bench = relayed(&run);
        bench.pass(200 * SEC);
        let loads = bench.loads_of(URL);
        let frozen: Vec<u64> = loads.into_iter().filter(|at| *at > 61 * SEC).collect();
        assert!(frozen.len() > 120, "{} loads", frozen.len());
        for pair in frozen.windows(2) {
            let gap = pair[1] - pair[0];
            assert!((SEC..=2 * SEC).contains(&gap), "{gap} at {}", pair[0]);
        }
    }
}

#[test]
fn c_11_a_frozen_list_is_stale_then_stalled_then_left_for_a_backup() {
    let (run, other) = (Run::new(2 * SEC).between(0, 60 * SEC), Run::new(2 * SEC));
    let mut bench = Bench::new(Box::new(move |now, url| {
        Ok(if url == URL {
            run.at(now)
        } else {
            other.named_at("b", now)
        })
    }));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL, BACKUP]));
    bench.pass(90 * SEC);
    let at = |state: State| {
        let to =
            |it: &&(u64, Notice)| matches!(it.1, Notice::StateChanged { to, .. } if to == state);
        bench.notices.iter().find(to).map(|it| it.0)
    };
    let listed = 60 * SEC..62_500_000;
    let stale = at(State::Stale).expect("it was stale");
    // One and a half target durations, and a half until somebody looks.
    let newest = bench
        .downloads
        .iter()
        .rfind(|it| it.1.starts_with(FOLDER) && it.0 < stale);
    let newest = newest.expect("it was relayed").0;
    assert!(
        (newest + 3 * SEC..=newest + 4 * SEC).contains(&stale),
        "{newest}: {stale}"
    );
    let asked = bench.loads_of(BACKUP)[0];
    assert!(
        (listed.start + 6 * SEC..listed.end + 7 * SEC).contains(&asked),
        "{asked}"
    );
    assert_eq!(bench.status().state, State::Live);
}

#[test]
fn c_12_a_304_is_an_unchanged_list() {
    let run = Run::new(4 * SEC);
    let mut bench = relayed(&run);
    bench.etags = true;
    bench.pass(300 * SEC);
    check_spacing(&bench, &run, 4 * SEC, 2 * SEC);
    assert_eq!((bench.holes(), bench.status().state), (0, State::Live));
}

#[test]
fn c_13_what_is_not_used_is_not_loaded() {
    let run = Run::new(2 * SEC);
    let mut bench = bench(&run);
    bench.run(spec(&[URL, BACKUP]));
    bench.pass(300 * SEC);
    assert!(bench.loads.iter().all(|(_, url)| url == URL));
    let segments = bench.downloads.iter();
    assert!(segments.clone().all(|(_, url, _)| url.starts_with(FOLDER)));
    bench.configure(spec(&[URL, BACKUP]), Desired::Stop);
    let loads = bench.loads.len();
    bench.pass(400 * SEC);
    assert_eq!(bench.loads.len(), loads, "stopped means not loaded");
}

#[test]
fn c_14_the_start_is_a_window_from_the_end_and_listed_with_three_segments() {
    let mut run = Run::new(2 * SEC);
    run.window = 60;
    let mut bench = bench(&run);
    bench.now = 200 * SEC;
    bench.segment = Box::new(|_, _| Ok(400_000));
    bench.run(spec(&[URL]));
    bench.pass(205 * SEC);
    let all: Vec<String> = (194..200).map(|n| format!("seg{n}.ts")).collect();
    assert_eq!(bench.asked()[..6], all);
    assert_eq!(bench.media_of(0).segments.len(), 3);
}

#[test]
fn c_15_every_segment_is_asked_for_once_and_in_order() {
    for (window, seed) in [(3, 1), (6, 2), (30, 3)] {
        let mut run = Run::new(2 * SEC);
        run.window = window;
        let mut bench = relayed(&run);
        // Downloads overtake each other, and a load fails now and then.
        bench.segment = Box::new(move |now, _| Ok(50_000 + now * seed % 1_900_000));
        let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
        bench.source = Box::new(move |now, url| match now / SEC % 11 {
            0 => Err(FetchError::Status(503)),
            _ => source(now, url),
        });
        bench.pass(300 * SEC);
        let asked = bench.asked();
        assert!(asked.windows(2).all(|it| it[0] < it[1]), "{asked:?}");
        let relayed = bench.checker.relayed();
        let from = 10 - window.min(6);
        assert!(relayed.len() > 135);
        let all = run.urls(FOLDER, from..from + relayed.len() as u64);
        assert!(relayed.into_iter().flatten().eq(&all), "none is lost");
    }
}

#[test]
fn c_16_a_list_without_media_sequence_begins_at_0() {
    let mut run = Run::new(2 * SEC).named("seg", 0);
    run.window = u64::MAX;
    let untold = run.clone();
    let mut bench = relayed(&run);
    bench.source =
        Box::new(move |now, _| Ok(untold.at(now).replace("#EXT-X-MEDIA-SEQUENCE:0\n", "")));
    bench.pass(100 * SEC);
    let last = bench
        .saved
        .as_ref()
        .and_then(|it| it.tracks[0].position.clone());
    let last = last
        .and_then(|it| it.known.last().cloned())
        .expect("a position");
    assert_eq!(&*last.path, format!("seg{}.ts", last.media_sequence));
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
}
