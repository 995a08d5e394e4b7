//! Every rung has the times of the source, on both sides of every border, whatever the source is.

use crate::jobs::name;
use crate::media::{Packet, Recipe, Source, decoded_pictures, decoded_sound, packets};
use crate::ts::{Demuxed, RANGE, wrapped};
use crate::{get, put, transcode, transcoder, work};
use hls_relay::store::Store;
use hls_relay_core::event::{TranscodeError, Transcoded};
use hls_relay_core::ladder::RungAudio;

/// Segments of a second that are made of a source.
const SECONDS: usize = 16;
/// And where sound is encoded anew: all pitches of a source.
const SECONDS_OF_SOUND: usize = 32;

/// Of sound that is encoded anew as many as `SOURCE_SECONDS` says: 1800 show half an hour.
fn seconds_of_sound() -> usize {
    let said = std::env::var("SOURCE_SECONDS").ok();
    said.map_or(SECONDS_OF_SOUND, |it| {
        it.parse().expect("a number of seconds")
    })
}

const AAC: RungAudio = RungAudio::Aac { bitrate: 96_000 };

/// x264's pictures, with some between others that others refer to.
macro_rules! x264 {
    () => {
        "-c:v libx264 -preset ultrafast -bf 3 -b_strategy 0 -x264-params b-pyramid=normal"
    };
}

/// x265's, the same.
macro_rules! x265 {
    () => {
        "-c:v libx265 -preset ultrafast -x265-params keyint=25:min-keyint=25:scenecut=0:bframes=3:open-gop=0:log-level=none"
    };
}

/// The segments of a source, and those of its first rung.
struct Made {
    source: Source,
    told: Vec<Transcoded>,
    rung: Vec<Vec<u8>>,
}

/// Makes the rungs of all segments, one after the other, as the relay does.
async fn made(recipe: Recipe<'_>, segments: usize, audio: RungAudio) -> Made {
    let source = recipe.make(segments);
    let (store, transcoder) = (Store::memory(), transcoder(2));
    if let Some(init) = &source.init {
        put(&store, "init", init).await;
    }
    let (mut told, mut rung) = (Vec::new(), Vec::new());
    for (index, bytes) in source.segments.iter().enumerate() {
        put(&store, &index.to_string(), bytes).await;
        let before = index.checked_sub(1).map(|it| it.to_string());
        let mut work = work(&index.to_string(), before.as_deref(), audio);
        if source.init.is_some() {
            work.init = Some(name("init"));
            if let Some(before) = &mut work.before {
                before.init = Some(name("init"));
            }
        }
        let outcome = transcode(&transcoder, &store, &work).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("segment {index}: {error}"));
        let all_stored = outcome.rungs.iter().all(Result::is_ok);
        assert!(all_stored, "segment {index}: {:?}", outcome.rungs);
        let whole = work.rungs.iter().map(|it| get(&store, &it.object).unwrap());
        rung.push(whole.into_iter().next().unwrap());
        told.push(outcome);
    }
    Made { source, told, rung }
}

fn shown(packets: &[Packet]) -> Vec<i64> {
    let mut times: Vec<_> = packets.iter().map(|it| it.pts.rem_euclid(RANGE)).collect();
    let first = times.first().copied().unwrap_or(0);
    times.sort_by_key(|it| wrapped(it - first));
    times
}

impl Made {
    /// What holds for pictures of every kind. `lacking` are those at the very beginning that nobody can decode;
    /// `fields` whether a picture is two packets of the source.
    fn pictures_are_exact(&self, lacking: usize) {
        let folder = self.source.folder();
        let mut decoded = Vec::new();
        for (index, rung) in self.rung.iter().enumerate() {
            let mut expected = shown(&packets(folder, &self.source.whole(index), "v"));
            expected.drain(..if index == 0 { lacking } else { 0 });
            let made = packets(folder, rung, "v");
            assert_eq!(shown(&made), expected, "segment {index}");
            assert!(made[0].is_key, "segment {index}");
            for packet in &made {
                assert!(packet.dts <= packet.pts, "segment {index}: {packet:?}");
            }
            decoded.extend(made.iter().map(|it| it.dts));
            if index % 4 != 1 {
                continue;
            }
            // Decoded alone, with nothing before it.
            let (pictures, said) = decoded_pictures(folder, rung);
            assert_eq!(
                (pictures, said.as_str()),
                (made.len(), ""),
                "segment {index}"
            );
        }
        for pair in decoded.windows(2) {
            assert!(wrapped(pair[1] - pair[0]) > 0, "decoded at {pair:?}");
        }
    }

