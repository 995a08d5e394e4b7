//! The words for it, as they stand in the log, in `channel show` and in the status line.

use super::{
    Break, HoleCause, LadderWaits, Limit, Miss, Notice, Reason, State, StoreWork, SwitchReason,
    Trouble,
};
use crate::command::Content;
use crate::config::HolePolicy;
use crate::limits::MAX_WINDOW;
use std::fmt;

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

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segments => write!(out, "a list has at most {MAX_WINDOW}"),
            Self::Room => write!(
                out,
                "there is no room for more in memory; with --store DIR there is no such limit"
            ),
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
                said,
                cause,
            } => {
                let said = match said {
                    Some(HolePolicy::Gap) => "said as EXT-X-GAP",
                    Some(HolePolicy::Discontinuity) => "said as a discontinuity",
                    None => "not said in the list",
                };
                write!(
                    out,
                    "hole of {segments} segments, {duration}, {said}: {cause}"
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
            Self::NotWhole { segments, why } => write!(
                out,
                "the source keeps all that it ever had, and what is relayed begins {segments} segments later: {why}"
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
