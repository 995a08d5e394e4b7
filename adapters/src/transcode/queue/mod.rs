//! Segments that wait for a transcode worker: two streams in Redis, each read by one group of consumers.
//!
//! A worker that dies stops saying that it is at work, and what it had is given to another one; what has ended
//! several workers is put aside among the dead. An order is over when its node says so, whoever has it: so
//! nothing depends on how often one is made, or its result told.
//!
//! The two streams are the two lines of [`Turn`]: the second one is read where nothing waits in the first.

use super::MOST_BYTES;
use crate::redis::{Link, LinkError, Script};
use crate::store::is_plain;
use hls_relay_core::command::Transcode;
use hls_relay_core::ids::{ContentHash, ObjectName};
use hls_relay_core::ladder::{Ladder, LadderFault, Rung};
use hls_relay_core::node::ChannelId;
use hls_relay_core::turn::Turn;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The keys share a hash slot; the braces are part of them.
const ORDERS: &str = "hls-relay:{transcode}:orders";
const FURTHER: &str = "hls-relay:{transcode}:further";
const WORKERS: &str = "hls-relay:{transcode}:workers";
const DEAD: &str = "hls-relay:{transcode}:dead";
/// Where workers are told of new orders, and of those that nobody wants any more.
pub(super) const TOLD: &str = "hls-relay:transcode";

/// A worker is there for so long after it was heard of.
const LEASE: Duration = Duration::from_secs(2);
/// A worker that is not heard of for so long has lost what it had.
const LAPSE: Duration = Duration::from_millis(1_500);
/// Several times in each of both.
pub(super) const HOLD_EVERY: Duration = Duration::from_millis(250);
/// So often is an order given to a worker.
pub const MOST_TRIES: u64 = 3;
/// So many orders wait at most. More would be late anyway.
const MOST_ORDERS: usize = 10_000;
/// The longest order, in bytes: eight rungs with long names take a tenth of it.
const MOST_ORDER_BYTES: usize = 32 << 10;
/// No order is waited for longer.
const MOST_WITHIN: Duration = Duration::from_secs(120);

/// The queue. A clone is the same.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    add: Script,
    take: Script,
    hold: Script,
    finish: Script,
    leave: Script,
    look: Script,
}

/// A segment whose rungs are to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Names it, and is used once.
    pub name: OrderName,
    /// Where its node is asked for what it takes, and told the result: a URL without a path.
    pub node: String,
    /// Whose segment it is.
    pub channel: ChannelId,
    /// What is to be made.
    pub work: Transcode,
    /// The objects that it takes.
    pub inputs: Vec<Input>,
}

/// An object of the node's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is called there.
    pub object: ObjectName,
    /// In bytes.
    pub length: u64,
    /// Of its bytes.
    pub hash: ContentHash,
}

/// Hexadecimal digits and dashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderName(String);

/// What waits, and who is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Workers that take orders.
    pub workers: u64,
    /// Orders that no worker has.
    pub waiting: u64,
    /// Orders that workers have.
    pub under_way: u64,
}

/// An order that a worker has been given.
#[derive(Debug)]
pub struct Taken {
    /// In which of the streams it stands, and where.
    pub entry: String,
    /// How often it was given to a worker, counted from 1.
    pub attempt: u64,
    /// Since it was put down.
    pub waited: Duration,
    /// What it says.
    pub order: Result<Order, OrderError>,
}

/// Why what stands in the stream is no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Its text is not ours; in words.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// No object is called so.
    #[error("{0:?} is no name for an object")]
    BadName(Arc<str>),
    /// Inputs are what is to be read, each of a length that may be.
    #[error("what it takes is not what it says that it takes")]
    BadInputs,
    /// No encoder is told this.
    #[error("its rungs: {0}")]
    BadRungs(LadderFault),
    /// No node is asked there.
    #[error("its node's address is none")]
    BadNode,
    /// Longer than anybody waits.
    #[error("it is of use for longer than {MOST_WITHIN:?}")]
    TooLong,
}

