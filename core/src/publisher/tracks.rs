//! Several tracks beside each other: which they are, how they are kept in step, and the multivariant
//! playlist that leads to them.

use super::discontinuities::Discontinuities;
use super::entry::{Entry, Seen};
use super::rungs::Board;
use super::window::Window;
use super::{ONLY, Publisher};
use crate::config;
use crate::ids::PlaylistName;
use crate::limits;
use crate::loader::history::Lost;
use crate::playlist::render_ladder;
use crate::presentation::{Presentation, Relayed};
use crate::processor::Finished;
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use crate::track::{Kind, matched};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What separates two places that are one: rounded durations, and dates in milliseconds.
pub(super) const SAME_PLACE: Span = Span::from_millis(200);

/// What the multivariant playlist says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Front {
    presentation: Presentation,
    /// Where each of its tracks is published.
    tracks: Vec<Option<usize>>,
}

impl Publisher {
    /// Viewers open a multivariant playlist.
    pub(crate) fn has_several(&self) -> bool {
        let only = self.windows.first();
        only.is_none_or(|window| &*window.name.0 != PlaylistName::ENTRY)
    }

    /// Viewers have opened a media playlist.
    pub(crate) fn is_single(&self) -> bool {
        let used = self.windows.iter().any(|window| !window.entries.is_empty());
        !self.has_several() && used
    }

    pub(crate) fn tracks(&self) -> usize {
        self.windows.len()
    }

    pub(crate) fn name(&self, track: usize) -> &PlaylistName {
        &self.windows[track].name
    }

    /// Where the only track of a source is published. Where nothing of several is listed any more, it is
    /// what viewers open.
    pub(crate) fn track_of_one(&mut self) -> usize {
        let listed = self.windows.iter().any(|window| !window.entries.is_empty());
        if self.has_several() && !listed {
            self.windows = vec![Window::new(PlaylistName(PlaylistName::ENTRY.into()))];
            (self.front, self.entry) = (None, None);
        }
        if self.has_rungs() {
            self.front = None;
        }
        let is_variant = |window: &Window| window.kind() == Some(Kind::Variant);
        self.windows.iter().position(is_variant).unwrap_or(ONLY)
    }

    /// Leads each track of a presentation to the nearest one that is published, or a new one.
    pub(crate) fn present(&mut self, presentation: &Presentation) -> Vec<Option<usize>> {
        let offered = presentation.tracks.iter().map(|it| &it.medium);
        let offered: Vec<_> = offered.collect();
        if self.is_single() || self.has_rungs() {
            let others = offered.iter().skip(1).map(|_| None);
            let tracks: Vec<_> = std::iter::once(Some(ONLY)).chain(others).collect();
            self.front = self.has_rungs().then(|| Front {
                presentation: presentation.clone(),
                tracks: tracks.clone(),
            });
            return tracks;
        }
        if !self.has_several() {
            self.windows.clear();
        }
        let known = self.windows.iter().map(|it| it.medium.as_ref());
        let found = matched(&known.collect::<Vec<_>>(), &offered);
        let mut tracks = vec![None; offered.len()];
        for (track, offer) in found.into_iter().enumerate() {
            if let Some(offer) = offer {
                tracks[offer] = Some(track);
                self.windows[track].medium = Some(offered[offer].clone());
            }
        }
        for (offer, medium) in offered.into_iter().enumerate() {
            if tracks[offer].is_none() && self.windows.len() < limits::MAX_TRACKS {
                let of_kind = self
                    .windows
                    .iter()
                    .filter(|it| it.kind() == Some(medium.kind));
                let mut window = Window::new(medium.kind.name(of_kind.count()));
                window.medium = Some(medium.clone());
                // It begins the next run with those that were closed.
                window.begins_run = self.ended;
                tracks[offer] = Some(self.windows.len());
                self.windows.push(window);
            }
        }
        self.front = Some(Front {
            presentation: presentation.clone(),
            tracks: tracks.clone(),
        });
        tracks
    }

