//! The commands for clusters: run one, many, twice, smaller.

use crate::arguments::{Failing, Many, Which, by_promise};
use clap::Subcommand;
use hls_relay_sim::cluster::plan::Plan;
use hls_relay_sim::cluster::{Options, World, shrink, sweep};

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
    Sweep(Many),
    /// Run one in two processes and compare.
    Twice {
        #[command(flatten)]
        which: Which,
    },
    /// Make a failing one smaller.
    Shrink {
        #[command(flatten)]
        failing: Failing,
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
        Command::Sweep(many) => run_many(&many),
        Command::Twice { which } => {
            let plan: Plan = which.plan(Plan::draw)?;
            which.twice(&["cluster", "run", "--digest"], &plan)
        }
        #[cfg(feature = "planted")]
        Command::Shrink { failing, mistake } => {
            let options = mistake.map_or(Ok(Options::default()), |it| planting(&it))?;
            smaller(&failing, options)
        }
        #[cfg(not(feature = "planted"))]
        Command::Shrink { failing } => smaller(&failing, Options::default()),
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

fn run_many(many: &Many) -> Result<(), String> {
    let swept = sweep::sweep(many.from, many.count(), many.threads());
    println!("{}", swept.pace());
    if many.census {
        for (what, count) in &swept.census {
            println!("{count:>12} {what}");
        }
    }
    if let Some(&seed) = swept.failures.values().flatten().min() {
        let text = sweep::failure(&Plan::draw(seed), &format!("--seed {seed}"));
        return Err(text + &by_promise(&swept.failures));
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

fn smaller(failing: &Failing, options: Options) -> Result<(), String> {
    let plan = failing.which.plan(Plan::draw)?;
    let Some((small, invariant, runs)) = shrink::shrink(&plan, options) else {
        println!("nothing to shrink: everything holds");
        return Ok(());
    };
    let file = failing.write(&format!("cluster-{}", plan.seed), small.to_json())?;
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
    let find = |planting: sweep::Planting| planting.find(cap, crate::arguments::cores());
    crate::arguments::mistakes(sweep::Planting::all(), (cap, only), find)
}
