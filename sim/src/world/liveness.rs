//! A look at the whole once a second: what must come about, not only what must not.

use super::audience::SLACK;
use super::{Due, World};
use crate::checks::chosen::chosen;
use crate::checks::ledger::MediaKey;
use crate::checks::list::ListChecks;
use crate::checks::switches::HEALTHY_FOR;
use crate::checks::{Held, broken};
use crate::origin::{EncoderFault, Fault, FaultKind, Keeps, MediaRef, Origin};
use crate::plan::Change;
use crate::published::Alternative;
use hls_relay_core::config::{
    HolePolicy, LONGEST_REST, ReloadPolicy, TRIED_SEGMENTS, stalled_after,
};
use hls_relay_core::event::Desired;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::notice::State;
use hls_relay_core::relay::Status;
use hls_relay_core::time::{Span, Timestamp};

/// What a machine holds is looked through once the world is as old as this, then each time that its age has
/// doubled: what is never let go has grown by then, and a look takes as long as some thousand steps.
const HOLDS_FROM: Span = Span::from_secs(60);
/// Everything of a stopped channel is freed within its longest promise and this.
const FREED_WITHIN: Span = Span::from_secs(60);

impl World {
    /// Once a second.
    pub(super) fn look(&mut self) -> Held {
        self.queue.push(self.now + Span::from_secs(1), Due::Look);
        self.is_bounded()?;
        if self.fate.stopping_for_good {
            return self.freed();
        }
        self.ends_in_time()?;
        self.gives_up_in_time()?;
        let steady = self.wish.desired == Desired::Run && self.calm_for(self.settling());
        if !steady {
            return Ok(());
        }
        let Some(source) = self.process.as_ref().map(|it| it.machine.source()) else {
            return Ok(());
        };
        match self.fate.source(source).map(|it| &self.origins[it]) {
            Some(origin) if origin.spec().keeps == Keeps::Vod => self.is_whole()?,
            Some(origin) => {
                self.is_live()?;
                self.offers_all(origin)?;
            }
            None => self.is_live()?,
        }
        self.keeps_up()?;
        self.rungs_are_back()?;
        self.is_of_the_source_in_use(source)?;
        self.is_on_the_first_source(source)
    }

    fn is_bounded(&self) -> Held {
        let objects = self.store.objects.len();
        let calm = self.calm_for(self.settling() * 2);
        self.bounds.stored(objects, calm)?;
        let works = self.process.as_ref().map_or(0, |it| it.works.len());
        self.bounds.under_way(works, self.queue.len())?;
        let age = self.now.since(Timestamp::default()).as_millis();
        let first = HOLDS_FROM.as_millis();
        let machine = self.process.as_ref().map(|it| &it.machine);
        let due = age.is_multiple_of(first) && (age / first).is_power_of_two();
        let machine = machine.filter(|_| due);
        machine.map_or(Ok(()), |machine| {
            self.bounds.machine(machine, self.plan.store.is_sure())
        })
    }

    /// What is listed last comes from the source that the machine says it relays, and the wish names, once
    /// the first version since it went over to that one can be visible: several tracks wait for each other.
    fn is_of_the_source_in_use(&self, source: usize) -> Held {
        let switched_at = self.process.as_ref().and_then(|it| it.switches.last());
        let listed_by = switched_at.map(|at| at + stalled_after(self.target()) + SLACK);
        if listed_by.is_some_and(|at| self.now < at) {
            return Ok(());
        }
        let wanted = self.fate.source(source);
        for (name, key, _) in self.visible() {
            if Some(key.origin) != wanted {
                return broken(
                    "what is listed last is of the source in use",
                    format!("{} from origin {wanted:?}, source {source}", name.0),
                    format!("{key:?}"),
                );
            }
        }
        Ok(())
    }

    fn status(&self) -> Option<Status> {
        let process = self.process.as_ref()?;
        let now = process.clocks(self.now, self.wall_at_start);
        Some(process.machine.status(now))
    }

    fn is_live(&self) -> Held {
        let state = self.process.as_ref().map(|it| it.machine.state());
        if state == Some(State::Live) || (state == Some(State::Stale) && self.asks_eagerly()) {
            return Ok(());
        }
        let Some(status) = self.status() else {
            return Ok(());
        };
        broken(
            "liveness: the state comes back to live",
            format!("live {} after the last fault", self.settling()),
            format!("{} because {:?}", status.state, status.reason),
        )
    }

