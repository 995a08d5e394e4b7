//! Stage one: when to reload a source's playlist, and what is new in it (RFC 8216 6.3.4).
//!
//! One [`Loader`] follows one source. [`offer`] is what a list offers, [`judge`] and [`history`] tell what
//! of it is new, [`reload`] when it is loaded next, [`phase`] when the next segment is to be expected. Which
//! source is followed is decided by [`crate::relay`].

mod date_ranges;
mod folders;
pub(crate) mod history;
mod judge;
mod offer;
mod phase;
mod reload;
mod seen;
mod strays;

use crate::checkpoint::{Identity, SavedPosition, without_secrets};
use crate::command::{Command, LoadPlaylist};
use crate::config::{self, ReloadPolicy, Source};
use crate::event::{FetchError, LoadedPlaylist};
use crate::ids::{Generation, RequestId};
use crate::inline::hidden_in;
use crate::limits;
use crate::notice::{Notice, Refusal, Trouble};
use crate::planted::Mistake;
use crate::playlist::{Flaw, MultivariantPlaylist, Playlist, Variables};
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use history::History;
use offer::{Resolved, understand};
use phase::Phase;
use reload::Pacing;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::Arc;
use url::Url;

pub(crate) use date_ranges::{ListedRange, ListedRanges};
pub(crate) use offer::{About, Listing, Offered, resolve};
pub(crate) use reload::Pace;
pub(crate) use seen::Seen;
use strays::Strays;

/// Follows the playlist of one source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Loader {
    pub(crate) source: usize,
    pub(crate) generation: Generation,
    /// The configured URL of the source.
    pub(crate) source_url: Arc<str>,
    /// That of the playlist that is loaded.
    pub(crate) url: Arc<str>,
    pub(crate) expects: Expects,
    /// Those of the multivariant playlist that led here (C-38).
    pub(crate) variables: Option<Variables>,
    pub(crate) reload: ReloadPolicy,
    in_flight: Option<UnderWay>,
    next_load: Option<Timestamp>,
    /// The source is not asked again before.
    earliest: Timestamp,
    /// A load has brought nothing new since something last did.
    in_vain: bool,
    etag: Option<Arc<str>>,
    last_body: Option<[u8; 32]>,
    /// It is somewhere else now, and has not been asked for there: whatever it lists is a change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    elsewhere: bool,
    /// The body before ended without a line end.
    open_end: bool,
    failing: Option<Failing>,
    /// Whoever followed this source before has had nothing of it since then, and nor has anybody here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_before: Option<Failing>,
    /// What is known of it was seen by whoever followed it before: its first list is taken whole, as the lists of its
    /// siblings are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    begins_anew: bool,
    /// How many runs of its encoder there were before is only taken from its siblings: it may be in the one before
    /// theirs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    runs_assumed: bool,
    /// So it is of whoever followed it before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    runs_known: bool,
    older: bool,
    refused: bool,
    flaws: Vec<Flaw>,
    #[serde(default, skip_serializing_if = "Strays::is_empty")]
    strays: Strays,
    /// As far as it is believed: what everything is timed by.
    target_duration: Option<Span>,
    /// The newest list that was of use.
    pub(crate) about: About,
    pub(crate) date_ranges: ListedRanges,
    /// Counts the runs of the encoder.
    pub(crate) run: u64,
    /// The last segment's duration, and the mean of the list: what reloads are timed by.
    pacing: Option<Pacing>,
    history: History,
    /// Nothing follows from it but speed.
    #[serde(skip)]
    resolved: Resolved,
    phase: Phase,
    /// A new segment was last seen then; at first, when the loader began.
    pub(crate) grown_at: Timestamp,
    /// How long nothing had come when the loader began, in the time of an earlier process.
    silent_before: Span,
    /// New segments have come without a long pause since then.
    healthy_since: Option<Timestamp>,
    /// The list ends with EXT-X-ENDLIST.
    pub(crate) ended: bool,
    /// It will never change again (EXT-X-PLAYLIST-TYPE:VOD): nothing is looked for after its end.
    pub(crate) fixed: bool,
    pub(crate) trouble: Option<Trouble>,
}

