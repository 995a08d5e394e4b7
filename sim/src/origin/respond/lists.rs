//! What is answered to whoever asks for a playlist.

use super::{HTML_TYPE, OTHER_PREFIX, page, redirect, status, typed};
use crate::origin::encoder::{Place, Window};
use crate::origin::fault::{FaultKind, PlaylistFault, TextFault, ViewFault};
use crate::origin::playlist::{self, Reader, Source};
use crate::origin::reply::{Body, Listed, OriginReply, OriginRequest, believed};
use crate::origin::{Origin, names, presentation};
use crate::rng::hash_bytes;
use hls_relay_core::time::Span;

/// What a playlist is, by RFC 8216 4.
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
/// What leads on to nothing but other lists.
const MULTIVARIANT: &str = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\nelsewhere.m3u8\n";
const HTML: &str = "<!DOCTYPE html>\n<html><body><h1>Welcome</h1><p>Sign in.</p></body></html>\n";

impl Origin {
    pub(super) fn playlist_reply(
        &self,
        at: Span,
        request: &OriginRequest,
        reader: Reader<'_>,
    ) -> OriginReply {
        let mut content_type = PLAYLIST_TYPE;
        let mut gzip = false;
        for fault in self.active(at) {
            let FaultKind::Playlist(kind) = fault.kind else {
                continue;
            };
            match kind {
                PlaylistFault::Status { code } => return status(code),
                PlaylistFault::Html200 => return page(HTML.to_owned()),
                PlaylistFault::EmptyBody => return typed(PLAYLIST_TYPE, Body::Empty),
                PlaylistFault::RedirectLoop => return self.redirect_to_itself(request, reader),
                PlaylistFault::RedirectToOtherHost => {
                    if let Some(reply) = self.redirect_to_other_host(reader) {
                        return reply;
                    }
                }
                PlaylistFault::GzipBomb { bytes } => return gzip_bomb(bytes),
                PlaylistFault::WrongContentType => content_type = HTML_TYPE,
                PlaylistFault::UnaskedGzip => gzip = true,
                PlaylistFault::Multivariant if self.spec.presentation.is_none() => {
                    return typed(PLAYLIST_TYPE, Body::Text(MULTIVARIANT.to_owned()));
                }
                PlaylistFault::Multivariant => {}
            }
        }
        if let Some(tracks) = &self.spec.presentation {
            if let Some(path) = presentation::led_to(&self.spec, at) {
                let folder = names::folder(&self.spec.playlist_path);
                let (host, prefix) = (reader.host, reader.prefix);
                return redirect(format!("http://{host}{prefix}{folder}{path}"));
            }
            let text = presentation::render(&self.spec, tracks, at);
            let mut reply = typed(content_type, Body::Text(text));
            reply.headers.gzip = gzip;
            return reply;
        }
        let Some(window) = self.encoder.window(self.view(at, reader.sequence)) else {
            return status(404);
        };
        let body = self.playlist_body(at, &window, reader);
        let mut reply = typed(content_type, body);
        reply.headers.gzip = gzip;
        let faults = self.text_faults(at);
        let spoilt = faults.iter().any(TextFault::spoils);
        reply.listed = self.listed(&window, &faults).filter(|_| !spoilt);
        if self.spec.etag {
            add_etag(&mut reply, request);
        }
        reply
    }

    /// The time of which the playlist is seen.
    fn view(&self, at: Span, sequence: u64) -> Span {
        let segment = Span::from_micros(self.spec.durations.mean());
        let mut view = at;
        for fault in self.active(at) {
            let FaultKind::View(kind) = fault.kind else {
                continue;
            };
            view = match kind {
                ViewFault::Freeze => view.min(fault.from),
                ViewFault::GoBackwards { by } => view.saturating_sub(segment * by),
                ViewFault::FallBehind { by } => {
                    view.min(view.saturating_sub(segment * by).max(fault.from))
                }
                ViewFault::TwoEdges { lag } if sequence % 2 == 1 => {
                    view.saturating_sub(segment * lag)
                }
                ViewFault::TwoEdges { .. } => view,
            };
        }
        view
    }

