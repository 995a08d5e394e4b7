//! What must hold for every version that becomes visible and for every delete, whatever happened.
//!
//! It reads only what a viewer could read: the text of the playlists, in order, over every process
//! of a channel. Rules that a scenario may suspend on purpose have a field that says so.

use super::{date_ranges, media};
use hls_relay_core::playlist::{
    MediaPlaylist, PlaylistType, Segment, fits_target_duration, required_version,
};
use hls_relay_core::time::Span;
use std::collections::BTreeMap;

/// A playlist is sent to the viewers at once and told to be visible this much later.
const SLACK: Span = Span::from_millis(20);

#[derive(Default)]
pub(crate) struct Checker {
    versions: Vec<(u64, String, MediaPlaylist)>,
    /// Everything ever listed, by its number (S-02, S-17).
    ever: BTreeMap<u64, Segment>,
    /// What each object holds (S-65).
    pub(crate) content: BTreeMap<String, String>,
    /// By URI: what a viewer may still ask for, and how long (S-09).
    known: BTreeMap<String, Known>,
    /// A segment has left the list (S-07, S-08).
    removed: bool,
    /// Versions may come faster than half a target duration, until one does not (S-12).
    pub(crate) catching_up: bool,
    last_fresh: Option<u64>,
    /// The next version may begin later: a process has died, or the list was taken down.
    begins_anew: bool,
    /// The next version may jump: publishing has failed.
    unpublished: bool,
    /// Catching up comes and goes in ways that a viewer cannot tell: the pace is not judged.
    pub(crate) free_pace: bool,
    /// The source breaks rules in its multivariant playlist: what it says there stays.
    pub(crate) free_entry: bool,
    /// Nobody can tell how long the source's date ranges last.
    pub(crate) free_date_ranges: bool,
    /// Several playlists are published: their tests look at them.
    pub(crate) several: bool,
    /// The source's dates need not agree with its durations: they are its own.
    pub(crate) lying_dates: bool,
    /// The process was told to end.
    leaving: bool,
    /// The store is given up on purpose: nothing is said of what it deletes.
    pub(crate) forget_deletes: bool,
}

struct Known {
    duration: Span,
    longest_playlist: Span,
    gone_at: Option<u64>,
}

impl Checker {
    pub(crate) fn killed(&mut self) {
        (self.begins_anew, self.catching_up) = (true, true);
        self.leaving = false;
    }

    /// A process that leaves lists what it has at once.
    pub(crate) fn shut_down(&mut self) {
        self.leaving = true;
    }

    pub(crate) fn not_published(&mut self) {
        (self.unpublished, self.catching_up) = (true, true);
    }

    /// An object is written: the same name never holds anything else (S-65).
    pub(crate) fn stored(&mut self, object: &str, content: &str) {
        let before = self.content.insert(object.to_owned(), content.to_owned());
        assert!(
            before.as_deref().is_none_or(|before| before == content),
            "S-65: {object} held {before:?} and now holds {content}"
        );
    }

    /// The next version is visible.
    pub(crate) fn version(&mut self, now: u64, text: &str) {
        let list = media(text);
        check_text(text, &list);
        check_durations(&list);
        if !self.free_date_ranges {
            date_ranges::check(self.versions.last().map(|it| &it.2), &list);
        }
        if !self.lying_dates {
            check_dates(&list);
        }
        if let Some((_, _, before)) = self.versions.last() {
            self.check_edit(before, &list, text);
        }
        self.check_numbers(&list);
        self.check_pace(now, &list);
        self.remember(now, &list);
        self.versions.push((now, text.to_owned(), list));
        (self.begins_anew, self.unpublished) = (false, false);
    }

    /// S-02, S-03, S-05, S-06, S-07, S-08, S-15, S-17 between two versions.
    fn check_edit(&self, before: &MediaPlaylist, list: &MediaPlaylist, text: &str) {
        let (old, new) = (before.media_sequence, list.media_sequence);
        assert!(new >= old, "S-05: media sequence falls from {old} to {new}");
        assert!(
            list.discontinuity_sequence >= before.discontinuity_sequence,
            "S-17: discontinuity sequence falls"
        );
        assert!(
            new == old || list.playlist_type.is_none() || before.playlist_type.is_none(),
            "S-16: {old} has left a list that keeps all:\n{text}"
        );
        let (old_end, new_end) = (before.end_media_sequence(), list.end_media_sequence());
        assert!(
            new_end >= old_end || self.begins_anew,
            "S-02: the end falls from {old_end} to {new_end}"
        );
        if !self.begins_anew && !self.unpublished {
            assert!(
                new <= old_end,
                "S-05: {new} after {old_end}: numbers skipped that were never listed"
            );
        }
        let (was, is) = (before.target_duration, list.target_duration);
        assert!(is >= was, "S-03: target duration falls from {was} to {is}");
        if is > was && !self.begins_anew {
            let needed = |it: &&Segment| it.duration.rounded_secs() == is.rounded_secs();
            assert!(
                list.segments.iter().any(|it| needed(&it)),
                "S-03: target duration rises to {is} and no segment needs it"
            );
        }
        if before.end_list && !self.begins_anew {
            let first = list.segments.get((old_end - new.min(old_end)) as usize);
            let same = self.versions.last().is_some_and(|(_, was, _)| was == text);
            // Told by a discontinuity, or by the number of one that left before anything could be published.
            let told = before.segments.iter().filter(|it| it.discontinuity).count() as u64;
            let left = list.discontinuity_sequence > before.discontinuity_sequence + told;
            let new_run = first.is_some_and(|it| it.discontinuity) || (new >= old_end && left);
            assert!(same || new_run, "S-15: changed after ENDLIST:\n{text}");
        }
        let removes = new > old && !self.begins_anew;
        if (removes || self.removed) && !list.end_list && !self.begins_anew {
            let (lasts, least) = (list.duration(), list.target_duration * 3);
            assert!(
                lasts >= least || !removes,
                "S-07: {lasts} left of at least {least}:\n{text}"
            );
        }
        if removes {
            let count = list.segments.len();
            assert!(count >= 6, "S-08: {count} segments after a removal");
        }
    }

