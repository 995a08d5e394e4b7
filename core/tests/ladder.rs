//! A ladder, as its viewers and its workers see it.

mod support;

use hls_relay_core::command::Transcode;
use hls_relay_core::config::{HolePolicy, Spec};
use hls_relay_core::event::{Event, FetchError, RungError, TranscodeError};
use hls_relay_core::ladder::Ladder;
use hls_relay_core::ladder::RungAudio;
use hls_relay_core::notice::{LadderWaits, Miss, Notice};
use hls_relay_core::playlist::MediaPlaylist;
use hls_relay_core::time::Span;
use std::collections::BTreeMap;
use support::origin::Run;
use support::{Bench, SEC, URL, ladder, live, made, spec};

fn with(ladder: Option<Ladder>) -> Spec {
    Spec {
        ladder,
        ..spec(&[URL])
    }
}

fn bench() -> Bench {
    let list = live(4 * SEC, 100, "seg");
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now + 40 * SEC))));
    bench.checker.several = true;
    bench
}

/// The newest version of each playlist by name, parsed; and what viewers open.
fn visible(bench: &Bench) -> (BTreeMap<String, MediaPlaylist>, String) {
    let (mut lists, mut entry) = (BTreeMap::new(), String::new());
    for playlist in bench.published.iter().flat_map(|(_, it)| &it.playlists) {
        let text = playlist.text.to_string();
        if text.contains("#EXT-X-STREAM-INF") {
            entry = text;
        } else {
            lists.insert(playlist.name.0.to_string(), support::media(&text));
        }
    }
    (lists, entry)
}

fn gaps(list: &MediaPlaylist) -> Vec<u64> {
    let gaps = list.segments.iter().filter(|it| it.gap);
    gaps.map(|it| it.media_sequence).collect()
}

fn notices(bench: &Bench) -> impl Iterator<Item = &Notice> {
    bench.notices.iter().map(|(_, notice)| notice)
}

#[test]
fn rungs_are_offered_with_what_they_are_made_of_and_stand_side_by_side() {
    let mut bench = bench();
    bench.run(with(ladder(&[720, 480], true)));
    bench.pass(60 * SEC);
    let (lists, entry) = visible(&bench);
    let lines: Vec<&str> = entry.lines().collect();
    assert_eq!(lines.len(), 8, "{entry}");
    assert!(
        lines[2].ends_with("RESOLUTION=1920x1080,FRAME-RATE=29.970"),
        "{entry}"
    );
    assert_eq!(
        (lines[3], lines[5], lines[7]),
        ("source.m3u8", "720p.m3u8", "480p.m3u8")
    );
    assert!(lines[4].starts_with("#EXT-X-STREAM-INF:BANDWIDTH=720000,AVERAGE-BANDWIDTH=720000,"));
    assert!(lines[4].contains("CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720"));
    let source = &lists["source.m3u8"];
    for rung in ["720p.m3u8", "480p.m3u8"] {
        let list = &lists[rung];
        assert!(list.independent_segments && gaps(list).is_empty());
        let times = |list: &MediaPlaylist| -> Vec<_> {
            let segments = list.segments.iter();
            let times = segments.map(|it| (it.media_sequence, it.duration, it.date_time));
            times.collect()
        };
        assert_eq!(times(list), times(source), "{rung}");
    }
    // Each is made right behind the one before it.
    let behind = |pair: &[(u64, Transcode)]| {
        let before = pair[1].1.before.as_ref().map(|it| &it.object);
        before == Some(&pair[0].1.input)
    };
    assert!(bench.transcodes.windows(2).all(behind));
    assert!(bench.transcodes[0].1.before.is_none());
}

#[test]
fn a_segment_waits_for_its_rungs_as_long_as_it_lasts_and_no_longer() {
    let mut bench = bench();
    bench.transcode = Box::new(|now, it| match now < 30 * SEC {
        true => (SEC, Ok(made(it))),
        false => (100 * SEC, Ok(made(it))),
    });
    bench.run(with(ladder(&[480], true)));
    bench.pass(60 * SEC);
    let late = bench.transcodes.iter().filter(|it| it.0 >= 30 * SEC);
    let late: Vec<_> = late.collect();
    // Three of them, and the rung is left out.
    assert_eq!(late.len(), 3);
    for (asked, it) in late {
        let uri = &it.input.0;
        let listed = bench.published.iter().find(|(_, version)| {
            let mut lists = version.playlists.iter();
            lists.any(|list| list.text.contains(&**uri))
        });
        let waited = listed.map(|(at, _)| at - asked).unwrap();
        assert_eq!(waited, it.duration.as_micros());
    }
    let suspended = |it: &&Notice| matches!(it, Notice::RungSuspended { rung, why: Miss::Late(_), .. } if &**rung == "480p");
    assert_eq!(notices(&bench).filter(suspended).count(), 1);
    let status = bench.status();
    assert!(
        status
            .rungs
            .iter()
            .any(|it| it.suspended.is_some() && !it.complete)
    );
    let (lists, entry) = visible(&bench);
    assert!(entry.contains("480p.m3u8"), "it goes on listing gaps");
    assert!(!gaps(&lists["480p.m3u8"]).is_empty() && gaps(&lists["source.m3u8"]).is_empty());
}

