//! What a node is told at its start: by a file, the environment and the command line, the later stronger.

mod together;

use crate::api::Token;
use crate::cli::{self, Listen, NodeArgs, StoreArg};
use crate::cluster::elsewhere::ToOwner;
use crate::journal;
use crate::mask::{MASKED, mask};
use crate::redis::address::Address;
use crate::spec::ChannelSpec;
use crate::transcode::makers::OwnSlots;
use hls_relay_core::node::ChannelId;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use url::Url;

/// A file is read up to here: ten thousand channels with long tokens have room in it.
const MOST_BYTES: u64 = 16 << 20;
/// The token of the API, for the node and for those who ask it. No option: those stand in lists of processes.
pub const TOKEN: &str = "HLS_RELAY_API_TOKEN";
/// More would not fit into any machine that this was tried on.
const DEFAULT_CAPACITY: usize = 1_000;

/// All of it, checked.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// What the node calls itself.
    pub name: ChannelId,
    /// Where everything is kept that a restart goes on from.
    pub data: PathBuf,
    /// Where segments are kept.
    pub store: StoreArg,
    /// Where viewers are served.
    pub listen: Listen,
    /// Where those are answered who change channels.
    pub api_listen: Listen,
    /// What their requests have to carry.
    pub api_token: Option<Token>,
    /// The Redis that the nodes of a cluster share.
    pub redis: Option<Address>,
    /// Where the others reach this node.
    pub advertise: Option<Url>,
    /// What becomes of a viewer whose channel another node has.
    pub to_owner: ToOwner,
    /// So many channels run at most.
    pub capacity: usize,
    /// How many segments of ladders it transcodes at once itself.
    pub slots: OwnSlots,
    /// Through which all origins are asked.
    pub proxy: Option<Url>,
    /// Where journals are kept.
    pub journal: Option<PathBuf>,
    /// What each may take.
    pub journal_size: u64,
    /// The channels that the file lists.
    pub channels: Vec<(ChannelId, ChannelSpec)>,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    #[serde(default, deserialize_with = "text_of_name")]
    name: Option<ChannelId>,
    data: Option<PathBuf>,
    #[serde(default, deserialize_with = "text_of_store")]
    store: Option<StoreArg>,
    #[serde(default, deserialize_with = "text_of_listen")]
    listen: Option<Listen>,
    #[serde(default, deserialize_with = "text_of_listen")]
    api_listen: Option<Listen>,
    #[serde(default, deserialize_with = "text_of_token")]
    api_token: Option<Token>,
    #[serde(default, deserialize_with = "text_of_redis")]
    redis: Option<Address>,
    #[serde(default, deserialize_with = "text_of_advertise")]
    advertise: Option<Url>,
    #[serde(default, deserialize_with = "text_of_to_owner")]
    to_owner: Option<ToOwner>,
    capacity: Option<usize>,
    slots: Option<usize>,
    #[serde(default, deserialize_with = "text_of_proxy")]
    proxy: Option<Url>,
    journal: Option<PathBuf>,
    #[serde(default, deserialize_with = "text_of_journal_size")]
    journal_size: Option<u64>,
    #[serde(default)]
    channel: Vec<Spanned<ChannelForm>>,
}

/// `[[channel]]`: a spec with its id among its fields.
#[derive(Debug)]
struct ChannelForm {
    id: ChannelId,
    spec: ChannelSpec,
}

