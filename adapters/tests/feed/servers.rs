//! Real databases, each on a free port of loopback, ended with the test.

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe, Executor};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    MariaDb,
    Sqlite,
}

/// A database with an empty table of channels.
pub(crate) struct Database {
    kind: Kind,
    folder: TempDir,
    port: u16,
    server: Option<Child>,
    pub(crate) url: String,
    pool: AnyPool,
}

impl Database {
    pub(crate) async fn start(kind: Kind) -> Self {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let (url, times) = match kind {
            Kind::Postgres => {
                prepare_postgres(folder.path());
                let url = format!("postgres://relay@127.0.0.1:{port}/postgres");
                (url, "timestamptz NOT NULL DEFAULT clock_timestamp()")
            }
            Kind::MariaDb => {
                let url = format!("mysql://root@127.0.0.1:{port}/tv");
                (
                    url,
                    "timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)",
                )
            }
            Kind::Sqlite => {
                let file = folder.path().join("tv.db");
                File::create(&file).unwrap();
                let url = format!("sqlite://{}", file.display());
                (url, "text NOT NULL DEFAULT (datetime('now', 'subsec'))")
            }
        };
        let pool = AnyPoolOptions::new().max_connections(1);
        let mut database = Self {
            kind,
            folder,
            port,
            server: None,
            pool: pool.connect_lazy(&url).unwrap(),
            url,
        };
        if kind != Kind::Sqlite {
            database.come_back().await;
        }
        if kind == Kind::MariaDb {
            let first = format!("mysql://root@127.0.0.1:{port}");
            let pool = AnyPoolOptions::new().connect(&first).await.unwrap();
            pool.execute("CREATE DATABASE tv").await.unwrap();
        }
        let columns = "id varchar(99) PRIMARY KEY, spec text NOT NULL, desired varchar(9) NOT NULL";
        let table = format!("CREATE TABLE hls_relay_channels ({columns}, updated_at {times})");
        database.execute(&table).await;
        database
    }

    pub(crate) async fn execute(&self, statement: &str) {
        let done = self.pool.execute(AssertSqlSafe(statement)).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    pub(crate) async fn insert(&self, id: &str, spec: &str) {
        let columns = "(id, spec, desired)";
        let row = format!("('{id}', '{spec}', 'run')");
        self.execute(&format!(
            "INSERT INTO hls_relay_channels {columns} VALUES {row}"
        ))
        .await;
    }

    pub(crate) async fn update(&self, id: &str, change: &str) {
        let now = match self.kind {
            Kind::Postgres => "clock_timestamp()",
            Kind::MariaDb => "current_timestamp(6)",
            Kind::Sqlite => "datetime('now', 'subsec')",
        };
        let change = format!("{change}, updated_at = {now}");
        self.execute(&format!(
            "UPDATE hls_relay_channels SET {change} WHERE id = '{id}'"
        ))
        .await;
    }

    /// As whoever makes a database anew beside the old one, and puts it in its place.
    pub(crate) fn replace_by(&self, other: &Self) {
        assert_eq!((self.kind, other.kind), (Kind::Sqlite, Kind::Sqlite));
        std::fs::rename(other.file("tv.db"), self.file("tv.db")).unwrap();
    }

    /// As if its machine had died. A file has no machine: there the table goes.
    pub(crate) async fn go_away(&mut self) {
        match &mut self.server {
            Some(server) => {
                end(self.kind, server);
                self.server = None;
            }
            None => {
                self.execute("ALTER TABLE hls_relay_channels RENAME TO away")
                    .await
            }
        }
    }

    /// With all that it had.
    pub(crate) async fn come_back(&mut self) {
        let mut command = match self.kind {
            Kind::Postgres => postgres(self.folder.path(), self.port),
            Kind::MariaDb => mariadb(self.folder.path(), self.port),
            Kind::Sqlite => {
                let back = "ALTER TABLE away RENAME TO hls_relay_channels";
                return self.execute(back).await;
            }
        };
        let mut appending = File::options();
        let appending = appending.create(true).append(true);
        let log = appending.open(self.file("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.server = Some(command.spawn().unwrap());
        let (began, address) = (Instant::now(), ("127.0.0.1", self.port));
        while tokio::net::TcpStream::connect(address).await.is_err() {
            let log = || std::fs::read_to_string(self.file("log")).unwrap();
            assert!(began.elapsed() < PATIENCE, "it does not start:\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            end(self.kind, server);
        }
    }
}

/// Without a word to whoever is connected. All processes of PostgreSQL end where the first of them is asked
/// to, and MariaDB needs a moment for what it has only just made.
fn end(kind: Kind, server: &mut Child) {
    let signal = match kind {
        Kind::Postgres => "QUIT",
        Kind::MariaDb | Kind::Sqlite => "TERM",
    };
    let id = server.id().to_string();
    let _ = Command::new("kill").args(["-s", signal, &id]).status();
    let _ = server.wait();
}

pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// It refuses to run as root; its package brings a user.
fn as_its_user(program: PathBuf) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]);
    command.arg(program);
    command
}

/// Debian keeps its programs out of the way.
fn postgres_program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let programs = versions.map(|version| version.unwrap().path().join("bin").join(name));
    programs
        .filter(|it| it.exists())
        .max()
        .unwrap_or(name.into())
}

fn prepare_postgres(folder: &Path) {
    if rustix::process::getuid().is_root() {
        let owned = Command::new("chown").arg("postgres").arg(folder).status();
        assert!(owned.unwrap().success());
    }
    let mut prepare = as_its_user(postgres_program("initdb"));
    prepare.args([
        "--username=relay",
        "--auth=trust",
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C",
    ]);
    let prepared = prepare.arg(folder.join("data")).output().unwrap();
    let said = String::from_utf8_lossy(&prepared.stderr);
    assert!(prepared.status.success(), "{said}");
}

fn postgres(folder: &Path, port: u16) -> Command {
    let mut command = as_its_user(postgres_program("postgres"));
    command.arg("-D").arg(folder.join("data"));
    command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
    command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
    command
}

/// Without tables of users it lets everybody in, and needs no preparation.
fn mariadb(folder: &Path, port: u16) -> Command {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let mut command = Command::new(which_mariadb());
    command.args([
        "--no-defaults",
        "--skip-grant-tables",
        "--bind-address=127.0.0.1",
    ]);
    command.arg(format!("--port={port}"));
    for (name, at) in [
        ("datadir", "data"),
        ("socket", "socket"),
        ("pid-file", "pid"),
    ] {
        command.arg(format!("--{name}={}", folder.join(at).display()));
    }
    if rustix::process::getuid().is_root() {
        command.arg("--user=root");
    }
    command
}

fn which_mariadb() -> &'static str {
    // Debian has it where only root's PATH leads.
    match Path::new("/usr/sbin/mariadbd").exists() {
        true => "/usr/sbin/mariadbd",
        false => "mariadbd",
    }
}
