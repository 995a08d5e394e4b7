//! What is made of one stored segment before it leaves: its rungs, and edges that have it. All of it is joined
//! with a deadline, and what is not there by then is done without.

use super::{Arrived, Material, Miss, Processor};
use crate::command::{Command, Preload, PreloadEdge, Transcode, TranscodeRung};
use crate::config::CROWDED_BY;
use crate::downloader::Leftovers;
use crate::event::{PreloadError, StoredSegment, TranscodeError, Transcoded};
use crate::formats::Formats;
use crate::ids::{ObjectName, RequestId};
use crate::ladder::RungAudio;
use crate::planted::Mistake;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The work for one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    deadline: Timestamp,
    /// How long it waits at most: what the work is measured by.
    patience: Span,
    /// How long the segment is.
    duration: Span,
    /// Others of its channel are before it, and it has to wait for them.
    #[serde(default)]
    crowded: bool,
    rungs: Rungs,
    preloads: Vec<RequestId>,
    /// The segment itself is on its way to the edges.
    warmed: bool,
    /// What it needs beside itself, as far as edges were asked for that here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    asked: Vec<ObjectName>,
    input: Option<Formats>,
    joined_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Rungs {
    /// Nothing more is to come.
    Over(Vec<MadeRung>),
    /// What plays before the segment is not there yet; it is waited for until then.
    Waiting { until: Timestamp },
    /// A worker has them, or is to have them.
    UnderWay {
        request: RequestId,
        asked: Vec<Asked>,
        since: Timestamp,
        /// It is the second attempt.
        again: bool,
    },
}

/// A rung that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    name: Arc<str>,
    height: u32,
    #[serde(default)]
    audio: RungAudio,
    object: ObjectName,
}

/// A rung of a segment that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeRung {
    pub(crate) name: Arc<str>,
    pub(crate) height: u32,
    #[serde(default)]
    pub(crate) audio: RungAudio,
    pub(crate) object: ObjectName,
    pub(crate) stored: StoredSegment,
}

impl Asked {
    /// It is stored.
    fn made(self, stored: StoredSegment) -> MadeRung {
        MadeRung {
            name: self.name,
            height: self.height,
            audio: self.audio,
            object: self.object,
            stored,
        }
    }
}

impl Work {
    /// For a segment that waits for so long; of a VOD, from when it has waited for the one before.
    pub(super) fn new(arrived: &Arrived, patience: Span, with_rungs: bool) -> Self {
        let until = arrived.stored_at + patience.half();
        let rungs = if with_rungs {
            Rungs::Waiting { until }
        } else {
            Rungs::Over(Vec::new())
        };
        Self {
            deadline: match arrived.vod {
                true => until + patience,
                false => arrived.stored_at + patience,
            },
            patience,
            duration: arrived.duration,
            crowded: arrived.waiting >= CROWDED_BY,
            rungs,
            preloads: Vec::new(),
            warmed: false,
            asked: Vec::new(),
            input: None,
            joined_at: None,
        }
    }

    /// Its rungs are still to come.
    pub(crate) fn awaits_rungs(&self) -> bool {
        !matches!(self.rungs, Rungs::Over(_))
    }

    /// Everything that is wanted is there, or nobody waits for it any longer, since then.
    pub(crate) fn joined_at(&self) -> Option<Timestamp> {
        self.joined_at
    }

