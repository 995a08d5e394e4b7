//! What every stage is handed in a step: the time, the way out, and the names of new work.

use crate::command::Command;
use crate::ids::{Epoch, RequestId};
use crate::notice::Notice;
use crate::planted::{Mistake, Planted};
use crate::rng::Rng;
#[cfg(test)]
use crate::time::Timestamp;
use crate::time::{Now, Span};
use serde::{Deserialize, Serialize};

/// One step's surroundings, lent to the stage that acts.
pub(crate) struct Stage<'a> {
    pub(crate) now: Now,
    pub(crate) epoch: Epoch,
    pub(crate) commands: &'a mut Vec<Command>,
    pub(crate) rng: &'a mut Rng,
    pub(crate) counters: &'a mut Counters,
    /// What viewers are promised: a new version at most one and a half of these after the last (S-12).
    pub(crate) listed_target_duration: Option<Span>,
    pub(crate) planted: Planted,
}

/// What is counted since the machine began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) requests: u64,
    pub(crate) segments: u64,
    pub(crate) holes: u64,
    pub(crate) retries: u64,
}

impl Stage<'_> {
    /// A name for new work.
    pub(crate) fn request(&mut self) -> RequestId {
        self.counters.requests += 1;
        RequestId(self.counters.requests)
    }

    /// Whether this mistake is made on purpose; in a release none is.
    pub(crate) fn makes(&self, mistake: Mistake) -> bool {
        self.planted.makes(mistake)
    }

    pub(crate) fn notify(&mut self, notice: Notice) {
        self.commands.push(Command::Notify(notice));
    }
}

/// Lends a stage to a test of what acts in one, with nothing around it.
#[cfg(test)]
pub(crate) fn on_a_stage<T>(now: Timestamp, act: impl FnOnce(&mut Stage<'_>) -> T) -> T {
    act(&mut Stage {
        now: Now {
            monotonic: now,
            ..Now::default()
        },
        epoch: Epoch::default(),
        commands: &mut Vec::new(),
        rng: &mut Rng::new(1),
        counters: &mut Counters::default(),
        listed_target_duration: None,
        planted: Planted::default(),
    })
}
