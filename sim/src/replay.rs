//! A journal through the core again, to the first difference.

use hls_relay_core::command::Command;
use hls_relay_core::journal::{self, Line, Record, Replay, Replayed};
use std::fmt;

/// Why a journal did not replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    /// The line, counted from 1.
    pub line: usize,
    /// In words.
    pub why: String,
}

impl fmt::Display for Parted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.why)
    }
}

/// Replays all of it; says how many steps it had.
pub fn check(text: &str) -> Result<u64, Parted> {
    let mut steps = 0;
    each(text, |_, _| {
        steps += 1;
        true
    })?;
    Ok(steps)
}

/// Replays it and shows every step, until `step` says that it has seen enough. A last line without
/// its line feed was torn by the end of its process and is left out.
pub fn each(
    text: &str,
    mut step: impl FnMut(&Record, &[Command]) -> bool,
) -> Result<Replay, Parted> {
    let mut replay = Replay::default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (index, line) in whole.lines().enumerate() {
        let parted = |why: String| Parted {
            line: index + 1,
            why,
        };
        let line: Line = journal::decode(line).map_err(|error| parted(error.to_string()))?;
        let replayed = replay
            .feed(line)
            .map_err(|error| parted(error.to_string()))?;
        if let Some(Replayed { record, commands }) = replayed
            && !step(&record, &commands)
        {
            break;
        }
    }
    Ok(replay)
}
