//! A failing plan made smaller while it still breaks the same promise: faults, wishes, ends, viewers
//! and origins are left out one by one, stretches shortened, what is left made plain.

use crate::origin::Tokens;
use crate::plan::{Plan, WakePlan};
use crate::world::{Options, World};
use hls_relay_core::time::Span;

/// How often a candidate may be run.
const RUNS: usize = 600;

/// The smallest plan found that breaks the same promise, and how many runs it took.
pub fn shrink(plan: &Plan) -> Option<(Plan, usize)> {
    let invariant = broken_by(plan)?;
    let mut search = Search {
        invariant,
        best: plan.clone(),
        runs: 0,
    };
    search.cut_at_the_failure();
    while search.runs < RUNS && (search.leave_out() | search.shorten() | search.make_plain()) {}
    Some((search.best, search.runs))
}

/// Which promise a plan breaks.
pub fn broken_by(plan: &Plan) -> Option<String> {
    let outcome = World::new(plan.clone(), Options::default()).run();
    outcome.failure.map(|failure| failure.violation.invariant)
}

struct Search {
    invariant: String,
    best: Plan,
    runs: usize,
}

impl Search {
    /// Keeps a candidate if it still fails in the same way.
    fn try_plan(&mut self, candidate: Plan) -> bool {
        if candidate == self.best || self.runs >= RUNS {
            return false;
        }
        self.runs += 1;
        let same = broken_by(&candidate).as_ref() == Some(&self.invariant);
        if same {
            self.best = candidate;
        }
        same
    }

    /// What comes after the failure plays no part in it.
    fn cut_at_the_failure(&mut self) {
        let outcome = World::new(self.best.clone(), Options::default()).run();
        let Some(failure) = outcome.failure else {
            return;
        };
        let mut plan = self.best.clone();
        let end = failure.at;
        plan.origins
            .iter_mut()
            .for_each(|origin| origin.faults.retain(|it| it.from <= end));
        plan.store.faults.retain(|it| it.from <= end);
        plan.network.retain(|it| it.from <= end);
        plan.controls.retain(|it| it.when.after <= end);
        plan.ends.retain(|it| it.when.after <= end);
        plan.players.retain(|&it| it <= end);
        self.try_plan(plan);
    }

    /// Leaves out one thing after the other.
    fn leave_out(&mut self) -> bool {
        let mut any = false;
        for kind in 0..7 + self.best.origins.len() {
            let mut index = 0;
            while index < count(&self.best, kind) {
                let mut plan = self.best.clone();
                remove(&mut plan, kind, index);
                if self.try_plan(plan) {
                    any = true
                } else {
                    index += 1
                }
            }
        }
        any
    }

    /// Halves stretches of trouble, and moves the whole closer to its beginning.
    fn shorten(&mut self) -> bool {
        let mut any = false;
        for origin in 0..self.best.origins.len() {
            for index in 0..self.best.origins[origin].faults.len() {
                let mut plan = self.best.clone();
                let fault = &mut plan.origins[origin].faults[index];
                fault.until = fault.from + fault.until.saturating_sub(fault.from).half();
                any |= fault.until > fault.from + Span::from_millis(100) && self.try_plan(plan);
            }
        }
        for index in 0..self.best.store.faults.len() {
            let mut plan = self.best.clone();
            let fault = &mut plan.store.faults[index];
            fault.until = fault.from + fault.until.saturating_sub(fault.from).half();
            any |= fault.until > fault.from + Span::from_millis(100) && self.try_plan(plan);
        }
        any
    }

    /// Takes what is special out of the channel and its surroundings.
    fn make_plain(&mut self) -> bool {
        let plain: [fn(&mut Plan); 8] = [
            |plan| plan.wakes = WakePlan::default(),
            |plan| (plan.store.latency, plan.store.jitter) = (Span::ZERO, Span::ZERO),
            |plan| {
                plan.origins
                    .iter_mut()
                    .for_each(|it| it.latency_jitter = Span::ZERO)
            },
            |plan| {
                plan.origins
                    .iter_mut()
                    .for_each(|it| it.publish_jitter = Span::ZERO)
            },
            |plan| plan.origins.iter_mut().for_each(|it| it.rate = None),
            |plan| {
                plan.origins
                    .iter_mut()
                    .for_each(|it| it.tokens = Tokens::None)
            },
            |plan| plan.origins.iter_mut().for_each(|it| it.etag = false),
            |plan| {
                let last = plan.origins.len().saturating_sub(1);
                if last > 0 && plan.controls.is_empty() && plan.network.is_empty() {
                    plan.origins.truncate(last);
                    plan.channel.sources.retain(|&source| source < last);
                }
            },
        ];
        let mut any = false;
        for change in plain {
            let mut plan = self.best.clone();
            change(&mut plan);
            any |= !plan.channel.sources.is_empty() && self.try_plan(plan);
        }
        any
    }
}

fn count(plan: &Plan, kind: usize) -> usize {
    match kind {
        0 => plan.controls.len(),
        1 => plan.ends.len(),
        2 => plan.store.faults.len(),
        3 => plan.network.len(),
        4 => plan.players.len(),
        5 => plan.workers.faults.len(),
        6 => plan.workers.neighbours.len(),
        _ => plan
            .origins
            .get(kind - 7)
            .map_or(0, |origin| origin.faults.len()),
    }
}

fn remove(plan: &mut Plan, kind: usize, index: usize) {
    match kind {
        0 => drop(plan.controls.remove(index)),
        1 => drop(plan.ends.remove(index)),
        2 => drop(plan.store.faults.remove(index)),
        3 => drop(plan.network.remove(index)),
        4 => drop(plan.players.remove(index)),
        5 => drop(plan.workers.faults.remove(index)),
        6 => drop(plan.workers.neighbours.remove(index)),
        _ => drop(plan.origins[kind - 7].faults.remove(index)),
    }
}
