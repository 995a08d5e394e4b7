//! What is missing from what viewers see: is it said, and is there a reason for it?

use super::line::{Books, Line};
use super::said;
use super::sum::Why;
use super::{Held, Known, Listed, MediaKey, OfferState, Stored, broken};
use crate::origin::{Fault, FaultKind, Offered, Origin, Tokens, ViewFault};
use hls_relay_core::config::{HolePolicy, SEGMENT_WAIT_TARGETS, START_SEGMENTS};
use hls_relay_core::limits;
use hls_relay_core::time::{Span, Timestamp};
use std::ops::Range;
use std::sync::Arc;

impl Line {
    /// Segments are missing between `last` and `next`, of one run.
    pub(super) fn misses(
        &mut self,
        books: &mut Books<'_>,
        last: Stored,
        next: Stored,
        listed: &Listed,
        gaps: &[Arc<Listed>],
    ) -> Held {
        let lost = last.key.number + 1..next.key.number;
        books.totals.missing += lost.end - lost.start;
        if books.origin(last.key).has_gaps() {
            let between = segments(books.origin(last.key), books.now, last.key, lost.clone());
            books.totals.own_gaps += between.iter().filter(|it| it.gap).count() as u64;
        }
        let restarted = listed.discontinuity && self.restarts_said > 0;
        self.restarts_said -= u64::from(restarted);
        let (known, now, origin) = (books.known, books.now, books.origin(last.key));
        let between = segments(origin, now, last.key, lost.clone());
        // Of several tracks a wish may leave one out for a while.
        let of_one_wish = !books.several || last.asker.wish == next.asker.wish;
        let goes_on = of_one_wish && known.goes_on(last, next, origin) && !self.begun_anew;
        let same = last.asker == next.asker && goes_on;
        let given_up = self.given_up && listed.discontinuity;
        let unfetchable = between.iter().filter(|it| !it.fetchable);
        let unfetchable: Vec<u64> = unfetchable.map(|it| it.media.number).collect();
        let why = |line: &Self, key: MediaKey| {
            if line.left_behind.is_some() {
                Why::LeftBehind
            } else if unfetchable.contains(&key.number) {
                Why::NoAddress
            } else if line.published.contains_key(&key) {
                Why::Repeated
            } else if !goes_on {
                Why::Anothers
            } else if given_up && known.was_had_in_time(key) {
                Why::BeforeTheBreak
            } else if known.told_in_time(key).is_none() {
                Why::NeverTold
            } else {
                Why::Failed
            }
        };
        self.lack(&between, last.key, (known, why));
        if self.left_behind.is_some() && listed.discontinuity {
            return Ok(());
        }
        if !self.begins_in_gaps(books, next, gaps) {
            let at_end = (gaps, self.ended, self.last_left);
            hole_is_said(books, &between, next, listed, at_end)?;
        }
        if self.left_behind.is_some() {
            // Gaps stood for what came after all.
            return Ok(());
        }
        if same && !books.several && known.policies.since <= last.at && !self.last_left {
            let broken = restarted || given_up;
            as_wished(books, &between, next, (listed, gaps), broken)?;
        }
        let whole = between.len() as u64 == lost.end - lost.start;
        let by_itself = whole && !restarted && !between.iter().any(|it| it.discontinuity);
        let of_one = same || !books.several;
        if goes_on
            && of_one
            && by_itself
            && !given_up
            && !is_ambiguous(origin)
            && !origin.has_gaps()
        {
            said::is_told(books, last, &between)?;
        }
        let (known, origin) = (books.known, books.origin(last.key));
        lost.filter(|number| !unfetchable.contains(number))
            .map(|number| MediaKey { number, ..last.key })
            .filter(|_| goes_on && !given_up)
            .filter(|key| !(restarted && known.is_beyond_the_window(*key)))
            .filter(|key| !self.is_forgotten(known, *key, origin))
            .filter(|key| !(listed.discontinuity && has_a_twin(now, *key, origin)))
            .try_for_each(|key| self.has_reason(known, now, key))
    }

