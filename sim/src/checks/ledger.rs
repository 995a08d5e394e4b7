//! Every segment of the source accounted for: offered = published + hole with a named reason + in
//! flight. Media is known by what it is (origin, run, number), not by what it is called.
//!
//! In every world, for each published playlist and each run of an encoder, each number from the first that is
//! listed to the last is either listed or missing, and what is missing is judged one by one (`loss`): it is
//! said, and never came, failed, or was not told of. Where a list leaves a run, and where the world ends, that is
//! added up (`sum`) and compared with what the encoder has really made. What is behind the last is in flight:
//! once nothing is wrong, each of it for so long at most (the world looks at the live edge once a second).
//!
//! From one run of an encoder to the next, what this process was told of both is judged one by one as well: behind the
//! last that is listed of the one, and before the first of the other.
//!
//! A process that takes over, and one that is told another wish, goes on where the list was left: what it was told of
//! and has passed over is judged like anything else that is missing, unless it runs from other sources since, or again.
//! What a notice says of a hole is compared with what befell the segments that are missing (`said`).
//!
//! Not judged, since nobody can know it: between two runs of an encoder, or two origins, how many there were
//! that nobody was told of; what was given up before the channel was stopped, or led to other sources; in lists that
//! look as if the encoder had started again, which of two runs a number belongs to.
//!
//! That the notices count as many as are missing is an equality where one process has relayed one track of one
//! run to its end, whatever its policies: a track that is left behind is told as a whole, and not what it
//! lacks; what lies between two runs is no hole in the eyes of the machine.

mod known;
mod line;
mod loss;
mod needs;
mod said;
mod story;
mod sum;
mod waits;

use super::pace::Asked;
use super::{Held, broken};
use crate::origin::{Keeps, Listed as Offer, MediaRef, Origin};
use crate::published::{Listed, Version};
use hls_relay_core::command::Command;
use hls_relay_core::config::{DEFAULT_WINDOW, HolePolicy, Spec};
use hls_relay_core::event::FetchError;
use hls_relay_core::ids::{ObjectName, PlaylistName};
use hls_relay_core::notice::{Break, HoleCause, Notice, SwitchReason};
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::{Span, Timestamp};
pub(super) use known::OfferState;
use known::{Asker, Keys, Known, Policies, Stored};
use line::{Books, Line};
use said::{Failures, Said};
use std::collections::BTreeMap;
use std::sync::Arc;
pub use sum::Why;

/// What a segment really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaKey {
    /// Which origin.
    pub origin: usize,
    /// Which of its tracks; 0 where there is only one.
    pub track: u16,
    /// Which run of its encoder.
    pub run: u32,
    /// Its number there.
    pub number: u64,
}

/// Offered and published, side by side.
#[derive(Debug, Default)]
pub struct Ledger {
    known: Known,
    /// The published playlists by name.
    lines: BTreeMap<PlaylistName, Line>,
    /// What holds for a playlist that no version has shown yet.
    unborn: Line,
    /// What was said of holes.
    said: Said,
    /// What was counted.
    pub totals: Totals,
}

/// How many, over the whole life of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Segments listed with media.
    pub published: u64,
    /// Of those that are missing, gaps of the source's own.
    pub own_gaps: u64,
    /// Segments missing between two listed ones of the same run.
    pub missing: u64,
    /// Those, but for what the books are not closed of.
    pub missing_for: BTreeMap<Why, u64>,
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

/// What a segment was relayed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskedFor {
    /// So often all that was known had been lost.
    losses: u64,
    /// The wish.
    revision: u64,
}

impl AskedFor {
    /// Whether nothing that was known had been lost between the two.
    pub fn is_of_one_life(self, other: Self) -> bool {
        self.losses == other.losses
    }
}

impl MediaKey {
    /// What a piece of media is.
    pub fn of(origin: usize, media: &MediaRef) -> Self {
        Self {
            origin,
            track: media.track,
            run: media.run,
            number: media.number,
        }
    }

    /// The next one of the same run.
    fn is_of_run(self, other: Self) -> bool {
        (self.origin, self.track, self.run) == (other.origin, other.track, other.run)
    }
}

impl Totals {
    /// Numbers were skipped between two listed segments: what is missing is counted all the same.
    fn skip(&mut self, last: MediaKey, next: MediaKey) {
        let same_run = last.is_of_run(next);
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
        asked: Option<Asked>,
        (origin, track): (usize, u16),
        offer: Offer,
    ) {
        let key = |number| MediaKey {
            origin,
            track,
            run: offer.run,
            number,
        };
        self.known.listed_at.insert((origin, track), now);
        let offers = &mut self.known.offers;
        // Of a list most is known from the one before it.
        let mut unknown = offer.first;
        let listed = offers.range_mut(key(offer.first)..);
        for (known, state) in listed.take_while(|(it, _)| **it <= key(offer.last)) {
            state.last = now;
            unknown += u64::from(known.number == unknown);
        }
        for number in unknown..=offer.last {
            offers
                .entry(key(number))
                .or_insert(OfferState {
                    first: now,
                    last: now,
                    asked,
                    target_duration: offer.target_duration,
                    at_head: number == offer.first,
                    failures: 0,
                    ended: None,
                    had: None,
                })
                .last = now;
        }
        while offers.len() > 4_096 {
            offers.pop_first();
        }
    }

