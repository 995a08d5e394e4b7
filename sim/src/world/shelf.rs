//! The store does its work: at one instant each, and not always with a word about it.

use super::{Due, World};
use crate::checks::ledger::MediaKey;
use crate::checks::{Held, Violation};
use crate::plan::Moment;
use crate::process::{Fetch, Work, content};
use crate::published::Shown;
use crate::store::{Saved, StoreFaultKind, StorePlan, StoreWork};
use hls_relay_core::command::{Content, Publish};
use hls_relay_core::event::{Event, FetchError, StoreError};
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::ids::{ObjectName, PlaylistName, RequestId};
use hls_relay_core::time::Span;
use std::sync::Arc;

/// What becomes of a piece of work.
struct Fortune {
    /// It happens, whatever is said about it.
    applied: bool,
    /// What is said.
    answer: Result<(), StoreError>,
}

/// What is deleted goes so long after its time, beside a target duration: a delete that failed is tried again.
const DELETED_WITHIN: Span = Span::from_secs(15);

impl World {
    /// What the store takes for a piece of work, faults aside.
    fn latency(&self, request: RequestId, phase: u8) -> Span {
        let StorePlan {
            latency, jitter, ..
        } = self.plan.store;
        latency
            + self
                .chance
                .latency(self.incarnations, request, phase, jitter)
    }

    /// What a fault adds to it.
    fn slowness(&mut self, work: StoreWork) -> Span {
        let Some(fault) = self.plan.store.fault(self.now, work) else {
            return Span::ZERO;
        };
        match fault.kind {
            StoreFaultKind::Slow(by) => {
                self.census.shelf(work, &fault);
                by
            }
            StoreFaultKind::Failing | StoreFaultKind::Full | StoreFaultKind::ReplyLost => {
                Span::ZERO
            }
        }
    }

    /// What the store takes for a segment that came.
    pub(super) fn put_takes(&mut self, request: RequestId) -> Span {
        self.latency(request, 1) + self.slowness(StoreWork::Put)
    }

    /// What becomes of a piece of work.
    fn fortune(&mut self, work: StoreWork) -> Fortune {
        let Some(fault) = self.plan.store.fault(self.now, work) else {
            return Fortune {
                applied: true,
                answer: Ok(()),
            };
        };
        if !matches!(fault.kind, StoreFaultKind::Slow(_)) {
            self.census.shelf(work, &fault);
        }
        Fortune {
            applied: match fault.kind {
                StoreFaultKind::Slow(_) => true,
                StoreFaultKind::Failing | StoreFaultKind::Full => false,
                StoreFaultKind::ReplyLost => self.chance.happens(&fault),
            },
            answer: fault.kind.error().map_or(Ok(()), Err),
        }
    }

    /// What becomes of something that is made and to be kept: whether it happens, and what is said.
    pub(super) fn put_made(&mut self, work: StoreWork) -> (bool, Result<(), StoreError>) {
        let Fortune { applied, answer } = self.fortune(work);
        (applied, answer)
    }

    /// Begins a piece of work. A publish has two phases, the checkpoint first.
    pub(super) fn store_work(&mut self, request: RequestId, work: Work, kind: StoreWork) {
        let phase = u8::from(!matches!(work, Work::Publish(..)));
        let takes = match phase {
            0 => self.latency(request, phase).half(),
            _ => self.latency(request, phase) + self.slowness(kind),
        };
        let Some(process) = self.process.as_mut() else {
            return;
        };
        process.works.insert(request, work);
        let incarnation = process.incarnation;
        self.queue.push(
            self.now + takes,
            Due::Shelf {
                incarnation,
                request,
                phase,
            },
        );
    }

