//! Sources as they are: media playlists of every form that origins write, and how they go on.

use proptest::prelude::*;
use std::fmt::Write as _;

/// The names of segments, with a number in place of `{n}`.
const URIS: [&str; 10] = [
    "seg{n}.ts",
    "../up/seg{n}.ts",
    "/root/seg{n}.ts?a=1&b=%20",
    "//cdn.example/x/seg{n}.ts",
    "https://other.example/seg{n}.ts",
    "./a/b/../seg {n} é.ts",
    "?segment={n}",
    "seg{n};v=1.ts",
    "seg,{n}=\"x\".ts",
    "{$path}/seg{n}.ts",
];

/// What keys are in force, as an origin says it; the last ones have the segment's number as their IV.
const KEYS: [&[&str]; 8] = [
    &[],
    &["METHOD=AES-128,URI=\"https://keys.example/1\",IV=0x00000000000000000000000000000012"],
    &["METHOD=AES-128,URI=\"2.key?{$token}\",IV=0X12ab"],
    &[
        "METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;base64,AA=,=\",KEYFORMAT=\"urn:uuid:w\",KEYID=0x1",
        "METHOD=SAMPLE-AES,URI=\"skd://fair\",KEYFORMAT=\"com.apple.streamingkeydelivery\",KEYFORMATVERSIONS=\"1\"",
    ],
    &[
        "METHOD=AES-128,URI=\"vendor://3\",IV=0x3,KEYFORMAT=\"com.vendor\"",
        "METHOD=AES-128,URI=\"/3.key\",IV=0x3",
    ],
    &["METHOD=AES-256-GCM,URI=\"gcm.key\",IV=0x000000000000000000000001"],
    &["METHOD=AES-128,URI=\"../implied.key\""],
    &["METHOD=SAMPLE-AES,URI=\"samples.key\""],
];
const IMPLIED_IV: usize = 6;

const MAPS: [&str; 3] = [
    "URI=\"init.mp4?x=1,2\"",
    "URI=\"all.mp4\",BYTERANGE=\"812@9\"",
    "URI=\"all.mp4\",BYTERANGE=\"400@821\",X-A=\"b,c\"",
];

/// What a source of low latency says of itself; the relay plays it as an ordinary one.
const PROMISES: &str = "#EXT-X-SERVER-CONTROL:HOLD-BACK=90.0\n#EXT-X-PART-INF:PART-TARGET=1.0\n";

/// A segment; what follows from its neighbours is not drawn.
#[derive(Clone, Debug)]
struct Draft {
    micros: u64,
    title: String,
    uri: usize,
    /// So many bytes of a file that all segments with ranges share.
    range: Option<u64>,
    discontinuity: bool,
    gap: bool,
    keys: usize,
    map: usize,
    /// How far its date is off what the one before it makes of it.
    jitter: i64,
    /// In thousands of bits per second, from this segment on.
    bit_rate: Option<u64>,
    lines: Vec<String>,
    /// A date range begins with it: told here alone, or ended where the next segment stands.
    range_of_dates: Option<bool>,
}

/// A source and its bodies, in order.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    drafts: Vec<Draft>,
    first: u64,
    form: Form,
    /// From which segment to which each body lists them.
    pub(crate) bodies: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
struct Form {
    dates: Option<Dates>,
    crlf: bool,
    marked: bool,
    low_latency: bool,
    offsets: bool,
    decimals: bool,
    /// Of frames to look through, as long as none is a piece of what is encrypted as a whole (C-33).
    i_frames: bool,
    /// Says so where nothing is trimmed, with EXT-X-PLAYLIST-TYPE.
    typed: bool,
    head: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Dates {
    start: i64,
    each: bool,
    zone: (i64, &'static str),
}

/// Lines that are kept with a segment, in the order in which the writer puts them.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let first = prop_oneof![
        "# [ -~]{0,20}[!-~]",
        "#EXT-X-VENDOR-[A-Z]{1,4}(:[!-z é]{0,20}[!-z])?",
        "#EXTVLCOPT:[a-z]{1,9}=[a-z]{1,9}",
        Just("#EXT-X-CUE-OUT:30".to_owned()),
        Just("#EXT-X-CUE-IN".to_owned()),
        Just("#EXT-OATCLS-SCTE35:/DAlAAAA+/=".to_owned()),
        "#EXT-X-ASSET:CAID=0x[0-9A-F]{4}",
    ];
    prop::collection::vec(first, 0..3)
}