#[test]
fn a_source_that_is_to_be_seen_soon_is_listed_before_its_rungs() {
    let mut bench = bench();
    bench.transcode = Box::new(|now, it| match now / SEC {
        40..48 => (2 * SEC, Ok(made(it))),
        _ => (SEC / 2, Ok(made(it))),
    });
    let mut hasty = ladder(&[480], true);
    hasty.as_mut().unwrap().patience = Some(Span::from_secs(1));
    bench.run(with(hasty));
    bench.pass(60 * SEC);
    let late: Vec<_> = bench
        .transcodes
        .iter()
        .filter(|it| (40..48).contains(&(it.0 / SEC)))
        .collect();
    assert_eq!(late.len(), 2);
    for (asked, it) in late {
        assert_eq!(it.within, Span::from_secs(1));
        let uri = &it.input.0;
        let listed = bench.published.iter().find(|(_, version)| {
            let mut lists = version.playlists.iter();
            lists.any(|list| list.text.contains(&**uri))
        });
        assert_eq!(listed.map(|(at, _)| at - asked), Some(SEC));
    }
    let (lists, _) = visible(&bench);
    assert_eq!(gaps(&lists["480p.m3u8"]).len(), 2);
    assert!(gaps(&lists["source.m3u8"]).is_empty());
}

#[test]
fn segments_are_said_to_be_independent_where_the_source_is_not_listed() {
    for passthrough in [true, false] {
        let mut bench = bench();
        bench.run(with(ladder(&[480], passthrough)));
        bench.pass(60 * SEC);
        let (_, entry) = visible(&bench);
        let said = entry.contains("#EXT-X-INDEPENDENT-SEGMENTS");
        assert_eq!(said, !passthrough, "{entry}");
    }
}

#[test]
fn what_is_made_too_late_is_deleted_and_never_listed() {
    let mut bench = bench();
    bench.transcode = Box::new(|_, it| (100 * SEC, Ok(made(it))));
    bench.run(with(ladder(&[480], true)));
    bench.pass(40 * SEC);
    let first = bench.transcodes[0].1.clone();
    let stray = Event::Transcoded {
        request: first.request,
        outcome: Ok(made(&first)),
    };
    bench.step(stray);
    bench.pass(60 * SEC);
    for (_, it) in &bench.transcodes {
        let name = it.rungs[0].object.to_string();
        assert!(bench.deleted.iter().any(|(_, deleted)| *deleted == name));
        let mut lists = bench.published.iter().flat_map(|it| &it.1.playlists);
        assert!(lists.all(|list| !list.text.contains(&name)));
    }
}

#[test]
fn an_undecodable_segment_is_a_gap_in_the_rungs_alone() {
    let mut bench = bench();
    bench.transcode = Box::new(|now, it| match now / SEC {
        30..50 => (SEC, Err(TranscodeError::Undecodable("no picture".into()))),
        _ => (SEC, Ok(made(it))),
    });
    bench.run(with(ladder(&[480], true)));
    bench.pass(52 * SEC);
    let (lists, _) = visible(&bench);
    assert!(gaps(&lists["source.m3u8"]).is_empty() && !gaps(&lists["480p.m3u8"]).is_empty());
    assert!(notices(&bench).all(|it| !matches!(it, Notice::RungSuspended { .. })));
    bench.pass(90 * SEC);
    assert!(gaps(&visible(&bench).0["480p.m3u8"]).is_empty());
}

