//! What is observed: the state, why, and when something is to be done next.

use super::{Relay, ShutDown};
use crate::config;
use crate::event::{Desired, PreloadError};
use crate::ids::Generation;
use crate::notice::{LadderWaits, Miss, Notice, Reason, State, Trouble};
use crate::planted::Mistake;
use crate::processor::RungTally;
use crate::relay::lane::{Lane, Role};
use crate::stage::Stage;
use crate::time::{Now, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why a wakeup is wanted: a busy loop is then visible in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wake {
    /// A playlist is due to be loaded.
    Reload,
    /// A failed segment is due to be tried again.
    Retry,
    /// A segment is due to be given up.
    GiveUp,
    /// A segment waits no longer for what is made of it.
    Process,
    /// Tracks are due to begin without those that have told nothing, or to be left behind.
    Align,
    /// The next version of our playlist may be published.
    Publish,
    /// Something the store refused is due to be tried again.
    StoreRetry,
    /// A retired segment may be deleted.
    Retire,
    /// The state becomes stale or stalled.
    Silence,
    /// A switch of source may be made, or its preparation has taken too long.
    Switch,
    /// The grace of a shutdown ends.
    ShutDown,
}

/// What is observed of a channel, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// See [`State`].
    pub state: State,
    /// Why it is in that state; for stale and stalled, as of now.
    pub reason: Option<Reason>,
    /// The revision in force.
    pub revision: u64,
    /// The generation whose media is listed last.
    pub generation: Generation,
    /// The source in use.
    pub source: usize,
    /// What another source, which is to take over, has failed with so far.
    pub preparation: Option<Trouble>,
    /// How many media playlists are published, and how many of them have only gaps at their end.
    pub tracks: usize,
    /// See `tracks`.
    pub left_behind: usize,
    /// The ladder in force, as it is offered.
    pub rungs: Vec<RungStatus>,
    /// Why the ladder that is wanted is not in force.
    pub ladder_waits: Option<LadderWaits>,
    /// How making them and warming edges goes.
    pub processing: ProcessingStatus,
    /// The edges that are warmed.
    pub edges: Vec<EdgeStatus>,
    /// How long ago a segment was last listed.
    pub newest_segment_age: Option<Span>,
    /// From a segment's appearance at the source, as far as it is known, to our listing it.
    pub delay: Option<Span>,
    /// Bits per second of the listed segments.
    pub bit_rate: u64,
    /// The published target duration.
    pub target_duration: Option<Span>,
    /// The media sequence number of the last listed segment.
    pub last_media_sequence: Option<u64>,
    /// Segments listed since the start of the process.
    pub segments: u64,
    /// Segments said to be lost since the start of the process.
    pub holes: u64,
    /// Requests to sources that failed since the start of the process.
    pub retries: u64,
}

/// What is observed of a rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RungStatus {
    /// As the ladder calls it; the source's own is [`SOURCE_NAME`](crate::ladder::SOURCE_NAME).
    pub name: Arc<str>,
    /// `BANDWIDTH` in bits per second, once it is measured.
    pub bandwidth: Option<u64>,
    /// How many pixels high it is, where its source is lower than the ladder has it.
    pub lower: Option<u64>,
    /// The newest segment that is listed has it.
    pub complete: bool,
    /// Why it is not made at present.
    pub suspended: Option<Miss>,
    /// Why the last segment lacks it, though it was asked for.
    pub lacks: Option<Miss>,
    /// How making it goes; `None` for the source's own.
    pub made: Option<RungTally>,
}

/// What is observed of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeStatus {
    /// Its URL without secrets.
    pub url: Arc<str>,
    /// So often it had in time all that it was asked for at once, since it is asked.
    pub warm: u64,
    /// So often it had not.
    pub cold: u64,
    /// Why, where that was so the last time.
    pub failing: Option<PreloadError>,
}

/// What is observed of the work on segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProcessingStatus {
    /// Segments that are there and wait for what is made of them.
    pub segments: usize,
    /// Segments that have had all rungs that were asked for, since the start of the process.
    pub made: u64,
    /// Segments that have lacked one.
    pub missed: u64,
    /// Of the last one that was made: how long it waited for a worker.
    pub waited: Option<Span>,
    /// How long that took.
    pub took: Option<Span>,
    /// How long it lasts: the work keeps up where it takes no longer.
    pub duration: Option<Span>,
}

