//! What will happen, in the order in which it will.

use crate::rng::Stream;
use hls_relay_core::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What may be due together with others.
pub trait Lot {
    /// What it draws its place with among them; whoever has the same comes in the order put in.
    fn lot(&self) -> u64;
}

/// The one queue of a world. Things due at the same instant come in an order that the seed draws:
/// a real network promises none. What else is in the queue changes nothing of it.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    ties: Stream,
    pushed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Timestamp,
    tie: u64,
    number: u64,
    item: T,
}

impl<T: Lot> Queue<T> {
    /// An empty queue whose ties are broken by this stream.
    pub fn new(ties: Stream) -> Self {
        Self {
            heap: BinaryHeap::new(),
            ties,
            pushed: 0,
        }
    }

    /// Puts something in for a time.
    pub fn push(&mut self, at: Timestamp, item: T) {
        let number = self.pushed;
        self.pushed += 1;
        self.heap.push(Reverse(Entry {
            at,
            tie: self.ties.child(at.as_micros()).draw(item.lot()),
            number,
            item,
        }));
    }

    /// Takes the next thing out, with its time.
    pub fn pop(&mut self) -> Option<(Timestamp, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.item))
    }

    /// How many things wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (Timestamp, u64, u64) {
        (self.at, self.tie, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Lot for u64 {
        fn lot(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn the_earliest_comes_first() {
        let mut queue = Queue::new(Stream::new(1, "ties"));
        for micros in [5, 3, 9, 3, 1] {
            queue.push(Timestamp::from_micros(micros), micros);
        }
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop())
            .map(|(_, item)| item)
            .collect();
        assert_eq!(order, [1, 3, 3, 5, 9]);
        assert!(queue.is_empty());
    }

    #[test]
    fn ties_depend_on_the_seed_alone() {
        let order = |seed| {
            let mut queue = Queue::new(Stream::new(seed, "ties"));
            (0..8).for_each(|item| queue.push(Timestamp::default(), item));
            std::iter::from_fn(|| queue.pop())
                .map(|(_, item)| item)
                .collect::<Vec<u64>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn one_more_leaves_the_order_of_the_others() {
        let order = |items: &[u64]| {
            let mut queue = Queue::new(Stream::new(1, "ties"));
            let each = items.iter();
            each.for_each(|&item| queue.push(Timestamp::default(), item));
            let all = std::iter::from_fn(|| queue.pop()).map(|(_, item)| item);
            all.filter(|item| *item != 99).collect::<Vec<u64>>()
        };
        assert_eq!(
            order(&[1, 99, 2, 3, 4, 5, 6, 7]),
            order(&[1, 2, 3, 4, 5, 6, 7])
        );
    }
}
