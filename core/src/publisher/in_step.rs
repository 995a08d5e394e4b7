//! Keeping tracks in step: one that begins later, falls behind or comes back gets gaps for the time that the
//! others cover (S-26).

use super::Publisher;
use super::entry::{Entry, Seen};
use super::tracks::SAME_PLACE;
use super::window::Window;
use crate::checkpoint::SavedObject;
use crate::ids::Generation;
use crate::limits;
use crate::loader::history::Lost;
use crate::playlist::Segment;
use crate::processor::Finished;
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp, WallTime};

impl Publisher {
    /// A track that begins more than a target duration later than the others gets gaps like what they have
    /// before it, but for what viewers had of it before a restart. They stand for what it has lost as well; where the
    /// others come to a break, so does it.
    pub(super) fn begin_beside(
        &mut self,
        stage: &mut Stage<'_>,
        track: usize,
        place: Place,
        done: &mut Finished,
    ) {
        let window = &self.windows[track];
        let begun = (self.ended && !window.comes_late) || !window.entries.is_empty();
        let target_duration = self.target_duration.unwrap_or_default();
        let late = |head: &Place| !begun && *head + target_duration < place;
        let head = self.head_of_lead(track).filter(late);
        let is_lead = |it: &&Window| head.is_some() && it.head() == head;
        let Some(lead) = self.windows.iter().find(is_lead) else {
            return;
        };
        let had = self.windows[track].cut_until;
        let before = lead.entries.iter().take_while(|it| it.middle() < place);
        let mut gaps: Vec<Gap> = before.map(|it| Gap::like(it).until(place)).collect();
        if let Some(had) = had {
            gaps = gaps.into_iter().filter_map(|gap| gap.after(had)).collect();
            let reached = gaps.last().map_or(had, Gap::ends);
            let holes = &self.windows[track].holes;
            if head <= Some(reached) && !holes.break_before(done, self.window_limit()) {
                // What it has lost where the others have not come to may be theirs.
                let rest = place.since(reached);
                let of = (last_generation(lead), stage.now.monotonic);
                gaps.extend(Gap::filling(reached, rest, target_duration, of));
            }
        }
        if gaps.is_empty() {
            return;
        }
        let window = &mut self.windows[track];
        window.holes.clear();
        done.lost = None;
        let new_run = std::mem::take(&mut window.begins_run) && window.media_sequence.is_some();
        gaps.iter_mut()
            .take(1)
            .for_each(|first| first.discontinuity |= new_run);
        if gaps.iter().any(|gap| gap.discontinuity) {
            done.broken = None;
        }
        for gap in gaps {
            let date_time = done.segment.date_time;
            let beside = Segment {
                date_time: date_time.map(|at| at - place.since(gap.place)),
                ..done.segment.clone()
            };
            self.push_gap_beside(stage, track, &gap, (beside, done.resources.clone()));
        }
    }

    /// Of the first that a track has lost since it came back, gaps may stand for the beginning.
    pub(super) fn cut_what_gaps_stand_for(&self, track: usize, lost: &mut Finished) {
        let window = &self.windows[track];
        let is_gap = window.entries.back().is_some_and(|it| it.stored.is_none());
        let reached = window.end().filter(|_| is_gap && window.holes.is_empty());
        if let Some((end, place)) = reached.zip(lost.place).filter(|_| self.has_several()) {
            let had = end.since(place).min(lost.segment.duration);
            lost.segment.duration = lost.segment.duration.saturating_sub(had);
            lost.segment.date_time = lost.segment.date_time.map(|at| at + had);
        }
    }

    /// Fills what is missing right before a segment, where a track comes back, or takes back of the last gap what reaches into
    /// the segment, as long as nobody has seen that.
    pub(super) fn fill_before(
        &mut self,
        stage: &mut Stage<'_>,
        track: usize,
        place: Place,
        lost: Option<Lost>,
    ) {
        let window = &self.windows[track];
        let (Some(end), Some(last)) = (window.end(), window.entries.back()) else {
            return;
        };
        let told = window.holes.duration() + lost.map_or(Span::ZERO, |lost| lost.duration);
        let missing = place.since(end).saturating_sub(told);
        // What was closed stays as it was closed (S-15).
        if last.stored.is_some() || window.begins_run {
            return;
        }
        let beyond = end.since(place);
        if last.seen == Seen::Never && beyond < last.segment.duration {
            let last = self.windows[track].entries.back_mut();
            last.into_iter()
                .for_each(|it| it.segment.duration = it.segment.duration.saturating_sub(beyond));
        }
        let window = &self.windows[track];
        let target_duration = self.target_duration.unwrap_or(Span::from_secs(1));
        let of = (last_generation(window), stage.now.monotonic);
        // One begins where the others have come to a break.
        let breaks: Vec<Place> = self.discontinuities.within(end, missing).collect();
        let starts = std::iter::once(end).chain(breaks.iter().copied());
        let ends = breaks.iter().copied().chain([end + missing]);
        let parts = starts.zip(ends);
        let gaps =
            parts.flat_map(|(from, to)| Gap::filling(from, to.since(from), target_duration, of));
        // What the others do not list any more leaves the list before it is visible.
        for gap in gaps.take(limits::MAX_WINDOW) {
            self.push_gap(stage, track, &gap);
        }
    }

