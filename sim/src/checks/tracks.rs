//! The playlists of a presentation side by side: what is visible at one time belongs together.

use super::{Held, broken};
use crate::published::{Listed, Multivariant, Version};
use hls_relay_core::time::{Span, WallTime};
use std::sync::Arc;

/// Two date-times that are less apart are the same moment: a frame at 24 a second.
const FRAME: Span = Span::from_micros(41_667);

/// What is visible at one time: the media playlists, by name, and the multivariant playlist that leads to
/// them, where there is one.
///
/// The others do not wait for subtitles and I-frames, and S-26, which is about variants, says nothing of what all of
/// these share. Ours: while all is calm they cover the same time as well, but for what their next reload brings, which
/// may be late by this (`reload`).
///
/// Where there are no date-times `made` tells where media stands. What tracks cover is not compared then, as nobody can know
/// how far they are out of step. Their encoder's discontinuities are, as they are told; those of ours are where edges
/// tell how tracks lie side by side, and no process ends: how long it was away is an estimate for each track.
pub fn together(
    entry: Option<&Multivariant>,
    tracks: &[(&str, &Version)],
    reload: Option<Span>,
    made: impl Fn(&Listed) -> Option<Made>,
) -> Held {
    for name in entry.iter().flat_map(|entry| entry.names()) {
        if tracks.iter().all(|(track, _)| **track != *name.0) {
            return broken(
                "S-01 every playlist that is named can be loaded",
                name.0.to_string(),
                "not there",
            );
        }
    }
    for (at, one) in tracks.iter().enumerate() {
        for other in &tracks[at + 1..] {
            let waits = |name: &str| entry.is_none_or(|entry| entry.is_waited_for(name));
            let late = match waits(one.0) && waits(other.0) {
                true => Some(Span::ZERO),
                false => reload,
            };
            pair(*one, *other, late, &made)?;
        }
    }
    Ok(())
}

fn pair(
    (one_name, one): (&str, &Version),
    (other_name, other): (&str, &Version),
    late: Option<Span>,
    made: impl Fn(&Listed) -> Option<Made>,
) -> Held {
    let both = format!("{one_name} and {other_name}");
    if one.target_duration != other.target_duration {
        return broken(
            "S-25 one target duration",
            format!("the same in {both}"),
            format!("{} s and {} s", one.target_duration, other.target_duration),
        );
    }
    let dated = |version: &Version| version.segments.iter().any(|it| it.date_time.is_some());
    if one.segments.is_empty() || other.segments.is_empty() {
        return Ok(());
    }
    if dated(one) != dated(other) {
        return broken(
            "S-22 if one playlist has date-times all have",
            format!("the same in {both}"),
            format!("{} and {}", dated(one), dated(other)),
        );
    }
    if !dated(one) {
        let (one, other) = (as_made(one, &made), as_made(other, &made));
        encoder_breaks(&both, &one, &other)?;
        let told = |it: &Standing<'_>| it.made.told_by_edges;
        return match one.iter().all(told) && other.iter().all(told) {
            true => breaks(&both, &one, &other),
            false => Ok(()),
        };
    }
    if let Some(late) = late {
        edges(&both, one, other, late)?;
    }
    breaks(&both, &as_dated(one), &as_dated(other))
}

/// Whether a playlist that stayed as it is would not belong beside this one (S-25, S-26), as far as
/// date-times tell.
pub fn would_part(stays: &Version, other: &Version) -> bool {
    let dated = first_moment(stays).is_some() && first_moment(other).is_some();
    let same = stays.target_duration == other.target_duration;
    !dated || !same || edges("both", stays, other, Span::ZERO).is_err()
}

