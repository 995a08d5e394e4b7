//! The machine of a node in a cluster: what it claims, when it may, and what it loses.

use hls_relay_core::event::Desired;
use hls_relay_core::ids::Epoch;
use hls_relay_core::lease::{GRACE, LEASE, MARGIN};
use hls_relay_core::node::cluster::*;
use hls_relay_core::node::{
    ChannelId, Node, NodeCommand, NodeEvent, NodeName, Record, Standing, Writer,
};
use hls_relay_core::planted::Planted;
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

fn id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn other(name: &str) -> Incarnation {
    let node = NodeName::new(name).unwrap();
    Incarnation { node, run: 7 }
}

fn seen(owner: Option<Incarnation>, epoch: u64) -> ChannelSeen {
    ChannelSeen {
        revision: 1,
        desired: Desired::Run,
        removed: false,
        unfinished: owner.is_some(),
        owner,
        epoch: Epoch(epoch),
    }
}

/// A node and a Redis that answers at once, as long as it is there.
struct Stage {
    node: Node<u64>,
    now: Timestamp,
    here: bool,
    redis: RedisId,
    /// Our key is there.
    key: bool,
    others: Vec<NodeSeen>,
    channels: BTreeMap<ChannelId, ChannelSeen>,
    contacts: BTreeMap<NodeName, Contact>,
    /// Nothing can be claimed.
    unreadable: bool,
    /// So often Redis has refused a look or a registration, where it does.
    refused: Option<u32>,
    /// Segments can be kept.
    has_store: bool,
    /// Channels take long to close.
    lingers: bool,
    /// Whose life the node's is, and whom it says that it asks.
    own: Option<Incarnation>,
    named: Vec<NodeName>,
    until: Option<Timestamp>,
    alone: bool,
    /// Claims, registrations and openings, in words.
    done: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let name = NodeName::new("a").unwrap();
        let mut stage = Self {
            node: Node::in_cluster(10, name, 1, Planted::default()),
            now: Timestamp::from_micros(1_000_000),
            here: true,
            redis: RedisId(1),
            key: false,
            others: Vec::new(),
            channels: BTreeMap::new(),
            contacts: BTreeMap::new(),
            unreadable: false,
            refused: None,
            has_store: true,
            lingers: false,
            own: None,
            named: Vec::new(),
            until: None,
            alone: false,
            done: Vec::new(),
        };
        stage.step(NodeEvent::Tick);
        stage
    }

    /// A peer that knows us.
    fn with_peer(mut self, name: &str) -> Self {
        self.others.push(NodeSeen {
            incarnation: other(name),
            capacity: 10,
            peers: vec![NodeName::new("a").unwrap()],
        });
        self
    }

    fn step(&mut self, event: NodeEvent<u64>) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut commands = Vec::new();
            self.node.step(self.now, event, &mut commands);
            for command in commands {
                events.extend(self.carry_out(command));
            }
        }
        let due = self.node.next_wakeup();
        assert!(due.is_none_or(|at| at > self.now), "what is due is done");
    }

    fn carry_out(&mut self, command: NodeCommand<u64>) -> Option<NodeEvent<u64>> {
        match command {
            NodeCommand::Open { id, grant } => {
                let epoch = grant.unwrap().epoch.0;
                self.done.push(format!("open {id} {epoch}"));
                let outcome = match self.has_store {
                    true => Ok(()),
                    false => Err("its store is gone".into()),
                };
                Some(NodeEvent::Opened { id, outcome })
            }
            NodeCommand::Configure { .. } => None,
            NodeCommand::Close { id } => {
                self.done.push(format!("close {id}"));
                (!self.lingers).then_some(NodeEvent::Closed { id, broke: None })
            }
            NodeCommand::Abandon { id } => {
                self.done.push(format!("abandon {id}"));
                Some(NodeEvent::Closed { id, broke: None })
            }
            NodeCommand::TryStore => {
                let is_usable = self.has_store;
                Some(NodeEvent::StoreTried { is_usable })
            }
            NodeCommand::Erase { id } => Some(NodeEvent::Erased { id }),
            NodeCommand::Cluster(command) => self.call(command).map(NodeEvent::Cluster),
        }
    }

    fn call(&mut self, command: ClusterCommand<u64>) -> Option<ClusterEvent<u64>> {
        let here = self.here;
        let there = || here.then_some(()).ok_or(CallError::NotDone);
        Some(match command {
            ClusterCommand::Renew {
                request,
                first,
                incarnation,
                peers,
                ..
            } => {
                (self.own, self.named) = (Some(incarnation), peers);
                self.key |= first && here;
                let renewal = if self.key {
                    Renewal::Held
                } else {
                    Renewal::Missing
                };
                let outcome = there().map(|()| (self.redis, renewal));
                ClusterEvent::Renewed { request, outcome }
            }
            ClusterCommand::Look { request, at } => {
                let channels = self.channels.iter().filter(|(id, _)| match &at {
                    LookAt::All => true,
                    LookAt::Nodes => false,
                    LookAt::Channels(ids) => ids.contains(id),
                });
                let channels = channels
                    .map(|(id, seen)| (id.clone(), seen.clone()))
                    .collect();
                let nodes = !matches!(at, LookAt::Channels(_));
                let nodes = nodes.then(|| self.others.clone());
                let look = Look { nodes, channels };
                let outcome = there().and_then(|()| self.unless_refused());
                let outcome = outcome.map(|()| (self.redis, look));
                ClusterEvent::Looked { request, outcome }
            }
            ClusterCommand::Claim {
                request,
                id,
                incarnation,
                expected,
                ..
            } => {
                self.done.push(format!("claim {id}"));
                if self.unreadable {
                    let outcome = Ok(ClaimOutcome::Changed);
                    return Some(ClusterEvent::Claimed {
                        request,
                        id,
                        outcome,
                    });
                }
                let place = self.channels.get_mut(&id).unwrap();
                assert_eq!((place.owner.clone(), place.epoch), expected);
                let epoch = Epoch(place.epoch.0 + 1);
                (place.owner, place.epoch) = (Some(incarnation), epoch);
                let record = Record {
                    revision: place.revision,
                    desired: place.desired,
                    writer: Writer::Api,
                    spec: Arc::new(1),
                };
                let (seen_ago, seen_by) = (None, Some(self.redis));
                let removed = false;
                let claimed = ClaimOutcome::Claimed {
                    epoch,
                    record,
                    removed,
                    seen_ago,
                    seen_by,
                    claims: 1,
                };
                let outcome = Ok(claimed);
                ClusterEvent::Claimed {
                    request,
                    id,
                    outcome,
                }
            }
            ClusterCommand::Register {
                request, id, grant, ..
            } => {
                self.done.push(format!("register {id}"));
                let outcome = self.unless_refused().map(|()| Fence::Done);
                if outcome.is_ok() {
                    let seen = seen(Some(grant.incarnation), grant.epoch.0);
                    self.channels.insert(id.clone(), seen);
                }
                ClusterEvent::Owned {
                    request,
                    id,
                    outcome,
                }
            }
            ClusterCommand::Release {
                request,
                id,
                unfinished,
                ..
            } => {
                self.done.push(format!("release {id}"));
                let place = self.channels.get_mut(&id).unwrap();
                (place.owner, place.unfinished) = (None, unfinished);
                let outcome = Ok(Fence::Done);
                ClusterEvent::Owned {
                    request,
                    id,
                    outcome,
                }
            }
            ClusterCommand::AskPeer { request, peer } => {
                let node = peer.clone();
                let contact = self.contacts.get(&peer).copied();
                let answer = contact.map(|contact| PeerAnswer {
                    incarnation: Incarnation { node, run: 7 },
                    contact,
                });
                let outcome = answer.ok_or(CallError::Unknown);
                ClusterEvent::PeerAnswered { request, outcome }
            }
            ClusterCommand::TellLost { id, revision } => {
                self.done.push(format!("lost {id} {revision}"));
                return None;
            }
            ClusterCommand::TellGone { channels } => {
                let names = channels.iter().map(ToString::to_string);
                let names = names.collect::<Vec<_>>().join(" ");
                self.done.push(format!("gone {names}"));
                return None;
            }
            ClusterCommand::ValidUntil { until, alone, .. } => {
                (self.until, self.alone) = (Some(until), alone);
                return None;
            }
            ClusterCommand::Read { .. } | ClusterCommand::Free { .. } => panic!("{command:?}"),
            ClusterCommand::Leave { .. } => {
                self.key = false;
                return None;
            }
            ClusterCommand::Answer { .. } => return None,
        })
    }

    fn unless_refused(&mut self) -> Result<(), CallError> {
        let Some(refused) = &mut self.refused else {
            return Ok(());
        };
        *refused += 1;
        assert!(
            *refused < 1_000,
            "what is refused is asked for without a pause"
        );
        Err(CallError::NotDone)
    }

    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(at) = self.node.next_wakeup().filter(|at| *at <= until) {
            self.now = at;
            self.step(NodeEvent::Tick);
        }
        self.now = until;
    }

    fn is_valid(&self) -> bool {
        self.until.is_some_and(|until| self.now < until)
    }

    fn owns(&self, name: &str) -> bool {
        self.node.standing(&id(name)) == Some(Standing::Open)
    }
}

