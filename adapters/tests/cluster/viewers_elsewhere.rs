//! What a node answers to viewers whose channel another one has.

use crate::nodes::{Nodes, PATIENCE};
use crate::operator::spec;
use crate::registry::Stage;
use crate::support::redis_server::RedisServer;
use crate::viewers::playlist;
use hls_relay::cluster::registry::NodeEntry;
use reqwest::{Client, Method, Response};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

struct Asking {
    client: Client,
    base: String,
}

impl Asking {
    fn of(base: &str) -> Self {
        let client = Client::builder()
            .no_proxy()
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10));
        Self {
            client: client.build().unwrap(),
            base: base.to_owned(),
        }
    }

    async fn ask(&self, method: Method, path: &str, head: &[(&str, &str)]) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str, head: &[(&str, &str)]) -> Response {
        self.ask(Method::GET, path, head).await
    }
}

fn field(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name);
    value.map_or("", |it| it.to_str().unwrap()).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_answers_as_the_owner_does() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url(), redis.url()]).await;
    let owner = all.relay("news").await;
    let (here, there) = (all.at(owner).address(), all.at(1 - owner).address());
    let (_, list) = playlist(here, "news").await;
    let segment = list.unwrap().entries.last().unwrap().uri.clone();
    let path = format!("/news/{segment}");
    let (near, far) = (Asking::of(here), Asking::of(there));
    let (own, others) = (near.get(&path, &[]).await, far.get(&path, &[]).await);
    for name in [
        "content-type",
        "content-length",
        "etag",
        "cache-control",
        "accept-ranges",
    ] {
        assert!(!field(&own, name).is_empty(), "{name}");
        assert_eq!(field(&own, name), field(&others, name), "{name}");
    }
    assert_eq!(field(&others, "access-control-allow-origin"), "*");
    let etag = field(&own, "etag");
    let bytes = own.bytes().await.unwrap();
    assert_eq!(bytes, others.bytes().await.unwrap());
    let part = far.get(&path, &[("range", "bytes=10-19")]).await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), bytes[10..20]);
    let known = far.get(&path, &[("if-none-match", &etag)]).await;
    assert_eq!(known.status(), 304);
    let head = far.ask(Method::HEAD, &path, &[]).await;
    assert_eq!(field(&head, "content-length"), bytes.len().to_string());
    let packed = far
        .get("/news/index.m3u8", &[("accept-encoding", "gzip")])
        .await;
    assert_eq!(field(&packed, "content-encoding"), "gzip");

    // What a node asks of another one is not asked of a third.
    let asked = far.get("/news/index.m3u8", &[("hls-relay-via", "x")]).await;
    assert_eq!(asked.status(), 503);
    let asked = near
        .get("/news/index.m3u8", &[("hls-relay-via", "x")])
        .await;
    assert_eq!(asked.status(), 200);
    for none in [
        "/none/index.m3u8",
        "/a%2F..%2Fb/index.m3u8",
        "/news/a%2Fb.m3u8",
        "/news/none.m3u8",
    ] {
        let statuses = (
            near.get(none, &[]).await.status(),
            far.get(none, &[]).await.status(),
        );
        assert_eq!(
            (statuses.0.as_u16(), statuses.1.as_u16()),
            (404, 404),
            "{none}"
        );
    }
    // One that has not begun is to be had soon.
    all.at(0)
        .put("dead", spec("http://127.0.0.1:9/live.m3u8"))
        .await;
    for asking in [&near, &far] {
        let answer = asking.get("/dead/index.m3u8", &[]).await;
        assert_eq!(answer.status(), 503);
        assert!(!field(&answer, "retry-after").is_empty());
    }
    // Nobody but nodes is answered where they ask, and they promise nothing but what is so.
    let secret = redis.ask(&["GET", "hls-relay:secret"]);
    let asks = async |by: &str, secret: &str| {
        let path = format!("/.hls-relay/peer/{by}");
        far.get(&path, &[("hls-relay-secret", secret)]).await
    };
    let peer = asks("node-0", &secret).await.text().await.unwrap();
    assert!(peer.contains("\"reached\""), "{peer}");
    for (by, secret) in [
        ("a%20b", &*secret),
        ("node-0", ""),
        ("node-0", &secret[1..]),
    ] {
        assert_eq!(asks(by, secret).await.status(), 404, "{by} {secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_may_be_sent_to_the_owner() {
    let redis = RedisServer::start();
    let ways = [redis.url(), redis.url()];
    let all = Nodes::start_with(&ways, &["--to-owner", "redirect"]).await;
    let owner = all.relay("news").await;
    let far = Asking::of(all.at(1 - owner).address());
    let sent = far.get("/news/index.m3u8", &[]).await;
    assert_eq!(sent.status(), 307);
    let to = format!("{}/news/index.m3u8", all.at(owner).address());
    assert_eq!(field(&sent, "location"), to);
    assert_eq!(field(&sent, "cache-control"), "no-store");
}

/// Somebody who stands in Redis as a node, and answers every viewer with his name.
struct StandIn {
    incarnation: String,
    serving: JoinHandle<()>,
}

impl StandIn {
    async fn join(stage: &Stage, name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        // Nothing of him is left once he serves no more.
        let pages =
            axum::Router::new().fallback(move || async move { ([("connection", "close")], name) });
        let serving = tokio::spawn(async move { axum::serve(listener, pages).await.unwrap() });
        let incarnation = format!("{name}:0000000000000001");
        let entry = NodeEntry {
            incarnation: incarnation.clone(),
            address: address.clone(),
            control: address,
            capacity: 1,
            load: 1,
            peers: Vec::new(),
        };
        let minute = 60_000;
        stage
            .registry
            .lease(name, &entry, minute, true)
            .await
            .unwrap();
        Self {
            incarnation,
            serving,
        }
    }

    /// He has the channel from now on.
    fn owns(&self, redis: &RedisServer, epoch: u64) {
        let (key, epoch) = ("hls-relay:channel:{news}", epoch.to_string());
        let wanted = r#"{"sources": ["http://127.0.0.1:9/a.m3u8"]}"#;
        redis.ask(&[
            "HSET", key, "spec", wanted, "desired", "run", "writer", "api", "revision", "5",
        ]);
        redis.ask(&[
            "HSET",
            key,
            "owner",
            &self.incarnation,
            "epoch",
            &epoch,
            "unfinished",
            "1",
        ]);
        redis.ask(&["SADD", "hls-relay:channels", "news"]);
    }
}

/// So many scripts were run since the last time.
fn scripts_run(redis: &RedisServer) -> u64 {
    let stats = redis.ask(&["INFO", "commandstats"]);
    redis.ask(&["CONFIG", "RESETSTAT"]);
    let calls = stats
        .split_once("cmdstat_evalsha:calls=")
        .map_or("0", |it| it.1);
    calls.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_does_not_answer_is_looked_up_again_at_once_and_not_by_each_viewer() {
    let redis = RedisServer::start();
    let all = Nodes::start(&[redis.url()]).await;
    let stage = Stage::at(&redis.url());
    let one = StandIn::join(&stage, "one").await;
    let two = StandIn::join(&stage, "two").await;
    one.owns(&redis, 7);
    let asking = Asking::of(all.at(0).address());
    let path = "/news/index.m3u8";
    let ask = async || asking.get(path, &[]).await.text().await.unwrap();
    let began = Instant::now();
    while ask().await != "one" {
        assert!(began.elapsed() < PATIENCE, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It is gone, and Redis does not know it yet.
    one.serving.abort();
    assert!(one.serving.await.unwrap_err().is_cancelled());
    assert_eq!(asking.get(path, &[]).await.status(), 503);
    two.owns(&redis, 8);
    // At the next look, of which there are ten a second.
    let began = Instant::now();
    while ask().await != "two" {
        assert!(
            began.elapsed() < Duration::from_millis(450),
            "{}",
            all.logs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // However many want to know, one looks for all of them, ten times a second.
    let three = StandIn::join(&stage, "three").await;
    three.owns(&redis, 9);
    while ask().await != "three" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    three.serving.abort();
    scripts_run(&redis);
    let began = Instant::now();
    let viewer = || async {
        let mut asked = 0_u64;
        while began.elapsed() < Duration::from_secs(2) {
            assert_eq!(asking.get(path, &[]).await.status(), 503);
            asked += 1;
        }
        asked
    };
    let asked: u64 = futures_util::future::join_all((0..50).map(|_| viewer()))
        .await
        .iter()
        .sum();
    let (took, run) = (began.elapsed().as_secs_f64(), scripts_run(&redis) as f64);
    println!("{asked} viewers' questions, {run} scripts in {took:.1} s");
    // The node's own looks at the other nodes and its lease are ten a second.
    let most = 30.0 * took + 10.0;
    assert!(
        asked > 100 && run < most,
        "{asked} questions, {run} scripts in {took:.1} s"
    );

    // Without Redis nobody waits for it.
    drop(redis);
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(asking.get(path, &[]).await.status(), 503);
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