    /// A track lies so many microseconds later beside the others than it was taken to.
    pub(crate) fn shift_track(&mut self, track: usize, by: i64) {
        let window = &mut self.windows[track];
        let places = window.entries.iter_mut().map(|it| &mut it.place);
        let places = places.chain(&mut window.cut_until);
        places.for_each(|place| *place = place.shifted_by(by));
    }

    /// Where a track ends.
    pub(crate) fn end_of(&self, track: usize) -> Option<Place> {
        self.windows[track].end()
    }

    /// Whether a track that nobody waits for ends so far before the others that it cannot cover the same time.
    pub(super) fn lags(&self, track: usize) -> bool {
        let window = &self.windows[track];
        let target_duration = self.target_duration.unwrap_or_default();
        let alone = window.kind().is_some_and(|kind| !kind.is_waited_for());
        alone && window.end().map(|end| end + target_duration) < self.ends_at()
    }

    /// Where the track ends that has most.
    pub(crate) fn ends_at(&self) -> Option<Place> {
        self.windows.iter().filter_map(Window::end).max()
    }

    /// Whether a segment stands where the track has something already: gaps, from when it was left
    /// behind. A new run begins nowhere before the last one has ended everywhere.
    pub(crate) fn has_already(&self, track: usize, done: &Finished) -> bool {
        let window = &self.windows[track];
        let closed = Some(self.closed_until()).filter(|_| window.begins_run);
        let end = window.end().max(closed.flatten());
        let end = end.filter(|_| self.has_several());
        let (Some(end), Some(place)) = (end, done.place) else {
            return false;
        };
        place + done.segment.duration.half() <= end
    }

    /// The lists are closed, and more comes of a track that has nothing so far: no viewer has seen a list of it
    /// that may not change any more.
    pub(crate) fn comes_late(&mut self, track: usize) {
        let window = &mut self.windows[track];
        if self.ended && window.entries.is_empty() && window.media_sequence.is_none() {
            (window.begins_run, window.comes_late) = (false, true);
        }
    }

    /// All of such a track is there that ever will be: it is closed as the others are, and shown.
    pub(crate) fn is_whole(&mut self, stage: &mut Stage<'_>, track: usize) {
        if std::mem::take(&mut self.windows[track].comes_late) {
            self.say_end_of(stage, track);
            self.windows[track].begins_run = true;
        }
    }

    /// It is not shown yet, and a process that follows begins it again.
    pub(crate) fn is_begun_again(&self, track: usize) -> bool {
        self.windows[track].comes_late
    }

    /// Whether a discontinuity stands among the gaps at the end of a track, or stood there.
    pub(crate) fn says_break_in_gaps(&self, track: usize) -> bool {
        self.has_several() && self.windows[track].broken_in_gaps
    }

    /// Where the run that was closed ended in the track that had most, or where others have begun the next.
    pub(super) fn closed_until(&self) -> Option<Place> {
        let closed = self.windows.iter().filter(|window| window.begins_run);
        let ends = closed.filter_map(Window::end).max();
        ends.max(self.discontinuities.newest().map(|it| it.0))
    }

    /// Whether a segment would come to a discontinuity of ours before the others do: what they have lost
    /// up to there is lost for all, so that it stands at one place (S-27).
    pub(crate) fn is_before_the_break(&self, track: usize, done: &Finished) -> bool {
        let window = &self.windows[track];
        let Some(place) = done.place.filter(|_| self.has_several()) else {
            return false;
        };
        let from = place + done.segment.duration.half();
        let last = window.discontinuities();
        let Some(opened) = self.discontinuities.opened_behind(last, from) else {
            return false;
        };
        let out_of_step = self.target_duration.unwrap_or_default() * config::OUT_OF_STEP_TARGETS;
        let breaks = window.holes.break_before(done, self.window_limit());
        let near = breaks && opened.since(from) <= out_of_step;
        near || ((breaks || window.holes.source_breaks_before(done))
            && self.is_nothing_else_between(track, from, opened))
    }

