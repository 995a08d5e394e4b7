//! What live channels have Redis do.

use crate::bound;
use crate::nodes::{Node, Records};
use crate::origin::Sources;
use crate::redis_server::RedisServer;
use crate::takeover::{AT_ONCE, later, newest};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const CHANNELS: usize = 200;
/// Until the nodes have shared the channels, and no channel moves any more.
const SETTLES: Duration = Duration::from_secs(25);
const MEASURED: Duration = Duration::from_secs(30);
/// More calls than Redis has meanwhile.
const MOST_CALLS: &str = "200000";
/// So many scripts a second a node has run besides: its lease, the other nodes, and each channel at each look at all.
const OF_A_NODE: f64 = 20.0 + CHANNELS as f64 / 4.0;
const NODES: usize = 2;

pub(crate) async fn measure() -> bool {
    let (redis, folder) = (RedisServer::start(), TempDir::new().expect("a folder"));
    let (_sources, base) = Sources::start().await;
    let ids = Records::of(&redis).await.run(CHANNELS, &base).await;
    let one = Node::start(folder.path(), &redis, "one", CHANNELS).await;
    let _two = Node::start(folder.path(), &redis, "two", CHANNELS).await;
    let begun = later(&one, &ids, &[0; CHANNELS]).await;
    assert_eq!(begun.len(), CHANNELS);
    sleep(SETTLES).await;

    // Each call is put down there, with the digest of the script.
    redis.ask(&["CONFIG", "SET", "slowlog-max-len", MOST_CALLS]);
    redis.ask(&["SLOWLOG", "RESET"]);
    redis.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    let (began, before) = (Instant::now(), numbers(&one, &ids).await);
    sleep(MEASURED).await;
    let after = numbers(&one, &ids).await;
    redis.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    let seconds = began.elapsed().as_secs_f64();
    let calls = calls(&redis.ask(&["SLOWLOG", "GET", MOST_CALLS]));
    let published: u64 = after.iter().zip(&before).map(|(it, was)| it - was).sum();
    let all: u64 = calls.values().sum();
    let publishes = calls.get(&digest_of_publish()).copied().unwrap_or(0);
    println!(
        "{CHANNELS} live channels on {NODES} nodes: {:.1} segments listed a second, {:.1} scripts, of which {:.1} carry a version",
        published as f64 / seconds,
        all as f64 / seconds,
        publishes as f64 / seconds,
    );
    assert!(publishes > 0 && published > 0, "{calls:?}");
    let each = publishes as f64 / published as f64;
    // Lists are looked at one after the other: what was published meanwhile is in one count and not in the other.
    let mut held = bound(
        "scripts for each segment that is listed",
        each,
        1.1,
        "scripts",
    );
    let besides = (all - publishes) as f64 / seconds / NODES as f64;
    held &= bound("scripts of a node besides", besides, OF_A_NODE, "a second");
    held
}

async fn numbers(node: &Node, ids: &[String]) -> Vec<u64> {
    let mut all = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        all.extend(join_all(some.iter().map(|id| newest(node, id))).await);
    }
    all
}

/// How often each script was called, by its digest.
fn calls(slow_log: &str) -> BTreeMap<String, u64> {
    let words: Vec<_> = slow_log.lines().map(str::trim).collect();
    let mut calls = BTreeMap::new();
    for pair in words.windows(2) {
        if pair[0].eq_ignore_ascii_case("evalsha") {
            *calls.entry(pair[1].to_owned()).or_default() += 1;
        }
    }
    calls
}

fn digest_of_publish() -> String {
    let text = concat!(
        include_str!("../../src/redis/channel.lua"),
        include_str!("../../src/cluster/publish.lua")
    );
    redis::Script::new(text).get_hash().to_owned()
}
