//! The way to Redis: one connection for all that is asked of it, made again after a failure, later each
//! time. Every call has an end, whatever becomes of the connection.

pub mod keys;

use crate::mask::mask;
use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError, RedisResult};
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use url::Url;

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
    client: Client,
    /// For people.
    shown: String,
    /// A call takes so long at most, the making of a connection included.
    within: Duration,
    state: Mutex<State>,
}

struct State {
    connection: Option<MultiplexedConnection>,
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

/// A script for Redis, by its text.
pub struct Script {
    text: &'static str,
    script: ::redis::Script,
}

impl Script {
    /// Prepares it.
    pub fn new(text: &'static str) -> Self {
        let script = ::redis::Script::new(text);
        Self { text, script }
    }

    /// One call of it. In a script all keys share a hash slot.
    pub fn call(&self, keys: &[&str], arguments: &[&[u8]]) -> Call<'_> {
        let mut invocation = self.script.prepare_invoke();
        invocation.key(keys).arg(arguments);
        Call { invocation }
    }

    /// Many calls in one message: the calls themselves are added by [`Script::add_to`].
    pub fn many(&self) -> Pipeline {
        let mut pipeline = ::redis::pipe();
        // Whoever lost its scripts in a restart has it again, without another round.
        pipeline.cmd("SCRIPT").arg("LOAD").arg(self.text).ignore();
        pipeline
    }

    /// See [`Script::many`].
    pub fn add_to(&self, pipeline: &mut Pipeline, keys: &[&str], arguments: &[&[u8]]) {
        let call = pipeline.cmd("EVALSHA").arg(self.script.get_hash());
        call.arg(keys.len()).arg(keys).arg(arguments);
    }
}

/// A call of a script.
pub struct Call<'a> {
    invocation: ::redis::ScriptInvocation<'a>,
}

impl Link {
    /// The way to this Redis; nothing is asked of it yet.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(url: &Url, within: Duration) -> Result<Self, String> {
        let client = Client::open(url.clone()).map_err(|error| words(&error))?;
        let state = State {
            connection: None,
            number: 0,
            failures: 0,
            pause: None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                shown: mask(url),
                within,
                state: Mutex::new(state),
            }),
        })
    }

    /// Its address, without secrets.
    pub fn address(&self) -> &str {
        &self.inner.shown
    }

    /// For those who keep a connection of their own, as who waits for messages does.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Has a script run.
    pub async fn script<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, LinkError> {
        let invocation = &call.invocation;
        self.within(async move |mut connection| invocation.invoke_async(&mut connection).await)
            .await
    }

    /// Has commands done, one after the other.
    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, LinkError> {
        self.within(async move |mut connection| pipeline.query_async(&mut connection).await)
            .await
    }

    async fn within<T, F: Future<Output = RedisResult<T>>>(
        &self,
        run: impl FnOnce(MultiplexedConnection) -> F,
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
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), LinkError> {
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
        let client = &self.inner.client;
        let made = client.get_multiplexed_async_connection_with_config(&config);
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
