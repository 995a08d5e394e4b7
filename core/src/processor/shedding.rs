//! Which rungs are made: where workers cannot keep up, the highest is left out first, and each is tried again
//! by itself.
//!
//! Three segments in a row that come too late suspend the highest rung that is still made. Segments that came faster than
//! they play, as after an outage, have to wait for each other, and do not count. After a rest the one that was suspended last is tried; it has to come with time to spare, so that one which only just keeps up does not
//! come and go. One that fails again rests twice as long.

use super::Miss;
use crate::config::{LATE_SEGMENTS, LONGEST_REST, RUNG_REST, TRIED_SEGMENTS};
use crate::ladder::{Ladder, Rung};
use crate::notice::Notice;
use crate::planted::Mistake;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is left out at present, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shedding {
    /// The last is tried first.
    suspended: Vec<Suspended>,
    /// So many segments in a row were late.
    late: u64,
    /// Of one rung, where the others were made.
    failures: BTreeMap<Arc<str>, u64>,
    trial: Option<Trial>,
    rest: Span,
    again_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Suspended {
    name: Arc<str>,
    why: Miss,
}

/// A rung that has rested and is made again, and how many segments of it came in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trial {
    name: Arc<str>,
    good: u64,
}

impl Default for Shedding {
    fn default() -> Self {
        Self {
            suspended: Vec::new(),
            late: 0,
            failures: BTreeMap::new(),
            trial: None,
            rest: RUNG_REST,
            again_at: Timestamp::default(),
        }
    }
}

impl Shedding {
    /// Only what the ladder still has can be suspended.
    pub(super) fn keep(&mut self, ladder: Option<&Ladder>) {
        let has = |name: &Arc<str>| {
            let rungs = ladder.iter().flat_map(|ladder| &ladder.rungs);
            rungs.clone().any(|it| it.name == *name)
        };
        self.suspended.retain(|it| has(&it.name));
        self.failures.retain(|name, _| has(name));
        self.trial = self.trial.take().filter(|it| has(&it.name));
    }

    /// Why a rung is not made.
    pub(super) fn suspended(&self, name: &str) -> Option<&Miss> {
        let mut suspended = self.suspended.iter();
        suspended.find(|it| *it.name == *name).map(|it| &it.why)
    }

    /// The rungs to be made now. Where the time for it has come, one that was suspended is among them.
    pub(super) fn made_now(&mut self, stage: &mut Stage<'_>, ladder: &Ladder) -> Vec<Rung> {
        let rested = self.again_at <= stage.now.monotonic && self.trial.is_none();
        if rested
            && !stage.makes(Mistake::RungNeverComesBack)
            && let Some(Suspended { name, .. }) = self.suspended.pop()
        {
            stage.notify(Notice::RungTried {
                rung: Arc::clone(&name),
            });
            self.late = 0;
            self.trial = Some(Trial { name, good: 0 });
        }
        let made = ladder.rungs.iter();
        let made = made.filter(|it| self.suspended(&it.name).is_none());
        made.cloned().collect()
    }

    /// A segment's rungs came in time: so long after they were asked for, of so much that there was for them.
    pub(super) fn in_time(&mut self, stage: &mut Stage<'_>, (took, patience): (Span, Span)) {
        self.late = 0;
        let Some(trial) = &mut self.trial else { return };
        if took > patience.scaled(3, 4) {
            trial.good = 0;
            return;
        }
        trial.good += 1;
        if trial.good >= TRIED_SEGMENTS {
            let rung = Arc::clone(&trial.name);
            stage.notify(Notice::RungResumed { rung });
            self.trial = None;
            self.rest = RUNG_REST;
            // What is left out still may be tried at once.
            self.again_at = stage.now.monotonic;
        }
    }

    /// They did not: one that is on trial goes back at once, else the highest of those that are made after
    /// some.
    pub(super) fn too_late(
        &mut self,
        stage: &mut Stage<'_>,
        ladder: &Ladder,
        asked: &[Arc<str>],
        why: &Miss,
    ) {
        let on_trial = self.trial.take_if(|it| asked.contains(&it.name));
        if let Some(trial) = on_trial {
            self.rest = (self.rest * 2).min(LONGEST_REST);
            self.suspend(stage, trial.name, why.clone());
            return;
        }
        self.late += 1;
        if self.late < LATE_SEGMENTS {
            return;
        }
        self.late = 0;
        let made = |it: &&Rung| self.suspended(&it.name).is_none();
        let made: Vec<&Rung> = ladder.rungs.iter().filter(made).collect();
        // Where nobody sees the source's own, the last one is all there is.
        let least = usize::from(!ladder.passthrough);
        let highest = made.iter().max_by_key(|it| (it.height, it.bitrate));
        let highest = highest.filter(|_| made.len() > least);
        if let Some(name) = highest.map(|it| Arc::clone(&it.name)) {
            self.suspend(stage, name, why.clone());
        }
    }

    /// One rung was made, or was not, where others were.
    pub(super) fn of_one(
        &mut self,
        stage: &mut Stage<'_>,
        ladder: &Ladder,
        name: &Arc<str>,
        failed: Option<&Miss>,
    ) {
        let failures = self.failures.entry(Arc::clone(name)).or_default();
        let Some(why) = failed else {
            *failures = 0;
            return;
        };
        *failures += 1;
        let others = ladder.rungs.len() - self.suspended.len() > usize::from(!ladder.passthrough);
        if *failures >= LATE_SEGMENTS && others && self.suspended(name).is_none() {
            self.failures.remove(name);
            self.trial = self.trial.take().filter(|it| it.name != *name);
            self.suspend(stage, Arc::clone(name), why.clone());
        }
    }

    fn suspend(&mut self, stage: &mut Stage<'_>, name: Arc<str>, why: Miss) {
        self.again_at = stage.now.monotonic + self.rest;
        stage.notify(Notice::RungSuspended {
            rung: Arc::clone(&name),
            why: why.clone(),
            again_in: self.rest,
        });
        self.suspended.push(Suspended { name, why });
    }
}
