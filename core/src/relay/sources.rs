//! Which source is relayed: failover, the return to the first, and make before break.

use super::lane::{Lane, Role};
use super::{LeftAt, Relay};
use crate::checkpoint::SavedPosition;
use crate::config;
use crate::event::Desired;
use crate::limits;
use crate::loader::Listing;
use crate::notice::{Break, Limit, Notice, SwitchReason};
use crate::planted::Mistake;
use crate::stage::Stage;
use crate::time::{Span, Timestamp, WallTime};
use std::sync::Arc;

/// Date-times of two sources that are further apart come from clocks that mean different things.
const COMPARABLE_CLOCKS: Span = Span::from_secs(60);

impl Relay {
    pub(super) fn lane(&self, stage: &Stage<'_>, source: usize, role: Role) -> Lane {
        let now = stage.now.monotonic;
        let spec = self
            .spec
            .as_ref()
            .map(|spec| (spec.sources.get(source), (spec.reload, spec.keys)));
        let (Some(config), (reload, keys)) = spec.unwrap_or_default() else {
            unreachable!("a lane is made for a source of the spec in force");
        };
        let source = (source, config);
        let mut lane = Lane::new(now, role, source, self.generation, reload, self.tag);
        lane.keys = keys;
        lane.feeds[0].downloader.keys = keys;
        if let Some(left) = self.left.get(&lane.feeds[0].loader.url) {
            if !stage.makes(Mistake::PaceForgotten) {
                lane.feeds[0].loader.keep_pace(left.pace);
            }
            if let Some(left) = left.position.clone() {
                let silence = now.since(left.grown_at);
                lane.feeds[0]
                    .loader
                    .restore(left.position, silence, left.ended);
            }
        }
        lane
    }

    /// Begins to prepare another source while the present one goes on.
    pub(super) fn prepare(&mut self, stage: &mut Stage<'_>, source: usize, why: SwitchReason) {
        let since = stage.now.monotonic;
        stage.notify(Notice::Preparing { source, why });
        let mut lane = self.lane(stage, source, Role::Preparing { why, since });
        if why == SwitchReason::KindChanged
            && let Some(active) = &mut self.active
        {
            // One lane asks a URL, not two.
            active.yields = true;
            let root = active.root_mut();
            lane.root_mut().keep_pace(root.pace());
            let load = root.stop();
            self.cancel(stage, load);
        }
        if let Some(before) = self.next.replace(lane) {
            self.close(stage, before);
        }
    }

    /// Looks at the health of the sources and acts on it.
    pub(super) fn advance_sources(&mut self, stage: &mut Stage<'_>) {
        if self.desired == Desired::Stop || self.shutdown.is_some() {
            return;
        }
        let (Some(spec), Some(active)) = (self.spec.clone(), &self.active) else {
            return;
        };
        let now = stage.now.monotonic;
        let (count, in_use) = (spec.sources.len(), active.source());
        self.begin_next_anew(stage);
        self.let_active_ask(stage.now.monotonic);
        // A preparation that ends leaves room for what is due now.
        if let Some(Role::Preparing { why, since }) = self.next.as_ref().map(|next| next.role) {
            self.go_on_preparing(stage, why, since, (in_use, count));
        }
        let stalled = self.stalled_at().is_some_and(|at| at <= now);
        let may_switch = self.may_switch_at() <= now;
        let another_kind = self.active_shows_another_kind();
        match self.next.as_ref().map(|next| next.role) {
            None if stalled && may_switch && count > 1 => {
                self.prepare(stage, (in_use + 1) % count, SwitchReason::Stalled);
            }
            None if another_kind && may_switch => {
                self.prepare(stage, in_use, SwitchReason::KindChanged);
            }
            None if in_use != 0 && self.active_is_current() => {
                self.next = Some(self.lane(stage, 0, Role::Watching));
            }
            Some(Role::Watching) if stalled && may_switch => {
                self.leave_stalled(stage, in_use, count);
            }
            Some(Role::Watching) if may_switch => {
                self.return_to_first(stage);
            }
            None | Some(Role::Watching | Role::Preparing { .. } | Role::Relaying) => {}
        }
        self.take_over_if_ready(stage);
    }

