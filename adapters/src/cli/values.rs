//! Values that several commands take: addresses, folders, sizes.

use crate::redis::address::Address;
use crate::transcode::makers::OwnSlots;
use crate::{feed, journal};
use hls_relay_core::node::ChannelId;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Addresses to listen on, the first that works; and how they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// As written.
    pub text: String,
    /// What it stands for.
    pub addresses: Vec<SocketAddr>,
}

/// `--store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreArg {
    /// In memory.
    Memory,
    /// In this folder.
    Directory(PathBuf),
}

/// The name of a channel.
pub(crate) fn channel_id(text: &str) -> Result<ChannelId, String> {
    ChannelId::new(text).map_err(|error| error.to_string())
}

/// An address to listen on.
pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    let found = text.to_socket_addrs().map_err(|error| {
        format!(
            "not an address to listen on ({error}): give address and port, as in 127.0.0.1:8080"
        )
    })?;
    Ok(Listen {
        text: text.to_owned(),
        addresses: found.collect(),
    })
}

/// Where segments are kept.
pub(crate) fn store(text: &str) -> Result<StoreArg, String> {
    match text {
        "" => Err("give 'memory' or a folder".to_owned()),
        "memory" => Ok(StoreArg::Memory),
        folder => Ok(StoreArg::Directory(folder.into())),
    }
}

/// Where the API of a node is.
pub(crate) fn api(text: &str) -> Result<Url, String> {
    let hint = "give it as in http://127.0.0.1:8081";
    let url = Url::parse(text).map_err(|error| format!("this is no URL ({error}): {hint}"))?;
    match (url.scheme(), url.query(), url.fragment()) {
        ("http" | "https", None, None) => Ok(url),
        _ => Err(format!("not where a node could be: {hint}")),
    }
}

/// A proxy for the requests to the sources.
pub(crate) fn proxy(text: &str) -> Result<Url, String> {
    let hint = "give it as in http://proxy.example:3128";
    let url = Url::parse(text).map_err(|error| format!("this is no URL ({error}): {hint}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!(
            "a proxy is asked over http or https, not '{other}:'; {hint}"
        )),
    }
}

/// A database with the channels of a company.
pub(crate) fn database(text: &str) -> Result<Url, String> {
    let hint =
        "give it as in postgres://user@host/name, mysql://user@host/name or sqlite:///path/to/file";
    let url = Url::parse(text).map_err(|error| format!("this is no URL ({error}): {hint}"))?;
    match feed::database::is_known(&url) {
        true => Ok(url),
        false => Err(format!("'{}' is not known: {hint}", url.scheme())),
    }
}

/// A Redis that nodes share.
pub(crate) fn redis(text: &str) -> Result<Address, String> {
    Address::parse(text)
}

/// Where other nodes reach this one.
pub(crate) fn advertise(text: &str) -> Result<Url, String> {
    let hint = "give it as in http://10.0.0.7:8080";
    let url = Url::parse(text).map_err(|error| format!("this is no URL ({error}): {hint}"))?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let open = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "http" | "https" if plain && open => Ok(url),
        _ => Err(format!("not where a node could be: {hint}")),
    }
}

/// More segments at once are no machine's.
const MOST_SLOTS: usize = 256;

/// How many segments a worker makes at once.
pub(crate) fn slots(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().and_then(NonZeroUsize::new);
    number
        .filter(|it| it.get() <= MOST_SLOTS)
        .ok_or_else(|| format!("give a number of segments, from 1 to {MOST_SLOTS}"))
}

/// How many segments a node makes at once itself.
pub(crate) fn own_slots(text: &str) -> Result<OwnSlots, String> {
    match text {
        "0" => Ok(OwnSlots::None),
        text => slots(text)
            .map(OwnSlots::Count)
            .map_err(|_| format!("give a number of segments, from 0 to {MOST_SLOTS}")),
    }
}

/// A number of seconds, from one to a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).trim_end().parse();
    match number {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err("give a number of seconds, from 1 to 86400".to_owned()),
    }
}

/// A number of bytes.
pub(crate) fn journal_size(text: &str) -> Result<u64, String> {
    let units = [
        ("", 1),
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let end = text
        .find(|it: char| !it.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let known = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
    let bytes = known.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
    let bytes = bytes.ok_or("give a number and a unit, as in 64MB or 2GiB")?;
    if bytes < journal::LEAST_BYTES {
        return Err(format!(
            "give at least {} MB",
            journal::LEAST_BYTES / 1_000_000
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("64MB", 64_000_000),
            ("1mib", 1 << 20),
            ("2000000", 2_000_000),
            ("3 GB", 3_000_000_000),
        ] {
            assert_eq!(journal_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MB", "64 parsecs", "-1MB", "999kB", "99999999999GB"] {
            assert!(journal_size(bad).is_err(), "{bad}");
        }
    }
}
