//! Edges of a CDN as people write them.

use super::headers::header;
use super::{ChannelSpec, MOST_ITEM_BYTES, MOST_ITEMS, SpecFault};
use crate::mask::{MASKED, mask_url};
use crate::preload::EdgeAccess;
use hls_relay_core::preload::{Edge, OBJECT, PreloadFault, PreloadMethod, PreloadPolicy};
use hls_relay_core::time::Span;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// Requests of a channel to one edge at a time, where nothing is said: a segment and its rungs come in two rounds.
pub(crate) const DEFAULT_CONCURRENCY: u64 = 4;
/// More is no preload any longer: a channel has a handful of objects at a time.
pub(crate) const MOST_CONCURRENCY: u64 = 64;

/// An edge that is asked for each segment before viewers are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeSpec {
    /// The folder where it has the channel, or a template with `{object}` for the name of a segment.
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub method: PreloadMethod,
    /// For the requests to it, each as `Name: value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// What it is told by POST, with `{object}` for the name of a segment: JSON, unless a header says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl EdgeSpec {
    /// One that is asked by GET.
    pub fn of(url: String) -> Self {
        Self {
            url,
            method: PreloadMethod::Get,
            headers: Vec::new(),
            body: None,
        }
    }

    /// The same without secrets. What is told to it may be secret as a whole.
    pub(super) fn masked(&self) -> Self {
        Self {
            url: mask_edge(&self.url),
            method: self.method,
            headers: self.headers.iter().map(|it| mask_header(it)).collect(),
            body: self.body.as_deref().map(mask_body),
        }
    }

    /// The URL with `{object}` where a folder would be no folder without its secrets; a host alone is its root.
    fn template(&self) -> String {
        let url = &self.url;
        let is_template = url.contains(OBJECT) || self.method == PreloadMethod::Post;
        match Url::parse(url) {
            Ok(_) if is_template => url.clone(),
            Ok(parsed) if parsed.query().is_some() && url.ends_with('/') => {
                format!("{url}{OBJECT}")
            }
            Ok(parsed) if parsed.path() == "/" && parsed.query().is_none() => parsed.to_string(),
            Ok(_) | Err(_) => url.clone(),
        }
    }

    fn access(&self, concurrency: u64) -> Result<EdgeAccess, (String, String)> {
        let fault = |why: &dyn ToString| ("url".to_owned(), why.to_string());
        let url = Url::parse(&self.url).map_err(|error| fault(&error))?;
        if !url.username().is_empty() || url.password().is_some() {
            let why = "a name and a password go into a header, as in Authorization: Basic …";
            return Err(fault(&why));
        }
        let (headers, body) = (self.headers()?, self.body()?);
        let at_once = usize::try_from(concurrency).unwrap_or(usize::MAX);
        let access = EdgeAccess::new(self.template(), headers, body, at_once);
        access.map_err(|error| fault(&error))
    }

    fn headers(&self) -> Result<HeaderMap, (String, String)> {
        let mut headers = HeaderMap::new();
        let long = self.headers.iter().any(|it| it.len() > MOST_ITEM_BYTES);
        if self.headers.len() > MOST_ITEMS || long {
            let why = format!("at most {MOST_ITEMS}, of at most {MOST_ITEM_BYTES} bytes");
            return Err(("headers".to_owned(), why));
        }
        for (place, text) in self.headers.iter().enumerate() {
            let fault = |why| (format!("headers[{place}]"), why);
            let (name, value) = header(text).map_err(fault)?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn body(&self) -> Result<Option<String>, (String, String)> {
        let fault = |why: String| Err(("body".to_owned(), why));
        let told = self.method == PreloadMethod::Post;
        match &self.body {
            Some(_) if !told => fault("only with method = \"post\"".to_owned()),
            Some(body) if body.len() > MOST_ITEM_BYTES => {
                fault(format!("longer than {MOST_ITEM_BYTES} bytes"))
            }
            body => {
                let names = |it: &String| it.contains(OBJECT);
                if told && !names(&self.url) && !body.as_ref().is_some_and(names) {
                    return fault(format!(
                        "write {OBJECT} where the name of a segment belongs, here or in url: nobody could tell what to fetch"
                    ));
                }
                Ok(body.clone())
            }
        }
    }
}

/// What stands for the name of an object is no secret, and no part of a URL either.
pub(super) fn mask_edge(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        const NAME: &str = "__object__";
        return mask_url(&url.replace(OBJECT, NAME)).replace(NAME, OBJECT);
    };
    if Url::parse(url).is_err() {
        return mask_url(url);
    }
    let pairs = query.split('#').next().unwrap_or_default().split('&');
    let pairs: Vec<_> = pairs.map(mask_pair).collect();
    format!("{}?{}", mask_edge(path), pairs.join("&"))
}

