//! The machine of a node: what is opened, told, closed and cleared away, in whatever order things happen.

use hls_relay_core::event::Desired;
use hls_relay_core::node::{
    ChannelId, Node, NodeCommand, NodeEvent, REOPEN_FIRST, REOPEN_SLOWEST, Record, Standing, Writer,
};
use hls_relay_core::time::{Span, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn wanted(name: &str, revision: u64, desired: Desired) -> NodeEvent<u64> {
    let record = Record {
        revision,
        desired,
        writer: Writer::Api,
        spec: Arc::new(revision),
    };
    let id = id(name);
    NodeEvent::Wanted { id, record }
}

/// A node and the hands of a process, which do at once what is wanted, or keep it.
struct Stage {
    node: Node<u64>,
    now: Timestamp,
    /// Not completed yet.
    open: Vec<NodeCommand<u64>>,
    /// What each open channel was told last.
    told: BTreeMap<ChannelId, Record<u64>>,
}

impl Stage {
    fn new(capacity: usize) -> Self {
        Self {
            node: Node::new(capacity),
            now: Timestamp::from_micros(1_000_000),
            open: Vec::new(),
            told: BTreeMap::new(),
        }
    }

    fn step(&mut self, event: NodeEvent<u64>) {
        let mut commands = Vec::new();
        self.node.step(self.now, event, &mut commands);
        for command in commands {
            match command {
                NodeCommand::Configure { id, record } => {
                    let before = self.told.insert(id, record.clone());
                    assert!(before.is_none_or(|it| it.revision < record.revision));
                }
                other @ (NodeCommand::Open { .. }
                | NodeCommand::Close { .. }
                | NodeCommand::Erase { .. }) => self.open.push(other),
                NodeCommand::Abandon { .. } | NodeCommand::TryStore | NodeCommand::Cluster(_) => {
                    unreachable!("it is alone")
                }
            }
        }
        let due = self.node.next_wakeup();
        assert!(due.is_none_or(|at| at > self.now), "what is due is done");
    }

    /// Completes one of the commands, well or not.
    fn complete(&mut self, index: usize, well: bool) {
        let event = match self.open.remove(index) {
            NodeCommand::Open { id, .. } => {
                let outcome = if well { Ok(()) } else { Err("no room".into()) };
                NodeEvent::Opened { id, outcome }
            }
            NodeCommand::Close { id } => {
                self.told.remove(&id);
                let broke = (!well).then(|| "broke".into());
                NodeEvent::Closed { id, broke }
            }
            NodeCommand::Erase { id } => NodeEvent::Erased { id },
            NodeCommand::Configure { .. }
            | NodeCommand::Abandon { .. }
            | NodeCommand::TryStore
            | NodeCommand::Cluster(_) => {
                unreachable!("done at once, or never wanted")
            }
        };
        self.step(event);
    }

    /// All goes well from now on.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            if !self.open.is_empty() {
                self.complete(0, true);
            } else if let Some((id, told)) = self.stopping() {
                let revision = told.revision;
                self.step(NodeEvent::Idle { id, revision });
            } else if let Some(at) = self.node.next_wakeup() {
                self.now = at;
                self.step(NodeEvent::Tick);
            } else {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.node);
    }

    fn stopping(&self) -> Option<(ChannelId, Record<u64>)> {
        let mut stopped = self.told.iter();
        let stopped = stopped.find(|(_, record)| record.desired == Desired::Stop);
        stopped.map(|(id, record)| (id.clone(), record.clone()))
    }
}

#[test]
fn a_channel_runs_stops_rests_and_is_forgotten() {
    let mut stage = Stage::new(10);
    stage.step(wanted("a", 1, Desired::Run));
    assert_eq!(
        stage.open,
        [NodeCommand::Open {
            id: id("a"),
            grant: None
        }]
    );
    stage.complete(0, true);
    assert_eq!(stage.told[&id("a")].revision, 1);
    stage.step(wanted("a", 2, Desired::Stop));
    assert_eq!(stage.told[&id("a")].desired, Desired::Stop);
    assert!(stage.open.is_empty(), "its list has its time");
    let (id_a, revision) = (id("a"), 2);
    stage.step(NodeEvent::Idle { id: id_a, revision });
    assert_eq!(stage.open, [NodeCommand::Close { id: id("a") }]);
    stage.complete(0, true);
    assert_eq!(stage.node.standing(&id("a")), Some(Standing::Resting));
    let (id_a, revision) = (id("a"), 3);
    stage.step(NodeEvent::Removed { id: id_a, revision });
    assert_eq!(stage.open, [NodeCommand::Erase { id: id("a") }]);
    stage.complete(0, true);
    assert_eq!(stage.node.standing(&id("a")), None);
}

