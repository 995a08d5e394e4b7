//! `EXT-X-START`: where players are to begin (RFC 8216 4.3.5.2).

use super::attributes::AttributeList;
use super::line::{HeadLine, Tag};
use super::number::seconds;
use crate::time::Span;
use std::sync::Arc;

/// One that has them begin so long behind the first segment.
pub fn start_tag(at: Span) -> Arc<str> {
    format!("#EXT-X-START:TIME-OFFSET={}", written(at)).into()
}

/// How long behind the first segment; nothing where the line is another tag, or counts from the end of the list.
pub fn start_of(line: &str) -> Option<Span> {
    let attributes = attributes_of(line)?;
    seconds(attributes.get("TIME-OFFSET")?).ok()
}

/// The same with that point so much later.
pub fn later_start(line: &str, by: Span) -> Arc<str> {
    match start_of(line).zip(attributes_of(line)) {
        Some((at, attributes)) if by > Span::ZERO => {
            let attributes = attributes.with_plain("TIME-OFFSET", &written(at + by));
            format!("#EXT-X-START:{}", attributes.as_str()).into()
        }
        Some(_) | None => line.into(),
    }
}

fn attributes_of(line: &str) -> Option<AttributeList> {
    let is_start = Tag::of(line) == Tag::HeadLine(HeadLine::Start);
    let (_, value) = line.split_once(':').filter(|_| is_start)?;
    AttributeList::parse(value).ok()
}

/// As a signed decimal number (RFC 8216 4.2).
fn written(at: Span) -> String {
    let (secs, micros) = (at.as_micros() / 1_000_000, at.as_micros() % 1_000_000);
    match micros {
        0 => secs.to_string(),
        _ => format!("{secs}.{micros:06}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_behind_the_beginning_can_be_later_and_one_before_the_end_stays() {
        let by = Span::from_secs(20);
        for (line, later) in [
            ("TIME-OFFSET=0", "TIME-OFFSET=20"),
            (
                "TIME-OFFSET=5.5,PRECISE=YES",
                "TIME-OFFSET=25.500000,PRECISE=YES",
            ),
            ("PRECISE=NO, TIME-OFFSET = 1", "PRECISE=NO,TIME-OFFSET=21"),
            ("TIME-OFFSET=-12", "TIME-OFFSET=-12"),
            ("TIME-OFFSET=x", "TIME-OFFSET=x"),
        ] {
            let tag = |attributes| format!("#EXT-X-START:{attributes}");
            assert_eq!(*later_start(&tag(line), by), tag(later));
            assert_eq!(*later_start(&tag(line), Span::ZERO), tag(line));
        }
        assert_eq!(start_of("#EXT-X-STARTS:TIME-OFFSET=1"), None);
        assert_eq!(start_of(&start_tag(by)), Some(by));
    }
}