/// The value of a parameter is shown as far as it is the name of an object.
fn mask_pair(pair: &str) -> String {
    let around = |text: &str| {
        let parts = text.split(OBJECT);
        let parts: Vec<_> = parts
            .map(|it| if it.is_empty() { "" } else { MASKED })
            .collect();
        parts.join(OBJECT)
    };
    match pair.split_once('=') {
        Some((name, "")) => format!("{name}={MASKED}"),
        Some((name, value)) => format!("{name}={}", around(value)),
        None => around(pair),
    }
}

/// The name tells which header it is; the value may be anything.
pub(super) fn mask_header(text: &str) -> String {
    match text.split_once(':') {
        Some((name, _)) => format!("{}: {MASKED}", name.trim()),
        None => MASKED.to_owned(),
    }
}

pub(super) fn mask_body(_: &str) -> String {
    MASKED.to_owned()
}

/// Who is asked, and what each is asked with.
pub(super) type Edges = (Option<PreloadPolicy>, Vec<Arc<EdgeAccess>>);

/// Who is asked, if anybody. The core knows of their URLs what may be seen.
pub(super) fn edges(spec: &ChannelSpec) -> Result<Edges, SpecFault> {
    let (patience, concurrency) = (spec.preload_patience, spec.preload_concurrency);
    if spec.preload.is_empty() {
        let said = [
            ("preload_patience", patience),
            ("preload_concurrency", concurrency),
        ];
        return match said.iter().find(|(_, said)| said.is_some()) {
            Some((field, _)) => {
                let why =
                    "it says how edges are asked, and there are none: give preload an edge, too";
                Err(SpecFault::new(*field, why))
            }
            None => Ok((None, Vec::new())),
        };
    }
    let concurrency = concurrency.unwrap_or(DEFAULT_CONCURRENCY);
    if !(1..=MOST_CONCURRENCY).contains(&concurrency) {
        let why = format!("give a number from 1 to {MOST_CONCURRENCY}");
        return Err(SpecFault::new("preload_concurrency", why));
    }
    let policy = |url: &dyn Fn(&EdgeSpec) -> String| PreloadPolicy {
        edges: spec
            .preload
            .iter()
            .map(|it| Edge {
                url: url(it).into(),
                method: it.method,
            })
            .collect(),
        patience: patience.map(|it| Span::from_secs(it.min(86_400))),
    };
    policy(&EdgeSpec::template).validate().map_err(|fault| {
        let field = match &fault {
            PreloadFault::BadUrl(index) => format!("preload[{index}].url"),
            PreloadFault::NoPatience => "preload_patience".to_owned(),
            PreloadFault::Empty | PreloadFault::TooMany(_) => "preload".to_owned(),
        };
        let words = fault.to_string();
        let why = words.split_once(": ").map_or(&*words, |(_, why)| why);
        SpecFault::new(field, why)
    })?;
    let mut accesses = Vec::new();
    for (index, it) in spec.preload.iter().enumerate() {
        let at = |(field, why)| SpecFault::new(format!("preload[{index}].{field}"), why);
        accesses.push(Arc::new(it.access(concurrency).map_err(at)?));
    }
    let shown = policy(&|it| mask_edge(&it.template()));
    Ok((Some(shown), accesses))
}

#[cfg(test)]
mod tests {
    use super::super::ChannelSpec;
    use super::*;

