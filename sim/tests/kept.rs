//! Nights and worlds that are kept as tests: a file that is copied there is one.
//!
//! `testdata/scenarios/plans` has plans of one channel, as `hls-relay-sim shrink` writes them: each holds. `testdata/journals`
//! has journals, as `hls-relay journal share` and `hls-relay-sim run --journal` write them: each replays, and what it shows to
//! viewers keeps the rules. A machine that does better now wants something else: then
//! `UPDATE_JOURNALS=1 cargo test -p hls-relay-sim --test kept` writes the same night down anew.

#![expect(clippy::disallowed_methods, reason = "a test reads its files")]

use hls_relay_sim::kept;
use hls_relay_sim::plan::Plan;
use hls_relay_sim::world::{Options, World};
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata")
        .join(folder);
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|it| it.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_plan_of_a_channel_that_is_kept_holds() {
    for file in files("scenarios/plans") {
        let text = std::fs::read_to_string(&file).unwrap();
        let plan: Plan = text.parse().unwrap_or_else(|why| panic!("{file:?}: {why}"));
        let outcome = World::new(plan, Options::default()).run();
        if let Some(failure) = outcome.failure {
            let command = "cargo run --release -p hls-relay-sim -- run --trace --plan";
            let at = failure.at.as_millis();
            panic!(
                "{file:?} at {at} ms: {}\n{command} {file:?}",
                failure.violation
            );
        }
    }
}

#[test]
fn every_journal_that_is_kept_replays_and_keeps_the_rules() {
    let renew = std::env::var("UPDATE_JOURNALS").is_ok();
    for file in files("journals") {
        let text = std::fs::read_to_string(&file).unwrap();
        if renew {
            let text = kept::renewed(&text).unwrap_or_else(|why| panic!("{file:?}: {why}"));
            let kept = kept::journal(&text);
            kept.unwrap_or_else(|why| panic!("{file:?}, written anew: {why}"));
            std::fs::write(&file, text).unwrap();
            continue;
        }
        match kept::journal(&text) {
            Ok(kept) => assert!(
                kept.versions > 0,
                "{file:?} shows viewers nothing: {kept:?}"
            ),
            Err(why) => panic!(
                "{file:?}: {why}\nif that is better than what it says: UPDATE_JOURNALS=1 writes it anew"
            ),
        }
    }
}

/// Recorded by `hls-relay relay --journal` of an origin that did all this within a minute, and copied by
/// `hls-relay journal share`.
#[test]
fn a_night_that_was_copied_tells_what_went_wrong_in_it() {
    let name = "a_night_of_failed_playlists_a_lost_segment_and_another_encoder.journal";
    let mut files = files("journals").into_iter();
    let file = files.find(|it| it.ends_with(name)).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let kept = kept::journal(&text).unwrap();
    let mut told = kept.told.iter();
    for line in [
        "source 0: playlist not loaded: the origin answers 500; trying again",
        "stalled: source playlist cannot be loaded (the origin answers 500) for 6 s (3.0 × target duration)",
        "source 0: playlist loads again after 6.9 s",
        "segment 19 of the source: attempt 1 failed: the origin answers 404; trying again",
        "segment 22 of the source: attempt 1 failed: cut short: 15040 of 30080 bytes; trying again",
        "hole of 1 segments, 2 s, said as EXT-X-GAP: it could not be downloaded in time (the origin answers 404)",
        "source 0: an edge is 26 segments behind; ignored",
        "discontinuity: the source restarted: it grows below our position",
        "live: segments are relayed",
    ] {
        assert!(
            told.any(|it| it == line),
            "not told in its turn: {line}\n{:#?}",
            kept.told
        );
    }
    assert!(text.contains("?token="), "{file:?} has lost its tokens");
    assert!(!text.contains("secret"), "{file:?} holds a secret");
}

#[test]
fn a_night_that_broke_a_rule_or_went_otherwise_is_seen() {
    let file = files("journals").remove(0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept::renewed(&text).as_deref(), Ok(text.as_str()));

    // The same night with a digest that another machine would have.
    let at = text.rfind("\"commands\":\"").unwrap() + 12;
    let other = if text[at..].starts_with('0') {
        "1"
    } else {
        "0"
    };
    let mut forged = text.clone();
    forged.replace_range(at..at + 1, other);
    let why = kept::journal(&forged).unwrap_err();
    assert!(why.contains("the journal says commands"), "{why}");
    assert_eq!(kept::renewed(&forged), Ok(text));
}
