//! Many clusters on all cores, and how many it takes to find a mistake.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a sweep runs worlds side by side and says how fast; no world sees a thread or a clock"
)]

use super::plan::Plan;
#[cfg(feature = "planted")]
use super::plan::Slip;
use super::world::{Options, Outcome, World};
use crate::replay::{self, NodeMachine};
#[cfg(feature = "planted")]
use hls_relay_core::planted::{Mistake, Planted};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One seed in so many is run twice.
const TWICE: u64 = 20;
/// From this many seeds on, what never happened is a failure.
pub const CENSUS_FROM: u64 = 1_000;
/// Steps shown before a failure.
const LAST_STEPS: usize = 60;
const COMMAND: &str = "cargo run --release -p hls-relay-sim -- cluster";

/// What a large sweep must have seen.
const EXPECTED: [&str; 38] = [
    "alone",
    "change made",
    "change refused",
    "change told lost",
    "channel abandoned",
    "channel closed",
    "channel erased",
    "channel not opened",
    "channel opened",
    "claim",
    "cut between nodes",
    "cut from redis",
    "cut off",
    "drain",
    "free",
    "hint lost",
    "hints lost",
    "kill",
    "leave",
    "node left",
    "pause",
    "peer asked",
    "process started",
    "publish fenced",
    "publish found nothing",
    "publish refused: lease over",
    "publish unanswered",
    "published alone",
    "redis away",
    "redis lost all",
    "redis lost the last writes",
    "register",
    "replies lost",
    "sent again",
    "store gone",
    "successor skipped",
    "successor went on",
    "tell gone",
];

/// What came of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// Seeds run.
    pub seeds: u64,
    /// What happened how often.
    pub census: BTreeMap<&'static str, u64>,
    /// The seeds that broke each promise.
    pub failures: BTreeMap<String, Vec<u64>>,
    events: u64,
    millis: u64,
    played: u64,
    stalls: u64,
    took: Duration,
}

impl Swept {
    /// How fast, in one line.
    pub fn pace(&self) -> String {
        let millis = u64::try_from(self.took.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        format!(
            "{} clusters in {}.{} s: {} ms each, {} simulated s, {} steps; viewers played {} segments and stalled {} times; {} failed",
            self.seeds,
            millis / 1_000,
            millis % 1_000 / 100,
            millis / self.seeds.max(1),
            self.millis / 1_000,
            self.events,
            self.played,
            self.stalls,
            self.failures.values().map(Vec::len).sum::<usize>(),
        )
    }

    /// What never happened, and should have in so many seeds.
    pub fn missing(&self) -> Vec<&'static str> {
        EXPECTED
            .into_iter()
            .filter(|it| !self.census.contains_key(it))
            .collect()
    }

    fn add(&mut self, seed: u64, outcome: Outcome, broken: Option<String>) {
        self.seeds += 1;
        self.events += outcome.events;
        self.millis += outcome.simulated.as_millis();
        self.played += outcome.suffered.iter().map(|it| it.played).sum::<u64>();
        self.stalls += outcome.suffered.iter().map(|it| it.stalls).sum::<u64>();
        for (what, count) in outcome.census {
            *self.census.entry(what).or_default() += count;
        }
        if let Some(invariant) = broken {
            self.failures.entry(invariant).or_default().push(seed);
        }
    }
}

/// What is wrong with a second run: it differs, or the nodes' journals do not replay.
fn again(seed: u64, first: &Outcome) -> Option<String> {
    let options = Options {
        journal: true,
        ..Options::default()
    };
    let again = World::new(Plan::draw(seed), options).run();
    if again.digest != first.digest {
        return Some("determinism: a second run wants the same".to_owned());
    }
    let mut replayed = again
        .journals
        .iter()
        .map(|it| replay::check::<NodeMachine>(it));
    let parted = replayed.find_map(Result::err)?;
    Some(format!("the journal of a node replays: {}", parted.why))
}

