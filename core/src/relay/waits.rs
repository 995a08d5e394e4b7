//! Tracks wait for each other, so that all cover the same time (S-26), and leave behind what does not come.

use super::feed::Feed;
use super::lane::Lane;
use crate::config;
use crate::time::{Place, Timestamp};

impl Lane {
    /// The next wakeup that the tracks' being in step needs.
    pub(super) fn aligns_at(&self) -> Option<Timestamp> {
        let moves = self.feeds.iter();
        let moves = moves.filter_map(|feed| feed.moves_at(self.target_duration()));
        [self.begins_at(), self.patience_ends()]
            .into_iter()
            .flatten()
            .chain(moves)
            .min()
    }

    /// Whether what stands first in a track may be appended: while it ends at most a target duration
    /// after what the slowest has (S-26). The slowest itself always may.
    pub(super) fn lets_pass(&self, index: usize) -> bool {
        let feed = &self.feeds[index];
        let (Some(end), Some(slowest)) = (feed.front_ends(), self.slowest()) else {
            return true;
        };
        if self.master.is_none() {
            return true;
        }
        let target_duration = self.target_duration();
        let shown = self.shown_until().map(|until| until + target_duration);
        if !feed.kind().is_waited_for() && shown.is_none_or(|until| until < end) {
            return false;
        }
        let is_slowest = feed.reached.is_none_or(|reached| reached <= slowest);
        is_slowest || end <= slowest + target_duration
    }

    /// Until when there is something to be played: with nothing to be read or sought in it, nobody needs
    /// subtitles, or I-frames.
    fn shown_until(&self) -> Option<Place> {
        let played = self.feeds.iter().filter(|feed| feed.kind().is_waited_for());
        let ends = played.filter_map(|feed| feed.appended_end);
        ends.max().map(|end| end.shifted_by(-self.shift))
    }

    /// How many more segments are on their way to what is published as this track, that wait for no other.
    pub(super) fn has_more_for(&self, track: usize) -> usize {
        let of = |feed: &Feed| feed.track == Some(track);
        let index = self.feeds.iter().position(of);
        let index = index.filter(|it| self.lets_pass(*it));
        index.map_or(0, |it| self.feeds[it].downloader.awaited())
    }

    /// How far the slowest track is that is waited for.
    fn slowest(&self) -> Option<Place> {
        let waited = self.feeds.iter().filter(|feed| feed.is_waited_for());
        waited.filter_map(|feed| feed.reached).min()
    }

    /// How far the fastest of those is that others wait for: nobody is left behind for the sake of subtitles.
    fn fastest(&self) -> Option<Place> {
        let leading = self.feeds.iter().filter(|feed| feed.kind().is_waited_for());
        leading.filter_map(|feed| feed.reached).max()
    }

    /// Whether another track is held up by this one, or has left it far behind, and could go on without it.
    fn holds_up(&self, index: usize, now: Timestamp) -> bool {
        let feed = &self.feeds[index];
        let Some(reached) = feed
            .reached
            .filter(|_| !feed.is_over() && !feed.left_behind)
        else {
            return false;
        };
        if feed.downloader.is_done() && !self.lets_pass(index) {
            // It waits itself.
            return false;
        }
        let ahead = self
            .fastest()
            .is_some_and(|it| it > reached + self.target_duration());
        let mut others = (0..self.feeds.len()).filter(|other| *other != index);
        let held_up = others.any(|other| self.is_held_up(other, now));
        let holds_up = feed.is_waited_for() && held_up && self.slowest() == Some(reached);
        ((ahead || holds_up) && self.goes_on_without(index, now)) || self.keeps_open(index)
    }

    /// Whether a variant has ended, and it is not known of this track, of which nothing is on its way: its list may
    /// have died before it showed an end.
    fn keeps_open(&self, index: usize) -> bool {
        let feed = &self.feeds[index];
        let ended = self.variants().any(Feed::is_over);
        ended && feed.is_waited_for() && feed.downloader.is_empty()
    }

    /// Whether a track that others wait for has something to append, or to say that it is lost, and waits for others itself.
    fn is_held_up(&self, index: usize, now: Timestamp) -> bool {
        let feed = &self.feeds[index];
        let given_up = feed.downloader.next_give_up(self.gives_up_last(index));
        let is_lost = given_up.is_some_and(|at| at <= now);
        let leaves = feed.downloader.is_done() || is_lost;
        feed.kind().is_waited_for() && leaves && !self.lets_pass(index)
    }

