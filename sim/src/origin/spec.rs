//! What an origin is told before it starts: the encoder, the playlist it writes, the network.

use super::fault::Fault;
use super::presentation::PresentationSpec;
use hls_relay_core::time::{Span, WallTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything about one simulated origin. With the same spec it gives the same replies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OriginSpec {
    /// Of every random draw.
    pub seed: u64,
    /// Where the media playlist is, or the multivariant one; segments and tracks stand beside it.
    pub playlist_path: String,
    /// The tracks behind a multivariant playlist; a single media playlist where there are none.
    pub presentation: Option<PresentationSpec>,
    /// The authorities of this origin. The first is the usual one; the second is where
    /// [`PlaylistFault::RedirectToOtherHost`](super::PlaylistFault::RedirectToOtherHost) leads.
    pub hosts: Vec<String>,

    /// How long segments are.
    pub durations: SegmentDurations,
    /// EXT-X-TARGETDURATION, stated whether or not the segments keep it.
    pub target_duration: u64,
    /// How many segments the playlist lists, where it slides.
    pub window: u64,
    /// What becomes of the segments before those.
    pub keeps: Keeps,
    /// How many segments have been listed at time zero.
    pub backlog: u64,
    /// The media sequence number of the first segment ever made, the oldest of the backlog.
    pub media_sequence: u64,
    /// So much higher are the numbers that its playlist states, and its names have: whoever has the same
    /// media elsewhere may count it otherwise.
    pub counted_higher: u64,
    /// The presentation time of that segment, in ticks of 90 kHz, not yet cut to 33 bits. Segments of
    /// real media begin with an IDR frame if it is a multiple of
    /// [`IDR_TICKS`](super::media::IDR_TICKS).
    pub first_tick: u64,
    /// From the end of a segment until it is listed.
    pub publish_delay: Span,
    /// What each segment may be listed later than that; at most half a segment has an effect.
    pub publish_jitter: Span,
    /// How long a segment that left the playlist can still be fetched; as long as RFC 8216 6.2.2
    /// asks where nothing is said.
    pub retention: Option<Span>,

    /// How segments are named.
    pub naming: Naming,
    /// How the playlist writes their URIs.
    pub uris: UriForm,
    /// EXT-X-VERSION.
    pub version: u64,
    /// Whether each segment carries its EXT-X-PROGRAM-DATE-TIME.
    pub program_date_time: bool,
    /// What the encoder's wall clock shows at time zero.
    pub wall_at_start: WallTime,
    /// Whether EXT-X-DISCONTINUITY-SEQUENCE is written, as it should.
    pub discontinuity_sequence: bool,
    /// What it says always, where it is not written as it should; it is absent where `None`.
    pub discontinuity_sequence_says: Option<u64>,
    /// These segments of the backlog, counted from the oldest, follow a discontinuity.
    pub discontinuities: Vec<u64>,
    /// Where each URI has a token that is another one at every reload.
    pub tokens: Tokens,
    /// Whether playlists carry an ETag, and If-None-Match is understood.
    pub etag: bool,
    /// The first host gives a cookie with each playlist, and nothing else without it.
    pub cookies: bool,
    /// Segments are under AES-128 with another key after so many; of a presentation its own word counts.
    pub segments_per_key: Option<u64>,
    /// How it tells of its keys.
    pub keying: Keying,
    /// Lines to be written before the segment of this media sequence number.
    pub tags: BTreeMap<u64, Vec<String>>,

    /// What segments are padded to, in bits per second; as the encoder left them where `None`.
    pub bit_rate: Option<u64>,
    /// From a request to the first byte of its reply.
    pub latency: Span,
    /// What each reply may take longer than that.
    pub latency_jitter: Span,
    /// How fast a body comes, in bytes per second; at once where `None`.
    pub rate: Option<u64>,

    /// What goes wrong, and when.
    pub faults: Vec<Fault>,
}

/// What a playlist keeps of its run, as EXT-X-PLAYLIST-TYPE says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// No more than its window; there is no type.
    #[default]
    Window,
    /// All of it: EVENT. It grows until EXT-X-ENDLIST.
    Event,
    /// All of it: VOD. The backlog is the whole of it, and EXT-X-ENDLIST stands in the first list already.
    Vod,
}

