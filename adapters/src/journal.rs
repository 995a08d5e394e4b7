//! `--journal DIR`: what the machine of a channel, or of a node, is told, kept for the night that has to be understood
//! (the format is [`hls_relay_core::journal`]'s).
//!
//! Whoever steps the machine hands each step to a [`Recorder`], which puts it into a bounded queue and never waits.
//! A thread of its own writes the [`pieces`]. Whatever happens there, a full disk above all, is said
//! and stops the recording, never the relay; it goes on by itself, with a new piece.

/// A line in the log about the journal of a machine, with the name of whose it is.
macro_rules! said {
    ($level:ident, $machine:ty, $name:expr, $($words:tt)+) => {
        match <$machine as hls_relay_core::journal::Machine>::KIND {
            hls_relay_core::journal::Kind::Channel => tracing::$level!(channel = &*$name, $($words)+),
            hls_relay_core::journal::Kind::Node => tracing::$level!(node = &*$name, $($words)+),
        }
    };
}

mod pieces;
mod secrets;
pub mod share;
mod writer;

use crate::spec::ChannelSpec;
use crate::store::OpenError;
use hls_relay_core::event::{Event, LoadedPlaylist};
use hls_relay_core::journal::{Machine, Record, digest_of};
use hls_relay_core::node::{ClusterEvent, Node, NodeEvent};
use hls_relay_core::relay::Relay;
use hls_relay_core::time::Now;
use pieces::Pieces;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Thread;
use tokio::sync::oneshot;
use writer::Writer;

/// What the pieces of a channel take together where nothing is said: a day of a channel with 6 s
/// segments and a window of ten.
pub const DEFAULT_BYTES: u64 = 64_000_000;
/// The least that can be asked for: a playlist and a machine have to fit in.
pub const LEAST_BYTES: u64 = 1_000_000;

/// The memory, in bytes, that steps keep alive while they wait to be written, at the most.
const MOST_QUEUED_BYTES: usize = 8 << 20;
/// What a step keeps alive beside the playlist in it.
const STEP_BYTES: usize = 1 << 10;
const MOST_QUEUED: usize = MOST_QUEUED_BYTES / STEP_BYTES;

/// Before the name of a node: its folder among those of its channels, of which none is named so.
const OF_NODE: &str = ".node-";
/// What a channel takes in memory in an answer of Redis, about.
const SEEN_BYTES: usize = 256;

/// A machine whose steps can wait to be written.
pub trait Recorded: Machine<Event: Send> + Send + 'static {
    /// What an event keeps in memory beyond its own size, about.
    fn bytes_behind(event: &Self::Event) -> usize;
}

/// Takes the steps of one machine.
pub struct Recorder<M: Recorded = Relay> {
    /// Whose it is, for the log.
    name: Arc<str>,
    to_writer: Option<SyncSender<Message<M>>>,
    writer: Thread,
    /// With so much in the queue the writer gathers no longer.
    hurry_from: usize,
    shared: Arc<Shared>,
    /// Counts the steps of the present machine.
    seq: u64,
    /// The machine and every step since then are in the queue, or written.
    recording: bool,
    /// Steps were left out because the queue was full.
    fell_behind: bool,
}

/// What recorder and writer both know.
#[derive(Debug, Default)]
struct Shared {
    /// A new piece is to begin: the writer needs the machine.
    piece_wanted: AtomicBool,
    queued_bytes: AtomicUsize,
}

enum Message<M: Machine> {
    /// A piece begins with this machine, before its step `seq`.
    Head {
        seq: u64,
        machine: Box<M>,
    },
    Step(Box<Record<M::Event>>),
}

impl Recorder<Relay> {
    /// Begins to record into `folder/channel/`, at most `most_bytes` in all. The receiver is told when
    /// everything is written, after the recorder is gone.
    pub fn start(
        folder: &Path,
        channel: &Arc<str>,
        most_bytes: u64,
    ) -> Result<(Self, oneshot::Receiver<()>), OpenError> {
        Self::start_in(folder.join(&**channel), channel, most_bytes)
    }
}

