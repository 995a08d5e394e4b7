//! How a playlist may be written otherwise than it should be: one thing each that a reader has to take or to
//! refuse.

use super::form::INIT_SECTION;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// More lines than any list needs.
    Lines,
    /// A line longer than any tag.
    LongLine,
    /// A carriage return within a line.
    CarriageReturn,
    /// A blank before a tag.
    BlankBeforeTag,
    /// A tag of a multivariant playlist.
    MixedKinds,
    /// No tag but the first.
    NoKind,
    /// A media sequence that is no number.
    NoInteger,
    /// No target duration.
    NoTargetDuration,
    /// A target duration of 0.
    ZeroTargetDuration,
    /// The media sequence at the end.
    Misplaced,
    /// A media sequence with nothing above it.
    HighestNumber,
    /// A segment without its duration.
    NoDuration,
    /// A duration that is no number.
    BadDuration,
    /// A segment of years.
    LongDuration,
    /// A byte range that is none.
    BadRange,
    /// A byte range that goes on from nothing.
    RangeWithoutStart,
    /// A quote that is not closed.
    OpenQuote,
    /// A variable that nobody has defined.
    NoVariable,
    /// As many keys in force as no player knows.
    ManyKeys,
    /// An update that nobody asked for.
    Delta,
    /// The body ends within its head.
    Cut,
    /// No line end after the last line.
    NoLastLineEnd,
    /// Text behind the first tag.
    TextAfterHeader,
    /// The first tag again.
    HeaderAgain,
    /// A TAB.
    Tab,
    /// A blank behind a URI.
    BlankAfterUri,
    /// A blank before a value.
    BlankBeforeValue,
    /// A value where none belongs.
    ValueOnFlag,
    /// A target duration with decimals.
    FractionalTargetDuration,
    /// A version with decimals.
    FractionalVersion,
    /// A type of playlist that there is not.
    UnknownType,
    /// A duration without its comma.
    NoComma,
    /// A duration behind the last segment.
    DurationWithoutUri,
    /// Blanks in a list of attributes.
    LooseAttributes,
    /// An attribute twice.
    AttributeTwice,
    /// An attribute in small letters.
    SmallAttribute,
    /// A word in quotes that needs none.
    QuotedWord,
    /// An attribute without a value.
    NoValue,
    /// Attributes of a key that is none.
    AttributesOnNone,
    /// A bit rate right after another.
    UnusedBitRate,
    /// A bit rate that is no number.
    BadBitRate,
    /// A date-time that is none, where no segment has one.
    BadDateTime,
    /// The init section as a byte range that does not say where it begins.
    MapWithoutOffset,
}

/// All of them: those that a reader must refuse first.
pub const ODDITIES: [Oddity; 43] = [
    Oddity::Lines,
    Oddity::LongLine,
    Oddity::CarriageReturn,
    Oddity::BlankBeforeTag,
    Oddity::MixedKinds,
    Oddity::NoKind,
    Oddity::NoInteger,
    Oddity::NoTargetDuration,
    Oddity::ZeroTargetDuration,
    Oddity::Misplaced,
    Oddity::HighestNumber,
    Oddity::NoDuration,
    Oddity::BadDuration,
    Oddity::LongDuration,
    Oddity::BadRange,
    Oddity::RangeWithoutStart,
    Oddity::OpenQuote,
    Oddity::NoVariable,
    Oddity::ManyKeys,
    Oddity::Delta,
    Oddity::Cut,
    Oddity::NoLastLineEnd,
    Oddity::TextAfterHeader,
    Oddity::HeaderAgain,
    Oddity::Tab,
    Oddity::BlankAfterUri,
    Oddity::BlankBeforeValue,
    Oddity::ValueOnFlag,
    Oddity::FractionalTargetDuration,
    Oddity::FractionalVersion,
    Oddity::UnknownType,
    Oddity::NoComma,
    Oddity::DurationWithoutUri,
    Oddity::LooseAttributes,
    Oddity::AttributeTwice,
    Oddity::SmallAttribute,
    Oddity::QuotedWord,
    Oddity::NoValue,
    Oddity::AttributesOnNone,
    Oddity::UnusedBitRate,
    Oddity::BadBitRate,
    Oddity::BadDateTime,
    Oddity::MapWithoutOffset,
];

const TARGET_DURATION: &str = "#EXT-X-TARGETDURATION:";
const MEDIA_SEQUENCE: &str = "#EXT-X-MEDIA-SEQUENCE:";
const DATE_TIME: &str = "#EXT-X-PROGRAM-DATE-TIME:";
const TYPE: &str = "#EXT-X-PLAYLIST-TYPE:";
const EXTINF: &str = "#EXTINF:";
/// More than a reader takes.
const MANY_LINES: usize = 100_100;
const MANY_BYTES: usize = 17 << 10;
const MANY_KEYS: usize = 17;

impl Oddity {
    /// Whether a client must not use such a playlist at all.
    pub(super) fn spoils(self) -> bool {
        self <= Self::Cut
    }