    /// A download came to an end.
    pub fn downloaded(
        &mut self,
        now: Timestamp,
        key: Option<MediaKey>,
        failed: Option<&FetchError>,
    ) {
        if let Some(offer) = key.and_then(|key| self.known.offers.get_mut(&key)) {
            offer.failures += u32::from(failed.is_some());
            offer.ended = Some(now);
            if failed.is_none() {
                offer.had.get_or_insert(now);
            }
        }
        if let Some((key, error)) = key.zip(failed) {
            self.known.failures.of_segment(key, error);
        }
    }

    /// An init section or a key could not be had: everything that is listed may need it.
    pub fn need_failed(
        &mut self,
        now: Timestamp,
        (origin, track): (usize, u16),
        error: &FetchError,
    ) {
        self.known.failures.of_need((origin, track), error);
        self.known.need_failed_at = Some(now);
        let newest = self.known.listed_at.get(&(origin, track)).copied();
        let offers = self.known.offers.iter_mut();
        offers
            .filter(|(key, it)| {
                (key.origin, key.track) == (origin, track) && Some(it.last) == newest
            })
            .for_each(|(_, it)| it.failures += 1);
    }

    /// An object is stored.
    pub fn stored(
        &mut self,
        at: Timestamp,
        object: &ObjectName,
        (origin, media, decrypted): (usize, MediaRef, bool),
        revision: u64,
    ) {
        let key = MediaKey::of(origin, &media);
        let longest = &mut self.known.longest_stored;
        *longest = media.duration.max(*longest);
        let losses = self.known.losses;
        let asker = Asker {
            process: self.known.process,
            wish: AskedFor { losses, revision },
        };
        let stored = Stored {
            key,
            media,
            asker,
            at,
            decrypted,
        };
        // What is fetched again under its old name stays what it was.
        let objects = &mut self.known.objects;
        let known = objects.entry(object.clone()).or_insert(stored);
        if known.key != key {
            *known = stored;
        }
    }

    /// Viewers are led to a list again that they were not led to for a while.
    pub fn comes_back(&mut self, name: &PlaylistName) {
        if let Some(line) = self.lines.get_mut(name) {
            line.away = true;
        }
    }

    /// Nothing is known any more: what a segment was longer than before says nothing of what comes.
    pub fn all_lost(&mut self) {
        self.known.longest_stored = Span::ZERO;
    }

    /// The longest segment that was stored since all was lost.
    pub fn longest_stored(&self) -> Span {
        self.known.longest_stored
    }

    /// A rung is made of a stored segment: the same media, or media that begins some ticks later.
    pub fn made(&mut self, object: &ObjectName, input: &ObjectName, later: u64) {
        if let Some(mut stored) = self.known.objects.get(input).copied() {
            stored.media.start_tick += later;
            self.known.objects.insert(object.clone(), stored);
        }
    }

    /// An object is gone.
    pub fn deleted(&mut self, object: &ObjectName) {
        self.known.objects.remove(object);
    }

    /// Another run of the channel begins where the source is now: what it was told of before is no
    /// matter of it.
    pub fn begun(&mut self) {
        self.known.offers.clear();
        self.known.failures = Failures::default();
        self.each(|line| line.went_back = None);
    }

    /// This is wanted from now on.
    pub fn wished(&mut self, now: Timestamp, spec: &Spec) {
        if self.known.keys.policy != spec.keys {
            self.known.keys = Keys {
                policy: spec.keys,
                since: now,
            };
        }
    }

    /// From that wish on it runs from other sources, or again.
    pub fn follows_others(&mut self, revision: u64) {
        self.known.goes_on_since = revision;
    }

    /// Another process takes over.
    pub fn restarted(&mut self, lost_state: bool) {
        self.begun();
        self.said.clear();
        self.known.process += 1;
        self.known.losses += u64::from(lost_state);
        self.each(|line| line.restarted(lost_state));
    }

    fn each(&mut self, change: impl Fn(&mut Line)) {
        self.lines.values_mut().for_each(&change);
        change(&mut self.unborn);
    }

