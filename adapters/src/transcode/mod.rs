//! The rungs of a segment, made by ffmpeg so that they fit to the source to the tick.
//!
//! One run of ffmpeg makes all rungs of one segment, which is decoded once. What stands around it is ours: the
//! segment is taken out of its container ([`demux`]), ffmpeg gets exactly what it shall decode ([`plan`]), and
//! what it makes is given the source's times ([`timing`], [`sound`]) and put into a container that joins any
//! other ([`mux`]). So no rung ever depends on how an earlier one was made, or whether it was.
//!
//! An encoder is bounded in everything ([`guard`], [`process`]), takes its turn ([`slots`]) and is killed with
//! whatever wanted its work.
//!
//! Who makes a segment is for [`makers`] to say: this process, or a worker ([`worker`]) that is given an order
//! ([`orders`]) through Redis ([`queue`]), and gets and gives the media through a folder that both see, or over
//! HTTP ([`carry`], [`exchange`]).

mod arguments;
mod carry;
#[cfg(test)]
mod day;
mod demux;
pub mod exchange;
mod factors;
mod guard;
pub mod makers;
mod media;
mod mux;
pub mod orders;
mod plan;
mod process;
pub mod queue;
mod slots;
mod sound;
mod timing;
mod tool;
pub mod worker;

pub use guard::become_encoder_if_asked;
pub use slots::{Slot, Slots};
pub use tool::{Tool, ToolError};

use crate::fetch;
use crate::store::{Content, Store};
use arguments::{Making, Picture};
use factors::Factors;
use hls_relay_core::command::{Transcode, TranscodeInput};
use hls_relay_core::event::{RungError, StoreError, StoredSegment, TranscodeError, Transcoded};
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::ids::ObjectName;
use hls_relay_core::ladder::RungAudio;
use hls_relay_core::time::Span;
use plan::{Plan, Rungs};
use process::{Job, RunError};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The most bytes of a segment that is transcoded: a minute at 8 Mbit/s. All of it is held in memory.
const MOST_BYTES: u64 = 64 << 20;

/// Makes rungs, as many segments at once as there are slots. A clone shares them.
#[derive(Clone, Debug)]
pub struct Transcoder {
    tool: Arc<Tool>,
    slots: Slots,
    factors: Arc<Factors>,
}

/// What was made of a segment and is not stored yet.
struct Made {
    input: Formats,
    frame_rate: Option<u32>,
    rungs: Rungs,
}

impl Transcoder {
    /// With this ffmpeg and these slots.
    pub fn new(tool: Tool, slots: Slots) -> Self {
        Self {
            tool: Arc::new(tool),
            slots,
            factors: Arc::default(),
        }
    }

    /// With the ffmpeg of this machine, if it can make ladders, for so many segments at once. Where nobody says
    /// how many, half of the cores transcode a segment each, with two threads for each picture.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub async fn of_this_machine(slots: Option<NonZeroUsize>) -> Result<Self, ToolError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let usual = NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN);
        let slots = slots.unwrap_or(usual);
        let tool = Tool::of_this_machine(slots).map_err(ToolError::Start)?;
        let version = tool.check().await?;
        tracing::info!(ffmpeg = version, slots, "ladders can be made");
        Ok(Self::new(tool, Slots::new(slots)))
    }

    /// The slots, which all channels of the node share.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Makes the rungs of a segment in a channel's store, and stores them there. Once `cancelled` is, ffmpeg
    /// is killed at once and nothing more is stored.
    ///
    /// # Errors
    /// Why there is no rung at all. What of them was stored before stays.
    pub async fn transcode(
        &self,
        channel: &Arc<str>,
        store: &Store,
        work: &Transcode,
        cancelled: &CancellationToken,
    ) -> Result<Transcoded, TranscodeError> {
        let asked = Instant::now();
        let within = Duration::from_micros(work.within.as_micros());
        let in_time = async {
            let turn = timeout(within, self.slots.turn(channel)).await;
            let slot = turn.map_err(|_| self.all_busy())?;
            let (waited, begun) = (asked.elapsed(), Instant::now());
            let left = within.saturating_sub(waited);
            let made = timeout(left, self.make(channel, store, work)).await;
            let made = made.map_err(|_| TranscodeError::TooSlow(work.within))??;
            drop(slot);
            Ok((made, waited, begun))
        };
        let in_time = cancelled.run_until_cancelled(in_time);
        let (made, waited, begun) = in_time.await.ok_or(TranscodeError::Cancelled)??;
        let mut rungs = Vec::new();
        for (rung, outcome) in work.rungs.iter().zip(made.rungs) {
            // What was begun is finished: a cancelled object must not turn up after all.
            if cancelled.is_cancelled() {
                return Err(TranscodeError::Cancelled);
            }
            rungs.push(match outcome {
                Ok(it) => stored(store, &rung.object, &it.bytes, made.frame_rate).await,
                Err(error) => Err(error),
            });
        }
        Ok(Transcoded {
            input: made.input,
            rungs,
            waited: span(waited),
            took: span(begun.elapsed()),
        })
    }

    async fn make(
        &self,
        channel: &Arc<str>,
        store: &Store,
        work: &Transcode,
    ) -> Result<Made, TranscodeError> {
        let source = self.media(store, &work.input, work.init.as_ref()).await?;
        let before = match &work.before {
            Some(TranscodeInput { object, init }) => {
                // Without it the segment is made as if it were the first.
                self.media(store, object, init.as_ref()).await.ok()
            }
            None => None,
        };
        let audio = work.audio;
        let planned = on_a_thread(move || {
            let (plan, given) = Plan::new(&source, before.as_deref(), audio)?;
            Ok((plan, given, fetch::formats_of(&source)))
        });
        let (plan, given, formats) = planned.await?;
        let pictures = work.rungs.iter().map(|rung| Picture {
            height: rung.height,
            bitrate: rung.bitrate,
            factor: self.factors.get(channel, rung),
        });
        let making = Making {
            rungs: pictures.collect(),
            preset: work.preset,
            from: plan.from,
            sounds: plan.sounds(),
            sound_bitrate: match audio {
                RungAudio::Aac { bitrate } => bitrate,
                RungAudio::Copy => 0,
            },
            threads: self.tool.threads,
        };
        let job = Job {
            arguments: arguments::ladder(&making),
            input: given,
            most: plan.most_bytes(&making),
            memory: arguments::memory(&making.rungs),
        };
        let made = process::run(&self.tool, job).await.map_err(failure)?;
        let frame_rate = plan.frame_rate();
        let rungs = work.rungs.clone();
        let rungs = on_a_thread(move || plan.rungs(&made, &rungs)).await?;
        for ((rung, picture), made) in work.rungs.iter().zip(&making.rungs).zip(&rungs) {
            if let Ok(made) = made {
                let factors = &self.factors;
                factors.learn(channel, rung, picture.factor, made.bitrate);
            }
        }
        let input = Formats {
            frame_rate,
            ..formats.unwrap_or_default()
        };
        Ok(Made {
            input,
            frame_rate,
            rungs,
        })
    }

    /// A stored segment as a transport stream.
    async fn media(
        &self,
        store: &Store,
        object: &ObjectName,
        init: Option<&ObjectName>,
    ) -> Result<Vec<u8>, TranscodeError> {
        let bytes = read(store, object).await?;
        if crate::mpegts::is_one(&bytes) {
            return Ok(bytes);
        }
        let Some(init) = init else {
            let words = "it is neither a transport stream nor fragmented MP4 with an init section";
            return Err(TranscodeError::Unsupported(words.into()));
        };
        let init = read(store, init).await?;
        can_be_repacked(&init)?;
        let whole = [init, bytes].concat();
        let job = Job {
            arguments: arguments::repack(),
            // Its headers are of the same size at most.
            most: 2 * whole.len() + (1 << 20),
            input: whole,
            memory: arguments::memory(&[]),
        };
        process::run(&self.tool, job).await.map_err(failure)
    }

    fn all_busy(&self) -> TranscodeError {
        let (count, waiting) = (self.slots.count(), self.slots.waiting());
        let words = format!("all {count} slots are busy, and {waiting} segments wait for one");
        TranscodeError::NoWorker(words.into())
    }
}

