//! What the scripts of ownership do, on a real Redis.

use crate::support::redis_server::RedisServer;
use hls_relay::cluster::registry::{Claimed, Kept, Leased, NodeEntry, Registry, Title};
use hls_relay::control_store::ControlStore;
use hls_relay::redis::Link;
use hls_relay::redis::address::Address;
use hls_relay::spec::ChannelSpec;
use hls_relay_core::checkpoint::{CHECKPOINT_FORMAT, Checkpoint};
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Change, ChannelId, Condition, Record, Writer};
use hls_relay_core::time::{Span, WallTime};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const A: &str = "a:0000000000000001";
const B: &str = "b:0000000000000002";

pub(crate) struct Stage {
    pub(crate) registry: Registry,
    pub(crate) store: ControlStore,
    pub(crate) link: Link,
}

impl Stage {
    pub(crate) fn at(url: &str) -> Self {
        let link = Link::new(&Address::parse(url).unwrap(), Duration::from_secs(2)).unwrap();
        Self {
            registry: Registry::new(link.clone()),
            store: ControlStore::in_redis(link.clone(), |_| ()),
            link,
        }
    }

    async fn put(&self, name: &str) -> Record<ChannelSpec> {
        let spec = ChannelSpec::of(vec!["http://a/".to_owned()]).into();
        let desired = None;
        let put = Change::Put { spec, desired };
        let id = id(name);
        let made = self.store.change(&id, Writer::Api, put, Condition::Any);
        made.await.unwrap().record.unwrap()
    }

    async fn publish(&self, name: &str, title: &Title, with: Option<Checkpoint>) -> Kept {
        let id = id(name);
        let publish = self.registry.publish(&id, title, "{}", with.as_ref());
        publish.await.unwrap()
    }

    async fn claim(&self, name: &str, by: &str, seen: (Option<&str>, u64)) -> Claimed {
        let redis = self.link.identity().await.unwrap();
        let claim = self.registry.claim(&id(name), by, seen, redis).await;
        claim.unwrap()
    }

    async fn claimed(&self, name: &str, by: &str, seen: (Option<&str>, u64)) -> Title {
        let claimed = self.claim(name, by, seen).await;
        let Claimed::Claimed { epoch, .. } = claimed else {
            panic!("{claimed:?}");
        };
        Title {
            incarnation: by.into(),
            epoch,
        }
    }
}

pub(crate) fn id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn checkpoint(seconds: u64) -> Checkpoint {
    Checkpoint {
        format: CHECKPOINT_FORMAT,
        saved_at: WallTime::default(),
        target_duration: Span::from_secs(seconds),
        ended: false,
        entry: None,
        tracks: Vec::new(),
        retired: Vec::new(),
        leaving: Vec::new(),
        rungs: None,
    }
}

