//! From a lane to the windows: in order, in step, and with what is due when a track falls behind.

use super::Relay;
use super::feed::Feed;
use super::lane::{Lane, Role};
use super::side_by_side::Moved;
use crate::config;
use crate::ids::Generation;
use crate::limits;
use crate::loader::Listing;
use crate::notice::{Break, HoleCause, Notice};
use crate::planted::Mistake;
use crate::playlist::MultivariantPlaylist;
use crate::presentation::Presentation;
use crate::processor::{Finished, Processed, process};
use crate::stage::Stage;
use std::sync::Arc;
use url::Url;

impl Relay {
    /// Lets finished segments leave the active lane, in order.
    pub(super) fn hand_on(&mut self, stage: &mut Stage<'_>) {
        let Some(mut lane) = self.active.take() else {
            return;
        };
        self.publisher.finish_restoring(stage);
        if lane.master.is_none() && lane.feeds[0].listed && self.publisher.has_lost_several() {
            self.join_tracks(&mut lane);
        }
        self.let_come_late(&lane);
        lane.take_back();
        loop {
            // What one track appends may be what another has waited for.
            while (0..lane.feeds.len())
                .map(|feed| self.hand_on_feed(stage, &mut lane, feed))
                .fold(false, |moved, it| moved | it)
            {}
            // And so may be that nobody waits for it any longer.
            if !self.publisher.has_several() || !self.keep_in_step(stage, &mut lane) {
                break;
            }
        }
        let told = !stage.makes(Mistake::EndNotTold);
        if self.publisher.is_ended() {
            self.show_what_came_late(stage, &mut lane);
        } else if lane.is_over() && told {
            self.publisher.say_ends(stage);
            for feed in &mut lane.feeds {
                feed.let_go_of_lost(lane.shift);
                self.close_track(stage, feed);
            }
            self.publisher.end(stage);
        }
        self.active = Some(lane);
        if stage.makes(Mistake::FormerSourceFollowed)
            && let Some(mut former) = self.next.take_if(|it| it.role == Role::Relaying)
        {
            self.hand_on_feed(stage, &mut former, 0);
            self.next = Some(former);
        }
    }

    /// What its source closes a track with.
    fn close_track(&mut self, stage: &mut Stage<'_>, feed: &mut Feed) {
        let Some(track) = feed.track else { return };
        let closing = &feed.loader.about.closing;
        self.publisher.close_with(track, closing);
        if let Some(listed) = feed.loader.date_ranges.rest() {
            self.publisher
                .list_date_ranges(stage, track, listed, u64::MAX);
        }
    }

    /// Of a source that has ended, a track may have its list, or its media, only after the others were closed.
    fn let_come_late(&mut self, lane: &Lane) {
        let late = |feed: &&Feed| feed.loader.ended && !feed.is_over();
        if !self.publisher.is_ended() || !lane.ended() {
            return;
        }
        for track in lane.feeds.iter().filter(late).filter_map(|it| it.track) {
            self.publisher.comes_late(track);
        }
    }

    fn show_what_came_late(&mut self, stage: &mut Stage<'_>, lane: &mut Lane) {
        for feed in lane.feeds.iter_mut().filter(|feed| feed.is_over()) {
            let Some(track) = feed.track else { continue };
            if self.publisher.is_begun_again(track) {
                self.close_track(stage, feed);
                self.publisher.is_whole(stage, track);
            }
        }
    }

    /// Whether anything has left.
    fn hand_on_feed(&mut self, stage: &mut Stage<'_>, lane: &mut Lane, index: usize) -> bool {
        let last = lane.gives_up_last(index);
        let generation = match stage.makes(Mistake::FormerSourceFollowed) {
            true => self.generation,
            false => lane.generation(),
        };
        let mut moved = false;
        while lane.lets_pass(index)
            && let Some((done, left)) = {
                let downloader = &mut lane.feeds[index].downloader;
                downloader.next_done(stage.now.monotonic, last)
            }
        {
            moved = true;
            self.abandon(stage, left);
            match process(done) {
                Processed::Segment(finished) => {
                    self.hand_on_segment(stage, lane, index, finished, generation);
                }
                Processed::Hole { lost, .. } if stage.makes(Mistake::HoleUnsaid) => {
                    passed(stage, lane, index, &lost);
                }
                Processed::Hole { mut lost, cause } => {
                    passed(stage, lane, index, &lost);
                    lost.place = lane.on_channel(lost.place);
                    let track = lane.feeds[index].track;
                    // Gaps may stand for it already.
                    let track = track.filter(|it| !self.publisher.has_already(*it, &lost));
                    if let Some(track) = track {
                        lost.lost = self.publisher.still_lost(track, &lost);
                        self.publisher.lose(track, lost, cause);
                    } else {
                        self.keep_break(&mut lane.feeds[index], &lost);
                    }
                }
                Processed::Again { object, restored } => {
                    self.publisher.had_again(&object, restored);
                }
            }
            self.publisher.finish_restoring(stage);
        }
        moved
    }

