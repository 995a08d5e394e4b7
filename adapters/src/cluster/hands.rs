//! Carries out what the node's machine wants of Redis and of its peers. Each command is completed once, and in
//! time.

mod calls;
mod peers;

use super::owned::Owned;
use super::registry::{Claimed, Kept, Leased, NodeEntry, Registry, Title};
use super::secrets::Secrets;
use super::validity::Validity;
use crate::api::view::waiting_text;
use crate::control_store::in_redis::{Entry, RedisStore};
use crate::node::NodeHandle;
use crate::redis::{Link, LinkError};
use crate::spec::ChannelSpec;
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::ids::{Epoch, RequestId};
use hls_relay_core::lease::LEASE;
use hls_relay_core::node::cluster::{
    CALL_LIMIT, CallError, ChannelSeen, ClaimOutcome, Fence, Look, LookAt, NodeSeen, PeerAnswer,
    RedisId, Renewal,
};
use hls_relay_core::node::{
    ChannelId, ClusterCommand, ClusterEvent, Grant, Incarnation, NodeEvent, NodeName, Record,
};
use hls_relay_core::time::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// Every call to Redis ends before the machine gives it up.
pub const REDIS_PATIENCE: Duration = Duration::from_millis(900);
/// A look at all channels takes as many messages as there are hundreds of them.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);
/// Of so many channels it is told that a change was lost.
const MOST_LOST: usize = 100;
/// So many channels are named in one line of the log.
const MOST_NAMED: usize = 20;
/// That Redis refuses something is told again after this, while it does.
const REFUSED_TOLD_EVERY: Duration = Duration::from_secs(60);

type Event = ClusterEvent<ChannelSpec>;
type Called<T> = Result<T, CallError>;

/// What this node says of itself to the others.
#[derive(Clone, Debug)]
pub struct Myself {
    /// Its name.
    pub name: NodeName,
    /// Where viewers, and other nodes, reach it: a URL without a path.
    pub address: Arc<str>,
}

/// The hands. A clone is the same.
#[derive(Clone)]
pub struct Hands {
    inner: Arc<Inner>,
}

struct Inner {
    myself: Myself,
    registry: Registry,
    store: RedisStore,
    link: Link,
    node: NodeHandle,
    client: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    validities: BTreeMap<Incarnation, Arc<Validity>>,
    /// Claimed, and not opened yet: where to go on from.
    claimed: BTreeMap<ChannelId, (Epoch, Option<Arc<Checkpoint>>)>,
    owned: BTreeMap<ChannelId, Arc<Owned>>,
    /// Where every node is asked that was ever seen.
    controls: BTreeMap<NodeName, String>,
    /// The nodes as they were seen last.
    nodes: BTreeMap<Incarnation, NodeEntry>,
    /// Whose each channel was when it was seen last.
    owners: BTreeMap<ChannelId, Incarnation>,
    secrets: Secrets,
    /// Of which Redis the newest of them is.
    secret_of: Option<u64>,
    asked: BTreeMap<RequestId, oneshot::Sender<PeerAnswer>>,
    questions: u64,
    namesake: Option<calls::Namesake>,
    /// What Redis refuses to do: why, and when that was told last.
    refused: BTreeMap<&'static str, (Arc<str>, Instant)>,
    contact: Contact,
}

/// What there is to tell of the node's lease.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// The last renewal was answered.
    pub reaches_redis: bool,
    /// Nobody reaches Redis, and the node goes on without.
    pub alone: bool,
    /// What holds the node's channels.
    pub lease: Option<Arc<Validity>>,
    /// Changes that were acknowledged by way of this node, and lost with their Redis.
    pub changes_lost: u64,
    /// The last of each channel, by its revision.
    pub lost: BTreeMap<ChannelId, u64>,
    /// Another node lives under this one's name: at this address, as far as it is known.
    pub name_taken: Option<String>,
}

