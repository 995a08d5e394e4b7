//! What a world leaves to chance. Each kind has a stream of its own, and each draw is named by what it is
//! for: whatever else goes wrong, or does no more, moves none of the others.

use crate::rng::Stream;
use crate::store::StoreFault;
use hls_relay_core::ids::RequestId;
use hls_relay_core::time::Span;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Chance {
    latency: Stream,
    lost: Stream,
    wakes: Stream,
    /// How often each store fault has struck, by its beginning.
    struck: BTreeMap<Span, u64>,
}

/// How a wakeup comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WakeDraw {
    /// Of a hundred.
    pub(super) percent: u64,
    /// By so much, where it is not on time.
    pub(super) by: Span,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            latency: Stream::new(seed, "store latency"),
            lost: Stream::new(seed, "lost replies"),
            wakes: Stream::new(seed, "wakeups"),
            struck: BTreeMap::new(),
        }
    }

    /// What the store takes longer, up to `most`, for a phase of the work that a process has asked for.
    pub(super) fn latency(
        &self,
        incarnation: u64,
        request: RequestId,
        phase: u8,
        most: Span,
    ) -> Span {
        let stream = self.latency.child(incarnation).child(u64::from(phase));
        Span::from_micros(stream.below(request.0, most.as_micros() + 1))
    }

    /// Whether the work that loses its reply to this fault happens.
    pub(super) fn happens(&mut self, fault: &StoreFault) -> bool {
        let struck = self.struck.entry(fault.from).or_default();
        *struck += 1;
        self.lost.child(fault.from.as_micros()).below(*struck, 2) == 0
    }

    /// How a wakeup of a process comes, off by less than `most` if it is.
    pub(super) fn wake(&self, incarnation: u64, wake: u64, most: Span) -> WakeDraw {
        let stream = self.wakes.child(incarnation).child(wake);
        WakeDraw {
            percent: stream.below(0, 100),
            by: Span::from_micros(stream.below(1, most.as_micros())),
        }
    }
}
