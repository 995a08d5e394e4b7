//! `hls-relay node`: many channels in one process.

use super::{Failure, Signals, bind, say};
use crate::api::Api;
use crate::channel::{OpenFailure, Places, last_lines};
use crate::cli::NodeArgs;
use crate::clock;
use crate::cluster::elsewhere::Elsewhere;
use crate::cluster::hands::{Hands, Myself, REDIS_PATIENCE};
use crate::cluster::{hints, seeds};
use crate::control_store::in_redis::RedisStore;
use crate::control_store::{ChangeError, ControlStore, ControlStoreError, Listed};
use crate::fetch::Fetcher;
use crate::journal::Recorder;
use crate::node::config::NodeConfig;
use crate::node::{NodeHandle, NodeLoop};
use crate::output::Outputs;
use crate::redis::Link;
use crate::server;
use crate::spec::ChannelSpec;
use crate::transcode::exchange::Exchange;
use crate::transcode::makers::Makers;
use crate::transcode::orders::Orders;
use crate::transcode::queue::Queue;
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Change, ChannelId, Condition, Node, NodeEvent, NodeName, Writer};
use hls_relay_core::planted::Planted;
use std::fs::DirBuilder;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Below the folder of the node: checkpoints, and what is wanted of the channels.
const STATE: &str = "state";
const CONTROL: &str = "control.redb";
/// Of the API: operators and programs of theirs.
const MOST_API_CONNECTIONS: u64 = 256;

pub(super) async fn run(args: &NodeArgs) -> Result<(), Failure> {
    let config = NodeConfig::load(args).map_err(Failure::Arguments)?;
    if args.check {
        say(config.shown().trim_end());
        return Ok(());
    }
    make_private(&config.data)?;
    let viewers = bind("--listen", &config.listen).await?;
    let askers = bind("--api-listen", &config.api_listen).await?;
    let (handle, inbox) = NodeHandle::new();
    let Membership {
        store,
        machine,
        hands,
        elsewhere,
    } = join(&config, &handle, &viewers)?;
    let exchange = Exchange::default();
    let orders = hands.as_ref().map(|hands| {
        let queue = Queue::new(hands.link().clone());
        Orders::new(queue, exchange.clone(), hands.myself().address.clone())
    });
    let makers = Makers::new(config.slots, orders);
    let places = Places {
        store: config.store.clone(),
        newest: Arc::default(),
        // In a cluster it is where every node finds it.
        state: (config.redis.is_none()).then(|| config.data.join(STATE)),
        journal: config.journal.clone().map(|it| (it, config.journal_size)),
        fetcher: Fetcher::through(config.proxy.clone()).shared(),
        makers: makers.clone(),
    };
    places.prepare()?;
    let recording = places.journal.as_ref().map(|(folder, most_bytes)| {
        let started = Recorder::start_of_node(folder, config.name.name(), *most_bytes);
        started.map_err(OpenFailure::Journal)
    });
    let (recorder, recorded) = recording.transpose()?.unzip();
    let outputs = Outputs::default();
    let node = NodeLoop::new(
        machine,
        places.clone(),
        outputs.clone(),
        (handle.clone(), inbox),
        hands.clone(),
    );
    let node = node.recorded(recorder);
    // Until here a signal ends the process as it does any other; from here on there is something to finish.
    let signals = Signals::new()?;
    let address = server::base_of(viewers.local_addr()?);
    let api_address = server::base_of(askers.local_addr()?);
    let name = config.name.name();
    let channels = match &hands {
        Some(_) => config.channels.len(),
        None => {
            let wanted = begin_with(&config, &store, &places).await?;
            let channels = wanted.len();
            for (id, record) in wanted {
                // Viewers may ask before the loop has come to it.
                if record.desired == Desired::Run {
                    outputs.shut(id.name().clone());
                }
                handle.tell(NodeEvent::Wanted { id, record });
            }
            channels
        }
    };
    let in_cluster = hands.clone().map(|hands| {
        let seeding = seeds::add(store.clone(), config.channels.clone());
        let listening = hints::run(hands, handle.clone());
        [tokio::spawn(seeding), tokio::spawn(listening)]
    });
    let (stop_serving, stopped) = watch::channel(false);
    let stopped = || {
        let mut stopped = stopped.clone();
        async move { drop(stopped.changed().await) }
    };
    let (shown, others) = (outputs.clone(), elsewhere.clone());
    let mut pages = server::router(outputs, elsewhere);
    if let Some(hands) = hands.clone() {
        pages = pages.merge(exchange.router(move |shown| hands.is_peer(shown)));
    }
    let serving = server::serve_pages(viewers, pages, server::MOST_CONNECTIONS, stopped());
    let serving = tokio::spawn(serving);
    let token = config.api_token.clone();
    let api = Api::new(
        name.clone(),
        config.capacity,
        store,
        handle.clone(),
        token,
        hands,
        makers,
    );
    let pages = api.router();
    let answering = server::serve_pages(askers, pages, MOST_API_CONNECTIONS, stopped());
    let answering = tokio::spawn(answering);
    let running = tokio::spawn(node.run());
    tracing::info!(node = &**name, %address, api = %api_address, channels, "relaying");
    say(&address);

    let leave = async move { handle.tell(NodeEvent::ShutDown) };
    let leaving = tokio::spawn(signals.shut_down(leave, || ()));
    let ran = running.await;
    last_lines(recorded).await;
    ran.map_err(io::Error::other)?;
    let mut namesake = None;
    if let Some(others) = others {
        namesake = others.hands().contact().name_taken;
        others.until_taken(&shown).await;
    }
    in_cluster.iter().flatten().for_each(JoinHandle::abort);
    let _ = stop_serving.send(true);
    serving.await.map_err(io::Error::other)?;
    answering.await.map_err(io::Error::other)?;
    // Viewers were still being served until now, and a second signal would have ended that too.
    leaving.abort();
    if let Some(address) = namesake {
        return Err(Failure::Arguments(format!(
            "--name {name}: another node of this name is alive, at {address}; give each node a name of its own"
        )));
    }
    tracing::info!(node = &**name, "finished");
    Ok(())
}

