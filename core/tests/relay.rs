//! The way of a segment through one channel, on a bench.

mod support;

use hls_relay_core::event::{Desired, Event, FetchError};
use hls_relay_core::notice::{Notice, State, Trouble};
use support::{Bench, SEC, URL, live, spec};

fn steady() -> Bench {
    let list = live(2 * SEC, 100, "seg");
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now + 20 * SEC))));
    bench.run(spec(&[URL]));
    bench
}

#[test]
fn a_live_source_is_relayed_without_loss_or_repetition() {
    let mut bench = steady();
    bench.pass(120 * SEC);
    let last = bench.last();
    assert_eq!(last.segments.len(), 6);
    assert_eq!(bench.holes(), 0);
    assert_eq!(bench.discontinuities(), 0);
    // Everything that the source listed at the start and since: 6 + 60, less what is on its way.
    let first = support::START_WALL as u64 / SEC;
    let listed = last.media_sequence - first + 6;
    assert!((65..=66).contains(&listed), "{listed}");
    assert_eq!(
        bench.downloads.len() as u64,
        listed.max(bench.downloads.len() as u64 - 1)
    );
}

#[test]
fn its_status_tells_the_last_number_that_is_listed() {
    let mut bench = steady();
    assert_eq!(bench.status().last_media_sequence, None);
    bench.pass(60 * SEC);
    let list = bench.last();
    let last = list.media_sequence + list.segments.len() as u64 - 1;
    assert_eq!(bench.status().last_media_sequence, Some(last));
}

#[test]
fn an_outage_shorter_than_the_sources_window_loses_nothing() {
    let list = live(2 * SEC, 100, "seg");
    let mut bench = Bench::new(Box::new(move |now, _| {
        let down = (30 * SEC..40 * SEC).contains(&now);
        if down {
            Err(FetchError::Status(500))
        } else {
            Ok(list(now + 20 * SEC))
        }
    }));
    bench.segment = Box::new(|now, _| {
        let down = (30 * SEC..40 * SEC).contains(&now);
        if down {
            Err(FetchError::Status(500))
        } else {
            Ok(50_000)
        }
    });
    bench.run(spec(&[URL]));
    bench.pass(120 * SEC);
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
    let gap = bench.published.windows(2).map(|it| it[1].0 - it[0].0).max();
    assert!(gap.is_some_and(|gap| gap < 14 * SEC), "{gap:?}");
    assert_eq!(bench.last().segments.len(), 6);
}

#[test]
fn a_restart_at_zero_with_new_names_is_one_discontinuity_and_our_numbers_go_on() {
    let (before, after) = (live(2 * SEC, 100, "a"), live(2 * SEC, 0, "b"));
    let mut bench = Bench::new(Box::new(move |now, _| {
        Ok(if now < 40 * SEC {
            before(now + 20 * SEC)
        } else {
            after(now - 38 * SEC)
        })
    }));
    bench.run(spec(&[URL]));
    bench.pass(38 * SEC);
    let number = bench.last().media_sequence;
    bench.pass(46 * SEC);
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 1));
    assert!(bench.last().media_sequence > number);
}

#[test]
fn a_backup_takes_over_and_the_first_comes_back() {
    const BACKUP: &str = "http://backup.example/live/index.m3u8";
    let (first, second) = (live(2 * SEC, 100, "a"), live(2 * SEC, 7, "b"));
    let mut bench = Bench::new(Box::new(move |now, url| {
        let down = (40 * SEC..70 * SEC).contains(&now);
        match url {
            URL if down => Err(FetchError::Status(503)),
            URL => Ok(first(now + 20 * SEC)),
            _ => Ok(second(now + 21 * SEC)),
        }
    }));
    bench.run(spec(&[URL, BACKUP]));
    bench.pass(49 * SEC);
    assert_eq!(
        bench.discontinuities(),
        1,
        "the backup is listed within 8 s"
    );
    assert_eq!(bench.relay.status(bench.clock()).source, 1);
    bench.pass(125 * SEC);
    assert_eq!(
        bench.relay.status(bench.clock()).source,
        1,
        "55 s of health are not enough"
    );
    bench.pass(140 * SEC);
    assert_eq!(bench.relay.status(bench.clock()).source, 0);
    assert_eq!(bench.discontinuities(), 2);
    assert_eq!(bench.relay.status(bench.clock()).state, State::Live);
    let states = bench
        .notices
        .iter()
        .filter(|(_, it)| matches!(it, Notice::StateChanged { .. }));
    assert_eq!(
        states.count(),
        5,
        "starting, live, stale, stalled, live: {:?}",
        bench.notices
    );
}

