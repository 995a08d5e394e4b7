//! What a cluster is and what goes wrong in it: plain data, drawn from a seed before anything runs.

mod draw;

use hls_relay_core::event::Desired;
use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Everything about one world. The same plan gives the same run, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it is about, where somebody has kept it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What must come about in it, by the names of the census: else it shows nothing any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sees: Vec<String>,
    /// Of every draw that is not in the plan itself.
    pub seed: u64,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
    /// How much the clock of Redis gains in a second, in microseconds.
    pub redis_ppm: i64,
    /// So many channels.
    pub channels: usize,
    /// What is wanted of channels, and when.
    pub changes: Vec<ChangePlan>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// When the last fault is over.
    pub healed_at: Span,
    /// When everything must be well.
    pub ends_at: Span,
}

/// One node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePlan {
    /// How many channels it may run.
    pub capacity: usize,
    /// What its clock gains in a second, in microseconds.
    pub ppm: i64,
    /// When it is started first.
    pub start_at: Span,
}

/// Something is wanted of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePlan {
    /// When.
    pub at: Span,
    /// Of which channel.
    pub channel: usize,
    /// What.
    pub wish: Wish,
    /// Who says so: the API of this node, or some program that writes Redis directly.
    pub by: Option<usize>,
}

/// What can be wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// To run, with a list of so many segments.
    Run {
        /// How many.
        window: usize,
        /// From the source of this number.
        #[serde(default)]
        source: usize,
    },
    /// To stop.
    Stop,
    /// Not to be.
    Remove,
}

impl Wish {
    /// Run or stop.
    pub fn desired(self) -> Desired {
        match self {
            Self::Run { .. } => Desired::Run,
            Self::Stop | Self::Remove => Desired::Stop,
        }
    }
}

/// One thing that goes wrong, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When it begins.
    pub from: Span,
    /// When it is over.
    pub until: Span,
    /// What it is.
    pub kind: FaultKind,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Redis is not there for anybody, and then has lost something, or nothing.
    RedisAway(Lost),
    /// A node does not reach Redis, or does not hear from it.
    CutRedis {
        /// Which.
        node: usize,
        /// Which way.
        way: Way,
    },
    /// One node does not reach another, or does not hear from it.
    CutNodes {
        /// Which asks.
        one: usize,
        /// Which is asked.
        other: usize,
        /// Which way.
        way: Way,
    },
    /// A node reaches nobody at all.
    CutOff {
        /// Which.
        node: usize,
    },
    /// What a node says to Redis, or hears, is late.
    Slow {
        /// Which.
        node: usize,
        /// By how much at most.
        by: Span,
    },
    /// What Redis answers a node is lost now and then.
    RepliesLost {
        /// Which.
        node: usize,
    },
    /// A process is stopped and goes on later: its clock does not stop.
    Pause {
        /// Which.
        node: usize,
    },
    /// A process is gone at once, and started again at the end.
    Kill {
        /// Which.
        node: usize,
    },
    /// A process is asked to leave, and started again at the end.
    Drain {
        /// Which.
        node: usize,
    },
    /// A node can keep nothing: no channel can be opened there, and no segment stored.
    StoreGone {
        /// Which.
        node: usize,
    },
    /// Nobody hears of changes.
    HintsLost,
}

/// Which messages are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Both.
    Both,
    /// What is asked.
    There,
    /// What is answered: it was done.
    Back,
}

/// What a Redis that comes back does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// It knows all.
    Nothing,
    /// A replica that was so far behind has taken over.
    Last(Span),
    /// It begins anew.
    Everything,
}

/// A mistake of those that carry out what the machines want: of scripts, and of adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// The script of a publish does not look at the epoch.
    FenceNotChecked,
    /// A claim counts on from the epoch that is there, and not from the time.
    EpochReused,
    /// A registration writes over what was wanted since.
    RegisterUndoesChanges,
    /// A version is visible before its checkpoint is saved.
    VisibleBeforeSaved,
    /// Nobody looks at the lease before viewers are served.
    ServedAfterLease,
}

impl Slip {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::FenceNotChecked,
        Self::EpochReused,
        Self::RegisterUndoesChanges,
        Self::VisibleBeforeSaved,
        Self::ServedAfterLease,
    ];
}

