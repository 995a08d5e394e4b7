//! One line of a playlist and the tag it is, judged by its exact name.

use super::flaw::{FlawKind, Flaws};

/// A line that is not blank, without its line end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Number in the body, from 1.
    pub(super) number: u32,
    /// The text. URI lines have no blanks around them; other lines are as they came.
    pub(super) text: &'a str,
    /// What it is.
    pub(super) tag: Tag,
}

/// What a line is, as far as its place and its number of occurrences depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Not a tag and not a comment.
    Uri,
    /// `EXTM3U`.
    Header,
    /// About the playlist as a whole, with a field of its own in the model; once.
    Head(HeadTag),
    /// About the playlist as a whole, kept as it came.
    HeadLine(HeadLine),
    /// About a segment, with a field of its own in the model.
    Segment(SegmentTag),
    /// About a segment, kept as it came.
    SegmentLine(SegmentLine),
    /// Of a multivariant playlist.
    Multivariant(MultivariantTag),
    /// A comment, or a tag that is not known.
    Other,
}

/// Playlist-level tags that the model has a field for (RFC 8216 4.3.1.2, 4.3.3, 4.3.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadTag {
    Version,
    IndependentSegments,
    TargetDuration,
    MediaSequence,
    DiscontinuitySequence,
    PlaylistType,
    IFramesOnly,
    EndList,
}

/// Playlist-level tags that are passed on; only `EXT-X-DEFINE` may repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadLine {
    Start,
    ServerControl,
    PartInf,
    AllowCache,
    Define,
}

/// Segment tags that the model has a field for (RFC 8216 4.3.2, draft bis 4.4.4.7, 4.4.4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentTag {
    ExtInf,
    ByteRange,
    Discontinuity,
    Key,
    Map,
    ProgramDateTime,
    BitRate,
    Gap,
}

/// Segment tags that are passed on (draft bis 4.4.4.9, 4.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentLine {
    DateRange,
    Part,
    PreloadHint,
    RenditionReport,
    /// Never in the model: a list with it is refused.
    Skip,
    /// Ad markers and the like, which vendors put before a segment.
    Vendor,
}

/// Tags that only a multivariant playlist may have (RFC 8216 4.3.4, draft bis 4.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MultivariantTag {
    StreamInf,
    IFrameStreamInf,
    Media,
    SessionData,
    SessionKey,
    ContentSteering,
}