fn draft() -> impl Strategy<Value = Draft> {
    let micros = prop_oneof![
        4 => 1_000_000..12_000_000_u64,
        1 => Just(1_000_u64),
        1 => Just(30_000_000_u64),
    ];
    let often = |share| prop::bool::weighted(share);
    let place = (0..URIS.len(), prop::option::of(1..90_000_u64));
    let marks = (often(0.15), often(0.15), 0..KEYS.len(), 0..MAPS.len() + 3);
    let jitter = -300_000..300_000_i64;
    let said = (
        lines(),
        prop::option::of(1..100_000_u64),
        prop::option::weighted(0.2, any::<bool>()),
    );
    ("[ -+.-~é]{0,12}", micros, place, marks, jitter, said).prop_map(
        |(title, micros, (uri, range), (discontinuity, gap, keys, map), jitter, said)| Draft {
            micros,
            title,
            uri,
            range,
            discontinuity,
            gap,
            keys,
            map,
            jitter,
            lines: said.0,
            bit_rate: said.1,
            range_of_dates: said.2,
        },
    )
}

fn form() -> impl Strategy<Value = Form> {
    let zones = vec![
        (0, "Z"),
        (0, "+00:00"),
        (3_600, "+01:00"),
        (-19_800, "-05:30"),
    ];
    let dates = (
        1_000_000_000_000_000_i64..2_000_000_000_000_000,
        any::<bool>(),
        prop::sample::select(zones),
    );
    let dates = dates.prop_map(|(start, each, zone)| Dates { start, each, zone });
    let head = prop::sample::subsequence(
        vec![
            "# made by hand",
            "#EXT-X-START:TIME-OFFSET=-18.5,PRECISE=YES",
            "#EXT-X-ALLOW-CACHE:NO",
            "#EXT-X-UNKNOWN",
        ],
        0..=4,
    );
    let flags = any::<(bool, bool, bool, bool, bool, bool, bool)>();
    (prop::option::of(dates), flags, head).prop_map(
        |(dates, (crlf, marked, low_latency, offsets, decimals, typed, i_frames), head)| Form {
            dates,
            crlf,
            marked,
            low_latency,
            offsets,
            decimals,
            i_frames,
            typed,
            head,
        },
    )
}

/// Sources of which something can be played.
pub(crate) fn source() -> impl Strategy<Value = Source> {
    let first = prop_oneof![0..1_000_u64, 0..u64::MAX - 100];
    let drafts = prop::collection::vec(draft(), 1..24);
    let cuts = prop::collection::vec((0..6_usize, 0..8_usize), 0..5);
    (first, drafts, form(), cuts)
        .prop_filter("something to play", |(_, drafts, _, _)| {
            drafts.iter().any(|draft| !draft.gap)
        })
        .prop_map(|(first, drafts, form, cuts)| {
            let (mut bodies, mut from, mut to) = (Vec::new(), 0, drafts.len().min(4));
            for (trimmed, added) in cuts {
                bodies.push((from, to));
                // What was listed last is listed again: nothing is missed.
                from = (from + trimmed).min(to - 1);
                to = (to + added).min(drafts.len());
            }
            bodies.push((from, to));
            bodies.push((from.min(to - 1), drafts.len()));
            Source {
                drafts,
                first,
                form,
                bodies,
            }
        })
}