    /// The same number is the same segment, for ever (S-02, S-17, S-21).
    fn check_numbers(&self, list: &MediaPlaylist) {
        for (number, segment) in (list.media_sequence..).zip(&list.segments) {
            assert_eq!(segment.media_sequence, number);
            if let Some(before) = self.ever.get(&number) {
                // Nothing ends a MAP but the next (RFC 8216 4.3.2.5): what has none of its own is under
                // the one before it, for as long as that is listed.
                let map = segment.map.as_ref().and(before.map.clone());
                // A date-time tells those of the segments around it too, for as long as it is listed.
                let told_by_another = before.date_time_text.is_none();
                let date_time = before
                    .date_time
                    .filter(|_| segment.date_time.is_some() || !told_by_another)
                    .or(segment.date_time);
                let before = Segment {
                    map,
                    date_time,
                    ..before.clone()
                };
                assert_eq!(
                    before,
                    date_ranges::without(segment),
                    "S-02: segment {number} has changed"
                );
            }
        }
        let below = self.ever.range(..list.media_sequence).next_back();
        if let (Some((_, below)), Some(first)) = (below, list.segments.first()) {
            let own = u64::from(first.discontinuity);
            assert!(
                first.discontinuity_sequence >= below.discontinuity_sequence + own.min(1)
                    || below.media_sequence + 1 < first.media_sequence,
                "S-17: the discontinuity sequence of {} does not follow",
                first.media_sequence
            );
        }
    }

    /// S-12, the lower bound: half a target duration between versions with new segments, but for
    /// ENDLIST and for catching up.
    fn check_pace(&mut self, now: u64, list: &MediaPlaylist) {
        let newest = self.ever.last_key_value().map(|(number, _)| *number);
        let fresh = |it: &&Segment| newest.is_none_or(|newest| it.media_sequence > newest);
        let Some(first) = list.segments.iter().find(fresh) else {
            return;
        };
        let fresh = list.segments.iter().filter(fresh);
        let marked = fresh.clone().any(|it| it.gap || it.discontinuity) || first.discontinuity;
        // A hole or a break is caught up after, also where it stands in the first version of all.
        self.catching_up |= marked;
        if let Some(last) = self.last_fresh {
            let gap = Span::from_micros(now - last);
            let half = list.target_duration.half();
            let late = gap > list.target_duration.scaled(3, 2);
            self.catching_up |= late || list.end_list;
            assert!(
                gap >= half || self.catching_up || self.free_pace || self.leaving,
                "S-12: {gap} after the version before"
            );
            self.catching_up &= gap < half || late || marked;
        }
        self.last_fresh = Some(now);
    }

    fn remember(&mut self, now: u64, list: &MediaPlaylist) {
        let duration = list.duration();
        self.removed |= list.media_sequence
            > self
                .versions
                .first()
                .map_or(u64::MAX, |it| it.2.media_sequence);
        for known in self.known.values_mut() {
            known.gone_at.get_or_insert(now);
        }
        for segment in &list.segments {
            self.ever
                .insert(segment.media_sequence, date_ranges::without(segment));
            if segment.gap {
                continue;
            }
            let uri = segment.uri.to_string();
            assert!(
                self.content.contains_key(&uri),
                "S-65: {uri} is no name of ours"
            );
            let known = self.known.entry(uri).or_insert(Known {
                duration: segment.duration,
                longest_playlist: duration,
                gone_at: None,
            });
            known.gone_at = None;
            known.longest_playlist = known.longest_playlist.max(duration);
        }
    }

    /// An object is deleted: not while it is listed, nor for its time after that (S-09).
    pub(crate) fn deleted(&mut self, now: u64, object: &str) {
        let Some(known) = self.known.get(object).filter(|_| !self.forget_deletes) else {
            return;
        };
        let Some(gone_at) = known.gone_at else {
            panic!("S-09: {object} is deleted while it is listed");
        };
        let kept = Span::from_micros(now - gone_at) + SLACK;
        let least = known.duration + known.longest_playlist;
        assert!(kept >= least, "S-09: {object} kept {kept} of {least}");
    }

