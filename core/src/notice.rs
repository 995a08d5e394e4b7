//! What the operator is told: every change with its reason, in words.

use crate::command::Content;
use crate::config::{HolePolicy, SpecError};
use crate::date_ranges::DateRangeFault;
use crate::event::{FetchError, PreloadError, RungError, StoreError, TranscodeError};
use crate::formats::Unreadable;
use crate::ids::PlaylistName;
use crate::playlist::{Flaw, PlaylistError};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;
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
    /// Media is lost and said so.
    Hole {
        segments: u64,
        duration: Span,
        policy: HolePolicy,
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

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Stalled => "stalled",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => write!(out, "source playlist unchanged"),
            Self::Playlist(error) => write!(out, "source playlist cannot be loaded ({error})"),
            Self::Refused(error) => write!(out, "source playlist cannot be used ({error})"),
            Self::Waiting => write!(out, "waiting for segments"),
            Self::Segments(error) => write!(out, "segments cannot be downloaded ({error})"),
            Self::OlderEdge => write!(out, "source playlist older than what is already relayed"),
            Self::Publishing(error) => write!(out, "segments cannot be published ({error})"),
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(duration) => write!(out, "not made within the {duration} that it lasts"),
            Self::NotMade(error) => write!(out, "{error}"),
            Self::Rung(error) => write!(out, "{error}"),
            Self::Encrypted => {
                write!(out, "it is encrypted: decrypt it (keys = \"decrypt\")")
            }
        }
    }
}

impl fmt::Display for LadderWaits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Opened => "viewers have a media playlist open",
            Self::Several => "the source is a multivariant playlist",
        };
        write!(
            out,
            "{why}; stop the channel, and run it once its list is gone"
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunWanted => write!(out, "it should run"),
            Self::StopWanted => write!(out, "it should stop"),
            Self::Relaying => write!(out, "segments are relayed"),
            Self::SourceEnded => write!(out, "the source has ended its presentation"),
            Self::Silent {
                since,
                target_duration,
                trouble,
            } => {
                let tenths = since.as_micros() * 10 / target_duration.as_micros().max(1);
                write!(
                    out,
                    "{trouble} for {since} ({}.{} × target duration)",
                    tenths / 10,
                    tenths % 10
                )
            }
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::RestartedLower => "the source restarted with lower media sequence numbers",
            Self::RestartedRenamed => "the source restarted: the same numbers name other segments",
            Self::RestartedRedated => "the source restarted: the same names carry other date-times",
            Self::RestartedGrowth => "the source restarted: it grows below our position",
            Self::RestartedHigher => "the source restarted with higher media sequence numbers",
            Self::JumpedAhead => "the source jumped ahead by more than time can explain",
            Self::SwitchedSource => "another source",
            Self::AnotherVariant => "another variant of the source",
            Self::NewRun => "a new run after the end of the presentation",
            Self::Hole => "media was lost",
        })
    }
}

impl fmt::Display for HoleCause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverListed => write!(out, "the source no longer listed it when it was reached"),
            Self::Failed(error) => write!(out, "it could not be downloaded in time ({error})"),
            Self::NotPublished => {
                write!(out, "no playlist could be published while it was current")
            }
        }
    }
}

impl fmt::Display for SwitchReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Stalled => "the source in use is stalled",
            Self::FirstIsHealthy => "the first source is healthy again",
            Self::Reconfigured => "the channel was reconfigured",
            Self::KindChanged => "it shows another kind of playlist than before",
        })
    }
}

