//! What is wanted of a channel, and what may change it: the rules of every control store, whatever it
//! keeps its records in.

use crate::event::Desired;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The name of a channel: an element of paths and a part of keys, so it is plain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "Arc<str>")]
pub struct ChannelId(Arc<str>);

/// A name that no channel can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to 64 of the letters A-Z, a-z, digits, '-', '_' and '.', and does not begin with '.'"
)]
pub struct BadChannelId;

impl ChannelId {
    /// The longest name, in bytes.
    pub const MOST_BYTES: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// What names may be.
    pub fn new(text: &str) -> Result<Self, BadChannelId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=Self::MOST_BYTES).contains(&text.len());
        if !fits || text.starts_with('.') || !text.bytes().all(plain) {
            return Err(BadChannelId);
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<Arc<str>> for ChannelId {
    type Error = BadChannelId;

    fn try_from(text: Arc<str>) -> Result<Self, BadChannelId> {
        Self::new(&text)
    }
}

impl From<ChannelId> for Arc<str> {
    fn from(id: ChannelId) -> Self {
        id.0
    }
}

/// Who says what a channel is: nobody else may say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// Whoever asks the API.
    Api,
    /// The node's configuration file.
    Config,
    /// A company's database, by way of `hls-relay feed`.
    Feed,
}

/// What is wanted of a channel. What is observed of it never stands here.
///
/// Serialized, it is as it stands in a journal: without its spec, which decides nothing here and may hold what its
/// sources are asked with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "", deserialize = "S: Default"))]
pub struct Record<S> {
    /// Grows with every change, of whichever channel of the store: no two changes have the same.
    pub revision: u64,
    /// Whether it should run.
    pub desired: Desired,
    /// Whose channel it is.
    pub writer: Writer,
    /// What it should be.
    #[serde(skip)]
    pub spec: Arc<S>,
}

impl<S> Clone for Record<S> {
    fn clone(&self) -> Self {
        Self {
            spec: self.spec.clone(),
            ..*self
        }
    }
}

/// A wish for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<S> {
    /// It should be so. `None` leaves it running or stopped as it is; a new one runs.
    Put {
        spec: Arc<S>,
        desired: Option<Desired>,
    },
    /// It should run, or stop, as it is.
    Desire(Desired),
    /// Who said what it should be says nothing of it any more: it should stop, and what becomes of it is for whoever asks
    /// the API to say.
    Abandon,
    /// It should not be.
    Remove,
}

/// What must be the case for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Any,
    /// Nobody has changed the channel since this revision.
    Unchanged(u64),
    /// There is such a channel.
    Present,
    /// There is no such channel yet.
    Absent,
}

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It would have to be there.
    #[error("there is no such channel")]
    Missing,
    /// The condition does not hold.
    #[error("the channel has been changed: it is at revision {0}")]
    Changed(u64),
    /// It should not have been there.
    #[error("there is such a channel already, at revision {0}")]
    Present(u64),
    /// It belongs to somebody else.
    #[error("the channel belongs to the configuration file of the node: change it there")]
    OfConfig,
    /// The same.
    #[error("the channel belongs to the database that feeds it: change it there")]
    OfFeed,
}

/// What a change leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied<S> {
    /// It is so already; nothing is written.
    Same(Record<S>),
    /// This is to be written.
    Written(Record<S>),
    /// The channel is to be taken out of the store.
    Removed,
}

/// Decides on a change. `next` is the revision that it would get.
///
/// # Errors
/// Why it is not made.
pub fn apply<S: PartialEq>(
    current: Option<&Record<S>>,
    writer: Writer,
    change: Change<S>,
    condition: Condition,
    next: u64,
) -> Result<Applied<S>, Refused> {
    match (condition, current) {
        (Condition::Unchanged(_) | Condition::Present, None) => return Err(Refused::Missing),
        (Condition::Unchanged(expected), Some(current)) if current.revision != expected => {
            return Err(Refused::Changed(current.revision));
        }
        (Condition::Absent, Some(current)) => return Err(Refused::Present(current.revision)),
        (Condition::Any | Condition::Unchanged(_) | Condition::Present | Condition::Absent, _) => {}
    }
    // What the file says, only the file changes, or a database that names it as well. Whether such a channel
    // runs is for every operator to say.
    match (current.map(|it| it.writer), writer, &change) {
        (Some(Writer::Config), Writer::Api, Change::Put { .. } | Change::Remove) => {
            return Err(Refused::OfConfig);
        }
        // A database says both, and would say it again.
        (Some(Writer::Feed), Writer::Api | Writer::Config, _) => return Err(Refused::OfFeed),
        _ => {}
    }
    let wanted = match (change, current) {
        (Change::Put { spec, desired }, current) => Record {
            revision: next,
            desired: desired.unwrap_or(current.map_or(Desired::Run, |it| it.desired)),
            writer,
            spec,
        },
        (Change::Desire(_) | Change::Abandon | Change::Remove, None) => {
            return Err(Refused::Missing);
        }
        (Change::Remove, Some(_)) => return Ok(Applied::Removed),
        (Change::Desire(desired), Some(current)) => Record {
            revision: next,
            desired,
            writer: current.writer,
            spec: current.spec.clone(),
        },
        (Change::Abandon, Some(current)) => Record {
            revision: next,
            desired: Desired::Stop,
            writer: Writer::Api,
            spec: current.spec.clone(),
        },
    };
    Ok(match current {
        Some(current) if is_same(current, &wanted) => Applied::Same(current.clone()),
        Some(_) | None => Applied::Written(wanted),
    })
}