impl NodeConfig {
    /// Puts together what the command line, the environment and the file say.
    ///
    /// # Errors
    /// What is wrong, with file and line where it is the file.
    pub fn load(args: &NodeArgs) -> Result<Self, String> {
        let (file, channels) = match &args.config {
            Some(path) => read(path)?,
            None => (FileForm::default(), Vec::new()),
        };
        let args = args.clone();
        let api_token = token_of_environment()?.or(file.api_token);
        let api_listen = match args.api_listen.or(file.api_listen) {
            Some(listen) => listen,
            None => cli::listen("127.0.0.1:8081")?,
        };
        let slots = match (args.slots, file.slots) {
            (Some(slots), _) => slots,
            (None, Some(slots)) => {
                cli::own_slots(&slots.to_string()).map_err(|why| format!("slots: {why}"))?
            }
            (None, None) => OwnSlots::default(),
        };
        let redis = args.redis.or(file.redis);
        let config = Self {
            name: args.name.or(file.name).unwrap_or_else(name_of_host),
            data: args
                .data
                .or(file.data)
                .unwrap_or_else(|| "hls-relay-data".into()),
            store: args.store.or(file.store).unwrap_or(StoreArg::Memory),
            listen: match args.listen.or(file.listen) {
                Some(listen) => listen,
                None => cli::listen("127.0.0.1:8080")?,
            },
            api_listen,
            api_token,
            redis,
            advertise: args.advertise.or(file.advertise),
            to_owner: args.to_owner.or(file.to_owner).unwrap_or_default(),
            capacity: args.capacity.or(file.capacity).unwrap_or(DEFAULT_CAPACITY),
            slots,
            proxy: args.proxy.or(file.proxy),
            journal: args.journal.or(file.journal),
            journal_size: args
                .journal_size
                .or(file.journal_size)
                .unwrap_or(journal::DEFAULT_BYTES),
            channels,
        };
        together::check(&config)?;
        Ok(config)
    }

    /// What is in force, as a file would say it, without secrets.
    pub fn shown(&self) -> String {
        let shown = Shown {
            name: self.name.name(),
            data: self.data.display().to_string(),
            store: match &self.store {
                StoreArg::Memory => "memory".to_owned(),
                StoreArg::Directory(folder) => folder.display().to_string(),
            },
            listen: &self.listen.text,
            api_listen: &self.api_listen.text,
            api_token: self.api_token.as_ref().map(|_| MASKED),
            redis: self.redis.as_ref().map(ToString::to_string),
            advertise: self.advertise.as_ref().map(ToString::to_string),
            to_owner: self.redis.as_ref().map(|_| match self.to_owner {
                ToOwner::Proxy => "proxy",
                ToOwner::Redirect => "redirect",
            }),
            capacity: self.capacity,
            slots: match self.slots {
                OwnSlots::OfCores => None,
                OwnSlots::Count(count) => Some(count.get()),
                OwnSlots::None => Some(0),
            },
            proxy: self.proxy.as_ref().map(mask),
            journal: self.journal.as_ref().map(|it| it.display().to_string()),
            journal_size: self.journal_size.to_string(),
            channel: self
                .channels
                .iter()
                .map(|(id, spec)| ShownChannel {
                    id: id.name(),
                    spec: spec.masked(),
                })
                .collect(),
        };
        // It is made of texts, numbers and lists of them.
        toml::to_string(&shown).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    data: String,
    store: String,
    listen: &'a str,
    api_listen: &'a str,
    api_token: Option<&'static str>,
    redis: Option<String>,
    advertise: Option<String>,
    to_owner: Option<&'static str>,
    capacity: usize,
    slots: Option<usize>,
    proxy: Option<String>,
    journal: Option<String>,
    journal_size: String,
    channel: Vec<ShownChannel<'a>>,
}

#[derive(Serialize)]
struct ShownChannel<'a> {
    id: &'a str,
    #[serde(flatten)]
    spec: ChannelSpec,
}

fn token_of_environment() -> Result<Option<Token>, String> {
    let Some(text) = std::env::var_os(TOKEN) else {
        return Ok(None);
    };
    let token = Token::new(&text.to_string_lossy());
    token.map(Some).map_err(|why| format!("{TOKEN}: {why}"))
}

type Read = (FileForm, Vec<(ChannelId, ChannelSpec)>);

