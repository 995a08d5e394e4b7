//! A presentation that has ended: what of it comes later than the rest is shown all the same, once it is whole.

mod support;

use hls_relay_core::event::{Desired, Event, FetchError};
use hls_relay_core::notice::State;
use hls_relay_core::playlist::MediaPlaylist;
use std::collections::BTreeMap;
use support::origin::Run;
use support::{Bench, SEC, SourceAt, Spec, media, spec};

const MAIN: &str = "http://origin.example/vod/main.m3u8";

const MULTIVARIANT: &str = "#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\",URI=\"sound.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"English\",LANGUAGE=\"en\",URI=\"text.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=10,RESOLUTION=640x360,AUDIO=\"a\",SUBTITLES=\"s\"
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=20,RESOLUTION=1280x720,AUDIO=\"a\",SUBTITLES=\"s\"
high.m3u8
";

/// Our name of each, beside that of its source.
const TRACKS: [(&str, &str); 4] = [
    ("low", "v0.m3u8"),
    ("high", "v1.m3u8"),
    ("sound", "a0.m3u8"),
    ("text", "s0.m3u8"),
];

/// Sixteen seconds that ended long ago; of one the list cannot be had before.
fn vod(dated: bool, late: &'static str, until: u64) -> SourceAt {
    Box::new(move |now, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let Some(name) = name.strip_suffix(".m3u8").filter(|it| *it != "main") else {
            return Ok(MULTIVARIANT.to_owned());
        };
        if name == late && now < until {
            return Err(FetchError::Status(503));
        }
        let mut run = Run::new(2 * SEC).named(name, 100).between(0, 16 * SEC);
        run.head = "#EXT-X-PLAYLIST-TYPE:VOD\n".to_owned();
        (run.ends, run.window, run.dated) = (true, 8, dated);
        Ok(run.at(now))
    })
}

fn run_of(source: SourceAt) -> Bench {
    let mut bench = Bench::new(source);
    bench.checker.several = true;
    bench.now = 40 * SEC;
    bench.run(spec(&[MAIN]));
    bench
}

/// The same, of subtitles that take longer than the rest.
fn run_with_slow_subtitles(source: SourceAt) -> Bench {
    let mut bench = run_of(source);
    bench.segment = Box::new(|_, url| Ok(if url.contains("text") { SEC } else { 50_000 }));
    bench
}

/// Every version of each list.
fn lists(bench: &Bench) -> BTreeMap<&str, Vec<MediaPlaylist>> {
    let mut lists: BTreeMap<&str, Vec<MediaPlaylist>> = BTreeMap::new();
    let playlists = bench.published.iter().flat_map(|it| &it.1.playlists);
    for it in playlists.filter(|it| &*it.name.0 != "index.m3u8") {
        lists.entry(&it.name.0).or_default().push(media(&it.text));
    }
    lists
}

fn names(bench: &Bench, track: &str) -> bool {
    let entry = bench.published.iter().rev().find_map(|it| it.1.entry());
    entry.is_some_and(|entry| entry.contains(track))
}

/// It stands beside the others as if it had been there in time, and what is closed stays so.
fn is_whole(bench: &Bench, track: &str) {
    let lists = lists(bench);
    let contents = |name: &str| -> Vec<String> {
        let list = lists[name].last().expect("it is listed");
        assert!(list.end_list && list.segments.iter().all(|it| !it.gap));
        let content = |uri: &str| bench.checker.content[uri].clone();
        let paths = list.segments.iter().map(|it| content(&it.uri));
        let number = |it: String| it.trim_end_matches(".ts")[it.len() - 6..].to_owned();
        paths.map(number).collect()
    };
    let other = if track == "v0.m3u8" {
        "v1.m3u8"
    } else {
        "v0.m3u8"
    };
    assert_eq!(contents(track), contents(other), "{track}");
    stay_closed(&lists);
}

/// No list has changed after its end (S-15).
fn stay_closed(lists: &BTreeMap<&str, Vec<MediaPlaylist>>) {
    let first = |list: &MediaPlaylist| list.segments[0].uri.to_string();
    for (name, versions) in lists {
        let closed = versions.iter().skip_while(|it| !it.end_list);
        let closed: Vec<_> = closed.map(|it| (first(it), it.segments.len())).collect();
        assert!(
            closed.windows(2).all(|it| it[0] == it[1]),
            "{name}: {closed:?}"
        );
    }
}

