//! Media out of its container: streams of units, each with its times.

/// Ticks in a second.
pub(super) const TICKS: i64 = 90_000;
/// Timestamps of a transport stream have 33 bits (ISO/IEC 13818-1 2.4.3.7).
const RANGE: i64 = 1 << 33;

/// All that is in a segment, in the order of its program map.
#[derive(Clone, Debug, Default)]
pub(super) struct Media {
    pub(super) streams: Vec<Stream>,
}

/// One elementary stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) kind: Kind,
    /// The stream type in the program map (ISO/IEC 13818-1 table 2-34).
    pub(super) stream_type: u8,
    /// What the program map says of it beside its type.
    pub(super) descriptors: Vec<u8>,
    /// In the order of decoding.
    pub(super) units: Vec<Unit>,
}

/// What is done with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Video(VideoKind),
    /// AAC in ADTS.
    Aac,
    /// Sound that can only be copied.
    OtherAudio,
    /// Timed metadata in ID3 tags.
    Metadata,
}

/// Formats of pictures that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VideoKind {
    Mpeg2,
    H264,
    H265,
}

/// A picture, or some frames of a sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// When it is shown, in ticks of 90 kHz. They are counted on over the wrap of a segment's timestamps, so
    /// they may be above their range or below 0.
    pub(super) pts: i64,
    /// When it is decoded.
    pub(super) dts: i64,
    pub(super) data: Vec<u8>,
}

impl Media {
    /// The picture; of several the first.
    pub(super) fn video(&self) -> Option<(VideoKind, &Stream)> {
        self.streams.iter().find_map(|stream| match stream.kind {
            Kind::Video(kind) => Some((kind, stream)),
            Kind::Aac | Kind::OtherAudio | Kind::Metadata => None,
        })
    }

    /// All that stands beside the picture.
    pub(super) fn beside(&self) -> impl Iterator<Item = &Stream> {
        let is_video = |stream: &&Stream| matches!(stream.kind, Kind::Video(_));
        self.streams.iter().filter(move |it| !is_video(it))
    }
}

impl Stream {
    /// What people call a sound that is not AAC in ADTS, by what the program map says of it.
    pub(super) fn sound_name(&self) -> &'static str {
        let names = |name: &[u8]| memchr::memmem::find(&self.descriptors, name).is_some();
        match (self.stream_type, self.descriptors.first()) {
            (0x03 | 0x04, _) => "MPEG audio",
            (0x11, _) => "AAC in LATM",
            (0x81, _) | (_, Some(0x6a)) => "AC-3",
            (0x87, _) | (_, Some(0x7a)) => "E-AC-3",
            _ if names(b"AC-3") => "AC-3",
            _ if names(b"EAC3") => "E-AC-3",
            _ if names(b"Opus") => "Opus",
            _ => "of a kind that is not known here",
        }
    }

    /// When its units are shown, in that order.
    pub(super) fn shown(&self) -> Vec<i64> {
        let mut times: Vec<_> = self.units.iter().map(|unit| unit.pts).collect();
        times.sort_unstable();
        times
    }
}

/// The time that is nearest to `near` of all that have these 33 bits.
pub(super) fn unwrapped(time: i64, near: i64) -> i64 {
    near + (time - near + RANGE / 2).rem_euclid(RANGE) - RANGE / 2
}

/// The 33 bits of a time.
pub(super) fn wrapped(time: i64) -> u64 {
    time.rem_euclid(RANGE).unsigned_abs()
}

/// What a picture can be decoded without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Everything before it, and so can all that follow.
    Closed,
    /// Everything before it, but some that follow and are shown earlier cannot.
    Open,
    /// It needs others.
    None,
}

impl VideoKind {
    /// How decoding can begin at this picture.
    pub(super) fn entry(self, picture: &[u8]) -> Entry {
        let mut entry = Entry::None;
        for at in start_codes(picture) {
            let Some(&header) = picture.get(at) else {
                break;
            };
            match self {
                // A slice of an IDR picture.
                Self::H264 if header & 0x1f == 5 => return Entry::Closed,
                // A sequence parameter set, without which none can be decoded.
                Self::H264 if header & 0x1f == 7 => entry = Entry::Open,
                // IDR pictures are types 19 and 20; all from 16 to 21 can be begun with.
                Self::H265 => match header >> 1 & 0x3f {
                    19 | 20 => return Entry::Closed,
                    16..=21 => entry = Entry::Open,
                    _ => {}
                },
                Self::Mpeg2 if header == 0xb3 => entry = Entry::Open,
                // A group of pictures, which says whether it is closed.
                Self::Mpeg2 if header == 0xb8 => {
                    let closed = picture.get(at + 4).is_some_and(|byte| byte & 0x40 != 0);
                    return if closed { Entry::Closed } else { Entry::Open };
                }
                Self::H264 | Self::Mpeg2 => {}
            }
        }
        entry
    }