/// How a playlist tells with which key segments are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keying {
    /// AES-128, and the vector is the number of the segment.
    #[default]
    ByNumber,
    /// AES-128 with a vector of its own.
    Vector,
    /// AES-128 by turns with segments in the clear, behind METHOD=NONE.
    InTurns,
    /// Two DRM systems, which have the same key in their own ways.
    Drm,
    /// AES-256-GCM, which has its vector in each segment.
    Gcm,
}

/// The durations of the segments of one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentDurations {
    /// All the same.
    Constant(Span),
    /// These, over and over.
    Pattern(Vec<Span>),
    /// About `mean`: every boundary is off by up to `by`, so no error adds up.
    Jittered {
        /// What they come to on the average.
        mean: Span,
        /// How far a boundary may be off; at most a quarter of the mean has an effect.
        by: Span,
    },
}

/// How an origin names its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// `seg12.ts`
    Numbered,
    /// `run0/seg12.ts`, a folder for each start of the encoder.
    RunFolder,
    /// `20260101T000024Z-12.ts`
    Dated,
}

/// Where a token stands in the URIs of segments; any will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// There is none.
    #[default]
    None,
    /// `seg12.ts?token=0123`
    Query,
    /// `seg12.ts;token=0123`
    Parameter,
    /// `token-0123/seg12.ts`
    Folder,
}

/// How a playlist writes the URIs of its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UriForm {
    /// `seg12.ts`
    Relative,
    /// `/live/seg12.ts`
    AbsolutePath,
    /// `http://host/live/seg12.ts`
    Absolute,
}

impl Default for OriginSpec {
    /// An encoder of two-second segments, six of them listed, on a network without delay.
    fn default() -> Self {
        Self {
            seed: 0,
            playlist_path: "/live/index.m3u8".to_owned(),
            presentation: None,
            hosts: vec!["origin.test".to_owned(), "edge.test".to_owned()],
            durations: SegmentDurations::Constant(Span::from_secs(2)),
            target_duration: 2,
            window: 6,
            keeps: Keeps::Window,
            backlog: 6,
            media_sequence: 0,
            counted_higher: 0,
            first_tick: 0,
            publish_delay: Span::ZERO,
            publish_jitter: Span::ZERO,
            retention: None,
            naming: Naming::Numbered,
            uris: UriForm::Relative,
            version: 3,
            program_date_time: false,
            // 2026-01-01T00:00:00Z
            wall_at_start: WallTime::from_micros(1_767_225_600_000_000),
            discontinuity_sequence: true,
            discontinuity_sequence_says: None,
            discontinuities: Vec::new(),
            tokens: Tokens::None,
            etag: false,
            cookies: false,
            segments_per_key: None,
            keying: Keying::ByNumber,
            tags: BTreeMap::new(),
            bit_rate: None,
            latency: Span::ZERO,
            latency_jitter: Span::ZERO,
            rate: None,
            faults: Vec::new(),
        }
    }
}

impl SegmentDurations {
    /// The mean duration in microseconds, at least one.
    pub(crate) fn mean(&self) -> u64 {
        match self {
            Self::Constant(span) | Self::Jittered { mean: span, .. } => span.as_micros().max(1),
            Self::Pattern(spans) => (total(spans) / (spans.len() as u64).max(1)).max(1),
        }
    }

    /// No segment is shorter, in microseconds.
    pub(crate) fn least(&self) -> u64 {
        match self {
            Self::Constant(span) => span.as_micros().max(1),
            Self::Pattern(spans) => spans.iter().map(|span| span.as_micros()).min().unwrap_or(1),
            Self::Jittered { mean, .. } => {
                mean.as_micros().saturating_sub(2 * self.boundary_jitter())
            }
        }
    }

    /// How far a boundary may be off, in microseconds.
    pub(super) fn boundary_jitter(&self) -> u64 {
        match self {
            Self::Constant(_) | Self::Pattern(_) => 0,
            Self::Jittered { mean, by } => by.as_micros().min(mean.as_micros() / 4),
        }
    }
}

/// What all of them come to, in microseconds.
pub(super) fn total(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.as_micros()).sum()
}
