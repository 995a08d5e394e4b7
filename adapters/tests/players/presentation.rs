//! A multivariant presentation, relayed by the real binary, in the same players: all that it offers for choice is there,
//! and is played.

use crate::browser;
use crate::ended;
use crate::ffmpeg;
use crate::gstreamer;
use crate::kinds::{
    FRAME_RATE, WATCH, check_decoded, check_gstreamer, check_list, leave, live, watch,
};
use crate::stage::live_folder::{Course, LiveFolder, Ways, media};
use tempfile::TempDir;

/// An origin of two variants, and sound and subtitles in two languages.
async fn origin() -> LiveFolder {
    let ways = Ways {
        date_times: true,
        ..Ways::default()
    };
    LiveFolder::of("multi", ways).await
}

/// Everything that is offered for choice is there, and the subtitles are shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_presentation_keeps_its_variants_languages_and_subtitles() {
    let origin = origin().await;
    let shown = watch(&origin).await;
    let report = &shown.report;
    browser::check_undisturbed(report);
    check_list(report);
    assert_eq!(report.heights, [Some(108), Some(180)]);
    assert_eq!(report.audio, ["en", "de"]);
    assert_eq!(report.subtitles, ["en", "de"]);
    assert!(report.cues.len() >= 20, "{:?}", report.cues);
    assert!(report.cues.iter().all(|cue| cue.starts_with("en ")));
    let last = report.samples.last().unwrap();
    assert!(last.frames >= FRAME_RATE * 28, "hls.js: {last:?}");
    // ffmpeg has decoded the pictures of both variants, and both languages.
    check_decoded(&shown.decoded);
    assert!(shown.decoded.frames >= FRAME_RATE * 29);
    check_gstreamer(&shown.played);
}

/// Who chooses another language hears it, and reads it.
#[tokio::test(flavor = "multi_thread")]
async fn another_language_is_chosen_while_it_plays() {
    let origin = origin().await;
    let relay = live(&origin, &[]).await;
    let report = browser::play_and_choose(&relay.url, WATCH, 12).await;
    let fatal = report.errors.iter().find(|it| it["fatal"] == true);
    assert!(fatal.is_none(), "{fatal:#?}");
    assert_eq!(report.languages, ["en", "de"]);
    for language in ["en ", "de "] {
        let read = report.cues.iter().filter(|it| it.starts_with(language));
        assert!(read.count() >= 5, "{:?}", report.cues);
    }
    let [first, .., last] = &report.samples[..] else {
        panic!("{report:#?}");
    };
    assert!(
        last.current_time - first.current_time >= 26.0,
        "{report:#?}"
    );
    leave(relay).await;
}

