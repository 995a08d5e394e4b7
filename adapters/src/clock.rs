//! The two clocks of the machine, read together, and a sleep on the first of them.

use hls_relay_core::time::{Now, Timestamp, WallTime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The least pause between two wakeups. A machine that asks for a moment in the past, again and
/// again, then costs a thousandth of a core and not a whole one.
const LEAST_SLEEP: Duration = Duration::from_millis(1);

/// Both clocks at this moment.
pub fn now() -> Now {
    Now {
        monotonic: monotonic(),
        wall: wall(),
    }
}

/// The wall clock at this moment.
pub fn wall() -> WallTime {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    WallTime::from_micros(micros)
}

/// Sleeps until the moment has come; a moment that is past costs [`LEAST_SLEEP`].
pub async fn sleep_until(at: Timestamp) {
    let left = Duration::from_micros(at.since(monotonic()).as_micros());
    tokio::time::sleep(left.max(LEAST_SLEEP)).await;
}

/// A clock that goes on while the machine is suspended: what was valid before is then seen to be old.
#[cfg(target_os = "linux")]
fn monotonic() -> Timestamp {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Timestamp::from_micros(
        time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1_000,
    )
}

#[cfg(not(target_os = "linux"))]
fn monotonic() -> Timestamp {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let passed = START.get_or_init(std::time::Instant::now).elapsed();
    Timestamp::from_micros(u64::try_from(passed.as_micros()).unwrap_or(u64::MAX))
}
