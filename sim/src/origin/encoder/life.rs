//! The life of an encoder, drawn up from what happens to it: piece after piece.

use super::super::fault::{EncoderFault, Fault, FaultKind, Names};
use super::super::media::IDR_TICKS;
use super::super::piece::{Piece, micros, ticks};
use super::super::spec::{Keeps, OriginSpec, SegmentDurations};
use super::super::ts::TIMESTAMP_RANGE;
use super::Encoder;
use crate::rng::Stream;
use hls_relay_core::time::Span;

/// Timestamps of the backlog jump by ten seconds.
const JUMP_IN_BACKLOG: u64 = 900_000;

/// A change in the life of an encoder.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Fault(EncoderFault, Span),
    /// A change of target duration is over.
    BackToSpec,
}

impl Encoder {
    pub(super) fn apply(&mut self, spec: &OriginSpec, at: Span, change: Change) {
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
                next.jumps(ticks);
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
        let last = self.pieces.len() - 1;
        let count = self.pieces[last].count_begun(micros(at));
        self.end_with(count, at.as_micros())
    }

    /// The timestamps jumped before this segment of the backlog, counted from the oldest.
    pub(super) fn jumped_before(&mut self, segment: u64) {
        let before = &self.pieces[..self.pieces.len() - 1];
        let made: u64 = before.iter().map(|it| it.count).sum();
        let mut next = self.end_with(segment.saturating_sub(made), segment);
        next.jumps(JUMP_IN_BACKLOG);
        self.pieces.push(next);
    }

    /// Ends the last piece with so many segments, and gives the one after it.
    fn end_with(&mut self, count: u64, cause: u64) -> Piece {
        let seed = self.seed;
        let last = self.pieces.len() - 1;
        let piece = &mut self.pieces[last];
        piece.count = count;
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
            jitter: Stream::new(seed, "duration").child(cause),
            publish: Stream::new(seed, "publish").child(cause),
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
    /// Its timestamps do not follow those before. Two jumps before one segment are one tag.
    fn jumps(&mut self, ticks: u64) {
        self.first_tick += ticks.next_multiple_of(IDR_TICKS);
        self.discontinuity_sequence += u64::from(!self.discontinuity);
        self.discontinuity = true;
    }
}

pub(super) fn first_piece(spec: &OriginSpec) -> Piece {
    let jitter = Stream::new(spec.seed, "duration");
    let made = spec.durations.boundary(spec.backlog, jitter) as i64;
    let jitter_at_most = spec
        .publish_jitter
        .as_micros()
        .min(spec.durations.least() / 2);
    let began = -(made + micros(spec.publish_delay) + jitter_at_most as i64);
    let whole = spec.keeps == Keeps::Vod;
    Piece {
        run: 0,
        names: 0,
        first_number: spec.media_sequence,
        first_tick: spec.first_tick,
        target_duration: spec.target_duration,
        discontinuity: false,
        discontinuity_sequence: 0,
        ended_at: whole.then_some(Span::ZERO),
        began,
        count: if whole { spec.backlog } else { u64::MAX },
        cut: None,
        durations: spec.durations.clone(),
        jitter,
        publish: Stream::new(spec.seed, "publish"),
    }
}

/// The faults of the encoder in order of time, with the ends of those that have one.
pub(super) fn changes(faults: &[Fault]) -> Vec<(Span, Change)> {
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
