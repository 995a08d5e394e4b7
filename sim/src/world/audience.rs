//! Viewers: what they ask for, what they see, and whether it is all there was.

use super::{Due, World};
use crate::checks::ledger::{Ledger, MediaKey};
use crate::checks::{Held, broken};
use crate::origin::MediaRef;
use crate::player::{Jump, Loaded, Seam, Stall, Stamps, Watched, Wish};
use crate::published::Listed;
use hls_relay_core::event::Desired;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::time::{Span, Timestamp};
use std::ops::Range;

/// How much later than promised something may be seen: latencies of the network and the store.
pub(super) const SLACK: Span = Span::from_secs(1);
/// From opening a multivariant playlist to the first request for what it leads to.
const OPENS: Span = Span::from_millis(20);
/// No more segments are looked for that another variant may have before the one that it goes on with.
const SKIPPED_AT_MOST: u64 = 256;

impl World {
    /// A viewer asks for what it wants next of one of the playlists that it follows.
    pub(super) fn watch(&mut self, viewer: usize, reel: usize) -> Held {
        let now = self.now;
        if let Some(entry) = self.store.multivariant.as_ref().filter(|_| reel == 0) {
            let followed = self.viewers[viewer].reels.len();
            if self.viewers[viewer].open(entry) {
                let more = followed..self.viewers[viewer].reels.len();
                for reel in std::iter::once(0).chain(more) {
                    self.queue.push(now + OPENS, Due::Player { viewer, reel });
                }
                return Ok(());
            }
        }
        let Some(followed) = self.viewers[viewer].reels.get_mut(reel) else {
            return Ok(());
        };
        let player = &mut followed.player;
        let next = match player.wish() {
            Wish::Playlist => {
                let visible = self.store.playlists.get(&followed.name);
                let ledger = &self.ledger;
                let (next, jump) = player.playlist(now, visible, |it| stamps(ledger, it));
                if let Some(jump) = jump {
                    self.missed((viewer, reel), &jump)?;
                }
                next
            }
            Wish::Segment(listed) if listed.gap => {
                let entry = self.store.multivariant.as_ref().filter(|_| self.has_rungs);
                if entry.is_some_and(|entry| self.viewers[viewer].fall_back(entry)) {
                    now
                } else {
                    self.steps_over((viewer, reel), listed.number)?;
                    let player = &mut self.viewers[viewer].reels[reel].player;
                    player.segment(now, &listed, None).next
                }
            }
            Wish::Segment(listed) => {
                let object = self.store.objects.get(&*listed.uri);
                match object {
                    None if self.keep.promised(&listed.uri, now) => {
                        return broken(
                            "S-09 what was listed can be fetched for its time",
                            format!("{} for viewer {viewer}", listed.uri),
                            "not found",
                        );
                    }
                    // Lost with a process.
                    None => player.missing(now, &listed),
                    Some(object) if self.keep.content(&listed.uri) != Some(*object) => {
                        return broken(
                            "S-65 viewers get what was listed",
                            format!("{} as listed", listed.uri),
                            "other content",
                        );
                    }
                    Some(_) => {
                        let own = stamps(&self.ledger, &listed);
                        let Loaded { next, stall, seam } = player.segment(now, &listed, own);
                        if let Some(stall) = stall {
                            self.stalled((viewer, reel), stall)?;
                        }
                        if let Some(seam) = seam {
                            self.goes_on((viewer, reel), seam)?;
                            self.add_up((viewer, reel), seam)?;
                        }
                        if let Some(entry) = self.store.multivariant.as_ref().filter(|_| reel == 0)
                        {
                            self.viewers[viewer].switch(entry, self.has_rungs);
                            let by = own.map_or(Span::ZERO, |own| self.falls_behind(viewer, own));
                            self.viewers[viewer].reels[0].player.falls_behind(by);
                        }
                        next
                    }
                }
            }
        };
        let next = next.max(now + Span::from_millis(1));
        self.queue.push(next, Due::Player { viewer, reel });
        Ok(())
    }

    /// How much more the variant that a viewer now follows is behind its encoder than the one of which it has played
    /// something last.
    fn falls_behind(&self, viewer: usize, played: Stamps) -> Span {
        let name = &self.viewers[viewer].reels[0].name;
        let listed = self.store.playlists.get(name).map(|it| it.segments.iter());
        let newest = listed.and_then(|it| it.rev().find_map(|it| stamps(&self.ledger, it)));
        let behind = |it: Stamps| {
            let presentation = self.plan.origins[it.timeline.0].presentation.as_ref();
            let track = presentation.and_then(|all| all.tracks.get(usize::from(it.media.0)));
            track.map_or(0, |track| track.behind)
        };
        let more = newest.map_or(0, |it| behind(it).saturating_sub(behind(played)));
        self.target() * more
    }

