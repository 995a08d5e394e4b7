//! From a request to its reply: what the connection does, and in [`lists`] and [`segments`] what is asked for.

mod lists;
mod segments;

use super::fault::{ConnectionFault, Fault, FaultKind};
use super::playlist::Reader;
use super::reply::{Body, Delivery, Headers, OriginReply, OriginRequest};
use super::{Origin, presentation};
use crate::rng::{Stream, hash_bytes};
use hls_relay_core::time::Span;

const HTML_TYPE: &str = "text/html; charset=utf-8";

/// What a client has to show that has loaded a playlist of the first host.
const COOKIE: &str = "session=5";
/// How it is given.
const SET_COOKIE: &str = "session=5; Max-Age=3600; Path=/";

/// The folder under which the second host has everything.
pub(super) const OTHER_PREFIX: &str = "/edge";

impl Origin {
    /// What it does about a request that arrives at `at`, counted from the start of the origin.
    pub fn respond(&self, at: Span, request: &OriginRequest) -> OriginReply {
        let (host, prefix) = self.host_of(request);
        let path = request.path().strip_prefix(prefix).unwrap_or_default();
        if !self.tracks.is_empty()
            && let Some(number) = presentation::track_of(&self.spec, path)
            && let Some(track) = self.tracks.get(number)
        {
            if let Some(code) = presentation::refused(&self.spec, at, &request.path_and_query) {
                return track.refusal(at, request, code);
            }
            let asked = presentation::for_track(&self.spec, at, number, request);
            return asked.map_or_else(|| status(404), |asked| track.respond(at, &asked));
        }
        let is_playlist = path == self.spec.playlist_path;

        let reader = Reader {
            host,
            prefix,
            sequence: request.sequence,
            issued: presentation::token_of(&request.path_and_query),
        };
        let connection = self.connection(at, is_playlist);
        let mut reply = match connection.ended {
            Some(delivery) => OriginReply {
                delivery,
                ..plain(200, Body::Empty)
            },
            None if is_playlist => self.playlist_reply(at, request, reader),
            None if self.lacks_cookie(request, prefix) => status(403),
            None => self.segment_reply(at, request, path, reader),
        };
        if is_playlist && self.spec.cookies && prefix.is_empty() && connection.ended.is_none() {
            reply.headers.set_cookie = Some(SET_COOKIE);
        }
        reply.delay = connection.delay + self.latency(path, request.sequence);
        if reply.delivery == (Delivery::Whole { rate: None }) {
            reply.delivery = Delivery::Whole {
                rate: self.spec.rate,
            };
        }
        reply
    }

    /// Whoever asks for this has loaded no playlist before, or has forgotten it.
    fn lacks_cookie(&self, request: &OriginRequest, prefix: &str) -> bool {
        let cookies = request.cookie.as_deref().unwrap_or_default();
        let has = cookies.split("; ").any(|it| it == COOKIE);
        self.spec.cookies && prefix.is_empty() && !has
    }

    /// A request whose token has run out is refused, and takes as long as any other.
    fn refusal(&self, at: Span, request: &OriginRequest, code: u16) -> OriginReply {
        let path = request.path();
        let connection = self.connection(at, path.ends_with(".m3u8"));
        let reply = status(code);
        OriginReply {
            delay: connection.delay + self.latency(path, request.sequence),
            delivery: connection.ended.unwrap_or(reply.delivery),
            ..reply
        }
    }

    /// The authority that was asked, and the folder in front of its paths.
    pub(super) fn host_of<'a>(&'a self, request: &'a OriginRequest) -> (&'a str, &'static str) {
        let first = self.spec.hosts.first().map_or("", String::as_str);
        let is_other = self
            .spec
            .hosts
            .get(1)
            .is_some_and(|other| *other == request.host);
        match request.host.as_str() {
            "" => (first, ""),
            host if is_other => (host, OTHER_PREFIX),
            host => (host, ""),
        }
    }

    /// The second host, where another one was asked.
    fn other_host(&self, reader: Reader<'_>) -> Option<&str> {
        let other = self.spec.hosts.get(1).map(String::as_str);
        other.filter(|other| *other != reader.host)
    }

    fn latency(&self, path: &str, sequence: u64) -> Span {
        let stream = Stream::new(self.spec.seed, "latency").child(hash_bytes(path.as_bytes()));
        let jitter = stream.below(sequence, self.spec.latency_jitter.as_micros());
        self.spec.latency + Span::from_micros(jitter)
    }

    fn active(&self, at: Span) -> impl Iterator<Item = &Fault> {
        // What strikes one track does not strike the list of them.
        let of_list = |fault: &&Fault| self.tracks.is_empty() || fault.track.is_none();
        let faults = self.spec.faults.iter().filter(of_list);
        faults.filter(move |fault| fault.active(at))
    }

    // -- the connection ---------------------------------------------------------------------------

    pub(super) fn connection(&self, at: Span, is_playlist: bool) -> Connection {
        let mut connection = Connection {
            ended: None,
            delay: Span::ZERO,
        };
        for fault in self.active(at) {
            let FaultKind::Connection(kind) = fault.kind else {
                continue;
            };
            let (on, ended, delay) = match kind {
                ConnectionFault::Reset { on } => (on, Some(Delivery::ResetBefore), Span::ZERO),
                ConnectionFault::Hang { on } => (on, Some(Delivery::Hang), Span::ZERO),
                ConnectionFault::Slow { on, by } => (on, None, by),
            };
            if on.includes(is_playlist) {
                connection.ended = connection.ended.or(ended);
                connection.delay += delay;
            }
        }
        connection
    }
}

/// What the connection does to a request.
pub(super) struct Connection {
    pub(super) ended: Option<Delivery>,
    delay: Span,
}

fn plain(status: u16, body: Body) -> OriginReply {
    OriginReply {
        delay: Span::ZERO,
        status,
        headers: Headers::default(),
        body,
        delivery: Delivery::Whole { rate: None },
        listed: None,
    }
}

fn typed(content_type: &'static str, body: Body) -> OriginReply {
    let headers = Headers {
        content_type: Some(content_type),
        ..Headers::default()
    };
    OriginReply {
        headers,
        ..plain(200, body)
    }
}

fn page(text: String) -> OriginReply {
    typed(HTML_TYPE, Body::Text(text))
}

fn redirect(location: String) -> OriginReply {
    let headers = Headers {
        location: Some(location),
        ..Headers::default()
    };
    OriginReply {
        headers,
        ..plain(302, Body::Empty)
    }
}

fn status(code: u16) -> OriginReply {
    OriginReply {
        status: code,
        ..page(format!("<h1>{code}</h1>\n"))
    }
}
