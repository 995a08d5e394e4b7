//! Sources as functions of time.

use super::START_WALL;
use hls_relay_core::time::WallTime;
use std::fmt::Write as _;

/// One run of an encoder: segment `n` appears when it is complete, `from + (n + 1) × micros`.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) micros: u64,
    pub(crate) target: u64,
    pub(crate) first: u64,
    pub(crate) prefix: String,
    pub(crate) window: u64,
    pub(crate) dated: bool,
    /// By how many microseconds the encoder's clock is off when it makes its `n`th segment.
    pub(crate) clock: fn(u64) -> i64,
    pub(crate) from: u64,
    /// Nothing appears after that; with `ends`, the list is closed.
    pub(crate) until: u64,
    pub(crate) ends: bool,
    /// A query that changes with every load.
    pub(crate) tokens: bool,
    /// Lines before the first segment.
    pub(crate) head: String,
    /// Lines before segments.
    pub(crate) marks: Vec<Mark>,
}

/// A line, and when it stands before segment `number`, or before the one to come.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) number: u64,
    pub(crate) at: std::ops::Range<u64>,
    pub(crate) line: String,
}

impl Run {
    pub(crate) fn new(micros: u64) -> Self {
        Self {
            micros,
            target: micros.div_ceil(1_000_000),
            first: 100,
            prefix: "seg".to_owned(),
            window: 6,
            dated: false,
            clock: |_| 0,
            from: 0,
            until: u64::MAX,
            ends: false,
            tokens: false,
            head: String::new(),
            marks: Vec::new(),
        }
    }

    pub(crate) fn named(mut self, prefix: &str, first: u64) -> Self {
        (self.prefix, self.first) = (prefix.to_owned(), first);
        self
    }

    pub(crate) fn dated(mut self) -> Self {
        self.dated = true;
        self
    }

    pub(crate) fn between(mut self, from: u64, until: u64) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    /// With a line before segment `number` for as long as that is listed.
    pub(crate) fn marked(self, number: u64, line: &str) -> Self {
        self.marked_in(0..u64::MAX, number, line)
    }

    /// The same, only in this time.
    pub(crate) fn marked_in(mut self, at: std::ops::Range<u64>, number: u64, line: &str) -> Self {
        let line = line.to_owned();
        self.marks.push(Mark { number, at, line });
        self
    }

    fn write_marks(&self, text: &mut String, now: u64, number: u64) {
        let here = self
            .marks
            .iter()
            .filter(|it| it.number == number && it.at.contains(&now));
        here.for_each(|it| *text += &format!("{}\n", it.line));
    }

    /// How many segments there are at a moment.
    pub(crate) fn made(&self, now: u64) -> u64 {
        now.min(self.until).saturating_sub(self.from) / self.micros
    }

    /// The list at a moment.
    pub(crate) fn at(&self, now: u64) -> String {
        let made = self.made(now);
        let oldest = made.saturating_sub(self.window);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n{}#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            self.head,
            self.target,
            self.first + oldest
        );
        for n in oldest..made {
            self.write_marks(&mut text, now, self.first + n);
            if self.dated {
                let at = START_WALL + (self.from + n * self.micros) as i64 + (self.clock)(n);
                let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", date(at));
            }
            let (secs, rest) = (self.micros / 1_000_000, self.micros % 1_000_000);
            let _ = writeln!(text, "#EXTINF:{secs}.{rest:06},");
            let token = if self.tokens {
                format!("?token={now}")
            } else {
                String::new()
            };
            let _ = writeln!(text, "{}{}.ts{token}", self.prefix, self.first + n);
        }
        self.write_marks(&mut text, now, self.first + made);
        if self.ends && now >= self.until {
            text += "#EXT-X-ENDLIST\n";
        }
        text
    }

    /// The same encoder under another name.
    pub(crate) fn named_at(&self, prefix: &str, now: u64) -> String {
        self.clone().named(prefix, self.first + 7).at(now)
    }

    /// The paths of the segments that the run made between two moments, as the checker tells them.
    pub(crate) fn urls(&self, base: &str, made: std::ops::Range<u64>) -> Vec<String> {
        made.map(|n| format!("{base}{}{}.ts", self.prefix, self.first + n))
            .collect()
    }
}

/// A date in the words of RFC 8216, by the core's own writer.
fn date(micros: i64) -> String {
    use hls_relay_core::playlist::{MediaPlaylist, Segment, render};
    use hls_relay_core::time::Span;
    let segment = Segment {
        media_sequence: 0,
        discontinuity_sequence: 0,
        uri: "a".into(),
        duration: Span::from_secs(1),
        title: "".into(),
        byte_range: None,
        discontinuity: false,
        date_time: Some(WallTime::from_micros(micros)),
        date_time_text: None,
        gap: false,
        keys: [].into(),
        map: None,
        bit_rate: None,
        tags: Vec::new(),
    };
    let text = render(&MediaPlaylist {
        target_duration: Span::from_secs(1),
        segments: vec![segment],
        ..MediaPlaylist::default()
    });
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    line.expect("a date is written").to_owned()
}
