//! Every notice of a machine as a line in the log, at the level at which somebody has to know.

use crate::one_line::one_line;
use hls_relay_core::event::Event;
use hls_relay_core::notice::{Notice, State};

/// Whose notice it is: in every line, so that one channel's story can be picked out.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// The owner's number.
    pub epoch: u64,
    /// The configuration, as its owner counts.
    pub revision: u64,
    /// The configuration, as the machine counts.
    pub generation: u64,
}

/// Writes the line.
pub fn log(speaker: Speaker<'_>, notice: &Notice) {
    let Speaker {
        channel,
        epoch,
        revision,
        generation,
    } = speaker;
    let (kind, level) = (kind(notice), level(notice));
    // Some of its words are those of a source.
    let notice = one_line(&notice.to_string());
    // The level of a line is fixed where it is written, hence one line of code for each.
    match level {
        Level::Info => tracing::info!(channel, epoch, revision, generation, kind, "{notice}"),
        Level::Warn => tracing::warn!(channel, epoch, revision, generation, kind, "{notice}"),
        Level::Error => tracing::error!(channel, epoch, revision, generation, kind, "{notice}"),
    }
}

enum Level {
    /// As it should be.
    Info,
    /// Viewers may notice something, or soon will.
    Warn,
    /// Somebody has to act.
    Error,
}

fn level(notice: &Notice) -> Level {
    match notice {
        Notice::StateChanged { to, .. } => match to {
            State::Waiting | State::Starting | State::Live | State::Ended | State::Stopped => {
                Level::Info
            }
            State::Stale | State::Stalled => Level::Warn,
        },
        Notice::Configured { .. }
        | Notice::PlaylistRecovered { .. }
        | Notice::Preparing { .. }
        | Notice::Switched { .. }
        | Notice::Presented { .. }
        | Notice::CaughtUp { .. }
        | Notice::Fenced { .. }
        | Notice::RungTried { .. }
        | Notice::RungResumed { .. }
        | Notice::RungEntered { .. }
        | Notice::RungLeft { .. }
        | Notice::EdgeRecovered { .. }
        | Notice::Restored { .. } => Level::Info,
        Notice::PlaylistFailed { .. }
        | Notice::PlaylistRefused { .. }
        | Notice::PlaylistFlaw { .. }
        | Notice::StaleEdge { .. }
        | Notice::SegmentRetry { .. }
        | Notice::NeedRetry { .. }
        | Notice::SegmentRefused { .. }
        | Notice::Hole { .. }
        | Notice::Broken { .. }
        | Notice::PreparationFailed { .. }
        | Notice::LeftBehind { .. }
        | Notice::RungsMissed { .. }
        | Notice::RungSuspended { .. }
        | Notice::RungLower { .. }
        | Notice::LadderWaits { .. }
        | Notice::EdgeFailed { .. }
        | Notice::Redundant { .. }
        | Notice::Renewing { .. }
        | Notice::DateRange { .. }
        | Notice::FormatsUntold { .. }
        | Notice::InitSectionChanged
        | Notice::NotWhole { .. }
        | Notice::TargetDurationRaised { .. } => Level::Warn,
        Notice::ConfigureRefused { .. } | Notice::StoreFailed { .. } => Level::Error,
    }
}

/// A word for each kind of notice, for those who count or filter lines.
fn kind(notice: &Notice) -> &'static str {
    match notice {
        Notice::StateChanged { .. } => "state_changed",
        Notice::Configured { .. } => "configured",
        Notice::ConfigureRefused { .. } => "configure_refused",
        Notice::PlaylistFailed { .. } => "playlist_failed",
        Notice::PlaylistRefused { .. } => "playlist_refused",
        Notice::PlaylistFlaw { .. } => "playlist_flaw",
        Notice::PlaylistRecovered { .. } => "playlist_recovered",
        Notice::StaleEdge { .. } => "stale_edge",
        Notice::SegmentRetry { .. } => "segment_retry",
        Notice::NeedRetry { .. } => "need_retry",
        Notice::SegmentRefused { .. } => "segment_refused",
        Notice::Hole { .. } => "hole",
        Notice::Broken { .. } => "broken",
        Notice::Preparing { .. } => "preparing",
        Notice::Switched { .. } => "switched",
        Notice::PreparationFailed { .. } => "preparation_failed",
        Notice::TargetDurationRaised { .. } => "target_duration_raised",
        Notice::StoreFailed { .. } => "store_failed",
        Notice::Fenced { .. } => "fenced",
        Notice::Restored { .. } => "restored",
        Notice::Presented { .. } => "presented",
        Notice::LeftBehind { .. } => "left_behind",
        Notice::CaughtUp { .. } => "caught_up",
        Notice::Redundant { .. } => "redundant",
        Notice::DateRange { .. } => "date_range",
        Notice::FormatsUntold { .. } => "formats_untold",
        Notice::NotWhole { .. } => "not_whole",
        Notice::InitSectionChanged => "init_section_changed",
        Notice::Renewing { .. } => "renewing",
        Notice::RungsMissed { .. } => "rungs_missed",
        Notice::RungSuspended { .. } => "rung_suspended",
        Notice::RungTried { .. } => "rung_tried",
        Notice::RungResumed { .. } => "rung_resumed",
        Notice::RungEntered { .. } => "rung_entered",
        Notice::RungLeft { .. } => "rung_left",
        Notice::RungLower { .. } => "rung_lower",
        Notice::LadderWaits { .. } => "ladder_waits",
        Notice::EdgeFailed { .. } => "edge_failed",
        Notice::EdgeRecovered { .. } => "edge_recovered",
    }
}

/// A word for each kind of event, for the line that says at which one a machine broke.
pub fn kind_of_event(event: &Event) -> &'static str {
    match event {
        Event::Tick => "tick",
        Event::Configure(_) => "configure",
        Event::PlaylistLoaded { .. } => "playlist_loaded",
        Event::Downloaded { .. } => "segment_downloaded",
        Event::Transcoded { .. } => "transcoded",
        Event::Preloaded { .. } => "preloaded",
        Event::ObjectsChecked { .. } => "objects_checked",
        Event::Published { .. } => "published",
        Event::Deleted { .. } => "deleted",
        Event::Withdrawn { .. } => "withdrawn",
        Event::CheckpointSaved { .. } => "checkpoint_saved",
        Event::ShutDown => "shut_down",
    }
}
