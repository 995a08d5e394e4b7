//! What a cluster is and what goes wrong in it: plain data, drawn from a seed before anything runs.

use crate::draw::Dice;
use hls_relay_core::event::Desired;
use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// The faults of a world last so long.
const LENGTH: Span = Span::from_secs(100);
/// And then all must come to rest.
const REST: Span = Span::from_secs(75);

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "cluster");
        let count = dice.between(2, 4) as usize;
        let ppm = |dice: &mut Dice| dice.between(0, 18_000) as i64 - 9_000;
        let nodes = (0..count).map(|number| NodePlan {
            capacity: dice.pick(&[3, 6, 6, 10]),
            ppm: ppm(&mut dice),
            start_at: if number < 2 {
                dice.millis(0, 2_000)
            } else {
                dice.millis(0, 60_000)
            },
        });
        let nodes: Vec<_> = nodes.collect();
        let channels = dice.between(2, 5) as usize;
        let mut plan = Self {
            about: String::new(),
            sees: Vec::new(),
            seed,
            redis_ppm: ppm(&mut dice),
            channels,
            changes: Vec::new(),
            faults: Vec::new(),
            healed_at: LENGTH,
            ends_at: LENGTH + REST,
            nodes,
        };
        plan.draw_changes(seed);
        match dice.below(8) {
            0 => {}
            1 | 2 => plan.draw_static(&mut dice),
            _ => {
                for _ in 0..dice.between(1, 5) {
                    plan.draw_fault(&mut dice);
                }
            }
        }
        plan.nobody_joins_across_a_cut();
        plan
    }

    fn draw_changes(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, "cluster changes");
        for channel in 0..self.channels {
            let mut at = dice.millis(0, 9_000);
            let mut wish = Wish::Run {
                window: 6,
                source: 0,
            };
            for _ in 0..dice.pick(&[1, 1, 2, 3, 4]) {
                let by = dice
                    .one_in(2)
                    .then(|| dice.below(self.nodes.len() as u64) as usize);
                self.changes.push(ChangePlan {
                    at,
                    channel,
                    wish,
                    by,
                });
                // Now and then two at once, or nearly.
                at += match dice.below(3) {
                    0 => Span::from_millis(3),
                    1 => Span::from_millis(40),
                    _ => dice.millis(1_000, 40_000),
                };
                wish = match dice.below(6) {
                    0 => Wish::Remove,
                    1 | 2 => Wish::Stop,
                    _ => Wish::Run {
                        window: dice.between(6, 9) as usize,
                        source: 0,
                    },
                };
            }
        }
        self.changes.retain(|it| it.at < LENGTH);
        self.changes.sort_by_key(|it| it.at);
    }

    /// Redis alone goes wrong: no viewer may notice.
    fn draw_static(&mut self, dice: &mut Dice) {
        for node in &mut self.nodes {
            node.start_at = dice.millis(0, 2_000);
            node.capacity = node.capacity.max(self.channels);
        }
        self.changes.retain(|it| it.at < Span::from_secs(10));
        let from = dice.millis(25_000, 40_000);
        let until = from + dice.millis(3_000, 55_000);
        let lost = dice.pick(&[
            Lost::Nothing,
            Lost::Everything,
            Lost::Last(Span::from_millis(700)),
        ]);
        self.faults.push(Fault {
            from,
            until,
            kind: FaultKind::RedisAway(lost),
        });
    }

    fn draw_fault(&mut self, dice: &mut Dice) {
        let nodes = self.nodes.len() as u64;
        let node = dice.below(nodes) as usize;
        let other = (node + 1 + dice.below(nodes - 1) as usize) % nodes as usize;
        let way = dice.pick(&[Way::Both, Way::There, Way::Back]);
        let from = dice.millis(8_000, 85_000);
        let long = match dice.below(3) {
            0 => dice.millis(200, 4_000),
            1 => dice.millis(2_000, 12_000),
            _ => dice.millis(8_000, 45_000),
        };
        let lost = match dice.below(3) {
            0 => Lost::Nothing,
            1 => Lost::Everything,
            _ => Lost::Last(dice.millis(50, 2_500)),
        };
        let kind = match dice.below(17) {
            0 | 1 => FaultKind::RedisAway(lost),
            2..=6 => FaultKind::CutRedis { node, way },
            7 => FaultKind::CutNodes {
                one: node,
                other,
                way,
            },
            8 | 9 => FaultKind::CutOff { node },
            10 => FaultKind::Slow {
                node,
                by: dice.millis(100, 3_000),
            },
            11 => FaultKind::RepliesLost { node },
            12 => FaultKind::Pause { node },
            13 | 14 => FaultKind::Kill { node },
            15 => FaultKind::Drain { node },
            _ => FaultKind::HintsLost,
        };
        let until = (from + long).min(self.healed_at);
        self.faults.push(Fault { from, until, kind });
        self.draw_companion(dice, Fault { from, until, kind });
    }

    /// What is worst together with another fault.
    fn draw_companion(&mut self, dice: &mut Dice, fault: Fault) {
        let Fault { from, until, kind } = fault;
        let long = until.saturating_sub(from);
        match kind {
            // An owner that went on without Redis has saved nothing, and dies.
            FaultKind::RedisAway(_) if long >= Span::from_secs(6) && dice.one_in(2) => {
                let kind = FaultKind::Kill {
                    node: dice.below(self.nodes.len() as u64) as usize,
                };
                let from = from + long.scaled(2, 3);
                let until = (until + dice.millis(6_000, 14_000)).min(self.healed_at);
                self.faults.push(Fault { from, until, kind });
            }
            // All fall silent, at once or one after the other.
            FaultKind::CutRedis { node, way } if dice.one_in(2) => {
                for node in (0..self.nodes.len()).filter(|it| *it != node) {
                    let from = from + dice.millis(0, 3_000);
                    let until = (from + dice.millis(1_500, 5_500)).min(self.healed_at);
                    let kind = FaultKind::CutRedis { node, way };
                    self.faults.push(Fault { from, until, kind });
                }
            }
            // What it has sent arrives when another is the owner.
            FaultKind::CutRedis { node, .. }
            | FaultKind::CutOff { node }
            | FaultKind::Kill { node } => {
                // What is sent is there within a lease, or its sender is dead.
                let is_dead = matches!(kind, FaultKind::Kill { .. });
                let most = if is_dead { 9_000 } else { 4_500 };
                let by = dice.millis(1_000, most);
                let kind = FaultKind::Slow { node, by };
                let from = from.saturating_sub(Span::from_secs(4));
                let until = from + Span::from_secs(4);
                self.faults.push(Fault { from, until, kind });
            }
            FaultKind::RedisAway(_)
            | FaultKind::CutNodes { .. }
            | FaultKind::Slow { .. }
            | FaultKind::RepliesLost { .. }
            | FaultKind::Pause { .. }
            | FaultKind::Drain { .. }
            | FaultKind::HintsLost => {}
        }
    }

    /// What is not promised: a node that starts, or comes back, on the side of Redis while others are cut off
    /// from it and from Redis alike. They cannot know of each other.
    fn nobody_joins_across_a_cut(&mut self) {
        let late: Vec<Span> = self.nodes.iter().map(|it| it.start_at).collect();
        let ends = self
            .faults
            .iter()
            .filter(|it| matches!(it.kind, FaultKind::Kill { .. } | FaultKind::Drain { .. }));
        let joins: Vec<Span> = late.into_iter().chain(ends.map(|it| it.until)).collect();
        let cuts =
            |kind: FaultKind| matches!(kind, FaultKind::CutNodes { .. } | FaultKind::CutOff { .. });
        let near = |it: &Fault| {
            let joins = joins.iter().filter(|at| **at > Span::from_secs(3));
            joins
                .clone()
                .any(|at| it.from <= *at + Span::from_secs(40) && *at <= it.until)
        };
        let redis_cut = self.faults.iter().any(|it| {
            matches!(
                it.kind,
                FaultKind::CutRedis { .. } | FaultKind::RedisAway(_)
            )
        });
        self.faults
            .retain(|it| !(cuts(it.kind) && near(it) && redis_cut));
    }

    /// Redis alone goes wrong, so no viewer may notice anything.
    pub fn is_static(&self) -> bool {
        let redis = |it: &Fault| matches!(it.kind, FaultKind::RedisAway(_));
        let early =
            |it: &NodePlan| it.start_at < Span::from_secs(5) && it.capacity >= self.channels;
        let calm = self.changes.iter().all(|it| it.at < Span::from_secs(10));
        calm && self.faults.iter().all(redis)
            && self.nodes.iter().all(early)
            && self.faults.len() <= 1
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
            | Self::Drain { node } => (Some(node), None),
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
            Self::HintsLost => "hints lost",
        }
    }
}
