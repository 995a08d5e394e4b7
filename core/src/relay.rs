//! One channel: the handler over the four stages.
//!
//! A step is always the same: what has happened is given to the stage it belongs to, then everything
//! that is due is done, in the order in which a segment travels, then the state is told.
//!
//! 1. load playlists ([`crate::loader`])
//! 2. download new segments ([`crate::downloader`])
//! 3. process ([`crate::processor`]), append, publish ([`crate::publisher`])
//! 4. look at sources and control ([`sources`])
//!
//! There is no table of timers to forget: every deadline is a field of the stage that waits for it,
//! [`Relay::next_wakeup`] is the least of them, and each step does all that is due by then.

mod axis;
mod beginning;
mod control;
mod elsewhere;
mod feed;
mod hand_on;
mod lane;
mod made;
mod places;
mod positions;
mod runs;
mod side_by_side;
mod sources;
mod state;
mod waits;

use crate::checkpoint::{Checkpoint, SavedPosition};
use crate::command::Command;
use crate::config::Spec;
use crate::downloader::Leftovers;
use crate::event::{Desired, Event, FetchError, LoadedPlaylist, StoreError, StoredSegment};
use crate::ids::{Epoch, Generation, ObjectName, RequestId};
use crate::loader::{Pace, Seen};
use crate::notice::{Notice, Reason, State, StoreWork};
use crate::planted::{Mistake, Planted};
use crate::processor::Processor;
use crate::publisher::Publisher;
use crate::rng::Rng;
use crate::stage::{Counters, Stage};
use crate::time::{Now, Span, Timestamp};
use axis::Axis;
use feed::News;
use lane::Lane;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use crate::processor::RungTally;
pub use state::{EdgeStatus, ProcessingStatus, RungStatus, Status, Wake};

/// The machine of one channel.
///
/// [`step`](Self::step) is the only way in and never fails; after each step the driver dispatches the
/// commands and waits for a completion or for [`next_wakeup`](Self::next_wakeup), whichever comes
/// first. It can be serialized whole: a journal begins with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relay {
    epoch: Epoch,
    rng: Rng,
    /// Names the objects of this process.
    tag: u32,
    counters: Counters,
    /// The latest moment seen: time never runs backwards in here.
    clock: Timestamp,
    checkpoint: Option<Box<Checkpoint>>,
    revision: Option<u64>,
    generation: Generation,
    desired: Desired,
    spec: Option<Arc<Spec>>,
    active: Option<Lane>,
    next: Option<Lane>,
    last_switch: Option<Timestamp>,
    /// Sources that were let go, by URL, and their tracks, by theirs without tokens.
    left: BTreeMap<Arc<str>, Left>,
    publisher: Publisher,
    /// Where the run that was stopped last has left its source: it is gone on with, as long as anything of it is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<LeftOver>,
    /// Where the source of each of several tracks was left before this run, how long before, and whether it had ended.
    left_over: BTreeMap<usize, SavedPosition>,
    silence: Span,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    had_ended: bool,
    /// Work that was cancelled and has not been completed yet, with what it may still store.
    abandoned: BTreeMap<RequestId, Option<ObjectName>>,
    /// The same of what was made of segments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    abandoned_work: BTreeMap<RequestId, Vec<ObjectName>>,
    #[serde(default)]
    processor: Processor,
    state: State,
    reason: Option<Reason>,
    /// The present run of the channel began then.
    run_since: Timestamp,
    shutdown: Option<ShutDown>,
    #[serde(skip)]
    planted: Planted,
}

/// What a run may go on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeftOver {
    /// Where the source of each track was left.
    positions: Vec<Option<SavedPosition>>,
    /// It had come to its end.
    ended: bool,
    at: Timestamp,
}

impl LeftOver {
    fn positions_at(&self, now: Timestamp) -> Vec<Option<SavedPosition>> {
        let since = now.since(self.at);
        let positions = self.positions.iter().cloned();
        positions.map(|it| Some(it?.later(since))).collect()
    }
}

/// What is kept of a source that was let go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Left {
    /// How it is to be asked: a change of role here is no reason to ask an origin faster.
    pace: Pace,
    /// Where it goes on when this run of the channel comes back to it: nothing is relayed twice.
    position: Option<LeftAt>,
    /// What was seen of it as one of several tracks, the last time that they were followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
    /// Where its segments stood then, on the axis of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    axis: Option<Axis>,
    /// The configured URL of its source.
    of: Arc<str>,
}

/// Where a source was when it was relayed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeftAt {
    position: SavedPosition,
    /// It had a new segment last then.
    grown_at: Timestamp,
    /// Its list had ended.
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ShutDown {
    /// Segments in flight are waited for, at most until then.
    Finishing {
        until: Timestamp,
    },
    /// The last checkpoint is being saved.
    Saving(RequestId),
    Finished,
    /// Another is the owner: nothing is done any more.
    Fenced,
}

