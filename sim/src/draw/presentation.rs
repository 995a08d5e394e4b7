//! One world in six has its source behind a multivariant playlist, with what can go wrong there alone.
//!
//! Not drawn together with it, and left to scenarios and to the tests of the core: several sources or
//! processes, wishes, a store or an encoder in trouble, several faults one upon the other, subtitles and
//! I-frames, and tracks that are out of step, numbered or cut otherwise, or the same from elsewhere.

use super::dice::Dice;
use super::families::stretch;
use crate::origin::{
    Container, Fault, FaultKind, PlaylistFault, PresentationFault, PresentationSpec, Tokens,
    TrackKind, TrackSpec, ViewFault,
};
use crate::plan::{Plan, WakePlan};
use hls_relay_core::config::KeyPolicy;

/// Puts the origin of a plan behind a multivariant playlist, if its seed says so.
pub(super) fn draw(plan: &mut Plan) {
    let mut dice = Dice::new(plan.seed, "presentation");
    if !dice.one_in(6) {
        return;
    }
    narrow(plan);
    let presentation = presentation(&mut dice);
    let tracks = presentation.tracks.len() as u64;
    plan.channel.keys = dice.pick(&[KeyPolicy::Origin, KeyPolicy::Rehost, KeyPolicy::Decrypt]);
    for origin in &mut plan.origins {
        if presentation.expiring_tokens {
            origin.tokens = Tokens::None;
        }
        origin.presentation = Some(presentation.clone());
    }
    add_fault(plan, &mut dice, tracks);
}

/// Leaves out what is not drawn together with a presentation.
fn narrow(plan: &mut Plan) {
    plan.origins.truncate(1);
    plan.channel.sources.truncate(1);
    (plan.controls, plan.ends, plan.network) = (Vec::new(), Vec::new(), Vec::new());
    plan.store.faults.clear();
    plan.wakes = WakePlan::default();
    plan.origins[0].faults.clear();
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
    }
}

/// What only a presentation has: a track that dies and comes back, and troubles of all of them.
fn add_fault(plan: &mut Plan, dice: &mut Dice, tracks: u64) {
    let (from, until) = stretch(plan, dice);
    let code = dice.pick(&[401, 403, 410]);
    let by = dice.between(1, 3);
    let one = Some(dice.below(tracks) as u16);
    let (track, kind): (Option<u16>, FaultKind) = match dice.below(8) {
        0 => (None, PresentationFault::KeysDown { code: 503 }.into()),
        1 => (None, PresentationFault::InitSectionsChange.into()),
        2 => (None, PresentationFault::TokensExpire { code }.into()),
        3 => (one, ViewFault::FallBehind { by }.into()),
        4 => (one, PlaylistFault::Status { code: 404 }.into()),
        5 => (one, ViewFault::Freeze.into()),
        _ => return,
    };
    for origin in &mut plan.origins {
        origin.faults.push(Fault {
            from,
            until,
            track,
            kind: kind.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::draw::plan;

    #[test]
    fn one_world_in_six_has_a_presentation() {
        let has = |seed: &u64| plan(*seed).origins[0].presentation.is_some();
        let count = (0..600).filter(has).count();
        assert!((70..130).contains(&count), "{count} of 600");
    }
}
