//! A live origin of many channels: one encoder of the simulated origin, seen at another moment by each.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{self, Origin, OriginRequest, OriginSpec};
use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;

pub(crate) const SEGMENT: Span = Span::from_secs(2);

/// All channels of an origin.
pub(crate) struct Live {
    model: Origin,
    channels: usize,
    began: Instant,
    began_at: SystemTime,
    /// What was ever asked for, by number: the channels have their media in common.
    segments: Mutex<HashMap<u64, Bytes>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Live {
    /// Goes live, and says where.
    pub(crate) async fn start(channels: usize) -> (Arc<Self>, SocketAddr) {
        let spec = OriginSpec {
            bit_rate: Some(1_000_000),
            latency: Span::from_millis(5),
            latency_jitter: Span::from_millis(10),
            publish_jitter: Span::from_millis(20),
            ..OriginSpec::default()
        };
        let live = Arc::new(Self {
            model: Origin::new(spec),
            channels,
            began: Instant::now(),
            began_at: SystemTime::now(),
            segments: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(live.clone().accept(listener));
        (live, address)
    }

    /// The channel of that number, below [`Self::start`]'s address.
    pub(crate) fn path(channel: usize) -> String {
        format!("/c{channel}/index.m3u8")
    }

    /// Connections that were open at the same time, at most, since this was asked last.
    pub(crate) fn most_open(&self) -> usize {
        let now = self.open.load(Ordering::Relaxed);
        self.most_open.swap(now, Ordering::Relaxed)
    }

    /// The numbers of the segments that a channel has listed so far, and when it did.
    pub(crate) fn listed(&self, channel: usize) -> Vec<(u64, SystemTime)> {
        let offset = self.offset(channel);
        let offered = self.model.segments_offered(self.now() + offset);
        let listed = offered.iter().map(|it| {
            let at = self.began_at + Duration::from_micros(it.listed_at.as_micros());
            (
                it.media.number,
                at - Duration::from_micros(offset.as_micros()),
            )
        });
        listed.collect()
    }

    /// The bytes of a segment that somebody has asked for.
    pub(crate) fn segment(&self, number: u64) -> Option<Bytes> {
        self.segments().get(&number).cloned()
    }

    fn segments(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Bytes>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Span {
        Span::from_micros(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The moments at which the channels list a segment are spread over its length.
    fn offset(&self, channel: usize) -> Span {
        SEGMENT.scaled(channel as u64, self.channels as u64)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let pages = axum::Router::new()
            .route("/{channel}/{file}", get(file))
            .with_state(self.clone());
        loop {
            let (stream, _) = listener.accept().await.expect("files enough");
            let _ = stream.set_nodelay(true);
            let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_open.fetch_max(open, Ordering::Relaxed);
            let (live, pages) = (self.clone(), TowerToHyperService::new(pages.clone()));
            tokio::spawn(async move {
                let served = Builder::new().serve_connection(TokioIo::new(stream), pages);
                let _ = served.await;
                live.open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    fn body_of(&self, media: &origin::MediaRef) -> Bytes {
        if let Some(bytes) = self.segment(media.number) {
            return bytes;
        }
        let bytes = Bytes::from(self.model.media_bytes(media));
        self.segments().insert(media.number, bytes.clone());
        bytes
    }
}

async fn file(
    State(live): State<Arc<Live>>,
    Path((channel, file)): Path<(String, String)>,
) -> Response {
    let number = channel.strip_prefix('c').and_then(|it| it.parse().ok());
    let Some(number) = number.filter(|it| *it < live.channels) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let request = OriginRequest::get(format!("/live/{file}"));
    let reply = live
        .model
        .respond(live.now() + live.offset(number), &request);
    tokio::time::sleep(Duration::from_micros(reply.delay.as_micros())).await;
    let body = match &reply.body {
        origin::Body::Text(text) => Bytes::from(text.clone()),
        origin::Body::Media { media, .. } => live.body_of(media),
        origin::Body::Empty | origin::Body::Bytes(_) | origin::Body::Repeat { .. } => Bytes::new(),
    };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    (status, Body::from(body)).into_response()
}
