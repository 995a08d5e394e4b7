//! What follows a media playlist: reads only what is published, as strictly as hls.js does, and counts
//! what its viewer suffers.
//!
//! Numbers of hls.js: it starts three target durations from the end, reloads the lesser of the target
//! duration and the last segment's after a reload, half a target duration after one without change, keeps
//! up to 30 s ahead, gives a segment up after six tries, jumps to the live edge where its position has left
//! the list.
//!
//! That it has seen every second that was offered, once and in order, is added up for each stretch that it plays
//! of one list and one run of an encoder ([`Watched`]): the time that the source has offered from its first
//! segment to its last is what was seen and what the ledger knows to be missing in that list, to the tick. From
//! one stretch to the next there are more equalities. Another variant goes on just where the one before was
//! left, to the tick: while nothing is wrong at once, else behind what is missing in its list, or where that begins.
//! What was listed leaves no list before a player with room for it has looked. And from one run of an encoder to the
//! next the ledger judges what is listed of neither.
//!
//! The rungs of a ladder are one list in this: they have the same numbers, and what is missing in one of them is missing
//! at its source, or is stepped over where nobody has made it in time.
//!
//! Not added up is what it misses by its own doing: what is more than 30 s ahead of it when it leaves the list,
//! since more was published than could be played; what was gone with a process; and where it opens a
//! presentation anew, which it does after EXT-X-ENDLIST, and where its place has left the list. Nor can it be
//! said of the time between two runs of an encoder, or two origins, whose clocks have nothing in common.

use crate::checks::ledger::AskedFor;
use crate::published::{Listed, Version};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// As much as hls.js loads ahead.
const MAX_BUFFER: Span = Span::from_secs(30);
/// So many leads are remembered: those of some minutes.
const LEADS: usize = 64;
/// A playlist that does not come is asked for again after this.
const RETRY: Span = Span::from_secs(1);
/// A segment that cannot be had is asked for so often, twice as late each time up to `SLOWEST_RETRY`.
const SEGMENT_TRIES: u32 = 6;
/// See `SEGMENT_TRIES`.
const SLOWEST_RETRY: Span = Span::from_secs(8);
/// From a request to its answer.
const ROUND_TRIP: Span = Span::from_millis(20);

/// Follows one media playlist.
#[derive(Clone, Debug)]
pub struct Player {
    phase: Phase,
    known: Option<Arc<Version>>,
    /// The number of the next segment to load.
    next: Option<u64>,
    /// Where it goes on in the list of another variant.
    goes_on: Option<Position>,
    /// Until when what is buffered lasts, while it plays.
    plays_until: Timestamp,
    /// The list was loaded then.
    looked_at: Timestamp,
    /// It is loaded again then.
    reload_at: Timestamp,
    /// So often the next segment could not be had.
    failures: u32,
    /// It is not asked for before.
    retry_at: Timestamp,
    /// How much was buffered whenever everything listed had been loaded, or as much as there is room for.
    leads: VecDeque<(Timestamp, Span)>,
    /// What was played last since it found its place by itself.
    last: Option<Stamps>,
    /// And of each timeline what ends last.
    furthest: BTreeMap<(usize, u32), Stamps>,
    /// The next segment is the first one of another variant.
    went_over: bool,
    /// And of its list, or it is only taken for what comes next.
    at_head: bool,
    /// The next segment does not follow what was played last in the same list, or not at once.
    torn: bool,
    /// What the viewer suffered.
    pub suffered: Suffered,
}

/// A place in a presentation, as any of its playlists can tell it.
#[derive(Clone, Debug)]
struct Position {
    /// Played last.
    last: Option<Arc<Listed>>,
    /// How much is listed behind it.
    from_end: Span,
}

/// What the timestamps of a segment tell whoever has loaded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// Whose timeline it is: of the origin, and of the run of its encoder.
    pub timeline: (usize, u32),
    /// Where it begins, in ticks of 90 kHz.
    pub begins: u64,
    /// Where the next one begins.
    pub ends: u64,
    /// What it is: the track, and its number there.
    pub media: (u16, u64),
    /// For whom it was relayed: what is asked for anew may be seen again.
    pub asked_for: AskedFor,
}