/// Runs `count` seeds from `from` on.
pub fn sweep(from: u64, count: u64, threads: usize) -> Swept {
    let next = AtomicU64::new(from);
    let swept = Mutex::new(Swept::default());
    let began = Instant::now();
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - from >= count {
                return;
            }
            let outcome = World::new(Plan::draw(seed), Options::default()).run();
            let mut broken = outcome.failure.as_ref().map(|it| it.1.invariant.clone());
            if seed.is_multiple_of(TWICE) && broken.is_none() {
                broken = again(seed, &outcome);
            }
            let mut swept = swept.lock().unwrap_or_else(PoisonError::into_inner);
            swept.add(seed, outcome, broken);
        }
    };
    std::thread::scope(|scope| {
        (0..threads.max(1)).for_each(|_| {
            scope.spawn(worker);
        });
    });
    let mut swept = swept.into_inner().unwrap_or_else(PoisonError::into_inner);
    swept.took = began.elapsed();
    swept
}

/// Runs a plan once more with every step in words, and tells how it failed.
pub fn failure(plan: &Plan, how: &str) -> String {
    let options = Options {
        trace: true,
        ..Options::default()
    };
    let outcome = World::new(plan.clone(), options).run();
    let seed = plan.seed;
    let mut text = String::new();
    let Some((at, violation)) = &outcome.failure else {
        return format!(
            "FAILED: seed {seed} holds in one run: another run differs\n\n{plan}\nrun it twice: {COMMAND} twice {how}\n"
        );
    };
    let micros = at.as_micros();
    let _ = writeln!(
        text,
        "FAILED: seed {seed} at {}.{:06} s\n{violation}\n\n{plan}\nthe last steps:",
        micros / 1_000_000,
        micros % 1_000_000
    );
    let from = outcome.trace.len().saturating_sub(LAST_STEPS);
    for line in &outcome.trace[from..] {
        let _ = writeln!(text, "  {line}");
    }
    let census: Vec<String> = outcome
        .census
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    let _ = writeln!(
        text,
        "\ncensus: {}\n\nrun it again: {COMMAND} run {how} --trace\nmake it smaller: {COMMAND} shrink {how}",
        census.join(", ")
    );
    text
}

/// A mistake on purpose.
#[cfg(feature = "planted")]
#[derive(Clone, Copy, Debug)]
pub enum Planting {
    /// In the machines.
    Machine(Mistake),
    /// In what surrounds them.
    Around(Slip),
}

#[cfg(feature = "planted")]
impl Planting {
    /// All of them, with their names.
    pub fn all() -> Vec<(Self, String)> {
        let machine = Mistake::OF_CLUSTER.map(|it| (Self::Machine(it), format!("{it:?}")));
        let around = Slip::ALL.map(|it| (Self::Around(it), format!("{it:?}")));
        machine.into_iter().chain(around).collect()
    }

    /// Of a world with it.
    pub fn options(self) -> Options {
        match self {
            Self::Machine(mistake) => Options {
                planted: Planted::new(Some(mistake)),
                ..Options::default()
            },
            Self::Around(slip) => Options {
                slip: Some(slip),
                ..Options::default()
            },
        }
    }

    /// The first seed from 1 on that finds it, up to `cap`, and the promise that broke. A seed that fails
    /// without it too has found nothing.
    pub fn find(self, cap: u64, threads: usize) -> Option<(u64, String)> {
        let next = AtomicU64::new(1);
        let found: Mutex<Option<(u64, String)>> = Mutex::new(None);
        let broken = |seed: u64, options: Options| {
            let outcome = World::new(Plan::draw(seed), options).run();
            outcome.failure.map(|it| it.1.invariant)
        };
        let worker = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
                let enough = lock().as_ref().is_some_and(|found| found.0 < seed);
                if seed > cap || enough {
                    return;
                }
                let Some(invariant) = broken(seed, self.options()) else {
                    continue;
                };
                if broken(seed, Options::default()).is_some() {
                    continue;
                }
                let mut found = lock();
                if found.as_ref().is_none_or(|it| it.0 > seed) {
                    *found = Some((seed, invariant));
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
}
