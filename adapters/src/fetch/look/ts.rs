//! An MPEG transport stream: what its program map lists, and the headers in its streams (ISO/IEC 13818-1).

use super::{Format, elementary};
use hls_relay_core::formats::{Formats, Unreadable};
use mpeg2ts_reader::demultiplex::{
    Demultiplex, DemuxContext, FilterChangeset, FilterRequest, PacketFilter, PatPacketFilter,
    PmtPacketFilter,
};
use mpeg2ts_reader::descriptor::{Descriptor, DescriptorError};
use mpeg2ts_reader::packet::{Packet, Pid};
use mpeg2ts_reader::pes::{ElementaryStreamConsumer, PesContents, PesHeader, PesPacketFilter};
use mpeg2ts_reader::psi::pmt::StreamInfo;

/// Honest ones have a picture, a few sounds and what belongs to them.
const MOST_STREAMS: usize = 16;

pub(super) fn is_one(bytes: &[u8]) -> bool {
    let syncs = [0, Packet::SIZE].map(|at| bytes.get(at).copied());
    syncs == [Some(Packet::SYNC_BYTE); 2]
}

/// The formats of all streams that need a decoder, in the order of the program map.
pub(super) fn formats(bytes: &[u8]) -> Result<Formats, Unreadable> {
    let mut streams = Streams::default();
    Demultiplex::new(&mut streams).push(&mut streams, bytes);
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
    changes: FilterChangeset<Filter>,
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

/// What becomes of the packets of a PID.
enum Filter {
    Pat(PatPacketFilter<Streams>),
    Pmt(PmtPacketFilter<Streams>),
    Stream(PesPacketFilter<Streams, Collect>),
    Ignored,
}

/// Puts the bytes of one stream to its others.
struct Collect(usize);

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

impl PacketFilter for Filter {
    type Ctx = Streams;

    fn consume(&mut self, streams: &mut Streams, packet: &Packet<'_>) {
        match self {
            Self::Pat(filter) => filter.consume(streams, packet),
            Self::Pmt(filter) => filter.consume(streams, packet),
            Self::Stream(filter) => filter.consume(streams, packet),
            Self::Ignored => {}
        }
    }
}

impl DemuxContext for Streams {
    type F = Filter;

    fn filter_changeset(&mut self) -> &mut FilterChangeset<Filter> {
        &mut self.changes
    }

    fn construct(&mut self, request: FilterRequest<'_, '_>) -> Filter {
        match request {
            FilterRequest::ByPid(Pid::PAT) => Filter::Pat(PatPacketFilter::default()),
            FilterRequest::Pmt {
                pid,
                program_number,
            } => Filter::Pmt(PmtPacketFilter::new(pid, program_number)),
            FilterRequest::ByStream { stream_info, .. } if self.found.len() < MOST_STREAMS => {
                self.found.push(Stream {
                    kind: Kind::of(stream_info),
                    bytes: Vec::new(),
                });
                Filter::Stream(PesPacketFilter::new(Collect(self.found.len() - 1)))
            }
            FilterRequest::ByStream { .. }
            | FilterRequest::ByPid(_)
            | FilterRequest::Nit { .. } => Filter::Ignored,
        }
    }
}

impl ElementaryStreamConsumer<Streams> for Collect {
    fn start_stream(&mut self, _: &mut Streams) {}

    fn begin_packet(&mut self, streams: &mut Streams, header: PesHeader<'_>) {
        let payload = match header.contents() {
            PesContents::Parsed(parsed) => parsed.map_or(&[][..], |it| it.payload()),
            PesContents::Payload(payload) => payload,
        };
        self.continue_packet(streams, payload);
    }

    fn continue_packet(&mut self, streams: &mut Streams, data: &[u8]) {
        streams.found[self.0].bytes.extend_from_slice(data);
    }

    fn end_packet(&mut self, _: &mut Streams) {}

    fn continuity_error(&mut self, _: &mut Streams) {}
}
