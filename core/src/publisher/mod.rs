//! Stage four: the windows that viewers see: numbering, discontinuities, retention.
//!
//! [`Publisher`] appends what is finished to the [`window`] of its track, says [`holes`], and publishes
//! one [`version`] at a time; [`retention`] keeps what has left the lists fetchable for its time. Numbering belongs to the
//! channel: it goes on over every change of source and over a restart (RFC 8216 6.2.1, 6.2.2).

mod bandwidth;
mod discontinuities;
mod entry;
mod head;
mod holes;
mod in_step;
mod ranges;
mod restore;
mod retention;
mod rungs;
mod stated;
mod tracks;
mod version;
mod window;

use crate::checkpoint::{CHECKPOINT_FORMAT, Checkpoint, LeavingObject, SavedObject, SavedPosition};
use crate::config::{self, HolePolicy, KeyPolicy, Spec};
use crate::event::StoreError;
use crate::formats::Formats;
use crate::ids::{Generation, ObjectName, PlaylistName};
use crate::limits;
use crate::loader::About;
use crate::notice::{Break, HoleCause, LadderWaits, Notice};
use crate::planted::Mistake;
use crate::playlist::{self, Segment};
use crate::processor::Finished;
use crate::stage::Stage;
use crate::tags::TagPolicy;
use crate::time::{Span, Timestamp};
use discontinuities::Discontinuities;
use entry::{Entry, Seen};
use restore::Restoring;
use retention::Retention;
use rungs::Board;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tracks::Front;
use version::Version;
use window::{Terms, Window};

pub(crate) use rungs::Shown;

/// The published playlists and everything they list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Publisher {
    /// As it was asked for.
    window_limit: Option<usize>,
    /// How many bytes are listed at most of a source that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most_bytes: Option<u64>,
    hole_policy: HolePolicy,
    tags: TagPolicy,
    #[serde(default)]
    keys: KeyPolicy,
    /// One for all tracks (S-25).
    target_duration: Option<Span>,
    /// One for each track.
    windows: Vec<Window>,
    discontinuities: Discontinuities,
    /// Where the source is a multivariant playlist.
    front: Option<Front>,
    /// Where the channel has a ladder; then there is one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    board: Option<Board>,
    /// Why the ladder that is wanted is not in force, once that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ladder_waits: Option<LadderWaits>,
    /// The multivariant playlist as of the last version.
    entry: Option<Arc<str>>,
    /// It has changed since, or viewers may not have it.
    entry_dirty: bool,
    /// It is that of the process before, and nothing has come of the source since then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    entry_untold: bool,
    ended: bool,
    in_flight: Option<Version>,
    /// Left the list in a version that is not known to be visible.
    leaving: Vec<LeavingObject>,
    retry_at: Option<Timestamp>,
    pub(crate) retention: Retention,
    pub(crate) restoring: Option<Restoring>,
    pub(crate) trouble: Option<StoreError>,
    /// A segment became visible then, and so long after it had appeared.
    pub(crate) listed_at: Option<Timestamp>,
    pub(crate) delay: Option<Span>,
    /// The configuration whose media is visible last.
    pub(crate) generation: Generation,
}

/// The only track of a source that is a media playlist.
pub(crate) const ONLY: usize = 0;

impl Publisher {
    pub(crate) fn new() -> Self {
        Self {
            window_limit: None,
            most_bytes: None,
            hole_policy: HolePolicy::default(),
            tags: TagPolicy::default(),
            keys: KeyPolicy::default(),
            target_duration: None,
            windows: vec![Window::new(PlaylistName(PlaylistName::ENTRY.into()))],
            discontinuities: Discontinuities::default(),
            front: None,
            board: None,
            ladder_waits: None,
            entry: None,
            entry_dirty: false,
            entry_untold: false,
            ended: false,
            in_flight: None,
            leaving: Vec::new(),
            retry_at: None,
            retention: Retention::default(),
            // Whatever a process before left in the store is looked at first.
            restoring: Some(Restoring::Unasked {
                again_at: Timestamp::default(),
            }),
            trouble: None,
            listed_at: None,
            delay: None,
            generation: Generation::default(),
        }
    }

    /// Policies in force from the next version on.
    pub(crate) fn reconfigure(&mut self, spec: &Spec) {
        self.window_limit = spec.window;
        self.most_bytes = spec.room.map(limits::listed_bytes);
        self.hole_policy = spec.hole;
        self.tags.clone_from(&spec.tags);
        self.keys = spec.keys;
        self.ladder_waits = None;
    }

