//! Serves playlists and segments to viewers and to the caches before them.
//!
//! Whatever the source does, a player gets 200 or 503 for the playlist: players give up for good on
//! others. Everything a browser needs from another site's page is said on every answer (S-69).

mod connections;
mod headers;
mod segment;

use crate::cluster::elsewhere::{Elsewhere, NoAnswer, VIA, has_not_yet};
use crate::cluster::{PEER_PATH, PEER_SECRET};
use crate::output::{Listed, Output, Outputs, Shown, Version};
use crate::store::PLAYLIST_ENDING;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hls_relay_core::config::OBJECTS_KEPT_AT_FIRST;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::node::NodeName;
use hls_relay_core::time::Span;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

/// How long a player waits before it asks again for a channel that has not begun.
const RETRY_AFTER: &str = "2";

/// More than one machine serves without a cache before it; the others wait to be accepted.
pub(crate) const MOST_CONNECTIONS: u64 = 10_000;

/// What the pages show.
#[derive(Clone)]
struct Pages {
    outputs: Outputs,
    /// In a cluster.
    elsewhere: Option<Elsewhere>,
}

/// The pages of a process; in a cluster also those of channels that other nodes have.
pub fn router(outputs: Outputs, elsewhere: Option<Elsewhere>) -> Router {
    let peers = PEER_PATH.to_owned() + "{by}";
    Router::new()
        .route("/", get(front_page))
        .route("/{channel}/{file}", get(file))
        .route(&peers, get(peer))
        .fallback(async || not_found("no-store"))
        .layer(cors())
        .with_state(Pages { outputs, elsewhere })
}

/// Serves until `leave` is done, then lets running answers end for a short while.
pub async fn serve(
    listener: TcpListener,
    outputs: Outputs,
    elsewhere: Option<Elsewhere>,
    leave: impl Future<Output = ()>,
) {
    serve_pages(
        listener,
        router(outputs, elsewhere),
        MOST_CONNECTIONS,
        leave,
    )
    .await;
}

/// The same for other pages, on so many connections.
pub(crate) async fn serve_pages(
    listener: TcpListener,
    pages: Router,
    most: u64,
    leave: impl Future<Output = ()>,
) {
    connections::serve(listener, pages, most, leave).await;
}

/// Players on any page may read everything: live media without credentials is public.
fn cors() -> CorsLayer {
    let readable: [HeaderName; 8] = [
        header::ACCEPT_RANGES,
        header::AGE,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::DATE,
        header::ETAG,
        header::RETRY_AFTER,
        header::CONTENT_ENCODING,
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::OPTIONS])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(readable)
        // The answer is the same for all, and a cache need not keep one for each asking site.
        .vary([])
        .max_age(Duration::from_secs(24 * 60 * 60))
}

/// For people who open the bare address.
async fn front_page(State(pages): State<Pages>, head: HeaderMap) -> Response {
    let host = head
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let lines = pages.outputs.names();
    let lines = lines
        .iter()
        .map(|name| format!("http://{host}/{name}/{}\n", PlaylistName::ENTRY));
    let text = format!(
        "hls-relay {}\n\n{}",
        env!("CARGO_PKG_VERSION"),
        lines.collect::<String>()
    );
    let plain = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (plain, text).into_response()
}

async fn file(
    State(pages): State<Pages>,
    Path((channel, file)): Path<(String, String)>,
    method: Method,
    head: HeaderMap,
) -> Response {
    let listed = pages.outputs.get(&channel);
    let Some(elsewhere) = &pages.elsewhere else {
        return match listed {
            Some(Listed::Open(output)) => own(&output, &file, &method, &head).await,
            Some(Listed::Shut | Listed::HandedOn(_)) => not_yet(),
            None => not_found("no-store"),
        };
    };
    let valid = |output: Arc<Output>| Some(output).filter(|it| it.may_be_shown());
    // What shows nothing yet may still be had where it was before.
    let begun = |output: &Arc<Output>| !matches!(output.shown(), Shown::Nothing);
    let (open, handed_on) = match listed {
        Some(Listed::Open(output)) => (valid(output).filter(begun), None),
        Some(Listed::HandedOn(output)) => (None, valid(output)),
        Some(Listed::Shut) | None => (None, None),
    };
    if let Some(output) = open {
        return own(&output, &file, &method, &head).await;
    }
    // A node that asks for its viewer has been told wrong, or is faster than what is told.
    let answer = match head.contains_key(&VIA) {
        true => Err(NoAnswer::Nobody),
        false => elsewhere.answer(&channel, &file, &method, &head).await,
    };
    match (answer, handed_on) {
        (Ok(answer), Some(output)) if has_not_yet(&answer) => {
            own(&output, &file, &method, &head).await
        }
        (Ok(answer), Some(output)) if shows_list(&file, &answer) => {
            output.succeeded();
            answer
        }
        (Ok(answer), _) => answer,
        (Err(NoAnswer::Nobody | NoAnswer::Silent), Some(output)) => {
            own(&output, &file, &method, &head).await
        }
        (Err(NoAnswer::Nobody | NoAnswer::Silent | NoAnswer::NotNow), _) => not_yet(),
        (Err(NoAnswer::Unknown), _) => not_found("no-store"),
    }
}

