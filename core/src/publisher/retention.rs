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
use std::collections::BTreeMap;

/// Objects that wait for their end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// And when that is: each waits once.
    #[serde(with = "as_list")]
    waiting: BTreeMap<ObjectName, Timestamp>,
    /// Not deleted for now, as what is to come will name it.
    held: Vec<ObjectName>,
    deleting: Option<(RequestId, Vec<ObjectName>)>,
    /// The list ends with EXT-X-ENDLIST and may be taken down then.
    take_down_at: Option<Timestamp>,
    withdrawing: Option<RequestId>,
    withdraw_again_at: Option<Timestamp>,
}

impl Retention {
    /// What already waits does so for the longer of both.
    pub(crate) fn retire(&mut self, object: ObjectName, delete_at: Timestamp) {
        let known = self.waiting.entry(object).or_insert(delete_at);
        *known = delete_at.max(*known);
    }

    /// It is listed again.
    pub(super) fn keep(&mut self, object: &ObjectName) {
        self.waiting.remove(object);
    }

    pub(super) fn is_waiting(&self, object: &ObjectName) -> bool {
        self.waiting.contains_key(object)
    }

    /// Nothing of this is deleted, and of nothing else, until told anew.
    pub(crate) fn hold<'a>(&mut self, objects: impl Iterator<Item = &'a ObjectName>) {
        self.held.clear();
        self.held.extend(objects.cloned());
    }

    /// What may be deleted, and when: nothing that is held.
    fn deletable(&self) -> impl Iterator<Item = (&ObjectName, Timestamp)> {
        let waiting = self.waiting.iter().map(|(object, at)| (object, *at));
        waiting.filter(|(object, _)| !self.held.contains(object))
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
        if self.deleting.is_some() || self.is_withdrawing() {
            return;
        }
        let due = self.deletable().filter(|(_, at)| *at <= now);
        let objects: Vec<ObjectName> = due.map(|(object, _)| object.clone()).collect();
        if objects.is_empty() {
            return;
        }
        for object in &objects {
            self.waiting.remove(object);
        }
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
        self.deletable().map(|it| it.1).min()
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
        self.waiting.keys().cloned().collect()
    }

    /// For a checkpoint: in wall time.
    pub(super) fn saved(&self, now: Now) -> Vec<RetiredObject> {
        let waiting = self.waiting.iter().map(|(object, at)| RetiredObject {
            object: object.clone(),
            keep_until: now.wall + at.since(now.monotonic),
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

/// How journals have what waits: a list of objects with their times.
mod as_list {
    use super::{BTreeMap, ObjectName, Timestamp};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Retired {
        object: ObjectName,
        delete_at: Timestamp,
    }

    pub(super) fn serialize<S: Serializer>(
        waiting: &BTreeMap<ObjectName, Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(waiting.iter().map(|(object, delete_at)| Retired {
            object: object.clone(),
            delete_at: *delete_at,
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<ObjectName, Timestamp>, D::Error> {
        let list = Vec::<Retired>::deserialize(deserializer)?;
        Ok(list
            .into_iter()
            .map(|it| (it.object, it.delete_at))
            .collect())
    }
}
