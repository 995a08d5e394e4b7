//! A connection to whatever kind of Redis there is.

use super::address::Route;
use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use ::redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisFuture, RedisResult, Value, cmd, from_redis_value,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
pub(super) enum Connection {
    /// To one server, and which it is.
    One(MultiplexedConnection, u64),
    /// To those of a cluster; it finds out by itself which has what. With its identity as it was told last,
    /// or 0.
    Cluster(ClusterConnection, Arc<AtomicU64>),
}

impl Route {
    pub(super) async fn connect(
        &mut self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<Connection> {
        let mut one = match self {
            Self::Server(client) => {
                let made = client.get_multiplexed_async_connection_with_config(config);
                made.await?
            }
            Self::Sentinel(client) => client.get_async_connection_with_config(config).await?,
            Self::Cluster(client) => {
                let made = client.get_async_connection().await?;
                return Ok(Connection::Cluster(made, Arc::default()));
            }
        };
        let told: String = about().query_async(&mut one).await?;
        Ok(Connection::One(one, identity_of(&[told])))
    }
}

impl Connection {
    /// A number that is another one for every process of Redis. Of a cluster it is of all its masters.
    pub(super) async fn identity(&mut self) -> RedisResult<u64> {
        match self {
            Self::One(_, identity) => Ok(*identity),
            Self::Cluster(cluster, known) => {
                let all = MultipleNodeRoutingInfo::AllMasters;
                let routing = RoutingInfo::MultiNode((all, None));
                let told = cluster.route_command(about(), routing).await?;
                let told: BTreeMap<String, String> = from_redis_value(told)?;
                let told: Vec<_> = told.into_values().collect();
                let identity = identity_of(&told);
                known.store(identity, Ordering::Relaxed);
                Ok(identity)
            }
        }
    }

    /// The same, without asking each time.
    pub(super) async fn known_identity(&mut self) -> RedisResult<u64> {
        if let Self::Cluster(_, known) = self
            && let known @ 1.. = known.load(Ordering::Relaxed)
        {
            return Ok(known);
        }
        self.identity().await
    }
}

fn about() -> Cmd {
    cmd("INFO").arg("server").take()
}

/// What each says of itself has a number that it has drawn at its start.
fn identity_of(told: &[String]) -> u64 {
    let lines = told.iter().flat_map(|it| it.lines());
    let runs = lines.filter_map(|line| line.strip_prefix("run_id:"));
    let mut runs: Vec<_> = runs.map(str::trim).collect();
    runs.sort_unstable();
    let hash: [u8; 32] = Sha256::digest(runs.join(",")).into();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one, _) => one.req_packed_command(command),
            Self::Cluster(cluster, _) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one, _) => one.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster, _) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one, _) => one.get_db(),
            Self::Cluster(cluster, _) => cluster.get_db(),
        }
    }
}
