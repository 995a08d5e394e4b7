//! A version becomes visible: it is read as viewers will read it, and judged with all that is visible beside it.

use super::World;
use crate::checks::list::ListChecks;
use crate::checks::target_duration::{Grounds, needed_by};
use crate::checks::tracks::{self, Made};
use crate::checks::{Held, Violation, broken, rungs};
use crate::origin::{EncoderFault, Fault, FaultKind, Keeps, MORE, Origin};
use crate::published::{self, Listed, Multivariant, Shown, Version};
use hls_relay_core::command::{Publish, PublishedPlaylist};
use hls_relay_core::config::ReloadPolicy;
use hls_relay_core::event::Desired;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::{Span, Timestamp};
use std::sync::Arc;

/// The list of the source's own media beside its rungs.
pub(super) const SOURCE_LIST: &str = "source.m3u8";

/// So many segments are remembered of what rungs are made of: more than a viewer can be behind.
const RUNGS_REMEMBERED: usize = 512;

/// What a store may take for the list that ends, with those under way before it.
const ENDS_WITHIN: Span = Span::from_secs(60);

impl World {
    /// Reads playlists as viewers will, once for all of them.
    pub(super) fn parse(&mut self, publish: &Publish) -> Result<Shown, Violation> {
        self.versions += 1;
        let mut shown = Shown {
            lists: Vec::new(),
            entry: None,
        };
        let bad = |why: String, text: &str| Violation {
            invariant: "S-01 every version is a good playlist".to_owned(),
            expected: "a playlist without a fault".to_owned(),
            got: format!("{why}\n{text}"),
        };
        for PublishedPlaylist { name, text } in &publish.playlists {
            if text.contains("#EXT-X-STREAM-INF:") {
                let entry = published::parse_multivariant(text);
                shown.entry = Some(Arc::new(entry.map_err(|why| bad(why, text))?));
                self.says_as_much(text)?;
                continue;
            }
            let list = self.lists.entry(name.clone()).or_default();
            let before = list.last().map(Arc::as_ref);
            let version = published::parse(self.versions, self.now, text, before);
            let version = version.map_err(|why| bad(why, text))?;
            shown.lists.push((name.clone(), Arc::new(version)));
        }
        Ok(shown)
    }

    /// S-41: what the sources say of the session stands in our multivariant playlist as well.
    fn says_as_much(&self, text: &str) -> Held {
        // A ladder has an entry of its own, also once it is gone.
        let of_ladder = text.contains(SOURCE_LIST);
        let chooses = self.wish.spec.tags != TagPolicy::default();
        let mut sources = self.origins.iter();
        let says_more = |it: &Origin| {
            it.spec()
                .presentation
                .as_ref()
                .is_some_and(|it| it.says_more)
        };
        let all = sources.all(says_more) && !of_ladder && !chooses;
        let mut lost = MORE.iter().filter(|line| all && !text.contains(**line));
        match lost.next() {
            None => Ok(()),
            Some(line) => Err(Violation {
                invariant: "S-41 what is said of the session".to_owned(),
                expected: (*line).to_owned(),
                got: text.to_owned(),
            }),
        }
    }

    /// A version is visible for all viewers from now on.
    pub(super) fn make_visible(&mut self, publish: &Publish, shown: Shown) -> Held {
        self.has_rungs = publish.checkpoint.rungs.is_some();
        let source = source_of_rungs(publish, &shown.lists);
        self.states_its_target_duration(&shown)?;
        if let Some(entry) = shown.entry {
            self.tell_line(&entry_story(&entry));
            self.come_back(&entry, &shown.lists, source.as_ref());
            self.store.multivariant = Some(entry);
        }
        let several = self.store.multivariant.is_some();
        let with = shown.lists.clone();
        let judged = match &source {
            Some(source) => vec![(self.source_list.clone(), Arc::new(source.clone()))],
            None => with.clone(),
        };
        if let Some(process) = &mut self.process {
            process.generations.visible(&judged)?;
        }
        let mut head_lost = false;
        for (name, version) in shown.lists {
            // A rung begins where its source does, whose list comes before it.
            head_lost = self.is_head_lost(&name, &version) || (head_lost && self.is_rung(&name));
            let list = self.lists.entry(name.clone()).or_default();
            list.excuses.head_lost = head_lost;
            let parts = |(other, beside): &(PlaylistName, Arc<Version>)| {
                let stays = list.last().filter(|_| *other != name);
                stays.is_some_and(|stays| tracks::would_part(stays, beside))
            };
            let beside = with.iter().any(parts);
            let excuses = &mut list.excuses;
            (excuses.several, excuses.beside) = (several, beside);
            let version = Arc::new(Version {
                at: self.now,
                ..Version::clone(&version)
            });
            self.list_is_visible(&name, &version)?;
            checkpoint_agrees(publish, &name, &version)?;
            if self.options.story {
                let line = self.ledger.story(&version);
                let named = match &*name.0 {
                    PlaylistName::ENTRY => line,
                    other => format!("{} {line}", other.trim_end_matches(".m3u8")),
                };
                self.tell_line(&named);
            }
            self.store.playlists.insert(name, version);
        }
        if let Some(source) = &source {
            self.source_is_relayed(source)?;
        }
        let playlists = self.store.playlists.iter();
        let entry = self.store.multivariant.as_deref();
        // Nobody is led to a rung that has left.
        let rungs = publish.checkpoint.rungs.is_some();
        let led_to = |name: &PlaylistName| entry.is_none_or(|it| it.names().any(|it| it == name));
        let playlists = playlists.filter(|(name, _)| !rungs || led_to(name));
        let visible: Vec<_> = playlists.map(|(name, it)| (&*name.0, &**it)).collect();
        match &source {
            Some(source) => rungs::aligned(&self.ledger, entry, source, &visible),
            None => {
                let calm = self.calm_for(self.settling()) && self.plan.is_in_step();
                // What has just missed a segment looks again half a target duration later (C-10), and a strict one
                // after a whole one (C-09).
                let reload = match self.wish.spec.reload {
                    ReloadPolicy::LastSegment => self.target().half(),
                    ReloadPolicy::TargetDuration => self.target(),
                };
                let made = |listed: &Listed| self.stands(listed);
                tracks::together(entry, &visible, calm.then_some(reload), made)
            }
        }
    }

