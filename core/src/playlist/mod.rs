//! Hostile text to a model that cannot be wrong, and back.
//!
//! [`parse`] reads what an origin sent; [`render()`] writes what viewers get. Between them stands the
//! model of this file: lossless (every line of an accepted body is a field or is kept as it came),
//! in integer time, with byte ranges, keys, init sections and dates resolved per segment, so that a
//! segment can be taken out of its list and put into another one.
//!
//! Reading order:
//! - [`limits`](crate::limits): what a playlist may cost
//! - `guard`: bytes to lines; `line`: which tag a line is
//! - `variables`: `{$name}` replaced, before anything else is read
//! - `head`: what holds for the whole list; `reader`: m3u8-rs, and why it is shown so little
//! - `segments`: lines to segments, with `keys`, `attributes`, `date_time` and `number`
//! - `multivariant`: variants and renditions
//! - `render`, `render_multivariant` and `version`: the writers
//! - `start`: where players begin; `bandwidth`: bit rates as they are measured; `date_range`: what tags with one ID tell together
//! - `error`: why a body is refused; `flaw`: what is forgiven, and said once
//!
//! The policy: a flaw whose meaning stays plain to every common player is accepted and noted as a
//! [`Flaw`]; what is ambiguous is refused with a [`PlaylistError`], and the last good playlist
//! stays.
//!
//! What is absent on purpose: delta updates are refused, the attributes of the low-latency tags are passed on and not
//! interpreted, and text is not brought to Unicode NFC.

mod attributes;
mod bandwidth;
mod date_range;
mod date_time;
mod error;
mod flaw;
mod foreign;
mod guard;
mod head;
mod keys;
mod line;
mod multivariant;
mod number;
mod reader;
mod render;
mod render_ladder;
mod render_multivariant;
mod segments;
mod start;
mod variables;
mod version;

#[cfg(test)]
mod tests;

pub use attributes::AttributeList;
pub use bandwidth::{MeasuredBandwidth, measured_bandwidth};
pub use date_range::DateRange;
pub(crate) use error::excerpt;
pub use error::{AttributeFault, LooksLike, Place, PlaylistError, VariableFault};
pub use flaw::{Flaw, FlawKind};
pub use foreign::resolve_foreign;
pub use multivariant::{
    IFrameVariant, MultivariantPlaylist, Rendition, Resolution, SessionTag, Variant,
};
pub use render::render;
pub use render_ladder::{LadderVariant, ladder_lines, render_ladder};
pub use render_multivariant::{Changes, Edit, MultivariantEdits, render_multivariant};
pub use start::{later_start, start_of, start_tag};
pub use variables::{Context, Variables, defined_in, put_together};
pub use version::required_version;

use crate::time::{Span, WallTime};
use flaw::Flaws;
use head::Head;
use line::Tag;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Reads a playlist of either kind (RFC 8216 4).
///
/// # Errors
/// Where the body is no playlist, breaks a rule so that its meaning is a guess, or passes one of
/// the [`limits`](crate::limits). It never panics, and uses under 64 MB whatever the body is.
pub fn parse(body: &[u8]) -> Result<Playlist, PlaylistError> {
    parse_with(body, &Context::default())
}

/// Reads a playlist that may take variables from its URL and from the multivariant playlist that
/// named it (draft bis 4.4.2.3).
///
/// # Errors
/// Those of [`parse`].
pub fn parse_with(body: &[u8], context: &Context<'_>) -> Result<Playlist, PlaylistError> {
    let mut flaws = Flaws::default();
    let guarded = guard::guard(body, &mut flaws)?;
    let expansion = variables::expand(&guarded, context, &mut flaws)?;
    let guarded = expansion.apply(guarded);
    let head = Head::read(&guarded.lines, &mut flaws)?;
    if head.is_media {
        segments::read(&guarded, &head, flaws).map(Playlist::Media)
    } else {
        let variables = expansion.variables.clone();
        multivariant::read(&guarded, &head, variables, flaws).map(Playlist::Multivariant)
    }
}

/// What a body turned out to be (RFC 8216 4.1: never both).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Playlist {
    /// A list of segments.
    Media(MediaPlaylist),
    /// A list of variants and renditions, each with a media playlist of its own.
    Multivariant(MultivariantPlaylist),
}

