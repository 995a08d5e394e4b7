//! A journal as a picture: one channel's life from left to right, to be read at a glance.
//!
//! This part makes marks of steps, [`picture`] draws them. Pure: what a replay comes past goes in, SVG
//! comes out; simulated and real journals draw the same.

mod picture;
mod tally;
#[cfg(test)]
mod tests;

use crate::replay::{Follows, Seen};
use crate::words;
use hls_relay_core::command::{Command, PublishedPlaylist};
use hls_relay_core::event::{Configure, Desired, Event, FetchError, LoadedPlaylist, PlaylistBody};
use hls_relay_core::ids::{PlaylistName, RequestId};
use hls_relay_core::journal::Record;
use hls_relay_core::notice::{Notice, State};
use hls_relay_core::playlist::{self, Playlist};
use hls_relay_core::time::{Now, Span, Timestamp, WallTime};
use std::collections::BTreeMap;
use std::sync::Arc;
use tally::Tally;

/// Downloads under way at once are drawn below each other, so many at the most.
const MOST_BESIDE: usize = 4;
/// So many sources have rows of their own; whatever comes after shares those of the last.
const MOST_SOURCES: usize = 16;

/// Collects what a replay comes past.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    channel: String,
    clock: Option<Clock>,
    first: WallTime,
    last: WallTime,
    marks: Vec<Mark>,
    /// By the order in which they were first asked.
    sources: Vec<Source>,
    /// From the place in the configuration to the one in `sources`.
    places: BTreeMap<usize, usize>,
    under_way: BTreeMap<RequestId, UnderWay>,
    state: Option<(State, WallTime, String)>,
    bands: Vec<Band>,
    /// A machine begins.
    begins: Vec<(WallTime, String)>,
    /// Not recorded.
    missing: Vec<(WallTime, WallTime)>,
    tally: Tally,
}

/// Places a machine's steps in wall time: by the wall clock at its first step, from there by the
/// monotonic one, so that a clock that is set does not fold the picture.
#[derive(Clone, Copy, Debug)]
struct Clock {
    wall: WallTime,
    monotonic: Timestamp,
}

/// A playlist that was asked for.
#[derive(Clone, Debug)]
struct Source {
    url: Arc<str>,
    body: Option<PlaylistBody>,
    /// The media sequence number after the last segment of `body`.
    end: u64,
}

/// Work that has not been answered yet.
#[derive(Clone, Debug)]
struct UnderWay {
    row: Row,
    beside: usize,
    since: WallTime,
    what: String,
}

/// Something in a row, from a time until another.
#[derive(Clone, Debug)]
struct Mark {
    row: Row,
    beside: usize,
    from: WallTime,
    until: WallTime,
    look: Look,
    words: String,
}

/// A state of the channel while it lasted.
#[derive(Clone, Debug)]
struct Band {
    state: State,
    from: WallTime,
    until: WallTime,
    reason: String,
}

/// Where a mark stands; in the order from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Control,
    Playlists(usize),
    Downloads(usize),
    Published,
    Holes,
    Notices,
}

/// How a mark looks; what stands later is drawn over what stands earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// Never answered.
    Open,
    /// It brought nothing new.
    Same,
    Good,
    /// Nobody wanted it any more.
    Cancelled,
    Told,
    Warning,
    Wish,
    Break,
    Bad,
    Hole,
}

