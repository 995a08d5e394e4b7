//! Three nodes and what they share.

use crate::operator::{Node, spec};
use crate::stage::viewer::{Viewer, Watched};
use crate::support::binary::command;
use crate::viewers::{origin, until};
use hls_relay::origin_server::OriginServer;
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What should be so soon, on a machine that does other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The lease, and a target duration of the origin.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
pub(crate) const TARGET_DURATION: Duration = Duration::from_secs(1);

/// Nodes that run, by their places; one that was taken out is gone.
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) origin: OriginServer,
    folder: TempDir,
    arguments: Vec<String>,
}

impl Nodes {
    /// So many as there are ways to Redis.
    pub(crate) async fn start(ways: &[String]) -> Self {
        Self::start_with(ways, &[]).await
    }

    /// The same, with these arguments besides.
    pub(crate) async fn start_with(ways: &[String], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut all = Self {
            nodes: Vec::new(),
            origin: origin(20).await,
            folder,
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        for (number, way) in ways.iter().enumerate() {
            let node = all.node(number, way);
            all.nodes.push(Some(node));
        }
        all
    }

    /// Starts the node of this number.
    pub(crate) fn node(&self, number: usize, redis: &str) -> Node {
        self.node_with(number, redis, &[])
    }

    /// The same, with arguments of its own.
    pub(crate) fn node_with(&self, number: usize, redis: &str, arguments: &[&str]) -> Node {
        let name = format!("node-{number}");
        let data = self.folder.path().join(&name);
        let journal = self.journal(number).display().to_string();
        let own = ["--redis", redis, "--name", &name, "--journal", &journal];
        let all = own.into_iter().chain(self.arguments.iter().map(|it| &**it));
        let arguments: Vec<_> = all.chain(arguments.iter().copied()).collect();
        Node::start(&data, &arguments)
    }

    /// Where that node keeps its journals.
    pub(crate) fn journal(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("node-{number}/journal"))
    }

    pub(crate) fn at(&self, number: usize) -> &Node {
        self.nodes[number].as_ref().expect("it runs")
    }

    /// Has a channel relayed, and waits until every node shows it; says whose it is.
    pub(crate) async fn relay(&self, id: &str) -> usize {
        let added = self.at(0).put(id, spec(&self.origin.url())).await;
        assert_eq!(added.status, 201, "{added:?}");
        for node in self.nodes.iter().flatten() {
            let url = node.address();
            until(url, id, || self.logs(), |_| true).await;
        }
        self.owner(0, id).await
    }

    /// What a node tells of a channel.
    pub(crate) async fn observed(&self, by: usize, id: &str) -> Value {
        let told = self.at(by).get(&format!("/api/v1/channels/{id}")).await;
        told.body["observed"].clone()
    }

    /// Whose a channel is, as a node tells it.
    pub(crate) async fn owner(&self, by: usize, id: &str) -> usize {
        let observed = self.observed(by, id).await;
        let owner = observed["owner"].as_str().unwrap();
        let number = owner.strip_prefix("node-").map(str::parse);
        number.unwrap_or_else(|| panic!("{observed}")).unwrap()
    }

    /// Waits until a channel is live under another owner than before.
    pub(crate) async fn until_taken(&self, by: usize, id: &str, before: &Value) -> Value {
        let began = Instant::now();
        loop {
            let observed = self.observed(by, id).await;
            let is_new = observed["epoch"].as_u64() > before["epoch"].as_u64();
            if is_new && observed["segments"].as_u64() > Some(0) {
                return observed;
            }
            assert!(began.elapsed() < PATIENCE, "{observed}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Watches a channel by way of a node.
    pub(crate) fn watch(&self, by: usize, id: &str, zero: Instant) -> Viewer {
        let url = format!("{}/{id}/index.m3u8", self.at(by).address());
        Viewer::start(url, zero)
    }

    pub(crate) fn logs(&self) -> String {
        let logs = self.nodes.iter().flatten().map(Node::log);
        logs.collect::<Vec<_>>().join("\n----\n")
    }

    /// Ends all nodes and replays all that they have recorded.
    pub(crate) fn replay(self) {
        for node in self.nodes.iter().flatten() {
            node.relay.signal("TERM");
        }
        for node in self.nodes.into_iter().flatten() {
            let (status, log) = node.relay.wait();
            assert_eq!(status.code(), Some(0), "{log}");
        }
        let mut replayed = 0;
        for node in std::fs::read_dir(self.folder.path()).unwrap() {
            let journals = node.unwrap().path().join("journal");
            for journal in std::fs::read_dir(journals).into_iter().flatten() {
                let journal = journal.unwrap().path();
                // The last five seconds go with a process that is killed.
                if std::fs::read_dir(&journal).unwrap().next().is_none() {
                    continue;
                }
                let replay = command(&["replay"]).arg(&journal).output().unwrap();
                let said = String::from_utf8_lossy(&replay.stderr);
                assert!(replay.status.success(), "{journal:?}: {said}");
                replayed += 1;
            }
        }
        assert!(replayed > 0, "nothing was recorded");
    }
}

/// The longest time in which nothing new was listed, from `from` on.
pub(crate) fn longest_silence(watched: &Watched, from: Duration) -> Duration {
    let listed = watched.segments.values().map(|it| it.listed_at);
    let mut times: Vec<_> = listed.filter(|it| *it >= from).collect();
    times.push(from);
    times.sort();
    let silences = times.windows(2).map(|pair| pair[1] - pair[0]);
    silences.max().unwrap_or_default()
}

/// Numbers go on: none is missing between the first and the last that were ever listed.
pub(crate) fn assert_numbers_go_on(watched: &Watched) {
    let numbers: Vec<_> = watched.segments.keys().copied().collect();
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    assert_eq!(numbers, (first..=last).collect::<Vec<_>>());
}
