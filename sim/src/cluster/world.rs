//! The world of a cluster: one queue of what will happen, and the nodes, Redis, writers and viewers it happens to.

use super::changes::Change;
use super::checks::Watch;
use super::due::Due;
use super::plan::{Fault, FaultKind, Lost, Plan, Slip};
use super::process::{Call, Process};
use super::redis::{Ask, Redis, Told};
use super::viewers::Viewer;
use crate::checks::{Held, Violation};
use crate::origin::{Origin, OriginSpec, RequestCounter};
use crate::player::Suffered;
use crate::queue::Queue;
use crate::rng::Stream;
use hls_relay_core::config::Spec;
use hls_relay_core::digest::Digest;
use hls_relay_core::event::Event;
use hls_relay_core::ids::RequestId;
use hls_relay_core::node::cluster::{ClusterEvent, Fence, NodeName};
use hls_relay_core::node::{ChannelId, Node, NodeCommand, NodeEvent};
use hls_relay_core::planted::Planted;
use hls_relay_core::time::{Span, Timestamp, WallTime};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a world is asked to remember, and what is wrong in it on purpose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Every step in words.
    pub trace: bool,
    /// The journals of the nodes.
    pub journal: bool,
    /// A mistake of every machine.
    pub planted: Planted,
    /// A mistake of what surrounds them.
    pub slip: Option<Slip>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first promise that did not hold, and when.
    pub failure: Option<(Span, Violation)>,
    /// Of everything that every machine ever wanted.
    pub digest: u64,
    /// Steps of machines.
    pub events: u64,
    /// How long it was.
    pub simulated: Span,
    /// What happened how often.
    pub census: BTreeMap<&'static str, u64>,
    /// The steps, where they were asked for.
    pub trace: Vec<String>,
    /// What viewers suffered.
    pub suffered: Vec<Suffered>,
    /// What each node was told, life after life, where it was asked for.
    pub journals: Vec<String>,
}

/// A node and its present process.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: NodeName,
    pub(super) process: Option<Process>,
    pub(super) lives: u64,
    pub(super) paused_until: Option<Timestamp>,
    pub(super) journal: String,
    /// Who asked, by the request that the machine knows it by.
    pub(super) asked: BTreeMap<RequestId, (usize, u64, u64)>,
    last_asked: u64,
}

/// See the module.
pub struct World {
    pub(super) plan: Plan,
    pub(super) options: Options,
    pub(super) slip: Option<Slip>,
    pub(super) now: Timestamp,
    pub(super) queue: Queue<Due>,
    pub(super) redis: Redis,
    pub(super) redis_lost_all: bool,
    pub(super) hosts: Vec<Host>,
    pub(super) channels: BTreeMap<ChannelId, Watch>,
    pub(super) removed: BTreeSet<ChannelId>,
    pub(super) origin: Origin,
    pub(super) counter: RequestCounter,
    pub(super) wall_at_start: WallTime,
    pub(super) versions: u64,
    pub(super) digest: Digest,
    pub(super) events: u64,
    pub(super) trace: Vec<String>,
    pub(super) viewers: Vec<Viewer>,
    pub(super) changes: Vec<Change>,
    chance: Stream,
    drawn: u64,
    pub(super) census: BTreeMap<&'static str, u64>,
}

impl World {
    /// A world about to begin.
    pub fn new(plan: Plan, options: Options) -> Self {
        let host = |number: usize| Host {
            name: node_name(number),
            process: None,
            lives: 0,
            paused_until: None,
            journal: String::new(),
            asked: BTreeMap::new(),
            last_asked: 0,
        };
        let spec = OriginSpec {
            seed: plan.seed,
            latency: Span::from_millis(8),
            latency_jitter: Span::from_millis(30),
            ..OriginSpec::default()
        };
        Self {
            options,
            slip: options.slip,
            now: Timestamp::default(),
            queue: Queue::new(Stream::new(plan.seed, "cluster ties")),
            redis: Redis::new(plan.redis_ppm, options.slip),
            redis_lost_all: false,
            hosts: (0..plan.nodes.len()).map(host).collect(),
            channels: BTreeMap::new(),
            removed: BTreeSet::new(),
            wall_at_start: spec.wall_at_start,
            origin: Origin::new(spec),
            counter: RequestCounter::default(),
            versions: 0,
            digest: Digest::default(),
            events: 0,
            trace: Vec::new(),
            viewers: (0..plan.channels).map(|_| Viewer::default()).collect(),
            changes: Vec::new(),
            chance: Stream::new(plan.seed, "cluster chance"),
            drawn: 0,
            census: BTreeMap::new(),
            plan,
        }
    }

