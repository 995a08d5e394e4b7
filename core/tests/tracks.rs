//! A source that is a multivariant playlist: its tracks are relayed beside each other, in step.

mod support;

use hls_relay_core::command::Publish;
use hls_relay_core::config::Selection;
use hls_relay_core::event::{Desired, Event, FetchError};
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::playlist::MediaPlaylist;
use std::collections::BTreeMap;
use support::origin::Run;
use support::{Bench, SEC, media, spec};

const MAIN: &str = "http://origin.example/live/main.m3u8";

/// Two pictures, equal in bandwidth, and a sound.
const MULTIVARIANT: &str = "#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"en.m3u8\"
#EXT-X-VENDOR:kept
#EXT-X-STREAM-INF:BANDWIDTH=10,RESOLUTION=640x360,CODECS=\"avc1.4d,mp4a.40.2\",AUDIO=\"a\"
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=10,RESOLUTION=1280x720,CODECS=\"avc1.64,mp4a.40.2\",AUDIO=\"a\"
high.m3u8
";

/// A track of the source: `(micros, out of step by)`, dead in a span of seconds.
fn list(name: &str, micros: u64, late: u64, dated: bool, now: u64) -> String {
    let mut run = Run::new(micros).named(name, 100);
    (run.window, run.dated) = (8, dated);
    run.at(now.saturating_sub(late))
}

type Lists = BTreeMap<String, MediaPlaylist>;

/// What viewers see after each version.
fn seen(published: &[(u64, Publish)]) -> Vec<(u64, Lists)> {
    let mut now = Lists::new();
    let versions = published.iter().map(|(at, publish)| {
        for playlist in &publish.playlists {
            if &*playlist.name.0 != "index.m3u8" {
                now.insert(playlist.name.0.to_string(), media(&playlist.text));
            }
        }
        (*at, now.clone())
    });
    versions.collect()
}

fn entry(bench: &Bench) -> String {
    let last = bench.published.iter().rev().find_map(|(_, it)| it.entry());
    last.expect("the multivariant playlist is published")
        .to_string()
}

fn run_of(source: support::SourceAt) -> Bench {
    let mut bench = Bench::new(source);
    bench.checker.several = true;
    bench.now = 40 * SEC;
    bench.run(spec(&[MAIN]));
    bench
}

fn whole(dated: bool) -> support::SourceAt {
    Box::new(move |now, url| match url.rsplit('/').next() {
        Some("main.m3u8") => Ok(MULTIVARIANT.to_owned()),
        Some("low.m3u8") => Ok(list("low", 2 * SEC, 0, dated, now)),
        Some("high.m3u8") => Ok(list("high", 2 * SEC, 0, dated, now)),
        Some("en.m3u8") => Ok(list("en", 2 * SEC, 0, dated, now)),
        _ => Err(FetchError::Status(404)),
    })
}

/// Every version: one target duration, and discontinuity numbers that agree with date-times.
fn check(versions: &[(u64, Lists)]) {
    for (at, lists) in versions {
        let targets: Vec<_> = lists.values().map(|it| it.target_duration).collect();
        assert!(
            targets.windows(2).all(|it| it[0] == it[1]),
            "S-25 at {at}: {targets:?}"
        );
        let mut numbers = BTreeMap::new();
        for segment in lists.values().flat_map(|it| &it.segments) {
            if let Some(date) = segment.date_time {
                let number = segment.discontinuity_sequence;
                let known = *numbers.entry(date).or_insert(number);
                assert_eq!(known, number, "S-25 at {at}: {date:?}");
            }
        }
    }
}

