//! Asks edges of a CDN for what will soon be listed, so that they have it before anybody comes.

use crate::fetch::{Fetcher, SourceAccess};
use futures_util::stream::{self, StreamExt};
use hls_relay_core::command::{FetchLimits, Preload, PreloadEdge};
use hls_relay_core::event::{FetchError, PreloadError};
use hls_relay_core::ids::ObjectName;
use hls_relay_core::limits::{MAX_REDIRECTS, MAX_SEGMENT_BYTES};
use hls_relay_core::preload::object_url;
use hls_relay_core::time::Span;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Requests of one segment to one edge at a time: a segment and its rungs come in two rounds.
const AT_ONCE: usize = 4;

/// Asks each edge for each object, and tells of each edge how that went, in the order of the command. An
/// answer counts once all of it has come. `edges` is what each is asked with.
pub async fn preload(
    fetcher: &Fetcher,
    edges: &[Arc<SourceAccess>],
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
    futures_util::future::join_all(all).await
}

async fn warm(
    fetcher: &Fetcher,
    edges: &[Arc<SourceAccess>],
    edge: &PreloadEdge,
    work: &Preload,
) -> Result<(), FetchError> {
    let unknown = || FetchError::Protocol(format!("there is no edge {}", edge.edge).into());
    let access = edges.get(edge.edge).ok_or_else(unknown)?;
    let limits = limits(work.within);
    let ask = |object: &ObjectName| {
        let (url, limits) = (object_url(&edge.url, &object.0), limits);
        async move { fetcher.warm(access, &url, edge.method, &limits).await }
    };
    // One that fails keeps no other from being warm.
    let asked = stream::iter(&work.objects).map(ask);
    let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
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
