//! Every segment of the source accounted for: offered = published + hole with a named reason + in
//! flight. Media is known by what it is (origin, run, number), not by what it is called.

use super::untold::{self, Position, Told};
use super::{Held, broken};
use crate::origin::{Fault, FaultKind, Listed as Offer, MediaRef, Offered, Origin, ViewFault};
use crate::published::{Listed, Version};
use hls_relay_core::command::Command;
use hls_relay_core::config::SEGMENT_WAIT_TARGETS;
use hls_relay_core::event::FetchError;
use hls_relay_core::ids::ObjectName;
use hls_relay_core::notice::{Break, HoleCause, Notice};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What a segment really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaKey {
    /// Which origin.
    pub origin: usize,
    /// Which run of its encoder.
    pub run: u32,
    /// Its number there.
    pub number: u64,
}

/// Offered and published, side by side.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What each stored object is.
    objects: BTreeMap<ObjectName, Stored>,
    /// What this process was told of, and how it went.
    offers: BTreeMap<MediaKey, OfferState>,
    /// When a playlist of each origin last came.
    listed_at: BTreeMap<usize, Timestamp>,
    /// Everything listed so far, and in whose name.
    published: BTreeMap<MediaKey, Asker>,
    next_number: u64,
    last: Option<Stored>,
    last_at: Timestamp,
    /// Gaps since the last segment with media.
    gaps: Vec<Arc<Listed>>,
    /// The lists went back to lower numbers of the same run then, and were believed.
    went_back: Option<Timestamp>,
    /// So often the machine took a source for restarted, rightly or, where it was away for long, wrongly,
    /// and what follows is not listed yet.
    restarts_said: u64,
    /// The window asked for.
    window: u64,
    /// The present process.
    process: u64,
    /// Segments were numbered and left the window before any version could be published.
    unseen: bool,
    /// So the numbers of the version that is visible now do not go on from the one before.
    skipped: bool,
    /// What was counted.
    pub totals: Totals,
}

/// How many, over the whole life of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Segments listed with media.
    pub published: u64,
    /// Segments missing between two listed ones of the same run.
    pub missing: u64,
    /// Segments that a notice calls a hole.
    pub said_missing: u64,
    /// Discontinuities before listed segments.
    pub discontinuities: u64,
    /// Those of them that the source has too.
    pub source_discontinuities: u64,
    /// Notices of a discontinuity of our own.
    pub said_broken: u64,
    /// Media listed in microseconds.
    pub media_micros: u64,
    /// Times that the media goes over to another run or another origin.
    pub changes: u64,
}

/// Who asked for a segment: a new run, another source or another process may repeat what an
/// earlier one has listed, and need not know why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asker {
    process: u64,
    revision: u64,
}

/// A stored object.
#[derive(Clone, Copy, Debug)]
struct Stored {
    key: MediaKey,
    media: MediaRef,
    asker: Asker,
}

/// A segment that the source told this process of.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfferState {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// The target duration of the list that was first to list it.
    pub(super) target_duration: Span,
    failures: u32,
}

impl Totals {
    /// Numbers were skipped between two listed segments: what is missing is counted all the same.
    fn skip(&mut self, last: MediaKey, next: MediaKey) {
        let same_run = (last.origin, last.run) == (next.origin, next.run);
        match next
            .number
            .checked_sub(last.number + 1)
            .filter(|_| same_run)
        {
            Some(missing) => self.missing += missing,
            None => self.changes += 1,
        }
    }
}

impl Ledger {
    /// A playlist with these segments reached the machine.
    pub fn offered(&mut self, now: Timestamp, origin: usize, offer: Offer) {
        let key = |number| MediaKey {
            origin,
            run: offer.run,
            number,
        };
        self.listed_at.insert(origin, now);
        for number in offer.first..=offer.last {
            self.offers
                .entry(key(number))
                .or_insert(OfferState {
                    first: now,
                    last: now,
                    target_duration: offer.target_duration,
                    failures: 0,
                })
                .last = now;
        }
        while self.offers.len() > 4_096 {
            self.offers.pop_first();
        }
    }

    /// A download came to an end.
    pub fn downloaded(&mut self, key: Option<MediaKey>, failed: Option<&FetchError>) {
        if failed.is_some()
            && let Some(offer) = key.and_then(|key| self.offers.get_mut(&key))
        {
            offer.failures += 1;
        }
    }

    /// An object is stored.
    pub fn stored(&mut self, object: &ObjectName, origin: usize, media: MediaRef, revision: u64) {
        let key = MediaKey {
            origin,
            run: media.run,
            number: media.number,
        };
        let asker = Asker {
            process: self.process,
            revision,
        };
        let stored = Stored { key, media, asker };
        // What is fetched again under its old name stays what it was.
        let known = self.objects.entry(object.clone()).or_insert(stored);
        if known.key != key {
            *known = stored;
        }
    }