    /// From one run of an encoder to the next: what this process was told of both, behind the last segment of the one
    /// and before the first of the other, is lost for a reason.
    pub(super) fn crosses(&self, books: &Books<'_>, last: Stored, next: Stored) -> Held {
        let (known, now, origin) = (books.known, books.now, books.origin(next.key));
        let goes_on = (last.key.origin, last.key.track) == (next.key.origin, next.key.track)
            && last.key.run < next.key.run;
        let same = last.asker == next.asker && next.asker.process == known.process;
        // Of several, each has what the others have lost with a break.
        if !goes_on || !same || self.begun_anew || books.several || is_ambiguous(origin) {
            return Ok(());
        }
        let at = |it: MediaKey, number| MediaKey { number, ..it };
        let rest = at(last.key, last.key.number + 1)..=at(last.key, u64::MAX);
        let beginning = at(next.key, 0)..next.key;
        let left = known.offers.range(rest).map(|(key, _)| *key);
        let skipped = known.offers.range(beginning).map(|(key, _)| *key);
        let skipped = skipped.filter(|key| !known.is_beyond_the_window(*key));
        left.chain(skipped)
            .filter(|key| is_fetchable(now, *key, origin) && !has_a_twin(now, *key, origin))
            .try_for_each(|key| self.has_reason(known, now, key))
    }

    /// Told of before an edge went back and not since. Where that looks like a restart, what was told
    /// before it is of another run.
    fn is_forgotten(&self, known: &Known, key: MediaKey, origin: &Origin) -> bool {
        let told = known.offers.get(&key).map(|offer| offer.last);
        let before = matches!((told, self.went_back), (Some(told), Some(at)) if told < at);
        before && is_ambiguous(origin)
    }

    /// Nothing is lost for no reason: it was never listed to us, or it failed for long enough.
    fn has_reason(&self, known: &Known, now: Timestamp, key: MediaKey) -> Held {
        // What viewers had before a repeat is not lost.
        let Some(offer) = known
            .told_in_time(key)
            .filter(|_| !self.published.contains_key(&key))
        else {
            return Ok(());
        };
        let first = MediaKey {
            run: 0,
            number: 0,
            ..key
        };
        // Behind segments in trouble it may never have been its turn, nor behind as many as are downloaded at once
        // that took until the source no longer listed it.
        let before = known.offers.range(first..key).rev().take(256);
        let before = before.map(|(_, it)| it);
        let trouble = before.clone().any(|it| it.failures > 0);
        let slow = before.filter(|it| it.ended > Some(offer.last)).count();
        let has_had_its_turn = slow < limits::MAX_DOWNLOADS;
        if offer.failures == 0 && !trouble && has_had_its_turn {
            return broken(
                "ledger: nothing is lost without a reason",
                format!(
                    "{key:?}, listed to us for {} ms, published",
                    now.since(offer.first).as_millis()
                ),
                "missing, and no download of it ever failed",
            );
        }
        // Given up before its time, while the source went on listing it?
        let patience = offer.target_duration * SEGMENT_WAIT_TARGETS;
        let newest = known.listed_at.get(&(key.origin, key.track));
        let newest = newest.copied().unwrap_or_default();
        let still_listed = offer.last >= newest;
        let waited = now.since(offer.first);
        if still_listed && waited < patience {
            return broken(
                "5.3 a segment is waited for",
                format!("{patience} where nothing else is in the way"),
                format!("{key:?} given up after {} ms", waited.as_millis()),
            );
        }
        Ok(())
    }
}

impl Known {
    /// The present process has gone on from `last` to `next`: from the same sources, without a stop. Where another one
    /// has listed `last` it goes on behind all that stands there, gaps of the source's own among it.
    fn goes_on(&self, last: Stored, next: Stored, origin: &Origin) -> bool {
        let (before, after) = (last.asker, next.asker);
        after.process == self.process
            && (before.process == after.process || !origin.has_gaps())
            && before.wish.is_of_one_life(after.wish)
            && before.wish.revision >= self.goes_on_since
    }

