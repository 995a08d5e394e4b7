//! Streams without a container: what their own headers say, as RFC 6381 names it.

use super::Format;
use h264_reader::annexb::AnnexBReader;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal, UnitType};
use h264_reader::push::NalInterest;
use hls_relay_core::playlist::Resolution;
use std::sync::Arc;

/// The name of the first sequence parameter set of H.264 (ISO/IEC 14496-10 7.3.2.1), and the size of its
/// pictures.
pub(super) fn h264(stream: &[u8]) -> Option<Format> {
    let mut found = None;
    let mut reader = AnnexBReader::accumulate(|nal: RefNal<'_>| {
        let is_set = |header: h264_reader::nal::NalHeader| {
            header.nal_unit_type() == UnitType::SeqParameterSet
        };
        if found.is_some() || !nal.header().is_ok_and(is_set) {
            return NalInterest::Ignore;
        }
        if nal.is_complete() {
            found = SeqParameterSet::from_bits(nal.rbsp_bits()).ok();
        }
        NalInterest::Buffer
    });
    reader.push(stream);
    // What has come of the last one is all there is of it.
    reader.reset();
    let set = found?;
    let size = set.pixel_dimensions().ok();
    let resolution = size.map(|(width, height)| Resolution {
        width: width.into(),
        height: height.into(),
    });
    let name = set.rfc6381().to_string().to_ascii_lowercase();
    Some((name.into(), resolution))
}

/// The name of what begins here: AAC in ADTS (ISO/IEC 13818-7 6.2), MPEG audio (ISO/IEC 11172-3 2.4.1.3),
/// AC-3 or E-AC-3 (ETSI TS 102 366 4.3 and E.1.2).
pub(super) fn audio(stream: &[u8]) -> Option<Arc<str>> {
    let name = match *stream {
        [0x0b, 0x77, _, _, _, strategy, ..] => match strategy >> 3 {
            0..=10 => "ac-3".to_owned(),
            11..=16 => "ec-3".to_owned(),
            _ => return None,
        },
        [0xff, head, profile, ..] if head & 0xf0 == 0xf0 => match (head >> 1) & 3 {
            // The layer of ADTS is 0, and its profile counts from 0.
            0 => format!("mp4a.40.{}", (profile >> 6) + 1),
            // Object types 32 to 34 of MPEG-4 are layers 1 to 3, and the field counts down.
            layer => format!("mp4a.40.{}", 35 - layer),
        },
        _ => return None,
    };
    Some(name.into())
}

/// The same, from the first place where one can begin.
pub(super) fn audio_within(stream: &[u8]) -> Option<Arc<str>> {
    (0..stream.len()).find_map(|at| audio(&stream[at..]))
}

/// Without the ID3 tags in front, as packed audio has them for its time (RFC 8216 3.4).
pub(super) fn behind_id3(mut bytes: &[u8]) -> &[u8] {
    while let [b'I', b'D', b'3', _, _, flags, a, b, c, d, rest @ ..] = bytes {
        let seven_bits = [a, b, c, d].map(|it| usize::from(it & 0x7f));
        let length = seven_bits.iter().fold(0, |sum, it| sum << 7 | it);
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        bytes = rest.get(length + footer..).unwrap_or_default();
    }
    bytes
}
