//! Why a playlist is refused, in words an operator understands.

use super::line::Line;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a body is not used at all.
///
/// A refusal never changes what is served: the last good playlist stays (rule C-01). Every variant
/// is one reason; where a line is to blame, its number and its beginning are part of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PlaylistError {
    /// The body has no bytes, or only white space.
    #[error("the body is empty")]
    Empty,
    /// The body does not begin with `#EXTM3U` (RFC 8216 4.3.1.1, rules C-01 and C-03).
    #[error(
        "the body does not begin with #EXTM3U but with \"{begins}\": it looks like {looks_like}"
    )]
    NotAPlaylist {
        /// What the first bytes are typical for.
        looks_like: LooksLike,
        /// The first characters, cut and escaped.
        begins: String,
    },
    /// The body is longer than [`limits::BODY_BYTES`].
    #[error(
        "the body has {bytes} bytes, more than the {} that a playlist may have",
        limits::BODY_BYTES
    )]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// There are more lines than [`limits::LINES`].
    #[error(
        "the body has {lines} lines, more than the {} that a playlist may have",
        limits::LINES
    )]
    TooManyLines {
        /// How many there are.
        lines: u64,
    },
    /// A line is longer than [`limits::LINE_BYTES`].
    #[error(
        "{at}: the line has {bytes} bytes, more than the {} that a line may have",
        limits::LINE_BYTES
    )]
    LineTooLong {
        /// The line.
        at: Place,
        /// Its length.
        bytes: u64,
    },
    /// The text is not UTF-8 (RFC 8216 4.1, rule C-02).
    #[error("line {line}: the text is not UTF-8")]
    NotUtf8 {
        /// Number of the line with the first wrong byte.
        line: u32,
    },
    /// A control character other than CR, LF and TAB stands in the text (RFC 8216 4.1, rule C-02).
    #[error("{at}: the line has the control character U+{code:04X}")]
    ControlCharacter {
        /// The line.
        at: Place,
        /// The character.
        code: u32,
    },
    /// A CR stands without its LF, so that players disagree on where lines end (RFC 8216 4.1).
    #[error("{at}: a carriage return stands inside the line")]
    LoneCarriageReturn {
        /// The line.
        at: Place,
    },
    /// Blanks stand before `#`: a tag for some players, a URI for others (RFC 8216 4.1).
    #[error("{at}: blanks stand before the #, so that it is neither a tag nor a URI")]
    BlankBeforeTag {
        /// The line.
        at: Place,
    },
    /// Tags of a media playlist and of a multivariant playlist are mixed (RFC 8216 4.1, rule C-04).
    #[error("{media} belongs to a media playlist and {multivariant} to a multivariant playlist")]
    MixedKinds {
        /// The first tag that only a media playlist may have.
        media: Place,
        /// The first tag that only a multivariant playlist may have.
        multivariant: Place,
    },
    /// No tag says which kind of playlist it is.
    #[error("no tag says whether this is a media playlist or a multivariant playlist")]
    NeitherKind,
    /// `EXT-X-VERSION` is higher than [`limits::VERSION`] (RFC 8216 7, rule C-39).
    #[error(
        "{at}: protocol version {version} is not known; {} is the highest",
        limits::VERSION
    )]
    UnsupportedVersion {
        /// The line.
        at: Place,
        /// What it asks for.
        version: u64,
    },
    /// A playlist-level tag whose value should be a decimal integer has something else
    /// (RFC 8216 4.2, rule C-07).
    #[error("{at}: the value is not a decimal integer below 2^64")]
    BadInteger {
        /// The line.
        at: Place,
    },
    /// A tag that may stand once stands twice with different values (RFC 8216 4.3, rule C-05).
    #[error("{at}: the tag stood before with another value, on line {first}")]
    Conflict {
        /// The second one.
        at: Place,
        /// Number of the line with the first one.
        first: u32,
    },
    /// `EXT-X-TARGETDURATION` is required (RFC 8216 4.3.3.1).
    #[error("EXT-X-TARGETDURATION is missing")]
    TargetDurationMissing,
    /// A target duration of 0 tells nothing about reloads (draft bis 4.4.3.1 asks for 1 or more).
    #[error("{at}: the target duration is 0")]
    TargetDurationZero {
        /// The line.
        at: Place,
    },
    /// `EXT-X-MEDIA-SEQUENCE` stands after the first segment, or `EXT-X-DISCONTINUITY-SEQUENCE`
    /// after the first segment or discontinuity (RFC 8216 4.3.3.2 and 4.3.3.3, rule C-22).
    #[error("{at}: the tag must stand before what it numbers, which began on line {first}")]
    Misplaced {
        /// The tag.
        at: Place,
        /// Number of the line it should have preceded.
        first: u32,
    },
    /// Media or discontinuity sequence numbers would pass 2^64 - 1 (RFC 8216 4.2).
    #[error("{at}: the sequence numbers of the segments pass 2^64 - 1")]
    SequenceOverflow {
        /// The segment.
        at: Place,
    },
    /// A URI has no `EXTINF` (RFC 8216 4.3.2.1, rule C-56).
    #[error("{at}: the segment has no EXTINF")]
    ExtinfMissing {
        /// The URI.
        at: Place,
    },
    /// `EXTINF` has no decimal number (RFC 8216 4.3.2.1).
    #[error("{at}: the duration is not a decimal number")]
    BadDuration {
        /// The line.
        at: Place,
    },
    /// A segment or a target duration is longer than [`limits::DURATION_SECS`].
    #[error("{at}: the duration is over {} s", limits::DURATION_SECS)]
    DurationTooLong {
        /// The line.
        at: Place,
    },
    /// `EXT-X-BYTERANGE` or the `BYTERANGE` of a MAP is not `n[@o]`, is empty, or passes 2^64 - 1
    /// (RFC 8216 4.3.2.2).
    #[error("{at}: the byte range is not a length of at least 1, with or without an offset")]
    BadByteRange {
        /// The line.
        at: Place,
    },
    /// A byte range without offset does not follow a range of the same resource
    /// (RFC 8216 4.3.2.2, rule C-25).
    #[error(
        "{at}: the byte range has no offset, and the segment before is no range of the same URI"
    )]
    ByteRangeWithoutStart {
        /// The line.
        at: Place,
    },
    /// The attribute list of a tag that must be understood cannot be read (RFC 8216 4.2).
    #[error("{at}: {fault}")]
    BadAttributes {
        /// The line.
        at: Place,
        /// What is wrong with it.
        fault: AttributeFault,
    },
    /// A variable is not defined as it should be, or cannot be put where a reference asks for it
    /// (draft bis 4.3, rules C-37 and C-38).
    #[error("{at}: {fault}")]
    BadVariable {
        /// The definition, or the line with the reference.
        at: Place,
        /// What is wrong with it.
        fault: VariableFault,
    },
    /// More `EXT-X-KEY` tags are in force at once than [`limits::KEYS_IN_FORCE`].
    #[error("{at}: more than {} keys are in force at once", limits::KEYS_IN_FORCE)]
    TooManyKeys {
        /// The key that was one too many.
        at: Place,
    },
    /// The list is a delta update, for which nobody asked (draft bis 4.4.5.2).
    #[error("{at}: the list leaves out segments (a delta update), and none was asked for")]
    DeltaUpdate {
        /// The `EXT-X-SKIP` line.
        at: Place,
    },
    /// The list has no segment and stops in the middle of a line: a piece of a longer body, whose
    /// numbers cannot be trusted.
    #[error("{at}: the list stops in the middle of this line, before its first segment")]
    Cut {
        /// The last line.
        at: Place,
    },
    /// The reading library and the checks around it disagree on a line; neither is believed.
    #[error("line {line}: two readings of the list disagree")]
    ReadersDisagree {
        /// Number of the first such line.
        line: u32,
    },
}

