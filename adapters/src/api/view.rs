//! What is told of a channel: what is wanted, without secrets, and beside it what is observed.

use crate::control_store::Told;
use crate::driver::{Control, Observed};
use crate::node::Seen;
use crate::one_line::one_line;
use crate::spec::ChannelSpec;
use crate::transcode::makers::MakersView;
use hls_relay_core::event::Desired;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::node::{ChannelId, Record, Standing, Writer};
use hls_relay_core::notice::State;
use hls_relay_core::relay::{EdgeStatus, ProcessingStatus, RungStatus, Status};
use hls_relay_core::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A driver answers between two steps; one that takes longer is stuck, and that is told.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// A channel, as the API tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its name.
    pub id: String,
    /// Of its playlist, where viewers are served.
    pub path: String,
    /// What it should be, masked.
    pub spec: ChannelSpec,
    /// Whether it should run.
    pub desired: Desired,
    /// Of the last change.
    pub revision: u64,
    /// Who says what it is.
    pub writer: Writer,
    /// Why nobody makes the rungs of its ladder, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmade: Option<String>,
    /// What it is.
    pub observed: ObservedView,
}

/// What is observed of a channel; of one that is not open, only the first fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedView {
    /// In the words of [`State`].
    pub state: String,
    /// Why.
    pub reason: String,
    /// The node that has it.
    pub owner: String,
    /// Counts its owners.
    pub epoch: u64,
    /// What its machine tells.
    #[serde(flatten)]
    pub machine: Option<MachineView>,
}

/// What the machine of an open channel tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineView {
    /// The revision that it has taken.
    pub revision: u64,
    /// Whose media is listed last.
    pub generation: u64,
    /// The source in use.
    pub source: usize,
    /// Its URL, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// A change of source that is not made yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// How long ago a segment was listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_segment_age_ms: Option<u64>,
    /// From a segment's appearance to our listing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// As published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_duration_ms: Option<u64>,
    /// Of the last listed segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_media_sequence: Option<u64>,
    /// Bits per second of the listed segments.
    pub bit_rate: u64,
    /// Media playlists.
    pub tracks: usize,
    /// Those of them with gaps at their end.
    pub left_behind: usize,
    /// The rungs of its ladder, the source's own media among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<RungView>,
    /// How making them goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub making: Option<MakingView>,
    /// Why the ladder that is wanted is not made, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder_waits: Option<String>,
    /// The edges that are warmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<EdgeView>,
    /// Listed since the start of the process.
    pub segments: u64,
    /// Lost since then.
    pub holes: u64,
    /// Requests that failed since then.
    pub retries: u64,
}

/// What is observed of a rung.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungView {
    /// As the ladder calls it.
    pub name: String,
    /// `BANDWIDTH`, once it is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u64>,
    /// How many pixels high it is, where its source is lower than the ladder has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<u64>,
    /// The newest segment that is listed has it.
    pub complete: bool,
    /// Why it is left out at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// Why the last segment lacks it, though it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// How making it goes; nothing of the source's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub making: Option<RungMakingView>,
}

/// What is observed of the work on a rung, since it came into the ladder or the process was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungMakingView {
    /// Segments that have it.
    pub made: u64,
    /// Segments that lack it, though it was asked for.
    pub missed: u64,
    /// Of the last segment that has it: how long the run of the encoder took that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How long that segment lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// What is observed of an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeView {
    /// Its URL without secrets.
    pub url: String,
    /// So often it had in time all that it was asked for at once, since it is asked.
    #[serde(default)]
    pub warm: u64,
    /// So often it had not.
    pub cold: u64,
    /// Why, where that was so the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// What is observed of the work on segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakingView {
    /// Segments that wait for their rungs.
    pub segments: u64,
    /// Segments that have had all that were asked for.
    pub made: u64,
    /// Segments that have lacked one.
    pub missed: u64,
    /// Of the newest that was made: how long it waited for an encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// How long all its rungs took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How long it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Segments of all channels of the node, and where workers make them of all nodes, that no encoder has yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// Workers that take segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u64>,
}

