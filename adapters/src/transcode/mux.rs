//! Media as an MPEG transport stream (ISO/IEC 13818-1).
//!
//! Each is written alone, by whoever happens to have it, and any of them plays behind any other as one
//! stream: the continuity counters of each PID begin at 0 and end at 15. So each PID has a multiple of 16
//! packets, for which its last units are spread over more packets than they need.

use super::media::{Kind, Stream, Unit, wrapped};

const PACKET: usize = 188;
/// What a packet has room for behind its header.
const ROOM: usize = PACKET - 4;
/// Continuity counters have 4 bits.
const ROUND: usize = 16;
const PAT: u16 = 0;
const PMT: u16 = 0x1000;
const FIRST_STREAM: u16 = 0x100;
/// Data is there so long before the first of it is decoded.
const CLOCK_LEAD: i64 = 9_000;
/// Where timed metadata is described as ID3 tags: in the program's and in the stream's descriptors
/// ("Timed Metadata for HTTP Live Streaming", 2.3).
const METADATA_POINTER: [u8; 17] = *b"\x25\x0f\xff\xffID3 \xffID3 \0\x1f\0\x01";

/// A stream with its PID.
struct Track<'a> {
    pid: u16,
    stream: &'a Stream,
    /// Whether the clock goes with it.
    is_clock: bool,
    /// The next unit.
    next: usize,
    /// So many packets more than it needs each unit has.
    extra: Vec<usize>,
}

/// The packets as they come.
struct Writer {
    out: Vec<u8>,
    counters: Vec<(u16, u8)>,
}

/// Writes streams, of which the first is the one with the clock.
pub(super) fn write(streams: &[&Stream]) -> Vec<u8> {
    let mut tracks: Vec<_> = (FIRST_STREAM..)
        .zip(streams)
        .enumerate()
        .map(|(place, (pid, stream))| Track::new(pid, stream, place == 0))
        .collect();
    let units: usize = streams.iter().map(|it| it.units.len()).sum();
    let (pat, pmt) = (pat(), pmt(&tracks));
    let mut writer = Writer {
        out: Vec::with_capacity(tracks.iter().map(|it| it.packets() * PACKET).sum()),
        counters: Vec::new(),
    };
    let mut tables = 0;
    for written in 0..units {
        // The tables stand before everything, and then at equal distances.
        while tables < ROUND && tables * units <= written * ROUND {
            writer.table(PAT, &pat);
            writer.table(PMT, &pmt);
            tables += 1;
        }
        let earliest = tracks
            .iter_mut()
            .filter(|track| track.next < track.stream.units.len())
            .min_by_key(|track| track.stream.units[track.next].dts);
        if let Some(track) = earliest {
            writer.unit(track);
        }
    }
    for _ in tables..ROUND {
        writer.table(PAT, &pat);
        writer.table(PMT, &pmt);
    }
    writer.out
}

impl<'a> Track<'a> {
    fn new(pid: u16, stream: &'a Stream, is_clock: bool) -> Self {
        let mut track = Self {
            pid,
            stream,
            is_clock,
            next: 0,
            extra: vec![0; stream.units.len()],
        };
        let packets = track.packets();
        let mut missing = packets.next_multiple_of(ROUND) - packets;
        for (place, unit) in stream.units.iter().enumerate().rev() {
            // The header of a unit is whole in its first packet, and each of the others has a byte of it.
            let most = (unit.data.len() + 1).saturating_sub(track.packets_of(unit));
            track.extra[place] = missing.min(most);
            missing -= track.extra[place];
        }
        track
    }

    /// How many its units need.
    fn packets(&self) -> usize {
        let units = self.stream.units.iter();
        units.map(|unit| self.packets_of(unit)).sum()
    }

    fn packets_of(&self, unit: &Unit) -> usize {
        let clock = if self.is_clock { CLOCK_FIELD } else { 0 };
        (clock + header_length(unit) + unit.data.len()).div_ceil(ROOM)
    }
}

/// An adaptation field with a clock: its length, its flags, 6 bytes of time.
const CLOCK_FIELD: usize = 8;

/// What the time is while the packet comes in.
#[derive(Clone, Copy)]
struct Clock {
    time: i64,
    /// Decoding can begin here.
    is_entry: bool,
}

fn header_length(unit: &Unit) -> usize {
    if unit.pts == unit.dts { 14 } else { 19 }
}