    /// An object is gone.
    pub fn deleted(&mut self, object: &ObjectName) {
        self.objects.remove(object);
    }

    /// Another run of the channel begins where the source is now: what it was told of before is no
    /// matter of it.
    pub fn begun(&mut self) {
        self.offers.clear();
        self.went_back = None;
    }

    /// Another process takes over.
    pub fn restarted(&mut self, lost_state: bool) {
        self.begun();
        self.restarts_said = 0;
        self.process += 1;
        if lost_state {
            // Nothing is known of what was listed: what comes now is another presentation.
            self.published.clear();
            self.gaps.clear();
            self.last = None;
            self.next_number = 0;
        }
    }

    /// What was said about losses.
    pub fn commands(&mut self, commands: &[Command]) {
        for command in commands {
            if let Command::Notify(Notice::Hole {
                segments, cause, ..
            }) = command
            {
                self.totals.said_missing += segments;
                self.unseen |= *cause == HoleCause::NotPublished;
            }
            if let Command::Notify(Notice::Broken { why }) = command {
                self.totals.said_broken += 1;
                // What lies between two runs, in the eyes of the machine, is no hole.
                self.totals.changes += u64::from(*why != Break::Hole);
                let restarted = match why {
                    Break::RestartedLower
                    | Break::RestartedHigher
                    | Break::RestartedRenamed
                    | Break::RestartedRedated
                    | Break::RestartedGrowth
                    | Break::JumpedAhead => true,
                    Break::SwitchedSource | Break::NewRun | Break::Hole => false,
                };
                self.restarts_said += u64::from(restarted);
            }
        }
    }

    /// Whether numbers were used since the last version that no viewer has seen.
    pub fn numbers_unseen(&self) -> bool {
        self.unseen
    }

    /// A version becomes visible.
    pub fn visible(
        &mut self,
        now: Timestamp,
        version: &Version,
        origins: &[Origin],
        window: usize,
    ) -> Held {
        self.window = window as u64;
        if version.media_sequence > self.next_number && self.next_number > 0 {
            // What was numbered in between left the window before any version could be published, and
            // with it whatever stood before the first segment that is listed now.
            self.skipped = true;
            self.gaps.clear();
        }
        self.unseen = false;
        let new = version
            .segments
            .iter()
            .filter(|it| it.number >= self.next_number);
        for listed in new.cloned().collect::<Vec<_>>() {
            self.next_number = listed.number + 1;
            if listed.gap {
                self.gaps.push(listed);
            } else {
                self.listed(now, &listed, origins)?;
            }
        }
        Ok(())
    }

    /// A version in one line, each segment by what it is.
    pub fn story(&self, version: &Version) -> String {
        let mut line = format!(
            "list from {} discontinuity {}:",
            version.media_sequence, version.discontinuity_sequence
        );
        for listed in &version.segments {
            line.push_str(if listed.discontinuity { " / " } else { " " });
            line.push_str(&self.called(listed));
        }
        if version.ended {
            line.push_str(" end");
        }
        line
    }

    /// A version as it stands, but for the names of objects, which no story is about.
    pub fn in_full(&self, version: &Version) -> Vec<String> {
        let mut segments = version.segments.iter();
        let line = |line: &str| match line.starts_with('#') {
            true => line.to_owned(),
            false => segments
                .next()
                .map_or_else(String::new, |it| self.called(it)),
        };
        version.text.lines().map(line).collect()
    }

    /// What a listed segment is: the letter of its origin, a mark for each restart, its number.
    fn called(&self, listed: &Listed) -> String {
        let name = ObjectName(Arc::clone(&listed.uri));
        match self.objects.get(&name) {
            Some(stored) if !listed.gap => {
                let MediaKey {
                    origin,
                    run,
                    number,
                } = stored.key;
                let letter = char::from(b'a' + u8::try_from(origin % 26).unwrap_or(0));
                format!("{letter}{}{number}", "'".repeat(run as usize))
            }
            Some(_) | None => "~".to_owned(),
        }
    }

    /// The media of the newest listed segment.
    pub fn newest(&self) -> Option<(MediaKey, MediaRef)> {
        self.last.map(|stored| (stored.key, stored.media))
    }