    /// What is listed stays until every viewer can have had it. Whoever has as much ahead as it takes is
    /// behind by more than a list holds: more was published than can be played in that time, or it stood
    /// still for long. What is gone with a process nobody could have.
    fn missed(&self, (viewer, reel): (usize, usize), jump: &Jump) -> Held {
        let reel = &self.viewers[viewer].reels[reel];
        let list = self.lists.get(&reel.name).filter(|_| jump.had_room);
        let mut skipped = list.into_iter().flat_map(|list| list.listed(&jump.skipped));
        let missed = skipped.find(|it| !it.gap && !self.keep.is_lost(&it.uri));
        let Some(missed) = missed else {
            return Ok(());
        };
        broken(
            "viewers can have what is listed",
            format!(
                "segment {} of {} until viewer {viewer} has looked again",
                missed.number, reel.name.0
            ),
            format!("gone {} ms after it had", jump.looked.as_millis()),
        )
    }

    /// Nothing is seen twice but for another wish, and another variant goes on where the one before was left:
    /// just there, while nothing is wrong. What follows in one playlist is judged as it is listed.
    fn goes_on(&self, (viewer, reel): (usize, usize), seam: Seam) -> Held {
        let Seam { last, now, .. } = seam;
        let half = (now.ends - now.begins) / 2;
        let again = |it: &Stamps| it.ends > now.begins + half && it.asked_for >= now.asked_for;
        let origin = &self.origins[now.timeline.0];
        let seen = seam.furthest.filter(again);
        if let Some(seen) = seen.filter(|_| !Ledger::may_repeat(origin)) {
            return self.sees("nothing that was seen", (viewer, reel), Some(seen), now);
        }
        // Whoever goes over to another variant while the channel goes over to another source meets both at once.
        let switched_at = self.process.as_ref().and_then(|it| it.switches.last());
        let switching = switched_at.is_some_and(|at| self.now.since(at) < self.settling());
        let calm = seam.of_another && !switching && self.calm_for(self.settling());
        let calm = calm && origin.tells_side_by_side();
        let follows = |it: Stamps| it.timeline == now.timeline && it.ends == now.begins;
        if calm && !last.is_some_and(follows) {
            return self.sees("what comes next", (viewer, reel), last, now);
        }
        match last.filter(|it| self.skips((viewer, reel), seam, *it)) {
            Some(_) => self.sees("what the new list has before it", (viewer, reel), last, now),
            None => Ok(()),
        }
    }

    /// Whether something is passed over by going over to another variant, that is not missing in its list and has not
    /// left it.
    fn skips(&self, (viewer, reel): (usize, usize), seam: Seam, last: Stamps) -> bool {
        let (now, name) = (seam.now, &self.viewers[viewer].reels[reel].name);
        if !seam.of_another || seam.at_head || last.timeline != now.timeline {
            return false;
        }
        let before = now.media.1.saturating_sub(SKIPPED_AT_MOST)..now.media.1;
        let between = self.offered(now, before).into_iter();
        let mut between =
            between.filter(|it| last.ends <= it.start_tick && it.end_tick() <= now.begins);
        between.any(|it| {
            let key = MediaKey::of(now.timeline.0, &it);
            let line = self.line_of(name);
            self.ledger.has_come_to(line, key) && !self.ledger.is_missing(line, key)
        })
    }

    /// The list by which it is known what is missing in another one.
    fn line_of<'a>(&'a self, name: &'a PlaylistName) -> &'a PlaylistName {
        match self.has_rungs {
            true => &self.source_list,
            false => name,
        }
    }

    /// A gap is stepped over. Where it is of a rung, there may be media behind it, which nobody has made anything of:
    /// of the same timeline as what was watched, or of another one, with which that is over.
    fn steps_over(&mut self, (viewer, reel): (usize, usize), number: u64) -> Held {
        let Some(&key) = self.behind_rungs.get(&number).filter(|_| self.has_rungs) else {
            return Ok(());
        };
        let watched = self.viewers[viewer].reels[reel].watched;
        if watched.is_some_and(|it| it.last.timeline != (key.origin, key.run)) {
            self.has_seen_all((viewer, reel))?;
            self.viewers[viewer].reels[reel].watched = None;
        }
        self.viewers[viewer].reels[reel].unmade.insert(key);
        Ok(())
    }

    /// Adds a segment to what was watched, with what is missing before it.
    fn add_up(&mut self, (viewer, reel): (usize, usize), seam: Seam) -> Held {
        let now = seam.now;
        let watched = self.viewers[viewer].reels[reel].watched;
        let goes_on = |it: &Watched| {
            let (before, after) = (it.last.media, now.media);
            seam.follows
                && it.last.timeline == now.timeline
                && before.1 < after.1
                && before.0 == after.0
                && it.last.asked_for.is_of_one_life(now.asked_for)
        };
        let unmade = std::mem::take(&mut self.viewers[viewer].reels[reel].unmade);
        let Some(watched) = watched.filter(goes_on) else {
            self.has_seen_all((viewer, reel))?;
            self.viewers[viewer].reels[reel].watched = Some(Watched::from(now));
            return Ok(());
        };
        let mut more = Watched {
            last: now,
            seen: watched.seen + (now.ends - now.begins),
            ..watched
        };
        let name = self.line_of(&self.viewers[viewer].reels[reel].name);
        for it in self.offered(now, watched.last.media.1 + 1..now.media.1) {
            let key = MediaKey::of(now.timeline.0, &it);
            if unmade.contains(&key) || self.ledger.is_missing(name, key) {
                more.missing += it.ticks;
            }
        }
        self.viewers[viewer].reels[reel].watched = Some(more);
        Ok(())
    }

