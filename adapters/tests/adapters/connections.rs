//! How many connections an origin sees of a node whose channels all ask it.

use crate::fetch::{LIMITS, access, wanted};
use futures_util::future::join_all;
use hls_relay::fetch::{Fetcher, Keys};
use hls_relay::store::Store;
use hls_relay_core::command::FetchLimits;
use hls_relay_core::time::Span;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CHANNELS: usize = 60;
const ROUNDS: usize = 12;
/// Everybody waits for a turn, and the machine may be busy.
const PATIENT: FetchLimits = FetchLimits {
    first_byte: Span::from_secs(60),
    whole: Span::from_secs(60),
    ..LIMITS
};

/// Connections that are open, at most so far, and ever.
#[derive(Default)]
struct Counted {
    open: AtomicUsize,
    most: AtomicUsize,
    made: AtomicUsize,
}

/// Answers whatever it is asked, a little later, and keeps each connection.
async fn origin(counted: Arc<Counted>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let open = counted.open.fetch_add(1, Ordering::SeqCst) + 1;
            counted.most.fetch_max(open, Ordering::SeqCst);
            counted.made.fetch_add(1, Ordering::SeqCst);
            let counted = counted.clone();
            tokio::spawn(async move {
                let _ = answers(stream).await;
                counted.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    base
}

async fn answers(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut asked, mut turn) = (Vec::new(), 0);
    while stream.read_buf(&mut asked).await? > 0 {
        if asked.ends_with(b"\r\n\r\n") {
            turn += 1;
            tokio::time::sleep(Duration::from_millis(turn % 4)).await;
            let body = match asked.starts_with(b"GET /live.m3u8") {
                true => b"#EXTM3U\n".to_vec(),
                false => vec![7; 60_000],
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await?;
            asked.clear();
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_origin_sees_sixteen_connections_and_they_are_used_again() {
    let counted = Arc::new(Counted::default());
    let base = origin(counted.clone()).await;
    let all = Fetcher::new().shared();
    let channels = (0..CHANNELS).map(|channel| {
        let (fetcher, base) = (all.for_channel(&channel.to_string().into()), base.clone());
        tokio::spawn(async move {
            let (list, segment) = (format!("{base}/live.m3u8"), format!("{base}/a.ts"));
            let (access, keys) = (access(&list), Keys::default());
            let wanted = wanted(&segment, None, &PATIENT);
            for _ in 0..ROUNDS {
                let list = fetcher.playlist(&access, &list, None, &PATIENT);
                list.await.unwrap();
                // Two segments at once, as after an outage.
                let (one, two) = (Store::memory(), Store::memory());
                let (one, two) = (one.create(&wanted.object), two.create(&wanted.object));
                let (mut one, mut two) = (one.unwrap(), two.unwrap());
                let one = fetcher.segment(&access, &wanted, &keys, &mut one);
                let two = fetcher.segment(&access, &wanted, &keys, &mut two);
                let (one, two) = tokio::join!(one, two);
                one.and(two).unwrap();
            }
        })
    });
    for done in join_all(channels).await {
        done.unwrap();
    }
    let (most, made) = (&counted.most, &counted.made);
    let (most, made) = (most.load(Ordering::SeqCst), made.load(Ordering::SeqCst));
    assert!(most <= 16, "{most} at once, {made} in all");
    assert!(most > 8, "{most}: what there may be is used");
    assert!(made <= 16, "{made} were made, for at most {most} at once");
}
