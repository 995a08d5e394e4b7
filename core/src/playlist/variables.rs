//! Variables: `EXT-X-DEFINE` and the references to it (draft bis 4.3 and 4.4.2.3, rules C-37, C-38).
//!
//! References are replaced before anything else is read, so that nothing behind this module knows
//! of them, and what is published needs no variable.

use super::attributes::scan;
use super::error::{Place, PlaylistError, VariableFault, excerpt};
use super::flaw::{FlawKind, Flaws};
use super::guard::Guarded;
use super::line::{HeadLine, Line, SegmentTag, Tag, trim};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use url::{Url, form_urlencoded};

/// What a list may take from outside of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Where the list came from, after redirects: `QUERYPARAM` takes from its query.
    pub url: Option<&'a Url>,
    /// The variables of the multivariant playlist that named it: `IMPORT` takes from those.
    pub variables: Option<&'a Variables>,
}

/// The variables of a list, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variables(BTreeMap<Arc<str>, Arc<str>>);

impl Variables {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }
}

/// The text of a list with the references replaced in all that `is_meant` of what comes out, as far as the list itself
/// defines them, and the names of the variables that were used for it; nothing where there are none. What else is
/// referred to stays as it is.
pub fn put_together(
    text: &str,
    is_meant: impl Fn(&str) -> bool,
) -> Option<(String, BTreeSet<Arc<str>>)> {
    if !text.contains(OPEN) {
        return None;
    }
    let (mut known, mut used) = (Variables::default(), BTreeSet::new());
    let mut out = String::with_capacity(text.len());
    // What all that is put together may have, also where it is not meant: a body as long as one may be.
    let mut room = limits::BODY_BYTES;
    for line in text.split_inclusive('\n') {
        if let Some((name, value)) = defined_in(line) {
            if known.0.len() < limits::VARIABLES && known.get(name).is_none() {
                known.0.insert(name.into(), value.into());
            }
            out.push_str(line);
            continue;
        }
        // A URI line is one value; in a tag, each of what is in quotes and of what is not.
        let parts = if line.starts_with('#') { usize::MAX } else { 1 };
        for (index, part) in line.splitn(parts, '"').enumerate() {
            if index > 0 {
                out.push('"');
            }
            if !part.contains(OPEN) {
                out.push_str(part);
                continue;
            }
            let mut replaced = Replaced {
                text: String::new(),
                variables: &known,
                limit: room.min(limits::LINE_BYTES),
            };
            let names = replaced.push_known(part);
            room = room.saturating_sub(replaced.text.len().max(part.len()));
            match names.filter(|it| !it.is_empty() && is_meant(&replaced.text)) {
                Some(names) => {
                    used.extend(names);
                    out.push_str(&replaced.text);
                }
                None => out.push_str(part),
            }
        }
    }
    (!used.is_empty()).then_some((out, used))
}

/// The name and the value that a line of a list defines, where it holds both.
pub fn defined_in(line: &str) -> Option<(&str, &str)> {
    let line = trim(line.trim_end_matches(['\n', '\r']));
    if Tag::of(line) != Tag::HeadLine(HeadLine::Define) {
        return None;
    }
    let (attributes, _) = scan(line.split_once(':')?.1).ok()?;
    let get = |name: &str| {
        let found = attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| super::attributes::unquoted(attribute.value))
    };
    get("NAME").zip(get("VALUE"))
}

/// The lines that read differently once their references are replaced, by their place, and what was
/// defined.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    texts: BTreeMap<usize, String>,
    pub(super) variables: Variables,
}

/// Replaces the references in the lines of a body. Each is replaced by what was defined before it;
/// what a value holds is not looked at again.
pub(super) fn expand(
    guarded: &Guarded<'_>,
    context: &Context<'_>,
    flaws: &mut Flaws,
) -> Result<Expansion, PlaylistError> {
    let mut expansion = Expansion::default();
    // What the expanded lines may have together: a body as long as one may be.
    let mut room = limits::BODY_BYTES;
    for (index, line) in guarded.lines.iter().enumerate() {
        if line.tag == Tag::HeadLine(HeadLine::Define) {
            define(&mut expansion.variables, line, context, flaws)?;
        } else if guarded.may_refer && line.text.contains(OPEN) {
            let fail = |fault| PlaylistError::BadVariable {
                at: Place::of(line),
                fault,
            };
            let limit = room.min(limits::LINE_BYTES);
            let text = replace_in_line(line, &expansion.variables, limit).map_err(fail)?;
            if let Some(text) = text {
                room -= text.len();
                expansion.texts.insert(index, text);
            }
        }
    }
    Ok(expansion)
}

