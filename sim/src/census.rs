//! How often each thing happened. What never happens in a large sweep is not tested, however green
//! the sweep is.
//!
//! Counted is what came about: a fault when a request or a piece of work meets it, a wish when it is told,
//! at the moment at which it is, a wakeup as it came.

mod names;

use crate::origin::{ConnectionFault, Fault, FaultKind, OriginSpec, PresentationSpec, TextFault};
use crate::plan::{Change, EndKind, Moment, NetworkFaultKind};
use crate::store::{StoreFault, StoreWork};
use crate::workers::WorkerFaultKind;
use crate::workers::pool::News;
use hls_relay_core::command::Command;
use hls_relay_core::config::{Selection, Spec};
use hls_relay_core::event::{Event, FetchError, StoreError};
use hls_relay_core::notice::{Notice, Reason, Refusal, State, Trouble};
use hls_relay_core::relay::Wake;
use hls_relay_core::tags::TagPolicy;
use names::Name;
use std::collections::BTreeMap;

/// Counters by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// In the order of [`names::ALL`].
    counts: Vec<u64>,
}

impl Default for Census {
    fn default() -> Self {
        Self {
            counts: vec![0; names::ALL.len()],
        }
    }
}

/// Where in its work a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It waits.
    BetweenSteps,
    /// Of what a step wants some is done, the rest is not.
    BetweenCommands,
    /// All that a step wants is set about.
    AfterTheLast,
}

/// How a wakeup comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// As it was asked for.
    OnTime,
    /// After that.
    Late,
    /// Before that, and once more then.
    Early,
    /// Twice at that time.
    Twice,
}

/// What of a multivariant playlist is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// A least height.
    LeastHeight,
    /// A most height.
    MostHeight,
    /// A most bit rate.
    BitRate,
    /// Formats.
    Formats,
    /// Languages.
    Languages,
}

impl Chosen {
    /// All that a selection chooses by.
    fn of(selection: &Selection) -> Vec<Self> {
        let Selection {
            min_height,
            max_height,
            max_bandwidth,
            codecs,
            languages,
        } = selection;
        let all = [
            (Self::LeastHeight, min_height.is_some()),
            (Self::MostHeight, max_height.is_some()),
            (Self::BitRate, max_bandwidth.is_some()),
            (Self::Formats, !codecs.is_empty()),
            (Self::Languages, !languages.is_empty()),
        ];
        let chosen = all.into_iter().filter(|it| it.1);
        chosen.map(|it| it.0).collect()
    }
}

impl Census {
    fn count(&mut self, name: Name) {
        self.counts[name.0] += 1;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// How often.
    pub fn of(&self, name: &str) -> u64 {
        let place = names::ALL.iter().position(|it| *it == name);
        place.map_or(0, |place| self.counts[place])
    }

    /// What a large sweep must have seen, and never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        let wanted = names::ALL.iter().copied();
        wanted
            .filter(|name| self.of(name) == 0 && !UNDRAWN.contains(name))
            .collect()
    }

