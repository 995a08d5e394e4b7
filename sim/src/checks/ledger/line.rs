//! One published playlist: each of its segments follows on the one before, or it is said why not.

use super::loss::{is_ambiguous, segment, segments};
use super::said::Said;
use super::sum::{Sum, Why};
use super::{Asker, Held, Known, MediaKey, Stored, Totals, broken, needs};
use crate::checks::untold::{self, Position, Told};
use crate::origin::{Keeps, Offered, Origin};
use crate::published::{Listed, Version};
use hls_relay_core::time::{Span, Timestamp, WallTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is less is a matter of rounding.
const MILLISECOND_TICKS: u64 = 90;

/// What is less comes from reckoning with durations that are rounded.
const DATED_WITHIN: Span = Span::from_millis(10);

/// What has been listed under one name.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Everything listed so far, and in whose name.
    pub(super) published: BTreeMap<MediaKey, Asker>,
    pub(super) next_number: u64,
    pub(super) last: Option<Stored>,
    last_at: Timestamp,
    /// Under which number it was listed.
    last_number: u64,
    /// It had left the list in the version before, or nobody was led to that.
    pub(super) last_left: bool,
    /// Nobody was led to the version before.
    pub(super) away: bool,
    /// The number that version begins with.
    head: u64,
    /// The version that is visible ends: what follows begins a run of ours.
    pub(super) ended: bool,
    /// Its source shows another kind of playlist, and what follows is to whoever relays it another source.
    pub(super) begun_anew: bool,
    /// Gaps since the last segment with media.
    gaps: Vec<Arc<Listed>>,
    /// So many of them stand at the end of the run of ours that was closed; those behind begin the next.
    gaps_closed: Option<usize>,
    /// So many of them stand for what was lost at the end of what was closed: that cannot be taken back.
    gaps_at_end: usize,
    /// The lists went back to lower numbers of the same run then, and were believed.
    pub(super) went_back: Option<Timestamp>,
    /// So often the machine took a source for restarted, rightly or, where it was away for long, wrongly,
    /// and what follows is not listed yet.
    pub(super) restarts_said: u64,
    /// So many holes of tracks were said as discontinuities that this one has none of its own for.
    pub(super) breaks_said: u64,
    /// Segments were numbered and left the window before any version could be published.
    pub(super) unseen: bool,
    /// What is new in the version that becomes visible may follow on such.
    pub(super) given_up: bool,
    /// So the numbers of the version that is visible now do not go on from the one before.
    skipped: bool,
    /// What is listed now, added up; and what was before, to be judged.
    pub(super) sum: Option<Sum>,
    pub(super) closed: Vec<Sum>,
    /// What is missing in it.
    pub(super) missing: BTreeSet<MediaKey>,
    /// It was left behind then, nothing is listed yet that came since, and gaps stand for what the others have.
    pub(super) left_behind: Option<Timestamp>,
}

/// What a line is compared with.
pub(super) struct Books<'a> {
    pub(super) now: Timestamp,
    pub(super) known: &'a Known,
    pub(super) said: &'a mut Said,
    pub(super) totals: &'a mut Totals,
    pub(super) origins: &'a [Origin],
    /// The playlist is one of a presentation.
    pub(super) several: bool,
    /// It begins with gaps, and its first segment with media has this number.
    pub(super) behind_head: Option<u64>,
}

impl Books<'_> {
    /// Where it comes from.
    pub(super) fn origin(&self, key: MediaKey) -> &Origin {
        self.origins[key.origin].track(key.track)
    }

    /// Behind a discontinuity there may be gaps that another source, or another run of an encoder, has of its own.
    pub(super) fn has_gaps_around(&self, gaps: &[Arc<Listed>]) -> bool {
        let own = self.origins.iter().any(Origin::has_gaps);
        own && gaps.iter().any(|gap| gap.discontinuity)
    }

    /// What a segment is counted as in the places where its media is.
    pub(super) fn numbers(&self, key: MediaKey) -> Vec<u64> {
        let Some(presentation) = &self.origins[key.origin].spec().presentation else {
            return vec![key.number];
        };
        let places = presentation.tracks.iter().enumerate();
        let twins = places.filter(|(at, _)| presentation.twin_of(*at) == usize::from(key.track));
        twins
            .map(|(_, place)| key.number + place.counted_higher)
            .collect()
    }
}