    /// Every listed track for which `goes_on` is false gets gaps like the segments of `model`, until it is
    /// a target duration behind the newest of all: what comes until then is still in time (S-26).
    pub(crate) fn keep_in_step(
        &mut self,
        stage: &mut Stage<'_>,
        model: Option<usize>,
        goes_on: impl Fn(usize) -> bool,
    ) {
        for (track, window) in self.windows.iter_mut().enumerate() {
            window.goes_on = goes_on(track);
        }
        if self.ended {
            return;
        }
        let target_duration = self.target_duration.unwrap_or_default();
        let going = self.windows.iter().filter(|window| window.goes_on);
        let (Some(model), Some(end)) = (model, going.filter_map(Window::end).max()) else {
            return;
        };
        let closed = self.closed_until();
        let late = |(track, window): (usize, &Window)| {
            let listed = !window.entries.is_empty() && !goes_on(track);
            let end = window.end().filter(|_| listed)?;
            // Nothing stands for what the others had in the run that was closed.
            let begins = closed.filter(|_| window.begins_run).unwrap_or(end);
            Some((track, end, begins.max(end)))
        };
        let late: Vec<_> = self.windows.iter().enumerate().filter_map(late).collect();
        for (track, from, begins) in late {
            let of_model = self.windows[model].entries.iter().rev();
            let missing: Vec<_> = of_model.take_while(|it| it.middle() > begins).collect();
            let mut reached = from;
            let needed = |it: &&&Entry| {
                let before = std::mem::replace(&mut reached, it.ends());
                before + target_duration < end
            };
            let missing = missing.iter().rev().take_while(needed);
            let mut gaps: Vec<Gap> = missing.map(|it| Gap::like(it)).collect();
            if let Some(first) = gaps.first()
                && let Some(cut) = first.from(begins, target_duration)
            {
                gaps.splice(..1, cut);
            }
            if let Some(first) = gaps.first_mut() {
                // The others have begun another run.
                let window = &mut self.windows[track];
                first.discontinuity |= std::mem::take(&mut window.begins_run);
            }
            for gap in gaps {
                // Nothing was had for it, so nothing is said to be lost with it.
                self.windows[track].holes.clear();
                self.push_gap(stage, track, &gap);
            }
        }
    }

    /// Before the lists are closed: what would be too far behind to be closed with the others gets gaps.
    pub(super) fn end_in_step(&mut self, stage: &mut Stage<'_>) {
        if !self.has_several() {
            return;
        }
        let ends: Vec<Option<Place>> = self.windows.iter().map(Window::end).collect();
        let newest = ends.iter().copied().max().flatten();
        let model = ends.iter().position(|end| *end == newest);
        let target_duration = self.target_duration.unwrap_or_default();
        let in_step = |track: usize| ends[track].map(|end| end + target_duration) >= newest;
        self.keep_in_step(stage, model, in_step);
    }

    /// A gap behind the last segment of a track, read with what that one is.
    fn push_gap(&mut self, stage: &mut Stage<'_>, track: usize, gap: &Gap) {
        let Some(last) = self.windows[track].entries.back() else {
            return;
        };
        let since = gap.place.since(last.place);
        // Behind a break the dates are those of the others: they may have jumped there.
        let jumped = gap.date_time.filter(|_| gap.discontinuity);
        let goes_on = last.segment.date_time.map(|at| at + since);
        let beside = Segment {
            date_time: goes_on.map(|at| jumped.unwrap_or(at)),
            ..last.read_with()
        };
        let resources = last.resources.clone();
        self.push_gap_beside(stage, track, gap, (beside, resources));
    }

    fn push_gap_beside(
        &mut self,
        stage: &mut Stage<'_>,
        track: usize,
        gap: &Gap,
        (beside, resources): (Segment, Vec<SavedObject>),
    ) {
        let segment = Segment {
            duration: gap.duration,
            title: "".into(),
            byte_range: None,
            discontinuity: gap.discontinuity,
            date_time_text: None,
            gap: true,
            tags: Vec::new(),
            ..beside
        };
        let terms = self.terms();
        let marks = &mut self.discontinuities;
        self.windows[track].push(
            stage,
            terms,
            Some(marks),
            Entry {
                segment,
                stored: None,
                resources,
                rungs: Vec::new(),
                hidden: false,
                identity: None,
                longest_playlist: Span::ZERO,
                appeared: gap.appeared,
                generation: gap.generation,
                seen: Seen::Never,
                listed_at: None,
                place: gap.place,
            },
        );
    }
}

/// A gap in place of a segment that another track has.
struct Gap {
    duration: Span,
    place: Place,
    discontinuity: bool,
    /// Of the other track's segment.
    date_time: Option<WallTime>,
    generation: Generation,
    appeared: Timestamp,
}

