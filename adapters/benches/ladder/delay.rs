//! What a ladder adds to the delay of a channel: two channels of one live source on one node, with the ladder and
//! without, and a viewer who looks at both all the while.
//!
//! For each segment: from when the node fetched it to when viewers see it, less what that takes without a ladder.
//! It may be as long as its rungs took to make, and 200 ms more.

use crate::binary::{Relay, command};
use crate::live_segments::{LiveSegments, Shown};
use crate::{RUNGS, SEGMENT_SECONDS, read};
use hls_relay_core::playlist::{MediaPlaylist, Playlist, parse};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// What may be added beside the making.
const MOST_BESIDE: f64 = 0.2;
/// Those that are there from the start come at once.
const FIRST: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A segment of the channel with the ladder.
struct Listed {
    /// From its fetch to its listing, in seconds, with the ladder and without.
    with: f64,
    without: f64,
    /// What its rungs took, waiting included.
    made: f64,
}

/// Prints what was added and what may be; whether it is no more than that, for each segment.
pub(crate) async fn measure(folder: &Path, segments: usize) -> bool {
    let listed = watch(folder, segments).await;
    let mut worst = f64::NEG_INFINITY;
    println!("delay that the ladder adds to each segment, and what it may, in seconds:");
    for Listed {
        with,
        without,
        made,
    } in &listed
    {
        let (added, bound) = (with - without, made + MOST_BESIDE);
        worst = worst.max(added - made);
        println!("  {added:6.3}   at most {bound:6.3} ({made:.3} to make its rungs)");
    }
    let holds = listed.len() + FIRST + 1 >= segments && worst <= MOST_BESIDE;
    println!(
        "  beside the making, at most {worst:.3} of the {} segments  (at most {MOST_BESIDE:.3} is wanted): {}",
        listed.len(),
        if holds { "holds" } else { "DOES NOT HOLD" }
    );
    holds
}

async fn watch(folder: &Path, segments: usize) -> Vec<Listed> {
    let source = (0..segments).map(|it| read(folder, &format!("{it}.ts")));
    let lasts = Duration::from_secs(SEGMENT_SECONDS as u64);
    let shown = Shown {
        lasts,
        every: lasts,
        first: FIRST,
        window: 6,
    };
    let origin = LiveSegments::start(source.collect(), shown).await;
    let data = folder.join("data").display().to_string();
    let node = command(&["node", "--data", &data, "--api-listen", "127.0.0.1:0"]);
    let node = Relay::spawn(node);
    node.wait_for_log(" api=");
    let log = node.log();
    let api = log
        .split_once(" api=")
        .and_then(|it| it.1.split_whitespace().next());
    let api = api.expect("it says where its API is").to_owned();
    let client = reqwest::Client::new();
    let rungs = RUNGS.map(|(height, bitrate)| json!({ "height": height, "bitrate": bitrate }));
    for (channel, ladder) in [("plain", None), ("ladder", Some(rungs))] {
        let mut spec = json!({ "sources": [format!("{}/{channel}/index.m3u8", origin.address)] });
        if let Some(rungs) = ladder {
            spec["ladder"] = json!(rungs);
        }
        let put = client.put(format!("{api}/api/v1/channels/{channel}"));
        let body = json!({ "spec": spec }).to_string();
        let answer = put.body(body).send().await.expect("the node answers");
        assert!(answer.status().is_success(), "{answer:?}");
    }
    let list = |name: &str| format!("{}/{name}", node.address);
    let lists = [list("plain/index.m3u8"), list("ladder/source.m3u8")];
    let mut seen: [Vec<Instant>; 2] = Default::default();
    let mut firsts = [None; 2];
    let mut made: Vec<Option<f64>> = Vec::new();
    let mut missed_before = 0;
    let begun = Instant::now();
    let patience = lasts * (segments as u32 + 5);
    while seen.iter().any(|it| it.len() < segments) && begun.elapsed() < patience {
        for ((list, seen), first) in lists.iter().zip(&mut seen).zip(&mut firsts) {
            if let Some(list) = media(&client, list).await {
                let first = *first.get_or_insert(list.media_sequence);
                let count = (list.end_media_sequence() - first) as usize;
                seen.resize(count, Instant::now());
            }
        }
        if let Some(Newest {
            made: whole,
            missed,
            took,
        }) = newest(&client, &api).await
        {
            // Those that are there from the start may be too many at once: the last of them is a hole.
            made.resize(made.len() + missed - missed_before, None);
            made.resize(whole + missed, Some(took));
            missed_before = missed;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let since = |place: usize, channel: &str, segment: usize| {
        let seen = seen[place].get(segment)?;
        Some((*seen - origin.fetched(channel, segment)?).as_secs_f64())
    };
    let segments = (FIRST..segments).filter_map(|it| {
        Some(Listed {
            with: since(1, "ladder", it)?,
            without: since(0, "plain", it)?,
            made: (*made.get(it)?)?,
        })
    });
    segments.collect()
}

async fn media(client: &reqwest::Client, url: &str) -> Option<MediaPlaylist> {
    let answer = client.get(url).send().await.ok()?.bytes().await.ok()?;
    match parse(&answer) {
        Ok(Playlist::Media(list)) => Some(list),
        Ok(Playlist::Multivariant(_)) | Err(_) => None,
    }
}

/// How many segments have their rungs and how many do without them, and what those of the newest took.
struct Newest {
    made: usize,
    missed: usize,
    took: f64,
}

async fn newest(client: &reqwest::Client, api: &str) -> Option<Newest> {
    let url = format!("{api}/api/v1/channels/ladder");
    let answer = client.get(url).send().await.ok()?.text().await.ok()?;
    let shown: Value = serde_json::from_str(&answer).ok()?;
    let making = &shown["observed"]["making"];
    let number = |name: &str| making[name].as_u64();
    let count = |name: &str| usize::try_from(number(name)?).ok();
    Some(Newest {
        made: count("made")?,
        missed: count("missed")?,
        took: (number("waited_ms")? + number("took_ms")?) as f64 / 1_000.0,
    })
}
