//! One world in six has its sources behind multivariant playlists, with what can go wrong there alone.
//!
//! Not drawn together with it, and left to scenarios and to the tests of the core: several sources, several
//! faults of an origin one upon the other but for a list that stands still while the encoder starts again and timestamps
//! that jump where it does not, and tracks with date-times that are cut otherwise. Nor, in these worlds alone: ends of
//! processes with an encoder that starts again, or with stops.

use super::dice::Dice;
use super::families::{stretch, wish};
use crate::origin::{
    Container, EncoderFault, Fault, FaultKind, FormatsTold, Names, OriginSpec, PlaylistFault,
    PresentationFault, PresentationSpec, SegmentDurations, Tokens, TrackKind, TrackSpec, ViewFault,
};
use crate::plan::{Change, Control, Plan};
use hls_relay_core::config::{KeyPolicy, Selection};
use hls_relay_core::time::Span;

/// Puts the origin of a plan behind a multivariant playlist, if its seed says so.
pub(super) fn draw(plan: &mut Plan) {
    let mut dice = Dice::new(plan.seed, "presentation");
    if !dice.one_in(6) {
        return;
    }
    narrow(plan);
    plan.channel.keys = dice.pick(&[KeyPolicy::Origin, KeyPolicy::Rehost, KeyPolicy::Decrypt]);
    plan.origins[0].presentation = Some(presentation(&mut dice));
    add_fault(plan, &mut dice);
    stand_still(
        &mut plan.origins[0],
        &mut Dice::new(plan.seed, "stand still"),
    );
    part(plan);
    let seed = plan.seed;
    if let Some(presentation) = &mut plan.origins[0].presentation {
        presentation.shared_keys = Dice::new(seed, "shared keys").one_in(2);
        beside(presentation, &mut Dice::new(seed, "beside"));
        redundant(presentation, &mut Dice::new(seed, "redundant variants"));
    }
    out_of_step(
        &mut plan.origins[0],
        &mut Dice::new(plan.seed, "out of step"),
    );
    own_numbers(
        &mut plan.origins[0],
        &mut Dice::new(plan.seed, "own numbers"),
    );
    counted_otherwise(
        &mut plan.origins[0],
        &mut Dice::new(plan.seed, "counted otherwise"),
    );
    cut_otherwise(plan, &mut Dice::new(seed, "cut otherwise"));
    break_off(plan, &mut Dice::new(seed, "discontinuities"));
    select(plan, &mut Dice::new(plan.seed, "selection"));
    choose(plan, &mut Dice::new(plan.seed, "choice"));
    let origin = &mut plan.origins[0];
    if origin
        .presentation
        .as_ref()
        .is_some_and(|it| it.expiring_tokens)
    {
        origin.tokens = Tokens::None;
    }
}

/// In one of six only low variants are wanted, or one language.
fn select(plan: &mut Plan, dice: &mut Dice) {
    let lower = |max_height| Selection {
        max_height: Some(max_height),
        ..Selection::default()
    };
    let english = Selection {
        languages: vec!["en".into()],
        ..Selection::default()
    };
    if dice.one_in(6) {
        want(plan, dice, &[lower(360), lower(720), english]);
    }
}

/// In one of six of the others only high variants, or slow ones, or those of a format.
fn choose(plan: &mut Plan, dice: &mut Dice) {
    let higher = Selection {
        min_height: Some(720),
        ..Selection::default()
    };
    let slower = Selection {
        max_bandwidth: slowest(plan),
        ..Selection::default()
    };
    let coded = Selection {
        codecs: vec!["avc1.4d".into()],
        ..Selection::default()
    };
    let selects = |it: &Control| matches!(it.change, Change::Selection(_));
    let chosen = plan.channel.selection != Selection::default();
    if dice.one_in(6) && !chosen && !plan.controls.iter().any(selects) {
        want(plan, dice, &[higher, slower, coded]);
    }
}

