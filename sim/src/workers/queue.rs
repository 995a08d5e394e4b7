//! The queue of segments that wait for a worker, as the one in Redis behaves (`testdata/contracts/queue.txt`):
//! two streams that are read by one group, at least once.

use hls_relay_core::time::{Span, Timestamp};
use hls_relay_core::turn::Turn;
use std::collections::BTreeMap;

/// A worker is there for so long after it was heard of.
pub const LEASE: Span = Span::from_millis(2_000);
/// A worker that is not heard of for so long has lost what it had.
pub const LAPSE: Span = Span::from_millis(1_500);
/// So often is an order given to a worker.
pub const MOST_TRIES: u64 = 3;

/// Names an order that stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    is_further: bool,
    number: u64,
}

/// An order that a worker is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<T> {
    /// Names it.
    pub entry: Entry,
    /// How often it was given to a worker, counted from 1; one more than [`MOST_TRIES`] is for telling who
    /// waits for it.
    pub attempt: u64,
    /// What it says.
    pub order: T,
}

/// Workers that take orders, orders that no worker has, and those that one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Workers that take orders.
    pub workers: usize,
    /// Orders that no worker has.
    pub waiting: usize,
    /// Orders that workers have.
    pub under_way: usize,
}

/// See the module. Workers are called by numbers.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    first: Vec<Placed<T>>,
    further: Vec<Placed<T>>,
    workers: BTreeMap<u64, Timestamp>,
    /// What has ended too many workers.
    pub dead: Vec<T>,
    numbers: u64,
}

#[derive(Clone, Debug)]
struct Placed<T> {
    number: u64,
    order: T,
    /// It is of use until then.
    until: Timestamp,
    /// Who has it, and was last heard of.
    held: Option<(u64, Timestamp)>,
    tries: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            further: Vec::new(),
            workers: BTreeMap::new(),
            dead: Vec::new(),
            numbers: 0,
        }
    }
}

impl<T: Clone> Queue<T> {
    /// Puts down an order; nothing where no worker is there to take it.
    pub fn add(&mut self, now: Timestamp, order: T, within: Span, turn: Turn) -> Option<Entry> {
        if self.look(now).workers == 0 {
            return None;
        }
        let number = self.numbers;
        self.numbers += 1;
        let is_further = turn == Turn::Further;
        self.stream(is_further).push(Placed {
            number,
            order,
            until: now + within,
            held: None,
            tries: 0,
        });
        Some(Entry { is_further, number })
    }

    /// Says that a worker is there, and gives it an order: a further one only where no other waits, and of each
    /// kind one whose worker is not heard of any more, or else a new one.
    pub fn take(&mut self, now: Timestamp, worker: u64) -> Option<Given<T>> {
        self.workers.insert(worker, now + LEASE);
        for is_further in [false, true] {
            while let Some(given) = self.take_of(now, worker, is_further) {
                let at = self.place(given.entry)?;
                // Nobody waits any more for what is late.
                if self.stream(is_further)[at].until < now {
                    self.finish(given.entry);
                    continue;
                }
                if given.attempt > MOST_TRIES {
                    self.dead.push(given.order.clone());
                    self.finish(given.entry);
                }
                return Some(given);
            }
        }
        None
    }

    fn take_of(&mut self, now: Timestamp, worker: u64, is_further: bool) -> Option<Given<T>> {
        let stream = self.stream(is_further);
        let lapsed = |it: &Placed<T>| it.held.is_some_and(|(_, heard)| heard + LAPSE <= now);
        let place = stream.iter().position(lapsed);
        let place = place.or_else(|| stream.iter().position(|it| it.held.is_none()))?;
        let placed = &mut stream[place];
        placed.held = Some((worker, now));
        placed.tries += 1;
        Some(Given {
            entry: Entry {
                is_further,
                number: placed.number,
            },
            attempt: placed.tries,
            order: placed.order.clone(),
        })
    }

    /// Says that a worker is at work on these, and whether it takes more; gives those that are still its own.
    pub fn hold(
        &mut self,
        now: Timestamp,
        worker: u64,
        entries: &[Entry],
        takes_more: bool,
    ) -> Vec<Entry> {
        if takes_more {
            self.workers.insert(worker, now + LEASE);
        }
        let mut held = Vec::new();
        for &entry in entries {
            let Some(place) = self.place(entry) else {
                continue;
            };
            let placed = &mut self.stream(entry.is_further)[place];
            if placed.held.is_some_and(|(it, _)| it == worker) {
                placed.held = Some((worker, now));
                held.push(entry);
            }
        }
        held
    }

    /// An order is over.
    pub fn finish(&mut self, entry: Entry) {
        if let Some(place) = self.place(entry) {
            self.stream(entry.is_further).remove(place);
        }
    }

    /// A worker takes no more.
    pub fn leave(&mut self, worker: u64) {
        self.workers.remove(&worker);
    }

    /// What waits, and who is there.
    pub fn look(&self, now: Timestamp) -> Waiting {
        let orders = || self.first.iter().chain(&self.further);
        Waiting {
            workers: self.workers.values().filter(|it| **it >= now).count(),
            waiting: orders().filter(|it| it.held.is_none()).count(),
            under_way: orders().filter(|it| it.held.is_some()).count(),
        }
    }

    /// When the next order is lost by one of the workers that are not heard of.
    pub fn next_lapse(&self, is_lost: impl Fn(u64) -> bool) -> Option<Timestamp> {
        let orders = self.first.iter().chain(&self.further);
        let held = orders.filter_map(|it| it.held);
        let lost = held.filter(|(worker, _)| is_lost(*worker));
        lost.map(|(_, heard)| heard + LAPSE).min()
    }

    fn stream(&mut self, is_further: bool) -> &mut Vec<Placed<T>> {
        match is_further {
            true => &mut self.further,
            false => &mut self.first,
        }
    }

    fn place(&mut self, entry: Entry) -> Option<usize> {
        let stream = self.stream(entry.is_further);
        stream.iter().position(|it| it.number == entry.number)
    }
}
