//! Stage three: from a segment as it was downloaded to one as it is published.
//!
//! Every segment passes here. The rungs of a ladder and the preload of edges will start here and be
//! joined here, with a deadline; a channel without them has one rendition, the source's own, which
//! only changes its address: its object's name, and keys and init sections under absolute URLs.

use crate::checkpoint::{Identity, SavedObject};
use crate::downloader::Done;
use crate::ids::ObjectName;
use crate::loader::history::Lost;
use crate::loader::resolve;
use crate::notice::{Break, HoleCause};
use crate::playlist::{Key, Map, Segment};
use crate::time::Timestamp;
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
    pub(crate) identity: Identity,
    /// The run of the encoder, counted by its loader.
    pub(crate) run: u64,
    /// A discontinuity that the source itself did not put here.
    pub(crate) broken: Option<Break>,
    /// What was lost right before it.
    pub(crate) lost: Option<Lost>,
    /// When it appeared at its source, as far as is known.
    pub(crate) appeared: Timestamp,
}

/// Brings a segment into the form in which it is published.
pub(crate) fn process(done: Done) -> Processed {
    match done {
        Done::Segment { offered, stored } => {
            let mut segment = offered.segment;
            let stored = stored.map(|(object, stored)| {
                segment.uri = Arc::clone(&object.0);
                SavedObject {
                    object,
                    length: stored.length,
                    hash: stored.hash,
                }
            });
            segment.gap = stored.is_none();
            Processed::Segment(Finished {
                segment: readdressed(segment, &offered.base),
                stored,
                identity: offered.identity,
                run: offered.run,
                broken: offered.broken,
                lost: offered.lost,
                appeared: offered.first_listed - offered.lag,
            })
        }
        Done::Hole { offered, cause } => Processed::Hole {
            lost: Finished {
                segment: Segment {
                    gap: true,
                    ..readdressed(offered.segment, &offered.base)
                },
                stored: None,
                identity: offered.identity,
                run: offered.run,
                broken: offered.broken,
                lost: offered.lost,
                appeared: offered.first_listed - offered.lag,
            },
            cause,
        },
        Done::Again { object, restored } => Processed::Again { object, restored },
    }
}

/// Each segment is an object of its own, so its byte range goes; keys and init sections stay at their
/// origin, under absolute URLs.
fn readdressed(mut segment: Segment, base: &str) -> Segment {
    segment.byte_range = None;
    if segment.keys.is_empty() && segment.map.is_none() {
        return segment;
    }
    let Ok(base) = Url::parse(base) else {
        return segment;
    };
    let number = segment.media_sequence;
    segment.keys = segment
        .keys
        .iter()
        .map(|key| absolute_key(key, &base, number))
        .collect();
    segment.map = segment.map.map(|map| {
        Arc::new(Map {
            uri: absolute(&base, &map.uri),
            keys: map
                .keys
                .iter()
                .map(|key| absolute_key(key, &base, number))
                .collect(),
            ..Map::clone(&map)
        })
    });
    segment
}

/// A segment without an IV attribute is decrypted by its media sequence number; ours is another
/// one, so the source's is written down (RFC 8216 5.2, S-33).
fn absolute_key(key: &Key, base: &Url, media_sequence: u64) -> Key {
    let mut attributes = key.attributes.clone();
    if let Some(uri) = key.uri() {
        attributes = attributes.with_quoted("URI", &absolute(base, uri));
    }
    let by_number =
        key.iv().is_none() && key.keyformat() == "identity" && key.method() == "AES-128";
    if by_number {
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
