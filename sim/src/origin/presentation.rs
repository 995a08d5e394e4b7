//! A presentation of several tracks: one encoder, and a media playlist for each of its outputs, behind a
//! multivariant playlist.
//!
//! A track is an origin of its own, with a folder of its own. All tracks share the encoder's timeline and
//! its breaks: those of the first one cut the segments of the others. So every fault of an ordinary origin
//! strikes a track as well, all of them or one ([`Fault`](super::Fault) with a track).

use super::fault::{EntryFault, Fault, FaultKind, PresentationFault};
use super::form::{Container, Form};
use super::names::folder;
use super::reply::OriginRequest;
use super::spec::{Keying, Naming, OriginSpec, SegmentDurations};
use hls_relay_core::formats::Formats;
use hls_relay_core::playlist::Resolution;
use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

/// The parameter in which a URI says when it was given out.
const ISSUED: &str = "issued=";
/// What the playlist of a track is called, as long as nobody renames it.
const NAME: &str = "index.m3u8";
/// What that of the first track is called where there is no multivariant playlist.
const ALONE: &str = "alone.m3u8";

/// The tracks of an origin, and what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PresentationSpec {
    /// The first is a variant: its segments say where the others are cut.
    pub tracks: Vec<TrackSpec>,
    /// What segments of variants and audio are.
    pub container: Container,
    /// Segments of audio are packed, whatever those of variants are.
    pub packed_audio: bool,
    /// So many segments stand in one file, each a byte range of it.
    pub segments_per_file: Option<u64>,
    /// Segments are under AES-128 with another key after so many.
    pub segments_per_key: Option<u64>,
    /// All tracks name the same keys, where the first has its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_keys: bool,
    /// URIs say when they were given out, so that they can expire.
    pub expiring_tokens: bool,
    /// Where it is told what media is made of.
    pub formats: FormatsTold,
    /// It says more of the session, and names its playlists by a variable.
    pub says_more: bool,
}

/// What a multivariant playlist says beside its entries.
pub const MORE: [&str; 6] = [
    "#EXT-X-SESSION-DATA:DATA-ID=\"com.example.title\",VALUE=\"A, B\"",
    "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://fair-0\",KEYFORMAT=\"com.apple.streamingkeydelivery\"",
    "#EXT-X-START:TIME-OFFSET=-9",
    "# by hand",
    "#EXT-X-VENDOR:A=1",
    "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"said\",NAME=\"en\",INSTREAM-ID=\"CC1\"",
];
/// Lines of the picture of another view.
const VIEW_HEIGHT: u64 = 480;
/// The view that each variant has itself.
const OWN_VIEW: &str =
    "#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"views\",NAME=\"own\",DEFAULT=YES,AUTOSELECT=YES\n";
/// What stands at the beginning of the path of each track.
const TRACK: &str = "t";

/// Where it is told what media is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatsTold {
    /// CODECS and RESOLUTION in the multivariant playlist.
    #[default]
    Stated,
    /// In the media alone.
    InMedia,
    /// Nowhere: whoever looks into the media cannot read it.
    Nowhere,
}

/// One media playlist of a presentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackSpec {
    /// What it is, as the multivariant playlist says.
    pub kind: TrackKind,
    /// Its playlist is so many segments behind the encoder.
    pub behind: u64,
    /// Its first media sequence number, where that is another one than the others'.
    pub media_sequence: Option<u64>,
    /// What it counts its segments higher by than the first place of the same media does.
    #[serde(default)]
    pub counted_higher: u64,
    /// How long its segments are, where they are cut otherwise than the first track's.
    pub durations: Option<SegmentDurations>,
    /// What its segments are padded to, in bits per second.
    pub bit_rate: Option<u64>,
}

