//! What has left the list and must stay fetchable for its time (RFC 8216 6.2.2, S-09), and the end
//! of a presentation (S-46).

use crate::checkpoint::RetiredObject;
use crate::command::Command;
use crate::config;
use crate::event::StoreError;
use crate::ids::{ObjectName, RequestId};
use crate::notice::{Notice, StoreWork};
use crate::stage::Stage;
use crate::time::{Now, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Objects that wait for their end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Retention {
    waiting: VecDeque<Retired>,
    /// Not deleted for now, as what is to come will name it.
    held: Vec<ObjectName>,
    deleting: Option<(RequestId, Vec<ObjectName>)>,
    /// The list ends with EXT-X-ENDLIST and may be taken down then.
    take_down_at: Option<Timestamp>,
    withdrawing: Option<RequestId>,
    withdraw_again_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Retired {
    object: ObjectName,
    delete_at: Timestamp,
}

impl Retention {
    /// What already waits does so for the longer of both.
    pub(crate) fn retire(&mut self, object: ObjectName, delete_at: Timestamp) {
        let mut waiting = self.waiting.iter_mut();
        match waiting.find(|it| it.object == object) {
            Some(it) => it.delete_at = it.delete_at.max(delete_at),
            None => self.waiting.push_back(Retired { object, delete_at }),
        }
    }

    /// It is listed again.
    pub(super) fn keep(&mut self, object: &ObjectName) {
        self.waiting.retain(|it| it.object != *object);
    }

    pub(super) fn is_waiting(&self, object: &ObjectName) -> bool {
        self.waiting.iter().any(|it| it.object == *object)
    }

    /// Nothing of this is deleted, and of nothing else, until told anew.
    pub(crate) fn hold<'a>(&mut self, objects: impl Iterator<Item = &'a ObjectName>) {
        self.held.clear();
        self.held.extend(objects.cloned());
    }

    /// When it may be deleted; `None` while it is held.
    fn due(&self, it: &Retired) -> Option<Timestamp> {
        (!self.held.contains(&it.object)).then_some(it.delete_at)
    }

    /// A closed list is visible; what it lists stays until `until`.
    pub(super) fn list_ended(&mut self, until: Timestamp) {
        self.take_down_at = Some(until);
    }

    pub(crate) fn take_down_at(&self) -> Option<Timestamp> {
        self.take_down_at
    }

    pub(super) fn is_withdrawing(&self) -> bool {
        self.withdrawing.is_some() || self.withdraw_again_at.is_some()
    }

    /// Takes the list down, and after it what it listed.
    pub(super) fn withdraw(
        &mut self,
        stage: &mut Stage<'_>,
        objects: impl IntoIterator<Item = ObjectName>,
    ) {
        self.take_down_at = None;
        for object in objects {
            self.retire(object, stage.now.monotonic);
        }
        self.send_withdraw(stage);
    }

    fn send_withdraw(&mut self, stage: &mut Stage<'_>) {
        let request = stage.request();
        self.withdrawing = Some(request);
        self.withdraw_again_at = None;
        stage.commands.push(Command::Withdraw {
            request,
            epoch: stage.epoch,
        });
    }

    /// Deletes what is due, one batch at a time; nothing while the list that names it may be visible.
    pub(crate) fn advance(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now.monotonic;
        if self.withdraw_again_at.is_some_and(|at| at <= now) {
            self.send_withdraw(stage);
        }
        let is_due = |it: &Retired| self.due(it).is_some_and(|at| at <= now);
        let due = self.waiting.iter().any(is_due);
        if !due || self.deleting.is_some() || self.is_withdrawing() {
            return;
        }
        let (due, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|it: &Retired| self.due(it).is_some_and(|at| at <= now));
        self.waiting = waiting;
        let objects: Vec<ObjectName> = VecDeque::into_iter(due).map(|it| it.object).collect();
        let request = stage.request();
        self.deleting = Some((request, objects.clone()));
        stage.commands.push(Command::Delete {
            request,
            epoch: stage.epoch,
            objects,
        });
    }

    /// When the next object may be deleted, or the store be asked again.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        if self.withdraw_again_at.is_some() {
            return self.withdraw_again_at;
        }
        if self.deleting.is_some() || self.withdrawing.is_some() {
            return None;
        }
        self.waiting.iter().filter_map(|it| self.due(it)).min()
    }

    /// Takes a completion; `false` where the request is another's.
    pub(crate) fn deleted(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<(), StoreError>,
    ) -> bool {
        let Some((_, objects)) = self.deleting.take_if(|(own, _)| *own == request) else {
            return false;
        };
        if let Err(error) = outcome {
            let (what, error) = (StoreWork::Delete, error.clone());
            stage.notify(Notice::StoreFailed { what, error });
            let again = stage.now.monotonic + config::DELETE_RETRY;
            objects
                .into_iter()
                .for_each(|object| self.retire(object, again));
        }
        true
    }

    /// Takes a completion; `false` where the request is another's.
    pub(crate) fn withdrawn(
        &mut self,
        stage: &mut Stage<'_>,
        request: RequestId,
        outcome: &Result<(), StoreError>,
    ) -> bool {
        if self.withdrawing.take_if(|own| *own == request).is_none() {
            return false;
        }
        if let Err(error) = outcome {
            let (what, error) = (StoreWork::Withdraw, error.clone());
            stage.notify(Notice::StoreFailed { what, error });
            self.withdraw_again_at = Some(stage.now.monotonic + config::PUBLISH_RETRY);
        }
        true
    }

    /// What is not to be deleted as a left-over.
    pub(super) fn waiting_objects(&self) -> Vec<ObjectName> {
        self.waiting.iter().map(|it| it.object.clone()).collect()
    }

    /// For a checkpoint: in wall time.
    pub(super) fn saved(&self, now: Now) -> Vec<RetiredObject> {
        let waiting = self.waiting.iter().map(|it| RetiredObject {
            object: it.object.clone(),
            keep_until: now.wall + it.delete_at.since(now.monotonic),
        });
        let deleting = self.deleting.iter().flat_map(|(_, objects)| objects);
        let deleting = deleting.map(|object| RetiredObject {
            object: object.clone(),
            keep_until: now.wall,
        });
        waiting.chain(deleting).collect()
    }

    /// From a checkpoint.
    pub(super) fn restored(now: Now, retired: &[RetiredObject]) -> Self {
        let mut retention = Self::default();
        for it in retired {
            let left: Span = it.keep_until.since(now.wall);
            retention.retire(it.object.clone(), now.monotonic + left);
        }
        retention
    }
}