    fn hand_on_segment(
        &mut self,
        stage: &mut Stage<'_>,
        lane: &mut Lane,
        index: usize,
        mut finished: Finished,
        generation: Generation,
    ) {
        passed(stage, lane, index, &finished);
        finished.place = lane.on_channel(finished.place);
        let master = lane.master.as_ref();
        let start = master.and_then(|it| it.presentation.start().cloned());
        let feed = &mut lane.feeds[index];
        let track = feed
            .track
            .filter(|track| !self.publisher.has_already(*track, &finished));
        let Some(track) = track else {
            // Gaps stand for it already.
            self.keep_break(&mut lane.feeds[index], &finished);
            self.publisher
                .release_segment(&mut finished, stage.now.monotonic);
            if let Some(track) = lane.wait_again(index) {
                let track = self.publisher.name(track).clone();
                stage.notify(Notice::CaughtUp { track });
            }
            return;
        };
        finished.lost = self.publisher.still_lost(track, &finished);
        if self.publisher.is_before_the_break(track, &finished) {
            self.publisher
                .release_segment(&mut finished, stage.now.monotonic);
            self.publisher
                .lose(track, finished, HoleCause::NotPublished);
            return;
        }
        if std::mem::take(&mut feed.left_behind) {
            let track = self.publisher.name(track).clone();
            stage.notify(Notice::CaughtUp { track });
        }
        let mut about = feed.loader.about.clone();
        if let Some(start) = start {
            about.head.retain(|line| !line.starts_with("#EXT-X-START:"));
            about.begins_with_first = false;
            // What viewers opened as a media playlist has nothing before it.
            let alone = !self.publisher.has_front();
            about.head.extend(Some(start).filter(|_| alone));
        }
        if let Some(error) = feed.downloader.looks.take_untold() {
            let track = self.publisher.name(track).clone();
            stage.notify(Notice::FormatsUntold { track, error });
        }
        let formats = feed.downloader.looks.formats.as_ref();
        self.publisher.describe(track, &about, formats);
        feed.has_appended((finished.run, finished.identity.media_sequence));
        feed.appended_end = finished.place.map(|at| at + finished.segment.duration);
        feed.appended_at = Some(stage.now.monotonic);
        finished.broken = feed.breaks.take().or(finished.broken);
        let restarted = finished.broken.is_some_and(Break::is_of_the_encoder);
        if restarted && self.publisher.says_break_in_gaps(track) {
            // With the others it has come to that already.
            finished.broken = None;
        }
        let (run, number) = (finished.run, finished.identity.media_sequence);
        self.publisher.append(stage, track, finished, generation);
        if let Some(listed) = lane.feeds[index].loader.date_ranges.with(run, number) {
            self.publisher
                .list_date_ranges(stage, track, listed, number.saturating_add(1));
        }
    }

    /// A break before what gaps stand for already, and which they do not say, is said with what follows.
    fn keep_break(&self, feed: &mut Feed, dropped: &Finished) {
        let own = dropped.segment.discontinuity.then_some(Break::Hole);
        let said = |track| self.publisher.says_break_in_gaps(track);
        if let Some(why) = dropped.broken.or(own)
            && !feed.track.is_none_or(said)
        {
            feed.breaks.get_or_insert(why);
        }
    }

