//! The rungs of real media, made by the real ffmpeg: each segment as the relay makes it, and what a strict
//! player, ffprobe and a decoder make of them together.

mod binary;
mod bounds;
mod exact;
mod media;
mod processes;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../players/ts.rs"]
mod ts;

use hls_relay::store::{Content, Store};
use hls_relay::transcode::{Slots, Tool, Transcoder};
use hls_relay_core::command::{Transcode, TranscodeInput, TranscodeRung};
use hls_relay_core::event::{TranscodeError, Transcoded};
use hls_relay_core::ids::{Epoch, Generation, ObjectName, RequestId};
use hls_relay_core::ladder::{Preset, RungAudio, VideoCodec};
use hls_relay_core::time::Span;
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

fn name(text: impl AsRef<str>) -> ObjectName {
    ObjectName(text.as_ref().into())
}

/// Work on the object `input` of a store: two small rungs, called by the input's name.
fn work(input: &str, before: Option<&str>, audio: RungAudio) -> Transcode {
    let rung = |height: u32, bitrate| TranscodeRung {
        name: format!("{height}p").into(),
        object: name(format!("{height}-{input}.ts")),
        height,
        bitrate,
    };
    let before = before.map(|it| TranscodeInput {
        object: name(it),
        init: None,
    });
    Transcode {
        request: RequestId(1),
        generation: Generation(1),
        epoch: Epoch(1),
        input: name(input),
        init: None,
        before,
        duration: Span::from_secs(1),
        rungs: vec![rung(128, 200_000), rung(96, 100_000)],
        codec: VideoCodec::H264,
        preset: Preset::Veryfast,
        audio,
        within: Span::from_secs(60),
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
