//! The encoder: which segment exists from when to when, as a closed formula of time.
//!
//! Its life is a list of pieces, drawn up from the plan before anything is asked. Within a piece all
//! is regular, so that the state at any time is found without going through the time before it.
//! Pieces that follow on without a break in the numbering form a run; a window never spans two runs.

mod life;

use super::fault::Fault;
use super::piece::{Piece, micros};
use super::spec::{Keeps, OriginSpec};
use hls_relay_core::time::Span;
use life::{changes, first_piece};

/// The segments an encoder makes, and when it lists them.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    pieces: Vec<Piece>,
    window: u64,
    publish_delay: i64,
    publish_jitter: u64,
    seed: u64,
}

/// A segment's place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) piece: usize,
    pub(super) index: u64,
}

/// No encoder makes as many segments: whoever lists so many lists all.
const ALL: u64 = u32::MAX as u64;

/// How many segments a playlist has room for.
fn listed_at_most(spec: &OriginSpec) -> u64 {
    match spec.keeps {
        Keeps::Window => spec.window.max(1),
        Keeps::Event | Keeps::Vod => ALL,
    }
}

/// What the playlist lists at some time, oldest first. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) places: Vec<Place>,
    pub(super) ended: bool,
}

impl Encoder {
    pub(super) fn new(spec: &OriginSpec, faults: &[Fault]) -> Self {
        let mut encoder = Self {
            pieces: vec![first_piece(spec)],
            window: listed_at_most(spec),
            publish_delay: micros(spec.publish_delay),
            publish_jitter: 0,
            seed: spec.seed,
        };
        for segment in &spec.discontinuities {
            encoder.jumped_before(*segment);
        }
        for (at, change) in changes(faults) {
            encoder.apply(spec, at, change);
        }
        // More than half a segment would list segments out of order.
        let least = encoder
            .pieces
            .iter()
            .map(|piece| piece.durations.least())
            .min()
            .unwrap_or(0);
        encoder.publish_jitter = spec.publish_jitter.as_micros().min(least / 2);
        encoder
    }

    /// The encoder of another track than the first: it works on the same timeline, is cut where `lead`
    /// is, and its segments are listed `behind` segments later.
    pub(super) fn following(lead: &Self, spec: &OriginSpec, behind: u64) -> Self {
        let late = spec.durations.mean() * behind;
        let mut encoder = Self {
            pieces: Vec::with_capacity(lead.pieces.len()),
            window: listed_at_most(spec),
            publish_delay: lead.publish_delay + i64::try_from(late).unwrap_or(i64::MAX),
            publish_jitter: lead.publish_jitter.min(spec.durations.least() / 2),
            seed: spec.seed,
        };
        for piece in &lead.pieces {
            let next = encoder.pieces.last().map(|last| {
                let lead_last = &lead.pieces[encoder.pieces.len() - 1];
                let lead_next = lead_last.first_number + lead_last.count;
                let left_out = piece.first_number.checked_sub(lead_next);
                match left_out.filter(|_| piece.names == lead_last.names) {
                    _ if piece.run == lead_last.run => last.first_number + last.count,
                    // A jump leaves out as many numbers everywhere, a restart begins anew.
                    Some(left_out @ 1..) => last.first_number + last.count + left_out,
                    Some(0) | None => piece.first_number,
                }
            });
            encoder.pieces.push(piece.cut_otherwise(spec, next));
        }
        encoder
    }

    pub(super) fn piece(&self, place: Place) -> &Piece {
        &self.pieces[place.piece]
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What is listed at `at`; `None` before the first segment.
    pub(super) fn window(&self, at: Span) -> Option<Window> {
        let newest = self.newest(at)?;
        let mut places = Vec::new();
        let mut cursor = Some(newest);
        while let Some(place) = cursor.filter(|_| (places.len() as u64) < self.window) {
            places.push(place);
            cursor = self.before(place);
        }
        places.reverse();
        let piece = self.piece(newest);
        let complete = newest.index + 1 == piece.count;
        let ended = complete && piece.ended_at.is_some_and(|ended_at| ended_at <= at);
        Some(Window { places, ended })
    }

    /// The newest segment that is listed at `at`.
    pub(super) fn newest(&self, at: Span) -> Option<Place> {
        (0..self.pieces.len()).rev().find_map(|piece| {
            let listed = self.count_listed(piece, at);
            (listed > 0).then(|| Place {
                piece,
                index: listed - 1,
            })
        })
    }

    /// How many segments of a piece have ever been listed by `at`.
    pub(super) fn count_listed(&self, piece: usize, at: Span) -> u64 {
        let stretch = &self.pieces[piece];
        let ended = stretch.count_ended(micros(at).saturating_sub(self.publish_delay));
        match ended.checked_sub(1) {
            // The jitter is under half a segment: only the last one can still be waiting.
            Some(last) if self.listed_at(Place { piece, index: last }) > at => last,
            Some(_) | None => ended,
        }
    }

    /// When a segment is first listed. What was listed before time zero counts as listed then.
    pub(super) fn listed_at(&self, place: Place) -> Span {
        let piece = self.piece(place);
        let jitter = piece.publish.below(place.index, self.publish_jitter);
        let at = piece.end(place.index) + self.publish_delay + jitter as i64;
        Span::from_micros(u64::try_from(at).unwrap_or(0))
    }

    /// When a segment is no longer listed, if that is ever so.
    pub(super) fn removed_at(&self, place: Place) -> Option<Span> {
        let mut piece = place.piece;
        let mut index = place.index + self.window;
        loop {
            let stretch = &self.pieces[piece];
            if index < stretch.count {
                return Some(self.listed_at(Place { piece, index }));
            }
            index -= stretch.count;
            piece += 1;
            let next = self.pieces.get(piece)?;
            if next.run != stretch.run {
                // A new run replaces the playlist with its first segment.
                index = 0;
            }
        }
    }

    /// When a segment can no longer be fetched, if that is ever so.
    pub(super) fn gone_at(&self, place: Place, retention: Option<Span>) -> Option<Span> {
        let removed = self.removed_at(place)?;
        let kept = retention.unwrap_or_else(|| {
            // RFC 8216 6.2.2: its own duration and that of the longest playlist that listed it.
            let longest = self.piece(place).durations.mean() + self.publish_jitter;
            self.piece(place).duration(place.index) + Span::from_micros(longest) * (self.window + 1)
        });
        Some(removed + kept)
    }

    /// The segment before this one in the same run.
    fn before(&self, place: Place) -> Option<Place> {
        if place.index > 0 {
            return Some(Place {
                index: place.index - 1,
                ..place
            });
        }
        let run = self.piece(place).run;
        let earlier = (0..place.piece)
            .rev()
            .take_while(|&piece| self.pieces[piece].run == run);
        earlier
            .map(|piece| (piece, self.pieces[piece].count))
            .find(|&(_, count)| count > 0)
            .map(|(piece, count)| Place {
                piece,
                index: count - 1,
            })
    }
}
