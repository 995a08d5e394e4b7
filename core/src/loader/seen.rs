//! What whoever follows a source next knows of it: whether its encoder has begun another run since then.

use super::history::History;
use super::{Listing, Loader};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What has been seen of a source, whoever follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    run: u64,
    history: History,
    grown_at: Timestamp,
}

impl Loader {
    /// What whoever follows it next is to know of it, where its runs are counted as those of its siblings.
    pub(crate) fn seen(&self) -> Option<Seen> {
        (!self.runs_assumed).then(|| Seen {
            run: self.run,
            history: self.history.clone(),
            grown_at: self.grown_at,
        })
    }

    /// Begins where whoever followed this source before has seen that: so it is known whether its encoder has begun
    /// another run since then.
    pub(crate) fn begin_anew(&mut self, seen: Seen, now: Timestamp) {
        (self.run, self.history) = (seen.run, seen.history);
        self.silent_before = now.since(seen.grown_at);
        (self.begins_anew, self.runs_known, self.elsewhere) = (true, true, false);
    }

    /// Which run of its encoder it has come to, where whoever followed it before has counted that beside its siblings.
    pub(crate) fn known_run(&self) -> Option<u64> {
        Some(self.run).filter(|_| self.runs_known && !self.runs_assumed)
    }

    /// Where others have counted the runs of the encoder for longer, its present one is theirs.
    pub(crate) fn counts_runs_as_others(&mut self, listing: &mut Listing, run: u64) {
        self.runs_assumed |= self.known_run() != Some(run);
        self.run = run;
        self.date_ranges.is_of_run(run);
        listing.listed.iter_mut().for_each(|it| it.run = run);
    }
}
