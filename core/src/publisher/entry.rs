//! What stands in a list for a segment of the source: its media, or a gap.

use crate::checkpoint::{Identity, SavedObject, SavedRung};
use crate::ids::Generation;
use crate::playlist::Segment;
use crate::time::{Place, Span, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// As published, but for its numbers, which follow from its place.
    pub(super) segment: Segment,
    pub(super) stored: Option<SavedObject>,
    /// What its lines name beside it, in their order: init sections, keys.
    pub(super) resources: Vec<SavedObject>,
    /// What was made of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rungs: Vec<SavedRung>,
    /// The source's own media is not listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) hidden: bool,
    pub(super) identity: Option<Identity>,
    pub(super) longest_playlist: Span,
    pub(super) appeared: Timestamp,
    pub(super) generation: Generation,
    pub(super) seen: Seen,
    /// It was first in a version of this process then that has become visible, or may have.
    pub(super) listed_at: Option<Timestamp>,
    /// Where it begins on the channel's axis.
    pub(super) place: Place,
}

impl Entry {
    pub(super) fn bytes(&self) -> u64 {
        let rungs = self.rungs.iter().map(|it| &it.stored);
        self.stored.iter().chain(rungs).map(|it| it.length).sum()
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &SavedObject> {
        let rungs = self.rungs.iter().map(|it| &it.stored);
        self.stored.iter().chain(&self.resources).chain(rungs)
    }

    pub(super) fn ends(&self) -> Place {
        self.place + self.segment.duration
    }

    /// Media that no version has had.
    pub(super) fn is_unseen(&self) -> bool {
        self.seen == Seen::Never && self.stored.is_some()
    }

    /// A gap that no version has had.
    pub(super) fn is_unlisted_gap(&self) -> bool {
        self.seen == Seen::Never && self.stored.is_none()
    }

    /// What is read as it is; one that is its own init section is none for others.
    pub(super) fn read_with(&self) -> Segment {
        let mut segment = self.segment.clone();
        segment.map = segment.map.filter(|_| !self.is_its_own_init_section());
        segment
    }

    /// A gap of that length in its place.
    pub(super) fn as_gap(&self, duration: Span) -> Self {
        let segment = Segment {
            duration,
            gap: true,
            tags: Vec::new(),
            byte_range: None,
            ..self.segment.clone()
        };
        Self {
            segment,
            stored: None,
            rungs: Vec::new(),
            identity: None,
            listed_at: None,
            ..self.clone()
        }
    }

    /// The same so much earlier.
    pub(super) fn earlier(mut self, by: Span) -> Self {
        self.place = self.place - by;
        self.segment.date_time = self.segment.date_time.map(|at| at - by);
        self.segment.date_time_text = None;
        self
    }

    pub(super) fn middle(&self) -> Place {
        self.place + self.segment.duration.half()
    }
}

/// Whether viewers can know an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Seen {
    /// In no version yet.
    Never,
    /// In a version that may or may not have become visible.
    Maybe,
    /// In a visible version.
    Surely,
}
