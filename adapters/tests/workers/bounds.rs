//! What workers are kept from, and how they come and go.

use crate::jobs::{job, long_job};
use crate::media::Recipe;
use crate::node::{OrderingNode, WorkerProcess};
use crate::processes::{processes_with, until};
use crate::support::binary::command;
use crate::support::redis_server::RedisServer;
use hls_relay::store::{Content, Store};
use hls_relay::transcode::makers::OwnSlots;
use hls_relay_core::command::Transcode;
use hls_relay_core::event::TranscodeError;
use hls_relay_core::time::Span;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

pub(crate) fn segment() -> Vec<u8> {
    let recipe = Recipe {
        rate: "25",
        samples: 48_000,
        encode: "-c:v libx264 -preset ultrafast -g 25 -c:a aac",
        begins: "0",
        hls: "",
    };
    recipe.make(1).segments.remove(0)
}

/// Work that takes many seconds; see [`long_job`].
async fn long_work(node: &OrderingNode, peak: u64) -> Transcode {
    let (bytes, work) = long_job(peak);
    node.put("long", &bytes).await;
    work
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_not_worked_on_a_tenth_of_a_second_later() {
    let redis = RedisServer::start();
    let node = OrderingNode::start(&redis, Store::memory()).await;
    let _worker = WorkerProcess::start(&redis, "one", &["--slots", "1"]);
    node.until_workers(1).await;
    let (work, cancelled) = (long_work(&node, 133_435).await, CancellationToken::new());
    let running = {
        let (node, work, cancelled) = (node.clone(), work.clone(), cancelled.clone());
        tokio::spawn(async move { node.transcode_until(&work, &cancelled).await })
    };
    let runs = || !processes_with("133435").is_empty();
    until("ffmpeg runs", SOON, runs).await;
    let at = Instant::now();
    cancelled.cancel();
    let outcome = running.await.unwrap();
    assert_eq!(outcome, Err(TranscodeError::Cancelled));
    let is_gone = || processes_with("133435").is_empty();
    until("ffmpeg is gone", SOON, is_gone).await;
    let took = at.elapsed();
    println!("ffmpeg is gone {took:?} after it was not wanted any more");
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert!(node.store.get(&work.rungs[0].object.0).is_none());
    // The worker says that it has let go once its ffmpeg has.
    let all_gone = async || {
        let left = node.queue.look().await.unwrap();
        (left.waiting, left.under_way) == (0, 0)
    };
    let at = Instant::now();
    while !all_gone().await {
        assert!(at.elapsed() < SOON, "an order that nobody works on is left");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The worker goes on with others.
    node.put("short.ts", &segment()).await;
    let made = node
        .transcode(&job("short.ts", None, &[(128, 200_000)]))
        .await;
    assert!(made.unwrap().rungs[0].is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_leave_finishes_what_it_has() {
    let redis = RedisServer::start();
    let own = OwnSlots::Count(NonZeroUsize::MIN);
    let node = OrderingNode::start_with(&redis, Store::memory(), own).await;
    let mut worker = WorkerProcess::start(&redis, "one", &["--slots", "1"]);
    node.until_workers(1).await;
    let work = long_work(&node, 133_445).await;
    let running = {
        let (node, work) = (node.clone(), work.clone());
        tokio::spawn(async move { node.transcode(&work).await })
    };
    let runs = || !processes_with("133445").is_empty();
    until("ffmpeg runs", SOON, runs).await;
    worker.signal("TERM");
    node.until_workers(0).await;
    let made = running.await.unwrap().unwrap();
    assert!(made.rungs[0].is_ok(), "{made:?}");
    assert_eq!(worker.end().await, Some(0), "{}", worker.log());
    let log = worker.log();
    assert!(
        log.contains("no more segments are taken") && log.contains("made=1"),
        "{log}"
    );
    assert_eq!(
        redis.ask(&[
            "XINFO",
            "CONSUMERS",
            "hls-relay:{transcode}:orders",
            "workers"
        ]),
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_ends_three_workers_is_put_aside() {
    let redis = RedisServer::start();
    let node = OrderingNode::start(&redis, Store::memory()).await;
    let work = long_work(&node, 133_455).await;
    let mut workers = vec![WorkerProcess::start(&redis, "0", &["--slots", "1"])];
    node.until_workers(1).await;
    let running = {
        let (node, work) = (node.clone(), work.clone());
        tokio::spawn(async move { node.transcode(&work).await })
    };
    for number in 1..=3 {
        let runs = || !processes_with("133455").is_empty();
        until("ffmpeg runs", SOON, runs).await;
        workers.remove(0).signal("KILL");
        // Else the next one would be ended for the ffmpeg of this one, before it has begun.
        let ends = || processes_with("133455").is_empty();
        until("ffmpeg ends with its worker", SOON, ends).await;
        workers.push(WorkerProcess::start(
            &redis,
            &number.to_string(),
            &["--slots", "1"],
        ));
    }
    let outcome = running.await.unwrap();
    let Err(TranscodeError::WorkerLost(why)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("3 workers have died"), "{why}");
    assert_eq!(redis.ask(&["XLEN", "hls-relay:{transcode}:dead"]), "1");
    assert_eq!(redis.ask(&["XLEN", "hls-relay:{transcode}:orders"]), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_through_a_folder_that_both_see() {
    let (redis, root) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let folder = root.path().join("news");
    let store = Store::directory(&folder, "1").unwrap();
    let node = OrderingNode::start(&redis, store).await;
    let seen = root.path().display().to_string();
    let _worker = WorkerProcess::start(&redis, "one", &["--store", &seen]);
    node.until_workers(1).await;
    node.put("0.ts", &segment()).await;
    node.put("1.ts", &segment()).await;
    let work = job("1.ts", Some("0.ts"), &[(128, 200_000), (96, 100_000)]);
    let made = node.transcode(&work).await.unwrap();
    assert!(made.rungs.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(
        node.asked.load(Ordering::Relaxed),
        1,
        "only its answer came over HTTP"
    );
    let there = node.store.get("128-1.ts.ts").unwrap();
    assert!(matches!(there.content, Content::File(_)));
    assert_eq!(there.length, made.rungs[0].as_ref().unwrap().length);
    let names = std::fs::read_dir(folder.join("1")).unwrap();
    let names: Vec<_> = names
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|it| !it.starts_with('.')), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_workers_a_node_makes_them_itself_or_says_that_it_does_not() {
    let redis = RedisServer::start();
    let node = OrderingNode::start_with(&redis, Store::memory(), OwnSlots::default()).await;
    node.put("0.ts", &segment()).await;
    let work = job("0.ts", None, &[(96, 100_000)]);
    // Its ffmpeg is guarded by this very program, which guards none: so it is started in vain.
    let error = node.transcode(&work).await.unwrap_err();
    assert!(!error.to_string().contains("--slots 0"), "{error}");
    let node = OrderingNode::start(&redis, node.store.clone()).await;
    let begun = Instant::now();
    let error = node.transcode(&work).await.unwrap_err().to_string();
    assert!(
        error.contains("no worker is there") && error.contains("hls-relay worker"),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(2));
    // Where Redis is away nobody can say whether any is there.
    let away = RedisServer::start();
    let alone = OrderingNode::start(&away, node.store.clone()).await;
    drop(away);
    let error = alone.transcode(&work).await.unwrap_err().to_string();
    assert!(
        error.contains("workers cannot be asked: ") && !error.contains("is there"),
        "{error}"
    );
    // Nor is an order waited for that comes too late.
    let _worker = WorkerProcess::start(&redis, "one", &[]);
    node.until_workers(1).await;
    let late = Transcode {
        within: Span::from_millis(1),
        ..work
    };
    let error = node.transcode(&late).await.unwrap_err();
    assert!(matches!(error, TranscodeError::TooSlow(_)), "{error}");
}

#[test]
fn a_worker_without_ffmpeg_says_so_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = command(&["worker", "--redis", "redis://127.0.0.1:9"]);
    let refused = worker.env("PATH", folder.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(9));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("a ladder needs ffmpeg, and there is none: "),
        "{said}"
    );
    let wrong = command(&["worker", "--redis", "http://a/"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let help = command(&["worker", "--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for word in ["--slots", "--store", "Examples:", "Exit codes:", "SIGTERM"] {
        assert!(help.contains(word), "{help}");
    }
}