    /// What was said about losses.
    pub fn commands(&mut self, now: Timestamp, commands: &[Command]) {
        for command in commands {
            let Command::Notify(notice) = command else {
                continue;
            };
            if let Notice::Hole {
                segments,
                cause,
                said,
                ..
            } = notice
            {
                self.totals.said_missing += segments;
                self.said.add(now, *segments, cause);
                let unseen = *cause == HoleCause::NotPublished;
                let broken = *said == Some(HolePolicy::Discontinuity);
                self.each(|line| {
                    line.unseen |= unseen;
                    line.breaks_said += u64::from(broken);
                });
            }
            if let Notice::Broken { why } = notice {
                self.totals.said_broken += 1;
                // What lies between two runs, in the eyes of the machine, is no hole.
                self.totals.changes += u64::from(*why != Break::Hole);
                let restarted = why.is_of_the_encoder();
                self.each(|line| line.restarts_said += u64::from(restarted));
            }
            if let Notice::Switched {
                why: SwitchReason::KindChanged,
                ..
            } = notice
            {
                self.each(|line| line.begun_anew = true);
            }
            if let Notice::Restored { listed: 0, .. } = notice {
                self.each(Line::all_lost);
            }
            if let Notice::LeftBehind { track, .. } = notice {
                self.line(track).left_behind = Some(now);
            }
        }
    }

    fn line(&mut self, name: &PlaylistName) -> &mut Line {
        let unborn = &self.unborn;
        let lines = &mut self.lines;
        lines.entry(name.clone()).or_insert_with(|| unborn.clone())
    }

    /// When the list was asked for that brought the first new segment of a version.
    pub fn asked_for(&mut self, name: &PlaylistName, version: &Version) -> Option<Asked> {
        let next_number = self.line(name).next_number;
        let fresh = |it: &&Arc<Listed>| it.number >= next_number && !it.gap;
        let uri = &version.segments.iter().find(fresh)?.uri;
        let offer = self
            .known
            .offers
            .get(&self.known.objects.get(&**uri)?.key)?;
        offer.asked
    }

    /// Whether numbers were used since the last version of a playlist that no viewer has seen.
    pub fn numbers_unseen(&mut self, name: &PlaylistName) -> bool {
        self.line(name).unseen
    }

    /// A version becomes visible.
    pub fn visible(
        &mut self,
        now: Timestamp,
        (name, version): (&PlaylistName, &Version),
        origins: &[Origin],
        spec: &Spec,
    ) -> Held {
        let policies = &mut self.known.policies;
        let whole = origins.iter().any(|it| it.spec().keeps != Keeps::Window);
        let window = spec.window_of(whole);
        let begins_with = match whole {
            true => window,
            false => window.min(DEFAULT_WINDOW),
        };
        if (policies.window, policies.hole) != (window, spec.hole) {
            *policies = Policies {
                window,
                begins_with,
                hole: spec.hole,
                since: now,
            };
        }
        self.known.chooses_tags = spec.tags != TagPolicy::default();
        self.line(name);
        let mut books = Books {
            now,
            known: &self.known,
            said: &mut self.said,
            totals: &mut self.totals,
            origins,
            several: !matches!(&*name.0, PlaylistName::ENTRY | "source.m3u8"),
            behind_head: behind_gaps_at_head(version),
        };
        let line = self.lines.get_mut(name);
        line.map_or(Ok(()), |line| line.visible(&mut books, version))
    }

    /// The world is over: closes all books.
    pub fn settle(&mut self, now: Timestamp, origins: &[Origin]) -> Held {
        let (known, totals, said) = (&self.known, &mut self.totals, &mut self.said);
        self.lines.values_mut().try_for_each(|line| {
            let mut books = Books {
                now,
                known,
                said: &mut *said,
                totals: &mut *totals,
                origins,
                several: false,
                behind_head: None,
            };
            line.settle(&mut books)
        })
    }

    /// Whether a segment is missing in a playlist for a reason that was looked into.
    pub fn is_missing(&self, name: &PlaylistName, key: MediaKey) -> bool {
        let line = self.lines.get(name);
        line.is_some_and(|line| line.missing.contains(&key))
    }

    /// Whether what a playlist follows now begins before a segment.
    pub fn has_come_to(&self, name: &PlaylistName, key: MediaKey) -> bool {
        let line = self.lines.get(name);
        let first = line.and_then(|line| line.sum.as_ref()).map(sum::Sum::first);
        first.is_some_and(|first| first.is_of_run(key) && first.number < key.number)
    }

    /// What is stored under a name, and what for.
    pub fn media(&self, name: &str) -> Option<(MediaKey, MediaRef, AskedFor)> {
        let stored = self.known.objects.get(name)?;
        Some((stored.key, stored.media, stored.asker.wish))
    }

    /// Whether what an origin lists may look as if it had started again, though it has not.
    pub fn may_repeat(origin: &Origin) -> bool {
        loss::is_ambiguous(origin)
    }

    /// The media of the newest listed segment of each playlist.
    pub fn newest(&self) -> impl Iterator<Item = (&PlaylistName, MediaKey, MediaRef)> {
        let lines = self.lines.iter();
        lines.filter_map(|(name, line)| {
            let stored = line.last?;
            Some((name, stored.key, stored.media))
        })
    }
}

/// The first segment with media of a list that begins with gaps.
fn behind_gaps_at_head(version: &Version) -> Option<u64> {
    let first = version.segments.first().filter(|it| it.gap);
    let media = first.and_then(|_| version.segments.iter().find(|it| !it.gap));
    media.map(|it| it.number)
}
