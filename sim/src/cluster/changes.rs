//! Changes that nodes have had acknowledged: each is in Redis, or is told to be lost by the node that it was asked of.

use super::plan::{FaultKind, Lost};
use super::world::World;
use crate::checks::{Held, broken};
use hls_relay_core::node::ChannelId;
use hls_relay_core::time::{Span, Timestamp};

/// A node tells of those at least that were made so shortly before the loss.
const TOLD_OF: Span = Span::from_secs(50);

/// A change that a node was asked for.
#[derive(Debug)]
pub(super) struct Change {
    host: usize,
    life: u64,
    id: ChannelId,
    revision: u64,
    removed: bool,
    at: Timestamp,
    told_lost: bool,
}

impl World {
    pub(super) fn note_change(
        &mut self,
        host: usize,
        id: &ChannelId,
        revision: u64,
        removed: bool,
    ) {
        let change = Change {
            host,
            life: self.hosts[host].lives,
            id: id.clone(),
            revision,
            removed,
            at: self.now,
            told_lost: false,
        };
        self.changes.push(change);
    }

    /// What stands in Redis is at least as new as a change.
    fn is_there(&self, change: &Change) -> bool {
        let hash = self.redis.channels().get(&change.id);
        hash.map_or(change.removed, |it| it.record.revision >= change.revision)
    }

    /// A node says that channels are gone.
    pub(super) fn told_gone(&self, channels: &[ChannelId]) -> Held {
        let mut there = channels
            .iter()
            .filter(|it| self.redis.channels().contains_key(*it));
        match there.next().filter(|_| self.redis.is_up) {
            None => Ok(()),
            Some(id) => broken(
                "what is told to be gone is gone",
                id.to_string(),
                "it is there",
            ),
        }
    }

    /// A node says that a change is lost.
    pub(super) fn told_lost(&mut self, host: usize, id: &ChannelId, revision: u64) -> Held {
        self.count("change told lost");
        let is = |it: &Change| (it.host, &it.id, it.revision) == (host, id, revision);
        let Some(at) = self.changes.iter().position(is) else {
            return broken(
                "what is told to be lost was acknowledged",
                format!("{id} at revision {revision} asked of n{host}"),
                "nothing of the kind",
            );
        };
        if self.redis.is_up && self.is_there(&self.changes[at]) {
            return broken(
                "what is told to be lost is lost",
                format!("{id} before revision {revision}"),
                "it is there",
            );
        }
        self.changes[at].told_lost = true;
        Ok(())
    }

    /// At the end, of a world in which a Redis was lost once.
    pub(super) fn lost_changes_are_told(&self) -> Held {
        let loses = |kind: FaultKind| {
            matches!(kind, FaultKind::RedisAway(Lost::Last(_) | Lost::Everything))
        };
        let mut losses = self.plan.faults.iter().filter(|it| loses(it.kind));
        let (Some(loss), None) = (losses.next(), losses.next()) else {
            return Ok(());
        };
        let lost_at = Timestamp::default() + loss.from;
        for (number, change) in self.changes.iter().enumerate() {
            let process = self.hosts[change.host].process.as_ref();
            let lives = process.is_some_and(|it| it.life == change.life);
            let before = change.at < lost_at && lost_at.since(change.at) < TOLD_OF;
            let same = |it: &&Change| (it.host, &it.id) == (change.host, &change.id);
            let is_last = !self.changes[number + 1..].iter().any(|it| same(&it));
            // What somebody else has changed since is his.
            let newest = self
                .channels
                .get(&change.id)
                .map_or(0, |it| it.newest_change);
            let stands = newest <= change.revision;
            if lives && before && is_last && stands && !self.is_there(change) && !change.told_lost {
                return broken(
                    "a change that was acknowledged and lost is told to be lost",
                    format!(
                        "{} at revision {}, by n{}",
                        change.id, change.revision, change.host
                    ),
                    "nothing said",
                );
            }
        }
        Ok(())
    }
}
