//! The only use of m3u8-rs: it says what the lines of a body are, and loses none of them.
//!
//! The crate drops comments, everything behind the last URI, all but the last of several equal
//! tags, and turns the rest of a value it cannot read into a segment. So it is shown only what it
//! cannot mangle: playlist-level tags with values that were checked, every other tag behind an
//! unknown name, every URI behind a letter, and one URI more at the end, to which what stands behind
//! the last one belongs. It is shown pieces of the body, since it takes 50 times their size. What it
//! answers is compared with what it was shown, line by line; where the two differ the body is
//! refused, never guessed at.

use super::PlaylistType;
use super::error::PlaylistError;
use super::head::Head;
use super::line::{HeadTag, Line, Tag};
use std::fmt::Write;

/// Pieces have at most so many lines and about so many bytes: some 2 MB while they are read.
const PIECE_LINES: usize = 512;
const PIECE_BYTES: usize = 64 * 1024;

const ESCAPE: &str = "#EXT-Z:";
const ESCAPE_NAME: &str = "Z";
const URI_PREFIX: char = 'u';
const SENTINEL: &str = "u";

/// Hands each line that is not a typed playlist-level tag to `take`, in order, once the crate has
/// read it as what it is.
pub(super) fn read<'a>(
    lines: &[Line<'a>],
    head: &Head,
    mut take: impl FnMut(&Line<'a>) -> Result<(), PlaylistError>,
) -> Result<(), PlaylistError> {
    let bytes: usize = lines
        .iter()
        .map(|line| line.text.len() + ESCAPE.len() + 1)
        .sum();
    let mut text = String::with_capacity(bytes.min(2 * PIECE_BYTES));
    let mut rest = lines;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(piece_length(rest));
        rest = behind;
        write_piece(&mut text, piece, head);
        let line = piece[0].number;
        let (unread, answer) = m3u8_rs::parse_media_playlist(text.as_bytes())
            .map_err(|_| PlaylistError::ReadersDisagree { line })?;
        if !unread.is_empty() || !head_agrees(&answer, piece, head) {
            return Err(PlaylistError::ReadersDisagree { line });
        }
        compare(&answer, piece, head, &mut take)?;
    }
    Ok(())
}

fn piece_length(lines: &[Line<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |line: &&Line<'_>| {
        bytes += line.text.len();
        bytes <= PIECE_BYTES
    };
    lines
        .iter()
        .take(PIECE_LINES)
        .take_while(fits)
        .count()
        .max(1)
}

