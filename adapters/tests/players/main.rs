//! The demo, relayed by the real binary, in real players for a minute: hls.js in a browser, ffmpeg,
//! ffprobe, and a strict viewer who keeps every byte. They watch the same minute together; each test
//! looks at its own part of it.

#[path = "../stage/mod.rs"]
mod stage;

mod browser;
mod ended;
mod ffmpeg;
mod gstreamer;
mod kinds;
mod ladder;
mod presentation;
mod resized;
mod ts;

use browser::Report;
use ffmpeg::Pulled;
use stage::channel::Stage;
use stage::relay::{Relay, any_address, command};
use stage::viewer::{Viewer, Watched};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use ts::Demuxed;

/// How long all of them watch.
const MINUTE: Duration = Duration::from_secs(60);

/// What came of the minute.
struct Watching {
    report: Report,
    pulled: Pulled,
    watched: Watched,
    media: BTreeMap<u64, Vec<u8>>,
}

static DEMO: LazyLock<Watching> = LazyLock::new(|| {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let zero = Instant::now();
        let mut demo = command();
        demo.args(["demo", "--listen", &any_address().to_string()]);
        let mut relay = Relay::start_command(demo, zero);
        let viewer = Viewer::start(relay.url.clone(), zero);
        viewer.keep_media();
        while viewer.watched().versions.is_empty() {
            assert!(
                zero.elapsed() < Duration::from_secs(20),
                "{:#?}",
                relay.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let url = relay.url.clone();
        let pulling = tokio::task::spawn_blocking(move || ffmpeg::pull(&url, MINUTE));
        let report = browser::play(&relay.url, MINUTE).await;
        let pulled = pulling.await.unwrap();
        let media = viewer.media();
        let watched = viewer.finish().await;
        let status = tokio::task::spawn_blocking(move || relay.end())
            .await
            .unwrap();
        assert!(status.success(), "the demo ended with {status}");
        Watching {
            report,
            pulled,
            watched,
            media,
        }
    })
});

#[test]
fn hls_js_plays_for_a_minute_without_error_or_stall() {
    let report = &DEMO.report;
    let began = report
        .began
        .unwrap_or_else(|| panic!("it never began: {report:#?}"));
    let (first, last) = (
        &report.samples[0],
        &report.samples[report.samples.len() - 1],
    );
    let (watched, played) = (last.at - first.at, last.current_time - first.current_time);
    println!(
        "hls.js {}: {played:.1} s played in {watched:.1} s, {} frames, {} dropped, {} errors",
        report.version,
        last.frames,
        last.dropped,
        report.errors.len()
    );
    assert!(report.errors.is_empty(), "{:#?}", report.errors);
    let later: Vec<_> = report
        .events
        .iter()
        .filter(|event| event.at > began)
        .collect();
    for event in &report.events {
        println!(
            "at {:.2} s, {:.2} s into it: {}",
            event.at, event.current_time, event.name
        );
    }
    assert!(later.is_empty(), "it stalled: {later:#?}");
    assert!(
        played >= 55.0,
        "{played} s played in {watched} s: {:#?}",
        report.samples
    );
    // 25 frames a second; what the decoder drops on a busy machine is counted with them.
    assert!(last.frames >= 25 * 55, "{last:?}");
    for pair in report.samples.windows(5) {
        let (before, after) = (&pair[0], &pair[4]);
        assert!(
            after.frames > before.frames,
            "no new picture: {before:?} {after:?}"
        );
        assert!(
            after.audio_bytes > before.audio_bytes || after.at - before.at < 2.5,
            "no new sound: {before:?} {after:?}"
        );
    }
    assert!(last.audio_bytes > first.audio_bytes && last.video_bytes > first.video_bytes);
}

#[test]
fn ffmpeg_pulls_a_minute_without_a_warning() {
    let pulled = &DEMO.pulled;
    assert!(
        pulled.status.success(),
        "{}: {}",
        pulled.status,
        pulled.said
    );
    assert_eq!(pulled.said, "", "ffmpeg has something to say");
    pulled.packets.check_continuous("S-20: pulled by ffmpeg");
    for (stream, length) in pulled.packets.lengths() {
        assert!(length >= 59.0, "{length} s of stream {stream}");
    }
}