    /// What this process was told of a segment, unless a list came first that no longer had it, and only
    /// then one of an edge that lags.
    pub(super) fn told_in_time(&self, key: MediaKey) -> Option<&OfferState> {
        let offer = self.offers.get(&key)?;
        let number = u64::MAX;
        let mut later = self.offers.range(key..=MediaKey { number, ..key });
        let late = later.any(|(_, it)| it.first < offer.first);
        Some(offer).filter(|_| !late)
    }

    /// Of a run that begins a window's worth is relayed.
    fn is_beyond_the_window(&self, key: MediaKey) -> bool {
        let Some(offer) = self.offers.get(&key) else {
            return false;
        };
        let number = u64::MAX;
        let later = self.offers.range(key..=MediaKey { number, ..key });
        let listed = later.filter(|(_, it)| it.first <= offer.first).count() as u64;
        listed > self.policies.begins_with as u64
    }
}

/// A hole is never silent: gaps that sum up to it, or a discontinuity.
fn hole_is_said(
    books: &Books<'_>,
    between: &[Offered],
    next: Stored,
    listed: &Listed,
    (gaps, ended, last_left): (&[Arc<Listed>], bool, bool),
) -> Held {
    let (known, now, origin) = (books.known, books.now, books.origin(next.key));
    // Gaps of the source's own are no loss, and stand whatever is said of losses.
    let (own, lost): (Vec<_>, Vec<_>) = between.iter().partition(|it| it.gap);
    let lasts = |all: &[&Offered]| all.iter().map(|it| it.media.duration).sum::<Span>();
    let lost = lasts(&lost);
    let said: Span = gaps.iter().map(|gap| gap.duration).sum();
    let said = said.saturating_sub(lasts(&own));
    // One of several that was closed with gaps, to end with the others (S-26), begins the next run of ours behind
    // them with a discontinuity (DESIGN 5.10), which says what else is lost.
    let closed = books.several && ended && said <= lost;
    // Where there are some, a discontinuity may stand at any of them, or behind all.
    let own_gaps = books.origins.iter().any(Origin::has_gaps);
    let around_own = books.has_gaps_around(gaps);
    if around_own || (listed.discontinuity && (gaps.is_empty() || closed || own_gaps)) {
        return Ok(());
    }
    let told = |it: &Offered| {
        let number = it.media.number;
        let told = known.told_in_time(MediaKey { number, ..next.key });
        told.is_some() && !is_ambiguous(origin)
    };
    let exact = Span::from_millis(between.len() as u64 + 1);
    // One that comes to the discontinuity of the others later than they do, or was left behind before it,
    // has gaps around it, or up to it.
    let around_it = listed.discontinuity || gaps.iter().any(|gap| gap.discontinuity);
    if books.several && around_it && said <= lost + exact {
        return Ok(());
    }
    // A list begins where the others do (S-26): of what was lost before that, nothing is listed that could say it to
    // whoever knows what came before.
    let before_head = books.behind_head == Some(listed.number) && last_left;
    if books.several && before_head && said <= lost + exact {
        return Ok(());
    }
    // The durations of segments that were never listed to us can only be guessed: by those of the
    // list that comes next, which may be others.
    let tolerance = if between.iter().all(told) {
        exact
    } else {
        let listed = next.key.number..next.key.number + origin.spec().window;
        let first = between.first().map_or(0, |it| it.media.number);
        let all = segments(origin, now, next.key, first..listed.end);
        let durations = || all.iter().map(|it| it.media.duration);
        let shortest = durations().min().unwrap_or_default();
        let differ = durations()
            .max()
            .unwrap_or_default()
            .saturating_sub(shortest);
        exact
            .max(lost.scaled(1, 2))
            .max(differ * between.len() as u64)
    };
    // A jump that no list ever showed is known by EXT-X-DISCONTINUITY-SEQUENCE alone.
    let counted = origin.spec().discontinuity_sequence;
    let jump = between
        .iter()
        .any(|it| it.discontinuity && (counted || told(it)));
    let marked = listed.discontinuity || gaps.iter().any(|gap| gap.discontinuity);
    if !gaps.is_empty() && said.abs_diff(lost) <= tolerance && (marked || !jump) {
        return Ok(());
    }
    broken(
        "5.3 a hole is said",
        format!(
            "a discontinuity, or gaps of {} ms, for {} segments before {:?}",
            lost.as_millis(),
            between.len(),
            next.key
        ),
        format!(
            "discontinuity: {}, {} gaps of {} ms",
            listed.discontinuity,
            gaps.len(),
            said.as_millis()
        ),
    )
}

