//! What lies between nodes, Redis and each other: calls, their time, what is lost on the way.

use super::due::Due;
use super::plan::{FaultKind, Way};
use super::process::Call;
use super::redis::{Ask, Told};
use super::world::World;
use crate::checks::{Held, broken};
use hls_relay_core::node::cluster::{CALL_LIMIT, NodeName, PeerAnswer, RedisId};
use hls_relay_core::time::{Span, Timestamp};

/// What is not acknowledged is sent again by the kernel after this.
const RESENT_AFTER: Span = Span::from_millis(200);
/// A Redis that is not there refuses a connection.
const REFUSED_AFTER: Span = Span::from_millis(2);

impl World {
    pub(super) fn ongoing(&self) -> impl Iterator<Item = FaultKind> {
        let at = self.now.since(Timestamp::default());
        let faults = self.plan.faults.iter();
        faults
            .filter(move |it| it.from <= at && at < it.until)
            .map(|it| it.kind)
    }

    /// Whether a node can keep segments now.
    pub(super) fn has_store(&self, host: usize) -> bool {
        let gone = |kind| matches!(kind, FaultKind::StoreGone { node } if node == host);
        !self.ongoing().any(gone)
    }

    /// Whether what goes from a node to Redis, or back, is lost now.
    fn is_cut_from_redis(&mut self, host: usize, back: bool) -> bool {
        let draw = self.draw();
        let lost = |kind: FaultKind| match kind {
            FaultKind::CutRedis { node, way } => node == host && is_lost(way, back),
            FaultKind::CutOff { node } => node == host,
            FaultKind::RepliesLost { node } => node == host && back && draw.is_multiple_of(3),
            FaultKind::RedisAway(_)
            | FaultKind::CutNodes { .. }
            | FaultKind::Slow { .. }
            | FaultKind::Pause { .. }
            | FaultKind::Kill { .. }
            | FaultKind::Drain { .. }
            | FaultKind::StoreGone { .. }
            | FaultKind::HintsLost => false,
        };
        self.ongoing().any(lost)
    }

    fn is_cut_between(&self, asks: usize, asked: usize, back: bool) -> bool {
        self.ongoing().any(|kind| match kind {
            FaultKind::CutNodes { one, other, way } => {
                (one, other) == (asks, asked) && is_lost(way, back)
                    || (one, other) == (asked, asks) && is_lost(way, !back)
            }
            FaultKind::CutOff { node } => node == asks || node == asked,
            FaultKind::RedisAway(_)
            | FaultKind::CutRedis { .. }
            | FaultKind::Slow { .. }
            | FaultKind::RepliesLost { .. }
            | FaultKind::Pause { .. }
            | FaultKind::Kill { .. }
            | FaultKind::Drain { .. }
            | FaultKind::StoreGone { .. }
            | FaultKind::HintsLost => false,
        })
    }

    fn takes(&mut self, host: usize) -> Span {
        let slow = self.ongoing().filter_map(|kind| {
            if let FaultKind::Slow { node, by } = kind
                && node == host
            {
                return Some(by.as_micros());
            }
            None
        });
        let slow = slow.max().unwrap_or_default();
        let draw = self.draw();
        Span::from_micros(300 + draw % 4_000 + (draw >> 20) % (slow + 1))
    }

    /// Asks Redis in the name of a node.
    pub(super) fn ask(&mut self, host: usize, call: Call, ask: Ask) {
        let Some((life, number, limit)) = self.begin_call(host, call) else {
            return;
        };
        self.send(host, number, Box::new(ask));
        let due = Due::TimedOut {
            host,
            life,
            call: number,
        };
        self.queue.push(limit, due);
    }

    /// Puts on its way what a call asks. Where nothing gets through on a connection that stands, that is tried again until
    /// the process gives the call up, which one that is stopped does not do: it may arrive long after its lease. What is
    /// sent meanwhile waits behind it.
    fn send(&mut self, host: usize, call: u64, ask: Box<Ask>) {
        let takes = self.takes(host);
        let is_cut = self.is_cut_from_redis(host, false);
        let is_kept = self.is_kept(host, call);
        let redis = self.redis.is_up.then_some(self.redis.id);
        let Some(process) = self.hosts[host].process.as_mut() else {
            return;
        };
        let life = process.life;
        if is_kept && (is_cut || !process.unsent.is_empty()) {
            if process.unsent.is_empty() {
                let due = Due::Resent { host, life };
                self.queue.push(self.now + RESENT_AFTER, due);
            }
            process.unsent.push((call, ask));
        } else if !is_cut {
            // What was unsent goes with the connection that it was for.
            process.unsent.clear();
            process.connected = redis;
            // Not at the same time either: what happens then comes in any order.
            let at = (self.now + takes).max(process.sent_until + Span::from_micros(1));
            process.sent_until = at;
            let due = Due::AtRedis {
                host,
                life,
                call,
                ask,
            };
            self.queue.push(at, due);
        }
    }

