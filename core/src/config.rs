//! What a channel may say, and every limit, each with its reason.

use crate::command::FetchLimits;
use crate::ladder::{Ladder, LadderFault};
use crate::limits::{
    BODY_BYTES, LEAST_BYTES_PER_SECOND, MAX_REDIRECTS, MAX_RESOURCE_BYTES, MAX_SEGMENT_BYTES,
    MAX_URL_BYTES, MAX_WINDOW,
};
use crate::playlist::Variant;
use crate::preload::{PreloadFault, PreloadPolicy};
use crate::tags::{TagFault, TagPolicy};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// What a channel should be. Headers, cookies and passwords are not in it: the adapters keep them by
/// generation and source, so that no journal ever holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Where it comes from: the first is wanted, the others are backups in order. At least one.
    pub sources: Vec<Source>,
    /// How many segments the published playlist lists; more where three target durations need more. Where nothing is
    /// said it is [`DEFAULT_WINDOW`], and all of a source that keeps all it has.
    pub window: Option<usize>,
    /// How many bytes the channel's store holds at most, where it is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<u64>,
    /// How a hole is said.
    pub hole: HolePolicy,
    /// Which rule times the reload after a change.
    pub reload: ReloadPolicy,
    /// What becomes of segments under AES-128.
    #[serde(default)]
    pub keys: KeyPolicy,
    /// What is relayed of a multivariant playlist.
    #[serde(default)]
    pub selection: Selection,
    /// What becomes of tags by their names, from the next segment on.
    #[serde(default)]
    pub tags: TagPolicy,
    /// What is made of each segment, from the next one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
    /// Edges that are warmed, from the next segment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<PreloadPolicy>,
}

/// What is relayed of a multivariant playlist; all of it where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Variants whose picture is at least so many pixels high.
    pub min_height: Option<u64>,
    /// Variants whose picture is at most so many pixels high.
    pub max_height: Option<u64>,
    /// Variants whose BANDWIDTH is at most so many bits per second.
    pub max_bandwidth: Option<u64>,
    /// Variants that have one of these formats, told by their beginnings: `avc1`, `hvc1.2` (RFC 6381).
    pub codecs: Vec<Arc<str>>,
    /// Renditions in one of these languages: `en` is also `en-GB` (RFC 5646). Those without a language
    /// are always relayed, and so are closed captions and the sound of a group in which none is.
    pub languages: Vec<Arc<str>>,
}

impl Selection {
    /// Whether a variant is relayed.
    pub(crate) fn takes(&self, variant: &Variant) -> bool {
        self.max_bandwidth
            .is_none_or(|most| variant.bandwidth <= most)
            && self.takes_height(variant.resolution.map(|it| it.height))
            && self.takes_codecs(variant.codecs.as_deref())
    }

    /// A variant without a picture is not too high.
    pub(crate) fn takes_height(&self, height: Option<u64>) -> bool {
        let low = self
            .min_height
            .is_some_and(|least| height.unwrap_or(0) < least);
        let high = self
            .max_height
            .is_some_and(|most| height.unwrap_or(0) > most);
        !low && !high
    }

    /// What does not tell its formats may have them.
    pub(crate) fn takes_codecs(&self, codecs: Option<&str>) -> bool {
        let Some(codecs) = codecs.filter(|_| !self.codecs.is_empty()) else {
            return true;
        };
        let mut codecs = codecs.split(',').map(str::trim);
        codecs.any(|it| self.codecs.iter().any(|wanted| it.starts_with(&**wanted)))
    }

    /// Whether a rendition is relayed.
    pub(crate) fn takes_language(&self, language: Option<&str>) -> bool {
        let Some(language) = language.filter(|_| !self.languages.is_empty()) else {
            return true;
        };
        let is = |wanted: &Arc<str>| {
            let rest = language
                .get(..wanted.len())
                .filter(|start| start.eq_ignore_ascii_case(wanted))
                .map(|_| &language[wanted.len()..]);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        self.languages.iter().any(is)
    }
}

/// One place a channel can be had from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The URL of its playlist, http or https.
    pub url: Arc<str>,
}

/// Why a spec cannot be relayed: the field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SpecError {
    /// There is nothing to relay.
    #[error("sources: at least one is needed")]
    NoSource,
    /// Counted from 0.
    #[error("sources[{0}]: not an http or https URL of at most {MAX_URL_BYTES} bytes")]
    BadUrl(usize),
    /// As it was asked for.
    #[error("window: {0} is not in {MIN_WINDOW}..={MAX_WINDOW} segments")]
    BadWindow(usize),
    /// A name that cannot be dropped, or kept.
    #[error("tags: {0}")]
    BadTag(TagFault),
    /// A ladder that cannot be made.
    #[error("ladder: {0}")]
    BadLadder(LadderFault),
    /// Edges that cannot be asked.
    #[error("preload: {0}")]
    BadPreload(PreloadFault),
}