/// Asks a channel how it is, where it is open here, or says what its owner has told of it.
pub(super) async fn of_channel(
    node: &str,
    id: &ChannelId,
    record: &Record<ChannelSpec>,
    seen: Option<Seen>,
    told: Option<Told>,
) -> ChannelView {
    let observed = match (seen, told) {
        (Some(seen), _) => observed(node, seen).await,
        (None, Some(told)) => elsewhere(record.desired, told),
        (None, None) => ObservedView {
            owner: node.to_owned(),
            ..standing(State::Waiting, "the node has not looked at it yet")
        },
    };
    ChannelView {
        id: id.to_string(),
        path: format!("/{id}/{}", PlaylistName::ENTRY),
        spec: record.spec.masked(),
        desired: record.desired,
        revision: record.revision,
        writer: record.writer,
        unmade: None,
        observed,
    }
}

impl ChannelView {
    /// With how it is with those who make rungs, where this node has them made.
    pub(super) fn made_by(mut self, node: &str, makers: &MakersView) -> Self {
        if self.observed.owner != node {
            return self;
        }
        if !self.spec.ladder.is_empty() {
            self.unmade = makers.nobody.as_deref().map(str::to_owned);
        }
        let machine = self.observed.machine.as_mut();
        if let Some(making) = machine.and_then(|it| it.making.as_mut()) {
            let by_workers = makers.orders.map_or(0, |it| it.waiting);
            making.queued = Some(makers.waiting as u64 + by_workers);
            making.workers = makers.orders.map(|it| it.workers);
        }
        self
    }
}

fn standing(state: State, reason: &str) -> ObservedView {
    ObservedView {
        state: state.to_string(),
        reason: one_line(reason),
        ..ObservedView::default()
    }
}

/// As another node sees it, or saw it last.
fn elsewhere(desired: Desired, told: Told) -> ObservedView {
    let Told {
        owner,
        epoch,
        status,
        is_dead,
    } = told;
    let observed = match (&owner, desired) {
        (Some(_), Desired::Run) if is_dead => {
            let why = "its node does not answer, and another one is to take it";
            standing(State::Waiting, why)
        }
        (Some(_), _) => status.filter(|it| !it.state.is_empty()).unwrap_or_else(|| {
            let why = "its node has not said yet how it is";
            standing(State::Starting, why)
        }),
        (None, Desired::Run) => standing(State::Waiting, "no node has it yet"),
        (None, Desired::Stop) => standing(State::Stopped, "it should stop"),
    };
    let owner = owner.as_deref().unwrap_or_default();
    ObservedView {
        owner: owner.split(':').next().unwrap_or_default().to_owned(),
        epoch,
        ..observed
    }
}

/// What an owner tells the other nodes of a channel, in JSON.
pub fn status_text(observed: &Observed) -> Arc<str> {
    let view = ObservedView {
        machine: Some(machine(observed)),
        ..standing(observed.status.state, &reason(observed))
    };
    text(&view)
}

/// What the owner of a channel that is not open tells the others of it, in JSON.
pub fn waiting_text(why: &str) -> Arc<str> {
    text(&standing(State::Waiting, why))
}

fn text(view: &ObservedView) -> Arc<str> {
    // It is made of texts and numbers.
    serde_json::to_string(view).unwrap_or_default().into()
}

async fn observed(node: &str, seen: Seen) -> ObservedView {
    let Seen {
        standing: at,
        control,
        epoch,
        record: _,
    } = seen;
    let observed = match at {
        Standing::Waiting(why) => standing(State::Waiting, &why),
        Standing::Opening => standing(State::Starting, "it is being opened"),
        Standing::Resting => standing(State::Stopped, "it should stop"),
        Standing::Open | Standing::Leaving => match control {
            Some(control) => match inspect(&control).await {
                Some(observed) => ObservedView {
                    machine: Some(machine(&observed)),
                    ..standing(observed.status.state, &reason(&observed))
                },
                None => standing(State::Waiting, "it does not answer"),
            },
            None => standing(State::Stopped, "it is on its way out"),
        },
    };
    ObservedView {
        owner: node.to_owned(),
        epoch,
        ..observed
    }
}

