//! Stage two: what is in flight, in which order, when to try again, when to give up.
//!
//! Jobs stand in the order of the media. Several are under way at once, so that a segment in trouble
//! does not hold up its successors; what is done leaves from the front only, so that viewers get it
//! in order. A segment that cannot be had [leaves](leave) as a hole. [`job`] is one segment, [`needs`] what
//! it needs beside itself, [`resources`] what is had of that, [`works`] what is made of segments before they leave.

mod job;
mod leave;
mod looks;
mod needs;
mod resources;
mod works;

use crate::checkpoint::SavedObject;
use crate::config::KeyPolicy;
use crate::event::{FetchError, StoredSegment};
use crate::ids::{Generation, ObjectName, RequestId};
use crate::limits;
use crate::loader::{Listing, Offered};
use crate::notice::{Break, Notice};
use crate::planted::Mistake;
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use job::{Job, JobState, Room};
use looks::Looks;
use needs::{Need, needs_of};
use resources::{Changed, Resources};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::mem::discriminant;
use works::Played;

pub(crate) use job::Again;
pub(crate) use leave::Done;
pub(crate) use needs::{is_placed, is_replaced};

/// The segments of one source that are wanted and not yet handed on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Downloader {
    jobs: VecDeque<Job>,
    resources: Resources,
    /// What the newest segment needs that was listed: the next one is likely to need the same.
    newest_needs: Vec<Need>,
    /// Its run of the encoder and its discontinuity: what they do not use is not needed again.
    newest_era: (u64, u64),
    unneeded: Leftovers,
    /// What left last, and plays before what leaves next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    played: Option<Played>,
    /// What becomes of encryption.
    pub(crate) keys: KeyPolicy,
    pub(crate) looks: Looks,
    /// Its segments are subtitles.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_text: bool,
    /// Rungs are made of its segments.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) with_rungs: bool,
    /// What is listed stays so, and nothing will follow it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fixed: bool,
    target_duration: Span,
    /// Why downloads fail, while none succeeds.
    pub(crate) trouble: Option<FetchError>,
    /// A segment was last complete then.
    pub(crate) stored_at: Option<Timestamp>,
}

/// In whose name something is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) source: usize,
    pub(crate) generation: Generation,
    /// Names the objects of this process.
    pub(crate) tag: u32,
}

/// What to do with work and objects that nobody wants any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leftovers {
    pub(crate) requests: Vec<(RequestId, ObjectName)>,
    pub(crate) objects: Vec<ObjectName>,
    /// Work on stored segments, with what it may still store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) work: Vec<(RequestId, Vec<ObjectName>)>,
}

impl Leftovers {
    pub(crate) fn append(&mut self, mut other: Self) {
        self.requests.append(&mut other.requests);
        self.objects.append(&mut other.objects);
        self.work.append(&mut other.work);
    }
}

impl Downloader {
    /// Takes what a load has brought: new jobs at the end, and for the others whether they are still
    /// listed and under which URL now (a token in its query may have changed).
    /// `take` says how many of the new ones at most, counted from the newest.
    pub(crate) fn listed(&mut self, stage: &mut Stage<'_>, listing: &Listing, take: usize) {
        self.target_duration = listing.target_duration;
        self.fixed = listing.fixed;
        for job in &mut self.jobs {
            let number = job.offered.identity.media_sequence;
            let now = if listing.restarted {
                None
            } else {
                find(listing, number)
            };
            job.listed = now.is_some();
            if let Some(now) = now {
                job.offered.url.clone_from(&now.url);
                // As a token of the segment's URL, so may one of what it needs have changed.
                if job.again.is_none() && self.resources.trouble(&job.needs).is_some() {
                    let now = Offered {
                        run: job.offered.run,
                        ..now.clone()
                    };
                    job.needs = needs_of(&now, job.keys).unwrap_or(std::mem::take(&mut job.needs));
                }
            }
        }
        let fresh = &listing.listed[listing.first_new..];
        let skipped = fresh.len().saturating_sub(take);
        for (index, offered) in fresh.iter().enumerate().skip(skipped) {
            let mut offered = offered.clone();
            if index == skipped && index > 0 {
                // What broke before the first new one is broken before the first one taken, too.
                offered.broken = fresh[0].broken;
            }
            let waited_by = match stage.makes(Mistake::GivenUpLate) {
                true => listing.target_duration * 4,
                false => listing.target_duration,
            };
            let job = Job::new(offered, None, self.keys, waited_by);
            self.note_refused(stage, &job);
            self.newest_needs.clone_from(&job.needs);
            let identity = &job.offered.identity;
            self.newest_era = (job.offered.run, identity.discontinuity_sequence);
            self.jobs.push_back(job);
        }
        let now = stage.now.monotonic;
        if !fresh.is_empty() {
            self.resources.look_again(&self.newest_needs, now);
        }
        for job in &self.jobs {
            let again = job.again.as_ref().map_or(&[][..], |it| &it.resources);
            self.resources.want(&job.needs, again, now);
        }
        self.settle(now);
        let left = self.drop_unneeded();
        self.unneeded.append(left);
    }