    /// Sends again what did not get through, but for calls that were given up.
    pub(super) fn send_again(&mut self, host: usize) {
        let process = self.hosts[host].process.as_mut();
        let unsent = process.map_or_else(Vec::new, |it| std::mem::take(&mut it.unsent));
        for (call, ask) in unsent {
            if self.is_kept(host, call) {
                self.count("sent again");
                self.send(host, call, ask);
            }
        }
    }

    /// Whether what a call asks is kept until it arrives: the call was not given up, and its connection stands.
    fn is_kept(&self, host: usize, call: u64) -> bool {
        let redis = self.redis.is_up.then_some(self.redis.id);
        let process = self.hosts[host].process.as_ref();
        process.is_some_and(|it| {
            it.connected.is_some() && it.connected == redis && it.calls.contains_key(&call)
        })
    }

    fn begin_call(&mut self, host: usize, call: Call) -> Option<(u64, u64, Timestamp)> {
        let now = self.now;
        let process = self.hosts[host].process.as_mut()?;
        process.last_call += 1;
        process.calls.insert(process.last_call, call);
        let limit = process.true_time(process.local(now) + CALL_LIMIT);
        Some((process.life, process.last_call, limit))
    }

    /// What a node has asked arrives, whether or not that still lives.
    pub(super) fn at_redis(&mut self, host: usize, life: u64, call: u64, ask: Ask) -> Held {
        self.comes_in_order(host, life, call)?;
        if !self.redis.is_up {
            let due = Due::TimedOut { host, life, call };
            self.queue.push(self.now + REFUSED_AFTER, due);
            return Ok(());
        }
        let told = self.carry_out_at_redis(ask)?;
        let takes = self.takes(host);
        if !self.is_cut_from_redis(host, true) {
            let redis = self.redis.id;
            let told = Box::new(told);
            let due = Due::FromRedis {
                host,
                life,
                call,
                redis,
                told,
            };
            self.queue.push(self.now + takes, due);
        }
        Ok(())
    }

    /// One connection after the other, and no call overtakes another.
    fn comes_in_order(&mut self, host: usize, life: u64, call: u64) -> Held {
        let process = self.hosts[host].process.as_mut();
        let Some(process) = process.filter(|it| it.life == life) else {
            return Ok(());
        };
        let last = std::mem::replace(&mut process.arrived, call);
        if last < call {
            return Ok(());
        }
        broken(
            "calls of one process come to Redis in their order",
            format!("one after {last}"),
            call.to_string(),
        )
    }

    pub(super) fn hears_from_redis(
        &mut self,
        host: usize,
        call: u64,
        redis: RedisId,
        told: Told,
    ) -> Held {
        let process = self.hosts[host].process.as_mut();
        match process.and_then(|it| it.calls.remove(&call)) {
            Some(call) => self.answered(host, call, Some((redis, told))),
            None => Ok(()),
        }
    }

    pub(super) fn timed_out(&mut self, host: usize, call: u64) -> Held {
        let Some(process) = self.hosts[host].process.as_mut() else {
            return Ok(());
        };
        match process.calls.remove(&call) {
            Some(Call::Peer(request)) => self.peer_answered(host, request, None),
            Some(call) => {
                process.connected = None;
                self.answered(host, call, None)
            }
            None => Ok(()),
        }
    }

    /// Everybody who listens hears that a channel has changed, or wants an owner.
    pub(super) fn hint(&mut self, id: &hls_relay_core::node::ChannelId) {
        if self.ongoing().any(|it| it == FaultKind::HintsLost) {
            self.count("hint lost");
            return;
        }
        for host in 0..self.hosts.len() {
            let takes = self.takes(host);
            if self.is_cut_from_redis(host, true) {
                continue;
            }
            let life = self.hosts[host].lives;
            let id = id.clone();
            self.queue
                .push(self.now + takes, Due::Hint { host, life, id });
        }
    }

    pub(super) fn ask_peer(
        &mut self,
        host: usize,
        request: hls_relay_core::ids::RequestId,
        peer: &NodeName,
    ) {
        let Some((life, call, limit)) = self.begin_call(host, Call::Peer(request)) else {
            return;
        };
        let peer = self.hosts.iter().position(|it| it.name == *peer);
        let takes = self.takes(host);
        if let Some(peer) = peer.filter(|peer| !self.is_cut_between(host, *peer, false)) {
            let due = Due::AtPeer {
                host,
                life,
                call,
                peer,
            };
            self.queue.push(self.now + takes, due);
        }
        self.queue.push(limit, Due::TimedOut { host, life, call });
    }

    /// The answer of a peer is on its way back.
    pub(super) fn answer(&mut self, peer: usize, asked: (usize, u64, u64), answer: PeerAnswer) {
        let (host, life, call) = asked;
        if self.is_cut_between(host, peer, true) {
            return;
        }
        let takes = self.takes(host);
        let due = Due::FromPeer {
            host,
            life,
            call,
            answer,
        };
        self.queue.push(self.now + takes, due);
    }
}

fn is_lost(way: Way, back: bool) -> bool {
    match way {
        Way::Both => true,
        Way::There => !back,
        Way::Back => back,
    }
}
