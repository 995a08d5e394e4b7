//! What has gone wrong, and since when nothing has.

use crate::plan::Trouble;
use hls_relay_core::time::{Span, Timestamp};

/// Every stretch of trouble, those to come too, in the order in which they begin.
#[derive(Debug)]
pub(super) struct Troubles {
    all: Vec<Trouble>,
    /// When each of them is over, with all that begin before it.
    over: Vec<Timestamp>,
}

impl Troubles {
    /// `all` are in order.
    pub(super) fn new(all: Vec<Trouble>) -> Self {
        let over = Vec::with_capacity(all.len());
        let mut troubles = Self { all, over };
        troubles.reckon(0);
        troubles
    }

    /// One more, that nobody had planned.
    pub(super) fn add(&mut self, from: Timestamp, until: Timestamp) {
        let place = self.begun(from);
        let trouble = Trouble {
            from,
            until,
            recovery: None,
        };
        self.all.insert(place, trouble);
        self.reckon(place);
    }

    fn reckon(&mut self, from: usize) {
        self.over.truncate(from);
        for it in &self.all[from..] {
            let before = self.over.last().copied().unwrap_or_default();
            self.over.push(before.max(it.until));
        }
    }

    /// How many have begun by then.
    fn begun(&self, at: Timestamp) -> usize {
        self.all.partition_point(|it| it.from <= at)
    }

    /// Since when nothing has gone wrong at `at`; none while something does.
    pub(super) fn quiet_since(&self, at: Timestamp) -> Option<Timestamp> {
        match self.begun(at).checked_sub(1) {
            None => Some(Timestamp::default()),
            Some(last) => Some(self.over[last]).filter(|over| *over < at),
        }
    }

    /// The one thing that has gone wrong before `at` for so long that a second would still be felt.
    pub(super) fn only(&self, at: Timestamp, settling: Span) -> Option<Trouble> {
        let begun = self.begun(at);
        let over = *self.over[..begun].last()?;
        let last = *self.all[..begun].iter().rfind(|it| it.until == over)?;
        let newest_first = (0..begun).rev();
        let felt = newest_first.take_while(|it| self.over[*it] + settling >= last.from);
        let felt = felt.filter(|it| self.all[*it].until + settling >= last.from);
        (felt.count() == 1).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::default() + Span::from_secs(secs)
    }

    fn trouble(from: u64, until: u64) -> Trouble {
        Trouble {
            from: at(from),
            until: at(until),
            recovery: None,
        }
    }

    #[test]
    fn it_is_quiet_once_all_that_has_begun_is_over() {
        let mut troubles = Troubles::new(vec![trouble(10, 60), trouble(20, 30)]);
        assert_eq!(troubles.quiet_since(at(9)), Some(at(0)));
        assert_eq!(troubles.quiet_since(at(40)), None);
        assert_eq!(troubles.quiet_since(at(61)), Some(at(60)));
        troubles.add(at(15), at(90));
        assert_eq!(troubles.quiet_since(at(61)), None);
        assert_eq!(troubles.quiet_since(at(100)), Some(at(90)));
    }

    #[test]
    fn the_only_trouble_is_one_before_which_the_others_are_long_over() {
        let troubles = [trouble(1, 5), trouble(100, 110), trouble(130, 140)];
        let troubles = Troubles::new(troubles.to_vec());
        let only = |now, settling| troubles.only(at(now), Span::from_secs(settling));
        assert_eq!(only(0, 30), None);
        assert_eq!(only(3, 30), Some(trouble(1, 5)));
        assert_eq!(only(120, 30), Some(trouble(100, 110)));
        assert_eq!(only(150, 30), None);
        assert_eq!(only(150, 10), Some(trouble(130, 140)));
    }
}
