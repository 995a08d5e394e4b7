//! What a channel should be, as people and programs write it: on a command line, in a configuration file,
//! to the API, in the control store. Here it becomes what the core and the fetcher work with.

mod headers;
pub(crate) mod ladder;
pub(crate) mod named;
pub(crate) mod preload;
mod secrets;

use crate::fetch::SourceAccess;
use crate::mask::mask;
use crate::worker::Accesses;
pub(crate) use headers::{header, user_agent};
use hls_relay_core::config::{
    HolePolicy, KeyPolicy, MIN_WINDOW, ReloadPolicy, Selection, Source, Spec,
};
use hls_relay_core::ladder::{Preset, VideoCodec};
use hls_relay_core::limits::{MAX_URL_BYTES, MAX_WINDOW};
use hls_relay_core::tags::TagPolicy;
use ladder::{LadderAudio, RungSpec};
use preload::EdgeSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// A channel has so many sources at most: each costs memory, and nobody has more origins.
const MOST_SOURCES: usize = 16;
/// The items of any other list, and the bytes of an item that is no URL.
const MOST_ITEMS: usize = 64;
const MOST_ITEM_BYTES: usize = 8 << 10;

/// What a channel should be. It holds secrets: what is shown of it is [`ChannelSpec::masked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSpec {
    /// The channel's playlist at its origins, the first wanted, the others its backups.
    pub sources: Vec<String>,
    /// For the requests to all sources, each as `Name: value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// For the requests to the sources on one host alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers_for: BTreeMap<String, Vec<String>>,
    /// What the relay calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// How many segments are listed; ten where nothing is said, and all of a source that keeps all it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// How lost media is said.
    #[serde(default)]
    pub hole: HolePolicy,
    /// What becomes of segments under AES-128.
    #[serde(default)]
    pub keys: KeyPolicy,
    /// RFC 8216's wait after a change.
    #[serde(default)]
    pub strict_reload: bool,
    /// Tags that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_tags: Vec<Arc<str>>,
    /// Tags that are not, whatever `drop_tags` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_tags: Vec<Arc<str>>,
    /// See [`Selection`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_height: Option<u64>,
    /// See [`Selection`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_height: Option<u64>,
    /// See [`Selection`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bandwidth: Option<u64>,
    /// See [`Selection`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<Arc<str>>,
    /// See [`Selection`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<Arc<str>>,
    /// Viewers open a multivariant playlist also without a ladder, so that one can be added while they watch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub multivariant: bool,
    /// What is made of it beside what its source sends; nothing where it is empty.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "named::each"
    )]
    pub ladder: Vec<RungSpec>,
    /// With a ladder: whether the source's own media is offered, too.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub ladder_source: bool,
    /// What the pictures of rungs are encoded as.
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "ladder::read_codec"
    )]
    pub ladder_codec: VideoCodec,
    /// How much work the pictures of rungs are worth.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ladder_preset: Preset,
    /// What becomes of the sound in rungs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ladder_audio: LadderAudio,
    /// How many seconds a segment waits for its rungs at most, and never longer than it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder_patience: Option<u64>,
    /// Edges of a CDN that are asked for each segment before it is listed.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "named::each"
    )]
    pub preload: Vec<EdgeSpec>,
    /// How many seconds a segment waits for them at most, and never longer than it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload_patience: Option<u64>,
    /// How many requests each of them gets at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload_concurrency: Option<u64>,
}

/// What is wrong with a spec, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct SpecFault {
    /// As in `sources[1]`.
    pub field: String,
    /// What is wrong, and what to do.
    pub why: String,
}

/// A spec that can be relayed: for the core, and for the fetcher.
pub type Resolved = (Spec, Accesses);

impl SpecFault {
    pub(crate) fn new(field: impl Into<String>, why: impl ToString) -> Self {
        let (field, why) = (field.into(), why.to_string());
        Self { field, why }
    }
}

fn yes() -> bool {
    true
}

// As serde asks.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_yes(said: &bool) -> bool {
    *said
}

fn is_default<T: Default + PartialEq>(said: &T) -> bool {
    *said == T::default()
}

