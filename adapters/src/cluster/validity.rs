//! Until when a node may act as owner: looked at before a version becomes visible, and each time one is served.

use crate::clock;
use hls_relay_core::time::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of one incarnation. One that is over stays in the past.
#[derive(Debug, Default)]
pub struct Validity {
    until_micros: AtomicU64,
    alone: AtomicBool,
}

impl Validity {
    /// It holds before `until`; `alone` while nobody reaches Redis.
    pub fn extend(&self, until: Timestamp, alone: bool) {
        self.alone.store(alone, Ordering::Relaxed);
        self.until_micros
            .fetch_max(until.as_micros(), Ordering::Relaxed);
    }

    /// Whether it holds now.
    pub fn holds(&self) -> bool {
        clock::now().monotonic < self.until()
    }

    /// Until when it holds.
    pub fn until(&self) -> Timestamp {
        Timestamp::from_micros(self.until_micros.load(Ordering::Relaxed))
    }

    /// What cannot be written may be shown all the same: nobody else could be the owner.
    pub fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }
}
