//! What will happen in a world.

use crate::census::Coming;
use crate::queue::Lot;
use hls_relay_core::ids::RequestId;

/// Something that will happen. Whatever belongs to a process dies with it.
#[derive(Debug)]
pub(super) enum Due {
    /// The present wakeup of that process.
    Wake { incarnation: u64, wake: u64 },
    /// The same again: a spurious one.
    Tick { incarnation: u64, coming: Coming },
    /// A redirect is followed.
    Hop {
        incarnation: u64,
        request: RequestId,
    },
    /// A GET is half done.
    Half {
        incarnation: u64,
        request: RequestId,
    },
    /// A GET ends.
    Fetched {
        incarnation: u64,
        request: RequestId,
    },
    /// The store does the work.
    Shelf {
        incarnation: u64,
        request: RequestId,
        phase: u8,
    },
    /// A worker, or an edge, comes to an end.
    Worker {
        incarnation: u64,
        request: RequestId,
    },
    /// The workers' pool has something to do, unless it was armed anew since.
    Pool(u64),
    /// A new process takes over.
    Start,
    /// A wish, unless its moment has come already.
    Control(usize),
    /// An end, unless its moment has come already.
    End(usize),
    /// A viewer does something for one of the playlists that it follows.
    Player { viewer: usize, reel: usize },
    /// A look at the whole.
    Look,
    /// The faults are over.
    Heal,
    /// The channel is stopped for good.
    Stop,
}

/// What stands behind its kind in a lot.
const KIND_BITS: u32 = 56;

impl Lot for Due {
    /// The kind, and which of its kind: a wakeup more or less leaves the order of everything else.
    fn lot(&self) -> u64 {
        let (kind, which) = match *self {
            Self::Wake { incarnation, .. } => (0, incarnation),
            Self::Tick { incarnation, .. } => (1, incarnation),
            Self::Hop { request, .. } => (2, request.0),
            Self::Half { request, .. } => (3, request.0),
            Self::Fetched { request, .. } => (4, request.0),
            Self::Shelf { request, phase, .. } => (5, request.0 << 1 | u64::from(phase)),
            Self::Start => (6, 0),
            Self::Control(number) => (7, number as u64),
            Self::End(number) => (8, number as u64),
            Self::Player { viewer, reel } => (9, (viewer as u64) << 8 | reel as u64),
            Self::Look => (10, 0),
            Self::Heal => (11, 0),
            Self::Stop => (12, 0),
            Self::Worker { request, .. } => (13, request.0),
            Self::Pool(_) => (14, 0),
        };
        kind << KIND_BITS | which
    }
}