/// S-26: what only one of them covers is at its head or tail, and not longer than a target duration; nor than
/// what one may be late by. The rule speaks of content, so it is measured from a discontinuity that both list, as
/// far as one of them has more: date-times may jump there.
fn edges(both: &str, one: &Version, other: &Version, late: Span) -> Held {
    let target = one.target() + late;
    let first = |version: &Version| version.segments.first().map(|it| it.discontinuity_sequence);
    let last = |version: &Version| version.segments.last().map(|it| it.discontinuity_sequence);
    let (begins, ends) = (first(one).max(first(other)), last(one).min(last(other)));
    let edges = [
        ("begin", head(one, begins).zip(head(other, begins))),
        ("end", tail(one, ends).zip(tail(other, ends))),
    ];
    for (what, edges) in edges {
        let apart = edges.map(|(one, other)| {
            let lies_in_hole = one.has_hole_at(&other) || other.has_hole_at(&one);
            let distance = one.at.abs_diff(other.at);
            let distance = if lies_in_hole { Span::ZERO } else { distance };
            one.more + other.more + distance
        });
        if let Some(apart) = apart.filter(|it| *it > target + FRAME) {
            return broken(
                "S-26 all playlists cover the same time",
                format!("{both} {what} within {} ms", target.as_millis()),
                format!("{} ms apart", apart.as_millis()),
            );
        }
    }
    Ok(())
}

/// Where a list begins, or ends, but for what it has in other discontinuities than both.
struct Edge {
    at: WallTime,
    /// How much that is.
    more: Span,
    /// Where it begins, behind the list's last discontinuity that both have.
    next: Option<WallTime>,
}

impl Edge {
    /// Whether the other ends in what this one has lost before its next discontinuity: what that has of it, this
    /// one lacks in its middle.
    fn has_hole_at(&self, other: &Self) -> bool {
        self.next
            .is_some_and(|next| self.at <= other.at && other.at <= next + FRAME)
    }
}

/// Before a discontinuity sequence number there date-times may jump.
fn head(version: &Version, number: Option<u64>) -> Option<Edge> {
    let segments = version.segments.iter();
    let is_before = |it: &&Arc<Listed>| Some(it.discontinuity_sequence) < number;
    let (before, rest): (Vec<_>, Vec<_>) = segments.partition(is_before);
    Some(Edge {
        at: rest.first()?.date_time?,
        more: before.iter().map(|it| it.duration).sum(),
        next: None,
    })
}

/// The same behind the number.
fn tail(version: &Version, number: Option<u64>) -> Option<Edge> {
    let segments = version.segments.iter();
    let is_behind = |it: &&Arc<Listed>| Some(it.discontinuity_sequence) > number;
    let (behind, rest): (Vec<_>, Vec<_>) = segments.partition(is_behind);
    let last = rest.last()?;
    Some(Edge {
        at: last.date_time? + last.duration,
        more: behind.iter().map(|it| it.duration).sum(),
        next: behind.first().and_then(|it| it.date_time),
    })
}

/// Where media stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// By whose clock.
    pub origin: usize,
    /// When its encoder began it.
    pub at: WallTime,
    /// Its encoder has a discontinuity before it.
    pub breaks: bool,
    /// The lists of its encoder's tracks end at one time.
    pub told_by_edges: bool,
}

/// A listed segment, and where it stands.
struct Standing<'a> {
    listed: &'a Listed,
    made: Made,
}

/// As date-times tell, which are of one clock.
fn as_dated(version: &Version) -> Vec<Standing<'_>> {
    let segments = version.segments.iter();
    let standing = segments.filter_map(|listed| {
        let made = Made {
            origin: 0,
            at: listed.date_time?,
            breaks: false,
            told_by_edges: true,
        };
        Some(Standing { listed, made })
    });
    standing.collect()
}

/// As its encoder has made it: of gaps nobody can say that.
fn as_made(version: &Version, made: impl Fn(&Listed) -> Option<Made>) -> Vec<Standing<'_>> {
    let media = version.segments.iter().filter(|it| !it.gap);
    let standing = media.filter_map(|listed| {
        let made = made(listed)?;
        Some(Standing { listed, made })
    });
    standing.collect()
}

