//! What is answered to whoever asks for a segment, or what it is read with.

use super::{OTHER_PREFIX, redirect, status, typed};
use crate::origin::encoder::Place;
use crate::origin::fault::{Fault, FaultKind, SegmentFault, Which};
use crate::origin::playlist::Reader;
use crate::origin::reply::{Body, Delivery, OriginReply, OriginRequest};
use crate::origin::{MediaRef, Origin, form, names};
use crate::rng::Stream;
use hls_relay_core::time::Span;

impl Origin {
    pub(super) fn segment_reply(
        &self,
        at: Span,
        request: &OriginRequest,
        path: &str,
        reader: Reader<'_>,
    ) -> OriginReply {
        if let Some(reply) = self.resource_reply(at, request, path) {
            return reply;
        }
        let Some(place) = self.find(at, request, path) else {
            return status(404);
        };
        let gone_at = self.encoder.gone_at(place, self.spec.retention);
        if gone_at.is_some_and(|gone_at| gone_at <= at) {
            return status(404);
        }
        let media = self.media(place);
        let mut reply = match self.range_of(place) {
            None => whole_or_range(self.form.content_type(), request, media),
            Some((offset, _)) => part_of_file(self.form.content_type(), offset, media),
        };
        let half = media.len / 2;
        for fault in self.spec.faults.iter() {
            let FaultKind::Segment(kind) = fault.kind else {
                continue;
            };
            if !self.strikes(fault, kind.which(), place, at) {
                continue;
            }
            match kind {
                SegmentFault::Status { code, .. } => return status(code),
                SegmentFault::Missing { .. } => return status(404),
                SegmentFault::Late { by, .. } => {
                    if at < self.encoder.listed_at(place) + by {
                        return status(404);
                    }
                }
                SegmentFault::RedirectLoop { .. } => {
                    return redirect(format!("http://{}{}", reader.host, request.path_and_query));
                }
                SegmentFault::RedirectToOtherHost { .. } => {
                    if let Some(other) = self.other_host(reader) {
                        let path = request.path_and_query.strip_prefix(reader.prefix);
                        let path = path.unwrap_or_default();
                        return redirect(format!("http://{other}{OTHER_PREFIX}{path}"));
                    }
                }
                SegmentFault::Truncated { .. } => {
                    reply.delivery = Delivery::Truncated { bytes: half };
                }
                SegmentFault::ResetHalfWay { .. } => {
                    reply.delivery = Delivery::ResetAfter { bytes: half };
                }
                SegmentFault::Drip {
                    bytes_per_second, ..
                } => {
                    reply.delivery = Delivery::Drip {
                        rate: bytes_per_second,
                    };
                }
            }
        }
        reply
    }

    /// A key or an init section, under any name that a playlist may have given it.
    fn resource_reply(&self, at: Span, request: &OriginRequest, path: &str) -> Option<OriginReply> {
        let path = names::without_tokens(path);
        let name = path.strip_prefix(names::folder(&self.spec.playlist_path))?;
        let (seed, faults) = (self.spec.seed, &self.spec.faults);
        let (media, content_type) = if name.ends_with(".key") {
            if let Some(code) = form::keys_refused(faults, at) {
                return Some(status(code));
            }
            let key = self.form.resource(seed, form::KEY, name, 0);
            (key, "application/octet-stream")
        } else if name.starts_with("init") && name.ends_with(".mp4") {
            let edition = form::init_edition(faults, at);
            let kind = form::INIT_SECTION;
            (self.form.resource(seed, kind, name, edition), "video/mp4")
        } else {
            return None;
        };
        Some(whole_or_range(content_type, request, media))
    }

    /// The segment that a request asks for. Of a file that holds several it is the one that the range
    /// begins with.
    pub(in crate::origin) fn find(
        &self,
        at: Span,
        request: &OriginRequest,
        path: &str,
    ) -> Option<Place> {
        let (spec, form, encoder) = (&self.spec, &self.form, &self.encoder);
        let Some(each) = form.segments_per_file else {
            return names::find(spec, form, encoder, path, at);
        };
        let first = names::find_file(spec, form, encoder, path, at)?;
        let (from, to) = request.range?;
        let listed = encoder.count_listed(first.piece, at);
        let places =
            (first.index..listed.min(first.index + each)).map(|index| Place { index, ..first });
        places.into_iter().find(|place| {
            self.range_of(*place)
                .is_some_and(|(offset, media)| offset == from && to == Some(from + media.len - 1))
        })
    }

    /// Where a segment stands in its file, where files hold several.
    pub(super) fn range_of(&self, place: Place) -> Option<(u64, MediaRef)> {
        let (_, before) = self.form.file_of(place)?;
        let before = before.map(|index| self.media(Place { index, ..place }).len);
        Some((before.sum(), self.media(place)))
    }

    /// Whether a segment's URI is one that a client asks for.
    pub(in crate::origin) fn is_fetchable(&self, place: Place) -> bool {
        let foreign = &self.lasting.foreign;
        foreign.is_empty() || !foreign.contains(self.encoder.listed_at(place))
    }

    /// Whether its list says that there is nothing to ask for.
    pub(in crate::origin) fn is_gap(&self, place: Place) -> bool {
        self.has_gaps() && self.lasting.gaps.contains(self.encoder.listed_at(place))
    }

    /// Whether there is at any time nothing to ask for where its list says so.
    pub fn has_gaps(&self) -> bool {
        !self.lasting.gaps.is_empty()
    }

    pub(in crate::origin) fn strikes(
        &self,
        fault: &Fault,
        which: Which,
        place: Place,
        at: Span,
    ) -> bool {
        let number = self.encoder.piece(place).first_number + place.index;
        match which {
            Which::All => fault.active(at),
            Which::Number(wanted) => fault.active(at) && number == wanted,
            Which::OneIn(count) => {
                let stream = Stream::new(self.spec.seed, "one in").child(fault.from.as_micros());
                fault.active(at) && stream.below(number, count) == 0
            }
            Which::ListedMeanwhile => fault.active(self.encoder.listed_at(place)),
        }
    }
}

/// A segment as the range of a file that goes on as long as the encoder does.
fn part_of_file(content_type: &'static str, offset: u64, media: MediaRef) -> OriginReply {
    let (first, len) = (0, media.len);
    let mut reply = typed(content_type, Body::Media { media, first, len });
    reply.status = 206;
    let end = offset + len;
    reply.headers.content_range = Some((offset, end - 1, end));
    reply
}

fn whole_or_range(
    content_type: &'static str,
    request: &OriginRequest,
    media: MediaRef,
) -> OriginReply {
    let Some((first, last)) = request.range else {
        return typed(
            content_type,
            Body::Media {
                media,
                first: 0,
                len: media.len,
            },
        );
    };
    if first >= media.len {
        return status(416);
    }
    let last = last.unwrap_or(u64::MAX).min(media.len - 1);
    if last < first {
        return status(416);
    }
    let mut reply = typed(
        content_type,
        Body::Media {
            media,
            first,
            len: last - first + 1,
        },
    );
    reply.status = 206;
    reply.headers.content_range = Some((first, last, media.len));
    reply
}
