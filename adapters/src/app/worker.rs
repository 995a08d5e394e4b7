//! `hls-relay worker`: rungs for the nodes of a cluster.

use super::{Failure, Signals};
use crate::cli::WorkerArgs;
use crate::cluster::hands::REDIS_PATIENCE;
use crate::node::config::name_of_host;
use crate::redis::Link;
use crate::transcode::Transcoder;
use crate::transcode::queue::Queue;
use crate::transcode::worker::Worker;
use std::hash::{BuildHasher, RandomState};
use tokio_util::sync::CancellationToken;

pub(super) async fn run(args: WorkerArgs) -> Result<(), Failure> {
    let link = Link::new(&args.redis, REDIS_PATIENCE).map_err(Failure::Arguments)?;
    let transcoder = Transcoder::of_this_machine(args.slots).await?;
    let signals = Signals::new()?;
    let host = args.name.unwrap_or_else(name_of_host);
    // A second one on a host, or one that was started again, is another one.
    let worker = format!("{host}-{:08x}", RandomState::new().hash_one(0) >> 32);
    let (redis, slots) = (link.address().to_owned(), transcoder.slots().count());
    tracing::info!(worker, redis, slots, "working");
    let leave = CancellationToken::new();
    let working = Worker::new(worker, Queue::new(link), transcoder, args.store).run(leave.clone());
    let leaving = async move { leave.cancel() };
    let leaving = tokio::spawn(signals.shut_down(leaving, || ()));
    working.await;
    leaving.abort();
    tracing::info!("finished");
    Ok(())
}
