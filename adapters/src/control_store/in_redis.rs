//! The control store of a cluster, in Redis: all nodes read and write it, and other programs may.
//!
//! What stands there comes from strangers. Nothing is read that is longer than it can be, and a channel that
//! cannot be read harms no other.

pub mod entry;

use super::{ChangeError, Changed, Listed, MOST_CHANNELS, OnChange, Told, failed};
use crate::redis::{Link, LinkError, Script, keys};
use crate::spec::ChannelSpec;
use ::redis::{Value, cmd};
pub use entry::{Entry, Found};
use futures_util::{StreamExt, TryStreamExt, stream};
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Applied, Change, ChannelId, Condition, Record, Refused, Writer, apply};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest spec, as the API takes it.
const MOST_SPEC_BYTES: usize = 256 << 10;
/// What all specs that are read at once take at most.
const MOST_BYTES_IN_ALL: usize = 256 << 20;
/// So many channels are looked at with one message.
const AT_ONCE: usize = 200;
/// So many such messages are under way: Redis has the next one before the answer to one has been read.
const LOOKS_AT_ONCE: usize = 3;
/// Of so many channels it is remembered why they cannot be read.
const MOST_UNREAD: usize = 1_000;
/// A change that somebody was faster with is decided anew, so often.
const TRIES: u32 = 20;
/// Before the next try; each waits so much longer.
const TRY_AGAIN: Duration = Duration::from_millis(2);

/// The store. A clone is the same one.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    ids: Script,
    look: Script,
    next_revision: Script,
    write: Script,
    on_change: Mutex<OnChange>,
    /// Why channels cannot be read, as it has been told.
    unread: Mutex<BTreeMap<ChannelId, String>>,
}

