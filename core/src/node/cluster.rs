//! What a node of a cluster is told and wants, beside what one node alone does: Redis, its lease, its peers.
//!
//! Every command that names a request is completed once, within [`CALL_LIMIT`]; what is not answered by then
//! is [`CallError::Unknown`], though Redis may do it later.

use super::record::{BadChannelId, ChannelId, Record};
use crate::event::Desired;
use crate::ids::{Epoch, RequestId};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest that a call to Redis or to a peer may take.
pub const CALL_LIMIT: Span = Span::from_secs(1);

/// The name of a node: as plain as that of a channel. Two nodes with one name undo each other's work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeName(ChannelId);

/// One life of a node as owner: what it owned is lost with it, and none is ever used twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// Whose.
    pub node: NodeName,
    /// Drawn by chance.
    pub run: u64,
}

/// Which process of Redis has answered: another one may have lost the last writes, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisId(pub u64);

/// In whose name a channel is relayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its owner.
    pub incarnation: Incarnation,
    /// Grows with each owner.
    pub epoch: Epoch,
    /// The checkpoint may be so much older than what viewers have seen: see
    /// [`Checkpoint::skipped`](crate::checkpoint::Checkpoint::skipped).
    pub skip: Option<Skip>,
}

/// What a checkpoint may lack of what viewers have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// For so long its owners may have gone on after it was saved.
    pub past: Span,
    /// So many segments, and discontinuities, are more than all of them can have listed in that time.
    pub numbers: u64,
}

impl Skip {
    /// No owner lists more segments in a second, for long.
    const EACH_SECOND: u64 = 10;
    /// What each owner may list beyond that when it begins.
    const EACH_OWNER: u64 = 1_000;

    /// Behind so many owners that have saved nothing.
    pub(super) fn behind(past: Span, owners: u64) -> Self {
        let secs = past.as_millis() / 1_000 + 1;
        let numbers = owners.max(1).saturating_mul(Self::EACH_OWNER) + secs * Self::EACH_SECOND;
        Self { past, numbers }
    }
}

/// What comes from Redis and from peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub enum ClusterEvent<S> {
    /// Completes [`ClusterCommand::Renew`].
    Renewed {
        request: RequestId,
        outcome: Result<(RedisId, Renewal), CallError>,
    },
    /// Completes [`ClusterCommand::Look`].
    Looked {
        request: RequestId,
        outcome: Result<(RedisId, Look), CallError>,
    },
    /// Completes [`ClusterCommand::Read`]: what is wanted, and whether the channel is to be erased; `None` where
    /// there is no such channel, or it cannot be read.
    Read {
        request: RequestId,
        id: ChannelId,
        outcome: Result<Option<(Record<S>, bool)>, CallError>,
    },
    /// Completes [`ClusterCommand::Claim`].
    Claimed {
        request: RequestId,
        id: ChannelId,
        outcome: Result<ClaimOutcome<S>, CallError>,
    },
    /// Completes [`ClusterCommand::Register`], [`ClusterCommand::Release`] and [`ClusterCommand::Free`].
    Owned {
        request: RequestId,
        id: ChannelId,
        outcome: Result<Fence, CallError>,
    },
    /// A publish has been refused: another owner has this epoch.
    Fenced { id: ChannelId, epoch: Epoch },
    /// A publish has found an older epoch, or no such channel: Redis has lost it.
    Forgotten { id: ChannelId },
    /// Somebody says that a channel has changed, or wants an owner. It may be lost, and need not be true.
    Hint { id: ChannelId },
    /// A peer asks whether this node has Redis. Answered by [`ClusterCommand::Answer`].
    Asked { request: RequestId, by: NodeName },
    /// Completes [`ClusterCommand::AskPeer`].
    PeerAnswered {
        request: RequestId,
        outcome: Result<PeerAnswer, CallError>,
    },
}

/// What a renewal has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// The key is ours and lives on.
    Held,
    /// There is no key, and `first` was not asked for: it has expired, or Redis has lost it.
    Missing,
    /// The key is another incarnation's, for so long.
    Other { left: Span },
}

/// What stands in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The nodes whose key has not expired; `None` where channels alone were looked at.
    pub nodes: Option<Vec<NodeSeen>>,
    /// The channels that were asked for and are there. What cannot be read is left out.
    pub channels: Vec<(ChannelId, ChannelSeen)>,
}

/// A node whose key has not expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSeen {
    /// Its present life.
    pub incarnation: Incarnation,
    /// How many channels it may run; 0 while it takes none.
    pub capacity: usize,
    /// Whom it asks when it has no Redis.
    pub peers: Vec<NodeName>,
}

/// A channel as it stands in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelSeen {
    /// Of what is wanted.
    pub revision: u64,
    /// Run or stop.
    pub desired: Desired,
    /// It is to be erased.
    pub removed: bool,
    /// Something of it is published, or may be: it needs an owner even to stop.
    pub unfinished: bool,
    /// Who has claimed it and has not released it.
    pub owner: Option<Incarnation>,
    /// Of the newest owner.
    pub epoch: Epoch,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub enum ClaimOutcome<S> {
    /// The channel is ours.
    Claimed {
        epoch: Epoch,
        record: Record<S>,
        /// It is to be erased.
        removed: bool,
        /// How long ago the checkpoint was written, by the clock of Redis; `None` where there is none.
        seen_ago: Option<Span>,
        /// Which Redis that was. Another one where a dead owner's name was taken off since
        /// ([`ClusterCommand::Free`]).
        seen_by: Option<RedisId>,
        /// Claims since then, with this one.
        claims: u64,
    },
    /// Somebody was faster, or it is gone, or cannot be read.
    Changed,
}

