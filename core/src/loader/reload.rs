//! When a source's playlist is loaded next: after a change, after none, after a failure, after its end.

use super::{Failing, Loader, UnderWay};
use crate::checkpoint::without_secrets;
use crate::config::{self, ReloadPolicy};
use crate::notice::Trouble;
use crate::planted::Mistake;
use crate::playlist::Segment;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// After a change the next load comes at the latest after so much of a target duration: to find a
/// source's phase takes longer waits, and versions of ours more than one and a half target durations
/// apart would be late (S-12). What is left is for the answer and the download.
const LONGEST_WAIT: (u64, u64) = (7, 5);

/// How a source may be asked, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) may_load_at: Timestamp,
    target_duration: Option<Span>,
    /// All loads have failed since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failing: Option<Failing>,
}

/// What reloads are timed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pacing {
    last: Span,
    pub(super) longest: Span,
    mean: Span,
    /// The segments are as long as each other: when the next one appears can be told.
    regular: bool,
}

impl Pacing {
    pub(super) fn of(segments: &[Segment]) -> Option<Self> {
        let last = segments.last()?.duration;
        let longest = segments.iter().map(|segment| segment.duration).max()?;
        let total: Span = segments.iter().map(|segment| segment.duration).sum();
        let mean = total
            .scaled(1, segments.len() as u64)
            .max(Span::from_millis(1));
        let alike = |segment: &Segment| segment.duration.abs_diff(mean) <= mean.scaled(1, 16);
        let regular = segments.iter().all(alike);
        Some(Self {
            last,
            longest,
            mean,
            regular,
        })
    }
}

impl Loader {
    /// When the next load is due.
    pub(crate) fn next_load(&self) -> Option<Timestamp> {
        self.next_load
    }

    /// For whoever follows this source next.
    pub(crate) fn pace(&self) -> Pace {
        // What a load under way would have brought counts as a change.
        let under_way = self.in_flight.map(|it| it.sent + self.least_wait());
        let may_load_at = under_way.map_or(self.earliest, |at| at.max(self.earliest));
        Pace {
            may_load_at,
            target_duration: self.target_duration,
            failing: self.failing_here_or_before(),
        }
    }

    /// By what its pace is remembered: a track is the same one under another token.
    pub(crate) fn asked_as(&self) -> Arc<str> {
        match self.url == self.source_url {
            true => Arc::clone(&self.url),
            false => without_secrets(&self.url),
        }
    }

    /// Goes on at the pace of whoever followed this source before.
    pub(crate) fn keep_pace(&mut self, pace: Pace) {
        self.earliest = self.earliest.max(pace.may_load_at);
        self.next_load = self.next_load.map(|next| next.max(self.earliest));
        self.target_duration = self.target_duration.or(pace.target_duration);
        self.failed_before = pace.failing;
    }

    /// Since when nothing was had, whoever asked: it backs off no later for being followed by somebody else.
    fn failing_here_or_before(&self) -> Option<Failing> {
        let since = self.failed_before.or(self.failing)?.since;
        let tries = self.failing.or(self.failed_before)?.tries;
        Some(Failing { since, tries })
    }

    /// What its siblings have told, until it tells its own.
    pub(crate) fn assume(&mut self, target_duration: Option<Span>) {
        self.target_duration = self.target_duration.or(target_duration);
    }

    /// The source's target duration as far as it is believed; assumed until it has told one.
    pub(crate) fn target_duration(&self) -> Span {
        self.target_duration
            .unwrap_or(config::ASSUMED_TARGET_DURATION)
    }

    /// As the source, or whoever followed it before, has told it.
    pub(crate) fn told_target_duration(&self) -> Option<Span> {
        self.target_duration
    }

    /// What it led to does not work any more, since then: it is loaded once more, and slower where that has not
    /// helped for long. Whether that was not planned yet.
    pub(crate) fn load_again(&mut self, now: Timestamp, since: Timestamp) -> bool {
        let rests = self.in_flight.is_none() && self.next_load.is_none();
        if rests {
            let slower = now.since(since) >= config::QUICK_RETRY_FOR;
            let slowest = config::SLOWEST_RETRY.saturating_sub(self.target_duration());
            let rest = if slower { slowest } else { Span::ZERO };
            self.next_load = Some(now.max(self.earliest + rest));
            (self.last_body, self.etag) = (None, None);
        }
        rests
    }

    /// Goes on after somebody else has asked in its place.
    pub(crate) fn resume(&mut self, may_load_at: Timestamp) {
        self.earliest = self.earliest.max(may_load_at);
        self.next_load = Some(self.earliest);
        // Why it was refused is no matter any more.
        self.trouble = self.trouble.take().map(|_| Trouble::Unchanged);
    }

    /// Loads have failed since then, one and all.
    pub(crate) fn failing_since(&self) -> Option<Timestamp> {
        self.failing.map(|it| it.since)
    }

