//! A strict look at MPEG-TS (ISO/IEC 13818-1): what a demuxer must find between two segments that are
//! not said to break.

use std::collections::BTreeMap;

const PACKET: usize = 188;
const PAT: u16 = 0;
const NULL: u16 = 0x1fff;
/// The stream type of AAC in ADTS.
const AAC: u8 = 0x0f;
/// And of H.264.
#[allow(dead_code, reason = "not every test program looks for it")]
pub(crate) const H264: u8 = 0x1b;
/// Timestamps have 33 bits, in ticks of 90 kHz.
pub(crate) const RANGE: i64 = 1 << 33;

/// A stream as the tables announce it: its PID and its type.
pub(crate) type Tracks = BTreeMap<u16, u8>;

/// What was found in a run of bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demuxed {
    pub(crate) tracks: Tracks,
    /// The first and the last continuity counter of each PID.
    pub(crate) counters: BTreeMap<u16, (u8, u8)>,
    /// Decoding times in the order of the bytes, of each PID.
    pub(crate) times: BTreeMap<u16, Vec<i64>>,
    /// What the last unit of each PID carries.
    last_units: BTreeMap<u16, Vec<u8>>,
}

impl Demuxed {
    /// Reads a segment. Counters have to go on within it, every unit needs a time.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(PACKET) {
            return Err(format!("{} bytes are no whole packets", bytes.len()));
        }
        let mut found = Self::default();
        let mut tables = Vec::new();
        for packet in bytes.as_chunks::<PACKET>().0 {
            found.packet(packet, &mut tables)?;
        }
        if found.tracks.is_empty() {
            return Err("no PMT".to_owned());
        }
        Ok(found)
    }

    fn packet(&mut self, packet: &[u8; PACKET], tables: &mut Vec<u16>) -> Result<(), String> {
        if packet[0] != 0x47 {
            return Err("no sync byte".to_owned());
        }
        if packet[1] & 0x80 != 0 {
            return Err("transport error".to_owned());
        }
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let has_payload = packet[3] & 0x10 != 0;
        let offset = match packet[3] & 0x20 {
            0 => 4,
            _ => 5 + usize::from(packet[4]),
        };
        if pid == NULL || !has_payload {
            return Ok(());
        }
        let payload = packet.get(offset..).ok_or("an adaptation field too long")?;
        let counter = packet[3] & 0x0f;
        let (_, last) = self
            .counters
            .entry(pid)
            .or_insert((counter, counter.wrapping_sub(1) & 0x0f));
        if counter != (*last + 1) & 0x0f {
            return Err(format!("PID {pid:#x}: counter {counter} after {last}"));
        }
        *last = counter;
        let starts = packet[1] & 0x40 != 0;
        if starts && pid == PAT {
            let section = section(payload);
            for program in section.get(8..).unwrap_or_default().as_chunks::<4>().0 {
                let number = u16::from(program[0]) << 8 | u16::from(program[1]);
                if number != 0 {
                    tables.push(u16::from(program[2] & 0x1f) << 8 | u16::from(program[3]));
                }
            }
        } else if starts && tables.contains(&pid) {
            self.tracks.extend(tracks(section(payload)));
        } else if starts && self.tracks.contains_key(&pid) {
            let time =
                decoding_time(payload).ok_or(format!("PID {pid:#x}: a unit without a time"))?;
            self.times.entry(pid).or_default().push(time);
            let data = payload.get(9 + usize::from(payload[8])..);
            self.last_units
                .insert(pid, data.unwrap_or_default().to_vec());
        } else if let Some(unit) = self.last_units.get_mut(&pid) {
            unit.extend_from_slice(payload);
        }
        Ok(())
    }

    /// What breaks between this segment and the next one: tracks, counters, timestamps.
    pub(crate) fn breaks(&self, next: &Self) -> Vec<String> {
        let mut breaks = Vec::new();
        if self.tracks != next.tracks {
            breaks.push(format!("tracks {:?} become {:?}", self.tracks, next.tracks));
        }
        for (pid, (_, last)) in &self.counters {
            if let Some((first, _)) = next.counters.get(pid)
                && *first != (last + 1) & 0x0f
            {
                breaks.push(format!("PID {pid:#x}: counter {first} after {last}"));
            }
        }
        for (pid, times) in &self.times {
            let (Some(next), [.., before, last]) = (next.times.get(pid), &times[..]) else {
                breaks.push(format!("PID {pid:#x}: not enough units"));
                continue;
            };
            let lasts = match self.tracks.get(pid) {
                Some(&AAC) => aac_ticks(&self.last_units[pid]),
                // A unit of video is a picture, and those come at a constant rate.
                _ => wrapped(last - before),
            };
            let step = wrapped(next[0] - last);
            // Timestamps are rounded to whole ticks.
            if (step - lasts).abs() > 1 {
                breaks.push(format!(
                    "PID {pid:#x}: {step} ticks to the next unit, and the last one lasts {lasts}"
                ));
            }
        }
        breaks
    }
}

/// A difference of timestamps, over the wrap of their 33 bits.
pub(crate) fn wrapped(difference: i64) -> i64 {
    (difference + RANGE / 2).rem_euclid(RANGE) - RANGE / 2
}

/// The section at the start of a payload, without its checksum.
fn section(payload: &[u8]) -> &[u8] {
    let start = 1 + usize::from(payload[0]);
    let section = payload.get(start..).unwrap_or_default();
    let [_, high, low, ..] = section else {
        return &[];
    };
    let length = usize::from(high & 0x0f) << 8 | usize::from(*low);
    section
        .get(..(3 + length).saturating_sub(4))
        .unwrap_or_default()
}

fn tracks(section: &[u8]) -> Tracks {
    let mut tracks = Tracks::new();
    let length = |at: usize| match section.get(at..at + 2) {
        Some(field) => usize::from(field[0] & 0x0f) << 8 | usize::from(field[1]),
        None => 0,
    };
    let mut at = 12 + length(10);
    while let Some(track) = section.get(at..at + 5) {
        let pid = u16::from(track[1] & 0x1f) << 8 | u16::from(track[2]);
        tracks.insert(pid, track[0]);
        at += 5 + length(at + 3);
    }
    tracks
}

/// The DTS of a PES packet, or its PTS where both are the same.
fn decoding_time(pes: &[u8]) -> Option<i64> {
    if pes.len() < 19 || !pes.starts_with(&[0, 0, 1]) {
        return None;
    }
    let field = match pes[7] >> 6 {
        0b10 => &pes[9..14],
        0b11 => &pes[14..19],
        _ => return None,
    };
    let byte = |at: usize| i64::from(field[at]);
    Some(
        (byte(0) >> 1 & 0x07) << 30
            | byte(1) << 22
            | (byte(2) >> 1) << 15
            | byte(3) << 7
            | byte(4) >> 1,
    )
}

/// How long the ADTS frames of a unit last (ISO/IEC 13818-7, 6.2): 1024 samples each.
fn aac_ticks(mut unit: &[u8]) -> i64 {
    const RATES: [i64; 4] = [96_000, 88_200, 64_000, 48_000];
    let mut ticks = 0;
    while let [0xff, _, rate, a, b, c, _, ..] = *unit {
        let length = usize::from(a & 3) << 11 | usize::from(b) << 3 | usize::from(c >> 5);
        let rate = RATES.get(usize::from(rate >> 2 & 0x0f)).unwrap_or(&44_100);
        ticks += 1_024 * 90_000 / rate;
        unit = unit.get(length.max(7)..).unwrap_or_default();
    }
    ticks
}
