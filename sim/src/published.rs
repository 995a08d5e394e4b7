//! What viewers read: our own playlist, parsed by a reader that shares nothing with the writer.
//!
//! It is strict: what a careful player would stumble over is an error here (S-01, S-05, S-16, S-18,
//! S-29, S-63). Equal blocks of the version before are shared, and not read again, since most of a playlist stays.

mod date_ranges;
mod multivariant;
mod reader;
mod values;

pub use date_ranges::DateRange;
pub use multivariant::{Alternative, Multivariant, parse_multivariant};

use crate::lines::lines;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::time::{Span, Timestamp, WallTime};
use reader::Reader;
use std::sync::Arc;

/// What becomes visible in one step.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The media playlists that change, by name.
    pub lists: Vec<(PlaylistName, Arc<Version>)>,
    /// The multivariant playlist, where there is one and it changes.
    pub entry: Option<Arc<Multivariant>>,
}

/// One visible version of the playlist.
#[derive(Clone, Debug)]
pub struct Version {
    /// Counts the versions of a world.
    pub number: u64,
    /// When it became visible.
    pub at: Timestamp,
    /// Its bytes.
    pub text: Arc<str>,
    /// EXT-X-TARGETDURATION, seconds.
    pub target_duration: u64,
    /// EXT-X-MEDIA-SEQUENCE.
    pub media_sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: u64,
    /// EXT-X-ENDLIST.
    pub ended: bool,
    /// EXT-X-PLAYLIST-TYPE: nothing leaves it.
    pub typed: bool,
    /// Oldest first.
    pub segments: Vec<Arc<Listed>>,
    /// EXT-X-DATERANGE, but for those that a player ignores.
    pub date_ranges: Vec<DateRange>,
    /// The sum of the durations.
    pub total: Span,
}

/// One segment of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its lines as they stand, without EXT-X-KEY, EXT-X-MAP and EXT-X-BITRATE, which a new head repeats
    /// (S-32), and without EXT-X-DATERANGE.
    pub block: Arc<str>,
    /// Media sequence number.
    pub number: u64,
    /// Discontinuity sequence number.
    pub discontinuity_sequence: u64,
    /// Follows an EXT-X-DISCONTINUITY.
    pub discontinuity: bool,
    /// Marked with EXT-X-GAP.
    pub gap: bool,
    /// EXTINF.
    pub duration: Span,
    /// EXT-X-PROGRAM-DATE-TIME.
    pub date_time: Option<WallTime>,
    /// As written.
    pub uri: Arc<str>,
    /// What it is read with.
    pub needs: Needs,
    /// The EXT-X-VERSION that its lines need.
    pub needs_version: u64,
}

/// The tags in force for a segment that stand before others already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The value of EXT-X-KEY, but for METHOD=NONE.
    pub key: Option<Arc<str>>,
    /// The value of EXT-X-MAP.
    pub map: Option<Arc<str>>,
    /// The value of EXT-X-BITRATE.
    pub bit_rate: Option<Arc<str>>,
}

impl Needs {
    /// The URIs that they name: those of objects of ours, and those left where they were.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        [&self.map, &self.key]
            .into_iter()
            .flatten()
            .filter_map(|value| quoted(value, "URI"))
    }
}

/// The value of a quoted attribute.
pub(crate) fn quoted<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let at = attributes.find(&format!("{name}=\""))?;
    attributes[at + name.len() + 2..].split('"').next()
}

impl Version {
    /// The number after the last one listed.
    pub fn next_number(&self) -> u64 {
        self.media_sequence + self.segments.len() as u64
    }

    /// The discontinuity sequence number of its last segment.
    pub fn last_discontinuity_sequence(&self) -> u64 {
        let last = self.segments.last();
        last.map_or(self.discontinuity_sequence, |it| it.discontinuity_sequence)
    }

    /// The segment of this number, where it is listed.
    pub fn segment(&self, number: u64) -> Option<&Arc<Listed>> {
        let index = number.checked_sub(self.media_sequence)?;
        self.segments.get(usize::try_from(index).ok()?)
    }

    /// EXT-X-TARGETDURATION as a span.
    pub fn target(&self) -> Span {
        Span::from_secs(self.target_duration)
    }
}

/// Reads a playlist; says what is wrong with it in words.
pub fn parse(
    number: u64,
    at: Timestamp,
    text: &Arc<str>,
    before: Option<&Version>,
) -> Result<Version, String> {
    check_text(text)?;
    let mut reader = Reader::new(before);
    let mut rest = &**text;
    while !rest.is_empty() {
        if let Some(behind) = reader.known(rest) {
            rest = behind;
            continue;
        }
        let at = text.len() - rest.len();
        let line = lines(rest).next().unwrap_or_default();
        reader.line(at == 0, line).map_err(|what| {
            let number = lines(&text[..at]).count() + 1;
            format!("line {number}: {what}: {line}")
        })?;
        rest = &rest[line.len() + 1..];
    }
    reader.finish(number, at, text)
}

