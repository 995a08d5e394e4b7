//! The command that runs simulated worlds: one, many, twice, smaller, or from a file.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the command line prints, reads files and a clock; no world does"
)]

mod clusters;

use clap::{Args, Parser, Subcommand};
use hls_relay_sim::replay::ReplayArgs;
use hls_relay_sim::sweep::{CENSUS_FROM, Sweep, Swept};
use hls_relay_sim::world::{Options, Outcome, World};
use hls_relay_sim::{draw, figures, report, scenario, shrink, words};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
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
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many seeds; 1,000 where nothing is said. Of 5,000 or more each thing that is counted has to
        /// happen.
        #[arg(long, conflicts_with = "minutes", value_parser = at_least_one())]
        count: Option<u64>,
        /// For how long instead.
        #[arg(long, value_parser = at_least_one())]
        minutes: Option<u64>,
        /// How many at a time; one for each core where nothing is said.
        #[arg(long, value_parser = at_least_one())]
        threads: Option<u64>,
        /// Print what happened how often.
        #[arg(long)]
        census: bool,
    },
    /// Run one world in two processes and compare.
    Twice {
        #[command(flatten)]
        which: Which,
    },
    /// Make a failing world smaller.
    Shrink {
        #[command(flatten)]
        which: Which,
        /// Where the smaller plan is written.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
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

/// Of those that failed.
const SEEDS_SHOWN: usize = 20;

#[derive(Args, Clone)]
#[group(required = true, multiple = false)]
struct Which {
    /// The plan of this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// A plan in a file, as `shrink` writes it.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

impl Which {
    fn plan<P: DeserializeOwned>(&self, draw: impl FnOnce(u64) -> P) -> Result<P, String> {
        match (&self.plan, self.seed) {
            (Some(file), _) => {
                serde_json::from_str(&read(file)?).map_err(|error| format!("{file:?}: {error}"))
            }
            (None, seed) => Ok(draw(seed.unwrap_or(0))),
        }
    }

    fn words(&self) -> String {
        match (&self.plan, self.seed) {
            (Some(file), _) => format!("--plan {file:?}"),
            (None, seed) => format!("--seed {}", seed.unwrap_or(0)),
        }
    }

    /// For another process of this program.
    fn arguments(&self) -> [OsString; 2] {
        match (&self.plan, self.seed) {
            (Some(file), _) => ["--plan".into(), file.into()],
            (None, seed) => ["--seed".into(), seed.unwrap_or(0).to_string().into()],
        }
    }
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
        What::Sweep {
            from,
            count,
            minutes,
            threads,
            census,
        } => {
            let time = minutes.map(|minutes| Duration::from_secs(minutes * 60));
            let count = if time.is_none() {
                Some(count.unwrap_or(1_000))
            } else {
                None
            };
            let threads = self::threads(threads);
            sweep(
                Sweep {
                    from,
                    count,
                    time,
                    length: draw::DEFAULT_LENGTH,
                    threads,
                },
                census,
            )
        }
        What::Twice { which } => twice(&which),
        What::Shrink { which, out } => shrink_plan(&which, out),
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

/// Nothing proves nothing.
fn at_least_one() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
}

/// So many threads as were asked for.
fn threads(wanted: Option<u64>) -> usize {
    wanted.map_or_else(cores, |it| usize::try_from(it).unwrap_or(usize::MAX))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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

fn sweep(sweep: Sweep, census: bool) -> Result<(), String> {
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
    if census {
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
        _ if is_large || census => println!("never happened: {}", missing.join(", ")),
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
    text.push_str("\nseeds by broken promise:\n");
    for (invariant, seeds) in &swept.failures {
        let first: Vec<String> = seeds.iter().take(SEEDS_SHOWN).map(u64::to_string).collect();
        text.push_str(&format!(
            "{:>6} × {invariant}: {}\n",
            seeds.len(),
            first.join(" ")
        ));
    }
    text
}

fn twice(which: &Which) -> Result<(), String> {
    let [kind, value] = which.arguments();
    same_digest(&["run".into(), "--digest".into(), kind, value])
}

/// Runs this program twice with these arguments, which print a digest.
fn same_digest(arguments: &[OsString]) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let digest = || {
        let mut command = std::process::Command::new(&program);
        command.args(arguments);
        let output = command.output().map_err(|error| error.to_string())?;
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok::<_, String>((text(&output.stdout), text(&output.stderr)))
    };
    let ((one, why), (two, _)) = (digest()?, digest()?);
    if one != two {
        return Err(format!("two processes differ: {one:?} and {two:?}"));
    }
    if !why.is_empty() {
        return Err(why);
    }
    println!("two processes, one digest: {one}");
    Ok(())
}

fn shrink_plan(which: &Which, out: Option<PathBuf>) -> Result<(), String> {
    let plan = which.plan(draw::plan)?;
    let Some((small, runs)) = shrink::shrink(&plan) else {
        println!("nothing to shrink: everything holds");
        return Ok(());
    };
    let file = out.unwrap_or_else(|| PathBuf::from(format!("seed-{}.plan.json", plan.seed)));
    let text = serde_json::to_string_pretty(&small).map_err(|error| error.to_string())?;
    write(&file, &text)?;
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
    let named = hls_relay_core::planted::Mistake::ALL.map(|it| (it, format!("{it:?}")));
    let wanted = |name: &str| only.is_none_or(|part| name.contains(part));
    if !named.iter().any(|(_, name)| wanted(name)) {
        let names = named.map(|(_, name)| name).join(", ");
        return Err(format!("no such mistake; there are: {names}"));
    }
    let mut unfound = Vec::new();
    println!("{:<28}{:>8}  found by", "mistake", "seeds");
    for (mistake, name) in named.into_iter().filter(|(_, name)| wanted(name)) {
        match hls_relay_sim::sweep::find(mistake, cap, cores()) {
            Some(found) => println!("{name:<28}{:>8}  {}", found.seeds, found.invariant),
            None => {
                println!("{name:<28}{:>8}  nothing", format!("> {cap}"));
                unfound.push(name);
            }
        }
    }
    if unfound.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "not found within {cap} seeds: {}",
            unfound.join(", ")
        ))
    }
}

/// What worlds take on one core.
fn bench() -> Result<(), String> {
    let figures = figures::measure()?;
    figures.iter().for_each(|figure| println!("{figure}"));
    Ok(())
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