impl Expansion {
    /// The lines of a body with their references replaced, and without definitions.
    pub(super) fn apply<'a>(&'a self, guarded: Guarded<'a>) -> Guarded<'a> {
        if self.texts.is_empty() && self.variables.0.is_empty() {
            return guarded;
        }
        let mut lines = guarded.lines;
        for (index, text) in &self.texts {
            lines[*index].text = text;
        }
        lines.retain(|line| line.tag != Tag::HeadLine(HeadLine::Define));
        Guarded { lines, ..guarded }
    }
}

/// Takes one `EXT-X-DEFINE`: a value, one of the multivariant playlist, or one of the query.
fn define(
    variables: &mut Variables,
    line: &Line<'_>,
    context: &Context<'_>,
    flaws: &mut Flaws,
) -> Result<(), PlaylistError> {
    let at = || Place::of(line);
    let (attributes, forgiven) =
        scan(line.raw_value()).map_err(|fault| PlaylistError::BadAttributes { at: at(), fault })?;
    if forgiven.loose {
        flaws.note(FlawKind::LooseAttributes, line);
    }
    if forgiven.repeated {
        flaws.note(FlawKind::RepeatedAttribute, line);
    }
    let fail = |fault| Err(PlaylistError::BadVariable { at: at(), fault });
    let get = |name: &str| {
        let found = attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| super::attributes::unquoted(attribute.value))
    };
    let forms = (get("NAME"), get("IMPORT"), get("QUERYPARAM"));
    let (name, value) = match (forms, get("VALUE")) {
        ((Some(name), None, None), Some(value)) => (name, Some(value.to_owned())),
        ((None, Some(name), None), None) => {
            let known = context.variables.and_then(|variables| variables.get(name));
            (name, known.map(str::to_owned))
        }
        ((None, None, Some(name)), None) => (name, context.url.and_then(|url| query(url, name))),
        _ => return fail(VariableFault::NoForm),
    };
    if name.is_empty() || !name.bytes().all(is_of_name) {
        return fail(VariableFault::BadName(excerpt(name)));
    }
    let Some(value) = value else {
        return fail(VariableFault::Missing(excerpt(name)));
    };
    // A quoted string cannot hold these (RFC 8216 4.2); a query can.
    if value.contains(|character: char| character == '"' || character.is_control()) {
        return fail(VariableFault::BadValue(excerpt(name)));
    }
    match variables.get(name) {
        Some(same) if same == value => flaws.note(FlawKind::RepeatedTag, line),
        Some(_) => return fail(VariableFault::Twice(excerpt(name))),
        None if variables.0.len() == limits::VARIABLES => return fail(VariableFault::TooMany),
        None => {
            variables.0.insert(Arc::from(name), Arc::from(value));
        }
    }
    Ok(())
}

/// A parameter of the query, percent-decoded; one without a value is none.
fn query(url: &Url, name: &str) -> Option<String> {
    // It is no form: a plus is no space, but one of the letters of Base64.
    let query = url.query()?.replace('+', "%2B");
    let (_, value) = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name)?;
    (!value.is_empty()).then(|| value.into_owned())
}