    /// Runs it to its end, or to the first promise that does not hold.
    pub fn run(mut self) -> Outcome {
        let held = catch_unwind(AssertUnwindSafe(|| self.run_to_the_end()));
        let held = held.unwrap_or_else(|panic| {
            let words = crate::words::of_panic(&*panic);
            crate::checks::broken("no panic", "a world that goes on", words)
        });
        let simulated = self.now.since(Timestamp::default());
        Outcome {
            failure: held.err().map(|violation| (simulated, violation)),
            digest: self.digest.value(),
            events: self.events,
            simulated,
            census: self.census,
            trace: self.trace,
            suffered: self.viewers.iter().map(Viewer::suffered).collect(),
            journals: self.hosts.into_iter().map(|it| it.journal).collect(),
        }
    }

    fn run_to_the_end(&mut self) -> Held {
        let start = Timestamp::default();
        for host in 0..self.hosts.len() {
            let at = start + self.plan.nodes[host].start_at;
            self.queue.push(at, Due::Start { host });
        }
        for (number, fault) in self.plan.faults.iter().enumerate() {
            self.queue.push(start + fault.from, Due::Begin(number));
            self.queue.push(start + fault.until, Due::End(number));
        }
        for (number, change) in self.plan.changes.iter().enumerate() {
            self.queue.push(start + change.at, Due::Change(number));
        }
        for viewer in 0..self.viewers.len() {
            self.queue
                .push(start + Span::from_secs(12), Due::Viewer(viewer));
        }
        self.queue.push(start + Span::from_secs(1), Due::Look);
        self.queue.push(start + self.plan.ends_at, Due::Over);
        while let Some((at, due)) = self.queue.pop() {
            self.now = at;
            if matches!(due, Due::Over) {
                return self.all_is_well();
            }
            self.happen(due)?;
        }
        Ok(())
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.chance.draw(self.drawn)
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.census.entry(what).or_default() += 1;
    }

    fn lives(&self, host: usize, life: u64) -> bool {
        let process = self.hosts[host].process.as_ref();
        process.is_some_and(|it| it.life == life)
    }

    fn is_run(&self, host: usize, life: u64, id: &ChannelId, run: u64) -> bool {
        let process = self.hosts[host]
            .process
            .as_ref()
            .filter(|it| it.life == life);
        process.is_some_and(|it| it.runs.get(id).is_some_and(|it| it.number == run))
    }

    fn happen(&mut self, due: Due) -> Held {
        // A process that is stopped finds all of it when it goes on.
        if let Some(host) = due.host()
            && let Some(until) = self.hosts[host].paused_until
            && self.now < until
        {
            self.queue.push(until, due);
            return Ok(());
        }
        match due {
            Due::Start { host } => self.start(host),
            Due::Begin(fault) => self.begin_fault(self.plan.faults[fault]),
            Due::End(fault) => self.end_fault(self.plan.faults[fault]),
            Due::NodeWake { host, life, number } => {
                let process = self.hosts[host].process.as_ref();
                match process.is_some_and(|it| it.life == life && it.wake == number) {
                    true => self.node_step(host, NodeEvent::Tick),
                    false => Ok(()),
                }
            }
            Due::RelayWake {
                host,
                life,
                id,
                run,
                number,
            } => {
                let present = self.is_run(host, life, &id, run);
                match present && self.run_of(host, &id).is_some_and(|it| it.wake == number) {
                    true => self.relay_step(host, &id, Event::Tick),
                    false => Ok(()),
                }
            }
            Due::Work {
                host,
                life,
                id,
                run,
                request,
            } => match self.is_run(host, life, &id, run) {
                true => self.work(host, &id, request),
                false => Ok(()),
            },
            Due::Resent { host, life } if self.lives(host, life) => {
                self.send_again(host);
                Ok(())
            }
            Due::AtRedis {
                host,
                life,
                call,
                ask,
            } => self.at_redis(host, life, call, *ask),
            Due::FromRedis {
                host,
                life,
                call,
                redis,
                told,
            } if self.lives(host, life) => self.hears_from_redis(host, call, redis, *told),
            Due::TimedOut { host, life, call } if self.lives(host, life) => {
                self.timed_out(host, call)
            }
            Due::AtPeer {
                host,
                life,
                call,
                peer,
            } => self.at_peer((host, life, call), peer),
            Due::FromPeer {
                host,
                life,
                call,
                answer,
            } if self.lives(host, life) => {
                let process = self.hosts[host].process.as_mut();
                match process.and_then(|it| it.calls.remove(&call)) {
                    Some(Call::Peer(request)) => self.peer_answered(host, request, Some(answer)),
                    Some(_) | None => Ok(()),
                }
            }
            Due::Hint { host, life, id } if self.lives(host, life) => {
                self.node_step(host, NodeEvent::Cluster(ClusterEvent::Hint { id }))
            }
            Due::Resent { .. }
            | Due::FromRedis { .. }
            | Due::TimedOut { .. }
            | Due::FromPeer { .. }
            | Due::Hint { .. } => Ok(()),
            Due::Change(change) => self.change(change),
            Due::Write { change, read, next } => self.write_directly(change, read, next),
            Due::Viewer(viewer) => self.watch(viewer),
            Due::Look => {
                self.queue.push(self.now + Span::from_secs(1), Due::Look);
                self.look()
            }
            Due::Over => Ok(()),
        }
    }

