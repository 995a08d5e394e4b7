//! What is made of segments that are stored, before they leave.

use super::job::{Job, JobState};
use super::{Asker, Downloader, Leftovers, is_placed};
use crate::checkpoint::SavedObject;
use crate::command::TranscodeInput;
use crate::event::{PreloadError, TranscodeError, Transcoded};
use crate::ids::{ObjectName, RequestId};
use crate::processor::{Arrived, Before, Material, Processor};
use crate::stage::Stage;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A segment that has left: the next one may play right behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Played {
    run: u64,
    number: u64,
    input: TranscodeInput,
}

impl Played {
    /// `None` where nothing can play behind it.
    pub(super) fn of(job: &Job, resources: &[SavedObject]) -> Option<Self> {
        let JobState::Stored { object, .. } = &job.state else {
            return None;
        };
        Some(Self {
            run: job.offered.run,
            number: job.offered.identity.media_sequence,
            input: TranscodeInput {
                object: object.clone(),
                init: init_of(job, resources),
            },
        })
    }

    /// Where a segment plays right behind it, on one timeline.
    fn before(&self, job: &Job) -> Before {
        let offered = &job.offered;
        let follows = offered.run == self.run
            && Some(offered.identity.media_sequence) == self.number.checked_add(1);
        let joined =
            !offered.segment.discontinuity && offered.broken.is_none() && offered.lost.is_none();
        if follows && joined {
            Before::Segment(self.input.clone())
        } else {
            Before::Nothing
        }
    }
}

impl Downloader {
    /// Begins the work on what is stored, and goes on with it. `alone`: it is the only track of its source.
    pub(crate) fn process(
        &mut self,
        stage: &mut Stage<'_>,
        asker: Asker,
        processor: &mut Processor,
        alone: bool,
    ) -> Leftovers {
        let mut left = Leftovers::default();
        if processor.is_idle() && self.jobs.iter().all(|job| job.work.is_none()) {
            return left;
        }
        for index in 0..self.jobs.len() {
            let before = self.before(index);
            // Only a work that begins asks for it.
            let waiting = match self.jobs[index].work {
                None => self.awaiting_rungs(),
                Some(_) => 0,
            };
            let job = &mut self.jobs[index];
            let (Some(stored_at), JobState::Stored { .. }, None) =
                (job.had_at(), &job.state, &job.again)
            else {
                continue;
            };
            if job.work.is_none() {
                let arrived = Arrived {
                    stored_at,
                    duration: job.offered.segment.duration,
                    takes_rungs: alone && !job.past,
                    vod: self.fixed,
                    waiting,
                };
                job.work = processor.begin(stage, &arrived);
            }
            let Some(mut work) = job.work.take() else {
                continue;
            };
            let material = material(job, before, asker);
            left.append(work.advance(stage, processor, &material));
            job.work = Some(work);
        }
        left
    }

    pub(super) fn awaiting_rungs(&self) -> usize {
        let works = self.jobs.iter().filter_map(|job| job.work.as_ref());
        works.filter(|work| work.awaits_rungs()).count()
    }

    /// What plays before the segment at that place in the queue.
    fn before(&self, index: usize) -> Before {
        let Some(previous) = index.checked_sub(1) else {
            let played = self.played.as_ref();
            return played.map_or(Before::Nothing, |it| it.before(&self.jobs[index]));
        };
        let previous = &self.jobs[previous];
        match &previous.state {
            JobState::Stored { .. } => match &previous.provided {
                Some((_, resources)) if previous.again.is_none() => {
                    let played = Played::of(previous, resources);
                    played.map_or(Before::Nothing, |it| it.before(&self.jobs[index]))
                }
                Some(_) => Before::Nothing,
                None => Before::Awaited,
            },
            JobState::Waiting { .. } | JobState::InFlight { .. } => Before::Awaited,
            JobState::Gap | JobState::Failed => Before::Nothing,
        }
    }

    /// Takes a completion; gives what it leaves behind, `None` where the request is not one of ours.
    pub(crate) fn transcoded(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &mut Processor,
        (request, outcome): (RequestId, &Result<Transcoded, TranscodeError>),
        asker: Asker,
    ) -> Option<Leftovers> {
        for index in 0..self.jobs.len() {
            let before = self.before(index);
            let job = &mut self.jobs[index];
            let Some(mut work) = job.work.take() else {
                continue;
            };
            let material = material(job, before, asker);
            let left = work.transcoded(stage, processor, request, outcome, &material);
            job.work = Some(work);
            if left.is_some() {
                return left;
            }
        }
        None
    }

    /// Takes a completion; whether the request is one of ours.
    pub(crate) fn preloaded(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &mut Processor,
        request: RequestId,
        outcomes: &[Result<(), PreloadError>],
    ) -> bool {
        let mut works = self.jobs.iter_mut().filter_map(|job| job.work.as_mut());
        works.any(|work| work.preloaded(stage, processor, request, outcomes))
    }

    /// When something is due for what is being made.
    pub(crate) fn work_due(&self) -> Option<Timestamp> {
        let works = self.jobs.iter().filter_map(|job| job.work.as_ref());
        works.filter_map(|work| work.due()).min()
    }

    /// So many segments are there, and something is being made of them.
    pub(crate) fn processing(&self) -> usize {
        self.jobs.iter().filter(|job| job.is_processed()).count()
    }

    /// Something is asked for, or being made.
    pub(crate) fn is_under_way(&self) -> bool {
        self.in_flight() > 0 || self.processing() > 0
    }

    /// How many are on their way, but for those that are there and of which something is being made.
    pub(crate) fn awaited(&self) -> usize {
        self.jobs.iter().filter(|job| !job.is_processed()).count()
    }
}

fn init_of(job: &Job, resources: &[SavedObject]) -> Option<ObjectName> {
    job.offered
        .segment
        .map
        .as_deref()
        .filter(|it| is_placed(it))?;
    resources.first().map(|it| it.object.clone())
}

fn material<'a>(job: &'a Job, before: Before, asker: Asker) -> Material<'a> {
    let object = match &job.state {
        JobState::Stored { object, .. } => object,
        JobState::Waiting { .. } | JobState::InFlight { .. } | JobState::Gap | JobState::Failed => {
            unreachable!("work is done on what is stored")
        }
    };
    let resources = job.provided.as_ref().map(|(_, resources)| &resources[..]);
    Material {
        object,
        init: resources.and_then(|it| init_of(job, it)),
        resources: resources.unwrap_or_default(),
        before,
        media_sequence: job.offered.identity.media_sequence,
        encrypted: !job.offered.segment.keys.is_empty() && job.decrypt.is_none(),
        asker,
    }
}
