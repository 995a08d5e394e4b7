//! What strangers may cost us, and why each limit is where it is.
//!
//! Playlists, segments and addresses come from other people's machines, so every dimension in which
//! they can grow has an end (rule C-63). The limits stand far above what real channels send. How long
//! things may take follows from a channel's timing: [`crate::config`].

use crate::time::Span;

// -- a playlist --

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

/// The most variables of a list. Those who use any have a handful: a host, a token.
pub const VARIABLES: usize = 256;

/// The longest segment and target duration in seconds: one day. It is longer than any single
/// programme, and [`LINES`] such durations still add up without overflow.
pub const DURATION_SECS: u64 = 86_400;

/// The highest `EXT-X-VERSION` whose rules are known (draft-pantos-hls-rfc8216bis 8). A list that
/// names a higher one must not be played (RFC 8216 7, rule C-39).
pub const VERSION: u64 = 13;

/// How much of a line an error or a flaw repeats, in characters.
pub const EXCERPT_CHARS: usize = 80;

// -- requests --

/// URLs longer than this are refused: no server takes them.
pub const MAX_URL_BYTES: usize = 8 << 10;

/// Redirects of one request: browsers allow 20, honest CDNs need 2 or 3.
pub const MAX_REDIRECTS: u32 = 8;

/// Segments larger than this are refused: 256 MiB is over a minute at 30 Mbit/s.
pub const MAX_SEGMENT_BYTES: u64 = 256 << 20;

/// A segment that comes in slower than this in a whole window is given up and tried again: 2 KiB/s is
/// under half of the leanest audio in use (32 kbit/s).
pub const LEAST_BYTES_PER_SECOND: u64 = 2 << 10;

/// The length of an AES-128 key (RFC 8216 4.3.2.4).
pub const KEY_BYTES: u64 = 16;

/// Init sections and keys larger than this are refused: an init section is a few KB of tables.
pub const MAX_RESOURCE_BYTES: u64 = 1 << 20;

/// So many init sections and keys are remembered beside those that are needed: rotations go around a few, and
/// a key is 16 bytes.
pub const REMEMBERED_NEEDS: usize = 32;

/// So many init sections and keys are remembered that edges have: two of each track, and those before them. What is
/// forgotten is asked for once more.
pub const REMEMBERED_WARM: usize = 4 * MAX_TRACKS;

/// So many bytes from the beginning of a segment are looked into where nobody says what it is made of: all
/// tables and parameter sets come before its first picture, and the first pictures within half a second.
pub const LOOKED_INTO_BYTES: usize = 512 << 10;

/// So many segments of each run of an encoder are looked into before it is left at that.
pub const MOST_LOOKS: u32 = 4;

/// Downloads under way at once in a channel. One is enough while all is well; the others let the
/// successors of a segment in trouble pass, and let a start catch up.
pub const MAX_DOWNLOADS: usize = 4;

// -- a channel --

/// The largest: a DVR of more than a day of 10 s segments.
pub const MAX_WINDOW: usize = 10_000;

/// What a list may take of a bounded store: what has left it stays for as long as the list lasts, so twice that is
/// needed, and some for what is on its way.
pub fn listed_bytes(room: u64) -> u64 {
    room / 5 * 2
}

/// How much of a source that goes on such a store is taken to have room for, before anything of it was had: at
/// 8 Mbit/s.
pub fn lasts_of_room(room: u64) -> Span {
    Span::from_millis(listed_bytes(room) / 1_000)
}

/// The most media playlists of one channel. Long ladders have 12 variants, and films 40 languages of
/// sound and as many of subtitles.
pub const MAX_TRACKS: usize = 128;

/// The most date ranges of a track at a time: a DVR of an hour and a half with one for each segment. Live
/// channels have a handful.
pub const MAX_DATE_RANGES: usize = 1_024;

/// The most bytes of their lines. One of SCTE-35 has half a kilobyte.
pub const DATE_RANGE_BYTES: usize = 512 << 10;

/// How many segments' identities are remembered beyond the longest playlist seen: enough to tell a
/// stale edge from a restart.
pub const REMEMBERED_SEGMENTS: usize = 64;
/// How many runs of an encoder are remembered beside the present one: it may restart more than once before
/// the last edge has seen the first restart.
pub const REMEMBERED_RUNS: usize = 4;

/// At most so many different flaws of a source are told: each is told once.
pub const MOST_FLAWS_SAID: usize = 16;
