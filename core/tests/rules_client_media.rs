//! The rules of a client (C-…), at the level of one channel: what it takes two lists and two segments
//! to be, where it finds them, and what it does when they cannot be had.

mod support;

use hls_relay_core::event::FetchError;
use hls_relay_core::notice::{Break, Notice, State};
use hls_relay_core::time::Span;
use support::origin::Run;
use support::{Bench, SEC, URL, spec};

const BACKUP: &str = "http://backup.example/live/index.m3u8";
const FOLDER: &str = "http://origin.example/live/";

/// Relays what `list` gives, from 20 s on.
fn relayed(list: impl Fn(u64, &str) -> String + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, url| Ok(list(now, url))));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench
}

fn broke(bench: &Bench) -> Vec<Break> {
    let notices = bench.notices.iter();
    let broke = notices.filter_map(|(_, it)| {
        if let Notice::Broken { why } = it {
            Some(*why)
        } else {
            None
        }
    });
    broke.collect()
}

/// One URI per list, in place of the segment names.
fn with_uri(uri: &'static str) -> Vec<String> {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now, _| run.at(now).replace("seg", uri));
    bench.redirect = Box::new(|_, _| "http://other.example/a/b/list.m3u8?token=secret".to_owned());
    bench.pass(40 * SEC);
    assert_eq!(bench.status().state, State::Live, "{uri}");
    let urls = bench.downloads.iter().map(|(_, url, _)| url.clone());
    urls.filter(|url| url.contains("115")).collect()
}

#[test]
fn c_17_two_sources_are_paired_by_date_and_never_by_number() {
    let first = Run::new(2 * SEC).dated().between(0, 60 * SEC);
    let second = Run::new(2 * SEC).dated().named("b", 125);
    let mut bench = Bench::new(Box::new(move |now, url| {
        Ok(if url == URL {
            first.at(now)
        } else {
            second.at(now)
        })
    }));
    bench.now = 20 * SEC;
    bench.run(spec(&[URL, BACKUP]));
    bench.pass(90 * SEC);
    assert_eq!((bench.discontinuities(), bench.holes()), (1, 0));
    let ever: Vec<_> = bench.checker.ever().collect();
    assert!(ever.len() > 35);
    for pair in ever.windows(2) {
        let end = pair[0].date_time.expect("dated") + pair[0].duration;
        assert_eq!(pair[1].date_time, Some(end), "in step over the switch");
    }
}

#[test]
fn c_18_a_number_that_names_another_segment_is_told_and_broken() {
    let (old, new) = (Run::new(2 * SEC), Run::new(2 * SEC).named("new", 100));
    let mut bench = relayed(move |now, _| {
        if now < 40 * SEC {
            old.at(now)
        } else {
            new.at(now)
        }
    });
    bench.pass(80 * SEC);
    assert_eq!(broke(&bench), [Break::RestartedRenamed]);
    assert_eq!((bench.discontinuities(), bench.holes()), (1, 0));
    let relayed = bench.checker.relayed();
    let first_new = relayed.iter().flatten().position(|it| it.contains("new"));
    let mixed = relayed.iter().flatten().skip(first_new.unwrap_or(0));
    assert!(mixed.clone().count() > 20 && mixed.clone().all(|it| it.contains("new")));
}

#[test]
fn c_19_numbers_that_fall_are_a_restart_and_ours_go_on() {
    let old = Run::new(2 * SEC).named("seg", 5_000);
    let new = Run::new(2 * SEC)
        .named("seg", 0)
        .between(38 * SEC, u64::MAX);
    let mut bench = relayed(move |now, _| {
        if now < 40 * SEC {
            old.at(now)
        } else {
            new.at(now)
        }
    });
    bench.pass(40 * SEC);
    let before = bench.checker.ever().count();
    bench.pass(44 * SEC);
    assert_eq!(
        broke(&bench),
        [Break::RestartedLower],
        "at the first such list"
    );
    bench.pass(80 * SEC);
    assert_eq!((bench.discontinuities(), bench.holes()), (1, 0));
    assert!(bench.checker.ever().count() >= before + 18);
}

#[test]
fn c_20_every_segment_is_asked_for_before_it_may_vanish() {
    for window in [2, 3, 6] {
        let mut run = Run::new(2 * SEC);
        run.window = window;
        let mut bench = relayed(move |now, _| run.at(now));
        bench.segment = Box::new(|_, _| Ok(1_500_000));
        bench.pass(200 * SEC);
        for (at, url, _) in &bench.downloads {
            let number = url.trim_end_matches(".ts").rsplit("seg").next();
            let number: u64 = number.and_then(|it| it.parse().ok()).expect("a number");
            let appeared = (number - 99) * 2 * SEC;
            let loads = bench.loads.iter().map(|(sent, _)| *sent);
            let seen = loads.filter(|sent| *sent >= appeared).min();
            let vanishes = seen.expect("a load") + window * 2 * SEC;
            assert!(*at <= vanishes, "{url} at {at}, in a list of {seen:?}");
        }
        assert_eq!(bench.holes(), 0);
    }
}

