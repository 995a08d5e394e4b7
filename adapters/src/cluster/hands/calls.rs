//! What is asked of Redis: a lease, what stands there, channels that are claimed, written and given back.

use super::*;

/// A key that was to be gone, and is there so much later, has been renewed.
const OVER_FOR_SURE: Duration = Duration::from_secs(1);

/// What a look asks of Redis, in words.
const LOOKED: &str = "tell of channels and nodes";

/// Who has this node's name.
pub(super) struct Namesake {
    incarnation: String,
    /// His lease is over then, if he does not renew it.
    over_at: Instant,
    /// So often it was not.
    outlived: u32,
}

impl Hands {
    pub(super) async fn renew(&self, entry: NodeEntry, first: bool) -> Called<(RedisId, Renewal)> {
        let (name, lease_ms) = (self.inner.myself.name.name(), LEASE.as_millis());
        let leasing = self.inner.registry.lease(name, &entry, lease_ms, first);
        let (leased, redis) = within(REDIS_PATIENCE, async {
            leasing
                .await
                .map_err(self.failed("keep the lease of this node"))
        })
        .await?;
        let renewal = match leased {
            Leased::Held => {
                self.lock().namesake = None;
                Renewal::Held
            }
            Leased::Missing => Renewal::Missing,
            Leased::Other {
                left_ms,
                incarnation,
            } => {
                self.note_namesake(incarnation, left_ms).await;
                Renewal::Other {
                    left: Span::from_millis(left_ms),
                }
            }
        };
        Ok((RedisId(redis), renewal))
    }

    /// An earlier life of this node loses the name soon. Who keeps it is another node, and this one can do nothing
    /// but end.
    async fn note_namesake(&self, incarnation: String, left_ms: u64) {
        if !self.keeps_name(&incarnation, left_ms) {
            return;
        }
        let nodes = async {
            self.inner
                .registry
                .nodes(&BTreeSet::new())
                .await
                .map_err(self.failed(LOOKED))
        };
        let nodes = within(REDIS_PATIENCE, nodes).await.unwrap_or_default();
        let entries = nodes.into_values().filter_map(|it| it.1);
        let namesake = entries.into_iter().find(|it| it.incarnation == incarnation);
        let address = namesake.map_or("another address".to_owned(), |it| it.address);
        self.lock().contact.name_taken = Some(address);
        self.inner.node.tell(NodeEvent::ShutDown);
    }

