//! A Redis of one's own, in memory, on a free port; it ends with the test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `redis-server`; killed when it is dropped.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) port: u16,
    /// What it writes, as a replica does that is told all at once.
    _folder: TempDir,
}

/// A port that nobody has at this moment.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::start_at(free_port())
    }

    /// The same at a port of one's own: empty, whatever was there before.
    pub(crate) fn start_at(port: u16) -> Self {
        Self::start_with(port, &["--save", "", "--appendonly", "no"])
    }

    /// The same with other arguments.
    pub(crate) fn start_with(port: u16, arguments: &[&str]) -> Self {
        let port_text = port.to_string();
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(arguments)
            .arg("--dir")
            .arg(folder.path())
            .args(["--bind", "127.0.0.1", "--port", &port_text])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is there: './test setup' installs it");
        let server = Self {
            child,
            port,
            _folder: folder,
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "redis-server does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Sends it a signal by its name, as "STOP".
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` answers to this.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let asked = Command::new("redis-cli")
            .args(["-p", &port])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