#[test]
fn stop_closes_the_presentation_and_run_goes_on_numbering() {
    let mut bench = steady();
    bench.pass(30 * SEC);
    let number = bench.last().end_media_sequence();
    bench.configure(spec(&[URL]), Desired::Stop);
    bench.pass(31 * SEC);
    assert!(bench.last().end_list);
    assert!(bench.objects.len() >= 6, "segments stay for their time");
    bench.pass(70 * SEC);
    assert_eq!((bench.withdrawn, bench.objects.len()), (1, 0));
    bench.run(spec(&[URL]));
    bench.pass(90 * SEC);
    assert!(!bench.last().end_list);
    assert!(bench.last().media_sequence >= number);
    assert_eq!(bench.discontinuities(), 1);
}

#[test]
fn a_shutdown_saves_and_the_next_process_goes_on_without_a_break() {
    let mut bench = steady();
    bench.pass(30 * SEC);
    bench.step(Event::ShutDown);
    bench.pass(36 * SEC);
    assert!(bench.relay.is_finished());
    let (before, versions) = (bench.last(), bench.published.len());
    bench.kill(8, true);
    bench.run(spec(&[URL]));
    bench.pass(41 * SEC);
    assert_eq!(
        bench.media_of(versions).segments,
        before.segments,
        "the list is served as it was"
    );
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
    assert!(bench.last().end_media_sequence() > before.end_media_sequence());
}

#[test]
fn a_memory_store_fetches_again_what_is_still_listed() {
    let mut bench = steady();
    bench.pass(30 * SEC);
    let (before, versions) = (bench.last(), bench.published.len());
    bench.kill(8, false);
    bench.run(spec(&[URL]));
    bench.pass(35 * SEC);
    let first = bench.media_of(versions);
    let same = before
        .segments
        .iter()
        .filter(|old| first.segments.contains(old))
        .count();
    assert!(same >= 4, "{same} segments under their old URIs");
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
}

#[test]
fn a_hole_behind_a_window_that_was_lost_with_its_process_is_said() {
    let mut bench = steady();
    bench.pass(30 * SEC);
    let (before, saved) = (bench.last(), bench.checkpoint());
    let list = live(2 * SEC, 100, "seg");
    let source = move |now, _: &str| Ok(list(now + 20 * SEC));
    let mut after = Bench::restored(Box::new(source), Some(saved), 8);
    after.now = 52 * SEC;
    after.run(spec(&[URL]));
    after.pass(57 * SEC);
    assert_eq!(
        after.media_of(0).media_sequence,
        before.end_media_sequence()
    );
    assert!(after.holes() > 0);
    assert_eq!(after.discontinuities(), 1);
}

#[test]
fn whoever_goes_on_with_a_list_is_live_once_it_has_added_to_it() {
    let list = live(2 * SEC, 100, "seg");
    let source = move |now, _: &str| match now / SEC {
        40..70 => Err(FetchError::Status(503)),
        _ => Ok(list(now + 20 * SEC)),
    };
    let mut bench = Bench::new(Box::new(source));
    bench.run(spec(&[URL]));
    bench.pass(45 * SEC);
    bench.kill(8, true);
    bench.run(spec(&[URL]));
    for (until, state) in [
        (48, State::Starting),
        (69, State::Stalled),
        (80, State::Live),
    ] {
        bench.pass(until * SEC);
        assert_eq!(bench.status().state, state, "after {until} s");
    }
}

