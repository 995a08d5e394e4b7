//! Media as a timeline, and the real loop behind it.
//!
//! A segment is a piece of an endless timeline of video frames at 25 a second. What a frame looks
//! like depends on its time alone (the loop of `testdata/media` comes round every 400 frames), so a
//! segment of any start and any length can be made out of the loop, and two of them that follow each
//! other join without a seam. The simulator carries the [`MediaRef`]; [`MediaLoop::bytes`] turns it
//! into MPEG-TS. Segments that begin at a whole second of
//! the timeline begin with an IDR frame.

use super::ts::{self, Continuity, PACKET, TIMESTAMP_RANGE};
use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};

/// The length of a video frame in ticks of 90 kHz: 25 frames a second.
pub const FRAME_TICKS: u64 = 3_600;

/// An IDR frame comes every so many ticks: a segment that begins at a multiple begins with one.
pub const IDR_TICKS: u64 = 90_000;

/// What `testdata/make-media` made.
const LOOP: [&[u8]; 8] = [
    include_bytes!("../../../testdata/media/ts/loop0.ts"),
    include_bytes!("../../../testdata/media/ts/loop1.ts"),
    include_bytes!("../../../testdata/media/ts/loop2.ts"),
    include_bytes!("../../../testdata/media/ts/loop3.ts"),
    include_bytes!("../../../testdata/media/ts/loop4.ts"),
    include_bytes!("../../../testdata/media/ts/loop5.ts"),
    include_bytes!("../../../testdata/media/ts/loop6.ts"),
    include_bytes!("../../../testdata/media/ts/loop7.ts"),
];

/// As ffmpeg numbers them.
const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
const VIDEO_PID: u16 = 0x100;
const AUDIO_PID: u16 = 0x101;

/// What the bytes of a piece of media are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A segment of MPEG-TS.
    #[default]
    TransportStream,
    /// A segment of fragmented MP4.
    Fragment,
    /// A segment of WebVTT.
    Text,
    /// A segment of packed audio.
    Packed,
    /// What EXT-X-MAP names.
    InitSection,
    /// What EXT-X-KEY names.
    Key,
}

/// A piece of media: what the body of a segment is, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRef {
    /// What its bytes are.
    pub kind: MediaKind,
    /// Of which track of a presentation; 0 where there is only one.
    pub track: u16,
    /// Which run of the encoder made it.
    pub run: u32,
    /// Its media sequence number at the origin.
    pub number: u64,
    /// Where it begins on the encoder's timeline, in ticks of 90 kHz not cut to 33 bits.
    pub start_tick: u64,
    /// How many ticks it covers.
    pub ticks: u64,
    /// How long it is.
    pub duration: Span,
    /// How many bytes it has.
    pub len: u64,
    /// Of its content: equal for the same piece, different for any other.
    pub hash: u64,
}

impl MediaRef {
    /// Where the next one begins, if the timeline goes on: a first frame alone stands for the whole of
    /// its segment.
    pub fn end_tick(&self) -> u64 {
        self.start_tick + self.ticks.max(self.duration.as_micros() * 9 / 100)
    }
}

/// The embedded loop with an index to its frames.
#[derive(Clone, Debug)]
pub struct MediaLoop {
    /// All packets but the tables, in order: segment of the loop and packet within it.
    packets: Vec<(usize, usize)>,
    /// What comes before each frame, and at the end the whole.
    frames: Vec<Before>,
    first_pts: u64,
}

/// What of the loop stands before some frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Before {
    packets: usize,
    video_payloads: u64,
    audio_payloads: u64,
}

