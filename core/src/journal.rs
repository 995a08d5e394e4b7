//! What a machine was told, one line each, so that a bad night can be run again on a laptop.
//!
//! A journal is text: JSON, one value a line. It is cut into pieces, and every piece begins with a
//! snapshot of the machine ([`Head`]), so that any piece can be replayed alone and the oldest can be
//! thrown away. Then follow the steps ([`Record`]): what came in, and a digest of what went out.
//!
//! This module makes and reads the lines and compares a replay with them. It touches no file: who
//! records decides where the lines go, and drops them rather than wait for a full disk.
//! Headers, cookies and keys never reach the core, so they are in no journal. The tokens in a source's
//! URLs do, and are.

use crate::command::Command;
use crate::digest::Digest;
use crate::event::Event;
use crate::relay::Relay;
use crate::time::{Now, Timestamp, WallTime};
use serde::{Deserialize, Serialize};

/// The present [`Head::format`].
pub const JOURNAL_FORMAT: u32 = 1;

/// The first line of a piece.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The shape of the lines; another one is refused.
    #[serde(rename = "journal")]
    pub format: u32,
    /// The channel.
    pub channel: String,
    /// The number of the first step in this piece.
    pub seq: u64,
    /// The machine before that step.
    pub snapshot: Relay,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RecordLine", into = "RecordLine")]
pub struct Record {
    /// Counts the steps of a machine from 0.
    pub seq: u64,
    /// Both clocks.
    pub now: Now,
    /// What came in.
    pub event: Event,
    /// [`digest_of`] what went out; `None` where the machine broke at this event (it panicked), which
    /// is the last step of its journal.
    pub digest: Option<u64>,
}

/// A line of a journal.
#[derive(Clone, Debug)]
pub enum Line {
    /// A piece begins.
    Head(Box<Head>),
    /// A step.
    Record(Record),
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
    #[error(
        "step {}: the journal says commands {recorded:016x}, the replay {:016x}",
        replayed.record.seq,
        digest_of(&replayed.commands)
    )]
    Commands {
        recorded: u64,
        replayed: Box<Replayed>,
    },
    /// The machine broke there, and the replayed one did not.
    #[error("step {seq}: the machine broke there, and does not break in the replay")]
    NotBroken { seq: u64 },
    /// The replayed machine is not the one the next piece begins with.
    #[error("before step {seq}: the snapshot is not the replayed machine")]
    Snapshot { seq: u64 },
}

/// The digest of what one step wants done.
pub fn digest_of(commands: &[Command]) -> u64 {
    Digest::of(commands)
}

/// Writes the first line of a piece, its line feed included.
pub fn encode_head(channel: &str, seq: u64, machine: &Relay) -> String {
    #[derive(Serialize)]
    struct HeadLine<'a> {
        journal: u32,
        channel: &'a str,
        seq: u64,
        snapshot: &'a Relay,
    }
    line(&HeadLine {
        journal: JOURNAL_FORMAT,
        channel,
        seq,
        snapshot: machine,
    })
}

/// Writes the line of a step, its line feed included.
pub fn encode_record(record: &Record) -> String {
    line(record)
}

/// Reads a line, with or without its line feed.
pub fn decode(text: &str) -> Result<Line, JournalError> {
    let malformed = |error: serde_json::Error| JournalError::Malformed(error.to_string());
    let text = text.trim_end();
    if !text.starts_with(r#"{"journal":"#) {
        return serde_json::from_str(text)
            .map(Line::Record)
            .map_err(malformed);
    }
    // The format first: a snapshot of another release may have any shape.
    #[derive(Deserialize)]
    struct Format {
        journal: u32,
    }
    let Format { journal } = serde_json::from_str(text).map_err(malformed)?;
    if journal != JOURNAL_FORMAT {
        return Err(JournalError::Format { found: journal });
    }
    serde_json::from_str(text)
        .map(|head| Line::Head(Box::new(head)))
        .map_err(malformed)
}

fn line<T: Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(mut text) => {
            text.push('\n');
            text
        }
        // Only a map with keys that are not strings cannot be written, and there is none here. If
        // one is ever added, an empty line is a torn line to whoever reads it.
        Err(_) => "\n".to_owned(),
    }
}

/// Runs the lines of a journal through the machine and stops at the first difference.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    machine: Option<Relay>,
    next_seq: u64,
}

/// What one replayed step was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// As recorded.
    pub record: Record,
    /// What the machine wants done.
    pub commands: Vec<Command>,
}

impl Replay {
    /// Takes the next line. A head says nothing by itself; a record is stepped and compared.
    ///
    /// A snapshot that no machine could have written may make it panic, and so does a step at which
    /// the recorded machine broke.
    pub fn feed(&mut self, line: Line) -> Result<Option<Replayed>, Difference> {
        match line {
            Line::Head(head) => self.begin_piece(*head).map(|()| None),
            Line::Record(record) => self.step(record).map(Some),
        }
    }

    /// The machine after the last line taken; none before the first.
    pub fn machine(&self) -> Option<&Relay> {
        self.machine.as_ref()
    }

    fn begin_piece(&mut self, head: Head) -> Result<(), Difference> {
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

    fn step(&mut self, record: Record) -> Result<Replayed, Difference> {
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
        machine.step(record.now, record.event.clone(), &mut commands);
        let recorded = record.digest.ok_or(Difference::NotBroken { seq })?;
        let same = digest_of(&commands) == recorded;
        let replayed = Replayed { record, commands };
        if !same {
            return Err(Difference::Commands {
                recorded,
                replayed: Box::new(replayed),
            });
        }
        self.next_seq = seq + 1;
        Ok(replayed)
    }
}

/// The shape of a [`Record`] on paper: short, and the digest as text, because many readers of JSON
/// keep only 53 bits of a number.
#[derive(Serialize, Deserialize)]
struct RecordLine {
    seq: u64,
    at: u64,
    wall: i64,
    event: Event,
    #[serde(with = "hexadecimal")]
    commands: Option<u64>,
}

impl From<RecordLine> for Record {
    fn from(line: RecordLine) -> Self {
        let now = Now {
            monotonic: Timestamp::from_micros(line.at),
            wall: WallTime::from_micros(line.wall),
        };
        Self {
            seq: line.seq,
            now,
            event: line.event,
            digest: line.commands,
        }
    }
}

impl From<Record> for RecordLine {
    fn from(record: Record) -> Self {
        Self {
            seq: record.seq,
            at: record.now.monotonic.as_micros(),
            wall: record.now.wall.as_micros(),
            event: record.event,
            commands: record.digest,
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
            format: JOURNAL_FORMAT,
            channel: "a".to_owned(),
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
