//! One version of the published playlist after the other: rules S-02 to S-08, S-12, S-15, S-17, S-21.

use super::date_ranges::DateRangeChecks;
use super::pace::Asked;
use super::{Held, broken};
use crate::published::{Listed, Version};
use hls_relay_core::config::{LISTED_TARGETS, MIN_WINDOW};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Entries remembered to see whether they change: more than the largest window drawn.
const REMEMBERED: usize = 256;

/// All that was ever visible, as far as it still matters.
#[derive(Debug, Default)]
pub struct ListChecks {
    last: Option<Arc<Version>>,
    entries: BTreeMap<u64, Arc<Listed>>,
    grown_at: Option<Timestamp>,
    /// From the growth before that one to it.
    pause: Span,
    /// The first number of the versions that came closer to each other than half a target duration.
    burst_from: u64,
    /// The highest number that was ever next.
    next_number: u64,
    date_ranges: DateRangeChecks,
    /// What its next version is excused.
    pub excuses: Excuses,
}

/// What excuses what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Excuses {
    /// The checkpoint was lost since the last version: only the numbers must still go up.
    pub lost_state: bool,
    /// The checkpoint was older than what viewers saw: not even the numbers need go up.
    pub stale: bool,
    /// The second on the wall clock at which the present process began: what numbers begin with
    /// where nothing is known. Two losses in a few seconds may use one twice.
    pub wall: u64,
    /// Another process since the last version: what it could not have again is gone (S-07).
    pub restarted: bool,
    /// Numbers were used since the last one that viewers could not see: the store has refused a
    /// version, or the process ended before it was visible.
    pub unpublished: bool,
    /// Viewers were not led to it for a while: it may go on with any number up to this one, to which another list has
    /// come.
    pub away_until: Option<u64>,
    /// The segment right before this version's first is not in the store as it was listed.
    pub head_lost: bool,
    /// Nothing has gone wrong for long, so there is nothing to catch up with.
    pub calm: bool,
    /// Nothing has gone wrong for long, and it is no other list's companion: it has as many segments as this.
    pub window: Option<usize>,
    /// It is one of several, that begin within a target duration of each other (S-26).
    pub several: bool,
    /// It becomes visible with another one, beside which the one before would not belong.
    pub beside: bool,
    /// The list that brought the first new segment.
    pub asked: Option<Asked>,
}

impl ListChecks {
    /// The newest version that was visible, in whichever process.
    pub fn last(&self) -> Option<&Arc<Version>> {
        self.last.as_ref()
    }

    /// The number after the last one ever listed.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// What was ever listed under these numbers, as far as it is remembered.
    pub fn listed(&self, numbers: &Range<u64>) -> impl Iterator<Item = &Arc<Listed>> {
        self.entries
            .range(numbers.clone())
            .map(|(_, listed)| listed)
    }

    /// A version becomes visible.
    pub fn visible(&mut self, version: &Arc<Version>) -> Held {
        let excuses = std::mem::take(&mut self.excuses);
        each_segment(version)?;
        if let Some(last) = self.last.clone() {
            self.numbering(&last, version, excuses)?;
            self.nothing_changes(&last, version, excuses)?;
            removal(&last, version, excuses)?;
            if !excuses.lost_state {
                nothing_leaves_what_is_typed(&last, version)?;
            }
            if let Some(window) = excuses.window {
                holds_the_window(&last, version, window)?;
            }
            after_the_end(&last, version, excuses)?;
            self.distance(&last, version, excuses)?;
            self.lateness(&last, version, excuses)?;
        }
        date_times(version)?;
        if excuses.lost_state {
            self.entries.clear();
            self.date_ranges.forget();
        }
        let last = self.last.as_deref().filter(|_| !excuses.lost_state);
        self.date_ranges.visible(last, version)?;
        self.remember(version);
        Ok(())
    }

