//! Init sections and keys that segments need, while they are had and for as long as they are kept.
//!
//! Each is asked for once, and kept for as long as a segment that is wanted, or the newest one listed,
//! needs it. A segment is complete only when all that it needs is stored. What cannot be had is asked for again after a
//! while that belongs to its address: there may be several things at one, of one run of the encoder after the other.

mod shared;

use super::job::{Attempts, Room, object_name};
use super::looks::Looks;
use super::needs::Need;
use super::{Asker, Leftovers};
use crate::checkpoint::SavedObject;
use crate::command::{ByteSpan, Command, Content, Download};
use crate::config;
use crate::event::{FetchError, StoredSegment};
use crate::ids::{ContentHash, ObjectName, RequestId};
use crate::limits;
use crate::notice::Notice;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// All that is needed now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Resources {
    all: Vec<Resource>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failing: Vec<Failing>,
    /// Replaced by what their source has now; kept for the segments that were listed before.
    former: Vec<SavedObject>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Resource {
    need: Need,
    /// It was listed before a restart of ours: its object and what it must hold.
    again: Option<(ObjectName, ContentHash)>,
    state: State,
    /// It was asked for last then; what is stored and may have changed is asked for again.
    asked_at: Timestamp,
    again_due: bool,
    /// The request for what it is now, and where that is stored.
    looking: Option<(RequestId, ObjectName)>,
}

/// An address at which nothing could be had so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Failing {
    url: Arc<str>,
    byte_range: Option<ByteSpan>,
    attempts: Attempts,
    #[serde(default)]
    failed_at: Timestamp,
    retry_at: Timestamp,
}

impl Failing {
    fn is_of(&self, need: &Need) -> bool {
        (&self.url, self.byte_range) == need.address()
    }
}

impl Resource {
    fn stored(&self) -> Option<&SavedObject> {
        match &self.state {
            State::Stored(stored) => Some(stored),
            State::Waiting | State::InFlight { .. } | State::Shared { .. } => None,
        }
    }

    fn is_not_asked_for(&self) -> bool {
        match self.state {
            State::Waiting => true,
            State::Shared { in_flight } => !in_flight,
            State::InFlight { .. } | State::Stored(_) => false,
        }
    }
}

/// What was stored for a need, and what its source has now.
pub(super) struct Changed {
    pub(super) before: SavedObject,
    pub(super) now: SavedObject,
    /// It was asked for then.
    pub(super) since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Waiting,
    InFlight {
        request: RequestId,
        object: ObjectName,
    },
    /// Another track asks for it.
    Shared {
        in_flight: bool,
    },
    Stored(SavedObject),
}

impl Resources {
    /// Wants these from now on, under the names they had before a restart of ours where there are any.
    pub(super) fn want(&mut self, needs: &[Need], again: &[SavedObject], now: Timestamp) {
        for (index, need) in needs.iter().enumerate() {
            if self.find(need).is_none() {
                let before = again.get(index).map(|it| (it.object.clone(), it.hash));
                self.all.push(Resource {
                    need: need.clone(),
                    again: before,
                    state: State::Waiting,
                    asked_at: now,
                    again_due: false,
                    looking: None,
                });
            }
        }
    }

    /// A new segment needs these: an init section that has not been looked at for long is looked at again.
    /// Nobody waits for that, or an origin that has it no more would end what can still be played.
    pub(super) fn look_again(&mut self, needs: &[Need], now: Timestamp) {
        for it in &mut self.all {
            let may_change = it.need.content == Content::InitSection && needs.contains(&it.need);
            let stored = matches!(it.state, State::Stored(_)) && it.looking.is_none();
            let long_ago = now.since(it.asked_at) >= config::INIT_SECTION_AGAIN;
            it.again_due |= may_change && stored && long_ago;
        }
    }

    /// Lets go of what nobody needs, but for what `may_return`, as keys that are used in turn do, and while
    /// another of its kind is on its way, which may turn out to be the same. `is_provided` tells of objects
    /// that segments on their way are to be listed with.
    pub(super) fn keep_only(
        &mut self,
        is_needed: impl Fn(&Need) -> bool,
        may_return: impl Fn(&Need) -> bool,
        is_provided: impl Fn(&SavedObject) -> bool,
    ) -> Leftovers {
        let mut left = Leftovers::default();
        let is_stored = |it: &Resource| matches!(it.state, State::Stored(_));
        let awaited = self.all.iter().filter(|it| !is_stored(it));
        let awaited = awaited.filter(|it| is_needed(&it.need));
        let awaited: Vec<Content> = awaited.map(|it| it.need.content).collect();
        let mut remembered = 0;
        let mut is_kept = |it: &Resource| {
            if is_needed(&it.need) {
                return true;
            }
            let is_of_use = may_return(&it.need) || awaited.contains(&it.need.content);
            remembered += usize::from(is_stored(it) && is_of_use);
            is_stored(it) && is_of_use && remembered <= limits::REMEMBERED_NEEDS
        };
        // The newest stand last.
        let mut kept = Vec::new();
        let mut gone = Vec::new();
        for it in self.all.drain(..).rev() {
            if is_kept(&it) {
                kept.push(it);
            } else {
                gone.push(it);
            }
        }
        kept.reverse();
        self.all = kept;
        let mut objects = Vec::new();
        for it in gone {
            left.requests.extend(it.looking);
            match it.state {
                State::Waiting | State::Shared { .. } => {}
                State::InFlight { request, object } => left.requests.push((request, object)),
                State::Stored(stored) => objects.push(stored),
            }
        }
        objects.extend(self.former.extract_if(.., |it| !is_provided(it)));
        let is_kept = |it: &SavedObject| self.stored().any(|other| other.object == it.object);
        objects.retain(|it| !is_kept(it));
        left.objects.extend(objects.into_iter().map(|it| it.object));
        left
    }

