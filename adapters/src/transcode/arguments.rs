//! What ffmpeg is told. Every word is ours, and every number comes out of a type.

use hls_relay_core::ladder::Preset;
use std::num::NonZeroUsize;

/// A peak of a rung's bit rate, as a part of it in percent.
const PEAK_PERCENT: u64 = 125;
/// How long a peak may last, as a part of a second at the rung's bit rate.
const BUFFER_PERCENT: u64 = 150;
/// Pictures of more pixels are refused before memory is taken for them: 4096×2304.
const MOST_PIXELS: u64 = 4_096 * 2_304;
/// Memory for what does not grow with the rungs, in bytes: 4096×2304 is decoded in less than half of it.
const MEMORY: u64 = 4 << 30;
/// And for each pixel of a rung, in bytes: a slow encoder with eight threads takes 360.
const MEMORY_OF_A_PIXEL: u64 = 640;
/// Packets that wait until the slowest of the encoders has begun.
const MOST_WAITING: usize = 10_000;

/// What is made of one segment.
#[derive(Clone, Debug)]
pub(super) struct Making {
    pub(super) rungs: Vec<Picture>,
    pub(super) preset: Preset,
    /// Where the segment's own pictures begin, in ticks of 90 kHz, where others are given before them.
    pub(super) from: Option<i64>,
    /// How many sounds are encoded, and at which bit rate.
    pub(super) sounds: usize,
    pub(super) sound_bitrate: u64,
    /// For each decoder and each encoder.
    pub(super) threads: NonZeroUsize,
}

/// The picture of a rung.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) height: u32,
    pub(super) bitrate: u64,
    /// How coarse it is ([`super::factors`]).
    pub(super) factor: f64,
}

/// A transport stream on standard input becomes one on standard output, with a stream for each rung in their
/// order, and then those of the sounds.
pub(super) fn ladder(making: &Making) -> Vec<String> {
    let threads = making.threads.to_string();
    let mut words = beginning();
    words.extend(said(&["-threads", &threads]));
    words.extend(said(&["-max_pixels", &MOST_PIXELS.to_string()]));
    words.extend(said(&["-f", "mpegts", "-copyts", "-i", "pipe:0"]));
    words.extend(said(&["-filter_complex", &filters(making)]));
    for (place, picture) in making.rungs.iter().enumerate() {
        let (peak, buffer) = (PEAK_PERCENT, BUFFER_PERCENT);
        words.extend(said(&["-map", &format!("[rung{place}]")]));
        for (option, value) in [
            ("crf", format!("{:.2}", picture.factor)),
            ("maxrate", (picture.bitrate * peak / 100).to_string()),
            ("bufsize", (picture.bitrate * buffer / 100).to_string()),
        ] {
            words.extend(said(&[&format!("-{option}:v:{place}"), &value]));
        }
    }
    // Times go through to the tick, and no picture is left out or shown twice.
    words.extend(said(&[
        "-fps_mode",
        "passthrough",
        "-enc_time_base:v",
        "1:90000",
    ]));
    words.extend(said(&["-c:v", "libx264", "-preset", preset(making.preset)]));
    words.extend(said(&["-threads:v", &threads, "-flags:v", "+cgop"]));
    for place in 0..making.sounds {
        words.extend(said(&["-map", &format!("0:a:{place}")]));
    }
    if making.sounds > 0 {
        words.extend(said(&[
            "-c:a",
            "aac",
            "-b:a",
            &making.sound_bitrate.to_string(),
        ]));
    }
    words.extend(ending());
    words
}

/// Fragmented MP4 on standard input becomes a transport stream with the same pictures and sounds.
pub(super) fn repack() -> Vec<String> {
    let mut words = beginning();
    words.extend(said(&["-f", "mp4", "-copyts", "-i", "pipe:0"]));
    words.extend(said(&["-map", "0:v:0?", "-map", "0:a?", "-c", "copy"]));
    words.extend(ending());
    words
}

/// The most memory that one of these may take, in bytes. A source cannot make a rung larger than it was ordered.
pub(super) fn memory(rungs: &[Picture]) -> u64 {
    // Of a wide shape.
    let pixels = |it: &Picture| (u64::from(it.height).pow(2) * 2).min(MOST_PIXELS);
    MEMORY + MEMORY_OF_A_PIXEL * rungs.iter().map(pixels).sum::<u64>()
}

fn filters(making: &Making) -> String {
    let mut filters = "[0:v:0]".to_owned();
    if let Some(from) = making.from {
        filters += &format!("trim=start_pts={from},");
    }
    // What is not interlaced passes untouched.
    filters += &format!("yadif=deint=interlaced,split={}", making.rungs.len());
    for place in 0..making.rungs.len() {
        filters += &format!("[whole{place}]");
    }
    for (place, Picture { height, .. }) in making.rungs.iter().enumerate() {
        // Not larger than the source, and even, as the colours of two lines are one.
        filters += &format!(
            ";[whole{place}]scale=-2:'min({height},trunc(ih/2)*2)',format=yuv420p[rung{place}]"
        );
    }
    filters
}

/// Nothing is asked, nothing but errors is said, and nothing is opened but the pipes.
fn beginning() -> Vec<String> {
    said(&[
        "-nostdin",
        "-hide_banner",
        "-loglevel",
        "error",
        "-protocol_whitelist",
        "pipe",
    ])
}

fn ending() -> Vec<String> {
    let mut words = said(&["-max_muxing_queue_size", &MOST_WAITING.to_string()]);
    // No delay is added to the times, and each frame of a sound stands alone.
    words.extend(said(&[
        "-muxdelay",
        "0",
        "-muxpreload",
        "0",
        "-pes_payload_size",
        "0",
    ]));
    words.extend(said(&[
        "-avoid_negative_ts",
        "disabled",
        "-f",
        "mpegts",
        "pipe:1",
    ]));
    words
}

fn said(words: &[&str]) -> Vec<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}

fn preset(preset: Preset) -> &'static str {
    match preset {
        Preset::Ultrafast => "ultrafast",
        Preset::Superfast => "superfast",
        Preset::Veryfast => "veryfast",
        Preset::Faster => "faster",
        Preset::Fast => "fast",
        Preset::Medium => "medium",
        Preset::Slow => "slow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_for_every_ladder_and_not_much_more() {
        let memory = |heights: &[u32]| {
            let picture = |height: &u32| Picture {
                height: *height,
                bitrate: 1,
                factor: 23.0,
            };
            memory(&heights.iter().map(picture).collect::<Vec<_>>()) >> 20
        };
        // Addresses in MiB that ffmpeg 5.1 took for four seconds of 2160p, preset slow, eight threads.
        for (heights, taken) in [
            ([2_160, 1_440, 1_080, 720, 540, 480, 360, 240], 7_308),
            ([2_160; 8], 22_945),
        ] {
            let most = memory(&heights);
            assert!(most > taken * 5 / 4 && most < taken * 9 / 4, "{most}");
        }
        assert!(memory(&[720, 480, 240]) < 6 << 10);
    }
}
