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

/// For each of `known` one of `offered` that no other has: the two that are nearest to each other come first, or what is not
/// offered any more might be taken for what is another's.
pub(crate) fn matched(known: &[Option<&Medium>], offered: &[&Medium]) -> Vec<Option<usize>> {
    let mut pairs = Vec::new();
    for (index, medium) in known.iter().enumerate() {
        let Some(medium) = medium else { continue };
        let to_each = offered.iter().map(|it| medium.distance(it));
        let may_be = to_each.enumerate();
        pairs.extend(may_be.filter_map(|(at, distance)| Some((distance?, index, at))));
    }
    pairs.sort();
    let mut found = vec![None; known.len()];
    let mut free = vec![true; offered.len()];
    for (_, index, at) in pairs {
        if found[index].is_none() && free[at] {
            (found[index], free[at]) = (Some(at), false);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(height: u64, bandwidth: u64, url: &str) -> Medium {
        Medium {
            kind: Kind::Variant,
            url: url.into(),
            bandwidth,
            height: Some(height),
            codecs: "avc1 mp4a".into(),
            group: None,
            language: None,
            name: "".into(),
        }
    }

    #[test]
    fn what_is_not_offered_any_more_is_not_taken_for_what_another_is() {
        let known = [(360, "a"), (480, "b")].map(|(height, url)| variant(height, 800_000, url));
        let offered = [variant(480, 800_000, "c")];
        let found = matched(&[Some(&known[0]), Some(&known[1])], &[&offered[0]]);
        assert_eq!(found, [None, Some(0)]);
        // Where it is all that there is left it goes on as that.
        assert_eq!(matched(&[Some(&known[0])], &[&offered[0]]), [Some(0)]);
        // What is found where it was is nearest of all.
        let moved = [variant(480, 800_000, "a"), variant(360, 800_000, "b")];
        let found = matched(&[Some(&known[0]), Some(&known[1])], &[&moved[0], &moved[1]]);
        assert_eq!(found, [Some(0), Some(1)]);
    }
}
