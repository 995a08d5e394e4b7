//! MPEG-TS packets under new timestamps: what makes a loop of sixteen seconds go on for ever.
//!
//! ISO/IEC 13818-1: 2.4.3.2 (packet), 2.4.3.4 (adaptation field, PCR), 2.4.3.6 (PES, PTS and DTS).

use std::collections::BTreeMap;

/// The length of a packet in bytes.
pub const PACKET: usize = 188;
/// Timestamps have 33 bits.
pub const TIMESTAMP_RANGE: u64 = 1 << 33;
/// The PID of packets that mean nothing.
pub const NULL_PID: u16 = 0x1fff;

/// The continuity counter that comes next, of each PID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continuity {
    next: BTreeMap<u16, u8>,
}

impl Continuity {
    /// Goes on after `packets` packets with payload of this PID.
    pub fn set(&mut self, pid: u16, packets: u64) {
        self.next.insert(pid, (packets % 16) as u8);
    }

    /// The counter of the next packet: it moves with payload only.
    fn take(&mut self, pid: u16, has_payload: bool) -> u8 {
        let next = self.next.entry(pid).or_default();
        let counter = if has_payload {
            *next
        } else {
            next.wrapping_sub(1) & 0x0f
        };
        if has_payload {
            *next = (*next + 1) & 0x0f;
        }
        counter
    }
}

/// Whole packets with every PTS, DTS and PCR moved by `shift` ticks of 90 kHz (modulo 2^33) and
/// with continuity counters that go on from `continuity`.
pub fn restamp(packets: &[u8], shift: u64, continuity: &mut Continuity) -> Vec<u8> {
    let mut restamped = packets.to_vec();
    for packet in restamped.as_chunks_mut::<PACKET>().0 {
        restamp_packet(packet, shift, continuity);
    }
    restamped
}

/// The same for one packet, where it stands.
pub fn restamp_packet(packet: &mut [u8; PACKET], shift: u64, continuity: &mut Continuity) {
    let has_payload = has_payload(packet);
    packet[3] = (packet[3] & 0xf0) | continuity.take(pid(packet), has_payload);
    if has_pcr(packet) {
        move_pcr(&mut packet[6..12], shift);
    }
    if has_payload && starts_unit(packet) {
        let offset = payload_offset(packet);
        move_pes_timestamps(&mut packet[offset..], shift);
    }
}

/// A packet that only fills a stated bit rate.
pub fn null_packet() -> [u8; PACKET] {
    let mut packet = [0xff; PACKET];
    packet[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    packet
}

/// The packet identifier.
pub fn pid(packet: &[u8; PACKET]) -> u16 {
    u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2])
}

/// Whether a PES packet or a table begins in it.
pub fn starts_unit(packet: &[u8; PACKET]) -> bool {
    packet[1] & 0x40 != 0
}

/// Whether it carries payload, and so moves the continuity counter.
pub fn has_payload(packet: &[u8; PACKET]) -> bool {
    packet[3] & 0x10 != 0
}

fn has_adaptation_field(packet: &[u8; PACKET]) -> bool {
    packet[3] & 0x20 != 0
}

fn has_pcr(packet: &[u8; PACKET]) -> bool {
    has_adaptation_field(packet) && packet[4] >= 7 && packet[5] & 0x10 != 0
}

fn payload_offset(packet: &[u8; PACKET]) -> usize {
    let adaptation = if has_adaptation_field(packet) {
        1 + usize::from(packet[4])
    } else {
        0
    };
    (4 + adaptation).min(PACKET)
}

/// The base of 33 bits counts ticks; the extension of 9 bits below it stays.
fn move_pcr(field: &mut [u8], shift: u64) {
    let base = field[..4]
        .iter()
        .fold(0, |base, &byte| base << 8 | u64::from(byte));
    let moved = (base << 1 | u64::from(field[4] >> 7)).wrapping_add(shift) % TIMESTAMP_RANGE;
    field[..4].copy_from_slice(&((moved >> 1) as u32).to_be_bytes());
    field[4] = (field[4] & 0x7f) | ((moved & 1) as u8) << 7;
}

fn move_pes_timestamps(pes: &mut [u8], shift: u64) {
    let is_pes = pes.len() >= 19 && pes.starts_with(&[0, 0, 1]);
    if !is_pes {
        return;
    }
    let flags = pes[7] >> 6;
    if flags & 0b10 != 0 {
        move_timestamp(&mut pes[9..14], shift);
    }
    if flags == 0b11 {
        move_timestamp(&mut pes[14..19], shift);
    }
}

