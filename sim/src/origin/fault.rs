//! What goes wrong at an origin, as plain data: one line of a plan each.
//!
//! Faults are grouped by the place where they strike, so that each of the places matches its own
//! group without a wildcard.

mod words;

use super::oddity::Oddity;
use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};

/// No client knows what a playlist of a higher version means.
const NEWEST_VERSION: u64 = 13;

/// One thing that goes wrong from a time (included) until a time (excluded), both counted from the
/// start of the origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When it begins.
    pub from: Span,
    /// When it is over.
    pub until: Span,
    /// The only track of a presentation that it strikes, counted from 0. An encoder has no tracks.
    #[serde(default)]
    pub track: Option<u16>,
    /// What it is.
    pub kind: FaultKind,
}

/// What goes wrong, by the place where it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// In the encoder: what is made and how it is numbered.
    Encoder(EncoderFault),
    /// In a cache: which version of the playlist a request sees.
    View(ViewFault),
    /// In the text of the playlist.
    Text(TextFault),
    /// In the reply to a request for the playlist.
    Playlist(PlaylistFault),
    /// In the reply to a request for a segment.
    Segment(SegmentFault),
    /// In the connection.
    Connection(ConnectionFault),
    /// In what only a presentation has.
    Presentation(PresentationFault),
}

/// What may happen to the encoder. Only a change of target duration and an end have an end of their
/// own; of the others `from` alone counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderFault {
    /// It starts again: new media, numbered from here. The playlist is replaced with the first new
    /// segment and lists none of the old ones.
    Restart {
        /// The number of its first segment.
        media_sequence: u64,
        /// How its segments are named.
        names: Names,
    },
    /// The next segment has a number so much higher than it should, and is listed alone.
    JumpAhead {
        /// How many numbers are left out.
        by: u64,
    },
    /// The timestamps jump at the next segment, and EXT-X-DISCONTINUITY says so.
    DiscontinuityWithTimestampJump {
        /// How far they jump, in ticks of 90 kHz, rounded up to whole seconds.
        ticks: u64,
    },
    /// Segments of another duration, and another EXT-X-TARGETDURATION, until the fault is over.
    TargetDurationChange {
        /// What the playlist states meanwhile.
        target_duration: u64,
        /// How long segments are meanwhile.
        segment: Span,
    },
    /// EXT-X-ENDLIST after the last whole segment; live again, with new media, when it is over.
    EndList {
        /// The number of the first segment after the pause.
        media_sequence: u64,
        /// How segments are named after the pause.
        names: Names,
    },
}

/// How an encoder that starts again names its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// As no earlier run did.
    New,
    /// As the run before, over whose files it writes.
    Same,
}

/// Which version of the playlist is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewFault {
    /// The one from when the fault began.
    Freeze,
    /// One that is so many segments old.
    GoBackwards {
        /// How many.
        by: u64,
    },
    /// One that ages until it is so many segments old, and stays so far behind.
    FallBehind {
        /// How many.
        by: u64,
    },
    /// Two caches take turns, request by request; the second is so many segments behind.
    TwoEdges {
        /// How many.
        lag: u64,
    },
}

/// What is wrong with the text of the playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFault {
    /// Each URI has a query that is another one at every reload.
    RotatingTokens,
    /// This EXT-X-VERSION, whatever the truth.
    Version {
        /// What is written.
        version: u64,
    },
    /// This EXT-X-TARGETDURATION, whatever the truth.
    TargetDuration {
        /// What is written.
        target_duration: u64,
    },
    /// EXT-X-TARGETDURATION and EXT-X-MEDIA-SEQUENCE twice.
    DuplicateTags {
        /// Whether both say the same.
        agree: bool,
    },
    /// A byte order mark in front.
    ByteOrderMark,
    /// A byte that UTF-8 does not allow.
    NotUtf8,
    /// A byte of zero within a line.
    NulByte,
    /// The segments that are first listed meanwhile have URIs that no client of HTTP asks for, and keep
    /// them.
    ForeignScheme,
    /// The segments that are first listed meanwhile are EXT-X-GAP, and stay so.
    Gaps,
    /// One thing is written otherwise than it should be.
    Odd(Oddity),
    /// A great many lines with a tag that nobody knows.
    HugeTags {
        /// How long the body is, about.
        bytes: u64,
    },
}