/// One of these is wanted at first or from some time on, and then all again in one of two.
fn want(plan: &mut Plan, dice: &mut Dice, selections: &[Selection]) {
    let selection = dice.pick(selections);
    let (after, until) = stretch(plan, dice);
    match dice.one_in(2) {
        true => wish(plan, after, Change::Selection(selection)),
        false => plan.channel.selection = selection,
    }
    if dice.one_in(2) {
        wish(plan, until, Change::Selection(Selection::default()));
    }
}

/// The lowest bit rate of its variants.
fn slowest(plan: &Plan) -> Option<u64> {
    let tracks = plan.origins[0].presentation.iter();
    let tracks = tracks.flat_map(|it| &it.tracks);
    let rates = tracks.filter_map(|it| match it.kind {
        TrackKind::Variant { bandwidth, .. } => Some(bandwidth),
        TrackKind::Audio { .. }
        | TrackKind::Video { .. }
        | TrackKind::Subtitles { .. }
        | TrackKind::IFrames { .. } => None,
    });
    rates.min()
}

/// Selects by nothing that the multivariant playlist does not tell any more, or tells otherwise.
pub(super) fn select_by_languages_alone(plan: &mut Plan) {
    let wished = plan.controls.iter_mut().filter_map(|it| {
        let Change::Selection(selection) = &mut it.change else {
            return None;
        };
        Some(selection)
    });
    for selection in wished.chain([&mut plan.channel.selection]) {
        (selection.min_height, selection.max_bandwidth) = (None, None);
    }
}

/// Leaves out what is not drawn together with a presentation.
fn narrow(plan: &mut Plan) {
    plan.origins.truncate(1);
    plan.channel.sources.truncate(1);
    plan.network.retain(|fault| fault.origin == 0);
    let is_of_sources = |change: &Change| matches!(change, Change::Sources(_));
    plan.controls.retain(|it| !is_of_sources(&it.change));
    plan.origins[0].faults.clear();
}

/// Leaves out what goes wrong together in ways that are known and not mended.
fn part(plan: &mut Plan) {
    let is_stop = |change: &Change| matches!(change, Change::Stop | Change::Run);
    let mut faults = plan.origins[0].faults.iter();
    let starts_again = faults.any(is_restart);
    if starts_again {
        plan.ends.clear();
    }
    if !plan.ends.is_empty() {
        plan.controls.retain(|it| !is_stop(&it.change));
    }
}

fn is_restart(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Encoder(_))
}

/// In one of two where the encoder starts again, the list of a track stands still meanwhile: it may come to the new
/// run first of all, and know least of the one before.
fn stand_still(origin: &mut OriginSpec, dice: &mut Dice) {
    let restart = origin.faults.iter().find(|it| is_restart(it));
    let Some((restart, presentation)) = restart.zip(origin.presentation.as_ref()) else {
        return;
    };
    if !dice.one_in(2) {
        return;
    }
    let most = Span::from_secs(origin.target_duration * 3).as_millis();
    let (before, after) = (dice.millis(0, most), dice.millis(0, most));
    let track = dice.below(presentation.tracks.len() as u64) as u16;
    let fault = Fault {
        from: restart.from.saturating_sub(before),
        until: restart.from + after,
        track: Some(track),
        kind: ViewFault::Freeze.into(),
    };
    origin.faults.push(fault);
}

fn presentation(dice: &mut Dice) -> PresentationSpec {
    let mut tracks = Vec::new();
    for height in [720, 360, 1080, 480]
        .into_iter()
        .take(dice.between(2, 4) as usize)
    {
        let bandwidth = dice.pick(&[800_000, 2_000_000, 2_000_000]);
        let kind = TrackKind::Variant { bandwidth, height };
        tracks.push(TrackSpec::new(kind));
    }
    let languages: &[&str] = dice.pick(&[&[], &[], &["en"], &["en", "fr"]]);
    for language in languages {
        let language = (*language).to_owned();
        tracks.push(TrackSpec::new(TrackKind::Audio { language }));
    }
    PresentationSpec {
        tracks,
        container: dice.pick(&[Container::TransportStream, Container::Fragments]),
        segments_per_file: dice.pick(&[None, None, None, Some(4)]),
        segments_per_key: dice.pick(&[None, None, Some(5), Some(20)]),
        expiring_tokens: dice.one_in(3),
        formats: FormatsTold::Stated,
        says_more: false,
        packed_audio: false,
        shared_keys: false,
    }
}