/// A stretch of one timeline that was watched in one list, without a break of the viewer's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The first segment of it.
    pub first: Stamps,
    /// And the last one.
    pub last: Stamps,
    /// Of that so much was seen, in ticks.
    pub seen: u64,
    /// And so much is missing in the list, in ticks.
    pub missing: u64,
}

impl Watched {
    /// It begins with this segment.
    pub fn from(now: Stamps) -> Self {
        Self {
            first: now,
            last: now,
            seen: now.ends - now.begins,
            missing: 0,
        }
    }
}

/// What of a segment's place a viewer notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seam {
    /// What was played before it.
    pub last: Option<Stamps>,
    /// What was played of its timeline that ends last.
    pub furthest: Option<Stamps>,
    /// What is played now.
    pub now: Stamps,
    /// It is the first one of another variant, and no gap was stepped over before it.
    pub of_another: bool,
    /// The list of that begins with it, or nothing but the length of the lists has told that it comes next.
    pub at_head: bool,
    /// It was listed behind that one, in the same list, and nothing that was listed between them was given up.
    pub follows: bool,
}

/// What comes of a segment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// When to wake the player again.
    pub next: Timestamp,
    /// The stall that it ends.
    pub stall: Option<Stall>,
    /// How it goes on from what was played.
    pub seam: Option<Seam>,
}

/// What a player does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Load the playlist.
    Reload,
    /// Load a segment.
    Load,
}

/// What a viewer notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suffered {
    /// Segments played.
    pub played: u64,
    /// Times the picture stood still.
    pub stalls: u64,
    /// For how long in all.
    pub stalled: Span,
    /// Times the position had left the list.
    pub jumps: u64,
    /// Segments that were listed, could not be had, and were given up.
    pub lost: u64,
    /// Gaps stepped over.
    pub gaps: u64,
    /// Reloads that found no playlist.
    pub without_playlist: u64,
}

/// What a player wants from the world.
#[derive(Clone, Debug)]
pub enum Wish {
    /// The visible playlist.
    Playlist,
    /// This segment.
    Segment(Arc<Listed>),
}

/// The position had left the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The numbers that were to be loaded and are not listed any more.
    pub skipped: Range<u64>,
    /// The list was looked at so long ago, and not since.
    pub looked: Span,
    /// There was room then for more than was listed: it has loaded all that it could have.
    pub had_room: bool,
}

/// A moment without a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Default for Player {
    fn default() -> Self {
        Self {
            phase: Phase::Reload,
            known: None,
            next: None,
            goes_on: None,
            plays_until: Timestamp::default(),
            looked_at: Timestamp::default(),
            reload_at: Timestamp::default(),
            failures: 0,
            retry_at: Timestamp::default(),
            leads: VecDeque::new(),
            last: None,
            furthest: BTreeMap::new(),
            went_over: false,
            at_head: false,
            torn: false,
            suffered: Suffered::default(),
        }
    }
}

impl Player {
    /// What it asks for when its time has come.
    pub fn wish(&self) -> Wish {
        let segment = self
            .known
            .as_ref()
            .zip(self.next)
            .and_then(|(it, next)| it.segment(next));
        match (self.phase, segment) {
            (Phase::Load, Some(listed)) => Wish::Segment(Arc::clone(listed)),
            (Phase::Load | Phase::Reload, _) => Wish::Playlist,
        }
    }

    /// What is buffered ahead of the picture.
    pub fn buffered(&self, now: Timestamp) -> Span {
        self.plays_until.since(now)
    }

    /// The most that was buffered between two moments whenever everything listed had been loaded.
    pub fn lead(&self, from: Timestamp, until: Timestamp) -> Span {
        let between = self
            .leads
            .iter()
            .filter(|(at, _)| from <= *at && *at <= until);
        between.map(|(_, lead)| *lead).max().unwrap_or_default()
    }

    /// The list that it goes over to is behind the one before by so much at its source: that much less is ahead.
    pub fn falls_behind(&mut self, by: Span) {
        for (_, lead) in &mut self.leads {
            *lead = lead.saturating_sub(by);
        }
    }

