//! Changes that were acknowledged by way of this node, and whole channels, that a Redis which came after knows nothing of.
//!
//! An owner writes what it knows of its channels again. What nobody knows but who asked for it, and what nobody has, as it
//! is stopped, is lost: that is said, and it is for him to ask again.

use super::*;

/// What Redis still has after so long is not lost by a replica that takes over.
const REMEMBERED: Span = Span::from_secs(60);
/// So many channels have a change that is remembered.
const MOST_REMEMBERED: usize = 1_000;

/// The last change of a channel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    revision: u64,
    removed: bool,
    at: Timestamp,
}

/// All channels that there were when Redis was last looked at, once the owners had told it again what they have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Listed {
    channels: BTreeSet<ChannelId>,
    /// Since when that Redis had been there.
    since: Timestamp,
}

impl Member {
    /// What is wanted of a channel was changed by way of this node, and Redis has said so.
    pub(in super::super) fn changed(
        &mut self,
        now: Timestamp,
        id: &ChannelId,
        revision: u64,
        removed: bool,
    ) {
        self.hinted.insert(id.clone());
        if self.acknowledged.len() < MOST_REMEMBERED || self.acknowledged.contains_key(id) {
            let change = Acknowledged {
                revision,
                removed,
                at: now,
            };
            self.acknowledged.insert(id.clone(), change);
        }
        if let Some(place) = self.places.get_mut(id)
            && let Seat::Ours {
                revision: known, ..
            } = &mut place.seat
        {
            *known = revision.max(*known);
        }
    }

    /// Compares them with what stands in Redis, as of a look at all channels, once the owners have had the time to
    /// write again what they know.
    pub(super) fn tell_lost<S>(
        &mut self,
        now: Timestamp,
        sent_at: Timestamp,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if !self.is_told_again(sent_at) || self.planted.makes(Mistake::LostChangeUntold) {
            return;
        }
        let (places, since) = (&self.places, self.reached_since);
        self.acknowledged.retain(|id, change| {
            let known = places.get(id).and_then(Place::revision);
            let is_there = known.map_or(change.removed, |it| it >= change.revision);
            let is_lost = !is_there && change.at < since;
            // Somebody has removed the channel since, and the same Redis says so.
            let is_undone = known.is_none() && !is_lost && sent_at > change.at;
            if is_lost {
                let (id, revision) = (id.clone(), change.revision);
                commands.push(ClusterCommand::TellLost { id, revision });
            }
            !is_lost && !is_undone && now.since(change.at) < REMEMBERED
        });
    }

    /// Compares all channels with those that there were before Redis was away, or another one.
    pub(super) fn tell_gone<S>(
        &mut self,
        sent_at: Timestamp,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if !self.is_told_again(sent_at) {
            return;
        }
        let place = |id: &ChannelId| self.places.get(id);
        let is_there = |id: &&ChannelId| place(id).is_some_and(|it| it.revision().is_some());
        // What is being removed is missed by nobody.
        let stays = |id: &&ChannelId| {
            let seen = place(id).and_then(|it| it.seen.as_ref());
            is_there(id) && !seen.is_some_and(|(seen, _)| seen.removed)
        };
        if self.listed.since < self.reached_since {
            let gone = self.listed.channels.iter().filter(|id| !is_there(id));
            let channels: Vec<_> = gone.cloned().collect();
            if !channels.is_empty() {
                commands.push(ClusterCommand::TellGone { channels });
            }
        }
        self.listed = Listed {
            channels: self.places.keys().filter(stays).cloned().collect(),
            since: self.reached_since,
        };
    }

    /// By then the owners had the time to write again what they know.
    fn is_told_again(&self, sent_at: Timestamp) -> bool {
        self.claims_from.is_some_and(|from| sent_at >= from)
    }
}

impl Place {
    /// Of what is wanted of it, as far as it is known here.
    fn revision(&self) -> Option<u64> {
        let seen = self.seen.as_ref().map(|(seen, _)| seen.revision);
        match self.seat {
            Seat::Ours { revision, .. } => seen.max(Some(revision)),
            Seat::Vacant { .. } | Seat::Asked { .. } | Seat::Leaving | Seat::Releasing { .. } => {
                seen
            }
        }
    }
}
