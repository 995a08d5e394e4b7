//! What the origin really offered, for whoever checks what became of it.

use super::encoder::Place;
use super::media::MediaRef;
use super::names;
use super::piece::Piece;
use super::presentation::FormatsTold;
use super::spec::Keying;
use super::{Origin, OriginRequest, form};
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::time::{Span, WallTime};
use std::cmp::Ordering;
use std::ops::Range;

/// A segment that the encoder has listed. Whether a given reader ever saw a playlist that lists it
/// is another question: a cache may have been frozen meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What it is: run, number, place on the timeline, length and hash.
    pub media: MediaRef,
    /// Its path at the first host.
    pub path: String,
    /// Whether its URI is one that a client asks for.
    pub fetchable: bool,
    /// Whether its list says that there is nothing to ask for.
    pub gap: bool,
    /// Whether EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// When it begins on the encoder's own wall clock.
    pub starts: WallTime,
    /// When the encoder first listed it; zero for the backlog.
    pub listed_at: Span,
    /// When the encoder listed it no longer, if that is known by now or ever.
    pub removed_at: Option<Span>,
    /// When it can no longer be fetched.
    pub gone_at: Option<Span>,
}

/// What a segment is read with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The hashes that its init section has had so far.
    pub init: Option<Vec<u64>>,
    /// Its key.
    pub key: Option<KeyNeed>,
}

/// The key of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyNeed {
    /// What it is called.
    pub name: String,
    /// What it holds.
    pub hash: u64,
    /// The vector that its playlist tells; the number of the segment where it tells none.
    pub vector: Option<u128>,
    /// How it is told, where there are several ways the last.
    pub method: &'static str,
    /// Whoever is no player leaves it as it is.
    pub untouched: bool,
}

impl Origin {
    /// The track whose media a path belongs to; 0 where there is only one.
    pub fn track_of(&self, path: &str) -> u16 {
        let prefix = super::respond::OTHER_PREFIX;
        let path = path.strip_prefix(prefix).unwrap_or(path);
        let tracks = self.spec.presentation.as_ref();
        let track = super::presentation::track_of(&self.spec, path);
        let track = track.and_then(|it| Some(tracks?.twin_of(it)));
        track.and_then(|it| u16::try_from(it).ok()).unwrap_or(0)
    }

    /// The tracks that are read with the keys of this one.
    pub fn under_keys_of(&self, track: u16) -> Vec<u16> {
        let presentation = self.spec.presentation.as_ref();
        let shared = presentation.filter(|it| it.shared_keys && track == 0);
        shared.map_or(vec![track], |it| {
            (0..it.tracks.len())
                .filter_map(|at| u16::try_from(it.twin_of(at)).ok())
                .collect()
        })
    }

    /// What whoever looks into a piece of media finds it made of.
    pub fn formats_of(&self, media: &MediaRef) -> Option<Result<Formats, Unreadable>> {
        let presentation = self.spec.presentation.as_ref()?;
        let track = presentation.tracks.get(usize::from(media.track))?;
        Some(match presentation.formats {
            FormatsTold::Stated | FormatsTold::InMedia => Ok(track.kind.formats()),
            FormatsTold::Nowhere => Err(Unreadable::Container),
        })
    }

    /// How far its slowest track is behind the encoder: all others wait for it.
    pub fn out_of_step(&self) -> Span {
        let tracks = self.spec.presentation.iter().flat_map(|it| &it.tracks);
        let behind = tracks.map(|track| track.behind).max().unwrap_or(0);
        Span::from_secs(self.spec.target_duration) * behind
    }

    /// How long its replies take at the most, while nothing is wrong.
    pub fn slowest_reply(&self) -> Span {
        self.spec.latency + self.spec.latency_jitter
    }

    /// The origin of the track that a path lies in; the origin itself where there is only one.
    pub fn track_at(&self, path: &str) -> &Self {
        let prefix = super::respond::OTHER_PREFIX;
        let path = path.strip_prefix(prefix).unwrap_or(path);
        let track = super::presentation::track_of(&self.spec, path);
        track.and_then(|it| self.tracks.get(it)).unwrap_or(self)
    }

    /// When the encoder began a segment, on its own wall clock, and whether a discontinuity is before it.
    pub fn began(&self, media: &MediaRef) -> Option<(WallTime, bool)> {
        let pieces = self.track(media.track).encoder.pieces().iter();
        let mut of_run = pieces.filter(|piece| piece.run == media.run);
        of_run.find_map(|piece| {
            let index = piece.index_of(media.number)?;
            let at = names::wall(&self.spec, piece.start(index));
            Some((at, piece.discontinuity && index == 0))
        })
    }

    /// Lists tell how its tracks lie side by side: by dates, by numbers in common, or by where they end.
    pub fn tells_side_by_side(&self) -> bool {
        let tracks = || self.spec.presentation.iter().flat_map(|it| &it.tracks);
        let counted_alike = tracks().all(|it| it.media_sequence.is_none());
        self.spec.program_date_time || counted_alike || tracks().all(|it| it.behind == 0)
    }

    /// The lists of all its tracks end at one time: they are in step, and cut alike.
    pub fn is_told_by_edges(&self) -> bool {
        let mut tracks = self.spec.presentation.iter().flat_map(|it| &it.tracks);
        tracks.all(|it| it.behind == 0 && it.durations.is_none())
    }

