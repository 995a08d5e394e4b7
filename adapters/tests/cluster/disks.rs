//! A node whose disk is gone, or full, while it has channels.

use crate::nodes::{Nodes, PATIENCE};
use crate::operator::spec;
use crate::stage::small_disk::SmallDisk;
use crate::support::redis_server::RedisServer;
use crate::viewers::until;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_is_gone_gives_its_channels_to_another_and_takes_none() {
    let redis = RedisServer::start();
    let disk = tempfile::tempdir().unwrap();
    let segments = disk.path().join("segments");
    let mut all = Nodes::start(&[]).await;
    let store = ["--store", &*segments.to_string_lossy()];
    all.nodes.push(Some(all.node_with(0, &redis.url(), &store)));
    assert_eq!(all.relay("news").await, 0);
    all.nodes.push(Some(all.node(1, &redis.url())));
    let before = all.observed(0, "news").await;
    // What a disk leaves behind that is taken away: an empty folder.
    let gone = disk.path().join("gone");
    std::fs::rename(&segments, &gone).unwrap();
    std::fs::create_dir(&segments).unwrap();
    let added = all.at(0).put("sport", spec(&all.origin.url())).await;
    assert_eq!(added.status, 201, "{added:?}");
    let after = all.until_taken(1, "news", &before).await;
    assert_eq!(after["owner"], "node-1", "{after}");
    for node in all.nodes.iter().flatten() {
        until(node.address(), "sport", || all.logs(), |_| true).await;
    }
    // The node may have claimed it before it knew of its disk, and shows it until it has given it away.
    let given = Instant::now();
    while all.owner(0, "sport").await != 1 {
        assert!(given.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = all.at(0).log();
    assert!(log.contains("no channel can be relayed here"), "{log}");
    std::fs::rename(&segments, disk.path().join("empty")).unwrap();
    std::fs::rename(&gone, &segments).unwrap();
    let mended = Instant::now();
    // Of two channels it is to have one again.
    loop {
        let owners = [
            all.observed(1, "news").await,
            all.observed(1, "sport").await,
        ];
        if owners.iter().any(|it| it["owner"] == "node-0") {
            break;
        }
        assert!(mended.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    all.replay();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_is_full_gives_its_channels_to_another_until_there_is_room() {
    let redis = RedisServer::start();
    let disk = SmallDisk::new(96);
    let mut all = Nodes::start(&[]).await;
    let folder = disk.path();
    let store = ["--store", &*folder.to_string_lossy()];
    all.nodes.push(Some(all.node_with(0, &redis.url(), &store)));
    assert_eq!(all.relay("news").await, 0);
    all.nodes.push(Some(all.node(1, &redis.url())));
    let before = all.observed(0, "news").await;
    let process = all.at(0).relay.id();
    disk.fill(process);
    let after = all.until_taken(1, "news", &before).await;
    assert_eq!(after["owner"], "node-1", "{after}");
    let log = all.at(0).log();
    assert!(log.contains("no channel can be relayed here"), "{log}");
    disk.empty(process);
    all.at(0).relay.wait_for_log("segments can be kept again");
    all.replay();
}
