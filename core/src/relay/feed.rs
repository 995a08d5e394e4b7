//! One media playlist being followed: its list, its segments, and its place among the tracks.

use super::axis::Axis;
use super::elsewhere::Overlap;
use super::lane::Role;
use crate::checkpoint::without_secrets;
use crate::config;
use crate::downloader::Downloader;
use crate::event::FetchError;
use crate::loader::{Listing, Loader, Offered};
use crate::notice::{Break, Trouble};
use crate::playlist::MultivariantPlaylist;
use crate::presentation::Wanted;
use crate::publisher::ONLY;
use crate::time::{Place, Span, Timestamp};
use crate::track::{Kind, Medium};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// A track of a source and what is under way from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Feed {
    pub(super) loader: Loader,
    pub(super) downloader: Downloader,
    /// It has a first listing.
    pub(super) listed: bool,
    /// Which of the published tracks it fills, once its lane is relayed.
    pub(super) track: Option<usize>,
    /// How a multivariant playlist describes it.
    pub(super) medium: Option<Medium>,
    /// What came before what it follows now was of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) former: Option<Former>,
    /// Where it is found; the first is in use.
    pub(super) urls: Vec<Arc<str>>,
    pub(super) moved_at: Timestamp,
    /// It was given new URLs then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renamed_at: Option<Timestamp>,
    pub(super) axis: Axis,
    /// It is followed in another place now, which lists what was had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) overlap: Option<Overlap>,
    /// The last segment that was appended: its run and its number at the source.
    pub(super) appended: Option<(u64, u64)>,
    /// The last one that has left, whether it was had or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) passed: Option<(u64, u64)>,
    /// Where it ends in what is published.
    pub(super) appended_end: Option<Place>,
    /// It was appended then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) appended_at: Option<Timestamp>,
    /// The next segment that is appended follows a break of ours.
    pub(super) breaks: Option<Break>,
    /// The end of the last segment that has left, on the lane's axis.
    pub(super) reached: Option<Place>,
    /// It left then.
    pub(super) advanced_at: Timestamp,
    /// Since then another track could go on if it did not wait for this one.
    pub(super) holds_up_since: Option<Timestamp>,
    /// The others do not wait for it, and it gets gaps.
    pub(super) left_behind: bool,
    /// It was left behind last then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) left_at: Option<Timestamp>,
    /// The first listing of a track that waits for those of the others.
    pub(super) held: Option<Listing>,
    /// For a lane that only watches: the newest segments of the last listing that are new to viewers.
    pub(super) latest: Vec<Offered>,
    /// The first number that is.
    watched_from: Option<u64>,
}

/// What a feed followed before it was led to another variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Former {
    pub(super) medium: Medium,
    /// The first segment of the other one: its run and its number at the source.
    until: Option<(u64, u64)>,
}

/// What a load means to a lane.
pub(super) enum News {
    /// Of one of its feeds.
    Listing(usize, Listing),
    /// From this URL.
    Presentation(Url, Box<MultivariantPlaylist>),
}

impl Feed {
    pub(super) fn new(loader: Loader, now: Timestamp) -> Self {
        Self {
            loader,
            downloader: Downloader::default(),
            listed: false,
            track: Some(ONLY),
            medium: None,
            former: None,
            urls: Vec::new(),
            moved_at: now,
            renamed_at: None,
            axis: Axis::default(),
            overlap: None,
            appended: None,
            passed: None,
            appended_end: None,
            appended_at: None,
            breaks: None,
            reached: None,
            advanced_at: now,
            holds_up_since: None,
            left_behind: false,
            left_at: None,
            held: None,
            latest: Vec::new(),
            watched_from: None,
        }
    }

    /// One of several.
    pub(super) fn of(wanted: &Wanted, loader: Loader, now: Timestamp) -> Self {
        Self {
            track: None,
            medium: Some(wanted.medium.clone()),
            urls: wanted.urls.clone(),
            ..Self::new(loader, now)
        }
    }

