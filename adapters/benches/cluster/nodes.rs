//! Nodes, and what stands in Redis for them.

use crate::binary::{Relay, command};
use crate::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// So many records are written with one message.
const AT_ONCE: usize = 500;

/// A node with an API. It is killed when it is dropped.
pub(crate) struct Node {
    relay: Relay,
    api: String,
    client: reqwest::Client,
}

impl Node {
    pub(crate) async fn start(
        folder: &Path,
        redis: &RedisServer,
        name: &str,
        capacity: usize,
    ) -> Self {
        let data = folder.join(name).display().to_string();
        let (redis, capacity) = (redis.url(), capacity.to_string());
        let mut node = command(&["node", "--data", &data, "--api-listen", "127.0.0.1:0"]);
        node.args(["--redis", &redis, "--name", name, "--capacity", &capacity]);
        let relay = tokio::task::spawn_blocking(|| Relay::spawn(node)).await;
        let relay = relay.expect("the node starts");
        relay.wait_for_log(" api=");
        let log = relay.log();
        let api = log.split_once(" api=").map_or("", |it| it.1);
        let api = api.split_whitespace().next().unwrap_or_default().to_owned();
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.expect("a client");
        Self { relay, api, client }
    }

    /// User and system time so far, in milliseconds. A tick is 10 ms.
    pub(crate) fn used_ms(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.relay.id()));
        let stat = stat.unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |it| it.1);
        let ticks = after_name.split_whitespace().skip(11).take(2);
        ticks.filter_map(|it| it.parse::<u64>().ok()).sum::<u64>() * 10
    }

    /// Says by its API what a channel should be.
    pub(crate) async fn put(&self, id: &str, source: &str) {
        let url = format!("{}/api/v1/channels/{id}", self.api);
        let body = format!(r#"{{"spec": {{"sources": ["{source}"]}}}}"#);
        let answer = self.client.put(url).body(body).send().await;
        let status = answer.expect("it answers").status();
        assert!(status.is_success(), "{status}");
    }

    /// The list of a channel, as a viewer of this node gets it.
    pub(crate) async fn list(&self, id: &str) -> Option<String> {
        let url = format!("{}/{id}/index.m3u8", self.relay.address);
        let within = self.client.get(url).timeout(Duration::from_secs(2));
        let answer = within.send().await.ok()?.error_for_status().ok()?;
        answer.text().await.ok()
    }

    pub(crate) fn log(&self) -> String {
        self.relay.log()
    }
}

/// A program that writes Redis itself.
pub(crate) struct Records {
    redis: MultiplexedConnection,
}

impl Records {
    pub(crate) async fn of(redis: &RedisServer) -> Self {
        let client = redis::Client::open(redis.url()).expect("an address");
        let redis = client.get_multiplexed_async_connection().await;
        Self {
            redis: redis.expect("it answers"),
        }
    }

    /// Channels by id and source, as README tells it.
    pub(crate) async fn write(&mut self, channels: Vec<(String, String)>, desired: &str) {
        for some in channels.chunks(AT_ONCE) {
            let revisions = redis::cmd("INCRBY")
                .arg("hls-relay:revision")
                .arg(some.len())
                .take();
            let last: u64 = revisions
                .query_async(&mut self.redis)
                .await
                .expect("a number");
            let mut all = redis::pipe();
            for (revision, (id, source)) in (last + 1 - some.len() as u64..).zip(some) {
                let spec = format!(r#"{{"sources": ["{source}"]}}"#);
                all.cmd("SADD").arg("hls-relay:channels").arg(id).ignore();
                all.cmd("HSET").arg(format!("hls-relay:channel:{{{id}}}"));
                all.arg("spec").arg(spec).arg("desired").arg(desired);
                all.arg("writer").arg("api").arg("revision").arg(revision);
                all.ignore();
                all.cmd("RPUSH").arg("hls-relay:pending").arg(id).ignore();
            }
            let written: redis::RedisResult<()> = all.query_async(&mut self.redis).await;
            written.expect("Redis takes it");
        }
    }

    /// So many channels that run, each from a live source below `base`; their ids.
    pub(crate) async fn run(&mut self, count: usize, base: &str) -> Vec<String> {
        let ids: Vec<_> = (0..count).map(|it| format!("c{it}")).collect();
        let source = |id: &String| (id.clone(), format!("{base}/live/{id}.m3u8"));
        self.write(ids.iter().map(source).collect(), "run").await;
        ids
    }
}
