//! What every control store has to do: the embedded one, and any that joins it.

use hls_relay::control_store::{ChangeError, Changed, ControlStore, ControlStoreError};
use hls_relay::spec::ChannelSpec;
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Change, ChannelId, Condition, NodeEvent, Refused, Writer};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

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
