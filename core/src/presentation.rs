//! What a multivariant playlist offers, what of it is relayed, and how it is [published](told).

mod told;

use crate::checkpoint::without_secrets;
use crate::config::Selection;
use crate::limits;
use crate::loader::resolve;
use crate::notice::Refusal;
use crate::playlist::{MultivariantPlaylist, Rendition, Resolution, Variables, Variant};
use crate::track::{Kind, Medium, codec_families};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

pub(crate) use told::Relayed;

/// A multivariant playlist and the tracks that are wanted of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Presentation {
    list: MultivariantPlaylist,
    base: Arc<str>,
    /// Each media playlist once, however many entries lead to it; those of variants first.
    pub(crate) tracks: Vec<Wanted>,
    variants: Vec<Entry>,
    renditions: Vec<Entry>,
    i_frame_variants: Vec<Entry>,
}

/// A media playlist that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) medium: Medium,
    /// Where it is found: the first is wanted, the others are the same media from elsewhere, in order.
    pub(crate) urls: Vec<Arc<str>>,
}

/// What becomes of an entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    /// It leads to this one of the tracks.
    Track(usize),
    /// It has no media playlist of its own.
    Within,
    /// It is not relayed.
    LeftOut,
}

impl Presentation {
    /// Takes what is selected of a list that came from `base`.
    ///
    /// # Errors
    /// Where nothing is left to be relayed.
    pub(crate) fn new(
        base: &Url,
        list: MultivariantPlaylist,
        selection: &Selection,
    ) -> Result<Self, Refusal> {
        let mut presentation = Self {
            base: base.as_str().into(),
            tracks: Vec::new(),
            variants: Vec::new(),
            renditions: Vec::new(),
            i_frame_variants: Vec::new(),
            list: MultivariantPlaylist::default(),
        };
        for (index, variant) in list.variants.iter().enumerate() {
            let entry = presentation.variant(base, &list, index, variant, selection);
            presentation.variants.push(entry);
        }
        if presentation.tracks.is_empty() {
            return Err(Refusal::NothingSelected);
        }
        for rendition in &list.renditions {
            let entry = presentation.rendition(base, &list, rendition, selection);
            presentation.renditions.push(entry);
        }
        for rendition in 0..list.renditions.len() {
            presentation.rendition_elsewhere(base, &list, rendition);
        }
        for variant in &list.i_frame_variants {
            let wanted = selection.takes_height(variant.resolution.map(|it| it.height));
            let (bandwidth, codecs) = (variant.bandwidth, &variant.codecs);
            let medium = of_pictures(Kind::IFrames, bandwidth, variant.resolution, codecs);
            let entry = match wanted && selection.takes_codecs(codecs.as_deref()) {
                true => presentation.lead_to(base, &variant.uri, medium),
                false => Entry::LeftOut,
            };
            presentation.i_frame_variants.push(entry);
        }
        presentation.list = list;
        Ok(presentation)
    }

    fn variant(
        &mut self,
        base: &Url,
        list: &MultivariantPlaylist,
        index: usize,
        variant: &Variant,
        selection: &Selection,
    ) -> Entry {
        if !selection.takes(variant) {
            return Entry::LeftOut;
        }
        let first = list.first_alike(index);
        let before = self.variants.get(first).copied();
        if let (Some(Entry::Track(track)), Ok(url)) = (before, resolve(base, &variant.uri)) {
            let (url, urls) = (Arc::from(String::from(url)), &mut self.tracks[track].urls);
            if !urls.contains(&url) {
                urls.push(url);
            }
            return Entry::LeftOut;
        }
        let (bandwidth, codecs) = (variant.bandwidth, &variant.codecs);
        let medium = of_pictures(Kind::Variant, bandwidth, variant.resolution, codecs);
        self.lead_to(base, &variant.uri, medium)
    }

