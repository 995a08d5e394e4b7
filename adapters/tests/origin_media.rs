//! The endless stream made out of the loop, as ffprobe sees it.

use hls_relay_core::time::Span;
use hls_relay_sim::origin::media::IDR_TICKS;
use hls_relay_sim::origin::ts::{PACKET, TIMESTAMP_RANGE};
use hls_relay_sim::origin::{
    Body, MediaKind, MediaLoop, MediaRef, Origin, OriginRequest, OriginSpec, SegmentDurations,
};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

const FRAME_TICKS: i64 = 3_600;
const AUDIO_TICKS: i64 = 1_920;

/// Forty segments of an origin, as they would be downloaded one after the other.
fn forty_segments(spec: OriginSpec) -> Vec<u8> {
    let origin = Origin::new(OriginSpec {
        backlog: 40,
        window: 40,
        ..spec
    });
    let offered = origin.segments_offered(Span::ZERO);
    assert_eq!(offered.len(), 40);
    offered
        .iter()
        .flat_map(|segment| fetch(&origin, &segment.path))
        .collect()
}

fn fetch(origin: &Origin, path: &str) -> Vec<u8> {
    let reply = origin.respond(Span::ZERO, &OriginRequest::get(path));
    assert_eq!(reply.status, 200, "{path}");
    let Body::Media { media, .. } = reply.body else {
        panic!("{path} is no media: {reply:?}")
    };
    let bytes = origin.media_bytes(&media);
    assert_eq!(bytes.len() as u64, media.len);
    bytes
}

/// One value of each packet of a stream, in the order of the file.
fn packets(file: &Path, stream: &str, entry: &str) -> Vec<i64> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-of",
            "default=nk=1:nw=1",
        ])
        .args(["-show_entries", &format!("packet={entry}")])
        .arg(file)
        .output()
        .expect("ffprobe runs");
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "ffprobe complains of nothing"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Every packet of a PID that has payload counts on from the one before.
fn assert_continuous(stream: &[u8]) {
    let mut last: BTreeMap<u16, u8> = BTreeMap::new();
    for (index, packet) in stream.chunks(PACKET).enumerate() {
        assert_eq!(packet[0], 0x47, "packet {index}");
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let has_payload = packet[3] & 0x10 != 0;
        let counter = packet[3] & 0x0f;
        if pid == 0x1fff {
            continue;
        }
        if let Some(before) = last.insert(pid, counter) {
            let expected = if has_payload {
                (before + 1) & 0x0f
            } else {
                before
            };
            assert_eq!(counter, expected, "packet {index}, PID {pid}");
        }
    }
    assert_eq!(last.len(), 4, "PAT, PMT, video, audio: {last:?}");
}

fn check(spec: OriginSpec) {
    let stream = forty_segments(spec);
    assert_continuous(&stream);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&stream).unwrap();
    for (select, entry, step) in [("v", "dts", FRAME_TICKS), ("a", "pts", AUDIO_TICKS)] {
        let times = packets(file.path(), select, entry);
        let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let odd: Vec<_> = steps
            .iter()
            .enumerate()
            .filter(|(_, found)| **found != step)
            .collect();
        assert!(times.len() > 1_900, "{select}: {} packets", times.len());
        assert!(odd.is_empty(), "{select}: {odd:?}");
    }
}

#[test]
fn forty_segments_in_a_row_have_no_seam() {
    check(OriginSpec::default());
}

#[test]
fn the_stream_goes_on_over_the_wrap_of_33_bits() {
    // The wrap comes half way. ffprobe counts on beyond it.
    let first_tick = (TIMESTAMP_RANGE / IDR_TICKS - 40) * IDR_TICKS;
    check(OriginSpec {
        first_tick,
        ..OriginSpec::default()
    });
}

#[test]
fn segments_of_another_length_join_as_well() {
    let durations = SegmentDurations::Constant(Span::from_micros(5_005_000));
    check(OriginSpec {
        durations,
        target_duration: 6,
        ..OriginSpec::default()
    });
}

#[test]
fn every_segment_of_two_seconds_can_be_decoded_by_itself() {
    let origin = Origin::new(OriginSpec {
        backlog: 8,
        window: 8,
        ..OriginSpec::default()
    });
    for segment in origin.segments_offered(Span::ZERO) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&fetch(&origin, &segment.path)).unwrap();
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-xerror", "-i"])
            .arg(file.path())
            .args(["-map", "0:v", "-f", "framecrc", "-"])
            .output()
            .expect("ffmpeg runs");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "",
            "{}",
            segment.path
        );
        let frames = String::from_utf8_lossy(&output.stdout);
        let count = frames.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(count, 50, "{}", segment.path);
    }
}

#[test]
fn a_stated_bit_rate_is_kept_with_null_packets() {
    let spec = OriginSpec {
        bit_rate: Some(1_000_000),
        ..OriginSpec::default()
    };
    let origin = Origin::new(spec);
    let newest = origin.segments_offered(Span::ZERO).pop().unwrap();
    let bytes = fetch(&origin, &newest.path);
    // Two seconds of a million bits, in whole packets.
    assert_eq!(bytes.len(), 250_000 / PACKET * PACKET);
    assert_continuous(&bytes);
}

#[test]
fn the_manifest_says_what_is_built_in() {
    let text = include_str!("../../testdata/media/ts/manifest.json");
    let manifest: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(manifest["frame_ticks"], FRAME_TICKS);
    assert_eq!(manifest["loop_ticks"], 16 * 90_000);
    let segments = manifest["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 8);
    let first_pts = segments[0]["first_pts"].as_u64().unwrap();
    let media_loop = MediaLoop::embedded();
    for (nth, segment) in (0..).zip(segments) {
        assert_eq!(segment["duration_us"], 2_000_000);
        let start_tick = nth * 180_000;
        assert_eq!(segment["first_pts"], first_pts + start_tick);
        let media = MediaRef {
            kind: MediaKind::TransportStream,
            track: 0,
            run: 0,
            number: nth,
            start_tick,
            ticks: 180_000,
            duration: Span::from_secs(2),
            len: media_loop.natural_len(start_tick, 180_000),
            hash: 0,
        };
        assert_eq!(media_loop.bytes(&media).len() as u64, media.len);
        // Of the tables, only one of each is sent in a segment.
        assert!(media.len <= segment["bytes"].as_u64().unwrap());
    }
}