/// What a loader takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Expects {
    /// The first load decides.
    Either,
    Media,
    Multivariant,
}

/// What a load has brought.
pub(crate) enum Loaded {
    Listing(Listing),
    /// From this URL.
    Multivariant(Url, Box<MultivariantPlaylist>),
}

/// A load under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnderWay {
    request: RequestId,
    sent: Timestamp,
    /// When it should have been sent.
    due: Timestamp,
    /// Nothing has been had from there yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    first_there: bool,
    /// It was sent to where the playlist is no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    outdated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Failing {
    since: Timestamp,
    tries: u32,
}

impl Loader {
    pub(crate) fn new(
        now: Timestamp,
        source: usize,
        config: &Source,
        generation: Generation,
        reload: ReloadPolicy,
    ) -> Self {
        Self {
            source,
            generation,
            source_url: Arc::clone(&config.url),
            url: Arc::clone(&config.url),
            expects: Expects::Either,
            variables: None,
            reload,
            in_flight: None,
            next_load: Some(now),
            earliest: now,
            in_vain: false,
            etag: None,
            last_body: None,
            elsewhere: false,
            open_end: false,
            failing: None,
            failed_before: None,
            begins_anew: false,
            runs_assumed: false,
            runs_known: false,
            older: false,
            refused: false,
            flaws: Vec::new(),
            strays: Strays::default(),
            target_duration: None,
            about: About::default(),
            date_ranges: ListedRanges::default(),
            run: 0,
            pacing: None,
            history: History::default(),
            resolved: Resolved::default(),
            phase: Phase::default(),
            grown_at: now,
            silent_before: Span::ZERO,
            healthy_since: None,
            ended: false,
            fixed: false,
            trouble: None,
        }
    }

    /// Goes on from a position that was saved `silence` ago, in the place where it is now; the list had `ended` or not.
    pub(crate) fn restore(&mut self, position: SavedPosition, silence: Span, ended: bool) {
        self.history = History::restored(position.known, position.former);
        self.silent_before = silence + position.silent;
        (self.ended, self.elsewhere, self.runs_assumed) = (ended, false, true);
    }

    /// The same source under another configuration: its numbers change, its work goes on.
    pub(crate) fn reconfigure(&mut self, source: usize, generation: Generation) {
        (self.source, self.generation) = (source, generation);
    }

    /// Loads if it is time. A load under way is waited for.
    pub(crate) fn advance(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now.monotonic;
        let due = self.next_load.filter(|at| *at <= now);
        let Some(due) = due.filter(|_| self.in_flight.is_none()) else {
            return;
        };
        let (request, sent) = (stage.request(), now);
        let first_there = std::mem::take(&mut self.elsewhere);
        // What was due elsewhere says nothing of when this one was to be asked.
        let due = if first_there { sent } else { due };
        self.in_flight = Some(UnderWay {
            request,
            sent,
            due,
            first_there,
            outdated: false,
        });
        self.next_load = None;
        stage.commands.push(Command::LoadPlaylist(LoadPlaylist {
            request,
            generation: self.generation,
            epoch: stage.epoch,
            source: self.source,
            url: Arc::clone(&self.url),
            etag: self.etag.clone(),
            limits: config::playlist_limits(self.target_duration()),
        }));
    }

    /// Stops loading; the completion of what is under way will be nobody's.
    pub(crate) fn stop(&mut self) -> Option<RequestId> {
        self.next_load = None;
        self.in_flight.take().map(|it| it.request)
    }

    pub(crate) fn owns(&self, request: RequestId) -> bool {
        self.in_flight.is_some_and(|it| it.request == request)
    }

