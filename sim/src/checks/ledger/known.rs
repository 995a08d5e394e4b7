//! What is known of media, whoever publishes it: what this process was told of and how that went, what is stored and for whom.

use super::said::Failures;
use super::{AskedFor, MediaKey};
use crate::checks::pace::Asked;
use crate::origin::MediaRef;
use hls_relay_core::config::{HolePolicy, KeyPolicy};
use hls_relay_core::ids::ObjectName;
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// What is the same whoever publishes it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What each stored object is.
    pub(super) objects: BTreeMap<ObjectName, Stored>,
    /// What this process was told of, and how it went.
    pub(super) offers: BTreeMap<MediaKey, OfferState>,
    /// How that went, where it failed.
    pub(super) failures: Failures,
    /// Since that wish the channel has run from the same sources.
    pub(super) goes_on_since: u64,
    pub(super) longest_stored: Span,
    /// When something that segments are read with could last not be had.
    pub(super) need_failed_at: Option<Timestamp>,
    /// When a playlist of each track of each origin last came.
    pub(super) listed_at: BTreeMap<(usize, u16), Timestamp>,
    pub(super) policies: Policies,
    pub(super) keys: Keys,
    /// Some tags are dropped, or alone kept.
    pub(super) chooses_tags: bool,
    /// The present process.
    pub(super) process: u64,
    /// So often a process began without knowing what was listed.
    pub(super) losses: u64,
}

/// What the channel's owner wants of its lists.
#[derive(Debug, Default)]
pub(super) struct Policies {
    pub(super) window: usize,
    /// With so many segments a source begins.
    pub(super) begins_with: usize,
    pub(super) hole: HolePolicy,
    /// They are in force since then.
    pub(super) since: Timestamp,
}

/// What the channel's owner wants of keys, since then.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) policy: KeyPolicy,
    pub(super) since: Timestamp,
}

/// Who asked for a segment: a new run, another source or another process may repeat what an
/// earlier one has listed, and need not know why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asker {
    pub(super) process: u64,
    pub(super) wish: AskedFor,
}

/// A stored object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) key: MediaKey,
    pub(super) media: MediaRef,
    pub(super) asker: Asker,
    pub(super) at: Timestamp,
    /// Its key was taken off on the way.
    pub(super) decrypted: bool,
}

/// A segment that the source told this process of.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct OfferState {
    pub(in super::super) first: Timestamp,
    pub(in super::super) last: Timestamp,
    /// Of the first list that lists it.
    pub(super) asked: Option<Asked>,
    /// The target duration of the list that was first to list it.
    pub(in super::super) target_duration: Span,
    /// It stood first in that.
    pub(in super::super) at_head: bool,
    pub(super) failures: u32,
    /// When a download of it last came to an end.
    pub(super) ended: Option<Timestamp>,
    /// When the machine was first told that it is stored.
    pub(super) had: Option<Timestamp>,
}