pub(super) const OPEN: &str = "{$";

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The line with its references replaced; nothing where it has none, or is no place for any.
fn replace_in_line(
    line: &Line<'_>,
    variables: &Variables,
    limit: usize,
) -> Result<Option<String>, VariableFault> {
    let mut out = Replaced {
        text: String::with_capacity(line.text.len()),
        variables,
        limit,
    };
    match line.tag {
        Tag::Uri => {
            out.push_replaced(line.text)?;
            // The value may have blanks around it, which a URI line has not.
            let uri = trim(&out.text);
            if uri.is_empty() {
                return Err(VariableFault::NoUri);
            }
            return Ok(Some(uri.to_owned()));
        }
        Tag::HeadLine(_)
        | Tag::Segment(SegmentTag::Key | SegmentTag::Map)
        | Tag::Multivariant(_) => out.push_attributes(line)?,
        // Numbers, flags, dates and titles are no places for variables.
        Tag::Header | Tag::Head(_) | Tag::Segment(_) => return Ok(None),
        // What a vendor's tag means by `{$name}` is for those who know the tag: it is a reference
        // where it reads like one.
        Tag::SegmentLine(_) | Tag::Other => match out.push_attributes(line) {
            Ok(()) => {}
            Err(VariableFault::Undefined(_)) if !line.tag.is_kept_attribute_list() => {
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        },
    }
    Ok(Some(out.text))
}

struct Replaced<'a> {
    text: String,
    variables: &'a Variables,
    limit: usize,
}

impl Replaced<'_> {
    /// References stand in quoted strings and in hexadecimal sequences, nowhere else.
    fn push_attributes(&mut self, line: &Line<'_>) -> Result<(), VariableFault> {
        let value = line.raw_value();
        self.push(&line.text[..line.text.len() - value.len()])?;
        for (index, part) in value.split('"').enumerate() {
            if index > 0 {
                self.push("\"")?;
            }
            if index % 2 == 1 {
                self.push_replaced(part)?;
            } else {
                self.push_unquoted(part)?;
            }
        }
        Ok(())
    }

    fn push_unquoted(&mut self, part: &str) -> Result<(), VariableFault> {
        for (index, attribute) in part.split(',').enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            let name = attribute.split('=').next().map_or("", trim);
            if !is_hexadecimal(name) {
                self.push(attribute)?;
                continue;
            }
            let start = self.text.len();
            self.push_replaced(attribute)?;
            // The value may not end the attribute that it stands in.
            if self.text[start..].contains([',', ' ']) && !attribute.contains(' ') {
                return Err(VariableFault::BadValue(excerpt(name)));
            }
        }
        Ok(())
    }

    fn push_replaced(&mut self, text: &str) -> Result<(), VariableFault> {
        self.push_with(text, |name| Err(VariableFault::Undefined(excerpt(name))))
    }

    /// What is not known stays as it is. Gives the names of what is; nothing where there is no room for it.
    fn push_known(&mut self, text: &str) -> Option<Vec<Arc<str>>> {
        self.push_with(text, |_| Ok(())).ok()?;
        let names = references(text).map(|(_, name)| name);
        let known = names.filter(|name| self.variables.get(name).is_some());
        Some(known.map(Arc::from).collect())
    }

    /// `undefined` says whether what is not known may stay.
    fn push_with(
        &mut self,
        text: &str,
        undefined: impl Fn(&str) -> Result<(), VariableFault>,
    ) -> Result<(), VariableFault> {
        let mut done = 0;
        for (at, name) in references(text) {
            let Some(value) = self.variables.get(name) else {
                undefined(name)?;
                continue;
            };
            self.push(&text[done..at])?;
            self.push(value)?;
            done = at + OPEN.len() + name.len() + 1;
        }
        self.push(&text[done..])
    }

    fn push(&mut self, text: &str) -> Result<(), VariableFault> {
        if self.text.len() + text.len() > self.limit {
            return Err(VariableFault::TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// The references in a text: where each begins, and the name.
fn references(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let opened = text.match_indices(OPEN);
    opened.filter_map(|(at, _)| {
        let behind = &text[at + OPEN.len()..];
        let length = behind.bytes().take_while(|byte| is_of_name(*byte)).count();
        // Anything else stands for itself.
        (length > 0 && behind[length..].starts_with('}')).then(|| (at, &behind[..length]))
    })
}

/// The attributes whose values are, or may be, hexadecimal sequences (RFC 8216 4.3.2.4 and 4.3.2.7).
fn is_hexadecimal(name: &str) -> bool {
    name == "IV" || name.starts_with("SCTE35-") || name.starts_with("X-")
}