    /// A source that has ended brings nothing more. Where all that was listed of it is lost, what it lists is relayed anew.
    pub(super) fn begin_what_is_lost(&mut self, stage: &mut Stage<'_>) {
        let is_over = |lane: &Lane| lane.told_target_duration().is_some() && lane.is_over();
        let goes_on = self.active_is_current() && self.shutdown.is_none();
        let is_lost = goes_on && self.publisher.has_lost_all();
        if let Some(before) = self.active.take_if(|lane| is_lost && is_over(lane)) {
            let source = before.source();
            self.close(stage, before);
            self.left_over.clear();
            self.active = Some(self.lane(stage, source, Role::Relaying));
        }
    }

    /// The active lane's source is one of the configuration in force.
    fn active_is_current(&self) -> bool {
        self.active
            .as_ref()
            .is_some_and(|lane| lane.generation() == self.generation)
    }

    /// Nothing comes from the active source, and what is shown in its place is a playlist of another kind.
    fn active_shows_another_kind(&self) -> bool {
        let active = self.active.as_ref().filter(|_| self.active_is_current());
        let waits = self.stalled_at().is_none_or(|at| at <= self.clock);
        waits && active.is_some_and(Lane::shows_another_kind)
    }

    /// A source that is not relayed yet is begun anew where it shows another kind of playlist than at first. Where
    /// it shows what the active lane follows, in whose place it asks, that one goes on.
    fn begin_next_anew(&mut self, stage: &mut Stage<'_>) {
        let followed = self.active.as_ref().map(|active| active.master.is_some());
        let is_back = |next: &Lane| next.stands_in() && next.is_multivariant() == followed;
        let ends = |next: &mut Lane| next.shows_another_kind() || is_back(next);
        let Some(next) = self.next.take_if(ends) else {
            return;
        };
        let (role, source, stands_in) = (next.role, next.source(), next.stands_in());
        self.close(stage, next);
        self.next = (!stands_in).then(|| self.lane(stage, source, role));
    }

    /// The active lane asks its source again, where nobody does it in its place any more.
    fn let_active_ask(&mut self, now: Timestamp) {
        let stands_in = self.next.as_ref().is_some_and(Lane::stands_in);
        if let Some(active) = self.active.as_mut().filter(|it| it.yields && !stands_in) {
            active.yields = false;
            let left = self.left.get(active.source_url());
            let may_load_at = left.map_or(now, |left| left.pace.may_load_at);
            // Whoever asked in its place may have been told another target duration.
            let least = now + active.target_duration().half();
            active.root_mut().resume(may_load_at.max(least));
        }
    }

    /// When the active source counts as stalled.
    pub(super) fn stalled_at(&self) -> Option<Timestamp> {
        // One that has ended brings nothing more; but where nothing could be had of it, another may have it.
        let waits = |lane: &&Lane| !lane.ended() || !(lane.has_had_any() || lane.is_over());
        let active = self.active.as_ref().filter(waits)?;
        Some(active.progress_at() + config::stalled_after(active.target_duration()))
    }

    pub(super) fn may_switch_at(&self) -> Timestamp {
        self.last_switch
            .map_or(Timestamp::default(), |at| at + config::SWITCH_AT_MOST_EVERY)
    }

    fn leave_stalled(&mut self, stage: &mut Stage<'_>, in_use: usize, count: usize) {
        let why = SwitchReason::Stalled;
        let now = stage.now.monotonic;
        let Some(watched) = &mut self.next else {
            return;
        };
        let healthy = watched.feeds[0].loader.healthy_for(now) > Span::ZERO;
        let other = (in_use + 1) % count;
        if healthy || other == watched.source() {
            stage.notify(Notice::Preparing {
                source: watched.source(),
                why,
            });
            watched.promote(stage, why);
        } else {
            self.prepare(stage, other, why);
        }
    }

    fn return_to_first(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now.monotonic;
        let Some(watched) = &mut self.next else {
            return;
        };
        if watched.feeds[0].loader.healthy_for(now) >= config::RETURN_AFTER {
            let why = SwitchReason::FirstIsHealthy;
            stage.notify(Notice::Preparing {
                source: watched.source(),
                why,
            });
            watched.promote(stage, why);
        }
    }