/// A transport stream has no place for some of what is in fragmented MP4, and would lack it without a word.
fn can_be_repacked(init: &[u8]) -> Result<(), TranscodeError> {
    /// Texts are left out: rungs have pictures and sound.
    const KNOWN: [&str; 10] = [
        "avc1", "avc3", "hvc1", "hev1", "mp4a", "ac-3", "ec-3", "Opus", "wvtt", "stpp",
    ];
    let refused = |name: &str| {
        let words = format!("rungs are transport streams, and {name} has no place in one");
        Err(TranscodeError::Unsupported(words.into()))
    };
    let formats = match fetch::formats_of(init) {
        Ok(formats) => formats,
        Err(Unreadable::Format(name)) => return refused(&name),
        // ffmpeg may make more of it.
        Err(_) => return Ok(()),
    };
    let known = |it: &&Arc<str>| KNOWN.iter().any(|name| it.starts_with(name));
    match formats.codecs.iter().find(|it| !known(it)) {
        Some(name) => refused(name),
        None => Ok(()),
    }
}

async fn stored(
    store: &Store,
    object: &ObjectName,
    bytes: &[u8],
    frame_rate: Option<u32>,
) -> Result<StoredSegment, RungError> {
    let formats = fetch::formats_of(bytes).map(|it| Formats { frame_rate, ..it });
    let store = async {
        let mut writer = store.create(object)?;
        writer.expect(bytes.len() as u64);
        writer.write(bytes).await?;
        writer.commit().await
    };
    let stored = store.await.map_err(RungError::Store)?;
    Ok(StoredSegment {
        formats: Some(formats),
        ..stored
    })
}

async fn read(store: &Store, object: &ObjectName) -> Result<Vec<u8>, TranscodeError> {
    let failed = |words: String| TranscodeError::Store(StoreError::Failed(words.into()));
    let found = store.get(&object.0);
    let found = found.ok_or_else(|| failed(format!("{} is not there", object.0)))?;
    if found.length > MOST_BYTES {
        let words = format!(
            "{} bytes, and at most {MOST_BYTES} are transcoded",
            found.length
        );
        return Err(TranscodeError::Unsupported(words.into()));
    }
    match found.content {
        Content::Memory(bytes) => Ok(bytes.into()),
        Content::File(path) => {
            let read = tokio::fs::read(path).await;
            read.map_err(|error| failed(format!("{}: {error}", object.0)))
        }
    }
}

fn failure(error: RunError) -> TranscodeError {
    let words = error.to_string().into();
    match error {
        RunError::Start(_) => TranscodeError::NoWorker(words),
        RunError::Failed { .. } => TranscodeError::Undecodable(words),
        RunError::Ended { .. } | RunError::Pipe(_) => TranscodeError::WorkerLost(words),
        RunError::TooLarge(_) => TranscodeError::Unsupported(words),
    }
}

/// Work that takes milliseconds is kept from the thread that serves viewers.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TranscodeError> + Send + 'static,
) -> Result<T, TranscodeError> {
    let broken = |_| TranscodeError::Undecodable("a mistake of our own; the log has it".into());
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

fn span(time: Duration) -> Span {
    Span::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