    /// A phase of a piece of work is due.
    pub(super) fn shelf(&mut self, request: RequestId, phase: u8) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        let incarnation = process.incarnation;
        match process.works.get(&request) {
            None => Ok(()),
            Some(Work::Publish(publish, _)) if phase == 0 => {
                // A checkpoint that cannot be saved does not stop the playlist.
                let checkpoint = Saved {
                    checkpoint: Arc::clone(&publish.checkpoint),
                    version: self.versions,
                };
                if self.fortune(StoreWork::Save).applied {
                    self.store.checkpoint = Some(checkpoint);
                }
                self.moment(Moment::CheckpointSaved)?;
                if !self.lives(incarnation) {
                    return Ok(());
                }
                let takes = self.latency(request, 1).half() + self.slowness(StoreWork::Publish);
                let due = Due::Shelf {
                    incarnation,
                    request,
                    phase: 1,
                };
                self.queue.push(self.now + takes, due);
                Ok(())
            }
            Some(_) => self.apply(request),
        }
    }

    fn apply(&mut self, request: RequestId) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        let Some(work) = process.works.remove(&request) else {
            return Ok(());
        };
        match work {
            Work::Load(_) | Work::Making(_) | Work::Warming(_) => Ok(()),
            Work::Download {
                fetch,
                object,
                content,
                revision,
                look,
            } => {
                let formats = look.then(|| self.formats(&fetch)).flatten();
                self.put(request, (&fetch, formats), (&object, content), revision)
            }
            Work::Publish(publish, shown) => {
                let outcome = self.publish(&publish, shown)?;
                self.step(Event::Published { request, outcome })
            }
            Work::Delete(objects) => {
                let outcome = self.delete(&objects)?;
                self.step(Event::Deleted { request, outcome })
            }
            Work::Withdraw => {
                let Fortune { applied, answer } = self.fortune(StoreWork::Delete);
                if applied {
                    self.store.withdraw();
                    if self.has_rungs {
                        // Until one has enough, what the source has meanwhile is numbered and not shown.
                        self.led_to.clear();
                    }
                }
                self.step(Event::Withdrawn {
                    request,
                    outcome: answer,
                })
            }
            Work::Save(checkpoint) => {
                let Fortune { applied, answer } = self.fortune(StoreWork::Save);
                if applied {
                    self.store.checkpoint = Some(checkpoint);
                }
                self.step(Event::CheckpointSaved {
                    request,
                    outcome: answer,
                })
            }
            Work::Check(objects, keep) => {
                let outcome = match self.fortune(StoreWork::Check).answer {
                    Err(error) => Err(error),
                    Ok(()) => Ok(self.check(&objects, &keep)?),
                };
                self.step(Event::ObjectsChecked { request, outcome })
            }
        }
    }

    /// What a segment, or its init section, is found to be made of.
    fn formats(&self, fetch: &Fetch) -> Option<Result<Formats, Unreadable>> {
        let origin = &self.origins[fetch.origin];
        origin.formats_of(fetch.media.as_ref()?)
    }

    fn put(
        &mut self,
        request: RequestId,
        (fetch, formats): (&Fetch, Option<Result<Formats, Unreadable>>),
        (object, kind): (&ObjectName, Content),
        revision: u64,
    ) -> Held {
        let (origin, Some(media)) = (fetch.origin, fetch.media) else {
            return Ok(());
        };
        let Fortune { applied, answer } = self.fortune(StoreWork::Put);
        let segment = content(origin, &media, formats);
        let key = MediaKey::of(origin, &media);
        if applied {
            self.store.put(object.clone(), &segment);
            let media = (origin, media, fetch.key_url.is_some());
            self.ledger.stored(self.now, object, media, revision);
        }
        self.moment(Moment::SegmentStored)?;
        if self.process.is_none() {
            return Ok(());
        }
        let outcome = answer.map(|()| segment).map_err(FetchError::Store);
        match (kind, &outcome) {
            (Content::Segment, _) => {
                let failed = outcome.as_ref().err();
                self.ledger.downloaded(self.now, Some(key), failed);
            }
            (Content::InitSection | Content::Key, Err(error)) => {
                self.need_failed(kind, (origin, media.track), error);
            }
            (Content::InitSection | Content::Key, Ok(_)) => {}
        }
        self.step(Event::Downloaded { request, outcome })
    }

    fn publish(
        &mut self,
        publish: &Publish,
        shown: Shown,
    ) -> Result<Result<(), StoreError>, Violation> {
        let Fortune { applied, answer } = self.fortune(StoreWork::Publish);
        let names: Vec<PlaylistName> = shown.lists.iter().map(|it| it.0.clone()).collect();
        if applied {
            self.make_visible(publish, shown)?;
            self.moment(Moment::PublishApplied)?;
        }
        // The machine must take a version that it has no word of for one that nobody can see.
        let of_version = self.lists.iter_mut();
        of_version
            .filter(|(name, _)| names.contains(name))
            .for_each(|(_, list)| list.excuses.unpublished |= answer.is_err());
        Ok(answer)
    }

    fn delete(&mut self, objects: &[ObjectName]) -> Result<Result<(), StoreError>, Violation> {
        let Fortune { applied, answer } = self.fortune(StoreWork::Delete);
        if applied {
            for object in objects {
                self.store.objects.remove(object);
                self.forget(object)?;
            }
        }
        Ok(answer)
    }

    fn check(
        &mut self,
        objects: &[hls_relay_core::command::ObjectCheck],
        keep: &[ObjectName],
    ) -> Result<Vec<hls_relay_core::command::ObjectCheck>, Violation> {
        let before: Vec<ObjectName> = self.store.objects.keys().cloned().collect();
        let there = self.store.check(objects, keep);
        let gone = before.iter();
        let gone: Vec<_> = gone
            .filter(|it| !self.store.objects.contains_key(*it))
            .collect();
        gone.into_iter().try_for_each(|it| self.forget(it))?;
        Ok(there)
    }

    /// An object is gone by the machine's own doing.
    fn forget(&mut self, object: &ObjectName) -> Held {
        self.ledger.deleted(object);
        if let Some(process) = &mut self.process {
            process.generations.deleted(object);
        }
        self.edges.deleted(object);
        // Who takes over counts the time of what has left the lists anew, and of several lists one may be the longest.
        let counted = self.has_one_list() && self.incarnations == 1;
        let calm = counted && self.calm_for(self.settling());
        let late = calm.then(|| self.target() + DELETED_WITHIN);
        self.keep.deleted(object, self.now, late)
    }
}
