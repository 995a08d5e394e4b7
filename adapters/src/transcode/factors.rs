//! How coarse each rung has to be encoded to come to its bit rate.
//!
//! An encoder that is told a bit rate begins with a guess and takes seconds to correct it: begun anew for each
//! segment, it would show every segment coarse at first and then finer. So it is told how coarse (x264's rate
//! factor) and bounded by the peak of the bit rate, and what the segments before have come to tells the factor.
//! A factor that is not known, or not right any more, costs some bits or some quality of a segment or two.

use hls_relay_core::command::TranscodeRung;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Good in the eyes of most; x264's own, too.
const FIRST: f64 = 23.0;
/// Finer is not seen, and coarser is not looked at.
const RANGE: (f64, f64) = (15.0, 42.0);
/// So much more of the factor halves the bit rate.
const HALVES: f64 = 6.0;
/// How much of what a segment was off is corrected with the next one: they differ.
const CORRECTED: f64 = 0.7;
/// So many rungs are remembered. All are forgotten beyond it, which costs them a guess.
const MOST: usize = 10_000;

/// The factors of all rungs of a node.
#[derive(Debug, Default)]
pub(super) struct Factors {
    known: Mutex<HashMap<Key, f64>>,
}

type Key = (Arc<str>, u32, u64);

impl Factors {
    /// The factor for the next segment of a rung.
    pub(super) fn get(&self, channel: &Arc<str>, rung: &TranscodeRung) -> f64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key(channel, rung)).copied().unwrap_or(FIRST)
    }

    /// A segment that was made with a factor has come to so many bits in a second.
    pub(super) fn learn(
        &self,
        channel: &Arc<str>,
        rung: &TranscodeRung,
        factor: f64,
        bitrate: u64,
    ) {
        let excess = (bitrate.max(1) as f64 / rung.bitrate.max(1) as f64).log2();
        let factor = (factor + CORRECTED * HALVES * excess).clamp(RANGE.0, RANGE.1);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key(channel, rung), factor);
    }
}

fn key(channel: &Arc<str>, rung: &TranscodeRung) -> Key {
    (channel.clone(), rung.height, rung.bitrate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_relay_core::ids::ObjectName;

    #[test]
    fn a_rung_comes_to_its_bit_rate_within_a_few_segments() {
        let channel: Arc<str> = "news".into();
        let rung = TranscodeRung {
            name: "240p".into(),
            object: ObjectName("1.ts".into()),
            height: 240,
            bitrate: 400_000,
        };
        for at_first in [40_000.0, 400_000.0, 3_200_000.0_f64] {
            let factors = Factors::default();
            let comes_to = |factor: f64| at_first * ((FIRST - factor) / HALVES).exp2();
            for _ in 0..4 {
                let factor = factors.get(&channel, &rung);
                factors.learn(&channel, &rung, factor, comes_to(factor) as u64);
            }
            let bitrate = comes_to(factors.get(&channel, &rung));
            // What is easy does not have to come to it.
            let least = if at_first < 100_000.0 {
                90_000.0
            } else {
                380_000.0
            };
            assert!(
                (least..420_000.0).contains(&bitrate),
                "{at_first}: {bitrate}"
            );
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let factors = Factors::default();
        for number in 0..MOST as u64 + 5 {
            let rung = TranscodeRung {
                name: "240p".into(),
                object: ObjectName("1.ts".into()),
                height: 240,
                bitrate: 400_000 + number,
            };
            factors.learn(&"news".into(), &rung, FIRST, 400_000);
        }
        assert!(factors.known.lock().unwrap().len() <= MOST);
    }
}
