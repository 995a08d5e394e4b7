//! A ladder: what is made of each segment of a channel beside what its source sends.

use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The rungs of a channel and how they are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// Viewers are offered them in this order. Where there are none the source's own media is the only one, so
    /// that others may come while viewers watch.
    pub rungs: Vec<Rung>,
    /// The source's own media is offered as well, before them.
    pub passthrough: bool,
    /// Of the picture.
    #[serde(default)]
    pub codec: VideoCodec,
    /// How much work a picture is worth.
    #[serde(default)]
    pub preset: Preset,
    /// What becomes of the sound.
    #[serde(default)]
    pub audio: RungAudio,
    /// A segment of the source waits so long for its rungs at most, and never longer than it lasts. It is listed
    /// before them then, and they have gaps.
    #[serde(default)]
    pub patience: Option<Span>,
}

/// One of the bit rates that are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// What it is called: its playlist is `NAME.m3u8`.
    pub name: Arc<str>,
    /// Of the picture, in pixels; its width follows from the source's shape. A source that is not so high
    /// is not made larger.
    pub height: u32,
    /// Of the picture, in bits per second.
    pub bitrate: u64,
}

/// What pictures are encoded as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// AVC, which everything plays.
    #[default]
    H264,
}

/// How much work a picture is worth, as x264 names it: a slower one looks better at the same bit rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    Ultrafast,
    Superfast,
    #[default]
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
}

/// What becomes of the sound in a rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungAudio {
    /// As the source has it, byte for byte.
    #[default]
    Copy,
    /// AAC at so many bits per second.
    Aac { bitrate: u64 },
}

/// The most rungs: one run makes all of them, and no ladder in use has more.
pub const MOST_RUNGS: usize = 8;
/// The longest name of a rung, in bytes.
pub const MOST_NAME_BYTES: usize = 32;
/// Heights that are made, in pixels: below, no player shows anything; above, no encoder of a live channel
/// keeps up.
pub const HEIGHTS: std::ops::RangeInclusive<u32> = 64..=2_160;
/// Bit rates that are made, in bits per second.
pub const BITRATES: std::ops::RangeInclusive<u64> = 50_000..=50_000_000;
/// The same for sound.
pub const AUDIO_BITRATES: std::ops::RangeInclusive<u64> = 16_000..=512_000;
/// What the source's own media is called beside its rungs.
pub const SOURCE_NAME: &str = "source";

/// Why a ladder cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LadderFault {
    /// Nothing is offered at all.
    #[error("without the source's own media a ladder needs at least one rung, as in 720p")]
    Empty,
    /// More than [`MOST_RUNGS`].
    #[error("{0} rungs: at most {MOST_RUNGS}")]
    TooMany(usize),
    /// The name of the rung at that place, counted from 0.
    #[error(
        "[{0}].name: give 1 to {MOST_NAME_BYTES} of a-z, 0-9, - and _; index and {SOURCE_NAME} are taken"
    )]
    BadName(usize),
    /// Two rungs of one name.
    #[error(
        "[{0}].name: an earlier rung has it already: rungs of the same height need names of their own (name)"
    )]
    SameName(usize),
    /// Not in [`HEIGHTS`], or odd.
    #[error("[{0}].height: give an even number from {min} to {max}", min = HEIGHTS.start(), max = HEIGHTS.end())]
    BadHeight(usize),
    /// Not in [`BITRATES`].
    #[error("[{0}].bitrate: give from {min} to {max} bits per second, as in 2500k", min = BITRATES.start(), max = BITRATES.end())]
    BadBitrate(usize),
    /// Not in [`AUDIO_BITRATES`].
    #[error("audio bit rate: give from {min} to {max} bits per second, as in 128k", min = AUDIO_BITRATES.start(), max = AUDIO_BITRATES.end())]
    BadAudioBitrate,
    /// Nobody waits for no time at all.
    #[error("patience: more than 0 is needed")]
    NoPatience,
}

impl Ladder {
    /// Of these rungs, made in the usual way.
    pub fn of(rungs: Vec<Rung>, passthrough: bool) -> Self {
        Self {
            rungs,
            passthrough,
            codec: VideoCodec::default(),
            preset: Preset::default(),
            audio: RungAudio::default(),
            patience: None,
        }
    }

    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), LadderFault> {
        if self.rungs.is_empty() && !self.passthrough {
            return Err(LadderFault::Empty);
        }
        if self.rungs.len() > MOST_RUNGS {
            return Err(LadderFault::TooMany(self.rungs.len()));
        }
        for (at, rung) in self.rungs.iter().enumerate() {
            if !is_name(&rung.name) {
                return Err(LadderFault::BadName(at));
            }
            if self.rungs[..at].iter().any(|it| it.name == rung.name) {
                return Err(LadderFault::SameName(at));
            }
            if !HEIGHTS.contains(&rung.height) || rung.height % 2 != 0 {
                return Err(LadderFault::BadHeight(at));
            }
            if !BITRATES.contains(&rung.bitrate) {
                return Err(LadderFault::BadBitrate(at));
            }
        }
        if self.patience == Some(Span::ZERO) {
            return Err(LadderFault::NoPatience);
        }
        match self.audio {
            RungAudio::Aac { bitrate } if !AUDIO_BITRATES.contains(&bitrate) => {
                Err(LadderFault::BadAudioBitrate)
            }
            RungAudio::Aac { .. } | RungAudio::Copy => Ok(()),
        }
    }
}

