//! The world: one queue of what will happen, one process under test, and whatever surrounds it.
//!
//! The loop takes the next thing from the queue and lets it happen; what the machine then wants is
//! carried out in `carry`, what is due in the store in `shelf`, what goes wrong with the process and
//! its wishes in `fate`, what viewers do in `audience`, what must come about in `liveness`, when the machine
//! wakes in `wakes`. What is left to chance is drawn in `chance`. Each check stands where the thing happens.

mod audience;
mod carry;
mod chance;
mod due;
mod fate;
mod liveness;
mod making;
mod shelf;
mod told;
mod troubles;
mod visible;
mod wakes;

use crate::census::Census;
use crate::checks::bounds::BoundChecks;
use crate::checks::edges::EdgeChecks;
use crate::checks::keep::KeepChecks;
use crate::checks::ledger::{Ledger, MediaKey};
use crate::checks::list::{Excuses, ListChecks};
use crate::checks::{Held, Violation, broken, is_followed_anew};
use crate::origin::{Origin, RequestCounter, Unmet};
use crate::plan::{Change, ChannelPlan, Plan};
use crate::process::Process;
use crate::published::Version;
use crate::queue::Queue;
use crate::rng::Stream;
use crate::store::Store;
use crate::viewer::Viewer;
use chance::Chance;
use due::Due;
use hls_relay_core::command::Command;
use hls_relay_core::config::{Source, Spec};
use hls_relay_core::digest::Digest;
use hls_relay_core::event::{Configure, Desired, Event};
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::journal;
use hls_relay_core::notice::Notice;
use hls_relay_core::planted::Planted;
use hls_relay_core::preload::{Edge, PreloadPolicy};
use hls_relay_core::time::{Span, Timestamp, WallTime};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a world is asked to remember.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Every step in words.
    pub trace: bool,
    /// Every step as a journal.
    pub journal: bool,
    /// What the operator and the viewers see, in words, until the world is healed.
    pub story: bool,
    /// The mistake that every machine in it makes.
    pub planted: Planted,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first promise that did not hold, and when.
    pub failure: Option<Failure>,
    /// Of everything every machine ever wanted.
    pub digest: u64,
    /// Steps of machines.
    pub events: u64,
    /// How long it was, in the world.
    pub simulated: Span,
    /// What happened how often.
    pub census: Census,
    /// The steps in words, where they were asked for.
    pub trace: Vec<String>,
    /// The journal, where it was asked for.
    pub journal: String,
    /// What operator and viewers saw, where it was asked for.
    pub story: Vec<String>,
    /// The version that viewers saw when the faults were over, where the story was asked for.
    pub playlist: String,
    /// What viewers suffered.
    pub suffered: Vec<crate::player::Suffered>,
    /// Segments offered and published.
    pub totals: crate::checks::ledger::Totals,
}

/// A broken promise, and when it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Since the start of the world.
    pub at: Span,
    /// Which of the processes it was.
    pub node: String,
    /// The state of its machine, in words.
    pub status: String,
    /// What should be and what is.
    pub violation: Violation,
}

/// See the module.
pub struct World {
    plan: Plan,
    options: Options,
    now: Timestamp,
    queue: Queue<Due>,
    origins: Vec<Origin>,
    counters: Vec<RequestCounter>,
    store: Store,
    process: Option<Process>,
    incarnations: u64,
    wish: Configure,
    fate: fate::Fate,
    viewers: Vec<Viewer>,
    pool: making::SharedPool,
    /// By the names under which they are published.
    lists: BTreeMap<PlaylistName, ListChecks>,
    keep: KeepChecks,
    bounds: BoundChecks,
    edges: EdgeChecks,
    /// What the last multivariant playlist leads to, or led to before it was taken down.
    led_to: Vec<PlaylistName>,
    ledger: Ledger,
    versions: u64,
    chance: Chance,
    wall_at_start: WallTime,
    commands: Vec<Command>,
    digest: Digest,
    events: u64,
    census: Census,
    /// What lies in wait, by origin.
    unmet: Vec<Unmet>,
    trace: Vec<String>,
    journal: String,
    story: Vec<String>,
    playlist: String,
    /// What is visible are rungs of a ladder.
    has_rungs: bool,
    /// By their numbers, what of the source they are made of; or would be.
    behind_rungs: BTreeMap<u64, MediaKey>,
    source_list: PlaylistName,
    /// In seconds: what any list of a source has told.
    told_target_durations: BTreeSet<u64>,
    /// The least that any source truly has, ever.
    least_target_duration: Span,
    over: bool,
}

/// A world that takes longer than this is stuck.
const TOO_MANY_EVENTS: u64 = 50_000_000;
/// A piece of a journal is this long.
const PIECE: u64 = 4_096;

