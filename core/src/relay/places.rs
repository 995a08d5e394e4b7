//! Where the segments of a list stand beside those of other tracks: all of a list that is new, or what is new in one.

use super::axis::Mark;
use super::feed::Feed;
use super::lane::Lane;
use crate::config;
use crate::loader::{Listing, Offered};
use crate::time::{Place, Span, Timestamp};

impl Lane {
    /// Gives every segment of a list its place: by its date-time, or counted back from where it ends.
    pub(super) fn place_all(&mut self, index: usize, listing: &mut Listing, end: Option<Place>) {
        let axis = &mut self.feeds[index].axis;
        axis.marks.clear();
        axis.agreed = None;
        let total: Span = listing.listed.iter().map(|it| it.segment.duration).sum();
        let dates_end = end_of_dates(listing);
        let mut next = match (end, dates_end) {
            (Some(end), _) | (None, Some(end)) => end - total,
            (None, None) => Place::default(),
        };
        axis.shift = dates_end.map(|at| match end {
            Some(end) => end.as_micros().saturating_sub(at.as_micros()),
            None => 0,
        });
        for offered in &mut listing.listed {
            let date = offered.segment.date_time.filter(|_| end.is_none());
            let place = date.unwrap_or(next);
            offered.place = Some(place);
            axis.mark(offered, place);
            next = place + offered.segment.duration;
        }
    }

    /// Gives what is new in a list its place: after what was there before, put right by its date-time.
    pub(super) fn place_fresh(&mut self, now: Timestamp, index: usize, listing: &mut Listing) {
        let target_duration = self.target_duration();
        let first = listing.listed.get(listing.first_new);
        let undated = first.filter(|it| listing.restarted && it.segment.date_time.is_none());
        if let Some(first) = undated {
            self.delay_others(index, first);
        }
        // What begins now began after as long a time as nothing came at most, and the track may be out of step.
        let silent = now.since(self.feeds[index].advanced_at);
        let latest = silent + target_duration * config::OUT_OF_STEP_TARGETS;
        let (first_new, restarted) = (listing.first_new, listing.restarted);
        // One that was left behind may have been away for as long as it takes the encoder to start again.
        let away = restarted && self.feeds[index].left_behind;
        let edge = self.feeds.iter().filter_map(|feed| feed.axis.next).max();
        let shared = match away {
            true => self.end_by_numbers(Some(index), listing),
            false => None,
        };
        let beside = shared.map(|it| it.0).or(edge.filter(|_| away));
        let former = self.former_end(index).filter(|_| restarted);
        let fresh = listing.listed[first_new..].iter();
        let fresh: Vec<_> = fresh
            .map(|it| (it.run, it.identity.media_sequence, it.segment.duration))
            .collect();
        for (at, offered) in listing.listed[first_new..].iter_mut().enumerate() {
            let lost = offered.lost.map_or(Span::ZERO, |lost| lost.duration);
            let next = self.feeds[index].axis.next.unwrap_or_default() + lost;
            let near = |place: &Place| {
                let until = edge.filter(|_| away && at == 0);
                // An encoder takes its time to start again, and this track may lack what others have of before.
                let begins = Some(next + latest).filter(|_| restarted && at == 0);
                let later = *place > next && until.max(begins).is_some_and(|it| *place <= it);
                later || place.abs_diff(next) <= target_duration + lost.half()
            };
            let shifts = [self.feeds[index].axis.shift, self.start.shift];
            let dated = offered.segment.date_time;
            let by_date = dated.and_then(|date| {
                let places = shifts.into_iter().flatten().map(|it| date.shifted_by(it));
                places.into_iter().find(near)
            });
            // The first number from here on that others have as well tells where this one is.
            let by_number = || {
                let others = self.feeds.iter().flat_map(|feed| &feed.axis.marks);
                let mut before = Span::ZERO;
                let place = fresh[at..].iter().find_map(|(run, number, duration)| {
                    let same = |mark: &&Mark| {
                        (mark.run, mark.number) == (*run, *number) && mark.is_as_long_as(*duration)
                    };
                    let place = others.clone().find(same).map(|mark| mark.place - before);
                    before += *duration;
                    place
                });
                place.filter(near)
            };
            // What is lost before it is only estimated.
            let begins_run = (at == 0 && restarted) || offered.lost.is_some();
            let by_number = if begins_run && by_date.is_none() {
                by_number()
            } else {
                None
            };
            let by_edge = || {
                let rest: Span = fresh.iter().map(|it| it.2).sum();
                let place = beside.filter(|_| at == 0)? - rest;
                Some(place).filter(near)
            };
            let by_former = || former.filter(|it| at == 0 && *it > next && near(it));
            let place = by_date.or(by_number).or_else(by_edge);
            let place = place.or_else(by_former).unwrap_or(next);
            let goes_on = shared.is_some_and(|(_, run)| run != offered.run);
            if at == 0 && by_date.is_none() && goes_on {
                // The others have had it in the run that was: so there was no break.
                offered.broken = None;
            }
            let axis = &mut self.feeds[index].axis;
            if let Some(date) = dated {
                axis.shift = Some(place.as_micros().saturating_sub(date.as_micros()));
                self.start.shift = axis.shift;
            }
            offered.place = Some(place);
            axis.mark(offered, place);
        }
    }