impl Tag {
    /// What the line `text` is. Names match whole and in upper case: `EXT-X-DISCONTINUITY` is not
    /// the beginning of `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub(super) fn of(text: &str) -> Self {
        let Some(tag) = text.strip_prefix('#') else {
            return Self::Uri;
        };
        let name = &tag[..name_length(tag)];
        let Some(name) = name.strip_prefix("EXT-X-") else {
            return match name {
                "EXTINF" => Self::Segment(SegmentTag::ExtInf),
                "EXTM3U" => Self::Header,
                "EXT-OATCLS-SCTE35" => Self::SegmentLine(SegmentLine::Vendor),
                _ => Self::Other,
            };
        };
        match name {
            "KEY" => Self::Segment(SegmentTag::Key),
            "PROGRAM-DATE-TIME" => Self::Segment(SegmentTag::ProgramDateTime),
            "BYTERANGE" => Self::Segment(SegmentTag::ByteRange),
            "MAP" => Self::Segment(SegmentTag::Map),
            "DISCONTINUITY" => Self::Segment(SegmentTag::Discontinuity),
            "GAP" => Self::Segment(SegmentTag::Gap),
            "DATERANGE" => Self::SegmentLine(SegmentLine::DateRange),
            "PART" => Self::SegmentLine(SegmentLine::Part),
            "BITRATE" => Self::Segment(SegmentTag::BitRate),
            "PRELOAD-HINT" => Self::SegmentLine(SegmentLine::PreloadHint),
            "RENDITION-REPORT" => Self::SegmentLine(SegmentLine::RenditionReport),
            "SKIP" => Self::SegmentLine(SegmentLine::Skip),
            "VERSION" => Self::Head(HeadTag::Version),
            "TARGETDURATION" => Self::Head(HeadTag::TargetDuration),
            "MEDIA-SEQUENCE" => Self::Head(HeadTag::MediaSequence),
            "DISCONTINUITY-SEQUENCE" => Self::Head(HeadTag::DiscontinuitySequence),
            "PLAYLIST-TYPE" => Self::Head(HeadTag::PlaylistType),
            "I-FRAMES-ONLY" => Self::Head(HeadTag::IFramesOnly),
            "INDEPENDENT-SEGMENTS" => Self::Head(HeadTag::IndependentSegments),
            "ENDLIST" => Self::Head(HeadTag::EndList),
            "START" => Self::HeadLine(HeadLine::Start),
            "SERVER-CONTROL" => Self::HeadLine(HeadLine::ServerControl),
            "PART-INF" => Self::HeadLine(HeadLine::PartInf),
            "ALLOW-CACHE" => Self::HeadLine(HeadLine::AllowCache),
            "DEFINE" => Self::HeadLine(HeadLine::Define),
            "STREAM-INF" => Self::Multivariant(MultivariantTag::StreamInf),
            "I-FRAME-STREAM-INF" => Self::Multivariant(MultivariantTag::IFrameStreamInf),
            "MEDIA" => Self::Multivariant(MultivariantTag::Media),
            "SESSION-DATA" => Self::Multivariant(MultivariantTag::SessionData),
            "SESSION-KEY" => Self::Multivariant(MultivariantTag::SessionKey),
            "CONTENT-STEERING" => Self::Multivariant(MultivariantTag::ContentSteering),
            "ASSET" | "SCTE35" | "SPLICEPOINT-SCTE35" | "PREFETCH" => {
                Self::SegmentLine(SegmentLine::Vendor)
            }
            _ if name.starts_with("CUE") => Self::SegmentLine(SegmentLine::Vendor),
            _ => Self::Other,
        }
    }

    /// Whether it speaks about the playlist as a whole, so that what is not known and stands before
    /// it may too. `EXT-X-ENDLIST` may stand anywhere (RFC 8216 4.3.3.4) and says nothing about what
    /// stands before it.
    pub(super) fn is_head(self) -> bool {
        match self {
            Self::Head(tag) => tag != HeadTag::EndList,
            Self::HeadLine(_) => true,
            Self::Uri
            | Self::Header
            | Self::Segment(_)
            | Self::SegmentLine(_)
            | Self::Multivariant(_)
            | Self::Other => false,
        }
    }

    /// Whether it may stand once in a playlist (RFC 8216 4.3.1.2, 4.3.3 and 4.3.5).
    pub(super) fn is_unique(self) -> bool {
        match self {
            Self::Head(_) => true,
            Self::HeadLine(line) => line != HeadLine::Define,
            Self::Uri
            | Self::Header
            | Self::Segment(_)
            | Self::SegmentLine(_)
            | Self::Multivariant(_)
            | Self::Other => false,
        }
    }

    /// Whether only a media playlist may have it (RFC 8216 4.3.2 and 4.3.3, draft bis 4.4.3 to
    /// 4.4.5). Vendor tags decide nothing.
    pub(super) fn is_media_only(self) -> bool {
        match self {
            Self::Head(tag) => !matches!(tag, HeadTag::Version | HeadTag::IndependentSegments),
            Self::HeadLine(line) => matches!(line, HeadLine::ServerControl | HeadLine::PartInf),
            Self::Segment(_) => true,
            Self::SegmentLine(line) => line != SegmentLine::Vendor,
            Self::Uri | Self::Header | Self::Multivariant(_) | Self::Other => false,
        }
    }

    /// Whether it has an attribute list and is passed on as it came.
    pub(super) fn is_kept_attribute_list(self) -> bool {
        match self {
            Self::HeadLine(line) => line != HeadLine::AllowCache,
            Self::SegmentLine(line) => !matches!(line, SegmentLine::Vendor | SegmentLine::Skip),
            // Those of the others are read with them.
            Self::Multivariant(tag) => tag == MultivariantTag::ContentSteering,
            Self::Uri | Self::Header | Self::Head(_) | Self::Segment(_) | Self::Other => false,
        }
    }
}

impl<'a> Line<'a> {
    /// Whether it is no tag that we know, and by its name speaks about the list as a whole where it stands
    /// before the first segment: Twitch writes how long a stream has been on behind all other tags of the
    /// head, and says it anew in each list.
    pub(super) fn is_of_the_list(&self) -> bool {
        self.tag == Tag::Other && self.text.starts_with("#EXT-X-TWITCH-")
    }

    /// The value of a tag: what follows its name and colon, with the blanks around it.
    pub(super) fn raw_value(&self) -> &'a str {
        let tag = self.text.strip_prefix('#').unwrap_or(self.text);
        let rest = &tag[name_length(tag)..];
        rest.strip_prefix(':').unwrap_or(rest)
    }

    /// Whether a tag that takes no value has one, if only a colon. Blanks behind it are noted.
    pub(super) fn has_value(&self, flaws: &mut Flaws) -> bool {
        let bare = trim(self.text);
        if bare.len() != self.text.len() {
            flaws.note(FlawKind::BlankAroundValue, self);
        }
        bare.len() > 1 + name_length(&bare[1..])
    }

    /// The value of a tag without the blanks around it, which are noted.
    pub(super) fn value(&self, flaws: &mut Flaws) -> &'a str {
        let raw = self.raw_value();
        let value = trim(raw);
        if value.len() != raw.len() {
            flaws.note(FlawKind::BlankAroundValue, self);
        }
        value
    }
}

/// Where the name of a tag ends. A blank ends it too: `#EXT-X-ENDLIST ` is that tag.
fn name_length(tag: &str) -> usize {
    tag.bytes()
        .position(|byte| matches!(byte, b':' | b' ' | b'\t'))
        .unwrap_or(tag.len())
}

/// Without the blanks that a line may have around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
