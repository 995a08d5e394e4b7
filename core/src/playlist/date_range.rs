//! `EXT-X-DATERANGE` (RFC 8216 4.3.2.7, draft bis 4.4.5.1): what is told of a span of time, in one tag
//! or in several with the same ID.

use super::line::{Line, SegmentLine, Tag};
use super::number::seconds;
use super::{AttributeList, date_time};
use crate::limits;
use crate::time::{Span, WallTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// A date range as far as it is told. Its attributes stay as they came, those of SCTE-35 and of vendors too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Told", into = "Told")]
pub struct DateRange {
    attributes: AttributeList,
    // What each is compared with all others by: a list may have a thousand, and tells them anew with each reload.
    id: Option<Arc<str>>,
    class: Option<Arc<str>>,
}

/// A date range as it is saved.
#[derive(Serialize, Deserialize)]
#[serde(rename = "DateRange")]
struct Told {
    attributes: AttributeList,
}

impl From<Told> for DateRange {
    fn from(told: Told) -> Self {
        Self::of(told.attributes)
    }
}

impl From<DateRange> for Told {
    fn from(range: DateRange) -> Self {
        Self {
            attributes: range.attributes,
        }
    }
}

/// Durations that differ by less say the same: sources round them.
const SAME: Span = Span::from_millis(1);

impl DateRange {
    /// Whether a line is such a tag.
    pub fn is_told_by(line: &str) -> bool {
        Tag::of(line) == Tag::SegmentLine(SegmentLine::DateRange)
    }

    /// Reads a line. `None` where players ignore it, or it is none (rule C-53).
    pub fn read(line: &str) -> Option<Self> {
        let (tag, number) = (Tag::of(line), 0);
        let text = line;
        let line = Line { number, text, tag };
        let attributes = Self::is_told_by(text).then(|| AttributeList::parse(line.raw_value()))?;
        let range = Self::of(attributes.ok()?);
        (!range.id()?.is_empty() && range.is_legal()).then_some(range)
    }

    fn of(attributes: AttributeList) -> Self {
        let text = |name| attributes.text(name).map(Arc::from);
        Self {
            id: text("ID"),
            class: text("CLASS"),
            attributes,
        }
    }

    /// The line that tells all of it.
    pub fn line(&self) -> String {
        format!("#EXT-X-DATERANGE:{}", self.attributes.as_str())
    }

    /// How long that line is, in bytes.
    pub fn length(&self) -> usize {
        "#EXT-X-DATERANGE:".len() + self.attributes.as_str().len()
    }

    /// Its name in the playlist.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The same under another name.
    #[must_use]
    pub fn named(&self, id: &str) -> Self {
        Self::of(self.attributes.with_quoted("ID", id))
    }

    /// Its name and its beginning, and nothing else of it.
    #[must_use]
    pub fn bare(&self) -> Self {
        let mut attributes = self.attributes.clone();
        let names: Vec<String> = attributes.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names
            .iter()
            .filter(|it| !matches!(&***it, "ID" | "START-DATE"))
        {
            attributes = attributes.without(name);
        }
        Self::of(attributes)
    }

    /// What it has in common with others.
    pub fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }

    /// When it begins.
    pub fn start(&self) -> Option<WallTime> {
        self.attributes
            .text("START-DATE")
            .and_then(date_time::parse)
    }

    /// When it ends, where the tag itself says so; with END-ON-NEXT the next of its class does.
    pub fn end(&self) -> Option<WallTime> {
        let end = self.attributes.text("END-DATE").and_then(date_time::parse);
        end.or_else(|| Some(self.start()? + self.duration("DURATION")?))
    }

    /// When it is planned to end.
    pub fn planned_end(&self) -> Option<WallTime> {
        Some(self.start()? + self.duration("PLANNED-DURATION")?)
    }

    /// It lasts until the next of its class begins.
    pub fn ends_on_next(&self) -> bool {
        self.attributes.get("END-ON-NEXT").is_some()
    }

    fn duration(&self, name: &str) -> Option<Span> {
        seconds(self.attributes.get(name)?).ok()
    }

    /// What a later tag with its ID adds, and the first attribute in which the two contradict each other:
    /// then nothing is added.
    ///
    /// # Errors
    /// The name of that attribute.
    pub fn with(&self, later: &Self) -> Result<Self, Arc<str>> {
        let mut text = String::from(self.attributes.as_str());
        let mut added = "ID";
        for (name, value) in later.attributes.iter() {
            match self.attributes.get(name) {
                Some(known) if is_same(name, known, value) => {}
                Some(_) => return Err(name.into()),
                None => {
                    text.push(',');
                    text.push_str(name);
                    text.push('=');
                    text.push_str(value);
                    added = name;
                }
            }
        }
        let attributes = AttributeList::parse(&text).map_err(|_| Arc::from(added))?;
        let merged = Self::of(attributes);
        let fits = merged.length() <= limits::LINE_BYTES;
        match fits && merged.is_legal() {
            true => Ok(merged),
            false => Err(added.into()),
        }
    }

    /// The rules of RFC 8216 4.3.2.7 that one tag can break by itself.
    fn is_legal(&self) -> bool {
        let text = |name| self.attributes.text(name);
        let dates = ["START-DATE", "END-DATE"].into_iter().filter_map(text);
        let spans = ["DURATION", "PLANNED-DURATION"]
            .into_iter()
            .filter_map(text);
        let readable = dates.map(|it| date_time::parse(it).is_some());
        let mut readable = readable.chain(spans.map(|it| seconds(it).is_ok()));
        let agree = match (self.start(), self.end(), self.duration("DURATION")) {
            (Some(start), Some(end), Some(lasts)) => (start + lasts).abs_diff(end) <= SAME,
            (Some(start), Some(end), None) => start <= end,
            (_, _, _) => true,
        };
        let bounded = text("DURATION").or(text("END-DATE")).is_some();
        let until_next = match self.attributes.get("END-ON-NEXT") {
            Some(value) => value == "YES" && self.class().is_some() && !bounded,
            None => true,
        };
        readable.all(|it| it) && agree && until_next
    }

    /// A line with the addresses of its assets resolved (RFC 3986 5.2), where it is a date range that has
    /// some: it is served from elsewhere now.
    pub fn readdressed(line: &Arc<str>, base: &Url) -> Arc<str> {
        let range = Some(line).filter(|it| it.contains("X-ASSET-"));
        let Some(mut range) = range.and_then(|it| Self::read(it)) else {
            return Arc::clone(line);
        };
        for name in ["X-ASSET-URI", "X-ASSET-LIST"] {
            let text = range.attributes.text(name);
            if let Some(url) = text.and_then(|text| base.join(text).ok()) {
                range.attributes = range.attributes.with_quoted(name, url.as_str());
            }
        }
        range.line().into()
    }
}

/// The same text, or the same moment or length of time in other words.
fn is_same(name: &str, one: &str, other: &str) -> bool {
    let text = super::attributes::unquoted;
    one == other
        || match name {
            "START-DATE" | "END-DATE" => {
                let date = date_time::parse(text(one));
                date.is_some() && date == date_time::parse(text(other))
            }
            "DURATION" | "PLANNED-DURATION" => {
                let span = seconds(one).ok();
                span.is_some() && span == seconds(other).ok()
            }
            _ => false,
        }
}