#[test]
fn what_keeps_a_source_from_taking_over_is_known_before_it_is_given_up() {
    const DEAD: &str = "http://dead.example/live/index.m3u8";
    let list = live(2 * SEC, 100, "seg");
    let mut bench = Bench::new(Box::new(move |now, url| match url {
        URL => Ok(list(now + 20 * SEC)),
        _ => Err(FetchError::Status(404)),
    }));
    bench.run(spec(&[URL]));
    bench.pass(20 * SEC);
    assert_eq!(bench.status().preparation, None);
    bench.run(spec(&[DEAD]));
    bench.pass(21 * SEC);
    let trouble = Trouble::Playlist(FetchError::Status(404));
    assert_eq!(bench.status().preparation, Some(trouble));
    assert!(
        !bench
            .notices
            .iter()
            .any(|it| matches!(it, (_, Notice::PreparationFailed { .. })))
    );
    bench.run(spec(&[URL]));
    bench.pass(22 * SEC);
    assert_eq!(bench.status().preparation, None);
}

#[test]
fn a_second_backup_is_prepared_by_the_time_of_the_channel() {
    const DEAD: &str = "http://dead.example/live/index.m3u8";
    const BACKUP: &str = "http://backup.example/live/index.m3u8";
    let (first, second) = (live(2 * SEC, 100, "a"), live(2 * SEC, 7, "b"));
    let mut bench = Bench::new(Box::new(move |now, url| match url {
        URL if now < 40 * SEC => Ok(first(now + 20 * SEC)),
        BACKUP => Ok(second(now + 21 * SEC)),
        _ => Err(FetchError::Status(503)),
    }));
    bench.run(spec(&[URL, DEAD, BACKUP]));
    // Six seconds until the first is stalled, six for the one that is dead too.
    bench.pass(53 * SEC);
    assert_eq!(bench.status().source, 2);
}

#[test]
fn segments_that_cannot_be_asked_for_are_the_reason_that_is_told() {
    let list = live(2 * SEC, 100, "a");
    let mut bench = Bench::new(Box::new(move |now, _| {
        let refused = (130..200).map(|n| format!("a{n}.ts"));
        let refuse = |text: String, name| text.replace(&name, &format!("ftp://x.example/{name}"));
        Ok(refused.fold(list(now + 20 * SEC), refuse))
    }));
    bench.run(spec(&[URL]));
    bench.pass(60 * SEC);
    let told = |it: &Notice| matches!(it, Notice::SegmentRefused { .. });
    let refused = bench.notices.iter().filter(|(_, it)| told(it)).count();
    assert_eq!(refused, 1, "the first of a row: {:?}", bench.notices);
    let reason = bench.status().reason.expect("it is stalled").to_string();
    assert!(
        reason.starts_with("segments cannot be downloaded (refused"),
        "{reason}"
    );
}

#[test]
fn a_restart_with_another_token_goes_on_and_no_token_is_saved() {
    let list = live(2 * SEC, 100, "seg");
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now + 20 * SEC))));
    bench.run(spec(&[
        "http://me:secret@origin.example/live/index.m3u8?token=secret",
    ]));
    bench.pass(30 * SEC);
    let saved = serde_json::to_string(&bench.checkpoint()).expect("it can be written");
    assert!(!saved.contains("secret"), "{saved}");
    bench.kill(8, true);
    bench.run(spec(&[
        "http://me:other@origin.example/live/index.m3u8?token=other",
    ]));
    bench.pass(41 * SEC);
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
    assert!(
        bench.downloaded_twice().is_empty(),
        "{:?}",
        bench.downloaded_twice()
    );
}