    /// Whether its sequence parameter set says that it is half of an interlaced picture, or may be: what a decoder
    /// of HEVC makes are the fields, each with half of the lines (ITU-T H.265 7.3.3, `general_interlaced_source_flag`).
    pub(super) fn is_interlaced_hevc(self, picture: &[u8]) -> bool {
        const SEQUENCE_PARAMETER_SET: u8 = 33;
        let mut sets = start_codes(picture).filter_map(|at| picture.get(at..));
        self == Self::H265
            && sets.any(|unit| {
                let is_set = unit.first().map(|it| it >> 1 & 0x3f) == Some(SEQUENCE_PARAMETER_SET);
                // Behind two bytes of header, one of layers, and the profile with its compatibilities.
                let flags = without_emulation_prevention(unit).nth(2 + 1 + 5);
                is_set && flags.is_some_and(|it| it >> 6 == 0b01)
            })
    }
}

/// Without the bytes that keep start codes out of a unit (ITU-T H.265 7.3.1.1).
fn without_emulation_prevention(unit: &[u8]) -> impl Iterator<Item = u8> {
    let is_prevention =
        |at: usize| unit[at] == 3 && at.checked_sub(2).is_some_and(|it| unit[it..at] == [0, 0]);
    (0..unit.len())
        .filter(move |at| !is_prevention(*at))
        .map(|at| unit[at])
}

/// Where the bytes behind the start codes `00 00 01` are.
fn start_codes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memmem::find_iter(bytes, &[0, 0, 1]).map(|at| at + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_on_over_their_wrap() {
        assert_eq!(unwrapped(10, RANGE - 10), RANGE + 10);
        assert_eq!(unwrapped(RANGE - 10, 10), -10);
        assert_eq!(unwrapped(500, 400), 500);
        assert_eq!(wrapped(RANGE + 10), 10);
        assert_eq!(wrapped(-10), 8_589_934_582);
    }

    #[test]
    fn where_decoding_can_begin_is_told_by_the_picture() {
        let entry = |kind: VideoKind, units: &[&[u8]]| {
            let units = units.iter().flat_map(|unit| [&[0, 0, 1], *unit].concat());
            kind.entry(&units.collect::<Vec<_>>())
        };
        use VideoKind::{H264, H265, Mpeg2};
        assert_eq!(
            entry(H264, &[&[9, 0xf0], &[0x67, 1], &[0x65, 1]]),
            Entry::Closed
        );
        assert_eq!(
            entry(H264, &[&[9, 0xf0], &[0x67, 1], &[0x61, 1]]),
            Entry::Open
        );
        assert_eq!(entry(H264, &[&[9, 0xf0], &[0x41, 1]]), Entry::None);
        assert_eq!(entry(H265, &[&[0x40, 1], &[0x26, 1]]), Entry::Closed);
        assert_eq!(entry(H265, &[&[0x40, 1], &[0x2a, 1]]), Entry::Open);
        assert_eq!(entry(H265, &[&[0x02, 1]]), Entry::None);
        assert_eq!(
            entry(Mpeg2, &[&[0xb3, 1], &[0xb8, 0, 0, 0, 0x40]]),
            Entry::Closed
        );
        assert_eq!(
            entry(Mpeg2, &[&[0xb3, 1], &[0xb8, 0, 0, 0, 0]]),
            Entry::Open
        );
        assert_eq!(entry(Mpeg2, &[&[0, 1]]), Entry::None);
        assert_eq!(H264.entry(&[0, 0, 1]), Entry::None);
    }

    #[test]
    fn fields_of_hevc_are_told_by_their_parameter_set() {
        let set = |flags: u8| {
            let compatibilities = [0x60, 0, 0, 3, 0];
            [&[0, 0, 1, 0x42, 1, 1, 1], &compatibilities[..], &[flags]].concat()
        };
        let is_interlaced = |unit: &[u8]| VideoKind::H265.is_interlaced_hevc(unit);
        assert!(is_interlaced(&set(0x40)));
        for (flags, what) in [(0x80, "progressive"), (0xc0, "either"), (0, "not said")] {
            assert!(!is_interlaced(&set(flags)), "{what}");
        }
        assert!(!is_interlaced(&set(0x40)[..11]));
        assert!(!VideoKind::H264.is_interlaced_hevc(&set(0x40)));
    }
}