    /// Where the media of a listed segment stands in time.
    fn stands(&self, listed: &Listed) -> Option<Made> {
        let (key, media, _) = self.ledger.media(&listed.uri)?;
        let origin = &self.origins[key.origin];
        let (at, breaks) = origin.began(&media)?;
        Some(Made {
            origin: key.origin,
            at,
            breaks,
            told_by_edges: origin.is_told_by_edges() && self.plan.ends.is_empty(),
        })
    }

    /// A list that viewers were not led to for a while has been followed by nobody: what was numbered meanwhile is not
    /// missing in it.
    fn come_back(
        &mut self,
        entry: &Multivariant,
        with: &[(PlaylistName, Arc<Version>)],
        source: Option<&Version>,
    ) {
        for name in entry.names().filter(|it| !self.led_to.contains(it)) {
            if let Some(list) = self.lists.get_mut(name) {
                let with = with.iter().map(|(name, it)| (name, it));
                let others = with.chain(&self.store.playlists);
                let others = others.filter(|(other, _)| *other != name);
                let others = others.map(|(_, it)| it.next_number());
                let source = source.map(|it| it.media_sequence);
                list.excuses.away_until = others.chain(source).max();
                self.ledger.comes_back(name);
            }
        }
        self.led_to = entry.names().cloned().collect();
    }

    /// S-03, for all playlists that become visible together.
    fn states_its_target_duration(&self, shown: &Shown) -> Held {
        let segments = shown.lists.iter().flat_map(|(_, it)| &it.segments);
        let longest = segments.map(|it| it.duration).max().unwrap_or_default();
        let excuses = || self.lists.values().map(|it| it.excuses);
        // Where all is lost nothing was stated before, and what raised it may have gone before it could be shown.
        let lost = excuses().any(|it| it.lost_state);
        let before = self.newest_version().filter(|_| !lost);
        let before = before.map(|it| it.target_duration);
        let unseen = match excuses().any(|it| it.unpublished) || before.is_none() {
            true => needed_by(self.ledger.longest_stored()),
            false => 0,
        };
        let grounds = Grounds {
            before,
            told: &self.told_target_durations,
            needed: needed_by(longest),
            unseen,
        };
        let mut stated = shown.lists.iter().map(|(_, it)| it.target_duration);
        stated.try_for_each(|it| grounds.allow(it))
    }

    fn list_is_visible(&mut self, name: &PlaylistName, version: &Arc<Version>) -> Held {
        let calm = self.calm_for(self.settling());
        let alone = self.has_one_list();
        let list = self.lists.entry(name.clone()).or_default();
        list.excuses.calm = calm;
        list.excuses.window = self
            .wish
            .spec
            .window
            .filter(|_| calm && alone && self.wish.spec.room.is_none());
        list.excuses.unpublished |= self.ledger.numbers_unseen(name);
        list.excuses.asked = self.ledger.asked_for(name, version);
        list.visible(version)?;
        self.edges.visible(self.now, version)?;
        let stopping = self.wish.desired == Desired::Stop;
        self.ends_by_right(name, version)?;
        let version = (name, &**version);
        self.keep.visible(version, &self.store, stopping)?;
        if self.has_rungs {
            // They list what their source does, but for what they lack.
            return Ok(());
        }
        self.ledger
            .visible(self.now, version, &self.origins, &self.wish.spec)
    }