impl Timeline {
    /// Takes what a replay comes past.
    pub fn see(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Head { head, follows } => {
                self.channel.clone_from(&head.name);
                match follows {
                    Follows::GoesOn => {}
                    Follows::Missing(_) => {
                        self.forget_work("its end was not recorded");
                        self.missing.push((self.last, self.last));
                    }
                    Follows::Anew => {
                        self.forget_work("its process ended");
                        self.end_state();
                        self.clock = None;
                    }
                }
            }
            Seen::Step(record, commands) => self.step(record, commands),
            Seen::Broke(record) => {
                let now = self.place(record.now);
                let words = format!("the machine broke at: {}", words::event(&record.event));
                self.mark(Row::Notices, 0, (now, now), Look::Bad, words);
            }
            Seen::Torn { .. } => {}
        }
    }

    /// The picture so far.
    pub fn svg(mut self) -> String {
        self.forget_work("not answered at the end of the journal");
        self.end_state();
        picture::draw(&self)
    }

    fn step(&mut self, record: &Record, commands: &[Command]) {
        let now = self.place(record.now);
        if let Some(missing) = self.missing.last_mut()
            && missing.0 == missing.1
        {
            missing.1 = now;
        }
        self.event(now, &record.event);
        commands.iter().for_each(|it| self.command(now, it));
    }

    fn place(&mut self, now: Now) -> WallTime {
        let begins = self.clock.is_none();
        let last = self.last;
        let clock = self.clock.get_or_insert(Clock {
            wall: now.wall.max(last),
            monotonic: now.monotonic,
        });
        let at = (clock.wall + now.monotonic.since(clock.monotonic)).max(last);
        if begins {
            if self.begins.is_empty() {
                self.first = at;
            }
            let words = format!(
                "a process, or its machine, begins; its clock says {}",
                now.wall
            );
            self.begins.push((at, words));
        }
        self.last = at;
        at
    }

    fn event(&mut self, now: WallTime, event: &Event) {
        match event {
            Event::Tick => {}
            Event::Configure(wish) => {
                for (place, wished) in wish.spec.sources.iter().enumerate() {
                    let known = self.sources.iter().position(|it| it.url == wished.url);
                    known.map(|source| self.places.insert(place, source));
                }
                self.mark(Row::Control, 0, (now, now), Look::Wish, wished(wish));
            }
            Event::ShutDown => {
                let words = "shut down".to_owned();
                self.mark(Row::Control, 0, (now, now), Look::Wish, words);
            }
            Event::PlaylistLoaded { request, outcome } => {
                let row = self.under_way.get(request).map(|it| it.row);
                let (look, words) = match (outcome, row) {
                    (Ok(LoadedPlaylist::Body { body, .. }), Some(Row::Playlists(source))) => {
                        self.judge(source, body)
                    }
                    (Ok(_), _) => (Look::Same, "not modified".to_owned()),
                    (Err(error), _) => (look_of(error), error.to_string()),
                };
                self.tally.load(look);
                self.done(*request, now, look, &words);
            }
            Event::Downloaded { request, outcome } => {
                let (look, words) = match outcome {
                    Ok(stored) => (Look::Good, format!("{} bytes", stored.length)),
                    Err(error) => (look_of(error), error.to_string()),
                };
                self.tally.download(look);
                self.done(*request, now, look, &words);
            }
            // What lacks is told by a notice.
            Event::Transcoded { .. } | Event::Preloaded { .. } => {}
            Event::ObjectsChecked { request, outcome } => {
                self.done_in_store(*request, now, outcome.as_ref().err());
            }
            Event::Published { request, outcome }
            | Event::Deleted { request, outcome }
            | Event::Withdrawn { request, outcome }
            | Event::CheckpointSaved { request, outcome } => {
                self.done_in_store(*request, now, outcome.as_ref().err());
            }
        }
    }

    fn command(&mut self, now: WallTime, command: &Command) {
        match command {
            Command::LoadPlaylist(it) => {
                let source = self.source(&it.url);
                self.places.insert(it.source, source);
                self.begin(
                    it.request,
                    Row::Playlists(source),
                    now,
                    "playlist".to_owned(),
                );
            }
            Command::Download(it) => {
                // A journal may begin after the playlist was asked for.
                let source = self.places.get(&it.source).copied();
                let source = source.unwrap_or_else(|| self.source(&it.url));
                let name = bare(&it.url).rsplit('/').next().unwrap_or_default();
                let what = format!("segment {name}");
                self.begin(it.request, Row::Downloads(source), now, what);
            }
            Command::Publish(it) => {
                let what = format!("published: {}", version(&it.playlists));
                self.begin(it.request, Row::Published, now, what);
            }
            Command::Withdraw { request, .. } => {
                let what = "withdrawn: the presentation is over".to_owned();
                self.begin(*request, Row::Published, now, what);
            }
            Command::Notify(notice) => self.notice(now, notice),
            // Housekeeping: a failure of it is told by a notice.
            Command::Transcode(_)
            | Command::Preload(_)
            | Command::CheckObjects { .. }
            | Command::Delete { .. }
            | Command::SaveCheckpoint { .. }
            | Command::Cancel { .. } => {}
        }
    }

    fn notice(&mut self, now: WallTime, notice: &Notice) {
        self.tally.notice(notice);
        let (row, look) = match notice {
            Notice::StateChanged { to, reason, .. } => {
                self.end_state();
                self.state = Some((*to, now, reason.to_string()));
                return;
            }
            // What it confirms stands in the first row.
            Notice::Configured { .. } => return,
            Notice::ConfigureRefused { .. } => (Row::Control, Look::Bad),
            Notice::Hole { duration, .. } => {
                // It is about as wide as what was lost, which was listed before it was given up.
                let from = (now - *duration).max(self.first);
                return self.mark(Row::Holes, 0, (from, now), Look::Hole, notice.to_string());
            }
            Notice::Broken { .. } => (Row::Holes, Look::Break),
            Notice::Switched { .. } | Notice::Preparing { .. } => (Row::Notices, Look::Break),
            Notice::PlaylistFailed { .. }
            | Notice::PlaylistRefused { .. }
            | Notice::SegmentRefused { .. }
            | Notice::PreparationFailed { .. }
            | Notice::StoreFailed { .. } => (Row::Notices, Look::Bad),
            Notice::StaleEdge { .. }
            | Notice::SegmentRetry { .. }
            | Notice::NeedRetry { .. }
            | Notice::LeftBehind { .. }
            | Notice::Redundant { .. }
            | Notice::DateRange { .. }
            | Notice::FormatsUntold { .. }
            | Notice::InitSectionChanged
            | Notice::NotWhole { .. }
            | Notice::RungsMissed { .. }
            | Notice::RungSuspended { .. }
            | Notice::LadderWaits { .. }
            | Notice::EdgeFailed { .. }
            | Notice::Renewing { .. } => (Row::Notices, Look::Warning),
            Notice::PlaylistFlaw { .. }
            | Notice::PlaylistRecovered { .. }
            | Notice::TargetDurationRaised { .. }
            | Notice::Presented { .. }
            | Notice::CaughtUp { .. }
            | Notice::Fenced { .. }
            | Notice::RungTried { .. }
            | Notice::RungResumed { .. }
            | Notice::RungLower { .. }
            | Notice::RungEntered { .. }
            | Notice::RungLeft { .. }
            | Notice::EdgeRecovered { .. }
            | Notice::Restored { .. } => (Row::Notices, Look::Told),
        };
        self.mark(row, 0, (now, now), look, notice.to_string());
    }

    /// Which source a playlist is: by its URL, since places in the list change with a configuration.
    fn source(&mut self, url: &Arc<str>) -> usize {
        let known = self.sources.iter().position(|it| it.url == *url);
        known.unwrap_or_else(|| {
            if self.sources.len() == MOST_SOURCES {
                return MOST_SOURCES - 1;
            }
            self.sources.push(Source {
                url: url.clone(),
                body: None,
                end: 0,
            });
            self.sources.len() - 1
        })
    }

    /// What a playlist is worth, beside the one before.
    fn judge(&mut self, source: usize, body: &PlaylistBody) -> (Look, String) {
        let source = &mut self.sources[source];
        if source.body.as_ref() == Some(body) {
            return (Look::Same, "unchanged".to_owned());
        }
        source.body = Some(body.clone());
        match playlist::parse(&body.0) {
            Err(error) => (Look::Bad, format!("refused: {error}")),
            Ok(Playlist::Multivariant(all)) => {
                let (variants, renditions) = (all.variants.len(), all.renditions.len());
                let words = format!("{variants} variants, {renditions} renditions");
                (Look::Good, words)
            }
            Ok(Playlist::Media(list)) => {
                let (before, end) = (source.end, list.end_media_sequence());
                source.end = end;
                let text = words::playlist(&String::from_utf8_lossy(&body.0));
                if end < before {
                    return (Look::Warning, format!("older than before: {text}"));
                }
                (Look::Good, text)
            }
        }
    }

    fn begin(&mut self, request: RequestId, row: Row, now: WallTime, what: String) {
        let taken = |place: &usize| {
            let mut same = self.under_way.values().filter(|it| it.row == row);
            same.any(|it| it.beside == *place)
        };
        let beside = (0..MOST_BESIDE).find(|place| !taken(place)).unwrap_or(0);
        let work = UnderWay {
            row,
            beside,
            since: now,
            what,
        };
        self.under_way.insert(request, work);
    }

    fn done(&mut self, request: RequestId, now: WallTime, look: Look, words: &str) {
        if let Some(work) = self.under_way.remove(&request) {
            let took = now.since(work.since).as_millis();
            let words = format!("{}, {took} ms: {words}", work.what);
            self.mark(work.row, work.beside, (work.since, now), look, words);
        }
    }

    fn done_in_store(
        &mut self,
        request: RequestId,
        now: WallTime,
        error: Option<&hls_relay_core::event::StoreError>,
    ) {
        match error {
            None => self.done(request, now, Look::Good, "stored"),
            Some(error) => self.done(request, now, Look::Bad, &error.to_string()),
        }
    }

    /// What was under way will not be answered any more.
    fn forget_work(&mut self, why: &str) {
        for work in std::mem::take(&mut self.under_way).into_values() {
            let words = format!("{}: {why}", work.what);
            let time = (work.since, self.last);
            self.mark(work.row, work.beside, time, Look::Open, words);
        }
    }

    fn end_state(&mut self) {
        if let Some((state, from, reason)) = self.state.take() {
            let until = self.last;
            self.tally.state(state, until.since(from));
            self.bands.push(Band {
                state,
                from,
                until,
                reason,
            });
        }
    }

    fn mark(
        &mut self,
        row: Row,
        beside: usize,
        (from, until): (WallTime, WallTime),
        look: Look,
        words: String,
    ) {
        self.marks.push(Mark {
            row,
            beside,
            from,
            until,
            look,
            words,
        });
    }

    fn length(&self) -> Span {
        self.last.since(self.first)
    }
}