/// So many segments a track may be behind the others.
const MOST_BEHIND: u64 = 3;

/// In one of three the tracks are out of step, of an encoder that has been at it for long.
fn out_of_step(origin: &mut OriginSpec, dice: &mut Dice) {
    if !dice.one_in(3) {
        return;
    }
    origin.backlog = origin.backlog.max(origin.window + MOST_BEHIND);
    let tracks = origin.presentation.iter_mut().flat_map(|it| &mut it.tracks);
    for track in tracks {
        track.behind = dice.between(0, MOST_BEHIND);
    }
}

/// In one of four each track has numbers of its own, far from those of the others. Where they are out of step
/// as well only date-times and discontinuities tell what belongs together.
fn own_numbers(origin: &mut OriginSpec, dice: &mut Dice) {
    if !dice.one_in(4) {
        return;
    }
    let tracks = origin.presentation.iter_mut().flat_map(|it| &mut it.tracks);
    for (track, number) in tracks.zip(1..) {
        track.media_sequence = dice.pick(&[None, Some(number * 10_000)]);
    }
    // The same from elsewhere is the same, number by number.
    let Some(presentation) = &mut origin.presentation else {
        return;
    };
    for track in 0..presentation.tracks.len() {
        let twin = presentation.twin_of(track);
        presentation.tracks[track].media_sequence = presentation.tracks[twin].media_sequence;
    }
}

/// In one of four without date-times, sound is cut otherwise than pictures. Nothing else goes wrong there but
/// discontinuities: gaps that stand for what others have are as long as what those have, and not as what is missing.
fn cut_otherwise(plan: &mut Plan, dice: &mut Dice) {
    let origin = &mut plan.origins[0];
    let tracks = origin.presentation.iter_mut().flat_map(|it| &mut it.tracks);
    let is_sound = |it: &&mut TrackSpec| matches!(it.kind, TrackKind::Audio { .. });
    let sound: Vec<_> = tracks.filter(is_sound).collect();
    if !dice.one_in(4) || origin.program_date_time || sound.is_empty() {
        return;
    }
    let target = Span::from_secs(origin.target_duration);
    let each = dice.pick(&[target.scaled(3, 4), target.half()]);
    for track in sound {
        track.durations = Some(SegmentDurations::Constant(each));
    }
    origin.faults.clear();
    plan.ends.clear();
    plan.network.clear();
}

/// In one of three, the timestamps of an encoder that goes on jump once or twice, and in one of two of those they had before,
/// where some first lists may have lost it. Its lists say so, and in one of two they count it. Nobody could decrypt the
/// init sections that it then makes amid keys.
fn break_off(plan: &mut Plan, dice: &mut Dice) {
    if !dice.one_in(3) {
        return;
    }
    let (from, until) = stretch(plan, dice);
    let origin = &mut plan.origins[0];
    let amid_keys = |it: &PresentationSpec| {
        it.container == Container::Fragments && it.segments_per_key.is_some()
    };
    let starts_again = origin.faults.iter().any(is_restart);
    let amid_keys = origin.presentation.as_ref().is_some_and(amid_keys);
    if starts_again || amid_keys {
        return;
    }
    origin.discontinuity_sequence = dice.one_in(2);
    origin.discontinuity_sequence_says = dice.pick(&[None, None, Some(0), Some(7)]);
    if dice.one_in(2) {
        let oldest = origin.backlog.saturating_sub(origin.window + MOST_BEHIND);
        let newest = origin.backlog - 1;
        origin.discontinuities = vec![dice.between(oldest.max(1).min(newest), newest)];
    }
    if !origin.discontinuity_sequence {
        // Nobody could tell one from the next where lists are hardly longer than they are out of step.
        let most = origin.window / 3;
        let tracks = origin.presentation.iter_mut().flat_map(|it| &mut it.tracks);
        tracks.for_each(|it| it.behind = it.behind.min(most));
    }
    for at in [from, until].into_iter().take(dice.between(1, 2) as usize) {
        let ticks = dice.pick(&[90_000, 900_000, 90_000_000]);
        let jump = EncoderFault::DiscontinuityWithTimestampJump { ticks };
        origin.faults.push(Fault::new(at, Span::ZERO, jump));
    }
}

