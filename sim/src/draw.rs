//! From a seed to a plan.
//!
//! Swarm testing: each seed draws which kinds of faults exist at all, the rest are exactly off, so
//! that rare combinations are not drowned by common ones. Every kind has a stream of its own by
//! name: taking one kind away moves no other.

use crate::origin::{
    ConnectionFault, EncoderFault, Fault, FaultKind, Names, Naming, OriginSpec, PlaylistFault,
    Requests, SegmentDurations, SegmentFault, TextFault, Tokens, UriForm, ViewFault, Which,
};
use crate::plan::{
    Change, ChannelPlan, Control, EndKind, MOMENTS, NetworkFault, NetworkFaultKind, Plan,
    ProcessEnd, WakePlan, When,
};
use crate::rng::Stream;
use crate::store::{StoreFault, StoreFaultKind, StoreKind, StorePlan, StoreWork};
use hls_relay_core::config::{HolePolicy, ReloadPolicy};
use hls_relay_core::time::Span;

/// How long a drawn world runs before its channel is stopped for good.
pub const DEFAULT_LENGTH: Span = Span::from_secs(540);

/// A stream of draws that remembers how many were made.
struct Dice {
    stream: Stream,
    drawn: u64,
}

impl Dice {
    fn new(seed: u64, name: &str) -> Self {
        Self {
            stream: Stream::new(seed, name),
            drawn: 0,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.drawn += 1;
        self.stream.below(self.drawn, limit)
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn millis(&mut self, from: u64, to: u64) -> Span {
        Span::from_millis(self.between(from, to))
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

/// The plan of a seed, of the usual length.
pub fn plan(seed: u64) -> Plan {
    plan_of_length(seed, DEFAULT_LENGTH)
}

/// The plan of a seed that is stopped after `length`.
pub fn plan_of_length(seed: u64, length: Span) -> Plan {
    let mut dice = Dice::new(seed, "world");
    let origins = origins(seed, &mut dice);
    let sources: Vec<usize> = (0..origins.len()).collect();
    let channel = ChannelPlan {
        sources,
        window: dice.pick(&[6, 6, 8, 10, 10, 20]),
        hole: dice.pick(&[HolePolicy::Gap, HolePolicy::Gap, HolePolicy::Discontinuity]),
        reload: dice.pick(&[
            ReloadPolicy::LastSegment,
            ReloadPolicy::LastSegment,
            ReloadPolicy::LastSegment,
            ReloadPolicy::TargetDuration,
        ]),
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
        healed_at: length.scaled(3, 5),
        stop_at: length,
        origins,
        channel,
        controls: Vec::new(),
        store,
        ends: Vec::new(),
        wakes: wakes(seed),
        network: Vec::new(),
        players,
    };
    // One world in sixteen has no faults at all: what is promised without them must be checked too.
    if !dice.one_in(16) {
        let few = dice.pick(&[3, 5, 10]);
        FAMILIES.iter().for_each(|(name, family)| {
            let mut dice = Dice::new(seed, name);
            if dice.one_in(few) {
                (0..dice.between(1, 3)).for_each(|_| family(&mut plan, &mut dice));
            }
        });
    }
    plan
}

/// A world without faults, as lean as it goes: what the core alone costs is measured in it.
pub fn faultless(seed: u64, length: Span) -> Plan {
    let mut plan = plan_of_length(seed, length);
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
    OriginSpec {
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
            _ => Tokens::None,
        },
        etag: dice.one_in(3),
        latency: dice.millis(2, 60),
        latency_jitter: dice.millis(0, 40),
        rate: dice.pick(&[None, None, Some(2_000_000), Some(500_000)]),
        ..OriginSpec::default()
    }
}

/// Adds one fault of its kind to a plan.
type Family = fn(&mut Plan, &mut Dice);

/// Every kind of fault, by the name of its stream.
const FAMILIES: [(&str, Family); 31] = [
    ("restart", |plan, dice| {
        let media_sequence = dice.pick(&[0, 0, 1, 50, 2_000_000]);
        let names = dice.pick(&[Names::New, Names::Same]);
        encoder(
            plan,
            dice,
            EncoderFault::Restart {
                media_sequence,
                names,
            },
        );
    }),
    ("jump ahead", |plan, dice| {
        let by = dice.pick(&[7, 40, 1_000, 100_000]);
        encoder(plan, dice, EncoderFault::JumpAhead { by });
    }),
    ("discontinuity", |plan, dice| {
        let ticks = dice.between(90_000, 1 << 32);
        encoder(
            plan,
            dice,
            EncoderFault::DiscontinuityWithTimestampJump { ticks },
        );
    }),
    ("target duration", |plan, dice| {
        let target_duration = dice.between(2, 8);
        let segment = Span::from_secs(target_duration).scaled(dice.pick(&[9, 10]), 10);
        encoder(
            plan,
            dice,
            EncoderFault::TargetDurationChange {
                target_duration,
                segment,
            },
        );
    }),
    ("end", |plan, dice| {
        let media_sequence = dice.pick(&[0, 0, 5_000_000]);
        let names = dice.pick(&[Names::New, Names::New, Names::Same]);
        encoder(
            plan,
            dice,
            EncoderFault::EndList {
                media_sequence,
                names,
            },
        );
    }),
    ("freeze", |plan, dice| {
        origin_fault(plan, dice, ViewFault::Freeze)
    }),
    ("backwards", |plan, dice| {
        let by = dice.between(1, 5);
        origin_fault(plan, dice, ViewFault::GoBackwards { by });
    }),
    ("two edges", |plan, dice| {
        let lag = dice.between(1, 2);
        origin_fault(plan, dice, ViewFault::TwoEdges { lag });
    }),
    ("harmless text", |plan, dice| {
        let fault = dice.pick(&[
            TextFault::RotatingTokens,
            TextFault::DuplicateTags { agree: true },
            TextFault::ByteOrderMark,
            TextFault::Version { version: 1 },
            TextFault::TargetDuration {
                target_duration: 2_000,
            },
        ]);
        origin_fault(plan, dice, fault);
    }),
    ("bad text", |plan, dice| {
        let fault = dice.pick(&[
            TextFault::DuplicateTags { agree: false },
            TextFault::NotUtf8,
            TextFault::NulByte,
            TextFault::Version { version: 99 },
            TextFault::HugeTags { bytes: 50_000_000 },
        ]);
        origin_fault(plan, dice, fault);
    }),
    ("playlist status", |plan, dice| {
        let code = dice.pick(&[403, 404, 410, 429, 500, 502, 503]);
        origin_fault(plan, dice, PlaylistFault::Status { code });
    }),
    ("no playlist", |plan, dice| {
        let fault = dice.pick(&[PlaylistFault::Html200, PlaylistFault::EmptyBody]);
        origin_fault(plan, dice, fault);
    }),
    ("redirects", |plan, dice| {
        let fault = dice.pick(&[
            PlaylistFault::RedirectLoop,
            PlaylistFault::RedirectToOtherHost,
        ]);
        origin_fault(plan, dice, fault);
    }),
    ("coding", |plan, dice| {
        let fault = dice.pick(&[
            PlaylistFault::GzipBomb { bytes: 100_000_000 },
            PlaylistFault::WrongContentType,
            PlaylistFault::UnaskedGzip,
        ]);
        origin_fault(plan, dice, fault);
    }),
    ("segment status", |plan, dice| {
        let which = which(dice);
        let fault = match dice.one_in(2) {
            true => SegmentFault::Missing { which },
            false => SegmentFault::Status {
                which,
                code: dice.pick(&[403, 500, 503]),
            },
        };
        origin_fault(plan, dice, fault);
    }),
    ("late segment", |plan, dice| {
        let (which, by) = (which(dice), dice.millis(200, 9_000));
        origin_fault(plan, dice, SegmentFault::Late { which, by });
    }),
    ("cut segment", |plan, dice| {
        let which = which(dice);
        let fault = dice.pick(&[
            SegmentFault::Truncated { which },
            SegmentFault::ResetHalfWay { which },
        ]);
        origin_fault(plan, dice, fault);
    }),
    ("drip", |plan, dice| {
        let (which, bytes_per_second) = (which(dice), dice.pick(&[1_000, 4_000, 20_000]));
        origin_fault(
            plan,
            dice,
            SegmentFault::Drip {
                which,
                bytes_per_second,
            },
        );
    }),
    ("reset", |plan, dice| {
        let on = dice.pick(&[Requests::All, Requests::Playlist, Requests::Segments]);
        origin_fault(plan, dice, ConnectionFault::Reset { on });
    }),
    ("hang", |plan, dice| {
        let on = dice.pick(&[Requests::All, Requests::Playlist, Requests::Segments]);
        origin_fault(plan, dice, ConnectionFault::Hang { on });
    }),
    ("slow", |plan, dice| {
        let on = dice.pick(&[Requests::All, Requests::Playlist, Requests::Segments]);
        let by = dice.millis(50, 6_000);
        origin_fault(plan, dice, ConnectionFault::Slow { on, by });
    }),
    ("network", |plan, dice| {
        let (from, until) = stretch(plan, dice);
        let origin = dice.below(plan.origins.len() as u64) as usize;
        let kind = dice.pick(&[
            NetworkFaultKind::Refused,
            NetworkFaultKind::PrivateAddress,
            NetworkFaultKind::BadUrl,
            NetworkFaultKind::BadEncoding,
            NetworkFaultKind::Protocol,
            NetworkFaultKind::WrongRange,
            NetworkFaultKind::Empty,
            NetworkFaultKind::Endless,
        ]);
        plan.network.push(NetworkFault {
            from,
            until,
            origin,
            kind,
        });
    }),
    ("slow store", |plan, dice| {
        let by = dice.millis(100, 4_000);
        store_fault(plan, dice, StoreFaultKind::Slow(by));
    }),
    ("broken store", |plan, dice| {
        let kind = dice.pick(&[StoreFaultKind::Failing, StoreFaultKind::Full]);
        store_fault(plan, dice, kind);
    }),
    ("lost replies", |plan, dice| {
        store_fault(plan, dice, StoreFaultKind::ReplyLost)
    }),
    ("kill", |plan, dice| process_end(plan, dice, EndKind::Kill)),
    ("kill and lose", |plan, dice| {
        process_end(plan, dice, EndKind::KillAndLoseState)
    }),
    ("shut down", |plan, dice| {
        process_end(plan, dice, EndKind::ShutDown)
    }),
    ("sources", |plan, dice| {
        let count = plan.origins.len() as u64;
        let first = dice.below(count) as usize;
        let mut sources = vec![first];
        if count > 1 && dice.one_in(2) {
            sources.push((first + 1) % count as usize);
        }
        control(plan, dice, Change::Sources(sources));
    }),
    ("stop and run", |plan, dice| {
        let when = when(plan, dice);
        plan.controls.push(Control {
            when,
            change: Change::Stop,
        });
        let long = dice.millis(100, 90_000);
        let pause = dice.pick(&[Span::ZERO, Span::from_millis(20), long]);
        let when = When {
            after: (when.after + pause).min(plan.healed_at),
            ..when
        };
        plan.controls.push(Control {
            when,
            change: Change::Run,
        });
    }),
    ("policy", |plan, dice| {
        let change = match dice.below(7) {
            0 => Change::Window(dice.pick(&[6, 7, 12, 30])),
            1 => Change::Hole(HolePolicy::Gap),
            2 => Change::Hole(HolePolicy::Discontinuity),
            3 => Change::Reload(ReloadPolicy::TargetDuration),
            4 => Change::Nothing,
            5 => Change::Invalid,
            _ => Change::Outdated,
        };
        control(plan, dice, change);
    }),
];

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

/// From when until when a fault lasts: most are short, some are long, all are over when the world
/// is healed.
fn stretch(plan: &Plan, dice: &mut Dice) -> (Span, Span) {
    let healed = plan.healed_at.as_millis();
    let from = dice.between(healed / 20, healed * 9 / 10);
    let length = match dice.below(6) {
        0 => dice.between(50, 1_000),
        1..=3 => dice.between(1_000, 12_000),
        4 => dice.between(5_000, 30_000),
        _ => dice.between(20_000, 120_000),
    };
    (
        Span::from_millis(from),
        Span::from_millis((from + length).min(healed)),
    )
}

fn which(dice: &mut Dice) -> Which {
    match dice.below(3) {
        0 => Which::All,
        1 => Which::ListedMeanwhile,
        _ => Which::OneIn(dice.between(2, 5)),
    }
}

fn origin_fault(plan: &mut Plan, dice: &mut Dice, kind: impl Into<FaultKind>) {
    let (from, until) = stretch(plan, dice);
    // The first origin is the one in use, most of the time.
    let number = if dice.one_in(2) {
        0
    } else {
        dice.below(plan.origins.len() as u64) as usize
    };
    plan.origins[number].faults.push(Fault {
        from,
        until,
        track: None,
        kind: kind.into(),
    });
}

/// Only one change of the encoder may be on at a time: it has one life.
fn encoder(plan: &mut Plan, dice: &mut Dice, fault: EncoderFault) {
    let (from, until) = stretch(plan, dice);
    let number = if dice.one_in(2) {
        0
    } else {
        dice.below(plan.origins.len() as u64) as usize
    };
    let faults = &mut plan.origins[number].faults;
    let overlaps = |other: &Fault| {
        matches!(other.kind, FaultKind::Encoder(_)) && other.from <= until && from <= other.until
    };
    if !faults.iter().any(overlaps) {
        faults.push(Fault {
            from,
            until,
            track: None,
            kind: fault.into(),
        });
    }
}

fn store_fault(plan: &mut Plan, dice: &mut Dice, kind: StoreFaultKind) {
    let (from, until) = stretch(plan, dice);
    let on = dice.pick(&[
        StoreWork::Put,
        StoreWork::Publish,
        StoreWork::Delete,
        StoreWork::Save,
        StoreWork::Check,
        StoreWork::Everything,
    ]);
    plan.store.faults.push(StoreFault {
        from,
        until,
        on,
        kind,
    });
}

fn when(plan: &Plan, dice: &mut Dice) -> When {
    let (after, _) = stretch(plan, dice);
    let moment = if dice.one_in(3) {
        None
    } else {
        Some(dice.pick(&MOMENTS))
    };
    When { after, moment }
}

/// A wish; one in three is followed by another in the same instant or soon after, and one of these
/// in two goes back to what was before.
fn control(plan: &mut Plan, dice: &mut Dice, change: Change) {
    let when = when(plan, dice);
    plan.controls.push(Control { when, change });
    if dice.one_in(3) {
        let long = dice.millis(100, 8_000);
        let pause = dice.pick(&[Span::ZERO, Span::from_millis(5), long]);
        let change = match dice.one_in(2) {
            true => Change::Sources(plan.channel.sources.clone()),
            false => Change::Nothing,
        };
        let when = When {
            after: (when.after + pause).min(plan.healed_at),
            ..when
        };
        plan.controls.push(Control { when, change });
    }
}

fn process_end(plan: &mut Plan, dice: &mut Dice, how: EndKind) {
    let when = when(plan, dice);
    let long = dice.millis(1_000, 40_000);
    let down = dice.pick(&[Span::from_millis(10), Span::from_secs(1), long]);
    let commands = dice.pick(&[0, 0, 1, 1, 2, 3]);
    plan.ends.push(ProcessEnd {
        when,
        commands,
        down,
        how,
    });
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
    fn a_plan_survives_being_written_down() {
        let plan = plan(3);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
