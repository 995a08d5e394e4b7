//! From a request to its reply.

use super::encoder::{Place, Window};
use super::fault::{
    ConnectionFault, Fault, FaultKind, PlaylistFault, SegmentFault, TextFault, ViewFault, Which,
};
use super::playlist::{self, Reader, Source};
use super::reply::{Body, Delivery, Headers, Listed, OriginReply, OriginRequest};
use super::{Origin, form, names, presentation};
use crate::rng::{Stream, hash_bytes};
use hls_relay_core::time::Span;

/// What a playlist is, by RFC 8216 4.
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
const HTML_TYPE: &str = "text/html; charset=utf-8";
/// What leads on to nothing but other lists.
const MULTIVARIANT: &str = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\nelsewhere.m3u8\n";
const HTML: &str = "<!DOCTYPE html>\n<html><body><h1>Welcome</h1><p>Sign in.</p></body></html>\n";

/// The folder under which the second host has everything.
pub(super) const OTHER_PREFIX: &str = "/edge";

impl Origin {
    /// What it does about a request that arrives at `at`, counted from the start of the origin.
    pub fn respond(&self, at: Span, request: &OriginRequest) -> OriginReply {
        let (host, prefix) = self.host_of(request);
        let path = request.path().strip_prefix(prefix).unwrap_or_default();
        if !self.tracks.is_empty()
            && let Some(number) = presentation::track_of(&self.spec, path)
            && let Some(track) = self.tracks.get(number)
        {
            if let Some(code) = presentation::refused(&self.spec, at, &request.path_and_query) {
                return status(code);
            }
            let asked = presentation::for_track(&self.spec, at, number, request);
            return asked.map_or_else(|| status(404), |asked| track.respond(at, &asked));
        }
        let is_playlist = path == self.spec.playlist_path;

        let connection = self.connection(at, is_playlist);
        let mut reply = match connection.ended {
            Some(delivery) => OriginReply {
                delivery,
                ..plain(200, Body::Empty)
            },
            None if is_playlist => {
                let reader = Reader {
                    host,
                    prefix,
                    sequence: request.sequence,
                    issued: presentation::token_of(&request.path_and_query),
                };
                self.playlist_reply(at, request, reader)
            }
            None => self.segment_reply(at, request, path),
        };
        reply.delay = connection.delay + self.latency(path, request.sequence);
        if reply.delivery == (Delivery::Whole { rate: None }) {
            reply.delivery = Delivery::Whole {
                rate: self.spec.rate,
            };
        }
        reply
    }

