//! Several nodes, one set of channels: who has which, and where it stands. What is to be done is decided by the
//! node's machine in the core.

pub mod elsewhere;
pub mod hands;
pub mod hints;
pub mod owned;
pub mod registry;
pub mod secrets;
pub mod seeds;
pub mod validity;

use std::time::Duration;

/// Where the nodes ask each other, before the name of who asks. No channel is named so.
pub const PEER_PATH: &str = "/.hls-relay/peer/";
/// The header in which they show by what they know each other.
pub const PEER_SECRET: &str = "hls-relay-secret";

/// Who is asked within a cluster is near.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// What asks nodes for what viewers and workers want of them: by no proxy, for the bytes as they are, of nobody
/// that an answer names.
pub(crate) fn asks_nodes() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_WITHIN)
        .build()
        .unwrap_or_default()
}