    /// What has fallen behind, or has no source any more, gets gaps like those of a track that goes on.
    /// Whether anything was left behind.
    fn keep_in_step(&mut self, stage: &mut Stage<'_>, lane: &mut Lane) -> bool {
        let now = stage.now.monotonic;
        let left_behind = lane.leave_behind(now);
        for &index in &left_behind {
            if let Some(track) = lane.feeds[index].track {
                stage.notify(Notice::LeftBehind {
                    track: self.publisher.name(track).clone(),
                    trouble: lane.feeds[index].trouble(),
                });
            }
        }
        let goes_on = |track| {
            let of = |feed: &&Feed| feed.track == Some(track);
            let feed = lane.feeds.iter().find(of);
            feed.is_some_and(|feed| !feed.left_behind && feed.axis.next.is_some())
                || (lane.master.is_none() && feed.is_some())
        };
        let is_known = lane.master.is_some() || lane.feeds[0].listed;
        if is_known && self.publisher.restoring.is_some() {
            let asked = |feed: &&Feed| feed.listed || feed.loader.trouble.is_none();
            let asked: Vec<_> = lane.feeds.iter().filter(asked).collect();
            for track in 0..self.publisher.tracks() {
                if asked.iter().all(|feed| feed.track != Some(track)) {
                    self.publisher.give_up_restoring(track);
                }
            }
            self.publisher.finish_restoring(stage);
        }
        let waited = |feed: &&Feed| feed.kind().is_waited_for();
        let tracks = lane
            .feeds
            .iter()
            .filter(waited)
            .filter_map(|feed| feed.track);
        let model = tracks.into_iter().find(|track| goes_on(*track));
        // Before a source has told which tracks it has, none of them is late.
        if is_known {
            self.publisher.keep_in_step(stage, model, goes_on);
        }
        !left_behind.is_empty()
    }

    /// Begins the tracks of the lanes where the time is over for the others to tell their lists.
    pub(super) fn begin_tracks(&mut self, stage: &mut Stage<'_>) {
        self.for_several(|relay, lane| {
            if lane.begins_at().is_some_and(|at| at <= stage.now.monotonic) {
                let role = lane.role;
                lane.begin(stage, |listing| relay.first_of(role, listing));
            }
        });
    }

    /// Follows the lanes' tracks: looks for them elsewhere, and renews URLs that have run out.
    pub(super) fn advance_tracks(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now.monotonic;
        self.for_several(|relay, lane| {
            let target_duration = lane.target_duration();
            for feed in &mut lane.feeds {
                if feed.moves_at(target_duration).is_some_and(|at| at <= now) {
                    let trouble = feed.trouble();
                    feed.move_on(now);
                    if let Some(track) = feed.track {
                        let track = relay.publisher.name(track).clone();
                        stage.notify(Notice::Redundant { track, trouble });
                    }
                }
            }
            relay.renew(stage, lane);
        });
    }

    /// Does something with each lane of several tracks.
    fn for_several(&mut self, mut work: impl FnMut(&mut Self, &mut Lane)) {
        let mut with = |relay: &mut Self, lane: Option<Lane>| {
            let mut lane = lane?;
            if lane.master.is_some() {
                work(relay, &mut lane);
            }
            Some(lane)
        };
        let active = self.active.take();
        self.active = with(self, active);
        let next = self.next.take();
        self.next = with(self, next);
    }

    /// Loads the multivariant playlist again, once for all tracks whose URLs have run out, until they are had
    /// from the new ones.
    fn renew(&mut self, stage: &mut Stage<'_>, lane: &mut Lane) {
        let now = stage.now.monotonic;
        let all_gone = lane.variants().all(Feed::is_gone);
        let mut feeds = lane.feeds.iter();
        let expired = feeds.find_map(|feed| feed.expired(now, all_gone));
        let moved_in_vain = lane.feeds.iter().any(|feed| feed.is_moved_in_vain(now));
        let told = lane.told_target_duration();
        let Some(master) = &mut lane.master else {
            return;
        };
        master.loader.assume(told);
        if expired.is_none() && !moved_in_vain {
            master.renewing_since = None;
        }
        let Some(error) = expired.filter(|_| self.shutdown.is_none() && !lane.yields) else {
            return;
        };
        let since = *master.renewing_since.get_or_insert(now);
        if master.loader.load_again(now, since) && since == now {
            let source = master.loader.source;
            stage.notify(Notice::Renewing { source, error });
        }
    }

