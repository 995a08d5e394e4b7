//! A hole is said, never passed over in silence: as EXT-X-GAP segments that fill its time, or as a
//! discontinuity; and always together with the segment that follows it.

use super::{Entry, Publisher, Seen};
use crate::config::{self, HolePolicy};
use crate::ids::Generation;
use crate::loader::history::Lost;
use crate::notice::{HoleCause, Notice};
use crate::playlist::Segment;
use crate::processor::Finished;
use crate::stage::Stage;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What was lost since the last segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holes {
    /// Segments that were offered and not had, as they would have been published; only as many as a
    /// window can hold.
    offered: Vec<Segment>,
    /// Segments that no list ever showed.
    unseen: u64,
    unseen_duration: Span,
    segments: u64,
    duration: Span,
    cause: Option<HoleCause>,
    /// A break before a lost segment is a break before the next one.
    broken: bool,
}

impl Holes {
    pub(super) fn is_empty(&self) -> bool {
        self.segments == 0
    }

    pub(super) fn never_listed(&mut self, lost: Lost) {
        self.unseen += lost.segments;
        self.unseen_duration += lost.duration;
        self.segments += lost.segments;
        self.duration += lost.duration;
        self.cause.get_or_insert(HoleCause::NeverListed);
    }

    pub(super) fn lose(&mut self, lost: Finished, cause: HoleCause, window: usize) {
        if let Some(unseen) = lost.lost {
            self.never_listed(unseen);
        }
        self.segments += 1;
        self.duration += lost.segment.duration;
        self.cause = Some(cause);
        self.broken |= lost.broken.is_some();
        if self.offered.len() < window {
            self.offered.push(lost.segment);
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
                cause: cause.clone(),
            });
        }
    }

    /// The hole as segments, where that is wanted and leaves room for something to play.
    fn as_gaps(&self, policy: HolePolicy, window: usize) -> bool {
        let room = window.saturating_sub(config::START_SEGMENTS) as u64;
        policy == HolePolicy::Gap && !self.broken && self.segments <= room
    }
}

impl Publisher {
    /// Says what was lost before `next`. Where that takes a discontinuity before it, gives the lines
    /// that stood with what was lost.
    pub(super) fn say_holes(
        &mut self,
        stage: &mut Stage<'_>,
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
        let gaps = !self.window.is_empty()
            && !broken
            && holes.as_gaps(self.hole_policy, self.window_limit);
        let policy = if gaps {
            HolePolicy::Gap
        } else {
            HolePolicy::Discontinuity
        };
        holes.tell(stage, policy);
        if gaps {
            self.push_gaps(stage, holes, next, generation);
            return None;
        }
        let lines = holes.offered.into_iter().flat_map(|segment| segment.tags);
        ever_listed.then(|| lines.collect())
    }

    fn push_gaps(
        &mut self,
        stage: &mut Stage<'_>,
        holes: Holes,
        next: &Finished,
        generation: Generation,
    ) {
        let each = holes.unseen_duration.scaled(1, holes.unseen.max(1));
        let mut left = holes.unseen_duration;
        let unseen = (1..=holes.unseen).map(|n| {
            let duration = if n == holes.unseen { left } else { each };
            left = left.saturating_sub(duration);
            self.gap_after(duration, next)
        });
        let unseen: Vec<Segment> = unseen.collect();
        // What was offered and lost came before what was never seen: the list had moved on.
        for mut segment in holes.offered.into_iter().chain(unseen) {
            segment.gap = true;
            let number = self.media_sequence.unwrap_or_default() + self.window.len() as u64;
            segment.uri = Arc::from(format!("gap-{number}.ts"));
            if segment.date_time.is_none() {
                let before = self.window.back().map(|entry| &entry.segment);
                segment.date_time = before.and_then(|it| Some(it.date_time? + it.duration));
            }
            self.fit_target_duration(stage, segment.duration);
            self.push(
                stage,
                Entry {
                    segment,
                    stored: None,
                    identity: None,
                    longest_playlist: Span::ZERO,
                    appeared: next.appeared,
                    generation,
                    seen: Seen::Never,
                },
            );
        }
    }

    /// A gap that nothing is known of but its length: under the keys of what follows, so that
    /// nothing changes at it.
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