impl Relay {
    /// When a [`Event::Tick`](crate::event::Event::Tick) is wanted, and why; always in the future.
    /// `None`: nothing is waited for but events.
    pub fn next_wakeup(&self) -> Option<(Timestamp, Wake)> {
        let publisher = &self.publisher;
        let shutting_down = match self.shutdown {
            Some(ShutDown::Finishing { until }) => Some(until),
            Some(ShutDown::Saving(_) | ShutDown::Finished | ShutDown::Fenced) => return None,
            None => None,
        };
        let running = self.shutdown.is_none();
        let store_retry = publisher.ask_again_at().filter(|_| self.spec.is_some());
        let take_down = publisher
            .take_down_due()
            .filter(|_| self.desired == Desired::Stop);
        let mut next = None;
        let mut wants = |at: Option<Timestamp>, wake| {
            // Of two at one moment the first one named counts.
            if let Some(at) = at
                && next.is_none_or(|(earliest, _)| at < earliest)
            {
                next = Some((at, wake));
            }
        };
        if self.planted.makes(Mistake::WokenForNothing) && self.desired == Desired::Run {
            wants(Some(self.clock + Span::from_millis(2)), Wake::Silence);
        }
        wants(publisher.due(), Wake::Publish);
        wants(publisher.retention.next_due(), Wake::Retire);
        wants(store_retry, Wake::StoreRetry);
        wants(take_down, Wake::Retire);
        wants(shutting_down, Wake::ShutDown);
        // Until the store has told what is left, no source is looked at.
        let looks = !publisher.is_asking_store();
        if looks {
            for lane in [&self.active, &self.next].into_iter().flatten() {
                self.lane_wakes(lane, &mut wants);
            }
        }
        if running {
            wants(self.switch_due().filter(|_| looks), Wake::Switch);
            wants(self.silence_due(), Wake::Silence);
        }
        next
    }

    fn lane_wakes(&self, lane: &Lane, wants: &mut impl FnMut(Option<Timestamp>, Wake)) {
        let downloads = lane.role != Role::Watching;
        let relays = lane.role == Role::Relaying;
        if let Some(master) = &lane.master {
            let aligns = lane.aligns_at().filter(|at| *at > self.clock);
            let ready = lane.ready_at().filter(|at| *at > self.clock);
            wants(master.loader.next_load(), Wake::Reload);
            wants(aligns.filter(|_| downloads), Wake::Align);
            wants(ready, Wake::Switch);
        }
        let watched = if downloads { usize::MAX } else { 1 };
        for (index, feed) in lane.feeds.iter().enumerate().take(watched) {
            wants(feed.loader.next_load(), Wake::Reload);
            if downloads {
                let last = relays && lane.gives_up_last(index);
                wants(feed.downloader.next_retry(), Wake::Retry);
                wants(feed.downloader.work_due(), Wake::Process);
                // What may not leave yet is given up when it may.
                let gives_up = feed.downloader.next_give_up(last);
                wants(gives_up.filter(|_| lane.lets_pass(index)), Wake::GiveUp);
            }
        }
    }

    /// When the health of a source will matter.
    fn switch_due(&self) -> Option<Timestamp> {
        let several = self
            .spec
            .as_ref()
            .is_some_and(|spec| spec.sources.len() > 1);
        let stalled = || Some(self.stalled_at()?.max(self.may_switch_at()));
        match self.next.as_ref().map(|next| next.role) {
            None => stalled().filter(|_| several),
            Some(Role::Watching) => {
                let next = self.next.as_ref()?;
                let healthy = next.feeds[0]
                    .loader
                    .healthy_at(self.clock, config::RETURN_AFTER);
                let returns = healthy.map(|at| at.max(self.may_switch_at()));
                [returns, stalled()].into_iter().flatten().min()
            }
            Some(Role::Preparing { .. } | Role::Relaying) => self.preparation_ends(),
        }
    }

    /// The last sign of life, as viewers see it.
    fn lively_at(&self) -> Timestamp {
        self.publisher
            .listed_at
            .map_or(self.run_since, |at| at.max(self.run_since))
    }

    /// What is listed is what an earlier run or process has left.
    fn has_added_nothing(&self) -> bool {
        let listed_at = self.publisher.listed_at;
        listed_at.is_none_or(|at| at < self.run_since)
    }

    /// What viewers expect: our target duration, where it is not shorter than the source's.
    fn timing(&self) -> Span {
        let ours = self.publisher.target_duration().unwrap_or_default();
        self.active
            .as_ref()
            .map_or(config::ASSUMED_TARGET_DURATION.max(ours), |lane| {
                let source = lane.target_duration();
                source.max(lane.believed(ours))
            })
    }

