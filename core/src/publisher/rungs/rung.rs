//! A rung and its list: the source's window, told with objects of its own.

use crate::checkpoint::SavedObject;
use crate::config;
use crate::formats::Formats;
use crate::ids::PlaylistName;
use crate::ladder::RungAudio;
use crate::planted::Mistake;
use crate::playlist::{self, MeasuredBandwidth, MediaPlaylist, Segment, measured_bandwidth};
use crate::publisher::bandwidth::measure;
use crate::publisher::entry::Entry;
use crate::publisher::window::{Window, gap_uri};
use crate::stage::Stage;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a rung is made, as far as it is another one otherwise: its height, and what becomes of its sound.
type Kind = (Option<u32>, RungAudio);

/// A rung and its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RungTrack {
    pub(super) name: Arc<str>,
    /// `None` for the source's own.
    pub(super) height: Option<u32>,
    /// Another sound is another rung: the frames of one do not go on where those of the other end.
    #[serde(default)]
    pub(super) audio: RungAudio,
    /// In bits per second, as the ladder has it; 0 for the source's own.
    #[serde(default)]
    pub(super) bitrate: u64,
    /// Entries know it by this: its name, or more where that is still another one's.
    pub(super) key: Arc<str>,
    /// The ladder has it.
    pub(super) wanted: bool,
    /// Viewers are led to it.
    pub(super) shown: bool,
    /// Viewers may have its list, which goes on until it is over.
    #[serde(default)]
    pub(super) listed: bool,
    /// Nothing of it is listed but gaps: with the next version that is visible it is gone.
    pub(super) over: bool,
    pub(super) formats: Option<Formats>,
    pub(super) bandwidth: Option<MeasuredBandwidth>,
}

impl RungTrack {
    pub(super) fn new(name: &Arc<str>, (height, audio): Kind, key: Arc<str>) -> Self {
        Self {
            name: Arc::clone(name),
            height,
            audio,
            bitrate: 0,
            key,
            wanted: true,
            shown: false,
            listed: false,
            over: false,
            formats: None,
            bandwidth: None,
        }
    }

    pub(super) fn is(&self, name: &str, kind: Kind) -> bool {
        *self.name == *name && (self.height, self.audio) == kind
    }

    /// How high it is, where that is less than the ladder has it.
    pub(super) fn is_lower(&self) -> Option<u64> {
        let height = self.formats.as_ref()?.resolution?.height;
        (height < u64::from(self.height?)).then_some(height)
    }

    pub(super) fn playlist(&self) -> PlaylistName {
        PlaylistName(format!("{}.m3u8", self.key).into())
    }

    /// How many bytes an entry has for it; `None` where it is a gap.
    pub(super) fn length_of(&self, entry: &Entry) -> Option<u64> {
        match self.height {
            None => entry
                .stored
                .as_ref()
                .filter(|_| !entry.hidden)
                .map(|it| it.length),
            Some(_) => entry.rung(&self.key).map(|it| it.length),
        }
    }

    pub(super) fn stored(&self, window: &Window) -> usize {
        let entries = window.entries.iter();
        entries.filter(|it| self.length_of(it).is_some()).count()
    }

    /// A segment as it stands in its list.
    fn tell(&self, entry: &Entry, segment: &mut Segment) {
        let object = match self.height {
            None => entry.stored.as_ref().filter(|_| !entry.hidden),
            Some(_) => entry.rung(&self.key),
        };
        if self.height.is_some() {
            // A transport stream in the clear needs none of them.
            segment.map = None;
            segment.keys = [].into();
            segment.bit_rate = None;
        }
        match object {
            Some(object) => segment.uri = Arc::clone(&object.object.0),
            None => {
                segment.gap = true;
                segment.uri = gap_uri(segment.media_sequence);
            }
        }
    }

    pub(super) fn list(
        &self,
        stage: &Stage<'_>,
        window: &Window,
        target_duration: Span,
        ended: bool,
    ) -> MediaPlaylist {
        let tell = |entry: &Entry, segment: &mut Segment| self.tell(entry, segment);
        let mut list = window.as_told(target_duration, ended, tell);
        // Each of its segments begins with a picture that stands alone.
        list.independent_segments |= self.height.is_some();
        if stage.makes(Mistake::MissedRungLeftOut) && self.height.is_some() {
            list.segments.retain(|it| !it.gap);
        }
        if stage.makes(Mistake::RungDurationsRounded) && self.height.is_some() {
            let lasts = |it: &Segment| playlist::least_target_duration([it.duration]);
            list.segments
                .iter_mut()
                .for_each(|it| it.duration = lasts(it));
        }
        if stage.makes(Mistake::RungBeginsLater) && self.height.is_some() {
            let lacked = list.segments.iter().take_while(|it| it.gap).count();
            list.media_sequence += lacked as u64;
            let breaks = list.segments.drain(..lacked).filter(|it| it.discontinuity);
            list.discontinuity_sequence += breaks.count() as u64;
        }
        list
    }

    /// Whoever goes over to it finds what players begin with, up to the live edge. What its source lacks, all lack.
    pub(super) fn has_newest(&self, window: &Window) -> bool {
        let segments = window.entries.iter().rev();
        let newest = segments.filter(|it| it.stored.is_some());
        let newest = newest.take(config::START_SEGMENTS);
        let had = newest.filter(|it| self.length_of(it).is_some());
        had.count() == config::START_SEGMENTS
    }

    /// Where viewers have nothing else they are better served by this than by nothing.
    pub(super) fn has_enough(&self, window: &Window) -> bool {
        self.stored(window) >= config::START_SEGMENTS
    }

    pub(super) fn measure(&mut self, window: &Window, target_duration: Span) {
        let lengths = window.entries.iter().map(|entry| {
            let length = self.length_of(entry)?;
            Some((length, entry.segment.duration))
        });
        let lengths: Vec<_> = lengths.collect();
        measure(
            &mut self.bandwidth,
            lengths.iter().copied(),
            target_duration,
        );
        let Some(known) = self.bandwidth.filter(|_| self.height.is_some()) else {
            return;
        };
        let Some(all) = measured_bandwidth(lengths.into_iter().flatten(), target_duration) else {
            return;
        };
        // It falls where its ladder has a lower bit rate now, or the first guess at how coarse it is was bad; and never
        // below its bit rate, as there may be little in its pictures only at present.
        let peak = all.peak.max(self.bitrate);
        if peak < known.peak - known.peak / 4 {
            let average = all.average;
            self.bandwidth = Some(MeasuredBandwidth { peak, average });
        }
    }
}

impl Entry {
    /// What is stored for a rung.
    fn rung(&self, key: &str) -> Option<&SavedObject> {
        let mut rungs = self.rungs.iter();
        rungs.find(|it| *it.name == *key).map(|it| &it.stored)
    }
}