/// A hole is said as the channel's policy has it, where nothing else decides: a break of the source's own, or that
/// gaps would leave too little to play.
fn as_wished(
    books: &Books<'_>,
    between: &[Offered],
    next: Stored,
    (listed, gaps): (&Listed, &[Arc<Listed>]),
    broken_anyway: bool,
) -> Held {
    let policies = &books.known.policies;
    let (key, now, origin) = (next.key, books.now, books.origin(next.key));
    let own = between.iter().filter(|it| it.gap).count();
    let following = segment(origin, now, key);
    let breaks = between.iter().chain(&following).any(|it| it.discontinuity);
    let room = policies.window.saturating_sub(START_SEGMENTS);
    let right = match policies.hole {
        HolePolicy::Discontinuity => gaps.len() <= own,
        HolePolicy::Gap => {
            let forced = broken_anyway || breaks || between.len() > room || is_ambiguous(origin);
            !gaps.is_empty() || forced
        }
    };
    if right {
        return Ok(());
    }
    broken(
        "5.3 a hole is said as the channel wants it",
        format!(
            "{:?} for {} segments before {key:?}",
            policies.hole,
            between.len()
        ),
        format!(
            "{} gaps, discontinuity: {}",
            gaps.len(),
            listed.discontinuity
        ),
    )
}

/// Without date-times an edge that stays behind for long looks just like an origin that started
/// again and uses its old names (DESIGN 5.9).
///
/// Where folders are tokens, any list that is not as old as it should be looks so: that the folders do not
/// count is known only once a list went on in time.
pub(super) fn is_ambiguous(origin: &Origin) -> bool {
    let folders = origin.spec().tokens == Tokens::Folder;
    let behind = |fault: &Fault| {
        matches!(
            fault.kind,
            FaultKind::View(ViewFault::GoBackwards { .. } | ViewFault::TwoEdges { .. })
        ) || (folders && matches!(fault.kind, FaultKind::View(_)))
    };
    !origin.spec().program_date_time && origin.spec().faults.iter().any(behind)
}

/// Without date-times a segment with the name and number of one of an earlier run cannot be told from
/// it before its list has grown for long (DESIGN 5.9); meanwhile it may leave the list.
fn has_a_twin(now: Timestamp, key: MediaKey, origin: &Origin) -> bool {
    let numbers = key.number..key.number + 1;
    let offered = origin.segments_numbered(&numbers, now.since(Timestamp::default()));
    let of = |run: &dyn Fn(u32) -> bool| {
        let found = offered.iter().filter(|it| run(it.media.run));
        found.map(|it| it.path.as_str()).collect::<Vec<_>>()
    };
    let (own, earlier) = (of(&|run| run == key.run), of(&|run| run < key.run));
    !origin.spec().program_date_time && own.iter().any(|path| earlier.contains(path))
}

/// Whether a client asks for its URI at all.
fn is_fetchable(now: Timestamp, key: MediaKey, origin: &Origin) -> bool {
    segment(origin, now, key).is_some_and(|it| it.fetchable)
}

/// What the origin really made under this number of that run.
pub(super) fn segment(origin: &Origin, now: Timestamp, key: MediaKey) -> Option<Offered> {
    segments(origin, now, key, key.number..key.number + 1)
        .into_iter()
        .next()
}

/// What the origin really made of the run of `key`, with these numbers.
pub(super) fn segments(
    origin: &Origin,
    now: Timestamp,
    key: MediaKey,
    numbers: Range<u64>,
) -> Vec<Offered> {
    let mut all = origin.segments_numbered(&numbers, now.since(Timestamp::default()));
    all.retain(|it| it.media.run == key.run);
    all
}
