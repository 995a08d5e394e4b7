//! A window as its list tells it: each entry with its numbers, in the form that stands now.

use super::Window;
use crate::playlist::{MediaPlaylist, PlaylistType, Segment, later_start, start_of, start_tag};
use crate::publisher::entry::Entry;
use crate::time::Span;
use std::sync::Arc;

impl Window {
    /// After EXT-X-ENDLIST nothing changes in a list until its own new run begins (S-15), whatever the
    /// others have come to.
    pub(in super::super) fn as_playlist(
        &self,
        target_duration: Span,
        ended: bool,
    ) -> MediaPlaylist {
        self.as_told(target_duration, ended, |_, _| {})
    }

    /// The same, with each entry's segment told otherwise.
    pub(in super::super) fn as_told(
        &self,
        target_duration: Span,
        ended: bool,
        tell: impl Fn(&Entry, &mut Segment),
    ) -> MediaPlaylist {
        let mut list = MediaPlaylist {
            target_duration,
            media_sequence: self.media_sequence.unwrap_or_default(),
            discontinuity_sequence: self.discontinuity_sequence,
            end_list: ended || self.begins_run,
            independent_segments: self.independent_segments,
            i_frames_only: self.i_frames_only,
            head: self.told_head(),
            segments: self.numbered().collect(),
            ..MediaPlaylist::default()
        };
        list.playlist_type = self.playlist_type.filter(|_| !self.slid);
        if !list.end_list {
            // Until all of it is there it grows, and players would begin at its end.
            list.playlist_type = list.playlist_type.map(|_| PlaylistType::Event);
        }
        let start = self.start();
        if self.begins_with_first && (start > Span::ZERO || !list.end_list) {
            list.head.push(start_tag(start));
        }
        let told = self.entries.iter().zip(&mut list.segments);
        told.for_each(|(entry, segment)| tell(entry, segment));
        self.write_date_ranges(&mut list);
        if list.end_list {
            list.tail.extend(self.closing.iter().cloned());
        }
        list
    }

    /// The entries as they are published: with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = Segment> {
        let first = self.media_sequence.unwrap_or_default();
        let mut discontinuities = self.discontinuity_sequence;
        self.entries
            .iter()
            .zip(first..)
            .map(move |(entry, number)| {
                discontinuities += u64::from(entry.segment.discontinuity);
                let mut segment = Segment {
                    media_sequence: number,
                    discontinuity_sequence: discontinuities,
                    ..entry.segment.clone()
                };
                if entry.stored.is_none() {
                    segment.uri = gap_uri(number);
                }
                segment
            })
    }

    /// How far behind its head that begins which its source has now.
    fn start(&self) -> Span {
        let first = self.media_sequence.unwrap_or_default();
        let before = self.begins_at.unwrap_or_default().saturating_sub(first);
        let before = self.entries.iter().take(before as usize);
        before.map(|it| it.segment.duration).sum()
    }

    /// What its source says of its list as a whole. That tells where players begin from its own first segment on.
    fn told_head(&self) -> Vec<Arc<str>> {
        let told = |line: &Arc<str>| match start_of(line) {
            Some(_) => self.start_here(line),
            None => Some(Arc::clone(line)),
        };
        self.head.iter().filter_map(told).collect()
    }

    /// EXT-X-START of its source, counted from here. Behind the head of a list that slides lies another segment all the
    /// time; what keeps all means one, and where its first is not listed that cannot be told.
    pub(in super::super) fn start_here(&self, line: &str) -> Option<Arc<str>> {
        let is_first = |it: &Entry| {
            let number = it.identity.as_ref().map(|it| it.media_sequence);
            number.is_some() && number == self.first_of_source
        };
        match self.entries.iter().rposition(is_first) {
            Some(before) => {
                let before = self.entries.iter().take(before);
                let by = before.map(|it| it.segment.duration).sum();
                Some(later_start(line, by))
            }
            None => (!self.whole).then(|| line.into()),
        }
    }
}

/// A gap has a name of ours as well: the source's own may hold a token (S-65).
pub(in super::super) fn gap_uri(media_sequence: u64) -> Arc<str> {
    format!("gap-{media_sequence}.ts").into()
}
