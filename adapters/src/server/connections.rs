//! The connections of viewers: how many there may be, and how long one may take to say what it wants.
//! Without either, whoever opens connections and says nothing would take the files that relaying needs.

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// From the moment a request is awaited to the end of its head. It is also how long a connection may
/// stand idle: longer than a player waits between two reloads.
const HEAD_WITHIN: Duration = Duration::from_secs(20);
/// After a shutdown, viewers may finish what they are receiving for so long.
const GRACE: Duration = Duration::from_secs(2);
/// Out of file descriptors, most likely: without a pause this would spin.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until `leave` is done, then lets running answers end for a short while.
pub(super) async fn serve(
    listener: TcpListener,
    pages: Router,
    most: u64,
    leave: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(most_connections(most)));
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN);
    let open = GracefulShutdown::new();
    let accepting = async {
        loop {
            let (stream, permit) = next(&listener, &room).await;
            let pages = TowerToHyperService::new(pages.clone());
            let connection = builder.serve_connection(TokioIo::new(stream), pages);
            let connection = open.watch(connection);
            tokio::spawn(async move {
                // How a viewer's connection ends is the viewer's affair.
                let _ = connection.await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = leave => {}
        () = accepting => {}
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, open.shutdown()).await;
}

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // It is never closed: there is always a permit to come.
    let permit = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // The end of a segment does not wait for the receipt of what came before.
                let _ = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("cannot take a viewer's connection: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Somebody went away before being served.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Half of the files that the process may open: the other half is for the sources and the store.
fn most_connections(most: u64) -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((files / 2).clamp(1, most)).unwrap_or(1)
}
