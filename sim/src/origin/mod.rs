//! A live encoder with its CDN, as a pure function of (plan, time, request).
//!
//! One model, two transports: the simulated world asks it directly, and the binary's demo and the
//! tests with real processes serve the same model over real HTTP.
//!
//! A reply is made in five steps, each with the faults that strike there:
//! 1. the connection ([`ConnectionFault`])            `respond`
//! 2. what was made by now ([`EncoderFault`])         `encoder`
//! 3. which version of it is seen ([`ViewFault`])     `respond`
//! 4. the text of the playlist ([`TextFault`])        `playlist`
//! 5. the reply ([`PlaylistFault`], [`SegmentFault`]) `respond`
//!
//! Nothing is remembered between two requests. A random number is drawn by name and index
//! ([`crate::rng`]), so that removing one fault from a plan moves nothing else.
//!
//! With a [`PresentationSpec`] it stands behind a multivariant playlist, and each track is an origin of
//! its own: a request goes to the one in whose folder its path lies.
//!
//! Absent on purpose: low latency, files sent whole to who asks for a range of them, and media that is
//! really encrypted.

mod encoder;
mod fault;
mod form;
mod lasting;
pub mod media;
mod names;
mod oddity;
mod piece;
mod playlist;
mod presentation;
mod reply;
mod respond;
mod spec;
mod struck;
mod truth;
pub mod ts;

pub use fault::{
    ConnectionFault, EncoderFault, EntryFault, Fault, FaultKind, Names, PlaylistFault,
    PresentationFault, Requests, SegmentFault, TextFault, ViewFault, Which,
};
pub use form::Container;
pub use media::{MediaKind, MediaLoop, MediaRef};
pub(crate) use names::{date_time, without_tokens};
pub use oddity::{ODDITIES, Oddity};
pub use presentation::{FormatsTold, MORE, PresentationSpec, TrackKind, TrackSpec};
pub use reply::{
    Body, Delivery, Headers, Listed, OriginReply, OriginRequest, RequestCounter, believed,
};
pub use spec::{Keeps, Keying, Naming, OriginSpec, SegmentDurations, Tokens, UriForm};
pub use struck::Unmet;
pub use truth::{KeyNeed, Needs, Offered};

use crate::rng::Stream;
use encoder::{Encoder, Place};
use form::Form;
use hls_relay_core::time::Span;
use lasting::Lasting;
use std::sync::Arc;

/// A simulated origin.
#[derive(Clone, Debug)]
pub struct Origin {
    spec: OriginSpec,
    encoder: Encoder,
    form: Form,
    media_loop: Arc<MediaLoop>,
    /// Of a presentation.
    tracks: Vec<Origin>,
    /// Another place has its media so much earlier.
    ahead: Span,
    lasting: Lasting,
}

impl Origin {
    /// An origin that does what `spec` says, from time zero on.
    pub fn new(spec: OriginSpec) -> Self {
        let encoder = Encoder::new(&spec, &spec.faults);
        let media_loop = Arc::new(MediaLoop::embedded());
        let tracks = tracks(&spec, &encoder, &media_loop);
        let form = Form {
            segments_per_key: spec.segments_per_key,
            keying: spec.keying,
            ..Form::default()
        };
        Self {
            lasting: Lasting::of(&spec.faults),
            spec,
            encoder,
            form,
            media_loop,
            tracks,
            ahead: Span::ZERO,
        }
    }

    /// What a track is served by; the origin itself where there is only one.
    pub fn track(&self, track: u16) -> &Self {
        self.tracks.get(usize::from(track)).unwrap_or(self)
    }

    /// What it was told.
    pub fn spec(&self) -> &OriginSpec {
        &self.spec
    }

    /// Replaces the plan. What has happened already is told anew by the new plan, so a fault of the
    /// encoder that lies in the past should stay in it.
    pub fn set_faults(&mut self, faults: Vec<Fault>) {
        self.encoder = Encoder::new(&self.spec, &faults);
        self.lasting = Lasting::of(&faults);
        self.spec.faults = faults;
        self.tracks = tracks(&self.spec, &self.encoder, &self.media_loop);
    }

    /// Adds a fault that begins at `at`, which is now, and lasts for `length`.
    pub fn inject(&mut self, at: Span, length: Span, kind: impl Into<FaultKind>) {
        let mut faults = self.spec.faults.clone();
        faults.push(Fault::new(at, length, kind));
        self.set_faults(faults);
    }

    /// The bytes that a body of media means.
    pub fn media_bytes(&self, media: &MediaRef) -> Vec<u8> {
        self.media_loop.bytes(media)
    }

    fn media(&self, place: Place) -> MediaRef {
        let piece = self.encoder.piece(place);
        let number = piece.first_number + place.index;
        let start_tick = piece.tick(place.index);
        let whole = piece.end_tick(place.index) - start_tick;
        let ticks = match self.form.first_frame {
            true => whole.min(media::FRAME_TICKS),
            false => whole,
        };
        let duration = piece.duration(place.index);
        let len = match self.form.kind() {
            MediaKind::Text => media::TEXT_LEN,
            MediaKind::TransportStream
            | MediaKind::Fragment
            | MediaKind::Packed
            | MediaKind::InitSection
            | MediaKind::Key => {
                self.padded(self.media_loop.natural_len(start_tick, ticks), duration)
            }
        };
        let hash = Stream::new(self.spec.seed, "media")
            .child(u64::from(piece.run))
            .child(start_tick)
            .child(ticks)
            .draw(len);
        let track = self.form.track;
        // That of the first track is what it is where there is only one.
        let hash = match track {
            0 => hash,
            _ => Stream::new(hash, "track").draw(u64::from(track)),
        };
        MediaRef {
            kind: self.form.kind(),
            track,
            run: piece.run,
            number,
            start_tick,
            ticks,
            duration,
            len,
            hash,
        }
    }

    /// Whole packets, and as many as the stated bit rate takes.
    fn padded(&self, natural: u64, duration: Span) -> u64 {
        let packet = ts::PACKET as u64;
        let wanted = self
            .spec
            .bit_rate
            .map_or(0, |rate| duration.scaled(rate, 8_000_000).as_micros());
        natural.max(wanted / packet * packet)
    }
}

/// The tracks of a presentation, each with what goes wrong with it. The first one's encoder is the
/// origin's own.
fn tracks(spec: &OriginSpec, lead: &Encoder, media_loop: &Arc<MediaLoop>) -> Vec<Origin> {
    let Some(presentation) = &spec.presentation else {
        return Vec::new();
    };
    let specs = presentation::track_specs(spec, presentation).into_iter();
    let track = |(number, spec): (usize, OriginSpec)| Origin {
        encoder: Encoder::following(lead, &spec, presentation.tracks[number].behind),
        form: presentation::form_of(presentation, number, spec.keying),
        media_loop: Arc::clone(media_loop),
        tracks: Vec::new(),
        ahead: Span::from_micros(spec.durations.mean())
            * presentation.behind_its_first_place(number),
        lasting: Lasting::of(&spec.faults),
        spec,
    };
    specs.enumerate().map(track).collect()
}

#[cfg(test)]
mod tests;
