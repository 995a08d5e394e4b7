//! AAC that is encoded anew, segment by segment, without a seam.
//!
//! A frame of AAC overlaps with its neighbours: what a decoder makes of frame `n` comes from the windows of
//! `n - 1` and `n`. An encoder is told to begin for each segment, so its first frames are made of silence,
//! and its last ones of what follows not yet. So it is given some frames of the segment before to begin with,
//! and of what it makes those frames are taken whose windows, and the look ahead of them, are all within what
//! it was given. They are numbered as the source's frames are: as many come out of a segment as went into it,
//! each with the time of a frame of the source, [`LATE`] frames earlier than the segment itself.

use super::media::{Stream, TICKS, Unit};

/// So many frames of the segment before are encoded again: by then an encoder that began with silence does
/// what one does that never stopped.
const PREROLL: usize = 12;
/// The frame at the end of what is given has no window yet that is complete, and the one before it was made
/// without knowing what follows.
const LATE: usize = 2;
/// In a frame of AAC.
const SAMPLES: i64 = 1024;
/// By the index in the header of ADTS (ISO/IEC 14496-3 table 1.18).
const RATES: [i64; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// A sound to be encoded: what the encoder is given, and what its frames are called.
#[derive(Debug)]
pub(super) struct Sound {
    /// Frames of the segment before, and then those of the segment.
    pub(super) given: Vec<Unit>,
    /// How many are of the segment before.
    preroll: usize,
    /// How long a frame of the source lasts.
    lasts: i64,
}

/// Why a sound cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SoundError {
    #[error("its sound is broken: no frame of AAC where one should begin")]
    Broken,
    #[error("of its sound {given} frames were decoded to {made}")]
    Inexact { given: usize, made: usize },
}

impl Sound {
    /// Of a stream, and of the same one in the segment before, where that is known.
    pub(super) fn new(stream: &Stream, before: Option<&Stream>) -> Result<Self, SoundError> {
        let (frames, lasts) = frames(&stream.units)?;
        // What cannot be read before is as if there were nothing before.
        let before = before.and_then(|it| frames_of(it, &frames, lasts));
        let mut given = before.unwrap_or_default();
        given.drain(..given.len().saturating_sub(PREROLL));
        let preroll = given.len();
        given.extend(frames);
        Ok(Self {
            given,
            preroll,
            lasts,
        })
    }

    /// Takes the segment's own out of all frames that the encoder has made, in their order.
    pub(super) fn taken(&self, made: Vec<Unit>) -> Result<Vec<Unit>, SoundError> {
        let given = self.given.len();
        // The encoder makes one frame more than it is given: the first is half of silence. Where half of the
        // rate is in the source's frames, and the other half is made up from it (SBR), two come of each.
        let each = made.len().saturating_sub(1) / given;
        if !(1..=2).contains(&each) || made.len() != given * each + 1 {
            let made = made.len();
            return Err(SoundError::Inexact { given, made });
        }
        let parts = i64::try_from(each).unwrap_or(1);
        let times: Vec<_> = self
            .given
            .iter()
            .flat_map(|unit| (0..parts).map(move |part| unit.pts + self.lasts * part / parts))
            .collect();
        let first = (self.preroll * each).saturating_sub(LATE);
        let end = times.len().saturating_sub(LATE);
        let made = made.into_iter().skip(1).zip(times);
        let own = made.take(end).skip(first);
        Ok(own
            .map(|(unit, pts)| Unit {
                pts,
                dts: pts,
                data: unit.data,
            })
            .collect())
    }
}

/// The frames right before others, if they are.
fn frames_of(before: &Stream, after: &[Unit], lasts: i64) -> Option<Vec<Unit>> {
    let (frames, _) = frames(&before.units).ok()?;
    let gap = after.first()?.pts - frames.last()?.pts - lasts;
    // Times are rounded to ticks, and some encoders to milliseconds.
    (gap.abs() < lasts / 2).then_some(frames)
}

