//! What of a window outlives the process, and what a process after it makes of that.

use super::Window;
use crate::checkpoint::{SavedEntry, SavedPosition, SavedTrack};
use crate::ids::Generation;
use crate::publisher::entry::{Entry, Seen};
use crate::time::Timestamp;

impl Window {
    /// As an earlier process has left it.
    pub(in super::super) fn restored(now: Timestamp, saved: &SavedTrack, ended: bool) -> Self {
        let entry = |it: &SavedEntry| Entry {
            segment: it.segment.clone(),
            stored: it.stored.clone(),
            resources: it.resources.clone(),
            rungs: it.rungs.clone(),
            hidden: it.hidden,
            identity: it.identity.clone(),
            longest_playlist: it.longest_playlist,
            appeared: now,
            generation: Generation::default(),
            seen: Seen::Surely,
            listed_at: None,
            place: it.place,
        };
        let gaps = saved.window.iter().rev();
        let mut gaps = gaps.take_while(|it| it.stored.is_none());
        let broken_in_gaps = gaps.any(|it| it.segment.discontinuity);
        Self {
            broken_in_gaps,
            head: saved.head.clone(),
            closing: saved.closing.clone(),
            date_ranges: saved.date_ranges.clone(),
            independent_segments: saved.independent_segments,
            i_frames_only: saved.i_frames_only,
            playlist_type: saved.playlist_type,
            whole: saved.whole,
            complete: saved.complete,
            begins_with_first: saved.begins_with_first,
            begins_at: saved.begins_at,
            first_of_source: saved.first_of_source,
            slid: saved.playlist_type.is_none(),
            medium: saved.medium.clone(),
            formats: saved.formats.clone(),
            bandwidth: saved.bandwidth,
            measured: saved.measured,
            // One that had not begun has no number yet.
            media_sequence: Some(saved.media_sequence)
                .filter(|number| *number > 0 || !saved.window.is_empty()),
            discontinuity_sequence: saved.discontinuity_sequence,
            entries: saved.window.iter().map(entry).collect(),
            begins_run: ended || saved.still_ended,
            closed: ended,
            ..Self::new(saved.name.clone())
        }
    }

    /// For the next process; `position` is where its source goes on.
    pub(in super::super) fn saved(
        &self,
        position: Option<SavedPosition>,
        ended: bool,
    ) -> SavedTrack {
        // What nobody was to see yet is begun again.
        let entries = self.entries.iter().zip(self.numbered());
        let entries = entries.filter(|_| !self.comes_late);
        let number = self.media_sequence.filter(|_| !self.comes_late);
        SavedTrack {
            name: self.name.clone(),
            media_sequence: number.unwrap_or_default(),
            discontinuity_sequence: self.discontinuity_sequence,
            independent_segments: self.independent_segments,
            i_frames_only: self.i_frames_only,
            playlist_type: self.playlist_type.filter(|_| !self.slid),
            whole: self.whole,
            complete: self.complete,
            begins_with_first: self.begins_with_first,
            begins_at: self.begins_at,
            first_of_source: self.first_of_source,
            head: self.head.clone(),
            closing: self.closing.clone(),
            date_ranges: self.date_ranges.clone(),
            medium: self.medium.clone(),
            formats: self.formats.clone(),
            bandwidth: self.bandwidth,
            measured: self.measured,
            window: entries
                .map(|(entry, segment)| SavedEntry {
                    segment,
                    stored: entry.stored.clone(),
                    resources: entry.resources.clone(),
                    rungs: entry.rungs.clone(),
                    hidden: entry.hidden,
                    longest_playlist: entry.longest_playlist,
                    identity: entry.identity.clone(),
                    place: entry.place,
                })
                .collect(),
            position,
            still_ended: self.begins_run && !ended && !self.entries.is_empty(),
        }
    }
}
