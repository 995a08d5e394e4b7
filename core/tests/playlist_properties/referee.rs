//! Two other parsers read the same text: quick-m3u8, line by line, what we read; m3u8-rs, as it is
//! without our guard, what we wrote.

use hls_relay_core::playlist::{FlawKind, MediaPlaylist, render};
use hls_relay_core::time::Span;
use proptest::prelude::*;
use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::{KnownTag, hls};
use quick_m3u8::{HlsLine, Reader};

/// What both parsers say about one segment.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    uri: String,
    seconds: String,
    title: String,
    range_length: Option<u64>,
    range_offset: Option<u64>,
    discontinuity: bool,
    gap: bool,
    key: Option<String>,
    map: Option<String>,
}

/// Flaws that another parser has no reason to stumble over.
const HARMLESS: [FlawKind; 4] = [
    FlawKind::NoFinalNewline,
    FlawKind::VersionTooLow,
    FlawKind::LongerThanTarget,
    FlawKind::ExtinfWithoutUri,
];

/// Compares our reading of a body with that of quick-m3u8, where nothing had to be forgiven.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are of another crate"
)]
pub(crate) fn check_reading(body: &[u8], playlist: &MediaPlaylist) -> Result<(), TestCaseError> {
    if playlist
        .flaws
        .iter()
        .any(|flaw| !HARMLESS.contains(&flaw.kind))
    {
        return Ok(());
    }
    let text = std::str::from_utf8(body).expect("accepted text is UTF-8");
    if text.lines().any(|line| line.trim_end() == "#EXT") || text.ends_with('\r') {
        // quick-m3u8 stops at a tag without a name, which is a comment for us, and keeps a CR whose
        // LF was cut off.
        return Ok(());
    }
    let options = ParsingOptionsBuilder::new()
        .with_parsing_for_all_tags()
        .build();
    let mut reader = Reader::from_str(text, options);
    let mut segments = Vec::new();
    let mut next = Seen::default();
    let (mut media_sequence, mut discontinuity_sequence) = (0, 0);
    let (mut target, mut end_list) = (None, false);
    loop {
        let line = match reader.read_line() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                return Err(TestCaseError::fail(format!("quick-m3u8: {error}\n{text}")));
            }
        };
        match line {
            // It takes a line of blanks for a URI; RFC 8216 4.1 calls it blank.
            HlsLine::Uri(uri) if uri.trim_matches([' ', '\t']).is_empty() => {}
            HlsLine::Uri(uri) => {
                next.uri = uri.into_owned();
                let (key, map) = (next.key.clone(), next.map.clone());
                segments.push(std::mem::replace(
                    &mut next,
                    Seen {
                        key,
                        map,
                        ..Seen::default()
                    },
                ));
            }
            HlsLine::KnownTag(KnownTag::Hls(tag)) => match tag {
                hls::Tag::MediaSequence(tag) => media_sequence = tag.media_sequence(),
                hls::Tag::DiscontinuitySequence(tag) => {
                    discontinuity_sequence = tag.discontinuity_sequence();
                }
                hls::Tag::Targetduration(tag) => target = Some(tag.target_duration()),
                hls::Tag::Endlist(_) => end_list = true,
                tag => take_segment_tag(&mut next, &tag),
            },
            _ => {}
        }
    }
    prop_assert_eq!(media_sequence, playlist.media_sequence);
    prop_assert_eq!(discontinuity_sequence, playlist.discontinuity_sequence);
    prop_assert_eq!(target.map(Span::from_secs), Some(playlist.target_duration));
    prop_assert_eq!(end_list, playlist.end_list);
    let ours: Vec<Seen> = playlist.segments.iter().zip(&segments).map(ours).collect();
    prop_assert_eq!(playlist.segments.len(), segments.len());
    prop_assert_eq!(segments, ours, "reading\n{}", text);
    Ok(())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are of another crate"
)]
fn take_segment_tag(next: &mut Seen, tag: &hls::Tag<'_>) {
    match tag {
        hls::Tag::Inf(tag) => {
            // Formatting a float is exact to the sixth decimal here; no arithmetic is done with it.
            next.seconds = format!("{:.6}", tag.duration());
            next.title = tag.title().to_owned();
        }
        hls::Tag::Byterange(tag) => {
            next.range_length = Some(tag.length());
            next.range_offset = tag.offset();
        }
        hls::Tag::Discontinuity(_) => next.discontinuity = true,
        hls::Tag::Gap(_) => next.gap = true,
        hls::Tag::Key(tag) => next.key = tag.uri().map(str::to_owned),
        hls::Tag::Map(tag) => next.map = Some(tag.uri().to_owned()),
        _ => {}
    }
}

