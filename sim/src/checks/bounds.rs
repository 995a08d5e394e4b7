//! Bounds: what is held for a channel follows from its window and from how long what has left it is kept,
//! however long it runs and whatever goes wrong.

use super::holds::{Worldly, holds};
use super::{Held, broken};
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::config::{DEFAULT_WINDOW, Spec};
use hls_relay_core::limits::{MAX_DOWNLOADS, REMEMBERED_NEEDS};
use hls_relay_core::relay::Relay;
use hls_relay_core::time::Span;

/// Beside the window of each track: what is downloaded and not listed yet, and what is in flight.
pub(super) const BESIDE: usize = 8 * MAX_DOWNLOADS;
/// What a store that deletes nothing for the longest outage of a plan is left with, for each track.
pub(super) const LEFT_BY_AN_OUTAGE: usize = 256;
/// What may be due for one piece of work and does not go when it is cancelled.
const DUE_FOR_EACH: usize = 64;

/// The bounds of one world.
#[derive(Debug)]
pub struct BoundChecks {
    tracks: usize,
    listed: usize,
    at_once: usize,
    told: usize,
    remembered: usize,
    widest: usize,
}

impl BoundChecks {
    /// Of a world whose sources have so many tracks at most, and list so many segments, with so many
    /// lines of their own; `at_once`: as much of an event as an outage may keep back, which then comes at once;
    /// `needs`: segments are read with init sections or keys.
    pub fn new(tracks: usize, listed: usize, at_once: usize, told: usize, needs: bool) -> Self {
        Self {
            tracks,
            listed,
            at_once,
            told,
            remembered: if needs { REMEMBERED_NEEDS } else { 0 },
            widest: 0,
        }
    }

    /// A channel is wished for.
    pub fn wished(&mut self, spec: &Spec) {
        // Where nothing is said, all that a source keeps may be listed.
        let window = spec.window.unwrap_or(self.listed.max(DEFAULT_WINDOW));
        self.widest = self.widest.max(window);
    }

    /// Objects in the store: what is listed, what has left the list and is kept for as long as the longest
    /// list was (RFC 8216 6.2.2), and as much again where segments became shorter.
    pub fn stored(&self, objects: usize, calm: bool) -> Held {
        let beside = if calm {
            BESIDE
        } else {
            BESIDE + LEFT_BY_AN_OUTAGE
        };
        let most = self.tracks * (3 * (self.widest + self.at_once) + beside + self.remembered);
        bounded("objects in the store are bounded", most, objects)
    }

    /// What the machine holds; `sure` as for [`saved`](Self::saved).
    pub fn machine(&self, machine: &Relay, sure: bool) -> Held {
        holds(
            machine,
            Worldly {
                tracks: self.tracks,
                window: self.widest,
                listed: self.listed,
                told: self.told,
                sure,
            },
        )
    }

    /// What a process has asked for and not been answered, and what will happen in the world.
    pub fn under_way(&self, works: usize, due: usize) -> Held {
        let most = self.tracks * 2 * (MAX_DOWNLOADS + 1) + BESIDE;
        bounded("work under way is bounded", most, works)?;
        let most = most * DUE_FOR_EACH;
        bounded("what is to happen is bounded", most, due)
    }

    /// What a successor is left: as many segments as are listed, and what has left the lists. Where it
    /// is not `sure` what was stored, each attempt may be there and has to be deleted.
    pub fn saved(&self, checkpoint: &Checkpoint, sure: bool) -> Held {
        let most = 2 * self.widest + BESIDE + self.at_once;
        for track in &checkpoint.tracks {
            // For as long as players need what is listed, more is listed than was asked for (S-07).
            let total: Span = track.window.iter().map(|it| it.segment.duration).sum();
            if total > checkpoint.target_duration * 4 {
                let listed = track.window.len();
                bounded("a checkpoint holds a window for each track", most, listed)?;
            }
        }
        if !sure {
            return Ok(());
        }
        let gone = checkpoint.retired.len() + checkpoint.leaving.len();
        let window = self.widest + self.at_once;
        let most = self.tracks * (3 * window + BESIDE + LEFT_BY_AN_OUTAGE);
        bounded("a checkpoint holds what is kept for its time", most, gone)
    }
}

fn bounded(invariant: &str, most: usize, got: usize) -> Held {
    if got <= most {
        return Ok(());
    }
    broken(invariant, format!("at most {most}"), got.to_string())
}
