//! Many channels in one process: the loop around the node's machine, which opens and closes channels and
//! tells each what is wanted of it. It decides nothing.

pub mod config;
mod own_store;

use crate::channel::{ONLY_EPOCH, OpenFailure, Opened, Places, last_lines};
use crate::clock;
use crate::cluster::elsewhere::FORMER;
use crate::cluster::hands::Hands;
use crate::driver::Control;
use crate::journal::Recorder;
use crate::logging::numbers::{self, Numbers};
use crate::output::Outputs;
use crate::spec::ChannelSpec;
use futures_util::FutureExt;
use hls_relay_core::event::{Configure, Desired};
use hls_relay_core::node::{ChannelId, Grant, Node, NodeCommand, NodeEvent, Record, Standing};
use own_store::OwnStore;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// What the loop is told.
enum Message {
    Event(NodeEvent<ChannelSpec>),
    Opened(ChannelId, Result<Box<Opened>, OpenFailure>),
    Look(oneshot::Sender<BTreeMap<ChannelId, Seen>>),
}

/// What waits for the loop.
pub struct Inbox(mpsc::UnboundedReceiver<Message>);

/// One channel as the node sees it.
#[derive(Clone)]
pub struct Seen {
    /// Where it stands.
    pub standing: Standing,
    /// What it should be, as far as the node knows.
    pub record: Record<ChannelSpec>,
    /// Counts its owners.
    pub epoch: u64,
    /// The way to its driver, where it has one.
    pub control: Option<mpsc::Sender<Control>>,
}

/// The way to a node's loop. A clone leads to the same.
#[derive(Clone)]
pub struct NodeHandle {
    messages: mpsc::UnboundedSender<Message>,
    leaving: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

/// The loop, ready to run.
pub struct NodeLoop {
    machine: Node<ChannelSpec>,
    own_store: OwnStore,
    places: Places,
    outputs: Outputs,
    open: BTreeMap<ChannelId, mpsc::Sender<Control>>,
    /// Those that end because they are another's.
    abandoned: BTreeSet<ChannelId>,
    /// Of those that are open, or were.
    epochs: BTreeMap<ChannelId, u64>,
    messages: mpsc::UnboundedReceiver<Message>,
    handle: NodeHandle,
    /// In a cluster.
    hands: Option<Hands>,
    recorder: Option<Recorder<Node<ChannelSpec>>>,
}

impl NodeHandle {
    /// The way to a loop that is still to be made, and what it will find.
    pub fn new() -> (Self, Inbox) {
        // Each channel has a few messages under way, and each question a request of its own.
        let (messages, inbox) = mpsc::unbounded_channel();
        let handle = Self {
            messages,
            leaving: Arc::default(),
            draining: Arc::default(),
        };
        (handle, Inbox(inbox))
    }

    /// Tells what has happened. After the end of the loop nobody listens.
    pub fn tell(&self, event: NodeEvent<ChannelSpec>) {
        if event == NodeEvent::ShutDown {
            self.leaving.store(true, Ordering::Relaxed);
        } else if event == NodeEvent::Drain {
            self.draining.store(true, Ordering::Relaxed);
        }
        let _ = self.messages.send(Message::Event(event));
    }

    /// Whether the node is to end.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether the node is to give its channels away.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// All channels of the node.
    pub async fn look(&self) -> BTreeMap<ChannelId, Seen> {
        let (reply, answer) = oneshot::channel();
        let _ = self.messages.send(Message::Look(reply));
        answer.await.unwrap_or_default()
    }
}

impl NodeLoop {
    /// A loop around this machine; with hands where it is one of a cluster.
    pub fn new(
        machine: Node<ChannelSpec>,
        places: Places,
        outputs: Outputs,
        (handle, Inbox(messages)): (NodeHandle, Inbox),
        hands: Option<Hands>,
    ) -> Self {
        Self {
            machine,
            own_store: OwnStore::new(places.clone()),
            places,
            outputs,
            open: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            epochs: BTreeMap::new(),
            messages,
            handle,
            hands,
            recorder: None,
        }
    }

    /// The same, and what the machine is told is recorded.
    pub fn recorded(mut self, recorder: Option<Recorder<Node<ChannelSpec>>>) -> Self {
        self.recorder = recorder;
        self
    }

