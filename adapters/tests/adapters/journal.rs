//! Recording and replaying: real files, and the real binary.

use crate::support::binary::{Relay as Process, command};
use crate::support::raw_server::{RawServer, ok};
use hls_relay::journal::Recorder;
use hls_relay::store::OpenError;
use hls_relay_core::journal::{Line, decode};
use hls_relay_core::relay::Relay;
use hls_relay_core::time::Span;
use hls_relay_sim::cluster;
use hls_relay_sim::draw;
use hls_relay_sim::replay::{Replayer, Seen, check};
use hls_relay_sim::timeline::Timeline;
use hls_relay_sim::world::{Options, World};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The journal of a simulated channel.
pub(crate) fn simulated(seed: u64) -> String {
    let options = Options {
        journal: true,
        ..Options::default()
    };
    World::new(draw::plan(seed), options).run().journal
}

/// The same for a quiet one of so many seconds: one machine, all of its life.
pub(crate) fn quiet(seconds: u64) -> String {
    let options = Options {
        journal: true,
        ..Options::default()
    };
    let plan = draw::faultless(7, Span::from_secs(seconds));
    World::new(plan, options).run().journal
}

/// Runs the binary; gives its exit code and all that it said.
pub(crate) fn run(args: &[&str]) -> (i32, String) {
    let output = command(args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

/// Lives a journal's machines again, recorded.
fn live_again(journal: &str, recorder: &mut Recorder, mut each: impl FnMut()) {
    let mut machine: Option<Relay> = None;
    for (index, line) in journal.lines().enumerate() {
        match decode(line).unwrap() {
            Line::Head(head) if head.seq == 0 => {
                recorder.new_machine();
                machine = Some(head.snapshot);
            }
            Line::Head(_) => {}
            Line::Record(record) => {
                let machine = machine.as_mut().unwrap();
                let step = recorder.begin(machine, record.now, &record.event);
                let mut commands = Vec::new();
                machine.step(record.now, record.event, &mut commands);
                if let Some(step) = step {
                    recorder.end(step, Some(&commands));
                }
            }
        }
        // No relay is told so much at once.
        if index % 10 == 0 {
            std::thread::sleep(Duration::from_millis(5));
            each();
        }
    }
}

fn pieces(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn bytes_in(folder: &Path) -> u64 {
    // A piece may go between the look and the question.
    let lengths = pieces(folder)
        .into_iter()
        .filter_map(|file| file.metadata().ok());
    lengths.map(|it| it.len()).sum()
}

fn lines_in(folder: &Path) -> usize {
    let texts = pieces(folder)
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    texts.map(|text| text.matches('\n').count()).sum()
}

#[test]
fn pieces_are_bounded_private_in_order_and_each_replays_alone() {
    const MOST: u64 = 400_000;
    let root = TempDir::new().unwrap();
    let name: Arc<str> = "news".into();
    let (mut recorder, finished) = Recorder::start(root.path(), &name, MOST).unwrap();
    let folder = root.path().join("news");
    live_again(&quiet(3_600), &mut recorder, || {
        let bytes = bytes_in(&folder);
        assert!(bytes <= MOST, "{bytes} bytes");
    });
    drop(recorder);
    finished.blocking_recv().unwrap_err();

    let files = pieces(&folder);
    assert!(files.len() > 3, "{files:?}");
    assert!(bytes_in(&folder) > MOST / 2, "most of the room is used");
    let first = files[0].file_name().unwrap().to_str().unwrap();
    assert!(
        first.starts_with("news-000000") && first.ends_with("Z.journal"),
        "{first}"
    );
    assert!(
        !first.starts_with("news-00000001-"),
        "the oldest is gone: {first}"
    );
    for file in &files {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            check::<Relay>(&fs::read_to_string(file).unwrap()).unwrap() > 10,
            "{file:?}"
        );
    }
    // And all of them as one: the snapshots are the machine replayed so far.
    let mut replayer = Replayer::<Relay>::default();
    for file in &files {
        let text = fs::read(file).unwrap();
        let went_on = replayer.piece(&*text, &mut |_| ControlFlow::Continue(()));
        assert!(went_on.unwrap().is_continue());
    }
    let (code, said) = run(&["replay", folder.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("without a difference") && !said.contains("not recorded"),
        "{said}"
    );
}

#[test]
fn a_journal_goes_on_after_the_one_before_and_belongs_to_one_process() {
    let root = TempDir::new().unwrap();
    let name: Arc<str> = "news".into();
    for life in 1..=2 {
        let (mut recorder, finished) = Recorder::start(root.path(), &name, 1 << 20).unwrap();
        let second = Recorder::start(root.path(), &name, 1 << 20);
        assert!(matches!(second, Err(OpenError::InUse(_))));
        live_again(&quiet(60), &mut recorder, || {});
        drop(recorder);
        finished.blocking_recv().unwrap_err();
        assert_eq!(pieces(&root.path().join("news")).len(), life);
    }
    let (code, said) = run(&["replay", root.path().join("news").to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_folder_that_cannot_be_used_is_said_at_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().to_str().unwrap();
    let (code, said) = run(&[
        "relay",
        "http://127.0.0.1:9/live.m3u8",
        "--listen",
        "127.0.0.1:0",
        "--journal",
        folder,
    ]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("--journal"), "{said}");
    let (code, said) = run(&[
        "relay",
        "http://127.0.0.1:9/live.m3u8",
        "--journal-size",
        "2MB",
    ]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--journal"), "{said}");
}

fn written(text: impl AsRef<[u8]>) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("night.journal");
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_replay_shows_steps_the_machine_and_a_picture() {
    let (folder, file) = written(quiet(60));
    let picture = folder.path().join("night.svg");
    let (code, said) = run(&[
        "replay",
        &file,
        "--trace",
        "--timeline",
        picture.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("0 > configure: Run") && said.contains("0 < "),
        "{said}"
    );
    assert!(fs::read_to_string(picture).unwrap().starts_with("<svg"));
    let (code, said) = run(&["replay", &file, "--until", "3"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("\"publisher\"") && said.contains("4 steps replayed"),
        "{said}"
    );
    let (code, said) = run(&["replay", &file, "--until", "99999999"]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("no step 99999999"), "{said}");
}

#[test]
fn a_difference_is_told_with_its_step_what_was_expected_and_what_came() {
    let journal = quiet(60);
    let mut lines: Vec<_> = journal.lines().map(str::to_owned).collect();
    let at = lines[20].rfind("\"commands\":\"").unwrap() + 12;
    lines[20].replace_range(at..at + 16, "0123456789abcdef");
    let (_folder, file) = written(lines.join("\n") + "\n");
    let (code, said) = run(&["replay", &file]);
    assert_eq!(code, 5, "{said}");
    for word in [
        "line 21",
        "step 19",
        "event ",
        "expected  commands 0123456789abcdef",
        "got ",
    ] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[test]
fn the_journal_of_a_node_is_replayed_and_told_and_is_no_channel_s() {
    let options = cluster::Options {
        journal: true,
        ..cluster::Options::default()
    };
    let plan = cluster::plan::Plan::draw(3);
    let journal = cluster::World::new(plan, options).run().journals.remove(0);
    let (folder, file) = written(&journal);
    let (code, said) = run(&["replay", &file]);
    assert!(code == 0 && said.contains("without a difference"), "{said}");
    let (code, said) = run(&["replay", &file, "--trace"]);
    assert!(
        code == 0 && said.contains("Renewed") && said.contains("Claim"),
        "{said}"
    );
    let (code, said) = run(&["replay", &file, "--until", "9"]);
    assert!(code == 0 && said.contains("\"incarnation\""), "{said}");
    let out = folder.path().join("out").display().to_string();
    let (code, said) = run(&["replay", &file, "--timeline", &out]);
    assert!(
        code == 5 && said.contains("the journal of a node"),
        "{said}"
    );
    let (code, said) = run(&["journal", "share", &file, "-o", &out]);
    assert!(
        code == 5 && said.contains("not the journal of a channel"),
        "{said}"
    );
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_torn_last_line_is_left_out_and_said() {
    let journal = quiet(60);
    for cut in [1, 40, 300] {
        let (_folder, file) = written(&journal[..journal.len() - cut]);
        let (code, said) = run(&["replay", &file]);
        assert_eq!(code, 0, "{said}");
        assert!(
            said.contains("torn") && said.contains("without a difference"),
            "{said}"
        );
    }
}

#[test]
fn what_is_no_journal_is_refused_in_words() {
    let long = [vec![b'x'; 65 << 20], vec![b'\n']].concat();
    let cases: [(&[u8], &str); 5] = [
        (b"#EXTM3U\n", "not a line of a journal"),
        (b"\xff\xfe\n", "not a line of a journal"),
        (b"{\"journal\":2,\"anything\":[]}\n", "journal format 2"),
        (&long, "longer than"),
        (
            b"{\"seq\":3,\"at\":1,\"wall\":1,\"event\":\"Tick\",\"commands\":\"00\"}\n",
            "before any snapshot",
        ),
    ];
    for (text, words) in cases {
        let (_folder, file) = written(text);
        let (code, said) = run(&["replay", &file]);
        assert_eq!(code, 5, "{said}");
        assert!(
            said.contains(words) && said.contains("line "),
            "{words} in {said}"
        );
    }
    let empty = TempDir::new().unwrap();
    let (code, said) = run(&["replay", empty.path().to_str().unwrap()]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("no journal in it"), "{said}");
}

/// Every line with one byte changed, in many places: read or refused, and never the end of the reader.
#[test]
fn a_journal_with_a_changed_byte_is_read_or_refused() {
    let journal = quiet(30);
    let mut refused = 0;
    for place in (0..journal.len()).step_by(journal.len() / 400) {
        for byte in [b'0', b'9', b'"', b'-'] {
            let mut changed = journal.clone().into_bytes();
            changed[place] = byte;
            let mut picture = Timeline::default();
            let mut see = |seen: Seen<'_>| {
                picture.see(&seen);
                ControlFlow::Continue(())
            };
            let went_on = Replayer::<Relay>::default().piece(&*changed, &mut see);
            assert!(picture.svg().len() < 100_000);
            refused += usize::from(went_on.is_err());
        }
    }
    assert!(refused > 100, "{refused}");
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

fn limit_file_size(process: u32, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit")
        .args(["--pid", &process.to_string(), &limit])
        .status()
        .expect("prlimit, of the package util-linux");
    assert!(set.success());
}

/// The kernel refuses every write, as on a full disk: the recording stops and says so once, the relay
/// goes on, and once there is room so does the journal.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_recording_and_not_the_relay() {
    let source = live_source().await;
    let root = TempDir::new().unwrap();
    let folder = root.path().to_owned();
    let url = source.url("/live.m3u8");
    let relayed = move || source.asked().len();
    let journal = root.path().join("live");
    let watched = tokio::task::spawn_blocking(move || {
        let relay = Process::start(&["relay", &url, "--journal", folder.to_str().unwrap()]);
        relay.wait_for_log("live: segments are relayed");
        let start = Instant::now();
        // The line of the machine is written by itself: a piece without a step would not be kept.
        while lines_in(&folder.join("live")) < 2 {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "nothing is recorded"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        limit_file_size(relay.id(), "4096");
        relay.wait_for_log("the journal cannot be written");
        let (asked, start) = (relayed(), Instant::now());
        while relayed() < asked + 10 {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the relay stands still"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        limit_file_size(relay.id(), "unlimited");
        // The disk is left alone for 10 s after each failure.
        let start = Instant::now();
        while !relay.log().contains("the journal is recorded again") {
            assert!(start.elapsed() < Duration::from_secs(40), "{}", relay.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        relay.signal("TERM");
        relay.wait()
    });
    let (status, log) = watched.await.unwrap();
    assert!(status.success(), "{log}");
    assert_eq!(
        log.matches("the journal cannot be written").count(),
        1,
        "{log}"
    );
    let (code, said) = run(&["replay", journal.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("were not recorded"), "{said}");
}
