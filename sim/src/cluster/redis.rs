//! Redis as a cluster sees it: scripts that are one step, keys that expire by its own clock, a replica that may
//! take over without the last writes, and a restart that remembers nothing.

use super::plan::{Lost, Slip};
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::config::Spec;
use hls_relay_core::event::Desired;
use hls_relay_core::ids::Epoch;
use hls_relay_core::lease::LEASE;
use hls_relay_core::node::cluster::{
    ChannelSeen, ClaimOutcome, Fence, Grant, Incarnation, Look, LookAt, NodeName, NodeSeen,
    RedisId, Renewal,
};
use hls_relay_core::node::{ChannelId, Record};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One script call.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Renew {
        node: NodeSeen,
        first: bool,
    },
    Leave(Incarnation),
    Look(LookAt),
    Read(ChannelId),
    Claim {
        id: ChannelId,
        incarnation: Incarnation,
        expected: (Option<Incarnation>, Epoch),
        redis: RedisId,
    },
    Register {
        id: ChannelId,
        grant: Grant,
        record: Record<Spec>,
        removed: bool,
        checkpoint: Option<Arc<Checkpoint>>,
    },
    Release {
        id: ChannelId,
        grant: Grant,
        unfinished: bool,
        erased: bool,
        checkpoint: Option<Arc<Checkpoint>>,
    },
    Free {
        id: ChannelId,
        expected: (Incarnation, Epoch),
    },
    Publish {
        id: ChannelId,
        grant: Grant,
        checkpoint: Arc<Checkpoint>,
    },
    /// What is wanted, where it is still at the revision that was read.
    Write {
        id: ChannelId,
        read: Option<u64>,
        record: Record<Spec>,
        removed: bool,
    },
}

/// Its answer.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Renewal(Renewal),
    Look(Look),
    Read {
        found: Option<(Record<Spec>, bool)>,
        /// The revision that a change would get.
        next: u64,
    },
    Claim(ClaimOutcome<Spec>, Option<Arc<Checkpoint>>),
    Fence(Fence),
    /// Whether it was written.
    Written(bool),
    /// Another Redis was meant.
    Refused,
    Nothing,
}

#[derive(Clone, Debug)]
struct NodeKey {
    node: NodeSeen,
    /// By the clock of Redis.
    expires_at: Timestamp,
    /// By the same.
    made_at: Timestamp,
}

/// The keys of one channel.
#[derive(Clone, Debug)]
pub(super) struct Hash {
    pub(super) record: Record<Spec>,
    pub(super) removed: bool,
    pub(super) unfinished: bool,
    pub(super) owner: Option<Incarnation>,
    pub(super) epoch: Epoch,
    saved: Option<SavedAs>,
    /// Claims since then.
    claims: u64,
}

/// What a successor goes on from.
#[derive(Clone, Debug)]
struct SavedAs {
    checkpoint: Arc<Checkpoint>,
    /// By the clock of Redis.
    at: Timestamp,
    by: RedisId,
}

#[derive(Clone, Debug, Default)]
struct State {
    nodes: BTreeMap<NodeName, NodeKey>,
    channels: BTreeMap<ChannelId, Hash>,
    revision: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Redis {
    pub(super) id: RedisId,
    pub(super) is_up: bool,
    /// When another process of it took over.
    pub(super) changed_at: Timestamp,
    ppm: i64,
    state: State,
    /// What a replica had: each state and since when it was so.
    past: VecDeque<(Timestamp, State)>,
    slip: Option<Slip>,
}

/// A replica is never further behind.
const REPLICA_BEHIND: Span = Span::from_secs(3);

impl Redis {
    pub(super) fn new(ppm: i64, slip: Option<Slip>) -> Self {
        Self {
            id: RedisId(1),
            is_up: true,
            changed_at: Timestamp::default(),
            ppm,
            state: State::default(),
            past: VecDeque::new(),
            slip,
        }
    }

    /// Its own clock, which runs a little faster or slower.
    fn clock(&self, now: Timestamp) -> Timestamp {
        super::clock::local(Span::ZERO, self.ppm, now)
    }

    /// Milliseconds by its clock: what epochs and revisions are never below.
    fn floor(&self, now: Timestamp) -> u64 {
        self.clock(now).as_micros() / 1_000
    }

    /// Until when, in true time, a node's key lives.
    pub(super) fn lives_until(&self, incarnation: &Incarnation) -> Option<Timestamp> {
        let key = self.state.nodes.get(&incarnation.node)?;
        let own = key.node.incarnation == *incarnation;
        own.then(|| super::clock::true_time(Span::ZERO, self.ppm, key.expires_at))
    }