const SECOND: Span = Span::from_secs(1);

/// A node that owns `x`, beside peers.
fn owner(peers: &[&str]) -> Stage {
    let mut stage = peers
        .iter()
        .fold(Stage::new(), |stage, name| stage.with_peer(name));
    stage.channels.insert(id("x"), seen(None, 0));
    stage.pass(GRACE + SECOND);
    assert!(stage.owns("x") && stage.is_valid());
    stage.done.clear();
    stage
}

#[test]
fn an_idle_node_takes_a_channel_within_a_second_of_a_hint() {
    let mut stage = Stage::new();
    stage.pass(GRACE * 2);
    stage.channels.insert(id("x"), seen(None, 3));
    stage.step(NodeEvent::Cluster(ClusterEvent::Hint { id: id("x") }));
    stage.pass(SECOND);
    assert_eq!(stage.done, ["claim x", "open x 4"]);
}

#[test]
fn a_lost_hint_is_made_good_by_the_scan() {
    let mut stage = Stage::new();
    stage.pass(GRACE * 2);
    stage.channels.insert(id("x"), seen(None, 3));
    stage.pass(SECOND * 6);
    assert!(stage.owns("x"));
}

#[test]
fn a_channel_of_a_dead_node_is_claimed_and_one_of_a_living_node_is_not() {
    let mut stage = Stage::new().with_peer("b").with_peer("c");
    stage.channels.insert(id("x"), seen(Some(other("b")), 4));
    stage.channels.insert(id("y"), seen(Some(other("c")), 9));
    stage.pass(GRACE * 3);
    assert!(stage.done.is_empty(), "{:?}", stage.done);
    stage.others.remove(0);
    stage.pass(SECOND * 2);
    assert_eq!(stage.done, ["claim x", "open x 5"]);
}