/// Our segment in the same terms. What quick-m3u8 leaves to its user is taken over from it: an
/// offset that was not written, and which of several keys stood last.
fn ours((segment, seen): (&hls_relay_core::playlist::Segment, &Seen)) -> Seen {
    let micros = segment.duration.as_micros();
    let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    // What is below a half second stays below it for us, whatever its seventh decimal.
    let is_below_half =
        seconds.ends_with(".499999") && seen.seconds == seconds.replace(".499999", ".500000");
    let is_in_force = |uri: &str| segment.keys.iter().any(|key| key.uri() == Some(uri));
    let key = match &seen.key {
        Some(uri) if is_in_force(uri) => Some(uri.clone()),
        Some(_) => Some("not in force".to_owned()),
        None => segment
            .keys
            .first()
            .and_then(|key| key.uri())
            .map(str::to_owned),
    };
    Seen {
        uri: segment.uri.to_string(),
        seconds: if is_below_half {
            seen.seconds.clone()
        } else {
            seconds
        },
        title: segment.title.to_string(),
        range_length: segment.byte_range.map(|range| range.length),
        range_offset: segment
            .byte_range
            .map(|range| range.offset)
            .filter(|_| seen.range_offset.is_some()),
        discontinuity: segment.discontinuity,
        gap: segment.gap,
        key,
        map: segment.map.as_ref().map(|map| map.uri.to_string()),
    }
}

/// Lets m3u8-rs read what we write. Titles are left out, since it takes what stands behind a comma
/// in one for a URI.
pub(crate) fn check_writing(playlist: &MediaPlaylist) -> Result<(), TestCaseError> {
    let mut playlist = playlist.clone();
    for segment in &mut playlist.segments {
        segment.title = "".into();
    }
    let written = render(&playlist);
    let (rest, read) = m3u8_rs::parse_media_playlist(written.as_bytes())
        .map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
    prop_assert!(rest.is_empty(), "unread: {:?}\n{}", rest, written);
    prop_assert_eq!(
        read.target_duration,
        playlist.target_duration.rounded_secs()
    );
    prop_assert_eq!(read.media_sequence, playlist.media_sequence);
    prop_assert_eq!(read.discontinuity_sequence, playlist.discontinuity_sequence);
    prop_assert_eq!(read.end_list, playlist.end_list);
    prop_assert_eq!(read.i_frames_only, playlist.i_frames_only);
    prop_assert_eq!(read.independent_segments, playlist.independent_segments);
    prop_assert_eq!(read.segments.len(), playlist.segments.len(), "{}", written);
    for (theirs, ours) in read.segments.iter().zip(&playlist.segments) {
        prop_assert_eq!(&*theirs.uri, &*ours.uri, "{}", written);
        prop_assert_eq!(theirs.discontinuity, ours.discontinuity);
        let range = theirs
            .byte_range
            .as_ref()
            .map(|range| (range.length, range.offset));
        prop_assert_eq!(
            range,
            ours.byte_range
                .map(|range| (range.length, Some(range.offset)))
        );
        // It drops METHOD=NONE, and knows a key only on the segment where it is written.
        if let Some(key) = theirs.key.as_ref().filter(|_| !ours.keys.is_empty()) {
            let last = ours.keys.last().and_then(|key| key.uri());
            prop_assert_eq!(key.uri.as_deref(), last, "{}", written);
        }
        if let Some(map) = &theirs.map {
            prop_assert_eq!(Some(&*map.uri), ours.map.as_ref().map(|map| &*map.uri));
        }
        let unread = theirs
            .unknown_tags
            .iter()
            .find(|tag| tag.tag == "X-MAP" || tag.tag == "X-BYTERANGE");
        prop_assert!(unread.is_none(), "{:?}\n{}", unread, written);
    }
    Ok(())
}
