//! The origin, asked as a client would ask it.

mod encoder_faults;
mod live;
mod playlist_faults;
mod presentation;
mod segment_faults;

use super::*;
use std::collections::BTreeMap;

/// Six segments of two seconds; the newest is 5 at time zero, 6 at two seconds, and so on.
fn spec() -> OriginSpec {
    OriginSpec::default()
}

/// The usual origin, and something that goes wrong from 10 s to 20 s.
fn with(kind: impl Into<FaultKind>) -> Origin {
    let faults = vec![Fault::new(secs(10), secs(10), kind)];
    Origin::new(OriginSpec { faults, ..spec() })
}

fn secs(secs: u64) -> Span {
    Span::from_secs(secs)
}

fn load(origin: &Origin, at: Span) -> OriginReply {
    load_again(origin, at, 0)
}

/// The playlist, as so manieth reload.
fn load_again(origin: &Origin, at: Span, sequence: u64) -> OriginReply {
    origin.respond(
        at,
        &OriginRequest::get("/live/index.m3u8").numbered(sequence),
    )
}

fn text(origin: &Origin, at: Span) -> String {
    text_of(load(origin, at))
}

fn text_of(reply: OriginReply) -> String {
    assert_eq!(reply.status, 200);
    let Body::Text(text) = reply.body else {
        panic!("not a text: {reply:?}")
    };
    text
}

/// The URIs of a playlist.
fn uris(origin: &Origin, at: Span) -> Vec<String> {
    let text = text(origin, at);
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Media sequence number and last URI: the shortest description of a playlist.
fn summary(origin: &Origin, at: Span) -> String {
    let text = text(origin, at);
    let number = value(&text, "#EXT-X-MEDIA-SEQUENCE:").unwrap();
    format!("{number} to {}", uris(origin, at).pop().unwrap())
}

/// What stands behind a tag.
fn value<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(tag))
}

fn segment(origin: &Origin, at: Span, name: &str) -> OriginReply {
    origin.respond(at, &OriginRequest::get(format!("/live/{name}")))
}

fn media(origin: &Origin, at: Span, name: &str) -> MediaRef {
    let reply = segment(origin, at, name);
    let Body::Media { media, .. } = reply.body else {
        panic!("{name}: {reply:?}")
    };
    media
}
