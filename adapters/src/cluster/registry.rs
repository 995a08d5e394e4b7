//! What the nodes of a cluster share, in Redis: whose a channel is, and who is alive.
//!
//! Each call is a script, and so one piece. What it is told of what stands there has come from strangers.

use crate::control_store::in_redis::spec_text;
use crate::redis::{Call, Link, LinkError, Script, keys};
use crate::spec::ChannelSpec;
use ::redis::{Value, cmd, from_redis_value};
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::node::{ChannelId, Grant, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The longest checkpoint: of a channel with many tracks and long lists it is a tenth of that.
const MOST_CHECKPOINT_BYTES: usize = 16 << 20;
/// More nodes are not known of each other.
const MOST_NODES: usize = 1_000;
/// The longest field of a node.
const MOST_FIELD_BYTES: &str = "4096";

/// The scripts, and the way to Redis. A clone is the same.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    lease: Script,
    leave: Script,
    node: Script,
    secret: Script,
    claim: Script,
    publish: Script,
    release: Script,
    register: Script,
    free: Script,
    erase: Script,
}

/// Whose a channel is, as its owner says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// Of the owner.
    pub incarnation: Arc<str>,
    /// Counts the channel's owners.
    pub epoch: u64,
}

impl Title {
    /// As it stands in Redis.
    pub fn of(grant: &Grant) -> Self {
        Self {
            incarnation: grant.incarnation.to_string().into(),
            epoch: grant.epoch.0,
        }
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeEntry {
    /// Which life of the node it is.
    pub incarnation: String,
    /// Where viewers are served: a URL.
    pub address: String,
    /// Where other nodes ask it.
    pub control: String,
    /// How many channels it may run; 0 while it takes none.
    pub capacity: u64,
    /// How many it runs.
    pub load: u64,
    /// Whom it asks when Redis is away.
    pub peers: Vec<String>,
}

/// What became of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// The name is held for the time that was asked for.
    Held,
    /// It had expired, or Redis has lost it.
    Missing,
    /// Somebody else has the name, for so many milliseconds at least.
    Other { incarnation: String, left_ms: u64 },
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The channel is the caller's.
    Claimed {
        epoch: u64,
        checkpoint: Option<Box<Checkpoint>>,
        /// Since an owner has written something, in milliseconds; `None` where none ever has.
        silent_ms: Option<u64>,
        /// To which Redis that was.
        seen_by: Option<u64>,
        /// So many have claimed it since, this one included.
        claims: u64,
    },
    /// It is no more as it was seen.
    Changed { epoch: u64, owner: Option<String> },
    /// There is no such channel.
    Gone,
}

/// What became of an owner's writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It stands there, beside this revision of what is wanted.
    Done { revision: u64 },
    /// The channel has another owner.
    Fenced { epoch: u64 },
    /// Redis has forgotten whose it is.
    Lost,
    /// Of an erasure: it is wanted again.
    Wanted,
}

