//! The segments of all channels that came last, in memory beside their files: viewers come for them at once, and nobody
//! has to read a file for each.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What they take in all. One that is more by itself is read from its file.
const MOST_BYTES: usize = 8 << 20;

/// What is kept, of all stores that share it.
#[derive(Debug, Default)]
pub struct Newest {
    kept: Mutex<Kept>,
}

/// The oldest is in front.
#[derive(Debug, Default)]
struct Kept {
    segments: VecDeque<Arc<Bytes>>,
    bytes: usize,
}

impl Newest {
    /// Keeps a segment until newer ones have taken its room.
    pub(super) fn keep(&self, segment: Bytes) -> Weak<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let segment = Arc::new(segment);
        kept.bytes += segment.len();
        kept.segments.push_back(segment.clone());
        while kept.bytes > MOST_BYTES
            && let Some(oldest) = kept.segments.pop_front()
        {
            kept.bytes -= oldest.len();
        }
        Arc::downgrade(&segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_what_is_too_large_takes_none() {
        let newest = Newest::default();
        let third = Bytes::from(vec![7; MOST_BYTES / 3]);
        let kept: Vec<_> = (0..4).map(|_| newest.keep(third.clone())).collect();
        let is_there = |kept: &Weak<Bytes>| kept.upgrade().is_some();
        assert!(!is_there(&kept[0]) && kept[1..].iter().all(is_there));
        let large = newest.keep(Bytes::from(vec![7; MOST_BYTES + 1]));
        assert!(!is_there(&large), "it must not take more than there is");
        assert_eq!(newest.kept.lock().unwrap().bytes, 0);
    }
}