    /// The objects of these needs, once all are stored.
    pub(super) fn provide(&self, needs: &[Need]) -> Option<Vec<SavedObject>> {
        let stored = |need| self.find(need)?.stored().cloned();
        needs.iter().map(stored).collect()
    }

    /// One of these could not be had so far, and is not being asked for: why.
    pub(super) fn trouble(&self, needs: &[Need]) -> Option<&FetchError> {
        let waiting = |it: &&Resource| it.is_not_asked_for();
        let found = needs.iter().filter_map(|need| self.find(need));
        let mut waiting = found.filter(waiting);
        waiting.find_map(|it| self.failing(&it.need)?.attempts.error.as_ref())
    }

    /// One of these could not be had so far, whether it is being asked for again or not.
    pub(super) fn is_failing(&self, needs: &[Need]) -> bool {
        let is_stored = |it: &Resource| matches!(it.state, State::Stored(_));
        let mut found = needs.iter().filter_map(|need| self.find(need));
        found.any(|it| !is_stored(it) && self.failing(&it.need).is_some())
    }

    pub(super) fn in_flight(&self) -> usize {
        let busy =
            |it: &&Resource| matches!(it.state, State::InFlight { .. }) || it.looking.is_some();
        self.all.iter().filter(busy).count()
    }

    /// What is stored here, whether it is listed or not.
    pub(super) fn stored(&self) -> impl Iterator<Item = &SavedObject> {
        let current = self.all.iter().filter_map(Resource::stored);
        current.chain(&self.former)
    }

    /// When the next one is to be asked for.
    pub(super) fn next_retry(&self) -> Option<Timestamp> {
        self.all.iter().filter_map(|it| self.retry_at(it)).min()
    }

    /// When one that waits is to be asked for. Where nothing could be had it is asked for one at a time.
    fn retry_at(&self, it: &Resource) -> Option<Timestamp> {
        if it.state != State::Waiting {
            return None;
        }
        let Some(failing) = self.failing(&it.need) else {
            return Some(it.asked_at);
        };
        let is_asked = |it: &Resource| matches!(it.state, State::InFlight { .. });
        let mut there = self.all.iter().filter(|it| failing.is_of(&it.need));
        (!there.any(is_asked)).then_some(failing.retry_at)
    }

    /// Asks for what is due, as far as there is room.
    pub(super) fn advance(
        &mut self,
        stage: &mut Stage<'_>,
        asker: Asker,
        looks: &Looks,
        target_duration: Span,
        room: &mut Room,
    ) {
        let now = stage.now.monotonic;
        let is_needed = |it: &Failing| self.all.iter().any(|other| it.is_of(&other.need));
        // Somebody may need it again, as where a track is led to and fro.
        let remembered = config::stalled_after(target_duration);
        let is_fresh = |it: &Failing| it.retry_at + remembered > now;
        self.failing.retain(|it| is_fresh(it) || is_needed(it));
        for index in 0..self.all.len() {
            let it = &self.all[index];
            let due = it.again_due || self.retry_at(it).is_some_and(|at| at <= now);
            if !due || room.all == 0 {
                continue;
            }
            let it = &mut self.all[index];
            room.all -= 1;
            let request = stage.request();
            let again = std::mem::take(&mut it.again_due);
            let object = match &it.again {
                Some((object, _)) if !again => object.clone(),
                Some(_) | None => object_name(asker.tag, request, extension(&it.need)),
            };
            it.asked_at = now;
            stage.commands.push(Command::Download(Download {
                request,
                generation: asker.generation,
                epoch: stage.epoch,
                source: asker.source,
                url: Arc::clone(&it.need.url),
                content: it.need.content,
                byte_range: it.need.byte_range,
                decrypt: it.need.decrypt.clone(),
                look: looks.asks_need(it.need.content),
                may_be_empty: false,
                object: object.clone(),
                limits: config::resource_limits(target_duration),
            }));
            if again {
                it.looking = Some((request, object));
            } else {
                it.state = State::InFlight { request, object };
            }
        }
    }

