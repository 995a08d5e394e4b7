//! What is counted, by name. A variant that is added to one of these enums does not compile before it has a
//! name here; and what has a name must happen in a large sweep, or stand among what no seed draws.

use super::{Coming, Crash};
use crate::origin::{
    ConnectionFault, EncoderFault, EntryFault, FaultKind, Names, PlaylistFault, PresentationFault,
    Requests, SegmentFault, TextFault, ViewFault, Which,
};
use crate::plan::{Change, EndKind, Moment, NetworkFaultKind};
use crate::store::{StoreFaultKind, StoreWork};
use crate::workers::WorkerFaultKind;
use hls_relay_core::command::{Command, Content};
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, SpecError};
use hls_relay_core::date_ranges::DateRangeFault;
use hls_relay_core::event::{
    Desired, Event, FetchError, LoadedPlaylist, PreloadError, RungError, StoreError, TranscodeError,
};
use hls_relay_core::notice::{
    Break, HoleCause, LadderWaits, Miss, Notice, Reason, Refusal, State, StoreWork as FailedWork,
    SwitchReason, Trouble,
};
use hls_relay_core::playlist::{FlawKind, PlaylistError};
use hls_relay_core::relay::Wake;

/// A name, by its place among [`ALL`]: what happens in each step is counted without a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) usize);

