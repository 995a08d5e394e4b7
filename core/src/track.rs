//! What a track is: by this the tracks of two sources, or of two processes, find each other.

use crate::ids::PlaylistName;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::sync::Arc;

/// What a media playlist of a presentation is to players.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// That of a variant stream (RFC 8216 4.3.4.2).
    Variant,
    /// An alternative sound (RFC 8216 4.3.4.1).
    Audio,
    /// An alternative picture.
    Video,
    /// Subtitles.
    Subtitles,
    /// I-frames alone (RFC 8216 4.3.4.3).
    IFrames,
}

impl Kind {
    /// Whether others wait for it (S-26). Subtitles may be empty for long, and what only helps to seek
    /// is not worth a wait.
    pub(crate) fn is_waited_for(self) -> bool {
        match self {
            Self::Variant | Self::Audio | Self::Video => true,
            Self::Subtitles | Self::IFrames => false,
        }
    }

    /// The name of the `number`th of its kind. Viewers know it, and no other list ever gets it.
    pub(crate) fn name(self, number: usize) -> PlaylistName {
        let letter = match self {
            Self::Variant => 'v',
            Self::Audio => 'a',
            Self::Video => 'x',
            Self::Subtitles => 's',
            Self::IFrames => 'i',
        };
        PlaylistName(format!("{letter}{number}.m3u8").into())
    }
}

/// A track as its multivariant playlist describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// What it is to players.
    pub kind: Kind,
    /// Its URL without what may be secret.
    pub url: Arc<str>,
    /// `BANDWIDTH` in bits per second; 0 for what has none.
    pub bandwidth: u64,
    /// The height of the picture in pixels.
    pub height: Option<u64>,
    /// The families of its formats, such as `avc1 mp4a`.
    pub codecs: Arc<str>,
    /// `GROUP-ID` of a rendition.
    pub group: Option<Arc<str>>,
    /// `LANGUAGE` of a rendition (RFC 5646).
    pub language: Option<Arc<str>>,
    /// `NAME` of a rendition.
    pub name: Arc<str>,
}

impl Medium {
    /// The same pictures and the same sound: it is found where the other was, or is described alike.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let looks = |it: &Self| (it.kind, it.bandwidth, it.height);
        let alike = looks(self) == looks(other)
            && self.codecs == other.codecs
            && self.language == other.language;
        alike || self.url == other.url
    }

    /// How far this is from `other`, the least being the nearest; `None` where one cannot go on as the
    /// other. A place in the list breaks ties, so that equals stay in order.
    fn distance(&self, other: &Self) -> Option<impl Ord + use<>> {
        let spoken = matches!(self.kind, Kind::Audio | Kind::Subtitles);
        let languages = (&self.language, &other.language);
        let foreign = spoken && matches!(languages, (Some(a), Some(b)) if a != b);
        if self.kind != other.kind || foreign {
            return None;
        }
        Some((
            self.url != other.url,
            Reverse(languages.0 == languages.1),
            self.codecs != other.codecs,
            (self.name != other.name, self.group != other.group),
            self.height.unwrap_or(0).abs_diff(other.height.unwrap_or(0)),
            self.bandwidth.abs_diff(other.bandwidth),
        ))
    }
}

/// The first part of each of `codecs` (RFC 6381), each once and in order: the family that a decoder is
/// chosen by.
pub(crate) fn codec_families(codecs: &str) -> Arc<str> {
    let mut families: Vec<&str> = codecs
        .split(',')
        .filter_map(|codec| codec.trim().split('.').next())
        .filter(|family| !family.is_empty())
        .collect();
    families.sort_unstable();
    families.dedup();
    families.join(" ").into()
}

/// For each of `known` the nearest of `offered` that no other has, in the order of `known`.
pub(crate) fn matched(known: &[Option<&Medium>], offered: &[&Medium]) -> Vec<Option<usize>> {
    let mut free = vec![true; offered.len()];
    // What is just the same comes first, or an earlier one might take it for its nearest.
    let mut found = vec![None; known.len()];
    for same in [true, false] {
        for (index, medium) in known.iter().enumerate() {
            let Some(medium) = medium.filter(|_| found[index].is_none()) else {
                continue;
            };
            let candidates = (0..offered.len())
                .filter(|at| free[*at] && (!same || offered[*at].url == medium.url));
            let nearest = candidates
                .filter_map(|at| Some((medium.distance(offered[at])?, at)))
                .min()
                .map(|(_, at)| at);
            if let Some(at) = nearest {
                free[at] = false;
                found[index] = Some(at);
            }
        }
    }
    found
}