impl Source {
    /// The media sequence number of a segment.
    pub(crate) fn number(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    /// Everything that it ever lists, in one body.
    pub(crate) fn whole(&self) -> String {
        self.body((0, self.drafts.len()))
    }

    fn is_of_i_frames(&self) -> bool {
        self.form.i_frames && self.drafts.iter().all(|it| it.range.is_none())
    }

    /// One of its bodies. The one that lists the last segment is the last.
    pub(crate) fn body(&self, (from, to): (usize, usize)) -> String {
        let form = &self.form;
        let target = self.drafts.iter().map(|it| it.micros.div_ceil(1_000_000));
        let discontinuities = self.drafts[..from].iter().filter(|it| it.discontinuity);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:11\n#EXT-X-DEFINE:NAME=\"path\",VALUE=\"p a/th\"\n\
             #EXT-X-DEFINE:QUERYPARAM=\"token\"\n#EXT-X-INDEPENDENT-SEGMENTS\n{}{}{}\
             #EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
            form.head
                .iter()
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
            if form.low_latency { PROMISES } else { "" },
            if self.is_of_i_frames() {
                "#EXT-X-I-FRAMES-ONLY\n"
            } else {
                ""
            },
            target.max().expect("there are some").max(1),
            self.first + from as u64,
            discontinuities.count(),
        );
        if form.typed && self.bodies.iter().all(|it| it.0 == 0) {
            let whole = self.bodies[0].1 == self.drafts.len();
            text += match whole {
                true => "#EXT-X-PLAYLIST-TYPE:VOD\n",
                false => "#EXT-X-PLAYLIST-TYPE:EVENT\n",
            };
        }
        let mut state = State::default();
        for index in from..to {
            self.write(&mut text, &mut state, index, index == from);
        }
        if to == self.drafts.len() {
            text += "#EXT-X-ENDLIST\n";
        } else if form.low_latency {
            text += "#EXT-X-PART:DURATION=1.0,URI=\"part.ts\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"next.ts\"\n";
        }
        if form.crlf {
            text = text.replace('\n', "\r\n\r\n");
        }
        match form.marked {
            true => format!("\u{FEFF}{text}"),
            false => text,
        }
    }

