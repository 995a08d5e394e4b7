//! `hls-relay drain`.

use super::values::api;
use clap::Args;
use url::Url;

pub(super) const EXAMPLES: &str = "\
Examples:
  Empty a node of a cluster before its machine is taken down, while viewers watch:
    hls-relay drain --api http://10.0.0.7:8081 && ssh 10.0.0.7 systemctl stop hls-relay

Its channels go to the nodes that have room for them, a few at a time; each waits for a new
segment no longer than for any other move. The node takes no more, and answers viewers as before,
until it is stopped: SIGTERM does the same at once and then ends it. One that has been started
again takes channels again.

A node that has a token wants it of you in HLS_RELAY_API_TOKEN.";

/// Which node.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The node that is to give its channels away
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8081",
        env = "HLS_RELAY_API",
        value_parser = api
    )]
    pub api: Url,
}
