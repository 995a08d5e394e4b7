//! What holds for the playlist as a whole: its kind, and the tags that may stand once
//! (RFC 8216 4.1, 4.3.1.2, 4.3.3, 4.3.5; rules C-04, C-05, C-16, C-22, C-39, C-59).

use super::PlaylistType;
use super::attributes::scan;
use super::error::{AttributeFault, Place, PlaylistError};
use super::flaw::{FlawKind, Flaws};
use super::line::{HeadTag, Line, SegmentLine, SegmentTag, Tag};
use super::number::{DurationFault, integer, seconds};
use crate::limits;
use crate::time::Span;

/// The playlist-level values, and where the parts of the list are.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) version: Option<u64>,
    pub(super) target_duration: Option<Span>,
    pub(super) media_sequence: Option<u64>,
    pub(super) discontinuity_sequence: Option<u64>,
    pub(super) playlist_type: Option<PlaylistType>,
    pub(super) i_frames_only: bool,
    pub(super) independent_segments: bool,
    pub(super) end_list: bool,
    /// Whether this is a media playlist; else it is a multivariant one.
    pub(super) is_media: bool,
    /// The last line about the list as a whole before the first URI: what is not known and stands before it is
    /// taken for playlist-level too. A line number; 0 where there is none.
    pub(super) last_head_line: u32,
    /// The last URI, or 0.
    pub(super) last_uri_line: u32,
    /// Where the tags that may stand once stand first, by [`Tag`].
    firsts: Vec<(Tag, usize)>,
}

impl Head {
    /// Reads the head out of all lines of a body.
    pub(super) fn read(lines: &[Line<'_>], flaws: &mut Flaws) -> Result<Self, PlaylistError> {
        let mut head = Self {
            is_media: kind_is_media(lines)?,
            ..Self::default()
        };
        // Where the first segment, and where the first discontinuity, was met.
        let mut first_uri = None;
        let mut first_discontinuity = None;
        for (index, line) in lines.iter().enumerate() {
            match line.tag {
                Tag::Uri => {
                    first_uri = first_uri.or(Some(line.number));
                    head.last_uri_line = line.number;
                    continue;
                }
                Tag::Segment(SegmentTag::Discontinuity) => {
                    first_discontinuity = first_discontinuity.or(Some(line.number));
                }
                Tag::Head(HeadTag::MediaSequence) => check_place(line, first_uri)?,
                Tag::Head(HeadTag::DiscontinuitySequence) => {
                    check_place(line, first_discontinuity.into_iter().chain(first_uri).min())?;
                }
                Tag::SegmentLine(SegmentLine::Skip) => {
                    return Err(PlaylistError::DeltaUpdate {
                        at: Place::of(line),
                    });
                }
                Tag::Header
                | Tag::Head(_)
                | Tag::HeadLine(_)
                | Tag::Segment(_)
                | Tag::SegmentLine(_)
                | Tag::Multivariant(_)
                | Tag::Other => {}
            }
            if line.tag.is_kept_attribute_list() {
                check_kept(line, flaws)?;
            }
            if (line.tag.is_head() || line.is_of_the_list()) && first_uri.is_none() {
                head.last_head_line = line.number;
            }
            if line.tag.is_unique() {
                head.take(lines, index, flaws)?;
            }
        }
        if head.is_media && head.target_duration.is_none() {
            return Err(PlaylistError::TargetDurationMissing);
        }
        Ok(head)
    }

    /// Whether the line is the first of its tag. A second one has the same value and says nothing.
    pub(super) fn is_first(&self, line: &Line<'_>, lines: &[Line<'_>]) -> bool {
        self.first(line.tag)
            .is_none_or(|index| lines[index].number == line.number)
    }

    fn first(&self, tag: Tag) -> Option<usize> {
        self.firsts
            .iter()
            .find(|(known, _)| *known == tag)
            .map(|(_, index)| *index)
    }

