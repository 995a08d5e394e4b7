//! Stage one: when to reload a source's playlist, and what is new in it (RFC 8216 6.3.4).
//!
//! One [`Loader`] follows one source. [`offer`] is what a list offers, [`history`] tells what of it is
//! new, [`phase`] when the next segment is to be expected. Which source is followed is decided by [`crate::relay`].

mod folders;
pub(crate) mod history;
mod offer;
mod phase;

use crate::checkpoint::{Identity, SavedPosition, without_secrets};
use crate::command::{Command, LoadPlaylist};
use crate::config::{self, ReloadPolicy, Source};
use crate::event::{FetchError, LoadedPlaylist};
use crate::ids::{Generation, RequestId};
use crate::limits;
use crate::notice::{Break, Notice, Refusal, Trouble};
use crate::planted::Mistake;
use crate::playlist::{
    Flaw, MediaPlaylist, MultivariantPlaylist, Playlist, PlaylistType, Segment, Variables,
};
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use history::{History, Verdict};
use offer::{is_low_latency, offer, understand};
use phase::Phase;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use url::Url;

pub(crate) use offer::{About, Listing, Offered, resolve};

/// After a change the next load comes at the latest after so much of a target duration: to find a
/// source's phase takes longer waits, and versions of ours more than one and a half target durations
/// apart would be late (S-12). What is left is for the answer and the download.
const LONGEST_WAIT: (u64, u64) = (7, 5);

/// How a source may be asked, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) may_load_at: Timestamp,
    target_duration: Option<Span>,
}

/// What reloads are timed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pacing {
    last: Span,
    longest: Span,
    mean: Span,
    /// The segments are as long as each other: when the next one appears can be told.
    regular: bool,
}

