//! The tracks of a lane begin together, where all have something: their lists are held until all have told them, and one that
//! comes late is laid beside the others.

use super::axis::COMPARABLE_CLOCKS;
use super::feed::Feed;
use super::lane::Lane;
use super::places::end_of_dates;
use super::side_by_side::Moved;
use crate::loader::{Listing, Offered};
use crate::notice::Break;
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use serde::{Deserialize, Serialize};

/// When the tracks of a lane begin, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    /// The first of them has told its list then.
    pub(super) first_held: Option<Timestamp>,
    /// What ends before is not relayed; nothing until it is decided.
    pub(super) from: Option<Place>,
    /// From date-times to places, as the track that moved last has it.
    pub(super) shift: Option<i64>,
}

impl Lane {
    /// Takes a listing of one of several tracks: to the downloader, or to be held until the lane begins.
    /// `first` is how many of the newest segments the first track begins with. Gives the tracks that lie elsewhere since.
    pub(super) fn take_up(
        &mut self,
        stage: &mut Stage<'_>,
        index: usize,
        mut listing: Listing,
        first: impl Fn(&Listing) -> usize,
    ) -> Vec<Moved> {
        let head = listing.listed.first();
        self.feeds[index].axis.states |= head.is_some_and(states_what_left);
        if self.feeds[index].axis.next.is_some() {
            let elsewhere = listing.elsewhere && listing.restarted;
            if !(elsewhere && self.begin_elsewhere(index, &mut listing)) {
                self.place_fresh(stage.now.monotonic, index, &mut listing);
            }
            if listing.restarted {
                self.count_beside(index, |_| true);
            }
            let take = self.not_had(index, &mut listing);
            self.feeds[index].begin_another(&mut listing, take);
            let downloader = &mut self.feeds[index].downloader;
            downloader.listed(stage, &listing, take);
            return self.put_right(index);
        }
        if self.start.from.is_some() {
            return match self.is_still_in_run_before(index, stage.now.monotonic) {
                true => Vec::new(),
                false => self.begin_late(stage, index, listing),
            };
        }
        self.start.first_held.get_or_insert(stage.now.monotonic);
        // What it has listed before and lists no more was of no use to anybody.
        for offered in &mut listing.listed {
            offered.lost = None;
        }
        self.feeds[index].held = Some(listing);
        self.begin(stage, first);
        Vec::new()
    }

    /// When the tracks begin that have told their lists, without the others.
    pub(super) fn begins_at(&self) -> Option<Timestamp> {
        let held = self.start.first_held.filter(|_| self.start.from.is_none());
        held.map(|at| at + self.target_duration())
    }

    /// Begins once all tracks that are waited for have told their lists, or the time for that is over.
    pub(super) fn begin(&mut self, stage: &mut Stage<'_>, first: impl Fn(&Listing) -> usize) {
        // They begin in one run of the encoder: what is out of step may still list the one before.
        let run = self.newest_run(|feed| feed.held.is_some());
        let of_run = |feed: &Feed| feed.held.is_some() && !feed.is_in_run_before(run);
        let awaited = |feed: &Feed| {
            feed.kind().is_waited_for() && !of_run(feed) && feed.loader.trouble.is_none()
        };
        let over = self.begins_at().is_some_and(|at| at <= stage.now.monotonic);
        let waits = self.feeds.iter().any(awaited) && !over;
        let Some(lead) = self.feeds.iter().position(of_run) else {
            return;
        };
        if self.start.from.is_some() || waits {
            return;
        }
        let mut held: Vec<(usize, Listing)> = Vec::new();
        for (index, feed) in self.feeds.iter_mut().enumerate() {
            let listing = feed.held.take().filter(|_| !feed.is_in_run_before(run));
            held.extend(listing.map(|listing| (index, listing)));
        }
        let dated = can_compare_dates(&held);
        let known = |(index, listing): &(usize, Listing)| self.feeds[*index].axis.end_of(listing);
        let place = held.iter().find_map(known);
        let edge = place.unwrap_or(stage.now.wall);
        for (index, listing) in &mut held {
            let end = match (dated, *index == lead) {
                (true, _) => None,
                (false, true) => Some(self.feeds[lead].axis.end_of(listing).unwrap_or(edge)),
                (false, false) => Some(self.end_beside(*index, listing, edge)),
            };
            self.place_all(*index, listing, end);
        }
        let begin: Vec<usize> = held.iter().map(|it| it.0).collect();
        for (at, index) in begin.iter().enumerate() {
            let first = self.lay_beside(*index, |feed| begin[..at].contains(&feed));
            let moved = self.put_right_among(*index, |feed| begin.contains(&feed));
            for Moved { feed, by } in first.into_iter().chain(moved) {
                let listings = held.iter_mut().filter(|it| it.0 == feed);
                listings.for_each(|(_, listing)| listing.shift_by(by));
            }
        }
        self.start.shift = Some(0).filter(|_| dated);
        // The tracks begin where all have something, as long as that leaves enough to begin with.
        let target_duration = self.target_duration();
        let (_, of_lead) = &held[0];
        let fresh = &of_lead.listed[of_lead.first_new..];
        let skip = fresh.len().saturating_sub(first(of_lead));
        let wanted = fresh.get(skip).or(of_lead.listed.last());
        let mut from = wanted.and_then(|it| it.place).unwrap_or(edge);
        let end = end_of(of_lead).unwrap_or(from);
        let latest = end - target_duration * 3;
        for (index, listing) in &held {
            let waited = self.feeds[*index].kind().is_waited_for();
            let begins = listing.listed.first().and_then(|it| it.place);
            if let Some(begins) = begins.filter(|at| waited && *at > from) {
                // And where that is not enough, at most a target duration apart (S-26).
                let apart = (begins - target_duration.half()).min(end);
                from = from.max(begins.min(latest)).max(apart);
            }
        }
        self.start.from = Some(from);
        for (index, mut listing) in held {
            if place.is_none() {
                listing.begins_at(from);
            }
            self.begin_from(stage, index, &listing, from);
        }
    }