    /// S-05, S-17: numbers go on.
    fn numbering(&self, last: &Version, version: &Version, excuses: Excuses) -> Held {
        if version.media_sequence < last.media_sequence && !excuses.stale {
            return broken(
                "S-05 media sequence never falls",
                format!("at least {}", last.media_sequence),
                version.media_sequence.to_string(),
            );
        }
        if excuses.lost_state {
            return if version.media_sequence >= self.next_number.min(excuses.wall) || excuses.stale
            {
                Ok(())
            } else {
                broken(
                    "S-70 a restart with lost state goes up",
                    format!("at least {}", self.next_number),
                    version.media_sequence.to_string(),
                )
            };
        }
        if version.discontinuity_sequence < last.discontinuity_sequence {
            return broken(
                "S-17 discontinuity sequence never falls",
                format!("at least {}", last.discontinuity_sequence),
                version.discontinuity_sequence.to_string(),
            );
        }
        if version.next_number() < last.next_number() {
            return broken(
                "S-02 the end of the list never goes back",
                format!("next number at least {}", last.next_number()),
                version.next_number().to_string(),
            );
        }
        if version.media_sequence > last.next_number() {
            // Versions between the two were never seen: the store refused them.
            let away = excuses
                .away_until
                .is_some_and(|it| version.media_sequence <= it);
            return if excuses.unpublished || away {
                Ok(())
            } else {
                broken(
                    "S-05 numbers are used one after the other",
                    format!("media sequence at most {}", last.next_number()),
                    version.media_sequence.to_string(),
                )
            };
        }
        self.removed_discontinuities(last, version)
    }

    /// S-17, as an equality: the discontinuity sequence counts just the tags that left.
    fn removed_discontinuities(&self, last: &Version, version: &Version) -> Held {
        let left = last
            .segments
            .iter()
            .filter(|it| it.number < version.media_sequence);
        let tags = left.filter(|it| it.discontinuity).count() as u64;
        let expected = last.discontinuity_sequence + tags;
        if version.discontinuity_sequence == expected {
            return Ok(());
        }
        broken(
            "S-17 the discontinuity sequence counts the tags that left",
            format!("{expected}"),
            format!(
                "{} at media sequence {}",
                version.discontinuity_sequence, version.media_sequence
            ),
        )
    }

    /// S-02: what was ever listed never changes.
    fn nothing_changes(&self, last: &Version, version: &Version, excuses: Excuses) -> Held {
        if excuses.lost_state {
            return Ok(());
        }
        // What is shared with the version before was compared when that became visible.
        let shared = |it: &&Arc<Listed>| {
            let before = last.segment(it.number);
            before.is_some_and(|before| Arc::ptr_eq(before, it))
        };
        for listed in version.segments.iter().filter(|it| !shared(it)) {
            let Some(known) = self.entries.get(&listed.number) else {
                continue;
            };
            if known.block != listed.block
                || known.needs != listed.needs
                || known.discontinuity_sequence != listed.discontinuity_sequence
            {
                return broken(
                    "S-02 a listed segment never changes",
                    format!(
                        "{} in discontinuity {}",
                        known.block, known.discontinuity_sequence
                    ),
                    format!(
                        "{} in discontinuity {}",
                        listed.block, listed.discontinuity_sequence
                    ),
                );
            }
        }
        Ok(())
    }

    /// S-12, the lower bound: a version with a new segment at least half a target duration after
    /// the one before, where there is nothing to catch up with.
    fn distance(&self, last: &Version, version: &Version, excuses: Excuses) -> Held {
        let grew = version.next_number() > last.next_number();
        // Behind a break or a hole there is something to catch up with, and for a few versions.
        let from = self.burst_from.min(last.next_number());
        let fresh = version
            .segments
            .iter()
            .rev()
            .take_while(|it| it.number + 1 >= from)
            .any(|it| it.discontinuity || it.gap);
        let Some(grown_at) = self.grown_at.filter(|_| grew && excuses.calm) else {
            return Ok(());
        };
        let least = version.target().half();
        let distance = version.at.since(grown_at);
        // After a pause longer than S-12 foresees there is something to catch up with.
        let late = self.pause >= version.target().scaled(3, 2);
        let excused = fresh || late || excuses.beside;
        if version.ended || excused || last.ended || distance >= least {
            return Ok(());
        }
        broken(
            "S-12 versions keep their distance",
            format!("at least {} ms", least.as_millis()),
            format!("{} ms", distance.as_millis()),
        )
    }

