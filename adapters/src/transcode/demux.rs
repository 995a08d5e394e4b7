//! An MPEG transport stream as media (ISO/IEC 13818-1).

use super::media::{Kind, Media, Stream, Unit, VideoKind, unwrapped};
use crate::mpegts;
use mpeg2ts_reader::descriptor::{Descriptor, DescriptorError};
use mpeg2ts_reader::packet::Pid;
use mpeg2ts_reader::pes::{PesContents, PesHeader, PtsDts};
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

/// Reads all of it. Times are the nearest ones to `near`, or to the first one in it.
pub(super) fn read(bytes: &[u8], near: Option<i64>) -> Result<Media, DemuxError> {
    if !mpegts::is_one(bytes) {
        return Err(DemuxError::Container);
    }
    let reader = Reader {
        near,
        ..Reader::default()
    };
    // A reader that is others' work, fed by strangers: its mistakes end no channel.
    let read = || mpegts::read(reader, bytes);
    let reader = catch_unwind(AssertUnwindSafe(read)).map_err(|_| DemuxError::Broken)?;
    match reader.unreadable {
        Some(stream_type) => Err(DemuxError::StreamType(stream_type)),
        None => Ok(reader.media()),
    }
}

/// What is found on the way through the packets.
#[derive(Default)]
struct Reader {
    streams: Vec<(Pid, Stream)>,
    near: Option<i64>,
    /// A picture or a sound of a kind that nobody here knows.
    unreadable: Option<u8>,
}

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

impl mpegts::Streams for Reader {
    fn place_of(&mut self, info: &StreamInfo<'_>) -> Option<usize> {
        let pid = info.elementary_pid();
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

    fn begin(&mut self, place: usize, header: PesHeader<'_>) {
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
            let (dts, pts) = (self.time(dts), self.time(pts));
            let data = Vec::new();
            self.streams[place].1.units.push(Unit { pts, dts, data });
        }
        self.go_on(place, parsed.payload());
    }

    fn go_on(&mut self, place: usize, data: &[u8]) {
        if let Some(unit) = self.streams[place].1.units.last_mut() {
            unit.data.extend_from_slice(data);
        }
    }
}
