//! Chance that comes in as a seed: the same seed, the same draws, on every machine.

use crate::config::RETRY_JITTER_PERCENT;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// SplitMix64: small, well studied, and enough for jitter and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `span`, up to [`RETRY_JITTER_PERCENT`] shorter or longer.
    pub(crate) fn jittered(&mut self, span: Span) -> Span {
        let percent = 100 - RETRY_JITTER_PERCENT + self.draw() % (2 * RETRY_JITTER_PERCENT + 1);
        span.scaled(percent, 100)
    }
}