fn write_piece(text: &mut String, piece: &[Line<'_>], head: &Head) {
    text.clear();
    text.push_str("#EXTM3U\n");
    for line in piece {
        match shown_typed(line, head) {
            Some(tag) => write_typed(text, tag, head),
            None if line.tag == Tag::Uri => {
                text.push(URI_PREFIX);
                text.push_str(line.text);
            }
            None => {
                text.push_str(ESCAPE);
                text.push_str(line.text);
            }
        }
        text.push('\n');
    }
    text.push_str(SENTINEL);
    text.push('\n');
}

/// The tag that a line is shown as. A playlist type that is not known is shown, and kept, like any
/// other unknown line.
fn shown_typed(line: &Line<'_>, head: &Head) -> Option<HeadTag> {
    match line.tag {
        Tag::Head(HeadTag::PlaylistType) if head.playlist_type.is_none() => None,
        Tag::Head(tag) => Some(tag),
        Tag::Uri
        | Tag::Header
        | Tag::HeadLine(_)
        | Tag::Segment(_)
        | Tag::SegmentLine(_)
        | Tag::Multivariant(_)
        | Tag::Other => None,
    }
}

/// A playlist-level tag as its value was understood. Writing to a String cannot fail.
fn write_typed(text: &mut String, tag: HeadTag, head: &Head) {
    let number = match tag {
        HeadTag::Version => ("#EXT-X-VERSION:", head.version),
        HeadTag::TargetDuration => (
            "#EXT-X-TARGETDURATION:",
            head.target_duration.map(|target| target.rounded_secs()),
        ),
        HeadTag::MediaSequence => ("#EXT-X-MEDIA-SEQUENCE:", head.media_sequence),
        HeadTag::DiscontinuitySequence => (
            "#EXT-X-DISCONTINUITY-SEQUENCE:",
            head.discontinuity_sequence,
        ),
        HeadTag::PlaylistType => match head.playlist_type {
            Some(PlaylistType::Event) => ("#EXT-X-PLAYLIST-TYPE:EVENT", None),
            Some(PlaylistType::Vod) | None => ("#EXT-X-PLAYLIST-TYPE:VOD", None),
        },
        HeadTag::IFramesOnly => ("#EXT-X-I-FRAMES-ONLY", None),
        HeadTag::IndependentSegments => ("#EXT-X-INDEPENDENT-SEGMENTS", None),
        HeadTag::EndList => ("#EXT-X-ENDLIST", None),
    };
    text.push_str(number.0);
    if let Some(value) = number.1 {
        let _ = write!(text, "{value}");
    }
}

/// Whether the crate found the playlist-level tags of a piece, and only those, with our values.
fn head_agrees(answer: &m3u8_rs::MediaPlaylist, piece: &[Line<'_>], head: &Head) -> bool {
    let shown: Vec<HeadTag> = piece
        .iter()
        .filter_map(|line| shown_typed(line, head))
        .collect();
    let has = |tag: HeadTag| shown.contains(&tag);
    let number = |tag: HeadTag, value: Option<u64>| value.filter(|_| has(tag)).unwrap_or_default();
    let playlist_type = match &answer.playlist_type {
        Some(m3u8_rs::MediaPlaylistType::Event) => Some(PlaylistType::Event),
        Some(m3u8_rs::MediaPlaylistType::Vod) => Some(PlaylistType::Vod),
        Some(m3u8_rs::MediaPlaylistType::Other(_)) => return false,
        None => None,
    };
    let target_secs = head.target_duration.map(|target| target.rounded_secs());
    let discontinuity_sequence =
        number(HeadTag::DiscontinuitySequence, head.discontinuity_sequence);
    answer.version.map(|version| version as u64)
        == has(HeadTag::Version).then_some(head.version.unwrap_or_default())
        && answer.target_duration == number(HeadTag::TargetDuration, target_secs)
        && answer.media_sequence == number(HeadTag::MediaSequence, head.media_sequence)
        && answer.discontinuity_sequence == discontinuity_sequence
        && playlist_type == head.playlist_type.filter(|_| has(HeadTag::PlaylistType))
        && answer.i_frames_only == has(HeadTag::IFramesOnly)
        && answer.independent_segments == has(HeadTag::IndependentSegments)
        && answer.end_list == has(HeadTag::EndList)
}

/// Walks through the answer of the crate and the lines of a piece side by side.
fn compare<'a>(
    answer: &m3u8_rs::MediaPlaylist,
    piece: &[Line<'a>],
    head: &Head,
    take: &mut impl FnMut(&Line<'a>) -> Result<(), PlaylistError>,
) -> Result<(), PlaylistError> {
    let mut expected = piece
        .iter()
        .filter(|line| shown_typed(line, head).is_none());
    let last = piece[piece.len() - 1].number;
    for (index, segment) in answer.segments.iter().enumerate() {
        for tag in &segment.unknown_tags {
            let line = expected
                .next()
                .ok_or(PlaylistError::ReadersDisagree { line: last })?;
            if tag.tag != ESCAPE_NAME || tag.rest.as_deref() != Some(line.text) {
                return Err(PlaylistError::ReadersDisagree { line: line.number });
            }
            take(line)?;
        }
        if index + 1 == answer.segments.len() {
            break;
        }
        let line = expected
            .next()
            .ok_or(PlaylistError::ReadersDisagree { line: last })?;
        if line.tag != Tag::Uri || segment.uri.strip_prefix(URI_PREFIX) != Some(line.text) {
            return Err(PlaylistError::ReadersDisagree { line: line.number });
        }
        take(line)?;
    }
    let sentinel = answer
        .segments
        .last()
        .is_some_and(|segment| segment.uri == SENTINEL);
    match expected.next() {
        Some(line) => Err(PlaylistError::ReadersDisagree { line: line.number }),
        None if !sentinel => Err(PlaylistError::ReadersDisagree { line: last }),
        None => Ok(()),
    }
}