impl Name {
    /// A name that there is not does not compile.
    pub(super) const fn of(name: &str) -> Self {
        let mut place = 0;
        while !is_same(ALL[place].as_bytes(), name.as_bytes()) {
            place += 1;
        }
        Self(place)
    }
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// For each enum a function from a value to its name, and one list of all names.
macro_rules! names {
    ($($function:ident($type:ty) { $($($pattern:pat_param)|+ => $name:literal,)* })*) => {
        $(pub(super) fn $function(value: $type) -> Name {
            match value { $($($pattern)|+ => const { Name::of($name) },)* }
        })*
        /// Everything that has a name.
        pub(super) const ALL: &[&str] = &[$($($name,)*)*];
    };
}

names! {
    event_name(&Event) {
        Event::Tick => "event tick",
        Event::Configure(_) => "event configure",
        Event::PlaylistLoaded { .. } => "event playlist loaded",
        Event::Downloaded { .. } => "event segment downloaded",
        Event::Transcoded { .. } => "event transcoded",
        Event::Preloaded { .. } => "event preloaded",
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
        Command::Transcode(_) => "command transcode",
        Command::Preload(_) => "command preload",
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
        Notice::Fenced { .. } => "notice fenced",
        Notice::Restored { .. } => "notice restored",
        Notice::Presented { .. } => "notice presented",
        Notice::LeftBehind { .. } => "notice left behind",
        Notice::CaughtUp { .. } => "notice caught up",
        Notice::Redundant { .. } => "notice redundant",
        Notice::DateRange { .. } => "notice date range",
        Notice::FormatsUntold { .. } => "notice formats untold",
        Notice::InitSectionChanged => "notice init section changed",
        Notice::Renewing { .. } => "notice renewing",
        Notice::RungsMissed { .. } => "notice rungs missed",
        Notice::RungSuspended { .. } => "notice rung suspended",
        Notice::RungTried { .. } => "notice rung tried",
        Notice::RungResumed { .. } => "notice rung resumed",
        Notice::RungEntered { .. } => "notice rung entered",
        Notice::RungLeft { .. } => "notice rung left",
        Notice::LadderWaits { .. } => "notice ladder waits",
        Notice::EdgeFailed { .. } => "notice edge failed",
        Notice::EdgeRecovered { .. } => "notice edge recovered",
    }
    transcode_name(bool) {
        true => "transcode behind another segment",
        false => "transcode of a first segment",
    }
    transcode_error_name(&TranscodeError) {
        TranscodeError::Undecodable(_) => "transcode undecodable",
        TranscodeError::Unsupported(_) => "transcode unsupported",
        TranscodeError::TooSlow(_) => "transcode too slow",
        TranscodeError::NoWorker(_) => "transcode no worker",
        TranscodeError::WorkerLost(_) => "transcode worker lost",
        TranscodeError::Store(_) => "transcode store",
        TranscodeError::Cancelled => "transcode cancelled",
    }
    rung_error_name(&RungError) {
        RungError::Encode(_) => "rung encode",
        RungError::Inexact(_) => "rung inexact",
        RungError::Store(_) => "rung store",
    }
    preload_error_name(&PreloadError) {
        PreloadError::Failed(_) => "preload failed",
        PreloadError::TooSlow(_) => "preload too slow",
        PreloadError::Cancelled => "preload cancelled",
    }
    miss_name(&Miss) {
        Miss::Late(_) => "rungs missed as late",
        Miss::NotMade(_) => "rungs missed as not made",
        Miss::Rung(_) => "rungs missed as one failed",
        Miss::Encrypted => "rungs missed as encrypted",
    }
    ladder_waits_name(LadderWaits) {
        LadderWaits::Opened => "ladder waits for what is open",
        LadderWaits::Several => "ladder waits for several",
    }
    worker_fault_name(WorkerFaultKind) {
        WorkerFaultKind::Slow(_) => "workers slow",
        WorkerFaultKind::Die => "workers die",
        WorkerFaultKind::Hang => "workers hang",
        WorkerFaultKind::AnswerTwice => "workers answer twice",
        WorkerFaultKind::TooFarToStop => "workers too far to stop",
        WorkerFaultKind::Undecodable => "workers cannot decode",
        WorkerFaultKind::OneFails => "workers fail one rung",
        WorkerFaultKind::Nobody => "no workers",
        WorkerFaultKind::EdgeHangs => "edge hangs",
        WorkerFaultKind::EdgeFails => "edge fails",
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
        SwitchReason::KindChanged => "switch kind changed",
    }
    trouble_name(&Trouble) {
        Trouble::Unchanged => "trouble unchanged",
        Trouble::Playlist(_) => "trouble playlist",
        Trouble::Refused(_) => "trouble refused",
        Trouble::Segments(_) => "trouble segments",
        Trouble::OlderEdge => "trouble older edge",
        Trouble::Publishing(_) => "trouble publishing",
    }
    reason_name(&Reason) {
        Reason::RunWanted => "reason run wanted",
        Reason::StopWanted => "reason stop wanted",
        Reason::Relaying => "reason relaying",
        Reason::Silent { .. } => "reason silent",
        Reason::SourceEnded => "reason source ended",
    }
    hole_cause_name(&HoleCause) {
        HoleCause::NeverListed => "hole never listed",
        HoleCause::Failed(_) => "hole failed",
        HoleCause::NotPublished => "hole not published",
    }
    store_error_name(&StoreError) {
        StoreError::Full => "store full",
        StoreError::Failed(_) => "store failed",
        StoreError::Unknown => "store unknown",
        StoreError::Fenced(_) => "store fenced",
        StoreError::NotValid => "store lease over",
    }
    failed_work_name(FailedWork) {
        FailedWork::Publish => "told that a publish failed",
        FailedWork::Delete => "told that a delete failed",
        FailedWork::Withdraw => "told that a withdrawal failed",
        FailedWork::Checkpoint => "told that a checkpoint failed",
        FailedWork::Check => "told that a check failed",
    }
    spec_error_name(&SpecError) {
        SpecError::NoSource => "refused spec without source",
        SpecError::BadUrl(_) => "refused spec with bad url",
        SpecError::BadWindow(_) => "refused spec with bad window",
        SpecError::BadTag(_) => "refused spec with bad tag",
        SpecError::BadLadder(_) => "refused spec with bad ladder",
        SpecError::BadPreload(_) => "refused spec with bad preload",
    }
    desired_name(Desired) {
        Desired::Run => "configure run",
        Desired::Stop => "configure stop",
    }
    loaded_name(&LoadedPlaylist) {
        LoadedPlaylist::NotModified => "playlist not modified",
        LoadedPlaylist::Body { .. } => "playlist body",
    }
    content_name(Content) {
        Content::Segment => "content segment",
        Content::InitSection => "content init section",
        Content::Key => "content key",
    }
    date_range_name(&DateRangeFault) {
        DateRangeFault::Contradicted { .. } => "date range contradicted",
        DateRangeFault::TooMany => "date range too many",
    }
    refusal_name(&Refusal) {
        Refusal::Playlist(_) => "refusal playlist",
        Refusal::Multivariant => "refusal multivariant",
        Refusal::NotMultivariant => "refusal not multivariant",
        Refusal::Ladder => "refusal ladder",
        Refusal::NothingSelected => "refusal nothing selected",
        Refusal::BadBase(_) => "refusal bad base",
    }
    playlist_error_name(&PlaylistError) {
        PlaylistError::Empty => "refused as empty",
        PlaylistError::NotAPlaylist { .. } => "refused as not a playlist",
        PlaylistError::TooLarge { .. } => "refused as too large",
        PlaylistError::TooManyLines { .. } => "refused as too many lines",
        PlaylistError::LineTooLong { .. } => "refused as line too long",
        PlaylistError::NotUtf8 { .. } => "refused as not utf8",
        PlaylistError::ControlCharacter { .. } => "refused as control character",
        PlaylistError::LoneCarriageReturn { .. } => "refused as lone carriage return",
        PlaylistError::BlankBeforeTag { .. } => "refused as blank before tag",
        PlaylistError::MixedKinds { .. } => "refused as mixed kinds",
        PlaylistError::NeitherKind => "refused as neither kind",
        PlaylistError::UnsupportedVersion { .. } => "refused as unsupported version",
        PlaylistError::BadInteger { .. } => "refused as bad integer",
        PlaylistError::Conflict { .. } => "refused as conflict",
        PlaylistError::TargetDurationMissing => "refused as target duration missing",
        PlaylistError::TargetDurationZero { .. } => "refused as target duration zero",
        PlaylistError::Misplaced { .. } => "refused as misplaced",
        PlaylistError::SequenceOverflow { .. } => "refused as sequence overflow",
        PlaylistError::ExtinfMissing { .. } => "refused as extinf missing",
        PlaylistError::BadDuration { .. } => "refused as bad duration",
        PlaylistError::DurationTooLong { .. } => "refused as duration too long",
        PlaylistError::BadByteRange { .. } => "refused as bad byte range",
        PlaylistError::ByteRangeWithoutStart { .. } => "refused as byte range without start",
        PlaylistError::BadAttributes { .. } => "refused as bad attributes",
        PlaylistError::BadVariable { .. } => "refused as bad variable",
        PlaylistError::TooManyKeys { .. } => "refused as too many keys",
        PlaylistError::DeltaUpdate { .. } => "refused as delta update",
        PlaylistError::Cut { .. } => "refused as cut",
        PlaylistError::ReadersDisagree { .. } => "refused as readers disagree",
    }
    flaw_name(FlawKind) {
        FlawKind::ByteOrderMark => "flaw byte order mark",
        FlawKind::NoFinalNewline => "flaw no final newline",
        FlawKind::TextAfterHeader => "flaw text after header",
        FlawKind::RepeatedHeader => "flaw repeated header",
        FlawKind::Tab => "flaw tab",
        FlawKind::BlankAroundUri => "flaw blank around uri",
        FlawKind::BlankAroundValue => "flaw blank around value",
        FlawKind::ValueOnFlag => "flaw value on flag",
        FlawKind::RepeatedTag => "flaw repeated tag",
        FlawKind::FractionalTargetDuration => "flaw fractional target duration",
        FlawKind::FractionalVersion => "flaw fractional version",
        FlawKind::UnknownPlaylistType => "flaw unknown playlist type",
        FlawKind::VersionTooLow => "flaw version too low",
        FlawKind::ExtinfWithoutComma => "flaw extinf without comma",
        FlawKind::ExtinfWithoutUri => "flaw extinf without uri",
        FlawKind::LongerThanTarget => "flaw longer than target",
        FlawKind::TargetFarTooLong => "flaw target far too long",
        FlawKind::LooseAttributes => "flaw loose attributes",
        FlawKind::RepeatedAttribute => "flaw repeated attribute",
        FlawKind::OddAttributeName => "flaw odd attribute name",
        FlawKind::QuotesAmiss => "flaw quotes amiss",
        FlawKind::UnreadableAttributes => "flaw unreadable attributes",
        FlawKind::AttributesOnNone => "flaw attributes on none",
        FlawKind::UnusedTag => "flaw unused tag",
        FlawKind::MapRangeWithoutOffset => "flaw map range without offset",
        FlawKind::UnreadableDateTime => "flaw unreadable date time",
        FlawKind::UnreadableBitRate => "flaw unreadable bit rate",
        FlawKind::UnusableVariant => "flaw unusable variant",
        FlawKind::StrayUri => "flaw stray uri",
    }
    wake_name(Wake) {
        Wake::Reload => "wake reload",
        Wake::Retry => "wake retry",
        Wake::GiveUp => "wake give up",
        Wake::Process => "wake process",
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
        FaultKind::Text(TextFault::Odd(_)) => "fault odd text",
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
        FaultKind::Playlist(PlaylistFault::Multivariant) => "fault multivariant",
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
        FaultKind::Presentation(PresentationFault::Renamed) => "fault tracks renamed",
        FaultKind::Presentation(PresentationFault::Alone) => "fault first track alone",
        FaultKind::Presentation(PresentationFault::Entry(EntryFault::Media)) => "fault entry is media",
        FaultKind::Presentation(PresentationFault::Entry(EntryFault::NoVariant)) => "fault no variant",
        FaultKind::Presentation(PresentationFault::Entry(EntryFault::StrayUri)) => "fault stray uri",
        FaultKind::Presentation(PresentationFault::Entry(EntryFault::VariantWithoutUri)) => "fault variant without uri",
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
        NetworkFaultKind::Uncut => "network uncut",
        NetworkFaultKind::Nowhere => "network nowhere",
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
        Change::Ladder(_) => "control ladder",
        Change::Nothing => "control nothing",
        Change::Outdated => "control outdated",
        Change::Invalid => "control invalid",
    }
    store_work_name(StoreWork) {
        StoreWork::Put => "store fault on put",
        StoreWork::Publish => "store fault on publish",
        StoreWork::Delete => "store fault on delete",
        StoreWork::Save => "store fault on save",
        StoreWork::Check => "store fault on check",
        StoreWork::Everything => "store fault on everything",
    }
    control_at_name(Option<Moment>) {
        None => "control at its time",
        Some(Moment::LoadSent) => "control at load sent",
        Some(Moment::PlaylistLoaded) => "control at playlist loaded",
        Some(Moment::DownloadHalf) => "control at download half",
        Some(Moment::SegmentStored) => "control at segment stored",
        Some(Moment::PublishSent) => "control at publish sent",
        Some(Moment::CheckpointSaved) => "control at checkpoint saved",
        Some(Moment::PublishApplied) => "control at publish applied",
        Some(Moment::DeleteSent) => "control at delete sent",
        Some(Moment::Configured) => "control at configured",
        Some(Moment::Stalled) => "control at stalled",
        Some(Moment::Preparing) => "control at preparing",
    }
    end_at_name(Option<Moment>) {
        None => "end at its time",
        Some(Moment::LoadSent) => "end at load sent",
        Some(Moment::PlaylistLoaded) => "end at playlist loaded",
        Some(Moment::DownloadHalf) => "end at download half",
        Some(Moment::SegmentStored) => "end at segment stored",
        Some(Moment::PublishSent) => "end at publish sent",
        Some(Moment::CheckpointSaved) => "end at checkpoint saved",
        Some(Moment::PublishApplied) => "end at publish applied",
        Some(Moment::DeleteSent) => "end at delete sent",
        Some(Moment::Configured) => "end at configured",
        Some(Moment::Stalled) => "end at stalled",
        Some(Moment::Preparing) => "end at preparing",
    }
    crash_name(Crash) {
        Crash::BetweenSteps => "crash between steps",
        Crash::BetweenCommands => "crash between commands",
        Crash::AfterTheLast => "crash after the last command",
    }
    coming_name(Coming) {
        Coming::OnTime => "wakeup on time",
        Coming::Late => "wakeup late",
        Coming::Early => "wakeup early",
        Coming::Twice => "wakeup twice",
    }
    requests_name(Requests) {
        Requests::All => "fault on all requests",
        Requests::Playlist => "fault on requests for playlists",
        Requests::Segments => "fault on requests for segments",
    }
    which_name(Which) {
        Which::All => "fault of all segments",
        Which::Number(_) => "fault of one segment",
        Which::OneIn(_) => "fault of some segments",
        Which::ListedMeanwhile => "fault of segments listed meanwhile",
    }
    key_policy_name(KeyPolicy) {
        KeyPolicy::Origin => "policy keys origin",
        KeyPolicy::Rehost => "policy keys rehost",
        KeyPolicy::Decrypt => "policy keys decrypt",
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
