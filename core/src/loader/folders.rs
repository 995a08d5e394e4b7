//! Do the folders in a source's URLs tell its segments apart?
//!
//! Some origins put a token into the path, another one at every reload: then only the last component
//! names the segment. That is told once, the first time two lists of a source can be compared. A list that
//! goes on in every respect but the folders shows that they are fickle, and so does one in which the same
//! date-times stand elsewhere; one in which they have stayed shows that they are steady, and from then on
//! another folder is another run of the encoder.

use crate::checkpoint::Identity;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// A list that goes on has grown by the time that has passed, give or take so many segments.
const SLACK_SEGMENTS: u64 = 2;

/// What is known of the folders of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Folders {
    /// No two lists have been compared; also after a restart of ours. What a checkpoint knows of a source
    /// whose folders are fickle has none, and so differs from its lists in all of them.
    #[default]
    Unknown,
    /// A segment keeps its folder.
    Steady,
    /// Another one at every reload: they are left out of identities.
    Fickle,
}

impl Folders {
    /// Compares what is known with a new list, both oldest first; `silence` is how long ago a new
    /// segment was last seen. What is `restored` ends with what was relayed last: more may have been seen. A list that has
    /// `ended` has grown for as long as it went on, which nobody knows.
    pub(super) fn compare<'a>(
        known: impl Iterator<Item = &'a Identity> + Clone,
        list: &[Identity],
        silence: Span,
        (restored, ended): (bool, bool),
    ) -> Self {
        let (Some(oldest), Some(newest)) = (known.clone().next(), known.clone().last()) else {
            return Self::Unknown;
        };
        let (Some(first), Some(last)) = (list.first(), list.last()) else {
            return Self::Unknown;
        };
        let number = |it: &Identity| it.media_sequence;
        let goes_on = number(first) >= number(oldest) && number(last) >= number(newest);
        let shared = || {
            let known = known.clone().filter(|it| number(it) >= number(first));
            known.filter_map(|before| {
                let index = usize::try_from(number(before) - number(first)).ok()?;
                Some((before, list.get(index)?))
            })
        };
        if shared().next().is_none() {
            return Self::Unknown;
        }
        // The same files of the same moments: it does not matter which of the lists is the older one.
        let moved = |(before, now): (&Identity, &Identity)| {
            let dated = before.date_time.is_some();
            dated && folder(before) != folder(now) && is_alike(before, now)
        };
        if shared().all(moved) {
            return Self::Fickle;
        }
        if !goes_on {
            return Self::Unknown;
        }
        if shared().any(|(before, now)| folder(before) == folder(now)) {
            let has_changed = number(last) > number(newest);
            return if has_changed {
                Self::Steady
            } else {
                Self::Unknown
            };
        }
        let fresh = list.iter().filter(|it| number(it) > number(newest));
        let grown: Span = fresh.map(|it| it.duration).sum();
        let slack = last.duration * SLACK_SEGMENTS;
        let in_time = (restored || grown <= silence + slack) && (ended || silence <= grown + slack);
        // What a checkpoint knows of fickle folders has none, whenever it was saved.
        let stripped = shared().all(|(before, _)| folder(before).is_empty());
        if (in_time || stripped) && shared().all(|(before, now)| is_alike(before, now)) {
            Self::Fickle
        } else {
            Self::Unknown
        }
    }

    /// Takes out of an identity what does not count.
    pub(super) fn strip(self, identity: &mut Identity) {
        if self == Self::Fickle && identity.path.contains('/') {
            identity.path = file_name(identity).into();
        }
    }
}

/// The same segment in another folder.
fn is_alike(before: &Identity, now: &Identity) -> bool {
    file_name(before) == file_name(now)
        && before.byte_range == now.byte_range
        && before.duration == now.duration
        && before.date_time == now.date_time
}

fn file_name(it: &Identity) -> &str {
    it.path.rsplit_once('/').map_or(&it.path, |(_, name)| name)
}

