//! How tracks without date-times lie side by side. Numbers of different playlists say nothing of each other (RFC 8216
//! 6.3.2), but matching content has matching discontinuity sequence numbers (6.2.4): so what has not come to a discontinuity
//! ends before it, and where two have come to the same one, it is at one place.
//!
//! Some sources do not state those numbers, or always the same. So what tracks count is put on one count when they are first
//! laid side by side: the one by which they are least out of step, unless they are believably so by what they state.

use super::axis::{Axis, MARKS};
use super::feed::Feed;
use super::lane::Lane;
use crate::config;
use crate::time::{Place, Span};

/// So many numbers of discontinuities are tried at most where it is looked for the one that fits.
const MOST_TRIED: usize = 2 * MARKS;

/// A track lies so many microseconds later than it was taken to.
pub(super) struct Moved {
    pub(super) feed: usize,
    pub(super) by: i64,
}

impl Axis {
    /// The discontinuities that it has come to in its present run of the encoder, newest first.
    fn opened(&self) -> impl Iterator<Item = (i64, Place)> {
        let opened = self.present_run().rev().filter(|it| it.opens);
        opened.map(|it| (it.discontinuity_sequence, it.place))
    }

    /// The run that it is in, and the discontinuity.
    fn come_to(&self) -> Option<(u64, i64)> {
        let newest = self.marks.back()?;
        Some((newest.run, newest.discontinuity_sequence))
    }

    /// Before which place the discontinuity of a number does not lie, and behind which.
    fn lies(&self, number: i64) -> (Option<Place>, Option<Place>) {
        let mut ended = None;
        for mark in self.present_run() {
            if mark.discontinuity_sequence >= number {
                let opens = mark.opens && mark.discontinuity_sequence == number;
                let place = Some(mark.place);
                return (if opens { place } else { ended }, place);
            }
            ended = Some(mark.end());
        }
        (self.next, None)
    }

    /// The numbers between which it is in its present run.
    fn counts(&self) -> Option<(i64, i64)> {
        let first = self.present_run().next()?;
        let last = self.marks.back()?;
        Some((first.discontinuity_sequence, last.discontinuity_sequence))
    }

    /// How far it is out of step with another one, if its numbers are so much higher.
    fn apart(&self, other: &Self, by: i64) -> Span {
        let told = |axis: &Self| {
            let edges = axis
                .counts()
                .map(|(first, last)| [first, last.saturating_add(1)]);
            let opened: Vec<i64> = axis.opened().map(|it| it.0).collect();
            edges.into_iter().flatten().chain(opened)
        };
        let numbers = told(self).chain(told(other).map(|number| number.saturating_sub(by)));
        let apart = numbers.map(|number| {
            let (own, other) = (self.lies(number), other.lies(number.saturating_add(by)));
            let late = own.0.zip(other.1).map(|(own, other)| own.since(other));
            let early = other.0.zip(own.1).map(|(other, own)| other.since(own));
            late.max(early).unwrap_or_default()
        });
        apart.max().unwrap_or_default()
    }

    /// By how much it lies too late beside another one, which begins behind a discontinuity that it lists.
    fn late_beside(&self, other: &Self) -> Span {
        let late = self.opened().filter_map(|(number, place)| {
            let (before, begins) = other.lies(number);
            Some(place.since(begins.filter(|_| before.is_none())?))
        });
        late.max().unwrap_or_default()
    }

    /// All its numbers are so much higher.
    fn count_higher(&mut self, by: i64) {
        let run = self.marks.back().map(|it| it.run);
        let marks = self.marks.iter_mut().filter(|it| Some(it.run) == run);
        marks.for_each(|it| {
            it.discontinuity_sequence = it.discontinuity_sequence.saturating_add(by);
        });
    }

    /// All that is known of it lies so much later.
    pub(super) fn shift_by(&mut self, by: i64) {
        let places = self.marks.iter_mut().map(|it| &mut it.place);
        let places = places.chain(&mut self.next);
        places.for_each(|place| *place = place.shifted_by(by));
    }
}

impl Lane {
    /// Puts tracks right where one of them has told what is new. Gives those that lie elsewhere now.
    pub(super) fn put_right(&mut self, index: usize) -> Vec<Moved> {
        self.put_right_among(index, |_| true)
    }

    /// The same, of some of them: the others are put right with the next list.
    pub(super) fn put_right_among(
        &mut self,
        index: usize,
        is_among: impl Fn(usize) -> bool,
    ) -> Vec<Moved> {
        let own = self.apart_at_discontinuity(index);
        let mut moves: Vec<Moved> = own.into_iter().collect();
        for feed in (0..self.feeds.len()).filter(|feed| is_among(*feed)) {
            moves.extend(self.hold_before_discontinuity(feed));
        }
        moves.retain(|it| it.by != 0);
        moves
    }

