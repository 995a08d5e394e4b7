//! The answer to a request for a stored object: whole, or one range of it, or only its head.

use super::headers::{self, Wanted};
use super::{not_found, value};
use crate::output::{gzip, short_hex};
use crate::store::{Content, Object};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rustix::buffer::spare_capacity;
use std::fs::File;
use std::future::ready;
use std::io;
use std::path::PathBuf;

/// Read from a file at once: each read is a hop to another thread and back. Most segments of most channels are
/// one or a few of these; a viewer that is slow holds one.
const READ: usize = 256 << 10;

/// Text is packed up to this length; a segment of WebVTT has a hundredth of it.
const MOST_PACKED: u64 = 1 << 20;

/// Answers a GET or HEAD. An object never changes, so it may be kept for all of `max_age` seconds.
pub(super) async fn answer(
    name: &str,
    object: Object,
    max_age: u64,
    method: &Method,
    head: &HeaderMap,
) -> Response {
    let tag = short_hex(&object.hash.0);
    let (plain_etag, gzip_etag) = (format!("\"{tag}\""), format!("\"{tag}-gz\""));
    let text = headers::is_text(name) && object.length <= MOST_PACKED;
    // A range is one of the bytes as they are.
    let zipped = text && headers::offers_gzip(head) && !head.contains_key(header::RANGE);
    let etag = if zipped { &gzip_etag } else { &plain_etag };
    let cache = format!("public, max-age={max_age}, immutable");
    let mut answer = Response::new(Body::empty());
    let fields = answer.headers_mut();
    fields.insert(header::ETAG, value(etag));
    fields.insert(header::CACHE_CONTROL, value(&cache));
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if text {
        fields.insert(header::VARY, headers::BY_CODING);
    }
    if headers::is_known(head, &[&plain_etag, &gzip_etag]) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(headers::media_type(name)),
    );
    if zipped {
        return packed(name, object, answer).await;
    }
    let length = object.length;
    // RFC 9110 14.2: only a GET has a range.
    let wanted = match *method {
        Method::HEAD => Wanted::Whole,
        _ => headers::wanted_range(head, etag, length),
    };
    let (status, first, count) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, length),
        Wanted::Part(first, last) => {
            fields.insert(
                header::CONTENT_RANGE,
                value(&format!("bytes {first}-{last}/{length}")),
            );
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        Wanted::Unsatisfiable => {
            fields.insert(header::CONTENT_RANGE, value(&format!("bytes */{length}")));
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return answer;
        }
    };
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    *answer.status_mut() = status;
    if method == Method::HEAD {
        return answer;
    }
    match body(object, first, count).await {
        Ok(body) => {
            *answer.body_mut() = body;
            answer
        }
        Err(error) => unreadable(name, &error),
    }
}

/// The whole object as gzip.
async fn packed(name: &str, object: Object, mut answer: Response) -> Response {
    let bytes = match object.content {
        Content::Memory(bytes) => bytes,
        Content::File(path) => match tokio::fs::read(path).await {
            Ok(bytes) => bytes.into(),
            Err(error) => return unreadable(name, &error),
        },
    };
    let zipped = gzip(&bytes);
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(zipped.len()));
    *answer.body_mut() = Body::from(zipped);
    answer
}

/// Somebody has taken it out of our folder.
fn unreadable(name: &str, error: &std::io::Error) -> Response {
    tracing::warn!(object = name, %error, "a stored segment cannot be read");
    not_found("no-store")
}

async fn body(object: Object, first: u64, count: u64) -> std::io::Result<Body> {
    match (object.in_memory(), object.content) {
        (Some(bytes), _) | (None, Content::Memory(bytes)) => {
            let at = |it: u64| usize::try_from(it).map_or(bytes.len(), |it| it.min(bytes.len()));
            Ok(Body::from(bytes.slice(at(first)..at(first + count))))
        }
        (None, Content::File(path)) => file_body(path, object.length, first, count).await,
    }
}

/// The file is opened, and its first part read, before the head is sent, so that what is missing is not promised. A
/// file that is deleted meanwhile stays readable here to its end.
async fn file_body(path: PathBuf, length: u64, first: u64, count: u64) -> io::Result<Body> {
    let begin = move || {
        let file = File::open(path)?;
        if file.metadata()?.len() != length {
            return Err(io::Error::other("its length is not what was stored"));
        }
        let part = Part {
            file,
            at: first,
            left: count,
        };
        part.read()
    };
    let (bytes, rest) = where_waiting_is_allowed(begin).await?;
    if rest.left == 0 {
        return Ok(Body::from(bytes));
    }
    let following = stream::try_unfold(rest, async |rest: Part| match rest.left {
        0 => Ok(None),
        _ => where_waiting_is_allowed(|| rest.read()).await.map(Some),
    });
    let all = stream::once(ready(Ok(bytes))).chain(following);
    Ok(Body::from_stream(all))
}

/// What is still to be read of a file.
struct Part {
    file: File,
    at: u64,
    left: u64,
}

impl Part {
    fn read(mut self) -> io::Result<(Bytes, Self)> {
        let wanted = usize::try_from(self.left).unwrap_or(READ).min(READ);
        let mut bytes = Vec::with_capacity(wanted);
        while bytes.len() < wanted {
            let at = self.at + bytes.len() as u64;
            if rustix::io::pread(&self.file, spare_capacity(&mut bytes), at)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        // What is allocated may be more than was asked for, and the file may go on.
        bytes.truncate(wanted);
        self.at += wanted as u64;
        self.left -= wanted as u64;
        Ok((bytes.into(), self))
    }
}

async fn where_waiting_is_allowed<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}
