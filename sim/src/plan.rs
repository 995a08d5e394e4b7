//! What a world is and what goes wrong in it: plain data, drawn before anything runs.
//!
//! A plan can be printed, kept, cut smaller and run again. How plans are drawn from a seed is in
//! [`crate::draw`]; a scenario writes one by hand.

mod words;

use crate::origin::{
    Container, EncoderFault, Fault, FaultKind, Keeps, OriginSpec, PresentationSpec,
};
use crate::store::StorePlan;
use crate::workers::WorkerPlan;
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection};
use hls_relay_core::ladder::Ladder;
use hls_relay_core::preload::PreloadMethod;
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Everything about one world. The same plan gives the same run, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Of every random draw that is not in the plan itself.
    pub seed: u64,
    /// When the last fault is over; the channel is then told to run.
    pub healed_at: Span,
    /// When the channel is stopped for good, and everything must be freed in its time.
    pub stop_at: Span,
    /// Where media comes from.
    pub origins: Vec<OriginSpec>,
    /// What the channel should be at first.
    pub channel: ChannelPlan,
    /// What is wished of the channel, beyond running from the start.
    pub controls: Vec<Control>,
    /// Where things are kept.
    pub store: StorePlan,
    /// How processes end.
    pub ends: Vec<ProcessEnd>,
    /// When wakeups come.
    pub wakes: WakePlan,
    /// What goes wrong between the origins and us.
    pub network: Vec<NetworkFault>,
    /// When viewers come.
    pub players: Vec<Span>,
    /// Who makes rungs and warms edges.
    #[serde(default)]
    pub workers: WorkerPlan,
}

/// A stretch in which something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// When it begins.
    pub from: Timestamp,
    /// When it is over.
    pub until: Timestamp,
    /// Within how many target durations after that segments are relayed again, where a time is promised:
    /// one, and two after requests that hang.
    pub recovery: Option<u64>,
}

/// A channel as its owner writes it; sources are numbers of origins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPlan {
    /// The first is wanted, the others are backups.
    pub sources: Vec<usize>,
    /// Segments listed.
    pub window: Option<usize>,
    /// What the store is said to hold at most, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<u64>,
    /// How holes are said.
    pub hole: HolePolicy,
    /// What times the reload.
    pub reload: ReloadPolicy,
    /// What becomes of segments under AES-128.
    #[serde(default)]
    pub keys: KeyPolicy,
    /// What is made of them.
    #[serde(default)]
    pub ladder: Option<Ladder>,
    /// So many edges are warmed.
    #[serde(default)]
    pub edges: usize,
    /// How these are asked.
    #[serde(default)]
    pub edge_method: PreloadMethod,
    /// How long they are waited for, where that is said.
    #[serde(default)]
    pub edge_patience: Option<Span>,
    /// Which tags are dropped.
    #[serde(default)]
    pub tags: TagPolicy,
    /// What is relayed of a multivariant playlist.
    #[serde(default)]
    pub selection: Selection,
}

/// A wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// When it is said.
    pub when: When,
    /// What is wished.
    pub change: Change,
}

/// A time, or the first such moment after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// Not before.
    pub after: Span,
    /// At the next such moment; at that time itself where there is none.
    pub moment: Option<Moment>,
}

/// The moments at which a change, or an end, is at its worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// A playlist has been asked for.
    LoadSent,
    /// A playlist has come, its segments are about to be asked for.
    PlaylistLoaded,
    /// A segment is half downloaded.
    DownloadHalf,
    /// A segment is stored and nobody knows yet.
    SegmentStored,
    /// A playlist is about to be made visible.
    PublishSent,
    /// The checkpoint is saved, the playlist not yet visible.
    CheckpointSaved,
    /// A playlist is visible and nobody knows yet.
    PublishApplied,
    /// Segments are about to be deleted.
    DeleteSent,
    /// A wish has just been told.
    Configured,
    /// The state has become stalled.
    Stalled,
    /// Another source is being prepared.
    Preparing,
}

