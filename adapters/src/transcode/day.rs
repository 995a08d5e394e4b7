//! A day of media through what gives rungs their times: at its end pictures and sound are as far apart as at its
//! begin, to the tick, and no frame is there twice or not at all.
//!
//! Encoders are modelled, as they have no part in it: pictures come back in another order, and one frame of sound
//! more than was given, all of them without a time that means anything.

use super::media::{Kind, Stream, TICKS, Unit, VideoKind, unwrapped, wrapped};
use super::sound::Sound;
use super::timing::Timing;

const HOURS: i64 = 24;
/// Pictures of 29.97 a second, in segments of 4.004 s.
const STEP: i64 = 3_003;
const PICTURES: i64 = 120;
const SEGMENT: i64 = STEP * PICTURES;
/// Frames of 44.1 kHz, which end where no picture does.
const RATE: i64 = 44_100;
const SAMPLES: i64 = 1_024;
/// Timestamps begin anew in the middle of the day.
const BEGIN: i64 = (1 << 33) - HOURS / 2 * 3_600 * TICKS;

/// When a frame of the sound is heard, to the nearest tick.
fn heard(frame: i64) -> i64 {
    BEGIN + (frame * SAMPLES * TICKS + RATE / 2) / RATE
}

/// The first frame that is heard in a segment.
fn first_frame(segment: i64) -> i64 {
    let begin = segment * SEGMENT;
    (begin * RATE + SAMPLES * TICKS - 1) / (SAMPLES * TICKS)
}

fn unit(pts: i64, data: Vec<u8>) -> Unit {
    Unit {
        pts,
        dts: pts,
        data,
    }
}

/// A frame in ADTS, of which the content does not matter.
fn frame() -> Vec<u8> {
    vec![0xff, 0xf1, 4 << 2 | 0x40, 0x80, 1, 0x3f, 0xfc, 0, 0]
}

/// As it is read out of a transport stream: times of 33 bits, the nearest to the one before.
fn read(kind: Kind, units: Vec<Unit>, near: Option<i64>) -> Stream {
    let mut near = near;
    let times = units.into_iter().map(|it| {
        let raw = i64::try_from(wrapped(it.pts)).unwrap();
        let time = near.map_or(raw, |near| unwrapped(raw, near));
        near = Some(time);
        unit(time, it.data)
    });
    Stream {
        kind,
        stream_type: 0,
        descriptors: Vec::new(),
        units: times.collect(),
    }
}

fn pictures(segment: i64, near: Option<i64>) -> Stream {
    let shown = (0..PICTURES).map(|it| unit(BEGIN + segment * SEGMENT + it * STEP, Vec::new()));
    read(Kind::Video(VideoKind::H264), shown.collect(), near)
}

/// Five frames in a unit, as a packager does that saves headers; only the first has a time.
fn sound(segment: i64, near: i64) -> Stream {
    let frames: Vec<_> = (first_frame(segment)..first_frame(segment + 1)).collect();
    let units = frames.chunks(5).map(|frames| {
        let data = frames.iter().flat_map(|_| frame());
        unit(heard(frames[0]), data.collect())
    });
    read(Kind::Aac, units.collect(), Some(near))
}

/// In the order of decoding: after each fourth picture the three before it.
fn reordered(shown: &[i64], shift: i64) -> Vec<Unit> {
    let group = |times: &[i64]| {
        let (last, between) = times.split_last().unwrap();
        let order: Vec<_> = std::iter::once(*last)
            .chain(between.iter().copied())
            .collect();
        order
    };
    let order = std::iter::once(shown[0]).chain(shown[1..].chunks(3).flat_map(group));
    order.map(|pts| unit(pts - shift, Vec::new())).collect()
}

/// How far apart two times are that are the same but for their wrap.
fn apart(one: i64, other: i64) -> i64 {
    unwrapped(one, other) - other
}

#[test]
fn after_a_day_pictures_and_sound_are_as_far_apart_as_at_its_begin() {
    let segments = HOURS * 3_600 * TICKS / SEGMENT;
    let (mut next_frame, mut decoded) = (0, None);
    let mut offsets = Vec::new();
    for segment in 0..segments {
        let shown = pictures(segment, None);
        let first = shown.units[0].pts;
        let before = (segment > 0).then(|| pictures(segment - 1, Some(first)));
        let timing = Timing::new(&shown, before.as_ref());
        let times = shown.shown();
        let mut made = reordered(&times, first - TICKS);
        timing.apply(&mut made, first - TICKS).unwrap();
        for picture in &made {
            let after = decoded.map_or(1, |before| apart(picture.dts, before));
            assert!(after > 0 && picture.dts <= picture.pts, "segment {segment}");
            decoded = Some(picture.dts);
        }
        let mut of_rung: Vec<_> = made.iter().map(|it| it.pts).collect();
        of_rung.sort_unstable();
        assert_eq!(of_rung, times, "segment {segment}");

        let own = sound(segment, first);
        let before = (segment > 0).then(|| sound(segment - 1, first));
        let given = Sound::new(&own, before.as_ref()).unwrap();
        let encoder = vec![Unit::default(); given.given.len() + 1];
        let taken = given.taken(encoder).unwrap();
        for frame in &taken {
            let off = apart(frame.pts, heard(next_frame));
            assert!(off.abs() <= 1, "frame {next_frame} is {off} ticks off");
            next_frame += 1;
        }
        // From a picture to the sound that was heard with it at the source, and is in the rung.
        let rung = apart(taken[0].pts, of_rung[0]);
        let at_source = apart(heard(next_frame - taken.len() as i64), times[0]);
        offsets.push(rung - at_source);
    }
    // But for the last two, which the next segment would bring.
    assert_eq!(next_frame, first_frame(segments) - 2);
    assert!(offsets.iter().all(|it| it.abs() <= 1));
    assert_eq!(offsets.first(), Some(&0));
}
