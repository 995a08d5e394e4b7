//! The queue between nodes and workers, at a Redis of each kind, and the turns that channels have at it.

use crate::bounds::segment;
use crate::jobs::{job, name};
use crate::node::{OrderingNode, WorkerProcess};
use crate::support::redis_kinds::{FAILOVER, Watched, cluster};
use crate::support::redis_server::RedisServer;
use futures_util::future::join_all;
use hls_relay::redis::Link;
use hls_relay::redis::address::Address;
use hls_relay::store::Store;
use hls_relay::transcode::makers::OwnSlots;
use hls_relay::transcode::queue::{Input, Order, OrderName, Queue};
use hls_relay_core::command::Transcode;
use hls_relay_core::ids::ContentHash;
use hls_relay_core::ladder::Preset;
use hls_relay_core::node::ChannelId;
use hls_relay_core::time::Span;
use hls_relay_sim::contract::{QueueAct, given_words, order_words, queue_cases, waiting_words};
use hls_relay_sim::workers::queue::Waiting;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CONTRACT: &str = include_str!("../../../testdata/contracts/queue.txt");

/// Workers at a real queue.
struct Workers {
    queue: Queue,
    entries: HashMap<u64, String>,
    left: HashSet<String>,
}

fn order(channel: &str, number: u64, within: Span) -> Order {
    Order {
        name: OrderName::new(0, number),
        node: "http://127.0.0.1:9".to_owned(),
        channel: ChannelId::new(channel).unwrap(),
        work: Transcode {
            within,
            ..job("0.ts", None, &[(96, 100_000)])
        },
        inputs: vec![Input {
            object: name("0.ts"),
            length: 1,
            hash: ContentHash([0; 32]),
        }],
    }
}

impl Workers {
    fn number(order: &Order) -> u64 {
        let (_, number) = order.name.text().split_once('-').unwrap();
        u64::from_str_radix(number, 16).unwrap()
    }

    async fn act(&mut self, act: &QueueAct) -> String {
        match act {
            QueueAct::Add {
                channel,
                order: number,
                turn,
                within,
            } => {
                let order = order(channel, *number, *within);
                match self.queue.add(&order, *turn).await.unwrap() {
                    Some(entry) => {
                        self.entries.insert(*number, entry);
                        "put down".to_owned()
                    }
                    None => "nobody".to_owned(),
                }
            }
            QueueAct::Take(worker) => {
                let taken = self.queue.take(worker).await.unwrap();
                given_words(taken.map(|it| (Self::number(&it.order.unwrap()), it.attempt)))
            }
            QueueAct::Hold(worker, orders) => {
                let entry = |order: &u64| self.entries[order].clone();
                let entries: Vec<_> = orders.iter().map(entry).collect();
                let takes_more = !self.left.contains(worker);
                let held = self.queue.hold(worker, &entries, takes_more).await.unwrap();
                let held = orders.iter().filter(|it| held.contains(&self.entries[it]));
                order_words(&held.copied().collect::<Vec<_>>())
            }
            QueueAct::Finish(order) => {
                self.queue.finish(&self.entries[order], None).await.unwrap();
                "done".to_owned()
            }
            QueueAct::Leave(worker) => {
                self.queue.leave(worker, false).await.unwrap();
                self.left.insert(worker.clone());
                "done".to_owned()
            }
            QueueAct::Wait(time) => {
                tokio::time::sleep(Duration::from_micros(time.as_micros())).await;
                String::new()
            }
            QueueAct::Look => {
                let seen = self.queue.look().await.unwrap();
                let count = |it| usize::try_from(it).unwrap();
                waiting_words(Waiting {
                    workers: count(seen.workers),
                    waiting: count(seen.waiting),
                    under_way: count(seen.under_way),
                })
            }
            QueueAct::Dead => {
                let mut ask = ::redis::cmd("XRANGE");
                ask.arg(key("dead")).arg("-").arg("+");
                let link = self.queue.link();
                let dead: Vec<(String, Vec<String>)> = link.command(&ask).await.unwrap();
                let dead = dead.iter().map(|it| Order::read(&it.1[1]).unwrap());
                order_words(&dead.map(|it| Self::number(&it)).collect::<Vec<_>>())
            }
        }
    }
}

fn key(name: &str) -> String {
    format!("hls-relay:{{transcode}}:{name}")
}

