//! What viewers get of a node's channels.

use crate::stage::published::Published;
use hls_relay::origin_server::OriginServer;
use hls_relay_core::time::Span;
use hls_relay_sim::origin::{OriginSpec, SegmentDurations};
use std::time::{Duration, Instant};

/// What should be so at once or soon, from a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A live origin of one-second segments, each with its date.
pub(crate) async fn origin(media_sequence: u64) -> OriginServer {
    let second = Span::from_secs(1);
    let spec = OriginSpec {
        media_sequence,
        target_duration: 1,
        durations: SegmentDurations::Constant(second),
        program_date_time: true,
        wall_at_start: hls_relay::clock::wall(),
        ..OriginSpec::default()
    };
    OriginServer::start(spec, ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// The status and, of a playlist, what it says.
pub(crate) async fn playlist(base: &str, channel: &str) -> (u16, Option<Published>) {
    let url = format!("{base}/{channel}/index.m3u8");
    let answer = client().get(url).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let playlist = (status == 200).then(|| Published::read(&text).unwrap());
    (status, playlist)
}

/// Waits for a list of a channel that is as it should be.
pub(crate) async fn until(
    base: &str,
    channel: &str,
    log: impl Fn() -> String,
    is: impl Fn(&Published) -> bool,
) -> Published {
    let began = Instant::now();
    loop {
        let (status, last) = playlist(base, channel).await;
        if let Some(playlist) = last.clone().filter(&is) {
            return playlist;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{channel}: {status} {last:?}\n{}",
            log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
