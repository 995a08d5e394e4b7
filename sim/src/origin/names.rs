//! The URIs of segments: from a segment to its path and back.

use super::encoder::{Encoder, Place};
use super::form::Form;
use super::spec::{Naming, OriginSpec, Tokens, UriForm};
use hls_relay_core::time::{Span, WallTime};
use std::fmt::Write;

/// Folders that are tokens begin with this.
const TOKEN: &str = "token-";

/// The folder of the playlist, with its slash.
pub(super) fn folder(playlist_path: &str) -> &str {
    let end = playlist_path.rfind('/').map_or(0, |slash| slash + 1);
    &playlist_path[..end]
}

/// Writes the path of a segment below the folder of the playlist.
pub(super) fn write_name(
    out: &mut String,
    spec: &OriginSpec,
    form: &Form,
    encoder: &Encoder,
    place: Place,
) {
    let piece = encoder.piece(place);
    let number = piece.first_number + place.index + spec.counted_higher;
    let ending = form.ending();
    if let Some((file, _)) = form.file_of(place) {
        let _ = write!(out, "piece{}-file{file}{ending}", place.piece);
        return;
    }
    // Writing to a String cannot fail.
    let _ = match (spec.naming, piece.names) {
        (Naming::Numbered, 0) => {
            out.push_str("seg");
            out.push_str(itoa::Buffer::new().format(number));
            out.push_str(ending);
            Ok(())
        }
        (Naming::Numbered, names) => write!(out, "r{names}-seg{number}{ending}"),
        (Naming::RunFolder, names) => write!(out, "run{names}/seg{number}{ending}"),
        (Naming::Dated, _) => {
            write_utc(out, wall(spec, piece.start(place.index)), DateForm::Basic);
            write!(out, "-{number}{ending}")
        }
    };
}

/// Writes what stands before the path of a segment. `host` and `prefix` are where the request for the
/// playlist went.
pub(super) fn write_base(out: &mut String, spec: &OriginSpec, (host, prefix): (&str, &str)) {
    match spec.uris {
        UriForm::Relative => {}
        UriForm::AbsolutePath => {
            out.push_str(prefix);
            out.push_str(folder(&spec.playlist_path));
        }
        UriForm::Absolute => {
            out.push_str("http://");
            out.push_str(host);
            out.push_str(prefix);
            out.push_str(folder(&spec.playlist_path));
        }
    }
}

/// The same for what no client of HTTP asks for.
pub(super) fn write_foreign_base(out: &mut String, spec: &OriginSpec) {
    out.push_str("ftp://elsewhere.test");
    out.push_str(folder(&spec.playlist_path));
}

/// Writes the path of a segment with its tokens, of which one is for this reload.
pub(super) fn write_uri(
    out: &mut String,
    spec: &OriginSpec,
    (form, encoder): (&Form, &Encoder),
    place: Place,
    (tokens, token): (Tokens, u64),
) {
    // Writing to a String cannot fail.
    let _ = match tokens {
        Tokens::None | Tokens::Query | Tokens::Parameter => Ok(()),
        Tokens::Folder => write!(out, "{TOKEN}{token:016x}/"),
    };
    write_name(out, spec, form, encoder, place);
    let _ = match tokens {
        Tokens::None | Tokens::Folder => Ok(()),
        Tokens::Query => write!(out, "?token={token:016x}"),
        Tokens::Parameter => write!(out, ";token={token:016x}"),
    };
}

/// The path of a segment as it is without tokens.
pub(crate) fn without_tokens(path: &str) -> String {
    let path = path.split(['?', ';']).next().unwrap_or(path);
    let is_name = |part: &&str| !part.starts_with(TOKEN);
    path.split('/')
        .filter(is_name)
        .collect::<Vec<_>>()
        .join("/")
}

