//! Stage four: the window that viewers see: numbering, discontinuities, retention.
//!
//! [`Publisher`] appends what is finished, says holes, and publishes one version at a time;
//! [`retention`] keeps what has left the list fetchable for its time. Numbering belongs to the
//! channel: it goes on over every change of source and over a restart (RFC 8216 6.2.1, 6.2.2).

mod holes;
mod restore;
mod retention;

use crate::checkpoint::{
    CHECKPOINT_FORMAT, Checkpoint, Identity, LeavingObject, SavedEntry, SavedObject, SavedPosition,
};
use crate::command::{Command, Publish, PublishedPlaylist};
use crate::config::{self, HolePolicy};
use crate::event::StoreError;
use crate::ids::{Generation, ObjectName, RequestId};
use crate::limits;
use crate::loader::About;
use crate::notice::{Break, HoleCause, Notice, StoreWork};
use crate::planted::Mistake;
use crate::playlist::{self, MediaPlaylist, Segment};
use crate::processor::Finished;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use holes::Holes;
use restore::Restoring;
use retention::Retention;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// The published playlist and everything it lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Publisher {
    window_limit: usize,
    hole_policy: HolePolicy,
    /// Playlist-level lines of the source, kept as they stood.
    head: Vec<Arc<str>>,
    independent_segments: bool,
    target_duration: Option<Span>,
    /// The number of the first entry; of the next one to come where there is none.
    media_sequence: Option<u64>,
    discontinuity_sequence: u64,
    window: VecDeque<Entry>,
    holes: Holes,
    ended: bool,
    /// The next segment begins a new run, after EXT-X-ENDLIST.
    begins_run: bool,
    /// Something has changed since the last version was sent.
    dirty: bool,
    in_flight: Option<Version>,
    /// Left the list in a version that is not known to be visible.
    leaving: Vec<LeavingObject>,
    retry_at: Option<Timestamp>,
    /// The last version with a new segment became visible then.
    last_grown: Option<Timestamp>,
    /// Behind the source after an outage, a hole or a break: the pace of versions is free until the
    /// source's newest segment is listed.
    catching_up: bool,
    pub(crate) retention: Retention,
    pub(crate) restoring: Option<Restoring>,
    pub(crate) trouble: Option<StoreError>,
    /// A segment became visible then, and so long after it had appeared.
    pub(crate) listed_at: Option<Timestamp>,
    pub(crate) delay: Option<Span>,
    /// The configuration whose media is visible last.
    pub(crate) generation: Generation,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// As published, but for its numbers, which follow from its place.
    segment: Segment,
    stored: Option<SavedObject>,
    identity: Option<Identity>,
    longest_playlist: Span,
    appeared: Timestamp,
    generation: Generation,
    seen: Seen,
}

