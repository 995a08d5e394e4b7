//! Where lists begin: what a window does not hold leaves from its head, never so much that less than three target
//! durations stay (S-06, S-07), and of several tracks so that they begin at about the same moment (S-26).

use super::entry::{Entry, Seen};
use super::tracks::SAME_PLACE;
use super::window::Window;
use super::{Publisher, limits};
use crate::config;
use crate::event::StoreError;
use crate::notice::{Limit, Notice};
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use crate::track::Kind;

impl Publisher {
    /// Removes from the head what a window does not hold. The leading track says where the others begin.
    pub(super) fn trim(&mut self, stage: &mut Stage<'_>, track: usize) {
        let window = &self.windows[track];
        if window.closed && window.fresh() == 0 {
            // After EXT-X-ENDLIST the list stays as it is (S-15), until a new run begins in it.
            return;
        }
        match self.head_of_lead(track) {
            None => {
                let leaves = self.surplus(stage.now.monotonic, track);
                (0..leaves).for_each(|_| self.remove_first(stage, track));
            }
            Some(head) => self.trim_beside(stage, track, head),
        }
    }

    /// How many leave the leading track: as many as are more than was asked for, as far as they may. Where another track
    /// would begin behind a hole, too late beside this one, it is so many more that both begin in time, or so many less.
    fn surplus(&self, now: Timestamp, track: usize) -> usize {
        let window = &self.windows[track];
        let wanted = window.entries.len().saturating_sub(self.window_limit());
        let wanted = wanted.max(self.beyond_the_room(track));
        let early = window.entries.front().is_some_and(|it| self.is_early(it));
        if wanted == 0 && !early {
            return 0;
        }
        let in_time = |leave: &usize| {
            let head = window.entries.get(*leave).map(|it| it.place);
            head.is_none_or(|head| self.can_begin_together(head))
        };
        // No further than is needed: whether one may leave is asked of all that is listed before it.
        let is_enough = |leave: &usize| *leave >= wanted && in_time(leave);
        let may = self.may_leave(now, track, is_enough);
        let fewer = || (0..wanted.min(may + 1)).rev().find(in_time);
        match is_enough(&may) {
            true => may,
            false => fewer().unwrap_or(wanted).min(may),
        }
    }

    /// How many of the leading track would have to leave for the store to have room for what comes. A list that will
    /// not grow for ever waits instead: nobody wants a film without its beginning.
    fn beyond_the_room(&self, track: usize) -> usize {
        let window = &self.windows[track];
        let Some(most) = self.most_bytes.filter(|_| !window.complete) else {
            return 0;
        };
        let listed: u64 = self.windows.iter().map(Window::bytes).sum();
        let own = u128::from(window.bytes());
        let over = u128::from(listed.saturating_sub(most)) * own / u128::from(listed.max(1));
        let mut leaves = 0_u128;
        let leaving = window.entries.iter().take_while(|it| {
            let goes_on = leaves < over;
            leaves += u128::from(it.bytes());
            goes_on
        });
        let most = window.entries.len().saturating_sub(config::MIN_WINDOW);
        leaving.count().min(most)
    }

    /// Of a list that was to hold all that its source has the first is about to leave.
    pub(super) fn say_not_whole(&mut self, stage: &mut Stage<'_>, track: usize) {
        let segments = self.window_limit() < self.windows[track].entries.len();
        let window = &mut self.windows[track];
        if self.window_limit.is_none() && window.whole && !window.slid && window.is_listed() {
            stage.notify(Notice::NotWhole {
                segments: 1,
                why: match segments {
                    true => Limit::Segments,
                    false => Limit::Room,
                },
            });
        }
    }

    /// How many may leave the leading track, counted until there are enough.
    fn may_leave(&self, now: Timestamp, track: usize, is_enough: impl Fn(&usize) -> bool) -> usize {
        let window = &self.windows[track];
        let least = self.target_duration.unwrap_or_default() * 3;
        let (mut rest, mut may) = (window.duration(), 0);
        for (at, first) in window.entries.iter().enumerate() {
            if is_enough(&may) {
                break;
            }
            rest = rest.saturating_sub(first.segment.duration);
            // What came in one go is listed in one go, and until players have seen it.
            let young = self.is_young(now, first, window.entries.get(at + 1));
            let awaited = self.is_listable() && young && !self.is_early(first);
            let grows_without_end = window.entries.len() - may > limits::MAX_WINDOW;
            if (rest < least || awaited) && !grows_without_end {
                break;
            }
            may += 1;
        }
        may
    }