    /// What a segment of this track is read with, as far as it has been by `at`.
    pub fn needs_of(&self, media: &MediaRef, at: Span) -> Needs {
        let pieces = self.encoder.pieces().iter().enumerate();
        let found = pieces.rev().find_map(|(piece, it)| {
            let index = it.index_of(media.number).filter(|_| it.run == media.run)?;
            Some(Place { piece, index })
        });
        let Some(place) = found else {
            return Needs::default();
        };
        let resource = |kind, name: &str, edition| {
            let media = self.form.resource(self.spec.seed, kind, name, edition);
            media.hash
        };
        let init = self
            .form
            .init_of(&self.encoder, place)
            .map(|(names, discontinuity)| {
                let name = form::init_name(names, discontinuity);
                let editions = 0..=form::init_edition(&self.spec.faults, at);
                let hash = |edition| resource(form::INIT_SECTION, &name, edition);
                editions.map(hash).collect()
            });
        let key = self.form.key_of(media.number).map(|key| {
            let name = form::key_name(self.encoder.piece(place).names, key);
            let hash = resource(form::KEY, &name, 0);
            let keying = self.form.keying;
            KeyNeed {
                name: match keying {
                    Keying::Drm => format!("-{key}"),
                    Keying::ByNumber | Keying::Vector | Keying::InTurns | Keying::Gcm => name,
                },
                hash,
                vector: (keying == Keying::Vector).then(|| form::vector_of(key)),
                method: match keying {
                    Keying::ByNumber | Keying::Vector | Keying::InTurns => "AES-128",
                    Keying::Drm => "SAMPLE-AES-CTR",
                    Keying::Gcm => "AES-256-GCM",
                },
                untouched: matches!(keying, Keying::Drm | Keying::Gcm),
            }
        });
        Needs { init, key }
    }

    /// The segment that a request asks for, where it has been listed by `at`.
    pub fn segment_at(&self, at: Span, request: &OriginRequest) -> Option<MediaRef> {
        let path = request.path();
        let prefix = super::respond::OTHER_PREFIX;
        let path = path.strip_prefix(prefix).unwrap_or(path);
        let track = self.track_at(path);
        let place = track.find(at, request, path)?;
        Some(track.media(place))
    }

    /// Every segment that was listed at some time from zero to `at`, in the order in which they were
    /// made.
    pub fn segments_offered(&self, at: Span) -> Vec<Offered> {
        self.segments_offered_since(Span::ZERO, at)
    }

    /// Every segment that was listed at some time from `since` to `at`, both included.
    pub fn segments_offered_since(&self, since: Span, at: Span) -> Vec<Offered> {
        let newest_first = (0..self.encoder.pieces().len()).rev().flat_map(|piece| {
            let count = self.encoder.count_listed(piece, at);
            (0..count).rev().map(move |index| Place { piece, index })
        });
        // Before one that had left the list, all had.
        let was_listed = |place: &Place| {
            let removed = self.encoder.removed_at(*place);
            removed.is_none_or(|removed| removed > since)
        };
        let places = newest_first.take_while(was_listed);
        let mut offered: Vec<Offered> = places.map(|place| self.offered(place)).collect();
        offered.reverse();
        offered
    }

    /// Those with these numbers, in whichever run, that were listed here or in another place of the same media.
    pub fn segments_numbered(&self, numbers: &Range<u64>, at: Span) -> Vec<Offered> {
        let at = at + self.ahead;
        let pieces = self.encoder.pieces().iter().enumerate();
        let places = pieces.flat_map(|(piece, it)| {
            let count = self.encoder.count_listed(piece, at);
            let index = |number: u64| number.saturating_sub(it.first_number).min(count);
            let indices = index(numbers.start)..index(numbers.end);
            indices.map(move |index| Place { piece, index })
        });
        let was_listed = |place: &Place| {
            let removed = self.encoder.removed_at(*place);
            removed.is_none_or(|removed| removed > Span::ZERO)
        };
        let listed = places.filter(was_listed);
        listed.map(|place| self.offered(place)).collect()
    }

    /// When the encoder first lists the segment that follows this one, in its run or in a later one.
    pub fn next_listed_at(&self, run: u32, number: u64) -> Option<Span> {
        let pieces = self.encoder.pieces().iter().enumerate();
        let follows = |(piece, it): (usize, &Piece)| {
            let index = match it.run.cmp(&run) {
                Ordering::Less => None,
                Ordering::Equal => it.index_of(number + 1),
                Ordering::Greater => Some(0).filter(|_| it.count > 0),
            };
            index.map(|index| Place { piece, index })
        };
        let place = pieces.filter_map(follows).next()?;
        Some(self.encoder.listed_at(place))
    }

    fn offered(&self, place: Place) -> Offered {
        let piece = self.encoder.piece(place);
        let mut path = names::folder(&self.spec.playlist_path).to_owned();
        names::write_name(&mut path, &self.spec, &self.form, &self.encoder, place);
        Offered {
            media: self.media(place),
            path,
            fetchable: self.is_fetchable(place) && !self.is_gap(place),
            gap: self.is_gap(place),
            discontinuity: piece.discontinuity && place.index == 0,
            starts: names::wall(&self.spec, piece.start(place.index)),
            listed_at: self.encoder.listed_at(place),
            removed_at: self.encoder.removed_at(place),
            gone_at: self.encoder.gone_at(place, self.spec.retention),
        }
    }
}
