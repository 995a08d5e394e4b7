//! Sources that cost next to nothing, so that what is left is what the cluster costs: lists that never change, and
//! live ones whose segments are a few packets long.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Of the live lists.
pub(crate) const SEGMENT: Duration = Duration::from_secs(2);
const WINDOW: u64 = 6;
/// A null packet of a transport stream.
const PACKET: [u8; 188] = {
    let mut packet = [0xff; 188];
    (packet[0], packet[1], packet[2], packet[3]) = (0x47, 0x1f, 0xff, 0x10);
    packet
};

/// All sources.
pub(crate) struct Sources {
    began: Instant,
    /// When each list was asked for first.
    asked: Mutex<HashMap<String, Instant>>,
}

impl Sources {
    /// Begins, and says where: `BASE/still/NAME.m3u8` and `BASE/live/NAME.m3u8`, by any name.
    pub(crate) async fn start() -> (Arc<Self>, String) {
        let sources = Arc::new(Self {
            began: Instant::now(),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("it is bound");
        let pages = axum::Router::new()
            .route("/{kind}/{file}", get(file))
            .with_state(sources.clone());
        tokio::spawn(async move { axum::serve(listener, pages).await });
        (sources, format!("http://{address}"))
    }

    /// When a list was asked for first.
    pub(crate) fn asked_at(&self, name: &str) -> Option<Instant> {
        self.asked().get(name).copied()
    }

    /// Lists that were asked for.
    pub(crate) fn lists(&self) -> usize {
        self.asked().len()
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn file(
    State(sources): State<Arc<Sources>>,
    Path((kind, file)): Path<(String, String)>,
) -> Response {
    let Some(name) = file.strip_suffix(".m3u8") else {
        let number = file.strip_suffix(".ts").and_then(|it| it.parse().ok());
        return number.map_or(StatusCode::NOT_FOUND.into_response(), |it: u64| {
            media(it).into_response()
        });
    };
    let mut asked = sources.asked();
    asked.entry(name.to_owned()).or_insert_with(Instant::now);
    match &*kind {
        "still" => list(600, 0).into_response(),
        _ => {
            let segments = sources.began.elapsed().as_micros() / SEGMENT.as_micros();
            list(2, segments as u64).into_response()
        }
    }
}

fn list(seconds: u64, first: u64) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{seconds}\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    );
    for number in first..first + WINDOW {
        let _ = write!(text, "#EXTINF:{seconds}.0,\n{number}.ts\n");
    }
    text
}

/// Other bytes for each number.
fn media(number: u64) -> Vec<u8> {
    let mut packets = PACKET.repeat(4);
    packets[4..12].copy_from_slice(&number.to_be_bytes());
    packets
}
