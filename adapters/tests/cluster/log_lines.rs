//! Who reads the log of a node by a channel finds, in every line of it, whose it was then and what was wanted of it.

use crate::nodes::{Nodes, PATIENCE};
use crate::operator::spec;
use crate::support::binary::Relay;
use crate::support::redis_server::RedisServer;
use serde_json::Value;
use std::time::{Duration, Instant};

/// The value of a field in a line of text.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}="))?;
    Some(rest.split_whitespace().next().unwrap_or_default())
}

/// Every line about the channel is numbered; says how many there are.
fn numbered(log: &str, id: &str) -> usize {
    let mut owned = false;
    let mut count = 0;
    for line in log.lines() {
        let Some(channel) = field(line, "channel") else {
            assert!(
                !line.contains(id),
                "a line about {id} does not say so: {line}"
            );
            continue;
        };
        if channel.trim_matches('"') != id {
            continue;
        }
        count += 1;
        owned |= line.contains("it is this node's before=");
        for name in ["epoch", "revision"] {
            let value = field(line, name).unwrap_or_else(|| panic!("no {name}: {line}"));
            assert_eq!(line.matches(&format!(" {name}=")).count(), 1, "{line}");
            let number = value.parse::<u64>();
            assert!(number.is_ok() || (!owned && value == "unknown"), "{line}");
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_about_a_channel_has_its_epoch_and_its_revision() {
    let redis = RedisServer::start();
    let ways = [redis.url(), redis.url()];
    let mut all = Nodes::start_with(&ways, &["--log-level", "debug"]).await;
    let owner = all.relay("news").await;
    // It changes, it cannot be had, it stops and runs, by the node that has it and by the other one.
    let source = all.origin.url();
    all.at(1 - owner)
        .put("news", spec("http://127.0.0.1:9/news.m3u8"))
        .await;
    all.at(owner)
        .until("news", |it| !it["change"].is_null())
        .await;
    let mut wanted = spec(&source);
    wanted["window"] = 7.into();
    let last = all.at(owner).put("news", wanted).await;
    all.at(0).desire("news", "stop").await;
    all.at(0).until_state("news", "stopped").await;
    let last = last.body["revision"].as_u64().unwrap();
    all.at(1).desire("news", "run").await;
    all.at(0).until_state("news", "live").await;
    // What somebody has written into Redis cannot be read.
    redis.ask(&[
        "HSET",
        "hls-relay:channel:{broken}",
        "spec",
        "{",
        "desired",
        "run",
        "revision",
        "7",
    ]);
    redis.ask(&["SADD", "hls-relay:channels", "broken"]);
    redis.ask(&["RPUSH", "hls-relay:pending", "broken"]);
    let began = Instant::now();
    while !all.logs().contains("cannot be read") {
        assert!(began.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let observed = all.observed(0, "news").await;
    let owner = all.owner(0, "news").await;
    let logs: Vec<_> = all.nodes.iter().flatten().map(|it| it.log()).collect();
    let counts: Vec<_> = logs.iter().map(|it| numbered(it, "news")).collect();
    assert!(counts[owner] > 20, "{counts:?}\n{}", all.logs());
    logs.iter()
        .for_each(|it| assert!(numbered(it, "broken") < 100, "{it}"));
    // And they are those that were in force.
    let mut newest = logs[owner]
        .lines()
        .filter(|it| field(it, "channel") == Some("\"news\""));
    let newest = newest.next_back().unwrap();
    assert_eq!(
        field(newest, "epoch"),
        Some(&*observed["epoch"].to_string()),
        "{newest}"
    );
    let revision: u64 = field(newest, "revision").unwrap().parse().unwrap();
    assert!(revision > last, "{newest}");

    // A node that is woken after its lease, and one that leaves, tell of it in the same way.
    all.at(owner).relay.signal("STOP");
    let taken = all.until_taken(1 - owner, "news", &observed).await;
    all.at(owner).relay.signal("CONT");
    let began = Instant::now();
    while !all.at(owner).log().contains("it ends here at once") {
        assert!(began.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(taken["owner"], observed["owner"]);
    all.at(1 - owner).relay.signal("TERM");
    let (status, log) = all.nodes[1 - owner].take().unwrap().relay.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        numbered(&log, "news") > 0 && log.contains("it is this node's no more"),
        "{log}"
    );
    assert!(numbered(&all.at(owner).log(), "news") > counts[owner]);
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_in_json() {
    let origin = crate::viewers::origin(20).await;
    let arguments = [
        "relay",
        &origin.url(),
        "--name",
        "news",
        "--log-format",
        "json",
        "--log-level",
        "debug",
    ];
    let relay = Relay::start(&arguments);
    relay.wait_for_log("state_changed");
    relay.signal("TERM");
    let (status, log) = relay.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    let lines = log
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).expect(it));
    let about = lines.filter(|it| it["channel"] == "news");
    let about: Vec<_> = about.collect();
    assert!(about.len() > 5, "{log}");
    for line in about {
        assert_eq!(line["epoch"], 1, "{line}");
        assert_eq!(line["revision"], 1, "{line}");
    }
}
