//! What it costs to make a ladder segment by segment: against one ffmpeg that makes the same ladder of the same
//! source without ever stopping. `cargo bench -p hls-relay --bench ladder [-- SECONDS]`
//!
//! 1280×720 at 25 pictures a second, segments of 4 s, three rungs. Processor time is that of all processes
//! together, ours included. The second one is told the bit rates that the first has come to, so that the
//! pictures of both can be compared (PSNR against the source). Then the same source goes live, to see what the
//! ladder adds to the delay ([`delay`]). Where something is not as it should be the exit code is 1.

#[path = "../../tests/support/binary.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod binary;
mod delay;
#[path = "../../tests/support/live_segments.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod live_segments;

use hls_relay::store::{Content, Store};
use hls_relay::transcode::{Slots, Tool, Transcoder};
use hls_relay_core::command::{Transcode, TranscodeInput, TranscodeRung};
use hls_relay_core::ids::{Epoch, Generation, ObjectName, RequestId};
use hls_relay_core::ladder::{Preset, RungAudio, VideoCodec};
use hls_relay_core::time::Span;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SEGMENT_SECONDS: usize = 4;
const RATE: usize = 25;
const RUNGS: [(u32, u64); 3] = [(720, 2_500_000), (480, 1_200_000), (240, 400_000)];
/// Something of everything: edges, text and slopes that turn, and a little grain.
const PICTURE: &str = "testsrc2=size=1280x720:rate=25,rotate=0.05*t,noise=alls=4:allf=t";

/// Processor time of both, and what the pictures of ours may be worse, in dB.
const MOST_RATIO: f64 = 1.15;
const MOST_LOSS: f64 = 0.5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::process::ExitCode {
    let seconds: usize = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .next_back()
        .unwrap_or(40);
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    eprintln!("a source of {seconds} s …");
    make_source(folder, seconds);

    let start = (processor_ticks(), Instant::now());
    let waits = by_segments(folder, seconds / SEGMENT_SECONDS).await;
    let segments = (processor_ticks() - start.0, start.1.elapsed());
    let rates = RUNGS.map(|(height, _)| bit_rate(&folder.join(format!("{height}.ts")), seconds));

    let start = (processor_ticks(), Instant::now());
    without_a_stop(folder, &rates);
    let whole = (processor_ticks() - start.0, start.1.elapsed());

    println!("processor time, in hundredths of a second:");
    println!(
        "  segment by segment  {:6}   in {:.1?}",
        segments.0, segments.1
    );
    println!("  without a stop      {:6}   in {:.1?}", whole.0, whole.1);
    let ratio = segments.0 as f64 / whole.0 as f64;
    let mut holds = ratio <= MOST_RATIO;
    println!("  ratio               {ratio:6.3}   (at most {MOST_RATIO} is wanted)");
    println!("time for a segment of {SEGMENT_SECONDS} s: {waits:.2?}");
    for (place, (height, _)) in RUNGS.into_iter().enumerate() {
        let of = |name: &str| {
            let file = folder.join(name);
            (psnr(folder, &file, height), bit_rate(&file, seconds))
        };
        let (ours, rate) = of(&format!("{height}.ts"));
        let (theirs, their_rate) = of(&format!("whole-{place}.ts"));
        println!(
            "{height}p: {ours:.2} dB at {} kbit/s, {theirs:.2} dB at {} kbit/s: {:+.2} dB (at least -{MOST_LOSS:.2} is wanted)",
            rate / 1_000,
            their_rate / 1_000,
            ours - theirs
        );
        holds &= theirs - ours <= MOST_LOSS;
    }
    holds &= delay::measure(folder, seconds / SEGMENT_SECONDS).await;
    match holds {
        true => std::process::ExitCode::SUCCESS,
        false => std::process::ExitCode::FAILURE,
    }
}

fn make_source(folder: &Path, seconds: usize) {
    let length = seconds.to_string();
    let gop = (SEGMENT_SECONDS * RATE).to_string();
    ffmpeg(
        folder,
        &[
            "-f",
            "lavfi",
            "-i",
            PICTURE,
            "-f",
            "lavfi",
            "-i",
            "sine=440:r=48000",
            "-t",
            &length,
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-b:v",
            "5M",
            "-bf",
            "3",
            "-g",
            &gop,
            "-keyint_min",
            &gop,
            "-sc_threshold",
            "0",
            "-c:a",
            "aac",
            "-f",
            "hls",
            "-hls_time",
            "4",
            "-hls_list_size",
            "0",
            "-hls_segment_filename",
            "%d.ts",
            "index.m3u8",
        ],
    );
    let segments = seconds / SEGMENT_SECONDS;
    let whole = (0..segments).flat_map(|it| read(folder, &format!("{it}.ts")));
    fs::write(folder.join("whole.ts"), whole.collect::<Vec<_>>()).expect("room");
}

