//! The command line: what can be said, what it means, and what is wrong with what was said.

mod channel;
mod channel_args;
mod drain;
mod feed;
mod node;
mod values;
mod worker;

use crate::logging::{LogFormat, LogLevel};
use crate::spec::ChannelSpec;
pub use channel::{ChannelAction, ChannelCommand, SetArgs};
use channel_args::source;
pub use channel_args::{AskingArgs, ChannelArgs, SelectionArgs, in_words};
use clap::{Args, Parser, Subcommand};
pub use drain::DrainArgs;
pub use feed::FeedArgs;
use hls_relay_core::node::ChannelId;
use hls_relay_sim::replay::ReplayArgs;
pub use node::NodeArgs;
use std::path::PathBuf;
use url::Url;
pub use values::{Listen, StoreArg};
pub(crate) use values::{
    advertise, channel_id, journal_size, listen, own_slots, proxy, redis, store,
};
pub use worker::WorkerArgs;

const ABOUT: &str = "Pulls a live HLS channel from someone else's origin and serves it as your own: \
with its own numbering, and on while the origin misbehaves.";

const EXAMPLES: &str = "\
Examples:
  See it work, with a channel that is built in:
    hls-relay demo

  Relay a channel, and open http://127.0.0.1:8080/live/index.m3u8 in any player:
    hls-relay relay https://origin.example/live/channel.m3u8

  The same for viewers elsewhere, with a second origin for when the first fails, and with a state
  that a restart goes on from:
    hls-relay relay https://a.example/ch.m3u8 --backup https://b.example/ch.m3u8 \\
        --name news --listen 0.0.0.0:8080 --state /var/lib/hls-relay

  As a ladder of bit rates, with the source as its top:
    hls-relay relay https://origin.example/live/channel.m3u8 --ladder 480p,360p:700k,240p

  As files that nginx can serve from /srv/hls/news/:
    hls-relay relay https://origin.example/ch.m3u8 --name news --store /srv/hls

  Record what happens, and look at a bad night afterwards:
    hls-relay relay https://origin.example/ch.m3u8 --name news --journal /var/log/hls-relay
    hls-relay replay /var/log/hls-relay/news --timeline night.svg

  Many channels in one process, changed while they run:
    hls-relay node --config node.toml
    hls-relay channel add news https://origin.example/news.m3u8";

const SHARED: &str = "\
What the copy has: every event with its times, the numbers, durations and order of segments, hosts,
and the words of paths. What it does not have: passwords, query strings but for the names of
parameters, parts of paths that look like tokens (16 and more letters and digits mixed, or behind a
'='), data: and skd: URIs, titles, comments, the values of tags and attributes that the relay only
passes on, entity tags, and pages that are no playlists. In their place stand other letters and
digits, the same ones for the same text, so that the copy replays as the journal does; that is
checked, and there is no copy where it does not. Headers, cookies and media are in no journal at all.
A token in a path that looks like a word stays: search the copy for what must not be in it.";

const EXIT_CODES: &str = "\
Exit codes:
  0    ended well, after Ctrl-C or SIGTERM
  1    any other failure
  2    an argument is wrong; the message says which, and what to do
  3    the address of --listen or --api-listen is in use or cannot be listened on
  4    the folder of --store, --state, --data or --journal cannot be used
  5    a journal does not replay, or cannot be shared
  6    channel: there is no such channel
  7    channel: it is there already, somebody else has changed it, or the configuration file has it;
       drain: the node is by itself
  8    channel, drain: the node cannot be asked, does not let you in, or cannot do it now
  9    relay --ladder, worker: the ffmpeg that makes rungs is missing, too old, or cannot do it
  130  left at once, at the second Ctrl-C (143 at the second SIGTERM)";

const DEFAULT_NAME: &str = "live";

/// All of the command line.
#[derive(Debug, Parser)]
#[command(name = "hls-relay", version, about = ABOUT, after_help = EXIT_CODES)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"), arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
    /// How log lines look; they go to stderr
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "HLS_RELAY_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
    /// The least important lines that are still written
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "HLS_RELAY_LOG_LEVEL"
    )]
    pub log_level: LogLevel,
}

