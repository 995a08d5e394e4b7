//! Channels side by side: what is wrong with one is that one's affair, and all outlive the process.

use crate::support::binary::{Relay, command};
use crate::support::raw_server::{Act, RawServer};
use crate::viewers::{origin, playlist, until};
use std::path::Path;
use std::time::{Duration, Instant};

/// A node with these channels, keeping its data in this folder.
fn start(folder: &Path, channels: &[(&str, &str)]) -> Relay {
    let listed = channels.iter().map(|(id, source)| {
        format!("[[channel]]\nid = \"{id}\"\nsources = [\"{source}\"]\nwindow = 6\n")
    });
    let file = folder.join("node.toml");
    let journal = format!("journal = \"{}\"\n", folder.join("journal").display());
    std::fs::write(&file, journal + &listed.collect::<String>()).unwrap();
    let (file, data) = (file.display().to_string(), folder.join("data"));
    let data = data.display().to_string();
    let api = ["--api-listen", "127.0.0.1:0"];
    Relay::start(&[&["node", "--config", &file, "--data", &data], &api[..]].concat())
}

/// Never ends, and every line of it is worth something.
fn endless() -> Vec<Act> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n#EXT-X-TARGETDURATION:1\n";
    let segments = "#EXTINF:1,\nx.ts\n".repeat(4_000);
    vec![Act::Send(head.to_vec()), Act::Flood(segments.into_bytes())]
}

