//! A multivariant playlist as it is published: what its source says, led to what is relayed.

use super::{Entry, Presentation, group_of};
use crate::config::KeyPolicy;
use crate::downloader::is_replaced;
use crate::formats::Formats;
use crate::ids::PlaylistName;
use crate::playlist::{
    Changes, Edit, Key, LadderVariant, MeasuredBandwidth, MultivariantEdits, Resolution,
    SessionTag, Variant, ladder_lines, render_multivariant, start_of,
};
use crate::tags::TagPolicy;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// How a track is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relayed {
    pub(crate) name: PlaylistName,
    pub(crate) bandwidth: Option<MeasuredBandwidth>,
    /// That was measured for so long that its source is not believed to have more.
    pub(crate) known_well: bool,
    /// What its media says of itself, where it was asked.
    pub(crate) formats: Option<Formats>,
}

impl Presentation {
    /// The list as it is published, with the tracks that `relayed` knows, where `start` says that players are to begin, and
    /// without what `tags` drops.
    pub(crate) fn render(
        &self,
        relayed: impl Fn(usize) -> Option<Relayed>,
        start: impl Fn(&str) -> Option<Arc<str>>,
        tags: &TagPolicy,
        keys: KeyPolicy,
    ) -> String {
        let relayed: Vec<Option<Relayed>> = (0..self.tracks.len()).map(relayed).collect();
        let of = |entry: &Entry| match entry {
            Entry::Track(track) => relayed[*track].as_ref(),
            Entry::Within | Entry::LeftOut => None,
        };
        let variants = self.list.variants.iter().zip(&self.variants);
        let variants = variants.map(|(variant, entry)| {
            of(entry).map_or(Edit::LeaveOut, |track| {
                let ((peak, average), well) = self.measured(variant, entry, &relayed);
                let bandwidth = told_bandwidth(variant.bandwidth, peak, well);
                let stated = variant.average_bandwidth.unwrap_or(0);
                let most = bandwidth.unwrap_or(variant.bandwidth);
                // Both grow in steps of their own.
                let average = average.min(most);
                let silent = variant.codecs.is_none();
                let codecs = silent.then(|| self.codecs(variant, track, &relayed));
                Edit::Keep(Changes {
                    uri: Some(Arc::clone(&track.name.0)),
                    bandwidth,
                    average_bandwidth: Some(average)
                        .filter(|it| *it > 0 && (is_false(stated, *it, well) || stated > most)),
                    codecs: codecs.flatten(),
                    resolution: untold(variant.resolution, track),
                })
            })
        });
        let renditions = self.renditions.iter().map(|entry| match entry {
            Entry::Within => Edit::default(),
            Entry::Track(_) | Entry::LeftOut => of(entry).map_or(Edit::LeaveOut, named),
        });
        let i_frames = self.list.i_frame_variants.iter();
        let i_frames = i_frames
            .zip(&self.i_frame_variants)
            .map(|(variant, entry)| {
                of(entry).map_or(Edit::LeaveOut, |track| {
                    let peak = track.bandwidth.map(|it| it.peak);
                    let codecs = listed(track.formats.iter());
                    Edit::Keep(Changes {
                        uri: Some(Arc::clone(&track.name.0)),
                        bandwidth: peak
                            .and_then(|it| told_bandwidth(variant.bandwidth, it, track.known_well)),
                        codecs: codecs.filter(|_| variant.codecs.is_none()),
                        resolution: untold(variant.resolution, track),
                        ..Changes::default()
                    })
                })
            });
        let edits = MultivariantEdits {
            variants: variants.collect(),
            renditions: renditions.collect(),
            i_frame_variants: i_frames.collect(),
            independent: Some(self.says_independent(tags)),
            ..self.told_of_all(start, tags, |key| !is_replaced(key, keys))
        };
        render_multivariant(&self.list, &edits)
    }

    /// Whether it says that all segments of all its media playlists can be played alone.
    pub(crate) fn says_independent(&self, tags: &TagPolicy) -> bool {
        self.list.independent_segments && !tags.drops("#EXT-X-INDEPENDENT-SEGMENTS")
    }

