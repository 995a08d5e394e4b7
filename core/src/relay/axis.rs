//! Where segments stand on a time axis that the tracks of a source share: by date-times, by equal media
//! sequence numbers, or by taking live edges for the same moment.

use super::feed::Feed;
use super::lane::Lane;
use crate::checkpoint::Identity;
use crate::config;
use crate::loader::{Listing, Offered};
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many of the newest segments are known by their places: as many as tracks may be out of step.
const MARKS: usize = 64;

/// Date-times of two tracks that are further apart come from clocks that mean different things.
pub(super) const COMPARABLE_CLOCKS: Span = Span::from_secs(60);

/// The places of one track.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Axis {
    /// Where the next segment begins, if nothing is lost before it.
    pub(super) next: Option<Place>,
    /// From date-times to places, in microseconds.
    pub(super) shift: Option<i64>,
    marks: VecDeque<Mark>,
}

/// A segment and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    run: u64,
    number: u64,
    place: Place,
    duration: Span,
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
        for it in known.iter().rev().take(MARKS) {
            place = place - it.duration;
            marks.push_front(Mark {
                run: 0,
                number: it.media_sequence,
                place,
                duration: it.duration,
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
        }
    }

    /// What is known of the run that goes on.
    fn present_run(&self) -> impl Iterator<Item = &Mark> {
        let run = self.marks.back().map(|it| it.run);
        self.marks.iter().filter(move |it| Some(it.run) == run)
    }

    pub(super) fn mark(&mut self, offered: &Offered, place: Place) {
        self.marks.push_back(Mark {
            run: offered.run,
            number: offered.identity.media_sequence,
            place,
            duration: offered.segment.duration,
        });
        let many = self.marks.len().saturating_sub(MARKS);
        self.marks.drain(..many);
        self.next = Some(place + offered.segment.duration);
    }

    /// What is known of the present run, and what follows, is so much later.
    fn delay(&mut self, by: Span) {
        let run = self.marks.back().map(|it| it.run);
        let of_run = self.marks.iter_mut().filter(|it| Some(it.run) == run);
        of_run.for_each(|it| it.place = it.place + by);
        self.next = self.next.map(|at| at + by);
    }
}

