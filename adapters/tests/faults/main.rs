//! What the relay withstands: each fault against the real binary and a real HTTP origin, with a target
//! duration of 2 s and a viewer that believes nothing.
//!
//! Every test begins with a channel that is live, lets something go wrong, and tells at the end what
//! viewer, origin and operator saw. Whatever the fault, the same must hold each time (`Story::new`):
//! nothing repeated, out of order or lost without a word; all that is listed can be had at once and
//! never changes; no reload too early; memory bounded; no processor time spent while waiting.
//!
//! They wait for most of their time: run them side by side, `--test-threads=16`.

#[path = "../stage/mod.rs"]
mod stage;

mod bad_playlists;
mod channel_life;
mod outages;
mod process;
mod restarts;
mod segments;

use std::time::Duration;

/// The target duration of every origin here.
const TARGET: Duration = Duration::from_secs(2);