    /// What a strict demuxer finds between segments.
    fn joins(&self) {
        let read: Vec<_> = self
            .rung
            .iter()
            .map(|it| Demuxed::read(it).unwrap())
            .collect();
        for (index, pair) in read.windows(2).enumerate() {
            let breaks = pair[0].breaks(&pair[1]);
            assert!(
                breaks.is_empty(),
                "between {index} and the next: {breaks:#?}"
            );
        }
    }

    /// The same packets with the same bytes at the same times.
    fn sound_is_copied(&self) {
        let folder = self.source.folder();
        for (index, rung) in self.rung.iter().enumerate() {
            let source = packets(folder, &self.source.whole(index), "a");
            assert!(!source.is_empty());
            assert_eq!(packets(folder, rung, "a"), source, "segment {index}");
        }
    }

    /// As many frames as the source has, two frames late, and what a decoder hears is what it hears of the
    /// source: no click, no silence, nothing twice.
    fn sound_is_encoded_without_a_seam(&self, samples: usize) {
        let folder = self.source.folder();
        let of = |all: &dyn Fn(usize) -> Vec<u8>| -> Vec<Packet> {
            let parts = 0..self.rung.len();
            parts
                .flat_map(|it| packets(folder, &all(it), "a"))
                .collect()
        };
        let source = of(&|it| self.source.whole(it));
        let made = of(&|it| self.rung[it].clone());
        assert_eq!(made.len(), source.len() - 2);
        for (at, (made, source)) in made.iter().zip(&source).enumerate() {
            let off = wrapped(made.pts - source.pts);
            assert!(off.abs() <= 1, "frame {at} is {off} ticks off");
        }
        let (heard, said) = decoded_sound(folder, &self.rung.concat());
        assert_eq!(said, "");
        let whole: Vec<_> = (0..self.rung.len())
            .map(|it| self.source.whole(it))
            .collect();
        let (original, _) = decoded_sound(folder, &whole.concat());
        assert_eq!(heard.len(), original.len() - 2 * 1024);
        // Of every frame but the first, which a decoder begins with: what was lost, against the loudness.
        let frames = heard.as_chunks::<1024>().0.iter();
        let frames = frames.zip(original.as_chunks::<1024>().0).skip(1);
        let mut losses: Vec<_> = frames.map(|it| signal_to_noise(it.1, it.0)).collect();
        losses.sort_by(f64::total_cmp);
        let (count, bad) = (losses.len(), losses.partition_point(|it| *it < 20.0));
        let (worst, middle) = (losses[0], losses[count / 2]);
        println!(
            "of {count} frames at {samples} Hz {bad} below 20 dB, the worst {worst:.1} dB, the middle {middle:.1} dB"
        );
        // The encoder itself fails now and then at a single frame, wherever it began. A seam would be in each segment.
        assert!(bad * 500 <= count, "{bad} frames of {count} are spoilt");
        assert!(middle > 30.0, "a signal-to-noise ratio of {middle:.1} dB");
    }

    fn tells(&self, resolution: (u64, u64), frame_rate: Option<u32>, codecs: &[&str]) {
        for told in &self.told {
            let formats = told.rungs[0]
                .as_ref()
                .unwrap()
                .formats
                .clone()
                .unwrap()
                .unwrap();
            let size = formats.resolution.unwrap();
            assert_eq!((size.width, size.height), resolution);
            assert_eq!(formats.frame_rate, frame_rate);
            let names: Vec<_> = formats.codecs.iter().map(|it| &it[..4]).collect();
            assert_eq!(names, codecs);
            assert_eq!(told.input.frame_rate, frame_rate);
        }
    }
}

