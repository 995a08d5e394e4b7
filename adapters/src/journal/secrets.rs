//! What of a journal may be a secret, and what stands for it in a copy.
//!
//! Every letter and digit of a secret becomes another one of its kind, each by a draw that depends on
//! all before it and on a key that is thrown away. So the same text becomes the same everywhere,
//! different texts stay different, beginnings stay beginnings, lengths and punctuation stay as they
//! are, and a machine that reads the copy comes to the same decisions. What is kept is listed here,
//! and everything else of a stranger's text goes.

use hls_relay_core::playlist::put_together;
use hls_relay_core::preload::OBJECT;
use serde_json::Value;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A part of a path with so many letters and digits, both of them, may be a token.
const TOKEN_LETTERS: usize = 16;
/// A longer name of a parameter may be a token itself.
const NAME_LETTERS: usize = 24;

/// Tags whose value is a number, a date or a word of the standard.
const PLAIN_TAGS: [&str; 13] = [
    "#EXTM3U",
    "#EXT-X-VERSION",
    "#EXT-X-TARGETDURATION",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-DISCONTINUITY-SEQUENCE",
    "#EXT-X-DISCONTINUITY",
    "#EXT-X-PLAYLIST-TYPE",
    "#EXT-X-PROGRAM-DATE-TIME",
    "#EXT-X-BYTERANGE",
    "#EXT-X-BITRATE",
    "#EXT-X-GAP",
    "#EXT-X-ENDLIST",
    "#EXT-X-INDEPENDENT-SEGMENTS",
];
/// Attributes whose value is one, in the tags that the relay reads.
const PLAIN_ATTRIBUTES: [&str; 19] = [
    "START-DATE",
    "END-DATE",
    "DURATION",
    "PLANNED-DURATION",
    "END-ON-NEXT",
    "METHOD",
    "KEYFORMAT",
    "KEYFORMATVERSIONS",
    "IV",
    "BYTERANGE",
    "BANDWIDTH",
    "AVERAGE-BANDWIDTH",
    "RESOLUTION",
    "CODECS",
    "FRAME-RATE",
    "TYPE",
    "DEFAULT",
    "AUTOSELECT",
    "FORCED",
];
/// Fields of events and machines that hold no text of a stranger, or one that was read and is a date.
const PLAIN_FIELDS: [&str; 3] = ["object", "channel", "date_time_text"];
/// Fields of what is kept of a rendition, which are values of its EXT-X-MEDIA and have to stay the same as those.
const MEDIUM_FIELDS: [&str; 3] = ["group", "language", "name"];

/// What stands in a line for references to variables while the rest of it is hidden: letters that no list has.
const STAND_INS: std::ops::RangeInclusive<char> = '\u{f0000}'..='\u{ffffd}';

/// Puts the same nonsense for the same secret, as long as it lives.
pub(super) struct Secrets {
    key: RandomState,
}

impl Secrets {
    pub(super) fn new() -> Self {
        Self {
            key: RandomState::new(),
        }
    }

