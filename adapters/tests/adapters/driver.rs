//! The loop around a machine: what it does while nothing happens, and when the machine breaks.

use crate::checkpoint_file::checkpoint;
use crate::fetch::access;
use crate::journal::run;
use crate::support::raw_server::{Act, RawServer, ok};
use hls_relay::driver::{Control, Driver};
use hls_relay::fetch::Fetcher;
use hls_relay::journal::Recorder;
use hls_relay::output::Output;
use hls_relay::store::Store;
use hls_relay::worker::{Channel, Kept, Worker};
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection, Source, Spec};
use hls_relay_core::event::{Configure, Desired};
use hls_relay_core::ids::Epoch;
use hls_relay_core::notice::State;
use hls_relay_core::relay::Status;
use hls_relay_core::tags::TagPolicy;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A driver whose channel relays this server, going on from this checkpoint.
fn drive(
    server: &RawServer,
    from: Option<Checkpoint>,
    recorder: Option<Recorder>,
) -> (JoinHandle<()>, mpsc::Sender<Control>) {
    let output = Arc::new(Output::new(Store::memory()));
    let channel = Channel::new("news".into(), Fetcher::new(), output, Kept::Nowhere);
    let worker = Worker::new(Arc::new(channel), Epoch(1), from.map(Arc::new));
    let (driver, control) = Driver::new(worker, recorder);
    let url = server.url("/live.m3u8");
    let spec = Spec {
        sources: vec![Source {
            url: url.as_str().into(),
        }],
        window: None,
        room: None,
        hole: HolePolicy::Gap,
        reload: ReloadPolicy::LastSegment,
        keys: KeyPolicy::default(),
        selection: Selection::default(),
        tags: TagPolicy::default(),
        ladder: None,
        preload: None,
    };
    let configure = Configure {
        revision: 1,
        desired: Desired::Run,
        spec: Arc::new(spec),
    };
    control
        .try_send(Control::Configure(
            configure,
            vec![Arc::new(access(&url))].into(),
        ))
        .ok()
        .unwrap();
    (tokio::spawn(driver.run()), control)
}

async fn inspect(control: &mpsc::Sender<Control>) -> Status {
    let (reply, answer) = oneshot::channel();
    control.send(Control::Inspect(reply)).await.ok().unwrap();
    answer.await.unwrap().status
}

async fn leave(driving: JoinHandle<()>, control: &mpsc::Sender<Control>) -> Duration {
    let start = Instant::now();
    control.send(Control::ShutDown).await.ok().unwrap();
    tokio::time::timeout(Duration::from_secs(8), driving)
        .await
        .unwrap()
        .unwrap();
    start.elapsed()
}

/// A source of one-second segments, one more with each reload.
async fn live_source() -> RawServer {
    let reloads = AtomicUsize::new(0);
    RawServer::start(move |asked| {
        if !asked.path.ends_with(".m3u8") {
            return ok(b"media");
        }
        let first = reloads.fetch_add(1, Ordering::Relaxed);
        let head = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        let segments = (first..first + 12).map(|number| format!("#EXTINF:1,\n{number}.ts\n"));
        ok((head + &segments.collect::<String>()).as_bytes())
    })
    .await
}

#[tokio::test]
async fn it_answers_while_nothing_happens_and_leaves_when_told() {
    let server = RawServer::always(vec![Act::Hang]).await;
    let (driving, control) = drive(&server, None, None);
    while server.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(inspect(&control).await.state, State::Starting);
    assert!(leave(driving, &control).await < Duration::from_secs(1));
    assert_eq!(server.asked().len(), 1);
}

/// Numbers end at 2^64: a machine that gets there breaks, in a build that checks arithmetic.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_machine_that_breaks_is_started_again_at_a_pace_and_can_be_told_to_leave() {
    let server = live_source().await;
    let last_number = checkpoint(u64::MAX);
    let root = tempfile::tempdir().unwrap();
    let (recorder, recorded) = Recorder::start(root.path(), &"news".into(), 1 << 20).unwrap();
    let (driving, control) = drive(&server, Some(last_number), Some(recorder));
    let start = Instant::now();
    let loads = || {
        server
            .asked()
            .iter()
            .filter(|asked| asked.path.ends_with(".m3u8"))
            .count()
    };
    // Each machine loads the playlist, and breaks when it would list the first segment.
    while loads() < 4 {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{} loads",
            loads()
        );
        assert_eq!(inspect(&control).await.segments, 0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        start.elapsed() > Duration::from_secs(3),
        "a pause before each new machine"
    );
    assert!(leave(driving, &control).await < Duration::from_secs(2));
    // Each machine has a piece of its own, and breaks in the replay as it did.
    recorded.await.unwrap_err();
    let (code, said) = run(&["replay", root.path().join("news").to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.matches("the machine breaks, as it did").count() >= 3,
        "{said}"
    );
}
