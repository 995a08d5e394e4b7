//! Workers that several channels share: each takes one order at a time from the queue, says that it is at work,
//! and answers; some die over it, and some are not heard of for a while and answer all the same.

mod fair;
mod neighbours;

use super::queue::{Entry, Given, LAPSE, MOST_TRIES, Queue};
use super::{NeighbourPlan, WorkerFaultKind};
use crate::checks::Held;
use hls_relay_core::ids::RequestId;
use hls_relay_core::planted::Planted;
use hls_relay_core::time::{Span, Timestamp};
use hls_relay_core::turn::Turn;
use neighbours::Neighbour;
use std::collections::BTreeMap;

/// An idle worker asks for what others have lost so often.
const ASKS_EVERY: Span = Span::from_millis(250);
/// One that has died is followed by another after this.
const GONE_FOR: Span = Span::from_millis(5_000);
/// An order that nobody waits for is found to be one within this, and what is stopped ends within this.
const FOUND_WITHIN: Span = Span::from_millis(50);

/// Who waits for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// A process of the channel under test.
    Relay {
        /// Which of them.
        incarnation: u64,
        /// Its request.
        request: RequestId,
    },
    /// Another channel, by its place in the plan.
    Neighbour(usize),
}

/// One channel, as far as turns go: a process knows nothing of the orders of those before it.
type Channel = (usize, u64);

/// A segment whose rungs are to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Names it, and is used once.
    pub name: u64,
    /// Who waits for it.
    pub asker: Asker,
    /// What it takes where nothing is wrong.
    pub takes: Span,
    /// It is waited for so long.
    pub within: Span,
}

/// What becomes of an order in a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// When it answers; never, before it is told to stop.
    pub after: Option<Span>,
    /// What befalls it.
    pub fault: Option<WorkerFaultKind>,
}

/// What a channel's process hears, or the world of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A worker has begun with it.
    Began(Asker, Option<WorkerFaultKind>),
    /// It has answered; the first answer, and there is no other.
    Answered(Asker, Option<WorkerFaultKind>),
    /// It has ended too many workers.
    Dead(Asker),
    /// A second answer has come, and is thrown away.
    Refused,
    /// An order was given once more.
    Again,
}

/// See the module.
#[derive(Debug)]
pub struct Pool {
    queue: Queue<Order>,
    hands: Vec<Hand>,
    /// Those who wait, by the names of their orders.
    waits: BTreeMap<u64, Wait>,
    neighbours: Vec<Neighbour>,
    names: u64,
    /// The longest that an order of each channel takes.
    longest: BTreeMap<usize, Span>,
    /// The mistake that is made in it.
    planted: Planted,
}

/// A worker with one slot.
#[derive(Clone, Debug)]
enum Hand {
    Idle,
    Busy {
        given: Given<Order>,
        /// It answers then; never, before it is told to stop.
        until: Option<Timestamp>,
        /// It gives up then: nobody waits for it any longer, whoever that was.
        late: Timestamp,
        fault: Option<WorkerFaultKind>,
    },
    Gone {
        until: Timestamp,
    },
}

#[derive(Debug)]
struct Wait {
    order: Order,
    entry: Entry,
    /// Its channel had no other when it was put down.
    is_first: bool,
    since: Timestamp,
    until: Timestamp,
    /// A worker has had it.
    begun: bool,
    /// What was taken of other channels meanwhile.
    passed: BTreeMap<Channel, u64>,
}

impl Order {
    fn channel(&self) -> Channel {
        match self.asker {
            Asker::Relay { incarnation, .. } => (0, incarnation),
            Asker::Neighbour(place) => (place + 1, 0),
        }
    }
}

impl Hand {
    /// It says that it is at work.
    fn is_heard(&self) -> bool {
        match self {
            Self::Idle => true,
            Self::Busy { fault, .. } => *fault != Some(WorkerFaultKind::FallSilent),
            Self::Gone { .. } => false,
        }
    }
}

