//! Clocks that are wrong, at the source and here: date-times are passed on as they are stated, and nothing
//! is decided by what they say of the time of day.

mod support;

use hls_relay_core::playlist::MediaPlaylist;
use support::origin::Run;
use support::{Bench, SEC, START_WALL, URL, spec};

const HOUR: i64 = 3_600 * SEC as i64;
const UNTIL: u64 = 120 * SEC;

/// By how many microseconds a clock is off.
type Off = fn(u64) -> i64;

/// What clocks of encoders have been seen to do; by the segment that they make.
const CLOCKS: [(&str, Off); 6] = [
    ("in another time zone", |_| 9 * HOUR),
    ("at its first day", |_| -START_WALL),
    ("a century ahead", |_| 100 * 365 * 24 * HOUR),
    ("fast by a percent", |n| n as i64 * 20_000),
    ("put back by two hours", |n| -2 * HOUR * i64::from(n >= 25)),
    ("put forward by two hours", |n| {
        2 * HOUR * i64::from(n >= 25)
    }),
];

/// A relay of a source whose clock is off like that, on a machine whose own is.
fn relayed(source: Off, own: Off) -> Bench {
    let run = Run {
        clock: source,
        ..Run::new(2 * SEC).dated()
    };
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.checker.lying_dates = true;
    bench.wall_off = own;
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench.pass(UNTIL);
    bench
}

/// Each segment's URL at the source, and whether a discontinuity stands before it.
type Listed = Vec<(String, bool)>;

/// When versions became visible, the first number of each beyond the first of all, and what they listed.
fn versions(bench: &Bench) -> Vec<(u64, u64, Listed)> {
    let numbers = bench.checker.versions().next();
    let from = numbers.map_or(0, |(_, list)| list.media_sequence);
    let told = |(at, list): (u64, &MediaPlaylist)| {
        let first = list.media_sequence - from;
        let listed = list.segments.iter();
        let listed = listed.map(|it| (bench.checker.content[&*it.uri].clone(), it.discontinuity));
        (at, first, listed.collect())
    };
    bench.checker.versions().map(told).collect()
}

#[test]
fn clocks_that_are_wrong_at_a_source_change_nothing_but_its_date_times() {
    let right = relayed(|_| 0, |_| 0);
    assert!(versions(&right).len() > 30);
    for (name, off) in CLOCKS {
        let wrong = relayed(off, |_| 0);
        assert_eq!(versions(&wrong), versions(&right), "a clock {name}");
        assert_eq!(wrong.loads, right.loads, "a clock {name}");
        // Each segment has the date-time that its source states.
        for segment in wrong.checker.ever() {
            let path = &wrong.checker.content[&*segment.uri];
            let number = path
                .rsplit("seg")
                .next()
                .and_then(|it| it.strip_suffix(".ts"));
            let made: u64 = number.and_then(|it| it.parse().ok()).expect("a number");
            let made = made - 100;
            let stated = START_WALL + (made * 2 * SEC) as i64 + off(made);
            let told = segment.date_time.expect("a date-time").as_micros();
            // As many digits as it was written with.
            assert!(
                told.abs_diff(stated) < 1_000,
                "a clock {name}: {told} for {stated}"
            );
        }
    }
}

/// What tells of our own time of day, such as the first number of all, may differ; no version may.
#[test]
fn clocks_that_are_wrong_here_change_nothing_for_viewers() {
    let right = relayed(|_| 0, |_| 0);
    let jumps: [(&str, Off); 3] = [
        ("a day ahead", |_| 24 * HOUR),
        ("put back by two hours", |now| {
            -2 * HOUR * i64::from(now >= 60 * SEC)
        }),
        ("put forward by two hours", |now| {
            2 * HOUR * i64::from(now >= 60 * SEC)
        }),
    ];
    for (name, own) in jumps {
        let wrong = relayed(|_| 0, own);
        assert_eq!(versions(&wrong), versions(&right), "our clock {name}");
        assert_eq!(wrong.loads, right.loads, "our clock {name}");
    }
}
