//! A segment before and after ffmpeg: what it is given, and what is made of what comes back.

use super::arguments::Making;
use super::media::{Entry, Kind, Media, Stream, TICKS, Unit};
use super::sound::Sound;
use super::timing::{Inexact, Timing};
use super::{demux, mux};
use hls_relay_core::command::TranscodeRung;
use hls_relay_core::event::{RungError, TranscodeError};
use hls_relay_core::ladder::RungAudio;

/// What an encoder may exceed its bit rate by before it is thought to be lost.
const MOST_EXCESS: u64 = 4;
/// And what it may need whatever the bit rate.
const LEAST_ROOM: u64 = 8 << 20;

/// A segment that is to be transcoded.
#[derive(Debug)]
pub(super) struct Plan {
    media: Media,
    timing: Timing,
    /// The sounds that are encoded anew, each with its stream.
    sounds: Vec<(Stream, Sound)>,
    /// The times of the source less those that ffmpeg knows.
    shift: i64,
    /// Where its own pictures begin, as ffmpeg knows it.
    pub(super) from: Option<i64>,
}

/// What became of each rung.
pub(super) type Rungs = Vec<Result<Rung, RungError>>;

/// A rung of a segment.
#[derive(Debug)]
pub(super) struct Rung {
    /// Its transport stream.
    pub(super) bytes: Vec<u8>,
    /// Of its pictures alone, in bits per second.
    pub(super) bitrate: u64,
}

impl Plan {
    /// Reads a segment, and the one right before it. Gives what ffmpeg is given, too.
    pub(super) fn new(
        source: &[u8],
        before: Option<&[u8]>,
        audio: RungAudio,
    ) -> Result<(Self, Vec<u8>), TranscodeError> {
        let unsupported =
            |error: &dyn ToString| TranscodeError::Unsupported(error.to_string().into());
        let media = demux::read(source, None).map_err(|error| unsupported(&error))?;
        let (kind, pictures) = media
            .video()
            .ok_or_else(|| unsupported(&"there is no picture in it"))?;
        if kind.is_interlaced_hevc(&pictures.units[0].data) {
            return Err(unsupported(&"its pictures are interlaced HEVC"));
        }
        // What cannot be read before is as if there were nothing before.
        let near = pictures.units.first().map(|unit| unit.pts);
        let before = before.and_then(|bytes| demux::read(bytes, near).ok());
        let before = before.filter(|it| {
            let last = it.video().filter(|(its_kind, _)| *its_kind == kind);
            last.is_some_and(|(_, last)| Timing::joins(last, pictures))
        });
        let pictures_before = before.as_ref().and_then(Media::video).map(|(_, it)| it);

        let mut timing = Timing::new(pictures, pictures_before);
        let begins = kind.entry(&pictures.units[0].data);
        let preroll = match begins {
            Entry::Closed => &[][..],
            Entry::Open | Entry::None => pictures_before.map_or(&[][..], |it| {
                let entry = |unit: &Unit| kind.entry(&unit.data) != Entry::None;
                &it.units[it.units.iter().rposition(entry).unwrap_or(0)..]
            }),
        };
        timing.may_lack = begins != Entry::Closed && preroll.is_empty();
        let sounds = sounds(&media, before.as_ref(), audio)?;

        let mut given = vec![Stream {
            units: [preroll, &pictures.units].concat(),
            ..without_units(pictures)
        }];
        given.extend(sounds.iter().map(|(stream, sound)| Stream {
            units: sound.given.clone(),
            ..without_units(stream)
        }));
        let units = || given.iter().flat_map(|stream| &stream.units);
        let shift = units()
            .map(|unit| unit.dts.min(unit.pts))
            .min()
            .unwrap_or(0)
            - TICKS;
        for unit in given.iter_mut().flat_map(|stream| &mut stream.units) {
            (unit.pts, unit.dts) = (unit.pts - shift, unit.dts - shift);
        }
        let input = mux::write(&given.iter().collect::<Vec<_>>());
        let from = (!preroll.is_empty()).then(|| timing.first() - shift);
        let plan = Self {
            media,
            timing,
            sounds,
            shift,
            from,
        };
        Ok((plan, input))
    }