/// S-63, byte by byte.
fn check_text(text: &str) -> Result<(), String> {
    if !text.ends_with('\n') {
        return Err("the last line has no line feed".to_owned());
    }
    let is_control = |byte: u8| (byte != b'\n') & ((byte < 0x20) | (byte == 0x7f));
    // Without a branch it is one pass over many bytes at a time, and nearly every text is clean.
    let any = text.bytes().fold(false, |any, byte| any | is_control(byte));
    match text.bytes().find(|byte| any && is_control(*byte)) {
        Some(byte) => Err(format!("a control byte {byte:#04x}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Version, String> {
        parse(0, Timestamp::default(), &body.into(), None)
    }

    const HEAD: &str = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n\
                        #EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n";

    #[test]
    fn a_good_playlist_is_read_exactly() {
        let version = read(&format!(
            "{HEAD}#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-03-01T00:00:00.250Z\n\
             #EXTINF:3.84,\na.ts\n#EXT-X-GAP\n#EXTINF:4.000001,title\nb.ts\n#EXT-X-ENDLIST\n"
        ))
        .unwrap();
        assert_eq!((version.media_sequence, version.next_number()), (7, 9));
        let first = version.segment(7).unwrap();
        assert_eq!(
            (first.discontinuity_sequence, first.discontinuity),
            (3, true)
        );
        assert_eq!(
            first.date_time,
            Some(WallTime::from_micros(1_772_323_200_250_000))
        );
        assert!(version.segment(8).unwrap().gap && version.ended);
        assert_eq!(version.total, Span::from_micros(7_840_001));
    }

    #[test]
    fn what_stays_is_shared_and_counts_as_if_it_were_read() {
        let one = "#EXTINF:3.84,\na.ts\n";
        let two = "#EXT-X-DISCONTINUITY\n#EXTINF:4.0,\nb.ts\n";
        let before = read(&format!("{HEAD}{one}{two}")).unwrap();
        let head = HEAD.replace("SEQUENCE:7", "SEQUENCE:8");
        let after = |body: String| parse(1, Timestamp::default(), &body.into(), Some(&before));
        let version = after(format!("{head}{two}{one}")).unwrap();
        let shared = |number| before.segment(8).zip(version.segment(number));
        assert!(shared(8).is_some_and(|(one, other)| Arc::ptr_eq(one, other)));
        assert_eq!(version.total, Span::from_micros(7_840_000));
        assert_eq!(version.last_discontinuity_sequence(), 3);
        // The decimals are still there, and so is what stands in front.
        assert!(after(format!("{head}{two}").replace("VERSION:3", "VERSION:1")).is_err());
        let other = after(format!("{head}#EXT-X-GAP\n{two}")).unwrap();
        assert!(other.segments[0].gap);
        let keyed = after(format!("{head}#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n{two}")).unwrap();
        assert_eq!(keyed.segments[0].needs.uris().next(), Some("k"));
    }

    #[test]
    fn what_a_player_would_stumble_over_is_an_error() {
        let segment = "#EXTINF:4.0,\na.ts\n";
        for bad in [
            "#EXTM3U\n".to_owned(),
            format!("{HEAD}#EXTINF:4.0,\na.ts"),
            format!("{HEAD}{segment}\n"),
            format!("{HEAD}a.ts\n"),
            format!("{HEAD}#EXTINF:4.0\na.ts\n"),
            format!("{HEAD}#EXTINF:4,\na.ts\n"),
            format!("{HEAD}{segment}#EXT-X-GAP\n"),
            format!("{HEAD}{segment}#EXT-X-ENDLIST\n{segment}"),
            format!("{HEAD}#EXT-X-PLAYLIST-TYPE:LIVE\n{segment}"),
            format!("{HEAD}#EXT-X-PLAYLIST-TYPE:VOD\n{segment}"),
            format!("{HEAD}{segment}#EXT-X-MEDIA-SEQUENCE:9\n"),
            HEAD.replace("#EXT-X-MEDIA-SEQUENCE:7\n", "") + segment,
            HEAD.replace("#EXT-X-DISCONTINUITY-SEQUENCE:2\n", "") + segment,
            HEAD.replace("VERSION:3", "VERSION:6") + segment,
            format!("{HEAD}{segment}").replace('\n', "\r\n"),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
