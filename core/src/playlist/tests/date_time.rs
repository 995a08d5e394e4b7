//! EXT-X-PROGRAM-DATE-TIME.

use super::*;
use crate::playlist::date_time;

const DAY: i64 = 86_400_000_000;

fn at(text: &str) -> Option<i64> {
    date_time::parse(text).map(WallTime::as_micros)
}

#[test]
fn c_52_dates_are_read_with_and_without_zone() {
    assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
    let moment = at("2010-02-19T14:54:23.031+08:00").unwrap();
    assert_eq!(moment, 1_266_562_463_031_000);
    for same in [
        "2010-02-19T06:54:23.031Z",
        "2010-02-19T06:54:23.031",
        "2010-02-19T06:54:23.031+0000",
        "2010-02-19T14:54:23.031+0800",
        "2010-02-19T14:54:23.031+08",
        "2010-02-19T04:24:23.031-02:30",
        "2010-02-19t06:54:23,031z",
        "2010-02-19 06:54:23.0310000000Z",
    ] {
        assert_eq!(at(same), Some(moment), "{same}");
    }
}

#[test]
fn c_52_decimals_are_rounded_to_the_nearest_microsecond() {
    assert_eq!(at("1970-01-01T00:00:00.1234564999Z"), Some(123_456));
    assert_eq!(at("1970-01-01T00:00:00.1234565Z"), Some(123_457));
    assert_eq!(at("1970-01-01T00:00:00.9999999Z"), Some(1_000_000));
    assert_eq!(at("1969-12-31T23:59:59.9Z"), Some(-100_000));
}

#[test]
fn c_52_the_calendar_is_right() {
    assert_eq!(at("2000-02-29T00:00:00Z"), Some(11_016 * DAY));
    assert_eq!(
        at("2100-02-28T00:00:00Z").map(|moment| moment + DAY),
        at("2100-03-01T00:00:00Z")
    );
    assert_eq!(at("2016-12-31T23:59:60Z"), at("2017-01-01T00:00:00Z"));
    assert_eq!(at("0000-01-01T00:00:00Z"), Some(-719_528 * DAY));
    assert_eq!(at("9999-12-31T00:00:00Z"), Some(2_932_896 * DAY));
    for bad in [
        "",
        "2010",
        "2010-02-19",
        "2010-02-19T06:54",
        "2010-02-30T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2010-13-01T00:00:00Z",
        "2010-00-01T00:00:00Z",
        "2010-01-00T00:00:00Z",
        "2010-01-01T24:00:00Z",
        "2010-01-01T00:60:00Z",
        "2010-01-01T00-00:00Z",
        "2010-01-01T00:00-00Z",
        "2010-01/01T00:00:00Z",
        "2010/01-01T00:00:00Z",
        "2010-01-01T00:00:61Z",
        "2010-01-01T00:00:00.Z",
        "2010-01-01T00:00:00+8",
        "2010-01-01T00:00:00+08:0",
        "2010-01-01T00:00:00+24:00",
        "2010-01-01T00:00:00Zulu",
        "+010-01-01T00:00:00Z",
        "2010/01/01T00:00:00Z",
        "２010-01-01T00:00:00Z",
        "2010-01-01T00:00:0é",
    ] {
        assert_eq!(at(bad), None, "{bad}");
    }
}

#[test]
fn s_21_dates_are_written_in_utc_and_exactly() {
    let written = |micros: i64| {
        let mut text = String::new();
        date_time::write(&mut text, WallTime::from_micros(micros)).then_some(text)
    };
    assert_eq!(written(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
    assert_eq!(written(-1).as_deref(), Some("1969-12-31T23:59:59.999999Z"));
    assert_eq!(
        written(951_782_400_123_000).as_deref(),
        Some("2000-02-29T00:00:00.123Z")
    );
    assert_eq!(written(i64::MAX), None);
    assert_eq!(written(i64::MIN), None);
    // Each day of 500 years, with all kinds of leap years.
    for day in -91_000..91_000 {
        let moment = day * DAY + 1;
        assert_eq!(at(&written(moment).unwrap()), Some(moment));
    }
}

/// Milliseconds since 10:00:00 of each segment, and whether it has a text of its own.
fn dates(lines: &str) -> Vec<Option<i64>> {
    let start = at("2024-05-01T10:00:00Z").unwrap();
    let millis = |segment: Segment| {
        segment
            .date_time
            .map(|moment| (moment.as_micros() - start) / 1_000)
    };
    list(lines).segments.into_iter().map(millis).collect()
}

const SEGMENT: &str = "#EXTINF:5.5,\ns\n";
const TAG: &str = "#EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:";

#[test]
fn c_52_dates_are_counted_back_from_the_first_and_on_from_the_last() {
    let lines =
        format!("{SEGMENT}{SEGMENT}{TAG}20Z\n{SEGMENT}{SEGMENT}{TAG}31.250Z\n{SEGMENT}{SEGMENT}");
    let expected = [9_000, 14_500, 20_000, 25_500, 31_250, 36_750];
    assert_eq!(dates(&lines), expected.map(Some));
    let texts = list(&lines)
        .segments
        .into_iter()
        .map(|segment| segment.date_time_text.is_some());
    assert_eq!(
        texts.collect::<Vec<_>>(),
        [false, false, true, false, true, false]
    );
    assert_eq!(dates(SEGMENT), [None]);
}

#[test]
fn c_52_dates_are_not_counted_across_a_discontinuity() {
    let cut = "#EXT-X-DISCONTINUITY\n";
    let lines =
        format!("{SEGMENT}{cut}{SEGMENT}{TAG}20Z\n{SEGMENT}{cut}{SEGMENT}{cut}{TAG}50Z\n{SEGMENT}");
    assert_eq!(
        dates(&lines),
        [None, Some(14_500), Some(20_000), None, Some(50_000)]
    );
}

#[test]
fn c_52_the_text_of_a_date_is_kept_and_written_again() {
    let text = "2024-05-01T12:00:00.1239994+0200";
    let playlist = list(&format!(
        "#EXT-X-PROGRAM-DATE-TIME:{text}\n{SEGMENT}{SEGMENT}"
    ));
    assert_eq!(playlist.segments[0].date_time_text.as_deref(), Some(text));
    let written = render(&playlist);
    assert!(written.contains(&format!("#EXT-X-PROGRAM-DATE-TIME:{text}\n")));
    assert!(written.contains("#EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:05.623999Z\n"));
}

#[test]
fn s_21_a_text_that_no_longer_says_the_date_is_not_written() {
    let mut playlist = list(&format!("{TAG}00Z\n{SEGMENT}"));
    playlist.segments[0].date_time = Some(WallTime::from_micros(0));
    let line = "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00.000Z\n";
    assert!(render(&playlist).contains(line));
}

#[test]
fn c_52_a_date_that_cannot_be_read_is_kept_and_means_nothing() {
    let line = "#EXT-X-PROGRAM-DATE-TIME:yesterday";
    let playlist = list(&format!("{line}\n{SEGMENT}"));
    assert_eq!(playlist.segments[0].date_time, None);
    assert_eq!(texts(&playlist.segments[0].tags), [line]);
    assert!(flaws(&playlist).contains(&FlawKind::UnreadableDateTime));
    let again = media(&render(&playlist));
    assert_eq!(again.segments, playlist.segments);
    let error = list_refused(&format!("{TAG}00Z\n{TAG}01Z\n{SEGMENT}"));
    assert!(matches!(error, PlaylistError::Conflict { .. }));
}
