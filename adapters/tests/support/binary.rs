//! The real binary, started on a free port and ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `hls-relay`; killed when it is dropped.
pub(crate) struct Relay {
    child: Child,
    /// Where its playlist is.
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

/// `hls-relay` with these arguments, not started yet.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hls-relay"));
    command.args(args);
    for name in [
        "HLS_RELAY_LOG_FORMAT",
        "HLS_RELAY_LOG_LEVEL",
        "HLS_RELAY_PROXY",
        "HLS_RELAY_CONFIG",
        "HLS_RELAY_NAME",
        "HLS_RELAY_DATA",
        "HLS_RELAY_STORE",
        "HLS_RELAY_LISTEN",
        "HLS_RELAY_API",
        "HLS_RELAY_API_LISTEN",
        "HLS_RELAY_API_TOKEN",
        "HLS_RELAY_CAPACITY",
        "HLS_RELAY_JOURNAL",
        "HLS_RELAY_JOURNAL_SIZE",
        "HLS_RELAY_DATABASE",
        "HLS_RELAY_REDIS",
        "HLS_RELAY_ADVERTISE",
        "HLS_RELAY_TO_OWNER",
    ] {
        command.env_remove(name);
    }
    command
}

impl Relay {
    /// `hls-relay ARGS --listen 127.0.0.1:0`, once it has said its address.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(command(args))
    }

    /// The same of a command that somebody else has prepared.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (log, reading) = collect(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(
                read > 0,
                "it said no address; its log:\n{}",
                log.lock().unwrap()
            );
            if let Some(at) = line.find("http://") {
                break line[at..].split_whitespace().next().unwrap().to_owned();
            }
        };
        // What it says later goes nowhere, without ever filling the pipe.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self {
            child,
            address,
            log,
            reading: Some(reading),
        }
    }

    /// Everything it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a word in the log.
    pub(crate) fn wait_for_log(&self, word: &str) {
        let start = Instant::now();
        while !self.log().contains(word) {
            assert!(
                start.elapsed() < PATIENCE,
                "no {word:?} in its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, as "TERM".
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; gives the exit status and the whole log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it does not end; its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        self.reading.take().unwrap().join().unwrap();
        (status, self.log())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut stderr: ChildStderr) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let log = Arc::new(Mutex::new(String::new()));
    let filled = log.clone();
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut buffer) {
            filled
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
    (log, reading)
}