    /// A track that comes to others which are relayed already.
    fn begin_late(
        &mut self,
        stage: &mut Stage<'_>,
        index: usize,
        mut listing: Listing,
    ) -> Vec<Moved> {
        let edge = self.feeds.iter().filter_map(|feed| feed.axis.next).max();
        let edge = edge.unwrap_or(stage.now.wall);
        let run = self.feeds.iter().map(|feed| feed.loader.run).max();
        let own = &mut self.feeds[index].loader;
        if own.known_run() == run && listing.restarted {
            // The others have begun with what it has come to.
            let first = listing.listed.get_mut(listing.first_new);
            first.into_iter().for_each(|it| it.broken = None);
        }
        own.counts_runs_as_others(&mut listing, run.unwrap_or_default());
        let shift = self.start.shift;
        let dated = listing
            .listed
            .iter()
            .all(|it| it.segment.date_time.is_some());
        let by_date = end_of_dates(&listing)
            .filter(|_| dated)
            .zip(shift)
            .map(|(end, shift)| end.shifted_by(shift))
            .filter(|end| end.abs_diff(edge) <= COMPARABLE_CLOCKS);
        let end = by_date.unwrap_or_else(|| self.end_beside(index, &listing, edge));
        self.place_all(index, &mut listing, Some(end));
        let first = self.lay_beside(index, |_| true);
        let moved = first.into_iter().chain(self.put_right(index));
        let (own, others): (Vec<_>, Vec<_>) = moved.partition(|it| it.feed == index);
        own.iter().for_each(|it| listing.shift_by(it.by));
        // Not more than the others have listed by now.
        let reached = self.feeds.iter().filter_map(|feed| feed.reached).min();
        let window: Span = listing.listed.iter().map(|it| it.segment.duration).sum();
        let from = self.start.from.unwrap_or(edge);
        let from = reached.map_or(from, |at| from.max(at - window));
        if let Some((place, why)) = self.break_ahead() {
            // It comes to the new run with them, and may be first. What it lists may be of before.
            let mut fresh = listing.listed[listing.first_new..].iter();
            let begins = fresh.find(|it| is_behind(it, from));
            if begins.is_some_and(|it| is_behind(it, place)) {
                listing.listed[listing.first_new].broken = Some(why);
            }
        }
        self.begin_from(stage, index, &listing, from);
        others
    }

    /// The break with which the newest run of the encoder begins, and where, while it is on its way and none has come to it.
    fn break_ahead(&self) -> Option<(Place, Break)> {
        let run = self.feeds.iter().map(|feed| feed.loader.run).max()?;
        let mut appended = self.feeds.iter().filter_map(|feed| feed.appended);
        if appended.any(|(of, _)| of >= run) {
            return None;
        }
        let mut waiting = self.feeds.iter().map(|feed| &feed.downloader);
        waiting.find_map(|it| it.break_of(run))
    }

    fn begin_from(&mut self, stage: &mut Stage<'_>, index: usize, listing: &Listing, from: Place) {
        let feed = &mut self.feeds[index];
        let fresh = listing.listed[listing.first_new..].iter().rev();
        let take = fresh.take_while(|it| is_behind(it, from));
        feed.reached = Some(from);
        feed.advanced_at = stage.now.monotonic;
        let take = take.count();
        feed.downloader.listed(stage, listing, take);
    }
}

/// Most of it is behind a place.
fn is_behind(offered: &Offered, place: Place) -> bool {
    let middle = offered.place.map(|at| at + offered.segment.duration.half());
    middle.is_some_and(|middle| middle > place)
}

/// Whether all lists have date-times of clocks that agree.
fn can_compare_dates(held: &[(usize, Listing)]) -> bool {
    let dated = |listing: &Listing| {
        let mut listed = listing.listed.iter();
        listed.all(|it| it.segment.date_time.is_some())
    };
    let ends: Vec<Option<Place>> = held.iter().map(|(_, it)| end_of_dates(it)).collect();
    let (first, last) = (ends.iter().min(), ends.iter().max());
    let close = match (first, last) {
        (Some(Some(first)), Some(Some(last))) => last.abs_diff(*first) <= COMPARABLE_CLOCKS,
        _ => false,
    };
    close && held.iter().all(|(_, listing)| dated(listing))
}

/// Of the first segment of a list.
fn states_what_left(head: &Offered) -> bool {
    head.identity.discontinuity_sequence > u64::from(head.segment.discontinuity)
}

fn end_of(listing: &Listing) -> Option<Place> {
    let last = listing.listed.last()?;
    Some(last.place? + last.segment.duration)
}