impl Playlist {
    /// What was accepted although it should not be.
    pub fn flaws(&self) -> &[Flaw] {
        match self {
            Self::Media(playlist) => &playlist.flaws,
            Self::Multivariant(playlist) => &playlist.flaws,
        }
    }
}

/// A list of segments (RFC 8216 4.3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaPlaylist {
    /// `EXT-X-VERSION` as it was stated. [`render()`] writes [`required_version`] instead.
    pub version: Option<u64>,
    /// `EXT-X-TARGETDURATION`: whole seconds, at least 1 (RFC 8216 4.3.3.1).
    pub target_duration: Span,
    /// Number of the first segment, 0 where the list does not say (RFC 8216 4.3.3.2).
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`: the discontinuities before the first line of the list, 0
    /// where it does not say (RFC 8216 4.3.3.3).
    pub discontinuity_sequence: u64,
    /// `EXT-X-PLAYLIST-TYPE`; nothing for a live list whose head goes (RFC 8216 4.3.3.5).
    pub playlist_type: Option<PlaylistType>,
    /// `EXT-X-ENDLIST`: no segment will be added (RFC 8216 4.3.3.4).
    pub end_list: bool,
    /// `EXT-X-I-FRAMES-ONLY` (RFC 8216 4.3.3.6).
    pub i_frames_only: bool,
    /// `EXT-X-INDEPENDENT-SEGMENTS` (RFC 8216 4.3.5.1).
    pub independent_segments: bool,
    /// Every other line about the list as a whole, as it came, in order: `EXT-X-START`,
    /// `EXT-X-SERVER-CONTROL` and the like wherever they stood, and unknown lines
    /// that stood before the last playlist-level tag.
    pub head: Vec<Arc<str>>,
    /// The segments in order.
    pub segments: Vec<Segment>,
    /// The lines behind the last URI, as they came, in order: parts, preload hints, rendition
    /// reports, dates and keys of the segment to come.
    pub tail: Vec<Arc<str>>,
    /// What was accepted although it should not be, one entry per kind.
    pub flaws: Vec<Flaw>,
}

impl MediaPlaylist {
    /// The sum of the durations of all segments.
    pub fn duration(&self) -> Span {
        self.segments.iter().map(|segment| segment.duration).sum()
    }

    /// One past the media sequence number of the last segment: the number of the next one.
    pub fn end_media_sequence(&self) -> u64 {
        // `parse` has refused a list whose numbers would pass the end.
        self.media_sequence
            .saturating_add(self.segments.len() as u64)
    }

    /// Whether the list may have been cut inside its last URI: it is a URI without a line end. Such
    /// a segment is sure once a later body repeats it.
    pub fn last_uri_may_be_cut(&self) -> bool {
        let cut = self
            .flaws
            .iter()
            .find(|flaw| flaw.kind == FlawKind::NoFinalNewline);
        cut.is_some_and(|flaw| !flaw.at.text.starts_with('#'))
    }
}

/// `EXT-X-PLAYLIST-TYPE` (RFC 8216 4.3.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaylistType {
    /// Segments may only be added at the end.
    Event,
    /// The list does not change.
    Vod,
}

/// One segment, with everything that applies to it (RFC 8216 4.3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its number: that of the list's first segment plus its place (RFC 8216 4.3.3.2).
    pub media_sequence: u64,
    /// The list's discontinuity sequence plus the `EXT-X-DISCONTINUITY` tags up to this segment,
    /// its own included (RFC 8216 4.3.3.3).
    pub discontinuity_sequence: u64,
    /// The URI as written, relative to the list.
    pub uri: Arc<str>,
    /// `EXTINF`, rounded to the nearest microsecond, halves up (RFC 8216 4.3.2.1).
    pub duration: Span,
    /// What follows the first comma of `EXTINF`, commas and blanks included.
    pub title: Arc<str>,
    /// The part of the resource that the segment is; the whole resource where there is none.
    pub byte_range: Option<ByteRange>,
    /// Whether `EXT-X-DISCONTINUITY` stands before it (RFC 8216 4.3.2.3).
    pub discontinuity: bool,
    /// When its first sample was shown: from its own `EXT-X-PROGRAM-DATE-TIME`, or counted from the
    /// one before it, or back from the first one after it (RFC 8216 6.3.3).
    ///
    /// It is not counted across a discontinuity. That is where an encoder was restarted or another
    /// programme begins, whose clock owes nothing to the one before; a date that was made up is
    /// worse than none, since segments are recognised by it.
    pub date_time: Option<WallTime>,
    /// The text of its own `EXT-X-PROGRAM-DATE-TIME`.
    pub date_time_text: Option<Arc<str>>,
    /// `EXT-X-GAP`: it is missing and must not be fetched (draft bis 4.4.4.7).
    pub gap: bool,
    /// The keys in force, one per KEYFORMAT, in order; none for a clear segment
    /// (RFC 8216 4.3.2.4).
    pub keys: Arc<[Key]>,
    /// The init section in force (RFC 8216 4.3.2.5). Nothing ends one but the next.
    pub map: Option<Arc<Map>>,
    /// `EXT-X-BITRATE` in force, in thousands of bits per second. It holds for the segments behind it that
    /// are whole resources, and nothing ends it but the next (draft bis 4.4.4.8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
    /// Every other line that stood before its URI, as it came, in order.
    pub tags: Vec<Arc<str>>,
}

/// A part of a resource, in bytes, from its beginning (RFC 8216 4.3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ByteRange {
    /// The first byte.
    pub offset: u64,
    /// How many bytes, at least 1.
    pub length: u64,
}

impl ByteRange {
    /// One past the last byte, or nothing where that passes 2^64 - 1.
    pub fn end(self) -> Option<u64> {
        self.offset.checked_add(self.length)
    }
}

/// One `EXT-X-KEY` in force, never `METHOD=NONE` (RFC 8216 4.3.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its attributes as they came.
    pub attributes: AttributeList,
}

impl Key {
    /// How the segment is encrypted: `AES-128`, `SAMPLE-AES`, or what a DRM system says.
    pub fn method(&self) -> &str {
        self.attributes.text("METHOD").unwrap_or_default()
    }

    /// Where the key is, as written.
    pub fn uri(&self) -> Option<&str> {
        self.attributes.text("URI")
    }

    /// The initialization vector as written, with its `0x`. Without one it is the media sequence
    /// number, for the KEYFORMAT `identity` (RFC 8216 5.2).
    pub fn iv(&self) -> Option<&str> {
        self.attributes.get("IV")
    }

    /// How the key is represented, `identity` where the tag does not say (RFC 8216 4.3.2.4).
    pub fn keyformat(&self) -> &str {
        self.attributes.text("KEYFORMAT").unwrap_or("identity")
    }
}

impl Segment {
    /// The lines before it that are no tags that we know.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let lines = self.tags.iter().map(|line| &**line);
        lines.filter(|line| Tag::of(line) == Tag::Other)
    }
}

/// The name of a tag; the whole of a comment.
pub fn name_of(line: &str) -> &str {
    let end = line
        .find([':', ' ', '\t'])
        .filter(|_| line.starts_with("#EXT"));
    &line[..end.unwrap_or(line.len())]
}

impl MediaPlaylist {
    /// The lines behind the last URI that say nothing of a segment to come: what an ended list closes with.
    pub fn closing(&self) -> impl Iterator<Item = &Arc<str>> {
        let of_segment = |line: &str| matches!(Tag::of(line), Tag::Segment(_) | Tag::Uri);
        self.tail.iter().filter(move |line| !of_segment(line))
    }
}

/// An init section (RFC 8216 4.3.2.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The URI as written, relative to the list.
    pub uri: Arc<str>,
    /// The part of the resource that it is; the whole resource where there is none.
    pub byte_range: Option<ByteRange>,
    /// Its other attributes as they came.
    pub attributes: AttributeList,
    /// The keys in force where the tag stood: those that the init section is encrypted with.
    pub keys: Arc<[Key]>,
}

/// Whether a segment keeps the promise of a target duration: rounded to the nearest second, it is
/// not longer (RFC 8216 4.3.3.1, rule S-04).
pub fn fits_target_duration(duration: Span, target_duration: Span) -> bool {
    Span::from_secs(duration.rounded_secs()) <= target_duration
}

/// The smallest target duration that all of these segments keep: whole seconds, at least 1
/// (RFC 8216 4.3.3.1, rule S-04).
pub fn least_target_duration(durations: impl IntoIterator<Item = Span>) -> Span {
    let longest = durations
        .into_iter()
        .map(Span::rounded_secs)
        .max()
        .unwrap_or(1);
    Span::from_secs(longest.max(1))
}