/// In decibels.
fn signal_to_noise(original: &[i16], made: &[i16]) -> f64 {
    let (mut signal, mut noise) = (1.0, 1.0);
    for (original, made) in original.iter().zip(made) {
        let (original, made) = (f64::from(*original), f64::from(*made));
        signal += original.powi(2);
        noise += (made - original).powi(2);
    }
    10.0 * f64::log10(signal / noise)
}

/// What is made of one kind of source, and what has to come of it.
struct Kind {
    /// Frames and samples of a second, encoders, and where its times begin; see [`Recipe`].
    recipe: Recipe<'static>,
    audio: RungAudio,
    sound: Sound,
    /// Size, frame rate and formats of the rung, where they are asked for.
    tells: Option<((u64, u64), u32, &'static [&'static str])>,
}

/// What has become of the sound.
#[derive(Clone, Copy, PartialEq)]
enum Sound {
    None,
    Copied,
    /// Copied out of another container: its packets are not cut where they were.
    Carried,
    Encoded,
}

impl Kind {
    fn of(rate: &'static str, samples: u32, encode: &'static str) -> Self {
        let recipe = Recipe {
            rate,
            samples,
            encode,
            begins: "0",
            hls: "",
        };
        Self {
            recipe,
            audio: RungAudio::Copy,
            sound: Sound::Copied,
            tells: None,
        }
    }

    fn begins(mut self, at: &'static str) -> Self {
        self.recipe.begins = at;
        self
    }

    fn sound(mut self, sound: Sound) -> Self {
        self.sound = sound;
        self.audio = match sound {
            Sound::Encoded => AAC,
            Sound::None | Sound::Copied | Sound::Carried => RungAudio::Copy,
        };
        self
    }

    fn in_mp4(mut self) -> Self {
        self.recipe.hls = "-hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4";
        self.sound(Sound::Carried)
    }

    fn tells(mut self, rate: u32, codecs: &'static [&'static str]) -> Self {
        self.tells = Some(((228, 128), rate, codecs));
        self
    }

    async fn check(self) {
        let samples = self.recipe.samples as usize;
        let segments = match self.sound {
            Sound::Encoded => seconds_of_sound(),
            Sound::None | Sound::Copied | Sound::Carried => SECONDS,
        };
        let made = made(self.recipe, segments, self.audio).await;
        made.pictures_are_exact(0);
        made.joins();
        match self.sound {
            Sound::None | Sound::Carried => {}
            Sound::Copied => made.sound_is_copied(),
            Sound::Encoded => made.sound_is_encoded_without_a_seam(samples),
        }
        if let Some((size, rate, codecs)) = self.tells {
            made.tells(size, Some(rate), codecs);
        }
    }
}

#[tokio::test]
async fn s_71_pictures_out_of_order_and_sound_of_48_khz() {
    Kind::of(
        "25",
        48_000,
        concat!(x264!(), " -g 25 -keyint_min 25 -c:a aac -b:a 64k"),
    )
    .tells(25_000, &["avc1", "mp4a"])
    .check()
    .await;
}

/// The wrap is at 95,443.717 seconds.
#[tokio::test]
async fn s_71_ntsc_and_sound_of_44_1_khz_over_the_wrap_of_timestamps() {
    Kind::of(
        "30000/1001",
        44_100,
        concat!(x264!(), " -g 30 -keyint_min 30 -c:a aac -b:a 64k"),
    )
    .begins("95436.2")
    .tells(29_970, &["avc1", "mp4a"])
    .check()
    .await;
}

#[tokio::test]
async fn sound_is_encoded_anew_at_48_khz() {
    Kind::of(
        "25",
        48_000,
        concat!(x264!(), " -g 25 -keyint_min 25 -c:a aac -b:a 128k"),
    )
    .begins("10")
    .sound(Sound::Encoded)
    .check()
    .await;
}

