//! How often each thing happened. What never happens in a large sweep is not tested, however green
//! the sweep is.

use crate::origin::{
    ConnectionFault, EncoderFault, FaultKind, Names, PlaylistFault, PresentationFault,
    SegmentFault, TextFault, ViewFault,
};
use crate::plan::{Change, EndKind, NetworkFaultKind, Plan};
use crate::store::StoreFaultKind;
use hls_relay_core::command::Command;
use hls_relay_core::config::{HolePolicy, ReloadPolicy};
use hls_relay_core::event::{Desired, Event, FetchError, LoadedPlaylist, StoreError};
use hls_relay_core::notice::{Break, HoleCause, Notice, State, SwitchReason, Trouble};
use hls_relay_core::relay::Wake;
use std::collections::BTreeMap;

/// Counters by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    counts: BTreeMap<&'static str, u64>,
}

impl Census {
    /// Counts one.
    pub fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    /// How often.
    pub fn of(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// What has a name and never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        expected()
            .into_iter()
            .filter(|name| self.of(name) == 0)
            .collect()
    }

    /// All counters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(&name, &count)| (name, count))
    }

    /// What went into a step.
    pub fn event(&mut self, event: &Event) {
        self.count(event_name(event));
        match event {
            Event::Tick | Event::ShutDown => {}
            Event::Configure(wish) => self.count(match wish.desired {
                Desired::Run => "configure run",
                Desired::Stop => "configure stop",
            }),
            Event::PlaylistLoaded {
                outcome: Ok(LoadedPlaylist::NotModified),
                ..
            } => {
                self.count("playlist not modified");
            }
            Event::PlaylistLoaded {
                outcome: Ok(LoadedPlaylist::Body { .. }),
                ..
            } => {}
            Event::PlaylistLoaded {
                outcome: Err(error),
                ..
            }
            | Event::Downloaded {
                outcome: Err(error),
                ..
            } => self.fetch_error(error),
            Event::Downloaded { outcome: Ok(_), .. } => {}
            Event::ObjectsChecked { outcome, .. } => self.store_outcome(outcome.as_ref().err()),
            Event::Published { outcome, .. }
            | Event::Deleted { outcome, .. }
            | Event::Withdrawn { outcome, .. }
            | Event::CheckpointSaved { outcome, .. } => self.store_outcome(outcome.as_ref().err()),
        }
    }

    /// What came out.
    pub fn command(&mut self, command: &Command) {
        self.count(command_name(command));
        if let Command::Notify(notice) = command {
            self.notice(notice);
        }
    }

    fn fetch_error(&mut self, error: &FetchError) {
        self.count(fetch_error_name(error));
        if let FetchError::Store(error) = error {
            self.store_outcome(Some(error));
        }
    }

    fn store_outcome(&mut self, error: Option<&StoreError>) {
        if let Some(error) = error {
            self.count(match error {
                StoreError::Full => "store full",
                StoreError::Failed(_) => "store failed",
                StoreError::Unknown => "store unknown",
            });
        }
    }

    fn notice(&mut self, notice: &Notice) {
        self.count(notice_name(notice));
        match notice {
            Notice::StateChanged { to, .. } => self.count(state_name(*to)),
            Notice::Broken { why, .. } => self.count(break_name(*why)),
            Notice::Hole { cause, .. } => self.count(match cause {
                HoleCause::NeverListed => "hole never listed",
                HoleCause::Failed(_) => "hole failed",
                HoleCause::NotPublished => "hole not published",
            }),
            Notice::Preparing { why, .. } => self.count(switch_name(*why)),
            Notice::PreparationFailed { trouble, .. } => self.count(trouble_name(trouble)),
            Notice::Configured { .. }
            | Notice::ConfigureRefused { .. }
            | Notice::PlaylistFailed { .. }
            | Notice::PlaylistRefused { .. }
            | Notice::PlaylistFlaw { .. }
            | Notice::PlaylistRecovered { .. }
            | Notice::StaleEdge { .. }
            | Notice::SegmentRetry { .. }
            | Notice::NeedRetry { .. }
            | Notice::SegmentRefused { .. }
            | Notice::Switched { .. }
            | Notice::TargetDurationRaised { .. }
            | Notice::StoreFailed { .. }
            | Notice::Presented { .. }
            | Notice::LeftBehind { .. }
            | Notice::CaughtUp { .. }
            | Notice::Redundant { .. }
            | Notice::DateRange { .. }
            | Notice::Renewing { .. }
            | Notice::Restored { .. } => {}
        }
    }

    /// Why a wakeup was wanted.
    pub fn wake(&mut self, wake: Wake) {
        self.count(wake_name(wake));
    }

    /// What a plan holds.
    pub fn plan(&mut self, plan: &Plan) {
        self.count(hole_policy_name(plan.channel.hole));
        self.count(reload_policy_name(plan.channel.reload));
        for fault in plan.origins.iter().flat_map(|origin| &origin.faults) {
            self.count(fault_name(&fault.kind));
        }
        plan.network
            .iter()
            .for_each(|fault| self.count(network_name(fault.kind)));
        plan.store
            .faults
            .iter()
            .for_each(|fault| self.count(store_fault_name(fault.kind)));
        plan.controls
            .iter()
            .for_each(|control| self.count(change_name(&control.change)));
        plan.ends
            .iter()
            .for_each(|end| self.count(end_name(end.how)));
    }
}