/// S-25 and S-27: a discontinuity of their encoder has one number in both.
fn encoder_breaks(both: &str, one: &[Standing<'_>], other: &[Standing<'_>]) -> Held {
    for here in one.iter().filter(|it| it.made.breaks) {
        let mut of_other = other.iter();
        let Some(there) = of_other.find(|it| it.made == here.made) else {
            continue;
        };
        let number = |it: &Standing<'_>| it.listed.discontinuity_sequence;
        if number(here) != number(there) {
            return broken(
                "S-25 one discontinuity sequence number behind a discontinuity of the source",
                format!(
                    "{} in {both} at segment {}",
                    number(here),
                    here.listed.number
                ),
                format!("{} at segment {}", number(there), there.listed.number),
            );
        }
    }
    Ok(())
}

/// S-25 and S-27: each discontinuity that both list is at one moment, under one number; a moment that both
/// cover has one discontinuity sequence number.
fn breaks(both: &str, one: &[Standing<'_>], other: &[Standing<'_>]) -> Held {
    for here in one.iter().filter(|it| it.listed.discontinuity) {
        let number = here.listed.discontinuity_sequence;
        let begins = |it: &&Standing<'_>| {
            let listed = it.listed;
            listed.discontinuity && listed.discontinuity_sequence == number
        };
        let of_clock = |it: &&Standing<'_>| it.made.origin == here.made.origin;
        let there = other.iter().find(begins).filter(of_clock);
        let apart = there.map(|there| here.made.at.abs_diff(there.made.at));
        if let Some(apart) = apart.filter(|it| *it > FRAME) {
            return broken(
                "S-27 discontinuities are at the same time in all playlists",
                format!("discontinuity {number} of {both} at one moment"),
                format!("{} ms apart", apart.as_millis()),
            );
        }
    }
    for Standing { listed, made } in one {
        let middle = made.at + listed.duration.half();
        let covers = |it: &&Standing<'_>| {
            let begins = it.made.at;
            let covered = begins <= middle && middle < begins + it.listed.duration;
            covered && it.made.origin == made.origin
        };
        let Some(same) = other.iter().find(covers) else {
            continue;
        };
        let (here, there) = (
            listed.discontinuity_sequence,
            same.listed.discontinuity_sequence,
        );
        if here != there {
            return broken(
                "S-25 one discontinuity sequence number at one moment",
                format!("{here} in {both} at segment {}", listed.number),
                format!("{there}"),
            );
        }
    }
    Ok(())
}

