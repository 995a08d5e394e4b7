//! What will happen in the world of a cluster, to whom, and in which order where it is at the same time.

use super::redis::{Ask, Told};
use crate::queue::Lot;
use crate::rng::hash_bytes;
use hls_relay_core::ids::RequestId;
use hls_relay_core::node::ChannelId;
use hls_relay_core::node::cluster::{PeerAnswer, RedisId};

/// What will happen.
#[derive(Debug)]
pub(super) enum Due {
    Start {
        host: usize,
    },
    Begin(usize),
    End(usize),
    NodeWake {
        host: usize,
        life: u64,
        number: u64,
    },
    RelayWake {
        host: usize,
        life: u64,
        id: ChannelId,
        run: u64,
        number: u64,
    },
    Work {
        host: usize,
        life: u64,
        id: ChannelId,
        run: u64,
        request: RequestId,
    },
    /// What was lost on its way to Redis is sent again.
    Resent {
        host: usize,
        life: u64,
    },
    AtRedis {
        host: usize,
        life: u64,
        call: u64,
        ask: Box<Ask>,
    },
    FromRedis {
        host: usize,
        life: u64,
        call: u64,
        redis: RedisId,
        told: Box<Told>,
    },
    TimedOut {
        host: usize,
        life: u64,
        call: u64,
    },
    AtPeer {
        host: usize,
        life: u64,
        call: u64,
        peer: usize,
    },
    FromPeer {
        host: usize,
        life: u64,
        call: u64,
        answer: PeerAnswer,
    },
    Hint {
        host: usize,
        life: u64,
        id: ChannelId,
    },
    Change(usize),
    /// A program that writes Redis directly has read what is there.
    Write {
        change: usize,
        read: Option<u64>,
        next: u64,
    },
    Viewer(usize),
    Look,
    Over,
}

impl Due {
    /// The process that it happens to. What its kernel does for it goes on while it is stopped.
    pub(super) fn host(&self) -> Option<usize> {
        match self {
            Self::NodeWake { host, .. }
            | Self::RelayWake { host, .. }
            | Self::Work { host, .. }
            | Self::FromRedis { host, .. }
            | Self::TimedOut { host, .. }
            | Self::FromPeer { host, .. }
            | Self::Hint { host, .. } => Some(*host),
            Self::AtPeer { peer, .. } => Some(*peer),
            Self::Start { .. }
            | Self::Begin(_)
            | Self::End(_)
            | Self::Resent { .. }
            | Self::AtRedis { .. }
            | Self::Change(_)
            | Self::Write { .. }
            | Self::Viewer(_)
            | Self::Look
            | Self::Over => None,
        }
    }
}

impl Lot for Due {
    fn lot(&self) -> u64 {
        let number = |id: &ChannelId| hash_bytes(id.name().as_bytes());
        let (kind, one, two) = match self {
            Self::Start { host } => (0, *host as u64, 0),
            Self::Begin(fault) => (1, *fault as u64, 0),
            Self::End(fault) => (2, *fault as u64, 0),
            Self::NodeWake { host, number, .. } => (3, *host as u64, *number),
            Self::RelayWake { host, id, .. } => (4, *host as u64, number(id)),
            Self::Work {
                host, id, request, ..
            } => (5, *host as u64, number(id) ^ request.0),
            Self::AtRedis { host, call, .. } => (6, *host as u64, *call),
            Self::FromRedis { host, call, .. } => (7, *host as u64, *call),
            Self::TimedOut { host, call, .. } => (8, *host as u64, *call),
            Self::AtPeer { host, call, .. } => (9, *host as u64, *call),
            Self::FromPeer { host, call, .. } => (10, *host as u64, *call),
            Self::Hint { host, id, .. } => (11, *host as u64, number(id)),
            Self::Change(change) => (12, *change as u64, 0),
            Self::Write { change, .. } => (13, *change as u64, 0),
            Self::Viewer(viewer) => (14, *viewer as u64, 0),
            Self::Look => (15, 0, 0),
            Self::Over => (16, 0, 0),
            Self::Resent { host, life } => (17, *host as u64, *life),
        };
        kind << 56 ^ one << 48 ^ two
    }
}
