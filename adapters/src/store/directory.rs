//! A folder of plain files, `ROOT/CHANNEL/`: the playlists and their segments, as nginx serves them.
//!
//! Every file is written under a temporary name in the same folder and renamed, so that a reader sees
//! all of it or nothing. Nothing is synced to disk: a crash of the machine can only spoil what
//! [`Directory::look`] then finds spoilt, and a sync for each segment would cost the disk more than
//! the segments do. What has to survive a crash is the checkpoint, and that one is synced.

use super::{Content, Object, PLAYLIST_ENDING, failure};
use crate::file_lock;
use hls_relay_core::command::PublishedPlaylist;
use hls_relay_core::event::StoreError;
use hls_relay_core::ids::{ContentHash, ObjectName, PlaylistName};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use tempfile::NamedTempFile;

/// Begins with a dot, so that web servers pass it over, and names its maker.
const TEMP_PREFIX: &str = ".hls-relay-";
/// The endings that objects have.
const MEDIA: [&str; 13] = [
    "ts", "aac", "mp3", "ac3", "ec3", "mp4", "m4s", "m4a", "m4v", "cmfa", "cmfv", "vtt", "key",
];
/// Read at once when a file's hash is checked.
const READ: usize = 128 << 10;

/// The folder of one channel.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Holds the lock on the folder until the store is dropped or the process dies, however it dies.
    _lock: File,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made or written to.
    #[error("cannot use {}: {error}", path.display())]
    Unusable { path: PathBuf, error: io::Error },
    /// Two processes would delete each other's files.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
}

impl Directory {
    /// Takes the folder, sees that it can be written to, and removes half-written files of a process
    /// that died.
    pub(super) fn open(root: &Path, channel: &str) -> Result<Self, OpenError> {
        let path = root.join(channel);
        let unusable = |error| OpenError::Unusable {
            path: path.clone(),
            error,
        };
        fs::create_dir_all(&path).map_err(unusable)?;
        let lock = File::open(&path).map_err(unusable)?;
        if !file_lock::take(&lock).map_err(unusable)? {
            return Err(OpenError::InUse(path));
        }
        let directory = Self {
            path: path.clone(),
            _lock: lock,
        };
        directory.new_temp().map_err(unusable)?;
        directory
            .remove_where(|name| name.starts_with(TEMP_PREFIX))
            .map_err(unusable)?;
        Ok(directory)
    }

    pub(super) fn path_of(&self, object: &ObjectName) -> PathBuf {
        self.path.join(&*object.0)
    }

    pub(super) fn temp_file(&self) -> Result<TempFile, StoreError> {
        self.new_temp()
            .map(TempFile)
            .map_err(|error| failure("begin a file", &error))
    }

    /// Writes all of them before it shows the first, so that a full disk shows none. The entry is shown
    /// last: it may name the others.
    pub(super) fn publish(&self, playlists: &[PublishedPlaylist]) -> Result<(), StoreError> {
        let mut written = Vec::with_capacity(playlists.len());
        for PublishedPlaylist { name, text } in playlists {
            let mut temp = self.temp_file()?;
            temp.append(text.as_bytes())?;
            written.push((&*name.0, temp));
        }
        written.sort_by_key(|(name, _)| *name == PlaylistName::ENTRY);
        for (shown, (name, temp)) in written.into_iter().enumerate() {
            let renamed = temp.rename_to(&self.path.join(name));
            // Some are new and some are old then.
            renamed.map_err(|error| {
                if shown == 0 {
                    error
                } else {
                    StoreError::Unknown
                }
            })?;
        }
        Ok(())
    }

    /// Gives a file that another process has put here its own name, if it is what it should be.
    pub(super) fn adopt(
        &self,
        from: &ObjectName,
        to: &ObjectName,
        length: u64,
        hash: ContentHash,
    ) -> Result<(Object, Vec<u8>), StoreError> {
        let path = self.path_of(from);
        let read = || {
            let mut bytes = Vec::new();
            let file = File::open(&path)?;
            // One more would be too many already.
            file.take(length.saturating_add(1))
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| failure("read", &error))?;
        if bytes.len() as u64 != length || ContentHash(Sha256::digest(&bytes).into()) != hash {
            let _ = fs::remove_file(&path);
            let words = format!("{to} is not what was made of it");
            return Err(StoreError::Failed(words.into()));
        }
        let named = self.path_of(to);
        fs::rename(&path, &named).map_err(|error| failure("rename", &error))?;
        let object = Object {
            length,
            hash,
            content: Content::File(named),
            _lease: None,
            newest: Weak::new(),
        };
        Ok((object, bytes))
    }