#[test]
fn a_rung_that_fails_alone_is_left_out_alone() {
    let mut bench = bench();
    bench.transcode = Box::new(|_, it| {
        let mut made = made(it);
        for (rung, outcome) in it.rungs.iter().zip(&mut made.rungs) {
            if rung.height == 720 {
                *outcome = Err(RungError::Encode("no memory".into()));
            }
        }
        (SEC, Ok(made))
    });
    bench.run(with(ladder(&[720, 480], true)));
    bench.pass(60 * SEC);
    let last = &bench.transcodes.last().unwrap().1;
    assert_eq!(last.rungs.len(), 1);
    let (lists, entry) = visible(&bench);
    assert!(!entry.contains("720p") && gaps(&lists["480p.m3u8"]).is_empty());

    let rungs = bench.status().rungs;
    let tally = |name: &str| rungs.iter().find(|it| &*it.name == name).unwrap().made;
    assert_eq!(tally("source"), None);
    let answered = |name: &str| {
        let all = bench.transcodes.iter().filter(|it| it.0 + SEC <= bench.now);
        let asked = all.filter(|it| it.1.rungs.iter().any(|rung| &*rung.name == name));
        asked.count() as u64
    };
    let (alone, other) = (tally("720p").unwrap(), tally("480p").unwrap());
    assert_eq!((alone.made, alone.missed), (0, answered("720p")));
    let why_lacking = |name: &str| {
        let rung = rungs.iter().find(|it| &*it.name == name).unwrap();
        rung.lacks.is_some()
    };
    assert!(why_lacking("720p") && !why_lacking("480p"));
    assert_eq!((other.made, other.missed), (answered("480p"), 0));
    assert_eq!(alone.last, None);
    assert_eq!(other.last.map(|it| it.1), Some(Span::from_secs(4)));
}

#[test]
fn a_worker_that_is_lost_early_is_replaced_and_one_that_is_lost_late_is_not() {
    for (dies_after, attempts) in [(SEC, 2), (3 * SEC, 1)] {
        let mut bench = bench();
        bench.transcode = Box::new(move |now, it| match now / SEC {
            20..24 => (dies_after, Err(TranscodeError::WorkerLost("killed".into()))),
            _ => (SEC / 10, Ok(made(it))),
        });
        bench.run(with(ladder(&[480], true)));
        bench.pass(60 * SEC);
        let mut inputs = BTreeMap::new();
        for (_, it) in &bench.transcodes {
            *inputs.entry(it.input.clone()).or_insert(0) += 1;
        }
        assert_eq!(inputs.into_values().max(), Some(attempts));
    }
}

#[test]
fn a_ladder_changes_at_the_border_of_a_segment() {
    let mut bench = bench();
    bench.run(with(ladder(&[720, 480], true)));
    bench.pass(40 * SEC);
    bench.run(with(ladder(&[480, 360], true)));
    bench.pass(41 * SEC);
    bench.pass(46 * SEC);
    let (_, entry) = visible(&bench);
    assert!(
        !entry.contains("720p") && !entry.contains("360p"),
        "{entry}"
    );
    bench.pass(100 * SEC);
    let (lists, entry) = visible(&bench);
    assert!(entry.contains("480p") && entry.contains("360p"), "{entry}");
    assert!(gaps(&lists["480p.m3u8"]).is_empty());
    // What it listed last were gaps alone: nothing of it is needed any more.
    assert_eq!(
        gaps(&lists["720p.m3u8"]).len(),
        lists["720p.m3u8"].segments.len()
    );
    let left = |notice: &&Notice| matches!(notice, Notice::RungLeft { rung } if &**rung == "720p");
    assert_eq!(notices(&bench).filter(left).count(), 1);
}

#[test]
fn a_rung_higher_than_its_source_is_told_once_for_each_height() {
    let mut bench = bench();
    bench.transcode = Box::new(|now, it| {
        let mut made = made(it);
        let source = if now < 60 * SEC { 576 } else { 360 };
        for (rung, outcome) in it.rungs.iter().zip(&mut made.rungs) {
            let stored = outcome.as_mut().unwrap();
            let formats = stored.formats.as_mut().unwrap().as_mut().unwrap();
            formats.resolution.as_mut().unwrap().height = u64::from(rung.height).min(source);
        }
        (SEC, Ok(made))
    });
    bench.run(with(ladder(&[720, 480], true)));
    bench.pass(50 * SEC);
    let lower = |bench: &Bench| -> Vec<_> {
        let rungs = bench.status().rungs.into_iter();
        rungs.map(|it| it.lower).collect()
    };
    assert_eq!(lower(&bench), [None, Some(576), None]);
    bench.pass(100 * SEC);
    assert_eq!(lower(&bench), [None, Some(360), Some(360)]);
    let told = |bench: &Bench| -> Vec<_> {
        let told = notices(bench).filter_map(|it| {
            let Notice::RungLower { rung, height, .. } = it else {
                return None;
            };
            Some((rung.to_string(), *height))
        });
        told.collect()
    };
    let of = |rung: &str, height| (rung.to_owned(), height);
    let heights = [of("720p", 576), of("720p", 360), of("480p", 360)];
    assert_eq!(told(&bench), heights);
    // A rung of a changed ladder is told anew, and one that stays as it was is not.
    bench.run(with(ladder(&[1_080, 480], true)));
    bench.pass(120 * SEC);
    assert_eq!(told(&bench)[3..], [of("1080p", 360)]);
}