    /// S-12, the upper bound: the load that brings a new segment is sent at most one and a half target
    /// durations after the version before is visible, as far as DESIGN 5.8 lets it. What it and the store
    /// then take is not ours.
    fn lateness(&self, last: &Version, version: &Version, excuses: Excuses) -> Held {
        let grown_at = self.grown_at.filter(|_| excuses.calm && !last.ended);
        let (Some(grown_at), Some(asked)) = (grown_at, excuses.asked) else {
            return Ok(());
        };
        let most = version.target().scaled(3, 2);
        let distance = asked.at.since(grown_at);
        // Whoever had asked at each first occasion would have been late all the same: what appeared right
        // after a request could be seen no earlier than with the next one.
        let unavoidable = distance.saturating_sub(asked.delayed) > most;
        if distance <= most || unavoidable {
            return Ok(());
        }
        broken(
            "S-12 versions come in time",
            format!(
                "their source asked at most {} ms after the one before",
                most.as_millis()
            ),
            format!("{} ms", distance.as_millis()),
        )
    }

    fn remember(&mut self, version: &Arc<Version>) {
        let last = self.last.as_ref();
        let grew = last.is_none_or(|last| version.next_number() > last.next_number());
        if grew {
            let half = version.target().half();
            if self.grown_at.is_none_or(|it| version.at.since(it) >= half) {
                self.burst_from = self.next_number;
            }
            self.pause = self
                .grown_at
                .map_or(Span::ZERO, |before| version.at.since(before));
            self.grown_at = Some(version.at);
        }
        self.next_number = self.next_number.max(version.next_number());
        for listed in version.segments.iter().rev() {
            if self
                .entries
                .insert(listed.number, Arc::clone(listed))
                .is_some()
            {
                break;
            }
        }
        while self.entries.len() > REMEMBERED.max(version.segments.len()) {
            self.entries.pop_first();
        }
        self.last = Some(Arc::clone(version));
    }
}

/// S-04, and what no player survives.
fn each_segment(version: &Version) -> Held {
    if version.target_duration == 0 {
        return broken("S-04 target duration", "at least 1", "0");
    }
    for listed in &version.segments {
        if listed.duration.rounded_secs() > version.target_duration {
            return broken(
                "S-04 no segment is longer than the target duration",
                format!("at most {} s, rounded", version.target_duration),
                listed.block.to_string(),
            );
        }
    }
    if version.segments.is_empty() && !version.ended {
        return broken("S-08 something is listed", "a segment", "none");
    }
    Ok(())
}

/// S-07, S-08: nothing is removed that players still need.
fn removal(last: &Version, version: &Version, excuses: Excuses) -> Held {
    let removed = version.media_sequence > last.media_sequence;
    let other = last.ended || excuses.restarted || excuses.lost_state;
    if !removed || version.ended || other {
        return Ok(());
    }
    // What a process before this one could not leave behind is not this one's to remove.
    let grown = last.total >= last.target() * 3 && last.segments.len() >= MIN_WINDOW;
    if grown && version.total < version.target() * 3 {
        return broken(
            "S-07 three target durations stay listed",
            format!("{} s", version.target_duration * 3),
            format!("{} ms", version.total.as_millis()),
        );
    }
    let in_step = excuses.several && !excuses.calm;
    if grown && version.segments.len() < MIN_WINDOW && !in_step {
        return broken(
            "S-08 six segments stay listed",
            MIN_WINDOW.to_string(),
            version.segments.len().to_string(),
        );
    }
    Ok(())
}

