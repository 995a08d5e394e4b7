//! One world in six without a presentation has a ladder, with workers that have troubles of their own beside
//! whatever else goes wrong there. In a few others one is wished for that cannot be yet: where viewers have opened a
//! media playlist, and where the source is a multivariant playlist.

use super::dice::Dice;
use super::families::{stretch, wish};
use crate::origin::{Fault, FaultKind, TextFault};
use crate::plan::{Change, Plan};
use crate::workers::{
    Flood, MANY_HANDS, NeighbourPlan, QUEUE_FAULTS, WORKER_FAULTS, WorkerFault, WorkerFaultKind,
};
use hls_relay_core::config::KeyPolicy;
use hls_relay_core::ladder::{Ladder, Rung, bitrate_of};
use hls_relay_core::preload::PreloadMethod;
use hls_relay_core::time::Span;

/// A ladder of these heights.
pub fn ladder(heights: &[u32], passthrough: bool) -> Ladder {
    let rung = |height: &u32| Rung {
        name: format!("{height}p").into(),
        height: *height,
        bitrate: bitrate_of(*height),
    };
    Ladder::of(heights.iter().map(rung).collect(), passthrough)
}

/// Gives a channel a ladder, edges, or both, if its seed says so.
pub(super) fn draw(plan: &mut Plan) {
    let mut dice = Dice::new(plan.seed, "ladder");
    if plan.origins.iter().any(|it| it.presentation.is_some()) {
        return of_several(plan, &mut Dice::new(plan.seed, "ladder of several"));
    }
    if !dice.one_in(6) {
        return of_an_open_list(plan, &mut Dice::new(plan.seed, "ladder of an open list"));
    }
    let ladders: &[&[u32]] = &[&[480], &[480, 240], &[720, 480, 240]];
    let passthrough = !dice.one_in(6);
    // Beside the dice of the other worlds, so that those stay as they are.
    let hasty = Dice::new(plan.seed, "patience").one_in(5);
    let target = Span::from_secs(plan.origins[0].target_duration);
    let patience = hasty.then(|| target.scaled(3, 4));
    let keyed = Dice::new(plan.seed, "keys").one_in(8);
    let passthrough = passthrough || keyed;
    let ladder = |heights: &[u32]| Ladder {
        patience,
        ..ladder(heights, passthrough)
    };
    let first = dice.pick(ladders);
    plan.channel.ladder = Some(ladder(first));
    if Dice::new(plan.seed, "rung higher than its source").one_in(8) {
        let heights: Vec<u32> = std::iter::once(&1_080).chain(first).copied().collect();
        plan.channel.ladder = Some(ladder(&heights));
    }
    plan.channel.edges = dice.pick(&[0, 0, 1, 2]);
    if plan.channel.edges > 0 {
        ask_edges(plan, &mut Dice::new(plan.seed, "edges"));
    }
    plan.workers.percent = dice.pick(&[10, 25, 40]);
    for _ in 0..dice.pick(&[0, 1, 1, 2, 3]) {
        add_fault(plan, &mut dice);
    }
    if keyed {
        under_keys(plan, &mut Dice::new(plan.seed, "keys of a ladder"));
    } else if passthrough {
        share_workers(plan);
    }
    if dice.one_in(3) {
        let (after, _) = stretch(plan, &mut dice);
        let other = dice.pick(ladders);
        wish(plan, after, Change::Ladder(Some(ladder(other))));
        let mut dice = Dice::new(plan.seed, "ladder that comes back");
        if dice.one_in(2) {
            let back = after + target.scaled(dice.between(1, 5), 1);
            wish(
                plan,
                back.min(plan.healed_at),
                Change::Ladder(Some(ladder(first))),
            );
        }
    }
    take_away(plan, &mut Dice::new(plan.seed, "ladder away"));
}

/// In one of six there is none any more after a while.
fn take_away(plan: &mut Plan, dice: &mut Dice) {
    if dice.one_in(6) {
        let (after, _) = stretch(plan, dice);
        wish(plan, after, Change::Ladder(None));
    }
}

/// In half of these worlds edges are asked for the head alone, in a third they are waited for as long as is said.
fn ask_edges(plan: &mut Plan, dice: &mut Dice) {
    if dice.one_in(2) {
        plan.channel.edge_method = PreloadMethod::Head;
    }
    // Beside the dice of the other worlds, so that those stay as they are.
    if Dice::new(plan.seed, "edges that are told").one_in(4) {
        plan.channel.edge_method = PreloadMethod::Post;
    }
    if dice.one_in(3) {
        plan.channel.edge_patience = Some(dice.millis(100, 2_000));
    }
}

