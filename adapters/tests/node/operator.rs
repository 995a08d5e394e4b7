//! A node, and an operator who asks its API.

use crate::support::binary::{Relay, command};
use crate::viewers::{PATIENCE, client};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// A running node.
pub(crate) struct Node {
    pub(crate) relay: Relay,
    /// Where its API is.
    pub(crate) api: String,
}

/// What the API has answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) etag: String,
    pub(crate) body: Value,
}

impl Node {
    /// A node that keeps its data in this folder, with these arguments besides.
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Self {
        let data = data.display().to_string();
        let mut node = command(&["node", "--data", &data, "--api-listen", "127.0.0.1:0"]);
        node.args(arguments);
        Self::of(Relay::spawn(node))
    }

    pub(crate) fn of(relay: Relay) -> Self {
        relay.wait_for_log(" api=");
        let log = relay.log();
        let (_, api) = log.split_once(" api=").unwrap();
        let api = api.split_whitespace().next().unwrap().to_owned();
        Self { relay, api }
    }

    /// Where its viewers are served.
    pub(crate) fn address(&self) -> &str {
        &self.relay.address
    }

    pub(crate) fn log(&self) -> String {
        self.relay.log()
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        head: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answered {
        let mut request = client().request(method, format!("{}{path}", self.api));
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let etag = answer.headers().get("etag");
        let etag = etag.map_or("", |it| it.to_str().unwrap()).to_owned();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answered { status, etag, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, &[], None).await
    }

    /// Says what a channel should be.
    pub(crate) async fn put(&self, id: &str, spec: Value) -> Answered {
        let body = json!({ "spec": spec });
        self.ask(
            Method::PUT,
            &format!("/api/v1/channels/{id}"),
            &[],
            Some(body),
        )
        .await
    }

    pub(crate) async fn desire(&self, id: &str, desired: &str) -> Answered {
        let path = format!("/api/v1/channels/{id}/desired");
        let body = json!({ "desired": desired });
        self.ask(Method::PUT, &path, &[], Some(body)).await
    }

    /// Waits until a channel is observed to be so.
    pub(crate) async fn until(&self, id: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let now = self.get(&format!("/api/v1/channels/{id}")).await;
            if is(&now.body["observed"]) {
                return now.body;
            }
            assert!(began.elapsed() < PATIENCE, "{now:#?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a channel is in a state.
    pub(crate) async fn until_state(&self, id: &str, state: &str) -> Value {
        self.until(id, |it| it["state"] == state).await
    }
}

/// A channel from this source, with a short list.
pub(crate) fn spec(source: &str) -> Value {
    json!({ "sources": [source], "window": 6 })
}
