//! What the log has of sources that cannot take over. Such a one is tried every few seconds, for hours if need be: it is told
//! again where it is for another reason, or where the channel is in another state by then.

use hls_relay_core::notice::Notice;
use std::collections::BTreeMap;

/// Why each source cannot take over, as the log has it.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<usize, String>);

impl Told {
    /// Whether the log has this already; else it has it from now on.
    pub(super) fn has(&mut self, notice: &Notice) -> bool {
        if let Notice::Preparing { source, .. } = notice {
            return self.0.contains_key(source);
        }
        if let Notice::PreparationFailed { source, .. } = notice {
            let words = notice.to_string();
            let before = self.0.insert(*source, words.clone());
            return before.is_some_and(|it| it == words);
        }
        let is_another_story = matches!(
            notice,
            Notice::Configured { .. } | Notice::Switched { .. } | Notice::StateChanged { .. }
        );
        if is_another_story {
            self.0.clear();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_relay_core::notice::{Reason, State, SwitchReason, Trouble};

    #[test]
    fn a_source_that_cannot_take_over_is_told_once_in_each_outage() {
        let (source, why) = (1, SwitchReason::Stalled);
        let tried = Notice::Preparing { source, why };
        let failed = |trouble| Notice::PreparationFailed { source, trouble };
        let mut told = Told::default();
        for _outage in 0..2 {
            assert!(!told.has(&tried) && !told.has(&failed(Trouble::Unchanged)));
            assert!(told.has(&tried) && told.has(&failed(Trouble::Unchanged)));
            assert!(!told.has(&failed(Trouble::OlderEdge)));
            let recovered = Notice::StateChanged {
                from: State::Stalled,
                to: State::Live,
                reason: Reason::Relaying,
            };
            assert!(!told.has(&recovered));
        }
    }
}
