//! From a segment as it was downloaded to the form in which it is published: it, and what it needs, stand under our names,
//! or under absolute ones at their origin.

use super::work::MadeRung;
use crate::checkpoint::{Identity, SavedObject};
use crate::config::KeyPolicy;
use crate::downloader::{Done, is_placed, is_replaced};
use crate::formats::Formats;
use crate::ids::ObjectName;
use crate::loader::history::Lost;
use crate::loader::{Offered, resolve};
use crate::notice::{Break, HoleCause};
use crate::playlist::{Key, Map, Segment};
use crate::time::{Place, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// What the publisher takes, in the order of the media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Processed {
    /// All of it is stored, or it is a gap of the source's own.
    Segment(Finished),
    /// It is lost; what stood around it is not.
    Hole { lost: Finished, cause: HoleCause },
    /// A segment listed before our restart is there again, or is lost.
    Again { object: ObjectName, restored: bool },
}

/// A segment in the form in which it is published, but for its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) segment: Segment,
    /// `None` for a gap.
    pub(crate) stored: Option<SavedObject>,
    /// What it needs, in the order of its tags.
    pub(crate) resources: Vec<SavedObject>,
    /// What was made of it.
    pub(crate) rungs: Vec<MadeRung>,
    /// What it is made of, where a worker has told.
    pub(crate) formats: Option<Formats>,
    pub(crate) identity: Identity,
    /// The run of the encoder, counted by its loader.
    pub(crate) run: u64,
    /// A discontinuity that the source itself did not put here.
    pub(crate) broken: Option<Break>,
    /// What was lost right before it.
    pub(crate) lost: Option<Lost>,
    /// When it appeared at its source, as far as is known.
    pub(crate) appeared: Timestamp,
    /// Where it begins on the channel's axis, where that has several tracks.
    pub(crate) place: Option<Place>,
}

impl Finished {
    /// What was offered, with nothing of it stored.
    fn gap(offered: Offered, keys: KeyPolicy, resources: &[SavedObject]) -> Self {
        Self {
            segment: Segment {
                gap: true,
                ..readdressed(offered.segment, &offered.base, keys, resources)
            },
            stored: None,
            resources: Vec::new(),
            rungs: Vec::new(),
            formats: None,
            identity: offered.identity,
            run: offered.run,
            broken: offered.broken,
            lost: offered.lost,
            appeared: offered.first_listed - offered.lag,
            place: offered.place,
        }
    }
}

/// Brings a segment into the form in which it is published.
pub(crate) fn process(done: Done) -> Processed {
    match done {
        Done::Segment {
            offered,
            stored,
            resources,
            rungs,
            formats,
            keys,
        } => {
            let mut finished = Finished::gap(offered, keys, &resources);
            if let Some((object, stored)) = stored {
                finished.segment.uri = Arc::clone(&object.0);
                finished.segment.gap = false;
                finished.stored = Some(SavedObject {
                    object,
                    length: stored.length,
                    hash: stored.hash,
                });
            }
            Processed::Segment(Finished {
                resources,
                rungs,
                formats,
                ..finished
            })
        }
        Done::Hole { offered, cause } => Processed::Hole {
            lost: Finished::gap(offered, KeyPolicy::Origin, &[]),
            cause,
        },
        Done::Again { object, restored } => Processed::Again { object, restored },
    }
}

/// Each segment and each init section is an object of its own, so byte ranges go; keys are re-hosted, go
/// with the encryption, or stay at their origin under absolute URLs.
fn readdressed(
    mut segment: Segment,
    base: &str,
    keys: KeyPolicy,
    resources: &[SavedObject],
) -> Segment {
    segment.byte_range = None;
    if segment.keys.is_empty() && segment.map.is_none() {
        return segment;
    }
    let Ok(base) = Url::parse(base) else {
        return segment;
    };
    let number = segment.media_sequence;
    // In the order in which the downloader has asked for them.
    let mut resources = resources.iter();
    let placed = segment.map.as_deref().filter(|it| is_placed(it));
    let map_object = placed.and_then(|_| resources.next());
    let mut readdress = |in_force: &[Key]| -> Arc<[Key]> {
        let mut readdressed = Vec::new();
        // The other keys are other ways to have the same key (RFC 8216 4.3.2.4).
        if keys == KeyPolicy::Decrypt && in_force.iter().any(|it| is_replaced(it, keys)) {
            return [].into();
        }
        for key in in_force {
            let object = is_replaced(key, keys).then(|| resources.next()).flatten();
            let object = object.map(|it| Arc::clone(&it.object.0));
            readdressed.push(moved_key(key, &base, number, object));
        }
        readdressed.into()
    };
    segment.map = segment.map.map(|map| {
        Arc::new(Map {
            uri: map_object.map_or_else(
                || absolute(&base, &map.uri),
                |object| Arc::clone(&object.object.0),
            ),
            byte_range: map.byte_range.filter(|_| map_object.is_none()),
            keys: readdress(&map.keys),
            ..Map::clone(&map)
        })
    });
    segment.keys = readdress(&segment.keys);
    segment
}

/// A segment without an IV attribute is decrypted by its media sequence number; ours is another
/// one, so the source's is written down (RFC 8216 5.2, S-33).
fn moved_key(key: &Key, base: &Url, media_sequence: u64, object: Option<Arc<str>>) -> Key {
    let mut attributes = key.attributes.clone();
    if let Some(uri) = key.uri() {
        let uri = object.unwrap_or_else(|| absolute(base, uri));
        attributes = attributes.with_quoted("URI", &uri);
    }
    let by_number = matches!(key.method(), "AES-128" | "SAMPLE-AES");
    if by_number && key.iv().is_none() && key.keyformat() == "identity" {
        attributes = attributes.with_plain("IV", &format!("0x{media_sequence:032X}"));
    }
    Key { attributes }
}

/// Other schemes than http (skd:, data:) mean something to the player: they stay as they are.
fn absolute(base: &Url, uri: &str) -> Arc<str> {
    match resolve(base, uri) {
        Ok(url) => String::from(url).into(),
        Err(_) => uri.into(),
    }
}