    /// Removes what another track has before the leading one begins.
    fn trim_beside(&mut self, stage: &mut Stage<'_>, track: usize, head: Place) {
        let least = self.target_duration.unwrap_or_default() * 3;
        let lags = self.lags(track);
        let latest = self.latest_beginning(head);
        let young = self.just_listed(stage.now.monotonic);
        let mut duration = self.windows[track].duration();
        loop {
            let window = &self.windows[track];
            let Some(first) = window.entries.front() else {
                break;
            };
            let few = window.entries.len() <= config::MIN_WINDOW;
            let next = window.entries.get(1);
            let late = next.is_some_and(|next| next.place > head + SAME_PLACE);
            // Without date-times the places of two tracks may be that far apart for what is one.
            let is_one_more = first.segment.date_time.is_none()
                && next.is_some_and(|next| next.place.abs_diff(head) <= SAME_PLACE);
            // One that is a segment behind keeps as many (S-08), and does not begin behind a hole of all
            // before the others do (S-26).
            let early = self.is_too_early(first.place, latest);
            let near = !early || is_one_more;
            let holds =
                first.ends() > head + SAME_PLACE || (few && (near || lags)) || (late && near);
            if holds && window.entries.len() <= limits::MAX_WINDOW {
                break;
            }
            let rest = duration.saturating_sub(first.segment.duration);
            // What comes late to what nobody waits for is listed all the same.
            let alone = window.kind().is_some_and(|kind| !kind.is_waited_for());
            let unseen = first.is_unseen() && (alone || !early);
            let young = first.stored.is_some() && young(first) && !early;
            let awaited = self.is_listable() && (unseen || young);
            if (rest < least || awaited) && window.entries.len() <= limits::MAX_WINDOW {
                break;
            }
            duration = rest;
            self.remove_first(stage, track);
        }
    }

    /// Where nothing can be listed, what is waiting for it is lost.
    pub(super) fn is_listable(&self) -> bool {
        matches!(self.trouble, None | Some(StoreError::Unknown))
    }

    /// Where the last of the tracks that others wait for begins, if none has anything before `head` but what it needs.
    fn latest_beginning(&self, head: Place) -> Place {
        let target_duration = self.target_duration.unwrap_or_default();
        let several = self.has_several();
        let waited = |it: &&Window| several && it.kind().is_some_and(Kind::is_waited_for);
        let windows = self.windows.iter().filter(waited);
        let begin = windows.filter_map(|it| begins_beside(it, head, target_duration));
        begin.max().map_or(head, |it| it.max(head))
    }

    /// Whether all begin in time if the leading track begins there: none so late, and none so early, as it has no more
    /// than three target durations.
    fn can_begin_together(&self, head: Place) -> bool {
        let latest = self.latest_beginning(head);
        let least = self.target_duration.unwrap_or_default() * 3;
        let follows = |window: &Window| {
            let mut rest = window.duration();
            let mut entries = window.entries.iter();
            let first = entries.find(|it| {
                rest = rest.saturating_sub(it.segment.duration);
                rest < least || !self.is_too_early(it.place, latest)
            });
            first.is_none_or(|it| !self.is_too_early(it.place, latest))
        };
        let waited = |it: &&Window| it.kind().is_some_and(Kind::is_waited_for);
        let in_time = !self.is_too_early(head, latest);
        !self.has_several() || (in_time && self.windows.iter().filter(waited).all(follows))
    }

    /// Whether a list that begins there begins too long before one that begins so late.
    fn is_too_early(&self, place: Place, latest: Place) -> bool {
        place + self.target_duration.unwrap_or_default() < latest
    }

    /// Whether the first of the leading track, which no viewer has seen, comes too long before another track begins.
    fn is_early(&self, first: &Entry) -> bool {
        first.seen == Seen::Never
            && self.is_too_early(first.place, self.latest_beginning(first.place))
    }

    /// Whether players may not have looked since an entry was listed.
    fn just_listed(&self, now: Timestamp) -> impl Fn(&Entry) -> bool + use<> {
        let listed = self.target_duration.unwrap_or_default() * config::LISTED_TARGETS;
        move |it| it.listed_at.is_some_and(|at| now < at + listed)
    }

    /// Whether players may not have had the first segment of the leading track yet, or what others list before
    /// the `next` one of it.
    fn is_young(&self, now: Timestamp, first: &Entry, next: Option<&Entry>) -> bool {
        let young = self.just_listed(now);
        let until = next.map_or(first.ends(), |it| it.place.max(first.ends()));
        let leaves = |it: &&Entry| it.ends() <= until + SAME_PLACE;
        let windows = self.windows.iter();
        let mut leaving = windows.flat_map(|window| window.entries.iter().take_while(leaves));
        first.listed_at.is_none() || leaving.any(young)
    }
}

/// Where a list begins beside one that begins at `head`. Where it would begin behind a hole it keeps what it has right
/// before that.
fn begins_beside(window: &Window, head: Place, target_duration: Span) -> Option<Place> {
    let entries = &window.entries;
    let next = entries
        .iter()
        .position(|it| it.ends() > head + SAME_PLACE)?;
    let place = entries[next].place;
    let before = next.checked_sub(1).map(|before| entries[before].place);
    let kept = before.filter(|it| place > head + SAME_PLACE && *it + target_duration >= head);
    Some(kept.unwrap_or(place))
}
