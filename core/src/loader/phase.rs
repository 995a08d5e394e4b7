//! When does the source publish? Learnt from what was seen, so that a new segment is seen soon after
//! it appears.
//!
//! A segment `n` appears at `phase + end(n)`, where `end(n)` is the sum of the durations up to it and
//! the phase is unknown. Each load narrows it: what was listed had appeared, what was not had not. A
//! load that finds a segment late cannot be made earlier the next time, as the wait after a change
//! is at least a segment long; but by waiting longer, up to nearly two segments in all, a later load
//! lands on any earlier phase. So a search over such waits finds the phase in about ten loads, and from
//! then on each load follows the source's own publishing.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Two clocks that count the same seconds differ by less than this, in parts per million; so much
/// the search distrusts an old bound.
const DRIFT_PPM: i64 = 100;
/// The search ends when the phase is known to this part of a segment...
const RESOLUTION: i64 = 12;
/// ... and begins again when it has become as uncertain as this part.
const UNCERTAIN: i64 = 5;
/// A load that is late by less than this part of a segment is not worth a long wait.
const TOLERANCE: i64 = 12;
/// How fast bounds that contradict each other (a source that jitters) move towards what is seen.
const FORGET: i64 = 16;

/// What is known of a source's publishing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Phase {
    /// The sum of the durations of all segments seen, in microseconds: `end` of the newest.
    end: i64,
    /// The load before: its moment, and what it saw.
    previous: Option<Seen>,
    /// The newest segment had appeared by this phase at a load.
    seen: Option<i64>,
    /// A segment had not appeared yet by this phase, and when that was found.
    unseen: Option<(i64, Timestamp)>,
    /// The search has ended: it costs a late segment each time, so it is not begun again lightly.
    settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    at: Timestamp,
    end: i64,
}

impl Phase {
    /// A load, taken as of `at`, found new segments: the first of them `first` long, `all` together.
    pub(crate) fn grew(&mut self, at: Timestamp, first: Span, all: Span) {
        self.end = self.end.saturating_add(micros(all));
        let seen = micros_of(at) - self.end;
        if let Some(previous) = self.previous {
            let unseen = micros_of(previous.at) - previous.end - micros(first);
            let distrusted = self.unseen_by(at).unwrap_or(i64::MIN);
            self.unseen = Some((unseen.max(distrusted), at));
        }
        self.seen = Some(match (self.seen, self.unseen) {
            // Bounds in conflict: the source jitters, or drifts. Both give way to what is seen now.
            (Some(old), Some((unseen, since))) if unseen >= old.min(seen) => {
                let earliest = old.min(seen) + (seen - old).max(0) / FORGET;
                self.unseen = Some((unseen - (unseen - earliest) / FORGET, since));
                earliest
            }
            (Some(old), _) => old.min(seen),
            (None, _) => seen,
        });
        self.previous = Some(Seen { at, end: self.end });
    }

    /// A load, taken as of `at`, found nothing new.
    pub(crate) fn unchanged(&mut self, at: Timestamp) {
        if let Some(previous) = &mut self.previous {
            previous.at = at;
        }
    }

    /// When to load next: on the learnt phase, and never before `earliest`.
    /// `segment` is how long the next segments are expected to be.
    pub(crate) fn next_load(
        &mut self,
        now: Timestamp,
        earliest: Timestamp,
        segment: Span,
    ) -> Timestamp {
        let Some(seen) = self.seen else {
            return earliest;
        };
        let segment = micros(segment).max(1);
        self.not_yet(segment);
        let unknown = self.unseen_by(now).map_or(segment, |unseen| seen - unseen);
        self.settled = unknown <= segment / if self.settled { UNCERTAIN } else { RESOLUTION };
        let due = self.target(now, seen, segment) + self.end;
        let tolerance = if self.settled { segment / TOLERANCE } else { 0 };
        let wanted = micros_of(earliest) - tolerance;
        let steps = (wanted - due).max(0).div_euclid(segment)
            + i64::from((wanted - due).max(0).rem_euclid(segment) != 0);
        let at = due + steps.max(1) * segment;
        earliest.max(Timestamp::from_micros(at.max(0) as u64))
    }

    /// What follows the newest segment had not appeared either at the load before.
    fn not_yet(&mut self, segment: i64) {
        let Some(previous) = self.previous else {
            return;
        };
        let unseen = micros_of(previous.at) - previous.end - segment;
        let known = self.unseen_by(previous.at);
        if known.is_none_or(|known| unseen > known) {
            self.unseen = Some((unseen, previous.at));
        }
    }

    /// When to look again for a segment that was due and not there: on the phase if that is still
    /// to come, else as soon as allowed.
    pub(crate) fn next_look(
        &self,
        now: Timestamp,
        earliest: Timestamp,
        segment: Span,
    ) -> Timestamp {
        let Some(seen) = self.seen else {
            return earliest;
        };
        let due = self.target(now, seen, micros(segment).max(1)) + self.end + micros(segment);
        earliest.max(Timestamp::from_micros(due.max(0) as u64))
    }

    /// How long before `at` the newest segment appeared, as far as is known.
    pub(crate) fn lag(&self, at: Timestamp) -> Span {
        let (Some(seen), Some((unseen, _))) = (self.seen, self.unseen) else {
            return Span::ZERO;
        };
        let middle = (seen.min(unseen) + (seen.max(unseen) - seen.min(unseen)) / 2) + self.end;
        Span::from_micros((micros_of(at) - middle).max(0) as u64)
    }

