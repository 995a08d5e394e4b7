//! A strict player: what a media playlist means, read by quick-m3u8 and by nothing of ours.
//!
//! quick-m3u8 cuts lines into tags and values; what the tags do stands here, by RFC 8216.

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::{AttributeValue, TagValue, UnknownTag};
use quick_m3u8::{HlsLine, Reader};
use std::collections::BTreeMap;
use url::Url;

/// A resource, or these bytes of it: offset and length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes {
    pub(crate) url: String,
    pub(crate) range: Option<(u64, u64)>,
}

/// How bytes are encrypted: by KEYFORMAT, the attributes of its key.
pub(crate) type Keys = BTreeMap<String, BTreeMap<String, String>>;

/// A segment as it is played.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Played {
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
    pub(crate) micros: u64,
    pub(crate) title: String,
    /// In microseconds since 1970.
    pub(crate) date: Option<i64>,
    pub(crate) discontinuity: bool,
    pub(crate) gap: bool,
    pub(crate) keys: Keys,
    pub(crate) map: Option<(Bytes, Keys)>,
    /// As EXT-X-BITRATE states it: it holds up to the next such tag, but for byte ranges.
    pub(crate) bit_rate: Option<u64>,
    /// Every other line before its URI, in order.
    pub(crate) lines: Vec<String>,
}

/// A playlist as it is understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) target_secs: u64,
    pub(crate) first: u64,
    pub(crate) ended: bool,
    pub(crate) independent: bool,
    pub(crate) i_frames: bool,
    /// Every other line about the playlist as a whole, in order.
    pub(crate) head: Vec<String>,
    pub(crate) segments: Vec<Played>,
}

/// Date ranges by their IDs: what all tags of one tell together.
pub(crate) type Ranges = BTreeMap<String, BTreeMap<String, String>>;

impl Seen {
    /// Takes the date ranges out, as it does not matter where they stand: a player folds them by ID.
    pub(crate) fn take_ranges(&mut self, ranges: &mut Ranges) {
        let segments = self.segments.iter_mut().map(|it| &mut it.lines);
        for lines in segments.chain([&mut self.head]) {
            lines.retain(|line| {
                let Some(HlsLine::UnknownTag(tag)) = self::lines(line).pop() else {
                    return true;
                };
                if tag.name() != "-X-DATERANGE" {
                    return true;
                }
                let told = attributes(&tag);
                let of = ranges.entry(told["ID"].clone()).or_default();
                for (name, value) in told {
                    let before = of.insert(name, value.clone());
                    assert!(before.is_none_or(|it| it == value), "changed: {line}");
                }
                false
            });
        }
    }
}

/// What holds for the next segment.
#[derive(Default)]
struct Next {
    extinf: Option<(u64, String)>,
    range: Option<(Option<u64>, u64)>,
    date: Option<i64>,
    discontinuity: bool,
    gap: bool,
    lines: Vec<String>,
}

/// Reads a media playlist that was had from `base`.
pub(crate) fn watch(text: &str, base: &Url) -> Seen {
    let text = without_variables(text, base);
    let mut seen = Seen::default();
    let (mut next, mut keys, mut map) = (Next::default(), Keys::new(), None);
    let mut bit_rate = None;
    let mut head_may_grow = head_lines(&text);
    for line in lines(&text) {
        match line {
            HlsLine::Blank | HlsLine::KnownTag(_) => {}
            HlsLine::Comment(text) => {
                let kept = format!("#{text}");
                if head_may_grow > 0 {
                    seen.head.push(kept);
                } else {
                    next.lines.push(kept);
                }
            }
            HlsLine::UnknownTag(tag) => {
                head_may_grow = head_may_grow.saturating_sub(usize::from(is_numbering(&tag)));
                let taken = seen.take_head(&tag) || next.take(&tag);
                if !taken && tag.name() == "-X-KEY" {
                    let key = attributes(&tag);
                    if key["METHOD"] == "NONE" {
                        keys.clear();
                    } else {
                        let format = key.get("KEYFORMAT").map_or("identity", String::as_str);
                        keys.insert(format.to_owned(), located(key.clone(), base));
                    }
                } else if !taken && tag.name() == "-X-BITRATE" {
                    bit_rate = Some(integer(&tag));
                } else if !taken && tag.name() == "-X-MAP" {
                    let of = attributes(&tag);
                    let range = of.get("BYTERANGE").map(|text| {
                        let (length, offset) = text.split_once('@').expect("with its offset");
                        (number(offset), number(length))
                    });
                    let url = absolute(base, &of["URI"]);
                    map = Some((Bytes { url, range }, keys.clone()));
                } else if !taken && head_may_grow > 0 {
                    seen.head.push(raw(&tag));
                } else if !taken {
                    next.lines.push(raw(&tag));
                }
            }
            HlsLine::Uri(uri) => {
                let of = std::mem::take(&mut next);
                seen.play(of, absolute(base, &uri), keys.clone(), map.clone());
                let played = seen.segments.last_mut().expect("it was played");
                played.bit_rate = bit_rate.filter(|_| played.bytes.range.is_none());
            }
        }
    }
    seen.count_dates();
    seen
}

