//! What holds for the date ranges of every version (S-23, S-24), read by other code than ours.

use super::multivariant;
use hls_relay_core::playlist::{MediaPlaylist, Segment};
use std::collections::BTreeMap;

const TAG: &str = "#EXT-X-DATERANGE:";

/// Name and value as they stand, in order.
pub(crate) type Attributes = Vec<(String, String)>;

/// A segment without them: they move to the head of the list when it leaves.
pub(crate) fn without(segment: &Segment) -> Segment {
    let mut segment = segment.clone();
    segment.tags.retain(|line| !line.starts_with(TAG));
    segment
}

/// All lines, with the number of the segment before which each stands.
pub(crate) fn lines(list: &MediaPlaylist) -> Vec<(u64, &str)> {
    let segments = list.segments.iter();
    let tags = segments.flat_map(|it| it.tags.iter().map(|line| (it.media_sequence, &**line)));
    let end = list.end_media_sequence();
    let tail = list.tail.iter().map(|line| (end, &**line));
    tags.chain(tail)
        .filter(|it| it.1.starts_with(TAG))
        .collect()
}

/// Those that are no nonsense, by ID.
pub(crate) fn by_id(list: &MediaPlaylist) -> BTreeMap<String, Attributes> {
    let mut found = BTreeMap::new();
    for (_, line) in lines(list) {
        let attributes = attributes(&line[TAG.len()..]);
        let id = value(&attributes, "ID").map(str::to_owned);
        let Some(id) = id.filter(|_| has_start(&attributes)) else {
            continue;
        };
        let before = found.insert(id.clone(), attributes);
        assert_eq!(before, None, "S-24: {id} stands twice");
    }
    found
}

fn has_start(attributes: &Attributes) -> bool {
    value(attributes, "START-DATE").is_some_and(|it| seconds_of(it).is_some())
}

pub(crate) fn value<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|it| it.0 == name);
    found.map(|it| it.1.trim_matches('"'))
}

fn attributes(text: &str) -> Attributes {
    let parts = multivariant::parts(text);
    let pairs = parts.iter().filter_map(|part| part.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `2027-01-15T08:MM:SS.mmmZ`, the only dates that tests write, in milliseconds since 8 o'clock.
fn seconds_of(date: &str) -> Option<u64> {
    let (minutes, rest) = date.strip_prefix("2027-01-15T08:")?.split_once(':')?;
    let (seconds, rest) = rest.strip_suffix('Z')?.split_once('.')?;
    let (minutes, seconds): (u64, u64) = (minutes.parse().ok()?, seconds.parse().ok()?);
    Some((minutes * 60 + seconds) * 1_000 + rest.parse::<u64>().ok()?)
}

/// Seconds with at most three decimals, in milliseconds.
fn millis(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let (whole, decimals): (u64, u64) =
        (whole.parse().ok()?, format!("{decimals:0<3}").parse().ok()?);
    Some(whole * 1_000 + decimals)
}

/// What may be said after `before`.
pub(crate) fn check(before: Option<&MediaPlaylist>, list: &MediaPlaylist) {
    let now = by_id(list);
    let dated = list.segments.iter().any(|it| it.date_time.is_some());
    assert!(
        now.is_empty() || dated,
        "S-24: date ranges without date-times"
    );
    for (id, was) in before.map(by_id).unwrap_or_default() {
        match now.get(&id) {
            Some(is) => {
                for pair in &was {
                    assert!(is.contains(pair), "S-24: {id} had {pair:?}: {is:?}");
                }
            }
            None => check_gone(&id, &was, list),
        }
    }
}

/// S-23: none of its dates is that of a listed segment, as far as its end is told.
fn check_gone(id: &str, was: &Attributes, list: &MediaPlaylist) {
    let start = value(was, "START-DATE")
        .and_then(seconds_of)
        .expect("a date");
    let lasts = value(was, "DURATION").and_then(millis);
    let end = value(was, "END-DATE").and_then(seconds_of);
    let end = end.or(lasts.map(|it| start + it));
    let Some(end) = end else { return };
    for segment in &list.segments {
        let Some(begins) = segment.date_time else {
            continue;
        };
        let begins = (begins.as_micros() - super::START_WALL) / 1_000;
        let ends = begins + segment.duration.as_millis() as i64;
        assert!(
            (end as i64) <= begins || ends <= start as i64,
            "S-23: {id} is gone from {start} to {end} while {begins} is listed"
        );
    }
}
