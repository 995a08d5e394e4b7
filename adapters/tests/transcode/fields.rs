//! Interlaced pictures of H.264 whose fields are pictures of their own (PAFF), which no encoder at hand makes: written
//! by hand, of macroblocks that are sent as they are (ITU-T H.264 7.3.5, I_PCM).

use crate::jobs::name;
use crate::media::{decoded_pictures, packets};
use crate::{get, put, transcode, transcoder, work};
use hls_relay::store::Store;
use hls_relay_core::ladder::RungAudio;
use std::path::Path;
use std::process::Command;

/// Frames in a second, and in a segment.
const FRAMES: usize = 25;
/// Of 64×64 pixels: a field has half of the lines.
const BLOCKS_OF_FIELD: usize = 4 * 2;
/// Ticks from one field to the next.
const STEP: i64 = 90_000 / (2 * FRAMES as i64);

/// Bits as they stand in a parameter set or a slice.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Used of the last byte.
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) -> &mut Self {
        for at in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = u8::from(value >> at & 1 == 1);
            *self.bytes.last_mut().unwrap() |= bit << (7 - self.used % 8);
            self.used += 1;
        }
        self
    }

    /// Exp-Golomb.
    fn golomb(&mut self, value: u32) -> &mut Self {
        let length = (value + 1).ilog2();
        self.put(0, length).put(value + 1, length + 1)
    }

    fn aligned(&mut self) -> &mut Self {
        while !self.used.is_multiple_of(8) {
            self.put(0, 1);
        }
        self
    }

    /// A unit of the stream, with what keeps start codes out of it.
    fn unit(&mut self, header: u8) -> Vec<u8> {
        self.put(1, 1).aligned();
        let mut unit = vec![0, 0, 0, 1, header];
        for byte in &self.bytes {
            if unit.ends_with(&[0, 0]) && *byte <= 3 {
                unit.push(3);
            }
            unit.push(*byte);
        }
        unit
    }
}

fn parameter_sets() -> Vec<u8> {
    let mut sequence = Bits::default();
    // Main profile, level 3; frame numbers of 4 bits; shown as decoded; one reference.
    sequence.put(77, 8).put(0, 8).put(30, 8).golomb(0);
    sequence.golomb(0).golomb(2).golomb(1).put(0, 1);
    // 4 blocks wide, 2 pairs of blocks high; not frames alone, and fields only as pictures.
    sequence.golomb(3).golomb(1).put(0, 1).put(0, 1);
    sequence.put(1, 1).put(0, 1).put(0, 1);
    let mut picture = Bits::default();
    // CAVLC, and a say on the deblocking filter.
    picture.golomb(0).golomb(0).put(0, 1).put(0, 1).golomb(0);
    picture.golomb(0).golomb(0).put(0, 1).put(0, 2);
    picture
        .golomb(0)
        .golomb(0)
        .golomb(0)
        .put(1, 1)
        .put(0, 1)
        .put(0, 1);
    [sequence.unit(0x67), picture.unit(0x68)].concat()
}

/// A field behind its delimiter: gray that tells which frame it is of.
fn field(frame: usize, is_bottom: bool) -> Vec<u8> {
    let number = frame % FRAMES;
    let is_idr = number == 0 && !is_bottom;
    let mut slice = Bits::default();
    slice.golomb(0).golomb(7).golomb(0);
    slice
        .put(number as u32 % 16, 4)
        .put(1, 1)
        .put(u32::from(is_bottom), 1);
    if is_idr {
        slice.golomb((frame / FRAMES % 2) as u32).put(0, 1);
    }
    // Nothing is forgotten, no change of the quantizer, no deblocking.
    slice.put(0, 1).golomb(0).golomb(1);
    for block in 0..BLOCKS_OF_FIELD {
        slice.golomb(25).aligned();
        let gray = 32 + (number * 5 + block * 7) as u32 % 180;
        for _ in 0..384 {
            slice.put(gray, 8);
        }
    }
    let delimiter = Bits::default().put(0, 3).unit(9);
    let sets = if is_idr { parameter_sets() } else { Vec::new() };
    let kind = if is_idr { 0x65 } else { 0x61 };
    [delimiter, sets, slice.unit(kind)].concat()
}

