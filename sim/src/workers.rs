//! Who makes rungs and warms edges, and what goes wrong with them.

use hls_relay_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Workers and edges of a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerPlan {
    /// All rungs of a segment take so many percent of what it lasts, and fewer of them their share.
    pub percent: u64,
    /// What goes wrong, and when.
    pub faults: Vec<WorkerFault>,
}

/// One thing that goes wrong with workers, or with edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerFault {
    /// When it begins.
    pub from: Span,
    /// When it is over.
    pub until: Span,
    /// What it is.
    pub kind: WorkerFaultKind,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerFaultKind {
    /// They take so many percent.
    Slow(u64),
    /// They die over it.
    Die,
    /// They say nothing until they are told to stop.
    Hang,
    /// They answer twice, as a queue does that delivers once more.
    AnswerTwice,
    /// They are slow, and what they are told to stop is made all the same.
    TooFarToStop,
    /// They cannot decode what they get.
    Undecodable,
    /// They can decode it, and cannot make rungs of it that fit in.
    Unsupported,
    /// They cannot read it from the store.
    StoreFails,
    /// They give up before their time is over.
    GiveUp,
    /// One of the rungs fails.
    OneFails,
    /// One of the rungs does not have the times of its source.
    OneInexact,
    /// There is nobody.
    Nobody,
    /// An edge does not answer.
    EdgeHangs,
    /// An edge answers with an error.
    EdgeFails,
}

/// All of them.
pub const WORKER_FAULTS: [WorkerFaultKind; 14] = [
    WorkerFaultKind::Slow(130),
    WorkerFaultKind::Die,
    WorkerFaultKind::Hang,
    WorkerFaultKind::AnswerTwice,
    WorkerFaultKind::TooFarToStop,
    WorkerFaultKind::Undecodable,
    WorkerFaultKind::Unsupported,
    WorkerFaultKind::StoreFails,
    WorkerFaultKind::GiveUp,
    WorkerFaultKind::OneFails,
    WorkerFaultKind::OneInexact,
    WorkerFaultKind::Nobody,
    WorkerFaultKind::EdgeHangs,
    WorkerFaultKind::EdgeFails,
];

impl Default for WorkerPlan {
    fn default() -> Self {
        Self {
            percent: 25,
            faults: Vec::new(),
        }
    }
}

impl WorkerFaultKind {
    /// It befalls edges.
    pub fn is_of_edges(self) -> bool {
        matches!(self, Self::EdgeHangs | Self::EdgeFails)
    }
}

impl WorkerPlan {
    /// What befalls workers, or edges, at a time.
    pub fn fault(&self, at: Timestamp, of_edges: bool) -> Option<WorkerFaultKind> {
        let at = at.since(Timestamp::default());
        let mut faults = self.faults.iter();
        faults
            .find(|it| it.kind.is_of_edges() == of_edges && it.from <= at && at < it.until)
            .map(|it| it.kind)
    }

    /// Whether something is wrong with them at some time from one moment to another.
    pub fn in_trouble(&self, from: Timestamp, until: Timestamp) -> bool {
        let begin = Timestamp::default();
        let mut faults = self.faults.iter();
        faults.any(|it| begin + it.from <= until && from <= begin + it.until)
    }

    /// When the last of it is over.
    pub fn over_at(&self) -> Timestamp {
        let last = self.faults.iter().map(|it| it.until).max();
        Timestamp::default() + last.unwrap_or_default()
    }
}

impl fmt::Display for WorkerFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "workers: {} to {}: {:?}",
            self.from, self.until, self.kind
        )
    }
}