    /// S-14, of a source that had ended before anybody asked for it: its lists end, behind all that they have.
    fn is_whole(&self) -> Held {
        let state = self.process.as_ref().map(|it| it.machine.state());
        let goes_on = self.store.playlists.iter().find(|(_, it)| !it.ended);
        if state == Some(State::Ended) && goes_on.is_none() {
            return self.is_as_long_as_its_source();
        }
        broken(
            "S-14 what has ended is relayed to its end",
            "ended, and EXT-X-ENDLIST in each list",
            format!("{state:?}, {:?} goes on", goes_on.map(|(name, _)| name)),
        )
    }

    /// Of what is listed whole, gaps stand for all that could not be had, at its beginning and at its end as well.
    fn is_as_long_as_its_source(&self) -> Held {
        if self.wish.spec.hole != HolePolicy::Gap || self.wish.spec.window.is_some() {
            return Ok(());
        }
        let at = self.now.since(Timestamp::default());
        for (name, key, _) in self.visible() {
            let offered = self.origins[key.origin].track(key.track);
            let offered = offered.segments_offered(at);
            let lasts: Span = offered.iter().map(|it| it.media.duration).sum();
            let exact = Span::from_millis(offered.len() as u64 + 1);
            let list = self.store.playlists.get(name).filter(|it| it.typed);
            let list = list.filter(|it| it.total.abs_diff(lasts) > exact);
            if let Some(list) = list {
                return broken(
                    "5.3 what is listed whole is as long as its source says",
                    format!("{} lasts {} ms", name.0, lasts.as_millis()),
                    format!("{} ms", list.total.as_millis()),
                );
            }
        }
        Ok(())
    }

    /// S-38: viewers are led to each rendition and each variant that the source has and the channel wants.
    fn offers_all(&self, origin: &Origin) -> Held {
        let presentation = origin.spec().presentation.as_ref();
        let (Some(entry), Some(presentation)) = (&self.store.multivariant, presentation) else {
            return Ok(());
        };
        if self.has_rungs || self.wish.spec.ladder.is_some() {
            return Ok(());
        }
        let offered = chosen(presentation, &self.wish.spec.selection);
        let led_to = |kind| entry.renditions.iter().filter(|it| it.kind == kind).count();
        let shown = [
            entry.variants.len(),
            led_to(Alternative::Audio),
            led_to(Alternative::Subtitles),
            led_to(Alternative::Video),
        ];
        if shown == offered {
            return Ok(());
        }
        broken(
            "S-38 all that is offered is offered",
            format!("{offered:?} variants, audio, subtitles, views"),
            format!("{shown:?}"),
        )
    }

    /// The state changes: for the worse only where something has gone wrong.
    pub(super) fn stays_live(&self, to: State) -> Held {
        let steady = self.wish.desired == Desired::Run && self.calm_for(self.settling());
        let silent = to == State::Stalled || (to == State::Stale && !self.asks_eagerly());
        if !steady || !silent {
            return Ok(());
        }
        broken(
            "liveness: the state stays live without a fault",
            "live",
            to.to_string(),
        )
    }

    /// A source that jitters can be looked at a moment too early, and is not to be asked again before half
    /// a target duration.
    fn asks_eagerly(&self) -> bool {
        let Some(process) = &self.process else {
            return false;
        };
        let source = self.wish.spec.sources.get(process.machine.source());
        source.is_some_and(|source| match self.store.multivariant {
            Some(_) => process.pace.is_any_eager(&source.url, self.now),
            None => process.pace.is_eager(&source.url, self.now),
        })
    }

    /// S-14: where a source has ended, and nothing else is wrong, our lists end, or come from a backup.
    fn ends_in_time(&self) -> Held {
        let ends =
            |fault: &Fault| matches!(fault.kind, FaultKind::Encoder(EncoderFault::EndList { .. }));
        let Some(first) = self
            .fate
            .source(0)
            .filter(|_| self.wish.desired == Desired::Run)
        else {
            return Ok(());
        };
        let only = self.fate.troubles.only(self.now, self.settling());
        let Some(only) = only.filter(|it| self.now < it.until) else {
            return Ok(());
        };
        let start = Timestamp::default();
        let is_only =
            |fault: &Fault| (start + fault.from, start + fault.until) == (only.from, only.until);
        let mut faults = self.origins[first].spec().faults.iter();
        if !faults.any(|fault| ends(fault) && is_only(fault)) {
            return Ok(());
        }
        // The last segment is looked for and stored, as any other is, and the list is looked at once a second.
        let allowed = self.target().scaled(3, 2) + SLACK;
        let goes_on = self.ledger.newest().find(|(name, key, _)| {
            let list = self.store.playlists.get(*name);
            key.origin == first && list.is_some_and(|it| !it.ended)
        });
        let Some((name, key, _)) = goes_on.filter(|_| self.now.since(only.from) > allowed) else {
            return Ok(());
        };
        broken(
            "S-14 a list ends when its source does",
            format!("{} ends within {} ms", name.0, allowed.as_millis()),
            format!("it goes on behind {key:?}"),
        )
    }

