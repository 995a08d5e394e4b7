//! A window grows: by a segment, with what was lost before it, or by a gap.

use super::{Terms, Window};
use crate::checkpoint::SavedRung;
use crate::config;
use crate::ids::Generation;
use crate::notice::{Break, Notice};
use crate::planted::Mistake;
use crate::processor::Finished;
use crate::publisher::discontinuities::Discontinuities;
use crate::publisher::entry::{Entry, Seen};
use crate::stage::Stage;
use crate::time::Span;

impl Window {
    /// Appends a segment, after saying what was lost before it. Whether it begins a new run.
    pub(in super::super) fn append(
        &mut self,
        stage: &mut Stage<'_>,
        terms: Terms,
        mut marks: Option<&mut Discontinuities>,
        done: Finished,
        generation: Generation,
    ) -> bool {
        if let Some(lost) = done.lost {
            self.holes.never_listed(lost, terms.window_limit);
        }
        let begins_run =
            std::mem::take(&mut self.begins_run) && !stage.makes(Mistake::NewRunInClosedList);
        let new_run = begins_run && self.media_sequence.is_some();
        let before = self.holes.broken.or(done.broken);
        let broken = before.or(new_run.then_some(Break::NewRun));
        if let Some(why) = broken {
            stage.notify(Notice::Broken { why });
        }
        let late = self.last_grown.is_some_and(|at| {
            let target_duration = terms.target_duration.unwrap_or_default();
            stage.now.monotonic.since(at) > config::stale_after(target_duration)
        });
        self.catching_up |= late || broken.is_some() || !self.holes.is_empty();
        let first = self.entries.len();
        let marked = marks.as_deref_mut();
        let said = self.say_holes(stage, (terms, marked), &done, broken.is_some(), generation);
        let place = done.place.or(self.end()).unwrap_or_default();
        // Gaps that a list begins with have the break before them.
        let breaks = broken.is_some() && self.entries.len() == first;
        let mut segment = done.segment;
        segment.discontinuity |= breaks || said.is_some();
        segment.tags.splice(..0, said.into_iter().flatten());
        self.push(
            stage,
            terms,
            marks,
            Entry {
                segment,
                place,
                stored: done.stored,
                resources: done.resources,
                rungs: done.rungs.into_iter().map(SavedRung::of).collect(),
                hidden: !terms.lists_source,
                identity: Some(done.identity),
                longest_playlist: Span::ZERO,
                appeared: done.appeared,
                generation,
                seen: Seen::Never,
                listed_at: None,
            },
        );
        // What goes on behind a break is no beginning.
        if self.complete && broken.is_some_and(|why| why.is_other_media()) {
            self.begins_at = self.last_number();
        }
        self.take_date_ranges(stage, first, broken);
        begins_run
    }

    pub(in super::super) fn push(
        &mut self,
        stage: &Stage<'_>,
        terms: Terms,
        marks: Option<&mut Discontinuities>,
        mut entry: Entry,
    ) {
        if let Some(marks) = marks {
            self.number(
                stage,
                marks,
                &mut entry,
                terms.target_duration.unwrap_or_default(),
            );
        }
        self.push_numbered(stage, entry);
        if self.began_at.is_none() && self.can_begin() {
            self.began_at = Some(stage.now.monotonic);
        }
    }

    pub(super) fn push_numbered(&mut self, stage: &Stage<'_>, mut entry: Entry) {
        // A channel without a past counts from the wall clock, so that a process that has lost its
        // checkpoint still goes on above everything it ever listed (S-70).
        let secs = stage.now.wall.as_micros().max(0) as u64 / 1_000_000;
        self.media_sequence.get_or_insert(secs);
        self.state_bit_rate(&mut entry);
        self.state_init_section(&mut entry);
        if entry.stored.is_some() {
            self.measured += entry.segment.duration;
        } else {
            // Its name comes from its number, which can change until a version has it.
            entry.segment.uri = "".into();
        }
        let breaks = self.broken_in_gaps || entry.segment.discontinuity;
        self.broken_in_gaps = entry.stored.is_none() && breaks;
        self.entries.push_back(entry);
        self.closing.clear();
        if !self.dirty {
            self.dirty_since = stage.now.monotonic;
        }
        self.dirty = true;
    }

    fn last_number(&self) -> Option<u64> {
        Some(self.media_sequence? + (self.entries.len() as u64).checked_sub(1)?)
    }
}
