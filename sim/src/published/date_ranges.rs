//! EXT-X-DATERANGE as a viewer reads it (RFC 8216 4.3.2.7): one tag tells all that there is of an ID.

use super::values::{date_time, duration};
use hls_relay_core::time::WallTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateRange {
    /// ID.
    pub id: Arc<str>,
    /// START-DATE.
    pub start: WallTime,
    /// END-DATE, or what DURATION makes of the start.
    pub end: Option<WallTime>,
    /// END-ON-NEXT: the next of its class is its end.
    pub ends_on_next: bool,
    /// All of them as written, the two included.
    pub attributes: BTreeMap<Arc<str>, Arc<str>>,
}

/// Reads the value of a tag. `None` where a player would ignore it.
pub(super) fn read(value: &str) -> Option<DateRange> {
    let attributes = attributes(value)?;
    let quoted = |name: &str| {
        let value: &str = attributes.get(name)?;
        value.strip_prefix('"')?.strip_suffix('"')
    };
    let start = date_time(quoted("START-DATE")?)?;
    let lasts = attributes.get("DURATION").map(|it| duration(it));
    let end = match (quoted("END-DATE"), lasts) {
        (Some(end), _) => Some(date_time(end)?),
        (None, Some(lasts)) => Some(start + lasts?),
        (None, None) => None,
    };
    Some(DateRange {
        id: quoted("ID")?.into(),
        start,
        end,
        ends_on_next: attributes.contains_key("END-ON-NEXT"),
        attributes,
    })
}

/// Names and values (RFC 8216 4.2); `None` where they cannot be told apart, or one comes twice.
fn attributes(mut rest: &str) -> Option<BTreeMap<Arc<str>, Arc<str>>> {
    let mut found = BTreeMap::new();
    loop {
        let (name, behind) = rest.split_once('=')?;
        let end = match behind.strip_prefix('"') {
            Some(text) => text.find('"')? + 2,
            None => behind.find(',').unwrap_or(behind.len()),
        };
        let (value, behind) = behind.split_at(end);
        if found.insert(name.into(), value.into()).is_some() {
            return None;
        }
        if behind.is_empty() {
            return Some(found);
        }
        rest = behind.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_relay_core::time::Span;

    #[test]
    fn a_tag_is_read_with_all_its_attributes() {
        let tag =
            "ID=\"a,b\",START-DATE=\"1970-01-01T00:00:10Z\",DURATION=2.5,X-KIND=\"c=d\",CUE=0x1F";
        let range = read(tag).unwrap();
        assert_eq!(&*range.id, "a,b");
        assert_eq!(range.start, WallTime::from_micros(10_000_000));
        assert_eq!(range.end, Some(range.start + Span::from_millis(2_500)));
        assert_eq!(range.attributes.len(), 5);
        assert_eq!(range.attributes["X-KIND"].as_ref(), "\"c=d\"");
    }

    #[test]
    fn what_is_no_date_range_is_none() {
        for bad in [
            "",
            "ID=\"a\"",
            "START-DATE=\"1970-01-01T00:00:10Z\"",
            "ID=\"a\",START-DATE=\"soon\"",
            "ID=\"a\",START-DATE=\"1970-01-01T00:00:10Z\",ID=\"b\"",
            "ID=\"a\",START-DATE=\"1970-01-01T00:00:10Z\",DURATION=long",
            "ID=\"a\",START-DATE=\"1970-01-01T00:00:10Z\"DURATION=1",
            "ID=\"a",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
