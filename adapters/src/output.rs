//! What viewers of the channels see at this moment.
//!
//! A playlist is made once, with its tags, and packed at most once. A version is all playlists of a
//! channel, shown by swapping one pointer: a viewer gets whole playlists, all of the version before or
//! all of the one after (S-01).

use crate::cluster::validity::Validity;
use crate::store::Store;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hls_relay_core::command::PublishedPlaylist;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::time::Span;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

/// The channels of a process, by name. A clone is the same list.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    channels: Arc<RwLock<BTreeMap<Arc<str>, Listed>>>,
}

/// A channel that viewers may ask for.
#[derive(Clone, Debug)]
pub enum Listed {
    /// It is open.
    Open(Arc<Output>),
    /// It should run and is not open yet, or not at this moment: viewers are asked to wait.
    Shut,
    /// It was open here and is to be another node's: shown while nobody has it.
    HandedOn(Arc<Output>),
}

/// One channel, as viewers see it.
#[derive(Debug)]
pub struct Output {
    store: Store,
    shown: RwLock<Shown>,
    /// In a cluster: what is shown may be shown only while this holds.
    validity: Option<Arc<Validity>>,
}

/// The version that is shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// None yet: viewers are asked to wait.
    Nothing,
    /// This one.
    Version(Arc<Version>),
    /// None any more: the presentation is over and its time has passed (S-46).
    Withdrawn,
}

/// One version of a channel: all its playlists.
#[derive(Debug)]
pub struct Version {
    playlists: BTreeMap<PlaylistName, Arc<Playlist>>,
    /// How long a playlist of this version may be reused.
    pub max_age: Span,
    /// How long a segment may be reused.
    pub segment_max_age: Span,
}

/// A playlist, ready to be sent.
#[derive(Debug)]
pub struct Playlist {
    /// The text.
    pub plain: Bytes,
    /// The same as gzip, once somebody has asked for that.
    gzip: OnceLock<Bytes>,
    /// The entity tag of the text, in quotes.
    pub etag: String,
    /// The entity tag of the compressed text: other bytes, so another tag.
    pub gzip_etag: String,
}

impl Version {
    /// The playlist of that name.
    pub fn playlist(&self, name: &str) -> Option<&Arc<Playlist>> {
        self.playlists.get(&PlaylistName(name.into()))
    }
}

impl Playlist {
    fn new(text: &str) -> Self {
        let tag = short_hex(&Sha256::digest(text));
        Self {
            plain: Bytes::copy_from_slice(text.as_bytes()),
            gzip: OnceLock::new(),
            etag: format!("\"{tag}\""),
            gzip_etag: format!("\"{tag}-gz\""),
        }
    }

    /// The text as gzip. It is packed once, for the first who asks: 10 µs for a usual window.
    pub fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| gzip(&self.plain).into())
    }
}

impl Output {
    /// A channel that shows nothing yet.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            shown: RwLock::new(Shown::Nothing),
            validity: None,
        }
    }

    /// The same, of a node whose right to show it may end.
    #[must_use]
    pub fn while_valid(self, validity: Arc<Validity>) -> Self {
        Self {
            validity: Some(validity),
            ..self
        }
    }

    /// Whether anything of it may be shown now.
    pub fn may_be_shown(&self) -> bool {
        self.validity.as_ref().is_none_or(|it| it.holds())
    }

    /// Where its segments are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What is shown now.
    pub fn shown(&self) -> Shown {
        self.shown
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shows a version from now on: these playlists, and those of the version before that did not
    /// change.
    pub fn publish(&self, changed: &[PublishedPlaylist], max_age: Span, segment_max_age: Span) {
        let mut playlists = match self.shown() {
            Shown::Version(before) => before.playlists.clone(),
            Shown::Nothing | Shown::Withdrawn => BTreeMap::new(),
        };
        for PublishedPlaylist { name, text } in changed {
            playlists.insert(name.clone(), Arc::new(Playlist::new(text)));
        }
        self.show(Shown::Version(Arc::new(Version {
            playlists,
            max_age,
            segment_max_age,
        })));
    }

    /// What is shown from now on is its successor's: nothing before that is shown again. Its segments still are.
    pub fn succeeded(&self) {
        self.show(Shown::Nothing);
    }

    /// Shows nothing any more.
    pub fn withdraw(&self) {
        self.show(Shown::Withdrawn);
    }

    fn show(&self, shown: Shown) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

impl Outputs {
    /// Adds a channel that is open, or replaces the one of that name.
    pub fn insert(&self, name: Arc<str>, output: Arc<Output>) {
        self.lock().insert(name, Listed::Open(output));
    }

    /// Adds a channel that is not open, or forgets what one had open.
    pub fn shut(&self, name: Arc<str>) {
        self.lock().insert(name, Listed::Shut);
    }

    /// A channel that was open ends here, and is to be another node's.
    pub fn hand_on(&self, name: &str) {
        let mut channels = self.lock();
        if let Some(Listed::Open(output)) = channels.get(name).cloned() {
            channels.insert(name.into(), Listed::HandedOn(output));
        }
    }

    /// Forgets channels that were handed on.
    pub fn forget_handed_on(&self, name: &str) {
        let mut channels = self.lock();
        if let Some(Listed::HandedOn(_)) = channels.get(name) {
            channels.remove(name);
        }
    }

    /// Those that were handed on and are not forgotten yet.
    pub fn handed_on(&self) -> Vec<Arc<str>> {
        let channels = self.channels.read();
        let channels = channels.unwrap_or_else(PoisonError::into_inner);
        let handed_on = channels
            .iter()
            .filter(|(_, it)| matches!(it, Listed::HandedOn(_)));
        handed_on.map(|(name, _)| name.clone()).collect()
    }

    /// Takes a channel off the list.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The channel of that name.
    pub fn get(&self, name: &str) -> Option<Listed> {
        let channels = self.channels.read();
        let channels = channels.unwrap_or_else(PoisonError::into_inner);
        channels.get(name).cloned()
    }

    /// The names of all channels, in order.
    pub fn names(&self) -> Vec<Arc<str>> {
        let channels = self.channels.read();
        let channels = channels.unwrap_or_else(PoisonError::into_inner);
        channels.keys().cloned().collect()
    }

    fn lock(&self) -> RwLockWriteGuard<'_, BTreeMap<Arc<str>, Listed>> {
        self.channels
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first bytes of a hash, enough to tell two contents apart.
pub(crate) fn short_hex(hash: &[u8]) -> String {
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The bytes as gzip.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; an empty answer would be seen at once.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
