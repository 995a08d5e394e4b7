//! The real binary with a ladder, from a live origin to what a player gets of it.

use crate::media::{decoded_pictures, packets};
use crate::processes::{processes_with, until};
use crate::stage::live_folder::{LiveFolder, Ways};
use crate::stage::relay::{Relay, command};
use std::time::{Duration, Instant};

/// A busy machine may leave rungs out for half a minute.
const PATIENCE: Duration = Duration::from_secs(100);

async fn text(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.text().await.unwrap()
}

/// The segments of a list that are no gaps, by what they are made of: their date-times.
fn segments(list: &str) -> Vec<(String, String)> {
    let (mut found, mut date, mut gap) = (Vec::new(), String::new(), false);
    for line in list.lines() {
        match line.split_once(':') {
            Some(("#EXT-X-PROGRAM-DATE-TIME", at)) => date = at.to_owned(),
            _ if line == "#EXT-X-GAP" => gap = true,
            _ if !line.starts_with('#') && !std::mem::take(&mut gap) => {
                found.push((date.clone(), line.to_owned()));
            }
            _ => {}
        }
    }
    found
}

#[tokio::test]
async fn a_ladder_from_one_command_line() {
    let ways = Ways {
        date_times: true,
        ..Ways::default()
    };
    let origin = LiveFolder::of("byterange", ways).await;
    let ladder = "128p:200004,96p";
    let relay = Relay::start_with_ladder(&origin.url(), ladder, PATIENCE).await;
    let base = relay.url.rsplit_once('/').unwrap().0.to_owned();
    let begun = Instant::now();
    let (of_source, of_rung) = loop {
        assert!(begun.elapsed() < PATIENCE, "no rung: {:#?}", relay.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
        let list = text(&relay.url).await;
        assert!(
            list.contains("RESOLUTION=170x96,FRAME-RATE=25.000"),
            "{list}"
        );
        let source = segments(&text(&format!("{base}/source.m3u8")).await);
        let rung = segments(&text(&format!("{base}/96p.m3u8")).await);
        let pair = source.iter().find_map(|(date, name)| {
            let made = rung.iter().find(|(at, _)| at == date)?;
            Some((name.clone(), made.1.clone()))
        });
        if let Some(pair) = pair {
            break pair;
        }
    };
    let bytes = |name: String| {
        let url = format!("{base}/{name}");
        async move { reqwest::get(url).await.unwrap().bytes().await.unwrap() }
    };
    let (source, rung) = (bytes(of_source).await, bytes(of_rung).await);
    let folder = tempfile::tempdir().unwrap();
    let shown = |bytes: &[u8]| {
        let packets = packets(folder.path(), bytes, "v");
        let mut times: Vec<_> = packets.iter().map(|it| it.pts).collect();
        times.sort_unstable();
        times
    };
    assert_eq!(shown(&rung), shown(&source));
    assert_eq!(decoded_pictures(folder.path(), &rung), (50, String::new()));
    assert_eq!(
        packets(folder.path(), &rung, "a"),
        packets(folder.path(), &source, "a")
    );

    // Its journal is written every five seconds, and replayed in the end.
    let rest = Duration::from_secs(8).saturating_sub(relay.age());
    tokio::time::sleep(rest).await;
    // Killed in the middle of a segment, it takes its ffmpeg along.
    let runs = || !processes_with("250005").is_empty();
    until("ffmpeg runs", PATIENCE, runs).await;
    relay.kill();
    let is_gone = || processes_with("250005").is_empty();
    let took = until("ffmpeg is gone", Duration::from_secs(1), is_gone).await;
    println!("ffmpeg is gone {took:?} after its relay");
}

#[test]
fn a_ladder_without_ffmpeg_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let relay = || {
        let mut relay = command();
        relay.env("PATH", folder.path());
        relay.args([
            "relay",
            "http://127.0.0.1:9/x.m3u8",
            "--listen",
            "127.0.0.1:0",
        ]);
        relay
    };
    let refused = relay().args(["--ladder", "240p"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(9));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("a ladder needs ffmpeg, and there is none: "),
        "{said}"
    );
    // Without one it is not needed.
    let mut plain = Relay::start_command(relay(), Instant::now());
    assert!(plain.end().success());
}
