//! Media of a later round of the loop: its times go on where those of the round before ended. Players
//! lose their way where the times of fragmented MP4 or of WebVTT begin again, and packagers don't let
//! them.

use hls_relay_core::time::Span;
use std::collections::BTreeMap;
use std::ops::Range;

/// The boxes that only hold others (ISO/IEC 14496-12).
const CONTAINERS: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"moof", b"traf"];

/// Fragmented MP4 whose times are so much later. What its tracks count in stands in the init section.
pub fn fragments(mut media: Vec<u8>, init: &[u8], by: Span) -> Vec<u8> {
    let timescales = timescales(init);
    let mut track = 0;
    for (kind, at) in boxes(&media) {
        // The time itself follows a version and flags, and in an index its track and timescale.
        let (timescale, time) = match &kind {
            b"tfhd" => {
                track = number(&media[at.start + 4..]);
                continue;
            }
            b"tfdt" => (timescales[&track], at.start + 4),
            b"sidx" => (number(&media[at.start + 8..]), at.start + 12),
            _ => continue,
        };
        assert_eq!(
            media[at.start], 1,
            "times of 64 bits, as ffmpeg writes them"
        );
        let field: &mut [u8; 8] = media[time..].first_chunk_mut().unwrap();
        *field = (u64::from_be_bytes(*field) + ticks(by, timescale)).to_be_bytes();
    }
    media
}

/// WebVTT whose cues are so much later.
pub fn subtitles(text: &str, by: Span) -> String {
    let mapped = format!("MPEGTS:{}", ticks(by, 90_000));
    assert!(text.contains("MPEGTS:0,"), "the first round begins at 0");
    text.replacen("MPEGTS:0", &mapped, 1)
}

/// What each track counts in, in ticks a second.
fn timescales(init: &[u8]) -> BTreeMap<u32, u32> {
    let mut found = BTreeMap::new();
    let mut track = 0;
    for (kind, at) in boxes(init) {
        match &kind {
            b"tkhd" => track = number(&init[at.start + 12..]),
            b"mdhd" => drop(found.insert(track, number(&init[at.start + 12..]))),
            _ => {}
        }
    }
    found
}

/// All boxes in their order, those within others too, and where their contents are.
fn boxes(bytes: &[u8]) -> Vec<([u8; 4], Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 8 <= bytes.len() {
        let kind = *bytes[at + 4..].first_chunk().unwrap();
        let end = at + number(&bytes[at..]) as usize;
        found.push((kind, at + 8..end));
        at = if CONTAINERS.contains(&&kind) {
            at + 8
        } else {
            end
        };
    }
    found
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(*bytes.first_chunk().unwrap())
}

/// To the nearest.
fn ticks(span: Span, timescale: u32) -> u64 {
    (span.as_micros() * u64::from(timescale) + 500_000) / 1_000_000
}
