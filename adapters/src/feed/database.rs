//! A company's database, of whichever kind: its channels, all of them or those changed since.
//!
//! Times are compared by the database itself, so that nobody has to know how it writes them.

use crate::mask::mask;
use crate::spec::ChannelSpec;
use futures_util::TryStreamExt;
use hls_relay_core::event::Desired;
use hls_relay_core::feed::{Reading, Row};
use hls_relay_core::node::ChannelId;
use sqlx::any::{AnyConnectOptions, AnyRow};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What is asked where nothing else is said.
pub const DEFAULT_QUERY: &str = "SELECT id, spec, desired, updated_at FROM hls_relay_channels";
/// A database with more rows than this is not the one that is meant.
pub const MOST_ROWS: usize = 100_000;
/// One spec.
const MOST_SPEC_BYTES: usize = 64 << 10;
/// A connection is tried so long, and then that is told.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// All of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database, connected to when it is asked.
pub struct Database {
    url: Url,
    options: AnyConnectOptions,
    /// As long as it answers, and until everything is read again.
    connection: Option<AnyConnection>,
    dialect: Dialect,
    query: String,
    overlap: Duration,
    /// Rows that cannot be used, by their ids: told once, not at each reading.
    told: BTreeSet<String>,
}

/// Where a reading has come to: the newest `updated_at` that is a time, as the database writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be connected to.
    #[error("the database: no connection to {address}: {why}")]
    Unreachable { address: String, why: String },
    /// It does not answer, or not what was asked for.
    #[error("the database: {0}")]
    Failed(#[from] sqlx::Error),
    /// No answer at all.
    #[error("the database: no answer within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// It cannot be meant.
    #[error("the query has more than {MOST_ROWS} rows: is it the right one?")]
    TooMany,
}

#[derive(Clone, Copy)]
enum Dialect {
    Postgres,
    MySql,
    Sqlite,
}

impl Dialect {
    fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }

    /// Whatever it is, in words. SQLite takes any bytes for a text, so it is asked for the bytes; where it keeps
    /// texts in UTF-16, they are always well formed when they come here.
    fn text(self, value: &str) -> String {
        match self {
            Self::Postgres => format!("CAST({value} AS TEXT)"),
            Self::MySql => format!("CAST({value} AS CHAR)"),
            Self::Sqlite => format!(
                "iif(length(CAST('a' AS BLOB)) = 1, CAST({value} AS BLOB), CAST({value} AS TEXT))"
            ),
        }
    }

    /// When a row was changed; NULL where it does not say so. PostgreSQL knows by the column that it does.
    fn time(self) -> &'static str {
        match self {
            Self::Postgres => "channels.updated_at",
            Self::MySql => "CAST(channels.updated_at AS DATETIME(6))",
            Self::Sqlite => "unixepoch(channels.updated_at, 'auto')",
        }
    }

    /// Rows changed since the cursor less the overlap. A time in the future must not hide what comes before it.
    fn since(self, overlap: Duration) -> String {
        let seconds = overlap.as_secs();
        match self {
            Self::Postgres => format!(
                "updated_at >= LEAST(CAST($1 AS timestamptz), now()) - INTERVAL '{seconds} seconds'"
            ),
            Self::MySql => format!(
                "updated_at >= LEAST(CAST(? AS DATETIME(6)), NOW(6)) - INTERVAL {seconds} SECOND"
            ),
            Self::Sqlite => format!(
                "unixepoch(updated_at, 'auto') >= min(CAST(? AS INTEGER), unixepoch('now')) - {seconds}"
            ),
        }
    }

    /// A cursor goes out as it came in, on whichever connection: the hours of both must be the same.
    fn in_utc(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("SET TIME ZONE 'UTC'"),
            Self::MySql => Some("SET time_zone = '+00:00'"),
            Self::Sqlite => None,
        }
    }
}

/// Whether it is one of the three kinds.
pub fn is_known(url: &Url) -> bool {
    Dialect::of(url.scheme()).is_some()
}

