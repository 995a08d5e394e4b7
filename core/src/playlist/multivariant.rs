//! Multivariant playlists (RFC 8216 4.3.4): every line in order, and the variants and renditions
//! among them.
//!
//! This is as much as choosing a variant needs. I-frame variants, session tags, content steering and
//! variables are kept as lines and not interpreted (rule C-37 has its room there).

use super::attributes::scan;
use super::error::PlaylistError;
use super::flaw::{Flaw, FlawKind, Flaws};
use super::guard::Guarded;
use super::head::Head;
use super::line::{Line, MultivariantTag, Tag};
use super::number::integer;
use super::{AttributeList, reader};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A list of variants and renditions (RFC 8216 4.3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultivariantPlaylist {
    /// `EXT-X-VERSION` as it was stated.
    pub version: Option<u64>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`: holds for all media playlists (RFC 8216 4.3.5.1).
    pub independent_segments: bool,
    /// The variants that can be used, in order.
    pub variants: Vec<Variant>,
    /// The renditions that can be used, in order.
    pub renditions: Vec<Rendition>,
    /// Every line but blank ones and the typed tags above (header, version, independent segments),
    /// as it came, in order.
    pub lines: Vec<Arc<str>>,
    /// What was accepted although it should not be, one entry per kind.
    pub flaws: Vec<Flaw>,
}

/// One `EXT-X-STREAM-INF` and its URI (RFC 8216 4.3.4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Where its tag stands in [`MultivariantPlaylist::lines`].
    pub tag_line: usize,
    /// Where its URI stands in [`MultivariantPlaylist::lines`].
    pub uri_line: usize,
    /// The URI of its media playlist as written, relative to the list.
    pub uri: Arc<str>,
    /// Peak bit rate in bits per second.
    pub bandwidth: u64,
    /// Average bit rate in bits per second.
    pub average_bandwidth: Option<u64>,
    /// Size of the picture.
    pub resolution: Option<Resolution>,
    /// The formats of all renditions, separated by commas (RFC 6381).
    pub codecs: Option<Arc<str>>,
    /// Group of its audio renditions.
    pub audio: Option<Arc<str>>,
    /// Group of its video renditions.
    pub video: Option<Arc<str>>,
    /// Group of its subtitles.
    pub subtitles: Option<Arc<str>>,
    /// Group of its closed captions, or `NONE`.
    pub closed_captions: Option<Arc<str>>,
    /// All attributes as they came.
    pub attributes: AttributeList,
}

/// Size of a picture in pixels (RFC 8216 4.2, decimal-resolution).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resolution {
    /// Pixels from left to right.
    pub width: u64,
    /// Pixels from top to bottom.
    pub height: u64,
}

/// One `EXT-X-MEDIA` (RFC 8216 4.3.4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Where its tag stands in [`MultivariantPlaylist::lines`].
    pub tag_line: usize,
    /// `AUDIO`, `VIDEO`, `SUBTITLES` or `CLOSED-CAPTIONS`.
    pub kind: Arc<str>,
    /// The group it belongs to.
    pub group_id: Arc<str>,
    /// Its name, for people.
    pub name: Arc<str>,
    /// Its language (RFC 5646).
    pub language: Option<Arc<str>>,
    /// The URI of its media playlist as written; none where it is part of the variant itself.
    pub uri: Option<Arc<str>>,
    /// Whether it is chosen where the user has no wish.
    pub default: bool,
    /// All attributes as they came.
    pub attributes: AttributeList,
}

/// Reads a multivariant playlist.
pub(super) fn read(
    guarded: &Guarded<'_>,
    head: &Head,
    mut flaws: Flaws,
) -> Result<MultivariantPlaylist, PlaylistError> {
    let mut playlist = MultivariantPlaylist {
        version: head.version,
        independent_segments: head.independent_segments,
        ..MultivariantPlaylist::default()
    };
    let mut lines = Vec::new();
    // The tag whose URI line is still to come, and its place.
    let mut pending: Option<(usize, Line<'_>)> = None;
    reader::read(&guarded.lines, head, |line| {
        let index = lines.len();
        if line.tag.is_unique() && !head.is_first(line, &guarded.lines) {
            return Ok(());
        }
        lines.push(Arc::from(line.text));
        match line.tag {
            Tag::Multivariant(MultivariantTag::StreamInf) => {
                if let Some((_, tag)) = pending.replace((index, *line)) {
                    flaws.note(FlawKind::UnusableVariant, &tag);
                }
            }
            Tag::Uri => match pending.take() {
                None => flaws.note(FlawKind::StrayUri, line),
                Some((tag_line, tag)) => {
                    let variant = variant(&tag, tag_line, line, index, &mut flaws);
                    playlist.variants.extend(variant);
                }
            },
            Tag::Multivariant(MultivariantTag::Media) => {
                playlist
                    .renditions
                    .extend(rendition(line, index, &mut flaws));
            }
            Tag::Header
            | Tag::Head(_)
            | Tag::HeadLine(_)
            | Tag::Segment(_)
            | Tag::SegmentLine(_)
            | Tag::Multivariant(_)
            | Tag::Other => {}
        }
        Ok(())
    })?;
    if let Some((_, tag)) = pending {
        flaws.note(FlawKind::UnusableVariant, &tag);
    }
    playlist.lines = lines;
    playlist.flaws = flaws.into_vec();
    Ok(playlist)
}

/// A variant, or nothing where its tag cannot be used: then its URI line means nothing either, and
/// the other variants keep theirs (rule C-06).
fn variant(
    tag: &Line<'_>,
    tag_line: usize,
    uri: &Line<'_>,
    uri_line: usize,
    flaws: &mut Flaws,
) -> Option<Variant> {
    let attributes = read_attributes(tag, flaws)?;
    let Some(bandwidth) = attributes.text("BANDWIDTH").and_then(integer) else {
        flaws.note(FlawKind::UnusableVariant, tag);
        return None;
    };
    let text = |name: &str| attributes.text(name).map(Arc::from);
    Some(Variant {
        tag_line,
        uri_line,
        uri: Arc::from(uri.text),
        bandwidth,
        average_bandwidth: attributes.text("AVERAGE-BANDWIDTH").and_then(integer),
        resolution: attributes.text("RESOLUTION").and_then(resolution),
        codecs: text("CODECS"),
        audio: text("AUDIO"),
        video: text("VIDEO"),
        subtitles: text("SUBTITLES"),
        closed_captions: text("CLOSED-CAPTIONS"),
        attributes,
    })
}

fn rendition(line: &Line<'_>, tag_line: usize, flaws: &mut Flaws) -> Option<Rendition> {
    let attributes = read_attributes(line, flaws)?;
    let text = |name: &str| attributes.text(name).map(Arc::from);
    let (Some(kind), Some(group_id)) = (text("TYPE"), text("GROUP-ID")) else {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    };
    Some(Rendition {
        tag_line,
        kind,
        group_id,
        name: text("NAME").unwrap_or_default(),
        language: text("LANGUAGE"),
        uri: text("URI"),
        default: attributes.text("DEFAULT") == Some("YES"),
        attributes,
    })
}

/// The attributes of a tag that can be used: readable, and without one that begins with `REQ-`,
/// which asks that whoever does not know it ignores the tag (draft bis 4.4.6.2, rule C-06).
fn read_attributes(line: &Line<'_>, flaws: &mut Flaws) -> Option<AttributeList> {
    let text = line.raw_value();
    let Ok((attributes, forgiven)) = scan(text) else {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    };
    if attributes
        .iter()
        .any(|attribute| attribute.name.starts_with("REQ-"))
    {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    }
    if forgiven.loose {
        flaws.note(FlawKind::LooseAttributes, line);
    }
    if forgiven.repeated {
        flaws.note(FlawKind::RepeatedAttribute, line);
    }
    Some(AttributeList::build(text, &attributes, forgiven))
}

fn resolution(text: &str) -> Option<Resolution> {
    let (width, height) = text.split_once(['x', 'X'])?;
    Some(Resolution {
        width: integer(width)?,
        height: integer(height)?,
    })
}
