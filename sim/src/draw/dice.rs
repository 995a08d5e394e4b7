//! Draws one after the other, for whoever draws up a plan.

use crate::rng::Stream;
use hls_relay_core::time::Span;

/// A stream of draws that remembers how many were made.
pub(crate) struct Dice {
    stream: Stream,
    drawn: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self {
            stream: Stream::new(seed, name),
            drawn: 0,
        }
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.drawn += 1;
        self.stream.below(self.drawn, limit)
    }

    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Span {
        Span::from_millis(self.between(from, to))
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}