    fn rendition(
        &mut self,
        base: &Url,
        list: &MultivariantPlaylist,
        rendition: &Rendition,
        selection: &Selection,
    ) -> Entry {
        let variants = list.variants.iter().zip(&self.variants);
        let mut relayed = variants.filter(|(_, entry)| **entry != Entry::LeftOut);
        let used = relayed
            .any(|(variant, _)| group_of(variant, &rendition.kind) == Some(&*rendition.group_id));
        if !used || !takes_rendition(list, rendition, selection) {
            return Entry::LeftOut;
        }
        match &rendition.uri {
            None => Entry::Within,
            Some(uri) => self.lead_to(base, uri, of_rendition(rendition)),
        }
    }

    /// A rendition of a group that stands beside variants which are the same media from another place: it is the same
    /// one from elsewhere, too.
    fn rendition_elsewhere(&mut self, base: &Url, list: &MultivariantPlaylist, index: usize) {
        let rendition = &list.renditions[index];
        let Some(uri) = rendition
            .uri
            .as_ref()
            .filter(|_| self.renditions[index] == Entry::LeftOut)
        else {
            return;
        };
        let relayed = |variant: usize| self.variants[variant] != Entry::LeftOut;
        let alike = list.rendition_alike(rendition, relayed);
        let Some(Entry::Track(track)) = alike.map(|it| self.renditions[it]) else {
            return;
        };
        if let Ok(url) = resolve(base, uri) {
            let (url, urls) = (Arc::from(String::from(url)), &mut self.tracks[track].urls);
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }

    /// Of its variants the best alone, by bit rate and then by size, as a ladder is made of it.
    ///
    /// # Errors
    /// Where its sound is beside its pictures.
    pub(crate) fn best(mut self) -> Result<Self, Refusal> {
        let size = |variant: &Variant| variant.resolution.map_or(0, |it| it.height);
        let offered = self.list.variants.iter().zip(&self.variants);
        let tracks = offered.filter_map(|(variant, entry)| match entry {
            Entry::Track(track) => Some((variant, *track)),
            Entry::Within | Entry::LeftOut => None,
        });
        let by_worth = |(variant, track): &(&Variant, usize)| {
            let worth = (variant.bandwidth, size(variant));
            (worth, std::cmp::Reverse(*track))
        };
        let Some((variant, best)) = tracks.max_by_key(by_worth) else {
            return Err(Refusal::NothingSelected);
        };
        let group = variant.audio.as_deref();
        let of_group = |it: &&Rendition| &*it.kind == "AUDIO" && Some(&*it.group_id) == group;
        let mut sounds = self.list.renditions.iter().filter(of_group).peekable();
        if sounds.peek().is_some() && sounds.all(|it| it.uri.is_some()) {
            return Err(Refusal::Ladder);
        }
        self.tracks = vec![self.tracks.swap_remove(best)];
        for entry in &mut self.variants {
            *entry = match *entry == Entry::Track(best) {
                true => Entry::Track(0),
                false => Entry::LeftOut,
            };
        }
        let beside = self.renditions.iter_mut().chain(&mut self.i_frame_variants);
        beside.for_each(|it| *it = Entry::LeftOut);
        Ok(self)
    }

    /// The track at that URL, a new one where there is none.
    fn lead_to(&mut self, base: &Url, uri: &str, medium: Medium) -> Entry {
        let Ok(url) = resolve(base, uri) else {
            return Entry::LeftOut;
        };
        let url: Arc<str> = String::from(url).into();
        if let Some(known) = self.tracks.iter().position(|it| it.urls.contains(&url)) {
            return Entry::Track(known);
        }
        if self.tracks.len() >= limits::MAX_TRACKS {
            return Entry::LeftOut;
        }
        let medium = Medium {
            url: without_secrets(&url),
            ..medium
        };
        let urls = vec![url];
        self.tracks.push(Wanted { medium, urls });
        Entry::Track(self.tracks.len() - 1)
    }

    /// What its media playlists may import (C-38).
    pub(crate) fn variables(&self) -> &Variables {
        &self.list.variables
    }

    /// How many entries lead to tracks: of variants, and of renditions.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let taken = |entries: &[Entry]| {
            let taken = entries.iter().filter(|entry| **entry != Entry::LeftOut);
            taken.count()
        };
        (taken(&self.variants), taken(&self.renditions))
    }

    /// What it says for all its media playlists, these must not say again (C-55).
    pub(crate) fn start(&self) -> Option<&Arc<str>> {
        let mut lines = self.list.lines.iter();
        lines.find(|line| line.starts_with("#EXT-X-START:"))
    }

    /// Whether the list does not say what this track is made of: of an entry that leads to it, or of a
    /// variant with which it is played.
    pub(crate) fn is_silent_about(&self, track: usize) -> bool {
        let leads = |entry: &Entry| *entry == Entry::Track(track);
        let variants = || self.list.variants.iter().zip(&self.variants);
        let i_frames = self
            .list
            .i_frame_variants
            .iter()
            .zip(&self.i_frame_variants);
        let mut own = variants()
            .map(|(it, entry)| (it.codecs.is_none() || it.resolution.is_none(), entry))
            .chain(
                i_frames.map(|(it, entry)| (it.codecs.is_none() || it.resolution.is_none(), entry)),
            );
        let renditions = self.list.renditions.iter().zip(&self.renditions);
        let mut played = renditions.filter(|(_, entry)| leads(entry)).map(|(it, _)| {
            variants().any(|(variant, entry)| {
                let silent = variant.codecs.is_none() && *entry != Entry::LeftOut;
                silent && group_of(variant, &it.kind) == Some(&*it.group_id)
            })
        });
        own.any(|(silent, entry)| silent && leads(entry)) || played.any(|silent| silent)
    }
}

