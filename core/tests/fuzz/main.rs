//! The kept corpus of the fuzz targets: what once reached new code, or broke a promise, breaks none.
//!
//! `./test fuzz` has libFuzzer go on from there. An input that it finds is written below `fuzz/artifacts`, and
//! kept in `testdata/fuzz` once it is understood.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a corpus is read, and what fails in it is told"
)]

#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[test]
fn playlist() {
    go_through("playlist", targets::playlist);
}

#[test]
fn reloads() {
    go_through("reloads", targets::reloads);
}

fn go_through(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/fuzz")
        .join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder of the corpus") {
        let path = entry.expect("an entry of the corpus").path();
        let input = std::fs::read(&path).expect("an input can be read");
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&input))) {
            println!("{}:\n{}", path.display(), input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
        count += 1;
    }
    assert!(count > 50, "{count} inputs in {}", folder.display());
}
