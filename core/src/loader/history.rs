//! What is new in a playlist? Told by the segments' identities, never by the number alone.
//!
//! A list overlaps what is known, or goes on after it, or lies below it. Where it overlaps, the same
//! numbers must name the same segments (C-18); below it stands a stale edge or a restarted origin
//! (C-19), above it a hole or a jump. Whether folders are part of a name is told by [`folders`](super::folders).

use super::folders::Folders;
use crate::checkpoint::Identity;
use crate::config;
use crate::limits::{REMEMBERED_RUNS, REMEMBERED_SEGMENTS};
use crate::notice::Break;
use crate::time::{Span, WallTime};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Date-times of one segment that differ by less are the same moment told by two edges.
const SAME_MOMENT: Span = Span::from_secs(1);
/// A jump may be so many segments longer than the time that has passed explains.
const SLACK_SEGMENTS: u64 = 2;

/// The segments of one source that have been seen, and how to take the next list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    known: VecDeque<Identity>,
    /// The runs before, oldest first: an edge that has not seen a restart may still list one.
    former: VecDeque<VecDeque<Identity>>,
    /// How many segments the last list had; nothing is known of lists of an earlier process.
    listed: usize,
    below: Option<Below>,
    folders: Folders,
}

/// Lists that lie below our position: a stale edge, until they have grown too far for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Below {
    /// Where the last of them began.
    first: u64,
    /// The highest number in any.
    last: u64,
    grown: Span,
}

/// What a list turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on: everything from this number is new. `lost` is what it no longer lists.
    GoesOn { first_new: u64, lost: Option<Lost> },
    /// An older version: nothing in it is new.
    Older { behind: u64 },
    /// Another run of the encoder: everything from this number is new, after a discontinuity.
    Restarted { first_new: u64, why: Break },
}

/// Segments that were never seen in any list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// The source's media sequence number of the first of them.
    pub(crate) first: u64,
    /// How many.
    pub(crate) segments: u64,
    /// How long they were: exact where both sides carry date-times, else estimated.
    pub(crate) duration: Span,
}

impl History {
    /// Goes on from a position: with what was known of the present run and of the one before.
    pub(crate) fn restored(known: Vec<Identity>, former: Vec<Identity>) -> Self {
        Self {
            known: known.into(),
            former: [former.into()].into(),
            ..Self::default()
        }
    }

    /// Of lists nothing is known yet but what an earlier process has left.
    pub(crate) fn is_restored(&self) -> bool {
        self.listed == 0 && !self.known.is_empty()
    }

    /// The newest segments known, oldest first.
    pub(crate) fn known(&self) -> &VecDeque<Identity> {
        &self.known
    }

    /// Those of the run before.
    pub(crate) fn former(&self) -> Option<&VecDeque<Identity>> {
        self.former.back()
    }

    /// Takes out of a list's identities, and of those known, what does not tell segments apart.
    /// `silence` is how long ago a new segment was last seen; the list has `ended` or not.
    pub(crate) fn strip(&mut self, list: &mut [Identity], silence: Span, ended: bool) {
        if self.folders == Folders::Unknown {
            let (known, restored) = (self.known.iter(), self.is_restored());
            self.folders = Folders::compare(known, list, silence, (restored, ended));
            let former = self.former.iter_mut().flatten();
            let known = self.known.iter_mut().chain(former);
            known.for_each(|it| self.folders.strip(it));
        }
        list.iter_mut().for_each(|it| self.folders.strip(it));
    }

    /// What a segment that was named in an earlier list is called now.
    pub(crate) fn called_now(&self, identity: &Identity) -> Identity {
        let mut identity = identity.clone();
        self.folders.strip(&mut identity);
        identity
    }

