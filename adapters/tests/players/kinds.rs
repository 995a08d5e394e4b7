//! Every kind of media, relayed by the real binary from a live origin, in three players at once for half
//! a minute. It is a loop of sixteen seconds: each of them comes over a discontinuity.

use crate::browser::{self, Report};
use crate::ffmpeg::{self, Decoded};
use crate::gstreamer::{self, Played};
use crate::stage::live_folder::{Answered, LiveFolder, Ways};
use crate::stage::relay::{Relay, any_address};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long each player watches.
pub(crate) const WATCH: Duration = Duration::from_secs(30);
/// What a player may owe at the end of it.
pub(crate) const SHORT: Duration = Duration::from_secs(1);
/// A channel that has not begun after this never will.
const BEGIN: Duration = Duration::from_secs(20);
/// Those of `testdata/media/aes128`.
const KEYS: [&[u8]; 2] = [
    include_bytes!("../../../testdata/media/aes128/key/0.key"),
    include_bytes!("../../../testdata/media/aes128/key/1.key"),
];
/// Pictures a second of every loop.
pub(crate) const FRAME_RATE: u64 = 25;

/// What came of it.
pub(crate) struct Shown {
    pub(crate) report: Report,
    pub(crate) decoded: Decoded,
    pub(crate) played: Played,
    /// What the relay has logged.
    log: String,
}

/// Relays an origin and lets all three watch.
pub(crate) async fn watch(origin: &LiveFolder) -> Shown {
    watch_with(origin, &[]).await
}

/// The same, with these arguments of the relay.
async fn watch_with(origin: &LiveFolder, arguments: &[&str]) -> Shown {
    let relay = live(origin, arguments).await;
    let (report, decoded, played) = play_in_all(&relay, WATCH, ffmpeg::decode).await;
    let log = format!("{:?}", relay.log());
    leave(relay).await;
    Shown {
        report,
        decoded,
        played,
        log,
    }
}

/// Lets all three play for so long, or to the end; ffmpeg in this way.
pub(crate) async fn play_in_all(
    relay: &Relay,
    length: Duration,
    decode: fn(&str, Duration) -> Decoded,
) -> (Report, Decoded, Played) {
    let url = relay.url.clone();
    let decoding = tokio::task::spawn_blocking(move || decode(&url, length));
    let url = relay.url.clone();
    let playing = tokio::task::spawn_blocking(move || gstreamer::play(&url, length));
    let report = browser::play(&relay.url, length).await;
    (report, decoding.await.unwrap(), playing.await.unwrap())
}

/// Ends a relay, and waits until its journal is replayed.
pub(crate) async fn leave(relay: Relay) {
    tokio::task::spawn_blocking(move || drop(relay))
        .await
        .unwrap();
}