/// A byte now and then.
fn dripping() -> Vec<Act> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n#EXTM3U\n";
    let drip = [
        Act::Send(b"#".to_vec()),
        Act::Pause(Duration::from_millis(200)),
    ];
    let mut acts = vec![Act::Send(head.to_vec())];
    acts.extend(drip.iter().cycle().take(400).cloned());
    acts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_channels_harm_no_other_one() {
    let good = origin(20).await;
    let (flood, drip) = (
        RawServer::start(|_| endless()).await,
        RawServer::start(|_| dripping()).await,
    );
    let folder = tempfile::tempdir().unwrap();
    let relay = start(
        folder.path(),
        &[
            ("dead", "http://127.0.0.1:9/live.m3u8"),
            ("drip", &drip.url("/live.m3u8")),
            ("flood", &flood.url("/live.m3u8")),
            ("good", &good.url()),
        ],
    );
    let first = until(&relay.address, "good", || relay.log(), |_| true).await;
    let began = Instant::now();
    let mut newest = first.entries.last().unwrap().number;
    let mut grown_at = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        let (_, now) = playlist(&relay.address, "good").await;
        let now = now.unwrap().entries.last().unwrap().number;
        if now > newest {
            (newest, grown_at) = (now, Instant::now());
        }
        let silent = grown_at.elapsed();
        assert!(
            silent < Duration::from_secs(3),
            "{silent:?}\n{}",
            relay.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for hostile in ["dead", "drip", "flood"] {
        assert_eq!(playlist(&relay.address, hostile).await.0, 503, "{hostile}");
        let line = format!("channel=\"{hostile}\"");
        assert!(relay.log().contains(&line), "{}", relay.log());
    }
    assert_eq!(playlist(&relay.address, "none").await.0, 404);
    relay.signal("TERM");
    let (status, log) = relay.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("finished"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_each_channel_goes_on_with_its_numbers() {
    let (one, two) = (origin(20).await, origin(7_000).await);
    let (one, two) = (one.url(), two.url());
    let channels = [("one", &*one), ("two", &*two)];
    let folder = tempfile::tempdir().unwrap();
    let relay = start(folder.path(), &channels);
    let mut newest = Vec::new();
    for (channel, _) in channels {
        let list = until(&relay.address, channel, || relay.log(), |_| true).await;
        newest.push(list.entries.last().unwrap().clone());
    }
    drop(relay);
    let relay = start(folder.path(), &channels);
    for ((channel, _), before) in channels.iter().zip(newest) {
        let list = until(&relay.address, channel, || relay.log(), |_| true).await;
        // Media of the same date has the same number, and goes on without a break.
        let same = list.entries.iter().find(|it| it.number == before.number);
        let same = same.unwrap_or_else(|| panic!("no {} in {}", before.number, list.text));
        assert_eq!(same.lines, before.lines, "{channel}");
        assert!(!before.lines.is_empty() && !list.text.contains("#EXT-X-DISCONTINUITY\n"));
    }
    relay.signal("TERM");
    let (status, log) = relay.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    // Both lives of each are in its journal, and come to the same again.
    for (channel, _) in channels {
        let journal = folder.path().join("journal").join(channel);
        let replayed = command(&["replay"]).arg(journal).output().unwrap();
        let said = String::from_utf8_lossy(&replayed.stderr);
        assert!(replayed.status.success(), "{channel}: {said}");
    }
}

/// Numbers end at 2^64: a machine that gets there breaks, in a build that checks arithmetic.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_whose_machine_breaks_breaks_alone() {
    let source = origin(20).await;
    let url = source.url();
    let channels = [("bad", &*url), ("good", &*url)];
    let folder = tempfile::tempdir().unwrap();
    let relay = start(folder.path(), &channels);
    for (channel, _) in channels {
        until(&relay.address, channel, || relay.log(), |_| true).await;
    }
    relay.signal("TERM");
    relay.wait();
    let state = folder.path().join("data/state/bad.json");
    let saved = std::fs::read(&state).unwrap();
    let mut saved: serde_json::Value = serde_json::from_slice(&saved).unwrap();
    saved["tracks"][0]["media_sequence"] = u64::MAX.into();
    std::fs::write(&state, saved.to_string()).unwrap();

    let relay = start(folder.path(), &channels);
    let list = until(&relay.address, "good", || relay.log(), |_| true).await;
    let first = list.entries.last().unwrap().number;
    until(
        &relay.address,
        "good",
        || relay.log(),
        |it| it.entries.last().unwrap().number > first + 3,
    )
    .await;
    let log = relay.log();
    let broke = log
        .matches("going on from the checkpoint channel=\"bad\"")
        .count();
    assert!(broke >= 2, "{log}");
    assert!(!log.contains("checkpoint channel=\"good\""), "{log}");
    relay.signal("TERM");
    assert_eq!(relay.wait().0.code(), Some(0));
}

/// However many channels ask one origin, and however long it takes to answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_origin_is_asked_sixteen_times_at_once_at_most() {
    let silent = RawServer::always(vec![Act::Hang]).await;
    let names: Vec<_> = (0..30).map(|number| format!("channel-{number}")).collect();
    let urls: Vec<_> = names
        .iter()
        .map(|name| silent.url(&format!("/{name}.m3u8")))
        .collect();
    let channels = names.iter().zip(&urls);
    let channels: Vec<_> = channels.map(|(name, url)| (&**name, &**url)).collect();
    let folder = tempfile::tempdir().unwrap();
    let _relay = start(folder.path(), &channels);
    let began = Instant::now();
    // An answer is waited for three seconds, a turn as long.
    while began.elapsed() < Duration::from_secs(2) {
        assert!(silent.asked().len() <= 16 && silent.connections() <= 16);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(silent.asked().len(), 16);
    // Then it is the others' turn.
    while silent.asked().len() < 30 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_channel_that_has_not_begun_nobody_hears_that_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (0..300).map(|it| format!("c{it}")).collect();
    let dead = "http://127.0.0.1:9/live.m3u8";
    let channels: Vec<_> = ids.iter().map(|id| (&**id, dead)).collect();
    let relay = start(folder.path(), &channels);
    // Those that the node comes to last.
    for id in ids.iter().rev().take(20) {
        assert_eq!(playlist(&relay.address, id).await.0, 503, "{id}");
    }
}
