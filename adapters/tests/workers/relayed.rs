//! A channel with a ladder on a node that makes nothing itself.

use crate::node::WorkerProcess;
use crate::operator::Node;
use crate::stage::live_folder::{LiveFolder, Ways};
use crate::support::binary::{Relay, command};
use crate::support::redis_server::RedisServer;
use serde_json::json;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

async fn text(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap();
    answer.text().await.unwrap()
}

/// Waits until a rung is said to be left out for this reason.
async fn until_left_out(node: &Node, why: &str) {
    let begun = Instant::now();
    loop {
        let shown = node.get("/api/v1/channels/news").await.body;
        let rungs = shown["observed"]["rungs"].as_array();
        let mut reasons = rungs
            .into_iter()
            .flatten()
            .filter_map(|it| it["left_out"].as_str());
        if reasons.any(|it| it.contains(why)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{shown:#}\n{}", node.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// It is said at the start, when the channel is added, and when it is needed; and it is found once it is installed.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_added_to_a_node_without_ffmpeg_is_told_so() {
    let origin = LiveFolder::of("byterange", Ways::default()).await;
    let (data, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = data.path().display().to_string();
    let mut node = command(&["node", "--data", &folder, "--api-listen", "127.0.0.1:0"]);
    node.env("PATH", programs.path());
    let node = Node::of(Relay::spawn(node));
    let begun = Instant::now();
    while !node
        .log()
        .contains("channels without a ladder do not need it")
    {
        assert!(begun.elapsed() < PATIENCE, "{}", node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let spec = json!({ "sources": [origin.url()], "window": 6, "ladder_preset": "ultrafast",
        "ladder": [{ "height": 96 }, { "height": 64 }] });
    let added = node.put("news", spec).await;
    assert_eq!(added.status, 201);
    let unmade = added.body["unmade"].as_str().unwrap_or_default();
    assert!(unmade.starts_with("a ladder needs ffmpeg"), "{added:?}");
    until_left_out(&node, "a ladder needs ffmpeg, and there is none: ").await;
    let log = node.log();
    assert_eq!(
        log.matches("until it is there rungs are gaps").count(),
        1,
        "{log}"
    );
    let installed = String::from_utf8(
        std::process::Command::new("which")
            .arg("ffmpeg")
            .output()
            .unwrap()
            .stdout,
    );
    std::os::unix::fs::symlink(installed.unwrap().trim(), programs.path().join("ffmpeg")).unwrap();
    let begun = Instant::now();
    while !node.log().contains("ladders can be made") {
        assert!(begun.elapsed() < PATIENCE, "{}", node.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_whose_rungs_are_made_elsewhere() {
    let redis = RedisServer::start();
    let origin = LiveFolder::of("byterange", Ways::default()).await;
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--redis", &redis.url(), "--name", "one", "--slots", "0"];
    let node = Node::start(data.path(), &arguments);
    let mut spec = json!({ "sources": [origin.url()], "window": 6, "multivariant": true });
    let added = node.put("news", spec.clone()).await;
    assert_eq!(added.status, 201, "{added:?}");
    let begun = Instant::now();
    while !text(&format!("{}/news/index.m3u8", node.address()))
        .await
        .contains("source.m3u8")
    {
        assert!(begun.elapsed() < PATIENCE, "{}", node.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Its first ladder comes while viewers watch.
    spec["ladder"] = json!([{ "height": 128 }, { "height": 96 }, { "height": 64 }]);
    spec["ladder_preset"] = json!("ultrafast");
    let changed = node.put("news", spec).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    // While nobody makes them that is said.
    until_left_out(&node, "hls-relay worker").await;
    let first = WorkerProcess::start(&redis, "first", &["--slots", "1"]);
    let second = WorkerProcess::start(&redis, "second", &["--slots", "1"]);
    let logs = || format!("{}\n{}\n{}", node.log(), first.log(), second.log());
    let base = format!("{}/news", node.address());
    // A rung that was left out is tried again after half a minute.
    let begun = Instant::now();
    let list = loop {
        let list = text(&format!("{base}/index.m3u8")).await;
        let rung = text(&format!("{base}/64p.m3u8")).await;
        let has_media = rung.lines().any(|it| it.ends_with(".ts"))
            && rung.matches("EXT-X-GAP").count() < rung.matches("EXTINF").count();
        if has_media && list.contains("64p.m3u8") {
            break list;
        }
        assert!(begun.elapsed() < PATIENCE, "{list}\n{rung}\n{}", logs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(list.contains("RESOLUTION=114x64"), "{list}");
    let metrics = node.get("/metrics").await.body;
    let metrics = metrics.as_str().unwrap().to_owned();
    assert!(metrics.contains("hls_relay_workers 2"), "{metrics}");
    let shown = node.get("/api/v1/channels/news").await.body;
    assert_eq!(shown["observed"]["making"]["workers"], 2, "{shown:#}");
}
