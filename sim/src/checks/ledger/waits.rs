//! How long a segment is waited for: three target durations after it was first listed, while its successors are stored
//! (DESIGN 5.3).

use super::{Ledger, MediaKey, OfferState};
use crate::origin::Origin;
use hls_relay_core::config::SEGMENT_WAIT_TARGETS;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::time::Timestamp;

/// A segment that comes next in a playlist.
#[derive(Clone, Copy, Debug)]
pub struct Awaited {
    /// What it is.
    pub key: MediaKey,
    /// When this process was first told of it.
    pub since: Timestamp,
    /// When it is given up at the latest.
    pub until: Timestamp,
}

impl Ledger {
    /// The segment that a playlist waits for while one behind it is stored, if its time is over. Nothing where nobody
    /// can say what comes next.
    pub fn waits_too_long(
        &self,
        now: Timestamp,
        name: &PlaylistName,
        origins: &[Origin],
    ) -> Option<Awaited> {
        let (known, line) = (&self.known, self.lines.get(name)?);
        let last = line.last.filter(|it| it.asker.process == known.process)?;
        let origin = origins.get(last.key.origin)?.track(last.key.track);
        if super::loss::is_ambiguous(origin) {
            return None;
        }
        let of_run = |number| MediaKey { number, ..last.key };
        let behind = of_run(last.key.number + 1)..=of_run(u64::MAX);
        let (key, offer) = known.offers.range(behind).next()?;
        let waited_by = |it: &OfferState| it.first + it.target_duration * SEGMENT_WAIT_TARGETS;
        if waited_by(offer) >= now || known.need_failed_at >= Some(offer.first) {
            return None;
        }
        // What was stored before was for another run of the channel.
        let objects = known.objects.values().filter(|it| it.at >= offer.first);
        let later = objects.filter(|it| it.key.is_of_run(*key) && it.key.number > key.number);
        let next = later.min_by_key(|it| it.key.number)?;
        // All before it are waited for, each for its time, and it is listed with the holes before it.
        let before = known
            .offers
            .range(*key..next.key)
            .map(|(_, it)| waited_by(it));
        let until = before.fold(next.at + offer.target_duration.half(), Timestamp::max);
        (until < now).then_some(Awaited {
            key: *key,
            since: offer.first,
            until,
        })
    }
}
