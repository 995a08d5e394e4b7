//! Many channels in one process: the loop around the node's machine, which opens and closes channels and
//! tells each what is wanted of it. It decides nothing.

pub mod config;

use crate::channel::{OpenFailure, Opened, Places, last_lines};
use crate::clock;
use crate::driver::Control;
use crate::output::Outputs;
use crate::spec::ChannelSpec;
use futures_util::FutureExt;
use hls_relay_core::event::{Configure, Desired};
use hls_relay_core::node::{ChannelId, Node, NodeCommand, NodeEvent, Record, Standing};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// What the loop is told.
enum Message {
    Event(NodeEvent<ChannelSpec>),
    Opened(ChannelId, Result<Box<Opened>, OpenFailure>),
    Look(oneshot::Sender<BTreeMap<ChannelId, Seen>>),
}

/// One channel as the node sees it.
#[derive(Clone)]
pub struct Seen {
    /// Where it stands.
    pub standing: Standing,
    /// The way to its driver, where it has one.
    pub control: Option<mpsc::Sender<Control>>,
}

/// The way to a node's loop. A clone leads to the same.
#[derive(Clone)]
pub struct NodeHandle {
    messages: mpsc::UnboundedSender<Message>,
    leaving: Arc<AtomicBool>,
}

/// The loop, ready to run.
pub struct NodeLoop {
    machine: Node<ChannelSpec>,
    places: Places,
    outputs: Outputs,
    open: BTreeMap<ChannelId, mpsc::Sender<Control>>,
    messages: mpsc::UnboundedReceiver<Message>,
    handle: NodeHandle,
}

impl NodeHandle {
    /// Tells what has happened. After the end of the loop nobody listens.
    pub fn tell(&self, event: NodeEvent<ChannelSpec>) {
        if event == NodeEvent::ShutDown {
            self.leaving.store(true, Ordering::Relaxed);
        }
        let _ = self.messages.send(Message::Event(event));
    }

    /// Whether the node is to end.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// All channels of the node.
    pub async fn look(&self) -> BTreeMap<ChannelId, Seen> {
        let (reply, answer) = oneshot::channel();
        let _ = self.messages.send(Message::Look(reply));
        answer.await.unwrap_or_default()
    }
}

impl NodeLoop {
    /// A node without channels.
    pub fn new(capacity: usize, places: Places, outputs: Outputs) -> (Self, NodeHandle) {
        // Each channel has a few messages under way, and each question a request of its own.
        let (sender, messages) = mpsc::unbounded_channel();
        let handle = NodeHandle {
            messages: sender,
            leaving: Arc::default(),
        };
        let node = Self {
            machine: Node::new(capacity),
            places,
            outputs,
            open: BTreeMap::new(),
            messages,
            handle: handle.clone(),
        };
        (node, handle)
    }

    /// Runs until all channels have finished after [`NodeEvent::ShutDown`].
    pub async fn run(mut self) {
        let mut commands = Vec::new();
        while !self.machine.is_finished() {
            let Some(event) = self.next_event().await else {
                continue;
            };
            let touched = event.channel().cloned();
            let now = clock::now().monotonic;
            self.machine.step(now, event, &mut commands);
            touched.iter().for_each(|id| self.show(id));
            for command in commands.drain(..) {
                let id = self.carry_out(command);
                id.iter().for_each(|id| self.show(id));
            }
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
                        Err(error.to_string().into())
                    }
                };
                Some(NodeEvent::Opened { id, outcome })
            }
            Message::Look(reply) => {
                let standings = self.machine.standings();
                let seen = standings.map(|(id, _, standing)| {
                    let control = self.open.get(id).cloned();
                    (id.clone(), Seen { standing, control })
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
        if !self.handle.is_leaving() {
            self.outputs.shut(id.name().clone());
        }
    }

    /// What is not open is waited for where it should run, and unknown where it should not. What was shown
    /// when the node leaves is shown to the end.
    fn show(&self, id: &ChannelId) {
        if self.handle.is_leaving() {
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

    /// Begins what is wanted, and tells of which channel it is.
    fn carry_out(&mut self, command: NodeCommand<ChannelSpec>) -> Option<ChannelId> {
        let id = match &command {
            NodeCommand::Open { id, .. }
            | NodeCommand::Configure { id, .. }
            | NodeCommand::Close { id }
            | NodeCommand::Abandon { id }
            | NodeCommand::Erase { id } => Some(id.clone()),
            NodeCommand::Cluster(_) => None,
        };
        match command {
            NodeCommand::Open { id, .. } => self.open(id),
            NodeCommand::Configure { id, record } => self.configure(id, record),
            NodeCommand::Close { id } => self.send(&id, Control::ShutDown),
            NodeCommand::Erase { id } => self.erase(id),
            // Only the machine of a node in a cluster wants these, and this one is alone.
            NodeCommand::Abandon { .. } | NodeCommand::Cluster(_) => {}
        }
        id
    }

    fn open(&self, id: ChannelId) {
        let (places, handle) = (self.places.clone(), self.handle.clone());
        tokio::spawn(async move {
            let opening = places.open(id.name()).map(|it| it.map(Box::new)).await;
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
