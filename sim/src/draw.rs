//! From a seed to a plan.
//!
//! Swarm testing: each seed draws which kinds of faults exist at all, the rest are exactly off, so
//! that rare combinations are not drowned by common ones. Every kind has a stream of its own by
//! name: taking one kind away moves no other.

mod dice;
mod families;
mod ladder;
mod presentation;
mod rare;

use crate::origin::{Naming, OriginSpec, SegmentDurations, Tokens, UriForm};
use crate::plan::{ChannelPlan, Plan, WakePlan};
use crate::store::{StoreKind, StorePlan};
use crate::workers::WorkerPlan;
pub(crate) use dice::Dice;
use families::FAMILIES;
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection};
use hls_relay_core::preload::PreloadMethod;
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::Span;
pub use ladder::ladder;

/// How long a drawn world runs before its channel is stopped for good.
pub const DEFAULT_LENGTH: Span = Span::from_secs(600);

/// The plan of a seed, of the usual length.
pub fn plan(seed: u64) -> Plan {
    plan_of_length(seed, DEFAULT_LENGTH)
}

/// The plan of a seed that is stopped after `length`.
pub fn plan_of_length(seed: u64, length: Span) -> Plan {
    let mut plan = single(seed, length);
    presentation::draw(&mut plan);
    ladder::draw(&mut plan);
    rare::draw(&mut plan);
    drop_tags(&mut plan);
    plan
}

/// In one of eight worlds all tags are dropped that need not stay, but for date ranges, of which much is checked.
fn drop_tags(plan: &mut Plan) {
    if Dice::new(plan.seed, "tags").one_in(8) {
        plan.channel.tags = TagPolicy {
            drop: vec!["*".into()],
            keep: vec!["EXT-X-DATERANGE".into()],
        };
    }
}

/// A plan whose sources are media playlists.
fn single(seed: u64, length: Span) -> Plan {
    let mut dice = Dice::new(seed, "world");
    let origins = origins(seed, &mut dice);
    let sources: Vec<usize> = (0..origins.len()).collect();
    let channel = ChannelPlan {
        sources,
        window: Some(dice.pick(&[6, 6, 8, 10, 10, 20])),
        room: None,
        hole: dice.pick(&[HolePolicy::Gap, HolePolicy::Gap, HolePolicy::Discontinuity]),
        reload: dice.pick(&[
            ReloadPolicy::LastSegment,
            ReloadPolicy::LastSegment,
            ReloadPolicy::LastSegment,
            ReloadPolicy::TargetDuration,
        ]),
        keys: KeyPolicy::default(),
        ladder: None,
        edges: 0,
        edge_method: PreloadMethod::default(),
        edge_patience: None,
        tags: TagPolicy::default(),
        selection: Selection::default(),
    };
    let store = StorePlan {
        kind: dice.pick(&[StoreKind::Memory, StoreKind::Directory]),
        latency: dice.millis(0, 20),
        jitter: dice.millis(0, 30),
        faults: Vec::new(),
    };
    let players = (0..dice.between(1, 3))
        .map(|_| dice.millis(0, 120_000))
        .collect();
    let mut plan = Plan {
        seed,
        healed_at: length.scaled(27, 50),
        stop_at: length,
        origins,
        channel,
        controls: Vec::new(),
        store,
        ends: Vec::new(),
        wakes: wakes(seed),
        network: Vec::new(),
        players,
        workers: WorkerPlan::default(),
    };
    // One world in sixteen has no faults at all: what is promised without them must be checked too.
    if !dice.one_in(16) {
        let few = dice.pick(&[3, 5, 10]);
        add_faults(&mut plan, seed, few);
    }
    plan
}

/// Of one in `few` kinds, one to three faults.
fn add_faults(plan: &mut Plan, seed: u64, few: u64) {
    for (name, family) in &FAMILIES {
        let mut dice = Dice::new(seed, name);
        if dice.one_in(few) {
            (0..dice.between(1, 3)).for_each(|_| family(plan, &mut dice));
        }
    }
}

/// A long world with as many faults in the time of a usual one as those have.
pub fn busy(seed: u64, length: Span) -> Plan {
    let mut plan = single(seed, length);
    let times = length.as_micros() / DEFAULT_LENGTH.as_micros();
    (1..times).for_each(|more| add_faults(&mut plan, seed + more, 5));
    plan
}

/// A world without faults, as lean as it goes: what the core alone costs is measured in it.
pub fn faultless(seed: u64, length: Span) -> Plan {
    let mut plan = single(seed, length);
    plan.origins
        .iter_mut()
        .for_each(|origin| origin.faults.clear());
    plan.origins.truncate(1);
    plan.channel.sources.truncate(1);
    (plan.controls, plan.ends, plan.network) = (Vec::new(), Vec::new(), Vec::new());
    plan.store.faults.clear();
    plan.wakes = WakePlan::default();
    plan
}

