//! Where Redis is: one server, a master that Sentinels know, or a cluster of its own.

use crate::mask::MASKED;
use ::redis::cluster::ClusterClient;
use ::redis::io::tcp::TcpSettings;
use ::redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use ::redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError};
use std::fmt;
use std::time::Duration;
use url::Url;

/// So many servers may be named; the others are found from them.
const MOST_SERVERS: usize = 32;
/// A request that a cluster has sent elsewhere, or could not take, is sent so often again within its time.
const CLUSTER_RETRIES: u32 = 3;
/// The port of Sentinels where none is said.
const SENTINEL_PORT: u16 = 26_379;
/// The same of servers.
const PORT: u16 = 6_379;

/// How addresses are written.
pub const HINT: &str = "give it as in redis://redis.example:6379, \
    redis+sentinel://one.example:26379,two.example:26379/MASTER or \
    redis-cluster://one.example:6379,two.example:6379";

/// An address of Redis, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    kind: Kind,
    servers: Vec<(String, u16)>,
    /// As written, for all servers alike.
    user: String,
    database: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    /// The name of the master that is asked for.
    Sentinel(String),
    Cluster,
}

/// Who can be asked for a connection.
pub(super) enum Route {
    Server(Client),
    Sentinel(Box<SentinelClient>),
    Cluster(Box<ClusterClient>),
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it; its words are not in it, since a password may be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{what}: {HINT}");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no URL"))?;
        if !matches!(scheme, "redis" | "redis+sentinel" | "redis-cluster") {
            return Err(wrong(&format!("not '{scheme}:'")));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains(['/', '?', '#']) || authority.contains(['?', '#']) {
            return Err(wrong("there is more behind it than can be understood"));
        }
        let (user, servers) = authority.rsplit_once('@').unwrap_or(("", authority));
        let default = match scheme {
            "redis+sentinel" => SENTINEL_PORT,
            _ => PORT,
        };
        let servers: Vec<_> = servers.split(',').collect();
        let most = if scheme == "redis" { 1 } else { MOST_SERVERS };
        if servers.len() > most {
            return Err(wrong(&format!("'{scheme}:' takes up to {most} servers")));
        }
        let servers = servers.into_iter().map(|it| server(it, default));
        let servers: Option<Vec<_>> = servers.collect();
        let servers = servers.ok_or_else(|| wrong("a server is a host, with a port or without"))?;
        let (kind, database) = match (scheme, path) {
            ("redis+sentinel", "") => return Err(wrong("it names no master")),
            ("redis+sentinel", name) => (Kind::Sentinel(name.to_owned()), 0),
            ("redis-cluster", "") => (Kind::Cluster, 0),
            ("redis", "") => (Kind::Server, 0),
            ("redis", number) => {
                let number = number.parse().ok().filter(|it| *it >= 0);
                (
                    Kind::Server,
                    number.ok_or_else(|| wrong("a database is a number"))?,
                )
            }
            _ => return Err(wrong("a Redis Cluster has one database")),
        };
        let address = Self {
            kind,
            servers,
            user: user.to_owned(),
            database,
        };
        let read = address.infos(true);
        read.map_err(|_| wrong("its user or password cannot be read"))?;
        Ok(address)
    }

    /// Who is asked for connections. Nothing is asked of anybody yet.
    pub(super) fn route(&self, within: Duration) -> Result<Route, RedisError> {
        match &self.kind {
            Kind::Server => {
                let mut infos = self.infos(true)?;
                Ok(Route::Server(Client::open(infos.remove(0))?))
            }
            Kind::Sentinel(master) => {
                // What is said of the user is said to the servers; whoever asks a Sentinel changes nothing.
                let of_servers = self.infos(true)?.remove(0).redis_settings().clone();
                let of_servers = SentinelNodeConnectionInfo::default()
                    .set_tcp_settings(that_end_at_once())
                    .set_redis_connection_info(of_servers);
                let client = SentinelClient::build(
                    self.infos(false)?,
                    master.clone(),
                    Some(of_servers),
                    SentinelServerType::Master,
                );
                Ok(Route::Sentinel(Box::new(client?)))
            }
            Kind::Cluster => {
                let builder = ClusterClient::builder(self.infos(true)?)
                    .tcp_settings(that_end_at_once())
                    .retries(CLUSTER_RETRIES)
                    .connection_timeout(within / 2)
                    .response_timeout(within)
                    .overall_response_timeout(Some(within));
                Ok(Route::Cluster(Box::new(builder.build()?)))
            }
        }
    }

    /// The servers that are named, each by itself.
    pub(super) fn infos(&self, with_user: bool) -> Result<Vec<ConnectionInfo>, RedisError> {
        let (user, at) = match &*self.user {
            user if with_user && !user.is_empty() => (user, "@"),
            _ => ("", ""),
        };
        let servers = self.servers.iter().map(shown);
        let urls = servers.map(|it| format!("redis://{user}{at}{it}/{}", self.database));
        let infos = urls.map(IntoConnectionInfo::into_connection_info);
        infos
            .map(|info| Ok(info?.set_tcp_settings(that_end_at_once())))
            .collect()
    }
}

