//! The way to Redis: one connection for all that is asked of it, made again after a failure, later each
//! time. Every call has an end, whatever becomes of the connection.

pub mod address;
mod connection;
pub mod keys;
mod script;

use ::redis::aio::PubSub;
use ::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, Value};
use address::{Address, Route};
use connection::Connection;
use keys::Shared;
pub use script::{Call, Script};
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// After a connection that could not be made the next is tried so much later, then twice as late each time.
const CONNECT_FIRST: Duration = Duration::from_millis(50);
/// The longest such pause: short beside a lease.
const CONNECT_SLOWEST: Duration = Duration::from_millis(500);

/// A connection to Redis. A clone is the same one.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    /// The same for people.
    shown: String,
    /// A call takes so long at most, the making of a connection included.
    within: Duration,
    shared: Script,
    state: Mutex<State>,
}

struct State {
    route: Route,
    connection: Option<Connection>,
    /// Of the connection, so that a late failure of the one before does not end it.
    number: u64,
    /// Connections that could not be made, in a row.
    failures: u32,
    /// No connection is tried before, for this reason.
    pause: Option<(Instant, Arc<str>)>,
}

/// Why Redis did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No answer has come: it may or may not have been done.
    #[error("Redis does not answer: {0}")]
    Away(Arc<str>),
    /// It has said no.
    #[error("Redis refuses: {0}")]
    Refused(Arc<str>),
}

