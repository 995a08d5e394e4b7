//! A node as a member of a cluster: its lease, its peers, which channels it claims, gives away and has lost.
//!
//! What keeps two owners apart is written down in ARCHITECTURE.md. Everything here is a guess about the
//! others, made from what Redis and the peers said last; only Redis decides, by the epoch.

mod claims;
mod contact;
mod fitness;
mod looks;
mod lost;
mod spread;
mod writes;

use super::cluster::*;
use super::record::{ChannelId, Record};
use crate::event::Desired;
use crate::ids::{Epoch, RequestId};
use crate::lease::{GRACE, Lease, MARGIN, RENEW_EVERY};
use crate::planted::{Mistake, Planted};
use crate::rng::Rng;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The nodes are looked at so often: how soon a dead one is noticed.
const NODES_EVERY: Span = Span::from_millis(500);
/// All channels are looked at so often, where there are few.
const SCAN_EVERY: Span = Span::from_secs(4);
/// For each channel there is, a scan comes so much later.
const SCAN_EACH: Span = Span::from_millis(2);
/// What was not answered is tried again after this.
const RETRY: Span = Span::from_millis(400);
/// A peer is asked so often while Redis is away.
const ASK_EVERY: Span = Span::from_millis(800);
/// A full node claims so much later than an idle one.
const CLAIM_DELAY: Span = Span::from_millis(400);
/// For each node that is emptier a claim comes so much later ...
const CLAIM_AFTER_EMPTIER: Span = Span::from_millis(100);
/// ... but for no more of them.
const MOST_EMPTIER: usize = 3;
/// Two that are equally full claim so far apart at most.
const CLAIM_SPREAD_MILLIS: u64 = 60;
/// So many claims are under way at once.
const CLAIMS_AT_ONCE: usize = 32;
/// What was given away is left to others for so long.
const AVOID: Span = Span::from_secs(8);
/// Who was never known to a dead node takes over from it after this, while it does not answer.
const STRANGERS_WAIT: Span = Span::from_secs(30);
/// The longest that a drain waits for Redis once all is closed.
const LEAVE_LIMIT: Span = Span::from_secs(3);

