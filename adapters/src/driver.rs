//! Drives one channel's machine: waits for a completion, a control message or the next wakeup, steps,
//! and hands the commands to the worker. It decides nothing.

use crate::api::view::status_text;
use crate::clock;
use crate::journal::Recorder;
use crate::notices;
use crate::worker::{Accesses, Worker};
use hls_relay_core::command::Command;
use hls_relay_core::event::{Configure, Event};
use hls_relay_core::relay::{Relay, Status};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Before a machine that broke is started again: one that breaks at once must not take a core.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What a driver can be told.
pub enum Control {
    /// The channel is to be so; with the access to its sources, in their order.
    Configure(Configure, Accesses),
    /// Finish and leave.
    ShutDown,
    /// It is another's: leave at once, and finish nothing.
    Abandon,
    /// Say how it is.
    Inspect(oneshot::Sender<Observed>),
    /// Say once nothing is under way or waited for: of a stopped channel, all it had published has had its
    /// time and is gone. The next configuration takes the question back.
    WhenIdle(oneshot::Sender<()>),
}

/// What is observed of a running channel.
#[derive(Clone, Debug)]
pub struct Observed {
    /// As its machine sees it.
    pub status: Status,
    /// A change of source that is under way, or refused, in words.
    pub change: Option<Arc<str>>,
    /// The URL of the source in use, masked.
    pub source_url: Option<String>,
}

/// One channel, running.
pub struct Driver {
    relay: Relay,
    worker: Worker,
    recorder: Option<Recorder>,
    control: mpsc::Receiver<Control>,
    commands: Vec<Command>,
    configured: Option<(Configure, Accesses)>,
    idle: Option<oneshot::Sender<()>>,
    leaving: bool,
    abandoned: bool,
}

impl Driver {
    /// A driver that commands these hands, its steps recorded or not, and the way to talk to it.
    pub fn new(worker: Worker, recorder: Option<Recorder>) -> (Self, mpsc::Sender<Control>) {
        let (sender, control) = mpsc::channel(16);
        let driver = Self {
            relay: worker.new_machine(),
            worker,
            recorder,
            control,
            commands: Vec::new(),
            configured: None,
            idle: None,
            leaving: false,
            abandoned: false,
        };
        (driver, sender)
    }

    /// Runs until the machine has finished, after [`Control::ShutDown`] or because the channel is another's.
    pub async fn run(mut self) {
        while !self.relay.is_finished() {
            self.tell_idle();
            let Some(event) = self.next_event().await else {
                if self.abandoned {
                    return self.worker.abandon().await;
                }
                continue;
            };
            if !self.step(event) && !self.restart().await {
                return;
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

    fn tell_idle(&mut self) {
        if self.relay.next_wakeup().is_none()
            && self.worker.is_idle()
            && let Some(asked) = self.idle.take()
        {
            // Whoever asked may have gone.
            let _ = asked.send(());
        }
    }

    fn obey(&mut self, control: Control) -> Option<Event> {
        match control {
            Control::Configure(mut configure, accesses) => {
                self.idle = None;
                // Where a process keeps its segments no spec says.
                let room = self.worker.channel().output.store().room();
                if configure.spec.room != room {
                    Arc::make_mut(&mut configure.spec).room = room;
                }
                self.worker.expect(configure.revision, accesses.clone());
                self.configured = Some((configure.clone(), accesses));
                Some(Event::Configure(configure))
            }
            Control::ShutDown => {
                self.leaving = true;
                Some(Event::ShutDown)
            }
            Control::Abandon => {
                (self.leaving, self.abandoned) = (true, true);
                None
            }
            Control::Inspect(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.observed());
                None
            }
            Control::WhenIdle(asked) => {
                self.idle = Some(asked);
                None
            }
        }
    }

    fn observed(&self) -> Observed {
        let status = self.relay.status(clock::now());
        Observed {
            source_url: self.worker.source_url(status.generation, status.source),
            change: self.worker.change(),
            status,
        }
    }

    /// Every step of the machine is made here and nowhere else, and recorded. `false`: it broke.
    fn step(&mut self, event: Event) -> bool {
        let (now, what) = (clock::now(), notices::kind_of_event(&event));
        let (relay, commands) = (&mut self.relay, &mut self.commands);
        let recorder = self.recorder.as_mut();
        let recorded = recorder.and_then(|it| Some((it.begin(relay, now, &event)?, it)));
        let stepped = catch_unwind(AssertUnwindSafe(|| relay.step(now, event, commands)));
        if let Some((step, recorder)) = recorded {
            recorder.end(step, stepped.is_ok().then_some(&**commands));
        }
        if stepped.is_err() {
            let channel = &*self.worker.channel().name;
            tracing::error!(channel, "broke at {what}; going on from the checkpoint");
            self.commands.clear();
            return false;
        }
        if self.worker.tells_others(&self.commands) {
            let status = status_text(&self.observed());
            self.worker.tell_others(status, &self.commands);
        }
        self.worker.carry_out(&mut self.commands);
        true
    }

    /// A new machine from the last checkpoint, told again what its predecessor was told. `false`: it
    /// is to leave, and there is nothing left to be finished.
    async fn restart(&mut self) -> bool {
        while !self.leaving {
            self.worker.abandon().await;
            let until = Instant::now() + RESTART_PAUSE;
            while !self.leaving
                && let Ok(control) = timeout_at(until, self.control.recv()).await
            {
                self.obey(control.unwrap_or(Control::ShutDown));
            }
            self.relay = self.worker.new_machine();
            self.recorder.iter_mut().for_each(Recorder::new_machine);
            let Some((configure, accesses)) = self.configured.clone() else {
                return true;
            };
            // It is the same configuration: who waits for the end of its work still does.
            let idle = self.idle.take();
            let told = self.obey(Control::Configure(configure, accesses));
            self.idle = idle;
            if told.is_none_or(|event| self.step(event)) {
                return true;
            }
        }
        false
    }
}