    /// When a preparation is given up. A source that has not told its target duration is taken to have
    /// that of the one in use.
    pub(super) fn preparation_ends(&self) -> Option<Timestamp> {
        let next = self.next.as_ref()?;
        match next.role {
            Role::Preparing { since, .. } => {
                let told = next.told_target_duration();
                let in_use = || self.active.as_ref().map(Lane::target_duration);
                let target_duration = told.or_else(in_use);
                let target_duration = target_duration.unwrap_or(config::ASSUMED_TARGET_DURATION);
                Some(since + config::stalled_after(target_duration))
            }
            Role::Relaying | Role::Watching => None,
        }
    }

    fn go_on_preparing(
        &mut self,
        stage: &mut Stage<'_>,
        why: SwitchReason,
        since: Timestamp,
        (in_use, count): (usize, usize),
    ) {
        let now = stage.now.monotonic;
        let recovered = self
            .active
            .as_ref()
            .is_some_and(|lane| lane.progress_at() > since);
        let for_a_while = matches!(why, SwitchReason::Stalled | SwitchReason::KindChanged);
        if for_a_while && recovered {
            if let Some(next) = self.next.take() {
                self.close(stage, next);
            }
            return;
        }
        if self.preparation_ends().is_none_or(|at| at > now) {
            return;
        }
        let current = self.active_is_current();
        let another_kind = self.active_shows_another_kind();
        let Some(next) = &mut self.next else { return };
        let source = next.source();
        stage.notify(Notice::PreparationFailed {
            source,
            trouble: next.trouble(),
        });
        let mut other = (source + 1) % count;
        if other == in_use && current && !another_kind {
            other = (other + 1) % count;
        }
        let anew = other == in_use && current;
        match why {
            // The only one there is goes on being tried.
            _ if other == source => next.role = Role::Preparing { why, since: now },
            SwitchReason::Stalled | SwitchReason::Reconfigured if !anew => {
                self.prepare(stage, other, why);
            }
            SwitchReason::KindChanged if !anew => {
                self.prepare(stage, other, SwitchReason::Stalled);
            }
            SwitchReason::Stalled | SwitchReason::Reconfigured | SwitchReason::KindChanged => {
                self.prepare(stage, other, SwitchReason::KindChanged);
            }
            SwitchReason::FirstIsHealthy => {
                if let Some(next) = self.next.take() {
                    self.close(stage, next);
                }
            }
        }
    }

    /// The lane being prepared takes over once its first segment is stored: make before break.
    fn take_over_if_ready(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now.monotonic;
        let Some(next) = &mut self.next else { return };
        let Role::Preparing { why, .. } = next.role else {
            return;
        };
        let feeds = next.feeds.iter_mut();
        let left: Vec<_> = feeds.map(|feed| feed.downloader.skip_lost(now)).collect();
        let ready = next.is_ready(now);
        left.into_iter().for_each(|left| self.abandon(stage, left));
        if !ready {
            return;
        }
        let Some(mut next) = self.next.take() else {
            return;
        };
        next.role = Role::Relaying;
        let to = next.source();
        let positions = self.positions(stage.now.monotonic);
        let Some(before) = self.active.take() else {
            return;
        };
        stage.notify(Notice::Switched {
            from: before.source(),
            to,
            why,
        });
        let newer = before.generation() < next.generation() && before.master.is_none();
        let alone = newer && !self.processor.has_ladder();
        let former = alone && stage.makes(Mistake::FormerSourceFollowed);
        let former = former.then(|| before.clone());
        self.leave(stage, before, &positions);
        self.publisher.abandon_restoring(stage);
        self.last_switch = Some(now);
        // The new source's media begins where that of the old one ends.
        if let (Some(from), Some(end)) = (next.start.from, self.publisher.ends_at()) {
            next.shift = end.as_micros().saturating_sub(from.as_micros());
        }
        // It begins where it is, and not where the one before it was left.
        self.left_over.clear();
        self.join_tracks(&mut next);
        let marked = !stage.makes(Mistake::SwitchUnmarked);
        for feed in &mut next.feeds {
            feed.breaks = marked.then_some(Break::SwitchedSource);
        }
        self.active = Some(next);
        self.next = former;
    }

