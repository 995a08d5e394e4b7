//! Where the source of each of several tracks was left, and goes on: for whoever follows it next, in this process or in
//! another one.

use super::Relay;
use super::axis::Axis;
use super::feed::Feed;
use super::lane::Lane;
use crate::checkpoint::{SavedPosition, without_secrets};
use crate::notice::Break;
use crate::stage::Stage;
use crate::time::Timestamp;
use crate::track::Medium;

impl Relay {
    /// A feed that begins where an earlier process, or an earlier use of its source, has ended.
    pub(super) fn go_on(&mut self, feed: &mut Feed, shift: i64) {
        let saved = feed.track.and_then(|track| self.left_over.remove(&track));
        let Some(position) = saved else { return };
        let (silence, ended) = (self.silence, self.had_ended);
        feed.appended = position.known.last().map(|id| (0, id.media_sequence));
        feed.listed = !position.known.is_empty();
        let listed = feed.track.and_then(|track| self.publisher.end_of(track));
        let end = position.end.or(listed);
        // Where gaps stand behind it, the others did not wait for it any longer.
        feed.left_behind = end < listed;
        feed.appended_end = end;
        if let Some(end) = end.map(|end| end.shifted_by(-shift)) {
            feed.axis = Axis::restored(&position.known, end);
        }
        feed.reached = feed.axis.next;
        let other = |before: &Medium| feed.medium.as_ref().is_some_and(|it| !it.is_as(before));
        let other = position.medium.clone().filter(other);
        feed.loader.restore(position, silence, ended);
        // Which of its places that was nobody knows.
        if other.is_some() || feed.urls.len() > 1 {
            feed.loader.is_elsewhere();
        }
        if let Some(before) = other {
            feed.follows_another(before);
        }
    }

    /// In place of several tracks, as an earlier process has relayed them, the source has one list now.
    pub(super) fn follow_several(&mut self, stage: &mut Stage<'_>, lane: &mut Lane) {
        self.left_over.clear();
        self.publisher.abandon_restoring(stage);
        self.join_tracks(lane);
        lane.feeds[0].breaks = Some(Break::SwitchedSource);
    }

    /// Where the source of each track goes on, for the next process too: after the last segment that was
    /// appended, or where it was left before this run while nobody has come to the track.
    pub(super) fn positions(&self, now: Timestamp) -> Vec<Option<SavedPosition>> {
        let stopped = self.stopped.as_ref();
        if let Some(stopped) = stopped.filter(|_| !self.publisher.is_empty()) {
            return stopped.positions_at(now);
        }
        let feeds = || self.active.iter().flat_map(|lane| &lane.feeds);
        let followed = |track| {
            let feed = feeds().find(|feed| feed.track == Some(track))?;
            let (run, number) = feed.appended?;
            let position = feed.loader.position(run, number, now)?;
            Some(SavedPosition {
                end: feed.appended_end,
                medium: feed.appended_of().cloned(),
                ..position
            })
        };
        let position = |track| {
            if self.publisher.is_begun_again(track) {
                return None;
            }
            followed(track).or_else(|| self.left_over_at(track, now))
        };
        (0..self.publisher.tracks()).map(position).collect()
    }

    /// Where the source that is followed was left before this run, if nobody has come to the track since.
    fn left_over_at(&self, track: usize, now: Timestamp) -> Option<SavedPosition> {
        let lane = self.active.as_ref()?;
        let saved = self.left_over.get(&track)?.clone();
        let since = self.silence + now.since(self.run_since);
        let of_lane = *saved.source_url == *without_secrets(lane.source_url());
        of_lane.then(|| saved.later(since))
    }
}
