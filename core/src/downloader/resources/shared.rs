//! What tracks of a source have in common: their keys, and what one of them has met at an address.

use super::{Failing, Resource, Resources, State};
use crate::checkpoint::SavedObject;
use crate::command::Content;
use crate::downloader::needs::Need;
use crate::ids::{ContentHash, ObjectName};

impl Resources {
    /// A key that tracks of a source name at one address, in one run of its encoder, is one key, which all have as soon as
    /// one has. An address is asked by one of them at a time, the first that needs it where none does yet: two may count
    /// runs otherwise, as where one was led to another place. Whether anything has changed for this track.
    pub(in super::super) fn share_keys<'a>(
        &mut self,
        before: impl Iterator<Item = &'a Self> + Clone,
        behind: impl Iterator<Item = &'a Self> + Clone,
    ) -> bool {
        let mut changed = false;
        for index in 0..self.all.len() {
            let it = &self.all[index];
            if !it.may_be_shared() {
                continue;
            }
            let need = it.need.clone();
            let at_address = |other: &'a Self| other.at_address_of(&need);
            let before = before.clone().flat_map(at_address);
            let mut others = before.clone().chain(behind.clone().flat_map(at_address));
            let same = others.clone().filter(|it| it.need == need);
            let mut stored = same.filter_map(Resource::stored);
            let stored = stored.find(|stored| it.can_be(stored)).cloned();
            let in_flight = others.any(|it| matches!(it.state, State::InFlight { .. }));
            let waits = before.clone().any(|it| it.state == State::Waiting);
            let state = match stored {
                Some(stored) => State::Stored(stored),
                None if in_flight || waits => State::Shared { in_flight },
                // Whoever asked for it needs it no more, or this one comes first.
                None => State::Waiting,
            };
            if matches!(state, State::Stored(_)) {
                self.failing.retain(|it| !it.is_of(&need));
            }
            changed |= self.all[index].state != state;
            self.all[index].state = state;
        }
        changed
    }

    /// What another track has met at an address at which this one waits: that nothing could be had there, or that something
    /// could since then.
    pub(in super::super) fn share_failures<'a>(
        &mut self,
        others: impl Iterator<Item = &'a Self> + Clone,
    ) -> bool {
        let mut changed = false;
        let lacking = self.all.iter().filter(|it| it.may_be_shared());
        for need in lacking.map(|it| it.need.clone()).collect::<Vec<_>>() {
            let there = others.clone().flat_map(|it| it.at_address_of(&need));
            let had = there.filter(|it| it.stored().is_some());
            let had = had.map(|it| it.asked_at).max();
            let is_over = |it: &Failing| had.is_some_and(|at| it.failed_at <= at);
            if self.failing(&need).is_some_and(is_over) {
                self.failing.retain(|it| !it.is_of(&need));
                changed = true;
                continue;
            }
            let lacks = |it: &&Self| it.at_address_of(&need).any(|it| it.stored().is_none());
            let met = others
                .clone()
                .filter(lacks)
                .filter_map(|it| it.failing(&need));
            let Some(met) = met.max_by_key(|it| it.attempts.count) else {
                continue;
            };
            let own = self.failing(&need).map_or(0, |it| it.attempts.count);
            if own < met.attempts.count {
                self.failing.retain(|it| !it.is_of(&need));
                self.failing.push(met.clone());
                changed = true;
            }
        }
        changed
    }

    fn at_address_of(&self, need: &Need) -> impl Iterator<Item = &Resource> + Clone {
        self.all
            .iter()
            .filter(|it| it.need.address() == need.address())
    }
}

impl Resource {
    /// A key that is not there, and that this track is not asking for.
    fn may_be_shared(&self) -> bool {
        let asks = matches!(self.state, State::Stored(_) | State::InFlight { .. });
        self.need.content == Content::Key && !asks
    }

    /// Listed before a restart of ours, it has to be what it was.
    fn can_be(&self, stored: &SavedObject) -> bool {
        let same = |(object, hash): &(ObjectName, ContentHash)| {
            *object == stored.object && *hash == stored.hash
        };
        self.again.as_ref().is_none_or(same)
    }
}
