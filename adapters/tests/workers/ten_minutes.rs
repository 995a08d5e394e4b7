//! Ten minutes of a source through a ladder of three rungs, on two workers of which one is killed: what comes out
//! is exact from the first packet to the last.

use crate::media::{Packet, packets};
use crate::node::{OrderingNode, WorkerProcess, name, work};
use crate::support::redis_server::RedisServer;
use futures_util::StreamExt;
use hls_relay::store::{Content, Store};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Or as many as `SOURCE_SECONDS` says.
const SECONDS: usize = 600;
const SEGMENT: usize = 4;
const RUNGS: [(u32, u64); 3] = [(108, 90_000), (80, 70_000), (64, 50_000)];
/// Those under way at once; a live channel has two.
const AT_ONCE: usize = 4;

fn seconds() -> usize {
    let said = std::env::var("SOURCE_SECONDS").ok();
    said.map_or(SECONDS, |it| it.parse().expect("a number of seconds"))
}

/// Pictures with B-frames, and sound whose frames do not end where pictures do.
fn source(folder: &Path) -> Vec<Vec<u8>> {
    let seconds = seconds();
    let picture = format!("testsrc2=size=192x108:rate=10:duration={seconds}");
    let sound = format!("sine=frequency=400:sample_rate=44100:duration={seconds}");
    let encode = "-c:v libx264 -preset ultrafast -bf 2 -g 40 -keyint_min 40 -sc_threshold 0 -c:a aac -b:a 48k \
                  -muxdelay 0 -muxpreload 0 -f hls -hls_time 4 -hls_list_size 0 index.m3u8";
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

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_on_two_workers_while_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let segments = source(folder.path());
    assert_eq!(segments.len(), seconds() / SEGMENT);
    let redis = RedisServer::start();
    let node = OrderingNode::start(&redis, Store::memory()).await;
    let mut killed = WorkerProcess::start(&redis, "one", &["--slots", "2"]);
    let staying = WorkerProcess::start(&redis, "two", &["--slots", "1"]);
    node.until_workers(2).await;

    let begun = Instant::now();
    let inputs = 0..segments.len();
    let made = futures_util::stream::iter(inputs.map(|at| {
        let (node, segments) = (node.clone(), &segments);
        async move {
            // The one before is put there by its own work, or by this one: the bytes are the same.
            let before = at.checked_sub(1).map(|it| format!("{it}.ts"));
            if let Some(before) = &before
                && node.store.get(before).is_none()
            {
                node.put(before, &segments[at - 1]).await;
            }
            let input = format!("{at}.ts");
            node.put(&input, &segments[at]).await;
            let work = work(&input, before.as_deref(), &RUNGS);
            let made = node.transcode(&work).await;
            let made = made.unwrap_or_else(|error| panic!("segment {at}: {error}"));
            assert!(made.rungs.iter().all(Result::is_ok), "{at}: {made:?}");
            at
        }
    }));
    let mut made = made.buffer_unordered(AT_ONCE);
    let mut count = 0;
    while let Some(at) = made.next().await {
        count += 1;
        // In the middle of it, with work in its hands.
        if count == segments.len() / 3 {
            killed.child.kill().unwrap();
            println!("a worker is killed after {count} segments, at segment {at}");
        }
    }
    let took = begun.elapsed();
    println!(
        "{} s of source in {took:.1?}, {:.0} times as fast",
        seconds(),
        seconds() as f64 / took.as_secs_f64()
    );
    killed.child.wait().unwrap();
    let log = staying.log();
    assert!(
        log.contains("attempt=2"),
        "nothing was in its hands:\n{log}"
    );
    let left = node.queue.look().await.unwrap();
    assert_eq!((left.waiting, left.under_way), (0, 0), "{left:?}");

    let whole = segments.concat();
    for (height, _) in RUNGS {
        let rung: Vec<_> = (0..segments.len())
            .map(|at| bytes(&node.store, &format!("{height}-{at}.ts.ts")))
            .collect();
        is_exact(folder.path(), &whole, &rung);
    }
}

fn bytes(store: &Store, object: &str) -> Vec<u8> {
    match store.get(&name(object).0).unwrap().content {
        Content::Memory(bytes) => bytes.to_vec(),
        Content::File(path) => std::fs::read(path).unwrap(),
    }
}

fn is_exact(folder: &Path, source: &[u8], rung: &[Vec<u8>]) {
    let times = |of: &[Packet]| {
        let mut times: Vec<_> = of.iter().map(|it| it.pts).collect();
        times.sort_unstable();
        times
    };
    let whole = rung.concat();
    let (pictures, sound) = (packets(folder, &whole, "v"), packets(folder, &whole, "a"));
    let of_source = packets(folder, source, "v");
    assert_eq!(of_source.len(), seconds() * 10);
    // As many, at the same times to the tick, and decoded one after the other.
    assert_eq!(times(&pictures), times(&of_source));
    assert!(pictures.iter().all(|it| it.dts <= it.pts));
    assert!(pictures.windows(2).all(|pair| pair[0].dts < pair[1].dts));
    // Byte for byte, at the same times: so picture and sound are as far apart as ever.
    let sound_of_source = packets(folder, source, "a");
    assert!(sound_of_source.len() > seconds() * 43);
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
    assert!(alone[0].is_key && alone.len() == SEGMENT * 10);
}