impl ChannelSpec {
    /// A channel from these sources, all else as it is by default.
    pub fn of(sources: Vec<String>) -> Self {
        Self {
            sources,
            headers: Vec::new(),
            headers_for: BTreeMap::new(),
            user_agent: None,
            window: None,
            hole: HolePolicy::default(),
            keys: KeyPolicy::default(),
            strict_reload: false,
            drop_tags: Vec::new(),
            keep_tags: Vec::new(),
            min_height: None,
            max_height: None,
            max_bandwidth: None,
            codecs: Vec::new(),
            languages: Vec::new(),
            multivariant: false,
            ladder: Vec::new(),
            ladder_source: true,
            ladder_codec: VideoCodec::default(),
            ladder_preset: Preset::default(),
            ladder_audio: LadderAudio::default(),
            ladder_patience: None,
            preload: Vec::new(),
            preload_patience: None,
            preload_concurrency: None,
        }
    }

    /// Checks all of it and takes it apart: what the core may know, and what it may not.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn resolve(&self) -> Result<Resolved, SpecFault> {
        let urls = self.urls()?;
        self.check_lists()?;
        self.check_heights()?;
        let checked = self.window.map_or(Ok(0), window);
        checked.map_err(|why| SpecFault::new("window", why))?;
        let tags = self.tags()?;
        let headers = self.headers_of(&urls)?;
        let accesses = urls.iter().zip(&headers);
        let accesses: Vec<_> = accesses
            .map(|(url, headers)| Arc::new(SourceAccess::new(url, headers)))
            .collect();
        let sources = accesses.iter().map(|access| Source {
            url: access.public_url(),
        });
        let (edges, edge_accesses) = preload::edges(self)?;
        let spec = Spec {
            sources: sources.collect(),
            window: self.window,
            // Whoever knows the store says so.
            room: None,
            hole: self.hole,
            selection: Selection {
                min_height: self.min_height,
                max_height: self.max_height,
                max_bandwidth: self.max_bandwidth,
                codecs: self.codecs.clone(),
                languages: self.languages.clone(),
            },
            reload: match self.strict_reload {
                true => ReloadPolicy::TargetDuration,
                false => ReloadPolicy::LastSegment,
            },
            keys: self.keys,
            tags,
            ladder: ladder::ladder(self)?,
            preload: edges,
        };
        spec.validate()
            .map_err(|error| SpecFault::new("spec", error))?;
        let accesses = Accesses {
            sources: accesses,
            edges: edge_accesses,
        };
        Ok((spec, accesses))
    }

    fn urls(&self) -> Result<Vec<Url>, SpecFault> {
        let field = |index: usize| format!("sources[{index}]");
        if self.sources.is_empty() {
            return Err(SpecFault::new("sources", "at least one is needed"));
        }
        if self.sources.len() > MOST_SOURCES {
            let why = format!("more than {MOST_SOURCES}");
            return Err(SpecFault::new("sources", why));
        }
        let mut urls: Vec<Url> = Vec::new();
        for (index, text) in self.sources.iter().enumerate() {
            let url = source_url(text).map_err(|why| SpecFault::new(field(index), why))?;
            if urls.contains(&url) {
                let shown = mask(&url);
                let why = format!("{shown} is given twice: a backup is another origin");
                return Err(SpecFault::new(field(index), why));
            }
            urls.push(url);
        }
        Ok(urls)
    }

    fn tags(&self) -> Result<TagPolicy, SpecFault> {
        for (index, name) in self.drop_tags.iter().enumerate() {
            drop_tag(name).map_err(|why| SpecFault::new(format!("drop_tags[{index}]"), why))?;
        }
        for (index, name) in self.keep_tags.iter().enumerate() {
            keep_tag(name).map_err(|why| SpecFault::new(format!("keep_tags[{index}]"), why))?;
        }
        Ok(TagPolicy {
            drop: self.drop_tags.clone(),
            keep: self.keep_tags.clone(),
        })
    }

    fn check_heights(&self) -> Result<(), SpecFault> {
        match (self.min_height, self.max_height) {
            (Some(least), Some(most)) if least > most => Err(SpecFault::new(
                "min_height",
                format!("no variant is at least {least} and at most {most} lines high"),
            )),
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }

    fn check_lists(&self) -> Result<(), SpecFault> {
        let texts = |items: &[Arc<str>]| items.iter().map(|it| it.len()).collect::<Vec<_>>();
        let headers = self.headers.iter().map(String::len).collect();
        let mut lists = vec![
            ("headers", headers),
            ("drop_tags", texts(&self.drop_tags)),
            ("keep_tags", texts(&self.keep_tags)),
            ("codecs", texts(&self.codecs)),
            ("languages", texts(&self.languages)),
            (
                "user_agent",
                self.user_agent.iter().map(String::len).collect(),
            ),
            (
                "headers_for",
                self.headers_for.keys().map(String::len).collect(),
            ),
        ];
        let own = self.headers_for.values();
        lists.extend(own.map(|it| ("headers_for", it.iter().map(String::len).collect())));
        for (field, lengths) in lists {
            if lengths.len() > MOST_ITEMS {
                return Err(SpecFault::new(field, format!("more than {MOST_ITEMS}")));
            }
            if lengths.iter().any(|length| *length > MOST_ITEM_BYTES) {
                let why = format!("one is longer than {MOST_ITEM_BYTES} bytes");
                return Err(SpecFault::new(field, why));
            }
        }
        Ok(())
    }
}