impl Relay {
    /// A machine for the owner of `epoch`, going on from `checkpoint` where there is one. `seed` is
    /// its only chance: another one for each process, as it also names the objects stored.
    pub fn new(seed: u64, epoch: Epoch, checkpoint: Option<Checkpoint>) -> Self {
        let mut rng = Rng::new(seed);
        let tag = (rng.draw() >> 32) as u32;
        Self {
            epoch,
            rng,
            tag,
            counters: Counters::default(),
            clock: Timestamp::default(),
            checkpoint: checkpoint.map(Box::new),
            revision: None,
            generation: Generation::default(),
            desired: Desired::Stop,
            spec: None,
            active: None,
            next: None,
            last_switch: None,
            left: BTreeMap::new(),
            publisher: Publisher::new(),
            stopped: None,
            left_over: BTreeMap::new(),
            silence: Span::ZERO,
            had_ended: false,
            abandoned: BTreeMap::new(),
            abandoned_work: BTreeMap::new(),
            processor: Processor::default(),
            state: State::Waiting,
            reason: None,
            run_since: Timestamp::default(),
            shutdown: None,
            planted: Planted::default(),
        }
    }

    /// The same machine with a mistake, where the build can make one.
    #[must_use]
    pub fn planted(self, planted: Planted) -> Self {
        Self { planted, ..self }
    }

    /// Takes one event, appends what is to be done to `commands`, and tells the
    /// [`next_wakeup`](Self::next_wakeup), which is in the future.
    ///
    /// May be called at any time and with any event: a tick for nothing changes nothing, a completion
    /// that nobody waits for is cleaned up after.
    pub fn step(
        &mut self,
        now: Now,
        event: Event,
        commands: &mut Vec<Command>,
    ) -> Option<(Timestamp, Wake)> {
        self.clock = self.clock.max(now.monotonic);
        let now = Now {
            monotonic: self.clock,
            wall: now.wall,
        };
        // The parts that every stage is lent are taken out of the machine for the step.
        let (mut rng, mut counters) = (self.rng, self.counters);
        let epoch = self.epoch;
        let mut stage = Stage {
            now,
            epoch,
            commands,
            rng: &mut rng,
            counters: &mut counters,
            listed_target_duration: self.publisher.target_duration(),
            planted: self.planted,
        };
        self.take(&mut stage, event);
        self.advance(&mut stage);
        (self.rng, self.counters) = (rng, counters);
        let wakeup = self.next_wakeup();
        self.assert_invariants(wakeup);
        wakeup
    }

    /// After [`Event::ShutDown`]: everything is in order, the process may leave. Also where another owner has
    /// taken over.
    pub fn is_finished(&self) -> bool {
        matches!(self.shutdown, Some(ShutDown::Finished | ShutDown::Fenced))
    }

    /// Gives an event to what it belongs to.
    fn take(&mut self, stage: &mut Stage<'_>, event: Event) {
        match event {
            Event::Tick => {}
            Event::Configure(wanted) => self.configure(stage, wanted),
            Event::PlaylistLoaded { request, outcome } => {
                self.abandoned.remove(&request);
                self.playlist_loaded(stage, request, outcome);
            }
            Event::Downloaded { request, outcome } => {
                self.segment_downloaded(stage, request, &outcome);
            }
            Event::Transcoded { request, outcome } => {
                self.transcoded(stage, request, &outcome);
            }
            Event::Preloaded { request, outcomes } => {
                self.preloaded(stage, request, &outcomes);
            }
            Event::ObjectsChecked { request, outcome } => {
                self.publisher.checked(stage, request, &outcome);
            }
            Event::Published { request, outcome } => {
                self.publisher.published(stage, request, &outcome);
                if let Err(StoreError::Fenced(epoch)) = outcome {
                    self.give_up(stage, epoch);
                }
            }
            Event::Deleted { request, outcome } => {
                self.publisher.retention.deleted(stage, request, &outcome);
            }
            Event::Withdrawn { request, outcome } => {
                self.publisher.retention.withdrawn(stage, request, &outcome);
            }
            Event::CheckpointSaved { request, outcome } => {
                if self.shutdown == Some(ShutDown::Saving(request)) {
                    if let Err(error) = outcome {
                        stage.notify(Notice::StoreFailed {
                            what: StoreWork::Checkpoint,
                            error,
                        });
                    }
                    self.shutdown = Some(ShutDown::Finished);
                }
            }
            Event::ShutDown => self.shut_down(stage),
        }
    }

