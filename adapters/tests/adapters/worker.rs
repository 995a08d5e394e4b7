//! Commands in, exactly one completion each out.

use crate::checkpoint_file::checkpoint;
use crate::fetch::{LIMITS, access};
use crate::support::raw_server::{Act, RawServer, head, ok};
use hls_relay::checkpoint_file::{CheckpointFile, Found};
use hls_relay::fetch::Fetcher;
use hls_relay::output::{Output, Shown};
use hls_relay::store::Store;
use hls_relay::worker::{Channel, Kept, Worker};
use hls_relay_core::command::{
    Command, Content, Download, LoadPlaylist, Publish, PublishedPlaylist,
};
use hls_relay_core::event::{Event, FetchError};
use hls_relay_core::ids::{Epoch, Generation, ObjectName, PlaylistName, RequestId};
use hls_relay_core::notice::Notice;
use hls_relay_core::time::Span;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EPOCH: Epoch = Epoch(1);
const GENERATION: Generation = Generation(1);

/// Hands for a channel whose only source is this server.
fn worker(server: &RawServer, store: Store, file: Option<CheckpointFile>) -> (Worker, Arc<Output>) {
    let output = Arc::new(Output::new(store));
    let channel = Channel::new(
        "news".into(),
        Fetcher::new(),
        output.clone(),
        file.map_or(Kept::Nowhere, Kept::InFile),
    );
    let mut worker = Worker::new(Arc::new(channel), EPOCH, None);
    worker.expect(5, vec![Arc::new(access(&server.url("/live.m3u8")))].into());
    (worker, output)
}

fn load(server: &RawServer, request: u64) -> Command {
    Command::LoadPlaylist(LoadPlaylist {
        request: RequestId(request),
        generation: GENERATION,
        epoch: EPOCH,
        source: 0,
        url: server.url("/live.m3u8").into(),
        etag: None,
        limits: LIMITS,
    })
}

fn download(server: &RawServer, request: u64, object: &str) -> Command {
    Command::Download(Download {
        request: RequestId(request),
        generation: GENERATION,
        epoch: EPOCH,
        source: 0,
        url: server.url("/1.ts").into(),
        content: Content::Segment,
        byte_range: None,
        decrypt: None,
        look: false,
        may_be_empty: false,
        object: ObjectName(object.into()),
        limits: LIMITS,
    })
}

fn publish(request: u64, text: &str) -> Command {
    Command::Publish(Publish {
        request: RequestId(request),
        generation: GENERATION,
        epoch: EPOCH,
        playlists: vec![PublishedPlaylist::entry(text)],
        max_age: Span::from_secs(1),
        segment_max_age: Span::from_secs(60),
        checkpoint: Arc::new(checkpoint(request)),
    })
}

/// As the machine says it, after the command that it makes possible.
fn configured() -> Command {
    Command::Notify(Notice::Configured {
        revision: 5,
        generation: GENERATION.0,
    })
}

fn shown(output: &Output) -> String {
    match output.shown() {
        Shown::Version(version) => {
            let entry = version.playlist(PlaylistName::ENTRY).unwrap();
            String::from_utf8(entry.plain.to_vec()).unwrap()
        }
        Shown::Nothing | Shown::Withdrawn => String::new(),
    }
}

async fn no_more(worker: &mut Worker) {
    let more = tokio::time::timeout(Duration::from_millis(100), worker.next_completion()).await;
    assert!(more.is_err(), "one completion too many: {more:?}");
}

#[tokio::test]
async fn every_command_that_starts_work_gets_one_completion() {
    let server = RawServer::always(ok(b"#EXTM3U\n")).await;
    let (mut worker, output) = worker(&server, Store::memory(), None);
    let request = RequestId;
    let mut commands = vec![
        load(&server, 1),
        configured(),
        download(&server, 2, "a-1.ts"),
        Command::CheckObjects {
            request: request(3),
            epoch: EPOCH,
            objects: Vec::new(),
            keep: Vec::new(),
        },
        publish(4, "#EXTM3U\n"),
        Command::Delete {
            request: request(5),
            epoch: EPOCH,
            objects: Vec::new(),
        },
        Command::SaveCheckpoint {
            request: request(6),
            epoch: EPOCH,
            checkpoint: Arc::new(checkpoint(1)),
        },
        Command::Withdraw {
            request: request(7),
            epoch: EPOCH,
        },
    ];
    worker.carry_out(&mut commands);
    assert!(commands.is_empty());
    let mut completed = Vec::new();
    for _ in 0..7 {
        let (request, succeeded) = match worker.next_completion().await {
            Event::PlaylistLoaded { request, outcome } => (request, outcome.is_ok()),
            Event::Downloaded { request, outcome } => (request, outcome.is_ok()),
            Event::ObjectsChecked { request, outcome } => (request, outcome.is_ok()),
            Event::Published { request, outcome }
            | Event::Deleted { request, outcome }
            | Event::CheckpointSaved { request, outcome }
            | Event::Withdrawn { request, outcome } => (request, outcome.is_ok()),
            Event::Transcoded { request, outcome } => (request, outcome.is_ok()),
            Event::Preloaded { request, outcomes } => (request, outcomes.iter().all(Result::is_ok)),
            event @ (Event::Tick | Event::Configure(_) | Event::ShutDown) => panic!("{event:?}"),
        };
        assert!(succeeded, "{request:?}");
        completed.push(request.0);
    }
    no_more(&mut worker).await;
    completed.sort_unstable();
    assert_eq!(completed, [1, 2, 3, 4, 5, 6, 7]);
    assert!(matches!(output.shown(), Shown::Withdrawn));
}