impl Line {
    /// Another process takes over.
    pub(super) fn restarted(&mut self, lost_state: bool) {
        self.restarts_said = 0;
        if lost_state {
            // Nothing is known of what was listed: what comes now is another presentation.
            self.begin_anew();
            self.published.clear();
            self.gaps.clear();
            (self.gaps_closed, self.gaps_at_end) = (None, 0);
            self.last = None;
            self.next_number = 0;
        }
    }

    /// A process that goes on has nothing left of what was listed. Where that was closed nothing else may come, and what
    /// there was is listed anew.
    pub(super) fn all_lost(&mut self) {
        if self.ended {
            self.published.clear();
        }
    }

    /// A version becomes visible.
    pub(super) fn visible(&mut self, books: &mut Books<'_>, version: &Version) -> Held {
        if version.media_sequence > self.next_number && self.next_number > 0 {
            // What was numbered in between left the window before any version could be published, and
            // with it whatever stood before the first segment that is listed now.
            self.skipped = true;
            self.gaps.clear();
            (self.gaps_closed, self.gaps_at_end) = (None, 0);
        }
        // One of several may come to a break before the others do: what it has until there is lost for all.
        self.given_up = std::mem::take(&mut self.unseen) && books.several;
        let head = std::mem::replace(&mut self.head, version.media_sequence);
        self.last_left = std::mem::take(&mut self.away) || self.last_number < head;
        let new = version
            .segments
            .iter()
            .filter(|it| it.number >= self.next_number);
        for listed in new.cloned().collect::<Vec<_>>() {
            self.next_number = listed.number + 1;
            if listed.gap {
                if self.ended && listed.discontinuity {
                    self.gaps_closed.get_or_insert(self.gaps.len());
                }
                self.gaps.push(listed);
            } else {
                self.listed(books, &listed)?;
                self.ended = false;
            }
        }
        self.ended = version.ended;
        if version.ended && self.gaps_at_end < self.gaps.len() {
            self.gaps_at_end = self.gaps.len();
            self.closes_with_what_is_lost(books)?;
        }
        Ok(())
    }

    /// The gaps at the end of what is closed stand for all that was told of behind its last segment.
    fn closes_with_what_is_lost(&self, books: &mut Books<'_>) -> Held {
        let here = |it: &Stored| it.asker.process == books.known.process && !books.several;
        let around_own = books.has_gaps_around(&self.gaps);
        let own = |it: &Stored| around_own || books.origin(it.key).has_gaps();
        let Some(last) = self.last.filter(|it| here(it) && !own(it)) else {
            return Ok(());
        };
        let at = |number| MediaKey { number, ..last.key };
        let offers = books.known.offers.range(last.key..=at(u64::MAX));
        let mut told = offers.rev().map(|(key, _)| *key);
        let newest = told.find(|key| books.known.told_in_time(*key).is_some());
        let behind = last.key.number + 1..newest.map_or(0, |it| it.number + 1);
        let lost = segments(books.origin(last.key), books.now, last.key, behind);
        let lasts: Span = lost.iter().map(|it| it.media.duration).sum();
        let said: Span = self.gaps.iter().map(|gap| gap.duration).sum();
        if said.abs_diff(lasts) <= Span::from_millis(lost.len() as u64 + 1) {
            books.totals.missing += lost.len() as u64;
            return Ok(());
        }
        broken(
            "5.3 gaps at the end stand for what was lost there",
            format!("{} ms behind {:?}", lasts.as_millis(), last.key),
            format!("{} ms", said.as_millis()),
        )
    }