impl MediaLoop {
    /// The loop that is built into the program.
    pub fn embedded() -> Self {
        let mut packets = Vec::new();
        let mut frames = Vec::new();
        let mut first_pts = None;
        let mut before = Before::default();
        for (segment, bytes) in LOOP.iter().enumerate() {
            for (index, packet) in bytes.as_chunks::<PACKET>().0.iter().enumerate() {
                let pid = ts::pid(packet);
                if pid != VIDEO_PID && pid != AUDIO_PID {
                    continue;
                }
                if pid == VIDEO_PID && ts::starts_unit(packet) {
                    frames.push(before);
                    first_pts = first_pts.or(ts::presentation_time(packet));
                }
                packets.push((segment, index));
                before.packets += 1;
                before.video_payloads += u64::from(pid == VIDEO_PID && ts::has_payload(packet));
                before.audio_payloads += u64::from(pid == AUDIO_PID && ts::has_payload(packet));
            }
        }
        frames.push(before);
        Self {
            packets,
            frames,
            first_pts: first_pts.unwrap_or(0),
        }
    }

    /// How many bytes a piece of the timeline has before any padding.
    pub fn natural_len(&self, start_tick: u64, ticks: u64) -> u64 {
        let (first, end) = frame_range(start_tick, ticks);
        let packets = self.packets_before(end) - self.packets_before(first);
        // A PAT and a PMT come first in each segment.
        (packets + 2) * PACKET as u64
    }

    /// The bytes that are meant by `media`, `media.len` of them. Only MPEG-TS and WebVTT can be played:
    /// the others are told apart by their bytes, and that is all.
    pub fn bytes(&self, media: &MediaRef) -> Vec<u8> {
        match media.kind {
            MediaKind::TransportStream => self.transport_stream(media),
            MediaKind::Text => text(media),
            MediaKind::Fragment | MediaKind::Packed | MediaKind::InitSection | MediaKind::Key => {
                let words = media.hash.to_le_bytes().into_iter().cycle();
                words.take(media.len as usize).collect()
            }
        }
    }

    fn transport_stream(&self, media: &MediaRef) -> Vec<u8> {
        let (first, end) = frame_range(media.start_tick, media.ticks);
        let mut bytes = Vec::with_capacity(media.len as usize);
        let mut continuity = self.continuity(media.number, first);
        for table in [PAT_PID, PMT_PID] {
            if let Some(packet) = table_packet(table) {
                push(&mut bytes, packet, 0, &mut continuity);
            }
        }
        let mut frame = first;
        while frame < end {
            // Up to the end of the segment or of this round of the loop.
            let round = frame / self.frame_count();
            let until = end.min((round + 1) * self.frame_count());
            let shift = (round * self.loop_ticks()).wrapping_sub(self.first_pts) % TIMESTAMP_RANGE;
            for packet in self.packets_between(frame, until - frame) {
                push(&mut bytes, packet, shift, &mut continuity);
            }
            frame = until;
        }
        while (bytes.len() as u64) < media.len {
            bytes.extend_from_slice(&ts::null_packet());
        }
        bytes
    }

    fn frame_count(&self) -> u64 {
        self.frames.len() as u64 - 1
    }

    fn loop_ticks(&self) -> u64 {
        self.frame_count() * FRAME_TICKS
    }

    /// How many packets stand before a frame of the endless timeline.
    fn packets_before(&self, frame: u64) -> u64 {
        let (round, within) = (frame / self.frame_count(), frame % self.frame_count());
        round * self.packets.len() as u64 + self.frames[within as usize].packets as u64
    }

    /// The packets of so many frames, which do not go past the end of the loop.
    fn packets_between(
        &self,
        frame: u64,
        count: u64,
    ) -> impl Iterator<Item = &'static [u8; PACKET]> {
        let within = (frame % self.frame_count()) as usize;
        let first = self.frames[within].packets;
        let end = self.frames[within + count as usize].packets;
        self.packets[first..end]
            .iter()
            .map(|&(segment, index)| &LOOP[segment].as_chunks::<PACKET>().0[index])
    }

    /// The counters at a frame, as if all before it had been sent since time zero.
    fn continuity(&self, number: u64, frame: u64) -> Continuity {
        let (round, within) = (frame / self.frame_count(), frame % self.frame_count());
        let whole = self.frames[self.frames.len() - 1];
        let part = self.frames[within as usize];
        let mut continuity = Continuity::default();
        continuity.set(PAT_PID, number);
        continuity.set(PMT_PID, number);
        continuity.set(
            VIDEO_PID,
            round * whole.video_payloads + part.video_payloads,
        );
        continuity.set(
            AUDIO_PID,
            round * whole.audio_payloads + part.audio_payloads,
        );
        continuity
    }
}

