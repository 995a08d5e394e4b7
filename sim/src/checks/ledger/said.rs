//! What a notice says of a hole: as many segments as are missing, and what befell the last of them that was listed.

use super::line::Books;
use super::{Held, Known, MediaKey, Stored, broken};
use crate::origin::Offered;
use hls_relay_core::event::FetchError;
use hls_relay_core::notice::HoleCause;
use hls_relay_core::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// So many notices are remembered: those of all tracks until a version shows their holes.
const REMEMBERED: usize = 256;

/// The holes that were said, and are not seen yet.
#[derive(Debug, Default)]
pub(super) struct Said(VecDeque<Hole>);

/// A hole as a notice has it.
#[derive(Debug)]
struct Hole {
    at: Timestamp,
    segments: u64,
    cause: HoleCause,
}

/// How downloads have failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The last of each segment, but for those that were cancelled.
    of_segments: BTreeMap<MediaKey, FetchError>,
    /// Of what the segments of a track are read with.
    of_needs: BTreeMap<(usize, u16), Vec<FetchError>>,
}

impl Failures {
    pub(super) fn of_segment(&mut self, key: MediaKey, error: &FetchError) {
        if *error != FetchError::Cancelled {
            self.of_segments.insert(key, error.clone());
        }
    }

    pub(super) fn of_need(&mut self, track: (usize, u16), error: &FetchError) {
        let known = self.of_needs.entry(track).or_default();
        if !known.contains(error) {
            known.push(error.clone());
        }
    }
}

impl Said {
    pub(super) fn add(&mut self, at: Timestamp, segments: u64, cause: &HoleCause) {
        let cause = cause.clone();
        self.0.push_back(Hole {
            at,
            segments,
            cause,
        });
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// Another process has said nothing yet.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What is missing between `last` and the next segment is told by a notice, with its reason. Of one of several tracks
/// it may count more, or less: gaps may stand for a part of it, and what came before the break of the others is lost too.
/// No notice says of which track it is, and one that counts as many is sooner of this one than of another.
pub(super) fn is_told(books: &mut Books<'_>, last: Stored, lost: &[Offered]) -> Held {
    let (known, several, segments) = (books.known, books.several, lost.len() as u64);
    let is_true = |it: &Hole| it.at >= last.at && is_true(known, &it.cause, last.key, lost);
    let counts_as_many = |it: &Hole| it.segments == segments && is_true(it);
    let mut said = books.said.0.iter();
    let exact = said.position(counts_as_many);
    let place = exact.or_else(|| books.said.0.iter().position(is_true).filter(|_| several));
    if let Some(place) = place {
        books.said.0.remove(place);
        return Ok(());
    }
    let since = books.said.0.iter().filter(|it| it.at >= last.at);
    let said: Vec<String> = since
        .map(|it| format!("{} segments: {}", it.segments, it.cause))
        .collect();
    broken(
        "5.3 a hole is told as what it is",
        format!(
            "{segments} segments behind {:?}: {}",
            last.key,
            truth(known, last.key, lost)
        ),
        format!("{said:?}"),
    )
}

/// The last that was listed in time, and can be asked for or not.
fn decisive<'a>(
    known: &Known,
    last: MediaKey,
    lost: &'a [Offered],
) -> Option<(MediaKey, &'a Offered)> {
    let key = |it: &Offered| MediaKey {
        number: it.media.number,
        ..last
    };
    let mut newest_first = lost.iter().rev().map(|it| (key(it), it));
    newest_first.find(|(key, _)| known.told_in_time(*key).is_some())
}

fn is_true(known: &Known, cause: &HoleCause, last: MediaKey, lost: &[Offered]) -> bool {
    let Some((key, offered)) = decisive(known, last, lost) else {
        return *cause == HoleCause::NeverListed;
    };
    let failures = &known.failures;
    let own = failures.of_segments.get(&key);
    let needs = failures.of_needs.get(&(key.origin, key.track));
    match cause {
        HoleCause::NotPublished => false,
        // Listed, and gone before it was asked for.
        HoleCause::NeverListed => own.is_none() && offered.fetchable,
        HoleCause::Failed(FetchError::BadUrl(_)) if !offered.fetchable => true,
        HoleCause::Failed(error) => {
            own == Some(error) || needs.is_some_and(|it| it.contains(error))
        }
    }
}

/// The same in words.
fn truth(known: &Known, last: MediaKey, lost: &[Offered]) -> String {
    match decisive(known, last, lost) {
        None => "never listed".to_owned(),
        Some((key, _)) => format!(
            "{} met {:?}, its needs {:?}",
            key.number,
            known.failures.of_segments.get(&key),
            known.failures.of_needs.get(&(key.origin, key.track))
        ),
    }
}