    /// Where a list ends: as was known when it was followed last, or by equal numbers in another track where those are
    /// believable, else where the others end.
    pub(super) fn end_beside(&self, index: usize, listing: &Listing, edge: Place) -> Place {
        if let Some(known) = self.feeds[index].axis.end_of(listing) {
            return known;
        }
        let out_of_step = self.target_duration() * config::OUT_OF_STEP_TARGETS;
        let end = self.end_by_numbers(None, listing).map(|it| it.0);
        end.filter(|end| end.abs_diff(edge) <= out_of_step)
            .unwrap_or(edge)
    }

    /// Where a list ends, by equal numbers in what other tracks have of their present runs, and the run of those.
    fn end_by_numbers(&self, own: Option<usize>, listing: &Listing) -> Option<(Place, u64)> {
        let feeds = self.feeds.iter().enumerate();
        let others = feeds.filter(|(index, _)| Some(*index) != own);
        let others = others.map(|(_, feed)| &feed.axis);
        let others: Vec<_> = others.filter(|it| it.is_cut_as(listing)).collect();
        let place_of = |offered: &Offered| {
            let mut marks = others.iter().flat_map(|it| it.present_run());
            let same = marks.find(|mark| mark.number == offered.identity.media_sequence);
            same.map(|mark| (mark.place, mark.run))
        };
        let mut newest_first = listing.listed.iter().enumerate().rev();
        let (at, (place, run)) = newest_first.find_map(|(at, it)| Some((at, place_of(it)?)))?;
        let from_there = listing.listed[at..].iter();
        let rest: Span = from_there.map(|it| it.segment.duration).sum();
        Some((place + rest, run))
    }

    /// Where the run that a track has come to ends in the track that has most of it: another one begins nowhere before.
    fn former_end(&self, index: usize) -> Option<Place> {
        let of = |feed: &Feed| feed.axis.marks.back().map(|it| it.run);
        let own = of(&self.feeds[index]);
        let former = self.feeds.iter().filter(|feed| of(feed) == own);
        former.filter_map(|feed| feed.axis.next).max()
    }

    /// Others that came first to the run of `first` did not know how much this track has of the one before: what has not
    /// left of them moves behind that.
    fn delay_others(&mut self, index: usize, first: &Offered) {
        let end = self.feeds[index].axis.next.unwrap_or_default();
        let most = self.target_duration() * config::OUT_OF_STEP_TARGETS;
        let is_first =
            |it: &&Mark| (it.run, it.number) == (first.run, first.identity.media_sequence);
        for feed in &mut self.feeds {
            let early = feed.axis.present_run().find(is_first);
            let by = early.map_or(Span::ZERO, |it| end.since(it.place));
            if by > Span::ZERO && by <= most {
                feed.axis.delay(by);
                feed.downloader.delay(first.run, by);
            }
        }
    }
}

pub(super) fn end_of_dates(listing: &Listing) -> Option<Place> {
    let last = listing.listed.last()?;
    Some(last.segment.date_time? + last.segment.duration)
}
