//! Where a channel's segments are kept: in memory, or as files that any web server can serve.
//!
//! One index says what is there; a viewer is given nothing else, whatever lies in the folder. An
//! object enters the index in one step, complete, after its last byte is in place (S-11).

mod directory;
mod newest;
mod room;
mod writer;

pub use directory::OpenError;
pub(crate) use directory::hidden;
pub use newest::Newest;
pub use writer::ObjectWriter;

use bytes::Bytes;
use directory::Directory;
use hls_relay_core::command::{ObjectCheck, PublishedPlaylist};
use hls_relay_core::event::StoreError;
use hls_relay_core::ids::{ContentHash, ObjectName, PlaylistName};
use room::{Lease, Room};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

/// The names of playlists end so, in URLs and in the folder: no object can take one.
pub const PLAYLIST_ENDING: &str = ".m3u8";
/// No file system takes longer names.
const MAX_NAME: usize = 200;

/// The objects of one channel. A clone is the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
    newest: Option<Arc<Newest>>,
}

#[derive(Debug)]
struct Inner {
    index: RwLock<HashMap<ObjectName, Object>>,
    /// For what is held in memory.
    room: Arc<Room>,
    directory: Option<Directory>,
}

/// A stored object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Length in bytes.
    pub length: u64,
    /// Hash of the content.
    pub hash: ContentHash,
    /// Where the bytes are.
    pub content: Content,
    /// The memory that they take.
    _lease: Option<Arc<Lease>>,
    /// The bytes of a file, while it is one of the newest.
    newest: Weak<Bytes>,
}

/// The bytes of an object.
#[derive(Clone, Debug)]
pub enum Content {
    /// Here.
    Memory(Bytes),
    /// In this file.
    File(PathBuf),
}

impl Object {
    /// The bytes, where nobody has to read a file for them.
    pub fn in_memory(&self) -> Option<Bytes> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes.clone()),
            Content::File(_) => Some(Bytes::clone(&*self.newest.upgrade()?)),
        }
    }
}

impl Store {
    /// A store that lives as long as the process, and takes no more of its memory than one channel may.
    pub fn memory() -> Self {
        Self::memory_of(room::MOST_BYTES)
    }

    fn memory_of(bytes: u64) -> Self {
        Self::with(None, bytes)
    }

    /// A store in `root/channel`, which is made where it is missing. It belongs to one process at a
    /// time. What a process that died left there is unknown until [`Store::check`] has looked.
    pub fn directory(root: &Path, channel: &str) -> Result<Self, OpenError> {
        let directory = Directory::open(root, channel)?;
        Ok(Self::with(Some(directory), u64::MAX))
    }

    /// The same; what comes into its folder is in memory, too, while it is among these.
    #[must_use]
    pub fn with_newest(self, newest: Arc<Newest>) -> Self {
        let newest = Some(newest);
        Self { newest, ..self }
    }