/// Each frame as a unit, and how long one lasts.
fn frames(units: &[Unit]) -> Result<(Vec<Unit>, i64), SoundError> {
    let whole: Vec<u8> = units
        .iter()
        .flat_map(|it| it.data.iter().copied())
        .collect();
    let mut begins = units.iter().scan(0, |at, unit| {
        let begin = *at;
        *at += unit.data.len();
        Some((begin, unit.pts))
    });
    let mut next = begins.next();
    let (mut frames, mut at, mut rate) = (Vec::new(), 0, None);
    let (mut since, mut time) = (0, 0);
    while at < whole.len() {
        let (length, its_rate) = header(&whole[at..]).ok_or(SoundError::Broken)?;
        let rate = *rate.get_or_insert(its_rate);
        // The time of a unit is that of the first frame that begins in it (ISO/IEC 13818-1 2.4.3.7).
        while let Some((_, pts)) = next.filter(|(begin, _)| *begin <= at) {
            (since, time) = (0, pts);
            next = begins.next();
        }
        let pts = time + since * SAMPLES * TICKS / rate;
        let Some(data) = whole.get(at..at + length) else {
            // The end of it is in the next segment.
            break;
        };
        frames.push(Unit {
            pts,
            dts: pts,
            data: data.to_vec(),
        });
        (at, since) = (at + length, since + 1);
    }
    match rate {
        Some(rate) if !frames.is_empty() => Ok((frames, SAMPLES * TICKS / rate)),
        Some(_) | None => Err(SoundError::Broken),
    }
}

/// The length of the frame that begins here, and its rate (ISO/IEC 13818-7 6.2).
fn header(bytes: &[u8]) -> Option<(usize, i64)> {
    let [0xff, second, third, a, b, c, _, ..] = *bytes else {
        return None;
    };
    let length = usize::from(a & 3) << 11 | usize::from(b) << 3 | usize::from(c >> 5);
    let rate = RATES.get(usize::from(third >> 2 & 0x0f))?;
    (second & 0xf6 == 0xf0 && length > 7).then_some((length, *rate))
}

#[cfg(test)]
mod tests {
    use super::super::media::Kind;
    use super::*;

    /// A frame of 48 kHz that says which it is.
    fn frame(number: u8) -> Vec<u8> {
        let length: u8 = 9;
        vec![
            0xff,
            0xf1,
            3 << 2 | 0x40,
            0x80,
            length >> 3,
            length << 5 | 0x1f,
            0xfc,
            number,
            0,
        ]
    }

    /// Units of `per` frames each.
    fn stream(numbers: std::ops::Range<u8>, per: usize) -> Stream {
        let numbers: Vec<_> = numbers.collect();
        let units = numbers.chunks(per).map(|numbers| {
            let pts = i64::from(numbers[0]) * 1_920;
            let data = numbers.iter().flat_map(|it| frame(*it)).collect();
            Unit {
                pts,
                dts: pts,
                data,
            }
        });
        Stream {
            kind: Kind::Aac,
            stream_type: 0x0f,
            descriptors: Vec::new(),
            units: units.collect(),
        }
    }

    /// What an encoder makes: one more than it is given, of no time that means anything.
    fn made(sound: &Sound) -> Vec<Unit> {
        vec![Unit::default(); sound.given.len() + 1]
    }

    fn times(units: &[Unit]) -> Vec<i64> {
        units.iter().map(|unit| unit.pts / 1_920).collect()
    }

    #[test]
    fn segments_join_without_a_gap_and_without_an_overlap() {
        let parts = [0..40, 40..70, 70..100].map(|it| stream(it, 7));
        let mut all = Vec::new();
        let mut before = None;
        for part in &parts {
            let sound = Sound::new(part, before).unwrap();
            all.extend(times(&sound.taken(made(&sound)).unwrap()));
            before = Some(part);
        }
        assert_eq!(all, (0..98).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_right_before_is_not_taken_for_it() {
        let (far, own) = (stream(0..40, 1), stream(50..60, 3));
        let sound = Sound::new(&own, Some(&far)).unwrap();
        assert_eq!(sound.preroll, 0);
        assert_eq!(
            times(&sound.taken(made(&sound)).unwrap()),
            (50..58).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_frame_over_two_units_has_the_time_of_the_first() {
        let mut own = stream(0..6, 3);
        let rest = own.units[1].data.drain(..4).collect::<Vec<_>>();
        own.units[0].data.extend(rest);
        own.units[1].pts = 4 * 1_920;
        let (frames, lasts) = frames(&own.units).unwrap();
        assert_eq!((times(&frames), lasts), ((0..6).collect(), 1_920));
    }

    #[test]
    fn a_count_that_does_not_fit_is_an_error() {
        let sound = Sound::new(&stream(0..10, 1), None).unwrap();
        let wrong = vec![Unit::default(); 10];
        assert_eq!(
            sound.taken(wrong).unwrap_err(),
            SoundError::Inexact {
                given: 10,
                made: 10
            }
        );
        let mut broken = stream(0..3, 1);
        broken.units[1].data[0] = 0;
        assert_eq!(Sound::new(&broken, None).unwrap_err(), SoundError::Broken);
    }
}
