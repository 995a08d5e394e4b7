//! How much memory segments may take: a source that lists faster than anybody can watch must not take
//! the memory of all other channels.

use hls_relay_core::event::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the segments of one channel may take. Ten segments of six seconds at 8 Mbit/s, kept twice as
/// long as RFC 8216 asks, are an eighth of it.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// The bytes that are taken, of those that may be.
#[derive(Debug)]
pub(super) struct Room {
    taken: AtomicU64,
    most: u64,
}

/// A part of the room. It is free again when nobody has this any more, viewers included.
#[derive(Debug)]
pub(super) struct Lease {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    pub(super) fn new(most: u64) -> Arc<Self> {
        let taken = AtomicU64::new(0);
        Arc::new(Self { taken, most })
    }

    /// All that may be taken.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Nothing of it yet.
    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        Lease {
            room: self.clone(),
            bytes: 0,
        }
    }
}

impl Lease {
    /// Takes more, or nothing where there is not so much.
    pub(super) fn grow(&mut self, more: u64) -> Result<(), StoreError> {
        let Room { taken, most } = &*self.room;
        if taken
            .fetch_add(more, Ordering::Relaxed)
            .saturating_add(more)
            > *most
        {
            taken.fetch_sub(more, Ordering::Relaxed);
            let mib = most >> 20;
            return Err(StoreError::Failed(
                format!("segments in memory may take {mib} MiB, and that is full; with --store DIR there is no such limit").into(),
            ));
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