/// What is wrong with the reply to a request for the playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaylistFault {
    /// This status and no playlist.
    Status {
        /// Which one.
        code: u16,
    },
    /// A page for people, with 200.
    Html200,
    /// Nothing, with 200.
    EmptyBody,
    /// To itself, for ever.
    RedirectLoop,
    /// To the second host and another folder there.
    RedirectToOtherHost,
    /// A gzip body that unpacks to this much.
    GzipBomb {
        /// How much.
        bytes: u64,
    },
    /// Content-Type text/html, though it is a playlist.
    WrongContentType,
    /// Content-Encoding gzip, though nobody asked for it.
    UnaskedGzip,
    /// A multivariant playlist in the place of a media playlist.
    Multivariant,
}

/// What is wrong with the reply to a request for a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentFault {
    /// This status and no segment.
    Status {
        /// Of which segments.
        which: Which,
        /// Which status.
        code: u16,
    },
    /// 404, though it is listed.
    Missing {
        /// Which segments.
        which: Which,
    },
    /// 404 for a while after it is listed.
    Late {
        /// Which segments.
        which: Which,
        /// How long.
        by: Span,
    },
    /// The connection is closed in order after half of what Content-Length says.
    Truncated {
        /// Which segments.
        which: Which,
    },
    /// The connection is reset after half the body.
    ResetHalfWay {
        /// Which segments.
        which: Which,
    },
    /// To itself, for ever.
    RedirectLoop {
        /// Which segments.
        which: Which,
    },
    /// To the second host, where it stands in another folder.
    RedirectToOtherHost {
        /// Which segments.
        which: Which,
    },
    /// The body comes at this rate.
    Drip {
        /// Which segments.
        which: Which,
        /// How fast.
        bytes_per_second: u64,
    },
}

/// The segments that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All, as long as the fault lasts.
    All,
    /// The one with this media sequence number, as long as the fault lasts.
    Number(u64),
    /// One in so many, drawn by the number, as long as the fault lasts.
    OneIn(u64),
    /// All that are first listed while the fault lasts, and these for ever.
    ListedMeanwhile,
}

/// What is wrong with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionFault {
    /// It is reset before the first byte of a reply.
    Reset {
        /// Which requests.
        on: Requests,
    },
    /// Nothing ever comes.
    Hang {
        /// Which requests.
        on: Requests,
    },
    /// The first byte of a reply comes late.
    Slow {
        /// Which requests.
        on: Requests,
        /// How late.
        by: Span,
    },
}

/// What is wrong with keys, init sections and the tokens of a presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresentationFault {
    /// The key server answers with this status.
    KeysDown {
        /// Which one.
        code: u16,
    },
    /// Every init section has other bytes from now on, under the name that it had. `from` alone counts.
    InitSectionsChange,
    /// Every token given out so far is refused with this status. `from` alone counts.
    TokensExpire {
        /// Which one.
        code: u16,
    },
    /// In the multivariant playlist.
    Entry(EntryFault),
    /// The playlists of all tracks have other names from now on, and the old ones lead nowhere. `from` alone
    /// counts.
    Renamed,
    /// Where the multivariant playlist was one is led to the media playlist of the first track, and those of the
    /// tracks lead nowhere.
    Alone,
}

/// What is wrong with a multivariant playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryFault {
    /// A media playlist stands in its place.
    Media,
    /// It has no variant.
    NoVariant,
    /// A URI without the tag that says what it leads to.
    StrayUri,
    /// A variant without a URI.
    VariantWithoutUri,
    /// No variant says its bit rate.
    NoBandwidth,
}

