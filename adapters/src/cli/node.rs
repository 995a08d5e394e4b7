//! `hls-relay node`.

use super::values::{Listen, StoreArg, channel_id, journal_size, listen, proxy, store};
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

A channel takes what 'relay' takes, by these names: sources (the first, and its backups), headers,
headers_for (a table: host = [\"Name: value\"]), user_agent, window, hole, keys, strict_reload,
drop_tags, keep_tags, min_height, max_height, max_bandwidth, codecs, languages. Everything else in the
file has the name of its option, as journal_size for --journal-size. What the environment says is
stronger than the file, what the command line says is stronger than both.";

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
    /// How many channels may run; the others wait [default: 1000]
    #[arg(long, value_name = "N", env = "HLS_RELAY_CAPACITY")]
    pub capacity: Option<usize>,
    /// Ask the sources through this proxy, as in 'hls-relay relay --help'
    #[arg(long, value_name = "URL", env = "HLS_RELAY_PROXY", hide_env_values = true, value_parser = proxy)]
    pub proxy: Option<Url>,
    /// Record what happens to each channel in DIR/ID/, to be replayed later
    #[arg(long, value_name = "DIR", env = "HLS_RELAY_JOURNAL")]
    pub journal: Option<PathBuf>,
    /// What the journal of a channel may take on the disk [default: 64MB]
    #[arg(long, value_name = "SIZE", env = "HLS_RELAY_JOURNAL_SIZE", value_parser = journal_size)]
    pub journal_size: Option<u64>,
    /// Print what is in force, without secrets, and leave
    #[arg(long)]
    pub check: bool,
}
