//! Segments for their time: nothing is listed before it is stored (S-11), nothing is deleted before
//! RFC 8216 6.2.2 allows it (S-09), no name is used for two contents (S-65).

use super::{Held, Violation, broken};
use crate::by_name::ByName;
use crate::published::{Listed, Version};
use crate::store::{Object, Store};
use hls_relay_core::ids::{ObjectName, PlaylistName};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is promised for each name.
#[derive(Debug, Default)]
pub struct KeepChecks {
    lives: ByName<Life>,
    /// What each playlist lists now, gaps left out.
    listed: BTreeMap<PlaylistName, Vec<Arc<Listed>>>,
    /// What segments are read with.
    needs: BTreeMap<Arc<str>, Object>,
    deleted: u64,
}

/// One name, from its first listing on.
#[derive(Debug)]
struct Life {
    object: Object,
    duration: Span,
    longest: Span,
    /// Since when viewers need it no more than for its time.
    removed_at: Option<Timestamp>,
    /// Lost with a process; nobody can be blamed for what comes now.
    lost: bool,
    /// The objects that it is read with: they are there for as long as it is.
    needs: Vec<Arc<str>>,
}

impl KeepChecks {
    /// A version becomes visible.
    pub fn visible(
        &mut self,
        (playlist, version): (&PlaylistName, &Version),
        store: &Store,
        stopping: bool,
    ) -> Held {
        let mut listed = Vec::with_capacity(version.segments.len());
        for segment in version.segments.iter().filter(|segment| !segment.gap) {
            // What is left at its origin has an address, and what is ours a name.
            let needs = segment.needs.uris().filter(|uri| !uri.contains("://"));
            let needs: Vec<Arc<str>> = needs.map(Arc::from).collect();
            for uri in &needs {
                let object = there(store, uri)?;
                let known = self.needs.entry(Arc::clone(uri)).or_insert(object);
                same(uri, *known, object)?;
            }
            let object = there(store, &segment.uri)?;
            let life = self.lives.get_or_insert_with(&segment.uri, || Life {
                object,
                duration: segment.duration,
                longest: Span::ZERO,
                removed_at: None,
                lost: false,
                needs,
            });
            same(&segment.uri, life.object, object)?;
            life.longest = life.longest.max(version.total);
            life.lost = false;
            // The end of the presentation by its owner's wish counts as the removal of all.
            life.removed_at = (stopping && version.ended).then_some(version.at);
            listed.push(Arc::clone(segment));
        }
        let before = self.listed.insert(playlist.clone(), listed);
        // As long as a segment is listed, it keeps its number (S-05).
        let stays = |it: &Listed| {
            let now = version.segment(it.number);
            now.is_some_and(|now| now.uri == it.uri && !now.gap)
        };
        for gone in before.iter().flatten().filter(|it| !stays(it)) {
            if !self.is_listed(&gone.uri)
                && let Some(life) = self.lives.get_mut(&gone.uri)
            {
                life.removed_at.get_or_insert(version.at);
            }
        }
        Ok(())
    }

    fn is_listed(&self, name: &str) -> bool {
        let mut listed = self.listed.values().flatten();
        listed.any(|segment| *segment.uri == *name)
    }

    /// The owner wants the channel stopped: a list that has ended already goes from now on.
    pub fn stop_wanted(&mut self, at: Timestamp, ended: bool) {
        for segment in self.listed.values().flatten().filter(|_| ended) {
            if let Some(life) = self.lives.get_mut(&segment.uri) {
                life.removed_at = Some(at);
            }
        }
    }

    /// The owner wants it to run again: what is listed stays.
    pub fn run_wanted(&mut self) {
        for segment in self.listed.values().flatten() {
            if let Some(life) = self.lives.get_mut(&segment.uri) {
                life.removed_at = None;
            }
        }
    }

    /// The machine wants the playlist taken away. What its owner wants from then on cannot stop that.
    pub fn withdrawn(&mut self, at: Timestamp) -> Held {
        std::mem::take(&mut self.listed)
            .values()
            .flatten()
            .try_for_each(|it| self.may_go(&it.uri, at, "S-46 the playlist stays for its time"))
    }

