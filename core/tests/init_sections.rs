//! Init sections that change, that end, and keys that come back.

mod support;

use hls_relay_core::config::KeyPolicy;
use hls_relay_core::event::FetchError;
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::playlist::ByteRange;
use std::collections::{BTreeMap, BTreeSet};
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, spec};

fn relayed(keys: KeyPolicy, list: impl Fn(u64) -> String + 'static) -> Bench {
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now))));
    bench.now = 20 * SEC;
    bench.run(Spec {
        keys,
        ..spec(&[URL])
    });
    bench
}

/// Two-second segments under an init section.
fn mapped(now: u64) -> String {
    let mut run = Run::new(2 * SEC);
    run.head = "#EXT-X-MAP:URI=\"init.mp4\"\n".to_owned();
    run.at(now)
}

/// When something was asked for, and where it was stored.
fn asked(bench: &Bench, word: &str) -> Vec<(u64, String)> {
    let all = bench.downloads.iter();
    let of = all.filter(|(_, url, _)| url.contains(word));
    of.map(|(at, _, object)| (*at, object.clone())).collect()
}

/// The init section that each segment was ever listed under, by the number at its source.
fn listed_under(bench: &Bench) -> BTreeMap<u64, BTreeSet<String>> {
    let number = |object: &str| {
        let all = bench.downloads.iter();
        let (_, url, _) = all.rev().find(|it| it.2 == object).expect("it is ours");
        let (_, number) = url.split_once("seg").expect("a segment");
        number.trim_end_matches(".ts").parse::<u64>().unwrap()
    };
    let mut all: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for index in 0..bench.published.len() {
        for segment in bench.media_of(index).segments {
            let map = segment
                .map
                .map_or_else(String::new, |it| it.uri.to_string());
            all.entry(number(&segment.uri)).or_default().insert(map);
        }
    }
    all
}

#[test]
fn c_28_an_init_section_that_changes_unannounced_is_noticed_with_a_segment_after_half_a_minute() {
    const CHANGES: u64 = 70 * SEC;
    let mut bench = relayed(KeyPolicy::Origin, mapped);
    bench.content = Box::new(|now, url| match url.contains("init") && now >= CHANGES {
        true => format!("{url} new"),
        false => url.to_owned(),
    });
    bench.pass(160 * SEC);
    let requests = asked(&bench, "init.mp4");
    let waits: Vec<u64> = requests.windows(2).map(|it| it[1].0 - it[0].0).collect();
    assert!(requests.len() >= 4, "{requests:?}");
    let paced = |it: &u64| (30 * SEC..=33 * SEC).contains(it);
    assert!(waits.iter().all(paced), "{waits:?}");
    let told = bench
        .notices
        .iter()
        .filter(|it| it.1 == Notice::InitSectionChanged);
    assert_eq!(told.count(), 1);
    // The first one that was asked for since is the new one; the others were the same and are gone.
    let (seen, new) = requests.iter().find(|it| it.0 >= CHANGES).unwrap();
    let (_, old) = &requests[0];
    for (number, maps) in listed_under(&bench) {
        let offered = (number - 99) * 2 * SEC;
        let wanted = if offered + 2 * SEC > *seen { new } else { old };
        assert_eq!(maps.len(), 1, "nothing listed changes: {number} {maps:?}");
        assert!(
            maps.contains(wanted),
            "{number} offered at {offered}: {maps:?}"
        );
    }
    assert_eq!(bench.discontinuities(), 0);
    let is_there = |object: &String| bench.objects.contains_key(object);
    assert!(is_there(new) && !is_there(old), "its time is over");
    let others = requests.iter().filter(|it| it.1 != *new);
    assert_eq!(others.filter(|it| is_there(&it.1)).count(), 0);
}

#[test]
fn an_init_section_that_is_not_there_any_more_stops_nothing() {
    let mut bench = relayed(KeyPolicy::Origin, mapped);
    bench.segment = Box::new(|now, url| match url.contains("init") && now > 30 * SEC {
        true => Err(FetchError::Status(404)),
        false => Ok(50_000),
    });
    bench.pass(160 * SEC);
    assert_eq!(bench.status().state, State::Live);
    assert_eq!((bench.holes(), bench.status().retries), (0, 0));
    assert!((3..=6).contains(&asked(&bench, "init.mp4").len()));
    let maps: BTreeSet<_> = listed_under(&bench).into_values().flatten().collect();
    assert_eq!(maps.len(), 1);
}