impl OrderName {
    /// One of a process, and which of its.
    pub fn new(tag: u64, number: u64) -> Self {
        Self(format!("{tag:016x}-{number:x}"))
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OrderName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |it: u8| it.is_ascii_hexdigit() || it == b'-';
        match (1..=40).contains(&text.len()) && text.bytes().all(plain) {
            true => Ok(Self(text)),
            false => Err("no name of an order"),
        }
    }
}

impl From<OrderName> for String {
    fn from(name: OrderName) -> Self {
        name.0
    }
}

impl Order {
    /// Reads what stands in Redis, which may be anybody's.
    ///
    /// # Errors
    /// Why it is no order.
    pub fn read(text: &str) -> Result<Self, OrderError> {
        let order: Self = serde_json::from_str(text).map_err(|error| {
            OrderError::Unreadable(crate::one_line::one_line(&error.to_string()))
        })?;
        order.check()?;
        Ok(order)
    }

    fn check(&self) -> Result<(), OrderError> {
        let work = &self.work;
        let node = url::Url::parse(&self.node).map_err(|_| OrderError::BadNode)?;
        if !matches!(node.scheme(), "http" | "https") {
            return Err(OrderError::BadNode);
        }
        if work.within.as_micros() > MOST_WITHIN.as_micros() as u64 {
            return Err(OrderError::TooLong);
        }
        let of_rungs = work.rungs.iter().map(|it| &it.object);
        for name in self.inputs.iter().map(|it| &it.object).chain(of_rungs) {
            if !is_plain(&name.0) {
                return Err(OrderError::BadName(name.0.clone()));
            }
        }
        let fits = |it: &Input| it.length <= MOST_BYTES;
        let named: Vec<_> = objects(work).collect();
        let given: Vec<_> = self.inputs.iter().map(|it| &it.object).collect();
        if named != given || !self.inputs.iter().all(fits) {
            return Err(OrderError::BadInputs);
        }
        let rungs = work.rungs.iter().map(|it| Rung {
            name: it.name.clone(),
            height: it.height,
            bitrate: it.bitrate,
        });
        let ladder = Ladder {
            rungs: rungs.collect(),
            // An order is for rungs.
            passthrough: false,
            codec: work.codec,
            preset: work.preset,
            audio: work.audio,
            patience: None,
        };
        ladder.validate().map_err(OrderError::BadRungs)
    }

    /// What can be made of it at most, in bytes: pictures are bounded by their bit rate, to which no encoder keeps
    /// exactly, and everything else is the source's.
    pub fn most_bytes(&self) -> u64 {
        let input = self.inputs.first().map_or(0, |it| it.length);
        let seconds = self
            .work
            .duration
            .as_micros()
            .div_ceil(1_000_000)
            .clamp(1, 120);
        let of_rungs = self.work.rungs.iter().map(|it| {
            let pictures = it.bitrate.saturating_mul(seconds);
            pictures.saturating_add(2 * input).saturating_add(4 << 20)
        });
        of_rungs.sum()
    }
}

/// What is read for a segment, in the order in which it is asked for.
pub(super) fn objects(work: &Transcode) -> impl Iterator<Item = &ObjectName> {
    let before = work.before.as_ref();
    let of_before = before
        .into_iter()
        .flat_map(|it| [Some(&it.object), it.init.as_ref()]);
    let mut found: Vec<&ObjectName> = Vec::new();
    for object in [Some(&work.input), work.init.as_ref()]
        .into_iter()
        .chain(of_before)
        .flatten()
    {
        if !found.contains(&object) {
            found.push(object);
        }
    }
    found.into_iter()
}

