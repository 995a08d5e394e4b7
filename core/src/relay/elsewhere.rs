//! A track that goes on from another place, where its segments may be counted otherwise: what is listed there
//! and was had here is passed over. Only date-times tell that: where there are none it is taken for another run.
//!
//! The places of a track are variants of one presentation, so what they have in common has the same timestamps
//! (RFC 8216 6.2.4): a list that shows what came last goes on behind it without a discontinuity.

use super::axis::COMPARABLE_CLOCKS;
use super::lane::Lane;
use crate::loader::history::Lost;
use crate::loader::{Listing, Offered};
use crate::notice::Break;
use crate::time::{Place, Span};
use serde::{Deserialize, Serialize};

/// What separates two places that are one: rounded durations, and dates in milliseconds.
const SAME_PLACE: Span = Span::from_millis(200);

/// What another place lists again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Overlap {
    /// What ends before was had.
    until: Place,
    /// The other place has listed what ends there, or begins.
    shown: bool,
    /// What the list from there breaks, if it does not show that.
    why: Option<Break>,
    /// What stood before the first segment that is to be had from there.
    lost: Option<Lost>,
    broken: Option<Break>,
}

impl Lane {
    /// Takes the first list of another run from another place, where its date-times tell what of it was had: that
    /// is passed over from now on, and what is not there yet is to be had from the new place.
    pub(super) fn begin_elsewhere(&mut self, index: usize, listing: &mut Listing) -> bool {
        let Some(next) = self.feeds[index].axis.next else {
            return false;
        };
        let shifts = [self.feeds[index].axis.shift, self.start.shift];
        let shift = shifts.into_iter().flatten().next();
        let by_date = |offered: &Offered| Some(offered.segment.date_time?.shifted_by(shift?));
        let places: Option<Vec<Place>> = listing.listed.iter().map(by_date).collect();
        // As far as they tell the same time: its own goes on while nothing comes.
        let near = |end: &Place| end.abs_diff(next) <= COMPARABLE_CLOCKS + listing.silence;
        let Some(places) = places.filter(|places| places.last().is_some_and(near)) else {
            return false;
        };
        let feed = &mut self.feeds[index];
        for (offered, place) in listing.listed.iter_mut().zip(&places) {
            offered.place = Some(*place);
            feed.axis.mark(offered, *place);
        }
        let before = feed.overlap.take();
        let waits = feed.downloader.give_way(places[0]);
        let until = before.as_ref().map_or(next, |before| before.until);
        let first = listing.listed[listing.first_new..].first();
        feed.overlap = Some(Overlap {
            until: waits.as_ref().and_then(|it| it.place).unwrap_or(until),
            // What was listed there, and waited for, is listed here.
            shown: waits.is_some(),
            // A hole is told by its dates.
            why: first
                .and_then(|it| it.broken)
                .filter(|it| *it != Break::Hole),
            lost: waits.as_ref().and_then(|it| it.lost),
            broken: waits.map_or(before.and_then(|it| it.broken), |it| it.broken),
        });
        true
    }

    /// How many of the newest segments of a list were not had before it was followed elsewhere. The first of
    /// them breaks what was there before, unless the list shows that it goes on.
    pub(super) fn not_had(&mut self, index: usize, listing: &mut Listing) -> usize {
        let feed = &mut self.feeds[index];
        let Some(overlap) = &mut feed.overlap else {
            return usize::MAX;
        };
        let fresh = &mut listing.listed[listing.first_new..];
        let was_had = |it: &&Offered| {
            let middle = it.place.map(|at| at + it.segment.duration.half());
            middle.is_some_and(|middle| middle <= overlap.until)
        };
        let had = fresh.iter().take_while(was_had).count();
        let end = |it: &Offered| it.place.map(|at| at + it.segment.duration);
        let ends_at =
            |it: &Offered, at: Place| end(it).is_some_and(|end| end.abs_diff(at) <= SAME_PLACE);
        overlap.shown |= fresh[..had]
            .last()
            .is_some_and(|it| ends_at(it, overlap.until));
        // Where it goes on is where it does in the new list.
        let appended = feed.appended_end.map(|end| end.shifted_by(-self.shift));
        let ends_there = |it: &&Offered| appended.is_some_and(|at| ends_at(it, at));
        if let Some(it) = fresh[..had].iter().rev().find(ends_there) {
            feed.appended = Some((it.run, it.identity.media_sequence));
        }
        let Some(first) = fresh.get_mut(had) else {
            return 0;
        };
        let missing = first.place.map(|at| at.since(overlap.until));
        let missing = missing.filter(|it| *it > SAME_PLACE);
        first.lost = overlap.lost;
        first.broken = overlap.broken;
        if let Some(missing) = missing {
            first.lost = Some(with_more(overlap.lost, missing, first));
        }
        if missing.is_some() || !overlap.shown {
            first.broken = overlap.broken.or(overlap.why);
        }
        // That of the first new one counts for the first that is taken.
        fresh[0].broken = fresh[had].broken;
        let not_had = fresh.len() - had;
        feed.overlap = None;
        not_had
    }
}

/// What was lost, and so much more right before `next`.
fn with_more(lost: Option<Lost>, missing: Span, next: &Offered) -> Lost {
    let each = next.segment.duration.as_micros().max(1);
    let more = missing.as_micros().div_ceil(each);
    let before = lost.map_or((0, Span::ZERO), |lost| (lost.segments, lost.duration));
    Lost {
        first: lost.map_or(next.identity.media_sequence.saturating_sub(more), |it| {
            it.first
        }),
        segments: before.0.saturating_add(more),
        duration: before.1 + missing,
    }
}
