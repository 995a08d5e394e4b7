//! What a machine was told, one line each, so that a bad night can be run again on a laptop.
//!
//! A journal is text: JSON, one value a line. It is cut into pieces, and every piece begins with a
//! snapshot of the machine ([`Head`]), so that any piece can be replayed alone and the oldest can be
//! thrown away. Then follow the steps ([`Record`]): what came in, and a digest of what went out.
//!
//! There are two kinds of machines, and so of journals: that of a channel, and that of a node ([`Machine`]).
//!
//! This module makes and reads the lines and compares a replay with them. It touches no file: who
//! records decides where the lines go, and drops them rather than wait for a full disk.
//! Headers, cookies and keys never reach the core's channels, and what a node's machine has of them is left out
//! ([`crate::node::Record`]), so they are in no journal; a key that stands in a playlist is hidden where that is written down. The tokens in a source's URLs do reach a channel, and are in
//! its journal.

use crate::command::Command;
use crate::digest::Digest;
use crate::event::Event;
use crate::inline::hidden;
use crate::node::{Node, NodeCommand, NodeEvent};
use crate::relay::Relay;
use crate::time::{Now, Timestamp, WallTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The present format of a journal, in its first line.
pub const JOURNAL_FORMAT: u32 = 1;

/// A machine whose steps can be written down.
pub trait Machine: Clone + Serialize {
    /// What comes in.
    type Event: Clone + Serialize;
    /// What goes out.
    type Command: Clone + Serialize;
    /// Of what it is the machine.
    const KIND: Kind;

    /// Takes what has happened and says what is to be done.
    fn take(&mut self, now: Now, event: Self::Event, commands: &mut Vec<Self::Command>);
}

/// Of what a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One channel.
    Channel,
    /// The channels of one node.
    Node,
}

/// The first line of a piece.
#[derive(Clone, Debug)]
pub struct Head<M = Relay> {
    /// The name of the channel, or of the node.
    pub name: String,
    /// The number of the first step in this piece.
    pub seq: u64,
    /// The machine before that step.
    pub snapshot: M,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<E = Event> {
    /// Counts the steps of a machine from 0.
    pub seq: u64,
    /// Both clocks.
    pub now: Now,
    /// What came in.
    pub event: E,
    /// [`digest_of`] what went out; `None` where the machine broke at this event (it panicked), which
    /// is the last step of its journal.
    pub digest: Option<u64>,
}

/// A line of a journal.
#[derive(Clone, Debug)]
pub enum Line<M: Machine = Relay> {
    /// A piece begins.
    Head(Box<Head<M>>),
    /// A step.
    Record(Record<M::Event>),
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Not a line of a journal, or torn; the cause in words.
    #[error("not a line of a journal: {0}")]
    Malformed(String),
    /// Written by a release with another format.
    #[error("journal format {found}, and this release reads {JOURNAL_FORMAT}")]
    Format { found: u32 },
    /// Of the other kind of machine.
    #[error("not the journal of a {0}")]
    Kind(Kind),
}

/// Where a replay and its journal part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The lines do not begin with a snapshot.
    #[error("step {seq} comes before any snapshot")]
    NoSnapshot { seq: u64 },
    /// Lines are missing.
    #[error("step {found} follows where step {expected} should be")]
    Missing { expected: u64, found: u64 },
    /// The same event made the machine want something else.
    #[error("step {seq}: the journal says commands {recorded:016x}, the replay {replayed:016x}")]
    Commands {
        seq: u64,
        recorded: u64,
        replayed: u64,
    },
    /// The machine broke there, and the replayed one did not.
    #[error("step {seq}: the machine broke there, and does not break in the replay")]
    NotBroken { seq: u64 },
    /// The replayed machine is not the one the next piece begins with.
    #[error("before step {seq}: the snapshot is not the replayed machine")]
    Snapshot { seq: u64 },
}

/// The digest of what one step wants done.
pub fn digest_of<C: Serialize>(commands: &[C]) -> u64 {
    Digest::of(commands)
}