    /// How many segments are listed, unless players need more.
    fn window_limit(&self) -> usize {
        let whole = self.windows.iter().any(|it| it.whole);
        config::window_of(self.window_limit, whole)
    }

    /// No list has a segment.
    pub(crate) fn is_empty(&self) -> bool {
        self.windows.iter().all(|window| window.entries.is_empty())
    }

    /// Nothing that the source keeps is to leave what is listed.
    pub(crate) fn keeps_all(&self) -> bool {
        self.window_limit.is_none() && self.windows.iter().any(|it| it.whole)
    }

    fn terms(&self) -> Terms {
        Terms {
            window_limit: self.window_limit(),
            hole_policy: self.hole_policy,
            target_duration: self.target_duration,
            lists_source: self.lists_source(),
            keeps_all: self.keeps_all(),
        }
    }

    /// What the source says of a track's playlist as a whole.
    pub(crate) fn describe(&mut self, track: usize, about: &About, formats: Option<&Formats>) {
        self.entry_untold = false;
        let window = &mut self.windows[track];
        window.describe(about, &self.tags, self.window_limit.is_none());
        window.formats = formats.cloned();
        self.source_told(formats);
        self.target_duration.get_or_insert(about.target_duration);
    }

    /// Appends a segment to a track, after saying what was lost before it.
    pub(crate) fn append(
        &mut self,
        stage: &mut Stage<'_>,
        track: usize,
        mut done: Finished,
        generation: Generation,
    ) {
        self.drop_tags(&mut done.segment);
        self.take_rungs(stage, &mut done);
        let terms = self.terms();
        let several = self.has_several();
        if let Some(place) = done.place.filter(|_| several) {
            self.begin_beside(stage, track, place, &mut done);
            self.fill_before(stage, track, place, done.lost);
            let shown = self.windows.iter().filter_map(Window::shown_end);
            self.discontinuities.appends(done.run, shown.max());
        }
        let known = self.windows.iter().any(|it| it.media_sequence.is_some());
        let window = &mut self.windows[track];
        if self.ended && known && window.begins_run && window.media_sequence.is_none() {
            // Those that were closed come to it later.
            done.broken = done.broken.or(Some(Break::NewRun));
        }
        let why = window.holes.broken.or(done.broken);
        let undated = done.segment.date_time.is_none();
        let guessed = undated && why.is_some_and(Break::is_of_the_encoder);
        let before = window.entries.len();
        let opened = self.discontinuities.newest();
        let marks = Some(&mut self.discontinuities).filter(|_| several);
        if window.append(stage, terms, marks, done, generation) {
            self.ended = false;
            self.windows.iter_mut().for_each(|it| it.comes_late = false);
        }
        if self.discontinuities.newest() != opened {
            match guessed {
                true => self.discontinuities.is_guessed(),
                false => self.mark_in_others(track),
            }
        }
        self.has_grown(stage, track, before);
        // Only where nothing of it could be listed for a long time.
        while self.windows[track].entries.len() > limits::MAX_WINDOW && self.in_flight.is_none() {
            self.remove_first(stage, track);
        }
    }

    /// A track has what stands behind its first `known` entries since now.
    fn has_grown(&mut self, stage: &mut Stage<'_>, track: usize, known: usize) {
        let added = self.windows[track].entries.iter().skip(known);
        for it in added.clone().flat_map(|entry| &entry.resources) {
            // What was about to go is named again.
            self.leaving.retain(|leaving| leaving.object != it.object);
            self.retention.keep(&it.object);
        }
        let durations: Vec<Span> = added.map(|entry| entry.segment.duration).collect();
        let before = self.target_duration;
        for duration in durations {
            self.fit_target_duration(stage, duration);
        }
        if self.has_several() && self.target_duration != before {
            // One target duration for all, from one version on (S-25).
            self.windows
                .iter_mut()
                .for_each(|it| it.dirty |= !it.entries.is_empty());
        }
    }

    /// A segment that was offered and cannot be had. It is said with the next one, or with the end.
    pub(crate) fn lose(&mut self, track: usize, mut lost: Finished, cause: HoleCause) {
        self.drop_tags(&mut lost.segment);
        self.cut_what_gaps_stand_for(track, &mut lost);
        let limit = self.window_limit();
        self.windows[track].holes.lose(lost, cause, limit);
    }