    /// Takes a listing; gives it back where it is to be taken up.
    pub(super) fn listed(&mut self, listing: Listing, role: Role) -> Option<Listing> {
        match role {
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

    pub(super) fn kind(&self) -> Kind {
        self.medium.as_ref().map_or(Kind::Variant, |it| it.kind)
    }

    /// Its source has said that nothing will follow, and everything has left.
    pub(super) fn is_over(&self) -> bool {
        self.loader.ended && self.listed && self.downloader.is_empty()
    }

    /// It has come with the others so far, or may: it was not left behind, and does not lack a list that cannot be had.
    pub(super) fn has_part(&self) -> bool {
        !self.left_behind && (self.listed || self.loader.trouble.is_none())
    }

    /// The others wait for it.
    pub(super) fn is_waited_for(&self) -> bool {
        self.kind().is_waited_for() && !self.left_behind && !self.is_over()
    }

    /// Why nothing comes.
    pub(super) fn trouble(&self) -> Trouble {
        match (&self.loader.trouble, &self.downloader.trouble) {
            (Some(Trouble::Unchanged) | None, Some(error)) => Trouble::Segments(error.clone()),
            (Some(Trouble::Unchanged) | None, None) if !self.downloader.is_empty() => {
                Trouble::Waiting
            }
            (Some(trouble), _) => trouble.clone(),
            (None, None) => Trouble::Unchanged,
        }
    }

    /// Somebody has looked, and there was nothing.
    pub(super) fn is_in_vain(&self) -> bool {
        self.downloader.trouble.is_some() || self.loader.is_silent()
    }

    /// The answer of an origin whose URLs have run out. That a playlist is not there means the same where none of
    /// its variants is (`all_gone`), or it stays so.
    pub(super) fn expired(&self, now: Timestamp, all_gone: bool) -> Option<FetchError> {
        let playlist = match &self.loader.trouble {
            Some(Trouble::Playlist(error)) => Some(error),
            _ => None,
        };
        let segments = self.downloader.trouble.as_ref();
        let errors = [playlist, segments.filter(|_| !self.may_be_renamed(now))];
        let mut errors = errors.into_iter().flatten();
        let expired = |it: &&FetchError| is_refusal(it);
        let stays = config::stale_after(self.loader.target_duration());
        let failing_for = self.loader.failing_since().map(|since| now.since(since));
        let gone = playlist.filter(|_| self.is_gone() && (all_gone || failing_for >= Some(stays)));
        errors.find(expired).or(gone).cloned()
    }

    /// Its playlist is not there.
    pub(super) fn is_gone(&self) -> bool {
        self.loader.trouble == Some(Trouble::Playlist(FetchError::Status(404)))
    }

    /// It has moved to another URL because of that, and nothing has come from there yet.
    pub(super) fn is_moved_in_vain(&self, now: Timestamp) -> bool {
        let playlist = self.loader.failing_since().is_some()
            && self.loader.trouble == Some(Trouble::Unchanged);
        let segments = self.downloader.trouble.as_ref().is_some_and(is_refusal);
        playlist || (segments && self.may_be_renamed(now))
    }

    /// Its playlist has had another URL for so short a time that what was refused of its segments may be what it
    /// named before: the list from there comes within two target durations, and with it theirs.
    fn may_be_renamed(&self, now: Timestamp) -> bool {
        let until = |at| at + self.loader.target_duration() * 2;
        self.renamed_at.is_some_and(|at| now < until(at))
    }

    /// A multivariant playlist says where it is found. Where it was found last, but for tokens, comes first.
    pub(super) fn named(&mut self, now: Timestamp, wanted: &Wanted) {
        let in_use = without_secrets(&self.loader.url);
        let is_in_use = |url: &Arc<str>| without_secrets(url) == in_use;
        let first = wanted.urls.iter().position(is_in_use);
        let before = self.medium.replace(wanted.medium.clone());
        if let Some(before) = before.filter(|it| first.is_none() && !it.is_as(&wanted.medium)) {
            self.follows_another(before);
        }
        self.urls = wanted.urls.clone();
        self.urls.rotate_left(first.unwrap_or(0));
        if let Some(url) = self.urls.first().filter(|url| **url != self.loader.url) {
            self.loader.move_to(url);
            self.renamed_at = Some(now);
        }
    }

    /// What comes next is of another variant than what came before.
    pub(super) fn follows_another(&mut self, before: Medium) {
        let medium = self.former.take().map_or(before, |it| it.medium);
        let until = None;
        self.former = Some(Former { medium, until });
    }

    /// With the first that is taken of another variant decoders begin anew, whatever its list shows of what was
    /// had.
    pub(super) fn begin_another(&mut self, listing: &mut Listing, take: usize) {
        let is_there = self.loader.is_there();
        let Some(former) = &mut self.former else {
            return;
        };
        let fresh = &mut listing.listed[listing.first_new..];
        let had = fresh.len().saturating_sub(take);
        if former.until.is_some() || !is_there || had == fresh.len() {
            return;
        }
        let first = &mut fresh[had];
        former.until = Some((first.run, first.identity.media_sequence));
        first.broken = Some(Break::AnotherVariant);
        // That of the first new one counts for the first that is taken.
        fresh[0].broken = fresh[had].broken;
    }

    /// Whose the last segment was that was appended.
    pub(super) fn appended_of(&self) -> Option<&Medium> {
        let former = self.former.as_ref().map(|it| &it.medium);
        former.or(self.medium.as_ref())
    }

    /// A segment was appended: its run and its number at the source.
    pub(super) fn has_appended(&mut self, segment: (u64, u64)) {
        self.appended = Some(segment);
        let is_over = |it: &mut Former| it.until.is_some_and(|first| first <= segment);
        self.former.take_if(is_over);
    }

    /// What was lost at its end is said there: whoever goes on here does not ask for it again.
    pub(super) fn let_go_of_lost(&mut self, shift: i64) {
        self.appended = self.passed.or(self.appended);
        let reached = self.reached.map(|at| at.shifted_by(shift));
        self.appended_end = self.appended_end.max(reached);
    }

    /// Where what stands first ends, on the lane's axis.
    pub(super) fn front_ends(&self) -> Option<Place> {
        let front = self.downloader.front()?;
        Some(front.place? + front.segment.duration)
    }

    /// When it is to be looked for elsewhere, if nothing comes until then.
    pub(super) fn moves_at(&self, target_duration: Span) -> Option<Timestamp> {
        let waits = self.urls.len() > 1 && self.is_in_vain();
        let since = self.moved_at.max(self.advanced_at);
        waits.then(|| since + config::stale_after(target_duration))
    }

    /// The next place that its source names.
    pub(super) fn move_on(&mut self, now: Timestamp) {
        self.urls.rotate_left(1);
        self.moved_at = now;
        if let Some(url) = self.urls.first() {
            self.loader.move_to(url);
        }
    }
}

/// What an origin answers whose URLs have run out.
fn is_refusal(error: &FetchError) -> bool {
    matches!(error, FetchError::Status(401 | 403 | 410))
}
