//! A hole is said, never passed over in silence: as EXT-X-GAP segments that fill its time, or as a
//! discontinuity; and always together with the segment that follows it, or with the end of the list.

use super::discontinuities::Discontinuities;
use super::entry::{Entry, Seen};
use super::window::{Terms, Window};
use crate::checkpoint::SavedObject;
use crate::config::{self, HolePolicy};
use crate::ids::Generation;
use crate::loader::history::Lost;
use crate::notice::{Break, HoleCause, Notice};
use crate::planted::Mistake;
use crate::playlist::Segment;
use crate::processor::Finished;
use crate::stage::Stage;
use crate::time::{Place, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What was lost since the last segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holes {
    /// In the order of the media; only as many as a window can hold.
    pieces: Vec<Piece>,
    segments: u64,
    duration: Span,
    cause: Option<HoleCause>,
    /// A break before a lost segment is a break before the next one.
    pub(super) broken: Option<Break>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Piece {
    /// Offered and not had: as it would have been published.
    Offered(Segment),
    /// In no list that was ever seen.
    Unseen { segments: u64, duration: Span },
}

impl Holes {
    pub(super) fn is_empty(&self) -> bool {
        self.segments == 0
    }

    /// The time that they fill.
    pub(super) fn duration(&self) -> Span {
        self.duration
    }

    /// They stand for nothing that is not said otherwise.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn never_listed(&mut self, lost: Lost, window: usize) {
        let (segments, duration) = (lost.segments, lost.duration);
        self.segments = self.segments.saturating_add(segments);
        self.duration += duration;
        self.push(Piece::Unseen { segments, duration }, window);
        self.cause.get_or_insert(HoleCause::NeverListed);
    }

    pub(super) fn lose(&mut self, lost: Finished, cause: HoleCause, window: usize) {
        if let Some(unseen) = lost.lost {
            self.never_listed(unseen, window);
        }
        self.segments = self.segments.saturating_add(1);
        self.duration += lost.segment.duration;
        self.cause = Some(cause);
        self.broken = self.broken.or(lost.broken);
        self.push(Piece::Offered(lost.segment), window);
    }

    fn push(&mut self, piece: Piece, window: usize) {
        if self.pieces.len() < window {
            self.pieces.push(piece);
        }
    }

    /// Told to the operator, said to nobody.
    pub(super) fn forget(&mut self, stage: &mut Stage<'_>) {
        std::mem::take(self).tell(stage, None);
    }

    fn tell(&self, stage: &mut Stage<'_>, said: Option<HolePolicy>) {
        if let Some(cause) = &self.cause {
            stage.counters.holes += self.segments;
            stage.notify(Notice::Hole {
                segments: self.segments,
                duration: self.duration,
                said,
                cause: match stage.makes(Mistake::HoleForAnotherReason) {
                    true => HoleCause::NeverListed,
                    false => cause.clone(),
                },
            });
        }
    }

    /// The hole as segments, where that is wanted and leaves room for something to play.
    fn as_gaps(&self, policy: HolePolicy, window: usize) -> bool {
        policy == HolePolicy::Gap && self.segments <= room(window) && self.is_whole()
    }

    /// Every segment is in a piece: a window that was smaller before has kept fewer.
    fn is_whole(&self) -> bool {
        let kept = self.pieces.iter().map(|piece| match piece {
            Piece::Offered(_) => 1,
            Piece::Unseen { segments, .. } => *segments,
        });
        kept.fold(0, u64::saturating_add) == self.segments
    }

    /// Whether `next` would follow them behind a discontinuity, in one of several tracks.
    pub(super) fn break_before(&self, next: &Finished, window: usize) -> bool {
        let more = next.lost.map_or(0, |lost| lost.segments);
        let long = self.segments.saturating_add(more) > room(window);
        self.broken.or(next.broken).is_some() || long || !self.is_whole()
    }

    /// Whether the source has a discontinuity before `next`, or amid them.
    pub(super) fn source_breaks_before(&self, next: &Finished) -> bool {
        let breaks = |piece: &Piece| match piece {
            Piece::Offered(segment) => segment.discontinuity,
            Piece::Unseen { .. } => false,
        };
        next.segment.discontinuity || self.pieces.iter().any(breaks)
    }
}

/// So many gaps leave enough to play in a window.
fn room(window: usize) -> u64 {
    window.saturating_sub(config::START_SEGMENTS) as u64
}

impl Window {
    /// Says what was lost before `next`. Where that takes a discontinuity before it, gives the lines
    /// that stood with what was lost.
    pub(super) fn say_holes(
        &mut self,
        stage: &mut Stage<'_>,
        (terms, marks): (Terms, Option<&mut Discontinuities>),
        next: &Finished,
        broken: bool,
        generation: Generation,
    ) -> Option<Vec<Arc<str>>> {
        if self.holes.is_empty() {
            return None;
        }
        let holes = std::mem::take(&mut self.holes);
        // Where the timeline breaks anyway the break says it. What is listed whole has a beginning, which can be
        // lost; what goes on has none to have a hole in, and at the head of a list a discontinuity says it.
        let begins = self.entries.is_empty();
        let has_room = match begins {
            true => terms.keeps_all,
            false => !broken,
        };
        let gaps = has_room && holes.as_gaps(terms.said(marks.is_some()), terms.window_limit);
        let ever_listed = self.media_sequence.is_some();
        let discontinuity = ever_listed.then_some(HolePolicy::Discontinuity);
        holes.tell(
            stage,
            if gaps {
                Some(HolePolicy::Gap)
            } else {
                discontinuity
            },
        );
        if gaps {
            let beside = Beside {
                segment: &next.segment,
                resources: &next.resources,
                appeared: next.appeared,
                generation,
                begins: next.place.unwrap_or_default() - holes.duration,
                broken,
            };
            self.push_gaps(stage, (terms, marks), holes.pieces, &beside);
            return None;
        }
        let mut lines = Vec::new();
        for piece in holes.pieces {
            if let Piece::Offered(lost) = piece {
                let dated = (lost.date_time.is_some(), next.segment.date_time.is_some());
                lines.extend(match dated {
                    (true, false) => self.take_lost_date_ranges(stage, lost.tags),
                    (true, true) | (false, _) => lost.tags,
                });
            }
        }
        ever_listed.then_some(lines)
    }

    /// Says what was lost at the very end, before the list is closed.
    pub(super) fn say_last_holes(
        &mut self,
        stage: &mut Stage<'_>,
        (terms, marks): (Terms, Option<&mut Discontinuities>),
    ) {
        let mut holes = std::mem::take(&mut self.holes);
        let wanted = terms.said(marks.is_some());
        let gaps = holes.broken.is_none() && holes.as_gaps(wanted, terms.window_limit);
        let Some(last) = self.entries.back().filter(|_| gaps).cloned() else {
            holes.forget(stage);
            return;
        };
        holes.tell(stage, Some(HolePolicy::Gap));
        let beside = Beside {
            segment: &last.read_with(),
            resources: &last.resources,
            appeared: last.appeared,
            generation: last.generation,
            begins: last.ends(),
            broken: false,
        };
        self.push_gaps(stage, (terms, marks), holes.pieces, &beside);
    }

    fn push_gaps(
        &mut self,
        stage: &Stage<'_>,
        (terms, mut marks): (Terms, Option<&mut Discontinuities>),
        pieces: Vec<Piece>,
        beside: &Beside<'_>,
    ) {
        let mut broken = beside.broken;
        for piece in pieces {
            match piece {
                Piece::Offered(mut segment) => {
                    segment.discontinuity |= std::mem::take(&mut broken);
                    let how = (terms, marks.as_deref_mut());
                    self.push_gap(stage, how, segment, beside);
                }
                Piece::Unseen { segments, duration } => {
                    let each = duration.scaled(1, segments.max(1));
                    for n in 1..=segments {
                        // The last one takes what the division has left.
                        let left = duration.saturating_sub(each * (segments - 1));
                        let lasts = if n == segments { left } else { each };
                        let mut gap = beside.lasting(lasts);
                        gap.discontinuity = std::mem::take(&mut broken);
                        let how = (terms, marks.as_deref_mut());
                        self.push_gap(stage, how, gap, beside);
                    }
                }
            }
        }
    }

    fn push_gap(
        &mut self,
        stage: &Stage<'_>,
        (terms, marks): (Terms, Option<&mut Discontinuities>),
        mut segment: Segment,
        beside: &Beside<'_>,
    ) {
        segment.gap = true;
        segment.keys = Arc::clone(&beside.segment.keys);
        segment.map.clone_from(&beside.segment.map);
        if segment.date_time.is_none() && !stage.makes(Mistake::GapUndated) {
            let before = self.entries.back().map(|entry| &entry.segment);
            segment.date_time =
                before.and_then(|it| match stage.makes(Mistake::GapDatedTooEarly) {
                    true => it.date_time,
                    false => Some(it.date_time? + it.duration),
                });
        }
        self.push(
            stage,
            terms,
            marks,
            Entry {
                place: self.end().unwrap_or(beside.begins),
                segment,
                stored: None,
                resources: beside.resources.to_vec(),
                rungs: Vec::new(),
                hidden: false,
                identity: None,
                longest_playlist: Span::ZERO,
                appeared: beside.appeared,
                generation: beside.generation,
                seen: Seen::Never,
                listed_at: None,
            },
        );
    }
}

/// What gaps are read with, so that nothing changes at them: they need none of it. It is what follows them and, at the end
/// of a list, what is before.
struct Beside<'a> {
    segment: &'a Segment,
    resources: &'a [SavedObject],
    appeared: Timestamp,
    generation: Generation,
    /// Where they begin, where nothing is listed.
    begins: Place,
    /// A break comes before them.
    broken: bool,
}

impl Beside<'_> {
    /// A gap that nothing is known of but its length.
    fn lasting(&self, duration: Span) -> Segment {
        Segment {
            duration,
            title: "".into(),
            byte_range: None,
            discontinuity: false,
            date_time: None,
            date_time_text: None,
            gap: true,
            tags: Vec::new(),
            ..self.segment.clone()
        }
    }
}
