//! Going on from a checkpoint: the window before the restart, as far as it is still there or can be
//! had again byte for byte (S-70).

use super::Publisher;
use super::entry::Entry;
use super::rungs::Board;
use super::window::Window;
use crate::checkpoint::{Checkpoint, Identity, LeavingObject, SavedObject};
use crate::command::{Command, ObjectCheck};
use crate::downloader::Again;
use crate::event::StoreError;
use crate::ids::{ObjectName, RequestId};
use crate::notice::{Notice, StoreWork};
use crate::planted::Mistake;
use crate::stage::Stage;
use crate::time::{Now, Place, Timestamp};
use crate::track::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::retention::Retention;
use crate::config;

/// What is not yet known to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Restoring {
    /// The store has not been asked.
    Unasked { again_at: Timestamp },
    /// The store is looking.
    Asked(RequestId),
    /// What is awaited is not there; it is downloaded again as far as its source lists it, and what is
    /// tried in vain is lost. The source of each track in `unasked` is asked once its list is known.
    Fetching {
        unasked: BTreeSet<usize>,
        awaited: BTreeSet<ObjectName>,
        lost: BTreeSet<ObjectName>,
    },
}

impl Publisher {
    /// Takes over from an earlier process.
    pub(crate) fn restore(&mut self, now: Now, saved: &Checkpoint) {
        self.target_duration = Some(saved.target_duration);
        self.ended = saved.ended;
        if !saved.tracks.is_empty() {
            let tracks = saved.tracks.iter();
            let restored = tracks.map(|it| Window::restored(now.monotonic, it, saved.ended));
            self.windows = restored.collect();
        }
        self.board = saved.rungs.as_deref().map(Board::restored);
        self.entry.clone_from(&saved.entry);
        (self.entry_dirty, self.entry_untold) = (saved.entry.is_some(), saved.entry.is_some());
        self.restore_discontinuities();
        self.retention = Retention::restored(now, &saved.retired);
        self.leaving.clone_from(&saved.leaving);
        self.restoring = Some(Restoring::Unasked {
            again_at: now.monotonic,
        });
    }

    /// Asks the store what is left, where that has not been done.
    pub(crate) fn ask_store(&mut self, stage: &mut Stage<'_>) {
        let Some(Restoring::Unasked { again_at }) = self.restoring else {
            return;
        };
        if again_at > stage.now.monotonic {
            return;
        }
        let request = stage.request();
        let mut asked = BTreeSet::new();
        // An init section, or a key, is named by many.
        let listed = self.objects().filter(|it| asked.insert(&it.object));
        let check = |it: &SavedObject| ObjectCheck {
            object: it.object.clone(),
            length: it.length,
            hash: it.hash,
        };
        let objects = listed.map(check).collect();
        let mut keep = self.retention.waiting_objects();
        keep.extend(self.leaving.iter().map(|it| it.object.clone()));
        self.restoring = Some(Restoring::Asked(request));
        stage.commands.push(Command::CheckObjects {
            request,
            epoch: stage.epoch,
            objects,
            keep,
        });
    }

    /// The store has not told yet what is left: nothing else is begun.
    pub(crate) fn is_asking_store(&self) -> bool {
        matches!(
            self.restoring,
            Some(Restoring::Unasked { .. } | Restoring::Asked(_))
        )
    }

    /// When the store is to be asked again.
    pub(crate) fn ask_again_at(&self) -> Option<Timestamp> {
        match self.restoring {
            Some(Restoring::Unasked { again_at }) => Some(again_at),
            Some(Restoring::Asked(_) | Restoring::Fetching { .. }) | None => None,
        }
    }