/// How many bytes a segment of WebVTT has.
pub(super) const TEXT_LEN: u64 = 96;

/// One cue for the whole of a segment, in its own time (RFC 8216 3.5).
fn text(media: &MediaRef) -> Vec<u8> {
    let end = media.duration.as_millis();
    let cue = format!(
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{},LOCAL:00:00.000\n\n00:00.000 --> {:02}:{:02}.{:03}\n{}",
        media.start_tick % TIMESTAMP_RANGE,
        end / 60_000,
        end / 1_000 % 60,
        end % 1_000,
        media.number
    );
    let mut bytes = cue.into_bytes();
    bytes.resize(media.len as usize, b' ');
    bytes
}

fn push(bytes: &mut Vec<u8>, packet: &[u8; PACKET], shift: u64, continuity: &mut Continuity) {
    let mut packet = *packet;
    ts::restamp_packet(&mut packet, shift, continuity);
    bytes.extend_from_slice(&packet);
}

/// The frames of which the first tick lies within a piece of the timeline: from, until.
fn frame_range(start_tick: u64, ticks: u64) -> (u64, u64) {
    (
        start_tick.div_ceil(FRAME_TICKS),
        (start_tick + ticks).div_ceil(FRAME_TICKS),
    )
}

fn table_packet(pid: u16) -> Option<&'static [u8; PACKET]> {
    LOOP[0]
        .as_chunks::<PACKET>()
        .0
        .iter()
        .find(|packet| ts::pid(packet) == pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: u64, start_tick: u64, ticks: u64) -> MediaRef {
        let len = MediaLoop::embedded().natural_len(start_tick, ticks);
        MediaRef {
            kind: MediaKind::TransportStream,
            track: 0,
            run: 0,
            number,
            start_tick,
            ticks,
            duration: Span::ZERO,
            len,
            hash: 0,
        }
    }

    /// The presentation times of the video frames in a segment, in the order of the bytes.
    fn video_times(bytes: &[u8]) -> Vec<u64> {
        let packets = bytes.as_chunks::<PACKET>().0.iter();
        let video = packets.filter(|packet| ts::pid(packet) == VIDEO_PID);
        video.filter_map(ts::presentation_time).collect()
    }

    #[test]
    fn a_segment_begins_with_the_frame_of_its_first_tick() {
        let media_loop = MediaLoop::embedded();
        for start_tick in [
            0,
            180_000,
            1_440_000,
            86_400 * 90_000,
            TIMESTAMP_RANGE / 90_000 * 90_000,
        ] {
            let times = video_times(&media_loop.bytes(&piece(3, start_tick, 180_000)));
            assert_eq!(times.len(), 50);
            assert_eq!(times[0], start_tick % TIMESTAMP_RANGE);
        }
    }

    #[test]
    fn pieces_of_any_length_come_to_the_whole_over_the_end_of_the_loop() {
        let media_loop = MediaLoop::embedded();
        let whole = video_times(&media_loop.bytes(&piece(0, 0, 4 * 1_440_000)));
        assert_eq!(whole.len(), 1_600);
        let mut parts = Vec::new();
        let mut tick = 0;
        for length in [1, 3_599, 450_450, 1_440_000, 2_999_999]
            .iter()
            .cycle()
            .take(9)
        {
            let length = (*length).min(4 * 1_440_000 - tick);
            parts.extend(video_times(&media_loop.bytes(&piece(0, tick, length))));
            tick += length;
        }
        assert_eq!(tick, 4 * 1_440_000);
        assert_eq!(parts, whole);
    }

    #[test]
    fn the_length_is_known_without_the_bytes() {
        let media_loop = MediaLoop::embedded();
        for (start_tick, ticks) in [
            (0, 180_000),
            (1_400_000, 100_000),
            (7, 5),
            (90_000, 9_000_000),
        ] {
            let media = piece(1, start_tick, ticks);
            assert_eq!(media_loop.bytes(&media).len() as u64, media.len);
        }
    }
}
