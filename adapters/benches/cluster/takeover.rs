//! A node dies, and the others take its channels over.

use crate::bound;
use crate::nodes::{Node, Records};
use crate::origin::Sources;
use crate::redis_server::RedisServer;
use futures_util::future::join_all;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const CHANNELS: usize = 500;
const LEASE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(120);
/// Until the others are known to the one that dies, and no longer than it takes until they have much of what it has.
const ACQUAINTED: Duration = Duration::from_secs(4);
/// So many lists are asked for at once.
pub(crate) const AT_ONCE: usize = 50;
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn measure() -> bool {
    let (redis, folder) = (RedisServer::start(), TempDir::new().expect("a folder"));
    let (_sources, base) = Sources::start().await;
    let ids = Records::of(&redis).await.run(CHANNELS, &base).await;
    let dies = Node::start(folder.path(), &redis, "dies", CHANNELS).await;
    let begun = later(&dies, &ids, &[0; CHANNELS]).await;
    assert_eq!(begun.len(), CHANNELS);
    let others = [
        Node::start(folder.path(), &redis, "one", CHANNELS).await,
        Node::start(folder.path(), &redis, "two", CHANNELS).await,
    ];
    sleep(ACQUAINTED).await;
    let mut last = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        last.extend(join_all(some.iter().map(|id| newest(&dies, id))).await);
    }
    let log = dies.log();
    drop(dies);
    let killed = Instant::now();
    let lost = log.matches("it is this node's no more").count();
    println!("{CHANNELS} channels, of which {lost} had moved to another node before");
    let after = later(&others[0], &ids, &last).await;
    let took = after.iter().map(|at| (*at - killed).as_secs_f64());
    let mut took: Vec<_> = took.collect();
    took.sort_by(f64::total_cmp);
    println!(
        "of {CHANNELS} channels the first has something new {:.1} s after the end of its node, half of them {:.1} s after it",
        took[0],
        took[CHANNELS / 2],
    );
    let most = (LEASE + Duration::from_secs(10)).as_secs_f64();
    let held = bound("all of them have", took[CHANNELS - 1], most, "s");
    if !held {
        others.iter().for_each(|it| eprintln!("{}", it.log()));
    }
    held
}

/// Waits until each channel has listed something after `last`, and tells when it had.
pub(crate) async fn later(node: &Node, ids: &[String], last: &[u64]) -> Vec<Instant> {
    let began = Instant::now();
    let mut waiting: Vec<_> = ids.iter().zip(last).collect();
    let mut times = Vec::new();
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for some in waiting.chunks(AT_ONCE) {
            let numbers = join_all(some.iter().map(|(id, _)| newest(node, id))).await;
            for (channel, number) in some.iter().zip(numbers) {
                match number > *channel.1 {
                    true => times.push(Instant::now()),
                    false => still.push(*channel),
                }
            }
        }
        waiting = still;
        let (left, log) = (waiting.len(), || node.log());
        assert!(began.elapsed() < PATIENCE, "{left} are missing\n{}", log());
        sleep(LOOK_EVERY).await;
    }
    times
}

/// The number after that of the newest segment; 0 where there is no list.
pub(crate) async fn newest(node: &Node, id: &str) -> u64 {
    let list = node.list(id).await.unwrap_or_default();
    let first = list
        .lines()
        .find_map(|it| it.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
    let first: u64 = first.and_then(|it| it.parse().ok()).unwrap_or(0);
    let segments = list.lines().filter(|it| it.starts_with("#EXTINF:"));
    first + segments.count() as u64
}