/// A source that puts a discontinuity before segment 115 and counts those that have left the list.
fn broken_at_115(now: u64) -> String {
    let run = Run::new(2 * SEC);
    let gone = run.made(now).saturating_sub(6) + 100 > 115;
    let text = run.at(now);
    let text = text.replace(
        "#EXTINF:2.000000,\nseg115.ts",
        "#EXT-X-DISCONTINUITY\n#EXTINF:2.000000,\nseg115.ts",
    );
    let counted = format!("#EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXTINF", u64::from(gone));
    text.replacen("#EXTINF", &counted, 1).replace(
        "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n",
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-DISCONTINUITY\n",
    )
}

#[test]
fn c_21_a_discontinuity_that_was_lost_with_its_segment_is_still_said() {
    let mut bench = relayed(|now, _| broken_at_115(now));
    let source = std::mem::replace(&mut bench.source, Box::new(|_, _| Ok(String::new())));
    // Segments 113 to 115 are never seen: they come and go while the list cannot be loaded.
    bench.source = Box::new(move |now, url| match now {
        26_500_000..44_500_000 => Err(FetchError::Status(500)),
        _ => source(now, url),
    });
    bench.pass(90 * SEC);
    assert!(bench.holes() > 0);
    assert_eq!(bench.discontinuities(), 1);
}

#[test]
fn c_22_a_misplaced_discontinuity_sequence_is_refused() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now, _| {
        let text = run.at(now);
        match now {
            40_000_000..50_000_000 => text + "#EXT-X-DISCONTINUITY-SEQUENCE:3\n",
            _ => text,
        }
    });
    bench.pass(80 * SEC);
    assert!(bench.told(|it| matches!(it, Notice::PlaylistRefused { .. })));
    assert_eq!((bench.discontinuities(), bench.holes()), (0, 0));
}

#[test]
fn c_23_a_discontinuity_stands_before_the_same_segment_as_at_the_source() {
    let mut bench = relayed(|now, _| broken_at_115(now));
    bench.pass(90 * SEC);
    assert_eq!(bench.discontinuities(), 1);
    let relayed = bench.checker.relayed();
    let marked = bench.checker.ever().position(|it| it.discontinuity);
    let content = marked.and_then(|index| relayed[index]);
    assert_eq!(content, Some(&*format!("{FOLDER}seg115.ts")));
    assert!(broke(&bench).is_empty(), "it is the source's own");
}

#[test]
fn c_24_a_gap_of_the_source_is_not_asked_for_and_stays_a_gap() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now, _| {
        let gap = "#EXT-X-GAP\n#EXTINF:2.000000,\nseg115";
        run.at(now).replace("#EXTINF:2.000000,\nseg115", gap)
    });
    bench.pass(80 * SEC);
    assert!(!bench.asked().contains(&"seg115.ts"));
    let gaps: Vec<_> = bench.checker.ever().filter(|it| it.gap).collect();
    assert_eq!((gaps.len(), gaps[0].duration), (1, Span::from_secs(2)));
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
}

#[test]
fn c_34_relative_uris_resolve_against_the_list_that_holds_them() {
    let base = "http://other.example";
    let cases = [
        ("seg", "/a/b/seg115.ts"),
        ("./seg", "/a/b/seg115.ts"),
        ("../seg", "/a/seg115.ts"),
        ("../../../../seg", "/seg115.ts"),
        ("/seg", "/seg115.ts"),
        ("x/../y/seg", "/a/b/y/seg115.ts"),
        ("?n=", "/a/b/list.m3u8?n=115.ts"),
        ("seg%20", "/a/b/seg%20115.ts"),
    ];
    for (uri, path) in cases {
        assert_eq!(with_uri(uri), [format!("{base}{path}")], "{uri}");
    }
    assert_eq!(
        with_uri("//cdn.example/seg"),
        ["http://cdn.example/seg115.ts"]
    );
    assert_eq!(
        with_uri("https://cdn.example:8443/seg"),
        ["https://cdn.example:8443/seg115.ts"]
    );
}

#[test]
fn c_35_after_a_redirect_its_end_is_the_base_and_the_configured_url_is_asked_again() {
    let urls = with_uri("seg");
    assert_eq!(urls, ["http://other.example/a/b/seg115.ts"]);
    // A redirect that changes its mind names the same segments.
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now, _| run.at(now));
    bench.redirect = Box::new(|now, _| {
        let turn = now / SEC / 2;
        format!("http://edge{}.example/{}/list.m3u8", turn % 3, turn % 2)
    });
    bench.pass(80 * SEC);
    assert!(bench.loads.iter().all(|(_, url)| url == URL));
    assert_eq!((bench.discontinuities(), bench.holes()), (0, 0));
    let names = bench.asked();
    assert!(names.windows(2).all(|it| it[0] < it[1]), "{names:?}");
}