#[test]
fn who_was_never_known_to_a_dead_node_waits_longer_and_asks() {
    let mut stage = Stage::new();
    stage.channels.insert(id("x"), seen(Some(other("b")), 4));
    stage
        .contacts
        .insert(NodeName::new("b").unwrap(), Contact::Away);
    stage.pass(SECOND * 100);
    assert!(
        stage.done.is_empty(),
        "it is alive and answers: {:?}",
        stage.done
    );
    stage.contacts.clear();
    stage.pass(SECOND * 28);
    assert!(stage.done.is_empty(), "{:?}", stage.done);
    stage.pass(SECOND * 4);
    assert!(stage.owns("x"));
}

#[test]
fn a_node_alone_without_redis_goes_on_and_registers_when_it_is_back() {
    let mut stage = owner(&[]);
    stage.here = false;
    stage.pass(SECOND * 600);
    assert!(stage.is_valid() && stage.alone && stage.owns("x"));
    (stage.here, stage.key, stage.redis) = (true, false, RedisId(2));
    stage.channels.clear();
    stage.pass(SECOND);
    assert_eq!(stage.done, ["register x"]);
    assert!(stage.is_valid() && !stage.alone);
}

#[test]
fn a_node_goes_on_while_all_its_peers_have_no_redis_either() {
    let mut stage = owner(&["b", "c"]);
    stage.here = false;
    for name in ["b", "c"] {
        stage
            .contacts
            .insert(NodeName::new(name).unwrap(), Contact::Away);
    }
    stage.pass(SECOND * 600);
    assert!(stage.is_valid() && stage.alone);
    // One of them has it again: it may claim once its grace is over.
    stage
        .contacts
        .insert(NodeName::new("c").unwrap(), Contact::Reached);
    stage.pass(GRACE.saturating_sub(MARGIN));
    assert!(!stage.is_valid());
}

