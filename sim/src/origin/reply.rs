//! A request to an origin and what comes back, in terms that a simulated network and a real socket
//! can both carry out.

use super::media::MediaRef;
use crate::rng::hash_bytes;
use hls_relay_core::time::Span;
use std::collections::{BTreeMap, VecDeque};

/// A GET, as far as an origin looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginRequest {
    /// The authority that was asked, as in the Host header; the first host where it is empty.
    pub host: String,
    /// Path and query.
    pub path_and_query: String,
    /// `Range: bytes=first-last`, the last one included.
    pub range: Option<(u64, Option<u64>)>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `Cookie`.
    pub cookie: Option<String>,
    /// How many requests for the same path came before; see [`RequestCounter`].
    pub sequence: u64,
}

/// What an origin does about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginReply {
    /// From the request to the first byte, or to what takes its place.
    pub delay: Span,
    /// The status. Nobody sees it where `delivery` gives nothing.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body, before any content encoding.
    pub body: Body,
    /// How the body comes, or does not.
    pub delivery: Delivery,
    /// Which segments the playlist in the body lists, where a client may use it.
    pub listed: Option<Listed>,
}

/// The header fields of a reply. The transport adds Content-Length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Content-Type.
    pub content_type: Option<&'static str>,
    /// Whether Content-Encoding is gzip: the transport packs the body.
    pub gzip: bool,
    /// Location.
    pub location: Option<String>,
    /// ETag, with its quotation marks.
    pub etag: Option<String>,
    /// Set-Cookie.
    pub set_cookie: Option<&'static str>,
    /// Content-Range: first byte, last byte, length of the whole.
    pub content_range: Option<(u64, u64, u64)>,
}

/// The body of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// Text, as a playlist is.
    Text(String),
    /// What is not text, though it might pretend to be.
    Bytes(Vec<u8>),
    /// A segment, or a part of one.
    Media {
        /// Of which segment.
        media: MediaRef,
        /// The first byte of it.
        first: u64,
        /// How many bytes of it.
        len: u64,
    },
    /// Something too long to hold: `unit` so many times after `head`.
    Repeat {
        /// What comes first, once.
        head: Vec<u8>,
        /// What comes again and again.
        unit: Vec<u8>,
        /// How often.
        times: u64,
    },
}

/// How the body of a reply comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To its end, at so many bytes per second, or at once.
    Whole {
        /// Bytes per second.
        rate: Option<u64>,
    },
    /// To its end, but so slowly that somebody should give up.
    Drip {
        /// Bytes per second.
        rate: u64,
    },
    /// Neither header nor body ever comes, and the connection stays open.
    Hang,
    /// The connection is reset before anything comes.
    ResetBefore,
    /// The connection is reset after so many bytes of the body.
    ResetAfter {
        /// How many.
        bytes: u64,
    },
    /// The connection is closed in order after so many bytes, fewer than Content-Length says.
    Truncated {
        /// How many.
        bytes: u64,
    },
}

/// The segments that a playlist lists; their numbers follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Of which run of the encoder.
    pub run: u32,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// EXT-X-TARGETDURATION, as far as it is [`believed`].
    pub target_duration: Span,
}

/// A target duration that is claimed, beside the longest segment of the list: what is far longer than any segment is
/// no reason to wait.
pub fn believed(claim: Span, longest: Span) -> Span {
    claim.min((longest * 4).max(Span::from_secs(10)))
}

/// Counts the requests for each path, so that an origin can be asked with a
/// [`sequence`](OriginRequest::sequence). It remembers a bounded number of paths, each by its hash.
#[derive(Clone, Debug, Default)]
pub struct RequestCounter {
    counts: BTreeMap<u64, u64>,
    order: VecDeque<u64>,
}

impl RequestCounter {
    /// Paths remembered: far more than any window lists.
    const PATHS: usize = 1_000;
    /// More requests than anybody makes for a segment.
    const OFTEN: u64 = 100;

    /// How many requests for this path were counted before, this one not included.
    pub fn next(&mut self, path: &str) -> u64 {
        let path = hash_bytes(path.as_bytes());
        if let Some(count) = self.counts.get_mut(&path) {
            *count += 1;
            return *count - 1;
        }
        // Two leave for one that comes, as one of the two may be kept.
        for _ in 0..2 {
            if self.order.len() >= Self::PATHS {
                self.forget_oldest();
            }
        }
        self.counts.insert(path, 1);
        self.order.push_back(path);
        0
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else {
            return;
        };
        // A playlist is asked for all the time: it goes to the end of the queue.
        if self
            .counts
            .get(&oldest)
            .is_some_and(|&count| count > Self::OFTEN)
        {
            self.order.push_back(oldest);
        } else {
            self.counts.remove(&oldest);
        }
    }
}

impl OriginRequest {
    /// A plain GET of the first host.
    pub fn get(path_and_query: impl Into<String>) -> Self {
        Self {
            path_and_query: path_and_query.into(),
            ..Self::default()
        }
    }

    /// The same as so manieth request for its path.
    pub fn numbered(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }
}

impl Body {
    /// How many bytes it has, before any content encoding.
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Text(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Media { len, .. } => *len,
            Self::Repeat { head, unit, times } => head.len() as u64 + unit.len() as u64 * times,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Delivery {
    /// How many of `len` bytes of a body arrive, and how long that takes from the first of them.
    /// Of a hang it is none, for ever.
    pub fn arrival(&self, len: u64) -> (u64, Option<Span>) {
        let at = |bytes: u64, rate: u64| Span::from_micros(1_000_000).scaled(bytes, rate.max(1));
        match *self {
            Self::Whole { rate: None } => (len, Some(Span::ZERO)),
            Self::Whole { rate: Some(rate) } | Self::Drip { rate } => (len, Some(at(len, rate))),
            Self::Hang => (0, None),
            Self::ResetBefore => (0, Some(Span::ZERO)),
            Self::ResetAfter { bytes } | Self::Truncated { bytes } => {
                (bytes.min(len), Some(Span::ZERO))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_path() {
        let mut counter = RequestCounter::default();
        assert_eq!(
            [counter.next("/a"), counter.next("/a"), counter.next("/b")],
            [0, 1, 0]
        );
        assert_eq!(counter.next("/a"), 2);
    }

    #[test]
    fn the_counter_is_bounded_and_keeps_what_is_asked_for_often() {
        let mut counter = RequestCounter::default();
        for segment in 0..5_000 {
            for _ in 0..2 {
                counter.next("/index.m3u8");
            }
            counter.next(&format!("/seg{segment}.ts"));
        }
        assert!(counter.counts.len() <= RequestCounter::PATHS + 1);
        assert_eq!(counter.next("/index.m3u8"), 10_000);
    }

    #[test]
    fn a_rate_gives_a_time() {
        let dripping = Delivery::Drip { rate: 1_000 };
        assert_eq!(
            dripping.arrival(2_500),
            (2_500, Some(Span::from_millis(2_500)))
        );
        assert_eq!(Delivery::Truncated { bytes: 10 }.arrival(20).0, 10);
        assert_eq!(Delivery::Hang.arrival(20), (0, None));
    }
}
