//! From bytes to lines: the limits, the character set and the line ends (RFC 8216 4.1).

use super::error::{LooksLike, Place, PlaylistError, excerpt};
use super::flaw::{FlawKind, Flaws};
use super::line::{Line, Tag, trim};
use super::variables;
use crate::limits;

const HEADER: &str = "#EXTM3U";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The lines of a body after its first one, blank ones left out.
#[derive(Debug)]
pub(super) struct Guarded<'a> {
    pub(super) lines: Vec<Line<'a>>,
    /// Whether a variable may be named anywhere.
    pub(super) may_refer: bool,
    /// Whether the last line has its line end. Without it the body may have been cut.
    pub(super) ends_whole: bool,
}

/// Refuses what is no playlist text at all, and cuts the rest into lines (rules C-01, C-02, C-63).
pub(super) fn guard<'a>(body: &'a [u8], flaws: &mut Flaws) -> Result<Guarded<'a>, PlaylistError> {
    if body.len() > limits::BODY_BYTES {
        return Err(PlaylistError::TooLarge {
            bytes: body.len() as u64,
        });
    }
    let unmarked = body.strip_prefix(BYTE_ORDER_MARK);
    let text = decode(unmarked.unwrap_or(body))?;
    if unmarked.is_some() {
        flaws.note_at(FlawKind::ByteOrderMark, 1, "");
    }
    let count = text
        .as_bytes()
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1;
    if count > limits::LINES {
        return Err(PlaylistError::TooManyLines {
            lines: count as u64,
        });
    }

    let suspicious = has_suspicious_bytes(text);
    let mut lines = Vec::with_capacity(count);
    let mut last = (1, HEADER);
    let mut rest = text;
    for index in 0..count {
        // Lines are short: to look for their ends byte by byte takes less than to set up a search.
        let end = rest.bytes().position(|byte| byte == b'\n');
        let (raw, behind) = end.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        rest = behind;
        // The count of lines is limited, so that their numbers fit.
        let number = index as u32 + 1;
        let whole = check_line(number, raw, suspicious, flaws)?;
        if index == 0 {
            check_header(whole, flaws)?;
        } else if let Some(line) = classify(number, whole, flaws)? {
            last = (number, line.text);
            lines.push(line);
        }
    }
    // Behind the last line end there is nothing, or nothing but blanks.
    let ends_whole = text
        .rsplit('\n')
        .next()
        .is_none_or(|last| trim(last).is_empty());
    if !ends_whole {
        flaws.note_at(FlawKind::NoFinalNewline, last.0, last.1);
    }
    Ok(Guarded {
        lines,
        may_refer: text.contains(variables::OPEN),
        ends_whole,
    })
}

/// The body as text, once its first bytes promise a playlist.
fn decode(body: &[u8]) -> Result<&str, PlaylistError> {
    if body.trim_ascii().is_empty() {
        return Err(PlaylistError::Empty);
    }
    if !body.starts_with(HEADER.as_bytes()) {
        let begins = String::from_utf8_lossy(&body[..body.len().min(limits::EXCERPT_CHARS)]);
        return Err(PlaylistError::NotAPlaylist {
            looks_like: LooksLike::judge(body),
            begins: excerpt(&begins),
        });
    }
    std::str::from_utf8(body).map_err(|fault| {
        let before = &body[..fault.valid_up_to()];
        let line_ends = before.iter().filter(|&&byte| byte == b'\n').count();
        PlaylistError::NotUtf8 {
            line: u32::try_from(line_ends + 1).unwrap_or(u32::MAX),
        }
    })
}

/// Whether any byte needs a closer look: one pass without branches, since nearly every body is
/// clean. 0xC2 leads the two bytes of U+0080 to U+009F, and of some harmless characters.
fn has_suspicious_bytes(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| {
        found | ((byte < 0x20) & (byte != b'\n')) | (byte == 0x7F) | (byte == 0xC2)
    })
}

/// A line without its CR, once its length and its characters are allowed.
fn check_line<'a>(
    number: u32,
    raw: &'a str,
    suspicious: bool,
    flaws: &mut Flaws,
) -> Result<&'a str, PlaylistError> {
    if raw.len() > limits::LINE_BYTES {
        let bytes = raw.len() as u64;
        return Err(PlaylistError::LineTooLong {
            at: Place::new(number, raw),
            bytes,
        });
    }
    if !suspicious {
        return Ok(raw);
    }
    let text = raw.strip_suffix('\r').unwrap_or(raw);
    for character in text.chars().filter(|character| character.is_control()) {
        let at = Place::new(number, text);
        match character {
            '\t' => flaws.note_at(FlawKind::Tab, number, text),
            '\r' => return Err(PlaylistError::LoneCarriageReturn { at }),
            _ => {
                return Err(PlaylistError::ControlCharacter {
                    at,
                    code: u32::from(character),
                });
            }
        }
    }
    Ok(text)
}

/// The first line is `#EXTM3U`, and players differ on nothing when more follows after a blank.
fn check_header(text: &str, flaws: &mut Flaws) -> Result<(), PlaylistError> {
    let rest = text.strip_prefix(HEADER).unwrap_or(text);
    if trim(rest).is_empty() {
        return Ok(());
    }
    if !rest.starts_with([' ', '\t']) {
        let looks_like = LooksLike::Text;
        return Err(PlaylistError::NotAPlaylist {
            looks_like,
            begins: excerpt(text),
        });
    }
    flaws.note_at(FlawKind::TextAfterHeader, 1, text);
    Ok(())
}

/// What a line is; nothing for blank ones and for a second header.
fn classify<'a>(
    number: u32,
    text: &'a str,
    flaws: &mut Flaws,
) -> Result<Option<Line<'a>>, PlaylistError> {
    let trimmed = trim(text);
    if trimmed.is_empty() {
        return Ok(None);
    }
    let tag = Tag::of(text);
    if tag == Tag::Uri {
        if trimmed.starts_with('#') {
            return Err(PlaylistError::BlankBeforeTag {
                at: Place::new(number, text),
            });
        }
        if trimmed.len() != text.len() {
            flaws.note_at(FlawKind::BlankAroundUri, number, text);
        }
        return Ok(Some(Line {
            number,
            text: trimmed,
            tag,
        }));
    }
    if tag == Tag::Header {
        flaws.note_at(FlawKind::RepeatedHeader, number, text);
        return Ok(None);
    }
    Ok(Some(Line { number, text, tag }))
}
