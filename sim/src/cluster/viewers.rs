//! Viewers of a cluster: each follows one channel, whoever has it, as strictly as a player does.

use super::checks::SETTLED_AT;
use super::due::Due;
use super::plan::Wish as Wanted;
use super::world::{World, channel_id};
use crate::checks::{Held, broken};
use crate::player::{Player, Suffered, Wish};
use crate::published::Listed;
use hls_relay_core::ids::ContentHash;
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Who came while nothing was settled has filled his buffer by then.
const FILLED: Span = Span::from_secs(12);

/// One viewer.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    player: Player,
    /// What he has seen: under which number, and when.
    seen: BTreeMap<ContentHash, (u64, Timestamp)>,
    before: Suffered,
}

impl Viewer {
    pub(super) fn suffered(&self) -> Suffered {
        self.player.suffered
    }
}

impl World {
    /// A viewer asks whoever answers for a channel.
    pub(super) fn watch(&mut self, viewer: usize) -> Held {
        let id = channel_id(viewer);
        self.one_shows(&id)?;
        let shown = self
            .showing(&id)
            .next()
            .map(|(_, _, run, list)| (list.clone(), run.objects.clone()));
        let now = self.now;
        let it = &mut self.viewers[viewer];
        let (next, played) = match it.player.wish() {
            Wish::Playlist => {
                let list = shown.as_ref().map(|it| &it.0);
                (it.player.playlist(now, list, |_| None).0, None)
            }
            Wish::Segment(listed) => {
                let object = shown.and_then(|(_, objects)| objects.get(&*listed.uri).cloned());
                match object {
                    Some(object) => {
                        let next = it.player.segment(now, &listed, None).next;
                        (next, (!listed.gap).then_some((listed, object.hash)))
                    }
                    None if listed.gap => (it.player.segment(now, &listed, None).next, None),
                    None => (it.player.missing(now, &listed), None),
                }
            }
        };
        self.queue
            .push(next.max(now + Span::from_millis(1)), Due::Viewer(viewer));
        if let Some((listed, hash)) = played {
            self.sees_once(viewer, &listed, hash)?;
        }
        self.is_undisturbed(viewer)
    }

    /// Nothing comes again under another number, unless a successor could not know what its viewers had seen.
    fn sees_once(&mut self, viewer: usize, listed: &Listed, hash: ContentHash) -> Held {
        let now = self.now;
        let lost_at = self
            .channels
            .get(&channel_id(viewer))
            .and_then(|it| it.state_lost_at);
        let seen = self.viewers[viewer].seen.insert(hash, (listed.number, now));
        let Some((before, at)) = seen.filter(|it| it.0 != listed.number) else {
            return Ok(());
        };
        if lost_at.is_some_and(|lost_at| lost_at >= at) || self.begins_anew(viewer) {
            return Ok(());
        }
        broken(
            "viewers see nothing twice",
            format!(
                "another segment of {} than number {before} had",
                channel_id(viewer)
            ),
            format!("the same as number {}", listed.number),
        )
    }

    /// Another source may show what the one before it did, and a new run what was seen before a stop.
    fn begins_anew(&self, viewer: usize) -> bool {
        let mut changes = self.plan.changes.iter().filter(|it| it.channel == viewer);
        changes.any(|it| !matches!(it.wish, Wanted::Run { source: 0, .. }))
    }

    /// Where nothing goes wrong but Redis, or nodes come, no picture stands still, and where no channel moves, nothing is
    /// missed.
    fn is_undisturbed(&mut self, viewer: usize) -> Held {
        let it = &mut self.viewers[viewer];
        let before = std::mem::replace(&mut it.before, it.player.suffered);
        let suffered = it.player.suffered;
        let calm = self.plan.is_static() || self.plan.faults.is_empty();
        let mut changes = self.plan.changes.iter().filter(|it| it.channel == viewer);
        let unchanged = changes.all(|it| it.at < Span::from_secs(10));
        let id = channel_id(viewer);
        let runs = self.redis.channels().get(&id).is_none_or(|it| it.runs());
        let settled = self.now >= Timestamp::default() + SETTLED_AT + FILLED;
        if !(calm && unchanged && runs && settled && suffered.played > 0) {
            return Ok(());
        }
        let missed = |it: &Suffered| it.jumps + it.lost;
        if suffered.stalls > before.stalls {
            return broken(
                "no picture stands still where channels only move",
                format!("{id} goes on for its viewer"),
                format!("a stall, {suffered:?}"),
            );
        }
        if self.plan.is_static() && missed(&suffered) > missed(&before) {
            return broken(
                "nothing is missed where only Redis is away",
                format!("all of {id} for its viewer"),
                format!("{suffered:?}"),
            );
        }
        Ok(())
    }
}
