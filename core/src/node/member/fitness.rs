//! Whether this node can keep what it relays: one whose store is gone takes no channel, and gives those it has to
//! nodes that can have them.

use super::*;

/// The store is tried so often.
const TRY_EVERY: Span = Span::from_secs(5);

/// And, once it could not be used, after this: by then every other node has tried its own.
const TRY_AGAIN: Span = Span::from_secs(7);

/// What is known of the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Fitness {
    /// It could not be used so often in a row.
    failures: u32,
    trying: bool,
    try_at: Timestamp,
}

impl Fitness {
    /// It could not be used when it was tried last.
    pub(super) fn is_unfit(&self) -> bool {
        self.failures > 0
    }

    /// Nor before that. A store that all nodes have in common is gone for all of them by then, and they have said so:
    /// what one of them gave away nobody could keep.
    pub(super) fn is_lasting(&self) -> bool {
        self.failures > 1
    }
}

impl Member {
    /// Whether the store is to be tried now; then it is being tried.
    pub(in super::super) fn begin_trial(&mut self, now: Timestamp) -> bool {
        let tries = self.fitness_wakeup().is_some_and(|at| at <= now);
        self.fitness.trying |= tries;
        tries
    }

    pub(in super::super) fn store_tried(&mut self, now: Timestamp, is_usable: bool) {
        let failed = !is_usable && !self.planted.makes(Mistake::BrokenStoreKept);
        let failures = match failed {
            true => self.fitness.failures.saturating_add(1),
            false => 0,
        };
        if failed {
            self.others_are_to_see(now);
        }
        self.fitness = Fitness {
            failures,
            trying: false,
            try_at: now + if failed { TRY_AGAIN } else { TRY_EVERY },
        };
    }

    /// When the store is to be tried next.
    pub(super) fn fitness_wakeup(&self) -> Option<Timestamp> {
        let waits = !self.fitness.trying && !self.leaving;
        waits.then_some(self.fitness.try_at)
    }
}
