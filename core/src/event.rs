//! What can happen to a channel: the only way in.

use crate::command::ObjectCheck;
use crate::config::Spec;
use crate::formats::{Formats, Unreadable};
use crate::ids::{ContentHash, Epoch, RequestId};
use crate::inline::{hidden_in, without_pieces};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything a channel's machine is ever told. Time comes beside it, in `now`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A wakeup. It may come late, early, twice or for nothing; the machine looks at `now`.
    Tick,
    /// Somebody wants the channel to be so. An older or equal revision than the one in force is ignored.
    Configure(Configure),
    /// Completes [`Command::LoadPlaylist`](crate::command::Command::LoadPlaylist).
    PlaylistLoaded {
        request: RequestId,
        outcome: Result<LoadedPlaylist, FetchError>,
    },
    /// Completes [`Command::Download`](crate::command::Command::Download). After a
    /// success the object is stored and can be fetched by viewers at once.
    Downloaded {
        request: RequestId,
        outcome: Result<StoredSegment, FetchError>,
    },
    /// Completes [`Command::Transcode`](crate::command::Command::Transcode). A rung that is told to be
    /// stored can be fetched by viewers at once; of the others nobody knows, and nothing is stored later.
    Transcoded {
        request: RequestId,
        outcome: Result<Transcoded, TranscodeError>,
    },
    /// Completes [`Command::Preload`](crate::command::Command::Preload): for each edge whether it has
    /// all objects.
    Preloaded {
        request: RequestId,
        outcomes: Vec<Result<(), PreloadError>>,
    },
    /// Completes [`Command::CheckObjects`](crate::command::Command::CheckObjects): those of the
    /// asked that are there with the same length and hash. Every other object is gone.
    ObjectsChecked {
        request: RequestId,
        outcome: Result<Vec<ObjectCheck>, StoreError>,
    },
    /// Completes [`Command::Publish`](crate::command::Command::Publish).
    Published {
        request: RequestId,
        outcome: Result<(), StoreError>,
    },
    /// Completes [`Command::Delete`](crate::command::Command::Delete). Deleting what is not there
    /// is a success.
    Deleted {
        request: RequestId,
        outcome: Result<(), StoreError>,
    },
    /// Completes [`Command::Withdraw`](crate::command::Command::Withdraw).
    Withdrawn {
        request: RequestId,
        outcome: Result<(), StoreError>,
    },
    /// Completes [`Command::SaveCheckpoint`](crate::command::Command::SaveCheckpoint).
    CheckpointSaved {
        request: RequestId,
        outcome: Result<(), StoreError>,
    },
    /// The process wants to end: finish what is in flight, save the checkpoint, start nothing new.
    /// [`Relay::is_finished`](crate::relay::Relay::is_finished) tells when to leave.
    ShutDown,
}

/// The wish of a channel's owner, as one piece: what it should be and whether it should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// Grows with every change.
    pub revision: u64,
    /// Run or stop.
    pub desired: Desired,
    /// Sources and policies.
    pub spec: Arc<Spec>,
}

/// The two states that can be wished for; everything else is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// Relay the channel.
    Run,
    /// Close the presentation with EXT-X-ENDLIST and free everything.
    Stop,
}

/// A playlist that came with a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadedPlaylist {
    /// 304: the source says that nothing has changed (C-12).
    NotModified,
    /// 200 with a body, whatever it turns out to hold.
    Body {
        /// The URL that answered after all redirects: the base of relative URIs (C-35).
        url: Arc<str>,
        /// The bytes, content coding removed.
        body: PlaylistBody,
        /// The entity tag, to be sent with the next load of the same source.
        etag: Option<Arc<str>>,
    },
}

/// The bytes of a playlist; written as text in a journal where they are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaylistBody(pub Arc<[u8]>);

/// What is known of a segment once it is stored. Its bytes never enter the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSegment {
    /// Length in bytes.
    pub length: u64,
    /// Hash of the content as stored.
    pub hash: ContentHash,
    /// What it is made of, where that was asked for ([`Download::look`](crate::command::Download::look)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats: Option<Result<Formats, Unreadable>>,
}

