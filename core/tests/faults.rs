//! What the source does wrong, at the level of one channel; the rows of the table of faults.

mod support;

use hls_relay_core::config::HolePolicy;
use hls_relay_core::event::FetchError;
use hls_relay_core::notice::Notice;
use hls_relay_core::time::Span;
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, spec};

fn bench(run: &Run) -> Bench {
    let run = run.clone();
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.run(spec(&[URL]));
    bench
}

fn down(bench: &mut Bench, from: u64, until: u64) {
    let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
    bench.source = Box::new(move |now, url| {
        if (from..until).contains(&now) {
            Err(FetchError::Status(500))
        } else {
            source(now, url)
        }
    });
}

/// An outage longer than what the source lists: `lost` segments are never seen.
fn lossy(dated: bool, lost: u64, hole: HolePolicy) -> Bench {
    let mut run = Run::new(2 * SEC);
    run.dated = dated;
    let mut bench = bench(&run);
    bench.run(Spec {
        hole,
        window: Some(10),
        ..spec(&[URL])
    });
    down(&mut bench, 40 * SEC, (40 + 12 + 2 * lost - 2) * SEC);
    bench.pass(120 * SEC);
    bench
}

#[test]
fn s_47_a_hole_is_gaps_that_fill_its_time_and_nothing_is_repeated_after_it() {
    for (dated, lost) in [(true, 1), (false, 2), (true, 3), (false, 4), (true, 5)] {
        let bench = lossy(dated, lost, HolePolicy::Gap);
        assert_eq!(bench.downloaded_twice(), [""; 0], "{lost}");
        assert_eq!(bench.discontinuities(), 0, "{:?}", bench.notices);
        let gaps = bench.checker.ever().filter(|it| it.gap);
        let filled: Span = gaps.map(|it| it.duration).sum();
        assert_eq!(filled, Span::from_secs(2 * bench.holes()));
        assert!(
            bench.holes().abs_diff(lost) <= 1 && filled > Span::ZERO,
            "{filled}"
        );
    }
}

#[test]
fn a_hole_is_a_discontinuity_where_that_is_wanted() {
    for lost in 1..6 {
        let bench = lossy(true, lost, HolePolicy::Discontinuity);
        assert_eq!(bench.discontinuities(), 1);
        assert!(bench.checker.ever().all(|it| !it.gap));
        assert_eq!(bench.downloaded_twice(), [""; 0]);
        assert!(!bench.told(|it| matches!(it, Notice::Broken { .. })));
    }
}

#[test]
fn a_restart_whose_first_segments_are_lost_is_said_as_one() {
    for hole in [HolePolicy::Gap, HolePolicy::Discontinuity] {
        let before = Run::new(2 * SEC).between(0, 40 * SEC);
        let after = Run::new(2 * SEC).named("b", 0).between(40 * SEC, u64::MAX);
        let mut bench = Bench::new(Box::new(move |now, _| {
            Ok(match now {
                0..42_000_000 => before.at(now),
                _ => after.at(now),
            })
        }));
        bench.now = 20 * SEC;
        let is_lost = |url: &str| ["/b0.", "/b1."].iter().any(|it| url.contains(it));
        bench.segment = Box::new(move |_, url| match is_lost(url) {
            true => Err(FetchError::Status(404)),
            false => Ok(50_000),
        });
        bench.run(Spec {
            hole,
            ..spec(&[URL])
        });
        bench.pass(80 * SEC);
        assert!(bench.told(|it| matches!(it, Notice::Broken { .. })));
        assert_eq!((bench.discontinuities(), bench.holes()), (1, 2));
    }
}

#[test]
fn what_hangs_leaves_a_place_for_retries() {
    let run = Run::new(2 * SEC);
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    // One fails, and all that follow it hang.
    bench.segment = Box::new(|_, url| match url {
        _ if url.contains("seg107") => Err(FetchError::Status(500)),
        _ if url.contains("seg10") && !url.contains("seg108") && !url.contains("seg109") => {
            Ok(20_000)
        }
        _ => Ok(60 * SEC),
    });
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench.pass(25 * SEC);
    let asked = |name: &str, from: u64| {
        let downloads = bench.downloads.iter();
        let mut times = downloads.filter(|(at, url, _)| *at > from && url.contains(name));
        times.next().map(|(at, ..)| *at)
    };
    // Three hang from then on, and the fourth place is taken again and again.
    let third = asked("seg110", 0).expect("it is listed at 22 s");
    assert!(asked("seg107", third + SEC).is_some());
}