/// What the node is to do with channels.
pub(super) enum Order<S> {
    /// It is ours now.
    Own {
        id: ChannelId,
        record: Record<S>,
        removed: bool,
        grant: Grant,
    },
    /// This is wanted of one that is ours.
    Want {
        id: ChannelId,
        record: Record<S>,
        removed: bool,
    },
    /// It is not ours any more.
    Disown(ChannelId),
    /// It is to be closed in good order and given away.
    GiveAway(ChannelId),
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    rng: Rng,
    last_request: u64,
    incarnation: Incarnation,
    lease: Lease,
    /// The key was there for this incarnation.
    registered: bool,
    contact: Contact,
    #[serde(default)]
    fitness: fitness::Fitness,
    /// Redis has been there without a break, and been the same one.
    reached_since: Timestamp,
    /// Nothing is claimed before, nor by what was seen before.
    claims_from: Option<Timestamp>,
    redis: Option<RedisId>,
    renewing: Option<(RequestId, Timestamp)>,
    renew_at: Timestamp,
    looking: Option<(RequestId, Timestamp, LookAt)>,
    /// The last one has led to nothing: the next one is not before.
    #[serde(default)]
    looks_from: Timestamp,
    nodes_at: Timestamp,
    scan_at: Timestamp,
    hinted: BTreeSet<ChannelId>,
    nodes: BTreeMap<NodeName, NodeSeen>,
    /// When the nodes were looked at last, as far as that counts.
    nodes_seen: Option<Timestamp>,
    peers: BTreeMap<NodeName, Peer>,
    /// Incarnations that are known to ask this node before they go on without Redis.
    known_by: BTreeSet<Incarnation>,
    /// Dead owners that may not have known this node.
    #[serde(with = "pairs")]
    strangers: BTreeMap<Incarnation, Stranger>,
    places: BTreeMap<ChannelId, Place>,
    acknowledged: BTreeMap<ChannelId, lost::Acknowledged>,
    #[serde(default)]
    listed: lost::Listed,
    told: Option<(Timestamp, bool)>,
    /// With nobody to ask, the lease is looked at then while Redis is away.
    go_on_at: Timestamp,
    clock: Timestamp,
    alone: bool,
    /// It is to give away what others have room for.
    draining: bool,
    /// It takes no more, and is to end.
    leaving: bool,
    /// Since when it is about to leave with nothing open.
    closed_since: Option<Timestamp>,
    left: bool,
    #[serde(skip)]
    planted: Planted,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Peer {
    asked: Option<(RequestId, Timestamp)>,
    ask_at: Timestamp,
    named: Named,
}

/// Whether Redis says that a peer is asked. Who reads there that it is may take over, so it is asked until nobody who
/// is there can have read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Named {
    /// It is told so with each renewal.
    Yes,
    /// It was seen to be dead: renewals from then on leave it out.
    NotSince(Timestamp),
    /// Redis has had such a renewal by then; with a look after that it is forgotten.
    NoMore(Timestamp),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stranger {
    dead_since: Timestamp,
    /// It has a new life: the old one is surely over.
    is_over: bool,
    asked: Option<RequestId>,
    ask_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    /// As it stood in Redis, and when that was asked for.
    seen: Option<(ChannelSeen, Timestamp)>,
    seat: Seat,
    /// As it was when a claim led to nothing, and until when that is not tried again.
    refused: Option<(ChannelSeen, Timestamp)>,
    /// It should run, and nobody has had it since.
    vacant_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Seat {
    /// Another's, or nobody's.
    Vacant {
        claim_at: Option<Timestamp>,
        avoid_until: Timestamp,
    },
    /// Its claim, or that it is taken off a dead owner, is under way.
    Asked {
        request: RequestId,
        follows: Follows,
    },
    Ours {
        grant: Grant,
        since: Timestamp,
        /// What is wanted of it, as far as it is known here.
        revision: u64,
        under_way: Option<RequestId>,
        /// To be told to Redis again.
        forgotten: bool,
        /// But not before, as that has just led to nothing.
        #[serde(default)]
        again_at: Timestamp,
    },
    /// It is being closed here.
    Leaving,
    Releasing {
        grant: Grant,
        unfinished: bool,
        erased: bool,
        request: Option<RequestId>,
        again_at: Timestamp,
    },
}

/// Whom a claim follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Follows {
    /// It was released, or never had an owner.
    Nobody,
    /// Who would have asked this node before it went on without Redis.
    OneThatAsksUs,
    Stranger,
}

/// What the member must know of the node it is part of.
pub(super) struct Room {
    pub(super) capacity: usize,
    /// Running channels.
    pub(super) taken: usize,
}

const VACANT: Seat = Seat::Vacant {
    claim_at: None,
    avoid_until: Timestamp::from_micros(0),
};

impl Member {
    pub(super) fn new(name: NodeName, seed: u64, planted: Planted) -> Self {
        let mut rng = Rng::new(seed);
        let run = rng.draw();
        Self {
            rng,
            last_request: 0,
            incarnation: Incarnation { node: name, run },
            lease: Lease::default(),
            registered: false,
            contact: Contact::Away,
            fitness: fitness::Fitness::default(),
            reached_since: Timestamp::default(),
            claims_from: None,
            redis: None,
            renewing: None,
            renew_at: Timestamp::default(),
            looking: None,
            looks_from: Timestamp::default(),
            nodes_at: Timestamp::default(),
            scan_at: Timestamp::default(),
            hinted: BTreeSet::new(),
            nodes: BTreeMap::new(),
            nodes_seen: None,
            peers: BTreeMap::new(),
            known_by: BTreeSet::new(),
            strangers: BTreeMap::new(),
            places: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            listed: lost::Listed::default(),
            told: None,
            go_on_at: Timestamp::default(),
            clock: Timestamp::default(),
            alone: false,
            draining: false,
            leaving: false,
            closed_since: None,
            left: false,
            planted,
        }
    }
}

impl Member {
    /// Takes what has come. `orders` is what the node is to do first.
    pub(super) fn take<S>(
        &mut self,
        now: Timestamp,
        event: ClusterEvent<S>,
        room: &Room,
        orders: &mut Vec<Order<S>>,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        match event {
            ClusterEvent::Renewed { request, outcome } => {
                self.renewed(now, request, outcome, orders);
            }
            ClusterEvent::Looked { request, outcome } => {
                self.looked(now, request, outcome, room, (orders, commands));
            }
            ClusterEvent::Read {
                request,
                id,
                outcome,
            } => self.read(request, id, outcome, orders),
            ClusterEvent::Claimed {
                request,
                id,
                outcome,
            } => self.claimed(now, request, id, outcome, orders),
            ClusterEvent::Owned {
                request,
                id,
                outcome,
            } => self.written(now, request, id, outcome, orders),
            ClusterEvent::Fenced { id, epoch } => self.fenced(id, epoch, orders),
            ClusterEvent::Forgotten { id } => self.forgotten(&id),
            ClusterEvent::Hint { id } => drop(self.hinted.insert(id)),
            ClusterEvent::Asked { request, by } => self.asked(now, request, by, commands),
            ClusterEvent::PeerAnswered { request, outcome } => {
                self.peer_answered(now, request, outcome);
            }
        }
    }