/// Names end up in URLs and file names, so they are of the least alphabet.
fn is_name(name: &str) -> bool {
    let plain = |it: u8| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=MOST_NAME_BYTES).contains(&name.len())
        && name.bytes().all(plain)
        && !matches!(name, "index" | SOURCE_NAME)
}

/// The bit rate of a picture of that height where nobody says one: what the usual ladders have for H.264,
/// and between them in proportion.
pub fn bitrate_of(height: u32) -> u64 {
    const USUAL: [(u32, u64); 9] = [
        (0, 50_000),
        (144, 200_000),
        (240, 400_000),
        (360, 800_000),
        (480, 1_400_000),
        (720, 2_800_000),
        (1_080, 5_000_000),
        (1_440, 9_000_000),
        (2_160, 16_000_000),
    ];
    let above = USUAL.iter().position(|(it, _)| *it >= height);
    let Some(above) = above else {
        return USUAL[USUAL.len() - 1].1;
    };
    let (low, from) = USUAL[above.saturating_sub(1)];
    let (high, to) = USUAL[above];
    let (part, whole) = (u64::from(height - low.min(height)), u64::from(high - low));
    from + ((to - from) * part).checked_div(whole).unwrap_or(0)
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::H264 => "H.264",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(name: &str, height: u32, bitrate: u64) -> Rung {
        let name = name.into();
        Rung {
            name,
            height,
            bitrate,
        }
    }

    fn fault(rungs: Vec<Rung>, audio: RungAudio) -> Option<LadderFault> {
        let ladder = Ladder {
            audio,
            ..Ladder::of(rungs, true)
        };
        ladder.validate().err()
    }

    #[test]
    fn what_is_wrong_with_a_ladder_is_said_with_its_place() {
        let good = rung("720p", 720, 2_500_000);
        let of = |rungs| fault(rungs, RungAudio::Copy);
        assert_eq!(of(vec![good.clone()]), None);
        assert_eq!(of(vec![]), None);
        let without = Ladder::of(Vec::new(), false);
        assert_eq!(without.validate().err(), Some(LadderFault::Empty));
        let many = (0..9).map(|it| rung(&format!("r{it}"), 240, 400_000));
        assert_eq!(of(many.collect()), Some(LadderFault::TooMany(9)));
        for name in [
            "",
            "index",
            "source",
            "a/b",
            "..",
            "A",
            "ä",
            &"x".repeat(33),
        ] {
            let named = rung(name, 240, 400_000);
            assert_eq!(of(vec![good.clone(), named]), Some(LadderFault::BadName(1)));
        }
        let twice = vec![good.clone(), good.clone()];
        assert_eq!(of(twice), Some(LadderFault::SameName(1)));
        for height in [0, 62, 481, 2_162] {
            let odd = rung("x", height, 400_000);
            assert_eq!(of(vec![odd]), Some(LadderFault::BadHeight(0)));
        }
        for bitrate in [0, 49_999, 50_000_001] {
            let lean = rung("x", 240, bitrate);
            assert_eq!(of(vec![lean]), Some(LadderFault::BadBitrate(0)));
        }
        let sound = |bitrate| fault(vec![good.clone()], RungAudio::Aac { bitrate });
        assert_eq!(sound(128_000), None);
        assert_eq!(sound(15_999), Some(LadderFault::BadAudioBitrate));
        let hasty = Ladder {
            rungs: vec![good.clone()],
            passthrough: true,
            codec: VideoCodec::H264,
            preset: Preset::Veryfast,
            audio: RungAudio::Copy,
            patience: Some(Span::ZERO),
        };
        assert_eq!(hasty.validate(), Err(LadderFault::NoPatience));
    }

    #[test]
    fn a_bit_rate_that_is_not_given_follows_from_the_height() {
        for (height, bitrate) in [
            (240, 400_000),
            (480, 1_400_000),
            (600, 2_100_000),
            (720, 2_800_000),
            (2_160, 16_000_000),
            (4_000, 16_000_000),
        ] {
            assert_eq!(bitrate_of(height), bitrate, "{height}");
        }
        for height in HEIGHTS {
            assert!(bitrate_of(height) <= bitrate_of(height + 2));
            assert!(BITRATES.contains(&bitrate_of(height)));
        }
    }
}
