//! `EXT-X-KEY` and `EXT-X-MAP`: what they hold and what they apply to (RFC 8216 4.3.2.4, 4.3.2.5).

use super::attributes::{AttributeList, read_typed};
use super::error::{AttributeFault, Place, PlaylistError};
use super::flaw::{FlawKind, Flaws};
use super::line::{Line, trim};
use super::{ByteRange, Key, Map};
use crate::limits;
use std::sync::Arc;

const QUOTED: [&str; 4] = ["URI", "KEYFORMAT", "KEYFORMATVERSIONS", "BYTERANGE"];
const PLAIN: [&str; 2] = ["METHOD", "IV"];

/// The keys that apply to what comes next, and whether each has applied to anything
/// since it was stated last.
#[derive(Debug)]
pub(super) struct KeysInForce {
    slots: Vec<Slot>,
    /// The same keys as segments share them, until one changes.
    shared: Option<Arc<[Key]>>,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    /// The KEYFORMAT of the key, since looking it up among the attributes costs a scan.
    keyformat: String,
    used: bool,
}

impl KeysInForce {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            shared: Some(Arc::from([])),
        }
    }

    /// Takes an `EXT-X-KEY` line. A key replaces the one of the same KEYFORMAT where that stood, so
    /// that the order of the others does not change. `METHOD=NONE` ends all of them: so says the
    /// draft (bis 4.4.4.4), and the RFC leaves a set of keys after NONE without a meaning.
    pub(super) fn apply(
        &mut self,
        line: &Line<'_>,
        flaws: &mut Flaws,
    ) -> Result<(), PlaylistError> {
        let attributes = read_attributes(line, flaws)?;
        let Some(method) = attributes.get("METHOD") else {
            return Err(missing(line, "METHOD"));
        };
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !method.bytes().all(usual) {
            return Err(bad_value(line, "METHOD"));
        }
        if method == "NONE" {
            if attributes.iter().count() > 1 {
                flaws.note(FlawKind::AttributesOnNone, line);
            }
            if self.slots.iter().any(|slot| !slot.used) {
                flaws.note(FlawKind::UnusedTag, line);
            }
            *self = Self::new();
            return Ok(());
        }
        if attributes.get("URI").is_none() {
            return Err(missing(line, "URI"));
        }
        if attributes
            .get("IV")
            .is_some_and(|iv| !is_initialization_vector(iv))
        {
            return Err(bad_value(line, "IV"));
        }
        self.put(Key { attributes }, line, flaws)
    }

    fn put(&mut self, key: Key, line: &Line<'_>, flaws: &mut Flaws) -> Result<(), PlaylistError> {
        let is_full = self.slots.len() == limits::KEYS_IN_FORCE;
        let keyformat = key.keyformat().to_owned();
        match self
            .slots
            .iter_mut()
            .find(|slot| slot.keyformat == keyformat)
        {
            // Many packagers state the key again for each segment; nothing changes then.
            Some(slot) if slot.key == key => {
                slot.used = false;
                return Ok(());
            }
            Some(slot) => {
                if !slot.used {
                    flaws.note(FlawKind::UnusedTag, line);
                }
                *slot = Slot {
                    key,
                    keyformat,
                    used: false,
                };
            }
            None if is_full => {
                return Err(PlaylistError::TooManyKeys {
                    at: Place::of(line),
                });
            }
            None => self.slots.push(Slot {
                key,
                keyformat,
                used: false,
            }),
        }
        self.shared = None;
        Ok(())
    }

    /// The keys for a segment or a MAP that stands here.
    pub(super) fn use_now(&mut self) -> Arc<[Key]> {
        for slot in &mut self.slots {
            slot.used = true;
        }
        if let Some(shared) = &self.shared {
            return shared.clone();
        }
        let keys: Arc<[Key]> = self.slots.iter().map(|slot| slot.key.clone()).collect();
        self.shared = Some(keys.clone());
        keys
    }
}

/// Reads an `EXT-X-MAP` line that stands where `keys` are in force.
pub(super) fn read_map(
    line: &Line<'_>,
    keys: Arc<[Key]>,
    flaws: &mut Flaws,
) -> Result<Map, PlaylistError> {
    let attributes = read_attributes(line, flaws)?;
    let Some(uri) = attributes.text("URI") else {
        return Err(missing(line, "URI"));
    };
    if uri.is_empty() {
        return Err(bad_value(line, "URI"));
    }
    let byte_range = match attributes.text("BYTERANGE") {
        None => None,
        Some(text) => {
            let (length, offset) = read_byte_range(text, line, flaws)?;
            if offset.is_none() {
                flaws.note(FlawKind::MapRangeWithoutOffset, line);
            }
            let range = ByteRange {
                offset: offset.unwrap_or(0),
                length,
            };
            if range.end().is_none() {
                return Err(PlaylistError::BadByteRange {
                    at: Place::of(line),
                });
            }
            Some(range)
        }
    };
    let uri = Arc::from(uri);
    Ok(Map {
        uri,
        byte_range,
        attributes: attributes.without("URI").without("BYTERANGE"),
        keys,
    })
}

/// `n[@o]`: the length, at least 1 since no HTTP request can name an empty range, and the offset.
/// Blanks around the `@` are forgiven, and noted.
pub(super) fn read_byte_range(
    text: &str,
    line: &Line<'_>,
    flaws: &mut Flaws,
) -> Result<(u64, Option<u64>), PlaylistError> {
    let mut number = |part: &str| {
        if trim(part).len() != part.len() {
            flaws.note(FlawKind::BlankAroundValue, line);
        }
        let number = super::number::integer(trim(part));
        number.ok_or_else(|| PlaylistError::BadByteRange {
            at: Place::of(line),
        })
    };
    let (length, offset) = match text.split_once('@') {
        Some((length, offset)) => (number(length)?, Some(number(offset)?)),
        None => (number(text)?, None),
    };
    if length == 0 {
        return Err(PlaylistError::BadByteRange {
            at: Place::of(line),
        });
    }
    Ok((length, offset))
}

/// The attributes of a KEY or MAP line, with the quotes that RFC 8216 4.2 asks for.
fn read_attributes(line: &Line<'_>, flaws: &mut Flaws) -> Result<AttributeList, PlaylistError> {
    read_typed(line, &QUOTED, &PLAIN, flaws).map_err(|fault| PlaylistError::BadAttributes {
        at: Place::of(line),
        fault,
    })
}

/// A hexadecimal sequence of at most 128 bits (RFC 8216 4.2 and 4.3.2.4).
fn is_initialization_vector(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        return false;
    };
    (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn missing(line: &Line<'_>, name: &str) -> PlaylistError {
    let fault = AttributeFault::Missing(name.to_owned());
    PlaylistError::BadAttributes {
        at: Place::of(line),
        fault,
    }
}

fn bad_value(line: &Line<'_>, name: &str) -> PlaylistError {
    let fault = AttributeFault::BadValue(name.to_owned());
    PlaylistError::BadAttributes {
        at: Place::of(line),
        fault,
    }
}