/// What is wrong with an attribute list (RFC 8216 4.2, rule C-07).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AttributeFault {
    /// A quoted string has no end.
    #[error("a quote is not closed")]
    UnclosedQuote,
    /// Something other than a comma follows a quoted string, or a quote stands inside a value.
    #[error("a quote stands in the middle of a value")]
    StrayQuote,
    /// A name has no `=` and no value.
    #[error("an attribute has no value")]
    NoValue,
    /// A name is empty or has characters that make its end a guess.
    #[error("an attribute name is not made of A-Z, 0-9 and -")]
    BadName,
    /// A value outside quotes has blanks in it.
    #[error("a value without quotes has blanks in it")]
    BlankInValue,
    /// There are more attributes than [`limits::ATTRIBUTES`].
    #[error("there are more than {} attributes", limits::ATTRIBUTES)]
    TooMany,
    /// One name stands twice with different values.
    #[error("the attribute {0} stands twice with different values")]
    Conflict(String),
    /// An attribute that the tag must have is not there.
    #[error("the attribute {0} is missing")]
    Missing(String),
    /// The value of an attribute is not of its type.
    #[error("the attribute {0} has a value of the wrong form")]
    BadValue(String),
}

/// What is wrong with a variable (draft bis 4.3 and 4.4.2.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum VariableFault {
    /// `EXT-X-DEFINE` has none of its three forms, or more than one.
    #[error(
        "a variable is defined by NAME with VALUE, by IMPORT, or by QUERYPARAM, and by one of them"
    )]
    NoForm,
    /// A name is not made of letters, digits, `-` and `_`.
    #[error("{0:?} is no name of a variable")]
    BadName(String),
    /// The multivariant playlist, or the query of the URL, has no such value.
    #[error("the variable {0} has no value where it should be taken from")]
    Missing(String),
    /// The value has characters that would end the string or the line it is put into.
    #[error("the value of {0} has characters that cannot stand there")]
    BadValue(String),
    /// One name is defined twice with different values.
    #[error("the variable {0} is defined twice with different values")]
    Twice(String),
    /// There are more variables than [`limits::VARIABLES`].
    #[error("there are more than {} variables", limits::VARIABLES)]
    TooMany,
    /// A reference stands before the definition of its variable, or there is none.
    #[error("the variable {0} is not defined before this line")]
    Undefined(String),
    /// Nothing is left of a URI once its variables are replaced.
    #[error("no URI is left once the variables are replaced")]
    NoUri,
    /// The line, or all of them, would pass [`limits::LINE_BYTES`] or [`limits::BODY_BYTES`].
    #[error("the text would be too long once the variables are replaced")]
    TooLong,
}