    fn start(&mut self, host: usize) -> Held {
        if self.hosts[host].process.is_some() {
            return Ok(());
        }
        let (boot, seed) = (self.draw() >> 24, self.draw());
        let it = &mut self.hosts[host];
        it.lives += 1;
        let plan = self.plan.nodes[host];
        let machine = Node::in_cluster(plan.capacity, it.name.clone(), seed, self.options.planted);
        it.process = Some(Process::new(
            it.lives,
            Span::from_micros(boot),
            plan.ppm,
            machine,
        ));
        self.count("process started");
        self.node_step(host, NodeEvent::Tick)
    }

    fn begin_fault(&mut self, fault: Fault) -> Held {
        self.count(fault.kind.name());
        match fault.kind {
            FaultKind::RedisAway(lost) => {
                self.redis.fail(self.now, lost);
                self.redis_lost_all |= lost == Lost::Everything;
                if lost != Lost::Nothing {
                    self.channels
                        .values_mut()
                        .for_each(|it| it.acknowledged = None);
                }
                Ok(())
            }
            FaultKind::Pause { node } => {
                let until = Timestamp::default() + fault.until;
                let paused = &mut self.hosts[node].paused_until;
                *paused = Some(until).max(*paused);
                Ok(())
            }
            FaultKind::Kill { node } => {
                self.hosts[node].process = None;
                Ok(())
            }
            FaultKind::Drain { node } => self.node_step(node, NodeEvent::ShutDown),
            FaultKind::CutRedis { .. }
            | FaultKind::CutNodes { .. }
            | FaultKind::CutOff { .. }
            | FaultKind::Slow { .. }
            | FaultKind::RepliesLost { .. }
            | FaultKind::StoreGone { .. }
            | FaultKind::HintsLost => Ok(()),
        }
    }

    fn end_fault(&mut self, fault: Fault) -> Held {
        match fault.kind {
            FaultKind::RedisAway(_) => {
                let away = |it: FaultKind| matches!(it, FaultKind::RedisAway(_));
                let still = self.ongoing().any(away);
                self.redis.is_up = !still;
                Ok(())
            }
            FaultKind::Pause { node } => {
                if self.hosts[node]
                    .paused_until
                    .is_some_and(|it| it <= self.now)
                {
                    self.hosts[node].paused_until = None;
                }
                Ok(())
            }
            FaultKind::Kill { node } => self.start(node),
            FaultKind::Drain { node } => {
                // One that has not left by then is killed.
                self.hosts[node].process = None;
                self.start(node)
            }
            FaultKind::CutRedis { .. }
            | FaultKind::CutNodes { .. }
            | FaultKind::CutOff { .. }
            | FaultKind::Slow { .. }
            | FaultKind::RepliesLost { .. }
            | FaultKind::StoreGone { .. }
            | FaultKind::HintsLost => Ok(()),
        }
    }

    fn at_peer(&mut self, asked: (usize, u64, u64), peer: usize) -> Held {
        let by = self.hosts[asked.0].name.clone();
        let it = &mut self.hosts[peer];
        it.last_asked += 1;
        let request = RequestId(it.last_asked);
        it.asked.insert(request, asked);
        let event = ClusterEvent::Asked { request, by };
        self.node_step(peer, NodeEvent::Cluster(event))
    }