/// The lines of a text; no tag is told from another yet.
pub(crate) fn lines(text: &str) -> Vec<HlsLine<'_>> {
    let mut reader = Reader::from_str(text, ParsingOptionsBuilder::new().build());
    let mut lines = Vec::new();
    while let Some(line) = reader.read_line().expect("quick-m3u8 reads it") {
        lines.push(line);
    }
    lines
}

pub(crate) fn raw(tag: &UnknownTag<'_>) -> String {
    String::from_utf8(tag.as_bytes().to_vec()).expect("it is text")
}

/// The attributes of a tag, without the quotes.
pub(crate) fn attributes(tag: &UnknownTag<'_>) -> BTreeMap<String, String> {
    let list = value(tag).try_as_ordered_attribute_list();
    let list = list.unwrap_or_else(|error| panic!("{error} in {}", raw(tag)));
    let text = |value: AttributeValue<'_>| match value {
        AttributeValue::Quoted(text) => text.to_owned(),
        AttributeValue::Unquoted(bytes) => bytes.try_as_utf_8().expect("it is text").to_owned(),
    };
    let list = list.into_iter().map(|(name, value)| (name, text(value)));
    list.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What cannot be resolved means the same everywhere.
pub(crate) fn absolute(base: &Url, uri: &str) -> String {
    base.join(uri).map_or_else(|_| uri.to_owned(), String::from)
}

/// With the place of its URI.
pub(crate) fn located(
    mut attributes: BTreeMap<String, String>,
    base: &Url,
) -> BTreeMap<String, String> {
    if let Some(uri) = attributes.get_mut("URI") {
        *uri = absolute(base, uri);
    }
    attributes
}

/// The text with what its EXT-X-DEFINE tags define in place of the references, and without these tags.
pub(crate) fn without_variables(text: &str, base: &Url) -> String {
    let mut defined = Vec::new();
    for line in lines(text) {
        let HlsLine::UnknownTag(tag) = line else {
            continue;
        };
        if tag.name() == "-X-DEFINE" {
            let of = attributes(&tag);
            let of_query = |name: &str| {
                // As it stands there: nothing in it is encoded.
                let mut pairs = base.query().expect("a query").split('&');
                let found = pairs.find_map(|it| it.split_once('=').filter(|it| it.0 == name));
                found.expect("the query has it").1.to_owned()
            };
            match of.get("QUERYPARAM") {
                Some(name) => defined.push((name.clone(), of_query(name))),
                None => defined.push((of["NAME"].clone(), of["VALUE"].clone())),
            }
        }
    }
    let kept = text.lines().filter(|it| !it.starts_with("#EXT-X-DEFINE"));
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    defined.into_iter().fold(text, |text, (name, value)| {
        text.replace(&format!("{{${name}}}"), &value)
    })
}

impl Seen {
    fn take_head(&mut self, tag: &UnknownTag<'_>) -> bool {
        match tag.name() {
            // The type says how a list grows, which each side decides for itself (S-16).
            "M3U" | "-X-VERSION" | "-X-DISCONTINUITY-SEQUENCE" | "-X-PLAYLIST-TYPE" => {}
            "-X-TARGETDURATION" => self.target_secs = integer(tag),
            "-X-MEDIA-SEQUENCE" => self.first = integer(tag),
            "-X-ENDLIST" => self.ended = true,
            "-X-INDEPENDENT-SEGMENTS" => self.independent = true,
            "-X-I-FRAMES-ONLY" => self.i_frames = true,
            "-X-START" => self.head.push(raw(tag)),
            _ => return false,
        }
        true
    }

