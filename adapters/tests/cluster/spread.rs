//! Where channels go: to who is idle, to a node that has come, away from one that drains.

use crate::life::{KNOWN, not_waived, sleep};
use crate::nodes::{
    LEASE, Nodes, PATIENCE, TARGET_DURATION, assert_numbers_go_on, longest_silence,
};
use crate::operator::spec;
use crate::stage::published::Published;
use crate::support::binary::command;
use crate::support::redis_server::RedisServer;
use crate::viewers::{playlist, until};
use reqwest::Method;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The longest that a move may keep a viewer from a new segment, on a machine that does other things: the last
/// segment of the old owner, a claim, the first list of the new one, and the next segment.
const MOVE: Duration = Duration::from_secs(5);
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// When somebody has a channel, by Redis.
async fn until_owned(redis: &RedisServer, id: &str, all: &Nodes) -> Duration {
    let (began, key) = (Instant::now(), format!("hls-relay:channel:{{{id}}}"));
    while redis.ask(&["HGET", &key, "owner"]).is_empty() {
        assert!(began.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

/// The channels of each node, with their epochs, by Redis.
fn owners(redis: &RedisServer) -> BTreeMap<&'static str, (String, String)> {
    let of = |id: &&'static str| {
        let key = format!("hls-relay:channel:{{{id}}}");
        let owner = redis.ask(&["HGET", &key, "owner"]);
        let node = owner.split(':').next().unwrap_or_default().to_owned();
        (*id, (node, redis.ask(&["HGET", &key, "epoch"])))
    };
    NAMES.iter().map(of).collect()
}

fn count_of(owners: &BTreeMap<&str, (String, String)>, node: &str) -> usize {
    owners.values().filter(|it| it.0 == node).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_takes_a_channel_within_a_second() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url(), redis.url()]).await;
    // Who has Redis for less than a lease claims nothing yet.
    sleep(LEASE.as_secs() + 1).await;
    let second = Duration::from_secs(1);
    for id in ["news", "sport", "music"] {
        let added = all.at(0).put(id, spec(&all.origin.url())).await;
        assert_eq!(added.status, 201, "{added:?}");
        let took = until_owned(&redis, id, &all).await;
        println!("{id}: taken {took:.0?} after the API has answered");
        assert!(took < second, "{took:?}\n{}", all.logs());
    }
    // A program that writes Redis itself, and tells nobody but by the list.
    let wanted = format!("{{\"sources\": [\"{}\"]}}", all.origin.url());
    let revision = redis.ask(&["INCR", "hls-relay:revision"]);
    redis.ask(&["SADD", "hls-relay:channels", "film"]);
    let key = "hls-relay:channel:{film}";
    let fields = [
        "spec", &wanted, "desired", "run", "writer", "api", "revision", &revision,
    ];
    redis.ask(&[&["HSET", key], &fields[..]].concat());
    redis.ask(&["RPUSH", "hls-relay:pending", "film"]);
    let took = until_owned(&redis, "film", &all).await;
    println!("film: taken {took:.0?} after it was put down in Redis");
    assert!(took < second, "{took:?}\n{}", all.logs());
    until(all.at(1).address(), "film", || all.logs(), |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_come_gets_its_share_and_one_that_drains_gives_all() {
    let redis = RedisServer::start();
    let mut all = Nodes::start(&[redis.url()]).await;
    for id in NAMES {
        all.relay(id).await;
    }
    let before = owners(&redis);
    assert_eq!(count_of(&before, "node-0"), 6, "{before:?}");
    let zero = Instant::now();
    let viewers = NAMES.map(|id| all.watch(0, id, zero));
    sleep(KNOWN.saturating_sub(LEASE.as_secs())).await;
    let joined = Instant::now();
    let second = all.node(1, &redis.url());
    all.nodes.push(Some(second));
    let spread = loop {
        let now = owners(&redis);
        if count_of(&now, "node-0") == 3 && count_of(&now, "node-1") == 3 {
            break now;
        }
        assert!(joined.elapsed() < PATIENCE * 2, "{now:?}\n{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!(
        "spread {:.1?} after the second node was started",
        joined.elapsed()
    );
    // Each that has moved has moved once, and then none moves.
    sleep(12).await;
    assert_eq!(owners(&redis), spread, "{}", all.logs());

    // One of the two is to be taken down.
    let api = all.at(0).api.clone();
    let drained =
        tokio::task::spawn_blocking(move || command(&["drain", "--api", &api]).output().unwrap());
    let drained = drained.await.unwrap();
    let said = String::from_utf8_lossy(&drained.stdout).into_owned();
    assert!(
        drained.status.success(),
        "{said}{drained:?}\n{}",
        all.logs()
    );
    assert!(said.contains("node-0: has no channel any more"), "{said}");
    let node = all.at(0).get("/api/v1/node").await.body;
    assert_eq!(
        (&node["draining"], &node["channels"]),
        (&true.into(), &0.into())
    );
    sleep(4).await;
    let last = owners(&redis);
    assert_eq!(count_of(&last, "node-1"), 6, "{last:?}");
    // What the second one had has not moved.
    for (id, owner) in spread.iter().filter(|(_, it)| it.0 == "node-1") {
        assert_eq!(&last[id], owner, "{id}");
    }
    // It takes no more, and answers for all the same.
    let added = all.at(0).put("more", spec(&all.origin.url())).await;
    assert_eq!(added.status, 201, "{added:?}");
    until(all.at(0).address(), "more", || all.logs(), |_| true).await;
    assert_eq!(all.owner(0, "more").await, 1);
    for (id, viewer) in NAMES.iter().zip(viewers) {
        let watched = viewer.finish().await;
        let complaints = not_waived(&watched);
        assert!(
            complaints.is_empty(),
            "{id}: {complaints:#?}\n{}",
            all.logs()
        );
        assert_numbers_go_on(&watched);
        let silence = longest_silence(&watched, Duration::ZERO);
        println!("{id}: nothing new for {silence:.1?} at most");
        assert!(silence < TARGET_DURATION + MOVE, "{id}: {silence:?}");
    }
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_by_itself_cannot_be_drained() {
    let folder = tempfile::tempdir().unwrap();
    let node = crate::operator::Node::start(folder.path(), &[]);
    let refused = node
        .ask(Method::POST, "/api/v1/node/drain", &[], None)
        .await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(refused.body["error"]["code"], "by_itself");
    let node = node.get("/api/v1/node").await;
    assert_eq!(node.body["draining"], false, "{node:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_of_the_files_of_nodes_are_added_once_and_nothing_is_undone() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let origin = crate::viewers::origin(20).await;
    let file = folder.path().join("node.toml");
    let text = format!(
        "[[channel]]\nid = \"news\"\nsources = [\"{}\"]\nwindow = 7\n",
        origin.url()
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let mut all = Nodes::start_with(&[redis.url(), redis.url()], &["--config", &file]).await;
    until(all.at(0).address(), "news", || all.logs(), |_| true).await;
    let shown = all.at(1).get("/api/v1/channels/news").await;
    assert_eq!(shown.body["spec"]["window"], 7, "{shown:?}");
    // It is changed as any other is, and a start of a node undoes nothing of it.
    let changed = all.at(1).put("news", spec(&origin.url())).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let stopped = all.at(0).desire("news", "stop").await;
    assert_eq!(stopped.status, 200, "{stopped:?}");
    drop(all.nodes[1].take());
    let again = all.node(1, &redis.url());
    all.nodes[1] = Some(again);
    sleep(3).await;
    let shown = all.at(1).get("/api/v1/channels/news").await;
    assert_eq!(shown.body["spec"]["window"], 6, "{shown:?}");
    assert_eq!(shown.body["desired"], "stop", "{shown:?}");
    assert_eq!(
        shown.body["revision"], stopped.body["revision"],
        "{shown:?}"
    );
    assert_ne!(playlist(all.at(0).address(), "other").await.0, 200);
}

/// Whoever drains shows what it had until its channels are shown elsewhere, and no list of before that again: not where
/// the other one dies at once either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_never_goes_back_where_whoever_took_a_channel_dies_at_once() {
    let redis = RedisServer::start();
    let mut all = Nodes::start(&[redis.url(), redis.url()]).await;
    let owner = all.relay("news").await;
    sleep(KNOWN.saturating_sub(LEASE.as_secs())).await;
    let told = all.observed(owner, "news").await;
    let api = all.at(owner).api.clone();
    let drained =
        tokio::task::spawn_blocking(move || command(&["drain", "--api", &api]).output().unwrap());
    let last = |list: &Published| list.media_sequence + list.entries.len() as u64;
    let (_, before) = playlist(all.at(owner).address(), "news").await;
    let before = last(&before.unwrap());
    assert!(drained.await.unwrap().status.success(), "{}", all.logs());
    all.until_taken(owner, "news", &told).await;
    // What the other one has published is seen through it.
    let is_later = |list: &Published| last(list) > before + 2;
    let shown = until(all.at(owner).address(), "news", || all.logs(), is_later).await;
    drop(all.nodes[1 - owner].take());
    let died = Instant::now();
    let mut answers = 0;
    while died.elapsed() < Duration::from_secs(4) {
        let (status, list) = playlist(all.at(owner).address(), "news").await;
        answers += u32::from(status == 503);
        let goes_on = list.is_none_or(|it| {
            it.media_sequence >= shown.media_sequence && last(&it) >= last(&shown)
        });
        assert!(goes_on, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(answers > 0, "{}", all.logs());
}
