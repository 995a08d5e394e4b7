//! How the work on segments went since the start of the process: of all rungs together, and of each.
//!
//! One run of an encoder makes all rungs of a segment, so each rung's time is that of the run it was made in. Of one
//! that is left out it stays what it was when it was made last.

use crate::ladder::Ladder;
use crate::notice::Miss;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Segments that have all rungs that were asked for.
    pub(crate) made: u64,
    /// Segments that lack one that was asked for.
    pub(crate) missed: u64,
    /// Of the last one that came in time: how long it waited for a worker, how long it took, and how long it lasts.
    pub(crate) last: Option<(Span, Span, Span)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rungs: BTreeMap<Arc<str>, RungTally>,
    /// Why the last segment lacks a rung that was asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lacking: BTreeMap<Arc<str>, Miss>,
}

/// How the work on one rung went since it came into the ladder or the process was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungTally {
    /// Segments that have it.
    pub made: u64,
    /// Segments that lack it, though it was asked for.
    pub missed: u64,
    /// Of the last segment that has it: how long the work took, and how long the segment lasts. The work keeps up
    /// where it takes no longer.
    pub last: Option<(Span, Span)>,
}

impl Tally {
    /// Only what the ladder still has is counted.
    pub(super) fn keep(&mut self, ladder: Option<&Ladder>) {
        let rungs = ladder.into_iter().flat_map(|it| &it.rungs);
        self.rungs = rungs
            .map(|it| (Arc::clone(&it.name), self.of(&it.name).unwrap_or_default()))
            .collect();
        self.lacking.retain(|rung, _| self.rungs.contains_key(rung));
    }

    /// Nothing of what the ladder does not have, as the source's own.
    pub(crate) fn of(&self, rung: &str) -> Option<RungTally> {
        self.rungs.get(rung).copied()
    }

    /// Why the last segment lacks it.
    pub(crate) fn why_lacking(&self, rung: &str) -> Option<&Miss> {
        self.lacking.get(rung)
    }

    /// A segment has it, after work that took so long on what lasts so long.
    pub(super) fn has(&mut self, rung: &str, took: Span, duration: Span) {
        self.lacking.remove(rung);
        if let Some(tally) = self.rungs.get_mut(rung) {
            tally.made += 1;
            tally.last = Some((took, duration));
        }
    }

    /// A segment lacks them.
    pub(super) fn lacks(&mut self, rungs: &[Arc<str>], why: &Miss) {
        self.missed += 1;
        for rung in rungs {
            if let Some(tally) = self.rungs.get_mut(rung) {
                tally.missed += 1;
                self.lacking.insert(Arc::clone(rung), why.clone());
            }
        }
    }
}
