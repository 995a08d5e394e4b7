//! A night that is kept as a test: its journal replays, and what it shows to viewers keeps the rules of playlists.
//!
//! Of a real night it is not known what its sources really had, so only what a player could see is judged: each version,
//! and each against the one before (S-01 to S-08, S-15, S-17, S-21, S-23, S-24), as it became visible.

use crate::checks::Violation;
use crate::checks::list::ListChecks;
use crate::published::{self, Shown};
use crate::replay::{Follows, Replayer, Seen};
use hls_relay_core::command::{Command, Publish};
use hls_relay_core::event::Event;
use hls_relay_core::ids::{PlaylistName, RequestId};
use hls_relay_core::journal::{self, Line, Machine, Record, digest_of};
use hls_relay_core::relay::Relay;
use hls_relay_core::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What of a night was seen to be as it should.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Steps replayed.
    pub steps: u64,
    /// Versions that became visible, each playlist counted.
    pub versions: u64,
    /// What the operator was told, in order.
    pub told: Vec<String>,
}

/// Replays a journal of a channel and judges what it shows.
///
/// # Errors
/// Where it does not replay, and the first rule that is broken, in words.
pub fn journal(text: &str) -> Result<Kept, String> {
    let mut viewers = Viewers::default();
    let mut broken = None;
    let mut replayer = Replayer::<Relay>::default();
    let mut see = |seen: Seen<'_, Relay>| {
        let judged = match seen {
            Seen::Head { follows, .. } => {
                viewers.begins(follows);
                Ok(())
            }
            Seen::Step(record, commands) => viewers.step(record, commands),
            Seen::Broke(_) | Seen::Torn { .. } => Ok(()),
        };
        match judged {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                broken = Some(why);
                ControlFlow::Break(())
            }
        }
    };
    let parted = replayer.piece(text.as_bytes(), &mut see);
    if let Some(why) = broken {
        return Err(why);
    }
    let _ = parted.map_err(|why| why.to_string())?;
    Ok(Kept {
        steps: replayer.steps(),
        versions: viewers.versions,
        told: viewers.told,
    })
}

/// The same night as the present machine lives through it: what came in stays, and what the machine wants is written
/// down anew. A completion of what it does not ask for any more is nobody's, as it would be in life.
///
/// # Errors
/// A line that is none of a journal.
pub fn renewed(text: &str) -> Result<String, String> {
    let mut machine: Option<(Relay, u64)> = None;
    let mut renewed = String::new();
    for line in text.split_inclusive('\n').filter(|it| it.ends_with('\n')) {
        match journal::decode::<Relay>(line).map_err(|why| why.to_string())? {
            Line::Head(head) => {
                let goes_on = |it: &(Relay, u64)| head.seq != 0 && head.seq == it.1;
                let before = machine.take().filter(goes_on);
                let (relay, seq) = before.unwrap_or((head.snapshot, head.seq));
                renewed.push_str(&journal::encode_head(&head.name, seq, &relay));
                machine = Some((relay, seq));
            }
            Line::Record(record) => {
                let Some((relay, seq)) = &mut machine else {
                    return Err("a step before any snapshot".to_owned());
                };
                let mut commands = Vec::new();
                relay.take(record.now, record.event.clone(), &mut commands);
                *seq = record.seq.saturating_add(1);
                let digest = Some(digest_of(&commands));
                renewed.push_str(&journal::encode_record(&Record { digest, ..record }));
            }
        }
    }
    Ok(renewed)
}

/// What viewers of a recorded channel see, and its operator is told.
#[derive(Default)]
struct Viewers {
    lists: BTreeMap<PlaylistName, ListChecks>,
    /// What is on its way to them.
    under_way: Option<(RequestId, Shown)>,
    numbered: u64,
    versions: u64,
    told: Vec<String>,
}

impl Viewers {
    /// Where steps are missing, or a process begins, nobody knows what was shown in between.
    fn begins(&mut self, follows: Follows) {
        match follows {
            Follows::GoesOn => {}
            Follows::Missing(_) | Follows::Anew => {
                self.under_way = None;
                self.lists.clear();
            }
        }
    }

    fn step(&mut self, record: &Record, commands: &[Command]) -> Result<(), String> {
        let at = record.now.monotonic;
        if let Event::Published { request, outcome } = &record.event
            && let Some((_, shown)) = self.under_way.take_if(|it| it.0 == *request)
        {
            match outcome {
                Ok(()) => self.visible(at, shown)?,
                Err(_) => self.lists.values_mut().for_each(|list| {
                    list.excuses.unpublished = true;
                }),
            }
        }
        for command in commands {
            if let Command::Notify(notice) = command {
                self.told.push(notice.to_string());
            }
            if let Command::Publish(publish) = command {
                let shown = self.read(at, publish)?;
                self.under_way = Some((publish.request, shown));
            }
        }
        Ok(())
    }

    fn read(&mut self, at: Timestamp, publish: &Publish) -> Result<Shown, String> {
        self.numbered += 1;
        let bad = |why: String, text: &str| {
            format!("S-01 every version is a good playlist: {why}\n{text}")
        };
        let (mut lists, mut entry) = (Vec::new(), None);
        for it in &publish.playlists {
            if it.text.contains("#EXT-X-STREAM-INF:") {
                let read = published::parse_multivariant(&it.text);
                entry = Some(Arc::new(read.map_err(|why| bad(why, &it.text))?));
                continue;
            }
            let list = self.lists.entry(it.name.clone()).or_default();
            let before = list.last().map(Arc::as_ref);
            let version = published::parse(self.numbered, at, &it.text, before);
            let version = version.map_err(|why| bad(why, &it.text))?;
            lists.push((it.name.clone(), Arc::new(version)));
        }
        Ok(Shown { lists, entry })
    }

    fn visible(&mut self, at: Timestamp, shown: Shown) -> Result<(), String> {
        let several = self.lists.len() > 1;
        for (name, version) in shown.lists {
            let list = self.lists.entry(name.clone()).or_default();
            list.excuses.several = several;
            let version = published::Version {
                at,
                ..published::Version::clone(&version)
            };
            let in_words = |broken: Violation| format!("{}: {broken}", name.0);
            list.visible(&Arc::new(version)).map_err(in_words)?;
            self.versions += 1;
        }
        Ok(())
    }
}
