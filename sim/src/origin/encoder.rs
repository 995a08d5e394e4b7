//! The encoder: which segment exists from when to when, as a closed formula of time.
//!
//! Its life is a list of pieces, drawn up from the plan before anything is asked. Within a piece all
//! is regular, so that the state at any time is found without going through the time before it.
//! Pieces that follow on without a break in the numbering form a run; a window never spans two runs.

use super::fault::{EncoderFault, Fault, FaultKind, Names};
use super::media::IDR_TICKS;
use super::spec::{OriginSpec, SegmentDurations, total};
use super::ts::TIMESTAMP_RANGE;
use crate::rng::Stream;
use hls_relay_core::time::Span;

/// The segments an encoder makes, and when it lists them.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    pieces: Vec<Piece>,
    window: u64,
    publish_delay: i64,
    publish_jitter: u64,
    seed: u64,
}

/// A stretch of regular work.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Which stretch of contiguous numbers it belongs to.
    pub(super) run: u32,
    /// The run whose names it uses.
    pub(super) names: u32,
    pub(super) first_number: u64,
    pub(super) first_tick: u64,
    pub(super) target_duration: u64,
    /// Whether its first segment follows a discontinuity.
    pub(super) discontinuity: bool,
    /// The discontinuity sequence number of its segments.
    pub(super) discontinuity_sequence: u64,
    /// Since when EXT-X-ENDLIST follows its last segment.
    ended_at: Option<Span>,
    /// When its first segment begins, in microseconds; before zero for a backlog.
    began: i64,
    /// How many segments it has, if it ever ends.
    count: u64,
    /// Where the last of them is cut short, counted from the beginning.
    cut: Option<u64>,
    durations: SegmentDurations,
    jitter: Stream,
    publish: Stream,
}

/// A segment's place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) piece: usize,
    pub(super) index: u64,
}

/// What the playlist lists at some time, oldest first. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) places: Vec<Place>,
    pub(super) ended: bool,
}

/// A change in the life of an encoder.
#[derive(Clone, Copy)]
enum Change {
    Fault(EncoderFault, Span),
    /// A change of target duration is over.
    BackToSpec,
}