    /// What the encoder has really made, of the timeline of a segment, with these numbers.
    fn offered(&self, of: Stamps, numbers: Range<u64>) -> Vec<MediaRef> {
        if numbers.is_empty() {
            return Vec::new();
        }
        let origin = self.origins[of.timeline.0].track(of.media.0);
        let at = self.now.since(Timestamp::default());
        let all = origin.segments_numbered(&numbers, at).into_iter();
        let media = all.map(|it| it.media);
        media.filter(|it| it.run == of.timeline.1).collect()
    }

    /// offered = seen + missing, in ticks, from the first segment of what was watched to the last.
    pub(super) fn has_seen_all(&self, (viewer, reel): (usize, usize)) -> Held {
        let reel = &self.viewers[viewer].reels[reel];
        let Some(Watched {
            first,
            last,
            seen,
            missing,
        }) = reel.watched
        else {
            return Ok(());
        };
        let offered = self.offered(first, first.media.1..last.media.1 + 1);
        let offered: u64 = offered.iter().map(|it| it.ticks).sum();
        if offered == seen + missing {
            return Ok(());
        }
        broken(
            "viewers see all that is offered, but for what is missing",
            format!(
                "{offered} ticks from {first:?} to {last:?} by viewer {viewer} of {}",
                reel.name.0
            ),
            format!("{seen} seen and {missing} missing"),
        )
    }

    fn sees(
        &self,
        what: &str,
        (viewer, reel): (usize, usize),
        last: Option<Stamps>,
        now: Stamps,
    ) -> Held {
        let name = &self.viewers[viewer].reels[reel].name.0;
        broken(
            "viewers see each second once and in order",
            format!("viewer {viewer} of {name}: {what}, after {last:?}"),
            format!("{now:?}"),
        )
    }

    /// A picture stands still only where something went wrong not long before. After a single outage that
    /// is just the time in which segments are promised to be relayed again: a viewer who has that much
    /// ahead when it begins, and the outage itself, sees nothing of it.
    fn stalled(&self, (viewer, reel): (usize, usize), stall: Stall) -> Held {
        let (since, settling) = (stall.since, self.settling());
        let only = self.fate.troubles.only(since, settling);
        let outage = only.and_then(|it| Some((it.from, it.until + self.target() * it.recovery?)));
        let calm = match (outage, self.fate.troubles.quiet_since(since)) {
            // It looks at the list once in half a target duration.
            (Some((began, relayed)), _) => {
                (since > relayed + self.target().half() + SLACK).then_some(began)
            }
            (None, quiet) => quiet.map(|it| it + settling).filter(|calm| *calm <= since),
        };
        let Some(calm) = calm.filter(|_| self.wish.desired == Desired::Run) else {
            return Ok(());
        };
        // Who lists rungs alone has nothing else to list while the workers are in trouble.
        let workers = &self.plan.workers;
        if !self.lists_source() && workers.in_trouble(since - settling, stall.until) {
            return Ok(());
        }
        // Tracks are looked at at different times, and wait for each other.
        let waits = match self.store.multivariant {
            Some(_) => self.target().scaled(1, 4),
            None => Span::ZERO,
        };
        if stall.until.since(stall.since) <= waits {
            return Ok(());
        }
        // Whatever took from what it had ahead before, a stall or a source that made nothing for a while:
        // it goes on with less, as hls.js does, and then an irregular source alone can stop it.
        let from = Timestamp::default() + calm.since(Timestamp::default() + settling);
        let reel = &self.viewers[viewer].reels[reel];
        let lead = reel.player.lead(from, since);
        // Whoever goes over to another variant looks at its list out of turn, and then not for a while.
        let needed = match self.store.multivariant {
            None => self.target().scaled(5, 2),
            Some(_) => self.target() * 3,
        };
        if lead < needed {
            return Ok(());
        }
        broken(
            "viewers see no stall without a fault",
            format!("viewer {viewer} plays {} on", reel.name.0),
            format!(
                "nothing to play for {} ms from {} ms on",
                stall.until.since(stall.since).as_millis(),
                stall.since.as_micros() / 1_000
            ),
        )
    }
}

/// What a player reads in a segment that it has loaded.
fn stamps(ledger: &Ledger, listed: &Listed) -> Option<Stamps> {
    let (key, media, asked_for) = ledger.media(&listed.uri)?;
    Some(Stamps {
        timeline: (key.origin, key.run),
        media: (key.track, key.number),
        begins: media.start_tick,
        ends: media.end_tick(),
        asked_for,
    })
}
