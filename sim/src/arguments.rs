//! What worlds of one channel and clusters have in common on the command line: which one, how many, what came of
//! them, and where a smaller one goes.

use clap::Args;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Of those that failed.
pub(super) const SEEDS_SHOWN: usize = 20;

/// One world.
#[derive(Args, Clone)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The plan of this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// A plan in a file, as `shrink` writes it.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

/// Many worlds.
#[derive(Args)]
pub(super) struct Many {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub(super) from: u64,
    /// How many seeds; 1,000 where nothing is said. Of many, each thing that is counted has to happen.
    #[arg(long, value_parser = at_least_one())]
    count: Option<u64>,
    /// How many at a time; one for each core where nothing is said.
    #[arg(long, value_parser = at_least_one())]
    threads: Option<u64>,
    /// Print what happened how often.
    #[arg(long)]
    pub(super) census: bool,
}

/// A failing world that is to be made smaller.
#[derive(Args)]
pub(super) struct Failing {
    #[command(flatten)]
    pub(super) which: Which,
    /// Where the smaller plan is written.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Which {
    pub(super) fn plan<P: FromStr<Err = serde_json::Error>>(
        &self,
        draw: impl FnOnce(u64) -> P,
    ) -> Result<P, String> {
        match (&self.plan, self.seed) {
            (Some(file), _) => {
                let plan = read(file)?.parse();
                plan.map_err(|error| format!("{file:?}: {error}"))
            }
            (None, seed) => Ok(draw(seed.unwrap_or(0))),
        }
    }

    pub(super) fn words(&self) -> String {
        match (&self.plan, self.seed) {
            (Some(file), _) => format!("--plan {file:?}"),
            (None, seed) => format!("--seed {}", seed.unwrap_or(0)),
        }
    }

    /// Runs it in two processes of this program, by a command that prints a digest.
    pub(super) fn twice(&self, command: &[&str], plan: &impl fmt::Display) -> Result<(), String> {
        let [kind, value]: [OsString; 2] = match (&self.plan, self.seed) {
            (Some(file), _) => ["--plan".into(), file.into()],
            (None, seed) => ["--seed".into(), seed.unwrap_or(0).to_string().into()],
        };
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let digest = || {
            let mut run = std::process::Command::new(&program);
            run.args(command).args([&kind, &value]);
            let output = run.output().map_err(|error| error.to_string())?;
            let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
            Ok::<_, String>((text(&output.stdout), text(&output.stderr)))
        };
        let ((one, why), (two, _)) = (digest()?, digest()?);
        if one != two {
            return Err(format!(
                "two processes differ: {one:?} and {two:?}\n\n{plan}\n\
                 run this twice and compare: hls-relay-sim {} {} --trace\n",
                command[..command.len() - 1].join(" "),
                self.words(),
            ));
        }
        if !why.is_empty() {
            return Err(format!("{why}\n\n{plan}"));
        }
        println!("two processes, one digest: {one}");
        Ok(())
    }
}

impl Many {
    pub(super) fn count(&self) -> u64 {
        self.count.unwrap_or(1_000)
    }

    pub(super) fn threads(&self) -> usize {
        let wanted = self
            .threads
            .map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        wanted.unwrap_or_else(cores)
    }
}

impl Failing {
    /// Writes a smaller plan; gives the file.
    pub(super) fn write(
        &self,
        name: &str,
        small: serde_json::Result<String>,
    ) -> Result<PathBuf, String> {
        let file = self.out.clone();
        let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.plan.json")));
        let text = small.map_err(|error| error.to_string())?;
        write(&file, &(text + "\n"))?;
        Ok(file)
    }
}

/// Nothing proves nothing.
pub(super) fn at_least_one() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The first seeds that broke each promise.
pub(super) fn by_promise(failures: &BTreeMap<String, Vec<u64>>) -> String {
    let mut text = "\nseeds by broken promise:\n".to_owned();
    for (invariant, seeds) in failures {
        let first: Vec<String> = seeds.iter().take(SEEDS_SHOWN).map(u64::to_string).collect();
        let (count, first) = (seeds.len(), first.join(" "));
        text.push_str(&format!("{count:>6} × {invariant}: {first}\n"));
    }
    text
}

/// How many seeds it takes to `find` each of these mistakes, and by which promise.
#[cfg(feature = "planted")]
pub(super) fn mistakes<M>(
    mut all: Vec<(M, String)>,
    (cap, only): (u64, Option<&str>),
    find: impl Fn(M) -> Option<(u64, String)>,
) -> Result<(), String> {
    let names: Vec<String> = all.iter().map(|it| it.1.clone()).collect();
    all.retain(|(_, name)| only.is_none_or(|part| name.contains(part)));
    if all.is_empty() {
        let names = names.join(", ");
        return Err(format!("no such mistake; there are: {names}"));
    }
    let mut unfound = Vec::new();
    println!("{:<28}{:>8}  found by", "mistake", "seeds");
    for (mistake, name) in all {
        match find(mistake) {
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

pub(super) fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

pub(super) fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
