//! Faults in the words of a printed plan.

use super::{
    ConnectionFault, EncoderFault, EntryFault, Fault, FaultKind, Names, PlaylistFault,
    PresentationFault, Requests, SegmentFault, TextFault, ViewFault, Which,
};
use std::fmt;

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to {}: ", self.from, self.until)?;
        if let Some(track) = self.track {
            write!(out, "track {track}: ")?;
        }
        write!(out, "{}", self.kind)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoder(fault) => fault.fmt(out),
            Self::View(fault) => fault.fmt(out),
            Self::Text(fault) => fault.fmt(out),
            Self::Playlist(fault) => fault.fmt(out),
            Self::Segment(fault) => fault.fmt(out),
            Self::Connection(fault) => fault.fmt(out),
            Self::Presentation(fault) => fault.fmt(out),
        }
    }
}

impl fmt::Display for EncoderFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart {
                media_sequence,
                names,
            } => {
                write!(
                    out,
                    "encoder restarts at media sequence {media_sequence}, {names}"
                )
            }
            Self::JumpAhead { by } => write!(out, "media sequence jumps ahead by {by}"),
            Self::DiscontinuityWithTimestampJump { ticks } => {
                write!(out, "discontinuity, timestamps jump by {ticks} ticks")
            }
            Self::TargetDurationChange {
                target_duration,
                segment,
            } => {
                write!(
                    out,
                    "target duration {target_duration} s, segments of {segment}"
                )
            }
            Self::EndList {
                media_sequence,
                names,
            } => {
                write!(
                    out,
                    "ENDLIST, then live again at media sequence {media_sequence}, {names}"
                )
            }
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::New => "new names",
            Self::Same => "the same names",
        })
    }
}

impl fmt::Display for ViewFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Freeze => write!(out, "playlist frozen"),
            Self::GoBackwards { by } => write!(out, "playlist {by} segments old"),
            Self::FallBehind { by } => write!(out, "playlist falls {by} segments behind"),
            Self::TwoEdges { lag } => write!(out, "two edges, one {lag} segments behind"),
        }
    }
}

impl fmt::Display for TextFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RotatingTokens => write!(out, "tokens rotate at every reload"),
            Self::TargetDuration { target_duration } => {
                write!(
                    out,
                    "playlist claims a target duration of {target_duration} s"
                )
            }
            Self::Version { version } => write!(out, "playlist claims version {version}"),
            Self::DuplicateTags { agree: true } => write!(out, "playlist tags twice, equal"),
            Self::DuplicateTags { agree: false } => write!(out, "playlist tags twice, unequal"),
            Self::ByteOrderMark => write!(out, "playlist begins with a byte order mark"),
            Self::Odd(oddity) => oddity.fmt(out),
            Self::NotUtf8 => write!(out, "playlist is not UTF-8"),
            Self::NulByte => write!(out, "playlist holds a NUL"),
            Self::ForeignScheme => write!(out, "segments listed meanwhile have ftp URLs"),
            Self::Gaps => write!(out, "segments listed meanwhile are gaps"),
            Self::HugeTags { bytes } => write!(out, "playlist holds {bytes} bytes of tags"),
        }
    }
}

impl fmt::Display for PlaylistFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code } => write!(out, "playlist answers {code}"),
            Self::Html200 => write!(out, "playlist is an HTML page"),
            Self::EmptyBody => write!(out, "playlist is empty"),
            Self::RedirectLoop => write!(out, "playlist redirects to itself"),
            Self::RedirectToOtherHost => write!(out, "playlist redirects to another host"),
            Self::GzipBomb { bytes } => write!(out, "playlist is a gzip bomb of {bytes} bytes"),
            Self::WrongContentType => write!(out, "playlist says it is text/html"),
            Self::UnaskedGzip => write!(out, "playlist is gzip without being asked"),
            Self::Multivariant => write!(out, "playlist is a multivariant playlist"),
        }
    }
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { which, code } => write!(out, "{which} answer {code}"),
            Self::Missing { which } => write!(out, "{which} missing"),
            Self::Late { which, by } => write!(out, "{which} late by {by}"),
            Self::Truncated { which } => write!(out, "{which} truncated"),
            Self::ResetHalfWay { which } => write!(out, "{which} reset half way"),
            Self::RedirectLoop { which } => write!(out, "{which} redirect to themselves"),
            Self::RedirectToOtherHost { which } => {
                write!(out, "{which} redirect to another host")
            }
            Self::Drip {
                which,
                bytes_per_second,
            } => {
                write!(out, "{which} drip at {bytes_per_second} bytes a second")
            }
        }
    }
}

impl fmt::Display for PresentationFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysDown { code } => write!(out, "keys answer {code}"),
            Self::InitSectionsChange => write!(out, "init sections change"),
            Self::TokensExpire { code } => write!(out, "tokens expire, then answer {code}"),
            Self::Entry(fault) => write!(out, "multivariant playlist {fault}"),
            Self::Renamed => write!(out, "playlists of the tracks are renamed"),
            Self::Alone => write!(out, "media playlist in place of the multivariant playlist"),
        }
    }
}

impl fmt::Display for EntryFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Media => "is a media playlist",
            Self::NoVariant => "has no variant",
            Self::StrayUri => "has a URI too many",
            Self::VariantWithoutUri => "has a variant without a URI",
            Self::NoBandwidth => "has variants without a BANDWIDTH",
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(out, "segments"),
            Self::Number(number) => write!(out, "segments numbered {number}"),
            Self::OneIn(count) => write!(out, "one in {count} segments"),
            Self::ListedMeanwhile => write!(out, "segments listed meanwhile"),
        }
    }
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset { on } => write!(out, "{on} are reset"),
            Self::Hang { on } => write!(out, "{on} hang"),
            Self::Slow { on, by } => write!(out, "{on} are slow by {by}"),
        }
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::All => "all requests",
            Self::Playlist => "playlist requests",
            Self::Segments => "segment requests",
        })
    }
}
