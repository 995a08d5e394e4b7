//! Bit rates as they are measured: the peak and the average of RFC 8216 4.3.4.2 (rule S-35).

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// What `BANDWIDTH` and `AVERAGE-BANDWIDTH` say of one media playlist, in bits per second, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredBandwidth {
    /// The largest bit rate of any run of segments that is half to one and a half target durations
    /// long. Never below the average.
    pub peak: u64,
    /// The bit rate of all segments together.
    pub average: u64,
}

/// Runs may be so much longer than one and a half target durations. The draft allows it (bis
/// 4.4.6.2) and the RFC does not; more runs can only raise the peak, so that both are kept.
const ALLOWANCE: Span = Span::from_millis(500);

/// Segments shorter than this part of a target duration are taken together with those behind them,
/// so that the cost is bounded: a run has about a hundred of what is left.
const PARTS_OF_TARGET: u64 = 64;

/// Measures segments that follow each other, each as its length in bytes and its duration, gaps left
/// out. Nothing where they have no duration.
pub fn measured_bandwidth(
    segments: impl IntoIterator<Item = (u64, Span)>,
    target_duration: Span,
) -> Option<MeasuredBandwidth> {
    let pieces = pieces(segments, target_duration.scaled(1, PARTS_OF_TARGET));
    let average = pieces
        .iter()
        .fold(Piece::default(), |sum, piece| sum.with(*piece))
        .bit_rate()?;
    let longest = target_duration.scaled(3, 2) + ALLOWANCE;
    let peak = (0..pieces.len()).filter_map(|first| {
        let mut run = Piece::default();
        let runs = pieces[first..].iter().enumerate().map_while(|(more, it)| {
            run = run.with(*it);
            // A segment that is longer than it may be is a run by itself.
            (more == 0 || run.duration <= longest).then_some(run)
        });
        runs.filter(|run| run.duration >= target_duration.half())
            .filter_map(Piece::bit_rate)
            .max()
    });
    let peak = peak.max().unwrap_or(average).max(average);
    Some(MeasuredBandwidth { peak, average })
}

#[derive(Clone, Copy, Default)]
struct Piece {
    bytes: u64,
    duration: Span,
}

impl Piece {
    fn with(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            duration: self.duration + other.duration,
        }
    }

    fn bit_rate(self) -> Option<u64> {
        let micros = u128::from(self.duration.as_micros());
        let bits = u128::from(self.bytes) * 8 * 1_000_000;
        let rate = (micros > 0).then(|| bits.div_ceil(micros))?;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

/// The segments, with those shorter than `least` taken together with those behind them; what is left
/// of them at the end belongs to the last piece.
fn pieces(segments: impl IntoIterator<Item = (u64, Span)>, least: Span) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut open = Piece::default();
    for (bytes, duration) in segments {
        open = open.with(Piece { bytes, duration });
        if open.duration >= least && open.duration > Span::ZERO {
            pieces.push(std::mem::take(&mut open));
        }
    }
    match pieces.last_mut() {
        Some(last) => *last = last.with(open),
        None => pieces.push(open),
    }
    pieces
}