/// Whether the newest segments of a rung are there, in each version from the first that leads to it.
fn offered_with_its_newest(bench: &Bench, name: &str, from: u64) -> Vec<bool> {
    let uri = format!("{name}.m3u8");
    let mut offered = Vec::new();
    let mut is_led_to = false;
    for (_, version) in bench.published.iter().filter(|it| it.0 >= from) {
        let entry = version
            .playlists
            .iter()
            .find(|it| it.text.contains("STREAM-INF"));
        is_led_to = entry.map_or(is_led_to, |it| it.text.contains(&*uri));
        let list = version.playlists.iter().find(|it| *it.name.0 == *uri);
        if let Some(list) = list.filter(|_| is_led_to) {
            let segments = support::media(&list.text).segments;
            offered.push(segments.iter().rev().take(3).all(|it| !it.gap));
        }
    }
    offered
}

#[test]
fn a_rung_that_comes_back_waits_for_its_newest_segments() {
    let mut bench = bench();
    let with = |heights: &[u32]| Spec {
        window: Some(12),
        ..with(ladder(heights, true))
    };
    bench.run(with(&[720, 480]));
    bench.pass(60 * SEC);
    bench.run(with(&[480]));
    bench.pass(69 * SEC);
    bench.run(with(&[720, 480]));
    bench.pass(70 * SEC);
    // What it had is listed still, with gaps behind it.
    let (lists, entry) = visible(&bench);
    let had = lists["720p.m3u8"].segments.iter().filter(|it| !it.gap);
    assert!(had.count() > 3 && !entry.contains("720p"), "{entry}");
    bench.pass(100 * SEC);
    let offered = offered_with_its_newest(&bench, "720p", 70 * SEC);
    assert!(
        offered.len() > 3 && offered.iter().all(|it| *it),
        "{offered:?}"
    );
    let entered = notices(&bench)
        .filter(|it| matches!(it, Notice::RungEntered { rung } if &**rung == "720p"));
    assert_eq!(entered.count(), 2);
}

#[test]
fn where_viewers_have_nothing_else_a_rung_with_holes_is_better_than_nothing() {
    for passthrough in [true, false] {
        let mut bench = bench();
        let mut asked = 0_u64;
        bench.transcode = Box::new(move |_, it| {
            asked += 1;
            match asked.is_multiple_of(2) {
                true => (SEC, Err(TranscodeError::Undecodable("no picture".into()))),
                false => (SEC, Ok(made(it))),
            }
        });
        bench.run(with(ladder(&[480], passthrough)));
        bench.pass(60 * SEC);
        let (lists, entry) = visible(&bench);
        assert_eq!(entry.contains("480p"), !passthrough, "{entry}");
        assert_eq!(lists.contains_key("480p.m3u8"), !passthrough);
    }
}

/// One worker, that makes one segment after the other, each in so many percent of what it lasts.
fn one_hand(share: impl Fn(u64) -> u64 + 'static) -> support::TranscodeAt {
    let mut free_at = 0;
    Box::new(move |now, it| {
        let takes = it.duration.as_micros() * share(now) / 100;
        // What nobody waits for any longer is not begun.
        let begins = now.max(free_at);
        let until = now + it.within.as_micros();
        if begins + takes > until {
            free_at = begins.max(until.min(begins + takes));
            return (1_000 * SEC, Ok(made(it)));
        }
        free_at = begins + takes;
        (begins + takes - now, Ok(made(it)))
    })
}