    /// The list is taken down: after its time (S-46), and everything in it is gone with it.
    pub(crate) fn withdrawn(&mut self, now: u64) {
        let Some((_, _, last)) = self.versions.last() else {
            return;
        };
        assert!(last.end_list, "S-46: taken down without ENDLIST");
        self.begins_anew = true;
        let ended = self.versions.iter().rev().take_while(|it| it.2.end_list);
        let ended_at = ended.last().map_or(now, |it| it.0);
        for known in self.known.values_mut() {
            known.gone_at.get_or_insert(ended_at);
        }
        let kept = Span::from_micros(now - ended_at) + SLACK;
        assert!(
            kept >= last.duration(),
            "S-46: taken down {kept} after the end"
        );
    }

    /// Every version so far: when, and what.
    pub(crate) fn versions(&self) -> impl DoubleEndedIterator<Item = (u64, &MediaPlaylist)> {
        self.versions.iter().map(|(at, _, list)| (*at, list))
    }

    /// Everything ever listed, in order.
    pub(crate) fn ever(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.ever.values()
    }

    /// Where the media does not go on from one segment to the next, a discontinuity stands, and gaps
    /// stand for what is missing (S-19). Gives how often it broke. Segments are `NAME` and a number.
    pub(crate) fn check_breaks(&self) -> u64 {
        let parse = |content: &str| -> (String, i64) {
            let name = content.trim_end_matches(".ts");
            let run = name.trim_end_matches(|it: char| it.is_ascii_digit());
            let number = name[run.len()..].parse().expect("a number");
            (run.to_owned(), number)
        };
        let (mut breaks, mut last) = (0, None::<(String, i64)>);
        // A discontinuity on a gap, or on what no list could show, is one before what follows, too.
        let (mut marked, mut counted) = (false, 0);
        let mut next = None;
        for (segment, content) in self.ever().zip(self.relayed()) {
            let before = std::mem::replace(&mut counted, segment.discontinuity_sequence);
            marked |= counted > before;
            // Numbers that no list could show, while the store refused: the numbers say it.
            let number = segment.media_sequence;
            let unseen = number - next.replace(number + 1).unwrap_or(number);
            last = last.map(|(run, number)| (run, number + unseen as i64));
            let Some(content) = content else {
                last = last.map(|(run, number)| (run, number + 1));
                continue;
            };
            let (run, number) = parse(content);
            if let Some(before) = last.replace((run.clone(), number)) {
                let goes_on = (run, number) == (before.0.clone(), before.1 + 1);
                assert!(goes_on || marked, "S-19: {content} follows {before:?}");
                breaks += u64::from(!goes_on);
            }
            marked = false;
        }
        breaks
    }

    /// What the segments ever listed hold, in order; gaps as nothing.
    pub(crate) fn relayed(&self) -> Vec<Option<&str>> {
        let content = |it: &Segment| self.content.get(&*it.uri).filter(|_| !it.gap);
        self.ever()
            .map(|it| content(it).map(String::as_str))
            .collect()
    }
}

/// S-05, S-16, S-18, S-29, S-63.
fn check_text(text: &str, list: &MediaPlaylist) {
    assert!(text.starts_with("#EXTM3U\n") && text.ends_with('\n'));
    let control = |it: char| it.is_control() && it != '\n';
    assert!(!text.contains(control), "S-63: a control character");
    let values = |tag: &str| -> Vec<String> {
        let found = text.lines().filter_map(|line| line.strip_prefix(tag));
        found.map(str::to_owned).collect()
    };
    assert_eq!(
        values("#EXT-X-MEDIA-SEQUENCE:"),
        [list.media_sequence.to_string()]
    );
    assert_eq!(
        values("#EXT-X-DISCONTINUITY-SEQUENCE:"),
        [list.discontinuity_sequence.to_string()],
        "S-18"
    );
    assert_eq!(
        values("#EXT-X-VERSION:"),
        [required_version(list).to_string()],
        "S-29"
    );
    let typed = list.playlist_type == Some(PlaylistType::Vod);
    assert!(list.end_list || !typed, "S-16: a VOD that changes");
}

/// S-04.
fn check_durations(list: &MediaPlaylist) {
    assert!(list.target_duration >= Span::from_secs(1));
    for segment in &list.segments {
        assert!(
            fits_target_duration(segment.duration, list.target_duration),
            "S-04: {} is longer than {}",
            segment.duration,
            list.target_duration
        );
    }
}

/// S-21: dates follow from durations where nothing is said to break them.
fn check_dates(list: &MediaPlaylist) {
    for pair in list.segments.windows(2) {
        let (Some(before), Some(after)) = (pair[0].date_time, pair[1].date_time) else {
            continue;
        };
        let off = (before + pair[0].duration).abs_diff(after);
        assert!(
            pair[1].discontinuity || off < Span::from_secs(1),
            "S-21: the date of {} is off by {off}",
            pair[1].media_sequence
        );
    }
}
