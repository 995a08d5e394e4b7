//! What is told of spans of time, beside the segments of a track ([`crate::date_ranges`]).

use super::Publisher;
use super::window::Window;
use crate::date_ranges::{Covered, DateRangeFault};
use crate::loader::ListedRange;
use crate::notice::{Break, Notice};
use crate::playlist::{DateRange, MediaPlaylist};
use crate::stage::Stage;
use std::sync::Arc;

impl Publisher {
    /// Takes what a source's list tells in front of its segment `until`, and what of the rest was told
    /// before.
    pub(crate) fn list_date_ranges(
        &mut self,
        stage: &mut Stage<'_>,
        track: usize,
        listed: &[ListedRange],
        until: u64,
    ) {
        if self.tags.drops("#EXT-X-DATERANGE") {
            return;
        }
        let window = &mut self.windows[track];
        let covered = window.covered();
        if covered.dates.is_none() {
            return;
        }
        let (before, mut faults) = (window.next_number(), Vec::new());
        window.date_ranges.begin_list();
        for it in listed {
            if it.before <= until {
                let ranges = &mut window.date_ranges;
                ranges.take(&it.line, before, covered, &mut faults);
            } else {
                window.date_ranges.is_listed(&it.line);
            }
        }
        window.tell(stage, faults);
    }
}

impl Window {
    /// Takes the date ranges out of the lines of the entries from `first` on. Where nothing listed has a
    /// date-time nobody can tell when one is over: it stays with its segment.
    pub(super) fn take_date_ranges(
        &mut self,
        stage: &mut Stage<'_>,
        first: usize,
        broken: Option<Break>,
    ) {
        if broken.is_some_and(|why| !matches!(why, Break::Hole | Break::JumpedAhead)) {
            self.date_ranges.begin_run();
        }
        let told = |line: &Arc<str>| DateRange::is_told_by(line);
        let mut added = self.entries.iter().skip(first);
        if !added.any(|it| it.segment.tags.iter().any(told)) {
            return;
        }
        let (covered, mut faults) = (self.covered(), Vec::new());
        if covered.dates.is_none() {
            return;
        }
        let numbers = self.media_sequence.unwrap_or_default()..;
        for (number, entry) in numbers.zip(&mut self.entries).skip(first) {
            let ranges = &mut self.date_ranges;
            let mut taken =
                |it: &Arc<str>| told(it) && ranges.take(it, number, covered, &mut faults);
            entry.segment.tags.retain(|it| !taken(it));
        }
        self.tell(stage, faults);
    }

    /// Takes the date ranges out of lines that stood with lost media which had date-times. What follows it has none,
    /// and so they cannot stand before that (S-24). Gives the other lines.
    pub(super) fn take_lost_date_ranges(
        &mut self,
        stage: &mut Stage<'_>,
        mut lines: Vec<Arc<str>>,
    ) -> Vec<Arc<str>> {
        let (before, covered, mut faults) = (self.next_number(), self.covered(), Vec::new());
        let ranges = &mut self.date_ranges;
        lines.retain(|it| {
            let told = DateRange::is_told_by(it);
            if told {
                ranges.take(it, before, covered, &mut faults);
            }
            !told
        });
        self.tell(stage, faults);
        lines
    }

    fn tell(&self, stage: &mut Stage<'_>, faults: Vec<DateRangeFault>) {
        for fault in faults {
            let track = self.name.clone();
            stage.notify(Notice::DateRange { track, fault });
        }
    }

    /// Lets go of what is over for everything that is listed.
    pub(super) fn trim_date_ranges(&mut self) {
        if !self.date_ranges.is_empty() {
            let covered = self.covered();
            self.date_ranges.trim(covered);
        }
    }

    fn covered(&self) -> Covered {
        let dated = || {
            let entries = self.entries.iter().map(|it| &it.segment);
            entries.filter_map(|it| Some((it.date_time?, it.date_time? + it.duration)))
        };
        let first = dated().map(|(begins, _)| begins).min();
        Covered {
            media_sequence: self.media_sequence.unwrap_or_default(),
            dates: first.zip(dated().map(|(_, ends)| ends).max()),
        }
    }

    fn next_number(&self) -> u64 {
        self.media_sequence.unwrap_or_default() + self.entries.len() as u64
    }

    /// Writes each date range in its place: before its segment, before the first one where that has left,
    /// or at the end.
    pub(super) fn write_date_ranges(&self, list: &mut MediaPlaylist) {
        let mut lines = self.date_ranges.lines(list.media_sequence).peekable();
        for segment in &mut list.segments {
            let own = std::iter::from_fn(|| lines.next_if(|it| it.0 <= segment.media_sequence));
            let own: Vec<_> = own.map(|(_, line)| line).collect();
            segment.tags.splice(..0, own);
        }
        list.tail.extend(lines.map(|(_, line)| line));
    }
}