/// The segment that stands under a path at `at`: of several with the same name the newest one.
pub(super) fn find(
    spec: &OriginSpec,
    form: &Form,
    encoder: &Encoder,
    path: &str,
    at: Span,
) -> Option<Place> {
    let path = without_tokens(path);
    let name = path.strip_prefix(folder(&spec.playlist_path))?;
    let stem = name.strip_suffix(form.ending())?;
    let digits = stem
        .trim_end_matches(|letter: char| letter.is_ascii_digit())
        .len();
    let number: u64 = stem[digits..].parse().ok()?;
    let number = number.checked_sub(spec.counted_higher)?;
    let mut rendered = String::with_capacity(name.len());
    (0..encoder.pieces().len()).rev().find_map(|piece| {
        let index = encoder.pieces()[piece].index_of(number)?;
        let place = Place { piece, index };
        if index >= encoder.count_listed(piece, at) {
            return None;
        }
        rendered.clear();
        write_name(&mut rendered, spec, form, encoder, place);
        (rendered == name).then_some(place)
    })
}

/// The first segment of the file under a path, where files hold several: `piece0-file12.ts`.
pub(super) fn find_file(
    spec: &OriginSpec,
    form: &Form,
    encoder: &Encoder,
    path: &str,
    at: Span,
) -> Option<Place> {
    let path = without_tokens(path);
    let name = path.strip_prefix(folder(&spec.playlist_path))?;
    let stem = name.strip_suffix(form.ending())?.strip_prefix("piece")?;
    let (piece, file) = stem.split_once("-file")?;
    let (piece, file): (usize, u64) = (piece.parse().ok()?, file.parse().ok()?);
    let index = file.checked_mul(form.segments_per_file?)?;
    let listed = piece < encoder.pieces().len() && index < encoder.count_listed(piece, at);
    listed.then_some(Place { piece, index })
}

/// What the encoder's wall clock shows at a time of the origin.
pub(super) fn wall(spec: &OriginSpec, micros: i64) -> WallTime {
    WallTime::from_micros(spec.wall_at_start.as_micros().saturating_add(micros))
}

/// How a date-time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateForm {
    /// `20260101T000024Z`
    Basic,
    /// `2026-01-01T00:00:24.000Z`
    Extended,
}

/// A date-time as a playlist has it.
pub(crate) fn date_time(time: WallTime) -> String {
    let mut out = String::new();
    write_utc(&mut out, time, DateForm::Extended);
    out
}

/// Writes a date-time in UTC, ISO 8601.
pub(super) fn write_utc(out: &mut String, time: WallTime, form: DateForm) {
    let millis = time.as_micros().div_euclid(1_000);
    let seconds = millis.div_euclid(1_000);
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let second_of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60,
    );
    let milli = millis.rem_euclid(1_000);
    let _ = match form {
        DateForm::Basic => {
            write!(
                out,
                "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"
            )
        }
        DateForm::Extended => write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        ),
    };
}

/// Year, month and day of a day since 1970-01-01, by counting: whole years, then whole months.
fn civil_date(day: i64) -> (i64, i64, i64) {
    // 400 years have 146,097 days, and the pattern of leap years repeats with them.
    let mut year = 1970 + 400 * day.div_euclid(146_097);
    let mut left = day.rem_euclid(146_097);
    while left >= days_in_year(year) {
        left -= days_in_year(year);
        year += 1;
    }
    let february = days_in_year(year) - 337;
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    (year, month, left + 1)
}

fn days_in_year(year: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1_000, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_600_000_000, "2026-01-01T00:00:00.000Z"),
            (1_772_323_199_123_456, "2026-02-28T23:59:59.123Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (micros, expected) in cases {
            let mut out = String::new();
            write_utc(&mut out, WallTime::from_micros(micros), DateForm::Extended);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn the_folder_ends_with_the_last_slash() {
        assert_eq!(folder("/a/b/index.m3u8"), "/a/b/");
        assert_eq!(folder("/index.m3u8"), "/");
    }
}