    /// A script has been carried out: whoever must hear of it does.
    pub(super) fn carry_out_at_redis(&mut self, ask: Ask) -> Result<Told, Violation> {
        let hinted = match &ask {
            Ask::Write { id, .. } | Ask::Release { id, .. } | Ask::Free { id, .. } => {
                Some(id.clone())
            }
            Ask::Renew { .. }
            | Ask::Leave(_)
            | Ask::Look(_)
            | Ask::Read(_)
            | Ask::Claim { .. }
            | Ask::Register { .. }
            | Ask::Publish { .. } => None,
        };
        let writes = match &ask {
            Ask::Publish { id, grant, .. } => Some((id.clone(), grant.epoch)),
            Ask::Renew { .. }
            | Ask::Leave(_)
            | Ask::Look(_)
            | Ask::Read(_)
            | Ask::Claim { .. }
            | Ask::Register { .. }
            | Ask::Release { .. }
            | Ask::Free { .. }
            | Ask::Write { .. } => None,
        };
        let removes = if let Ask::Write { id, removed, .. } = &ask {
            removed.then(|| id.clone())
        } else {
            None
        };
        let told = self.redis.apply(self.now, ask);
        // Whether or not anybody hears that it was done.
        if matches!(told, Told::Written(true)) {
            self.removed.extend(removes);
        }
        if let Some((id, epoch)) = writes
            && matches!(told, Told::Fence(Fence::Done))
            && let Some(newer) = self
                .redis
                .channels()
                .get(&id)
                .map(|it| it.epoch)
                .filter(|it| *it != epoch)
        {
            crate::checks::broken(
                "an older owner writes nothing",
                format!("{id} of epoch {}", newer.0),
                format!("a publish of epoch {}", epoch.0),
            )?;
        }
        if let Some(id) = hinted {
            if !self.redis.channels().contains_key(&id) && self.removed.contains(&id) {
                // What comes after it is another channel.
                let watch = self.channels.entry(id.clone()).or_default();
                (watch.list, watch.acknowledged) = Default::default();
            }
            if matches!(told, Told::Written(true) | Told::Fence(Fence::Done)) {
                self.hint(&id);
            }
        }
        Ok(told)
    }

    /// What a node wants, in the trace and in the digest.
    pub(super) fn note_node(&mut self, host: usize, command: &NodeCommand<Spec>) {
        use hls_relay_core::node::ClusterCommand as Wanted;
        let (what, id) = match command {
            NodeCommand::Open { id, .. } => ("channel opened", Some(id)),
            NodeCommand::Configure { id, .. } => ("channel configured", Some(id)),
            NodeCommand::Close { id } => ("channel closed", Some(id)),
            NodeCommand::Abandon { id } => ("abandon", Some(id)),
            NodeCommand::Erase { id } => ("channel erased", Some(id)),
            NodeCommand::Cluster(Wanted::Claim { id, .. }) => ("claim", Some(id)),
            NodeCommand::Cluster(Wanted::Register { id, .. }) => ("register", Some(id)),
            NodeCommand::Cluster(Wanted::Release { id, .. }) => ("release", Some(id)),
            NodeCommand::Cluster(Wanted::Free { id, .. }) => ("free", Some(id)),
            NodeCommand::Cluster(Wanted::TellLost { id, .. }) => ("tell lost", Some(id)),
            NodeCommand::Cluster(Wanted::TellGone { .. }) => ("tell gone", None),
            NodeCommand::Cluster(Wanted::AskPeer { .. }) => ("peer asked", None),
            NodeCommand::Cluster(Wanted::Read { id, .. }) => ("read", Some(id)),
            NodeCommand::Cluster(Wanted::Renew { .. }) => ("renew", None),
            NodeCommand::Cluster(Wanted::Look { .. }) => ("look", None),
            NodeCommand::TryStore => ("store tried", None),
            NodeCommand::Cluster(Wanted::Leave { .. }) => ("leave", None),
            NodeCommand::Cluster(Wanted::Answer { .. }) => ("peer answered", None),
            NodeCommand::Cluster(Wanted::ValidUntil { .. }) => ("valid until", None),
        };
        self.count(what);
        self.digest.add(&(self.now, host as u64, what, id));
        if self.options.trace && !matches!(what, "look") {
            let line = format!("{:>11} n{host}   -> {command:?}", self.now.as_micros());
            self.trace.push(line.chars().take(300).collect());
        }
    }
}

pub(super) fn channel_id(number: usize) -> ChannelId {
    ChannelId::new(&format!("c{number}")).unwrap_or_else(|why| unreachable!("{why}"))
}

fn node_name(number: usize) -> NodeName {
    NodeName::new(&format!("n{number}")).unwrap_or_else(|why| unreachable!("{why}"))
}
