//! Wakeups: on time, and by the plan late, early or twice.

use super::chance::WakeDraw;
use super::{Due, World};
use crate::census::Coming;
use crate::checks::Held;
use hls_relay_core::event::Event;
use hls_relay_core::relay::Wake;
use hls_relay_core::time::Timestamp;

impl World {
    /// The present wakeup of a process is due.
    pub(super) fn wake(&mut self, incarnation: u64, wake: u64) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        if process.incarnation != incarnation || process.wake != wake {
            return Ok(());
        }
        let waited = process.wakes_at.take();
        let late = waited.is_some_and(|(at, _)| at < self.now);
        let coming = if late { Coming::Late } else { Coming::OnTime };
        let why = waited.map(|(_, why)| why);
        // Late, something else may have made of it what was due.
        process.woken_for = why.filter(|_| !late);
        self.census.wake(coming, why);
        self.step(Event::Tick)
    }

    /// A wakeup that nothing is due for.
    pub(super) fn tick(&mut self, incarnation: u64, coming: Coming) -> Held {
        if !self.lives(incarnation) {
            return Ok(());
        }
        self.census.wake(coming, None);
        self.step(Event::Tick)
    }

    /// Wakeups come on time, and by the plan late, early or twice.
    pub(super) fn schedule_wake(&mut self, next: Option<(Timestamp, Wake)>) {
        let wakes = self.plan.wakes;
        let Some(process) = self.process.as_mut() else {
            return;
        };
        let Some((at, why)) = next else {
            process.wakes_at = None;
            process.wake += 1;
            return;
        };
        let at = process.true_time(at).max(self.now);
        let before = process.wakes_at.replace((at, why));
        if before.is_some_and(|(before, _)| before == at) {
            return;
        }
        process.wake += 1;
        let (incarnation, wake) = (process.incarnation, process.wake);
        let mut due = at;
        if wakes.late + wakes.early + wakes.twice > 0
            && at < Timestamp::default() + self.plan.healed_at
        {
            let WakeDraw { percent, by } = self.chance.wake(incarnation, wake, wakes.by);
            if percent < wakes.late {
                due = at + by;
            } else if percent < wakes.late + wakes.early {
                let coming = Coming::Early;
                let tick = Due::Tick {
                    incarnation,
                    coming,
                };
                self.queue.push((at - by).max(self.now), tick);
            } else if percent < wakes.late + wakes.early + wakes.twice {
                let coming = Coming::Twice;
                let tick = Due::Tick {
                    incarnation,
                    coming,
                };
                self.queue.push(at, tick);
            }
        }
        self.queue.push(due, Due::Wake { incarnation, wake });
    }
}
