//! What a channel's life comes to in numbers: the lines under the picture's title.

use super::Look;
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::time::Span;
use std::collections::BTreeMap;

/// Counts while the marks are made.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    states: BTreeMap<State, Span>,
    holes: u64,
    lost: Span,
    breaks: u64,
    switches: u64,
    loads: u64,
    failed_loads: u64,
    downloads: u64,
    failed_downloads: u64,
}

impl Tally {
    pub(super) fn load(&mut self, look: Look) {
        self.loads += 1;
        self.failed_loads += u64::from(look == Look::Bad);
    }

    pub(super) fn download(&mut self, look: Look) {
        self.downloads += 1;
        self.failed_downloads += u64::from(look == Look::Bad);
    }

    pub(super) fn state(&mut self, state: State, length: Span) {
        *self.states.entry(state).or_default() += length;
    }

    pub(super) fn notice(&mut self, notice: &Notice) {
        if let Notice::Hole { duration, .. } = notice {
            self.holes += 1;
            self.lost += *duration;
        }
        self.breaks += u64::from(matches!(notice, Notice::Broken { .. }));
        self.switches += u64::from(matches!(notice, Notice::Switched { .. }));
    }

    /// How long each state was.
    pub(super) fn states(&self) -> String {
        let states = self.states.iter().filter(|(_, long)| **long > Span::ZERO);
        let states: Vec<String> = states
            .map(|(state, long)| format!("{state} for {}", length(*long)))
            .collect();
        states.join(", ")
    }

    /// What went wrong.
    pub(super) fn faults(&self) -> String {
        let Self {
            holes,
            breaks,
            switches,
            loads,
            failed_loads,
            downloads,
            failed_downloads,
            ..
        } = self;
        format!(
            "{holes} holes ({} lost), {breaks} discontinuities of our own, {switches} switches of \
             source; failed: {failed_loads} of {loads} playlist loads, {failed_downloads} of \
             {downloads} downloads",
            length(self.lost)
        )
    }
}

/// A length of time in its two largest units.
pub(super) fn length(span: Span) -> String {
    let seconds = span.rounded_secs();
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => span.to_string(),
        (0, _) => format!("{minutes} min {} s", seconds % 60),
        (24.., _) => format!("{} d {} h", hours / 24, hours % 24),
        _ => format!("{hours} h {minutes} min"),
    }
}