/// Whether viewers can know an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Seen {
    /// In no version yet.
    Never,
    /// In a version that may or may not have become visible.
    Maybe,
    /// In a visible version.
    Surely,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    request: RequestId,
    /// How many entries it lists.
    length: usize,
    /// How many of them, at its end, no version before it listed.
    fresh: usize,
    ended: bool,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        Self {
            window_limit: config::DEFAULT_WINDOW,
            hole_policy: HolePolicy::default(),
            head: Vec::new(),
            independent_segments: false,
            target_duration: None,
            media_sequence: None,
            discontinuity_sequence: 0,
            window: VecDeque::new(),
            holes: Holes::default(),
            ended: false,
            begins_run: false,
            dirty: false,
            in_flight: None,
            leaving: Vec::new(),
            retry_at: None,
            last_grown: None,
            catching_up: false,
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
    pub(crate) fn reconfigure(&mut self, window: usize, hole: HolePolicy) {
        self.window_limit = window;
        self.hole_policy = hole;
    }

    /// What the source says of its playlist as a whole.
    pub(crate) fn describe(&mut self, about: &About) {
        self.head.clone_from(&about.head);
        // A promise about every segment in the list: it can be withdrawn, and not be given again
        // while older segments are listed.
        self.independent_segments =
            about.independent_segments && (self.window.is_empty() || self.independent_segments);
        self.target_duration.get_or_insert(about.target_duration);
    }

    /// Appends a segment, after saying what was lost before it.
    pub(crate) fn append(&mut self, stage: &mut Stage<'_>, done: Finished, generation: Generation) {
        if let Some(lost) = done.lost {
            self.holes.never_listed(lost, self.window_limit);
        }
        let new_run = std::mem::take(&mut self.begins_run)
            && self.media_sequence.is_some()
            && !stage.makes(Mistake::NewRunInClosedList);
        if new_run {
            self.ended = false;
        }
        let before = self.holes.broken.or(done.broken);
        let broken = before.or(new_run.then_some(Break::NewRun));
        if let Some(why) = broken {
            stage.notify(Notice::Broken { why });
        }
        let late = self.last_grown.is_some_and(|at| {
            let target_duration = self.target_duration.unwrap_or_default();
            stage.now.monotonic.since(at) > config::stale_after(target_duration)
        });
        self.catching_up |= late || broken.is_some() || !self.holes.is_empty();
        let said = self.say_holes(stage, &done, broken.is_some(), generation);
        let mut segment = done.segment;
        segment.discontinuity |= broken.is_some() || said.is_some();
        segment.tags.splice(..0, said.into_iter().flatten());
        self.fit_target_duration(stage, segment.duration);
        self.push(
            stage,
            Entry {
                segment,
                stored: done.stored,
                identity: Some(done.identity),
                longest_playlist: Span::ZERO,
                appeared: done.appeared,
                generation,
                seen: Seen::Never,
            },
        );
    }

    /// A segment that was offered and cannot be had. It is said with the next one.
    pub(crate) fn lose(&mut self, lost: Finished, cause: HoleCause) {
        self.holes.lose(lost, cause, self.window_limit);
    }

    fn push(&mut self, stage: &mut Stage<'_>, mut entry: Entry) {
        // A channel without a past counts from the wall clock, so that a process that has lost its
        // checkpoint still goes on above everything it ever listed (S-70).
        let secs = stage.now.wall.as_micros().max(0) as u64 / 1_000_000;
        let first = *self.media_sequence.get_or_insert(secs);
        if entry.stored.is_none() {
            // A gap has a name of ours as well: the source's own may hold a token (S-65).
            let number = first + self.window.len() as u64;
            entry.segment.uri = format!("gap-{number}.ts").into();
        }
        self.window.push_back(entry);
        self.dirty = true;
        // Only where nothing of it could be listed for a long time.
        if self.window.len() > limits::MAX_WINDOW && self.in_flight.is_none() {
            self.remove_first(stage);
        }
    }

    fn fit_target_duration(&mut self, stage: &mut Stage<'_>, duration: Span) {
        let from = self.target_duration.unwrap_or(Span::from_secs(1));
        let fits = playlist::fits_target_duration(duration, from);
        if !fits || stage.makes(Mistake::TargetDurationFalls) {
            let to = playlist::least_target_duration([duration]);
            self.target_duration = Some(to);
            stage.notify(Notice::TargetDurationRaised { from, to });
        }
    }

    /// Closes the presentation: EXT-X-ENDLIST, until a new run begins. Holes at the very end stand
    /// before nothing and are not said.
    pub(crate) fn end(&mut self, stage: &mut Stage<'_>) {
        self.holes.forget(stage, self.hole_policy);
        if !self.ended && !self.window.is_empty() {
            self.ended = true;
            self.dirty = true;
        }
        self.begins_run = true;
    }

    /// The process is about to end: what is finished is published without regard to the pace.
    pub(crate) fn hurry(&mut self) {
        self.catching_up = true;
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Everything that should be visible is.
    pub(crate) fn is_settled(&self) -> bool {
        self.in_flight.is_none() && (!self.dirty || self.due().is_none())
    }

    /// Something is listed that viewers can play.
    pub(crate) fn is_listed(&self) -> bool {
        !self.ended && self.window.iter().any(|entry| entry.seen == Seen::Surely)
    }

    pub(crate) fn newest(&self) -> Option<&Segment> {
        self.window.back().map(|entry| &entry.segment)
    }

    pub(crate) fn target_duration(&self) -> Option<Span> {
        self.target_duration
    }

    pub(crate) fn last_media_sequence(&self) -> Option<u64> {
        let length = self
            .window
            .iter()
            .filter(|entry| entry.seen == Seen::Surely)
            .count() as u64;
        self.media_sequence
            .filter(|_| length > 0)
            .map(|first| first + length - 1)
    }

    /// Bits per second of what is listed.
    pub(crate) fn bit_rate(&self) -> u64 {
        let stored = self
            .window
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

    /// The window, newest identities last, for the next process.
    fn checkpoint(&self, stage: &Stage<'_>, position: Option<SavedPosition>) -> Checkpoint {
        let entries = self.window.iter().zip(self.numbered());
        Checkpoint {
            format: CHECKPOINT_FORMAT,
            saved_at: stage.now.wall,
            target_duration: self.target_duration.unwrap_or(Span::from_secs(1)),
            media_sequence: self.media_sequence.unwrap_or_default(),
            discontinuity_sequence: self.discontinuity_sequence,
            ended: self.ended,
            independent_segments: self.independent_segments,
            head: self.head.clone(),
            window: entries
                .map(|(entry, segment)| SavedEntry {
                    segment,
                    stored: entry.stored.clone(),
                    longest_playlist: entry.longest_playlist,
                    identity: entry.identity.clone(),
                })
                .collect(),
            retired: if stage.makes(Mistake::CheckpointForgetsRetired) {
                Vec::new()
            } else {
                self.retention.saved(stage.now)
            },
            leaving: self.leaving.clone(),
            position,
        }
    }

    /// The checkpoint as of now; `None` while nothing was ever published.
    pub(crate) fn saved(
        &self,
        stage: &Stage<'_>,
        position: Option<SavedPosition>,
    ) -> Option<Arc<Checkpoint>> {
        self.media_sequence?;
        Some(Arc::new(self.checkpoint(stage, position)))
    }

    /// The entries as they are published: with their numbers.
    fn numbered(&self) -> impl Iterator<Item = Segment> {
        let first = self.media_sequence.unwrap_or_default();
        let mut discontinuities = self.discontinuity_sequence;
        self.window.iter().zip(first..).map(move |(entry, number)| {
            discontinuities += u64::from(entry.segment.discontinuity);
            Segment {
                media_sequence: number,
                discontinuity_sequence: discontinuities,
                ..entry.segment.clone()
            }
        })
    }

    /// Whether a version is to be published now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due().is_some_and(|at| at <= now)
    }

    /// Publishes the next version. `behind`: the source has more than is appended.
    pub(crate) fn publish_next(
        &mut self,
        stage: &mut Stage<'_>,
        position: Option<SavedPosition>,
        behind: bool,
    ) {
        self.trim(stage);
        self.publish(stage, position);
        self.catching_up &= behind;
    }

    /// When the next version may be published; `None` where there is nothing to publish.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        if !self.dirty || self.in_flight.is_some() || self.restoring.is_some() {
            return None;
        }
        if self.retention.is_withdrawing() {
            return None;
        }
        let listed = self.window.iter().any(|entry| entry.seen > Seen::Never);
        let stored = self
            .window
            .iter()
            .filter(|entry| entry.stored.is_some())
            .count();
        if !listed && !self.ended && stored < config::START_SEGMENTS {
            return None;
        }
        // A new version is not published before half a target duration has passed (S-12).
        let free = self.catching_up || self.ended || self.retry_at.is_some();
        let half = self.target_duration.unwrap_or_default().half();
        let paced = self
            .last_grown
            .filter(|_| !free)
            .map_or(Timestamp::default(), |at| at + half);
        Some(paced.max(self.retry_at.unwrap_or_default()))
    }

    /// Removes from the head what the window does not hold, and never so much that less than three
    /// target durations stay (S-06, S-07), but for lists that would grow without end.
    fn trim(&mut self, stage: &mut Stage<'_>) {
        if self.ended && self.window.iter().all(|entry| entry.seen > Seen::Never) {
            // After EXT-X-ENDLIST the list stays as it is (S-15).
            return;
        }
        let least = self.target_duration.unwrap_or_default() * 3;
        let mut duration: Span = self.window.iter().map(|entry| entry.segment.duration).sum();
        while self.window.len() > self.window_limit {
            let Some(first) = self.window.front() else {
                break;
            };
            let rest = duration.saturating_sub(first.segment.duration);
            // What came in one go is listed in one go; where nothing can be listed, it is lost.
            let awaited = first.seen == Seen::Never && self.trouble.is_none();
            if (rest < least || awaited) && self.window.len() <= limits::MAX_WINDOW {
                break;
            }
            duration = rest;
            self.remove_first(stage);
        }
    }

    fn remove_first(&mut self, stage: &mut Stage<'_>) {
        let Some(entry) = self.window.pop_front() else {
            return;
        };
        let uncounted = stage.makes(Mistake::MediaSequenceSkipsGaps) && entry.segment.gap;
        self.media_sequence = self
            .media_sequence
            .map(|number| number + u64::from(!uncounted));
        if !stage.makes(Mistake::DiscontinuityLeavesUncounted) {
            self.discontinuity_sequence += u64::from(entry.segment.discontinuity);
        }
        if entry.seen == Seen::Never && entry.stored.is_some() {
            stage.counters.holes += 1;
            stage.notify(Notice::Hole {
                segments: 1,
                duration: entry.segment.duration,
                policy: self.hole_policy,
                cause: HoleCause::NotPublished,
            });
        }
        let Some(stored) = entry.stored else { return };
        let object = stored.object;
        match entry.seen {
            // No viewer can know it: nothing has to wait for a version without it.
            Seen::Never => self.retention.retire(object, stage.now.monotonic),
            Seen::Maybe | Seen::Surely => {
                let mut keep_for = entry.segment.duration + entry.longest_playlist;
                if stage.makes(Mistake::DeletedTooEarly) {
                    keep_for = entry.segment.duration;
                }
                self.leaving.push(LeavingObject { object, keep_for });
            }
        }
    }

    fn publish(&mut self, stage: &mut Stage<'_>, position: Option<SavedPosition>) {
        let text = playlist::render(&self.as_playlist());
        let duration: Span = self.window.iter().map(|entry| entry.segment.duration).sum();
        let fresh = self
            .window
            .iter()
            .filter(|entry| entry.seen == Seen::Never)
            .count();
        for entry in &mut self.window {
            entry.longest_playlist = entry.longest_playlist.max(duration);
            entry.seen = entry.seen.max(Seen::Maybe);
        }
        let request = stage.request();
        let target_duration = self.target_duration.unwrap_or_default();
        stage.commands.push(Command::Publish(Publish {
            request,
            generation: self
                .window
                .back()
                .map_or(self.generation, |entry| entry.generation),
            epoch: stage.epoch,
            playlists: vec![PublishedPlaylist::entry(text)],
            max_age: target_duration.half(),
            segment_max_age: duration,
            checkpoint: Arc::new(self.checkpoint(stage, position)),
        }));
        self.in_flight = Some(Version {
            request,
            length: self.window.len(),
            fresh,
            ended: self.ended,
        });
        self.dirty = false;
        self.retry_at = None;
    }

    fn as_playlist(&self) -> MediaPlaylist {
        MediaPlaylist {
            target_duration: self.target_duration.unwrap_or(Span::from_secs(1)),
            media_sequence: self.media_sequence.unwrap_or_default(),
            discontinuity_sequence: self.discontinuity_sequence,
            end_list: self.ended,
            independent_segments: self.independent_segments,
            head: self.head.clone(),
            segments: self.numbered().collect(),
            ..MediaPlaylist::default()
        }
    }

    /// Takes the completion of the version under way; `false` where the request is another's.
    pub(crate) fn published(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<(), StoreError>,
    ) -> bool {
        let Some(version) = self.in_flight.take_if(|version| version.request == request) else {
            return false;
        };
        match outcome {
            Ok(()) => self.visible(stage, &version),
            Err(error) => {
                stage.counters.retries += 1;
                if self.trouble.is_none() {
                    let (what, error) = (StoreWork::Publish, error.clone());
                    stage.notify(Notice::StoreFailed { what, error });
                }
                self.trouble = Some(error.clone());
                let knows = *error != StoreError::Unknown;
                if knows || stage.makes(Mistake::LostReplyTakenForFailure) {
                    // No entry leaves the window while a version is under way.
                    let listed = self.window.iter_mut().take(version.length);
                    listed
                        .skip(version.length - version.fresh)
                        .for_each(|it| it.seen = Seen::Never);
                }
                self.dirty = true;
                self.retry_at = Some(stage.now.monotonic + config::PUBLISH_RETRY);
            }
        }
        true
    }

    fn visible(&mut self, stage: &mut Stage<'_>, version: &Version) {
        let now = stage.now.monotonic;
        self.trouble = None;
        if version.fresh > 0 {
            self.last_grown = Some(now);
        }
        for entry in self.window.iter_mut().take(version.length) {
            if entry.seen < Seen::Surely {
                entry.seen = Seen::Surely;
                stage.counters.segments += 1;
                self.listed_at = Some(now);
                self.delay = Some(now.since(entry.appeared));
                self.generation = entry.generation;
            }
        }
        self.let_go(now);
        if version.ended && self.ended {
            self.keep_closed_list_from(now);
        }
    }

    /// No visible version lists these any more: their time begins.
    fn let_go(&mut self, now: Timestamp) {
        for LeavingObject { object, keep_for } in self.leaving.drain(..) {
            self.retention.retire(object, now + keep_for);
        }
    }

    /// A closed list stays for as long as a player that loads it now needs it (S-46); one that its
    /// source has closed stays until its owner wants it stopped, and for that long from then on.
    pub(crate) fn keep_closed_list_from(&mut self, now: Timestamp) {
        let entries = self.window.iter();
        let longest = entries
            .map(|it| it.segment.duration + it.longest_playlist)
            .max();
        self.retention.list_ended(now + longest.unwrap_or_default());
    }

    /// When a closed list may be taken down; `None` while something else must happen first.
    pub(crate) fn take_down_due(&self) -> Option<Timestamp> {
        let possible = self.in_flight.is_none() && !self.dirty && self.ended;
        self.retention.take_down_at().filter(|_| possible)
    }

    /// Every object that viewers may know, and what it must hold.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &SavedObject> {
        self.window.iter().filter_map(|entry| entry.stored.as_ref())
    }

    /// The time of a closed presentation has passed: takes everything down.
    pub(crate) fn take_down(&mut self, stage: &mut Stage<'_>) {
        let objects: Vec<ObjectName> = self.objects().map(|stored| stored.object.clone()).collect();
        self.media_sequence = self
            .media_sequence
            .map(|number| number + self.window.len() as u64);
        let discontinuities = self
            .window
            .iter()
            .filter(|entry| entry.segment.discontinuity);
        self.discontinuity_sequence += discontinuities.count() as u64;
        self.window.clear();
        self.ended = false;
        self.retention.withdraw(stage, objects);
    }
}
