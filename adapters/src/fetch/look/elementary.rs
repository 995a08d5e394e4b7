//! Streams without a container: what their own headers say, as RFC 6381 names it.

use super::Format;
use h264_reader::annexb::AnnexBReader;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal, UnitType};
use h264_reader::push::NalInterest;
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};
use hls_relay_core::playlist::Resolution;
use std::num::NonZeroUsize;
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

/// The same of H.265 (ISO/IEC 23008-2 7.3.2.2). Its name is that of parameter sets which stand apart, though
/// here they stand in the stream: players that take H.265 out of transport streams put them there.
pub(super) fn h265(stream: &[u8]) -> Option<Format> {
    const SEQUENCE_PARAMETER_SET: u8 = 33;
    let starts = memchr::memmem::find_iter(stream, b"\0\0\x01");
    let mut units = starts.map(|at| &stream[at + 3..]);
    let is_set = |unit: &&[u8]| {
        let kind = unit.first().map(|header| header >> 1 & 0x3f);
        kind == Some(SEQUENCE_PARAMETER_SET)
    };
    let unit = units.find(is_set)?;
    let end = memchr::memmem::find(unit, b"\0\0\x01").unwrap_or(unit.len());
    let (general, resolution) = h265_set(&unit[..end])?;
    Some((format!("hvc1.{}", hevc_profile(general)).into(), resolution))
}

/// Of a sequence parameter set the twelve bytes that tell its profile, tier and level, and the size of the
/// pictures.
fn h265_set(unit: &[u8]) -> Option<([u8; 12], Option<Resolution>)> {
    let header = NonZeroUsize::new(2)?;
    let mut bits = BitReader::new(ByteReader::skipping_bytes(unit, header));
    bits.skip(4, "sps_video_parameter_set_id").ok()?;
    let sub_layers = bits.read::<3, u32>("sps_max_sub_layers_minus1").ok()?;
    bits.skip(1, "sps_temporal_id_nesting_flag").ok()?;
    let mut general = [0; 12];
    for byte in &mut general {
        *byte = bits.read::<8, u8>("general_profile_tier_level").ok()?;
    }
    Some((general, h265_size(&mut bits, sub_layers)))
}

/// Goes on behind the general profile; nothing where the set breaks off.
fn h265_size(bits: &mut impl BitRead, sub_layers: u32) -> Option<Resolution> {
    let mut of_sub_layers = 0;
    for _ in 0..sub_layers {
        let profile = bits.read_bit("sub_layer_profile_present_flag").ok()?;
        let level = bits.read_bit("sub_layer_level_present_flag").ok()?;
        of_sub_layers += u32::from(profile) * 88 + u32::from(level) * 8;
    }
    if sub_layers > 0 {
        // There is room for eight of them.
        bits.skip((8 - sub_layers) * 2, "reserved_zero_2bits")
            .ok()?;
    }
    bits.skip(of_sub_layers, "sub_layer_profile_tier_level")
        .ok()?;
    bits.read_ue("sps_seq_parameter_set_id").ok()?;
    let chroma = bits.read_ue("chroma_format_idc").ok()?;
    if chroma == 3 {
        bits.skip(1, "separate_colour_plane_flag").ok()?;
    }
    let width = u64::from(bits.read_ue("pic_width_in_luma_samples").ok()?);
    let height = u64::from(bits.read_ue("pic_height_in_luma_samples").ok()?);
    // What is cut off at each side, in samples of the chroma.
    let mut cut = [0; 4];
    if bits.read_bit("conformance_window_flag").ok()? {
        for side in &mut cut {
            *side = u64::from(bits.read_ue("conf_win_offset").ok()?);
        }
    }
    let [left, right, top, bottom] = cut;
    let across = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let down = if chroma == 1 { 2 } else { 1 };
    Some(Resolution {
        width: width.checked_sub(across * (left + right))?,
        height: height.checked_sub(down * (top + bottom))?,
    })
}

/// Profile, compatibility, level and constraints of H.265 as ISO/IEC 14496-15 E.3 names them.
pub(super) fn hevc_profile(general: [u8; 12]) -> String {
    let [profile, a, b, c, d, constraints @ .., level] = general;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatible = u32::from_be_bytes([a, b, c, d]).reverse_bits();
    let used = constraints
        .iter()
        .rposition(|it| *it != 0)
        .map_or(0, |at| at + 1);
    let constraints = constraints[..used].iter();
    let constraints: String = constraints.map(|it| format!(".{it:X}")).collect();
    let profile = profile & 0x1f;
    format!("{space}{profile}.{compatible:X}.{tier}{level}{constraints}")
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