#[test]
fn a_track_whose_list_comes_after_the_end_is_shown_once_it_is_whole() {
    for (late, track) in TRACKS {
        for dated in [true, false] {
            let mut bench = run_of(vod(dated, late, 70 * SEC));
            bench.pass(69 * SEC);
            assert_eq!(bench.status().state, State::Ended, "{late}");
            assert!(!names(&bench, track), "{late}");
            bench.pass(90 * SEC);
            assert_eq!(bench.status().state, State::Ended, "{late}");
            assert!(names(&bench, track), "{late}");
            is_whole(&bench, track);
            let versions = &lists(&bench)[track];
            assert_eq!(versions.len(), 1, "S-15: {late} is shown when it is whole");
        }
    }
}

#[test]
fn subtitles_that_take_longer_than_the_rest_are_in_the_lists_that_are_closed() {
    let mut bench = run_with_slow_subtitles(vod(true, "", 0));
    bench.pass(70 * SEC);
    assert_eq!(bench.status().state, State::Ended);
    is_whole(&bench, "s0.m3u8");
}

#[test]
fn what_comes_after_the_end_is_begun_again_by_another_process() {
    let mut bench = run_with_slow_subtitles(vod(true, "text", 70 * SEC));
    bench.pass(72 * SEC);
    assert!(!names(&bench, "s0.m3u8"));
    bench.step(Event::ShutDown);
    bench.pass(85 * SEC);
    assert!(bench.relay.is_finished());
    bench.kill(9, true);
    bench.run(spec(&[MAIN]));
    bench.pass(120 * SEC);
    assert!(names(&bench, "s0.m3u8"));
    is_whole(&bench, "s0.m3u8");
}

#[test]
fn a_stop_does_not_wait_for_what_comes_after_the_end() {
    let mut bench = run_with_slow_subtitles(vod(true, "text", 70 * SEC));
    bench.pass(72 * SEC);
    bench.configure(spec(&[MAIN]), Desired::Stop);
    bench.pass(200 * SEC);
    assert_eq!(bench.withdrawn, 1);
    assert!(bench.objects.is_empty(), "{:?}", bench.objects);
}

#[test]
fn a_list_that_was_closed_by_a_stop_does_not_go_on_where_its_source_has_ended_meanwhile() {
    // Nothing is left of what viewers have seen, but that it was closed (S-15).
    let source: SourceAt = Box::new(|now, _| {
        let mut run = Run::new(2 * SEC).between(0, 30 * SEC);
        run.ends = true;
        Ok(run.at(now))
    });
    let mut bench = Bench::new(source);
    bench.run(spec(&[MAIN]));
    bench.pass(20 * SEC);
    bench.configure(spec(&[MAIN]), Desired::Stop);
    bench.pass(22 * SEC);
    assert!(bench.last().end_list);
    bench.kill(9, false);
    bench.configure(spec(&[MAIN]), Desired::Stop);
    bench.pass(31 * SEC);
    assert_eq!(bench.withdrawn, 0, "viewers may still have it");
    bench.run(spec(&[MAIN]));
    bench.pass(40 * SEC);
    let after = bench.last();
    assert!(after.end_list && after.segments.len() == 6);
    assert!(after.segments[0].discontinuity, "{after:?}");
}

#[test]
fn a_variant_that_can_never_be_had_does_not_keep_the_lists_open() {
    let mut bench = run_of(vod(true, "high", u64::MAX));
    bench.pass(100 * SEC);
    assert_eq!(bench.status().state, State::Ended);
    assert!(
        lists(&bench)["v0.m3u8"]
            .last()
            .is_some_and(|it| it.end_list)
    );
}

/// What becomes of a media playlist until second 60; its end is not shown until second 70.
#[derive(Clone, Copy, Debug)]
enum Dies {
    /// It answers 503 from then on.
    Fails(u64),
    /// It stays as it was then.
    Stays(u64),
}