impl Writer {
    /// The next unit of a track, in packets of its own.
    fn unit(&mut self, track: &mut Track<'_>) {
        let unit = &track.stream.units[track.next];
        let mut packets = track.packets_of(unit) + track.extra[track.next];
        track.next += 1;
        let mut pes = pes_header(track.stream, unit);
        pes.extend_from_slice(&unit.data);
        let mut rest = &pes[..];
        let mut clock = track.is_clock.then_some(Clock {
            time: unit.dts - CLOCK_LEAD,
            is_entry: track.next == 1,
        });
        let mut starts = true;
        while packets > 0 {
            let room = ROOM - if clock.is_some() { CLOCK_FIELD } else { 0 };
            // As full as can be while each of those that follow still gets a byte.
            let (now, later) = rest.split_at(room.min(rest.len() - (packets - 1)));
            self.packet(track.pid, starts, clock.take(), now);
            (rest, starts, packets) = (later, false, packets - 1);
        }
    }

    /// A table, in as many packets as its section needs.
    fn table(&mut self, pid: u16, section: &[u8]) {
        let mut payload = vec![0];
        payload.extend_from_slice(section);
        payload.resize(payload.len().next_multiple_of(ROOM), 0xff);
        for (at, part) in payload.chunks(ROOM).enumerate() {
            self.packet(pid, at == 0, None, part);
        }
    }

    fn packet(&mut self, pid: u16, starts: bool, clock: Option<Clock>, payload: &[u8]) {
        let counter = self.counter(pid);
        let [high, low] = pid.to_be_bytes();
        let stuffed = payload.len() < ROOM;
        let start = if starts { 0x40 } else { 0 };
        let control = if stuffed { 0x30 } else { 0x10 };
        self.out
            .extend_from_slice(&[0x47, start | high, low, control | counter]);
        if stuffed {
            let length = ROOM - payload.len() - 1;
            let end = self.out.len() + 1 + length;
            self.out.push(length.to_le_bytes()[0]);
            match clock {
                Some(Clock { time, is_entry }) => {
                    self.out.push(0x10 | u8::from(is_entry) << 6);
                    let base = wrapped(time) << 15 | 0x7e00;
                    self.out.extend_from_slice(&base.to_be_bytes()[2..]);
                }
                None if length > 0 => self.out.push(0),
                None => {}
            }
            self.out.resize(end, 0xff);
        }
        self.out.extend_from_slice(payload);
    }

    fn counter(&mut self, pid: u16) -> u8 {
        match self.counters.iter_mut().find(|(it, _)| *it == pid) {
            Some((_, counter)) => {
                *counter = (*counter + 1) & 0x0f;
                *counter
            }
            None => {
                self.counters.push((pid, 0));
                0
            }
        }
    }
}

fn pes_header(stream: &Stream, unit: &Unit) -> Vec<u8> {
    let length = header_length(unit);
    // Only a picture may be longer than the field can say.
    let following = u16::try_from(length - 6 + unit.data.len()).unwrap_or(0);
    let following = match stream.kind {
        Kind::Video(_) => 0,
        Kind::Aac | Kind::OtherAudio | Kind::Metadata => following,
    };
    let mut header = Vec::with_capacity(length + unit.data.len());
    header.extend_from_slice(&[0, 0, 1, stream_id(stream)]);
    header.extend_from_slice(&following.to_be_bytes());
    // What follows begins with a picture or a frame of the sound.
    header.push(0x84);
    if unit.pts == unit.dts {
        header.extend_from_slice(&[0x80, 5]);
        header.extend_from_slice(&time_field(2, unit.pts));
    } else {
        header.extend_from_slice(&[0xc0, 10]);
        header.extend_from_slice(&time_field(3, unit.pts));
        header.extend_from_slice(&time_field(1, unit.dts));
    }
    header
}

/// ISO/IEC 13818-1 table 2-22.
fn stream_id(stream: &Stream) -> u8 {
    match (stream.kind, stream.stream_type) {
        (Kind::Video(_), _) => 0xe0,
        // MPEG audio and AAC have numbers of their own; all else is private.
        (Kind::Aac, _) | (Kind::OtherAudio, 0x03 | 0x04 | 0x11) => 0xc0,
        (Kind::OtherAudio | Kind::Metadata, _) => 0xbd,
    }
}

/// 33 bits between markers.
fn time_field(prefix: u8, time: i64) -> [u8; 5] {
    let bits = wrapped(time);
    let byte = |shift: u32| (bits >> shift).to_le_bytes()[0];
    [
        prefix << 4 | byte(29) & 0x0e | 1,
        byte(22),
        byte(14) | 1,
        byte(7),
        byte(0) << 1 | 1,
    ]
}

fn pat() -> Vec<u8> {
    let [high, low] = PMT.to_be_bytes();
    section(0x00, &[0, 1, 0xe0 | high, low])
}