    /// All other tracks lack what they would have there.
    fn is_nothing_else_between(&self, track: usize, from: Place, until: Place) -> bool {
        let others = self.windows.iter().enumerate();
        let others = others.filter(|(other, _)| *other != track);
        let mut entries = others.flat_map(|(_, window)| &window.entries);
        !entries.any(|it| it.stored.is_some() && from < it.ends() && it.middle() < until)
    }

    /// A track has come to a discontinuity that others have passed: as far as no viewer has seen what they
    /// have there, it is theirs as well (S-27).
    pub(super) fn mark_in_others(&mut self, opener: usize) {
        let Some((place, number)) = self.discontinuities.newest() else {
            return;
        };
        let reach = self.target_duration.unwrap_or_default().scaled(1, 8);
        let others = self.windows.iter_mut().enumerate();
        for (_, window) in others.filter(|(track, _)| *track != opener) {
            let next = window.discontinuities().saturating_add(1) == number;
            let at_place =
                |it: &&mut Entry| it.place.abs_diff(place) <= reach.min(it.segment.duration.half());
            let entry = window.entries.iter_mut().find(at_place);
            if let Some(entry) = entry.filter(|it| next && it.seen == Seen::Never) {
                entry.segment.discontinuity = true;
            }
        }
    }

    /// What was lost before a segment, but for what gaps stand for already, where a track comes back.
    pub(crate) fn still_lost(&self, track: usize, done: &Finished) -> Option<Lost> {
        let lost = done.lost?;
        let last = self.windows[track].entries.back();
        let is_gap = |it: &&Entry| it.stored.is_none() && self.has_several();
        let Some((place, gap)) = done.place.zip(last.filter(is_gap)) else {
            return Some(lost);
        };
        let missing = place.since(gap.ends()).min(lost.duration);
        let each = lost.duration.scaled(1, lost.segments.max(1));
        let segments = missing.as_micros().div_ceil(each.as_micros().max(1));
        (missing > SAME_PLACE).then_some(Lost {
            first: lost.first,
            segments: segments.min(lost.segments),
            duration: missing,
        })
    }

    /// What the multivariant playlist of the source says of all that it leads to stands in ours.
    pub(crate) fn has_front(&self) -> bool {
        self.front.is_some()
    }

    /// What leads to the rungs that are offered, with what its source says of them all; nothing while there is nothing to
    /// be played.
    pub(super) fn render_entry_of(&self, board: &Board) -> Option<Arc<str>> {
        let (window, offered) = (&self.windows[ONLY], board.offered());
        if offered.variants.is_empty() {
            return None;
        }
        let front = self.front.as_ref();
        let said = front.is_some_and(|it| it.presentation.says_independent(&self.tags));
        let independent = !offered.with_source || window.says_independent() || said;
        let list = match front {
            Some(front) => front.presentation.render_with_rungs(
                &offered.variants,
                (independent, offered.with_source),
                |line| window.start_here(line),
                &self.tags,
                self.keys,
            ),
            None => render_ladder(&offered.variants, independent),
        };
        Some(list.into())
    }

    /// The multivariant playlist as it is now; nothing where there is none.
    pub(super) fn render_entry(&self) -> Option<Arc<str>> {
        let front = self.front.as_ref()?;
        let known = |window: &Window| {
            let closed = self.ended && !window.entries.is_empty();
            !window.comes_late && (window.is_listed() || window.can_begin() || closed)
        };
        let mut windows = front.tracks.iter().flatten().map(|it| &self.windows[*it]);
        if !windows.any(|it| it.kind() == Some(Kind::Variant) && known(it)) {
            // Without a variant there is nothing to play, and no list of variants.
            return None;
        }
        let relayed = |track: usize| {
            let window = &self.windows[front.tracks[track]?];
            known(window).then(|| Relayed {
                name: window.name.clone(),
                bandwidth: window.bandwidth,
                known_well: window.is_known_well(),
                formats: window.formats.clone(),
            })
        };
        let mut windows = front.tracks.iter().flatten().map(|it| &self.windows[*it]);
        let lead = windows.find(|it| it.kind() == Some(Kind::Variant) && known(it));
        let start = |line: &str| lead.and_then(|window| window.start_here(line));
        let (tags, keys) = (&self.tags, self.keys);
        let list = front.presentation.render(relayed, start, tags, keys);
        Some(list.into())
    }