fn wished(wish: &Configure) -> String {
    let hosts = wish.spec.sources.iter().map(|it| bare(&it.url));
    let hosts: Vec<&str> = hosts.collect();
    let what = match wish.desired {
        Desired::Run => "run",
        Desired::Stop => "stop",
    };
    format!(
        "{what}, revision {}: {} segments, {:?}, {:?}, from {}",
        wish.revision,
        words::window(wish.spec.window),
        wish.spec.hole,
        wish.spec.reload,
        hosts.join(" and ")
    )
}

/// A version, by the first of its lists: the others cover the same time.
fn version(playlists: &[PublishedPlaylist]) -> String {
    let [first, others @ ..] = playlists else {
        return "nothing that changes".to_owned();
    };
    let shown = words::playlist(&first.text);
    match others.len() {
        0 if &*first.name.0 == PlaylistName::ENTRY => shown,
        0 => format!("{} {shown}", first.name.0),
        more => format!("{} {shown}, and {more} more", first.name.0),
    }
}

fn look_of(error: &FetchError) -> Look {
    if *error == FetchError::Cancelled {
        Look::Cancelled
    } else {
        Look::Bad
    }
}

/// A URL without what might be secret in it.
fn bare(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    url.split_once("://").map_or(url, |(_, rest)| rest)
}
