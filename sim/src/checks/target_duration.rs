//! S-03, as DESIGN 5.2 says it: the target duration of a channel is what the first list of its source states, and
//! rises only where a segment is longer, to what that one needs. It is one for all playlists of the channel.

use super::{Held, broken};
use hls_relay_core::time::Span;
use std::collections::BTreeSet;

/// What the target duration of a version follows from. All of it in seconds.
#[derive(Debug)]
pub struct Grounds<'a> {
    /// That of the version before; nothing where nobody knows one.
    pub before: Option<u64>,
    /// What lists of sources have stated so far, as far as it is believed.
    pub told: &'a BTreeSet<u64>,
    /// What the longest segment needs that is listed by any playlist that becomes visible with it.
    pub needed: u64,
    /// What the longest segment needs that was numbered and left before a version could be seen; 0 where none can have.
    pub unseen: u64,
}

impl Grounds<'_> {
    /// Whether a version may state this.
    pub fn allow(&self, stated: u64) -> Held {
        // Of what nobody has seen it is not known how much of it was listed.
        let raised = |from: u64| {
            let least = from.max(self.needed);
            stated == least || (stated > least && stated <= self.unseen)
        };
        let right = match self.before {
            Some(before) => raised(before),
            None => self.told.iter().copied().any(raised),
        };
        if right {
            return Ok(());
        }
        let from = match self.before {
            Some(before) => format!("{before} s as before"),
            None => format!("one of {:?} s, as its source has stated", self.told),
        };
        let needed = self.needed.max(self.unseen);
        broken(
            "S-03 the target duration rises to what a segment needs, and no further",
            format!("{from}, or {needed} s where that is more, for the longest segment"),
            format!("{stated} s"),
        )
    }
}

/// What a segment of this length needs: whole seconds, and at least one (S-04).
pub fn needed_by(longest: Span) -> u64 {
    longest.rounded_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(before: Option<u64>, needed: u64, unseen: u64, stated: u64) -> bool {
        let told = BTreeSet::from([4, 6]);
        let grounds = Grounds {
            before,
            told: &told,
            needed,
            unseen,
        };
        grounds.allow(stated).is_ok()
    }

    #[test]
    fn s_03_it_stays_or_rises_to_what_is_needed() {
        assert!(allows(Some(4), 4, 0, 4));
        assert!(allows(Some(4), 2, 0, 4));
        assert!(allows(Some(4), 5, 0, 5));
        for (needed, stated) in [(2, 3), (4, 5), (5, 4), (5, 6)] {
            assert!(!allows(Some(4), needed, 0, stated), "{needed}: {stated}");
        }
    }

    #[test]
    fn s_03_the_first_is_what_the_source_has_stated() {
        assert!(allows(None, 4, 0, 4) && allows(None, 4, 0, 6) && allows(None, 7, 0, 7));
        for (needed, stated) in [(2, 2), (4, 5), (7, 8), (7, 6)] {
            assert!(!allows(None, needed, 0, stated), "{needed}: {stated}");
        }
    }

    #[test]
    fn s_03_what_nobody_has_seen_may_have_needed_more() {
        assert!(allows(Some(4), 4, 7, 7) && allows(Some(4), 4, 7, 6));
        assert!(!allows(Some(4), 4, 7, 8) && !allows(Some(4), 4, 7, 3));
    }
}
