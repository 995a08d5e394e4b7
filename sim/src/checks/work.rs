//! Requests, generations and bounds: each work has one name, nothing piles up, nobody runs in
//! circles.

use super::{Held, broken};
use hls_relay_core::command::Command;
use hls_relay_core::event::Event;
use hls_relay_core::ids::{Generation, RequestId};
use hls_relay_core::limits::{MAX_DOWNLOADS, MAX_WINDOW};
use hls_relay_core::relay::Wake;
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeSet;

/// Steps that a machine may be asked for in one simulated second, for each track. A start that fetches a long window
/// from a fast origin makes the most of them: 204 in 5,000 drawn worlds.
const STEPS_PER_SECOND: u64 = 250;

/// Wakeups are counted for so long.
const IDLE_WITHIN: Span = Span::from_secs(10);
/// So many of them may come to nothing, for each track: a state that does not change after all, a segment that is
/// given up and said with the next one.
const IDLE_WAKEUPS: u64 = 20;

/// What is due by such a wakeup is always something to be done outside.
fn must_do(why: Wake) -> bool {
    match why {
        Wake::Reload | Wake::Retry | Wake::Publish | Wake::StoreRetry | Wake::Retire => true,
        Wake::GiveUp
        | Wake::Process
        | Wake::Align
        | Wake::Silence
        | Wake::Switch
        | Wake::ShutDown => false,
    }
}

/// The work of one process.
#[derive(Debug)]
pub struct WorkChecks {
    /// How many tracks its sources have at most: each may cost what a single one does.
    tracks: usize,
    newest: Option<RequestId>,
    publishing: Option<RequestId>,
    downloading: BTreeSet<RequestId>,
    generation: Generation,
    second: u64,
    steps: u64,
    idle: Idle,
}

/// Wakeups of late that came to nothing.
#[derive(Debug, Default)]
struct Idle {
    /// Counts stretches of [`IDLE_WITHIN`].
    stretch: u64,
    wakeups: u64,
}

impl WorkChecks {
    /// A process whose sources have so many tracks at most.
    pub fn new(tracks: usize) -> Self {
        Self {
            tracks,
            newest: None,
            publishing: None,
            downloading: BTreeSet::new(),
            generation: Generation::default(),
            second: 0,
            steps: 0,
            idle: Idle::default(),
        }
    }

    /// An event comes in.
    pub fn event(&mut self, now: Timestamp, event: &Event) -> Held {
        match event {
            Event::Downloaded { request, .. } => {
                self.downloading.remove(request);
            }
            Event::Published { .. } => self.publishing = None,
            Event::Tick
            | Event::Configure(_)
            | Event::PlaylistLoaded { .. }
            | Event::Transcoded { .. }
            | Event::Preloaded { .. }
            | Event::ObjectsChecked { .. }
            | Event::Deleted { .. }
            | Event::Withdrawn { .. }
            | Event::CheckpointSaved { .. }
            | Event::ShutDown => {}
        }
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            (self.second, self.steps) = (second, 0);
        }
        self.steps += 1;
        if self.steps > STEPS_PER_SECOND * self.tracks as u64 {
            return broken(
                "3 a machine is asked a bounded number of times",
                format!("{STEPS_PER_SECOND} steps in a second for each track"),
                "more",
            );
        }
        Ok(())
    }

    /// What came out of a step.
    pub fn commands(&mut self, commands: &[Command]) -> Held {
        if commands.len() > (4 * MAX_WINDOW.min(64) + 64) * self.tracks {
            return broken(
                "3 a step wants a bounded number of things",
                "few",
                commands.len().to_string(),
            );
        }
        commands
            .iter()
            .try_for_each(|command| self.command(command))
    }

    fn command(&mut self, command: &Command) -> Held {
        let request = match command {
            Command::LoadPlaylist(load) => load.request,
            Command::Download(download) => {
                self.downloading.insert(download.request);
                // Those of a source being prepared come on top of those of the source in use.
                if self.downloading.len() > 2 * MAX_DOWNLOADS * self.tracks {
                    return broken(
                        "downloads at once are bounded",
                        format!("{MAX_DOWNLOADS} for each track of each source in use"),
                        self.downloading.len().to_string(),
                    );
                }
                download.request
            }
            Command::Publish(publish) => {
                if let Some(other) = self.publishing.replace(publish.request) {
                    return broken(
                        "one publish at a time",
                        format!("the answer to {other:?} first"),
                        format!("{:?}", publish.request),
                    );
                }
                if publish.generation < self.generation {
                    return broken(
                        "3 an older generation never publishes after a newer one took over",
                        format!("{:?} or newer", self.generation),
                        format!("{:?}", publish.generation),
                    );
                }
                self.generation = publish.generation;
                publish.request
            }
            Command::Transcode(it) => it.request,
            Command::Preload(it) => it.request,
            Command::CheckObjects { request, .. }
            | Command::Delete { request, .. }
            | Command::Withdraw { request, .. }
            | Command::SaveCheckpoint { request, .. } => *request,
            // What is cancelled may still be on its way into the store; nobody waits for it.
            Command::Cancel { request } => {
                self.downloading.remove(request);
                return Ok(());
            }
            Command::Notify(_) => return Ok(()),
        };
        if self.newest.is_some_and(|newest| request <= newest) {
            return broken(
                "3 each work has a name of its own",
                format!("above {:?}", self.newest),
                format!("{request:?}"),
            );
        }
        self.newest = Some(request);
        Ok(())
    }

    /// A wakeup that the machine has asked for, for `why`, at which it wanted these: something was due.
    pub fn woken(&mut self, now: Timestamp, why: Wake, commands: &[Command]) -> Held {
        if !commands.is_empty() {
            return Ok(());
        }
        if must_do(why) {
            return broken(
                "3 a wakeup is for something",
                format!("what is due by {why:?}"),
                "nothing is wanted",
            );
        }
        let stretch = now.as_micros() / IDLE_WITHIN.as_micros();
        if stretch != self.idle.stretch {
            (self.idle.stretch, self.idle.wakeups) = (stretch, 0);
        }
        self.idle.wakeups += 1;
        let most = IDLE_WAKEUPS * self.tracks as u64;
        if self.idle.wakeups <= most {
            return Ok(());
        }
        broken(
            "3 a machine that has nothing to do sleeps",
            format!("at most {most} wakeups in {IDLE_WITHIN} at which nothing is wanted"),
            format!("one more, for {why:?}"),
        )
    }

    /// Nothing is due right after a wakeup: that would be a busy loop.
    pub fn wakeup_after(
        &self,
        tick: bool,
        now: Timestamp,
        next: Option<(Timestamp, Wake)>,
    ) -> Held {
        match next {
            Some((at, wake)) if tick && at <= now => broken(
                "3 no busy loop",
                "after a wakeup, the next one later than now",
                format!("{wake:?} due {} us ago", now.since(at).as_micros()),
            ),
            Some(_) | None => Ok(()),
        }
    }
}
