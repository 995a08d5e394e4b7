//! `hls-relay journal share`: a copy of a journal without its secrets, that replays.
//!
//! The digests in a journal are of commands, and commands hold URLs: so the copy is not the journal
//! with other words in it, but the journal of a second machine that is told the same without the
//! secrets. It is checked at every step that it wants the same work as the first.

use super::secrets::Secrets;
use hls_relay_core::command::Command;
use hls_relay_core::event::{Event, LoadedPlaylist};
use hls_relay_core::journal::{Head, Record, digest_of, encode_head, encode_record};
use hls_relay_core::notice::Notice;
use hls_relay_core::relay::Relay;
use hls_relay_sim::replay::{Follows, Parted, ReplayError, Replayer, Seen, pieces};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::mem::{Discriminant, discriminant};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The journal cannot be read, or does not replay itself.
    #[error("{0}")]
    Journal(#[from] ReplayError),
    /// The copy would take the place of what it is a copy of.
    #[error("{}: this is the journal itself; give the copy another name", .0.display())]
    Original(PathBuf),
    /// The copy cannot be written.
    #[error("{}: {error}", path.display())]
    Output { path: PathBuf, error: io::Error },
    /// Something in the journal cannot be read without its secrets.
    #[error("step {seq} cannot be read any more without its secrets ({error}); there is no copy")]
    Unreadable { seq: u64, error: serde_json::Error },
    /// The machine decides otherwise without the secrets.
    #[error(
        "at step {seq} the machine wants other work without the secrets: they mean something to it \
         here; there is no copy"
    )]
    Differs { seq: u64 },
    /// The copy does not replay.
    #[error("the copy does not replay ({0}); there is no copy")]
    Copy(#[from] Parted),
}

