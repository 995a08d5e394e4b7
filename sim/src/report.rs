//! A failure in words: what broke, what the world was, the last steps, and the lines that run it
//! again and make it smaller.

use crate::plan::Plan;
use crate::world::{Failure, Options, Outcome, World};
use std::fmt::Write;

/// Steps shown before the failure.
const LAST_STEPS: usize = 40;
/// What runs worlds.
const COMMAND: &str = "cargo run --release -p hls-relay-sim --";

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
        // Found by what a sweep does beyond a run: a second one, and a replay of the journal.
        return format!(
            "FAILED: seed {}, which holds in one run: another run differs, or its journal does not replay\n\n\
             {plan}\ncensus: {}\n\n\
             run it twice:  {COMMAND} twice {how}\n\
             replay it:     {COMMAND} run {how} --journal journal && {COMMAND} replay journal\n",
            plan.seed,
            census(&outcome),
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
    let _ = writeln!(text, "\nrun it again:  {COMMAND} run {how} --trace");
    let _ = writeln!(text, "make it small: {COMMAND} shrink {how}");
    text
}

fn headline(text: &mut String, plan: &Plan, failure: &Failure) {
    let Failure {
        at,
        node,
        status,
        violation,
    } = failure;
    let micros = at.as_micros();
    let _ = writeln!(
        text,
        "FAILED: seed {} at {}.{:06} s\n{violation}\n  node     {node}\n  machine  {status}",
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
