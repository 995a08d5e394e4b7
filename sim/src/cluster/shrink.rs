//! The plan of a failing cluster made smaller while it still breaks the same promise.

use super::plan::Plan;
use super::world::{Options, World};
use hls_relay_core::time::Span;

/// How often a candidate may be run.
const RUNS: usize = 400;

/// The smallest plan found that breaks the same promise, with the promise and how many runs it took.
pub fn shrink(plan: &Plan, options: Options) -> Option<(Plan, String, usize)> {
    let mut search = Search {
        invariant: broken_by(plan, options)?,
        best: plan.clone(),
        options,
        runs: 0,
    };
    while search.runs < RUNS && (search.leave_out() | search.shorten() | search.make_plain()) {}
    Some((search.best, search.invariant, search.runs))
}

fn broken_by(plan: &Plan, options: Options) -> Option<String> {
    let outcome = World::new(plan.clone(), options).run();
    outcome.failure.map(|it| it.1.invariant)
}

struct Search {
    invariant: String,
    best: Plan,
    options: Options,
    runs: usize,
}

impl Search {
    /// Keeps what has become of the plan if it still fails in the same way.
    fn with(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.clone();
        change(&mut plan);
        if plan == self.best || self.runs >= RUNS {
            return false;
        }
        self.runs += 1;
        let same = broken_by(&plan, self.options).as_ref() == Some(&self.invariant);
        if same {
            self.best = plan;
        }
        same
    }

    /// Leaves out one thing after the other.
    fn leave_out(&mut self) -> bool {
        let mut any = false;
        let mut index = 0;
        while index < self.best.faults.len() {
            match self.with(|plan| _ = plan.faults.remove(index)) {
                true => any = true,
                false => index += 1,
            }
        }
        index = 0;
        while index < self.best.changes.len() {
            match self.with(|plan| _ = plan.changes.remove(index)) {
                true => any = true,
                false => index += 1,
            }
        }
        while self.best.channels > 1
            && self.with(|plan| {
                plan.channels -= 1;
                let channels = plan.channels;
                plan.changes.retain(|it| it.channel < channels);
            })
        {
            any = true;
        }
        while self.best.nodes.len() > 1 && self.with(without_last_node) {
            any = true;
        }
        any
    }

    /// Halves stretches of trouble.
    fn shorten(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.best.faults.len() {
            any |= self.with(|plan| {
                let fault = &mut plan.faults[index];
                let long = fault.until.saturating_sub(fault.from);
                if long > Span::from_millis(200) {
                    fault.until = fault.from + long.half();
                }
            });
        }
        any
    }

    /// Takes what is special out of clocks and nodes.
    fn make_plain(&mut self) -> bool {
        let mut any = self.with(|plan| plan.redis_ppm = 0);
        for index in 0..self.best.nodes.len() {
            any |= self.with(|plan| plan.nodes[index].ppm = 0);
            any |= self.with(|plan| plan.nodes[index].start_at = Span::ZERO);
            any |= self.with(|plan| plan.nodes[index].capacity = 10);
        }
        for index in 0..self.best.changes.len() {
            any |= self.with(|plan| plan.changes[index].by = None);
        }
        any
    }
}

fn without_last_node(plan: &mut Plan) {
    plan.nodes.pop();
    let count = plan.nodes.len();
    plan.faults
        .retain(|it| it.kind.nodes().all(|node| node < count));
    for change in &mut plan.changes {
        change.by = change.by.filter(|node| *node < count);
    }
}