    /// DESIGN 5.3: a segment that cannot be had is given up in its time, and what is stored behind it is listed.
    fn gives_up_in_time(&self) -> Held {
        let Some(process) = &self.process else {
            return Ok(());
        };
        let relays = self.wish.desired == Desired::Run && process.closing.is_none();
        // Several wait for each other besides.
        if !relays || self.plan.tracks() > 1 {
            return Ok(());
        }
        let source = self.fate.source(process.machine.source());
        let started = [process.switches.last(), self.fate.last_wish];
        let started = started.into_iter().flatten().max().unwrap_or_default();
        // What is made of segments has a time of its own, and so has a version after another one.
        let allowed = self.target() + self.processing() + self.plan.wakes.by * 2 + SLACK;
        // Others were taken down; that of the source is kept for its rungs, whether or not viewers can have it, as
        // long as they have any.
        let has_any = self.has_rungs && !self.store.playlists.is_empty();
        let is_kept = |name: &&PlaylistName| {
            self.store.playlists.contains_key(*name) || (has_any && **name == self.source_list)
        };
        let names = self.ledger.newest().map(|(name, ..)| name);
        for name in names.filter(is_kept) {
            let Some(awaited) = self.ledger.waits_too_long(self.now, name, &self.origins) else {
                continue;
            };
            let stores = !self.plan.store.is_troubled(awaited.since, self.now);
            let followed = Some(awaited.key.origin) == source && awaited.since > started;
            if stores && followed && self.now > awaited.until + allowed {
                return broken(
                    "5.3 a segment is given up in its time",
                    format!(
                        "{:?} listed or a hole {} ms after it was first told of",
                        awaited.key,
                        (awaited.until + allowed).since(awaited.since).as_millis()
                    ),
                    format!("{} ms", self.now.since(awaited.since).as_millis()),
                );
            }
        }
        Ok(())
    }

    /// The newest of each list that viewers are led to and can load: others were taken down, or are not wanted any more.
    fn visible(&self) -> impl Iterator<Item = (&PlaylistName, MediaKey, MediaRef)> {
        let entry = self.store.multivariant.as_ref();
        let led_to =
            move |name: &PlaylistName| entry.is_none_or(|it| it.names().any(|it| it == name));
        let newest = self.ledger.newest();
        newest.filter(move |it| self.store.playlists.contains_key(it.0) && led_to(it.0))
    }

    /// What the making of rungs and the warming of edges may add.
    fn processing(&self) -> Span {
        let spec = &self.wish.spec;
        match spec.ladder.is_some() || spec.preload.is_some() {
            true => self.target(),
            false => Span::ZERO,
        }
    }

    /// The source's own media is listed; where it is not, what rungs lack is missing.
    pub(super) fn lists_source(&self) -> bool {
        let ladder = self.wish.spec.ladder.as_ref();
        ladder.is_none_or(|it| it.passthrough)
    }

    /// A rung that was left out comes back: each rests for so long at most, and is tried for a few segments.
    fn rungs_are_back(&self) -> Held {
        let Some(status) = self.status().filter(|_| self.has_rungs) else {
            return Ok(());
        };
        let tried = self.target() * (TRIED_SEGMENTS + 2) * status.rungs.len() as u64;
        let back = LONGEST_REST + tried + SLACK;
        let well = self.now.since(self.plan.workers.over_at()) > back;
        if !well || !self.calm_for(back) {
            return Ok(());
        }
        match status.rungs.iter().find(|it| it.suspended.is_some()) {
            None => Ok(()),
            Some(rung) => broken(
                "liveness: rungs that were left out come back",
                format!("{} within {back} of workers that are well", rung.name),
                format!("{:?}", rung.suspended),
            ),
        }
    }

