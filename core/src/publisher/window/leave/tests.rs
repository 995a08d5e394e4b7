//! What leaves the head of a list, and what that counts.

use super::*;
use crate::checkpoint::SavedObject;
use crate::ids::{Generation, PlaylistName};
use crate::playlist::{self, Playlist, Segment};
use crate::stage::on_a_stage;
use crate::time::{Place, Span, Timestamp};

const LASTS: Span = Span::from_secs(6);

/// An entry, which a version has had where it is `seen`; a gap where it is not `stored`.
fn entry(seen: bool, stored: bool, discontinuity: bool) -> Entry {
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n";
    let Ok(Playlist::Media(mut list)) = playlist::parse(text.as_bytes()) else {
        panic!("a media playlist");
    };
    let segment = Segment {
        discontinuity,
        gap: !stored,
        ..list.segments.remove(0)
    };
    let object = SavedObject {
        object: crate::ids::ObjectName("a.ts".into()),
        length: 188,
        hash: crate::ids::ContentHash([0; 32]),
    };
    Entry {
        segment,
        stored: stored.then_some(object),
        resources: Vec::new(),
        rungs: Vec::new(),
        hidden: false,
        identity: None,
        longest_playlist: Span::ZERO,
        appeared: Timestamp::default(),
        generation: Generation::default(),
        seen: if seen { Seen::Surely } else { Seen::Never },
        listed_at: None,
        place: Place::default(),
    }
}

/// How the first leaves: with a version, where one can be listed or where none can, or by a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Version,
    NoVersion,
    Restart,
}

/// Media sequence and discontinuity sequence of a list of these from 70 on, which has counted 3 discontinuities, and
/// whether it begins with one, after the first has left.
fn after_the_first(entries: &[Entry], by: By) -> (u64, u64, bool) {
    let mut window = Window::new(PlaylistName("v0.m3u8".into()));
    window.media_sequence = Some(70);
    window.discontinuity_sequence = 3;
    window.entries.extend(entries.iter().cloned());
    if by == By::Restart {
        assert_eq!(window.cut(1).len(), 1);
    } else {
        let left = on_a_stage(Timestamp::default(), |stage| {
            window.pop_first(stage, (HolePolicy::Gap, by == By::Version))
        });
        assert!(left.is_some());
    }
    let list = window.as_playlist(LASTS, false);
    let first = list.segments.first().unwrap();
    assert_eq!(
        first.gap,
        *first.uri == *format!("gap-{}.ts", list.media_sequence)
    );
    let numbers = (list.media_sequence, list.discontinuity_sequence);
    (numbers.0, numbers.1, first.discontinuity)
}

#[test]
fn s_05_s_17_what_leaves_counts_where_a_version_had_it_or_it_was_media() {
    for by in [By::Version, By::NoVersion, By::Restart] {
        for (seen, stored) in [(true, true), (true, false), (false, true)] {
            for breaks in [false, true] {
                let left = entry(seen, stored, breaks);
                let entries = [left, entry(false, true, false)];
                let counted = (71, 3 + u64::from(breaks), false);
                assert_eq!(after_the_first(&entries, by), counted);
            }
        }
    }
}

#[test]
fn s_05_s_17_a_gap_that_no_version_has_had_leaves_its_number_and_its_break_to_what_follows() {
    for by in [By::Version, By::Restart] {
        for breaks in [false, true] {
            for stored in [false, true] {
                let entries = [entry(false, false, breaks), entry(false, stored, false)];
                assert_eq!(after_the_first(&entries, by), (70, 3, breaks));
            }
        }
    }
}

#[test]
fn s_17_two_breaks_stay_two_where_what_is_between_them_leaves() {
    for by in [By::Version, By::Restart] {
        let entries = [entry(false, false, true), entry(false, true, true)];
        assert_eq!(after_the_first(&entries, by), (71, 4, true));
    }
}

#[test]
fn s_05_where_nothing_can_be_listed_a_gap_counts_as_what_it_stands_for() {
    for breaks in [false, true] {
        let entries = [entry(false, false, breaks), entry(false, true, false)];
        let counted = (71, 3 + u64::from(breaks), false);
        assert_eq!(after_the_first(&entries, By::NoVersion), counted);
    }
}
