//! The form in which an origin writes its media: containers, files, keys and init sections.

use super::encoder::{Encoder, Place};
use super::fault::{Fault, FaultKind, PresentationFault};
use super::media::{MediaKind, MediaRef};
use super::spec::Keying;
use crate::rng::{Stream, hash_bytes};
use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};

/// What the segments of a track are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// MPEG-TS.
    #[default]
    TransportStream,
    /// Fragmented MP4 behind an EXT-X-MAP.
    Fragments,
    /// Text with cues.
    WebVtt,
    /// Sound without a container.
    Packed,
}

/// How one list of segments is written. That of a single media playlist is the default, but for its keys.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    pub(super) track: u16,
    pub(super) container: Container,
    /// A segment is its first frame alone, and the list says EXT-X-I-FRAMES-ONLY.
    pub(super) first_frame: bool,
    pub(super) segments_per_file: Option<u64>,
    pub(super) segments_per_key: Option<u64>,
    /// Those of the first track.
    pub(super) shared_keys: bool,
    pub(super) keying: Keying,
}

impl Form {
    /// The ending of a segment's name, with its dot.
    pub(super) fn ending(&self) -> &'static str {
        match self.container {
            Container::TransportStream => ".ts",
            Container::Fragments => ".m4s",
            Container::WebVtt => ".vtt",
            Container::Packed => ".aac",
        }
    }

    /// RFC 8216 4 and S-43.
    pub(super) fn content_type(&self) -> &'static str {
        match self.container {
            Container::TransportStream => "video/mp2t",
            Container::Fragments => "video/iso.segment",
            Container::WebVtt => "text/vtt",
            Container::Packed => "audio/aac",
        }
    }

    pub(super) fn kind(&self) -> MediaKind {
        match self.container {
            Container::TransportStream => MediaKind::TransportStream,
            Container::Fragments => MediaKind::Fragment,
            Container::WebVtt => MediaKind::Text,
            Container::Packed => MediaKind::Packed,
        }
    }

    /// The file of a segment and the segments before it there, where files hold several.
    pub(super) fn file_of(&self, place: Place) -> Option<(u64, std::ops::Range<u64>)> {
        let each = self.segments_per_file?;
        let file = place.index / each.max(1);
        Some((file, file * each..place.index))
    }

    /// The number of the key of a segment.
    pub(super) fn key_of(&self, number: u64) -> Option<u64> {
        let key = self.segments_per_key.map(|each| number / each.max(1));
        key.filter(|key| self.keying != Keying::InTurns || key % 3 != 1)
    }

    /// The lines that say from where on a key is in force; `address` is where it is.
    pub(super) fn key_lines(&self, key: Option<u64>, address: &str) -> String {
        const FORMATS: [&str; 2] = [
            "METHOD=SAMPLE-AES,URI=\"skd://fair-",
            "METHOD=SAMPLE-AES-CTR,URI=\"skd://vine-",
        ];
        let Some(key) = key else {
            return "#EXT-X-KEY:METHOD=NONE\n".to_owned();
        };
        match self.keying {
            Keying::ByNumber | Keying::InTurns => {
                format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{address}\"\n")
            }
            Keying::Vector => {
                let vector = vector_of(key);
                format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{address}\",IV=0x{vector:032X}\n")
            }
            Keying::Gcm => format!("#EXT-X-KEY:METHOD=AES-256-GCM,URI=\"{address}\"\n"),
            Keying::Drm => {
                let [fair, vine] = FORMATS;
                let [of_fair, of_vine] = DRM;
                format!(
                    "#EXT-X-KEY:{fair}{key}\",KEYFORMAT=\"{of_fair}\"\n\
                     #EXT-X-KEY:{vine}{key}\",KEYFORMAT=\"{of_vine}\"\n"
                )
            }
        }
    }

    /// The init section of a segment: another one for each run and behind each discontinuity.
    pub(super) fn init_of(&self, encoder: &Encoder, place: Place) -> Option<(u32, u64)> {
        let piece = encoder.piece(place);
        let has = self.container == Container::Fragments;
        has.then_some((piece.names, piece.discontinuity_sequence))
    }

    /// A key or an init section: small, and known by its name. `edition` counts how often the bytes under
    /// that name have changed.
    pub(super) fn resource(
        &self,
        seed: u64,
        (kind, len): (MediaKind, u64),
        name: &str,
        edition: u64,
    ) -> MediaRef {
        let shared = self.shared_keys && kind == MediaKind::Key;
        let track = if shared { 0 } else { self.track };
        let hash = Stream::new(seed, "resource")
            .child(u64::from(track))
            .child(hash_bytes(name.as_bytes()))
            .draw(edition);
        MediaRef {
            kind,
            track: self.track,
            run: 0,
            number: edition,
            start_tick: 0,
            ticks: 0,
            duration: Span::ZERO,
            len,
            hash,
        }
    }
}

/// What two DRM systems are called.
const DRM: [&str; 2] = [
    "com.apple.streamingkeydelivery",
    "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",
];

/// The vector that stands beside a key.
pub(super) fn vector_of(key: u64) -> u128 {
    (0x5EED << 96) | u128::from(key)
}

/// What an init section is, and how long.
pub(super) const INIT_SECTION: (MediaKind, u64) = (MediaKind::InitSection, 800);
/// What a key is, and how long.
pub(super) const KEY: (MediaKind, u64) = (MediaKind::Key, 16);

pub(super) fn init_name(names: u32, discontinuity: u64) -> String {
    format!("init{names}-{discontinuity}.mp4")
}

pub(super) fn key_name(names: u32, key: u64) -> String {
    format!("r{names}-{key}.key")
}

/// How often init sections have changed by `at` under the names that they have.
pub(super) fn init_edition(faults: &[Fault], at: Span) -> u64 {
    let changes = |fault: &&Fault| {
        fault.from <= at
            && fault.kind == FaultKind::Presentation(PresentationFault::InitSectionsChange)
    };
    faults.iter().filter(changes).count() as u64
}

/// What the key server answers instead of a key.
pub(super) fn keys_refused(faults: &[Fault], at: Span) -> Option<u16> {
    faults.iter().find_map(|fault| {
        let FaultKind::Presentation(PresentationFault::KeysDown { code }) = fault.kind else {
            return None;
        };
        fault.active(at).then_some(code)
    })
}
