//! A journal as a picture: one channel's life from left to right, to be read at a glance.
//!
//! Lanes from above: wishes, the observed state, playlists of the source, downloads, publishes, and
//! what was said of holes and breaks. Pure: steps come in, SVG goes out; simulated and real journals
//! draw the same.

use hls_relay_core::command::Command;
use hls_relay_core::event::{Event, LoadedPlaylist};
use hls_relay_core::ids::RequestId;
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::time::{Now, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The lanes and their names.
const LANES: [&str; 6] = [
    "wishes",
    "state",
    "playlists",
    "downloads",
    "publishes",
    "losses",
];
/// Room for the names.
const LEFT: u64 = 90;
const LANE: u64 = 46;
const TOP: u64 = 30;
/// Pixels for each second.
const SECOND: u64 = 12;
/// A picture never becomes wider; the scale gives way.
const WIDEST: u64 = 24_000;

/// Collects the steps of a journal.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    marks: Vec<Mark>,
    began: BTreeMap<RequestId, Timestamp>,
    first: Option<Timestamp>,
    last: Timestamp,
    state: Option<(State, Timestamp)>,
}

/// Something on a lane, from a time until another.
#[derive(Clone, Debug)]
struct Mark {
    lane: usize,
    from: Timestamp,
    until: Timestamp,
    color: &'static str,
    words: String,
}

impl Timeline {
    /// Takes one step.
    pub fn step(&mut self, now: Now, event: &Event, commands: &[Command]) {
        let now = now.monotonic;
        self.first.get_or_insert(now);
        self.last = self.last.max(now);
        self.event(now, event);
        commands
            .iter()
            .for_each(|command| self.command(now, command));
    }

    fn event(&mut self, now: Timestamp, event: &Event) {
        match event {
            Event::Tick
            | Event::ObjectsChecked { .. }
            | Event::Deleted { .. }
            | Event::Withdrawn { .. }
            | Event::CheckpointSaved { .. } => {}
            Event::Configure(_) | Event::ShutDown => {
                self.mark(0, now, now, "#3366cc", crate::words::event(event));
            }
            Event::PlaylistLoaded { request, outcome } => {
                let color = match outcome {
                    Ok(LoadedPlaylist::NotModified) => "#999999",
                    Ok(LoadedPlaylist::Body { .. }) => "#338833",
                    Err(_) => "#cc3333",
                };
                self.done(2, *request, now, color, crate::words::event(event));
            }
            Event::SegmentDownloaded { request, outcome } => {
                let color = if outcome.is_ok() {
                    "#338833"
                } else {
                    "#cc3333"
                };
                self.done(3, *request, now, color, crate::words::event(event));
            }
            Event::Published { request, outcome } => {
                let color = if outcome.is_ok() {
                    "#338833"
                } else {
                    "#cc3333"
                };
                self.done(4, *request, now, color, crate::words::event(event));
            }
        }
    }

    fn command(&mut self, now: Timestamp, command: &Command) {
        match command {
            Command::LoadPlaylist(it) => self.begin(it.request, now),
            Command::DownloadSegment(it) => self.begin(it.request, now),
            Command::Publish(it) => self.begin(it.request, now),
            Command::Notify(notice) => self.notice(now, notice),
            Command::CheckObjects { .. }
            | Command::Delete { .. }
            | Command::Withdraw { .. }
            | Command::SaveCheckpoint { .. }
            | Command::Cancel { .. } => {}
        }
    }

    fn notice(&mut self, now: Timestamp, notice: &Notice) {
        match notice {
            Notice::StateChanged { to, .. } => {
                self.end_state(now);
                self.state = Some((*to, now));
                self.mark(1, now, now, "#000000", notice.to_string());
            }
            Notice::Hole { .. } => self.mark(5, now, now, "#cc3333", notice.to_string()),
            Notice::Broken { .. } | Notice::Switched { .. } | Notice::Preparing { .. } => {
                self.mark(5, now, now, "#cc8800", notice.to_string());
            }
            Notice::Configured { .. }
            | Notice::ConfigureRefused { .. }
            | Notice::PlaylistFailed { .. }
            | Notice::PlaylistRefused { .. }
            | Notice::PlaylistFlaw { .. }
            | Notice::PlaylistRecovered { .. }
            | Notice::StaleEdge { .. }
            | Notice::SegmentRetry { .. }
            | Notice::PreparationFailed { .. }
            | Notice::TargetDurationRaised { .. }
            | Notice::StoreFailed { .. }
            | Notice::Restored { .. } => {}
        }
    }

