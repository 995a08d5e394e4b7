//! Asks edges of a CDN for what will soon be listed, so that they have it before anybody comes.

use crate::fetch::{Fetcher, SourceAccess};
use futures_util::future::join_all;
use hls_relay_core::command::{FetchLimits, Preload, PreloadEdge};
use hls_relay_core::event::{FetchError, PreloadError};
use hls_relay_core::ids::ObjectName;
use hls_relay_core::limits::{MAX_REDIRECTS, MAX_SEGMENT_BYTES};
use hls_relay_core::preload::{OBJECT, PreloadMethod, object_url};
use hls_relay_core::time::Span;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

/// What one edge is asked with. Its secrets never enter the core.
#[derive(Debug)]
pub struct EdgeAccess {
    access: SourceAccess,
    /// With `{object}` where the name of an object belongs, or a folder.
    url: String,
    /// What is told by POST, with `{object}` in it.
    body: Option<String>,
    /// The requests of its channel to it that may be under way at once.
    turns: Semaphore,
}

impl EdgeAccess {
    /// For at most `at_once` requests at a time. What is told is JSON, unless `headers` say something else of it.
    ///
    /// # Errors
    /// That of a URL that is none.
    pub fn new(
        url: String,
        mut headers: HeaderMap,
        body: Option<String>,
        at_once: usize,
    ) -> Result<Self, url::ParseError> {
        if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let configured = Url::parse(&object_url(&url, "x.ts"))?;
        Ok(Self {
            access: SourceAccess::new(&configured, &headers),
            url,
            body,
            turns: Semaphore::new(at_once),
        })
    }

    /// How it is asked for an object: names are plain, and so the same in JSON, in a form and in a URL.
    fn ask(&self, method: PreloadMethod, object: &ObjectName) -> (Method, String, Option<String>) {
        let url = object_url(&self.url, &object.0);
        match method {
            PreloadMethod::Get => (Method::GET, url, None),
            PreloadMethod::Head => (Method::HEAD, url, None),
            PreloadMethod::Post => {
                let url = self.url.replace(OBJECT, &object.0);
                let body = self.body.as_deref().unwrap_or_default();
                (Method::POST, url, Some(body.replace(OBJECT, &object.0)))
            }
        }
    }
}

/// Asks each edge for each object, and tells of each edge how that went, in the order of the command. An
/// answer counts once all of it has come. `edges` is what each is asked with.
pub async fn preload(
    fetcher: &Fetcher,
    edges: &[Arc<EdgeAccess>],
    work: &Preload,
    cancelled: &CancellationToken,
) -> Vec<Result<(), PreloadError>> {
    let all = work.edges.iter().map(|edge| async move {
        let within = Duration::from_micros(work.within.as_micros());
        let warmed = tokio::time::timeout(within, warm(fetcher, edges, edge, work));
        match cancelled.run_until_cancelled(warmed).await {
            Some(Ok(outcome)) => outcome.map_err(PreloadError::Failed),
            Some(Err(_)) => Err(PreloadError::TooSlow(work.within)),
            None => Err(PreloadError::Cancelled),
        }
    });
    join_all(all).await
}

async fn warm(
    fetcher: &Fetcher,
    edges: &[Arc<EdgeAccess>],
    edge: &PreloadEdge,
    work: &Preload,
) -> Result<(), FetchError> {
    let unknown = || FetchError::Protocol(format!("there is no edge {}", edge.edge).into());
    let with = edges.get(edge.edge).ok_or_else(unknown)?;
    let limits = limits(work.within);
    let ask = |object| async move {
        // Turns are never closed.
        let _turn = with.turns.acquire().await;
        let (method, url, body) = with.ask(edge.method, object);
        fetcher
            .warm(&with.access, (method, &url, body), &limits)
            .await
    };
    // One that fails keeps no other from being warm.
    let answers = join_all(work.objects.iter().map(ask)).await;
    answers.into_iter().collect()
}

/// An edge may take all of the time, as it fetches what it has not.
fn limits(within: Span) -> FetchLimits {
    FetchLimits {
        first_byte: within,
        whole: within,
        least_bytes: 0,
        rate_window: within,
        max_bytes: MAX_SEGMENT_BYTES,
        max_redirects: MAX_REDIRECTS,
    }
}
