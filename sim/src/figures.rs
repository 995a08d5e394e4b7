//! How fast worlds run: two measures, of the core alone and of everything together.
//!
//! Time is that of the processor on one thread, so that whatever else the machine does spoils no figure
//! but by what it does to the caches.

use crate::draw;
use crate::origin::SegmentDurations;
use crate::plan::Plan;
use crate::world::{Options, World};
use hls_relay_core::time::Span;
use rustix::time::{ClockId, clock_gettime};
use std::fmt;

const DAY: Span = Span::from_secs(24 * 3_600);
/// In seconds.
const SEGMENT: u64 = 6;
/// The best of so many runs counts.
const RUNS: u32 = 3;

/// What a world took.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What is measured.
    pub what: &'static str,
    /// Time in the world.
    pub simulated: Span,
    /// Steps of its machines.
    pub events: u64,
    /// Processor time of one core.
    pub took: Span,
}

/// A day of a channel of 6 s segments: without faults and viewers, where events count, and with as many faults
/// as the worlds of a sweep have, where the time of the day does.
pub fn measure() -> Result<[Figure; 2], String> {
    let mut calm = draw::faultless(1, DAY);
    calm.players.clear();
    let mut busy = draw::busy(3, DAY);
    busy.players = vec![Span::ZERO, Span::from_secs(60), Span::from_secs(120)];
    Ok([
        best_of("a day without faults", calm)?,
        best_of("a day with faults, viewers and all checks", busy)?,
    ])
}

fn best_of(what: &'static str, mut plan: Plan) -> Result<Figure, String> {
    for origin in &mut plan.origins {
        origin.target_duration = SEGMENT;
        origin.durations = SegmentDurations::Constant(Span::from_secs(SEGMENT));
    }
    let mut best: Option<Figure> = None;
    for _ in 0..RUNS {
        let began = thread_time();
        let outcome = World::new(plan.clone(), Options::default()).run();
        let took = thread_time().saturating_sub(began);
        if let Some(failure) = outcome.failure {
            return Err(format!("{what}: at {}: {}", failure.at, failure.violation));
        }
        if best.as_ref().is_none_or(|best| took < best.took) {
            best = Some(Figure {
                what,
                simulated: outcome.simulated,
                events: outcome.events,
                took,
            });
        }
    }
    best.ok_or_else(|| "nothing was measured".to_owned())
}

/// What this thread has had of a processor so far.
fn thread_time() -> Span {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Span::from_micros(time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000)
}

impl Figure {
    /// Steps of the core in a second of one processor core.
    pub fn events_per_second(&self) -> u64 {
        self.events.saturating_mul(1_000_000) / self.took.as_micros().max(1)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: {} ms of one core, {} events, {} core events/s (processor time, the best of {RUNS})",
            self.what,
            self.took.as_millis(),
            self.events,
            self.events_per_second()
        )
    }
}