    /// Whether who has this node's name has had it for longer than was left, twice: he renews it. Once would also be so
    /// of a dead one where Redis itself has stood still.
    fn keeps_name(&self, incarnation: &str, left_ms: u64) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let before = state
            .namesake
            .take()
            .filter(|it| it.incarnation == incarnation);
        let is_over = before.as_ref().is_some_and(|it| it.over_at < now);
        let outlived = before.as_ref().map_or(0, |it| it.outlived) + u32::from(is_over);
        let over_at = now + Duration::from_millis(left_ms) + OVER_FOR_SURE;
        let over_at = before.filter(|_| !is_over).map_or(over_at, |it| it.over_at);
        state.namesake = Some(Namesake {
            incarnation: incarnation.to_owned(),
            over_at,
            outlived,
        });
        outlived >= 2
    }

    pub(super) async fn look(&self, at: LookAt) -> Called<(RedisId, Look)> {
        let (inner, failed) = (&self.inner, self.failed(LOOKED));
        let before = inner.link.identity().await.map_err(&failed)?;
        let of_all = matches!(at, LookAt::All);
        let (ids, with_nodes) = match at {
            LookAt::All => {
                let ids = inner.store.ids().await;
                (ids.map_err(|_| CallError::NotDone)?, true)
            }
            LookAt::Nodes => (Vec::new(), true),
            LookAt::Channels(ids) => (ids, false),
        };
        let found = inner.store.look_at(&ids, false).await.map_err(&failed)?;
        // What cannot be read is written again by its owner, as what is not there.
        let channels = found.into_iter().filter_map(|(id, found)| {
            let entry = found.entry();
            let entry = entry.map_err(|why| inner.store.tell_unread(&id, why));
            Some((id, seen(&entry.ok()?)))
        });
        let channels: Vec<(ChannelId, ChannelSeen)> = channels.collect();
        if with_nodes && self.lock().secret_of != Some(before) {
            let secret = inner.registry.secret(&Secrets::draw()).await;
            let secret = secret.map_err(&failed)?;
            let mut state = self.lock();
            state.secrets.learn(secret);
            state.secret_of = Some(before);
        }
        let nodes = match with_nodes {
            true => Some(self.nodes(&channels).await.map_err(&failed)?),
            false => None,
        };
        let after = inner.link.identity().await.map_err(&failed)?;
        if before != after {
            return Err(CallError::Unknown);
        }
        self.note_owners(&channels, of_all);
        Ok((RedisId(after), Look { nodes, channels }))
    }

    /// Viewers are led by it where Redis cannot be asked.
    fn note_owners(&self, channels: &[(ChannelId, ChannelSeen)], of_all: bool) {
        let mut state = self.lock();
        if of_all {
            state.owners.clear();
        }
        for (id, seen) in channels {
            match seen.owner.clone() {
                Some(owner) => state.owners.insert(id.clone(), owner),
                None => state.owners.remove(id),
            };
        }
    }

    /// The nodes that are listed, and those that have channels, as they were seen last or in `channels`.
    async fn nodes(
        &self,
        channels: &[(ChannelId, ChannelSeen)],
    ) -> Result<Vec<NodeSeen>, LinkError> {
        let owners: BTreeSet<_> = {
            let state = self.lock();
            let seen = channels.iter().filter_map(|(_, seen)| seen.owner.as_ref());
            let names = state.owners.values().chain(seen).map(|it| it.node.name());
            let ids = names.filter_map(|it| ChannelId::new(it).ok());
            ids.collect()
        };
        let found = self.inner.registry.nodes(&owners).await?;
        let mut state = self.lock();
        state.nodes.clear();
        let mut alive = Vec::new();
        for (name, (control, entry)) in found {
            if let Ok(name) = NodeName::new(name.name()) {
                let control = match (&entry, control.is_empty()) {
                    (Some(entry), true) => entry.control.clone(),
                    (Some(_) | None, _) => control,
                };
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
    pub(super) async fn read(&self, id: &ChannelId) -> Called<Option<(Record<ChannelSpec>, bool)>> {
        let found = self
            .inner
            .store
            .look(id)
            .await
            .map_err(self.failed("tell what is wanted of a channel"))?;
        let Some(found) = found else { return Ok(None) };
        let record = self.inner.store.told_once(id, found.record());
        Ok(record.and_then(|record| Some((record, found.entry().ok()?.removed))))
    }

    pub(super) async fn claim(
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
        } = claimed.map_err(self.failed("give a channel to this node"))?
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

    pub(super) async fn register(
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
        let outcome = fence(
            within(REDIS_PATIENCE, async {
                written
                    .await
                    .map_err(self.failed("take down whose a channel is"))
            })
            .await,
        );
        if outcome == Ok(Fence::Done) {
            let (channel, epoch, revision) = (&**id.name(), grant.epoch.0, record.revision);
            // What is newer and cannot be read stays, and is told already.
            if !self.inner.store.is_unread(id) {
                tracing::info!(channel, epoch, revision, "Redis is told again whose it is");
            }
            // So that what other programs write is above it.
            let store = self.inner.store.clone();
            tokio::spawn(async move { store.next_revision(revision).await });
        }
        outcome
    }

    pub(super) async fn release(
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
                let kept = registry
                    .erase(id, &title)
                    .await
                    .map_err(self.failed("take a channel back"))?;
                if kept != Kept::Wanted {
                    return Ok(kept);
                }
            }
            let checkpoint = checkpoint.as_deref();
            let released = registry.release(id, &title, unfinished, &status, checkpoint);
            released.await.map_err(self.failed("take a channel back"))
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