impl Database {
    /// Nothing is asked yet.
    pub fn new(url: &Url, query: String, overlap: Duration) -> Result<Self, DatabaseError> {
        sqlx::any::install_default_drivers();
        let unknown = || sqlx::Error::Configuration(format!("unknown: {}", url.scheme()).into());
        let dialect = Dialect::of(url.scheme()).ok_or_else(unknown)?;
        Ok(Self {
            options: url.as_str().parse()?,
            url: url.clone(),
            connection: None,
            dialect,
            query,
            overlap,
            told: BTreeSet::new(),
        })
    }

    /// All channels, or those changed since an earlier reading.
    pub async fn read(
        &mut self,
        since: Option<&Cursor>,
    ) -> Result<(Reading<ChannelSpec>, Option<Cursor>), DatabaseError> {
        let asking = tokio::time::timeout(PATIENCE, self.rows(since));
        let rows = asking.await.map_err(|_| DatabaseError::TooSlow)??;
        // In the order of the database; where it puts those without a time does not matter.
        let newest = rows.iter().rev().find_map(|it| it.time.clone());
        let complete = since.is_none();
        if complete {
            self.told.retain(|id| rows.iter().any(|row| row.id == *id));
        }
        let mut channels = BTreeMap::new();
        for row in rows {
            if let Some((id, row)) = self.understand(row) {
                channels.insert(id, row);
            }
        }
        let reading = Reading {
            rows: channels,
            complete,
        };
        Ok((reading, newest.map(Cursor).or_else(|| since.cloned())))
    }

    async fn connect(&self) -> Result<AnyConnection, DatabaseError> {
        let connecting = async {
            let mut connection = AnyConnection::connect_with(&self.options).await?;
            if let Some(utc) = self.dialect.in_utc() {
                connection.execute(utc).await?;
            }
            Ok::<_, sqlx::Error>(connection)
        };
        let why = match tokio::time::timeout(CONNECT_PATIENCE, connecting).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT_PATIENCE.as_secs()),
        };
        let address = mask(&self.url);
        Err(DatabaseError::Unreachable { address, why })
    }

    /// A connection whose answer was not read to its end is of no more use, and is dropped.
    async fn rows(&mut self, since: Option<&Cursor>) -> Result<Vec<Raw>, DatabaseError> {
        let mut kept = self.connection.take();
        if since.is_none()
            && let Some(old) = kept.take()
        {
            // Another file may have taken the place of this one, and the name of a server may lead elsewhere.
            let _ = old.close().await;
        }
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let rows = self.ask(&mut connection, since).await?;
        self.connection = Some(connection);
        Ok(rows)
    }

    async fn ask(
        &self,
        connection: &mut AnyConnection,
        since: Option<&Cursor>,
    ) -> Result<Vec<Raw>, DatabaseError> {
        let (query, time) = (&self.query, self.dialect.time());
        let columns = [
            ("id", "channels.id"),
            ("spec", "channels.spec"),
            ("desired", "channels.desired"),
            ("updated_at", "channels.updated_at"),
            ("changed_at", time),
        ];
        let columns = columns
            .map(|(name, value)| format!("{} AS {name}", self.dialect.text(value)))
            .join(", ");
        let wanted = since.map_or(String::new(), |_| {
            format!("WHERE {}", self.dialect.since(self.overlap))
        });
        let most = MOST_ROWS + 1;
        let asked = format!(
            "SELECT {columns} FROM ({query}) AS channels {wanted} ORDER BY {time} LIMIT {most}"
        );
        // The query is the operator's own, and the rest stands above.
        let mut asked = sqlx::query(AssertSqlSafe(asked));
        if let Some(Cursor(since)) = since {
            asked = asked.bind(since.clone());
        }
        let mut answers = asked.fetch(connection);
        let mut rows = Vec::new();
        while let Some(row) = answers.try_next().await? {
            if rows.len() == MOST_ROWS {
                return Err(DatabaseError::TooMany);
            }
            rows.push(Raw::of(&row)?);
        }
        Ok(rows)
    }

    /// A row that cannot be used harms no other.
    fn understand(&mut self, raw: Raw) -> Option<(ChannelId, Row<ChannelSpec>)> {
        let Raw {
            id,
            spec,
            desired,
            updated_at,
            time,
        } = raw;
        let Ok(channel) = ChannelId::new(&id) else {
            let why = "is no name of a channel: 1 to 64 letters, digits, '-', '_' and '.'";
            self.tell(&id, why);
            return None;
        };
        let spec = understood_spec(&spec);
        let desired = understood_desired(&desired);
        if let Err(why) = &spec {
            self.tell(&id, &format!("spec: {why}"));
        } else if desired.is_none() {
            self.tell(&id, "desired: give 'run' or 'stop'");
        } else if updated_at.is_some() && time.is_none() {
            let why = "updated_at: is no time, so that changes are seen when everything is read";
            self.tell(&id, why);
        } else {
            self.told.remove(&id);
        }
        let spec = spec.ok().map(Arc::new);
        Some((channel, Row { spec, desired }))
    }

    fn tell(&mut self, channel: &str, why: &str) {
        if self.told.insert(channel.to_owned()) {
            let channel: String = channel.chars().take(ChannelId::MOST_BYTES).collect();
            tracing::warn!(
                channel,
                "what the database says of it cannot be used: {why}"
            );
        }
    }
}

