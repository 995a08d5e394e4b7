//! The times of a rung's pictures: those of the source, whatever an encoder calls them.

use super::media::{Stream, TICKS, Unit};

/// Encoders decode no picture more than so many pictures before it is shown: B-pictures, and those that
/// others of them refer to. All rungs decode so many pictures ahead, in all segments, so that their decoding
/// times go on over every border.
pub(super) const REORDERED: usize = 2;
/// Where there is only one picture: 25 a second.
const USUAL_STEP: i64 = TICKS / 25;
/// Longer between two segments is a break.
const MOST_BETWEEN: i64 = TICKS;

/// When the pictures of a segment are shown.
#[derive(Debug)]
pub(super) struct Timing {
    /// In that order.
    shown: Vec<i64>,
    /// When the last ones before the segment were shown; empty where that is not known.
    before: Vec<i64>,
    /// Pictures at its begin may need some that nobody has.
    pub(super) may_lack: bool,
}

/// What an encoder has made does not have the source's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Inexact {
    #[error("{made} pictures were made of {source}", source = .of)]
    Count { made: usize, of: usize },
    #[error("a picture is shown at {made}, and in the source at {of} (ticks of 90 kHz)")]
    Time { made: i64, of: i64 },
    #[error("a picture is decoded after it is shown")]
    Order,
}

impl Timing {
    /// Of a segment's pictures, and of those before it.
    pub(super) fn new(pictures: &Stream, before: Option<&Stream>) -> Self {
        let shown = pictures.shown();
        let mut before = before.map(Stream::shown).unwrap_or_default();
        before.drain(..before.len().saturating_sub(REORDERED));
        Self {
            shown,
            before,
            may_lack: false,
        }
    }

    /// When the first picture is shown.
    pub(super) fn first(&self) -> i64 {
        self.shown.first().copied().unwrap_or(0)
    }

    /// From the first picture to the last.
    pub(super) fn lasts(&self) -> i64 {
        self.shown.last().map_or(0, |last| last - self.first())
    }

    /// So much of all its pictures is so much in a second.
    pub(super) fn per_second(&self, amount: u64) -> u64 {
        let count = self.shown.len() as u64;
        let lasts = match self.lasts().unsigned_abs() {
            0 => USUAL_STEP.unsigned_abs(),
            lasts => lasts + lasts / (count - 1).max(1),
        };
        amount.saturating_mul(TICKS.unsigned_abs()) / lasts
    }

    /// Whether the pictures of `before` are those right before `pictures`.
    pub(super) fn joins(before: &Stream, pictures: &Stream) -> bool {
        let last = before.units.iter().map(|unit| unit.pts).max();
        let first = pictures.units.iter().map(|unit| unit.pts).min();
        let between = last.zip(first).map(|(last, first)| first - last);
        between.is_some_and(|between| (1..=MOST_BETWEEN).contains(&between))
    }

    /// Thousandths of a picture in a second, where they come at equal distances.
    pub(super) fn frame_rate(&self) -> Option<u32> {
        let steps = || self.shown.windows(2).map(|pair| pair[1] - pair[0]);
        let (least, most) = (steps().min()?, steps().max()?);
        let count = i64::try_from(self.shown.len()).ok()? - 1;
        let lasts = self.lasts();
        // Whole ticks are one off at most in either direction.
        let rate = || u32::try_from((TICKS * 1_000 * count + lasts / 2) / lasts).ok();
        (least > 0 && most - least <= 2).then(rate)?
    }

    /// Gives the pictures that were made, in the order of decoding, the source's times. Theirs are the source's
    /// less `shift`.
    pub(super) fn apply(&self, pictures: &mut [Unit], shift: i64) -> Result<(), Inexact> {
        let mut shown: Vec<_> = pictures.iter().map(|it| it.pts + shift).collect();
        shown.sort_unstable();
        self.check(&shown)?;
        for (picture, dts) in pictures.iter_mut().zip(self.decoded(&shown)) {
            picture.pts += shift;
            picture.dts = dts;
            if picture.dts > picture.pts {
                return Err(Inexact::Order);
            }
        }
        Ok(())
    }

    /// Whether these are the pictures of the source: all of them; where its pictures are pairs of fields, one for
    /// each pair; where it begins with pictures that nobody could decode, the others.
    fn check(&self, shown: &[i64]) -> Result<(), Inexact> {
        let (made, of) = (shown.len(), self.shown.len());
        let lacking = of.checked_sub(made).filter(|_| made > 0);
        let lacking = lacking.ok_or(Inexact::Count { made, of })?;
        let expected: Vec<_> = if lacking == 0 || self.may_lack {
            self.shown[lacking..].to_vec()
        } else if lacking == made {
            self.shown.iter().step_by(2).copied().collect()
        } else {
            return Err(Inexact::Count { made, of });
        };
        let differ = shown.iter().zip(&expected).find(|(made, of)| made != of);
        match differ {
            Some((&made, &of)) => Err(Inexact::Time { made, of }),
            None => Ok(()),
        }
    }

