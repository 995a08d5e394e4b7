//! The fuzz targets without a fuzzer: the kept corpus, and what mutations make of it.
//!
//!     cargo test -p hls-relay-core --test fuzz                              the corpus and a few mutations
//!     FUZZ_SECONDS=60 cargo test --release -p hls-relay-core --test fuzz    as many as fit into a minute
//!     FUZZ_SEED=7                                                           with either: other mutations
//!
//! Nothing here sees which code an input reaches, so what comes of it stands for that: an input with a
//! new outcome is mutated further. An input that breaks a promise is written below `target/`, and told.
//! Once it is understood it is kept in `testdata/fuzz`. `FUZZ_KEEP=1` keeps all that were worth it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a runner reads its corpus and a clock, and says what it finds"
)]

mod mutate;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use mutate::{Chance, mutated};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many mutations where no time is given, always the same ones.
const FEW: usize = 200;
/// What is mutated stays this small: all that is interesting fits.
const LONGEST: usize = 8 << 10;

type Target = fn(&[u8]) -> targets::Outcome;

#[test]
fn playlist() {
    fuzz("playlist", targets::playlist);
}

#[test]
fn reloads() {
    fuzz("reloads", targets::reloads);
}

fn fuzz(name: &str, target: Target) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("testdata/fuzz").join(name);
    let mut inputs = corpus(&folder);
    assert!(!inputs.is_empty(), "a corpus in {}", folder.display());
    let mut outcomes: BTreeSet<String> = BTreeSet::new();
    for input in &inputs {
        outcomes.insert(tried(&root, name, target, input));
    }
    let seconds = std::env::var("FUZZ_SECONDS").map(|text| text.parse().expect("seconds"));
    let until = seconds.map(|it| Instant::now() + Duration::from_secs(it));
    // The same ones each time, so that what is red on one machine is red on every one.
    let seed = std::env::var("FUZZ_SEED").map_or(1, |text| text.parse().expect("a number"));
    let (mut chance, mut count) = (Chance::new(seed), 0);
    let goes_on = |count: usize| match &until {
        Ok(until) => Instant::now() < *until,
        Err(_) => count < FEW,
    };
    while goes_on(count) {
        let mut input = mutated(&mut chance, &inputs);
        input.truncate(LONGEST);
        count += 1;
        let outcome = tried(&root, name, target, &input);
        if outcomes.insert(outcome) {
            if std::env::var_os("FUZZ_KEEP").is_some() {
                keep(&folder, &input);
            }
            inputs.push(input);
        }
    }
    println!(
        "{name}: {count} mutations of {} inputs, seed {seed}, {} outcomes",
        inputs.len(),
        outcomes.len()
    );
}

/// The inputs that are kept, in the order of their names.
fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("the folder of the corpus");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: &PathBuf| std::fs::read(path).expect("an input can be read");
    paths.iter().map(read).collect()
}

/// What comes of an input; one that breaks a promise is written down first.
fn tried(root: &Path, name: &str, target: Target, input: &[u8]) -> String {
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    outcome.unwrap_or_else(|panic| {
        let path = root.join("target").join(format!("fuzz-{name}-failed"));
        std::fs::write(&path, input).expect("target/ can be written");
        println!(
            "the input stands in {}:\n{}",
            path.display(),
            input.escape_ascii()
        );
        std::panic::resume_unwind(panic)
    })
}

/// Under a name that follows from what it holds: the same input is kept once.
fn keep(folder: &Path, input: &[u8]) {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    std::fs::write(folder.join(format!("{hash:016x}")), input).expect("the corpus can be written");
}