impl World {
    /// A world about to begin.
    pub fn new(plan: Plan, options: Options) -> Self {
        let wish = Configure {
            revision: 1,
            desired: Desired::Run,
            spec: Arc::new(spec_of(&plan, &plan.channel)),
        };
        let wall_at_start = plan
            .origins
            .first()
            .map(|origin| origin.wall_at_start)
            .unwrap_or_default();
        Self {
            now: Timestamp::default(),
            queue: Queue::new(Stream::new(plan.seed, "ties")),
            origins: plan.origins.iter().cloned().map(Origin::new).collect(),
            counters: vec![RequestCounter::default(); plan.origins.len()],
            store: Store::default(),
            process: None,
            incarnations: 0,
            wish,
            fate: fate::Fate::new(&plan),
            viewers: (0..plan.players.len() as u64)
                .map(|number| Viewer::new(Stream::new(plan.seed, "variants").child(number)))
                .collect(),
            pool: making::SharedPool::new(&plan.workers, options.planted),
            lists: BTreeMap::new(),
            keep: KeepChecks::default(),
            bounds: BoundChecks::new(
                plan.tracks() * (1 + plan.rungs()),
                plan.listed(),
                plan.kept_by_events(),
                plan.told(),
                plan.has_needs(),
            ),
            edges: EdgeChecks::new(plan.channel.edges),
            led_to: Vec::new(),
            ledger: Ledger::default(),
            versions: 0,
            chance: Chance::new(plan.seed),
            wall_at_start,
            commands: Vec::new(),
            digest: Digest::default(),
            events: 0,
            census: Census::with_sources(&plan.origins),
            unmet: plan
                .origins
                .iter()
                .map(|it| Unmet::of(&it.faults))
                .collect(),
            trace: Vec::new(),
            journal: String::new(),
            story: Vec::new(),
            playlist: String::new(),
            has_rungs: false,
            behind_rungs: BTreeMap::new(),
            source_list: PlaylistName(visible::SOURCE_LIST.into()),
            told_target_durations: BTreeSet::new(),
            least_target_duration: plan.least_target_duration(),
            over: false,
            plan,
            options,
        }
    }

    /// Runs it to its end, or to the first promise that does not hold.
    pub fn run(mut self) -> Outcome {
        // Whatever breaks in the world itself is told with its seed too.
        let held = catch_unwind(AssertUnwindSafe(|| self.run_to_the_end()));
        let held = held.unwrap_or_else(|panic| {
            let words = crate::words::of_panic(&*panic);
            broken("no panic of the world", "a world that goes on", words)
        });
        let failure = held.err().map(|violation| self.failure(violation));
        Outcome {
            failure,
            digest: self.digest.value(),
            events: self.events,
            simulated: self.now.since(Timestamp::default()),
            census: self.census,
            trace: self.trace,
            journal: self.journal,
            story: self.story,
            playlist: self.playlist,
            suffered: self.viewers.iter().flat_map(Viewer::suffered).collect(),
            totals: self.ledger.totals,
        }
    }

    fn failure(&self, violation: Violation) -> Failure {
        let (node, status) = match &self.process {
            None => (
                format!("none: process {} has ended", self.incarnations),
                "none".to_owned(),
            ),
            Some(process) => {
                let now = process.clocks(self.now, self.wall_at_start);
                let status = catch_unwind(AssertUnwindSafe(|| process.machine.status(now)));
                let status = status.map(|status| format!("{status:?}"));
                (
                    format!("process {}", process.incarnation),
                    status.unwrap_or_else(|_| "unknown".to_owned()),
                )
            }
        };
        Failure {
            at: self.now.since(Timestamp::default()),
            node,
            status,
            violation,
        }
    }

