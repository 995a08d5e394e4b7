//! What the channel's owner wants: configurations, stop, shutdown; and cleaning up after them.

use super::lane::{Lane, Role};
use super::{Left, LeftOver, Relay, ShutDown};
use crate::checkpoint::without_secrets;
use crate::command::Command;
use crate::config::{self, Source, Spec};
use crate::downloader::Leftovers;
use crate::event::{Configure, Desired};
use crate::ids::{Epoch, Generation, RequestId};
use crate::loader::Loader;
use crate::notice::{Break, Notice, Reason, State, SwitchReason};
use crate::planted::Mistake;
use crate::stage::Stage;
use std::sync::Arc;

impl Relay {
    /// Takes a configuration; the one before stays in force where it cannot be.
    pub(super) fn configure(&mut self, stage: &mut Stage<'_>, wanted: Configure) {
        let Configure {
            revision,
            desired,
            spec,
        } = wanted;
        let newer = u64::from(stage.makes(Mistake::RevisionOffByOne));
        let outdated = |in_force| revision + newer <= in_force;
        if self.revision.is_some_and(outdated) || self.shutdown.is_some() {
            return;
        }
        self.revision = Some(revision);
        if let Err(why) = spec.validate() {
            stage.notify(Notice::ConfigureRefused { revision, why });
            return;
        }
        self.generation.0 += 1;
        stage.notify(Notice::Configured {
            revision,
            generation: self.generation.0,
        });
        if self.spec.is_none() || !stage.makes(Mistake::UpdateLosesItsPolicies) {
            self.publisher.reconfigure(&spec);
        }
        let newest = RequestId(stage.counters.requests);
        self.processor.reconfigure(&spec, self.generation, newest);
        self.desired = desired;
        let before = self.spec.replace(spec);
        match desired {
            Desired::Stop => self.stop(stage),
            Desired::Run if self.active.is_none() => self.run(stage),
            Desired::Run => self.change(stage, before),
        }
    }

    /// Begins a run.
    fn run(&mut self, stage: &mut Stage<'_>) {
        let Some(spec) = self.spec.clone() else {
            return;
        };
        let now = stage.now;
        self.run_since = now.monotonic;
        let mut lane = self.lane(stage, 0, Role::Relaying);
        if let Some(before) = self.take_left_over(stage) {
            let known = |url: &str| {
                let same = |it: &Source| without_secrets(&it.url) == without_secrets(url);
                spec.sources.iter().position(same)
            };
            let positions = before.positions.iter().flatten();
            match positions.clone().find_map(|it| known(&it.source_url)) {
                Some(source) => {
                    lane = self.lane(stage, source, Role::Relaying);
                    lane.assumed = self.publisher.target_duration();
                    let silence = now.monotonic.since(before.at);
                    // What stands on the axis of several is a track of theirs, though it be the only one that is
                    // relayed; and what does not is alone, whatever is published beside it.
                    let of_several = positions.clone().any(|it| it.end.is_some());
                    let positions = before.positions.into_iter().enumerate();
                    let mut positions = positions.filter_map(|(at, it)| Some((at, it?)));
                    if of_several {
                        self.left_over = positions.collect();
                        (self.silence, self.had_ended) = (silence, before.ended);
                    } else if let Some((track, position)) = positions.next() {
                        let feed = &mut lane.feeds[0];
                        feed.track = Some(track);
                        feed.appended = position.known.last().map(|id| (0, id.media_sequence));
                        // Its first listing was had before: what follows is relayed whole.
                        feed.listed = !position.known.is_empty();
                        feed.loader.restore(position, silence, before.ended);
                    }
                }
                // What follows an end is a new run anyway.
                None if self.publisher.is_ended() => {}
                None => lane.feeds[0].breaks = Some(Break::SwitchedSource),
            }
        }
        self.active = Some(lane);
        self.become_state(stage, State::Starting, Reason::RunWanted);
    }

    /// What an earlier process has left, or the run that was stopped last.
    fn take_left_over(&mut self, stage: &Stage<'_>) -> Option<LeftOver> {
        let Some(saved) = self.checkpoint.take() else {
            return self.stopped.take().filter(|_| !self.publisher.is_empty());
        };
        self.publisher.restore(stage.now, &saved);
        let silence = stage.now.wall.since(saved.saved_at);
        let positions = saved.tracks.into_iter();
        let positions = positions.map(|it| Some(it.position?.later(silence)));
        Some(LeftOver {
            positions: positions.collect(),
            ended: saved.ended,
            at: stage.now.monotonic,
        })
    }

