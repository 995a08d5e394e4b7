//! The rungs of a ladder: in every version all of them have the same numbers, times and breaks, what each lists
//! is made of the same media, and work on them ends in time.

use super::ledger::Ledger;
use super::{Held, broken};
use crate::published::{Listed, Multivariant, Version};
use hls_relay_core::command::Command;
use hls_relay_core::event::Event;
use hls_relay_core::ids::RequestId;
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// All that viewers are led to, by name: one is like the other but for what it lacks.
pub fn aligned(ledger: &Ledger, entry: Option<&Multivariant>, rungs: &[(&str, &Version)]) -> Held {
    for name in entry.iter().flat_map(|entry| entry.names()) {
        if rungs.iter().all(|(rung, _)| **rung != *name.0) {
            return broken(
                "S-01 every playlist that is named can be loaded",
                name.0.to_string(),
                "not there",
            );
        }
    }
    let Some(((first_name, first), others)) = rungs.split_first() else {
        return Ok(());
    };
    for (name, other) in others {
        let shape = |it: &Version| {
            let numbers = (it.media_sequence, it.discontinuity_sequence);
            (numbers, it.target_duration, it.segments.len(), it.ended)
        };
        if shape(first) != shape(other) {
            return broken(
                "rungs are aligned",
                format!("{first_name}: {:?}", shape(first)),
                format!("{name}: {:?}", shape(other)),
            );
        }
        for (one, other) in first.segments.iter().zip(&other.segments) {
            pair(ledger, (first_name, one), (name, other))?;
        }
    }
    Ok(())
}

fn pair(ledger: &Ledger, (one_name, one): (&str, &Listed), (name, other): (&str, &Listed)) -> Held {
    let times = |it: &Listed| {
        let breaks = (it.discontinuity, it.discontinuity_sequence);
        (it.number, it.duration, it.date_time, breaks)
    };
    if times(one) != times(other) {
        return broken(
            "rungs are aligned segment by segment",
            format!("{one_name}: {:?}", times(one)),
            format!("{name}: {:?}", times(other)),
        );
    }
    if one.gap || other.gap {
        return Ok(());
    }
    let media = |it: &Listed| {
        let (key, media, _) = ledger.media(&it.uri)?;
        Some((key, media.start_tick, media.end_tick()))
    };
    if media(one) == media(other) {
        return Ok(());
    }
    broken(
        "rungs have the times of their source, to the tick",
        format!("{one_name}: {:?}", media(one)),
        format!("{name}: {:?}", media(other)),
    )
}

/// Work on rungs and edges that is under way: each has its time, and nobody waits longer.
#[derive(Debug, Default)]
pub struct MakingChecks {
    until: BTreeMap<RequestId, Timestamp>,
}

impl MakingChecks {
    /// A completion comes in.
    pub fn event(&mut self, event: &Event) {
        if let Event::Transcoded { request, .. } | Event::Preloaded { request, .. } = event {
            self.until.remove(request);
        }
    }

    /// What a step wants; wakeups may be so late.
    pub fn commands(&mut self, now: Timestamp, commands: &[Command], late: Span) -> Held {
        for command in commands {
            match command {
                Command::Transcode(it) => {
                    let until = now + it.within.min(it.duration);
                    self.until.insert(it.request, until);
                }
                Command::Preload(it) => drop(self.until.insert(it.request, now + it.within)),
                Command::Cancel { request } => drop(self.until.remove(request)),
                Command::LoadPlaylist(_)
                | Command::Download(_)
                | Command::CheckObjects { .. }
                | Command::Publish(_)
                | Command::Delete { .. }
                | Command::Withdraw { .. }
                | Command::SaveCheckpoint { .. }
                | Command::Notify(_) => {}
            }
        }
        // Edges are asked for a part of the time that is left, and may answer within all of it.
        let overdue = self.until.iter().find(|(_, until)| **until + late < now);
        let Some((request, until)) = overdue else {
            return Ok(());
        };
        broken(
            "a segment waits for what is made of it no longer than it lasts",
            format!("{request:?} cancelled in time"),
            format!(
                "still under way after {} ms more",
                now.since(*until).as_millis()
            ),
        )
    }
}
