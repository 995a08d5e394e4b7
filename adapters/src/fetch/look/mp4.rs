//! Fragmented MP4: the sample entries in `moov` (ISO/IEC 14496-12), named by RFC 6381 and by what its
//! successors say of each format.
//!
//! Written by hand, as only a fixed path of boxes and a few bytes at its end are wanted, and the readers that
//! there are read boxes within boxes for as long as a stranger nests them.

use super::elementary;
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::playlist::Resolution;
use std::sync::Arc;

/// Where the children of a sample entry begin.
const BEHIND_VISUAL: usize = 78;
const BEHIND_AUDIO: [usize; 3] = [28, 44, 64];

pub(super) fn is_one(bytes: &[u8]) -> bool {
    const FIRST: [&[u8]; 7] = [
        b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"free",
    ];
    bytes.get(4..8).is_some_and(|kind| FIRST.contains(&kind))
}

/// The formats of all tracks that need a decoder, in their order.
pub(super) fn formats(bytes: &[u8]) -> Result<Formats, Unreadable> {
    let none = || Unreadable::Beginning("there is no moov box".into());
    let moov = child(bytes, b"moov").ok_or_else(none)?;
    let mut formats = Formats::default();
    for (_, track) in boxes(moov).filter(|(kind, _)| *kind == b"trak") {
        let path = [b"mdia", b"minf", b"stbl", b"stsd"];
        let found = path
            .iter()
            .try_fold(track, |inside, kind| child(inside, kind));
        // Behind a version, flags and a number of entries.
        let entries = found.and_then(|it| it.get(8..));
        let broken = || Unreadable::Broken("a track without a sample entry".into());
        let (kind, entry) = entries.and_then(|it| boxes(it).next()).ok_or_else(broken)?;
        if is_data(kind) {
            continue;
        }
        let name = name(kind, entry).ok_or_else(|| {
            let kind = kind.escape_ascii().to_string();
            Unreadable::Format(kind.into())
        })?;
        if !formats.codecs.contains(&name) {
            formats.codecs.push(name);
        }
        if is_picture(kind) && formats.resolution.is_none() {
            formats.resolution = size(entry);
        }
    }
    match formats.codecs.is_empty() {
        true => Err(Unreadable::Broken("moov has no tracks".into())),
        false => Ok(formats),
    }
}

/// The boxes that stand here one after the other, up to the first that does not fit.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = match u32::from_be_bytes(*size) {
            0 => (rest.len(), rest),
            1 => {
                let (size, rest) = rest.split_first_chunk::<8>()?;
                let length = u64::from_be_bytes(*size).checked_sub(16)?;
                (usize::try_from(length).ok()?, rest)
            }
            size => (usize::try_from(size.checked_sub(8)?).ok()?, rest),
        };
        let (body, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        Some((kind, body))
    })
}

fn child<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    let mut boxes = boxes(bytes);
    boxes.find_map(|(kind, body)| (kind == wanted).then_some(body))
}

/// What is for programs and not for players.
fn is_data(kind: &[u8; 4]) -> bool {
    const DATA: [&[u8; 4]; 6] = [b"mett", b"metx", b"urim", b"evte", b"mebx", b"tmcd"];
    DATA.contains(&kind)
}

fn is_picture(kind: &[u8; 4]) -> bool {
    const PICTURES: [&[u8; 4]; 7] = [
        b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp08", b"vp09",
    ];
    PICTURES.contains(&kind)
}

fn size(entry: &[u8]) -> Option<Resolution> {
    let size: &[u8; 4] = entry.get(24..)?.first_chunk()?;
    let [width, height] = [[size[0], size[1]], [size[2], size[3]]].map(u16::from_be_bytes);
    (width > 0 && height > 0).then(|| Resolution {
        width: width.into(),
        height: height.into(),
    })
}

fn name(kind: &[u8; 4], entry: &[u8]) -> Option<Arc<str>> {
    let four = str::from_utf8(kind).ok()?;
    let visual = |config| child(entry.get(BEHIND_VISUAL..)?, config);
    let name = match kind {
        b"avc1" | b"avc3" => {
            let [_, profile, flags, level] = visual(b"avcC")?.first_chunk()?;
            format!("{four}.{profile:02x}{flags:02x}{level:02x}")
        }
        b"hvc1" | b"hev1" => format!("{four}.{}", hevc(visual(b"hvcC")?)?),
        b"av01" => {
            let [_, profile, flags] = visual(b"av1C")?.first_chunk()?;
            let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
            let bits = match flags & 0x60 {
                0 => 8,
                0x40 => 10,
                _ => 12,
            };
            let (profile, level) = (profile >> 5, profile & 0x1f);
            format!("av01.{profile}.{level:02}{tier}.{bits:02}")
        }
        b"vp08" | b"vp09" => {
            // Behind a version and flags.
            let [profile, level, bits] = visual(b"vpcC")?.get(4..)?.first_chunk()?;
            format!("{four}.{profile:02}.{level:02}.{:02}", bits >> 4)
        }
        b"mp4a" => {
            let version = usize::from(*entry.get(9)?);
            let children = entry.get(*BEHIND_AUDIO.get(version)?..)?;
            mpeg4_audio(child(children, b"esds")?.get(4..)?)?
        }
        b"ac-3" | b"ec-3" | b"Opus" | b"fLaC" | b"wvtt" | b"stpp" => four.to_owned(),
        _ => return None,
    };
    Some(name.into())
}

/// Profile, compatibility, level and constraints, from an HEVC configuration record (ISO/IEC 14496-15 8.3.3.1).
fn hevc(config: &[u8]) -> Option<String> {
    let [_, general @ ..] = *config.first_chunk::<13>()?;
    Some(elementary::hevc_profile(general))
}

/// The object type of an elementary stream descriptor (ISO/IEC 14496-1 7.2.6), and of MPEG-4 audio its own
/// (ISO/IEC 14496-3 1.6.2.1).
fn mpeg4_audio(stream: &[u8]) -> Option<String> {
    let stream = descriptor(stream, 3)?;
    let flags = *stream.get(2)?;
    let url = usize::from(*stream.get(3)?) + 1;
    let optional = [(0x80, 2), (0x40, url), (0x20, 2)];
    let present = optional.iter().filter(|(flag, _)| flags & flag != 0);
    let length: usize = present.map(|(_, length)| length).sum();
    let decoder = descriptor(stream.get(3 + length..)?, 4)?;
    let object_type = *decoder.first()?;
    if object_type != 0x40 {
        return Some(format!("mp4a.{object_type:02X}"));
    }
    let [first, second] = *descriptor(decoder.get(13..)?, 5)?.first_chunk()?;
    let audio = match first >> 3 {
        // The six bits behind count on from there.
        31 => 32 + ((first & 7) << 3 | second >> 5),
        audio => audio,
    };
    Some(format!("mp4a.40.{audio}"))
}

/// What the first descriptor here holds, where it has this tag.
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (found, mut rest) = bytes.split_first()?;
    let mut length = 0;
    for _ in 0..4 {
        let (seven_bits, behind) = rest.split_first()?;
        (length, rest) = (length << 7 | usize::from(seven_bits & 0x7f), behind);
        if seven_bits & 0x80 == 0 {
            break;
        }
    }
    rest.get(..length).filter(|_| *found == tag)
}
