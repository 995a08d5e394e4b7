//! What processes cost, as the kernel counts it.

use std::fs;
use std::process::Child;

/// Processes that end with us.
pub(crate) struct Processes(pub(crate) Vec<Child>);

impl Processes {
    /// User and system time of all, in milliseconds. A tick is 10 ms.
    pub(crate) fn used_ms(&self) -> u64 {
        self.0.iter().map(|it| used_ms(it.id())).sum()
    }

    /// Bytes of memory of all, what they share counted once.
    pub(crate) fn memory(&self) -> u64 {
        self.0.iter().map(|it| memory(it.id())).sum()
    }

    /// How many have ended by themselves.
    pub(crate) fn ended(&mut self) -> usize {
        let ended = |it: &mut Child| !matches!(it.try_wait(), Ok(None));
        self.0.iter_mut().map(ended).filter(|it| *it).count()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

pub(crate) fn used_ms(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|it| it.parse::<u64>().ok()).sum::<u64>() * 10
}

pub(crate) fn memory(process: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find(|line| line.starts_with("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
