//! Many seeds on all cores: the only place here with threads and a clock, besides the command line.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a sweep runs worlds side by side and says how fast; no world sees a thread or a clock"
)]

use crate::census::Census;
use crate::draw;
use crate::plan::Plan;
use crate::replay;
use crate::world::{Options, World};
#[cfg(feature = "planted")]
use hls_relay_core::planted::{Mistake, Planted};
use hls_relay_core::relay::Relay;
use hls_relay_core::time::Span;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One seed in so many is run twice and replayed from its journal.
const TWICE: u64 = 20;
/// So often it is told how far a sweep has come.
const TOLD_EVERY: Duration = Duration::from_secs(2);
/// From this many seeds on, what never happened is a failure.
pub const CENSUS_FROM: u64 = 5_000;

/// What to sweep.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The first seed.
    pub from: u64,
    /// How many; until the time is over where `None`.
    pub count: Option<u64>,
    /// For how long.
    pub time: Option<Duration>,
    /// How long each world runs before it is stopped.
    pub length: Span,
    /// Side by side.
    pub threads: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Swept {
    /// Seeds run.
    pub seeds: u64,
    /// Steps of machines.
    pub events: u64,
    /// Time in the worlds.
    pub simulated: Span,
    /// What happened how often.
    pub census: Census,
    /// The seeds that broke each promise.
    pub failures: BTreeMap<String, Vec<u64>>,
    /// How long it took.
    pub took: Duration,
    /// Stalls of all viewers, segments they played.
    pub stalls: u64,
    /// Segments that viewers played.
    pub played: u64,
}

impl Sweep {
    /// Runs it; `progress` is called now and then with what there is so far.
    pub fn run(&self, progress: impl Fn(&Swept) + Sync) -> Swept {
        let next = AtomicU64::new(self.from);
        let swept = Mutex::new(Swept::default());
        let began = Instant::now();
        let told = Mutex::new(began);
        let worker = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let counted = self.count.is_some_and(|count| seed - self.from >= count);
                let timed = self.time.is_some_and(|time| began.elapsed() >= time);
                if counted || timed {
                    return;
                }
                let plan = draw::plan_of_length(seed, self.length);
                let one = one(&plan);
                let mut swept = swept.lock().unwrap_or_else(PoisonError::into_inner);
                swept.add(seed, one);
                swept.took = began.elapsed();
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.elapsed() >= TOLD_EVERY {
                    *told = Instant::now();
                    progress(&swept);
                }
            }
        };
        std::thread::scope(|scope| {
            (0..self.threads.max(1)).for_each(|_| {
                scope.spawn(worker);
            });
        });
        let mut swept = swept.into_inner().unwrap_or_else(PoisonError::into_inner);
        swept.took = began.elapsed();
        swept
    }
}

/// How a planted mistake was found.
#[cfg(feature = "planted")]
#[derive(Clone, Debug)]
pub struct Found {
    /// How many seeds it took, in their order.
    pub seeds: u64,
    /// The promise that broke.
    pub invariant: String,
}

/// Looks for a mistake with the seeds from 1 on; `None`: not found with `cap` of them. A seed that fails
/// without the mistake too has found nothing.
#[cfg(feature = "planted")]
pub fn find(mistake: Mistake, cap: u64, threads: usize) -> Option<Found> {
    let next = AtomicU64::new(1);
    let found: Mutex<Option<Found>> = Mutex::new(None);
    let broken = |seed: u64, planted: Planted| {
        let options = Options {
            planted,
            ..Options::default()
        };
        let outcome = World::new(draw::plan(seed), options).run();
        outcome.failure.map(|failure| failure.violation.invariant)
    };
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
            let enough = lock().as_ref().is_some_and(|found| found.seeds < seed);
            if seed > cap || enough {
                return;
            }
            let Some(invariant) = broken(seed, Planted::new(Some(mistake))) else {
                continue;
            };
            if broken(seed, Planted::default()).is_some() {
                continue;
            }
            // The first of them counts, whichever thread was faster.
            let mut found = lock();
            if found.as_ref().is_none_or(|it| it.seeds > seed) {
                let seeds = seed;
                *found = Some(Found { seeds, invariant });
            }
        }
    };
    std::thread::scope(|scope| {
        (0..threads.max(1)).for_each(|_| {
            scope.spawn(worker);
        });
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What one seed adds.
struct One {
    outcome: crate::world::Outcome,
    broken: Option<String>,
}

fn one(plan: &Plan) -> One {
    let twice = plan.seed.is_multiple_of(TWICE);
    let outcome = World::new(
        plan.clone(),
        Options {
            journal: twice,
            trace: false,
            ..Options::default()
        },
    )
    .run();
    let mut broken = outcome
        .failure
        .as_ref()
        .map(|failure| failure.violation.invariant.clone());
    if twice && broken.is_none() {
        let again = World::new(plan.clone(), Options::default()).run();
        if again.digest != outcome.digest {
            broken = Some("determinism: a second run wants the same".to_owned());
        } else if let Err(why) = replay::check::<Relay>(&outcome.journal) {
            broken = Some(format!("determinism: the journal replays: {why}"));
        }
    }
    One { outcome, broken }
}

impl Swept {
    fn add(&mut self, seed: u64, one: One) {
        let One { outcome, broken } = one;
        self.seeds += 1;
        self.events += outcome.events;
        self.simulated += outcome.simulated;
        self.census.merge(&outcome.census);
        self.stalls += outcome.suffered.iter().map(|it| it.stalls).sum::<u64>();
        self.played += outcome.suffered.iter().map(|it| it.played).sum::<u64>();
        if let Some(invariant) = broken {
            self.failures.entry(invariant).or_default().push(seed);
        }
    }

    /// How fast, in one line.
    pub fn pace(&self) -> String {
        let millis = u64::try_from(self.took.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let per_second = |count: u64| count.saturating_mul(1_000) / millis;
        format!(
            "{} seeds in {}.{} s: {} seeds/s, {} simulated s/s, {} core events/s, {} failed",
            self.seeds,
            millis / 1_000,
            millis % 1_000 / 100,
            per_second(self.seeds),
            per_second(self.simulated.as_millis() / 1_000),
            per_second(self.events),
            self.failed(),
        )
    }

    /// How many seeds failed.
    pub fn failed(&self) -> usize {
        self.failures.values().map(Vec::len).sum()
    }
}