#[tokio::test]
async fn a_cancelled_request_ends_at_once_and_says_so_once() {
    let acts = vec![
        head("200 OK", "content-length: 1000\r\n"),
        Act::Send(vec![7; 10]),
        Act::Hang,
    ];
    let server = RawServer::always(acts).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::directory(folder.path(), "news").unwrap();
    let (mut worker, output) = worker(&server, store, None);
    worker.carry_out(&mut vec![
        configured(),
        load(&server, 1),
        download(&server, 2, "a-1.ts"),
    ]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    let cancel = |number| Command::Cancel {
        request: RequestId(number),
    };
    worker.carry_out(&mut vec![cancel(2), cancel(1), cancel(2), cancel(99)]);
    let mut completed = [
        worker.next_completion().await,
        worker.next_completion().await,
    ];
    completed.sort_by_key(|event| matches!(event, Event::Downloaded { .. }));
    let expected = [
        Event::PlaylistLoaded {
            request: RequestId(1),
            outcome: Err(FetchError::Cancelled),
        },
        Event::Downloaded {
            request: RequestId(2),
            outcome: Err(FetchError::Cancelled),
        },
    ];
    assert_eq!(completed, expected);
    assert!(start.elapsed() < Duration::from_millis(100));
    no_more(&mut worker).await;
    assert!(output.store().get("a-1.ts").is_none());
    assert_eq!(
        std::fs::read_dir(folder.path().join("news"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_shown_in_the_order_of_their_commands() {
    let server = RawServer::always(ok(b"")).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::directory(folder.path(), "news").unwrap();
    let (mut worker, output) = worker(&server, store, None);
    // The longer a text, the longer its way to the disk.
    let text = |number: usize| format!("#EXTM3U\n{}", "#x\n".repeat((50 - number) * 10_000));
    let mut commands = (0..50)
        .map(|number| publish(number, &text(number as usize)))
        .collect();
    worker.carry_out(&mut commands);
    for expected in 0..50 {
        let event = worker.next_completion().await;
        assert_eq!(
            event,
            Event::Published {
                request: RequestId(expected),
                outcome: Ok(())
            }
        );
    }
    assert_eq!(shown(&output), text(49));
    let file = std::fs::read_to_string(folder.path().join("news/index.m3u8")).unwrap();
    assert_eq!(file, text(49));
}

#[tokio::test]
async fn the_checkpoint_is_saved_before_its_playlist_is_shown() {
    let server = RawServer::always(ok(b"")).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = CheckpointFile::open(folder.path(), "news").unwrap();
    let (mut worker, output) = worker(&server, Store::memory(), Some(file));
    worker.carry_out(&mut vec![publish(4, "#EXTM3U\n")]);
    worker.next_completion().await;
    assert_eq!(shown(&output), "#EXTM3U\n");
    drop((worker, output));
    let (_file, found) = CheckpointFile::open(folder.path(), "news").unwrap();
    let Found::Checkpoint(found) = found else {
        panic!("{found:?}")
    };
    assert_eq!(*found, checkpoint(4));
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_saved_does_not_stop_the_playlist() {
    let server = RawServer::always(ok(b"")).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = CheckpointFile::open(folder.path(), "news").unwrap();
    // Nobody, not even root, replaces a folder by a file.
    std::fs::create_dir(folder.path().join("news.json")).unwrap();
    let (mut worker, output) = worker(&server, Store::memory(), Some(file));
    worker.carry_out(&mut vec![publish(4, "#EXTM3U\n")]);
    let event = worker.next_completion().await;
    assert_eq!(
        event,
        Event::Published {
            request: RequestId(4),
            outcome: Ok(())
        }
    );
    assert_eq!(shown(&output), "#EXTM3U\n");
}

#[tokio::test]
async fn what_was_abandoned_reports_to_nobody() {
    let server = RawServer::always(vec![Act::Hang]).await;
    let (mut worker, _output) = worker(&server, Store::memory(), None);
    worker.carry_out(&mut vec![
        configured(),
        load(&server, 1),
        download(&server, 2, "a-1.ts"),
    ]);
    let start = Instant::now();
    worker.abandon().await;
    assert!(start.elapsed() < Duration::from_millis(500));
    no_more(&mut worker).await;
}
