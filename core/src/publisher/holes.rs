//! A hole is said, never passed over in silence: as EXT-X-GAP segments that fill its time, or as a
//! discontinuity; and always together with the segment that follows it.

use super::discontinuities::Discontinuities;
use super::window::{Entry, Seen, Terms, Window};
use crate::config::{self, HolePolicy};
use crate::ids::Generation;
use crate::loader::history::Lost;
use crate::notice::{Break, HoleCause, Notice};
use crate::planted::Mistake;
use crate::playlist::Segment;
use crate::processor::Finished;
use crate::stage::Stage;
use crate::time::Span;
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

    /// Nothing follows: told to the operator, said to nobody.
    pub(super) fn forget(&mut self, stage: &mut Stage<'_>, policy: HolePolicy) {
        std::mem::take(self).tell(stage, policy);
    }

    fn tell(&self, stage: &mut Stage<'_>, policy: HolePolicy) {
        if let Some(cause) = &self.cause {
            stage.counters.holes += self.segments;
            stage.notify(Notice::Hole {
                segments: self.segments,
                duration: self.duration,
                policy,
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
        // Before the first segment of all there is nothing to have a hole in. Where the timeline breaks
        // anyway the break says it, and at the head of a list a discontinuity does.
        let ever_listed = self.media_sequence.is_some();
        // Of several tracks one may have what another has lost: then the timeline goes on.
        let wanted = if marks.is_some() {
            HolePolicy::Gap
        } else {
            terms.hole_policy
        };
        let gaps = !self.entries.is_empty() && !broken && holes.as_gaps(wanted, terms.window_limit);
        let policy = if gaps {
            HolePolicy::Gap
        } else {
            HolePolicy::Discontinuity
        };
        holes.tell(stage, policy);
        if gaps {
            self.push_gaps(stage, (terms, marks), holes, next, generation);
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

    fn push_gaps(
        &mut self,
        stage: &Stage<'_>,
        (terms, mut marks): (Terms, Option<&mut Discontinuities>),
        holes: Holes,
        next: &Finished,
        generation: Generation,
    ) {
        for piece in holes.pieces {
            match piece {
                Piece::Offered(segment) => {
                    let how = (terms, marks.as_deref_mut());
                    self.push_gap(stage, how, segment, next, generation);
                }
                Piece::Unseen { segments, duration } => {
                    let each = duration.scaled(1, segments.max(1));
                    for n in 1..=segments {
                        // The last one takes what the division has left.
                        let left = duration.saturating_sub(each * (segments - 1));
                        let lasts = if n == segments { left } else { each };
                        let (how, gap) =
                            ((terms, marks.as_deref_mut()), self.gap_after(lasts, next));
                        self.push_gap(stage, how, gap, next, generation);
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
        next: &Finished,
        generation: Generation,
    ) {
        segment.gap = true;
        // It needs none, and is under what follows, so that nothing changes at it.
        segment.keys = Arc::clone(&next.segment.keys);
        segment.map.clone_from(&next.segment.map);
        if segment.date_time.is_none() && !stage.makes(Mistake::GapUndated) {
            let before = self.entries.back().map(|entry| &entry.segment);
            segment.date_time =
                before.and_then(|it| match stage.makes(Mistake::GapDatedTooEarly) {
                    true => it.date_time,
                    false => Some(it.date_time? + it.duration),
                });
        }
        let place = self.end().or(next.place).unwrap_or_default();
        self.push(
            stage,
            terms,
            marks,
            Entry {
                place,
                segment,
                stored: None,
                resources: next.resources.clone(),
                rungs: Vec::new(),
                hidden: false,
                identity: None,
                longest_playlist: Span::ZERO,
                appeared: next.appeared,
                generation,
                seen: Seen::Never,
                listed_at: None,
            },
        );
    }

    /// A gap that nothing is known of but its length.
    fn gap_after(&self, duration: Span, next: &Finished) -> Segment {
        Segment {
            duration,
            title: "".into(),
            byte_range: None,
            discontinuity: false,
            date_time: None,
            date_time_text: None,
            gap: true,
            tags: Vec::new(),
            ..next.segment.clone()
        }
    }
}
