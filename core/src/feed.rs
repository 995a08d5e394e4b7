//! From rows of a company's database to changes of the control store: only what differs is changed, and a
//! table that was emptied by mistake does not take every channel off the air.
//!
//! It is a function of what both sides hold; reading and writing are the adapter's.

use crate::event::Desired;
use crate::node::{Change, ChannelId, Condition, Record, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// More than one in so many channels is not stopped at once.
pub const MASS: usize = 5;

/// A channel as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<S> {
    /// What it should be. `None` where the database says nothing that can be relayed: then it stays as it
    /// is, but is there.
    pub spec: Option<Arc<S>>,
    /// Whether it should run. `None` where the database says neither: then all of it stays as it is, and a
    /// channel that is not there yet is not added.
    pub desired: Option<Desired>,
}

/// What was read of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<S> {
    /// The channels that were read.
    pub rows: BTreeMap<ChannelId, Row<S>>,
    /// They are all there are: what is not among them has vanished.
    pub complete: bool,
}

/// A change to be made, if nobody is faster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<S> {
    /// Of which channel.
    pub id: ChannelId,
    /// What it should become.
    pub change: Change<S>,
    /// What was known of it: anything else is looked at anew.
    pub condition: Condition,
}

/// What is to be done after a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S> {
    /// By the names of the channels.
    pub steps: Vec<Step<S>>,
    /// So many would stop at once: none of them does.
    pub held_back: Option<MassStop>,
}

/// More channels would stop at once than somebody can have meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stops} of {running} running channels would stop at once, and more than {limit} never do")]
pub struct MassStop {
    /// Would stop.
    pub stops: usize,
    /// Of so many that the database runs.
    pub running: usize,
    /// May.
    pub limit: usize,
}

/// What brings the channels that the store has (`known`) to what was read. Channels that the configuration
/// of a node, or somebody by hand, has put there are taken over where the database names them, and left
/// alone where it does not. What it names no more is stopped, and theirs who ask the API. One channel may always stop; of
/// more, a [`MASS`]th, unless `mass_stop` allows it.
pub fn plan<S: PartialEq>(
    reading: &Reading<S>,
    known: &BTreeMap<ChannelId, Record<S>>,
    mass_stop: bool,
) -> Plan<S> {
    let named = reading.rows.iter();
    let mut steps: Vec<_> = named
        .filter_map(|(id, row)| step_for(id, row, known.get(id)))
        .collect();
    if reading.complete {
        steps.extend(vanished(reading, known));
        steps.sort_by(|one, other| one.id.cmp(&other.id));
    }
    let runs =
        |record: &&Record<S>| record.writer == Writer::Feed && record.desired == Desired::Run;
    let running = known.values().filter(runs).count();
    let is_stop = |step: &Step<S>| known.get(&step.id).is_some_and(|it| runs(&it)) && stops(step);
    let stops = steps.iter().filter(|step| is_stop(step)).count();
    let limit = (running / MASS).max(1);
    let held_back = (stops > limit && !mass_stop).then_some(MassStop {
        stops,
        running,
        limit,
    });
    if held_back.is_some() {
        // A table that was emptied by mistake says nothing of those that are stopped either.
        steps.retain(|step| !is_stop(step) && !matches!(step.change, Change::Abandon));
    }
    Plan { steps, held_back }
}

fn step_for<S: PartialEq>(
    id: &ChannelId,
    row: &Row<S>,
    known: Option<&Record<S>>,
) -> Option<Step<S>> {
    let ours = known.filter(|it| it.writer == Writer::Feed);
    let desired = row.desired?;
    let change = match (&row.spec, ours) {
        (Some(spec), Some(known)) if known.spec == *spec && known.desired == desired => {
            return None;
        }
        (Some(spec), _) => Change::Put {
            spec: spec.clone(),
            desired: Some(desired),
        },
        // What it should be cannot be understood; whether it should run can.
        (None, Some(known)) if known.desired != desired => Change::Desire(desired),
        (None, _) => return None,
    };
    let (id, condition) = (id.clone(), condition(known));
    Some(Step {
        id,
        change,
        condition,
    })
}

