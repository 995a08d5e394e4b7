//! Where segments, the playlists and the checkpoint are kept: a directory, or the memory of a process.
//!
//! The store does each thing at one instant; what is slow, fails, or happens without anybody being
//! told is decided by the plan and carried out by the world.

use crate::published::{Multivariant, Version};
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::command::ObjectCheck;
use hls_relay_core::event::{StoreError, StoredSegment};
use hls_relay_core::ids::{ContentHash, ObjectName, PlaylistName};
use hls_relay_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a store is like, and what goes wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorePlan {
    /// Where things are kept.
    pub kind: StoreKind,
    /// How long each thing takes.
    pub latency: Span,
    /// What it may take longer.
    pub jitter: Span,
    /// What goes wrong, and when.
    pub faults: Vec<StoreFault>,
}

/// What outlives a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// The checkpoint alone.
    Memory,
    /// Everything.
    Directory,
}

/// One thing that goes wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFault {
    /// When it begins.
    pub from: Span,
    /// When it is over.
    pub until: Span,
    /// What it hits.
    pub on: StoreWork,
    /// What it is.
    pub kind: StoreFaultKind,
}

/// What a store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreWork {
    /// Keep a segment.
    Put,
    /// Make a playlist visible.
    Publish,
    /// Delete segments, or the playlist.
    Delete,
    /// Save a checkpoint alone.
    Save,
    /// See what is there.
    Check,
    /// All of that.
    Everything,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreFaultKind {
    /// It takes so much longer.
    Slow(Span),
    /// It does not happen, and says so.
    Failing,
    /// There is no space.
    Full,
    /// It happens or does not, one as often as the other, and no answer comes.
    ReplyLost,
}

impl StorePlan {
    /// It always says what became of a piece of work.
    pub fn is_sure(&self) -> bool {
        let mut faults = self.faults.iter();
        !faults.any(|it| it.kind == StoreFaultKind::ReplyLost)
    }

    /// Whether any of its work is in trouble in this time, or was shortly before.
    pub fn is_troubled(&self, from: Timestamp, until: Timestamp) -> bool {
        let start = Timestamp::default();
        let felt = Span::from_secs(10);
        let overlaps =
            |it: &StoreFault| start + it.from <= until && from <= start + it.until + felt;
        self.faults.iter().any(overlaps)
    }

    /// What hits a piece of work that begins at this time.
    pub fn fault(&self, at: Timestamp, work: StoreWork) -> Option<StoreFault> {
        let at = at.since(Timestamp::default());
        let hits = |on: StoreWork| on == work || on == StoreWork::Everything;
        let mut faults = self.faults.iter();
        faults
            .find(|fault| hits(fault.on) && fault.from <= at && at < fault.until)
            .copied()
    }
}

impl StoreFaultKind {
    /// What is answered, where it is not a success; `applied` says whether it happened all the same.
    pub fn error(self) -> Option<StoreError> {
        match self {
            Self::Slow(_) => None,
            Self::Failing => Some(StoreError::Failed("input/output error".into())),
            Self::Full => Some(StoreError::Full),
            Self::ReplyLost => Some(StoreError::Unknown),
        }
    }
}

/// A stored segment and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub hash: ContentHash,
    /// How many.
    pub length: u64,
}

/// What is there at this moment.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Segments by name.
    pub objects: BTreeMap<ObjectName, Object>,
    /// The media playlists that viewers see.
    pub playlists: BTreeMap<PlaylistName, Arc<Version>>,
    /// What viewers open, where it is a multivariant playlist.
    pub multivariant: Option<Arc<Multivariant>>,
    /// What a successor would find.
    pub checkpoint: Option<Saved>,
}

/// A checkpoint that is saved.
#[derive(Clone, Debug)]
pub struct Saved {
    /// What a successor goes on from.
    pub checkpoint: Arc<Checkpoint>,
    /// The newest version that it knows of, by [`Version::number`].
    pub version: u64,
}

impl Store {
    /// Keeps a segment; whatever had that name is replaced in one step.
    pub fn put(&mut self, name: ObjectName, segment: &StoredSegment) {
        self.objects.insert(
            name,
            Object {
                hash: segment.hash,
                length: segment.length,
            },
        );
    }

    /// Takes everything away that viewers see.
    pub fn withdraw(&mut self) {
        self.playlists.clear();
        self.multivariant = None;
    }

    /// What viewers open, where it is a media playlist.
    pub fn entry(&self) -> Option<&Arc<Version>> {
        self.playlists
            .get(&PlaylistName(PlaylistName::ENTRY.into()))
    }

    /// Which of the asked are there as asked; every other object but those to keep is deleted.
    pub fn check(&mut self, asked: &[ObjectCheck], keep: &[ObjectName]) -> Vec<ObjectCheck> {
        let there: Vec<ObjectCheck> = asked
            .iter()
            .filter(|check| {
                self.objects
                    .get(&check.object)
                    .is_some_and(|it| it.hash == check.hash && it.length == check.length)
            })
            .cloned()
            .collect();
        let stays: BTreeSet<&ObjectName> = there
            .iter()
            .map(|check| &check.object)
            .chain(keep)
            .collect();
        self.objects.retain(|name, _| stays.contains(name));
        there
    }

    /// The process is gone, and what it kept in memory with it.
    pub fn crash(&mut self, kind: StoreKind) {
        match kind {
            StoreKind::Directory => {}
            StoreKind::Memory => {
                self.objects.clear();
                self.withdraw();
            }
        }
    }
}