/// What a track is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// EXT-X-STREAM-INF; with the audio and the subtitles of the presentation where it has any.
    Variant {
        /// As stated.
        bandwidth: u64,
        /// Lines of the picture.
        height: u64,
    },
    /// EXT-X-MEDIA of TYPE=AUDIO.
    Audio {
        /// RFC 5646.
        language: String,
    },
    /// EXT-X-MEDIA of TYPE=VIDEO: another view of the same, beside that of the variants.
    Video {
        /// NAME.
        view: String,
    },
    /// EXT-X-MEDIA of TYPE=SUBTITLES.
    Subtitles {
        /// RFC 5646.
        language: String,
    },
    /// EXT-X-I-FRAME-STREAM-INF: the first frame of each segment.
    IFrames {
        /// As stated.
        bandwidth: u64,
        /// Lines of the picture.
        height: u64,
    },
}

impl PresentationSpec {
    /// The first track that is described just like this one: it has the same media.
    pub fn twin_of(&self, track: usize) -> usize {
        let kind = self.tracks.get(track).map(|it| &it.kind);
        let twin = self.tracks.iter().position(|it| Some(&it.kind) == kind);
        twin.unwrap_or(track)
    }

    /// So many segments a track is behind the place where its media is first of all.
    pub(super) fn behind_its_first_place(&self, track: usize) -> u64 {
        let places = self.tracks.iter().enumerate();
        let twins = places.filter(|(at, _)| self.twin_of(*at) == self.twin_of(track));
        let first = twins.map(|(_, place)| place.behind).min();
        self.tracks[track].behind.saturating_sub(first.unwrap_or(0))
    }

    /// What each track is, and what its segments are.
    pub fn media(&self) -> impl Iterator<Item = (&TrackKind, Container)> {
        let form = |number| form_of(self, number, Keying::default());
        let tracks = self.tracks.iter().enumerate();
        tracks.map(move |(number, track)| (&track.kind, form(number).container))
    }

    /// What nobody waits for is less far behind the encoder than the slowest that is waited for, or nothing
    /// is behind: all can cover the same time, whoever is looked at first.
    pub fn is_in_step(&self) -> bool {
        let behind = |waited: bool| {
            let own = self.tracks.iter().enumerate();
            let own = own.filter(|(track, _)| self.twin_of(*track) == *track);
            let own = own.filter(move |(_, it)| it.kind.is_waited_for() == waited);
            own.map(|(_, it)| it.behind).max().unwrap_or(0)
        };
        behind(false) == 0 || behind(false) < behind(true)
    }
}

impl TrackKind {
    /// Whether other tracks wait for it.
    pub fn is_waited_for(&self) -> bool {
        match self {
            Self::Variant { .. } | Self::Audio { .. } | Self::Video { .. } => true,
            Self::Subtitles { .. } | Self::IFrames { .. } => false,
        }
    }

    /// What its media is made of.
    pub fn formats(&self) -> Formats {
        let (codecs, height): (&[&str], Option<u64>) = match self {
            Self::Variant { height, .. } => (&["avc1.4d401f", "mp4a.40.2"], Some(*height)),
            Self::Audio { .. } => (&["mp4a.40.2"], None),
            Self::Video { .. } => (&["avc1.4d401f"], Some(VIEW_HEIGHT)),
            Self::Subtitles { .. } => (&[], None),
            Self::IFrames { height, .. } => (&["avc1.4d401f"], Some(*height)),
        };
        Formats {
            codecs: codecs.iter().copied().map(Arc::from).collect(),
            frame_rate: None,
            resolution: height.map(|height| Resolution {
                width: height * 16 / 9,
                height,
            }),
        }
    }
}

impl TrackSpec {
    /// A track in step with the encoder.
    pub fn new(kind: TrackKind) -> Self {
        Self {
            kind,
            behind: 0,
            media_sequence: None,
            counted_higher: 0,
            durations: None,
            bit_rate: None,
        }
    }
}