fn read(path: &Path) -> Result<Read, String> {
    let shown = path.display();
    let length = std::fs::metadata(path).map(|it| it.len());
    let length = length.map_err(|error| format!("--config {shown}: {error}"))?;
    if length > MOST_BYTES {
        return Err(format!("--config {shown}: longer than {MOST_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("--config {shown}: {error}"))?;
    parse(&text).map_err(|(at, what)| format!("{shown}:{}: {what}", line_of(&text, at)))
}

/// A fault comes with its place in the text.
fn parse(text: &str) -> Result<Read, (usize, String)> {
    let start = |span: Option<Range<usize>>| span.map_or(0, |span| span.start);
    let document = toml::Deserializer::parse(text)
        .map_err(|error| (start(error.span()), error.message().to_owned()))?;
    let mut file: FileForm = serde_path_to_error::deserialize(document).map_err(|error| {
        let (field, error) = (error.path().to_string(), error.inner());
        // How the place of a channel in the file is found out is nobody's business.
        let field = field.replace(".$__serde_spanned_private_value", "");
        let what = without_text(error.message());
        let field = field.trim_matches('.');
        let colon = if field.is_empty() { "" } else { ": " };
        (start(error.span()), format!("{field}{colon}{what}"))
    })?;
    let mut ids = BTreeSet::new();
    let mut channels = Vec::new();
    for channel in std::mem::take(&mut file.channel) {
        let at = channel.span().start;
        let ChannelForm { id, spec } = channel.into_inner();
        let fault = |what: &dyn fmt::Display| (at, format!("channel '{id}': {what}"));
        spec.resolve().map_err(|error| fault(&error))?;
        if let Err(masked) = spec.clone().unmasked(None) {
            return Err(fault(&masked));
        }
        if !ids.insert(id.clone()) {
            return Err(fault(&"another channel has this id"));
        }
        channels.push((id, spec));
    }
    Ok((file, channels))
}

/// A text that stands in the wrong place may be a secret.
fn without_text(message: &str) -> String {
    let quoted = message.split_once("string \"");
    let Some((before, (_, after))) =
        quoted.and_then(|(before, rest)| Some((before, rest.rsplit_once('"')?)))
    else {
        return message.to_owned();
    };
    format!("{before}string \"{MASKED}\"{after}")
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The name of this host, as far as it can be a name here.
pub(crate) fn name_of_host() -> ChannelId {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let plain = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    let plain: String = host
        .chars()
        .filter(plain)
        .take(ChannelId::MOST_BYTES)
        .collect();
    let node = || ChannelId::new("node").unwrap_or_else(|_| unreachable!("it is one"));
    ChannelId::new(plain.trim_start_matches('.')).unwrap_or_else(|_| node())
}

impl<'de> Deserialize<'de> for ChannelForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ChannelVisitor)
    }
}

struct ChannelVisitor;

impl<'de> Visitor<'de> for ChannelVisitor {
    type Value = ChannelForm;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a channel with id and sources")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ChannelForm, M::Error> {
        let mut id = None;
        let others = WithoutId { map, id: &mut id };
        let spec = ChannelSpec::deserialize(MapAccessDeserializer::new(others))?;
        let id: String = id.ok_or_else(|| M::Error::missing_field("id"))?;
        let id = ChannelId::new(&id).map_err(|error| M::Error::custom(format!("id: {error}")))?;
        Ok(ChannelForm { id, spec })
    }
}

/// The fields of a channel but for its id, which is put aside.
struct WithoutId<'a, M> {
    map: M,
    id: &'a mut Option<String>,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for WithoutId<'_, M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, M::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key != "id" {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            *self.id = Some(self.map.next_value()?);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, M::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A value that is read from a text as on the command line.
fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    read(&text).map(Some).map_err(D::Error::custom)
}

fn text_of_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ChannelId>, D::Error> {
    text(from, cli::channel_id)
}