impl Spec {
    /// How many segments are listed at most of a source that keeps all it has, or does not: it is `whole`, or a list that
    /// slides.
    pub fn window_of(&self, whole: bool) -> usize {
        window_of(self.window, whole)
    }

    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn validate(&self) -> Result<(), SpecError> {
        if self.sources.is_empty() {
            return Err(SpecError::NoSource);
        }
        for (index, source) in self.sources.iter().enumerate() {
            let url = Url::parse(&source.url);
            let web = url.is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !web || source.url.len() > MAX_URL_BYTES {
                return Err(SpecError::BadUrl(index));
            }
        }
        let window = self.window.unwrap_or(DEFAULT_WINDOW);
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(SpecError::BadWindow(window));
        }
        self.tags.validate().map_err(SpecError::BadTag)?;
        let ladder = self.ladder.as_ref().map(Ladder::validate);
        ladder.unwrap_or(Ok(())).map_err(SpecError::BadLadder)?;
        let preload = self.preload.as_ref().map(PreloadPolicy::validate);
        preload.unwrap_or(Ok(())).map_err(SpecError::BadPreload)
    }
}

/// How lost media is said to viewers; never by silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolePolicy {
    /// Segments marked with EXT-X-GAP stand for what was lost: the timeline goes on.
    #[default]
    Gap,
    /// The next segment follows an EXT-X-DISCONTINUITY.
    Discontinuity,
}

/// What becomes of segments under AES-128 with a key that is just bytes. Other encryption passes as it
/// is: SAMPLE-AES, AES-256-GCM, and whatever a DRM system understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPolicy {
    /// Viewers get the key where the source says it is: who may have it is decided there.
    #[default]
    Origin,
    /// The key is fetched once and served beside the segments, to whoever can fetch those.
    Rehost,
    /// Segments are published in the clear.
    Decrypt,
}

/// The least wait after a playlist that has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadPolicy {
    /// The last segment's duration, and never under half a target duration: the draft's rule, and
    /// what players do.
    #[default]
    LastSegment,
    /// The target duration: RFC 8216 6.3.4 to the letter.
    TargetDuration,
}

/// The window of a channel that says nothing: a minute of 6 s segments, well over the six segments
/// of S-08.
pub const DEFAULT_WINDOW: usize = 10;
/// The smallest window that can be asked for: below six, players that start three target durations
/// from the end have no room to fall behind (S-08).
pub const MIN_WINDOW: usize = 6;

/// A channel that begins is listed once so many segments are stored: a player starts three target
/// durations from the end (RFC 8216 6.3.3).
pub const START_SEGMENTS: usize = 3;

/// A segment stays listed for at least so many target durations, however many follow it at once: as long as
/// it does in the shortest list that is allowed (RFC 8216 6.2.2). A player looks once in one of them.
pub const LISTED_TARGETS: u64 = 3;
/// A segment is waited for so many target durations after it was first listed, then it is a hole.
pub const SEGMENT_WAIT_TARGETS: u64 = 3;
/// Of a source that has ended a segment is worth so many attempts while nothing else of it comes: an origin that answers
/// none would be asked for ever.
pub const ATTEMPTS_IN_VAIN: u32 = 3;
/// Tracks may be out of step by so many target durations: three segments, and one between two loads.
/// A track that comes back further behind is not waited for.
pub const OUT_OF_STEP_TARGETS: u64 = 4;
/// The first retry of a segment comes after this, then twice as late each time, up to half a target
/// duration.
pub const SEGMENT_RETRY: Span = Span::from_millis(250);

/// So many segments in a row whose rungs come too late suspend the highest of these: one alone may be a hiccup, and
/// each is a gap.
pub const LATE_SEGMENTS: u64 = 3;
/// A segment that is stored while so many of its channel still wait for their rungs has come faster than it plays, as
/// after an outage: it waits for those, and says nothing of how fast workers are. One more may overlap with it where
/// all come in time.
pub const CROWDED_BY: usize = 2;
/// A suspended rung is tried again after this, then twice as late each time it fails.
pub const RUNG_REST: Span = Span::from_secs(30);
/// The longest rest: an overload that is over is made use of soon.
pub const LONGEST_REST: Span = Span::from_secs(120);
/// So many segments of a rung that is tried have to come with a quarter of their time to spare.
pub const TRIED_SEGMENTS: u64 = 3;

/// A failed reload is tried again after half a target duration for so long, then backs off.
pub const QUICK_RETRY_FOR: Span = Span::from_secs(60);
/// The back-off of reloads ends here, for ever.
pub const SLOWEST_RETRY: Span = Span::from_secs(10);
/// Until a source has told its target duration, this one times retries.
pub const ASSUMED_TARGET_DURATION: Span = Span::from_secs(4);
/// What times reloads, patience and states counts as at most so many times the longest segment that is
/// listed, or [`LEAST_DOUBTED`]: one list that states 2000 s where segments are 2 s long would stop the
/// channel for a quarter of an hour, without a word. Honest encoders state the longest segment they may
/// make.
pub const BELIEVED_SEGMENTS: u64 = 4;
/// A target duration up to here is believed as it is stated.
pub const LEAST_DOUBTED: Span = Span::from_secs(10);
/// The jitter of retries, in percent up and down: a thousand channels of one origin don't come as one.
pub const RETRY_JITTER_PERCENT: u64 = 10;