    /// Changes a running channel: what can stay stays, what cannot is replaced once its successor is
    /// ready.
    fn change(&mut self, stage: &mut Stage<'_>, before: Option<Arc<Spec>>) {
        let Some(spec) = self.spec.clone() else {
            return;
        };
        let now = stage.now.monotonic;
        let chosen_anew = before
            .as_ref()
            .is_some_and(|it| it.selection != spec.selection);
        let before = before.map_or_else(Vec::new, |before| before.sources.clone());
        let (same_sources, first) = (before == spec.sources, before.first().cloned());
        let generation = self.generation;
        let in_force = Generation(generation.0.saturating_sub(1));
        let index = |url: &Arc<str>| spec.sources.iter().position(|it| it.url == *url);
        for lane in [&mut self.active, &mut self.next].into_iter().flatten() {
            lane.loaders_mut().for_each(|it| it.reload = spec.reload);
            lane.keys = spec.keys;
            for feed in &mut lane.feeds {
                feed.downloader.keys = spec.keys;
            }
            // It is chosen from as it comes.
            if let Some(master) = lane.master.as_mut().filter(|_| chosen_anew) {
                master.loader.load_again(now, now);
            }
        }
        if same_sources || stage.makes(Mistake::UpdateLosesItsSources) {
            // A lane that still comes from an older configuration belongs to that one for as long as
            // it lives: its source is another one under the same place.
            let lanes = [&mut self.active, &mut self.next].into_iter().flatten();
            for lane in lanes.filter(|lane| lane.generation() == in_force) {
                let source = lane.source();
                lane.loaders_mut()
                    .for_each(|it| it.reconfigure(source, generation));
            }
            return;
        }
        if let Some(next) = self.next.take() {
            self.close(stage, next);
        }
        let Some(active) = &mut self.active else {
            return;
        };
        let place = index(active.source_url());
        if let Some(place) = place {
            active
                .loaders_mut()
                .for_each(|it| it.reconfigure(place, generation));
        }
        // A channel on a backup whose first source stays the same goes back to it by its health.
        if place.is_none() || (place != Some(0) && first != spec.sources.first().cloned()) {
            self.prepare(stage, 0, SwitchReason::Reconfigured);
        }
    }

    /// Ends the run: the presentation is closed, and everything under way is dropped.
    fn stop(&mut self, stage: &mut Stage<'_>) {
        let before = match &self.active {
            Some(active) => Some(LeftOver {
                positions: self.positions(stage.now.monotonic),
                ended: active.is_over(),
                at: stage.now.monotonic,
            }),
            None => self.take_left_over(stage),
        };
        for lane in [self.active.take(), self.next.take()].into_iter().flatten() {
            self.close(stage, lane);
        }
        self.publisher.end_early(stage);
        self.publisher.keep_closed_list_from(stage.now.monotonic);
        self.left_over.clear();
        // The next run begins where the source is then; but what has come to its end, or is kept whole, is listed once.
        let keeps_all = self.publisher.keeps_all();
        self.stopped = before.filter(|it| it.ended || keeps_all);
        let goes_on = self.stopped.is_some();
        for left in self.left.values_mut() {
            left.position = None;
            if goes_on {
                (left.seen, left.axis) = (None, None);
            }
        }
        self.become_state(stage, State::Stopped, Reason::StopWanted);
    }

    /// Takes a stopped presentation down once its time has passed.
    pub(super) fn finish_stop(&mut self, stage: &mut Stage<'_>) {
        if self.desired != Desired::Stop {
            return;
        }
        if !self.publisher.is_asking_store() {
            self.publisher.abandon_restoring(stage);
        }
        let due = self.publisher.take_down_due();
        let at_once = stage.makes(Mistake::TakenDownTooEarly);
        if due.is_some_and(|at| at <= stage.now.monotonic || at_once) {
            self.publisher.take_down(stage);
        }
    }