    fn listed(&mut self, books: &mut Books<'_>, listed: &Listed) -> Held {
        let Some(&stored) = books.known.objects.get(&*listed.uri) else {
            return broken(
                "ledger: listed media is known",
                listed.uri.to_string(),
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
        let repeated = before.is_some_and(|before| stored.asker.wish <= before.wish);
        if repeated && !is_ambiguous(books.origin(stored.key)) {
            return broken(
                "ledger: nothing is repeated",
                format!("{:?} once", stored.key),
                format!("again as {}", listed.number),
            );
        }
        let gaps = std::mem::take(&mut self.gaps);
        let at_end = std::mem::take(&mut self.gaps_at_end);
        let is_broken = listed.discontinuity || gaps.iter().any(|gap| gap.discontinuity);
        needs::right(books, stored, listed, is_broken)?;
        dated(books, stored.key, listed)?;
        let skipped = std::mem::take(&mut self.skipped);
        match self.last {
            Some(last) if skipped => {
                books.totals.skip(last.key, stored.key);
                self.lacks_unseen(books, last.key, stored.key);
            }
            Some(last) => self.follows(books, last, stored, listed, (&gaps, at_end))?,
            None => begins_with_what_is_lost(books, stored.key, &gaps)?,
        }
        self.add(books, stored)?;
        books.totals.published += 1;
        books.totals.media_micros += stored.media.duration.as_micros();
        books.totals.discontinuities += u64::from(listed.discontinuity);
        (self.last, self.last_at) = (Some(stored), books.now);
        (self.last_number, self.last_left) = (listed.number, false);
        self.left_behind = self.left_behind.filter(|at| stored.at <= *at);
        self.begun_anew = false;
        self.gaps_closed = None;
        while self.published.len() > 8_192 {
            self.published.pop_first();
        }
        Ok(())
    }

    /// What was numbered between two listed segments was never seen.
    fn lacks_unseen(&mut self, books: &Books<'_>, last: MediaKey, next: MediaKey) {
        let numbers = last.number.saturating_add(1)..next.number;
        if last.is_of_run(next) && !numbers.is_empty() {
            let between = segments(books.origin(last), books.now, last, numbers);
            self.lack(&between, last, (books.known, |_: &Self, _| Why::Unseen));
        }
    }

    /// Whether `next` may be listed after `last` as it is.
    fn follows(
        &mut self,
        books: &mut Books<'_>,
        last: Stored,
        next: Stored,
        listed: &Listed,
        (gaps, at_end): (&[Arc<Listed>], usize),
    ) -> Held {
        let same_run = last.key.is_of_run(next.key);
        if !same_run || next.key.number <= last.key.number {
            self.restarts_said = self.restarts_said.saturating_sub(1);
            books.totals.changes += 1;
            let told = books.known.offers.get(&next.key).map(|offer| offer.last);
            self.went_back = told.filter(|_| same_run);
            if self.is_untold(books, last.key, next.key) {
                return Ok(());
            }
            self.crosses(books, last, next)?;
            // Where others go on, gaps keep a playlist in step with them.
            let in_step = books.several && gaps.iter().any(|gap| gap.discontinuity);
            // Of those that a source has of its own each run may have some, and the first of them the discontinuity.
            let own = books.origin(last.key).has_gaps() || books.origin(next.key).has_gaps();
            let marked = listed.discontinuity || (own && gaps.iter().any(|it| it.discontinuity));
            let behind = gaps.len() > at_end;
            // What is listed whole begins with what was lost of it.
            let whole = books.origin(next.key).spec().keeps != Keeps::Window;
            let begins = whole && gaps.get(at_end).is_some_and(|gap| gap.discontinuity);
            if in_step
                || (begins && !listed.discontinuity)
                || (marked && (!behind || own || books.several))
            {
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
        if missing == 0 && gaps.is_empty() && listed.discontinuity && books.several {
            // What another track has lost is a discontinuity of all (S-27).
            let said = self.breaks_said > 0;
            self.breaks_said -= u64::from(said);
            if said {
                return Ok(());
            }
        }
        if missing == 0 {
            let excused = last.asker != next.asker || self.begun_anew;
            let gaps = match self.begins_in_gaps(books, next, gaps) {
                true => &[],
                false => gaps,
            };
            return joins(books, (last, next), listed, gaps, (self.ended, excused));
        }
        self.misses(books, last, next, listed, gaps)
    }

    /// Whether a run of ours begins with gaps, behind which the others go on (S-26): with what they list again of what
    /// viewers had before the run was closed, and this one has not got in time. They stand for what is right before.
    pub(super) fn begins_in_gaps(
        &self,
        books: &Books<'_>,
        next: Stored,
        gaps: &[Arc<Listed>],
    ) -> bool {
        let Some(closed) = self.gaps_closed.filter(|_| books.several) else {
            return false;
        };
        let mut missing: Span = gaps[closed..].iter().map(|gap| gap.duration).sum();
        let numbers = next.key.number.saturating_sub(gaps.len() as u64)..next.key.number;
        let before = segments(books.origin(next.key), books.now, next.key, numbers);
        let exact = Span::from_millis(gaps.len() as u64 + 1);
        for it in before.iter().rev() {
            if missing <= exact {
                break;
            }
            if it.media.duration > missing + exact {
                return false;
            }
            missing = missing.saturating_sub(it.media.duration);
        }
        missing <= exact
    }

    /// Whether no client can know that `next` is of another run of the encoder than `last`.
    fn is_untold(&self, books: &Books<'_>, last: MediaKey, next: MediaKey) -> bool {
        if (last.origin, last.track) != (next.origin, next.track) || last.run == next.run {
            return false;
        }
        // An old list was shown on, and under its names there are the files of another run by now.
        let by_name = |it: MediaKey, run| {
            let named = MediaKey { run, ..it };
            !books.known.offers.contains_key(&it) && books.known.offers.contains_key(&named)
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
            let offers = books.known.offers.range(number(0)..=number(u64::MAX));
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
        let (origin, now) = (books.origin(next), books.now);
        untold::is_untold(origin, now, &position, newer.run, &told(newer.run))
    }
}

/// The gaps at the beginning of what is listed whole stand for all that was told of before its first segment.
fn begins_with_what_is_lost(books: &mut Books<'_>, first: MediaKey, gaps: &[Arc<Listed>]) -> Held {
    let origin = books.origin(first);
    let whole = origin.spec().keeps == Keeps::Vod && !origin.has_gaps();
    if gaps.is_empty() || books.several || !whole {
        return Ok(());
    }
    let offered = books
        .origin(first)
        .segments_offered(books.now.since(Timestamp::default()));
    let before = |it: &Offered| it.media.run == first.run && it.media.number < first.number;
    let lost: Vec<_> = offered.into_iter().filter(before).collect();
    let lasts: Span = lost.iter().map(|it| it.media.duration).sum();
    let said: Span = gaps.iter().map(|gap| gap.duration).sum();
    if said.abs_diff(lasts) <= Span::from_millis(lost.len() as u64 + 1) {
        books.totals.missing += lost.len() as u64;
        return Ok(());
    }
    broken(
        "5.3 gaps at the beginning stand for what was lost there",
        format!("{} ms before {first:?}", lasts.as_millis()),
        format!("{} ms", said.as_millis()),
    )
}

/// S-21: a segment begins when its source says, and none has a date-time where the source tells none.
fn dated(books: &Books<'_>, key: MediaKey, listed: &Listed) -> Held {
    let origin = books.origin(key);
    // Where a track comes from two places, one of them may be ahead of the other.
    let Some(offered) = segment(origin, books.now, key) else {
        return Ok(());
    };
    let told = origin.spec().program_date_time.then_some(offered.starts);
    let is_near = |(one, other): (WallTime, WallTime)| one.abs_diff(other) <= DATED_WITHIN;
    let right = match (told, listed.date_time) {
        (None, None) => true,
        (Some(_), None) => books.known.chooses_tags,
        (told, listed) => told.zip(listed).is_some_and(is_near),
    };
    if right {
        return Ok(());
    }
    broken(
        "S-21 date-times are the source's",
        format!("{told:?} of {key:?}"),
        listed.block.to_string(),
    )
}

/// Nothing is missing: nothing may be said either, but what the source itself says, and that a run of ours
/// begins behind EXT-X-ENDLIST. It is `excused` where who relays it now cannot know.
fn joins(
    books: &mut Books<'_>,
    (last, next): (Stored, Stored),
    listed: &Listed,
    gaps: &[Arc<Listed>],
    (ended, excused): (bool, bool),
) -> Held {
    if !gaps.is_empty() {
        return broken(
            "5.3 a gap stands for something lost",
            format!("no gap between {:?} and {:?}", last.key, next.key),
            gaps.len().to_string(),
        );
    }
    let jump = last.media.end_tick().abs_diff(next.media.start_tick) > MILLISECOND_TICKS;
    books.totals.source_discontinuities += u64::from(jump && listed.discontinuity);
    let begins = jump || ended;
    if begins == listed.discontinuity || (listed.discontinuity && excused) {
        return Ok(());
    }
    broken(
        "S-19 a discontinuity where the timestamps break, and nowhere else",
        format!("{begins} between {:?} and {:?}", last.key, next.key),
        listed.discontinuity.to_string(),
    )
}