/// Why a playlist or a segment could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum FetchError {
    /// The answer was not a success.
    #[error("the origin answers {0}")]
    Status(u16),
    /// No connection: DNS, TCP or TLS; the cause in words.
    #[error("cannot connect: {0}")]
    Connect(Arc<str>),
    /// Nothing came in time after the request was sent.
    #[error("no answer within {0}")]
    FirstByteTimeout(Span),
    /// The transfer as a whole took too long.
    #[error("not complete within {0}")]
    WholeTimeout(Span),
    /// The bytes dripped in below the least rate that is worth waiting for.
    #[error("too slow: {bytes} bytes in {within}")]
    TooSlow { bytes: u64, within: Span },
    /// The connection broke before the answer was complete.
    #[error("the connection broke after {received} bytes")]
    Interrupted { received: u64 },
    /// Fewer bytes than Content-Length or Content-Range said.
    #[error("cut short: {received} of {expected} bytes")]
    Truncated { received: u64, expected: u64 },
    /// More bytes than the limit, encoded or decoded.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge { limit: u64 },
    /// Nothing at all where a segment should be.
    #[error("an empty answer")]
    Empty,
    /// A loop, or more hops than the limit.
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    /// A private or loopback address that the configured URL does not itself name (C-36).
    #[error("refused: {0} is a private address and the channel's own URL is not")]
    PrivateAddress(Arc<str>),
    /// A scheme other than http and https, or a URL that cannot be parsed.
    #[error("refused: not an http or https URL: {0}")]
    BadUrl(Arc<str>),
    /// A 206 whose Content-Range is not what was asked for (C-27).
    #[error("the origin sent another byte range than asked for")]
    WrongRange,
    /// The content coding of the answer could not be removed, or is unknown.
    #[error("the content coding cannot be undone: {0}")]
    BadEncoding(Arc<str>),
    /// Any other break of HTTP, in words.
    #[error("broken HTTP: {0}")]
    Protocol(Arc<str>),
    /// The key to it could not be had, or does not fit; the cause in words.
    #[error("the key: {0}")]
    Key(Arc<str>),
    /// The segment came but could not be stored.
    #[error("cannot store it: {0}")]
    Store(StoreError),
    /// The machine asked for it with `Cancel`.
    #[error("cancelled")]
    Cancelled,
}

/// Why something could not be stored, published or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum StoreError {
    /// The disk, or the quota, is full.
    #[error("no space left in the store")]
    Full,
    /// It certainly did not happen; the cause in words.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
    /// It may or may not have happened: the reply was lost.
    #[error("the store gave no answer; it may or may not have happened")]
    Unknown,
    /// It did not happen: the channel has another owner, of this epoch.
    #[error("the channel has another owner, of epoch {}", .0.0)]
    Fenced(Epoch),
    /// It did not happen: this node's lease has run out, and another may be the owner.
    #[error("the lease of this node has run out")]
    NotValid,
}

/// What has become of a segment's rungs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcoded {
    /// What the source segment is made of.
    pub input: Formats,
    /// One for each that was asked for, in that order. The formats of one that is stored are told.
    pub rungs: Vec<Result<StoredSegment, RungError>>,
    /// How long it had to wait for a worker.
    pub waited: Span,
    /// How long the work itself took.
    pub took: Span,
}

/// Why none of a segment's rungs is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum TranscodeError {
    /// Nobody could make anything of this segment; the cause in words.
    #[error("it cannot be decoded: {0}")]
    Undecodable(Arc<str>),
    /// It could be decoded, and not be made so that it fits in; the cause in words.
    #[error("it cannot be transcoded exactly: {0}")]
    Unsupported(Arc<str>),
    /// It was not complete in time.
    #[error("not complete within {0}")]
    TooSlow(Span),
    /// There is nobody to do it: all are busy with other work, or there is none; in words.
    #[error("no worker: {0}")]
    NoWorker(Arc<str>),
    /// Who did it has died, or is not heard of any more; in words.
    #[error("the worker was lost: {0}")]
    WorkerLost(Arc<str>),
    /// The segment cannot be read from the store, or nothing be stored.
    #[error("the store: {0}")]
    Store(StoreError),
    /// The machine asked for it with `Cancel`.
    #[error("cancelled")]
    Cancelled,
}

/// Why one rung is not stored, where others may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RungError {
    /// The encoder failed; the cause in words.
    #[error("it cannot be encoded: {0}")]
    Encode(Arc<str>),
    /// What was made does not have the times of the source, and so is not stored; in words.
    #[error("what was made of it does not fit: {0}")]
    Inexact(Arc<str>),
    /// It was made and could not be stored.
    #[error("cannot store it: {0}")]
    Store(StoreError),
}

/// Why an edge was not warmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PreloadError {
    /// One of the objects could not be had there.
    #[error("{}", of_edge(.0))]
    Failed(FetchError),
    /// It has not answered in time.
    #[error("no answer within {0}")]
    TooSlow(Span),
    /// The machine asked for it with `Cancel`.
    #[error("cancelled")]
    Cancelled,
}

/// A failure in the words of somebody who has asked an edge, and not the origin.
fn of_edge(error: &FetchError) -> String {
    if let FetchError::Status(status) = error {
        return format!("it answers {status}");
    }
    error.to_string()
}

impl FetchError {
    /// Whether what was asked for may be in the store all the same.
    pub(crate) fn may_be_stored(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unknown))
    }
}

impl Serialize for PlaylistBody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => BodyForm::Text(without_pieces(text)).serialize(serializer),
            Err(_) => BodyForm::Bytes(hidden_in(&self.0).into_owned()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PlaylistBody {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match BodyForm::deserialize(deserializer)? {
            BodyForm::Text(text) => Self(text.into_owned().into_bytes().into()),
            BodyForm::Bytes(bytes) => Self(bytes.into()),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyForm<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes(Vec<u8>),
}
