//! What goes wrong at an origin, as plain data: one line of a plan each.
//!
//! Faults are grouped by the place where they strike, so that each of the places matches its own
//! group without a wildcard.

use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

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
                | SegmentFault::ResetHalfWay { .. },
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
            Self::RotatingTokens
            | Self::TargetDuration { .. }
            | Self::ByteOrderMark
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

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to {}: ", self.from, self.until)?;
        if let Some(track) = self.track {
            write!(out, "track {track}: ")?;
        }
        write!(out, "{}", self.kind)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoder(fault) => fault.fmt(out),
            Self::View(fault) => fault.fmt(out),
            Self::Text(fault) => fault.fmt(out),
            Self::Playlist(fault) => fault.fmt(out),
            Self::Segment(fault) => fault.fmt(out),
            Self::Connection(fault) => fault.fmt(out),
            Self::Presentation(fault) => fault.fmt(out),
        }
    }
}

impl fmt::Display for EncoderFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart {
                media_sequence,
                names,
            } => {
                write!(
                    out,
                    "encoder restarts at media sequence {media_sequence}, {names}"
                )
            }
            Self::JumpAhead { by } => write!(out, "media sequence jumps ahead by {by}"),
            Self::DiscontinuityWithTimestampJump { ticks } => {
                write!(out, "discontinuity, timestamps jump by {ticks} ticks")
            }
            Self::TargetDurationChange {
                target_duration,
                segment,
            } => {
                write!(
                    out,
                    "target duration {target_duration} s, segments of {segment}"
                )
            }
            Self::EndList {
                media_sequence,
                names,
            } => {
                write!(
                    out,
                    "ENDLIST, then live again at media sequence {media_sequence}, {names}"
                )
            }
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::New => "new names",
            Self::Same => "the same names",
        })
    }
}

impl fmt::Display for ViewFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Freeze => write!(out, "playlist frozen"),
            Self::GoBackwards { by } => write!(out, "playlist {by} segments old"),
            Self::FallBehind { by } => write!(out, "playlist falls {by} segments behind"),
            Self::TwoEdges { lag } => write!(out, "two edges, one {lag} segments behind"),
        }
    }
}

impl fmt::Display for TextFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RotatingTokens => write!(out, "tokens rotate at every reload"),
            Self::TargetDuration { target_duration } => {
                write!(
                    out,
                    "playlist claims a target duration of {target_duration} s"
                )
            }
            Self::Version { version } => write!(out, "playlist claims version {version}"),
            Self::DuplicateTags { agree: true } => write!(out, "playlist tags twice, equal"),
            Self::DuplicateTags { agree: false } => write!(out, "playlist tags twice, unequal"),
            Self::ByteOrderMark => write!(out, "playlist begins with a byte order mark"),
            Self::NotUtf8 => write!(out, "playlist is not UTF-8"),
            Self::NulByte => write!(out, "playlist holds a NUL"),
            Self::HugeTags { bytes } => write!(out, "playlist holds {bytes} bytes of tags"),
        }
    }
}

impl fmt::Display for PlaylistFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code } => write!(out, "playlist answers {code}"),
            Self::Html200 => write!(out, "playlist is an HTML page"),
            Self::EmptyBody => write!(out, "playlist is empty"),
            Self::RedirectLoop => write!(out, "playlist redirects to itself"),
            Self::RedirectToOtherHost => write!(out, "playlist redirects to another host"),
            Self::GzipBomb { bytes } => write!(out, "playlist is a gzip bomb of {bytes} bytes"),
            Self::WrongContentType => write!(out, "playlist says it is text/html"),
            Self::UnaskedGzip => write!(out, "playlist is gzip without being asked"),
        }
    }
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { which, code } => write!(out, "{which} answer {code}"),
            Self::Missing { which } => write!(out, "{which} missing"),
            Self::Late { which, by } => write!(out, "{which} late by {by}"),
            Self::Truncated { which } => write!(out, "{which} truncated"),
            Self::ResetHalfWay { which } => write!(out, "{which} reset half way"),
            Self::Drip {
                which,
                bytes_per_second,
            } => {
                write!(out, "{which} drip at {bytes_per_second} bytes a second")
            }
        }
    }
}

impl fmt::Display for PresentationFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysDown { code } => write!(out, "keys answer {code}"),
            Self::InitSectionsChange => write!(out, "init sections change"),
            Self::TokensExpire { code } => write!(out, "tokens expire, then answer {code}"),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(out, "segments"),
            Self::Number(number) => write!(out, "segments numbered {number}"),
            Self::OneIn(count) => write!(out, "one in {count} segments"),
            Self::ListedMeanwhile => write!(out, "segments listed meanwhile"),
        }
    }
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset { on } => write!(out, "{on} are reset"),
            Self::Hang { on } => write!(out, "{on} hang"),
            Self::Slow { on, by } => write!(out, "{on} are slow by {by}"),
        }
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::All => "all requests",
            Self::Playlist => "playlist requests",
            Self::Segments => "segment requests",
        })
    }
}
