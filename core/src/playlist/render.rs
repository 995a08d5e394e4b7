//! The writer: one list, one text, byte for byte the same each time.

use super::attributes::{push_encoded, push_quotable};
use super::line::{HeadTag, SegmentLine, SegmentTag, Tag};
use super::number::{push_integer, push_seconds};
use super::version::required_version;
use super::{Key, Map, MediaPlaylist, PlaylistType, Segment, date_time};
use crate::limits;
use crate::time::Span;
use std::fmt::Write;
use std::sync::Arc;

/// Writes a media playlist (RFC 8216 4; rules S-05, S-29, S-32, S-34, S-63, S-64).
///
/// The numbers of the list are those of its fields: `media_sequence` is that of the first segment,
/// and the segments follow without holes. Always written are both sequence tags, the lowest version
/// that is enough, the offset of each byte range, and durations with six decimals: those are exact,
/// so that sums do not drift (rule S-28), and equal for equal durations, however the source wrote
/// them. Keys and init section are written where they change, and on the first segment. The date
/// of each segment that has one is written, in the source's own words where they still say it.
///
/// It cannot fail. What would break the text (control characters, a quote in a URI, a kept line
/// that would be taken for something else) is made harmless: encoded in URIs, a blank or a comment
/// elsewhere. Nothing that `parse` returns needs that, TABs excepted.
pub fn render(playlist: &MediaPlaylist) -> String {
    let mut out = String::with_capacity(256 + playlist.segments.len() * 160);
    write_head(&mut out, playlist);
    let mut state = Written {
        keys: &[],
        map: None,
        bit_rate: None,
    };
    let mut discontinuity_sequence = playlist.discontinuity_sequence;
    for segment in &playlist.segments {
        if segment.discontinuity {
            // Nearly always one. A source that repeats the tag counts each, and so do players.
            let count = segment
                .discontinuity_sequence
                .saturating_sub(discontinuity_sequence);
            write_segment(
                &mut out,
                segment,
                count.clamp(1, limits::LINES as u64),
                &mut state,
            );
        } else {
            write_segment(&mut out, segment, 0, &mut state);
        }
        discontinuity_sequence = segment.discontinuity_sequence;
    }
    for line in &playlist.tail {
        let is_misplaced = match Tag::of(line) {
            // What applies to the segment to come may stand there, but no segment does.
            Tag::Segment(tag) => tag == SegmentTag::ExtInf,
            tag @ (Tag::Uri
            | Tag::Header
            | Tag::Head(_)
            | Tag::HeadLine(_)
            | Tag::SegmentLine(_)
            | Tag::Multivariant(_)
            | Tag::Other) => is_owned(tag),
        };
        write_kept(&mut out, line, is_misplaced);
    }
    if playlist.end_list {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    out
}

/// The kept lines stand before the tags that every list has: what is unknown and stands before
/// those is read as playlist-level again.
fn write_head(out: &mut String, playlist: &MediaPlaylist) {
    out.push_str("#EXTM3U\n");
    write_number(out, "#EXT-X-VERSION:", required_version(playlist));
    for line in &playlist.head {
        // A playlist type that is not known is kept, and is no second one only while none is.
        let tag = Tag::of(line);
        let is_kept_type =
            tag == Tag::Head(HeadTag::PlaylistType) && playlist.playlist_type.is_none();
        write_kept(out, line, is_owned(tag) && !is_kept_type);
    }
    if playlist.independent_segments {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    match playlist.playlist_type {
        Some(PlaylistType::Event) => out.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
        Some(PlaylistType::Vod) => out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
        None => {}
    }
    if playlist.i_frames_only {
        out.push_str("#EXT-X-I-FRAMES-ONLY\n");
    }
    write_number(
        out,
        "#EXT-X-TARGETDURATION:",
        playlist.target_duration.rounded_secs().max(1),
    );
    write_number(out, "#EXT-X-MEDIA-SEQUENCE:", playlist.media_sequence);
    write_number(
        out,
        "#EXT-X-DISCONTINUITY-SEQUENCE:",
        playlist.discontinuity_sequence,
    );
}

/// What the segments written so far have left in force.
struct Written<'a> {
    keys: &'a [Key],
    map: Option<&'a Arc<Map>>,
    bit_rate: Option<u64>,
}

/// The block of one segment. The order is legal and the one that most players have seen: a KEY
/// before the MAP it encrypts, parts behind everything that applies to their segment.
fn write_segment<'a>(
    out: &mut String,
    segment: &'a Segment,
    discontinuities: u64,
    state: &mut Written<'a>,
) {
    let mut has_parts = false;
    for line in &segment.tags {
        let tag = Tag::of(line);
        if is_part(tag) {
            has_parts = true;
        } else {
            write_kept(out, line, is_owned(tag));
        }
    }
    for _ in 0..discontinuities {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    write_keys_and_map(out, segment, state);
    write_date_time(out, segment);
    if let Some(bit_rate) = segment.bit_rate.filter(|it| state.bit_rate != Some(*it)) {
        write_number(out, "#EXT-X-BITRATE:", bit_rate);
        state.bit_rate = Some(bit_rate);
    }
    if segment.gap {
        out.push_str("#EXT-X-GAP\n");
    }
    if has_parts {
        let parts = segment.tags.iter().filter(|line| is_part(Tag::of(line)));
        parts.for_each(|line| write_kept(out, line, false));
    }
    write_extinf(out, segment.duration, &segment.title);
    if let Some(range) = segment.byte_range {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "#EXT-X-BYTERANGE:{}@{}", range.length, range.offset);
    }
    write_uri(out, &segment.uri);
}

