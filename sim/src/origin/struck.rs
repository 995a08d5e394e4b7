//! Which faults really struck: those that a request meets, not those that lie in wait for one.

use super::fault::{
    ConnectionFault, Fault, FaultKind, PlaylistFault, PresentationFault, SegmentFault, ViewFault,
};
use super::{Origin, OriginRequest, presentation};
use hls_relay_core::time::Span;

impl Origin {
    /// The faults that have a part in the reply to this request.
    pub fn met(&self, at: Span, request: &OriginRequest) -> Vec<&Fault> {
        if self.spec.faults.is_empty() {
            return Vec::new();
        }
        let (_, prefix) = self.host_of(request);
        let path = request.path().strip_prefix(prefix).unwrap_or_default();
        let track = presentation::track_of(&self.spec, path);
        if let Some(track) = track.and_then(|it| self.tracks.get(it)) {
            if presentation::refused(&self.spec, at, &request.path_and_query).is_some() {
                let begun = self.spec.faults.iter().filter(|it| it.from <= at);
                return begun.filter(|it| is_expiry(&it.kind)).collect();
            }
            return track.met(at, request);
        }
        let is_playlist = path == self.spec.playlist_path;
        let mut met = Vec::new();
        if self.connection_met(at, is_playlist, &mut met) {
            return met;
        }
        if is_playlist {
            self.playlist_met(at, request, &mut met);
        } else {
            self.segment_met(at, request, path, &mut met);
        }
        met
    }

    /// Whether the request ends there.
    fn connection_met<'a>(&'a self, at: Span, is_playlist: bool, met: &mut Vec<&'a Fault>) -> bool {
        let mut ended = false;
        for fault in self.active(at) {
            let FaultKind::Connection(kind) = fault.kind else {
                continue;
            };
            let (on, ends) = match kind {
                ConnectionFault::Reset { on } | ConnectionFault::Hang { on } => (on, true),
                ConnectionFault::Slow { on, .. } => (on, false),
            };
            if on.includes(is_playlist) {
                met.push(fault);
                ended |= ends;
            }
        }
        ended
    }

    fn playlist_met<'a>(&'a self, at: Span, request: &OriginRequest, met: &mut Vec<&'a Fault>) {
        let replies = |it: &&Fault| matches!(it.kind, FaultKind::Playlist(_));
        for fault in self.active(at).filter(replies) {
            met.push(fault);
            if takes_its_place(&fault.kind) {
                return;
            }
        }
        for fault in &self.spec.faults {
            let (active, begun) = (fault.active(at), fault.from <= at);
            let meets = match fault.kind {
                // What it has done to the encoder stays.
                FaultKind::Encoder(_) => begun,
                FaultKind::View(ViewFault::TwoEdges { .. }) => active && request.sequence % 2 == 1,
                FaultKind::View(_) | FaultKind::Text(_) => active,
                FaultKind::Playlist(_)
                | FaultKind::Segment(_)
                | FaultKind::Connection(_)
                | FaultKind::Presentation(_) => false,
            };
            met.extend(Some(fault).filter(|_| meets));
        }
    }

    fn segment_met<'a>(
        &'a self,
        at: Span,
        request: &OriginRequest,
        path: &str,
        met: &mut Vec<&'a Fault>,
    ) {
        let (is_key, is_init) = (path.contains(".key"), path.contains("init"));
        for fault in &self.spec.faults {
            let (active, begun) = (fault.active(at), fault.from <= at);
            let meets = match fault.kind {
                FaultKind::Segment(kind) => self.find(at, request, path).is_some_and(|place| {
                    let in_time = match kind {
                        SegmentFault::Late { by, .. } => at < self.encoder.listed_at(place) + by,
                        SegmentFault::Status { .. }
                        | SegmentFault::Missing { .. }
                        | SegmentFault::Truncated { .. }
                        | SegmentFault::ResetHalfWay { .. }
                        | SegmentFault::Drip { .. } => true,
                    };
                    in_time && self.strikes(fault, kind.which(), place, at)
                }),
                FaultKind::Presentation(PresentationFault::KeysDown { .. }) => is_key && active,
                FaultKind::Presentation(PresentationFault::InitSectionsChange) => is_init && begun,
                FaultKind::Presentation(PresentationFault::TokensExpire { .. })
                | FaultKind::Encoder(_)
                | FaultKind::View(_)
                | FaultKind::Text(_)
                | FaultKind::Playlist(_)
                | FaultKind::Connection(_) => false,
            };
            met.extend(Some(fault).filter(|_| meets));
        }
    }
}

fn is_expiry(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Presentation(PresentationFault::TokensExpire { .. })
    )
}

/// Whether something else comes in place of the playlist.
fn takes_its_place(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::Playlist(PlaylistFault::WrongContentType | PlaylistFault::UnaskedGzip) => false,
        FaultKind::Playlist(
            PlaylistFault::Status { .. }
            | PlaylistFault::Html200
            | PlaylistFault::EmptyBody
            | PlaylistFault::RedirectLoop
            | PlaylistFault::RedirectToOtherHost
            | PlaylistFault::GzipBomb { .. },
        ) => true,
        FaultKind::Encoder(_)
        | FaultKind::View(_)
        | FaultKind::Text(_)
        | FaultKind::Segment(_)
        | FaultKind::Connection(_)
        | FaultKind::Presentation(_) => false,
    }
}