/// `stalled` is three target durations without a new segment, and at least this.
pub const LEAST_STALL: Span = Span::from_secs(5);
/// A first source that has been healthy for so long is returned to.
pub const RETURN_AFTER: Span = Span::from_secs(60);
/// At most one switch of source in this time, so that two bad sources don't make a strobe light.
pub const SWITCH_AT_MOST_EVERY: Span = Span::from_secs(30);

/// After `ShutDown`, segments in flight are waited for so long.
pub const SHUTDOWN_GRACE: Span = Span::from_secs(5);
/// A publish that failed is tried again after this.
pub const PUBLISH_RETRY: Span = Span::from_millis(500);
/// A delete that failed is tried again after this: nothing waits for it but disk space.
pub const DELETE_RETRY: Span = Span::from_secs(10);

/// A load that was sent so much later than it was due counts as sent when it was due: else the lateness
/// of each timer would add to that of all before it, until the loads are out of step with the source.
/// The mean pace is never faster for it.
pub fn late_at_most(segment: Span) -> Span {
    segment.scaled(1, 50).min(Span::from_millis(50))
}

/// A stated target duration as far as it is believed.
pub fn believed(target_duration: Span, longest_segment: Span) -> Span {
    target_duration.min((longest_segment * BELIEVED_SEGMENTS).max(LEAST_DOUBTED))
}

/// How long versions of several playlists wait for each other, so that one version, and one checkpoint,
/// serves them all.
pub fn gather_for(target_duration: Span) -> Span {
    target_duration.scaled(1, 8)
}

/// `stale`: one and a half target durations without a new segment (draft 6.3.4).
pub fn stale_after(target_duration: Span) -> Span {
    target_duration.scaled(3, 2)
}

/// See [`Spec::window_of`].
pub(crate) fn window_of(asked: Option<usize>, whole: bool) -> usize {
    asked.unwrap_or(match whole {
        true => MAX_WINDOW,
        false => DEFAULT_WINDOW,
    })
}

/// `stalled`, which is also when a backup takes over.
pub fn stalled_after(target_duration: Span) -> Span {
    (target_duration * 3).max(LEAST_STALL)
}

/// What a load of a playlist may take. A request that hangs must be seen before the next segment is
/// due, or a hung origin is noticed too late after its cure; but an origin may take its seconds to connect and to
/// answer, however short its segments are.
pub fn playlist_limits(target_duration: Span) -> FetchLimits {
    let first_byte = target_duration.clamp(Span::from_secs(3), Span::from_secs(10));
    FetchLimits {
        first_byte,
        whole: first_byte * 2,
        least_bytes: 0,
        rate_window: Span::from_secs(1),
        max_bytes: BODY_BYTES as u64,
        max_redirects: MAX_REDIRECTS,
    }
}

/// An init section is looked at again with the next new segment after so long: it costs a small request in
/// fifteen at most, and what changes unannounced is wrong for no longer.
pub const INIT_SECTION_AGAIN: Span = Span::from_secs(30);

/// Caches may keep objects so long while no list tells better. A name is never used for other bytes, so it harms
/// nobody, and what edges are warmed with stays there until it is listed.
pub const OBJECTS_KEPT_AT_FIRST: Span = Span::from_secs(60);

/// What a download of an init section or a key may take: it is small, and segments wait for it.
pub fn resource_limits(target_duration: Span) -> FetchLimits {
    FetchLimits {
        max_bytes: MAX_RESOURCE_BYTES,
        ..playlist_limits(target_duration)
    }
}

/// What a download of a segment may take: a hung or dripping transfer is cut early enough to be tried
/// once more before the segment is given up. An origin that is late with each can be relayed all the same, as
/// several are under way at once: so the first byte may take longer than a segment lasts.
pub fn segment_limits(target_duration: Span) -> FetchLimits {
    let patience = target_duration.clamp(Span::from_secs(2), Span::from_secs(5));
    FetchLimits {
        first_byte: (target_duration * 2).clamp(Span::from_secs(4), Span::from_secs(10)),
        whole: (target_duration * SEGMENT_WAIT_TARGETS).max(Span::from_secs(10)),
        least_bytes: LEAST_BYTES_PER_SECOND * patience.as_millis() / 1_000,
        rate_window: patience,
        max_bytes: MAX_SEGMENT_BYTES,
        max_redirects: MAX_REDIRECTS,
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, segment_limits};

    #[test]
    fn a_segment_may_be_late_by_two_lengths_silent_for_one_and_take_three() {
        for (target_duration, late, silent, whole) in
            [(1, 4, 2, 10), (2, 4, 2, 10), (4, 8, 4, 12), (6, 10, 5, 18)]
        {
            let limits = segment_limits(Span::from_secs(target_duration));
            assert_eq!(limits.first_byte, Span::from_secs(late));
            assert_eq!(limits.rate_window, Span::from_secs(silent));
            assert_eq!(limits.least_bytes, silent * 2_048);
            assert_eq!(limits.whole, Span::from_secs(whole));
        }
    }
}
