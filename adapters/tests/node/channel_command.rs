//! `hls-relay channel`, as people and scripts use it.

use crate::operator::Node;
use crate::support::binary::{Relay, command};
use crate::viewers::origin;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Exit code, what was said, and what was complained of.
fn channel(node: &Node, args: &[&str]) -> (i32, String, String) {
    let mut asked = command(&["channel"]);
    let output = asked
        .args(args)
        .args(["--api", &node.api])
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

fn well(node: &Node, args: &[&str]) -> String {
    let (code, said, error) = channel(node, args);
    assert_eq!(code, 0, "{args:?}: {error}");
    said
}

fn json(node: &Node, args: &[&str]) -> Value {
    let said = well(node, &[args, &["--json"]].concat());
    serde_json::from_str(&said).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_added_changed_stopped_run_and_removed() {
    let source = origin(20).await;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let secretive = "Authorization: Bearer hunter2";
    let add = [
        "add",
        "news",
        &source.url(),
        "--window",
        "6",
        "--header",
        secretive,
    ];
    let said = well(&node, &add);
    assert!(said.starts_with("news: should run (revision "), "{said}");
    node.until_state("news", "live").await;
    let said = well(&node, &["show", "news"]);
    for words in [
        "should          run (revision ",
        "is              live: segments are relayed",
        "source in use   0: http://127.0.0.1:",
        "generation      1 (has taken revision ",
        "newest segment  ",
        "media sequence number ",
        "delay           ",
        "holes           0 in ",
        "headers [\"Authorization: ***\"]",
        "viewers         /news/index.m3u8",
    ] {
        assert!(said.contains(words), "{words} in\n{said}");
    }
    assert!(!said.contains("hunter2"));

    // A secret that is not shown goes to nobody new.
    let dead = "http://127.0.0.1:9/other.m3u8";
    let backup = ["set", "news", "--backup", dead];
    let (code, _, said) = channel(&node, &backup);
    assert_eq!(code, 2, "{said}");
    for words in ["headers[0]", "http://127.0.0.1:9 ", "write it out"] {
        assert!(said.contains(words), "{words} in\n{said}");
    }

    // What is not said stays, also what is not shown.
    well(&node, &[&backup[..], &["--header", secretive]].concat());
    let said = json(&node, &["set", "news", "--hole", "discontinuity"]);
    let spec = &said["spec"];
    assert_eq!(spec["sources"].as_array().unwrap().len(), 2, "{spec}");
    assert_eq!(spec["window"], 6);
    assert_eq!(spec["hole"], "discontinuity");
    assert_eq!(spec["headers"][0], "Authorization: ***");

    assert!(well(&node, &["stop", "news"]).starts_with("news: should stop"));
    node.until_state("news", "stopped").await;
    let said = well(&node, &["ls"]);
    let line = said.lines().nth(1).unwrap();
    assert!(line.starts_with("news     stop    stopped"), "{said}");
    assert!(well(&node, &["run", "news"]).starts_with("news: should run"));
    node.until_state("news", "live").await;
    assert_eq!(well(&node, &["rm", "news"]), "news: removed\n");
    assert_eq!(json(&node, &["ls"])["channels"], Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_has_its_exit_code_and_words() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let source = "http://127.0.0.1:9/live.m3u8";
    well(&node, &["add", "news", source]);
    for (args, exit, words) in [
        (&["show", "none"][..], 6, "none: there is no such channel"),
        (
            &["set", "none", "--window", "7"],
            6,
            "there is no such channel",
        ),
        (&["rm", "none"], 6, "there is no such channel"),
        (
            &["add", "news", source],
            7,
            "there is such a channel already",
        ),
        (&["add", "a/b", source], 2, "a name has 1 to 64"),
        (&["add", "b", "live.m3u8"], 2, "this is no URL"),
        (&["set", "news", "--window", "5"], 2, "from 6 to"),
        (
            &["set", "news", source, "--backup", source],
            2,
            "spec.sources[1]",
        ),
        (
            &["set", "news", "--header-for", "b", "X: 1"],
            2,
            "spec.headers_for.b",
        ),
    ] {
        let (code, _, error) = channel(&node, args);
        assert_eq!(code, exit, "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
    // Viewers are answered there, and nobody else.
    for args in [&["ls"][..], &["show", "news"]] {
        let mut elsewhere = command(&["channel"]);
        let elsewhere = elsewhere.args(args).args(["--api", node.address()]);
        let output = elsewhere.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(8), "{error}");
        for words in ["404 Not Found", "--api"] {
            assert!(error.contains(words), "{words} in {error}");
        }
    }
    let nobody = command(&["channel", "ls", "--api", "http://127.0.0.1:9"]);
    let output = { nobody }.output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("is 'hls-relay node' running there?"),
        "{error}"
    );
    let output = command(&["channel", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for words in [
        "Examples:",
        "hls-relay channel watch",
        "HLS_RELAY_API_TOKEN",
        "Exit codes:",
    ] {
        assert!(help.contains(words), "{words} in\n{help}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_token_is_told_where_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let mut args = command(&["node", "--data", &data, "--api-listen", "127.0.0.1:0"]);
    let (variable, token) = ("HLS_RELAY_API_TOKEN", "0123456789abcdef");
    args.env(variable, token);
    let node = Node::of(Relay::spawn(args));
    for (given, exit) in [(None, 8), (Some("0123456789abcdeF"), 8), (Some(token), 0)] {
        let mut asked = command(&["channel", "ls", "--api", &node.api]);
        if let Some(given) = given {
            asked.env(variable, given);
        }
        let output = asked.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{error}");
        assert_eq!(error.contains(variable), exit == 8, "{error}");
        assert!(
            !error.contains("Bearer") && !error.contains("0123"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_is_told_each_change() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path(), &[]);
    let source = "http://127.0.0.1:9/live.m3u8";
    well(&node, &["add", "news", source]);
    let mut watching = command(&["channel", "watch", "--api", &node.api]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = |words: &str| {
        let line = lines.find(|line| line.as_ref().unwrap().contains(words));
        line.unwrap_or_else(|| panic!("no {words}")).unwrap()
    };
    let line = next("news: ");
    assert!(line.contains("should run (revision "), "{line}");
    well(&node, &["stop", "news"]);
    let line = next("should stop");
    assert!(line.contains("news: "), "{line}");
    well(&node, &["rm", "news"]);
    next("news: removed");
    watching.kill().unwrap();
    watching.wait().unwrap();
}
