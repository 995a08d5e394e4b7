//! Several tracks go on after a restart with what viewers had, whatever has become of their source meanwhile (S-70).

mod support;

use hls_relay_core::event::FetchError;
use hls_relay_core::notice::{Notice, State};
use std::collections::BTreeMap;
use support::origin::Run;
use support::{Bench, SEC, media, spec};

const MAIN: &str = "http://origin.example/live/main.m3u8";
const BACKUP: &str = "http://backup.example/live/main.m3u8";

const MULTIVARIANT: &str =
    "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nx.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2000\ny.m3u8\n";

/// A source with two variants.
fn variants(micros: u64, now: u64, url: &str) -> String {
    let name = url.rsplit('/').next().unwrap_or_default();
    match name {
        "main.m3u8" => MULTIVARIANT.to_owned(),
        _ => list(micros, &name[..1], now),
    }
}

fn list(micros: u64, name: &str, now: u64) -> String {
    let mut run = Run::new(micros).named(name, 100);
    run.window = 8;
    run.at(now)
}

fn away() -> Result<String, FetchError> {
    Err(FetchError::Status(503))
}

fn bench(source: impl Fn(u64, &str) -> Result<String, FetchError> + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(source));
    bench.checker.several = true;
    bench.now = 40 * SEC;
    bench
}

fn restarted(bench: &mut Bench, sources: &[&str], store_survives: bool) {
    // Another one each time.
    bench.kill(bench.now, store_survives);
    bench.run(spec(sources));
}

/// What was ever listed as a track, by its number: the name that it has at its source (nothing for a gap), and the number of
/// its discontinuity.
fn listed(bench: &Bench, name: &str) -> BTreeMap<u64, (String, u64)> {
    let mut all = BTreeMap::new();
    let playlists = bench.published.iter().flat_map(|it| &it.1.playlists);
    let of = playlists.filter(|it| &*it.name.0 == name && it.text.contains("#EXTINF"));
    for playlist in of {
        for it in media(&playlist.text).segments {
            let content = bench.checker.content.get(&*it.uri);
            let content = content.and_then(|url| url.rsplit('/').next());
            let told = (
                content.unwrap_or_default().to_owned(),
                it.discontinuity_sequence,
            );
            let before = all.insert(it.media_sequence, told.clone());
            assert!(before.is_none_or(|it| it == told), "{told:?}");
        }
    }
    all
}

/// Which of its segments a track has listed in each run behind a discontinuity: all numbers between the first and the last
/// of them are there, once.
fn runs(bench: &Bench, name: &str) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, (u64, u64))> = Vec::new();
    for (number, (source, run)) in listed(bench, name) {
        let digits: String = source.chars().filter(char::is_ascii_digit).collect();
        let at: u64 = digits
            .parse()
            .unwrap_or_else(|_| panic!("{number} is a gap"));
        match runs.last_mut().filter(|it| it.0 == run) {
            Some((_, (_, last))) => {
                assert_eq!(*last + 1, at, "{number} of {name}");
                *last = at;
            }
            None => runs.push((run, (at, at))),
        }
    }
    runs.into_iter().map(|it| it.1).collect()
}

#[test]
fn s_70_what_was_listed_is_served_again_while_the_source_is_away() {
    let mut bench = bench(|now, url| match now < 60 * SEC {
        true => Ok(variants(2 * SEC, now, url)),
        false => away(),
    });
    bench.run(spec(&[MAIN]));
    bench.pass(60 * SEC);
    let before = bench.published.len();
    restarted(&mut bench, &[MAIN], true);
    bench.pass(61 * SEC);
    let since = bench.published[before..].iter();
    let names: Vec<&str> = since
        .flat_map(|it| &it.1.playlists)
        .map(|it| &*it.name.0)
        .collect();
    assert_eq!(names, ["v0.m3u8", "v1.m3u8", "index.m3u8"]);
}

#[test]
fn s_70_where_a_source_was_left_is_known_however_often_we_start_while_it_is_away() {
    let mut bench = bench(|now, url| match (60 * SEC..66 * SEC).contains(&now) {
        false => Ok(variants(2 * SEC, now, url)),
        true => away(),
    });
    bench.run(spec(&[MAIN]));
    bench.pass(61 * SEC);
    for until in [63, 65, 90] {
        restarted(&mut bench, &[MAIN], true);
        bench.pass(until * SEC);
    }
    assert_eq!(bench.status().state, State::Live);
    for name in ["v0.m3u8", "v1.m3u8"] {
        assert_eq!(runs(&bench, name).len(), 1, "{:?}", runs(&bench, name));
    }
}

