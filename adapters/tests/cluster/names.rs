//! Two nodes under one name.

use crate::nodes::{Nodes, PATIENCE};
use crate::operator::Node;
use crate::support::redis_server::RedisServer;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_under_a_name_in_use_ends_and_says_whose_it_is_and_the_other_one_keeps_all() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url(), redis.url()]).await;
    let owner = all.relay("news").await;
    let before = all.observed(1 - owner, "news").await;
    let name = format!("node-{owner}");
    let data = tempfile::tempdir().unwrap();
    let second = Node::start(data.path(), &["--redis", &redis.url(), "--name", &name]);
    let began = Instant::now();
    while !second.log().contains("--name") {
        assert!(began.elapsed() < PATIENCE, "{}", second.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ended = tokio::task::spawn_blocking(|| second.relay.wait());
    let (status, log) = ended.await.unwrap();
    assert_eq!(status.code(), Some(2), "{log}");
    for words in ["--name", &*name, all.at(owner).address()] {
        assert!(log.contains(words), "{words} in {log}");
    }
    let address = redis.ask(&["HGET", "hls-relay:nodes", &name]);
    let shown = all.at(owner).address();
    assert!(shown.starts_with(&address), "{address} of {shown}");
    assert!(!address.is_empty());
    let after = all.observed(1 - owner, "news").await;
    assert_eq!(after["epoch"], before["epoch"], "{after}");
    assert_eq!(after["state"], "live", "{after}");
    all.replay();
}
