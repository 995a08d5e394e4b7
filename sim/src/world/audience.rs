//! Viewers, and a look at the whole once a second: what must come about, not only what must not.

use super::{Due, World};
use crate::checks::ledger::{Ledger, MediaKey};
use crate::checks::list::ListChecks;
use crate::checks::{Held, broken};
use crate::origin::{EncoderFault, Fault, FaultKind, MediaRef};
use crate::plan::Change;
use crate::player::{Jump, Loaded, Seam, Stall, Stamps, Watched, Wish};
use crate::published::Listed;
use hls_relay_core::config::{
    LONGEST_REST, ReloadPolicy, SWITCH_AT_MOST_EVERY, TRIED_SEGMENTS, stalled_after,
};
use hls_relay_core::event::Desired;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::notice::State;
use hls_relay_core::relay::Status;
use hls_relay_core::time::{Span, Timestamp};
use std::ops::Range;

/// How much later than promised something may be seen: latencies of the network and the store.
const SLACK: Span = Span::from_secs(1);
/// From opening a multivariant playlist to the first request for what it leads to.
const OPENS: Span = Span::from_millis(20);
/// What a machine holds is looked through once the world is as old as this, then each time that its age has
/// doubled: what is never let go has grown by then, and a look takes as long as some thousand steps.
const HOLDS_FROM: Span = Span::from_secs(60);
/// Everything of a stopped channel is freed within its longest promise and this.
const FREED_WITHIN: Span = Span::from_secs(60);

impl World {
    /// A viewer asks for what it wants next of one of the playlists that it follows.
    pub(super) fn watch(&mut self, viewer: usize, reel: usize) -> Held {
        let now = self.now;
        if let Some(entry) = self.store.multivariant.as_ref().filter(|_| reel == 0) {
            let followed = self.viewers[viewer].reels.len();
            if self.viewers[viewer].open(entry) {
                let more = followed..self.viewers[viewer].reels.len();
                for reel in std::iter::once(0).chain(more) {
                    self.queue.push(now + OPENS, Due::Player { viewer, reel });
                }
                return Ok(());
            }
        }
        let Some(followed) = self.viewers[viewer].reels.get_mut(reel) else {
            return Ok(());
        };
        let player = &mut followed.player;
        let next = match player.wish() {
            Wish::Playlist => {
                let visible = self.store.playlists.get(&followed.name);
                let ledger = &self.ledger;
                let (next, jump) = player.playlist(now, visible, |it| stamps(ledger, it));
                if let Some(jump) = jump {
                    self.missed((viewer, reel), &jump)?;
                }
                next
            }
            Wish::Segment(listed) if listed.gap => {
                let entry = self.store.multivariant.as_ref().filter(|_| self.has_rungs);
                if entry.is_some_and(|entry| self.viewers[viewer].fall_back(entry)) {
                    now
                } else {
                    let player = &mut self.viewers[viewer].reels[reel].player;
                    player.segment(now, &listed, None).next
                }
            }
            Wish::Segment(listed) => {
                let object = self.store.objects.get(&*listed.uri);
                match object {
                    None if self.keep.promised(&listed.uri, now) => {
                        return broken(
                            "S-09 what was listed can be fetched for its time",
                            format!("{} for viewer {viewer}", listed.uri),
                            "not found",
                        );
                    }
                    // Lost with a process.
                    None => player.missing(now, &listed),
                    Some(object) if self.keep.content(&listed.uri) != Some(*object) => {
                        return broken(
                            "S-65 viewers get what was listed",
                            format!("{} as listed", listed.uri),
                            "other content",
                        );
                    }
                    Some(_) => {
                        let own = stamps(&self.ledger, &listed);
                        let Loaded { next, stall, seam } = player.segment(now, &listed, own);
                        if let Some(stall) = stall {
                            self.stalled((viewer, reel), stall)?;
                        }
                        if let Some(seam) = seam {
                            self.goes_on((viewer, reel), seam)?;
                            self.add_up((viewer, reel), seam)?;
                        }
                        if let Some(entry) = self.store.multivariant.as_ref().filter(|_| reel == 0)
                        {
                            self.viewers[viewer].switch(entry, self.has_rungs);
                        }
                        next
                    }
                }
            }
        };
        let next = next.max(now + Span::from_millis(1));
        self.queue.push(next, Due::Player { viewer, reel });
        Ok(())
    }