    fn with(directory: Option<Directory>, bytes: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                index: RwLock::default(),
                room: Room::new(bytes),
                directory,
            }),
            newest: None,
        }
    }

    /// Begins an object. Nobody sees it before it is committed; dropped before that, it leaves
    /// nothing behind.
    pub fn create(&self, object: &ObjectName) -> Result<ObjectWriter, StoreError> {
        check_name(object)?;
        Ok(ObjectWriter::new(self.clone(), object.clone()))
    }

    /// An object, if it is there.
    pub fn get(&self, name: &str) -> Option<Object> {
        self.index().get(&ObjectName(name.into())).cloned()
    }

    /// Makes an object of what another process has put into the folder under a [`hidden`] name, if it is this,
    /// and gives its bytes.
    pub async fn adopt(
        &self,
        object: &ObjectName,
        from: &str,
        length: u64,
        hash: ContentHash,
    ) -> Result<Vec<u8>, StoreError> {
        check_name(object)?;
        let (from, to) = (ObjectName(hidden(from).into()), object.clone());
        let adopted = self.in_directory(move |directory| directory.adopt(&from, &to, length, hash));
        let adopted = adopted.await;
        let no_folder = || Err(StoreError::Failed("it has no folder".into()));
        let (object_there, bytes) = adopted.unwrap_or_else(no_folder)?;
        self.index_mut().insert(object.clone(), object_there);
        Ok(bytes)
    }

    /// Removes what another process has put into the folder under hidden names that begin so.
    pub async fn discard(&self, beginning: String) -> Result<(), StoreError> {
        let discard = self.in_directory(move |directory| directory.discard(&beginning));
        discard.await.unwrap_or(Ok(()))
    }

    /// Removes objects; one that isn't there is no failure.
    pub async fn delete(&self, objects: Vec<ObjectName>) -> Result<(), StoreError> {
        objects.iter().try_for_each(check_name)?;
        {
            let mut index = self.index_mut();
            objects.iter().for_each(|object| drop(index.remove(object)));
        }
        self.in_directory(move |directory| directory.delete(&objects))
            .await
            .unwrap_or(Ok(()))
    }

    /// Those of `wanted` that are there byte for byte. Every other object, but those to `keep`, is
    /// deleted: it is the left-over of a process that died.
    pub async fn check(
        &self,
        wanted: Vec<ObjectCheck>,
        keep: Vec<ObjectName>,
    ) -> Result<Vec<ObjectCheck>, StoreError> {
        wanted
            .iter()
            .map(|check| &check.object)
            .chain(&keep)
            .try_for_each(check_name)?;
        let asked: Vec<_> = wanted
            .iter()
            .map(|check| &check.object)
            .chain(&keep)
            .cloned()
            .collect();
        let is_wanted = {
            let wanted = wanted.clone();
            move |name: &ObjectName, object: &Object| {
                keep.contains(name) || wanted.iter().any(|check| is_there(check, name, object))
            }
        };
        let kept = is_wanted.clone();
        let look = self.in_directory(move |directory| directory.look(&asked, kept));
        match look.await {
            Some(found) => *self.index_mut() = found?,
            None => self
                .index_mut()
                .retain(|name, object| is_wanted(name, object)),
        }
        let index = self.index();
        let found = |check: &ObjectCheck| index.contains_key(&check.object);
        Ok(wanted.into_iter().filter(found).collect())
    }

    /// Puts playlists beside the objects, each replacing the one before in one step; the multivariant
    /// playlist comes last, when all that it names is there. It waits for a disk: not to be called where waiting is
    /// not allowed.
    pub fn publish(&self, playlists: &[PublishedPlaylist]) -> Result<(), StoreError> {
        playlists
            .iter()
            .try_for_each(|it| check_playlist_name(&it.name))?;
        let directory = self.inner.directory.as_ref();
        directory.map_or(Ok(()), |it| it.publish(playlists))
    }

    /// How many bytes it holds at most, where it is bounded.
    pub fn room(&self) -> Option<u64> {
        self.inner
            .directory
            .is_none()
            .then(|| self.inner.room.most())
    }

    /// Whether files are what is kept.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.inner.directory.is_some()
    }

    /// Takes all playlists away, also those that an earlier process has left; the objects stay.
    pub async fn withdraw(&self) -> Result<(), StoreError> {
        self.in_directory(Directory::withdraw)
            .await
            .unwrap_or(Ok(()))
    }

    /// Lets files be worked on where waiting is allowed. `None` for a store in memory.
    async fn in_directory<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<Result<T, StoreError>> {
        self.inner.directory.as_ref()?;
        let inner = self.inner.clone();
        let run = move || inner.directory.as_ref().map(work);
        // Work that cannot be joined has panicked, half way or not.
        tokio::task::spawn_blocking(run)
            .await
            .unwrap_or(Some(Err(StoreError::Unknown)))
    }

    fn index(&self) -> RwLockReadGuard<'_, HashMap<ObjectName, Object>> {
        self.inner
            .index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, HashMap<ObjectName, Object>> {
        self.inner
            .index
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_there(check: &ObjectCheck, name: &ObjectName, object: &Object) -> bool {
    check.object == *name && check.length == object.length && check.hash == object.hash
}

/// The names come from our own core, and a mistake there must still not write outside the folder.
fn check_name(object: &ObjectName) -> Result<(), StoreError> {
    let name = &*object.0;
    if is_plain(name) && !name.ends_with(PLAYLIST_ENDING) {
        Ok(())
    } else {
        Err(StoreError::Failed(
            format!("{name:?} is no name for an object").into(),
        ))
    }
}

fn check_playlist_name(playlist: &PlaylistName) -> Result<(), StoreError> {
    let name = &*playlist.0;
    if is_plain(name) && name.ends_with(PLAYLIST_ENDING) {
        Ok(())
    } else {
        Err(StoreError::Failed(
            format!("{name:?} is no name for a playlist").into(),
        ))
    }
}

/// Below the folder, not hidden, and the same in a URL.
pub(crate) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// A failure of the file system as the core tells them apart. A limit on the size of files is a quota
/// too: it ends when something is deleted or raised.
pub(crate) fn failure(what: &str, error: &io::Error) -> StoreError {
    if is_full(error) {
        StoreError::Full
    } else {
        StoreError::Failed(format!("{what}: {error}").into())
    }
}

/// Whether more room would help.
pub(crate) fn is_full(error: &io::Error) -> bool {
    let full = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::FileTooLarge,
    ];
    full.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(store: &Store, name: &str, bytes: usize) -> Result<(), StoreError> {
        let mut writer = store.create(&ObjectName(name.into()))?;
        writer.write(&vec![7; bytes]).await?;
        writer.commit().await.map(drop)
    }

    #[tokio::test]
    async fn memory_is_bounded_and_free_again_once_nobody_needs_it() {
        let store = Store::memory_of(1_000);
        put(&store, "a", 600).await.unwrap();
        let refused = put(&store, "b", 600).await.unwrap_err();
        assert!(refused.to_string().contains("--store DIR"), "{refused}");
        put(&store, "c", 400).await.unwrap();
        let watched = store.get("a");
        store.delete(vec![ObjectName("a".into())]).await.unwrap();
        assert!(
            put(&store, "d", 600).await.is_err(),
            "a viewer still has it"
        );
        drop(watched);
        put(&store, "d", 600).await.unwrap();
    }
}
