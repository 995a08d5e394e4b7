//! Workers make rungs of stored segments, and edges are warmed: in their time, or as the plan has it.

use super::{Due, World};
use crate::checks::{Held, broken};
use crate::process::{Making, Work, made_of};
use crate::store::StoreWork;
use crate::workers::pool::{Asker, News, Order, Pool, SETTLES};
use crate::workers::{WorkerFaultKind, WorkerPlan};
use hls_relay_core::command::{Preload, Transcode};
use hls_relay_core::config::LATE_SEGMENTS;
use hls_relay_core::event::{
    Event, FetchError, PreloadError, RungError, StoreError, StoredSegment, TranscodeError,
    Transcoded,
};
use hls_relay_core::formats::Formats;
use hls_relay_core::ids::{ObjectName, RequestId};
use hls_relay_core::notice::{Miss, Notice};
use hls_relay_core::planted::{Mistake, Planted};
use hls_relay_core::playlist::Resolution;
use hls_relay_core::time::{Span, Timestamp};

/// What is cancelled ends within this.
const STOPS_WITHIN: Span = Span::from_millis(100);
/// Somebody answers once more after this.
const AGAIN_AFTER: Span = Span::from_millis(300);
/// Who makes rungs only by workers knows within this that there are none.
const NOBODY_WITHIN: Span = Span::from_millis(20);
/// How high the source's picture is.
const SOURCE_HEIGHT: u32 = 720;
/// An edge that is well takes so long.
const EDGE_TAKES: Span = Span::from_millis(40);

/// The workers, and when they are looked at again.
#[derive(Debug)]
pub(super) struct SharedPool {
    pool: Pool,
    armed: u64,
    news: Vec<News>,
}

impl SharedPool {
    pub(super) fn new(plan: &WorkerPlan, planted: Planted) -> Self {
        Self {
            pool: Pool::new(plan.hands, &plan.neighbours, planted),
            armed: 0,
            news: Vec::new(),
        }
    }

    /// How many orders a process waits for.
    pub(super) fn waited_for(&self, incarnation: u64) -> usize {
        self.pool.waited_for(incarnation)
    }

    /// Only the last time it was armed counts.
    fn arm(&mut self) -> u64 {
        self.armed += 1;
        self.armed
    }
}

impl World {
    pub(super) fn transcode(&mut self, transcode: &Transcode) -> Held {
        self.are_stored(std::slice::from_ref(&transcode.input))?;
        let ladder = self.wish.spec.ladder.as_ref();
        let all = ladder
            .map_or(1, |it| it.rungs.len())
            .max(transcode.rungs.len());
        let share = transcode
            .duration
            .scaled(transcode.rungs.len() as u64, all as u64);
        let takes = share.scaled(self.plan.workers.percent, 100);
        let nobody = self.plan.workers.fault(self.now, false) == Some(WorkerFaultKind::Nobody);
        let asker = Asker::Relay {
            incarnation: self.incarnations,
            request: transcode.request,
        };
        let order = match nobody {
            true => None,
            false => {
                let pool = &mut self.pool.pool;
                pool.order(self.now, asker, takes, transcode.within)
            }
        };
        let work = Work::Making(Box::new(Making {
            transcode: transcode.clone(),
            order,
            begun: false,
            fault: None,
            cancelled: false,
            again: None,
            since: self.now,
        }));
        self.begin_work(transcode.request, work);
        if order.is_none() {
            self.began(asker, Some(WorkerFaultKind::Nobody));
            self.worker_is_due(transcode.request, NOBODY_WITHIN);
        } else {
            self.look_at_pool();
        }
        Ok(())
    }

    /// Something has changed for the pool.
    fn look_at_pool(&mut self) {
        let armed = self.pool.arm();
        self.queue.push(self.now, Due::Pool(armed));
    }

    /// The pool is looked at again when something happens in it.
    pub(super) fn arm_pool(&mut self) {
        if let Some(at) = self.pool.pool.due() {
            let armed = self.pool.arm();
            self.queue.push(at, Due::Pool(armed));
        }
    }

    pub(super) fn pool_is_due(&mut self, armed: u64) -> Held {
        if self.over || self.pool.armed != armed {
            return Ok(());
        }
        let (now, workers) = (self.now, &self.plan.workers);
        let mut news = std::mem::take(&mut self.pool.news);
        let calm = |since: Timestamp| {
            let from = since.as_micros().saturating_sub(SETTLES.as_micros());
            !workers.in_trouble(Timestamp::from_micros(from), now)
        };
        let fate = |order: &Order| workers.fate(now, order);
        let held = self.pool.pool.advance(now, fate, calm, &mut news);
        held?;
        self.arm_pool();
        for it in news.drain(..) {
            self.census.pool(&it);
            match it {
                News::Began(asker, fault) => self.began(asker, fault),
                News::Answered(asker, fault) => self.answered(asker, fault),
                News::Dead(asker) => self.answered(asker, Some(WorkerFaultKind::Vanish)),
                News::Refused | News::Again => {}
            }
        }
        self.pool.news = news;
        Ok(())
    }

