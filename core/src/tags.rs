//! What a channel says of tags by their names: which of those that are only passed on are dropped, and
//! which stay all the same. What nobody speaks of stays where it stood.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Names as they stand in playlists, without the `#`: `EXT-X-CUE-OUT`. One with a `*` at its end stands
/// for all that begin so, a `*` alone for comments, too. Tags that nothing can be played without are
/// never dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagPolicy {
    /// These are dropped.
    pub drop: Vec<Arc<str>>,
    /// These are not, whatever `drop` says.
    pub keep: Vec<Arc<str>>,
}

/// What is wrong with a name in a [`TagPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum TagFault {
    /// Nothing in a playlist is called so.
    #[error(
        "'{0}' is no name of a tag: give it as it stands in a playlist, as in EXT-X-CUE-OUT, with a '*' at \
         its end for all that begin so"
    )]
    NotAName(Arc<str>),
    /// It cannot be dropped.
    #[error("{name} cannot be dropped: {}", needed_for(name).unwrap_or_default())]
    Needed { name: Arc<str> },
    /// It cannot be kept.
    #[error("{name} cannot be kept: {}", left_out_for(name).unwrap_or_default())]
    LeftOut { name: Arc<str> },
}

/// Tags that are always written, and why.
fn needed_for(name: &str) -> Option<&'static str> {
    match name {
        "EXTM3U"
        | "EXTINF"
        | "EXT-X-DISCONTINUITY"
        | "EXT-X-KEY"
        | "EXT-X-MAP"
        | "EXT-X-BYTERANGE"
        | "EXT-X-GAP"
        | "EXT-X-ENDLIST"
        | "EXT-X-I-FRAMES-ONLY"
        | "EXT-X-DEFINE" => Some("without it the segments cannot be played"),
        "EXT-X-VERSION"
        | "EXT-X-TARGETDURATION"
        | "EXT-X-MEDIA-SEQUENCE"
        | "EXT-X-DISCONTINUITY-SEQUENCE"
        | "EXT-X-PLAYLIST-TYPE" => Some("the relay writes its own"),
        "EXT-X-PROGRAM-DATE-TIME" => Some("players line up the playlists of a channel by it"),
        "EXT-X-STREAM-INF" | "EXT-X-I-FRAME-STREAM-INF" | "EXT-X-MEDIA" => {
            Some("it leads to media; the selection says which of it is relayed")
        }
        _ => None,
    }
}

/// Tags that are never written, and why.
fn left_out_for(name: &str) -> Option<&'static str> {
    match name {
        "EXT-X-PART"
        | "EXT-X-PART-INF"
        | "EXT-X-SERVER-CONTROL"
        | "EXT-X-PRELOAD-HINT"
        | "EXT-X-RENDITION-REPORT"
        | "EXT-X-SKIP" => Some("it promises low latency, and the relay serves whole segments"),
        "EXT-X-CONTENT-STEERING" => {
            Some("it leads viewers past the relay, to the source's own servers")
        }
        _ => None,
    }
}

impl TagPolicy {
    /// Checks the names.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn validate(&self) -> Result<(), TagFault> {
        let names = || self.drop.iter().chain(&self.keep);
        if let Some(name) = names().find(|name| !is_name(name)) {
            return Err(TagFault::NotAName(Arc::clone(name)));
        }
        if let Some(name) = self.drop.iter().find(|name| needed_for(name).is_some()) {
            return Err(TagFault::Needed { name: name.clone() });
        }
        match self.keep.iter().find(|name| left_out_for(name).is_some()) {
            Some(name) => Err(TagFault::LeftOut { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Whether a line of a source is dropped.
    pub(crate) fn drops(&self, line: &str) -> bool {
        let Some(tag) = line.strip_prefix('#').filter(|_| !self.drop.is_empty()) else {
            return false;
        };
        let name = tag.split([':', ' ', '\t']).next().unwrap_or_default();
        let in_one = |names: &[Arc<str>]| names.iter().any(|it| stands_for(it, name));
        in_one(&self.drop) && !in_one(&self.keep) && needed_for(name).is_none()
    }
}

fn is_name(name: &str) -> bool {
    let own = name.strip_suffix('*').unwrap_or(name);
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 64 && own.chars().all(plain)
}

fn stands_for(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(drop: &[&str], keep: &[&str]) -> TagPolicy {
        let names = |all: &[&str]| all.iter().map(|it| Arc::from(*it)).collect();
        TagPolicy {
            drop: names(drop),
            keep: names(keep),
        }
    }

    #[test]
    fn lines_are_dropped_by_name() {
        let cue = policy(&["EXT-X-CUE*", "EXTVLCOPT"], &["EXT-X-CUE-IN"]);
        for line in [
            "#EXT-X-CUE-OUT:30",
            "#EXT-X-CUE",
            "#EXTVLCOPT:a=b",
            "#EXTVLCOPT",
        ] {
            assert!(cue.drops(line), "{line}");
        }
        for line in [
            "#EXT-X-CUE-IN",
            "#EXT-X-CU",
            "# EXTVLCOPT",
            "EXTVLCOPT",
            "#EXTVLCOPTS:a",
            "",
        ] {
            assert!(!cue.drops(line), "{line}");
        }
    }

    #[test]
    fn a_star_is_everything_but_what_is_needed() {
        let all = policy(&["*"], &[]);
        for line in [
            "#EXT-X-VENDOR",
            "# a comment",
            "#",
            "#EXT-X-DATERANGE:ID=\"a\"",
        ] {
            assert!(all.drops(line), "{line}");
        }
        for line in [
            "#EXTINF:4,",
            "#EXT-X-KEY:METHOD=NONE",
            "#EXT-X-GAP",
            "seg.ts",
        ] {
            assert!(!all.drops(line), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name_and_with_its_reason() {
        let said = |drop: &[&str], keep: &[&str]| {
            let fault = policy(drop, keep).validate();
            fault.map_err(|it| it.to_string()).unwrap_err()
        };
        assert_eq!(
            said(&["EXT-X-CUE-OUT", "EXTINF"], &[]),
            "EXTINF cannot be dropped: without it the segments cannot be played"
        );
        assert_eq!(
            said(&[], &["EXT-X-PART"]),
            "EXT-X-PART cannot be kept: it promises low latency, and the relay serves whole segments"
        );
        for bad in ["", "#EXT-X-A", "EXT X", "EXT-X-A:1", "*A", "EXT-**", "ä"] {
            assert!(
                said(&[bad], &[]).starts_with(&format!("'{bad}' is no name")),
                "{bad}"
            );
            assert!(
                said(&[], &[bad]).starts_with(&format!("'{bad}' is no name")),
                "{bad}"
            );
        }
        assert_eq!(
            policy(&["*", "EXT-X-DATERANGE"], &["EXTINF"]).validate(),
            Ok(())
        );
    }
}