impl Recorder<Node<ChannelSpec>> {
    /// The same for the machine of a node, beside those of its channels.
    pub fn start_of_node(
        folder: &Path,
        node: &Arc<str>,
        most_bytes: u64,
    ) -> Result<(Self, oneshot::Receiver<()>), OpenError> {
        Self::start_in(folder.join(format!("{OF_NODE}{node}")), node, most_bytes)
    }
}

impl<M: Recorded> Recorder<M> {
    fn start_in(
        folder: PathBuf,
        name: &Arc<str>,
        most_bytes: u64,
    ) -> Result<(Self, oneshot::Receiver<()>), OpenError> {
        let pieces = Pieces::open(folder.clone(), name, most_bytes)?;
        let (to_writer, messages) = sync_channel(MOST_QUEUED);
        let shared = Arc::new(Shared::default());
        let (done, finished) = oneshot::channel();
        let writer = Writer::new(name.clone(), pieces, shared.clone());
        let run = move || {
            writer.run(&messages);
            drop::<oneshot::Sender<()>>(done);
        };
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(run).map_err(|error| OpenError::Unusable {
            path: folder,
            error,
        })?;
        let mut recorder = Self {
            name: name.clone(),
            to_writer: Some(to_writer),
            writer: thread.thread().clone(),
            hurry_from: most_bytes.min(MOST_QUEUED_BYTES as u64) as usize / 8,
            shared,
            seq: 0,
            recording: false,
            fell_behind: false,
        };
        recorder.new_machine();
        Ok((recorder, finished))
    }

    /// The next step is the first one of another machine.
    pub fn new_machine(&mut self) {
        self.seq = 0;
        self.recording = false;
        self.shared.piece_wanted.store(true, Ordering::Relaxed);
    }

    /// Before a step, as if the machine broke at it: nothing where it is not recorded.
    pub fn begin(
        &mut self,
        machine: &M,
        now: Now,
        event: &M::Event,
    ) -> Option<Box<Record<M::Event>>> {
        let seq = self.seq;
        self.seq += 1;
        let caught_up = self.fell_behind && self.shared.queued_bytes.load(Ordering::Relaxed) == 0;
        if caught_up || self.shared.piece_wanted.swap(false, Ordering::Relaxed) {
            let machine = Box::new(machine.clone());
            self.recording = true;
            self.send(Message::Head { seq, machine }, STEP_BYTES);
        }
        self.recording.then(|| {
            Box::new(Record {
                seq,
                now,
                event: event.clone(),
                digest: None,
            })
        })
    }

    /// After the step, with what the machine wants; without where it broke.
    pub fn end(&mut self, mut step: Box<Record<M::Event>>, commands: Option<&[M::Command]>) {
        // Here and now the commands are at hand; on the way to another thread they would only age.
        step.digest = commands.map(digest_of);
        let bytes = bytes_of::<M>(&step);
        self.send(Message::Step(step), bytes);
    }

    /// Never waits: what does not fit is left out, and so is everything up to the next machine.
    fn send(&mut self, message: Message<M>, bytes: usize) {
        let before = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before + bytes <= MOST_QUEUED_BYTES;
        let sender = self.to_writer.as_ref().filter(|_| fits);
        let sent = sender.is_some_and(|it| it.try_send(message).is_ok());
        if before + bytes > self.hurry_from {
            self.writer.unpark();
        }
        if sent {
            if std::mem::take(&mut self.fell_behind) {
                said!(
                    info,
                    M,
                    self.name,
                    "the journal has caught up: steps are recorded again"
                );
            }
            return;
        }
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.recording = false;
        if !std::mem::replace(&mut self.fell_behind, true) {
            said!(
                warn,
                M,
                self.name,
                "the disk of the journal is too slow: steps are not recorded until it has caught up; the relay goes on"
            );
        }
    }
}

