//! Has the rungs of a segment made by a worker, wherever that is.

use super::exchange::{Answer, Exchange, in_folder};
use super::queue::{self, Input, Order, OrderName, Queue};
use super::stored;
use crate::fetch;
use crate::store::Store;
use bytes::Bytes;
use hls_relay_core::command::{Transcode, TranscodeRung};
use hls_relay_core::event::{RungError, StoreError, StoredSegment, TranscodeError, Transcoded};
use hls_relay_core::formats::Formats;
use hls_relay_core::node::ChannelId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// No picture is shown so often, in thousandths of a second.
const MOST_FRAME_RATE: u32 = 1_000_000;
/// The longest name of a format, and the most of them in a segment.
const MOST_CODEC_BYTES: usize = 64;
const MOST_CODECS: usize = 16;

/// The way to the workers. A clone is the same.
#[derive(Clone)]
pub struct Orders {
    queue: Queue,
    exchange: Exchange,
    /// Where workers reach this node.
    address: Arc<str>,
}

/// Why workers have nothing to do with a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untaken {
    #[error("no worker is there: start 'hls-relay worker'")]
    Nobody,
    #[error("workers cannot be asked: {0}")]
    Unreachable(Arc<str>),
}

/// Takes an order back unless it was answered, however its waiting ends.
struct Placed<'a> {
    orders: &'a Orders,
    store: &'a Store,
    entry: String,
    name: Option<OrderName>,
}

impl Drop for Placed<'_> {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else {
            return;
        };
        let (queue, store, entry) = (
            self.orders.queue.clone(),
            self.store.clone(),
            std::mem::take(&mut self.entry),
        );
        tokio::spawn(async move {
            // Where Redis is away it is over by itself, once it is late.
            let _ = queue.finish(&entry, Some(&name)).await;
            let _ = store.discard(name.text().to_owned()).await;
        });
    }
}

impl Orders {
    /// From the node with this address.
    pub fn new(queue: Queue, exchange: Exchange, address: Arc<str>) -> Self {
        Self {
            queue,
            exchange,
            address,
        }
    }

    /// What waits, and who is there.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Has the rungs of a segment made, and stores them; what came of that. Once `cancelled` is, the worker is
    /// told to stop and nothing more is stored.
    ///
    /// # Errors
    /// Why no worker has anything to do with it.
    pub(super) async fn make(
        &self,
        channel: &Arc<str>,
        store: &Store,
        work: &Transcode,
        cancelled: &CancellationToken,
    ) -> Result<Result<Transcoded, TranscodeError>, Untaken> {
        let asked = Instant::now();
        let order = match self.order(channel, store, work).ok_or(Untaken::Nobody)? {
            Ok(order) => order,
            Err(error) => return Ok(Err(error)),
        };
        // Before it can be answered it has to be known.
        let mut waits = self.exchange.wait(&order, store);
        let added = cancelled.run_until_cancelled(self.queue.add(&order, waits.turn));
        let entry = match added.await {
            None => return Ok(Err(TranscodeError::Cancelled)),
            Some(Ok(entry)) => entry.ok_or(Untaken::Nobody)?,
            Some(Err(error)) => return Err(Untaken::Unreachable(error.to_string().into())),
        };
        let mut placed = Placed {
            orders: self,
            store,
            entry,
            name: Some(order.name.clone()),
        };
        let within = Duration::from_micros(work.within.as_micros());
        let left = within.saturating_sub(asked.elapsed());
        let answered = timeout(left, &mut waits.answered);
        let answer = match cancelled.run_until_cancelled(answered).await {
            None => return Ok(Err(TranscodeError::Cancelled)),
            Some(Ok(Ok(answer))) => answer,
            Some(Ok(Err(_)) | Err(_)) => return Ok(Err(TranscodeError::TooSlow(work.within))),
        };
        // Its worker ends it; what others have left of it lies about still.
        if answer.head.attempt <= 1 {
            placed.name = None;
        }
        let (worker, waited) = (
            crate::one_line::one_line(&answer.head.worker),
            asked.elapsed(),
        );
        let outcome = take(store, work, &order.name, answer, cancelled).await;
        tracing::debug!(
            channel = &**channel,
            worker,
            order = order.name.text(),
            waited_ms = waited.as_millis(),
            made = outcome.is_ok(),
            "a worker has answered"
        );
        Ok(outcome)
    }