impl Registry {
    /// In this Redis.
    pub fn new(link: Link) -> Self {
        let of_channel = |text| Script::new(keys::script(text));
        let inner = Inner {
            link,
            lease: Script::new(include_str!("lease.lua")),
            leave: Script::new(include_str!("leave.lua")),
            node: Script::new(include_str!("node.lua")),
            secret: Script::new(include_str!("secret.lua")),
            claim: of_channel(include_str!("claim.lua")),
            publish: of_channel(include_str!("publish.lua")),
            release: of_channel(include_str!("release.lua")),
            register: of_channel(include_str!("register.lua")),
            free: of_channel(include_str!("free.lua")),
            erase: of_channel(include_str!("erase.lua")),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// Holds a node's name for so many milliseconds; `first` where it is not held yet. Tells which Redis it
    /// was, as [`Link::identity`] does.
    pub async fn lease(
        &self,
        name: &str,
        of: &NodeEntry,
        lease_ms: u64,
        first: bool,
    ) -> Result<(Leased, u64), LinkError> {
        let flag = |it: bool| if it { "1" } else { "0" };
        let (lease_ms, capacity, load) = (
            lease_ms.to_string(),
            of.capacity.to_string(),
            of.load.to_string(),
        );
        let peers = of.peers.join(",");
        let arguments = [
            &*of.incarnation,
            &lease_ms,
            flag(first),
            "address",
            &of.address,
            "control",
            &of.control,
            "capacity",
            &capacity,
            "load",
            &load,
            "peers",
            &peers,
        ];
        let key = keys::node(name);
        let call = self
            .inner
            .lease
            .call(&[&key], &arguments.map(str::as_bytes));
        let (answer, identity) = self
            .inner
            .link
            .script_and_identity::<Vec<Value>>(&call)
            .await?;
        let leased = match words(&answer).as_slice() {
            [held] if held == "held" => Leased::Held,
            [other, incarnation, left] if other == "other" => Leased::Other {
                incarnation: incarnation.clone(),
                left_ms: left.parse().unwrap_or(0),
            },
            _ => Leased::Missing,
        };
        // Only its holder says where it is asked; again each time, as that alone may have been lost.
        if leased == Leased::Held {
            let known = [name, &of.control];
            self.inner
                .link
                .on::<()>(&keys::NODES, "HSET", &known)
                .await?;
        }
        Ok((leased, identity))
    }

    /// Gives a node's name back, where nobody else has it.
    pub async fn leave(&self, name: &str, incarnation: &str) -> Result<(), LinkError> {
        let key = keys::node(name);
        let call = self.inner.leave.call(&[&key], &[incarnation.as_bytes()]);
        if self.inner.link.script::<u64>(&call).await? == 0 {
            return Ok(());
        }
        self.inner.link.on(&keys::NODES, "HDEL", &[name]).await
    }

    /// What the nodes know each other by; this where there is none yet.
    pub async fn secret(&self, otherwise: &str) -> Result<String, LinkError> {
        let script = &self.inner.secret;
        let call = script.call(&[keys::SECRET], &[otherwise.as_bytes()]);
        self.inner.link.script(&call).await
    }

    /// All nodes by their names, with where each is asked, and what it says of itself where its lease holds. Those of
    /// `owners` whose lease holds are among them whatever has become of the list of nodes.
    pub async fn nodes(
        &self,
        owners: &BTreeSet<ChannelId>,
    ) -> Result<BTreeMap<ChannelId, (String, Option<NodeEntry>)>, LinkError> {
        let link = &self.inner.link;
        let nodes = keys::NODES.name;
        let count = cmd("HLEN").arg(nodes).take();
        if link.command::<usize>(&count).await? > MOST_NODES {
            let why = format!("there are more than {MOST_NODES} nodes in {nodes}");
            return Err(LinkError::Refused(why.into()));
        }
        let all = cmd("HGETALL").arg(nodes).take();
        let all: BTreeMap<Vec<u8>, Vec<u8>> = link.command(&all).await?;
        let text = |it: &[u8]| std::str::from_utf8(it).ok().map(str::to_owned);
        let known = all.iter().filter_map(|(name, control)| {
            Some((ChannelId::new(&text(name)?).ok()?, text(control)?))
        });
        let mut known: BTreeMap<_, _> = known.collect();
        // Who is an owner is what strangers may have written, too.
        for owner in owners.iter().take(MOST_NODES) {
            known.entry(owner.clone()).or_default();
        }
        let script = &self.inner.node;
        let fields = [
            MOST_FIELD_BYTES,
            "incarnation",
            "address",
            "control",
            "capacity",
            "load",
            "peers",
        ];
        let fields = fields.map(str::as_bytes);
        let calls = known
            .keys()
            .map(|name| script.call(&[&keys::node(name.name())], &fields));
        let answers = link.scripts(script, &calls.collect::<Vec<_>>()).await?;
        let found = known.into_iter().zip(answers);
        Ok(found
            .map(|((name, control), answer)| (name, (control, node_entry(answer))))
            .filter(|(name, (_, entry))| {
                all.contains_key(name.name().as_bytes()) || entry.is_some()
            })
            .collect())
    }

    /// Makes a channel the caller's where it is still as he has seen it, in that Redis.
    pub async fn claim(
        &self,
        id: &ChannelId,
        incarnation: &str,
        seen: (Option<&str>, u64),
        redis: u64,
    ) -> Result<Claimed, LinkError> {
        let (owner, epoch) = (seen.0.unwrap_or_default(), seen.1.to_string());
        let most = MOST_CHECKPOINT_BYTES.to_string();
        let arguments = [incarnation, owner, &epoch, &most].map(str::as_bytes);
        let claim = |_| self.inner.claim.call(&both(id).each(), &arguments);
        let answer: Option<Vec<Value>> = self.inner.link.script_by(Some(redis), claim).await?;
        let answer = answer.ok_or_else(|| LinkError::Refused("it is another Redis".into()))?;
        Ok(match words(&answer).as_slice() {
            [claimed, epoch, checkpoint, silent, by, claims] if claimed == "claimed" => {
                Claimed::Claimed {
                    epoch: epoch.parse().unwrap_or(0),
                    checkpoint: read_checkpoint(id, checkpoint),
                    silent_ms: silent.parse().ok(),
                    seen_by: by.parse().ok(),
                    claims: claims.parse().unwrap_or(1),
                }
            }
            [changed, epoch, owner] if changed == "changed" => Claimed::Changed {
                epoch: epoch.parse().unwrap_or(0),
                owner: Some(owner.clone()).filter(|it| !it.is_empty()),
            },
            _ => Claimed::Gone,
        })
    }

    /// What a successor needs, and what is observed, before viewers see a version.
    pub async fn publish(
        &self,
        id: &ChannelId,
        title: &Title,
        status: &str,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Kept, LinkError> {
        let script = &self.inner.publish;
        self.tell(script, id, (title, status, checkpoint), &[])
            .await
    }

    /// Lets a channel go; `unfinished` where somebody else has to go on with it even if it should stop.
    pub async fn release(
        &self,
        id: &ChannelId,
        title: &Title,
        unfinished: bool,
        status: &str,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Kept, LinkError> {
        let told = (title, status, checkpoint);
        let unfinished = [digit(unfinished)];
        let kept = self.tell(&self.inner.release, id, told, &unfinished);
        let kept = kept.await?;
        self.announce(id).await;
        Ok(kept)
    }

    /// Writes a channel again of which Redis has forgotten whose it is.
    pub async fn register(
        &self,
        id: &ChannelId,
        title: &Title,
        (record, removed): (&Record<ChannelSpec>, bool),
        status: &str,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Kept, LinkError> {
        let texts = spec_text(record).map_err(|why| LinkError::Refused(why.into()))?;
        let revision = record.revision.to_string();
        // Before the channel: an id of nothing harms nobody.
        let name = &**id.name();
        let link = &self.inner.link;
        link.on::<()>(&keys::CHANNELS, "SADD", &[name]).await?;
        let wanted = [
            revision.as_bytes(),
            &texts.spec,
            texts.desired.as_bytes(),
            texts.writer.as_bytes(),
            digit(removed),
        ];
        let told = (title, status, checkpoint);
        self.tell(&self.inner.register, id, told, &wanted).await
    }

    /// Has a script run whose arguments begin with what an owner tells: in whose name, how the channel is, what a
    /// successor needs, and to which Redis that is told.
    async fn tell(
        &self,
        script: &Script,
        id: &ChannelId,
        (title, status, checkpoint): (&Title, &str, Option<&Checkpoint>),
        more: &[&[u8]],
    ) -> Result<Kept, LinkError> {
        let (epoch, checkpoint) = (title.epoch.to_string(), written(checkpoint)?);
        let call = |redis: u64| {
            let redis = redis.to_string();
            let told = [
                title.incarnation.as_bytes(),
                epoch.as_bytes(),
                status.as_bytes(),
                &checkpoint,
                redis.as_bytes(),
            ];
            script.call(&both(id).each(), &[&told, more].concat())
        };
        self.keep(call).await
    }

    /// Says of a channel whose owner is dead that it has none. `false` where it is no more so.
    pub async fn free(&self, id: &ChannelId, owner: &str, epoch: u64) -> Result<bool, LinkError> {
        let epoch = epoch.to_string();
        let arguments = [owner, &epoch].map(str::as_bytes);
        let call = self.inner.free.call(&both(id).each(), &arguments);
        let freed = self.inner.link.script(&call).await?;
        self.announce(id).await;
        Ok(freed)
    }

    /// Takes away a channel that is removed.
    pub async fn erase(&self, id: &ChannelId, title: &Title) -> Result<Kept, LinkError> {
        let epoch = title.epoch.to_string();
        let arguments = [&*title.incarnation, &epoch].map(str::as_bytes);
        let call = |_| self.inner.erase.call(&both(id).each(), &arguments);
        let erased = self.keep(call).await?;
        if let Kept::Done { .. } = erased {
            // Whoever makes it anew at this moment tells of its id once more, after it is there.
            let (link, name) = (&self.inner.link, &**id.name());
            link.on::<()>(&keys::CHANNELS, "SREM", &[name]).await?;
        }
        Ok(erased)
    }

    /// Some of the ids that were put down as wanting an owner.
    pub async fn pending(&self, most: usize) -> Result<Vec<ChannelId>, LinkError> {
        let most = most.to_string();
        let (link, most) = (&self.inner.link, [&*most]);
        let popped: Option<Vec<Vec<u8>>> = link.on(&keys::PENDING, "LPOP", &most).await?;
        let names = popped.unwrap_or_default();
        let names = names.iter().filter_map(|it| std::str::from_utf8(it).ok());
        Ok(names.filter_map(|it| ChannelId::new(it).ok()).collect())
    }

    /// A hint; where it fails the others find it by themselves, a little later.
    async fn announce(&self, id: &ChannelId) {
        let name = &**id.name();
        let (link, own) = (&self.inner.link, [name]);
        let pending = link.on::<()>(&keys::PENDING, "RPUSH", &own);
        let changed = cmd("PUBLISH").arg(keys::CHANGED).arg(name).take();
        let changed = link.command::<()>(&changed);
        let _ = futures_util::join!(pending, changed);
    }

    async fn keep<'a>(&self, call: impl FnOnce(u64) -> Call<'a>) -> Result<Kept, LinkError> {
        let answer: Option<Vec<Value>> = self.inner.link.script_by(None, call).await?;
        let answer = answer.unwrap_or_default();
        Ok(match words(&answer).as_slice() {
            [done, revision] if done == "done" => Kept::Done {
                revision: revision.parse().unwrap_or(0),
            },
            [fenced, epoch, _] if fenced == "fenced" => Kept::Fenced {
                epoch: epoch.parse().unwrap_or(0),
            },
            [changed] if changed == "changed" => Kept::Wanted,
            _ => Kept::Lost,
        })
    }
}

fn digit(is: bool) -> &'static [u8] {
    if is { b"1" } else { b"0" }
}

/// The two keys of a channel.
struct Both {
    channel: String,
    checkpoint: String,
}

fn both(id: &ChannelId) -> Both {
    Both {
        channel: keys::channel(id),
        checkpoint: keys::checkpoint(id),
    }
}

impl Both {
    fn each(&self) -> [&str; 2] {
        [&self.channel, &self.checkpoint]
    }
}

/// What a script of ours answers: short words and numbers, and texts that we have checked there.
fn words(answer: &[Value]) -> Vec<String> {
    let word = |it: &Value| from_redis_value(it.clone()).unwrap_or_default();
    answer.iter().map(word).collect()
}

fn written(checkpoint: Option<&Checkpoint>) -> Result<Vec<u8>, LinkError> {
    let Some(checkpoint) = checkpoint else {
        return Ok(Vec::new());
    };
    let json = serde_json::to_vec(checkpoint);
    let json = json.map_err(|error| LinkError::Refused(error.to_string().into()))?;
    match json.len() <= MOST_CHECKPOINT_BYTES {
        true => Ok(json),
        false => Err(LinkError::Refused("the checkpoint is too long".into())),
    }
}

fn read_checkpoint(id: &ChannelId, text: &str) -> Option<Box<Checkpoint>> {
    if text.is_empty() {
        return None;
    }
    let read = crate::checkpoint_file::read(text.as_bytes());
    let channel = &**id.name();
    let said = |why: &String| {
        tracing::error!(
            channel,
            "its checkpoint in Redis cannot be used: {why}; the numbering begins anew"
        );
    };
    read.inspect_err(said).ok().map(Box::new)
}

fn node_entry(answer: Value) -> Option<NodeEntry> {
    let fields: Vec<String> = from_redis_value(answer).ok()?;
    let [incarnation, address, control, capacity, load, peers] = fields.try_into().ok()?;
    let number = |text: &str| text.parse().ok();
    Some(NodeEntry {
        capacity: number(&capacity)?,
        load: number(&load)?,
        peers: peers
            .split(',')
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect(),
        incarnation,
        address,
        control,
    })
}
