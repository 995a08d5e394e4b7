//! The pages of the node itself.

use super::answers::{Refusal, answer};
use super::view::NodeView;
use super::{Api, Inner};
use crate::cluster::hands::Hands;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hls_relay_core::node::NodeEvent;
use serde_json::json;

pub(super) async fn show(State(api): State<Api>) -> Response {
    answer(StatusCode::OK, &json!(view(&api.inner).await))
}

/// The node gives its channels to those that have room for them, and answers at once.
pub(super) async fn drain(State(api): State<Api>) -> Result<Response, Refusal> {
    let api = &api.inner;
    if api.hands.is_none() {
        let text = "the node is by itself: nobody else could take its channels; SIGTERM lets them finish what is \
                    in flight";
        return Err(Refusal::new(StatusCode::CONFLICT, "by_itself", text));
    }
    if !api.handle.is_draining() {
        let node = &*api.node;
        tracing::info!(
            node,
            "by the API: it gives its channels away and takes no more"
        );
    }
    api.handle.tell(NodeEvent::Drain);
    Ok(answer(StatusCode::ACCEPTED, &json!(view(api).await)))
}

async fn view(api: &Inner) -> NodeView {
    let contact = api.hands.as_ref().map(Hands::contact);
    let lost = contact.iter().flat_map(|it| &it.lost);
    NodeView {
        lost_changes: lost
            .map(|(id, revision)| (id.to_string(), *revision))
            .collect(),
        name: api.node.to_string(),
        capacity: api.capacity,
        channels: api.handle.look().await.len(),
        draining: api.handle.is_draining() || api.handle.is_leaving(),
        redis_reached: contact.map(|it| it.reaches_redis),
    }
}