    /// What the channel does not want of a segment's lines.
    fn drop_tags(&self, segment: &mut Segment) {
        segment.tags.retain(|line| !self.tags.drops(line));
        segment.bit_rate = segment
            .bit_rate
            .filter(|_| !self.tags.drops("#EXT-X-BITRATE"));
    }

    fn fit_target_duration(&mut self, stage: &mut Stage<'_>, duration: Span) {
        let from = self.target_duration.unwrap_or(Span::from_secs(1));
        let fits = playlist::fits_target_duration(duration, from);
        if !fits || stage.makes(Mistake::TargetDurationFalls) {
            let to = match stage.makes(Mistake::TargetDurationRoundedUp) {
                true => Span::from_secs(duration.as_micros().div_ceil(1_000_000)),
                false => playlist::least_target_duration([duration]),
            };
            self.target_duration = Some(to);
            stage.notify(Notice::TargetDurationRaised { from, to });
        }
    }

    /// What the source closes a track's list with.
    pub(crate) fn close_with(&mut self, track: usize, lines: &[Arc<str>]) {
        let wanted = lines.iter().filter(|line| !self.tags.drops(line));
        self.windows[track].closing = wanted.cloned().collect();
    }

    /// Before the lists are closed, as their source has ended: what was lost at the very end is said, and all end together.
    pub(crate) fn say_ends(&mut self, stage: &mut Stage<'_>) {
        if self.ended || self.is_empty() {
            return;
        }
        if !stage.makes(Mistake::EndHoleUnsaid) {
            (0..self.windows.len()).for_each(|track| self.say_end_of(stage, track));
        }
        self.end_in_step(stage);
    }

    fn say_end_of(&mut self, stage: &mut Stage<'_>, track: usize) {
        let (terms, several) = (self.terms(), self.has_several());
        let marks = Some(&mut self.discontinuities).filter(|_| several);
        let window = &mut self.windows[track];
        let before = window.entries.len();
        window.say_last_holes(stage, (terms, marks));
        self.has_grown(stage, track, before);
    }

    /// Closes the presentation: EXT-X-ENDLIST, until a new run begins.
    pub(crate) fn end(&mut self, stage: &mut Stage<'_>) {
        let listed = !self.is_empty();
        let closes = listed && !self.ended;
        self.ended |= listed;
        for window in &mut self.windows {
            window.holes.forget(stage);
            window.dirty |= closes && !window.entries.is_empty();
            (window.begins_run, window.comes_late) = (true, false);
        }
    }

