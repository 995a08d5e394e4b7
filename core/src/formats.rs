//! What media is made of, as the media itself tells it: for multivariant playlists that do not say.

use crate::playlist::Resolution;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The formats in a segment, or in what follows an init section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats {
    /// One for each, as RFC 6381 names it; none for text in the open, such as WebVTT.
    pub codecs: Vec<Arc<str>>,
    /// The size of the picture, where there is one.
    pub resolution: Option<Resolution>,
    /// Thousandths of a picture per second, where somebody has counted: 29,970 is 30000/1001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<u32>,
}

/// Why media that was looked into does not tell what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Unreadable {
    /// Encrypted, or in a container that nobody here can read.
    #[error("it is no MPEG transport stream, no fragmented MP4 and no packed audio")]
    Container,
    /// A format whose name cannot be told from what was read.
    #[error("there is no name for a format in it: {0}")]
    Format(Arc<str>),
    /// It may follow later; only the beginning is looked into.
    #[error("its beginning does not tell enough: {0}")]
    Beginning(Arc<str>),
    /// It breaks the rules of its container; in words.
    #[error("it is broken: {0}")]
    Broken(Arc<str>),
}
