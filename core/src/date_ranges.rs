//! The date ranges of a track: what the source tells of each is folded by ID, and stays published while
//! its time overlaps what is listed (rules S-23, S-24, C-53).
//!
//! Each stands before the segment with which it was told. What is told of it later is added, and the
//! whole of it then stands at the end of the list: lists change at their ends only. A segment that leaves
//! takes none along whose time is not over.

use crate::limits;
use crate::playlist::DateRange;
use crate::time::WallTime;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// See above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateRanges {
    /// In the order of their places.
    known: Vec<Known>,
    /// Names and beginnings of those that are over, newest last: a name is not used twice.
    used: VecDeque<DateRange>,
    /// Counts the runs of encoders: what another one tells under a known ID may be something else.
    run: u64,
    /// Counts the lists that were looked through.
    list: u64,
    /// There were more than can be kept, and it was told.
    crowded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// As its source names it, where that is another name.
    told_as: Option<DateRange>,
    /// As it is published.
    range: DateRange,
    start: WallTime,
    /// The media sequence number of ours before which it stands.
    before: u64,
    run: u64,
    /// The last list that told of it.
    list: u64,
    /// That it was contradicted was told.
    contradicted: bool,
}

/// What of a date range cannot be relayed; the rest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DateRangeFault {
    /// A later tag says something else of this attribute, or cannot be added to what is told: the first
    /// one stays.
    Contradicted { id: Arc<str>, attribute: Arc<str> },
    /// There are too many: the oldest go.
    TooMany,
}

/// What is listed: its first segment's number, and the times it covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Covered {
    pub(crate) media_sequence: u64,
    /// From the earliest date-time to the latest end.
    pub(crate) dates: Option<(WallTime, WallTime)>,
}

impl DateRanges {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The media goes on from another run of an encoder, or another source.
    pub(crate) fn begin_run(&mut self) {
        self.run += 1;
    }

    /// Another list is looked through.
    pub(crate) fn begin_list(&mut self) {
        self.list += 1;
    }

    /// A line further on in the list that is looked through tells of a date range that is known.
    pub(crate) fn is_listed(&mut self, line: &str) {
        let told = DateRange::read(line);
        let Some(id) = told.as_ref().and_then(DateRange::id) else {
            return;
        };
        let (run, list) = (self.run, self.list);
        let known = self.known.iter_mut().rev();
        let known = known
            .filter(|it| it.run == run)
            .find(|it| it.is_told_as(id));
        known.into_iter().for_each(|it| it.list = list);
    }

    /// Takes what one line tells; what is new stands before the segment `before` of ours. `false` where
    /// nothing can be made of it: not all that it takes is told, or players ignore it.
    pub(crate) fn take(
        &mut self,
        line: &str,
        before: u64,
        covered: Covered,
        faults: &mut Vec<DateRangeFault>,
    ) -> bool {
        let Some(told) = DateRange::read(line) else {
            return false;
        };
        let id = told.id().unwrap_or_default();
        if let Some(at) = self.known.iter().rposition(|it| it.is_told_as(id)) {
            let (run, list) = (self.run, self.list);
            let known = &mut self.known[at];
            // Another encoder may mean something else by it, unless all that it tells is the same.
            let same = known.run == run || told.start().is_some();
            let name = known.range.id().unwrap_or_default();
            match known.range.with(&told.named(name)) {
                Ok(merged) if same => {
                    (known.run, known.list) = (run, list);
                    if merged != known.range {
                        let mut known = self.known.remove(at);
                        (known.range, known.before) = (merged, before);
                        self.known.push(known);
                        self.keep_to_limits(faults);
                    }
                    return true;
                }
                Err(attribute) if known.run == run => {
                    known.list = list;
                    if !std::mem::replace(&mut known.contradicted, true) {
                        let id = id.into();
                        faults.push(DateRangeFault::Contradicted { id, attribute });
                    }
                    return true;
                }
                Ok(_) | Err(_) => {}
            }
        }
        let Some(start) = told.start() else {
            return false;
        };
        let mut new = Known {
            told_as: None,
            range: told,
            start,
            before,
            run: self.run,
            list: self.list,
            contradicted: false,
        };
        // What is over before it can be listed is of no use to anybody. A list that is kept from its beginning tells
        // it with each reload.
        if !self.is_needed(&new, covered) {
            return true;
        }
        let id = new.range.id().unwrap_or_default();
        let name = self.free_name(id, start);
        new.told_as = (name != id).then(|| new.range.bare());
        new.range = new.range.named(&name);
        if new.range.length() <= limits::LINE_BYTES {
            self.known.push(new);
            self.keep_to_limits(faults);
        }
        true
    }

    /// The name at the source, or one like it where that stands for another one already.
    fn free_name(&self, id: &str, start: WallTime) -> String {
        let is_free = |name: &str| {
            let known = self.known.iter().all(|it| it.range.id() != Some(name));
            let mut used = self.used.iter();
            known && used.all(|used| used.id() != Some(name) || used.start() == Some(start))
        };
        // From the run's number on: a source that begins anew all the time is not searched through each time.
        let others = (self.run.max(2)..).map(|n| format!("{id}-{n}"));
        let mut names = std::iter::once(id.to_owned()).chain(others);
        names.find(|name| is_free(name)).unwrap_or_default()
    }

