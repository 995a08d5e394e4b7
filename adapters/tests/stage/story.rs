//! What became of a channel: everything that a viewer, the origin and the operator saw, laid beside
//! each other and checked for what must hold whatever has gone wrong.

use super::relay::{Cost, LogLine};
use super::reloads;
use super::viewer::{Hash, Watched};
use hls_relay::origin_server::LoggedRequest;
use hls_relay_sim::origin::{Fault, MediaLoop, Offered};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// What measuring adds to every promise: a look every 100 ms, an answer each, and a machine that has
/// other things to do.
pub const TOLERANCE: Duration = Duration::from_millis(700);

/// The relay's memory stays below this, whatever it is sent: it has 25 MB in everyday use, and a body
/// of 50 MB would not fit in.
const MOST_MEMORY: u64 = 64 << 20;

/// One origin as it really was.
#[derive(Clone, Debug)]
pub struct OriginTruth {
    pub host: String,
    pub playlist_path: String,
    pub offered: Vec<Offered>,
    pub requests: Vec<LoggedRequest>,
    pub faults: Vec<Fault>,
    pub target_duration: Duration,
}

/// A whole test in numbers.
pub struct Story {
    pub watched: Watched,
    pub origins: Vec<OriginTruth>,
    pub log: Vec<LogLine>,
    pub cost: Cost,
    pub age: Duration,
    /// When the relay was killed and begun anew.
    pub restarts: Vec<Duration>,
    pub timeline: Vec<Piece>,
    /// What must hold and does not.
    pub wrong: Vec<String>,
}

/// A published segment beside what it really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub number: u64,
    pub listed_at: Duration,
    pub discontinuity: bool,
    pub duration: Duration,
    /// Which origin's which segment; `None` for a gap.
    pub media: Option<(usize, usize)>,
}

/// Media that was offered and is not in the published timeline, before one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The published segment that follows it.
    pub before: u64,
    pub listed_at: Duration,
    /// The numbers at the origin that are missing.
    pub missing: Vec<u64>,
    pub gaps: usize,
    pub discontinuity: bool,
}

impl Story {
    /// Lays everything side by side and checks what always holds.
    pub fn new(
        watched: Watched,
        origins: Vec<OriginTruth>,
        log: Vec<LogLine>,
        cost: Cost,
        age: Duration,
        restarts: Vec<Duration>,
    ) -> Self {
        let mut story = Self {
            wrong: watched.complaints.clone(),
            watched,
            origins,
            log,
            cost,
            age,
            restarts,
            timeline: Vec::new(),
        };
        story.lay_out();
        story.check_order();
        story.check_breaks();
        story.check_reloads();
        story.check_process();
        story
    }

    fn lay_out(&mut self) {
        let media_loop = MediaLoop::embedded();
        let mut known: BTreeMap<Hash, (usize, usize)> = BTreeMap::new();
        for (origin, truth) in self.origins.iter().enumerate() {
            for (index, offered) in truth.offered.iter().enumerate() {
                let hash: Hash = Sha256::digest(media_loop.bytes(&offered.media)).into();
                known.insert(hash, (origin, index));
            }
        }
        let mut next = None;
        for (&number, seen) in &self.watched.segments {
            // Numbers that left the window before they were ever shown stand for what is lost: what is
            // missing there has to be said like any other hole.
            for number in next.unwrap_or(number)..number {
                self.timeline.push(Piece {
                    number,
                    listed_at: seen.listed_at,
                    discontinuity: false,
                    duration: Duration::ZERO,
                    media: None,
                });
            }
            next = Some(number + 1);
            let media = seen.hash.and_then(|hash| known.get(&hash).copied());
            if media.is_none() && !seen.entry.gap {
                let what = match seen.hash {
                    Some(_) => "is media that no origin ever offered",
                    None => "was never fetched",
                };
                self.wrong.push(format!("segment {number} {what}"));
            }
            if let Some((origin, index)) = media {
                let real = self.origins[origin].offered[index].media.duration;
                if seen.entry.duration.as_micros() != u128::from(real.as_micros()) {
                    self.wrong.push(format!(
                        "S-28: segment {number} is said to be {} and is {real}",
                        seen.entry.extinf
                    ));
                }
            }
            self.timeline.push(Piece {
                number,
                listed_at: seen.listed_at,
                discontinuity: seen.entry.discontinuity,
                duration: seen.entry.duration,
                media,
            });
        }
    }

    /// Nothing twice, nothing out of order, nothing lost without a word.
    fn check_order(&mut self) {
        let mut newest: BTreeMap<usize, usize> = BTreeMap::new();
        for piece in &self.timeline {
            let Some((origin, index)) = piece.media else {
                continue;
            };
            if let Some(before) = newest.insert(origin, index)
                && before >= index
            {
                self.wrong.push(format!(
                    "segment {} is number {} of origin {origin} again, or out of order",
                    piece.number, self.origins[origin].offered[index].media.number
                ));
            }
        }
        for hole in self.holes() {
            if hole.gaps == 0 && !hole.discontinuity {
                self.wrong.push(format!("lost without a word: {hole:?}"));
            }
        }
    }

