//! The rungs of real media, made by the real ffmpeg: each segment as the relay makes it, and what a strict
//! player, ffprobe and a decoder make of them together.

mod binary;
mod bounds;
mod exact;
mod fields;
mod jobs;
mod media;
mod processes;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../players/ts.rs"]
mod ts;

use hls_relay::store::{Content, Store};
use hls_relay::transcode::{Slots, Tool, Transcoder};
use hls_relay_core::command::Transcode;
use hls_relay_core::event::{TranscodeError, Transcoded};
use hls_relay_core::ids::ObjectName;
use hls_relay_core::ladder::{Preset, RungAudio};
use hls_relay_core::time::Span;
use jobs::{job, name};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// This machine's ffmpeg, guarded by the program under test.
fn tool() -> Tool {
    Tool {
        program: "ffmpeg".into(),
        guard: PathBuf::from(env!("CARGO_BIN_EXE_hls-relay")),
        threads: NonZeroUsize::MIN,
    }
}

fn transcoder(slots: usize) -> Transcoder {
    Transcoder::new(tool(), Slots::new(NonZeroUsize::new(slots).unwrap()))
}

/// Two small rungs of the object `input` of a store.
fn work(input: &str, before: Option<&str>, audio: RungAudio) -> Transcode {
    Transcode {
        preset: Preset::Veryfast,
        audio,
        within: Span::from_secs(60),
        ..job(input, before, &[(128, 200_000), (96, 100_000)])
    }
}

async fn put(store: &Store, object: &str, bytes: &[u8]) {
    let mut writer = store.create(&name(object)).unwrap();
    writer.write(bytes).await.unwrap();
    writer.commit().await.unwrap();
}

fn get(store: &Store, object: &ObjectName) -> Option<Vec<u8>> {
    store.get(&object.0).map(|object| match object.content {
        Content::Memory(bytes) => bytes.to_vec(),
        Content::File(path) => std::fs::read(path).unwrap(),
    })
}

async fn transcode(
    transcoder: &Transcoder,
    store: &Store,
    work: &Transcode,
) -> Result<Transcoded, TranscodeError> {
    let (channel, cancelled): (Arc<str>, _) = ("test".into(), CancellationToken::new());
    transcoder
        .transcode(&channel, store, work, &cancelled)
        .await
}