    /// When viewers may see the playlists of several tracks, where no variant is listed: once all have
    /// enough, or have had time for it since the first variant had. Without a variant there is nothing to
    /// play.
    pub(super) fn opens_at(&self) -> Option<Timestamp> {
        if !self.has_several() || self.ended {
            return Some(Timestamp::default());
        }
        let is_variant = |window: &&Window| window.kind() == Some(Kind::Variant);
        let Some(front) = &self.front else {
            // What the process before has shown is shown again, whatever its source has to say.
            let mut variants = self.windows.iter().filter(is_variant);
            let shown = variants.any(Window::is_listed);
            return shown.then(Timestamp::default);
        };
        let tracks = || {
            front
                .tracks
                .iter()
                .flatten()
                .map(|track| &self.windows[*track])
        };
        let variants = || tracks().filter(is_variant);
        if variants().any(Window::is_listed) || tracks().all(Window::can_begin) {
            return Some(Timestamp::default());
        }
        let first = variants().filter_map(|window| window.began_at).min()?;
        let target_duration = self.target_duration.unwrap_or_default();
        Some(first + config::stalled_after(target_duration))
    }

    /// How long a version waits for the other tracks: until all that go on have something, or the time
    /// for that is over. Behind a hole of all, or a jump of date-times, they are waited for until they are left
    /// behind (S-26).
    pub(super) fn gathers_until(&self) -> Timestamp {
        if !self.has_several() || self.ended {
            return Timestamp::default();
        }
        let target_duration = self.target_duration.unwrap_or_default();
        let going = || self.windows.iter().filter(|window| window.goes_on);
        let waited = || going().filter(|it| it.kind().is_some_and(Kind::is_waited_for));
        let ends = || waited().filter_map(Window::end);
        let apart = ends().max().zip(ends().min());
        let apart = apart.is_some_and(|(last, first)| first + target_duration < last);
        // Date-times may jump where one has come to a discontinuity, and the others have not.
        let numbers = || waited().map(Window::discontinuities);
        let dates = || waited().map(Window::ends_on);
        let dated = dates().max().flatten().zip(dates().min().flatten());
        let jumped = numbers().max() != numbers().min()
            && dated.is_some_and(|(last, first)| first + target_duration < last);
        let gather = match apart || jumped {
            true => config::stalled_after(target_duration),
            false if going().all(|window| window.dirty) => return Timestamp::default(),
            false => config::gather_for(target_duration),
        };
        let dirty = self.windows.iter().filter(|window| window.dirty);
        let since = dirty.map(|window| window.dirty_since).min();
        since.map_or(Timestamp::default(), |since| since + gather)
    }

    /// The discontinuities as the track has them that has come to most of them; of several the first.
    pub(super) fn restore_discontinuities(&mut self) {
        let restored = self.windows.iter().filter(|it| !it.entries.is_empty());
        let Some(lead) = restored.rev().max_by_key(|it| it.discontinuities()) else {
            let numbers = self.windows.iter().map(|it| it.discontinuity_sequence);
            let first = numbers.max().unwrap_or_default();
            self.discontinuities = Discontinuities::restored(first, std::iter::empty());
            return;
        };
        let marked = lead.entries.iter().filter(|it| it.segment.discontinuity);
        let places = marked.map(|it| it.place);
        self.discontinuities = Discontinuities::restored(lead.discontinuity_sequence, places);
    }

    /// What the window of another track than the first begins with: as much time as the first has.
    pub(super) fn head_of_lead(&self, track: usize) -> Option<Place> {
        let several = self.has_several();
        let lead = self.windows.iter().position(|it| !it.entries.is_empty());
        let lead = lead.filter(|lead| several && *lead != track)?;
        self.windows[lead].entries.front().map(|it| it.place)
    }
}
