//! Stage three: from a segment as it was downloaded to one as it is published.
//!
//! Every segment passes here. Once it is stored its [`work`] begins: the rungs of the ladder, and the preload
//! of edges, joined with a deadline; [`shedding`] tells which rungs are worth a try at present, [`shared`] which
//! init sections and keys edges have. A channel
//! without them has one rendition, the source's own, which only changes its [form](form).

mod form;
mod row;
mod shared;
mod shedding;
mod tally;
mod work;

use crate::checkpoint::SavedObject;
use crate::command::TranscodeInput;
use crate::config::Spec;
use crate::downloader::Asker;
use crate::event::{PreloadError, TranscodeError, Transcoded};
use crate::ids::{Generation, ObjectName, RequestId};
use crate::ladder::{Ladder, Rung};
use crate::notice::{Miss, Notice};
use crate::planted::Mistake;
use crate::preload::{self, PreloadPolicy};
use crate::relay::EdgeStatus;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use row::Row;
use serde::{Deserialize, Serialize};
use shared::Shared;
use shedding::Shedding;
use std::sync::Arc;
use tally::Tally;

pub(crate) use form::{Finished, Processed, process};
pub use tally::RungTally;
pub(crate) use work::{MadeRung, Work};

/// What is made of the segments of a channel, and how that goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Processor {
    /// As it is in force: where viewers have opened a media playlist, none is.
    ladder: Option<Arc<Ladder>>,
    preload: Option<Arc<PreloadPolicy>>,
    generation: Generation,
    shedding: Shedding,
    /// Segments that lack rungs.
    #[serde(default)]
    misses: Row<Miss>,
    /// How the edges are, in the order of the policy.
    #[serde(default)]
    edges: Vec<Edge>,
    /// Those that were asked until then were others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    others_until: Option<RequestId>,
    /// What of all that several segments need they have.
    #[serde(default, skip_serializing_if = "Shared::is_new")]
    pub(crate) shared: Shared,
    pub(crate) tally: Tally,
}

/// How an edge is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Edge {
    /// So often it had all it should have in time, and so often it had not.
    #[serde(default)]
    warm: u64,
    cold: u64,
    failing: Row<PreloadError>,
}

/// A stored segment, as far as the work on it needs to know it.
pub(crate) struct Material<'a> {
    pub(crate) object: &'a ObjectName,
    pub(crate) init: Option<ObjectName>,
    /// All that it needs.
    pub(crate) resources: &'a [SavedObject],
    pub(crate) before: Before,
    pub(crate) media_sequence: u64,
    /// Nobody here can read it.
    pub(crate) encrypted: bool,
    pub(crate) asker: Asker,
}

/// A stored segment on which no work has begun.
pub(crate) struct Arrived {
    pub(crate) stored_at: Timestamp,
    pub(crate) duration: Span,
    /// A ladder makes rungs of it: it is of the only track of its source, and not of the past that its source keeps.
    pub(crate) takes_rungs: bool,
    /// It is of a VOD: nobody is at a live edge.
    pub(crate) vod: bool,
    /// So many others of its channel wait for their rungs.
    pub(crate) waiting: usize,
}

/// What plays right before a segment, on one timeline with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Before {
    /// It may still come.
    Awaited,
    /// There is none.
    Nothing,
    /// It is stored.
    Segment(TranscodeInput),
}

impl Before {
    fn is_known(&self) -> bool {
        *self != Self::Awaited
    }

    fn input(&self) -> Option<TranscodeInput> {
        match self {
            Self::Segment(input) => Some(input.clone()),
            Self::Awaited | Self::Nothing => None,
        }
    }
}

impl Processor {
    /// What is to be made from now on; what is under way, the last of which is `newest`, goes on as it was begun.
    pub(crate) fn reconfigure(&mut self, spec: &Spec, generation: Generation, newest: RequestId) {
        self.generation = generation;
        if self.preload.as_deref() != spec.preload.as_ref() {
            self.preload = spec.preload.clone().map(Arc::new);
            let edges = self.preload.iter().flat_map(|it| &it.edges);
            self.edges = edges.map(|_| Edge::default()).collect();
            self.others_until = Some(newest);
            self.shared.forget();
        }
    }

    /// The ladder in force. One without rungs is nothing to be made.
    pub(crate) fn use_ladder(&mut self, ladder: Option<&Ladder>) {
        let ladder = ladder.filter(|it| !it.rungs.is_empty());
        if self.ladder.as_deref() != ladder {
            self.ladder = ladder.cloned().map(Arc::new);
            self.shedding.keep(ladder);
            self.tally.keep(ladder);
        }
    }

    /// Nothing is made, and no edge is asked.
    pub(crate) fn is_idle(&self) -> bool {
        self.ladder.is_none() && self.preload.is_none()
    }

    pub(crate) fn has_ladder(&self) -> bool {
        self.ladder.is_some()
    }

    /// Why a rung is not made at present.
    pub(crate) fn suspended(&self, rung: &str) -> Option<&Miss> {
        self.shedding.suspended(rung)
    }

    /// The work on a segment, where anything is to be done.
    pub(crate) fn begin(&self, stage: &Stage<'_>, arrived: &Arrived) -> Option<Work> {
        let duration = arrived.duration;
        let rungs = arrived.takes_rungs && self.ladder.is_some();
        let ladder = self.ladder.as_ref().filter(|_| rungs);
        let hasty = ladder.and_then(|it| it.patience);
        let patience = match stage.makes(Mistake::SourceWaitsForRungs) {
            true => duration * 20,
            false => hasty.map_or(duration, |it| it.min(duration)),
        };
        let work = || Work::new(arrived, patience, rungs);
        (rungs || self.preload.is_some()).then(work)
    }

