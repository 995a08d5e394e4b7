//! `hls-relay feed`: from a company's database into Redis.

use super::{Failure, Signals};
use crate::cli::FeedArgs;
use crate::control_store::ControlStore;
use crate::feed::database::Database;
use crate::feed::{Feed, Pace};
use crate::mask::mask_url;
use crate::redis::Link;
use std::time::Duration;

/// One call.
const REDIS_PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(args: FeedArgs) -> Result<(), Failure> {
    let database = Database::new(&args.database, args.query, args.overlap);
    let database = database.map_err(|error| Failure::Arguments(error.to_string()))?;
    let link = Link::new(&args.redis, REDIS_PATIENCE).map_err(Failure::Arguments)?;
    // Nobody here is told of changes: the nodes hear of them from Redis.
    let store = ControlStore::in_redis(link, |_| ());
    let pace = Pace {
        every: args.every,
        reconcile: args.reconcile,
    };
    let mut signals = Signals::new()?;
    let (from, to) = (mask_url(args.database.as_str()), args.redis.to_string());
    tracing::info!(database = from, redis = to, "feeding");
    tokio::select! {
        () = Feed::new(database, store, pace, args.allow_mass_stop).run() => {}
        _ = signals.next() => tracing::info!("finished"),
    }
    Ok(())
}
