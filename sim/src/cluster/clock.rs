//! Clocks that run a little faster or slower than true time, and go on while nobody looks at them.

use hls_relay_core::time::{Span, Timestamp};

const MILLION: u64 = 1_000_000;

fn rate(ppm: i64) -> u64 {
    MILLION.saturating_add_signed(ppm)
}

/// What a clock shows that showed `boot` when the world began and gains `ppm` microseconds in a second.
pub(super) fn local(boot: Span, ppm: i64, now: Timestamp) -> Timestamp {
    let passed = now.since(Timestamp::default());
    Timestamp::default() + boot + passed.scaled(rate(ppm), MILLION)
}

/// The first moment at which it shows this.
pub(super) fn true_time(boot: Span, ppm: i64, at: Timestamp) -> Timestamp {
    let passed = at.since(Timestamp::default() + boot);
    let mut time = Timestamp::default() + passed.scaled(MILLION, rate(ppm));
    while local(boot, ppm, time) < at {
        time = time + Span::from_micros(1);
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_a_moment_first_when_it_is_said_to() {
        for ppm in [-10_000, -7, 0, 3, 10_000] {
            let boot = Span::from_secs(77);
            for micros in [1, 999_999, 123_456_789] {
                let shown = Timestamp::default() + boot + Span::from_micros(micros);
                let time = true_time(boot, ppm, shown);
                assert!(local(boot, ppm, time) >= shown, "{ppm} {micros}");
                let before = Timestamp::from_micros(time.as_micros() - 1);
                assert!(local(boot, ppm, before) < shown, "{ppm} {micros}");
            }
        }
    }
}
