//! What every control store has to do: the embedded one, and that in Redis.

use crate::support::redis_server::RedisServer;
use hls_relay::control_store::{ChangeError, Changed, ControlStore, ControlStoreError};
use hls_relay::redis::Link;
use hls_relay::redis::address::Address;
use hls_relay::spec::ChannelSpec;
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Change, ChannelId, Condition, NodeEvent, Refused, Writer};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

type Heard = Receiver<NodeEvent<ChannelSpec>>;

fn id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn put(source: &str) -> Change<ChannelSpec> {
    let spec = ChannelSpec::of(vec![source.to_owned()]).into();
    Change::Put {
        spec,
        desired: None,
    }
}

async fn make(
    store: &ControlStore,
    name: &str,
    change: Change<ChannelSpec>,
    condition: Condition,
) -> Result<Changed, ChangeError> {
    store
        .change(&id(name), Writer::Api, change, condition)
        .await
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, ChangeError>) -> Refused {
    match outcome {
        Err(ChangeError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

/// All of it, on an empty store.
async fn contract(store: &ControlStore, heard: &Heard) {
    assert!(store.list().await.unwrap().is_empty());
    let first = make(store, "b", put("http://a/"), Condition::Absent)
        .await
        .unwrap();
    assert!(first.is_new);
    let record = first.record.unwrap();
    assert_eq!(record.revision, first.revision);
    assert_eq!(record.desired, Desired::Run);
    assert_eq!(store.get(&id("b")).await.unwrap(), Some(record.clone()));
    let wanted = NodeEvent::Wanted {
        id: id("b"),
        record: record.clone(),
    };
    assert_eq!(heard.try_recv(), Ok(wanted));

    // The same again is no change, and nobody hears of it.
    let again = make(store, "b", put("http://a/"), Condition::Any)
        .await
        .unwrap();
    assert_eq!((again.revision, again.is_new), (first.revision, false));
    assert!(heard.try_recv().is_err());

    // Revisions only grow, whichever channel is changed.
    let other = make(store, "a", put("http://b/"), Condition::Any)
        .await
        .unwrap();
    let stopped = Change::Desire(Desired::Stop);
    let stopped = make(store, "b", stopped, Condition::Unchanged(first.revision)).await;
    let stopped = stopped.unwrap();
    assert!(first.revision < other.revision && other.revision < stopped.revision);
    let listed = store.list().await.unwrap();
    let names: Vec<_> = listed.into_iter().map(|(id, _)| id).collect();
    assert_eq!(names, [id("a"), id("b")]);
    assert_eq!(store.ids().await.unwrap(), names);

    // A condition that does not hold leaves all as it was.
    let late = make(
        store,
        "b",
        put("http://c/"),
        Condition::Unchanged(first.revision),
    )
    .await;
    assert_eq!(refused(late), Refused::Changed(stopped.revision));
    let there = make(store, "b", put("http://c/"), Condition::Absent).await;
    assert_eq!(refused(there), Refused::Present(stopped.revision));
    assert_eq!(store.get(&id("b")).await.unwrap(), stopped.record);

    // What is removed is gone, and a revision of it is never used again.
    let gone = make(store, "b", Change::Remove, Condition::Any)
        .await
        .unwrap();
    assert_eq!(gone.record, None);
    assert_eq!(store.get(&id("b")).await.unwrap(), None);
    let again = make(store, "b", Change::Remove, Condition::Any).await;
    assert_eq!(refused(again), Refused::Missing);
    let back = make(store, "b", put("http://a/"), Condition::Any)
        .await
        .unwrap();
    assert!(back.is_new && back.revision > gone.revision);

    // Who listens has heard of each in its order.
    let revisions = heard.try_iter().map(|it| match it {
        NodeEvent::Wanted { record, .. } => record.revision,
        NodeEvent::Removed { revision, .. } => revision,
        NodeEvent::Tick
        | NodeEvent::Opened { .. }
        | NodeEvent::Idle { .. }
        | NodeEvent::Closed { .. }
        | NodeEvent::Erased { .. }
        | NodeEvent::StoreTried { .. }
        | NodeEvent::Cluster(_)
        | NodeEvent::Drain
        | NodeEvent::ShutDown => panic!("{it:?}"),
    });
    let revisions: Vec<_> = revisions.collect();
    let made = [
        other.revision,
        stopped.revision,
        gone.revision,
        back.revision,
    ];
    assert_eq!(revisions, made);
}

/// Of many at once each gets a revision of its own, and those that saw the same only one wins.
async fn contract_of_concurrent_writers(store: &ControlStore) {
    let base = make(store, "c", put("http://0/"), Condition::Any)
        .await
        .unwrap();
    let changes = (1..20).map(|number| {
        let store = store.clone();
        let change = put(&format!("http://{number}/"));
        tokio::spawn(
            async move { make(&store, "c", change, Condition::Unchanged(base.revision)).await },
        )
    });
    let made = futures_util::future::join_all(changes).await;
    let won = made.into_iter().filter(|it| it.as_ref().unwrap().is_ok());
    assert_eq!(won.count(), 1);
}

fn open(path: &Path) -> (ControlStore, Heard) {
    let (tell, heard) = channel();
    let store = ControlStore::open(path, move |event| tell.send(event).unwrap());
    (store.unwrap(), heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.redb");
    let (store, heard) = open(&path);
    contract(&store, &heard).await;
    contract_of_concurrent_writers(&store).await;
    let before = store.list().await.unwrap();
    let taken = ControlStore::open(&path, |_| ());
    assert!(matches!(taken, Err(ControlStoreError::InUse(_))));
    drop(store);
    let (store, _heard) = open(&path);
    assert_eq!(store.list().await.unwrap(), before);
    let next = make(&store, "d", put("http://a/"), Condition::Any)
        .await
        .unwrap();
    assert!(
        before
            .iter()
            .all(|(_, record)| record.revision < next.revision)
    );
}

#[tokio::test]
async fn what_is_no_control_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.redb");
    std::fs::write(&path, "this is somebody's diary").unwrap();
    let opened = ControlStore::open(&path, |_| ());
    assert!(matches!(opened, Err(ControlStoreError::Unusable { .. })));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "this is somebody's diary");
}

fn in_redis(server: &RedisServer) -> (ControlStore, Heard) {
    let (tell, heard) = channel();
    let link = Link::new(
        &Address::parse(&server.url()).unwrap(),
        Duration::from_secs(2),
    )
    .unwrap();
    let store = ControlStore::in_redis(link, move |event| tell.send(event).unwrap());
    (store, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_redis_keeps_the_contract() {
    let server = RedisServer::start();
    let (store, heard) = in_redis(&server);
    contract(&store, &heard).await;
    contract_of_concurrent_writers(&store).await;
    // Each that wants an owner is told of, a removed one too: somebody has to take it away.
    let pending = server.ask(&["LRANGE", "hls-relay:pending", "0", "-1"]);
    assert_eq!(pending.lines().next(), Some("b"), "{pending}");
    let removed = make(&store, "c", Change::Remove, Condition::Any).await;
    let removed = removed.unwrap().revision.to_string();
    let hash = "hls-relay:channel:{c}";
    let stands = server.ask(&["HMGET", hash, "removed", "desired", "revision"]);
    assert_eq!(stands.lines().collect::<Vec<_>>(), ["1", "stop", &removed]);
    // Another one sees the same.
    let before = store.list().await.unwrap();
    let (other, _heard) = in_redis(&server);
    assert_eq!(other.list().await.unwrap(), before);
}

#[tokio::test]
async fn garbage_in_redis_harms_its_channel_only() {
    let server = RedisServer::start();
    let (store, _heard) = in_redis(&server);
    let others = ["http://b/", "http://c/", "http://d/", "http://e/"].map(put);
    let put = |name| make(&store, name, put("http://a/"), Condition::Any);
    put("good").await.unwrap();
    let names = [
        "spec", "desired", "number", "large", "exact", "kind", "removed", "long",
    ];
    for name in names {
        put(name).await.unwrap();
    }
    let key = |name: &str| format!("hls-relay:channel:{{{name}}}");
    let set = |name: &str, field: &str, value: &str| {
        assert_eq!(server.ask(&["HSET", &key(name), field, value]), "0");
    };
    set("spec", "spec", "{\"sources\": [\"hunter2\"");
    set("desired", "desired", "dance");
    set("number", "revision", "-1");
    set("large", "revision", "18446744073709551615");
    // The last one that a script can count to.
    set("exact", "revision", "9007199254740991");
    set("removed", "removed", "perhaps");
    let long = format!("{{\"sources\": [\"http://a/?{}\"]}}", "x".repeat(100_000));
    let long = format!("{long}{}", " ".repeat(20_000)).repeat(3);
    // Longer than an argument may be in one piece.
    for part in long.as_bytes().chunks(50_000) {
        let part = std::str::from_utf8(part).unwrap();
        let script =
            "redis.call('HSET', KEYS[1], 'spec', redis.call('HGET', KEYS[1], 'spec') .. ARGV[1])";
        server.ask(&["EVAL", script, "1", &key("long"), part]);
    }
    server.ask(&["DEL", &key("kind")]);
    server.ask(&["LPUSH", &key("kind"), "a"]);
    let too_long = "x".repeat(65);
    server.ask(&[
        "SADD",
        "hls-relay:channels",
        "../up",
        "not there",
        "gone",
        &too_long,
    ]);

    let listed = store.list().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|(id, _)| &**id.name()).collect();
    assert_eq!(listed, ["good"]);
    for name in names {
        assert_eq!(store.get(&id(name)).await.unwrap(), None, "{name}");
        // What is put in its place is read again.
        let mended = put(name).await.unwrap();
        assert!(mended.is_new, "{name}");
        assert_eq!(store.get(&id(name)).await.unwrap(), mended.record, "{name}");
    }
    assert_eq!(store.list().await.unwrap().len(), 1 + names.len());
    // So are counters.
    let newest = put("last").await.unwrap().revision;
    server.ask(&["SET", "hls-relay:revision", "nonsense"]);
    assert!(put("next").await.unwrap().revision > newest);
    let beyond = ["9007199254740991", "9223372036854775807", "nan", "-5"];
    for (beyond, other) in beyond.into_iter().zip(others) {
        server.ask(&["SET", "hls-relay:revision", beyond]);
        let changed = make(&store, "good", other, Condition::Any).await.unwrap();
        let again = put("good").await.unwrap();
        assert!(changed.revision > newest, "{beyond}");
        assert!(again.revision > changed.revision, "{beyond}");
        assert_eq!(store.get(&id("good")).await.unwrap(), again.record);
    }
    server.ask(&["DEL", "hls-relay:revision"]);
    server.ask(&["LPUSH", "hls-relay:revision", "a"]);
    assert!(put("after").await.unwrap().revision > newest);
}

#[tokio::test]
async fn without_redis_every_call_ends_and_with_it_again_all_goes_on() {
    let server = RedisServer::start();
    let port = server.port;
    let (store, _heard) = in_redis(&server);
    let first = make(&store, "a", put("http://a/"), Condition::Any).await;
    let first = first.unwrap();
    drop(server);
    for _ in 0..20 {
        let asked = Instant::now();
        let failed = make(&store, "a", put("http://b/"), Condition::Any).await;
        assert!(matches!(failed, Err(ChangeError::Failed(_))), "{failed:?}");
        assert!(asked.elapsed() < Duration::from_secs(3));
    }
    // It has lost everything, and still no revision comes twice.
    let _server = RedisServer::start_at(port);
    let began = Instant::now();
    let again = loop {
        match make(&store, "a", put("http://b/"), Condition::Any).await {
            Ok(changed) => break changed,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(2), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(again.is_new && again.revision > first.revision);
}