impl RedisStore {
    pub(crate) fn new(link: Link, on_change: OnChange) -> Self {
        let inner = Inner {
            link,
            ids: Script::new(include_str!("in_redis/ids.lua")),
            look: Script::new(keys::script(include_str!("in_redis/look.lua"))),
            next_revision: Script::new(include_str!("in_redis/next_revision.lua")),
            write: Script::new(include_str!("in_redis/write.lua")),
            on_change: Mutex::new(on_change),
            unread: Mutex::default(),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// See [`super::ControlStore::change`].
    pub(super) async fn change(
        &self,
        id: &ChannelId,
        writer: Writer,
        change: Change<ChannelSpec>,
        condition: Condition,
    ) -> Result<Changed, ChangeError> {
        for tried in 1..=TRIES {
            let made = self
                .try_change(id, writer, change.clone(), condition)
                .await?;
            if let Some((changed, written)) = made {
                if written {
                    let on_change = &self.inner.on_change;
                    let on_change = on_change.lock().unwrap_or_else(PoisonError::into_inner);
                    on_change(changed.told_of(id.clone()));
                }
                return Ok(changed);
            }
            tokio::time::sleep(TRY_AGAIN * tried).await;
        }
        Err(failed("others change the channel all the time"))
    }

    /// `None` where somebody was faster; `true` where it was written.
    async fn try_change(
        &self,
        id: &ChannelId,
        writer: Writer,
        change: Change<ChannelSpec>,
        condition: Condition,
    ) -> Result<Option<(Changed, bool)>, ChangeError> {
        let found = self.look(id).await?;
        let guard = found.as_ref().map_or(&[][..], Found::guard);
        let current = found.as_ref().and_then(|it| self.understood(id, it));
        let is_new = current.is_none();
        let present = found.as_ref().and_then(|it| it.entry().ok());
        let above = present.map_or(0, |it| it.revision);
        let next = self.next_revision(above).await?;
        let applied = apply(current.as_ref(), writer, change, condition, next)?;
        let (record, removed) = match applied {
            Applied::Same(record) => {
                let same = Changed {
                    revision: record.revision,
                    record: Some(record),
                    is_new,
                };
                return Ok(Some((same, false)));
            }
            Applied::Written(record) => (record, false),
            Applied::Removed => {
                let gone = Record {
                    revision: next,
                    desired: Desired::Stop,
                    ..current.ok_or(Refused::Missing)?
                };
                (gone, true)
            }
        };
        if is_new {
            self.make_room_for(id).await?;
        }
        if !self.write(id, guard, &record, removed).await? {
            return Ok(None);
        }
        self.announce(id).await;
        let changed = Changed {
            revision: next,
            record: (!removed).then_some(record),
            is_new,
        };
        Ok(Some((changed, true)))
    }

    /// A revision that no channel has had, above this one. Redis may have lost what it knew: it counts on from there.
    pub async fn next_revision(&self, above: u64) -> Result<u64, LinkError> {
        let above = above.to_string();
        let script = &self.inner.next_revision;
        let call = script.call(&[keys::REVISION], &[above.as_bytes()]);
        self.inner.link.script(&call).await
    }

    /// The id is known before the channel is there: one of nothing harms nobody.
    async fn make_room_for(&self, id: &ChannelId) -> Result<(), ChangeError> {
        let (name, link) = (&**id.name(), &self.inner.link);
        let own = [name];
        let count = link.on::<u64>(&keys::CHANNELS, "SCARD", &[]);
        let is_known = link.on::<bool>(&keys::CHANNELS, "SISMEMBER", &own);
        let (count, is_known) = futures_util::try_join!(count, is_known)?;
        if count >= MOST_CHANNELS && !is_known {
            return Err(ChangeError::Full);
        }
        Ok(link.on(&keys::CHANNELS, "SADD", &own).await?)
    }

    async fn write(
        &self,
        id: &ChannelId,
        guard: &[u8],
        record: &Record<ChannelSpec>,
        removed: bool,
    ) -> Result<bool, ChangeError> {
        let texts = spec_text(record).map_err(failed)?;
        let revision = record.revision.to_string();
        let removed: &[u8] = if removed { b"1" } else { b"0" };
        let arguments = [
            guard,
            revision.as_bytes(),
            &texts.spec,
            texts.desired.as_bytes(),
            texts.writer.as_bytes(),
            removed,
        ];
        let key = keys::channel(id);
        let call = self.inner.write.call(&[&key], &arguments);
        Ok(self.inner.link.script(&call).await?)
    }

    /// Tells the nodes. Where that fails they find it by themselves, a little later.
    async fn announce(&self, id: &ChannelId) {
        let name = &**id.name();
        // Who takes a channel away may have taken its id at the same time.
        let (link, own) = (&self.inner.link, [name]);
        let known = link.on::<()>(&keys::CHANNELS, "SADD", &own);
        let pending = link.on::<()>(&keys::PENDING, "RPUSH", &own);
        let changed = cmd("PUBLISH").arg(keys::CHANGED).arg(name).take();
        let changed = link.command::<()>(&changed);
        if let Err(error) = futures_util::try_join!(known, pending, changed) {
            tracing::warn!(
                channel = name,
                "the change is made, but not announced: {error}"
            );
        }
    }

    /// See [`super::ControlStore::get`].
    pub(super) async fn get(
        &self,
        id: &ChannelId,
    ) -> Result<Option<Record<ChannelSpec>>, ChangeError> {
        let found = self.look(id).await?;
        Ok(found.and_then(|it| self.understood(id, &it)))
    }

    /// See [`super::ControlStore::get_told`].
    pub(super) async fn get_told(
        &self,
        id: &ChannelId,
    ) -> Result<Option<(Record<ChannelSpec>, Option<Told>)>, ChangeError> {
        let found = self.look(id).await?;
        let Some(found) = found.filter(|it| !it.is_removed()) else {
            return Ok(None);
        };
        let record = found.record().map_err(ChangeError::Unreadable)?;
        Ok(Some((record, Some(found.told()))))
    }

    /// See [`super::ControlStore::list`].
    pub(super) async fn list(&self) -> Result<Vec<Listed>, ChangeError> {
        let listed = self.list_told().await?.into_iter();
        Ok(listed.map(|(listed, _)| listed).collect())
    }

    /// See [`super::ControlStore::list_told`].
    pub(super) async fn list_told(&self) -> Result<Vec<(Listed, Option<Told>)>, ChangeError> {
        let ids = self.ids().await?;
        let found = self.look_at(&ids, true).await?;
        let listed = found.into_iter().filter_map(|(id, found)| {
            let record = self.understood(&id, &found)?;
            Some(((id, record), Some(found.told())))
        });
        Ok(listed.collect())
    }

    /// See [`super::ControlStore::ids`].
    pub(crate) async fn ids(&self) -> Result<Vec<ChannelId>, ChangeError> {
        let mut ids = BTreeSet::new();
        let mut cursor = b"0".to_vec();
        let most = ChannelId::MOST_BYTES.to_string();
        loop {
            let arguments = [&*cursor, most.as_bytes()];
            let call = self.inner.ids.call(&[keys::CHANNELS.name], &arguments);
            let (next, some): (Vec<u8>, Vec<Vec<u8>>) = self.inner.link.script(&call).await?;
            let names = some.iter().filter_map(|it| std::str::from_utf8(it).ok());
            ids.extend(names.filter_map(|it| ChannelId::new(it).ok()));
            if ids.len() as u64 > MOST_CHANNELS {
                return Err(failed(format!(
                    "there are more than {MOST_CHANNELS} channels"
                )));
            }
            if next == b"0" {
                return Ok(ids.into_iter().collect());
            }
            cursor = next;
        }
    }

    /// One channel as it stands there.
    pub async fn look(&self, id: &ChannelId) -> Result<Option<Found>, LinkError> {
        let key = keys::channel(id);
        let limits = entry::limits(true);
        let limits = limits.each_ref().map(Vec::as_slice);
        let call = self.inner.look.call(&[&key], &limits);
        Ok(Found::read(self.inner.link.script(&call).await?))
    }

    /// Channels as they stand there, with their specs or without. Those that are not there are left out.
    pub async fn look_at(
        &self,
        ids: &[ChannelId],
        with_spec: bool,
    ) -> Result<Vec<(ChannelId, Found)>, LinkError> {
        let limits = entry::limits(with_spec);
        let limits = limits.each_ref().map(Vec::as_slice);
        let (mut all, mut bytes) = (Vec::with_capacity(ids.len()), 0);
        let looks = ids
            .chunks(AT_ONCE)
            .map(|some| self.look_at_some(some, &limits));
        // Futures do nothing before their turn.
        let looks: Vec<_> = looks.collect();
        let mut looks = stream::iter(looks).buffered(LOOKS_AT_ONCE);
        while let Some((some, answers)) = looks.try_next().await? {
            let found = some.iter().zip(answers.into_iter().map(Found::read));
            let found = found.filter_map(|(id, found)| Some((id.clone(), found?)));
            let before = all.len();
            all.extend(found);
            bytes += all[before..]
                .iter()
                .map(|(_, it)| it.length())
                .sum::<usize>();
            if bytes > MOST_BYTES_IN_ALL {
                let why = format!("the specs are longer than {MOST_BYTES_IN_ALL} bytes in all");
                return Err(LinkError::Refused(why.into()));
            }
        }
        Ok(all)
    }

    async fn look_at_some<'a>(
        &self,
        some: &'a [ChannelId],
        limits: &[&[u8]; 3],
    ) -> Result<(&'a [ChannelId], Vec<Value>), LinkError> {
        let look = &self.inner.look;
        let calls = some
            .iter()
            .map(|id| look.call(&[&keys::channel(id)], limits));
        let calls: Vec<_> = calls.collect();
        Ok((some, self.inner.link.scripts(look, &calls).await?))
    }

    /// A channel that cannot be read is as good as none; what is put in its place is read again.
    fn understood(&self, id: &ChannelId, found: &Found) -> Option<Record<ChannelSpec>> {
        if found.is_removed() {
            return None;
        }
        self.told_once(id, found.record())
    }

    /// Whether it could not be read when it was last tried.
    pub(crate) fn is_unread(&self, id: &ChannelId) -> bool {
        self.unread().contains_key(id)
    }

    /// What is wanted of a channel, where it can be read. Why it cannot be is in the log once, and not at each look.
    pub(crate) fn told_once<T>(&self, id: &ChannelId, read: Result<T, String>) -> Option<T> {
        match read {
            Ok(read) => {
                self.unread().remove(id);
                Some(read)
            }
            Err(why) => {
                self.tell_unread(id, why);
                None
            }
        }
    }

    /// A channel cannot be read. That is told unless it has been.
    pub(crate) fn tell_unread(&self, id: &ChannelId, why: String) {
        let mut unread = self.unread();
        if unread.get(id) == Some(&why) {
            return;
        }
        let channel = &**id.name();
        tracing::error!(channel, "what Redis has of it cannot be read: {why}");
        // So that those that are gone are forgotten some time.
        if unread.len() >= MOST_UNREAD {
            unread.clear();
        }
        unread.insert(id.clone(), why);
    }

    fn unread(&self) -> MutexGuard<'_, BTreeMap<ChannelId, String>> {
        let unread = &self.inner.unread;
        unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wanted of a channel, as it is written.
pub struct Texts {
    /// In JSON.
    pub spec: Vec<u8>,
    /// A word.
    pub desired: String,
    /// A word.
    pub writer: String,
}

/// Writes down what is wanted of a channel, or says why it cannot stand in Redis.
pub fn spec_text(record: &Record<ChannelSpec>) -> Result<Texts, String> {
    let failed = |error: serde_json::Error| error.to_string();
    let word = |it: serde_json::Value| it.as_str().unwrap_or_default().to_owned();
    let spec = serde_json::to_vec(&*record.spec).map_err(failed)?;
    if spec.len() > MOST_SPEC_BYTES {
        return Err(format!("the spec is longer than {MOST_SPEC_BYTES} bytes"));
    }
    Ok(Texts {
        spec,
        desired: word(serde_json::to_value(record.desired).map_err(failed)?),
        writer: word(serde_json::to_value(record.writer).map_err(failed)?),
    })
}

impl From<LinkError> for ChangeError {
    fn from(error: LinkError) -> Self {
        failed(error)
    }
}