/// 33 bits in five bytes, with marker bits between: 4 + 3 bits, 15 bits, 15 bits.
fn move_timestamp(field: &mut [u8], shift: u64) {
    let moved = read_timestamp(field).wrapping_add(shift) % TIMESTAMP_RANGE;
    field[0] = (field[0] & 0xf1) | ((moved >> 29) as u8 & 0x0e);
    field[1] = (moved >> 22) as u8;
    field[2] = (moved >> 14) as u8 | 1;
    field[3] = (moved >> 7) as u8;
    field[4] = (moved << 1) as u8 | 1;
}

fn read_timestamp(field: &[u8]) -> u64 {
    let bytes = [0, 1, 2, 3, 4].map(|index| u64::from(field[index]));
    (bytes[0] & 0x0e) << 29
        | bytes[1] << 22
        | (bytes[2] & 0xfe) << 14
        | bytes[3] << 7
        | bytes[4] >> 1
}

/// The presentation time of the PES packet that begins in this packet, in ticks.
pub fn presentation_time(packet: &[u8; PACKET]) -> Option<u64> {
    let pes = &packet[payload_offset(packet)..];
    let has_pts = has_payload(packet)
        && starts_unit(packet)
        && pes.len() >= 14
        && pes.starts_with(&[0, 0, 1])
        && pes[7] & 0x80 != 0;
    has_pts.then(|| read_timestamp(&pes[9..14]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first packet of a video frame: PCR of `ticks`, PTS of `ticks`, DTS of `ticks`.
    fn packet(ticks: u64) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        packet[..6].copy_from_slice(&[0x47, 0x41, 0x00, 0x3a, 7, 0x10]);
        packet[10] = 0x7e;
        packet[11] = 0x2c;
        packet[12..21].copy_from_slice(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10]);
        packet[21] = 0x31;
        packet[26] = 0x11;
        for marker in [23, 25, 28, 30] {
            packet[marker] = 1;
        }
        restamp_packet(&mut packet, ticks, &mut Continuity::default());
        packet
    }

    fn pcr_base(packet: &[u8; PACKET]) -> u64 {
        u64::from(u32::from_be_bytes([
            packet[6], packet[7], packet[8], packet[9],
        ])) << 1
            | u64::from(packet[10] >> 7)
    }

    #[test]
    fn all_timestamps_move_and_nothing_else_does() {
        let before = packet(1_234_567_890);
        let after = packet(8_123_456_789);
        assert_eq!(read_timestamp(&after[21..26]), 8_123_456_789);
        assert_eq!(read_timestamp(&after[26..31]), 8_123_456_789);
        assert_eq!(pcr_base(&after), 8_123_456_789);
        assert_eq!(presentation_time(&after), Some(8_123_456_789));
        assert_eq!(
            (after[10] & 0x7f, after[11]),
            (0x7e, 0x2c),
            "the extension of the PCR stays"
        );
        assert_eq!(
            (after[21] & 0xf1, after[26] & 0xf1),
            (0x31, 0x11),
            "prefix and marker stay"
        );
        assert_eq!(before[31..], after[31..]);
    }

    #[test]
    fn timestamps_wrap_at_33_bits() {
        let mut near_the_end = packet(TIMESTAMP_RANGE - 1);
        restamp_packet(&mut near_the_end, 3, &mut Continuity::default());
        assert_eq!(presentation_time(&near_the_end), Some(2));
        assert_eq!(pcr_base(&near_the_end), 2);

        // Backwards is forwards modulo 2^33.
        restamp_packet(
            &mut near_the_end,
            0_u64.wrapping_sub(4),
            &mut Continuity::default(),
        );
        assert_eq!(presentation_time(&near_the_end), Some(TIMESTAMP_RANGE - 2));
    }

    #[test]
    fn continuity_counts_payload_of_each_pid() {
        let mut audio = packet(0);
        audio[2] = 0x01;
        let mut no_payload = packet(0);
        no_payload[3] = 0x20;
        let packets = [packet(0), audio, packet(0), no_payload, packet(0)].concat();

        let mut continuity = Continuity::default();
        continuity.set(0x100, 31);
        let restamped = restamp(&packets, 0, &mut continuity);

        let counters: Vec<u8> = restamped
            .chunks(PACKET)
            .map(|packet| packet[3] & 0x0f)
            .collect();
        assert_eq!(counters, [15, 0, 0, 0, 1]);
    }

    #[test]
    fn a_null_packet_is_one() {
        let null = null_packet();
        assert_eq!(pid(&null), NULL_PID);
        assert_eq!(presentation_time(&null), None);
    }
}
