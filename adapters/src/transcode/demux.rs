//! An MPEG transport stream as media (ISO/IEC 13818-1).

use super::media::{Kind, Media, Stream, Unit, VideoKind, unwrapped};
use mpeg2ts_reader::demultiplex::{
    Demultiplex, DemuxContext, FilterChangeset, FilterRequest, PacketFilter, PatPacketFilter,
    PmtPacketFilter,
};
use mpeg2ts_reader::descriptor::{Descriptor, DescriptorError};
use mpeg2ts_reader::packet::{Packet, Pid};
use mpeg2ts_reader::pes::{
    ElementaryStreamConsumer, PesContents, PesHeader, PesPacketFilter, PtsDts,
};
use mpeg2ts_reader::psi::pmt::StreamInfo;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Honest segments have a picture, a few sounds and what belongs to them.
const MOST_STREAMS: usize = 16;

/// So many bytes of what a program map says of a stream: a language and a registration have 12.
const MOST_DESCRIPTOR_BYTES: usize = 48;
/// What is shorter holds no picture and no frame of a sound.
const LEAST_UNIT: usize = 2;
/// And what is shorter in all is no stream that anybody misses.
const LEAST_STREAM: usize = 32;

/// Why bytes are no media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DemuxError {
    #[error("it is no MPEG transport stream")]
    Container,
    #[error("its packets break the rules of transport streams")]
    Broken,
    #[error("stream type {0:#04x} in it cannot be read")]
    StreamType(u8),
}

/// Whether it is a transport stream.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let syncs = [0, Packet::SIZE].map(|at| bytes.get(at).copied());
    syncs == [Some(Packet::SYNC_BYTE); 2]
}

/// Reads all of it. Times are the nearest ones to `near`, or to the first one in it.
pub(super) fn read(bytes: &[u8], near: Option<i64>) -> Result<Media, DemuxError> {
    if !is_one(bytes) {
        return Err(DemuxError::Container);
    }
    let mut reader = Reader {
        near,
        ..Reader::default()
    };
    // A reader that is others' work, fed by strangers: its mistakes end no channel.
    let read = || Demultiplex::new(&mut reader).push(&mut reader, bytes);
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| DemuxError::Broken)?;
    match reader.unreadable {
        Some(stream_type) => Err(DemuxError::StreamType(stream_type)),
        None => Ok(reader.media()),
    }
}

/// What is found on the way through the packets.
#[derive(Default)]
struct Reader {
    changes: FilterChangeset<Filter>,
    streams: Vec<(Pid, Stream)>,
    near: Option<i64>,
    /// A picture or a sound of a kind that nobody here knows.
    unreadable: Option<u8>,
}

/// What becomes of the packets of a PID.
enum Filter {
    Pat(PatPacketFilter<Reader>),
    Pmt(PmtPacketFilter<Reader>),
    Stream(PesPacketFilter<Reader, Collect>),
    Ignored,
}

/// Puts the units of one stream to its others.
struct Collect(usize);

impl Reader {
    fn media(self) -> Media {
        let mut streams: Vec<_> = self.streams.into_iter().map(|(_, it)| it).collect();
        for stream in &mut streams {
            stream.units.retain(|unit| unit.data.len() >= LEAST_UNIT);
        }
        streams.retain(|stream| {
            let lengths = stream.units.iter().map(|unit| unit.data.len());
            lengths.sum::<usize>() >= LEAST_STREAM
        });
        Media { streams }
    }

    /// The place of a stream, which a later program map may list again.
    fn place_of(&mut self, pid: Pid, info: &StreamInfo<'_>) -> Option<usize> {
        let known = self.streams.iter().position(|(known, _)| *known == pid);
        if known.is_some() {
            return known;
        }
        let descriptors: Vec<_> = info.descriptors::<Raw>().flatten().collect();
        let stream_type = u8::from(info.stream_type());
        let kind = match kind_of(stream_type, &descriptors) {
            Ok(kind) => kind?,
            Err(Unknown) => {
                self.unreadable.get_or_insert(stream_type);
                return None;
            }
        };
        if self.streams.len() == MOST_STREAMS {
            return None;
        }
        let mut said = Vec::new();
        for Raw(descriptor) in descriptors {
            if said.len() + descriptor.len() <= MOST_DESCRIPTOR_BYTES {
                said.extend(descriptor);
            }
        }
        let stream = Stream {
            kind,
            stream_type,
            descriptors: said,
            units: Vec::new(),
        };
        self.streams.push((pid, stream));
        Some(self.streams.len() - 1)
    }

