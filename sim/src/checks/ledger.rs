//! Every segment of the source accounted for: offered = published + hole with a named reason + in
//! flight. Media is known by what it is (origin, run, number), not by what it is called.

mod loss;

use super::untold::{self, Position, Told};
use super::{Held, broken};
use crate::origin::{Listed as Offer, MediaRef, Origin};
use crate::published::{Listed, Version};
use hls_relay_core::command::Command;
use hls_relay_core::event::FetchError;
use hls_relay_core::ids::ObjectName;
use hls_relay_core::notice::{Break, HoleCause, Notice};
use hls_relay_core::time::{Span, Timestamp};
use loss::is_ambiguous;
use std::collections::BTreeMap;
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
    /// When the first list that lists it was asked for, where that might have been earlier.
    asked: Option<Timestamp>,
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
    pub fn offered(
        &mut self,
        now: Timestamp,
        asked: Option<Timestamp>,
        origin: usize,
        offer: Offer,
    ) {
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
                    asked,
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

    /// When the list was asked for that brought the first new segment of a version, where that might
    /// have been earlier.
    pub fn asked_for(&self, version: &Version) -> Option<Timestamp> {
        let fresh = |it: &&Arc<Listed>| it.number >= self.next_number && !it.gap;
        let name = ObjectName(Arc::clone(&version.segments.iter().find(fresh)?.uri));
        let offer = self.offers.get(&self.objects.get(&name)?.key)?;
        offer.asked
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
    pub fn in_full(&self, version: &Version) -> String {
        let mut segments = version.segments.iter();
        let mut text = String::new();
        for line in version.text.lines() {
            match line.starts_with('#') {
                true => text.push_str(line),
                false => text.extend(segments.next().map(|it| self.called(it))),
            }
            text.push('\n');
        }
        text
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
        self.misses(now, last, next, listed, gaps, &origins[last.key.origin])
    }

    /// Whether no client can know that `next` is of another run of the encoder than `last`.
    fn is_untold(&self, now: Timestamp, last: MediaKey, next: MediaKey, origin: &Origin) -> bool {
        if last.origin != next.origin || last.run == next.run {
            return false;
        }
        // An old list was shown on, and under its names there are the files of another run by now.
        let by_name = |it: MediaKey, run| {
            let named = MediaKey { run, ..it };
            !self.offers.contains_key(&it) && self.offers.contains_key(&named)
        };
        if by_name(next, last.run) || by_name(last, next.run) {
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
        let (older, newer) = if last.run < next.run {
            (last, next)
        } else {
            (next, last)
        };
        let before = told(older.run);
        let newest = before.last().filter(|(number, _)| *number >= older.number);
        let position = Position {
            newest: MediaKey {
                number: newest.map_or(older.number, |(number, _)| *number),
                ..older
            },
            at: newest.map_or(self.last_at, |(_, it)| it.first),
            told: &before,
        };
        untold::is_untold(origin, now, &position, newer.run, &told(newer.run))
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
}
