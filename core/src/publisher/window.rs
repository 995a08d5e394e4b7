//! One media playlist as viewers see it: its entries and their numbers.

use super::discontinuities::Discontinuities;
use super::holes::Holes;
use crate::checkpoint::{Identity, SavedEntry, SavedObject, SavedPosition, SavedRung, SavedTrack};
use crate::config::{self, HolePolicy};
use crate::date_ranges::DateRanges;
use crate::formats::Formats;
use crate::ids::{Generation, PlaylistName};
use crate::loader::About;
use crate::notice::{Break, HoleCause, Notice};
use crate::planted::Mistake;
use crate::playlist::{
    MeasuredBandwidth, MediaPlaylist, PlaylistType, Segment, measured_bandwidth,
};
use crate::processor::Finished;
use crate::stage::Stage;
use crate::tags::TagPolicy;
use crate::time::{Place, Span, Timestamp, WallTime};
use crate::track::{Kind, Medium};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bit rates are measured over so many segments.
const MEASURED: usize = 32;
/// A source that states more than that is believed until so much was measured: a film may begin with a still.
const MEASURED_WELL: Span = Span::from_secs(1_800);

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
    /// Of so much media, since this process began.
    #[serde(default)]
    measured: Span,
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

    /// As an earlier process has left it.
    pub(super) fn restored(now: Timestamp, saved: &SavedTrack, ended: bool) -> Self {
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
            slid: saved.playlist_type.is_none(),
            medium: saved.medium.clone(),
            formats: saved.formats.clone(),
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
    pub(super) fn saved(&self, position: Option<SavedPosition>, ended: bool) -> SavedTrack {
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
            head: self.head.clone(),
            closing: self.closing.clone(),
            date_ranges: self.date_ranges.clone(),
            medium: self.medium.clone(),
            formats: self.formats.clone(),
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

    /// Appends a segment, after saying what was lost before it. Whether it begins a new run.
    pub(super) fn append(
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
        let mut segment = done.segment;
        segment.discontinuity |= broken.is_some() || said.is_some();
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

    pub(super) fn push(
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

    fn push_numbered(&mut self, stage: &Stage<'_>, mut entry: Entry) {
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

    /// The channel's discontinuity sequence number for an entry, in place of the source's own mark.
    fn number(
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
    pub(super) fn discontinuities(&self) -> u64 {
        let marked = self.entries.iter().filter(|it| it.segment.discontinuity);
        self.discontinuity_sequence + marked.count() as u64
    }

    /// Takes the first entry out of the list, counted. `listable`: what is listed becomes visible.
    pub(super) fn pop_first(
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
    pub(super) fn cut(&mut self, entries: usize) -> Vec<Entry> {
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
    pub(super) fn clear(&mut self) {
        self.discontinuity_sequence = self.discontinuities();
        let left = self.entries.len() as u64;
        self.media_sequence = self.media_sequence.map(|number| number + left);
        self.entries.clear();
        self.cut_until = None;
        (self.shown, self.comes_late, self.slid) = (false, false, false);
        self.began_at = None;
    }

    /// The entries as they are published: with their numbers.
    fn numbered(&self) -> impl Iterator<Item = Segment> {
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

    /// After EXT-X-ENDLIST nothing changes in a list until its own new run begins (S-15), whatever the
    /// others have come to.
    pub(super) fn as_playlist(&self, target_duration: Span, ended: bool) -> MediaPlaylist {
        self.as_told(target_duration, ended, |_, _| {})
    }

    /// The same, with each entry's segment told otherwise.
    pub(super) fn as_told(
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
            head: self.head.clone(),
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

    fn last_number(&self) -> Option<u64> {
        Some(self.media_sequence? + (self.entries.len() as u64).checked_sub(1)?)
    }

    /// How far behind its head that begins which its source has now.
    fn start(&self) -> Span {
        let first = self.media_sequence.unwrap_or_default();
        let before = self.begins_at.unwrap_or_default().saturating_sub(first);
        let before = self.entries.iter().take(before as usize);
        before.map(|it| it.segment.duration).sum()
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

    /// Bits per second of what is listed.
    pub(super) fn bit_rate(&self) -> u64 {
        let stored = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry, entry.stored.as_ref()?)));
        let (bytes, micros) = stored.fold((0, 0), |(bytes, micros), (entry, stored)| {
            (
                bytes + stored.length,
                micros + entry.segment.duration.as_micros(),
            )
        });
        (u128::from(bytes) * 8_000_000)
            .checked_div(u128::from(micros))
            .unwrap_or(0) as u64
    }

    /// What it is to players, where there are several.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.medium.as_ref().map(|medium| medium.kind)
    }

    /// Where its first entry begins.
    pub(super) fn head(&self) -> Option<Place> {
        self.entries.front().map(|entry| entry.place)
    }

    /// A version was certainly not made visible: nor may those have been that nothing is known of.
    pub(super) fn not_known_to_be_visible(&mut self) {
        let entries = self.entries.iter_mut();
        let unsure = entries.filter(|it| it.seen == Seen::Maybe);
        unsure.for_each(|it| it.listed_at = None);
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

    /// So much was measured that there is hardly more to come.
    pub(super) fn is_known_well(&self) -> bool {
        self.measured >= MEASURED_WELL
    }

    /// Measures the newest segments. What is told to players rises in steps, so that the multivariant
    /// playlist does not change with each segment.
    pub(super) fn measure(&mut self, target_duration: Span) {
        let of = |it: &Entry| Some((it.stored.as_ref()?.length, it.segment.duration));
        measure(
            &mut self.bandwidth,
            self.entries.iter().map(of),
            target_duration,
        );
    }
}

/// Measures the newest of what a list has, gaps being nothing.
pub(super) fn measure(
    known: &mut Option<MeasuredBandwidth>,
    listed: impl DoubleEndedIterator<Item = Option<(u64, Span)>> + ExactSizeIterator,
    target_duration: Span,
) {
    let newest = listed.rev().take(MEASURED).rev();
    let Some(measured) = measured_bandwidth(newest.flatten(), target_duration) else {
        return;
    };
    let grown = |known: u64, now: u64| if now > known + known / 20 { now } else { known };
    *known = Some(known.map_or(measured, |known| MeasuredBandwidth {
        peak: grown(known.peak, measured.peak),
        average: grown(known.average, measured.average),
    }));
}

impl Entry {
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
    fn as_gap(&self, duration: Span) -> Self {
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
    fn earlier(mut self, by: Span) -> Self {
        self.place = self.place - by;
        self.segment.date_time = self.segment.date_time.map(|at| at - by);
        self.segment.date_time_text = None;
        self
    }

    pub(super) fn middle(&self) -> Place {
        self.place + self.segment.duration.half()
    }
}

fn start_tag(at: Span) -> Arc<str> {
    let (secs, micros) = (at.as_micros() / 1_000_000, at.as_micros() % 1_000_000);
    let tag = match micros {
        0 => format!("#EXT-X-START:TIME-OFFSET={secs}"),
        _ => format!("#EXT-X-START:TIME-OFFSET={secs}.{micros:06}"),
    };
    tag.into()
}

/// A gap has a name of ours as well: the source's own may hold a token (S-65).
pub(super) fn gap_uri(media_sequence: u64) -> Arc<str> {
    format!("gap-{media_sequence}.ts").into()
}

#[cfg(test)]
mod tests;
