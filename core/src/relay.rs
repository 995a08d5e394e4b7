//! One channel: the handler over the four stages.

use crate::checkpoint::Checkpoint;
use crate::command::Command;
use crate::event::Event;
use crate::ids::{Epoch, Generation};
use crate::notice::{Reason, State};
use crate::time::{Now, Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The machine of one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relay {}

/// Why a wakeup is wanted: a busy loop is then visible in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wake {
    /// A playlist is due to be loaded.
    Reload,
    /// A failed segment is due to be tried again.
    Retry,
    /// A segment is due to be given up.
    GiveUp,
    /// The next version of our playlist may be published.
    Publish,
    /// Something the store refused is due to be tried again.
    StoreRetry,
    /// A retired segment may be deleted.
    Retire,
    /// The state becomes stale or stalled.
    Silence,
    /// A switch of source may be made, or its preparation has taken too long.
    Switch,
    /// The grace of a shutdown ends.
    ShutDown,
}

/// What is observed of a channel, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// See [`State`].
    pub state: State,
    /// Why it is in that state; for stale and stalled, as of now.
    pub reason: Option<Reason>,
    /// The revision in force.
    pub revision: u64,
    /// The generation whose media is listed last.
    pub generation: Generation,
    /// The source in use.
    pub source: usize,
    /// How long ago a segment was last listed.
    pub newest_segment_age: Option<Span>,
    /// From a segment's appearance at the source, as far as it is known, to our listing it.
    pub delay: Option<Span>,
    /// Bits per second of the listed segments.
    pub bit_rate: u64,
    /// The published target duration.
    pub target_duration: Option<Span>,
    /// The media sequence number of the last listed segment.
    pub last_media_sequence: Option<u64>,
    /// Segments listed since the start of the process.
    pub segments: u64,
    /// Segments said to be lost since the start of the process.
    pub holes: u64,
    /// Requests to sources that failed since the start of the process.
    pub retries: u64,
}

impl Relay {
    /// A machine for the owner of `epoch`. `seed` is its only chance: another one for each process,
    /// since it also names the objects that this process stores.
    pub fn new(seed: u64, epoch: Epoch, checkpoint: Option<Checkpoint>) -> Self {
        let _ = (seed, epoch, checkpoint);
        Self {}
    }

    /// Takes one event and appends what is to be done.
    pub fn step(&mut self, now: Now, event: Event, commands: &mut Vec<Command>) {
        let _ = (now, event, commands);
    }

    /// When a [`Event::Tick`] is wanted, and why. `None`: nothing is waited for but events.
    pub fn next_wakeup(&self) -> Option<(Timestamp, Wake)> {
        None
    }

    /// After [`Event::ShutDown`]: everything is in order, the process may leave.
    pub fn is_finished(&self) -> bool {
        false
    }

    /// What is observed at this moment.
    pub fn status(&self, now: Now) -> Status {
        let _ = now;
        Status {
            state: State::Waiting,
            reason: None,
            revision: 0,
            generation: Generation(0),
            source: 0,
            newest_segment_age: None,
            delay: None,
            bit_rate: 0,
            target_duration: None,
            last_media_sequence: None,
            segments: 0,
            holes: 0,
            retries: 0,
        }
    }
}