/// Gives how long the segments took, each from its being stored to its rungs being stored.
async fn by_segments(folder: &Path, segments: usize) -> Vec<f64> {
    let slots = NonZeroUsize::MIN;
    let tool = Tool {
        guard: env!("CARGO_BIN_EXE_hls-relay").into(),
        ..Tool::of_this_machine(slots).expect("our own program")
    };
    println!("{} threads for each encoder", tool.threads);
    let (store, transcoder) = (Store::memory(), Transcoder::new(tool, Slots::new(slots)));
    let mut rungs = RUNGS.map(|_| Vec::new());
    let mut waits = Vec::new();
    let (channel, cancelled): (Arc<str>, _) = ("bench".into(), CancellationToken::new());
    for index in 0..segments {
        let mut writer = store.create(&name(index, "ts")).expect("a name");
        let bytes = read(folder, &format!("{index}.ts"));
        writer.write(&bytes).await.expect("room");
        writer.commit().await.expect("room");
        let work = work(index);
        let start = Instant::now();
        let outcome = transcoder.transcode(&channel, &store, &work, &cancelled);
        outcome.await.expect("its rungs");
        waits.push(start.elapsed().as_secs_f64());
        for (rung, made) in work.rungs.iter().zip(&mut rungs) {
            if let Some(Content::Memory(bytes)) = store.get(&rung.object.0).map(|it| it.content) {
                made.extend_from_slice(&bytes);
            }
        }
        // As the relay does, but for the one before, once its time has come.
        let mut old: Vec<_> = work.rungs.into_iter().map(|it| it.object).collect();
        old.extend(index.checked_sub(1).map(|it| name(it, "ts")));
        store.delete(old).await.expect("it can delete");
    }
    for ((height, _), made) in RUNGS.into_iter().zip(rungs) {
        fs::write(folder.join(format!("{height}.ts")), made).expect("room");
    }
    waits
}

fn work(index: usize) -> Transcode {
    let rung = |(height, bitrate): (u32, u64)| TranscodeRung {
        name: format!("{height}p").into(),
        object: name(index, &format!("{height}.ts")),
        height,
        bitrate,
    };
    Transcode {
        request: RequestId(1),
        generation: Generation(1),
        epoch: Epoch(1),
        input: name(index, "ts"),
        init: None,
        before: index.checked_sub(1).map(|before| TranscodeInput {
            object: name(before, "ts"),
            init: None,
        }),
        duration: Span::from_secs(4),
        rungs: RUNGS.into_iter().map(rung).collect(),
        codec: VideoCodec::H264,
        preset: Preset::Veryfast,
        audio: RungAudio::Copy,
        within: Span::from_secs(60),
    }
}

/// The same settings, with a key picture wherever a segment begins.
fn without_a_stop(folder: &Path, rates: &[u64; 3]) {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = cores.min(8).to_string();
    let gop = (SEGMENT_SECONDS * RATE).to_string();
    let scaled = RUNGS.iter().enumerate().map(|(place, (height, _))| {
        format!(";[w{place}]scale=-2:{height},format=yuv420p[r{place}]")
    });
    let filters = format!("[0:v:0]split=3[w0][w1][w2]{}", scaled.collect::<String>());
    let mut words = vec![
        "-threads".to_owned(),
        threads.clone(),
        "-i".into(),
        "whole.ts".into(),
        "-filter_complex".into(),
        filters,
    ];
    for (place, rate) in rates.iter().enumerate() {
        let (peak, buffer) = (rate * 125 / 100, rate * 150 / 100);
        words.extend(
            format!(
                "-map [r{place}] -map 0:a -c:v libx264 -preset veryfast -threads:v {threads} -b:v {rate} -maxrate {peak} \
                 -bufsize {buffer} -g {gop} -keyint_min {gop} -sc_threshold 0 -c:a copy -f mpegts whole-{place}.ts"
            )
            .split(' ')
            .map(str::to_owned),
        );
    }
    ffmpeg(
        folder,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

fn psnr(folder: &Path, file: &Path, height: u32) -> f64 {
    let filters = format!(
        "[0:v:0]setpts=N[made];[1:v:0]scale=-2:{height},format=yuv420p,setpts=N[source];[made][source]psnr"
    );
    let said = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-i"])
        .arg(file)
        .args([
            "-i",
            "whole.ts",
            "-filter_complex",
            &filters,
            "-f",
            "null",
            "-",
        ])
        .current_dir(folder)
        .output()
        .expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let average = said
        .split("average:")
        .nth(1)
        .and_then(|it| it.split(' ').next());
    average
        .and_then(|it| it.parse().ok())
        .unwrap_or_else(|| panic!("{said}"))
}

/// Of the pictures alone.
fn bit_rate(file: &Path, seconds: usize) -> u64 {
    let said = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "packet=size",
        ])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let sizes = said
        .lines()
        .filter_map(|it| it.trim_end_matches(',').parse::<u64>().ok());
    sizes.sum::<u64>() * 8 / seconds as u64
}

/// Of this process and of all that it has started and waited for, in hundredths of a second.
fn processor_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = behind_name.split_whitespace().skip(11).take(4);
    fields.filter_map(|it| it.parse::<u64>().ok()).sum()
}

fn name(index: usize, ending: &str) -> ObjectName {
    ObjectName(format!("{index}.{ending}").into())
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).expect("it was made")
}

fn ffmpeg(folder: &Path, words: &[&str]) {
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(words)
        .current_dir(folder)
        .status();
    assert!(run.expect("ffmpeg runs").success(), "{words:?}");
}