impl Encoder {
    pub(super) fn new(spec: &OriginSpec, faults: &[Fault]) -> Self {
        let mut encoder = Self {
            pieces: vec![first_piece(spec)],
            window: spec.window.max(1),
            publish_delay: micros(spec.publish_delay),
            publish_jitter: 0,
            seed: spec.seed,
        };
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
            window: spec.window.max(1),
            publish_delay: lead.publish_delay + i64::try_from(late).unwrap_or(i64::MAX),
            publish_jitter: lead.publish_jitter.min(spec.durations.least() / 2),
            seed: spec.seed,
        };
        for piece in &lead.pieces {
            let next = encoder.pieces.last().map(|last| {
                let lead_last = &lead.pieces[encoder.pieces.len() - 1];
                let jump = piece.first_number.wrapping_sub(lead_last.first_number);
                match piece.run == lead_last.run {
                    true => last.first_number + last.count,
                    // A jump leaves out as many numbers everywhere, a restart begins anew.
                    false if piece.names == lead_last.names && jump > lead_last.count => {
                        last.first_number + last.count + (jump - lead_last.count)
                    }
                    false => piece.first_number,
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
        let mut places = Vec::with_capacity(self.window as usize);
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

    fn apply(&mut self, spec: &OriginSpec, at: Span, change: Change) {
        let last = self.pieces.len() - 1;
        let now = micros(at);
        match change {
            Change::Fault(
                EncoderFault::Restart {
                    media_sequence,
                    names,
                },
                _,
            ) => {
                self.pieces[last].stop(now);
                self.start_run(spec, at, now, media_sequence, names);
            }
            Change::Fault(
                EncoderFault::EndList {
                    media_sequence,
                    names,
                },
                until,
            ) => {
                self.pieces[last].stop(now);
                self.pieces[last].ended_at = Some(at);
                self.start_run(spec, at, micros(until), media_sequence, names);
            }
            Change::Fault(EncoderFault::JumpAhead { by }, _) => {
                let mut next = self.follow_on(at);
                let skipped = ticks(next.durations.mean().saturating_mul(by));
                next.run += 1;
                next.first_number += by;
                next.first_tick += skipped.next_multiple_of(IDR_TICKS);
                self.pieces.push(next);
            }
            Change::Fault(EncoderFault::DiscontinuityWithTimestampJump { ticks }, _) => {
                let mut next = self.follow_on(at);
                next.first_tick += ticks.next_multiple_of(IDR_TICKS);
                // Two jumps before one segment are one tag.
                next.discontinuity_sequence += u64::from(!next.discontinuity);
                next.discontinuity = true;
                self.pieces.push(next);
            }
            Change::Fault(
                EncoderFault::TargetDurationChange {
                    target_duration,
                    segment,
                },
                _,
            ) => {
                let mut next = self.follow_on(at);
                next.target_duration = target_duration;
                next.durations = SegmentDurations::Constant(segment);
                self.pieces.push(next);
            }
            Change::BackToSpec => {
                let mut next = self.follow_on(at);
                next.target_duration = spec.target_duration;
                next.durations = spec.durations.clone();
                self.pieces.push(next);
            }
        }
    }

    /// Ends the last piece with the segment that is being made at `at`, and gives the one after it.
    fn follow_on(&mut self, at: Span) -> Piece {
        let seed = self.seed;
        let last = self.pieces.len() - 1;
        let piece = &mut self.pieces[last];
        piece.count = piece.count_begun(micros(at));
        let made = piece.durations.boundary(piece.count, piece.jitter);
        Piece {
            first_number: piece.first_number + piece.count,
            first_tick: piece.first_tick + ticks(made),
            // A piece that never had a segment leaves its discontinuity to the next one.
            discontinuity: piece.discontinuity && piece.count == 0,
            ended_at: None,
            began: piece.began + made as i64,
            count: u64::MAX,
            cut: None,
            jitter: Stream::new(seed, "duration").child(at.as_micros()),
            publish: Stream::new(seed, "publish").child(at.as_micros()),
            ..piece.clone()
        }
    }

    fn start_run(
        &mut self,
        spec: &OriginSpec,
        cause: Span,
        began: i64,
        media_sequence: u64,
        names: Names,
    ) {
        let last = &self.pieces[self.pieces.len() - 1];
        let run = last.run + 1;
        let choices = TIMESTAMP_RANGE / IDR_TICKS;
        self.pieces.push(Piece {
            run,
            names: match names {
                Names::New => run,
                Names::Same => last.names,
            },
            first_number: media_sequence,
            first_tick: IDR_TICKS
                * Stream::new(self.seed, "first tick").below(cause.as_micros(), choices),
            target_duration: spec.target_duration,
            discontinuity: false,
            discontinuity_sequence: 0,
            ended_at: None,
            began,
            count: u64::MAX,
            cut: None,
            durations: spec.durations.clone(),
            jitter: Stream::new(self.seed, "duration").child(cause.as_micros()),
            publish: Stream::new(self.seed, "publish").child(cause.as_micros()),
        });
    }
}

impl Piece {
    /// When the segment begins, in microseconds.
    pub(super) fn start(&self, index: u64) -> i64 {
        self.began + self.durations.boundary(index, self.jitter) as i64
    }

    /// When it ends.
    fn end(&self, index: u64) -> i64 {
        match self.cut.filter(|_| index + 1 == self.count) {
            Some(cut) => self.began + cut as i64,
            None => self.start(index + 1),
        }
    }

    /// The presentation time at which it ends, in ticks not cut to 33 bits.
    pub(super) fn end_tick(&self, index: u64) -> u64 {
        match self.cut.filter(|_| index + 1 == self.count) {
            Some(cut) => self.first_tick + ticks(cut),
            None => self.tick(index + 1),
        }
    }

    /// The same stretch of time in the segments of another track.
    fn cut_otherwise(&self, spec: &OriginSpec, first_number: Option<u64>) -> Self {
        let mut piece = Self {
            first_number: first_number.unwrap_or(spec.media_sequence),
            // A change of the target duration makes all segments as long.
            durations: match self.target_duration == spec.target_duration {
                true => spec.durations.clone(),
                false => self.durations.clone(),
            },
            ..self.clone()
        };
        if self.count < u64::MAX {
            let length = self.durations.boundary(self.count, self.jitter);
            let whole = piece.durations.count_ended(length, piece.jitter);
            let rest = length > piece.durations.boundary(whole, piece.jitter);
            piece.count = whole + u64::from(rest);
            piece.cut = rest.then_some(length);
        }
        piece
    }

    /// How long it is.
    pub(super) fn duration(&self, index: u64) -> Span {
        Span::from_micros(self.end(index).abs_diff(self.start(index)))
    }

    /// The presentation time at which it begins, in ticks not cut to 33 bits.
    pub(super) fn tick(&self, index: u64) -> u64 {
        self.first_tick + ticks(self.durations.boundary(index, self.jitter))
    }

    /// The segment of this number, if it is one of this piece.
    pub(super) fn index_of(&self, number: u64) -> Option<u64> {
        number
            .checked_sub(self.first_number)
            .filter(|&index| index < self.count)
    }

    /// How many segments it has, if it ever ends.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// No segment that has not ended by now will be made.
    fn stop(&mut self, now: i64) {
        self.count = self.count_ended(now);
    }

    fn count_ended(&self, now: i64) -> u64 {
        let elapsed = u64::try_from(now - self.began).unwrap_or(0);
        self.durations
            .count_ended(elapsed, self.jitter)
            .min(self.count)
    }

    fn count_begun(&self, now: i64) -> u64 {
        let ended = self.count_ended(now);
        if self.start(ended) < now {
            (ended + 1).min(self.count)
        } else {
            ended
        }
    }
}

impl SegmentDurations {
    /// Where segment `index` begins within its piece, in microseconds.
    fn boundary(&self, index: u64, jitter: Stream) -> u64 {
        match self {
            Self::Constant(_) => self.mean() * index,
            Self::Pattern(spans) if spans.is_empty() => index,
            Self::Pattern(spans) => {
                let length = spans.len() as u64;
                let rest = (index % length) as usize;
                total(spans) * (index / length) + total(&spans[..rest])
            }
            Self::Jittered { .. } if index == 0 => 0,
            Self::Jittered { .. } => {
                let by = self.boundary_jitter();
                self.mean() * index + jitter.below(index, 2 * by + 1) - by
            }
        }
    }

    /// How many segments have ended once so much of their piece has gone by.
    fn count_ended(&self, elapsed: u64, jitter: Stream) -> u64 {
        // A boundary is off by less than one round of the pattern, or less than one segment.
        let (segments, round) = match self {
            Self::Constant(_) | Self::Jittered { .. } => (1, self.mean()),
            Self::Pattern(spans) => ((spans.len() as u64).max(1), total(spans).max(1)),
        };
        let mut count = (elapsed / round).saturating_sub(1) * segments;
        while self.boundary(count + 1, jitter) <= elapsed {
            count += 1;
        }
        count
    }
}

fn first_piece(spec: &OriginSpec) -> Piece {
    let jitter = Stream::new(spec.seed, "duration");
    let made = spec.durations.boundary(spec.backlog, jitter) as i64;
    let jitter_at_most = spec
        .publish_jitter
        .as_micros()
        .min(spec.durations.least() / 2);
    let began = -(made + micros(spec.publish_delay) + jitter_at_most as i64);
    Piece {
        run: 0,
        names: 0,
        first_number: spec.media_sequence,
        first_tick: spec.first_tick,
        target_duration: spec.target_duration,
        discontinuity: false,
        discontinuity_sequence: 0,
        ended_at: None,
        began,
        count: u64::MAX,
        cut: None,
        durations: spec.durations.clone(),
        jitter,
        publish: Stream::new(spec.seed, "publish"),
    }
}

/// The faults of the encoder in order of time, with the ends of those that have one.
fn changes(faults: &[Fault]) -> Vec<(Span, Change)> {
    let mut changes = Vec::new();
    for fault in faults {
        let FaultKind::Encoder(encoder) = fault.kind else {
            continue;
        };
        changes.push((fault.from, Change::Fault(encoder, fault.until)));
        if matches!(encoder, EncoderFault::TargetDurationChange { .. }) {
            changes.push((fault.until, Change::BackToSpec));
        }
    }
    changes.sort_by_key(|&(at, _)| at);
    changes
}

fn micros(span: Span) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Microseconds as ticks of 90 kHz, cut.
fn ticks(micros: u64) -> u64 {
    (u128::from(micros) * 9 / 100) as u64
}
