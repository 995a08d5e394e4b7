//! The real binary as a process of its own: started, watched from outside, and ended as an operator
//! or an accident would.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What Linux counts processor time in; it has been 100 a second on every machine for decades.
const CLOCK_TICKS: u64 = 100;
/// A busy machine may take so long to start a process of ours.
const START: Duration = Duration::from_secs(15);
/// What an orderly end may take: segments in flight are waited for 5 s, viewers 2 s.
const END: Duration = Duration::from_secs(10);

/// A line of the relay's log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When it came, counted as the test counts.
    pub at: Duration,
    /// `WARN`, say.
    pub level: String,
    /// What kind of notice it is; empty for other lines.
    pub kind: String,
    pub message: String,
}

/// A running relay. It is killed when it is dropped, and what it was told then replays to the same
/// commands, however it came to its end.
pub struct Relay {
    child: Child,
    journal: PathBuf,
    /// The folder of the journal, where the test has none of its own.
    _folder: Option<TempDir>,
    /// Where its playlist is.
    pub url: String,
    log: Arc<Mutex<Vec<LogLine>>>,
    started: Instant,
}

/// What a process has cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub processor: Duration,
    /// The most memory it ever had resident, in bytes.
    pub most_memory: u64,
}

/// The command of the binary under test, with a log that can be read by machines.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hls-relay"));
    command
        .env("HLS_RELAY_LOG_FORMAT", "json")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Whatever address of this machine is free.
pub fn any_address() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

impl Relay {
    /// `hls-relay relay SOURCE --listen ADDRESS ARGUMENTS`, once it serves. Log times are counted from
    /// `zero`.
    pub fn start(source: &str, address: SocketAddr, arguments: &[&str], zero: Instant) -> Self {
        let address = address.to_string();
        let mut relay = command();
        relay.args(["relay", source, "--listen", &address]);
        relay.args(arguments);
        Self::start_command(relay, zero)
    }

    /// The same with a ladder of this text, once viewers are led to the source and to all rungs.
    pub async fn start_with_ladder(source: &str, ladder: &str, patience: Duration) -> Self {
        let arguments = ["--ladder", ladder, "--ladder-preset", "ultrafast"];
        let relay = Self::start(source, any_address(), &arguments, Instant::now());
        let names = ladder
            .split(',')
            .map(|rung| rung.split(':').next().unwrap_or(rung));
        let names: Vec<_> = std::iter::once("source").chain(names).collect();
        loop {
            let list = reqwest::get(&relay.url).await.unwrap();
            let list = list.text().await.unwrap();
            let leads_to = |name: &&str| list.contains(&format!("{name}.m3u8"));
            if names.iter().all(leads_to) {
                return relay;
            }
            assert!(relay.age() < patience, "no ladder: {:#?}", relay.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The same for a command that is already put together. It is recorded in any case.
    pub fn start_command(mut command: Command, zero: Instant) -> Self {
        let mut arguments = command.get_args().skip_while(|it| *it != "--journal");
        let given = arguments.nth(1).map(PathBuf::from);
        let folder = given.is_none().then(|| TempDir::new().unwrap());
        if let Some(folder) = &folder {
            command.arg("--journal").arg(folder.path());
        }
        let journal = given.or_else(|| Some(folder.as_ref()?.path().to_owned()));
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn({
            let log = log.clone();
            move || read_log(stderr, &log, zero)
        });
        let stdout = child.stdout.take().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut said = stdout.by_ref().lines().map_while(Result::ok);
            let url = said.find(|line| line.starts_with("http://"));
            let _ = send.send(url.unwrap_or_default());
            // Whatever else comes must not fill the pipe.
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        });
        let url = receive.recv_timeout(START).unwrap_or_default();
        let relay = Self {
            child,
            journal: journal.unwrap(),
            _folder: folder,
            url: url.trim().to_owned(),
            log,
            started: Instant::now(),
        };
        assert!(
            relay.url.starts_with("http://"),
            "the relay does not start: {:#?}",
            relay.log()
        );
        relay
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let authority = self.url.split('/').nth(2).unwrap();
        authority.parse().unwrap()
    }

    /// Every line of the log so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.log.lock().unwrap().clone()
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// How long it has been running.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it has cost until now.
    pub fn cost(&self) -> Cost {
        let folder = format!("/proc/{}", self.child.id());
        let stat = std::fs::read_to_string(format!("{folder}/stat")).unwrap();
        // The name of the program, in brackets, is the only field that may hold spaces.
        let fields: Vec<_> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        let processor = Duration::from_millis((ticks(11) + ticks(12)) * 1_000 / CLOCK_TICKS);
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let most = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|value| value.trim().strip_suffix(" kB"))
            .unwrap();
        Cost {
            processor,
            most_memory: most.trim().parse::<u64>().unwrap() << 10,
        }
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Vec<LogLine> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }

    /// The real `replay` on all that is in the folder of the channel.
    fn check_replay(&self) {
        let channel = self.url.rsplit('/').nth(1).unwrap();
        let replay = command()
            .arg("replay")
            .arg(self.journal.join(channel))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&replay.stdout);
        let wrong = String::from_utf8_lossy(&replay.stderr);
        assert!(replay.status.success(), "its journal parts: {wrong}{said}");
        println!("{said}");
    }

    /// SIGTERM, and the exit code of an orderly end.
    pub fn end(&mut self) -> ExitStatus {
        let kill = format!("kill -TERM {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
        self.wait(END)
    }

    /// Waits for an end that is already on its way.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < until,
                "still running after {patience:?}: {:#?}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.check_replay();
        }
    }
}

fn read_log(stderr: impl Read, log: &Mutex<Vec<LogLine>>, zero: Instant) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let fields: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let field = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        let line = LogLine {
            at: zero.elapsed(),
            level: field("level"),
            kind: field("kind"),
            // What is no line of the log, a panic of the runtime say, is told as it is.
            message: if fields.is_object() {
                field("message")
            } else {
                line
            },
        };
        log.lock().unwrap().push(line);
    }
}
