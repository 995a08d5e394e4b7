//! Multivariant playlists (RFC 8216 4.3.4): every line in order, and the variants and renditions
//! among them.
//!
//! Here they are read; [`render_multivariant`](super::render_multivariant) writes them. Content
//! steering is not interpreted.

use super::attributes::read_typed;
use super::error::PlaylistError;
use super::flaw::{Flaw, FlawKind, Flaws};
use super::guard::Guarded;
use super::head::Head;
use super::line::{Line, MultivariantTag, Tag};
use super::number::integer;
use super::{AttributeList, Variables, reader};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The attributes that are quoted strings (RFC 8216 4.3.4, draft bis 4.4.6). Those of
/// `CLOSED-CAPTIONS` and of the `X-` kind may be either.
const QUOTED: [&str; 22] = [
    "ALLOWED-CPC",
    "ASSOC-LANGUAGE",
    "AUDIO",
    "CHANNELS",
    "CHARACTERISTICS",
    "CODECS",
    "DATA-ID",
    "GROUP-ID",
    "INSTREAM-ID",
    "KEYFORMAT",
    "KEYFORMATVERSIONS",
    "LANGUAGE",
    "NAME",
    "PATHWAY-ID",
    "REQ-VIDEO-LAYOUT",
    "STABLE-RENDITION-ID",
    "STABLE-VARIANT-ID",
    "SUBTITLES",
    "SUPPLEMENTAL-CODECS",
    "URI",
    "VALUE",
    "VIDEO",
];

/// The attributes that are numbers and words without quotes.
const PLAIN: [&str; 17] = [
    "AUTOSELECT",
    "AVERAGE-BANDWIDTH",
    "BANDWIDTH",
    "BIT-DEPTH",
    "DEFAULT",
    "FORCED",
    "FORMAT",
    "FRAME-RATE",
    "HDCP-LEVEL",
    "IV",
    "METHOD",
    "PROGRAM-ID",
    "RESOLUTION",
    "SAMPLE-RATE",
    "SCORE",
    "TYPE",
    "VIDEO-RANGE",
];