    /// An object goes away by our own doing; where nothing has gone wrong, at most so long after its time.
    pub fn deleted(&mut self, name: &ObjectName, at: Timestamp, late: Option<Span>) -> Held {
        if self.is_listed(&name.0) && self.lives.get(&name.0).is_some_and(|it| !it.lost) {
            return broken(
                "S-11 what is listed can be fetched",
                format!("{name} stays while it is listed"),
                "it is deleted",
            );
        }
        let kept = "S-09 a removed segment is kept for its time";
        self.may_go(&name.0, at, kept)?;
        if let (Some(late), Some(life)) = (late, self.lives.get(&name.0)) {
            life.goes_in_time(name, at, late)?;
        }
        if self.needs.remove(&name.0).is_some() {
            let reads = |life: &&Life| life.needs.contains(&name.0);
            let mut lives = self.lives.values().filter(reads);
            lives.try_for_each(|life| life.may_go(&name.0, at, kept))?;
        }
        self.deleted += 1;
        if self.deleted.is_multiple_of(64) {
            // Names are never used again, so what was deleted long ago can be forgotten.
            let old = |life: &Life| {
                life.removed_at
                    .is_some_and(|removed| at.since(removed) > life.longest * 20)
            };
            self.lives.retain(|life| !old(life));
        }
        Ok(())
    }

    /// The process is gone, and its memory with it.
    pub fn memory_lost(&mut self) {
        self.lives.values_mut().for_each(|life| life.lost = true);
        self.listed.clear();
    }

    /// The next process knows an older version than viewers have seen: not how long that one was.
    pub fn knowledge_lost(&mut self) {
        self.memory_lost();
        self.lives
            .values_mut()
            .for_each(|life| life.longest = Span::ZERO);
    }

    /// What may still be fetched by somebody who read a playlist in time: must it be there?
    pub fn promised(&self, name: &str, at: Timestamp) -> bool {
        self.lives.get(name).is_some_and(|life| {
            !life.lost
                && life
                    .removed_at
                    .is_none_or(|removed| at < removed + life.kept())
        })
    }

    /// It is gone with a process.
    pub fn is_lost(&self, name: &str) -> bool {
        self.lives.get(name).is_none_or(|life| life.lost)
    }

    /// What was listed under this name.
    pub fn content(&self, name: &str) -> Option<Object> {
        self.lives.get(name).map(|life| life.object)
    }

    fn may_go(&self, name: &str, at: Timestamp, invariant: &str) -> Held {
        let life = self.lives.get(name);
        life.map_or(Ok(()), |life| life.may_go(name, at, invariant))
    }
}

impl Life {
    /// How long it stays after its removal (RFC 8216 6.2.2).
    fn kept(&self) -> Span {
        self.duration + self.longest
    }

    /// Nobody needs it any more, and it fills the store.
    fn goes_in_time(&self, name: &ObjectName, at: Timestamp, late: Span) -> Held {
        let kept = self.kept();
        match self.removed_at {
            Some(removed) if !self.lost && at > removed + kept + late => broken(
                "what has left the lists is deleted once its time is over",
                format!("{name} at most {late} after {kept}"),
                format!("after {}", at.since(removed)),
            ),
            Some(_) | None => Ok(()),
        }
    }

    fn may_go(&self, name: &str, at: Timestamp, invariant: &str) -> Held {
        let kept = self.kept();
        match self.removed_at {
            _ if self.lost => Ok(()),
            Some(removed) if at >= removed + kept => Ok(()),
            Some(removed) => broken(
                invariant,
                format!("{name} kept for {} ms after its removal", kept.as_millis()),
                format!("gone after {} ms", at.since(removed).as_millis()),
            ),
            None => broken(
                invariant,
                format!("{name} removed from the playlist first"),
                "not yet",
            ),
        }
    }
}

/// Nothing is listed before it is stored.
fn there(store: &Store, name: &Arc<str>) -> Result<Object, Violation> {
    let object = store.objects.get(&**name);
    object.copied().ok_or_else(|| Violation {
        invariant: "S-11 nothing is listed before it is stored".to_owned(),
        expected: format!("an object named {name}"),
        got: "none".to_owned(),
    })
}

fn same(name: &str, known: Object, object: Object) -> Held {
    if known == object {
        return Ok(());
    }
    broken(
        "S-65 a name is used for one content",
        format!("{name} is {known:?}"),
        format!("{object:?}"),
    )
}