/// S-15, for each run of a channel: after ENDLIST nothing, until a new run begins with a
/// discontinuity.
fn after_the_end(last: &Version, version: &Version, excuses: Excuses) -> Held {
    if !last.ended || excuses.lost_state || last.text == version.text {
        return Ok(());
    }
    let first_new = version
        .segments
        .iter()
        .find(|it| it.number >= last.next_number());
    if first_new.is_some_and(|it| it.discontinuity) {
        return Ok(());
    }
    // The beginning of the new run has left the list before it could be seen; its discontinuity is
    // counted.
    let skipped = version.media_sequence > last.next_number();
    if skipped && version.discontinuity_sequence > last.last_discontinuity_sequence() {
        return Ok(());
    }
    // A process that ends takes segments in memory with it: what follows the last one that cannot be
    // had again is the list, and still ends.
    let same_end = version.ended && version.next_number() == last.next_number();
    if same_end && excuses.head_lost {
        return Ok(());
    }
    broken(
        "S-15 after ENDLIST nothing changes in a run",
        "the same list, or a new run that begins with a discontinuity",
        version.text.to_string(),
    )
}

/// S-16: a list says that it keeps all only as long as it does.
fn nothing_leaves_what_is_typed(last: &Version, version: &Version) -> Held {
    // What begins behind all that there was is another list, after that one was taken down.
    let anew = version.media_sequence >= last.next_number();
    if !version.typed || !last.typed || anew || version.media_sequence == last.media_sequence {
        return Ok(());
    }
    broken(
        "S-16 nothing leaves a list that has a type",
        format!("it begins with {}", last.media_sequence),
        version.media_sequence.to_string(),
    )
}

/// What was asked for is listed: nothing leaves before there is more, and then it does, but for what players need (S-07).
fn holds_the_window(last: &Version, version: &Version, window: usize) -> Held {
    let listed = version.segments.len();
    let removed = version.media_sequence > last.media_sequence;
    let first = version.segments.first().map(|it| it.duration);
    let rest = version.total.saturating_sub(first.unwrap_or_default());
    // What came in one go may stay until players have seen it; and behind a break the same time may come once more.
    let broken_off = version.segments.iter().any(|it| it.discontinuity);
    let times = if broken_off { 2 } else { 1 };
    let needed = version.target() * (LISTED_TARGETS + 1) * times;
    if (removed && listed < window) || (listed > window && rest > needed) {
        return broken(
            "a list holds the window asked for",
            format!("{window} segments"),
            format!("{listed} segments of {} ms", version.total.as_millis()),
        );
    }
    Ok(())
}

/// S-21: date-times map to media without a doubt. Up to each discontinuity all segments have one, or none
/// has; they go on where the media does, gaps not reckoned, whose length may be guessed; and no media has
/// the dates of media before it, but where a source is followed by another, or by itself begun anew: two
/// clocks are two clocks, and what both made in one second is both of that second.
fn date_times(version: &Version) -> Held {
    for pair in version.segments.windows(2) {
        let [one, two] = pair else { continue };
        if two.discontinuity {
            continue;
        }
        let (start, next) = match (one.date_time, two.date_time) {
            (Some(start), Some(next)) => (start, next),
            (None, None) => continue,
            (start, _) => {
                return broken(
                    "S-21 date-times are told of all segments or of none",
                    format!("{start:?} goes on at segment {}", two.number),
                    two.block.to_string(),
                );
            }
        };
        let error = next.abs_diff(start + one.duration);
        // Nobody has seen it: it is taken to be as long as others, and no segment is longer than this.
        let guessed = one.gap && next + Span::from_secs(1) > start && error <= version.target();
        if error >= Span::from_secs(1) && !guessed {
            return broken(
                "S-21 date-times go on where the media does",
                "within a second",
                format!("{} ms off at segment {}", error.as_millis(), two.number),
            );
        }
    }
    Ok(())
}
