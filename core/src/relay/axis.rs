//! Where segments stand on a time axis that the tracks of a source share: by date-times, else by taking live edges for the
//! same moment, put right by equal media sequence numbers where that is believable, and by discontinuities (`side_by_side`).

use super::feed::Feed;
use super::lane::Lane;
use super::side_by_side::Moved;
use crate::checkpoint::Identity;
use crate::config;
use crate::loader::{Listing, Offered};
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many of the newest segments are known by their places: as many as tracks may be out of step.
pub(super) const MARKS: usize = 64;

/// Date-times of two tracks that are further apart come from clocks that mean different things.
pub(super) const COMPARABLE_CLOCKS: Span = Span::from_secs(60);

/// The places of one track.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Axis {
    /// Where the next segment begins, if nothing is lost before it.
    pub(super) next: Option<Place>,
    /// From date-times to places, in microseconds.
    pub(super) shift: Option<i64>,
    pub(super) marks: VecDeque<Mark>,
    /// The discontinuity sequence number that was stated with the last of them: some sources count only what they list.
    #[serde(default, skip_serializing_if = "is_zero")]
    stated: i64,
    /// It has stated a number of discontinuities that have left its list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) states: bool,
    /// The newest discontinuity at which it was found where another track has it: its run, and its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agreed: Option<(u64, i64)>,
    /// By so much it was moved since, as others have come to a discontinuity before it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) held_back: Span,
    /// It has gone on behind one that it did not tell of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) passes_over: bool,
}

/// A segment and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) run: u64,
    number: u64,
    pub(super) place: Place,
    duration: Span,
    /// Counted on from the first that was stated in its run, and on one count with other tracks (`side_by_side`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) discontinuity_sequence: i64,
    /// It follows the discontinuity of that number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) opens: bool,
}

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

impl Axis {
    /// As an earlier process has left it: these segments were known, and the last of them ends there.
    pub(super) fn restored(known: &[Identity], end: Place) -> Self {
        let mut marks = VecDeque::new();
        let mut place = end;
        let before = known.iter().rev().skip(1).map(Some);
        let before = before.chain(std::iter::once(None));
        for (it, before) in known.iter().rev().zip(before).take(MARKS) {
            place = place - it.duration;
            let number = counted(it);
            marks.push_front(Mark {
                run: 0,
                number: it.media_sequence,
                place,
                duration: it.duration,
                discontinuity_sequence: number,
                opens: before.is_some_and(|before| counted(before) < number),
            });
        }
        let last = known.last().and_then(|last| {
            let starts = end - last.duration;
            Some(
                starts
                    .as_micros()
                    .saturating_sub(last.date_time?.as_micros()),
            )
        });
        Self {
            next: Some(end),
            shift: last,
            marks,
            stated: known.last().map_or(0, counted),
            ..Self::default()
        }
    }

    /// What is known of the run that goes on.
    pub(super) fn present_run(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        let run = self.marks.back().map(|it| it.run);
        self.marks.iter().filter(move |it| Some(it.run) == run)
    }

    pub(super) fn mark(&mut self, offered: &Offered, place: Place) {
        let stated = counted(&offered.identity);
        let opens = offered.segment.discontinuity;
        let before = self.marks.back().filter(|it| it.run == offered.run);
        let rises = stated.saturating_sub(self.stated).max(i64::from(opens));
        let counted = before.map(|it| it.discontinuity_sequence.saturating_add(rises));
        self.stated = stated;
        self.marks.push_back(Mark {
            run: offered.run,
            number: offered.identity.media_sequence,
            place,
            duration: offered.segment.duration,
            discontinuity_sequence: counted.unwrap_or(stated),
            opens,
        });
        let many = self.marks.len().saturating_sub(MARKS);
        self.marks.drain(..many);
        self.next = Some(place + offered.segment.duration);
    }

    /// As whoever follows its list next finds it: with nothing that follows, on an axis that is so much later.
    pub(super) fn left_at(&self, shift: i64) -> Self {
        let mut left = self.clone();
        left.shift_by(shift);
        left.next = None;
        left
    }

    /// Where a list ends that has something of what is known.
    fn end_of(&self, listing: &Listing) -> Option<Place> {
        let place_of = |it: &Offered| {
            let same =
                |mark: &&Mark| (mark.run, mark.number) == (it.run, it.identity.media_sequence);
            self.marks.iter().find(same).map(|mark| mark.place)
        };
        let mut listed = listing.listed.iter().enumerate();
        let (at, place) = listed.find_map(|(at, it)| Some((at, place_of(it)?)))?;
        let from_there = listing.listed[at..].iter();
        let rest: Span = from_there.map(|it| it.segment.duration).sum();
        Some(place + rest)
    }

    /// Whether what a list calls by the numbers of the present run is as long: tracks that are cut otherwise count
    /// otherwise, and where their cuts jitter one of their segments may be as long by chance.
    fn is_cut_as(&self, listing: &Listing) -> bool {
        self.present_run().all(|mark| {
            let mut listed = listing.listed.iter();
            let same = listed.find(|it| it.identity.media_sequence == mark.number);
            same.is_none_or(|it| mark.is_as_long_as(it.segment.duration))
        })
    }

    /// What is known of the present run, and what follows, is so much later.
    fn delay(&mut self, by: Span) {
        let run = self.marks.back().map(|it| it.run);
        let of_run = self.marks.iter_mut().filter(|it| Some(it.run) == run);
        of_run.for_each(|it| it.place = it.place + by);
        self.next = self.next.map(|at| at + by);
    }
}

impl Mark {
    pub(super) fn end(&self) -> Place {
        self.place + self.duration
    }

    /// Tracks that are cut otherwise count otherwise.
    fn is_as_long_as(&self, duration: Span) -> bool {
        self.duration.abs_diff(duration) <= self.duration.scaled(1, 8)
    }
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
        self.begin_from(stage, index, &listing, from);
        others
    }

    fn begin_from(&mut self, stage: &mut Stage<'_>, index: usize, listing: &Listing, from: Place) {
        let feed = &mut self.feeds[index];
        let fresh = listing.listed[listing.first_new..].iter().rev();
        let take = fresh.take_while(|it| {
            let middle = it.place.map(|at| at + it.segment.duration.half());
            middle.is_some_and(|middle| middle > from)
        });
        feed.reached = Some(from);
        feed.advanced_at = stage.now.monotonic;
        let take = take.count();
        feed.downloader.listed(stage, listing, take);
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

    /// Gives every segment of a list its place: by its date-time, or counted back from where it ends.
    fn place_all(&mut self, index: usize, listing: &mut Listing, end: Option<Place>) {
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
    fn place_fresh(&mut self, now: Timestamp, index: usize, listing: &mut Listing) {
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
}

/// Its discontinuity sequence number, as stated. It may lie before the first one once tracks are on one count.
fn counted(identity: &Identity) -> i64 {
    i64::try_from(identity.discontinuity_sequence).unwrap_or(i64::MAX)
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_none(span: &Span) -> bool {
    *span == Span::ZERO
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

fn end_of_dates(listing: &Listing) -> Option<Place> {
    let last = listing.listed.last()?;
    Some(last.segment.date_time? + last.segment.duration)
}
