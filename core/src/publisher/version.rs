//! One version of the playlists at a time: when it is due, what it holds, and when it is visible.

use super::Publisher;
use super::entry::Seen;
use super::rungs::Board;
use super::window::Window;
use crate::checkpoint::{LeavingObject, SavedPosition};
use crate::command::{Command, Publish, PublishedPlaylist};
use crate::config;
use crate::event::StoreError;
use crate::ids::{ObjectName, RequestId};
use crate::notice::{Notice, StoreWork};
use crate::planted::Mistake;
use crate::playlist;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A version under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    request: RequestId,
    lists: Vec<Listed>,
    /// It holds the multivariant playlist.
    entry: bool,
    ended: bool,
}

/// What a version lists of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    track: usize,
    /// How many entries.
    length: usize,
    /// How many of them, at its end, no version before it listed.
    fresh: usize,
}

impl Publisher {
    /// Whether a version is to be published now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due().is_some_and(|at| at <= now)
    }

    /// Everything that should be visible is.
    pub(crate) fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.due().is_none()
    }

    /// When the next version may be published; `None` where there is nothing to publish.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        if self.in_flight.is_some() || self.restoring.is_some() || self.retention.is_withdrawing() {
            return None;
        }
        let opens = match &self.board {
            Some(board) => self.rungs_open_at(board)?,
            None => self.opens_at()?.max(self.gathers_until()),
        };
        let windows = self.windows.iter();
        let due = windows.filter_map(|window| self.due_of(window)).min();
        due.map(|at| at.max(opens))
    }

    /// When a track's list may change.
    fn due_of(&self, window: &Window) -> Option<Timestamp> {
        let begins = window.is_listed() || self.ended || window.can_begin();
        if !window.dirty || !begins || window.comes_late {
            return None;
        }
        // A new version is not published before half a target duration has passed (S-12).
        let free = window.catching_up || self.ended || self.retry_at.is_some();
        let half = self.target_duration.unwrap_or_default().half();
        let paced = window
            .last_grown
            .filter(|_| !free)
            .map_or(Timestamp::default(), |at| at + half);
        Some(paced.max(self.retry_at.unwrap_or_default()))
    }

    /// Publishes the next version. `positions` is where the source of each track goes on, `behind` the
    /// tracks whose source has more than is appended.
    pub(crate) fn publish_next(
        &mut self,
        stage: &mut Stage<'_>,
        positions: Vec<Option<SavedPosition>>,
        behind: impl Fn(usize) -> bool,
    ) {
        let now = stage.now.monotonic;
        let is_due = |window| self.due_of(window).is_some_and(|at| at <= now);
        let due: Vec<bool> = self.windows.iter().map(is_due).collect();
        let mut tracks: Vec<usize> = (0..due.len()).filter(|track| due[*track]).collect();
        let mut others = self.beside(&tracks);
        while !others.is_empty() {
            // What is shown beside others may have still others beside it.
            tracks.append(&mut others);
            others = self.beside(&tracks);
        }
        tracks.sort_unstable();
        // The first says where the others begin.
        tracks.iter().for_each(|track| self.trim(stage, *track));
        let others = self.beside(&tracks);
        others.iter().for_each(|track| self.trim(stage, *track));
        tracks.extend(others);
        tracks.sort_unstable();
        self.publish(stage, &tracks, positions);
        for track in tracks {
            self.windows[track].catching_up &= behind(track);
        }
    }

    /// How long caches are told at most that they may keep what the lists name; nothing before there is one.
    pub(crate) fn objects_kept(&self) -> Option<Span> {
        let listed = self.windows.iter().filter(|window| window.is_listed());
        listed.map(Window::duration).min()
    }

    /// What is shown with these, or it would cover other times (S-26), or state another target duration
    /// (S-25): a list that would begin or end too early beside them.
    fn beside(&self, due: &[usize]) -> Vec<usize> {
        let target_duration = self.target_duration.unwrap_or_default();
        let ends = due.iter().filter_map(|track| self.windows[*track].end());
        let end = ends.max();
        let raised = due
            .iter()
            .any(|track| self.windows[*track].is_raised(target_duration));
        let changes = |track: &usize| {
            let window = &self.windows[*track];
            let head = window.entries.front().map(|it| it.place);
            let head = head.zip(self.head_of_lead(*track));
            let begins_early = head.is_some_and(|(head, lead)| head + target_duration < lead);
            let shown = window.shown_end().zip(end);
            let ends_early = shown.is_some_and(|(shown, end)| shown + target_duration < end);
            let ends_early = window.dirty && ends_early;
            window.is_listed() && (begins_early || ends_early || raised)
        };
        let others = (0..self.windows.len()).filter(|track| !due.contains(track));
        others.filter(changes).collect()
    }

    fn publish(
        &mut self,
        stage: &mut Stage<'_>,
        tracks: &[usize],
        positions: Vec<Option<SavedPosition>>,
    ) {
        let target_duration = self.target_duration;
        let stated = target_duration.unwrap_or(Span::from_secs(1));
        let (mut playlists, mut lists) = (Vec::new(), Vec::new());
        let mut generation = None;
        let mut segment_max_age = None;
        for track in tracks {
            let several = self.has_several();
            let window = &mut self.windows[*track];
            if several {
                window.measure(stated);
            }
            window.trim_date_ranges();
            let texts = match &mut self.board {
                Some(board) => board.lists(stage, window, stated, self.ended),
                None => {
                    let text = playlist::render(&window.as_playlist(stated, self.ended));
                    vec![(window.name.clone(), text.into())]
                }
            };
            let texts = texts.into_iter();
            playlists.extend(texts.map(|(name, text)| PublishedPlaylist { name, text }));
            let duration = window.duration();
            lists.push(Listed {
                track: *track,
                length: window.entries.len(),
                fresh: window.fresh(),
            });
            for entry in &mut window.entries {
                entry.longest_playlist = entry.longest_playlist.max(duration);
                entry.seen = entry.seen.max(Seen::Maybe);
            }
            window.dirty = false;
            window.closed = self.ended;
            window.stated = stated;
            generation = generation.max(window.entries.back().map(|entry| entry.generation));
            segment_max_age = Some(segment_max_age.map_or(duration, |it: Span| it.min(duration)));
        }
        let entry = match &self.board {
            // What its source says of all has not been told yet.
            Some(_) if self.entry_untold => None,
            Some(board) => self.render_entry_of(board),
            None => self.render_entry(),
        };
        if let Some(entry) = entry.filter(|it| self.entry.as_ref() != Some(it)) {
            self.entry = Some(entry);
            self.entry_dirty = true;
        }
        if let Some(entry) = self.entry.clone().filter(|_| self.entry_dirty) {
            playlists.push(PublishedPlaylist::entry(entry));
        }
        let entry = std::mem::take(&mut self.entry_dirty);
        let request = stage.request();
        // What one track shows later than others stands beside what those have of a newer configuration.
        let beside = self.has_several().then_some(self.generation);
        stage.commands.push(Command::Publish(Publish {
            request,
            generation: generation.max(beside).unwrap_or(self.generation),
            epoch: stage.epoch,
            playlists,
            max_age: target_duration.unwrap_or_default().half(),
            segment_max_age: segment_max_age.unwrap_or_default(),
            checkpoint: Arc::new(self.checkpoint(stage, positions)),
        }));
        self.in_flight = Some(Version {
            request,
            lists,
            entry,
            ended: self.ended,
        });
        self.retry_at = None;
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
        let now = stage.now.monotonic;
        match outcome {
            Ok(()) => self.visible(stage, &version),
            Err(error) => {
                let certain = StoreError::Failed("no answer".into());
                let error = match stage.makes(Mistake::LostReplyTakenForFailure) {
                    true => &certain,
                    false => error,
                };
                stage.counters.retries += 1;
                if self.trouble.is_none() {
                    let (what, error) = (StoreWork::Publish, error.clone());
                    stage.notify(Notice::StoreFailed { what, error });
                }
                self.trouble = Some(error.clone());
                let unseen = *error != StoreError::Unknown;
                self.entry_dirty |= version.entry;
                for list in version.lists {
                    let window = &mut self.windows[list.track];
                    // What comes now is beside what comes of the others from now on.
                    (window.dirty, window.dirty_since) = (true, now);
                    window.shown |= !unseen;
                    if unseen {
                        window.not_known_to_be_visible();
                    }
                    // No entry leaves a window while a version is under way.
                    let listed = window.entries.iter_mut().take(list.length);
                    for entry in listed.skip(list.length - list.fresh) {
                        if unseen {
                            entry.seen = Seen::Never;
                        } else {
                            entry.listed_at.get_or_insert(now);
                        }
                    }
                }
                self.retry_at = Some(now + config::PUBLISH_RETRY);
            }
        }
        true
    }

    fn visible(&mut self, stage: &mut Stage<'_>, version: &Version) {
        let now = stage.now.monotonic;
        self.trouble = None;
        self.board.iter_mut().for_each(Board::visible);
        for list in &version.lists {
            let window = &mut self.windows[list.track];
            window.shown = true;
            if list.fresh > 0 {
                window.last_grown = Some(now);
            }
            for entry in window.entries.iter_mut().take(list.length) {
                entry.listed_at.get_or_insert(now);
                if entry.seen < Seen::Surely {
                    entry.seen = Seen::Surely;
                    stage.counters.segments += 1;
                    self.listed_at = Some(now);
                    self.delay = Some(now.since(entry.appeared));
                    self.generation = self.generation.max(entry.generation);
                }
            }
        }
        self.let_go(now);
        if version.ended && self.ended {
            self.keep_closed_list_from(now);
        }
    }

    /// No visible version lists these any more: their time begins.
    pub(super) fn let_go(&mut self, now: Timestamp) {
        for LeavingObject { object, keep_for } in self.leaving.drain(..) {
            self.retention.retire(object, now + keep_for);
        }
    }

    /// A closed list stays for as long as a player that loads it now needs it (S-46); one that its
    /// source has closed stays until its owner wants it stopped, and for that long from then on.
    pub(crate) fn keep_closed_list_from(&mut self, now: Timestamp) {
        let entries = self.windows.iter().flat_map(|window| &window.entries);
        let longest = entries
            .map(|it| it.segment.duration + it.longest_playlist)
            .max();
        self.retention.list_ended(now + longest.unwrap_or_default());
    }

    /// When a closed list may be taken down; `None` while something else must happen first.
    pub(crate) fn take_down_due(&self) -> Option<Timestamp> {
        let dirty = self.windows.iter().any(|window| window.dirty);
        let possible = self.in_flight.is_none() && !dirty && self.ended;
        self.retention.take_down_at().filter(|_| possible)
    }

    /// The time of a closed presentation has passed: takes everything down.
    pub(crate) fn take_down(&mut self, stage: &mut Stage<'_>) {
        let objects: BTreeSet<ObjectName> = self.objects().map(|it| it.object.clone()).collect();
        self.windows.iter_mut().for_each(Window::clear);
        self.board.iter_mut().for_each(Board::taken_down);
        (self.entry, self.entry_untold) = (None, false);
        self.ended = false;
        self.retention.withdraw(stage, objects);
    }
}
