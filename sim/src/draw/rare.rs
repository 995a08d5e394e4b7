//! What is seldom: each in few worlds, and with a stream of its own, so that none moves anything else.

use super::dice::Dice;
use super::families::{before, stretch, when};
use super::presentation::select_by_languages_alone;
use crate::origin::{
    Container, EncoderFault, EntryFault, Fault, FaultKind, FormatsTold, Keeps, Keying, Names,
    Oddity, OriginSpec, PlaylistFault, PresentationFault, SegmentFault, TextFault, Tokens,
    TrackKind, TrackSpec, Which, date_time,
};
use crate::plan::{Change, Control, Plan, WakePlan, When};
use hls_relay_core::config::{HolePolicy, KeyPolicy};
use hls_relay_core::limits::MAX_DATE_RANGES;
use hls_relay_core::time::Span;
use std::collections::BTreeSet;

/// Adds what is rare to a plan.
type Rare = fn(&mut Plan, &mut Dice);

/// By the name of its stream, and in one of how many worlds that it can be in.
const SINGLE: [(&str, u64, Rare); 12] = [
    ("lines", 6, lines),
    ("keys", 8, keys),
    ("one segment", 12, one_segment),
    ("date ranges", 15, date_ranges),
    ("bit rates", 15, bit_rates),
    ("the end alone", 20, the_end_alone),
    ("segments elsewhere", 12, segments_elsewhere),
    ("cookies", 10, cookies),
    ("event", 12, event),
    ("vod", 25, vod),
    ("parts of a vod", 50, parts_of_a_vod),
    ("other keys", 3, other_keys),
];

/// The same of presentations.
const PRESENTED: [(&str, u64, Rare); 19] = [
    ("session", 5, session),
    ("lines", 4, lines),
    ("keying", 3, keying),
    ("views", 6, views),
    ("packed audio", 4, packed_audio),
    ("cookies", 10, cookies),
    ("event", 25, event),
    ("date ranges", 5, date_ranges),
    ("bit rates", 8, bit_rates),
    ("another kind", 12, another_kind),
    ("odd entry", 6, odd_entry),
    ("entry gone", 12, entry_gone),
    ("odd map", 6, odd_map),
    ("formats", 4, formats),
    ("redundant", 8, redundant),
    ("renamed", 10, renamed),
    ("alone", 12, alone),
    ("other keys", 3, other_keys),
    ("parts of a vod", 15, parts_of_a_vod),
];

/// Draws it for a plan that is complete but for that.
pub(super) fn draw(plan: &mut Plan) {
    let presented = plan.origins[0].presentation.is_some();
    let all: &[(&str, u64, Rare)] = match presented {
        true => &PRESENTED,
        false if plan.rungs() > 0 => &[],
        false => &SINGLE,
    };
    for (name, few, rare) in all {
        let mut dice = Dice::new(plan.seed, name);
        if dice.one_in(*few) {
            rare(plan, &mut dice);
        }
    }
}

/// Something is wrong with a segment that is about to be made.
fn one_segment(plan: &mut Plan, dice: &mut Dice) {
    let (from, until) = stretch(plan, dice);
    let which = Which::Number(number_at(&plan.origins[0], from));
    let kind = match dice.below(5) {
        0 => SegmentFault::Missing { which },
        1 => SegmentFault::Status { which, code: 503 },
        2 => SegmentFault::Truncated { which },
        3 => SegmentFault::ResetHalfWay { which },
        _ => {
            let by = dice.millis(200, 9_000);
            SegmentFault::Late { which, by }
        }
    };
    // It is listed within a few segments of that time.
    let from = from.saturating_sub(Span::from_secs(10));
    let until = (until + Span::from_secs(20)).min(plan.healed_at);
    add(plan, (from, until), kind);
}

/// Segments stand at another host, or lead to themselves.
fn segments_elsewhere(plan: &mut Plan, dice: &mut Dice) {
    let times = stretch(plan, dice);
    let which = dice.pick(&[Which::All, Which::OneIn(3), Which::ListedMeanwhile]);
    let kind = match dice.one_in(3) {
        true => SegmentFault::RedirectLoop { which },
        false => SegmentFault::RedirectToOtherHost { which },
    };
    add(plan, times, kind);
}

