//! What a playlist may cost, and why each limit is where it is.
//!
//! The text comes from other people's machines, so every dimension in which it can grow has an end
//! (rule C-63). The limits stand far above what real channels send.

/// The longest body in bytes. A window of 10,000 segments with dates, keys and ranges is 3 MB.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;

/// The most lines, blank ones included. A window of 10,000 segments uses 50,000 of them.
pub const LINES: usize = 100_000;

/// The longest line in bytes. The longest ones in practice are `EXT-X-KEY` lines whose URI is a
/// `data:` URL with a DRM licence header (up to 10 KB), and `EXT-X-SESSION-DATA`.
pub const LINE_BYTES: usize = 16 * 1024;

/// The most attributes of one tag. Interstitials with all their `X-` attributes use about 20; the
/// check for repeated names is quadratic in this number.
pub const ATTRIBUTES: usize = 128;

/// The most `EXT-X-KEY` tags in force at once. There is one per DRM system, and every segment
/// refers to the whole set.
pub const KEYS_IN_FORCE: usize = 16;

/// The longest segment and target duration in seconds: one day. It is longer than any single
/// programme, and [`LINES`] such durations still add up without overflow.
pub const DURATION_SECS: u64 = 86_400;

/// The highest `EXT-X-VERSION` whose rules are known (draft-pantos-hls-rfc8216bis 8). A list that
/// names a higher one must not be played (RFC 8216 7, rule C-39).
pub const VERSION: u64 = 13;

/// How much of a line an error or a flaw repeats, in characters.
pub const EXCERPT_CHARS: usize = 80;