    /// How many sounds are encoded.
    pub(super) fn sounds(&self) -> usize {
        self.sounds.len()
    }

    /// Thousandths of a picture in a second, where they come at equal distances.
    pub(super) fn frame_rate(&self) -> Option<u32> {
        self.timing.frame_rate()
    }

    /// The most bytes that ffmpeg may make of it.
    pub(super) fn most_bytes(&self, making: &Making) -> usize {
        let seconds = self.timing.lasts().unsigned_abs() / TICKS.unsigned_abs() + 1;
        let pictures: u64 = making.rungs.iter().map(|it| it.bitrate).sum();
        let sounds = making.sound_bitrate * making.sounds as u64;
        let most = (pictures + sounds).saturating_mul(seconds) / 8 * MOST_EXCESS + LEAST_ROOM;
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// The rungs, out of what ffmpeg has made.
    pub(super) fn rungs(
        self,
        made: &[u8],
        rungs: &[TranscodeRung],
    ) -> Result<Rungs, TranscodeError> {
        let undecodable = |words: String| TranscodeError::Undecodable(words.into());
        let made = demux::read(made, Some(TICKS)).map_err(|_| undecodable("nothing".into()))?;
        let (pictures, frames): (Vec<_>, Vec<_>) = made
            .streams
            .into_iter()
            .partition(|stream| matches!(stream.kind, Kind::Video(_)));
        if pictures.len() != rungs.len() || frames.len() != self.sounds.len() {
            return Err(undecodable("not a single picture of it".into()));
        }
        let mut encoded = Vec::new();
        for ((stream, sound), made) in self.sounds.iter().zip(frames) {
            let units = sound.taken(made.units);
            let units = units.map_err(|error| undecodable(error.to_string()))?;
            encoded.push(Stream {
                units,
                ..without_units(stream)
            });
        }
        let copied = self.media.beside();
        let mut beside: Vec<_> = match self.sounds.is_empty() {
            true => copied.collect(),
            false => copied.filter(|it| it.kind == Kind::Metadata).collect(),
        };
        // The sounds stand before what belongs to them.
        encoded.iter().rev().for_each(|it| beside.insert(0, it));

        let mut written = Vec::new();
        for mut stream in pictures {
            let outcome = match self.timing.apply(&mut stream.units, self.shift) {
                Ok(()) => {
                    let streams: Vec<_> = [&stream].into_iter().chain(beside.clone()).collect();
                    let units = stream.units.iter().map(|it| it.data.len() as u64);
                    Ok(Rung {
                        bytes: mux::write(&streams),
                        bitrate: self.timing.per_second(units.sum::<u64>() * 8),
                    })
                }
                Err(Inexact::Count { made, of }) if made < of => {
                    return Err(undecodable(format!("{made} of its {of} pictures")));
                }
                Err(inexact) => Err(RungError::Inexact(inexact.to_string().into())),
            };
            written.push(outcome);
        }
        Ok(written)
    }
}

/// The sounds that are encoded anew.
fn sounds(
    media: &Media,
    before: Option<&Media>,
    audio: RungAudio,
) -> Result<Vec<(Stream, Sound)>, TranscodeError> {
    if audio == RungAudio::Copy {
        return Ok(Vec::new());
    }
    let unsupported = |words: String| TranscodeError::Unsupported(words.into());
    let is_sound = |it: &&Stream| matches!(it.kind, Kind::Aac | Kind::OtherAudio);
    let mut before = before.into_iter().flat_map(Media::beside).filter(is_sound);
    let mut sounds = Vec::new();
    for stream in media.beside().filter(is_sound) {
        if stream.kind == Kind::OtherAudio {
            return Err(unsupported(format!(
                "its sound is {}, which can be copied, and only AAC in ADTS can be encoded anew",
                stream.sound_name()
            )));
        }
        let before = before.next().filter(|it| it.kind == Kind::Aac);
        let sound = Sound::new(stream, before);
        let sound = sound.map_err(|error| TranscodeError::Undecodable(error.to_string().into()))?;
        sounds.push((without_units(stream), sound));
    }
    Ok(sounds)
}

fn without_units(stream: &Stream) -> Stream {
    Stream {
        units: Vec::new(),
        descriptors: stream.descriptors.clone(),
        ..*stream
    }
}