/// Relays an origin, once it is live.
pub(crate) async fn live(origin: &LiveFolder, arguments: &[&str]) -> Relay {
    let relay = Relay::start(&origin.url(), any_address(), arguments, Instant::now());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = Instant::now();
    loop {
        if let Ok(answer) = client.get(&relay.url).send().await
            && answer.status() == 200
        {
            break;
        }
        assert!(asked.elapsed() < BEGIN, "not live: {:#?}", relay.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    relay
}

impl Shown {
    /// No player had an error, none waited, and time went on in all of them. There is one track to play.
    fn check_played(&self) {
        self.check_browser();
        check_decoded(&self.decoded);
        check_gstreamer(&self.played);
    }

    fn check_browser(&self) {
        let report = &self.report;
        assert!(report.errors.is_empty(), "hls.js: {:#?}", report.errors);
        let began = report.began.unwrap_or_else(|| panic!("hls.js never began"));
        let later: Vec<_> = report.events.iter().filter(|it| it.at > began).collect();
        assert!(later.is_empty(), "hls.js stalled: {later:#?}");
        let [first, .., last] = &report.samples[..] else {
            panic!("{report:#?}");
        };
        let played = last.current_time - first.current_time;
        assert!(played >= 28.0, "hls.js played {played} s");
        assert!(last.audio_bytes > first.audio_bytes, "hls.js: no sound");
        assert_eq!(report.heights.len(), 1, "{report:?}");
        check_list(report);
        let others = [&report.audio, &report.subtitles, &report.cues];
        assert!(others.iter().all(|it| it.is_empty()), "{others:?}");
    }

    /// Those that show pictures have shown all of them.
    fn check_pictures(&self) {
        let last = self.report.samples.last().unwrap();
        assert!(last.frames >= FRAME_RATE * 28, "hls.js: {last:?}");
        assert!(self.decoded.frames >= FRAME_RATE * 29, "{:?}", self.decoded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragmented_mp4_is_played() {
    let origin = LiveFolder::of("fmp4", Ways::default()).await;
    let shown = watch(&origin).await;
    shown.check_played();
    shown.check_pictures();
    let report = &shown.report;
    assert!(report.fragments >= 12, "{report:#?}");
    assert_eq!(report.initialized, report.fragments);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_27_byte_ranges_are_played_as_segments_of_their_own() {
    let origin = LiveFolder::of("byterange", Ways::default()).await;
    let shown = watch(&origin).await;
    shown.check_played();
    shown.check_pictures();
    check_ranges(&origin, ".ts", 206);
}

/// The init section is a range of the same file.
#[tokio::test(flavor = "multi_thread")]
async fn c_27_one_file_of_fragmented_mp4_is_played() {
    let origin = LiveFolder::of("byterange-fmp4", Ways::default()).await;
    let shown = watch(&origin).await;
    shown.check_played();
    shown.check_pictures();
    let report = &shown.report;
    assert_eq!(report.initialized, report.fragments);
    check_ranges(&origin, "/all.mp4", 206);
}

#[tokio::test(flavor = "multi_thread")]
async fn c_27_an_origin_that_ignores_ranges_gives_the_same() {
    let ways = Ways {
        ignores_range: true,
        ..Ways::default()
    };
    let origin = LiveFolder::of("byterange", ways).await;
    let shown = watch(&origin).await;
    shown.check_played();
    shown.check_pictures();
    check_ranges(&origin, ".ts", 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_31_aes_128_with_rotating_keys_is_played() {
    let origin = LiveFolder::of("aes128", Ways::default()).await;
    let shown = watch(&origin).await;
    shown.check_played();
    shown.check_pictures();
    let report = &shown.report;
    assert!(report.fragments >= 12, "{report:#?}");
    assert_eq!(report.decrypted, report.fragments);
    for key in ["/key/0.key", "/key/1.key"] {
        let answered = origin.answered();
        assert!(
            answered.iter().any(|it| it.path == key),
            "{key} was never asked for"
        );
    }
}

/// The keys come from the relay, or are needed by nobody any more; its own requests for them are the only
/// ones, and they stand in no log and no journal.
#[tokio::test(flavor = "multi_thread")]
async fn s_31_keys_that_are_hosted_here_and_media_in_the_clear_are_played() {
    // One after the other: three players at a time are enough for a small machine.
    for keys in ["rehost", "decrypt"] {
        let origin = LiveFolder::of("aes128", Ways::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().to_str().unwrap();
        let arguments = ["--keys", keys, "--journal", journal, "--log-level", "trace"];
        let shown = watch_with(&origin, &arguments).await;
        shown.check_played();
        shown.check_pictures();
        let report = &shown.report;
        assert!(report.fragments >= 12, "{report:#?}");
        let decrypted = if keys == "rehost" {
            report.fragments
        } else {
            0
        };
        assert_eq!(report.decrypted, decrypted, "{keys}");
        let answered = origin.answered();
        for (name, key) in [("/key/0.key", KEYS[0]), ("/key/1.key", KEYS[1])] {
            let asked = answered.iter().filter(|it| it.path == name).count();
            // Once for each round of the loop in which it is used, and not for each segment.
            assert!(
                (1..=4).contains(&asked),
                "{keys}: {name} asked for {asked} times"
            );
            check_untold(folder.path(), &shown.log, key);
        }
    }
}

/// All media below this name was asked for by range, and answered so.
fn check_ranges(origin: &LiveFolder, name: &str, status: u16) {
    let mut media = origin.answered();
    media.retain(|it| it.path.contains(name));
    let is_as_asked = |it: &Answered| it.range.is_some() && it.status == status;
    assert!(
        !media.is_empty() && media.iter().all(is_as_asked),
        "{media:#?}"
    );
}

/// The list goes on, and its segments are as long as it says.
pub(crate) fn check_list(report: &Report) {
    let list = report.list.as_ref().expect("hls.js has a list");
    assert!(list.live && list.segments >= 6, "{list:?}");
    assert!((list.duration - list.stated).abs() < 0.1, "{list:?}");
}

pub(crate) fn check_gstreamer(gstreamer: &Played) {
    assert!(gstreamer.wrong.is_empty(), "GStreamer: {gstreamer:#?}");
    assert!(!gstreamer.ended, "GStreamer: {gstreamer:?}");
    let late = gstreamer.watched.saturating_sub(gstreamer.advanced);
    assert!(gstreamer.watched >= WATCH - SHORT, "{gstreamer:?}");
    assert!(late <= SHORT, "GStreamer stalled: {gstreamer:?}");
}

pub(crate) fn check_decoded(decoded: &Decoded) {
    assert!(decoded.status.success(), "{decoded:?}");
    assert_eq!(decoded.said, "", "ffmpeg has something to say");
    assert!(decoded.length >= Duration::from_secs(29), "{decoded:?}");
}

/// Neither the bytes of a key nor any way to write them stand in what the relay has written down.
fn check_untold(journal: &Path, log: &str, key: &[u8]) {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{key:?}").replace(' ', "");
    let is_told = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes)
            .to_lowercase()
            .replace(' ', "");
        let raw = bytes.windows(key.len()).any(|it| it == key);
        raw || text.contains(&hex) || text.contains(&list)
    };
    assert!(!is_told(log.as_bytes()), "a key in the log");
    let mut read = 0;
    for channel in std::fs::read_dir(journal).unwrap().flatten() {
        for piece in std::fs::read_dir(channel.path()).unwrap().flatten() {
            let bytes = std::fs::read(piece.path()).unwrap();
            assert!(!is_told(&bytes), "a key in {:?}", piece.path());
            read += bytes.len();
        }
    }
    assert!(read > 0, "there is no journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_57_packed_audio_is_played() {
    let origin = LiveFolder::of("audio", Ways::default()).await;
    let shown = watch(&origin).await;
    shown.check_played();
    assert_eq!(
        (
            shown.decoded.frames,
            shown.report.samples.last().unwrap().frames
        ),
        (0, 0)
    );
}
