//! Wakeups: on time, and by the plan late, early or twice.

use super::chance::WakeDraw;
use super::{Due, World};
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
        if let Some((_, why)) = process.wakes_at.take() {
            self.census.wake(why);
        }
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
                self.queue
                    .push((at - by).max(self.now), Due::Tick { incarnation });
            } else if percent < wakes.late + wakes.early + wakes.twice {
                self.queue.push(at, Due::Tick { incarnation });
            }
        }
        self.queue.push(due, Due::Wake { incarnation, wake });
    }
}