    /// Whether a picture was ever seen in this session.
    pub fn started(&self) -> bool {
        self.plays_until > Timestamp::default()
    }

    /// The visible playlist, or none; says when to wake it again, and how it jumps. `stamps` are those of a
    /// segment.
    pub fn playlist(
        &mut self,
        now: Timestamp,
        visible: Option<&Arc<Version>>,
        stamps: impl Fn(&Listed) -> Option<Stamps>,
    ) -> (Timestamp, Option<Jump>) {
        let Some(version) = visible else {
            self.suffered.without_playlist += 1;
            return (now + RETRY, None);
        };
        let changed = self
            .known
            .as_ref()
            .is_none_or(|known| known.text != version.text);
        if self.known.as_ref().is_some_and(|known| known.ended) && changed {
            // The presentation is over for a player; its viewer starts it again.
            self.start_again();
        }
        self.known = Some(Arc::clone(version));
        let jump = self.find_position(now, version, stamps);
        self.looked_at = now;
        self.reload_at = now + reload_after(version, changed);
        (self.go_on(now), jump)
    }

    /// The list of another variant is followed from now on, from the same place.
    pub fn go_over(&mut self) {
        self.phase = Phase::Reload;
        let (Some(known), Some(next)) = (self.known.take(), self.next.take()) else {
            return;
        };
        let behind = known.segments.iter().filter(|it| it.number >= next);
        let mut played = known.segments.iter().rev();
        let last = played.find(|it| it.number < next && !it.gap);
        (self.went_over, self.torn) = (true, true);
        self.goes_on = Some(Position {
            last: last.cloned(),
            from_end: behind.map(|it| it.duration).sum(),
        });
    }

    /// The same where lists have the same numbers, as rungs of a ladder have: with the next number.
    pub fn go_over_aligned(&mut self) {
        self.phase = Phase::Reload;
        self.known = None;
        self.went_over = self.last.is_some();
    }

    fn start_again(&mut self) {
        self.goes_on = None;
        (self.next, self.plays_until) = (None, Timestamp::default());
        self.leads.clear();
        self.forget();
    }

    /// What it plays next follows from what is listed, not from what it has played.
    fn forget(&mut self) {
        (self.last, self.went_over, self.torn) = (None, false, true);
        self.furthest.clear();
    }

    fn find_position(
        &mut self,
        now: Timestamp,
        version: &Version,
        stamps: impl Fn(&Listed) -> Option<Stamps>,
    ) -> Option<Jump> {
        if version.segments.is_empty() {
            return None;
        }
        match self.next {
            Some(next) if next >= version.media_sequence => None,
            Some(next) => {
                self.suffered.jumps += 1;
                self.forget();
                self.go_to(start_of(version));
                let looked = now.since(self.looked_at);
                Some(Jump {
                    skipped: next..version.media_sequence,
                    looked,
                    had_room: self.buffered(now) + looked < MAX_BUFFER,
                })
            }
            None => {
                match self.goes_on.take() {
                    None => self.go_to(start_of(version)),
                    Some(position) => match position.find(version, stamps) {
                        Some((there, guessed)) => {
                            self.at_head = guessed || there == version.media_sequence;
                            self.go_to(there);
                        }
                        None => self.goes_on = Some(position),
                    },
                }
                None
            }
        }
    }

    /// The next segment to load is this one.
    fn go_to(&mut self, number: u64) {
        self.next = Some(number);
        (self.failures, self.retry_at) = (0, Timestamp::default());
    }

    /// Loads what is listed while there is room for it, and the list when its time has come; says when.
    fn go_on(&mut self, now: Timestamp) -> Timestamp {
        let known = self.known.as_ref().zip(self.next);
        let more = known.is_some_and(|(known, next)| next < known.next_number());
        let room = Timestamp::default() + self.plays_until.since(Timestamp::default() + MAX_BUFFER);
        let load_at = room.max(self.retry_at).max(now + ROUND_TRIP);
        if more && (load_at <= self.reload_at || load_at == now + ROUND_TRIP) {
            self.phase = Phase::Load;
            return load_at;
        }
        self.phase = Phase::Reload;
        self.reload_at.max(now + ROUND_TRIP)
    }