/// A row as it came. Of what is no text, U+FFFD stands for what cannot be read: no name, wish or spec has that.
struct Raw {
    id: String,
    spec: String,
    desired: String,
    updated_at: Option<String>,
    /// `updated_at`, where it is a time.
    time: Option<String>,
}

impl Raw {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let text = |column: &str| match row.try_get::<Option<String>, _>(column) {
            Ok(text) => Ok(text),
            Err(_) => row
                .try_get::<Option<Vec<u8>>, _>(column)
                .map(|bytes| bytes.map(|it| String::from_utf8_lossy(&it).into_owned())),
        };
        Ok(Self {
            id: text("id")?.unwrap_or_default(),
            spec: text("spec")?.unwrap_or_default(),
            desired: text("desired")?.unwrap_or_default(),
            updated_at: text("updated_at")?,
            time: text("changed_at")?,
        })
    }
}

/// In the words of databases: a flag counts as well.
fn understood_desired(text: &str) -> Option<Desired> {
    match text.to_ascii_lowercase().as_str() {
        "run" | "true" | "t" | "1" => Some(Desired::Run),
        "stop" | "false" | "f" | "0" => Some(Desired::Stop),
        _ => None,
    }
}

/// The URL of a source, or a spec as the API takes it.
fn understood_spec(text: &str) -> Result<ChannelSpec, String> {
    if text.len() > MOST_SPEC_BYTES {
        return Err(format!("longer than {MOST_SPEC_BYTES} bytes"));
    }
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("is no text in UTF-8".to_owned());
    }
    let text = text.trim();
    let spec = if text.starts_with('{') {
        // The words of the error may be those of the spec, and so a secret.
        serde_json::from_str(text).map_err(|error| {
            let at = (error.line(), error.column());
            format!("not what the API takes, at line {} column {}", at.0, at.1)
        })?
    } else {
        ChannelSpec::of(vec![text.to_owned()])
    };
    spec.resolve().map_err(|fault| fault.to_string())?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_a_url_or_what_the_api_takes() {
        let url = understood_spec(" https://origin.example/a.m3u8\n").unwrap();
        assert_eq!(url.sources, ["https://origin.example/a.m3u8"]);
        let full = r#"{ "sources": ["https://origin.example/a.m3u8"], "window": 9 }"#;
        assert_eq!(understood_spec(full).unwrap().window, Some(9));
        for bad in [
            "",
            "nothing",
            "{}",
            r#"{ "sources": "x" }"#,
            "ftp://a.example/b",
            "http://a.example/\u{fffd}",
        ] {
            assert!(understood_spec(bad).is_err(), "{bad}");
        }
        let long = format!("http://origin.example/{}", "x".repeat(MOST_SPEC_BYTES));
        assert!(understood_spec(&long).is_err());
        let secret = understood_spec(r#"{ "sources": ["http://a.example/"], "token": "hush" }"#);
        assert!(!secret.unwrap_err().contains("hush"));
    }
}
