//! GStreamer's own player, into sinks that keep the time and show nothing.

use std::process::{Command, Stdio};
use std::time::Duration;

/// What came of playing a channel.
#[derive(Debug)]
pub(crate) struct Played {
    /// Lines that tell of an error or a warning, or of waiting for data after the start.
    pub(crate) wrong: Vec<String>,
    /// How far it came.
    pub(crate) position: Duration,
}

/// Plays a channel for so long.
pub(crate) fn play(url: &str, length: Duration) -> Played {
    let output = Command::new("timeout")
        .args(["--signal=INT", &length.as_secs().to_string()])
        .args(["gst-play-1.0", "--no-interactive"])
        .args(["--videosink=fakesink sync=true"])
        .args(["--audiosink=fakesink sync=true", url])
        .env_remove("http_proxy")
        .stdin(Stdio::null())
        .output()
        .expect("gst-play-1.0, which ./test setup installs");
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let mut played = Played {
        wrong: Vec::new(),
        position: Duration::ZERO,
    };
    for line in said.split(['\r', '\n']).chain(complained.lines()) {
        let line = line.trim();
        if let Some(position) = position(line) {
            played.position = position;
        } else if line.contains("ERROR")
            || line.contains("WARN")
            || line.contains("Reached end")
            || (line.starts_with("Buffering") && !played.position.is_zero())
        {
            played.wrong.push(line.to_owned());
        }
    }
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