    /// Runs until all channels have finished after [`NodeEvent::ShutDown`].
    pub async fn run(mut self) {
        let mut commands = Vec::new();
        while !self.machine.is_finished() {
            let Some(event) = self.next_event().await else {
                continue;
            };
            let touched = event.channel().cloned();
            self.step(event, &mut commands);
            if let Some(id) = &touched {
                self.note_numbers(id);
                self.show(id);
            }
            for command in commands.drain(..) {
                if let Some(id) = self.carry_out(command) {
                    self.note_numbers(&id);
                    self.show(&id);
                }
            }
        }
    }

    /// Every step of the machine is made here and nowhere else, and recorded: the one at which it breaks, too.
    fn step(
        &mut self,
        event: NodeEvent<ChannelSpec>,
        commands: &mut Vec<NodeCommand<ChannelSpec>>,
    ) {
        let now = clock::now();
        let (machine, recorder) = (&mut self.machine, self.recorder.as_mut());
        let recorded = recorder.and_then(|it| Some((it.begin(machine, now, &event)?, it)));
        let step = AssertUnwindSafe(|| machine.step(now.monotonic, event, commands));
        let stepped = catch_unwind(step);
        if let Some((step, recorder)) = recorded {
            recorder.end(step, stepped.is_ok().then_some(&**commands));
        }
        if let Err(broken) = stepped {
            resume_unwind(broken);
        }
    }

    /// `None` where a message was answered without the machine.
    async fn next_event(&mut self) -> Option<NodeEvent<ChannelSpec>> {
        let wakeup = self.machine.next_wakeup();
        let sleep = async move {
            match wakeup {
                Some(at) => clock::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            Some(message) = self.messages.recv() => message,
            () = sleep => return Some(NodeEvent::Tick),
        };
        match message {
            Message::Event(event) => {
                if let NodeEvent::Closed { id, broke } = &event {
                    self.forget(id, broke.as_deref());
                }
                Some(event)
            }
            Message::Opened(id, outcome) => {
                let outcome = match outcome {
                    Ok(opened) => {
                        self.drive(&id, *opened);
                        Ok(())
                    }
                    Err(error) => {
                        let channel = &**id.name();
                        tracing::error!(channel, "cannot be opened: {error}; trying again");
                        let why: Arc<str> = error.to_string().into();
                        if let Some(hands) = &self.hands {
                            hands.tell_unopened(&id, &why);
                        }
                        Err(why)
                    }
                };
                Some(NodeEvent::Opened { id, outcome })
            }
            Message::Look(reply) => {
                let standings = self.machine.standings();
                let seen = standings.map(|(id, record, standing)| {
                    let seen = Seen {
                        standing,
                        record: record.clone(),
                        epoch: self.epochs.get(id).copied().unwrap_or(ONLY_EPOCH.0),
                        control: self.open.get(id).cloned(),
                    };
                    (id.clone(), seen)
                });
                // Whoever asked may have gone.
                let _ = reply.send(seen.collect());
                None
            }
        }
    }

    /// The channel's folders are free for its next opening once nothing of it is held any more.
    fn forget(&mut self, id: &ChannelId, broke: Option<&str>) {
        self.open.remove(id);
        if let Some(why) = broke {
            let channel = &**id.name();
            tracing::error!(channel, "{why}; opening it again from its checkpoint");
        }
        let is_ours = !self.abandoned.remove(id) && broke.is_none();
        if self.hands.is_some() {
            // Whoever has it next may need a moment before he shows anything.
            match is_ours {
                true => {
                    self.outputs.hand_on(id.name());
                    let (outputs, id) = (self.outputs.clone(), id.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(FORMER).await;
                        outputs.forget_handed_on(id.name());
                    });
                }
                false => self.outputs.remove(id.name()),
            }
        } else if !self.handle.is_leaving() {
            self.outputs.shut(id.name().clone());
        }
    }

    /// For the log, as long as the node has to do with the channel: what is said of it after that is said of it as it
    /// was last.
    fn note_numbers(&self, id: &ChannelId) {
        if let Some(revision) = self.machine.revision(id) {
            let (epoch, revision) = (self.epochs.get(id).copied(), Some(revision));
            numbers::know(id.name(), Numbers { epoch, revision });
        }
    }

    /// What is not open is waited for where it should run, and unknown where it should not. What was shown
    /// when the node leaves is shown to the end. In a cluster, what is not open here is asked for elsewhere.
    fn show(&self, id: &ChannelId) {
        if self.handle.is_leaving() || self.hands.is_some() {
            return;
        }
        let desired = self.machine.desired(id);
        match (self.machine.standing(id), desired) {
            (Some(Standing::Waiting(_) | Standing::Opening), Some(Desired::Run)) => {
                self.outputs.shut(id.name().clone());
            }
            (Some(Standing::Waiting(_) | Standing::Opening | Standing::Resting) | None, _) => {
                self.outputs.remove(id.name());
            }
            (Some(Standing::Open | Standing::Leaving), _) => {}
        }
    }

