//! What must hold in a cluster, whatever happens to it.

use super::process::{Process, Run};
use super::world::World;
use crate::checks::list::ListChecks;
use crate::checks::{Held, broken};
use crate::published::Version;
use hls_relay_core::event::Desired;
use hls_relay_core::lease::LEASE;
use hls_relay_core::node::ChannelId;
use hls_relay_core::node::cluster::{Incarnation, NodeName};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A channel is live while its newest version is not older.
const FRESH: Span = Span::from_secs(7);
/// When all that is wanted at first has come about where nothing goes wrong.
pub(super) const SETTLED_AT: Span = Span::from_secs(24);

/// When others relay what a node can keep no more: it tries its store twice, is seen to have none, gives its channels,
/// and they are claimed and begun.
const TAKEN_AFTER: Span = Span::from_secs(21);

/// A channel that moves in good order is shown by nobody for less than this.
const ON_THE_MOVE: Span = Span::from_secs(3);

/// At the end no channel has moved for so long: who starts last does so when the faults are over, has its grace, and
/// is given what it is to have at a few scans.
const QUIET: Span = Span::from_secs(30);

/// All that was ever seen of a channel.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) list: ListChecks,
    /// The newest epoch that was visible, and whose.
    shown_by: Option<(u64, usize, u64)>,
    /// A version was saved that could not be shown.
    pub(super) unpublished: bool,
    /// What a change was answered with that nothing has been lost of since.
    pub(super) acknowledged: Option<u64>,
    /// The revision of the last change that was made.
    pub(super) newest_change: u64,
    /// It should run, in a world in which viewers must notice nothing.
    must_run: bool,
    /// In a world in which channels may move: when it was live last.
    live_at: Timestamp,
    /// When an owner began that could not know all that its viewers had seen.
    pub(super) state_lost_at: Option<Timestamp>,
    /// When another owner than before was visible first.
    moved_at: Option<Timestamp>,
}

impl World {
    /// Who shows a channel now, with the version: by the own clock of each.
    pub(super) fn showing(
        &self,
        id: &ChannelId,
    ) -> impl Iterator<Item = (usize, &Process, &Run, &Arc<Version>)> {
        let now = self.now;
        let checked = self.slip != Some(super::plan::Slip::ServedAfterLease);
        self.hosts.iter().enumerate().filter_map(move |(host, it)| {
            let process = it.process.as_ref()?;
            let run = process.runs.get(id)?;
            let list = run.list.as_ref()?;
            (!checked || process.may_act(now, &run.grant)).then_some((host, process, run, list))
        })
    }

    /// Whoever is asked, the answer is that of one owner.
    pub(super) fn one_shows(&self, id: &ChannelId) -> Held {
        let owner =
            |(host, _, run, _): (usize, &Process, &Run, _)| (run.grant.epoch.0, host, run.number);
        let mut owners: Vec<_> = self.showing(id).map(owner).collect();
        owners.dedup();
        if owners.len() <= 1 {
            return Ok(());
        }
        let names: Vec<_> = owners
            .iter()
            .map(|(epoch, host, _)| format!("n{host} in epoch {epoch}"))
            .collect();
        broken(
            "viewers see one owner at a time",
            format!("{id} by one node"),
            names.join(", "),
        )
    }

    /// A version is visible from now on.
    pub(super) fn shown(&mut self, host: usize, id: &ChannelId, version: &Arc<Version>) -> Held {
        self.one_shows(id)?;
        let Some(process) = self.hosts[host].process.as_ref() else {
            return Ok(());
        };
        let Some(run) = process.runs.get(id) else {
            return Ok(());
        };
        let (epoch, number, life) = (run.grant.epoch.0, run.number, process.life);
        let (skips, has_past) = (run.grant.skip.is_some(), run.has_past);
        let alone = process.is_alone(self.now, &run.grant);
        if !process.may_act(self.now, &run.grant) {
            return broken(
                "nothing is published after the lease",
                format!("{id} by a valid owner"),
                format!("n{host}"),
            );
        }
        self.lives_in_redis(host, &run.grant.incarnation, alone)?;
        let watch = self.channels.entry(id.clone()).or_default();
        let run = (epoch, host, life << 32 | number);
        let is_new = watch.shown_by.is_some_and(|it| it != run);
        if let Some((before, ..)) = watch.shown_by
            && (epoch < before || (is_new && epoch == before))
        {
            return broken(
                "epochs only grow",
                format!("above {before} for another owner of {id}"),
                epoch.to_string(),
            );
        }
        watch.shown_by = Some(run);
        if is_new {
            watch.moved_at = Some(self.now);
        }
        if is_new && (skips || !has_past) {
            watch.state_lost_at = Some(self.now);
        }
        let excuses = &mut watch.list.excuses;
        excuses.unpublished |= watch.unpublished || is_new;
        excuses.restarted |= is_new;
        excuses.head_lost |= is_new;
        if is_new && (skips || !has_past) {
            excuses.lost_state = true;
            excuses.wall = u64::MAX;
            excuses.stale = !has_past && self.redis_lost_all;
        }
        watch.unpublished = false;
        if is_new {
            self.count(if skips {
                "successor skipped"
            } else if has_past {
                "successor went on"
            } else {
                "successor had nothing"
            });
        }
        let watch = self.channels.entry(id.clone()).or_default();
        watch.list.visible(version)
    }