impl Link {
    /// The way to this Redis; nothing is asked of it yet.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(address: &Address, within: Duration) -> Result<Self, String> {
        let state = State {
            route: address.route(within).map_err(|error| words(&error))?,
            connection: None,
            number: 0,
            failures: 0,
            pause: None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                address: address.clone(),
                shown: address.to_string(),
                within,
                shared: Script::new(include_str!("redis/shared.lua")),
                state: Mutex::new(state),
            }),
        })
    }

    /// Its address, without secrets.
    pub fn address(&self) -> &str {
        &self.inner.shown
    }

    /// Has a script run.
    pub async fn script<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, LinkError> {
        self.within(async move |mut connection| call.run(&mut connection).await)
            .await
    }

    /// The same, and which Redis it was: another number where it has been restarted, or another one has taken
    /// its place, and so may have lost what was written last.
    pub async fn script_and_identity<T: FromRedisValue>(
        &self,
        call: &Call<'_>,
    ) -> Result<(T, u64), LinkError> {
        let run = async move |mut connection: Connection| {
            let answer = call.run(&mut connection).await?;
            Ok((answer, connection.identity().await?))
        };
        self.within(run).await
    }

    /// A script whose arguments tell which Redis it is that has it run; `None` where it must be another one.
    pub async fn script_by<'a, T: FromRedisValue>(
        &self,
        must_be: Option<u64>,
        call: impl FnOnce(u64) -> Call<'a>,
    ) -> Result<Option<T>, LinkError> {
        let run = async move |mut connection: Connection| {
            let identity = match must_be {
                Some(_) => connection.identity().await?,
                None => connection.known_identity().await?,
            };
            if must_be.is_some_and(|it| it != identity) {
                return Ok(None);
            }
            call(identity).run(&mut connection).await.map(Some)
        };
        self.within(run).await
    }

    /// Which Redis it is now; see [`Link::script_and_identity`].
    pub async fn identity(&self) -> Result<u64, LinkError> {
        self.within(async move |mut connection: Connection| connection.identity().await)
            .await
    }

    /// Has one script run for each of many keys. The calls are under way together, and each is a piece of
    /// its own.
    pub async fn scripts(
        &self,
        script: &Script,
        calls: &[Call<'_>],
    ) -> Result<Vec<Value>, LinkError> {
        let run = async move |connection| match connection {
            Connection::One(mut one, _) => script.run_in_one(&mut one, calls).await,
            Connection::Cluster(cluster, _) => {
                let each = calls.iter().map(|call| {
                    let mut cluster = cluster.clone();
                    async move { call.run(&mut cluster).await }
                });
                futures_util::future::try_join_all(each).await
            }
        };
        self.within(run).await
    }

    /// Has a command done on a key in common, in place of what is no such key: its name, and what comes behind the key.
    pub async fn on<T: FromRedisValue>(
        &self,
        key: &Shared,
        command: &str,
        arguments: &[&str],
    ) -> Result<T, LinkError> {
        let arguments = [&[key.kind, command], arguments].concat();
        let arguments: Vec<_> = arguments.iter().map(|it| it.as_bytes()).collect();
        let script = &self.inner.shared;
        self.script(&script.call(&[key.name], &arguments)).await
    }

    /// Has a command done.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LinkError> {
        self.within(async move |mut connection| command.query_async(&mut connection).await)
            .await
    }

    /// A connection of its own, for who waits for messages: to any server, since what is told to one of a
    /// cluster is told to all. `turn` says which is tried where there are several.
    pub async fn listen(&self, turn: usize) -> Result<PubSub, LinkError> {
        let client = async {
            match &mut self.inner.state.lock().await.route {
                Route::Server(client) => Ok(client.clone()),
                Route::Sentinel(client) => client.async_get_client().await,
                Route::Cluster(_) => {
                    let mut servers = self.inner.address.infos(true)?;
                    let of_turn = turn % servers.len();
                    Client::open(servers.swap_remove(of_turn))
                }
            }
        };
        let made = async { client.await?.get_async_pubsub().await };
        match timeout(self.inner.within, made).await {
            Ok(made) => made.map_err(|error| LinkError::Away(words(&error).into())),
            Err(_) => Err(self.silent()),
        }
    }

    async fn within<T, F: Future<Output = RedisResult<T>>>(
        &self,
        run: impl FnOnce(Connection) -> F,
    ) -> Result<T, LinkError> {
        let until = Instant::now() + self.inner.within;
        let connected = tokio::time::timeout_at(until, self.connection()).await;
        let (connection, number) = connected.map_err(|_| self.silent())??;
        match tokio::time::timeout_at(until, run(connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_lost(&error) => {
                let why: Arc<str> = words(&error).into();
                self.give_up(number).await;
                Err(LinkError::Away(why))
            }
            Ok(Err(error)) => Err(LinkError::Refused(words(&error).into())),
            Err(_) => {
                self.give_up(number).await;
                Err(self.silent())
            }
        }
    }

    /// The connection that there is, or a new one.
    async fn connection(&self) -> Result<(Connection, u64), LinkError> {
        let mut state = self.inner.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.number));
        }
        let now = Instant::now();
        if let Some((until, why)) = &state.pause
            && now < *until
        {
            return Err(LinkError::Away(why.clone()));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.inner.within))
            .set_response_timeout(None);
        // Counted as failed until it is made: who waits for it may give up meanwhile.
        state.failures = state.failures.saturating_add(1);
        state.pause = Some((now + pause_after(state.failures), self.silence()));
        let made = state.route.connect(&config);
        // Shorter than a call may take: its failure is then remembered.
        match timeout(self.inner.within / 2, made).await {
            Ok(Ok(connection)) => {
                state.connection = Some(connection.clone());
                state.number += 1;
                state.failures = 0;
                state.pause = None;
                Ok((connection, state.number))
            }
            Ok(Err(error)) => {
                let why: Arc<str> = words(&error).into();
                let until = Instant::now() + pause_after(state.failures);
                state.pause = Some((until, why.clone()));
                Err(LinkError::Away(why))
            }
            Err(_) => Err(self.silent()),
        }
    }

    /// The connection is of no use any more. The next one is made at once.
    async fn give_up(&self, number: u64) {
        let mut state = self.inner.state.lock().await;
        if state.number == number {
            state.connection = None;
        }
    }

    fn silence(&self) -> Arc<str> {
        format!("no answer within {:?}", self.inner.within).into()
    }

    fn silent(&self) -> LinkError {
        LinkError::Away(self.silence())
    }
}

/// Nodes that lost Redis together do not come back together: half of the pause is chance.
fn pause_after(failures: u32) -> Duration {
    let doubled = CONNECT_FIRST * (1 << failures.saturating_sub(1).min(6));
    let longest = doubled.min(CONNECT_SLOWEST);
    let half = longest / 2;
    let chance = RandomState::new().hash_one(failures) % 1_000;
    half + half * u32::try_from(chance).unwrap_or(0) / 1_000
}

/// The connection cannot be used any more; or what answers is not, or not yet, one that takes changes.
fn is_lost(error: &RedisError) -> bool {
    let wrong = ["READONLY", "LOADING", "MASTERDOWN", "UNKILLABLE", "BUSY"];
    error.is_unrecoverable_error()
        || error.is_io_error()
        || error.code().is_some_and(|it| wrong.contains(&it))
}

fn words(error: &RedisError) -> String {
    crate::one_line::one_line(&error.to_string())
}
