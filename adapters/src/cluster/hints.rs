//! Hears of channels that have changed, or want an owner. What is not heard is found by the next look.

use super::hands::Hands;
use crate::node::NodeHandle;
use crate::redis::keys;
use ::redis::cmd;
use futures_util::StreamExt;
use hls_relay_core::node::{ChannelId, ClusterEvent, NodeEvent};
use std::time::Duration;
use tokio::time::timeout;

/// Before the next connection to listen on.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);
/// A connection on which nothing was heard for so long may be dead: another one is made.
const SILENT_AFTER: Duration = Duration::from_secs(60);
/// How often the list of those that want an owner, or have changed, is looked at: who writes it waits so long at most.
const PENDING_EVERY: Duration = Duration::from_millis(100);
/// So many are taken off it at once.
const PENDING_AT_ONCE: usize = 200;

/// Goes on until it is dropped.
pub async fn run(hands: Hands, node: NodeHandle) {
    tokio::join!(hear(&hands, &node), take_pending(&hands, &node));
}

async fn hear(hands: &Hands, node: &NodeHandle) {
    for turn in 0.. {
        if let Ok(mut listening) = hands.link().listen(turn).await
            && listening.subscribe(keys::CHANGED).await.is_ok()
        {
            let mut messages = listening.into_on_message();
            while let Ok(Some(message)) = timeout(SILENT_AFTER, messages.next()).await {
                hint(node, message.get_payload_bytes());
            }
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

/// Programs that write Redis themselves need not tell: what they put on the list is told for them. A node that has no
/// room does so, too: it may own what has changed, and the others hear of what wants an owner.
async fn take_pending(hands: &Hands, node: &NodeHandle) {
    loop {
        tokio::time::sleep(PENDING_EVERY).await;
        if !hands.contact().reaches_redis {
            continue;
        }
        let Ok(ids) = hands.pending(PENDING_AT_ONCE).await else {
            continue;
        };
        for id in ids {
            let told = cmd("PUBLISH").arg(keys::CHANGED).arg(&**id.name()).take();
            let _ = hands.link().command::<()>(&told).await;
            node.tell(NodeEvent::Cluster(ClusterEvent::Hint { id }));
        }
    }
}

/// Anybody may tell anything: what is no name is nothing.
fn hint(node: &NodeHandle, name: &[u8]) {
    let name = std::str::from_utf8(name).ok();
    if let Some(id) = name.and_then(|it| ChannelId::new(it).ok()) {
        node.tell(NodeEvent::Cluster(ClusterEvent::Hint { id }));
    }
}