    fn begin(&mut self, request: RequestId, now: Timestamp) {
        self.began.insert(request, now);
    }

    fn done(
        &mut self,
        lane: usize,
        request: RequestId,
        now: Timestamp,
        color: &'static str,
        words: String,
    ) {
        let from = self.began.remove(&request).unwrap_or(now);
        self.mark(lane, from, now, color, words);
    }

    fn end_state(&mut self, now: Timestamp) {
        if let Some((state, since)) = self.state.take() {
            let color = match state {
                State::Live => "#cceecc",
                State::Stale => "#ffeeaa",
                State::Stalled => "#ffbbbb",
                State::Waiting | State::Starting => "#ddddff",
                State::Ended | State::Stopped => "#dddddd",
            };
            self.mark(1, since, now, color, state.to_string());
        }
    }

    fn mark(
        &mut self,
        lane: usize,
        from: Timestamp,
        until: Timestamp,
        color: &'static str,
        words: String,
    ) {
        self.marks.push(Mark {
            lane,
            from,
            until,
            color,
            words,
        });
    }

    /// The picture so far.
    pub fn svg(mut self) -> String {
        self.end_state(self.last);
        let first = self.first.unwrap_or_default();
        let length = self.last.since(first).as_millis() + 1_000;
        let width = (length * SECOND / 1_000).min(WIDEST);
        let x = |at: Timestamp| LEFT + at.since(first).as_millis() * width / length;
        let height = TOP + LANE * LANES.len() as u64 + 10;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n",
            LEFT + width + 10
        );
        self.grid(&mut svg, length, width);
        // What lasts lies under what happens.
        self.marks
            .sort_by_key(|mark| (mark.lane, mark.from == mark.until, mark.from));
        for mark in &self.marks {
            let from = x(mark.from);
            let wide = (x(mark.until) - from).max(2);
            let y = TOP + LANE * mark.lane as u64 + 6;
            let _ = writeln!(
                svg,
                "<rect x=\"{from}\" y=\"{y}\" width=\"{wide}\" height=\"{}\" fill=\"{}\">\
                 <title>{}</title></rect>",
                LANE - 14,
                mark.color,
                escaped(&mark.words)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn grid(&self, svg: &mut String, length: u64, width: u64) {
        for (lane, name) in LANES.iter().enumerate() {
            let y = TOP + LANE * lane as u64;
            let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{name}</text>", y + LANE / 2);
            let _ = writeln!(
                svg,
                "<line x1=\"0\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"#cccccc\"/>",
                LEFT + width
            );
        }
        // A tick every ten seconds, fewer where there is no room for them.
        let mut every = 10_000;
        while every * width / length < 50 {
            every *= 6;
        }
        for at in (0..=length).step_by(every as usize) {
            let x = LEFT + at * width / length;
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"16\">{} s</text>", at / 1_000);
        }
    }
}

fn escaped(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;
    use crate::replay;
    use crate::world::{Options, World};
    use hls_relay_core::time::Span;

    #[test]
    fn a_journal_becomes_a_picture_of_bounded_size() {
        let plan = draw::faultless(1, Span::from_secs(60));
        let options = Options {
            journal: true,
            ..Options::default()
        };
        let outcome = World::new(plan, options).run();
        let mut timeline = Timeline::default();
        replay::each(&outcome.journal, |record, commands| {
            timeline.step(record.now, &record.event, commands);
            true
        })
        .unwrap();
        let svg = timeline.svg();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("<title>live</title>"));
        assert_eq!(svg.matches("<rect").count(), svg.matches("</rect>").count());
    }

    #[test]
    fn nothing_is_a_picture_too() {
        assert!(Timeline::default().svg().starts_with("<svg"));
    }
}