    /// Drops a lane that was relayed until `position`: where it is come back to, it goes on there.
    fn leave(&mut self, stage: &mut Stage<'_>, lane: Lane, positions: &[Option<SavedPosition>]) {
        let url = Arc::clone(lane.source_url());
        let (grown_at, ended) = (lane.grown_at(), lane.ended());
        // Several tracks are begun together anew.
        let alone = lane.feeds[0].track.filter(|_| lane.master.is_none());
        let position = alone.and_then(|track| positions.get(track)?.clone());
        self.close(stage, lane);
        if let (Some(left), Some(position)) = (self.left.get_mut(&url), position) {
            left.position = Some(LeftAt {
                position: SavedPosition {
                    silent: Span::ZERO,
                    ..position
                },
                grown_at,
                ended,
            });
        }
    }

    /// Gives a listing to the only feed of a lane.
    pub(super) fn take_up_alone(
        &mut self,
        stage: &mut Stage<'_>,
        lane: &mut Lane,
        mut listing: Listing,
    ) {
        let first = !std::mem::replace(&mut lane.feeds[0].listed, true);
        // What follows an end is a new run anyway.
        let goes_on = self.publisher.has_several() && !self.publisher.is_ended();
        let keeps_and_goes_on = listing.keeps_and_goes_on();
        let take = match lane.role {
            Role::Relaying if first && goes_on => {
                self.follow_several(stage, lane);
                let fresh = self.after_newest(&listing);
                let fresh = fresh.unwrap_or(config::START_SEGMENTS);
                fresh.min(self.window_of(&listing))
            }
            Role::Preparing { why, .. } if lane.feeds[0].downloader.is_empty() => {
                // What it had while another source was relayed is not missing.
                let fresh = listing.listed.get_mut(listing.first_new);
                fresh.into_iter().for_each(|it| it.lost = None);
                self.first_of_switch(why, &listing)
            }
            // A source that is followed without a break is relayed whole; a window's worth is taken
            // where it begins, or begins again.
            Role::Relaying | Role::Preparing { .. } | Role::Watching
                if first || listing.restarted =>
            {
                match first {
                    true => self.first_window(&listing),
                    false => self.window_of(&listing),
                }
            }
            Role::Relaying | Role::Preparing { .. } | Role::Watching => usize::MAX,
        };
        if lane.role == Role::Relaying {
            self.fetch_again(lane, 0, &listing);
        }
        if first {
            self.say_left_out(stage, &listing);
        }
        lane.feeds[0].downloader.listed(stage, &listing, take);
        if first && keeps_and_goes_on {
            self.makes_from_the_edge_on(lane);
        }
    }

    /// Of what keeps its past and goes on all is relayed, and rungs are made from its live edge on.
    pub(super) fn makes_from_the_edge_on(&self, lane: &mut Lane) {
        if self.processor.has_ladder() {
            let downloader = &mut lane.feeds[0].downloader;
            downloader.begins_with(config::START_SEGMENTS);
        }
    }

    /// Asks the source for what was listed before our restart and is not in the store.
    pub(super) fn fetch_again(&mut self, lane: &mut Lane, index: usize, listing: &Listing) {
        let feed = &mut lane.feeds[index];
        let (Some(track), loader) = (feed.track, &feed.loader) else {
            return;
        };
        let find = |identity: &crate::checkpoint::Identity| {
            let identity = loader.called_now(identity);
            let mut listed = listing.listed.iter();
            listed.find(|it| it.identity.is_same(&identity))
        };
        for (identity, again) in self.publisher.wanted_again(track, |id| find(id).is_some()) {
            if let Some(offered) = find(&identity) {
                let target_duration = listing.target_duration;
                feed.downloader
                    .again(offered.clone(), target_duration, again);
            }
        }
    }