    fn run_to_the_end(&mut self) -> Held {
        self.begin();
        while !self.over {
            let Some((at, due)) = self.queue.pop() else {
                return broken("the world goes on", "something to come", "an empty queue");
            };
            self.now = at;
            self.events_are_bounded()?;
            self.happen(due)?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        let start = Timestamp::default();
        self.queue.push(start, Due::Start);
        self.queue.push(start + Span::from_secs(1), Due::Look);
        self.queue.push(start + self.plan.healed_at, Due::Heal);
        self.queue.push(start + self.plan.stop_at, Due::Stop);
        for (viewer, &from) in self.plan.players.iter().enumerate() {
            let due = Due::Player { viewer, reel: 0 };
            self.queue.push(start + from, due);
        }
        self.arm_pool();
        self.arm();
    }

    fn events_are_bounded(&self) -> Held {
        if self.events < TOO_MANY_EVENTS {
            return Ok(());
        }
        broken(
            "bounded steps",
            format!("under {TOO_MANY_EVENTS}"),
            self.events.to_string(),
        )
    }

    fn happen(&mut self, due: Due) -> Held {
        match due {
            Due::Wake { incarnation, wake } => self.wake(incarnation, wake),
            Due::Tick {
                incarnation,
                coming,
            } => self.tick(incarnation, coming),
            Due::Hop {
                incarnation,
                request,
            } if self.lives(incarnation) => self.hop(request),
            Due::Hop { .. } => Ok(()),
            Due::Half { incarnation, .. } if self.lives(incarnation) => {
                self.moment(crate::plan::Moment::DownloadHalf)
            }
            Due::Half { .. } => Ok(()),
            Due::Fetched {
                incarnation,
                request,
            } if self.lives(incarnation) => self.fetched(request),
            Due::Fetched { .. } => Ok(()),
            Due::Shelf {
                incarnation,
                request,
                phase,
            } if self.lives(incarnation) => self.shelf(request, phase),
            Due::Shelf { .. } => Ok(()),
            Due::Worker {
                incarnation,
                request,
            } if self.lives(incarnation) => self.worker(request),
            Due::Worker { .. } => Ok(()),
            Due::Pool(armed) => self.pool_is_due(armed),
            Due::Start => self.start(),
            Due::Control(number) => self.control_is_due(number, None),
            Due::End(number) => self.end_is_due(number, None),
            Due::Player { viewer, reel } => self.watch(viewer, reel),
            Due::Look => self.look(),
            Due::Heal => self.heal(),
            Due::Stop => self.wish(&Change::Stop),
        }
    }

    fn lives(&self, incarnation: u64) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.incarnation == incarnation)
    }

    /// Lets the machine take one event, checks what it wants, and sets about it.
    fn step(&mut self, event: Event) -> Held {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        let now = process.clocks(self.now, self.wall_at_start);
        self.census.event(&event, process.machine.state());
        let heard = process.work.event(self.now, &event);
        process.retries.event(self.now, &event);
        process.making.event(&event);
        let record = (self.options.journal || self.options.trace).then(|| event.clone());
        if self.options.journal && process.steps.is_multiple_of(PIECE) {
            self.journal.push_str(&journal::encode_head(
                "sim",
                process.steps,
                &process.machine,
            ));
        }
        let tick = event == Event::Tick;
        let mut commands = std::mem::take(&mut self.commands);
        commands.clear();
        let machine = &mut process.machine;
        let stepped = catch_unwind(AssertUnwindSafe(|| machine.step(now, event, &mut commands)));
        let next = match stepped {
            Ok(next) => next,
            Err(panic) => {
                let (seq, words) = (process.steps, crate::words::of_panic(&*panic));
                let what = record.as_ref().map(crate::words::event);
                let words = format!("{words}; {}", what.unwrap_or_default());
                if let Some(event) = record {
                    self.record(seq, now, event, None);
                }
                return broken("no panic", "a step", words);
            }
        };
        self.events += 1;
        let seq = process.steps;
        process.steps += 1;
        self.digest.add(commands.as_slice());
        // A step that breaks a promise is among the last steps that are shown.
        let wanted = process.work.commands(&commands);
        process.generations.commands(&commands, &self.wish.spec);
        if commands.iter().any(is_followed_anew) {
            process.pace.followed_anew();
            process.retries.followed_anew();
        }
        let late = self.plan.wakes.by + Span::from_millis(1);
        let making = process.making.commands(self.now, &commands, late);
        let woken_for = process.woken_for.take();
        let woken = woken_for.map_or(Ok(()), |why| process.work.woken(self.now, why, &commands));
        let wakes = process.work.wakeup_after(tick, now.monotonic, next);
        if let Some(event) = record {
            self.record(seq, now, event, Some(&commands));
        }
        heard.and(wanted).and(woken).and(wakes).and(making)?;
        for command in &commands {
            self.census.command(command);
            if let Command::Notify(Notice::Configured { .. }) = command {
                self.census.policies(&self.wish.spec);
            }
        }
        self.ledger.commands(self.now, &commands);
        self.tell(&commands);
        self.schedule_wake(next);
        let carried = self.carry_all(&commands);
        self.commands = commands;
        carried
    }

    /// The newest version of any playlist.
    fn newest_version(&self) -> Option<&Arc<Version>> {
        let last = self.lists.values().filter_map(ListChecks::last);
        last.max_by_key(|version| version.number)
    }

    /// Something has happened that excuses something in the next version of every playlist.
    fn excuse(&mut self, what: impl Fn(&mut Excuses)) {
        let lists = self.lists.values_mut();
        lists.for_each(|list| what(&mut list.excuses));
    }
}

/// A channel as its machine wants to hear of it.
pub(crate) fn spec_of(plan: &Plan, channel: &ChannelPlan) -> Spec {
    let url = |&origin: &usize| Source {
        url: crate::checks::pace::playlist_url(plan, origin),
    };
    Spec {
        sources: channel.sources.iter().map(url).collect(),
        window: channel.window,
        room: channel.room,
        hole: channel.hole,
        reload: channel.reload,
        keys: channel.keys,
        selection: channel.selection.clone(),
        tags: channel.tags.clone(),
        ladder: channel.ladder.clone(),
        preload: preload_of(channel),
    }
}

fn preload_of(channel: &ChannelPlan) -> Option<PreloadPolicy> {
    let edge = |number| Edge {
        url: format!("http://cdn{number}.test/live/").into(),
        method: channel.edge_method,
    };
    (channel.edges > 0).then(|| PreloadPolicy {
        edges: (0..channel.edges).map(edge).collect(),
        patience: channel.edge_patience,
    })
}