    /// The process wants to end.
    pub(super) fn shut_down(&mut self, stage: &mut Stage<'_>) {
        if self.shutdown.is_some() {
            return;
        }
        let until = stage.now.monotonic + config::SHUTDOWN_GRACE;
        self.shutdown = Some(ShutDown::Finishing { until });
        if let Some(next) = self.next.take() {
            self.close(stage, next);
        }
        if let Some(active) = &mut self.active {
            let loads: Vec<_> = active.loaders_mut().filter_map(Loader::stop).collect();
            let feeds = active.feeds.iter_mut();
            let left = feeds.filter_map(|it| it.downloader.only_in_flight());
            let left: Vec<_> = left.collect();
            if !left.is_empty() {
                // What is left to the next process is still to come: so nothing ends here.
                active.loaders_mut().for_each(|it| it.ended = false);
            }
            loads
                .into_iter()
                .for_each(|load| self.cancel(stage, Some(load)));
            left.into_iter().for_each(|left| self.abandon(stage, left));
        }
        self.publisher.hurry();
    }

    /// The channel is another's: nothing is published, deleted or saved any more.
    pub(super) fn give_up(&mut self, stage: &mut Stage<'_>, epoch: Epoch) {
        stage.notify(Notice::Fenced { epoch: epoch.0 });
        for lane in [self.active.take(), self.next.take()].into_iter().flatten() {
            self.close(stage, lane);
        }
        self.shutdown = Some(ShutDown::Fenced);
    }

    /// Leaves once what was in flight is listed and the checkpoint is saved.
    pub(super) fn finish_shutdown(&mut self, stage: &mut Stage<'_>) {
        let Some(ShutDown::Finishing { until }) = self.shutdown else {
            return;
        };
        let in_flight = self
            .active
            .as_ref()
            .is_some_and(|lane| lane.feeds.iter().any(|it| it.downloader.is_under_way()));
        if stage.now.monotonic < until && (in_flight || !self.publisher.is_settled()) {
            return;
        }
        let positions = self.positions(stage.now.monotonic);
        self.shutdown = Some(match self.publisher.saved(stage, positions) {
            // A window that is still being restored is saved as it was found.
            Some(checkpoint) if self.publisher.restoring.is_none() => {
                let request = stage.request();
                let epoch = stage.epoch;
                stage.commands.push(Command::SaveCheckpoint {
                    request,
                    epoch,
                    checkpoint,
                });
                ShutDown::Saving(request)
            }
            Some(_) | None => ShutDown::Finished,
        });
        if let Some(active) = self.active.take() {
            self.close(stage, active);
        }
    }

    /// Drops a lane and all its work.
    pub(super) fn close(&mut self, stage: &mut Stage<'_>, lane: Lane) {
        let now = stage.now.monotonic;
        let sources = self.spec.as_ref().map_or(&[][..], |spec| &spec.sources);
        let wanted = |url: &Arc<str>| sources.iter().any(|source| source.url == *url);
        self.left
            .retain(|_, left| left.pace.may_load_at > now || wanted(&left.of));
        let same = |left: &&mut Left| left.of == *lane.source_url();
        self.left
            .values_mut()
            .filter(same)
            .for_each(|left| (left.seen, left.axis) = (None, None));
        for loader in lane.loaders() {
            let left = self.left.entry(loader.asked_as());
            let left = left.or_insert_with(|| Left {
                pace: loader.pace(),
                position: None,
                seen: None,
                axis: None,
                of: Arc::clone(lane.source_url()),
            });
            left.pace = loader.pace();
            left.seen = lane.master.as_ref().and_then(|_| loader.seen());
        }
        for feed in &lane.feeds {
            let left = self.left.get_mut(&feed.loader.asked_as());
            if let Some(left) = left.filter(|left| left.seen.is_some()) {
                left.axis = Some(feed.axis.left_at(lane.shift));
            }
        }
        let (loads, left) = lane.close();
        loads
            .into_iter()
            .for_each(|load| self.cancel(stage, Some(load)));
        left.into_iter().for_each(|left| self.abandon(stage, left));
    }

    pub(super) fn cancel(&mut self, stage: &mut Stage<'_>, load: Option<RequestId>) {
        if let Some(request) = load {
            self.abandoned.insert(request, None);
            stage.commands.push(Command::Cancel { request });
        }
    }

    /// Cancels downloads and deletes objects that will never be listed.
    pub(super) fn abandon(&mut self, stage: &mut Stage<'_>, left: Leftovers) {
        for (request, object) in left.requests {
            self.abandoned.insert(request, Some(object));
            stage.commands.push(Command::Cancel { request });
        }
        for (request, objects) in left.work {
            self.processor
                .shared
                .answered(request, false, stage.now.monotonic);
            self.abandoned_work.insert(request, objects);
            stage.commands.push(Command::Cancel { request });
        }
        for object in left.objects {
            self.publisher.release(object, stage.now.monotonic);
        }
    }
}
