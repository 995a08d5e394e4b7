//! What runs on this machine, found by its command line.

use std::time::{Duration, Instant};

/// The processes of this machine whose command line holds that word.
pub(crate) fn processes_with(word: &str) -> Vec<i32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|it| it.file_name().to_str()?.parse().ok());
    numbers
        .filter(|number| {
            let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            line.split(|it| *it == 0).any(|it| it == word.as_bytes())
        })
        .collect()
}

pub(crate) async fn until(
    what: &str,
    patience: Duration,
    mut holds: impl FnMut() -> bool,
) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < patience,
            "not within {patience:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}
