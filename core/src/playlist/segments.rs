//! Lines to segments: what each tag applies to (RFC 8216 4.3.2, 6.3.3).

use super::error::{Place, PlaylistError};
use super::flaw::{FlawKind, Flaws};
use super::guard::Guarded;
use super::head::Head;
use super::keys::{KeysInForce, read_byte_range, read_map};
use super::line::{HeadTag, Line, SegmentTag, Tag, trim};
use super::number::{DurationFault, integer, seconds};
use super::{
    ByteRange, Map, MediaPlaylist, Segment, date_time, fits_target_duration, reader, version,
};
use crate::config::believed;
use crate::time::{Span, WallTime};
use std::sync::Arc;

/// Reads a media playlist.
pub(super) fn read(
    guarded: &Guarded<'_>,
    head: &Head,
    flaws: Flaws,
) -> Result<MediaPlaylist, PlaylistError> {
    let lines = &guarded.lines;
    if let Some(last) = lines.last()
        && !guarded.ends_whole
        && head.last_uri_line == 0
    {
        return Err(PlaylistError::Cut {
            at: Place::of(last),
        });
    }
    let mut builder = Builder::new(lines, head, flaws);
    reader::read(lines, head, |line| builder.take(line))?;
    Ok(builder.finish())
}

/// What has been read so far.
struct Builder<'a, 'b> {
    lines: &'b [Line<'a>],
    head: &'b Head,
    flaws: Flaws,
    playlist: MediaPlaylist,
    pending: Pending<'a>,
    discontinuity_sequence: u64,
    keys: KeysInForce,
    map: Option<Arc<Map>>,
    map_used: bool,
    bit_rate: Option<u64>,
    bit_rate_used: bool,
    has_decimals: bool,
    no_title: Arc<str>,
}

/// What stands before the next URI.
#[derive(Default)]
struct Pending<'a> {
    extinf: Option<(Line<'a>, Span, &'a str)>,
    byte_range: Option<Line<'a>>,
    date_time: Option<(Line<'a>, WallTime)>,
    discontinuities: u64,
    gap: bool,
    tags: Vec<Arc<str>>,
}

