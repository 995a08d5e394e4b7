//! What goes wrong at an origin, as a script says it.

use super::Words;
use crate::origin::{
    ConnectionFault, EncoderFault, EntryFault, FaultKind, Names, ODDITIES, PlaylistFault,
    PresentationFault, Requests, SegmentFault, TextFault, ViewFault, Which,
};

fn names(word: &str) -> Result<Names, String> {
    match word {
        "new" => Ok(Names::New),
        "same" => Ok(Names::Same),
        other => Err(format!("no such names: {other}")),
    }
}

fn requests(word: &str) -> Result<Requests, String> {
    match word {
        "all" => Ok(Requests::All),
        "playlists" => Ok(Requests::Playlist),
        "segments" => Ok(Requests::Segments),
        other => Err(format!("no such requests: {other}")),
    }
}

/// Reads what goes wrong at an origin.
pub(crate) fn fault(words: &mut Words<'_>) -> Result<FaultKind, String> {
    Ok(match words.word()? {
        "restart" => {
            let (media_sequence, names) = (words.number()?, names(words.word()?)?);
            EncoderFault::Restart {
                media_sequence,
                names,
            }
            .into()
        }
        "endlist" => {
            let (media_sequence, names) = (words.number()?, names(words.word()?)?);
            EncoderFault::EndList {
                media_sequence,
                names,
            }
            .into()
        }
        "jump" => EncoderFault::JumpAhead {
            by: words.number()?,
        }
        .into(),
        "discontinuity" => {
            EncoderFault::DiscontinuityWithTimestampJump { ticks: 90_000_000 }.into()
        }
        "target" => {
            let (target_duration, segment) = (words.number()?, words.seconds()?);
            EncoderFault::TargetDurationChange {
                target_duration,
                segment,
            }
            .into()
        }
        "freeze" => ViewFault::Freeze.into(),
        "backwards" => ViewFault::GoBackwards {
            by: words.number()?,
        }
        .into(),
        "fall-behind" => ViewFault::FallBehind {
            by: words.number()?,
        }
        .into(),
        "two-edges" => ViewFault::TwoEdges {
            lag: words.number()?,
        }
        .into(),
        "false-target" => TextFault::TargetDuration {
            target_duration: words.number()?,
        }
        .into(),
        "odd" => {
            let word = words.word()?;
            let odd = ODDITIES.iter().find(|it| format!("{it:?}") == word);
            TextFault::Odd(*odd.ok_or(format!("nothing odd is called {word}"))?).into()
        }
        "not-utf8" => TextFault::NotUtf8.into(),
        "nul" => TextFault::NulByte.into(),
        "bom" => TextFault::ByteOrderMark.into(),
        "foreign-scheme" => TextFault::ForeignScheme.into(),
        "gaps" => TextFault::Gaps.into(),
        "huge" => TextFault::HugeTags { bytes: 50_000_000 }.into(),
        "playlist" => PlaylistFault::Status {
            code: words.small()?,
        }
        .into(),
        "html" => PlaylistFault::Html200.into(),
        "empty" => PlaylistFault::EmptyBody.into(),
        "wrong-type" => PlaylistFault::WrongContentType.into(),
        "unasked-gzip" => PlaylistFault::UnaskedGzip.into(),
        "gzip-bomb" => PlaylistFault::GzipBomb { bytes: 50_000_000 }.into(),
        "multivariant" => PlaylistFault::Multivariant.into(),
        "redirect-loop" => PlaylistFault::RedirectLoop.into(),
        "redirect" => PlaylistFault::RedirectToOtherHost.into(),
        "segment" => {
            let (which, code) = (Which::Number(words.number()?), words.small()?);
            SegmentFault::Status { which, code }.into()
        }
        "segments" => {
            let code = words.small()?;
            SegmentFault::Status {
                which: Which::All,
                code,
            }
            .into()
        }
        "late" => {
            let (which, by) = (Which::Number(words.number()?), words.seconds()?);
            SegmentFault::Late { which, by }.into()
        }
        "missing" => SegmentFault::Missing {
            which: Which::Number(words.number()?),
        }
        .into(),
        "reset-half-way" => SegmentFault::ResetHalfWay {
            which: Which::Number(words.number()?),
        }
        .into(),
        "truncated" => SegmentFault::Truncated {
            which: Which::Number(words.number()?),
        }
        .into(),
        "segments-redirect" => SegmentFault::RedirectToOtherHost { which: Which::All }.into(),
        "segments-redirect-loop" => SegmentFault::RedirectLoop { which: Which::All }.into(),
        "drip" => {
            let which = Which::Number(words.number()?);
            SegmentFault::Drip {
                which,
                bytes_per_second: 1_000,
            }
            .into()
        }
        "reset" => ConnectionFault::Reset {
            on: requests(words.word()?)?,
        }
        .into(),
        "hang" => ConnectionFault::Hang {
            on: requests(words.word()?)?,
        }
        .into(),
        "slow" => {
            let (on, by) = (requests(words.word()?)?, words.seconds()?);
            ConnectionFault::Slow { on, by }.into()
        }
        "keys-down" => PresentationFault::KeysDown {
            code: words.small()?,
        }
        .into(),
        "entry" => PresentationFault::Entry(match words.word()? {
            "media" => EntryFault::Media,
            "no-variant" => EntryFault::NoVariant,
            "stray-uri" => EntryFault::StrayUri,
            "variant-without-uri" => EntryFault::VariantWithoutUri,
            "no-bandwidth" => EntryFault::NoBandwidth,
            other => return Err(format!("nothing is wrong that is called {other}")),
        })
        .into(),
        "tracks-renamed" => PresentationFault::Renamed.into(),
        "alone" => PresentationFault::Alone.into(),
        "init-sections-change" => PresentationFault::InitSectionsChange.into(),
        "tokens-expire" => PresentationFault::TokensExpire {
            code: words.small()?,
        }
        .into(),
        other => return Err(format!("no such fault: {other}")),
    })
}
