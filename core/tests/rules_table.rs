//! `testdata/rules.md` says which test stands for which rule of HLS; this one reads it, and the
//! sources of the workspace, and fails where they disagree.

#![allow(clippy::disallowed_methods, reason = "a test may read its sources")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The rules that a relay of one rendition must keep, each with a test of its own name.
const REQUIRED: [(&str, &[std::ops::RangeInclusive<u32>]); 2] = [
    ("c", &[1..=23, 34..=36, 59..=59, 62..=63]),
    ("s", &[1..=21, 28..=29, 63..=65, 69..=70]),
];
/// Every rule there is.
const ALL: [(&str, u32); 2] = [("c", 63), ("s", 71)];

fn root() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.parent().expect("a workspace").to_owned()
}

/// The test functions of the workspace whose names begin with the id of a rule.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let crates = ["core", "sim", "adapters"];
    let mut folders: Vec<PathBuf> = crates.iter().map(|it| root().join(it)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source can be read");
                found.extend(tests_in(&text));
            }
        }
    }
    found
}

fn tests_in(text: &str) -> impl Iterator<Item = String> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        is_test |= line.starts_with("#[test]") || line.contains("::test");
        let function = line.trim_start_matches("pub ").trim_start_matches("async ");
        let name = function.strip_prefix("fn ")?.split('(').next()?;
        let was_test = std::mem::replace(&mut is_test, false);
        (was_test && rule_of(name).is_some()).then(|| name.to_owned())
    })
}

/// `c_09_…` is of `C-09`.
fn rule_of(test: &str) -> Option<String> {
    let (side, rest) = test.split_at_checked(2)?;
    let (number, rest) = rest.split_at_checked(2)?;
    let is_rule = matches!(side, "c_" | "s_")
        && number.bytes().all(|it| it.is_ascii_digit())
        && rest.starts_with('_');
    is_rule.then(|| format!("{}-{number}", side[..1].to_uppercase()))
}

/// The rows of the table: rule, and what is said of it.
fn table() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("testdata/rules.md")).expect("the table");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter_map(|row| row.trim_end_matches(" |").split_once(" | "));
    let rows = rows.filter(|(id, _)| id.starts_with("C-") || id.starts_with("S-"));
    rows.map(|(id, said)| (id.to_owned(), said.to_owned()))
        .collect()
}

#[test]
fn every_rule_that_is_promised_has_a_test_of_its_name() {
    let covered: BTreeSet<String> = tests().iter().filter_map(|it| rule_of(it)).collect();
    let wanted = REQUIRED.iter().flat_map(|(side, ranges)| {
        let numbers = ranges.iter().cloned().flatten();
        numbers.map(|number| format!("{}-{number:02}", side.to_uppercase()))
    });
    let missing: Vec<String> = wanted.filter(|id| !covered.contains(id)).collect();
    assert!(missing.is_empty(), "no test is named after {missing:?}");
}

#[test]
fn every_rule_has_a_row_that_names_its_tests_or_says_why_not() {
    let (table, tests) = (table(), tests());
    let all = ALL.iter().flat_map(|(side, last)| {
        (1..=*last).map(move |number| format!("{}-{number:02}", side.to_uppercase()))
    });
    let all: BTreeSet<String> = all.collect();
    let rows: BTreeSet<String> = table.keys().cloned().collect();
    assert_eq!(rows, all, "the rows of testdata/rules.md");
    for (id, said) in &table {
        let covered = tests.iter().any(|it| rule_of(it).as_ref() == Some(id));
        let named: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        let (known, strange): (Vec<&str>, Vec<&str>) =
            named.into_iter().partition(|it| tests.contains(*it));
        assert!(strange.is_empty(), "{id}: there is no test {strange:?}");
        if covered {
            assert!(!known.is_empty(), "{id} has tests and the table names none");
        } else {
            let reason = said.strip_prefix("later: ");
            let reason = reason.or(said.strip_prefix("not ours: "));
            assert!(reason.is_some_and(|it| it.len() > 10), "{id}: {said}");
        }
    }
}