#[test]
fn s_70_a_source_that_is_one_media_playlist_now_goes_on_behind_what_several_tracks_had() {
    for (store_survives, dated) in [(true, false), (false, false), (true, true)] {
        let mut bench = bench(move |now, url| {
            // The segments are called as the list is.
            let name = url.rsplit('/').next().unwrap_or_default();
            let mut run = Run::new(2 * SEC).named(&name[..1], 100);
            (run.window, run.dated) = (8, dated);
            match (now < 61 * SEC, name) {
                (true, "main.m3u8") => Ok(MULTIVARIANT.to_owned()),
                (true, _) | (false, "main.m3u8") => Ok(run.at(now)),
                (false, _) => Err(FetchError::Status(404)),
            }
        });
        bench.run(spec(&[MAIN]));
        bench.pass(61 * SEC);
        let had = listed(&bench, "v0.m3u8");
        let newest = had.last_key_value().map(|it| it.1.0.clone());
        assert_eq!(newest.as_deref(), Some("x129.ts"));
        restarted(&mut bench, &[MAIN], store_survives);
        bench.pass(91 * SEC);
        assert_eq!(bench.status().state, State::Live, "{store_survives}");
        // With nothing left it is what viewers open.
        let (name, before) = if store_survives {
            ("v0.m3u8", 1)
        } else {
            ("index.m3u8", 0)
        };
        let since = |bench: &Bench| {
            let runs = runs(bench, name);
            assert_eq!(runs.len(), before + 1, "{runs:?}");
            runs[before]
        };
        // Where nobody can tell what was had, it is begun with as few as viewers need.
        let begins = if dated { 130 } else { 127 };
        let (first, last) = since(&bench);
        assert!(first == begins && last >= 143, "{first} to {last}");
        // And over the next restart as if nothing had been.
        restarted(&mut bench, &[MAIN], store_survives);
        bench.pass(121 * SEC);
        assert_eq!(bench.status().state, State::Live, "{store_survives}");
        let (first, last) = since(&bench);
        assert!(first == begins && last >= 158, "{first} to {last}");
    }
}

#[test]
fn how_long_silence_may_last_is_known_over_a_restart() {
    for several in [false, true] {
        let url = |host: &str| match several {
            true => format!("http://{host}.example/live/main.m3u8"),
            false => format!("http://{host}.example/live/x.m3u8"),
        };
        let (first, backup) = (url("origin"), url("backup"));
        let urls = [&*first, &*backup];
        let mut bench = bench(|now, url| match now < 60 * SEC || url.contains("backup") {
            true => Ok(variants(SEC, now, url)),
            false => away(),
        });
        bench.checker.several = several;
        bench.run(spec(&urls));
        bench.pass(60 * SEC);
        restarted(&mut bench, &urls, true);
        bench.pass(75 * SEC);
        let at = |what: fn(&Notice) -> bool| {
            let mut told = bench.notices.iter().filter(|it| what(&it.1));
            told.next().map(|it| it.0 / SEC)
        };
        let stalled =
            at(|it| matches!(it, Notice::StateChanged { to, .. } if *to == State::Stalled));
        let switches = at(|it| matches!(it, Notice::Switched { .. }));
        assert_eq!((stalled, switches), (Some(65), Some(65)), "{several}");
    }
}

#[test]
fn a_backup_that_takes_over_after_a_restart_is_relayed_once() {
    let mut bench = bench(|now, url| match now < 60 * SEC || url.contains("backup") {
        true => Ok(variants(SEC, now, url)),
        false => away(),
    });
    bench.run(spec(&[MAIN, BACKUP]));
    bench.pass(60 * SEC);
    restarted(&mut bench, &[MAIN, BACKUP], true);
    bench.pass(90 * SEC);
    assert_eq!(bench.status().source, 1);
    let jumped = bench.told(|it| matches!(it, Notice::Broken { why } if why.is_of_the_encoder()));
    for name in ["v0.m3u8", "v1.m3u8"] {
        let runs = runs(&bench, name);
        assert_eq!(runs.len(), 2, "{runs:?}");
        assert_eq!(runs[1].1, 188, "{runs:?}");
    }
    assert!(!jumped, "{:?}", bench.notices);
}
