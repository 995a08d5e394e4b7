//! What befalls a machine: what goes wrong around it, what is wished for, how its process ends and when it wakes.

use super::Name;
use crate::census::{Coming, Crash};
use crate::origin::{
    ConnectionFault, Container, EncoderFault, EntryFault, FaultKind, Keeps, Keying, Names, Oddity,
    PlaylistFault, PresentationFault, Requests, SegmentFault, TextFault, TrackKind, ViewFault,
    Which,
};
use crate::plan::{Change, EndKind, Moment, NetworkFaultKind};
use crate::store::{StoreFaultKind, StoreWork};
use crate::workers::WorkerFaultKind;
use crate::workers::pool::{Asker, News};

names! {
    keying_name(Keying) {
        Keying::ByNumber => "keys by number",
        Keying::Vector => "keys with vectors",
        Keying::InTurns => "keys by turns",
        Keying::Drm => "keys of drm systems",
        Keying::Gcm => "keys of gcm",
    }
    keeps_name(Keeps) {
        Keeps::Window => "list slides",
        Keeps::Event => "list of an event",
        Keeps::Vod => "list of a vod",
    }
    track_name(&TrackKind) {
        TrackKind::Variant { .. } => "track variant",
        TrackKind::Audio { .. } => "track audio",
        TrackKind::Video { .. } => "track video",
        TrackKind::Subtitles { .. } => "track subtitles",
        TrackKind::IFrames { .. } => "track i-frames",
    }
    container_name(Container) {
        Container::TransportStream => "media in transport streams",
        Container::Fragments => "media in fragments",
        Container::WebVtt => "media as webvtt",
        Container::Packed => "media packed",
    }
    files_name(bool) {
        true => "several segments in a file",
        false => "one segment in a file",
    }
    cookies_name(bool) {
        true => "cookies asked for",
        false => "no cookies",
    }
    worker_fault_name(WorkerFaultKind) {
        WorkerFaultKind::Slow(_) => "workers slow",
        WorkerFaultKind::Die => "workers die",
        WorkerFaultKind::Hang => "workers hang",
        WorkerFaultKind::AnswerTwice => "workers answer twice",
        WorkerFaultKind::TooFarToStop => "workers too far to stop",
        WorkerFaultKind::Undecodable => "workers cannot decode",
        WorkerFaultKind::Unsupported => "workers cannot make it fit",
        WorkerFaultKind::StoreFails => "workers cannot read the store",
        WorkerFaultKind::GiveUp => "workers give up",
        WorkerFaultKind::OneFails => "workers fail one rung",
        WorkerFaultKind::OneInexact => "workers make one rung inexactly",
        WorkerFaultKind::Vanish => "workers vanish",
        WorkerFaultKind::FallSilent => "workers fall silent",
        WorkerFaultKind::Nobody => "no workers",
        WorkerFaultKind::EdgeHangs => "edge hangs",
        WorkerFaultKind::EdgeFails => "edge fails",
    }
    pool_name(&News) {
        News::Began(..) => "order taken",
        News::Answered(Asker::Relay { .. }, _) => "order answered",
        News::Answered(Asker::Neighbour(_), _) => "order of another channel answered",
        News::Dead(_) => "order put aside",
        News::Refused => "order answered twice",
        News::Again => "order given once more",
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
        FaultKind::Text(TextFault::Gaps) => "fault gaps",
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
        FaultKind::Segment(SegmentFault::RedirectLoop { .. }) => "fault segment redirect loop",
        FaultKind::Segment(SegmentFault::RedirectToOtherHost { .. }) => "fault segment redirect",
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
        FaultKind::Presentation(PresentationFault::Entry(EntryFault::NoBandwidth)) => "fault no bandwidth",
    }
    oddity_name(Oddity) {
        Oddity::Lines => "odd lines",
        Oddity::LongLine => "odd long line",
        Oddity::CarriageReturn => "odd carriage return",
        Oddity::BlankBeforeTag => "odd blank before tag",
        Oddity::MixedKinds => "odd mixed kinds",
        Oddity::NoKind => "odd no kind",
        Oddity::NoInteger => "odd no integer",
        Oddity::NoTargetDuration => "odd no target duration",
        Oddity::ZeroTargetDuration => "odd zero target duration",
        Oddity::Misplaced => "odd misplaced",
        Oddity::HighestNumber => "odd highest number",
        Oddity::NoDuration => "odd no duration",
        Oddity::BadDuration => "odd bad duration",
        Oddity::LongDuration => "odd long duration",
        Oddity::BadRange => "odd bad range",
        Oddity::RangeWithoutStart => "odd range without start",
        Oddity::OpenQuote => "odd open quote",
        Oddity::NoVariable => "odd no variable",
        Oddity::ManyKeys => "odd many keys",
        Oddity::Delta => "odd delta",
        Oddity::Cut => "odd cut",
        Oddity::NoLastLineEnd => "odd no last line end",
        Oddity::TextAfterHeader => "odd text after header",
        Oddity::HeaderAgain => "odd header again",
        Oddity::Tab => "odd tab",
        Oddity::BlankAfterUri => "odd blank after uri",
        Oddity::BlankBeforeValue => "odd blank before value",
        Oddity::ValueOnFlag => "odd value on flag",
        Oddity::FractionalTargetDuration => "odd fractional target duration",
        Oddity::FractionalVersion => "odd fractional version",
        Oddity::UnknownType => "odd unknown type",
        Oddity::NoComma => "odd no comma",
        Oddity::DurationWithoutUri => "odd duration without uri",
        Oddity::LooseAttributes => "odd loose attributes",
        Oddity::AttributeTwice => "odd attribute twice",
        Oddity::SmallAttribute => "odd small attribute",
        Oddity::QuotedWord => "odd quoted word",
        Oddity::NoValue => "odd no value",
        Oddity::AttributesOnNone => "odd attributes on none",
        Oddity::UnusedBitRate => "odd unused bit rate",
        Oddity::BadBitRate => "odd bad bit rate",
        Oddity::BadDateTime => "odd bad date time",
        Oddity::MapWithoutOffset => "odd map without offset",
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
        Change::Keys(_) => "control keys",
        Change::Ladder(_) => "control ladder",
        Change::Selection(_) => "control selection",
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
    end_name(EndKind) {
        EndKind::Kill => "end kill",
        EndKind::KillAndLoseState => "end kill and lose state",
        EndKind::ShutDown => "end shut down",
    }
}