    /// Judges `list` (consecutive, oldest first) and remembers it. `silence` is how long ago a new
    /// segment was last seen.
    pub(crate) fn observe(
        &mut self,
        list: &[Identity],
        target_duration: Span,
        silence: Span,
    ) -> Verdict {
        let (Some(first), Some(last)) = (list.first(), list.last()) else {
            return Verdict::Older { behind: 0 };
        };
        let verdict = match self.known.back() {
            None => Verdict::GoesOn {
                first_new: first.media_sequence,
                lost: None,
            },
            Some(newest) => {
                let newest = newest.media_sequence;
                if let Some(verdict) = self.former_run(list, target_duration) {
                    verdict
                } else if let Some((first_new, why)) = self.contradiction(list) {
                    Verdict::Restarted { first_new, why }
                } else if first.media_sequence > newest {
                    self.above(list, target_duration, silence)
                } else if last.media_sequence < newest {
                    self.below(list, target_duration)
                } else {
                    Verdict::GoesOn {
                        first_new: newest.saturating_add(1),
                        lost: None,
                    }
                }
            }
        };
        match &verdict {
            Verdict::Older { .. } => {}
            Verdict::GoesOn { first_new, .. } => self.remember(list, *first_new),
            Verdict::Restarted { first_new, .. } => self.begin_run(list, *first_new),
        }
        verdict
    }

    fn begin_run(&mut self, list: &[Identity], first_new: u64) {
        self.former.push_back(std::mem::take(&mut self.known));
        if self.former.len() > REMEMBERED_RUNS {
            self.former.pop_front();
        }
        self.remember(list, first_new);
    }

    /// The same of the first list from another place. Its numbers may be its own (C-17): where it has none of
    /// what is known, and date-times to be found by, it is another run.
    pub(crate) fn observe_elsewhere(
        &mut self,
        list: &[Identity],
        target_duration: Span,
        silence: Span,
    ) -> Verdict {
        // What lists of the place before have grown is no growth of this one.
        self.below = None;
        let dated = list.iter().all(|it| it.date_time.is_some());
        let is_known = list.iter().any(|it| is_in(&self.known, it));
        let (Some(first), Some(newest)) = (list.first(), self.known.back()) else {
            return self.observe(list, target_duration, silence);
        };
        let follows = || {
            let above = first.media_sequence > newest.media_sequence;
            let verdict = above.then(|| self.above(list, target_duration, silence));
            matches!(verdict, Some(Verdict::GoesOn { .. }))
        };
        if !dated || is_known || follows() {
            return self.observe(list, target_duration, silence);
        }
        let first_new = first.media_sequence;
        // One that begins has less than others had before.
        let why = match list.len() < self.listed {
            true => Break::RestartedRenamed,
            false => Break::Hole,
        };
        self.begin_run(list, first_new);
        Verdict::Restarted { first_new, why }
    }

    /// A list of a run before the present one, from an edge that has not seen the restart; unless it
    /// grows on: then the source has gone back to that run, or uses its names once more. Date-times that
    /// agree, and those that are older than the present run's, tell that it is an edge.
    fn former_run(&mut self, list: &[Identity], target_duration: Span) -> Option<Verdict> {
        let shared = |run: &VecDeque<Identity>| list.iter().rev().find(|it| is_in(run, it));
        let mut newest_first = self.former.iter().rev();
        let (run, shared) = newest_first.find_map(|run| Some((run, shared(run)?)))?;
        if list.iter().any(|it| is_in(&self.known, it)) {
            return None;
        }
        let newest = run.back()?.media_sequence;
        let from = shared.date_time.map_or(0, |_| newest);
        let dates = (date_of(list.last()), date_of(self.known.back()));
        let dated_older = matches!(dates, (Some(now), Some(newest)) if now < newest);
        if !self.has_grown(list, from, target_duration) || dated_older {
            return Some(Verdict::Older { behind: 1 });
        }
        let goes_on = list.last()?.media_sequence > newest;
        Some(if goes_on {
            Verdict::Restarted {
                first_new: newest.saturating_add(1),
                why: Break::JumpedAhead,
            }
        } else {
            Verdict::Restarted {
                first_new: list[0].media_sequence,
                why: Break::RestartedGrowth,
            }
        })
    }

