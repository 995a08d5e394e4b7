//! A day of media through what gives rungs their times: at its end pictures and sound are as far apart as at its
//! begin, to the tick, and no frame is there twice or not at all.
//!
//! Encoders are modelled, as they have no part in it: pictures come back in another order, and one frame of sound
//! more than was given, all of them without a time that means anything. Sound is encoded anew, or copied.

use super::media::{Kind, Media, Stream, TICKS, Unit, VideoKind, unwrapped, wrapped};
use super::plan::Plan;
use super::sound::Sound;
use super::timing::Timing;
use super::{demux, mux};
use hls_relay_core::command::TranscodeRung;
use hls_relay_core::ids::ObjectName;
use hls_relay_core::ladder::RungAudio;

const HOURS: i64 = 24;
/// Pictures of 29.97 a second, in segments of 4.004 s.
const STEP: i64 = 3_003;
const PICTURES: i64 = 120;
const SEGMENT: i64 = STEP * PICTURES;
/// Of sound, each with its index in a header of ADTS: no frame of either ends where a picture does.
const RATES: [(i64, u8); 2] = [(44_100, 4), (48_000, 3)];
const SAMPLES: i64 = 1_024;
/// Timestamps begin anew in the middle of the day.
const BEGIN: i64 = (1 << 33) - HOURS / 2 * 3_600 * TICKS;

/// When a frame of the sound is heard, to the nearest tick.
fn heard(frame: i64, rate: i64) -> i64 {
    BEGIN + (frame * SAMPLES * TICKS + rate / 2) / rate
}

/// The first frame that is heard in a segment.
fn first_frame(segment: i64, rate: i64) -> i64 {
    let begin = segment * SEGMENT;
    (begin * rate + SAMPLES * TICKS - 1) / (SAMPLES * TICKS)
}

fn unit(pts: i64, data: Vec<u8>) -> Unit {
    Unit {
        pts,
        dts: pts,
        data,
    }
}

/// A frame in ADTS, of which the content says no more than its number.
fn frame(number: i64, index: u8) -> Vec<u8> {
    let [.., high, low] = number.to_be_bytes();
    vec![
        0xff,
        0xf1,
        index << 2 | 0x40,
        0x80,
        1,
        0x3f,
        0xfc,
        high,
        low,
    ]
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
fn sound(segment: i64, near: i64, (rate, index): (i64, u8)) -> Stream {
    let frames = first_frame(segment, rate)..first_frame(segment + 1, rate);
    let frames: Vec<_> = frames.collect();
    let units = frames.chunks(5).map(|frames| {
        let data = frames.iter().flat_map(|it| frame(*it, index));
        unit(heard(frames[0], rate), data.collect())
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

const SEGMENTS: i64 = HOURS * 3_600 * TICKS / SEGMENT;

#[test]
fn after_a_day_pictures_and_sound_are_as_far_apart_as_at_its_begin() {
    RATES.into_iter().for_each(a_day_of_encoded_sound);
}

fn a_day_of_encoded_sound((rate, index): (i64, u8)) {
    let heard = |frame| heard(frame, rate);
    let sound = |segment, near| sound(segment, near, (rate, index));
    let (mut next_frame, mut decoded) = (0, None);
    let mut offsets = Vec::new();
    for segment in 0..SEGMENTS {
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
    assert_eq!(next_frame, first_frame(SEGMENTS, rate) - 2);
    assert!(offsets.iter().all(|it| it.abs() <= 1));
    assert_eq!(offsets.first(), Some(&0));
}

/// A segment as its source sends it: its pictures, of which the first stands alone, and its sound.
fn source(segment: i64, of: (i64, u8)) -> Media {
    let mut pictures = pictures(segment, None);
    for (place, picture) in pictures.units.iter_mut().enumerate() {
        let nal = if place == 0 { 0x65 } else { 0x41 };
        picture.data = vec![0, 0, 0, 1, nal, 0x80];
    }
    let sound = sound(segment, pictures.units[0].pts, of);
    let streams = vec![typed(pictures, 0x1b), typed(sound, 0x0f)];
    Media { streams }
}

fn typed(stream: Stream, stream_type: u8) -> Stream {
    Stream {
        stream_type,
        ..stream
    }
}

fn written(media: &Media) -> Vec<u8> {
    mux::write(&media.streams.iter().collect::<Vec<_>>())
}

/// What an encoder makes of what it is given.
fn made(given: &[u8]) -> Vec<u8> {
    let given = demux::read(given, Some(TICKS)).unwrap();
    let (_, pictures) = given.video().unwrap();
    let units = reordered(&pictures.shown(), 0);
    let coded = |it: Unit| Unit {
        dts: it.pts - 3 * STEP,
        data: vec![0, 0, 0, 1, 0x65, 0x80],
        ..it
    };
    let units = units.into_iter().map(coded).collect();
    let (kind, descriptors) = (Kind::Video(VideoKind::H264), Vec::new());
    let made = Stream {
        kind,
        stream_type: 0x1b,
        descriptors,
        units,
    };
    mux::write(&[&made])
}

/// The whole way of a segment, from one transport stream to the other. Nothing but the segment before it has a part in
/// it, so of a day each fiftieth is made with the one behind it, and those at its ends and where timestamps begin anew.
#[test]
fn copied_sound_is_as_far_from_its_pictures_after_a_day_as_at_its_begin() {
    let rung = TranscodeRung {
        object: ObjectName("a.ts".into()),
        name: "480p".into(),
        height: 480,
        bitrate: 1_000_000,
    };
    let ends = |it: i64| it + 2 >= SEGMENTS || (it - SEGMENTS / 2).abs() < 3;
    for of in RATES {
        let (mut decoded, mut compared) = (None::<(i64, i64)>, 0);
        for segment in (0..SEGMENTS).filter(|it| it % 50 < 2 || ends(*it)) {
            let given = source(segment, of);
            let before = (segment > 0).then(|| written(&source(segment - 1, of)));
            let bytes = written(&given);
            let plan = Plan::new(&bytes, before.as_deref(), RungAudio::Copy);
            let (plan, input) = plan.unwrap();
            let mut rungs = plan
                .rungs(&made(&input), std::slice::from_ref(&rung))
                .unwrap();
            let bytes = rungs.remove(0).unwrap().bytes;
            let near = given.streams[0].units[0].pts;
            let rung = demux::read(&bytes, Some(near)).unwrap();
            let [own, source] = [&rung, &given].map(|it| it.video().unwrap().1);
            assert_eq!(own.shown(), source.shown(), "segment {segment}");
            let [copied, source] = [&rung, &given].map(|it| it.beside().next().unwrap());
            let units = |it: &Stream| -> Vec<_> {
                let units = it.units.iter();
                units.map(|it| (it.pts, it.data.clone())).collect()
            };
            assert_eq!(units(copied), units(source), "segment {segment}");
            let times = own.units.iter().map(|it| it.dts);
            let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
            if let Some((_, before)) = decoded.filter(|(it, _)| it + 1 == segment) {
                assert!(apart(first, before) > 0, "segment {segment}");
                compared += 1;
            }
            decoded = Some((segment, last));
        }
        assert!(compared > SEGMENTS / 50);
    }
}
