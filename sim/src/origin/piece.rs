//! A stretch of an encoder's work in which all is regular: where each segment begins and ends is a
//! formula of its index.

use super::spec::{OriginSpec, SegmentDurations, total};
use crate::rng::Stream;
use hls_relay_core::time::Span;

/// A stretch of regular work.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Which stretch of contiguous numbers it belongs to.
    pub(super) run: u32,
    /// The run whose names it uses.
    pub(super) names: u32,
    pub(super) first_number: u64,
    pub(super) first_tick: u64,
    pub(super) target_duration: u64,
    /// Whether its first segment follows a discontinuity.
    pub(super) discontinuity: bool,
    /// The discontinuity sequence number of its segments.
    pub(super) discontinuity_sequence: u64,
    /// Since when EXT-X-ENDLIST follows its last segment.
    pub(super) ended_at: Option<Span>,
    /// When its first segment begins, in microseconds; before zero for a backlog.
    pub(super) began: i64,
    /// How many segments it has, if it ever ends.
    pub(super) count: u64,
    /// Where the last of them is cut short, counted from the beginning.
    pub(super) cut: Option<u64>,
    pub(super) durations: SegmentDurations,
    pub(super) jitter: Stream,
    pub(super) publish: Stream,
}

impl Piece {
    /// When the segment begins, in microseconds.
    pub(super) fn start(&self, index: u64) -> i64 {
        self.began + self.durations.boundary(index, self.jitter) as i64
    }

    /// When it ends.
    pub(super) fn end(&self, index: u64) -> i64 {
        match self.cut.filter(|_| index + 1 == self.count) {
            Some(cut) => self.began + cut as i64,
            None => self.start(index + 1),
        }
    }

    /// The presentation time at which it ends, in ticks not cut to 33 bits.
    pub(super) fn end_tick(&self, index: u64) -> u64 {
        match self.cut.filter(|_| index + 1 == self.count) {
            Some(cut) => self.first_tick + ticks(cut),
            None => self.tick(index + 1),
        }
    }

    /// The same stretch of time in the segments of another track.
    pub(super) fn cut_otherwise(&self, spec: &OriginSpec, first_number: Option<u64>) -> Self {
        let mut piece = Self {
            first_number: first_number.unwrap_or(spec.media_sequence),
            // A change of the target duration makes all segments as long.
            durations: match self.target_duration == spec.target_duration {
                true => spec.durations.clone(),
                false => self.durations.clone(),
            },
            ..self.clone()
        };
        if self.count < u64::MAX {
            let length = self.durations.boundary(self.count, self.jitter);
            let whole = piece.durations.count_ended(length, piece.jitter);
            let rest = length > piece.durations.boundary(whole, piece.jitter);
            piece.count = whole + u64::from(rest);
            piece.cut = rest.then_some(length);
        }
        piece
    }

    /// How long it is.
    pub(super) fn duration(&self, index: u64) -> Span {
        Span::from_micros(self.end(index).abs_diff(self.start(index)))
    }

    /// The presentation time at which it begins, in ticks not cut to 33 bits.
    pub(super) fn tick(&self, index: u64) -> u64 {
        self.first_tick + ticks(self.durations.boundary(index, self.jitter))
    }

    /// The segment of this number, if it is one of this piece.
    pub(super) fn index_of(&self, number: u64) -> Option<u64> {
        number
            .checked_sub(self.first_number)
            .filter(|&index| index < self.count)
    }

    /// No segment that has not ended by now will be made.
    pub(super) fn stop(&mut self, now: i64) {
        self.count = self.count_ended(now);
    }

    pub(super) fn count_ended(&self, now: i64) -> u64 {
        let elapsed = u64::try_from(now - self.began).unwrap_or(0);
        self.durations
            .count_ended(elapsed, self.jitter)
            .min(self.count)
    }

    pub(super) fn count_begun(&self, now: i64) -> u64 {
        let ended = self.count_ended(now);
        if self.start(ended) < now {
            (ended + 1).min(self.count)
        } else {
            ended
        }
    }
}

impl SegmentDurations {
    /// Where segment `index` begins within its piece, in microseconds.
    pub(super) fn boundary(&self, index: u64, jitter: Stream) -> u64 {
        match self {
            Self::Constant(_) => self.mean() * index,
            Self::Pattern(spans) if spans.is_empty() => index,
            Self::Pattern(spans) => {
                let length = spans.len() as u64;
                let rest = (index % length) as usize;
                total(spans) * (index / length) + total(&spans[..rest])
            }
            Self::Jittered { .. } if index == 0 => 0,
            Self::Jittered { .. } => {
                let by = self.boundary_jitter();
                self.mean() * index + jitter.below(index, 2 * by + 1) - by
            }
        }
    }

    /// How many segments have ended once so much of their piece has gone by.
    pub(super) fn count_ended(&self, elapsed: u64, jitter: Stream) -> u64 {
        // A boundary is off by less than one round of the pattern, or less than one segment.
        let (segments, round) = match self {
            Self::Constant(_) | Self::Jittered { .. } => (1, self.mean()),
            Self::Pattern(spans) => ((spans.len() as u64).max(1), total(spans).max(1)),
        };
        let mut count = (elapsed / round).saturating_sub(1) * segments;
        while self.boundary(count + 1, jitter) <= elapsed {
            count += 1;
        }
        count
    }
}

pub(super) fn micros(span: Span) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Microseconds as ticks of 90 kHz, cut.
pub(super) fn ticks(micros: u64) -> u64 {
    (u128::from(micros) * 9 / 100) as u64
}
