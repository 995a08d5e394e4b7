//! Whether this node can keep what it relays: one whose store is gone takes no channel, and gives those it has to
//! nodes that can have them.

use super::*;

/// The store is tried so often.
const TRY_EVERY: Span = Span::from_secs(5);

/// What is known of the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Fitness {
    /// It could not be used when it was tried last.
    pub(super) is_unfit: bool,
    trying: bool,
    try_at: Timestamp,
}

impl Member {
    /// Whether the store is to be tried now.
    pub(in super::super) fn tries_store(&mut self, now: Timestamp) -> bool {
        let tries = self.fitness_wakeup().is_some_and(|at| at <= now);
        self.fitness.trying |= tries;
        tries
    }

    pub(in super::super) fn store_tried(&mut self, now: Timestamp, is_usable: bool) {
        let is_unfit = !is_usable && !self.planted.makes(Mistake::BrokenStoreKept);
        if is_unfit && !self.fitness.is_unfit {
            self.others_are_to_see(now);
        }
        self.fitness = Fitness {
            is_unfit,
            trying: false,
            try_at: now + TRY_EVERY,
        };
    }

    /// When the store is to be tried next.
    pub(super) fn fitness_wakeup(&self) -> Option<Timestamp> {
        let waits = !self.fitness.trying && !self.leaving;
        waits.then_some(self.fitness.try_at)
    }
}
