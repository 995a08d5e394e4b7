//! Stage two: what is in flight, in which order, when to try again, when to give up.
//!
//! Jobs stand in the order of the media. Several are under way at once, so that a segment in trouble
//! does not hold up its successors; what is done leaves from the front only, so that viewers get it
//! in order. A segment that cannot be had leaves as a hole.

use crate::command::{ByteSpan, Command, Content, Download};
use crate::config;
use crate::event::{FetchError, StoredSegment};
use crate::ids::{ContentHash, Generation, ObjectName, RequestId};
use crate::limits;
use crate::loader::{Listing, Offered};
use crate::notice::{HoleCause, Notice};
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// The segments of one source that are wanted and not yet handed on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Downloader {
    jobs: VecDeque<Job>,
    target_duration: Span,
    /// Why downloads fail, while none succeeds.
    pub(crate) trouble: Option<FetchError>,
    /// A segment was last stored then.
    pub(crate) stored_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    offered: Offered,
    /// Of the list that was first to list it: what it is waited for by.
    target_duration: Span,
    /// The run of the encoder has ended or the list has moved on: it cannot be asked for anew.
    listed: bool,
    /// A segment that was listed before a restart of ours: its object and what it must hold.
    again: Option<(ObjectName, ContentHash)>,
    attempts: u32,
    /// The last failure.
    error: Option<FetchError>,
    state: JobState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum JobState {
    Waiting {
        retry_at: Timestamp,
    },
    InFlight {
        request: RequestId,
        object: ObjectName,
    },
    Stored {
        at: Timestamp,
        object: ObjectName,
        stored: StoredSegment,
    },
    /// Nothing is to be downloaded: the source says EXT-X-GAP (C-24).
    Gap,
    /// There is no URL to ask for.
    Failed,
}

/// How many downloads may be begun, and how many of them may be retries.
#[derive(Clone, Copy)]
struct Room {
    all: usize,
    retries: usize,
}

/// What leaves the front of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Stored, or a gap of the source's own (then `stored` is `None`).
    Segment {
        offered: Offered,
        stored: Option<(ObjectName, StoredSegment)>,
    },
    /// Given up.
    Hole { offered: Offered, cause: HoleCause },
    /// A segment of the window before our restart is there again, byte for byte, or is not.
    Again { object: ObjectName, restored: bool },
}

/// What to do with work and objects that nobody wants any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    pub(crate) requests: Vec<(RequestId, ObjectName)>,
    pub(crate) objects: Vec<ObjectName>,
}

