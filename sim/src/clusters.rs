//! The commands for clusters: run one, many, twice, smaller.

use crate::{SEEDS_SHOWN, Which, at_least_one, same_digest, write};
use clap::Subcommand;
use hls_relay_sim::cluster::plan::Plan;
use hls_relay_sim::cluster::{Options, World, shrink, sweep};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run one.
    Run {
        #[command(flatten)]
        which: Which,
        /// Print every step.
        #[arg(long)]
        trace: bool,
        /// Print the digest of everything that was wanted, and nothing else.
        #[arg(long)]
        digest: bool,
    },
    /// Run many on all cores.
    Sweep {
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many seeds.
        #[arg(long, default_value_t = 1_000, value_parser = at_least_one())]
        count: u64,
        /// How many at a time; one for each core where nothing is said.
        #[arg(long, value_parser = at_least_one())]
        threads: Option<u64>,
        /// Print what happened how often.
        #[arg(long)]
        census: bool,
    },
    /// Run one in two processes and compare.
    Twice {
        #[command(flatten)]
        which: Which,
    },
    /// Make a failing one smaller.
    Shrink {
        #[command(flatten)]
        which: Which,
        /// Where the smaller plan is written.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Of one that fails with this mistake in it.
        #[cfg(feature = "planted")]
        #[arg(long)]
        mistake: Option<String>,
    },
    /// Plant mistakes and see how many seeds it takes to find each.
    #[cfg(feature = "planted")]
    Planted {
        /// A mistake that is not found within so many seeds is a failure.
        #[arg(long, default_value_t = 300)]
        cap: u64,
        /// Only those whose names contain this.
        #[arg(long)]
        only: Option<String>,
    },
}

pub(super) fn carry_out(command: Command) -> Result<(), String> {
    match command {
        Command::Run {
            which,
            trace,
            digest,
        } => run(&which, trace, digest),
        Command::Sweep {
            from,
            count,
            threads,
            census,
        } => many(from, count, crate::threads(threads), census),
        Command::Twice { which } => {
            let [kind, value] = which.arguments();
            let run = ["cluster", "run", "--digest"].map(OsString::from);
            same_digest(&[&run[..], &[kind, value]].concat())
        }
        #[cfg(feature = "planted")]
        Command::Shrink {
            which,
            out,
            mistake,
        } => {
            let options = mistake.map_or(Ok(Options::default()), |it| planting(&it))?;
            smaller(&which, out, options)
        }
        #[cfg(not(feature = "planted"))]
        Command::Shrink { which, out } => smaller(&which, out, Options::default()),
        #[cfg(feature = "planted")]
        Command::Planted { cap, only } => planted(cap, only.as_deref()),
    }
}

fn run(which: &Which, trace: bool, digest: bool) -> Result<(), String> {
    let plan = which.plan(Plan::draw)?;
    let options = Options {
        trace,
        ..Options::default()
    };
    let outcome = World::new(plan.clone(), options).run();
    outcome.trace.iter().for_each(|line| println!("{line}"));
    if digest {
        println!("{:016x}", outcome.digest);
    }
    if outcome.failure.is_some() {
        return Err(sweep::failure(&plan, &which.words()));
    }
    if !digest {
        print!("{plan}");
        println!(
            "held: {} simulated, {} steps, digest {:016x}\nviewers: {:?}",
            outcome.simulated, outcome.events, outcome.digest, outcome.suffered
        );
    }
    Ok(())
}

fn many(from: u64, count: u64, threads: usize, census: bool) -> Result<(), String> {
    let swept = sweep::sweep(from, count, threads);
    println!("{}", swept.pace());
    if census {
        for (what, count) in &swept.census {
            println!("{count:>12} {what}");
        }
    }
    if let Some(&seed) = swept.failures.values().flatten().min() {
        let mut text = sweep::failure(&Plan::draw(seed), &format!("--seed {seed}"));
        text.push_str("\nseeds by broken promise:\n");
        for (invariant, seeds) in &swept.failures {
            let first: Vec<String> = seeds.iter().take(SEEDS_SHOWN).map(u64::to_string).collect();
            let (count, first) = (seeds.len(), first.join(" "));
            text.push_str(&format!("{count:>6} × {invariant}: {first}\n"));
        }
        return Err(text);
    }
    let missing = swept.missing();
    if !missing.is_empty() {
        println!("never happened: {}", missing.join(", "));
        if swept.seeds >= sweep::CENSUS_FROM {
            return Err("what never happens is not tested".to_owned());
        }
    }
    Ok(())
}

fn smaller(which: &Which, out: Option<PathBuf>, options: Options) -> Result<(), String> {
    let plan = which.plan(Plan::draw)?;
    let Some((small, invariant, runs)) = shrink::shrink(&plan, options) else {
        println!("nothing to shrink: everything holds");
        return Ok(());
    };
    let file = out.unwrap_or_else(|| PathBuf::from(format!("cluster-{}.plan.json", plan.seed)));
    let text = serde_json::to_string_pretty(&small).map_err(|error| error.to_string())?;
    write(&file, &(text + "\n"))?;
    Err(format!(
        "{small}\nFAILED: {invariant}\n{runs} runs; the smaller plan is {}",
        file.display()
    ))
}

/// The world of a mistake by its name.
#[cfg(feature = "planted")]
fn planting(name: &str) -> Result<Options, String> {
    let all = sweep::Planting::all();
    let found = all.iter().find(|(_, it)| it == name);
    found.map(|it| it.0.options()).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|it| &*it.1).collect();
        format!("no such mistake; there are: {}", names.join(", "))
    })
}

#[cfg(feature = "planted")]
fn planted(cap: u64, only: Option<&str>) -> Result<(), String> {
    let mut all = sweep::Planting::all();
    all.retain(|(_, name)| only.is_none_or(|part| name.contains(part)));
    let mut unfound = Vec::new();
    println!("{:<28}{:>8}  found by", "mistake", "seeds");
    for (planting, name) in all {
        match planting.find(cap, crate::cores()) {
            Some((seeds, invariant)) => println!("{name:<28}{seeds:>8}  {invariant}"),
            None => {
                println!("{name:<28}{:>8}  nothing", format!("> {cap}"));
                unfound.push(name);
            }
        }
    }
    if unfound.is_empty() {
        return Ok(());
    }
    let unfound = unfound.join(", ");
    Err(format!("not found within {cap} seeds: {unfound}"))
}
