//! One media playlist as viewers see it: its entries and their numbers.
//!
//! It [grows](append) at one end, each entry [behind one of the channel's discontinuities](discontinuity), and what
//! [leaves](leave) at the other is counted. In between stands what its [list] tells, and what of it is [saved].

mod append;
mod discontinuity;
mod leave;
mod list;
mod saved;

use super::entry::{Entry, Seen};
use super::holes::Holes;
use crate::checkpoint::SavedObject;
use crate::config::{self, HolePolicy};
use crate::date_ranges::DateRanges;
use crate::formats::Formats;
use crate::ids::PlaylistName;
use crate::loader::About;
use crate::playlist::{MeasuredBandwidth, PlaylistType};
use crate::tags::TagPolicy;
use crate::time::{Place, Span, Timestamp, WallTime};
use crate::track::{Kind, Medium};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) use list::gap_uri;

/// The window of one track. What holds for all tracks of a channel is in [`Terms`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) name: PlaylistName,
    /// Playlist-level lines of the source, kept as they stood.
    head: Vec<Arc<str>>,
    /// The lines behind the last segment, where the source has ended its list.
    pub(super) closing: Vec<Arc<str>>,
    independent_segments: bool,
    i_frames_only: bool,
    /// As its source says, where nothing is to leave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    playlist_type: Option<PlaylistType>,
    /// Its source keeps all that it ever had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) whole: bool,
    /// And has come to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) complete: bool,
    /// Players are to begin with its first segment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    begins_with_first: bool,
    /// The number of that: what is before it was another source, or another run of the encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begins_at: Option<u64>,
    /// The number of the first segment that its source lists, there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_of_source: Option<u64>,
    /// Something that viewers had has left it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) slid: bool,
    /// The number of the first entry; of the next one to come where there is none.
    pub(super) media_sequence: Option<u64>,
    pub(super) discontinuity_sequence: u64,
    pub(super) entries: VecDeque<Entry>,
    /// What a restart has cut off its head ended there: viewers have had everything before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cut_until: Option<Place>,
    pub(super) holes: Holes,
    pub(super) date_ranges: DateRanges,
    /// The next segment begins a new run, after EXT-X-ENDLIST.
    pub(super) begins_run: bool,
    /// The last version of it had EXT-X-ENDLIST.
    pub(super) closed: bool,
    /// A version of this process with its list has become visible, or may have: viewers may look at it.
    pub(super) shown: bool,
    /// Something has changed since the last version was sent.
    pub(super) dirty: bool,
    /// The last version with a new segment became visible then.
    pub(super) last_grown: Option<Timestamp>,
    /// The target duration that its list states.
    pub(super) stated: Span,
    /// It was changed then, after the last version.
    pub(super) dirty_since: Timestamp,
    /// It had enough for a list that begins then.
    pub(super) began_at: Option<Timestamp>,
    /// Among the gaps since its last segment there was a discontinuity.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) broken_in_gaps: bool,
    /// The discontinuity sequence number that it took from the others, and has not come to itself.
    taken: Option<u64>,
    /// Its source has new segments: a version waits for it.
    pub(super) goes_on: bool,
    /// The lists were closed before it had anything: it is shown once it is whole (S-15).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) comes_late: bool,
    /// How a multivariant playlist describes it.
    pub(super) medium: Option<Medium>,
    /// What the media itself says.
    pub(super) formats: Option<Formats>,
    /// The highest bit rates so far.
    pub(super) bandwidth: Option<MeasuredBandwidth>,
    /// Of so much media.
    #[serde(default)]
    pub(super) measured: Span,
    /// Behind the source after an outage, a hole or a break: the pace of versions is free until the
    /// source's newest segment is listed.
    pub(super) catching_up: bool,
}

/// What holds for all windows of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) window_limit: usize,
    pub(super) hole_policy: HolePolicy,
    pub(super) target_duration: Option<Span>,
    /// The source's own media is listed.
    pub(super) lists_source: bool,
    /// Nothing that the source keeps is to leave.
    pub(super) keeps_all: bool,
}

impl Terms {
    /// How a hole is said. Of several tracks one may have what another has lost: then the timeline goes on.
    pub(super) fn said(&self, several: bool) -> HolePolicy {
        match several {
            true => HolePolicy::Gap,
            false => self.hole_policy,
        }
    }
}

