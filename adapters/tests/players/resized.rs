//! An encoder that changes the size of its picture: EXT-X-MAP names another init section, in mid-stream and without a
//! discontinuity. The loop begins again with the first size, behind one.

use crate::kinds::{FRAME_RATE, WATCH, check_gstreamer, check_list, leave, live};
use crate::stage::live_folder::{LiveFolder, Ways};
use crate::stage::published::Published;
use crate::stage::relay::Relay;
use crate::{browser, ffmpeg, gstreamer};
use std::io::Write;
use tempfile::NamedTempFile;

const SIZES: [u32; 2] = [108, 180];
/// Half a minute from anywhere in the loop has at least three changes.
const CHANGES: usize = 3;
/// Of each segment.
const PICTURES: usize = 2 * FRAME_RATE as usize;

/// What the list names, by the init sections: of each the file that it makes with its segments, and how many these are.
async fn captured(relay: &Relay) -> Vec<(NamedTempFile, usize)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |uri: &str| {
        let url = relay.url.replace("index.m3u8", uri);
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{uri}");
        answer.bytes().await.unwrap()
    };
    let list = get("index.m3u8").await;
    let list = Published::read(str::from_utf8(&list).unwrap()).unwrap();
    let mut files: Vec<(NamedTempFile, usize)> = Vec::new();
    for entry in &list.entries {
        let map = |line: &String| {
            let uri = line.strip_prefix("#EXT-X-MAP:URI=\"")?;
            Some(uri.split('"').next()?.to_owned())
        };
        if let Some(map) = entry.lines.iter().find_map(map) {
            let mut file = NamedTempFile::new().unwrap();
            file.write_all(&get(&map).await).unwrap();
            files.push((file, 0));
        }
        let (file, segments) = files.last_mut().expect("a list begins with EXT-X-MAP");
        file.write_all(&get(&entry.uri).await).unwrap();
        *segments += 1;
    }
    files
}

/// hls.js and GStreamer show both sizes in turn. The demuxer of ffmpeg takes the first init section for all that follow,
/// also of the origin itself: it is given each with its own segments.
#[tokio::test(flavor = "multi_thread")]
async fn c_28_s_30_the_size_of_the_picture_changes_in_mid_stream() {
    let origin = LiveFolder::of("resized", Ways::default()).await;
    let relay = live(&origin, &[]).await;
    let url = relay.url.clone();
    let playing = gstreamer::play_with_each_init_section;
    let playing = tokio::task::spawn_blocking(move || playing(&url, WATCH));
    let report = browser::play(&relay.url, WATCH).await;
    let played = playing.await.unwrap();
    let captured = captured(&relay).await;
    leave(relay).await;

    browser::check_undisturbed(&report);
    check_list(&report);
    assert_eq!(report.initialized, report.fragments);
    let last = report.samples.last().unwrap();
    assert!(last.frames >= FRAME_RATE * 28, "hls.js: {last:?}");
    check_gstreamer(&played);
    for (player, sizes) in [("hls.js", &report.sizes), ("GStreamer", &played.sizes)] {
        let in_turn = sizes.windows(2).all(|pair| pair[0] != pair[1]);
        let known = sizes.iter().all(|it| SIZES.contains(it));
        assert!(in_turn && known, "{player}: {sizes:?}");
        assert!(sizes.len() > CHANGES, "{player}: {sizes:?}");
    }

    let mut decoded = Vec::new();
    for (file, segments) in &captured {
        let heights = ffmpeg::heights(file.path());
        assert_eq!(heights, vec![heights[0]; PICTURES * segments]);
        decoded.push(heights[0]);
    }
    decoded.sort_unstable();
    decoded.dedup();
    assert_eq!(decoded, SIZES);
}
