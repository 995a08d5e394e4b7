//! A folder of VOD playlists and media (`testdata/media/KIND`) as a live channel over real HTTP, or as one that ends, with
//! the faults of origins that matter to keys, byte ranges and variants.

mod later;
mod window;

pub use window::{Course, Shown, live};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;
use hls_relay_core::playlist::{Playlist, parse};
use hls_relay_core::time::{Span, WallTime};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// Segments in each list: twelve seconds of the loops in `testdata`.
const WINDOW: usize = 6;

/// How the origin is; may change while it is live. Folders are those within the one that is served,
/// as `video-180`, each with a media playlist.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// What becomes of every list.
    pub course: Course,
    /// Every segment has an EXT-X-PROGRAM-DATE-TIME.
    pub date_times: bool,
    /// A Range header is answered with 200 and the whole.
    pub ignores_range: bool,
    /// A key is given only to who sends this header: name and value.
    pub key_header: Option<(&'static str, &'static str)>,
    /// Keys are answered with 503.
    pub keys_are_down: bool,
    /// Everything in these folders is answered with 503.
    pub dead: Vec<&'static str>,
    /// The lists of these folders are so many segments behind the others.
    pub behind: BTreeMap<&'static str, usize>,
    /// They count their segments higher by so many.
    pub counted_higher: BTreeMap<&'static str, u64>,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Path and query.
    pub path: String,
    /// The Range header.
    pub range: Option<String>,
    pub status: u16,
}

/// The origin; it stops when it is dropped.
pub struct LiveFolder {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

struct Shared {
    folder: PathBuf,
    ways: Mutex<Ways>,
    answered: Mutex<Vec<Answered>>,
    started: Instant,
    wall_at_start: WallTime,
}

/// The media of one kind.
pub fn media(kind: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/media");
    Path::new(folder).join(kind)
}

impl LiveFolder {
    /// Goes live at an address.
    ///
    /// # Errors
    /// What binding a socket may say.
    pub async fn start(folder: PathBuf, listen: SocketAddr, ways: Ways) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let wall = SystemTime::UNIX_EPOCH.elapsed().map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            folder,
            ways: Mutex::new(ways),
            answered: Mutex::default(),
            started: Instant::now(),
            wall_at_start: WallTime::from_micros(i64::try_from(wall.as_micros()).unwrap()),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self {
            address,
            shared,
            serving: serving.abort_handle(),
        })
    }

    /// The media of one kind on a free port, without any fault.
    pub async fn of(kind: &str, ways: Ways) -> Self {
        let free = ([127, 0, 0, 1], 0).into();
        Self::start(media(kind), free, ways).await.unwrap()
    }

    /// Where the channel is.
    pub fn url(&self) -> String {
        format!("http://{}/index.m3u8", self.address)
    }

    /// From now on it is so.
    pub fn change(&self, change: impl FnOnce(&mut Ways)) {
        change(&mut self.shared.ways.lock().unwrap());
    }

    /// Every answer so far, in order.
    pub fn answered(&self) -> Vec<Answered> {
        self.shared.answered.lock().unwrap().clone()
    }
}

impl Drop for LiveFolder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let ways = shared.ways.lock().unwrap().clone();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let mut response = match refused(&ways, &path, request.headers()) {
        Some(status) => status.into_response(),
        None => shared.file(&ways, &path, request.uri().query(), request.headers()),
    };
    // So that a player in a browser can be pointed at the origin itself.
    let all = header::HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, all);
    let range = request.headers().get(header::RANGE);
    shared.answered.lock().unwrap().push(Answered {
        path: request.uri().to_string(),
        range: range.map(|range| String::from_utf8_lossy(range.as_bytes()).into_owned()),
        status: response.status().as_u16(),
    });
    response
}

