//! The files of a journal: `DIR/NAME/NAME-00000042-20260517T201530Z.journal`, so that their names tell
//! the channel, or the node, and sort in the order in which they were begun even where a clock was set back.
//!
//! All of them together never take more than they may: before a line is written, the oldest pieces
//! go. They hold the URLs of the sources with their tokens, so nobody else may read them.

use crate::clock;
use crate::file_lock;
use crate::store::{self, OpenError};
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const EXTENSION: &str = "journal";
/// A piece is about this part of the whole: the share that is lost when the oldest goes.
const PIECES: u64 = 8;

/// The pieces of one machine.
#[derive(Debug)]
pub(super) struct Pieces {
    folder: PathBuf,
    name: String,
    most_bytes: u64,
    /// Those before the present one, oldest first, with their lengths.
    old: VecDeque<(PathBuf, u64)>,
    present: Option<Piece>,
    /// The number of the newest.
    newest: u64,
    _lock: File,
}

#[derive(Debug)]
struct Piece {
    path: PathBuf,
    file: File,
    head_bytes: u64,
    /// Whole lines, its head included.
    bytes: u64,
}

impl Pieces {
    /// Takes the folder for this process alone, and sees what is there.
    pub(super) fn open(folder: PathBuf, name: &str, most_bytes: u64) -> Result<Self, OpenError> {
        let unusable = |error| OpenError::Unusable {
            path: folder.clone(),
            error,
        };
        make_folder(&folder).map_err(unusable)?;
        let lock = File::open(&folder).map_err(unusable)?;
        if !file_lock::take(&lock).map_err(unusable)? {
            return Err(OpenError::InUse(folder));
        }
        // A disk that is full at this moment is no reason not to relay.
        match tempfile::tempfile_in(&folder) {
            Err(error) if !store::is_full(&error) => return Err(unusable(error)),
            Ok(_) | Err(_) => {}
        }
        let mut pieces = Self {
            folder: folder.clone(),
            name: name.to_owned(),
            most_bytes,
            old: VecDeque::new(),
            present: None,
            newest: 0,
            _lock: lock,
        };
        pieces.look().map_err(unusable)?;
        Ok(pieces)
    }

    fn look(&mut self) -> io::Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if let Some(number) = self.number_of(&path) {
                self.newest = self.newest.max(number);
                let length = path.metadata()?.len();
                found.push((path, length));
            }
        }
        found.sort();
        self.old = found.into();
        Ok(())
    }

    /// Begins a piece with its head.
    pub(super) fn begin(&mut self, head: &[u8]) -> io::Result<()> {
        self.end();
        make_folder(&self.folder)?;
        let path = self.new_name();
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        self.present = Some(Piece {
            path,
            file,
            head_bytes: head.len() as u64,
            bytes: 0,
        });
        self.append(head)
    }

    /// Adds whole lines to the present piece. After a failure there is no present piece any more.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let outcome = self.make_room(lines.len() as u64).and_then(|()| {
            let piece = self.present.as_mut().ok_or(ErrorKind::NotFound)?;
            piece.file.write_all(lines)?;
            piece.bytes += lines.len() as u64;
            Ok(())
        });
        if outcome.is_err() {
            self.end();
        }
        outcome
    }

    /// Whether lines can be added.
    pub(super) fn is_begun(&self) -> bool {
        self.present.is_some()
    }

    /// The present piece has had its share. One whose head is large goes on for as long again: else
    /// there would be nothing but heads.
    pub(super) fn is_long(&self) -> bool {
        let most = self.most_bytes / PIECES;
        self.present
            .as_ref()
            .is_some_and(|it| it.bytes >= most.max(2 * it.head_bytes))
    }

    /// Ends the present piece: cut after its last whole line, or gone where it has no step.
    pub(super) fn end(&mut self) {
        let Some(piece) = self.present.take() else {
            return;
        };
        let kept = if piece.bytes > piece.head_bytes {
            piece.file.set_len(piece.bytes)
        } else {
            fs::remove_file(&piece.path).and(Err(ErrorKind::NotFound.into()))
        };
        // What cannot be cut or removed still counts.
        let still_there = || piece.path.metadata().map(|it| it.len());
        if let Ok(bytes) = kept.map(|()| piece.bytes).or_else(|_| still_there()) {
            self.old.push_back((piece.path, bytes));
        }
    }

    /// Removes the oldest pieces until so many bytes more are allowed.
    fn make_room(&mut self, more: u64) -> io::Result<()> {
        let present = self.present.as_ref().map_or(0, |it| it.bytes);
        loop {
            let old: u64 = self.old.iter().map(|(_, bytes)| bytes).sum();
            if old + present + more <= self.most_bytes {
                return Ok(());
            }
            let Some((path, _)) = self.old.front() else {
                let full = "one piece would be larger than all may be (--journal-size)";
                return Err(io::Error::new(ErrorKind::FileTooLarge, full));
            };
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => self.old.pop_front(),
            };
        }
    }

    fn new_name(&mut self) -> PathBuf {
        self.newest += 1;
        let now = clock::wall().to_string();
        // To the second, and without what other systems don't allow in names.
        let time: String = now
            .chars()
            .take(19)
            .filter(|it| !"-:".contains(*it))
            .collect();
        let (name, number) = (&self.name, self.newest);
        self.folder
            .join(format!("{name}-{number:08}-{time}Z.{EXTENSION}"))
    }

    /// The number of a piece of this machine.
    fn number_of(&self, path: &Path) -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_prefix(&self.name)?.strip_prefix('-')?;
        let (number, time) = name.split_once('-')?;
        let ours = time.ends_with(&format!("Z.{EXTENSION}"));
        number.parse().ok().filter(|_| ours)
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        outcome => outcome,
    }
}
