//! The command that runs simulated worlds: one, many, twice, smaller, or from a file.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the command line prints, reads files and a clock; no world does"
)]

mod arguments;
mod clusters;

use arguments::{Failing, Many, SEEDS_SHOWN, Which, at_least_one, by_promise, read, write};
use clap::{Parser, Subcommand};
use hls_relay_sim::replay::ReplayArgs;
use hls_relay_sim::sweep::{CENSUS_FROM, Sweep, Swept};
use hls_relay_sim::world::{Options, Outcome, World};
use hls_relay_sim::{draw, figures, report, scenario, shrink, words};
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Simulated worlds of hls-relay. The exit code is 0 only when everything held.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Run one world.
    Run {
        #[command(flatten)]
        which: Which,
        /// Print every step.
        #[arg(long)]
        trace: bool,
        /// Write the journal of its processes.
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
        /// Print the digest of everything that was wanted, and nothing else.
        #[arg(long)]
        digest: bool,
    },
    /// Run many worlds on all cores, then measure as `bench` does (some seconds).
    Sweep {
        #[command(flatten)]
        many: Many,
        /// For how long, in place of a number of seeds.
        #[arg(long, conflicts_with = "count", value_parser = at_least_one())]
        minutes: Option<u64>,
    },
    /// Run one world in two processes and compare.
    Twice {
        #[command(flatten)]
        which: Which,
    },
    /// Make a failing world smaller.
    Shrink(Failing),
    /// Run scenarios; UPDATE_SCENARIOS=1 rewrites their stories.
    Scenario {
        /// The scripts.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Plant mistakes and see how many seeds it takes to find each.
    #[cfg(feature = "planted")]
    Planted {
        /// A mistake that is not found within so many seeds is a failure.
        #[arg(long, default_value_t = 2_000)]
        cap: u64,
        /// Only those whose names contain this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Clusters: several nodes around one Redis.
    #[command(subcommand)]
    Cluster(clusters::Command),
    /// Run journals through the core and stop at the first difference.
    Replay(ReplayArgs),
    /// Measure: the processor time of one core that a channel's day takes, without and with faults.
    Bench,
}

fn main() -> ExitCode {
    // A panic of the machine under test is a finding, told with its seed, not a crash.
    std::panic::set_hook(Box::new(|_| {}));
    let command = Cli::parse().command;
    let held = catch_unwind(|| carry_out(command));
    match held {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
        Err(panic) => {
            eprintln!("the simulator broke: {}", words::of_panic(&*panic));
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: What) -> Result<(), String> {
    match command {
        What::Run {
            which,
            trace,
            journal,
            digest,
        } => run(&which, trace, journal, digest),
        What::Sweep { many, minutes } => sweep(&many, minutes),
        What::Twice { which } => which.twice(&["run", "--digest"], &which.plan(draw::plan)?),
        What::Shrink(failing) => shrink_plan(&failing),
        What::Scenario { files } => scenarios(&files),
        #[cfg(feature = "planted")]
        What::Planted { cap, only } => planted(cap, only.as_deref()),
        What::Cluster(command) => clusters::carry_out(command),
        What::Replay(args) => args
            .run(&mut std::io::stdout().lock())
            .map_err(|error| error.to_string()),
        What::Bench => bench(),
    }
}

fn run(which: &Which, trace: bool, journal: Option<PathBuf>, digest: bool) -> Result<(), String> {
    let plan = which.plan(draw::plan)?;
    let options = Options {
        trace,
        journal: journal.is_some(),
        ..Options::default()
    };
    let outcome = World::new(plan.clone(), options).run();
    outcome.trace.iter().for_each(|line| println!("{line}"));
    if let Some(file) = journal {
        write(&file, &outcome.journal)?;
    }
    if digest {
        println!("{:016x}", outcome.digest);
        return match outcome.failure {
            Some(failure) => Err(format!("FAILED: {}", failure.violation)),
            None => Ok(()),
        };
    }
    match &outcome.failure {
        Some(_) => Err(report::failure(&plan, &which.words())),
        None => {
            print!("{plan}");
            println!("{}", summary(&outcome));
            Ok(())
        }
    }
}

fn summary(outcome: &Outcome) -> String {
    format!(
        "held: {} simulated, {} events, digest {:016x}\n{:?}\nviewers: {:?}",
        outcome.simulated, outcome.events, outcome.digest, outcome.totals, outcome.suffered
    )
}

fn sweep(many: &Many, minutes: Option<u64>) -> Result<(), String> {
    let time = minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let sweep = Sweep {
        from: many.from,
        count: time.is_none().then(|| many.count()),
        time,
        length: draw::DEFAULT_LENGTH,
        threads: many.threads(),
    };
    // Whoever ends a long sweep early knows what has failed so far.
    let swept = sweep.run(|swept| {
        let seeds = swept.failures.values().flatten().take(SEEDS_SHOWN);
        let seeds: String = seeds.map(|seed| format!(" {seed}")).collect();
        eprintln!("{}{seeds}", swept.pace());
    });
    println!("{}", swept.pace());
    println!(
        "viewers played {} segments and stalled {} times",
        swept.played, swept.stalls
    );
    if many.census {
        swept
            .census
            .iter()
            .for_each(|(name, count)| println!("{count:>12} {name}"));
    }
    let missing = swept.census.missing();
    let unforeseen = swept.census.unforeseen();
    if !unforeseen.is_empty() {
        println!("never asked for, and happened: {}", unforeseen.join(", "));
    }
    let is_large = swept.seeds >= CENSUS_FROM;
    match missing.len() {
        0 => {}
        _ if is_large || many.census => println!("never happened: {}", missing.join(", ")),
        count => println!(
            "never happened: {count} of what is counted, which in so few worlds is no failure (--census names them)"
        ),
    }
    if !swept.failures.is_empty() {
        return Err(failures(&swept));
    }
    if is_large && !missing.is_empty() {
        return Err("what never happens is not tested".to_owned());
    }
    bench()
}

fn failures(swept: &Swept) -> String {
    let mut text = String::new();
    if let Some(&seed) = swept.failures.values().flatten().min() {
        text.push_str(&report::failure(
            &draw::plan(seed),
            &format!("--seed {seed}"),
        ));
    }
    text + &by_promise(&swept.failures)
}

fn shrink_plan(failing: &Failing) -> Result<(), String> {
    let plan = failing.which.plan(draw::plan)?;
    let Some((small, runs)) = shrink::shrink(&plan) else {
        println!("nothing to shrink: everything holds");
        return Ok(());
    };
    let file = failing.write(&format!("seed-{}", plan.seed), small.to_json())?;
    let how = format!("--plan {}", file.display());
    let (from, to) = (plan.size(), small.size());
    Err(format!(
        "{}\n{runs} runs: from {from} things to {to}",
        report::failure(&small, &how)
    ))
}

fn scenarios(files: &[PathBuf]) -> Result<(), String> {
    let rewrite = std::env::var("UPDATE_SCENARIOS").is_ok();
    let mut failures = String::new();
    for file in files {
        let text = read(file)?;
        match scenario::run(&text) {
            Err(why) => failures.push_str(&format!("{}: {why}\n", file.display())),
            Ok(told) if told.text == text => println!("{}: as expected", file.display()),
            Ok(told) if rewrite => write(file, &told.text)?,
            Ok(told) => {
                let differs = first_difference(&text, &told.text);
                failures.push_str(&format!("{}: {differs}\n", file.display()));
            }
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

/// Where a story parts from what is written.
fn first_difference(wanted: &str, got: &str) -> String {
    let lines = wanted.lines().zip(got.lines());
    let same = lines.take_while(|(wanted, got)| wanted == got).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    let (wanted, got) = (line(wanted), line(got));
    if wanted == got {
        return "the last line does not end as lines do".to_owned();
    }
    let number = same + 1;
    format!("the story differs at line {number}\n  expected {wanted}\n  got      {got}")
}

#[cfg(feature = "planted")]
fn planted(cap: u64, only: Option<&str>) -> Result<(), String> {
    let all = hls_relay_core::planted::Mistake::ALL.map(|it| (it, format!("{it:?}")));
    arguments::mistakes(all.into(), (cap, only), |mistake| {
        let found = hls_relay_sim::sweep::find(mistake, cap, arguments::cores())?;
        Some((found.seeds, found.invariant))
    })
}

/// What worlds take on one core.
fn bench() -> Result<(), String> {
    let figures = figures::measure()?;
    figures.iter().for_each(|figure| println!("{figure}"));
    Ok(())
}