/// A multivariant playlist is found where the media playlist of a track was. A source that is opened meanwhile
/// would be taken for what it then is.
fn another_kind(plan: &mut Plan, dice: &mut Dice) {
    let times = stretch(plan, dice);
    let tracks = plan.origins[0].presentation.as_ref();
    let tracks = tracks.map_or(1, |it| it.tracks.len() as u64);
    let track = Some(dice.below(tracks) as u16);
    add_to(plan, track, times, PlaylistFault::Multivariant);
}

/// One that is told anew, one that is then told otherwise, and, now and then, more than anybody keeps.
fn date_ranges(plan: &mut Plan, dice: &mut Dice) {
    let (from, _) = stretch(plan, dice);
    let many = dice.one_in(3);
    let origin = &mut plan.origins[0];
    if !origin.program_date_time {
        return;
    }
    let number = number_at(origin, from);
    let start = date_time(origin.wall_at_start + from);
    let line =
        |id: &str, rest: &str| format!("#EXT-X-DATERANGE:ID=\"{id}\",START-DATE=\"{start}\"{rest}");
    let mut tell = |number, lines| {
        origin
            .tags
            .entry(number)
            .or_default()
            .extend::<Vec<String>>(lines)
    };
    tell(number, vec![line("break", "")]);
    tell(number + 1, vec![line("break", ",DURATION=20.0")]);
    tell(number + 2, vec![line("break", ",DURATION=21.0")]);
    if many {
        let each = (0..=MAX_DATE_RANGES).map(|nth| line(&format!("one-{nth}"), ",DURATION=1.0"));
        tell(number + 3, each.collect());
    }
}

/// What the relay does not understand: a break, and what others say in their own words.
fn lines(plan: &mut Plan, dice: &mut Dice) {
    const BREAK: [&str; 3] = [
        "#EXT-X-CUE-OUT:12.5",
        "#EXT-X-CUE-OUT-CONT:6/12.5",
        "#EXT-X-CUE-IN",
    ];
    const OTHER: [&str; 5] = [
        "#EXT-OATCLS-SCTE35:/DAlAAAAAAAAAP/wFAUAAAABf+/+LRQrAP4BI9MIAAEBAQAAfxV6SQ==",
        "#EXTVLCOPT:network-caching=1000",
        "# by hand",
        "#EXT-X-VENDOR:A=1,B=\"2, 3\"",
        "#EXT-X-VENDOR:A=1,B=\"2, 3\"",
    ];
    let (from, until) = stretch(plan, dice);
    let origin = &mut plan.origins[0];
    let number = number_at(origin, from);
    let mut tell = |number, line: &str| {
        let lines = origin.tags.entry(number).or_default();
        lines.push(line.to_owned());
    };
    (number..)
        .zip(BREAK)
        .for_each(|(number, line)| tell(number, line));
    let other = number + dice.below(4);
    OTHER.iter().for_each(|line| tell(other, line));
    let later = number_at(&plan.origins[0], until);
    let lines = plan.origins[0].tags.entry(later).or_default();
    lines.extend(OTHER.map(str::to_owned));
}

/// Segments are encrypted, told in one of several ways.
fn keys(plan: &mut Plan, dice: &mut Dice) {
    let each = dice.pick(&[5, 20]);
    let is_odd = |fault: &Fault| matches!(fault.kind, FaultKind::Text(TextFault::Odd(_)));
    plan.channel.keys = dice.pick(&[KeyPolicy::Origin, KeyPolicy::Rehost, KeyPolicy::Decrypt]);
    for origin in &mut plan.origins {
        origin.segments_per_key = Some(each);
        // What is odd may be a key as well, and then hides the real one.
        origin.faults.retain(|fault| !is_odd(fault));
    }
    keying(plan, dice);
}

/// Its keys are told in another way.
fn keying(plan: &mut Plan, dice: &mut Dice) {
    let keying = dice.pick(&[Keying::Vector, Keying::InTurns, Keying::Drm, Keying::Gcm]);
    let tracks = plan.origins.iter().flat_map(|it| &it.presentation);
    let mut tracks = tracks.flat_map(|it| &it.tracks);
    let frames = tracks.any(|it| matches!(it.kind, TrackKind::IFrames { .. }));
    if frames && keying == Keying::InTurns {
        // An I-frame that is a piece of cipher cannot be had, and by turns it can.
        return;
    }
    plan.origins.iter_mut().for_each(|it| it.keying = keying);
}