/// All of them.
pub const MOMENTS: [Moment; 11] = [
    Moment::LoadSent,
    Moment::PlaylistLoaded,
    Moment::DownloadHalf,
    Moment::SegmentStored,
    Moment::PublishSent,
    Moment::CheckpointSaved,
    Moment::PublishApplied,
    Moment::DeleteSent,
    Moment::Configured,
    Moment::Stalled,
    Moment::Preparing,
];

/// What can be wished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It should run.
    Run,
    /// It should stop.
    Stop,
    /// It comes from here.
    Sources(Vec<usize>),
    /// So many segments.
    Window(Option<usize>),
    /// Holes are said so.
    Hole(HolePolicy),
    /// The reload is timed so.
    Reload(ReloadPolicy),
    /// This becomes of segments under AES-128, from the next that is listed on.
    Keys(KeyPolicy),
    /// These rungs, or none.
    Ladder(Option<Ladder>),
    /// This of a multivariant playlist, from the next time on that it is loaded.
    Selection(Selection),
    /// The same again, as a new revision.
    Nothing,
    /// A wish of an older revision arrives late: it must be ignored.
    Outdated,
    /// A spec that cannot be relayed: refused, and the one before stays.
    Invalid,
}

/// How a process ends. Another one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEnd {
    /// When.
    pub when: When,
    /// After so many commands of the next step that has any, or after the last one where it has fewer; the
    /// rest is never seen. Before any step where it is none.
    pub commands: usize,
    /// How long nobody is there.
    pub down: Span,
    /// How it ends.
    pub how: EndKind,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    /// At once; its checkpoint stays.
    Kill,
    /// At once; its checkpoint is lost as well.
    KillAndLoseState,
    /// In order.
    ShutDown,
}

/// When wakeups come until the world is healed, in percent of all; the others come exactly on time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakePlan {
    /// Late, by up to `by`.
    pub late: u64,
    /// Early, by up to `by`; the machine must ask again.
    pub early: u64,
    /// Twice.
    pub twice: u64,
    /// See above.
    pub by: Span,
}

/// What goes wrong between an origin and us, beyond what origins do themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFault {
    /// When it begins.
    pub from: Span,
    /// When it is over.
    pub until: Span,
    /// Whose requests.
    pub origin: usize,
    /// What.
    pub kind: NetworkFaultKind,
}

/// What a client meets on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkFaultKind {
    /// No connection.
    Refused,
    /// The name leads to a private address.
    PrivateAddress,
    /// A redirect to what is no URL.
    BadUrl,
    /// A content coding that nobody knows.
    BadEncoding,
    /// Not HTTP.
    Protocol,
    /// Another byte range than asked for.
    WrongRange,
    /// A success without a body.
    Empty,
    /// A body without end.
    Endless,
    /// A client that lets pass what is too long for its limit. None of ours does; the core stands it.
    Uncut,
    /// A client that cannot tell where its answer comes from. None of ours does; the core stands it.
    Nowhere,
}

impl When {
    /// At that time.
    pub fn at(after: Span) -> Self {
        Self {
            after,
            moment: None,
        }
    }

    /// At the first such moment after that time.
    pub fn moment(after: Span, moment: Moment) -> Self {
        Self {
            after,
            moment: Some(moment),
        }
    }
}

