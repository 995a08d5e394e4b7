//! What befalls the process: wishes at the worst moments, sudden ends, and another start.

use super::troubles::Troubles;
use super::{Due, World, spec_of};
use crate::census::Crash;
use crate::checks::list::ListChecks;
use crate::checks::{Held, broken};
use crate::plan::{Change, ChannelPlan, EndKind, Moment, Plan, When};
use crate::process::Process;
use crate::store::{Store, StoreKind};
use hls_relay_core::checkpoint::SavedTrack;
use hls_relay_core::config::Spec;
use hls_relay_core::event::{Configure, Desired, Event};
use hls_relay_core::preload::PreloadPolicy;
use hls_relay_core::time::{Span, Timestamp};
use std::sync::Arc;

/// A wish or an end that waits for its moment comes without it after this.
const PATIENCE: Span = Span::from_secs(30);
/// From the wish to end in order until the process leaves.
const LEAVES_WITHIN: Span = Span::from_secs(30);

/// What is still to come, and what went wrong so far.
#[derive(Debug)]
pub(super) struct Fate {
    controls: Vec<Option<When>>,
    ends: Vec<Option<When>>,
    channel: ChannelPlan,
    pub(super) troubles: Troubles,
    pub(super) stopping_for_good: bool,
    /// Something was wished for last then.
    pub(super) last_wish: Option<Timestamp>,
    /// The channel was stopped then, and its list has not gone on since for long: it may end.
    pub(super) may_end: Option<Timestamp>,
}

impl Fate {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            controls: plan
                .controls
                .iter()
                .map(|control| Some(control.when))
                .collect(),
            ends: plan.ends.iter().map(|end| Some(end.when)).collect(),
            channel: plan.channel.clone(),
            troubles: Troubles::new(plan.troubles()),
            stopping_for_good: false,
            last_wish: None,
            may_end: None,
        }
    }

    /// The origin that is a source of the channel as it is wished for.
    pub(super) fn source(&self, number: usize) -> Option<usize> {
        self.channel.sources.get(number).copied()
    }
}

impl World {
    /// Whether nothing has gone wrong for so long.
    pub(super) fn calm_for(&self, span: Span) -> bool {
        let quiet = self.fate.troubles.quiet_since(self.now);
        quiet.is_some_and(|since| self.now.since(since) >= span)
    }

    /// After so long without trouble everything is as if there had been none.
    pub(super) fn settling(&self) -> Span {
        self.target() * 8 + Span::from_secs(45)
    }

    /// The longest target duration in this world.
    pub(super) fn target(&self) -> Span {
        let stated = self
            .plan
            .origins
            .iter()
            .map(|origin| origin.target_duration)
            .max();
        let newest = self.newest_version();
        let listed = newest.map_or(0, |version| version.target_duration);
        Span::from_secs(stated.unwrap_or(2).max(listed))
    }

    /// Puts wishes and ends into the queue, for those that need no moment or never get one.
    pub(super) fn arm(&mut self) {
        let healed = Timestamp::default() + self.plan.healed_at;
        let due = |when: When| {
            let at = Timestamp::default() + when.after;
            if when.moment.is_some() {
                (at + PATIENCE).min(healed)
            } else {
                at
            }
        };
        for (number, control) in self.plan.controls.iter().enumerate() {
            self.queue.push(due(control.when), Due::Control(number));
        }
        for (number, end) in self.plan.ends.iter().enumerate() {
            self.queue.push(due(end.when), Due::End(number));
        }
    }

    /// A moment that somebody may have waited for.
    pub(super) fn moment(&mut self, moment: Moment) -> Held {
        let at = self.now.since(Timestamp::default());
        let waits = |when: &Option<When>| {
            when.is_some_and(|when| when.moment == Some(moment) && when.after <= at)
        };
        while let Some(number) = self.fate.controls.iter().position(waits) {
            self.control_is_due(number, Some(moment))?;
        }
        while let Some(number) = self.fate.ends.iter().position(waits) {
            self.end_is_due(number, Some(moment))?;
        }
        Ok(())
    }

    pub(super) fn control_is_due(&mut self, number: usize, at: Option<Moment>) -> Held {
        if self.fate.controls[number].take().is_none() {
            return Ok(());
        }
        let change = self.plan.controls[number].change.clone();
        self.census.control(&change, at);
        self.wish(&change)
    }

