//! Discontinuities are the channel's: the first track that comes to one opens it, and the others take
//! the same number where they come to the same place (S-25, S-27).

use crate::config::OUT_OF_STEP_TARGETS;
use crate::time::{Place, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many are remembered: far more than a window has, tracks being out of step included.
const REMEMBERED: usize = 64;

/// Where the channel's discontinuity sequence number rises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Discontinuities {
    /// Places in order, and the number from there on.
    opened: VecDeque<(Place, u64)>,
    /// The number before the first of them.
    first: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guessed: Option<Guessed>,
    /// What is appended is of this run of the encoder.
    #[serde(default)]
    run: u64,
    /// Viewers know what a track has until there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown_until: Option<Place>,
}

/// A discontinuity of which nothing tells where it lies: others may have more of the run before than the track that
/// opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Guessed {
    number: u64,
    /// It begins with this run of the encoder.
    run: u64,
}

impl Discontinuities {
    /// As a track that was published tells them: its number before its first segment, and the places of
    /// its discontinuities.
    pub(super) fn restored(first: u64, places: impl Iterator<Item = Place>) -> Self {
        let opened = places.zip(first.saturating_add(1)..).collect();
        Self {
            opened,
            first,
            guessed: None,
            run: 0,
            shown_until: None,
        }
    }

    /// Where the newest lies was guessed: what others have there of a run before is before it.
    pub(super) fn is_guessed(&mut self) {
        let run = self.run;
        self.guessed = self.newest().map(|(_, number)| Guessed { number, run });
    }

    /// What is appended next is of this run of the encoder. Viewers know what a track has until then.
    pub(super) fn appends(&mut self, run: u64, shown_until: Option<Place>) {
        (self.run, self.shown_until) = (run, shown_until);
    }

    /// Whether viewers know what another track has at `place`, which has come to more than `last` there.
    pub(super) fn are_shown_behind(&self, last: u64, place: Place) -> bool {
        let mut passed = self.opened.iter().take_while(|(at, _)| *at <= place);
        let is_shown = self.shown_until.is_some_and(|until| place < until);
        is_shown && passed.any(|(_, number)| *number > last)
    }

    /// The number for a segment that `lasts` so long from `place` on, of a track that has come to `last`, or has `taken` it from
    /// the others before it came to it. `own`: this track comes to a discontinuity there. Tracks come to
    /// the same one within a target duration; where what this one has ends (`end`) before some place, it has not
    /// passed those that are there, as long as it can be out of step by that much. Nor has it passed one whose place
    /// was guessed, which lies behind what it still has.
    pub(super) fn number(
        &mut self,
        (last, taken): (u64, bool),
        (end, place, lasts): (Option<Place>, Place, Span),
        own: bool,
        target_duration: Span,
    ) -> u64 {
        let reach = target_duration.scaled(1, 8);
        // What is cut off at a discontinuity may be as short.
        let nearly = reach.min(lasts.half());
        let out_of_step = target_duration * OUT_OF_STEP_TARGETS;
        let is_guessed = |number| self.guessed.is_some_and(|it| it.number == number);
        let of_before = self.guessed.filter(|it| end.is_some() && self.run < it.run);
        let is_passed = |(at, number): &&(Place, u64)| match of_before {
            Some(guessed) if guessed.number == *number => *at + out_of_step < place,
            Some(_) | None => *at <= place + nearly,
        };
        let passed = self.opened.iter().take_while(is_passed);
        let passed = passed
            .last()
            .map_or(self.first, |(_, number)| *number)
            .max(last);
        if !own {
            return passed;
        }
        let least = if taken { last } else { last.saturating_add(1) };
        let behind = end.filter(|end| *end < place);
        let near = |(at, number): &&(Place, u64)| {
            let unpassed = *at < place && behind.is_none_or(|end| end <= *at + reach);
            let within = if unpassed || (is_guessed(*number) && *at < place) {
                out_of_step
            } else {
                target_duration
            };
            *number >= least && at.abs_diff(place) <= within
        };
        let same = self.opened.iter().filter(near);
        let same = same.min_by_key(|(at, _)| at.abs_diff(place));
        if let Some((at, number)) = same.copied() {
            let has_more = at < place && end.is_some_and(|end| at < end);
            let moves = |it: &&mut (Place, u64)| has_more && it.1 == number && is_guessed(number);
            if let Some(newest) = self.opened.back_mut().filter(moves) {
                newest.0 = place;
            }
            return number;
        }
        let number = passed.saturating_add(1);
        if self
            .opened
            .back()
            .is_none_or(|(_, newest)| *newest < number)
        {
            self.opened.push_back((place, number));
        }
        if self.opened.len() > REMEMBERED {
            self.first = self.opened.pop_front().map_or(self.first, |it| it.1);
        }
        number
    }

    /// The newest, and where it begins.
    pub(super) fn newest(&self) -> Option<(Place, u64)> {
        self.opened.back().copied()
    }

    /// Where a number begins.
    pub(super) fn place_of(&self, number: u64) -> Option<Place> {
        let mut opened = self.opened.iter().rev();
        opened.find(|it| it.1 == number).map(|it| it.0)
    }

    /// Where numbers begin in so much time from there on.
    pub(super) fn within(&self, from: Place, time: Span) -> impl Iterator<Item = Place> {
        let opened = self.opened.iter().map(|it| it.0);
        opened.filter(move |at| from < *at && *at < from + time)
    }

