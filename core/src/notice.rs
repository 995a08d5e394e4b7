//! What the operator is told: every change with its reason.

mod words;

use crate::command::Content;
use crate::config::{HolePolicy, SpecError};
use crate::date_ranges::DateRangeFault;
use crate::event::{FetchError, PreloadError, RungError, StoreError, TranscodeError};
use crate::formats::Unreadable;
use crate::ids::PlaylistName;
use crate::playlist::{Flaw, PlaylistError};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is observed of a channel; never mixed with what is desired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has said what it should be.
    #[default]
    Waiting,
    /// It should run and nothing is listed yet in this run.
    Starting,
    /// New segments are listed as the source offers them.
    Live,
    /// One and a half target durations without a new segment.
    Stale,
    /// Three target durations, and at least 5 s, without a new segment. Also when a backup takes over.
    Stalled,
    /// The source has closed the presentation (EXT-X-ENDLIST), and so have we.
    Ended,
    /// Stopped by its owner.
    Stopped,
}

/// Why new segments are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The playlist does not change.
    Unchanged,
    /// The playlist cannot be loaded.
    Playlist(FetchError),
    /// The playlist comes and cannot be used.
    Refused(Refusal),
    /// The playlist goes on, and nothing has failed: segments are on their way still.
    Waiting,
    /// The playlist goes on and its segments cannot be had.
    Segments(FetchError),
    /// The playlist is older than what was already relayed.
    OlderEdge,
    /// Segments are there and cannot be published.
    Publishing(StoreError),
}

/// Why a playlist that came cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// It is no playlist, or breaks a rule so that its meaning is a guess.
    #[error("{0}")]
    Playlist(PlaylistError),
    /// A multivariant playlist where one of its own media playlists should be, or where a media playlist
    /// was before.
    #[error("it is a multivariant playlist where a media playlist is expected")]
    Multivariant,
    /// A media playlist where a multivariant playlist was before.
    #[error("it is a media playlist where a multivariant playlist is expected")]
    NotMultivariant,
    /// A multivariant playlist whose best variant has its sound beside its pictures, where a ladder is to be made.
    #[error(
        "its sound is beside its pictures, and a ladder is made of segments that have both: give the URL of a media playlist that has, or leave out the ladder"
    )]
    Ladder,
    /// Of its variants none is wanted.
    #[error("none of its variants can be used, or is one that the channel selects")]
    NothingSelected,
    /// The URL that answered is none that segments could be found from.
    #[error("its URL cannot be a base for its segments: {0}")]
    BadBase(Arc<str>),
}

/// Why the state has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The owner wants it to run.
    RunWanted,
    /// The owner wants it stopped.
    StopWanted,
    /// Segments are listed.
    Relaying,
    /// No new segment for a while.
    Silent {
        since: Span,
        target_duration: Span,
        trouble: Trouble,
    },
    /// The source's playlist ends with EXT-X-ENDLIST.
    SourceEnded,
}

/// Why a discontinuity was put before a segment that the source did not put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Break {
    /// The source counts from a lower number with names it has not used.
    RestartedLower,
    /// The same numbers name other segments.
    RestartedRenamed,
    /// The same names carry other date-times.
    RestartedRedated,
    /// The source has grown below our position, with names it has used.
    RestartedGrowth,
    /// The source counts from a higher number, and the length of its list or its date-times say that
    /// it did not come there by going on.
    RestartedHigher,
    /// The source's numbers went up by more than time can explain.
    JumpedAhead,
    /// Relayed from another source.
    SwitchedSource,
    /// Relayed from another variant, or rendition, of the same source: the one before is not offered, or not
    /// wanted, any more.
    AnotherVariant,
    /// A new run after EXT-X-ENDLIST.
    NewRun,
    /// A hole, by policy or because it is too long to be listed.
    Hole,
}

impl Break {
    /// What follows is not what went before, or not the same showing of it: it begins anew.
    pub(crate) fn is_other_media(self) -> bool {
        self.is_of_the_encoder() || self == Self::SwitchedSource
    }

    /// Its encoder has started again, or jumped: that happens to all tracks of a source.
    pub fn is_of_the_encoder(self) -> bool {
        match self {
            Self::RestartedLower
            | Self::RestartedRenamed
            | Self::RestartedRedated
            | Self::RestartedGrowth
            | Self::RestartedHigher
            | Self::JumpedAhead => true,
            Self::SwitchedSource | Self::AnotherVariant | Self::NewRun | Self::Hole => false,
        }
    }
}

/// Why media is missing from what we publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoleCause {
    /// The source no longer listed it when it was next reached.
    NeverListed,
    /// It could not be downloaded while the source listed it or in time; the last failure.
    Failed(FetchError),
    /// It left the window before any playlist that holds it could be published.
    NotPublished,
}

/// Why a segment lacks rungs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Miss {
    /// They were not there when the segment could wait no longer: as long as it lasts.
    Late(Span),
    /// None could be made.
    NotMade(TranscodeError),
    /// One could not be made.
    Rung(RungError),
    /// The segment is encrypted, and the channel does not decrypt.
    Encrypted,
}

/// Why a ladder is not in force yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LadderWaits {
    /// Viewers have opened a media playlist, which cannot become a multivariant playlist.
    Opened,
    /// The source's multivariant playlist is relayed.
    Several,
}