    /// Takes the store's answer; `false` where the request is another's.
    pub(crate) fn checked(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<Vec<ObjectCheck>, StoreError>,
    ) -> bool {
        if self.restoring != Some(Restoring::Asked(request)) {
            return false;
        }
        match outcome {
            Ok(present) => {
                let is_there = |it: &SavedObject| {
                    let same = |is: &ObjectCheck| is.object == it.object && is.hash == it.hash;
                    present.iter().any(same)
                };
                // A segment is there where all that it needs is there as well.
                let entries = self.windows.iter().flat_map(|window| &window.entries);
                let entries = entries.filter(|it| !it.objects().all(is_there));
                let segments = entries.filter_map(|it| it.stored.as_ref());
                let mut missing: BTreeSet<_> = segments.map(|it| it.object.clone()).collect();
                // What was made of it cannot be made again byte for byte.
                let unmade = |it: &&Entry| !it.rungs.iter().all(|it| is_there(&it.stored));
                let entries = self.windows.iter().flat_map(|window| &window.entries);
                let unmade = entries.filter(unmade).filter_map(|it| it.stored.as_ref());
                let mut lost: BTreeSet<_> = unmade.map(|it| it.object.clone()).collect();
                missing.retain(|it| !lost.contains(it));
                if stage.makes(Mistake::StoreNotLookedAt) {
                    missing.clear();
                    lost.clear();
                }
                let lacks = |window: &Window| {
                    let mut objects = window.objects();
                    objects.any(|it| missing.contains(&it.object))
                };
                let windows = self.windows.iter().enumerate();
                let unasked = windows.filter(|(_, window)| lacks(window));
                self.restoring = Some(Restoring::Fetching {
                    unasked: unasked.map(|(track, _)| track).collect(),
                    awaited: missing,
                    lost,
                });
                self.finish_restoring(stage);
            }
            Err(error) => {
                let (what, error) = (StoreWork::Check, error.clone());
                stage.notify(Notice::StoreFailed { what, error });
                let again_at = stage.now.monotonic + config::PUBLISH_RETRY;
                self.restoring = Some(Restoring::Unasked { again_at });
            }
        }
        true
    }

    /// Which of a track's missing segments are worth asking its source for: those after the last one that
    /// `is_offered` does not know, since the window begins behind that in any case.
    pub(crate) fn wanted_again(
        &mut self,
        track: usize,
        is_offered: impl Fn(&Identity) -> bool,
    ) -> Vec<(Identity, Again)> {
        let Some(Restoring::Fetching {
            unasked,
            awaited,
            lost,
        }) = &mut self.restoring
        else {
            return Vec::new();
        };
        if !unasked.remove(&track) {
            return Vec::new();
        }
        let mut wanted: Vec<(Identity, Again)> = Vec::new();
        for entry in &self.windows[track].entries {
            let Some(stored) = entry
                .stored
                .as_ref()
                .filter(|it| awaited.contains(&it.object))
            else {
                continue;
            };
            match entry
                .identity
                .as_ref()
                .filter(|identity| is_offered(identity))
            {
                Some(identity) => {
                    let again = Again {
                        object: stored.object.clone(),
                        hash: stored.hash,
                        resources: entry.resources.clone(),
                    };
                    wanted.push((identity.clone(), again));
                }
                None => {
                    for (_, again) in wanted.drain(..) {
                        awaited.remove(&again.object);
                    }
                    awaited.remove(&stored.object);
                    lost.insert(stored.object.clone());
                }
            }
        }
        wanted
    }

    /// Nothing is to be hoped for from the source of a track: what it lacks is lost.
    pub(crate) fn give_up_restoring(&mut self, track: usize) {
        for (_, Again { object, .. }) in self.wanted_again(track, |_| true) {
            self.had_again(&object, false);
        }
    }

    /// A segment is there again, or is lost.
    pub(crate) fn had_again(&mut self, object: &ObjectName, restored: bool) {
        if let Some(Restoring::Fetching { awaited, lost, .. }) = &mut self.restoring {
            awaited.remove(object);
            if !restored {
                lost.insert(object.clone());
            }
        }
    }

    /// Goes on as soon as nothing is awaited.
    pub(crate) fn finish_restoring(&mut self, stage: &mut Stage<'_>) {
        if let Some(Restoring::Fetching {
            unasked,
            awaited,
            lost,
        }) = &self.restoring
            && awaited.is_empty()
            && unasked.is_empty()
        {
            let lost = lost.clone();
            self.restored(stage, &lost);
        }
    }