    /// The text as it is then.
    pub(super) fn write(self, text: &str) -> String {
        match self {
            Self::Lines => text.to_owned() + &"#\n".repeat(MANY_LINES),
            Self::LongLine => in_head(text, &format!("#{}", "x".repeat(MANY_BYTES))),
            Self::CarriageReturn => in_head(text, "#EXT-X-ODD:1\r2"),
            Self::BlankBeforeTag => in_head(text, " #EXT-X-ODD:1"),
            Self::MixedKinds => in_head(text, "#EXT-X-STREAM-INF:BANDWIDTH=1"),
            Self::NoKind => "#EXTM3U\n".to_owned(),
            Self::NoInteger => text.replacen(MEDIA_SEQUENCE, "#EXT-X-MEDIA-SEQUENCE:x", 1),
            Self::NoTargetDuration => without(text, TARGET_DURATION),
            Self::ZeroTargetDuration => {
                in_head(&without(text, TARGET_DURATION), "#EXT-X-TARGETDURATION:0")
            }
            Self::Misplaced => without(text, MEDIA_SEQUENCE) + "#EXT-X-MEDIA-SEQUENCE:1\n",
            Self::HighestNumber => in_head(
                &without(text, MEDIA_SEQUENCE),
                "#EXT-X-MEDIA-SEQUENCE:18446744073709551615",
            ),
            Self::NoDuration => without(text, EXTINF),
            Self::BadDuration => text.replacen(EXTINF, "#EXTINF:x", 1),
            Self::LongDuration => text.replacen(EXTINF, "#EXTINF:99999999", 1),
            Self::BadRange => before_last(text, "#EXT-X-BYTERANGE:x"),
            Self::RangeWithoutStart => before_last(text, "#EXT-X-BYTERANGE:100"),
            Self::OpenQuote => before_last(text, "#EXT-X-KEY:METHOD=AES-128,URI=\"k"),
            Self::NoVariable => in_head(text, "#EXT-X-DEFINE:IMPORT=\"nowhere\""),
            Self::ManyKeys => before_last(text, &keys()),
            Self::Delta => in_head(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS=3"),
            Self::Cut => {
                let head = text.find(MEDIA_SEQUENCE).unwrap_or(text.len());
                text[..head].trim_end().to_owned()
            }
            Self::NoLastLineEnd => text.trim_end().to_owned(),
            Self::TextAfterHeader => text.replacen("#EXTM3U\n", "#EXTM3U live\n", 1),
            Self::HeaderAgain => in_head(text, "#EXTM3U"),
            Self::Tab => in_head(text, "#\twritten by hand"),
            Self::BlankAfterUri => text.trim_end().to_owned() + " \n",
            Self::BlankBeforeValue => text.replacen(TARGET_DURATION, "#EXT-X-TARGETDURATION: ", 1),
            Self::ValueOnFlag => in_head(text, "#EXT-X-INDEPENDENT-SEGMENTS:YES"),
            Self::FractionalTargetDuration => behind(text, TARGET_DURATION, ".0"),
            Self::FractionalVersion => behind(text, "#EXT-X-VERSION:", ".0"),
            // Beside one that is known it would contradict that.
            Self::UnknownType if text.contains(TYPE) => text.to_owned(),
            Self::UnknownType => in_head(text, "#EXT-X-PLAYLIST-TYPE:LIVE"),
            Self::NoComma => match text.rfind(",\n") {
                Some(at) => format!("{}{}", &text[..at], &text[at + 1..]),
                None => text.to_owned(),
            },
            Self::DurationWithoutUri => text.to_owned() + "#EXTINF:1.0,\n",
            Self::LooseAttributes => in_head(text, "#EXT-X-START:TIME-OFFSET = -6 , PRECISE=NO"),
            Self::AttributeTwice => in_head(text, "#EXT-X-START:TIME-OFFSET=-6,TIME-OFFSET=-6"),
            Self::SmallAttribute => before_last(text, "#EXT-X-KEY:METHOD=NONE,odd=1"),
            Self::QuotedWord => before_last(text, "#EXT-X-KEY:METHOD=\"NONE\""),
            Self::NoValue => in_head(text, "#EXT-X-START:TIME-OFFSET"),
            Self::AttributesOnNone => before_last(text, "#EXT-X-KEY:METHOD=NONE,URI=\"k\""),
            Self::UnusedBitRate => before_last(text, "#EXT-X-BITRATE:100\n#EXT-X-BITRATE:200"),
            Self::BadBitRate => before_last(text, "#EXT-X-BITRATE:much"),
            // Among good ones it would take one from its segment (S-21).
            Self::BadDateTime if text.contains(DATE_TIME) => text.to_owned(),
            Self::BadDateTime => before_last(text, "#EXT-X-PROGRAM-DATE-TIME:today"),
            Self::MapWithoutOffset => map_without_offset(text),
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "playlist is odd: {self:?}")
    }
}

/// Right before the media sequence.
fn in_head(text: &str, line: &str) -> String {
    let at = text.find(MEDIA_SEQUENCE).or_else(|| text.find(EXTINF));
    insert(text, at, line)
}

/// Right before the duration of the last segment.
fn before_last(text: &str, line: &str) -> String {
    insert(text, text.rfind(EXTINF), line)
}

fn insert(text: &str, at: Option<usize>, line: &str) -> String {
    let at = at.unwrap_or(text.len());
    format!("{}{line}\n{}", &text[..at], &text[at..])
}

/// Behind the value of a tag.
fn behind(text: &str, tag: &str, more: &str) -> String {
    let end = text
        .find(tag)
        .and_then(|at| Some(at + text[at..].find('\n')?));
    let end = end.unwrap_or(text.len());
    format!("{}{more}{}", &text[..end], &text[end..])
}

/// Without the first line that begins so.
fn without(text: &str, tag: &str) -> String {
    let Some(at) = text.find(tag) else {
        return text.to_owned();
    };
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
    format!("{}{}", &text[..at], &text[end..])
}

fn map_without_offset(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        out.push_str(line);
        if line.starts_with("#EXT-X-MAP:") {
            let (_, length) = INIT_SECTION;
            out.push_str(&format!(",BYTERANGE=\"{length}\""));
        }
        out.push('\n');
    }
    out
}

fn keys() -> String {
    let key = |number| format!("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\",KEYFORMAT=\"f{number}\"");
    (0..MANY_KEYS).map(key).collect::<Vec<_>>().join("\n")
}