impl Pool {
    /// So many workers, and the channels beside the one under test.
    pub fn new(workers: usize, neighbours: &[NeighbourPlan], planted: Planted) -> Self {
        Self {
            queue: Queue::default(),
            hands: vec![Hand::Idle; workers],
            waits: BTreeMap::new(),
            neighbours: neighbours.iter().map(Neighbour::new).collect(),
            names: 0,
            longest: BTreeMap::new(),
            planted,
        }
    }

    /// Puts down an order that is of use for so long; nothing where no worker is there.
    pub fn order(
        &mut self,
        now: Timestamp,
        asker: Asker,
        takes: Span,
        within: Span,
    ) -> Option<u64> {
        self.hold(now);
        let name = self.names;
        let order = Order {
            name,
            asker,
            takes,
            within,
        };
        let channel = order.channel();
        let mut waits = self.waits.values();
        let is_first = !waits.any(|it| it.order.channel() == channel);
        let turn = Turn::of(!is_first, self.planted);
        let entry = self.queue.add(now, order, within, turn)?;
        self.names += 1;
        let longest = self.longest.entry(channel.0).or_default();
        *longest = takes.max(*longest);
        self.waits.insert(
            name,
            Wait {
                order,
                entry,
                is_first,
                since: now,
                until: now + within,
                begun: false,
                passed: BTreeMap::new(),
            },
        );
        Some(name)
    }

    /// Nobody waits for it any more: whoever is at work on it stops.
    pub fn take_back(&mut self, now: Timestamp, name: u64) {
        if let Some(wait) = self.waits.remove(&name) {
            self.queue.finish(wait.entry);
            self.stop(now, name);
        }
    }

    fn stop(&mut self, now: Timestamp, name: u64) {
        for hand in &mut self.hands {
            let is_heard = hand.is_heard();
            if let Hand::Busy { given, until, .. } = hand
                && given.order.name == name
                && is_heard
            {
                *until = Some(now + FOUND_WITHIN);
            }
        }
    }

    /// How many orders a process of the channel under test waits for.
    pub fn waited_for(&self, incarnation: u64) -> usize {
        let own = |it: &&Wait| it.order.channel() == (0, incarnation);
        self.waits.values().filter(own).count()
    }

    /// When something happens next.
    pub fn due(&self) -> Option<Timestamp> {
        let hands = self.hands.iter().filter_map(|it| match it {
            Hand::Idle => None,
            Hand::Busy { until, late, .. } => Some(until.map_or(*late, |it| it.min(*late))),
            Hand::Gone { until } => Some(*until),
        });
        let is_lost = |worker: u64| {
            let hand = usize::try_from(worker)
                .ok()
                .and_then(|it| self.hands.get(it));
            hand.is_none_or(|it| !it.is_heard())
        };
        let is_idle = self.hands.iter().any(|it| matches!(it, Hand::Idle));
        let lapse = self.queue.next_lapse(is_lost).filter(|_| is_idle);
        hands
            .chain(lapse.map(|it| it + ASKS_EVERY))
            .chain(self.neighbours_due())
            .min()
    }

    /// Lets happen what is due. `fate` tells what becomes of what a worker takes, and `calm` whether nothing was
    /// wrong with workers since then.
    pub fn advance(
        &mut self,
        now: Timestamp,
        fate: impl Fn(&Order) -> Fate,
        calm: impl Fn(Timestamp) -> bool,
        news: &mut Vec<News>,
    ) -> Held {
        self.hold(now);
        for hand in 0..self.hands.len() {
            self.end(now, hand, news);
        }
        // Who comes now does not stand behind those that nobody waits for any longer.
        self.late(now, &calm)?;
        self.neighbours_want(now);
        for hand in 0..self.hands.len() {
            while matches!(self.hands[hand], Hand::Idle) {
                let Some(given) = self.queue.take(now, hand as u64) else {
                    break;
                };
                if given.attempt > MOST_TRIES {
                    let wait = self.waits.remove(&given.order.name);
                    news.extend(wait.map(|it| News::Dead(it.order.asker)));
                    continue;
                }
                self.is_fair(now, &given, &calm)?;
                self.begin(now, hand, given, &fate, news);
            }
        }
        Ok(())
    }