/// The URL of a source.
pub(crate) fn source_url(text: &str) -> Result<Url, String> {
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

/// How many segments are listed.
pub(crate) fn window(segments: usize) -> Result<usize, String> {
    match segments {
        MIN_WINDOW..=MAX_WINDOW => Ok(segments),
        _ => Err(format!("give a number from {MIN_WINDOW} to {MAX_WINDOW}")),
    }
}

/// A name of tags to be left out.
pub(crate) fn drop_tag(text: &str) -> Result<Arc<str>, String> {
    let name: Arc<str> = text.into();
    let (drop, keep) = (vec![Arc::clone(&name)], Vec::new());
    let valid = TagPolicy { drop, keep }.validate();
    valid.map(|()| name).map_err(|fault| fault.to_string())
}

/// A name of tags to be kept.
pub(crate) fn keep_tag(text: &str) -> Result<Arc<str>, String> {
    let name: Arc<str> = text.into();
    let (drop, keep) = (Vec::new(), vec![Arc::clone(&name)]);
    let valid = TagPolicy { drop, keep }.validate();
    valid.map(|()| name).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ChannelSpec {
        ChannelSpec::of(vec!["http://a.example/ch.m3u8".to_owned()])
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        let with = |change: &dyn Fn(&mut ChannelSpec)| {
            let mut spec = spec();
            change(&mut spec);
            spec.resolve().unwrap_err().field
        };
        assert_eq!(with(&|it| it.sources.clear()), "sources");
        assert_eq!(with(&|it| it.sources.push("x".into())), "sources[1]");
        let twice = with(&|it| it.sources.push("http://A.example:80/ch.m3u8".into()));
        assert_eq!(twice, "sources[1]");
        let many = (0..17).map(|it| format!("http://{it}.example/"));
        assert_eq!(with(&|it| it.sources = many.clone().collect()), "sources");
        assert_eq!(with(&|it| it.window = Some(5)), "window");
        let heights =
            |it: &mut ChannelSpec| (it.min_height, it.max_height) = (Some(720), Some(360));
        assert_eq!(with(&heights), "min_height");
        assert_eq!(with(&|it| it.headers = vec!["X".into()]), "headers[0]");
        let long = format!("X: {}", "x".repeat(MOST_ITEM_BYTES));
        assert_eq!(with(&|it| it.headers = vec![long.clone()]), "headers");
        let elsewhere = [("b.example".to_owned(), vec!["X: 1".to_owned()])];
        let elsewhere = with(&|it| it.headers_for = elsewhere.clone().into());
        assert_eq!(elsewhere, "headers_for.b.example");
        assert_eq!(
            with(&|it| it.user_agent = Some("a\nb".into())),
            "user_agent"
        );
        assert_eq!(
            with(&|it| it.drop_tags = vec!["EXTINF".into()]),
            "drop_tags[0]"
        );
        assert_eq!(with(&|it| it.keep_tags = vec!["#X".into()]), "keep_tags[0]");
        spec().resolve().unwrap();
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
