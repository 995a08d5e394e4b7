//! Redis behind Sentinels, and as a Redis Cluster, of real processes; they end with the test.

use super::redis_server::{RedisServer, free_port};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// From the death of a server to the first change on the one in its place.
pub(crate) const FAILOVER: Duration = Duration::from_secs(30);

/// A master, its replica, and a Sentinel that has seen both.
pub(crate) struct Watched {
    pub(crate) first: RedisServer,
    pub(crate) second: RedisServer,
    pub(crate) sentinel: RedisServer,
    /// Names a Sentinel that is not there as well.
    pub(crate) url: String,
    _folder: TempDir,
}

impl Watched {
    pub(crate) fn start() -> Self {
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
        let began = Instant::now();
        while sentinel.ask(&["SENTINEL", "replicas", "tv"]).is_empty() {
            assert!(began.elapsed() < FAILOVER, "the sentinel sees no replica");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self {
            first,
            second,
            sentinel,
            url,
            _folder: folder,
        }
    }
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
pub(crate) fn cluster(folder: &Path) -> Vec<RedisServer> {
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
