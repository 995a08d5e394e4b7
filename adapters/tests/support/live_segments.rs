//! Segments that appear one after the other in a live list, over real HTTP, as fast as a test wants.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How a source is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// What its list says that a segment lasts.
    pub(crate) lasts: Duration,
    /// One is added so often.
    pub(crate) every: Duration,
    /// So many are there from the start.
    pub(crate) first: usize,
    /// So many are listed at most.
    pub(crate) window: usize,
}

/// A source of any number of channels: `http://HOST/NAME/index.m3u8`. It ends its list after the last segment.
pub(crate) struct LiveSegments {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    segments: Vec<Vec<u8>>,
    shown: Shown,
    began: Instant,
    /// What was fetched first when: of which channel, and which segment.
    fetched: Mutex<Vec<(String, usize, Instant)>>,
}

impl LiveSegments {
    pub(crate) async fn start(segments: Vec<Vec<u8>>, shown: Shown) -> Self {
        let shared = Arc::new(Shared {
            segments,
            shown,
            began: Instant::now(),
            fetched: Mutex::default(),
        });
        let router = Router::new().route("/{channel}/{file}", get(answer));
        let router = router.with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, shared }
    }

    /// When a channel fetched a segment.
    pub(crate) fn fetched(&self, channel: &str, segment: usize) -> Option<Instant> {
        let fetched = self.shared.fetched.lock().unwrap();
        let mut found = fetched
            .iter()
            .filter(|it| it.0 == channel && it.1 == segment);
        found.next().map(|it| it.2)
    }

    pub(crate) fn segments(&self) -> &[Vec<u8>] {
        &self.shared.segments
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path((channel, file)): Path<(String, String)>,
) -> Response {
    if file == "index.m3u8" {
        return shared.list().into_response();
    }
    let number = file
        .strip_suffix(".ts")
        .and_then(|it| it.parse::<usize>().ok());
    let Some(number) = number.filter(|it| *it < shared.segments.len()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let bytes = shared.segments[number].clone();
    let now = Instant::now();
    shared.fetched.lock().unwrap().push((channel, number, now));
    bytes.into_response()
}

impl Shared {
    fn list(&self) -> String {
        let Shown {
            lasts,
            every,
            first,
            window,
        } = self.shown;
        let added = self.began.elapsed().as_millis() / every.as_millis();
        let end = first + usize::try_from(added).unwrap();
        let end = end.min(self.segments.len());
        let begin = end.saturating_sub(window);
        let mut list = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{begin}\n",
            lasts.as_secs_f64().round()
        );
        for number in begin..end {
            let _ = writeln!(list, "#EXTINF:{:.3},\n{number}.ts", lasts.as_secs_f64());
        }
        if end == self.segments.len() {
            list += "#EXT-X-ENDLIST\n";
        }
        list
    }
}
