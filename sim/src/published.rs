//! What viewers read: our own playlist, parsed by a reader that shares nothing with the writer.
//!
//! It is strict: what a careful player would stumble over is an error here (S-01, S-05, S-16, S-18,
//! S-29, S-63). Equal blocks of the version before are shared, and not read again, since most of a playlist stays.

mod multivariant;

pub use multivariant::{Multivariant, parse_multivariant};

use crate::lines::lines;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::time::{Span, Timestamp, WallTime};
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
    /// Oldest first.
    pub segments: Vec<Arc<Listed>>,
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

/// Collects lines into segments.
struct Reader<'a> {
    before: Option<&'a Version>,
    version: Option<u64>,
    target_duration: Option<u64>,
    media_sequence: Option<u64>,
    discontinuity_sequence: Option<u64>,
    ended: bool,
    needs_version: u64,
    i_frames_only: bool,
    segments: Vec<Arc<Listed>>,
    total: Span,
    needs: Needs,
    block: String,
    block_needs_version: u64,
    discontinuity: bool,
    gap: bool,
    duration: Option<Span>,
    date_time: Option<WallTime>,
    next_discontinuity_sequence: u64,
}

impl<'a> Reader<'a> {
    fn new(before: Option<&'a Version>) -> Self {
        Self {
            before,
            version: None,
            target_duration: None,
            media_sequence: None,
            discontinuity_sequence: None,
            ended: false,
            needs_version: 1,
            i_frames_only: false,
            needs: Needs::default(),
            segments: Vec::with_capacity(before.map_or(8, |version| version.segments.len() + 1)),
            total: Span::ZERO,
            block: String::with_capacity(256),
            block_needs_version: 1,
            discontinuity: false,
            gap: false,
            duration: None,
            date_time: None,
            next_discontinuity_sequence: 0,
        }
    }

    /// Takes the segment that stands next where it is the same as in the version before, and tells what
    /// stands behind it.
    fn known<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        if self.ended || !self.block.is_empty() {
            return None;
        }
        self.discontinuity_sequence?;
        let number = self.media_sequence? + self.segments.len() as u64;
        let known = self.before?.segment(number)?;
        let behind = rest.strip_prefix(&*known.block)?.strip_prefix('\n')?;
        let discontinuity_sequence =
            self.next_discontinuity_sequence + u64::from(known.discontinuity);
        if known.discontinuity_sequence != discontinuity_sequence || known.needs != self.needs {
            return None;
        }
        self.next_discontinuity_sequence = discontinuity_sequence;
        self.needs_version = self.needs_version.max(known.needs_version);
        self.total += known.duration;
        self.segments.push(Arc::clone(known));
        Some(behind)
    }

    fn line(&mut self, first: bool, line: &str) -> Result<(), &'static str> {
        if first {
            return if line == "#EXTM3U" {
                Ok(())
            } else {
                Err("not EXTM3U first")
            };
        }
        if self.ended {
            return Err("something after EXT-X-ENDLIST");
        }
        if line.is_empty() || line.starts_with(' ') || line.ends_with(' ') {
            return Err("blank, or blanks around");
        }
        if !line.starts_with('#') {
            return self.uri(line);
        }
        let (tag, value) = line
            .split_once(':')
            .map_or((line, ""), |(tag, value)| (tag, value));
        match tag {
            "#EXT-X-VERSION" => once(&mut self.version, number(value)?),
            "#EXT-X-TARGETDURATION" => once(&mut self.target_duration, number(value)?),
            "#EXT-X-MEDIA-SEQUENCE" => {
                self.must_be_head()?;
                once(&mut self.media_sequence, number(value)?)
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.must_be_head()?;
                self.next_discontinuity_sequence = number(value)?;
                once(
                    &mut self.discontinuity_sequence,
                    self.next_discontinuity_sequence,
                )
            }
            "#EXT-X-ENDLIST" => {
                self.ended = true;
                Ok(())
            }
            "#EXT-X-PLAYLIST-TYPE" => Err("a sliding list with a type (S-16)"),
            "#EXT-X-INDEPENDENT-SEGMENTS" | "#EXT-X-START" => self.must_be_head(),
            "#EXT-X-I-FRAMES-ONLY" => {
                self.i_frames_only = true;
                self.needs_version = self.needs_version.max(4);
                self.must_be_head()
            }
            // A comment.
            _ if !line.starts_with("#EXT") && self.media_sequence.is_none() => self.must_be_head(),
            _ => self.segment_tag(tag, value, line),
        }
    }

    fn must_be_head(&self) -> Result<(), &'static str> {
        let head = self.segments.is_empty() && self.block.is_empty();
        if head {
            Ok(())
        } else {
            Err("after the first segment has begun")
        }
    }

    fn segment_tag(&mut self, tag: &str, value: &str, line: &str) -> Result<(), &'static str> {
        match tag {
            "#EXT-X-KEY" => {
                let least = if value.contains("IV=") { 2 } else { 1 };
                self.needs_version = self.needs_version.max(least);
                self.needs.key = Some(value).filter(|it| *it != "METHOD=NONE").map(Arc::from);
                return Ok(());
            }
            "#EXT-X-MAP" => {
                let least = if self.i_frames_only { 5 } else { 6 };
                self.needs_version = self.needs_version.max(least);
                self.needs.map = Some(value.into());
                return Ok(());
            }
            // Told again where its segment has left: the strict reader of the core's tests judges those.
            "#EXT-X-DATERANGE" => return Ok(()),
            // One that nobody can read is like any other line.
            "#EXT-X-BITRATE" if number(value).is_ok() => {
                self.needs.bit_rate = Some(value.into());
                return Ok(());
            }
            "#EXT-X-DISCONTINUITY" if self.discontinuity => return Err("twice for one segment"),
            "#EXT-X-DISCONTINUITY" => self.discontinuity = true,
            "#EXT-X-GAP" => self.gap = true,
            "#EXT-X-BYTERANGE" => self.block_needs_version = 4,
            // One that nobody can read is like any other line.
            "#EXT-X-PROGRAM-DATE-TIME" => {
                if let Some(moment) = date_time(value) {
                    once(&mut self.date_time, moment)?;
                }
            }
            "#EXTINF" => {
                let (seconds, _) = value.split_once(',').ok_or("no comma in EXTINF")?;
                if seconds.contains('.') {
                    self.block_needs_version = self.block_needs_version.max(3);
                }
                once(
                    &mut self.duration,
                    duration(seconds).ok_or("not a duration")?,
                )?;
            }
            _ => {}
        }
        self.block.push_str(line);
        self.block.push('\n');
        Ok(())
    }

    fn uri(&mut self, uri: &str) -> Result<(), &'static str> {
        let first = self
            .media_sequence
            .ok_or("no EXT-X-MEDIA-SEQUENCE before it (S-05)")?;
        if self.discontinuity_sequence.is_none() {
            return Err("no EXT-X-DISCONTINUITY-SEQUENCE before it (S-18)");
        }
        let duration = self.duration.take().ok_or("no EXTINF before it")?;
        self.block.push_str(uri);
        self.next_discontinuity_sequence += u64::from(self.discontinuity);
        self.total += duration;
        self.needs_version = self.needs_version.max(self.block_needs_version);
        self.segments.push(Arc::new(Listed {
            block: self.block.as_str().into(),
            number: first + self.segments.len() as u64,
            discontinuity_sequence: self.next_discontinuity_sequence,
            discontinuity: self.discontinuity,
            gap: self.gap,
            duration,
            date_time: self.date_time,
            uri: uri.into(),
            needs: self.needs.clone(),
            needs_version: self.block_needs_version,
        }));
        self.block.clear();
        self.block_needs_version = 1;
        (self.discontinuity, self.gap, self.date_time) = (false, false, None);
        Ok(())
    }

    fn finish(self, number: u64, at: Timestamp, text: &Arc<str>) -> Result<Version, String> {
        if !self.block.is_empty() {
            return Err(format!("tags without a segment: {}", self.block));
        }
        let target_duration = self.target_duration.ok_or("no EXT-X-TARGETDURATION")?;
        let written = self.version.unwrap_or(1);
        if written != self.needs_version {
            return Err(format!(
                "EXT-X-VERSION {written}, needed {} (S-29)",
                self.needs_version
            ));
        }
        Ok(Version {
            number,
            at,
            text: Arc::clone(text),
            target_duration,
            media_sequence: self
                .media_sequence
                .ok_or("no EXT-X-MEDIA-SEQUENCE (S-05)")?,
            discontinuity_sequence: self
                .discontinuity_sequence
                .ok_or("no EXT-X-DISCONTINUITY-SEQUENCE (S-18)")?,
            ended: self.ended,
            segments: self.segments,
            total: self.total,
        })
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("twice"),
    }
}

