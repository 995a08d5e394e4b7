//! Edges that are warmed: each segment is asked for through them before viewers are told of it.

use crate::limits::MAX_URL_BYTES;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// The edges of a channel, and how long a segment waits for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreloadPolicy {
    /// At least one.
    pub edges: Vec<Edge>,
    /// A segment waits so long for them at most, and never longer than it lasts.
    pub patience: Option<Span>,
}

/// One edge of a CDN. What of its URL and headers is secret, the adapters keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Where it has the channel: `https://edge.example/live/news/`, to which the object's name is added. Where
    /// it holds `{object}`, that stands for the name instead. Who is told by POST may be told in the body alone.
    pub url: Arc<str>,
    /// How it is asked.
    #[serde(default)]
    pub method: PreloadMethod,
}

/// How an edge is asked for an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreloadMethod {
    /// Whole, and what comes is thrown away.
    #[default]
    Get,
    /// An edge that fetches the whole for it.
    Head,
    /// Somebody who is told to fetch it, as the interfaces of CDNs are.
    Post,
}

/// The most edges of one channel: each is asked for each object, and nobody waits for more.
pub const MOST_EDGES: usize = 16;
/// What stands for the name of an object in an edge's URL.
pub const OBJECT: &str = "{object}";

/// Why edges cannot be warmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PreloadFault {
    /// There is nobody to be asked.
    #[error("edges: at least one is needed")]
    Empty,
    /// More than [`MOST_EDGES`].
    #[error("edges: {0}, at most {MOST_EDGES}")]
    TooMany(usize),
    /// The URL at that place, counted from 0.
    #[error(
        "edges[{0}].url: give an http or https address that ends with / or holds {OBJECT}, and nothing else in braces, of at most {MAX_URL_BYTES} bytes"
    )]
    BadUrl(usize),
    /// Nobody waits for no time at all.
    #[error("patience: more than 0 is needed")]
    NoPatience,
}

impl PreloadPolicy {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), PreloadFault> {
        if self.edges.is_empty() {
            return Err(PreloadFault::Empty);
        }
        if self.edges.len() > MOST_EDGES {
            return Err(PreloadFault::TooMany(self.edges.len()));
        }
        for (at, edge) in self.edges.iter().enumerate() {
            let told = edge.method == PreloadMethod::Post;
            let whole = told || edge.url.ends_with('/') || edge.url.contains(OBJECT);
            let (one, other) = (web_url(&edge.url, "a.ts"), web_url(&edge.url, "b.ts"));
            // An object is never a host.
            let same_host = one.zip(other).is_some_and(|(a, b)| a.host() == b.host());
            // What else stands in braces is meant for somebody who would put something else there.
            let (rest, braces) = (edge.url.replace(OBJECT, ""), ["{", "}", "%7B", "%7D"]);
            let is_other = braces.iter().any(|it| rest.contains(it));
            if !same_host || !whole || is_other || edge.url.len() > MAX_URL_BYTES {
                return Err(PreloadFault::BadUrl(at));
            }
        }
        match self.patience {
            Some(Span::ZERO) => Err(PreloadFault::NoPatience),
            Some(_) | None => Ok(()),
        }
    }
}

fn web_url(edge: &str, object: &str) -> Option<Url> {
    let url = Url::parse(&object_url(edge, object)).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Where an edge has an object. Names of objects are plain, so that they stand in any part of a URL.
pub fn object_url(edge: &str, object: &str) -> String {
    if edge.contains(OBJECT) {
        edge.replace(OBJECT, object)
    } else {
        format!("{edge}{object}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(urls: &[&str]) -> Option<PreloadFault> {
        let edge = |url: &&str| Edge {
            url: (*url).into(),
            method: PreloadMethod::Get,
        };
        let policy = PreloadPolicy {
            edges: urls.iter().map(edge).collect(),
            patience: None,
        };
        policy.validate().err()
    }

    #[test]
    fn an_edge_is_a_folder_or_a_template() {
        let good = "https://edge.example/live/";
        assert_eq!(fault(&[good, "http://cdn.example/warm?o={object}"]), None);
        assert_eq!(fault(&[]), Some(PreloadFault::Empty));
        assert_eq!(fault(&[good; 17]), Some(PreloadFault::TooMany(17)));
        let told = Edge {
            url: "https://api.example/prefetch".into(),
            method: PreloadMethod::Post,
        };
        let policy = PreloadPolicy {
            edges: vec![told],
            patience: None,
        };
        assert_eq!(policy.validate(), Ok(()));
        for bad in [
            "ftp://e.example/",
            "https://e.example/live",
            "e.example/",
            "https://e.example/{object}?n={name}",
            "https://e.example/%7Bname%7D/{object}",
            "http://",
        ] {
            assert_eq!(fault(&[good, bad]), Some(PreloadFault::BadUrl(1)), "{bad}");
        }
    }

    #[test]
    fn an_object_stands_behind_the_folder_or_in_the_template() {
        for (edge, url) in [
            ("http://e.example/a/", "http://e.example/a/1-2.ts"),
            (
                "http://e.example/p?u=a%2F{object}&t=1",
                "http://e.example/p?u=a%2F1-2.ts&t=1",
            ),
        ] {
            assert_eq!(object_url(edge, "1-2.ts"), url);
        }
    }
}
