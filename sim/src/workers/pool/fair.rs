//! No channel waits for more than one order of another.

use super::{FOUND_WITHIN, Order, Pool, Wait};
use crate::checks::{Held, broken};
use crate::workers::queue::Given;
use hls_relay_core::time::{Span, Timestamp};

impl Pool {
    /// An order that waits in the first place of its channel is passed by one of each other channel at most, and
    /// so waits for what workers have in their hands and one order of each, and no longer.
    pub(super) fn is_fair(
        &mut self,
        now: Timestamp,
        given: &Given<Order>,
        calm: &impl Fn(Timestamp) -> bool,
    ) -> Held {
        if given.attempt > 1 {
            return Ok(());
        }
        let (name, channel) = (given.order.name, given.order.channel());
        if let Some(wait) = self.waits.get(&name) {
            self.has_not_waited_long(wait, now, calm)?;
        }
        for wait in self.waits.values_mut() {
            let waits = wait.is_first && !wait.begun && wait.until >= now;
            if !waits || wait.order.channel() == channel {
                continue;
            }
            let passed = wait.passed.entry(channel).or_default();
            *passed += 1;
            if *passed > 1 {
                return broken(
                    "no channel waits for more than one order of another",
                    format!("{:?} to be taken before", wait.order),
                    format!("{:?}, the second one of its channel", given.order),
                );
            }
        }
        Ok(())
    }

    pub(super) fn has_not_waited_long(
        &self,
        wait: &Wait,
        now: Timestamp,
        calm: &impl Fn(Timestamp) -> bool,
    ) -> Held {
        let most = self.longest_wait(wait.order.channel().0);
        if !wait.is_first || now.since(wait.since) <= most || !calm(wait.since) {
            return Ok(());
        }
        broken(
            "no channel starves: its first order waits for one of each other channel",
            format!("{:?} taken within {most}", wait.order),
            format!("{} later", now.since(wait.since)),
        )
    }

    /// What is in the hands of workers, and then one order of each other channel; of the one under test one more,
    /// of a process that has ended.
    fn longest_wait(&self, channel: usize) -> Span {
        let running = self.longest.values().max().copied().unwrap_or_default();
        let others = self
            .longest
            .iter()
            .filter(|it| *it.0 != channel || channel == 0);
        let others: Span = others.map(|it| *it.1).sum();
        let of_ended = self.longest.get(&0).copied().unwrap_or_default();
        running + others + of_ended + FOUND_WITHIN * 2
    }
}
