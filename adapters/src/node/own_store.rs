//! Whether this node can keep segments, as the machine wants to know it again and again.

use super::NodeHandle;
use crate::channel::Places;
use hls_relay_core::node::NodeEvent;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A disk that has not answered by then cannot be used.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Tries it, and says in the log when it is gone, and when it is back.
pub(super) struct OwnStore {
    places: Places,
    is_usable: Arc<AtomicBool>,
    /// Taken while a disk is waited for, however long that takes: no second thread is to hang there.
    hand: Arc<Semaphore>,
}

impl OwnStore {
    pub(super) fn new(places: Places) -> Self {
        Self {
            places,
            is_usable: Arc::new(AtomicBool::new(true)),
            hand: Arc::new(Semaphore::new(1)),
        }
    }

    /// Tells `node` whether it can be used.
    pub(super) fn try_it(&self, node: NodeHandle) {
        let (places, hand) = (self.places.clone(), self.hand.clone().try_acquire_owned());
        let was_usable = self.is_usable.clone();
        tokio::spawn(async move {
            let trying = async {
                let hand = hand.map_err(|_| "the disk does not answer".to_owned())?;
                let was_none = !was_usable.load(Ordering::Relaxed);
                let trying = tokio::task::spawn_blocking(move || {
                    let tried = places.can_keep(was_none);
                    drop(hand);
                    tried.map_err(|error| error.to_string())
                });
                trying.await.map_err(|error| error.to_string())?
            };
            let tried = timeout(ANSWERS_WITHIN, trying).await;
            let tried = tried.unwrap_or(Err("the disk does not answer".to_owned()));
            let is_usable = tried.is_ok();
            match (tried, was_usable.swap(is_usable, Ordering::Relaxed)) {
                (Err(why), true) => tracing::error!(
                    "no channel can be relayed here: {why}; this node takes none, and gives its own to those that \
                     have room for them"
                ),
                (Ok(()), false) => {
                    tracing::info!("segments can be kept again: this node takes channels")
                }
                (Ok(()), true) | (Err(_), false) => {}
            }
            node.tell(NodeEvent::StoreTried { is_usable });
        });
    }
}