#[test]
fn a_node_cut_off_from_everybody_stops_and_takes_a_new_life() {
    let mut stage = owner(&["b"]);
    stage.here = false;
    stage.pass(LEASE);
    assert!(!stage.is_valid());
    stage.key = false;
    stage.channels.insert(id("x"), seen(Some(other("b")), 2));
    stage.here = true;
    stage.pass(SECOND);
    assert_eq!(stage.done, ["abandon x"]);
    assert!(stage.is_valid() && !stage.owns("x"));
}

#[test]
fn nothing_is_claimed_in_the_grace_after_redis_was_away_or_has_changed() {
    let mut stage = owner(&["b"]);
    stage.redis = RedisId(2);
    stage.channels.insert(id("y"), seen(None, 0));
    stage.step(NodeEvent::Cluster(ClusterEvent::Hint { id: id("y") }));
    stage.pass(GRACE.saturating_sub(SECOND));
    assert_eq!(stage.done, ["register x"]);
    stage.pass(SECOND * 2);
    assert!(stage.owns("y"));
}

#[test]
fn an_owner_that_is_fenced_ends_at_once() {
    let mut stage = owner(&["b"]);
    stage.channels.insert(id("x"), seen(Some(other("b")), 2));
    let fenced = ClusterEvent::Fenced {
        id: id("x"),
        epoch: Epoch(2),
    };
    stage.step(NodeEvent::Cluster(fenced));
    assert_eq!(stage.done, ["abandon x"]);
}

#[test]
fn a_drain_hands_over_what_it_owns() {
    let mut stage = owner(&["b"]);
    stage.step(NodeEvent::ShutDown);
    assert_eq!(stage.done, ["close x", "release x"]);
    assert!(stage.node.is_finished());
    assert!(stage.channels[&id("x")].unfinished);
}

#[test]
fn a_node_that_leaves_keeps_its_key_as_long_as_a_channel_of_it_is_open() {
    let mut stage = owner(&["b"]);
    stage.lingers = true;
    stage.step(NodeEvent::ShutDown);
    stage.pass(LEASE * 3);
    assert!(stage.key && stage.is_valid() && !stage.node.is_finished());
    let id = id("x");
    stage.step(NodeEvent::Closed { id, broke: None });
    assert_eq!(stage.done, ["close x", "release x"]);
    assert!(!stage.key && stage.node.is_finished());
}

/// A node that owns `p` to `u`.
fn owner_of_six() -> Stage {
    let mut stage = Stage::new();
    for name in ["p", "q", "r", "s", "t", "u"] {
        stage.channels.insert(id(name), seen(None, 0));
    }
    stage.pass(GRACE * 2);
    stage.done.clear();
    stage
}

#[test]
fn a_full_node_gives_some_away_to_an_empty_one() {
    let mut stage = owner_of_six().with_peer("b");
    stage.pass(SECOND * 5);
    stage.done.sort();
    let given = ["close p", "close q", "release p", "release q"];
    assert_eq!(stage.done, given);
    // What it has given away is on its way to the other, until that has it.
    stage.done.clear();
    stage.pass(SECOND * 4);
    assert_eq!(stage.done, ["close r", "release r"]);
    for name in ["p", "q", "r"] {
        stage.channels.insert(id(name), seen(Some(other("b")), 9));
        stage.step(NodeEvent::Cluster(ClusterEvent::Hint { id: id(name) }));
    }
    stage.done.clear();
    stage.pass(SECOND * 60);
    assert!(stage.done.is_empty(), "{:?}", stage.done);
}