/// In one of two, another place of a variant counts its segments otherwise. Only date-times tell then what was had
/// in the first.
fn counted_otherwise(origin: &mut OriginSpec, dice: &mut Dice) {
    let dated = origin.program_date_time;
    let Some(presentation) = origin
        .presentation
        .as_mut()
        .filter(|_| dated && dice.one_in(2))
    else {
        return;
    };
    for track in 0..presentation.tracks.len() {
        if presentation.twin_of(track) != track {
            presentation.tracks[track].counted_higher = dice.pick(&[2, 5, 40, 1_000_000]);
        }
    }
}

/// Subtitles, and I-frames to look through.
fn beside(presentation: &mut PresentationSpec, dice: &mut Dice) {
    let languages = dice.pick::<&[&str]>(&[&[], &[], &["en"], &["en", "fr"]]);
    let subtitles = languages.iter().map(|language| TrackKind::Subtitles {
        language: (*language).to_owned(),
    });
    let i_frames = dice.one_in(3).then_some(TrackKind::IFrames {
        bandwidth: 100_000,
        height: 360,
    });
    let beside = subtitles.chain(i_frames).map(TrackSpec::new);
    presentation.tracks.extend(beside);
}

/// In one of four, one of its variants can be had from another place too.
fn redundant(presentation: &mut PresentationSpec, dice: &mut Dice) {
    let is_variant = |it: &&TrackSpec| matches!(it.kind, TrackKind::Variant { .. });
    let variants = presentation.tracks.iter().filter(is_variant).count() as u64;
    if dice.one_in(4) {
        let twin = presentation.tracks[dice.below(variants) as usize].clone();
        let at = dice.between(1, presentation.tracks.len() as u64);
        presentation.tracks.insert(at as usize, twin);
    }
}