impl fmt::Display for PresentationSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "presentation of {:?}", self.container)?;
        if self.packed_audio {
            write!(out, ", packed audio")?;
        }
        if let Some(each) = self.segments_per_file {
            write!(out, ", {each} segments in a file")?;
        }
        if let Some(each) = self.segments_per_key {
            let shared = if self.shared_keys { " of all" } else { "" };
            write!(out, ", {each} segments under a key{shared}")?;
        }
        if self.expiring_tokens {
            write!(out, ", with tokens")?;
        }
        match self.formats {
            FormatsTold::Stated => {}
            FormatsTold::InMedia => write!(out, ", without CODECS")?,
            FormatsTold::Nowhere => {
                write!(out, ", without CODECS, of media that does not tell them")?
            }
        }
        if self.says_more {
            write!(out, ", says more of the session")?;
        }
        self.tracks
            .iter()
            .enumerate()
            .try_for_each(|(number, track)| {
                write!(out, "; {number}: {:?} {} behind", track.kind, track.behind)?;
                match track.counted_higher {
                    0 => Ok(()),
                    by => write!(out, ", counted {by} higher"),
                }
            })
    }
}

/// What the playlists of the tracks are called at a time.
enum Names {
    All(Cow<'static, str>),
    /// There is no multivariant playlist.
    FirstAlone,
}

fn names_at(faults: &[Fault], at: Span) -> Names {
    let of = |fault: &Fault, kind| fault.kind == FaultKind::Presentation(kind);
    if faults
        .iter()
        .any(|it| it.active(at) && of(it, PresentationFault::Alone))
    {
        return Names::FirstAlone;
    }
    let renamed = |it: &&Fault| it.from <= at && of(it, PresentationFault::Renamed);
    Names::All(match faults.iter().filter(renamed).count() {
        0 => NAME.into(),
        times => format!("index-{times}.m3u8").into(),
    })
}

/// Where a track is, below the folder of the multivariant playlist: `t0/index.m3u8`.
fn track_path(track: usize, name: &str) -> String {
    format!("{TRACK}{track}/{name}")
}

/// A request that lies in the folder of a track as that one knows it, to which nobody has told its other
/// names. `None` where nothing has such a name.
pub(super) fn for_track<'a>(
    spec: &OriginSpec,
    at: Span,
    track: usize,
    request: &'a OriginRequest,
) -> Option<Cow<'a, OriginRequest>> {
    let path = request.path();
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    if !file.ends_with(".m3u8") {
        return Some(Cow::Borrowed(request));
    }
    let exists = match names_at(&spec.faults, at) {
        Names::All(name) => file == name,
        Names::FirstAlone => file == ALONE && track == 0,
    };
    let query = &request.path_and_query[path.len()..];
    let known = || OriginRequest {
        path_and_query: format!("{folder}/{NAME}{query}"),
        ..request.clone()
    };
    exists.then(|| match file {
        NAME => Cow::Borrowed(request),
        _ => Cow::Owned(known()),
    })
}

/// Where whoever asks for the multivariant playlist is led while there is none: below its folder.
pub(super) fn led_to(spec: &OriginSpec, at: Span) -> Option<String> {
    let presentation = spec.presentation.as_ref()?;
    match names_at(&spec.faults, at) {
        Names::All(_) => None,
        Names::FirstAlone => {
            let path = track_path(0, ALONE);
            Some(format!("{path}{}", token_at(presentation, at)))
        }
    }
}

/// The number of the track that a path belongs to.
pub(super) fn track_of(spec: &OriginSpec, path: &str) -> Option<usize> {
    let below = path.strip_prefix(folder(&spec.playlist_path))?;
    let (name, _) = below.strip_prefix('t')?.split_once('/')?;
    name.parse().ok()
}

/// An ordinary origin for each track.
pub(super) fn track_specs(spec: &OriginSpec, presentation: &PresentationSpec) -> Vec<OriginSpec> {
    let track = |(number, track): (usize, &TrackSpec)| OriginSpec {
        playlist_path: format!(
            "{}{}",
            folder(&spec.playlist_path),
            track_path(number, NAME)
        ),
        media_sequence: track.media_sequence.unwrap_or(spec.media_sequence),
        counted_higher: track.counted_higher,
        durations: track.durations.clone().unwrap_or(spec.durations.clone()),
        bit_rate: track.bit_rate.or(spec.bit_rate),
        version: spec.version.max(6),
        tags: counted_from(spec, track.media_sequence),
        naming: match presentation.segments_per_file {
            // Files are named by their place in the run.
            Some(_) => Naming::Numbered,
            None => spec.naming,
        },
        faults: faults_of(spec, number),
        presentation: None,
        ..spec.clone()
    };
    presentation.tracks.iter().enumerate().map(track).collect()
}

