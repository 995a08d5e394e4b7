//! What a channel wants done: the only way out.
//!
//! The adapters decide nothing. A command that starts work carries a [`RequestId`] and gets exactly
//! one completion event; [`Command::Cancel`] and [`Command::Notify`] start none.

use crate::checkpoint::Checkpoint;
use crate::ids::{ContentHash, Epoch, Generation, ObjectName, PlaylistName, RequestId};
use crate::ladder::{Preset, RungAudio, VideoCodec};
use crate::notice::Notice;
use crate::preload::PreloadMethod;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything a channel's machine ever asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// GET a playlist; redirects are followed, content codings removed.
    /// Completed by [`Event::PlaylistLoaded`](crate::event::Event::PlaylistLoaded).
    LoadPlaylist(LoadPlaylist),
    /// GET a segment, or what it needs, and store it under a name. A partial object is never visible
    /// under that name.
    /// Completed by [`Event::Downloaded`](crate::event::Event::Downloaded).
    Download(Download),
    /// Make the rungs of a stored segment, and store them.
    /// Completed by [`Event::Transcoded`](crate::event::Event::Transcoded).
    Transcode(Transcode),
    /// Warm edges.
    /// Completed by [`Event::Preloaded`](crate::event::Event::Preloaded).
    Preload(Preload),
    /// After a restart: which of `objects` are still there, byte for byte? Every other object of the
    /// channel but those to `keep` is a left-over of the process that died and is deleted.
    /// Completed by [`Event::ObjectsChecked`](crate::event::Event::ObjectsChecked).
    CheckObjects {
        request: RequestId,
        epoch: Epoch,
        objects: Vec<ObjectCheck>,
        keep: Vec<ObjectName>,
    },
    /// First save the checkpoint, then make the playlists visible in one step for all viewers (S-01).
    /// A checkpoint that cannot be saved is told to the operator and does not stop the playlists. In a cluster,
    /// where a successor may be elsewhere, it does, unless nobody has Redis
    /// ([`ClusterCommand::ValidUntil`](crate::node::ClusterCommand::ValidUntil)).
    /// Completed by [`Event::Published`](crate::event::Event::Published).
    Publish(Publish),
    /// Delete stored segments.
    /// Completed by [`Event::Deleted`](crate::event::Event::Deleted).
    Delete {
        request: RequestId,
        epoch: Epoch,
        objects: Vec<ObjectName>,
    },
    /// The presentation is over and its time has passed: serve the playlist no more (S-46).
    /// Completed by [`Event::Withdrawn`](crate::event::Event::Withdrawn).
    Withdraw { request: RequestId, epoch: Epoch },
    /// Save the checkpoint alone: the last thing before a shutdown.
    /// Completed by [`Event::CheckpointSaved`](crate::event::Event::CheckpointSaved).
    SaveCheckpoint {
        request: RequestId,
        epoch: Epoch,
        checkpoint: Arc<Checkpoint>,
    },
    /// Stop that work at once. Its completion still comes, as
    /// [`FetchError::Cancelled`](crate::event::FetchError::Cancelled) or, where it was faster, as it was.
    Cancel { request: RequestId },
    /// Tell the operator.
    Notify(Notice),
}

/// See [`Command::LoadPlaylist`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPlaylist {
    /// Names the work.
    pub request: RequestId,
    /// The configuration it belongs to: with `source` it tells which headers to send.
    pub generation: Generation,
    /// In whose name.
    pub epoch: Epoch,
    /// Which of the channel's sources, counted from 0.
    pub source: usize,
    /// Absolute URL.
    pub url: Arc<str>,
    /// Sent as If-None-Match.
    pub etag: Option<Arc<str>>,
    /// What the adapter enforces.
    pub limits: FetchLimits,
}

/// What is downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A media segment.
    Segment,
    /// What a player needs before the segments of an EXT-X-MAP (RFC 8216 4.3.2.5).
    InitSection,
    /// What segments under an EXT-X-KEY are decrypted with (RFC 8216 4.3.2.4).
    Key,
}

/// See [`Command::Download`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Names the work.
    pub request: RequestId,
    /// The configuration it belongs to: with `source` it tells which headers to send.
    pub generation: Generation,
    /// In whose name.
    pub epoch: Epoch,
    /// Which of the channel's sources, counted from 0.
    pub source: usize,
    /// Absolute URL.
    pub url: Arc<str>,
    /// What is expected there.
    pub content: Content,
    /// Only these bytes of the resource (RFC 8216 4.3.2.2).
    pub byte_range: Option<ByteSpan>,
    /// Undo this encryption on the way: what is stored, its length and its hash are the plain bytes'.
    pub decrypt: Option<Decrypt>,
    /// Nobody says what it is made of: look into it, and tell with the completion. What it does not tell
    /// is no failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look: bool,
    /// It may be empty: of subtitles there are none for long stretches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_empty: bool,
    /// Where to store it.
    pub object: ObjectName,
    /// What the adapter enforces.
    pub limits: FetchLimits,
}

