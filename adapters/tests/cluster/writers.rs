//! Programs that write Redis themselves.

use crate::nodes::Nodes;
use crate::support::redis_server::RedisServer;
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
