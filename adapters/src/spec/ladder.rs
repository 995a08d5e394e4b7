//! A ladder as people write it: `720p,480p:900k` on a command line, tables in a file or to the API.

use super::{ChannelSpec, SpecFault};
use hls_relay_core::ladder::{
    Ladder, LadderFault, Preset, Rung, RungAudio, VideoCodec, bitrate_of,
};
use hls_relay_core::time::Span;
use serde::{Deserialize, Deserializer, Serialize};

/// Bits per second: a number, or one with `k` or `M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "u64")]
pub struct BitRate(pub u64);

/// A rung of a ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungSpec {
    /// What it is called; by its height where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of the picture in pixels.
    pub height: u32,
    /// Of the picture; from its height where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<BitRate>,
}

/// What becomes of the sound in rungs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Sound")]
pub enum LadderAudio {
    /// It stays as it is.
    #[default]
    Copy,
    /// AAC at this rate.
    Aac(BitRate),
}

/// How it stands in files and in answers.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Sound {
    Word(&'static str),
    Rate(u64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl RungSpec {
    fn rung(&self) -> Rung {
        let by_height = || format!("{}p", self.height);
        Rung {
            name: self.name.clone().unwrap_or_else(by_height).into(),
            height: self.height,
            bitrate: self.bitrate.map_or(bitrate_of(self.height), |it| it.0),
        }
    }
}

/// What is to be made, if anything.
pub(super) fn ladder(spec: &ChannelSpec) -> Result<Option<Ladder>, SpecFault> {
    if spec.ladder.is_empty() {
        needs_rungs(spec)?;
        if !spec.multivariant {
            return Ok(None);
        }
    }
    let ladder = Ladder {
        rungs: spec.ladder.iter().map(RungSpec::rung).collect(),
        passthrough: spec.ladder_source,
        codec: spec.ladder_codec,
        preset: spec.ladder_preset,
        audio: match spec.ladder_audio {
            LadderAudio::Copy => RungAudio::Copy,
            LadderAudio::Aac(BitRate(bitrate)) => RungAudio::Aac { bitrate },
        },
        patience: spec
            .ladder_patience
            .map(|it| Span::from_secs(it.min(86_400))),
    };
    // Its faults begin with a place in the list, or stand for themselves.
    let fault = |fault: LadderFault| match fault.to_string().split_once(": ") {
        Some((place, why)) if place.starts_with('[') => {
            SpecFault::new(format!("ladder{place}"), why)
        }
        Some(("audio bit rate", why)) => SpecFault::new("ladder_audio", why),
        Some(("patience", why)) => SpecFault::new("ladder_patience", why),
        Some(_) | None => SpecFault::new("ladder", fault),
    };
    ladder.validate().map_err(fault)?;
    Ok(Some(ladder))
}

/// What says how rungs are made, where there are none, would be ignored.
fn needs_rungs(spec: &ChannelSpec) -> Result<(), SpecFault> {
    let said = [
        ("ladder_source", !spec.ladder_source),
        ("ladder_codec", spec.ladder_codec != VideoCodec::default()),
        ("ladder_preset", spec.ladder_preset != Preset::default()),
        ("ladder_audio", spec.ladder_audio != LadderAudio::default()),
        ("ladder_patience", spec.ladder_patience.is_some()),
    ];
    match said.iter().find(|(_, said)| *said) {
        Some((field, _)) => {
            let why = "it says how rungs are made, and there are none: give a ladder, too";
            Err(SpecFault::new(*field, why))
        }
        None => Ok(()),
    }
}

/// `720p,480p:900k,240p`.
pub(crate) fn rungs(text: &str) -> Result<Vec<RungSpec>, String> {
    let rung = |text: &str| {
        let (height, bitrate) = match text.split_once(':') {
            Some((height, bitrate)) => (height, Some(bit_rate(bitrate)?)),
            None => (text, None),
        };
        let height = height.strip_suffix('p').unwrap_or(height).parse();
        let height =
            height.map_err(|_| format!("'{text}' is no rung: give it as in 720p or 480p:900k"))?;
        Ok(RungSpec {
            name: None,
            height,
            bitrate,
        })
    };
    let rungs: Vec<_> = text.split(',').map(rung).collect::<Result<_, String>>()?;
    let fault = |fault: SpecFault| match fault.field.as_str() {
        "ladder" => fault.why,
        // Here a rung is called by its height.
        field if field.ends_with(".name") => format!(
            "{}: an earlier rung has this height already; two of the same height need names of their own, \
             which stand in the configuration of a node: ladder = [{{ name = \"720p-high\", height = 720 }}, …]",
            &field["ladder".len()..field.len() - ".name".len()]
        ),
        field => format!("{}: {}", &field["ladder".len()..], fault.why),
    };
    let mut spec = ChannelSpec::of(Vec::new());
    spec.ladder = rungs;
    ladder(&spec).map_err(fault)?;
    Ok(spec.ladder)
}

/// What pictures are encoded as.
pub(crate) fn codec(text: &str) -> Result<VideoCodec, String> {
    match text {
        "h264" => Ok(VideoCodec::H264),
        _ => Err(
            "rungs are h264: they are MPEG-TS, in which players of HLS have to take no other (HEVC is for fragmented MP4)"
                .to_owned(),
        ),
    }
}

/// The same in a file.
pub(super) fn read_codec<'de, D: Deserializer<'de>>(from: D) -> Result<VideoCodec, D::Error> {
    let text = String::deserialize(from)?;
    codec(&text).map_err(serde::de::Error::custom)
}

/// `copy`, or a bit rate.
pub(crate) fn audio(text: &str) -> Result<LadderAudio, String> {
    match text {
        "copy" => Ok(LadderAudio::Copy),
        rate => match bit_rate(rate) {
            Ok(rate) => Ok(LadderAudio::Aac(rate)),
            Err(why) => Err(format!("give 'copy', or the bit rate of AAC: {why}")),
        },
    }
}

/// The name of a preset of x264.
pub(crate) fn preset(text: &str) -> Result<Preset, String> {
    let known: Result<Preset, serde::de::value::Error> =
        Preset::deserialize(serde::de::value::StrDeserializer::new(text));
    known.map_err(|_| {
        "it is ultrafast, superfast, veryfast, faster, fast, medium or slow".to_owned()
    })
}

fn bit_rate(text: &str) -> Result<BitRate, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(_) | None => (text, 1),
    };
    let bits = number
        .parse::<u64>()
        .ok()
        .and_then(|it| it.checked_mul(unit));
    let bits =
        bits.ok_or_else(|| format!("'{text}' is no bit rate: give it as in 900k or 2500000"));
    bits.map(BitRate)
}