    pub(crate) fn lists_source(&self) -> bool {
        self.ladder.as_ref().is_none_or(|it| it.passthrough)
    }

    fn edges(&self) -> Option<Arc<PreloadPolicy>> {
        self.preload.clone()
    }

    /// What is to be made of the next segment; nothing where all of it is suspended.
    fn rungs_of(&mut self, stage: &mut Stage<'_>) -> Option<(Arc<Ladder>, Vec<Rung>)> {
        let ladder = self.ladder.clone()?;
        let rungs = self.shedding.made_now(stage, &ladder);
        (!rungs.is_empty()).then_some((ladder, rungs))
    }

    /// It came in time, after so long of how long the segment waits at most.
    fn made(
        &mut self,
        stage: &mut Stage<'_>,
        material: &Material<'_>,
        transcoded: &Transcoded,
        asked: &[Arc<str>],
        share: (Span, Span),
        duration: Span,
    ) {
        let Some(ladder) = self.ladder.clone() else {
            return;
        };
        self.tally.last = Some((transcoded.waited, transcoded.took, duration));
        self.shedding.in_time(stage, share);
        let mut failed = Vec::new();
        let untold = Err(crate::event::RungError::Encode("no answer".into()));
        let outcomes = transcoded.rungs.iter().chain(std::iter::repeat(&untold));
        for (name, outcome) in asked.iter().zip(outcomes) {
            let why = outcome.as_ref().err().cloned().map(Miss::Rung);
            self.shedding.of_one(stage, &ladder, name, why.as_ref());
            if why.is_none() {
                self.tally.has(name, transcoded.took, duration);
            }
            failed.extend(why.map(|why| (Arc::clone(name), why)));
        }
        let Some((_, why)) = failed.first().cloned() else {
            self.tally.made += 1;
            self.misses.ends();
            return;
        };
        let names: Vec<_> = failed.into_iter().map(|it| it.0).collect();
        self.say_missed(stage, material, &names, why);
    }

    /// They have not come by the deadline; of one that is `crowded` that says nothing of how fast workers are.
    fn late(
        &mut self,
        stage: &mut Stage<'_>,
        material: &Material<'_>,
        asked: &[Arc<str>],
        why: Miss,
        crowded: bool,
    ) {
        if let Some(ladder) = self.ladder.clone().filter(|_| !crowded) {
            self.shedding.too_late(stage, &ladder, asked, &why);
        }
        self.say_missed(stage, material, asked, why);
    }

    /// They cannot be had.
    fn failed(
        &mut self,
        stage: &mut Stage<'_>,
        material: &Material<'_>,
        asked: &[Arc<str>],
        error: &TranscodeError,
        crowded: bool,
    ) {
        let why = Miss::NotMade(error.clone());
        match error {
            TranscodeError::TooSlow(_)
            | TranscodeError::NoWorker(_)
            | TranscodeError::WorkerLost(_) => self.late(stage, material, asked, why, crowded),
            // It is the segment, or the store, and no rung less would help.
            TranscodeError::Undecodable(_)
            | TranscodeError::Unsupported(_)
            | TranscodeError::Store(_)
            | TranscodeError::Cancelled => self.say_missed(stage, material, asked, why),
        }
    }

    /// Nobody was even asked.
    fn missed(
        &mut self,
        stage: &mut Stage<'_>,
        material: &Material<'_>,
        rungs: &[Rung],
        why: Miss,
    ) {
        let names: Vec<_> = rungs.iter().map(|it| Arc::clone(&it.name)).collect();
        self.say_missed(stage, material, &names, why);
    }

    /// Said for the first of each cause.
    fn say_missed(
        &mut self,
        stage: &mut Stage<'_>,
        material: &Material<'_>,
        rungs: &[Arc<str>],
        why: Miss,
    ) {
        self.tally.lacks(rungs, &why);
        if self.misses.fails(&why) {
            stage.notify(Notice::RungsMissed {
                media_sequence: material.media_sequence,
                rungs: rungs.to_vec(),
                why,
            });
        }
    }

    /// What edges have answered: said for the first of each cause, and where it is over.
    fn preloaded(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcomes: &[Result<(), PreloadError>],
    ) {
        let all = outcomes.iter().all(Result::is_ok);
        self.shared.answered(request, all, stage.now.monotonic);
        let Some(policy) = self.preload.clone() else {
            return;
        };
        if self.others_until.is_some_and(|until| request <= until) {
            return;
        }
        let edges = policy.edges.iter().zip(&mut self.edges);
        for ((edge, known), outcome) in edges.zip(outcomes) {
            let edge = Arc::clone(&edge.url);
            match outcome {
                Ok(()) => {
                    known.warm += 1;
                    if known.failing.ends() {
                        stage.notify(Notice::EdgeRecovered { edge });
                    }
                }
                Err(PreloadError::Cancelled) => {}
                Err(error) => {
                    known.cold += 1;
                    if known.failing.fails(error) {
                        let error = error.clone();
                        stage.notify(Notice::EdgeFailed { edge, error });
                    }
                }
            }
        }
    }

    /// Of each edge its URL, how often it was warm and cold, and why it was the last time.
    pub(crate) fn edge_statuses(&self) -> Vec<EdgeStatus> {
        let policy = self.preload.iter().flat_map(|it| &it.edges);
        let status = |(edge, known): (&preload::Edge, &Edge)| EdgeStatus {
            url: Arc::clone(&edge.url),
            warm: known.warm,
            cold: known.cold,
            failing: known.failing.last().cloned(),
        };
        policy.zip(&self.edges).map(status).collect()
    }
}