    /// Whether there is another track that gets on, or could: where nothing can be had of any, nobody is late.
    fn goes_on_without(&self, index: usize, now: Timestamp) -> bool {
        let stalled = config::stalled_after(self.target_duration());
        (0..self.feeds.len()).any(|other| {
            let feed = &self.feeds[other];
            let stored = feed.downloader.stored_at;
            let gets_on = feed.is_waited_for() && stored.is_some_and(|at| now < at + stalled);
            other != index && (gets_on || self.is_held_up(other, now))
        })
    }

    /// Whether another track has something again after a long time in which nothing came, and this one was
    /// left behind in that time alone: what has befallen all of them ends for all of them, and before gaps
    /// stand for what is on its way it is waited for once more. What was there before that time, and waits for
    /// others since, is nothing that has come again.
    fn comes_back_with_all(&self, index: usize) -> bool {
        let target_duration = self.target_duration();
        let stalled = config::stalled_after(target_duration);
        let out_of_step = target_duration * config::OUT_OF_STEP_TARGETS;
        let Feed {
            reached, left_at, ..
        } = &self.feeds[index];
        let near = |feed: &Feed| {
            let stood = feed.appended_end.map(|end| end.shifted_by(-self.shift));
            reached.is_some_and(|it| Some(it + out_of_step) >= stood)
        };
        let comes_back = |feed: &Feed| {
            let times = feed.appended_at.zip(feed.downloader.done_at());
            // What had waited for others may have been appended meanwhile.
            let back = feed.loader.healthy_since();
            let again = |(appended, done)| {
                let listed = back.is_some_and(|back| appended < back && back <= done);
                (appended + stalled <= done || listed) && *left_at <= Some(done)
            };
            feed.is_waited_for() && times.is_some_and(again)
        };
        let mut others = self.feeds.iter();
        others.any(|feed| near(feed) && comes_back(feed))
    }

    /// When a track is left behind, if nothing comes until then.
    fn patience_ends(&self) -> Option<Timestamp> {
        let feeds = self.feeds.iter();
        feeds.filter_map(|feed| self.patience_with(feed)).min()
    }

    /// What befell all tracks is over for one before it is over for the next, which is tried again half a
    /// target duration later at most.
    fn patience_with(&self, feed: &Feed) -> Option<Timestamp> {
        let target_duration = self.target_duration();
        let waited = feed.advanced_at + config::stalled_after(target_duration);
        Some(waited.max(feed.holds_up_since? + target_duration))
    }

    /// A track that was left behind has come to the newest that its source has, and gaps stand for that
    /// already: it is out of step, and would stay behind for ever. The others wait for it again. Gives
    /// where it is published.
    pub(super) fn wait_again(&mut self, index: usize) -> Option<usize> {
        let out_of_step = self.target_duration() * config::OUT_OF_STEP_TARGETS;
        let fastest = self.fastest()?;
        let over = self.is_over();
        let feed = &mut self.feeds[index];
        let is_near = feed.reached? + out_of_step >= fastest;
        let waits = feed.left_behind && feed.downloader.is_empty() && is_near && !over;
        feed.left_behind &= !waits;
        feed.track.filter(|_| waits)
    }

    /// Waits once more for those that come back with all.
    pub(super) fn take_back(&mut self) {
        let back =
            |index: &usize| self.feeds[*index].left_behind && self.comes_back_with_all(*index);
        let back: Vec<usize> = (0..self.feeds.len()).filter(back).collect();
        for index in back {
            self.feeds[index].left_behind = false;
        }
    }

    /// The tracks for which nobody waits any longer.
    pub(super) fn leave_behind(&mut self, now: Timestamp) -> Vec<usize> {
        for index in 0..self.feeds.len() {
            let holds_up = self.holds_up(index, now);
            let since = &mut self.feeds[index].holds_up_since;
            *since = holds_up.then(|| since.unwrap_or(now));
        }
        let late = |index: &usize| {
            let patience = self.patience_with(&self.feeds[*index]);
            patience.is_some_and(|at| at <= now)
        };
        let late: Vec<usize> = (0..self.feeds.len()).filter(late).collect();
        for index in &late {
            let feed = &mut self.feeds[*index];
            (feed.left_behind, feed.left_at) = (true, Some(now));
        }
        late
    }
}