#[test]
fn s_26_all_tracks_are_relayed_and_listed_in_step() {
    let mut bench = run_of(whole(true));
    bench.pass(100 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.status().tracks, 3);
    let text = entry(&bench);
    for part in [
        "v0.m3u8",
        "v1.m3u8",
        "URI=\"a0.m3u8\"",
        "#EXT-X-VENDOR:kept",
        "LANGUAGE=\"en\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let versions = seen(&bench.published);
    check(&versions);
    for (at, lists) in &versions {
        assert_eq!(lists.len(), 3);
        let ends = lists.values().filter_map(|it| {
            let last = it.segments.last()?;
            Some((last.date_time? + last.duration).as_micros())
        });
        let ends: Vec<i64> = ends.collect();
        let apart = ends.iter().max().unwrap() - ends.iter().min().unwrap();
        assert!(apart <= 2 * SEC as i64, "at {at}: {ends:?}");
    }
    // One version for all, as a rule.
    assert!(bench.published.len() < 50, "{}", bench.published.len());
    assert_eq!(bench.holes(), 0);
}

#[test]
fn s_35_a_bandwidth_that_lies_is_raised_to_what_is_measured() {
    let mut bench = run_of(whole(true));
    bench.pass(60 * SEC);
    // 1,000 bytes in two seconds, picture and sound.
    assert!(
        entry(&bench).contains("BANDWIDTH=8000,"),
        "{}",
        entry(&bench)
    );
}

#[test]
fn s_26_variants_out_of_step_by_three_segments_are_listed_in_step() {
    let source: support::SourceAt = Box::new(|now, url| match url.rsplit('/').next() {
        Some("high.m3u8") => Ok(list("high", 2 * SEC, 6 * SEC, true, now)),
        _ => whole(true)(now, url),
    });
    let mut bench = run_of(source);
    bench.pass(120 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let versions = seen(&bench.published);
    check(&versions);
    let (_, lists) = versions.last().unwrap();
    let end = |name: &str| {
        let last = lists[name].segments.last().unwrap();
        (last.date_time.unwrap() + last.duration).as_micros()
    };
    assert!(end("v0.m3u8") - end("v1.m3u8") <= 2 * SEC as i64);
    assert!(
        lists
            .values()
            .all(|it| it.segments.iter().all(|segment| !segment.gap))
    );
}

/// Tracks without date-times that count for themselves, each so many segments behind, all with discontinuities at these
/// seconds, whose sequence number nobody states; `sound` is cut into so many microseconds, and `telling` says which of them tell of it.
fn undated(
    sound: u64,
    behind: [u64; 3],
    seconds: &'static [u64],
    telling: [bool; 3],
) -> support::SourceAt {
    let track = move |name: &str, at: usize, first: u64, now: u64| {
        let micros = if at == 2 { sound } else { 2 * SEC };
        let mut run = Run::new(micros).named(name, first);
        (run.window, run.target) = (8, 2);
        for second in seconds.iter().filter(|_| telling[at]) {
            run = run.marked(first + second * SEC / micros, "#EXT-X-DISCONTINUITY");
        }
        run.at(now.saturating_sub(behind[at] * micros))
    };
    Box::new(move |now, url| match url.rsplit('/').next() {
        Some("low.m3u8") => Ok(track("low", 0, 100, now)),
        Some("high.m3u8") => Ok(track("high", 1, 5_000, now)),
        Some("en.m3u8") => Ok(track("en", 2, 70, now)),
        _ => whole(false)(now, url),
    })
}

/// What stands behind each discontinuity of each list, in whichever version.
fn behind_breaks(bench: &Bench) -> BTreeMap<String, Vec<(u64, String)>> {
    let mut found: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for (_, lists) in seen(&bench.published) {
        for (name, list) in lists {
            let breaks = list.segments.iter().filter(|it| it.discontinuity);
            for it in breaks {
                let what = bench.checker.content.get(&*it.uri);
                let what = what.map_or("a gap".to_owned(), |url| {
                    url.rsplit('/').next().unwrap().to_owned()
                });
                let entry = (it.discontinuity_sequence, what);
                let known = found.entry(name.clone()).or_default();
                if !known.contains(&entry) {
                    known.push(entry);
                }
            }
        }
    }
    found
}

#[test]
fn s_27_without_date_times_a_discontinuity_is_before_the_same_media_in_all_tracks() {
    // At 22 s, only lists that are behind still have the first when it begins.
    for (sound, behind, seconds) in [
        (2 * SEC, [0, 3, 1], &[90][..]),
        (2 * SEC, [3, 0, 2], &[90]),
        (1_500_000, [0, 0, 0], &[90]),
        (1_500_000, [0, 2, 3], &[90]),
        (2 * SEC, [0, 2, 0], &[22, 90]),
        (2 * SEC, [3, 0, 1], &[22, 90]),
        (1_500_000, [2, 0, 0], &[22, 90]),
    ] {
        let mut bench = run_of(undated(sound, behind, seconds, [true; 3]));
        bench.pass(120 * SEC);
        let broken = |first: u64, micros: u64| first + 90 * SEC / micros;
        let expected = [
            ("a0.m3u8", format!("en{}.ts", broken(70, sound))),
            ("v0.m3u8", format!("low{}.ts", broken(100, 2 * SEC))),
            ("v1.m3u8", format!("high{}.ts", broken(5_000, 2 * SEC))),
        ];
        let expected = expected.map(|(name, what)| (name.to_owned(), vec![(1, what)]));
        let why = format!("{sound} us, {behind:?} behind, {seconds:?}");
        assert_eq!(behind_breaks(&bench), expected.into(), "{why}");
        assert_eq!(bench.holes(), 0, "{why}");
        let versions = seen(&bench.published);
        let mut segments = versions
            .iter()
            .flat_map(|(_, lists)| lists.values())
            .flat_map(|list| &list.segments);
        assert!(segments.all(|it| !it.gap), "{why}");
    }
}

#[test]
fn a_track_that_does_not_tell_of_a_discontinuity_goes_on_with_the_others() {
    let mut bench = run_of(undated(2 * SEC, [0; 3], &[90], [true, false, true]));
    bench.pass(120 * SEC);
    assert_eq!(bench.holes(), 0);
    let (_, lists) = seen(&bench.published).pop().unwrap();
    let newest = |name: &str| {
        let last = lists[name].segments.last().unwrap();
        let url = &bench.checker.content[&*last.uri];
        let number = url.rsplit_once("high").or(url.rsplit_once("low"));
        let number = number.unwrap().1.strip_suffix(".ts").unwrap();
        (last.discontinuity_sequence, number.parse::<u64>().unwrap())
    };
    let (low, high) = (newest("v0.m3u8"), newest("v1.m3u8"));
    assert_eq!((low.0, high.0), (1, 1));
    assert!(
        (low.1 - 100).abs_diff(high.1 - 5_000) <= 1,
        "{low:?} {high:?}"
    );
}

#[test]
fn s_22_all_tracks_have_date_times_or_none() {
    for dated in [true, false] {
        let mut bench = run_of(whole(dated));
        bench.pass(60 * SEC);
        let versions = seen(&bench.published);
        check(&versions);
        let lists = versions.iter().flat_map(|(_, lists)| lists.values());
        let mut segments = lists.flat_map(|it| &it.segments);
        assert!(segments.all(|it| it.date_time.is_some() == dated));
    }
}

#[test]
fn s_47_a_variant_that_dies_gets_gaps_stops_nobody_and_comes_back() {
    let source: support::SourceAt = Box::new(|now, url| match url.rsplit('/').next() {
        Some("high.m3u8") if (60 * SEC..90 * SEC).contains(&now) => Err(FetchError::Status(500)),
        _ => whole(true)(now, url),
    });
    let mut bench = run_of(source);
    bench.pass(85 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.status().left_behind, 1);
    assert!(
        bench.told(|it| matches!(it, Notice::LeftBehind { track, .. } if &*track.0 == "v1.m3u8"))
    );
    let versions = seen(&bench.published);
    let (_, lists) = versions.last().unwrap();
    assert!(lists["v1.m3u8"].segments.last().unwrap().gap);
    assert!(!lists["v0.m3u8"].segments.last().unwrap().gap);
    bench.pass(150 * SEC);
    assert_eq!(bench.status().left_behind, 0);
    assert!(bench.told(|it| matches!(it, Notice::CaughtUp { .. })));
    let versions = seen(&bench.published);
    check(&versions);
    let (_, lists) = versions.last().unwrap();
    assert!(
        lists
            .values()
            .all(|it| it.segments.iter().all(|segment| !segment.gap))
    );
}

#[test]
fn s_70_a_restart_goes_on_in_all_tracks() {
    let mut bench = run_of(whole(true));
    bench.pass(80 * SEC);
    let before = seen(&bench.published).pop().unwrap().1;
    bench.kill(9, true);
    bench.run(spec(&[MAIN]));
    bench.pass(130 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let versions = seen(&bench.published);
    check(&versions);
    let (_, after) = versions.last().unwrap();
    for (name, list) in after {
        let was = &before[name];
        assert!(list.media_sequence > was.media_sequence, "{name}");
        assert_eq!(
            list.discontinuity_sequence, was.discontinuity_sequence,
            "{name}"
        );
        assert!(
            list.segments.iter().all(|it| !it.discontinuity && !it.gap),
            "{name}"
        );
    }
    assert_eq!(bench.downloaded_twice(), Vec::<String>::new());
}

#[test]
fn tokens_that_have_run_out_are_renewed_once_for_all_tracks() {
    let token = |now: u64| now / (30 * SEC);
    let source: support::SourceAt = Box::new(move |now, url| {
        if url.ends_with("main.m3u8") {
            let with = |name: &str| format!("{name}?t={}", token(now));
            let list = MULTIVARIANT.replace("low.m3u8", &with("low.m3u8"));
            let list = list.replace("high.m3u8", &with("high.m3u8"));
            return Ok(list.replace("en.m3u8", &with("en.m3u8")));
        }
        let (path, has) = url.split_once("?t=").expect("a token");
        if has != token(now).to_string() {
            return Err(FetchError::Status(403));
        }
        whole(true)(now, path)
    });
    let mut bench = run_of(source);
    bench.pass(130 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.loads_of(MAIN).len(), 4);
    assert_eq!(bench.holes(), 0);
}

/// As [`whole`], where the multivariant playlist gives out the token of the moment, and each list hands it on.
fn with_tokens(token: fn(u64) -> u64, accepts: fn(u64, u64) -> bool) -> support::SourceAt {
    Box::new(move |now, url| {
        let Some((path, has)) = url.split_once("?t=") else {
            let with =
                |list: String, name: &str| list.replace(name, &format!("{name}?t={}", token(now)));
            let names = ["low.m3u8", "high.m3u8", "en.m3u8"];
            return Ok(names.into_iter().fold(MULTIVARIANT.to_owned(), with));
        };
        if !accepts(now, has.parse().expect("a number")) {
            return Err(FetchError::Status(403));
        }
        Ok(whole(true)(now, path)?.replace(".ts", &format!(".ts?t={has}")))
    })
}

#[test]
fn a_request_with_an_old_url_that_fails_after_new_ones_came_asks_for_no_others() {
    let token = |now: u64| u64::from(now >= 70 * SEC);
    let mut bench = run_of(with_tokens(token, |now, has| now < 70 * SEC || has == 1));
    // The sound takes long to be refused.
    bench.load_takes = Box::new(|now, url| match now {
        now if now >= 70 * SEC && url.ends_with("en.m3u8?t=0") => 3 * SEC,
        _ => 10_000,
    });
    bench.pass(110 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let refused = bench.loads_of("http://origin.example/live/en.m3u8?t=0");
    assert!(
        refused.last().is_some_and(|at| *at >= 70 * SEC),
        "{refused:?}"
    );
    assert_eq!(bench.loads_of(MAIN).len(), 2, "{:?}", bench.loads_of(MAIN));
    assert_eq!(bench.holes(), 0);
}

#[test]
fn segments_that_were_refused_wait_for_the_list_with_their_new_urls() {
    // Playlists are given to anybody, and segments to who has the token of the moment.
    let token = |now: u64| u64::from(now >= 70 * SEC);
    let mut bench = run_of(with_tokens(token, |_, _| true));
    bench.segment = Box::new(|now, url| match now >= 70 * SEC && url.ends_with("?t=0") {
        true => Err(FetchError::Status(403)),
        false => Ok(50_000),
    });
    bench.pass(110 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.loads_of(MAIN).len(), 2, "{:?}", bench.loads_of(MAIN));
    assert_eq!(bench.holes(), 0);
}

#[test]
fn what_is_not_selected_is_neither_loaded_nor_listed() {
    let mut bench = Bench::new(whole(false));
    bench.checker.several = true;
    bench.now = 40 * SEC;
    let mut spec = spec(&[MAIN]);
    spec.selection = Selection {
        max_height: Some(400),
        ..Selection::default()
    };
    bench.run(spec);
    bench.pass(80 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert!(!entry(&bench).contains("1280x720"));
    assert!(
        bench
            .loads_of("http://origin.example/live/high.m3u8")
            .is_empty()
    );
}

#[test]
fn a_multivariant_playlist_that_has_nothing_that_is_wanted_is_asked_for_more_and_more_seldom() {
    let mut bench = Bench::new(whole(false));
    bench.now = 40 * SEC;
    let mut spec = spec(&[MAIN]);
    spec.selection.max_height = Some(100);
    bench.run(spec);
    bench.pass(240 * SEC);
    let asked = bench.loads_of(MAIN);
    let gaps = asked.windows(2).map(|pair| (pair[0], pair[1] - pair[0]));
    // As one that cannot be had: half of the target duration that is assumed, for a minute.
    let quick: Vec<u64> = gaps
        .clone()
        .filter(|it| it.0 < 95 * SEC)
        .map(|it| it.1)
        .collect();
    assert!(quick.iter().all(|it| *it <= 2_300_000), "{quick:?}");
    let slow: Vec<u64> = gaps.filter(|it| it.0 > 180 * SEC).map(|it| it.1).collect();
    assert!(slow.iter().all(|it| *it >= 9 * SEC), "{slow:?}");
    assert!((25..50).contains(&asked.len()), "{}", asked.len());
    let told = |it: &&(u64, Notice)| matches!(it.1, Notice::PlaylistRefused { .. });
    assert_eq!(bench.notices.iter().filter(told).count(), 1);
}

#[test]
fn s_15_a_stop_closes_all_tracks_and_takes_all_down() {
    let mut bench = run_of(whole(true));
    bench.pass(80 * SEC);
    bench.configure(spec(&[MAIN]), Desired::Stop);
    bench.pass(82 * SEC);
    let (_, lists) = seen(&bench.published).pop().unwrap();
    assert!(lists.values().all(|it| it.end_list));
    bench.pass(140 * SEC);
    assert_eq!(bench.withdrawn, 1);
    assert!(bench.objects.is_empty(), "{:?}", bench.objects);
    bench.step(Event::ShutDown);
    bench.pass(150 * SEC);
    assert!(bench.relay.is_finished());
}

#[test]
fn c_38_media_playlists_import_what_the_multivariant_one_has_defined() {
    let mut bench = run_of(Box::new(|now, url| match url.rsplit('/').next() {
        Some("main.m3u8") => Ok(MULTIVARIANT.replace(
            "#EXTM3U\n",
            "#EXTM3U\n#EXT-X-DEFINE:NAME=\"edge\",VALUE=\"http://edge.example/\"\n",
        )),
        Some(name) => {
            let text = list(name, 2 * SEC, 0, true, now);
            let text = text.replacen("#EXTM3U\n", "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"edge\"\n", 1);
            Ok(text.replace(&format!("\n{name}"), &format!("\n{{$edge}}{name}")))
        }
        None => Err(FetchError::Status(404)),
    }));
    bench.pass(60 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert!(bench.downloads.len() >= 30, "{}", bench.downloads.len());
    let edge = |(_, url, _): &&(u64, String, String)| url.starts_with("http://edge.example/");
    assert_eq!(
        bench.downloads.iter().filter(edge).count(),
        bench.downloads.len()
    );
    let text: String = bench
        .published
        .iter()
        .flat_map(|it| &it.1.playlists)
        .map(|it| &*it.text)
        .collect();
    assert!(!text.contains("DEFINE") && !text.contains("{$"));
}

#[test]
fn without_a_variant_there_is_nothing_to_open() {
    let mut bench = run_of(Box::new(|now, url| match url.rsplit('/').next() {
        Some("low.m3u8" | "high.m3u8") if now < 70 * SEC => Err(FetchError::Status(404)),
        _ => whole(true)(now, url),
    }));
    bench.pass(69 * SEC);
    assert!(bench.published.is_empty(), "{}", entry(&bench));
    bench.pass(100 * SEC);
    assert!(entry(&bench).contains("v0.m3u8"));
}

#[test]
fn a_variant_that_dies_is_had_from_the_redundant_one() {
    // The same variant from another place (RFC 8216 6.2.4), and once more from the first.
    let variant = "#EXT-X-STREAM-INF:BANDWIDTH=10,CODECS=\"avc1.4d\"\n";
    let main = format!("#EXTM3U\n{variant}low.m3u8\n{variant}other/low.m3u8\n{variant}low.m3u8\n");
    let mut bench = run_of(Box::new(move |now, url| match url {
        MAIN => Ok(main.clone()),
        _ if !url.contains("/other/") && now > 60 * SEC => Err(FetchError::Status(404)),
        _ => Ok(list("low", 2 * SEC, 0, true, now)),
    }));
    bench.pass(120 * SEC);
    assert!(bench.told(|it| matches!(it, Notice::Redundant { .. })));
    assert_eq!(bench.status().state, State::Live);
    assert_eq!(bench.status().tracks, 1);
    assert_eq!(entry(&bench).matches("v0.m3u8").count(), 1);
    let moved = bench.loads_of("http://origin.example/live/other/low.m3u8");
    assert!(moved.first().is_some_and(|at| *at > 60 * SEC), "{moved:?}");
    // The two places hold the same, and nothing of it twice.
    assert_eq!(bench.downloaded_twice(), [""; 0]);
}

#[test]
fn a_redundant_variant_takes_the_renditions_of_its_own_group_along() {
    let group = |id: &str, folder: &str| {
        let what = "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES";
        format!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{id}\",{what},URI=\"{folder}en.m3u8\"\n\
             #EXT-X-STREAM-INF:BANDWIDTH=10,CODECS=\"avc1.4d,mp4a.40.2\",AUDIO=\"{id}\"\n{folder}low.m3u8\n"
        )
    };
    let main = format!(
        "#EXTM3U\n{}{}",
        group("aac", ""),
        group("aac-backup", "other/")
    );
    let mut bench = run_of(Box::new(move |now, url| match url {
        MAIN => Ok(main.clone()),
        _ if !url.contains("/other/") && now > 60 * SEC => Err(FetchError::Status(404)),
        _ if url.ends_with("en.m3u8") => Ok(list("en", 2 * SEC, 0, true, now)),
        _ => Ok(list("low", 2 * SEC, 0, true, now)),
    }));
    bench.pass(120 * SEC);
    assert_eq!(
        (bench.status().state, bench.status().tracks),
        (State::Live, 2)
    );
    let entry = entry(&bench);
    assert!(
        !entry.contains("backup") && entry.matches(".m3u8").count() == 2,
        "{entry}"
    );
    for backup in ["low", "en"] {
        let moved = bench.loads_of(&format!("http://origin.example/live/other/{backup}.m3u8"));
        assert!(
            moved.first().is_some_and(|at| *at > 60 * SEC),
            "{backup}: {moved:?}"
        );
    }
    assert_eq!(bench.downloaded_twice(), [""; 0]);
}

#[test]
fn c_17_a_redundant_variant_that_counts_otherwise_is_paired_by_date() {
    let variant = "#EXT-X-STREAM-INF:BANDWIDTH=10,CODECS=\"avc1.4d\"\n";
    let main = format!("#EXTM3U\n{variant}low.m3u8\n{variant}other/low.m3u8\n");
    let there = Run::new(2 * SEC).named("other", 5_000).dated();
    let mut bench = run_of(Box::new(move |now, url| match url {
        MAIN => Ok(main.clone()),
        // First the one place fails, and then the other.
        _ if url.contains("/other/") && now < 100 * SEC => Ok(there.at(now)),
        _ if url.contains("/other/") || (60 * SEC..90 * SEC).contains(&now) => {
            Err(FetchError::Status(404))
        }
        _ => Ok(list("low", 2 * SEC, 0, true, now)),
    }));
    bench.pass(140 * SEC);
    let redundant = |it: &&(u64, Notice)| matches!(it.1, Notice::Redundant { .. });
    assert!(bench.notices.iter().filter(redundant).count() >= 2);
    assert_eq!(bench.status().state, State::Live);
    let is_other = |url: &str| url.contains("/other/");
    let number = |url: &str| {
        let digits = url.trim_end_matches(".ts");
        let name = digits.trim_end_matches(|it: char| it.is_ascii_digit());
        let number: u64 = digits[name.len()..].parse().expect("a number");
        number - if is_other(url) { 5_000 } else { 100 }
    };
    let segments = bench.requests.iter().map(|it| &*it.url);
    let segments: Vec<&str> = segments.filter(|url| url.ends_with(".ts")).collect();
    assert!(segments.iter().filter(|url| is_other(url)).count() > 10);
    let asked: Vec<u64> = segments.iter().map(|url| number(url)).collect();
    assert!(
        asked.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{asked:?}"
    );
    // It goes on segment by segment.
    for (_, lists) in seen(&bench.published) {
        let Some(list) = lists.get("v0.m3u8") else {
            continue;
        };
        assert!(list.segments.iter().all(|it| !it.discontinuity && !it.gap));
        for pair in list.segments.windows(2) {
            let ends = pair[0].date_time.map(|at| at + pair[0].duration);
            assert_eq!(ends, pair[1].date_time);
        }
    }
}

#[test]
fn a_track_that_joins_later_is_asked_for_at_the_pace_of_the_others() {
    let variant = "#EXT-X-STREAM-INF:BANDWIDTH=10,RESOLUTION=1x1,CODECS=\"avc1.4d\"\n";
    let other = "#EXT-X-STREAM-INF:BANDWIDTH=20,RESOLUTION=2x2,CODECS=\"avc1.4d\"\n";
    // Another run of the encoder has another variant, whose playlist cannot be had.
    let first = Run::new(12 * SEC).dated().between(0, 120 * SEC);
    let second = Run::new(12 * SEC).named("b", 5).dated();
    let second = second.between(100 * SEC, u64::MAX);
    let mut bench = run_of(Box::new(move |now, url| match url {
        MAIN if now < 130 * SEC => Ok(format!("#EXTM3U\n{variant}low.m3u8\n")),
        MAIN => Ok(format!("#EXTM3U\n{variant}low.m3u8\n{other}high.m3u8\n")),
        _ if url.contains("high") => Err(FetchError::Status(500)),
        _ if now < 130 * SEC => Ok(first.at(now)),
        _ => Ok(second.at(now)),
    }));
    bench.pass(220 * SEC);
    let asked = bench.loads_of("http://origin.example/live/high.m3u8");
    assert!(asked.len() > 3, "{asked:?}");
    assert!(
        asked.windows(2).all(|it| it[1] - it[0] > 4 * SEC),
        "{asked:?}"
    );
}
