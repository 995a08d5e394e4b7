//! Carries out what the node's machine wants of Redis and of its peers. Each command is completed once, and in
//! time.

use super::PEER_SECRET;
use super::owned::Owned;
use super::registry::{Claimed, Kept, Leased, NodeEntry, Registry, Title};
use super::secrets::Secrets;
use super::validity::Validity;
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
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Every call to Redis ends before the machine gives it up.
pub const REDIS_PATIENCE: Duration = Duration::from_millis(900);
/// A look at all channels takes as many messages as there are hundreds of them.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);
/// So many questions of peers are being answered at most.
const MOST_ASKED: usize = 64;
/// Of so many channels it is told that a change was lost.
const MOST_LOST: usize = 100;
/// An answer of a peer is longer than any of ours.
const MOST_ANSWER_BYTES: usize = 4 << 10;

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
    secrets: Secrets,
    /// Of which Redis the newest of them is.
    secret_of: Option<u64>,
    asked: BTreeMap<RequestId, oneshot::Sender<PeerAnswer>>,
    questions: u64,
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

    /// Some of the ids that were put down as wanting an owner.
    pub async fn pending(&self, most: usize) -> Result<Vec<ChannelId>, LinkError> {
        self.inner.registry.pending(most).await
    }

    /// Whether who shows this is a node of the cluster.
    pub fn is_peer(&self, shown: &str) -> bool {
        self.lock().secrets.is_one_of(shown)
    }

    /// A peer asks whether this node has Redis. `None` where it is asked too much.
    pub async fn asked(&self, by: NodeName) -> Option<PeerAnswer> {
        let (answer, answered) = oneshot::channel();
        let request = {
            let mut state = self.lock();
            state.asked.retain(|_, it| !it.is_closed());
            if state.asked.len() >= MOST_ASKED {
                return None;
            }
            state.questions += 1;
            let request = RequestId(state.questions);
            state.asked.insert(request, answer);
            request
        };
        self.tell(ClusterEvent::Asked { request, by });
        answered.await.ok()
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
            ClusterCommand::Leave { incarnation } => {
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
                let freed = freed.map_err(failed);
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

    fn spawn(&self, work: impl Future<Output = Event> + Send + 'static) {
        let it = self.clone();
        tokio::spawn(async move { it.tell(work.await) });
    }

    fn tell(&self, event: Event) {
        self.inner.node.tell(NodeEvent::Cluster(event));
    }

    async fn renew(&self, entry: NodeEntry, first: bool) -> Called<(RedisId, Renewal)> {
        let (name, lease_ms) = (self.inner.myself.name.name(), LEASE.as_millis());
        let leasing = self.inner.registry.lease(name, &entry, lease_ms, first);
        let (leased, redis) =
            within(REDIS_PATIENCE, async { leasing.await.map_err(failed) }).await?;
        let renewal = match leased {
            Leased::Held => Renewal::Held,
            Leased::Missing => Renewal::Missing,
            Leased::Other { left_ms, .. } => Renewal::Other {
                left: Span::from_millis(left_ms),
            },
        };
        Ok((RedisId(redis), renewal))
    }

    async fn look(&self, at: LookAt) -> Called<(RedisId, Look)> {
        let before = self.inner.link.identity().await.map_err(failed)?;
        let (ids, with_nodes) = match at {
            LookAt::All => {
                let ids = self.inner.store.ids().await;
                (ids.map_err(|_| CallError::NotDone)?, true)
            }
            LookAt::Nodes => (Vec::new(), true),
            LookAt::Channels(ids) => (ids, false),
        };
        let found = self
            .inner
            .store
            .look_at(&ids, false)
            .await
            .map_err(failed)?;
        let channels = found.into_iter().filter_map(|(id, found)| {
            let entry = found.entry().ok()?;
            Some((id, seen(&entry)))
        });
        let channels = channels.collect();
        if with_nodes && self.lock().secret_of != Some(before) {
            let secret = self.inner.registry.secret(&Secrets::draw()).await;
            let secret = secret.map_err(failed)?;
            let mut state = self.lock();
            state.secrets.learn(secret);
            state.secret_of = Some(before);
        }
        let nodes = match with_nodes {
            true => Some(self.nodes().await.map_err(failed)?),
            false => None,
        };
        let after = self.inner.link.identity().await.map_err(failed)?;
        match before == after {
            true => Ok((RedisId(after), Look { nodes, channels })),
            false => Err(CallError::Unknown),
        }
    }

    async fn nodes(&self) -> Result<Vec<NodeSeen>, LinkError> {
        let found = self.inner.registry.nodes().await?;
        let mut state = self.lock();
        state.nodes.clear();
        let mut alive = Vec::new();
        for (name, (control, entry)) in found {
            if let Ok(name) = NodeName::new(name.name()) {
                state.controls.insert(name, control);
            }
            let Some(entry) = entry else { continue };
            let Ok(incarnation) = entry.incarnation.parse::<Incarnation>() else {
                continue;
            };
            let peers = entry.peers.iter().filter_map(|it| NodeName::new(it).ok());
            alive.push(NodeSeen {
                incarnation: incarnation.clone(),
                capacity: usize::try_from(entry.capacity).unwrap_or(usize::MAX),
                peers: peers.collect(),
            });
            state.nodes.insert(incarnation, entry);
        }
        Ok(alive)
    }

    /// What is wanted of a channel, and whether it is to be erased.
    async fn read(&self, id: &ChannelId) -> Called<Option<(Record<ChannelSpec>, bool)>> {
        let found = self.inner.store.look(id).await.map_err(failed)?;
        let Some(found) = found else { return Ok(None) };
        let channel = &**id.name();
        let said = |why: &String| {
            tracing::error!(channel, "what Redis has of it cannot be read: {why}");
        };
        let record = found.record().inspect_err(said).ok();
        Ok(record.and_then(|record| Some((record, found.entry().ok()?.removed))))
    }

    async fn claim(
        &self,
        id: &ChannelId,
        incarnation: &Incarnation,
        (owner, epoch): (Option<Incarnation>, Epoch),
        redis: RedisId,
    ) -> Called<ClaimOutcome<ChannelSpec>> {
        // Nobody is to own what cannot be relayed.
        let Some((record, removed)) = self.read(id).await? else {
            return Ok(ClaimOutcome::Changed);
        };
        let (mine, owner) = (incarnation.to_string(), owner.map(|it| it.to_string()));
        let seen = (owner.as_deref(), epoch.0);
        let claimed = self.inner.registry.claim(id, &mine, seen, redis.0).await;
        let Claimed::Claimed {
            epoch,
            checkpoint,
            silent_ms,
            seen_by,
            claims,
        } = claimed.map_err(failed)?
        else {
            return Ok(ClaimOutcome::Changed);
        };
        let (channel, revision) = (&**id.name(), record.revision);
        let before = owner.as_deref().unwrap_or("nobody");
        tracing::info!(channel, epoch, revision, before, "it is this node's");
        let (epoch, checkpoint) = (Epoch(epoch), checkpoint.map(Arc::from));
        self.lock().claimed.insert(id.clone(), (epoch, checkpoint));
        Ok(ClaimOutcome::Claimed {
            epoch,
            record,
            removed,
            seen_ago: silent_ms.map(Span::from_millis),
            seen_by: seen_by.map(RedisId),
            claims,
        })
    }

    async fn register(
        &self,
        id: &ChannelId,
        grant: &Grant,
        record: &Record<ChannelSpec>,
        removed: bool,
    ) -> Called<Fence> {
        let owned = self.lock().owned.get(id).cloned();
        let checkpoint = owned.as_ref().and_then(|it| it.checkpoint());
        let status = owned.map_or("{}".into(), |it| it.status());
        let (title, wanted) = (Title::of(grant), (record, removed));
        let registry = &self.inner.registry;
        let written = registry.register(id, &title, wanted, &status, checkpoint.as_deref());
        let outcome = fence(within(REDIS_PATIENCE, async { written.await.map_err(failed) }).await);
        if outcome == Ok(Fence::Done) {
            let (channel, epoch, revision) = (&**id.name(), grant.epoch.0, record.revision);
            tracing::info!(channel, epoch, revision, "Redis is told again whose it is");
        }
        outcome
    }

    async fn release(
        &self,
        id: &ChannelId,
        grant: &Grant,
        unfinished: bool,
        erased: bool,
    ) -> Called<Fence> {
        let (title, registry) = (Title::of(grant), &self.inner.registry);
        let owned = self.lock().owned.get(id).cloned();
        let owned = owned.filter(|it| it.grant() == grant);
        let checkpoint = owned.as_ref().and_then(|it| it.checkpoint());
        let status = owned.as_ref().map_or("{}".into(), |it| it.status());
        let releasing = async {
            if erased {
                let kept = registry.erase(id, &title).await.map_err(failed)?;
                if kept != Kept::Wanted {
                    return Ok(kept);
                }
            }
            let checkpoint = checkpoint.as_deref();
            let released = registry.release(id, &title, unfinished, &status, checkpoint);
            released.await.map_err(failed)
        };
        let outcome = fence(within(REDIS_PATIENCE, releasing).await);
        if outcome.is_ok() {
            let (channel, epoch) = (&**id.name(), grant.epoch.0);
            tracing::info!(channel, epoch, "it is this node's no more");
            let mut state = self.lock();
            state.claimed.remove(id);
            if state.owned.get(id).is_some_and(|it| it.grant() == grant) {
                state.owned.remove(id);
            }
        }
        outcome
    }

    async fn ask(&self, peer: &NodeName) -> Called<PeerAnswer> {
        let (control, secrets) = {
            let state = self.lock();
            (state.controls.get(peer).cloned(), state.secrets.text())
        };
        let control = control.ok_or(CallError::NotDone)?;
        let by = self.inner.myself.name.name();
        let url = format!("{}{}{by}", control.trim_end_matches('/'), super::PEER_PATH);
        let asking = async {
            let asked = self.inner.client.get(url).header(PEER_SECRET, secrets);
            let answer = asked.send().await;
            let mut answer = answer
                .and_then(reqwest::Response::error_for_status)
                .map_err(drop)?;
            let mut body = Vec::new();
            while let Some(some) = answer.chunk().await.map_err(drop)? {
                body.extend_from_slice(&some);
                if body.len() > MOST_ANSWER_BYTES {
                    return Err(());
                }
            }
            serde_json::from_slice(&body).map_err(drop)
        };
        asking.await.map_err(|()| CallError::Unknown)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen(entry: &Entry) -> ChannelSeen {
    ChannelSeen {
        revision: entry.revision,
        desired: entry.desired,
        removed: entry.removed,
        unfinished: entry.unfinished,
        owner: entry.owner.as_deref().and_then(|it| it.parse().ok()),
        epoch: Epoch(entry.epoch),
    }
}

fn fence(kept: Called<Kept>) -> Called<Fence> {
    Ok(match kept? {
        Kept::Done { .. } => Fence::Done,
        Kept::Fenced { epoch } => Fence::Fenced(Epoch(epoch)),
        Kept::Lost | Kept::Wanted => Fence::Lost,
    })
}

fn failed(error: LinkError) -> CallError {
    match error {
        LinkError::Away(_) => CallError::Unknown,
        LinkError::Refused(why) => {
            tracing::error!("Redis refuses a call: {why}");
            CallError::NotDone
        }
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Called<T>>) -> Called<T> {
    timeout(limit, call)
        .await
        .unwrap_or(Err(CallError::Unknown))
}
