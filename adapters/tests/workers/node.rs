//! The part of a node that has its rungs made, within the test, and workers as processes of their own.

use crate::jobs::name;
use crate::support::binary::command;
use crate::support::redis_server::RedisServer;
use hls_relay::cluster::registry::Registry;
use hls_relay::cluster::secrets::Secrets;
use hls_relay::redis::Link;
use hls_relay::redis::address::Address;
use hls_relay::store::Store;
use hls_relay::transcode::exchange::Exchange;
use hls_relay::transcode::makers::{Makers, OwnSlots};
use hls_relay::transcode::orders::Orders;
use hls_relay::transcode::queue::Queue;
use hls_relay_core::command::Transcode;
use hls_relay_core::event::{TranscodeError, Transcoded};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long anything may take that should happen soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// The part of a node that has its rungs made.
#[derive(Clone)]
pub(crate) struct OrderingNode {
    pub(crate) store: Store,
    pub(crate) makers: Makers,
    pub(crate) queue: Queue,
    pub(crate) base: String,
    pub(crate) secret: String,
    /// Requests of workers.
    pub(crate) asked: Arc<AtomicUsize>,
}

impl OrderingNode {
    /// It makes nothing itself.
    pub(crate) async fn start(redis: &RedisServer, store: Store) -> Self {
        Self::start_with(redis, store, OwnSlots::None).await
    }

    pub(crate) async fn start_with(redis: &RedisServer, store: Store, own: OwnSlots) -> Self {
        Self::start_at(&redis.url(), store, own).await
    }

    /// With a Redis of any kind.
    pub(crate) async fn start_at(redis: &str, store: Store, own: OwnSlots) -> Self {
        let address = Address::parse(redis).unwrap();
        let link = Link::new(&address, Duration::from_secs(2)).unwrap();
        let secret = Registry::new(link.clone()).secret(&Secrets::draw()).await;
        let mut known = Secrets::default();
        known.learn(secret.clone().unwrap());
        let (queue, exchange) = (Queue::new(link), Exchange::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let pages = exchange.router(move |shown| {
            counted.fetch_add(1, Ordering::Relaxed);
            known.is_one_of(shown)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, pages).await });
        let orders = Orders::new(queue.clone(), exchange, base.as_str().into());
        Self {
            store,
            makers: Makers::new(own, Some(orders)),
            queue,
            base,
            secret: secret.unwrap(),
            asked,
        }
    }

    pub(crate) async fn put(&self, object: &str, bytes: &[u8]) {
        let mut writer = self.store.create(&name(object)).unwrap();
        writer.write(bytes).await.unwrap();
        writer.commit().await.unwrap();
    }

    pub(crate) async fn transcode(&self, work: &Transcode) -> Result<Transcoded, TranscodeError> {
        self.transcode_until(work, &CancellationToken::new()).await
    }

    pub(crate) async fn transcode_until(
        &self,
        work: &Transcode,
        cancelled: &CancellationToken,
    ) -> Result<Transcoded, TranscodeError> {
        let channel: Arc<str> = "news".into();
        self.makers
            .transcode(&channel, &self.store, work, cancelled)
            .await
    }

    /// The same for a channel of another name.
    pub(crate) async fn transcode_of(
        &self,
        channel: &str,
        work: &Transcode,
    ) -> Result<Transcoded, TranscodeError> {
        let (channel, never): (Arc<str>, _) = (channel.into(), CancellationToken::new());
        let makers = &self.makers;
        makers.transcode(&channel, &self.store, work, &never).await
    }

    /// Waits until so many workers are there.
    pub(crate) async fn until_workers(&self, count: u64) {
        let begun = Instant::now();
        while self.queue.look().await.unwrap().workers != count {
            assert!(begun.elapsed() < PATIENCE, "not {count} workers");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// `hls-relay worker` as a process; killed when it is dropped.
pub(crate) struct WorkerProcess {
    pub(crate) child: Child,
    log: Arc<Mutex<String>>,
}

impl WorkerProcess {
    pub(crate) fn start(redis: &RedisServer, name: &str, arguments: &[&str]) -> Self {
        Self::start_at(&redis.url(), name, arguments)
    }

    pub(crate) fn start_at(redis: &str, name: &str, arguments: &[&str]) -> Self {
        let mut worker = command(&["worker", "--redis", redis, "--name", name]);
        worker.args(arguments);
        worker.env("HLS_RELAY_LOG_LEVEL", "debug");
        let mut child = worker
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, filled) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = filled.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has said this.
    pub(crate) async fn until_log(&self, words: &str) {
        let begun = Instant::now();
        while !self.log().contains(words) {
            assert!(begun.elapsed() < PATIENCE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", signal, &id])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