/// Writes the copy; says how many steps it has. The file is there only once the copy has replayed.
pub fn share(files: &[PathBuf], out: &Path) -> Result<u64, ShareError> {
    let files = pieces(files)?;
    let is_original = |file: &PathBuf| {
        let there = out.canonicalize();
        there.is_ok_and(|out| file.canonicalize().is_ok_and(|file| file == out))
    };
    if files.iter().any(is_original) {
        return Err(ShareError::Original(out.to_owned()));
    }
    let secrets = Secrets::new();
    let bodies = last_bodies(&files, &secrets)?;

    let output = |error| ShareError::Output {
        path: out.to_owned(),
        error,
    };
    let folder = out.parent().filter(|it| !it.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(output)?;
    let mut copy = Copy {
        secrets,
        bodies,
        machine: None,
        out: BufWriter::new(file.as_file_mut()),
    };
    let mut replayer = Replayer::<Relay>::default();
    for path in &files {
        replay(path, &mut replayer, &mut |seen| copy.see(&seen, &output))?;
    }
    copy.out.flush().map_err(output)?;
    drop(copy);

    file.as_file_mut().rewind().map_err(output)?;
    let mut check = Replayer::<Relay>::default();
    let _ = check.piece(BufReader::new(file.as_file()), &mut |_| {
        ControlFlow::Continue(())
    })?;
    file.persist(out).map_err(|error| output(error.error))?;
    Ok(check.steps())
}

/// Replays a file until `see` fails.
fn replay(
    path: &Path,
    replayer: &mut Replayer,
    see: &mut dyn FnMut(Seen<'_>) -> Result<(), ShareError>,
) -> Result<(), ShareError> {
    let file = File::open(path).map_err(|error| ReplayError::File {
        path: path.to_owned(),
        error,
    })?;
    let mut seen = Ok(());
    let went_on = replayer.piece(BufReader::new(file), &mut |it| {
        seen = see(it);
        match seen {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    let _ = went_on.map_err(|parted| ReplayError::Parted {
        path: path.to_owned(),
        parted,
    })?;
    seen
}

/// A machine knows the last playlist again by its digest: those that a copy begins with, and what
/// they are without the secrets.
fn last_bodies(files: &[PathBuf], secrets: &Secrets) -> Result<Bodies, ShareError> {
    let mut bodies = Bodies::new();
    let mut replayer = Replayer::<Relay>::default();
    for path in files {
        replay(path, &mut replayer, &mut |seen| {
            match seen {
                Seen::Head { head, follows } if follows != Follows::GoesOn => {
                    let mut machine = as_value(head.seq, &head.snapshot)?;
                    each_last_body(&mut machine, &mut |digest| {
                        bodies.entry(*digest).or_insert(*digest);
                    });
                }
                Seen::Step(record, _) => {
                    if let Event::PlaylistLoaded {
                        outcome: Ok(LoadedPlaylist::Body { body, .. }),
                        ..
                    } = &record.event
                        && let Some(hidden) = bodies.get_mut(&digest(&body.0))
                    {
                        *hidden = digest(&secrets.body(&body.0));
                    }
                }
                Seen::Head { .. } | Seen::Broke(_) | Seen::Torn { .. } => {}
            }
            Ok(())
        })?;
    }
    Ok(bodies)
}

type Bodies = BTreeMap<[u8; 32], [u8; 32]>;

fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Every `last_body` in a machine.
fn each_last_body(value: &mut Value, change: &mut dyn FnMut(&mut [u8; 32])) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match serde_json::from_value::<[u8; 32]>(value.clone()) {
                    Ok(mut digest) if name == "last_body" => {
                        change(&mut digest);
                        *value = digest.to_vec().into();
                    }
                    Ok(_) | Err(_) => each_last_body(value, change),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|it| each_last_body(it, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

struct Copy<W> {
    secrets: Secrets,
    bodies: Bodies,
    /// The second machine.
    machine: Option<Relay>,
    out: W,
}

impl<W: Write> Copy<W> {
    fn see(
        &mut self,
        seen: &Seen<'_>,
        output: &impl Fn(io::Error) -> ShareError,
    ) -> Result<(), ShareError> {
        let line = match seen {
            Seen::Head { head, follows } => self.head(head, *follows)?,
            Seen::Step(record, commands) => self.step(record, Some(commands))?,
            Seen::Broke(record) => self.step(record, None)?,
            Seen::Torn { .. } => return Ok(()),
        };
        self.out.write_all(line.as_bytes()).map_err(output)
    }

    fn head(&mut self, head: &Head, follows: Follows) -> Result<String, ShareError> {
        let machine = match self.machine.take().filter(|_| follows == Follows::GoesOn) {
            Some(machine) => machine,
            None => {
                let mut value = as_value(head.seq, &head.snapshot)?;
                self.secrets.hide_in(&mut value, "");
                each_last_body(&mut value, &mut |digest| {
                    *digest = self.bodies.get(digest).copied().unwrap_or(*digest);
                });
                of_value(head.seq, value)?
            }
        };
        let line = encode_head(&head.name, head.seq, &machine);
        self.machine = Some(machine);
        Ok(line)
    }

    fn step(&mut self, record: &Record, wanted: Option<&[Command]>) -> Result<String, ShareError> {
        let seq = record.seq;
        let mut event = as_value(seq, &record.event)?;
        self.secrets.hide_in(&mut event, "");
        let event: Event = of_value(seq, event)?;
        let differs = ShareError::Differs { seq };
        let Some(mut machine) = self.machine.take() else {
            return Err(differs);
        };
        let mut commands = Vec::new();
        let step = AssertUnwindSafe(|| {
            machine.step(record.now, event.clone(), &mut commands);
            machine
        });
        self.machine = catch_unwind(step).ok();
        let broke = self.machine.is_none();
        let same = match wanted {
            Some(wanted) => !broke && kinds(wanted).eq(kinds(&commands)),
            None => broke,
        };
        if !same {
            return Err(differs);
        }
        Ok(encode_record(&Record {
            seq,
            now: record.now,
            event,
            digest: (!broke).then(|| digest_of(&commands)),
        }))
    }
}

/// What kinds of work, and of notices.
fn kinds(
    commands: &[Command],
) -> impl Iterator<Item = (Discriminant<Command>, Option<Discriminant<Notice>>)> + '_ {
    commands.iter().map(|command| {
        let mut notice = None;
        if let Command::Notify(told) = command {
            notice = Some(discriminant(told));
        }
        (discriminant(command), notice)
    })
}

fn as_value(seq: u64, of: &impl Serialize) -> Result<Value, ShareError> {
    serde_json::to_value(of).map_err(|error| ShareError::Unreadable { seq, error })
}

fn of_value<T: DeserializeOwned>(seq: u64, value: Value) -> Result<T, ShareError> {
    serde_json::from_value(value).map_err(|error| ShareError::Unreadable { seq, error })
}
