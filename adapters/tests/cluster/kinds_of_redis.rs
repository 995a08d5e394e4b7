//! The ways to Redis: through Sentinels, and to a Redis Cluster, with real processes of both.

use crate::registry::{Stage, contract, contract_of_names, id};
use crate::support::redis_server::{RedisServer, free_port};
use hls_relay::spec::ChannelSpec;
use hls_relay_core::node::{Change, Condition, Writer};
use std::path::Path;
use std::time::{Duration, Instant};

/// From the death of a server to the first change on the one in its place.
const FAILOVER: Duration = Duration::from_secs(30);

async fn put(stage: &Stage, name: &str) -> Result<(), String> {
    let spec = ChannelSpec::of(vec!["http://a/".to_owned()]).into();
    let desired = None;
    let put = Change::Put { spec, desired };
    let id = id(name);
    let made = stage.store.change(&id, Writer::Api, put, Condition::Any);
    made.await.map(drop).map_err(|error| error.to_string())
}

async fn until_changes_are_taken(stage: &Stage, name: &str) {
    let began = Instant::now();
    while let Err(why) = put(stage, name).await {
        assert!(began.elapsed() < FAILOVER, "{why}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_sentinels_say_who_is_the_master_a_failover_is_followed() {
    let first = RedisServer::start();
    let of_first = format!("127.0.0.1 {}", first.port);
    let nothing_kept = ["--save", "", "--appendonly", "no", "--replicaof", &of_first];
    let second = RedisServer::start_with(free_port(), &nothing_kept);
    let began = Instant::now();
    while !second
        .ask(&["INFO", "replication"])
        .contains("master_link_status:up")
    {
        assert!(began.elapsed() < FAILOVER, "no replica");
        std::thread::sleep(Duration::from_millis(50));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    let conf = format!(
        "sentinel monitor tv {of_first} 1\nsentinel down-after-milliseconds tv 500\nsentinel failover-timeout tv 3000\n"
    );
    std::fs::write(&file, conf).unwrap();
    let file = file.display().to_string();
    let sentinel = RedisServer::start_with(free_port(), &[&file, "--sentinel"]);
    // One of those that are named is not there.
    let url = format!(
        "redis+sentinel://127.0.0.1:9,127.0.0.1:{}/tv",
        sentinel.port
    );
    let stage = Stage::at(&url);
    contract(&stage).await;
    contract_of_names(&stage).await;
    let began = Instant::now();
    while sentinel.ask(&["SENTINEL", "replicas", "tv"]).is_empty() {
        assert!(began.elapsed() < FAILOVER, "the sentinel sees no replica");
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = stage.link.identity().await.unwrap();
    drop(first);
    until_changes_are_taken(&stage, "after").await;
    assert_ne!(stage.link.identity().await.unwrap(), before);
    assert!(second.ask(&["HGET", "hls-relay:channel:{after}", "desired"]) == "run");
    let ids = stage.store.ids().await.unwrap();
    assert_eq!(ids, [id("after"), id("news")]);
}

fn server_of_cluster(folder: &Path) -> RedisServer {
    let port = free_port();
    let file = folder.join(format!("{port}.conf")).display().to_string();
    // What it tells the others through has a port of its own.
    let bus = free_port().to_string();
    let arguments = [
        "--save",
        "",
        "--appendonly",
        "no",
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        &file,
        "--cluster-node-timeout",
        "1000",
        "--cluster-port",
        &bus,
    ];
    RedisServer::start_with(port, &arguments)
}

/// Three masters with a third of the slots each, and a replica of the first.
fn cluster(folder: &Path) -> Vec<RedisServer> {
    let servers: Vec<_> = (0..4).map(|_| server_of_cluster(folder)).collect();
    let slots = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];
    for (server, [from, to]) in servers.iter().zip(slots) {
        assert_eq!(server.ask(&["CLUSTER", "ADDSLOTSRANGE", from, to]), "OK");
    }
    for (number, server) in servers.iter().enumerate().skip(1) {
        let epoch = (number + 1).to_string();
        server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
    }
    let first = &servers[0];
    let bus_of = |server: &RedisServer| {
        let bus = server.ask(&["CONFIG", "GET", "cluster-port"]);
        bus.lines().last().unwrap().to_owned()
    };
    for other in &servers[1..] {
        let (port, bus) = (other.port.to_string(), bus_of(other));
        assert_eq!(
            first.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]),
            "OK"
        );
    }
    let of_first = first.ask(&["CLUSTER", "MYID"]);
    let began = Instant::now();
    let wait = |is: &dyn Fn() -> bool| {
        while !is() {
            let nodes = first.ask(&["CLUSTER", "NODES"]);
            assert!(began.elapsed() < FAILOVER, "{nodes}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let is_up = |it: &RedisServer| it.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
    let has_begun = |it: &RedisServer| {
        it.ask(&["INFO", "replication"])
            .contains("master_link_status:up")
    };
    wait(&|| servers[3].ask(&["CLUSTER", "REPLICATE", &of_first]) == "OK");
    wait(&|| has_begun(&servers[3]) && servers.iter().all(is_up));
    servers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_redis_cluster_all_of_a_channel_is_in_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut servers = cluster(folder.path());
    let named = format!(
        "127.0.0.1:{},127.0.0.1:{}",
        servers[2].port, servers[1].port
    );
    let stage = Stage::at(&format!("redis-cluster://{named}"));
    contract(&stage).await;
    contract_of_names(&stage).await;
    let names: Vec<_> = (0..40).map(|number| format!("channel-{number}")).collect();
    for name in &names {
        put(&stage, name).await.unwrap();
    }
    assert_eq!(stage.store.list().await.unwrap().len(), names.len() + 1);
    for server in &servers[..3] {
        let there = server.ask(&["DBSIZE"]).parse::<usize>().unwrap();
        assert!(there > 5, "{there} keys on one of the masters");
    }

    // A master dies; its replica goes on in its place.
    let before = stage.link.identity().await.unwrap();
    drop(servers.remove(0));
    let mut on_first = names.iter().filter(|name| {
        let key = format!("hls-relay:channel:{{{name}}}");
        let slot = servers[0].ask(&["CLUSTER", "KEYSLOT", &key]).parse::<u32>();
        slot.unwrap() < 5_461
    });
    let name = on_first.next().unwrap();
    let put = Stage::at(&format!("redis-cluster://{named}"));
    until_changes_are_taken(&stage, name).await;
    until_changes_are_taken(&put, name).await;
    assert_ne!(stage.link.identity().await.unwrap(), before);
    assert_eq!(stage.store.list().await.unwrap().len(), names.len() + 1);
}