    /// Does everything that is due, in the order in which a segment travels.
    fn advance(&mut self, stage: &mut Stage<'_>) {
        if self.shutdown == Some(ShutDown::Fenced) {
            return;
        }
        // Before anything is wanted it is not known what the store should hold.
        if self.spec.is_some() {
            self.publisher.ask_store(stage);
        }
        if !self.publisher.is_asking_store() {
            let lanes = [&mut self.active, &mut self.next].into_iter().flatten();
            lanes.for_each(|lane| lane.share_keys(stage.now.monotonic));
            self.process(stage);
            self.advance_sources(stage);
            // What a track begins with may be gaps, which can leave at once.
            self.begin_tracks(stage);
            // What leaves the queue makes room for the next download.
            self.hand_on(stage);
            self.advance_tracks(stage);
            self.begin_what_is_lost(stage);
            let mut left = Vec::new();
            for lane in [&mut self.active, &mut self.next].into_iter().flatten() {
                lane.advance(stage);
                let feeds = lane.feeds.iter_mut();
                let unneeded = feeds.map(|feed| feed.downloader.take_unneeded());
                left.extend(unneeded.filter(|it| *it != Leftovers::default()));
            }
            left.into_iter().for_each(|left| self.abandon(stage, left));
        }
        self.finish_stop(stage);
        if stage.makes(Mistake::VersionsTooFast) {
            self.publisher.hurry();
        }
        // Nothing comes after the last checkpoint: where sources go on is known no more.
        let is_last = matches!(
            self.shutdown,
            Some(ShutDown::Saving(_) | ShutDown::Finished)
        );
        if self.publisher.is_due(stage.now.monotonic) && !is_last {
            let positions = self.positions(stage.now.monotonic);
            // Where something is made of each segment, the next one comes meanwhile: that is the usual pace.
            let usual = usize::from(!self.processor.is_idle());
            let behind = |track| {
                let lane = self.active.as_ref();
                lane.is_some_and(|lane| lane.has_more_for(track) > usual)
            };
            self.publisher.publish_next(stage, positions, behind);
        }
        let lanes = [&self.active, &self.next].into_iter().flatten();
        let held = lanes.flat_map(|lane| lane.feeds.iter().flat_map(|feed| feed.downloader.held()));
        self.publisher.retention.hold(held);
        self.publisher.retention.advance(stage);
        self.finish_shutdown(stage);
        self.advance_state(stage);
    }

    fn playlist_loaded(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: Result<LoadedPlaylist, FetchError>,
    ) {
        let owns = |lane: &Option<Lane>| lane.as_ref().is_some_and(|lane| lane.owns(request));
        let active = owns(&self.active)
            || (self.active.is_some() && stage.makes(Mistake::StaleCompletionTaken));
        let slot = if active {
            self.active.take()
        } else if owns(&self.next) {
            self.next.take()
        } else {
            None
        };
        let Some(mut lane) = slot else { return };
        let was_ended = lane.ended();
        match lane.loaded(stage, request, outcome) {
            Some(News::Listing(feed, listing)) => self.take_up(stage, &mut lane, feed, listing),
            Some(News::Presentation(base, list)) => self.present(stage, &mut lane, &base, *list),
            None => {}
        }
        if active {
            if was_ended && !lane.ended() {
                self.run_since = stage.now.monotonic;
            }
            self.active = Some(lane);
        } else {
            self.next = Some(lane);
        }
    }

    fn segment_downloaded(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<StoredSegment, FetchError>,
    ) {
        if let Some(object) = self.abandoned.remove(&request) {
            let stored = outcome
                .as_ref()
                .map_or_else(FetchError::may_be_stored, |_| true)
                && !stage.makes(Mistake::OrphanLeft);
            if let Some(object) = object.filter(|_| stored) {
                self.publisher.release(object, stage.now.monotonic);
            }
            return;
        }
        let left = [&mut self.active, &mut self.next]
            .into_iter()
            .flatten()
            .flat_map(|lane| &mut lane.feeds)
            .find_map(|feed| feed.downloader.completed(stage, request, outcome));
        self.abandon(stage, left.unwrap_or_default());
    }

    /// What must hold after every step, in production too.
    fn assert_invariants(&self, wakeup: Option<(Timestamp, Wake)>) {
        let lanes = || [&self.active, &self.next].into_iter().flatten();
        for lane in lanes() {
            for feed in &lane.feeds {
                let in_flight = feed.downloader.in_flight();
                assert!(
                    in_flight <= crate::limits::MAX_DOWNLOADS,
                    "{in_flight} downloads at once"
                );
            }
        }
        assert!(
            wakeup.is_none_or(|(at, _)| at > self.clock),
            "a wakeup in the past: {wakeup:?}"
        );
    }
}