/// The lines of the origin, where a track has other numbers: before what is made at the same time.
fn counted_from(spec: &OriginSpec, media_sequence: Option<u64>) -> BTreeMap<u64, Vec<String>> {
    let first = media_sequence.unwrap_or(spec.media_sequence);
    let lines = spec.tags.iter();
    let lines = lines.map(|(number, lines)| (first + number - spec.media_sequence, lines.clone()));
    lines.collect()
}

/// What goes wrong with one track: its own, and what strikes all.
pub(super) fn faults_of(spec: &OriginSpec, track: usize) -> Vec<Fault> {
    let own = |fault: &&Fault| fault.track.is_none_or(|it| usize::from(it) == track);
    spec.faults.iter().filter(own).cloned().collect()
}

/// How a track writes its media.
pub(super) fn form_of(presentation: &PresentationSpec, number: usize, keying: Keying) -> Form {
    let track = &presentation.tracks[number];
    let (container, first_frame) = match track.kind {
        TrackKind::Audio { .. } if presentation.packed_audio => (Container::Packed, false),
        TrackKind::Variant { .. } | TrackKind::Audio { .. } | TrackKind::Video { .. } => {
            (presentation.container, false)
        }
        TrackKind::Subtitles { .. } => (Container::WebVtt, false),
        TrackKind::IFrames { .. } => (presentation.container, true),
    };
    let is_text = container == Container::WebVtt;
    // The same from elsewhere is the same media.
    let first = presentation.twin_of(number);
    Form {
        track: u16::try_from(first).unwrap_or(u16::MAX),
        container,
        first_frame,
        segments_per_file: presentation.segments_per_file.filter(|_| !is_text),
        segments_per_key: presentation.segments_per_key.filter(|_| !is_text),
        shared_keys: presentation.shared_keys,
        keying,
    }
}

/// Writes the multivariant playlist as it is given out at `at`, with what is wrong then.
pub(super) fn render(spec: &OriginSpec, presentation: &PresentationSpec, at: Span) -> String {
    let faults = &spec.faults;
    let name = match names_at(faults, at) {
        Names::All(name) => name,
        Names::FirstAlone => NAME.into(),
    };
    let mut text = render_good(presentation, at, &name);
    for fault in faults
        .iter()
        .filter(|it| it.active(at) && it.track.is_none())
    {
        let FaultKind::Presentation(PresentationFault::Entry(fault)) = &fault.kind else {
            continue;
        };
        match fault {
            EntryFault::Media => {
                let target = spec.target_duration;
                text = format!(
                    "#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n#EXTINF:{target},\nseg0.ts\n"
                );
            }
            EntryFault::NoVariant => {
                text = "#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"title\",VALUE=\"soon\"\n".to_owned();
            }
            EntryFault::StrayUri => text.push_str("elsewhere.m3u8\n"),
            EntryFault::VariantWithoutUri => {
                text.push_str("#EXT-X-STREAM-INF:BANDWIDTH=1000000\n");
            }
            EntryFault::NoBandwidth => text = text.replace("BANDWIDTH=", "X-BANDWIDTH="),
        }
    }
    text
}

