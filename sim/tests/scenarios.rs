//! Every script in `testdata/scenarios` tells the story that stands in it.
//! `UPDATE_SCENARIOS=1 cargo run -p hls-relay-sim -- scenario testdata/scenarios/*.txt` rewrites them.

#![expect(clippy::disallowed_methods, reason = "a test reads its files")]

use std::path::PathBuf;

#[test]
fn every_scenario_tells_its_story() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 20, "{} scenarios", files.len());
    for file in files {
        let text = String::from_utf8(std::fs::read(&file).unwrap()).unwrap();
        match hls_relay_sim::scenario::run(&text) {
            Ok(told) => assert_eq!(told, text, "{}", file.display()),
            Err(why) => panic!("{}: {why}", file.display()),
        }
    }
}
