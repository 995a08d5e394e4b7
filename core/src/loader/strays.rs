//! Lines that are not known and stand right before the first segment: nothing in one list tells whether they are of that
//! segment or of the list. Where they stand in the next list does.

use crate::playlist::{MediaPlaylist, name_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// More names than that are not looked for.
const MOST: usize = 32;

/// What stood there in the newest list, and what is of the list as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Strays {
    /// The numbers of the first segment and of the last.
    listed: Option<(u64, u64)>,
    /// Names that stand before the first and before no other.
    before_first: BTreeSet<Arc<str>>,
    /// Those that have stayed there while the list moved on: behind a first segment that had none when it was amid others.
    of_the_list: BTreeSet<Arc<str>>,
}

impl Strays {
    pub(super) fn is_empty(&self) -> bool {
        self.before_first.is_empty()
    }

    /// Puts what is of the list at its head.
    pub(super) fn sort(&mut self, list: &mut MediaPlaylist) {
        let (Some(first), Some(last)) = (list.segments.first(), list.segments.last()) else {
            return;
        };
        let listed = (first.media_sequence, last.media_sequence);
        let mut names: BTreeSet<Arc<str>> = first
            .unknown()
            .map(name_of)
            .take(MOST)
            .map(Arc::from)
            .collect();
        if !names.is_empty() {
            let others = list.segments.iter().skip(1).flat_map(|it| it.unknown());
            others.map(name_of).for_each(|name| {
                names.remove(name);
            });
        }
        let moved_on = self
            .listed
            .is_some_and(|(first, last)| first < listed.0 && listed.0 <= last);
        let stayed = self.before_first.intersection(&names).filter(|_| moved_on);
        self.of_the_list.extend(stayed.cloned());
        self.of_the_list.retain(|name| names.contains(name));
        (self.listed, self.before_first) = (Some(listed), names);
        let Some(first) = list
            .segments
            .first_mut()
            .filter(|_| !self.of_the_list.is_empty())
        else {
            return;
        };
        let of_the_list = |line: &Arc<str>| self.of_the_list.contains(name_of(line));
        let (head, own) = first.tags.drain(..).partition(of_the_list);
        first.tags = own;
        list.head.extend::<Vec<_>>(head);
    }
}
