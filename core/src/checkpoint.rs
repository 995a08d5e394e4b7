//! What a successor needs to go on where a process ended: numbering, window, position (S-70).

use crate::date_ranges::DateRanges;
use crate::formats::Formats;
use crate::ids::{ContentHash, ObjectName, PlaylistName};
use crate::ladder::RungAudio;
use crate::node::cluster::Skip;
use crate::playlist::{MeasuredBandwidth, PlaylistType, Segment};
use crate::time::{Place, Span, WallTime};
use crate::track::Medium;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The state of a channel that outlives its process. Saved with every publish, before the playlist
/// is visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The shape of this record; another one is refused.
    pub format: u32,
    /// When it was made.
    pub saved_at: WallTime,
    /// EXT-X-TARGETDURATION as published: it never falls, and is the same in all tracks.
    pub target_duration: Span,
    /// The published playlists end with EXT-X-ENDLIST.
    pub ended: bool,
    /// The multivariant playlist as published, where there is one.
    pub entry: Option<Arc<str>>,
    /// One for each media playlist that is published. That of a channel which relays a single media
    /// playlist is named [`PlaylistName::ENTRY`].
    pub tracks: Vec<SavedTrack>,
    /// Removed from the playlists, still to be fetchable until then (S-09).
    pub retired: Vec<RetiredObject>,
    /// Left the lists in a version that may not have become visible.
    pub leaving: Vec<LeavingObject>,
    /// Where the channel has a ladder: its rungs, the source's own media among them. The track is then told
    /// once for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rungs: Option<Vec<SavedRungTrack>>,
}

/// The present [`Checkpoint::format`].
pub const CHECKPOINT_FORMAT: u32 = 2;

/// One media playlist of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTrack {
    /// Under which viewers find it.
    pub name: PlaylistName,
    /// The media sequence number of the first segment in `window`, or of the next one to be listed.
    pub media_sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE as published.
    pub discontinuity_sequence: u64,
    /// EXT-X-INDEPENDENT-SEGMENTS as published.
    pub independent_segments: bool,
    /// EXT-X-I-FRAMES-ONLY as published.
    pub i_frames_only: bool,
    /// EXT-X-PLAYLIST-TYPE of its source, where nothing has left the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playlist_type: Option<PlaylistType>,
    /// Its source keeps all that it ever had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// And has come to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// Until it is closed it tells players to begin with its first segment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins_with_first: bool,
    /// The number of the first entry of what its source has now; what is before that was another source, or another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_at: Option<u64>,
    /// The number of the first segment that its source lists, there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_of_source: Option<u64>,
    /// How its multivariant playlist describes it, where there is one.
    pub medium: Option<Medium>,
    /// What it is made of, where the media was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats: Option<Formats>,
    /// The highest bit rates that were measured of it, where a multivariant playlist tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<MeasuredBandwidth>,
    /// Of so much media.
    #[serde(default)]
    pub measured: Span,
    /// Other playlist-level lines as published.
    pub head: Vec<Arc<str>>,
    /// The lines behind the last segment, where the source has ended its list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closing: Vec<Arc<str>>,
    /// What is told of spans of time.
    #[serde(default, skip_serializing_if = "DateRanges::is_empty")]
    pub date_ranges: DateRanges,
    /// What viewers see, oldest first.
    pub window: Vec<SavedEntry>,
    /// Where in the source the last listed segment stood.
    pub position: Option<SavedPosition>,
    /// It still ends with EXT-X-ENDLIST, while another track has begun the next run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub still_ended: bool,
}

/// A listed segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedEntry {
    /// As published: our numbers, our URI.
    pub segment: Segment,
    /// What is stored; `None` for a gap.
    pub stored: Option<SavedObject>,
    /// The longest playlist that has listed it so far (RFC 8216 6.2.2).
    pub longest_playlist: Span,
    /// What it needs beside itself, in the order of its tags: init sections, keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SavedObject>,
    /// What was made of it; a rung that it lacks is a gap there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<SavedRung>,
    /// The source's own media is not listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Where it begins on the time axis of the channel's media.
    pub place: Place,
    /// What it was called at its source, so that it can be had again.
    pub identity: Option<Identity>,
}

/// A rung of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRungTrack {
    /// As its ladder calls it.
    pub name: Arc<str>,
    /// As its ladder has it; `None` for the source's own media.
    pub height: Option<u32>,
    /// As its ladder has it.
    #[serde(default)]
    pub audio: RungAudio,
    /// Entries know it by this, and its playlist is called so.
    pub key: Arc<str>,
    /// The multivariant playlist leads to it.
    pub shown: bool,
    /// Viewers may have its list, also where nothing leads to it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listed: bool,
    /// What it is made of.
    pub formats: Option<Formats>,
    /// What was measured of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<MeasuredBandwidth>,
}

