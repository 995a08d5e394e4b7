//! One node and its channels: which are open, what each was told, what is closed and cleared away.
//!
//! It is a machine like that of a channel: [`Node::step`] is the only way in, every command is completed
//! once, deadlines are fields, and it can be serialized whole: a journal begins with it. It knows nothing of what a
//! channel is (`S`), only what is wanted of it.

mod channel;
pub mod cluster;
mod member;
mod record;
mod share;

use crate::event::Desired;
use crate::planted::Planted;
use crate::time::Timestamp;
use channel::{Channel, Fate, Phase};
pub use channel::{REOPEN_FIRST, REOPEN_SLOWEST};
pub use cluster::{ClusterCommand, ClusterEvent, Grant, Incarnation, NodeName};
use member::{Member, Order, Room};
pub use record::{
    Applied, BadChannelId, Change, ChannelId, Condition, Record, Refused, Writer, apply,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a node's machine is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub enum NodeEvent<S> {
    /// A wakeup, at whatever time.
    Tick,
    /// What the control store has for a channel now. An older revision than is known changes nothing. In a
    /// cluster, a channel that is not ours is no affair of this node.
    Wanted {
        /// Which one.
        id: ChannelId,
        /// What it should be.
        record: Record<S>,
    },
    /// The control store has it no more.
    Removed {
        /// Which one.
        id: ChannelId,
        /// Of the removal.
        revision: u64,
    },
    /// Completes [`NodeCommand::Open`]; `Err` says why it is not open.
    Opened {
        /// Which one.
        id: ChannelId,
        /// Why it is not open.
        outcome: Result<(), Arc<str>>,
    },
    /// What a stopped channel had published has had its time and is gone.
    Idle {
        /// Which one.
        id: ChannelId,
        /// With which the channel was told to stop.
        revision: u64,
    },
    /// Completes [`NodeCommand::Close`], or comes without one: the channel broke, for this reason.
    Closed {
        /// Which one.
        id: ChannelId,
        /// Why it broke.
        broke: Option<Arc<str>>,
    },
    /// Completes [`NodeCommand::Erase`].
    Erased {
        /// Which one.
        id: ChannelId,
    },
    /// Completes [`NodeCommand::TryStore`].
    StoreTried {
        /// A channel could be opened, and its segments kept.
        is_usable: bool,
    },
    /// In a cluster: what comes from Redis and from peers.
    Cluster(ClusterEvent<S>),
    /// In a cluster: the node is to give its channels to those that have room for them, and to take no more. It
    /// still answers for all, until it ends.
    Drain,
    /// The process wants to end: all channels finish what is in flight.
    ShutDown,
}

impl<S> NodeEvent<S> {
    /// The one channel that it is about, if it is one.
    pub fn channel(&self) -> Option<&ChannelId> {
        match self {
            Self::Wanted { id, .. }
            | Self::Removed { id, .. }
            | Self::Opened { id, .. }
            | Self::Idle { id, .. }
            | Self::Closed { id, .. }
            | Self::Erased { id } => Some(id),
            Self::Tick
            | Self::StoreTried { .. }
            | Self::Cluster(_)
            | Self::Drain
            | Self::ShutDown => None,
        }
    }
}

/// What a node's machine wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub enum NodeCommand<S> {
    /// Put its parts together, and begin from its checkpoint.
    Open {
        /// Which one.
        id: ChannelId,
        /// In a cluster: in whose name.
        grant: Option<Grant>,
    },
    /// Tell an open channel what it should be. Its own machine ignores what is older than it knows.
    Configure {
        /// Which one.
        id: ChannelId,
        /// What it should be.
        record: Record<S>,
    },
    /// Let it finish what is in flight, save its checkpoint and end.
    Close {
        /// Which one.
        id: ChannelId,
    },
    /// It is somebody else's: end it at once, publish, delete and save nothing. Completed by
    /// [`NodeEvent::Closed`].
    Abandon {
        /// Which one.
        id: ChannelId,
    },
    /// Delete what is left of a removed channel.
    Erase {
        /// Which one.
        id: ChannelId,
    },
    /// In a cluster: see whether segments can be kept here. Where they cannot, others are to have the channels.
    TryStore,
    /// In a cluster: what is wanted of Redis and of peers.
    Cluster(ClusterCommand<S>),
}

/// Where a channel stands, for people. Of an open one, its own machine says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It should run and cannot yet, for this reason.
    Waiting(Arc<str>),
    /// It is being opened.
    Opening,
    /// It is open.
    Open,
    /// It is stopped, and nothing of it is left but its checkpoint.
    Resting,
    /// It is on its way out.
    Leaving,
}

/// The machine of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub struct Node<S> {
    /// So many channels run at most.
    capacity: usize,
    channels: BTreeMap<ChannelId, Channel<S>>,
    leaving: bool,
    member: Option<Member>,
}

