//! A company's database and the cluster's Redis, with `hls-relay feed` between them: the real programs.

mod garbage;
mod servers;
#[path = "../support/mod.rs"]
mod support;

use servers::{Database, Kind};
use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use support::binary::command;
use support::redis_server::RedisServer;
use tempfile::NamedTempFile;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running `hls-relay feed`, killed with the test.
struct Feed {
    child: Child,
    log: NamedTempFile,
}

impl Feed {
    /// It looks each second, and at everything each three.
    fn start(database: &Database, redis: &RedisServer, arguments: &[&str]) -> Self {
        Self::of(&database.url, redis, "3", arguments)
    }

    /// It looks each second, and at everything each so many.
    fn of(url: &str, redis: &RedisServer, reconcile: &str, arguments: &[&str]) -> Self {
        let mut feed = command(&["feed", "--database", url, "--redis", &redis.url()]);
        feed.args(["--every", "1", "--overlap", "2", "--reconcile", reconcile]);
        let log = NamedTempFile::new().unwrap();
        let stderr = File::options().append(true).open(log.path()).unwrap();
        feed.args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = feed.stderr(stderr).spawn().unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// Waits until something is the case.
    async fn until(&self, what: &str, is: impl Fn() -> bool) {
        let began = Instant::now();
        while !is() {
            assert!(began.elapsed() < PATIENCE, "not {what}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends in order.
    async fn leave(mut self) {
        let id = self.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", "TERM", &id])
            .status();
        assert!(sent.unwrap().success());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(status.success(), "{status}:\n{}", self.log());
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field(redis: &RedisServer, channel: &str, name: &str) -> String {
    let key = format!("hls-relay:channel:{{{channel}}}");
    redis.ask(&["HGET", &key, name])
}

fn source(channel: &str) -> String {
    format!("http://origin.example/{channel}.m3u8")
}

/// Of channels that are all to run.
fn all_run(redis: &RedisServer, channels: &[&str]) -> bool {
    channels
        .iter()
        .all(|it| field(redis, it, "desired") == "run")
}

async fn changes_are_carried(kind: Kind) {
    let redis = RedisServer::start();
    let mut database = Database::start(kind).await;
    database.insert("news", &source("news")).await;
    database
        .insert(
            "sport",
            r#"{"sources": ["http://origin.example/s.m3u8"], "window": 9}"#,
        )
        .await;
    let feed = Feed::start(&database, &redis, &[]);
    let both = || all_run(&redis, &["news", "sport"]);
    feed.until("carried", both).await;
    assert!(field(&redis, "news", "spec").contains(&source("news")));
    assert!(field(&redis, "sport", "spec").contains(r#""window":9"#));
    assert_eq!(field(&redis, "sport", "writer"), "feed");
    assert_eq!(redis.ask(&["SCARD", "hls-relay:channels"]), "2");

    // What has not changed is not written.
    let revision = redis.ask(&["GET", "hls-relay:revision"]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        redis.ask(&["GET", "hls-relay:revision"]),
        revision,
        "{}",
        feed.log()
    );

    database
        .update("news", "spec = 'http://origin.example/moved.m3u8'")
        .await;
    let moved = || field(&redis, "news", "spec").contains("moved.m3u8");
    feed.until("moved", moved).await;
    database.update("sport", "desired = 'stop'").await;
    feed.until("stopped", || field(&redis, "sport", "desired") == "stop")
        .await;
    database.update("sport", "desired = '1'").await;
    feed.until("run again", || all_run(&redis, &["sport"]))
        .await;

    // A row that cannot be used harms no other, and its channel stays as it is.
    database.update("news", "spec = 'nonsense'").await;
    database.insert("../../etc", &source("x")).await;
    database.insert("film", &source("film")).await;
    feed.until("carried", || all_run(&redis, &["film"])).await;
    assert!(moved(), "{}", field(&redis, "news", "spec"));
    let told = || feed.log().contains("news") && feed.log().contains("spec: ");
    feed.until("told", told).await;
    assert_eq!(redis.ask(&["SCARD", "hls-relay:channels"]), "3");

    // The one side away, then the other, which has lost all it had.
    database.go_away().await;
    feed.until("told", || feed.log().contains("the database: "))
        .await;
    database.come_back().await;
    database.insert("late", &source("late")).await;
    feed.until("carried", || all_run(&redis, &["late"])).await;
    let port = redis.port;
    drop(redis);
    feed.until("told", || feed.log().contains("Redis")).await;
    database.insert("later", &source("later")).await;
    let redis = RedisServer::start_at(port);
    // What the database says in words that cannot be understood is known to nobody any more.
    let again = || all_run(&redis, &["sport", "film", "late", "later"]);
    feed.until("carried again", again).await;
    feed.leave().await;
}

#[tokio::test]
async fn changes_in_postgresql_are_carried() {
    changes_are_carried(Kind::Postgres).await;
}

#[tokio::test]
async fn changes_in_mariadb_are_carried() {
    changes_are_carried(Kind::MariaDb).await;
}

#[tokio::test]
async fn changes_in_sqlite_are_carried() {
    changes_are_carried(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_table_that_is_emptied_by_mistake_stops_nothing() {
    let redis = RedisServer::start();
    let database = Database::start(Kind::Sqlite).await;
    let names: Vec<_> = (0..10).map(|it| format!("channel-{it}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for name in &names {
        database.insert(name, &source(name)).await;
    }
    // Nor what somebody else has put there.
    let others = "hls-relay:channel:{by-hand}";
    let spec = r#"{"sources":["http://origin.example/h.m3u8"]}"#;
    redis.ask(&[
        "HSET", others, "spec", spec, "desired", "run", "revision", "1", "writer", "api",
    ]);
    redis.ask(&["SADD", "hls-relay:channels", "by-hand"]);
    let feed = Feed::start(&database, &redis, &[]);
    feed.until("carried", || all_run(&redis, &names)).await;

    // A fifth may go.
    database
        .execute("DELETE FROM hls_relay_channels WHERE id IN ('channel-0', 'channel-1')")
        .await;
    let stopped = |name| field(&redis, name, "desired") == "stop";
    feed.until("stopped", || stopped("channel-0") && stopped("channel-1"))
        .await;
    // They are the database's no more, so that the API may take them out; where a row is back they are.
    let writer = |name| field(&redis, name, "writer");
    assert_eq!(writer("channel-0"), "api");
    assert_eq!(writer("channel-2"), "feed");
    database.insert("channel-1", &source("channel-1")).await;
    feed.until("taken back", || all_run(&redis, &["channel-1"]))
        .await;
    assert_eq!(writer("channel-1"), "feed");

    database.execute("DELETE FROM hls_relay_channels").await;
    feed.until("held back", || feed.log().contains("--allow-mass-stop"))
        .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(all_run(&redis, &names[1..]), "{}", feed.log());
    let told = feed.log().matches("--allow-mass-stop").count();
    assert_eq!(told, 1, "once, not at each reading:\n{}", feed.log());
    // Nothing else waits for that.
    database.insert("new", &source("new")).await;
    feed.until("carried", || all_run(&redis, &["new"])).await;
    feed.leave().await;

    let feed = Feed::start(&database, &redis, &["--allow-mass-stop"]);
    let all_stopped = || names.iter().all(|name| stopped(name));
    feed.until("stopped", all_stopped).await;
    assert!(all_run(&redis, &["by-hand", "new"]));
    feed.leave().await;
}

#[tokio::test]
async fn a_query_of_ones_own_and_what_is_wrong_with_it() {
    let redis = RedisServer::start();
    let database = Database::start(Kind::Sqlite).await;
    database
        .execute("CREATE TABLE tv (code text, source text, active integer, changed integer)")
        .await;
    let rows = "('one', 'http://origin.example/1.m3u8', 1, unixepoch('now')), ('two', 'http://origin.example/2.m3u8', 0, 1)";
    database
        .execute(&format!("INSERT INTO tv VALUES {rows}"))
        .await;
    let query =
        "SELECT code AS id, source AS spec, active AS desired, changed AS updated_at FROM tv";
    let feed = Feed::start(&database, &redis, &["--query", query]);
    feed.until("carried", || all_run(&redis, &["one"])).await;
    feed.until("carried", || field(&redis, "two", "desired") == "stop")
        .await;
    let change = "UPDATE tv SET active = 1, changed = unixepoch('now') WHERE code = 'two'";
    database.execute(change).await;
    feed.until("run", || all_run(&redis, &["two"])).await;
    feed.leave().await;

    // It may be put right while the feed waits.
    let feed = Feed::start(&database, &redis, &["--query", "SELECT * FROM views"]);
    feed.until("told", || feed.log().contains("views")).await;
    feed.leave().await;
    let refused = command(&[
        "feed",
        "--database",
        "oracle://db/tv",
        "--redis",
        "redis://r",
    ])
    .output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("postgres://"), "{said}");
}
