//! A failure in words: what broke, what the world was, the last steps, and the lines that run it
//! again and make it smaller.

use crate::plan::Plan;
use crate::world::{Failure, Options, Outcome, World};
use std::fmt::Write;

/// Steps shown before the failure.
const LAST_STEPS: usize = 40;

/// Runs a plan once more with every step in words, and tells how it failed.
pub fn failure(plan: &Plan, how: &str) -> String {
    let outcome = World::new(
        plan.clone(),
        Options {
            trace: true,
            journal: false,
            ..Options::default()
        },
    )
    .run();
    let mut text = String::new();
    let Some(failure) = &outcome.failure else {
        return format!(
            "seed {}: it does not fail again: the run is not deterministic\n",
            plan.seed
        );
    };
    headline(&mut text, plan, failure);
    let _ = writeln!(text, "\n{plan}");
    let _ = writeln!(text, "the last steps:");
    let from = outcome.trace.len().saturating_sub(LAST_STEPS);
    outcome.trace[from..].iter().for_each(|line| {
        let _ = writeln!(text, "  {line}");
    });
    let _ = writeln!(text, "\ncensus: {}", census(&outcome));
    let _ = writeln!(
        text,
        "\nrun it again:  cargo run --release -p hls-relay-sim -- run {how} --trace"
    );
    let _ = writeln!(
        text,
        "make it small: cargo run --release -p hls-relay-sim -- shrink {how}"
    );
    text
}

fn headline(text: &mut String, plan: &Plan, failure: &Failure) {
    let Failure {
        at,
        status,
        violation,
    } = failure;
    let micros = at.as_micros();
    let _ = writeln!(
        text,
        "FAILED: seed {} at {}.{:06} s\n{violation}\n  machine  {status}",
        plan.seed,
        micros / 1_000_000,
        micros % 1_000_000,
    );
}

fn census(outcome: &Outcome) -> String {
    let counts: Vec<String> = outcome
        .census
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join(", ")
}