    /// Where another track has come to the discontinuity that one which has come to `last` comes to next, if that is
    /// behind `from`.
    pub(super) fn opened_behind(&self, last: u64, from: Place) -> Option<Place> {
        let mut opened = self.opened.iter();
        let next = opened.find(|(_, number)| *number > last);
        next.map(|it| it.0).filter(|at| *at > from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Span = Span::from_secs(6);

    fn at(secs: i64) -> Place {
        Place::from_micros(secs * 1_000_000)
    }

    /// Of a track that has all that comes before.
    fn number(all: &mut Discontinuities, come_to: (u64, bool), place: Place, own: bool) -> u64 {
        all.number(come_to, (Some(place), place, TARGET), own, TARGET)
    }

    #[test]
    fn s_25_the_others_take_the_number_of_the_track_that_was_first() {
        let mut all = Discontinuities::default();
        assert_eq!(number(&mut all, (0, false), at(0), false), 0);
        assert_eq!(number(&mut all, (0, false), at(60), true), 1);
        // Its own place of it is half a second later, and it stays one discontinuity.
        assert_eq!(number(&mut all, (0, false), at(61), true), 1);
        assert_eq!(number(&mut all, (1, false), at(66), false), 1);
        // One that does not mark it takes the number all the same.
        assert_eq!(number(&mut all, (0, false), at(54), false), 0);
        assert_eq!(number(&mut all, (0, false), at(60), false), 1);
    }

    #[test]
    fn s_25_what_is_cut_off_right_before_a_discontinuity_is_before_it() {
        let mut all = Discontinuities::default();
        assert_eq!(number(&mut all, (0, false), at(60), true), 1);
        let begins = Place::from_micros(59_900_000);
        for (lasts, expected) in [(Span::from_millis(100), 0), (TARGET, 1)] {
            let cut_off = (Some(begins), begins, lasts);
            assert_eq!(all.number((0, false), cut_off, false, TARGET), expected);
        }
    }

    #[test]
    fn s_25_a_track_that_missed_two_takes_both_numbers() {
        let mut all = Discontinuities::default();
        assert_eq!(number(&mut all, (0, false), at(60), true), 1);
        assert_eq!(number(&mut all, (1, false), at(90), true), 2);
        assert_eq!(number(&mut all, (0, false), at(90), true), 2);
        assert_eq!(number(&mut all, (0, false), at(96), false), 2);
    }

    #[test]
    fn s_27_a_track_that_has_lost_what_follows_a_discontinuity_comes_to_that_one() {
        for (end, place, expected) in [(30, 78, 1), (60, 78, 1), (72, 78, 2), (30, 90, 2)] {
            let mut all = Discontinuities::default();
            assert_eq!(number(&mut all, (0, false), at(60), true), 1);
            let lost = (Some(at(end)), at(place), TARGET);
            let come_to = all.number((0, false), lost, true, TARGET);
            assert_eq!(come_to, expected, "from {end} s to {place} s");
        }
    }

    #[test]
    fn s_19_two_of_one_track_within_a_target_duration_stay_two() {
        let mut all = Discontinuities::default();
        assert_eq!(number(&mut all, (0, false), at(60), true), 1);
        assert_eq!(number(&mut all, (1, false), at(62), true), 2);
        // The other takes the first early, comes to it, and then to the second.
        assert_eq!(number(&mut all, (0, false), at(60), false), 1);
        assert_eq!(number(&mut all, (1, true), at(60), true), 1);
        assert_eq!(number(&mut all, (1, false), at(62), true), 2);
    }

    #[test]
    fn s_19_what_a_track_still_has_of_before_a_break_whose_place_was_guessed_is_before_it() {
        for (end, place, own, expected) in [
            (60, 60, false, 0),
            (66, 72, false, 0),
            // As far as it can be out of step.
            (90, 96, false, 1),
            // It comes to it later, and so does the next one.
            (66, 66, true, 1),
            (72, 72, true, 1),
        ] {
            let mut all = Discontinuities::default();
            all.appends(1, None);
            assert_eq!(number(&mut all, (0, false), at(60), true), 1);
            all.is_guessed();
            all.appends(u64::from(own), None);
            let from = (Some(at(end)), at(place), TARGET);
            let come_to = all.number((0, false), from, own, TARGET);
            assert_eq!(come_to, expected, "from {end} s to {place} s");
            let lies = if own { at(place) } else { at(60) };
            assert_eq!(all.place_of(1), Some(lies));
        }
        // What begins there has nothing of before.
        let mut all = Discontinuities::default();
        assert_eq!(number(&mut all, (0, false), at(60), true), 1);
        all.is_guessed();
        let first = (None, at(60), TARGET);
        assert_eq!(all.number((0, false), first, false, TARGET), 1);
        // Nor has what is of the new run and says no break, as the others have said it.
        assert_eq!(number(&mut all, (0, false), at(60), false), 1);
    }

    #[test]
    fn what_another_track_has_come_to_is_looked_for_ahead() {
        let mut all = Discontinuities::default();
        assert_eq!(number(&mut all, (0, false), at(60), true), 1);
        assert_eq!(number(&mut all, (1, false), at(90), true), 2);
        for (last, from, opened) in [
            (0, 54, Some(60)),
            (0, 60, None),
            // It is there that it comes to the first.
            (0, 66, None),
            (1, 54, Some(90)),
            (2, 54, None),
        ] {
            let behind = all.opened_behind(last, at(from));
            assert_eq!(behind, opened.map(at), "of {last}, behind {from} s");
        }
    }
}
