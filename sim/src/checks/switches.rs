//! How soon one source follows another: two bad ones are no strobe light, and the first one is trusted again only
//! once it has been healthy for a while.

use super::{Held, broken};
use hls_relay_core::notice::SwitchReason;
use hls_relay_core::time::{Span, Timestamp};

/// From one to the next, unless the owner wants another.
const APART: Span = Span::from_secs(30);
/// So long the first source has to have been healthy before it is used again.
pub const HEALTHY_FOR: Span = Span::from_secs(60);

/// What one process has gone over to.
#[derive(Debug, Default)]
pub struct SwitchChecks {
    last: Option<Timestamp>,
}

impl SwitchChecks {
    /// When it last went over to another source.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// It goes over to another source.
    pub fn switched(&mut self, now: Timestamp, why: SwitchReason) -> Held {
        let Some(before) = self.last.replace(now) else {
            return Ok(());
        };
        let least = match why {
            SwitchReason::Reconfigured => Span::ZERO,
            SwitchReason::Stalled | SwitchReason::KindChanged => APART,
            SwitchReason::FirstIsHealthy => HEALTHY_FOR,
        };
        if now.since(before) >= least {
            return Ok(());
        }
        broken(
            "6 sources follow one another no faster than is promised",
            format!("{least} after the last one: {why}"),
            now.since(before).to_string(),
        )
    }
}
