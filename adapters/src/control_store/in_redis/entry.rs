//! A channel as it stands in Redis, which strangers may have written.

use super::MOST_SPEC_BYTES;
use crate::api::view::ObservedView;
use crate::control_store::Told;
use crate::spec::ChannelSpec;
use ::redis::{Value, from_redis_value};
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Record, Writer};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The longest of the other fields; the status of a channel is the longest of them.
const MOST_FIELD_BYTES: usize = 16 << 10;
/// As many as the largest number has.
const MOST_REVISION_BYTES: usize = 20;
/// What is larger nobody has counted to, and soon a script takes a number and the next one for the same.
const MOST_REVISION: u64 = 1 << 52;

/// A channel that was looked at, before it is understood.
pub struct Found {
    fields: Vec<Option<Vec<u8>>>,
}

/// A channel, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is wanted of it.
    pub desired: Desired,
    /// Of the last change; 0 where whoever wrote it counts none.
    pub revision: u64,
    /// Who made it.
    pub writer: Writer,
    /// It is to be taken away by its owner.
    pub removed: bool,
    /// The incarnation of the node that has it.
    pub owner: Option<Arc<str>>,
    /// Counts its owners.
    pub epoch: u64,
    /// An owner is wanted for what it has published, also where it should stop.
    pub unfinished: bool,
}

/// In the order of `look.lua`.
#[derive(Clone, Copy)]
enum Field {
    Spec,
    Desired,
    Revision,
    Writer,
    Removed,
    Owner,
    Epoch,
    Status,
    Unfinished,
    ToldAgo,
}

/// What `look.lua` is told; spec and status are left out or not.
pub(super) fn limits(with_spec: bool) -> [Vec<u8>; 3] {
    let spec = if with_spec { MOST_SPEC_BYTES } else { 0 };
    [spec, MOST_REVISION_BYTES, MOST_FIELD_BYTES].map(|it| it.to_string().into_bytes())
}

impl Found {
    /// What `look.lua` has answered; `None` where there is no channel.
    pub(super) fn read(answer: Value) -> Option<Self> {
        if answer == Value::Nil {
            return None;
        }
        // What is no hash has no field.
        let fields: Vec<Value> = from_redis_value(answer).unwrap_or_default();
        let fields = fields.into_iter().map(|it| from_redis_value(it).ok());
        let fields = fields.collect();
        Some(Self { fields })
    }

    /// Its revision as it is written there: what guards a change.
    pub(super) fn guard(&self) -> &[u8] {
        self.bytes(Field::Revision).unwrap_or_default()
    }

    /// All but its spec.
    pub fn entry(&self) -> Result<Entry, String> {
        Ok(Entry {
            desired: self.word(Field::Desired, "desired", "run")?,
            revision: self.number(Field::Revision, "revision")?,
            writer: self.word(Field::Writer, "writer", "api")?,
            removed: self.flag(Field::Removed, "removed")?,
            owner: Some(self.text(Field::Owner, "owner")?)
                .filter(|it| !it.is_empty())
                .map(Arc::from),
            epoch: self.number(Field::Epoch, "epoch")?,
            unfinished: self.flag(Field::Unfinished, "unfinished").unwrap_or(true),
        })
    }

    /// It is to be taken away, and is none any more to those who ask.
    pub(super) fn is_removed(&self) -> bool {
        self.entry().is_ok_and(|it| it.removed)
    }

    /// All but its spec, and where that cannot be read whose it is, if that can be: viewers are led to him, as he goes on
    /// with what he knows.
    pub fn entry_or_owner(&self) -> Option<Entry> {
        let owned = || {
            Some(Entry {
                desired: Desired::Run,
                revision: 0,
                writer: Writer::Api,
                removed: false,
                owner: Some(self.text(Field::Owner, "owner").ok()?)
                    .filter(|it| !it.is_empty())
                    .map(Arc::from),
                epoch: self.number(Field::Epoch, "epoch").ok()?,
                unfinished: true,
            })
        };
        let is_owned = |it: &Entry| it.owner.is_some();
        self.entry().ok().or_else(|| owned().filter(is_owned))
    }

    /// What is wanted of it.
    pub fn record(&self) -> Result<Record<ChannelSpec>, String> {
        let entry = self.entry()?;
        // The words of the error may be those of the spec, and so a secret.
        let unread = |error: serde_json::Error| {
            let (what, at) = (error.classify(), error.column());
            format!("spec: {what:?} at {at}")
        };
        let spec: ChannelSpec =
            serde_json::from_str(self.text(Field::Spec, "spec")?).map_err(unread)?;
        spec.resolve().map_err(|fault| format!("spec.{fault}"))?;
        Ok(Record {
            revision: entry.revision,
            desired: entry.desired,
            writer: entry.writer,
            spec: Arc::new(spec),
        })
    }

    /// What its owner tells of it.
    pub fn told(&self) -> Told {
        let entry = self.entry().ok();
        let status = self.bytes(Field::Status);
        let mut status: Option<ObservedView> =
            status.and_then(|it| serde_json::from_slice(it).ok());
        let machine = status.as_mut().and_then(|it| it.machine.as_mut());
        if let Some(age) = machine.and_then(|it| it.newest_segment_age_ms.as_mut()) {
            let told_ago = self.number(Field::ToldAgo, "told_at").unwrap_or(0);
            *age = age.saturating_add(told_ago);
        }
        Told {
            owner: entry.as_ref().and_then(|it| it.owner.clone()),
            epoch: entry.map_or(0, |it| it.epoch),
            status,
            is_dead: false,
        }
    }

    /// How long its spec is.
    pub(super) fn length(&self) -> usize {
        self.bytes(Field::Spec).map_or(0, <[u8]>::len)
    }

    fn bytes(&self, field: Field) -> Option<&[u8]> {
        self.fields.get(field as usize)?.as_deref()
    }

    fn text(&self, field: Field, name: &str) -> Result<&str, String> {
        let bytes = match self.bytes(field) {
            Some(bytes) => bytes,
            None if self.fields.is_empty() => return Err("it is no hash".to_owned()),
            None => return Err(format!("{name} is too long")),
        };
        std::str::from_utf8(bytes).map_err(|_| format!("{name} is no text"))
    }

    fn word<T: DeserializeOwned>(
        &self,
        field: Field,
        name: &str,
        if_missing: &str,
    ) -> Result<T, String> {
        let text = match self.text(field, name)? {
            "" => if_missing,
            text => text,
        };
        let word = serde_json::Value::from(text);
        serde_json::from_value(word).map_err(|_| format!("{name} is none of its words"))
    }

    fn flag(&self, field: Field, name: &str) -> Result<bool, String> {
        match self.text(field, name)? {
            "" | "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(format!("{name} is neither 0 nor 1")),
        }
    }

    fn number(&self, field: Field, name: &str) -> Result<u64, String> {
        let text = match self.text(field, name)? {
            "" => "0",
            text => text,
        };
        let number = text.parse().ok().filter(|it| *it <= MOST_REVISION);
        number.ok_or_else(|| format!("{name} is no number up to {MOST_REVISION}"))
    }
}