/// Keys in turn, one for each segment.
fn rotating(keys: u64) -> impl Fn(u64) -> String {
    move |now| {
        let run = Run::new(2 * SEC);
        let marked = (100..300).fold(run, |run, number| {
            let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"k{}.key\"", number % keys);
            run.marked(number, &key)
        });
        marked.at(now)
    }
}

#[test]
fn s_31_a_key_that_comes_back_is_fetched_once() {
    let mut bench = relayed(KeyPolicy::Rehost, rotating(3));
    bench.pass(120 * SEC);
    assert_eq!(bench.status().state, State::Live);
    let objects: BTreeSet<_> = asked(&bench, ".key").into_iter().map(|it| it.1).collect();
    assert_eq!((asked(&bench, ".key").len(), objects.len()), (3, 3));
    for segment in bench.last().segments {
        let uri = segment.keys[0].uri().unwrap();
        assert!(objects.contains(uri), "{uri}");
    }
}

#[test]
fn keys_that_are_remembered_have_a_limit_and_leave_with_their_run() {
    let mut bench = relayed(KeyPolicy::Rehost, rotating(1_000));
    bench.pass(300 * SEC);
    let keys = |bench: &Bench| {
        bench
            .objects
            .keys()
            .filter(|it| it.ends_with(".key"))
            .count()
    };
    assert!(asked(&bench, ".key").len() > 130);
    // Those that are listed or have just left stand beside.
    assert!((32..=32 + 16).contains(&keys(&bench)), "{}", keys(&bench));
    let mut bench = relayed(KeyPolicy::Rehost, |now| match now {
        _ if now < 60 * SEC => rotating(1_000)(now),
        _ => {
            let mut run = Run::new(2 * SEC).named("b", 1).between(60 * SEC, u64::MAX);
            run.head = "#EXT-X-KEY:METHOD=AES-128,URI=\"one.key\"\n".to_owned();
            run.at(now)
        }
    });
    bench.pass(200 * SEC);
    assert_eq!(keys(&bench), 1);
}

#[test]
fn s_30_what_has_no_init_section_is_not_read_with_that_of_what_stands_before_it() {
    // From 116 on the same encoder makes transport streams, and later fragments again.
    const ENDS: u64 = 20 * SEC + 12 * SEC;
    const AGAIN: u64 = 100 * SEC;
    let list = |now: u64| match now {
        _ if now < ENDS => {
            let mut run = Run::new(2 * SEC).named("seg", 100).between(0, ENDS);
            run.head = "#EXT-X-MAP:URI=\"init.mp4\"\n".to_owned();
            run.at(now)
        }
        _ if now < AGAIN => Run::new(2 * SEC)
            .named("other/seg", 1_000)
            .between(ENDS, AGAIN)
            .at(now),
        _ => {
            let mut run = Run::new(2 * SEC)
                .named("seg", 5_000)
                .between(AGAIN, u64::MAX);
            run.head = "#EXT-X-MAP:URI=\"init.mp4\"\n".to_owned();
            run.at(now)
        }
    };
    let mut bench = relayed(KeyPolicy::Origin, list);
    bench.pass(140 * SEC);
    let inits: BTreeSet<_> = asked(&bench, "init.mp4")
        .into_iter()
        .map(|it| it.1)
        .collect();
    let (mut own, mut none) = (0, 0);
    for (index, _) in bench.published.iter().enumerate() {
        let mut in_force = None;
        for segment in bench.media_of(index).segments {
            in_force = segment.map.clone().or(in_force);
            let url = &bench
                .downloads
                .iter()
                .rev()
                .find(|it| it.2 == *segment.uri)
                .unwrap()
                .1;
            let is_fragment = !url.contains("other/");
            match &in_force {
                None => {
                    assert!(!is_fragment, "{url}");
                    none += 1;
                }
                Some(map) if is_fragment => assert!(inits.contains(&*map.uri), "{url}: {map:?}"),
                Some(map) => {
                    // The tables of a transport stream, as its first segment has them.
                    assert!(!inits.contains(&*map.uri), "{url}: {map:?}");
                    let tables = ByteRange {
                        offset: 0,
                        length: 564,
                    };
                    assert_eq!(map.byte_range, Some(tables));
                    own += 1;
                }
            }
        }
    }
    assert!(own > 0 && none > 0, "{own} {none}");
}
