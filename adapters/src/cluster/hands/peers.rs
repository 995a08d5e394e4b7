//! The peers: each asks the others, without Redis, whether they have it.

use super::*;
use crate::cluster::{PEER_PATH, PEER_SECRET};

/// So many questions of peers are being answered at most.
const MOST_ASKED: usize = 64;
/// An answer of a peer is longer than any of ours.
const MOST_ANSWER_BYTES: usize = 4 << 10;

impl Hands {
    /// A peer asks whether this node has Redis. `None` where it is asked too much.
    pub async fn asked(&self, by: NodeName) -> Option<PeerAnswer> {
        let (answer, answered) = oneshot::channel();
        let request = {
            let mut state = self.lock();
            state.asked.retain(|_, it| !it.is_closed());
            if state.asked.len() >= MOST_ASKED {
                return None;
            }
            state.questions += 1;
            let request = RequestId(state.questions);
            state.asked.insert(request, answer);
            request
        };
        self.tell(ClusterEvent::Asked { request, by });
        answered.await.ok()
    }

    pub(super) async fn ask(&self, peer: &NodeName) -> Called<PeerAnswer> {
        let (control, secrets) = {
            let state = self.lock();
            (state.controls.get(peer).cloned(), state.secrets.text())
        };
        let control = control.ok_or(CallError::NotDone)?;
        let by = self.inner.myself.name.name();
        let url = format!("{}{}{by}", control.trim_end_matches('/'), PEER_PATH);
        let asking = async {
            let asked = self.inner.client.get(url).header(PEER_SECRET, secrets);
            let answer = asked.send().await;
            let mut answer = answer
                .and_then(reqwest::Response::error_for_status)
                .map_err(drop)?;
            let mut body = Vec::new();
            while let Some(some) = answer.chunk().await.map_err(drop)? {
                body.extend_from_slice(&some);
                if body.len() > MOST_ANSWER_BYTES {
                    return Err(());
                }
            }
            serde_json::from_slice(&body).map_err(drop)
        };
        asking.await.map_err(|()| CallError::Unknown)
    }
}
