//! The command line, as the real binary takes it.

use crate::support::binary::{Relay, command};
use crate::support::raw_server::{Act, RawServer, ok};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Nothing answers there; the relay runs and tries.
const SOURCE: &str = "http://127.0.0.1:9/live.m3u8";

fn run(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn help_teaches() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for word in [
        "relay",
        "demo",
        "replay",
        "journal",
        "Examples:",
        "hls-relay demo",
        "--backup",
        "nginx",
        "Exit codes:",
    ] {
        assert!(help.contains(word), "{word} in\n{help}");
    }
    let (code, help, _) = run(&["relay", "--help"]);
    assert_eq!(code, 0);
    let options = [
        "--backup", "--name", "--listen", "--header", "--store", "--state", "--window",
    ];
    let rest = [
        "--hole",
        "--strict-reload",
        "--journal",
        "--journal-size",
        "--log-format",
        "[default: 127.0.0.1:8080]",
        "130",
    ];
    for word in options.iter().chain(&rest) {
        assert!(help.contains(word), "{word} in\n{help}");
    }
    let (code, _, error) = run(&[]);
    assert_eq!(code, 2);
    assert!(error.contains("Usage:"), "{error}");
    let (code, version, _) = run(&["--version"]);
    assert_eq!(
        (code, &*version),
        (0, &*format!("hls-relay {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn a_wrong_argument_is_exit_2_and_says_what_to_do() {
    for (args, words) in [
        (&["relay"][..], &["<URL>"][..]),
        (
            &["relay", "live.m3u8"],
            &["this is no URL", "https://origin.example/live.m3u8"],
        ),
        (
            &["relay", "ftp://x/y"],
            &["'ftp:' cannot be relayed", "http: and https:"],
        ),
        (&["relay", "http://"], &["this is no URL"]),
        (
            &["relay", SOURCE, "--backup", "x"],
            &["--backup", "this is no URL"],
        ),
        (&["relay", SOURCE, "--backup", SOURCE], &["is given twice"]),
        (&["relay", SOURCE, "--name", "a/b"], &["--name", "letters"]),
        (
            &["relay", SOURCE, "--listen", "nonsense"],
            &["--listen", "127.0.0.1:8080"],
        ),
        (
            &["relay", SOURCE, "--header", "nonsense"],
            &["--header", "'Name: value'"],
        ),
        (
            &["relay", SOURCE, "--header", "Host: x"],
            &["set by the relay itself"],
        ),
        (
            &["relay", SOURCE, "--header-for", "b.example", "X-A: 1"],
            &["no source is on 'b.example'"],
        ),
        (
            &["relay", SOURCE, "--header-for", "127.0.0.1", "nonsense"],
            &["--header-for", "'Name: value'"],
        ),
        (
            &["relay", SOURCE, "--proxy", "socks5://x"],
            &["--proxy", "http or https"],
        ),
        (
            &["relay", SOURCE, "--window", "5"],
            &["--window", "from 6 to 10000"],
        ),
        (&["relay", SOURCE, "--window", "ten"], &["from 6 to 10000"]),
        (
            &["relay", SOURCE, "--hole", "hide"],
            &["'gap' or 'discontinuity'"],
        ),
        (&["relay", SOURCE, "--store", ""], &["'memory' or a folder"]),
        (&["relay", SOURCE, "--log-format", "xml"], &["text", "json"]),
        (&["rely", SOURCE], &["relay"]),
    ] {
        let (code, _, error) = run(args);
        assert_eq!(code, 2, "{args:?}: {error}");
        for word in words {
            assert!(
                error.contains(word),
                "{word} in the answer to {args:?}:\n{error}"
            );
        }
    }
}

#[test]
fn a_port_that_is_taken_is_exit_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let (code, _, error) = run(&["relay", SOURCE, "--listen", &listen]);
    assert_eq!(code, 3, "{error}");
    for word in [
        "cannot listen on",
        &listen,
        "another program has this port",
        "--listen",
    ] {
        assert!(error.contains(word), "{word} in {error}");
    }
    let (code, _, error) = run(&["relay", SOURCE, "--listen", "192.0.2.1:8080"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("this host has no such address"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_used_is_exit_4() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for option in ["--store", "--state"] {
        let args = ["relay", SOURCE, "--listen", "127.0.0.1:0", option, file];
        let (code, _, error) = run(&args);
        assert_eq!(code, 4, "{option}: {error}");
        assert!(
            error.contains(option) && error.contains("cannot use"),
            "{error}"
        );
    }
}

#[test]
fn two_relays_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for option in ["--store", "--state"] {
        let _first = Relay::start(&["relay", SOURCE, option, path]);
        let (code, _, error) = run(&["relay", SOURCE, "--listen", "127.0.0.1:0", option, path]);
        assert_eq!(code, 4, "{error}");
        assert!(error.contains("in use by another process"), "{error}");
    }
}

#[test]
fn a_signal_ends_the_relay_well() {
    for signal in ["INT", "TERM"] {
        let relay = Relay::start(&["relay", SOURCE]);
        relay.signal(signal);
        let (status, log) = relay.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("finished"), "{log}");
    }
}

/// While a segment is in flight the first signal waits for it; the second doesn't.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_relay_at_once() {
    let source = RawServer::start(|asked| match asked.path.ends_with(".m3u8") {
        true => ok(b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n"),
        false => vec![Act::Hang],
    })
    .await;
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let relay = Relay::start(&["relay", &source.url("/live.m3u8"), "--log-level", "debug"]);
        relay.wait_for_log("kind=\"download\"");
        relay.signal(signal);
        relay.wait_for_log("once more to leave at once");
        let start = Instant::now();
        relay.signal(signal);
        let (status, log) = relay.wait();
        assert_eq!(status.code(), Some(code), "{log}");
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

/// When nothing is left but a viewer who takes his time, the second signal does not wait for him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_does_not_wait_for_viewers() {
    let source = RawServer::start(|asked| match asked.path.ends_with(".m3u8") {
        true => ok(b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXTINF:4,\n2.ts\n#EXTINF:4,\n3.ts\n"),
        // More than the buffers between us hold.
        false => ok(&[0x47; 24 << 20]),
    })
    .await;
    let relay = Relay::start(&["relay", &source.url("/live.m3u8")]);
    relay.wait_for_log("live: segments are relayed");
    let list = reqwest::get(&relay.address)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let segment = list.lines().find(|line| line.ends_with(".ts")).unwrap();
    let host = relay.address.split('/').nth(2).unwrap();
    let mut viewer = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET /live/{segment} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    viewer.write_all(request.as_bytes()).await.unwrap();
    viewer.read_u8().await.unwrap();
    relay.signal("INT");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    relay.signal("INT");
    let (status, log) = relay.wait();
    assert_eq!(status.code(), Some(130), "{log}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// Connections that say nothing take neither the files that relaying needs, nor their own for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_who_say_nothing_do_not_stop_the_relay() {
    let began = Instant::now();
    let source = RawServer::start(move |asked| {
        let newest = 10 + began.elapsed().as_secs();
        let mut acts = if asked.path.ends_with(".m3u8") {
            let listed = (newest - 5..=newest).map(|n| format!("#EXTINF:1,\n{n}.ts\n"));
            let head = format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{}\n",
                newest - 5
            );
            ok((head + &listed.collect::<String>()).as_bytes())
        } else {
            ok(&[0x47; 188])
        };
        // Each request takes a connection of its own, and so a file of its own.
        acts.push(Act::Close);
        acts
    })
    .await;
    let mut command = std::process::Command::new("prlimit");
    command.args(["--nofile=100:100", env!("CARGO_BIN_EXE_hls-relay"), "relay"]);
    command.arg(source.url("/live.m3u8"));
    let relay = Relay::spawn(command);
    relay.wait_for_log("live: segments are relayed");
    let host = relay.address.split('/').nth(2).unwrap().to_owned();
    let mut idle = Vec::new();
    for _ in 0..80 {
        idle.push(tokio::net::TcpStream::connect(&host).await.unwrap());
    }
    let before = source.asked().len();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(source.asked().len() > before + 4, "{}", relay.log());
    // The first of them are let go, and a viewer who asks is served.
    let asking = reqwest::Client::builder().timeout(Duration::from_secs(60));
    let answer = asking
        .build()
        .unwrap()
        .get(&relay.address)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        idle[0].read(&mut [0; 100]).await.unwrap(),
        0,
        "it is closed"
    );
    assert!(!relay.log().contains("stalled"), "{}", relay.log());
}

/// On a terminal one line is drawn over and over, and log lines go above it.
#[test]
fn a_terminal_has_a_status_line() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).and_then(|()| unlockpt(&master)).unwrap();
    let slave = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .open(slave.to_str().unwrap())
        .unwrap();
    let args = ["demo", "--listen", "127.0.0.1:0"];
    let mut command = command(&args);
    let mut child = command
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(slave)
        .spawn()
        .unwrap();
    drop(command);
    let (mut screen, mut seen) = (File::from(master), String::new());
    let (start, mut buffer) = (Instant::now(), [0; 4096]);
    let drawn = |seen: &str| {
        seen.matches("\r\x1b[2Klive: live · newest segment ")
            .count()
    };
    while drawn(&seen) < 3 {
        assert!(start.elapsed() < Duration::from_secs(20), "{seen:?}");
        let read = screen.read(&mut buffer).unwrap();
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for part in ["delay ", "kbit/s", "0 holes", "0 retries"] {
        assert!(seen.contains(part), "{part} in {seen:?}");
    }
}

#[test]
fn the_first_answer_is_503_and_the_log_masks_secrets() {
    let source = "http://operator:hunter2@127.0.0.1:9/live.m3u8?token=abcdef";
    let relay = Relay::start(&["relay", source, "--name", "news", "--log-level", "trace"]);
    assert!(
        relay.address.ends_with("/news/index.m3u8"),
        "{}",
        relay.address
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let status = runtime.block_on(async { reqwest::get(&relay.address).await.unwrap().status() });
    assert_eq!(status, 503);
    relay.wait_for_log("playlist not loaded");
    relay.signal("INT");
    let (status, log) = relay.wait();
    assert_eq!(status.code(), Some(0));
    for secret in ["hunter2", "operator", "abcdef"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(
        log.contains("http://***@127.0.0.1:9/live.m3u8?token=***"),
        "{log}"
    );
    assert!(
        !log.contains('\x1b'),
        "no colours and no drawing where there is no terminal"
    );
}

#[test]
fn json_lines_are_json() {
    let relay = Relay::start(&["relay", SOURCE, "--log-format", "json"]);
    relay.wait_for_log("playlist_failed");
    relay.signal("TERM");
    let (_, log) = relay.wait();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let failed = lines
        .iter()
        .find(|line| line["kind"] == "playlist_failed")
        .unwrap();
    assert_eq!(failed["channel"], "live");
    assert_eq!(failed["level"], "WARN");
    for name in ["epoch", "revision", "generation"] {
        assert!(failed[name].is_u64(), "{name} in {failed}");
    }
}

#[test]
fn a_state_that_cannot_be_read_is_told_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("live.json"), "garbage").unwrap();
    let relay = Relay::start(&["relay", SOURCE, "--state", folder.path().to_str().unwrap()]);
    relay.wait_for_log("the saved state cannot be used");
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let kept = names
        .iter()
        .find(|name| name.to_str().unwrap().contains("refused"))
        .unwrap();
    let kept = std::fs::read_to_string(folder.path().join(kept)).unwrap();
    assert_eq!(kept, "garbage");
}

#[test]
fn nobody_listening_to_its_output_does_not_end_it() {
    let args = [
        "relay",
        SOURCE,
        "--listen",
        "127.0.0.1:0",
        "--log-level",
        "trace",
    ];
    let mut command = command(&args);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(child.try_wait().unwrap(), None, "it has ended");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A small container may have no certificates at all: what needs none is relayed.
#[test]
fn without_certificates_plain_http_is_relayed() {
    let mut demo = command(&["demo"]);
    demo.env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    let demo = Relay::spawn(demo);
    demo.wait_for_log("live: segments are relayed");
    demo.wait_for_log("ca-certificates");
}

#[test]
fn the_demo_plays_within_seconds_of_its_start() {
    let demo = Relay::start(&["demo"]);
    demo.wait_for_log("live: segments are relayed");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let playlist = reqwest::get(&demo.address)
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let segment = playlist.lines().find(|line| line.ends_with(".ts")).unwrap();
        let segment = demo.address.replace("index.m3u8", segment);
        let media = reqwest::get(segment).await.unwrap().bytes().await.unwrap();
        assert_eq!(
            (media[0], media[188], media.len() % 188),
            (0x47, 0x47, 0),
            "MPEG-TS"
        );
    });
    demo.signal("INT");
    let (status, log) = demo.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}
