//! Every script in `testdata/scenarios` tells the story that stands in it, and ends with the playlist that
//! stands in `snapshots/`, by the name of the script.
//!
//! `UPDATE_SCENARIOS=1 cargo run -p hls-relay-sim -- scenario testdata/scenarios/*.txt` rewrites the stories,
//! `INSTA_UPDATE=always cargo test -p hls-relay-sim --test scenarios` the playlists; `cargo insta review` asks
//! for each.

#![expect(clippy::disallowed_methods, reason = "a test reads its files")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn every_scenario_tells_its_story() {
    let files = files("../testdata/scenarios", "txt");
    assert!(files.len() >= 20, "{} scenarios", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _guard = settings.bind_to_scope();
    for file in &files {
        let text = String::from_utf8(std::fs::read(file).unwrap()).unwrap();
        match hls_relay_sim::scenario::run(&text) {
            Ok(told) => {
                assert_eq!(told.text, text, "{}", file.display());
                insta::assert_snapshot!(name(file), told.playlist);
            }
            Err(why) => panic!("{}: {why}", file.display()),
        }
    }
    let names = |files: &[PathBuf]| files.iter().map(|file| name(file)).collect::<BTreeSet<_>>();
    let snapshots = self::files("tests/snapshots", "snap");
    assert_eq!(names(&snapshots), names(&files), "a playlist of no script");
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|it| it == extension))
        .collect();
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}