impl<'a, 'b> Builder<'a, 'b> {
    fn new(lines: &'b [Line<'a>], head: &'b Head, flaws: Flaws) -> Self {
        let uris = lines.iter().filter(|line| line.tag == Tag::Uri).count();
        let playlist = MediaPlaylist {
            version: head.version,
            target_duration: head.target_duration.unwrap_or_default(),
            media_sequence: head.media_sequence.unwrap_or_default(),
            discontinuity_sequence: head.discontinuity_sequence.unwrap_or_default(),
            playlist_type: head.playlist_type,
            end_list: head.end_list,
            i_frames_only: head.i_frames_only,
            independent_segments: head.independent_segments,
            // The exact room: growing by doubling would cost the peak of memory that is promised.
            segments: Vec::with_capacity(uris),
            ..MediaPlaylist::default()
        };
        Self {
            lines,
            head,
            flaws,
            discontinuity_sequence: playlist.discontinuity_sequence,
            playlist,
            pending: Pending::default(),
            keys: KeysInForce::new(),
            map: None,
            map_used: true,
            bit_rate: None,
            bit_rate_used: true,
            has_decimals: false,
            no_title: Arc::from(""),
        }
    }

    /// Takes the next line that is not a typed playlist-level tag.
    fn take(&mut self, line: &Line<'a>) -> Result<(), PlaylistError> {
        let is_unknown_of_head = line.tag == Tag::Other && line.number <= self.head.last_head_line;
        if line.tag.is_head() || is_unknown_of_head {
            if !line.tag.is_unique() || self.head.is_first(line, self.lines) {
                self.playlist.head.push(Arc::from(line.text));
            }
            return Ok(());
        }
        if line.number > self.head.last_uri_line {
            // No segment follows, so that nothing here applies to one.
            if line.tag == Tag::Segment(SegmentTag::ExtInf) {
                self.flaws.note(FlawKind::ExtinfWithoutUri, line);
            } else {
                self.playlist.tail.push(Arc::from(line.text));
            }
            return Ok(());
        }
        match line.tag {
            Tag::Uri => self.take_uri(line),
            Tag::Segment(tag) => self.take_segment_tag(tag, line),
            Tag::Header
            | Tag::Head(_)
            | Tag::HeadLine(_)
            | Tag::SegmentLine(_)
            | Tag::Multivariant(_)
            | Tag::Other => {
                self.pending.tags.push(Arc::from(line.text));
                Ok(())
            }
        }
    }

    fn take_segment_tag(&mut self, tag: SegmentTag, line: &Line<'a>) -> Result<(), PlaylistError> {
        match tag {
            SegmentTag::ExtInf => self.take_extinf(line)?,
            SegmentTag::ByteRange => self.take_byte_range(line)?,
            SegmentTag::ProgramDateTime => self.take_date_time(line)?,
            SegmentTag::Key => self.keys.apply(line, &mut self.flaws)?,
            SegmentTag::Map => self.take_map(line)?,
            SegmentTag::BitRate => self.take_bit_rate(line),
            SegmentTag::Discontinuity => {
                self.take_flag(line, self.pending.discontinuities > 0);
                self.pending.discontinuities += 1;
            }
            SegmentTag::Gap => {
                self.take_flag(line, self.pending.gap);
                self.pending.gap = true;
            }
        }
        Ok(())
    }

    fn take_flag(&mut self, line: &Line<'a>, is_repeated: bool) {
        if line.has_value(&mut self.flaws) {
            self.flaws.note(FlawKind::ValueOnFlag, line);
        }
        if is_repeated {
            self.flaws.note(FlawKind::RepeatedTag, line);
        }
    }

    fn take_extinf(&mut self, line: &Line<'a>) -> Result<(), PlaylistError> {
        let value = line.raw_value();
        let (duration, title) = match value.split_once(',') {
            Some((duration, title)) => (duration, title),
            None => {
                self.flaws.note(FlawKind::ExtinfWithoutComma, line);
                (value, "")
            }
        };
        if trim(duration).len() != duration.len() {
            self.flaws.note(FlawKind::BlankAroundValue, line);
        }
        self.has_decimals |= duration.contains('.');
        let duration = seconds(trim(duration)).map_err(|fault| match fault {
            DurationFault::NotANumber => PlaylistError::BadDuration {
                at: Place::of(line),
            },
            DurationFault::TooLong => PlaylistError::DurationTooLong {
                at: Place::of(line),
            },
        })?;
        match &self.pending.extinf {
            None => self.pending.extinf = Some((*line, duration, title)),
            Some((_, known, same)) if *known == duration && *same == title => {
                self.flaws.note(FlawKind::RepeatedTag, line);
            }
            Some((first, ..)) => return Err(conflict(line, first)),
        }
        Ok(())
    }

    fn take_byte_range(&mut self, line: &Line<'a>) -> Result<(), PlaylistError> {
        match &self.pending.byte_range {
            None => self.pending.byte_range = Some(*line),
            Some(first) if trim(first.raw_value()) == trim(line.raw_value()) => {
                self.flaws.note(FlawKind::RepeatedTag, line);
            }
            Some(first) => return Err(conflict(line, first)),
        }
        Ok(())
    }

    fn take_date_time(&mut self, line: &Line<'a>) -> Result<(), PlaylistError> {
        let Some(moment) = date_time::parse(line.value(&mut self.flaws)) else {
            self.flaws.note(FlawKind::UnreadableDateTime, line);
            self.pending.tags.push(Arc::from(line.text));
            return Ok(());
        };
        match &self.pending.date_time {
            None => self.pending.date_time = Some((*line, moment)),
            Some((_, same)) if *same == moment => self.flaws.note(FlawKind::RepeatedTag, line),
            Some((first, _)) => return Err(conflict(line, first)),
        }
        Ok(())
    }

    fn take_bit_rate(&mut self, line: &Line<'a>) {
        let Some(bit_rate) = integer(line.value(&mut self.flaws)) else {
            self.flaws.note(FlawKind::UnreadableBitRate, line);
            self.pending.tags.push(Arc::from(line.text));
            return;
        };
        if self.bit_rate != Some(bit_rate) {
            if !self.bit_rate_used {
                self.flaws.note(FlawKind::UnusedTag, line);
            }
            (self.bit_rate, self.bit_rate_used) = (Some(bit_rate), false);
        }
    }

    fn take_map(&mut self, line: &Line<'a>) -> Result<(), PlaylistError> {
        let map = read_map(line, self.keys.use_now(), &mut self.flaws)?;
        if self.map.as_deref() == Some(&map) {
            return Ok(());
        }
        if !self.map_used {
            self.flaws.note(FlawKind::UnusedTag, line);
        }
        self.map = Some(Arc::new(map));
        self.map_used = false;
        Ok(())
    }

    /// A URI ends what stands before it: now it is a segment.
    fn take_uri(&mut self, line: &Line<'a>) -> Result<(), PlaylistError> {
        let overflow = || PlaylistError::SequenceOverflow {
            at: Place::of(line),
        };
        let Some((extinf, duration, title)) = self.pending.extinf.take() else {
            return Err(PlaylistError::ExtinfMissing {
                at: Place::of(line),
            });
        };
        if !fits_target_duration(duration, self.playlist.target_duration) {
            self.flaws.note(FlawKind::LongerThanTarget, &extinf);
        }
        let uri: Arc<str> = Arc::from(line.text);
        let byte_range = self.resolve_byte_range(&uri)?;
        let index = self.playlist.segments.len() as u64;
        let media_sequence = self.playlist.media_sequence.checked_add(index);
        // The number of the segment behind this one must exist too.
        let media_sequence = media_sequence
            .filter(|number| *number < u64::MAX)
            .ok_or_else(overflow)?;
        let discontinuities = std::mem::take(&mut self.pending.discontinuities);
        let discontinuity_sequence = self.discontinuity_sequence.checked_add(discontinuities);
        self.discontinuity_sequence = discontinuity_sequence.ok_or_else(overflow)?;
        let date_time = self.pending.date_time.take();
        let bit_rate = self.bit_rate.filter(|_| byte_range.is_none());
        self.bit_rate_used |= byte_range.is_none();
        self.map_used = true;
        self.playlist.segments.push(Segment {
            media_sequence,
            discontinuity_sequence: self.discontinuity_sequence,
            uri,
            duration,
            title: if title.is_empty() {
                self.no_title.clone()
            } else {
                Arc::from(title)
            },
            byte_range,
            discontinuity: discontinuities > 0,
            date_time: date_time.map(|(_, moment)| moment),
            date_time_text: date_time.map(|(line, _)| Arc::from(trim(line.raw_value()))),
            gap: std::mem::take(&mut self.pending.gap),
            keys: self.keys.use_now(),
            map: self.map.clone(),
            bit_rate,
            // Collected anew, a Vec has no room to spare.
            tags: self.pending.tags.drain(..).collect(),
        });
        Ok(())
    }

    /// A range without offset begins where the one of the segment before ended, if both are of the
    /// same resource (RFC 8216 4.3.2.2, rule C-25).
    fn resolve_byte_range(&mut self, uri: &str) -> Result<Option<ByteRange>, PlaylistError> {
        let Some(line) = self.pending.byte_range.take() else {
            return Ok(None);
        };
        let bad = || PlaylistError::BadByteRange {
            at: Place::of(&line),
        };
        let value = line.value(&mut self.flaws);
        let (length, offset) = read_byte_range(value, &line, &mut self.flaws)?;
        let before = self
            .playlist
            .segments
            .last()
            .filter(|before| *before.uri == *uri);
        let implied = before
            .and_then(|before| before.byte_range)
            .and_then(ByteRange::end);
        let Some(offset) = offset.or(implied) else {
            return Err(PlaylistError::ByteRangeWithoutStart {
                at: Place::of(&line),
            });
        };
        let range = ByteRange { offset, length };
        range.end().map(|_| Some(range)).ok_or_else(bad)
    }

    fn finish(mut self) -> MediaPlaylist {
        fill_dates(&mut self.playlist.segments);
        let used = version::used_version(&self.playlist);
        let used = if self.has_decimals {
            used.max(version::DECIMALS)
        } else {
            used
        };
        if self.head.version.unwrap_or(1) < used {
            let stated = self
                .lines
                .iter()
                .find(|line| line.tag == Tag::Head(HeadTag::Version));
            let (number, text) = stated.map_or((1, "#EXTM3U"), |line| (line.number, line.text));
            self.flaws.note_at(FlawKind::VersionTooLow, number, text);
        }
        self.doubt_target_duration();
        self.playlist.flaws = self.flaws.into_vec();
        self.playlist
    }

    fn doubt_target_duration(&mut self) {
        let segments = self.playlist.segments.iter();
        let Some(longest) = segments.map(|segment| segment.duration).max() else {
            return;
        };
        let stated = self.playlist.target_duration;
        let tag = Tag::Head(HeadTag::TargetDuration);
        let line = self.lines.iter().find(|line| line.tag == tag);
        if let Some(line) = line.filter(|_| believed(stated, longest) < stated) {
            self.flaws.note(FlawKind::TargetFarTooLong, line);
        }
    }
}

fn conflict(line: &Line<'_>, first: &Line<'_>) -> PlaylistError {
    PlaylistError::Conflict {
        at: Place::of(line),
        first: first.number,
    }
}

/// Gives dates to the segments that have no date of their own, within each run of segments that no
/// discontinuity parts (RFC 8216 6.3.3; the reason stands at [`Segment::date_time`]).
fn fill_dates(segments: &mut [Segment]) {
    for run in segments.chunk_by_mut(|_, next| !next.discontinuity) {
        let Some(first) = run.iter().position(|segment| segment.date_time.is_some()) else {
            continue;
        };
        for index in (0..first).rev() {
            let next = run[index + 1].date_time;
            run[index].date_time = next.map(|moment| moment - run[index].duration);
        }
        for index in first + 1..run.len() {
            let before = &run[index - 1];
            let counted = before.date_time.map(|moment| moment + before.duration);
            run[index].date_time = run[index].date_time.or(counted);
        }
    }
}
