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
//! Absent on purpose: variants (a multivariant playlist would stand in front and name several
//! playlist paths), keys, fMP4, low latency.

mod encoder;
mod fault;
pub mod media;
mod names;
mod playlist;
mod reply;
mod respond;
mod spec;
mod truth;
pub mod ts;

pub use fault::{
    ConnectionFault, EncoderFault, Fault, FaultKind, Names, PlaylistFault, Requests, SegmentFault,
    TextFault, ViewFault, Which,
};
pub use media::{MediaLoop, MediaRef};
pub(crate) use names::without_tokens;
pub use reply::{Body, Delivery, Headers, Listed, OriginReply, OriginRequest, RequestCounter};
pub use spec::{Naming, OriginSpec, SegmentDurations, Tokens, UriForm};
pub use truth::Offered;

use crate::rng::Stream;
use encoder::{Encoder, Place};
use hls_relay_core::time::Span;

/// A simulated origin.
#[derive(Clone, Debug)]
pub struct Origin {
    spec: OriginSpec,
    encoder: Encoder,
    media_loop: MediaLoop,
}

impl Origin {
    /// An origin that does what `spec` says, from time zero on.
    pub fn new(spec: OriginSpec) -> Self {
        let encoder = Encoder::new(&spec, &spec.faults);
        Self {
            spec,
            encoder,
            media_loop: MediaLoop::embedded(),
        }
    }

    /// What it was told.
    pub fn spec(&self) -> &OriginSpec {
        &self.spec
    }

    /// Replaces the plan. What has happened already is told anew by the new plan, so a fault of the
    /// encoder that lies in the past should stay in it.
    pub fn set_faults(&mut self, faults: Vec<Fault>) {
        self.encoder = Encoder::new(&self.spec, &faults);
        self.spec.faults = faults;
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
        let ticks = piece.tick(place.index + 1) - start_tick;
        let duration = piece.duration(place.index);
        let len = self.padded(self.media_loop.natural_len(start_tick, ticks), duration);
        let hash = Stream::new(self.spec.seed, "media")
            .child(u64::from(piece.run))
            .child(start_tick)
            .child(ticks)
            .draw(len);
        MediaRef {
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

#[cfg(test)]
mod tests;