#[test]
fn what_does_not_fit_waits_and_says_so() {
    let mut stage = Stage::new(1);
    stage.step(wanted("a", 1, Desired::Run));
    stage.step(wanted("b", 2, Desired::Run));
    stage.settle();
    assert_eq!(stage.node.standing(&id("a")), Some(Standing::Open));
    let Some(Standing::Waiting(why)) = stage.node.standing(&id("b")) else {
        panic!("{:?}", stage.node);
    };
    assert!(why.contains("all 1 places"), "{why}");
    stage.step(wanted("a", 3, Desired::Stop));
    stage.settle();
    assert_eq!(stage.node.standing(&id("b")), Some(Standing::Open));
    assert_eq!(stage.node.standing(&id("a")), Some(Standing::Resting));
}

#[test]
fn what_cannot_be_opened_is_tried_again_ever_more_slowly() {
    let mut stage = Stage::new(1);
    stage.step(wanted("a", 1, Desired::Run));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        stage.complete(0, false);
        let at = stage.node.next_wakeup().unwrap();
        pauses.push(at.since(stage.now));
        stage.now = at;
        stage.step(NodeEvent::Tick);
    }
    assert_eq!(pauses[..2], [REOPEN_FIRST, REOPEN_FIRST * 2]);
    assert_eq!(pauses[7], REOPEN_SLOWEST);
    // One that has been well for a while begins anew.
    stage.complete(0, true);
    stage.now = stage.now + Span::from_secs(60);
    let (id, broke) = (id("a"), Some("broke".into()));
    stage.step(NodeEvent::Closed { id, broke });
    let at = stage.node.next_wakeup().unwrap();
    assert_eq!(at.since(stage.now), REOPEN_FIRST);
}

#[test]
fn what_cannot_be_opened_can_be_removed() {
    let mut stage = Stage::new(1);
    stage.step(wanted("a", 1, Desired::Run));
    stage.complete(0, false);
    let (id_a, revision) = (id("a"), 2);
    stage.step(NodeEvent::Removed { id: id_a, revision });
    stage.settle();
    assert_eq!(stage.node.standing(&id("a")), None);
}

#[test]
fn a_shutdown_closes_what_is_open_and_opens_nothing() {
    let mut stage = Stage::new(1);
    for (name, revision) in [("a", 1), ("b", 2)] {
        stage.step(wanted(name, revision, Desired::Run));
    }
    stage.step(NodeEvent::ShutDown);
    assert!(!stage.node.is_finished(), "one is being opened");
    stage.complete(0, true);
    stage.settle();
    assert!(stage.node.is_finished());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// From any interleaving of changes, completions and failures the last change wins.
    #[test]
    fn the_last_change_wins(
        capacity in 1_usize..3,
        acts in proptest::collection::vec((0_u8..6, 0_usize..3, any::<bool>()), 0..60),
    ) {
        let names = ["a", "b", "c"];
        let mut stage = Stage::new(capacity);
        let mut last = BTreeMap::new();
        for (revision, (act, which, well)) in (1..).zip(acts) {
            let name = names[which];
            match act {
                0 => {
                    let desired = if well { Desired::Run } else { Desired::Stop };
                    stage.step(wanted(name, revision, desired));
                    last.insert(name, (revision, Some(desired)));
                }
                1 => {
                    stage.step(NodeEvent::Removed { id: id(name), revision });
                    last.insert(name, (revision, None));
                }
                2 => {
                    stage.now = stage.now + Span::from_millis(700);
                    stage.step(NodeEvent::Tick);
                }
                3 => {
                    // News that are no news any more.
                    let known = last.get(name).is_some_and(|(_, desired)| desired.is_some());
                    if known {
                        stage.step(wanted(name, 0, Desired::Run));
                    }
                }
                4 => {
                    if let Some((id, told)) = stage.stopping() {
                        stage.step(NodeEvent::Idle { id, revision: told.revision });
                    }
                }
                _ if !stage.open.is_empty() => {
                    let index = which % stage.open.len();
                    stage.complete(index, well);
                }
                _ => {}
            }
        }
        stage.settle();
        let runs = |it: &&(u64, Option<Desired>)| it.1 == Some(Desired::Run);
        let wanted = last.values().filter(runs).count();
        let open = stage.told.values().filter(|it| it.desired == Desired::Run).count();
        prop_assert_eq!(open, wanted.min(capacity));
        for (name, (revision, desired)) in last {
            let standing = stage.node.standing(&id(name));
            match desired {
                None => prop_assert_eq!(standing, None),
                Some(Desired::Stop) => prop_assert_eq!(standing, Some(Standing::Resting)),
                Some(Desired::Run) => {
                    if let Some(told) = stage.told.get(&id(name)) {
                        prop_assert_eq!(told.revision, revision);
                    } else {
                        let waits = matches!(standing, Some(Standing::Waiting(_)));
                        prop_assert!(waits, "{:?}", standing);
                    }
                }
            }
        }
    }
}