/// What a node by itself is made of, or one of a cluster.
struct Membership {
    store: ControlStore,
    machine: Node<ChannelSpec>,
    hands: Option<Hands>,
    elsewhere: Option<Elsewhere>,
}

fn join(
    config: &NodeConfig,
    handle: &NodeHandle,
    viewers: &TcpListener,
) -> Result<Membership, Failure> {
    let told = handle.clone();
    let on_change = move |it| told.tell(it);
    let Some(redis) = &config.redis else {
        return Ok(Membership {
            store: ControlStore::open(&config.data.join(CONTROL), on_change)?,
            machine: Node::new(config.capacity),
            hands: None,
            elsewhere: None,
        });
    };
    let link = Link::new(redis, REDIS_PATIENCE).map_err(Failure::Arguments)?;
    let store = RedisStore::new(link.clone(), Box::new(on_change));
    let name = NodeName::new(config.name.name());
    let name = name.map_err(|error| Failure::Arguments(error.to_string()))?;
    let listen = viewers.local_addr()?;
    let address = match &config.advertise {
        Some(url) => url.as_str().trim_end_matches('/').into(),
        None => format!("http://{listen}").into(),
    };
    let seed = RandomState::new().hash_one(clock::wall());
    let machine = Node::in_cluster(config.capacity, name.clone(), seed, Planted::default());
    let myself = Myself { name, address };
    let hands = Hands::new(myself, link, store.clone(), handle.clone());
    Ok(Membership {
        elsewhere: Some(Elsewhere::new(
            hands.clone(),
            store.clone(),
            config.to_owner,
        )),
        store: ControlStore::Redis(store),
        machine,
        hands: Some(hands),
    })
}

/// What is wanted of a node by itself.
async fn begin_with(
    config: &NodeConfig,
    store: &ControlStore,
    places: &Places,
) -> Result<Vec<Listed>, Failure> {
    let wanted = take_over(store, config.channels.clone());
    let wanted = wanted.await.map_err(io::Error::other)?;
    let known = store.ids().await.map_err(io::Error::other)?;
    clear_away(places, &known).await?;
    // What is missing is logged, also where the first ladder is still to come.
    if wanted.iter().any(|(_, it)| !it.spec.ladder.is_empty()) {
        let _ = places.makers.look(true).await;
    } else {
        let makers = places.makers.clone();
        tokio::spawn(async move { makers.look(false).await });
    }
    Ok(wanted)
}

/// Puts the channels of the configuration file into the store and takes out those that the file names no
/// more; then says what is wanted in all.
async fn take_over(
    store: &ControlStore,
    channels: Vec<(ChannelId, ChannelSpec)>,
) -> Result<Vec<Listed>, ChangeError> {
    let listed = store.list().await?;
    let left_out = listed.iter().filter(|(id, record)| {
        record.writer == Writer::Config && !channels.iter().any(|(named, _)| named == id)
    });
    for (id, _) in left_out {
        let channel = &**id.name();
        tracing::info!(channel, "the configuration names it no more: it is removed");
        let gone = store.change(id, Writer::Config, Change::Remove, Condition::Any);
        gone.await?;
    }
    for (id, spec) in channels {
        let spec = Arc::new(spec);
        let change = Change::Put {
            spec,
            desired: None,
        };
        let put = store.change(&id, Writer::Config, change, Condition::Any);
        put.await?;
    }
    store.list().await
}

/// Deletes what an earlier process has not come to delete of channels that nobody wants any more. Those that
/// are known come in the order of their names.
async fn clear_away(places: &Places, known: &[ChannelId]) -> io::Result<()> {
    let left = places.left_over()?;
    for id in left.iter().filter(|id| known.binary_search(id).is_err()) {
        let channel = &**id.name();
        match places.erase(channel).await {
            Ok(()) => tracing::info!(
                channel,
                "it is no more wanted, and what was left is deleted"
            ),
            Err(error) => tracing::warn!(channel, "something is left of it: {error}"),
        }
    }
    Ok(())
}

/// A folder for its owner only: it holds what the sources are asked with.
fn make_private(folder: &Path) -> Result<(), ControlStoreError> {
    let mut private = DirBuilder::new();
    let made = private.recursive(true).mode(0o700).create(folder);
    made.map_err(|error| ControlStoreError::Unusable {
        path: folder.to_owned(),
        why: error.to_string(),
    })
}
