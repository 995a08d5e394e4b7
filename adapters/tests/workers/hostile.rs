//! What stands in Redis, and what is sent to a node, may be anybody's.

use crate::bounds::segment;
use crate::jobs::job;
use crate::node::{OrderingNode, WorkerProcess};
use crate::support::redis_server::RedisServer;
use hls_relay::store::Store;
use hls_relay::transcode::queue::{Order, OrderError};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ORDERS: &str = "hls-relay:{transcode}:orders";

/// The order that stands in the stream.
async fn placed(node: &OrderingNode, redis: &RedisServer) -> (String, String) {
    loop {
        let said = redis.ask(&["--json", "XRANGE", ORDERS, "-", "+"]);
        let entries: Value = serde_json::from_str(&said).unwrap_or_default();
        if let Some(entry) = entries[0].as_array() {
            let fields = entry[1].as_array().unwrap();
            let text = fields[1].as_str().unwrap().to_owned();
            return (entry[0].as_str().unwrap().to_owned(), text);
        }
        assert!(node.queue.look().await.is_ok());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// As if a worker were there that takes nothing.
fn register(redis: &RedisServer) {
    redis.ask(&["ZADD", "hls-relay:{transcode}:workers", "9e15", "idle"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_harms_no_other() {
    let redis = RedisServer::start();
    let node = OrderingNode::start(&redis, Store::memory()).await;
    let long = "x".repeat(40_000);
    for fields in [
        vec!["order", "{}", "within", "60000"],
        vec!["order", "nonsense\u{1b}[2J", "within", "60000"],
        vec!["order", &long, "within", "60000"],
        vec!["order", "{}"],
        vec!["something", "else"],
        vec!["order", "{}", "within", "soon"],
    ] {
        let words: Vec<_> = ["XADD", ORDERS, "*"].into_iter().chain(fields).collect();
        redis.ask(&words);
    }
    let worker = WorkerProcess::start(&redis, "one", &["--slots", "1"]);
    node.until_workers(1).await;
    node.put("0.ts", &segment()).await;
    let made = node.transcode(&job("0.ts", None, &[(96, 100_000)])).await;
    assert!(made.unwrap().rungs[0].is_ok());
    let log = worker.log();
    assert_eq!(log.matches("an order is thrown away").count(), 2, "{log}");
    // The node takes its order away once it has the answer.
    let begun = Instant::now();
    while redis.ask(&["XLEN", ORDERS]) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(10), "{log}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // Nor does what is no stream.
    redis.ask(&["SET", ORDERS, "x"]);
    let error = node.transcode(&job("0.ts", None, &[(96, 100_000)])).await;
    assert!(error.unwrap_err().to_string().contains("--slots 0"));
    tokio::time::sleep(Duration::from_millis(600)).await;
    redis.ask(&["DEL", ORDERS]);
    node.until_workers(1).await;
    let made = node.transcode(&job("0.ts", None, &[(96, 100_000)])).await;
    assert!(made.unwrap().rungs[0].is_ok(), "{}", worker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_checked_before_anything_is_made_of_it() {
    let redis = RedisServer::start();
    let node = OrderingNode::start(&redis, Store::memory()).await;
    register(&redis);
    node.put("0.ts", b"media").await;
    let ordering = {
        let node = node.clone();
        tokio::spawn(async move { node.transcode(&job("0.ts", None, &[(96, 100_000)])).await })
    };
    let (_, text) = placed(&node, &redis).await;
    ordering.abort();
    let order: Value = serde_json::from_str(&text).unwrap();
    Order::read(&text).unwrap();
    let refused = |path: &str, value: Value| {
        let mut other = order.clone();
        *other.pointer_mut(path).unwrap() = value;
        Order::read(&other.to_string()).unwrap_err()
    };
    let cases = [
        (
            "/work/rungs/0/object",
            json!("../../etc/passwd"),
            OrderError::BadName("../../etc/passwd".into()),
        ),
        (
            "/work/rungs/0/object",
            json!(".hidden"),
            OrderError::BadName(".hidden".into()),
        ),
        (
            "/inputs/0/object",
            json!("a/b"),
            OrderError::BadName("a/b".into()),
        ),
        ("/inputs/0/object", json!("other.ts"), OrderError::BadInputs),
        (
            "/inputs/0/length",
            json!(1_u64 << 40),
            OrderError::BadInputs,
        ),
        ("/inputs", json!([]), OrderError::BadInputs),
        ("/work/within", json!(u64::MAX), OrderError::TooLong),
        ("/node", json!("file:///etc"), OrderError::BadNode),
        ("/node", json!("nonsense"), OrderError::BadNode),
    ];
    for (path, value, error) in cases {
        assert_eq!(refused(path, value), error, "{path}");
    }
    for (path, value) in [
        ("/work/rungs/0/height", json!(100_000)),
        ("/work/rungs/0/bitrate", json!(1)),
        ("/work/rungs/0/name", json!("-vf x")),
        ("/work/rungs", json!([])),
    ] {
        let error = refused(path, value);
        assert!(matches!(error, OrderError::BadRungs(_)), "{path}: {error}");
    }
    for (path, value) in [
        ("/name", json!("../x")),
        ("/channel", json!("a/b")),
        ("/work/preset", json!("slow -f x")),
        ("/inputs/0/hash", json!([1, 2])),
    ] {
        let error = refused(path, value);
        assert!(
            matches!(error, OrderError::Unreadable(_)),
            "{path}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_secret_gets_media_and_the_first_answer_counts() {
    let redis = RedisServer::start();
    let node = OrderingNode::start(&redis, Store::memory()).await;
    register(&redis);
    node.put("0.ts", b"media").await;
    node.put("1.ts", b"of somebody else").await;
    let ordering = {
        let node = node.clone();
        tokio::spawn(async move { node.transcode(&job("0.ts", None, &[(96, 100_000)])).await })
    };
    let (_, text) = placed(&node, &redis).await;
    let order: Value = serde_json::from_str(&text).unwrap();
    let url = format!(
        "{}/.hls-relay/work/{}",
        node.base,
        order["name"].as_str().unwrap()
    );
    let client = reqwest::Client::new();
    let get = async |url: String, secret: &str| {
        let asked = client.get(url).header("hls-relay-secret", secret).send();
        let answer = asked.await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let media = (200, "media".to_owned());
    assert_eq!(get(format!("{url}/0.ts"), &node.secret).await, media);
    for (url, secret) in [
        (format!("{url}/0.ts"), "wrong"),
        (format!("{url}/0.ts"), ""),
        (format!("{url}/1.ts"), &node.secret),
        (format!("{url}/..%2F0.ts"), &node.secret),
        (
            format!("{}/.hls-relay/work/0-0/0.ts", node.base),
            &node.secret,
        ),
    ] {
        assert_eq!(get(url.clone(), secret).await.0, 410, "{url}");
    }
    let post = async |body: Vec<u8>, secret: &str| {
        let asked = client
            .post(&url)
            .header("hls-relay-secret", secret)
            .body(body);
        // What is much too long is not even read to its end.
        let answer = asked.send().await.ok();
        answer.map_or(400, |it| it.status().as_u16())
    };
    let answer = |length: u64, bytes: &[u8]| {
        let stored = json!({ "length": length, "hash": vec![0; 32] });
        let told = json!({ "input": { "codecs": ["avc1\",x=\""], "resolution": null }, "rungs": [{ "Ok": stored }],
            "waited": u64::MAX, "took": u64::MAX });
        let head =
            json!({ "outcome": { "Ok": told }, "worker": "w", "attempt": 1, "in_folder": false });
        let head = head.to_string();
        let length = u32::try_from(head.len()).unwrap().to_be_bytes();
        [&length[..], head.as_bytes(), bytes].concat()
    };
    assert_eq!(post(answer(3, b"abc"), "wrong").await, 410);
    assert_eq!(post(b"x".to_vec(), &node.secret).await, 400);
    assert_eq!(post(answer(3, b"ab"), &node.secret).await, 400);
    assert_eq!(post(answer(3, b"abcd"), &node.secret).await, 400);
    assert_eq!(post(vec![0; 20 << 20], &node.secret).await, 400);
    assert_eq!(post(answer(3, b"abc"), &node.secret).await, 204);
    assert_eq!(post(answer(3, b"abc"), &node.secret).await, 410);
    let made = ordering.await.unwrap().unwrap();
    // What was sent is not what it is said to be, and what is said of it is not believed.
    let error = made.rungs[0].as_ref().unwrap_err();
    assert!(
        error.to_string().contains("not what its worker says"),
        "{error}"
    );
    assert!(node.store.get("96-0.ts.ts").is_none());
    assert!(made.input.codecs.is_empty(), "{:?}", made.input);
    assert!(made.took <= job("", None, &[]).within);
    assert_eq!(
        redis.ask(&["XLEN", ORDERS]),
        "1",
        "its worker ends it, and has not"
    );
}
