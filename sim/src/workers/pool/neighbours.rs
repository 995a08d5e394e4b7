//! The channels beside the one under test: they want workers for segments of their own, in a steady flow or in floods.

use super::{Asker, Pool, Wait};
use crate::checks::Held;
use crate::workers::NeighbourPlan;
use hls_relay_core::time::Timestamp;

#[derive(Debug)]
pub(super) struct Neighbour {
    plan: NeighbourPlan,
    next: Timestamp,
    floods: Vec<(Timestamp, u64)>,
}

impl Neighbour {
    pub(super) fn new(plan: &NeighbourPlan) -> Self {
        let begin = Timestamp::default();
        let floods = plan.floods.iter();
        Self {
            next: begin + plan.begins,
            floods: floods.map(|it| (begin + it.at, it.segments)).collect(),
            plan: plan.clone(),
        }
    }
}

impl Pool {
    /// When one of them wants something next, or waits for it no longer.
    pub(super) fn neighbours_due(&self) -> Option<Timestamp> {
        let floods = self.neighbours.iter().filter_map(|it| it.floods.first());
        let wanted = floods.map(|it| it.0);
        let wanted = wanted.chain(self.neighbours.iter().map(|it| it.next));
        let late = self.waits.values().filter(is_of_neighbour);
        wanted.chain(late.map(|it| it.until)).min()
    }

    /// The other channels have new segments, and wait for late ones no longer.
    pub(super) fn neighbours_want(&mut self, now: Timestamp) {
        for place in 0..self.neighbours.len() {
            let it = &mut self.neighbours[place];
            let mut segments = 0;
            while it.next <= now {
                it.next = it.next + it.plan.duration;
                segments += 1;
            }
            while it.floods.first().is_some_and(|flood| flood.0 <= now) {
                segments += it.floods.remove(0).1;
            }
            let duration = it.plan.duration;
            let takes = duration.scaled(it.plan.percent, 100);
            for _ in 0..segments {
                // Where nobody is there it makes them itself, or does without.
                let asker = Asker::Neighbour(place);
                let _ = self.order(now, asker, takes, duration);
            }
        }
    }

    /// What other channels do not wait for any longer.
    pub(super) fn late(&mut self, now: Timestamp, calm: &impl Fn(Timestamp) -> bool) -> Held {
        for wait in self.waits.values() {
            if wait.until <= now && !wait.begun {
                self.has_not_waited_long(wait, now, calm)?;
            }
        }
        let late = self.waits.values().filter(is_of_neighbour);
        let late: Vec<_> = late
            .filter(|it| it.until <= now)
            .map(|it| it.order.name)
            .collect();
        late.into_iter().for_each(|it| self.take_back(now, it));
        Ok(())
    }
}

fn is_of_neighbour(wait: &&Wait) -> bool {
    matches!(wait.order.asker, Asker::Neighbour(_))
}
