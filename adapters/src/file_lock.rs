//! A folder or file that belongs to one process at a time.
//!
//! The lock is the kernel's and ends with the process, however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};

/// A process that was killed a moment ago may still be on its way out, and whoever watched it starts
/// the next one at once.
const PATIENCE: Duration = Duration::from_secs(1);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// Takes the lock; `false` where another process keeps it. Waits for a second at the most: not to be
/// called where waiting is not allowed.
pub(crate) fn take(file: &File) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_EVERY),
        }
    }
}
