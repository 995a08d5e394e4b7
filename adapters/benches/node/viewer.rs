//! A viewer: one connection, the playlist once per target duration, every segment once; and what it notices.

use super::origin::Live;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 4 << 20;

/// What a viewer has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Which segment of the origin stands behind a URI.
    pub(crate) segments: HashMap<String, u64>,
    /// The segment of the origin that came last, by its number.
    pub(crate) newest: Option<u64>,
    /// Older than where it began.
    passed_over: HashSet<String>,
    /// What a viewer must not notice, in words.
    pub(crate) faults: Vec<String>,
}

/// Watches a channel until `end`.
pub(crate) async fn watch(
    live: Arc<Live>,
    node: SocketAddr,
    channel: usize,
    end: tokio::time::Instant,
) -> Seen {
    let mut seen = Seen::default();
    let mut connection = None;
    while tokio::time::Instant::now() < end {
        let began = tokio::time::Instant::now();
        look(&live, node, channel, &mut connection, &mut seen).await;
        tokio::time::sleep_until(began + LOOK_EVERY).await;
    }
    seen
}

async fn look(
    live: &Live,
    node: SocketAddr,
    channel: usize,
    connection: &mut Option<SendRequest<Body>>,
    seen: &mut Seen,
) {
    let list = match get(connection, node, &Live::path(channel)).await {
        Ok((StatusCode::OK, list)) => list,
        // It has not begun yet.
        Ok((StatusCode::SERVICE_UNAVAILABLE, _)) if seen.newest.is_none() => {
            return sleep(LOOK_EVERY / 4).await;
        }
        Ok((status, _)) => return seen.faults.push(format!("a playlist: {status}")),
        Err(error) => return seen.faults.push(format!("a playlist: {error}")),
    };
    let list = String::from_utf8_lossy(&list).into_owned();
    if list.contains("#EXT-X-GAP") || list.contains("#EXT-X-DISCONTINUITY\n") {
        seen.faults.push("a hole or a discontinuity".to_owned());
    }
    let mut names: Vec<_> = list.lines().filter(|it| it.ends_with(".ts")).collect();
    // Whoever begins takes what is newest.
    if seen.newest.is_none() {
        let newest = names.len().saturating_sub(1);
        seen.passed_over = names.drain(..newest).map(str::to_owned).collect();
    }
    for name in names {
        if !seen.segments.contains_key(name) && !seen.passed_over.contains(name) {
            take(live, node, channel, connection, seen, name).await;
        }
    }
}

async fn take(
    live: &Live,
    node: SocketAddr,
    channel: usize,
    connection: &mut Option<SendRequest<Body>>,
    seen: &mut Seen,
    name: &str,
) {
    let body = match get(connection, node, &format!("/c{channel}/{name}")).await {
        Ok((StatusCode::OK, body)) => body,
        Ok((status, _)) => return seen.faults.push(format!("a segment: {status}")),
        Err(error) => return seen.faults.push(format!("a segment: {error}")),
    };
    let is = |number: &u64| live.segment(*number).is_some_and(|it| it == body);
    let number = match seen.newest {
        Some(newest) => Some(newest + 1).filter(is),
        None => live
            .listed(channel)
            .into_iter()
            .map(|(number, _)| number)
            .find(is),
    };
    match number {
        Some(number) => {
            seen.segments.insert(name.to_owned(), number);
            seen.newest = Some(number);
        }
        None => seen
            .faults
            .push(format!("{name} is not what follows {:?}", seen.newest)),
    }
}

async fn get(
    connection: &mut Option<SendRequest<Body>>,
    node: SocketAddr,
    path: &str,
) -> Result<(StatusCode, Bytes), String> {
    if connection.as_ref().is_none_or(SendRequest::is_closed) {
        *connection = Some(connect(node).await?);
    }
    let sender = connection.as_mut().ok_or("no connection")?;
    let request = Request::get(path).header("host", node.to_string());
    let request = request.body(Body::empty()).map_err(|it| it.to_string())?;
    sender.ready().await.map_err(|it| it.to_string())?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|it| it.to_string())?;
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await;
    Ok((status, body.map_err(|it| it.to_string())?))
}

async fn connect(node: SocketAddr) -> Result<SendRequest<Body>, String> {
    let stream = TcpStream::connect(node).await;
    let stream = TokioIo::new(stream.map_err(|it| it.to_string())?);
    let (sender, connection) = handshake(stream).await.map_err(|it| it.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}
