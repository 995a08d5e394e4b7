//! One channel of a node: what is wanted of it, and how far that has come.

use super::{Grant, Record};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A channel that cannot be opened, or broke, is opened again after this, then twice as late each time.
pub const REOPEN_FIRST: Span = Span::from_secs(1);
/// The longest such pause.
pub const REOPEN_SLOWEST: Span = Span::from_secs(30);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub(super) struct Channel<S> {
    pub(super) record: Record<S>,
    /// The store has it no more: it stops, and then it is forgotten.
    pub(super) removed: bool,
    pub(super) phase: Phase,
    /// It takes one of the places that the node has for running channels.
    pub(super) takes_place: bool,
    /// It has stopped and all it had published is gone.
    pub(super) rested: bool,
    /// Nothing at all is left of it.
    pub(super) erased: bool,
    /// Openings that led to nothing, in a row.
    pub(super) failures: u32,
    /// In a cluster: in whose name it is relayed.
    pub(super) grant: Option<Grant>,
    pub(super) fate: Fate,
}

/// What is to become of a channel of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fate {
    /// It stays.
    Kept,
    /// It is closed, and then given away.
    GivenAway,
    /// It is another's.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    Shut {
        /// After a failure: not before this, for this reason.
        pause: Option<(Timestamp, Arc<str>)>,
    },
    Opening,
    Open {
        since: Timestamp,
        /// The revision it was told last.
        told: Option<u64>,
    },
    Closing,
    Erasing,
}

impl<S> Channel<S> {
    pub(super) fn new(record: Record<S>, removed: bool, grant: Option<Grant>) -> Self {
        Self {
            record,
            removed,
            phase: Phase::Shut { pause: None },
            takes_place: false,
            rested: false,
            erased: false,
            failures: 0,
            grant,
            fate: Fate::Kept,
        }
    }

    pub(super) fn become_open(&mut self, now: Timestamp) {
        assert!(self.phase == Phase::Opening, "opened out of turn");
        self.phase = Phase::Open {
            since: now,
            told: None,
        };
    }

    pub(super) fn become_shut(&mut self) {
        self.phase = Phase::Shut { pause: None };
        self.takes_place = false;
        self.failures = 0;
    }

    pub(super) fn become_failed(&mut self, now: Timestamp, why: Arc<str>) {
        if let Phase::Open { since, .. } = self.phase
            && now.since(since) > REOPEN_SLOWEST
        {
            self.failures = 0;
        }
        let doubled = REOPEN_FIRST * (1 << self.failures.min(5));
        let until = now + doubled.min(REOPEN_SLOWEST);
        self.failures = self.failures.saturating_add(1);
        self.takes_place = false;
        self.phase = Phase::Shut {
            pause: Some((until, why)),
        };
    }
}
