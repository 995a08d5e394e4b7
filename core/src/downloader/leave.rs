//! What leaves the front of the queue: in the order of the media, as what it has become, and at the latest when it is given
//! up.

use super::job::{Again, Job, JobState};
use super::works::Played;
use super::{Downloader, Leftovers};
use crate::checkpoint::SavedObject;
use crate::config::{self, KeyPolicy};
use crate::event::StoredSegment;
use crate::formats::Formats;
use crate::ids::ObjectName;
use crate::loader::Offered;
use crate::notice::HoleCause;
use crate::processor::{MadeRung, Work};
use crate::time::Timestamp;

/// What leaves the front of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Stored, or a gap of the source's own (then `stored` is `None`).
    Segment {
        offered: Offered,
        stored: Option<(ObjectName, StoredSegment)>,
        /// What it needs, in the order of its tags.
        resources: Vec<SavedObject>,
        /// What was made of it, and what it is made of.
        rungs: Vec<MadeRung>,
        formats: Option<Formats>,
        keys: KeyPolicy,
    },
    /// Given up.
    Hole { offered: Offered, cause: HoleCause },
    /// A segment of the window before our restart is there again, byte for byte, or is not.
    Again { object: ObjectName, restored: bool },
}

impl Downloader {
    /// What can leave from the front now. `last` says that nothing will follow: then a hole does not
    /// wait for a successor.
    pub(crate) fn next_done(&mut self, now: Timestamp, last: bool) -> Option<(Done, Leftovers)> {
        let mut left = Leftovers::default();
        let front = self.jobs.front()?;
        if front.complete_at().is_none() && self.give_up_at(front, last).is_none_or(|at| at > now) {
            return None;
        }
        let mut job = self.jobs.pop_front()?;
        let trouble = self.resources.trouble(&job.needs).cloned();
        let done = match (job.again.take(), job.provided.take()) {
            (Some(again), provided) => Self::done_again(job, again, provided, &mut left),
            (None, Some((_, resources))) if job.is_had() => self.done_new(job, resources),
            (None, _) => {
                let error = trouble.or(job.attempts.error.take());
                let cause = error.map_or(HoleCause::NeverListed, HoleCause::Failed);
                let offered = job.offered.clone();
                left.append(job.leave());
                Done::Hole { offered, cause }
            }
        };
        left.append(self.drop_unneeded());
        Some((done, left))
    }

    /// A segment that is there, or a gap of the source's own.
    fn done_new(&mut self, job: Job, resources: Vec<SavedObject>) -> Done {
        self.played = Played::of(&job, &resources);
        let (rungs, formats) = job.work.map_or_else(Default::default, Work::into_made);
        let stored = match job.state {
            JobState::Stored { object, stored, .. } => Some((object, stored)),
            JobState::Waiting { .. }
            | JobState::InFlight { .. }
            | JobState::Gap
            | JobState::Failed => None,
        };
        Done::Segment {
            offered: job.offered,
            stored,
            resources,
            rungs,
            formats,
            keys: job.keys,
        }
    }

    /// A segment that was listed before a restart of ours.
    fn done_again(
        job: Job,
        again: Again,
        provided: Option<(Timestamp, Vec<SavedObject>)>,
        left: &mut Leftovers,
    ) -> Done {
        let (JobState::Stored { object, stored, .. }, Some((_, resources))) =
            (&job.state, provided)
        else {
            left.append(job.leave());
            return Done::Again {
                object: again.object,
                restored: false,
            };
        };
        let restored = stored.hash == again.hash && resources == again.resources;
        let object = object.clone();
        if !restored {
            left.objects.push(object.clone());
        }
        Done::Again { object, restored }
    }

    /// Drops from the front what cannot be had, before anything was handed on: nobody waits for it.
    pub(crate) fn skip_lost(&mut self, now: Timestamp) -> Leftovers {
        let mut left = Leftovers::default();
        while let Some(front) = self.jobs.front() {
            let lost = front.state == JobState::Gap
                || (!self.is_ready() && self.give_up_at(front, false).is_some_and(|at| at <= now));
            if !lost {
                break;
            }
            if let Some(job) = self.jobs.pop_front() {
                left.append(job.leave());
            }
        }
        left
    }

    /// When the first segment is given up, as far as is known now.
    pub(crate) fn next_give_up(&self, last: bool) -> Option<Timestamp> {
        let front = self
            .jobs
            .front()
            .filter(|front| front.complete_at().is_none())?;
        self.give_up_at(front, last)
    }

    /// A segment is waited for at most three target durations after it was first listed; of a VOD, after it was first asked
    /// for, as nobody is at a live edge. Where nothing at all could be had it is waited for until something can: then both
    /// get a last half target duration, so that what the source still lists after an outage is relayed. Where nothing will
    /// follow there may be nothing that can: then that ends three target durations after anything could, as what was listed
    /// all at once takes its time, and not while some of it is on its way, which has limits of its own: unless this one has
    /// come up against them again and again.
    fn give_up_at(&self, front: &Job, last: bool) -> Option<Timestamp> {
        let patience = front.target_duration * config::SEGMENT_WAIT_TARGETS;
        let asked_at = front.asked_at.filter(|_| self.fixed);
        let waited = asked_at.unwrap_or(front.offered.first_listed) + patience;
        if front.is_processed() {
            // It is there, and its work has an end of its own.
            return None;
        }
        if front.is_lost() {
            return Some(front.offered.first_listed);
        }
        match self.jobs.iter().skip(1).filter_map(Job::complete_at).min() {
            Some(at) => Some(waited.max(at + front.target_duration.half())),
            None if !front.is_in_vain() && self.jobs.iter().any(|job| job.request().is_some()) => {
                None
            }
            None => last.then(|| waited.max(self.stored_at.unwrap_or_default() + patience)),
        }
    }
}
