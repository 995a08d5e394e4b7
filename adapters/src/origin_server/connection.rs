//! One connection: requests are read, asked of the model, and its replies carried out to the letter.

use super::Shared;
use super::payload::Payload;
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{Delivery, OriginReply, OriginRequest};
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

/// The header of a request may be this long.
const HEAD_LIMIT: usize = 32 * 1024;
/// Time for the client to read what came before a reset, which would otherwise overtake it.
const BEFORE_RESET: Duration = Duration::from_millis(30);
/// How often a slow body moves on.
const DRIP_EVERY: Duration = Duration::from_millis(50);

/// Whether the connection serves another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    KeepAlive,
    Close,
}

/// A request, as far as it matters here.
#[derive(Debug, Default)]
struct Head {
    request: OriginRequest,
    is_head: bool,
    close: bool,
}

/// Serves a connection to its end. What the client does wrong ends it without a word.
pub(super) async fn serve(mut stream: TcpStream, host: String, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut received = Vec::new();
    while let Ok(Some(head)) = read_head(&mut stream, &mut received, &host).await {
        let close = head.close;
        let (number, reply) = shared.respond(head.request);
        let sent = carry_out(&mut stream, &shared, &reply, head.is_head).await;
        let status = match reply.delivery {
            Delivery::Hang | Delivery::ResetBefore => None,
            Delivery::Whole { .. }
            | Delivery::Drip { .. }
            | Delivery::ResetAfter { .. }
            | Delivery::Truncated { .. } => Some(reply.status),
        };
        shared.finish(number, status);
        match sent {
            Ok(Then::KeepAlive) if !close => {}
            Ok(Then::KeepAlive | Then::Close) | Err(_) => break,
        }
    }
}

/// The next request, or `None` where the client is done.
async fn read_head(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
    host: &str,
) -> io::Result<Option<Head>> {
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            let head = std::mem::replace(received, rest);
            return Ok(parse_head(&String::from_utf8_lossy(&head), host));
        }
        if received.len() > HEAD_LIMIT || stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse_head(text: &str, host: &str) -> Option<Head> {
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method != "GET" && method != "HEAD" {
        return None;
    }
    let mut head = Head {
        is_head: method == "HEAD",
        ..Head::default()
    };
    head.request.host = host.to_owned();
    head.request.path_and_query = target.to_owned();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "range" => head.request.range = parse_range(value),
            "cookie" => head.request.cookie = Some(value.to_owned()),
            "if-none-match" => head.request.if_none_match = Some(value.to_owned()),
            "connection" => head.close = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    Some(head)
}

/// `bytes=first-last` and `bytes=first-`; of any other form the whole is sent.
fn parse_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() {
        None
    } else {
        Some(last.parse().ok()?)
    };
    Some((first.parse().ok()?, last))
}

async fn carry_out(
    stream: &mut TcpStream,
    shared: &Shared,
    reply: &OriginReply,
    is_head: bool,
) -> io::Result<Then> {
    sleep(duration(reply.delay)).await;
    match reply.delivery {
        Delivery::Hang => return hang(stream).await,
        Delivery::ResetBefore => return reset(stream),
        Delivery::Whole { .. }
        | Delivery::Drip { .. }
        | Delivery::ResetAfter { .. }
        | Delivery::Truncated { .. } => {}
    }
    let payload = Payload::new(&reply.body, &shared.media_loop, reply.headers.gzip);
    stream
        .write_all(head_of(reply, payload.len()).as_bytes())
        .await?;
    if is_head || reply.status == 304 {
        return Ok(Then::KeepAlive);
    }
    match reply.delivery {
        Delivery::Whole { rate } => send(stream, &payload, payload.len(), rate).await,
        Delivery::Drip { rate } => send(stream, &payload, payload.len(), Some(rate)).await,
        Delivery::ResetAfter { bytes } => {
            send(stream, &payload, bytes, None).await?;
            sleep(BEFORE_RESET).await;
            reset(stream)
        }
        Delivery::Truncated { bytes } => {
            send(stream, &payload, bytes, None).await?;
            stream.shutdown().await?;
            Ok(Then::Close)
        }
        Delivery::Hang | Delivery::ResetBefore => Ok(Then::Close),
    }
}

fn head_of(reply: &OriginReply, len: u64) -> String {
    let headers = &reply.headers;
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
    // Writing to a String cannot fail.
    if reply.status != 304 {
        let _ = write!(head, "Content-Length: {len}\r\n");
    }
    if let Some(content_type) = headers.content_type {
        let _ = write!(head, "Content-Type: {content_type}\r\n");
    }
    if headers.gzip {
        head.push_str("Content-Encoding: gzip\r\n");
    }
    if let Some(location) = &headers.location {
        let _ = write!(head, "Location: {location}\r\n");
    }
    if let Some(etag) = &headers.etag {
        let _ = write!(head, "ETag: {etag}\r\n");
    }
    if let Some(cookie) = headers.set_cookie {
        let _ = write!(head, "Set-Cookie: {cookie}\r\n");
    }
    if let Some((first, last, whole)) = headers.content_range {
        let _ = write!(head, "Content-Range: bytes {first}-{last}/{whole}\r\n");
    }
    // So that a player in a browser can be pointed at the origin itself, to compare.
    head.push_str("Access-Control-Allow-Origin: *\r\n\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// Sends the first `bytes` of a payload, in step with `rate`.
async fn send(
    stream: &mut TcpStream,
    payload: &Payload,
    bytes: u64,
    rate: Option<u64>,
) -> io::Result<Then> {
    let started = Instant::now();
    let mut sent = 0;
    for part in payload.parts() {
        let mut part = part;
        while !part.is_empty() && sent < bytes {
            let left = usize::try_from(bytes - sent).unwrap_or(usize::MAX);
            let chunk = &part[..part.len().min(left).min(chunk_len(rate))];
            stream.write_all(chunk).await?;
            part = &part[chunk.len()..];
            sent += chunk.len() as u64;
            if let Some(rate) = rate {
                let due = Span::from_secs(1).scaled(sent, rate.max(1));
                sleep_until(started + duration(due)).await;
            }
        }
    }
    stream.flush().await?;
    Ok(Then::KeepAlive)
}

/// What goes out at once.
fn chunk_len(rate: Option<u64>) -> usize {
    rate.map_or(usize::MAX, |rate| {
        let bytes = u128::from(rate) * DRIP_EVERY.as_millis() / 1_000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    })
}

/// Says nothing until the client gives up.
async fn hang(stream: &mut TcpStream) -> io::Result<Then> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(Then::Close)
}

/// A close that is a reset: nothing lingers.
fn reset(stream: &TcpStream) -> io::Result<Then> {
    stream.set_zero_linger()?;
    Ok(Then::Close)
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(span.as_micros())
}