    /// The owner wishes for something.
    pub(super) fn wish(&mut self, change: &Change) -> Held {
        self.fate.troubles.add(self.now, self.now);
        self.fate.last_wish = Some(self.now);
        self.fate.stopping_for_good |=
            *change == Change::Stop && self.now.since(Timestamp::default()) >= self.plan.stop_at;
        let mut desired = self.wish.desired;
        let channel = &mut self.fate.channel;
        match change {
            Change::Run => desired = Desired::Run,
            Change::Stop => desired = Desired::Stop,
            Change::Sources(sources) => channel.sources.clone_from(sources),
            Change::Window(window) => channel.window = *window,
            Change::Hole(hole) => channel.hole = *hole,
            Change::Reload(reload) => channel.reload = *reload,
            Change::Keys(keys) => channel.keys = *keys,
            Change::Ladder(ladder) => channel.ladder.clone_from(ladder),
            Change::Selection(selection) => channel.selection.clone_from(selection),
            Change::Nothing => {}
            Change::Outdated => return self.outdated_wish(),
            Change::Invalid => return self.invalid_wish(),
        }
        match desired {
            Desired::Run => {
                self.keep.run_wanted();
                if self.wish.desired == Desired::Stop {
                    self.ledger.begun();
                    self.ledger.follows_others(self.wish.revision + 1);
                }
            }
            Desired::Stop if self.wish.desired == Desired::Stop => {}
            Desired::Stop => {
                self.fate.may_end = Some(self.now);
                let mut visible = self.store.playlists.values();
                let ended = visible.any(|version| version.ended);
                self.keep.stop_wanted(self.now, ended);
            }
        }
        let spec = Arc::new(spec_of(&self.plan, &self.fate.channel));
        if let Some(process) = self
            .process
            .as_mut()
            .filter(|_| spec.sources != self.wish.spec.sources)
        {
            process.pace.followed_anew();
            process.retries.followed_anew();
        }
        if spec.sources != self.wish.spec.sources {
            self.ledger.follows_others(self.wish.revision + 1);
        }
        self.tell_line(&format!("-- wish: {change:?}"));
        self.wish = Configure {
            revision: self.wish.revision + 1,
            desired,
            spec,
        };
        self.tell_wish()?;
        self.moment(Moment::Configured)
    }

    fn tell_wish(&mut self) -> Held {
        self.bounds.wished(&self.wish.spec);
        self.ledger.wished(self.now, &self.wish.spec);
        self.step(Event::Configure(self.wish.clone()))
    }

    /// A spec that is wrong somewhere, as a new revision: nothing may come of it either.
    fn invalid_wish(&mut self) -> Held {
        let mut spec = Spec::clone(&self.wish.spec);
        self.wish.revision += 1;
        match self.wish.revision % 6 {
            0 => spec.sources.clear(),
            1 => spec.window = Some(0),
            2 => spec.tags.drop.push("EXTINF".into()),
            3 => spec.ladder = Some(crate::draw::ladder(&[], false)),
            4 => {
                spec.preload = Some(PreloadPolicy {
                    edges: Vec::new(),
                    patience: None,
                })
            }
            _ => spec.sources[0].url = "ftp://origin0.test/".into(),
        }
        let spec = Arc::new(spec);
        self.step(Event::Configure(Configure {
            spec,
            ..self.wish.clone()
        }))
    }

    /// A wish of an old revision that says the opposite: nothing may come of it.
    fn outdated_wish(&mut self) -> Held {
        let desired = match self.wish.desired {
            Desired::Run => Desired::Stop,
            Desired::Stop => Desired::Run,
        };
        self.step(Event::Configure(Configure {
            desired,
            ..self.wish.clone()
        }))
    }

    pub(super) fn end_is_due(&mut self, number: usize, at: Option<Moment>) -> Held {
        if self.fate.ends[number].take().is_none() {
            return Ok(());
        }
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        if process.closing.is_some() || process.dies_after.is_some() {
            return Ok(());
        }
        let end = self.plan.ends[number];
        self.census.end(end.how, at);
        if end.how == EndKind::ShutDown {
            process.closing = Some((number, self.now));
            // What is finished is listed at once then, whatever the pace.
            self.fate.troubles.add(self.now, self.now);
            return self.step(Event::ShutDown);
        }
        if end.commands > 0 {
            process.dies_after = Some((end.commands, number));
            return Ok(());
        }
        self.crash(number, Crash::BetweenSteps)
    }

    /// The process is gone without a word.
    pub(super) fn crash(&mut self, number: usize, place: Crash) -> Held {
        self.census.crash(place);
        self.end(number)
    }

