//! What the owner of a channel does while it runs, and what a process meets when it begins and ends.

mod support;

use hls_relay_core::event::{Desired, Event, FetchError, StoreError};
use hls_relay_core::ids::Generation;
use hls_relay_core::notice::{Notice, State, SwitchReason};
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, spec};

const BACKUP: &str = "http://backup.example/live/index.m3u8";
const THIRD: &str = "http://third.example/live/index.m3u8";

/// Three sources that never fail, with names and numbers of their own.
fn bench() -> Bench {
    let first = Run::new(2 * SEC);
    let second = Run::new(2 * SEC).named("b", 7);
    let third = Run::new(2 * SEC).named("c", 90_000);
    let mut bench = Bench::new(Box::new(move |now, url| {
        Ok(match url {
            URL => first.at(now),
            BACKUP => second.at(now),
            _ => third.at(now),
        })
    }));
    bench.now = 20 * SEC;
    bench
}

#[test]
fn a_store_that_is_slow_to_tell_after_a_restart_holds_up_nothing_else() {
    for slow in [false, true] {
        let mut bench = bench();
        bench.run(spec(&[URL, BACKUP]));
        bench.pass(60 * SEC);
        bench.kill(2, true);
        bench.check = Box::new(move |now| match now {
            0..100_000_000 if slow => (30 * SEC, Ok(())),
            0..100_000_000 => (1_000, Err(StoreError::Unknown)),
            _ => (1_000, Ok(())),
        });
        bench.run(spec(&[URL, BACKUP]));
        bench.pass(140 * SEC);
        assert_eq!(bench.status().state, State::Live);
    }
}

#[test]
fn a_first_source_whose_segments_fail_does_not_keep_the_channel_from_a_third() {
    for dies in [108, 110, 112, 113, 114, 116] {
        let mut bench = bench();
        let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
        bench.source = Box::new(move |now, url| match url {
            URL if (40 * SEC..60 * SEC).contains(&now) => Err(FetchError::Status(500)),
            BACKUP if now > dies * SEC => Err(FetchError::Status(500)),
            _ => source(now, url),
        });
        // The first source comes back as a playlist only, and the second dies while it is prepared.
        let segments_fail = |now, url: &str| url.contains("seg") && now > 40 * SEC;
        bench.segment = Box::new(move |now, url| match segments_fail(now, url) {
            true => Err(FetchError::Status(404)),
            false => Ok(50_000),
        });
        bench.run(spec(&[URL, BACKUP, THIRD]));
        bench.pass(90 * SEC);
        assert_eq!(bench.status().source, 1);
        bench.pass(170 * SEC);
        assert_eq!(bench.status().source, 2, "{dies}");
    }
}

#[test]
fn what_a_source_is_asked_with_stays_the_configuration_that_named_it() {
    let mut bench = bench();
    bench.run(spec(&[URL]));
    bench.pass(40 * SEC);
    // The next source gives nothing, so that the old one goes on, over another change of the policies.
    let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
    bench.source = Box::new(move |now, url| match url {
        URL => source(now, url),
        _ => Err(FetchError::Status(403)),
    });
    bench.run(spec(&[BACKUP]));
    bench.pass(42 * SEC);
    bench.run(Spec {
        window: Some(8),
        ..spec(&[BACKUP])
    });
    bench.requests.clear();
    bench.pass(60 * SEC);
    let of = |url: &str| {
        let from = bench.requests.iter().filter(|it| it.url.contains(url));
        let mut from: Vec<_> = from.map(|it| (it.generation, it.source)).collect();
        from.dedup();
        from
    };
    assert_eq!(of("origin.example"), [(Generation(1), 0)]);
    assert_eq!(of("backup.example"), [(Generation(3), 0)]);
    assert_eq!(bench.discontinuities(), 0);
}

#[test]
fn a_new_first_source_that_gives_nothing_changes_nothing() {
    let mut bench = bench();
    let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
    bench.source = Box::new(move |now, url| match url {
        THIRD => Err(FetchError::Status(404)),
        _ => source(now, url),
    });
    bench.run(spec(&[URL]));
    bench.pass(40 * SEC);
    bench.run(spec(&[THIRD, URL]));
    bench.pass(140 * SEC);
    assert_eq!((bench.discontinuities(), bench.holes()), (0, 0));
    assert_eq!(bench.status().source, 1);
    assert_eq!(bench.downloaded_twice(), [""; 0]);
    assert!(!bench.told(|it| matches!(it, Notice::Switched { .. })));
}

