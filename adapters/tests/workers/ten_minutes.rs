//! Ten minutes of a source through a ladder of three rungs: a real node without slots of its own, and two real
//! workers of which one is killed. What viewers get is exact from the first packet to the last.

use crate::media::{Packet, packets};
use crate::node::WorkerProcess;
use crate::operator::Node;
use crate::support::live_segments::{LiveSegments, Shown};
use crate::support::redis_server::RedisServer;
use crate::viewers::client;
use hls_relay_core::playlist::{MediaPlaylist, Playlist, parse};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Or as many as `SOURCE_SECONDS` says.
const SECONDS: usize = 600;
const SEGMENT: usize = 10;
/// So many times as fast as a real source segments come: several at once, as after an outage, all the while.
const SPEED: u32 = 6;
/// Pictures in a second.
const RATE: usize = 10;
const LISTS: [&str; 4] = ["source", "108p", "80p", "64p"];
/// More than one reload at that speed.
const WINDOW: usize = 20;

fn seconds() -> usize {
    let said = std::env::var("SOURCE_SECONDS").ok();
    said.map_or(SECONDS, |it| it.parse().expect("a number of seconds"))
}

/// Pictures with B-frames, and sound whose frames do not end where pictures do.
fn source(folder: &Path) -> Vec<Vec<u8>> {
    let seconds = seconds();
    let picture = format!("testsrc2=size=192x108:rate={RATE}:duration={seconds}");
    let sound = format!("sine=frequency=400:sample_rate=44100:duration={seconds}");
    let encode = "-c:v libx264 -preset ultrafast -bf 2 -g 100 -keyint_min 100 -sc_threshold 0 -c:a aac -b:a 48k \
                  -muxdelay 0 -muxpreload 0 -f hls -hls_time 10 -hls_list_size 0 index.m3u8";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &picture])
        .args(["-f", "lavfi", "-i", &sound])
        .args(encode.split_whitespace())
        .current_dir(folder)
        .status();
    assert!(made.unwrap().success());
    let list = std::fs::read_to_string(folder.join("index.m3u8")).unwrap();
    let names = list.lines().filter(|line| !line.starts_with('#'));
    names
        .map(|it| std::fs::read(folder.join(it)).unwrap())
        .collect()
}

/// What viewers were shown: by number, each segment of a list with its bytes; none where it was a gap.
type Watched = BTreeMap<u64, Option<Vec<u8>>>;