    fn playlist_body(&self, at: Span, window: &Window, reader: Reader<'_>) -> Body {
        let faults = self.text_faults(at);
        let source = Source {
            spec: &self.spec,
            form: &self.form,
            encoder: &self.encoder,
            range: &|place| self.range_of(place),
            fetchable: &|place| self.is_fetchable(place),
            gap: &|place| self.is_gap(place),
        };
        let mut text = playlist::render(source, window, reader, &faults);
        for fault in faults {
            match fault {
                TextFault::Odd(oddity) => text = oddity.write(&text),
                TextFault::NotUtf8 => {
                    let mut bytes = text.into_bytes();
                    bytes.extend_from_slice(b"#EXT-X-BROKEN:\xff\xfe\n");
                    return Body::Bytes(bytes);
                }
                TextFault::HugeTags { bytes } => {
                    // Many lines at once, so that a socket is not fed line by line.
                    let unit = b"#EXT-X-UNKNOWN:1\n".repeat(1_000);
                    let times = bytes / unit.len() as u64;
                    return Body::Repeat {
                        head: text.into_bytes(),
                        unit,
                        times,
                    };
                }
                TextFault::RotatingTokens
                | TextFault::TargetDuration { .. }
                | TextFault::Version { .. }
                | TextFault::DuplicateTags { .. }
                | TextFault::ByteOrderMark
                | TextFault::ForeignScheme
                | TextFault::Gaps
                | TextFault::NulByte => {}
            }
        }
        Body::Text(text)
    }

    /// What is wrong with the text. Of what is odd one thing at a time: two may be wrong together where
    /// neither is.
    fn text_faults(&self, at: Span) -> Vec<TextFault> {
        let mut faults = Vec::new();
        let mut odd = false;
        for fault in self.active(at) {
            if let FaultKind::Text(kind) = fault.kind {
                let is_odd = matches!(kind, TextFault::Odd(_));
                if !(is_odd && std::mem::replace(&mut odd, true)) {
                    faults.push(kind);
                }
            }
        }
        faults
    }

    fn listed(&self, window: &Window, faults: &[TextFault]) -> Option<Listed> {
        let (&first, &last) = (window.places.first()?, window.places.last()?);
        let number = |place: Place| self.encoder.piece(place).first_number + place.index;
        let piece = self.encoder.piece(last);
        let claimed = faults.iter().rev().find_map(|it| match it {
            TextFault::TargetDuration { target_duration } => Some(*target_duration),
            TextFault::RotatingTokens
            | TextFault::Version { .. }
            | TextFault::DuplicateTags { .. }
            | TextFault::ByteOrderMark
            | TextFault::NotUtf8
            | TextFault::NulByte
            | TextFault::ForeignScheme
            | TextFault::Gaps
            | TextFault::Odd(_)
            | TextFault::HugeTags { .. } => None,
        });
        let longest = window.places.iter().map(|it| self.media(*it).duration);
        let claim = Span::from_secs(claimed.unwrap_or(piece.target_duration));
        Some(Listed {
            run: piece.run,
            first: number(first),
            last: number(last),
            target_duration: believed(claim, longest.max()?),
        })
    }

    fn redirect_to_itself(&self, request: &OriginRequest, reader: Reader<'_>) -> OriginReply {
        let query = request
            .path_and_query
            .split_once("hop=")
            .map_or("0", |(_, hop)| hop);
        let hop: u64 = query.parse().unwrap_or(0);
        let path = &self.spec.playlist_path;
        redirect(format!(
            "http://{}{}{path}?hop={}",
            reader.host,
            reader.prefix,
            hop.wrapping_add(1)
        ))
    }

    /// `None` where the request is there already.
    fn redirect_to_other_host(&self, reader: Reader<'_>) -> Option<OriginReply> {
        let other = self.other_host(reader)?;
        Some(redirect(format!(
            "http://{other}{OTHER_PREFIX}{}",
            self.spec.playlist_path
        )))
    }
}

fn gzip_bomb(bytes: u64) -> OriginReply {
    const UNIT: u64 = 1 << 16;
    let body = Body::Repeat {
        head: b"#EXTM3U\n".to_vec(),
        unit: vec![0; UNIT as usize],
        times: bytes / UNIT,
    };
    let mut reply = typed(PLAYLIST_TYPE, body);
    reply.headers.gzip = true;
    reply
}

fn add_etag(reply: &mut OriginReply, request: &OriginRequest) {
    let Body::Text(text) = &reply.body else {
        return;
    };
    let etag = format!("\"{:016x}\"", hash_bytes(text.as_bytes()));
    if request.if_none_match.as_ref() == Some(&etag) {
        reply.status = 304;
        reply.body = Body::Empty;
        reply.headers.gzip = false;
    }
    reply.headers.etag = Some(etag);
}
