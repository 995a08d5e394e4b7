//! Journals through the core again, to the first difference.
//!
//! A journal may come from anywhere: lines have a limit, only one of them is held at a time, and a
//! snapshot that no machine could have written is an error like any other. A last line without its
//! line feed was torn by the end of its process and is left out.

mod command;

use crate::words::Spoken;
use hls_relay_core::journal::{
    self, Difference, Head, JournalError, Line, Record, Replay, Replayed,
};
use hls_relay_core::node::Node;
use hls_relay_core::relay::Relay;
use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use command::{ReplayArgs, ReplayError, pieces};

/// Longer lines are refused: a playlist of 4 MB that is no text takes four bytes for each of its own,
/// a snapshot of the largest window about as much.
pub const MOST_LINE_BYTES: usize = 64 << 20;

/// The machine of a node as it stands in a journal: what its channels are is left out.
pub type NodeMachine = Node<()>;

/// What a replay comes past.
pub enum Seen<'a, M: Spoken = Relay> {
    /// A piece begins.
    Head {
        head: &'a Head<M>,
        /// How it follows what was seen before.
        follows: Follows,
    },
    /// A step, and what the replayed machine wants: the same as the recorded one.
    Step(&'a Record<M::Event>, &'a [M::Command]),
    /// The machine breaks at this event, as the recorded one did.
    Broke(&'a Record<M::Event>),
    /// The piece ends within a line, which is left out.
    Torn { bytes: usize },
}

/// How a piece follows what was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// With the next step.
    GoesOn,
    /// So many steps in between were not recorded.
    Missing(u64),
    /// It is another machine: the first, or one that began anew.
    Anew,
}

/// Where and why a journal does not replay.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Parted {
    /// The line of its piece, counted from 1.
    pub line: u64,
    /// Why.
    pub why: Why,
}

/// Why a journal does not replay.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// No journal has such a line.
    #[error("longer than {MOST_LINE_BYTES} bytes")]
    TooLong,
    /// The line is none of a journal.
    #[error("{0}")]
    Malformed(#[from] JournalError),
    /// The replay wants something else.
    #[error("{0}")]
    Difference(#[from] Difference),
    /// The same where the step is known: what came in, and what the replay wants.
    #[error("{difference}")]
    Commands {
        difference: Difference,
        event: String,
        wanted: Vec<String>,
    },
    /// The machine breaks where the recorded one did not.
    #[error("the machine breaks at step {seq}: {words}")]
    Breaks { seq: u64, words: String },
}

/// Replays one piece after another.
pub struct Replayer<M = Relay> {
    replay: Replay<M>,
    next_seq: Option<u64>,
    steps: u64,
}

impl<M> Default for Replayer<M> {
    fn default() -> Self {
        Self {
            replay: Replay::default(),
            next_seq: None,
            steps: 0,
        }
    }
}

/// Replays a journal that is one text; says how many steps it had.
pub fn check<M: Spoken>(text: &str) -> Result<u64, Parted> {
    let mut replayer = Replayer::<M>::default();
    let _ = replayer.piece(text.as_bytes(), &mut |_| ControlFlow::Continue(()))?;
    Ok(replayer.steps())
}

impl<M: Spoken> Replayer<M> {
    /// Replays the lines of one piece, or of several in one file, and shows what it comes past, until
    /// `seen` breaks off.
    ///
    /// # Errors
    /// At the first line that is none, and at the first difference.
    pub fn piece(
        &mut self,
        lines: impl BufRead,
        seen: &mut dyn FnMut(Seen<'_, M>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Parted> {
        let mut lines = Lines::new(lines);
        loop {
            let text = match lines.next_line() {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(why) => return Err(lines.parted(why)),
            };
            let line = journal::decode(text).map_err(Why::from);
            let went_on = line.and_then(|line| self.line(line, seen));
            match went_on {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                Err(why) => return Err(lines.parted(why)),
            }
        }
        match lines.torn {
            0 => Ok(ControlFlow::Continue(())),
            bytes => Ok(seen(Seen::Torn { bytes })),
        }
    }

    /// The machine after the last step.
    pub fn machine(&self) -> Option<&M> {
        self.replay.machine()
    }

    /// How many steps were replayed.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn line(
        &mut self,
        line: Line<M>,
        seen: &mut dyn FnMut(Seen<'_, M>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Why> {
        let record = match line {
            Line::Head(head) => return self.head(*head, seen),
            Line::Record(record) => record,
        };
        let broken = record.digest.is_none().then(|| record.clone());
        let seq = record.seq;
        let replay = &mut self.replay;
        let stepped = catch_unwind(AssertUnwindSafe(|| replay.feed(Line::Record(record))));
        self.next_seq = Some(seq.saturating_add(1));
        let went_on = match (stepped, broken) {
            (Ok(Ok(Some(step))), _) => match step.difference {
                None => seen(Seen::Step(&step.record, &step.commands)),
                Some(_) => return Err(differs::<M>(step)),
            },
            (Ok(Ok(None)), _) => ControlFlow::Continue(()),
            (Ok(Err(difference)), _) => return Err(difference.into()),
            (Err(_), Some(record)) => {
                // What is left of it is no machine any more.
                self.replay = Replay::default();
                seen(Seen::Broke(&record))
            }
            (Err(panic), None) => {
                let words = crate::words::of_panic(&*panic);
                return Err(Why::Breaks { seq, words });
            }
        };
        self.steps += 1;
        Ok(went_on)
    }

    fn head(
        &mut self,
        head: Head<M>,
        seen: &mut dyn FnMut(Seen<'_, M>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Why> {
        let follows = match self.next_seq {
            Some(next) if head.seq != 0 && head.seq == next => Follows::GoesOn,
            Some(next) if head.seq > next => Follows::Missing(head.seq - next),
            Some(_) | None => Follows::Anew,
        };
        self.next_seq = Some(head.seq);
        let went_on = seen(Seen::Head {
            head: &head,
            follows,
        });
        self.replay.feed(Line::Head(Box::new(head)))?;
        Ok(went_on)
    }
}

fn differs<M: Spoken>(step: Replayed<M::Event, M::Command>) -> Why {
    let Replayed {
        record,
        commands,
        difference,
    } = step;
    let seq = record.seq;
    Why::Commands {
        difference: difference.unwrap_or(Difference::NotBroken { seq }),
        event: M::event(&record.event),
        wanted: commands.iter().map(M::command).collect(),
    }
}

/// The whole lines of a piece, one at a time.
struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
    /// Bytes behind the last line feed.
    torn: usize,
}

impl<R: BufRead> Lines<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            number: 0,
            torn: 0,
        }
    }

    fn next_line(&mut self) -> Result<Option<&str>, Why> {
        self.number += 1;
        self.buffer.clear();
        let most = MOST_LINE_BYTES as u64 + 1;
        let reader = &mut self.reader;
        reader.take(most).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.len() > MOST_LINE_BYTES {
            return Err(Why::TooLong);
        }
        if !self.buffer.ends_with(b"\n") {
            self.torn = self.buffer.len();
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.buffer);
        text.map(Some)
            .map_err(|error| JournalError::Malformed(error.to_string()).into())
    }

    fn parted(&self, why: Why) -> Parted {
        Parted {
            line: self.number,
            why,
        }
    }
}
