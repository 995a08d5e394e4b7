//! The command line: what can be said, what it means, and what is wrong with what was said.

mod asking;

use crate::journal;
use crate::logging::{LogFormat, LogLevel};
pub use asking::AskingArgs;
use clap::{Args, Parser, Subcommand};
use hls_relay_core::config::{DEFAULT_WINDOW, HolePolicy, KeyPolicy, MIN_WINDOW, Selection};
use hls_relay_core::limits::{MAX_URL_BYTES, MAX_WINDOW};
use hls_relay_core::tags::TagPolicy;
use hls_relay_sim::replay::ReplayArgs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

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

  As files that nginx can serve from /srv/hls/news/:
    hls-relay relay https://origin.example/ch.m3u8 --name news --store /srv/hls

  Record what happens, and look at a bad night afterwards:
    hls-relay relay https://origin.example/ch.m3u8 --name news --journal /var/log/hls-relay
    hls-relay replay /var/log/hls-relay/news --timeline night.svg";

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
  3    the address of --listen is in use or cannot be listened on
  4    the folder of --store, --state or --journal cannot be used
  5    a journal does not replay, or cannot be shared
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
    #[arg(value_name = "URL", value_parser = source_url)]
    pub source: Url,
    /// Another origin of the same channel, used while those before it fail; may be repeated
    ///
    /// It takes over when the source in use has brought no new segment for three target durations
    /// (5 s at the least), with one discontinuity. The first one is gone back to after it has been
    /// well for 60 s.
    #[arg(long = "backup", value_name = "URL", value_parser = source_url)]
    pub backups: Vec<Url>,
    /// The channel's name, which is also its path: http://LISTEN/NAME/index.m3u8
    #[arg(long, default_value = DEFAULT_NAME, value_parser = channel_name)]
    pub name: Arc<str>,
    /// Where to serve viewers; 0.0.0.0:8080 is every address of this host, port 0 any free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = listen)]
    pub listen: Listen,
    /// What the sources are asked with.
    #[command(flatten)]
    pub asking: AskingArgs,
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
    /// How many segments the playlist lists; more where three target durations need more
    #[arg(long, value_name = "N", default_value_t = DEFAULT_WINDOW, value_parser = window)]
    pub window: usize,
    /// How lost media is said to players
    ///
    /// gap: EXT-X-GAP stands for what was lost and the timeline goes on; what the window has no room
    /// for is said as a discontinuity. discontinuity: the next segment follows an
    /// EXT-X-DISCONTINUITY, for players that don't know gaps.
    #[arg(long, value_name = "gap|discontinuity", default_value = "gap", value_parser = hole)]
    pub hole: HolePolicy,

    /// What becomes of segments under AES-128: 'origin' leaves the key where the source says it is, and
    /// so leaves it to its server who gets it; 'rehost' fetches it once, with the headers of the source,
    /// and serves it beside the segments to everybody; 'decrypt' publishes segments in the clear. What
    /// DRM systems and SAMPLE-AES encrypt passes as it is.
    #[arg(long, value_name = "origin|rehost|decrypt", default_value = "origin", value_parser = keys)]
    pub keys: KeyPolicy,
    /// Leave out tags with this name, as EXT-X-CUE-OUT; may be repeated
    ///
    /// A '*' at the end stands for all names that begin so: 'EXT-X-CUE*'. A '*' alone is every tag and
    /// comment that can be left out. What segments cannot be played without is refused. Without this, tags
    /// that the relay does not know stay where they stood.
    #[arg(long, value_name = "NAME", value_parser = drop_tag)]
    pub drop_tag: Vec<Arc<str>>,
    /// Keep tags with this name, whatever --drop-tag says; may be repeated
    #[arg(long, value_name = "NAME", value_parser = keep_tag)]
    pub keep_tag: Vec<Arc<str>>,
    /// What is relayed of a multivariant playlist.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Never reload sooner than one target duration after a change (RFC 8216 6.3.4 to the letter)
    ///
    /// Without it the wait is the last segment's duration, and half a target duration at the least,
    /// as players do: new segments are then seen sooner.
    #[arg(long)]
    pub strict_reload: bool,
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

/// Addresses to listen on, the first that works; and how they were written.
#[derive(Clone, Debug)]
pub struct Listen {
    /// As written.
    pub text: String,
    /// What it stands for.
    pub addresses: Vec<SocketAddr>,
}

/// `--store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreArg {
    /// In memory.
    Memory,
    /// In this folder.
    Directory(PathBuf),
}

impl RelayArgs {
    /// All else as it is by default.
    pub fn plain(source: Url, listen: Listen, record: RecordArgs) -> Self {
        Self {
            source,
            backups: Vec::new(),
            name: DEFAULT_NAME.into(),
            listen,
            asking: AskingArgs::default(),
            store: StoreArg::Memory,
            state: None,
            window: DEFAULT_WINDOW,
            hole: HolePolicy::default(),
            keys: KeyPolicy::default(),
            drop_tag: Vec::new(),
            keep_tag: Vec::new(),
            selection: SelectionArgs::default(),
            strict_reload: false,
            record,
        }
    }
}

fn source_url(text: &str) -> Result<Url, String> {
    let hint = "give the full address of a playlist, as in https://origin.example/live.m3u8";
    let url = Url::parse(text).map_err(|error| format!("this is no URL ({error}): {hint}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "'{}:' cannot be relayed, only http: and https:; {hint}",
            url.scheme()
        ));
    }
    if text.len() > MAX_URL_BYTES {
        return Err(format!(
            "longer than {MAX_URL_BYTES} bytes, which no server takes"
        ));
    }
    Ok(url)
}

