//! A process of a node: its machines, and all they have asked for.

use super::clock;
use super::redis::Ask;
use crate::published::Version;
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::command::Publish;
use hls_relay_core::config::Spec;
use hls_relay_core::event::{Event, StoredSegment};
use hls_relay_core::ids::{ObjectName, RequestId};
use hls_relay_core::journal::{self, Record};
use hls_relay_core::node::cluster::{Grant, Incarnation, NodeName, RedisId, Skip};
use hls_relay_core::node::{ChannelId, Node, NodeCommand, NodeEvent};
use hls_relay_core::relay::Relay;
use hls_relay_core::time::{Now, Span, Timestamp, WallTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many steps are one piece of a journal.
const PIECE: u64 = 500;

/// One life of a node's program.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) life: u64,
    boot: Span,
    ppm: i64,
    pub(super) machine: Node<Spec>,
    /// Steps of it.
    pub(super) steps: u64,
    /// Which wakeup of those in the queue is the present one.
    pub(super) wake: u64,
    pub(super) last_call: u64,
    pub(super) calls: BTreeMap<u64, Call>,
    /// The Redis that it has its connection to, until a call is given up.
    pub(super) connected: Option<RedisId>,
    /// When what it has sent to Redis last arrives there: it has one connection, and what is sent later does not come
    /// earlier.
    pub(super) sent_until: Timestamp,
    /// What was lost on its way there, and what was sent behind it on the same connection since: calls, in their order.
    pub(super) unsent: Vec<(u64, Box<Ask>)>,
    /// The last call that arrived there.
    pub(super) arrived: u64,
    /// By its own clock.
    pub(super) valid: BTreeMap<Incarnation, Validity>,
    pub(super) runs: BTreeMap<ChannelId, Run>,
    pub(super) last_run: u64,
    /// The newest checkpoint of each channel that was opened here.
    pub(super) saved: BTreeMap<ChannelId, Arc<Checkpoint>>,
    /// What is to be skipped in it where the channel is this node's and could not be opened yet.
    pub(super) skips: BTreeMap<ChannelId, Skip>,
}

/// Until when an incarnation may act as owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub(super) until: Timestamp,
    pub(super) alone: bool,
    /// When it was alone last, in true time.
    pub(super) alone_at: Option<Timestamp>,
}

/// A call that has not been answered.
#[derive(Debug)]
pub(super) enum Call {
    Renew(RequestId),
    Look(RequestId),
    Read(RequestId, ChannelId),
    Claim(RequestId, ChannelId),
    Owned(RequestId, ChannelId),
    Peer(RequestId),
    /// Of this run of a channel.
    Publish {
        id: ChannelId,
        run: u64,
        version: Box<(Publish, Arc<Version>)>,
    },
    Save {
        id: ChannelId,
        run: u64,
        request: RequestId,
    },
    /// A change that was asked of this node, by its number in the plan.
    ReadFor(usize),
    WriteFor(usize, u64),
    /// Nobody waits for it.
    Leave,
}

/// A channel that is open here.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) grant: Grant,
    pub(super) machine: Relay,
    pub(super) wake: u64,
    pub(super) works: BTreeMap<RequestId, Work>,
    pub(super) objects: BTreeMap<ObjectName, StoredSegment>,
    pub(super) list: Option<Arc<Version>>,
    /// The revision with which it was told to stop, until it has come to rest.
    pub(super) stops: Option<u64>,
    pub(super) has_past: bool,
}

/// What comes of work that was begun.
#[derive(Debug)]
pub(super) enum Work {
    /// This is told.
    Told(Event),
    /// A segment came: it is stored, and told.
    Stored(ObjectName, StoredSegment),
    /// A version is shown without asking Redis.
    Show(Box<(Publish, Arc<Version>)>),
    /// It waits for an answer of Redis.
    Asked,
}

impl Process {
    pub(super) fn new(life: u64, boot: Span, ppm: i64, machine: Node<Spec>) -> Self {
        Self {
            life,
            boot,
            ppm,
            machine,
            steps: 0,
            wake: 0,
            last_call: 0,
            calls: BTreeMap::new(),
            connected: None,
            sent_until: Timestamp::default(),
            unsent: Vec::new(),
            arrived: 0,
            valid: BTreeMap::new(),
            runs: BTreeMap::new(),
            last_run: 0,
            saved: BTreeMap::new(),
            skips: BTreeMap::new(),
        }
    }

    /// Lets the machine of the node take one event; where there is a journal it is written down.
    pub(super) fn step(
        &mut self,
        now: Now,
        event: NodeEvent<Spec>,
        journal: Option<(&NodeName, &mut String)>,
    ) -> Vec<NodeCommand<Spec>> {
        let (seq, mut commands) = (self.steps, Vec::new());
        self.steps += 1;
        let Some((name, journal)) = journal else {
            self.machine.step(now.monotonic, event, &mut commands);
            return commands;
        };
        if seq.is_multiple_of(PIECE) {
            journal.push_str(&journal::encode_head(name.name(), seq, &self.machine));
        }
        let recorded = event.clone();
        self.machine.step(now.monotonic, event, &mut commands);
        journal.push_str(&journal::encode_record(&Record {
            seq,
            now,
            event: recorded,
            digest: Some(journal::digest_of(&commands)),
        }));
        commands
    }

    /// What its clock shows.
    pub(super) fn local(&self, now: Timestamp) -> Timestamp {
        clock::local(self.boot, self.ppm, now)
    }

    pub(super) fn true_time(&self, at: Timestamp) -> Timestamp {
        clock::true_time(self.boot, self.ppm, at)
    }

    /// Both clocks: the one on the wall is off by seconds.
    pub(super) fn clocks(&self, now: Timestamp, wall_at_start: WallTime) -> Now {
        let off = Span::from_millis(self.ppm.unsigned_abs() / 2);
        let wall = wall_at_start + now.since(Timestamp::default());
        Now {
            monotonic: self.local(now),
            wall: if self.ppm < 0 { wall - off } else { wall + off },
        }
    }

    /// Whether what was opened under this grant may be shown now.
    pub(super) fn may_act(&self, now: Timestamp, grant: &Grant) -> bool {
        let valid = self.valid.get(&grant.incarnation);
        valid.is_some_and(|it| self.local(now) < it.until)
    }

    pub(super) fn is_alone(&self, now: Timestamp, grant: &Grant) -> bool {
        let alone = self
            .valid
            .get(&grant.incarnation)
            .is_some_and(|it| it.alone);
        alone && self.may_act(now, grant)
    }
}