fn folder(it: &Identity) -> &str {
    it.path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WallTime;

    const SEGMENT: Span = Span::from_secs(2);

    fn list(numbers: std::ops::Range<u64>, folder: &str) -> Vec<Identity> {
        let segment = |media_sequence| Identity {
            media_sequence,
            path: format!("{folder}seg{media_sequence}.ts").into(),
            byte_range: None,
            date_time: None,
            discontinuity_sequence: 0,
            duration: SEGMENT,
        };
        numbers.map(segment).collect()
    }

    fn compare(known: &[Identity], list: &[Identity], silence: Span) -> Folders {
        Folders::compare(known.iter(), list, silence, (false, false))
    }

    #[test]
    fn a_list_that_goes_on_in_other_folders_shows_that_they_are_fickle() {
        let known = list(10..16, "t/a/");
        for now in [list(10..16, "t/b/"), list(11..17, "t/b/"), list(11..17, "")] {
            assert_eq!(compare(&known, &now, SEGMENT), Folders::Fickle);
        }
        // So does one after a restart of ours, with names from a checkpoint.
        assert_eq!(
            compare(&list(10..16, ""), &list(12..18, "t/b/"), SEGMENT * 2),
            Folders::Fickle
        );
    }

    #[test]
    fn what_is_restored_may_lack_what_was_seen_and_not_relayed() {
        let (known, now) = (list(10..13, "t/a/"), list(11..17, "t/b/"));
        let compare =
            |restored| Folders::compare(known.iter(), &now, SEGMENT.half(), (restored, false));
        assert_eq!(compare(true), Folders::Fickle);
        assert_eq!(compare(false), Folders::Unknown);
    }

    #[test]
    fn a_list_that_has_ended_need_not_have_grown_by_the_time_that_has_passed() {
        let known = list(10..16, "t/a/");
        let compare = |now: &[Identity], ended| {
            Folders::compare(known.iter(), now, SEGMENT * 20, (true, ended))
        };
        for now in [list(10..16, "t/b/"), list(10..18, "t/b/")] {
            assert_eq!(compare(&now, true), Folders::Fickle);
            assert_eq!(compare(&now, false), Folders::Unknown);
        }
    }

    #[test]
    fn date_times_tell_that_folders_are_fickle_whichever_list_is_the_older_one() {
        let dated = |numbers, folder, since: i64| {
            let mut list = list(numbers, folder);
            for it in &mut list {
                let at = (since + 2 * it.media_sequence as i64) * 1_000_000;
                it.date_time = Some(WallTime::from_micros(at));
            }
            list
        };
        let known = dated(10..16, "t/a/", 0);
        for numbers in [9..15, 8..12, 10..16, 14..20] {
            let now = dated(numbers, "t/b/", 0);
            assert_eq!(compare(&known, &now, SEGMENT * 20), Folders::Fickle);
        }
        let restarted = dated(9..15, "t/b/", 60);
        assert_eq!(compare(&known, &restarted, SEGMENT), Folders::Unknown);
    }

    #[test]
    fn a_list_that_has_grown_in_the_same_folders_shows_that_they_are_steady() {
        let known = list(10..16, "run0/");
        assert_eq!(
            compare(&known, &list(11..17, "run0/"), SEGMENT),
            Folders::Steady
        );
        let mut mixed = list(11..16, "run0/");
        mixed.extend(list(16..17, "run1/"));
        assert_eq!(compare(&known, &mixed, SEGMENT), Folders::Steady);
        assert_eq!(compare(&known, &known, SEGMENT), Folders::Unknown);
    }

    #[test]
    fn what_may_be_another_run_tells_nothing() {
        let known = list(10..16, "run0/");
        let elsewhere = |change: fn(&mut Identity)| {
            let mut now = list(11..17, "run1/");
            now.iter_mut().for_each(change);
            now
        };
        let others = [
            list(0..3, "run1/"),
            list(9..16, "run1/"),
            list(11..15, "run1/"),
            list(16..20, "run1/"),
            elsewhere(|it| it.path = format!("run1/other{}.ts", it.media_sequence).into()),
            elsewhere(|it| it.byte_range = Some((0, 1))),
            elsewhere(|it| it.duration = SEGMENT.half()),
        ];
        for now in others {
            assert_eq!(compare(&known, &now, SEGMENT), Folders::Unknown, "{now:?}");
        }
        // But names without folders come from a checkpoint, which may be behind.
        let restored = compare(&list(10..16, ""), &list(11..17, "t/b/"), SEGMENT * 20);
        assert_eq!(restored, Folders::Fickle);
        // It has not grown by the time that has passed.
        assert_eq!(
            compare(&known, &list(11..17, "run1/"), SEGMENT * 20),
            Folders::Unknown
        );
    }
}