fn is_same<S: PartialEq>(one: &Record<S>, other: &Record<S>) -> bool {
    (one.desired, one.writer, &one.spec) == (other.desired, other.writer, &other.spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Record = super::Record<&'static str>;

    fn record(revision: u64, spec: &'static str) -> Record {
        Record {
            revision,
            desired: Desired::Run,
            writer: Writer::Api,
            spec: Arc::new(spec),
        }
    }

    fn put(spec: &'static str) -> Change<&'static str> {
        Change::Put {
            spec: Arc::new(spec),
            desired: None,
        }
    }

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        let long = "x".repeat(65);
        for bad in [
            "", ".", "..", ".hidden", "a/b", "a\\b", "a b", "é", "a\nb", &long,
        ] {
            assert!(ChannelId::new(bad).is_err(), "{bad}");
        }
        assert_eq!(
            &**ChannelId::new("News-24_hd.1").unwrap().name(),
            "News-24_hd.1"
        );
    }

    #[test]
    fn a_put_of_what_is_there_is_no_change() {
        let current = record(4, "a");
        let again = apply(Some(&current), Writer::Api, put("a"), Condition::Any, 9);
        assert_eq!(again, Ok(Applied::Same(current.clone())));
        let other = apply(Some(&current), Writer::Api, put("b"), Condition::Any, 9);
        assert_eq!(other, Ok(Applied::Written(record(9, "b"))));
    }

    #[test]
    fn a_put_leaves_a_stopped_channel_stopped() {
        let current = Record {
            desired: Desired::Stop,
            ..record(4, "a")
        };
        let put = apply(Some(&current), Writer::Api, put("b"), Condition::Any, 9);
        let Ok(Applied::Written(written)) = put else {
            panic!("{put:?}");
        };
        assert_eq!(written.desired, Desired::Stop);
    }

    #[test]
    fn a_condition_holds_or_the_change_is_refused() {
        let current = record(4, "a");
        for (current, condition, refused) in [
            (Some(&current), Condition::Unchanged(3), Refused::Changed(4)),
            (Some(&current), Condition::Absent, Refused::Present(4)),
            (None, Condition::Unchanged(3), Refused::Missing),
            (None, Condition::Present, Refused::Missing),
        ] {
            let outcome = apply(current, Writer::Api, put("b"), condition, 9);
            assert_eq!(outcome, Err(refused));
        }
        for change in [Change::Remove, Change::Desire(Desired::Stop)] {
            let outcome = apply::<&str>(None, Writer::Api, change, Condition::Any, 9);
            assert_eq!(outcome, Err(Refused::Missing));
        }
    }

    #[test]
    fn what_a_database_names_it_alone_changes_and_what_it_has_abandoned_anybody() {
        let fed = Record {
            writer: Writer::Feed,
            ..record(4, "a")
        };
        let changes = [put("b"), Change::Desire(Desired::Run), Change::Remove];
        for change in changes.clone() {
            let outcome = apply(Some(&fed), Writer::Api, change, Condition::Any, 9);
            assert_eq!(outcome, Err(Refused::OfFeed));
        }
        let abandon = Change::Abandon;
        let refused = apply(Some(&fed), Writer::Api, abandon.clone(), Condition::Any, 9);
        assert_eq!(refused, Err(Refused::OfFeed));
        let abandoned = apply(Some(&fed), Writer::Feed, abandon, Condition::Any, 9);
        let Ok(Applied::Written(abandoned)) = abandoned else {
            panic!("{abandoned:?}");
        };
        let stopped = Record {
            desired: Desired::Stop,
            ..record(9, "a")
        };
        assert_eq!(abandoned, stopped);
        for change in changes {
            let outcome = apply(Some(&abandoned), Writer::Api, change, Condition::Any, 10);
            assert!(
                matches!(outcome, Ok(Applied::Written(_) | Applied::Removed)),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn what_the_configuration_says_is_changed_there_but_may_be_stopped_anywhere() {
        let current = Record {
            writer: Writer::Config,
            ..record(4, "a")
        };
        for change in [put("b"), put("a"), Change::Remove] {
            let outcome = apply(Some(&current), Writer::Api, change, Condition::Any, 9);
            assert_eq!(outcome, Err(Refused::OfConfig));
        }
        let taken_over = apply(
            Some(&record(4, "a")),
            Writer::Config,
            put("a"),
            Condition::Any,
            9,
        );
        let taken = Record {
            writer: Writer::Config,
            ..record(9, "a")
        };
        assert_eq!(taken_over, Ok(Applied::Written(taken)));
        let stop = Change::Desire(Desired::Stop);
        let stopped = apply(Some(&current), Writer::Api, stop, Condition::Any, 9);
        let Ok(Applied::Written(stopped)) = stopped else {
            panic!("{stopped:?}");
        };
        assert_eq!(
            (stopped.desired, stopped.writer),
            (Desired::Stop, Writer::Config)
        );
    }
}