/// Live until second 40, and then all have ended but one.
fn live(dead: &'static str, dies: Dies) -> SourceAt {
    Box::new(move |now, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let Some(name) = name.strip_suffix(".m3u8").filter(|it| *it != "main") else {
            return Ok(MULTIVARIANT.to_owned());
        };
        let mut run = Run::new(2 * SEC).named(name, 100).between(0, 40 * SEC);
        let is_dead = name == dead && now < 60 * SEC;
        (run.ends, run.dated) = (name != dead || now >= 70 * SEC, true);
        match dies {
            Dies::Fails(at) if is_dead && now >= at => Err(FetchError::Status(503)),
            Dies::Stays(at) if is_dead => Ok(run.at(now.min(at))),
            Dies::Fails(_) | Dies::Stays(_) => Ok(run.at(now)),
        }
    })
}

#[test]
fn a_playlist_that_dies_right_at_the_end_does_not_keep_the_lists_open() {
    // It lacks the end alone, or the last segment as well.
    let deaths = [Dies::Fails, Dies::Stays].map(|it| [42, 39].map(|at| it(at * SEC)));
    for dies in deaths.into_iter().flatten() {
        for dead in ["low", "high", "sound"] {
            let mut bench = Bench::new(live(dead, dies));
            bench.checker.several = true;
            bench.run(spec(&[MAIN]));
            for until in [60, 62, 64, 66, 68, 120] {
                bench.pass(until * SEC);
                let what = format!("{dead} {dies:?} at {until}");
                assert_eq!(bench.status().state, State::Ended, "{what}");
                let lists = lists(&bench);
                let mut closed = lists.values().filter_map(|it| it.last());
                assert!(closed.all(|it| it.end_list), "{what}");
                stay_closed(&lists);
                // The others have all, and have waited no longer than for what is late.
                let other = if dead == "low" { "v1.m3u8" } else { "v0.m3u8" };
                let last = &lists[other].last().expect("it is listed").segments;
                let last = &bench.checker.content[&*last[last.len() - 1].uri];
                assert!(last.ends_with("119.ts"), "{what}");
                let (at, _) = bench.published.last().expect("the lists were closed");
                assert!(*at <= 56 * SEC, "{what}: {at}");
            }
        }
    }
}

/// Ten minutes that ended long ago take longer to be had than a segment is waited for.
#[test]
fn what_ended_long_ago_is_relayed_to_its_end_however_much_it_is() {
    let mut run = Run::new(2 * SEC).between(0, 600 * SEC);
    (run.ends, run.window) = (true, 300);
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.segment = Box::new(|_, _| Ok(SEC));
    bench.now = 700 * SEC;
    let mut spec = spec(&[MAIN]);
    spec.window = Some(300);
    bench.run(spec);
    bench.pass(800 * SEC);
    assert_eq!(bench.status().state, State::Ended);
    let (_, last) = bench.published.last().expect("it is published");
    let list = media(&last.playlists[0].text);
    assert!(list.end_list && list.segments.iter().all(|it| !it.gap));
    assert_eq!(list.segments.len(), 300);
}

/// Until all of it is there, whoever opens it begins with its first segment (EXT-X-START, RFC 8216 4.3.5.2): in every
/// version, the first one of another process too.
#[test]
fn a_vod_that_is_not_whole_yet_says_where_to_begin_also_after_a_restart() {
    let mut bench = Bench::new(vod(true, "", 0));
    bench.now = 40 * SEC;
    let (url, last) = ("https://origin.example/live/low.m3u8", "low");
    bench.segment = Box::new(
        move |_, url| match url.contains(last) && url.contains("107") {
            true => Err(FetchError::Status(503)),
            false => Ok(50_000),
        },
    );
    let whole = Spec {
        window: None,
        ..spec(&[url])
    };
    bench.run(whole.clone());
    bench.pass(43 * SEC);
    let before = bench.published.len();
    bench.kill(2, true);
    bench.run(whole);
    bench.pass(45 * SEC);
    assert!(0 < before && before < bench.published.len());
    for (at, version) in &bench.published {
        let text = &version.playlists[0].text;
        assert!(!text.contains("#EXT-X-ENDLIST"), "{text}");
        assert!(text.contains("#EXT-X-START:TIME-OFFSET=0"), "{at}: {text}");
    }
}