    /// What is listed stays until every viewer can have had it. Whoever has as much ahead as it takes is
    /// behind by more than a list holds: more was published than can be played in that time, or it stood
    /// still for long. What is gone with a process nobody could have.
    fn missed(&self, (viewer, reel): (usize, usize), jump: &Jump) -> Held {
        let reel = &self.viewers[viewer].reels[reel];
        let list = self.lists.get(&reel.name).filter(|_| jump.had_room);
        let mut skipped = list.into_iter().flat_map(|list| list.listed(&jump.skipped));
        let missed = skipped.find(|it| !it.gap && !self.keep.is_lost(&it.uri));
        let Some(missed) = missed else {
            return Ok(());
        };
        broken(
            "viewers can have what is listed",
            format!(
                "segment {} of {} until viewer {viewer} has looked again",
                missed.number, reel.name.0
            ),
            format!("gone {} ms after it had", jump.looked.as_millis()),
        )
    }

    /// Nothing is seen twice but for another wish, and another variant goes on where the one before was left:
    /// just there, while nothing is wrong. What follows in one playlist is judged as it is listed.
    fn goes_on(&self, (viewer, reel): (usize, usize), seam: Seam) -> Held {
        let Seam { last, now, .. } = seam;
        let half = (now.ends - now.begins) / 2;
        let again = |it: &Stamps| it.ends > now.begins + half && it.asked_for >= now.asked_for;
        let origin = &self.origins[now.timeline.0];
        let seen = seam.furthest.filter(again);
        if let Some(seen) = seen.filter(|_| !Ledger::may_repeat(origin)) {
            return self.sees("nothing that was seen", (viewer, reel), Some(seen), now);
        }
        // Whoever goes over to another variant while the channel goes over to another source meets both at once.
        let switched_at = self.process.as_ref().and_then(|it| it.switched_at);
        let switching = switched_at.is_some_and(|at| self.now.since(at) < self.settling());
        let calm = seam.of_another && !switching && self.calm_for(self.settling());
        let follows =
            |it: Stamps| it.timeline == now.timeline && it.ends.abs_diff(now.begins) <= half;
        if calm && !last.is_some_and(follows) {
            return self.sees("what comes next", (viewer, reel), last, now);
        }
        Ok(())
    }

    /// Adds a segment to what was watched, with what is missing before it.
    fn add_up(&mut self, (viewer, reel): (usize, usize), seam: Seam) -> Held {
        let now = seam.now;
        let watched = self.viewers[viewer].reels[reel].watched;
        let goes_on = |it: &Watched| {
            let (before, after) = (it.last.media, now.media);
            seam.follows
                && it.last.timeline == now.timeline
                && before.1 < after.1
                && before.0 == after.0
                && it.last.asked_for.is_of_one_life(now.asked_for)
        };
        let Some(watched) = watched.filter(goes_on) else {
            self.has_seen_all((viewer, reel))?;
            self.viewers[viewer].reels[reel].watched = Some(Watched::from(now));
            return Ok(());
        };
        let mut more = Watched {
            last: now,
            seen: watched.seen + (now.ends - now.begins),
            ..watched
        };
        let name = &self.viewers[viewer].reels[reel].name;
        for it in self.offered(now, watched.last.media.1 + 1..now.media.1) {
            if self
                .ledger
                .is_missing(name, MediaKey::of(now.timeline.0, &it))
            {
                more.missing += it.ticks;
            }
        }
        self.viewers[viewer].reels[reel].watched = Some(more);
        Ok(())
    }

    /// What the encoder has really made, of the timeline of a segment, with these numbers.
    fn offered(&self, of: Stamps, numbers: Range<u64>) -> Vec<MediaRef> {
        if numbers.is_empty() {
            return Vec::new();
        }
        let origin = self.origins[of.timeline.0].track(of.media.0);
        let at = self.now.since(Timestamp::default());
        let all = origin.segments_numbered(&numbers, at).into_iter();
        let media = all.map(|it| it.media);
        media.filter(|it| it.run == of.timeline.1).collect()
    }