impl FromStr for Plan {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

impl Plan {
    /// As it is kept in a file.
    ///
    /// # Errors
    /// None that a plan can cause.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Redis alone goes wrong, so no viewer may notice anything.
    pub fn is_static(&self) -> bool {
        let redis = |it: &Fault| matches!(it.kind, FaultKind::RedisAway(_));
        self.is_calm() && self.faults.iter().all(redis) && self.faults.len() <= 1
    }

    /// The store of one node alone goes wrong, and when: others have room for what it cannot relay.
    pub fn store_alone(&self) -> Option<&Fault> {
        let alone = self.faults.len() == 1 && self.stores_alone();
        self.faults.first().filter(|_| alone)
    }

    /// The store of all nodes goes wrong, and nothing else: nobody can have what one cannot keep.
    pub fn store_in_common(&self) -> bool {
        self.faults.len() == self.nodes.len() && self.stores_alone()
    }

    /// Nothing but stores goes wrong.
    fn stores_alone(&self) -> bool {
        let gone = |it: &Fault| matches!(it.kind, FaultKind::StoreGone { .. });
        self.is_calm() && self.faults.iter().all(gone)
    }

    /// What goes wrong does so behind all changes, and every node has room for all channels.
    fn is_calm(&self) -> bool {
        let early =
            |it: &NodePlan| it.start_at < Span::from_secs(5) && it.capacity >= self.channels;
        let changed = self.changes.iter().all(|it| it.at < Span::from_secs(10));
        changed && self.nodes.iter().all(early)
    }

    /// Whether a Redis was lost that knew more than its successor.
    pub fn loses(&self) -> bool {
        let loses = |it: &Fault| {
            matches!(
                it.kind,
                FaultKind::RedisAway(Lost::Last(_) | Lost::Everything)
            )
        };
        self.faults.iter().any(loses)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            redis_ppm,
            channels,
            healed_at,
            ends_at,
            ..
        } = self;
        let about = match self.about.as_str() {
            "" => String::new(),
            about => format!("{about}\n"),
        };
        writeln!(
            out,
            "{about}plan of seed {seed}: {channels} channels, healed at {healed_at}, ends at {ends_at}"
        )?;
        writeln!(out, "  redis: its clock gains {redis_ppm} ppm")?;
        for (number, node) in self.nodes.iter().enumerate() {
            let NodePlan {
                capacity,
                ppm,
                start_at,
            } = node;
            writeln!(
                out,
                "  node n{number}: capacity {capacity}, its clock gains {ppm} ppm, from {start_at} on"
            )?;
        }
        for change in &self.changes {
            let ChangePlan {
                at,
                channel,
                wish,
                by,
            } = change;
            let by = by.map_or("a writer of Redis".to_owned(), |node| format!("n{node}"));
            writeln!(out, "  {at}: {wish:?} c{channel}, by {by}")?;
        }
        for Fault { from, until, kind } in &self.faults {
            writeln!(out, "  {from} to {until}: {kind:?}")?;
        }
        Ok(())
    }
}

impl FaultKind {
    /// Whom it befalls.
    pub(super) fn nodes(self) -> impl Iterator<Item = usize> {
        let (one, other) = match self {
            Self::RedisAway(_) | Self::HintsLost => (None, None),
            Self::CutNodes { one, other, .. } => (Some(one), Some(other)),
            Self::CutRedis { node, .. }
            | Self::CutOff { node }
            | Self::Slow { node, .. }
            | Self::RepliesLost { node }
            | Self::Pause { node }
            | Self::Kill { node }
            | Self::Drain { node }
            | Self::StoreGone { node } => (Some(node), None),
        };
        one.into_iter().chain(other)
    }

    /// Under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::RedisAway(Lost::Nothing) => "redis away",
            Self::RedisAway(Lost::Last(_)) => "redis lost the last writes",
            Self::RedisAway(Lost::Everything) => "redis lost all",
            Self::CutRedis { .. } => "cut from redis",
            Self::CutNodes { .. } => "cut between nodes",
            Self::CutOff { .. } => "cut off",
            Self::Slow { .. } => "slow",
            Self::RepliesLost { .. } => "replies lost",
            Self::Pause { .. } => "pause",
            Self::Kill { .. } => "kill",
            Self::Drain { .. } => "drain",
            Self::StoreGone { .. } => "store gone",
            Self::HintsLost => "hints lost",
        }
    }
}
