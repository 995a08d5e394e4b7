//! The kinds of faults that a seed may draw, and how each is drawn.

use super::dice::Dice;
use crate::origin::{
    ConnectionFault, EncoderFault, Fault, FaultKind, Names, ODDITIES, PlaylistFault, Requests,
    SegmentFault, TextFault, ViewFault, Which,
};
use crate::plan::{
    Change, ChannelPlan, Control, EndKind, MOMENTS, NetworkFault, NetworkFaultKind, Plan,
    ProcessEnd, When,
};
use crate::store::{StoreFault, StoreFaultKind, StoreWork};
use hls_relay_core::config::{HolePolicy, ReloadPolicy};
use hls_relay_core::time::Span;

/// Adds one fault of its kind to a plan.
pub(super) type Family = fn(&mut Plan, &mut Dice);

/// Every kind of fault, by the name of its stream.
pub(super) const FAMILIES: [(&str, Family); 35] = [
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
    ("fall behind", |plan, dice| {
        let by = dice.between(1, 5);
        origin_fault(plan, dice, ViewFault::FallBehind { by });
    }),
    ("foreign scheme", |plan, dice| {
        origin_fault(plan, dice, TextFault::ForeignScheme)
    }),
    ("gaps", |plan, dice| {
        origin_fault(plan, dice, TextFault::Gaps)
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
    ("odd text", |plan, dice| {
        let odd = TextFault::Odd(dice.pick(&ODDITIES));
        origin_fault(plan, dice, odd);
    }),
    ("playlist status", |plan, dice| {
        let code = dice.pick(&[401, 403, 404, 408, 410, 429, 500, 502, 503, 504]);
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
                code: dice.pick(&[401, 403, 408, 410, 429, 500, 502, 503, 504]),
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
        // Below the least rate that is waited for, just above it, and above it.
        let rate = dice.pick(&[1_000, 2_100, 4_000, 20_000]);
        let (which, bytes_per_second) = (which(dice), rate);
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
            NetworkFaultKind::Uncut,
            NetworkFaultKind::Nowhere,
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
            0 => Change::Window(Some(dice.pick(&[6, 7, 12, 30]))),
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

/// From when until when a fault lasts: most are short, some are long, all are over when the world
/// is healed.
pub(super) fn stretch(plan: &Plan, dice: &mut Dice) -> (Span, Span) {
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

/// A time, and in two of three a moment to wait for.
pub(super) fn when(plan: &Plan, dice: &mut Dice) -> When {
    let (after, _) = stretch(plan, dice);
    let moment = if dice.one_in(3) {
        None
    } else {
        Some(dice.pick(&MOMENTS))
    };
    When { after, moment }
}

/// Something is wished for at that time.
pub(super) fn wish(plan: &mut Plan, after: Span, change: Change) {
    let when = When::at(after);
    plan.controls.push(Control { when, change });
}

/// A wish; one in three is followed by another in the same instant or soon after, and one of these
/// in two goes back to what was before.
fn control(plan: &mut Plan, dice: &mut Dice, change: Change) {
    let when = when(plan, dice);
    let wish = change.clone();
    plan.controls.push(Control { when, change: wish });
    if dice.one_in(3) {
        let long = dice.millis(100, 8_000);
        let pause = dice.pick(&[Span::ZERO, Span::from_millis(5), long]);
        let change = match dice.one_in(2) {
            true => before(&plan.channel, &change),
            false => Change::Nothing,
        };
        let when = When {
            after: (when.after + pause).min(plan.healed_at),
            ..when
        };
        plan.controls.push(Control { when, change });
    }
}

/// Back from a wish to what there was at first.
pub(super) fn before(channel: &ChannelPlan, change: &Change) -> Change {
    match change {
        Change::Window(_) => Change::Window(channel.window),
        Change::Hole(_) => Change::Hole(channel.hole),
        Change::Reload(_) => Change::Reload(channel.reload),
        Change::Keys(_) => Change::Keys(channel.keys),
        Change::Ladder(_) => Change::Ladder(channel.ladder.clone()),
        Change::Selection(_) => Change::Selection(channel.selection.clone()),
        Change::Run
        | Change::Stop
        | Change::Sources(_)
        | Change::Nothing
        | Change::Outdated
        | Change::Invalid => Change::Sources(channel.sources.clone()),
    }
}

fn process_end(plan: &mut Plan, dice: &mut Dice, how: EndKind) {
    let when = when(plan, dice);
    let long = dice.millis(1_000, 40_000);
    let down = dice.pick(&[Span::from_millis(10), Span::from_secs(1), long]);
    // Most steps want few things; some want as many as this.
    let commands = dice.pick(&[0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 9, 12, 20]);
    plan.ends.push(ProcessEnd {
        when,
        commands,
        down,
        how,
    });
}
