//! Where segments stand on a time axis that the tracks of a source share: by date-times, else by taking live edges for the
//! same moment, put right by equal media sequence numbers where that is believable ([`super::places`]), and by
//! discontinuities ([`super::side_by_side`]). Here is what is known of one track.

use crate::checkpoint::Identity;
use crate::loader::{Listing, Offered};
use crate::time::{Place, Span};
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
    pub(super) number: u64,
    pub(super) place: Place,
    duration: Span,
    /// Counted on from the first that was stated in its run, and on one count with other tracks (`side_by_side`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) discontinuity_sequence: i64,
    /// It follows the discontinuity of that number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) opens: bool,
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
    pub(super) fn end_of(&self, listing: &Listing) -> Option<Place> {
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
    pub(super) fn is_cut_as(&self, listing: &Listing) -> bool {
        self.present_run().all(|mark| {
            let mut listed = listing.listed.iter();
            let same = listed.find(|it| it.identity.media_sequence == mark.number);
            same.is_none_or(|it| mark.is_as_long_as(it.segment.duration))
        })
    }

    /// What is known of the present run, and what follows, is so much later.
    pub(super) fn delay(&mut self, by: Span) {
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
    pub(super) fn is_as_long_as(&self, duration: Span) -> bool {
        self.duration.abs_diff(duration) <= self.duration.scaled(1, 8)
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