    fn time(&mut self, ticks: u64) -> i64 {
        let time = ticks.cast_signed();
        let time = self.near.map_or(time, |near| unwrapped(time, near));
        self.near = Some(time);
        time
    }
}

/// A picture or a sound of a kind that is unknown here.
struct Unknown;

/// `None` for what is neither pictures nor sound, and cannot be carried on.
fn kind_of(stream_type: u8, descriptors: &[Raw]) -> Result<Option<Kind>, Unknown> {
    let kind = match stream_type {
        0x01 | 0x02 => Kind::Video(VideoKind::Mpeg2),
        0x1b => Kind::Video(VideoKind::H264),
        0x24 => Kind::Video(VideoKind::H265),
        0x0f => Kind::Aac,
        // MPEG audio, AAC in LATM, AC-3, E-AC-3.
        0x03 | 0x04 | 0x11 | 0x81 | 0x87 => Kind::OtherAudio,
        0x15 => Kind::Metadata,
        // Private data, which its descriptors name (ETSI EN 300 468 D.3, D.5).
        0x06 if descriptors.iter().any(Raw::names_audio) => Kind::OtherAudio,
        // Sections, other data, SCTE-35.
        0x05..=0x0e | 0x12..=0x1a | 0x86 => return Ok(None),
        _ => return Err(Unknown),
    };
    Ok(Some(kind))
}

/// A descriptor as it stands there.
struct Raw(Vec<u8>);

impl Raw {
    fn names_audio(&self) -> bool {
        match *self.0 {
            [0x6a | 0x7a, ..] => true,
            [0x05, _, ref name @ ..] => {
                let audio: [&[u8]; 3] = [b"AC-3", b"EAC3", b"Opus"];
                audio.iter().any(|it| name.starts_with(it))
            }
            _ => false,
        }
    }
}

impl Descriptor<'_> for Raw {
    fn from_bytes(bytes: &[u8]) -> Result<Self, DescriptorError> {
        Ok(Self(bytes.to_vec()))
    }
}

impl PacketFilter for Filter {
    type Ctx = Reader;

    fn consume(&mut self, reader: &mut Reader, packet: &Packet<'_>) {
        match self {
            Self::Pat(filter) => filter.consume(reader, packet),
            Self::Pmt(filter) => filter.consume(reader, packet),
            Self::Stream(filter) => filter.consume(reader, packet),
            Self::Ignored => {}
        }
    }
}

impl DemuxContext for Reader {
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
            FilterRequest::ByStream { stream_info, .. } => {
                let place = self.place_of(stream_info.elementary_pid(), stream_info);
                place.map_or(Filter::Ignored, |place| {
                    Filter::Stream(PesPacketFilter::new(Collect(place)))
                })
            }
            FilterRequest::ByPid(_) | FilterRequest::Nit { .. } => Filter::Ignored,
        }
    }
}

impl ElementaryStreamConsumer<Reader> for Collect {
    fn start_stream(&mut self, _: &mut Reader) {}

    fn begin_packet(&mut self, reader: &mut Reader, header: PesHeader<'_>) {
        let PesContents::Parsed(Some(parsed)) = header.contents() else {
            return;
        };
        let times = match parsed.pts_dts() {
            Ok(PtsDts::PtsOnly(Ok(pts))) => Some((pts.value(), pts.value())),
            Ok(PtsDts::Both {
                pts: Ok(pts),
                dts: Ok(dts),
            }) => Some((pts.value(), dts.value())),
            Ok(PtsDts::None | PtsDts::PtsOnly(Err(_)) | PtsDts::Both { .. } | PtsDts::Invalid)
            | Err(_) => None,
        };
        // One without a time goes on with what the one before has begun.
        if let Some((pts, dts)) = times {
            let (dts, pts) = (reader.time(dts), reader.time(pts));
            let stream = &mut reader.streams[self.0].1;
            let data = Vec::new();
            stream.units.push(Unit { pts, dts, data });
        }
        self.continue_packet(reader, parsed.payload());
    }

    fn continue_packet(&mut self, reader: &mut Reader, data: &[u8]) {
        if let Some(unit) = reader.streams[self.0].1.units.last_mut() {
            unit.data.extend_from_slice(data);
        }
    }

    fn end_packet(&mut self, _: &mut Reader) {}

    fn continuity_error(&mut self, _: &mut Reader) {}
}