fn origins(seed: u64, dice: &mut Dice) -> Vec<OriginSpec> {
    let target_duration = dice.between(2, 6);
    let count = dice.pick(&[1, 1, 2, 2, 3]);
    (0..count)
        .map(|number| origin(seed, number, target_duration))
        .collect()
}

fn origin(seed: u64, number: u64, target_duration: u64) -> OriginSpec {
    let mut dice = Dice::new(seed ^ (number << 32), "origin");
    let target = Span::from_secs(target_duration);
    // A backup may cut its segments otherwise; the first one decides what is usual in this world.
    let target_duration = if number > 0 && dice.one_in(5) {
        target_duration + 1
    } else {
        target_duration
    };
    let window = dice.pick(&[4, 5, 6, 6, 8, 10]);
    let mut spec = OriginSpec {
        seed: dice.below(u64::MAX),
        hosts: vec![format!("origin{number}.test"), format!("edge{number}.test")],
        durations: match dice.below(5) {
            0 | 1 => SegmentDurations::Constant(target),
            2 => SegmentDurations::Constant(target.scaled(24, 25)),
            3 => SegmentDurations::Pattern(vec![target, target.scaled(4, 5), target.scaled(3, 5)]),
            _ => SegmentDurations::Jittered {
                mean: target.scaled(9, 10),
                by: target.scaled(1, 20),
            },
        },
        target_duration,
        window,
        backlog: dice.pick(&[window, window, window * 2, 3]),
        media_sequence: dice.pick(&[0, 1, 17, 100_000, 1_700_000_000]),
        first_tick: dice.below(1 << 33),
        publish_delay: dice.millis(0, 500),
        publish_jitter: dice.pick(&[Span::ZERO, target.scaled(1, 20), target.scaled(1, 8)]),
        naming: dice.pick(&[
            Naming::Numbered,
            Naming::Numbered,
            Naming::RunFolder,
            Naming::Dated,
        ]),
        uris: dice.pick(&[UriForm::Relative, UriForm::AbsolutePath, UriForm::Absolute]),
        version: dice.pick(&[3, 3, 4, 6, 7]),
        program_date_time: dice.one_in(2),
        discontinuity_sequence: !dice.one_in(5),
        tokens: match dice.below(12) {
            0 => Tokens::Query,
            1 => Tokens::Parameter,
            2 => Tokens::Folder,
            _ => Tokens::None,
        },
        etag: dice.one_in(3),
        latency: dice.millis(2, 60),
        latency_jitter: dice.millis(0, 40),
        rate: dice.pick(&[None, None, Some(2_000_000), Some(500_000)]),
        ..OriginSpec::default()
    };
    // Whoever names each run by a folder does not put tokens there: nobody could tell one from the other.
    if spec.tokens == Tokens::Folder && spec.naming == Naming::RunFolder {
        spec.tokens = Tokens::None;
    }
    spec
}

/// Wakeups are drawn once for the whole world.
fn wakes(seed: u64) -> WakePlan {
    let mut dice = Dice::new(seed, "wakes");
    match dice.below(4) {
        0 => WakePlan {
            late: 30,
            early: 0,
            twice: 0,
            by: dice.millis(5, 1_500),
        },
        1 => WakePlan {
            late: 10,
            early: 20,
            twice: 20,
            by: dice.millis(1, 300),
        },
        _ => WakePlan::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_the_same_plan_every_time() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_fault_is_over_when_the_world_is_healed() {
        for seed in 0..500 {
            let plan = plan(seed);
            let healed = hls_relay_core::time::Timestamp::default() + plan.healed_at;
            assert!(
                plan.troubles()
                    .iter()
                    .all(|it| it.from <= it.until && it.until <= healed)
            );
            assert!(
                plan.controls
                    .iter()
                    .all(|control| control.when.after <= plan.healed_at)
            );
            assert!(plan.ends.iter().all(|end| end.when.after <= plan.healed_at));
        }
    }

    #[test]
    fn a_long_world_is_as_full_of_faults_as_many_short_ones() {
        let hours = busy(3, DEFAULT_LENGTH * 20);
        let short: usize = (3..23).map(|seed| plan(seed).troubles().len()).sum();
        let long = hours.troubles().len();
        assert!(long * 2 > short && long < short * 2, "{long} and {short}");
        let healed = hls_relay_core::time::Timestamp::default() + hours.healed_at;
        assert!(hours.troubles().iter().all(|it| it.until <= healed));
    }

    #[test]
    fn a_plan_survives_being_written_down() {
        let plan = plan(3);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
