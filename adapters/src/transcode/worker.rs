//! `hls-relay worker`: takes orders for as long as it may, makes their rungs, and tells their nodes.

use super::Transcoder;
use super::carry::Carrier;
use super::queue::{HOLD_EVERY, MOST_TRIES, Order, Queue, TOLD, Taken};
use super::span;
use crate::cluster::registry::Registry;
use crate::cluster::secrets::Secrets;
use crate::logging::numbers::{self, Numbers};
use crate::one_line::one_line;
use crate::redis::LinkError;
use crate::store::Store;
use futures_util::StreamExt;
use hls_relay_core::command::Transcode;
use hls_relay_core::event::{TranscodeError, Transcoded};
use hls_relay_core::time::Span;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// What was done is told so often, if anything was.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Before the next connection to listen on.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);
/// A connection on which nothing was heard for so long may be dead: another one is made.
const SILENT_AFTER: Duration = Duration::from_secs(60);

/// A worker.
pub struct Worker {
    inner: Arc<Inner>,
}

struct Inner {
    /// What it calls itself, unlike any other.
    name: String,
    queue: Queue,
    registry: Registry,
    transcoder: Transcoder,
    carrier: Carrier,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Default)]
struct State {
    /// Under way, by their entries: their names, and how they are stopped.
    orders: HashMap<String, (String, CancellationToken)>,
    secrets: Secrets,
    reaches_redis: Option<bool>,
    done: Done,
}

/// What has come of orders since it was told last.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    made: u64,
    failed: u64,
    stopped: u64,
    /// What the longest took, against how long its segment lasts, in hundredths.
    slowest: u64,
}