#[test]
fn there_and_back_before_the_other_source_is_ready_changes_nothing() {
    let mut bench = bench();
    bench.run(spec(&[URL]));
    bench.pass(40 * SEC);
    bench.run(spec(&[BACKUP]));
    bench.pass(40 * SEC + 12_000);
    bench.run(spec(&[URL]));
    bench.pass(60 * SEC);
    assert_eq!((bench.discontinuities(), bench.holes()), (0, 0));
    assert_eq!(bench.status().generation, Generation(3));
    assert_eq!(bench.downloaded_twice(), [""; 0]);
}

#[test]
fn a_change_of_source_relays_the_old_one_until_the_new_one_is_ready() {
    let mut bench = bench();
    bench.run(spec(&[URL]));
    bench.pass(40 * SEC);
    let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
    bench.source = Box::new(move |now, url| match url {
        BACKUP if now < 50 * SEC => Err(FetchError::Status(404)),
        _ => source(now, url),
    });
    bench.run(spec(&[BACKUP]));
    bench.pass(50 * SEC);
    assert!(bench.relayed_last().contains("seg123"));
    assert_eq!(bench.status().generation, Generation(1));
    bench.pass(60 * SEC);
    assert!(bench.relayed_last().contains("/b"));
    assert_eq!((bench.discontinuities(), bench.holes()), (1, 0));
    assert_eq!(bench.status().generation, Generation(2));
    let why = SwitchReason::Reconfigured;
    assert!(bench.told(|it| matches!(it, Notice::Switched { why: it, .. } if *it == why)));
}

#[test]
fn an_older_revision_and_one_that_cannot_be_are_ignored() {
    let mut bench = bench();
    bench.run(spec(&[URL]));
    bench.pass(40 * SEC);
    bench.run(spec(&["ftp://origin.example/live.m3u8"]));
    bench.run(spec(&[]));
    bench.revise(1, spec(&[BACKUP]), Desired::Stop);
    bench.pass(50 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.status().generation, Generation(1));
}

#[test]
fn stop_and_run_at_once_is_one_run_more() {
    for wait in [0, 1_000, 5_000, 100_000, SEC, 20 * SEC, 60 * SEC] {
        let mut bench = bench();
        bench.run(spec(&[URL]));
        bench.pass(40 * SEC);
        bench.configure(spec(&[URL]), Desired::Stop);
        bench.pass(40 * SEC + wait);
        bench.run(spec(&[URL]));
        bench.pass(120 * SEC);
        assert_eq!(bench.status().state, State::Live, "after {wait}");
        assert_eq!(bench.discontinuities(), 1, "after {wait}");
        assert!(bench.objects.len() < 32, "{}", bench.objects.len());
    }
}

#[test]
fn stop_at_any_moment_of_a_start_leaves_nothing_behind() {
    for step in 0..40 {
        let mut bench = bench();
        bench.run(spec(&[URL, BACKUP]));
        bench.pass(20 * SEC + step * 10_000);
        bench.configure(spec(&[URL, BACKUP]), Desired::Stop);
        bench.pass(80 * SEC);
        assert_eq!(bench.status().state, State::Stopped);
        assert_eq!(bench.objects.len(), 0, "at {step}");
        assert!(bench.relay.next_wakeup().is_none() && bench.due.is_empty());
        let loads = bench.loads.len();
        bench.pass(200 * SEC);
        assert_eq!(bench.loads.len(), loads);
    }
}

#[test]
fn completions_that_nobody_waits_for_change_nothing() {
    let mut bench = bench();
    bench.run(spec(&[URL]));
    bench.pass(40 * SEC);
    bench.step(Event::Tick);
    let before = format!("{:?}", bench.relay);
    for request in [1, 2, 3, 1_000_000] {
        bench.stray(request);
    }
    let after = format!("{:?}", bench.relay);
    assert!(before == after, "the machine has changed");
}

