//! Programs that write Redis themselves.

use crate::nodes::{Nodes, PATIENCE};
use crate::operator::spec;
use crate::support::redis_server::RedisServer;
use crate::viewers::client;
use std::time::{Duration, Instant};

/// Much less than the time between two looks at all channels.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_on_the_list_is_seen_soon_by_a_node_without_room() {
    let redis = RedisServer::start();
    let all = Nodes::start_with(&[redis.url()], &["--capacity", "1"]).await;
    all.relay("news").await;
    for turn in 0..4 {
        let source = format!("{}?turn={turn}", all.origin.url());
        let spec = format!(r#"{{"sources": ["{source}"], "window": 6}}"#);
        let revision = redis.ask(&["INCR", "hls-relay:revision"]);
        let channel = ["HSET", "hls-relay:channel:{news}", "revision", &revision];
        redis.ask(&[&channel[..], &["spec", &spec]].concat());
        redis.ask(&["RPUSH", "hls-relay:pending", "news"]);
        let began = Instant::now();
        let asked = || {
            let log = all.origin.request_log();
            log.iter().any(|it| source.ends_with(&it.path))
        };
        while !asked() {
            assert!(began.elapsed() < SOON, "turn {turn}\n{}", all.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_any_more_is_relayed_on_and_told_once() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url(), redis.url()]).await;
    let owner = all.relay("news").await;
    let channel = "hls-relay:channel:{news}";
    let is_shown = async || {
        for node in all.nodes.iter().flatten() {
            let list = format!("{}/news/index.m3u8", node.address());
            let answer = client().get(list).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{}", all.logs());
        }
    };
    // What its owner knows is written again over what is no change.
    redis.ask(&["HSET", channel, "desired", "maybe"]);
    is_shown().await;
    let began = Instant::now();
    while redis.ask(&["HGET", channel, "desired"]) != "run" {
        assert!(began.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    is_shown().await;
    // A newer one stays, and so does what is relayed.
    let newer = redis.ask(&["INCR", "hls-relay:revision"]);
    redis.ask(&["HSET", channel, "revision", &newer, "spec", "nonsense"]);
    redis.ask(&["HSET", channel, "writer", "a stranger"]);
    // All look at all channels meanwhile, twice.
    tokio::time::sleep(Duration::from_secs(9)).await;
    is_shown().await;
    for node in all.nodes.iter().flatten() {
        let shown = node.get("/api/v1/channels/news").await;
        assert_eq!(shown.status, 409, "{shown:?}");
        let message = shown.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("writer"), "{message}");
    }
    let log = all.at(owner).log();
    // Once for each.
    assert_eq!(log.matches("cannot be read").count(), 2, "{log}");
    assert!(log.matches("Redis is told again").count() <= 1, "{log}");
    // One whose spec alone cannot be read is told once as well.
    redis.ask(&["HSET", channel, "writer", "api"]);
    tokio::time::sleep(Duration::from_secs(9)).await;
    is_shown().await;
    let log = all.at(owner).log();
    assert_eq!(log.matches("cannot be read: spec").count(), 1, "{log}");
    // What is put there is taken.
    let put = all.at(0).put("news", spec(&all.origin.url())).await;
    assert_eq!(put.status, 201, "{put:?}");
    let shown = all.at(1).get("/api/v1/channels/news").await;
    assert_eq!(shown.status, 200, "{shown:?}");
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_all_have_in_common_and_is_of_another_kind_is_written_again_and_no_channel_moves() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url(), redis.url()]).await;
    all.relay("news").await;
    let before = all.observed(0, "news").await;
    for name in ["nodes", "channels", "pending"] {
        let key = format!("hls-relay:{name}");
        redis.ask(&["DEL", &key]);
        redis.ask(&["SET", &key, "x"]);
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    for (name, kind) in [("nodes", "hash"), ("channels", "set")] {
        let stands = redis.ask(&["TYPE", &format!("hls-relay:{name}")]);
        assert_eq!(stands, kind, "{}", all.logs());
    }
    let after = all.observed(1, "news").await;
    assert_eq!(after["epoch"], before["epoch"], "{}", all.logs());
    for node in all.nodes.iter().flatten() {
        let log = node.log();
        assert!(log.matches("Redis refuses").count() < 20, "{log}");
        assert!(!log.contains("Redis does not answer"), "{log}");
    }
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_lease_redis_refuses_to_keep_is_not_ready_and_says_why_now_and_then() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url()]).await;
    let until_ready = async |status| {
        let began = Instant::now();
        while all.at(0).get("/readyz").await.status != status {
            assert!(began.elapsed() < PATIENCE, "{}", all.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until_ready(200).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    until_ready(503).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let log = all.at(0).log();
    let told = "Redis refuses to keep the lease of this node";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    until_ready(200).await;
}