    /// Since when, in true time, a node's key is there.
    pub(super) fn lives_since(&self, incarnation: &Incarnation) -> Option<Timestamp> {
        let key = self.state.nodes.get(&incarnation.node)?;
        let own = key.node.incarnation == *incarnation;
        own.then(|| super::clock::true_time(Span::ZERO, self.ppm, key.made_at))
    }

    pub(super) fn channels(&self) -> &BTreeMap<ChannelId, Hash> {
        &self.state.channels
    }

    /// It is gone; what it is when it comes back was decided by what is lost.
    pub(super) fn fail(&mut self, now: Timestamp, lost: Lost) {
        self.is_up = false;
        match lost {
            Lost::Nothing => return,
            Lost::Everything => self.state = State::default(),
            Lost::Last(span) => {
                let had = self
                    .past
                    .iter()
                    .rev()
                    .find(|(since, _)| now.since(*since) >= span);
                self.state = had.map(|it| it.1.clone()).unwrap_or_default();
            }
        }
        self.past.clear();
        self.id.0 += 1;
        self.changed_at = now;
    }

    /// Carries out a script; none is interrupted.
    pub(super) fn apply(&mut self, now: Timestamp, ask: Ask) -> Told {
        let clock = self.clock(now);
        let told = self.carry_out(now, clock, ask);
        self.past.push_back((now, self.state.clone()));
        while self.past.len() > 2 && now.since(self.past[1].0) > REPLICA_BEHIND {
            self.past.pop_front();
        }
        told
    }

    fn carry_out(&mut self, now: Timestamp, clock: Timestamp, ask: Ask) -> Told {
        let floor = self.floor(now);
        let by = self.id;
        let saved = |checkpoint| SavedAs {
            checkpoint,
            at: clock,
            by,
        };
        match ask {
            Ask::Renew { node, first } => Told::Renewal(self.renew(clock, node, first)),
            Ask::Leave(incarnation) => {
                let nodes = &mut self.state.nodes;
                nodes.retain(|_, it| it.node.incarnation != incarnation);
                Told::Nothing
            }
            Ask::Look(at) => Told::Look(self.look(clock, &at)),
            Ask::Read(id) => Told::Read {
                found: self
                    .state
                    .channels
                    .get(&id)
                    .map(|it| (it.record.clone(), it.removed)),
                next: floor.max(self.state.revision + 1),
            },
            Ask::Claim { redis, .. } if redis != self.id => Told::Refused,
            Ask::Claim {
                id,
                incarnation,
                expected,
                ..
            } => {
                let (outcome, checkpoint) = self.claim(clock, floor, &id, incarnation, expected);
                Told::Claim(outcome, checkpoint)
            }
            Ask::Register {
                id,
                grant,
                record,
                removed,
                checkpoint,
            } => {
                let undoes = self.slip == Some(Slip::RegisterUndoesChanges);
                let hash = self.state.channels.entry(id).or_insert_with(|| Hash {
                    record: record.clone(),
                    removed,
                    unfinished: true,
                    owner: None,
                    epoch: Epoch::default(),
                    saved: None,
                    claims: 0,
                });
                let foreign = hash
                    .owner
                    .as_ref()
                    .is_some_and(|it| *it != grant.incarnation);
                if hash.epoch > grant.epoch || (hash.epoch == grant.epoch && foreign) {
                    return Told::Fence(Fence::Fenced(hash.epoch));
                }
                if hash.record.revision < record.revision || undoes {
                    (hash.record, hash.removed) = (record, removed);
                }
                hash.owner = Some(grant.incarnation);
                (hash.epoch, hash.unfinished) = (grant.epoch, true);
                hash.save(checkpoint.map(saved));
                Told::Fence(Fence::Done)
            }
            Ask::Release {
                id,
                grant,
                unfinished,
                erased,
                checkpoint,
            } => {
                let fence = self.fence(&id, &grant);
                let Some(hash) = self
                    .state
                    .channels
                    .get_mut(&id)
                    .filter(|_| fence == Fence::Done)
                else {
                    return Told::Fence(fence);
                };
                if erased && hash.removed {
                    self.state.channels.remove(&id);
                } else {
                    (hash.owner, hash.unfinished) = (None, unfinished);
                    hash.save(checkpoint.map(saved));
                }
                Told::Fence(fence)
            }
            Ask::Free {
                id,
                expected: (owner, epoch),
            } => {
                let hash = self.state.channels.get_mut(&id);
                match hash.filter(|it| it.owner.as_ref() == Some(&owner) && it.epoch == epoch) {
                    Some(hash) => {
                        // What its owner may have done unsaved is still in question.
                        hash.owner = None;
                        hash.saved.iter_mut().for_each(|it| it.by = RedisId(0));
                        Told::Fence(Fence::Done)
                    }
                    None => Told::Fence(Fence::Lost),
                }
            }
            Ask::Publish {
                id,
                grant,
                checkpoint,
            } => {
                let mut fence = self.fence(&id, &grant);
                if self.slip == Some(Slip::FenceNotChecked) && fence != Fence::Lost {
                    fence = Fence::Done;
                }
                if let (Fence::Done, Some(hash)) = (fence, self.state.channels.get_mut(&id)) {
                    hash.save(Some(saved(checkpoint)));
                }
                Told::Fence(fence)
            }
            Ask::Write {
                id,
                read,
                record,
                removed,
            } => {
                let present = self.state.channels.get(&id).map(|it| it.record.revision);
                if present != read {
                    return Told::Written(false);
                }
                self.state.revision = self.state.revision.max(record.revision);
                let hash = self.state.channels.entry(id).or_insert_with(|| Hash {
                    record: record.clone(),
                    removed,
                    unfinished: false,
                    owner: None,
                    epoch: Epoch::default(),
                    saved: None,
                    claims: 0,
                });
                (hash.record, hash.removed) = (record, removed);
                Told::Written(true)
            }
        }
    }