async fn inspect(control: &mpsc::Sender<Control>) -> Option<Observed> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        control.send(Control::Inspect(reply)).await.ok()?;
        answer.await.ok()
    };
    timeout(ANSWERS_WITHIN, asked).await.ok().flatten()
}

fn reason(observed: &Observed) -> String {
    let reason = observed.status.reason.as_ref();
    reason.map_or(
        "nobody has said what it should be".to_owned(),
        ToString::to_string,
    )
}

fn machine(observed: &Observed) -> MachineView {
    let Observed {
        status,
        change,
        source_url,
    } = observed;
    MachineView {
        revision: status.revision,
        generation: status.generation.0,
        source: status.source,
        source_url: source_url.clone(),
        change: change.as_deref().map(|it| one_line(&so_far(it, status))),
        newest_segment_age_ms: status.newest_segment_age.map(millis),
        delay_ms: status.delay.map(millis),
        target_duration_ms: status.target_duration.map(millis),
        last_media_sequence: status.last_media_sequence,
        bit_rate: status.bit_rate,
        tracks: status.tracks,
        left_behind: status.left_behind,
        rungs: status.rungs.iter().map(rung).collect(),
        making: (!status.rungs.is_empty()).then(|| making(status.processing)),
        ladder_waits: status.ladder_waits.map(|it| it.to_string()),
        edges: status.edges.iter().map(edge).collect(),
        segments: status.segments,
        holes: status.holes,
        retries: status.retries,
    }
}

/// A change with what its source has failed with, which is known long before it is given up.
fn so_far(change: &str, status: &Status) -> String {
    match status.preparation.as_ref().map(ToString::to_string) {
        Some(trouble) if !change.contains(&trouble) => format!("{change}; so far: {trouble}"),
        Some(_) | None => change.to_owned(),
    }
}

fn rung(it: &RungStatus) -> RungView {
    RungView {
        name: it.name.to_string(),
        bandwidth: it.bandwidth,
        lower: it.lower,
        complete: it.complete,
        left_out: it.suspended.as_ref().map(|why| one_line(&why.to_string())),
        lacks: it.lacks.as_ref().map(|why| one_line(&why.to_string())),
        making: it.made.map(|it| RungMakingView {
            made: it.made,
            missed: it.missed,
            took_ms: it.last.map(|it| millis(it.0)),
            duration_ms: it.last.map(|it| millis(it.1)),
        }),
    }
}

fn edge(it: &EdgeStatus) -> EdgeView {
    EdgeView {
        url: it.url.to_string(),
        warm: it.warm,
        cold: it.cold,
        failing: it.failing.as_ref().map(|why| one_line(&why.to_string())),
    }
}

fn making(it: ProcessingStatus) -> MakingView {
    MakingView {
        segments: it.segments as u64,
        made: it.made,
        missed: it.missed,
        waited_ms: it.waited.map(millis),
        took_ms: it.took.map(millis),
        duration_ms: it.duration.map(millis),
        queued: None,
        workers: None,
    }
}

fn millis(span: Span) -> u64 {
    span.as_millis()
}

/// The node itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// What it calls itself.
    pub name: String,
    /// How many channels may run there.
    pub capacity: usize,
    /// How many it has, those that are on their way out among them.
    pub channels: usize,
    /// It gives its channels away, or finishes them, and takes no more.
    pub draining: bool,
    /// Of each channel the last change that was acknowledged here and lost with its Redis, by its revision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost_changes: BTreeMap<String, u64>,
    /// In a cluster: whether Redis answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_reached: Option<bool>,
}
