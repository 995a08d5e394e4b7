//! What is wanted of each channel: kept by the node itself ([`embedded`]), or in Redis for all nodes of a
//! cluster ([`in_redis`]). What a change may do is decided in the core ([`apply`]); here it is made as one piece.
//!
//! [`apply`]: hls_relay_core::node::apply

pub mod embedded;
pub mod in_redis;

use crate::api::view::ObservedView;
use crate::redis::Link;
use crate::spec::ChannelSpec;
use embedded::EmbeddedStore;
use hls_relay_core::node::{Change, ChannelId, Condition, NodeEvent, Record, Refused, Writer};
use in_redis::RedisStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store has so many records at most, run or stopped: each costs every listing.
pub const MOST_CHANNELS: u64 = 10_000;

/// The store. A clone is the same one.
#[derive(Clone)]
pub enum ControlStore {
    /// In a file of the node.
    Embedded(EmbeddedStore),
    /// In Redis.
    Redis(RedisStore),
}

/// Is told of each change that is made through a store.
pub type OnChange = Box<dyn Fn(NodeEvent<ChannelSpec>) + Send>;

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The channel's revision now; of a removal, that of the removal.
    pub revision: u64,
    /// What is wanted of it now; `None` once it is removed.
    pub record: Option<Record<ChannelSpec>>,
    /// There was no such channel before.
    pub is_new: bool,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// By the rules.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// There is no room for another channel.
    #[error("there are {MOST_CHANNELS} channels: remove one first")]
    Full,
    /// A stranger has written there what is none. Who has the channel goes on with what it knows.
    #[error("what Redis has of the channel cannot be read: {0}; put it there again")]
    Unreadable(String),
    /// By what it is kept in; it may or may not have been made.
    #[error("the control store failed: {0}")]
    Failed(String),
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlStoreError {
    /// It cannot be made, read or written.
    #[error("cannot use {}: {why}", path.display())]
    Unusable { path: PathBuf, why: String },
    /// Two nodes would undo each other's changes.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
}

/// A channel as it stands in the store; one that cannot be read harms no other.
pub type Listed = (ChannelId, Record<ChannelSpec>);

/// What the owner of a channel tells the other nodes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// His incarnation, where there is one.
    pub owner: Option<Arc<str>>,
    /// Counts the channel's owners.
    pub epoch: u64,
    /// What he has observed last.
    pub status: Option<ObservedView>,
    /// He is none of the nodes that were alive when they were looked at.
    pub is_dead: bool,
}

impl ControlStore {
    /// Opens the file, or makes it. `on_change` hears of the changes in the order in which they are made.
    pub fn open(
        path: &Path,
        on_change: impl Fn(NodeEvent<ChannelSpec>) + Send + 'static,
    ) -> Result<Self, ControlStoreError> {
        EmbeddedStore::open(path, Box::new(on_change)).map(Self::Embedded)
    }

    /// The store in this Redis. `on_change` hears of what is changed through this one, not of what others
    /// write; of one channel in the order of the revisions, where the one change is answered before the next
    /// is asked for.
    pub fn in_redis(
        link: Link,
        on_change: impl Fn(NodeEvent<ChannelSpec>) + Send + 'static,
    ) -> Self {
        Self::Redis(RedisStore::new(link, Box::new(on_change)))
    }

    /// Makes a change, or says why not. Nobody sees half of it, and no crash of ours takes it back.
    pub async fn change(
        &self,
        id: &ChannelId,
        writer: Writer,
        change: Change<ChannelSpec>,
        condition: Condition,
    ) -> Result<Changed, ChangeError> {
        match self {
            Self::Embedded(store) => store.change(id, writer, change, condition).await,
            Self::Redis(store) => store.change(id, writer, change, condition).await,
        }
    }

    /// One channel.
    pub async fn get(&self, id: &ChannelId) -> Result<Option<Record<ChannelSpec>>, ChangeError> {
        match self {
            Self::Embedded(store) => store.get(id).await,
            Self::Redis(store) => store.get(id).await,
        }
    }

    /// All channels, by their names.
    pub async fn list(&self) -> Result<Vec<Listed>, ChangeError> {
        match self {
            Self::Embedded(store) => store.list().await,
            Self::Redis(store) => store.list().await,
        }
    }

    /// One channel, and what its owner tells of it where the store is that of a cluster.
    pub async fn get_told(
        &self,
        id: &ChannelId,
    ) -> Result<Option<(Record<ChannelSpec>, Option<Told>)>, ChangeError> {
        match self {
            Self::Embedded(store) => Ok(store.get(id).await?.map(|record| (record, None))),
            Self::Redis(store) => store.get_told(id).await,
        }
    }

    /// All channels, by their names, in the same way.
    pub async fn list_told(&self) -> Result<Vec<(Listed, Option<Told>)>, ChangeError> {
        match self {
            Self::Embedded(store) => {
                let listed = store.list().await?.into_iter();
                Ok(listed.map(|it| (it, None)).collect())
            }
            Self::Redis(store) => store.list_told().await,
        }
    }

    /// The names of all channels, those that cannot be read as well.
    pub async fn ids(&self) -> Result<Vec<ChannelId>, ChangeError> {
        match self {
            Self::Embedded(store) => store.ids().await,
            Self::Redis(store) => store.ids().await,
        }
    }
}

impl Changed {
    /// What a node is told of it.
    fn told_of(&self, id: ChannelId) -> NodeEvent<ChannelSpec> {
        match &self.record {
            Some(record) => NodeEvent::Wanted {
                id,
                record: record.clone(),
            },
            None => NodeEvent::Removed {
                id,
                revision: self.revision,
            },
        }
    }
}

fn failed(error: impl ToString) -> ChangeError {
    ChangeError::Failed(error.to_string())
}
