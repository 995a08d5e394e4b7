//! One source being followed: its playlist, its segments. A channel relays one lane and may prepare
//! another.

use crate::config::{self, ReloadPolicy, Source};
use crate::downloader::{Asker, Downloader, Leftovers};
use crate::event::{FetchError, LoadedPlaylist};
use crate::ids::Generation;
use crate::loader::{Listing, Loader, Offered};
use crate::notice::{SwitchReason, Trouble};
use crate::stage::Stage;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A source and what is under way from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    pub(super) loader: Loader,
    pub(super) downloader: Downloader,
    pub(super) role: Role,
    /// It has a first listing.
    pub(super) listed: bool,
    /// Names the objects that this process stores.
    tag: u32,
    started: Timestamp,
    /// For a lane that only watches: the newest segments of the last listing that are new to viewers.
    latest: Vec<Offered>,
    /// The first number that is.
    watched_from: Option<u64>,
}

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// Viewers get its segments.
    Relaying,
    /// It takes over as soon as its first segment is ready.
    Preparing { why: SwitchReason, since: Timestamp },
    /// Its playlist is loaded to see whether it is healthy; nothing is downloaded.
    Watching,
}

impl Lane {
    pub(super) fn new(
        now: Timestamp,
        role: Role,
        (source, config): (usize, &Source),
        generation: Generation,
        reload: ReloadPolicy,
        tag: u32,
    ) -> Self {
        Self {
            loader: Loader::new(now, source, config, generation, reload),
            downloader: Downloader::default(),
            role,
            listed: false,
            tag,
            started: now,
            latest: Vec::new(),
            watched_from: None,
        }
    }

    /// Loads and downloads what is due.
    pub(super) fn advance(&mut self, stage: &mut Stage<'_>) {
        self.loader.advance(stage);
        if self.role != Role::Watching {
            let asker = Asker {
                source: self.loader.source,
                generation: self.loader.generation,
                tag: self.tag,
            };
            self.downloader.advance(stage, asker);
        }
    }

    /// Takes a load. Gives the listing that is to be taken up, where it has one to give.
    pub(super) fn loaded(
        &mut self,
        stage: &mut Stage<'_>,
        outcome: Result<LoadedPlaylist, FetchError>,
    ) -> Option<Listing> {
        let listing = self.loader.loaded(stage, outcome)?;
        match self.role {
            Role::Relaying | Role::Preparing { .. } => Some(listing),
            Role::Watching => {
                let fresh = listing.listed.get(listing.first_new);
                let fresh = fresh.map(|it| it.identity.media_sequence);
                self.watched_from = match self.watched_from {
                    Some(from) if !listing.restarted => Some(from),
                    Some(_) | None => fresh,
                };
                let mut latest = listing.listed;
                let number = |it: &Offered| it.identity.media_sequence;
                latest.retain(|it| self.watched_from.is_some_and(|from| number(it) >= from));
                let skip = latest.len().saturating_sub(config::START_SEGMENTS);
                self.latest = latest.split_off(skip);
                // Listed before, or new: since the run began, all are of it.
                let run = self.loader.run;
                self.latest.iter_mut().for_each(|it| it.run = run);
                None
            }
        }
    }

    /// A lane that watched prepares to take over, from the newest segments it has seen. It had nothing
    /// stored that could be left.
    pub(super) fn promote(&mut self, stage: &mut Stage<'_>, why: SwitchReason) {
        let since = stage.now.monotonic;
        self.role = Role::Preparing { why, since };
        let listed = std::mem::take(&mut self.latest);
        let count = match why {
            SwitchReason::Stalled => listed.len(),
            SwitchReason::FirstIsHealthy | SwitchReason::Reconfigured => 1,
        };
        self.listed = !listed.is_empty();
        let listing = Listing {
            listed,
            first_new: 0,
            restarted: false,
            target_duration: self.loader.target_duration(),
        };
        let _ = self.downloader.listed(stage, &listing, count);
    }

    /// When a segment last came, or the lane began: the measure of its health.
    pub(super) fn progress_at(&self) -> Timestamp {
        self.downloader
            .stored_at
            .map_or(self.started, |at| at.max(self.started))
    }

    /// Why nothing comes.
    pub(super) fn trouble(&self) -> Trouble {
        match (&self.loader.trouble, &self.downloader.trouble) {
            (Some(Trouble::Unchanged) | None, Some(error)) => Trouble::Segments(error.clone()),
            (Some(trouble), _) => trouble.clone(),
            (None, None) => Trouble::Unchanged,
        }
    }

    /// Ends all its work.
    pub(super) fn close(mut self) -> (Option<crate::ids::RequestId>, Leftovers) {
        (self.loader.stop(), self.downloader.clear())
    }

    pub(super) fn url(&self) -> &Arc<str> {
        &self.loader.url
    }
}
