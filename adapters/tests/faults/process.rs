//! What happens to the relay's own process: it is killed, its disk is full, its port is taken.

use super::TARGET;
use super::stage::channel::{Stage, spec};
use super::stage::relay::{self, Relay, any_address};
use super::stage::small_disk::SmallDisk;
use super::stage::story::TOLERANCE;
use hls_relay::origin_server::OriginServer;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Killed without warning and begun again after some seconds: media sequence and discontinuity
/// sequence go on and no listed segment changes (the viewer, who was there all the time, complains if
/// not); at most one discontinuity.
async fn killed_for(seconds: u64, store: Option<&Path>, state: &Path) {
    let mut arguments = vec!["--state", state.to_str().unwrap()];
    if let Some(store) = store {
        arguments.extend(["--store", store.to_str().unwrap()]);
    }
    let mut stage = Stage::open_with(vec![spec()], &arguments).await;
    stage.steady().await;
    stage.run(4).await;
    let before = stage.viewer.watched();
    stage.kill_relay();
    if store.is_none() {
        stage.viewer.media_died();
    }
    stage.run(seconds).await;
    let back = stage.now();
    stage.start_relay().await;
    stage.run(10).await;
    let mut story = stage.close().await;

    story.check_said("restored", "going on from the checkpoint");
    let last = before.versions.last().unwrap().1.last();
    let after = story.watched.versions.iter().find(|(at, _)| *at >= back);
    let goes_on = after.is_some_and(|(_, version)| version.last() >= last);
    story.check(
        goes_on,
        format!("S-70: number {last} was the last before, and after: {after:?}"),
    );
    let breaks = story.breaks();
    story.check(
        breaks.len() <= 1,
        format!("discontinuities before {breaks:?}"),
    );
    story.check_relayed_if_listed_at(back + TARGET);
    story.check_recovery(back, TARGET);
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_segments_in_memory() {
    let state = TempDir::new().unwrap();
    killed_for(3, None, state.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_segments_in_a_folder() {
    let (state, store) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    killed_for(3, Some(store.path()), state.path()).await;
}

/// Longer than the source's window.
#[tokio::test(flavor = "multi_thread")]
async fn killed_for_20_s_with_segments_in_memory() {
    let state = TempDir::new().unwrap();
    killed_for(20, None, state.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_for_20_s_with_segments_in_a_folder() {
    let (state, store) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    killed_for(20, Some(store.path()), state.path()).await;
}

/// 503 with Retry-After, and no processor time: a player that waits comes back by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_past_and_a_source_that_is_down() {
    let origin = OriginServer::start(spec(), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let source = origin.url();
    drop(origin);
    let mut relay = Relay::start(&source, any_address(), &[], Instant::now());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..20 {
        let answer = client.get(&relay.url).send().await.unwrap();
        assert_eq!(answer.status(), 503, "before a first playlist");
        assert!(answer.headers().contains_key("retry-after"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let cost = relay.cost();
    assert!(cost.processor < relay.age() / 8, "{cost:?}");
    let failed = relay
        .log()
        .into_iter()
        .find(|line| line.kind == "playlist_failed");
    assert!(failed.is_some_and(|line| line.message.contains("cannot connect")));
    assert!(
        tokio::task::spawn_blocking(move || relay.end())
            .await
            .unwrap()
            .success()
    );
}

#[test]
fn the_port_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = relay::command();
    command.args([
        "relay",
        "http://127.0.0.1:9/live.m3u8",
        "--listen",
        &address,
    ]);
    let (status, said) = run_to_its_end(command);
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(
        said.contains(&address) && said.contains("--listen"),
        "{said}"
    );
}

fn run_to_its_end(mut command: Command) -> (ExitStatus, String) {
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            panic!("it goes on, without its port");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (status, said)
}

/// Full for ten seconds: the operator is told, the relay lives, viewers keep the last playlist, and
/// once there is room all goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_store_is_full() {
    let disk = SmallDisk::new(3);
    let folder = disk.path();
    let stage = Stage::open_with(vec![spec()], &["--store", folder.to_str().unwrap()]).await;
    stage.steady().await;
    let process = stage.relay.as_ref().unwrap().process_id();
    disk.fill(process);
    stage.run(10).await;
    disk.empty(process);
    let cured = stage.now();
    stage.run(8).await;
    let mut story = stage.close().await;
    story.check_recovery(cured, TARGET);
    story.check_relayed_if_listed_at(cured + TARGET);
    let said = story.log.iter().any(|line| line.message.contains("store"));
    story.check(said, "the operator is not told of the store");
    story.check(
        !matches!(disk, SmallDisk::Mounted(_))
            || story
                .log
                .iter()
                .any(|line| line.message.contains("no space left")),
        "the operator is not told that there is no space left",
    );
    story.end();
}

/// The checkpoint cannot be saved: the operator is told, and viewers notice nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_state_is_full() {
    let disk = SmallDisk::new(3);
    let folder = disk.path();
    let stage = Stage::open_with(vec![spec()], &["--state", folder.to_str().unwrap()]).await;
    stage.steady().await;
    let process = stage.relay.as_ref().unwrap().process_id();
    disk.fill(process);
    stage.run(10).await;
    disk.empty(process);
    stage.run(4).await;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(0);
    let late = story
        .timeline
        .windows(2)
        .map(|pair| pair[1].listed_at - pair[0].listed_at)
        .max();
    story.check(
        late.is_some_and(|late| late <= TARGET * 3 / 2 + TOLERANCE),
        format!("viewers waited {late:?} for a segment"),
    );
    let told = story
        .log
        .iter()
        .any(|line| line.level == "ERROR" && line.message.contains("checkpoint"));
    story.check(told, "the operator is not told of the checkpoint");
    story.end();
}

/// The recording stops and says so once; viewers notice nothing, and once there is room it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_journal_is_full() {
    let disk = SmallDisk::new(3);
    let folder = disk.path();
    let stage = Stage::open_with(vec![spec()], &["--journal", folder.to_str().unwrap()]).await;
    stage.steady().await;
    let process = stage.relay.as_ref().unwrap().process_id();
    disk.fill(process);
    stage.run(10).await;
    disk.empty(process);
    // It is tried again every 10 s, and written every 5 s.
    stage.run(18).await;
    let mut story = stage.close().await;
    story.check_no_holes();
    story.check_breaks_are(0);
    story.check_relayed_if_listed_at(Duration::ZERO);
    for words in [
        "the journal cannot be written",
        "the journal is recorded again",
    ] {
        let lines = story.log.iter();
        let said = lines.filter(|line| line.message.contains(words)).count();
        story.check(said == 1, format!("\"{words}\" is said {said} times"));
    }
    story.end();
}

/// A folder that cannot be written to is said at the start, and it is left with a reason.
#[test]
fn the_store_cannot_be_used() {
    let mut command = relay::command();
    // A file where a folder has to be: also root cannot write below it.
    let file = tempfile::NamedTempFile::new().unwrap();
    let address = any_address().to_string();
    command.args([
        "relay",
        "http://127.0.0.1:9/live.m3u8",
        "--listen",
        &address,
        "--store",
    ]);
    command.arg(file.path());
    let (status, said) = run_to_its_end(command);
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("--store"), "{said}");
}
