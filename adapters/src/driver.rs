//! Drives one channel's machine: waits for a completion, a control message or the next wakeup, steps,
//! and hands the commands to the worker. It decides nothing.

use crate::clock;
use crate::notices;
use crate::worker::{Accesses, Worker};
use hls_relay_core::command::Command;
use hls_relay_core::event::{Configure, Event};
use hls_relay_core::ids::Epoch;
use hls_relay_core::relay::{Relay, Status};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Before a machine that broke is started again: one that breaks at once must not take a core.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What a driver can be told.
pub enum Control {
    /// The channel is to be so; with the access to its sources, in their order.
    Configure(Configure, Accesses),
    /// Finish and leave.
    ShutDown,
    /// Say how it is.
    Inspect(oneshot::Sender<Status>),
}

/// One channel, running.
pub struct Driver {
    relay: Relay,
    epoch: Epoch,
    worker: Worker,
    control: mpsc::Receiver<Control>,
    commands: Vec<Command>,
    configured: Option<(Configure, Accesses)>,
    leaving: bool,
}

impl Driver {
    /// A driver for the owner of `epoch`, and the way to talk to it.
    pub fn new(worker: Worker, epoch: Epoch) -> (Self, mpsc::Sender<Control>) {
        let (sender, control) = mpsc::channel(16);
        let driver = Self {
            relay: new_machine(&worker, epoch),
            epoch,
            worker,
            control,
            commands: Vec::new(),
            configured: None,
            leaving: false,
        };
        (driver, sender)
    }

    /// Runs until the machine has finished after [`Control::ShutDown`].
    pub async fn run(mut self) {
        while !self.relay.is_finished() {
            let event = self.next_event().await;
            if let Some(event) = event
                && !self.step(event)
            {
                self.restart().await;
            }
        }
    }

    /// `None` where a message was answered without the machine.
    async fn next_event(&mut self) -> Option<Event> {
        let wakeup = self.relay.next_wakeup();
        let sleep = async move {
            match wakeup {
                Some((at, why)) => {
                    clock::sleep_until(at).await;
                    tracing::trace!(?why, "wakes up");
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(control) = self.control.recv() => self.obey(control),
            event = self.worker.next_completion() => Some(event),
            () = sleep => Some(Event::Tick),
        }
    }

    fn obey(&mut self, control: Control) -> Option<Event> {
        match control {
            Control::Configure(configure, accesses) => {
                self.worker.expect(configure.revision, accesses.clone());
                self.configured = Some((configure.clone(), accesses));
                Some(Event::Configure(configure))
            }
            Control::ShutDown => {
                self.leaving = true;
                Some(Event::ShutDown)
            }
            Control::Inspect(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.relay.status(clock::now()));
                None
            }
        }
    }

    /// Every step of the machine is made here and nowhere else: a journal of `(now, event, commands)`
    /// is kept at this place. `false`: the machine broke.
    fn step(&mut self, event: Event) -> bool {
        let (now, what) = (clock::now(), notices::kind_of_event(&event));
        let (relay, commands) = (&mut self.relay, &mut self.commands);
        let stepped = catch_unwind(AssertUnwindSafe(|| relay.step(now, event, commands)));
        if stepped.is_err() {
            let channel = &*self.worker.channel().name;
            tracing::error!(channel, "broke at {what}; going on from the checkpoint");
            self.commands.clear();
            return false;
        }
        self.worker.carry_out(&mut self.commands);
        true
    }

    /// A new machine from the last checkpoint, told again what its predecessor was told.
    async fn restart(&mut self) {
        loop {
            self.worker.abandon().await;
            tokio::time::sleep(RESTART_PAUSE).await;
            self.relay = new_machine(&self.worker, self.epoch);
            let configured = self.configured.clone();
            let configure = configured.and_then(|(configure, accesses)| {
                self.obey(Control::Configure(configure, accesses))
            });
            let leave = self.leaving.then_some(Event::ShutDown);
            let mut told = configure.into_iter().chain(leave);
            if told.all(|event| self.step(event)) {
                return;
            }
        }
    }
}

/// Each machine has a seed of its own, from the system's randomness.
fn new_machine(worker: &Worker, epoch: Epoch) -> Relay {
    let seed = RandomState::new().hash_one(clock::wall());
    Relay::new(seed, epoch, worker.last_checkpoint().cloned())
}