    /// A worker has begun with something, and this befalls it.
    fn began(&mut self, asker: Asker, fault: Option<WorkerFaultKind>) {
        if let Some(making) = self.making_of(asker) {
            making.fault = fault;
            making.begun = fault != Some(WorkerFaultKind::Nobody);
            fault.into_iter().for_each(|it| self.census.worker(it));
        }
    }

    /// It comes among whatever else happens at that moment.
    fn answered(&mut self, asker: Asker, fault: Option<WorkerFaultKind>) {
        let making = self.making_of(asker).filter(|it| !it.cancelled);
        if let (Some(making), Asker::Relay { request, .. }) = (making, asker) {
            making.fault = fault;
            let incarnation = self.incarnations;
            let due = Due::Worker {
                incarnation,
                request,
            };
            self.queue.push(self.now, due);
        }
    }

    /// What the process that lives waits for.
    fn making_of(&mut self, asker: Asker) -> Option<&mut Making> {
        let Asker::Relay {
            incarnation,
            request,
        } = asker
        else {
            return None;
        };
        let process = self.process.as_mut();
        let process = process.filter(|it| it.incarnation == incarnation)?;
        match process.works.get_mut(&request) {
            Some(Work::Making(making)) => Some(making),
            Some(_) | None => None,
        }
    }

    pub(super) fn preload(&mut self, preload: &Preload) -> Held {
        self.are_stored(&preload.objects)?;
        self.edges.asked(self.now, preload)?;
        let fault = self.plan.workers.fault(self.now, true);
        fault.into_iter().for_each(|it| self.census.worker(it));
        // Nobody waits longer for one that has more to do.
        let late = || Err(PreloadError::TooSlow(preload.within));
        let well = match EDGE_TAKES <= preload.within {
            true => Ok(()),
            false => late(),
        };
        let first = match fault {
            Some(WorkerFaultKind::EdgeHangs) => late(),
            Some(_) if well.is_ok() => Err(PreloadError::Failed(FetchError::Status(503))),
            Some(_) | None => well.clone(),
        };
        let takes = match &first {
            Err(PreloadError::TooSlow(within)) => *within,
            Ok(()) | Err(_) => EDGE_TAKES,
        };
        let others = preload.edges.iter().skip(1).map(|_| well.clone());
        let outcomes = std::iter::once(first).chain(others).collect();
        self.begin_work(preload.request, Work::Warming(outcomes));
        self.worker_is_due(preload.request, takes);
        Ok(())
    }

    /// Nobody is asked to make something of what is not there.
    fn are_stored(&self, objects: &[ObjectName]) -> Held {
        let there = |it: &&ObjectName| self.store.objects.contains_key(*it);
        match objects.iter().find(|it| !there(it)) {
            None => Ok(()),
            Some(missing) => broken(
                "something is made only of what is stored",
                format!("an object named {missing}"),
                "none",
            ),
        }
    }

    /// Workers that are enough, and well, are no reason to leave out a rung, however many segments come at once.
    pub(super) fn is_left_out_by_right(&self, notice: &Notice) -> Held {
        let Notice::RungSuspended { rung, why, .. } = notice else {
            return Ok(());
        };
        let too_slow = matches!(
            why,
            Miss::Late(_)
                | Miss::NotMade(
                    TranscodeError::TooSlow(_)
                        | TranscodeError::NoWorker(_)
                        | TranscodeError::WorkerLost(_)
                )
        );
        let (workers, target) = (&self.plan.workers, self.target());
        let before = SETTLES + target * LATE_SEGMENTS;
        let from = self.now.as_micros().saturating_sub(before.as_micros());
        let in_trouble = workers.in_trouble(Timestamp::from_micros(from), self.now);
        if !too_slow || in_trouble || !workers.are_enough(target) {
            return Ok(());
        }
        broken(
            "a rung is left out only where workers cannot keep up",
            format!("{rung} made"),
            format!("left out: {why}"),
        )
    }

    fn worker_is_due(&mut self, request: RequestId, takes: Span) {
        let incarnation = self.incarnations;
        let due = Due::Worker {
            incarnation,
            request,
        };
        self.queue
            .push(self.now + takes.max(Span::from_micros(1)), due);
    }

    /// Work on rungs or edges is cancelled.
    pub(super) fn stop_making(&mut self, request: RequestId) {
        let Some(process) = self.process.as_mut() else {
            return;
        };
        match process.works.get_mut(&request) {
            Some(Work::Making(making)) => {
                making.cancelled = true;
                let order = making.order;
                order
                    .into_iter()
                    .for_each(|it| self.pool.pool.take_back(self.now, it));
            }
            Some(Work::Warming(outcomes)) => {
                outcomes.fill(Err(PreloadError::Cancelled));
            }
            Some(_) | None => return,
        }
        self.worker_is_due(request, STOPS_WITHIN.half());
        self.look_at_pool();
    }

