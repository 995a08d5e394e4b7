//! What a node is told by its file, the environment and the command line.

use crate::support::binary::{Relay, command};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What ends by itself does so within this.
const PATIENCE: Duration = Duration::from_secs(20);

const FILE: &str = "
listen = \"127.0.0.1:1\"
window = 3
";

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("node.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn run(command: &mut Command) -> (i32, String, String) {
    let output = ended(command);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

/// What should end at once is killed where it does not.
fn ended(command: &mut Command) -> Output {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!(
                "it does not end: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn what_is_said_later_is_stronger_and_what_is_shown_has_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let text = "listen = \"127.0.0.1:1\"\ncapacity = 1\nname = \"file\"\n
        [[channel]]\nid = \"news\"\nsources = [\"http://me:hunter2@a.example/ch?token=hunter2\"]
        headers = [\"Authorization: Bearer hunter2\"]\n";
    let file = written(folder.path(), text);
    let mut node = command(&["node", "--check", "--name", "flag", "--config"]);
    node.arg(file);
    node.env("HLS_RELAY_NAME", "environment");
    node.env("HLS_RELAY_CAPACITY", "2");
    let (code, shown, error) = run(&mut node);
    assert_eq!(code, 0, "{error}");
    for line in [
        "name = \"flag\"",
        "capacity = 2",
        "listen = \"127.0.0.1:1\"",
        "store = \"memory\"",
        "id = \"news\"",
        "sources = [\"http://***@a.example/ch?token=***\"]",
        "headers = [\"Authorization: ***\"]",
        "hole = \"gap\"",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    // How much is listed then is a matter of the source.
    assert!(!shown.contains("window"), "{shown}");
    assert!(!(shown + &error).contains("hunter2"));
}

#[test]
fn a_file_that_is_wrong_is_exit_2_with_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), FILE);
    let shown = file.display().to_string();
    let (code, _, error) = run(command(&["node", "--config"]).arg(&file));
    assert_eq!(code, 2, "{error}");
    for words in [&format!("{shown}:3: "), "unknown field `window`"] {
        assert!(error.contains(words), "{words} in {error}");
    }
    let nowhere = folder.path().join("none.toml");
    let (code, _, error) = run(command(&["node", "--config"]).arg(nowhere));
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("none.toml"), "{error}");
    let (code, _, error) = run(command(&["node", "--check"]).env("HLS_RELAY_LISTEN", "x"));
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("--listen"), "{error}");
}

#[test]
fn what_cannot_run_passes_no_check() {
    let redis = "redis = \"redis://127.0.0.1:9\"\n";
    let anywhere = format!("{redis}listen = \"0.0.0.0:8080\"");
    let twice = "listen = \"127.0.0.1:8080\"\napi_listen = \"127.0.0.1:8080\"";
    let within = "listen = \"0.0.0.0:8081\"";
    for (text, words) in [
        (&*anywhere, ["--listen 0.0.0.0:8080", "--advertise"]),
        (twice, ["--api-listen 127.0.0.1:8080", "--listen"]),
        (within, ["--api-listen 127.0.0.1:8081", "--listen"]),
        ("capacity = 0", ["--capacity", "at least 1"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), text);
        for check in [true, false] {
            let mut node = command(&["node", "--config"]);
            node.arg(&file).arg("--data").arg(folder.path());
            if check {
                node.arg("--check");
            }
            let (code, _, error) = run(&mut node);
            assert_eq!(code, 2, "{text}: {error}");
            for words in words {
                assert!(error.contains(words), "{words} in {error}");
            }
        }
    }
    let advertised = format!("{anywhere}\nadvertise = \"http://10.0.0.7:8080\"");
    let free = "listen = \"127.0.0.1:0\"\napi_listen = \"127.0.0.1:0\"";
    for text in [&*advertised, free] {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), text);
        let (code, _, error) = run(command(&["node", "--check", "--config"]).arg(&file));
        assert_eq!(code, 0, "{text}: {error}");
    }
}

#[test]
fn two_nodes_do_not_share_their_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let any = "127.0.0.1:0";
    let args = ["node", "--data", &data, "--api-listen", any];
    let _first = Relay::start(&args);
    let (code, _, error) = run(command(&args).args(["--listen", any]));
    assert_eq!(code, 4, "{error}");
    for words in ["--data: ", "is in use by another process"] {
        assert!(error.contains(words), "{words} in {error}");
    }
}

#[test]
fn a_folder_that_can_keep_no_segments_is_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    // Also root cannot write below a file.
    let file = tempfile::NamedTempFile::new().unwrap();
    let store = file.path().join("segments");
    let mut node = command(&[
        "node",
        "--listen",
        "127.0.0.1:0",
        "--api-listen",
        "127.0.0.1:0",
    ]);
    node.arg("--data").arg(data.path());
    let (code, _, error) = run(node.arg("--store").arg(&store));
    assert_eq!(code, 4, "{error}");
    for words in ["--store", &*store.to_string_lossy()] {
        assert!(error.contains(words), "{words} in {error}");
    }
}

#[test]
fn help_teaches() {
    let (code, help, _) = run(&mut command(&["node", "--help"]));
    assert_eq!(code, 0);
    for words in [
        "[[channel]]",
        "--check",
        "HLS_RELAY_DATA",
        "line says is stronger than both",
        "method = \"post\"",
        "A file with [[channel]] adds its channels where there is none\nof that name",
        "Exit codes:",
    ] {
        assert!(help.contains(words), "{words} in\n{help}");
    }
    for of in ["worker", "drain", "feed", "channel", "relay"] {
        let (_, more, _) = run(&mut command(&[of, "--help"]));
        // Commands are to be copied, and stand in one line.
        let mut prose = help.lines().chain(more.lines());
        let wide = prose.find(|it| it.chars().count() > 100 && !it.starts_with("    "));
        assert_eq!(wide, None, "{of}");
    }
}