fn render_good(presentation: &PresentationSpec, at: Span, name: &str) -> String {
    let mut out = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    let has =
        |wanted: fn(&TrackKind) -> bool| presentation.tracks.iter().any(|it| wanted(&it.kind));
    let mut groups = String::new();
    if has(|kind| matches!(kind, TrackKind::Audio { .. })) {
        groups.push_str(",AUDIO=\"sound\"");
    }
    if has(|kind| matches!(kind, TrackKind::Subtitles { .. })) {
        groups.push_str(",SUBTITLES=\"text\"");
    }
    let path = |number| {
        let path = track_path(number, name);
        match presentation.says_more {
            true => format!("{{$track}}{}", &path[TRACK.len()..]),
            false => path,
        }
    };
    if has(|kind| matches!(kind, TrackKind::Video { .. })) {
        groups.push_str(",VIDEO=\"views\"");
        out.push_str(OWN_VIEW);
    }
    if presentation.says_more {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "#EXT-X-DEFINE:NAME=\"track\",VALUE=\"{TRACK}\"");
        MORE.iter().for_each(|line| out.extend([*line, "\n"]));
        groups.push_str(",CLOSED-CAPTIONS=\"said\"");
    }
    let token = token_at(presentation, at);
    let formats = |codecs: &str, height: u64| match presentation.formats {
        FormatsTold::Stated => {
            format!(
                ",CODECS=\"{codecs}\",RESOLUTION={}x{height}",
                height * 16 / 9
            )
        }
        FormatsTold::InMedia | FormatsTold::Nowhere => String::new(),
    };
    let mut defaults = [true; 2];
    for (number, track) in presentation.tracks.iter().enumerate() {
        let uri = path(number) + &token;
        // Writing to a String cannot fail.
        let _ = match &track.kind {
            TrackKind::Variant { bandwidth, height } => writeln!(
                out,
                "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}{},FRAME-RATE=25.000{groups}\n{uri}",
                formats("avc1.4d401f,mp4a.40.2", *height)
            ),
            TrackKind::Audio { language } => write_rendition(
                &mut out,
                ("AUDIO", "sound"),
                language,
                &mut defaults[0],
                &uri,
            ),
            TrackKind::Video { view } => writeln!(
                out,
                "#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"views\",NAME=\"{view}\",URI=\"{uri}\""
            ),
            TrackKind::Subtitles { language } => write_rendition(
                &mut out,
                ("SUBTITLES", "text"),
                language,
                &mut defaults[1],
                &uri,
            ),
            TrackKind::IFrames { bandwidth, height } => writeln!(
                out,
                "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={bandwidth}{},URI=\"{uri}\"",
                formats("avc1.4d401f", *height)
            ),
        };
    }
    out
}

/// The first of its group is the one that is chosen where the user has no wish.
fn write_rendition(
    out: &mut String,
    (kind, group): (&str, &str),
    language: &str,
    default: &mut bool,
    uri: &str,
) -> fmt::Result {
    let is_default = if std::mem::take(default) { "YES" } else { "NO" };
    writeln!(
        out,
        "#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{group}\",NAME=\"{language}\",\
         LANGUAGE=\"{language}\",DEFAULT={is_default},AUTOSELECT=YES,URI=\"{uri}\""
    )
}

/// What stands behind a URI that is given out at `at`.
fn token_at(presentation: &PresentationSpec, at: Span) -> String {
    match presentation.expiring_tokens {
        true => format!("?{ISSUED}{}", at.as_micros()),
        false => String::new(),
    }
}

/// What the tokens of a request carry on, with its question mark: to be put behind every URI of its
/// reply.
pub(super) fn token_of(path_and_query: &str) -> &str {
    let query = path_and_query
        .find('?')
        .map_or("", |at| &path_and_query[at..]);
    if query.contains(ISSUED) { query } else { "" }
}

/// The status that a request is refused with: its token is from before they all expired, or is missing.
pub(super) fn refused(spec: &OriginSpec, at: Span, path_and_query: &str) -> Option<u16> {
    let tokens = spec
        .presentation
        .as_ref()
        .is_some_and(|it| it.expiring_tokens);
    let issued = path_and_query.split_once(ISSUED);
    let issued = issued.and_then(|(_, micros)| micros.parse().ok().map(Span::from_micros));
    spec.faults.iter().filter(|_| tokens).find_map(|fault| {
        let FaultKind::Presentation(PresentationFault::TokensExpire { code }) = fault.kind else {
            return None;
        };
        let expired = issued.is_none_or(|issued| issued < fault.from);
        (fault.from <= at && expired).then_some(code)
    })
}