    /// The live edge, and S-12's upper bound as the source keeps it.
    fn keeps_up(&self) -> Held {
        let at = self.now.since(Timestamp::default());
        let target = self.target();
        let allowed = match self.wish.spec.reload {
            ReloadPolicy::LastSegment => target.scaled(3, 2) + SLACK,
            ReloadPolicy::TargetDuration => target.scaled(9, 4) + SLACK,
        };
        let allowed = allowed + self.processing();
        if !self.lists_source() {
            return Ok(());
        }
        if self.visible().next().is_none() {
            return broken("liveness: something is listed", "a segment", "none");
        }
        for (name, key, media) in self.visible() {
            let list = self.store.playlists.get(name);
            let last = list.filter(|it| it.ended).and_then(|it| it.segments.last());
            if last.is_some_and(|it| it.gap) {
                // Nothing more could be had of it.
                continue;
            }
            // The oldest segment of this source that is not listed yet.
            let origin = self.origins[key.origin].track(key.track);
            let Some(listed_at) = origin.next_listed_at(media.run, media.number) else {
                continue;
            };
            let age = at.saturating_sub(listed_at);
            // A list that was on its way when it came, the next one, and the segment take so long each.
            let asked = self.origins[key.origin].slowest_reply() * 3;
            let allowed = allowed + asked + self.origins[key.origin].out_of_step();
            if age > allowed {
                return broken(
                    "liveness: the live edge is relayed",
                    format!(
                        "each segment at most {} ms after its source lists it",
                        allowed.as_millis()
                    ),
                    format!(
                        "{}: the one after {key:?} waits for {} ms",
                        name.0,
                        age.as_millis()
                    ),
                );
            }
        }
        Ok(())
    }

    /// After a minute of its health the first source is in use again.
    fn is_on_the_first_source(&self, source: usize) -> Held {
        let healthy = HEALTHY_FOR + self.target() * 4 + SLACK;
        // It is watched since another one is in use.
        let left_at = self.process.as_ref().and_then(|it| it.switches.last());
        let watched = left_at.is_none_or(|at| self.now.since(at) > healthy);
        if source == 0 || !watched || !self.calm_for(self.settling() + Span::from_secs(30)) {
            return Ok(());
        }
        broken(
            "liveness: back to the first source",
            format!("source 0 after {healthy} of health"),
            format!("source {source}"),
        )
    }

    /// A channel stopped for good leaves nothing behind.
    fn freed(&mut self) -> Held {
        let left = self.store.objects.len();
        let playlist = !self.store.playlists.is_empty() || self.store.multivariant.is_some();
        let process = self.process.as_ref();
        let works = process.map_or(0, |process| process.works.len());
        let waits = process.and_then(|process| process.machine.next_wakeup());
        let orders = process.map_or(0, |process| self.pool.waited_for(process.incarnation));
        if left == 0 && !playlist && works == 0 && orders == 0 && waits.is_none() {
            self.over = true;
            return self.balance();
        }
        let last = self.lists.values().filter_map(ListChecks::last);
        let longest = last.map(|version| version.total).max().unwrap_or_default();
        let allowed = longest * 2 + self.target() * 4 + FREED_WITHIN + Span::from_secs(120);
        if self.now.since(Timestamp::default() + self.plan.stop_at) <= allowed {
            return Ok(());
        }
        broken(
            "liveness: a stopped channel frees everything",
            "no object, no playlist, no work, no order, no wakeup",
            format!(
                "{left} objects, playlist {playlist}, {works} works, {orders} orders, {waits:?}"
            ),
        )
    }

    /// What was said about losses is what was lost, where one process lived through all of it.
    fn balance(&mut self) -> Held {
        self.ledger.settle(self.now, &self.origins)?;
        for viewer in 0..self.viewers.len() {
            let reels = 0..self.viewers[viewer].reels.len();
            reels
                .into_iter()
                .try_for_each(|reel| self.has_seen_all((viewer, reel)))?;
        }
        let totals = &self.ledger.totals;
        // Gaps that keep a track in step with others are told when it is left behind.
        let alone = self.plan.tracks() == 1;
        let stays = |change: &Change| match change {
            Change::Run | Change::Stop | Change::Sources(_) => false,
            Change::Window(_)
            | Change::Hole(_)
            | Change::Reload(_)
            | Change::Keys(_)
            | Change::Ladder(_)
            | Change::Selection(_)
            | Change::Nothing
            | Change::Outdated
            | Change::Invalid => true,
        };
        let steered = self.plan.controls.iter().any(|it| !stays(&it.change));
        let undisturbed = alone && self.incarnations == 1 && !steered && totals.changes == 0;
        // Nobody need say that a source has a gap of its own.
        let said = totals.missing - totals.own_gaps..=totals.missing;
        if undisturbed && !said.contains(&totals.said_missing) {
            return broken(
                "conservation: what is missing is said",
                format!("{said:?} segments"),
                format!("{} segments in notices", totals.said_missing),
            );
        }
        Ok(())
    }
}