/// The media of two variants and of sound in two languages, sound cut every second and a half and pictures every two.
fn cut_otherwise() -> TempDir {
    let (from, to) = (media("multi"), TempDir::new().unwrap());
    std::fs::copy(from.join("index.m3u8"), to.path().join("index.m3u8")).unwrap();
    for entry in std::fs::read_dir(&from).unwrap().map(Result::unwrap) {
        if !entry.file_type().unwrap().is_dir() {
            continue;
        }
        let (name, folder) = (entry.file_name(), to.path().join(entry.file_name()));
        std::fs::create_dir(&folder).unwrap();
        if name.to_string_lossy().starts_with("audio") {
            let segments: Vec<_> = (0..8)
                .map(|number| entry.path().join(format!("{number}.m4s")))
                .collect();
            ffmpeg::cut(&entry.path().join("init.mp4"), &segments, &folder, "1.5");
            continue;
        }
        for file in std::fs::read_dir(entry.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
    to
}

/// Nothing but discontinuities tells how tracks lie side by side that have no date-times and numbers of their own: nobody
/// waits where the loop begins again.
#[tokio::test(flavor = "multi_thread")]
async fn sound_that_is_cut_and_counted_otherwise_goes_on_with_its_pictures() {
    let folder = cut_otherwise();
    let ways = Ways {
        counted_higher: [("video-180", 1_000), ("audio-en", 70), ("audio-de", 9_000)].into(),
        ..Ways::default()
    };
    let free = ([127, 0, 0, 1], 0).into();
    let origin = LiveFolder::start(folder.path().to_owned(), free, ways)
        .await
        .unwrap();
    let relay = live(&origin, &[]).await;
    let report = browser::play(&relay.url, WATCH).await;
    browser::check_undisturbed(&report);
    let [first, .., last] = &report.samples[..] else {
        panic!("{report:#?}");
    };
    let played = last.current_time - first.current_time;
    assert!(played >= 28.0, "hls.js played {played} s");
    assert!(last.audio_bytes > first.audio_bytes, "no sound");
    leave(relay).await;
}

/// One that is complete keeps all of its tracks whole, and they end together.
#[tokio::test(flavor = "multi_thread")]
async fn s_14_a_presentation_is_played_to_its_end() {
    let ways = Ways {
        course: Course::Vod,
        ..Ways::default()
    };
    let origin = LiveFolder::of("multi", ways).await;
    let relay = live(&origin, &[]).await;
    let report = browser::play(&relay.url, ended::PATIENCE).await;
    ended::check_browser(&report, "VOD");
    assert_eq!(report.heights, [Some(108), Some(180)]);
    // One for each second, of which the last may be over with the whole.
    assert!(report.cues.len() >= 31, "{:?}", report.cues);
    for name in ["v0", "v1", "a0", "a1", "s0", "s1"] {
        let url = relay.url.replace("index.m3u8", &format!("{name}.m3u8"));
        ended::check_list(&ended::list_at(&url).await, "VOD");
    }
    leave(relay).await;
}

/// The other players find all that is offered for choice as well, and play each of it.
#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_and_gstreamer_find_every_language_and_play_each() {
    let origin = origin().await;
    let relay = live(&origin, &[]).await;
    let list = |name: &str| relay.url.replace("index.m3u8", name);
    let url = relay.url.clone();
    let chosen = tokio::task::spawn_blocking(move || gstreamer::choose(&url, WATCH));
    let decoding = ["v0.m3u8", "v1.m3u8", "a0.m3u8", "a1.m3u8"].map(|name| {
        let url = list(name);
        let decoding = tokio::task::spawn_blocking(move || ffmpeg::decode(&url, WATCH));
        (name, decoding)
    });
    let german = list("a1.m3u8");
    let german = tokio::task::spawn_blocking(move || gstreamer::play(&german, WATCH));
    let url = relay.url.clone();
    let streams = tokio::task::spawn_blocking(move || ffmpeg::streams(&url));
    let text = |kind: &str, told: &str| (kind.to_owned(), told.to_owned());
    assert_eq!(
        streams.await.unwrap(),
        [
            text("audio", "en"),
            text("audio", "de"),
            text("video", "180"),
            text("video", "108"),
        ]
    );
    for (name, decoding) in decoding {
        let decoded = decoding.await.unwrap();
        check_decoded(&decoded);
        let pictures = decoded.frames >= FRAME_RATE * 29;
        assert_eq!(pictures, name.starts_with('v'), "{name}: {decoded:?}");
    }
    let chosen = chosen.await.unwrap();
    assert!(chosen.wrong.is_empty(), "GStreamer: {chosen:#?}");
    for stream in ["audio-English", "text-English", "main-video"] {
        let found = chosen.streams.iter().any(|it| it.contains(stream));
        assert!(found, "no {stream}: {chosen:#?}");
    }
    // One begins each second, once it plays.
    assert!(chosen.cues >= 10, "{} cues", chosen.cues);
    check_gstreamer(&german.await.unwrap());
    // ffmpeg plays no subtitles of a live list; each segment of them it reads.
    for (name, language) in [("s0.m3u8", "en"), ("s1.m3u8", "de")] {
        let listed = reqwest::Client::builder().no_proxy().build().unwrap();
        let listed = listed.get(list(name)).send().await.unwrap();
        let listed = listed.text().await.unwrap();
        let newest = listed.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let url = list(newest);
        let said = tokio::task::spawn_blocking(move || ffmpeg::subtitles(&url));
        let said = said.await.unwrap();
        assert!(said.len() >= 2, "{name}: {said:?}");
        assert!(said.iter().all(|it| it.starts_with(language)), "{said:?}");
    }
    leave(relay).await;
}
