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
    /// Where it began, and how long the whole is by what it told last.
    pub(crate) began: Duration,
    pub(crate) duration: Option<Duration>,
    /// It came to the end.
    pub(crate) ended: bool,
    /// The heights of the pictures that were shown, one each time that their size was another one.
    pub(crate) sizes: Vec<u32>,
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

/// Plays a channel for so long after it has begun, or to its end.
pub(crate) fn play(url: &str, length: Duration) -> Played {
    play_by(&[], url, length)
}

/// The same with the newer demuxer: the other one loads an init section where it begins to play, and no other one then.
pub(crate) fn play_with_each_init_section(url: &str, length: Duration) -> Played {
    play_by(&["--use-playbin3"], url, length)
}

fn play_by(demuxer: &[&str], url: &str, length: Duration) -> Played {
    let mut child = Command::new("gst-play-1.0")
        .args(["--no-interactive", "--verbose"])
        .args(demuxer)
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
        if let Some((place, duration)) = position(&line) {
            let (began, from) = *first.get_or_insert_with(|| {
                until = at + length;
                (at, place)
            });
            played.began = from;
            played.advanced = place.saturating_sub(from);
            played.watched = at - began;
            played.duration = duration;
        } else if let Some(height) = height(&line) {
            if played.sizes.last() != Some(&height) {
                played.sizes.push(height);
            }
        } else if line.starts_with("Reached end") {
            played.ended = true;
        } else if (["ERROR", "WARN"].iter().any(|it| line.contains(it)) && !is_property(&line))
            || (line.starts_with("Buffering") && first.is_some())
        {
            played.wrong.push(line);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    played
}

/// Both times of `0:00:12.3 / 0:00:16.0`: where it is, and how long the whole is, which may be unknown (`99:99:99.`).
fn position(line: &str) -> Option<(Duration, Option<Duration>)> {
    let (place, duration) = line.split_once(" / ")?;
    Some((time(place)?, time(duration)))
}

fn time(text: &str) -> Option<Duration> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let minutes = minutes.parse::<u64>().ok().filter(|it| *it < 60)?;
    let whole = hours.parse::<u64>().ok()? * 3600 + minutes * 60;
    let seconds: f64 = seconds.trim().parse().ok()?;
    Some(Duration::from_secs(whole) + Duration::from_secs_f64(seconds))
}

/// It tells what an element of the pipeline is set to.
fn is_property(line: &str) -> bool {
    line.starts_with("/GstPlayBin")
}

/// How high the pictures are that a sink is about to show.
fn height(line: &str) -> Option<u32> {
    let (_, caps) = line.split_once("GstPad:sink: caps = ")?;
    let (_, height) = caps.split_once("height=(int)")?;
    let digits = height.split(|it: char| !it.is_ascii_digit()).next()?;
    (is_property(line) && line.contains("/GstFakeSink:")).then(|| digits.parse().ok())?
}
