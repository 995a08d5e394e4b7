//! What cannot be taken back once it is stated: it holds for every segment behind, so that those whose source
//! does not state it need something that is true.

use super::entry::Entry;
use super::window::Window;
use crate::checkpoint::SavedObject;
use crate::playlist::{AttributeList, ByteRange, Map};
use std::sync::Arc;

/// The tables of a transport stream stand in its first packets: those of its programs, and, of some encoders,
/// one of its services before them.
const TABLES: u64 = 3 * 188;

impl Window {
    /// EXT-X-BITRATE cannot be taken back (C-58): once it was said of one segment it is of all. Of those
    /// whose source does not say it, it is what they have; of gaps, what it was before.
    pub(super) fn state_bit_rate(&self, entry: &mut Entry) {
        let before = self.entries.back().and_then(|it| it.segment.bit_rate);
        let Some(before) = before.filter(|_| entry.segment.bit_rate.is_none() || entry.segment.gap)
        else {
            return;
        };
        let micros = entry.segment.duration.as_micros();
        let bits = |it: &SavedObject| it.length.saturating_mul(8_000).checked_div(micros);
        let measured = entry.stored.as_ref().and_then(bits);
        entry.segment.bit_rate = Some(measured.map_or(before, |it| it.max(1)));
    }

    /// EXT-X-MAP cannot be taken back (RFC 8216 4.3.2.5): a transport stream behind fragmented MP4 would be
    /// read with that one's init section. Its own is its tables (RFC 8216 3.2), and each of its segments begins
    /// with them, so that one of them serves all.
    pub(super) fn state_init_section(&self, entry: &mut Entry) {
        let Some(stored) = entry.stored.as_ref() else {
            return;
        };
        let in_the_clear = entry.segment.keys.is_empty() && stored.object.0.ends_with(".ts");
        if entry.segment.map.is_some() || !in_the_clear || stored.length < TABLES {
            return;
        }
        let mut stated = self
            .entries
            .iter()
            .rev()
            .filter(|it| it.segment.map.is_some());
        if stated.next().is_none_or(Entry::is_its_own_init_section) {
            return;
        }
        entry.segment.map = Some(Arc::new(Map {
            uri: Arc::clone(&stored.object.0),
            byte_range: Some(ByteRange {
                offset: 0,
                length: TABLES,
            }),
            attributes: AttributeList::default(),
            keys: [].into(),
        }));
    }
}

impl Entry {
    /// It begins with what it and those behind it are read with.
    pub(super) fn is_its_own_init_section(&self) -> bool {
        let map = self.segment.map.as_ref().map(|map| &map.uri);
        map.is_some() && map == self.stored.as_ref().map(|it: &SavedObject| &it.object.0)
    }
}
