//! A strict reader of what the relay publishes. It shares no code with the relay's own reader, so that
//! a mistake is not made on both sides.

use std::time::Duration;

/// One version of the published media playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub text: String,
    pub target_duration: u64,
    pub media_sequence: u64,
    pub discontinuity_sequence: u64,
    pub ended: bool,
    pub entries: Vec<Entry>,
}

/// One segment of it, with the numbers that follow from its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its media sequence number.
    pub number: u64,
    /// Its discontinuity sequence number.
    pub discontinuity_number: u64,
    pub uri: String,
    /// The value of EXTINF as it is written.
    pub extinf: String,
    pub duration: Duration,
    pub gap: bool,
    pub discontinuity: bool,
    /// Every other line that stands before its URI.
    pub lines: Vec<String>,
}

impl Published {
    /// Reads a playlist; anything that a strict player could stumble over is an error.
    pub fn read(text: &str) -> Result<Self, String> {
        let body = text
            .strip_prefix("#EXTM3U\n")
            .ok_or("does not begin with #EXTM3U")?;
        if !text.ends_with('\n') {
            return Err("its last line has no end".to_owned());
        }
        let head_tag = |name: &str| {
            let mut found = body.lines().filter_map(|line| line.strip_prefix(name));
            let value = found.next().ok_or(format!("{name} is missing"))?;
            if found.next().is_some() {
                return Err(format!("{name} stands twice"));
            }
            value.parse::<u64>().map_err(|_| format!("{name}{value}"))
        };
        let media_sequence = head_tag("#EXT-X-MEDIA-SEQUENCE:")?;
        // S-18: written from the first version on, so that a break to come can be counted.
        let discontinuity_sequence = head_tag("#EXT-X-DISCONTINUITY-SEQUENCE:")?;
        let mut published = Self {
            text: text.to_owned(),
            target_duration: head_tag("#EXT-X-TARGETDURATION:")?,
            media_sequence,
            discontinuity_sequence,
            ended: false,
            entries: Vec::new(),
        };
        published.read_entries(body)?;
        Ok(published)
    }

    fn read_entries(&mut self, body: &str) -> Result<(), String> {
        let mut extinf: Option<&str> = None;
        let (mut gap, mut discontinuity, mut lines) = (false, false, Vec::new());
        let mut discontinuity_number = self.discontinuity_sequence;
        for line in body.lines() {
            if self.ended {
                return Err(format!("a line after EXT-X-ENDLIST: {line}"));
            }
            if let Some(value) = line.strip_prefix("#EXTINF:") {
                if extinf.replace(value).is_some() {
                    return Err("EXTINF twice before one URI".to_owned());
                }
            } else if line == "#EXT-X-GAP" {
                gap = true;
            } else if line == "#EXT-X-DISCONTINUITY" {
                discontinuity = true;
                discontinuity_number += 1;
            } else if line == "#EXT-X-ENDLIST" {
                self.ended = true;
            } else if is_head(line) {
                if !self.entries.is_empty() {
                    return Err(format!("behind a segment: {line}"));
                }
            } else if line.starts_with('#') {
                lines.push(line.to_owned());
            } else if line.is_empty() {
                return Err("an empty line".to_owned());
            } else {
                let extinf = extinf.take().ok_or(format!("{line} without EXTINF"))?;
                self.entries.push(Entry {
                    number: self.media_sequence + self.entries.len() as u64,
                    discontinuity_number,
                    uri: line.to_owned(),
                    extinf: extinf.to_owned(),
                    duration: seconds(extinf)?,
                    gap: std::mem::take(&mut gap),
                    discontinuity: std::mem::take(&mut discontinuity),
                    lines: std::mem::take(&mut lines),
                });
            }
        }
        if self.entries.is_empty() {
            return Err("no segment".to_owned());
        }
        Ok(())
    }

    /// What all its segments come to.
    pub fn duration(&self) -> Duration {
        self.entries.iter().map(|entry| entry.duration).sum()
    }

    /// The media sequence number of its last segment.
    pub fn last(&self) -> u64 {
        self.media_sequence + self.entries.len() as u64 - 1
    }

    /// The segment of this number, if it is listed.
    pub fn entry(&self, number: u64) -> Option<&Entry> {
        let index = number.checked_sub(self.media_sequence)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// What is wrong with this version by itself.
    pub fn flaws(&self) -> Vec<String> {
        let longest = Duration::from_secs(self.target_duration) + Duration::from_millis(500);
        let too_long = self
            .entries
            .iter()
            .filter(|entry| entry.duration >= longest);
        too_long
            .map(|entry| {
                format!(
                    "S-04: segment {} of {} s is longer than the target duration of {} s",
                    entry.number, entry.extinf, self.target_duration
                )
            })
            .collect()
    }

    /// What an edit from this version to the next one breaks (S-02, S-05, S-06, S-07, S-15, S-17).
    /// `new_run` says that after EXT-X-ENDLIST a new run may begin.
    pub fn forbidden_edits(&self, next: &Self, new_run: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if next.media_sequence < self.media_sequence {
            wrong.push(format!(
                "S-05: EXT-X-MEDIA-SEQUENCE falls from {} to {}",
                self.media_sequence, next.media_sequence
            ));
        }
        if next.last() < self.last() {
            wrong.push(format!(
                "S-06: segments leave at the end: {} after {}",
                next.last(),
                self.last()
            ));
        }
        for entry in &self.entries {
            if let Some(after) = next.entry(entry.number)
                && after != entry
            {
                wrong.push(format!("S-02: {entry:?} has become {after:?}"));
            }
        }
        let removed = next.media_sequence > self.media_sequence;
        let least = Duration::from_secs(3 * next.target_duration);
        if removed && !next.ended && next.duration() < least {
            wrong.push(format!("S-07: {:?} are left in the list", next.duration()));
        }
        if next.discontinuity_sequence < self.discontinuity_sequence {
            wrong.push("S-17: EXT-X-DISCONTINUITY-SEQUENCE falls".to_owned());
        }
        if next.target_duration < self.target_duration {
            wrong.push(format!(
                "S-03: the target duration falls from {} to {}",
                self.target_duration, next.target_duration
            ));
        }
        if self.ended && !new_run {
            wrong.push("S-15: a change after EXT-X-ENDLIST".to_owned());
        }
        wrong
    }
}

fn is_head(line: &str) -> bool {
    [
        "#EXT-X-VERSION:",
        "#EXT-X-TARGETDURATION:",
        "#EXT-X-MEDIA-SEQUENCE:",
        "#EXT-X-DISCONTINUITY-SEQUENCE:",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    .iter()
    .any(|head| line.starts_with(head))
}

/// `2.000000,title` as a length of time, in integers.
fn seconds(extinf: &str) -> Result<Duration, String> {
    let bad = || format!("EXTINF:{extinf}");
    let (number, _) = extinf.split_once(',').ok_or_else(bad)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{fraction:0<6}");
    if digits.len() != 6 {
        return Err(bad());
    }
    let micros = digits.parse::<u64>().map_err(|_| bad())?;
    let whole = whole.parse::<u64>().map_err(|_| bad())?;
    Ok(Duration::from_micros(whole * 1_000_000 + micros))
}
