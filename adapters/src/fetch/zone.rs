//! Which addresses a source may lead us to (C-36).
//!
//! A playlist and a redirect are written by strangers, and the relay often stands where strangers
//! don't: next to databases, admin pages and the metadata service of a cloud. So an address that is
//! not on the public internet is reached only where the channel's own configuration already is there.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// How far from the public internet an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    /// Anybody's.
    Public,
    /// This host, or a private network.
    Local,
    /// Link-local, multicast, reserved, and where clouds hand out credentials.
    Special,
}

/// The metadata services that are not link-local: AWS over IPv6, Alibaba.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

impl Zone {
    /// The zone of an address; an IPv4 address in an IPv6 coat is what it is underneath.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match embedded_v4(address) {
                Some(inner) => Self::of_v4(inner),
                None => Self::of_v6(address),
            },
        }
    }

    /// The zone that a URL's host names without a question to DNS; `None` for other names.
    pub fn named_by(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Ipv4(address) => Some(Self::of(address.into())),
            Host::Ipv6(address) => Some(Self::of(address.into())),
            Host::Domain(name) => is_localhost(name).then_some(Self::Local),
        }
    }

    /// Whether one who may go here may go to `other`: everybody may go to the public internet, and
    /// otherwise only to where they are.
    pub fn reaches(self, other: Self) -> bool {
        other == Self::Public || other == self
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        let special =
            address.is_link_local() || address.is_multicast() || a >= 240 || address == METADATA_V4;
        let shared = a == 100 && (64..128).contains(&b);
        let benchmark = a == 198 && (b == 18 || b == 19);
        let assignments = a == 192 && b == 0 && c == 0;
        if special {
            Self::Special
        } else if a == 0
            || address.is_loopback()
            || address.is_private()
            || shared
            || benchmark
            || assignments
        {
            Self::Local
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let site_local = address.segments()[0] & 0xffc0 == 0xfec0;
        if address.is_unicast_link_local() || address.is_multicast() || address == METADATA_V6 {
            Self::Special
        } else if address.is_loopback()
            || address.is_unspecified()
            || address.is_unique_local()
            || site_local
        {
            Self::Local
        } else {
            Self::Public
        }
    }
}

/// RFC 6761 6.3: such a name is this host, whatever DNS says.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// NAT64 (64:ff9b::/96), 6to4 (2002::/16) and the deprecated ::a.b.c.d lead to the IPv4 address they hold.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let at = |from: usize| {
        Ipv4Addr::new(
            octets[from],
            octets[from + 1],
            octets[from + 2],
            octets[from + 3],
        )
    };
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(at(12)),
        [0x2002, ..] => Some(at(2)),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(at(12)),
        _ => None,
    }
}

/// A name stands for nothing but addresses out of reach.
#[derive(Debug)]
pub(super) struct OutOfReach;

impl fmt::Display for OutOfReach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a private address")
    }
}

impl std::error::Error for OutOfReach {}

/// The system's resolver, less the addresses out of reach: what was checked is what is connected to,
/// so a name that changes its mind between check and use gains nothing.
pub(super) struct ReachResolver(pub(super) Zone);

impl Resolve for ReachResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (near, far): (Vec<_>, Vec<_>) = found
                .into_iter()
                .partition(|address| reach.reaches(Zone::of(address.ip())));
            if near.is_empty() && !far.is_empty() {
                return Err(Box::new(OutOfReach) as _);
            }
            Ok(Box::new(near.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(address: &str) -> Zone {
        Zone::of(address.parse().unwrap())
    }

    #[test]
    fn c_36_private_addresses_are_told_in_every_coat() {
        for address in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::10.0.0.1",
        ] {
            assert_eq!(zone(address), Zone::Local, "{address}");
        }
        for address in [
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "100.100.100.200",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert_eq!(zone(address), Zone::Special, "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(zone(address), Zone::Public, "{address}");
        }
    }

    #[test]
    fn c_36_one_may_go_to_the_internet_and_to_where_one_is() {
        assert!(Zone::Public.reaches(Zone::Public) && Zone::Local.reaches(Zone::Public));
        assert!(Zone::Local.reaches(Zone::Local) && Zone::Special.reaches(Zone::Special));
        assert!(!Zone::Public.reaches(Zone::Local) && !Zone::Public.reaches(Zone::Special));
        assert!(!Zone::Local.reaches(Zone::Special) && !Zone::Special.reaches(Zone::Local));
    }

    /// The name of this host is in every hosts file.
    #[tokio::test]
    async fn c_36_a_name_that_stands_for_a_private_address_is_out_of_reach() {
        let resolve = |reach| ReachResolver(reach).resolve("localhost".parse().unwrap());
        let refused = resolve(Zone::Public).await.err().unwrap();
        assert!(refused.is::<OutOfReach>());
        assert!(resolve(Zone::Local).await.unwrap().count() > 0);
    }

    #[test]
    fn c_36_odd_spellings_of_loopback_name_it_too() {
        for url in [
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
        ] {
            assert_eq!(
                Zone::named_by(&Url::parse(url).unwrap()),
                Some(Zone::Local),
                "{url}"
            );
        }
        assert_eq!(
            Zone::named_by(&Url::parse("http://origin.example/").unwrap()),
            None
        );
    }
}
