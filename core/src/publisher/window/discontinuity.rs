//! Which of the channel's discontinuities an entry stands behind: of several tracks each comes to the same ones, whatever
//! its source marks and whatever it has lost (S-25, S-27).

use super::Window;
use crate::publisher::discontinuities::Discontinuities;
use crate::publisher::entry::Entry;
use crate::stage::Stage;
use crate::time::Span;

impl Window {
    /// The channel's discontinuity sequence number for an entry, in place of the source's own mark.
    pub(super) fn number(
        &mut self,
        stage: &Stage<'_>,
        marks: &mut Discontinuities,
        entry: &mut Entry,
        target_duration: Span,
    ) {
        let (last, place) = (self.discontinuities(), entry.place);
        let known = self.media_sequence.is_some();
        // Nothing of it is listed, and what others have there is: with their break it has its own behind it.
        let joins = self.entries.is_empty() && known && marks.are_shown_behind(last, place);
        let own = entry.segment.discontinuity && !joins;
        let taken = self.taken == Some(last);
        let end = self.end();
        let behind = end.filter(|end| *end < place);
        let stands = (end, place, entry.segment.duration);
        let number = marks.number((last, taken), stands, own, target_duration);
        if number > last || own {
            self.taken = Some(number).filter(|_| !own);
        }
        entry.segment.discontinuity = number > last;
        if self.entries.is_empty() && !known {
            // What begins amid a run of the others has nothing of before their break.
            let opened = marks.place_of(number);
            let is_there = |at| place <= at + entry.segment.duration.half();
            entry.segment.discontinuity &= own || opened.is_some_and(is_there);
            self.discontinuity_sequence = number - u64::from(entry.segment.discontinuity);
        } else {
            // A track that has missed one wholly still counts it, where the others have come to it.
            for missed in last + 1..number {
                let opened = marks.place_of(missed).filter(|at| *at < place);
                let before = place.since(opened.max(behind).unwrap_or(place));
                let missed = entry.as_gap(Span::from_millis(1)).earlier(before);
                self.push_numbered(stage, missed);
            }
        }
        // One that has lost what followed it comes to it where the others did (S-27).
        let opened = marks.place_of(number).filter(|_| own && number > last);
        let Some(opened) = opened.filter(|at| *at + entry.segment.duration.half() < place) else {
            return;
        };
        let missing = place.since(opened);
        let pieces = missing
            .as_micros()
            .div_ceil(target_duration.as_micros().max(1));
        let each = missing.scaled(1, pieces);
        for before in (1..=pieces).rev() {
            let mut lost = entry.as_gap(each).earlier(each * before);
            lost.segment.discontinuity = before == pieces;
            self.push_numbered(stage, lost);
        }
        entry.segment.discontinuity = false;
    }

    /// Where the channel's discontinuity sequence has come to in it.
    pub(in super::super) fn discontinuities(&self) -> u64 {
        let marked = self.entries.iter().filter(|it| it.segment.discontinuity);
        self.discontinuity_sequence + marked.count() as u64
    }
}
