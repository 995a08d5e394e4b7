//! Attribute lists (RFC 8216 4.2): read strictly where it matters, kept in order, written as read.

use super::error::AttributeFault;
use super::flaw::{FlawKind, Flaws};
use super::line::Line;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The attributes of one tag, in order, each name once.
///
/// It holds the text in the form that RFC 8216 4.2 asks for (no blanks, no repeated names), so that
/// what is passed on is what came; values are looked up in it. Quoted values keep their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "Arc<str>")]
pub struct AttributeList {
    text: Arc<str>,
}

/// What was forgiven in an attribute list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forgiven {
    pub(super) loose: bool,
    pub(super) repeated: bool,
    pub(super) odd_name: bool,
}

/// One attribute as it stands in the text; `value` with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

impl AttributeList {
    /// Reads the text behind the colon of a tag. Blanks around `=` and `,`, commas too many and
    /// names repeated with equal values are forgiven and left out (RFC 8216 4.2, rule C-07).
    ///
    /// # Errors
    /// Where the text could be understood in two ways.
    pub fn parse(text: &str) -> Result<Self, AttributeFault> {
        let (attributes, forgiven) = scan(text)?;
        Ok(Self::build(text, &attributes, forgiven))
    }

    /// The list of what [`scan`] found; the text itself where nothing had to be forgiven.
    pub(super) fn build(text: &str, attributes: &[Attribute<'_>], forgiven: Forgiven) -> Self {
        if !forgiven.loose && !forgiven.repeated {
            return Self {
                text: Arc::from(text),
            };
        }
        let mut list = String::with_capacity(text.len());
        for attribute in attributes {
            push(&mut list, attribute.name, attribute.value);
        }
        Self {
            text: Arc::from(list),
        }
    }

    /// The whole list as it is written behind the colon of a tag.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is no attribute.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Names and values in order; quoted values with their quotes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &*self.text;
        std::iter::from_fn(move || {
            // The text went through `scan`, so that every attribute has its `=`.
            let (name, behind) = rest.split_once('=')?;
            let end = value_end(behind);
            rest = behind.get(end + 1..).unwrap_or("");
            Some((name, &behind[..end]))
        })
    }

    /// The value of an attribute as it is written, with its quotes where it has them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The value of an attribute without its quotes.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(unquoted)
    }

    /// The value of an attribute that is a decimal integer (RFC 8216 4.2).
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(super::number::integer)
    }

    /// The same list with one attribute set to a quoted string: in its old place, or at the end.
    /// What a quoted string cannot hold (quotes and control characters, RFC 8216 4.2) becomes its
    /// percent-encoding, which leaves a URI what it is.
    #[must_use]
    pub fn with_quoted(&self, name: &str, value: &str) -> Self {
        let mut quoted = String::with_capacity(value.len() + 2);
        quoted.push('"');
        push_quotable(&mut quoted, value);
        quoted.push('"');
        self.with_written(name, &quoted)
    }

    /// The same list with one attribute set to a value without quotes, in its old place or at the
    /// end. Characters that would end the value or the line are left out.
    #[must_use]
    pub fn with_plain(&self, name: &str, value: &str) -> Self {
        let allowed =
            |character: &char| !matches!(character, '"' | ',' | ' ') && !character.is_control();
        let value: String = value.chars().filter(allowed).collect();
        self.with_written(name, &value)
    }

    /// The same list without one attribute.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut text = String::with_capacity(self.text.len());
        for (known, value) in self.iter().filter(|(known, _)| *known != name) {
            push(&mut text, known, value);
        }
        Self {
            text: Arc::from(text),
        }
    }

    fn with_written(&self, name: &str, written: &str) -> Self {
        let mut text = String::with_capacity(self.text.len() + name.len() + written.len() + 2);
        let mut found = false;
        for (known, value) in self.iter() {
            let here = known == name;
            push(&mut text, known, if here { written } else { value });
            found |= here;
        }
        if !found {
            push(&mut text, name, written);
        }
        Self {
            text: Arc::from(text),
        }
    }
}

impl TryFrom<Arc<str>> for AttributeList {
    type Error = AttributeFault;

    fn try_from(text: Arc<str>) -> Result<Self, AttributeFault> {
        Self::parse(&text)
    }
}

impl From<AttributeList> for Arc<str> {
    fn from(list: AttributeList) -> Self {
        list.text
    }
}

/// The attributes of a tag that must be understood. Those named in `quoted` get the quotes that
/// RFC 8216 4.2 asks for, those in `plain` lose the ones that they should not have.
pub(super) fn read_typed(
    line: &Line<'_>,
    quoted: &[&str],
    plain: &[&str],
    flaws: &mut Flaws,
) -> Result<AttributeList, AttributeFault> {
    let text = line.raw_value();
    let (attributes, forgiven) = scan(text)?;
    for (met, kind) in [
        (forgiven.loose, FlawKind::LooseAttributes),
        (forgiven.repeated, FlawKind::RepeatedAttribute),
        (forgiven.odd_name, FlawKind::OddAttributeName),
    ] {
        if met {
            flaws.note(kind, line);
        }
    }
    let mut list = AttributeList::build(text, &attributes, forgiven);
    for Attribute { name, value } in attributes {
        let is_quoted = value.starts_with('"');
        if is_quoted && plain.contains(&name) {
            let inner = unquoted(value);
            if inner.is_empty() || inner.contains([',', ' ', '\t']) {
                return Err(AttributeFault::BadValue(name.to_owned()));
            }
            list = list.with_plain(name, inner);
        } else if !is_quoted && quoted.contains(&name) {
            list = list.with_quoted(name, value);
        } else {
            continue;
        }
        flaws.note(FlawKind::QuotesAmiss, line);
    }
    Ok(list)
}

