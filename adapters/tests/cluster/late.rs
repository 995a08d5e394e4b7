//! What was asked of Redis and given up arrives never: its connection is closed, and what was not sent goes with it.

use crate::registry::Stage;
use crate::support::redis_server::RedisServer;
use ::redis::cmd;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// When a connection was closed by who asks, and what was thrown away with it.
type Closed = (Instant, Vec<u8>);

/// A way that can be held up: what has come by then waits in it, as in the buffers of a network, until the way is free
/// or whoever sent it has closed his end.
struct SlowWay {
    address: SocketAddr,
    held: watch::Sender<bool>,
    closed: Arc<Mutex<Vec<Closed>>>,
}

impl SlowWay {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (held, hold) = watch::channel(false);
        let closed = Arc::new(Mutex::new(Vec::new()));
        let put_down = closed.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(carry(near, far, hold.clone(), put_down.clone()));
            }
        });
        Self {
            address,
            held,
            closed,
        }
    }
}

async fn carry(
    near: TcpStream,
    far: TcpStream,
    mut hold: watch::Receiver<bool>,
    closed: Arc<Mutex<Vec<Closed>>>,
) {
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
        (near.into_split(), far.into_split());
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_far, &mut to_near).await;
    });
    let (mut waiting, mut buffer) = (Vec::new(), vec![0; 4 << 10]);
    loop {
        let is_held = *hold.borrow_and_update();
        if !is_held && !waiting.is_empty() {
            to_far
                .write_all(&std::mem::take(&mut waiting))
                .await
                .unwrap();
        }
        tokio::select! {
            read = from_near.read(&mut buffer) => match read {
                Ok(read @ 1..) => waiting.extend_from_slice(&buffer[..read]),
                Ok(_) | Err(_) => break,
            },
            changed = hold.changed() => if changed.is_err() { break },
        }
    }
    closed.lock().unwrap().push((Instant::now(), waiting));
    back.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_arrives_at_redis_after_its_call_was_given_up() {
    let redis = RedisServer::start();
    let way = SlowWay::to(redis.port).await;
    // A call takes two seconds at most.
    let stage = Stage::at(&format!("redis://{}", way.address));
    let set = |value: &'static str| cmd("SET").arg("mark").arg(value).take();
    stage.link.command::<()>(&set("before")).await.unwrap();
    way.held.send_replace(true);
    let called = Instant::now();
    let refused = stage.link.command::<()>(&set("late")).await;
    assert!(refused.is_err(), "{refused:?}");
    let given_up = called.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let closed = std::mem::take(&mut *way.closed.lock().unwrap());
    let [(at, thrown_away)] = &closed[..] else {
        panic!("{closed:?}");
    };
    println!(
        "given up after {given_up:.1?}, closed after {:.1?}",
        *at - called
    );
    assert!(*at - called < given_up + Duration::from_millis(400));
    let sent = String::from_utf8_lossy(thrown_away);
    assert!(sent.contains("late"), "{sent:?}");
    // The way is free again: what is asked now comes there, and what was given up does not.
    way.held.send_replace(false);
    let began = Instant::now();
    while let Err(error) = stage.link.command::<()>(&set("after")).await {
        assert!(began.elapsed() < Duration::from_secs(10), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(redis.ask(&["GET", "mark"]), "after");
    }
}
