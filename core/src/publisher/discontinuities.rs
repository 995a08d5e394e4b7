//! Discontinuities are the channel's: the first track that comes to one opens it, and the others take
//! the same number where they come to the same place (S-25, S-27).

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
}

impl Discontinuities {
    /// As a track that was published tells them: its number before its first segment, and the places of
    /// its discontinuities.
    pub(super) fn restored(first: u64, places: impl Iterator<Item = Place>) -> Self {
        let opened = places.zip(first.saturating_add(1)..).collect();
        Self { opened, first }
    }

    /// The number for a segment at `place` of a track that has come to `last`, or has `taken` it from
    /// the others before it came to it. `own`: this track comes to a discontinuity there. Tracks come to
    /// the same one within a target duration.
    pub(super) fn number(
        &mut self,
        (last, taken): (u64, bool),
        place: Place,
        own: bool,
        target_duration: Span,
    ) -> u64 {
        let reach = target_duration.scaled(1, 8);
        let passed = self
            .opened
            .iter()
            .take_while(|(at, _)| *at <= place + reach);
        let passed = passed
            .last()
            .map_or(self.first, |(_, number)| *number)
            .max(last);
        if !own {
            return passed;
        }
        let least = if taken { last } else { last.saturating_add(1) };
        let near = |(at, number): &&(Place, u64)| {
            *number >= least && at.abs_diff(place) <= target_duration
        };
        let same = self.opened.iter().filter(near);
        if let Some((_, number)) = same.min_by_key(|(at, _)| at.abs_diff(place)) {
            return *number;
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

    /// Whether another track has come to a discontinuity behind `from`, where one that has come to
    /// `last` would come to it already.
    pub(super) fn is_opened_behind(&self, last: u64, from: Place, target_duration: Span) -> bool {
        let mut opened = self.opened.iter();
        opened.any(|(at, number)| {
            *number > last && *at > from && at.abs_diff(from) <= target_duration
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Span = Span::from_secs(6);

    fn at(secs: i64) -> Place {
        Place::from_micros(secs * 1_000_000)
    }

    #[test]
    fn s_25_the_others_take_the_number_of_the_track_that_was_first() {
        let mut all = Discontinuities::default();
        assert_eq!(all.number((0, false), at(0), false, TARGET), 0);
        assert_eq!(all.number((0, false), at(60), true, TARGET), 1);
        // Its own place of it is half a second later, and it stays one discontinuity.
        assert_eq!(all.number((0, false), at(61), true, TARGET), 1);
        assert_eq!(all.number((1, false), at(66), false, TARGET), 1);
        // One that does not mark it takes the number all the same.
        assert_eq!(all.number((0, false), at(54), false, TARGET), 0);
        assert_eq!(all.number((0, false), at(60), false, TARGET), 1);
    }

    #[test]
    fn s_25_a_track_that_missed_two_takes_both_numbers() {
        let mut all = Discontinuities::default();
        assert_eq!(all.number((0, false), at(60), true, TARGET), 1);
        assert_eq!(all.number((1, false), at(90), true, TARGET), 2);
        assert_eq!(all.number((0, false), at(90), true, TARGET), 2);
        assert_eq!(all.number((0, false), at(96), false, TARGET), 2);
    }

    #[test]
    fn s_19_two_of_one_track_within_a_target_duration_stay_two() {
        let mut all = Discontinuities::default();
        assert_eq!(all.number((0, false), at(60), true, TARGET), 1);
        assert_eq!(all.number((1, false), at(62), true, TARGET), 2);
        // The other takes the first early, comes to it, and then to the second.
        assert_eq!(all.number((0, false), at(60), false, TARGET), 1);
        assert_eq!(all.number((1, true), at(60), true, TARGET), 1);
        assert_eq!(all.number((1, false), at(62), true, TARGET), 2);
    }

    #[test]
    fn what_another_track_has_come_to_is_looked_for_a_target_duration_ahead() {
        let mut all = Discontinuities::default();
        assert_eq!(all.number((0, false), at(60), true, TARGET), 1);
        for (last, from, opened) in [
            (0, 54, true),
            (0, 53, false),
            (0, 60, false),
            (1, 54, false),
        ] {
            let behind = all.is_opened_behind(last, at(from), TARGET);
            assert_eq!(behind, opened, "behind {from} s");
        }
    }
}