/// A track that dies and comes back, or troubles of all of them.
fn add_fault(plan: &mut Plan, dice: &mut Dice) {
    let (from, until) = stretch(plan, dice);
    let code = dice.pick(&[401, 403, 410]);
    let by = dice.between(1, 3);
    let media_sequence = dice.pick(&[0, 17, 5_000_000]);
    let names = dice.pick(&[Names::New, Names::Same]);
    let origin = &mut plan.origins[0];
    let Some(presentation) = &mut origin.presentation else {
        return;
    };
    let one = Some(dice.below(presentation.tracks.len() as u64) as u16);
    let restart = EncoderFault::Restart {
        media_sequence,
        names,
    };
    let faults: Vec<(Option<u16>, FaultKind)> = match dice.below(9) {
        0 => {
            presentation.segments_per_key = Some(5);
            vec![(None, PresentationFault::KeysDown { code: 503 }.into())]
        }
        1 => {
            // It is asked for again where the encoder starts again.
            presentation.container = Container::Fragments;
            let change = PresentationFault::InitSectionsChange;
            vec![(None, change.into()), (None, restart.into())]
        }
        2 => {
            presentation.expiring_tokens = true;
            vec![(None, PresentationFault::TokensExpire { code }.into())]
        }
        3 => vec![(None, restart.into())],
        4 => vec![(one, ViewFault::FallBehind { by }.into())],
        5 => vec![(one, PlaylistFault::Status { code: 404 }.into())],
        6 => vec![(one, ViewFault::Freeze.into())],
        _ => Vec::new(),
    };
    origin.faults = faults
        .into_iter()
        .map(|(track, kind)| Fault {
            from,
            // A restart is over at once.
            until: match kind {
                FaultKind::Encoder(_) => from,
                FaultKind::View(_)
                | FaultKind::Text(_)
                | FaultKind::Playlist(_)
                | FaultKind::Segment(_)
                | FaultKind::Connection(_)
                | FaultKind::Presentation(_) => until,
            },
            track,
            kind,
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::{Change, EncoderFault, Fault, FaultKind, PresentationFault, ViewFault, is_restart};
    use crate::draw::plan;

    #[test]
    fn one_world_in_six_has_a_presentation() {
        let has = |seed: &u64| plan(*seed).origins[0].presentation.is_some();
        let count = (0..600).filter(has).count();
        assert!((70..130).contains(&count), "{count} of 600");
    }

    #[test]
    fn keys_are_down_in_some_worlds_whose_tracks_are_out_of_step() {
        let has = |seed: &u64| {
            let origin = plan(*seed).origins.swap_remove(0);
            let down = |it: &Fault| {
                let kind = &it.kind;
                matches!(
                    kind,
                    FaultKind::Presentation(PresentationFault::KeysDown { .. })
                )
            };
            let tracks = origin.presentation.map_or(Vec::new(), |it| it.tracks);
            origin.faults.iter().any(down) && tracks.iter().any(|it| it.behind > 0)
        };
        let count = (0..2_000).filter(has).count();
        assert!(count >= 4, "{count} of 2,000");
    }

    #[test]
    fn nothing_but_discontinuities_tells_in_some_worlds_how_tracks_lie_side_by_side() {
        let has = |seed: &u64, cut_otherwise: bool| {
            let origin = plan(*seed).origins.swap_remove(0);
            let jumps = |it: &Fault| {
                let kind = &it.kind;
                matches!(
                    kind,
                    FaultKind::Encoder(EncoderFault::DiscontinuityWithTimestampJump { .. })
                )
            };
            let tracks = origin.presentation.map_or(Vec::new(), |it| it.tracks);
            let counts = tracks.iter().any(|it| it.media_sequence.is_some());
            !origin.program_date_time
                && origin.faults.iter().any(jumps)
                && match cut_otherwise {
                    true => tracks.iter().any(|it| it.durations.is_some()),
                    false => counts && tracks.iter().any(|it| it.behind > 0),
                }
        };
        for cut_otherwise in [false, true] {
            let count = (0..5_000).filter(|seed| has(seed, cut_otherwise)).count();
            assert!(count >= 4, "{count} of 5,000");
        }
    }

    #[test]
    fn channels_are_stopped_in_some_worlds_whose_encoder_of_several_tracks_starts_again() {
        let has = |seed: &u64| {
            let mut plan = plan(*seed);
            let origin = plan.origins.swap_remove(0);
            let stops = plan.controls.iter().any(|it| it.change == Change::Stop);
            stops && origin.presentation.is_some() && origin.faults.iter().any(is_restart)
        };
        let count = (0..2_000).filter(has).count();
        assert!(count >= 4, "{count} of 2,000");
    }

    #[test]
    fn a_list_stands_still_over_a_restart_in_some_worlds_whose_tracks_are_out_of_step_without_date_times()
     {
        let has = |seed: &u64| {
            let origin = plan(*seed).origins.swap_remove(0);
            let stands_still = |it: &Fault| it.kind == FaultKind::View(ViewFault::Freeze);
            let tracks = origin.presentation.map_or(Vec::new(), |it| it.tracks);
            !origin.program_date_time
                && origin.faults.iter().any(is_restart)
                && origin.faults.iter().any(stands_still)
                && tracks.iter().any(|it| it.behind > 0)
        };
        let count = (0..2_000).filter(has).count();
        assert!(count >= 4, "{count} of 2,000");
    }
}