    /// What is left of what nobody needs any more.
    pub(crate) fn take_unneeded(&mut self) -> Leftovers {
        std::mem::take(&mut self.unneeded)
    }

    /// Segments whose needs are all stored now are complete.
    fn settle(&mut self, now: Timestamp) {
        for job in &mut self.jobs {
            if job.provided.is_none() {
                let provided = self.resources.provide(&job.needs);
                job.provided = provided.map(|provided| (now, provided));
                if matches!(job.state, JobState::Stored { .. }) && job.provided.is_some() {
                    self.trouble = None;
                    self.stored_at = Some(now);
                }
            }
        }
    }

    fn drop_unneeded(&mut self) -> Leftovers {
        let era = self.newest_era;
        self.keep_only(|need| need.is_of(era))
    }

    fn keep_only(&mut self, may_return: impl Fn(&Need) -> bool) -> Leftovers {
        let (jobs, newest) = (&self.jobs, &self.newest_needs);
        let wanted = |need: &Need| jobs.iter().any(|job| job.needs.contains(need));
        let is_needed = |need: &Need| newest.contains(need) || wanted(need);
        let is_provided = |it: &SavedObject| {
            let mut provided = jobs.iter().filter_map(|job| job.provided.as_ref());
            provided.any(|(_, objects)| objects.contains(it))
        };
        self.resources.keep_only(is_needed, may_return, is_provided)
    }

    /// Takes what an init section is now, where it was looked at again.
    fn looked_again(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<StoredSegment, FetchError>,
    ) -> Option<Leftovers> {
        let (mut left, changed) = self.resources.looked_again(request, outcome)?;
        if let Ok(stored) = outcome {
            self.looks.take(stored);
        }
        if let Some(Changed { before, now, since }) = changed {
            stage.notify(Notice::InitSectionChanged);
            // What was listed since then, and has not left, belongs to the new one.
            for job in &mut self.jobs {
                let is_new = job.offered.first_listed >= since && job.again.is_none();
                let provided = job.provided.as_mut().filter(|_| is_new);
                let objects = provided.into_iter().flat_map(|(_, objects)| objects);
                objects
                    .filter(|it| **it == before)
                    .for_each(|it| it.clone_from(&now));
            }
            left.append(self.drop_unneeded());
        }
        Some(left)
    }