impl fmt::Display for StoreWork {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Publish => "publish the playlist",
            Self::Delete => "delete old segments",
            Self::Withdraw => "take the playlist away",
            Self::Checkpoint => "save the checkpoint",
            Self::Check => "look what is stored",
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateChanged { to, reason, .. } => write!(out, "{to}: {reason}"),
            Self::Configured { revision, .. } => write!(out, "revision {revision} is in force"),
            Self::ConfigureRefused { revision, why } => {
                write!(
                    out,
                    "revision {revision} is refused: {why}; the one before stays"
                )
            }
            Self::PlaylistFailed { source, error } => {
                write!(
                    out,
                    "source {source}: playlist not loaded: {error}; trying again"
                )
            }
            Self::PlaylistRefused { source, error } => write!(
                out,
                "source {source}: playlist refused: {error}; the last good one stays in use"
            ),
            Self::PlaylistFlaw { source, flaw } => {
                write!(out, "source {source}: accepted although wrong: {flaw}")
            }
            Self::PlaylistRecovered { source, after } => {
                write!(out, "source {source}: playlist loads again after {after}")
            }
            Self::StaleEdge { source, behind } => {
                write!(
                    out,
                    "source {source}: an edge is {behind} segments behind; ignored"
                )
            }
            Self::SegmentRetry {
                media_sequence,
                attempt,
                error,
            } => write!(
                out,
                "segment {media_sequence} of the source: attempt {attempt} failed: {error}; trying again"
            ),
            Self::NeedRetry { content, error } => {
                let what = match content {
                    Content::Segment => "segment",
                    Content::InitSection => "init section",
                    Content::Key => "key",
                };
                write!(
                    out,
                    "a {what} cannot be had: {error}; trying again, and no segment that needs it is listed"
                )
            }
            Self::SegmentRefused {
                media_sequence,
                error,
            } => write!(
                out,
                "segment {media_sequence} of the source is not asked for: {error}"
            ),
            Self::Hole {
                segments,
                duration,
                policy,
                cause,
            } => {
                let said = match policy {
                    HolePolicy::Gap => "EXT-X-GAP",
                    HolePolicy::Discontinuity => "a discontinuity",
                };
                write!(
                    out,
                    "hole of {segments} segments, {duration}, said as {said}: {cause}"
                )
            }
            Self::Broken { why } => write!(out, "discontinuity: {why}"),
            Self::Preparing { source, why } => write!(out, "preparing source {source}: {why}"),
            Self::Switched { from, to, why } if from != to => {
                write!(out, "switched from source {from} to source {to}: {why}")
            }
            Self::Switched { to, why, .. } if *why == SwitchReason::KindChanged => {
                write!(out, "source {to} is relayed anew: {why}")
            }
            // Each configuration counts its own.
            Self::Switched { to, why, .. } => write!(out, "switched to the new source {to}: {why}"),
            Self::PreparationFailed { source, trouble } => {
                write!(out, "source {source} cannot take over: {trouble}")
            }
            Self::TargetDurationRaised { from, to } => write!(
                out,
                "target duration raised from {from} to {to}: the source has a longer segment"
            ),
            Self::StoreFailed { what, error } => {
                write!(out, "cannot {what}: {error}; trying again")
            }
            Self::Fenced { epoch } => {
                write!(out, "another node is the owner now, of epoch {epoch}")
            }
            Self::Restored { listed, lost } => write!(
                out,
                "going on from the checkpoint: {listed} listed segments had again, {lost} lost"
            ),
            Self::Presented {
                source,
                variants,
                renditions,
                left_out,
            } => write!(
                out,
                "source {source} is a multivariant playlist: {variants} variants and {renditions} \
                 renditions are relayed, {left_out} entries left out"
            ),
            Self::LeftBehind { track, trouble } => write!(
                out,
                "{track} is left behind and gets gaps, the others go on: {trouble}"
            ),
            Self::CaughtUp { track } => write!(out, "{track} has segments again"),
            Self::Redundant { track, trouble } => write!(
                out,
                "{track} is loaded from the next place that the source names: {trouble}"
            ),
            Self::InitSectionChanged => write!(
                out,
                "an init section has changed unannounced: new segments stand under the new one"
            ),
            Self::FormatsUntold { track, error } => write!(
                out,
                "the source does not say what {track} is made of, nor does its media: {error}"
            ),
            Self::DateRange { track, fault } => write!(out, "{track}: {fault}"),
            Self::RungsMissed {
                media_sequence,
                rungs,
                why,
            } => write!(
                out,
                "segment {media_sequence} of the source is a gap in {}: {why}",
                rungs.join(", ")
            ),
            Self::RungSuspended {
                rung,
                why,
                again_in,
            } => write!(
                out,
                "{rung} is left out and lists gaps: {why}; it is tried again in {again_in}"
            ),
            Self::RungTried { rung } => write!(out, "{rung} is tried again"),
            Self::RungResumed { rung } => write!(out, "{rung} keeps up again"),
            Self::RungEntered { rung } => write!(out, "viewers are offered {rung}"),
            Self::RungLeft { rung } => write!(out, "viewers are offered {rung} no longer"),
            Self::RungLower {
                rung,
                wanted,
                height,
            } => write!(
                out,
                "{rung} is {height} pixels high and not {wanted}, as its source is no higher: only its bit rate is its own"
            ),
            Self::LadderWaits { why } => write!(out, "the ladder is not made yet: {why}"),
            Self::EdgeFailed { edge, error } => {
                write!(out, "edge {edge} is not warm in time: {error}")
            }
            Self::EdgeRecovered { edge } => write!(out, "edge {edge} is warm in time again"),
            Self::Renewing { source, error } => write!(
                out,
                "source {source}: {error}; the multivariant playlist is loaded again for new URLs"
            ),
        }
    }
}