/// Why a request gets nothing.
fn refused(ways: &Ways, path: &str, headers: &HeaderMap) -> Option<StatusCode> {
    let inside = |folder: &&str| {
        path.strip_prefix(*folder)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    if ways.dead.iter().any(inside) {
        return Some(StatusCode::SERVICE_UNAVAILABLE);
    }
    if !path.ends_with(".key") {
        return None;
    }
    if ways.keys_are_down {
        return Some(StatusCode::SERVICE_UNAVAILABLE);
    }
    let (name, value) = ways.key_header?;
    let sent = headers.get(name).is_some_and(|sent| sent == value);
    (!sent).then_some(StatusCode::FORBIDDEN)
}

impl Shared {
    fn file(
        &self,
        ways: &Ways,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Response<Body> {
        let relative = Path::new(path);
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let Some(bytes) = plain
            .then(|| std::fs::read(self.folder.join(relative)).ok())
            .flatten()
        else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let content_type = [(header::CONTENT_TYPE, content_type(relative))];
        if path.ends_with(".m3u8") {
            return (content_type, self.playlist(ways, relative, bytes)).into_response();
        }
        let round = query.and_then(|query| query.strip_prefix("round=")?.parse().ok());
        let bytes = match round {
            Some(round) => self.later(relative, bytes, round),
            None => bytes,
        };
        let range = headers
            .get(header::RANGE)
            .and_then(|range| range.to_str().ok());
        match range.and_then(parse_range) {
            Some((first, last)) if !ways.ignores_range => {
                let last = last.min(bytes.len().saturating_sub(1));
                let all = bytes.len();
                let Some(part) = bytes.get(first..=last).filter(|part| !part.is_empty()) else {
                    let sent = [(header::CONTENT_RANGE, format!("bytes */{all}"))];
                    return (StatusCode::RANGE_NOT_SATISFIABLE, sent).into_response();
                };
                let sent = [(header::CONTENT_RANGE, format!("bytes {first}-{last}/{all}"))];
                (
                    StatusCode::PARTIAL_CONTENT,
                    content_type,
                    sent,
                    part.to_vec(),
                )
                    .into_response()
            }
            _ => (content_type, bytes).into_response(),
        }
    }

    /// A file as it is in a round after the first. MPEG-TS and packed audio begin again.
    fn later(&self, path: &Path, bytes: Vec<u8>, round: u64) -> Vec<u8> {
        let folder = self.folder.join(path.parent().unwrap());
        let list = std::fs::read(folder.join("index.m3u8")).unwrap();
        let Playlist::Media(vod) = parse(&list).unwrap() else {
            panic!("media beside a multivariant playlist");
        };
        let by = Span::from_micros(round * vod.duration().as_micros());
        let name = path.file_name().and_then(OsStr::to_str).unwrap();
        let listed = vod.segments.iter().find(|it| &*it.uri == name);
        match (
            path.extension().and_then(OsStr::to_str),
            listed.and_then(|it| it.map.as_ref()),
        ) {
            (Some("vtt"), _) => later::subtitles(str::from_utf8(&bytes).unwrap(), by).into_bytes(),
            (_, Some(map)) => {
                let init = std::fs::read(folder.join(&*map.uri)).unwrap();
                later::fragments(bytes, &init, by)
            }
            _ => bytes,
        }
    }

    fn playlist(&self, ways: &Ways, path: &Path, bytes: Vec<u8>) -> Vec<u8> {
        let Playlist::Media(vod) = parse(&bytes).unwrap() else {
            return bytes;
        };
        let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
        let shown = Shown {
            course: ways.course,
            window: WINDOW,
            behind: ways.behind.get(folder).copied().unwrap_or_default(),
            counted_higher: ways.counted_higher.get(folder).copied().unwrap_or_default(),
            date_time: ways.date_times.then_some(self.wall_at_start),
        };
        live(&vod, &shown, span(self.started.elapsed())).into_bytes()
    }
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(OsStr::to_str) {
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("ts") => "video/mp2t",
        Some("m4s" | "mp4") => "video/mp4",
        Some("aac") => "audio/aac",
        Some("vtt") => "text/vtt",
        _ => "application/octet-stream",
    }
}

/// First and last byte of `bytes=first-last` and `bytes=first-`; of any other form the whole is sent.
fn parse_range(value: &str) -> Option<(usize, usize)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let last = match last {
        "" => usize::MAX,
        _ => last.parse().ok()?,
    };
    Some((first.parse().ok()?, last))
}

fn span(duration: Duration) -> Span {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap())
}
