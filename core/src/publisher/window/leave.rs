//! What leaves the head of a list is counted, so that players find what is left under the same numbers.

use super::Window;
use crate::config::HolePolicy;
use crate::notice::{HoleCause, Notice};
use crate::planted::Mistake;
use crate::publisher::entry::{Entry, Seen};
use crate::stage::Stage;

impl Window {
    /// Takes the first entry out of the list, counted. `listable`: what is listed becomes visible.
    pub(in super::super) fn pop_first(
        &mut self,
        stage: &mut Stage<'_>,
        (policy, listable): (HolePolicy, bool),
    ) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.slid |= entry.seen > Seen::Never;
        // Where nothing could be listed, there is a hole in the numbers as well: the gaps that are left say too little.
        let forgotten = stage.makes(Mistake::MediaSequenceSkipsGaps) && entry.segment.gap;
        if entry.is_unlisted_gap() && listable && self.takes_break_of(&entry) {
            self.give_back_number();
            return Some(entry);
        }
        if !forgotten {
            self.media_sequence = self.media_sequence.map(|number| number + 1);
        }
        if !stage.makes(Mistake::DiscontinuityLeavesUncounted) {
            self.discontinuity_sequence += u64::from(entry.segment.discontinuity);
        }
        if entry.is_unseen() {
            stage.counters.holes += 1;
            stage.notify(Notice::Hole {
                segments: 1,
                duration: entry.segment.duration,
                said: Some(policy),
                cause: HoleCause::NotPublished,
            });
        }
        Some(entry)
    }

    /// A gap that no version has had has left the head: it was never given a number, as players count one after the
    /// other (S-05).
    fn give_back_number(&mut self) {
        self.date_ranges
            .close_up(self.media_sequence.unwrap_or_default());
    }

    /// A break before a gap that no version has had stands before what follows that one now: without a number that
    /// has left, it cannot be counted as one that has left either (S-17). Whether it can.
    fn takes_break_of(&mut self, gap: &Entry) -> bool {
        if !gap.segment.discontinuity {
            return true;
        }
        let next = self.entries.front_mut();
        let next = next.filter(|it| it.seen == Seen::Never && !it.segment.discontinuity);
        next.map(|it| it.segment.discontinuity = true).is_some()
    }

    /// Takes so many entries out of the head of the list, counted.
    pub(in super::super) fn cut(&mut self, entries: usize) -> Vec<Entry> {
        let mut cut: Vec<Entry> = Vec::new();
        for _ in 0..entries {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            self.slid = true;
            if entry.is_unlisted_gap() && self.takes_break_of(&entry) {
                self.give_back_number();
            } else {
                self.media_sequence = self.media_sequence.map(|number| number + 1);
                self.discontinuity_sequence += u64::from(entry.segment.discontinuity);
            }
            cut.push(entry);
        }
        self.cut_until = cut.last().map(Entry::ends).or(self.cut_until);
        cut
    }

    /// Takes everything out; the numbers go on behind it.
    pub(in super::super) fn clear(&mut self) {
        self.discontinuity_sequence = self.discontinuities();
        let left = self.entries.len() as u64;
        self.media_sequence = self.media_sequence.map(|number| number + left);
        self.entries.clear();
        self.cut_until = None;
        (self.shown, self.comes_late, self.slid) = (false, false, false);
        self.began_at = None;
    }
}

#[cfg(test)]
mod tests;