    /// A worker, or an edge, has come to an end.
    pub(super) fn worker(&mut self, request: RequestId) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        match process.works.remove(&request) {
            Some(Work::Warming(outcomes)) => {
                let is_cancelled = outcomes.contains(&Err(PreloadError::Cancelled));
                self.edges.answered(self.now, request, is_cancelled);
                self.step(Event::Preloaded { request, outcomes })
            }
            Some(Work::Making(making)) => self.made(request, *making),
            Some(other) => {
                process.works.insert(request, other);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn made(&mut self, request: RequestId, mut making: Making) -> Held {
        if let Some(outcome) = making.again.take() {
            return self.step(Event::Transcoded { request, outcome });
        }
        if making.since + making.transcode.within <= self.now {
            for it in &making.transcode.rungs {
                self.edges.too_late(self.now, &it.object);
            }
        }
        let outcome = self.outcome_of(&making);
        let twice = making.fault == Some(WorkerFaultKind::AnswerTwice) && !making.cancelled;
        if twice {
            making.again = Some(outcome.clone());
            self.begin_work(request, Work::Making(Box::new(making)));
            self.worker_is_due(request, AGAIN_AFTER);
        }
        self.step(Event::Transcoded { request, outcome })
    }

    fn outcome_of(&mut self, making: &Making) -> Result<Transcoded, TranscodeError> {
        let lost = || TranscodeError::WorkerLost("it is not heard of".into());
        let is_made = match making.fault {
            Some(WorkerFaultKind::TooFarToStop) => true,
            _ if making.cancelled => {
                // What was under way when it was stopped may have come to the store.
                self.make(making, usize::from(making.begun));
                return Err(TranscodeError::Cancelled);
            }
            Some(WorkerFaultKind::Die) => {
                self.make(making, 1);
                return Err(lost());
            }
            Some(WorkerFaultKind::Vanish) => return Err(lost()),
            Some(WorkerFaultKind::Undecodable) => {
                return Err(TranscodeError::Undecodable("no picture in it".into()));
            }
            Some(WorkerFaultKind::Unsupported) => {
                let why = "a picture without a time".into();
                return Err(TranscodeError::Unsupported(why));
            }
            Some(WorkerFaultKind::StoreFails) => {
                let error = StoreError::Failed("it cannot be read".into());
                return Err(TranscodeError::Store(error));
            }
            Some(WorkerFaultKind::GiveUp) => {
                return Err(TranscodeError::TooSlow(making.transcode.within));
            }
            Some(WorkerFaultKind::Nobody) => {
                return Err(TranscodeError::NoWorker("all are busy".into()));
            }
            Some(_) | None => true,
        };
        debug_assert!(is_made);
        let rungs = self.make(making, usize::MAX);
        Ok(Transcoded {
            input: formats(SOURCE_HEIGHT),
            rungs,
            waited: Span::ZERO,
            took: self.now.since(making.since),
        })
    }

    /// Stores the first of what is made.
    fn make(&mut self, making: &Making, most: usize) -> Vec<Result<StoredSegment, RungError>> {
        let transcode = &making.transcode;
        let input = self.store.objects.get(&transcode.input).copied();
        let mut outcomes = Vec::new();
        for (at, rung) in transcode.rungs.iter().enumerate().take(most) {
            let failure = match making.fault.filter(|_| at == 0) {
                Some(WorkerFaultKind::OneFails) => Some(RungError::Encode("no memory".into())),
                Some(WorkerFaultKind::OneInexact) => Some(RungError::Inexact("a tick off".into())),
                Some(_) | None => None,
            };
            if let Some(failure) = failure {
                outcomes.push(Err(failure));
                continue;
            }
            let Some(input) = input else {
                let error = StoreError::Failed("the segment is gone".into());
                outcomes.push(Err(RungError::Store(error)));
                continue;
            };
            let mut stored = made_of(&input, rung, transcode.duration);
            let (applied, answer) = self.put_made(StoreWork::Put);
            if applied {
                self.store.put(rung.object.clone(), &stored);
                let later = self.options.planted.makes(Mistake::RungBeginsATickLater);
                let (made, of) = (&rung.object, &transcode.input);
                self.ledger.made(made, of, u64::from(later));
            }
            stored.formats = Some(Ok(formats(rung.height.min(SOURCE_HEIGHT))));
            outcomes.push(answer.map(|()| stored).map_err(RungError::Store));
        }
        outcomes
    }
}

fn formats(height: u32) -> Formats {
    let height = u64::from(height);
    Formats {
        codecs: vec!["avc1.64001f".into(), "mp4a.40.2".into()],
        resolution: Some(Resolution {
            width: height * 16 / 9,
            height,
        }),
        frame_rate: Some(25_000),
    }
}