fn text_of_store<'de, D: Deserializer<'de>>(from: D) -> Result<Option<StoreArg>, D::Error> {
    text(from, cli::store)
}

fn text_of_listen<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Listen>, D::Error> {
    text(from, cli::listen)
}

fn text_of_token<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Token>, D::Error> {
    text(from, Token::new)
}

fn text_of_proxy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    text(from, cli::proxy)
}

fn text_of_redis<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Address>, D::Error> {
    text(from, cli::redis)
}

fn text_of_advertise<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    text(from, cli::advertise)
}

fn text_of_to_owner<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ToOwner>, D::Error> {
    let read = |text: &str| match text {
        "proxy" => Ok(ToOwner::Proxy),
        "redirect" => Ok(ToOwner::Redirect),
        _ => Err("give 'proxy' or 'redirect'".to_owned()),
    };
    text(from, read)
}

fn text_of_journal_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    text(from, cli::journal_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, String) {
        let (at, what) = parse(text).unwrap_err();
        (line_of(text, at), what)
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_field() {
        let cases: [(&str, usize, &[&str]); 12] = [
            ("listen = \n", 1, &[]),
            ("\nlisten = \"nonsense\"", 2, &["listen:", "127.0.0.1:8080"]),
            ("capacity = -1", 1, &["capacity:"]),
            (
                "\n\nlistne = \"x\"",
                3,
                &["unknown field `listne`", "`listen`"],
            ),
            ("store = \"\"", 1, &["store:", "'memory' or a folder"]),
            (
                "[[channel]]\nid = \"a\"",
                1,
                &["channel[0]", "missing field `sources`"],
            ),
            (
                "[[channel]]\nsources = [\"http://a/\"]",
                1,
                &["missing field `id`"],
            ),
            (
                "\n[[channel]]\nid = \"a/b\"\nsources = [\"http://a/\"]",
                2,
                &["channel[0]", "id: a name has"],
            ),
            (
                "[[channel]]\nid = \"a\"\nsources = [\"http://a/\"]\nwindw = 7",
                1,
                &["unknown field `windw`", "`window`"],
            ),
            (
                "[[channel]]\nid = \"a\"\nsources = [\"http://a/\"]\nwindow = \"hunter2\"",
                4,
                &["channel[0].window", "***"],
            ),
            (
                "[[channel]]\nid = \"a\"\nsources = [\"http://a/\"]\nwindow = 2",
                1,
                &["channel 'a'", "window:", "from 6 to"],
            ),
            (
                "[[channel]]\nid = \"a\"\nsources = [\"http://a/\"]\n\n[[channel]]\nid = \"a\"\nsources = [\"http://b/\"]",
                5,
                &["channel 'a'", "another channel"],
            ),
        ];
        for (text, line, words) in cases {
            let (at, what) = fault(text);
            assert_eq!(at, line, "{text}\n{what}");
            for word in words {
                assert!(what.contains(word), "{word} in {what}\n{text}");
            }
            assert!(!what.contains("hunter2"), "{what}");
        }
    }

    #[test]
    fn what_is_shown_is_a_file_again() {
        let text = "name = \"a\"\nlisten = \"127.0.0.1:1\"\n\n[[channel]]\nid = \"news\"\nsources = [\"http://me:pw@a/?t=1\"]\nwindow = 7\nheaders_for = { \"a\" = [\"X: 1\"] }";
        let (file, channels) = parse(text).unwrap();
        let config = NodeConfig {
            channels,
            listen: file.listen.unwrap(),
            ..NodeConfig::load(&NodeArgs::default()).unwrap()
        };
        let shown = config.shown();
        assert!(shown.contains("http://***@a/?t=***"), "{shown}");
        assert!(!shown.contains("pw") && !shown.contains("X: 1"), "{shown}");
        // What is masked in it has to be written out again.
        let (_, what) = fault(&shown);
        assert!(what.contains("'***' stands for a secret"), "{what}");
    }
}
