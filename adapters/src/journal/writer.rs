//! The thread that writes: lines into pieces, and what an operator has to know of it.

use super::pieces::Pieces;
use super::{Message, Recorded, STEP_BYTES, Shared, bytes_of};
use hls_relay_core::journal;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// What happens within this time is written at once: to wake a thread and to call the disk for every
/// step would cost more than all the rest. Whoever kills the process takes so much of the end along.
const GATHER: Duration = Duration::from_secs(5);
/// Lines are written together up to this many bytes, where more than one is waiting.
const BATCH: usize = 256 << 10;
/// After a failure the disk is left alone for so long.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Writer<M> {
    name: Arc<str>,
    pieces: Pieces,
    shared: Arc<Shared>,
    /// Whole lines, not written yet.
    lines: String,
    /// After a failure: nothing is written until then.
    pause: Option<Instant>,
    /// The failure was said.
    failing: bool,
    /// The present piece is long enough, and the next one was asked for.
    asked: bool,
    machine: PhantomData<fn(M)>,
}

impl<M: Recorded> Writer<M> {
    pub(super) fn new(name: Arc<str>, pieces: Pieces, shared: Arc<Shared>) -> Self {
        Self {
            name,
            pieces,
            shared,
            lines: String::new(),
            pause: None,
            failing: false,
            asked: false,
            machine: PhantomData,
        }
    }

    /// Writes until the recorder is gone and everything is written. Whoever cannot wait for the rest
    /// of [`GATHER`] unparks the thread.
    pub(super) fn run(mut self, messages: &Receiver<Message<M>>) {
        loop {
            let next = match self.pause {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => {
                    messages.recv_timeout(until.saturating_duration_since(Instant::now()))
                }
            };
            match next {
                Ok(message) => {
                    std::thread::park_timeout(GATHER);
                    self.take_all(message, messages);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.pause = None;
                    self.want_piece();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// One message and what waits behind it.
    fn take_all(&mut self, message: Message<M>, messages: &Receiver<Message<M>>) {
        let mut next = Some(message);
        let mut written = Ok(());
        while let Some(message) = next {
            let bytes = match &message {
                Message::Head { .. } => STEP_BYTES,
                Message::Step(step) => bytes_of::<M>(step),
            };
            if written.is_ok() {
                written = self.take(message);
            }
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            next = messages.try_recv().ok();
        }
        if let Err(error) = written.and_then(|()| self.write_lines()) {
            self.fail(&error);
        }
    }

    fn take(&mut self, message: Message<M>) -> io::Result<()> {
        match message {
            // Asked for before the failure.
            Message::Head { .. } if self.pause.is_some() => Ok(()),
            Message::Head { seq, machine } => {
                self.write_lines()?;
                self.asked = false;
                let head = journal::encode_head(&self.name, seq, &*machine);
                self.pieces.begin(head.as_bytes())
            }
            Message::Step(_) if !self.pieces.is_begun() => Ok(()),
            Message::Step(step) => {
                self.lines.push_str(&journal::encode_record(&step));
                match self.lines.len() {
                    ..BATCH => Ok(()),
                    _ => self.write_lines(),
                }
            }
        }
    }

    fn write_lines(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.pieces.append(self.lines.as_bytes());
        self.lines.clear();
        written?;
        if std::mem::take(&mut self.failing) {
            said!(
                info,
                M,
                self.name,
                "the journal is recorded again, in a new piece"
            );
        }
        if self.pieces.is_long() && !std::mem::replace(&mut self.asked, true) {
            self.want_piece();
        }
        Ok(())
    }

    fn want_piece(&self) {
        self.shared.piece_wanted.store(true, Ordering::Relaxed);
    }

    fn fail(&mut self, error: &io::Error) {
        self.lines.clear();
        self.pieces.end();
        self.pause = Some(Instant::now() + PAUSE);
        if !std::mem::replace(&mut self.failing, true) {
            said!(
                error,
                M,
                self.name,
                "the journal cannot be written: {error}; the relay goes on without it, and records \
                 again once it can"
            );
        }
    }
}