/// One run makes all rungs of one segment: it is decoded once. What is made is stored under the names of
/// `rungs`, and nothing of a rung is visible there before all of it is.
///
/// A rung that has the source's frame rate has as many frames, with the same times to the tick; each of its
/// segments begins with a picture that decodes alone, and can be played behind any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcode {
    /// Names the work.
    pub request: RequestId,
    /// The configuration it belongs to.
    pub generation: Generation,
    /// In whose name.
    pub epoch: Epoch,
    /// The stored segment.
    pub input: ObjectName,
    /// What stands in the store for its EXT-X-MAP.
    pub init: Option<ObjectName>,
    /// The segment that plays right before it, on one timeline with it; encoders of sound need its end. It may
    /// be gone from the store: then this one is made as if it were the first.
    pub before: Option<TranscodeInput>,
    /// What the source says of its length (EXTINF).
    pub duration: Span,
    /// What is to be made; never empty.
    pub rungs: Vec<TranscodeRung>,
    /// Of all their pictures.
    pub codec: VideoCodec,
    /// How much work they are worth.
    pub preset: Preset,
    /// Of all their sounds.
    pub audio: RungAudio,
    /// What is not stored so long from now is of no use to anybody; what is stored by then is.
    pub within: Span,
}

/// A stored segment, and what it is read with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscodeInput {
    /// The segment.
    pub object: ObjectName,
    /// What stands in the store for its EXT-X-MAP.
    pub init: Option<ObjectName>,
}

/// A rung of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscodeRung {
    /// As the ladder calls it.
    pub name: Arc<str>,
    /// Where to store it: an MPEG transport stream, whatever the source is in.
    pub object: ObjectName,
    /// Of the picture in pixels, as [`Rung::height`](crate::ladder::Rung::height).
    pub height: u32,
    /// Of the picture in bits per second.
    pub bitrate: u64,
}

/// Ask for objects as a viewer would, through each of the edges, so that they have them before anybody
/// comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preload {
    /// Names the work.
    pub request: RequestId,
    /// The configuration it belongs to: it tells the edges' secrets.
    pub generation: Generation,
    /// In whose name.
    pub epoch: Epoch,
    /// Stored, and soon to be listed.
    pub objects: Vec<ObjectName>,
    /// Each is asked for each object.
    pub edges: Vec<PreloadEdge>,
    /// An edge that has not answered so long from now is not waited for.
    pub within: Span,
}

/// One edge of a CDN, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreloadEdge {
    /// Which of the channel's edges, counted from 0: with the generation it tells headers and tokens.
    pub edge: usize,
    /// Its URL without secrets; `{object}` in it stands for the object's name.
    pub url: Arc<str>,
    /// How it is asked.
    pub method: PreloadMethod,
}

/// AES-128 in CBC mode with PKCS7 padding (RFC 8216 4.3.2.4, 5.2). The key itself never enters the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decrypt {
    /// Absolute URL of the key; asked for once, however many segments it is for.
    pub key_url: Arc<str>,
    /// Initialization vector.
    pub iv: [u8; 16],
}

/// See [`Command::Publish`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Names the work.
    pub request: RequestId,
    /// The configuration whose media is listed last.
    pub generation: Generation,
    /// In whose name.
    pub epoch: Epoch,
    /// The playlists that change; the others stay as they are.
    pub playlists: Vec<PublishedPlaylist>,
    /// For HTTP caches: how long this version may be reused (S-45).
    pub max_age: Span,
    /// For HTTP caches: how long a listed segment may be reused (S-10).
    pub segment_max_age: Span,
    /// What a successor needs, true once these playlists are visible.
    pub checkpoint: Arc<Checkpoint>,
}

/// One playlist of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPlaylist {
    /// Under which viewers find it.
    pub name: PlaylistName,
    /// Its text.
    pub text: Arc<str>,
}

impl PublishedPlaylist {
    /// What viewers open.
    pub fn entry(text: impl Into<Arc<str>>) -> Self {
        Self {
            name: PlaylistName(PlaylistName::ENTRY.into()),
            text: text.into(),
        }
    }
}

impl Publish {
    /// The text of what viewers open, where this version changes it.
    pub fn entry(&self) -> Option<&Arc<str>> {
        let entry = |it: &&PublishedPlaylist| &*it.name.0 == PlaylistName::ENTRY;
        self.playlists.iter().find(entry).map(|it| &it.text)
    }
}

/// A run of bytes in a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteSpan {
    /// The first byte, counted from 0.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// An object and what it must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectCheck {
    /// Its name.
    pub object: ObjectName,
    /// Its length in bytes.
    pub length: u64,
    /// Its hash.
    pub hash: ContentHash,
}

/// How long and how much an adapter may spend on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchLimits {
    /// From sending the request (connecting included) to the first byte of the answer's head.
    pub first_byte: Span,
    /// From sending the request to the last byte.
    pub whole: Span,
    /// The least number of body bytes in any `rate_window` after the first byte; 0 for no floor.
    pub least_bytes: u64,
    /// See `least_bytes`.
    pub rate_window: Span,
    /// The most bytes, after decoding.
    pub max_bytes: u64,
    /// The most redirects.
    pub max_redirects: u32,
}
