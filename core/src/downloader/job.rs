//! One segment that is wanted, from its first attempt to its last.

use super::looks::Looks;
use super::needs::{Need, decryption_of, needs_of};
use super::{Asker, Leftovers};
use crate::checkpoint::SavedObject;
use crate::command::{ByteSpan, Command, Content, Decrypt, Download};
use crate::config::{self, KeyPolicy};
use crate::event::{FetchError, StoredSegment};
use crate::ids::{ContentHash, ObjectName, RequestId};
use crate::loader::Offered;
use crate::notice::Notice;
use crate::planted::Mistake;
use crate::processor::Work;
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) offered: Offered,
    /// Of the list that was first to list it: what it is waited for by.
    pub(super) target_duration: Span,
    /// The run of the encoder has ended or the list has moved on: it cannot be asked for anew.
    pub(super) listed: bool,
    /// A segment that was listed before a restart of ours.
    pub(super) again: Option<Again>,
    /// Of the past that a source keeps: nothing is made of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) past: bool,
    /// What it needs beside itself, and what that is stored as, once all of it is.
    pub(super) needs: Vec<Need>,
    pub(super) provided: Option<(Timestamp, Vec<SavedObject>)>,
    pub(super) decrypt: Option<Decrypt>,
    /// What becomes of its keys, whatever is wished since.
    #[serde(default)]
    pub(super) keys: KeyPolicy,
    /// It was first asked for then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked_at: Option<Timestamp>,
    pub(super) attempts: Attempts,
    pub(super) state: JobState,
    /// What is made of it, once it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) work: Option<Work>,
}

/// What a segment was stored as before a restart of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) object: ObjectName,
    pub(crate) hash: ContentHash,
    pub(crate) resources: Vec<SavedObject>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum JobState {
    Waiting {
        retry_at: Timestamp,
    },
    InFlight {
        request: RequestId,
        object: ObjectName,
    },
    Stored {
        at: Timestamp,
        object: ObjectName,
        stored: StoredSegment,
    },
    /// Nothing is to be downloaded: the source says EXT-X-GAP (C-24).
    Gap,
    /// There is no URL to ask for.
    Failed,
}

/// How many downloads may be begun, and how many of them may be retries.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) all: usize,
    pub(super) retries: usize,
}

/// How often something was asked for, and why that was in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    pub(super) count: u32,
    /// The last failure.
    pub(super) error: Option<FetchError>,
}

impl Attempts {
    /// Takes a failure; when to try again.
    pub(super) fn failed(
        &mut self,
        stage: &mut Stage<'_>,
        error: FetchError,
        target_duration: Span,
    ) -> Timestamp {
        let wait = config::SEGMENT_RETRY * (1 << self.count.saturating_sub(1).min(16));
        // What was too large once is worth few attempts.
        let wait = if matches!(error, FetchError::TooLarge { .. }) {
            target_duration
        } else {
            wait.min(target_duration.half())
        };
        self.error = Some(error);
        let wait = match stage.makes(Mistake::SegmentRetriedAtOnce) {
            true => Span::from_millis(1),
            false => stage.rng.jittered(wait),
        };
        stage.now.monotonic + wait
    }
}

impl Job {
    pub(super) fn new(
        offered: Offered,
        again: Option<Again>,
        keys: KeyPolicy,
        target_duration: Span,
    ) -> Self {
        let retry_at = offered.first_listed;
        let planned = match &offered.url {
            Ok(_) => {
                needs_of(&offered, keys).and_then(|it| Ok((it, decryption_of(&offered, keys)?)))
            }
            Err(error) => Err(error.clone()),
        };
        let error = planned.as_ref().err().cloned();
        let (needs, decrypt) = planned.unwrap_or_default();
        let state = if offered.segment.gap && again.is_none() {
            JobState::Gap
        } else if error.is_some() {
            JobState::Failed
        } else {
            JobState::Waiting { retry_at }
        };
        Self {
            offered,
            target_duration,
            listed: true,
            again,
            past: false,
            provided: needs.is_empty().then(Default::default),
            needs,
            decrypt,
            keys,
            asked_at: None,
            attempts: Attempts { count: 0, error },
            state,
            work: None,
        }
    }

    /// When it may be begun, with so much room.
    pub(super) fn startable_at(&self, room: Room) -> Option<Timestamp> {
        let has_room = room.all > 0 && (self.attempts.count == 0 || room.retries > 0);
        match self.state {
            JobState::Waiting { retry_at } if self.listed && has_room => Some(retry_at),
            JobState::Waiting { .. }
            | JobState::InFlight { .. }
            | JobState::Stored { .. }
            | JobState::Gap
            | JobState::Failed => None,
        }
    }

    pub(super) fn request(&self) -> Option<RequestId> {
        match self.state {
            JobState::InFlight { request, .. } => Some(request),
            JobState::Waiting { .. }
            | JobState::Stored { .. }
            | JobState::Gap
            | JobState::Failed => None,
        }
    }

    /// When it was complete: stored, and all that it needs, too, and what is made of it.
    pub(super) fn complete_at(&self) -> Option<Timestamp> {
        let had_at = self.had_at()?;
        match &self.work {
            Some(work) => work.joined_at(),
            None => Some(had_at),
        }
    }

    /// It is there, and something is being made of it.
    pub(super) fn is_processed(&self) -> bool {
        self.had_at().is_some() && self.complete_at().is_none()
    }

