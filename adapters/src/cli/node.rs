//! `hls-relay node`.

use super::values::{
    Listen, StoreArg, advertise, channel_id, journal_size, listen, own_slots, proxy, redis, store,
};
use crate::cluster::elsewhere::ToOwner;
use crate::redis::address::Address;
use crate::transcode::makers::OwnSlots;
use clap::Args;
use hls_relay_core::node::ChannelId;
use std::path::PathBuf;
use url::Url;

pub(super) const EXAMPLES: &str = "\
Examples:
  Two channels, at http://127.0.0.1:8080/news/index.m3u8 and …/sport/index.m3u8:
    hls-relay node --config node.toml

  where node.toml says
    listen = \"0.0.0.0:8080\"
    data = \"/var/lib/hls-relay\"

    [[channel]]
    id = \"news\"
    sources = [\"https://a.example/news.m3u8\", \"https://b.example/news.m3u8\"]

    [[channel]]
    id = \"sport\"
    sources = [\"https://a.example/sport.m3u8\"]
    headers = [\"Authorization: Bearer abc\"]
    window = 20

  See what would be in force, and what is wrong with it:
    hls-relay node --config node.toml --check

  One of several nodes, which share all channels of 'hls-relay channel' and 'hls-relay feed':
    hls-relay node --redis redis://redis.example --name one --listen 0.0.0.0:8080 \\
      --advertise http://10.0.0.7:8080

The nodes of a cluster have a Redis in common, and if need be the folder of --store. Each channel
is one node's; every node answers for every channel, so any load balancer may stand before them.
A node that dies is followed by another one within its lease, of 5 s. While Redis is away
everything goes on, but nothing can be changed. At SIGTERM a node hands its channels over and
leaves. Their API adds the channels. A file with [[channel]] adds its channels where there is none
of that name, and changes none; only a node by itself keeps to its file.

A channel takes what 'relay' takes, by these names: sources (the first, and its backups),
headers, headers_for (a table: host = [\"Name: value\"]), user_agent, window, hole, keys,
strict_reload, drop_tags, keep_tags, min_height, max_height, max_bandwidth, codecs, languages,
multivariant, ladder (tables: height = 720, bitrate = \"2500k\", name = \"hd\"), ladder_source,
ladder_codec, ladder_preset, ladder_audio, ladder_patience, preload (tables: url =
\"https://edge.example/live/news/\", method = \"get\", \"head\" or \"post\", headers, body),
preload_patience, preload_concurrency. Everything else in the file has the name of its option, as
journal_size for --journal-size. What the environment says is stronger than the file, what the
command line says is stronger than both.

A CDN that is told what to fetch, by POST, once for each segment and all it needs:
  preload = [{ url = \"https://api.cdn.example/v1/prefetch\", method = \"post\",
    headers = [\"Authorization: Bearer abc\"],
    body = '{\"urls\": [\"https://edge.example/live/news/{object}\"]}' }]";

/// See the help of each. What is not said here may be said in the configuration file.
#[derive(Args, Clone, Debug, Default)]
pub struct NodeArgs {
    /// Read this configuration file (TOML); 'hls-relay node --help' shows one
    #[arg(long, value_name = "FILE", env = "HLS_RELAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// What the node calls itself [default: the name of this host]
    #[arg(long, env = "HLS_RELAY_NAME", value_parser = channel_id)]
    pub name: Option<ChannelId>,
    /// Where everything is kept that a restart goes on from [default: hls-relay-data]
    ///
    /// The folder belongs to one process at a time, and is readable by its owner only: it holds the
    /// headers and tokens of the sources.
    #[arg(long, value_name = "DIR", env = "HLS_RELAY_DATA")]
    pub data: Option<PathBuf>,
    /// Where segments are kept: 'memory', or a folder with one for each channel [default: memory]
    ///
    /// In memory segments may take 1 GiB a channel.
    #[arg(long, value_name = "memory|DIR", env = "HLS_RELAY_STORE", value_parser = store)]
    pub store: Option<StoreArg>,
    /// Where to serve viewers [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", env = "HLS_RELAY_LISTEN", value_parser = listen)]
    pub listen: Option<Listen>,
    /// Where to answer those who change channels; see 'hls-relay channel --help' [default: 127.0.0.1:8081]
    ///
    /// Elsewhere than on this host only with a token, of 16 characters and more: api_token in the
    /// configuration file, or HLS_RELAY_API_TOKEN.
    #[arg(long, value_name = "ADDRESS:PORT", env = "HLS_RELAY_API_LISTEN", value_parser = listen)]
    pub api_listen: Option<Listen>,
    /// Share the channels with all nodes that have this Redis: redis://…, redis+sentinel://…/MASTER or
    /// redis-cluster://…
    #[arg(long, value_name = "URL", env = "HLS_RELAY_REDIS", hide_env_values = true, value_parser = redis)]
    pub redis: Option<Address>,
    /// Where the other nodes reach this one, as in http://10.0.0.7:8080 [default: where --listen is]
    #[arg(long, value_name = "URL", env = "HLS_RELAY_ADVERTISE", value_parser = advertise)]
    pub advertise: Option<Url>,
    /// What becomes of a viewer whose channel another node has [default: proxy]
    #[arg(long, value_name = "HOW", env = "HLS_RELAY_TO_OWNER")]
    pub to_owner: Option<ToOwner>,
    /// How many channels may run; the others wait [default: 1000]
    #[arg(long, value_name = "N", env = "HLS_RELAY_CAPACITY")]
    pub capacity: Option<usize>,
    /// How many segments of ladders this node transcodes at once; 0 leaves all to workers [default: half of
    /// its cores]
    ///
    /// With --redis the rungs are made by workers ('hls-relay worker') while any is there, and here only
    /// while none is.
    #[arg(long, value_name = "N", env = "HLS_RELAY_SLOTS", value_parser = own_slots)]
    pub slots: Option<OwnSlots>,
    /// Ask the sources through this proxy, as in 'hls-relay relay --help'
    #[arg(long, value_name = "URL", env = "HLS_RELAY_PROXY", hide_env_values = true, value_parser = proxy)]
    pub proxy: Option<Url>,
    /// Record what happens to each channel in DIR/ID/, and to the node in DIR/.node-NAME/, to be replayed later
    #[arg(long, value_name = "DIR", env = "HLS_RELAY_JOURNAL")]
    pub journal: Option<PathBuf>,
    /// What the journal of a channel, or of the node, may take on the disk [default: 64MB]
    #[arg(long, value_name = "SIZE", env = "HLS_RELAY_JOURNAL_SIZE", value_parser = journal_size)]
    pub journal_size: Option<u64>,
    /// Print what is in force, without secrets, and leave
    #[arg(long)]
    pub check: bool,
}