    fn write<'a>(&'a self, text: &mut String, state: &mut State<'a>, index: usize, is_first: bool) {
        let draft = &self.drafts[index];
        let mut say = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        draft.lines.iter().for_each(|line| say(line));
        self.ranges_of_dates(index)
            .iter()
            .for_each(|line| say(line));
        // Like a map it goes on until the next.
        let rates = self.drafts[..=index].iter().rev();
        let rate = rates.filter_map(|it| it.bit_rate).next();
        if let Some(rate) = rate.filter(|_| is_first || draft.bit_rate.is_some()) {
            say(&format!("#EXT-X-BITRATE:{rate}"));
        }
        if draft.discontinuity {
            say("#EXT-X-DISCONTINUITY");
        }
        // Maps go on until the next.
        let maps = self.drafts[..=index].iter().rev();
        let map = maps.filter_map(|it| MAPS.get(it.map)).next();
        if state.keys != KEYS[draft.keys] || (is_first && map.is_some()) || state.map != map {
            // A key that is told by numbers tells nothing about an init section.
            let is_clear = draft.keys >= IMPLIED_IV;
            say("#EXT-X-KEY:METHOD=NONE");
            if let (Some(map), true) = (map, is_clear) {
                say(&format!("#EXT-X-MAP:{map}"));
            }
            for key in KEYS[draft.keys] {
                say(&format!("#EXT-X-KEY:{key}"));
            }
            if let (Some(map), false) = (map, is_clear) {
                say(&format!("#EXT-X-MAP:{map}"));
            }
            (state.keys, state.map) = (KEYS[draft.keys], map);
        }
        let begins = draft.discontinuity || is_first;
        if let Some(dates) = self.form.dates.as_ref().filter(|it| it.each || begins) {
            say(&format!(
                "#EXT-X-PROGRAM-DATE-TIME:{}",
                self.date(dates, index)
            ));
        }
        if draft.gap {
            say("#EXT-X-GAP");
        }
        if self.form.low_latency {
            say("#EXT-X-PART:DURATION=1.0,URI=\"part.ts\"");
        }
        let (secs, micros) = (draft.micros / 1_000_000, draft.micros % 1_000_000);
        say(&match (self.form.decimals, micros) {
            (false, 0) => format!("#EXTINF:{secs},{}", draft.title),
            _ => format!("#EXTINF:{secs}.{micros:06},{}", draft.title),
        });
        let name = URIS[draft.uri].replace("{n}", &(self.first + index as u64).to_string());
        let Some(length) = draft.range else {
            return say(&name);
        };
        let before = self.drafts[..index].iter().filter_map(|it| it.range);
        let offset: u64 = before.sum();
        let follows = index > 0 && self.drafts[index - 1].range.is_some() && !is_first;
        say(&match follows && !self.form.offsets {
            true => format!("#EXT-X-BYTERANGE:{length}"),
            false => format!("#EXT-X-BYTERANGE:{length}@{offset}"),
        });
        say("all.ts");
    }

    /// What is said of date ranges with a segment: of its own, and of that of the one before.
    fn ranges_of_dates(&self, index: usize) -> Vec<String> {
        let Some(dates) = &self.form.dates else {
            return Vec::new();
        };
        let id = |of: usize| {
            format!(
                "ID=\"r,{}\",START-DATE=\"{}\"",
                self.first + of as u64,
                self.date(dates, of)
            )
        };
        let mut lines = Vec::new();
        if let Some(before) = index.checked_sub(1)
            && self.drafts[before].range_of_dates == Some(true)
        {
            lines.push(format!(
                "#EXT-X-DATERANGE:{},DURATION=90000.5,SCTE35-IN=0xFC01",
                id(before)
            ));
        }
        if self.drafts[index].range_of_dates.is_some() {
            lines.push(format!(
                "#EXT-X-DATERANGE:{},CLASS=\"c=d\",PLANNED-DURATION=90000,SCTE35-OUT=0xFC00,X-A=\"b, c\"",
                id(index)
            ));
        }
        lines
    }

    /// Each run begins at its own time, and goes on from there.
    fn date(&self, dates: &Dates, index: usize) -> String {
        let begins = (0..=index).rev().find(|it| self.drafts[*it].discontinuity);
        let begins = begins.unwrap_or(0);
        let passed: u64 = self.drafts[begins..index].iter().map(|it| it.micros).sum();
        let jitter = if dates.each {
            self.drafts[index].jitter
        } else {
            0
        };
        let at = dates.start + 7_000_000_000 * begins as i64 + passed as i64 + jitter;
        let (offset, zone) = dates.zone;
        format!("{}{zone}", clock(at + offset * 1_000_000))
    }
}

/// What was said before the present segment.
#[derive(Default)]
struct State<'a> {
    keys: &'a [&'a str],
    map: Option<&'a &'static str>,
}

/// A date between 2001 and 2034, by counting days.
fn clock(micros: i64) -> String {
    let (mut days, rest) = (micros / 86_400_000_000, micros % 86_400_000_000);
    let (mut year, mut month) = (1970, 0);
    let length = |year: i64, month: usize| match month {
        1 => 28 + i64::from(year % 4 == 0),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    while days >= length(year, month) {
        days -= length(year, month);
        month = (month + 1) % 12;
        year += i64::from(month == 0);
    }
    let secs = rest / 1_000_000;
    let mut text = format!("{year}-{:02}-{:02}T", month + 1, days + 1);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{:02}:{:02}:{:02}.{:06}",
        secs / 3_600,
        secs / 60 % 60,
        secs % 60,
        rest % 1_000_000
    );
    text
}