    /// Begins what is wanted, and tells of which channel it is, if it is of one.
    fn carry_out(&mut self, command: NodeCommand<ChannelSpec>) -> Option<ChannelId> {
        let id = match &command {
            NodeCommand::Open { id, .. }
            | NodeCommand::Configure { id, .. }
            | NodeCommand::Close { id }
            | NodeCommand::Abandon { id }
            | NodeCommand::Erase { id } => Some(id.clone()),
            NodeCommand::TryStore | NodeCommand::Cluster(_) => None,
        };
        match command {
            NodeCommand::Open { id, grant } => self.open(id, grant),
            NodeCommand::Configure { id, record } => self.configure(id, record),
            NodeCommand::Close { id } => self.send(&id, Control::ShutDown),
            NodeCommand::Abandon { id } => {
                let channel = &**id.name();
                tracing::warn!(channel, "it may be another's by now: it ends here at once");
                self.send(&id, Control::Abandon);
                self.abandoned.insert(id);
            }
            NodeCommand::Erase { id } => self.erase(id),
            NodeCommand::TryStore => self.own_store.try_it(self.handle.clone()),
            NodeCommand::Cluster(command) => {
                if let Some(hands) = &self.hands {
                    hands.carry_out(command);
                }
            }
        }
        id
    }

    fn open(&mut self, id: ChannelId, grant: Option<Grant>) {
        let owned = self.hands.as_ref().zip(grant);
        let owned = owned.map(|(hands, grant)| hands.open(&id, &grant));
        let epoch = owned.as_ref().map_or(ONLY_EPOCH, |it| it.epoch());
        self.epochs.insert(id.clone(), epoch.0);
        let (places, handle) = (self.places.clone(), self.handle.clone());
        tokio::spawn(async move {
            let opening = places.open(id.name(), owned).map(|it| it.map(Box::new));
            let opening = opening.await;
            let _ = handle.messages.send(Message::Opened(id, opening));
        });
    }

    fn drive(&mut self, id: &ChannelId, opened: Opened) {
        let Opened {
            driver,
            control,
            output,
            recorded,
        } = opened;
        self.outputs.insert(id.name().clone(), output);
        self.open.insert(id.clone(), control);
        let (id, handle) = (id.clone(), self.handle.clone());
        tokio::spawn(async move {
            // What breaks one channel is that channel's affair.
            let ran = AssertUnwindSafe(driver.run()).catch_unwind().await;
            last_lines(recorded).await;
            let broke = ran
                .err()
                .map(|_| "a mistake of our own, the log has it".into());
            handle.tell(NodeEvent::Closed { id, broke });
        });
    }

    fn configure(&self, id: ChannelId, record: Record<ChannelSpec>) {
        let channel = &**id.name();
        let (spec, accesses) = match record.spec.resolve() {
            Ok(resolved) => resolved,
            // Checked before it was stored: by another version, then.
            Err(fault) => {
                let revision = record.revision;
                tracing::error!(channel, revision, "cannot be relayed: {fault}");
                return;
            }
        };
        let Record {
            revision, desired, ..
        } = record;
        let configure = Configure {
            revision,
            desired,
            spec: Arc::new(spec),
        };
        self.send(&id, Control::Configure(configure, accesses));
        if desired == Desired::Stop {
            let (asked, idle) = oneshot::channel();
            self.send(&id, Control::WhenIdle(asked));
            let handle = self.handle.clone();
            tokio::spawn(async move {
                if idle.await.is_ok() {
                    handle.tell(NodeEvent::Idle { id, revision });
                }
            });
        }
    }

    /// The driver takes what it is sent between two steps. Its queue is longer than the node ever needs,
    /// unless it is stuck: then it is for whoever looks to see that.
    fn send(&self, id: &ChannelId, message: Control) {
        let Some(control) = self.open.get(id) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(message)) = control.try_send(message) {
            let control = control.clone();
            tokio::spawn(async move { control.send(message).await.map_err(drop) });
        }
    }

    fn erase(&self, id: ChannelId) {
        let (places, handle) = (self.places.clone(), self.handle.clone());
        tokio::spawn(async move {
            if let Err(error) = places.erase(id.name()).await {
                let channel = &**id.name();
                tracing::warn!(channel, "something is left of it: {error}");
            }
            handle.tell(NodeEvent::Erased { id });
        });
    }
}