    /// offered = seen + missing, in ticks, from the first segment of what was watched to the last.
    fn has_seen_all(&self, (viewer, reel): (usize, usize)) -> Held {
        // What is missing of a rung is missing by its maker, not by the source.
        if self.plan.rungs() > 0 {
            return Ok(());
        }
        let reel = &self.viewers[viewer].reels[reel];
        let Some(Watched {
            first,
            last,
            seen,
            missing,
        }) = reel.watched
        else {
            return Ok(());
        };
        let offered = self.offered(first, first.media.1..last.media.1 + 1);
        let offered: u64 = offered.iter().map(|it| it.ticks).sum();
        if offered == seen + missing {
            return Ok(());
        }
        broken(
            "viewers see all that is offered, but for what is missing",
            format!(
                "{offered} ticks from {first:?} to {last:?} by viewer {viewer} of {}",
                reel.name.0
            ),
            format!("{seen} seen and {missing} missing"),
        )
    }

    fn sees(
        &self,
        what: &str,
        (viewer, reel): (usize, usize),
        last: Option<Stamps>,
        now: Stamps,
    ) -> Held {
        let name = &self.viewers[viewer].reels[reel].name.0;
        broken(
            "viewers see each second once and in order",
            format!("viewer {viewer} of {name}: {what}, after {last:?}"),
            format!("{now:?}"),
        )
    }

    /// A picture stands still only where something went wrong not long before. After a single outage that
    /// is just the time in which segments are promised to be relayed again: a viewer who has that much
    /// ahead when it begins, and the outage itself, sees nothing of it.
    fn stalled(&self, (viewer, reel): (usize, usize), stall: Stall) -> Held {
        let (since, settling) = (stall.since, self.settling());
        let only = self.fate.only_trouble(since, settling);
        let outage = only.and_then(|it| Some((it.from, it.until + self.target() * it.recovery?)));
        let calm = match (outage, self.fate.quiet_since(since)) {
            // It looks at the list once in half a target duration.
            (Some((began, relayed)), _) => {
                (since > relayed + self.target().half() + SLACK).then_some(began)
            }
            (None, quiet) => quiet.map(|it| it + settling).filter(|calm| *calm <= since),
        };
        let Some(calm) = calm.filter(|_| self.wish.desired == Desired::Run) else {
            return Ok(());
        };
        // Who lists rungs alone has nothing else to list while the workers are in trouble.
        let workers = &self.plan.workers;
        if !self.lists_source() && workers.in_trouble(since - settling, stall.until) {
            return Ok(());
        }
        // Tracks are looked at at different times, and wait for each other.
        let waits = match self.store.multivariant {
            Some(_) => self.target().scaled(1, 4),
            None => Span::ZERO,
        };
        if stall.until.since(stall.since) <= waits {
            return Ok(());
        }
        // Whatever took from what it had ahead before, a stall or a source that made nothing for a while:
        // it goes on with less, as hls.js does, and then an irregular source alone can stop it.
        let from = Timestamp::default() + calm.since(Timestamp::default() + settling);
        let reel = &self.viewers[viewer].reels[reel];
        let lead = reel.player.lead(from, since);
        // Whoever goes over to another variant looks at its list out of turn, and then not for a while.
        let needed = match self.store.multivariant {
            None => self.target().scaled(5, 2),
            Some(_) => self.target() * 3,
        };
        if lead < needed {
            return Ok(());
        }
        broken(
            "viewers see no stall without a fault",
            format!("viewer {viewer} plays {} on", reel.name.0),
            format!(
                "nothing to play for {} ms from {} ms on",
                stall.until.since(stall.since).as_millis(),
                stall.since.as_micros() / 1_000
            ),
        )
    }