    /// Takes one of the tags that may stand once (rule C-05).
    fn take(
        &mut self,
        lines: &[Line<'_>],
        index: usize,
        flaws: &mut Flaws,
    ) -> Result<(), PlaylistError> {
        let line = &lines[index];
        if let Some(first) = self.first(line.tag) {
            let first = &lines[first];
            if !same_value(first, line) {
                let at = Place::of(line);
                return Err(PlaylistError::Conflict {
                    at,
                    first: first.number,
                });
            }
            flaws.note(FlawKind::RepeatedTag, line);
            return Ok(());
        }
        self.firsts.push((line.tag, index));
        let Tag::Head(tag) = line.tag else {
            return Ok(());
        };
        match tag {
            HeadTag::Version => self.version = Some(read_version(line, flaws)?),
            HeadTag::TargetDuration => self.target_duration = Some(read_target(line, flaws)?),
            HeadTag::MediaSequence => self.media_sequence = Some(read_integer(line, flaws)?),
            HeadTag::DiscontinuitySequence => {
                self.discontinuity_sequence = Some(read_integer(line, flaws)?);
            }
            HeadTag::PlaylistType => self.playlist_type = read_type(line, flaws),
            HeadTag::IFramesOnly => self.i_frames_only = read_flag(line, flaws),
            HeadTag::IndependentSegments => self.independent_segments = read_flag(line, flaws),
            HeadTag::EndList => self.end_list = read_flag(line, flaws),
        }
        Ok(())
    }
}

/// Which kind the tags say it is; never both (RFC 8216 4.1, rule C-04).
fn kind_is_media(lines: &[Line<'_>]) -> Result<bool, PlaylistError> {
    let media = lines.iter().find(|line| line.tag.is_media_only());
    let multivariant = lines
        .iter()
        .find(|line| matches!(line.tag, Tag::Multivariant(_)));
    match (media, multivariant) {
        (Some(_), None) => Ok(true),
        (None, Some(_)) => Ok(false),
        (None, None) => Err(PlaylistError::NeitherKind),
        (Some(media), Some(multivariant)) => Err(PlaylistError::MixedKinds {
            media: Place::of(media),
            multivariant: Place::of(multivariant),
        }),
    }
}

/// Numbers must be known before what they number (RFC 8216 4.3.3.2 and 4.3.3.3).
fn check_place(line: &Line<'_>, numbered: Option<u32>) -> Result<(), PlaylistError> {
    match numbered {
        Some(first) => Err(PlaylistError::Misplaced {
            at: Place::of(line),
            first,
        }),
        None => Ok(()),
    }
}

/// Lints the attributes of a tag that is passed on as it came. An ambiguous one is refused; one that
/// cannot be read is left to players, which ignore it (rules C-07, C-53).
fn check_kept(line: &Line<'_>, flaws: &mut Flaws) -> Result<(), PlaylistError> {
    match scan(line.raw_value()) {
        Err(fault @ (AttributeFault::Conflict(_) | AttributeFault::TooMany)) => {
            return Err(PlaylistError::BadAttributes {
                at: Place::of(line),
                fault,
            });
        }
        Err(_) => flaws.note(FlawKind::UnreadableAttributes, line),
        Ok((_, forgiven)) => {
            if forgiven.loose {
                flaws.note(FlawKind::LooseAttributes, line);
            }
            if forgiven.repeated {
                flaws.note(FlawKind::RepeatedAttribute, line);
            }
        }
    }
    Ok(())
}

/// Whether two lines of one tag mean the same: equal text, or equal numbers.
fn same_value(first: &Line<'_>, second: &Line<'_>) -> bool {
    let mut ignored = Flaws::default();
    let same_text = super::line::trim(first.text) == super::line::trim(second.text);
    let Tag::Head(tag) = first.tag else {
        return same_text;
    };
    let mut value = |line: &Line<'_>| match tag {
        HeadTag::Version => read_version(line, &mut ignored).ok(),
        HeadTag::MediaSequence | HeadTag::DiscontinuitySequence => {
            read_integer(line, &mut ignored).ok()
        }
        HeadTag::TargetDuration => read_target(line, &mut ignored)
            .ok()
            .map(|target| target.rounded_secs()),
        // A flag has one value; a type has no number.
        HeadTag::IFramesOnly | HeadTag::IndependentSegments | HeadTag::EndList => Some(1),
        HeadTag::PlaylistType => None,
    };
    let (first_value, second_value) = (value(first), value(second));
    if first_value.is_some() {
        first_value == second_value
    } else {
        same_text
    }
}

/// Players cut `7.0` to 7, so that decimals of 0 are plain. A version that is not known is refused,
/// since its list must not be played (RFC 8216 7, rule C-39).
fn read_version(line: &Line<'_>, flaws: &mut Flaws) -> Result<u64, PlaylistError> {
    let value = line.value(flaws);
    let whole = match value.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => {
            flaws.note(FlawKind::FractionalVersion, line);
            whole
        }
        Some(_) | None => value,
    };
    let version = integer(whole).ok_or_else(|| PlaylistError::BadInteger {
        at: Place::of(line),
    })?;
    if version > limits::VERSION {
        return Err(PlaylistError::UnsupportedVersion {
            at: Place::of(line),
            version,
        });
    }
    Ok(version)
}

/// The target duration is an integer (RFC 8216 4.3.3.1). Decimals are rounded up: it is an upper
/// bound, every player reads `10.5` as one between 10 and 11, and only 11 keeps what the origin
/// promised for its longest segment.
fn read_target(line: &Line<'_>, flaws: &mut Flaws) -> Result<Span, PlaylistError> {
    let value = line.value(flaws);
    let span = seconds(value).map_err(|fault| match fault {
        DurationFault::NotANumber => PlaylistError::BadInteger {
            at: Place::of(line),
        },
        DurationFault::TooLong => PlaylistError::DurationTooLong {
            at: Place::of(line),
        },
    })?;
    if value.contains('.') {
        flaws.note(FlawKind::FractionalTargetDuration, line);
    }
    match span.as_micros().div_ceil(1_000_000) {
        0 => Err(PlaylistError::TargetDurationZero {
            at: Place::of(line),
        }),
        secs => Ok(Span::from_secs(secs)),
    }
}

fn read_integer(line: &Line<'_>, flaws: &mut Flaws) -> Result<u64, PlaylistError> {
    integer(line.value(flaws)).ok_or_else(|| PlaylistError::BadInteger {
        at: Place::of(line),
    })
}

/// An unknown type means nothing (rule C-06); the line is kept with the head.
fn read_type(line: &Line<'_>, flaws: &mut Flaws) -> Option<PlaylistType> {
    match line.value(flaws) {
        "VOD" => Some(PlaylistType::Vod),
        "EVENT" => Some(PlaylistType::Event),
        _ => {
            flaws.note(FlawKind::UnknownPlaylistType, line);
            None
        }
    }
}

fn read_flag(line: &Line<'_>, flaws: &mut Flaws) -> bool {
    if line.has_value(flaws) {
        flaws.note(FlawKind::ValueOnFlag, line);
    }
    true
}