#[test]
fn an_emptier_node_is_there_before_a_fuller_one_claims() {
    for emptier in [true, false] {
        let mut stage = owner(&["b"]);
        if !emptier {
            let of_other = seen(Some(other("b")), 1);
            stage.channels.insert(id("z"), of_other);
            stage.pass(SECOND * 5);
        }
        stage.done.clear();
        stage.channels.insert(id("y"), seen(None, 0));
        stage.step(NodeEvent::Cluster(ClusterEvent::Hint { id: id("y") }));
        // A tenth of the longest delay, and up to 60 ms by chance.
        stage.pass(Span::from_millis(100));
        assert_eq!(stage.done.is_empty(), emptier, "{:?}", stage.done);
        stage.pass(Span::from_millis(100));
        assert!(stage.owns("y"));
    }
}

#[test]
fn a_node_that_takes_none_is_given_nothing() {
    let mut stage = owner_of_six().with_peer("b");
    stage.others[0].capacity = 0;
    stage.pass(SECOND * 30);
    assert!(stage.done.is_empty(), "{:?}", stage.done);
}

#[test]
fn a_node_that_drains_gives_what_others_have_room_for_and_takes_no_more() {
    let mut stage = owner_of_six().with_peer("b");
    stage.others[0].capacity = 3;
    stage.step(NodeEvent::Drain);
    assert!(stage.node.is_draining());
    for _ in 0..10 {
        stage.pass(SECOND * 5);
        let released = stage.channels.values_mut().filter(|it| it.owner.is_none());
        released.for_each(|it| (it.owner, it.epoch) = (Some(other("b")), Epoch(9)));
    }
    let kept = ["s", "t", "u"].iter().filter(|it| stage.owns(it)).count();
    assert_eq!(kept, 3, "{:?}", stage.done);
    stage.channels.insert(id("x"), seen(None, 0));
    stage.step(NodeEvent::Cluster(ClusterEvent::Hint { id: id("x") }));
    stage.pass(SECOND * 20);
    assert!(!stage.owns("x"));
    assert!(!stage.node.is_finished());
}

#[test]
fn what_cannot_be_claimed_is_not_tried_all_the_time() {
    let mut stage = owner(&["b"]);
    stage.unreadable = true;
    stage.channels.insert(id("y"), seen(None, 0));
    stage.pass(SECOND * 60);
    let claims = stage.done.len();
    assert!((2..20).contains(&claims), "{claims} claims in a minute");
}

#[test]
fn what_redis_refuses_is_not_asked_for_all_the_time() {
    for event in [
        ClusterEvent::Hint { id: id("x") },
        ClusterEvent::Forgotten { id: id("x") },
    ] {
        let mut stage = owner(&["b"]);
        stage.refused = Some(0);
        stage.step(NodeEvent::Cluster(event));
        stage.pass(SECOND * 10);
        let refused = stage.refused.unwrap();
        assert!((10..100).contains(&refused), "{refused} in ten seconds");
        stage.refused = None;
        stage.done.clear();
        stage.pass(SECOND * 2);
        assert!(stage.owns("x") && stage.done.len() <= 1, "{:?}", stage.done);
    }
}

#[test]
fn a_claim_that_was_planned_is_not_made_of_what_another_node_has_taken_since() {
    let mut stage = Stage::new().with_peer("b");
    stage.pass(GRACE * 2);
    for channel in [seen(None, 0), seen(Some(other("b")), 9)] {
        stage.channels.insert(id("x"), channel);
        stage.step(NodeEvent::Cluster(ClusterEvent::Hint { id: id("x") }));
    }
    stage.pass(SECOND * 10);
    assert!(stage.done.is_empty(), "{:?}", stage.done);
}

fn wanted(name: &str, revision: u64) -> NodeEvent<u64> {
    let record = Record {
        revision,
        desired: Desired::Run,
        writer: Writer::Api,
        spec: Arc::new(1),
    };
    let id = id(name);
    NodeEvent::Wanted { id, record }
}

