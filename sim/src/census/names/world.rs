//! What befalls a machine: what goes wrong around it, what is wished for, how its process ends and when it wakes.

use super::Name;
use crate::census::{Coming, Crash};
use crate::origin::{
    ConnectionFault, EncoderFault, EntryFault, FaultKind, Names, PlaylistFault, PresentationFault,
    Requests, SegmentFault, TextFault, ViewFault, Which,
};
use crate::plan::{Change, EndKind, Moment, NetworkFaultKind};
use crate::store::{StoreFaultKind, StoreWork};
use crate::workers::WorkerFaultKind;
use crate::workers::pool::{Asker, News};

names! {
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
    end_name(EndKind) {
        EndKind::Kill => "end kill",
        EndKind::KillAndLoseState => "end kill and lose state",
        EndKind::ShutDown => "end shut down",
    }
}