    /// `None` for a channel that no worker could be told of.
    fn order(
        &self,
        channel: &Arc<str>,
        store: &Store,
        work: &Transcode,
    ) -> Option<Result<Order, TranscodeError>> {
        let channel = ChannelId::new(channel).ok()?;
        let mut work = work.clone();
        if let Some(before) = &work.before {
            let there = |it| store.get(it).is_some();
            // Without it the segment is made as if it were the first.
            let whole =
                there(&before.object.0) && before.init.as_ref().is_none_or(|it| there(&it.0));
            work.before = work.before.take().filter(|_| whole);
        }
        let mut inputs = Vec::new();
        for object in queue::objects(&work) {
            let Some(found) = store.get(&object.0) else {
                let words = format!("{object} is not there");
                let error = StoreError::Failed(words.into());
                return Some(Err(TranscodeError::Store(error)));
            };
            inputs.push(Input {
                object: object.clone(),
                length: found.length,
                hash: found.hash,
            });
        }
        Some(Ok(Order {
            name: self.exchange.next_name(),
            node: self.address.to_string(),
            channel,
            work,
            inputs,
        }))
    }
}

/// Stores what a worker has made. What it says of it counts only where it is what was made.
async fn take(
    store: &Store,
    work: &Transcode,
    name: &OrderName,
    answer: Answer,
    cancelled: &CancellationToken,
) -> Result<Transcoded, TranscodeError> {
    let told = answer.head.outcome?;
    if told.rungs.len() != work.rungs.len() {
        let words = format!(
            "{} rungs in its answer, and {} were ordered",
            told.rungs.len(),
            work.rungs.len()
        );
        return Err(TranscodeError::WorkerLost(words.into()));
    }
    let mut made = answer.rungs.into_iter();
    let mut rungs = Vec::new();
    for (place, (rung, told)) in work.rungs.iter().zip(told.rungs).enumerate() {
        if cancelled.is_cancelled() {
            return Err(TranscodeError::Cancelled);
        }
        rungs.push(match told {
            Err(error) => Err(error),
            Ok(told) if answer.head.in_folder => {
                let file = in_folder(name, answer.head.attempt, place);
                adopted(store, rung, &file, &told).await
            }
            Ok(told) => put(store, rung, made.next().unwrap_or_default(), &told).await,
        });
    }
    let within = |it| std::cmp::min(it, work.within);
    Ok(Transcoded {
        input: plain(told.input),
        rungs,
        waited: within(told.waited),
        took: within(told.took),
    })
}

async fn put(
    store: &Store,
    rung: &TranscodeRung,
    bytes: Bytes,
    told: &StoredSegment,
) -> Result<StoredSegment, RungError> {
    let made = stored(store, &rung.object, &bytes, frame_rate(told)).await?;
    if made.hash != told.hash {
        let _ = store.delete(vec![rung.object.clone()]).await;
        return Err(not_as_told());
    }
    Ok(made)
}

async fn adopted(
    store: &Store,
    rung: &TranscodeRung,
    file: &str,
    told: &StoredSegment,
) -> Result<StoredSegment, RungError> {
    let adopted = store.adopt(&rung.object, file, told.length, told.hash);
    let bytes = adopted.await.map_err(RungError::Store)?;
    let formats = fetch::formats_of(&bytes).map(|it| Formats {
        frame_rate: frame_rate(told),
        ..it
    });
    Ok(StoredSegment {
        length: told.length,
        hash: told.hash,
        formats: Some(formats),
    })
}

fn not_as_told() -> RungError {
    RungError::Encode("what came of it is not what its worker says that it has sent".into())
}

/// What is read in the media is believed the media; how many pictures it has in a second is not written there.
fn frame_rate(told: &StoredSegment) -> Option<u32> {
    let formats = told.formats.as_ref()?.as_ref().ok()?;
    formats.frame_rate.filter(|it| *it <= MOST_FRAME_RATE)
}

/// Names of formats get into playlists.
fn plain(formats: Formats) -> Formats {
    let plain = |it: &Arc<str>| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        it.len() <= MOST_CODEC_BYTES && it.bytes().all(known)
    };
    Formats {
        codecs: formats
            .codecs
            .into_iter()
            .filter(plain)
            .take(MOST_CODECS)
            .collect(),
        frame_rate: formats.frame_rate.filter(|it| *it <= MOST_FRAME_RATE),
        ..formats
    }
}