    /// Everything in an event or a machine.
    pub(super) fn hide_in(&self, value: &mut Value, field: &str) {
        match value {
            Value::String(text) => *text = self.field(text, field),
            Value::Array(all) => all.iter_mut().for_each(|it| self.hide_in(it, field)),
            Value::Object(fields) => {
                let known = std::mem::take(fields);
                let is_medium = MEDIUM_FIELDS.iter().all(|it| known.contains_key(*it));
                for (name, mut value) in known {
                    if name == "body" {
                        self.hide_in_body(&mut value);
                    } else if name == "variables" {
                        self.hide_in_variables(&mut value);
                    } else if let Value::String(text) = &mut value
                        && is_medium
                        && MEDIUM_FIELDS.contains(&&*name)
                    {
                        *text = self.words(text);
                    } else {
                        self.hide_in(&mut value, &name);
                    }
                    // Names that are URLs: the sources that were let go.
                    let name = if name.contains("://") {
                        self.uri(&name)
                    } else {
                        name
                    };
                    fields.insert(name, value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The bytes of an answer.
    pub(super) fn body(&self, bytes: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.page(text).into_bytes(),
            // Each byte as the letter of its number, which is undone below: only ASCII changes.
            Err(_) => {
                let text: String = bytes.iter().copied().map(char::from).collect();
                let hidden = self.page(&text);
                hidden
                    .chars()
                    .map(|it| u8::try_from(it).unwrap_or(b'?'))
                    .collect()
            }
        }
    }

    /// What a list has defined for those that it names, as it stands in that list.
    fn hide_in_variables(&self, value: &mut Value) {
        let variables = value.as_object_mut().into_iter().flatten();
        for (_, value) in variables {
            if let Value::String(text) = value {
                *text = self.variable(text);
            }
        }
    }

    fn hide_in_body(&self, value: &mut Value) {
        let Value::Object(form) = value else {
            return;
        };
        if let Some(Value::String(text)) = form.get_mut("text") {
            *text = self.page(text);
        }
        if let Some(Value::Array(bytes)) = form.get_mut("bytes") {
            let known = bytes
                .iter()
                .map(|it| it.as_u64().and_then(|it| u8::try_from(it).ok()));
            let known: Vec<u8> = known.map(Option::unwrap_or_default).collect();
            *bytes = self.body(&known).into_iter().map(Value::from).collect();
        }
    }

    /// A playlist line by line. Of any other page only its first word stays, which tells what it is.
    fn page(&self, text: &str) -> String {
        if text.trim_start_matches('\u{feff}').starts_with("#EXTM3U") {
            // What is put together of variables is one text: a part of it alone would become something else.
            let whole = put_together(text, |_| true);
            let text = whole.as_ref().map_or(text, |(text, _)| text);
            return text
                .split_inclusive('\n')
                .map(|line| self.line(line))
                .collect();
        }
        let kept = text.trim_start();
        let kept = kept.strip_prefix(['<']).map_or(0, |rest| {
            let word = rest
                .trim_start_matches('!')
                .find(|it: char| !it.is_ascii_alphabetic());
            word.map_or(0, |end| {
                text.len() - rest.trim_start_matches('!').len() + end
            })
        });
        format!("{}{}", &text[..kept], self.words(&text[kept..]))
    }

    fn field(&self, text: &str, field: &str) -> String {
        match field {
            _ if PLAIN_FIELDS.contains(&field) => text.to_owned(),
            "attributes" => self.attributes(text, true),
            "title" | "etag" | "begins" => self.words(text),
            _ => self.line(text),
        }
    }

    /// The names of variables stay, wherever they are referred to.
    fn line(&self, line: &str) -> String {
        let is_of_name = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
        let referred = |at: usize| {
            let behind = line[at + 2..].trim_start_matches(is_of_name);
            let end = line.len() - behind.len();
            behind.starts_with('}').then(|| &line[at..=end])
        };
        let references = line.match_indices("{$").filter_map(|(at, _)| referred(at));
        let references: Vec<_> = references.zip(STAND_INS).collect();
        let replace = |line: String, from: &str, to: &str| line.replace(from, to);
        let held = references
            .iter()
            .fold(line.to_owned(), |line, (name, stand_in)| {
                replace(line, name, stand_in.encode_utf8(&mut [0; 4]))
            });
        let hidden = self.line_without_references(&held);
        references.iter().fold(hidden, |line, (name, stand_in)| {
            replace(line, stand_in.encode_utf8(&mut [0; 4]), name)
        })
    }

    fn line_without_references(&self, line: &str) -> String {
        if !line.starts_with('#') {
            return self.uri(line);
        }
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_tag(name)) else {
            let kept = if is_tag(line.trim_end()) {
                line.len()
            } else {
                1
            };
            let kept = if line.starts_with("#EXTM3U") {
                kept.max(7)
            } else {
                kept
            };
            return format!("{}{}", &line[..kept], self.words(&line[kept..]));
        };
        let value = match name {
            "#EXTINF" => {
                let (duration, title) = value.split_at(value.find(',').unwrap_or(value.len()));
                format!("{}{}", self.unless_plain(duration), self.words(title))
            }
            "#EXT-X-KEY"
            | "#EXT-X-MAP"
            | "#EXT-X-STREAM-INF"
            | "#EXT-X-DATERANGE"
            | "#EXT-X-I-FRAME-STREAM-INF"
            | "#EXT-X-MEDIA" => self.attributes(value, true),
            "#EXT-X-DEFINE" => self.definition(value),
            _ if PLAIN_TAGS.contains(&name) => self.unless_plain(value),
            _ => self.attributes(value, false),
        };
        format!("{name}:{value}")
    }

    /// Names stay, and values that the relay reads (`known`) and that cannot be secret.
    fn attributes(&self, text: &str, known: bool) -> String {
        let mut out = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (one, behind) = rest.split_at(end_of_attribute(rest));
            rest = behind;
            match one.split_once('=').filter(|(name, _)| is_name(name)) {
                None => out.push_str(&self.words(one)),
                Some((name, value)) => {
                    let bare = name.trim_start_matches([',', ' ', '\t']).trim_end();
                    let value = if known && PLAIN_ATTRIBUTES.contains(&bare) {
                        value.to_owned()
                    } else if known && bare == "URI" {
                        self.uri(value)
                    } else {
                        self.words(value)
                    };
                    out.extend([name, "=", &value]);
                }
            }
        }
        out
    }

    /// A variable keeps its name. What it stands for may be a whole URL, parameters, or a part of something.
    fn definition(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (one, behind) = rest.split_at(end_of_attribute(rest));
            rest = behind;
            match one.split_once('=') {
                Some((name, value)) if name.ends_with("VALUE") => {
                    out.extend([name, "=", &self.variable(value)]);
                }
                Some(_) | None => out.push_str(one),
            }
        }
        out
    }

    fn variable(&self, value: &str) -> String {
        if value.contains("://") {
            return self.uri(value);
        }
        let pairs: Vec<_> = value.split('&').map(|pair| self.pair(pair)).collect();
        pairs.join("&")
    }

    fn unless_plain(&self, value: &str) -> String {
        let number = |it: char| it.is_ascii_digit() || "+-.:@TZ \r\n".contains(it);
        let word = matches!(value.trim(), "VOD" | "EVENT" | "YES" | "NO");
        if word || value.chars().all(number) {
            value.to_owned()
        } else {
            self.words(value)
        }
    }

    /// A URI, or a text in which one may stand: host and path stay but for what looks like a token;
    /// passwords, queries and all that follows them go.
    fn uri(&self, text: &str) -> String {
        if let Some((scheme, rest)) = other_scheme(text) {
            return format!("{scheme}:{}", self.words(rest));
        }
        let (place, query) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
        let mut out = String::new();
        let mut rest = place;
        while let Some(start) = rest.find("://") {
            let (before, after) = rest.split_at(start + 3);
            let end = after.find(['/', ' ', '"']).unwrap_or(after.len());
            let (authority, behind) = after.split_at(end);
            out.push_str(&self.path(before));
            match authority.rsplit_once('@') {
                Some((login, host)) => out.extend([&*self.words(login), "@", host]),
                None => out.push_str(authority),
            }
            rest = behind;
        }
        out.push_str(&self.path(rest));
        for (index, pair) in query.split('&').enumerate() {
            if index > 0 {
                out.push('&');
            }
            out.push_str(&self.pair(pair));
        }
        out
    }

    fn path(&self, path: &str) -> String {
        let mut out = String::new();
        for part in path.split_inclusive('/') {
            let Some(value) = part.find('=').map(|at| at + 1) else {
                out.push_str(&self.tokens(part));
                continue;
            };
            let (name, value) = part.split_at(value);
            // `token=abc.ts`: the ending tells the kind of media.
            let ending = value.rfind('.').filter(|at| value.len() - at <= 5);
            let (value, ending) = value.split_at(ending.unwrap_or(value.len()));
            out.extend([&*self.tokens(name), &self.words(value), ending]);
        }
        out
    }

    /// Runs of letters and digits that are too mixed for a word.
    fn tokens(&self, text: &str) -> String {
        let joined = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        let mut out = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|it| !joined(it)).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(end);
            let letters = run.bytes().filter(u8::is_ascii_alphanumeric).count();
            let mixed = run.bytes().any(|it| it.is_ascii_digit())
                && run.bytes().any(|it| it.is_ascii_alphabetic());
            if letters >= TOKEN_LETTERS && mixed {
                out.push_str(&self.hidden(run));
            } else {
                out.push_str(run);
            }
            let next = behind.find(joined).unwrap_or(behind.len());
            let (between, behind) = behind.split_at(next);
            out.push_str(between);
            rest = behind;
        }
        out
    }

    /// The name tells which parameter it is; without a value it may be the token itself.
    fn pair(&self, pair: &str) -> String {
        let plain = |it: char| it.is_ascii_alphanumeric() || "?#-_.[]".contains(it);
        let named = pair.split_once('=').filter(|(name, value)| {
            let short = name.len() <= NAME_LETTERS && name.chars().all(plain);
            short && !value.trim_matches('=').trim().is_empty()
        });
        match named {
            Some((name, value)) => format!("{}={}", self.tokens(name), self.around_object(value)),
            None => self.around_object(pair),
        }
    }

    /// Where the name of an object belongs in the address of an edge is no secret, and without it there is none.
    fn around_object(&self, text: &str) -> String {
        let parts: Vec<_> = text.split(OBJECT).map(|it| self.hidden(it)).collect();
        parts.join(OBJECT)
    }

    /// Word by word, so that a word is the same wherever it stands.
    fn words(&self, text: &str) -> String {
        let between = |it: char| it.is_whitespace() || ",;:=\"'<>()[]{}|".contains(it);
        text.split_inclusive(between)
            .map(|word| self.hidden(word))
            .collect()
    }

    /// Other letters and digits in place of these. What is percent-encoded stays, so that a text and
    /// its encoded form become the same.
    fn hidden(&self, secret: &str) -> String {
        let mut draws = self.key.build_hasher();
        let mut out = String::with_capacity(secret.len());
        let mut encoded = 0;
        for letter in secret.chars() {
            let first = match letter {
                _ if encoded > 0 => None,
                'a'..='z' => Some((b'a', 26)),
                'A'..='Z' => Some((b'A', 26)),
                '0'..='9' => Some((b'0', 10)),
                _ => None,
            };
            encoded = if letter == '%' { 2 } else { encoded.max(1) - 1 };
            let (Some((first, count)), Ok(byte)) = (first, u8::try_from(letter)) else {
                out.push(letter);
                continue;
            };
            // Never by nothing: no letter stays itself.
            let by = 1 + draws.finish() % u64::from(count - 1);
            let by = u8::try_from(by).unwrap_or(1);
            out.push(char::from(first + (byte - first + by) % count));
            draws.write_u8(byte);
        }
        out
    }
}

/// `#EXT` and what a tag's name is made of.
fn is_tag(name: &str) -> bool {
    let rest = name.strip_prefix("#EXT");
    rest.is_some_and(|it| it.len() <= 40 && it.bytes().all(is_name_byte))
}

fn is_name(name: &str) -> bool {
    let name = name.trim_start_matches([',', ' ', '\t']).trim_end();
    (1..=40).contains(&name.len()) && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-'
}

/// Behind the attribute that the text begins with: at the next comma outside quotes.
fn end_of_attribute(text: &str) -> usize {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted && at > 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// `data:`, `skd:` and the like: whatever follows means something to a player only, a key perhaps.
fn other_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let bare = scheme.trim_start_matches('"');
    let letters = bare
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || b"+.-".contains(&it));
    let named = letters && bare.starts_with(|it: char| it.is_ascii_alphabetic());
    let meant = !rest.starts_with([' ', '/']) && !rest.starts_with(|it: char| it.is_ascii_digit());
    (named && meant || matches!(bare, "skd")).then_some((scheme, rest))
}
