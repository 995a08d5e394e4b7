//! ffmpeg as a player that keeps what it gets, and ffprobe as the judge of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// What came of pulling a channel.
pub(crate) struct Pulled {
    pub(crate) status: ExitStatus,
    /// Warnings and errors.
    pub(crate) said: String,
    pub(crate) packets: Packets,
}

/// What ffprobe found in a file.
pub(crate) struct Probed {
    pub(crate) said: String,
    pub(crate) packets: Packets,
}

/// The packets of each stream, in order.
#[derive(Debug, Default)]
pub(crate) struct Packets(BTreeMap<u32, Stream>);

#[derive(Debug, Default)]
struct Stream {
    kind: String,
    /// Decoding time and duration, in ticks of 90 kHz.
    packets: Vec<(i64, i64)>,
}

/// Pulls a channel for so long, without decoding.
pub(crate) fn pull(url: &str, length: Duration) -> Pulled {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("pulled.ts");
    let output = tool("ffmpeg")
        .args(["-nostdin", "-loglevel", "warning", "-i", url])
        .args([
            "-t",
            &length.as_secs().to_string(),
            "-map",
            "0",
            "-c",
            "copy",
        ])
        // A jump in the times is left as it is: ffmpeg would take it away where it re-encodes.
        .args(["-muxdelay", "0"])
        .arg(&file)
        .output()
        .expect("ffmpeg, which ./test setup installs");
    Pulled {
        status: output.status,
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        packets: probe(&file).packets,
    }
}

/// What came of decoding a channel.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) status: ExitStatus,
    /// Errors.
    pub(crate) said: String,
    /// The pictures of all its video together.
    pub(crate) frames: u64,
    pub(crate) length: Duration,
}

/// Plays so much of a channel into nothing, every track of it.
pub(crate) fn decode(url: &str, length: Duration) -> Decoded {
    decode_from(&[], url, length)
}

/// The same from the first segment on, also of a list that has not ended yet.
pub(crate) fn decode_whole(url: &str, length: Duration) -> Decoded {
    decode_from(&["-live_start_index", "0"], url, length)
}

fn decode_from(from: &[&str], url: &str, length: Duration) -> Decoded {
    let output = tool("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-progress", "pipe:1"])
        // It calls it an error where a connection can't be kept, because an init section is elsewhere.
        .args(["-http_persistent", "0"])
        .args(from)
        .args(["-i", url, "-t", &length.as_secs().to_string()])
        .args(["-map", "0", "-f", "null", "-"])
        .output()
        .expect("ffmpeg, which ./test setup installs");
    let progress = String::from_utf8_lossy(&output.stdout);
    let last = |name: &str| {
        let fields = progress.lines().filter_map(|line| line.split_once('='));
        let mut values = fields.filter(|(field, _)| *field == name);
        values.next_back().and_then(|(_, value)| value.parse().ok())
    };
    Decoded {
        status: output.status,
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        frames: last("frame").unwrap_or_default(),
        length: Duration::from_micros(last("out_time_us").unwrap_or_default()),
    }
}

/// The height of each picture of a file, decoded without an error.
pub(crate) fn heights(file: &Path) -> Vec<u32> {
    let output = tool("ffprobe")
        .args(["-loglevel", "error", "-of", "csv=print_section=0"])
        .args(["-select_streams", "v", "-show_entries", "frame=height"])
        .arg(file)
        .output()
        .expect("ffprobe, which ./test setup installs with ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "ffprobe has something to say");
    let told = String::from_utf8_lossy(&output.stdout);
    // What else is told of a picture stands behind its height.
    let heights = told.lines().filter_map(|line| line.split(',').next());
    heights.filter_map(|it| it.parse().ok()).collect()
}

/// What there is to choose from: of sound the language, of pictures the height.
pub(crate) fn streams(url: &str) -> Vec<(String, String)> {
    let output = tool("ffprobe")
        .args(["-loglevel", "error", "-of", "csv=print_section=0"])
        .args([
            "-show_entries",
            "stream=codec_type,height:stream_tags=language",
        ])
        .arg(url)
        .output()
        .expect("ffprobe, which ./test setup installs with ffmpeg");
    let mut streams = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // Those of each variant are told once more, without what tells them apart.
        if let Some((kind, told)) = line.split_once(',') {
            let stream = (kind.to_owned(), told.trim_matches(',').to_owned());
            if !stream.1.is_empty() && !streams.contains(&stream) {
                streams.push(stream);
            }
        }
    }
    streams.sort_by_key(|(kind, _)| kind.clone());
    streams
}

