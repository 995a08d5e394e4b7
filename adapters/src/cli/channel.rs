//! `hls-relay channel`.

use super::channel_args::{ChannelArgs, source};
use super::values::{api, channel_id};
use crate::spec::ChannelSpec;
use clap::{Args, Subcommand, ValueEnum};
use hls_relay_core::node::ChannelId;
use url::Url;

pub(super) const EXAMPLES: &str = "\
Examples:
  Relay another channel, and see how it is:
    hls-relay channel add news https://a.example/news.m3u8 --backup https://b.example/news.m3u8
    hls-relay channel show news

  Take another source for it, while viewers watch; what is not said stays as it is:
    hls-relay channel set news https://c.example/news.m3u8

  Without its backups and headers, and with a window as by default:
    hls-relay channel set news --unset backup --unset header --unset window

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
    /// Have this as it is by default, by the name of its option: 'backup' for none; may be repeated
    ///
    /// With 'ladder' or 'preload' goes what says how rungs are made, or how edges are asked.
    #[arg(long, value_name = "OPTION")]
    pub unset: Vec<Unset>,
    /// All else. A list that is given takes the place of the one that was there.
    #[command(flatten)]
    pub channel: ChannelArgs,
}

/// What of a channel can be as it is by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unset {
    Backup,
    Header,
    HeaderFor,
    UserAgent,
    Window,
    Hole,
    Keys,
    StrictReload,
    DropTag,
    KeepTag,
    MinHeight,
    MaxHeight,
    MaxBandwidth,
    Codec,
    Language,
    Multivariant,
    Ladder,
    LadderSource,
    LadderCodec,
    LadderPreset,
    LadderAudio,
    LadderPatience,
    Preload,
    PreloadPatience,
    PreloadConcurrency,
}

impl SetArgs {
    /// Makes of a spec what is asked for; what is not said stays.
    pub fn change(&self, spec: &mut ChannelSpec) {
        self.unset.iter().for_each(|it| it.clear(spec));
        self.channel.change(self.source.as_deref(), spec);
    }
}

impl Unset {
    fn clear(self, spec: &mut ChannelSpec) {
        let default = ChannelSpec::of(Vec::new());
        match self {
            Self::Backup => spec.sources.truncate(1),
            Self::Header => spec.headers = default.headers,
            Self::HeaderFor => spec.headers_for = default.headers_for,
            Self::UserAgent => spec.user_agent = default.user_agent,
            Self::Window => spec.window = default.window,
            Self::Hole => spec.hole = default.hole,
            Self::Keys => spec.keys = default.keys,
            Self::StrictReload => spec.strict_reload = default.strict_reload,
            Self::DropTag => spec.drop_tags = default.drop_tags,
            Self::KeepTag => spec.keep_tags = default.keep_tags,
            Self::MinHeight => spec.min_height = default.min_height,
            Self::MaxHeight => spec.max_height = default.max_height,
            Self::MaxBandwidth => spec.max_bandwidth = default.max_bandwidth,
            Self::Codec => spec.codecs = default.codecs,
            Self::Language => spec.languages = default.languages,
            Self::Multivariant => spec.multivariant = default.multivariant,
            Self::Ladder => {
                use Unset::{LadderAudio, LadderCodec, LadderPatience, LadderPreset, LadderSource};
                spec.ladder = default.ladder;
                let how = [
                    LadderSource,
                    LadderCodec,
                    LadderPreset,
                    LadderAudio,
                    LadderPatience,
                ];
                how.iter().for_each(|it| it.clear(spec));
            }
            Self::LadderSource => spec.ladder_source = default.ladder_source,
            Self::LadderCodec => spec.ladder_codec = default.ladder_codec,
            Self::LadderPreset => spec.ladder_preset = default.ladder_preset,
            Self::LadderAudio => spec.ladder_audio = default.ladder_audio,
            Self::LadderPatience => spec.ladder_patience = default.ladder_patience,
            Self::Preload => {
                spec.preload = default.preload;
                Self::PreloadPatience.clear(spec);
                Self::PreloadConcurrency.clear(spec);
            }
            Self::PreloadPatience => spec.preload_patience = default.preload_patience,
            Self::PreloadConcurrency => spec.preload_concurrency = default.preload_concurrency,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_its_source_can_be_as_it_is_by_default() {
        let full = r#"{"sources": ["http://a/", "http://b/"], "headers": ["X: 1"], "headers_for": {"a": ["Y: 1"]},
            "user_agent": "x", "window": 7, "hole": "discontinuity", "keys": "rehost", "strict_reload": true,
            "drop_tags": ["EXT-X-A"], "keep_tags": ["EXT-X-B"], "min_height": 1, "max_height": 2, "max_bandwidth": 3,
            "codecs": ["avc1"], "languages": ["en"], "multivariant": true, "ladder": [{"height": 240}], "ladder_source": false,
            "ladder_preset": "fast", "ladder_audio": "96k", "ladder_patience": 3, "preload": [{"url": "http://e/"}], "preload_patience": 2, "preload_concurrency": 8}"#;
        let full: ChannelSpec = serde_json::from_str(full).unwrap();
        let default = ChannelSpec::of(vec!["http://a/".to_owned()]);
        let id = ChannelId::new("news").unwrap();
        let mut args = SetArgs {
            id,
            source: None,
            unset: Unset::value_variants().to_vec(),
            channel: ChannelArgs::default(),
        };
        let mut spec = full.clone();
        args.change(&mut spec);
        assert_eq!(spec, default);
        args.unset = vec![Unset::Ladder, Unset::Preload];
        spec = full.clone();
        args.change(&mut spec);
        assert!(
            spec.resolve().is_ok(),
            "nothing is left that they would need"
        );
        args.unset = vec![Unset::Window];
        spec = full.clone();
        args.change(&mut spec);
        assert_eq!(
            ChannelSpec {
                window: Some(7),
                ..spec
            },
            full
        );
    }
}
