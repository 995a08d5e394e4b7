//! The life of a channel under the API: added, changed, stopped, run again, removed.

use crate::operator::{Node, spec};
use crate::stage::live_folder::{Course, LiveFolder, Ways};
use crate::viewers::{client, origin, playlist, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_source_is_one_discontinuity_and_a_dead_one_changes_nothing() {
    let (one, two) = (origin(20).await, origin(900).await);
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    node.put("news", spec(&one.url())).await;
    let log = || node.log();
    let list = until(node.address(), "news", log, |_| true).await;
    let before = list.entries.last().unwrap().number;

    // One that is dead: the old one goes on, and that is said.
    let dead = "http://127.0.0.1:9/live.m3u8";
    let changed = node.put("news", spec(dead)).await;
    let wanted = changed.body["revision"].clone();
    let tells = |words| {
        move |it: &Value| {
            let change = it["change"].as_str();
            change.is_some_and(|it| it.contains(words))
        }
    };
    let early = node.until("news", tells("cannot be loaded")).await;
    let early = early["observed"]["change"].as_str().unwrap();
    assert!(early.starts_with("preparing source 0"), "{early}");
    let told = node.until("news", tells("cannot take over")).await;
    assert_eq!(told["spec"]["sources"][0], dead);
    let observed = &told["observed"];
    assert_eq!(observed["state"], "live", "{observed}");
    assert_eq!(observed["revision"], wanted);
    let in_use = observed["source_url"].as_str().unwrap();
    assert!(one.url().starts_with(in_use), "{in_use}");
    let list = until(node.address(), "news", log, |it| {
        it.entries.last().unwrap().number > before
    })
    .await;
    assert!(
        !list.text.contains("#EXT-X-DISCONTINUITY\n"),
        "{}",
        list.text
    );

    // It is tried again and again, and told once.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let lines = |words| node.log().matches(words).count();
    let told = (lines("preparing source 0"), lines("cannot take over"));
    assert_eq!(told, (1, 1), "{}", node.log());

    // Two changes in quick succession end in the second.
    let asked = Instant::now();
    node.put("news", spec("http://127.0.0.1:9/other.m3u8"))
        .await;
    node.put("news", spec(&two.url())).await;
    let list = until(node.address(), "news", log, |it| {
        it.entries.iter().any(|it| it.discontinuity)
    })
    .await;
    let took = asked.elapsed();
    println!("the new source is listed {took:.2?} after the change");
    assert!(took < Duration::from_secs(4), "{took:?}");
    let breaks = list.entries.iter().filter(|it| it.discontinuity);
    assert_eq!(breaks.count(), 1, "{}", list.text);
    let told = node.until("news", |it| it["change"] == Value::Null).await;
    assert_eq!(told["observed"]["state"], "live");
    let in_use = told["observed"]["source_url"].as_str().unwrap();
    assert!(two.url().starts_with(in_use), "{in_use}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_has_its_time_and_runs_on_with_its_numbers() {
    let source = origin(20).await;
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("segments");
    let data = folder.path().join("data");
    let store = segments.display().to_string();
    let node = Node::start(&data, &["--store", &store]);
    let log = || node.log();
    for id in ["a", "b"] {
        node.put(id, spec(&source.url())).await;
        until(node.address(), id, log, |_| true).await;
    }
    node.desire("a", "stop").await;
    let gone = node
        .ask(Method::DELETE, "/api/v1/channels/b", &[], None)
        .await;
    assert_eq!(gone.status, 204);
    let ended = until(node.address(), "a", log, |it| it.ended).await;
    until(node.address(), "b", log, |it| it.ended).await;
    for entry in &ended.entries {
        let url = format!("{}/a/{}", node.address(), entry.uri);
        assert_eq!(client().get(url).send().await.unwrap().status(), 200);
    }
    assert_eq!(node.until_state("a", "stopped").await["desired"], "stop");

    // Run again while the list has its time: the numbers go on after a break.
    node.desire("a", "run").await;
    let last = ended.entries.last().unwrap().number;
    let again = until(node.address(), "a", log, |it| !it.ended).await;
    let first = again.entries.iter().find(|it| it.number == last + 1);
    assert!(first.is_some_and(|it| it.discontinuity), "{}", again.text);

    // Stopped and killed: after a restart it is still stopped, and ends in its time.
    node.desire("a", "stop").await;
    until(node.address(), "a", log, |it| it.ended).await;
    drop(node);
    let node = Node::start(&data, &["--store", &store]);
    node.until_state("a", "stopped").await;
    let began = Instant::now();
    while playlist(node.address(), "a").await.0 != 404 {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", node.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // All that it had published is deleted, and of what was removed nothing at all is left.
    node.until("a", |it| {
        it["reason"] == "it should stop" && it.get("tracks").is_none()
    })
    .await;
    let left = std::fs::read_dir(segments.join("a")).unwrap();
    let left: Vec<_> = left.map(|it| it.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    node.desire("a", "run").await;
    let log = || node.log();
    let again = until(node.address(), "a", log, |_| true).await;
    assert!(again.media_sequence > last, "{}", again.text);
    let state = data.join("state");
    let names = std::fs::read_dir(&state).unwrap();
    let names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
    assert!(names.iter().any(|it| it == "a.json"), "{names:?}");
    // The process that was to clear away what was removed is dead; its successor has done so.
    assert!(!names.iter().any(|it| it == "b.json"), "{names:?}");
    assert!(!segments.join("b").exists());
}

/// It is asked whether there is more of it, and of what is listed nothing is had again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_is_listed_once_however_often_it_is_run_again() {
    let ways = Ways {
        course: Course::Vod,
        ..Ways::default()
    };
    let film = LiveFolder::of("fmp4", ways).await;
    let asked = |end: &str| {
        let answered = film.answered();
        answered.iter().filter(|it| it.path.contains(end)).count()
    };
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    node.put("film", json!({ "sources": [film.url()] })).await;
    let log = || node.log();
    let whole = until(node.address(), "film", log, |it| it.ended).await;
    assert_eq!(whole.entries.len(), 16, "{}", whole.text);
    for _ in 0..2 {
        let looked = asked("/index.m3u8");
        node.desire("film", "stop").await;
        node.until_state("film", "stopped").await;
        node.desire("film", "run").await;
        let began = Instant::now();
        while asked("/index.m3u8") == looked {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", node.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What it made of the answer would be listed at once.
        tokio::time::sleep(Duration::from_millis(500)).await;
        node.until_state("film", "ended").await;
        let again = until(node.address(), "film", log, |_| true).await;
        assert_eq!(again.text, whole.text);
    }
    assert_eq!(asked(".m4s"), whole.entries.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_has_them_wait_and_a_removed_channel_leaves_nothing() {
    let source = origin(20).await;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &["--capacity", "1"]);
    let log = || node.log();
    node.put("a", spec(&source.url())).await;
    until(node.address(), "a", log, |_| true).await;
    node.put("b", spec(&source.url())).await;
    let waits = node.until_state("b", "waiting").await;
    let why = waits["observed"]["reason"].as_str().unwrap();
    assert!(why.contains("all 1 places"), "{why}");
    assert_eq!(playlist(node.address(), "b").await.0, 503);
    let gone = node
        .ask(Method::DELETE, "/api/v1/channels/a", &[], None)
        .await;
    assert_eq!(gone.status, 204);
    node.until_state("b", "live").await;
    // The list of the removed one has its time meanwhile.
    let began = Instant::now();
    while playlist(node.address(), "a").await.0 != 404 {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", node.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let state = folder.path().join("state").join("a.json");
    while state.exists() {
        assert!(began.elapsed() < Duration::from_secs(40), "{}", node.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let listed = node.get("/api/v1/channels").await.body;
    assert_eq!(listed["channels"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["channels"][0]["desired"], json!("run"));
}