impl TryFrom<Written> for BitRate {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(bits) => Ok(Self(bits)),
            Written::Text(text) => bit_rate(&text),
        }
    }
}

impl From<BitRate> for u64 {
    fn from(rate: BitRate) -> Self {
        rate.0
    }
}

impl TryFrom<Written> for LadderAudio {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(bits) => Ok(Self::Aac(BitRate(bits))),
            Written::Text(text) => audio(&text),
        }
    }
}

impl From<LadderAudio> for Sound {
    fn from(audio: LadderAudio) -> Self {
        match audio {
            LadderAudio::Copy => Self::Word("copy"),
            LadderAudio::Aac(rate) => Self::Rate(rate.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_is_written_in_one_word() {
        let mut spec = ChannelSpec::of(Vec::new());
        spec.ladder = rungs("720p,480:900k,240p:1M").unwrap();
        let made: Vec<_> = ladder(&spec).unwrap().unwrap().rungs;
        let made = made.iter().map(|it| (&*it.name, it.height, it.bitrate));
        assert_eq!(
            made.collect::<Vec<_>>(),
            [
                ("720p", 720, 2_800_000),
                ("480p", 480, 900_000),
                ("240p", 240, 1_000_000)
            ]
        );
        for (bad, why) in [
            ("720p,", "'' is no rung"),
            ("hd", "'hd' is no rung"),
            ("720p:fast", "'fast' is no bit rate"),
            ("720p:99999999999999999999M", "is no bit rate"),
            (
                "720p,720p:1M",
                "[1]: an earlier rung has this height already; two of the same height need names",
            ),
            ("721p", "[0].height: give an even number"),
            ("720p:1k", "[0].bitrate: give from"),
        ] {
            let refused = rungs(bad).unwrap_err();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
        assert_eq!(preset("slow"), Ok(Preset::Slow));
        assert!(preset("; rm -rf /").is_err());
        assert_eq!(codec("h264"), Ok(VideoCodec::H264));
        assert!(codec("hevc").unwrap_err().contains("fragmented MP4"));
    }

    #[test]
    fn a_multivariant_playlist_may_be_without_rungs_but_not_without_anything() {
        let read =
            |text: &str| serde_json::from_str::<ChannelSpec>(text).map_err(|it| it.to_string());
        let with = |more: &str| read(&format!(r#"{{"sources": ["http://a/"], {more}}}"#));
        let alone = ladder(&with(r#""multivariant": true"#).unwrap()).unwrap();
        assert!(alone.is_some_and(|it| it.rungs.is_empty() && it.passthrough));
        assert_eq!(ladder(&with(r#""multivariant": false"#).unwrap()), Ok(None));
        let nothing = with(r#""multivariant": true, "ladder_source": false"#).unwrap();
        assert_eq!(ladder(&nothing).unwrap_err().field, "ladder_source");
        let other = with(r#""ladder": [{"height": 240}], "ladder_codec": "hevc""#);
        assert!(other.unwrap_err().contains("rungs are h264"));
    }

    #[test]
    fn a_ladder_stands_in_files_and_says_where_it_is_wrong() {
        let written = r#"{"sources": ["http://a/"], "ladder_source": false, "ladder_audio": "128k", "ladder":
            [{"name": "hd", "height": 720, "bitrate": "2500k"}, {"height": 240, "bitrate": 300000}]}"#;
        let spec: ChannelSpec = serde_json::from_str(written).unwrap();
        let again = serde_json::to_value(&spec).unwrap();
        assert_eq!(again["ladder"][0]["bitrate"], 2_500_000);
        assert_eq!(again["ladder_audio"], 128_000);
        assert_eq!(serde_json::from_value::<ChannelSpec>(again).unwrap(), spec);
        let ladder = spec.resolve().unwrap().0.ladder.unwrap();
        assert_eq!(ladder.audio, RungAudio::Aac { bitrate: 128_000 });
        assert!(!ladder.passthrough);
        let with = |change: &dyn Fn(&mut ChannelSpec)| {
            let mut spec = spec.clone();
            change(&mut spec);
            spec.resolve().unwrap_err().field
        };
        assert_eq!(with(&|it| it.ladder[1].height = 5), "ladder[1].height");
        assert_eq!(
            with(&|it| it.ladder[0].name = Some("../x".into())),
            "ladder[0].name"
        );
        assert_eq!(
            with(&|it| it.ladder_audio = LadderAudio::Aac(BitRate(1))),
            "ladder_audio"
        );
        assert_eq!(with(&|it| it.ladder_patience = Some(0)), "ladder_patience");
        let plain = ChannelSpec::of(spec.sources.clone());
        assert_eq!(
            serde_json::to_value(plain).unwrap().get("ladder_audio"),
            None
        );
    }
}