impl Hands {
    /// Hands that tell `node` what comes of it.
    pub fn new(myself: Myself, link: Link, store: RedisStore, node: NodeHandle) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_micros(CALL_LIMIT.as_micros()))
            .build()
            .unwrap_or_default();
        let inner = Inner {
            myself,
            registry: Registry::new(link.clone()),
            store,
            link,
            node,
            client,
            state: Mutex::default(),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// What the node says of itself.
    pub fn myself(&self) -> &Myself {
        &self.inner.myself
    }

    /// The way to Redis.
    pub fn link(&self) -> &Link {
        &self.inner.link
    }

    /// What there is to tell of the lease.
    pub fn contact(&self) -> Contact {
        self.lock().contact.clone()
    }

    /// Whether another node was alive when they were seen last.
    pub fn has_others(&self) -> bool {
        let state = self.lock();
        let mut nodes = state.nodes.keys();
        nodes.any(|it| it.node != self.inner.myself.name)
    }

    /// Where a node that was alive when it was seen last serves its viewers.
    pub fn address_of(&self, owner: &Incarnation) -> Option<String> {
        let state = self.lock();
        state.nodes.get(owner).map(|it| it.address.clone())
    }

    /// Whose a channel was when it was seen last.
    pub fn owner_of(&self, id: &ChannelId) -> Option<Incarnation> {
        self.lock().owners.get(id).cloned()
    }

    /// What a channel that is to be opened is opened with: a channel that was open in the same name goes on
    /// from what it has told last.
    pub fn open(&self, id: &ChannelId, grant: &Grant) -> Arc<Owned> {
        let mut state = self.lock();
        if let Some(owned) = state.owned.get(id).filter(|it| it.grant() == grant) {
            return owned.clone();
        }
        let claimed = state.claimed.remove(id);
        let checkpoint = claimed.filter(|(epoch, _)| *epoch == grant.epoch);
        let checkpoint = checkpoint.and_then(|(_, checkpoint)| checkpoint);
        let checkpoint = match (checkpoint, grant.skip) {
            (Some(checkpoint), Some(skip)) => {
                Some(Arc::new(Checkpoint::clone(&checkpoint).skipped(skip)))
            }
            (checkpoint, _) => checkpoint,
        };
        let validity = state.validities.entry(grant.incarnation.clone());
        let owned = Owned::new(
            id.clone(),
            grant.clone(),
            validity.or_default().clone(),
            self.inner.registry.clone(),
            self.inner.node.clone(),
            checkpoint,
        );
        let owned = Arc::new(owned);
        state.owned.insert(id.clone(), owned.clone());
        owned
    }

    /// Tells the others why a channel of this node is not open: what they have of it is of its last owner.
    pub fn tell_unopened(&self, id: &ChannelId, why: &str) {
        if let Some(owned) = self.lock().owned.get(id).cloned() {
            owned.observe(waiting_text(why));
            tokio::spawn(async move { owned.tell().await });
        }
    }

    /// Some of the ids that were put down as wanting an owner.
    pub async fn pending(&self, most: usize) -> Result<Vec<ChannelId>, LinkError> {
        self.inner.registry.pending(most).await
    }

    /// Whether who shows this is a node of the cluster.
    pub fn is_peer(&self, shown: &str) -> bool {
        self.lock().secrets.is_one_of(shown)
    }

    /// Begins what is wanted.
    pub fn carry_out(&self, command: ClusterCommand<ChannelSpec>) {
        let it = self.clone();
        match command {
            ClusterCommand::Renew {
                request,
                incarnation,
                first,
                capacity,
                load,
                peers,
            } => {
                let entry = NodeEntry {
                    incarnation: incarnation.to_string(),
                    address: self.inner.myself.address.to_string(),
                    control: self.inner.myself.address.to_string(),
                    capacity: capacity as u64,
                    load: load as u64,
                    peers: peers.iter().map(ToString::to_string).collect(),
                };
                let renewed = async move {
                    let outcome = it.renew(entry, first).await;
                    it.note_contact(outcome.is_ok());
                    ClusterEvent::Renewed { request, outcome }
                };
                self.spawn(renewed);
            }
            ClusterCommand::Leave {
                incarnation,
                unreleased,
            } => {
                self.note_unreleased(&unreleased);
                tokio::spawn(async move {
                    let (registry, name) = (&it.inner.registry, it.inner.myself.name.name());
                    let _ = registry.leave(name, &incarnation.to_string()).await;
                });
            }
            ClusterCommand::Look { request, at } => self.spawn(async move {
                let outcome = within(LOOK_PATIENCE, it.look(at)).await;
                ClusterEvent::Looked { request, outcome }
            }),
            ClusterCommand::Read { request, id } => self.spawn(async move {
                let outcome = it.read(&id).await;
                ClusterEvent::Read {
                    request,
                    id,
                    outcome,
                }
            }),
            ClusterCommand::Claim {
                request,
                id,
                incarnation,
                expected,
                redis,
            } => self.spawn(async move {
                let claiming = it.claim(&id, &incarnation, expected, redis);
                let outcome = within(REDIS_PATIENCE, claiming).await;
                ClusterEvent::Claimed {
                    request,
                    id,
                    outcome,
                }
            }),
            ClusterCommand::Register {
                request,
                id,
                grant,
                record,
                removed,
            } => self.spawn(async move {
                let outcome = it.register(&id, &grant, &record, removed).await;
                ClusterEvent::Owned {
                    request,
                    id,
                    outcome,
                }
            }),
            ClusterCommand::Release {
                request,
                id,
                grant,
                unfinished,
                erased,
            } => self.spawn(async move {
                let outcome = it.release(&id, &grant, unfinished, erased).await;
                ClusterEvent::Owned {
                    request,
                    id,
                    outcome,
                }
            }),
            ClusterCommand::Free {
                request,
                id,
                expected: (owner, epoch),
            } => self.spawn(async move {
                let owner = owner.to_string();
                let freed = it.inner.registry.free(&id, &owner, epoch.0).await;
                let freed = freed.map_err(it.failed("take a dead node's name off a channel"));
                let outcome = freed.map(|freed| if freed { Fence::Done } else { Fence::Lost });
                ClusterEvent::Owned {
                    request,
                    id,
                    outcome,
                }
            }),
            ClusterCommand::AskPeer { request, peer } => self.spawn(async move {
                let outcome = it.ask(&peer).await;
                ClusterEvent::PeerAnswered { request, outcome }
            }),
            ClusterCommand::TellLost { id, revision } => self.note_lost(&id, revision),
            ClusterCommand::TellGone { channels } => self.note_gone(&channels),
            ClusterCommand::Answer { request, answer } => {
                if let Some(asked) = self.lock().asked.remove(&request) {
                    // Whoever asked may have gone.
                    let _ = asked.send(answer);
                }
            }
            ClusterCommand::ValidUntil {
                incarnation,
                until,
                alone,
            } => self.extend(incarnation, until, alone),
        }
    }

    fn extend(
        &self,
        incarnation: Incarnation,
        until: hls_relay_core::time::Timestamp,
        alone: bool,
    ) {
        let mut state = self.lock();
        // Those before it are over, and stay with the channels that were opened under them.
        state.validities.retain(|of, _| *of == incarnation);
        let validity = state.validities.entry(incarnation).or_default().clone();
        validity.extend(until, alone);
        let was_alone = std::mem::replace(&mut state.contact.alone, alone);
        state.contact.lease = Some(validity);
        if alone && !was_alone {
            let node = &**self.inner.myself.name.name();
            tracing::warn!(node, "no node reaches Redis: channels go on without it");
        }
    }

    fn note_contact(&self, reaches_redis: bool) {
        let had = std::mem::replace(&mut self.lock().contact.reaches_redis, reaches_redis);
        let (node, redis) = (&**self.inner.myself.name.name(), self.inner.link.address());
        match (had, reaches_redis) {
            (true, false) => tracing::warn!(
                node,
                redis,
                "Redis does not answer: no change is taken, and channels go on as far as the others cannot \
                 reach it either"
            ),
            (false, true) => tracing::info!(node, redis, "Redis answers"),
            (false, false) | (true, true) => {}
        }
    }

    fn note_unreleased(&self, unreleased: &[ChannelId]) {
        for id in unreleased {
            let channel = &**id.name();
            tracing::error!(
                channel,
                "it could not be given back, as Redis has not answered in time: another node takes it when this one's lease \
                 is over; if Redis comes back empty, add it again"
            );
        }
    }

    fn note_gone(&self, channels: &[ChannelId]) {
        let (redis, count) = (self.inner.link.address(), channels.len());
        let named = channels.iter().take(MOST_NAMED).map(ToString::to_string);
        let named = named.collect::<Vec<_>>().join(", ");
        let more = if count > MOST_NAMED { ", ..." } else { "" };
        tracing::error!(
            redis,
            count,
            "Redis has come back without channels that no node has: {named}{more}; those that are still wanted have to be \
             added again"
        );
    }

    fn note_lost(&self, id: &ChannelId, revision: u64) {
        let channel = &**id.name();
        tracing::error!(
            channel,
            revision,
            "a change that was acknowledged is lost: Redis has come back without it; make it again"
        );
        let mut state = self.lock();
        state.contact.changes_lost += 1;
        let lost = &mut state.contact.lost;
        lost.insert(id.clone(), revision);
        while lost.len() > MOST_LOST {
            lost.pop_first();
        }
    }

    /// What came of a call that has led to nothing. That Redis refuses to do it is told now and then, and not each time.
    fn failed(&self, to: &'static str) -> impl Fn(LinkError) -> CallError {
        let it = self.clone();
        move |error| match error {
            LinkError::Away(_) => CallError::Unknown,
            LinkError::Refused(why) => {
                it.note_refused(to, &why);
                CallError::NotDone
            }
        }
    }

    fn note_refused(&self, to: &'static str, why: &Arc<str>) {
        let now = Instant::now();
        let is_told =
            |(told, at): &(Arc<str>, Instant)| told == why && now < *at + REFUSED_TOLD_EVERY;
        let refused = &mut self.lock().refused;
        if !refused.get(to).is_some_and(is_told) {
            refused.insert(to, (why.clone(), now));
            let redis = self.inner.link.address();
            tracing::error!(redis, "Redis refuses to {to}: {why}; it is tried again");
        }
    }

    fn spawn(&self, work: impl Future<Output = Event> + Send + 'static) {
        let it = self.clone();
        tokio::spawn(async move { it.tell(work.await) });
    }

    fn tell(&self, event: Event) {
        self.inner.node.tell(NodeEvent::Cluster(event));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Called<T>>) -> Called<T> {
    timeout(limit, call)
        .await
        .unwrap_or(Err(CallError::Unknown))
}
