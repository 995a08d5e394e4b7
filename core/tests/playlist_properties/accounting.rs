//! Every line of an accepted media playlist is a field of the model, is kept as it came in its
//! place, or was named as a flaw.

use hls_relay_core::playlist::{FlawKind, MediaPlaylist, Segment};
use proptest::prelude::*;

/// How far the lists of kept lines have been found in the body.
struct Found {
    head: usize,
    segments: usize,
    tags: usize,
    tail: usize,
}

pub(crate) fn check(body: &[u8], playlist: &MediaPlaylist) -> Result<(), TestCaseError> {
    let text = std::str::from_utf8(body).expect("accepted text is UTF-8");
    let mut found = Found {
        head: 0,
        segments: 0,
        tags: 0,
        tail: 0,
    };
    for raw in text.split('\n').skip(1) {
        let line = raw.strip_suffix('\r').unwrap_or(raw);
        let trimmed = line.trim_matches([' ', '\t']);
        if trimmed.is_empty() {
            continue;
        }
        if trimmed.starts_with('#') {
            let is_found = found.take_tag(line, playlist);
            prop_assert!(
                is_found,
                "lost: {:?} of\n{}\nin {:#?}",
                line,
                text,
                playlist
            );
        } else {
            let segment = playlist.segments.get(found.segments);
            prop_assert_eq!(
                segment.map(|segment| &*segment.uri),
                Some(trimmed),
                "of\n{}",
                text
            );
            prop_assert_eq!(segment.map(|segment| segment.tags.len()), Some(found.tags));
            found.segments += 1;
            found.tags = 0;
        }
    }
    prop_assert_eq!(
        found.segments,
        playlist.segments.len(),
        "segments from nowhere in\n{}",
        text
    );
    prop_assert_eq!(
        found.tail,
        playlist.tail.len(),
        "lines from nowhere in\n{}",
        text
    );
    prop_assert_eq!(
        found.head,
        playlist.head.len(),
        "lines from nowhere in\n{}",
        text
    );
    Ok(())
}

impl Found {
    /// Whether the next tag of the body is where it should be.
    fn take_tag(&mut self, line: &str, playlist: &MediaPlaylist) -> bool {
        let has = |kind: FlawKind| playlist.flaws.iter().any(|flaw| flaw.kind == kind);
        let end = line.find([':', ' ', '\t']).unwrap_or(line.len());
        let value = line.get(end + 1..).unwrap_or("").trim_matches([' ', '\t']);
        let segment = playlist.segments.get(self.segments);
        match (&line[1..end], segment) {
            // What it defines stands where it is referred to.
            ("EXT-X-DEFINE", _) => true,
            ("EXTM3U", _) => has(FlawKind::RepeatedHeader),
            ("EXT-X-VERSION", _) => number(value) == playlist.version,
            ("EXT-X-TARGETDURATION", _) => true,
            ("EXT-X-MEDIA-SEQUENCE", _) => number(value) == Some(playlist.media_sequence),
            ("EXT-X-DISCONTINUITY-SEQUENCE", _) => {
                number(value) == Some(playlist.discontinuity_sequence)
            }
            ("EXT-X-PLAYLIST-TYPE", _) if playlist.playlist_type.is_some() => true,
            ("EXT-X-ENDLIST", _) => playlist.end_list,
            ("EXT-X-I-FRAMES-ONLY", _) => playlist.i_frames_only,
            ("EXT-X-INDEPENDENT-SEGMENTS", _) => playlist.independent_segments,
            ("EXTINF", None) => has(FlawKind::ExtinfWithoutUri),
            ("EXTINF", Some(segment)) => line.ends_with(&*segment.title),
            ("EXT-X-DISCONTINUITY", Some(segment)) => segment.discontinuity,
            ("EXT-X-GAP", Some(segment)) => segment.gap,
            ("EXT-X-BYTERANGE", Some(segment)) => segment.byte_range.is_some_and(|range| {
                number(value.split('@').next().unwrap_or("")) == Some(range.length)
            }),
            ("EXT-X-KEY", Some(segment)) => has(FlawKind::UnusedTag) || is_key_of(value, segment),
            ("EXT-X-MAP", Some(segment)) => {
                let map = segment.map.as_ref();
                has(FlawKind::UnusedTag) || map.is_some_and(|map| value.contains(&*map.uri))
            }
            ("EXT-X-BITRATE", Some(segment)) if value.parse::<u64>().is_ok() => {
                let says = segment.bit_rate.is_none_or(|it| number(value) == Some(it));
                // What is in force is said again, before another one takes its place.
                let before = playlist.segments[..self.segments].iter();
                let in_force = before.rev().find_map(|it| it.bit_rate);
                says || in_force == number(value) || has(FlawKind::UnusedTag)
            }
            ("EXT-X-PROGRAM-DATE-TIME", Some(segment))
                if segment.date_time_text.as_deref() == Some(value) =>
            {
                true
            }
            _ => self.take_kept(line, playlist) || has(FlawKind::RepeatedTag),
        }
    }

    /// A line that is kept as it came: the next one of the head, or of its segment, or of the tail.
    fn take_kept(&mut self, line: &str, playlist: &MediaPlaylist) -> bool {
        let is_next = |lines: &[std::sync::Arc<str>], index: usize| {
            lines.get(index).is_some_and(|next| **next == *line)
        };
        if is_next(&playlist.head, self.head) {
            self.head += 1;
            return true;
        }
        match playlist.segments.get(self.segments) {
            Some(segment) if is_next(&segment.tags, self.tags) => {
                self.tags += 1;
                true
            }
            None if is_next(&playlist.tail, self.tail) => {
                self.tail += 1;
                true
            }
            _ => false,
        }
    }
}

/// A number as the flawed forms that are forgiven have it.
fn number(text: &str) -> Option<u64> {
    text.split('.').next()?.trim().parse().ok()
}

/// Whether a KEY line left its mark: the key is in force at the segment or at its MAP, or it ended
/// all others.
fn is_key_of(value: &str, segment: &Segment) -> bool {
    let map_keys = segment.map.iter().flat_map(|map| map.keys.iter());
    let mut keys = segment.keys.iter().chain(map_keys);
    let says = |part: &str| value.contains(part);
    keys.any(|key| says(key.method()) && key.uri().is_some_and(says)) || says("NONE")
}