    /// The position right behind segment `number` of a run; `None` where nothing is known of that run.
    pub(crate) fn position(&self, run: u64, number: u64, now: Timestamp) -> Option<SavedPosition> {
        // What is known of a run goes on number by number.
        let until = |known: &VecDeque<Identity>| -> Vec<Identity> {
            let end = known.partition_point(|id| id.media_sequence <= number);
            known.range(..end).cloned().collect()
        };
        let none = VecDeque::new();
        let former = self.history.former().unwrap_or(&none);
        let (known, former) = if run == self.run {
            (
                until(self.history.known()),
                former.iter().cloned().collect(),
            )
        } else if run + 1 == self.run {
            (until(former), Vec::new())
        } else {
            return None;
        };
        let source_url = without_secrets(&self.source_url);
        Some(SavedPosition {
            source_url,
            known,
            former,
            silent: now.since(self.grown_at) + self.silent_before,
            end: None,
            medium: None,
        })
        .filter(|position| !position.known.is_empty())
    }

    /// What a segment that was named in an earlier list is called now.
    pub(crate) fn called_now(&self, identity: &Identity) -> Identity {
        self.history.called_now(identity)
    }

    /// The source has been looked at since its last new segment, and had none. A look that is under way
    /// may bring one, as long as the looks before it have not failed.
    pub(crate) fn is_silent(&self) -> bool {
        self.in_vain && (self.in_flight.is_none() || self.failing.is_some())
    }

    /// How long new segments have come without a stall.
    pub(crate) fn healthy_for(&self, now: Timestamp) -> Span {
        let since = self.healthy_since.filter(|_| !self.is_pausing(now));
        since.map_or(Span::ZERO, |since| now.since(since))
    }

    /// New segments have come without a stall since then.
    pub(crate) fn healthy_since(&self) -> Option<Timestamp> {
        self.healthy_since
    }

    fn is_pausing(&self, now: Timestamp) -> bool {
        now.since(self.grown_at) >= config::stalled_after(self.target_duration())
    }

    /// When it will have been healthy for so long, if nothing goes wrong; after `now`.
    pub(crate) fn healthy_at(&self, now: Timestamp, long: Span) -> Option<Timestamp> {
        let since = self.healthy_since.filter(|_| !self.is_pausing(now));
        since.map(|since| since + long).filter(|at| *at > now)
    }

    /// Takes the completion of the load under way. Gives what is listed where that is of use.
    pub(crate) fn loaded(
        &mut self,
        stage: &mut Stage<'_>,
        outcome: Result<LoadedPlaylist, FetchError>,
    ) -> Option<Loaded> {
        let load = self.in_flight.take()?;
        let sent = load.sent;
        match outcome {
            Err(error) => {
                self.elsewhere |= load.first_there;
                if self.failing.is_none() {
                    stage.notify(Notice::PlaylistFailed {
                        source: self.source,
                        error: error.clone(),
                    });
                }
                let trouble = match load.outdated {
                    true => Trouble::Unchanged,
                    false => Trouble::Playlist(error),
                };
                self.failed(stage, sent, trouble);
                None
            }
            Ok(LoadedPlaylist::NotModified) => {
                self.recovered(stage);
                self.unchanged(stage, sent);
                if stage.makes(Mistake::ReloadNotPlannedAnew) {
                    self.next_load = None;
                }
                None
            }
            Ok(LoadedPlaylist::Body { url, body, etag }) => {
                let digest: [u8; 32] = Sha256::digest(hidden_in(&body.0)).into();
                if self.last_body == Some(digest) && !load.first_there {
                    self.recovered(stage);
                    self.unchanged(stage, sent);
                    return None;
                }
                let understood = self.resolved.base(&url).and_then(|base| {
                    let list = understand(&base, &body.0, self.variables.as_ref())?;
                    Ok((base, list))
                });
                let understood =
                    understood.and_then(|(base, list)| Ok((base, self.expected(list)?)));
                match understood {
                    Ok((base, list)) => {
                        self.etag = etag;
                        self.last_body = Some(digest);
                        match list {
                            Playlist::Media(list) => {
                                self.recovered(stage);
                                self.expects = Expects::Media;
                                let listing = self.changed(stage, load, &base, list);
                                listing.map(Loaded::Listing)
                            }
                            Playlist::Multivariant(list) => {
                                self.expects = Expects::Multivariant;
                                self.say_flaws(stage, &list.flaws);
                                self.rest(sent);
                                Some(Loaded::Multivariant(base, Box::new(list)))
                            }
                        }
                    }
                    Err(error) => {
                        self.elsewhere |= load.first_there;
                        self.refuse(stage, sent, error);
                        None
                    }
                }
            }
        }
    }