    /// What no seed was thought to draw, and happened all the same: it can be asked of every sweep.
    pub fn unforeseen(&self) -> Vec<&'static str> {
        let undrawn = UNDRAWN.iter().copied();
        undrawn.filter(|name| self.of(name) > 0).collect()
    }

    /// All that has happened, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = names::ALL.iter().copied().zip(self.counts.iter().copied());
        let happened: BTreeMap<_, _> = all.filter(|(_, count)| *count > 0).collect();
        happened.into_iter()
    }

    /// What went into a step, and in which state the machine took it.
    pub fn event(&mut self, event: &Event, state: State) {
        self.count(names::event_name(event));
        self.count(names::state_name(state));
        match event {
            Event::Tick | Event::ShutDown => {}
            Event::Configure(wish) => self.count(names::desired_name(wish.desired)),
            Event::PlaylistLoaded { outcome, .. } => match outcome {
                Ok(loaded) => self.count(names::loaded_name(loaded)),
                Err(error) => self.fetch_error(error),
            },
            Event::Downloaded {
                outcome: Err(error),
                ..
            } => self.fetch_error(error),
            Event::Downloaded { outcome: Ok(_), .. } => {}
            Event::Transcoded { outcome, .. } => match outcome {
                Ok(made) => made
                    .rungs
                    .iter()
                    .filter_map(|it| it.as_ref().err())
                    .for_each(|error| self.count(names::rung_error_name(error))),
                Err(error) => self.count(names::transcode_error_name(error)),
            },
            Event::Preloaded { outcomes, .. } => outcomes
                .iter()
                .filter_map(|it| it.as_ref().err())
                .for_each(|error| self.count(names::preload_error_name(error))),
            Event::ObjectsChecked { outcome, .. } => self.store_outcome(outcome.as_ref().err()),
            Event::Published { outcome, .. }
            | Event::Deleted { outcome, .. }
            | Event::Withdrawn { outcome, .. }
            | Event::CheckpointSaved { outcome, .. } => self.store_outcome(outcome.as_ref().err()),
        }
    }

    /// What came out.
    pub fn command(&mut self, command: &Command) {
        self.count(names::command_name(command));
        match command {
            Command::Notify(notice) => self.notice(notice),
            Command::Download(download) => self.count(names::content_name(download.content)),
            Command::Transcode(it) => {
                let after = it.before.is_some();
                self.count(names::transcode_name(after));
            }
            Command::LoadPlaylist(_)
            | Command::Preload(_)
            | Command::CheckObjects { .. }
            | Command::Publish(_)
            | Command::Delete { .. }
            | Command::Withdraw { .. }
            | Command::SaveCheckpoint { .. }
            | Command::Cancel { .. } => {}
        }
    }

    fn fetch_error(&mut self, error: &FetchError) {
        self.count(names::fetch_error_name(error));
        if let FetchError::Store(error) = error {
            self.store_outcome(Some(error));
        }
    }

    fn store_outcome(&mut self, error: Option<&StoreError>) {
        if let Some(error) = error {
            self.count(names::store_error_name(error));
        }
    }

    fn notice(&mut self, notice: &Notice) {
        self.count(names::notice_name(notice));
        match notice {
            Notice::StateChanged { reason, .. } => self.reason(reason),
            Notice::ConfigureRefused { why, .. } => self.count(names::spec_error_name(why)),
            Notice::PlaylistRefused { error, .. } => self.refusal(error),
            Notice::PlaylistFlaw { flaw, .. } => self.count(names::flaw_name(flaw.kind)),
            Notice::Broken { why, .. } => self.count(names::break_name(*why)),
            Notice::Hole { cause, said, .. } => {
                self.count(names::hole_cause_name(cause));
                self.count(names::hole_said_name(*said));
            }
            Notice::Preparing { why, .. } => self.count(names::switch_name(*why)),
            Notice::PreparationFailed { trouble, .. }
            | Notice::LeftBehind { trouble, .. }
            | Notice::Redundant { trouble, .. } => self.trouble(trouble),
            Notice::StoreFailed { what, error } => {
                self.count(names::failed_work_name(*what));
                self.store_outcome(Some(error));
            }
            Notice::DateRange { fault, .. } => self.count(names::date_range_name(fault)),
            Notice::RungsMissed { why, .. } => self.count(names::miss_name(why)),
            Notice::LadderWaits { why } => self.count(names::ladder_waits_name(*why)),
            Notice::RungSuspended { .. }
            | Notice::RungLower { .. }
            | Notice::RungTried { .. }
            | Notice::RungResumed { .. }
            | Notice::RungEntered { .. }
            | Notice::RungLeft { .. }
            | Notice::EdgeFailed { .. }
            | Notice::EdgeRecovered { .. }
            | Notice::Configured { .. }
            | Notice::PlaylistFailed { .. }
            | Notice::PlaylistRecovered { .. }
            | Notice::StaleEdge { .. }
            | Notice::SegmentRetry { .. }
            | Notice::NeedRetry { .. }
            | Notice::SegmentRefused { .. }
            | Notice::Switched { .. }
            | Notice::TargetDurationRaised { .. }
            | Notice::Presented { .. }
            | Notice::CaughtUp { .. }
            | Notice::FormatsUntold { .. }
            | Notice::InitSectionChanged
            | Notice::NotWhole { .. }
            | Notice::Renewing { .. }
            | Notice::Fenced { .. }
            | Notice::Restored { .. } => {}
        }
    }

    fn reason(&mut self, reason: &Reason) {
        self.count(names::reason_name(reason));
        if let Reason::Silent { trouble, .. } = reason {
            self.trouble(trouble);
        }
    }

    fn trouble(&mut self, trouble: &Trouble) {
        self.count(names::trouble_name(trouble));
        if let Trouble::Refused(refusal) = trouble {
            self.refusal(refusal);
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        self.count(names::refusal_name(refusal));
        if let Refusal::Playlist(error) = refusal {
            self.count(names::playlist_error_name(error));
        }
    }

    /// Of a world with these sources.
    pub fn with_sources(sources: &[OriginSpec]) -> Self {
        let mut census = Self::default();
        for source in sources {
            let of_tracks = source.presentation.as_ref().map(|it| it.segments_per_key);
            if of_tracks.unwrap_or(source.segments_per_key).is_some() {
                census.count(names::keying_name(source.keying));
            }
            census.count(names::keeps_name(source.keeps));
            census.count(names::cookies_name(source.cookies));
            let files = source.presentation.as_ref().map(|it| it.segments_per_file);
            census.count(names::files_name(files.flatten().is_some()));
            for (kind, container) in source.presentation.iter().flat_map(PresentationSpec::media) {
                census.count(names::track_name(kind));
                census.count(names::container_name(container));
            }
        }
        census
    }

    /// A wakeup came: how, and what for.
    pub fn wake(&mut self, coming: Coming, why: Option<Wake>) {
        self.count(names::coming_name(coming));
        why.into_iter()
            .for_each(|why| self.count(names::wake_name(why)));
    }

    /// A request has met a fault of its origin for the first time.
    pub fn struck(&mut self, fault: &Fault) {
        self.count(names::fault_name(&fault.kind));
        match &fault.kind {
            FaultKind::Segment(segment) => self.count(names::which_name(segment.which())),
            FaultKind::Connection(
                ConnectionFault::Reset { on }
                | ConnectionFault::Hang { on }
                | ConnectionFault::Slow { on, .. },
            ) => self.count(names::requests_name(*on)),
            FaultKind::Text(TextFault::Odd(odd)) => self.count(names::oddity_name(*odd)),
            FaultKind::Encoder(_)
            | FaultKind::View(_)
            | FaultKind::Text(_)
            | FaultKind::Playlist(_)
            | FaultKind::Presentation(_) => {}
        }
    }

    /// A request has come no further than the network.
    pub fn blocked(&mut self, kind: NetworkFaultKind) {
        self.count(names::network_name(kind));
    }

    /// A worker, or an edge, has met a fault.
    pub fn worker(&mut self, fault: WorkerFaultKind) {
        self.count(names::worker_fault_name(fault));
    }

    /// Something has come of an order.
    pub fn pool(&mut self, news: &News) {
        self.count(names::pool_name(news));
    }

    /// A piece of work of the store has met a fault.
    pub fn shelf(&mut self, work: StoreWork, fault: &StoreFault) {
        self.count(names::store_fault_name(fault.kind));
        self.count(names::store_work_name(work));
        if fault.on == StoreWork::Everything {
            self.count(names::store_work_name(fault.on));
        }
    }

    /// A wish of the plan is told, at its moment, or because its time has come.
    pub fn control(&mut self, change: &Change, at: Option<Moment>) {
        self.count(names::change_name(change));
        self.count(names::control_at_name(at));
    }

    /// A process is told to end, at its moment, or because its time has come.
    pub fn end(&mut self, how: EndKind, at: Option<Moment>) {
        self.count(names::end_name(how));
        self.count(names::end_at_name(at));
    }

    /// A process is gone without a word.
    pub fn crash(&mut self, place: Crash) {
        self.count(names::crash_name(place));
    }

    /// A channel of this kind is relayed.
    pub fn policies(&mut self, spec: &Spec) {
        self.count(names::reload_policy_name(spec.reload));
        self.count(names::key_policy_name(spec.keys));
        self.count(names::tag_policy_name(spec.tags == TagPolicy::default()));
        Chosen::of(&spec.selection)
            .into_iter()
            .for_each(|it| self.count(names::chosen_name(it)));
        if let Some(ladder) = &spec.ladder {
            self.count(names::passthrough_name(ladder.passthrough));
        }
        if let Some(preload) = &spec.preload {
            self.count(names::preload_patience_name(preload.patience.is_some()));
            let edges = preload.edges.iter();
            edges.for_each(|it| self.count(names::preload_method_name(it.method)));
        }
    }
}

/// What has a name and no sweep of these worlds can be asked for, each with its reason. A sweep that meets one
/// says so.
const UNDRAWN: &[&str] = &[
    // No text is known of which two readings differ: fuzzing looks for one.
    "refused as readers disagree",
    // A process alone has no lease: that is of clusters, which have worlds of their own.
    "notice fenced",
    "store fenced",
    "store lease over",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_has_two_names_and_what_is_not_drawn_has_one() {
        let all: BTreeSet<&str> = names::ALL.iter().copied().collect();
        assert_eq!(all.len(), names::ALL.len());
        assert!(UNDRAWN.iter().all(|name| all.contains(name)));
    }

    #[test]
    fn a_census_of_nothing_misses_all_that_can_be_asked_for() {
        let mut census = Census::default();
        let all = census.missing().len();
        assert_eq!(all, names::ALL.len() - UNDRAWN.len());
        census.event(&Event::Tick, State::Waiting);
        assert_eq!(census.missing().len(), all - 2);
        assert!(census.unforeseen().is_empty());
        census.count(Name::of("refused as readers disagree"));
        assert_eq!(census.unforeseen(), ["refused as readers disagree"]);
    }
}