    /// A URI ends what stands before it.
    fn play(&mut self, of: Next, url: String, keys: Keys, map: Option<(Bytes, Keys)>) {
        let (micros, title) = of.extinf.expect("EXTINF stands before a URI");
        let range = of.range.map(|(offset, length)| {
            let before = self.segments.last().filter(|it| it.bytes.url == url);
            let follows = before.and_then(|it| it.bytes.range);
            let follows = follows.map(|(offset, length)| offset + length);
            (offset.or(follows).expect("where it begins"), length)
        });
        self.segments.push(Played {
            number: self.first + self.segments.len() as u64,
            bytes: Bytes { url, range },
            micros,
            title,
            date: of.date,
            discontinuity: of.discontinuity,
            gap: of.gap,
            keys,
            map,
            bit_rate: None,
            lines: of.lines,
        });
    }

    /// Dates go on from segment to segment, and back to those before the first, up to a discontinuity
    /// (RFC 8216 6.3.3).
    fn count_dates(&mut self) {
        for index in 1..self.segments.len() {
            let before = &self.segments[index - 1];
            let counted = before.date.map(|date| date + before.micros as i64);
            let it = &mut self.segments[index];
            it.date = it.date.or(counted.filter(|_| !it.discontinuity));
        }
        for index in (1..self.segments.len()).rev() {
            let (date, broken) = (
                self.segments[index].date,
                self.segments[index].discontinuity,
            );
            let it = &mut self.segments[index - 1];
            let counted = date.map(|date| date - it.micros as i64);
            it.date = it.date.or(counted.filter(|_| !broken));
        }
    }
}

impl Next {
    fn take(&mut self, tag: &UnknownTag<'_>) -> bool {
        match tag.name() {
            "INF" => {
                let read = value(tag).try_as_decimal_floating_point_with_title();
                let (seconds, title) = read.expect("a duration and a title");
                self.extinf = Some((micros(seconds), title.to_owned()));
            }
            "-X-BYTERANGE" => {
                let range = value(tag).try_as_decimal_integer_range();
                let range = range.expect("a byte range");
                self.range = Some((range.offset, range.length));
            }
            "-X-PROGRAM-DATE-TIME" => self.date = Some(date(tag)),
            "-X-DISCONTINUITY" => self.discontinuity = true,
            "-X-GAP" => self.gap = true,
            _ => return false,
        }
        true
    }
}

/// How many tags there are that only the head of a playlist has: unknown lines before the last of
/// these are of the playlist, those behind it of a segment.
fn head_lines(text: &str) -> usize {
    let lines = lines(text);
    let numbering = lines.iter().filter(|line| match line {
        HlsLine::UnknownTag(tag) => is_numbering(tag),
        HlsLine::Blank | HlsLine::KnownTag(_) | HlsLine::Comment(_) | HlsLine::Uri(_) => false,
    });
    numbering.count()
}

fn is_numbering(tag: &UnknownTag<'_>) -> bool {
    let names = [
        "-X-TARGETDURATION",
        "-X-MEDIA-SEQUENCE",
        "-X-DISCONTINUITY-SEQUENCE",
    ];
    names.contains(&tag.name())
}

fn value<'a>(tag: &UnknownTag<'a>) -> TagValue<'a> {
    tag.value()
        .unwrap_or_else(|| panic!("no value in {}", raw(tag)))
}

fn integer(tag: &UnknownTag<'_>) -> u64 {
    value(tag).try_as_decimal_integer().expect("a number")
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// Exact up to the sixth decimal; no arithmetic is done with floats.
fn micros(seconds: f64) -> u64 {
    number(&format!("{seconds:.6}").replace('.', ""))
}

/// In microseconds since 1970.
fn date(tag: &UnknownTag<'_>) -> i64 {
    let it = value(tag).try_as_date_time().expect("a date");
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let (year, month) = (i64::from(it.date_fullyear), usize::from(it.date_month));
    let is_leap = leaps(year) > leaps(year - 1);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1];
    let leap_day = i64::from(is_leap && month > 2);
    let days = 365 * (year - 1970) + leaps(year - 1) - leaps(1969)
        + before
        + leap_day
        + i64::from(it.date_mday)
        - 1;
    let zone = it.timezone_offset;
    let east = i64::from(zone.time_hour) * 60
        + i64::from(zone.time_hour.signum()) * i64::from(zone.time_minute);
    let minutes = (days * 24 + i64::from(it.time_hour)) * 60 + i64::from(it.time_minute) - east;
    minutes * 60_000_000 + micros(it.time_second) as i64
}
