//! The date ranges of a list: those with segments that are known tell what is new of them, too.

use crate::limits;
use crate::playlist::{DateRange, MediaPlaylist};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// An EXT-X-DATERANGE line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListedRange {
    pub(crate) line: Arc<str>,
    /// The number at the source of the segment before which it stands, or of the one to come.
    pub(crate) before: u64,
}

/// Those of the newest list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListedRanges {
    lines: Vec<ListedRange>,
    /// The run of the encoder.
    run: u64,
    /// Nobody has looked at them yet.
    fresh: bool,
}

impl ListedRanges {
    pub(super) fn new(lines: Vec<ListedRange>, run: u64) -> Self {
        let fresh = true;
        Self { lines, run, fresh }
    }

    /// The run of the encoder is counted otherwise.
    pub(super) fn is_of_run(&mut self, run: u64) {
        self.run = run;
    }

    /// What there is to be looked at once segment `number` is relayed: each list is looked at with the
    /// first segment that is relayed of it, and with its last.
    pub(crate) fn with(&mut self, run: u64, number: u64) -> Option<&[ListedRange]> {
        let is_last = |it: &ListedRange| it.before == number.saturating_add(1);
        let due = self.run == run && (self.fresh || self.lines.last().is_some_and(is_last));
        self.fresh &= !due;
        due.then_some(&self.lines)
    }

    /// What nobody has looked at.
    pub(crate) fn rest(&mut self) -> Option<&[ListedRange]> {
        std::mem::take(&mut self.fresh).then_some(&self.lines)
    }
}

/// The newest of a list, as far as they can be kept. Their assets stay where the source has them.
pub(super) fn of(list: &mut MediaPlaylist, base: &Url) -> Vec<ListedRange> {
    let mut lines = Vec::new();
    let end = list.end_media_sequence();
    let segments = list.segments.iter_mut();
    let of_segments = segments.map(|it| (it.media_sequence, &mut it.tags));
    for (before, tags) in of_segments.chain([(end, &mut list.tail)]) {
        for tag in tags.iter_mut().filter(|it| DateRange::is_told_by(it)) {
            *tag = DateRange::readdressed(tag, base);
            let line = Arc::clone(tag);
            lines.push(ListedRange { line, before });
        }
    }
    lines.drain(..lines.len().saturating_sub(limits::MAX_DATE_RANGES));
    lines
}