/// All sources are under keys, and where these are not undone on the way, nobody can make rungs: then there is the
/// source's own media alone.
fn under_keys(plan: &mut Plan, dice: &mut Dice) {
    plan.channel.keys = dice.pick(&[KeyPolicy::Origin, KeyPolicy::Rehost, KeyPolicy::Decrypt]);
    let each = dice.pick(&[5, 20]);
    // What is odd may be a key as well, and then hides the real one.
    let is_odd = |fault: &Fault| matches!(fault.kind, FaultKind::Text(TextFault::Odd(_)));
    for origin in &mut plan.origins {
        origin.segments_per_key = Some(each);
        origin.faults.retain(|fault| !is_odd(fault));
    }
}

/// In one of thirty, a ladder is wished for while viewers have a media playlist open; in every other of these
/// they have a multivariant playlist of the source's media alone open, and the ladder comes, and goes again.
fn of_an_open_list(plan: &mut Plan, dice: &mut Dice) {
    if !dice.one_in(30) {
        return;
    }
    let (after, _) = stretch(plan, dice);
    let wanted = ladder(&[480, 240], true);
    if dice.one_in(2) {
        let alone = Some(ladder(&[], true));
        plan.channel.ladder.clone_from(&alone);
        wish(plan, after, Change::Ladder(Some(wanted)));
        let (after, _) = stretch(plan, dice);
        wish(plan, after, Change::Ladder(alone));
    } else {
        wish(plan, after, Change::Ladder(Some(wanted)));
    }
}

/// In one of fifteen, for a while, at first or later. Whoever opens the source meanwhile refuses it: so it is no longer
/// than anything may be felt.
fn of_several(plan: &mut Plan, dice: &mut Dice) {
    if !dice.one_in(15) {
        return;
    }
    let (mut after, _) = stretch(plan, dice);
    let (long, wanted) = (dice.millis(1_000, 40_000), ladder(&[480], true));
    if dice.one_in(2) {
        plan.channel.ladder = Some(wanted);
        after = Span::ZERO;
    } else {
        wish(plan, after, Change::Ladder(Some(wanted)));
    }
    wish(
        plan,
        (after + long).min(plan.healed_at),
        Change::Ladder(None),
    );
}

/// In every other such world workers are few and have other channels to work for, some of which want much at
/// once; they are as many as it takes while all is well.
fn share_workers(plan: &mut Plan) {
    let mut dice = Dice::new(plan.seed, "pool");
    if !dice.one_in(2) {
        return;
    }
    plan.workers.hands = dice.pick(&[1, 1, 2, 3]);
    plan.workers.percent = dice.pick(&[3, 5, 10]);
    let target = plan.origins[0].target_duration;
    for _ in 0..dice.between(1, 4) {
        let duration = Span::from_secs(dice.pick(&[target, target, target * 2, 4, 10]));
        let mut floods = Vec::new();
        for _ in 0..dice.pick(&[0, 1, 3]) {
            let (at, _) = stretch(plan, &mut dice);
            let segments = dice.pick(&[3, 10, 40]);
            floods.push(Flood { at, segments });
        }
        floods.sort_by_key(|it| it.at);
        plan.workers.neighbours.push(NeighbourPlan {
            begins: Span::from_millis(dice.between(0, 10_000)),
            duration,
            percent: dice.pick(&[3, 5, 10, 20]),
            floods,
        });
    }
    while !plan.workers.are_enough(Span::from_secs(target)) {
        if plan.workers.neighbours.pop().is_none() {
            plan.workers.hands = MANY_HANDS;
            break;
        }
    }
    for _ in 0..dice.pick(&[0, 1, 2]) {
        let (from, until) = stretch(plan, &mut dice);
        let until = until.max(from + Span::from_secs(dice.between(2, 40)));
        let kind = dice.pick(&QUEUE_FAULTS);
        let until = until.min(plan.healed_at);
        plan.workers.faults.push(WorkerFault { from, until, kind });
    }
}

fn add_fault(plan: &mut Plan, dice: &mut Dice) {
    let (from, until) = stretch(plan, dice);
    // What suspends all rungs takes a few segments.
    let until = until.max(from + Span::from_secs(dice.between(2, 40)));
    let (kind, percent) = (dice.pick(&WORKER_FAULTS), dice.pick(&[80, 120, 200, 400]));
    let slow = matches!(kind, WorkerFaultKind::Slow(_));
    let kind = if slow {
        WorkerFaultKind::Slow(percent)
    } else {
        kind
    };
    let until = until.min(plan.healed_at);
    plan.workers.faults.push(WorkerFault { from, until, kind });
}

#[cfg(test)]
mod tests {
    use crate::draw::plan;

    #[test]
    fn some_worlds_have_a_ladder() {
        let has = |seed: &u64| plan(*seed).channel.ladder.is_some();
        let count = (0..600).filter(has).count();
        assert!((55..120).contains(&count), "{count} of 600");
        let shares = |seed: &u64| !plan(*seed).workers.neighbours.is_empty();
        let count = (0..600).filter(shares).count();
        assert!((10..60).contains(&count), "{count} of 600");
    }
}