    /// S-19: where the media breaks, the playlist says so.
    fn check_breaks(&mut self) {
        let mut before: Option<(usize, usize)> = None;
        let mut said = false;
        for piece in &self.timeline {
            said |= piece.discontinuity;
            let Some((origin, index)) = piece.media else {
                continue;
            };
            if let Some((was_origin, was)) = before {
                let offered = &self.origins[origin].offered;
                let breaks = was_origin != origin
                    || offered[was].media.run != offered[index].media.run
                    || (was < index
                        && offered[was + 1..=index]
                            .iter()
                            .any(|offered| offered.discontinuity));
                if breaks && !said {
                    self.wrong.push(format!(
                        "S-19: the media breaks before segment {} and nothing says so",
                        piece.number
                    ));
                }
            }
            before = piece.media;
            said = false;
        }
    }

    fn check_reloads(&mut self) {
        for origin in &self.origins {
            self.wrong.extend(reloads::too_early(&reloads::Source {
                playlist_path: &origin.playlist_path,
                host: &origin.host,
                requests: &origin.requests,
                truth: &origin.offered,
                faults: &origin.faults,
                target_duration: origin.target_duration,
                restarts: &self.restarts,
            }));
        }
    }

    fn check_process(&mut self) {
        if self.cost.most_memory > MOST_MEMORY {
            let megabytes = self.cost.most_memory >> 20;
            self.wrong.push(format!("{megabytes} MB were resident"));
        }
        // A loop without a wait costs a whole core; in a debug build the real work costs a few percent.
        if self.cost.processor > self.age / 8 {
            self.wrong.push(format!(
                "{:?} of processor time in {:?}",
                self.cost.processor, self.age
            ));
        }
        let broken = self.log.iter().find(|line| {
            line.message.contains("broken invariant") || line.message.contains("panicked")
        });
        if let Some(broken) = broken {
            self.wrong.push(broken.message.clone());
        }
    }