fn first_moment(version: &Version) -> Option<WallTime> {
    version.segments.first()?.date_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published;
    use hls_relay_core::time::Timestamp;

    /// Two-second segments that begin at these seconds of a minute; behind `break_at` in the next
    /// discontinuity.
    fn list(target: u64, starts: &[u64], break_at: Option<u64>) -> Version {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{target}\n\
             #EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n",
            starts[0]
        );
        for start in starts {
            if Some(*start) == break_at {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            text.push_str(&format!(
                "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{start:02}.000Z\n#EXTINF:2.0,\n{start}.ts\n"
            ));
        }
        published::parse(1, Timestamp::default(), &text.into(), None).unwrap()
    }

    /// Media that is called by the second at which it begins.
    fn made(listed: &Listed) -> Option<Made> {
        let second: i64 = listed.uri.strip_suffix(".ts")?.parse().ok()?;
        Some(Made {
            origin: 0,
            at: WallTime::from_micros(second * 1_000_000),
            breaks: second == 6,
            told_by_edges: second < 20,
        })
    }

    /// The same list without date-times.
    fn undated(version: &Version) -> Version {
        let dated = |line: &&str| line.starts_with("#EXT-X-PROGRAM-DATE-TIME");
        let lines = version.text.lines().filter(|line| !dated(line));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        published::parse(1, Timestamp::default(), &text.as_str().into(), None).unwrap()
    }

    fn fault(one: &Version, other: &Version) -> String {
        let held = together(None, &[("v0", one), ("v1", other)], Some(Span::ZERO), made);
        let mirrored = together(None, &[("v1", other), ("v0", one)], Some(Span::ZERO), made);
        assert_eq!(held.is_err(), mirrored.is_err());
        held.err()
            .map_or_else(String::new, |it| it.invariant[..4].to_owned())
    }

    #[test]
    fn what_belongs_together_is_taken_for_it() {
        let one = list(2, &[0, 2, 4, 6], Some(4));
        assert_eq!(fault(&one, &one), "");
        // A segment less at each end.
        assert_eq!(fault(&one, &list(2, &[2, 4], Some(4))), "");
    }

    #[test]
    fn s_25_another_target_duration_is_seen() {
        assert_eq!(
            fault(&list(2, &[0, 2], None), &list(3, &[0, 2], None)),
            "S-25"
        );
    }

    #[test]
    fn s_25_another_discontinuity_sequence_is_seen() {
        let (with, without) = (list(2, &[0, 2, 4], Some(0)), list(2, &[0, 2, 4], None));
        assert_eq!(fault(&with, &without), "S-25");
    }

    #[test]
    fn s_26_a_playlist_that_lags_is_seen() {
        assert_eq!(
            fault(&list(2, &[0, 2, 4], None), &list(2, &[0], None)),
            "S-26"
        );
        assert_eq!(
            fault(&list(2, &[0, 2, 4], None), &list(2, &[4], None)),
            "S-26"
        );
    }

    #[test]
    fn s_26_is_measured_from_a_discontinuity_that_both_list() {
        let jumped = |starts: &[u64], to| list(2, starts, Some(to));
        let (whole, later) = (jumped(&[0, 2, 40, 42], 40), jumped(&[2, 40, 42], 40));
        assert_eq!(fault(&whole, &later), "");
        assert_eq!(fault(&whole, &jumped(&[40, 42], 40)), "S-26");
        // By date-times alone these two begin a second apart.
        let (whole, later) = (jumped(&[10, 12, 9, 11], 9), jumped(&[9, 11], 9));
        assert_eq!(fault(&whole, &later), "S-26");
    }

    #[test]
    fn s_26_what_others_have_of_a_hole_is_not_at_their_end() {
        let hole = list(2, &[0, 2, 10], Some(10));
        assert_eq!(fault(&hole, &list(2, &[0, 2, 4, 6, 8], None)), "");
        assert_eq!(fault(&hole, &list(2, &[0, 2, 4], None)), "");
        // What it has behind the hole counts, and so does what the others have behind that.
        let more = list(2, &[0, 2, 10, 12], Some(10));
        assert_eq!(fault(&more, &list(2, &[0, 2, 4, 6, 8], None)), "S-26");
        assert_eq!(
            fault(&hole, &list(2, &[0, 2, 4, 6, 8, 10, 12], None)),
            "S-26"
        );
    }

    #[test]
    fn s_27_a_discontinuity_at_another_time_is_seen() {
        let (early, late) = (list(2, &[0, 2, 4], Some(2)), list(2, &[0, 2, 4], Some(4)));
        assert_eq!(fault(&early, &late), "S-27");
    }

    #[test]
    fn s_27_a_discontinuity_at_another_time_is_seen_without_date_times() {
        let starts = [2, 4, 6, 8];
        let broken_at = |at| undated(&list(2, &starts, Some(at)));
        assert_eq!(fault(&broken_at(6), &broken_at(6)), "");
        assert_eq!(fault(&broken_at(6), &broken_at(4)), "S-27");
        let unbroken = undated(&list(2, &starts, None));
        assert_eq!(fault(&broken_at(6), &unbroken), "S-25");
        // Where nothing tells how far they are out of step, their encoder does at its own.
        let starts = [2, 4, 6, 8, 20];
        let broken_at = |at| undated(&list(2, &starts, Some(at)));
        assert_eq!(fault(&broken_at(6), &broken_at(6)), "");
        assert_eq!(fault(&broken_at(4), &broken_at(2)), "");
        assert_eq!(fault(&broken_at(6), &broken_at(8)), "S-25");
        // And nobody knows what they should cover.
        assert_eq!(fault(&unbroken, &undated(&list(2, &[2], None))), "");
    }

    #[test]
    fn s_22_date_times_in_one_playlist_only_are_seen() {
        let dated = list(2, &[0, 2], None);
        let plain = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n\
                     #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXTINF:2.0,\na.ts\n";
        let plain = published::parse(1, Timestamp::default(), &plain.into(), None).unwrap();
        assert_eq!(fault(&dated, &plain), "S-22");
    }
}
