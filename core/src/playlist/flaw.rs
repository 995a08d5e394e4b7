//! What was accepted although it should not be: worth one line in the log, not a dead channel.

use super::error::Place;
use super::line::Line;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One kind of flaw that a playlist has, where it was met first, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// What is wrong.
    pub kind: FlawKind,
    /// The first line that has it.
    pub at: Place,
    /// How many times it was met in this body.
    pub count: u32,
}

/// The flaws whose meaning stays plain to every common player, so that they are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FlawKind {
    /// A byte order mark stands before the text (RFC 8216 4.1).
    ByteOrderMark,
    /// The last line has no line end. A body that was cut looks like this too: where the last line
    /// is a URI, it may be the beginning of a longer one.
    NoFinalNewline,
    /// Text follows `#EXTM3U` on the first line.
    TextAfterHeader,
    /// `#EXTM3U` stands again further down.
    RepeatedHeader,
    /// A TAB stands in the text, which is a control character (RFC 8216 4.1).
    Tab,
    /// Blanks stand around a URI line.
    BlankAroundUri,
    /// Blanks stand around the value of a tag.
    BlankAroundValue,
    /// A tag that has no value has one.
    ValueOnFlag,
    /// A tag that may stand once stands twice, with equal values (RFC 8216 4.3, rule C-05).
    RepeatedTag,
    /// `EXT-X-TARGETDURATION` is not an integer; it was rounded up (RFC 8216 4.3.3.1).
    FractionalTargetDuration,
    /// `EXT-X-VERSION` has decimals, all of them 0.
    FractionalVersion,
    /// `EXT-X-PLAYLIST-TYPE` is neither VOD nor EVENT; the tag is kept and means nothing
    /// (rule C-06).
    UnknownPlaylistType,
    /// `EXT-X-VERSION` is lower than what the list uses (RFC 8216 7, rule C-39).
    VersionTooLow,
    /// `EXTINF` has no comma after the duration (RFC 8216 4.3.2.1).
    ExtinfWithoutComma,
    /// An `EXTINF` at the end of the list has no URI; it was dropped.
    ExtinfWithoutUri,
    /// An `EXTINF`, rounded, is longer than the target duration (RFC 8216 4.3.3.1, rule C-56).
    LongerThanTarget,
    /// `EXT-X-TARGETDURATION` is far longer than any segment: nothing is timed by so much of it.
    TargetFarTooLong,
    /// Blanks stand around `=` or `,` in an attribute list, or a comma too many
    /// (RFC 8216 4.2, rule C-07).
    LooseAttributes,
    /// An attribute stands twice with equal values (RFC 8216 4.2, rule C-07).
    RepeatedAttribute,
    /// An attribute name has other characters than A-Z, 0-9 and - (RFC 8216 4.2).
    OddAttributeName,
    /// A value has quotes that it should not have, or lacks those it should have (RFC 8216 4.2).
    QuotesAmiss,
    /// The attribute list of a tag that is only passed on cannot be read; it is kept as it came.
    UnreadableAttributes,
    /// `METHOD=NONE` comes with other attributes; they were dropped (RFC 8216 4.3.2.4).
    AttributesOnNone,
    /// An `EXT-X-KEY`, `EXT-X-MAP` or `EXT-X-BITRATE` was replaced before it applied to anything; it was dropped.
    UnusedTag,
    /// The `BYTERANGE` of a MAP has no offset; it was taken as 0 (draft bis 4.4.4.5).
    MapRangeWithoutOffset,
    /// `EXT-X-PROGRAM-DATE-TIME` is no date; the line is kept and means nothing.
    UnreadableDateTime,
    /// `EXT-X-BITRATE` is no number; the line is kept and means nothing.
    UnreadableBitRate,
    /// The tag of a variant, a rendition or the session cannot be used; it and its URI line mean
    /// nothing (rule C-06).
    UnusableVariant,
    /// A variant does not say its `BANDWIDTH`; it is measured (RFC 8216 4.3.4.2).
    NoBandwidth,
    /// A URI line of a multivariant playlist has no `EXT-X-STREAM-INF`.
    StrayUri,
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.at, self.kind)?;
        match self.count {
            0 | 1 => Ok(()),
            count => write!(out, " ({count} times)"),
        }
    }
}

impl fmt::Display for FlawKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::ByteOrderMark => "a byte order mark stands before the text",
            Self::NoFinalNewline => "the last line has no line end",
            Self::TextAfterHeader => "text follows #EXTM3U on its line",
            Self::RepeatedHeader => "#EXTM3U stands again",
            Self::Tab => "a TAB stands in the text",
            Self::BlankAroundUri => "blanks stand around the URI",
            Self::BlankAroundValue => "blanks stand around the value",
            Self::ValueOnFlag => "the tag takes no value",
            Self::RepeatedTag => "the tag stands twice with the same value",
            Self::FractionalTargetDuration => "the target duration is no integer, rounded up",
            Self::FractionalVersion => "the version is written with decimals",
            Self::UnknownPlaylistType => "the playlist type is neither VOD nor EVENT, ignored",
            Self::VersionTooLow => "EXT-X-VERSION is lower than what the list uses",
            Self::ExtinfWithoutComma => "no comma follows the duration",
            Self::ExtinfWithoutUri => "the EXTINF has no URI, dropped",
            Self::LongerThanTarget => "the segment is longer than the target duration",
            Self::TargetFarTooLong => {
                "the target duration is far longer than any segment, timed by less"
            }
            Self::LooseAttributes => "blanks or commas too many in the attribute list",
            Self::RepeatedAttribute => "an attribute stands twice with the same value",
            Self::OddAttributeName => "an attribute name is not made of A-Z, 0-9 and -",
            Self::QuotesAmiss => "an attribute has quotes it should not have, or lacks them",
            Self::UnreadableAttributes => "the attribute list cannot be read, kept as it came",
            Self::AttributesOnNone => "METHOD=NONE takes no other attributes, dropped",
            Self::UnusedTag => "the tag was replaced before it applied to anything, dropped",
            Self::MapRangeWithoutOffset => "the byte range of the MAP has no offset, taken as 0",
            Self::UnreadableBitRate => "the bit rate cannot be read, kept as it came",
            Self::UnreadableDateTime => "the date-time cannot be read, kept as it came",
            Self::UnusableVariant => {
                "the variant, rendition or session tag cannot be used, ignored"
            }
            Self::NoBandwidth => "the variant has no BANDWIDTH, measured in its place",
            Self::StrayUri => "the URI has no EXT-X-STREAM-INF, ignored",
        })
    }
}

/// The flaws of one body, at most one entry per kind, so that a hostile body cannot fill a log.
#[derive(Debug, Default)]
pub(super) struct Flaws(Vec<Flaw>);

impl Flaws {
    pub(super) fn note(&mut self, kind: FlawKind, line: &Line<'_>) {
        self.note_at(kind, line.number, line.text);
    }

    pub(super) fn note_at(&mut self, kind: FlawKind, number: u32, text: &str) {
        match self.0.iter_mut().find(|flaw| flaw.kind == kind) {
            Some(flaw) => flaw.count = flaw.count.saturating_add(1),
            None => self.0.push(Flaw {
                kind,
                at: Place::new(number, text),
                count: 1,
            }),
        }
    }

    pub(super) fn into_vec(self) -> Vec<Flaw> {
        self.0
    }
}