/// Parts stand right before the segment that they are of.
fn is_part(tag: Tag) -> bool {
    tag == Tag::SegmentLine(SegmentLine::Part)
}

/// Brings the keys and the init section in force to those of the segment. The keys of the MAP come
/// first where the MAP is written, since they may differ from those of the segment
/// (RFC 8216 4.3.2.4). A MAP cannot be taken back (RFC 8216 4.3.2.5): a segment without one behind
/// a segment with one is the caller's contradiction.
fn write_keys_and_map<'a>(out: &mut String, segment: &'a Segment, state: &mut Written<'a>) {
    let same_map = match (&segment.map, state.map) {
        (Some(map), Some(written)) => Arc::ptr_eq(map, written) || map == written,
        (Some(_), None) => false,
        (None, _) => true,
    };
    if let (Some(map), false) = (&segment.map, same_map) {
        write_keys(out, &map.keys, state);
        write_map(out, map);
        state.map = Some(map);
    }
    write_keys(out, &segment.keys, state);
}

/// States all keys when any has changed, so that a player which takes only the last block of keys
/// is right too. Where a key has gone or the order has changed, `METHOD=NONE` clears the way
/// (rule S-31).
fn write_keys<'a>(out: &mut String, keys: &'a [Key], state: &mut Written<'a>) {
    if std::ptr::eq(keys, state.keys) || keys == state.keys {
        return;
    }
    let keeps = keys.len() >= state.keys.len()
        && keys
            .iter()
            .zip(state.keys)
            .all(|(key, old)| key == old || key.keyformat() == old.keyformat());
    if !keeps {
        out.push_str("#EXT-X-KEY:METHOD=NONE\n");
    }
    for key in keys {
        out.push_str("#EXT-X-KEY:");
        out.push_str(key.attributes.as_str());
        out.push('\n');
    }
    state.keys = keys;
}

fn write_map(out: &mut String, map: &Map) {
    out.push_str("#EXT-X-MAP:URI=\"");
    push_quotable(out, &map.uri);
    out.push('"');
    if let Some(range) = map.byte_range {
        let _ = write!(out, ",BYTERANGE=\"{}@{}\"", range.length, range.offset);
    }
    if !map.attributes.is_empty() {
        out.push(',');
        out.push_str(map.attributes.as_str());
    }
    out.push('\n');
}

fn write_date_time(out: &mut String, segment: &Segment) {
    let Some(moment) = segment.date_time else {
        return;
    };
    let start = out.len();
    out.push_str("#EXT-X-PROGRAM-DATE-TIME:");
    let own = segment.date_time_text.as_deref();
    if let Some(text) = own.filter(|text| date_time::parse(text) == Some(moment)) {
        out.push_str(text);
    } else if !date_time::write(out, moment) {
        out.truncate(start);
        return;
    }
    out.push('\n');
}

fn write_extinf(out: &mut String, duration: Span, title: &str) {
    out.push_str("#EXTINF:");
    push_seconds(out, duration);
    out.push(',');
    write_blanked(out, title);
    out.push('\n');
}

fn write_number(out: &mut String, tag: &str, value: u64) {
    out.push_str(tag);
    push_integer(out, value);
    out.push('\n');
}

/// A URI line. Control characters are encoded, and so is what would make it blank, a comment, or
/// another URI. No resource has an empty URI; `.` keeps the line where it is.
pub(super) fn write_uri(out: &mut String, uri: &str) {
    let is_plain = |uri: &str| {
        !uri.starts_with(['#', ' ']) && !uri.ends_with(' ') && !uri.contains(char::is_control)
    };
    if uri.is_empty() {
        out.push('.');
    } else if is_plain(uri) {
        out.push_str(uri);
    } else {
        let last = uri.chars().count().saturating_sub(1);
        for (index, character) in uri.chars().enumerate() {
            let at_edge = character == ' ' && (index == 0 || index == last);
            if character.is_control() || at_edge || (index == 0 && character == '#') {
                push_encoded(out, character);
            } else {
                out.push(character);
            }
        }
    }
    out.push('\n');
}

/// A line that is kept as it came; as a comment where it would be taken for something else.
pub(super) fn write_kept(out: &mut String, line: &str, is_misplaced: bool) {
    if is_misplaced {
        out.push('#');
    } else if !line.starts_with('#') {
        out.push_str("# ");
    }
    write_blanked(out, line);
    out.push('\n');
}

/// Text with a blank in place of each control character (RFC 8216 4.1, rule S-63).
pub(super) fn write_blanked(out: &mut String, text: &str) {
    if text.contains(char::is_control) {
        out.extend(text.chars().map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        }));
    } else {
        out.push_str(text);
    }
}

/// Whether the writer has its own place for a tag, or a media playlist cannot have it, so that a
/// kept line must not be one. `parse` keeps no such line.
pub(super) fn is_owned(tag: Tag) -> bool {
    match tag {
        // A date, or a bit rate, that cannot be read has no other place than among the kept lines.
        Tag::Segment(tag) => !matches!(tag, SegmentTag::ProgramDateTime | SegmentTag::BitRate),
        Tag::Header | Tag::Head(_) | Tag::Multivariant(_) => true,
        Tag::Uri | Tag::HeadLine(_) | Tag::SegmentLine(_) | Tag::Other => false,
    }
}