    /// When something is to be done for it.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        if self.joined_at.is_some() {
            return None;
        }
        match self.rungs {
            Rungs::Waiting { until } => Some(until.min(self.deadline)),
            Rungs::UnderWay { .. } | Rungs::Over(_) => Some(self.deadline),
        }
    }

    /// Begins what can be begun, and ends what has taken too long. Gives what is left behind.
    pub(crate) fn advance(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &mut Processor,
        material: &Material<'_>,
    ) -> Leftovers {
        if processor.lists_source() {
            self.warm(stage, processor, material);
        }
        if self.joined_at.is_some() {
            return Leftovers::default();
        }
        if let Rungs::Waiting { until } = self.rungs
            && (material.before.is_known() || until <= stage.now.monotonic)
        {
            self.transcode(stage, processor, material, false);
        }
        let mut left = Leftovers::default();
        if self.deadline <= stage.now.monotonic {
            left = self.give_up(stage, processor, material);
        }
        // What another segment has asked for is waited for as well.
        let awaited = processor.shared.is_awaited(material.resources);
        let is_warm = self.preloads.is_empty() && !(processor.lists_source() && awaited);
        if matches!(self.rungs, Rungs::Over(_)) && is_warm {
            self.joined_at.get_or_insert(stage.now.monotonic);
        }
        left
    }

    /// Asks edges for the segment, and for what it needs and they may lack: that may become another one as long as
    /// the segment has not left.
    fn warm(&mut self, stage: &mut Stage<'_>, processor: &mut Processor, material: &Material<'_>) {
        let now = stage.now.monotonic;
        if processor.edges().is_none() || self.remaining(now) == Span::ZERO {
            return;
        }
        let needed = material.resources.iter().map(|it| &it.object);
        let needed = needed.filter(|it| !self.asked.contains(it));
        let cold = needed.filter(|it| processor.shared.is_cold(it, now));
        let cold: Vec<ObjectName> = cold.cloned().collect();
        let mut objects = cold.clone();
        if !std::mem::replace(&mut self.warmed, true) {
            objects.push(material.object.clone());
        }
        if let Some(request) = self.preload(stage, processor, objects) {
            processor.shared.ask(request, &cold);
            self.asked.extend(cold);
            self.joined_at = None;
        }
    }

    fn remaining(&self, now: Timestamp) -> Span {
        self.deadline.since(now)
    }

    fn transcode(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &mut Processor,
        material: &Material<'_>,
        again: bool,
    ) {
        let now = stage.now.monotonic;
        let within = self.remaining(now);
        let Some((ladder, rungs)) = processor.rungs_of(stage).filter(|_| within > Span::ZERO)
        else {
            self.rungs = Rungs::Over(Vec::new());
            return;
        };
        if material.encrypted {
            processor.missed(stage, material, &rungs, Miss::Encrypted);
            self.rungs = Rungs::Over(Vec::new());
            return;
        }
        let request = stage.request();
        let object = |at: usize| {
            let tag = material.asker.tag;
            ObjectName(format!("{tag:08x}-{}-{at}.ts", request.0).into())
        };
        let rungs: Vec<TranscodeRung> = rungs
            .into_iter()
            .enumerate()
            .map(|(at, rung)| TranscodeRung {
                object: object(at),
                name: rung.name,
                height: rung.height,
                bitrate: rung.bitrate,
            })
            .collect();
        let asked = rungs.iter().map(|it| Asked {
            name: Arc::clone(&it.name),
            height: it.height,
            audio: ladder.audio,
            object: it.object.clone(),
        });
        self.rungs = Rungs::UnderWay {
            request,
            asked: asked.collect(),
            since: now,
            again,
        };
        let before = material.before.input();
        let former = before.as_ref().map(|it| it.object.clone());
        let former = former.filter(|_| stage.makes(Mistake::RungOfTheSegmentBefore));
        stage.commands.push(Command::Transcode(Transcode {
            request,
            generation: material.asker.generation,
            epoch: stage.epoch,
            input: former.unwrap_or_else(|| material.object.clone()),
            init: material.init.clone(),
            before,
            duration: self.duration,
            rungs,
            codec: ladder.codec,
            preset: ladder.preset,
            audio: ladder.audio,
            within,
        }));
    }

    fn preload(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &Processor,
        objects: Vec<ObjectName>,
    ) -> Option<RequestId> {
        let now = stage.now.monotonic;
        let policy = processor.edges()?;
        // So that each edge tells of itself before it is not waited for any longer.
        let left = self.remaining(now).scaled(7, 8);
        let within = policy.patience.map_or(left, |it| it.min(left));
        if within == Span::ZERO || objects.is_empty() {
            return None;
        }
        let request = stage.request();
        let edges = policy.edges.iter().enumerate();
        let edges = edges.map(|(edge, it)| PreloadEdge {
            edge,
            url: Arc::clone(&it.url),
            method: it.method,
        });
        self.preloads.push(request);
        stage.commands.push(Command::Preload(Preload {
            request,
            generation: processor.generation,
            epoch: stage.epoch,
            objects,
            edges: edges.collect(),
            within,
        }));
        Some(request)
    }

    /// Nobody waits any longer.
    fn give_up(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &mut Processor,
        material: &Material<'_>,
    ) -> Leftovers {
        let now = stage.now.monotonic;
        let mut left = Leftovers::default();
        let rungs = std::mem::replace(&mut self.rungs, Rungs::Over(Vec::new()));
        match rungs {
            Rungs::Over(made) => self.rungs = Rungs::Over(made),
            Rungs::Waiting { .. } => {}
            Rungs::UnderWay { request, asked, .. } => {
                let names: Vec<_> = asked.iter().map(|it| Arc::clone(&it.name)).collect();
                let why = Miss::Late(self.patience);
                processor.late(stage, material, &names, why, self.crowded);
                if stage.makes(Mistake::UnmadeRungListed) {
                    self.rungs = Rungs::Over(as_if_made(&asked));
                }
                let objects = asked.into_iter().map(|it| it.object);
                left.work.push((request, objects.collect()));
            }
        }
        let preloads = std::mem::take(&mut self.preloads);
        left.work
            .extend(preloads.into_iter().map(|it| (it, Vec::new())));
        self.joined_at = Some(now);
        left
    }

    /// Takes a completion, before the work advances; gives what it leaves behind, `None` where the request is
    /// another's.
    pub(crate) fn transcoded(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &mut Processor,
        request: RequestId,
        outcome: &Result<Transcoded, TranscodeError>,
        material: &Material<'_>,
    ) -> Option<Leftovers> {
        let Rungs::UnderWay {
            request: own,
            asked,
            since,
            again,
        } = &self.rungs
        else {
            return None;
        };
        if *own != request {
            return None;
        }
        let (asked, since, again) = (asked.clone(), *since, *again);
        let now = stage.now.monotonic;
        let mut left = Leftovers::default();
        let names: Vec<_> = asked.iter().map(|it| Arc::clone(&it.name)).collect();
        let retry = matches!(
            outcome,
            Err(TranscodeError::WorkerLost(_) | TranscodeError::Store(_))
        );
        match outcome {
            Ok(transcoded) => {
                let share = (now.since(since), self.patience);
                let made = self.take_made(transcoded, asked, &mut left);
                processor.made(stage, material, transcoded, &names, share, self.duration);
                let objects = made.iter().map(|it| it.object.clone()).collect();
                self.rungs = Rungs::Over(made);
                self.preload(stage, processor, objects);
            }
            // What was stored of it is not known.
            Err(_) if retry && !again && self.remaining(now) > self.patience.half() => {
                left.objects.extend(asked.into_iter().map(|it| it.object));
                self.transcode(stage, processor, material, true);
            }
            Err(error) => {
                left.objects.extend(asked.into_iter().map(|it| it.object));
                self.rungs = Rungs::Over(Vec::new());
                processor.failed(stage, material, &names, error, self.crowded);
            }
        }
        Some(left)
    }

    /// What came of it: each rung that is stored; the objects of the others may be there all the same.
    fn take_made(
        &mut self,
        transcoded: &Transcoded,
        asked: Vec<Asked>,
        left: &mut Leftovers,
    ) -> Vec<MadeRung> {
        self.input = Some(transcoded.input.clone());
        let mut outcomes = transcoded.rungs.iter();
        let mut made = Vec::new();
        for it in asked {
            match outcomes.next() {
                Some(Ok(stored)) => made.push(it.made(stored.clone())),
                Some(Err(_)) | None => left.objects.push(it.object),
            }
        }
        made
    }

    /// Takes a completion, before the work advances; `false` where the request is another's.
    pub(crate) fn preloaded(
        &mut self,
        stage: &mut Stage<'_>,
        processor: &mut Processor,
        request: RequestId,
        outcomes: &[Result<(), PreloadError>],
    ) -> bool {
        let before = self.preloads.len();
        self.preloads.retain(|it| *it != request);
        if self.preloads.len() == before {
            return false;
        }
        processor.preloaded(stage, request, outcomes);
        true
    }

    /// What came of it, once it is joined.
    pub(crate) fn into_made(self) -> (Vec<MadeRung>, Option<Formats>) {
        match self.rungs {
            Rungs::Over(made) => (made, self.input),
            Rungs::Waiting { .. } | Rungs::UnderWay { .. } => (Vec::new(), self.input),
        }
    }

    /// Nobody wants the segment any more.
    pub(crate) fn abandon(self) -> Leftovers {
        let mut left = Leftovers::default();
        match self.rungs {
            Rungs::Over(made) => left.objects.extend(made.into_iter().map(|it| it.object)),
            Rungs::Waiting { .. } => {}
            Rungs::UnderWay { request, asked, .. } => {
                let objects = asked.into_iter().map(|it| it.object);
                left.work.push((request, objects.collect()));
            }
        }
        let preloads = self.preloads.into_iter();
        left.work.extend(preloads.map(|it| (it, Vec::new())));
        left
    }
}

/// The mistake of [`Mistake::UnmadeRungListed`].
fn as_if_made(asked: &[Asked]) -> Vec<MadeRung> {
    let stored = StoredSegment {
        length: 1,
        hash: crate::ids::ContentHash([0; 32]),
        formats: None,
    };
    let made = asked.iter().cloned();
    made.map(|it| it.made(stored.clone())).collect()
}