fn pmt(tracks: &[Track<'_>]) -> Vec<u8> {
    let has_metadata = tracks.iter().any(|it| it.stream.kind == Kind::Metadata);
    let program: &[u8] = if has_metadata { &METADATA_POINTER } else { &[] };
    let [high, low] = FIRST_STREAM.to_be_bytes();
    let mut body = vec![0xe0 | high, low];
    body.extend_from_slice(&described(program));
    for track in tracks {
        let [high, low] = track.pid.to_be_bytes();
        body.extend_from_slice(&[track.stream.stream_type, 0xe0 | high, low]);
        body.extend_from_slice(&described(&track.stream.descriptors));
    }
    section(0x02, &body)
}

fn described(descriptors: &[u8]) -> Vec<u8> {
    let length = u16::try_from(descriptors.len()).unwrap_or(0);
    let [high, low] = length.to_be_bytes();
    let mut field = vec![0xf0 | high, low];
    field.extend_from_slice(&descriptors[..length.into()]);
    field
}

/// A section of program 1, or of stream 1, version 0, in force.
fn section(table: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 9).unwrap_or(0);
    let [high, low] = length.to_be_bytes();
    let mut section = vec![table, 0xb0 | high, low, 0, 1, 0xc1, 0, 0];
    section.extend_from_slice(body);
    let checksum = crc32(&section);
    section.extend_from_slice(&checksum.to_be_bytes());
    section
}

/// ISO/IEC 13818-1 annex A.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::demux;
    use super::super::media::{Media, VideoKind};
    use super::*;

    fn stream(kind: Kind, stream_type: u8, units: &[(i64, i64, usize)]) -> Stream {
        let unit = |&(pts, dts, length): &(i64, i64, usize)| Unit {
            pts,
            dts,
            data: (0..length).map(|it| it.to_le_bytes()[0] | 1).collect(),
        };
        Stream {
            kind,
            stream_type,
            descriptors: Vec::new(),
            units: units.iter().map(unit).collect(),
        }
    }

    /// The continuity counters of each PID.
    fn counters(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut found: Vec<(u16, Vec<u8>)> = Vec::new();
        for packet in bytes.as_chunks::<PACKET>().0 {
            let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
            match found.iter_mut().find(|(it, _)| *it == pid) {
                Some((_, counters)) => counters.push(packet[3] & 0x0f),
                None => found.push((pid, vec![packet[3] & 0x0f])),
            }
        }
        found
    }

    #[test]
    fn what_is_written_is_read_again_and_every_counter_goes_around() {
        for length in (2..420).chain([65_000, 70_000]) {
            let video = stream(
                Kind::Video(VideoKind::H264),
                0x1b,
                &[
                    (7_200, 0, length),
                    (3_600, 3_600, 5_000),
                    (10_800, 7_200, length),
                ],
            );
            let mut audio = stream(
                Kind::Aac,
                0x0f,
                &[(0, 0, 400), (1_920, 1_920, length.min(60_000))],
            );
            audio.descriptors = vec![0x0a, 4, b'd', b'e', b'u', 0];
            let mut metadata = stream(Kind::Metadata, 0x15, &[(5_000, 5_000, 33)]);
            metadata.descriptors = vec![
                0x26, 13, 0xff, 0xff, b'I', b'D', b'3', b' ', 0xff, b'I', b'D', b'3', b' ', 0, 0x0f,
            ];
            let streams = [&video, &audio, &metadata];
            let written = write(&streams);
            for (pid, counters) in counters(&written) {
                let round: Vec<_> = (0..16).cycle().take(counters.len()).collect();
                assert_eq!(counters, round, "PID {pid:#x} with {length} bytes");
                assert_eq!(
                    counters.len() % ROUND,
                    0,
                    "PID {pid:#x} with {length} bytes"
                );
            }
            let Media { streams: read } = demux::read(&written, None).unwrap();
            for (read, stream) in read.iter().zip(streams) {
                assert_eq!(read.units, stream.units, "{length} bytes");
                assert_eq!(read.descriptors, stream.descriptors);
                assert_eq!(
                    (read.kind, read.stream_type),
                    (stream.kind, stream.stream_type)
                );
            }
            assert_eq!(read.len(), 3);
        }
    }

    #[test]
    fn times_over_the_wrap_are_written_as_33_bits() {
        let units = [
            ((1 << 33) - 3_600, (1 << 33) - 7_200, 20),
            (1 << 33, (1 << 33) - 3_600, 12),
        ];
        let video = stream(Kind::Video(VideoKind::H264), 0x1b, &units);
        let written = write(&[&video]);
        let read = demux::read(&written, Some(1 << 33)).unwrap();
        assert_eq!(read.streams[0].units, video.units);
    }

    #[test]
    fn a_checksum_over_a_section_and_its_checksum_is_nothing() {
        assert_eq!(crc32(&pat()), 0);
    }
}