impl Window {
    pub(super) fn new(name: PlaylistName) -> Self {
        Self {
            name,
            head: Vec::new(),
            closing: Vec::new(),
            independent_segments: false,
            i_frames_only: false,
            playlist_type: None,
            whole: false,
            complete: false,
            begins_with_first: false,
            begins_at: None,
            first_of_source: None,
            slid: false,
            media_sequence: None,
            discontinuity_sequence: 0,
            entries: VecDeque::new(),
            cut_until: None,
            holes: Holes::default(),
            date_ranges: DateRanges::default(),
            begins_run: false,
            closed: false,
            shown: false,
            dirty: false,
            last_grown: None,
            stated: Span::ZERO,
            dirty_since: Timestamp::default(),
            began_at: None,
            broken_in_gaps: false,
            taken: None,
            goes_on: false,
            comes_late: false,
            medium: None,
            formats: None,
            bandwidth: None,
            measured: Span::ZERO,
            catching_up: false,
        }
    }

    /// Its list says that each of its segments can be played alone.
    pub(super) fn says_independent(&self) -> bool {
        self.independent_segments
    }

    /// What is listed is not all that there is.
    pub(super) fn is_part(&mut self) {
        self.playlist_type = self.playlist_type.map(|_| PlaylistType::Event);
    }

    /// What the source says of its playlist as a whole.
    pub(super) fn describe(&mut self, about: &About, tags: &TagPolicy, keeps_all: bool) {
        self.playlist_type = about.playlist_type.filter(|_| keeps_all);
        (self.whole, self.complete) = (about.whole, about.complete);
        self.begins_with_first = about.begins_with_first && keeps_all;
        self.first_of_source = about.first;
        // A list that slides has no type, not even one that means nothing (S-16).
        let typed = |line: &str| line.starts_with("#EXT-X-PLAYLIST-TYPE");
        let wanted = |line: &&Arc<str>| !tags.drops(line) && !typed(line);
        self.head = about.head.iter().filter(wanted).cloned().collect();
        self.i_frames_only = about.i_frames_only;
        // A promise about every segment in the list: it can be withdrawn, and not be given again
        // while older segments are listed.
        let claimed = about.independent_segments && !tags.drops("#EXT-X-INDEPENDENT-SEGMENTS");
        self.independent_segments =
            claimed && (self.entries.is_empty() || self.independent_segments);
    }

    /// How much of the store is listed.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(Entry::bytes).sum()
    }

    pub(super) fn duration(&self) -> Span {
        self.entries.iter().map(|it| it.segment.duration).sum()
    }

    /// How many entries no version has listed.
    pub(super) fn fresh(&self) -> usize {
        let fresh = self.entries.iter().filter(|it| it.seen == Seen::Never);
        fresh.count()
    }

    /// Something of it is in a version, or was: what viewers have once been led to goes on (S-11).
    pub(super) fn is_listed(&self) -> bool {
        self.shown || self.entries.iter().any(|it| it.seen > Seen::Never)
    }

    /// Where what viewers know of it ends.
    pub(super) fn shown_end(&self) -> Option<Place> {
        let mut shown = self.entries.iter().rev().filter(|it| it.seen > Seen::Never);
        shown.next().map(Entry::ends)
    }

    /// Its list states another target duration than this.
    pub(super) fn is_raised(&self, target_duration: Span) -> bool {
        self.stated != Span::ZERO && self.stated != target_duration
    }

    /// Enough is stored for a list that begins.
    pub(super) fn can_begin(&self) -> bool {
        let stored = self.entries.iter().filter(|it| it.stored.is_some());
        stored.count() >= config::START_SEGMENTS
    }

    /// Everything that viewers may know, and what it must hold.
    pub(super) fn objects(&self) -> impl Iterator<Item = &SavedObject> {
        self.entries.iter().flat_map(Entry::objects)
    }

    /// What it is to players, where there are several.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.medium.as_ref().map(|medium| medium.kind)
    }

    /// A version was certainly not made visible: nor may those have been that nothing is known of.
    pub(super) fn not_known_to_be_visible(&mut self) {
        let entries = self.entries.iter_mut();
        let unsure = entries.filter(|it| it.seen == Seen::Maybe);
        unsure.for_each(|it| it.listed_at = None);
    }

    /// Where its first entry begins.
    pub(super) fn head(&self) -> Option<Place> {
        self.entries.front().map(|entry| entry.place)
    }

    /// Where its last entry ends.
    pub(super) fn end(&self) -> Option<Place> {
        self.entries.back().map(Entry::ends)
    }

    /// The date-time at which its last entry ends.
    pub(super) fn ends_on(&self) -> Option<WallTime> {
        let last = &self.entries.back()?.segment;
        Some(last.date_time? + last.duration)
    }
}