/// Whether a playlist was answered with, or with that it is the one that is known.
fn shows_list(file: &str, answer: &Response) -> bool {
    let status = answer.status();
    file.ends_with(PLAYLIST_ENDING) && (status.is_success() || status == StatusCode::NOT_MODIFIED)
}

/// Another node asks whether this one has Redis.
async fn peer(State(pages): State<Pages>, Path(by): Path<String>, head: HeaderMap) -> Response {
    let secret = head.get(PEER_SECRET).and_then(|it| it.to_str().ok());
    let asked = pages.elsewhere.as_ref().zip(NodeName::new(&by).ok());
    // Whom this node answers it will ask in its turn: a stranger's word would count.
    let asked = asked.filter(|(it, _)| it.hands().is_peer(secret.unwrap_or_default()));
    let Some((elsewhere, by)) = asked else {
        return not_found("no-store");
    };
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    match elsewhere.hands().asked(by).await {
        Some(answer) => {
            let json = serde_json::to_string(&answer).unwrap_or_default();
            (no_store, json).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, no_store).into_response(),
    }
}

async fn own(output: &Output, file: &str, method: &Method, head: &HeaderMap) -> Response {
    if file.ends_with(PLAYLIST_ENDING) {
        playlist(output, file, head)
    } else {
        object(output, file, method, head).await
    }
}

fn playlist(output: &Output, file: &str, head: &HeaderMap) -> Response {
    let version = match output.shown() {
        Shown::Version(version) => version,
        Shown::Nothing => return not_yet(),
        Shown::Withdrawn => return not_found("no-store"),
    };
    let Some(playlist) = version.playlist(file) else {
        return not_found(&error_age(&version));
    };
    let zipped = headers::offers_gzip(head);
    let (etag, body) = if zipped {
        (&playlist.gzip_etag, playlist.gzip())
    } else {
        (&playlist.etag, &playlist.plain)
    };
    let mut answer = Response::new(Body::empty());
    let fields = answer.headers_mut();
    fields.insert(header::ETAG, value(etag));
    fields.insert(header::VARY, headers::BY_CODING);
    fields.insert(
        header::CACHE_CONTROL,
        value(&format!("max-age={}", seconds(version.max_age))),
    );
    if headers::is_known(head, &[&playlist.etag, &playlist.gzip_etag]) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(headers::PLAYLIST_TYPE),
    );
    if zipped {
        fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *answer.body_mut() = Body::from(body.clone());
    answer
}

async fn object(output: &Output, file: &str, method: &Method, head: &HeaderMap) -> Response {
    let object = output.store().get(file);
    match (object, output.shown()) {
        (Some(object), shown) => {
            let max_age = match shown {
                Shown::Version(version) => version.segment_max_age,
                Shown::Nothing => OBJECTS_KEPT_AT_FIRST,
                // It may be gone soon.
                Shown::Withdrawn => Span::ZERO,
            };
            segment::answer(file, object, seconds(max_age), method, head).await
        }
        // After a restart, segments that viewers know are being fetched again.
        (None, Shown::Nothing) => not_yet(),
        (None, Shown::Withdrawn) => not_found("no-store"),
        (None, Shown::Version(version)) => not_found(&error_age(&version)),
    }
}

/// A cache may keep an error for one target duration; a playlist's own age is half of one (S-45).
fn error_age(version: &Version) -> String {
    format!("max-age={}", seconds(version.max_age * 2))
}

fn not_found(cache: &str) -> Response {
    let fields = [(header::CACHE_CONTROL, value(cache))];
    (StatusCode::NOT_FOUND, fields, "not found\n").into_response()
}

fn not_yet() -> Response {
    let fields = [
        (header::CACHE_CONTROL, "no-store"),
        (header::RETRY_AFTER, RETRY_AFTER),
    ];
    let text = "the channel has not begun yet\n";
    (StatusCode::SERVICE_UNAVAILABLE, fields, text).into_response()
}

/// Caches count whole seconds, and more than was allowed would be a lie.
fn seconds(span: Span) -> u64 {
    span.as_micros() / 1_000_000
}

/// Made of tags and numbers, so it is always a header's value.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The address of a channel's playlist, as people type it into a player.
pub fn address_of(listen: SocketAddr, channel: &str) -> String {
    format!("{}/{channel}/{}", base_of(listen), PlaylistName::ENTRY)
}

/// The address a server listens on, as people type it.
pub fn base_of(listen: SocketAddr) -> String {
    let host = if listen.ip().is_unspecified() {
        format!("localhost:{}", listen.port())
    } else {
        listen.to_string()
    };
    format!("http://{host}")
}