    /// Counts how much lists that are behind have grown, above the number `from`: too much for a stale
    /// edge?
    fn has_grown(&mut self, list: &[Identity], from: u64, target_duration: Span) -> bool {
        let (Some(first), Some(last)) = (list.first(), list.last()) else {
            return false;
        };
        let (first, last) = (first.media_sequence, last.media_sequence);
        // A list that lies below the one before is of yet another run, or edge: it grows for itself.
        let before = self.below.filter(|before| last >= before.first);
        let below = self.below.insert(Below {
            first,
            last: before.map_or(last.max(from), |it| it.last),
            grown: before.map_or(Span::ZERO, |it| it.grown),
        });
        if last > below.last {
            let grown = list.iter().filter(|id| id.media_sequence > below.last);
            below.grown += grown.map(|id| id.duration).sum();
            below.last = last;
        }
        below.grown >= config::stale_after(target_duration)
    }

    /// Where a run uses the names of one before, its lists cannot be told from that one's, and nothing is
    /// known of that one any more; its place stays its own.
    fn remember(&mut self, list: &[Identity], first_new: u64) {
        self.below = None;
        self.listed = list.len();
        let fresh = || list.iter().filter(|id| id.media_sequence >= first_new);
        let former = self.former.iter_mut();
        let named_alike = former.filter(|run| fresh().any(|id| is_in(run, id)));
        named_alike.for_each(VecDeque::clear);
        self.known.extend(fresh().cloned());
        let keep = list.len() + REMEMBERED_SEGMENTS;
        self.known.drain(..self.known.len().saturating_sub(keep));
    }

    /// A number that names another segment than it did: everything after the last one before it that
    /// is the same is of another run.
    fn contradiction(&self, list: &[Identity]) -> Option<(u64, Break)> {
        let mut first_new = list.first()?.media_sequence;
        for now in list {
            let Some(known) = numbered(&self.known, now.media_sequence) else {
                continue;
            };
            match differ(known, now) {
                Some(why) => return Some((first_new, why)),
                None => first_new = now.media_sequence + 1,
            }
        }
        None
    }

    /// The list begins behind our position: it follows on, or segments were missed, or the source
    /// numbers anew from a higher number.
    fn above(&self, list: &[Identity], target_duration: Span, silence: Span) -> Verdict {
        let (first, Some(newest)) = (&list[0], self.known.back()) else {
            return Verdict::Older { behind: 0 };
        };
        let first_new = first.media_sequence;
        let restarted = |why| Verdict::Restarted { first_new, why };
        let segments = first_new - newest.media_sequence - 1;
        let total: Span = list.iter().map(|id| id.duration).sum();
        let typical = typical(list);
        let counted = typical * segments;
        let dated = dated_distance(newest, first, typical, target_duration);
        // Where date-times tell of the time between the two, it does not matter for how long nobody looked.
        let explained = silence.as_micros() / typical.as_micros() + SLACK_SEGMENTS;
        if segments > explained && dated.flatten().is_none() {
            return restarted(Break::JumpedAhead);
        }
        // A server that goes on never leaves less than three target durations in its list
        // (RFC 8216 6.2.2); one that begins has no more yet.
        if list.len() < self.listed && total < target_duration * 3 {
            return restarted(Break::RestartedHigher);
        }
        let duration = match dated {
            None => counted,
            Some(Some(gap)) => gap,
            // So many segments cannot have filled the time between the two, or none can.
            Some(None) => return restarted(Break::RestartedHigher),
        };
        // What a list states is too little where segments around are longer.
        let around = list.iter().chain([newest]).map(|id| id.duration);
        let longest = around.max().unwrap_or_default().max(target_duration);
        let lost = Lost {
            first: newest.media_sequence + 1,
            segments,
            duration: duration.min(longest * segments),
        };
        Verdict::GoesOn {
            first_new,
            lost: Some(lost).filter(|lost| lost.segments > 0),
        }
    }

