//! One source being followed: its playlists, their segments. A channel relays one lane and may prepare
//! another.

use super::beginning::Start;
use super::feed::{Feed, News};
use crate::config::{KeyPolicy, ReloadPolicy, Source};
use crate::downloader::{Asker, Leftovers};
use crate::event::{FetchError, LoadedPlaylist};
use crate::ids::{Generation, RequestId};
use crate::loader::{Expects, Listing, Loaded, Loader};
use crate::notice::{Break, Refusal, SwitchReason, Trouble};
use crate::presentation::Presentation;
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use crate::track::{Kind, matched};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A source and what is under way from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    /// One for each media playlist; never empty. The first is that of a variant.
    pub(super) feeds: Vec<Feed>,
    /// Where the source is a multivariant playlist.
    pub(super) master: Option<Box<Master>>,
    pub(super) role: Role,
    pub(super) start: Start,
    /// From this lane's axis to the channel's, in microseconds.
    pub(super) shift: i64,
    /// Names the objects that this process stores.
    tag: u32,
    /// What becomes of encryption.
    pub(super) keys: KeyPolicy,
    /// Another lane asks its URL meanwhile, where a playlist of another kind is shown now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) yields: bool,
    started: Timestamp,
    /// The target duration that whoever relayed it before has published: what it is taken to have until it tells its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) assumed: Option<Span>,
}

