//! What the command line says and how it ends, as scripts rely on it.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test runs the program on files"
)]

use hls_relay_core::time::Span;
use hls_relay_sim::draw;
use hls_relay_sim::plan::{Change, Control, Plan, When};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The exit code, and everything it said.
fn run(arguments: &[&str], file: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hls-relay-sim"));
    let output = command.args(arguments).arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// In a folder and a file with spaces in their names.
fn written(folder: &TempDir, plan: &Plan) -> PathBuf {
    let file = folder.path().join("a plan.json");
    std::fs::write(&file, plan.to_json().unwrap()).unwrap();
    file
}

fn good() -> Plan {
    draw::faultless(7, Span::from_secs(300))
}

/// Someone wishes for a source that is not there.
fn failing() -> Plan {
    let mut plan = good();
    plan.controls.push(Control {
        when: When {
            after: Span::from_secs(60),
            moment: None,
        },
        change: Change::Sources(vec![99]),
    });
    plan
}

#[test]
fn a_world_that_holds_ends_with_0() {
    let folder = TempDir::new().unwrap();
    let plan = written(&folder, &good());
    for command in [&["run", "--plan"][..], &["twice", "--plan"]] {
        let (code, said) = run(command, &plan);
        assert_eq!(code, Some(0), "{command:?}: {said}");
    }
}

#[test]
fn a_world_that_fails_ends_with_1_and_says_what_broke_however_it_is_run() {
    let folder = TempDir::new().unwrap();
    let plan = written(&folder, &failing());
    for command in [
        &["run", "--plan"][..],
        &["run", "--digest", "--plan"],
        &["twice", "--plan"],
    ] {
        let (code, said) = run(command, &plan);
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(said.contains("FAILED"), "{command:?}: {said}");
        assert!(said.contains("expected"), "{command:?}: {said}");
        let has_plan = !command.contains(&"--digest");
        assert_eq!(said.contains("plan of seed"), has_plan, "{said}");
    }
}

#[test]
fn a_plan_that_makes_no_sense_is_said_to_be_so() {
    let folder = TempDir::new().unwrap();
    let mut plan = good();
    plan.channel.sources = vec![99];
    let (code, said) = run(&["run", "--plan"], &written(&folder, &plan));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the simulator broke"), "{said}");
}

#[test]
fn nothing_to_replay_is_a_failure_and_what_parts_has_a_picture() {
    let folder = TempDir::new().unwrap();
    let journal = folder.path().join("a.journal");
    std::fs::write(&journal, "").unwrap();
    let (code, said) = run(&["replay"], &journal);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no step"), "{said}");

    let plan = written(&folder, &good());
    let journal_of_run = journal.to_str().unwrap();
    let (code, said) = run(&["run", "--journal", journal_of_run, "--plan"], &plan);
    assert_eq!(code, Some(0), "{said}");
    let whole = std::fs::read_to_string(&journal).unwrap();
    let mut lines: Vec<&str> = whole.lines().collect();
    lines.remove(200);
    std::fs::write(&journal, lines.join("\n") + "\n").unwrap();
    let picture = folder.path().join("life.svg");
    let timeline = ["replay", "--timeline", picture.to_str().unwrap()];
    let (code, said) = run(&timeline, &journal);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("follows where step"), "{said}");
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.trim_end().ends_with("</svg>"));
}