    /// The authority that was asked, and the folder in front of its paths.
    pub(super) fn host_of<'a>(&'a self, request: &'a OriginRequest) -> (&'a str, &'static str) {
        let first = self.spec.hosts.first().map_or("", String::as_str);
        let is_other = self
            .spec
            .hosts
            .get(1)
            .is_some_and(|other| *other == request.host);
        match request.host.as_str() {
            "" => (first, ""),
            host if is_other => (host, OTHER_PREFIX),
            host => (host, ""),
        }
    }

    fn latency(&self, path: &str, sequence: u64) -> Span {
        let stream = Stream::new(self.spec.seed, "latency").child(hash_bytes(path.as_bytes()));
        let jitter = stream.below(sequence, self.spec.latency_jitter.as_micros());
        self.spec.latency + Span::from_micros(jitter)
    }

    fn active(&self, at: Span) -> impl Iterator<Item = &Fault> {
        // What strikes one track does not strike the list of them.
        let of_list = |fault: &&Fault| self.tracks.is_empty() || fault.track.is_none();
        let faults = self.spec.faults.iter().filter(of_list);
        faults.filter(move |fault| fault.active(at))
    }

    // -- the connection ---------------------------------------------------------------------------

    pub(super) fn connection(&self, at: Span, is_playlist: bool) -> Connection {
        let mut connection = Connection {
            ended: None,
            delay: Span::ZERO,
        };
        for fault in self.active(at) {
            let FaultKind::Connection(kind) = fault.kind else {
                continue;
            };
            let (on, ended, delay) = match kind {
                ConnectionFault::Reset { on } => (on, Some(Delivery::ResetBefore), Span::ZERO),
                ConnectionFault::Hang { on } => (on, Some(Delivery::Hang), Span::ZERO),
                ConnectionFault::Slow { on, by } => (on, None, by),
            };
            if on.includes(is_playlist) {
                connection.ended = connection.ended.or(ended);
                connection.delay += delay;
            }
        }
        connection
    }

    // -- the playlist -----------------------------------------------------------------------------

    fn playlist_reply(&self, at: Span, request: &OriginRequest, reader: Reader<'_>) -> OriginReply {
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
        let spoilt = self.text_faults(at).iter().any(TextFault::spoils);
        reply.listed = self.listed(&window).filter(|_| !spoilt);
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

    fn listed(&self, window: &Window) -> Option<Listed> {
        let (&first, &last) = (window.places.first()?, window.places.last()?);
        let number = |place: Place| self.encoder.piece(place).first_number + place.index;
        let piece = self.encoder.piece(last);
        Some(Listed {
            run: piece.run,
            first: number(first),
            last: number(last),
            target_duration: Span::from_secs(piece.target_duration),
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
        let other = self
            .spec
            .hosts
            .get(1)
            .filter(|other| *other != reader.host)?;
        Some(redirect(format!(
            "http://{other}{OTHER_PREFIX}{}",
            self.spec.playlist_path
        )))
    }

    // -- segments ---------------------------------------------------------------------------------

    fn segment_reply(&self, at: Span, request: &OriginRequest, path: &str) -> OriginReply {
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
    pub(super) fn find(&self, at: Span, request: &OriginRequest, path: &str) -> Option<Place> {
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
    fn range_of(&self, place: Place) -> Option<(u64, super::MediaRef)> {
        let (_, before) = self.form.file_of(place)?;
        let before = before.map(|index| self.media(Place { index, ..place }).len);
        Some((before.sum(), self.media(place)))
    }

    /// Whether a segment's URI is one that a client asks for.
    pub(super) fn is_fetchable(&self, place: Place) -> bool {
        let is_foreign =
            |kind: &FaultKind| matches!(kind, FaultKind::Text(TextFault::ForeignScheme));
        let mut faults = self.spec.faults.iter().filter(|it| is_foreign(&it.kind));
        !faults.any(|it| self.strikes(it, Which::ListedMeanwhile, place, Span::ZERO))
    }

    pub(super) fn strikes(&self, fault: &Fault, which: Which, place: Place, at: Span) -> bool {
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

/// What the connection does to a request.
pub(super) struct Connection {
    pub(super) ended: Option<Delivery>,
    delay: Span,
}

fn plain(status: u16, body: Body) -> OriginReply {
    OriginReply {
        delay: Span::ZERO,
        status,
        headers: Headers::default(),
        body,
        delivery: Delivery::Whole { rate: None },
        listed: None,
    }
}

fn typed(content_type: &'static str, body: Body) -> OriginReply {
    let headers = Headers {
        content_type: Some(content_type),
        ..Headers::default()
    };
    OriginReply {
        headers,
        ..plain(200, body)
    }
}

fn page(text: String) -> OriginReply {
    typed(HTML_TYPE, Body::Text(text))
}

fn status(code: u16) -> OriginReply {
    OriginReply {
        status: code,
        ..page(format!("<h1>{code}</h1>\n"))
    }
}

fn redirect(location: String) -> OriginReply {
    let headers = Headers {
        location: Some(location),
        ..Headers::default()
    };
    OriginReply {
        headers,
        ..plain(302, Body::Empty)
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

/// A segment as the range of a file that goes on as long as the encoder does.
fn part_of_file(content_type: &'static str, offset: u64, media: super::MediaRef) -> OriginReply {
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
    media: super::MediaRef,
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