    fn keep_to_limits(&mut self, faults: &mut Vec<DateRangeFault>) {
        let mut bytes: usize = self.known.iter().map(|it| it.range.length()).sum();
        let mut most = 0;
        while self.known.len() - most > limits::MAX_DATE_RANGES || bytes > limits::DATE_RANGE_BYTES
        {
            bytes -= self.known[most].range.length();
            most += 1;
        }
        self.known.drain(..most);
        if most > 0 && !std::mem::replace(&mut self.crowded, true) {
            faults.push(DateRangeFault::TooMany);
        }
    }

    /// The segment of ours with this number is none after all: those behind it count one less.
    pub(crate) fn close_up(&mut self, number: u64) {
        let behind = self.known.iter_mut().filter(|it| it.before > number);
        behind.for_each(|it| it.before -= 1);
    }

    /// Lets go of those that are over.
    pub(crate) fn trim(&mut self, covered: Covered) {
        let needed: Vec<bool> = self
            .known
            .iter()
            .map(|it| it.before >= covered.media_sequence || self.is_needed(it, covered))
            .collect();
        let mut needed = needed.into_iter();
        let used = &mut self.used;
        self.known.retain(|it| {
            let keep = needed.next().unwrap_or(true);
            if !keep {
                used.push_back(it.range.bare());
            }
            keep
        });
        let too_many = self.used.len().saturating_sub(limits::MAX_DATE_RANGES);
        self.used.drain(..too_many);
    }

    /// Whether its time overlaps what is listed or is still to come. Where nobody has told its end, its
    /// source decides by listing it, or it ends as planned.
    fn is_needed(&self, known: &Known, covered: Covered) -> bool {
        let Some((first, last)) = covered.dates else {
            return false;
        };
        let listed = known.list == self.list && known.run == self.run;
        let begins = known.start < last || listed;
        let ends_behind = |end: WallTime| end > first || known.start >= first;
        match self.end_of(known) {
            Some(end) => begins && ends_behind(end),
            // The next of its class is still to come.
            None if known.range.ends_on_next() && known.run == self.run => true,
            None => {
                let planned = known.range.planned_end().unwrap_or(known.start);
                listed || (begins && ends_behind(planned))
            }
        }
    }

    /// Its end as it is told, or where the next of its class begins.
    fn end_of(&self, known: &Known) -> Option<WallTime> {
        if !known.range.ends_on_next() {
            return known.range.end();
        }
        let others = self.known.iter();
        let next = others.filter(|it| it.start > known.start);
        let next = next.filter(|it| it.range.class() == known.range.class());
        next.map(|it| it.start).min()
    }

    /// The line of each, with the number before which it stands: `from` at the least.
    pub(crate) fn lines(&self, from: u64) -> impl Iterator<Item = (u64, Arc<str>)> {
        let lines = self.known.iter();
        lines.map(move |it| (it.before.max(from), it.range.line().into()))
    }
}

impl Known {
    /// Whether its source names it so.
    fn is_told_as(&self, id: &str) -> bool {
        self.told_as.as_ref().unwrap_or(&self.range).id() == Some(id)
    }
}

impl fmt::Display for DateRangeFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradicted { id, attribute } => write!(
                out,
                "the source changes {attribute} of date range '{id}', which it may not: what it said first \
                 stays"
            ),
            Self::TooMany => write!(
                out,
                "too many date ranges at a time: the oldest are left out"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> WallTime {
        WallTime::from_micros(secs * 1_000_000)
    }

    #[test]
    fn what_is_over_leaves_its_name_and_nothing_else_does() {
        let mut ranges = DateRanges::default();
        let covers = |from, to| Covered {
            media_sequence: from,
            dates: Some((at(from as i64), at(to))),
        };
        let line = "#EXT-X-DATERANGE:ID=\"ad\",START-DATE=\"1970-01-01T00:00:10Z\",DURATION=5";
        assert!(ranges.take(line, 9, covers(5, 15), &mut Vec::new()));
        ranges.trim(covers(10, 20));
        assert_eq!((ranges.known.len(), ranges.used.len()), (1, 0));
        ranges.trim(covers(20, 30));
        assert_eq!((ranges.known.len(), ranges.used.len()), (0, 1));
        assert_eq!(ranges.used[0].id(), Some("ad"));
    }

    #[test]
    fn those_behind_a_number_that_no_segment_gets_count_one_less() {
        let mut ranges = DateRanges::default();
        let covered = Covered {
            media_sequence: 5,
            dates: Some((at(5), at(15))),
        };
        for before in [8, 9, 10, 12] {
            let line = format!(
                "#EXT-X-DATERANGE:ID=\"r{before}\",START-DATE=\"1970-01-01T00:00:10Z\",DURATION=5"
            );
            assert!(ranges.take(&line, before, covered, &mut Vec::new()));
        }
        ranges.close_up(9);
        let places: Vec<u64> = ranges.lines(0).map(|it| it.0).collect();
        assert_eq!(places, [8, 9, 9, 11]);
    }
}