fn vanished<S>(
    reading: &Reading<S>,
    known: &BTreeMap<ChannelId, Record<S>>,
) -> impl Iterator<Item = Step<S>> {
    let gone = known
        .iter()
        .filter(|(id, record)| record.writer == Writer::Feed && !reading.rows.contains_key(*id));
    gone.map(|(id, record)| Step {
        id: id.clone(),
        change: Change::Abandon,
        condition: condition(Some(record)),
    })
}

fn condition<S>(known: Option<&Record<S>>) -> Condition {
    known.map_or(Condition::Absent, |it| Condition::Unchanged(it.revision))
}

fn stops<S>(step: &Step<S>) -> bool {
    match &step.change {
        Change::Put { desired, .. } => *desired == Some(Desired::Stop),
        Change::Desire(desired) => *desired == Desired::Stop,
        Change::Abandon | Change::Remove => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Applied, apply};
    use proptest::prelude::*;

    fn id(number: usize) -> ChannelId {
        ChannelId::new(&format!("channel-{number:03}")).unwrap()
    }

    fn row(spec: u8, desired: Desired) -> Row<u8> {
        let spec = Some(Arc::new(spec));
        let desired = Some(desired);
        Row { spec, desired }
    }

    fn complete(rows: impl IntoIterator<Item = (ChannelId, Row<u8>)>) -> Reading<u8> {
        let rows = rows.into_iter().collect();
        Reading {
            rows,
            complete: true,
        }
    }

    /// So many channels of the database, all of them running.
    fn running(count: usize) -> BTreeMap<ChannelId, Record<u8>> {
        let record = |number: usize| Record {
            revision: number as u64 + 1,
            desired: Desired::Run,
            writer: Writer::Feed,
            spec: Arc::new(0),
        };
        (0..count).map(|it| (id(it), record(it))).collect()
    }

    fn without(count: usize, gone: usize) -> Reading<u8> {
        complete((gone..count).map(|it| (id(it), row(0, Desired::Run))))
    }

    #[test]
    fn a_fifth_may_vanish_and_more_may_not() {
        for (count, gone, held_back) in [
            (10, 2, false),
            (10, 3, true),
            (10, 10, true),
            (3, 1, false),
            (3, 2, true),
            (1, 1, false),
        ] {
            let plan = plan(&without(count, gone), &running(count), false);
            assert_eq!(plan.held_back.is_some(), held_back, "{gone} of {count}");
            let expected = if held_back { 0 } else { gone };
            assert_eq!(plan.steps.len(), expected, "{gone} of {count}");
            let allowed = super::plan(&without(count, gone), &running(count), true);
            assert_eq!((allowed.held_back, allowed.steps.len()), (None, gone));
        }
    }

    #[test]
    fn what_is_held_back_holds_up_nothing_else() {
        let mut reading = without(10, 5);
        reading.rows.insert(id(7), row(1, Desired::Run));
        reading.rows.insert(id(20), row(0, Desired::Run));
        let plan = plan(&reading, &running(10), false);
        assert!(plan.held_back.is_some());
        let changed: Vec<_> = plan.steps.iter().map(|it| it.id.clone()).collect();
        assert_eq!(changed, [id(7), id(20)]);
    }

    #[test]
    fn one_that_is_stopped_is_abandoned_with_its_row_unless_too_many_have_gone() {
        let mut known = running(10);
        known.get_mut(&id(0)).unwrap().desired = Desired::Stop;
        let abandoned = Step {
            id: id(0),
            change: Change::Abandon,
            condition: Condition::Unchanged(1),
        };
        let one = plan(&without(10, 1), &known, false);
        assert_eq!((one.steps, one.held_back), (vec![abandoned], None));
        let many = plan(&without(10, 5), &known, false);
        assert_eq!(many.steps, []);
    }

    #[test]
    fn a_reading_of_what_is_new_says_nothing_of_the_rest() {
        let reading = Reading {
            complete: false,
            ..without(10, 9)
        };
        assert_eq!(plan(&reading, &running(10), false).steps, []);
    }

    #[test]
    fn what_cannot_be_understood_stays_as_it_is_but_may_be_stopped() {
        let unread = |desired| Row {
            spec: None,
            desired,
        };
        let rows = [None, Some(Desired::Stop), Some(Desired::Run)].map(unread);
        let rows = rows.into_iter().enumerate();
        let rows = rows.map(|(number, row)| (id(number), row));
        let mut known = running(3);
        known.get_mut(&id(0)).unwrap().desired = Desired::Stop;
        let plan = plan(&complete(rows), &known, false);
        let stop = Step {
            id: id(1),
            change: Change::Desire(Desired::Stop),
            condition: Condition::Unchanged(2),
        };
        assert_eq!(plan.steps, [stop]);
    }

    #[test]
    fn a_wish_that_cannot_be_understood_adds_and_changes_no_channel() {
        let row = Row {
            spec: Some(Arc::new(7)),
            desired: None,
        };
        let mut known = running(2);
        known.get_mut(&id(1)).unwrap().writer = Writer::Api;
        let rows = (0..3).map(|it| (id(it), row.clone()));
        assert_eq!(plan(&complete(rows), &known, true).steps, []);
    }

    #[test]
    fn channels_of_others_are_left_alone_until_the_database_names_them() {
        let mut known = running(2);
        for record in known.values_mut() {
            record.writer = Writer::Api;
        }
        let plan = plan(&complete([(id(0), row(0, Desired::Run))]), &known, false);
        let taken: Vec<_> = plan.steps.iter().map(|it| &it.id).collect();
        assert_eq!(taken, [&id(0)]);
    }

    fn some_row() -> impl Strategy<Value = Row<u8>> {
        let desired = prop_oneof![Just(Desired::Run), Just(Desired::Stop)];
        let desired = proptest::option::weighted(0.9, desired);
        let spec = proptest::option::weighted(0.9, (0..3_u8).prop_map(Arc::new));
        (spec, desired).prop_map(|(spec, desired)| Row { spec, desired })
    }

    fn some_record() -> impl Strategy<Value = Record<u8>> {
        let writer = prop_oneof![Just(Writer::Feed), Just(Writer::Api), Just(Writer::Config)];
        (some_row(), writer, 1..99_u64).prop_map(|(row, writer, revision)| Record {
            revision,
            desired: row.desired.unwrap_or(Desired::Run),
            writer,
            spec: row.spec.unwrap_or_default(),
        })
    }

    proptest! {
        /// Every step is one that the store takes, and after them there is nothing left to do.
        #[test]
        fn one_reading_is_enough(
            rows in proptest::collection::btree_map((0..12_usize).prop_map(id), some_row(), 0..12),
            mut known in proptest::collection::btree_map((0..12_usize).prop_map(id), some_record(), 0..12),
            complete: bool,
        ) {
            let reading = Reading { rows, complete };
            for Step { id, change, condition } in plan(&reading, &known, true).steps {
                let applied = apply(known.get(&id), Writer::Feed, change, condition, 100);
                let Ok(Applied::Written(record)) = applied else {
                    panic!("{id}: {applied:?}");
                };
                known.insert(id, record);
            }
            prop_assert_eq!(plan(&reading, &known, false).steps, []);
            for (id, row) in &reading.rows {
                if let Some(record) = known.get(id).filter(|it| it.writer == Writer::Feed) {
                    prop_assert!(row.desired.is_none_or(|it| it == record.desired));
                }
            }
        }
    }
}
