//! What a source may cost, whatever it says: numbers at their ends, lists without end, durations that
//! are no truth; and a store that refuses.

mod support;

use hls_relay_core::event::{FetchError, StoreError};
use hls_relay_core::notice::{Break, Notice, State};
use hls_relay_core::time::Span;
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, spec};

fn relayed(list: impl Fn(u64) -> String + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now))));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench
}

fn size(bench: &Bench) -> usize {
    format!("{:?}", bench.relay).len()
}

#[test]
fn gaps_for_ever_are_no_list_for_ever() {
    let mut run = Run::new(2 * SEC);
    run.window = 0;
    let mut bench = relayed(move |now| {
        let first = now / SEC * 1_000;
        let gaps = "#EXT-X-GAP\n#EXTINF:0.002,\na.ts\n".repeat(2_000);
        run.at(now).replace(
            &format!("SEQUENCE:{}", run.first + run.made(now)),
            &format!("SEQUENCE:{first}"),
        ) + &gaps
    });
    // After ten seconds there is as much as a list may hold at most.
    bench.pass(32 * SEC);
    let before = size(&bench);
    bench.pass(50 * SEC);
    assert!(
        size(&bench) < before * 5 / 4,
        "{} from {before}",
        size(&bench)
    );
}

#[test]
fn a_store_that_refuses_every_playlist_is_not_filled_with_segments() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| run.at(now));
    bench.publish = Box::new(|now| match now / SEC {
        60..1_000 => Err(StoreError::Full),
        _ => Ok(()),
    });
    bench.pass(200 * SEC);
    let before = size(&bench);
    bench.pass(1_000 * SEC);
    assert_eq!(bench.status().state, State::Stalled);
    assert!(
        size(&bench) < before * 5 / 4,
        "{} from {before}",
        size(&bench)
    );
    assert!(bench.objects.len() <= 20, "{}", bench.objects.len());
    bench.pass(1_040 * SEC);
    assert_eq!(bench.status().state, State::Live);
}

#[test]
fn a_duration_that_is_no_truth_does_not_put_the_loader_to_sleep() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| {
        let text = run.at(now);
        text.replace("2.000000,\nseg120", "3600.000000,\nseg120")
    });
    bench.pass(100 * SEC);
    let loads = bench.loads_of(URL);
    let longest = loads.windows(2).map(|it| it[1] - it[0]).max();
    assert!(longest < Some(4 * SEC), "{longest:?}");
    assert!(bench.asked().last() >= Some(&"seg147.ts"));
}

#[test]
fn numbers_at_their_end_repeat_nothing_and_break_nothing() {
    let mut run = Run::new(2 * SEC).named("seg", u64::MAX - 40);
    run.until = 80 * SEC;
    let mut bench = relayed(move |now| run.at(now));
    bench.pass(200 * SEC);
    assert_eq!(bench.downloaded_twice(), [""; 0]);
    assert_eq!(bench.discontinuities(), 0);
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| {
        let number = if now < 40 * SEC { u64::MAX } else { 5 };
        let tag = format!("#EXT-X-DISCONTINUITY-SEQUENCE:{number}\n#EXTINF");
        let text = run.at(now).replacen("#EXTINF", &tag, 1);
        let plain = "#EXTINF:2.000000,\nseg119";
        text.replace(plain, &format!("#EXT-X-DISCONTINUITY\n{plain}"))
    });
    bench.pass(80 * SEC);
    assert!(!bench.told(|it| matches!(it, Notice::PlaylistRefused { .. })));
    assert_eq!(bench.status().state, State::Live);
}

#[test]
fn a_window_of_every_size_is_kept_in_bounds() {
    for window in [6, 7, 50, 10_000] {
        let run = Run::new(2 * SEC);
        let mut bench = relayed(move |now| run.at(now));
        bench.run(Spec {
            window: Some(window),
            ..spec(&[URL])
        });
        bench.pass(150 * SEC);
        let most = (150 - 8) / 2;
        let count = bench.last().segments.len();
        assert!(window.min(most) - count <= 1, "{count} of {window}");
        bench.run(spec(&[URL]));
        bench.pass(160 * SEC);
        assert_eq!(bench.last().segments.len(), 6);
    }
}

#[test]
fn what_was_missed_while_no_process_ran_is_a_hole_and_no_jump() {
    for survives in [true, false] {
        let run = Run::new(2 * SEC);
        let mut bench = relayed(move |now| run.at(now));
        let window = Spec {
            window: Some(12),
            ..spec(&[URL])
        };
        bench.run(window.clone());
        bench.pass(60 * SEC);
        bench.kill(2, survives);
        bench.now = 79 * SEC;
        bench.kill(3, survives);
        bench.run(window);
        bench.pass(120 * SEC);
        assert!((3..=5).contains(&bench.holes()), "{}", bench.holes());
        let jumped = |it: &Notice| {
            matches!(
                it,
                Notice::Broken {
                    why: Break::JumpedAhead
                }
            )
        };
        assert!(!bench.told(jumped));
        assert_eq!(bench.discontinuities(), u64::from(!survives));
    }
}

#[test]
fn what_is_left_of_a_list_is_served_at_once_after_a_restart() {
    let mut run = Run::new(2 * SEC);
    run.window = 2;
    let mut bench = relayed(move |now| run.at(now.min(60 * SEC)));
    bench.pass(64 * SEC);
    let first = bench.last().segments[0].uri.to_string();
    bench.objects.remove(&first);
    let before = bench.published.len();
    bench.kill(2, true);
    bench.run(spec(&[URL]));
    bench.pass(66 * SEC);
    assert_eq!(bench.published.len(), before + 1);
    assert_eq!(bench.last().segments.len(), 5);
}

#[test]
fn a_source_that_hangs_or_drips_holds_up_nothing_but_itself() {
    // Every download of one segment takes until it is given up; the others come at once.
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now| run.at(now));
    bench.segment = Box::new(|_, url| match url.contains("seg12") {
        true => Ok(60 * SEC),
        false => Ok(50_000),
    });
    bench.pass(200 * SEC);
    assert_eq!(bench.holes(), 10);
    assert_eq!(bench.status().state, State::Live);
    bench.source = Box::new(|_, _| Err(FetchError::FirstByteTimeout(Span::from_secs(2))));
    bench.pass(300 * SEC);
    assert_eq!(bench.status().state, State::Stalled);
}
