//! Numbers as RFC 8216 4.2 writes them, without floats.

use crate::limits;
use crate::time::Span;

/// Appends a decimal integer. A long list has thousands of them, and the formatting machinery takes
/// several times as long.
pub(super) fn push_integer(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends seconds with all six decimals.
pub(super) fn push_seconds(out: &mut String, span: Span) {
    let (secs, micros) = (span.as_micros() / 1_000_000, span.as_micros() % 1_000_000);
    push_integer(out, secs);
    // The one in front keeps the zeros.
    let mut digits = itoa::Buffer::new();
    out.push('.');
    out.push_str(&digits.format(1_000_000 + micros)[1..]);
}

/// A decimal integer: digits only, below 2^64 (RFC 8216 4.2).
pub(super) fn integer(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DurationFault {
    NotANumber,
    TooLong,
}

/// Seconds with or without decimals, rounded to the nearest microsecond, halves up. `5`, `5.`, `.5`
/// and `5.000` are numbers; signs, exponents and blanks are not.
///
/// What is below a half second stays below it: 6.4999999 s is 6 s when RFC 8216 4.3.3.1 compares it
/// with the target duration, and rounding it twice would make it 7 s (rule S-04).
pub(super) fn seconds(text: &str) -> Result<Span, DurationFault> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && decimals.is_empty()) || !digits(whole) || !digits(decimals) {
        return Err(DurationFault::NotANumber);
    }
    let mut secs: u64 = 0;
    for digit in whole.bytes() {
        secs = secs
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'));
    }
    let micros = match micros(decimals) {
        500_000 if !decimals.starts_with('5') => 499_999,
        micros => micros,
    };
    if secs > limits::DURATION_SECS || (secs == limits::DURATION_SECS && micros > 0) {
        return Err(DurationFault::TooLong);
    }
    Ok(Span::from_micros(secs * 1_000_000 + micros))
}

/// The digits behind a decimal point as microseconds, rounded to nearest, halves up: up to
/// 1,000,000. The caller has checked that they are digits.
pub(super) fn micros(decimals: &str) -> u64 {
    let digit = |place: usize| {
        decimals
            .as_bytes()
            .get(place)
            .map_or(0, |byte| u64::from(byte - b'0'))
    };
    let cut = (0..6).fold(0, |micros, place| micros * 10 + digit(place));
    cut + u64::from(digit(6) >= 5)
}
