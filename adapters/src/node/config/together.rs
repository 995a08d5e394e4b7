//! What each is well by itself, and cannot run together: refused before anything is opened.

use super::{NodeConfig, TOKEN};
use std::net::{IpAddr, SocketAddr};

pub(super) fn check(config: &NodeConfig) -> Result<(), String> {
    let NodeConfig {
        listen, api_listen, ..
    } = config;
    let elsewhere = |it: &SocketAddr| !it.ip().is_loopback();
    if config.api_token.is_none() && api_listen.addresses.iter().any(elsewhere) {
        return Err(format!(
            "--api-listen {}: whoever reaches it may change every channel, so it takes a token: \
             set {TOKEN} or api_token, as from 'openssl rand -hex 32'",
            api_listen.text
        ));
    }
    let taken = |api: &SocketAddr| listen.addresses.iter().any(|it| is_in_the_way(*it, *api));
    if api_listen.addresses.iter().any(taken) {
        return Err(format!(
            "--api-listen {}: viewers are served there, by --listen {}; give it a port of its own",
            api_listen.text, listen.text
        ));
    }
    let anywhere = |it: &SocketAddr| it.ip().is_unspecified();
    let is_found = config.advertise.is_some() || !listen.addresses.iter().any(anywhere);
    if config.redis.is_some() && !is_found {
        return Err(format!(
            "--listen {}: is every address of this host; say with --advertise at which one the other \
             nodes reach it, as in http://10.0.0.7:8080",
            listen.text
        ));
    }
    if config.capacity == 0 {
        return Err("--capacity 0: at least 1, as nothing would be relayed".to_owned());
    }
    Ok(())
}

/// Whether a port is the same one. Port 0 is any that is free.
fn is_in_the_way(one: SocketAddr, other: SocketAddr) -> bool {
    let (here, there) = (one.ip(), other.ip());
    // All addresses of IPv6 are those of IPv4 as well, on most systems; not so the other way round.
    let has = |all: IpAddr, it: IpAddr| all.is_unspecified() && (all.is_ipv6() || it.is_ipv4());
    let is_same = here == there || has(here, there) || has(there, here);
    is_same && one.port() == other.port() && one.port() != 0
}
