//! Edges of a CDN as people write them.

use super::headers::header;
use super::{MOST_ITEM_BYTES, MOST_ITEMS, SpecFault};
use crate::fetch::SourceAccess;
use crate::mask::mask_url;
use hls_relay_core::preload::{
    Edge, OBJECT, PreloadFault, PreloadMethod, PreloadPolicy, object_url,
};
use hls_relay_core::time::Span;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

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
}

impl EdgeSpec {
    /// One that is asked by GET.
    pub fn of(url: String) -> Self {
        Self {
            url,
            method: PreloadMethod::Get,
            headers: Vec::new(),
        }
    }

    /// Its URL without secrets.
    pub(super) fn masked_url(&self) -> String {
        mask_edge(&self.url)
    }

    fn access(&self, index: usize) -> Result<SourceAccess, SpecFault> {
        let field = |of: &str| format!("preload[{index}].{of}");
        let url = Url::parse(&object_url(&self.url, "x.ts"));
        let url = url.map_err(|error| SpecFault::new(field("url"), error))?;
        if !url.username().is_empty() || url.password().is_some() {
            let why = "a name and a password go into a header, as in Authorization: Basic …";
            return Err(SpecFault::new(field("url"), why));
        }
        let mut headers = HeaderMap::new();
        let long = self.headers.iter().any(|it| it.len() > MOST_ITEM_BYTES);
        if self.headers.len() > MOST_ITEMS || long {
            let why = format!("at most {MOST_ITEMS}, of at most {MOST_ITEM_BYTES} bytes");
            return Err(SpecFault::new(field("headers"), why));
        }
        for (place, text) in self.headers.iter().enumerate() {
            let fault = |why| SpecFault::new(field(&format!("headers[{place}]")), why);
            let (name, value) = header(text).map_err(fault)?;
            headers.append(name, value);
        }
        Ok(SourceAccess::new(&url, &headers))
    }
}

/// What stands for the name of an object is no secret, and no part of a URL either.
pub(super) fn mask_edge(url: &str) -> String {
    const NAME: &str = "__object__";
    mask_url(&url.replace(OBJECT, NAME)).replace(NAME, OBJECT)
}

/// Who is asked, and what each is asked with.
pub(super) type Edges = (Option<PreloadPolicy>, Vec<Arc<SourceAccess>>);

/// Who is asked, if anybody. A segment waits for them at most so many seconds.
pub(super) fn edges(edges: &[EdgeSpec], patience: Option<u64>) -> Result<Edges, SpecFault> {
    if edges.is_empty() {
        return Ok((None, Vec::new()));
    }
    let policy = PreloadPolicy {
        edges: edges
            .iter()
            .map(|it| Edge {
                url: it.url.as_str().into(),
                method: it.method,
            })
            .collect(),
        patience: patience.map(|it| Span::from_secs(it.min(86_400))),
    };
    policy.validate().map_err(|fault| {
        let field = match &fault {
            PreloadFault::BadUrl(index) => format!("preload[{index}].url"),
            PreloadFault::NoPatience => "preload_patience".to_owned(),
            PreloadFault::Empty | PreloadFault::TooMany(_) => "preload".to_owned(),
        };
        let words = fault.to_string();
        let why = words.split_once(": ").map_or(&*words, |(_, why)| why);
        SpecFault::new(field, why)
    })?;
    let accesses = edges.iter().enumerate();
    let accesses = accesses.map(|(index, it)| it.access(index).map(Arc::new));
    Ok((Some(policy), accesses.collect::<Result<_, _>>()?))
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
        let masked = spec.masked();
        let shown = serde_json::to_string(&masked).unwrap();
        assert!(
            !shown.contains("s3cret") && !shown.contains("Bearer"),
            "{shown}"
        );
        assert!(
            shown.contains("https://cdn.example/{object}?token="),
            "{shown}"
        );
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
    }
}