    /// Takes a completion; gives what it leaves behind, `None` where the request is not one of ours.
    pub(super) fn completed(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<StoredSegment, FetchError>,
        target_duration: Span,
    ) -> Option<Leftovers> {
        let is_it = |it: &Resource| matches!(it.state, State::InFlight { request: own, .. } if own == request);
        let index = self.all.iter().position(is_it)?;
        let need = self.all[index].need.clone();
        let content = need.content;
        let outcome = match outcome {
            Ok(stored) if content == Content::Key && stored.length != limits::KEY_BYTES => {
                let why = format!("a key of {} bytes", stored.length);
                Err(FetchError::Key(why.into()))
            }
            Ok(stored) => Ok(stored.clone()),
            Err(error) => Err(error.clone()),
        };
        let twin = outcome.as_ref().ok().and_then(|is| self.twin(content, is));
        let it = &mut self.all[index];
        let State::InFlight { object, .. } = &it.state else {
            return None;
        };
        let (object, mut left) = (object.clone(), Leftovers::default());
        match outcome {
            Ok(stored)
                if it
                    .again
                    .as_ref()
                    .is_some_and(|(_, hash)| *hash != stored.hash) =>
            {
                // What was listed is gone for good; what is listed from now on gets a name of its own.
                left.objects.push(object);
                it.again = None;
                it.state = State::Waiting;
            }
            Ok(stored) => {
                // The same bytes under another URL, as a new token makes it, are the same object.
                let twin = twin.filter(|_| it.again.is_none());
                if twin.is_some() {
                    left.objects.push(object.clone());
                }
                it.state = State::Stored(twin.unwrap_or(SavedObject {
                    object,
                    length: stored.length,
                    hash: stored.hash,
                }));
            }
            Err(error) => {
                let stored = error.may_be_stored() || matches!(error, FetchError::Key(_));
                if stored && it.again.is_none() {
                    left.objects.push(object);
                }
                it.state = State::Waiting;
                self.fail(stage, &need, error, target_duration);
                return Some(left);
            }
        }
        self.failing.retain(|it| !it.is_of(&need));
        Some(left)
    }

    /// Takes what an init section is now; gives what it leaves behind and, where it is another one, what it
    /// was, what it is, and since when; `None` where the request is not one of ours. A failure changes
    /// nothing.
    pub(super) fn looked_again(
        &mut self,
        request: RequestId,
        outcome: &Result<StoredSegment, FetchError>,
    ) -> Option<(Leftovers, Option<Changed>)> {
        let is_it = |it: &Resource| it.looking.as_ref().is_some_and(|(own, _)| *own == request);
        let index = self.all.iter().position(is_it)?;
        let (_, object) = self.all[index].looking.take()?;
        let mut left = Leftovers::default();
        let now = match outcome {
            Ok(stored) => SavedObject {
                object,
                length: stored.length,
                hash: stored.hash,
            },
            Err(error) => {
                if matches!(error, FetchError::Store(_)) {
                    left.objects.push(object);
                }
                return Some((left, None));
            }
        };
        let since = self.all[index].asked_at;
        let State::Stored(known) = &mut self.all[index].state else {
            left.objects.push(now.object);
            return Some((left, None));
        };
        if known.hash == now.hash && known.length == now.length {
            left.objects.push(now.object);
            return Some((left, None));
        }
        let before = std::mem::replace(known, now.clone());
        self.former.push(before.clone());
        Some((left, Some(Changed { before, now, since })))
    }

    /// Nothing could be had at its address.
    fn fail(
        &mut self,
        stage: &mut Stage<'_>,
        need: &Need,
        error: FetchError,
        target_duration: Span,
    ) {
        let before = self.failing.iter().position(|it| it.is_of(need));
        let mut failing = match before {
            Some(index) => self.failing.swap_remove(index),
            None => Failing {
                url: Arc::clone(&need.url),
                byte_range: need.byte_range,
                attempts: Attempts::default(),
                failed_at: stage.now.monotonic,
                retry_at: stage.now.monotonic,
            },
        };
        stage.counters.retries += 1;
        failing.attempts.count += 1;
        if failing.attempts.count == 1 {
            let (content, error) = (need.content, error.clone());
            stage.notify(Notice::NeedRetry { content, error });
        }
        failing.failed_at = stage.now.monotonic;
        failing.retry_at = failing.attempts.failed(stage, error, target_duration);
        self.failing.push(failing);
    }

    fn failing(&self, need: &Need) -> Option<&Failing> {
        self.failing.iter().find(|it| it.is_of(need))
    }

    fn find(&self, need: &Need) -> Option<&Resource> {
        self.all.iter().find(|it| it.need == *need)
    }

    fn twin(&self, content: Content, stored: &StoredSegment) -> Option<SavedObject> {
        let alike = self.all.iter().filter(|it| it.need.content == content);
        let mut alike = alike.filter_map(Resource::stored);
        let same = |it: &&SavedObject| it.hash == stored.hash && it.length == stored.length;
        alike.find(same).cloned()
    }
}

/// Servers choose the type by it.
fn extension(need: &Need) -> &'static str {
    match need.content {
        Content::Key => "key",
        Content::Segment | Content::InitSection => "mp4",
    }
}

#[cfg(test)]
mod tests;