/// Segments of a second, with a unit of the container for each field.
fn source(folder: &Path, segments: usize) -> Vec<Vec<u8>> {
    let fields = (0..segments * FRAMES).flat_map(|it| [field(it, false), field(it, true)]);
    std::fs::write(
        folder.join("fields.h264"),
        fields.flatten().collect::<Vec<_>>(),
    )
    .unwrap();
    let times = format!("setts=time_base=1/90000:pts=900000+N*{STEP}:dts=900000+N*{STEP}");
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "h264",
            "-i",
            "fields.h264",
            "-c",
            "copy",
            "-bsf:v",
            &times,
        ])
        .args([
            "-muxdelay",
            "0",
            "-muxpreload",
            "0",
            "-f",
            "hls",
            "-hls_time",
            "1",
        ])
        .args(["-hls_list_size", "0", "index.m3u8"])
        .current_dir(folder)
        .status();
    assert!(made.unwrap().success());
    let read = |it| std::fs::read(folder.join(format!("index{it}.ts"))).unwrap();
    (0..segments).map(read).collect()
}

/// The same with both fields in one unit of the container: the header of each second one becomes stuffing in front
/// of what it headed (ISO/IEC 13818-1 2.4.3.4).
fn paired(segment: &[u8]) -> Vec<u8> {
    let (mut segment, mut begun) = (segment.to_vec(), 0);
    for packet in segment.as_chunks_mut::<188>().0 {
        let begins = packet[1] & 0x40 != 0;
        let has_field = packet[3] & 0x20 != 0;
        let payload = 4 + if has_field {
            1 + usize::from(packet[4])
        } else {
            0
        };
        if !begins || packet[payload..].get(..4) != Some(&[0, 0, 1, 0xe0]) {
            continue;
        }
        begun += 1;
        if begun % 2 == 1 {
            continue;
        }
        let header = 9 + usize::from(packet[payload + 8]);
        assert_eq!(packet[payload + 4..payload + 6], [0, 0], "of no length");
        packet[1] &= !0x40;
        packet[payload..payload + header].fill(0xff);
        if !has_field {
            packet[3] |= 0x20;
            packet[5] = 0;
        }
        packet[4] = u8::try_from(payload + header - 5).unwrap();
    }
    segment
}

#[tokio::test]
async fn fields_that_are_pictures_of_their_own_become_whole_pictures() {
    become_whole_pictures(<[u8]>::to_vec).await;
}

#[tokio::test]
async fn fields_in_one_unit_become_whole_pictures() {
    become_whole_pictures(paired).await;
}

/// `packed` as the container has the fields, each of which is a unit of its own.
async fn become_whole_pictures(packed: fn(&[u8]) -> Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let segments = source(folder, 5);
    let (store, transcoder) = (Store::memory(), transcoder(2));
    let mut decoded = Vec::new();
    for (at, bytes) in segments.iter().enumerate() {
        let fields = packets(folder, bytes, "v");
        assert_eq!(
            fields.len(),
            2 * FRAMES,
            "each field is a packet of its own"
        );
        put(&store, &at.to_string(), &packed(bytes)).await;
        let before = at.checked_sub(1).map(|it| it.to_string());
        let work = work(&at.to_string(), before.as_deref(), RungAudio::Copy);
        let made = transcode(&transcoder, &store, &work).await.unwrap();
        assert!(made.rungs.iter().all(Result::is_ok), "{made:?}");
        let rung = get(&store, &name(format!("96-{at}.ts"))).unwrap();
        let pictures = packets(folder, &rung, "v");
        // One for each pair, when the first of it is shown.
        let mut shown: Vec<_> = pictures.iter().map(|it| it.pts).collect();
        shown.sort_unstable();
        let firsts: Vec<_> = fields.iter().step_by(2).map(|it| it.pts).collect();
        assert_eq!(shown, firsts, "segment {at}");
        assert!(pictures[0].is_key && pictures.iter().all(|it| it.dts <= it.pts));
        decoded.extend(pictures.iter().map(|it| it.dts));
        assert_eq!(decoded_pictures(folder, &rung), (FRAMES, String::new()));
        let formats = made.rungs[0].clone().unwrap().formats.unwrap().unwrap();
        assert_eq!(formats.resolution.map(|it| it.height), Some(64));
    }
    assert!(decoded.windows(2).all(|pair| pair[0] < pair[1]));
}