impl Lane {
    /// Takes a listing of one of several tracks: to the downloader, or to be held until the lane begins.
    /// `first` is how many of the newest segments the first track begins with.
    pub(super) fn take_up(
        &mut self,
        stage: &mut Stage<'_>,
        index: usize,
        mut listing: Listing,
        first: impl Fn(&Listing) -> usize,
    ) {
        if self.feeds[index].axis.next.is_some() {
            let elsewhere = listing.elsewhere && listing.restarted;
            if !(elsewhere && self.begin_elsewhere(index, &mut listing)) {
                self.place_fresh(stage.now.monotonic, index, &mut listing);
            }
            let take = self.not_had(index, &mut listing);
            self.feeds[index].begin_another(&mut listing, take);
            let downloader = &mut self.feeds[index].downloader;
            downloader.listed(stage, &listing, take);
            return;
        }
        if self.start.from.is_some() {
            if !self.is_still_in_run_before(index, stage.now.monotonic) {
                self.begin_late(stage, index, listing);
            }
            return;
        }
        self.start.first_held.get_or_insert(stage.now.monotonic);
        // What it has listed before and lists no more was of no use to anybody.
        for offered in &mut listing.listed {
            offered.lost = None;
        }
        self.feeds[index].held = Some(listing);
        self.begin(stage, first);
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
        let edge = stage.now.wall;
        for (index, listing) in &mut held {
            let end = match (dated, *index == lead) {
                (true, _) => None,
                (false, true) => Some(edge),
                (false, false) => Some(self.end_beside(listing, edge)),
            };
            self.place_all(*index, listing, end);
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
        for (index, listing) in held {
            self.begin_from(stage, index, &listing, from);
        }
    }

    /// A track that comes to others which are relayed already.
    fn begin_late(&mut self, stage: &mut Stage<'_>, index: usize, mut listing: Listing) {
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
            .map(|(end, shift)| moved(end, shift))
            .filter(|end| end.abs_diff(edge) <= COMPARABLE_CLOCKS);
        let end = by_date.unwrap_or_else(|| self.end_beside(&listing, edge));
        self.place_all(index, &mut listing, Some(end));
        // Not more than the others have listed by now.
        let reached = self.feeds.iter().filter_map(|feed| feed.reached).min();
        let window: Span = listing.listed.iter().map(|it| it.segment.duration).sum();
        let from = self.start.from.unwrap_or(edge);
        let from = reached.map_or(from, |at| from.max(at - window));
        self.begin_from(stage, index, &listing, from);
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

    /// Where a list ends, by equal numbers in another track, else where the others end.
    pub(super) fn end_beside(&self, listing: &Listing, edge: Place) -> Place {
        self.end_by_numbers(None, listing).unwrap_or(edge)
    }

    /// Where a list ends, by equal numbers in what other tracks have of their present runs.
    fn end_by_numbers(&self, own: Option<usize>, listing: &Listing) -> Option<Place> {
        let others = || {
            let feeds = self.feeds.iter().enumerate();
            feeds.filter(move |(index, _)| Some(*index) != own)
        };
        let place_of = |offered: &Offered| {
            let mut marks = others().flat_map(|(_, feed)| feed.axis.present_run());
            let same = marks.find(|mark| {
                let apart = mark.duration.abs_diff(offered.segment.duration);
                mark.number == offered.identity.media_sequence
                    && apart <= mark.duration.scaled(1, 8)
            });
            same.map(|mark| mark.place)
        };
        let mut newest_first = listing.listed.iter().enumerate().rev();
        let (at, place) = newest_first.find_map(|(at, it)| Some((at, place_of(it)?)))?;
        let from_there = listing.listed[at..].iter();
        let rest: Span = from_there.map(|it| it.segment.duration).sum();
        Some(place + rest)
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
        let beside = shared.or(edge.filter(|_| away));
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
                let places = shifts.into_iter().flatten().map(|it| moved(date, it));
                places.into_iter().find(near)
            });
            // The first number from here on that others have as well tells where this one is.
            let by_number = || {
                let others = self.feeds.iter().flat_map(|feed| &feed.axis.marks);
                let mut before = Span::ZERO;
                let place = fresh[at..].iter().find_map(|(run, number, duration)| {
                    let same = |mark: &&Mark| (mark.run, mark.number) == (*run, *number);
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
            if at == 0 && by_date.is_none() && shared.is_some() {
                // It has what the others have: so they tell whether there was a break.
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

    /// The next wakeup that the tracks' being in step needs.
    pub(super) fn aligns_at(&self) -> Option<Timestamp> {
        let moves = self.feeds.iter();
        let moves = moves.filter_map(|feed| feed.moves_at(self.target_duration()));
        [self.begins_at(), self.patience_ends()]
            .into_iter()
            .flatten()
            .chain(moves)
            .min()
    }

    /// Whether what stands first in a track may be appended: while it ends at most a target duration
    /// after what the slowest has (S-26). The slowest itself always may.
    pub(super) fn lets_pass(&self, index: usize) -> bool {
        let feed = &self.feeds[index];
        let (Some(end), Some(slowest)) = (feed.front_ends(), self.slowest()) else {
            return true;
        };
        if self.master.is_none() {
            return true;
        }
        let target_duration = self.target_duration();
        let shown = self.shown_until().map(|until| until + target_duration);
        if !feed.kind().is_waited_for() && shown.is_none_or(|until| until < end) {
            return false;
        }
        let is_slowest = feed.reached.is_none_or(|reached| reached <= slowest);
        is_slowest || end <= slowest + target_duration
    }

    /// Until when there is something to be played: with nothing to be read or sought in it, nobody needs
    /// subtitles, or I-frames.
    fn shown_until(&self) -> Option<Place> {
        let played = self.feeds.iter().filter(|feed| feed.kind().is_waited_for());
        let ends = played.filter_map(|feed| feed.appended_end);
        ends.max().map(|end| moved(end, -self.shift))
    }

    /// How many more segments are on their way to what is published as this track, that wait for no other.
    pub(super) fn has_more_for(&self, track: usize) -> usize {
        let of = |feed: &Feed| feed.track == Some(track);
        let index = self.feeds.iter().position(of);
        let index = index.filter(|it| self.lets_pass(*it));
        index.map_or(0, |it| self.feeds[it].downloader.awaited())
    }

    /// How far the slowest track is that is waited for.
    fn slowest(&self) -> Option<Place> {
        let waited = self.feeds.iter().filter(|feed| feed.is_waited_for());
        waited.filter_map(|feed| feed.reached).min()
    }

    /// How far the fastest of those is that others wait for: nobody is left behind for the sake of subtitles.
    fn fastest(&self) -> Option<Place> {
        let leading = self.feeds.iter().filter(|feed| feed.kind().is_waited_for());
        leading.filter_map(|feed| feed.reached).max()
    }

    /// Whether another track is held up by this one, or has left it far behind, and could go on without it.
    fn holds_up(&self, index: usize, now: Timestamp) -> bool {
        let feed = &self.feeds[index];
        let Some(reached) = feed
            .reached
            .filter(|_| !feed.is_over() && !feed.left_behind)
        else {
            return false;
        };
        if feed.downloader.is_done() && !self.lets_pass(index) {
            // It waits itself.
            return false;
        }
        let ahead = self
            .fastest()
            .is_some_and(|it| it > reached + self.target_duration());
        let held_up = (0..self.feeds.len()).any(|other| other != index && self.is_held_up(other));
        let holds_up = feed.is_waited_for() && held_up && self.slowest() == Some(reached);
        ((ahead || holds_up) && self.goes_on_without(index, now)) || self.keeps_open(index)
    }

    /// Whether a variant has ended, and it is not known of this track, of which nothing is on its way: its list may
    /// have died before it showed an end.
    fn keeps_open(&self, index: usize) -> bool {
        let feed = &self.feeds[index];
        let ended = self.variants().any(Feed::is_over);
        ended && feed.is_waited_for() && feed.downloader.is_empty()
    }

    /// Whether a track that others wait for has something to append, and waits for others itself.
    fn is_held_up(&self, index: usize) -> bool {
        let feed = &self.feeds[index];
        feed.kind().is_waited_for() && feed.downloader.is_done() && !self.lets_pass(index)
    }

    /// Whether there is another track that gets on, or could: where nothing can be had of any, nobody is late.
    fn goes_on_without(&self, index: usize, now: Timestamp) -> bool {
        let stalled = config::stalled_after(self.target_duration());
        (0..self.feeds.len()).any(|other| {
            let feed = &self.feeds[other];
            let stored = feed.downloader.stored_at;
            let gets_on = feed.is_waited_for() && stored.is_some_and(|at| now < at + stalled);
            other != index && (gets_on || self.is_held_up(other))
        })
    }

    /// Whether another track has something again after a long time in which nothing came, and this one was
    /// left behind in that time alone: what has befallen all of them ends for all of them, and before gaps
    /// stand for what is on its way it is waited for once more. What was there before that time, and waits for
    /// others since, is nothing that has come again.
    fn comes_back_with_all(&self, index: usize) -> bool {
        let target_duration = self.target_duration();
        let stalled = config::stalled_after(target_duration);
        let out_of_step = target_duration * config::OUT_OF_STEP_TARGETS;
        let Feed {
            reached, left_at, ..
        } = &self.feeds[index];
        let near = |feed: &Feed| {
            let stood = feed.appended_end.map(|end| moved(end, -self.shift));
            reached.is_some_and(|it| Some(it + out_of_step) >= stood)
        };
        let comes_back = |feed: &Feed| {
            let times = feed.appended_at.zip(feed.downloader.done_at());
            // What had waited for others may have been appended meanwhile.
            let back = feed.loader.healthy_since();
            let again = |(appended, done)| {
                let listed = back.is_some_and(|back| appended < back && back <= done);
                (appended + stalled <= done || listed) && *left_at <= Some(done)
            };
            feed.is_waited_for() && times.is_some_and(again)
        };
        let mut others = self.feeds.iter();
        others.any(|feed| near(feed) && comes_back(feed))
    }

    /// When a track is left behind, if nothing comes until then.
    fn patience_ends(&self) -> Option<Timestamp> {
        let feeds = self.feeds.iter();
        feeds.filter_map(|feed| self.patience_with(feed)).min()
    }

    /// What befell all tracks is over for one before it is over for the next, which is tried again half a
    /// target duration later at most.
    fn patience_with(&self, feed: &Feed) -> Option<Timestamp> {
        let target_duration = self.target_duration();
        let waited = feed.advanced_at + config::stalled_after(target_duration);
        Some(waited.max(feed.holds_up_since? + target_duration))
    }

    /// A track that was left behind has come to the newest that its source has, and gaps stand for that
    /// already: it is out of step, and would stay behind for ever. The others wait for it again. Gives
    /// where it is published.
    pub(super) fn wait_again(&mut self, index: usize) -> Option<usize> {
        let out_of_step = self.target_duration() * config::OUT_OF_STEP_TARGETS;
        let fastest = self.fastest()?;
        let over = self.is_over();
        let feed = &mut self.feeds[index];
        let is_near = feed.reached? + out_of_step >= fastest;
        let waits = feed.left_behind && feed.downloader.is_empty() && is_near && !over;
        feed.left_behind &= !waits;
        feed.track.filter(|_| waits)
    }

    /// Waits once more for those that come back with all.
    pub(super) fn take_back(&mut self) {
        let back =
            |index: &usize| self.feeds[*index].left_behind && self.comes_back_with_all(*index);
        let back: Vec<usize> = (0..self.feeds.len()).filter(back).collect();
        for index in back {
            self.feeds[index].left_behind = false;
        }
    }

    /// The tracks for which nobody waits any longer.
    pub(super) fn leave_behind(&mut self, now: Timestamp) -> Vec<usize> {
        for index in 0..self.feeds.len() {
            let holds_up = self.holds_up(index, now);
            let since = &mut self.feeds[index].holds_up_since;
            *since = holds_up.then(|| since.unwrap_or(now));
        }
        let late = |index: &usize| {
            let patience = self.patience_with(&self.feeds[*index]);
            patience.is_some_and(|at| at <= now)
        };
        let late: Vec<usize> = (0..self.feeds.len()).filter(late).collect();
        for index in &late {
            let feed = &mut self.feeds[*index];
            (feed.left_behind, feed.left_at) = (true, Some(now));
        }
        late
    }
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

fn end_of(listing: &Listing) -> Option<Place> {
    let last = listing.listed.last()?;
    Some(last.place? + last.segment.duration)
}

fn end_of_dates(listing: &Listing) -> Option<Place> {
    let last = listing.listed.last()?;
    Some(last.segment.date_time? + last.segment.duration)
}

/// A place on another axis.
pub(super) fn moved(place: Place, shift: i64) -> Place {
    Place::from_micros(place.as_micros().saturating_add(shift))
}