    /// The process is about to end: what is finished is published without regard to the pace.
    pub(crate) fn hurry(&mut self) {
        for window in &mut self.windows {
            window.catching_up = true;
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// The presentation is closed before its source has ended: what is listed is a part, and as long as it was under
    /// way it was told as an EVENT.
    pub(crate) fn end_early(&mut self, stage: &mut Stage<'_>) {
        if !self.ended {
            for window in &mut self.windows {
                window.is_part();
                window.holes.forget(stage);
            }
            self.end_in_step(stage);
        }
        self.end(stage);
    }

    /// Something is listed that viewers can play.
    pub(crate) fn is_listed(&self) -> bool {
        let mut entries = self.windows.iter().flat_map(|window| &window.entries);
        !self.ended && entries.any(|entry| entry.seen == Seen::Surely)
    }

    /// The newest segment of the first track.
    pub(crate) fn newest(&self) -> Option<&Segment> {
        let newest = self.windows.first()?.entries.back();
        newest.map(|entry| &entry.segment)
    }

    pub(crate) fn target_duration(&self) -> Option<Span> {
        self.target_duration
    }

    /// Of the first track.
    pub(crate) fn last_media_sequence(&self) -> Option<u64> {
        let lead = self.windows.first()?;
        let listed = lead.entries.iter().filter(|it| it.seen == Seen::Surely);
        let length = listed.count() as u64;
        let first = lead.media_sequence.filter(|_| length > 0);
        first.map(|first| first + length - 1)
    }

    /// Bits per second of what is listed, all tracks together.
    pub(crate) fn bit_rate(&self) -> u64 {
        self.windows.iter().map(Window::bit_rate).sum()
    }

    /// For the next process: the windows, newest identities last, and where the source of each goes on.
    fn checkpoint(&self, stage: &Stage<'_>, positions: Vec<Option<SavedPosition>>) -> Checkpoint {
        let positions = positions.into_iter().chain(std::iter::repeat(None));
        let tracks = self.windows.iter().zip(positions);
        Checkpoint {
            format: CHECKPOINT_FORMAT,
            saved_at: stage.now.wall,
            target_duration: self.target_duration.unwrap_or(Span::from_secs(1)),
            ended: self.ended,
            entry: self.entry.clone(),
            tracks: tracks
                .map(|(window, position)| window.saved(position, self.ended))
                .collect(),
            retired: if stage.makes(Mistake::CheckpointForgetsRetired) {
                Vec::new()
            } else {
                self.retention.saved(stage.now)
            },
            leaving: self.leaving.clone(),
            rungs: self.board.as_ref().map(Board::saved),
        }
    }

    /// The checkpoint as of now; `None` while nothing was ever published.
    pub(crate) fn saved(
        &self,
        stage: &Stage<'_>,
        positions: Vec<Option<SavedPosition>>,
    ) -> Option<Arc<Checkpoint>> {
        let mut windows = self.windows.iter();
        windows.find(|window| window.media_sequence.is_some())?;
        Some(Arc::new(self.checkpoint(stage, positions)))
    }

    fn remove_first(&mut self, stage: &mut Stage<'_>, track: usize) {
        let how = (self.hole_policy, self.is_listable());
        self.say_not_whole(stage, track);
        let Some(entry) = self.windows[track].pop_first(stage, how) else {
            return;
        };
        // What others name with it stays for its sake as well.
        let promised = entry.segment.duration + entry.longest_playlist;
        for it in &entry.resources {
            let mut others = self.windows.iter_mut().flat_map(|it| &mut it.entries);
            let names = |other: &&mut Entry| other.resources.contains(it);
            if let Some(other) = others.find(names) {
                let longest = promised.saturating_sub(other.segment.duration);
                other.longest_playlist = other.longest_playlist.max(longest);
            }
        }
        for object in self.last_named_by(&entry) {
            // What others had named before was promised for their sake.
            let named = entry.resources.iter().any(|it| it.object == object);
            let promised = named && entry.longest_playlist > Span::ZERO;
            match entry.seen {
                // No viewer can know it: nothing has to wait for a version without it.
                Seen::Never if !promised => self.retention.retire(object, stage.now.monotonic),
                Seen::Never | Seen::Maybe | Seen::Surely => {
                    let mut keep_for = entry.segment.duration + entry.longest_playlist;
                    if stage.makes(Mistake::DeletedTooEarly) {
                        keep_for = entry.segment.duration;
                    }
                    self.leaving.push(LeavingObject { object, keep_for });
                }
            }
        }
    }

    /// The objects of an entry that has left its window, but for those that others name.
    fn last_named_by(&self, entry: &Entry) -> Vec<ObjectName> {
        let rungs = entry.rungs.iter().map(|it| &it.stored);
        let own = entry.stored.iter().chain(rungs);
        let mut last: Vec<ObjectName> = own.map(|it| it.object.clone()).collect();
        // Each segment has an object of its own: only what may be shared is looked for.
        for it in &entry.resources {
            let is_named = self.objects().any(|other| other.object == it.object);
            if !is_named && !last.contains(&it.object) {
                last.push(it.object.clone());
            }
        }
        last
    }

    /// An object that nobody needs for what is to come: it goes, but for one that is listed or was.
    pub(crate) fn release(&mut self, object: ObjectName, now: Timestamp) {
        let is_named = self.objects().any(|it| it.object == object);
        let is_leaving = self.leaving.iter().any(|it| it.object == object);
        if !is_named && !is_leaving && !self.retention.is_waiting(&object) {
            self.retention.retire(object, now);
        }
    }

    /// A segment that is not listed after all, and what was made of it.
    pub(crate) fn release_segment(&mut self, done: &mut Finished, now: Timestamp) {
        let rungs = done.rungs.drain(..).map(|it| it.object);
        let own = done.stored.take().map(|it| it.object);
        for object in rungs.chain(own).collect::<Vec<_>>() {
            self.release(object, now);
        }
    }

    /// Every object that viewers may know, and what it must hold; some stand there more than once.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &SavedObject> {
        self.windows.iter().flat_map(Window::objects)
    }
}
