//! Cuts of every kind, one way and both, to Redis and between the nodes, and all at once: numbers never go back, and
//! there is never more than one owner.

use crate::nodes::{LEASE, Nodes, PATIENCE};
use crate::support::redis_server::RedisServer;
use crate::viewers::playlist;
use crate::way::{Cut, Way};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BOTH: Cut = Cut {
    there: true,
    back: true,
};
const THERE: Cut = Cut {
    there: true,
    back: false,
};
const BACK: Cut = Cut {
    there: false,
    back: true,
};

/// Three nodes, each with a way to Redis and one to itself for the others.
struct Stage {
    all: Nodes,
    redis: RedisServer,
    to_redis: Vec<Way>,
    to_node: Vec<Way>,
}

impl Stage {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let mut all = Nodes::start(&[]).await;
        let (mut to_redis, mut to_node) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let (redis, node) = (Way::to(redis.port).await, Way::to_be_led().await);
            let advertised = format!("http://{}", node.address);
            let arguments = ["--advertise", &*advertised];
            let started = all.node_with(number, &redis.url(), &arguments);
            let port = started.address().rsplit(':').next().unwrap().parse();
            node.lead_to(port.unwrap());
            all.nodes.push(Some(started));
            to_redis.push(redis);
            to_node.push(node);
        }
        Self {
            all,
            redis,
            to_redis,
            to_node,
        }
    }

    fn epoch(&self) -> u64 {
        let epoch = self
            .redis
            .ask(&["HGET", "hls-relay:channel:{news}", "epoch"]);
        epoch.parse().unwrap()
    }

    /// Whose the channel is, by Redis.
    fn owner(&self) -> usize {
        let owner = self
            .redis
            .ask(&["HGET", "hls-relay:channel:{news}", "owner"]);
        let name = owner.split(':').next().unwrap().to_owned();
        name.strip_prefix("node-").unwrap().parse().unwrap()
    }

    fn mend(&self) {
        let ways = self.to_redis.iter().chain(&self.to_node);
        ways.for_each(|it| it.cut(false));
    }

    /// All nodes show what is new, and there is one owner.
    async fn until_healed(&self, what: &str) {
        let began = Instant::now();
        let mut newest = [0; 3];
        let mut fresh = [0; 3];
        while fresh.iter().any(|it| *it < 3) {
            for number in 0..3 {
                let (_, list) = playlist(self.all.at(number).address(), "news").await;
                let last = list.map_or(0, |it| it.entries.last().map_or(0, |it| it.number));
                fresh[number] += usize::from(last > newest[number]);
                newest[number] = newest[number].max(last);
            }
            let late = began.elapsed() > PATIENCE;
            assert!(!late, "after {what}: {fresh:?}\n{}", self.all.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Asks a node for the list, as long as the test goes on: numbers never go back, and what is listed under a number stays.
async fn watch(address: String, ends: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut newest, mut complaints, mut answers) = (0, Vec::new(), 0);
    let mut uris = std::collections::BTreeMap::new();
    while !ends.load(Ordering::Relaxed) {
        if let (200, Some(list)) = playlist(&address, "news").await {
            answers += 1;
            for entry in &list.entries {
                let known = uris
                    .entry(entry.number)
                    .or_insert_with(|| entry.uri.clone());
                if *known != entry.uri {
                    complaints.push(format!("{} was {known} and is {}", entry.number, entry.uri));
                }
            }
            let last = list.entries.last().map_or(0, |it| it.number);
            if last < newest {
                complaints.push(format!("{address}: {last} after {newest}"));
            }
            newest = newest.max(last);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (answers, complaints)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_numbers_never_go_back_and_all_is_well_afterwards() {
    let stage = Stage::start().await;
    stage.all.relay("news").await;
    let ends = Arc::new(AtomicBool::new(false));
    let watching: Vec<_> = (0..3)
        .map(|number| {
            let address = stage.all.at(number).address().to_owned();
            tokio::spawn(watch(address, ends.clone()))
        })
        .collect();
    tokio::time::sleep(LEASE * 2 + Duration::from_secs(2)).await;
    let long = LEASE + Duration::from_secs(4);

    // The owner hears nothing from Redis, though Redis hears it: it ends, and another one takes over. Then it is not
    // heard, though it would hear.
    for (cut, what) in [
        (BACK, "no answer of Redis"),
        (THERE, "nothing that Redis hears"),
    ] {
        let (owner, epoch) = (stage.owner(), stage.epoch());
        stage.to_redis[owner].cut_so(cut);
        tokio::time::sleep(long).await;
        let began = Instant::now();
        while stage.epoch() == epoch {
            assert!(began.elapsed() < PATIENCE, "{what}\n{}", stage.all.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stage.mend();
        stage.until_healed(what).await;
        assert!(stage.epoch() > epoch, "{what}");
    }

    // Nodes that do not reach each other, one way or both, with Redis there: nobody takes anything from anybody.
    for (cut, what) in [
        (BACK, "no answer of a node"),
        (BOTH, "cuts between all nodes"),
    ] {
        let epoch = stage.epoch();
        stage.to_node.iter().for_each(|it| it.cut_so(cut));
        tokio::time::sleep(long).await;
        assert_eq!(stage.epoch(), epoch, "{what}\n{}", stage.all.logs());
        stage.mend();
        stage.until_healed(what).await;
    }

    // Everything at once: nobody can know whether the others have Redis, so all end; then one goes on.
    let ways = stage.to_redis.iter().chain(&stage.to_node);
    ways.for_each(|it| it.cut(true));
    tokio::time::sleep(long).await;
    for number in 0..3 {
        let (status, _) = playlist(stage.all.at(number).address(), "news").await;
        assert_eq!(status, 503, "node-{number}\n{}", stage.all.logs());
    }
    stage.mend();
    stage.until_healed("everything at once").await;

    ends.store(true, Ordering::Relaxed);
    for watched in watching {
        let (answers, complaints) = watched.await.unwrap();
        assert!(
            complaints.is_empty(),
            "{complaints:#?}\n{}",
            stage.all.logs()
        );
        assert!(answers > 30, "{answers} answers");
    }
    stage.all.replay();
}