/// What every kind of Redis has to do.
pub(crate) async fn contract(stage: &Stage) {
    let registry = &stage.registry;
    let news = id("news");
    let gone = stage.claim("news", A, (None, 0)).await;
    assert_eq!(gone, Claimed::Gone);
    let record = stage.put("news").await;
    let first = stage.claim("news", A, (None, 0)).await;
    let Claimed::Claimed {
        epoch,
        checkpoint: none,
        silent_ms,
        seen_by: None,
        claims: 1,
    } = first.clone()
    else {
        panic!("{first:?}");
    };
    assert!(none.is_none() && silent_ms.is_none(), "{first:?}");
    // An answer that was lost is given again; whoever is late hears who was faster.
    let again = stage.claim("news", A, (None, 0)).await;
    assert!(
        matches!(again, Claimed::Claimed { epoch: same, .. } if same == epoch),
        "{again:?}"
    );
    let late = stage.claim("news", B, (None, 0)).await;
    let has = Claimed::Changed {
        epoch,
        owner: Some(A.to_owned()),
    };
    assert_eq!(late, has);

    let title = Title {
        incarnation: A.into(),
        epoch,
    };
    let done = Kept::Done {
        revision: record.revision,
    };
    assert_eq!(
        stage.publish("news", &title, Some(checkpoint(7))).await,
        done
    );
    let stolen = Title {
        incarnation: B.into(),
        epoch,
    };
    let fenced = registry
        .publish(&news, &stolen, "{}", Some(&checkpoint(8)))
        .await
        .unwrap();
    assert_eq!(fenced, Kept::Fenced { epoch });

    // The next owner goes on from there, and the one before is fenced out of everything.
    let next = stage.claim("news", B, (Some(A), epoch)).await;
    let Claimed::Claimed {
        epoch: above,
        checkpoint: kept,
        silent_ms: Some(..5_000),
        seen_by: Some(redis),
        claims: 1,
    } = next
    else {
        panic!("{next:?}");
    };
    assert_eq!(kept, Some(Box::new(checkpoint(7))));
    assert_eq!(redis, stage.link.identity().await.unwrap());
    assert!(above > epoch);
    // Of another Redis nothing is taken.
    assert!(
        registry
            .claim(&news, A, (Some(B), above), redis ^ 1)
            .await
            .is_err()
    );
    let refused = Kept::Fenced { epoch: above };
    let late = checkpoint(9);
    let (spec, wanted) = (Some(&late), (&record, false));
    assert_eq!(
        registry.publish(&news, &title, "{}", spec).await.unwrap(),
        refused
    );
    assert_eq!(
        registry
            .release(&news, &title, false, "{}", spec)
            .await
            .unwrap(),
        refused
    );
    assert_eq!(
        registry
            .register(&news, &title, wanted, "{}", spec)
            .await
            .unwrap(),
        refused
    );
    assert_eq!(registry.erase(&news, &title).await.unwrap(), refused);

    // Let go, it has nobody, and the next epoch is above its last.
    let title = Title {
        incarnation: B.into(),
        epoch: above,
    };
    assert_eq!(
        registry
            .release(&news, &title, true, "{}", None)
            .await
            .unwrap(),
        done
    );
    let after = stage.claimed("news", A, (None, above)).await;
    assert!(after.epoch > above);
    let wanted = registry.erase(&news, &after).await.unwrap();
    assert_eq!(wanted, Kept::Wanted);
    let remove = stage
        .store
        .change(&news, Writer::Api, Change::Remove, Condition::Any);
    remove.await.unwrap();
    assert!(matches!(
        registry.erase(&news, &after).await.unwrap(),
        Kept::Done { .. }
    ));
    assert!(stage.store.ids().await.unwrap().is_empty());
    // An id that comes again has an epoch above all that it ever had.
    stage.put("news").await;
    assert!(stage.claimed("news", B, (None, 0)).await.epoch > after.epoch);
}