fn channel_name(text: &str) -> Result<Arc<str>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !(1..=64).contains(&text.len()) || text.starts_with('.') || !text.bytes().all(plain) {
        return Err(
            "a name has 1 to 64 of the letters A-Z, a-z, digits, '-', '_' and '.', and does \
                    not begin with '.'"
                .to_owned(),
        );
    }
    Ok(text.into())
}

fn listen(text: &str) -> Result<Listen, String> {
    let found = text.to_socket_addrs().map_err(|error| {
        format!(
            "not an address to listen on ({error}): give address and port, as in 127.0.0.1:8080"
        )
    })?;
    Ok(Listen {
        text: text.to_owned(),
        addresses: found.collect(),
    })
}

fn store(text: &str) -> Result<StoreArg, String> {
    match text {
        "" => Err("give 'memory' or a folder".to_owned()),
        "memory" => Ok(StoreArg::Memory),
        folder => Ok(StoreArg::Directory(folder.into())),
    }
}

fn window(text: &str) -> Result<usize, String> {
    let range = MIN_WINDOW..=MAX_WINDOW;
    let fits = text.parse().ok().filter(|number| range.contains(number));
    fits.ok_or_else(|| format!("give a number from {MIN_WINDOW} to {MAX_WINDOW}"))
}

fn journal_size(text: &str) -> Result<u64, String> {
    let units = [
        ("", 1),
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let end = text
        .find(|it: char| !it.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let known = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
    let bytes = known.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
    let bytes = bytes.ok_or("give a number and a unit, as in 64MB or 2GiB")?;
    if bytes < journal::LEAST_BYTES {
        return Err(format!(
            "give at least {} MB",
            journal::LEAST_BYTES / 1_000_000
        ));
    }
    Ok(bytes)
}

/// What is relayed of a multivariant playlist: all of it where nothing is said.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Of a multivariant playlist")]
pub struct SelectionArgs {
    /// Only variants whose picture is at least so many pixels high
    #[arg(long, value_name = "PIXELS")]
    pub min_height: Option<u64>,
    /// Only variants whose picture is at most so many pixels high
    #[arg(long, value_name = "PIXELS")]
    pub max_height: Option<u64>,
    /// Only variants whose BANDWIDTH is at most so many bits per second
    #[arg(long, value_name = "BITS")]
    pub max_bandwidth: Option<u64>,
    /// Only variants with this format, told by its beginning, as avc1 or hvc1.2; may be repeated
    #[arg(long, value_name = "FORMAT")]
    pub codec: Vec<Arc<str>>,
    /// Only audio and subtitles in this language, as en, which is en-GB as well; may be repeated
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Vec<Arc<str>>,
}

impl From<&SelectionArgs> for Selection {
    fn from(args: &SelectionArgs) -> Self {
        Self {
            min_height: args.min_height,
            max_height: args.max_height,
            max_bandwidth: args.max_bandwidth,
            codecs: args.codec.clone(),
            languages: args.language.clone(),
        }
    }
}

fn drop_tag(text: &str) -> Result<Arc<str>, String> {
    let name: Arc<str> = text.into();
    let (drop, keep) = (vec![Arc::clone(&name)], Vec::new());
    let valid = TagPolicy { drop, keep }.validate();
    valid.map(|()| name).map_err(|fault| fault.to_string())
}

fn keep_tag(text: &str) -> Result<Arc<str>, String> {
    let name: Arc<str> = text.into();
    let (drop, keep) = (Vec::new(), vec![Arc::clone(&name)]);
    let valid = TagPolicy { drop, keep }.validate();
    valid.map(|()| name).map_err(|fault| fault.to_string())
}

fn keys(text: &str) -> Result<KeyPolicy, String> {
    match text {
        "origin" => Ok(KeyPolicy::Origin),
        "rehost" => Ok(KeyPolicy::Rehost),
        "decrypt" => Ok(KeyPolicy::Decrypt),
        _ => Err("it is 'origin', 'rehost' or 'decrypt'".to_owned()),
    }
}

fn hole(text: &str) -> Result<HolePolicy, String> {
    match text {
        "gap" => Ok(HolePolicy::Gap),
        "discontinuity" => Ok(HolePolicy::Discontinuity),
        _ => Err("give 'gap' or 'discontinuity'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a\\b",
            "a b",
            "é",
            &"x".repeat(65),
        ] {
            assert!(channel_name(bad).is_err(), "{bad}");
        }
        assert_eq!(&*channel_name("News-24_hd.1").unwrap(), "News-24_hd.1");
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("64MB", 64_000_000),
            ("1mib", 1 << 20),
            ("2000000", 2_000_000),
            ("3 GB", 3_000_000_000),
        ] {
            assert_eq!(journal_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MB", "64 parsecs", "-1MB", "999kB", "99999999999GB"] {
            assert!(journal_size(bad).is_err(), "{bad}");
        }
        let cli = Cli::parse_from(["hls-relay", "demo", "--journal", "x"]);
        let Action::Demo(demo) = cli.action else {
            panic!("{cli:?}");
        };
        assert_eq!(demo.record.journal_size, journal::DEFAULT_BYTES);
    }

    #[test]
    fn tags_that_cannot_be_left_out_are_refused_by_name() {
        assert_eq!(&*drop_tag("EXT-X-CUE*").unwrap(), "EXT-X-CUE*");
        let refused = drop_tag("EXTINF").unwrap_err();
        assert!(refused.starts_with("EXTINF cannot be dropped"), "{refused}");
        let refused = keep_tag("EXT-X-PART").unwrap_err();
        assert!(
            refused.starts_with("EXT-X-PART cannot be kept"),
            "{refused}"
        );
        assert!(keep_tag("#EXTINF").is_err());
    }
}
