//! `replay`, as the simulator and the relay itself offer it.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a command reads and writes files; no world does"
)]

use super::{Follows, NodeMachine, Parted, Replayer, Seen, Why};
use crate::timeline::Timeline;
use crate::words::Spoken;
use hls_relay_core::journal::{Difference, Kind, Record, kind_of};
use hls_relay_core::relay::Relay;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// So much of a piece tells what it is of.
const BEGINNING: u64 = 64;
/// What the files of journals are called.
const EXTENSION: &str = "journal";

/// See the command line's help.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The pieces of a journal in their order, or the folder with all of them: of a channel, or of a node
    #[arg(required = true, value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Stop after the first step of this number and show the machine
    #[arg(long, value_name = "SEQ")]
    pub until: Option<u64>,
    /// Show every step: what came in, what was wanted
    #[arg(long)]
    pub trace: bool,
    /// Draw the channel's life, to be looked at in a browser
    #[arg(long, value_name = "SVG")]
    pub timeline: Option<PathBuf>,
}

/// Why a replay ends other than well.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file or folder cannot be read, or the picture not be written.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// Files without a step: a recording that never began, or no journal at all.
    #[error("there is no step to replay")]
    NoSteps,
    /// There is nothing to replay.
    #[error("{}: no journal in it (their names end with .{EXTENSION})", .0.display())]
    Empty(PathBuf),
    /// A piece does not replay.
    #[error("{}: {parted}{}", path.display(), details(&parted.why))]
    Parted { path: PathBuf, parted: Parted },
    /// `--until` asks for a step that is not there.
    #[error("there is no step {0}")]
    NoSuchStep(u64),
    /// A picture is of a channel.
    #[error(
        "--timeline draws the life of a channel, and this is the journal of a node: see --trace"
    )]
    NoPicture,
    /// The machine cannot be shown, or nobody reads any more.
    #[error("{0}")]
    Output(#[from] io::Error),
}

impl ReplayArgs {
    /// Replays, and says on `out` what it saw.
    ///
    /// # Errors
    /// At the first difference, and where something cannot be read or written.
    pub fn run(&self, out: &mut dyn Write) -> Result<(), ReplayError> {
        let pieces = pieces(&self.files)?;
        let mut picture = self.timeline.as_ref().map(|_| Timeline::default());
        let first = pieces.first().map(|it| kind(it)).transpose()?;
        if first == Some(Kind::Node) {
            return match picture {
                Some(_) => Err(ReplayError::NoPicture),
                None => self.replay::<NodeMachine>(out, pieces, &mut |_| ()),
            };
        }
        let mut see = |seen: &Seen<'_>| picture.iter_mut().for_each(|picture| picture.see(seen));
        let replayed = self.replay::<Relay>(out, pieces, &mut see);
        // What led to a difference is what the picture is wanted for.
        if let (Some(path), Some(picture)) = (&self.timeline, picture) {
            fs::write(path, picture.svg()).map_err(|error| file_error(path, error))?;
        }
        replayed
    }

    fn replay<M: Spoken>(
        &self,
        out: &mut dyn Write,
        pieces: Vec<PathBuf>,
        see: &mut dyn FnMut(&Seen<'_, M>),
    ) -> Result<(), ReplayError> {
        let mut replayer = Replayer::<M>::default();
        let mut written = Ok(());
        let mut found = self.until.is_none();
        for path in pieces {
            let file = open(&path)?;
            let mut seen = |seen: Seen<'_, M>| {
                see(&seen);
                written = self.tell(out, &path, &seen);
                found |= matches!(seen, Seen::Step(record, _) if Some(record.seq) == self.until);
                if written.is_err() || (found && self.until.is_some()) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            };
            let went_on = replayer.piece(BufReader::new(file), &mut seen);
            match went_on {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(parted) => {
                    written?;
                    return Err(ReplayError::Parted { path, parted });
                }
            }
        }
        written?;
        match self.until {
            Some(seq) if !found => return Err(ReplayError::NoSuchStep(seq)),
            Some(_) => {
                let machine = serde_json::to_string_pretty(&replayer.machine());
                writeln!(out, "{}", machine.map_err(io::Error::from)?)?;
            }
            None => {}
        }
        let steps = replayer.steps();
        if steps == 0 {
            return Err(ReplayError::NoSteps);
        }
        Ok(writeln!(
            out,
            "{steps} steps replayed without a difference"
        )?)
    }

    fn tell<M: Spoken>(
        &self,
        out: &mut dyn Write,
        path: &Path,
        seen: &Seen<'_, M>,
    ) -> io::Result<()> {
        let path = path.display();
        match seen {
            Seen::Head {
                head,
                follows: Follows::Missing(steps),
            } => writeln!(
                out,
                "{path}: {steps} steps before step {} were not recorded",
                head.seq
            ),
            Seen::Head { .. } => Ok(()),
            Seen::Torn { bytes } => writeln!(
                out,
                "{path}: the last line is torn after {bytes} bytes, and left out"
            ),
            Seen::Step(record, commands) if self.trace => trace::<M>(out, record, commands),
            Seen::Step(..) => Ok(()),
            Seen::Broke(record) => writeln!(
                out,
                "{path}: at step {} the machine breaks, as it did when it was recorded: {}",
                record.seq,
                M::event(&record.event)
            ),
        }
    }
}

/// The files of a journal in their order: a folder stands for all that are in it.
///
/// # Errors
/// Where a folder cannot be read, or holds none.
pub fn pieces(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReplayError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| file_error(path, error))?;
        let mut found: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        found.retain(|file| file.extension().is_some_and(|it| it == EXTENSION));
        if found.is_empty() {
            return Err(ReplayError::Empty(path.clone()));
        }
        // The names hold the time.
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

fn open(path: &Path) -> Result<File, ReplayError> {
    File::open(path).map_err(|error| file_error(path, error))
}

fn file_error(path: &Path, error: io::Error) -> ReplayError {
    let path = path.to_owned();
    ReplayError::File { path, error }
}

/// Of which kind of machine the journal is that begins with this piece.
fn kind(path: &Path) -> Result<Kind, ReplayError> {
    let mut beginning = Vec::new();
    let read = open(path)?.take(BEGINNING).read_to_end(&mut beginning);
    read.map_err(|error| file_error(path, error))?;
    Ok(kind_of(&beginning))
}

fn trace<M: Spoken>(
    out: &mut dyn Write,
    record: &Record<M::Event>,
    commands: &[M::Command],
) -> io::Result<()> {
    let seq = record.seq;
    writeln!(out, "{seq:>8} > {}", M::event(&record.event))?;
    let mut commands = commands.iter().map(M::command);
    commands.try_for_each(|it| writeln!(out, "{seq:>8} < {it}"))
}

/// What was expected and what came, where that is known.
fn details(why: &Why) -> String {
    let Why::Commands {
        difference: Difference::Commands {
            recorded, replayed, ..
        },
        event,
        wanted,
    } = why
    else {
        return String::new();
    };
    let wanted = wanted.iter().map(|it| format!("\n            {it}"));
    let wanted: String = wanted.collect();
    format!(
        "\n  event     {event}\n  expected  commands {recorded:016x}\n  got       commands {replayed:016x}:{wanted}"
    )
}
