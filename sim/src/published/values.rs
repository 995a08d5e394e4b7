//! Numbers, lengths and dates as they are written, read exactly.

use hls_relay_core::time::{Span, WallTime};

pub(super) fn number(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("not a number");
    }
    text.parse().map_err(|_| "too large a number")
}

/// Decimal seconds with at most six decimals, exactly.
pub(super) fn duration(text: &str) -> Option<Span> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !digits(whole) || !digits(part) {
        return None;
    }
    let secs: u64 = whole.parse().ok()?;
    let mut micros = if part.is_empty() {
        0
    } else {
        part.parse::<u64>().ok()?
    };
    (part.len()..6).for_each(|_| micros *= 10);
    Some(Span::from_micros(
        secs.checked_mul(1_000_000)?.checked_add(micros)?,
    ))
}

/// `YYYY-MM-DDThh:mm:ss[.f]` and `Z` or an offset.
pub(super) fn date_time(text: &str) -> Option<WallTime> {
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let shape = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    if shape
        .iter()
        .any(|&(at, mark)| text.get(at..at + 1) != Some(mark))
    {
        return None;
    }
    let days = days_since_1970(field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let secs = days * 86_400 + field(11, 13)? * 3_600 + field(14, 16)? * 60 + field(17, 19)?;
    let rest = text.get(19..)?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone_at);
    let micros = match fraction.strip_prefix('.') {
        Some(digits) => duration(&format!("0.{digits}"))?.as_micros() as i64,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let offset = if zone == "Z" { 0 } else { zone_offset(zone)? };
    Some(WallTime::from_micros((secs - offset) * 1_000_000 + micros))
}

fn zone_offset(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.get(1..)?.chars().filter(|mark| *mark != ':').collect();
    let hours: i64 = digits.get(0..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4)?.parse().ok()?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is
/// the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 306 + 5) / 10
        + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_calendars_are_understood() {
        let micros = |text| date_time(text).unwrap().as_micros();
        assert_eq!(micros("1970-01-01T00:00:00Z"), 0);
        assert_eq!(micros("2000-02-29T12:00:00Z"), 951_825_600_000_000);
        assert_eq!(
            micros("2026-01-01T01:30:00+01:30"),
            micros("2026-01-01T00:00:00Z")
        );
        assert_eq!(
            micros("2025-12-31T19:00:00.000-0500"),
            micros("2026-01-01T00:00:00Z")
        );
        assert_eq!(date_time("2026-01-01 00:00:00Z"), None);
        assert_eq!(date_time("2026-01-01T00:00:00"), None);
    }
}