    /// Takes a multivariant playlist: its tracks are followed from now on.
    pub(super) fn present(
        &mut self,
        stage: &mut Stage<'_>,
        lane: &mut Lane,
        base: &Url,
        list: MultivariantPlaylist,
    ) {
        let Some(spec) = self.spec.clone() else {
            return;
        };
        let (variants, entries) = (list.variants.len(), list.renditions.len());
        let presentation = Presentation::new(base, list, &spec.selection);
        // A ladder is made of one list.
        let presentation = match self.publisher.has_rungs() {
            true => presentation.and_then(Presentation::best),
            false => presentation,
        };
        let presentation = match presentation {
            Ok(presentation) => presentation,
            Err(error) => {
                let now = stage.now.monotonic;
                lane.root_mut().refuse(stage, now, error);
                return;
            }
        };
        lane.root_mut().recovered(stage);
        let (relayed, renditions) = presentation.counts();
        if lane.master.is_none() {
            stage.notify(Notice::Presented {
                source: lane.source(),
                variants: relayed,
                renditions,
                left_out: (variants + entries).saturating_sub(relayed + renditions),
            });
        }
        // What viewers opened as a media playlist stays one.
        let most = if self.publisher.is_single() || self.publisher.has_rungs() {
            1
        } else {
            limits::MAX_TRACKS
        };
        let config = config::Source {
            url: Arc::clone(lane.source_url()),
        };
        let first = lane.master.is_none();
        let gone = lane.present(stage, presentation, most, &config);
        for mut feed in gone {
            self.cancel(stage, feed.loader.stop());
            let left = feed.downloader.clear();
            self.abandon(stage, left);
        }
        for feed in &mut lane.feeds {
            if let Some(left) = self.left.get_mut(&feed.loader.asked_as()) {
                feed.loader.keep_pace(left.pace);
                if let Some(seen) = left.seen.take().filter(|_| first) {
                    feed.loader.begin_anew(seen, stage.now.monotonic);
                    feed.axis = left.axis.take().unwrap_or_default();
                }
            }
        }
        if lane.role == Role::Relaying {
            self.join_tracks(lane);
        }
    }

    /// Leads the feeds of a lane to the tracks that are published: each to the nearest one, and what has
    /// none to a new one.
    pub(super) fn join_tracks(&mut self, lane: &mut Lane) {
        let Some(master) = &lane.master else {
            let track = self.publisher.track_of_one();
            lane.feeds[0].track = Some(track);
            return;
        };
        let tracks = self.publisher.present(&master.presentation);
        for (feed, track) in lane.feeds.iter_mut().zip(tracks) {
            if feed.track.is_none() {
                feed.track = track;
                self.go_on(feed, lane.shift);
            }
        }
    }

    /// Gives a listing to a lane: at first only what is to be relayed of it.
    pub(super) fn take_up(
        &mut self,
        stage: &mut Stage<'_>,
        lane: &mut Lane,
        index: usize,
        listing: Listing,
    ) {
        if lane.master.is_none() {
            self.take_up_alone(stage, lane, listing);
            return;
        }
        if listing.restarted
            && !listing.elsewhere
            && let Some(master) = &mut lane.master
        {
            // Another run may have other tracks.
            let now = stage.now.monotonic;
            master.loader.load_again(now, now);
        }
        let role = lane.role;
        if role == Role::Relaying {
            self.fetch_again(lane, index, &listing);
        }
        if !std::mem::replace(&mut lane.feeds[index].listed, true) && index == 0 {
            self.say_left_out(stage, &listing);
        }
        let begins = lane.start.from.is_none() && listing.keeps_and_goes_on();
        let moved = lane.take_up(stage, index, listing, |listing| {
            self.first_of(role, listing)
        });
        if begins && lane.start.from.is_some() {
            self.makes_from_the_edge_on(lane);
        }
        for Moved { feed, by } in moved {
            if let Some(track) = lane.feeds[feed].track {
                self.publisher.shift_track(track, by);
            }
        }
    }
}

/// Something has left the front of a feed.
fn passed(stage: &Stage<'_>, lane: &mut Lane, index: usize, finished: &Finished) {
    let feed = &mut lane.feeds[index];
    feed.passed = Some((finished.run, finished.identity.media_sequence));
    feed.advanced_at = stage.now.monotonic;
    let end = finished.place.map(|at| at + finished.segment.duration);
    feed.reached = feed.reached.max(end);
}
