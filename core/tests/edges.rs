//! Edges are asked for what is about to be listed, and for all that it needs; none of them is waited for too long.

mod support;

use hls_relay_core::command::{Preload, Publish};
use hls_relay_core::config::KeyPolicy;
use hls_relay_core::event::{FetchError, PreloadError};
use hls_relay_core::notice::Notice;
use hls_relay_core::preload::{Edge, PreloadMethod, PreloadPolicy};
use std::sync::Arc;
use support::origin::Run;
use support::{Bench, SEC, Spec, URL, ladder, live, seconds, spec};

fn bench() -> Bench {
    let list = live(4 * SEC, 100, "seg");
    let mut bench = Bench::new(Box::new(move |now, _| Ok(list(now + 40 * SEC))));
    bench.checker.several = false;
    bench
}

#[test]
fn an_edge_is_asked_for_what_is_about_to_be_listed_and_not_waited_for_too_long() {
    let mut bench = bench();
    let url = "http://edge.example/live/".into();
    bench.preload = Box::new(|now, it| match now / SEC {
        20..40 => (1_000 * SEC, vec![Ok(()); it.edges.len()]),
        _ => (SEC / 2, vec![Ok(()); it.edges.len()]),
    });
    bench.run(Spec {
        preload: Some(PreloadPolicy {
            edges: vec![Edge {
                url,
                method: PreloadMethod::Get,
            }],
            patience: Some(seconds(2)),
        }),
        ..spec(&[URL])
    });
    bench.pass(60 * SEC);
    let mut seen = 0;
    for (asked, it) in &bench.preloads {
        let name = &it.objects[0].0;
        let listed = bench
            .published
            .iter()
            .find(|(_, version)| version.entry().is_some_and(|text| text.contains(&**name)));
        let Some((listed, _)) = listed else { continue };
        seen += 1;
        assert!(*listed >= asked + SEC / 2 && *listed <= asked + 6 * SEC);
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn each_reason_of_an_edge_is_told_once_until_it_is_warm() {
    let mut bench = bench();
    let failed = |status| Err(PreloadError::Failed(FetchError::Status(status)));
    bench.preload = Box::new(move |now, _| match now / SEC {
        10..25 => (SEC / 2, vec![failed(404)]),
        25..40 => (SEC / 2, vec![failed(503)]),
        40..60 => (SEC / 2, vec![Ok(())]),
        _ => (SEC / 2, vec![failed(404)]),
    });
    let url: Arc<str> = "http://edge.example/live/".into();
    bench.run(Spec {
        preload: Some(PreloadPolicy {
            edges: vec![Edge {
                url: Arc::clone(&url),
                method: PreloadMethod::Get,
            }],
            patience: None,
        }),
        ..spec(&[URL])
    });
    bench.pass(80 * SEC);
    let told: Vec<_> = bench
        .notices
        .iter()
        .filter_map(|(_, it)| {
            if let Notice::EdgeFailed { error, .. } = it {
                return Some(error.to_string());
            }
            matches!(it, Notice::EdgeRecovered { .. }).then(|| "warm".to_owned())
        })
        .collect();
    let answers = |status| format!("it answers {status}");
    assert_eq!(
        told,
        [answers(404), answers(503), "warm".to_owned(), answers(404)]
    );
    let edges = bench.status().edges;
    let failing = edges[0].failing.as_ref().map(ToString::to_string);
    assert_eq!((&edges[0].url, failing), (&url, Some(answers(404))));
    let asked = bench
        .preloads
        .iter()
        .filter(|it| it.0 + SEC / 2 <= bench.now);
    let cold = asked.filter(|it| !(40..60).contains(&(it.0 / SEC))).count() as u64;
    // Of those that were asked before anything failed there may be some.
    assert!(
        edges[0].cold > 8 && edges[0].cold <= cold,
        "{}",
        edges[0].cold
    );
}

fn edge(url: &str) -> Option<PreloadPolicy> {
    let url = url.into();
    let method = PreloadMethod::Get;
    Some(PreloadPolicy {
        edges: vec![Edge { url, method }],
        patience: None,
    })
}

/// Two-second segments that need what these lines name, from 20 s on.
fn headed(head: &'static str, keys: KeyPolicy) -> (Bench, Spec) {
    let mut run = Run::new(2 * SEC);
    run.head = head.to_owned();
    let mut bench = Bench::new(Box::new(move |now, _| Ok(run.at(now))));
    bench.checker.several = false;
    bench.now = 20 * SEC;
    let preload = edge("http://edge.example/live/");
    let spec = Spec {
        preload,
        keys,
        ..spec(&[URL])
    };
    (bench, spec)
}

const HEAD: &str = "#EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"a.key\"\n";

fn holds(it: &Preload, end: &str) -> bool {
    it.objects.iter().any(|it| it.0.ends_with(end))
}

/// When edges were asked for what is called so.
fn asked(bench: &Bench, end: &str) -> Vec<u64> {
    let of = bench.preloads.iter().filter(|(_, it)| holds(it, end));
    of.map(|(at, _)| *at).collect()
}

#[test]
fn what_several_segments_need_is_asked_for_before_any_is_listed_and_again_once_caches_let_go_of_it()
{
    let (mut bench, spec) = headed(HEAD, KeyPolicy::Rehost);
    // The edge takes its time for it, and none for segments.
    bench.preload = Box::new(|_, it| {
        (
            if holds(it, ".mp4") {
                3 * SEC / 2
            } else {
                SEC / 10
            },
            vec![Ok(())],
        )
    });
    bench.run(spec);
    bench.pass(150 * SEC);
    for end in [".mp4", ".key"] {
        let times = asked(&bench, end);
        let (listed, _) = bench.published[0];
        assert!(
            times[0] + 3 * SEC / 2 <= listed,
            "{end}: {times:?}, listed at {listed}"
        );
        // As long as caches are told to keep it: at first a minute, then six segments of two seconds.
        let kept: Vec<u64> = times.windows(2).map(|it| (it[1] - it[0]) / SEC).collect();
        assert!((61..66).contains(&kept[0]), "{end}: {times:?}");
        let then = &kept[1..];
        assert!(
            then.iter().all(|it| (12..18).contains(it)),
            "{end}: {times:?}"
        );
        assert!(then.len() > 2, "{end}: {times:?}");
    }
    assert!(bench.preloads.len() > 60);
}

/// Two-second segments, of which five in a row have a key in common.
fn under_changing_keys(now: u64) -> String {
    let made = now / (2 * SEC);
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:";
    let mut text = format!("{head}{}\n", made - 6);
    for n in made - 6..made {
        if n == made - 6 || n % 5 == 0 {
            text += &format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{}.key\"\n", n / 5);
        }
        text += &format!("#EXTINF:2,\nseg{n}.ts\n");
    }
    text
}

#[test]
fn what_another_segment_has_asked_for_is_waited_for_too() {
    let (mut bench, spec) = headed("", KeyPolicy::Rehost);
    bench.source = Box::new(|now, _| Ok(under_changing_keys(now)));
    // It comes after the next one, which has asked for the key of both.
    let slow = |_, url: &str| {
        if url.contains("seg15.") {
            5 * SEC / 2
        } else {
            SEC / 20
        }
    };
    bench.segment = Box::new(move |now, url| Ok(slow(now, url)));
    bench.preload = Box::new(|_, it| {
        let takes = if holds(it, ".key") { SEC } else { SEC / 10 };
        (takes, vec![Ok(())])
    });
    bench.run(spec);
    bench.pass(40 * SEC);
    let object = |url: &str| {
        let mut all = bench.downloads.iter();
        let (_, _, object) = all.find(|it| it.1.contains(url)).expect("it is fetched");
        object.clone()
    };
    let (key, segment) = (object("/3.key"), object("seg15."));
    let asked_at = |name: &str| asked(&bench, name);
    assert_eq!(asked_at(&key).len(), 1);
    assert!(asked_at(&segment)[0] > asked_at(&key)[0]);
    let lists = |it: &&(u64, Publish)| it.1.entry().is_some_and(|text| text.contains(&segment));
    let listed = bench.published.iter().find(lists).expect("it is listed").0;
    assert!(
        listed >= asked_at(&key)[0] + SEC,
        "{listed}, {:?}",
        asked_at(&key)
    );
}

#[test]
fn other_edges_are_asked_for_it_anew() {
    let (mut bench, first) = headed(HEAD, KeyPolicy::Rehost);
    bench.run(first.clone());
    bench.pass(36 * SEC);
    bench.run(Spec {
        preload: edge("http://other.example/"),
        ..first
    });
    bench.pass(41 * SEC);
    let of_other = |(_, it): &&(u64, Preload)| it.edges[0].url.contains("other");
    let (_, it) = bench.preloads.iter().find(of_other).expect("it is asked");
    assert!(holds(it, ".mp4") && holds(it, ".key"), "{it:?}");
}

#[test]
fn what_former_edges_answer_is_not_told_of_others() {
    let (mut bench, first) = headed("", KeyPolicy::Origin);
    bench.preload = Box::new(|_, it| {
        let is_former = it.edges[0].url.contains("edge.example");
        let failed = Err(PreloadError::Failed(FetchError::Status(503)));
        match is_former {
            true => (3 * SEC / 2, vec![failed]),
            false => (SEC / 10, vec![Ok(())]),
        }
    });
    bench.run(first.clone());
    bench.pass(30 * SEC);
    // While some of it is under way.
    let (asked, _) = bench.preloads.last().expect("it is asked");
    bench.pass(asked + 2 * SEC + SEC / 2);
    bench.run(Spec {
        preload: edge("http://other.example/"),
        ..first
    });
    bench.pass(40 * SEC);
    let other = &bench.status().edges[0];
    assert_eq!((other.cold, &other.failing), (0, &None));
    assert!(other.warm > 2, "{}", other.warm);
    let of_other =
        |it: &Notice| matches!(it, Notice::EdgeFailed { edge, .. } if edge.contains("other"));
    assert!(!bench.told(of_other));
}

#[test]
fn what_an_edge_may_lack_is_asked_for_with_the_next_segment() {
    let (mut bench, spec) = headed(HEAD, KeyPolicy::Origin);
    let failed = || Err(PreloadError::Failed(FetchError::Status(503)));
    bench.preload = Box::new(move |now, it| {
        let fails = holds(it, ".mp4") && now < 30 * SEC;
        (SEC / 10, vec![if fails { failed() } else { Ok(()) }])
    });
    bench.run(spec);
    bench.pass(40 * SEC);
    let times = asked(&bench, ".mp4");
    let (while_failing, after): (Vec<u64>, Vec<u64>) = times.iter().partition(|it| **it < 30 * SEC);
    assert!(while_failing.len() > 4, "{times:?}");
    assert_eq!(after.len(), 1, "{times:?}");
    // A key that stays at its origin is no business of edges.
    assert_eq!(asked(&bench, ".key"), [0; 0]);
}

#[test]
fn where_the_source_is_not_listed_nobody_needs_what_it_needs() {
    let (mut bench, spec) = headed(HEAD, KeyPolicy::Decrypt);
    bench.checker.several = true;
    bench.run(Spec {
        ladder: ladder(&[480], false),
        ..spec
    });
    bench.pass(40 * SEC);
    assert!(bench.preloads.len() > 3);
    assert_eq!(asked(&bench, ".mp4"), [0; 0]);
}