    /// The process is gone.
    fn end(&mut self, number: usize) -> Held {
        let end = self.plan.ends[number];
        self.process = None;
        self.tell_line(&format!("-- the process ends: {:?}", end.how));
        let incarnation = self.incarnations;
        self.trace_line(|| format!("-- process {incarnation} ends: {:?}", end.how));
        self.store.crash(self.plan.store.kind);
        if self.plan.store.kind == StoreKind::Memory {
            self.keep.memory_lost();
        }
        // Where checkpoints could not be saved, a successor knows less than viewers do; where one was
        // saved and its playlist not yet visible, more.
        let (stale, ahead) = self.checkpoint_and_viewers();
        let lost_state = end.how == EndKind::KillAndLoseState;
        if stale {
            self.keep.knowledge_lost();
        }
        if lost_state {
            // Whoever knows nothing of a directory cannot keep what is in it.
            self.store = Store::default();
            self.keep.memory_lost();
        }
        self.excuse(|excuses| {
            excuses.lost_state |= lost_state || stale;
            excuses.stale |= stale;
            excuses.unpublished |= ahead;
            excuses.restarted = true;
        });
        self.ledger.restarted(lost_state || stale);
        if lost_state {
            self.ledger.all_lost();
        }
        self.fate.troubles.add(self.now, self.now + end.down);
        self.queue.push(self.now + end.down, Due::Start);
        Ok(())
    }

    /// Whether a successor will know less, or more, than viewers have seen.
    fn checkpoint_and_viewers(&self) -> (bool, bool) {
        let Some(saved) = &self.store.checkpoint else {
            return (self.newest_version().is_some(), false);
        };
        let ahead = |track: &SavedTrack| {
            let of_rungs = saved.checkpoint.rungs.as_ref().and(self.newest_version());
            let seen = self.lists.get(&track.name).and_then(ListChecks::last);
            let seen = of_rungs.or(seen);
            let seen = seen.map_or(0, |seen| seen.next_number());
            track.media_sequence + track.window.len() as u64 > seen
        };
        let stale = self
            .newest_version()
            .is_some_and(|seen| saved.version < seen.number);
        (stale, saved.checkpoint.tracks.iter().any(ahead))
    }

    pub(super) fn start(&mut self) -> Held {
        self.incarnations += 1;
        let incarnation = self.incarnations;
        self.trace_line(|| format!("-- process {incarnation} begins"));
        let saved = self.store.checkpoint.as_ref();
        let checkpoint = saved.map(|saved| Arc::clone(&saved.checkpoint));
        let wall = self.wall_at_start + self.now.since(Timestamp::default());
        let wall = u64::try_from(wall.as_micros() / 1_000_000).unwrap_or(0);
        self.excuse(|excuses| excuses.wall = wall);
        self.edges.process_began();
        self.process = Some(Process::start(
            self.plan.seed,
            self.incarnations,
            checkpoint,
            self.options.planted,
            self.plan.tracks(),
        ));
        self.tell_wish()
    }

    /// A process that was told to leave does so in time, and with everything in order.
    pub(super) fn leave_if_finished(&mut self) -> Held {
        let Some(process) = &self.process else {
            return Ok(());
        };
        let Some((end, since)) = process.closing else {
            return Ok(());
        };
        if !process.machine.is_finished() {
            if self.now.since(since) > LEAVES_WITHIN {
                return broken(
                    "a shutdown ends",
                    format!("within {LEAVES_WITHIN}"),
                    format!("still {} pieces of work", process.works.len()),
                );
            }
            return Ok(());
        }
        let waits = self.pool.waited_for(process.incarnation);
        if waits > 0 {
            return broken(
                "a shutdown leaves no order behind",
                "no worker at work for it",
                format!("{waits} orders"),
            );
        }
        self.end(end)
    }

    /// Everything that viewers see, with the names of several.
    fn in_full(&self) -> String {
        let Some(entry) = &self.store.multivariant else {
            let version = self.store.entry();
            return version.map_or_else(String::new, |it| self.ledger.in_full(it));
        };
        let mut text = entry.text.to_string();
        for (name, version) in &self.store.playlists {
            text.push_str(&format!(
                "---- {}\n{}",
                name.0,
                self.ledger.in_full(version)
            ));
        }
        text
    }

    /// The faults are over: from here on the channel must get well.
    pub(super) fn heal(&mut self) -> Held {
        if self.options.story {
            self.playlist = self.in_full();
        }
        self.fate
            .controls
            .iter_mut()
            .for_each(|control| *control = None);
        self.fate.ends.iter_mut().for_each(|end| *end = None);
        self.fate
            .channel
            .sources
            .clone_from(&self.plan.channel.sources);
        self.wish(&Change::Run)
    }
}