    /// Whoever is not alone publishes only while Redis has its key.
    fn lives_in_redis(&self, host: usize, incarnation: &Incarnation, alone: bool) -> Held {
        let lives = self.redis.lives_until(incarnation);
        if alone || lives.is_some_and(|it| self.now < it) || self.has_promises(host, incarnation) {
            return Ok(());
        }
        broken(
            "nothing is published after its validity by true time",
            format!("a key of n{host} in Redis"),
            "none",
        )
    }

    /// Redis is another one since a little while, or was away from everybody: then the peers have promised more
    /// than it knows.
    fn has_promises(&self, host: usize, incarnation: &Incarnation) -> bool {
        let lately = |at: Timestamp| at > Timestamp::default() && self.now.since(at) <= LEASE * 2;
        let process = self.hosts[host].process.as_ref();
        let valid = process.and_then(|it| it.valid.get(incarnation));
        lately(self.redis.changed_at)
            || valid.is_some_and(|it| it.alone || it.alone_at.is_some_and(lately))
    }

    /// A node says until when it may act: not longer than Redis keeps its key, unless it is alone.
    pub(super) fn valid_until(
        &self,
        host: usize,
        incarnation: &Incarnation,
        until: Timestamp,
        alone: bool,
    ) -> Held {
        self.is_not_revived(host, incarnation)?;
        let excused = alone || self.has_promises(host, incarnation);
        let Some(process) = self.hosts[host].process.as_ref().filter(|_| !excused) else {
            return Ok(());
        };
        let until = process.true_time(until);
        let Some(lives) = self
            .redis
            .lives_until(incarnation)
            .filter(|lives| *lives < until && self.now < until)
        else {
            return Ok(());
        };
        broken(
            "a lease ends at its owner before it ends in Redis",
            format!("n{host} valid until {} us", lives.as_micros()),
            format!("until {} us", until.as_micros()),
        )
    }