    /// Goes on without what is still missing: it can be had from nowhere any more.
    pub(crate) fn abandon_restoring(&mut self, stage: &mut Stage<'_>) {
        match self.restoring.take() {
            None => {}
            Some(Restoring::Unasked { .. } | Restoring::Asked(_)) => {
                let entries = self.windows.iter().flat_map(|window| &window.entries);
                let segments = entries.filter_map(|it| it.stored.as_ref());
                let all = segments.map(|stored| stored.object.clone()).collect();
                self.restored(stage, &all);
            }
            Some(Restoring::Fetching {
                mut awaited,
                mut lost,
                ..
            }) => {
                lost.append(&mut awaited);
                self.restored(stage, &lost);
            }
        }
    }

    /// An earlier process has closed the presentation, and nothing of it is left.
    pub(crate) fn has_lost_all(&self) -> bool {
        self.ended && self.restoring.is_none() && self.is_empty()
    }

    /// Of several tracks nothing is left: viewers have nothing open that could go on.
    pub(crate) fn has_lost_several(&self) -> bool {
        self.has_several() && self.restoring.is_none() && self.is_empty()
    }

    /// The window begins after the last segment that cannot be had again.
    fn restored(&mut self, stage: &mut Stage<'_>, lost: &BTreeSet<ObjectName>) {
        let is_lost = |entry: &Entry| {
            entry
                .stored
                .as_ref()
                .is_some_and(|stored| lost.contains(&stored.object))
        };
        let (mut cut, now) = (Vec::new(), stage.now.monotonic);
        let target_duration = self.target_duration.unwrap_or_default();
        let mut begins: Option<Place> = None;
        for window in &mut self.windows {
            let last = window.entries.iter().rposition(is_lost);
            let behind = last.map_or(0, |last| last + 1);
            // What stands alone for segments that others have got since the store was asked begins no list, but for a
            // break, which has its number.
            let mut rest = window.entries.iter().skip(behind);
            if rest.all(|it| it.is_unlisted_gap() && !it.segment.discontinuity) {
                window.entries.truncate(behind);
            }
            let end = window.end();
            cut.extend(window.cut(behind));
            let is_waited_for = window.kind().is_some_and(Kind::is_waited_for);
            let head = window.head().or(end).filter(|_| is_waited_for);
            begins = begins.max(head);
        }
        for window in &mut self.windows {
            // All cover the same time (S-26), but for what nobody waits for, and viewers have not had.
            let alone = window.kind().is_some_and(|kind| !kind.is_waited_for());
            let awaited = |it: &Entry| alone && it.is_unseen();
            let entries = window.entries.iter();
            let is_early = |it: &Entry| begins.is_some_and(|at| it.place + target_duration < at);
            let early = |it: &&Entry| is_early(it) && !awaited(it);
            let early = entries.take_while(early).count();
            cut.extend(window.cut(early));
        }
        let cuts = cut.len();
        for entry in cut {
            for object in self.last_named_by(&entry) {
                // What is lost may be there all the same: with other bytes, or not looked at.
                let there = !lost.contains(&object);
                let keep_for = entry.segment.duration + entry.longest_playlist;
                if self.retention.is_waiting(&object) {
                    continue;
                }
                match there {
                    // Viewers have the list of the process before until there is another one.
                    true => self.leaving.push(LeavingObject { object, keep_for }),
                    false => self.retention.retire(object, now),
                }
            }
        }
        self.restoring = None;
        let listed = self.windows.iter().map(|window| window.entries.len()).sum();
        if listed == 0 {
            // No version of ours will show that these are gone.
            self.let_go(now);
        }
        if listed == 0 && cuts == 0 {
            return;
        }
        for window in &mut self.windows {
            window.catching_up = true;
            // The list is served again at once, as it was.
            window.dirty = !window.entries.is_empty();
        }
        stage.notify(Notice::Restored { listed, lost: cuts });
    }
}