    pub(super) fn discard(&self, beginning: &str) -> Result<(), StoreError> {
        let hidden = hidden(beginning);
        self.remove_where(|name| name.starts_with(&hidden))
            .map_err(|error| failure("delete", &error))
    }

    pub(super) fn delete(&self, objects: &[ObjectName]) -> Result<(), StoreError> {
        objects.iter().try_for_each(|object| self.remove(&object.0))
    }

    pub(super) fn withdraw(&self) -> Result<(), StoreError> {
        self.remove(PlaylistName::ENTRY)?;
        self.remove_where(is_playlist)
            .map_err(|error| failure("delete", &error))
    }

    /// Reads those of `asked` that are there; deletes the objects that are not `kept`.
    pub(super) fn look(
        &self,
        asked: &[ObjectName],
        kept: impl Fn(&ObjectName, &Object) -> bool,
    ) -> Result<HashMap<ObjectName, Object>, StoreError> {
        let mut found = HashMap::new();
        for name in asked {
            // What cannot be read is not there, for us and for viewers.
            if let Ok(object) = self.read(name)
                && kept(name, &object)
            {
                found.insert(name.clone(), object);
            }
        }
        let is_left_over =
            |name: &str| is_object(name) && !found.contains_key(&ObjectName(name.into()));
        self.remove_where(is_left_over)
            .map_err(|error| failure("remove left-overs", &error))?;
        Ok(found)
    }

    fn read(&self, name: &ObjectName) -> io::Result<Object> {
        let path = self.path_of(name);
        let mut file = File::open(&path)?;
        let (mut hasher, mut buffer, mut length) = (Sha256::new(), vec![0; READ], 0);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => {
                    hasher.update(&buffer[..read]);
                    length += read as u64;
                }
            }
        }
        let hash = ContentHash(hasher.finalize().into());
        Ok(Object {
            length,
            hash,
            content: Content::File(path),
            _lease: None,
            newest: Weak::new(),
        })
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failure("delete", &error)),
            _ => Ok(()),
        }
    }

    /// Only plain files: whoever makes a link or a folder here knows why.
    fn remove_where(&self, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(&is_ours) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Readable by the web server, which is another user.
    fn new_temp(&self) -> io::Result<NamedTempFile> {
        let permissions = Permissions::from_mode(0o644);
        tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .permissions(permissions)
            .tempfile_in(&self.path)
    }
}

/// A file under its temporary name; dropped, it is gone.
#[derive(Debug)]
pub(super) struct TempFile(NamedTempFile);

impl TempFile {
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0
            .write_all(bytes)
            .map_err(|error| failure("write", &error))
    }

    pub(super) fn rename_to(self, path: &Path) -> Result<(), StoreError> {
        self.0
            .persist(path)
            .map(drop)
            .map_err(|error| failure("rename", &error.error))
    }
}

/// A name that no viewer is given, and that goes away with whoever has the folder.
pub(crate) fn hidden(name: &str) -> String {
    format!("{TEMP_PREFIX}{name}")
}

/// The shape of the names of playlists beside the entry: a letter, a number and the ending.
fn is_playlist(name: &str) -> bool {
    let number = name
        .strip_suffix(PLAYLIST_ENDING)
        .and_then(|stem| stem.strip_prefix(|letter: char| letter.is_ascii_lowercase()));
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The shape of the core's names, eight hexadecimal digits, a dash, a number and an ending: whatever
/// else lies in the folder is somebody's and stays.
fn is_object(name: &str) -> bool {
    let parts = name
        .split_once('-')
        .and_then(|(tag, rest)| Some((tag, rest.split_once('.')?)));
    parts.is_some_and(|(tag, (number, ending))| {
        tag.len() == 8
            && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && MEDIA.contains(&ending)
    })
}