/// A list of variants and renditions (RFC 8216 4.3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultivariantPlaylist {
    /// `EXT-X-VERSION` as it was stated.
    pub version: Option<u64>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`: holds for all media playlists (RFC 8216 4.3.5.1).
    pub independent_segments: bool,
    /// What it has defined, for media playlists to import (draft bis 4.4.2.3).
    pub variables: Variables,
    /// The variants that can be used, in order.
    pub variants: Vec<Variant>,
    /// The renditions that can be used, in order.
    pub renditions: Vec<Rendition>,
    /// The lists of I-frames that can be used, in order.
    pub i_frame_variants: Vec<IFrameVariant>,
    /// The `EXT-X-SESSION-DATA` that can be used, in order.
    pub session_data: Vec<SessionTag>,
    /// The `EXT-X-SESSION-KEY` that can be used, in order.
    pub session_keys: Vec<SessionTag>,
    /// Every line but blank ones and the typed tags above (header, version, independent segments, definitions),
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
    /// Peak bit rate in bits per second; 0 where the list does not say (it should: RFC 8216 4.3.4.2).
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

/// One `EXT-X-I-FRAME-STREAM-INF` (RFC 8216 4.3.4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IFrameVariant {
    /// Where its tag stands in [`MultivariantPlaylist::lines`].
    pub tag_line: usize,
    /// The URI of its media playlist as written, relative to the list.
    pub uri: Arc<str>,
    /// Peak bit rate in bits per second.
    pub bandwidth: u64,
    /// Size of the picture.
    pub resolution: Option<Resolution>,
    /// The formats in it (RFC 6381).
    pub codecs: Option<Arc<str>>,
    /// All attributes as they came.
    pub attributes: AttributeList,
}

/// One `EXT-X-SESSION-DATA` or `EXT-X-SESSION-KEY` (RFC 8216 4.3.4.4 and 4.3.4.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTag {
    /// Where it stands in [`MultivariantPlaylist::lines`].
    pub tag_line: usize,
    /// Its URI as written, relative to the list; none where the data stand in the tag itself.
    pub uri: Option<Arc<str>>,
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
    variables: Variables,
    mut flaws: Flaws,
) -> Result<MultivariantPlaylist, PlaylistError> {
    let mut playlist = MultivariantPlaylist {
        version: head.version,
        independent_segments: head.independent_segments,
        variables,
        ..MultivariantPlaylist::default()
    };
    let mut lines = Vec::new();
    // The tag whose URI line is still to come, and its place.
    let mut pending: Option<(usize, Line<'_>)> = None;
    let mut known_data = BTreeSet::new();
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
            Tag::Multivariant(tag) => playlist.take(tag, line, index, &mut known_data, &mut flaws),
            Tag::Header
            | Tag::Head(_)
            | Tag::HeadLine(_)
            | Tag::Segment(_)
            | Tag::SegmentLine(_)
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

impl MultivariantPlaylist {
    /// Takes a tag that has all it says in its own line.
    fn take(
        &mut self,
        tag: MultivariantTag,
        line: &Line<'_>,
        index: usize,
        known_data: &mut BTreeSet<(String, String)>,
        flaws: &mut Flaws,
    ) {
        match tag {
            MultivariantTag::Media => self.renditions.extend(rendition(line, index, flaws)),
            MultivariantTag::IFrameStreamInf => {
                self.i_frame_variants
                    .extend(i_frame_variant(line, index, flaws));
            }
            MultivariantTag::SessionData => {
                let data = session_data(line, index, known_data, flaws);
                self.session_data.extend(data);
            }
            MultivariantTag::SessionKey => {
                self.session_keys.extend(session_key(line, index, flaws));
            }
            // The first is taken with its URI, the second means nothing here.
            MultivariantTag::StreamInf | MultivariantTag::ContentSteering => {}
        }
    }

    /// The first variant that is the same media from another place (RFC 8216 6.2.4): it differs from this one in nothing but
    /// its URI, its pathway, and the names of groups that have the same renditions. The variant itself where it is the
    /// first, and where it does not say its bit rate: variants of which nothing is said are not alike for that.
    pub fn first_alike(&self, variant: usize) -> usize {
        let told = self.variants.get(variant).filter(|it| it.bandwidth > 0);
        let Some(wanted) = told else {
            return variant;
        };
        let mut known = self.variants.iter();
        let alike = known.position(|known| self.are_alike(known, wanted));
        alike.unwrap_or(variant)
    }

    fn are_alike(&self, one: &Variant, other: &Variant) -> bool {
        let what = |it: &Variant| without_all(&it.attributes.without("PATHWAY-ID"), &GROUPS);
        let groups = |kind: &&str| match (one.group(kind), other.group(kind)) {
            (Some(one), Some(other)) => one == other || self.are_groups_alike(kind, one, other),
            (one, other) => one == other,
        };
        what(one) == what(other) && GROUPS.iter().all(groups)
    }

    /// Two groups whose renditions differ in nothing but where they are.
    fn are_groups_alike(&self, kind: &str, one: &str, other: &str) -> bool {
        let of = |group| self.group(kind, group).map(Rendition::what);
        let mut renditions = of(one).peekable();
        renditions.peek().is_some() && renditions.eq(of(other))
    }

    fn group<'a>(&'a self, kind: &str, group: &str) -> impl Iterator<Item = &'a Rendition> {
        let renditions = self.renditions.iter();
        renditions.filter(move |it| *it.kind == *kind && *it.group_id == *group)
    }

    /// The same rendition in the groups of variants that `relayed` tells of, where this one stands in a group of
    /// variants alike; by their places.
    pub fn rendition_alike(
        &self,
        rendition: &Rendition,
        relayed: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let kind = &*rendition.kind;
        let variants = self.variants.iter().enumerate();
        let mut beside = variants.filter(|(_, it)| it.group(kind) == Some(&*rendition.group_id));
        beside.find_map(|(index, _)| {
            let first = self.first_alike(index);
            let group = self.variants[first]
                .group(kind)
                .filter(|_| relayed(first))?;
            let is_it = |it: &Rendition| *it.group_id == *group && it.what() == rendition.what();
            let mut renditions = self.renditions.iter();
            renditions.position(|it| &*it.kind == kind && is_it(it))
        })
    }
}

/// What names groups of renditions: the attributes of variants, and the types of renditions.
const GROUPS: [&str; 4] = ["AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"];

impl Variant {
    /// The group of renditions of one kind.
    fn group(&self, kind: &str) -> Option<&str> {
        self.attributes.text(kind)
    }
}

impl Rendition {
    /// What it is, wherever it is.
    fn what(&self) -> AttributeList {
        without_all(&self.attributes, &["URI", "GROUP-ID", "PATHWAY-ID"])
    }
}

fn without_all(attributes: &AttributeList, names: &[&str]) -> AttributeList {
    let less = |it: AttributeList, name: &&str| it.without(name);
    names.iter().fold(attributes.clone(), less)
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
    // Players choose by it, but they play what does not say it: it is relayed, and measured.
    let bandwidth = attributes.text("BANDWIDTH").and_then(integer).unwrap_or(0);
    if bandwidth == 0 {
        flaws.note(FlawKind::NoBandwidth, tag);
    }
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

/// A rendition. Of those that have no media playlist of their own, closed captions must say where in
/// the video they are, and subtitles are nowhere (RFC 8216 4.3.4.1, rule C-54).
fn rendition(line: &Line<'_>, tag_line: usize, flaws: &mut Flaws) -> Option<Rendition> {
    let attributes = read_attributes(line, flaws)?;
    let text = |name: &str| attributes.text(name).map(Arc::from);
    // Some write an empty one where it is part of the variant.
    let uri: Option<Arc<str>> = attributes
        .text("URI")
        .filter(|it| !it.is_empty())
        .map(Arc::from);
    let (Some(kind), Some(group_id)) = (attributes.text("TYPE"), text("GROUP-ID")) else {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    };
    let is_whole = match kind {
        "AUDIO" | "VIDEO" => true,
        "SUBTITLES" => uri.is_some(),
        "CLOSED-CAPTIONS" => uri.is_none() && attributes.get("INSTREAM-ID").is_some(),
        _ => false,
    };
    if !is_whole {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    }
    Some(Rendition {
        tag_line,
        kind: Arc::from(kind),
        group_id,
        name: text("NAME").unwrap_or_default(),
        language: text("LANGUAGE"),
        default: attributes.text("DEFAULT") == Some("YES"),
        attributes: match uri {
            Some(_) => attributes,
            None => attributes.without("URI"),
        },
        uri,
    })
}

fn i_frame_variant(line: &Line<'_>, tag_line: usize, flaws: &mut Flaws) -> Option<IFrameVariant> {
    let attributes = read_attributes(line, flaws)?;
    let bandwidth = attributes.text("BANDWIDTH").and_then(integer);
    let text = |name: &str| attributes.text(name).map(Arc::from);
    let (Some(bandwidth), Some(uri)) = (bandwidth, text("URI")) else {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    };
    Some(IFrameVariant {
        tag_line,
        uri,
        bandwidth,
        resolution: attributes.text("RESOLUTION").and_then(resolution),
        codecs: text("CODECS"),
        attributes,
    })
}

/// Session data: in the tag or at a URI, never both, and once for each name and language
/// (RFC 8216 4.3.4.4, rule S-41).
fn session_data(
    line: &Line<'_>,
    tag_line: usize,
    known: &mut BTreeSet<(String, String)>,
    flaws: &mut Flaws,
) -> Option<SessionTag> {
    let attributes = read_attributes(line, flaws)?;
    let text = |name: &str| attributes.text(name).unwrap_or_default().to_owned();
    let name = (text("DATA-ID"), text("LANGUAGE"));
    let is_one = attributes.get("VALUE").is_some() != attributes.get("URI").is_some();
    if name.0.is_empty() || !is_one || !known.insert(name) {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    }
    Some(SessionTag {
        tag_line,
        uri: attributes.text("URI").map(Arc::from),
        attributes,
    })
}

/// A key that players may load early: `METHOD=NONE` is none (RFC 8216 4.3.4.5, rule S-41).
fn session_key(line: &Line<'_>, tag_line: usize, flaws: &mut Flaws) -> Option<SessionTag> {
    let attributes = read_attributes(line, flaws)?;
    let has_method = attributes
        .get("METHOD")
        .is_some_and(|method| method != "NONE");
    if !has_method || attributes.get("URI").is_none() {
        flaws.note(FlawKind::UnusableVariant, line);
        return None;
    }
    Some(SessionTag {
        tag_line,
        uri: attributes.text("URI").map(Arc::from),
        attributes,
    })
}

/// The attributes of a tag that can be used: readable, and without one that begins with `REQ-`,
/// which asks that whoever does not know it ignores the tag (draft bis 4.4.6.2, rule C-06). The
/// layout of the picture is known here: nothing depends on it but the player (rule S-42).
fn read_attributes(line: &Line<'_>, flaws: &mut Flaws) -> Option<AttributeList> {
    let read = read_typed(line, &QUOTED, &PLAIN, flaws);
    let is_asked = |name: &str| name.starts_with("REQ-") && name != "REQ-VIDEO-LAYOUT";
    let usable = read
        .ok()
        .filter(|attributes| !attributes.iter().any(|(name, _)| is_asked(name)));
    if usable.is_none() {
        flaws.note(FlawKind::UnusableVariant, line);
    }
    usable
}

fn resolution(text: &str) -> Option<Resolution> {
    let (width, height) = text.split_once(['x', 'X'])?;
    Some(Resolution {
        width: integer(width)?,
        height: integer(height)?,
    })
}