/// Keeps all that is listed until the list ends.
async fn watch(base: &str, name: &str) -> Watched {
    let (mut watched, url) = (Watched::new(), format!("{base}/{name}.m3u8"));
    let get = async |url: String| {
        let answer = client().get(url).send().await.unwrap();
        let is_there = answer.status().is_success();
        is_there.then_some(answer.bytes().await.unwrap())
    };
    loop {
        let list = get(url.clone()).await.as_deref().and_then(media);
        let ended = list.as_ref().is_some_and(|it| it.end_list);
        for segment in list.into_iter().flat_map(|it| it.segments) {
            if watched.contains_key(&segment.media_sequence) {
                continue;
            }
            let bytes = match segment.gap {
                true => None,
                false => get(format!("{base}/{}", segment.uri)).await,
            };
            watched.insert(segment.media_sequence, bytes.map(Vec::from));
        }
        if ended {
            return watched;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn media(bytes: &[u8]) -> Option<MediaPlaylist> {
    match parse(bytes) {
        Ok(Playlist::Media(list)) => Some(list),
        Ok(Playlist::Multivariant(_)) | Err(_) => None,
    }
}

/// Nothing waits, and no worker has anything.
fn is_idle(redis: &RedisServer) -> bool {
    ["orders", "further"].iter().all(|stream| {
        let key = format!("hls-relay:{{transcode}}:{stream}");
        redis.ask(&["XLEN", &key]) == "0"
    })
}

/// Whether a worker whose name begins so has an order.
fn has_work(redis: &RedisServer, name: &str) -> bool {
    ["orders", "further"].iter().any(|stream| {
        let key = format!("hls-relay:{{transcode}}:{stream}");
        let pending = redis.ask(&["XPENDING", &key, "workers", "-", "+", "100"]);
        pending.lines().any(|it| it.starts_with(name))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_on_two_workers_while_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let segments = source(folder.path());
    let count = segments.len();
    assert_eq!(count, seconds() / SEGMENT);
    let redis = RedisServer::start();
    let (data, one) = (folder.path().join("data"), "worker-one");
    let arguments = ["--redis", &redis.url(), "--name", "node", "--slots", "0"];
    let node = Node::start(&data, &arguments);
    let mut killed = WorkerProcess::start(&redis, one, &["--slots", "1"]);
    let staying = WorkerProcess::start(&redis, "worker-two", &["--slots", "2"]);
    let lasts = Duration::from_secs(SEGMENT as u64);
    let shown = Shown {
        lasts,
        every: lasts / SPEED,
        first: 3,
        window: WINDOW,
    };
    killed.until_log("waiting for segments").await;
    staying.until_log("waiting for segments").await;
    let origin = LiveSegments::start(segments, shown).await;
    let begun = Instant::now();
    let url = format!("{}/news/index.m3u8", origin.address);
    let spec = json!({ "sources": [url], "window": WINDOW, "ladder_preset": "ultrafast", "ladder": [
        { "height": 108, "bitrate": "90k" }, { "height": 80, "bitrate": "70k" }, { "height": 64, "bitrate": "50k" }] });
    assert_eq!(node.put("news", spec).await.status, 201);
    let base = format!("{}/news", node.address());
    let watching = futures_util::future::join_all(LISTS.map(|name| watch(&base, name)));
    let killing = async {
        let third = begun + lasts / SPEED * u32::try_from(count / 3).unwrap();
        tokio::time::sleep(third.saturating_duration_since(Instant::now())).await;
        // With the first of those that come at once, which is in time still when another one has it.
        while !is_idle(&redis) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while !has_work(&redis, one) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        killed.child.kill().unwrap();
        println!(
            "a worker is killed with work in its hands, {:.1?} after the begin",
            begun.elapsed()
        );
    };
    let (watched, ()) = tokio::join!(watching, killing);
    println!("{} s of source in {:.1?}", seconds(), begun.elapsed());
    killed.child.wait().unwrap();
    let logs = || format!("{}\n{}", node.log(), staying.log());
    let log = staying.log();
    assert!(
        log.contains("attempt=2"),
        "nothing was in its hands:\n{log}"
    );

    // All that was shown of the source, and the same of each rung, without a gap.
    let whole: Vec<Vec<u8>> = watched[0]
        .values()
        .cloned()
        .map(|it| it.expect("no gap"))
        .collect();
    let first = origin
        .segments()
        .iter()
        .position(|it| *it == whole[0])
        .unwrap();
    assert!(first <= 3, "begun at {first}");
    assert!(
        whole == origin.segments()[first..],
        "the source is not itself"
    );
    for (name, rung) in LISTS.iter().zip(&watched).skip(1) {
        assert!(
            rung.keys().eq(watched[0].keys()),
            "{name}: {:?}",
            rung.keys()
        );
        let gaps = rung.iter().filter(|it| it.1.is_none());
        let gaps: Vec<_> = gaps.map(|it| it.0).collect();
        assert!(gaps.is_empty(), "{name} lacks {gaps:?}:\n{}", logs());
        let rung: Vec<_> = rung.values().flatten().cloned().collect();
        is_exact(folder.path(), &whole, &rung);
    }
}

fn is_exact(folder: &Path, source: &[Vec<u8>], rung: &[Vec<u8>]) {
    let (seconds, source) = (source.len() * SEGMENT, &source.concat());
    let times = |of: &[Packet]| {
        let mut times: Vec<_> = of.iter().map(|it| it.pts).collect();
        times.sort_unstable();
        times
    };
    let whole = rung.concat();
    let (pictures, sound) = (packets(folder, &whole, "v"), packets(folder, &whole, "a"));
    let of_source = packets(folder, source, "v");
    assert_eq!(of_source.len(), seconds * RATE);
    // As many, at the same times to the tick, and decoded one after the other.
    assert_eq!(times(&pictures), times(&of_source));
    assert!(pictures.iter().all(|it| it.dts <= it.pts));
    assert!(pictures.windows(2).all(|pair| pair[0].dts < pair[1].dts));
    // Byte for byte, at the same times: so picture and sound are as far apart as ever.
    let sound_of_source = packets(folder, source, "a");
    assert!(sound_of_source.len() > seconds * 43);
    assert_eq!(sound, sound_of_source);
    // Each segment begins with a picture that decodes alone, and there are no others.
    let keys: Vec<_> = pictures
        .iter()
        .filter(|it| it.is_key)
        .map(|it| it.pts)
        .collect();
    let keys_of_source = of_source.iter().filter(|it| it.is_key).map(|it| it.pts);
    assert_eq!(keys, keys_of_source.collect::<Vec<_>>());
    let alone = packets(folder, &rung[rung.len() / 2], "v");
    assert!(alone[0].is_key && alone.len() == SEGMENT * RATE);
}
