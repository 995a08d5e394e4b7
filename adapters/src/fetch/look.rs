//! What media is made of, read from its first bytes: for a multivariant playlist whose source does not say.
//!
//! The bytes are strangers': each reader is bounded by what it is given, nothing is read twice, and what
//! cannot be read is told as such and costs the segment nothing.

mod elementary;
mod mp4;
mod ts;

use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::limits;
use hls_relay_core::playlist::Resolution;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A format by its name, and the size of its picture.
type Format = (Arc<str>, Option<Resolution>);

/// The first bytes of a download, as they come.
#[derive(Debug, Default)]
pub(super) struct Look {
    begins: Vec<u8>,
}

impl Look {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = limits::LOOKED_INTO_BYTES.saturating_sub(self.begins.len());
        self.begins
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// What they say.
    pub(super) fn tell(self) -> Result<Formats, Unreadable> {
        // Readers that are others' work, fed by strangers: their mistakes are no reason to lose a segment.
        catch_unwind(AssertUnwindSafe(|| formats_of(&self.begins)))
            .unwrap_or_else(|_| Err(Unreadable::Broken("its reader gave up".into())))
    }
}

fn formats_of(bytes: &[u8]) -> Result<Formats, Unreadable> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.starts_with(b"WEBVTT") {
        // Text in the open needs no decoder, and CODECS does not list it.
        return Ok(Formats::default());
    }
    if crate::mpegts::is_one(bytes) {
        return ts::formats(bytes);
    }
    if mp4::is_one(bytes) {
        return mp4::formats(bytes);
    }
    let codec = elementary::audio(elementary::behind_id3(bytes)).ok_or(Unreadable::Container)?;
    Ok(Formats {
        codecs: vec![codec],
        resolution: None,
        frame_rate: None,
    })
}

#[cfg(test)]
mod tests;