impl Worker {
    /// A worker for this queue, called so. `folder` is the nodes' `--store`, where it is seen from here.
    pub fn new(
        name: String,
        queue: Queue,
        transcoder: Transcoder,
        folder: Option<PathBuf>,
    ) -> Self {
        let inner = Inner {
            name,
            registry: Registry::new(queue.link().clone()),
            queue,
            transcoder,
            carrier: Carrier::new(folder),
            state: Mutex::default(),
            told: Notify::new(),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// Works until `leave` is: then it finishes what it has, and is done.
    pub async fn run(self, leave: CancellationToken) {
        let it = self.inner;
        let hearing = tokio::spawn(it.clone().hear());
        let telling = tokio::spawn(it.clone().tell());
        let mut orders = JoinSet::new();
        let mut holding: Option<JoinHandle<()>> = None;
        let mut hold = interval(HOLD_EVERY);
        hold.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = false;
        while !(leave.is_cancelled() && orders.is_empty()) {
            tokio::select! {
                _ = hold.tick() => {
                    // One that is slow is not joined by another.
                    if holding.as_ref().is_none_or(JoinHandle::is_finished) {
                        holding = Some(tokio::spawn(it.clone().hold(leave.is_cancelled())));
                    }
                }
                () = it.told.notified() => {}
                Some(_) = orders.join_next() => {}
                () = leave.cancelled(), if !left => {}
            }
            if leave.is_cancelled() && !std::mem::replace(&mut left, true) {
                let _ = it.queue.leave(&it.name, false).await;
                tracing::info!(under_way = orders.len(), "no more segments are taken");
            }
            while !leave.is_cancelled() && orders.len() < it.transcoder.slots().count().get() {
                let taken = it.queue.take(&it.name).await;
                it.note_contact(taken.as_ref().err());
                let Ok(Some(taken)) = taken else { break };
                orders.spawn(it.clone().carry_out(taken));
            }
        }
        if let Some(holding) = holding {
            let _ = holding.await;
        }
        let _ = it.queue.leave(&it.name, true).await;
        hearing.abort();
        telling.abort();
        it.tell_done();
    }
}

impl Inner {
    /// What is no longer its own is another one's, or nobody's.
    async fn hold(self: Arc<Self>, is_leaving: bool) {
        let entries: Vec<_> = self.state().orders.keys().cloned().collect();
        // One that is leaving says so no more, unless it has something left.
        if is_leaving && entries.is_empty() {
            return;
        }
        let Ok(held) = self.queue.hold(&self.name, &entries, !is_leaving).await else {
            return;
        };
        let state = self.state();
        let lost = entries.iter().filter(|it| !held.contains(it));
        for (_, stop) in lost.filter_map(|it| state.orders.get(it)) {
            stop.cancel();
        }
    }

    /// Hears of new orders, and of those that are over.
    async fn hear(self: Arc<Self>) {
        for turn in 0.. {
            if let Ok(mut listening) = self.queue.link().listen(turn).await
                && listening.subscribe(TOLD).await.is_ok()
            {
                let mut messages = listening.into_on_message();
                while let Ok(Some(message)) = timeout(SILENT_AFTER, messages.next()).await {
                    let Ok(text) = std::str::from_utf8(message.get_payload_bytes()) else {
                        continue;
                    };
                    match text.strip_prefix("stop ") {
                        Some(name) => self.stop(name),
                        None => self.told.notify_one(),
                    }
                }
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    fn stop(&self, name: &str) {
        let state = self.state();
        for (_, stop) in state.orders.values().filter(|(it, _)| it == name) {
            stop.cancel();
        }
    }

    async fn carry_out(self: Arc<Self>, taken: Taken) {
        let begun = Instant::now();
        let order = match &taken.order {
            Ok(order) => order,
            Err(error) => {
                tracing::error!(entry = taken.entry, "an order is thrown away: {error}");
                let _ = self.queue.finish(&taken.entry, None).await;
                return;
            }
        };
        let (channel, name) = (&**order.channel.name(), order.name.text());
        let of_channel = Numbers {
            epoch: Some(order.work.epoch.0),
            revision: None,
        };
        numbers::know(order.channel.name(), of_channel);
        let stop = CancellationToken::new();
        let known = (name.to_owned(), stop.clone());
        self.state().orders.insert(taken.entry.clone(), known);
        let within = Duration::from_micros(order.work.within.as_micros());
        let left = within.saturating_sub(taken.waited);
        let carried = timeout(left, self.make_and_tell(&taken, order, &stop));
        let outcome = stop.run_until_cancelled(carried).await;
        self.state().orders.remove(&taken.entry);
        let (waited_ms, took_ms) = (taken.waited.as_millis(), begun.elapsed().as_millis());
        let failure = match outcome {
            None => {
                self.count(|done| done.stopped += 1);
                tracing::debug!(channel, order = name, took_ms, "nobody wants it any more");
                return;
            }
            Some(Ok(Ok(None))) => None,
            Some(Ok(Ok(Some(why)))) => Some(format!("it is not made: {why}")),
            Some(Ok(Err(why))) => Some(format!("what was made of it is not taken: {why}")),
            Some(Err(_)) => Some("it is not made in time".to_owned()),
        };
        let attempt = taken.attempt;
        match failure {
            None => {
                let lasts = u128::from(order.work.duration.as_millis()).max(1);
                let share = u64::try_from(took_ms * 100 / lasts).unwrap_or(u64::MAX);
                self.count(|done| {
                    done.made += 1;
                    done.slowest = done.slowest.max(share);
                });
                tracing::debug!(channel, order = name, attempt, waited_ms, took_ms, "made");
            }
            Some(why) => {
                self.count(|done| done.failed += 1);
                tracing::warn!(channel, order = name, attempt, waited_ms, took_ms, "{why}");
            }
        }
        let _ = self.queue.finish(&taken.entry, None).await;
    }

    /// Says why nothing was made of it, if nothing was.
    async fn make_and_tell(
        &self,
        taken: &Taken,
        order: &Order,
        stop: &CancellationToken,
    ) -> Result<Option<TranscodeError>, super::carry::NotTold> {
        let begun = Instant::now();
        let store = Store::memory();
        let secret = self.secret().await;
        let outcome = if taken.attempt > MOST_TRIES {
            let words = format!("{MOST_TRIES} workers have died of it, or were killed");
            Err(TranscodeError::WorkerLost(words.into()))
        } else {
            self.make(taken, order, &secret, &store, stop).await
        };
        let outcome = outcome.map(|made| Transcoded {
            waited: made.waited + span(taken.waited),
            took: span(begun.elapsed()),
            ..made
        });
        let failure = outcome.as_ref().err().cloned();
        let told = self
            .carrier
            .tell(taken, order, &secret, &self.name, outcome, &store);
        told.await.map(|()| failure)
    }

    async fn make(
        &self,
        taken: &Taken,
        order: &Order,
        secret: &str,
        store: &Store,
        stop: &CancellationToken,
    ) -> Result<Transcoded, TranscodeError> {
        self.carrier.bring(order, secret, store).await?;
        let passed = span(taken.waited).as_micros();
        let work = Transcode {
            within: Span::from_micros(order.work.within.as_micros().saturating_sub(passed)),
            ..order.work.clone()
        };
        let channel = order.channel.name();
        self.transcoder.transcode(channel, store, &work, stop).await
    }

    /// What nodes know each other by, as it stands in Redis now, or as it stood there last.
    async fn secret(&self) -> String {
        if let Ok(secret) = self.registry.secret(&Secrets::draw()).await {
            self.state().secrets.learn(secret);
        }
        self.state().secrets.text()
    }

    fn note_contact(&self, error: Option<&LinkError>) {
        let reaches = error.is_none();
        let before = self.state().reaches_redis.replace(reaches);
        let redis = self.queue.link().address();
        match (before, error) {
            (Some(false) | None, None) => tracing::info!(redis, "waiting for segments"),
            (Some(true) | None, Some(error)) => {
                let why = one_line(&error.to_string());
                tracing::warn!(redis, "no segments are taken until it answers: {why}");
            }
            (Some(true), None) | (Some(false), Some(_)) => {}
        }
    }

    async fn tell(self: Arc<Self>) {
        let mut every = interval(TELL_EVERY);
        loop {
            every.tick().await;
            self.tell_done();
        }
    }

    fn tell_done(&self) {
        let done = std::mem::take(&mut self.state().done);
        let Done {
            made,
            failed,
            stopped,
            slowest,
        } = done;
        if made + failed + stopped > 0 {
            let slowest = format!("{}.{:02}", slowest / 100, slowest % 100);
            tracing::info!(
                made,
                failed,
                stopped,
                slowest_of_real_time = slowest,
                "segments"
            );
        }
    }

    fn count(&self, change: impl FnOnce(&mut Done)) {
        change(&mut self.state().done);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