impl Gap {
    fn like(entry: &Entry) -> Self {
        Self {
            duration: entry.segment.duration,
            place: entry.place,
            discontinuity: entry.segment.discontinuity,
            date_time: entry.segment.date_time,
            generation: entry.generation,
            appeared: entry.appeared,
        }
    }

    /// What stands for so much from there on, each a target duration at most; nothing for what rounding leaves.
    fn filling(
        from: Place,
        missing: Span,
        target_duration: Span,
        (generation, appeared): (Generation, Timestamp),
    ) -> impl Iterator<Item = Self> {
        let most = target_duration.as_micros().max(1);
        let pieces = match missing > SAME_PLACE {
            true => missing.as_micros().div_ceil(most),
            false => 0,
        };
        let duration = missing.scaled(1, pieces.max(1));
        (0..pieces).map(move |piece| Self {
            duration,
            place: from + duration * piece,
            discontinuity: false,
            date_time: None,
            generation,
            appeared,
        })
    }

    /// What fills the time up to its end where a track is cut otherwise, and ends elsewhere than it begins; nothing where it
    /// begins there, or behind a break or a hole.
    fn from(&self, begins: Place, target_duration: Span) -> Option<Vec<Self>> {
        let apart = begins.abs_diff(self.place);
        let cut = SAME_PLACE < apart && apart <= target_duration && !self.discontinuity;
        let of = (self.generation, self.appeared);
        let missing = self.ends().since(begins);
        cut.then(|| Self::filling(begins, missing, target_duration, of).collect())
    }

    fn ends(&self) -> Place {
        self.place + self.duration
    }

    /// As much of it as there is after `start`, but for what rounding leaves.
    fn after(self, start: Place) -> Option<Self> {
        let had = start.since(self.place);
        let duration = self.duration.saturating_sub(had);
        let place = self.place + had.min(self.duration);
        let date_time = self.date_time.map(|at| at + had);
        (duration > SAME_PLACE).then_some(Self {
            duration,
            place,
            date_time,
            ..self
        })
    }

    /// As much of it as there is before `end`.
    fn until(self, end: Place) -> Self {
        let duration = self.duration.min(end.since(self.place));
        Self { duration, ..self }
    }
}

fn last_generation(window: &Window) -> Generation {
    let last = window.entries.back();
    last.map_or(Generation::default(), |entry| entry.generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Identity;
    use crate::ids::PlaylistName;
    use crate::notice::Break;
    use crate::playlist::{self, Playlist};
    use crate::stage::on_a_stage;
    use crate::time::Timestamp;

    const LASTS: Span = Span::from_secs(6);

    fn at(secs: i64) -> Place {
        Place::from_micros(secs * 1_000_000)
    }

    /// The first segment of a track, behind a break.
    fn first(place: Place) -> Finished {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n";
        let Ok(Playlist::Media(mut list)) = playlist::parse(text.as_bytes()) else {
            panic!("a media playlist");
        };
        Finished {
            segment: list.segments.remove(0),
            stored: None,
            resources: Vec::new(),
            rungs: Vec::new(),
            formats: None,
            identity: Identity {
                media_sequence: 0,
                path: "a.ts".into(),
                byte_range: None,
                date_time: None,
                discontinuity_sequence: 0,
                duration: LASTS,
            },
            run: 0,
            broken: Some(Break::RestartedLower),
            lost: None,
            appeared: Timestamp::default(),
            place: Some(place),
        }
    }

    fn listed(place: Place, discontinuity: bool) -> Entry {
        let segment = first(place).segment;
        Entry {
            segment: Segment {
                discontinuity,
                ..segment
            },
            stored: None,
            resources: Vec::new(),
            rungs: Vec::new(),
            hidden: false,
            identity: None,
            longest_playlist: Span::ZERO,
            appeared: Timestamp::default(),
            generation: Generation::default(),
            seen: Seen::Surely,
            listed_at: None,
            place,
        }
    }

    #[test]
    fn s_27_gaps_of_a_track_that_begins_late_break_where_it_does_or_the_others_do() {
        for (begins_run, others_break) in
            [(true, false), (false, true), (true, true), (false, false)]
        {
            let name = |name: &str| Window::new(PlaylistName(name.into()));
            let mut publisher = Publisher::new();
            publisher.target_duration = Some(LASTS);
            publisher.windows = vec![name("v0.m3u8"), name("v1.m3u8")];
            let lead = [(0, others_break), (6, false), (12, false)];
            let lead = lead.map(|(place, breaks)| listed(at(place), breaks));
            publisher.windows[0].entries.extend(lead);
            publisher.windows[1].media_sequence = Some(70);
            publisher.windows[1].begins_run = begins_run;

            let mut done = first(at(18));
            on_a_stage(Timestamp::default(), |stage| {
                publisher.begin_beside(stage, 1, at(18), &mut done);
            });

            let gaps = publisher.windows[1].entries.iter();
            let breaks: Vec<bool> = gaps.map(|it| it.segment.discontinuity).collect();
            let broken = begins_run || others_break;
            assert_eq!(breaks, [broken, false, false]);
            // It is said once.
            assert_eq!(done.broken.is_none(), broken);
        }
    }
}
