//! GStreamer's own player, into sinks that keep the time and show nothing.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What GStreamer may take to start on a busy machine.
const BEGIN: Duration = Duration::from_secs(60);

/// What came of playing a channel.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// Lines that tell of an error or a warning, or of waiting for data after the start.
    pub(crate) wrong: Vec<String>,
    /// How far it came from the first place that it told, and in which time.
    pub(crate) advanced: Duration,
    pub(crate) watched: Duration,
}

/// What came of letting it choose among all that is offered.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// What it plays of it, by its own names for that.
    pub(crate) streams: Vec<String>,
    /// Subtitles that were shown.
    pub(crate) cues: usize,
    /// Lines that tell of an error.
    pub(crate) wrong: Vec<String>,
}

/// Plays pictures, sound and subtitles together for so long, with the demuxer that knows of subtitles.
pub(crate) fn choose(url: &str, length: Duration) -> Chosen {
    let mut child = Command::new("gst-launch-1.0")
        .args(["-m", "-v", "playbin3", &format!("uri={url}")])
        // Pictures, sound and text.
        .args(["flags=0x7", "video-sink=fakesink sync=true"])
        .args(["audio-sink=fakesink sync=true"])
        .args(["text-sink=fakesink name=shown sync=true silent=false"])
        .env_remove("http_proxy")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gst-launch-1.0, which ./test setup installs");
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        let mut chosen = Chosen::default();
        for line in stdout.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if line.contains("GstMessageStreamsSelected") {
                chosen.streams.push(line);
            } else if line.contains(":shown: last-message = chain") {
                chosen.cues += 1;
            } else if line.starts_with("ERROR") {
                chosen.wrong.push(line);
            }
        }
        chosen
    });
    std::thread::sleep(length);
    let _ = child.kill();
    let _ = child.wait();
    reading.join().unwrap()
}

/// Plays a channel for so long after it has begun.
pub(crate) fn play(url: &str, length: Duration) -> Played {
    let mut child = Command::new("gst-play-1.0")
        .arg("--no-interactive")
        .args(["--videosink=fakesink sync=true"])
        .args(["--audiosink=fakesink sync=true", url])
        .env_remove("http_proxy")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gst-play-1.0, which ./test setup installs");
    // It tells its place ten times a second, each over the last: lines end in either way.
    let (send, lines) = std::sync::mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        let mut line = Vec::new();
        for byte in stdout.bytes().map_while(Result::ok) {
            if matches!(byte, b'\r' | b'\n') {
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                if send.send((Instant::now(), text)).is_err() {
                    return;
                }
                line.clear();
            } else {
                line.push(byte);
            }
        }
    });
    let mut played = Played::default();
    let mut first = None;
    let mut until = Instant::now() + BEGIN;
    while let Ok((at, line)) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if let Some(place) = position(&line) {
            let (began, from) = *first.get_or_insert_with(|| {
                until = at + length;
                (at, place)
            });
            played.advanced = place.saturating_sub(from);
            played.watched = at - began;
        } else if ["ERROR", "WARN", "Reached end"]
            .iter()
            .any(|it| line.contains(it))
            || (line.starts_with("Buffering") && first.is_some())
        {
            played.wrong.push(line);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    played
}

/// The first time of `0:00:12.3 / 99:99:99.`.
fn position(line: &str) -> Option<Duration> {
    let (hours, rest) = line.split_once(" / ")?.0.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let whole = hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60;
    let seconds: f64 = seconds.trim().parse().ok()?;
    Some(Duration::from_secs(whole) + Duration::from_secs_f64(seconds))
}