    /// The phase to aim at: the middle of what is unknown, or just behind the segment's appearance.
    fn target(&self, now: Timestamp, seen: i64, segment: i64) -> i64 {
        let Some(unseen) = self.unseen_by(now) else {
            return seen;
        };
        // Nothing is learnt by a bound that is more than a segment away.
        let unknown = (seen - unseen).min(segment);
        if unknown <= 0 {
            unseen + (-unknown / 4).max(segment / 64)
        } else if self.settled {
            seen
        } else {
            // Passing the phase costs a round of late segments, not reaching it only one.
            seen - unknown * 2 / 3
        }
    }

    fn unseen_by(&self, now: Timestamp) -> Option<i64> {
        let (unseen, since) = self.unseen?;
        Some(unseen - micros(now.since(since)) * DRIFT_PPM / 1_000_000)
    }
}

fn micros(span: Span) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 4)
}

fn micros_of(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a source publishes, and how it is polled; in microseconds.
    struct Source<'a> {
        segment: u64,
        target: u64,
        phase: u64,
        /// How much later than it should each segment appears.
        jitter: &'a dyn Fn(u64) -> u64,
    }

    /// Polls a source whose n-th segment appears at `phase + n × segment + jitter(n)` as the loader
    /// does, with a timer that is 1 to 3 ms late, and gives the lag of each segment behind its
    /// appearance, in thousandths of a segment.
    fn lags(source: &Source<'_>, loads: u64) -> Vec<u64> {
        let &Source {
            segment, target, ..
        } = source;
        let appears = |n: u64| 1_000_000 + source.phase + n * segment + (source.jitter)(n);
        let mut learnt = Phase::default();
        let (mut due, mut listed, mut lags) = (1_000_000 + 5 * segment, 0, Vec::new());
        for load in 0..loads {
            let at = due + 1_000 + mixed(load) % 2_000;
            let newest = (listed..).take_while(|n| appears(*n) <= at).count() as u64 + listed;
            let now = Timestamp::from_micros(at);
            let length = Span::from_micros(segment);
            if newest > listed {
                lags.extend((listed..newest).map(|n| (at - appears(n)) * 1_000 / segment));
                learnt.grew(now, length, length * (newest - listed));
                listed = newest;
                let earliest = due + segment.max(target / 2);
                let latest = due + target * 7 / 5;
                let next = learnt.next_load(now, Timestamp::from_micros(earliest), length);
                due = next.as_micros().min(latest).max(earliest);
            } else {
                learnt.unchanged(now);
                let earliest = now + Span::from_micros(target / 2);
                let look = learnt.next_look(now, earliest, length).as_micros();
                due = look.min(at + target);
            }
        }
        lags
    }

    /// Numbers in an order that does not repeat soon.
    fn mixed(n: u64) -> u64 {
        n.wrapping_mul(2_654_435_761) >> 7
    }

    fn percentile(lags: &[u64], percent: usize) -> u64 {
        let mut sorted = lags.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * percent / 100]
    }

    /// Over many phases: what the segments after the first minute, and ten at least, lag behind.
    fn check(segment: u64, target: u64, jitter: &dyn Fn(u64) -> u64, median: u64, most: u64) {
        for phase in (0..segment).step_by(segment as usize / 53) {
            let source = Source {
                segment,
                target,
                phase,
                jitter,
            };
            let lags = lags(&source, 1_000);
            let skip = (60_000_000 / segment).max(20) as usize;
            // The first hundred are judged by themselves: nothing that is learnt late hides in many.
            for late in [&lags[skip..skip + 100], &lags[skip..]] {
                let seen = (percentile(late, 50), percentile(late, 95));
                assert!(
                    seen.0 < median && seen.1 < most,
                    "segment {segment}, phase {phase}: {seen:?} in {late:?}"
                );
            }
        }
    }

    #[test]
    fn a_regular_source_is_followed_closely_after_a_minute() {
        for secs in [1, 2, 4, 6] {
            check(secs * 1_000_000, secs * 1_000_000, &|_| 0, 100, 300);
        }
    }

    #[test]
    fn segments_shorter_than_the_target_duration_do_not_fall_behind() {
        check(5_005_000, 6_000_000, &|_| 0, 100, 300);
        check(1_920_000, 2_000_000, &|_| 0, 100, 300);
    }

    #[test]
    fn a_jittering_source_is_followed_at_the_late_end_of_its_jitter() {
        check(2_000_000, 2_000_000, &|n| mixed(n) % 100_000, 100, 200);
    }

    #[test]
    fn a_source_that_drifts_is_followed() {
        // In parts per million, slower and faster than our clock.
        for drift in [10, 40] {
            check(2_000_000, 2_000_000, &|n| n * 2 * drift, 120, 300);
            let faster = |n: u64| (4_000 - n.min(4_000)) * 2 * drift;
            check(2_000_000, 2_000_000, &faster, 120, 300);
        }
    }

    #[test]
    fn the_first_search_is_short() {
        for secs in [1, 2, 4, 6] {
            let segment = secs * 1_000_000;
            for phase in (0..segment).step_by(segment as usize / 53) {
                let source = Source {
                    segment,
                    target: segment,
                    phase,
                    jitter: &|_| 0,
                };
                let lags = lags(&source, 200);
                let late = lags.iter().rposition(|lag| *lag > 200).unwrap_or_default();
                assert!(late < 15, "phase {phase}: {lags:?}");
            }
        }
    }

    #[test]
    fn a_phase_that_is_known_is_come_back_to_without_a_search() {
        let source = Source {
            segment: 2_000_000,
            target: 2_000_000,
            phase: 700_000,
            // Once, a segment is late by a quarter of its length.
            jitter: &|n| if n == 200 { 500_000 } else { 0 },
        };
        let lags = lags(&source, 400);
        let late = lags[190..].iter().filter(|lag| **lag > 200).count();
        assert!(late <= 12, "{:?}", &lags[190..260]);
    }
}