    /// Once a second.
    pub(super) fn look(&mut self) -> Held {
        self.queue.push(self.now + Span::from_secs(1), Due::Look);
        self.is_bounded()?;
        if self.fate.stopping_for_good {
            return self.freed();
        }
        self.ends_in_time()?;
        let steady = self.wish.desired == Desired::Run && self.calm_for(self.settling());
        if !steady {
            return Ok(());
        }
        let Some(source) = self.process.as_ref().map(|it| it.machine.source()) else {
            return Ok(());
        };
        self.is_live()?;
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
        let switched_at = self.process.as_ref().and_then(|it| it.switched_at);
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
        let at = self.now.since(Timestamp::default());
        let ends =
            |fault: &&Fault| matches!(fault.kind, FaultKind::Encoder(EncoderFault::EndList { .. }));
        let Some(first) = self
            .fate
            .source(0)
            .filter(|_| self.wish.desired == Desired::Run)
        else {
            return Ok(());
        };
        let faults = self.origins[first].spec().faults.iter();
        let Some(fault) = faults.filter(ends).find(|fault| fault.active(at)) else {
            return Ok(());
        };
        let (from, until) = (
            Timestamp::default() + fault.from,
            Timestamp::default() + fault.until,
        );
        let only = self.fate.only_trouble(self.now, self.settling());
        if only.is_none_or(|it| (it.from, it.until) != (from, until)) {
            return Ok(());
        }
        // The last segment is made first, then listed, looked for and stored.
        let mut allowed = self.target() * 4 + SLACK;
        if self.fate.source(1).is_some() {
            allowed += stalled_after(self.target()) + SWITCH_AT_MOST_EVERY;
        }
        let goes_on = self.ledger.newest().find(|(name, key, _)| {
            let list = self.store.playlists.get(*name);
            key.origin == first && list.is_some_and(|it| !it.ended)
        });
        let Some((name, key, _)) = goes_on.filter(|_| self.now.since(from) > allowed) else {
            return Ok(());
        };
        broken(
            "S-14 a list ends when its source does",
            format!("{} ends within {} ms", name.0, allowed.as_millis()),
            format!("it goes on behind {key:?}"),
        )
    }

    /// The newest of each list that viewers can load: others were taken down.
    fn visible(&self) -> impl Iterator<Item = (&PlaylistName, MediaKey, MediaRef)> {
        let newest = self.ledger.newest();
        newest.filter(|it| self.store.playlists.contains_key(it.0))
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
    fn lists_source(&self) -> bool {
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
            ReloadPolicy::TargetDuration => target.scaled(5, 2) + SLACK,
        };
        let allowed = allowed + self.processing();
        if !self.lists_source() {
            return Ok(());
        }
        if self.visible().next().is_none() {
            return broken("liveness: something is listed", "a segment", "none");
        }
        for (name, key, media) in self.visible() {
            // The oldest segment of this source that is not listed yet.
            let origin = self.origins[key.origin].track(key.track);
            let Some(listed_at) = origin.next_listed_at(media.run, media.number) else {
                continue;
            };
            let age = at.saturating_sub(listed_at);
            let allowed = allowed + self.origins[key.origin].out_of_step();
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
        let healthy = self.settling() + Span::from_secs(120);
        if source == 0 || !self.calm_for(healthy) {
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
        if left == 0 && !playlist && works == 0 && waits.is_none() {
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
            "no object, no playlist, no work, no wakeup",
            format!("{left} objects, playlist {playlist}, {works} works, {waits:?}"),
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
            | Change::Ladder(_)
            | Change::Nothing
            | Change::Outdated
            | Change::Invalid => true,
        };
        let steered = self.plan.controls.iter().any(|it| !stays(&it.change));
        // Where rungs alone are listed, what no worker could make is missing, too, and told as that.
        let of_source = self.lists_source();
        let undisturbed =
            alone && of_source && self.incarnations == 1 && !steered && totals.changes == 0;
        if undisturbed && totals.missing != totals.said_missing {
            return broken(
                "conservation: what is missing is said",
                format!("{} segments", totals.missing),
                format!("{} segments in notices", totals.said_missing),
            );
        }
        Ok(())
    }
}

/// What a player reads in a segment that it has loaded.
fn stamps(ledger: &Ledger, listed: &Listed) -> Option<Stamps> {
    let (key, media, asked_for) = ledger.media(&listed.uri)?;
    Some(Stamps {
        timeline: (key.origin, key.run),
        media: (key.track, key.number),
        begins: media.start_tick,
        ends: media.end_tick(),
        asked_for,
    })
}