    /// How many of the newest segments of the first of several tracks to begin with.
    pub(super) fn first_of(&self, role: Role, listing: &Listing) -> usize {
        match role {
            Role::Preparing { why, .. } => self.first_of_switch(why, listing),
            Role::Relaying | Role::Watching => self.first_window(listing),
        }
    }

    /// So much of a source is taken where it begins. One that goes on is taken near its live edge, however long the list
    /// may become: viewers would be behind by all that is fetched before it. What is made of much at once would come too
    /// late for most, so there a ladder begins with few, unless the source's own media is listed and all of it is kept.
    fn first_window(&self, listing: &Listing) -> usize {
        let window = self.window_of(listing);
        let has_past = listing.keeps_and_goes_on() && self.processor.lists_source();
        if self.processor.has_ladder() && !listing.fixed && !has_past {
            window.min(config::START_SEGMENTS)
        } else if listing.whole {
            window.min(self.fit(listing))
        } else {
            window.min(config::DEFAULT_WINDOW)
        }
    }

    fn window_of(&self, listing: &Listing) -> usize {
        let spec = self.spec.as_ref();
        spec.map_or(config::DEFAULT_WINDOW, |it| it.window_of(listing.whole))
    }

    /// How many of the newest segments of what goes on a bounded store has room for, before anybody knows how large
    /// they are.
    fn fit(&self, listing: &Listing) -> usize {
        let room = self.spec.as_ref().and_then(|spec| spec.room);
        let Some(room) = room.filter(|_| listing.whole && !listing.complete) else {
            return usize::MAX;
        };
        let lasts = limits::lasts_of_room(room);
        let mut total = Span::ZERO;
        let newest = listing.listed.iter().rev();
        let fits = newest.take_while(|it| {
            total += it.segment.duration;
            total <= lasts
        });
        fits.count().max(config::START_SEGMENTS)
    }

    /// Of a source that keeps all that it ever had a list can begin without the first of it.
    pub(super) fn say_left_out(&self, stage: &mut Stage<'_>, listing: &Listing) {
        let by_wish = self.spec.as_ref().is_none_or(|spec| spec.window.is_some());
        let (window, fit) = (self.window_of(listing), self.fit(listing));
        let segments = listing.listed.len().saturating_sub(window.min(fit));
        if listing.whole && !by_wish && segments > 0 {
            stage.notify(Notice::NotWhole {
                segments: segments as u64,
                why: match fit < window {
                    true => Limit::Room,
                    false => Limit::Segments,
                },
            });
        }
    }

    /// How many of the newest segments of another source to begin with: all of one that keeps all, where it is wanted, or
    /// where nothing of the other could be had; else by date-time where both sources have one, else the newest, or three
    /// where viewers have been waiting.
    fn first_of_switch(&self, why: SwitchReason, listing: &Listing) -> usize {
        let newest = self.publisher.newest();
        let dated = self.after_newest(listing);
        let few = match why {
            SwitchReason::Reconfigured if listing.whole => return self.first_window(listing),
            SwitchReason::Stalled if listing.whole && newest.is_none() => {
                return self.first_window(listing);
            }
            SwitchReason::Stalled | SwitchReason::KindChanged => config::START_SEGMENTS,
            SwitchReason::FirstIsHealthy | SwitchReason::Reconfigured => 1,
        };
        dated.unwrap_or(few).clamp(1, self.window_of(listing))
    }

    /// How many of another source's segments lie behind what is listed, where date-times tell.
    fn after_newest(&self, listing: &Listing) -> Option<usize> {
        let newest = self.publisher.newest()?;
        after(listing, newest.date_time? + newest.duration)
    }
}

/// How many segments of the listing lie after `end`; `None` where the clocks cannot be compared.
fn after(listing: &Listing, end: WallTime) -> Option<usize> {
    let newest = listing.listed.last()?;
    let newest_end = newest.segment.date_time? + newest.segment.duration;
    if newest_end.abs_diff(end) > COMPARABLE_CLOCKS {
        return None;
    }
    let is_after = |it: &&crate::loader::Offered| {
        it.segment
            .date_time
            .is_some_and(|at| at + it.segment.duration.half() > end)
    };
    Some(listing.listed.iter().filter(is_after).count())
}