/// What a body that is no playlist looks like, judged by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LooksLike {
    /// An error or login page.
    Html,
    /// An XML document, which a DASH manifest is too.
    Xml,
    /// A JSON document.
    Json,
    /// A body whose Content-Encoding was not undone.
    Gzip,
    /// A media segment (MPEG-TS or MP4).
    Media,
    /// A playlist behind blank lines or blanks.
    LatePlaylist,
    /// Some other text.
    Text,
    /// Some other bytes.
    Binary,
}

impl LooksLike {
    /// Judges by the first bytes of a body that is not empty.
    pub(super) fn judge(body: &[u8]) -> Self {
        let start = body.trim_ascii_start();
        let begins = |with: &[u8]| {
            start.len() >= with.len() && start[..with.len()].eq_ignore_ascii_case(with)
        };
        if body.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if begins(b"#EXTM3U") {
            Self::LatePlaylist
        } else if begins(b"<!doctype") || begins(b"<html") || begins(b"<head") {
            Self::Html
        } else if begins(b"<") {
            Self::Xml
        } else if begins(b"{") || begins(b"[") {
            Self::Json
        } else if is_media(body) {
            Self::Media
        } else if is_text(&start[..start.len().min(64)]) {
            Self::Text
        } else {
            Self::Binary
        }
    }
}

