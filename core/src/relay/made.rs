//! What is made of segments while they wait to be listed: rungs, and edges that have them.

use super::Relay;
use super::lane::{Lane, Role};
use super::state::{ProcessingStatus, RungStatus};
use crate::downloader::Leftovers;
use crate::event::{Desired, PreloadError, TranscodeError, Transcoded};
use crate::ids::RequestId;
use crate::planted::Mistake;
use crate::publisher::Shown;
use crate::stage::Stage;
use std::sync::Arc;

impl Relay {
    /// Takes the ladder that is wanted into force, and goes on with the work on each segment.
    pub(super) fn process(&mut self, stage: &mut Stage<'_>) {
        let Some(spec) = self.spec.clone() else {
            return;
        };
        let wanted = spec.ladder.as_ref();
        if wanted.is_some() || self.publisher.has_rungs() {
            let runs = self.desired == Desired::Run;
            let in_force = self.publisher.settle_ladder(stage, wanted, runs);
            let ladder = wanted.filter(|_| in_force);
            self.processor.use_ladder(ladder);
        }
        self.processor
            .shared
            .kept_for(self.publisher.objects_kept());
        let mut left = Leftovers::default();
        for lane in [&mut self.active, &mut self.next].into_iter().flatten() {
            if lane.role == Role::Watching {
                continue;
            }
            let alone = lane.feeds.len() == 1;
            for index in 0..lane.feeds.len() {
                let asker = lane.asker(&lane.feeds[index]);
                let downloader = &mut lane.feeds[index].downloader;
                if lane.master.is_none() {
                    downloader.looks.wanted = self.publisher.has_rungs();
                }
                downloader.with_rungs = alone && self.processor.has_ladder();
                left.append(downloader.process(stage, asker, &mut self.processor, alone));
            }
        }
        self.abandon(stage, left);
    }

    pub(super) fn transcoded(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<Transcoded, TranscodeError>,
    ) {
        if let Some(objects) = self.abandoned_work.remove(&request) {
            let kept = stage.makes(Mistake::RungOrphanLeft);
            for object in objects.into_iter().filter(|_| !kept) {
                self.publisher.release(object, stage.now.monotonic);
            }
            return;
        }
        let mut left = None;
        for lane in [&mut self.active, &mut self.next].into_iter().flatten() {
            for index in 0..lane.feeds.len() {
                let asker = lane.asker(&lane.feeds[index]);
                let downloader = &mut lane.feeds[index].downloader;
                let own = (request, outcome);
                let of_it = || downloader.transcoded(stage, &mut self.processor, own, asker);
                left = left.or_else(of_it);
            }
        }
        self.abandon(stage, left.unwrap_or_default());
    }

    pub(super) fn preloaded(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcomes: &[Result<(), PreloadError>],
    ) {
        if self.abandoned_work.remove(&request).is_some() {
            return;
        }
        let lanes = [&mut self.active, &mut self.next].into_iter().flatten();
        let mut feeds = lanes.flat_map(|lane| &mut lane.feeds);
        let processor = &mut self.processor;
        feeds.any(|feed| {
            feed.downloader
                .preloaded(stage, processor, request, outcomes)
        });
    }

    pub(super) fn rung_statuses(&self) -> Vec<RungStatus> {
        let rungs = self.publisher.rungs();
        let status = |it: Shown<'_>| RungStatus {
            name: Arc::clone(it.name),
            bandwidth: it.bandwidth,
            lower: it.lower,
            complete: it.complete,
            suspended: self.processor.suspended(it.name).cloned(),
            lacks: self.processor.tally.why_lacking(it.name).cloned(),
            made: self.processor.tally.of(it.name),
        };
        rungs.into_iter().map(status).collect()
    }

    pub(super) fn processing_status(&self) -> ProcessingStatus {
        let tally = &self.processor.tally;
        ProcessingStatus {
            segments: self.active.as_ref().map_or(0, Lane::processing),
            made: tally.made,
            missed: tally.missed,
            waited: tally.last.map(|it| it.0),
            took: tally.last.map(|it| it.1),
            duration: tally.last.map(|it| it.2),
        }
    }
}
