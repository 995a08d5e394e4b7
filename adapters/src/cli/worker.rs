//! `hls-relay worker`.

use super::values::{channel_id, redis, slots};
use crate::redis::address::Address;
use clap::Args;
use hls_relay_core::node::ChannelId;
use std::num::NonZeroUsize;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  On each machine that is to transcode, with ffmpeg installed:
    hls-relay worker --redis redis://redis.example

  On the nodes, which then leave all of it to the workers:
    hls-relay node --redis redis://redis.example --slots 0 ...

Nodes put down each segment of a channel with a ladder in Redis, and whichever worker has a free
slot takes it. Media goes from and to the node that has the channel, at its --advertise, or
through the folder of --store where worker and node both see it. A node whose --slots is not 0
makes the rungs itself while no worker is there. Workers come and go: one that leaves with Ctrl-C
or SIGTERM takes no more segments and finishes those it has; what a killed one had is another
one's after a second and a half, if that is still in time. A segment that has ended three workers
is left alone, kept in hls-relay:{transcode}:dead, and becomes a gap. Redis has to be 6.2 or
newer.

Once a minute a line in the log tells how many segments were made, how many failed, how many were
stopped because nobody wanted them any more, and how long the slowest took against how long it
lasts: much above 1 means more workers are needed. /metrics of the nodes has hls_relay_workers,
hls_relay_transcode_waiting and hls_relay_transcode_under_way.";

/// See the help of each.
#[derive(Args, Clone, Debug)]
pub struct WorkerArgs {
    /// The Redis that the nodes share: redis://…, redis+sentinel://…/MASTER or redis-cluster://…
    #[arg(long, value_name = "URL", env = "HLS_RELAY_REDIS", hide_env_values = true, value_parser = redis)]
    pub redis: Address,
    /// How many segments are transcoded at once [default: half of the cores]
    #[arg(long, value_name = "N", env = "HLS_RELAY_SLOTS", value_parser = slots)]
    pub slots: Option<NonZeroUsize>,
    /// The folder of the nodes' --store, where it is seen from here; otherwise media goes over HTTP
    #[arg(long, value_name = "DIR", env = "HLS_RELAY_STORE")]
    pub store: Option<PathBuf>,
    /// What the worker calls itself in logs [default: the name of this host]
    #[arg(long, env = "HLS_RELAY_NAME", value_parser = channel_id)]
    pub name: Option<ChannelId>,
}