/// Writes the first line of a piece, its line feed included.
pub fn encode_head<M: Machine>(name: &str, seq: u64, machine: &M) -> String {
    #[derive(Serialize)]
    struct HeadLine<'a, M> {
        journal: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        seq: u64,
        snapshot: &'a M,
    }
    line(&HeadLine {
        journal: JOURNAL_FORMAT,
        channel: (M::KIND == Kind::Channel).then_some(name),
        node: (M::KIND == Kind::Node).then_some(name),
        seq,
        snapshot: machine,
    })
}

/// Writes the line of a step, its line feed included.
pub fn encode_record<E: Serialize>(record: &Record<E>) -> String {
    line(&RecordLine {
        seq: record.seq,
        at: record.now.monotonic.as_micros(),
        wall: record.now.wall.as_micros(),
        event: &record.event,
        commands: record.digest,
    })
}

/// Reads a line, with or without its line feed.
pub fn decode<M>(text: &str) -> Result<Line<M>, JournalError>
where
    M: Machine<Event: DeserializeOwned> + DeserializeOwned,
{
    let malformed = |error: serde_json::Error| JournalError::Malformed(error.to_string());
    let text = text.trim_end();
    if !text.starts_with(r#"{"journal":"#) {
        let line: RecordLine<M::Event> = serde_json::from_str(text).map_err(malformed)?;
        return Ok(Line::Record(line.record()));
    }
    // The format first: a snapshot of another release may have any shape.
    #[derive(Deserialize)]
    struct About {
        journal: u32,
        channel: Option<String>,
        node: Option<String>,
    }
    let about: About = serde_json::from_str(text).map_err(malformed)?;
    if about.journal != JOURNAL_FORMAT {
        let found = about.journal;
        return Err(JournalError::Format { found });
    }
    let name = match M::KIND {
        Kind::Channel => about.channel,
        Kind::Node => about.node,
    };
    let name = name.ok_or(JournalError::Kind(M::KIND))?;
    #[derive(Deserialize)]
    struct Snapshot<M> {
        seq: u64,
        snapshot: M,
    }
    let Snapshot { seq, snapshot } = serde_json::from_str(text).map_err(malformed)?;
    Ok(Line::Head(Box::new(Head {
        name,
        seq,
        snapshot,
    })))
}

/// Of which kind of machine a journal is that begins so.
pub fn kind_of(beginning: &[u8]) -> Kind {
    let format = beginning.iter().position(|it| *it == b',');
    let after_format = format.map_or(&[][..], |at| &beginning[at..]);
    match after_format.starts_with(br#","node":"#) {
        true => Kind::Node,
        false => Kind::Channel,
    }
}

fn line<T: Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => {
            let mut text = hidden(&text).into_owned();
            text.push('\n');
            text
        }
        // Only a map with keys that are not strings cannot be written, and there is none here. If
        // one is ever added, an empty line is a torn line to whoever reads it.
        Err(_) => "\n".to_owned(),
    }
}

/// Runs the lines of a journal through the machine and stops at the first difference.
#[derive(Clone, Debug)]
pub struct Replay<M = Relay> {
    machine: Option<M>,
    next_seq: u64,
}

impl<M> Default for Replay<M> {
    fn default() -> Self {
        Self {
            machine: None,
            next_seq: 0,
        }
    }
}

/// What one replayed step was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed<E = Event, C = Command> {
    /// As recorded.
    pub record: Record<E>,
    /// What the machine wants done.
    pub commands: Vec<C>,
    /// Where that is something else than what was recorded.
    pub difference: Option<Difference>,
}

/// One step of a machine.
pub type ReplayedBy<M> = Replayed<<M as Machine>::Event, <M as Machine>::Command>;

impl<M: Machine> Replay<M> {
    /// Takes the next line. A head says nothing by itself; a record is stepped and compared.
    ///
    /// A snapshot that no machine could have written may make it panic, and so does a step at which
    /// the recorded machine broke.
    pub fn feed(&mut self, line: Line<M>) -> Result<Option<ReplayedBy<M>>, Difference> {
        match line {
            Line::Head(head) => self.begin_piece(*head).map(|()| None),
            Line::Record(record) => self.step(record).map(Some),
        }
    }