/// The subtitles of a segment.
pub(crate) fn subtitles(url: &str) -> Vec<String> {
    let output = tool("ffmpeg")
        .args([
            "-nostdin",
            "-loglevel",
            "error",
            "-i",
            url,
            "-f",
            "srt",
            "-",
        ])
        .output()
        .expect("ffmpeg, which ./test setup installs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cues = text.split("\n\n");
    cues.filter_map(|cue| cue.trim().lines().nth(2).map(str::to_owned))
        .collect()
}

/// All packets of a file.
pub(crate) fn probe(file: &Path) -> Probed {
    let output = tool("ffprobe")
        .args(["-loglevel", "warning", "-of", "csv=print_section=0"])
        .args([
            "-show_entries",
            "packet=codec_type,stream_index,dts,duration",
        ])
        .arg(file)
        .output()
        .expect("ffprobe, which ./test setup installs with ffmpeg");
    let mut packets = Packets::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let fields: Vec<_> = line.split(',').collect();
        let [kind, stream, dts, duration, ..] = fields[..] else {
            continue;
        };
        let stream = packets.0.entry(stream.parse().unwrap()).or_default();
        stream.kind = kind.to_owned();
        let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("{line}"));
        stream.packets.push((number(dts), number(duration)));
    }
    Probed {
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        packets,
    }
}

/// Cuts sound in fragmented MP4 anew, every so many seconds: a playlist and its files, in a folder that is there.
pub(crate) fn cut(init: &Path, segments: &[PathBuf], folder: &Path, seconds: &str) {
    let parts = std::iter::once(init).chain(segments.iter().map(PathBuf::as_path));
    let whole: Vec<u8> = parts.flat_map(|it| std::fs::read(it).unwrap()).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), whole).unwrap();
    let mut cut = tool("ffmpeg");
    cut.args(["-loglevel", "error", "-i"]).arg(file.path());
    cut.args(["-c", "copy", "-f", "hls", "-hls_time", seconds]);
    cut.args(["-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]);
    cut.arg("-hls_segment_filename").arg(folder.join("%d.m4s"));
    let status = cut.arg(folder.join("index.m3u8")).status().unwrap();
    assert!(status.success(), "ffmpeg: {status}");
}

fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .arg("-hide_banner")
        .env("AV_LOG_FORCE_NOCOLOR", "1")
        .env_remove("http_proxy")
        .stdin(Stdio::null());
    command
}

impl Packets {
    /// What kinds of streams there are.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<_> = self.0.values().map(|stream| stream.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds
    }

    /// Each packet begins where the one before it ended. The demuxer rounds to whole ticks.
    pub(crate) fn check_continuous(&self, what: &str) {
        assert_eq!(self.0.len(), 2, "{what}: streams");
        for (index, stream) in &self.0 {
            assert!(
                stream.packets.len() > 500,
                "{what}: stream {index} is short"
            );
            for pair in stream.packets.windows(2) {
                let [(dts, duration), (next, _)] = *pair else {
                    unreachable!()
                };
                assert!(
                    (next - dts - duration).abs() <= 1,
                    "{what}: stream {index} ({}): {next} after {dts} + {duration}",
                    stream.kind
                );
            }
        }
    }

    /// How long each stream is, in seconds.
    pub(crate) fn lengths(&self) -> Vec<(u32, f64)> {
        let length = |stream: &Stream| match (stream.packets.first(), stream.packets.last()) {
            (Some((first, _)), Some((last, duration))) => {
                (last + duration - first) as f64 / 90_000.0
            }
            _ => 0.0,
        };
        self.0
            .iter()
            .map(|(index, stream)| (*index, length(stream)))
            .collect()
    }
}
