//! The ways to Redis: through Sentinels, and to a Redis Cluster, with real processes of both.

use crate::registry::{Stage, contract, contract_of_names, id};
use crate::support::redis_kinds::{FAILOVER, Watched, cluster};
use hls_relay::spec::ChannelSpec;
use hls_relay_core::node::{Change, Condition, Writer};
use std::time::{Duration, Instant};

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
    let redis = Watched::start();
    let stage = Stage::at(&redis.url);
    contract(&stage).await;
    contract_of_names(&stage).await;
    let before = stage.link.identity().await.unwrap();
    drop(redis.first);
    until_changes_are_taken(&stage, "after").await;
    assert_ne!(stage.link.identity().await.unwrap(), before);
    assert!(
        redis
            .second
            .ask(&["HGET", "hls-relay:channel:{after}", "desired"])
            == "run"
    );
    let ids = stage.store.ids().await.unwrap();
    assert_eq!(ids, [id("after"), id("news")]);
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
    // All masters are asked for it, and one of them may just be found.
    let began = Instant::now();
    let listed = loop {
        match stage.store.list().await {
            Ok(listed) => break listed,
            Err(why) => assert!(began.elapsed() < FAILOVER, "{why}"),
        }
    };
    assert_eq!(listed.len(), names.len() + 1);
}
