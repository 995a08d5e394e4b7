//! The limits of time, rate and size, each enforced when it is reached and not much later.

use crate::fetch::{LIMITS, download, gzip, load};
use crate::support::raw_server::{Act, RawServer, answer, head, ok};
use hls_relay_core::command::FetchLimits;
use hls_relay_core::event::FetchError;
use hls_relay_core::time::Span;
use std::future::Future;
use std::time::{Duration, Instant};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The outcome, which must come at this time, give or take what a busy machine needs.
async fn at<T>(expected: Duration, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let outcome = work.await;
    let took = start.elapsed();
    assert!(
        took >= expected && took < expected + millis(400),
        "{took:?} and not {expected:?}"
    );
    outcome
}

#[tokio::test]
async fn a_server_that_is_silent_is_left_at_the_first_byte_limit() {
    let limits = FetchLimits {
        first_byte: Span::from_millis(300),
        ..LIMITS
    };
    let silent = RawServer::always(vec![Act::Hang]).await;
    let outcome = at(millis(300), load(&silent, &limits)).await;
    assert_eq!(
        outcome,
        Err(FetchError::FirstByteTimeout(Span::from_millis(300)))
    );
    // The limit is for all hops together: a slow chain of redirects is a slow answer.
    let hop = vec![
        Act::Pause(millis(120)),
        answer("302 Found", "location: /live.m3u8\r\n", b""),
    ];
    let hops = RawServer::always(hop).await;
    let outcome = at(millis(300), load(&hops, &limits)).await;
    assert_eq!(
        outcome,
        Err(FetchError::FirstByteTimeout(Span::from_millis(300)))
    );
}

#[tokio::test]
async fn a_body_that_does_not_end_is_left_at_the_whole_limit() {
    let limits = FetchLimits {
        whole: Span::from_millis(400),
        ..LIMITS
    };
    let chunk = [Act::Send(b"1\r\nx\r\n".to_vec()), Act::Pause(millis(30))];
    let mut drip = vec![head("200 OK", "transfer-encoding: chunked\r\n")];
    drip.extend(std::iter::repeat_n(chunk, 200).flatten());
    let server = RawServer::always(drip).await;
    let outcome = at(millis(400), download(&server, None, &limits)).await;
    assert_eq!(
        outcome,
        Err(FetchError::WholeTimeout(Span::from_millis(400)))
    );
    let outcome = at(millis(400), load(&server, &limits)).await;
    assert_eq!(
        outcome,
        Err(FetchError::WholeTimeout(Span::from_millis(400)))
    );
}

#[tokio::test]
async fn a_drip_below_the_floor_is_left_after_one_window() {
    let limits = FetchLimits {
        least_bytes: 1_000,
        rate_window: Span::from_millis(500),
        ..LIMITS
    };
    let chunk = [Act::Send(vec![7; 50]), Act::Pause(millis(50))];
    let mut drip = vec![head("200 OK", "content-length: 100000\r\n")];
    drip.extend(std::iter::repeat_n(chunk.clone(), 100).flatten());
    let server = RawServer::always(drip.clone()).await;
    let outcome = at(millis(500), download(&server, None, &limits)).await;
    let Err(FetchError::TooSlow { bytes, within }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!((400..=550).contains(&bytes), "{bytes} in {within}");
    // A good start does not buy a drip afterwards: the window slides.
    drip.insert(1, Act::Send(vec![7; 5_000]));
    let server = RawServer::always(drip).await;
    let outcome = at(millis(500), download(&server, None, &limits)).await;
    assert!(
        matches!(outcome, Err(FetchError::TooSlow { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_pause_that_the_floor_allows_is_waited_for() {
    let limits = FetchLimits {
        least_bytes: 10,
        rate_window: Span::from_millis(500),
        ..LIMITS
    };
    let acts = vec![
        head("200 OK", "content-length: 30\r\n"),
        Act::Send(vec![1; 10]),
        Act::Pause(millis(300)),
        Act::Send(vec![2; 10]),
        Act::Pause(millis(300)),
        Act::Send(vec![3; 10]),
    ];
    let server = RawServer::always(acts).await;
    assert_eq!(download(&server, None, &limits).await.unwrap().0.length, 30);
}

#[tokio::test]
async fn c_63_what_is_larger_than_the_limit_is_left_at_once() {
    let limits = FetchLimits {
        max_bytes: 1_000,
        ..LIMITS
    };
    let too_large = FetchError::TooLarge { limit: 1_000 };
    let announced =
        RawServer::always(vec![head("200 OK", "content-length: 1001\r\n"), Act::Hang]).await;
    assert_eq!(
        download(&announced, None, &limits).await,
        Err(too_large.clone())
    );
    let chunked = head("200 OK", "transfer-encoding: chunked\r\n");
    let endless = vec![chunked, Act::Flood(b"8\r\n01234567\r\n".to_vec())];
    let endless = RawServer::always(endless).await;
    assert_eq!(
        download(&endless, None, &limits).await,
        Err(too_large.clone())
    );
    assert_eq!(load(&endless, &limits).await, Err(too_large));
    let just_fits = RawServer::always(ok(&[7; 1_000])).await;
    assert_eq!(
        download(&just_fits, None, &limits).await.unwrap().0.length,
        1_000
    );
}

#[tokio::test]
async fn c_63_a_gzip_bomb_is_left_at_the_limit_of_what_comes_out() {
    let bomb = gzip(&vec![b'#'; 20 << 20]);
    assert!(
        bomb.len() < 40_000,
        "what comes over the wire is within the limit"
    );
    for fields in ["content-encoding: gzip\r\n", ""] {
        let server = RawServer::always(vec![answer("200 OK", fields, &bomb)]).await;
        let too_large = Err(FetchError::TooLarge { limit: 1 << 20 });
        assert_eq!(load(&server, &LIMITS).await, too_large);
    }
    let media =
        RawServer::always(vec![answer("200 OK", "content-encoding: gzip\r\n", &bomb)]).await;
    assert_eq!(
        download(&media, None, &LIMITS).await,
        Err(FetchError::TooLarge { limit: 1 << 20 })
    );
}
