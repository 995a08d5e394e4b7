//! The lowest `EXT-X-VERSION` that a list needs (RFC 8216 7, draft bis 8, rule S-29).

use super::line::{HeadLine, Line, MultivariantTag, SegmentTag, Tag};
use super::{AttributeList, Key, MediaPlaylist};
use std::sync::Arc;

const INITIALIZATION_VECTOR: u64 = 2;
/// `EXTINF` with decimals.
pub(super) const DECIMALS: u64 = 3;
const BYTE_RANGES: u64 = 4;
const KEY_FORMATS: u64 = 5;
const MAP_IN_I_FRAMES: u64 = 5;
const MAP: u64 = 6;
const SERVICES: u64 = 7;
const VARIABLES: u64 = 8;
const QUERY_VARIABLES: u64 = 11;
const REQUIREMENTS: u64 = 12;
const INSTREAM_MEDIA: u64 = 13;

/// The version that [`render`](super::render()) states for this list: what it uses and no more
/// (rule S-29). At least 3 where there is a segment, since durations are written with decimals.
pub fn required_version(playlist: &MediaPlaylist) -> u64 {
    let used = used_version(playlist);
    if playlist.segments.is_empty() {
        used
    } else {
        used.max(DECIMALS)
    }
}

/// What the list needs, apart from how its durations are written.
pub(super) fn used_version(playlist: &MediaPlaylist) -> u64 {
    let mut version = if playlist.i_frames_only {
        BYTE_RANGES
    } else {
        1
    };
    let map = if playlist.i_frames_only {
        MAP_IN_I_FRAMES
    } else {
        MAP
    };
    let mut last_keys: Option<&Arc<[Key]>> = None;
    for segment in &playlist.segments {
        if segment.byte_range.is_some() {
            version = version.max(BYTE_RANGES);
        }
        if let Some(in_force) = &segment.map {
            version = version.max(map);
            version = with_keys(version, &in_force.keys);
        }
        if last_keys.is_none_or(|last| !Arc::ptr_eq(last, &segment.keys)) {
            version = with_keys(version, &segment.keys);
            last_keys = Some(&segment.keys);
        }
    }
    let heads = playlist.head.iter().map(|line| of_line(line, map));
    let tails = playlist.tail.iter().map(|line| of_line(line, map));
    heads.chain(tails).fold(version, u64::max)
}

/// No key needs more than [`KEY_FORMATS`], so that most need no look.
fn with_keys(version: u64, keys: &[Key]) -> u64 {
    if version >= KEY_FORMATS {
        return version;
    }
    keys.iter()
        .map(|key| of_key(&key.attributes))
        .fold(version, u64::max)
}

fn of_key(attributes: &AttributeList) -> u64 {
    let has = |name: &str| attributes.get(name).is_some();
    let is_sample = attributes
        .get("METHOD")
        .is_some_and(|method| method.starts_with("SAMPLE-AES"));
    if has("KEYFORMAT") || has("KEYFORMATVERSIONS") || is_sample {
        KEY_FORMATS
    } else if has("IV") {
        INITIALIZATION_VECTOR
    } else {
        1
    }
}

/// What a line that is kept as it came needs.
fn of_line(text: &str, map: u64) -> u64 {
    let line = Line {
        number: 0,
        text,
        tag: Tag::of(text),
    };
    let attributes = || AttributeList::parse(line.raw_value()).unwrap_or_default();
    match line.tag {
        Tag::HeadLine(HeadLine::Define) => {
            let is_query = attributes().get("QUERYPARAM").is_some();
            if is_query { QUERY_VARIABLES } else { VARIABLES }
        }
        Tag::Segment(SegmentTag::Key) => of_key(&attributes()),
        Tag::Segment(SegmentTag::Map) => map,
        Tag::Segment(SegmentTag::ByteRange) => BYTE_RANGES,
        Tag::Multivariant(tag) => of_multivariant(tag, &attributes()),
        Tag::Uri
        | Tag::Header
        | Tag::Head(_)
        | Tag::HeadLine(_)
        | Tag::Segment(_)
        | Tag::SegmentLine(_)
        | Tag::Other => 1,
    }
}

/// What a multivariant playlist with these lines needs.
pub(super) fn of_multivariant_lines<'a>(lines: impl Iterator<Item = &'a str>) -> u64 {
    // A MAP is no line of a multivariant playlist.
    lines.map(|line| of_line(line, 1)).fold(1, u64::max)
}

fn of_multivariant(tag: MultivariantTag, attributes: &AttributeList) -> u64 {
    let is_asked = attributes.iter().any(|(name, _)| name.starts_with("REQ-"));
    let own = match tag {
        MultivariantTag::SessionKey => of_key(attributes),
        MultivariantTag::Media => of_instream_id(attributes),
        MultivariantTag::StreamInf
        | MultivariantTag::IFrameStreamInf
        | MultivariantTag::SessionData
        | MultivariantTag::ContentSteering => 1,
    };
    if is_asked { own.max(REQUIREMENTS) } else { own }
}

fn of_instream_id(attributes: &AttributeList) -> u64 {
    let is_captions = attributes.get("TYPE") == Some("CLOSED-CAPTIONS");
    match attributes.text("INSTREAM-ID") {
        Some(_) if !is_captions => INSTREAM_MEDIA,
        Some(id) if id.starts_with("SERVICE") => SERVICES,
        Some(_) | None => 1,
    }
}
