//! Who makes the rungs of a process: workers, where any are there, or else the process itself.

use super::Transcoder;
use super::orders::Orders;
use super::queue::Waiting;
use super::tool::ToolError;
use crate::store::Store;
use hls_relay_core::command::Transcode;
use hls_relay_core::event::{TranscodeError, Transcoded};
use hls_relay_core::time::Span;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// An ffmpeg that was missing may have been installed: it is looked for again so much later.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How many segments a process transcodes at once itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnSlots {
    /// One for two of its cores.
    #[default]
    OfCores,
    /// So many.
    Count(NonZeroUsize),
    /// None: that is for workers.
    None,
}

/// Who makes rungs. A clone is the same.
#[derive(Clone)]
pub struct Makers {
    inner: Arc<Inner>,
}

struct Inner {
    orders: Option<Orders>,
    slots: OwnSlots,
    own: tokio::sync::Mutex<()>,
    found: Mutex<Found>,
}

/// What is known of this machine's ffmpeg.
#[derive(Clone)]
enum Found {
    NotLookedFor,
    There(Transcoder),
    Missing { why: Arc<str>, since: Instant },
    Never(Arc<str>),
}

/// What there is to tell of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MakersView {
    /// How many segments this process transcodes at once.
    pub slots: usize,
    /// How many wait for one.
    pub waiting: usize,
    /// What waits for workers.
    pub orders: Option<Waiting>,
}

impl Makers {
    /// This machine's ffmpeg, which is looked for once it is wanted, and workers where there is a way to them.
    pub fn new(slots: OwnSlots, orders: Option<Orders>) -> Self {
        let found = match (slots, &orders) {
            (OwnSlots::OfCores | OwnSlots::Count(_), _) => Found::NotLookedFor,
            (OwnSlots::None, Some(_)) => Found::Never(
                "no worker is there, and this node makes no rungs itself (--slots 0): start 'hls-relay worker'"
                    .into(),
            ),
            (OwnSlots::None, None) => {
                Found::Never("this node makes no rungs (--slots 0), and has no workers without --redis".into())
            }
        };
        Self::with(slots, orders, found)
    }

    /// This one and no other.
    pub fn one(transcoder: Transcoder) -> Self {
        Self::with(OwnSlots::OfCores, None, Found::There(transcoder))
    }

    /// Nobody, for this reason.
    pub fn nobody(why: &str) -> Self {
        Self::with(OwnSlots::None, None, Found::Never(why.into()))
    }

    fn with(slots: OwnSlots, orders: Option<Orders>, found: Found) -> Self {
        let inner = Inner {
            orders,
            slots,
            own: tokio::sync::Mutex::default(),
            found: Mutex::new(found),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// Looks for this machine's ffmpeg.
    ///
    /// # Errors
    /// Why it makes no rungs, in words, and what to do.
    pub async fn look(&self) -> Result<Transcoder, Arc<str>> {
        // One looks, and the others wait for what it finds.
        let _one = self.inner.own.lock().await;
        let slots = match self.found() {
            Found::There(transcoder) => return Ok(transcoder),
            Found::Never(why) => return Err(why),
            Found::Missing { why, since } if since.elapsed() < LOOK_AGAIN => return Err(why),
            Found::Missing { .. } | Found::NotLookedFor => match self.inner.slots {
                OwnSlots::Count(count) => Some(count),
                OwnSlots::OfCores | OwnSlots::None => None,
            },
        };
        let found = Transcoder::of_this_machine(slots).await;
        let found = found.map_err(|error: ToolError| Arc::<str>::from(error.to_string()));
        let mut known = self.known();
        *known = match &found {
            Ok(transcoder) => Found::There(transcoder.clone()),
            Err(why) => {
                if !matches!(&*known, Found::Missing { why: before, .. } if before == why) {
                    tracing::error!("{why}; until it is there rungs are gaps");
                }
                let (why, since) = (why.clone(), Instant::now());
                Found::Missing { why, since }
            }
        };
        found
    }

    /// Has the rungs of a segment made; see [`Transcoder::transcode`].
    ///
    /// # Errors
    /// Why there is no rung at all.
    pub async fn transcode(
        &self,
        channel: &Arc<str>,
        store: &Store,
        work: &Transcode,
        cancelled: &CancellationToken,
    ) -> Result<Transcoded, TranscodeError> {
        let asked = Instant::now();
        if let Some(orders) = &self.inner.orders
            && let Some(outcome) = orders.make(channel, store, work, cancelled).await
        {
            return outcome;
        }
        let within = Duration::from_micros(work.within.as_micros());
        let looking = tokio::time::timeout(within, self.look());
        let looked = cancelled.run_until_cancelled(looking).await;
        let looked = looked.ok_or(TranscodeError::Cancelled)?;
        let found = looked.map_err(|_| TranscodeError::TooSlow(work.within))?;
        let own = found.map_err(TranscodeError::NoWorker)?;
        let passed = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        let left = Span::from_micros(work.within.as_micros().saturating_sub(passed));
        let work = Transcode {
            within: left,
            ..work.clone()
        };
        own.transcode(channel, store, &work, cancelled).await
    }

    /// What there is to tell of them. Redis that does not answer tells nothing of workers.
    pub async fn view(&self) -> MakersView {
        let (slots, waiting) = match self.found() {
            Found::There(own) => (own.slots().count().get(), own.slots().waiting()),
            Found::NotLookedFor | Found::Missing { .. } | Found::Never(_) => (0, 0),
        };
        let orders = match &self.inner.orders {
            Some(orders) => orders.queue().look().await.ok(),
            None => None,
        };
        MakersView {
            slots,
            waiting,
            orders,
        }
    }

    fn found(&self) -> Found {
        self.known().clone()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Found> {
        self.inner
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
