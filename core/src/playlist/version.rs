//! The lowest `EXT-X-VERSION` that a list needs (RFC 8216 7, draft bis 8, rule S-29).

use super::line::{HeadLine, Line, SegmentTag, Tag};
use super::{AttributeList, Key, MediaPlaylist};
use std::sync::Arc;

const INITIALIZATION_VECTOR: u64 = 2;
/// `EXTINF` with decimals.
pub(super) const DECIMALS: u64 = 3;
const BYTE_RANGES: u64 = 4;
const KEY_FORMATS: u64 = 5;
const MAP_IN_I_FRAMES: u64 = 5;
const MAP: u64 = 6;
const VARIABLES: u64 = 8;
const QUERY_VARIABLES: u64 = 11;

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
        Tag::Uri
        | Tag::Header
        | Tag::Head(_)
        | Tag::HeadLine(_)
        | Tag::Segment(_)
        | Tag::SegmentLine(_)
        | Tag::Multivariant(_)
        | Tag::Other => 1,
    }
}
