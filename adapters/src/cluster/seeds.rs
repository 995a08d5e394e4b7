//! The channels of a node's configuration file, in a cluster: each is added where there is none of its name. From then
//! on it is as any other: several nodes may have files, and none undoes what was changed since.

use crate::control_store::{ChangeError, ControlStore};
use crate::spec::ChannelSpec;
use hls_relay_core::node::{Change, ChannelId, Condition, Refused, Writer};
use std::sync::Arc;
use std::time::Duration;

/// Before Redis is asked again that did not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Adds them, however long Redis is away. What cannot be added is told.
pub async fn add(store: ControlStore, channels: Vec<(ChannelId, ChannelSpec)>) {
    for (id, spec) in channels {
        let (channel, spec) = (&**id.name(), Arc::new(spec));
        let mut told = false;
        loop {
            let change = Change::Put {
                spec: spec.clone(),
                desired: None,
            };
            let added = store.change(&id, Writer::Api, change, Condition::Absent);
            match added.await {
                Ok(added) => {
                    let revision = added.revision;
                    tracing::info!(channel, revision, "added, as the configuration file has it");
                }
                Err(ChangeError::Refused(Refused::Present(revision))) => {
                    tracing::debug!(channel, revision, "it is there already");
                }
                Err(error @ ChangeError::Failed(_)) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(channel, "not added yet: {error}; it is tried again");
                    }
                    tokio::time::sleep(TRY_AGAIN).await;
                    continue;
                }
                Err(
                    error @ (ChangeError::Refused(_)
                    | ChangeError::Full
                    | ChangeError::Unreadable(_)),
                ) => {
                    tracing::error!(
                        channel,
                        "the configuration file has it, and it is not added: {error}"
                    );
                }
            }
            break;
        }
    }
}