#[test]
fn a_shutdown_at_any_moment_skips_nothing() {
    for step in 0..30 {
        let mut bench = bench();
        // One segment is tried again and again, its successors are there meanwhile.
        bench.segment = Box::new(|now, url| match url.contains("seg118") {
            true if now < 42 * SEC => Err(FetchError::Status(404)),
            _ => Ok(300_000),
        });
        bench.run(spec(&[URL]));
        bench.pass(36 * SEC + step * 300_000);
        bench.step(Event::ShutDown);
        bench.pass(bench.now + 6 * SEC);
        assert!(bench.relay.is_finished());
        bench.kill(9, true);
        bench.run(spec(&[URL]));
        bench.pass(80 * SEC);
        assert_eq!((bench.holes(), bench.discontinuities()), (0, 0), "{step}");
        let run = Run::new(2 * SEC);
        let all = run.urls("http://origin.example/live/", 4..39);
        let relayed: Vec<_> = bench.checker.relayed().into_iter().flatten().collect();
        let common = relayed.len().min(all.len());
        assert!(common >= 33, "{common} at {step}");
        assert!(relayed[..common] == all[..common], "at {step}");
    }
}

#[test]
fn nothing_is_published_after_the_last_checkpoint_of_a_shutdown() {
    for step in 0..5 {
        let mut bench = bench();
        bench.publish = Box::new(|now| match now {
            0..34_000_000 => Ok(()),
            _ => Err(StoreError::NotValid),
        });
        bench.run(spec(&[URL]));
        bench.pass(36 * SEC + step * 300_000);
        bench.step(Event::ShutDown);
        let is_saving = |it: &(u64, Event)| matches!(it.1, Event::CheckpointSaved { .. });
        while !bench.due.iter().any(is_saving) {
            bench.pass(bench.now + 900);
        }
        // It takes long, and what could not be published is due again.
        bench.now += SEC;
        bench.step(Event::Tick);
        bench.pass(bench.now + SEC);
        bench.step(Event::Tick);
        assert!(bench.relay.is_finished());
        let tracks = &bench.saved.as_ref().unwrap().tracks;
        assert!(tracks.iter().all(|it| it.position.is_some()), "{step}");
    }
}

#[test]
fn what_the_source_still_lists_after_a_restart_is_relayed_whole() {
    for survives in [true, false] {
        let mut run = Run::new(2 * SEC);
        run.window = 20;
        let list = run.clone();
        let mut bench = Bench::new(Box::new(move |now, _| Ok(list.at(now))));
        bench.now = 60 * SEC;
        bench.run(spec(&[URL]));
        bench.pass(90 * SEC);
        bench.kill(2, survives);
        bench.now = 110 * SEC;
        bench.kill(3, survives);
        bench.run(spec(&[URL]));
        bench.pass(140 * SEC);
        assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
        let relayed = bench.checker.relayed();
        let all = run.urls("http://origin.example/live/", 24..24 + relayed.len() as u64);
        assert!(relayed.len() > 40 && relayed.into_iter().flatten().eq(&all));
    }
}

#[test]
fn a_source_that_is_come_back_to_goes_on_where_it_was_left() {
    let frozen = |from: u64, until: u64| {
        move |now| {
            if (from..until).contains(&now) {
                from
            } else {
                now
            }
        }
    };
    let (first, second) = (Run::new(2 * SEC), Run::new(2 * SEC).named("b", 7));
    let mut bench = Bench::new(Box::new(move |now, url| {
        Ok(match url {
            URL => first.at(frozen(40 * SEC, 130 * SEC)(now)),
            _ => second.at(frozen(90 * SEC, 150 * SEC)(now)),
        })
    }));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL, BACKUP]));
    bench.pass(129 * SEC);
    assert_eq!(bench.status().source, 1);
    assert_eq!(
        (bench.discontinuities(), bench.downloaded_twice()),
        (1, vec![])
    );
    bench.pass(140 * SEC);
    assert_eq!(bench.status().source, 0);
    assert_eq!(
        (bench.discontinuities(), bench.downloaded_twice()),
        (2, vec![])
    );
    assert_eq!(bench.holes(), 0);
}

#[test]
fn an_edge_that_has_not_seen_a_restart_is_known_after_a_restart_of_ours() {
    let before = Run::new(2 * SEC).between(0, 60 * SEC);
    let after = Run::new(2 * SEC).named("b", 0).between(60 * SEC, u64::MAX);
    let mut bench = Bench::new(Box::new(move |now, _| {
        Ok(match now {
            0..62_000_000 | 70_000_000..72_000_000 => before.at(now),
            _ => after.at(now),
        })
    }));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench.pass(69 * SEC);
    bench.kill(2, true);
    bench.now = 70 * SEC;
    bench.run(spec(&[URL]));
    bench.pass(90 * SEC);
    assert_eq!(
        (bench.discontinuities(), bench.downloaded_twice()),
        (1, vec![])
    );
}