/// Where there are keys, something else is to become of them, and in one of two soon what became of them before.
fn other_keys(plan: &mut Plan, dice: &mut Dice) {
    let has_keys = |it: &OriginSpec| match &it.presentation {
        Some(presentation) => presentation.segments_per_key.is_some(),
        None => it.segments_per_key.is_some(),
    };
    if !plan.origins.iter().any(has_keys) {
        return;
    }
    let when = when(plan, dice);
    let policies = [KeyPolicy::Origin, KeyPolicy::Rehost, KeyPolicy::Decrypt];
    let change = Change::Keys(dice.pick(&policies));
    let back = before(&plan.channel, &change);
    plan.controls.push(Control { when, change });
    if dice.one_in(2) {
        let after = (when.after + dice.millis(0, 20_000)).min(plan.healed_at);
        let (when, change) = (When { after, ..when }, back);
        plan.controls.push(Control { when, change });
    }
}

/// There are other views beside that of the variants.
fn views(plan: &mut Plan, dice: &mut Dice) {
    let views: &[&str] = dice.pick(&[&["left"], &["left", "right"]]);
    let presentations = plan.origins.iter_mut().flat_map(|it| &mut it.presentation);
    for presentation in presentations {
        let behind = presentation.tracks[0].behind;
        let tracks = views.iter().map(|view| TrackSpec {
            behind,
            ..TrackSpec::new(TrackKind::Video {
                view: (*view).to_owned(),
            })
        });
        presentation.tracks.extend(tracks);
    }
}

/// Sound beside the pictures has no container.
fn packed_audio(plan: &mut Plan, _: &mut Dice) {
    let presentations = plan.origins.iter_mut().flat_map(|it| &mut it.presentation);
    presentations.for_each(|it| it.packed_audio = true);
}

/// Nothing but playlists is had without a cookie.
fn cookies(plan: &mut Plan, _: &mut Dice) {
    plan.origins.iter_mut().for_each(|it| it.cookies = true);
}

/// Lists keep all that there was, and so does ours where nobody says how much it is to list, unless there is no room
/// for it.
fn event(plan: &mut Plan, dice: &mut Dice) {
    plan.origins
        .iter_mut()
        .for_each(|it| it.keeps = Keeps::Event);
    plan.channel.window = plan.channel.window.filter(|_| dice.one_in(2));
    plan.channel.room = dice.pick(&[None, Some(SMALL_ROOM)]);
}

/// Twice as much as some twenty segments.
const SMALL_ROOM: u64 = 2_000_000;

/// What is relayed has ended before. Its encoder has nothing left to go wrong.
fn vod(plan: &mut Plan, dice: &mut Dice) {
    let segments = dice.pick(&[8, 20, 60]);
    plan.origins.truncate(1);
    plan.channel.sources.truncate(1);
    plan.network.retain(|fault| fault.origin == 0);
    plan.controls
        .retain(|it| !matches!(it.change, Change::Sources(_)));
    let origin = &mut plan.origins[0];
    origin
        .faults
        .retain(|it| !matches!(it.kind, FaultKind::Encoder(_)));
    (origin.keeps, origin.backlog) = (Keeps::Vod, segments);
    plan.channel.window = plan.channel.window.filter(|_| dice.one_in(2));
}

/// What is relayed has ended before and is listed whole, and of each of its tracks the first segments, or the last ones,
/// cannot be had. Nothing else goes wrong, but for the process that relays it. Tracks that are cut otherwise are not as long as
/// the others.
fn parts_of_a_vod(plan: &mut Plan, dice: &mut Dice) {
    let mut tracks = plan.origins[0]
        .presentation
        .iter()
        .flat_map(|it| &it.tracks);
    if tracks.any(|it| it.durations.is_some()) || plan.channel.ladder.is_some() {
        return;
    }
    vod(plan, dice);
    nothing_at_its_source(plan);
    (plan.channel.window, plan.channel.hole) = (None, HolePolicy::Gap);
    plan.origins[0].discontinuities.clear();
    if plan.origins[0].presentation.is_some() {
        plan.controls.clear();
    }
    let OriginSpec {
        presentation,
        media_sequence,
        backlog,
        ..
    } = &plan.origins[0];
    let (first, segments) = (*media_sequence, *backlog);
    let tracks: Vec<_> = match presentation {
        None => vec![(None, first)],
        Some(it) => (0..)
            .zip(&it.tracks)
            .map(|(at, track)| (Some(at), track.media_sequence.unwrap_or(first)))
            .collect(),
    };
    for (track, first) in tracks {
        let [begins, ends] = [0; 2].map(|_: u64| dice.pick(&[0, 0, 1, 2]));
        for number in (0..begins).chain(segments - ends..segments) {
            let which = Which::Number(first + number);
            let times = (Span::ZERO, plan.healed_at);
            add_to(plan, track, times, SegmentFault::Missing { which });
        }
    }
}

