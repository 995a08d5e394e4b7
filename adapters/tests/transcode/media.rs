//! Media of all kinds, made by ffmpeg, and what ffprobe says of media.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A source that was cut into segments.
pub(crate) struct Source {
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) init: Option<Vec<u8>>,
    folder: TempDir,
}

/// A packet as ffprobe tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) pts: i64,
    pub(crate) dts: i64,
    pub(crate) is_key: bool,
    pub(crate) hash: String,
}

/// What a source is made with, besides its lengths.
pub(crate) struct Recipe<'a> {
    /// Frames of a second, as ffmpeg understands them.
    pub(crate) rate: &'a str,
    /// Samples of a second; 0 for no sound.
    pub(crate) samples: u32,
    /// Encoders and their options.
    pub(crate) encode: &'a str,
    /// Where its times begin, in seconds.
    pub(crate) begins: &'a str,
    /// Options of the packager.
    pub(crate) hls: &'a str,
}

impl Recipe<'_> {
    /// Small pictures that move, and a sound that rises, in segments of about a second.
    pub(crate) fn make(&self, segments: usize) -> Source {
        let folder = tempfile::tempdir().unwrap();
        // More than is wanted: some have segments that are a little longer, and the last one may be short.
        let seconds = segments + segments / 8 + 1;
        let picture = format!(
            "testsrc2=size=320x180:rate={}:duration={seconds}",
            self.rate
        );
        let mut words = vec!["-v", "error", "-f", "lavfi", "-i", &picture];
        let sound = format!(
            // A tone that rises for 32 s to a pitch that an encoder keeps, and falls as long, without a break.
            "aevalsrc='st(0,mod(t,64));st(1,32-abs(32-ld(0)));\
             0.4*sin(2*PI*(300*ld(1)+20*pow(ld(1),2)))*if(lt(ld(0),32),1,-1)':sample_rate={}:duration={seconds}",
            self.samples
        );
        if self.samples > 0 {
            words.extend(["-f", "lavfi", "-i", &sound]);
        }
        words.extend(self.encode.split(' '));
        words.extend("-muxdelay 0 -muxpreload 0 -f hls -hls_time 1 -hls_list_size 0".split(' '));
        words.extend(self.hls.split(' ').filter(|it| !it.is_empty()));
        words.extend(["-output_ts_offset", self.begins, "index.m3u8"]);
        let made = Command::new("ffmpeg")
            .args(&words)
            .current_dir(folder.path())
            .status();
        assert!(made.unwrap().success(), "{words:?}");
        let list = std::fs::read_to_string(folder.path().join("index.m3u8")).unwrap();
        let names = list.lines().filter(|line| !line.starts_with('#'));
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let found: Vec<_> = names.take(segments).map(read).collect();
        assert_eq!(found.len(), segments, "{list}");
        Source {
            segments: found,
            init: list.contains("EXT-X-MAP").then(|| read("init.mp4")),
            folder,
        }
    }
}

impl Source {
    /// A segment as a player has it: behind its init section.
    pub(crate) fn whole(&self, index: usize) -> Vec<u8> {
        let init = self.init.as_deref().unwrap_or_default();
        [init, &self.segments[index]].concat()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The packets of the first stream of that kind, with times in ticks of 90 kHz.
pub(crate) fn packets(folder: &Path, bytes: &[u8], kind: &str) -> Vec<Packet> {
    let file = written(folder, bytes);
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", &format!("{kind}:0")])
        .args([
            "-show_entries",
            "packet=pts,dts,flags,data_hash:stream=time_base",
        ])
        .args(["-show_data_hash", "md5", "-of", "compact=nk=0"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(probe.stdout).unwrap();
    let field = |line: &str, name: &str| -> String {
        let mut fields = line.split('|').filter_map(|it| it.split_once('='));
        let found = fields.find(|(key, _)| *key == name);
        found.map_or(String::new(), |(_, value)| value.to_owned())
    };
    let base = said
        .lines()
        .map(|it| field(it, "time_base"))
        .find(|it| !it.is_empty());
    let base: i64 = base.map_or(90_000, |it| it.trim_start_matches("1/").parse().unwrap());
    let ticks = |text: String| {
        let time: i64 = text.parse().unwrap();
        (time * 90_000 + base / 2).div_euclid(base)
    };
    let packets = said.lines().filter(|it| it.starts_with("packet|"));
    packets
        .map(|line| Packet {
            pts: ticks(field(line, "pts")),
            dts: ticks(field(line, "dts")),
            is_key: field(line, "flags").starts_with('K'),
            hash: field(line, "data_hash"),
        })
        .collect()
}

/// What a decoder makes of the first sound, and what it complains of.
pub(crate) fn decoded_sound(folder: &Path, bytes: &[u8]) -> (Vec<i16>, String) {
    let file = written(folder, bytes);
    let words = ["-map", "0:a:0", "-f", "s16le", "-ac", "1", "pipe:1"];
    let (out, said) = ffmpeg(&file, &words);
    let samples = out.as_chunks::<2>().0.iter();
    (samples.map(|it| i16::from_le_bytes(*it)).collect(), said)
}

/// How many pictures a decoder makes of it, and what it complains of.
pub(crate) fn decoded_pictures(folder: &Path, bytes: &[u8]) -> (usize, String) {
    let file = written(folder, bytes);
    let words = [
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-f",
        "framecrc",
        "pipe:1",
    ];
    let (out, said) = ffmpeg(&file, &words);
    let lines = String::from_utf8(out).unwrap();
    (
        lines.lines().filter(|it| !it.starts_with('#')).count(),
        said,
    )
}

fn ffmpeg(file: &Path, words: &[&str]) -> (Vec<u8>, String) {
    let run = Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin", "-i"])
        .arg(file)
        .args(words)
        .output()
        .unwrap();
    (
        run.stdout,
        String::from_utf8_lossy(&run.stderr).into_owned(),
    )
}

fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = folder.join(format!("probed-{number}"));
    std::fs::write(&file, bytes).unwrap();
    file
}
