//! Who makes rungs and warms edges, who else wants them to, and what goes wrong with them.

pub mod pool;
pub mod queue;

use hls_relay_core::time::{Span, Timestamp};
use pool::{Fate, Order};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Workers and edges of a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerPlan {
    /// All rungs of a segment take so many percent of what it lasts, and fewer of them their share.
    pub percent: u64,
    /// So many segments are worked on at once.
    pub hands: usize,
    /// Other channels whose segments they work on as well.
    pub neighbours: Vec<NeighbourPlan>,
    /// What goes wrong, and when.
    pub faults: Vec<WorkerFault>,
}

/// Another channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourPlan {
    /// When it has its first segment.
    pub begins: Span,
    /// How long a segment lasts.
    pub duration: Span,
    /// Its rungs take so many percent of that.
    pub percent: u64,
    /// Segments beside those that come one after the other.
    pub floods: Vec<Flood>,
}

/// Many segments of one channel at once, as after an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flood {
    /// When they come.
    pub at: Span,
    /// How many.
    pub segments: u64,
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
    /// They die without a word, and what they had is given to another one.
    Vanish,
    /// They are not heard of for a while, and answer then, as does who was given the same meanwhile.
    FallSilent,
    /// There is nobody.
    Nobody,
    /// An edge does not answer.
    EdgeHangs,
    /// An edge answers with an error.
    EdgeFails,
}

/// All but [`QUEUE_FAULTS`].
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

/// Those by which an order is given once more.
pub const QUEUE_FAULTS: [WorkerFaultKind; 2] =
    [WorkerFaultKind::Vanish, WorkerFaultKind::FallSilent];

/// So many segments are worked on at once where nothing else is said: there is always a free hand.
pub const MANY_HANDS: usize = 64;
/// One that is not heard of is so for so long longer than it works.
const SILENT_FOR: Span = Span::from_millis(2_500);

impl Default for WorkerPlan {
    fn default() -> Self {
        Self {
            percent: 25,
            hands: MANY_HANDS,
            neighbours: Vec::new(),
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

    /// What becomes of an order that a worker takes.
    pub fn fate(&self, at: Timestamp, order: &Order) -> Fate {
        let fault = self.fault(at, false);
        let after = match fault {
            Some(WorkerFaultKind::Slow(percent)) => {
                order.takes.scaled(percent, self.percent.max(1))
            }
            Some(WorkerFaultKind::TooFarToStop) => order.takes.scaled(150, self.percent.max(1)),
            Some(
                WorkerFaultKind::Undecodable
                | WorkerFaultKind::Unsupported
                | WorkerFaultKind::StoreFails,
            ) => Span::from_millis(20),
            // Before the machine tells them to stop.
            Some(WorkerFaultKind::GiveUp) => order.within.scaled(7, 8),
            Some(WorkerFaultKind::Die) => order.takes.half(),
            Some(WorkerFaultKind::FallSilent) => order.takes + SILENT_FOR,
            Some(_) | None => order.takes,
        };
        let answers = fault != Some(WorkerFaultKind::Hang);
        Fate {
            after: answers.then(|| after.max(Span::from_micros(1))),
            fault,
        }
    }

    /// Whether something is wrong with them at some time from one moment to another.
    pub fn in_trouble(&self, from: Timestamp, until: Timestamp) -> bool {
        let begin = Timestamp::default();
        let mut faults = self.faults.iter();
        faults.any(|it| begin + it.from <= until && from <= begin + it.until)
    }

    /// Whether there are enough for segments of the channel under test that are so long. One worker alone would come to
    /// the first segment of each channel in time, whatever the others have put down: it ends what it has in its
    /// hands, and makes one of each, the channel under test counted twice (once for a process that has ended). A quarter
    /// is left, as a rung that comes back needs it, and a channel may wait for three quarters of a segment only.
    pub fn are_enough(&self, duration: Span) -> bool {
        let made = |(duration, percent): (Span, u64)| (duration, duration.scaled(percent, 100));
        let own = made((duration, self.percent));
        let others = self.neighbours.iter().map(|it| (it.duration, it.percent));
        let all: Vec<_> = others.map(made).chain([own]).collect();
        let takes = all.iter().map(|it| it.1);
        let longest = takes.clone().max().unwrap_or_default();
        let needed = match self.hands >= MANY_HANDS {
            true => own.1,
            false => takes.sum::<Span>() + longest + own.1 + Span::from_millis(200),
        };
        let shortest = all.iter().map(|it| it.0).min().unwrap_or_default();
        needed <= shortest.scaled(9, 16)
    }

    /// When the last of it is over.
    pub fn over_at(&self) -> Timestamp {
        let last = self.faults.iter().map(|it| it.until).max();
        Timestamp::default() + last.unwrap_or_default()
    }
}

impl fmt::Display for NeighbourPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            begins,
            duration,
            percent,
            floods,
        } = self;
        write!(
            out,
            "another channel: segments of {duration} from {begins} on, made in {percent}%"
        )?;
        for Flood { at, segments } in floods {
            write!(out, ", {segments} more at {at}")?;
        }
        Ok(())
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
