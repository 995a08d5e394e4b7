//! Line by line: the tags of a playlist, and the segments that they come to.

use super::values::{date_time, duration, number};
use super::{DateRange, Listed, Needs, Version, date_ranges};
use hls_relay_core::time::{Span, Timestamp, WallTime};
use std::sync::Arc;

/// EXT-X-PLAYLIST-TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Event,
    Vod,
}

/// Collects lines into segments.
pub(super) struct Reader<'a> {
    before: Option<&'a Version>,
    version: Option<u64>,
    target_duration: Option<u64>,
    media_sequence: Option<u64>,
    discontinuity_sequence: Option<u64>,
    ended: bool,
    playlist_type: Option<Type>,
    needs_version: u64,
    i_frames_only: bool,
    segments: Vec<Arc<Listed>>,
    date_ranges: Vec<DateRange>,
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
    pub(super) fn new(before: Option<&'a Version>) -> Self {
        Self {
            before,
            version: None,
            target_duration: None,
            media_sequence: None,
            discontinuity_sequence: None,
            ended: false,
            playlist_type: None,
            needs_version: 1,
            i_frames_only: false,
            needs: Needs::default(),
            segments: Vec::with_capacity(before.map_or(8, |version| version.segments.len() + 1)),
            date_ranges: Vec::new(),
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
    pub(super) fn known<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
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

    pub(super) fn line(&mut self, first: bool, line: &str) -> Result<(), &'static str> {
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
            "#EXT-X-PLAYLIST-TYPE" => {
                self.must_be_head()?;
                once(
                    &mut self.playlist_type,
                    match value {
                        "VOD" => Type::Vod,
                        "EVENT" => Type::Event,
                        _ => return Err("a type that means nothing (S-16)"),
                    },
                )
            }
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
                let least = match (value.contains("KEYFORMAT="), value.contains("IV=")) {
                    (true, _) => 5,
                    (false, true) => 2,
                    (false, false) => 1,
                };
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
            // Told again where its segment has left, and so none of a segment's lines.
            "#EXT-X-DATERANGE" => {
                self.date_ranges.extend(date_ranges::read(value));
                return Ok(());
            }
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

    pub(super) fn finish(
        self,
        number: u64,
        at: Timestamp,
        text: &Arc<str>,
    ) -> Result<Version, String> {
        if !self.block.is_empty() {
            return Err(format!("tags without a segment: {}", self.block));
        }
        if self.playlist_type == Some(Type::Vod) && !self.ended {
            return Err("a list that changes and says VOD (S-16)".to_owned());
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
            typed: self.playlist_type.is_some(),
            segments: self.segments,
            date_ranges: self.date_ranges,
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