    /// Where offered media is missing, between the first and the last that was relayed.
    pub fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        let mut newest: BTreeMap<usize, usize> = BTreeMap::new();
        let (mut gaps, mut discontinuity) = (0, false);
        for piece in &self.timeline {
            discontinuity |= piece.discontinuity;
            let Some((origin, index)) = piece.media else {
                gaps += 1;
                continue;
            };
            let offered = &self.origins[origin].offered;
            if let Some(before) = newest.insert(origin, index)
                && before + 1 < index
            {
                let missing = offered[before + 1..index].iter();
                holes.push(Hole {
                    before: piece.number,
                    listed_at: piece.listed_at,
                    missing: missing.map(|offered| offered.media.number).collect(),
                    gaps,
                    discontinuity,
                });
            }
            (gaps, discontinuity) = (0, false);
        }
        holes
    }

    /// The numbers of published segments that follow a discontinuity.
    pub fn breaks(&self) -> Vec<u64> {
        let broken = self.timeline.iter().filter(|piece| piece.discontinuity);
        broken.map(|piece| piece.number).collect()
    }

    /// When the first segment was listed that no version before `time` had.
    pub fn new_after(&self, time: Duration) -> Option<Duration> {
        let mut fresh = self.timeline.iter().filter(|piece| piece.media.is_some());
        fresh
            .find(|piece| piece.listed_at >= time)
            .map(|piece| piece.listed_at)
    }

    /// From the cure until something new was listed.
    pub fn recovery(&self, cured: Duration) -> Duration {
        let resumed = self.new_after(cured);
        resumed.map_or(Duration::MAX, |resumed| resumed - cured)
    }

    /// Everything that the first origin listed until shortly before the end, and still at `time`, is
    /// in the published timeline.
    pub fn check_relayed_if_listed_at(&mut self, time: Duration) {
        let end = self.watched.versions.last().map_or(time, |(at, _)| *at);
        let relayed: Vec<_> = self
            .timeline
            .iter()
            .filter_map(|piece| piece.media)
            .collect();
        let Some(&(_, first)) = relayed.first() else {
            self.wrong.push("nothing was relayed".to_owned());
            return;
        };
        for (index, offered) in self.origins[0].offered.iter().enumerate().skip(first) {
            let removed = offered.removed_at.map_or(Duration::MAX, micros);
            let wanted =
                removed > time && micros(offered.listed_at) <= end.saturating_sub(SETTLING);
            if wanted && !relayed.contains(&(0, index)) {
                self.wrong.push(format!(
                    "number {} was still listed at {time:.2?} and is not relayed",
                    offered.media.number
                ));
            }
        }
    }

    /// The first line of a kind whose message holds these words.
    pub fn said(&self, kind: &str, words: &str) -> Option<&LogLine> {
        let mut lines = self.log.iter();
        lines.find(|line| line.kind == kind && line.message.contains(words))
    }

    pub fn check_said(&mut self, kind: &str, words: &str) {
        if self.said(kind, words).is_none() {
            self.wrong
                .push(format!("the log has no line of kind {kind} with '{words}'"));
        }
    }

    /// Notes a promise that is not kept.
    pub fn check(&mut self, holds: bool, promise: impl Into<String>) {
        if !holds {
            self.wrong.push(promise.into());
        }
    }

    pub fn check_recovery(&mut self, cured: Duration, within: Duration) {
        let recovery = self.recovery(cured);
        self.check(
            recovery <= within + TOLERANCE,
            format!("relayed again {recovery:.2?} after the cure at {cured:.2?}, not {within:?}"),
        );
        println!("relayed again {recovery:.2?} after the cure, promised within {within:?}");
    }

    pub fn check_no_holes(&mut self) {
        let holes = self.holes();
        self.check(holes.is_empty(), format!("holes: {holes:?}"));
        let gaps = self.timeline.iter().filter(|piece| piece.media.is_none());
        let gaps = gaps.count();
        self.check(gaps == 0, format!("{gaps} gaps"));
    }

    pub fn check_breaks_are(&mut self, count: usize) {
        let breaks = self.breaks();
        self.check(
            breaks.len() == count,
            format!("discontinuities before {breaks:?}, expected {count}"),
        );
    }

    /// S-03: the target duration of every version.
    pub fn check_target_duration_is(&mut self, seconds: u64) {
        let mut stated: Vec<_> = self
            .watched
            .versions
            .iter()
            .map(|(_, version)| version.target_duration)
            .collect();
        stated.dedup();
        self.check(stated == [seconds], format!("target durations {stated:?}"));
    }

    /// No segment came over the network twice.
    pub fn check_nothing_downloaded_twice(&mut self) {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for request in self.origins.iter().flat_map(|origin| &origin.requests) {
            let path = request.path.split(['?', ';']).next().unwrap_or_default();
            let is_name = |part: &&str| !part.starts_with("token-");
            let path: Vec<&str> = path.split('/').filter(is_name).collect();
            let path = path.join("/");
            if path.ends_with(".ts") {
                *times.entry(format!("{}{path}", request.host)).or_default() += 1;
            }
        }
        times.retain(|_, count| *count > 1);
        self.check(
            times.is_empty(),
            format!("downloaded more than once: {times:?}"),
        );
    }

    /// Fails with the whole story if anything is wrong.
    pub fn end(self) {
        println!(
            "processor {:.2?} in {:.1?}, {} MB, {} versions",
            self.cost.processor,
            self.age,
            self.cost.most_memory >> 20,
            self.watched.versions.len()
        );
        if !self.wrong.is_empty() {
            panic!("{}", self.tell());
        }
    }

    fn tell(&self) -> String {
        let mut out = String::from("what must hold and does not:\n");
        for wrong in &self.wrong {
            let _ = writeln!(out, "- {wrong}");
        }
        let _ = writeln!(out, "the published timeline:");
        for piece in &self.timeline {
            let what = piece.media.map(|(origin, index)| {
                let offered = &self.origins[origin].offered[index];
                format!("origin {origin} run {} {}", offered.media.run, offered.path)
            });
            let _ = writeln!(
                out,
                "  {:7.2} s  {} {}{}",
                piece.listed_at.as_secs_f64(),
                piece.number,
                if piece.discontinuity {
                    "DISCONTINUITY "
                } else {
                    ""
                },
                what.unwrap_or("GAP".to_owned()),
            );
        }
        for (index, origin) in self.origins.iter().enumerate() {
            let _ = writeln!(out, "origin {index}:");
            for fault in &origin.faults {
                let _ = writeln!(out, "  {fault}");
            }
            for request in &origin.requests {
                let _ = writeln!(
                    out,
                    "  {:7.2} s  {} {:?} until {:.2?}",
                    request.at.as_secs_f64(),
                    request.path,
                    request.status,
                    request.finished
                );
            }
        }
        let _ = writeln!(out, "the relay's log:");
        for line in &self.log {
            let _ = writeln!(
                out,
                "  {:7.2} s  {} {}",
                line.at.as_secs_f64(),
                line.level,
                line.message
            );
        }
        out
    }
}

/// What was offered so shortly before the end need not be relayed yet.
const SETTLING: Duration = Duration::from_secs(5);

/// The origin's spans as std's.
pub fn micros(span: hls_relay_core::time::Span) -> Duration {
    Duration::from_micros(span.as_micros())
}