/// The multivariant playlist of a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Master {
    pub(super) loader: Loader,
    pub(super) presentation: Presentation,
    /// It is loaded again and again since then, as what it leads to cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renewing_since: Option<Timestamp>,
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
        let loader = Loader::new(now, source, config, generation, reload);
        Self {
            feeds: vec![Feed::new(loader, now)],
            master: None,
            role,
            start: Start::default(),
            shift: 0,
            tag,
            keys: KeyPolicy::default(),
            yields: false,
            started: now,
            assumed: None,
        }
    }

    /// The loader of the configured URL.
    pub(super) fn root(&self) -> &Loader {
        match &self.master {
            Some(master) => &master.loader,
            None => &self.feeds[0].loader,
        }
    }

    pub(super) fn root_mut(&mut self) -> &mut Loader {
        match &mut self.master {
            Some(master) => &mut master.loader,
            None => &mut self.feeds[0].loader,
        }
    }

    pub(super) fn loaders(&self) -> impl Iterator<Item = &Loader> {
        let master = self.master.iter().map(|master| &master.loader);
        master.chain(self.feeds.iter().map(|feed| &feed.loader))
    }

    pub(super) fn loaders_mut(&mut self) -> impl Iterator<Item = &mut Loader> {
        let master = self.master.iter_mut().map(|master| &mut master.loader);
        master.chain(self.feeds.iter_mut().map(|feed| &mut feed.loader))
    }

    /// The tracks by which the health of the source is told: its variants.
    pub(super) fn variants(&self) -> impl Iterator<Item = &Feed> {
        let kind = self.feeds[0].kind();
        self.feeds.iter().filter(move |feed| feed.kind() == kind)
    }

    /// A key that several tracks name is asked for once. What one of them has got completes segments of others, which then
    /// leave at once; what is wanted since then, or is not any more, is asked for by one of them.
    pub(super) fn share_keys(&mut self, now: Timestamp) {
        for index in 0..self.feeds.len() {
            let (before, rest) = self.feeds.split_at_mut(index);
            let [feed, behind @ ..] = rest else { break };
            let before = before.iter().map(|it| &it.downloader);
            let behind = behind.iter().map(|it| &it.downloader);
            feed.downloader.share_keys(before, behind, now);
        }
    }

    /// Loads and downloads what is due.
    pub(super) fn advance(&mut self, stage: &mut Stage<'_>) {
        let watching = self.role == Role::Watching;
        self.share_keys(stage.now.monotonic);
        if let Some(master) = &mut self.master {
            master.loader.advance(stage);
        }
        // One variant shows the health of a source.
        let feeds = self.feeds.iter_mut();
        for feed in feeds.take(if watching { 1 } else { usize::MAX }) {
            feed.loader.advance(stage);
            if !watching {
                let asker = Asker {
                    source: feed.loader.source,
                    generation: feed.loader.generation,
                    tag: self.tag,
                };
                feed.downloader.advance(stage, asker);
            }
        }
    }

    /// In whose name a feed asks for segments, or has something made of them.
    pub(super) fn asker(&self, feed: &Feed) -> Asker {
        Asker {
            source: feed.loader.source,
            generation: feed.loader.generation,
            tag: self.tag,
        }
    }

    /// Takes a load of its own. Gives what is to be taken up.
    pub(super) fn loaded(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: Result<LoadedPlaylist, FetchError>,
    ) -> Option<News> {
        if let Some(master) = self.master.as_mut().filter(|it| it.loader.owns(request)) {
            return match master.loader.loaded(stage, outcome)? {
                Loaded::Multivariant(base, list) => Some(News::Presentation(base, list)),
                Loaded::Listing(_) => None,
            };
        }
        let owner = self.feeds.iter().position(|feed| feed.loader.owns(request));
        let feed = &mut self.feeds[owner.unwrap_or(0)];
        match feed.loader.loaded(stage, outcome)? {
            Loaded::Multivariant(base, list) => Some(News::Presentation(base, list)),
            Loaded::Listing(listing) => {
                let listing = feed.listed(listing, self.role)?;
                Some(News::Listing(owner.unwrap_or(0), listing))
            }
        }
    }

    pub(super) fn owns(&self, request: RequestId) -> bool {
        self.loaders().any(|loader| loader.owns(request))
    }

    /// Takes what a multivariant playlist offers: at first a feed for each of its tracks, later their new
    /// URLs, and what tracks have come or gone. Gives the feeds that have gone. At most `most` tracks are
    /// followed.
    pub(super) fn present(
        &mut self,
        stage: &Stage<'_>,
        presentation: Presentation,
        most: usize,
        config: &Source,
    ) -> Vec<Feed> {
        let now = stage.now.monotonic;
        let (source, generation) = (self.source(), self.generation());
        let (reload, first) = (self.root().reload, self.master.is_none());
        let target_duration = self.told_target_duration();
        // What followed a media playlist until now follows another source.
        let other = self.feeds[0].appended.map(|_| Break::SwitchedSource);
        let breaks = self.feeds[0].breaks.or(other).filter(|_| first);
        let mut known: Vec<Option<Feed>> = Vec::new();
        let before = std::mem::take(&mut self.feeds).into_iter();
        match &mut self.master {
            None => {
                let loader = before.map(|feed| feed.loader).next();
                self.master = loader.map(|loader| {
                    Box::new(Master {
                        loader,
                        presentation,
                        renewing_since: None,
                    })
                });
            }
            Some(master) => {
                known = before.map(Some).collect();
                master.presentation = presentation;
            }
        }
        let Some(master) = &self.master else {
            return Vec::new();
        };
        let wanted: Vec<_> = master.presentation.tracks.iter().take(most).collect();
        let media: Vec<_> = wanted.iter().map(|it| &it.medium).collect();
        let known_media = known
            .iter()
            .map(|it| it.as_ref().and_then(|it| it.medium.as_ref()));
        let found = matched(&known_media.collect::<Vec<_>>(), &media);
        let variables = master.presentation.variables();
        for (offer, wanted) in wanted.into_iter().enumerate() {
            let old = found.iter().position(|it| *it == Some(offer));
            let mut feed = match old.and_then(|old| known[old].take()) {
                Some(mut feed) => {
                    feed.named(now, wanted);
                    feed
                }
                None => {
                    let mut loader = Loader::new(now, source, config, generation, reload);
                    loader.expects = Expects::Media;
                    loader.move_to(&wanted.urls[0]);
                    loader.assume(target_duration);
                    let mut feed = Feed::of(wanted, loader, now);
                    feed.downloader.keys = self.keys;
                    feed.breaks = breaks;
                    feed
                }
            };
            feed.loader.variables = Some(variables.clone());
            feed.downloader.looks.wanted = master.presentation.is_silent_about(offer);
            feed.downloader.is_text = feed.kind() == Kind::Subtitles;
            self.feeds.push(feed);
        }
        known.into_iter().flatten().collect()
    }

    /// What this lane calls so is so on the channel's axis.
    pub(super) fn on_channel(&self, place: Option<Place>) -> Option<Place> {
        place.map(|place| place.shifted_by(self.shift))
    }

    /// A lane that watched prepares to take over, from the newest segments it has seen.
    pub(super) fn promote(&mut self, stage: &mut Stage<'_>, why: SwitchReason) {
        let since = stage.now.monotonic;
        self.role = Role::Preparing { why, since };
        let alone = self.master.is_none();
        let feed = &mut self.feeds[0];
        let listed = std::mem::take(&mut feed.latest);
        let count = match why {
            SwitchReason::Stalled | SwitchReason::KindChanged => listed.len(),
            SwitchReason::FirstIsHealthy | SwitchReason::Reconfigured => 1,
        };
        feed.listed = !listed.is_empty();
        let listing = Listing {
            listed,
            first_new: 0,
            restarted: false,
            elsewhere: false,
            silence: Span::ZERO,
            target_duration: feed.loader.target_duration(),
            whole: feed.loader.about.whole,
            complete: feed.loader.about.complete,
            fixed: feed.loader.fixed,
        };
        if alone {
            feed.downloader.listed(stage, &listing, count);
        } else if feed.listed {
            self.take_up(stage, 0, listing, |_| count);
        }
    }

    pub(super) fn source(&self) -> usize {
        self.root().source
    }

    pub(super) fn generation(&self) -> Generation {
        self.root().generation
    }

    /// All variants have ended; one that was left behind, or cannot be had, is not waited for.
    pub(super) fn ended(&self) -> bool {
        let mut variants = self.variants().filter(|feed| feed.has_part()).peekable();
        variants.peek().is_some() && variants.all(|feed| feed.loader.ended)
    }

    /// They have, and nothing of them is on its way.
    pub(super) fn is_at_its_end(&self) -> bool {
        let mut variants = self.variants().filter(|feed| feed.has_part());
        self.ended() && variants.all(|feed| feed.downloader.is_empty())
    }

    /// Nothing follows what a track waits for, and so that is given up in the end; but not while nothing at all could be
    /// had of the source, which may be away.
    pub(super) fn gives_up_last(&self, index: usize) -> bool {
        self.feeds[index].loader.ended && self.has_had_any()
    }

    /// Something could be had of it.
    pub(super) fn has_had_any(&self) -> bool {
        let had = |feed: &Feed| feed.appended.is_some() || feed.downloader.stored_at.is_some();
        self.feeds.iter().any(had)
    }

    /// Nothing will follow, and everything has left; of one variant at least there was something.
    pub(super) fn is_over(&self) -> bool {
        let waited = |feed: &&Feed| feed.kind().is_waited_for() && feed.has_part();
        let mut waited = self.feeds.iter().filter(waited).peekable();
        let begun = self.variants().any(|feed| feed.listed) && waited.peek().is_some();
        let comes = (0..self.feeds.len()).any(|index| self.is_last_of_others(index));
        begun && waited.all(Feed::is_over) && !comes
    }

    /// The last that there is of a track that nobody waits for is on its way, and belongs to what was shown.
    fn is_last_of_others(&self, index: usize) -> bool {
        let feed = &self.feeds[index];
        let others = !feed.kind().is_waited_for() && feed.has_part();
        let last = feed.loader.ended && feed.listed && !feed.is_over();
        others && last && self.lets_pass(index)
    }

    pub(super) fn target_duration(&self) -> Span {
        let told = self.told_target_duration().or(self.assumed);
        told.unwrap_or(crate::config::ASSUMED_TARGET_DURATION)
    }

    pub(super) fn told_target_duration(&self) -> Option<Span> {
        self.loaders()
            .filter_map(Loader::told_target_duration)
            .max()
    }

    pub(super) fn believed(&self, target_duration: Span) -> Span {
        self.feeds[0].loader.believed(target_duration)
    }

    /// The first segments are stored: of all that are waited for, or of one while the time for that is
    /// over.
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        let mut waited = self.feeds.iter().filter(|feed| feed.kind().is_waited_for());
        let ready = |feed: &Feed| feed.downloader.is_ready();
        let patient = match self.role {
            Role::Preparing { since, .. } => now < since + self.target_duration() * 2,
            Role::Relaying | Role::Watching => true,
        };
        let all = waited.clone().all(ready);
        all || (!patient && waited.any(ready))
    }

    /// When what is ready need not wait for the rest.
    pub(super) fn ready_at(&self) -> Option<Timestamp> {
        match self.role {
            Role::Preparing { since, .. } if self.master.is_some() => {
                Some(since + self.target_duration() * 2)
            }
            Role::Preparing { .. } | Role::Relaying | Role::Watching => None,
        }
    }

    /// When a segment last came, or the lane began: the measure of its health.
    pub(super) fn progress_at(&self) -> Timestamp {
        let stored = self
            .variants()
            .filter_map(|feed| feed.downloader.stored_at)
            .max();
        stored.map_or(self.started, |at| at.max(self.started))
    }

    /// It had a new segment last then.
    pub(super) fn grown_at(&self) -> Timestamp {
        let grown = self.variants().map(|feed| feed.loader.grown_at).max();
        grown.unwrap_or(self.started)
    }

    /// Where it was found there is a multivariant playlist in place of a media playlist now, or the other way
    /// round.
    pub(super) fn shows_another_kind(&self) -> bool {
        matches!(
            self.root().trouble,
            Some(Trouble::Refused(
                Refusal::Multivariant | Refusal::NotMultivariant
            ))
        )
    }

    /// What its source is; nothing while that is not known.
    pub(super) fn is_multivariant(&self) -> Option<bool> {
        match self.root().expects {
            Expects::Either => None,
            Expects::Media => Some(false),
            Expects::Multivariant => Some(true),
        }
    }

    /// It asks in the place of the active lane.
    pub(super) fn stands_in(&self) -> bool {
        let why = SwitchReason::KindChanged;
        matches!(self.role, Role::Preparing { why: it, .. } if it == why)
    }

    pub(super) fn is_in_vain(&self) -> bool {
        self.variants().all(Feed::is_in_vain)
    }

    /// So many segments are there and wait for what is made of them.
    pub(super) fn processing(&self) -> usize {
        let feeds = self.feeds.iter();
        feeds.map(|feed| feed.downloader.processing()).sum()
    }

    /// How many of its tracks are.
    pub(super) fn left_behind(&self) -> usize {
        self.feeds.iter().filter(|feed| feed.left_behind).count()
    }

    /// Why nothing comes.
    pub(super) fn trouble(&self) -> Trouble {
        let master = self
            .master
            .as_ref()
            .and_then(|it| it.loader.trouble.clone());
        let told = master.filter(|_| self.feeds.iter().all(|feed| !feed.listed));
        let lacking = |feed: &&Feed| feed.is_waited_for() && !feed.downloader.is_done();
        let lacking = self.feeds.iter().find(lacking);
        told.unwrap_or_else(|| lacking.unwrap_or(&self.feeds[0]).trouble())
    }

    /// Ends all its work.
    pub(super) fn close(self) -> (Vec<RequestId>, Vec<Leftovers>) {
        let (mut loads, mut left) = (Vec::new(), Vec::new());
        if let Some(mut master) = self.master {
            loads.extend(master.loader.stop());
        }
        for mut feed in self.feeds {
            loads.extend(feed.loader.stop());
            left.push(feed.downloader.clear());
        }
        (loads, left)
    }

    /// The configured URL.
    pub(super) fn source_url(&self) -> &Arc<str> {
        &self.root().source_url
    }
}
