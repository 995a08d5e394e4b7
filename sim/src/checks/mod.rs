//! What must hold, whatever happens. Each check says what it expected and what it got.
//!
//! `list`: one version of the playlist after the other · `keep`: segments for their time ·
//! `pace`: how often sources are asked · `retries`: how soon for what could not be had ·
//! `work`: requests, bounds ·
//! `generations`: for which configuration a segment was asked for ·
//! `bounds`: what is stored and under way · `holds`: what the machine holds ·
//! `ledger`: every segment of the source accounted for · `tracks`: the playlists of a presentation ·
//! `target_duration`: that of all playlists · `rungs`: those of a ladder ·
//! `chosen`: what of a multivariant playlist is wanted ·
//! `edges`: what they have before it is listed · `date_ranges`: what is told of them, and for how long.

pub mod bounds;
pub mod chosen;
pub mod date_ranges;
pub mod edges;
pub mod generations;
pub mod holds;
pub mod keep;
pub mod ledger;
pub mod list;
pub mod pace;
pub mod retries;
pub mod rungs;
pub mod switches;
pub mod target_duration;
pub mod tracks;
mod untold;
pub mod work;

use hls_relay_core::command::Command;
use hls_relay_core::notice::Notice;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a source, or a track of it, may be followed by somebody from now on who does not know how it went until
/// then.
pub fn is_followed_anew(command: &Command) -> bool {
    let Command::Notify(notice) = command else {
        return false;
    };
    matches!(
        notice,
        Notice::StateChanged { .. }
            | Notice::Preparing { .. }
            | Notice::Switched { .. }
            | Notice::PreparationFailed { .. }
            | Notice::Presented { .. }
            | Notice::Redundant { .. }
            | Notice::Renewing { .. }
    )
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which promise, by a stable name.
    pub invariant: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub got: String,
}

/// Whether a promise held.
pub type Held = Result<(), Violation>;

/// A promise that did not hold.
pub fn broken(invariant: &str, expected: impl Into<String>, got: impl Into<String>) -> Held {
    Err(Violation {
        invariant: invariant.to_owned(),
        expected: expected.into(),
        got: got.into(),
    })
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "invariant {}", self.invariant)?;
        writeln!(out, "  expected {}", self.expected)?;
        write!(out, "  got      {}", self.got)
    }
}