impl Downloader {
    /// Takes what a load has brought: new jobs at the end, and for the others whether they are still
    /// listed and under which URL now (a token in its query may have changed).
    /// `take` says how many of the new ones at most, counted from the newest.
    pub(crate) fn listed(&mut self, stage: &mut Stage<'_>, listing: &Listing, take: usize) {
        self.target_duration = listing.target_duration;
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
            let job = Job::new(offered, None, listing.target_duration);
            self.note_refused(stage, &job);
            self.jobs.push_back(job);
        }
    }

    /// A segment that cannot even be asked for: said for the first, and why nothing comes until one is
    /// stored.
    fn note_refused(&mut self, stage: &mut Stage<'_>, job: &Job) {
        let Some(error) = job.error.as_ref().filter(|_| job.state == JobState::Failed) else {
            return;
        };
        if !matches!(self.trouble, Some(FetchError::BadUrl(_))) {
            stage.notify(Notice::SegmentRefused {
                media_sequence: job.offered.identity.media_sequence,
                error: error.clone(),
            });
        }
        self.trouble = Some(error.clone());
    }

    /// Asks for a segment that was listed before a restart of ours.
    pub(crate) fn again(
        &mut self,
        offered: Offered,
        target_duration: Span,
        (object, hash): (ObjectName, ContentHash),
    ) {
        let again = Some((object, hash));
        self.jobs
            .push_back(Job::new(offered, again, target_duration));
    }

    /// Starts what may be started, oldest first.
    pub(crate) fn advance(&mut self, stage: &mut Stage<'_>, from: (usize, Generation), tag: u32) {
        let now = stage.now.monotonic;
        let mut room = self.room();
        for job in &mut self.jobs {
            if job.startable_at(room).is_some_and(|at| at <= now) {
                let again = job.attempts > 0;
                job.start(stage, from, tag, self.target_duration);
                let started = usize::from(job.request().is_some());
                room.all -= started;
                room.retries -= if again { started } else { 0 };
            }
        }
    }

    /// How many downloads may be begun. Retries leave one place free: segments that hang one after the
    /// other must not keep a new one from its first attempt.
    fn room(&self) -> Room {
        let again = |job: &&Job| job.request().is_some() && job.attempts > 1;
        let retries = self.jobs.iter().filter(again).count();
        Room {
            all: limits::MAX_DOWNLOADS.saturating_sub(self.in_flight()),
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
        let mut left = Leftovers::default();
        let mut jobs = self.jobs.iter_mut();
        let job = jobs.find(|job| job.request() == Some(request))?;
        match outcome {
            Ok(stored) => {
                job.store(now, stored.clone());
                self.trouble = None;
                self.stored_at = Some(now);
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

    /// What can leave from the front now. `last` says that nothing will follow: then a hole does not
    /// wait for a successor.
    pub(crate) fn next_done(&mut self, now: Timestamp, last: bool) -> Option<(Done, Leftovers)> {
        let mut left = Leftovers::default();
        let front = self.jobs.front()?;
        match front.state {
            JobState::Stored { .. } | JobState::Gap => {}
            JobState::Waiting { .. } | JobState::InFlight { .. } | JobState::Failed => {
                if self.give_up_at(front, last).is_none_or(|at| at > now) {
                    return None;
                }
            }
        }
        let job = self.jobs.pop_front()?;
        let done = match (job.state, job.again) {
            (JobState::Stored { object, stored, .. }, Some((_, hash))) => {
                let restored = stored.hash == hash;
                if !restored {
                    left.objects.push(object.clone());
                }
                Done::Again { object, restored }
            }
            (JobState::Stored { object, stored, .. }, None) => Done::Segment {
                offered: job.offered,
                stored: Some((object, stored)),
            },
            (JobState::Gap, None) => Done::Segment {
                offered: job.offered,
                stored: None,
            },
            (state, again) => {
                if let JobState::InFlight { request, object } = state {
                    left.requests.push((request, object));
                }
                match again {
                    Some((object, _)) => Done::Again {
                        object,
                        restored: false,
                    },
                    None => {
                        let cause = job.error.map_or(HoleCause::NeverListed, HoleCause::Failed);
                        Done::Hole {
                            offered: job.offered,
                            cause,
                        }
                    }
                }
            }
        };
        Some((done, left))
    }

    /// Drops everything: another source has taken over, or nothing is wanted any more.
    pub(crate) fn clear(&mut self) -> Leftovers {
        self.drop_from(0)
    }

    /// Keeps what is under way or stored, as far as nothing is missing in between: the next process
    /// goes on behind what was listed last. For a shutdown.
    pub(crate) fn only_in_flight(&mut self) -> Leftovers {
        let is_missing =
            |job: &Job| matches!(job.state, JobState::Waiting { .. } | JobState::Failed);
        let missing = self.jobs.iter().position(is_missing);
        self.drop_from(missing.unwrap_or(self.jobs.len()))
    }

    fn drop_from(&mut self, index: usize) -> Leftovers {
        let mut left = Leftovers::default();
        for job in self.jobs.drain(index..) {
            match job.state {
                JobState::InFlight { request, object } => left.requests.push((request, object)),
                JobState::Stored { object, .. } => left.objects.push(object),
                JobState::Waiting { .. } | JobState::Gap | JobState::Failed => {}
            }
        }
        left
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.jobs
            .iter()
            .filter(|job| job.request().is_some())
            .count()
    }

    /// The first segment is stored.
    pub(crate) fn is_ready(&self) -> bool {
        self.jobs
            .front()
            .is_some_and(|job| matches!(job.state, JobState::Stored { .. }))
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
            if let Some(Job {
                state: JobState::InFlight { request, object },
                ..
            }) = self.jobs.pop_front()
            {
                left.requests.push((request, object));
            }
        }
        left
    }

    /// When a failed segment is to be tried again.
    pub(crate) fn next_retry(&self) -> Option<Timestamp> {
        let room = self.room();
        self.jobs
            .iter()
            .filter_map(|job| job.startable_at(room))
            .min()
    }

    /// When the first segment is given up, as far as is known now.
    pub(crate) fn next_give_up(&self, last: bool) -> Option<Timestamp> {
        let front = self
            .jobs
            .front()
            .filter(|front| front.stored_at().is_none())?;
        self.give_up_at(front, last)
    }

    /// A segment is waited for at most three target durations after it was first listed. Where nothing
    /// at all could be had it is waited for until something can: then both get a last half target
    /// duration, so that what the source still lists after an outage is relayed.
    fn give_up_at(&self, front: &Job, last: bool) -> Option<Timestamp> {
        let patience = front.target_duration * config::SEGMENT_WAIT_TARGETS;
        let waited = front.offered.first_listed + patience;
        let lost = match front.state {
            JobState::Failed => true,
            JobState::Waiting { .. } => !front.listed,
            JobState::InFlight { .. } | JobState::Stored { .. } | JobState::Gap => false,
        };
        if lost {
            return Some(front.offered.first_listed);
        }
        match self.jobs.iter().skip(1).filter_map(Job::stored_at).min() {
            Some(at) => Some(waited.max(at + front.target_duration.half())),
            None => last.then_some(waited),
        }
    }
}

impl Job {
    fn new(
        offered: Offered,
        again: Option<(ObjectName, ContentHash)>,
        target_duration: Span,
    ) -> Self {
        let retry_at = offered.first_listed;
        let error = offered.url.as_ref().err().cloned();
        let state = if offered.segment.gap && again.is_none() {
            JobState::Gap
        } else if error.is_some() {
            JobState::Failed
        } else {
            JobState::Waiting { retry_at }
        };
        Self {
            offered,
            target_duration,
            listed: true,
            again,
            attempts: 0,
            error,
            state,
        }
    }

    /// When it may be begun, with so much room.
    fn startable_at(&self, room: Room) -> Option<Timestamp> {
        let has_room = room.all > 0 && (self.attempts == 0 || room.retries > 0);
        match self.state {
            JobState::Waiting { retry_at } if self.listed && has_room => Some(retry_at),
            JobState::Waiting { .. }
            | JobState::InFlight { .. }
            | JobState::Stored { .. }
            | JobState::Gap
            | JobState::Failed => None,
        }
    }

    fn request(&self) -> Option<RequestId> {
        match self.state {
            JobState::InFlight { request, .. } => Some(request),
            JobState::Waiting { .. }
            | JobState::Stored { .. }
            | JobState::Gap
            | JobState::Failed => None,
        }
    }

    fn stored_at(&self) -> Option<Timestamp> {
        match self.state {
            JobState::Stored { at, .. } => Some(at),
            JobState::Gap => Some(self.offered.first_listed),
            JobState::Waiting { .. } | JobState::InFlight { .. } | JobState::Failed => None,
        }
    }

    fn start(
        &mut self,
        stage: &mut Stage<'_>,
        (source, generation): (usize, Generation),
        tag: u32,
        target_duration: Span,
    ) {
        let Ok(url) = &self.offered.url else {
            self.state = JobState::Failed;
            return;
        };
        let request = stage.request();
        let object = match &self.again {
            Some((object, _)) => object.clone(),
            None => object_name(tag, request, &self.offered.identity.path),
        };
        self.attempts += 1;
        stage.commands.push(Command::Download(Download {
            request,
            generation,
            epoch: stage.epoch,
            source,
            url: Arc::clone(url),
            content: Content::Segment,
            byte_range: self.offered.segment.byte_range.map(|range| ByteSpan {
                offset: range.offset,
                length: range.length,
            }),
            object: object.clone(),
            limits: config::segment_limits(target_duration),
        }));
        self.state = JobState::InFlight { request, object };
    }

    fn store(&mut self, at: Timestamp, stored: StoredSegment) {
        if let JobState::InFlight { object, .. } = &self.state {
            self.state = JobState::Stored {
                at,
                object: object.clone(),
                stored,
            };
        }
    }

    /// What a failure may have stored all the same. The next attempt has a name of its own, but for
    /// a segment that is to have its old one again.
    fn maybe_stored(&self, error: &FetchError) -> Option<ObjectName> {
        match (&self.state, error) {
            (JobState::InFlight { object, .. }, FetchError::Store(_)) if self.again.is_none() => {
                Some(object.clone())
            }
            _ => None,
        }
    }

    fn fail(&mut self, stage: &mut Stage<'_>, error: &FetchError, target_duration: Span) {
        self.error = Some(error.clone());
        if self.attempts == 1 {
            stage.notify(Notice::SegmentRetry {
                media_sequence: self.offered.identity.media_sequence,
                attempt: self.attempts,
                error: error.clone(),
            });
        }
        let wait = config::SEGMENT_RETRY * (1 << self.attempts.saturating_sub(1).min(16));
        // What was too large once is worth few attempts.
        let large = matches!(error, FetchError::TooLarge { .. });
        let wait = if large {
            target_duration
        } else {
            wait.min(target_duration.half())
        };
        let wait = stage.rng.jittered(wait);
        self.state = JobState::Waiting {
            retry_at: stage.now.monotonic + wait,
        };
    }
}

fn find(listing: &Listing, number: u64) -> Option<&Offered> {
    let first = listing.listed.first()?.identity.media_sequence;
    listing
        .listed
        .get(usize::try_from(number.checked_sub(first)?).ok()?)
}

/// A name that no other content ever has: the tag is the process's, the number the request's. The
/// extension is the source's where it is one of the field's, since servers choose the type by it.
fn object_name(tag: u32, request: RequestId, path: &str) -> ObjectName {
    const KNOWN: [&str; 9] = ["ts", "aac", "mp3", "ac3", "ec3", "mp4", "m4s", "m4a", "vtt"];
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let extension = KNOWN
        .iter()
        .find(|known| **known == extension)
        .unwrap_or(&"ts");
    ObjectName(format!("{tag:08x}-{}.{extension}", request.0).into())
}
