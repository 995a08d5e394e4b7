//! The store does its work: at one instant each, and not always with a word about it.

use super::{Due, World};
use crate::checks::ledger::MediaKey;
use crate::checks::list::Excuses;
use crate::checks::{Held, broken, tracks};
use crate::plan::Moment;
use crate::process::{Fetch, Work, content};
use crate::published::{self, Version};
use crate::store::{Saved, StoreFaultKind, StoreWork};
use hls_relay_core::command::Publish;
use hls_relay_core::event::{Desired, Event, FetchError, StoreError};
use hls_relay_core::ids::{ObjectName, PlaylistName, RequestId};
use hls_relay_core::time::Span;
use std::sync::Arc;

impl World {
    /// What the store takes for one piece of work, faults aside.
    pub(super) fn store_latency(&mut self) -> Span {
        let jitter = self.plan.store.jitter.as_micros();
        self.plan.store.latency + Span::from_micros(self.draw(jitter + 1))
    }

    /// Begins a piece of work. A publish has two phases, the checkpoint first.
    pub(super) fn store_work(&mut self, request: RequestId, work: Work, kind: StoreWork) {
        let latency = self.store_latency();
        let slow = match self.plan.store.fault(self.now, kind) {
            Some(StoreFaultKind::Slow(by)) => by,
            Some(_) | None => Span::ZERO,
        };
        let phase = u8::from(!matches!(work, Work::Publish(..)));
        let Some(process) = self.process.as_mut() else {
            return;
        };
        process.works.insert(request, work);
        let incarnation = process.incarnation;
        let takes = if phase == 0 {
            latency.half()
        } else {
            latency + slow
        };
        self.queue.push(
            self.now + takes,
            Due::Shelf {
                incarnation,
                request,
                phase,
            },
        );
    }

    /// Reads a playlist as viewers will, once for all of them.
    pub(super) fn parse(
        &mut self,
        publish: &Publish,
    ) -> Result<Arc<Version>, crate::checks::Violation> {
        self.versions += 1;
        let before = self.list.last().map(Arc::as_ref);
        let text = publish.entry().map_or_else(|| "".into(), Arc::clone);
        match published::parse(self.versions, self.now, &text, before) {
            Ok(version) => Ok(Arc::new(version)),
            Err(why) => Err(crate::checks::Violation {
                invariant: "S-01 every version is a good playlist".to_owned(),
                expected: "a playlist without a fault".to_owned(),
                got: format!("{why}\n{text}"),
            }),
        }
    }

    /// A phase of a piece of work is due.
    pub(super) fn shelf(&mut self, request: RequestId, phase: u8) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        let incarnation = process.incarnation;
        match process.works.get(&request) {
            None => Ok(()),
            Some(Work::Publish(publish, version)) if phase == 0 => {
                // A checkpoint that cannot be saved does not stop the playlist.
                let checkpoint = Saved {
                    checkpoint: Arc::clone(&publish.checkpoint),
                    version: version.number,
                };
                let saved = self.plan.store.fault(self.now, StoreWork::Save);
                let applied = self.applies(saved);
                if applied {
                    self.store.checkpoint = Some(checkpoint);
                }
                self.moment(Moment::CheckpointSaved)?;
                if !self.lives(incarnation) {
                    return Ok(());
                }
                let latency = self.store_latency().half();
                let slow = match self.plan.store.fault(self.now, StoreWork::Publish) {
                    Some(StoreFaultKind::Slow(by)) => by,
                    Some(_) | None => Span::ZERO,
                };
                let due = Due::Shelf {
                    incarnation,
                    request,
                    phase: 1,
                };
                self.queue.push(self.now + latency + slow, due);
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
            Work::Load(_) => Ok(()),
            Work::Download {
                fetch,
                object,
                revision,
            } => self.put(request, &fetch, &object, revision),
            Work::Publish(publish, version) => {
                let outcome = self.publish(&publish, version)?;
                self.step(Event::Published { request, outcome })
            }
            Work::Delete(objects) => {
                let outcome = self.delete(&objects)?;
                self.step(Event::Deleted { request, outcome })
            }
            Work::Withdraw => {
                let fault = self.plan.store.fault(self.now, StoreWork::Delete);
                if self.applies(fault) {
                    self.store.playlists.clear();
                }
                self.step(Event::Withdrawn {
                    request,
                    outcome: answer(fault),
                })
            }
            Work::Save(checkpoint) => {
                let fault = self.plan.store.fault(self.now, StoreWork::Save);
                if self.applies(fault) {
                    self.store.checkpoint = Some(checkpoint);
                }
                self.step(Event::CheckpointSaved {
                    request,
                    outcome: answer(fault),
                })
            }
            Work::Check(objects, keep) => {
                let fault = self.plan.store.fault(self.now, StoreWork::Check);
                let outcome = match answer(fault) {
                    Err(error) => Err(error),
                    Ok(()) => Ok(self.check(&objects, &keep)?),
                };
                self.step(Event::ObjectsChecked { request, outcome })
            }
        }
    }