/// MPEG-TS packets begin with 0x47 every 188 bytes; MP4 boxes have their type at offset 4.
fn is_media(body: &[u8]) -> bool {
    let transport = body.first() == Some(&0x47) && body.get(188) == Some(&0x47);
    let boxed = body.get(4..8).is_some_and(|kind| {
        [b"ftyp", b"styp", b"moof", b"sidx"]
            .into_iter()
            .any(|known| kind == known)
    });
    transport || boxed
}

fn is_text(bytes: &[u8]) -> bool {
    let complete = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // A character that the cut went through is no fault of the text.
        Err(fault) => fault.error_len().is_none(),
    };
    complete
        && !bytes
            .iter()
            .any(|&byte| byte < 0x20 && !byte.is_ascii_whitespace())
}

impl fmt::Display for LooksLike {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Html => "an HTML page",
            Self::Xml => "an XML document",
            Self::Json => "a JSON document",
            Self::Gzip => "gzip data that was not unpacked",
            Self::Media => "a media segment",
            Self::LatePlaylist => "a playlist with something before its first line",
            Self::Text => "plain text",
            Self::Binary => "binary data",
        })
    }
}

/// A line of the body, as an error or a flaw names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Number of the line in the body, from 1.
    pub line: u32,
    /// The beginning of the line, escaped, at most [`limits::EXCERPT_CHARS`] characters.
    pub text: String,
}

impl Place {
    pub(super) fn of(line: &Line<'_>) -> Self {
        Self::new(line.number, line.text)
    }

    pub(super) fn new(line: u32, text: &str) -> Self {
        Self {
            line,
            text: excerpt(text),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {} (\"{}\")", self.line, self.text)
    }
}

/// The beginning of a text that may be hostile: fit for a log line and a terminal, and without what
/// nobody must read there.
pub(crate) fn excerpt(text: &str) -> String {
    let mut cut = String::new();
    let mut room = limits::EXCERPT_CHARS;
    let open = &text[..secret_at(text).unwrap_or(text.len())];
    let end = (open.len() < text.len()).then_some('…');
    for character in open.chars() {
        let escaped = character.escape_debug();
        if escaped.len() > room {
            cut.push('…');
            return cut;
        }
        room -= escaped.len();
        cut.extend(escaped);
    }
    cut.extend(end);
    cut
}

/// Where a secret may begin: tokens stand in queries, passwords before a host, and keys in URLs of data.
fn secret_at(text: &str) -> Option<usize> {
    let query = text.find('?');
    let mut schemes = text.match_indices(':').map(|(at, _)| at + 1);
    let data = schemes.find(|end| has_data(&text[..*end]));
    let hosts = text.match_indices("://").map(|(at, _)| at + 3);
    let mut users = hosts.filter(|at| {
        let rest = &text[*at..];
        let host = rest.split(['/', '"', ' ', ',']).next();
        host.is_some_and(|it| it.contains('@'))
    });
    let starts = [query, data, users.next()];
    starts.into_iter().flatten().min()
}

/// Whether a text ends with the scheme of URLs that have all in themselves (RFC 2397).
fn has_data(text: &str) -> bool {
    const SCHEME: &[u8] = b"data:";
    let bytes = text.as_bytes();
    let end = bytes.get(bytes.len().saturating_sub(SCHEME.len())..);
    end.is_some_and(|it| it.eq_ignore_ascii_case(SCHEME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_quoted() {
        for (text, told) in [
            ("s94.ts?token=SECRET  ", "s94.ts…"),
            (
                "#EXT-X-KEY:METHOD=AES-128, URI=\"DATA:;base64,KEY\"",
                "#EXT-X-KEY:METHOD=AES-128, URI=\\\"DATA:…",
            ),
            ("ftp://u:PASS@h/a.ts", "ftp://…"),
            ("http://h/u@PASS/a.ts", "http://h/u@PASS/a.ts"),
            ("#EXTINF:6,\u{1b}", "#EXTINF:6,\\u{1b}"),
        ] {
            assert_eq!(excerpt(text), told);
        }
    }
}