#[test]
fn a_backlog_after_an_outage_is_no_overload() {
    for overload in [false, true] {
        let list = live(4 * SEC, 100, "seg");
        let mut bench = Bench::new(Box::new(move |now, _| match now / SEC {
            40..65 => Err(FetchError::Status(503)),
            _ => Ok(list(now + 40 * SEC)),
        }));
        bench.checker.several = true;
        bench.transcode = one_hand(move |now| match overload && now >= 60 * SEC {
            true => 130,
            false => 45,
        });
        bench.run(with(ladder(&[720, 480], true)));
        bench.pass(120 * SEC);
        let missed = |it: &&(u64, Notice)| matches!(it.1, Notice::RungsMissed { .. });
        let mut afterwards = bench.notices.iter().filter(|it| it.0 > 65 * SEC);
        assert!(afterwards.any(|it| missed(&it)), "some came at once");
        let suspended = |it: &&Notice| matches!(it, Notice::RungSuspended { .. });
        assert_eq!(notices(&bench).any(|it| suspended(&it)), overload);
        let (lists, _) = visible(&bench);
        assert_eq!(gaps(&lists["720p.m3u8"]).is_empty(), !overload);
    }
}

/// One after the other they come in time, also where all at once would not.
#[test]
fn what_has_ended_gets_the_rungs_of_all_its_segments() {
    for share in [10, 90] {
        let mut bench = Bench::new(Box::new(|now, _| {
            let mut run = Run::new(4 * SEC).named("film", 0).between(0, 80 * SEC);
            run.head = "#EXT-X-PLAYLIST-TYPE:VOD\n".to_owned();
            (run.ends, run.window) = (true, 20);
            Ok(run.at(now))
        }));
        bench.checker.several = true;
        bench.now = 200 * SEC;
        bench.transcode = one_hand(move |_| share);
        let spec = Spec {
            window: None,
            ..with(ladder(&[720, 480], true))
        };
        bench.run(spec);
        bench.pass(320 * SEC);
        let (lists, _) = visible(&bench);
        for name in ["source.m3u8", "720p.m3u8", "480p.m3u8"] {
            let list = &lists[name];
            assert!(list.end_list, "{name}, {share} %");
            assert_eq!(list.segments.len(), 20, "{name}, {share} %");
            assert!(gaps(list).is_empty(), "{name}, {share} %: {:?}", gaps(list));
        }
    }
}

#[test]
fn a_rung_with_another_sound_is_another_rung() {
    let mut bench = bench();
    bench.run(with(ladder(&[480], true)));
    bench.pass(30 * SEC);
    let mut other = ladder(&[480], true).unwrap();
    other.audio = RungAudio::Aac { bitrate: 64_000 };
    bench.run(with(Some(other)));
    bench.pass(40 * SEC);
    // What was made with the former sound and what is made with the new one never stand in one list.
    let (lists, entry) = visible(&bench);
    assert!(!entry.contains("480p.m3u8"), "{entry}");
    let newest = lists["480p.m3u8"].segments.last();
    assert!(newest.is_some_and(|it| it.gap));
    bench.pass(120 * SEC);
    let (lists, entry) = visible(&bench);
    assert!(entry.contains("480p.2.m3u8"), "{entry}");
    assert!(gaps(&lists["480p.2.m3u8"]).is_empty());
}

#[test]
fn where_all_rungs_leave_at_once_their_lists_go_on_until_something_else_enters() {
    let mut bench = bench();
    bench.run(with(ladder(&[480], false)));
    bench.pass(40 * SEC);
    let versions = bench.published.len();
    bench.run(with(ladder(&[240], false)));
    bench.pass(48 * SEC);
    // Nothing has three segments yet.
    assert!(bench.published.len() > versions);
    let (lists, entry) = visible(&bench);
    assert!(entry.contains("480p.m3u8"), "{entry}");
    assert!(lists["480p.m3u8"].segments.last().is_some_and(|it| it.gap));
    bench.pass(70 * SEC);
    let (_, entry) = visible(&bench);
    assert!(
        entry.contains("240p.m3u8") && !entry.contains("480p"),
        "{entry}"
    );
}

