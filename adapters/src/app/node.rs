//! `hls-relay node`: many channels in one process.

use super::{Failure, Signals, bind, say};
use crate::channel::Places;
use crate::cli::NodeArgs;
use crate::fetch::Fetcher;
use crate::node::NodeLoop;
use crate::node::config::NodeConfig;
use crate::output::Outputs;
use crate::server;
use crate::store::OpenError;
use hls_relay_core::event::Desired;
use hls_relay_core::node::{NodeEvent, Record, Writer};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Checkpoints, below the folder of the node.
const STATE: &str = "state";

pub(super) async fn run(args: &NodeArgs) -> Result<(), Failure> {
    let config = NodeConfig::load(args).map_err(Failure::Arguments)?;
    if args.check {
        say(config.shown().trim_end());
        return Ok(());
    }
    make_private(&config.data).map_err(Failure::Data)?;
    let listener = bind(&config.listen).await?;
    // Until here a signal ends the process as it does any other; from here on there is something to finish.
    let signals = Signals::new()?;
    let address = server::base_of(listener.local_addr()?);
    let outputs = Outputs::default();
    let (stop_serving, serving_stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, outputs.clone(), async {
        let _ = serving_stopped.await;
    }));

    let places = Places {
        store: config.store,
        state: Some(config.data.join(STATE)),
        journal: config.journal.map(|it| (it, config.journal_size)),
        fetcher: Fetcher::through(config.proxy).shared(),
    };
    let (node, handle) = NodeLoop::new(config.capacity, places, outputs);
    let running = tokio::spawn(node.run());
    let (name, channels) = (config.name, config.channels.len());
    tracing::info!(node = &**name.name(), %address, channels, "relaying");
    for (id, spec) in config.channels {
        let record = Record {
            revision: 1,
            desired: Desired::Run,
            writer: Writer::Config,
            spec: Arc::new(spec),
        };
        handle.tell(NodeEvent::Wanted { id, record });
    }
    say(&address);

    let leave = async move { handle.tell(NodeEvent::ShutDown) };
    let leaving = tokio::spawn(signals.shut_down(leave, || ()));
    running.await.map_err(io::Error::other)?;
    let _ = stop_serving.send(());
    serving.await.map_err(io::Error::other)?;
    // Viewers were still being served until now, and a second signal would have ended that too.
    leaving.abort();
    tracing::info!(node = &**name.name(), "finished");
    Ok(())
}

/// A folder for its owner only: it holds what the sources are asked with.
fn make_private(folder: &Path) -> Result<(), OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| OpenError::Unusable {
        path: folder.to_owned(),
        error,
    })
}
