//! The books of one published playlist, added up: what the source has offered is what was published and what is
//! missing, each of it for a reason that has a name.

use super::line::{Books, Line};
use super::loss::segments;
use super::{Held, Known, MediaKey, Stored, broken};
use crate::origin::Offered;
use hls_relay_core::config::SEGMENT_WAIT_TARGETS;
use std::collections::BTreeMap;

/// So many missing segments are remembered, for viewers who come to their place later.
const REMEMBERED: usize = 4_096;

/// Why a segment is missing between two that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// No list that came in time had it.
    NeverTold,
    /// It could not be had in time, or what stood before it.
    Failed,
    /// Its URI is none that a client asks for.
    NoAddress,
    /// An earlier process, or an earlier wish, has not had it.
    Anothers,
    /// The others went on without this track.
    LeftBehind,
    /// It was listed before what repeats it.
    Repeated,
    /// It left the list before any version of that could be seen.
    Unseen,
    /// The others have a break behind it, and what they lost before that is lost for all.
    BeforeTheBreak,
}

impl Why {
    /// The machine has never had it.
    fn is_not_had(self) -> bool {
        match self {
            Self::NeverTold | Self::Failed | Self::NoAddress => true,
            Self::Anothers
            | Self::LeftBehind
            | Self::Repeated
            | Self::Unseen
            | Self::BeforeTheBreak => false,
        }
    }
}

impl Known {
    /// The machine was told that it is stored before it was to be given up, and all the while nothing that segments are
    /// read with could not be had.
    pub(super) fn was_had_in_time(&self, key: MediaKey) -> bool {
        let Some((offer, had)) = self.offers.get(&key).and_then(|it| Some((it, it.had?))) else {
            return false;
        };
        let in_time = had < offer.first + offer.target_duration * SEGMENT_WAIT_TARGETS;
        in_time && self.need_failed_at.is_none_or(|at| at < offer.first)
    }
}

/// From where a list begins to follow a run of an encoder to where it does no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    first: MediaKey,
    last: MediaKey,
    published: u64,
    missing: BTreeMap<Why, u64>,
    /// One that was had in time and is said not to have been.
    dropped: Option<MediaKey>,
}

impl Sum {
    fn from(key: MediaKey) -> Self {
        Self {
            first: key,
            last: key,
            published: 0,
            missing: BTreeMap::new(),
            dropped: None,
        }
    }

    /// Where it begins.
    pub(super) fn first(&self) -> MediaKey {
        self.first
    }

    /// offered = published + missing; and, by what the machine was told of its downloads, had = published + what is
    /// missing for another reason than that it could not be had.
    fn settle(&self, books: &Books<'_>) -> Held {
        if let Some(key) = self.dropped {
            return broken(
                "conservation: what was had is published, or missing for a reason",
                format!("{key:?} listed"),
                "had in time, and missing",
            );
        }
        let numbers = self.first.number..self.last.number + 1;
        let offered = segments(books.origin(self.first), books.now, self.first, numbers);
        let (offered, missing) = (offered.len() as u64, self.missing.values().sum::<u64>());
        if offered == self.published + missing {
            return Ok(());
        }
        broken(
            "conservation: offered is published and missing",
            format!(
                "{offered} segments from {:?} to {}",
                self.first, self.last.number
            ),
            format!("{} and {:?}", self.published, self.missing),
        )
    }
}

impl Line {
    /// Another segment is listed, and all that is missing before it is counted.
    pub(super) fn add(&mut self, books: &mut Books<'_>, stored: Stored) -> Held {
        let key = stored.key;
        let goes_on = |sum: &Sum| sum.last.is_of_run(key) && sum.last.number < key.number;
        if !self.sum.as_ref().is_some_and(goes_on) {
            self.settle(books)?;
        }
        let sum = self.sum.get_or_insert_with(|| Sum::from(key));
        (sum.last, sum.published) = (key, sum.published + 1);
        Ok(())
    }

    /// Segments between two listed ones that are not.
    pub(super) fn lack(
        &mut self,
        between: &[Offered],
        last: MediaKey,
        (known, why): (&Known, impl Fn(&Self, MediaKey) -> Why),
    ) {
        for it in between {
            let key = MediaKey {
                number: it.media.number,
                ..last
            };
            let why = why(self, key);
            self.missing.insert(key);
            if let Some(sum) = &mut self.sum {
                *sum.missing.entry(why).or_default() += 1;
                if why.is_not_had() && known.was_had_in_time(key) {
                    sum.dropped.get_or_insert(key);
                }
            }
        }
        while self.missing.len() > REMEMBERED {
            self.missing.pop_first();
        }
    }

    /// What is listed begins anew: the books of what came before are closed.
    pub(super) fn begin_anew(&mut self) {
        self.closed.extend(self.sum.take());
    }

    /// Closes the books.
    pub(super) fn settle(&mut self, books: &mut Books<'_>) -> Held {
        self.begin_anew();
        for sum in std::mem::take(&mut self.closed) {
            sum.settle(books)?;
            for (why, count) in sum.missing {
                *books.totals.missing_for.entry(why).or_default() += count;
            }
        }
        Ok(())
    }
}