pub(crate) async fn contract_of_names(stage: &Stage) {
    let registry = &stage.registry;
    let entry = |incarnation: &str| NodeEntry {
        incarnation: incarnation.to_owned(),
        address: "http://127.0.0.1:1".to_owned(),
        control: "http://127.0.0.1:2".to_owned(),
        capacity: 7,
        load: 3,
        peers: vec!["b".to_owned()],
    };
    let (one, two) = (entry(A), entry("a:00000000000000ff"));
    let (missing, identity) = registry.lease("a", &one, 300, false).await.unwrap();
    assert_eq!(missing, Leased::Missing);
    let held = registry.lease("a", &one, 300, true).await.unwrap();
    assert_eq!(held, (Leased::Held, identity));
    assert_eq!(
        registry.lease("a", &one, 300, false).await.unwrap().0,
        Leased::Held
    );
    let two = NodeEntry {
        control: "http://127.0.0.1:3".to_owned(),
        ..two
    };
    let other = registry.lease("a", &two, 300, true).await.unwrap().0;
    assert!(
        matches!(&other, Leased::Other { incarnation, left_ms: 1..=300 } if incarnation == A),
        "{other:?}"
    );
    // Nor does he who may not have the name take anything away when he leaves.
    registry.leave("a", &two.incarnation).await.unwrap();
    let nodes = registry.nodes(&BTreeSet::new()).await.unwrap();
    assert_eq!(nodes[&id("a")], (one.control.clone(), Some(one.clone())));
    tokio::time::sleep(Duration::from_millis(400)).await;
    // Who has expired is still known, and does not come back.
    assert_eq!(
        registry.nodes(&BTreeSet::new()).await.unwrap()[&id("a")],
        (one.control.clone(), None)
    );
    assert_eq!(
        registry.lease("a", &one, 300, false).await.unwrap().0,
        Leased::Missing
    );
    assert_eq!(
        registry.lease("a", &two, 5_000, true).await.unwrap().0,
        Leased::Held
    );
    // Only its holder gives a name back.
    registry.leave("a", A).await.unwrap();
    let left = registry.lease("a", &one, 300, true).await.unwrap().0;
    assert!(matches!(left, Leased::Other { .. }), "{left:?}");
    registry.leave("a", &two.incarnation).await.unwrap();
    assert!(registry.nodes(&BTreeSet::new()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_has_one_owner_and_its_epochs_grow() {
    let server = RedisServer::start();
    let stage = Stage::at(&server.url());
    contract(&stage).await;
    contract_of_names(&stage).await;
    let seen = server.ask(&["LRANGE", "hls-relay:pending", "0", "-1"]);
    assert!(seen.lines().all(|it| it == "news"), "{seen}");
    let pending = stage.registry.pending(100).await.unwrap();
    assert_eq!(pending.len(), seen.lines().count());
    assert!(stage.registry.pending(100).await.unwrap().is_empty());
}

#[tokio::test]
async fn redis_that_comes_back_empty_or_older_is_told_again() {
    let server = RedisServer::start();
    let stage = Stage::at(&server.url());
    let registry = &stage.registry;
    let record = stage.put("news").await;
    let title = stage.claimed("news", A, (None, 0)).await;
    let publish = async |title: &Title| {
        registry
            .publish(&id("news"), title, "{}", Some(&checkpoint(7)))
            .await
            .unwrap()
    };
    let register = async |title: &Title| {
        let wanted = (&record, false);
        let kept = Some(checkpoint(7));
        registry
            .register(&id("news"), title, wanted, "{}", kept.as_ref())
            .await
            .unwrap()
    };
    let done = Kept::Done {
        revision: record.revision,
    };
    server.ask(&["FLUSHALL"]);
    assert_eq!(publish(&title).await, Kept::Lost);
    assert_eq!(register(&title).await, done);
    assert_eq!(publish(&title).await, done);
    let known = stage.store.list().await.unwrap();
    assert_eq!(known, [(id("news"), record.clone())]);
    // A write that was lost in a failover: an older owner stands there again.
    let key = "hls-relay:channel:{news}";
    server.ask(&["HSET", key, "owner", B, "epoch", "5", "revision", "1"]);
    assert_eq!(publish(&title).await, Kept::Lost);
    assert_eq!(register(&title).await, done);
    // Whoever has been claimed from meanwhile is not told otherwise; a newer wish stays.
    let newer = stage.claimed("news", B, (Some(A), title.epoch)).await;
    let fenced = Kept::Fenced { epoch: newer.epoch };
    assert_eq!(
        (publish(&title).await, register(&title).await),
        (fenced.clone(), fenced)
    );
    let stop = Change::Desire(Desired::Stop);
    let stop = stage
        .store
        .change(&id("news"), Writer::Api, stop, Condition::Any)
        .await;
    let revision = stop.unwrap().revision;
    server.ask(&["HDEL", key, "owner", "epoch"]);
    assert_eq!(register(&newer).await, Kept::Done { revision });
    // A dead one is freed once.
    let free = async |owner| {
        registry
            .free(&id("news"), owner, newer.epoch)
            .await
            .unwrap()
    };
    assert!(!free(A).await && free(B).await && !free(B).await);
}

#[tokio::test]
async fn what_is_written_over_by_strangers_harms_that_channel_only() {
    let server = RedisServer::start();
    let stage = Stage::at(&server.url());
    let registry = &stage.registry;
    for name in ["good", "owner", "epoch", "kind", "point", "long", "seen"] {
        stage.put(name).await;
    }
    let (key, point) = (
        |name: &str| format!("hls-relay:channel:{{{name}}}"),
        |name: &str| format!("hls-relay:checkpoint:{{{name}}}"),
    );
    let long = "9".repeat(100_000);
    server.ask(&["HSET", &key("owner"), "owner", "../../etc passwd"]);
    server.ask(&["HSET", &key("epoch"), "epoch", "-1e99"]);
    server.ask(&["DEL", &key("kind")]);
    server.ask(&["LPUSH", &key("kind"), "x"]);
    server.ask(&["LPUSH", &point("point"), "x"]);
    server.ask(&[
        "HSET",
        &key("long"),
        "owner",
        &long,
        "epoch",
        &long,
        "unfinished",
        &long,
    ]);
    server.ask(&["HSET", &key("seen"), "seen_at", "nan"]);
    server.ask(&["SET", &point("seen"), "{\"format\": 99}"]);
    for name in ["good", "owner", "epoch", "point", "long", "seen"] {
        let title = stage.claimed(name, A, (None, 0)).await;
        let published = stage.publish(name, &title, Some(checkpoint(7))).await;
        assert!(matches!(published, Kept::Done { .. }), "{name}");
        // While it has an owner it is as good as forgotten, and he tells it again.
        server.ask(&["HSET", &key(name), "owner", &long, "epoch", "0x7"]);
        let published = stage.publish(name, &title, None).await;
        assert_eq!(published, Kept::Lost, "{name}");
        let record = stage.store.get(&id(name)).await.unwrap().unwrap();
        let (id, wanted) = (id(name), (&record, false));
        let register = registry.register(&id, &title, wanted, "{}", None);
        assert!(
            matches!(register.await.unwrap(), Kept::Done { .. }),
            "{name}"
        );
    }
    let kind = stage.claim("kind", A, (None, 0)).await;
    assert_eq!(kind, Claimed::Gone);
    let title = Title {
        incarnation: A.into(),
        epoch: 9,
    };
    let published = stage.publish("kind", &title, Some(checkpoint(7))).await;
    assert_eq!(published, Kept::Lost);
    // An epoch that no clock gives is another's for ever, of that channel.
    let title = stage
        .claimed("epoch", B, (Some(A), epoch_of(&stage, "epoch").await))
        .await;
    server.ask(&["HSET", &key("epoch"), "epoch", "4503599627370496"]);
    let published = stage.publish("epoch", &title, None).await;
    assert_eq!(
        published,
        Kept::Fenced {
            epoch: 4_503_599_627_370_496
        }
    );

    // Nodes.
    for (name, of) in [("list", "LPUSH"), ("plain", "SET")] {
        server.ask(&[of, &format!("hls-relay:node:{name}"), "x"]);
        server.ask(&["HSET", "hls-relay:nodes", name, "http://127.0.0.1:2"]);
    }
    server.ask(&[
        "HSET",
        "hls-relay:node:odd",
        "incarnation",
        &long,
        "capacity",
        "many",
    ]);
    server.ask(&["HSET", "hls-relay:nodes", "odd", "x", "../up", "x"]);
    let nodes = registry.nodes(&BTreeSet::new()).await.unwrap();
    assert_eq!(nodes.len(), 3);
    assert!(
        nodes.values().all(|(_, entry)| entry.is_none()),
        "{nodes:?}"
    );
    let entry = NodeEntry {
        incarnation: A.to_owned(),
        ..NodeEntry::default()
    };
    assert_eq!(
        registry.lease("list", &entry, 500, true).await.unwrap().0,
        Leased::Held
    );
    // One that was written by hand ends as if it were a node's.
    let odd = registry.lease("odd", &entry, 100, true).await.unwrap().0;
    assert!(matches!(odd, Leased::Other { .. }), "{odd:?}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        registry.lease("odd", &entry, 500, true).await.unwrap().0,
        Leased::Held
    );
    server.ask(&["DEL", "hls-relay:pending"]);
    server.ask(&["RPUSH", "hls-relay:pending", "../up", "good", &long]);
    assert_eq!(registry.pending(10).await.unwrap(), [id("good")]);

    // What all have in common, and is of another kind now, is written again by whoever has something to write there.
    let nodes = registry.nodes(&BTreeSet::from([id("list")])).await.unwrap();
    let is_held = |nodes: &BTreeMap<ChannelId, (String, Option<NodeEntry>)>| {
        nodes.get(&id("list")).is_some_and(|it| it.1.is_some())
    };
    assert!(is_held(&nodes), "{nodes:?}");
    for name in ["nodes", "channels", "pending"] {
        server.ask(&["DEL", &format!("hls-relay:{name}")]);
    }
    // Whose lease holds is alive without the list.
    let nodes = registry.nodes(&BTreeSet::from([id("list")])).await.unwrap();
    assert!(is_held(&nodes) && nodes.len() == 1, "{nodes:?}");
    for name in ["nodes", "channels", "pending"] {
        server.ask(&["SET", &format!("hls-relay:{name}"), "x"]);
    }
    let held = registry.lease("list", &entry, 5_000, false).await.unwrap();
    assert_eq!(held.0, Leased::Held);
    assert!(is_held(&registry.nodes(&BTreeSet::new()).await.unwrap()));
    let epoch = epoch_of(&stage, "good").await;
    let title = stage.claimed("good", B, (Some(A), epoch)).await;
    let record = stage.store.get(&id("good")).await.unwrap().unwrap();
    let (good, wanted) = (id("good"), (&record, false));
    let again = registry.register(&good, &title, wanted, "{}", None).await;
    assert!(matches!(again, Ok(Kept::Done { .. })), "{again:?}");
    stage.put("new").await;
    assert_eq!(server.ask(&["SCARD", "hls-relay:channels"]), "2");
    assert_eq!(registry.pending(10).await.unwrap(), [id("new")]);
    assert!(stage.link.identity().await.is_ok());
}

async fn epoch_of(stage: &Stage, name: &str) -> u64 {
    let ControlStore::Redis(store) = &stage.store else {
        panic!("it is in Redis");
    };
    store
        .look(&id(name))
        .await
        .unwrap()
        .unwrap()
        .entry()
        .unwrap()
        .epoch
}
