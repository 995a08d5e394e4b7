//! Where media comes from, as a script says it.

use super::Words;
use crate::origin::{
    Container, FormatsTold, Keeps, Keying, Naming, OriginSpec, PresentationSpec, SegmentDurations,
    Tokens, TrackKind, TrackSpec,
};
use crate::plan::Plan;
use hls_relay_core::time::Span;

pub(super) fn origin(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    let number = plan.origins.len();
    let mut spec = OriginSpec {
        seed: number as u64 + 1,
        hosts: vec![format!("origin{number}.test"), format!("edge{number}.test")],
        latency: Span::from_millis(20),
        publish_delay: Span::from_millis(100 + 50 * number as u64),
        ..OriginSpec::default()
    };
    let (mut segments, mut jitter, mut backlog) = (Vec::new(), Span::ZERO, None);
    while let Some(word) = words.next() {
        match word {
            "target" => spec.target_duration = words.positive()?,
            "segment" => segments = words.in_turn(|it| it.seconds())?,
            "jitter" => jitter = words.seconds()?,
            "latency" => spec.latency = words.seconds()?,
            "publish-delay" => spec.publish_delay = words.seconds()?,
            "publish-jitter" => spec.publish_jitter = words.seconds()?,
            "drawn" => spec.seed = words.number()?,
            "window" => spec.window = words.positive()?,
            "backlog" => backlog = Some(words.positive()?),
            "numbers" => spec.media_sequence = words.number()?,
            "date-times" => spec.program_date_time = true,
            "folders" => spec.naming = Naming::RunFolder,
            "tokens" => spec.tokens = Tokens::Query,
            "parameter-tokens" => spec.tokens = Tokens::Parameter,
            "folder-tokens" => spec.tokens = Tokens::Folder,
            "etag" => spec.etag = true,
            "keys" => spec.segments_per_key = Some(words.positive()?),
            "keys-with-vectors" => spec.keying = Keying::Vector,
            "keys-by-turns" => spec.keying = Keying::InTurns,
            "keys-of-drm" => spec.keying = Keying::Drm,
            "keys-of-gcm" => spec.keying = Keying::Gcm,
            "event" => spec.keeps = Keeps::Event,
            "vod" => spec.keeps = Keeps::Vod,
            "cookies" => spec.cookies = true,
            "discontinuities" => spec.discontinuities = words.in_turn(|it| it.number())?,
            "discontinuity-sequence" => {
                spec.discontinuity_sequence = false;
                spec.discontinuity_sequence_says = match words.word()? {
                    "none" => None,
                    said => Some(said.parse().map_err(|_| format!("not a number: {said}"))?),
                };
            }
            other => return Err(format!("unknown word {other}")),
        }
    }
    if segments.is_empty() {
        segments.push(Span::from_secs(spec.target_duration));
    }
    // Both ends of a segment may be off.
    let fits = |it: &Span| (*it + jitter * 2).rounded_secs() <= spec.target_duration;
    if segments.contains(&Span::ZERO) || !segments.iter().all(fits) {
        return Err(
            "a segment is longer than nothing, and not than the target duration".to_owned(),
        );
    }
    spec.durations = match (segments.as_slice(), jitter) {
        ([all], Span::ZERO) => SegmentDurations::Constant(*all),
        ([mean], by) => SegmentDurations::Jittered { mean: *mean, by },
        (_, Span::ZERO) => SegmentDurations::Pattern(segments),
        (_, _) => return Err("segments of several lengths have no jitter".to_owned()),
    };
    spec.backlog = backlog.unwrap_or(spec.window);
    plan.origins.push(spec);
    Ok(())
}

/// A line of its own, before the segment of a number.
pub(super) fn tells(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    let origin = plan.origins.last_mut().ok_or("no origin before it")?;
    let (number, line) = (words.number()?, words.word()?);
    if !line.starts_with('#') {
        return Err(format!("not a line of a playlist: {line}"));
    }
    let lines = origin.tags.entry(number).or_default();
    lines.push(line.to_owned());
    Ok(())
}

/// Puts the last origin behind a multivariant playlist.
pub(super) fn presentation(plan: &mut Plan, words: &mut Words<'_>) -> Result<(), String> {
    let mut spec = PresentationSpec::default();
    while let Some(word) = words.next() {
        match word {
            "audio" | "view" | "subtitles" | "i-frames" if spec.tracks.is_empty() => {
                return Err("a variant comes first".to_owned());
            }
            "variant" => {
                let height = words.number()?;
                let bandwidth = height * 2_000;
                let kind = TrackKind::Variant { bandwidth, height };
                spec.tracks.push(TrackSpec::new(kind));
            }
            "audio" => {
                let language = words.word()?.to_owned();
                let kind = TrackKind::Audio { language };
                spec.tracks.push(TrackSpec::new(kind));
            }
            "view" => {
                let view = words.word()?.to_owned();
                spec.tracks.push(TrackSpec::new(TrackKind::Video { view }));
            }
            "subtitles" => {
                let language = words.word()?.to_owned();
                let kind = TrackKind::Subtitles { language };
                spec.tracks.push(TrackSpec::new(kind));
            }
            "i-frames" => {
                let height = words.number()?;
                let bandwidth = height * 200;
                let kind = TrackKind::IFrames { bandwidth, height };
                spec.tracks.push(TrackSpec::new(kind));
            }
            "behind" => {
                let last = spec.tracks.last_mut().ok_or("behind what?")?;
                last.behind = words.number()?;
            }
            "numbers" => {
                let last = spec.tracks.last_mut().ok_or("numbers of what?")?;
                last.media_sequence = Some(words.number()?);
            }
            "segment" => {
                let last = spec.tracks.last_mut().ok_or("segments of what?")?;
                let each = words.in_turn(|it| it.seconds())?;
                last.durations = Some(SegmentDurations::Pattern(each));
            }
            "counted-higher" => {
                let last = spec.tracks.last_mut().ok_or("what is?")?;
                last.counted_higher = words.number()?;
            }
            "packed-audio" => spec.packed_audio = true,
            "fragments" => spec.container = Container::Fragments,
            "files" => spec.segments_per_file = Some(words.positive()?),
            "keys" => spec.segments_per_key = Some(words.positive()?),
            "shared-keys" => spec.shared_keys = true,
            "expiring-tokens" => spec.expiring_tokens = true,
            "says-more" => spec.says_more = true,
            "formats-in-media" => spec.formats = FormatsTold::InMedia,
            "formats-nowhere" => spec.formats = FormatsTold::Nowhere,
            other => return Err(format!("unknown word {other}")),
        }
    }
    if spec.tracks.is_empty() {
        return Err("it needs a variant".to_owned());
    }
    let origin = plan.origins.last_mut().ok_or("no origin before it")?;
    match origin.presentation.replace(spec) {
        Some(_) => Err("its origin has one already".to_owned()),
        None => Ok(()),
    }
}