/// The attributes of a text, and what had to be forgiven to read it.
pub(super) fn scan(text: &str) -> Result<(Vec<Attribute<'_>>, Forgiven), AttributeFault> {
    let mut attributes: Vec<Attribute<'_>> = Vec::with_capacity(8);
    let mut forgiven = Forgiven::default();
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches([' ', '\t', ',']);
        // The first attribute has nothing before it; the comma before each other one is taken off
        // with its value.
        forgiven.loose |= start.len() != rest.len();
        if start.is_empty() {
            return Ok((attributes, forgiven));
        }
        let (attribute, behind) = scan_one(start, &mut forgiven)?;
        rest = behind;
        match attributes.iter().find(|known| known.name == attribute.name) {
            Some(known) if known.value == attribute.value => forgiven.repeated = true,
            Some(_) => {
                return Err(AttributeFault::Conflict(super::error::excerpt(
                    attribute.name,
                )));
            }
            None if attributes.len() == limits::ATTRIBUTES => return Err(AttributeFault::TooMany),
            None => attributes.push(attribute),
        }
    }
}

/// One attribute at the beginning of `text`, and what follows its comma.
fn scan_one<'a>(
    text: &'a str,
    forgiven: &mut Forgiven,
) -> Result<(Attribute<'a>, &'a str), AttributeFault> {
    let Some(equals) = text
        .bytes()
        .position(|byte| matches!(byte, b'=' | b',' | b'"'))
    else {
        return Err(AttributeFault::NoValue);
    };
    match text.as_bytes()[equals] {
        b'=' => {}
        b',' => return Err(AttributeFault::NoValue),
        _ => return Err(AttributeFault::BadName),
    }
    let name = trimmed(&text[..equals], forgiven);
    if name.is_empty() || name.contains([' ', '\t']) {
        return Err(AttributeFault::BadName);
    }
    let usual = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    forgiven.odd_name |= !name.bytes().all(usual);

    let behind = &text[equals + 1..];
    let start = behind.trim_start_matches([' ', '\t']);
    forgiven.loose |= start.len() != behind.len();
    let end = value_end(start);
    if start.starts_with('"') && end == start.len() && !closes(start) {
        return Err(unclosed(start));
    }
    let value = trimmed(&start[..end], forgiven);
    check_value(value)?;
    let rest = match start.get(end + 1..) {
        // A comma with nothing behind it is one too many.
        Some("") => {
            forgiven.loose = true;
            ""
        }
        Some(rest) => rest,
        None => "",
    };
    Ok((Attribute { name, value }, rest))
}

/// Where the value at the beginning of `text` ends: before its comma, or at the end. A comma inside
/// quotes does not end it.
fn value_end(text: &str) -> usize {
    let inside = match text.strip_prefix('"') {
        Some(quoted) => quoted.find('"').map_or(text.len(), |quote| quote + 2),
        None => 0,
    };
    text[inside..]
        .find(',')
        .map_or(text.len(), |comma| inside + comma)
}

/// Whether a text that begins with a quote has its other one, with only blanks behind it.
fn closes(text: &str) -> bool {
    let text = text.trim_end_matches([' ', '\t']);
    text.len() >= 2 && text.ends_with('"')
}

fn unclosed(text: &str) -> AttributeFault {
    if text[1..].contains('"') {
        AttributeFault::StrayQuote
    } else {
        AttributeFault::UnclosedQuote
    }
}

fn check_value(value: &str) -> Result<(), AttributeFault> {
    if value.is_empty() {
        return Err(AttributeFault::NoValue);
    }
    let inner = unquoted(value);
    if inner.contains('"') {
        return Err(AttributeFault::StrayQuote);
    }
    if inner.len() == value.len() && inner.contains([' ', '\t']) {
        return Err(AttributeFault::BlankInValue);
    }
    Ok(())
}

fn trimmed<'a>(text: &'a str, forgiven: &mut Forgiven) -> &'a str {
    let trimmed = super::line::trim(text);
    forgiven.loose |= trimmed.len() != text.len();
    trimmed
}

/// A value without its quotes, if it has both.
pub(super) fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(value)
}

fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(name);
    text.push('=');
    text.push_str(value);
}

/// Appends what a quoted string may hold (RFC 8216 4.2): quotes and control characters as their
/// percent-encoding, everything else as it is.
pub(super) fn push_quotable(out: &mut String, value: &str) {
    let mut rest = value.chars();
    while let Some(character) = rest.next() {
        // Without quotes it referred to nothing (RFC 8216bis 4.3).
        let refers = character == '{' && rest.as_str().starts_with('$');
        if character == '"' || character.is_control() || refers {
            push_encoded(out, character);
        } else {
            out.push(character);
        }
    }
}

/// Appends the percent-encoding of a character (RFC 3986 2.1).
pub(super) fn push_encoded(out: &mut String, character: char) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut bytes = [0; 4];
    for byte in character.encode_utf8(&mut bytes).bytes() {
        out.push('%');
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
