//! `EXT-X-PROGRAM-DATE-TIME` to and from [`WallTime`] (RFC 8216 4.3.2.6, ISO 8601).

use super::number::{integer, micros};
use crate::time::WallTime;
use std::fmt::{self, Write};

const MICROS_PER_SEC: i64 = 1_000_000;
const SECS_PER_DAY: i64 = 86_400;
/// Years, months and days repeat after 400 years.
const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i64 = 719_468;

/// Reads `YYYY-MM-DDThh:mm:ss`, with any number of decimals (rounded to the nearest microsecond),
/// and a zone as `Z`, `±hh:mm`, `±hhmm`, `±hh` or none at all.
///
/// Without a zone it is UTC, as the draft says (bis 4.4.4.6): the RFC's local time of the client
/// would make the meaning depend on who reads. `None` where it is no such date.
pub(super) fn parse(text: &str) -> Option<WallTime> {
    let (date, time) = text.split_at_checked(10)?;
    let days = parse_date(date)?;
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = time.split_at_checked(8)?;
    let secs = parse_clock(clock)?;
    let (decimals, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let end = rest
                .bytes()
                .position(|byte| !byte.is_ascii_digit())
                .unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            rest.split_at(end)
        }
        None => ("", rest),
    };
    let offset_secs = parse_zone(zone)?;
    let secs = days * SECS_PER_DAY + secs - offset_secs;
    // Years have four digits, so that this is far from the ends of i64.
    Some(WallTime::from_micros(
        secs * MICROS_PER_SEC + micros(decimals) as i64,
    ))
}

/// Days from 1970-01-01.
fn parse_date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = number(text.get(..4)?)?;
    let month = number(text.get(5..7)?)?;
    let day = number(text.get(8..)?)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    Some(days_from_date(year, month, day))
}

/// Seconds since midnight. A leap second counts as the first second of the next minute.
fn parse_clock(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let hour = number(text.get(..2)?)?;
    let minute = number(text.get(3..5)?)?;
    let second = number(text.get(6..)?)?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// Seconds east of UTC.
fn parse_zone(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, minutes) = match rest.len() {
        2 => (rest, "00"),
        4 => rest.split_at_checked(2)?,
        5 => rest.split_once(':')?,
        _ => return None,
    };
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn number(text: &str) -> Option<i64> {
    i64::try_from(integer(text)?).ok()
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. Years are counted from March, which puts the
/// leap day at the end, where it disturbs no month.
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let from_march = (month + 9) % 12;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_BEFORE_EPOCH
}

/// Year, month and day: the inverse of [`days_from_date`].
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_EPOCH;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    // The three corrections take out the leap days of 4, 100 and 400 years.
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Appends a moment in UTC with milliseconds, or with microseconds where milliseconds would not be
/// exact. Returns false, and appends nothing, where its year has no four digits.
pub(super) fn write(out: &mut String, moment: WallTime) -> bool {
    let micros = moment.as_micros();
    let secs = micros.div_euclid(MICROS_PER_SEC);
    let fraction = micros.rem_euclid(MICROS_PER_SEC);
    let (year, month, day) = date_from_days(secs.div_euclid(SECS_PER_DAY));
    if !(0..=9_999).contains(&year) {
        return false;
    }
    let clock = secs.rem_euclid(SECS_PER_DAY);
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    let _ = match fraction % 1_000 {
        0 => write!(out, ".{:03}Z", fraction / 1_000),
        _ => write!(out, ".{fraction:06}Z"),
    };
    true
}

/// As `EXT-X-PROGRAM-DATE-TIME` has it, in UTC. A year without four digits is no date that anybody
/// means, and told in microseconds since 1970.
impl fmt::Display for WallTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        match write(&mut text, *self) {
            true => out.write_str(&text),
            false => write!(out, "{} µs", self.as_micros()),
        }
    }
}
