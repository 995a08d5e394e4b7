//! What ffmpeg is kept from: living longer than the wish for its work, or than whoever wished for it.

use crate::jobs::long_job;
use crate::processes::{processes_with, until};
use crate::{get, put, tool, transcode, transcoder};
use hls_relay::store::Store;
use hls_relay::transcode::{Tool, ToolError};
use hls_relay_core::command::Transcode;
use hls_relay_core::event::TranscodeError;
use hls_relay_core::time::Span;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Work that takes many seconds; see [`long_job`].
async fn long_work(store: &Store, peak: u64) -> Transcode {
    let (bytes, work) = long_job(peak);
    put(store, "long", &bytes).await;
    work
}

#[tokio::test]
async fn what_is_cancelled_ends_at_once_and_leaves_nothing() {
    let (store, transcoder) = (Store::memory(), transcoder(1));
    let work = long_work(&store, 123_455).await;
    let cancelled = CancellationToken::new();
    let channel: Arc<str> = "test".into();
    let running = {
        let (store, work) = (store.clone(), work.clone());
        let (transcoder, cancelled) = (transcoder.clone(), cancelled.clone());
        tokio::spawn(async move {
            transcoder
                .transcode(&channel, &store, &work, &cancelled)
                .await
        })
    };
    let has_begun = || !processes_with("123455").is_empty();
    until("ffmpeg runs", Duration::from_secs(20), has_begun).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    cancelled.cancel();
    assert_eq!(
        running.await.unwrap().unwrap_err(),
        TranscodeError::Cancelled
    );
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(100),
        "cancelled within {took:?}"
    );
    let is_gone = || processes_with("123455").is_empty();
    let took = until("ffmpeg is gone", Duration::from_millis(100), is_gone).await;
    println!("ffmpeg is gone {took:?} after that");
    for rung in &work.rungs {
        assert_eq!(get(&store, &rung.object), None);
    }
    // And its slot is free again.
    let short = Transcode {
        within: Span::from_millis(50),
        ..work
    };
    let error = transcode(&transcoder, &store, &short).await.unwrap_err();
    assert_eq!(error, TranscodeError::TooSlow(Span::from_millis(50)));
}

#[tokio::test]
async fn work_that_gets_no_turn_in_time_is_told_from_work_that_is_slow() {
    let (store, transcoder) = (Store::memory(), transcoder(1));
    let work = long_work(&store, 123_465).await;
    let slot = transcoder.slots().turn(&"another".into()).await;
    let short = Transcode {
        within: Span::from_millis(50),
        ..work
    };
    let error = transcode(&transcoder, &store, &short).await.unwrap_err();
    assert!(matches!(error, TranscodeError::NoWorker(_)), "{error}");
    drop(slot);
}

#[tokio::test]
async fn an_ffmpeg_that_somebody_ends_is_a_worker_that_was_lost() {
    let (store, transcoder) = (Store::memory(), transcoder(1));
    let work = long_work(&store, 123_475).await;
    let running = {
        let store = store.clone();
        tokio::spawn(async move { transcode(&transcoder, &store, &work).await })
    };
    let mut found = Vec::new();
    until("ffmpeg runs", Duration::from_secs(20), || {
        found = processes_with("123475");
        !found.is_empty()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    kill_process(Pid::from_raw(found[0]).unwrap(), Signal::KILL).unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, TranscodeError::WorkerLost(_)), "{error}");
}

/// The relay is a shell here, which starts a guarded ffmpeg as the relay does and is killed. Nobody closes
/// the pipes of that ffmpeg, so nothing but its guard can end it.
#[tokio::test]
async fn an_ffmpeg_does_not_outlive_a_relay_that_is_killed() {
    let guard = tool().guard;
    let script = format!(
        "{} guard-an-encoder $$ 4294967296 ffmpeg -v error -nostdin -re -f lavfi -i testsrc2=size=64x66 -f null - & wait",
        guard.display()
    );
    let mut relay = Command::new("bash")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let word = "testsrc2=size=64x66";
    let is_ffmpeg = |it: &i32| {
        let name = std::fs::read_to_string(format!("/proc/{it}/comm")).unwrap_or_default();
        name.trim() == "ffmpeg"
    };
    let runs = || processes_with(word).iter().any(is_ffmpeg);
    until("ffmpeg runs", Duration::from_secs(20), runs).await;
    kill_process(Pid::from_child(&relay), Signal::KILL).unwrap();
    let is_gone = || processes_with(word).is_empty();
    let took = until("ffmpeg is gone", Duration::from_secs(1), is_gone).await;
    println!("ffmpeg is gone {took:?} after its relay");
    relay.wait().unwrap();
}

#[tokio::test]
async fn what_is_missing_is_told_by_name_with_what_installs_it() {
    let version = tool().check().await.unwrap();
    assert!(
        version.starts_with(|it: char| it.is_ascii_digit()),
        "{version}"
    );
    let missing = Tool {
        program: "/nowhere/ffmpeg".into(),
        ..tool()
    };
    let error = missing.check().await.unwrap_err();
    assert!(matches!(error, ToolError::Missing), "{error}");
    assert!(error.to_string().contains("install"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    for (says, reason) in [
        (
            "echo ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright",
            "ffmpeg 5.1, and 4.4.2-0ubuntu0.22.04.1 is the first one on the PATH",
        ),
        (
            "echo ffmpeg version 7.1 Copyright; echo ' A..... aac AAC'",
            "libx264, and the first one on the PATH was built without it",
        ),
        (
            "echo something else",
            "does not say what it is: something else",
        ),
    ] {
        let program = folder.path().join("ffmpeg");
        write_program(&program, says);
        let other = Tool { program, ..tool() };
        let error = other.check().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

fn write_program(path: &Path, says: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{says}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