    fn put(
        &mut self,
        request: RequestId,
        fetch: &Fetch,
        object: &ObjectName,
        revision: u64,
    ) -> Held {
        let (origin, Some(media)) = (fetch.origin, fetch.media) else {
            return Ok(());
        };
        let fault = self.plan.store.fault(self.now, StoreWork::Put);
        let segment = content(origin, &media);
        let key = MediaKey {
            origin,
            run: media.run,
            number: media.number,
        };
        if self.applies(fault) {
            self.store.put(object.clone(), &segment);
            self.ledger.stored(object, origin, media, revision);
        }
        self.moment(Moment::SegmentStored)?;
        if self.process.is_none() {
            return Ok(());
        }
        let outcome = answer(fault).map(|()| segment).map_err(FetchError::Store);
        self.ledger.downloaded(Some(key), outcome.as_ref().err());
        self.step(Event::Downloaded { request, outcome })
    }

    fn publish(
        &mut self,
        publish: &Publish,
        version: Arc<Version>,
    ) -> Result<Result<(), StoreError>, crate::checks::Violation> {
        let fault = self.plan.store.fault(self.now, StoreWork::Publish);
        if self.applies(fault) {
            self.make_visible(publish, version)?;
            self.moment(Moment::PublishApplied)?;
        }
        // The machine must take a version that it has no word of for one that nobody can see.
        let outcome = answer(fault);
        self.excuses.unpublished |= outcome.is_err();
        Ok(outcome)
    }

    /// A version is visible for all viewers from now on.
    fn make_visible(&mut self, publish: &Publish, version: Arc<Version>) -> Held {
        let version = Arc::new(Version {
            at: self.now,
            ..Version::clone(&version)
        });
        self.excuses.calm = self.calm_for(self.settling());
        self.excuses.unpublished |= self.ledger.numbers_unseen();
        self.excuses.head_lost = self.is_head_lost(&version);
        self.excuses.asked = self.ledger.asked_for(&version);
        self.list.visible(&version, self.excuses)?;
        let stopping = self.wish.desired == Desired::Stop;
        self.keep.visible(&version, &self.store, stopping)?;
        let window = self.wish.spec.window;
        self.ledger
            .visible(self.now, &version, &self.origins, window)?;
        checkpoint_agrees(publish, &version)?;
        self.excuses = Excuses::default();
        if self.options.story {
            let line = self.ledger.story(&version);
            self.tell_line(&line);
        }
        let entry = PlaylistName(PlaylistName::ENTRY.into());
        self.store.playlists.insert(entry, version);
        let playlists = self.store.playlists.iter();
        let visible: Vec<_> = playlists.map(|(name, it)| (&*name.0, &**it)).collect();
        tracks::together(&visible)
    }

    /// Whether the segment that stood right before this version's first is not there any more.
    fn is_head_lost(&self, version: &Version) -> bool {
        let number = version.media_sequence.checked_sub(1);
        let before = number.and_then(|number| self.list.last()?.segment(number));
        before.is_some_and(|before| {
            let there = self.store.objects.get(&ObjectName(Arc::clone(&before.uri)));
            there.copied() != self.keep.content(&before.uri)
        })
    }

    fn delete(
        &mut self,
        objects: &[ObjectName],
    ) -> Result<Result<(), StoreError>, crate::checks::Violation> {
        let fault = self.plan.store.fault(self.now, StoreWork::Delete);
        if self.applies(fault) {
            for object in objects {
                self.store.objects.remove(object);
                self.ledger.deleted(object);
                self.keep.deleted(object, self.now)?;
            }
        }
        Ok(answer(fault))
    }

    fn check(
        &mut self,
        objects: &[hls_relay_core::command::ObjectCheck],
        keep: &[ObjectName],
    ) -> Result<Vec<hls_relay_core::command::ObjectCheck>, crate::checks::Violation> {
        let before: Vec<ObjectName> = self.store.objects.keys().cloned().collect();
        let there = self.store.check(objects, keep);
        for object in before
            .iter()
            .filter(|it| !self.store.objects.contains_key(*it))
        {
            self.ledger.deleted(object);
            self.keep.deleted(object, self.now)?;
        }
        Ok(there)
    }

    /// Whether a piece of work happens, whatever is said about it.
    fn applies(&mut self, fault: Option<StoreFaultKind>) -> bool {
        match fault {
            None | Some(StoreFaultKind::Slow(_)) => true,
            Some(StoreFaultKind::Failing | StoreFaultKind::Full) => false,
            Some(StoreFaultKind::ReplyLost) => self.draw(2) == 0,
        }
    }
}

fn answer(fault: Option<StoreFaultKind>) -> Result<(), StoreError> {
    fault.and_then(StoreFaultKind::error).map_or(Ok(()), Err)
}

/// A successor must find just what viewers see.
fn checkpoint_agrees(publish: &Publish, version: &Version) -> Held {
    let checkpoint = &publish.checkpoint;
    let Some(track) = checkpoint.tracks.first() else {
        return broken(
            "S-70 the checkpoint says what viewers see",
            "a track".to_owned(),
            "none".to_owned(),
        );
    };
    let saved = (
        track.media_sequence,
        track.discontinuity_sequence,
        track.window.len(),
        checkpoint.ended,
        checkpoint.target_duration.as_micros(),
    );
    let seen = (
        version.media_sequence,
        version.discontinuity_sequence,
        version.segments.len(),
        version.ended,
        version.target().as_micros(),
    );
    if saved == seen {
        return Ok(());
    }
    broken(
        "S-70 the checkpoint says what viewers see",
        format!("{seen:?}"),
        format!("{saved:?}"),
    )
}