impl<S> Node<S> {
    /// A node without channels.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            channels: BTreeMap::new(),
            leaving: false,
            member: None,
        }
    }

    /// A node without channels that is to share them with the others of its cluster. `seed` is its only chance,
    /// another one for each process: it names the incarnations.
    pub fn in_cluster(capacity: usize, name: NodeName, seed: u64, planted: Planted) -> Self {
        Self {
            member: Some(Member::new(name, seed, planted)),
            ..Self::new(capacity)
        }
    }

    /// Takes what has happened and says what is to be done.
    pub fn step(
        &mut self,
        now: Timestamp,
        event: NodeEvent<S>,
        commands: &mut Vec<NodeCommand<S>>,
    ) {
        let mut touched: BTreeSet<ChannelId> = event.channel().cloned().into_iter().collect();
        let everything = matches!(event, NodeEvent::Tick | NodeEvent::ShutDown);
        let before = self.free_places();
        self.take(now, event, &mut touched, commands);
        for id in &touched {
            let mut free = self.free_places();
            self.advance(now, id, &mut free, commands);
        }
        let mut free = self.free_places();
        if everything || free > before {
            // In the order of their names, so that the same channels find room each time.
            let ids: Vec<_> = self.channels.keys().cloned().collect();
            for id in ids {
                self.advance(now, &id, &mut free, commands);
            }
        }
        self.advance_cluster(now, commands);
        self.assert_invariants();
    }

    fn free_places(&self) -> usize {
        let taken = self.channels.values().filter(|it| it.takes_place).count();
        self.capacity.saturating_sub(taken)
    }

    /// When a tick is wanted; always in the future.
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        let waiting = self.channels.values().filter(|_| !self.leaving);
        let pauses = waiting.filter_map(|channel| match &channel.phase {
            Phase::Shut { pause } => pause.as_ref().map(|(until, _)| *until),
            Phase::Opening | Phase::Open { .. } | Phase::Closing | Phase::Erasing => None,
        });
        let cluster = self.member.as_ref().and_then(Member::wakeup);
        pauses.min().into_iter().chain(cluster).min()
    }

    /// After a shutdown: nothing is open any more.
    pub fn is_finished(&self) -> bool {
        let shut = |channel: &Channel<S>| matches!(channel.phase, Phase::Shut { .. });
        let left = self.member.as_ref().is_none_or(Member::has_left);
        self.leaving && left && self.channels.values().all(shut)
    }

    /// How many channels may run.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether it is to give its channels away ([`NodeEvent::Drain`]).
    pub fn is_draining(&self) -> bool {
        self.member.as_ref().is_some_and(Member::is_draining)
    }

    /// Where each of its channels stands.
    pub fn standings(&self) -> impl Iterator<Item = (&ChannelId, &Record<S>, Standing)> {
        let standings = self.channels.iter();
        standings.map(|(id, channel)| (id, &channel.record, self.standing_of(channel)))
    }

    /// Where one channel stands; `None` of one that is not known.
    pub fn standing(&self, id: &ChannelId) -> Option<Standing> {
        self.channels.get(id).map(|it| self.standing_of(it))
    }

    /// What is wanted of a channel that is known.
    pub fn desired(&self, id: &ChannelId) -> Option<Desired> {
        self.channels.get(id).map(|it| it.record.desired)
    }

    /// Of what is wanted of a channel that is known.
    pub fn revision(&self, id: &ChannelId) -> Option<u64> {
        self.channels.get(id).map(|it| it.record.revision)
    }

    fn standing_of(&self, channel: &Channel<S>) -> Standing {
        match &channel.phase {
            Phase::Closing | Phase::Erasing => Standing::Leaving,
            _ if channel.removed => Standing::Leaving,
            Phase::Opening => Standing::Opening,
            Phase::Open { .. } => Standing::Open,
            Phase::Shut { .. } if channel.rested => Standing::Resting,
            Phase::Shut {
                pause: Some((_, why)),
            } => Standing::Waiting(why.clone()),
            Phase::Shut { pause: None } => {
                let why = format!("all {} places of the node are taken", self.capacity);
                Standing::Waiting(why.into())
            }
        }
    }

    /// What else is touched than the channel that the event is about is added to `touched`.
    fn take(
        &mut self,
        now: Timestamp,
        event: NodeEvent<S>,
        touched: &mut BTreeSet<ChannelId>,
        commands: &mut Vec<NodeCommand<S>>,
    ) {
        match event {
            NodeEvent::Tick => {}
            NodeEvent::Cluster(event) => self.take_of_cluster(now, event, touched, commands),
            NodeEvent::Wanted { id, record } => self.want(now, id, record),
            NodeEvent::Removed { id, revision } => {
                if let Some(member) = &mut self.member {
                    member.changed(now, &id, revision, true);
                }
                if let Some(channel) = self.channels.get_mut(&id)
                    && channel.record.revision < revision
                {
                    channel.record.revision = revision;
                    channel.record.desired = Desired::Stop;
                    channel.removed = true;
                }
            }
            NodeEvent::Opened { id, outcome } => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    match outcome {
                        Ok(()) => channel.become_open(now),
                        Err(why) => channel.become_failed(now, why),
                    }
                }
            }
            NodeEvent::Idle { id, revision } => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    let Phase::Open { told, .. } = channel.phase else {
                        return;
                    };
                    channel.rested |= told == Some(revision);
                }
            }
            NodeEvent::Closed { id, broke } => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    match (broke, &channel.phase) {
                        (Some(why), _) => channel.become_failed(now, why),
                        (None, Phase::Closing) => channel.become_shut(),
                        (None, _) => channel.become_failed(now, "it ended by itself".into()),
                    }
                }
            }
            NodeEvent::Erased { id } => {
                let erased = self.channels.get_mut(&id);
                match erased {
                    // It was wanted again meanwhile.
                    Some(channel) if !channel.removed => {
                        channel.phase = Phase::Shut { pause: None }
                    }
                    Some(channel) if channel.grant.is_some() => {
                        channel.phase = Phase::Shut { pause: None };
                        channel.erased = true;
                    }
                    Some(_) => drop(self.channels.remove(&id)),
                    None => {}
                }
            }
            NodeEvent::StoreTried { is_usable } => {
                if let Some(member) = &mut self.member {
                    member.store_tried(now, is_usable);
                }
            }
            NodeEvent::Drain => {
                if let Some(member) = &mut self.member {
                    member.drain(now);
                }
            }
            NodeEvent::ShutDown => self.leaving = true,
        }
    }

    fn want(&mut self, now: Timestamp, id: ChannelId, record: Record<S>) {
        if let Some(member) = &mut self.member {
            member.changed(now, &id, record.revision, false);
        }
        let Some(known) = self.channels.get_mut(&id) else {
            if self.member.is_none() {
                self.channels.insert(id, Channel::new(record, false, None));
            }
            return;
        };
        if known.record.revision < record.revision {
            known.record = record;
            known.removed = false;
        }
    }

    /// Does for one channel what can be done now; it may take one of the free places, or free its own.
    fn advance(
        &mut self,
        now: Timestamp,
        id: &ChannelId,
        free: &mut usize,
        commands: &mut Vec<NodeCommand<S>>,
    ) {
        let Some(channel) = self.channels.get_mut(id) else {
            return;
        };
        let leaving = self.leaving || channel.fate != Fate::Kept;
        let runs = channel.record.desired == Desired::Run;
        let had_place = channel.takes_place;
        let has_place = had_place || *free > 0;
        let id = id.clone();
        match &mut channel.phase {
            Phase::Shut { pause } => {
                if channel.erased {
                    return;
                }
                pause.take_if(|(until, _)| *until <= now);
                channel.rested &= !runs;
                // What could not be opened has nothing to be stopped.
                let erase = channel.removed && (channel.rested || pause.is_some());
                if leaving || (!erase && (pause.is_some() || (runs && !has_place))) {
                    return;
                }
                if erase {
                    channel.phase = Phase::Erasing;
                    commands.push(NodeCommand::Erase { id });
                } else if !channel.rested {
                    channel.phase = Phase::Opening;
                    channel.takes_place = runs;
                    let grant = channel.grant.clone();
                    commands.push(NodeCommand::Open { id, grant });
                }
            }
            Phase::Open { told, .. } => {
                let outdated = told.is_none_or(|told| told < channel.record.revision);
                if outdated && !leaving && (!runs || has_place) {
                    *told = Some(channel.record.revision);
                    channel.takes_place = runs;
                    channel.rested = false;
                    let record = channel.record.clone();
                    commands.push(NodeCommand::Configure { id, record });
                } else if leaving || channel.rested || told.is_none() {
                    channel.phase = Phase::Closing;
                    commands.push(match channel.fate {
                        Fate::Lost => NodeCommand::Abandon { id },
                        Fate::Kept | Fate::GivenAway => NodeCommand::Close { id },
                    });
                }
            }
            Phase::Opening | Phase::Closing | Phase::Erasing => {}
        }
        match (had_place, channel.takes_place) {
            (false, true) => *free -= 1,
            (true, false) => *free += 1,
            (false, false) | (true, true) => {}
        }
    }

    fn assert_invariants(&self) {
        let running = self.channels.values().filter(|it| it.takes_place);
        assert!(
            running.count() <= self.capacity,
            "no more channels run than there are places for"
        );
        for (id, channel) in &self.channels {
            let shut = matches!(channel.phase, Phase::Shut { .. } | Phase::Erasing);
            assert!(!(shut && channel.takes_place), "{id}: a place for nothing");
            let stops = channel.record.desired == Desired::Stop;
            assert!(!channel.removed || stops, "{id}: removed and wanted");
        }
    }
}
