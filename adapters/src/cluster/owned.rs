//! A channel that this node owns: what is written of it in Redis, in whose name, and whether it still may be.

use super::registry::{Kept, Registry, Title};
use super::validity::Validity;
use crate::node::NodeHandle;
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::event::StoreError;
use hls_relay_core::ids::Epoch;
use hls_relay_core::node::{ChannelId, ClusterEvent, Grant, NodeEvent};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// After so long it is known whether nobody has Redis, and what it had forgotten is told again.
const TRY_FOR: Duration = Duration::from_secs(3);
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The owner's side of one channel.
pub struct Owned {
    id: ChannelId,
    grant: Grant,
    title: Title,
    validity: Arc<Validity>,
    registry: Registry,
    node: NodeHandle,
    told: Mutex<Told>,
    /// Of what is wanted, as it stood there last: a change that nobody told of is seen by it.
    revision: AtomicU64,
}

/// What a successor and the others are told.
#[derive(Default)]
struct Told {
    /// Never older than what viewers have seen.
    checkpoint: Option<Arc<Checkpoint>>,
    /// In JSON.
    status: Arc<str>,
}

impl Owned {
    /// The channel `id`, going on from `checkpoint`.
    pub fn new(
        id: ChannelId,
        grant: Grant,
        validity: Arc<Validity>,
        registry: Registry,
        node: NodeHandle,
        checkpoint: Option<Arc<Checkpoint>>,
    ) -> Self {
        let told = Told {
            checkpoint,
            status: "{}".into(),
        };
        Self {
            title: Title::of(&grant),
            id,
            grant,
            validity,
            registry,
            node,
            told: Mutex::new(told),
            revision: AtomicU64::new(0),
        }
    }

    /// In whose name.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Counts its owners.
    pub fn epoch(&self) -> Epoch {
        self.grant.epoch
    }

    /// The newest that a successor is to be told.
    pub fn checkpoint(&self) -> Option<Arc<Checkpoint>> {
        self.lock().checkpoint.clone()
    }

    /// What the others are told of it.
    pub fn status(&self) -> Arc<str> {
        self.lock().status.clone()
    }

    /// What is shown of it may be shown now.
    pub fn validity(&self) -> &Arc<Validity> {
        &self.validity
    }

    /// Puts down how it is; the next version takes it along.
    pub fn observe(&self, status: Arc<str>) {
        self.lock().status = status;
    }

    /// Tells how it is, without a version that would take it along. Where that fails the next one does.
    pub async fn tell(&self) {
        let _ = self.write(None).await;
    }

    /// Says what a successor needs before viewers see a version. What is certain is then certain for all: where
    /// it fails nothing may become visible, unless nobody reaches Redis.
    pub async fn save(&self, checkpoint: Arc<Checkpoint>) -> Result<(), StoreError> {
        self.lock().checkpoint = Some(checkpoint.clone());
        let until = Instant::now() + TRY_FOR;
        let saved = loop {
            if self.validity.is_alone() {
                break Ok(());
            }
            match self.write(Some(&checkpoint)).await {
                Err(StoreError::Unknown) if Instant::now() < until => {
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                outcome => break outcome,
            }
        };
        saved?;
        match self.validity.holds() {
            true => Ok(()),
            false => Err(StoreError::NotValid),
        }
    }

    async fn write(&self, checkpoint: Option<&Checkpoint>) -> Result<(), StoreError> {
        if !self.validity.holds() {
            return Err(StoreError::NotValid);
        }
        let status = self.status();
        let written = self
            .registry
            .publish(&self.id, &self.title, &status, checkpoint);
        let event = match written.await {
            Ok(Kept::Done { revision }) => {
                if self.revision.swap(revision, Ordering::Relaxed) != revision {
                    let id = self.id.clone();
                    self.node
                        .tell(NodeEvent::Cluster(ClusterEvent::Hint { id }));
                }
                return Ok(());
            }
            Ok(Kept::Fenced { epoch }) => {
                let (id, epoch) = (self.id.clone(), Epoch(epoch));
                let event = ClusterEvent::Fenced { id, epoch };
                self.node.tell(NodeEvent::Cluster(event));
                return Err(StoreError::Fenced(epoch));
            }
            Ok(Kept::Lost | Kept::Wanted) => ClusterEvent::Forgotten {
                id: self.id.clone(),
            },
            Err(error) => {
                let channel = &**self.id.name();
                tracing::debug!(channel, epoch = self.grant.epoch.0, "not written: {error}");
                return Err(StoreError::Unknown);
            }
        };
        self.node.tell(NodeEvent::Cluster(event));
        Err(StoreError::Unknown)
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