    /// A multivariant playlist is loaded again when somebody needs it, and at the pace of one that
    /// failed.
    pub(super) fn rest(&mut self, sent: Timestamp) {
        self.earliest = sent + self.target_duration();
        self.next_load = None;
    }

    /// Half a target duration for the first minute, then a back-off, for ever; with jitter.
    pub(super) fn failed(&mut self, stage: &mut Stage<'_>, sent: Timestamp, trouble: Trouble) {
        let now = stage.now.monotonic;
        stage.counters.retries += 1;
        self.in_vain = true;
        self.trouble = Some(trouble);
        let before = self.failed_before;
        let failing = self.failing.get_or_insert(Failing {
            since: sent,
            tries: before.map_or(0, |it| it.tries),
        });
        let since = before.map_or(failing.since, |it| it.since);
        let quick = now.since(since) < config::QUICK_RETRY_FOR;
        let wait = if quick || stage.makes(Mistake::NeverBacksOff) {
            self.target_duration
                .unwrap_or(config::ASSUMED_TARGET_DURATION)
                .half()
        } else {
            failing.tries += 1;
            slower(
                self.target_duration
                    .unwrap_or(config::ASSUMED_TARGET_DURATION),
                failing.tries,
            )
        };
        self.earliest = now.max(sent + stage.rng.jittered(wait));
        if stage.makes(Mistake::RetryWithoutBackOff) {
            self.earliest = now;
        }
        self.next_load = Some(self.earliest);
    }

    /// Where there was nothing new: half a target duration, from the start of this load.
    pub(super) fn look_again(&mut self, now: Timestamp, sent: Timestamp) {
        let target_duration = self.target_duration();
        let earliest = sent + target_duration.half();
        let regular = self.pacing.filter(|pacing| pacing.regular);
        let look = regular.map_or(earliest, |it| self.phase.next_look(now, earliest, it.mean));
        self.earliest = earliest;
        self.next_load = Some(look.min(sent + target_duration));
    }

    /// The run is over (C-08); only a new one is looked for, at the pace of a failed source.
    pub(super) fn look_after_the_end(&mut self, stage: &mut Stage<'_>, sent: Timestamp) {
        if self.fixed {
            // Whoever follows it next asks no sooner for that.
            self.earliest = sent + self.target_duration();
            return;
        }
        let ended_for = stage.now.monotonic.since(self.grown_at);
        let wait = if ended_for < config::QUICK_RETRY_FOR {
            self.target_duration()
        } else {
            config::SLOWEST_RETRY.max(self.target_duration())
        };
        self.earliest = sent + stage.rng.jittered(wait).max(self.target_duration());
        self.next_load = Some(self.earliest);
    }

    /// After a new segment: never before the last segment's duration and half a target duration
    /// (or, strictly, the target duration), from the start of this load (C-09). Whatever else has
    /// changed in the text, such as the tokens in its URIs, is no change.
    pub(super) fn schedule(&mut self, stage: &mut Stage<'_>, load: UnderWay, unchanged: bool) {
        if self.ended {
            self.look_after_the_end(stage, load.sent);
            return;
        }
        if unchanged {
            self.look_again(stage.now.monotonic, load.sent);
            return;
        }
        let target_duration = self.target_duration();
        let last = self.pacing.map_or(Span::ZERO, |pacing| pacing.last);
        let in_time = load.sent.since(load.due) <= config::late_at_most(last);
        let began = if in_time { load.due } else { load.sent };
        self.earliest = began + self.least_wait();
        // Viewers may have been promised less than this source does.
        let listed = stage.listed_target_duration.unwrap_or(target_duration);
        let promised = target_duration.min(listed);
        let latest = began + promised.scaled(LONGEST_WAIT.0, LONGEST_WAIT.1);
        // An older list teaches nothing, and what it lacks may stand in the very next answer.
        let regular = self.pacing.filter(|pacing| pacing.regular && !self.older);
        self.next_load = Some(match regular {
            Some(pacing) => {
                let now = stage.now.monotonic;
                let at = self.phase.next_load(now, self.earliest, pacing.mean);
                at.min(latest).max(self.earliest)
            }
            None => self.earliest,
        });
    }

    /// After a change: the last segment's duration and half a target duration, or, strictly, the target
    /// duration.
    fn least_wait(&self) -> Span {
        let target_duration = self.target_duration();
        // A segment that is longer than its list allows is no measure: it would stop the channel.
        let longest = target_duration + Span::from_millis(500);
        let last = self
            .pacing
            .map_or(target_duration, |pacing| pacing.last.min(longest));
        match self.reload {
            ReloadPolicy::LastSegment => last.max(target_duration.half()),
            ReloadPolicy::TargetDuration => last.max(target_duration),
        }
    }
}

/// Never faster than half a target duration, however long that is (C-62).
fn slower(target_duration: Span, tries: u32) -> Span {
    let half = target_duration.half();
    (half * (1 << tries.min(16))).min(config::SLOWEST_RETRY.max(half))
}