/// What every kind of Redis has to do.
async fn contract(url: &str) {
    let address = Address::parse(url).unwrap();
    let link = Link::new(&address, Duration::from_secs(2)).unwrap();
    for case in queue_cases(CONTRACT).unwrap() {
        let mut forget = ::redis::cmd("DEL");
        for name in ["orders", "further", "workers", "dead"] {
            forget.arg(key(name));
        }
        let _: u64 = link.command(&forget).await.unwrap();
        let mut workers = Workers {
            queue: Queue::new(link.clone()),
            entries: HashMap::new(),
            left: HashSet::new(),
        };
        for step in &case.steps {
            let came = workers.act(&step.act).await;
            assert_eq!(came, step.expected, "{}: {:?}", case.title, step.act);
        }
    }
}

/// A real worker makes what a node puts down there.
async fn makes(node: &OrderingNode) {
    let made = node.transcode(&job("0.ts", None, &[(96, 100_000)])).await;
    assert!(
        made.as_ref().is_ok_and(|it| it.rungs[0].is_ok()),
        "{made:?}"
    );
}

/// And again, once another server is in the place of one that has died.
async fn until_it_makes_again(node: &OrderingNode) {
    let work = job("0.ts", None, &[(96, 100_000)]);
    let began = Instant::now();
    while let Err(error) = node.transcode(&work).await {
        assert!(began.elapsed() < FAILOVER, "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn node_with_a_segment(url: &str) -> OrderingNode {
    let node = OrderingNode::start_at(url, Store::memory(), OwnSlots::None).await;
    node.put("0.ts", &segment()).await;
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_keeps_the_contract() {
    let redis = RedisServer::start();
    contract(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sentinels_lead_to_keeps_the_contract() {
    let redis = Watched::start();
    contract(&redis.url).await;
    let node = node_with_a_segment(&redis.url).await;
    let _worker = WorkerProcess::start_at(&redis.url, "one", &["--slots", "1"]);
    node.until_workers(1).await;
    makes(&node).await;
    drop(redis.first);
    until_it_makes_again(&node).await;
    assert_eq!(redis.second.ask(&["EXISTS", &key("orders")]), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut servers = cluster(folder.path());
    let url = format!(
        "redis-cluster://127.0.0.1:{},127.0.0.1:{}",
        servers[1].port, servers[2].port
    );
    contract(&url).await;
    let node = node_with_a_segment(&url).await;
    let _worker = WorkerProcess::start_at(&url, "one", &["--slots", "1"]);
    node.until_workers(1).await;
    makes(&node).await;
    // Where the streams are, or not: in either case the cluster has another server for them then.
    drop(servers.remove(0));
    until_it_makes_again(&node).await;
}

/// One channel wants many segments at once that take long, and another one goes on as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_floods_keeps_no_other_from_its_turn() {
    const FLOOD: usize = 12;
    let redis = RedisServer::start();
    let node = OrderingNode::start(&redis, Store::memory()).await;
    let _worker = WorkerProcess::start(&redis, "one", &["--slots", "1"]);
    node.until_workers(1).await;
    let bytes = segment();
    let done = Arc::new(Mutex::new(Vec::new()));
    let make = |channel: &'static str, number: usize, preset: Preset| {
        let (node, done, bytes) = (node.clone(), done.clone(), bytes.clone());
        async move {
            let input = format!("{channel}-{number}.ts");
            node.put(&input, &bytes).await;
            let work = Transcode {
                preset,
                within: Span::from_secs(100),
                ..job(&input, None, &[(128, 200_000)])
            };
            let before = done.lock().unwrap().len();
            let made = node.transcode_of(channel, &work).await;
            assert!(
                made.as_ref().is_ok_and(|it| it.rungs[0].is_ok()),
                "{made:?}"
            );
            let mut done = done.lock().unwrap();
            done.push(channel);
            // What was done of the other one while this one waited.
            done[before..].iter().filter(|it| **it != channel).count()
        }
    };
    let flood = tokio::spawn(join_all(
        (0..FLOOD).map(|it| make("flood", it, Preset::Slow)),
    ));
    let waits = || async { node.queue.look().await.unwrap() };
    let began = Instant::now();
    while waits().await.waiting + waits().await.under_way < FLOOD as u64 {
        assert!(began.elapsed() < FAILOVER, "not all of them are put down");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut passed = Vec::new();
    for number in 0..4 {
        passed.push(make("calm", number, Preset::Ultrafast).await);
    }
    let left = node.queue.look().await.unwrap();
    println!(
        "{passed:?} of the flood were made before each, and {} waited still",
        left.waiting
    );
    assert!(left.waiting > 0, "the flood was over: {passed:?}");
    // One in the worker's hands, and one whose turn it was.
    assert!(passed.iter().all(|it| *it <= 2), "{passed:?}");
    flood.await.unwrap();
}
