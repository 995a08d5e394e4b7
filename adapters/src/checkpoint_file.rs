//! `--state DIR`: the checkpoint of a channel as a file, `DIR/NAME.json`, so that a restart goes on
//! with the numbering (S-70).
//!
//! It is written beside, synced and renamed: after a crash at any moment there is the old one or the
//! new one, whole.

use crate::file_lock;
use crate::store;
use hls_relay_core::checkpoint::{CHECKPOINT_FORMAT, Checkpoint};
use hls_relay_core::event::StoreError;
use serde::Deserialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The checkpoint file of one channel, held by this process alone.
#[derive(Clone, Debug)]
pub struct CheckpointFile {
    folder: PathBuf,
    channel: Arc<str>,
    path: PathBuf,
    _lock: Arc<File>,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be made, read or written.
    #[error("cannot use {}: {error}", path.display())]
    Unusable { path: PathBuf, error: io::Error },
    /// Two processes would number the same channel.
    #[error("the state of this channel in {} is in use by another process", .0.display())]
    InUse(PathBuf),
}

/// What was found at the start.
#[derive(Debug)]
pub enum Found {
    /// No file: a channel that begins.
    Nothing,
    /// The state to go on from.
    Checkpoint(Box<Checkpoint>),
    /// A file that is not ours to understand, put aside under this name.
    Refused { why: String, moved_to: PathBuf },
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl CheckpointFile {
    /// Takes the file of `channel` in `folder` and reads what is there. A file that cannot be
    /// understood is moved aside, never deleted.
    pub fn open(folder: &Path, channel: &str) -> Result<(Self, Found), StateError> {
        let path = folder.join(format!("{channel}.json"));
        let unusable = |error| StateError::Unusable {
            path: path.clone(),
            error,
        };
        fs::create_dir_all(folder).map_err(unusable)?;
        let lock = File::create(folder.join(format!(".{channel}.lock"))).map_err(unusable)?;
        if !file_lock::take(&lock).map_err(unusable)? {
            return Err(StateError::InUse(folder.to_owned()));
        }
        let file = Self {
            folder: folder.to_owned(),
            channel: channel.into(),
            path: path.clone(),
            _lock: Arc::new(lock),
        };
        let found = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
            Err(error) => return Err(unusable(error)),
            Ok(bytes) => match read(&bytes) {
                Ok(checkpoint) => Found::Checkpoint(Box::new(checkpoint)),
                Err(why) => Found::Refused {
                    why,
                    moved_to: file.move_aside().map_err(unusable)?,
                },
            },
        };
        Ok((file, found))
    }

    /// Removes what is kept of `channel` in `folder`, which nobody has open.
    pub fn erase(folder: &Path, channel: &str) -> io::Result<()> {
        for name in [format!("{channel}.json"), format!(".{channel}.lock")] {
            match fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Replaces the file. It waits for the disk: not to be called where waiting is not allowed.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let json = serde_json::to_vec(checkpoint)
            .map_err(|error| StoreError::Failed(error.to_string().into()))?;
        self.replace(&json)
            .map_err(|error| store::failure("write the checkpoint", &error))
    }

    fn replace(&self, json: &[u8]) -> io::Result<()> {
        let beside = self.folder.join(format!(".{}.json.new", self.channel));
        // What it says of the sources is nobody else's affair.
        let mut private = OpenOptions::new();
        private.write(true).create(true).truncate(true).mode(0o600);
        let mut file = private.open(&beside)?;
        file.write_all(json)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        // The new name is on disk only once its folder is.
        File::open(&self.folder)?.sync_all()
    }

    fn move_aside(&self) -> io::Result<PathBuf> {
        let now = crate::clock::wall().as_micros() / 1_000;
        let aside = self.path.with_extension(format!("json.refused-{now}"));
        fs::rename(&self.path, &aside)?;
        Ok(aside)
    }
}

/// Reads a checkpoint, or says why it cannot be used.
pub(crate) fn read(bytes: &[u8]) -> Result<Checkpoint, String> {
    let Format { format } = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is not a checkpoint of hls-relay ({error})"))?;
    if format != CHECKPOINT_FORMAT {
        return Err(format!(
            "it has format {format}, and this version of hls-relay reads format {CHECKPOINT_FORMAT}"
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| format!("it is broken ({error})"))
}
