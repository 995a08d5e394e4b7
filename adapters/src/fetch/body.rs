//! The body of an answer, chunk by chunk, within its limits of time, rate and size.

use super::failure;
use bytes::Bytes;
use hls_relay_core::command::FetchLimits;
use hls_relay_core::event::FetchError;
use hls_relay_core::time::Span;
use reqwest::Response;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// When a request must have got how far.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) first_byte: Instant,
    pub(super) whole: Instant,
}

impl Deadlines {
    pub(super) fn from_now(limits: &FetchLimits) -> Self {
        let now = Instant::now();
        Self {
            first_byte: now + duration(limits.first_byte),
            whole: now + duration(limits.whole),
        }
    }
}

/// A span of the core as the runtime takes it.
pub(super) fn duration(span: Span) -> Duration {
    Duration::from_micros(span.as_micros())
}

/// Reads a body and watches it. After an error it is not asked again.
pub(super) struct BodyReader<'a> {
    response: Response,
    limits: &'a FetchLimits,
    whole: Instant,
    floor: RateFloor,
    expected: Option<u64>,
    received: u64,
}

impl<'a> BodyReader<'a> {
    /// A reader that starts now, with the head of the answer just in.
    pub(super) fn new(response: Response, limits: &'a FetchLimits, whole: Instant) -> Self {
        let expected = response.content_length();
        let floor = RateFloor::new(limits.least_bytes, duration(limits.rate_window));
        Self {
            response,
            limits,
            whole,
            floor,
            expected,
            received: 0,
        }
    }

    /// The length that the head has announced.
    pub(super) fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// The next bytes as they came over the wire; `None` once all have come.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let slow_at = self.floor.deadline();
        let until = slow_at.map_or(self.whole, |at| at.min(self.whole));
        let chunk = match timeout_at(until, self.response.chunk()).await {
            Err(_) => return Err(self.out_of_time(slow_at)),
            Ok(Err(error)) => return Err(failure::of_body(&error, self.received, self.expected)),
            Ok(Ok(chunk)) => chunk,
        };
        let Some(bytes) = chunk else {
            return match self.expected {
                Some(expected) if self.received < expected => Err(FetchError::Truncated {
                    received: self.received,
                    expected,
                }),
                _ => Ok(None),
            };
        };
        self.received += bytes.len() as u64;
        if self.received > self.limits.max_bytes {
            return Err(FetchError::TooLarge {
                limit: self.limits.max_bytes,
            });
        }
        self.floor.add(Instant::now(), bytes.len() as u64);
        Ok(Some(bytes))
    }

    fn out_of_time(&self, slow_at: Option<Instant>) -> FetchError {
        if slow_at.is_some_and(|at| at < self.whole) {
            FetchError::TooSlow {
                bytes: self.floor.sum,
                within: self.limits.rate_window,
            }
        } else {
            FetchError::WholeTimeout(self.limits.whole)
        }
    }
}

/// Says when a transfer will have been too slow, if nothing more comes.
///
/// Every window of the given length after the first byte must hold the least number of bytes. Only
/// the newest chunks that together reach it are remembered: the window breaks when the oldest of
/// them leaves it.
struct RateFloor {
    least: u64,
    window: Duration,
    start: Instant,
    chunks: VecDeque<(Instant, u64)>,
    sum: u64,
}

impl RateFloor {
    fn new(least: u64, window: Duration) -> Self {
        Self {
            least,
            window,
            start: Instant::now(),
            chunks: VecDeque::new(),
            sum: 0,
        }
    }

    fn add(&mut self, at: Instant, bytes: u64) {
        if self.least == 0 {
            return;
        }
        self.chunks.push_back((at, bytes));
        self.sum += bytes;
        while let Some(&(_, oldest)) = self.chunks.front() {
            if self.sum - oldest < self.least {
                break;
            }
            self.sum -= oldest;
            self.chunks.pop_front();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.least == 0 {
            return None;
        }
        let oldest = self.chunks.front().filter(|_| self.sum >= self.least);
        Some(oldest.map_or(self.start, |&(at, _)| at) + self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(2);

    #[test]
    fn the_first_window_starts_with_the_first_byte() {
        let floor = RateFloor::new(100, WINDOW);
        assert_eq!(floor.deadline(), Some(floor.start + WINDOW));
    }

    #[test]
    fn a_window_breaks_when_a_needed_chunk_leaves_it() {
        let mut floor = RateFloor::new(100, WINDOW);
        let at = |millis| floor.start + Duration::from_millis(millis);
        let (first, second, third) = (at(100), at(500), at(900));
        floor.add(first, 60);
        assert_eq!(
            floor.deadline(),
            Some(floor.start + WINDOW),
            "60 of 100 so far"
        );
        floor.add(second, 60);
        assert_eq!(floor.deadline(), Some(first + WINDOW), "both are needed");
        floor.add(third, 60);
        assert_eq!(
            floor.deadline(),
            Some(second + WINDOW),
            "the first is needed no more"
        );
        floor.add(third, 100);
        assert_eq!(floor.deadline(), Some(third + WINDOW));
    }

    #[test]
    fn no_floor_is_no_deadline() {
        assert_eq!(RateFloor::new(0, WINDOW).deadline(), None);
    }
}