impl Queue {
    /// That of this Redis.
    pub fn new(link: Link) -> Self {
        let inner = Inner {
            link,
            add: Script::new(include_str!("add.lua")),
            take: Script::new(include_str!("take.lua")),
            hold: Script::new(include_str!("hold.lua")),
            finish: Script::new(include_str!("finish.lua")),
            leave: Script::new(include_str!("leave.lua")),
            look: Script::new(include_str!("look.lua")),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// The way to Redis.
    pub fn link(&self) -> &Link {
        &self.inner.link
    }

    /// Puts down an order, and says where it stands; `None` where no worker is there to take it.
    pub async fn add(&self, order: &Order, turn: Turn) -> Result<Option<String>, LinkError> {
        let text = serde_json::to_string(order).unwrap_or_default();
        let within = (order.work.within.as_micros() / 1_000).to_string();
        let most = MOST_ORDERS.to_string();
        let (keys, stream) = match turn {
            Turn::First => ([ORDERS, FURTHER, WORKERS], "1"),
            Turn::Further => ([FURTHER, ORDERS, WORKERS], "2"),
        };
        let arguments = [&*text, &within, &most, stream].map(str::as_bytes);
        let call = self.inner.add.call(&keys, &arguments);
        let added: Option<(String, u64)> = self.inner.link.script(&call).await?;
        Ok(added.map(|(entry, _)| entry))
    }

    /// Says that a worker is there, and gives it what it has to do next.
    pub async fn take(&self, worker: &str) -> Result<Option<Taken>, LinkError> {
        let (lease, lapse) = (millis(LEASE), millis(LAPSE));
        let (tries, most) = (MOST_TRIES.to_string(), MOST_ORDER_BYTES.to_string());
        let arguments = [worker, &lease, &lapse, &tries, &most].map(str::as_bytes);
        let call = self
            .inner
            .take
            .call(&[ORDERS, FURTHER, WORKERS, DEAD], &arguments);
        let taken: Option<(String, u64, u64, String)> = self.inner.link.script(&call).await?;
        Ok(taken.map(|(entry, attempt, waited, text)| Taken {
            entry,
            attempt,
            waited: Duration::from_millis(waited),
            order: Order::read(&text),
        }))
    }

    /// Says that a worker is at work on these, and whether it takes more; gives those that are still its own.
    pub async fn hold(
        &self,
        worker: &str,
        entries: &[String],
        takes_more: bool,
    ) -> Result<Vec<String>, LinkError> {
        let lease = millis(if takes_more { LEASE } else { Duration::ZERO });
        let own = [worker.as_bytes(), lease.as_bytes()];
        let arguments: Vec<_> = own
            .into_iter()
            .chain(entries.iter().map(String::as_bytes))
            .collect();
        let call = self
            .inner
            .hold
            .call(&[ORDERS, FURTHER, WORKERS], &arguments);
        self.inner.link.script(&call).await
    }

    /// An order is over. Whoever is at work on it stops where it is `named`.
    pub async fn finish(&self, entry: &str, named: Option<&OrderName>) -> Result<(), LinkError> {
        let name = named.map_or("", OrderName::text);
        let arguments = [entry.as_bytes(), name.as_bytes()];
        let call = self.inner.finish.call(&[ORDERS, FURTHER], &arguments);
        self.inner.link.script(&call).await
    }

    /// A worker takes no more; where it has nothing under way either it is forgotten.
    pub async fn leave(&self, worker: &str, is_idle: bool) -> Result<(), LinkError> {
        let idle = if is_idle { "1" } else { "0" };
        let arguments = [worker.as_bytes(), idle.as_bytes()];
        let call = self
            .inner
            .leave
            .call(&[ORDERS, FURTHER, WORKERS], &arguments);
        self.inner.link.script(&call).await
    }

    /// What waits, and who is there.
    pub async fn look(&self) -> Result<Waiting, LinkError> {
        let call = self.inner.look.call(&[ORDERS, FURTHER, WORKERS], &[]);
        let (workers, orders, under_way): (u64, u64, u64) = self.inner.link.script(&call).await?;
        Ok(Waiting {
            workers,
            waiting: orders.saturating_sub(under_way),
            under_way,
        })
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}
