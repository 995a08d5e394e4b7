//! When can no client know that a source has started again (DESIGN 5.9)? Where everything that its
//! lists have shown is what they would show if it had gone on.
//!
//! The same question as the core's, answered from what the origin did and what this process was told.

use super::ledger::{MediaKey, OfferState};
use crate::origin::{Offered, Origin};
use hls_relay_core::config::stale_after;
use hls_relay_core::limits::REMEMBERED_SEGMENTS;
use hls_relay_core::time::{Span, Timestamp};

/// Date-times that differ by less are the same moment.
const SAME_MOMENT: Span = Span::from_secs(1);
/// So many segments may be missing beyond those that the time explains, one of them for the latencies
/// that are no part of the core's reckoning.
const SLACK_SEGMENTS: u64 = 3;

/// A segment that this process was told of.
pub(super) type Told = (u64, OfferState);

/// Where the run before had come to.
pub(super) struct Position<'a> {
    /// The newest segment known of it.
    pub(super) newest: MediaKey,
    /// When that one became known.
    pub(super) at: Timestamp,
    /// What this process was told of it.
    pub(super) told: &'a [Told],
}

/// Whether the run of `lists` can be taken for the going on of the run before.
pub(super) fn is_untold(
    origin: &Origin,
    now: Timestamp,
    before: &Position<'_>,
    run: u32,
    lists: &[Told],
) -> bool {
    let newest = before.newest.number;
    let reaches = lists.iter().filter(|(number, _)| *number >= newest);
    let decisive = reaches.min_by_key(|(_, it)| it.first).map(|(_, it)| it);
    let until = decisive.map_or(now, |it| it.first);
    let offered = origin.segments_offered(now.since(Timestamp::default()));
    let seen = lists.iter().filter(|(_, it)| it.first <= until);
    let seen: Vec<(&Told, &Offered)> = seen
        .filter_map(|told| Some((told, find(&offered, run, told.0)?)))
        .collect();
    let contradicted = seen.iter().any(|(told, now)| {
        let known = find(&offered, before.newest.run, told.0);
        known.is_some_and(|known| told.0 <= newest && differ(origin, known, now))
    });
    if contradicted || began_below(&offered, before, &seen) || grew_below(decisive, &seen) {
        return false;
    }
    let Some(decisive) = decisive else {
        // Below our position, and nothing has told it yet.
        return true;
    };
    let listed = seen.iter().filter(|((_, it), _)| it.last >= decisive.first);
    let listed: Vec<&Offered> = listed.map(|(_, segment)| *segment).collect();
    listed.first().is_some_and(|first| {
        first.media.number <= newest
            || find(&offered, before.newest.run, newest)
                .is_some_and(|known| joins(origin, before, known, decisive, &listed))
    })
}

/// Its first list lies below everything remembered of the run before.
fn began_below(offered: &[Offered], before: &Position<'_>, seen: &[(&Told, &Offered)]) -> bool {
    let of_run = |it: &&Offered| it.media.run == before.newest.run;
    let oldest = offered.iter().find(of_run).map_or(0, |it| it.media.number);
    let remembered = before
        .newest
        .number
        .saturating_sub(REMEMBERED_SEGMENTS as u64);
    let earliest = seen.iter().map(|((_, it), _)| it.first).min();
    let last = seen
        .iter()
        .filter(|((_, it), _)| Some(it.first) == earliest);
    last.map(|((number, _), _)| *number)
        .max()
        .is_some_and(|last| last < oldest.max(remembered))
}

/// It was seen to grow below our position, until its first list that reaches it, for longer than an edge
/// may be behind.
fn grew_below(decisive: Option<&OfferState>, seen: &[(&Told, &Offered)]) -> bool {
    let earliest = seen.iter().map(|((_, it), _)| it.first).min();
    let grown = seen.iter().filter(|((_, it), _)| {
        Some(it.first) > earliest && decisive.is_none_or(|decisive| it.first < decisive.first)
    });
    let grown: Span = grown.map(|(_, segment)| segment.media.duration).sum();
    let target_duration = seen.last().map(|((_, it), _)| it.target_duration);
    target_duration.is_some_and(|it| grown >= stale_after(it))
}

/// Two segments of one number that a client can tell apart.
fn differ(origin: &Origin, known: &Offered, now: &Offered) -> bool {
    let apart = known.starts.abs_diff(now.starts) >= SAME_MOMENT;
    known.path != now.path || (origin.spec().program_date_time && apart)
}

/// Whether a list that begins behind the newest segment known can follow on it.
fn joins(
    origin: &Origin,
    before: &Position<'_>,
    known: &Offered,
    decisive: &OfferState,
    listed: &[&Offered],
) -> bool {
    let first = listed[0];
    let segments = first.media.number - known.media.number - 1;
    let total: Span = listed.iter().map(|it| it.media.duration).sum();
    let typical = total.scaled(1, listed.len() as u64);
    let silence = decisive.first.since(before.at);
    let jumped = segments > silence.as_micros() / typical.as_micros() + SLACK_SEGMENTS;
    let newest_list = before.told.iter().map(|(_, it)| it.last).max();
    let before_listed = before
        .told
        .iter()
        .filter(|(_, it)| Some(it.last) == newest_list);
    let short = listed.len() < before_listed.count() && total < decisive.target_duration * 3;
    let counted = typical * segments;
    let end = known.starts + known.media.duration;
    let gap = first.starts.as_micros() - end.as_micros();
    let off = gap.abs_diff(counted.as_micros() as i64);
    let tolerance = match segments {
        0 => SAME_MOMENT,
        _ => counted.scaled(1, 8).max(decisive.target_duration.half()),
    };
    let tolerance = tolerance.as_micros();
    if origin.spec().program_date_time {
        off <= tolerance && !short
    } else {
        !jumped && !short
    }
}

fn find(offered: &[Offered], run: u32, number: u64) -> Option<&Offered> {
    offered
        .iter()
        .find(|it| it.media.run == run && it.media.number == number)
}
