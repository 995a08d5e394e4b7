//! What the machine of a node wants is carried out, as the adapters of a node do it.

use super::due::Due;
use super::process::{Call, Run, Validity, Work};
use super::redis::{Ask, Told};
use super::relays::AT_ONCE;
use super::world::World;
use crate::checks::{Held, Violation};
use hls_relay_core::event::{Configure, Desired, Event};
use hls_relay_core::ids::RequestId;
use hls_relay_core::node::cluster::{
    CallError, ClusterCommand, ClusterEvent, Grant, NodeSeen, PeerAnswer, RedisId,
};
use hls_relay_core::node::{ChannelId, NodeCommand, NodeEvent};
use hls_relay_core::relay::Relay;
use std::collections::BTreeMap;
use std::sync::Arc;

type Spec = hls_relay_core::config::Spec;

impl World {
    /// Lets the machine of a node take one event, and sets about what it wants.
    pub(super) fn node_step(&mut self, host: usize, event: NodeEvent<Spec>) -> Held {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let it = &mut self.hosts[host];
            let Some(process) = it.process.as_mut() else {
                return Ok(());
            };
            if self.options.trace
                && !matches!(
                    event,
                    NodeEvent::Tick
                        | NodeEvent::StoreTried { .. }
                        | NodeEvent::Cluster(ClusterEvent::Looked { .. })
                )
            {
                let line = format!("{:>11} n{host} {event:?}", self.now.as_micros());
                self.trace.push(line.chars().take(300).collect());
            }
            let now = process.clocks(self.now, self.wall_at_start);
            let journal = self.options.journal.then_some((&it.name, &mut it.journal));
            let commands = process.step(now, event, journal);
            self.events += 1;
            let finished = process.machine.is_finished();
            for command in commands {
                events.extend(self.carry_for_node(host, command)?);
            }
            if finished {
                self.count("node left");
                self.hosts[host].process = None;
                return Ok(());
            }
        }
        self.schedule_node(host);
        Ok(())
    }

    pub(super) fn schedule_node(&mut self, host: usize) {
        let now = self.now;
        let Some(process) = self.hosts[host].process.as_mut() else {
            return;
        };
        process.wake += 1;
        let (life, number) = (process.life, process.wake);
        if let Some(at) = process.machine.next_wakeup() {
            let at = process.true_time(at).max(now);
            self.queue.push(at, Due::NodeWake { host, life, number });
        }
    }

    fn carry_for_node(
        &mut self,
        host: usize,
        command: NodeCommand<Spec>,
    ) -> Result<Option<NodeEvent<Spec>>, Violation> {
        self.note_node(host, &command);
        match command {
            NodeCommand::Open { id, grant } => {
                let Some(grant) = grant else { return Ok(None) };
                let outcome = if self.has_store(host) {
                    self.open(host, id.clone(), grant);
                    Ok(())
                } else {
                    self.count("channel not opened");
                    let process = self.hosts[host].process.as_mut();
                    if let (Some(process), Some(skip)) = (process, grant.skip) {
                        process.skips.insert(id.clone(), skip);
                    }
                    Err("its store is gone".into())
                };
                Ok(Some(NodeEvent::Opened { id, outcome }))
            }
            NodeCommand::Configure { id, record } => {
                if let Some(run) = self.run_of(host, &id) {
                    run.stops = (record.desired == Desired::Stop).then_some(record.revision);
                }
                let configure = Configure {
                    revision: record.revision,
                    desired: record.desired,
                    spec: record.spec,
                };
                self.relay_step(host, &id, Event::Configure(configure))?;
                Ok(None)
            }
            NodeCommand::Close { id } => {
                self.relay_step(host, &id, Event::ShutDown)?;
                Ok(None)
            }
            NodeCommand::Abandon { id } => {
                self.count("channel abandoned");
                let process = self.hosts[host].process.as_mut();
                let was = process.is_some_and(|it| it.runs.remove(&id).is_some());
                Ok(was.then_some(NodeEvent::Closed { id, broke: None }))
            }
            NodeCommand::Erase { id } => Ok(Some(NodeEvent::Erased { id })),
            NodeCommand::TryStore => {
                let is_usable = self.has_store(host);
                Ok(Some(NodeEvent::StoreTried { is_usable }))
            }
            NodeCommand::Cluster(command) => self.carry_for_cluster(host, command).map(|()| None),
        }
    }

    fn carry_for_cluster(&mut self, host: usize, command: ClusterCommand<Spec>) -> Held {
        match command {
            ClusterCommand::Renew {
                request,
                incarnation,
                first,
                capacity,
                load: _,
                peers,
            } => {
                let node = NodeSeen {
                    incarnation,
                    capacity,
                    peers,
                };
                self.ask(host, Call::Renew(request), Ask::Renew { node, first });
            }
            ClusterCommand::Leave { incarnation, .. } => {
                self.ask(host, Call::Leave, Ask::Leave(incarnation))
            }
            ClusterCommand::Look { request, at } => {
                self.ask(host, Call::Look(request), Ask::Look(at))
            }
            ClusterCommand::Read { request, id } => {
                self.ask(host, Call::Read(request, id.clone()), Ask::Read(id));
            }
            ClusterCommand::Claim {
                request,
                id,
                incarnation,
                expected,
                redis,
            } => {
                let call = Call::Claim(request, id.clone());
                self.ask(
                    host,
                    call,
                    Ask::Claim {
                        id,
                        incarnation,
                        expected,
                        redis,
                    },
                );
            }
            ClusterCommand::Register {
                request,
                id,
                grant,
                record,
                removed,
            } => {
                let checkpoint = self.saved(host, &id);
                let register = Ask::Register {
                    id: id.clone(),
                    grant,
                    record,
                    removed,
                    checkpoint,
                };
                self.ask(host, Call::Owned(request, id), register);
            }
            ClusterCommand::Release {
                request,
                id,
                grant,
                unfinished,
                erased,
            } => {
                let checkpoint = self.saved(host, &id);
                let release = Ask::Release {
                    id: id.clone(),
                    grant,
                    unfinished,
                    erased,
                    checkpoint,
                };
                self.ask(host, Call::Owned(request, id), release);
            }
            ClusterCommand::Free {
                request,
                id,
                expected,
            } => {
                let call = Call::Owned(request, id.clone());
                self.ask(host, call, Ask::Free { id, expected });
            }
            ClusterCommand::TellLost { id, revision } => self.told_lost(host, &id, revision)?,
            ClusterCommand::TellGone { channels } => self.told_gone(&channels)?,
            ClusterCommand::AskPeer { request, peer } => self.ask_peer(host, request, &peer),
            ClusterCommand::Answer { request, answer } => {
                if let Some(asked) = self.hosts[host].asked.remove(&request) {
                    self.answer(host, asked, answer);
                }
            }
            ClusterCommand::ValidUntil {
                incarnation,
                until,
                alone,
            } => {
                if alone {
                    self.count("alone");
                }
                self.valid_until(host, &incarnation, until, alone)?;
                let now = self.now;
                if let Some(process) = self.hosts[host].process.as_mut() {
                    let before = process.valid.get(&incarnation);
                    let alone_at =
                        before.and_then(|it| if it.alone { Some(now) } else { it.alone_at });
                    let validity = Validity {
                        until,
                        alone,
                        alone_at,
                    };
                    process.valid.insert(incarnation, validity);
                }
            }
        }
        Ok(())
    }

    /// What a node tells Redis of a channel of its own: also of one that it could not open.
    fn saved(
        &self,
        host: usize,
        id: &ChannelId,
    ) -> Option<Arc<hls_relay_core::checkpoint::Checkpoint>> {
        let process = self.hosts[host].process.as_ref()?;
        let saved = process.saved.get(id)?;
        Some(match process.skips.get(id) {
            Some(skip) => Arc::new((**saved).clone().skipped(*skip)),
            None => Arc::clone(saved),
        })
    }

    pub(super) fn run_of(&mut self, host: usize, id: &ChannelId) -> Option<&mut Run> {
        self.hosts[host].process.as_mut()?.runs.get_mut(id)
    }

    fn open(&mut self, host: usize, id: ChannelId, grant: Grant) {
        let draw = self.draw();
        let Some(process) = self.hosts[host].process.as_mut() else {
            return;
        };
        process.last_run += 1;
        process.skips.remove(&id);
        let saved = process.saved.get(&id).map(|it| (**it).clone());
        let saved = match grant.skip {
            Some(skip) => saved.map(|it| it.skipped(skip)),
            None => saved,
        };
        let has_past = saved.is_some();
        let run = Run {
            number: process.last_run,
            machine: Relay::new(draw, grant.epoch, saved),
            grant,
            wake: 0,
            works: BTreeMap::new(),
            objects: BTreeMap::new(),
            list: None,
            stops: None,
            has_past,
        };
        process.runs.insert(id, run);
    }

    /// Redis has answered a node, or has not in time.
    pub(super) fn answered(
        &mut self,
        host: usize,
        call: Call,
        answer: Option<(RedisId, Told)>,
    ) -> Held {
        let redis = answer.as_ref().map(|it| it.0);
        let told = answer.map(|it| it.1);
        let event = match (call, told) {
            (Call::Renew(request), told) => {
                let outcome = match (redis, told) {
                    (Some(redis), Some(Told::Renewal(renewal))) => Ok((redis, renewal)),
                    _ => Err(CallError::Unknown),
                };
                ClusterEvent::Renewed { request, outcome }
            }
            (Call::Look(request), told) => {
                let outcome = match (redis, told) {
                    (Some(redis), Some(Told::Look(look))) => Ok((redis, look)),
                    _ => Err(CallError::Unknown),
                };
                ClusterEvent::Looked { request, outcome }
            }
            (Call::Read(request, id), told) => {
                let outcome = match told {
                    Some(Told::Read { found, .. }) => Ok(found),
                    _ => Err(CallError::Unknown),
                };
                ClusterEvent::Read {
                    request,
                    id,
                    outcome,
                }
            }
            (Call::Claim(request, id), told) => {
                let outcome = match told {
                    Some(Told::Claim(claimed, checkpoint)) => {
                        if let Some(process) = self.hosts[host].process.as_mut() {
                            process.skips.remove(&id);
                            match checkpoint {
                                Some(checkpoint) => {
                                    drop(process.saved.insert(id.clone(), checkpoint))
                                }
                                None => drop(process.saved.remove(&id)),
                            }
                        }
                        Ok(claimed)
                    }
                    Some(Told::Refused) => Err(CallError::NotDone),
                    _ => Err(CallError::Unknown),
                };
                ClusterEvent::Claimed {
                    request,
                    id,
                    outcome,
                }
            }
            (Call::Owned(request, id), told) => {
                let outcome = match told {
                    Some(Told::Fence(fence)) => Ok(fence),
                    _ => Err(CallError::Unknown),
                };
                ClusterEvent::Owned {
                    request,
                    id,
                    outcome,
                }
            }
            (Call::Publish { id, run, version }, told) => {
                return self.publish_answered(host, &id, run, &version, told);
            }
            (Call::Save { id, run, request }, _) => {
                if self.run_of(host, &id).is_some_and(|it| it.number == run) {
                    let told = Event::CheckpointSaved {
                        request,
                        outcome: Ok(()),
                    };
                    self.begin(host, &id, request, Work::Told(told), AT_ONCE);
                }
                return Ok(());
            }
            (Call::ReadFor(change), told) => return self.read_for(host, change, told),
            (Call::WriteFor(change, revision), told) => {
                return self.written_for(Some(host), change, revision, told);
            }
            (Call::Leave | Call::Peer(_), _) => return Ok(()),
        };
        self.node_step(host, NodeEvent::Cluster(event))
    }

    pub(super) fn peer_answered(
        &mut self,
        host: usize,
        request: RequestId,
        answer: Option<PeerAnswer>,
    ) -> Held {
        let outcome = answer.ok_or(CallError::Unknown);
        let event = ClusterEvent::PeerAnswered { request, outcome };
        self.node_step(host, NodeEvent::Cluster(event))
    }
}
