//! What the origin really offered, for whoever checks what became of it.

use super::Origin;
use super::encoder::Place;
use super::media::MediaRef;
use super::names;
use super::piece::Piece;
use hls_relay_core::time::{Span, WallTime};
use std::cmp::Ordering;

/// A segment that the encoder has listed. Whether a given reader ever saw a playlist that lists it
/// is another question: a cache may have been frozen meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What it is: run, number, place on the timeline, length and hash.
    pub media: MediaRef,
    /// Its path at the first host.
    pub path: String,
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

impl Origin {
    /// Every segment that was listed at some time from zero to `at`, in the order in which they were
    /// made.
    pub fn segments_offered(&self, at: Span) -> Vec<Offered> {
        self.segments_offered_since(Span::ZERO, at)
    }

    /// Every segment that was listed at some time from `since` to `at`, both included.
    pub fn segments_offered_since(&self, since: Span, at: Span) -> Vec<Offered> {
        let mut offered = Vec::new();
        for piece in 0..self.encoder.pieces().len() {
            let count = self.encoder.count_listed(piece, at);
            let newest_first = (0..count).rev().map(|index| Place { piece, index });
            let start = offered.len();
            for place in newest_first {
                let segment = self.offered(place);
                if segment.removed_at.is_some_and(|removed| removed <= since) {
                    break;
                }
                offered.push(segment);
            }
            offered[start..].reverse();
        }
        offered
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
            discontinuity: piece.discontinuity && place.index == 0,
            starts: names::wall(&self.spec, piece.start(place.index)),
            listed_at: self.encoder.listed_at(place),
            removed_at: self.encoder.removed_at(place),
            gone_at: self.encoder.gone_at(place, self.spec.retention),
        }
    }
}
