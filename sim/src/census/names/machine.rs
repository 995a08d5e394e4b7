//! What a machine is told, what it wants, and what it says.

use super::Name;
use crate::census::Chosen;
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
use hls_relay_core::preload::PreloadMethod;
use hls_relay_core::relay::Wake;

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
        Notice::NotWhole { .. } => "notice not whole",
        Notice::InitSectionChanged => "notice init section changed",
        Notice::Renewing { .. } => "notice renewing",
        Notice::RungsMissed { .. } => "notice rungs missed",
        Notice::RungSuspended { .. } => "notice rung suspended",
        Notice::RungLower { .. } => "notice rung lower",
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
        Break::AnotherVariant => "break another variant",
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
        Trouble::Waiting => "trouble waiting",
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
        FlawKind::NoBandwidth => "flaw no bandwidth",
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
    passthrough_name(bool) {
        true => "policy ladder beside its source",
        false => "policy ladder in place of its source",
    }
    tag_policy_name(bool) {
        true => "policy all tags",
        false => "policy tags dropped",
    }
    chosen_name(Chosen) {
        Chosen::LeastHeight => "policy least height",
        Chosen::MostHeight => "policy most height",
        Chosen::BitRate => "policy most bit rate",
        Chosen::Formats => "policy formats chosen",
        Chosen::Languages => "policy languages chosen",
    }
    preload_method_name(PreloadMethod) {
        PreloadMethod::Get => "policy edges asked for all",
        PreloadMethod::Head => "policy edges asked for the head",
        PreloadMethod::Post => "policy edges told to fetch",
    }
    preload_patience_name(bool) {
        true => "policy edges with a patience",
        false => "policy edges without a patience",
    }
    key_policy_name(KeyPolicy) {
        KeyPolicy::Origin => "policy keys origin",
        KeyPolicy::Rehost => "policy keys rehost",
        KeyPolicy::Decrypt => "policy keys decrypt",
    }
    hole_said_name(Option<HolePolicy>) {
        Some(HolePolicy::Gap) => "policy hole gap",
        Some(HolePolicy::Discontinuity) => "policy hole discontinuity",
        None => "policy hole not said",
    }
    reload_policy_name(ReloadPolicy) {
        ReloadPolicy::LastSegment => "policy reload last segment",
        ReloadPolicy::TargetDuration => "policy reload target duration",
    }
}