#[test]
fn c_36_nothing_but_http_and_https_is_ever_fetched() {
    let long = format!("http://origin.example/{}/seg", "x".repeat(9_000));
    let hostile = [
        "file:///etc/seg",
        "data:video/mp2t,seg",
        "ftp://origin.example/seg",
        "javascript:seg",
        "http://[::1/seg",
        &long,
    ];
    for uri in hostile {
        let (run, uri) = (Run::new(2 * SEC), uri.to_owned());
        let mut bench = relayed(move |now, _| run.at(now).replace("seg115", &format!("{uri}115")));
        // The bench panics where another scheme is asked for.
        bench.pass(60 * SEC);
        assert_eq!((bench.holes(), bench.status().state), (1, State::Live));
        assert!(bench.asked().iter().all(|it| !it.contains("115")));
        assert!(bench.checker.ever().filter(|it| it.gap).count() == 1);
    }
}

#[test]
fn c_59_endlist_may_stand_anywhere_and_ends_the_list_as_a_whole() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now, _| {
        let text = run.at(now.min(40 * SEC));
        match now < 40 * SEC {
            true => text,
            false => text.replacen("#EXT-X-VERSION", "#EXT-X-ENDLIST\n#EXT-X-VERSION", 1),
        }
    });
    bench.pass(60 * SEC);
    assert!(bench.last().end_list);
    assert!(bench.relayed_last().ends_with("seg119.ts"));
    assert_eq!(bench.status().state, State::Ended);
}

#[test]
fn c_62_a_failed_list_is_tried_again_at_its_pace_for_ever() {
    for (micros, target) in [(2 * SEC, 2), (6 * SEC, 6), (30 * SEC, 30)] {
        let run = Run::new(micros);
        let mut bench = Bench::new(Box::new(move |now, _| match now > 300 * SEC {
            true => Err(FetchError::Status(410)),
            false => Ok(run.at(now)),
        }));
        bench.now = 200 * SEC;
        bench.run(spec(&[URL]));
        bench.pass(2_000 * SEC);
        let failed: Vec<u64> = bench
            .loads_of(URL)
            .into_iter()
            .filter(|at| *at > 300 * SEC)
            .collect();
        let half = target * SEC / 2;
        for pair in failed.windows(2) {
            let gap = pair[1] - pair[0];
            let slowest = half.max(10 * SEC);
            assert!(gap >= half * 9 / 10, "{gap} of {half} at {}", pair[0]);
            assert!(gap <= slowest * 11 / 10 + EARLY, "{gap} at {}", pair[0]);
            let quick = pair[1] < failed[0] + 60 * SEC;
            assert!(!quick || gap <= half * 11 / 10, "{gap} at {}", pair[0]);
        }
        assert!(failed.len() >= 50);
        assert!(!bench.last().end_list && bench.status().state == State::Stalled);
    }
}
const EARLY: u64 = 20_000;

#[test]
fn c_62_a_segment_that_is_not_there_is_tried_while_it_is_listed_and_then_a_gap() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now, _| run.at(now));
    bench.segment = Box::new(|_, url| match url.contains("seg115") {
        true => Err(FetchError::Status(404)),
        false => Ok(50_000),
    });
    bench.pass(80 * SEC);
    let tries: Vec<u64> = bench
        .downloads
        .iter()
        .filter(|it| it.1.contains("115"))
        .map(|it| it.0)
        .collect();
    assert!((5..=30).contains(&tries.len()), "{}", tries.len());
    let first = tries[0];
    // Three target durations after it was listed, and its successor waits no longer.
    assert!(tries.iter().all(|at| *at <= first + 6 * SEC + EARLY));
    let gap = bench.checker.ever().find(|it| it.gap).expect("a gap");
    assert_eq!((gap.duration, bench.holes()), (Span::from_secs(2), 1));
    let listed = bench
        .published
        .iter()
        .find(|(_, it)| it.entry().unwrap().contains("EXT-X-GAP"));
    let listed = listed.map(|it| it.0).expect("listed");
    assert!(
        (first + 6 * SEC..first + 7 * SEC).contains(&listed),
        "{listed}"
    );
    assert_eq!(bench.discontinuities(), 0);
}

#[test]
fn c_63_a_body_without_end_is_refused_and_the_machine_stays_small() {
    let run = Run::new(2 * SEC);
    let mut bench = relayed(move |now, _| match now {
        30_000_000..32_000_000 => run.at(now) + &"#EXT-X-FOO:1\n".repeat(110_000),
        32_000_000..34_000_000 => run.at(now) + &"#".repeat(20_000) + "\n",
        34_000_000..36_000_000 => run.at(now) + &" \n".repeat(2_200_000),
        _ => run.at(now),
    });
    bench.pass(60 * SEC);
    assert!(bench.told(|it| matches!(it, Notice::PlaylistRefused { .. })));
    assert_eq!((bench.holes(), bench.discontinuities()), (0, 0));
    assert!(format!("{:?}", bench.relay).len() < 100_000);
}