    /// The segment it wished for is not; says when to wake it again.
    pub fn missing(&mut self, now: Timestamp, listed: &Listed) -> Timestamp {
        self.failures += 1;
        if self.failures < SEGMENT_TRIES {
            let wait = RETRY * (1 << (self.failures - 1));
            self.retry_at = now + wait.min(SLOWEST_RETRY);
        } else {
            self.suffered.lost += 1;
            self.torn = true;
            self.go_to(listed.number + 1);
        }
        self.go_on(now)
    }

    /// The segment it wished for is there, or is a gap, that is stepped over. `stamps` are its own.
    pub fn segment(&mut self, now: Timestamp, listed: &Listed, stamps: Option<Stamps>) -> Loaded {
        let (mut stall, mut seam) = (None, None);
        if listed.gap {
            self.suffered.gaps += 1;
            self.went_over = false;
        } else {
            stall = self.play(now, listed.duration);
            seam = stamps.map(|stamps| self.see(stamps));
        }
        self.go_to(listed.number + 1);
        let next = self.go_on(now);
        if next > now + ROUND_TRIP {
            self.leads.push_back((now, self.buffered(now)));
            if self.leads.len() > LEADS {
                self.leads.pop_front();
            }
        }
        Loaded { next, stall, seam }
    }

    fn play(&mut self, now: Timestamp, duration: Span) -> Option<Stall> {
        self.suffered.played += 1;
        let stands = self.started() && self.plays_until < now;
        let stall = stands.then_some(Stall {
            since: self.plays_until,
            until: now,
        });
        if stands {
            self.suffered.stalls += 1;
            self.suffered.stalled += now.since(self.plays_until);
        }
        self.plays_until = self.plays_until.max(now) + duration;
        stall
    }

    fn see(&mut self, stamps: Stamps) -> Seam {
        let furthest = self.furthest.get(&stamps.timeline).copied();
        let seam = Seam {
            last: self.last.replace(stamps),
            furthest,
            now: stamps,
            of_another: std::mem::take(&mut self.went_over),
            at_head: std::mem::take(&mut self.at_head),
            follows: !std::mem::take(&mut self.torn),
        };
        if furthest.is_none_or(|it| it.ends < stamps.ends) {
            self.furthest.insert(stamps.timeline, stamps);
        }
        seam
    }
}

/// How long after a reload the next one comes.
fn reload_after(version: &Version, changed: bool) -> Span {
    let last = version.segments.last();
    let last = last.map_or(version.target(), |it| it.duration);
    match changed {
        true => last.min(version.target()),
        false => version.target().half(),
    }
}

impl Position {
    /// The number of the segment that begins there, and whether that is a guess; none where the list is not so far.
    /// Date-times tell, else timestamps, which a player sees once it has loaded a segment, else how much is listed
    /// behind it.
    fn find(
        &self,
        version: &Version,
        stamps: impl Fn(&Listed) -> Option<Stamps>,
    ) -> Option<(u64, bool)> {
        let last = self.last.as_deref();
        let date_time = last.and_then(|it| Some(it.date_time? + it.duration));
        let stamped = last.and_then(&stamps);
        let by_date =
            |listed: &Listed| Some(listed.date_time? + listed.duration.half() > date_time?);
        let by_stamps = |listed: &Listed| {
            let (here, there) = (stamped?, stamps(listed)?);
            let middle = there.begins.midpoint(there.ends);
            (here.timeline == there.timeline).then_some(middle > here.ends)
        };
        let mut from_end = version.total;
        for listed in &version.segments {
            let middle = from_end.saturating_sub(listed.duration.half());
            let is_behind = by_date(listed).or_else(|| by_stamps(listed));
            if is_behind.unwrap_or(middle < self.from_end) {
                return Some((listed.number, is_behind.is_none()));
            }
            from_end = from_end.saturating_sub(listed.duration);
        }
        None
    }
}

/// Three target durations from the end.
fn start_of(version: &Version) -> u64 {
    let wanted = version.target() * 3;
    let mut ahead = Span::ZERO;
    for listed in version.segments.iter().rev() {
        ahead += listed.duration;
        if ahead >= wanted {
            return listed.number;
        }
    }
    version.media_sequence
}