    /// The machine after the last line taken; none before the first.
    pub fn machine(&self) -> Option<&M> {
        self.machine.as_ref()
    }

    fn begin_piece(&mut self, head: Head<M>) -> Result<(), Difference> {
        if let Some(machine) = &self.machine {
            // A machine that starts again counts from 0: that is a new one, not a difference.
            let goes_on = head.seq != 0 && head.seq == self.next_seq;
            if goes_on && Digest::of(machine) != Digest::of(&head.snapshot) {
                return Err(Difference::Snapshot { seq: head.seq });
            }
        }
        self.next_seq = head.seq;
        self.machine = Some(head.snapshot);
        Ok(())
    }

    fn step(&mut self, record: Record<M::Event>) -> Result<ReplayedBy<M>, Difference> {
        let seq = record.seq;
        let Some(machine) = &mut self.machine else {
            return Err(Difference::NoSnapshot { seq });
        };
        if seq != self.next_seq {
            return Err(Difference::Missing {
                expected: self.next_seq,
                found: seq,
            });
        }
        let mut commands = Vec::new();
        machine.take(record.now, record.event.clone(), &mut commands);
        let recorded = record.digest.ok_or(Difference::NotBroken { seq })?;
        let replayed = digest_of(&commands);
        self.next_seq = seq + 1;
        let difference = (replayed != recorded).then_some(Difference::Commands {
            seq,
            recorded,
            replayed,
        });
        Ok(Replayed {
            record,
            commands,
            difference,
        })
    }
}

impl Machine for Relay {
    type Event = Event;
    type Command = Command;
    const KIND: Kind = Kind::Channel;

    fn take(&mut self, now: Now, event: Event, commands: &mut Vec<Command>) {
        self.step(now, event, commands);
    }
}

impl<S: Clone> Machine for Node<S> {
    type Event = NodeEvent<S>;
    type Command = NodeCommand<S>;
    const KIND: Kind = Kind::Node;

    fn take(&mut self, now: Now, event: NodeEvent<S>, commands: &mut Vec<NodeCommand<S>>) {
        self.step(now.monotonic, event, commands);
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Channel => "channel",
            Self::Node => "node",
        })
    }
}

/// The shape of a [`Record`] on paper: short, and the digest as text, because many readers of JSON
/// keep only 53 bits of a number.
#[derive(Serialize, Deserialize)]
struct RecordLine<E> {
    seq: u64,
    at: u64,
    wall: i64,
    event: E,
    #[serde(with = "hexadecimal")]
    commands: Option<u64>,
}

impl<E> RecordLine<E> {
    fn record(self) -> Record<E> {
        let now = Now {
            monotonic: Timestamp::from_micros(self.at),
            wall: WallTime::from_micros(self.wall),
        };
        Record {
            seq: self.seq,
            now,
            event: self.event,
            digest: self.commands,
        }
    }
}

mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(&format_args!("{value:016x}")),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        let text = Option::<std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.map(|text| u64::from_str_radix(&text, 16).map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;

    fn piece(seq: u64, seed: u64) -> Line {
        Line::Head(Box::new(Head {
            name: "a".to_owned(),
            seq,
            snapshot: Relay::new(seed, Epoch(1), None),
        }))
    }

    #[test]
    fn a_piece_that_goes_on_begins_with_the_machine_that_was_replayed() {
        let replay = |lines: [Line; 2]| {
            let mut replay = Replay::default();
            let mut fed = lines.into_iter().map(|line| replay.feed(line));
            fed.find_map(Result::err)
        };
        assert_eq!(replay([piece(7, 1), piece(7, 1)]), None);
        let differs = Some(Difference::Snapshot { seq: 7 });
        assert_eq!(replay([piece(7, 1), piece(7, 2)]), differs);
        // What was left out in between, and a process that begins anew.
        assert_eq!(replay([piece(7, 1), piece(9, 2)]), None);
        assert_eq!(replay([piece(0, 1), piece(0, 2)]), None);
    }
}
