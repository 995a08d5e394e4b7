//! Somebody who watches a channel: opens what is published, and follows the media playlists that belong to
//! what is played: one, or that of a variant and that of its sound.
//!
//! A player that measures its bandwidth goes over to another variant now and then: when is drawn.

use crate::checks::ledger::MediaKey;
use crate::player::{Player, Suffered, Watched};
use crate::published::{Alternative, Multivariant};
use crate::rng::Stream;
use hls_relay_core::ids::PlaylistName;
use std::collections::BTreeSet;

/// One segment in so many is the last one of its variant for a while.
const SWITCH_ONE_IN: u64 = 12;

/// One viewer.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// What it follows; the picture first.
    pub reels: Vec<Reel>,
    choices: Stream,
    chosen: u64,
}

/// A media playlist that is followed.
#[derive(Clone, Debug)]
pub struct Reel {
    /// Under which name.
    pub name: PlaylistName,
    /// By whom.
    pub player: Player,
    /// What was watched of it since its last break.
    pub watched: Option<Watched>,
    /// What its source has behind the gaps that were stepped over since.
    pub unmade: BTreeSet<MediaKey>,
}

impl Reel {
    fn new(name: PlaylistName) -> Self {
        Self {
            name,
            player: Player::default(),
            watched: None,
            unmade: BTreeSet::new(),
        }
    }
}

impl Viewer {
    /// Somebody who has opened nothing yet; `choices` tells which variant it takes.
    pub fn new(choices: Stream) -> Self {
        Self {
            reels: vec![Reel::new(PlaylistName(PlaylistName::ENTRY.into()))],
            choices,
            chosen: 0,
        }
    }

    /// What it suffered in all.
    pub fn suffered(&self) -> impl Iterator<Item = Suffered> {
        self.reels.iter().map(|reel| reel.player.suffered)
    }

    /// Opens a multivariant playlist, where what it follows is none of that. Whether it did.
    pub fn open(&mut self, entry: &Multivariant) -> bool {
        let known = |name: &PlaylistName| entry.names().any(|it| it == name);
        if self.reels.iter().all(|reel| known(&reel.name)) {
            return false;
        }
        let variant = self.choose(entry.variants.len());
        let variant = &entry.variants[variant];
        let names = [Some(&variant.name), entry.audio_of(variant)];
        let mut views = entry.group_of(variant, Alternative::Video).peekable();
        // One in two would rather see another view, and takes it beside the sound of its variant.
        let other = views.peek().is_some() && self.choose(2) == 0;
        let view = views.next().filter(|_| other).map(|it| &it.name);
        let names = names.into_iter().chain([view]).flatten().cloned();
        self.reels = names.map(Reel::new).collect();
        true
    }

    /// After a segment of the picture: goes over to another variant, if it is time. `aligned`: all have the
    /// same numbers.
    pub fn switch(&mut self, entry: &Multivariant, aligned: bool) {
        self.chosen += 1;
        if self.choices.child(1).below(self.chosen, SWITCH_ONE_IN) != 0 {
            return;
        }
        let variant = self.choose(entry.variants.len());
        let name = &entry.variants[variant].name;
        let picture = &mut self.reels[0];
        if picture.name != *name {
            picture.name = name.clone();
            match aligned {
                true => picture.player.go_over_aligned(),
                false => picture.player.go_over(),
            }
        }
    }

    /// A rung lacks what comes next: the source's own has it, where that is offered. Whether it goes over.
    pub fn fall_back(&mut self, entry: &Multivariant) -> bool {
        let own = entry
            .variants
            .iter()
            .find(|it| &*it.name.0 == "source.m3u8");
        let picture = &mut self.reels[0];
        let Some(own) = own.filter(|it| it.name != picture.name) else {
            return false;
        };
        picture.name = own.name.clone();
        picture.player.go_over_aligned();
        true
    }

    fn choose(&mut self, count: usize) -> usize {
        self.chosen += 1;
        self.choices.below(self.chosen, count as u64) as usize
    }
}
