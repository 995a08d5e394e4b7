//! An MPEG transport stream: what its program map lists, and the headers in its streams (ISO/IEC 13818-1).

use super::{Format, elementary};
use crate::mpegts;
use hls_relay_core::formats::{Formats, Unreadable};
use mpeg2ts_reader::descriptor::{Descriptor, DescriptorError};
use mpeg2ts_reader::pes::{PesContents, PesHeader};
use mpeg2ts_reader::psi::pmt::StreamInfo;

/// Honest ones have a picture, a few sounds and what belongs to them.
const MOST_STREAMS: usize = 16;

/// The formats of all streams that need a decoder, in the order of the program map.
pub(super) fn formats(bytes: &[u8]) -> Result<Formats, Unreadable> {
    let streams = mpegts::read(Streams::default(), bytes);
    let mut formats = Formats::default();
    for stream in &streams.found {
        let Some((name, resolution)) = stream.tell()? else {
            continue;
        };
        if !formats.codecs.contains(&name) {
            formats.codecs.push(name);
        }
        formats.resolution = formats.resolution.or(resolution);
    }
    match formats.codecs.is_empty() {
        true => Err(Unreadable::Beginning(
            "no program map in it lists pictures or sound".into(),
        )),
        false => Ok(formats),
    }
}

/// What is found on the way through the packets.
#[derive(Default)]
struct Streams {
    found: Vec<Stream>,
}

struct Stream {
    kind: Kind,
    /// Its bytes, out of their packets.
    bytes: Vec<u8>,
}

enum Kind {
    H264,
    H265,
    /// Its own headers say which.
    Audio,
    /// The program map says all.
    Named(&'static str),
    /// It needs no decoder.
    Data,
    /// Nobody here knows its name.
    Unknown(u8),
}

impl Stream {
    fn tell(&self) -> Result<Option<Format>, Unreadable> {
        let missing = |what: &str| Unreadable::Beginning(what.into());
        let set = |read: Option<Format>| {
            let none = || missing("no sequence parameter set that can be read");
            read.map(Some).ok_or_else(none)
        };
        match self.kind {
            Kind::H264 => set(elementary::h264(&self.bytes)),
            Kind::H265 => set(elementary::h265(&self.bytes)),
            Kind::Audio => {
                let none = || missing("no frame of a sound");
                let name = elementary::audio_within(&self.bytes).ok_or_else(none)?;
                Ok(Some((name, None)))
            }
            Kind::Named(name) => Ok(Some((name.into(), None))),
            Kind::Data => Ok(None),
            Kind::Unknown(kind) => Err(Unreadable::Format(
                format!("stream type {kind:#04x}").into(),
            )),
        }
    }
}

impl Kind {
    fn of(stream: &StreamInfo<'_>) -> Self {
        match u8::from(stream.stream_type()) {
            0x1b => Self::H264,
            0x24 => Self::H265,
            // MPEG audio, AAC in ADTS, AC-3, E-AC-3.
            0x03 | 0x04 | 0x0f => Self::Audio,
            0x81 => Self::Named("ac-3"),
            0x87 => Self::Named("ec-3"),
            // Private data, which its descriptors name (ETSI EN 300 468 D.3, D.5).
            0x06 => {
                let mut tags = stream.descriptors::<Tag>().flatten();
                tags.find_map(|it| it.names()).unwrap_or(Self::Data)
            }
            // Sections, timed metadata, SCTE-35.
            0x05 | 0x07..=0x0e | 0x12..=0x1a | 0x86 => Self::Data,
            kind => Self::Unknown(kind),
        }
    }
}

/// A descriptor, as far as it matters.
struct Tag {
    tag: u8,
    registered: [u8; 4],
}

impl Tag {
    fn names(&self) -> Option<Kind> {
        match (self.tag, &self.registered) {
            (0x6a, _) | (0x05, b"AC-3") => Some(Kind::Named("ac-3")),
            (0x7a, _) | (0x05, b"EAC3") => Some(Kind::Named("ec-3")),
            (0x05, b"Opus") => Some(Kind::Named("Opus")),
            (0x05, b"HEVC") => Some(Kind::H265),
            _ => None,
        }
    }
}

impl Descriptor<'_> for Tag {
    fn from_bytes(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let [tag, _, value @ ..] = bytes else {
            return Err(DescriptorError::BufferTooShort {
                buflen: bytes.len(),
            });
        };
        Ok(Self {
            tag: *tag,
            registered: value.first_chunk().copied().unwrap_or_default(),
        })
    }
}

impl mpegts::Streams for Streams {
    fn place_of(&mut self, stream: &StreamInfo<'_>) -> Option<usize> {
        if self.found.len() == MOST_STREAMS {
            return None;
        }
        self.found.push(Stream {
            kind: Kind::of(stream),
            bytes: Vec::new(),
        });
        Some(self.found.len() - 1)
    }

    fn begin(&mut self, place: usize, header: PesHeader<'_>) {
        let payload = match header.contents() {
            PesContents::Parsed(parsed) => parsed.map_or(&[][..], |it| it.payload()),
            PesContents::Payload(payload) => payload,
        };
        self.go_on(place, payload);
    }

    fn go_on(&mut self, place: usize, data: &[u8]) {
        self.found[place].bytes.extend_from_slice(data);
    }
}