    /// Workers that are heard of keep what they have, and stop where it is not theirs any more.
    fn hold(&mut self, now: Timestamp) {
        for (number, hand) in self.hands.iter_mut().enumerate() {
            if !hand.is_heard() {
                continue;
            }
            let entry = match hand {
                Hand::Busy { given, .. } => Some(given.entry),
                Hand::Idle | Hand::Gone { .. } => None,
            };
            let held = self.queue.hold(now, number as u64, entry.as_slice(), true);
            if let Hand::Busy { until, .. } = hand
                && held.is_empty()
                && until.is_none_or(|it| it > now + FOUND_WITHIN)
            {
                *until = Some(now + FOUND_WITHIN);
            }
        }
    }

    fn begin(
        &mut self,
        now: Timestamp,
        hand: usize,
        given: Given<Order>,
        fate: &impl Fn(&Order) -> Fate,
        news: &mut Vec<News>,
    ) {
        if given.attempt > 1 {
            news.push(News::Again);
        }
        let name = given.order.name;
        let mut fate = fate(&given.order);
        let late = match self.waits.get_mut(&name) {
            Some(wait) => {
                wait.begun = true;
                news.push(News::Began(wait.order.asker, fate.fault));
                // One that is taken at the last moment is found to be late.
                wait.until.max(now + FOUND_WITHIN)
            }
            // Its node has died: nothing is to be had from it.
            None => {
                fate = Fate {
                    after: Some(FOUND_WITHIN),
                    fault: None,
                };
                now + FOUND_WITHIN
            }
        };
        self.hands[hand] = match fate.fault {
            Some(WorkerFaultKind::Vanish) => Hand::Gone {
                until: now + GONE_FOR,
            },
            fault => Hand::Busy {
                given,
                until: fate.after.map(|it| now + it),
                late,
                fault,
            },
        };
    }

    /// A worker has come to the end of what it does, if it has.
    fn end(&mut self, now: Timestamp, hand: usize, news: &mut Vec<News>) {
        let over = |until: Timestamp| until <= now;
        match &self.hands[hand] {
            Hand::Gone { until } if over(*until) => self.hands[hand] = Hand::Idle,
            Hand::Busy {
                given,
                until: Some(until),
                late,
                fault,
            } if over(*until) && until <= late => {
                let (name, entry, fault) = (given.order.name, given.entry, *fault);
                self.hands[hand] = Hand::Idle;
                match self.waits.remove(&name) {
                    // The first answer counts.
                    Some(wait) => {
                        news.push(News::Answered(wait.order.asker, fault));
                        self.stop(now, name);
                    }
                    None => news.push(News::Refused),
                }
                self.queue.finish(entry);
            }
            Hand::Busy { given, late, .. } if over(*late) => {
                let entry = given.entry;
                self.hands[hand] = Hand::Idle;
                self.queue.finish(entry);
            }
            Hand::Idle | Hand::Busy { .. } | Hand::Gone { .. } => {}
        }
    }
}

/// What is wrong with workers is not over for their orders before this.
pub const SETTLES: Span = Span::from_millis(30_000);

const _: () = assert!(LAPSE.as_micros() < GONE_FOR.as_micros());

#[cfg(test)]
mod tests {
    use super::super::Flood;
    use super::*;

    fn neighbour(seconds: u64, percent: u64, floods: &[(u64, u64)]) -> NeighbourPlan {
        let flood = |&(at, segments): &(u64, u64)| Flood {
            at: Span::from_secs(at),
            segments,
        };
        NeighbourPlan {
            begins: Span::from_millis(seconds * 7),
            duration: Span::from_secs(seconds),
            percent,
            floods: floods.iter().map(flood).collect(),
        }
    }

