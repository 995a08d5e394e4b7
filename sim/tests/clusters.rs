//! Every plan in `testdata/scenarios/cluster` keeps all promises, and shows what it is kept for.
//!
//! `cargo run --release -p hls-relay-sim -- cluster run --plan FILE --trace` tells one step by step; `cluster shrink` makes
//! such a plan of a seed that fails.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test reads its files, and runs the program on one"
)]

use hls_relay_sim::cluster::plan::Plan;
use hls_relay_sim::cluster::{Options, World};
use std::path::PathBuf;
use std::process::Command;

fn plans() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/scenarios/cluster");
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|it| it.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_plan_that_is_kept_holds_and_shows_what_it_is_kept_for() {
    let files = plans();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let plan: Plan = text.parse().unwrap();
        assert!(!plan.about.is_empty() && !plan.sees.is_empty(), "{file:?}");
        let outcome = World::new(plan, Options::default()).run();
        if let Some((at, violation)) = outcome.failure {
            panic!("{file:?} at {at}: {violation}");
        }
    }
}

#[test]
fn a_plan_runs_from_its_file_and_one_that_fails_says_what_broke() {
    let run = |file: &PathBuf| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hls-relay-sim"));
        let output = command
            .args(["cluster", "run", "--plan"])
            .arg(file)
            .output();
        let output = output.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let file = plans().remove(0);
    let (code, said) = run(&file);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("held:"), "{said}");

    let text = std::fs::read_to_string(&file).unwrap();
    let mut plan: Plan = text.parse().unwrap();
    plan.sees = vec!["what never happens".to_owned()];
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("a plan.json");
    std::fs::write(&bad, plan.to_json().unwrap()).unwrap();
    let (code, said) = run(&bad);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("FAILED") && said.contains("what never happens"),
        "{said}"
    );
}