#[test]
fn a_change_that_only_a_lost_redis_knew_is_told_to_be_lost_and_no_other_is() {
    let mut stage = owner(&["b"]);
    // Of the channel of this node, of one of the other, and of one that nobody knows: acknowledged, and lost.
    for name in ["x", "y", "z"] {
        stage.channels.insert(id(name), seen(Some(other("b")), 1));
    }
    stage.channels.insert(id("x"), seen(None, 1));
    stage.channels.get_mut(&id("x")).unwrap().owner = stage.own.clone();
    for name in ["x", "y", "z"] {
        stage.channels.get_mut(&id(name)).unwrap().revision = 7;
        stage.step(wanted(name, 7));
    }
    stage.pass(SECOND);
    stage.done.clear();
    stage.redis = RedisId(2);
    // The other node has written its own again.
    stage.channels.get_mut(&id("x")).unwrap().revision = 1;
    stage.channels.remove(&id("z"));
    stage.pass(SECOND * 30);
    let lost: Vec<_> = stage
        .done
        .iter()
        .filter(|it| it.starts_with("lost"))
        .collect();
    assert_eq!(lost, ["lost z 7"], "{:?}", stage.done);
}

#[test]
fn channels_that_nobody_has_and_a_lost_redis_alone_knew_are_told_to_be_gone_once() {
    let mut stage = owner(&["b"]);
    let stopped = ChannelSeen {
        desired: Desired::Stop,
        ..seen(None, 3)
    };
    for name in ["s", "t", "u"] {
        stage.channels.insert(id(name), stopped.clone());
    }
    stage.pass(SECOND * 10);
    // This one is removed while Redis is there.
    stage.channels.remove(&id("u"));
    stage.pass(SECOND * 10);
    (stage.redis, stage.key) = (RedisId(2), false);
    stage.channels.clear();
    // And this one is added again by whoever knows of it.
    stage.channels.insert(id("t"), stopped);
    stage.pass(SECOND * 60);
    let gone = stage.done.iter().filter(|it| it.starts_with("gone"));
    assert_eq!(gone.collect::<Vec<_>>(), ["gone s"], "{:?}", stage.done);
    assert!(stage.owns("x"));
}

#[test]
fn a_peer_is_asked_until_nobody_who_is_there_can_have_read_that_it_is() {
    let mut stage = owner(&["b"]);
    let asks = |stage: &Stage| stage.named.contains(&NodeName::new("b").unwrap());
    assert!(asks(&stage));
    // It was seen to be dead, and Redis is away before it has been told that it is asked no more: it may be back there,
    // and has read that it is.
    stage.others.clear();
    stage.pass(Span::from_millis(600));
    stage.here = false;
    stage.pass(LEASE);
    assert!(
        !stage.is_valid(),
        "it does not go on without the peer's word"
    );

    // Once it has been, the node goes on alone.
    let mut stage = owner(&["b"]);
    stage.others.clear();
    stage.pass(SECOND * 4);
    assert!(!asks(&stage));
    stage.here = false;
    stage.pass(LEASE * 2);
    assert!(stage.is_valid() && stage.alone);
}

#[test]
fn a_node_whose_store_is_gone_gives_its_channels_to_one_that_can_have_them_and_takes_none() {
    let mut stage = owner(&["b"]);
    stage.has_store = false;
    stage.channels.insert(id("y"), seen(None, 0));
    stage.pass(SECOND * 15);
    assert!(
        stage.done.contains(&"release x".to_owned()),
        "{:?}",
        stage.done
    );
    assert!(!stage.owns("x") && !stage.owns("y"));
    stage.done.clear();
    stage.pass(SECOND * 60);
    assert!(stage.done.is_empty(), "it claims nothing: {:?}", stage.done);
    stage.has_store = true;
    stage.pass(SECOND * 12);
    let claimed = |name: &str| stage.done.contains(&format!("claim {name}"));
    assert!(claimed("x") && claimed("y"), "{:?}", stage.done);
}

#[test]
fn a_node_whose_store_is_gone_keeps_its_channels_where_nobody_else_can_have_them() {
    let mut stage = owner(&["b"]);
    stage.others[0].capacity = 0;
    stage.has_store = false;
    stage.pass(SECOND * 60);
    assert!(stage.owns("x") && stage.done.is_empty(), "{:?}", stage.done);
}