#[test]
fn viewers_are_told_a_lower_bit_rate_once_nothing_higher_is_listed() {
    let told = |bench: &Bench| {
        let (_, entry) = visible(bench);
        let mut lines = entry.lines();
        let rung = lines.by_ref().take_while(|it| !it.ends_with("480p.m3u8"));
        let rung = rung.last().unwrap().to_owned();
        let value = rung.split_once("BANDWIDTH=").unwrap().1;
        value.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let mut bench = bench();
    bench.run(with(ladder(&[480], true)));
    bench.pass(60 * SEC);
    assert_eq!(told(&bench), 480_000);
    let mut lower = ladder(&[480], true).unwrap();
    lower.rungs[0].bitrate = 200_000;
    bench.run(with(Some(lower)));
    bench.pass(72 * SEC);
    assert_eq!(told(&bench), 480_000);
    bench.pass(160 * SEC);
    assert_eq!(told(&bench), 200_000);
}

#[test]
fn a_media_playlist_that_viewers_have_open_stays_one() {
    let mut bench = bench();
    bench.checker.several = false;
    bench.run(with(None));
    bench.pass(30 * SEC);
    bench.run(with(ladder(&[480], true)));
    bench.pass(60 * SEC);
    assert!(bench.transcodes.is_empty());
    let why = LadderWaits::Opened;
    let told = notices(&bench).filter(|it| **it == Notice::LadderWaits { why });
    assert_eq!(told.count(), 1);
    assert_eq!(bench.status().ladder_waits, Some(why));
    bench.run(with(None));
    bench.pass(SEC);
    assert_eq!(bench.status().ladder_waits, None);
}

#[test]
fn a_multivariant_playlist_of_the_source_alone_gets_its_first_rung_while_it_is_open() {
    let mut bench = bench();
    bench.run(with(ladder(&[], true)));
    bench.pass(20 * SEC);
    let (lists, entry) = visible(&bench);
    assert_eq!(lists.keys().collect::<Vec<_>>(), ["source.m3u8"]);
    assert!(entry.contains("source.m3u8"), "{entry}");
    // Nobody else tells what the source is made of.
    assert!(bench.transcodes.is_empty() && !bench.looks.is_empty());
    bench.run(with(ladder(&[480], true)));
    bench.pass(60 * SEC);
    let (_, entry) = visible(&bench);
    assert!(
        entry.contains("source.m3u8") && entry.contains("480p.m3u8"),
        "{entry}"
    );
    let waits = |it: &&Notice| matches!(it, Notice::LadderWaits { .. });
    assert_eq!(notices(&bench).filter(waits).count(), 0);
}

#[test]
fn a_hole_of_the_source_is_a_gap_in_all() {
    let mut bench = bench();
    bench.segment = Box::new(|_, url| match url.contains("seg115") {
        true => Err(hls_relay_core::event::FetchError::Status(404)),
        false => Ok(50_000),
    });
    let spec = with(ladder(&[480], true));
    assert_eq!(spec.hole, HolePolicy::Gap);
    bench.run(spec);
    bench.pass(70 * SEC);
    let seen = bench.published.iter().rev().find_map(|(_, version)| {
        let lists = version.playlists.iter();
        let lists: Vec<_> = lists
            .filter(|it| it.text.contains("#EXTINF"))
            .map(|it| gaps(&support::media(&it.text)))
            .collect();
        (!lists[0].is_empty()).then_some(lists)
    });
    let lists = seen.expect("a version with a gap");
    assert_eq!(lists[0], lists[1]);
}

#[test]
fn without_its_source_the_last_rung_is_never_left_out() {
    let mut bench = bench();
    bench.transcode = Box::new(|now, it| match now / SEC {
        30..100 => (100 * SEC, Ok(made(it))),
        _ => (SEC, Ok(made(it))),
    });
    bench.run(with(ladder(&[720, 480], false)));
    bench.pass(100 * SEC);
    let asked: Vec<usize> = bench.transcodes.iter().map(|it| it.1.rungs.len()).collect();
    assert!(asked.iter().all(|rungs| *rungs > 0), "{asked:?}");
    let (lists, entry) = visible(&bench);
    assert!(!entry.contains("source.m3u8") && !lists.contains_key("source.m3u8"));
}

#[test]
fn without_its_source_the_last_rung_is_tried_again_however_often_it_fails() {
    let mut bench = bench();
    bench.transcode = Box::new(|_, it| {
        let mut made = made(it);
        made.rungs.fill(Err(RungError::Encode("no memory".into())));
        (SEC, Ok(made))
    });
    bench.run(with(ladder(&[720, 480], false)));
    bench.pass(60 * SEC);
    let asked = bench.transcodes.iter().map(|it| it.0);
    let asked: Vec<u64> = asked.chain([bench.now]).collect();
    let pause = asked.windows(2).map(|it| it[1] - it[0]).max();
    assert!(pause <= Some(6 * SEC), "{asked:?}");
}

#[test]
fn a_process_that_takes_over_goes_on_with_all_rungs() {
    let mut bench = bench();
    bench.run(with(ladder(&[480], true)));
    bench.pass(40 * SEC);
    let before = visible(&bench).0;
    bench.kill(9, true);
    bench.checker.several = true;
    bench.run(with(ladder(&[480], true)));
    bench.pass(80 * SEC);
    let after = visible(&bench).0;
    for name in ["source.m3u8", "480p.m3u8"] {
        assert!(gaps(&after[name]).is_empty());
        assert!(after[name].media_sequence > before[name].media_sequence);
    }
    let mut made = BTreeMap::new();
    for (_, it) in &bench.transcodes {
        *made.entry(it.input.clone()).or_insert(0) += 1;
    }
    assert!(made.values().all(|times| *times == 1));
}

const MAIN: &str = "http://origin.example/live/main.m3u8";

/// A source of three variants, of which the lists are called by their heights; `sound` is a line of a group that
/// all of them have.
fn main_list(sound: &str, token: &str) -> String {
    let variant = |bandwidth: u64, height: u64| {
        format!(
            "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={}x{height},AUDIO=\"a\"\n{height}.m3u8{token}\n",
            height * 16 / 9
        )
    };
    let variants = [variant(10, 360), variant(30, 720), variant(20, 540)].concat();
    format!(
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",DEFAULT=YES{sound}\n{variants}"
    )
}

/// From a minute on only the second tokens are taken.
fn of_variants(sound: &'static str) -> Bench {
    let lists = ["360", "540", "720"].map(|height| (height, live(4 * SEC, 100, height)));
    let mut bench = Bench::new(Box::new(move |now, url| {
        let name = url.rsplit('/').next().unwrap();
        let token = if now < 60 * SEC { "?t=1" } else { "?t=2" };
        if name == "main.m3u8" {
            return Ok(main_list(sound, token));
        }
        let height = name.split('.').next().unwrap();
        let Some(list) = lists.iter().find(|it| it.0 == height) else {
            return Err(FetchError::Status(404));
        };
        match name.ends_with(token) {
            true => Ok((list.1)(now + 40 * SEC)),
            false => Err(FetchError::Status(403)),
        }
    }));
    bench.checker.several = true;
    bench
}

fn of_main(heights: &[u32]) -> Spec {
    Spec {
        ladder: ladder(heights, true),
        ..spec(&[MAIN])
    }
}

/// All that is published is made of this variant.
fn is_all_of(bench: &Bench, height: &str) {
    assert!(bench.downloads.len() > 10);
    for (_, url, _) in &bench.downloads {
        assert!(url.contains(&format!("/{height}")), "{url}");
    }
    let (lists, entry) = visible(bench);
    for name in ["source.m3u8", "480p.m3u8"] {
        assert!(entry.contains(name), "{entry}");
        let list = &lists[name];
        assert!(
            gaps(list).is_empty() && list.segments.len() >= 5,
            "{list:#?}"
        );
        assert!(list.segments.iter().all(|it| !it.discontinuity));
    }
}

#[test]
fn of_several_variants_a_ladder_is_made_of_the_best_one() {
    let mut bench = of_variants("");
    bench.run(of_main(&[480]));
    bench.pass(50 * SEC);
    is_all_of(&bench, "720");
    // Begun with few.
    assert_eq!(
        bench.downloads.iter().filter(|it| it.0 < 4 * SEC).count(),
        3
    );
    // Its URL runs out, and is read again.
    bench.pass(110 * SEC);
    is_all_of(&bench, "720");
    let before = visible(&bench).0["480p.m3u8"].media_sequence;
    bench.kill(9, true);
    bench.checker.several = true;
    bench.run(of_main(&[480]));
    bench.pass(122 * SEC);
    is_all_of(&bench, "720");
    bench.pass(160 * SEC);
    is_all_of(&bench, "720");
    assert!(visible(&bench).0["480p.m3u8"].media_sequence > before);
    assert_eq!(bench.downloaded_twice(), [""; 0]);
}

#[test]
fn of_the_variants_that_are_selected_a_ladder_is_made() {
    let mut bench = of_variants("");
    let mut spec = of_main(&[480]);
    spec.selection.max_height = Some(600);
    bench.run(spec);
    bench.pass(58 * SEC);
    is_all_of(&bench, "540");
}

#[test]
fn a_ladder_of_pictures_whose_sound_is_beside_them_is_refused_with_the_reason() {
    let mut bench = of_variants(",URI=\"sound.m3u8\"");
    bench.run(of_main(&[480]));
    bench.pass(20 * SEC);
    assert!(bench.published.is_empty() && bench.downloads.is_empty());
    let reason = bench.status().reason.map(|it| it.to_string());
    let reason = reason.unwrap_or_default();
    assert!(
        reason.contains("its sound is beside its pictures"),
        "{reason}"
    );
    // Without the ladder it is relayed as it is.
    let mut bench = of_variants(",URI=\"sound.m3u8\"");
    bench.run(spec(&[MAIN]));
    bench.pass(5 * SEC);
    assert!(bench.downloads.len() > 3);
}

/// What a multivariant playlist says beside its variants is told with a ladder as it is without one, and by the next process
/// as well; the keys of the session are those of the source's own media.
#[test]
fn what_a_multivariant_playlist_says_of_all_stays_with_a_ladder() {
    const HEAD: &str = "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-START:TIME-OFFSET=-9\n";
    const KEY: &str =
        "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://one\",KEYFORMAT=\"com.example\"\n";
    const BEHIND: &str = "#EXT-X-VENDOR:of-all\n";
    let of = |passthrough| {
        let run = support::origin::Run::new(2 * SEC);
        let data = "#EXT-X-SESSION-DATA:DATA-ID=\"a\",URI=\"data.json\"\n";
        let variant = "#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n";
        let lower = "#EXT-X-STREAM-INF:BANDWIDTH=8000\nw.m3u8\n";
        let main = format!("#EXTM3U\n{HEAD}{data}{KEY}{lower}{variant}{BEHIND}");
        let mut bench = Bench::new(Box::new(move |now, url| {
            Ok(match url == MAIN {
                true => main.clone(),
                false => run.at(now),
            })
        }));
        bench.checker.several = true;
        bench.now = 20 * SEC;
        bench.run(Spec {
            ladder: ladder(&[480], passthrough),
            ..spec(&[MAIN])
        });
        bench.pass(60 * SEC);
        bench
    };
    let data = "#EXT-X-SESSION-DATA:DATA-ID=\"a\",URI=\"http://origin.example/live/data.json\"\n";
    let lines = |entry: &str| -> String {
        let variants = entry
            .lines()
            .filter(|it| !it.starts_with("#EXT-X-STREAM-INF") && !it.starts_with("#EXT-X-VERSION"));
        variants.map(|it| format!("{it}\n")).collect()
    };
    let mut bench = of(true);
    let (lists, entry) = visible(&bench);
    let told = format!("#EXTM3U\n{HEAD}{data}{KEY}source.m3u8\n480p.m3u8\n{BEHIND}");
    assert_eq!(lines(&entry), told);
    assert!(lists.values().all(|list| list.head.is_empty()));
    let of_rungs_alone = visible(&of(false)).1;
    let told = format!("#EXTM3U\n{HEAD}{data}480p.m3u8\n{BEHIND}");
    assert_eq!(lines(&of_rungs_alone), told);

    let published = bench.published.len();
    bench.kill(9, true);
    bench.checker.several = true;
    bench.run(Spec {
        ladder: ladder(&[480], true),
        ..spec(&[MAIN])
    });
    bench.pass(90 * SEC);
    let after = &bench.published[published..];
    let entries: Vec<_> = after
        .iter()
        .flat_map(|(_, it)| &it.playlists)
        .filter(|it| it.text.contains("#EXT-X-STREAM-INF"))
        .collect();
    assert!(
        !entries.is_empty() && entries.iter().all(|it| *it.text == *entry),
        "{entries:#?}"
    );
}

/// What viewers opened as a media playlist stays one, also where its source shows a multivariant playlist: what that says
/// of where to begin stands in it.
#[test]
fn c_55_a_start_of_the_source_is_that_of_the_only_list() {
    const START: &str = "#EXT-X-START:TIME-OFFSET=-9";
    let run = support::origin::Run::new(2 * SEC);
    let variant = "#EXT-X-STREAM-INF:BANDWIDTH=9000\nv.m3u8\n";
    let main = format!("#EXTM3U\n{START}\n{variant}");
    let mut bench = Bench::new(Box::new(move |now, url| {
        Ok(match url.ends_with("main.m3u8") {
            true => main.clone(),
            false => run.at(now),
        })
    }));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench.pass(60 * SEC);
    bench.run(spec(&[MAIN]));
    bench.pass(90 * SEC);
    let (lists, entry) = visible(&bench);
    assert!(lists.len() == 1 && entry.is_empty(), "{entry}");
    for list in lists.values() {
        assert_eq!(list.head, [START.into()]);
    }
}