    /// Five minutes of them; what each process would hear.
    fn run(mut pool: Pool, fault: Option<WorkerFaultKind>) -> Result<Vec<News>, String> {
        let mut news = Vec::new();
        let fate = |order: &Order| Fate {
            after: Some(match fault {
                Some(WorkerFaultKind::FallSilent) => order.takes + Span::from_secs(3),
                _ => order.takes,
            }),
            fault: fault.filter(|_| order.name.is_multiple_of(5)),
        };
        while let Some(at) = pool
            .due()
            .filter(|it| *it < Timestamp::from_micros(300_000_000))
        {
            let held = pool.advance(at, fate, |_| fault.is_none(), &mut news);
            held.map_err(|it| it.to_string())?;
            assert!(pool.due().is_none_or(|it| it > at), "nothing due twice");
        }
        Ok(news)
    }

    /// The first order of a worker that then hangs is of a process that dies.
    #[test]
    fn a_worker_that_hangs_gives_up_when_nobody_can_wait_any_longer() {
        let mut pool = Pool::new(1, &[], Planted::default());
        let at = |seconds: u64| Timestamp::from_micros(seconds * 1_000_000);
        let order = |pool: &mut Pool, incarnation, now| {
            let request = RequestId(1);
            let asker = Asker::Relay {
                incarnation,
                request,
            };
            let takes = Span::from_secs(1);
            pool.order(now, asker, takes, Span::from_secs(6)).unwrap();
            asker
        };
        order(&mut pool, 1, at(0));
        let (hangs, answers) = ([None], [Some(Span::from_secs(1))]);
        let mut news = Vec::new();
        for (now, [after]) in [(at(0), hangs), (at(6), answers), (at(7), answers)] {
            let fate = |_: &Order| Fate { after, fault: None };
            if now == at(6) {
                order(&mut pool, 2, now);
            }
            pool.advance(now, fate, |_| false, &mut news).unwrap();
        }
        let of_dead =
            |it: &News| matches!(it, News::Answered(Asker::Relay { incarnation: 1, .. }, _));
        assert!(!news.iter().any(of_dead), "{news:?}");
        assert!(matches!(
            news.last(),
            Some(News::Answered(Asker::Relay { incarnation: 2, .. }, None))
        ));
    }

    fn answered(news: &[News], place: usize) -> usize {
        let of = Asker::Neighbour(place);
        news.iter()
            .filter(|it| matches!(it, News::Answered(asker, _) if *asker == of))
            .count()
    }

    /// Ten segments of ten seconds at once, each of which a worker has for two and a half.
    fn a_flood_beside_a_calm_one(planted: Planted) -> Pool {
        let flood = neighbour(10, 25, &[(20, 10), (60, 30), (120, 100)]);
        Pool::new(1, &[flood, neighbour(4, 10, &[])], planted)
    }

    #[test]
    fn a_channel_that_floods_keeps_no_other_from_its_turn() {
        let pool = a_flood_beside_a_calm_one(Planted::default());
        let news = run(pool, None).unwrap();
        // All of them: a segment every four seconds.
        assert_eq!(answered(&news, 1), 300 / 4);
        assert!(answered(&news, 0) > 30);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn in_one_line_it_would_starve_and_that_is_seen() {
        use hls_relay_core::planted::Mistake;

        let planted = Planted::new(Some(Mistake::OrdersInOneLine));
        let pool = a_flood_beside_a_calm_one(planted);
        let error = run(pool, None).unwrap_err();
        assert!(error.contains("no channel"), "{error}");
    }

    #[test]
    fn what_a_worker_has_lost_is_made_by_another_one() {
        let neighbours = [neighbour(6, 20, &[]), neighbour(6, 20, &[])];
        let pool = || Pool::new(3, &neighbours, Planted::default());
        let count = |news: &[News], of: News| news.iter().filter(|it| **it == of).count();
        let news = run(pool(), Some(WorkerFaultKind::Vanish)).unwrap();
        assert!(count(&news, News::Again) > 10);
        let news = run(pool(), Some(WorkerFaultKind::FallSilent)).unwrap();
        // Both have answered, and one answer was taken.
        assert!(count(&news, News::Refused) > 10);
        assert!(answered(&news, 0) + answered(&news, 1) > 90);
    }
}