/// What has been written to a connection and not been sent is dropped with it: nothing arrives after its call was given
/// up, when another owner may have written what is newer.
fn that_end_at_once() -> TcpSettings {
    TcpSettings::default().set_linger_time(Duration::ZERO)
}

fn shown((host, port): &(String, u16)) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// A host, an IPv6 address in brackets among them, and a port.
fn server(text: &str, default: u16) -> Option<(String, u16)> {
    let url = Url::parse(&format!("redis://{text}")).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let plain = url.username().is_empty() && url.password().is_none() && url.path().is_empty();
    (plain && !host.is_empty()).then(|| (host, url.port().unwrap_or(default)))
}

/// Without secrets.
impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Server => "redis",
            Kind::Sentinel(_) => "redis+sentinel",
            Kind::Cluster => "redis-cluster",
        };
        write!(out, "{scheme}://")?;
        if !self.user.is_empty() {
            write!(out, "{MASKED}@")?;
        }
        let servers: Vec<_> = self.servers.iter().map(shown).collect();
        write!(out, "{}", servers.join(","))?;
        match &self.kind {
            Kind::Sentinel(master) => write!(out, "/{master}"),
            Kind::Server if self.database != 0 => write!(out, "/{}", self.database),
            Kind::Server | Kind::Cluster => Ok(()),
        }
    }
}

/// The same.
impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_kind_are_read_and_shown_without_secrets() {
        for (text, shown) in [
            ("redis://redis.example", "redis://redis.example:6379"),
            ("redis://:hunter2@[::1]:7000/3", "redis://***@[::1]:7000/3"),
            (
                "redis+sentinel://me:hunter2@a,b:5000/tv",
                "redis+sentinel://***@a:26379,b:5000/tv",
            ),
            ("redis-cluster://a:1,b:2,c:3", "redis-cluster://a:1,b:2,c:3"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(address.route(Duration::from_secs(1)).is_ok(), "{text}");
        }
        let address = Address::parse("redis://u%40x:hunter%202@a").unwrap();
        let settings = address.infos(true).unwrap()[0].redis_settings().clone();
        let told = (settings.username(), settings.password());
        assert_eq!(told, (Some("u@x"), Some("hunter 2")));
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for bad in [
            "",
            "redis.example",
            "http://redis.example",
            "redis://",
            "redis://a:1,b:2",
            "redis://hunter2@a:port",
            "redis://a/tv",
            "redis://a/-1",
            "redis://a/0?x=hunter2",
            "redis+sentinel://a:1,b:2",
            "redis+sentinel://a,,b/tv",
            "redis-cluster://a:1/3",
        ] {
            let why = Address::parse(bad).unwrap_err();
            assert!(why.contains("redis://redis.example:6379"), "{bad}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
