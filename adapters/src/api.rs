//! The API of a node, on a port of its own: what is wanted of its channels is changed here, and what is
//! observed is told.
//!
//! Whoever reaches it may change everything. So it listens on this host alone unless it has a token, and
//! then every request but those for health carries it.

mod access;
mod answers;
mod channels;
mod metrics;
mod node;
pub mod view;

use crate::cluster::hands::Hands;
use crate::control_store::ControlStore;
use crate::node::NodeHandle;
use crate::transcode::makers::Makers;
use access::only_who_may;
pub use access::{LEAST_TOKEN_BYTES, Token};
use answers::Refusal;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("api/openapi.json");
/// A loop that has not answered after this is stuck.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// What the pages of the API work on. A clone is the same.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    /// What the node calls itself.
    node: Arc<str>,
    capacity: usize,
    store: ControlStore,
    handle: NodeHandle,
    token: Option<Token>,
    /// In a cluster.
    hands: Option<Hands>,
    /// Who makes the rungs of its ladders.
    makers: Makers,
}

impl Api {
    /// The API of this node.
    pub fn new(
        node: Arc<str>,
        capacity: usize,
        store: ControlStore,
        handle: NodeHandle,
        token: Option<Token>,
        hands: Option<Hands>,
        makers: Makers,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                node,
                capacity,
                store,
                handle,
                token,
                hands,
                makers,
            }),
        }
    }

    /// Its pages.
    pub fn router(self) -> Router {
        let mut open = Router::new();
        for (path, page) in health() {
            open = open.route(path, page);
        }
        let mut guarded = Router::new();
        for (path, page) in pages() {
            guarded = guarded.route(path, page);
        }
        let guard = axum::middleware::from_fn_with_state(self.clone(), only_who_may);
        let unknown = async || Refusal::new(StatusCode::NOT_FOUND, "no_page", "no such page");
        let wrong = async || {
            let text = "the page does not take this method; see /api/v1/openapi.json";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", text)
        };
        let guarded = guarded.fallback(unknown).layer(guard);
        open.merge(guarded)
            .method_not_allowed_fallback(wrong)
            .with_state(self)
    }
}

/// What everybody may ask: whoever watches the process has no token.
fn health() -> [(&'static str, MethodRouter<Api>); 2] {
    [("/healthz", get(healthz)), ("/readyz", get(readyz))]
}

/// Everything else. The description has these and no others.
fn pages() -> [(&'static str, MethodRouter<Api>); 7] {
    [
        ("/metrics", get(metrics::page)),
        ("/api/v1/openapi.json", get(description)),
        ("/api/v1/channels", get(channels::list)),
        (
            "/api/v1/channels/{id}",
            get(channels::show)
                .put(channels::change)
                .delete(channels::remove),
        ),
        ("/api/v1/channels/{id}/desired", put(channels::desire)),
        ("/api/v1/node", get(node::show)),
        ("/api/v1/node/drain", post(node::drain)),
    ]
}

async fn healthz(State(api): State<Api>) -> Response {
    match timeout(ALIVE_WITHIN, api.inner.handle.look()).await {
        Ok(_) => (StatusCode::OK, "ok\n").into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "stuck\n").into_response(),
    }
}

async fn readyz(State(api): State<Api>) -> Response {
    let why = if api.inner.handle.is_leaving() {
        "leaving\n".to_owned()
    } else if let Err(error) = api.inner.store.ids().await {
        format!("{error}\n")
    } else if api
        .inner
        .hands
        .as_ref()
        .is_some_and(|it| !it.contact().reaches_redis)
    {
        "Redis does not keep the lease of this node\n".to_owned()
    } else {
        return (StatusCode::OK, "ready\n").into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn description() -> Response {
    let json = [(header::CONTENT_TYPE, answers::JSON)];
    (json, DESCRIPTION).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_page_is_described_and_every_description_has_its_page() {
        let described: serde_json::Value = serde_json::from_str(DESCRIPTION).unwrap();
        let described: BTreeSet<_> = described["paths"].as_object().unwrap().keys().collect();
        let pages = pages().into_iter().chain(health());
        let pages: BTreeSet<_> = pages.map(|(path, _)| path.to_owned()).collect();
        assert_eq!(described, pages.iter().collect());
    }
}