/// What a listed segment has for a rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRung {
    /// [`SavedRungTrack::key`].
    pub name: Arc<str>,
    /// What is stored.
    pub stored: SavedObject,
}

/// A stored object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedObject {
    /// Its name, the URI in the playlist.
    pub object: ObjectName,
    /// Length in bytes.
    pub length: u64,
    /// Hash of the content.
    pub hash: ContentHash,
}

/// An object that waits for its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredObject {
    /// Its name.
    pub object: ObjectName,
    /// Not deleted before.
    pub keep_until: WallTime,
}

/// An object whose time begins when the next version is visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingObject {
    /// Its name.
    pub object: ObjectName,
    /// How long it stays from then on (RFC 8216 6.2.2).
    pub keep_for: Span,
}

impl Checkpoint {
    /// For a successor that cannot know whether its predecessor went on after this was saved: numbers go on
    /// behind all that can have been published since, with a discontinuity. What was listed is let go, as other
    /// segments may stand under the numbers that follow it.
    #[must_use]
    pub fn skipped(mut self, Skip { past, numbers }: Skip) -> Self {
        for track in &mut self.tracks {
            let listed = std::mem::take(&mut track.window);
            track.media_sequence += listed.len() as u64 + numbers;
            let breaks = listed.iter().filter(|it| it.segment.discontinuity);
            track.discontinuity_sequence += breaks.count() as u64 + numbers;
            track.still_ended = true;
            for entry in listed {
                let keep_until =
                    self.saved_at + past + entry.segment.duration + entry.longest_playlist;
                let objects = entry.stored.into_iter().chain(entry.resources);
                self.retired.extend(objects.map(|it| RetiredObject {
                    object: it.object,
                    keep_until,
                }));
            }
        }
        self.ended = false;
        self
    }
}

/// The position in a source: what stands behind the last of `known` is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPosition {
    /// The configured URL of the source, to know it again after its place in the list has changed;
    /// [`without_secrets`].
    pub source_url: Arc<str>,
    /// The newest segments known of the run of the encoder, oldest first.
    pub known: Vec<Identity>,
    /// Those of the run before, which an edge may still list.
    pub former: Vec<Identity>,
    /// For how long its source had shown nothing new.
    #[serde(default)]
    pub silent: Span,
    /// Where the newest of them ends in what is published, where that has several tracks: gaps may stand
    /// behind it.
    #[serde(default)]
    pub end: Option<Place>,
    /// How a multivariant playlist described what the last of them is of, so that another variant is not taken
    /// for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
}

impl SavedPosition {
    /// The same so much later, with nothing new since.
    pub(crate) fn later(mut self, by: Span) -> Self {
        self.silent += by;
        self
    }
}

/// A source's URL as a checkpoint keeps it: tokens stand in the query and before the host, and a source
/// with a new token is the same one.
pub fn without_secrets(url: &str) -> Arc<str> {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.into();
    };
    let host_at = rest.find('/').unwrap_or(rest.len());
    let userinfo = rest[..host_at].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[userinfo..]).into()
}

impl Identity {
    /// The same segment: its duration and discontinuity sequence are no part of what it is.
    pub fn is_same(&self, other: &Self) -> bool {
        self.media_sequence == other.media_sequence
            && self.path == other.path
            && self.byte_range == other.byte_range
            && self.date_time == other.date_time
    }
}

/// A segment's identity at its source: number, path without query, byte range and date-time together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Media sequence number at the source.
    pub media_sequence: u64,
    /// The path of its URL: no query, so that a rotated token is the same segment.
    pub path: Arc<str>,
    /// Offset and length in that resource.
    pub byte_range: Option<(u64, u64)>,
    /// Its date-time at the source.
    pub date_time: Option<WallTime>,
    /// Its discontinuity sequence number at the source (RFC 8216 4.3.3.3).
    pub discontinuity_sequence: u64,
    /// Its duration at the source.
    pub duration: Span,
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn a_sources_url_is_kept_without_user_query_and_fragment() {
        for (url, kept) in [
            (
                "https://u:p@h.example:81/a/b.m3u8?t=1#x",
                "https://h.example:81/a/b.m3u8",
            ),
            ("http://h.example/a@b/c.m3u8", "http://h.example/a@b/c.m3u8"),
            ("http://u@h.example?t=1", "http://h.example"),
            ("no-url?t=1", "no-url"),
        ] {
            assert_eq!(&*without_secrets(url), kept);
        }
    }
}