impl<M: Recorded> Drop for Recorder<M> {
    /// Nothing more will come: the writer need not wait for it.
    fn drop(&mut self) {
        self.to_writer = None;
        self.writer.unpark();
    }
}

/// What a step keeps in memory, about.
fn bytes_of<M: Recorded>(step: &Record<M::Event>) -> usize {
    STEP_BYTES + M::bytes_behind(&step.event)
}

impl Recorded for Relay {
    fn bytes_behind(event: &Event) -> usize {
        match event {
            Event::PlaylistLoaded {
                outcome: Ok(LoadedPlaylist::Body { body, .. }),
                ..
            } => body.0.len(),
            Event::Tick
            | Event::Configure(_)
            | Event::PlaylistLoaded { .. }
            | Event::Downloaded { .. }
            | Event::Transcoded { .. }
            | Event::Preloaded { .. }
            | Event::ObjectsChecked { .. }
            | Event::Published { .. }
            | Event::Deleted { .. }
            | Event::Withdrawn { .. }
            | Event::CheckpointSaved { .. }
            | Event::ShutDown => 0,
        }
    }
}

impl Recorded for Node<ChannelSpec> {
    fn bytes_behind(event: &NodeEvent<ChannelSpec>) -> usize {
        match event {
            NodeEvent::Cluster(ClusterEvent::Looked {
                outcome: Ok((_, look)),
                ..
            }) => look.channels.len() * SEEN_BYTES,
            // A spec is shared with who has it anyway.
            NodeEvent::Tick
            | NodeEvent::Wanted { .. }
            | NodeEvent::Removed { .. }
            | NodeEvent::Opened { .. }
            | NodeEvent::Idle { .. }
            | NodeEvent::Closed { .. }
            | NodeEvent::Erased { .. }
            | NodeEvent::StoreTried { .. }
            | NodeEvent::Cluster(_)
            | NodeEvent::Drain
            | NodeEvent::ShutDown => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_relay_core::ids::Epoch;
    use std::sync::mpsc::Receiver;

    /// The number of the step, or of the first one after a head.
    fn take(queue: &Receiver<Message<Relay>>, shared: &Shared) -> Option<(bool, u64)> {
        let message = queue.try_recv().ok()?;
        shared.queued_bytes.fetch_sub(STEP_BYTES, Ordering::Relaxed);
        Some(match message {
            Message::Head { seq, .. } => (true, seq),
            Message::Step(step) => (false, step.seq),
        })
    }

    #[test]
    fn a_writer_that_hangs_is_not_waited_for_and_what_is_left_out_is_left_out_as_one_piece() {
        let (to_writer, queue) = sync_channel(MOST_QUEUED);
        let mut recorder = Recorder {
            name: "news".into(),
            to_writer: Some(to_writer),
            writer: std::thread::current(),
            hurry_from: MOST_QUEUED_BYTES,
            shared: Arc::default(),
            seq: 0,
            recording: false,
            fell_behind: false,
        };
        recorder.new_machine();
        let machine = Relay::new(1, Epoch(1), None);
        let steps = |recorder: &mut Recorder, count| {
            for _ in 0..count {
                if let Some(step) = recorder.begin(&machine, Now::default(), &Event::Tick) {
                    recorder.end(step, Some(&[]));
                }
            }
        };
        let shared = recorder.shared.clone();
        let most = MOST_QUEUED as u64;
        steps(&mut recorder, 2 * most);
        assert_eq!(take(&queue, &shared), Some((true, 0)));
        steps(&mut recorder, 10);
        for seq in 0..most - 1 {
            assert_eq!(take(&queue, &shared), Some((false, seq)));
        }
        assert_eq!(
            take(&queue, &shared),
            None,
            "nothing after the first that was left out"
        );
        assert_eq!(shared.queued_bytes.load(Ordering::Relaxed), 0);
        steps(&mut recorder, 1);
        assert_eq!(take(&queue, &shared), Some((true, 2 * most + 10)));
        assert_eq!(take(&queue, &shared), Some((false, 2 * most + 10)));
    }
}