/// For each enum a function from a value to its name, and one list of all names. A variant that is
/// added to an enum does not compile before it has a name here.
macro_rules! names {
    ($($function:ident($type:ty) { $($($pattern:pat_param)|+ => $name:literal,)* })*) => {
        $(fn $function(value: $type) -> &'static str {
            match value { $($($pattern)|+ => $name,)* }
        })*
        /// Everything that a large sweep must have seen.
        pub fn expected() -> Vec<&'static str> {
            let mut all = vec![
                $($($name,)*)*
                "configure run", "configure stop", "playlist not modified",
                "store full", "store failed", "store unknown",
                "hole never listed", "hole failed", "hole not published",
            ];
            // Every machine waits before it has heard a wish; none comes back to that. No plan is drawn with a
            // presentation, an init section or a key.
            let absent = [
                "state waiting",
                "fault keys down",
                "fault init sections change",
                "fault tokens expire",
                "notice need retry",
                "fetch key",
                "notice presented",
                "notice left behind",
                "notice caught up",
                "notice redundant",
                "notice renewing",
                "notice date range",
                "wake align",
            ];
            all.retain(|name| !absent.contains(name));
            all
        }
    };
}

names! {
    event_name(&Event) {
        Event::Tick => "event tick",
        Event::Configure(_) => "event configure",
        Event::PlaylistLoaded { .. } => "event playlist loaded",
        Event::Downloaded { .. } => "event segment downloaded",
        Event::ObjectsChecked { .. } => "event objects checked",
        Event::Published { .. } => "event published",
        Event::Deleted { .. } => "event deleted",
        Event::Withdrawn { .. } => "event withdrawn",
        Event::CheckpointSaved { .. } => "event checkpoint saved",
        Event::ShutDown => "event shut down",
    }
    command_name(&Command) {
        Command::LoadPlaylist(_) => "command load playlist",
        Command::Download(_) => "command download segment",
        Command::CheckObjects { .. } => "command check objects",
        Command::Publish(_) => "command publish",
        Command::Delete { .. } => "command delete",
        Command::Withdraw { .. } => "command withdraw",
        Command::SaveCheckpoint { .. } => "command save checkpoint",
        Command::Cancel { .. } => "command cancel",
        Command::Notify(_) => "command notify",
    }
    fetch_error_name(&FetchError) {
        FetchError::Status(_) => "fetch status",
        FetchError::Connect(_) => "fetch connect",
        FetchError::FirstByteTimeout(_) => "fetch first byte timeout",
        FetchError::WholeTimeout(_) => "fetch whole timeout",
        FetchError::TooSlow { .. } => "fetch too slow",
        FetchError::Interrupted { .. } => "fetch interrupted",
        FetchError::Truncated { .. } => "fetch truncated",
        FetchError::TooLarge { .. } => "fetch too large",
        FetchError::Empty => "fetch empty",
        FetchError::TooManyRedirects(_) => "fetch too many redirects",
        FetchError::PrivateAddress(_) => "fetch private address",
        FetchError::BadUrl(_) => "fetch bad url",
        FetchError::WrongRange => "fetch wrong range",
        FetchError::BadEncoding(_) => "fetch bad encoding",
        FetchError::Key(_) => "fetch key",
        FetchError::Protocol(_) => "fetch protocol",
        FetchError::Store(_) => "fetch store",
        FetchError::Cancelled => "fetch cancelled",
    }
    notice_name(&Notice) {
        Notice::StateChanged { .. } => "notice state changed",
        Notice::Configured { .. } => "notice configured",
        Notice::ConfigureRefused { .. } => "notice configure refused",
        Notice::PlaylistFailed { .. } => "notice playlist failed",
        Notice::PlaylistRefused { .. } => "notice playlist refused",
        Notice::PlaylistFlaw { .. } => "notice playlist flaw",
        Notice::PlaylistRecovered { .. } => "notice playlist recovered",
        Notice::StaleEdge { .. } => "notice stale edge",
        Notice::SegmentRetry { .. } => "notice segment retry",
        Notice::NeedRetry { .. } => "notice need retry",
        Notice::SegmentRefused { .. } => "notice segment refused",
        Notice::Hole { .. } => "notice hole",
        Notice::Broken { .. } => "notice broken",
        Notice::Preparing { .. } => "notice preparing",
        Notice::Switched { .. } => "notice switched",
        Notice::PreparationFailed { .. } => "notice preparation failed",
        Notice::TargetDurationRaised { .. } => "notice target duration raised",
        Notice::StoreFailed { .. } => "notice store failed",
        Notice::Restored { .. } => "notice restored",
        Notice::Presented { .. } => "notice presented",
        Notice::LeftBehind { .. } => "notice left behind",
        Notice::CaughtUp { .. } => "notice caught up",
        Notice::Redundant { .. } => "notice redundant",
        Notice::DateRange { .. } => "notice date range",
        Notice::Renewing { .. } => "notice renewing",
    }
    state_name(State) {
        State::Waiting => "state waiting",
        State::Starting => "state starting",
        State::Live => "state live",
        State::Stale => "state stale",
        State::Stalled => "state stalled",
        State::Ended => "state ended",
        State::Stopped => "state stopped",
    }
    break_name(Break) {
        Break::RestartedLower => "break restarted lower",
        Break::RestartedRenamed => "break restarted renamed",
        Break::RestartedRedated => "break restarted redated",
        Break::RestartedGrowth => "break restarted growth",
        Break::RestartedHigher => "break restarted higher",
        Break::JumpedAhead => "break jumped ahead",
        Break::SwitchedSource => "break switched source",
        Break::NewRun => "break new run",
        Break::Hole => "break hole",
    }
    switch_name(SwitchReason) {
        SwitchReason::Stalled => "switch stalled",
        SwitchReason::FirstIsHealthy => "switch first is healthy",
        SwitchReason::Reconfigured => "switch reconfigured",
    }
    trouble_name(&Trouble) {
        Trouble::Unchanged | Trouble::OlderEdge | Trouble::Publishing(_)
        | Trouble::Playlist(_) | Trouble::Refused(_) | Trouble::Segments(_) => "trouble in preparation",
    }
    wake_name(Wake) {
        Wake::Reload => "wake reload",
        Wake::Retry => "wake retry",
        Wake::GiveUp => "wake give up",
        Wake::Align => "wake align",
        Wake::Publish => "wake publish",
        Wake::StoreRetry => "wake store retry",
        Wake::Retire => "wake retire",
        Wake::Silence => "wake silence",
        Wake::Switch => "wake switch",
        Wake::ShutDown => "wake shut down",
    }
    fault_name(&FaultKind) {
        FaultKind::Encoder(EncoderFault::Restart { names: Names::New, .. }) => "fault restart, new names",
        FaultKind::Encoder(EncoderFault::Restart { names: Names::Same, .. }) => "fault restart, same names",
        FaultKind::Encoder(EncoderFault::JumpAhead { .. }) => "fault jump ahead",
        FaultKind::Encoder(EncoderFault::DiscontinuityWithTimestampJump { .. }) => "fault discontinuity",
        FaultKind::Encoder(EncoderFault::TargetDurationChange { .. }) => "fault target duration",
        FaultKind::Encoder(EncoderFault::EndList { .. }) => "fault endlist",
        FaultKind::View(ViewFault::Freeze) => "fault freeze",
        FaultKind::View(ViewFault::GoBackwards { .. }) => "fault go backwards",
        FaultKind::View(ViewFault::FallBehind { .. }) => "fault fall behind",
        FaultKind::View(ViewFault::TwoEdges { .. }) => "fault two edges",
        FaultKind::Text(TextFault::RotatingTokens) => "fault rotating tokens",
        FaultKind::Text(TextFault::TargetDuration { .. }) => "fault false target duration",
        FaultKind::Text(TextFault::Version { .. }) => "fault version",
        FaultKind::Text(TextFault::DuplicateTags { .. }) => "fault duplicate tags",
        FaultKind::Text(TextFault::ByteOrderMark) => "fault byte order mark",
        FaultKind::Text(TextFault::NotUtf8) => "fault not utf-8",
        FaultKind::Text(TextFault::NulByte) => "fault nul byte",
        FaultKind::Text(TextFault::ForeignScheme) => "fault foreign scheme",
        FaultKind::Text(TextFault::HugeTags { .. }) => "fault huge tags",
        FaultKind::Playlist(PlaylistFault::Status { .. }) => "fault playlist status",
        FaultKind::Playlist(PlaylistFault::Html200) => "fault html",
        FaultKind::Playlist(PlaylistFault::EmptyBody) => "fault empty body",
        FaultKind::Playlist(PlaylistFault::RedirectLoop) => "fault redirect loop",
        FaultKind::Playlist(PlaylistFault::RedirectToOtherHost) => "fault redirect",
        FaultKind::Playlist(PlaylistFault::GzipBomb { .. }) => "fault gzip bomb",
        FaultKind::Playlist(PlaylistFault::WrongContentType) => "fault content type",
        FaultKind::Playlist(PlaylistFault::UnaskedGzip) => "fault unasked gzip",
        FaultKind::Segment(SegmentFault::Status { .. }) => "fault segment status",
        FaultKind::Segment(SegmentFault::Missing { .. }) => "fault segment missing",
        FaultKind::Segment(SegmentFault::Late { .. }) => "fault segment late",
        FaultKind::Segment(SegmentFault::Truncated { .. }) => "fault segment truncated",
        FaultKind::Segment(SegmentFault::ResetHalfWay { .. }) => "fault segment reset",
        FaultKind::Segment(SegmentFault::Drip { .. }) => "fault segment drip",
        FaultKind::Connection(ConnectionFault::Reset { .. }) => "fault reset",
        FaultKind::Connection(ConnectionFault::Hang { .. }) => "fault hang",
        FaultKind::Connection(ConnectionFault::Slow { .. }) => "fault slow",
        FaultKind::Presentation(PresentationFault::KeysDown { .. }) => "fault keys down",
        FaultKind::Presentation(PresentationFault::InitSectionsChange) => "fault init sections change",
        FaultKind::Presentation(PresentationFault::TokensExpire { .. }) => "fault tokens expire",
    }
    network_name(NetworkFaultKind) {
        NetworkFaultKind::Refused => "network refused",
        NetworkFaultKind::PrivateAddress => "network private address",
        NetworkFaultKind::BadUrl => "network bad url",
        NetworkFaultKind::BadEncoding => "network bad encoding",
        NetworkFaultKind::Protocol => "network protocol",
        NetworkFaultKind::WrongRange => "network wrong range",
        NetworkFaultKind::Empty => "network empty",
        NetworkFaultKind::Endless => "network endless",
    }
    store_fault_name(StoreFaultKind) {
        StoreFaultKind::Slow(_) => "store fault slow",
        StoreFaultKind::Failing => "store fault failing",
        StoreFaultKind::Full => "store fault full",
        StoreFaultKind::ReplyLost => "store fault reply lost",
    }
    change_name(&Change) {
        Change::Run => "control run",
        Change::Stop => "control stop",
        Change::Sources(_) => "control sources",
        Change::Window(_) => "control window",
        Change::Hole(_) => "control hole",
        Change::Reload(_) => "control reload",
        Change::Nothing => "control nothing",
        Change::Outdated => "control outdated",
        Change::Invalid => "control invalid",
    }
    hole_policy_name(HolePolicy) {
        HolePolicy::Gap => "policy hole gap",
        HolePolicy::Discontinuity => "policy hole discontinuity",
    }
    reload_policy_name(ReloadPolicy) {
        ReloadPolicy::LastSegment => "policy reload last segment",
        ReloadPolicy::TargetDuration => "policy reload target duration",
    }
    end_name(EndKind) {
        EndKind::Kill => "end kill",
        EndKind::KillAndLoseState => "end kill and lose state",
        EndKind::ShutDown => "end shut down",
    }
}
