//! Which faults really struck: those that a request meets, not those that lie in wait for one.

use super::fault::{
    ConnectionFault, Fault, FaultKind, PlaylistFault, PresentationFault, SegmentFault, ViewFault,
    Which,
};
use super::{Origin, OriginRequest, presentation};
use hls_relay_core::time::Span;

/// What has changed an origin is met by whoever asks within so long; after that it is how it is.
const FELT: Span = Span::from_secs(120);

/// The faults of an origin that no request has met yet.
#[derive(Clone, Debug, Default)]
pub struct Unmet {
    /// Those to come, the next one last.
    ahead: Vec<Fault>,
    begun: Vec<Fault>,
}

impl Unmet {
    /// Of an origin that nobody has asked yet.
    pub fn of(faults: &[Fault]) -> Self {
        let mut ahead = faults.to_vec();
        ahead.sort_by_key(|fault| std::cmp::Reverse(fault.from));
        Self {
            ahead,
            begun: Vec::new(),
        }
    }

    /// Those that this request is the first to meet.
    pub fn meet(&mut self, origin: &Origin, at: Span, request: &OriginRequest) -> Vec<Fault> {
        while let Some(fault) = self.ahead.pop_if(|fault| fault.from <= at) {
            self.begun.push(fault);
        }
        self.begun
            .retain(|fault| at < fault.until + felt(&fault.kind));
        self.begun
            .extract_if(.., |fault| origin.meets(fault, at, request))
            .collect()
    }
}

impl Origin {
    /// Whether a fault has a part in the reply to a request. Of what lies at one place of the way, as two
    /// statuses do, each has.
    fn meets(&self, fault: &Fault, at: Span, request: &OriginRequest) -> bool {
        let (_, prefix) = self.host_of(request);
        let path = request.path().strip_prefix(prefix).unwrap_or_default();
        let number = presentation::track_of(&self.spec, path);
        if let Some((number, track)) = number.and_then(|it| Some((it, self.tracks.get(it)?))) {
            let of_track = fault.track.is_none_or(|it| usize::from(it) == number);
            if presentation::refused(&self.spec, at, &request.path_and_query).is_some() {
                return is_expiry(&fault.kind);
            }
            let asked = presentation::for_track(&self.spec, at, number, request);
            return match asked {
                Some(asked) => of_track && track.meets(fault, at, &asked),
                None => fault.from <= at && renames(&fault.kind),
            };
        }
        let is_playlist = path == self.spec.playlist_path;
        let active = fault.active(at);
        let reached = || self.connection(at, is_playlist).ended.is_none();
        match fault.kind {
            FaultKind::Connection(
                ConnectionFault::Reset { on }
                | ConnectionFault::Hang { on }
                | ConnectionFault::Slow { on, .. },
            ) => active && on.includes(is_playlist),
            // What was done to the encoder is seen from then on.
            FaultKind::Encoder(_) => is_playlist && reached(),
            FaultKind::View(ViewFault::TwoEdges { .. }) => {
                is_playlist && active && request.sequence % 2 == 1 && reached()
            }
            FaultKind::Playlist(PlaylistFault::Multivariant) => {
                is_playlist && active && self.tracks.is_empty() && reached()
            }
            FaultKind::View(_) | FaultKind::Text(_) | FaultKind::Playlist(_) => {
                is_playlist && active && reached()
            }
            FaultKind::Segment(kind) => {
                let place = self.find(at, request, path);
                let place = place.filter(|place| match kind {
                    SegmentFault::Late { by, .. } => at < self.encoder.listed_at(*place) + by,
                    SegmentFault::Status { .. }
                    | SegmentFault::Missing { .. }
                    | SegmentFault::Truncated { .. }
                    | SegmentFault::ResetHalfWay { .. }
                    | SegmentFault::RedirectLoop { .. }
                    | SegmentFault::RedirectToOtherHost { .. }
                    | SegmentFault::Drip { .. } => true,
                });
                place.is_some_and(|place| self.strikes(fault, kind.which(), place, at)) && reached()
            }
            FaultKind::Presentation(PresentationFault::KeysDown { .. }) => {
                active && path.contains(".key")
            }
            FaultKind::Presentation(PresentationFault::InitSectionsChange) => {
                path.contains("/init")
            }
            FaultKind::Presentation(PresentationFault::Entry(_)) => {
                active && is_playlist && !self.tracks.is_empty() && reached()
            }
            FaultKind::Presentation(
                PresentationFault::TokensExpire { .. }
                | PresentationFault::Renamed
                | PresentationFault::Alone,
            ) => false,
        }
    }
}

fn is_expiry(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Presentation(PresentationFault::TokensExpire { .. })
    )
}

fn renames(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Presentation(PresentationFault::Renamed | PresentationFault::Alone)
    )
}

/// For how long it may still be met when it is over.
fn felt(kind: &FaultKind) -> Span {
    match kind {
        FaultKind::Encoder(_)
        | FaultKind::Presentation(
            PresentationFault::InitSectionsChange
            | PresentationFault::TokensExpire { .. }
            | PresentationFault::Renamed,
        ) => FELT,
        FaultKind::Segment(kind) if kind.which() == Which::ListedMeanwhile => FELT,
        FaultKind::Segment(_)
        | FaultKind::View(_)
        | FaultKind::Text(_)
        | FaultKind::Playlist(_)
        | FaultKind::Connection(_)
        | FaultKind::Presentation(
            PresentationFault::KeysDown { .. }
            | PresentationFault::Entry(_)
            | PresentationFault::Alone,
        ) => Span::ZERO,
    }
}