/// Multivariant playlists say more than what there is.
fn session(plan: &mut Plan, _: &mut Dice) {
    let presentations = plan.origins.iter_mut().flat_map(|it| &mut it.presentation);
    presentations.for_each(|it| it.says_more = true);
}

/// The bit rate is stated, and later another one.
fn bit_rates(plan: &mut Plan, dice: &mut Dice) {
    let (from, until) = stretch(plan, dice);
    let rates = [dice.between(100, 9_000), dice.between(100, 9_000)];
    let origin = &mut plan.origins[0];
    for (at, rate) in [from, until].into_iter().zip(rates) {
        let number = number_at(origin, at);
        let lines = origin.tags.entry(number).or_default();
        lines.push(format!("#EXT-X-BITRATE:{rate}"));
    }
}

/// A source ends for a minute and a half, and nothing else goes wrong: what must come of that can be told.
fn the_end_alone(plan: &mut Plan, dice: &mut Dice) {
    plan.origins.iter_mut().for_each(|it| it.faults.clear());
    plan.store.faults.clear();
    (plan.controls, plan.ends, plan.network) = (Vec::new(), Vec::new(), Vec::new());
    plan.wakes = WakePlan::default();
    let healed = plan.healed_at.as_millis();
    let from = dice.millis(healed / 3, healed / 2);
    let end = EncoderFault::EndList {
        media_sequence: dice.pick(&[0, 5_000_000]),
        names: dice.pick(&[Names::New, Names::Same]),
    };
    let until = (from + Span::from_secs(90)).min(plan.healed_at);
    add(plan, (from, until), end);
}

/// The multivariant playlist is written oddly, from the start.
fn odd_entry(plan: &mut Plan, dice: &mut Dice) {
    let (_, until) = stretch(plan, dice);
    let fault = match dice.pick(&[0, 1, 2]) {
        0 => EntryFault::StrayUri,
        1 if tell_sizes(plan) => {
            select_by_languages_alone(plan);
            EntryFault::NoBandwidth
        }
        _ => EntryFault::VariantWithoutUri,
    };
    add(plan, (Span::ZERO, until), PresentationFault::Entry(fault));
}

/// Whether variants can be told apart by their pictures alone.
fn tell_sizes(plan: &Plan) -> bool {
    let Some(presentation) = &plan.origins[0].presentation else {
        return false;
    };
    let heights = presentation.tracks.iter().filter_map(|it| match it.kind {
        TrackKind::Variant { height, .. } => Some(height),
        TrackKind::Audio { .. }
        | TrackKind::Video { .. }
        | TrackKind::Subtitles { .. }
        | TrackKind::IFrames { .. } => None,
    });
    let heights: Vec<u64> = heights.collect();
    let apart: BTreeSet<&u64> = heights.iter().collect();
    presentation.formats == FormatsTold::Stated && apart.len() == heights.len()
}

/// The tokens expire, and what would have new ones is no multivariant playlist meanwhile. A source that is
/// opened then would be taken for what it is.
fn entry_gone(plan: &mut Plan, dice: &mut Dice) {
    let times = stretch(plan, dice);
    if !(plan.ends.is_empty() && plan.controls.is_empty()) {
        return;
    }
    let fault = dice.pick(&[EntryFault::Media, EntryFault::NoVariant]);
    let origin = &mut plan.origins[0];
    origin.tokens = Tokens::None;
    origin
        .presentation
        .iter_mut()
        .for_each(|it| it.expiring_tokens = true);
    add(plan, times, PresentationFault::TokensExpire { code: 403 });
    add(plan, times, PresentationFault::Entry(fault));
}