    /// What has run out goes on only by a key that has been there all along.
    fn is_not_revived(&self, host: usize, incarnation: &Incarnation) -> Held {
        let Some(process) = self.hosts[host].process.as_ref() else {
            return Ok(());
        };
        let before = process.valid.get(incarnation).map(|it| it.until);
        let Some(over) = before.filter(|until| process.local(self.now) >= *until) else {
            return Ok(());
        };
        let over = process.true_time(over);
        match self.redis.lives_since(incarnation) {
            Some(since) if since > over => broken(
                "an incarnation that has run out is not revived",
                format!("another one of n{host} after {} us", over.as_micros()),
                format!("the same, by a key of {} us", since.as_micros()),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// Once a second.
    pub(super) fn look(&mut self) -> Held {
        let at = self.now.since(Timestamp::default());
        let (why, gap) = if self.plan.is_static() {
            let why = "a viewer notices nothing of a Redis that is away";
            (why, Span::ZERO)
        } else if let Some(fault) = self.plan.store_alone() {
            let is_new = fault.from <= at && at < fault.from + TAKEN_AFTER;
            let why = "what a node cannot keep is relayed by another";
            (why, if is_new { TAKEN_AFTER } else { ON_THE_MOVE })
        } else if self.plan.store_in_common() {
            ("what no node can keep stays where it is", ON_THE_MOVE)
        } else {
            return Ok(());
        };
        if at == SETTLED_AT {
            let channels = self.redis.channels().iter();
            let runs = channels.filter(|it| it.1.runs());
            let runs: Vec<ChannelId> = runs.map(|it| it.0.clone()).collect();
            runs.into_iter()
                .for_each(|id| self.channels.entry(id).or_default().must_run = true);
        }
        let must_run = self.channels.iter().filter(|it| it.1.must_run);
        let must_run: Vec<_> = must_run.map(|(id, it)| (id.clone(), it.live_at)).collect();
        for (id, live_at) in must_run {
            let live = match self.showing(&id).next() {
                Some(_) if self.plan.store_in_common() => Ok(()),
                Some(_) | None => self.is_live(&id, why),
            };
            if live.is_ok() {
                self.channels.entry(id).or_default().live_at = self.now;
            } else if self.now.since(live_at) > gap {
                return live;
            }
        }
        Ok(())
    }

    fn is_live(&self, id: &ChannelId, why: &str) -> Held {
        match self.showing(id).next() {
            Some((host, _, _, version)) if self.now.since(version.at) > FRESH => broken(
                why,
                format!("{id} goes on"),
                format!(
                    "n{host} has shown nothing new since {} ms",
                    version.at.as_micros() / 1_000
                ),
            ),
            Some((host, _, _, version)) if version.ended => broken(
                why,
                format!("{id} goes on"),
                format!("it has ended at n{host}"),
            ),
            Some(_) => Ok(()),
            None => {
                let hash = self.redis.channels().get(id);
                let owner = hash
                    .and_then(|it| it.owner.as_ref())
                    .map(ToString::to_string);
                broken(
                    why,
                    format!("{id} is shown"),
                    format!("nobody shows it; its owner in Redis is {owner:?}"),
                )
            }
        }
    }

    /// Everything is healed for long: what should run runs, and nothing else does.
    pub(super) fn all_is_well(&self) -> Held {
        for (id, hash) in self.redis.channels() {
            let watch = self.channels.get(id);
            if let Some(acknowledged) = watch
                .and_then(|it| it.acknowledged)
                .filter(|it| *it > hash.record.revision)
            {
                return broken(
                    "what was acknowledged is not undone",
                    format!("{id} at revision {acknowledged} or later"),
                    hash.record.revision.to_string(),
                );
            }
            if hash.runs() {
                let places: usize = self.plan.nodes.iter().map(|it| it.capacity).sum();
                if places >= self.plan.channels {
                    self.is_live(id, "what should run is owned and live")?;
                }
                let told = self
                    .showing(id)
                    .map(|(_, process, ..)| process.machine.standings());
                let mut told = told.flatten().filter(|(it, ..)| *it == id);
                if let Some((_, record, _)) =
                    told.find(|(_, record, _)| record.revision != hash.record.revision)
                {
                    return broken(
                        "the last change wins",
                        format!("{id} at revision {}", hash.record.revision),
                        record.revision.to_string(),
                    );
                }
            } else if hash.unfinished || hash.removed {
                return broken(
                    "what should stop comes to rest",
                    format!("{id} released, or erased"),
                    format!(
                        "removed {}, unfinished {}, owner {:?}",
                        hash.removed, hash.unfinished, hash.owner
                    ),
                );
            }
        }
        self.is_spread()?;
        self.lost_changes_are_told()?;
        self.sees_what_it_is_about()?;
        for id in self.channels.keys() {
            let hash = self.redis.channels().get(id);
            let runs = hash.is_some_and(|it| it.record.desired == Desired::Run && !it.removed);
            if let Some((host, ..)) = self.showing(id).find(|_| !runs) {
                return broken(
                    "nothing runs that should not",
                    format!("{id} is shown by nobody"),
                    format!("n{host} shows it"),
                );
            }
            let acknowledged = self.channels.get(id).and_then(|it| it.acknowledged);
            if hash.is_none() && acknowledged.is_some() && !self.removed.contains(id) {
                return broken(
                    "what was acknowledged is not undone",
                    format!("{id} in Redis"),
                    "nothing",
                );
            }
        }
        Ok(())
    }

    /// A plan that was kept shows what it was kept for.
    fn sees_what_it_is_about(&self) -> Held {
        let is_missing = |it: &&String| !self.census.contains_key(&***it);
        match self.plan.sees.iter().find(is_missing) {
            Some(missing) => broken(
                "a plan shows what it is kept for",
                missing,
                "never happened",
            ),
            None => Ok(()),
        }
    }

    /// No channel could move so that its new owner were no fuller with it than the old one without it; and where
    /// nothing goes wrong any more, none has moved for a while.
    fn is_spread(&self) -> Held {
        let live: BTreeMap<&NodeName, usize> = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, it)| it.process.is_some())
            .map(|(number, it)| (&it.name, self.plan.nodes[number].capacity))
            .collect();
        let running = |name: &NodeName| {
            let channels = self.redis.channels().values().filter(|it| it.runs());
            let owners = channels.filter_map(|it| it.owner.as_ref());
            owners.filter(|it| it.node == *name).count()
        };
        let shares: Vec<_> = live
            .iter()
            .map(|(name, capacity)| (name, running(name), *capacity))
            .collect();
        for (giver, gives, its_capacity) in shares.iter().filter(|it| it.1 > 0) {
            let taker = shares.iter().find(|(_, takes, capacity)| {
                takes < capacity && (takes + 1) * its_capacity <= (gives - 1) * capacity
            });
            if let Some((taker, takes, capacity)) = taker {
                return broken(
                    "channels spread over the nodes by capacity",
                    format!("{giver} gives {taker} some of its channels"),
                    format!("{gives} of {its_capacity} there, {takes} of {capacity} here"),
                );
            }
        }
        let quiet_from = self.now.since(Timestamp::default() + QUIET);
        for (id, watch) in &self.channels {
            if let Some(at) = watch
                .moved_at
                .filter(|it| it.since(Timestamp::default()) > quiet_from)
            {
                return broken(
                    "channels stay where they are once they are spread",
                    format!("{id} not to move for {QUIET}"),
                    format!("another owner since {} ms", at.as_micros() / 1_000),
                );
            }
        }
        Ok(())
    }
}