    /// Whether it is of the kind that this loader follows.
    fn expected(&mut self, list: Playlist) -> Result<Playlist, Refusal> {
        match (&list, self.expects) {
            (Playlist::Media(list), Expects::Multivariant) => {
                self.assume(Some(list.target_duration));
                Err(Refusal::NotMultivariant)
            }
            (Playlist::Multivariant(_), Expects::Media) => Err(Refusal::Multivariant),
            (Playlist::Media(_) | Playlist::Multivariant(_), _) => Ok(list),
        }
    }

    /// A playlist that came and cannot be used.
    pub(crate) fn refuse(&mut self, stage: &mut Stage<'_>, sent: Timestamp, error: Refusal) {
        if !self.refused {
            stage.notify(Notice::PlaylistRefused {
                source: self.source,
                error: error.clone(),
            });
        }
        self.refused = true;
        if self.expects == Expects::Multivariant {
            // The same again is no reason not to look at it.
            (self.last_body, self.etag) = (None, None);
        }
        let is_media = error == Refusal::NotMultivariant;
        self.failed(stage, sent, Trouble::Refused(error));
        if is_media {
            // It was an answer like any other, and whoever follows it may not ask earlier.
            self.earliest = self.earliest.max(sent + self.target_duration());
            self.next_load = Some(self.earliest);
        }
    }

    /// The same playlist under another URL, at the next load.
    pub(crate) fn move_to(&mut self, url: &Arc<str>) {
        if self.url != *url {
            if without_secrets(&self.url) != without_secrets(url) {
                self.elsewhere = true;
            }
            self.url = Arc::clone(url);
            self.etag = None;
            // Why the old one failed, or will fail, says nothing of the new one.
            self.trouble = self.trouble.take().map(|_| Trouble::Unchanged);
            if let Some(load) = &mut self.in_flight {
                load.outdated = true;
            }
            let waits = self.failing.is_some() && self.in_flight.is_none();
            self.next_load = self
                .next_load
                .map(|at| if waits { self.earliest } else { at });
        }
    }

    /// What it lists next may come from another place than what is known.
    pub(crate) fn is_elsewhere(&mut self) {
        self.elsewhere = true;
    }

    /// What was listed last comes from where it is now.
    pub(crate) fn is_there(&self) -> bool {
        !self.elsewhere
    }

    /// What came can be used; a multivariant playlist is looked at by whoever follows what it names.
    pub(crate) fn recovered(&mut self, stage: &mut Stage<'_>) {
        self.refused = false;
        self.failed_before = None;
        if let Some(failing) = self.failing.take() {
            let after = stage.now.monotonic.since(failing.since);
            stage.notify(Notice::PlaylistRecovered {
                source: self.source,
                after,
            });
        }
    }

    fn unchanged(&mut self, stage: &mut Stage<'_>, sent: Timestamp) {
        let now = stage.now.monotonic;
        self.in_vain = true;
        if !self.older {
            self.trouble = Some(Trouble::Unchanged);
        }
        if self.expects == Expects::Multivariant {
            self.rest(sent);
            return;
        }
        if self.ended {
            self.look_after_the_end(stage, sent);
            return;
        }
        self.phase.unchanged(middle(sent, now));
        self.look_again(now, sent);
    }

    fn say_flaws(&mut self, stage: &mut Stage<'_>, flaws: &[Flaw]) {
        for flaw in flaws {
            let said = self.flaws.iter().any(|said| said.kind == flaw.kind);
            if self.flaws.len() < limits::MOST_FLAWS_SAID && !said {
                self.flaws.push(flaw.clone());
                stage.notify(Notice::PlaylistFlaw {
                    source: self.source,
                    flaw: flaw.clone(),
                });
            }
        }
    }
}

/// The moment a load stands for: the server looked somewhere between the two.
fn middle(sent: Timestamp, received: Timestamp) -> Timestamp {
    sent + received.since(sent).half()
}