/// Init sections are byte ranges that do not say where they begin.
fn odd_map(plan: &mut Plan, dice: &mut Dice) {
    let times = stretch(plan, dice);
    let tracks = plan.origins[0].presentation.as_ref();
    if tracks.is_some_and(|it| it.container == Container::Fragments) {
        add(plan, times, TextFault::Odd(Oddity::MapWithoutOffset));
    }
}

/// The multivariant playlist does not say what media is made of. By their bit rates alone its variants can be
/// told apart.
fn formats(plan: &mut Plan, dice: &mut Dice) {
    let told = dice.pick(&[FormatsTold::InMedia, FormatsTold::Nowhere]);
    select_by_languages_alone(plan);
    let Some(presentation) = &mut plan.origins[0].presentation else {
        return;
    };
    presentation.formats = told;
    for (track, number) in presentation.tracks.iter_mut().zip(1..) {
        if let TrackKind::Variant { bandwidth, .. } = &mut track.kind {
            *bandwidth = number * 1_000_000;
        }
    }
}

/// The first variant can be had from another place too, and cannot be had from its own for a while.
fn redundant(plan: &mut Plan, dice: &mut Dice) {
    let times = stretch(plan, dice);
    let dated = plan.origins[0].program_date_time;
    if let Some(tracks) = &mut plan.origins[0].presentation {
        let mut twin = tracks.tracks[0].clone();
        if dated && dice.one_in(2) {
            twin.counted_higher = dice.pick(&[3, 1_000]);
        }
        tracks.tracks.push(twin);
    }
    plan.origins[0].faults.clear();
    add_to(plan, Some(0), times, PlaylistFault::Status { code: 404 });
}

/// The tracks have other names, and their encoder starts again once these are known: where both come at once, one track
/// may have had more than the others of what went before. Nothing else goes wrong, as wherever an encoder starts
/// again behind a multivariant playlist.
fn renamed(plan: &mut Plan, dice: &mut Dice) {
    let (from, _) = stretch(plan, dice);
    let known = from + Span::from_secs(plan.origins[0].target_duration) * 5;
    let media_sequence = dice.pick(&[0, 17, 5_000_000]);
    nothing_else(plan);
    let names = Names::New;
    let restart = EncoderFault::Restart {
        media_sequence,
        names,
    };
    add(plan, (from, from), PresentationFault::Renamed);
    if known < plan.healed_at {
        add(plan, (known, known), restart);
    }
}

/// There is no multivariant playlist for a while. A source that is opened then would be taken for what it is.
fn alone(plan: &mut Plan, dice: &mut Dice) {
    let times = stretch(plan, dice);
    nothing_else(plan);
    plan.controls.clear();
    plan.channel.ladder = None;
    add(plan, times, PresentationFault::Alone);
}

/// Tracks out of step neither: one that is behind the others has more left to be relayed of what went before, and
/// they break where they have lost that.
fn nothing_else(plan: &mut Plan) {
    nothing_at_its_source(plan);
    let is_stop = |change: &Change| matches!(change, Change::Stop | Change::Run);
    plan.controls.retain(|it| !is_stop(&it.change));
    plan.ends.clear();
    plan.wakes = WakePlan::default();
}

fn nothing_at_its_source(plan: &mut Plan) {
    let tracks = plan.origins[0].presentation.iter_mut();
    let tracks = tracks.flat_map(|it| &mut it.tracks);
    tracks.for_each(|track| track.behind = 0);
    plan.origins.iter_mut().for_each(|it| it.faults.clear());
    plan.store.faults.clear();
    plan.network.clear();
}

/// The media sequence number of what the encoder is at then, as long as nothing happens to it.
fn number_at(origin: &OriginSpec, at: Span) -> u64 {
    let made = at.as_micros() / origin.durations.mean();
    origin.media_sequence + origin.backlog + made
}

fn add(plan: &mut Plan, times: (Span, Span), kind: impl Into<FaultKind>) {
    add_to(plan, None, times, kind);
}

fn add_to(
    plan: &mut Plan,
    track: Option<u16>,
    (from, until): (Span, Span),
    kind: impl Into<FaultKind>,
) {
    plan.origins[0].faults.push(Fault {
        from,
        until,
        track,
        kind: kind.into(),
    });
}
