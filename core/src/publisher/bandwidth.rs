//! What the bit rates of lists were measured to be, and how long that took.

use super::entry::Entry;
use super::window::Window;
use crate::playlist::{MeasuredBandwidth, measured_bandwidth};
use crate::time::Span;

/// Bit rates are measured over so many segments.
const MEASURED: usize = 32;
/// A source that states more than that is believed until so much was measured: a film may begin with a still.
const MEASURED_WELL: Span = Span::from_secs(1_800);

impl Window {
    /// Bits per second of what is listed.
    pub(super) fn bit_rate(&self) -> u64 {
        let stored = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry, entry.stored.as_ref()?)));
        let (bytes, micros) = stored.fold((0, 0), |(bytes, micros), (entry, stored)| {
            (
                bytes + stored.length,
                micros + entry.segment.duration.as_micros(),
            )
        });
        (u128::from(bytes) * 8_000_000)
            .checked_div(u128::from(micros))
            .unwrap_or(0) as u64
    }

    /// So much was measured that there is hardly more to come.
    pub(super) fn is_known_well(&self) -> bool {
        self.measured >= MEASURED_WELL
    }

    /// Measures the newest segments. What is told to players rises in steps, so that the multivariant
    /// playlist does not change with each segment.
    pub(super) fn measure(&mut self, target_duration: Span) {
        let of = |it: &Entry| Some((it.stored.as_ref()?.length, it.segment.duration));
        measure(
            &mut self.bandwidth,
            self.entries.iter().map(of),
            target_duration,
        );
    }
}

/// Measures the newest of what a list has, gaps being nothing.
pub(super) fn measure(
    known: &mut Option<MeasuredBandwidth>,
    listed: impl DoubleEndedIterator<Item = Option<(u64, Span)>> + ExactSizeIterator,
    target_duration: Span,
) {
    let newest = listed.rev().take(MEASURED).rev();
    let Some(measured) = measured_bandwidth(newest.flatten(), target_duration) else {
        return;
    };
    let grown = |known: u64, now: u64| if now > known + known / 20 { now } else { known };
    *known = Some(known.map_or(measured, |known| MeasuredBandwidth {
        peak: grown(known.peak, measured.peak),
        average: grown(known.average, measured.average),
    }));
}