    /// Does all that is due. `record` is what is known here of a channel that is ours.
    pub(super) fn advance<S>(
        &mut self,
        now: Timestamp,
        room: &Room,
        record: impl Fn(&ChannelId) -> Option<(Record<S>, bool)>,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        self.clock = now;
        self.advance_lease(now, room, commands);
        self.advance_strangers(now, commands);
        self.advance_looks(now, commands);
        self.advance_claims(now, room, commands);
        self.advance_writes(now, record, commands);
        if let Some(since) = self.closed_since
            && !self.left
        {
            let mut seats = self.places.values();
            let held = seats.any(|it| !matches!(it.seat, Seat::Vacant { .. }));
            if !held || now.since(since) >= LEAVE_LIMIT {
                self.left = true;
                let ours = self.places.iter();
                let ours = ours.filter(|it| matches!(it.1.seat, Seat::Releasing { .. }));
                let unreleased = ours.map(|(id, _)| id.clone()).collect();
                let incarnation = self.incarnation.clone();
                commands.push(ClusterCommand::Leave {
                    incarnation,
                    unreleased,
                });
            }
        }
    }

    /// Nothing of a channel runs here any more. It is handed back where it is still ours.
    pub(super) fn shut(&mut self, id: &ChannelId, grant: Grant, unfinished: bool, erased: bool) {
        let Some(place) = self.places.get_mut(id) else {
            return;
        };
        place.seat = if grant.incarnation == self.incarnation {
            Seat::Releasing {
                grant,
                unfinished,
                erased,
                request: None,
                again_at: Timestamp::default(),
            }
        } else {
            self.hinted.insert(id.clone());
            VACANT
        };
    }

    /// Nothing of a channel that was lost runs here any more.
    pub(super) fn lost(&mut self, id: &ChannelId) {
        self.hinted.insert(id.clone());
        if let Some(place) = self.places.get_mut(id) {
            place.seat = VACANT;
            place.seen = None;
        }
    }

    /// It is to end. While channels are open it is a member like others: as long as it may show them, its key keeps
    /// everybody else from taking them.
    pub(super) fn leave(&mut self, now: Timestamp, is_closed: bool) {
        self.leaving = true;
        if is_closed {
            self.closed_since.get_or_insert(now);
        }
    }

    /// It is to give away what others have room for, from the next look on.
    pub(super) fn drain(&mut self, now: Timestamp) {
        self.draining = true;
        self.others_are_to_see(now);
    }

    /// That it takes no more, before they look whom they could give something.
    fn others_are_to_see(&mut self, now: Timestamp) {
        (self.renew_at, self.scan_at) = (now, now);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(super) fn has_left(&self) -> bool {
        self.left
    }

    /// When a tick is wanted.
    pub(super) fn wakeup(&self) -> Option<Timestamp> {
        if self.left {
            return None;
        }
        let looks = self.contact == Contact::Reached && self.looking.is_none();
        let look_at = self.nodes_at.min(self.scan_at).max(self.looks_from);
        let look_at = looks.then_some(look_at);
        let places = self.places.values().filter_map(|it| match it.seat {
            Seat::Vacant { claim_at, .. } => claim_at,
            Seat::Releasing {
                request: None,
                again_at,
                ..
            }
            | Seat::Ours {
                under_way: None,
                forgotten: true,
                again_at,
                ..
            } => Some(again_at),
            Seat::Releasing { .. } | Seat::Asked { .. } | Seat::Ours { .. } | Seat::Leaving => None,
        });
        let places = places.filter(|at| *at > self.clock).min();
        let asks = self.contact == Contact::Reached;
        let strangers = self.strangers.values();
        let strangers = strangers.filter(|it| asks && it.asked.is_none() && !it.is_over);
        let strangers = strangers.map(|it| it.ask_at).min();
        let leave_at = self.closed_since.map(|since| since + LEAVE_LIMIT);
        let fitness = self.fitness_wakeup();
        let lease = self.lease_wakeup();
        let all = [fitness, lease, look_at, places, strangers, leave_at];
        all.into_iter().flatten().min()
    }

    fn request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }
}

/// A map whose keys are no texts, as JSON wants them: the pairs in their order.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<K: Serialize, V: Serialize, T: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: T,
    ) -> Result<T::Ok, T::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
