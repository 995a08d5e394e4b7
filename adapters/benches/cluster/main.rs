//! What a cluster costs, and how soon it does what it should: `cargo bench -p hls-relay --bench cluster`
//!
//! Real nodes around a real Redis.
//! 1. 1,000 channels that one node owns and whose sources do not change: what that node costs, and what it asks of Redis.
//! 2. From a change, by the API of another node and by a program that writes Redis itself, to the moment at which the
//!    owner asks the new source.
//! 3. A look at 10,000 channels.
//! 4. A node with 500 live channels is killed: when all of them have something new again.
//! 5. 200 live channels on two nodes: the scripts that Redis runs for each version that is published, and besides.
//!
//! Where a bound is not held the benchmark fails. `-- --only N` does one of them.

#[path = "../../tests/support/binary.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod binary;
mod nodes;
mod origin;
mod publishes;
#[path = "../../tests/support/redis_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod redis_server;
mod takeover;

use hls_relay::control_store::ControlStore;
use hls_relay::redis::Link;
use hls_relay::redis::address::Address;
use nodes::{Node, Records};
use origin::Sources;
use redis_server::RedisServer;
use std::process::ExitCode;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const CHANNELS: usize = 1_000;
const RECORDS: usize = 10_000;
const CHANGES: usize = 20;
/// What is begun, is begun within this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// After all channels were begun, until nothing goes on any more.
const SETTLES: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    let only = args.iter().position(|it| it == "--only");
    let only = only.and_then(|at| args.get(at + 1)?.parse::<u32>().ok());
    let mut held = true;
    if only.is_none_or(|it| it < 4) {
        held &= still_channels().await;
    }
    if only.is_none_or(|it| it == 4) {
        held &= takeover::measure().await;
    }
    if only.is_none_or(|it| it == 5) {
        held &= publishes::measure().await;
    }
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Says a figure and its bound, and whether it is held.
fn bound(what: &str, is: f64, most: f64, unit: &str) -> bool {
    let held = is <= most;
    let said = if held { "held" } else { "NOT HELD" };
    println!("{what:<48}{is:>9.2} {unit:<10} at most {most:>6.0}  {said}");
    held
}

async fn still_channels() -> bool {
    let (redis, folder) = (RedisServer::start(), TempDir::new().expect("a folder"));
    let (sources, base) = Sources::start().await;
    let mut records = Records::of(&redis).await;
    let sources_of = (0..CHANNELS).map(|it| (format!("c{it}"), format!("{base}/still/c{it}.m3u8")));
    records.write(sources_of.collect(), "run").await;
    let owner = Node::start(folder.path(), &redis, "owner", CHANNELS).await;
    let other = Node::start(folder.path(), &redis, "other", 0).await;
    let began = Instant::now();
    while sources.lists() < CHANNELS {
        assert!(began.elapsed() < PATIENCE, "{} channels", sources.lists());
        sleep(Duration::from_millis(100)).await;
    }
    println!(
        "{CHANNELS} channels are owned after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    sleep(SETTLES).await;
    let mut held = costs(&owner, &redis).await;
    held &= changes(&other, &mut records, &sources, &base).await;
    held & looks(&redis, &mut records).await
}

/// What the owner of channels at rest costs, and asks of Redis.
async fn costs(owner: &Node, redis: &RedisServer) -> bool {
    redis.ask(&["CONFIG", "RESETSTAT"]);
    let (began, before) = (Instant::now(), owner.used_ms());
    sleep(MEASURED).await;
    let (used, seconds) = (owner.used_ms() - before, began.elapsed().as_secs_f64());
    let calls = redis.ask(&["INFO", "commandstats"]);
    // Each of several calls that go in one message is counted; what a script calls is counted, too.
    let each = calls.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let count: f64 = rest.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), count / seconds))
    });
    for (name, count) in each.filter(|it| it.1 > 0.05) {
        let name = name.trim_end();
        println!("  {name:<16}{count:>9.1} a second");
    }
    let percent = used as f64 / 10.0 / seconds;
    bound(
        "the owner of 1,000 channels at rest",
        percent,
        2.0,
        "% of a core",
    )
}

/// How soon the owner acts.
async fn changes(other: &Node, records: &mut Records, sources: &Sources, base: &str) -> bool {
    let mut held = true;
    for by_api in [true, false] {
        let mut slowest = Duration::ZERO;
        for change in 0..CHANGES {
            let name = format!("{}-{change}", if by_api { "put" } else { "write" });
            let source = format!("{base}/still/{name}.m3u8");
            let id = format!("c{change}");
            // At any moment of whatever is done at intervals.
            sleep(Duration::from_millis(137)).await;
            let began = Instant::now();
            match by_api {
                true => other.put(&id, &source).await,
                false => records.write(vec![(id, source)], "run").await,
            }
            let seen = loop {
                if let Some(at) = sources.asked_at(&name) {
                    break at - began;
                }
                assert!(began.elapsed() < PATIENCE, "nobody has seen {name}");
                sleep(Duration::from_millis(1)).await;
            };
            slowest = slowest.max(seen);
        }
        let what = match by_api {
            true => "a change by the API of another node is seen in",
            false => "a change by a program that writes Redis, in",
        };
        held &= bound(what, slowest.as_secs_f64() * 1e3, 200.0, "ms");
    }
    held
}

/// All channels are read, with their specs, as by a node that looks at all.
async fn looks(redis: &RedisServer, records: &mut Records) -> bool {
    let others =
        (CHANNELS..RECORDS).map(|it| (format!("c{it}"), "http://127.0.0.1:9/a.m3u8".into()));
    records.write(others.collect(), "stop").await;
    let address = Address::parse(&redis.url()).expect("an address");
    let link = Link::new(&address, Duration::from_secs(5)).expect("an address");
    let store = ControlStore::in_redis(link, |_| ());
    let began = Instant::now();
    let listed = store.list().await.expect("Redis answers");
    let took = began.elapsed();
    assert_eq!(listed.len(), RECORDS);
    bound(
        "a look at 10,000 channels takes",
        took.as_secs_f64() * 1e3,
        1_000.0,
        "ms",
    )
}