/// Why a list does not hold all that its source keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// No list may have more segments.
    Segments,
    /// The store may not have more bytes.
    Room,
}

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The observed state has changed.
    StateChanged {
        from: State,
        to: State,
        reason: Reason,
    },
    /// A configuration is in force.
    Configured { revision: u64, generation: u64 },
    /// A configuration is refused; the one before stays.
    ConfigureRefused { revision: u64, why: SpecError },
    /// A load failed; said for the first of a row.
    PlaylistFailed { source: usize, error: FetchError },
    /// A playlist cannot be used; the last good one stays. Said for the first of a row.
    PlaylistRefused { source: usize, error: Refusal },
    /// A flaw that is accepted; said once each.
    PlaylistFlaw { source: usize, flaw: Flaw },
    /// A source answers well again.
    PlaylistRecovered { source: usize, after: Span },
    /// An older version of the playlist came, from a stale edge; said for the first of a row.
    StaleEdge { source: usize, behind: u64 },
    /// A segment failed and is tried again.
    SegmentRetry {
        media_sequence: u64,
        attempt: u32,
        error: FetchError,
    },
    /// What segments need beside themselves cannot be had and is tried again; said for the first of a
    /// row.
    NeedRetry { content: Content, error: FetchError },
    /// A segment cannot be asked for; said for the first of a row.
    SegmentRefused {
        media_sequence: u64,
        error: FetchError,
    },
    /// Media is lost, and said so where the list can say it: before its first segment, or behind its last one, there may be
    /// nothing that could.
    Hole {
        segments: u64,
        duration: Span,
        said: Option<HolePolicy>,
        cause: HoleCause,
    },
    /// A discontinuity of our own.
    Broken { why: Break },
    /// Another source is being prepared, while the present one goes on.
    Preparing { source: usize, why: SwitchReason },
    /// The relay now goes on from this source.
    Switched {
        from: usize,
        to: usize,
        why: SwitchReason,
    },
    /// The source being prepared could not be used.
    PreparationFailed { source: usize, trouble: Trouble },
    /// Our target duration had to rise (S-04).
    TargetDurationRaised { from: Span, to: Span },
    /// The store refused something; it is tried again.
    StoreFailed { what: StoreWork, error: StoreError },
    /// Another node is the owner now, of this epoch: this one has ended its work.
    Fenced { epoch: u64 },
    /// Work goes on from a checkpoint.
    Restored { listed: usize, lost: usize },
    /// A source is a multivariant playlist: so much of it is relayed, of so much that it lists.
    Presented {
        source: usize,
        variants: usize,
        renditions: usize,
        left_out: usize,
    },
    /// A track has nothing new while others do: it gets gaps, and no other waits for it.
    LeftBehind {
        track: PlaylistName,
        trouble: Trouble,
    },
    /// A track that was left behind has segments again.
    CaughtUp { track: PlaylistName },
    /// The track is relayed from another place that the source names for it.
    Redundant {
        track: PlaylistName,
        trouble: Trouble,
    },
    /// An init section has other bytes than before, under the same URL and without a discontinuity.
    InitSectionChanged,
    /// The source does not say what a track is made of, and the media does not tell either.
    FormatsUntold {
        track: PlaylistName,
        error: Unreadable,
    },
    /// A source keeps all that it ever had, and the list lacks the first of it; said once.
    NotWhole { segments: u64, why: Limit },
    /// Not all that a source tells of its date ranges can be relayed; each is said once.
    DateRange {
        track: PlaylistName,
        fault: DateRangeFault,
    },
    /// A segment lacks rungs that should have been made; said once for each cause until one has them all.
    RungsMissed {
        media_sequence: u64,
        rungs: Vec<Arc<str>>,
        why: Miss,
    },
    /// A rung is not made for a while, and lists gaps.
    RungSuspended {
        rung: Arc<str>,
        why: Miss,
        again_in: Span,
    },
    /// A rung that was suspended is made again, to see whether it comes in time.
    RungTried { rung: Arc<str> },
    /// It does.
    RungResumed { rung: Arc<str> },
    /// Viewers are led to a rung.
    RungEntered { rung: Arc<str> },
    /// Viewers are no longer led to a rung.
    RungLeft { rung: Arc<str> },
    /// A rung has the height of its source, which is lower than the ladder has it; said once for each height.
    RungLower {
        rung: Arc<str>,
        wanted: u32,
        height: u64,
    },
    /// A ladder is wanted and not in force; said once for each configuration.
    LadderWaits { why: LadderWaits },
    /// An edge is not warm in time; said once for each cause until it is warm again.
    EdgeFailed { edge: Arc<str>, error: PreloadError },
    /// An edge is warm in time again.
    EdgeRecovered { edge: Arc<str> },
    /// URLs are refused as if they had run out, or lead nowhere any more: the multivariant playlist is loaded
    /// again, until it leads to something. Said for the first of a row.
    Renewing { source: usize, error: FetchError },
}

/// Why another source is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwitchReason {
    /// The source in use is stalled.
    Stalled,
    /// The first source is healthy again.
    FirstIsHealthy,
    /// The configuration names other sources.
    Reconfigured,
    /// The source in use is stalled, and shows a multivariant playlist in place of a media playlist, or the
    /// other way round: it is begun anew.
    KindChanged,
}

/// What a store was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreWork {
    /// Make a playlist visible.
    Publish,
    /// Delete segments.
    Delete,
    /// Take the playlist away.
    Withdraw,
    /// Save a checkpoint.
    Checkpoint,
    /// See what is there.
    Check,
}