    fn listed(&mut self, now: Timestamp, listed: &Listed, origins: &[Origin]) -> Held {
        let name = ObjectName(Arc::clone(&listed.uri));
        let Some(&stored) = self.objects.get(&name) else {
            return broken(
                "ledger: listed media is known",
                format!("{name}"),
                "unknown",
            );
        };
        if listed.duration.abs_diff(stored.media.duration) > Span::from_millis(1) {
            return broken(
                "S-28 EXTINF is the duration of the media",
                format!("{} us", stored.media.duration.as_micros()),
                listed.block.to_string(),
            );
        }
        // That a repeat begins with a discontinuity is seen where it follows another segment.
        let before = self.published.insert(stored.key, stored.asker);
        let repeated = before.is_some_and(|before| stored.asker.revision <= before.revision);
        if repeated && !is_ambiguous(&origins[stored.key.origin]) {
            return broken(
                "ledger: nothing is repeated",
                format!("{:?} once", stored.key),
                format!("again as {}", listed.number),
            );
        }
        let gaps = std::mem::take(&mut self.gaps);
        let skipped = std::mem::take(&mut self.skipped);
        match self.last {
            Some(last) if skipped => self.totals.skip(last.key, stored.key),
            Some(last) => self.follows(now, last, stored, listed, &gaps, origins)?,
            None => {}
        }
        self.totals.published += 1;
        self.totals.media_micros += stored.media.duration.as_micros();
        self.totals.discontinuities += u64::from(listed.discontinuity);
        (self.last, self.last_at) = (Some(stored), now);
        while self.published.len() > 8_192 {
            self.published.pop_first();
        }
        Ok(())
    }

    /// Whether `next` may be listed after `last` as it is.
    fn follows(
        &mut self,
        now: Timestamp,
        last: Stored,
        next: Stored,
        listed: &Listed,
        gaps: &[Arc<Listed>],
        origins: &[Origin],
    ) -> Held {
        let same_run = (last.key.origin, last.key.run) == (next.key.origin, next.key.run);
        if !same_run || next.key.number <= last.key.number {
            self.restarts_said = self.restarts_said.saturating_sub(1);
            self.totals.changes += 1;
            let told = self.offers.get(&next.key).map(|offer| offer.last);
            self.went_back = told.filter(|_| same_run);
            if self.is_untold(now, last.key, next.key, &origins[next.key.origin]) {
                return Ok(());
            }
            if listed.discontinuity && gaps.is_empty() {
                return Ok(());
            }
            return broken(
                "5.3 other media begins with a discontinuity",
                format!(
                    "a discontinuity and no gaps between {:?} and {:?}",
                    last.key, next.key
                ),
                format!(
                    "discontinuity: {}, gaps: {}",
                    listed.discontinuity,
                    gaps.len()
                ),
            );
        }
        let missing = next.key.number - last.key.number - 1;
        if missing == 0 {
            return self.joins(last, next, listed, gaps);
        }
        self.totals.missing += missing;
        let restarted = listed.discontinuity && self.restarts_said > 0;
        self.restarts_said -= u64::from(restarted);
        let origin = &origins[last.key.origin];
        let lost = last.key.number + 1..next.key.number;
        let between = segments(origin, now, last.key, lost.clone());
        self.hole_is_said(&between, next, listed, gaps, now, origin)?;
        lost.map(|number| MediaKey { number, ..last.key })
            .filter(|_| last.asker == next.asker && next.asker.process == self.process)
            .filter(|key| !(restarted && self.is_beyond_the_window(*key)))
            .filter(|key| !self.is_forgotten(*key, &origins[key.origin]))
            .filter(|key| !(listed.discontinuity && has_a_twin(now, *key, &origins[key.origin])))
            .try_for_each(|key| self.has_reason(now, key))
    }

    /// Whether no client can know that `next` is of another run of the encoder than `last`.
    fn is_untold(&self, now: Timestamp, last: MediaKey, next: MediaKey, origin: &Origin) -> bool {
        if last.origin != next.origin || next.run <= last.run {
            return false;
        }
        // An old list was shown on, and under its names there are the files of another run by now.
        let by_name = MediaKey {
            run: last.run,
            ..next
        };
        if !self.offers.contains_key(&next) && self.offers.contains_key(&by_name) {
            return true;
        }
        let told = |run| {
            let number = |number| MediaKey {
                number,
                run,
                ..next
            };
            let offers = self.offers.range(number(0)..=number(u64::MAX));
            offers
                .map(|(key, it)| (key.number, *it))
                .collect::<Vec<Told>>()
        };
        let before = told(last.run);
        let newest = before.last().filter(|(number, _)| *number >= last.number);
        let position = Position {
            newest: MediaKey {
                number: newest.map_or(last.number, |(number, _)| *number),
                ..last
            },
            at: newest.map_or(self.last_at, |(_, it)| it.first),
            told: &before,
        };
        untold::is_untold(origin, now, &position, next.run, &told(next.run))
    }