impl Pacing {
    fn of(segments: &[Segment]) -> Option<Self> {
        let last = segments.last()?.duration;
        let longest = segments.iter().map(|segment| segment.duration).max()?;
        let total: Span = segments.iter().map(|segment| segment.duration).sum();
        let mean = total
            .scaled(1, segments.len() as u64)
            .max(Span::from_millis(1));
        let alike = |segment: &Segment| segment.duration.abs_diff(mean) <= mean.scaled(1, 16);
        let regular = segments.iter().all(alike);
        Some(Self {
            last,
            longest,
            mean,
            regular,
        })
    }
}

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
    /// The body before ended without a line end.
    open_end: bool,
    failing: Option<Failing>,
    older: bool,
    refused: bool,
    flaws: Vec<Flaw>,
    /// As far as it is believed: what everything is timed by.
    target_duration: Option<Span>,
    /// The newest list that was of use.
    pub(crate) about: About,
    /// Counts the runs of the encoder.
    pub(crate) run: u64,
    /// The last segment's duration, and the mean of the list: what reloads are timed by.
    pacing: Option<Pacing>,
    history: History,
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
    fixed: bool,
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
            open_end: false,
            failing: None,
            older: false,
            refused: false,
            flaws: Vec::new(),
            target_duration: None,
            about: About::default(),
            run: 0,
            pacing: None,
            history: History::default(),
            phase: Phase::default(),
            grown_at: now,
            silent_before: Span::ZERO,
            healthy_since: None,
            ended: false,
            fixed: false,
            trouble: None,
        }
    }

    /// Goes on from a position that was left `silence` ago; the list had `ended` or not.
    pub(crate) fn restore(&mut self, position: SavedPosition, silence: Span, ended: bool) {
        self.history = History::restored(position.known, position.former);
        self.silent_before = silence;
        self.ended = ended;
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
        self.in_flight = Some(UnderWay { request, sent, due });
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

    /// When the next load is due.
    pub(crate) fn next_load(&self) -> Option<Timestamp> {
        self.next_load
    }

    /// For whoever follows this source next.
    pub(crate) fn pace(&self) -> Pace {
        // What a load under way would have brought counts as a change.
        let under_way = self.in_flight.map(|it| it.sent + self.least_wait());
        let may_load_at = under_way.map_or(self.earliest, |at| at.max(self.earliest));
        Pace {
            may_load_at,
            target_duration: self.target_duration,
        }
    }

    /// Goes on at the pace of whoever followed this source before.
    pub(crate) fn keep_pace(&mut self, pace: Pace) {
        self.earliest = self.earliest.max(pace.may_load_at);
        self.next_load = self.next_load.map(|next| next.max(self.earliest));
        self.target_duration = self.target_duration.or(pace.target_duration);
    }

    /// What its siblings have told, until it tells its own.
    pub(crate) fn assume(&mut self, target_duration: Option<Span>) {
        self.target_duration = self.target_duration.or(target_duration);
    }

    /// Stops loading; the completion of what is under way will be nobody's.
    pub(crate) fn stop(&mut self) -> Option<RequestId> {
        self.next_load = None;
        self.in_flight.take().map(|it| it.request)
    }

    pub(crate) fn owns(&self, request: RequestId) -> bool {
        self.in_flight.is_some_and(|it| it.request == request)
    }

    /// A target duration as far as the newest list makes it believable.
    pub(crate) fn believed(&self, target_duration: Span) -> Span {
        let longest = self.pacing.map(|pacing| pacing.longest);
        longest.map_or(target_duration, |it| config::believed(target_duration, it))
    }

    /// The source's target duration as far as it is believed; assumed until it has told one.
    pub(crate) fn target_duration(&self) -> Span {
        self.target_duration
            .unwrap_or(config::ASSUMED_TARGET_DURATION)
    }

    /// As the source, or whoever followed it before, has told it.
    pub(crate) fn told_target_duration(&self) -> Option<Span> {
        self.target_duration
    }

    /// The position right behind segment `number` of a run; `None` where nothing is known of that run.
    pub(crate) fn position(&self, run: u64, number: u64) -> Option<SavedPosition> {
        let until = |known: &mut dyn Iterator<Item = &Identity>| -> Vec<Identity> {
            known
                .filter(|id| id.media_sequence <= number)
                .cloned()
                .collect()
        };
        let (known, former) = if run == self.run {
            let former = self.history.former().cloned().collect();
            (until(&mut self.history.known()), former)
        } else if run + 1 == self.run {
            (until(&mut self.history.former()), Vec::new())
        } else {
            return None;
        };
        let source_url = without_secrets(&self.source_url);
        Some(SavedPosition {
            source_url,
            known,
            former,
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
                if self.failing.is_none() {
                    stage.notify(Notice::PlaylistFailed {
                        source: self.source,
                        error: error.clone(),
                    });
                }
                self.failed(stage, sent, Trouble::Playlist(error));
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
                let digest: [u8; 32] = Sha256::digest(&body.0).into();
                if self.last_body == Some(digest) {
                    self.recovered(stage);
                    self.unchanged(stage, sent);
                    return None;
                }
                let understood = understand(&url, &body.0, self.variables.as_ref());
                match understood.and_then(|(base, list)| Ok((base, self.expected(list)?))) {
                    Ok((base, list)) => {
                        self.etag = etag;
                        self.last_body = Some(digest);
                        self.recovered(stage);
                        match list {
                            Playlist::Media(list) => {
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
                        self.refuse(stage, sent, error);
                        None
                    }
                }
            }
        }
    }

    /// Whether it is of the kind that this loader follows.
    fn expected(&self, list: Playlist) -> Result<Playlist, Refusal> {
        match (&list, self.expects) {
            (Playlist::Media(_), Expects::Multivariant) => Err(Refusal::NotMultivariant),
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
        self.failed(stage, sent, Trouble::Refused(error));
    }

    /// A multivariant playlist is loaded again when somebody needs it, and at the pace of one that
    /// failed.
    fn rest(&mut self, sent: Timestamp) {
        self.earliest = sent + self.target_duration();
        self.next_load = None;
    }

    /// What it led to does not work any more: it is loaded once more.
    /// Whether that was not planned yet.
    pub(crate) fn load_again(&mut self, now: Timestamp) -> bool {
        let rests = self.in_flight.is_none() && self.next_load.is_none();
        if rests {
            self.next_load = Some(now.max(self.earliest));
            (self.last_body, self.etag) = (None, None);
        }
        rests
    }

    /// The same playlist under another URL, at the next load.
    pub(crate) fn move_to(&mut self, url: &Arc<str>) {
        if self.url != *url {
            self.url = Arc::clone(url);
            self.etag = None;
            // Why the old one failed says nothing of the new one.
            self.trouble = self.trouble.take().map(|_| Trouble::Unchanged);
            let waits = self.failing.is_some() && self.in_flight.is_none();
            self.next_load = self
                .next_load
                .map(|at| if waits { self.earliest } else { at });
        }
    }

    /// Half a target duration for the first minute, then a back-off, for ever; with jitter.
    fn failed(&mut self, stage: &mut Stage<'_>, sent: Timestamp, trouble: Trouble) {
        let now = stage.now.monotonic;
        stage.counters.retries += 1;
        self.in_vain = true;
        self.trouble = Some(trouble);
        let failing = self.failing.get_or_insert(Failing {
            since: sent,
            tries: 0,
        });
        let wait = if now.since(failing.since) < config::QUICK_RETRY_FOR {
            self.target_duration
                .unwrap_or(config::ASSUMED_TARGET_DURATION)
                .half()
        } else {
            failing.tries += 1;
            slower(
                self.target_duration
                    .unwrap_or(config::ASSUMED_TARGET_DURATION),
                failing.tries,
            )
        };
        self.earliest = now.max(sent + stage.rng.jittered(wait));
        if stage.makes(Mistake::RetryWithoutBackOff) {
            self.earliest = now;
        }
        self.next_load = Some(self.earliest);
    }

    fn recovered(&mut self, stage: &mut Stage<'_>) {
        self.refused = false;
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

    /// Where there was nothing new: half a target duration, from the start of this load.
    fn look_again(&mut self, now: Timestamp, sent: Timestamp) {
        let target_duration = self.target_duration();
        let earliest = sent + target_duration.half();
        let regular = self.pacing.filter(|pacing| pacing.regular);
        let look = regular.map_or(earliest, |it| self.phase.next_look(now, earliest, it.mean));
        self.earliest = earliest;
        self.next_load = Some(look.min(sent + target_duration));
    }

    /// The run is over (C-08); only a new one is looked for, at the pace of a failed source.
    fn look_after_the_end(&mut self, stage: &mut Stage<'_>, sent: Timestamp) {
        if self.fixed {
            return;
        }
        let ended_for = stage.now.monotonic.since(self.grown_at);
        let wait = if ended_for < config::QUICK_RETRY_FOR {
            self.target_duration()
        } else {
            config::SLOWEST_RETRY.max(self.target_duration())
        };
        self.earliest = sent + stage.rng.jittered(wait).max(self.target_duration());
        self.next_load = Some(self.earliest);
    }

    fn changed(
        &mut self,
        stage: &mut Stage<'_>,
        load: UnderWay,
        base: &Url,
        mut list: MediaPlaylist,
    ) -> Option<Listing> {
        // A list that ends in the middle of a line may have been cut in its last URI; a source that
        // always writes them so has not.
        let open_end = list.last_uri_may_be_cut();
        if open_end && !self.open_end {
            list.segments.pop();
        }
        self.open_end = open_end;
        self.say_flaws(stage, &list.flaws);
        let was_ended = std::mem::replace(&mut self.ended, list.end_list);
        self.fixed = list.end_list && list.playlist_type == Some(PlaylistType::Vod);
        let (first, was_older) = (self.pacing.is_none(), self.older);
        self.pacing = Pacing::of(&list.segments);
        self.target_duration = Some(self.believed(list.target_duration));
        let about = About {
            target_duration: list.target_duration,
            head: list
                .head
                .into_iter()
                .filter(|line| !is_low_latency(line))
                .collect(),
            independent_segments: list.independent_segments,
            i_frames_only: list.i_frames_only,
        };
        let now = stage.now.monotonic;
        let base_text: Arc<str> = base.as_str().into();
        let mut listed: Vec<Offered> = list
            .segments
            .into_iter()
            .map(|it| offer(base, &base_text, it, now))
            .collect();
        let first_new = self.judge(stage, load.sent, &mut listed, was_ended);
        // The first list of all is a change, and so is one after another edge's.
        let nothing_new = first_new.is_some_and(|(first_new, _)| first_new == listed.len());
        self.schedule(stage, load, nothing_new && !first && !was_older);
        let (first_new, restarted) = first_new?;
        let target_duration = self.target_duration();
        self.about = about;
        Some(Listing {
            listed,
            first_new,
            restarted,
            target_duration,
        })
    }

    /// Finds what is new, marks breaks and losses on it, and learns from it.
    /// `None`: an older list, of no use.
    fn judge(
        &mut self,
        stage: &mut Stage<'_>,
        sent: Timestamp,
        listed: &mut [Offered],
        was_ended: bool,
    ) -> Option<(usize, bool)> {
        let now = stage.now.monotonic;
        let before = self
            .history
            .known()
            .next_back()
            .map(|id| id.discontinuity_sequence);
        let mut identities: Vec<Identity> = listed.iter().map(|it| it.identity.clone()).collect();
        let silence = now.since(self.grown_at) + self.silent_before;
        self.history.strip(&mut identities, silence);
        let named = listed.iter_mut().zip(&identities);
        named.for_each(|(it, identity)| it.identity.clone_from(identity));
        let verdict = self
            .history
            .observe(&identities, self.target_duration(), silence);
        let (number, broken, lost) = match verdict {
            Verdict::Older { .. } if stage.makes(Mistake::StaleEdgeTakenForNew) => (0, None, None),
            Verdict::Older { behind } => {
                self.in_vain = true;
                if !self.older && behind > 0 {
                    stage.notify(Notice::StaleEdge {
                        source: self.source,
                        behind,
                    });
                    self.trouble = Some(Trouble::OlderEdge);
                }
                self.older = behind > 0;
                // The end of an older run does not end ours.
                self.ended = was_ended;
                return None;
            }
            Verdict::GoesOn { first_new, lost } => (first_new, None, lost),
            Verdict::Restarted { first_new, why } => {
                self.phase = Phase::default();
                self.run += 1;
                let marked = !stage.makes(Mistake::RestartUnmarked);
                (first_new, Some(why).filter(|_| marked), None)
            }
        };
        self.older = false;
        let first_new = listed.partition_point(|it| it.identity.media_sequence < number);
        let fresh = &mut listed[first_new..];
        let grown: Span = fresh.iter().map(|it| it.identity.duration).sum();
        if let Some(first) = fresh.first_mut() {
            first.lost = lost;
            first.broken = broken.or(was_ended.then_some(Break::NewRun)).or_else(|| {
                let own = u64::from(first.segment.discontinuity);
                let unseen = before.is_some_and(|dsn| {
                    first.identity.discontinuity_sequence > dsn.saturating_add(own)
                });
                unseen.then_some(Break::Hole)
            });
            if lost.is_some() {
                self.phase = Phase::default();
            }
            self.phase
                .grew(middle(sent, now), first.identity.duration, grown);
            self.grew(now);
        } else {
            self.phase.unchanged(middle(sent, now));
            self.in_vain = true;
            self.trouble = Some(Trouble::Unchanged);
        }
        let lag = self.phase.lag(middle(sent, now));
        let run = self.run;
        listed[first_new..]
            .iter_mut()
            .for_each(|it| (it.lag, it.run) = (lag, run));
        Some((first_new, broken.is_some()))
    }

    fn grew(&mut self, now: Timestamp) {
        if self.healthy_since.is_none() || self.is_pausing(now) {
            self.healthy_since = Some(now);
        }
        (self.grown_at, self.silent_before) = (now, Span::ZERO);
        self.in_vain = false;
        self.trouble = None;
    }

    /// After a new segment: never before the last segment's duration and half a target duration
    /// (or, strictly, the target duration), from the start of this load (C-09). Whatever else has
    /// changed in the text, such as the tokens in its URIs, is no change.
    fn schedule(&mut self, stage: &mut Stage<'_>, load: UnderWay, unchanged: bool) {
        if self.ended {
            self.look_after_the_end(stage, load.sent);
            return;
        }
        if unchanged {
            self.look_again(stage.now.monotonic, load.sent);
            return;
        }
        let target_duration = self.target_duration();
        let last = self.pacing.map_or(Span::ZERO, |pacing| pacing.last);
        let in_time = load.sent.since(load.due) <= config::late_at_most(last);
        let began = if in_time { load.due } else { load.sent };
        self.earliest = began + self.least_wait();
        let latest = began + target_duration.scaled(LONGEST_WAIT.0, LONGEST_WAIT.1);
        // An older list teaches nothing, and what it lacks may stand in the very next answer.
        let regular = self.pacing.filter(|pacing| pacing.regular && !self.older);
        self.next_load = Some(match regular {
            Some(pacing) => {
                let now = stage.now.monotonic;
                let at = self.phase.next_load(now, self.earliest, pacing.mean);
                at.min(latest).max(self.earliest)
            }
            None => self.earliest,
        });
    }

    /// After a change: the last segment's duration and half a target duration, or, strictly, the target
    /// duration.
    fn least_wait(&self) -> Span {
        let target_duration = self.target_duration();
        // A segment that is longer than its list allows is no measure: it would stop the channel.
        let longest = target_duration + Span::from_millis(500);
        let last = self
            .pacing
            .map_or(target_duration, |pacing| pacing.last.min(longest));
        match self.reload {
            ReloadPolicy::LastSegment => last.max(target_duration.half()),
            ReloadPolicy::TargetDuration => last.max(target_duration),
        }
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

/// Never faster than half a target duration, however long that is (C-62).
fn slower(target_duration: Span, tries: u32) -> Span {
    let half = target_duration.half();
    (half * (1 << tries.min(16))).min(config::SLOWEST_RETRY.max(half))
}
