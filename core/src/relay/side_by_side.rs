//! How tracks without date-times lie side by side. Numbers of different playlists say nothing of each other (RFC 8216
//! 6.3.2), but matching content has matching discontinuity sequence numbers (6.2.4): so what has not come to a discontinuity
//! ends before it, and where two have come to the same one, it is at one place.

use super::axis::Axis;
use super::feed::Feed;
use super::lane::Lane;
use crate::config;
use crate::time::{Place, Span};

/// A track lies so many microseconds later than it was taken to.
pub(super) struct Moved {
    pub(super) feed: usize,
    pub(super) by: i64,
}

impl Axis {
    /// The discontinuities that it has come to in its present run of the encoder, newest first.
    fn opened(&self) -> impl Iterator<Item = (u64, Place)> {
        let opened = self.present_run().rev().filter(|it| it.opens);
        opened.map(|it| (it.discontinuity_sequence, it.place))
    }

    /// The run that it is in, and the discontinuity.
    fn come_to(&self) -> Option<(u64, u64)> {
        let newest = self.marks.back()?;
        Some((newest.run, newest.discontinuity_sequence))
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

    fn most_out_of_step(&self) -> Span {
        self.target_duration() * config::OUT_OF_STEP_TARGETS
    }

    /// The other tracks in the same run of the encoder, where neither has date-times.
    fn beside(&self, index: usize) -> impl Iterator<Item = &Axis> {
        let run = |axis: &Axis| axis.come_to().map(|it| it.0);
        let own = &self.feeds[index].axis;
        let others = self.feeds.iter().enumerate();
        let others = others.filter(move |(other, _)| *other != index);
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
            let mut there = self.beside(index).flat_map(Axis::opened);
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
        let ahead = self.beside(index).flat_map(Axis::opened);
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