/// Whether a rendition is in one of the languages that are wanted. Sound is relayed all the same where none of its
/// group is: nobody wants pictures without any. Closed captions are in the pictures, whatever is wanted.
fn takes_rendition(
    list: &MultivariantPlaylist,
    rendition: &Rendition,
    selection: &Selection,
) -> bool {
    let takes = |it: &Rendition| selection.takes_language(it.language.as_deref());
    let is_alternative =
        |it: &&Rendition| it.kind == rendition.kind && it.group_id == rendition.group_id;
    let mut group = list.renditions.iter().filter(is_alternative);
    match &*rendition.kind {
        "CLOSED-CAPTIONS" => true,
        "AUDIO" => takes(rendition) || !group.any(takes),
        _ => takes(rendition),
    }
}

fn group_of<'a>(variant: &'a Variant, kind: &str) -> Option<&'a str> {
    match kind {
        "AUDIO" => variant.audio.as_deref(),
        "VIDEO" => variant.video.as_deref(),
        "SUBTITLES" => variant.subtitles.as_deref(),
        "CLOSED-CAPTIONS" => variant.closed_captions.as_deref(),
        _ => None,
    }
}

/// Of a variant, or of an I-frame playlist.
fn of_pictures(
    kind: Kind,
    bandwidth: u64,
    resolution: Option<Resolution>,
    codecs: &Option<Arc<str>>,
) -> Medium {
    Medium {
        kind,
        url: "".into(),
        bandwidth,
        height: resolution.map(|it| it.height),
        codecs: codec_families(codecs.as_deref().unwrap_or("")),
        group: None,
        language: None,
        name: "".into(),
    }
}

fn of_rendition(rendition: &Rendition) -> Medium {
    let kind = match &*rendition.kind {
        "AUDIO" => Kind::Audio,
        "VIDEO" => Kind::Video,
        _ => Kind::Subtitles,
    };
    Medium {
        kind,
        url: "".into(),
        bandwidth: 0,
        height: None,
        codecs: "".into(),
        group: Some(Arc::clone(&rendition.group_id)),
        language: rendition.language.clone(),
        name: Arc::clone(&rendition.name),
    }
}