    /// When they are decoded: each when the one is shown that is [`REORDERED`] pictures earlier. So what is shown
    /// tells it, in this segment and before, and no encoder's delay has a part in it.
    fn decoded(&self, shown: &[i64]) -> Vec<i64> {
        let steps = shown.windows(2).map(|pair| pair[1] - pair[0]);
        let step = steps.min().unwrap_or(USUAL_STEP);
        let first = shown.first().copied().unwrap_or(0);
        let ahead: Vec<_> = if self.before.len() == REORDERED {
            self.before.clone()
        } else {
            (1..).map(|it| first - it * step).take(REORDERED).collect()
        };
        let mut decoded = ahead;
        decoded.sort_unstable();
        decoded.extend_from_slice(shown);
        decoded.truncate(shown.len());
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::super::media::{Kind, VideoKind};
    use super::*;

    fn pictures(times: &[i64]) -> Stream {
        let unit = |pts: &i64| Unit {
            pts: *pts,
            ..Unit::default()
        };
        Stream {
            kind: Kind::Video(VideoKind::H264),
            stream_type: 0x1b,
            descriptors: Vec::new(),
            units: times.iter().map(unit).collect(),
        }
    }

    #[test]
    fn decoding_goes_on_over_a_border_whatever_the_distances() {
        let (one, two) = (pictures(&[10, 40, 20, 30]), pictures(&[55, 90, 60, 70]));
        let mut decoded = Vec::new();
        for (part, before) in [(&one, None), (&two, Some(&one))] {
            let mut made = part.units.clone();
            made.iter_mut().for_each(|it| it.pts -= 5);
            Timing::new(part, before).apply(&mut made, 5).unwrap();
            let shown: Vec<_> = made.iter().map(|it| it.pts).collect();
            assert_eq!(
                shown,
                part.units.iter().map(|it| it.pts).collect::<Vec<_>>()
            );
            decoded.extend(made.iter().map(|it| it.dts));
        }
        assert_eq!(decoded, [-10, 0, 10, 20, 30, 40, 55, 60]);
    }

    #[test]
    fn what_does_not_have_the_times_of_the_source_is_refused() {
        let timing = |times: &[i64]| Timing::new(&pictures(times), None);
        let apply = |timing: &Timing, times: &[i64]| timing.apply(&mut pictures(times).units, 0);
        let source = timing(&[0, 10, 20, 30]);
        assert_eq!(
            apply(&source, &[0, 10, 20]),
            Err(Inexact::Count { made: 3, of: 4 })
        );
        assert_eq!(apply(&source, &[]), Err(Inexact::Count { made: 0, of: 4 }));
        assert_eq!(
            apply(&source, &[0, 10, 20, 30, 40]),
            Err(Inexact::Count { made: 5, of: 4 })
        );
        assert_eq!(
            apply(&source, &[0, 10, 21, 30]),
            Err(Inexact::Time { made: 21, of: 20 })
        );
        assert_eq!(apply(&source, &[30, 20, 10, 0]), Err(Inexact::Order));
        // A picture of two fields.
        assert_eq!(apply(&source, &[0, 20]), Ok(()));
        let mut open = timing(&[0, 10, 20, 30]);
        open.may_lack = true;
        assert_eq!(apply(&open, &[10, 20, 30]), Ok(()));
        assert_eq!(
            apply(&open, &[0, 10, 30]),
            Err(Inexact::Time { made: 0, of: 10 })
        );
    }

    #[test]
    fn the_frame_rate_is_told_where_there_is_one() {
        let every = |ticks: &dyn Fn(i64) -> i64| {
            Timing::new(&pictures(&(0..100).map(ticks).collect::<Vec<_>>()), None).frame_rate()
        };
        assert_eq!(every(&|it| it * 3_600), Some(25_000));
        let second: Vec<_> = (0..25).map(|it| it * 3_600).collect();
        assert_eq!(
            Timing::new(&pictures(&second), None).per_second(1_000),
            1_000
        );
        assert_eq!(every(&|it| it * 3_003), Some(29_970));
        assert_eq!(every(&|it| it * 15_015 / 4), Some(23_976));
        assert_eq!(every(&|it| it * it * 100), None);
        assert_eq!(Timing::new(&pictures(&[5]), None).frame_rate(), None);
        assert_eq!(Timing::new(&pictures(&[5, 5]), None).frame_rate(), None);
    }
}