    /// Nothing is missing: nothing may be said either, but what the source itself says.
    fn joins(&mut self, last: Stored, next: Stored, listed: &Listed, gaps: &[Arc<Listed>]) -> Held {
        if !gaps.is_empty() {
            return broken(
                "5.3 a gap stands for something lost",
                format!("no gap between {:?} and {:?}", last.key, next.key),
                gaps.len().to_string(),
            );
        }
        let jump = last.media.start_tick + last.media.ticks != next.media.start_tick;
        self.totals.source_discontinuities += u64::from(jump && listed.discontinuity);
        let excused = last.asker != next.asker;
        if jump == listed.discontinuity || (listed.discontinuity && excused) {
            return Ok(());
        }
        broken(
            "S-19 a discontinuity where the timestamps break, and nowhere else",
            format!("{jump} between {:?} and {:?}", last.key, next.key),
            listed.discontinuity.to_string(),
        )
    }

    /// A hole is never silent: gaps that sum up to it, or a discontinuity.
    fn hole_is_said(
        &self,
        between: &[Offered],
        next: Stored,
        listed: &Listed,
        gaps: &[Arc<Listed>],
        now: Timestamp,
        origin: &Origin,
    ) -> Held {
        if gaps.is_empty() && listed.discontinuity {
            return Ok(());
        }
        let lost: Span = between.iter().map(|it| it.media.duration).sum();
        let said: Span = gaps.iter().map(|gap| gap.duration).sum();
        let told = |it: &Offered| {
            let number = it.media.number;
            let told = self.told_in_time(MediaKey { number, ..next.key });
            told.is_some() && !is_ambiguous(origin)
        };
        let exact = Span::from_millis(between.len() as u64 + 1);
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

    /// What this process was told of a segment, unless a list came first that no longer had it, and only
    /// then one of an edge that lags.
    fn told_in_time(&self, key: MediaKey) -> Option<&OfferState> {
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
        listed > self.window
    }

    /// Told of before an edge went back and not since. Where that looks like a restart, what was told
    /// before it is of another run.
    fn is_forgotten(&self, key: MediaKey, origin: &Origin) -> bool {
        let told = self.offers.get(&key).map(|offer| offer.last);
        let before = matches!((told, self.went_back), (Some(told), Some(at)) if told < at);
        before && is_ambiguous(origin)
    }

    /// Nothing is lost for no reason: it was never listed to us, or it failed for long enough.
    fn has_reason(&self, now: Timestamp, key: MediaKey) -> Held {
        // What viewers had before a repeat is not lost.
        let Some(offer) = self
            .told_in_time(key)
            .filter(|_| !self.published.contains_key(&key))
        else {
            return Ok(());
        };
        // Behind segments in trouble it may never have been its turn.
        let trouble = self
            .offers
            .range(..key)
            .rev()
            .take(256)
            .any(|(_, it)| it.failures > 0);
        if offer.failures == 0 && !trouble {
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
        let newest = self.listed_at.get(&key.origin).copied().unwrap_or_default();
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

/// Without date-times an edge that stays behind for long looks just like an origin that started
/// again and uses its old names (DESIGN 5.9).
fn is_ambiguous(origin: &Origin) -> bool {
    let behind = |fault: &Fault| {
        matches!(
            fault.kind,
            FaultKind::View(ViewFault::GoBackwards { .. } | ViewFault::TwoEdges { .. })
        )
    };
    !origin.spec().program_date_time && origin.spec().faults.iter().any(behind)
}

/// Without date-times a segment with the name and number of one of an earlier run cannot be told from
/// it before its list has grown for long (DESIGN 5.9); meanwhile it may leave the list.
fn has_a_twin(now: Timestamp, key: MediaKey, origin: &Origin) -> bool {
    let offered = origin.segments_offered(now.since(Timestamp::default()));
    let of = |run: &dyn Fn(u32) -> bool| {
        let found = offered
            .iter()
            .filter(|it| it.media.number == key.number && run(it.media.run));
        found.map(|it| it.path.as_str()).collect::<Vec<_>>()
    };
    let (own, earlier) = (of(&|run| run == key.run), of(&|run| run < key.run));
    !origin.spec().program_date_time && own.iter().any(|path| earlier.contains(path))
}

/// What the origin really made of the run of `key`, with these numbers.
fn segments(origin: &Origin, now: Timestamp, key: MediaKey, numbers: Range<u64>) -> Vec<Offered> {
    let mut all = origin.segments_offered(now.since(Timestamp::default()));
    all.retain(|it| it.media.run == key.run && numbers.contains(&it.media.number));
    all
}
