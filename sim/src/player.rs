//! What follows a media playlist: reads only what is published, as strictly as hls.js does, and counts
//! what its viewer suffers.
//!
//! Numbers of hls.js: it starts three target durations from the end, reloads after the lesser of the
//! target duration and the last segment's, half a target duration after a reload without change,
//! keeps up to 30 s ahead, jumps to the live edge where its position has left the list.

use crate::published::{Listed, Version};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// As much as hls.js loads ahead.
const MAX_BUFFER: Span = Span::from_secs(30);
/// So many leads are remembered: those of some minutes.
const LEADS: usize = 64;
/// A playlist that does not come is asked for again after this.
const RETRY: Span = Span::from_secs(1);
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
    /// How much was buffered whenever everything listed had been loaded.
    leads: VecDeque<(Timestamp, Span)>,
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
            leads: VecDeque::new(),
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

    /// Whether a picture was ever seen in this session.
    pub fn started(&self) -> bool {
        self.plays_until > Timestamp::default()
    }

    /// The visible playlist, or none; says when to wake it again. `stamps` are those of a segment.
    pub fn playlist(
        &mut self,
        now: Timestamp,
        visible: Option<&Arc<Version>>,
        stamps: impl Fn(&Listed) -> Option<Stamps>,
    ) -> Timestamp {
        let Some(version) = visible else {
            self.suffered.without_playlist += 1;
            return now + RETRY;
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
        self.find_position(version, stamps);
        self.after_reload(now, version, changed)
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
        self.goes_on = Some(Position {
            last: last.cloned(),
            from_end: behind.map(|it| it.duration).sum(),
        });
    }

    fn start_again(&mut self) {
        self.goes_on = None;
        (self.next, self.plays_until) = (None, Timestamp::default());
        self.leads.clear();
    }

    fn find_position(&mut self, version: &Version, stamps: impl Fn(&Listed) -> Option<Stamps>) {
        if version.segments.is_empty() {
            return;
        }
        match self.next {
            Some(next) if next >= version.media_sequence => {}
            Some(_) => {
                self.suffered.jumps += 1;
                self.next = Some(start_of(version));
            }
            None => {
                let position = self.goes_on.take();
                let there = position.map(|position| position.find(version, stamps));
                self.next = Some(there.unwrap_or_else(|| start_of(version)));
            }
        }
    }

    fn after_reload(&mut self, now: Timestamp, version: &Version, changed: bool) -> Timestamp {
        let more = self.next.is_some_and(|next| next < version.next_number());
        if more && self.buffered(now) < MAX_BUFFER {
            self.phase = Phase::Load;
            return now + ROUND_TRIP;
        }
        let last = version
            .segments
            .last()
            .map_or(version.target(), |it| it.duration);
        let wait = if changed {
            last.min(version.target())
        } else {
            version.target().half()
        };
        now + wait
    }

    /// The segment it wished for is there; says when to wake it again, and the stall it ends.
    pub fn segment(&mut self, now: Timestamp, listed: &Listed) -> (Timestamp, Option<Stall>) {
        self.next = Some(listed.number + 1);
        let mut stall = None;
        if listed.gap {
            self.suffered.gaps += 1;
        } else {
            self.suffered.played += 1;
            if self.started() && self.plays_until < now {
                stall = Some(Stall {
                    since: self.plays_until,
                    until: now,
                });
                self.suffered.stalls += 1;
                self.suffered.stalled += now.since(self.plays_until);
            }
            self.plays_until = self.plays_until.max(now) + listed.duration;
        }
        let more = self
            .known
            .as_ref()
            .is_some_and(|it| listed.number + 1 < it.next_number());
        if more && self.buffered(now) < MAX_BUFFER {
            return (now + ROUND_TRIP, stall);
        }
        self.phase = Phase::Reload;
        self.leads.push_back((now, self.buffered(now)));
        if self.leads.len() > LEADS {
            self.leads.pop_front();
        }
        let wait = self
            .known
            .as_ref()
            .map_or(RETRY, |known| known.target().half());
        (now + wait, stall)
    }
}

impl Position {
    /// The number of the segment that begins there: the one after the last where the list is not so far.
    /// Date-times tell, else timestamps, which a player sees once it has loaded a segment, else how much
    /// is listed behind it.
    fn find(self, version: &Version, stamps: impl Fn(&Listed) -> Option<Stamps>) -> u64 {
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
                return listed.number;
            }
            from_end = from_end.saturating_sub(listed.duration);
        }
        version.next_number()
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
