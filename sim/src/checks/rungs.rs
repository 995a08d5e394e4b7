//! The rungs of a ladder: in every version all of them have the same numbers, times and breaks, what each lists
//! is made of the same media, viewers are led to what is there, and work on them ends in time.

use super::ledger::Ledger;
use super::{Held, broken};
use crate::published::{Listed, Multivariant, Version};
use hls_relay_core::checkpoint::{Checkpoint, SavedEntry, SavedRungTrack};
use hls_relay_core::command::Command;
use hls_relay_core::config::START_SEGMENTS;
use hls_relay_core::event::Event;
use hls_relay_core::ids::{PlaylistName, RequestId};
use hls_relay_core::ladder::{Ladder, RungAudio, SOURCE_NAME};
use hls_relay_core::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All that viewers are led to, by name: each is like the source that they are made of, but for what it lacks.
pub fn aligned(
    ledger: &Ledger,
    entry: Option<&Multivariant>,
    source: &Version,
    rungs: &[(&str, &Version)],
) -> Held {
    for name in entry.iter().flat_map(|entry| entry.names()) {
        if rungs.iter().all(|(rung, _)| **rung != *name.0) {
            return broken(
                "S-01 every playlist that is named can be loaded",
                name.0.to_string(),
                "not there",
            );
        }
    }
    let (first_name, first) = ("what is made into rungs", source);
    for (name, other) in rungs {
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

/// To what viewers are led: a rung of the ladder once it is there up to the live edge, from then on for as long as
/// the ladder has it, and nothing else.
#[derive(Debug, Default)]
pub struct OfferChecks {
    offered: BTreeSet<Arc<str>>,
}

impl OfferChecks {
    /// A process goes on from there.
    pub fn of(checkpoint: Option<&Checkpoint>) -> Self {
        let saved = checkpoint.filter(|it| it.rungs.is_some());
        let offered = saved.map_or_else(BTreeSet::new, names);
        Self { offered }
    }

    /// Nothing is visible any more.
    pub fn withdrawn(&mut self) {
        self.offered.clear();
    }

    /// A version is to become visible while that ladder is wanted.
    pub fn publish(
        &mut self,
        checkpoint: &Checkpoint,
        lists: &[(PlaylistName, Arc<Version>)],
        ladder: Option<&Ladder>,
    ) -> Held {
        let (Some(rungs), Some(track)) = (&checkpoint.rungs, checkpoint.tracks.first()) else {
            return Ok(());
        };
        for rung in rungs {
            is_saved_as_listed(rung, &track.window, lists)?;
        }
        let wanted = wanted(rungs, ladder);
        let is_offered = |it: &&SavedRungTrack| self.offered.contains(&it.key);
        let newest = |it: &&SavedRungTrack| has_newest(it, &track.window);
        let beside = wanted.iter().any(|it| is_offered(it) || newest(it));
        let enters = |it: &&SavedRungTrack| {
            let had = track.window.iter().filter(|entry| has(it, entry)).count();
            match (checkpoint.ended, beside) {
                (true, _) => had > 0,
                (false, true) => newest(it),
                (false, false) => had >= START_SEGMENTS,
            }
        };
        let right = wanted.iter().filter(|it| is_offered(it) || enters(it));
        let right: BTreeSet<_> = right.map(|it| Arc::clone(&it.key)).collect();
        let offered = names(checkpoint);
        // Where there is nothing to be played viewers keep what they had.
        if right.is_empty() || offered == right {
            self.offered = right;
            return Ok(());
        }
        broken(
            "a rung is offered once its newest segments are there, and until its ladder lacks it",
            format!("{right:?}"),
            format!("{offered:?}"),
        )
    }
}

/// What viewers open leads to these.
fn names(checkpoint: &Checkpoint) -> BTreeSet<Arc<str>> {
    let uris = checkpoint.entry.iter().flat_map(|it| it.lines());
    let names = uris.filter_map(|it| it.strip_suffix(".m3u8"));
    names.map(Arc::from).collect()
}

/// Of several that are called the same the first is that of the ladder; the others leave.
fn wanted<'a>(rungs: &'a [SavedRungTrack], ladder: Option<&Ladder>) -> Vec<&'a SavedRungTrack> {
    let source = ladder.is_none_or(|it| it.passthrough);
    let source = source.then_some((SOURCE_NAME, None, RungAudio::Copy));
    let audio = ladder.map_or(RungAudio::Copy, |it| it.audio);
    let made = ladder.iter().flat_map(|it| &it.rungs);
    let made = made.map(|it| (&*it.name, Some(it.height), audio));
    let known = |(name, height, audio): (&str, Option<u32>, RungAudio)| {
        let is =
            |it: &&SavedRungTrack| *it.name == *name && (it.height, it.audio) == (height, audio);
        rungs.iter().find(is)
    };
    source.into_iter().chain(made).filter_map(known).collect()
}

fn has(rung: &SavedRungTrack, entry: &SavedEntry) -> bool {
    match rung.height {
        None => entry.stored.is_some() && !entry.hidden,
        Some(_) => entry.rungs.iter().any(|it| it.name == rung.key),
    }
}

/// The newest segments of the source, as many as a player begins with.
fn has_newest(rung: &SavedRungTrack, window: &[SavedEntry]) -> bool {
    let segments = window.iter().rev().filter(|it| it.stored.is_some());
    let newest: Vec<_> = segments.take(START_SEGMENTS).collect();
    newest.len() == START_SEGMENTS && newest.into_iter().all(|it| has(rung, it))
}

/// S-70: a successor knows of each rung what viewers see of it.
fn is_saved_as_listed(
    rung: &SavedRungTrack,
    window: &[SavedEntry],
    lists: &[(PlaylistName, Arc<Version>)],
) -> Held {
    let is = |(name, _): &&(PlaylistName, _)| name.0.strip_suffix(".m3u8") == Some(&rung.key);
    let Some((name, list)) = lists.iter().find(is) else {
        return Ok(());
    };
    let listed: Vec<bool> = list.segments.iter().map(|it| !it.gap).collect();
    let saved: Vec<bool> = window.iter().map(|it| has(rung, it)).collect();
    // How many there are is a matter of alignment.
    if listed.len() != saved.len() || listed == saved {
        return Ok(());
    }
    broken(
        "S-70 the checkpoint says what each rung has",
        format!("{}: {listed:?}", name.0),
        format!("{saved:?}"),
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