#[tokio::test]
async fn sound_is_encoded_anew_at_44_1_khz() {
    Kind::of(
        "30000/1001",
        44_100,
        concat!(x264!(), " -g 30 -keyint_min 30 -c:a aac -b:a 128k"),
    )
    .begins("10")
    .sound(Sound::Encoded)
    .check()
    .await;
}

#[tokio::test]
async fn interlaced_pictures_become_whole_ones() {
    Kind::of("25", 0, "-c:v libx264 -preset ultrafast -flags +ilme+ildct -x264-params tff=1 -bf 2 -g 25 -keyint_min 25").sound(Sound::None).tells(25_000, &["avc1"]).check().await;
}

#[tokio::test]
async fn mpeg_2_with_layer_2_sound() {
    Kind::of(
        "25",
        48_000,
        "-c:v mpeg2video -bf 2 -g 25 -b:v 500k -c:a mp2 -b:a 128k",
    )
    .check()
    .await;
}

/// Other sound than AAC is carried on byte for byte, and is not encoded anew: that is refused by its name.
async fn is_copied_and_not_encoded(sound: &'static str, name: &str) {
    let encode = format!("{} -g 25 -keyint_min 25 {sound}", x264!());
    let recipe = || Recipe {
        rate: "25",
        samples: 48_000,
        encode: &encode,
        begins: "0",
        hls: "",
    };
    let made = made(recipe(), 8, RungAudio::Copy).await;
    made.pictures_are_exact(0);
    made.sound_is_copied();
    let store = Store::memory();
    put(&store, "0", &made.source.segments[0]).await;
    let work = work("0", None, AAC);
    let error = transcode(&transcoder(1), &store, &work).await.unwrap_err();
    let reason = format!("its sound is {name}, which can be copied, and only AAC");
    assert!(error.to_string().contains(&reason), "{error}");
}

#[tokio::test]
async fn ac_3_is_copied_and_not_encoded() {
    is_copied_and_not_encoded("-c:a ac3 -b:a 128k", "AC-3").await;
}

#[tokio::test]
async fn e_ac_3_is_copied_and_not_encoded() {
    is_copied_and_not_encoded("-c:a eac3 -b:a 128k", "E-AC-3").await;
}

#[tokio::test]
async fn mp3_is_copied_and_not_encoded() {
    is_copied_and_not_encoded("-c:a libmp3lame -b:a 128k", "MPEG audio").await;
}

#[tokio::test]
async fn opus_is_copied_and_not_encoded() {
    is_copied_and_not_encoded("-c:a libopus -b:a 96k", "Opus").await;
}

/// What a transport stream has no place for.
#[tokio::test]
async fn sound_that_rungs_cannot_carry_is_refused_by_its_name() {
    let recipe = Recipe {
        rate: "25",
        samples: 48_000,
        encode: concat!(x264!(), " -g 25 -keyint_min 25 -c:a flac -strict -2"),
        begins: "0",
        hls: "-hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4",
    };
    let source = recipe.make(1);
    let store = Store::memory();
    put(&store, "init", &source.init.unwrap()).await;
    put(&store, "0", &source.segments[0]).await;
    let mut work = work("0", None, RungAudio::Copy);
    work.init = Some(name("init"));
    let error = transcode(&transcoder(1), &store, &work).await.unwrap_err();
    assert!(error.to_string().contains("fLaC"), "{error}");
}

#[tokio::test]
async fn hevc_in_a_transport_stream() {
    Kind::of("25", 48_000, concat!(x265!(), " -c:a aac"))
        .tells(25_000, &["avc1", "mp4a"])
        .check()
        .await;
}

/// Of which a decoder makes twice as many pictures of half the height.
#[tokio::test]
async fn interlaced_hevc_is_refused_by_its_name() {
    let recipe = Recipe {
        rate: "50",
        samples: 0,
        encode: "-vf separatefields -c:v libx265 -preset ultrafast -x265-params interlace=tff:keyint=50:min-keyint=50:scenecut=0:log-level=none",
        begins: "0",
        hls: "",
    };
    let source = recipe.make(1);
    let store = Store::memory();
    put(&store, "0", &source.segments[0]).await;
    let work = work("0", None, RungAudio::Copy);
    let error = transcode(&transcoder(1), &store, &work).await.unwrap_err();
    assert!(error.to_string().contains("interlaced HEVC"), "{error}");
}