/// The requests that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    /// All.
    All,
    /// For playlists.
    Playlist,
    /// For segments.
    Segments,
}

impl FaultKind {
    /// Within how many target durations of its end segments are relayed again, where that is promised:
    /// for an outage, not for a change of what is made nor for segments that never come.
    pub fn recovery(&self) -> Option<u64> {
        match self {
            Self::Encoder(_) => None,
            // It is believed as far as can be, and timed by.
            Self::Text(TextFault::TargetDuration { .. }) => None,
            Self::Text(TextFault::ForeignScheme | TextFault::Gaps) => None,
            Self::View(_) | Self::Text(_) | Self::Playlist(_) => Some(1),
            Self::Connection(ConnectionFault::Reset { .. }) => Some(1),
            // A request that was slow to its very end is like one that hung.
            Self::Connection(ConnectionFault::Hang { .. } | ConnectionFault::Slow { .. }) => {
                Some(2)
            }
            Self::Presentation(_) => None,
            Self::Segment(fault) if fault.which() != Which::All => None,
            // What has begun to drip goes on so.
            Self::Segment(SegmentFault::Late { .. } | SegmentFault::Drip { .. }) => None,
            Self::Segment(
                SegmentFault::Status { .. }
                | SegmentFault::Missing { .. }
                | SegmentFault::Truncated { .. }
                | SegmentFault::ResetHalfWay { .. }
                | SegmentFault::RedirectLoop { .. }
                | SegmentFault::RedirectToOtherHost { .. },
            ) => Some(1),
        }
    }
}

impl Fault {
    /// A fault that lasts from `from` for `length`.
    pub fn new(from: Span, length: Span, kind: impl Into<FaultKind>) -> Self {
        Self {
            from,
            until: from + length,
            track: None,
            kind: kind.into(),
        }
    }

    /// The same in one track only.
    #[must_use]
    pub fn of_track(self, track: u16) -> Self {
        Self {
            track: Some(track),
            ..self
        }
    }

    /// Whether it is on at this time.
    pub fn active(&self, at: Span) -> bool {
        self.from <= at && at < self.until
    }
}

impl Requests {
    /// Whether a request for a playlist, or else for a segment, is meant.
    pub(super) fn includes(self, playlist: bool) -> bool {
        match self {
            Self::All => true,
            Self::Playlist => playlist,
            Self::Segments => !playlist,
        }
    }
}

impl SegmentFault {
    /// The segments it strikes.
    pub fn which(&self) -> Which {
        match self {
            Self::Status { which, .. }
            | Self::Missing { which }
            | Self::Late { which, .. }
            | Self::Truncated { which }
            | Self::ResetHalfWay { which }
            | Self::RedirectLoop { which }
            | Self::RedirectToOtherHost { which }
            | Self::Drip { which, .. } => *which,
        }
    }
}

impl TextFault {
    /// Whether a client must not use such a playlist at all (C-01, C-02, C-05).
    pub(super) fn spoils(&self) -> bool {
        match self {
            Self::DuplicateTags { agree } => !agree,
            Self::Version { version } => *version > NEWEST_VERSION,
            Self::NotUtf8 | Self::NulByte => true,
            Self::Odd(oddity) => oddity.spoils(),
            Self::RotatingTokens
            | Self::TargetDuration { .. }
            | Self::ByteOrderMark
            | Self::ForeignScheme
            | Self::Gaps
            | Self::HugeTags { .. } => false,
        }
    }
}

/// Lets `inject` and `Fault::new` take a fault of any group as it is.
macro_rules! into_kind {
    ($($group:ident => $fault:ty),* $(,)?) => {
        $(impl From<$fault> for FaultKind {
            fn from(fault: $fault) -> Self {
                Self::$group(fault)
            }
        })*
    };
}

into_kind! {
    Encoder => EncoderFault,
    View => ViewFault,
    Text => TextFault,
    Playlist => PlaylistFault,
    Segment => SegmentFault,
    Connection => ConnectionFault,
    Presentation => PresentationFault,
}