    /// The list ends before our position and contradicts nothing.
    fn below(&mut self, list: &[Identity], target_duration: Span) -> Verdict {
        let (first, last) = (list[0].media_sequence, list[list.len() - 1].media_sequence);
        let oldest = self.known.front().map_or(0, |id| id.media_sequence);
        let precedes = self.precedes(list, target_duration);
        if last < oldest && !precedes {
            return Verdict::Restarted {
                first_new: first,
                why: Break::RestartedLower,
            };
        }
        if precedes || self.proves_older(list) {
            return self.older_than_known(last);
        }
        if self.has_grown(list, 0, target_duration) {
            return Verdict::Restarted {
                first_new: first,
                why: Break::RestartedGrowth,
            };
        }
        self.older_than_known(last)
    }

    /// Date-times tell that it lies as far before everything known as its numbers do.
    fn precedes(&self, list: &[Identity], target_duration: Span) -> bool {
        let (Some(last), Some(oldest)) = (list.last(), self.known.front()) else {
            return false;
        };
        let before = last.media_sequence < oldest.media_sequence;
        let distance = || dated_distance(last, oldest, typical(list), target_duration);
        before && distance().flatten().is_some()
    }

    /// Date-times that agree tell that these are the very segments known, however far behind.
    fn proves_older(&self, list: &[Identity]) -> bool {
        list.iter()
            .filter(|now| now.date_time.is_some())
            .any(|now| {
                let known = numbered(&self.known, now.media_sequence);
                known.is_some_and(|known| known.date_time.is_some())
            })
    }

    fn older_than_known(&self, last: u64) -> Verdict {
        let newest = self.known.back().map_or(0, |id| id.media_sequence);
        Verdict::Older {
            behind: newest - last,
        }
    }
}

fn date_of(segment: Option<&Identity>) -> Option<WallTime> {
    segment?.date_time
}

fn is_in(run: &VecDeque<Identity>, it: &Identity) -> bool {
    numbered(run, it.media_sequence).is_some_and(|known| known.is_same(it))
}

/// The segment of that number; where media was lost, numbers are missing.
fn numbered(run: &VecDeque<Identity>, number: u64) -> Option<&Identity> {
    let index = run
        .binary_search_by_key(&number, |it| it.media_sequence)
        .ok()?;
    run.get(index)
}

/// How two identities of one number contradict each other.
fn differ(known: &Identity, now: &Identity) -> Option<Break> {
    if known.path != now.path || known.byte_range != now.byte_range {
        return Some(Break::RestartedRenamed);
    }
    let (Some(before), Some(after)) = (known.date_time, now.date_time) else {
        return None;
    };
    (before.abs_diff(after) >= SAME_MOMENT).then_some(Break::RestartedRedated)
}

/// The mean duration of what is listed.
fn typical(list: &[Identity]) -> Span {
    let total: Span = list.iter().map(|id| id.duration).sum();
    total
        .scaled(1, list.len().max(1) as u64)
        .max(Span::from_millis(1))
}

/// The time between two segments by their date-times: `None` where one has none, `Some(None)` where the
/// segments that are missing between them, `typical` long, cannot have filled it.
fn dated_distance(
    before: &Identity,
    after: &Identity,
    typical: Span,
    target_duration: Span,
) -> Option<Option<Span>> {
    let segments = after.media_sequence - before.media_sequence - 1;
    let counted = typical * segments;
    // How long segments were that nobody has seen is a guess; where none is missing there is nothing to
    // guess.
    let tolerance = match segments {
        0 => SAME_MOMENT,
        _ => counted.scaled(1, 8).max(target_duration.half()),
    };
    let gap = date_gap(before, after)?;
    Some(gap.filter(|gap| gap.abs_diff(counted) <= tolerance))
}

/// The time between the end of one segment and the start of another by their date-times: `None`
/// where one has none, `Some(None)` where it is negative.
fn date_gap(newest: &Identity, first: &Identity) -> Option<Option<Span>> {
    let end = newest.date_time? + newest.duration;
    let start = first.date_time?;
    let overlap = end.since(start);
    Some((overlap < SAME_MOMENT).then(|| start.since(end)))
}

#[cfg(test)]
mod tests;
