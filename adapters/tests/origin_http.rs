//! The simulated origin over real HTTP, as a real client sees it.

use hls_relay::origin_server::{LoggedRequest, OriginServer};
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{
    ConnectionFault, EncoderFault, FaultKind, Names, OriginSpec, PlaylistFault, PresentationFault,
    PresentationSpec, Requests, SegmentDurations, SegmentFault, TextFault, TrackKind, TrackSpec,
    Which,
};
use reqwest::{Client, Response};
use std::error::Error;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

async fn start(spec: OriginSpec) -> OriginServer {
    OriginServer::start(spec, ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

/// An origin at which something goes wrong from the start.
async fn start_with(kind: impl Into<FaultKind>) -> OriginServer {
    let server = start(OriginSpec::default()).await;
    server.inject(kind, LONG);
    server
}

/// The URL of a segment that is listed.
fn segment_url(server: &OriginServer) -> String {
    let segment = server.truth().pop().unwrap();
    format!("http://{}{}", server.address(), segment.path)
}

async fn get(url: String) -> Response {
    client().get(url).send().await.unwrap()
}

fn client() -> Client {
    Client::builder()
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap()
}

/// The IO error at the bottom of what a client complains of.
fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

/// The log once `count` requests are in it and the last is through.
async fn log_of(server: &OriginServer, count: usize) -> Vec<LoggedRequest> {
    for _ in 0..200 {
        let log = server.request_log();
        if log.len() == count && log.iter().all(|request| request.finished.is_some()) {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", server.request_log());
}

#[tokio::test]
async fn playlist_and_segments_can_be_fetched() {
    let server = start(OriginSpec::default()).await;
    let response = get(server.url()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.apple.mpegurl"
    );
    let playlist = response.text().await.unwrap();
    assert!(playlist.starts_with("#EXTM3U\n"), "{playlist}");

    for segment in server.truth() {
        let response = get(format!("http://{}{}", server.address(), segment.path)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "video/mp2t");
        let bytes = response.bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, segment.media.len);
    }

    let log = log_of(&server, 7).await;
    assert_eq!(
        (log[0].path.as_str(), log[0].status),
        ("/live/index.m3u8", Some(200))
    );
    assert!(
        log.windows(2)
            .all(|pair| pair[0].finished.unwrap() <= pair[1].at)
    );
}

#[tokio::test]
async fn time_goes_by() {
    let durations = SegmentDurations::Constant(Span::from_millis(100));
    let server = start(OriginSpec {
        durations,
        target_duration: 1,
        ..OriginSpec::default()
    })
    .await;
    let before = get(server.url()).await.text().await.unwrap();
    tokio::time::sleep(Duration::from_millis(250)).await;
    let after = get(server.url()).await.text().await.unwrap();
    assert_ne!(before, after);
    assert!(server.truth().len() >= 8);
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_ranges() {
    let server = start(OriginSpec {
        etag: true,
        ..OriginSpec::default()
    })
    .await;
    let client = client();
    let whole = client
        .get(segment_url(&server))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let part = client
        .get(segment_url(&server))
        .header("Range", "bytes=188-375");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(
        part.headers()["content-range"],
        format!("bytes 188-375/{}", whole.len())
    );
    assert_eq!(part.bytes().await.unwrap(), whole[188..376]);

    let etag = client.get(server.url()).send().await.unwrap().headers()["etag"].clone();
    let again = client
        .get(server.url())
        .header("If-None-Match", etag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    let head = client.head(server.url()).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(
        head.headers()["content-length"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 100
    );
    assert_eq!(log_of(&server, 5).await.len(), 5);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let server = start_with(ConnectionFault::Reset {
        on: Requests::Playlist,
    })
    .await;
    let error = client().get(server.url()).send().await.unwrap_err();
    assert_eq!(
        io_kind(&error),
        Some(ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert_eq!(get(segment_url(&server)).await.status(), 200);
    assert_eq!(server.request_log()[0].status, None);
}

#[tokio::test]
async fn a_hang_hangs_and_goes_on_hanging_after_the_fault() {
    let server = start(OriginSpec::default()).await;
    let impatient = Client::builder()
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    server.inject(
        ConnectionFault::Hang { on: Requests::All },
        Duration::from_millis(100),
    );
    let error = impatient.get(server.url()).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(get(server.url()).await.status(), 200);
    let log = log_of(&server, 2).await;
    assert_eq!((log[0].status, log[1].status), (None, Some(200)));
    assert!(log[0].finished.unwrap() - log[0].at >= Duration::from_millis(250));
}

#[tokio::test]
async fn a_segment_is_reset_half_way() {
    let server = start_with(SegmentFault::ResetHalfWay { which: Which::All }).await;
    let mut response = get(segment_url(&server)).await;
    let len = response.content_length().unwrap();
    let mut received = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len() as u64,
            Ok(None) => panic!("it ended in order"),
            Err(error) => break error,
        }
    };
    assert_eq!(
        io_kind(&error),
        Some(ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert_eq!(received, len / 2);
}

#[tokio::test]
async fn a_truncated_segment_is_shorter_than_it_says() {
    let server = start_with(SegmentFault::Truncated { which: Which::All }).await;
    let mut response = get(segment_url(&server)).await;
    let len = response.content_length().unwrap();
    let mut received = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len() as u64,
            Ok(None) => panic!("it ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert_ne!(
        io_kind(&error),
        Some(ErrorKind::ConnectionReset),
        "closed in order: {error:?}"
    );
    assert_eq!(received, len / 2);
}

#[tokio::test]
async fn a_dripping_segment_drips() {
    let drip = SegmentFault::Drip {
        which: Which::All,
        bytes_per_second: 10_000,
    };
    let server = start_with(drip).await;
    let mut response = get(segment_url(&server)).await;
    let started = Instant::now();
    let mut received = 0;
    while started.elapsed() < Duration::from_millis(600) {
        received += response.chunk().await.unwrap().unwrap().len();
    }
    assert!(
        (4_000..=7_500).contains(&received),
        "{received} bytes in 0.6 s"
    );
}

#[tokio::test]
async fn a_rate_holds_for_the_whole_body() {
    let server = start(OriginSpec {
        rate: Some(60_000),
        ..OriginSpec::default()
    })
    .await;
    let started = Instant::now();
    let bytes = get(segment_url(&server)).await.bytes().await.unwrap();
    let due = Duration::from_millis(bytes.len() as u64 * 1_000 / 60_000);
    assert!(
        started.elapsed() >= due - Duration::from_millis(100),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn statuses_pages_and_nothing() {
    let server = start(OriginSpec::default()).await;
    let short = Duration::from_secs(2);
    server.inject(PlaylistFault::Status { code: 503 }, short);
    assert_eq!(get(server.url()).await.status(), 503);
    tokio::time::sleep(short).await;
    assert_eq!(get(server.url()).await.status(), 200, "the fault is over");

    let server = start_with(PlaylistFault::Html200).await;
    assert!(
        get(server.url())
            .await
            .text()
            .await
            .unwrap()
            .contains("<html>")
    );
    let server = start_with(PlaylistFault::EmptyBody).await;
    assert_eq!(get(server.url()).await.bytes().await.unwrap().len(), 0);
    let server = start_with(TextFault::NotUtf8).await;
    let bytes = get(server.url()).await.bytes().await.unwrap();
    assert!(std::str::from_utf8(&bytes).is_err());
}

#[tokio::test]
async fn fifty_megabytes_of_tags_are_sent() {
    let server = start_with(TextFault::HugeTags { bytes: 50_000_000 }).await;
    let mut response = get(server.url()).await;
    let mut received = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        received += chunk.len();
    }
    assert!(received > 49_000_000);
}

#[tokio::test]
async fn a_gzip_bomb_is_small_on_the_wire() {
    let server = start_with(PlaylistFault::GzipBomb { bytes: 1 << 30 }).await;
    // As the wire has it: nothing is unpacked.
    let plain = Client::builder().no_gzip().build().unwrap();
    let response = plain.get(server.url()).send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let packed = response.bytes().await.unwrap();
    assert!(packed.len() < 2_000_000, "{} bytes", packed.len());
    // What a client that unpacks it would have to hold: it is broken off here.
    let mut response = get(server.url()).await;
    let mut received = 0;
    while received < 20_000_000 {
        received += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn gzip_that_nobody_asked_for_and_a_type_that_lies() {
    let server = start_with(PlaylistFault::UnaskedGzip).await;
    server.inject(PlaylistFault::WrongContentType, LONG);
    let plain = Client::builder().no_gzip().build().unwrap();
    let response = plain.get(server.url()).send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    assert!(response.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    assert!(
        get(server.url())
            .await
            .text()
            .await
            .unwrap()
            .starts_with("#EXTM3U\n")
    );
}

#[tokio::test]
async fn redirects_to_another_host_and_without_end() {
    let server = start_with(PlaylistFault::RedirectToOtherHost).await;
    let response = get(server.url()).await;
    let landed = response.url().clone();
    assert_ne!(landed.port(), Some(server.address().port()));
    assert_eq!(landed.path(), "/edge/live/index.m3u8");
    let playlist = response.text().await.unwrap();
    let uri = playlist.lines().last().unwrap();
    assert_eq!(
        get(landed.join(uri).unwrap().to_string()).await.status(),
        200
    );
    let server_url = reqwest::Url::parse(&server.url()).unwrap();
    let wrong = server_url.join("/edge/live/").unwrap().join(uri).unwrap();
    assert_eq!(get(wrong.to_string()).await.status(), 404);

    let server = start_with(PlaylistFault::RedirectLoop).await;
    let error = client().get(server.url()).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
}

#[tokio::test]
async fn an_encoder_can_be_restarted_at_run_time() {
    let durations = SegmentDurations::Constant(Span::from_millis(500));
    let server = start(OriginSpec {
        durations,
        ..OriginSpec::default()
    })
    .await;
    let restart = EncoderFault::Restart {
        media_sequence: 0,
        names: Names::New,
    };
    server.inject(restart, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1_250)).await;
    let playlist = get(server.url()).await.text().await.unwrap();
    assert!(playlist.contains("#EXT-X-MEDIA-SEQUENCE:0\n") && playlist.contains("r1-seg1.ts"));
    assert!(server.truth().iter().any(|segment| segment.media.run == 0));
    assert_eq!(server.faults().len(), 1);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_and_a_dropped_server_frees_it() {
    let server = start(OriginSpec::default()).await;
    let address = server.address();
    let taken = OriginServer::start(OriginSpec::default(), address).await;
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);

    assert_eq!(get(server.url()).await.status(), 200);
    drop(server);
    for _ in 0..100 {
        if OriginServer::start(OriginSpec::default(), address)
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{address} is still taken");
}

/// A presentation over real sockets: its lists, a segment as a range of a file, and keys that are down.
#[tokio::test]
async fn the_tracks_of_a_presentation_can_be_fetched() {
    let (bandwidth, height) = (2_000_000, 720);
    let presentation = PresentationSpec {
        tracks: vec![TrackSpec::new(TrackKind::Variant { bandwidth, height })],
        segments_per_file: Some(4),
        segments_per_key: Some(2),
        ..PresentationSpec::default()
    };
    let server = start(OriginSpec {
        presentation: Some(presentation),
        ..OriginSpec::default()
    })
    .await;
    let entry = get(server.url()).await.text().await.unwrap();
    let track = entry.lines().last().unwrap();
    let below = |path: &str| server.url().replace("index.m3u8", path);
    let list = get(below(track)).await.text().await.unwrap();
    let range = list
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:"));
    let (len, offset) = range.unwrap().split_once('@').unwrap();
    let (len, offset): (u64, u64) = (len.parse().unwrap(), offset.parse().unwrap());
    let file = list.lines().find(|line| !line.starts_with('#')).unwrap();
    let asked = client()
        .get(below(&track.replace("index.m3u8", file)))
        .header("range", format!("bytes={offset}-{}", offset + len - 1));
    let part = asked.send().await.unwrap();
    assert_eq!(part.status(), 206);
    let bytes = part.bytes().await.unwrap();
    assert_eq!((bytes.len() as u64, bytes[0]), (len, 0x47), "MPEG-TS");

    let key = list.split_once("AES-128,URI=\"").unwrap().1;
    let key = below(&track.replace("index.m3u8", key.split_once('"').unwrap().0));
    assert_eq!(get(key.clone()).await.bytes().await.unwrap().len(), 16);
    server.inject(PresentationFault::KeysDown { code: 503 }, LONG);
    assert_eq!(get(key).await.status(), 503);
}