/// See [`Cli::action`].
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Relay one channel until Ctrl-C
    #[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
    Relay(Box<RelayArgs>),
    /// Relay many channels in one process, as its configuration says
    #[command(after_help = EXIT_CODES, after_long_help = format!("{}\n\n{EXIT_CODES}", node::EXAMPLES))]
    Node(Box<NodeArgs>),
    /// Change the channels of a node while they run, and look at them
    #[command(after_help = EXIT_CODES, after_long_help = format!("{}\n\n{EXIT_CODES}", channel::EXAMPLES))]
    Channel(Box<ChannelCommand>),
    /// Have a node of a cluster give its channels to the others, and wait until it has none
    #[command(after_help = EXIT_CODES, after_long_help = format!("{}\n\n{EXIT_CODES}", drain::EXAMPLES))]
    Drain(DrainArgs),
    /// Carry the channels of a company's database into the Redis of a cluster
    #[command(after_help = EXIT_CODES, after_long_help = format!("{}\n\n{EXIT_CODES}", feed::EXAMPLES))]
    Feed(Box<FeedArgs>),
    /// Make the rungs of ladders for the nodes of a cluster
    #[command(after_help = EXIT_CODES, after_long_help = format!("{}\n\n{EXIT_CODES}", worker::EXAMPLES))]
    Worker(Box<WorkerArgs>),
    /// Start a built-in live channel and relay it, to see it work in any player
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Run a journal through the core and stop at the first difference
    Replay(ReplayArgs),
    /// Work with journals
    #[command(subcommand)]
    Journal(JournalAction),
}

/// `hls-relay journal`.
#[derive(Debug, Subcommand)]
pub enum JournalAction {
    /// Copy a journal without its secrets, for somebody else to replay
    #[command(after_help = SHARED)]
    Share(ShareArgs),
}

/// `hls-relay journal share`.
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// The pieces of a journal in their order, or the folder with all of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Where the copy is written, in one piece
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What is recorded.
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// Record what happens to the channel in DIR/NAME/, to be replayed later
    ///
    /// The files hold the playlists of the source with their URLs and tokens, and are readable by
    /// their owner only; no header, cookie or media is in them. A full disk stops the recording,
    /// never the relay. 'hls-relay replay' runs them again, 'hls-relay journal share' makes a copy
    /// without secrets.
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// What the journal may take on the disk; the oldest of it goes
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "64MB",
        value_parser = journal_size,
        requires = "journal"
    )]
    pub journal_size: u64,
}

/// `hls-relay relay`.
#[derive(Debug, Args)]
pub struct RelayArgs {
    /// The channel's playlist at its origin, http or https
    ///
    /// A name and password in it (https://user:password@host/…) are sent as basic authentication,
    /// to that host only. An address of a private network or of this host is reached only where this
    /// URL itself is there: no playlist and no redirect leads from the internet into your network.
    #[arg(value_name = "URL", value_parser = source)]
    pub source: String,
    /// The channel's name, which is also its path: http://LISTEN/NAME/index.m3u8
    #[arg(long, default_value = DEFAULT_NAME, value_parser = channel_id)]
    pub name: ChannelId,
    /// Where to serve viewers; 0.0.0.0:8080 is every address of this host, port 0 any free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = listen)]
    pub listen: Listen,
    /// Ask the sources through this proxy, http or https; a name and password in it are sent to it
    ///
    /// Names are then resolved by the proxy, and it is for the proxy to keep playlists from leading
    /// into its network. HTTP_PROXY and the like are not read: what a shell happens to hold must not
    /// decide which way a channel comes.
    #[arg(long, value_name = "URL", env = "HLS_RELAY_PROXY", hide_env_values = true, value_parser = proxy)]
    pub proxy: Option<Url>,
    /// Where segments are kept: 'memory', or a folder
    ///
    /// In a folder, playlist and segments are plain files in DIR/NAME/, that any web server can serve;
    /// each appears whole or not at all. The folder needs room for about twice the window. In memory
    /// segments may take 1 GiB.
    #[arg(long, value_name = "memory|DIR", default_value = "memory", value_parser = store)]
    pub store: StoreArg,
    /// Keep the channel's state in DIR/NAME.json, so that a restart goes on with the numbering
    ///
    /// Without it every start is a new presentation, and players that were watching may have to be
    /// reloaded.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// What the channel should be.
    #[command(flatten)]
    pub channel: ChannelArgs,
    /// What is recorded.
    #[command(flatten)]
    pub record: RecordArgs,
}

/// `hls-relay demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to serve viewers
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = listen)]
    pub listen: Listen,
    /// What is recorded.
    #[command(flatten)]
    pub record: RecordArgs,
}

impl RelayArgs {
    /// All else as it is by default.
    pub fn plain(source: String, listen: Listen, record: RecordArgs) -> Self {
        Self {
            source,
            name: ChannelId::new(DEFAULT_NAME).unwrap_or_else(|_| unreachable!("it is one")),
            listen,
            proxy: None,
            store: StoreArg::Memory,
            state: None,
            channel: ChannelArgs::default(),
            record,
        }
    }

    /// What the channel should be.
    pub fn spec(&self) -> ChannelSpec {
        let mut spec = ChannelSpec::of(Vec::new());
        self.channel.change(Some(&self.source), &mut spec);
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_journal_has_a_size_that_fits_most() {
        let cli = Cli::parse_from(["hls-relay", "demo", "--journal", "x"]);
        let Action::Demo(demo) = cli.action else {
            panic!("{cli:?}");
        };
        assert_eq!(demo.record.journal_size, journal::DEFAULT_BYTES);
    }
}