    /// Lays a track that has told its first list beside those that are there. Gives by how much it lies elsewhere now.
    pub(super) fn lay_beside(
        &mut self,
        index: usize,
        is_there: impl Fn(usize) -> bool,
    ) -> Option<Moved> {
        self.count_beside(index, &is_there);
        let axis = &self.feeds[index].axis;
        let others = || self.beside(index, &is_there);
        let late = others().map(|it| axis.late_beside(it)).max()?;
        let early = others().map(|it| it.late_beside(axis)).max()?;
        let by = micros(early) - micros(late);
        if by == 0 || late.max(early) > self.most_out_of_step() {
            return None;
        }
        self.feeds[index].shift_by(by);
        Some(Moved { feed: index, by })
    }

    /// Puts what a track counts in a run on one count with the others.
    pub(super) fn count_beside(&mut self, index: usize, is_there: impl Fn(usize) -> bool) {
        let axis = &self.feeds[index].axis;
        let others: Vec<&Axis> = self.beside(index, is_there).collect();
        let apart = |by: i64| others.iter().map(|it| axis.apart(it, by)).max();
        let states = self.feeds.iter().any(|it| it.axis.states);
        if states && apart(0) <= Some(self.most_out_of_step()) {
            return;
        }
        let met = others.iter().filter_map(|it| {
            let ((own_first, own_last), (first, last)) = (axis.counts()?, it.counts()?);
            Some(first.saturating_sub(own_last)..=last.saturating_sub(own_first))
        });
        // Where numbers leap within a list, not all of them are tried.
        let met = met.flat_map(|it| it.take(MOST_TRIED));
        let least = met.min_by_key(|by| (apart(*by), by.unsigned_abs()));
        if let Some(by) = least {
            self.feeds[index].axis.count_higher(by);
        }
    }

    fn most_out_of_step(&self) -> Span {
        self.target_duration() * config::OUT_OF_STEP_TARGETS
    }

    /// The other tracks in the same run of the encoder, where neither has date-times.
    fn beside(
        &self,
        index: usize,
        is_among: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = &Axis> {
        let run = |axis: &Axis| axis.come_to().map(|it| it.0);
        let own = &self.feeds[index].axis;
        let others = self.feeds.iter().enumerate();
        let others = others.filter(move |(other, _)| *other != index && is_among(*other));
        let undated = |axis: &Axis| axis.shift.is_none();
        let others = others.map(|(_, feed)| &feed.axis);
        others.filter(move |it| undated(own) && undated(it) && run(it) == run(own))
    }

    /// It has come to a discontinuity that another one has come to before: then it lies where that one has it.
    fn apart_at_discontinuity(&mut self, index: usize) -> Option<Moved> {
        let (run, _) = self.feeds[index].axis.come_to()?;
        let most = self.most_out_of_step();
        let axis = &self.feeds[index].axis;
        let agreed = axis.agreed.filter(|it| it.0 == run).map(|it| it.1);
        let fresh = axis.opened().take_while(|it| Some(it.0) > agreed);
        let (number, here, there) = fresh.into_iter().find_map(|(number, here)| {
            let mut there = self.beside(index, |_| true).flat_map(Axis::opened);
            let (_, there) = there.find(|it| it.0 == number && it.1.abs_diff(here) <= most)?;
            Some((number, here, there))
        })?;
        let by = there.as_micros().saturating_sub(here.as_micros());
        let feed = &mut self.feeds[index];
        (feed.axis.agreed, feed.axis.held_back) = (Some((run, number)), Span::ZERO);
        feed.axis.passes_over = false;
        feed.shift_by(by);
        Some(Moved { feed: index, by })
    }

    /// Others have come to a discontinuity that it has not come to: so what it has ends before that, as far as tracks may be
    /// out of step. One that goes on behind it all the same does not tell of discontinuities.
    fn hold_before_discontinuity(&mut self, index: usize) -> Option<Moved> {
        let most = self.most_out_of_step();
        let axis = &self.feeds[index].axis;
        let (_, come_to) = axis.come_to().filter(|_| !axis.passes_over)?;
        let ahead = self.beside(index, |_| true).flat_map(Axis::opened);
        let (_, begins) = ahead.filter(|it| it.0 > come_to).min()?;
        let over = axis.next?.since(begins);
        if over == Span::ZERO {
            return None;
        }
        let feed = &mut self.feeds[index];
        let held_back = feed.axis.held_back + over;
        let by = match held_back <= most {
            true => {
                feed.axis.held_back = held_back;
                -micros(over)
            }
            false => {
                feed.axis.passes_over = true;
                micros(std::mem::take(&mut feed.axis.held_back))
            }
        };
        feed.shift_by(by);
        Some(Moved { feed: index, by })
    }
}

impl Feed {
    /// It lies so much later, with all that is on its way and all that has left.
    fn shift_by(&mut self, by: i64) {
        self.axis.shift_by(by);
        self.downloader.shift_by(by);
        let places = [&mut self.reached, &mut self.appended_end];
        let places = places.into_iter().flatten();
        places.for_each(|place| *place = place.shifted_by(by));
    }
}

fn micros(span: Span) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
