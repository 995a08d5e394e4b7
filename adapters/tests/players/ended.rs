//! What ends, relayed by the real binary and played to its end by the same players: a VOD, and an EVENT that grows
//! while it is watched.

use crate::browser::Report;
use crate::ffmpeg::{self, Decoded};
use crate::gstreamer::Played;
use crate::kinds::{FRAME_RATE, SHORT, leave, live, play_in_all};
use crate::stage::live_folder::{Course, LiveFolder, Ways};
use crate::stage::published::Published;
use crate::stage::relay::Relay;
use std::time::{Duration, Instant};

/// Two rounds of a loop, the second behind a discontinuity.
const LENGTH: Duration = Duration::from_secs(32);
const SEGMENTS: usize = 16;
/// Who has not come to the end by then never will.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How far apart two may be that tell of the same time: players count pictures, and tell tenths.
const NEAR: Duration = Duration::from_millis(250);

/// What came of it.
struct Shown {
    report: Report,
    decoded: Decoded,
    played: Played,
    /// The list that viewers have in the end.
    list: Published,
}

async fn origin(kind: &str, course: Course) -> LiveFolder {
    let ways = Ways {
        course,
        ..Ways::default()
    };
    LiveFolder::of(kind, ways).await
}

async fn list(relay: &Relay) -> Published {
    list_at(&relay.url).await
}

pub(crate) async fn list_at(url: &str) -> Published {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    Published::read(&answer.text().await.unwrap()).unwrap()
}

/// Lets all three play to the end.
async fn watch(relay: Relay) -> Shown {
    let (report, decoded, played) = play_in_all(&relay, PATIENCE, ffmpeg::decode_whole).await;
    let list = list(&relay).await;
    leave(relay).await;
    Shown {
        report,
        decoded,
        played,
        list,
    }
}

impl Shown {
    /// Everything is listed, and each player came to the end of it without an error or a stall.
    fn check(&self, playlist_type: &str) {
        check_list(&self.list, playlist_type);
        check_browser(&self.report, playlist_type);
        self.check_gstreamer();
        let decoded = &self.decoded;
        assert!(decoded.status.success(), "{decoded:?}");
        assert_eq!(decoded.said, "", "ffmpeg has something to say");
        assert!(decoded.length.abs_diff(LENGTH) <= NEAR, "{decoded:?}");
        assert_eq!(decoded.frames, FRAME_RATE * LENGTH.as_secs());
    }

    fn check_gstreamer(&self) {
        let played = &self.played;
        assert!(played.wrong.is_empty(), "GStreamer: {played:#?}");
        assert!(played.ended, "GStreamer: {played:?}");
        // Where a transport stream begins anew it counts the head start of its clock as well.
        let near = |told: Duration| told.abs_diff(LENGTH) <= SHORT;
        assert!(played.duration.is_some_and(near), "GStreamer: {played:?}");
        assert!(
            near(played.began + played.advanced),
            "GStreamer: {played:?}"
        );
        let late = played.watched.saturating_sub(played.advanced);
        assert!(late <= SHORT, "GStreamer stalled: {played:?}");
    }
}

/// Nothing is missing in it.
pub(crate) fn check_list(list: &Published, playlist_type: &str) {
    let told = format!("\n#EXT-X-PLAYLIST-TYPE:{playlist_type}\n");
    assert!(list.ended && list.text.contains(&told), "{}", list.text);
    assert_eq!(list.entries.len(), SEGMENTS, "{}", list.text);
    for (index, entry) in list.entries.iter().enumerate() {
        assert!(!entry.gap, "{}", list.text);
        assert_eq!(entry.discontinuity, index == SEGMENTS / 2, "{}", list.text);
    }
}

/// hls.js came to the end of all that is listed, without an error or a stall.
pub(crate) fn check_browser(report: &Report, playlist_type: &str) {
    // Where all there is comes at once, a busy browser may take longer to show the first of it than hls.js likes.
    let not_begun = |it: &&serde_json::Value| {
        it["details"] == "bufferStalledError" && it["fatal"] == false && it["currentTime"] == 0
    };
    let errors: Vec<_> = report.errors.iter().filter(|it| !not_begun(it)).collect();
    assert!(errors.is_empty(), "hls.js: {errors:#?}");
    let began = report.began.unwrap_or_else(|| panic!("hls.js never began"));
    let later = report.events.iter().filter(|it| it.at > began);
    let later: Vec<_> = later.map(|it| it.name.as_str()).collect();
    assert_eq!(later, ["pause", "ended"], "{:#?}", report.events);
    let near = |told: f64| Duration::from_secs_f64(told).abs_diff(LENGTH) <= NEAR;
    assert!(report.duration.is_some_and(near), "{:?}", report.duration);
    let [first, .., last] = &report.samples[..] else {
        panic!("{report:#?}");
    };
    assert!(near(last.current_time), "{last:?}");
    let played = last.current_time - first.current_time;
    let all = (played * FRAME_RATE as f64) as u64;
    assert!(last.frames + FRAME_RATE / 2 >= all, "{last:?} of {all}");
    assert!(last.audio_bytes > first.audio_bytes, "hls.js: no sound");
    let list = report.list.as_ref().expect("hls.js has a list");
    assert!(!list.live && list.segments == SEGMENTS, "{list:?}");
    assert_eq!(list.playlist_type.as_deref(), Some(playlist_type));
    assert!(near(list.stated) && near(list.duration), "{list:?}");
}

/// It is all there from its first segment on, and asked for once.
#[tokio::test(flavor = "multi_thread")]
async fn c_08_s_14_a_vod_is_played_from_its_beginning_to_its_end() {
    let origin = origin("fmp4", Course::Vod).await;
    let relay = live(&origin, &[]).await;
    let asked = Instant::now();
    while !list(&relay).await.ended {
        assert!(asked.elapsed() < PATIENCE, "{:#?}", relay.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let shown = watch(relay).await;
    shown.check("VOD");
    let report = &shown.report;
    assert!(report.samples[0].current_time <= 1.0, "{report:?}");
    assert!(shown.played.began <= NEAR, "{:?}", shown.played);
    assert_eq!(report.initialized, report.fragments);
    let asked = origin.answered();
    let lists = asked.iter().filter(|it| it.path == "/index.m3u8");
    assert_eq!(lists.count(), 1, "{asked:#?}");
}

/// It grows while it is watched, and nothing that it ever listed has left it when it ends.
#[tokio::test(flavor = "multi_thread")]
async fn s_16_an_event_is_played_while_it_grows_and_to_its_end() {
    let origin = origin("byterange", Course::Event).await;
    let relay = live(&origin, &[]).await;
    let first = list(&relay).await;
    assert!(!first.ended, "{}", first.text);
    assert!(first.text.contains("\n#EXT-X-PLAYLIST-TYPE:EVENT\n"));
    let shown = watch(relay).await;
    shown.check("EVENT");
    assert!(first.entries.len() < SEGMENTS / 2 + 2, "{}", first.text);
    assert_eq!(shown.list.entries[..first.entries.len()], first.entries);
}
