//! The simulated origin over real HTTP, as a real client sees it.

use hls_relay::origin_server::OriginServer;
use hls_relay_sim::origin::OriginSpec;

async fn start(spec: OriginSpec) -> OriginServer {
    OriginServer::start(spec, ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

#[tokio::test]
async fn playlist_and_segments_can_be_fetched() {
    let server = start(OriginSpec::default()).await;
    let response = reqwest::get(server.url()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.apple.mpegurl"
    );
    let playlist = response.text().await.unwrap();
    assert!(playlist.starts_with("#EXTM3U\n"), "{playlist}");

    for segment in server.truth() {
        let url = format!("http://{}{}", server.address(), segment.path);
        let response = reqwest::get(url).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "video/mp2t");
        let bytes = response.bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, segment.media.len);
    }

    let log = server.request_log();
    assert_eq!(log.len(), 7);
    assert_eq!(
        (log[0].path.as_str(), log[0].status),
        ("/live/index.m3u8", Some(200))
    );
    assert!(log[0].finished.unwrap() >= log[0].at);
}