    fn silence_due(&self) -> Option<Timestamp> {
        let (at, target_duration) = (self.lively_at(), self.timing());
        let stalled = at + config::stalled_after(target_duration);
        match self.state {
            State::Live => {
                let stale = at + config::stale_after(target_duration);
                Some(stale).filter(|at| *at > self.clock).or(Some(stalled))
            }
            State::Starting | State::Stale => Some(stalled),
            State::Waiting | State::Stalled | State::Ended | State::Stopped => None,
        }
    }

    /// Tells a change of state.
    pub(super) fn advance_state(&mut self, stage: &mut Stage<'_>) {
        let Some(active) = &self.active else { return };
        let now = stage.now.monotonic;
        let target_duration = self.timing();
        let since = now.since(self.lively_at());
        let stalled = since >= config::stalled_after(target_duration);
        // A pause in which nobody has looked, to find the source's phase, says nothing of the source; nor
        // does one that ends with a segment which is on its way.
        let in_vain = active.is_in_vain() && active.processing() == 0;
        // Once it is stale, only a new segment makes it live again.
        let silent_already = matches!(self.state, State::Stale | State::Stalled);
        let stale = (in_vain || silent_already) && since >= config::stale_after(target_duration);
        let silent = || Reason::Silent {
            since,
            target_duration,
            trouble: self.trouble(active),
        };
        let (state, reason) = if self.publisher.is_ended() && active.is_at_its_end() {
            (State::Ended, Reason::SourceEnded)
        } else if stalled {
            (State::Stalled, silent())
        } else if !self.publisher.is_listed() || self.has_added_nothing() {
            (State::Starting, Reason::RunWanted)
        } else if stale {
            (State::Stale, silent())
        } else {
            (State::Live, Reason::Relaying)
        };
        // A run that has begun does not begin again.
        let began = state == State::Starting && self.state != State::Ended;
        if state != self.state && !(began && self.state != State::Waiting) {
            self.become_state(stage, state, reason);
        }
    }

    pub(super) fn become_state(&mut self, stage: &mut Stage<'_>, to: State, reason: Reason) {
        let from = std::mem::replace(&mut self.state, to);
        self.reason = Some(reason.clone());
        if from != to {
            stage.notify(Notice::StateChanged { from, to, reason });
        }
    }

    fn trouble(&self, active: &Lane) -> Trouble {
        let publishing = self.publisher.trouble.clone().map(Trouble::Publishing);
        publishing.unwrap_or_else(|| active.trouble())
    }

    fn preparation(&self) -> Option<Trouble> {
        let prepares = |lane: &&Lane| matches!(lane.role, Role::Preparing { .. });
        let trouble = self.next.as_ref().filter(prepares)?.trouble();
        let failed = !matches!(trouble, Trouble::Unchanged | Trouble::Waiting);
        failed.then_some(trouble)
    }

    /// See [`Status::state`].
    pub fn state(&self) -> State {
        self.state
    }

    /// See [`Status::source`].
    pub fn source(&self) -> usize {
        self.active.as_ref().map_or(0, Lane::source)
    }

    /// What is observed at this moment.
    pub fn status(&self, now: Now) -> Status {
        let at = now.monotonic;
        let reason = match (&self.reason, &self.active) {
            (
                Some(Reason::Silent {
                    target_duration, ..
                }),
                Some(active),
            ) => Some(Reason::Silent {
                since: at.since(self.lively_at()),
                target_duration: *target_duration,
                trouble: self.trouble(active),
            }),
            (reason, _) => reason.clone(),
        };
        Status {
            state: self.state,
            reason,
            revision: self.revision.unwrap_or_default(),
            generation: self.publisher.generation,
            source: self.source(),
            preparation: self.preparation(),
            tracks: self.publisher.tracks(),
            rungs: self.rung_statuses(),
            ladder_waits: self.publisher.ladder_waits(),
            processing: self.processing_status(),
            edges: self.processor.edge_statuses(),
            left_behind: self.active.as_ref().map_or(0, Lane::left_behind),
            newest_segment_age: self.publisher.listed_at.map(|listed| at.since(listed)),
            delay: self.publisher.delay,
            bit_rate: self.publisher.bit_rate(),
            target_duration: self.publisher.target_duration(),
            last_media_sequence: self.publisher.last_media_sequence(),
            segments: self.counters.segments,
            holes: self.counters.holes,
            retries: self.counters.retries,
        }
    }
}