/// What a viewer fetched, as one file: decoding times go on without a gap from the first packet to the
/// last, in both streams, and ffprobe has nothing to say.
#[test]
fn s_20_ffprobe_finds_no_break_in_what_was_captured() {
    let bytes: Vec<u8> = DEMO.media.values().flatten().copied().collect();
    let captured = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(captured.path(), bytes).unwrap();
    let probed = ffmpeg::probe(captured.path());
    assert_eq!(probed.said, "", "ffprobe has something to say");
    assert_eq!(probed.packets.kinds(), ["audio", "video"]);
    probed.packets.check_continuous("S-20: captured");
}

#[test]
fn s_20_continuity_counters_and_timestamps_go_on_between_segments() {
    let segments: Vec<_> = DEMO
        .media
        .iter()
        .map(|(number, bytes)| {
            (
                *number,
                Demuxed::read(bytes).unwrap_or_else(|why| panic!("segment {number}: {why}")),
            )
        })
        .collect();
    assert!(
        segments.len() >= 30,
        "{} segments in a minute",
        segments.len()
    );
    for pair in segments.windows(2) {
        let [(before, first), (number, second)] = pair else {
            unreachable!()
        };
        assert_eq!(before + 1, *number, "a segment was never fetched");
        let breaks = first.breaks(second);
        assert!(breaks.is_empty(), "S-20: segment {number}: {breaks:?}");
    }
    assert!(
        DEMO.watched
            .segments
            .values()
            .all(|seen| !seen.entry.discontinuity)
    );
}

/// Every run of segments: the sum of its EXTINFs is the time that its media takes, within one frame.
#[test]
fn s_28_durations_add_up_to_the_media() {
    const FRAME: i64 = 3_600;
    let video = |bytes: &Vec<u8>| {
        let demuxed = Demuxed::read(bytes).unwrap();
        let (pid, _) = demuxed
            .tracks
            .iter()
            .find(|(_, kind)| **kind == ts::H264)
            .expect("H.264");
        demuxed.times[pid][0]
    };
    let starts: Vec<_> = DEMO
        .media
        .iter()
        .map(|(number, bytes)| (*number, video(bytes)))
        .collect();
    for (index, (from, start)) in starts.iter().enumerate() {
        let mut sum = Duration::ZERO;
        for (until, end) in &starts[index + 1..] {
            sum += DEMO.watched.segments[&(until - 1)].entry.duration;
            let stated = i64::try_from(sum.as_micros()).unwrap() * 9 / 100;
            let real = ts::wrapped(end - start);
            assert!(
                (stated - real).abs() <= FRAME,
                "S-28: {from} to {until}: {stated} and {real} ticks"
            );
        }
    }
}

/// The strict viewer of the fault tests (S-02, S-04 to S-07, S-09, S-11, S-17).
#[test]
fn a_strict_viewer_has_no_complaint() {
    let complaints = &DEMO.watched.complaints;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// S-19, with the demuxer as judge: the tag stands where the media breaks and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn s_19_discontinuity_stands_where_the_media_breaks_and_only_there() {
    use hls_relay_sim::origin::{EncoderFault, Names};
    let mut stage = Stage::open(stage::channel::spec()).await;
    stage.viewer.keep_media();
    stage.steady().await;
    let ticks = 90_000 * 5_000;
    stage
        .strike(EncoderFault::DiscontinuityWithTimestampJump { ticks }, 6)
        .await;
    let restart = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::New,
    };
    stage.strike(restart, 10).await;
    let media = stage.viewer.media();
    let mut story = stage.close().await;
    let segments: Vec<_> = media
        .iter()
        .map(|(number, bytes)| (number, Demuxed::read(bytes).unwrap()))
        .collect();
    let mut breaks = 0;
    for pair in segments.windows(2) {
        let said = story.watched.segments[pair[1].0].entry.discontinuity;
        let found = pair[0].1.breaks(&pair[1].1);
        breaks += usize::from(said);
        story.check(
            said != found.is_empty(),
            format!("S-19: before {}: said {said}, found {found:?}", pair[1].0),
        );
    }
    story.check(breaks == 2, format!("{breaks} discontinuities"));
    story.end();
}