    fn renew(&mut self, clock: Timestamp, node: NodeSeen, first: bool) -> Renewal {
        let name = node.incarnation.node.clone();
        let expires_at = clock + LEASE;
        match self
            .state
            .nodes
            .get(&name)
            .filter(|it| clock < it.expires_at)
        {
            Some(key) if key.node.incarnation != node.incarnation => Renewal::Other {
                left: key.expires_at.since(clock),
            },
            None if !first => Renewal::Missing,
            present @ (Some(_) | None) => {
                let made_at = present.map_or(clock, |it| it.made_at);
                let key = NodeKey {
                    node,
                    expires_at,
                    made_at,
                };
                self.state.nodes.insert(name, key);
                Renewal::Held
            }
        }
    }

    fn look(&self, clock: Timestamp, at: &LookAt) -> Look {
        let live = self.state.nodes.values().filter(|it| clock < it.expires_at);
        let nodes = !matches!(at, LookAt::Channels(_));
        let wanted = |id: &ChannelId| match at {
            LookAt::All => true,
            LookAt::Nodes => false,
            LookAt::Channels(ids) => ids.contains(id),
        };
        let channels = self.state.channels.iter().filter(|(id, _)| wanted(id));
        Look {
            nodes: nodes.then(|| live.map(|it| it.node.clone()).collect()),
            channels: channels
                .map(|(id, hash)| (id.clone(), hash.seen_so()))
                .collect(),
        }
    }

    fn claim(
        &mut self,
        clock: Timestamp,
        floor: u64,
        id: &ChannelId,
        incarnation: Incarnation,
        (owner, epoch): (Option<Incarnation>, Epoch),
    ) -> (ClaimOutcome<Spec>, Option<Arc<Checkpoint>>) {
        let hash = self.state.channels.get_mut(id);
        let Some(hash) = hash.filter(|it| it.owner == owner && it.epoch == epoch) else {
            return (ClaimOutcome::Changed, None);
        };
        let next = epoch.0 + 1;
        hash.epoch = match self.slip {
            Some(Slip::EpochReused) => Epoch(next),
            Some(_) | None => Epoch(next.max(floor)),
        };
        hash.claims += 1;
        let saved = hash.saved.clone();
        (hash.owner, hash.unfinished) = (Some(incarnation), true);
        let claimed = ClaimOutcome::Claimed {
            epoch: hash.epoch,
            record: hash.record.clone(),
            removed: hash.removed,
            seen_ago: saved.as_ref().map(|it| clock.since(it.at)),
            seen_by: saved.as_ref().map(|it| it.by),
            claims: hash.claims,
        };
        (claimed, saved.map(|it| it.checkpoint))
    }

    fn fence(&self, id: &ChannelId, grant: &Grant) -> Fence {
        match self.state.channels.get(id) {
            None => Fence::Lost,
            Some(hash) if hash.epoch < grant.epoch => Fence::Lost,
            Some(hash)
                if hash.epoch > grant.epoch || hash.owner.as_ref() != Some(&grant.incarnation) =>
            {
                Fence::Fenced(hash.epoch)
            }
            Some(_) => Fence::Done,
        }
    }
}

impl Hash {
    fn save(&mut self, saved: Option<SavedAs>) {
        if saved.is_some() {
            (self.saved, self.claims) = (saved, 0);
        }
    }

    fn seen_so(&self) -> ChannelSeen {
        ChannelSeen {
            revision: self.record.revision,
            desired: self.record.desired,
            removed: self.removed,
            unfinished: self.unfinished,
            owner: self.owner.clone(),
            epoch: self.epoch,
        }
    }

    pub(super) fn runs(&self) -> bool {
        !self.removed && self.record.desired == Desired::Run
    }
}