fn number(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("not a number");
    }
    text.parse().map_err(|_| "too large a number")
}

/// Decimal seconds with at most six decimals, exactly.
fn duration(text: &str) -> Option<Span> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !digits(whole) || !digits(part) {
        return None;
    }
    let secs: u64 = whole.parse().ok()?;
    let mut micros = if part.is_empty() {
        0
    } else {
        part.parse::<u64>().ok()?
    };
    (part.len()..6).for_each(|_| micros *= 10);
    Some(Span::from_micros(
        secs.checked_mul(1_000_000)?.checked_add(micros)?,
    ))
}

/// `YYYY-MM-DDThh:mm:ss[.f]` and `Z` or an offset.
fn date_time(text: &str) -> Option<WallTime> {
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let shape = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    if shape
        .iter()
        .any(|&(at, mark)| text.get(at..at + 1) != Some(mark))
    {
        return None;
    }
    let days = days_since_1970(field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let secs = days * 86_400 + field(11, 13)? * 3_600 + field(14, 16)? * 60 + field(17, 19)?;
    let rest = text.get(19..)?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone_at);
    let micros = match fraction.strip_prefix('.') {
        Some(digits) => duration(&format!("0.{digits}"))?.as_micros() as i64,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let offset = if zone == "Z" { 0 } else { zone_offset(zone)? };
    Some(WallTime::from_micros((secs - offset) * 1_000_000 + micros))
}

fn zone_offset(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.get(1..)?.chars().filter(|mark| *mark != ':').collect();
    let hours: i64 = digits.get(0..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4)?.parse().ok()?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is
/// the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 306 + 5) / 10
        + day
        - 719_469
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
    fn zones_and_calendars_are_understood() {
        let micros = |text| date_time(text).unwrap().as_micros();
        assert_eq!(micros("1970-01-01T00:00:00Z"), 0);
        assert_eq!(micros("2000-02-29T12:00:00Z"), 951_825_600_000_000);
        assert_eq!(
            micros("2026-01-01T01:30:00+01:30"),
            micros("2026-01-01T00:00:00Z")
        );
        assert_eq!(
            micros("2025-12-31T19:00:00.000-0500"),
            micros("2026-01-01T00:00:00Z")
        );
        assert_eq!(date_time("2026-01-01 00:00:00Z"), None);
        assert_eq!(date_time("2026-01-01T00:00:00"), None);
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
            format!("{HEAD}#EXT-X-PLAYLIST-TYPE:EVENT\n{segment}"),
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
