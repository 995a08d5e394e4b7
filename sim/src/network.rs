//! What an HTTP client makes of an origin's reply, within the limits that a command carries.

use crate::origin::{Body, Delivery, MediaRef, OriginReply, OriginRequest};
use crate::plan::NetworkFaultKind;
use hls_relay_core::command::FetchLimits;
use hls_relay_core::event::{FetchError, PlaylistBody};
use hls_relay_core::limits::BODY_BYTES;
use hls_relay_core::time::Span;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A playlist without a segment.
const SHORT: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n";

/// The end of one request: after how long, and what came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Since the request was sent.
    pub after: Span,
    /// What came.
    pub what: Result<Content, FetchError>,
}

/// A success.
#[derive(Clone, Debug)]
pub enum Content {
    /// The next place to ask.
    Redirect(String),
    /// 304.
    NotModified,
    /// Bytes that are not a segment.
    Bytes {
        /// All of them.
        body: PlaylistBody,
        /// Their entity tag.
        etag: Option<Arc<str>>,
    },
    /// A whole segment.
    Media(MediaRef),
}

/// What hosts have given to be shown to them: a client keeps it for as long as it lives.
#[derive(Clone, Debug, Default)]
pub struct Cookies(BTreeMap<String, &'static str>);

impl Cookies {
    /// The request with what its host has given.
    pub fn with(&self, request: OriginRequest) -> OriginRequest {
        let cookie = self.0.get(&request.host).map(|it| (*it).to_owned());
        OriginRequest { cookie, ..request }
    }

    /// What came with a reply.
    pub fn keep(&mut self, host: &str, reply: &OriginReply) {
        if let Some(given) = reply.headers.set_cookie {
            let pair = given.split(';').next().unwrap_or_default();
            self.0.insert(host.to_owned(), pair);
        }
    }
}

/// What happens to a request on its way, before any origin sees it.
pub fn blocked(kind: NetworkFaultKind, limits: &FetchLimits) -> Arrival {
    let body = |text: String| Arrival {
        after: Span::from_millis(3),
        what: Ok(Content::Bytes {
            body: PlaylistBody(text.into_bytes().into()),
            etag: None,
        }),
    };
    let error = match kind {
        NetworkFaultKind::Uncut => {
            let longest = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX);
            return body("#".repeat(longest.min(BODY_BYTES) + 1));
        }
        NetworkFaultKind::Nowhere => return body(SHORT.to_owned()),
        NetworkFaultKind::Refused => FetchError::Connect("connection refused".into()),
        NetworkFaultKind::PrivateAddress => FetchError::PrivateAddress("10.0.0.1".into()),
        NetworkFaultKind::BadUrl => FetchError::BadUrl("ftp://elsewhere.test/".into()),
        NetworkFaultKind::BadEncoding => FetchError::BadEncoding("zstd".into()),
        NetworkFaultKind::Protocol => FetchError::Protocol("not an HTTP answer".into()),
        NetworkFaultKind::WrongRange => FetchError::WrongRange,
        NetworkFaultKind::Empty => FetchError::Empty,
        NetworkFaultKind::Endless => FetchError::TooLarge {
            limit: limits.max_bytes,
        },
    };
    Arrival {
        after: Span::from_millis(3),
        what: Err(error),
    }
}

/// What comes of a reply; `spent` is how long the redirects before it took.
pub fn receive(reply: OriginReply, limits: &FetchLimits, spent: Span) -> Arrival {
    let failed = |after, error| Arrival {
        after,
        what: Err(error),
    };
    let first_byte = spent + reply.delay;
    if reply.delivery == Delivery::Hang || first_byte > limits.first_byte {
        return failed(
            limits.first_byte.saturating_sub(spent),
            FetchError::FirstByteTimeout(limits.first_byte),
        );
    }
    if reply.delivery == Delivery::ResetBefore {
        return failed(reply.delay, FetchError::Interrupted { received: 0 });
    }
    match reply.status {
        301 | 302 | 303 | 307 | 308 => match reply.headers.location {
            Some(location) => Arrival {
                after: reply.delay,
                what: Ok(Content::Redirect(location)),
            },
            None => failed(
                reply.delay,
                FetchError::Protocol("a redirect to nowhere".into()),
            ),
        },
        304 => Arrival {
            after: reply.delay,
            what: Ok(Content::NotModified),
        },
        200 | 206 => body(reply, limits, spent),
        code => failed(reply.delay, FetchError::Status(code)),
    }
}

fn body(reply: OriginReply, limits: &FetchLimits, spent: Span) -> Arrival {
    let failed = |after, error| Arrival {
        after,
        what: Err(error),
    };
    let length = reply.body.len();
    let (received, takes) = reply.delivery.arrival(length);
    let takes = takes.unwrap_or(Span::ZERO);
    if length > limits.max_bytes {
        return failed(
            reply.delay,
            FetchError::TooLarge {
                limit: limits.max_bytes,
            },
        );
    }
    if too_slow(&reply, limits, takes) {
        let error = FetchError::TooSlow {
            bytes: 0,
            within: limits.rate_window,
        };
        return failed(reply.delay + limits.rate_window, error);
    }
    let after = reply.delay + takes;
    if spent + after > limits.whole {
        return failed(
            limits.whole.saturating_sub(spent),
            FetchError::WholeTimeout(limits.whole),
        );
    }
    match reply.delivery {
        Delivery::Truncated { .. } => {
            return failed(
                after,
                FetchError::Truncated {
                    received,
                    expected: length,
                },
            );
        }
        Delivery::ResetAfter { .. } => return failed(after, FetchError::Interrupted { received }),
        Delivery::Whole { .. } | Delivery::Drip { .. } | Delivery::Hang | Delivery::ResetBefore => {
        }
    }
    let etag = reply.headers.etag.map(Arc::from);
    let bytes = |bytes: Vec<u8>| Content::Bytes {
        body: PlaylistBody(bytes.into()),
        etag,
    };
    let what = match reply.body {
        Body::Empty => bytes(Vec::new()),
        Body::Text(text) => bytes(text.into_bytes()),
        Body::Bytes(body) => bytes(body),
        Body::Media { media, .. } => Content::Media(media),
        Body::Repeat {
            mut head,
            unit,
            times,
        } => {
            (0..times).for_each(|_| head.extend_from_slice(&unit));
            bytes(head)
        }
    };
    Arrival {
        after,
        what: Ok(what),
    }
}

/// Whether the rate is below what is worth waiting for, for a whole window.
fn too_slow(reply: &OriginReply, limits: &FetchLimits, takes: Span) -> bool {
    let rate = match reply.delivery {
        Delivery::Drip { rate } | Delivery::Whole { rate: Some(rate) } => rate,
        Delivery::Whole { rate: None }
        | Delivery::Hang
        | Delivery::ResetBefore
        | Delivery::ResetAfter { .. }
        | Delivery::Truncated { .. } => return false,
    };
    let in_window = limits.rate_window.scaled(rate, 1_000_000).as_micros();
    in_window < limits.least_bytes && takes > limits.rate_window
}
