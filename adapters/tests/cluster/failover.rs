//! A Redis that dies with writes that its replica has not got: who owns something writes it again, and what nobody
//! knows any more is told to be lost.

use crate::life::sleep;
use crate::nodes::{LEASE, Nodes, PATIENCE, assert_numbers_go_on};
use crate::operator::spec;
use crate::support::redis_server::{RedisServer, free_port};
use serde_json::json;
use std::time::{Duration, Instant};

/// Until a Sentinel has made the replica the master, and the nodes have found it.
const FAILOVER: Duration = Duration::from_secs(40);

/// A master, its replica and a Sentinel that knows both.
struct Redises {
    master: RedisServer,
    replica: RedisServer,
    sentinel: RedisServer,
    _folder: tempfile::TempDir,
}

impl Redises {
    async fn start() -> Self {
        let master = RedisServer::start();
        let of_master = format!("127.0.0.1 {}", master.port);
        let nothing_kept = [
            "--save",
            "",
            "--appendonly",
            "no",
            "--replicaof",
            &of_master,
        ];
        let replica = RedisServer::start_with(free_port(), &nothing_kept);
        until(|| {
            replica
                .ask(&["INFO", "replication"])
                .contains("master_link_status:up")
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        let conf = format!(
            "sentinel monitor tv 127.0.0.1 {} 1\nsentinel down-after-milliseconds tv 500\n\
             sentinel failover-timeout tv 3000\n",
            master.port
        );
        std::fs::write(&file, conf).unwrap();
        let file = file.display().to_string();
        let sentinel = RedisServer::start_with(free_port(), &[&file, "--sentinel"]);
        until(|| !sentinel.ask(&["SENTINEL", "replicas", "tv"]).is_empty()).await;
        Self {
            master,
            replica,
            sentinel,
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/tv", self.sentinel.port)
    }
}

async fn until(is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < FAILOVER, "it does not come about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_only_a_dead_redis_had_is_told_to_be_lost_and_nothing_else_is() {
    let redises = Redises::start().await;
    let all = Nodes::start(&[redises.url(), redises.url()]).await;
    let owner = all.relay("news").await;
    let stopped = json!({ "spec": spec(&all.origin.url()), "desired": "stop" });
    let path = "/api/v1/channels/film";
    let put = |body| all.at(0).ask(reqwest::Method::PUT, path, &[], Some(body));
    let first = put(stopped).await;
    assert_eq!(first.status, 201, "{first:?}");
    let viewer = all.watch(1, "news", Instant::now());
    sleep(2 * LEASE.as_secs() + 2).await;
    let key = "hls-relay:channel:{film}";
    let had = first.body["revision"].to_string();
    until(|| redises.replica.ask(&["HGET", key, "revision"]) == had).await;

    // The replica is stopped, and its connection ended: it hears nothing of what is acknowledged from here on.
    redises.replica.signal("STOP");
    let ended = redises.master.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    assert_eq!(ended, "1");
    let mut longer = spec(&all.origin.url());
    longer["window"] = 9.into();
    let lost = put(json!({ "spec": longer })).await;
    assert_eq!(lost.status, 200, "{lost:?}");
    let kept = all.at(0).put("news", longer).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    // Its owner has taken it.
    let revision = kept.body["revision"].clone();
    let by_owner = all.at(owner);
    by_owner
        .until("news", |it| it["revision"] == revision)
        .await;
    let Redises {
        master,
        replica,
        sentinel,
        _folder,
    } = redises;
    drop(master);
    replica.signal("CONT");
    let said = Instant::now();
    while !all
        .at(0)
        .log()
        .contains("a change that was acknowledged is lost")
    {
        assert!(said.elapsed() < FAILOVER, "{}", all.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("told {:.1?} after the master had died", said.elapsed());
    let log = all.at(0).log();
    let told: Vec<_> = log.lines().filter(|it| it.contains("is lost")).collect();
    let revision = lost.body["revision"].to_string();
    assert!(
        told.len() == 1 && told[0].contains("channel=\"film\""),
        "{told:#?}"
    );
    assert!(
        told[0].contains(&format!("revision={revision}")),
        "{told:#?}"
    );
    let node = all.at(0).get("/api/v1/node").await.body;
    assert_eq!(
        node["lost_changes"],
        json!({ "film": lost.body["revision"] }),
        "{node}"
    );
    let metrics = all.at(0).get("/metrics").await.body;
    let counted = metrics
        .as_str()
        .unwrap()
        .contains("hls_relay_changes_lost_total 1");
    assert!(counted, "{metrics}");
    // It is as it was before, whole; and what the owner knew is there again.
    let film = all.at(1).get(path).await.body;
    assert_eq!(film["revision"].to_string(), had, "{film}");
    assert_eq!(film["spec"]["window"], 6, "{film}");
    let news = all.at(1).get("/api/v1/channels/news").await.body;
    assert_eq!(
        (&news["revision"], &news["spec"]["window"]),
        (&kept.body["revision"], &9.into())
    );
    assert_eq!(
        replica.ask(&["HGET", "hls-relay:channel:{news}", "revision"]),
        kept.body["revision"].to_string()
    );
    // Asked again it is made.
    let again = Instant::now();
    let put = loop {
        let put = all.at(1).desire("film", "run").await;
        if put.status == 200 {
            break put;
        }
        assert!(again.elapsed() < PATIENCE, "{put:?}");
    };
    assert!(put.body["revision"].as_u64() > lost.body["revision"].as_u64());
    let watched = viewer.finish().await;
    assert!(
        watched.complaints.is_empty(),
        "{:#?}\n{}",
        watched.complaints,
        all.logs()
    );
    assert_numbers_go_on(&watched);
    all.replay();
    drop(sentinel);
}