/// What a guarded write has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fence {
    /// It is written.
    Done,
    /// Another owner has this epoch, a newer one or the same.
    Fenced(Epoch),
    /// There is an older epoch, or nothing.
    Lost,
}

/// Why a call has led to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum CallError {
    /// It was not sent, or was refused as a whole.
    #[error("it was not done")]
    NotDone,
    /// It may or may not have been done, or may be done yet.
    #[error("no answer; it may or may not have been done")]
    Unknown,
}

/// Whether a node has Redis. [`Away`](Self::Away) is a promise: it claims nothing before it has had Redis again
/// for [`GRACE`](crate::lease::GRACE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// Its last renewal was answered.
    Reached,
    /// It was not.
    Away,
}

/// What a peer says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAnswer {
    /// Its present life.
    pub incarnation: Incarnation,
    /// Whether it has Redis.
    pub contact: Contact,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookAt {
    /// All channels, then all nodes.
    All,
    /// All nodes.
    Nodes,
    /// These channels.
    Channels(Vec<ChannelId>),
}

/// What is wanted of Redis and of peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub enum ClusterCommand<S> {
    /// Let the node's key live for [`LEASE`](crate::lease::LEASE) from now. Only where `first`, one that is not
    /// there is made; one of another incarnation is never replaced. `load` channels run, of `capacity`, which is 0
    /// while the node takes none: it is to leave, or has not had Redis for long enough.
    Renew {
        request: RequestId,
        incarnation: Incarnation,
        first: bool,
        capacity: usize,
        load: usize,
        peers: Vec<NodeName>,
    },
    /// Delete the node's key: it owns nothing any more. Nobody waits for the outcome. Redis has not said that it
    /// has the `unreleased` back.
    Leave {
        incarnation: Incarnation,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unreleased: Vec<ChannelId>,
    },
    /// What stands there, without specs. The channels are read before the nodes: an owner that is none of the
    /// nodes is then dead, and not new.
    Look { request: RequestId, at: LookAt },
    /// What is wanted of a channel.
    Read { request: RequestId, id: ChannelId },
    /// Make this incarnation the owner, in a new epoch, where the owner is still the expected one of the
    /// expected epoch, and Redis still the one that said so.
    Claim {
        request: RequestId,
        id: ChannelId,
        incarnation: Incarnation,
        expected: (Option<Incarnation>, Epoch),
        redis: RedisId,
    },
    /// Redis has lost that the channel is ours: write owner, epoch, checkpoint and, where its revision is older
    /// or it is not there, the record; unless the epoch there is newer, or the same of another owner.
    Register {
        request: RequestId,
        id: ChannelId,
        grant: Grant,
        record: Record<S>,
        removed: bool,
    },
    /// The channel has no owner any more; tell the others. Where `erased`, it is taken out altogether unless it
    /// is wanted again; where not `unfinished`, nothing of it is published and a stopped one needs nobody.
    Release {
        request: RequestId,
        id: ChannelId,
        grant: Grant,
        unfinished: bool,
        erased: bool,
    },
    /// Its owner is dead and this node has no room: take the dead owner's name off, and tell the others.
    Free {
        request: RequestId,
        id: ChannelId,
        expected: (Incarnation, Epoch),
    },
    /// A change that was acknowledged by way of this node is not in Redis any more, as that has come back without its
    /// last writes, and no owner knew of it.
    TellLost { id: ChannelId, revision: u64 },
    /// These channels are not in Redis any more, as that has come back without them, and no owner knew of them.
    TellGone { channels: Vec<ChannelId> },
    /// Ask a peer whether it has Redis, at the address that is known of it, in the name of this node.
    AskPeer { request: RequestId, peer: NodeName },
    /// Answers [`ClusterEvent::Asked`].
    Answer {
        request: RequestId,
        answer: PeerAnswer,
    },
    /// What was opened under this incarnation may be published and served before `until`, which is never
    /// earlier than it was. While `alone`, a version may become visible though Redis has not got its checkpoint.
    ValidUntil {
        incarnation: Incarnation,
        until: Timestamp,
        alone: bool,
    },
}

impl NodeName {
    /// Checks a name.
    ///
    /// # Errors
    /// What names may be.
    pub fn new(text: &str) -> Result<Self, BadChannelId> {
        ChannelId::new(text).map(Self)
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        self.0.name()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// `NAME:HEX`, as it stands in Redis.
impl fmt::Display for Incarnation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{:016x}", self.node, self.run)
    }
}

/// No incarnation is written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an incarnation is the name of a node, a colon and 16 hexadecimal digits")]
pub struct BadIncarnation;

impl std::str::FromStr for Incarnation {
    type Err = BadIncarnation;

    fn from_str(text: &str) -> Result<Self, BadIncarnation> {
        let (node, run) = text.split_once(':').ok_or(BadIncarnation)?;
        let digits = run.len() == 16 && run.bytes().all(|it| it.is_ascii_hexdigit());
        let node = NodeName::new(node).ok().filter(|_| digits);
        let run = u64::from_str_radix(run, 16);
        let (Some(node), Ok(run)) = (node, run) else {
            return Err(BadIncarnation);
        };
        Ok(Self { node, run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_is_read_as_it_is_written_and_nothing_else_is() {
        let node = NodeName::new("relay-1").unwrap();
        let incarnation = Incarnation { node, run: 0xabc };
        let text = incarnation.to_string();
        assert_eq!(text, "relay-1:0000000000000abc");
        assert_eq!(text.parse(), Ok(incarnation));
        for bad in [
            "",
            "a",
            "a:1",
            ":0000000000000abc",
            "a:000000000000+abc",
            "a b:0000000000000abc",
        ] {
            assert_eq!(bad.parse::<Incarnation>(), Err(BadIncarnation), "{bad}");
        }
    }
}