    /// What rungs are made of is accounted for like any other list, whether or not viewers can have it.
    fn source_is_relayed(&mut self, source: &Version) -> Held {
        let list = (&self.source_list, source);
        self.ledger
            .visible(self.now, list, &self.origins, &self.wish.spec)?;
        for listed in source.segments.iter().rev().filter(|it| !it.gap) {
            let Some((key, _, _)) = self.ledger.media(&listed.uri) else {
                continue;
            };
            if self.behind_rungs.insert(listed.number, key).is_some() {
                break;
            }
        }
        while self.behind_rungs.len() > RUNGS_REMEMBERED {
            self.behind_rungs.pop_first();
        }
        Ok(())
    }

    /// Whether a list is that of a rung that is made.
    pub(super) fn is_rung(&self, name: &PlaylistName) -> bool {
        self.has_rungs && *name.0 != *SOURCE_LIST
    }

    /// A list ends where its owner has stopped the channel, or a source has ended (S-14).
    fn ends_by_right(&mut self, name: &PlaylistName, version: &Version) -> Held {
        let at = self.now.since(Timestamp::default());
        let ends = |fault: &Fault| {
            matches!(fault.kind, FaultKind::Encoder(EncoderFault::EndList { .. }))
                && fault.from <= at
        };
        let mut faults = self.plan.origins.iter().flat_map(|origin| &origin.faults);
        let mut sources = self.plan.origins.iter();
        if sources.any(|it| it.keeps == Keeps::Vod) {
            return Ok(());
        }
        if !version.ended {
            // What was under way when it was stopped comes first.
            let stopped = self
                .fate
                .may_end
                .filter(|_| self.wish.desired == Desired::Run);
            if stopped.is_some_and(|since| self.now.since(since) > ENDS_WITHIN) {
                self.fate.may_end = None;
            }
        } else if self.fate.may_end.is_none() && !faults.any(ends) {
            return broken(
                "S-14 a list ends where its owner or its source does",
                format!("{} goes on", name.0),
                "EXT-X-ENDLIST",
            );
        }
        Ok(())
    }

    /// Whether the segment that stood right before this version's first is not there any more.
    fn is_head_lost(&self, name: &PlaylistName, version: &Version) -> bool {
        let number = version.media_sequence.checked_sub(1);
        let last = self.lists.get(name).and_then(ListChecks::last);
        let before = number.and_then(|number| last?.segment(number));
        before.is_some_and(|before| {
            let there = self.store.objects.get(&*before.uri);
            there.copied() != self.keep.content(&before.uri)
        })
    }

    /// Viewers have one media playlist, that of a source which has no other.
    pub(super) fn has_one_list(&self) -> bool {
        self.plan.tracks() == 1 && !self.has_rungs
    }
}

/// The list that rungs have in common: that of the source's own media, or what it would be where that is not listed,
/// by what a successor is told. Nothing where there are no rungs.
fn source_of_rungs(publish: &Publish, lists: &[(PlaylistName, Arc<Version>)]) -> Option<Version> {
    let checkpoint = &publish.checkpoint;
    checkpoint.rungs.as_ref()?;
    let own = lists.iter().find(|(name, _)| *name.0 == *SOURCE_LIST);
    let (_, like) = own.or(lists.first())?;
    let mut source = Version::clone(like);
    let window = &checkpoint.tracks.first()?.window;
    for (listed, saved) in source.segments.iter_mut().zip(window) {
        let (stored, listed) = (saved.stored.as_ref(), Arc::make_mut(listed));
        listed.gap = stored.is_none();
        if let Some(stored) = stored {
            listed.uri = Arc::clone(&stored.object.0);
        }
    }
    Some(source)
}

/// The names that viewers find in what they open.
fn entry_story(entry: &Multivariant) -> String {
    let names: Vec<&str> = entry.names().map(|name| &*name.0).collect();
    format!("multivariant: {}", names.join(" "))
}

/// A successor must find just what viewers see.
fn checkpoint_agrees(publish: &Publish, name: &PlaylistName, version: &Version) -> Held {
    let checkpoint = &publish.checkpoint;
    let of_rungs = checkpoint.rungs.is_some();
    let mut tracks = checkpoint.tracks.iter();
    let Some(track) = tracks.find(|it| of_rungs || it.name == *name) else {
        return broken(
            "S-70 the checkpoint says what viewers see",
            "a track".to_owned(),
            "none".to_owned(),
        );
    };
    let saved = (
        track.media_sequence,
        track.discontinuity_sequence,
        track.window.len(),
        checkpoint.ended || track.still_ended,
        checkpoint.target_duration.as_micros(),
    );
    let seen = (
        version.media_sequence,
        version.discontinuity_sequence,
        version.segments.len(),
        version.ended,
        version.target().as_micros(),
    );
    if saved == seen {
        return Ok(());
    }
    broken(
        "S-70 the checkpoint says what viewers see",
        format!("{seen:?}"),
        format!("{saved:?}"),
    )
}
