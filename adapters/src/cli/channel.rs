//! `hls-relay channel`.

use super::channel_args::{ChannelArgs, source};
use super::values::{api, channel_id};
use clap::{Args, Subcommand};
use hls_relay_core::node::ChannelId;
use url::Url;

pub(super) const EXAMPLES: &str = "\
Examples:
  Relay another channel, and see how it is:
    hls-relay channel add news https://a.example/news.m3u8 --backup https://b.example/news.m3u8
    hls-relay channel show news

  Take another source for it, while viewers watch; what is not said stays as it is:
    hls-relay channel set news https://c.example/news.m3u8

  End it, with its last list served for its time; and go on later with its numbers:
    hls-relay channel stop news
    hls-relay channel run news

  All channels, for a program; and what changes, as it does:
    hls-relay channel ls --json
    hls-relay channel watch

A node that has a token wants it of you in HLS_RELAY_API_TOKEN.";

/// See [`ChannelAction`].
#[derive(Debug, Args)]
pub struct ChannelCommand {
    /// The node that is asked
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8081",
        env = "HLS_RELAY_API",
        value_parser = api
    )]
    pub api: Url,
    /// Print what the node answers, as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub action: ChannelAction,
}

/// What can be done with the channels of a node.
#[derive(Debug, Subcommand)]
pub enum ChannelAction {
    /// Relay another channel
    Add(Box<AddArgs>),
    /// Change a channel; what is not said stays as it is
    Set(Box<SetArgs>),
    /// Run a stopped channel again, with its numbers
    Run(OneArgs),
    /// Stop a channel: its list is closed and served for its time
    Stop(OneArgs),
    /// Stop a channel and forget it
    Rm(OneArgs),
    /// All channels, a line each
    Ls,
    /// What is wanted of a channel, what is observed, and why
    Show(OneArgs),
    /// Follow a channel, or all of them: a line for each change, until Ctrl-C
    Watch(WatchArgs),
}

/// `hls-relay channel add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name, which is also its path: http://LISTEN/ID/index.m3u8
    #[arg(value_parser = channel_id)]
    pub id: ChannelId,
    /// Its playlist at its origin, http or https
    #[arg(value_name = "URL", value_parser = source)]
    pub source: String,
    /// All else.
    #[command(flatten)]
    pub channel: ChannelArgs,
}

/// `hls-relay channel set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Its name
    #[arg(value_parser = channel_id)]
    pub id: ChannelId,
    /// In place of all its sources; --backup adds to it, or alone takes the place of its backups
    #[arg(value_name = "URL", value_parser = source)]
    pub source: Option<String>,
    /// All else. A list that is given takes the place of the one that was there.
    #[command(flatten)]
    pub channel: ChannelArgs,
}

/// Of one channel.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Its name
    #[arg(value_parser = channel_id)]
    pub id: ChannelId,
}

/// `hls-relay channel watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Its name; all channels where none is given
    #[arg(value_parser = channel_id)]
    pub id: Option<ChannelId>,
}