    /// All of the source's is there.
    pub(super) fn is_had(&self) -> bool {
        matches!(self.state, JobState::Stored { .. } | JobState::Gap)
    }

    /// When it was stored, and all that it needs, too.
    pub(super) fn had_at(&self) -> Option<Timestamp> {
        let (provided_at, _) = self.provided.as_ref()?;
        match self.state {
            JobState::Stored { at, .. } => Some(at.max(*provided_at)),
            JobState::Gap => Some(self.offered.first_listed.max(*provided_at)),
            JobState::Waiting { .. } | JobState::InFlight { .. } | JobState::Failed => None,
        }
    }

    /// It cannot be had any more.
    pub(super) fn is_lost(&self) -> bool {
        match self.state {
            JobState::Failed => true,
            JobState::Waiting { .. } => !self.listed,
            JobState::Stored { .. } | JobState::Gap => !self.listed && self.provided.is_none(),
            JobState::InFlight { .. } => false,
        }
    }

    /// It was asked for as often as makes sense where nothing else comes either.
    pub(super) fn is_in_vain(&self) -> bool {
        let failed = self.attempts.count - u32::from(self.request().is_some());
        failed >= config::ATTEMPTS_IN_VAIN
    }

    /// Nobody wants it any more: what is under way for it, and what is stored.
    pub(super) fn leave(self) -> Leftovers {
        let mut left = self.work.map_or_else(Leftovers::default, Work::abandon);
        match self.state {
            JobState::InFlight { request, object } => left.requests.push((request, object)),
            JobState::Stored { object, .. } => left.objects.push(object),
            JobState::Waiting { .. } | JobState::Gap | JobState::Failed => {}
        }
        left
    }

    pub(super) fn start(
        &mut self,
        stage: &mut Stage<'_>,
        asker: Asker,
        looks: &mut Looks,
        target_duration: Span,
        untold: &'static str,
    ) {
        let Ok(url) = &self.offered.url else {
            self.state = JobState::Failed;
            return;
        };
        let request = stage.request();
        let object = match &self.again {
            Some(again) => again.object.clone(),
            None => {
                let told = extension(&self.offered.identity.path);
                let fragment = self.offered.segment.map.as_ref().map(|_| "m4s");
                let extension = told.or(fragment).unwrap_or(untold);
                object_name(asker.tag, request, extension)
            }
        };
        self.asked_at.get_or_insert(stage.now.monotonic);
        self.attempts.count += 1;
        stage.commands.push(Command::Download(Download {
            request,
            generation: asker.generation,
            epoch: stage.epoch,
            source: asker.source,
            url: Arc::clone(url),
            content: Content::Segment,
            byte_range: self.offered.segment.byte_range.map(|range| ByteSpan {
                offset: range.offset,
                length: range.length,
            }),
            look: looks.asks_segment(&self.offered, self.decrypt.is_some()),
            decrypt: self.decrypt.clone(),
            may_be_empty: object.0.ends_with(".vtt"),
            object: object.clone(),
            limits: config::segment_limits(target_duration),
        }));
        self.state = JobState::InFlight { request, object };
    }

    pub(super) fn store(&mut self, at: Timestamp, stored: StoredSegment) {
        if let JobState::InFlight { object, .. } = &self.state {
            self.state = JobState::Stored {
                at,
                object: object.clone(),
                stored,
            };
        }
    }

    /// What a failure may have stored all the same. The next attempt has a name of its own, but for
    /// a segment that is to have its old one again.
    pub(super) fn maybe_stored(&self, error: &FetchError) -> Option<ObjectName> {
        let JobState::InFlight { object, .. } = &self.state else {
            return None;
        };
        (error.may_be_stored() && self.again.is_none()).then(|| object.clone())
    }

    pub(super) fn fail(
        &mut self,
        stage: &mut Stage<'_>,
        error: &FetchError,
        target_duration: Span,
    ) {
        if self.attempts.count == 1 {
            stage.notify(Notice::SegmentRetry {
                media_sequence: self.offered.identity.media_sequence,
                attempt: self.attempts.count,
                error: error.clone(),
            });
        }
        let retry_at = self.attempts.failed(stage, error.clone(), target_duration);
        self.state = JobState::Waiting { retry_at };
    }
}

/// A name that no other content ever has: the tag is the process's, the number the request's.
pub(super) fn object_name(tag: u32, request: RequestId, extension: &str) -> ObjectName {
    ObjectName(format!("{tag:08x}-{}.{extension}", request.0).into())
}

/// The source's where it is one of the field's, since servers choose the type by it (S-43).
fn extension(path: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 13] = [
        ("ts", "ts"),
        ("aac", "aac"),
        ("mp3", "mp3"),
        ("ac3", "ac3"),
        ("ec3", "ec3"),
        ("mp4", "mp4"),
        ("m4s", "m4s"),
        ("m4a", "m4a"),
        ("m4v", "m4v"),
        ("cmfv", "m4v"),
        ("cmfa", "m4a"),
        ("vtt", "vtt"),
        ("webvtt", "vtt"),
    ];
    let (_, extension) = path.rsplit_once('.')?;
    let mut known = KNOWN.into_iter();
    let found = known.find(|(known, _)| extension.eq_ignore_ascii_case(known));
    found.map(|(_, ours)| ours)
}