    #[test]
    fn edges_are_read_and_their_secrets_masked_and_written_back() {
        let written = r#"{"sources": ["http://a/"], "preload_patience": 2, "preload": [
            {"url": "https://edge.example/live/news/"},
            {"url": "https://cdn.example/{object}?token=s3cret", "method": "head", "headers": ["Authorization: Bearer x"]}]}"#;
        let spec: ChannelSpec = serde_json::from_str(written).unwrap();
        let (core, accesses) = spec.resolve().unwrap();
        assert_eq!(accesses.edges.len(), 2);
        let policy = core.preload.unwrap();
        assert_eq!(policy.patience, Some(Span::from_secs(2)));
        assert_eq!(policy.edges[1].method, PreloadMethod::Head);
        // Nor does the core know them, and with it logs, journals and whoever asks how a channel is.
        let fetch = "https://cdn.example/{object}?token=***";
        assert_eq!(&*policy.edges[1].url, fetch);
        let masked = spec.masked();
        let shown = serde_json::to_string(&masked).unwrap();
        assert!(
            !shown.contains("s3cret") && !shown.contains("Bearer"),
            "{shown}"
        );
        assert!(shown.contains(fetch), "{shown}");
        assert_eq!(masked.unmasked(Some(&spec)).unwrap(), spec);
    }

    #[test]
    fn what_is_wrong_with_an_edge_is_said_with_its_field() {
        let with = |edge: EdgeSpec| {
            let mut spec = ChannelSpec::of(vec!["http://a/".to_owned()]);
            spec.preload = vec![EdgeSpec::of("http://e/".to_owned()), edge];
            spec.resolve().unwrap_err().field
        };
        let of = |url: &str| EdgeSpec::of(url.to_owned());
        assert_eq!(with(of("http://e/live")), "preload[1].url");
        let told = |body: &str| EdgeSpec {
            method: PreloadMethod::Post,
            body: Some(body.to_owned()),
            ..of("http://api.e/prefetch")
        };
        assert_eq!(with(told("{}")), "preload[1].body");
        let long = format!("{{object}}{}", "x".repeat(MOST_ITEM_BYTES));
        assert_eq!(with(told(&long)), "preload[1].body");
        let asked = EdgeSpec {
            body: Some("{object}".to_owned()),
            ..of("http://e/")
        };
        assert_eq!(with(asked), "preload[1].body");
        assert_eq!(with(of("http://u:p@e/live/")), "preload[1].url");
        let mut bad = of("http://e/");
        bad.headers = vec!["X".to_owned()];
        assert_eq!(with(bad), "preload[1].headers[0]");
        let mut many = ChannelSpec::of(vec!["http://a/".to_owned()]);
        many.preload = vec![of("http://e/"); 17];
        assert_eq!(many.resolve().unwrap_err().field, "preload");
        many.preload.truncate(1);
        many.preload_patience = Some(0);
        assert_eq!(many.resolve().unwrap_err().field, "preload_patience");
        many.preload_patience = None;
        for wrong in [0, 65] {
            many.preload_concurrency = Some(wrong);
            assert_eq!(many.resolve().unwrap_err().field, "preload_concurrency");
        }
    }

    #[test]
    fn what_says_how_edges_are_asked_is_refused_where_there_are_none() {
        let mut spec = ChannelSpec::of(vec!["http://a/".to_owned()]);
        spec.preload_concurrency = Some(8);
        let fault = spec.resolve().unwrap_err();
        assert_eq!(fault.field, "preload_concurrency");
        assert!(fault.why.contains("give preload an edge, too"), "{fault}");
        spec.preload_patience = Some(2);
        assert_eq!(spec.resolve().unwrap_err().field, "preload_patience");
        spec.preload = vec![EdgeSpec::of("http://e/".to_owned())];
        spec.resolve().unwrap();
    }

    #[test]
    fn a_host_alone_is_its_root_and_a_folder_in_a_query_a_template() {
        for (written, shown) in [
            ("http://edge.example", "http://edge.example/"),
            ("http://edge.example:8080", "http://edge.example:8080/"),
            (
                "http://e/fetch?token=x&u=/live/",
                "http://e/fetch?token=***&u=***{object}",
            ),
            ("http://e/f?o={object}&t=x#y", "http://e/f?o={object}&t=***"),
        ] {
            let mut spec = ChannelSpec::of(vec!["http://a/".to_owned()]);
            spec.preload = vec![EdgeSpec::of(written.to_owned())];
            let policy = spec.resolve().unwrap().0.preload.unwrap();
            assert_eq!(&*policy.edges[0].url, shown);
        }
    }

    #[test]
    fn what_is_told_by_post_is_masked_and_written_back_edge_by_edge() {
        let told = |body: &str| EdgeSpec {
            method: PreloadMethod::Post,
            headers: vec![format!("Authorization: Bearer {body}")],
            body: Some(format!(
                r#"{{"url": "http://e/{{object}}", "key": "{body}"}}"#
            )),
            ..EdgeSpec::of("https://api.example/v1/prefetch".to_owned())
        };
        let mut spec = ChannelSpec::of(vec!["http://a/".to_owned()]);
        spec.preload = vec![told("east"), told("west")];
        let masked = spec.masked();
        let shown = serde_json::to_string(&masked).unwrap();
        assert!(
            !shown.contains("east") && !shown.contains("west"),
            "{shown}"
        );
        assert!(!format!("{:?}", spec.resolve().unwrap().0).contains("east"));
        assert_eq!(masked.unmasked(Some(&spec)), Ok(spec));
    }
}