#[tokio::test]
async fn hevc_in_fragmented_mp4() {
    Kind::of("25", 48_000, concat!(x265!(), " -tag:v hvc1 -c:a aac"))
        .in_mp4()
        .tells(25_000, &["avc1", "mp4a"])
        .check()
        .await;
}

#[tokio::test]
async fn fragmented_mp4_becomes_a_transport_stream() {
    Kind::of(
        "25",
        48_000,
        concat!(x264!(), " -g 25 -keyint_min 25 -c:a aac"),
    )
    .in_mp4()
    .check()
    .await;
}

#[tokio::test]
async fn groups_of_pictures_that_refer_to_the_one_before() {
    let kind = Kind::of(
        "25",
        48_000,
        "-c:v libx264 -preset ultrafast -bf 3 -b_strategy 0 -g 27 -keyint_min 27 \
            -x264-params open-gop=1:scenecut=0:b-pyramid=normal -bsf:v dump_extra -c:a aac",
    );
    let made = made(kind.recipe, 32, RungAudio::Copy).await;
    let begins = packets(made.source.folder(), &made.source.segments[5], "v");
    let leading = begins.iter().filter(|it| it.pts < begins[0].pts).count();
    assert!(
        leading > 0,
        "the source is meant to have pictures before the first it begins with"
    );
    made.pictures_are_exact(0);
    made.joins();
}

#[tokio::test]
async fn what_cannot_be_made_exactly_is_refused_with_the_reason() {
    let recipe = Recipe {
        rate: "25",
        samples: 48_000,
        encode: concat!(x264!(), " -g 25 -c:a mp2"),
        begins: "0",
        hls: "",
    };
    let source = recipe.make(2);
    let (store, transcoder) = (Store::memory(), transcoder(1));
    let text = b"WEBVTT\n\n00:00.000 --> 00:01.000\nnothing to see\n";
    let cut = &source.segments[0][..source.segments[0].len() / 188 / 2 * 188];
    let sound = only_sound(&source);
    // Packets that are whole, of pictures that are noise.
    let mut noise = source.segments[0].clone();
    for packet in noise.as_chunks_mut::<188>().0 {
        if packet[1] & 1 == 1 && packet[2] == 0 {
            packet[60..].fill(0x5a);
        }
    }
    for (object, bytes, audio, reason) in [
        (
            "text",
            &text[..],
            RungAudio::Copy,
            "neither a transport stream nor fragmented MP4",
        ),
        (
            "sound",
            &sound,
            RungAudio::Copy,
            "there is no picture in it",
        ),
        (
            "mp2",
            &source.segments[1],
            AAC,
            "only AAC in ADTS can be encoded anew",
        ),
        ("noise", &noise, RungAudio::Copy, "it cannot be decoded: "),
    ] {
        put(&store, object, bytes).await;
        let work = work(object, None, audio);
        let error = transcode(&transcoder, &store, &work).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{object}: {error}");
        for rung in &work.rungs {
            assert_eq!(get(&store, &rung.object), None, "{object}");
        }
    }
    // What is cut short has what it has: its pictures are made, and no more.
    put(&store, "cut", cut).await;
    let work = work("cut", None, RungAudio::Copy);
    let made = transcode(&transcoder, &store, &work).await.unwrap();
    assert!(made.rungs.iter().all(Result::is_ok), "{made:?}");
    let gone = crate::work("gone", None, RungAudio::Copy);
    let error = transcode(&transcoder, &store, &gone).await.unwrap_err();
    assert!(matches!(error, TranscodeError::Store(_)), "{error}");
}

/// The same without its pictures.
fn only_sound(source: &Source) -> Vec<u8> {
    let file = source.folder().join("whole.ts");
    std::fs::write(&file, &source.segments[0]).unwrap();
    let run = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&file)
        .args(["-map", "0:a", "-c", "copy", "-f", "mpegts", "pipe:1"])
        .output();
    run.unwrap().stdout
}
