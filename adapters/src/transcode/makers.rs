//! Who makes the rungs of a process: workers, where any are there, or else the process itself.

use super::Transcoder;
use super::orders::{Orders, Untaken};
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
    Missing {
        why: Arc<str>,
        since: Instant,
        /// Somebody has wanted it.
        needed: bool,
    },
    Never(Arc<str>),
}

/// What there is to tell of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MakersView {
    /// How many segments this process transcodes at once.
    pub slots: usize,
    /// How many wait for one.
    pub waiting: usize,
    /// Why nobody makes any rungs, and what to do.
    pub nobody: Option<Arc<str>>,
    /// What waits for workers.
    pub orders: Option<Waiting>,
}

/// Neither workers nor this process: of workers nothing where there is no way to any.
fn nobody(untaken: Option<&Untaken>, own: Arc<str>) -> Arc<str> {
    match untaken {
        Some(untaken) => format!("{untaken}; {own}").into(),
        None => own,
    }
}

impl Makers {
    /// This machine's ffmpeg, which is looked for once it is wanted, and workers where there is a way to them.
    pub fn new(slots: OwnSlots, orders: Option<Orders>) -> Self {
        let found = match (slots, &orders) {
            (OwnSlots::OfCores | OwnSlots::Count(_), _) => Found::NotLookedFor,
            (OwnSlots::None, Some(_)) => {
                Found::Never("this node makes no rungs itself (--slots 0)".into())
            }
            (OwnSlots::None, None) => Found::Never(
                "this node makes no rungs (--slots 0), and has no workers without --redis".into(),
            ),
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

    /// Looks for this machine's ffmpeg. Where it is missing, that is logged once: as an error where it is `needed`.
    ///
    /// # Errors
    /// Why it makes no rungs, in words, and what to do.
    pub async fn look(&self, needed: bool) -> Result<Transcoder, Arc<str>> {
        // One looks, and the others wait for what it finds.
        let _one = self.inner.own.lock().await;
        let slots = match self.found() {
            Found::There(transcoder) => return Ok(transcoder),
            Found::Never(why) => return Err(why),
            Found::Missing { why, since, .. } if since.elapsed() < LOOK_AGAIN => {
                self.misses(why.clone(), since, needed);
                return Err(why);
            }
            Found::Missing { .. } | Found::NotLookedFor => match self.inner.slots {
                OwnSlots::Count(count) => Some(count),
                OwnSlots::OfCores | OwnSlots::None => None,
            },
        };
        let found = Transcoder::of_this_machine(slots).await;
        let found = found.map_err(|error: ToolError| Arc::<str>::from(error.to_string()));
        match &found {
            Ok(transcoder) => *self.known() = Found::There(transcoder.clone()),
            Err(why) => self.misses(why.clone(), Instant::now(), needed),
        }
        found
    }

    /// It is not there; said where that is new, or where it is needed for the first time.
    fn misses(&self, why: Arc<str>, since: Instant, needed: bool) {
        let mut known = self.known();
        let was_needed = match &*known {
            Found::Missing {
                why: before,
                needed,
                ..
            } if *before == why => Some(*needed),
            Found::Missing { .. } | Found::NotLookedFor | Found::There(_) | Found::Never(_) => None,
        };
        match (needed, was_needed, &self.inner.orders) {
            (true, Some(true), _) | (false, Some(_), _) => {}
            (false, None, _) => tracing::info!("{why}; channels without a ladder do not need it"),
            (true, _, None) => tracing::error!("{why}; until it is there rungs are gaps"),
            (true, _, Some(_)) => {
                tracing::error!("{why}; until it is there only workers make rungs");
            }
        }
        let needed = needed || was_needed == Some(true);
        *known = Found::Missing { why, since, needed };
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
        let untaken = match &self.inner.orders {
            Some(orders) => match orders.make(channel, store, work, cancelled).await {
                Ok(outcome) => return outcome,
                Err(untaken) => Some(untaken),
            },
            None => None,
        };
        let within = Duration::from_micros(work.within.as_micros());
        let looking = tokio::time::timeout(within, self.look(true));
        let looked = cancelled.run_until_cancelled(looking).await;
        let looked = looked.ok_or(TranscodeError::Cancelled)?;
        let found = looked.map_err(|_| TranscodeError::TooSlow(work.within))?;
        let own = found.map_err(|why| TranscodeError::NoWorker(nobody(untaken.as_ref(), why)))?;
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
        let (slots, waiting, missing) = match self.found() {
            Found::There(own) => (own.slots().count().get(), own.slots().waiting(), None),
            Found::NotLookedFor => (0, 0, None),
            Found::Missing { why, .. } | Found::Never(why) => (0, 0, Some(why)),
        };
        let asked = match &self.inner.orders {
            Some(orders) => Some(orders.queue().look().await),
            None => None,
        };
        let (orders, untaken) = match asked {
            None => (None, None),
            Some(Ok(there)) if there.workers == 0 => (Some(there), Some(Untaken::Nobody)),
            Some(Ok(there)) => (Some(there), None),
            Some(Err(error)) => (None, Some(Untaken::Unreachable(error.to_string().into()))),
        };
        let by_workers = orders.is_some() && untaken.is_none();
        let missing = missing.filter(|_| !by_workers);
        MakersView {
            slots,
            waiting,
            nobody: missing.map(|why| nobody(untaken.as_ref(), why)),
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