    /// Takes the keys that other tracks of its source have, or ask for.
    pub(crate) fn share_keys<'a>(
        &mut self,
        before: impl Iterator<Item = &'a Self> + Clone,
        behind: impl Iterator<Item = &'a Self> + Clone,
        now: Timestamp,
    ) {
        let before = before.map(|it| &it.resources);
        let behind = behind.map(|it| &it.resources);
        let others = before.clone().chain(behind.clone());
        let shared = self.resources.share_keys(before, behind);
        if self.resources.share_failures(others) | shared {
            let needs = self.jobs.iter().map(|job| &job.needs);
            let mut failing = needs.filter_map(|it| self.resources.trouble(it));
            self.trouble = failing.next_back().cloned().or(self.trouble.take());
            self.settle(now);
        }
    }

    /// What is stored beside segments, and must stay.
    pub(crate) fn held(&self) -> impl Iterator<Item = &ObjectName> {
        self.resources.stored().map(|it| &it.object)
    }

    /// A segment that cannot even be asked for: said for the first, and why nothing comes until one is
    /// stored.
    fn note_refused(&mut self, stage: &mut Stage<'_>, job: &Job) {
        let Some(error) = job
            .attempts
            .error
            .as_ref()
            .filter(|_| job.state == JobState::Failed)
        else {
            return;
        };
        // What is said of one is so of all that follow.
        if self.trouble.as_ref().map(discriminant) != Some(discriminant(error)) {
            stage.notify(Notice::SegmentRefused {
                media_sequence: job.offered.identity.media_sequence,
                error: error.clone(),
            });
        }
        self.trouble = Some(error.clone());
    }

    /// Asks for a segment that was listed before a restart of ours.
    pub(crate) fn again(&mut self, offered: Offered, target_duration: Span, again: Again) {
        let job = Job::new(offered, Some(again), self.keys, target_duration);
        self.jobs.push_back(job);
    }

    /// What was listed before the newest so many is past: the live edge does not wait for what could be made of it.
    pub(crate) fn begins_with(&mut self, newest: usize) {
        let past = self.jobs.iter_mut().rev().skip(newest);
        past.for_each(|job| job.past = true);
    }

    /// Starts what may be started, oldest first.
    pub(crate) fn advance(&mut self, stage: &mut Stage<'_>, asker: Asker) {
        let now = stage.now.monotonic;
        let mut room = self.room();
        // What many wait for comes first.
        let target_duration = self.target_duration;
        let untold = if self.is_text { "vtt" } else { "ts" };
        self.resources
            .advance(stage, asker, &self.looks, target_duration, &mut room);
        for job in &mut self.jobs {
            let startable = Self::startable_at(job, room, &self.resources);
            if startable.is_some_and(|at| at <= now) {
                let again = job.attempts.count > 0;
                job.start(stage, asker, &mut self.looks, target_duration, untold);
                let started = usize::from(job.request().is_some());
                room.all -= started;
                room.retries -= if again { started } else { 0 };
            }
        }
    }

    /// A segment is not stored while what it needs cannot be had: nobody could play it, and an outage
    /// of a key server would fill the store.
    fn startable_at(job: &Job, room: Room, resources: &Resources) -> Option<Timestamp> {
        let at = job.startable_at(room)?;
        (!resources.is_failing(&job.needs)).then_some(at)
    }

    /// How many downloads may be begun. Retries leave one place free: segments that hang one after the
    /// other must not keep a new one from its first attempt.
    fn room(&self) -> Room {
        let again = |job: &&Job| job.request().is_some() && job.attempts.count > 1;
        let retries = self.jobs.iter().filter(again).count();
        // Of a VOD there is time for the rungs of each: the next one is asked for once they are made.
        let all = match self.fixed && self.with_rungs {
            true => 1_usize.saturating_sub(self.awaiting_rungs()),
            false => limits::MAX_DOWNLOADS,
        };
        Room {
            all: all.saturating_sub(self.in_flight()),
            retries: (limits::MAX_DOWNLOADS - 1).saturating_sub(retries),
        }
    }

    /// Takes a completion; gives what it leaves behind, `None` where the request is not one of ours.
    pub(crate) fn completed(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<StoredSegment, FetchError>,
    ) -> Option<Leftovers> {
        let now = stage.now.monotonic;
        let target_duration = self.target_duration;
        if let Some(left) = self.looked_again(stage, request, outcome) {
            return Some(left);
        }
        let resources = &mut self.resources;
        if let Some(left) = resources.completed(stage, request, outcome, target_duration) {
            match outcome {
                Ok(stored) => self.looks.take(stored),
                Err(error) => self.trouble = Some(error.clone()),
            }
            self.settle(now);
            return Some(left);
        }
        let mut left = Leftovers::default();
        let mut jobs = self.jobs.iter_mut();
        let job = jobs.find(|job| job.request() == Some(request))?;
        match outcome {
            Ok(stored) => {
                self.looks.take(stored);
                job.store(now, stored.clone());
                if job.provided.is_some() {
                    self.trouble = None;
                    self.stored_at = Some(now);
                }
                // The origin serves again: what waits for a retry need not wait longer.
                for job in &mut self.jobs {
                    if let JobState::Waiting { retry_at } = &mut job.state {
                        *retry_at = now.min(*retry_at);
                    }
                }
            }
            Err(error) => {
                stage.counters.retries += 1;
                left.objects.extend(job.maybe_stored(error));
                job.fail(stage, error, self.target_duration);
                self.trouble = Some(error.clone());
            }
        }
        Some(left)
    }

    /// What is not there yet, and all behind it, as far as it ends after `from`, is to be had from another place:
    /// gives the first of it.
    pub(crate) fn give_way(&mut self, from: Place) -> Option<Offered> {
        let ends_after = |it: &Offered| it.place.is_some_and(|at| at + it.segment.duration > from);
        let waits =
            |job: &Job| job.had_at().is_none() && job.again.is_none() && ends_after(&job.offered);
        let first = self.jobs.iter().position(waits)?;
        let offered = self.jobs[first].offered.clone();
        let left = self.drop_from(first);
        self.unneeded.append(left);
        Some(offered)
    }

    /// What waits of a run stands so much later.
    pub(crate) fn delay(&mut self, run: u64, by: Span) {
        let of_run = self.jobs.iter_mut().filter(|job| job.offered.run == run);
        for job in of_run.filter(|job| job.again.is_none()) {
            job.offered.place = job.offered.place.map(|at| at + by);
        }
    }

    /// All that waits stands so many microseconds later.
    pub(crate) fn shift_by(&mut self, by: i64) {
        for job in self.jobs.iter_mut().filter(|job| job.again.is_none()) {
            job.offered.place = job.offered.place.map(|at| at.shifted_by(by));
        }
    }

    /// Drops everything: another source has taken over, or nothing is wanted any more.
    pub(crate) fn clear(&mut self) -> Leftovers {
        let mut left = self.drop_from(0);
        self.newest_needs.clear();
        left.append(self.keep_only(|_| false));
        left.append(self.take_unneeded());
        left
    }

    /// Keeps what is under way or stored, as far as nothing is missing in between: the next process
    /// goes on behind what was listed last. For a shutdown; gives what is dropped, where that is anything.
    pub(crate) fn only_in_flight(&mut self) -> Option<Leftovers> {
        let is_missing = |job: &Job| {
            let waits = matches!(job.state, JobState::Waiting { .. } | JobState::Failed);
            waits || self.resources.trouble(&job.needs).is_some()
        };
        let missing = self.jobs.iter().position(is_missing)?;
        Some(self.drop_from(missing))
    }

    fn drop_from(&mut self, index: usize) -> Leftovers {
        let mut left = Leftovers::default();
        for job in self.jobs.drain(index..) {
            left.append(job.leave());
        }
        left
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The first segment that has not left, unless it is one that was listed before.
    pub(crate) fn front(&self) -> Option<&Offered> {
        let front = self.jobs.front().filter(|job| job.again.is_none())?;
        Some(&front.offered)
    }

    /// The break before what waits of a run of the encoder, and where that begins.
    pub(crate) fn break_of(&self, run: u64) -> Option<(Place, Break)> {
        let new = self.jobs.iter().filter(|job| job.again.is_none());
        let mut of_run = new.filter(|job| job.offered.run == run);
        let first = &of_run.next()?.offered;
        let broken = first.broken.filter(|why| why.is_of_the_encoder());
        first.place.zip(broken)
    }

    /// The first one can leave.
    pub(crate) fn is_done(&self) -> bool {
        self.done_at().is_some()
    }

    /// Since when that is so.
    pub(crate) fn done_at(&self) -> Option<Timestamp> {
        self.jobs.front()?.complete_at()
    }

    pub(crate) fn in_flight(&self) -> usize {
        let busy = self.jobs.iter().filter(|job| job.request().is_some());
        busy.count() + self.resources.in_flight()
    }

    /// The first segment is complete.
    pub(crate) fn is_ready(&self) -> bool {
        let is_stored = |job: &Job| matches!(job.state, JobState::Stored { .. });
        let is_complete = |job: &&Job| is_stored(job) && job.complete_at().is_some();
        self.jobs.front().filter(is_complete).is_some()
    }

    /// When a failed segment is to be tried again.
    pub(crate) fn next_retry(&self) -> Option<Timestamp> {
        let room = self.room();
        let jobs = self.jobs.iter();
        let segments = jobs.filter_map(|job| Self::startable_at(job, room, &self.resources));
        let resources = self.resources.next_retry().filter(|_| room.all > 0);
        segments.chain(resources).min()
    }
}

fn find(listing: &Listing, number: u64) -> Option<&Offered> {
    let first = listing.listed.first()?.identity.media_sequence;
    listing
        .listed
        .get(usize::try_from(number.checked_sub(first)?).ok()?)
}