impl FromStr for Plan {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

impl Plan {
    /// As it is kept in a file.
    ///
    /// # Errors
    /// None that a plan can cause.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Every stretch in which something is known to go wrong at a stated time.
    pub fn troubles(&self) -> Vec<Trouble> {
        let faults = self.origins.iter().flat_map(|origin| {
            let alone = origin.presentation.is_none();
            origin.faults.iter().map(move |fault| (alone, fault))
        });
        // Among several tracks one waits for the other: nothing is promised of the time that takes.
        let origins = faults.map(|(alone, fault)| {
            let recovery = fault.kind.recovery().filter(|_| alone);
            (fault.from, fault.until, recovery)
        });
        let store = self.store.faults.iter();
        let store = store.map(|fault| (fault.from, fault.until, None));
        let network = self.network.iter();
        let network = network.map(|fault| (fault.from, fault.until, Some(1)));
        let wakes =
            (self.wakes != WakePlan::default()).then_some((Span::ZERO, self.healed_at, None));
        let start = Timestamp::default();
        let mut all: Vec<Trouble> = origins
            .chain(store)
            .chain(network)
            .chain(wakes)
            .map(|(from, until, recovery)| Trouble {
                from: start + from,
                until: start + until,
                recovery,
            })
            .collect();
        all.sort();
        all
    }

    /// The most tracks that an origin has.
    pub fn tracks(&self) -> usize {
        let presented = self
            .origins
            .iter()
            .filter_map(|it| it.presentation.as_ref());
        presented.map(|it| it.tracks.len()).max().unwrap_or(1)
    }

    /// The least target duration that any source truly has, ever.
    pub fn least_target_duration(&self) -> Span {
        let changed = |fault: &Fault| {
            let FaultKind::Encoder(EncoderFault::TargetDurationChange {
                target_duration, ..
            }) = fault.kind
            else {
                return None;
            };
            Some(target_duration)
        };
        let of = |origin: &OriginSpec| {
            let changes = origin.faults.iter().filter_map(changed);
            changes.fold(origin.target_duration, u64::min)
        };
        let least = self.origins.iter().map(of).min();
        Span::from_secs(least.unwrap_or(1))
    }

    /// All tracks of each origin can cover the same time.
    pub fn is_in_step(&self) -> bool {
        let mut presented = self
            .origins
            .iter()
            .filter_map(|it| it.presentation.as_ref());
        presented.all(PresentationSpec::is_in_step)
    }

    /// The most rungs that the channel has, ever.
    pub fn rungs(&self) -> usize {
        let changed = self.controls.iter().filter_map(|it| match &it.change {
            Change::Ladder(ladder) => ladder.as_ref(),
            Change::Run
            | Change::Stop
            | Change::Sources(_)
            | Change::Window(_)
            | Change::Hole(_)
            | Change::Reload(_)
            | Change::Keys(_)
            | Change::Selection(_)
            | Change::Nothing
            | Change::Outdated
            | Change::Invalid => None,
        });
        let ladders = self.channel.ladder.iter().chain(changed);
        // Those that leave stay listed beside those that come.
        ladders.map(|it| it.rungs.len()).sum()
    }

    /// The most segments that an origin lists at a time.
    pub fn listed(&self) -> usize {
        let listed = self.origins.iter().map(|it| it.window.max(it.backlog));
        let listed = usize::try_from(listed.max().unwrap_or(0)).unwrap_or(usize::MAX);
        listed + self.kept_by_events()
    }

    /// The most segments that an event comes to list in addition.
    pub fn kept_by_events(&self) -> usize {
        let events = self.origins.iter().filter(|it| it.keeps == Keeps::Event);
        let listed = events.map(|it| self.stop_at.as_micros() / it.durations.least());
        usize::try_from(listed.max().unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// How many lines of their own the origins write.
    pub fn told(&self) -> usize {
        let lines = self.origins.iter().flat_map(|it| it.tags.values());
        lines.map(Vec::len).sum()
    }

    /// Segments of some source are read with an init section or a key.
    pub fn has_needs(&self) -> bool {
        self.origins.iter().any(|it| match &it.presentation {
            Some(of) => of.container == Container::Fragments || of.segments_per_key.is_some(),
            None => it.segments_per_key.is_some(),
        })
    }

    /// How many things go wrong, or are wished.
    pub fn size(&self) -> usize {
        let workers = self.workers.faults.len() + self.workers.neighbours.len();
        let wishes = self.controls.len() + self.ends.len() + self.players.len();
        self.troubles().len() + workers + wishes
    }
}