    /// The same with the rungs of a ladder in place of the variant that they are made of. The keys of the session are of
    /// no use to what is not the source's own media, where that is not `listed`.
    pub(crate) fn render_with_rungs(
        &self,
        rungs: &[LadderVariant<'_>],
        (independent, listed): (bool, bool),
        start: impl Fn(&str) -> Option<Arc<str>>,
        tags: &TagPolicy,
        keys: KeyPolicy,
    ) -> String {
        let mut best = self.variants.iter();
        let best = best.position(|it| matches!(it, Entry::Track(_)));
        let left_out = |entries: usize| vec![Edit::LeaveOut; entries];
        let edits = MultivariantEdits {
            variants: left_out(self.variants.len()),
            renditions: left_out(self.renditions.len()),
            i_frame_variants: left_out(self.i_frame_variants.len()),
            in_place: best.map(|it| (it, ladder_lines(rungs).into())),
            independent: Some(independent),
            ..self.told_of_all(start, tags, |key| listed && !is_replaced(key, keys))
        };
        render_multivariant(&self.list, &edits)
    }

    /// What becomes of what it says of all that it leads to. The keys of the session are those of the source: they go where
    /// the media has others, or none (S-41).
    fn told_of_all(
        &self,
        start: impl Fn(&str) -> Option<Arc<str>>,
        tags: &TagPolicy,
        stays: impl Fn(&Key) -> bool,
    ) -> MultivariantEdits {
        let stays = |it: &SessionTag| {
            let attributes = it.attributes.clone();
            stays(&Key { attributes })
        };
        let session_keys = self.list.session_keys.iter().map(|it| match stays(it) {
            true => Edit::default(),
            false => Edit::LeaveOut,
        });
        let lines = self.list.lines.iter().enumerate();
        let starts = lines.clone().filter(|(_, it)| start_of(it).is_some());
        let starts: BTreeMap<_, _> = starts.map(|(at, it)| (at, start(it))).collect();
        let is_nowhere = |at| starts.get(&at).is_some_and(Option::is_none);
        let dropped = lines.filter(|(at, line)| tags.drops(line) || is_nowhere(*at));
        MultivariantEdits {
            session_keys: session_keys.collect(),
            dropped: dropped.map(|(at, _)| at).collect(),
            changed: starts
                .iter()
                .filter_map(|(at, it)| Some((*at, it.clone()?)))
                .collect(),
            base: Url::parse(&self.base).ok(),
            ..MultivariantEdits::default()
        }
    }

    /// All formats of a variant and of the renditions that can be played with it (S-36); nothing while one
    /// of them is not known, since a player takes what it reads for all there is.
    fn codecs(
        &self,
        variant: &Variant,
        own: &Relayed,
        relayed: &[Option<Relayed>],
    ) -> Option<Arc<str>> {
        let renditions = self.list.renditions.iter().zip(&self.renditions);
        let played = renditions.filter_map(|(rendition, entry)| match entry {
            Entry::Track(track) => {
                let grouped = group_of(variant, &rendition.kind) == Some(&*rendition.group_id);
                relayed[*track].as_ref().filter(|_| grouped)
            }
            Entry::Within | Entry::LeftOut => None,
        });
        let formats: Option<Vec<&Formats>> = std::iter::once(own)
            .chain(played)
            .map(|it| it.formats.as_ref())
            .collect();
        listed(formats?)
    }

    /// The peak and the average bit rate of a variant with the renditions that can be played with it:
    /// of each kind the one that needs most (S-35). And whether all of them are known well.
    fn measured(
        &self,
        variant: &Variant,
        own: &Entry,
        relayed: &[Option<Relayed>],
    ) -> ((u64, u64), bool) {
        let of = |entry: &Entry| match entry {
            Entry::Track(track) => relayed[*track].as_ref(),
            Entry::Within | Entry::LeftOut => None,
        };
        let is_known = |entry: &Entry| of(entry).is_none_or(|it| it.known_well);
        let mut well = is_known(own);
        let of = |entry: &Entry| of(entry).and_then(|it| it.bandwidth);
        let (mut peak, mut average) = of(own).map_or((0, 0), |it| (it.peak, it.average));
        for kind in ["AUDIO", "VIDEO", "SUBTITLES"] {
            let group = group_of(variant, kind);
            let in_group = self.list.renditions.iter().zip(&self.renditions);
            let in_group = in_group.filter(|(rendition, entry)| {
                let same = &*rendition.kind == kind && group == Some(&*rendition.group_id);
                same && *entry != own
            });
            let in_group: Vec<&Entry> = in_group.map(|(_, entry)| entry).collect();
            well &= in_group.iter().all(|it| is_known(it));
            let measured: Vec<_> = in_group.into_iter().filter_map(of).collect();
            peak += measured.iter().map(|it| it.peak).max().unwrap_or(0);
            average += measured.iter().map(|it| it.average).max().unwrap_or(0);
        }
        ((peak, average), well)
    }
}

/// All formats of these, each once, as `CODECS` lists them.
fn listed<'a>(formats: impl IntoIterator<Item = &'a Formats>) -> Option<Arc<str>> {
    let mut codecs: Vec<&str> = Vec::new();
    for codec in formats.into_iter().flat_map(|it| &it.codecs) {
        if !codecs.contains(&&**codec) {
            codecs.push(codec);
        }
    }
    (!codecs.is_empty()).then(|| codecs.join(",").into())
}

/// The bit rate, where what the list says is false.
fn told_bandwidth(stated: u64, peak: u64, well: bool) -> Option<u64> {
    Some(peak.max(1)).filter(|it| is_false(stated, *it, well))
}

/// The list says less than was measured, or nothing; or more than twice of what is known well. Less than that is left to it:
/// what it states is a bound, and what is to come may need it.
fn is_false(stated: u64, measured: u64, well: bool) -> bool {
    measured > stated || (well && stated / 2 > measured)
}

/// The size of the picture, where only the media says it.
fn untold(stated: Option<Resolution>, track: &Relayed) -> Option<Resolution> {
    let told = track.formats.as_ref().and_then(|it| it.resolution);
    told.filter(|_| stated.is_none())
}

fn named(track: &Relayed) -> Edit {
    Edit::Keep(Changes {
        uri: Some(Arc::clone(&track.name.0)),
        ..Changes::default()
    })
}
