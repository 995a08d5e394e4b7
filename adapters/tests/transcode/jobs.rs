//! What makers of rungs are asked for.

use crate::media::Recipe;
use hls_relay_core::command::{Transcode, TranscodeInput, TranscodeRung};
use hls_relay_core::ids::{Epoch, Generation, ObjectName, RequestId};
use hls_relay_core::ladder::{Preset, RungAudio, VideoCodec};
use hls_relay_core::time::Span;

/// Found in the command line of an ffmpeg that was given a rung with this peak.
pub(crate) const PEAK_PERCENT: u64 = 125;

pub(crate) fn name(text: impl AsRef<str>) -> ObjectName {
    ObjectName(text.as_ref().into())
}

/// Rungs (height, bit rate) of the object `input` of a store, called by its name. They are of use for half a
/// minute, on machines that do other things.
pub(crate) fn job(input: &str, before: Option<&str>, rungs: &[(u32, u64)]) -> Transcode {
    let rungs = rungs.iter().map(|(height, bitrate)| TranscodeRung {
        name: format!("{height}p").into(),
        object: name(format!("{height}-{input}.ts")),
        height: *height,
        bitrate: *bitrate,
    });
    Transcode {
        request: RequestId(1),
        generation: Generation(1),
        epoch: Epoch(1),
        input: name(input),
        init: None,
        before: before.map(|it| TranscodeInput {
            object: name(it),
            init: None,
        }),
        duration: Span::from_secs(4),
        rungs: rungs.collect(),
        codec: VideoCodec::H264,
        preset: Preset::Ultrafast,
        audio: RungAudio::Copy,
        within: Span::from_secs(30),
    }
}

/// Work that takes many seconds on an object called `long`, with that object. Its ffmpeg is found by the peak of
/// its bit rate.
pub(crate) fn long_job(peak: u64) -> (Vec<u8>, Transcode) {
    let recipe = Recipe {
        rate: "25",
        samples: 0,
        encode: "-c:v libx264 -preset ultrafast -g 25",
        begins: "0",
        hls: "",
    };
    let bytes = recipe.make(20).segments.concat();
    let job = Transcode {
        preset: Preset::Slow,
        // Workers die over it meanwhile, on a busy machine.
        within: Span::from_secs(120),
        ..job("long", None, &[(128, peak * 100 / PEAK_PERCENT)])
    };
    (bytes, job)
}
