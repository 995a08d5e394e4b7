//! An object on its way into the store.

use super::directory::TempFile;
use super::room::Lease;
use super::{Content, Object, Store};
use bytes::Bytes;
use hls_relay_core::event::{StoreError, StoredSegment};
use hls_relay_core::ids::{ContentHash, ObjectName};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Weak};

/// Kept in memory before a file is begun: nearly every segment fits, so that a directory sees one
/// write and one rename for each, and a large one still does not fill the memory.
const SPILL: usize = 1 << 20;
/// The most memory that is set aside because a stranger says how long a body will be.
const MOST_EXPECTED: u64 = 4 << 20;

/// Takes the bytes of an object, and hashes them as they come.
#[derive(Debug)]
pub struct ObjectWriter {
    store: Store,
    object: ObjectName,
    hasher: Sha256,
    length: u64,
    buffer: Vec<u8>,
    /// Where the buffer has been emptied to. Its file goes away with it.
    spilled: Option<TempFile>,
    lease: Lease,
}

impl ObjectWriter {
    pub(super) fn new(store: Store, object: ObjectName) -> Self {
        let (hasher, buffer) = (Sha256::new(), Vec::new());
        let lease = store.inner.room.lease();
        Self {
            store,
            object,
            hasher,
            length: 0,
            buffer,
            spilled: None,
            lease,
        }
    }

    /// So many bytes are to be written: a hint that saves moving them about.
    pub fn expect(&mut self, length: u64) {
        let most = if self.store.is_on_disk() {
            SPILL as u64
        } else {
            MOST_EXPECTED
        };
        self.buffer
            .reserve_exact(usize::try_from(length.min(most)).unwrap_or(0));
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if !self.store.is_on_disk() {
            self.lease.grow(bytes.len() as u64)?;
        }
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.store.is_on_disk() && self.buffer.len() > SPILL {
            self.spill().await?;
        }
        Ok(())
    }

    /// Makes the object visible under its name, whole. From here on viewers can fetch it.
    pub async fn commit(mut self) -> Result<StoredSegment, StoreError> {
        let bytes = Bytes::from(self.buffer.into_boxed_slice());
        let mut newest = Weak::new();
        let content = if self.store.is_on_disk() {
            let (mut temp, rest, object) =
                (self.spilled.take(), bytes.clone(), self.object.clone());
            let is_whole = temp.is_none();
            let finish = self.store.in_directory(move |directory| {
                let mut temp = temp.take().map_or_else(|| directory.temp_file(), Ok)?;
                temp.append(&rest)?;
                let path = directory.path_of(&object);
                temp.rename_to(&path).map(|()| path)
            });
            let path = finish.await.unwrap_or(Err(StoreError::Unknown))?;
            if let Some(kept) = self.store.newest.as_ref().filter(|_| is_whole) {
                newest = kept.keep(bytes);
            }
            Content::File(path)
        } else {
            Content::Memory(bytes)
        };
        let hash = ContentHash(self.hasher.finalize().into());
        let stored = Object {
            length: self.length,
            hash,
            _lease: matches!(content, Content::Memory(_)).then(|| Arc::new(self.lease)),
            content,
            newest,
        };
        self.store.index_mut().insert(self.object, stored);
        Ok(StoredSegment {
            length: self.length,
            hash,
            formats: None,
        })
    }

    async fn spill(&mut self) -> Result<(), StoreError> {
        let (mut temp, mut buffer) = (self.spilled.take(), std::mem::take(&mut self.buffer));
        let spill = self.store.in_directory(move |directory| {
            let mut temp = temp.take().map_or_else(|| directory.temp_file(), Ok)?;
            temp.append(&buffer)?;
            buffer.clear();
            Ok((temp, buffer))
        });
        let (temp, buffer) = spill.await.unwrap_or(Err(StoreError::Unknown))?;
        (self.spilled, self.buffer) = (Some(temp), buffer);
        Ok(())
    }
}
