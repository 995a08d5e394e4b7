//! The rungs of a ladder as viewers see them: each is the source's window, told with objects of its own. So all
//! of them have the same numbers, holes and discontinuities, and what a [rung] lacks is a gap in its list.

mod rung;

use super::Publisher;
use super::window::Window;
use crate::checkpoint::{SavedRung, SavedRungTrack};
use crate::formats::Formats;
use crate::ids::PlaylistName;
use crate::ladder::{Ladder, Rung, RungAudio, SOURCE_NAME};
use crate::notice::{LadderWaits, Notice};
use crate::planted::Mistake;
use crate::playlist::{self, LadderVariant};
use crate::processor::{Finished, MadeRung};
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use rung::RungTrack;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What viewers open where the channel has a ladder: its rungs, the source's own media among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Board {
    /// As they are offered, and behind them those that leave.
    rungs: Vec<RungTrack>,
}

/// What is observed of a rung that is wanted.
pub(crate) struct Shown<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) bandwidth: Option<u64>,
    /// The newest segment has it.
    pub(crate) complete: bool,
    /// How high it is, where its source is lower than the ladder has it.
    pub(crate) lower: Option<u64>,
}

/// What viewers are led to.
pub(super) struct Offered<'a> {
    pub(super) variants: Vec<LadderVariant<'a>>,
    /// The source's own media is among them.
    pub(super) with_source: bool,
}

impl Board {
    pub(super) fn restored(saved: &[SavedRungTrack]) -> Self {
        let rung = |it: &SavedRungTrack| RungTrack {
            shown: it.shown,
            listed: it.shown || it.listed,
            formats: it.formats.clone(),
            bandwidth: it.bandwidth,
            ..RungTrack::new(&it.name, (it.height, it.audio), Arc::clone(&it.key))
        };
        Self {
            rungs: saved.iter().map(rung).collect(),
        }
    }

    pub(super) fn saved(&self) -> Vec<SavedRungTrack> {
        let saved = |it: &RungTrack| SavedRungTrack {
            name: Arc::clone(&it.name),
            height: it.height,
            audio: it.audio,
            key: Arc::clone(&it.key),
            shown: it.shown,
            listed: it.listed,
            formats: it.formats.clone(),
            bandwidth: it.bandwidth,
        };
        self.rungs.iter().map(saved).collect()
    }

    /// Its rungs are those of the ladder; the others leave. Whether anything changes.
    fn settle(&mut self, ladder: Option<&Ladder>) -> bool {
        let before: Vec<_> = self.rungs.iter().map(|it| it.wanted).collect();
        let mut ordered = Vec::new();
        let source = ladder.is_none_or(|it| it.passthrough).then_some((
            SOURCE_NAME.into(),
            (None, RungAudio::Copy),
            0,
        ));
        let audio = ladder.map_or(RungAudio::Copy, |it| it.audio);
        let rungs = ladder.iter().flat_map(|it| &it.rungs);
        let rung = |it: &Rung| (Arc::clone(&it.name), (Some(it.height), audio), it.bitrate);
        for (name, kind, bitrate) in source.into_iter().chain(rungs.map(rung)) {
            let known = self
                .rungs
                .iter()
                .position(|it| it.is(&name, kind) && !it.over);
            let rung = match known {
                Some(known) => self.rungs.remove(known),
                None => RungTrack::new(&name, kind, self.free_key(&ordered, &name)),
            };
            ordered.push(RungTrack { bitrate, ..rung });
        }
        ordered.iter_mut().for_each(|it| it.wanted = true);
        self.rungs.iter_mut().for_each(|it| it.wanted = false);
        ordered.append(&mut self.rungs);
        self.rungs = ordered;
        let after = self.rungs.iter().map(|it| it.wanted);
        !after.eq(before)
    }

    fn free_key(&self, beside: &[RungTrack], name: &Arc<str>) -> Arc<str> {
        let taken = |key: &str| self.rungs.iter().chain(beside).any(|it| *it.key == *key);
        let mut key = Arc::clone(name);
        let mut number = 1;
        while taken(&key) {
            number += 1;
            key = format!("{name}.{number}").into();
        }
        key
    }

    /// Viewers are led to what is there up to the live edge, where there is one, and no longer to what nobody wants.
    fn show(&mut self, stage: &mut Stage<'_>, window: &Window, ended: bool) {
        let mut wanted = self.rungs.iter().filter(|it| it.wanted);
        let beside = wanted.any(|it| it.shown || it.has_newest(window));
        let beside = beside && !stage.makes(Mistake::RungEntersOnOldSegments);
        for rung in &mut self.rungs {
            let enters = match beside {
                _ if ended => rung.stored(window) > 0,
                true => rung.has_newest(window),
                false => rung.has_enough(window),
            };
            let shown = rung.wanted && (rung.shown || enters);
            let name = Arc::clone(&rung.name);
            match (rung.shown, shown) {
                (false, true) => stage.notify(Notice::RungEntered { rung: name }),
                (true, false) => stage.notify(Notice::RungLeft { rung: name }),
                (true, true) | (false, false) => {}
            }
            rung.shown = shown;
        }
    }

    fn opens(&self, window: &Window) -> bool {
        let mut rungs = self.rungs.iter().filter(|it| it.wanted);
        rungs.any(|it| it.shown || it.has_enough(window))
    }

    /// Its lists as they are now.
    pub(super) fn lists(
        &mut self,
        stage: &mut Stage<'_>,
        window: &Window,
        target_duration: Span,
        ended: bool,
    ) -> Vec<(PlaylistName, Arc<str>)> {
        self.show(stage, window, ended);
        // Until something else enters viewers are led to those that have left.
        let leads = self.rungs.iter().any(|it| it.shown);
        let mut lists = Vec::new();
        for rung in &mut self.rungs {
            rung.measure(window, target_duration);
            rung.over = leads && !rung.wanted && rung.stored(window) == 0;
            rung.listed |= rung.shown;
            if rung.listed {
                let list = rung.list(stage, window, target_duration, ended);
                lists.push((rung.playlist(), playlist::render(&list).into()));
            }
        }
        lists
    }

    /// Nothing is visible any more: whatever is shown next begins anew.
    pub(super) fn taken_down(&mut self) {
        for rung in &mut self.rungs {
            (rung.shown, rung.listed) = (false, false);
        }
    }

    /// A version is visible.
    pub(super) fn visible(&mut self) {
        self.rungs.retain(|it| !it.over);
    }

    /// Those that viewers are led to. Every segment of a rung begins with a picture that stands alone.
    pub(super) fn offered(&self) -> Offered<'_> {
        let shown = self.rungs.iter().filter(|it| it.shown);
        Offered {
            with_source: shown.clone().any(|it| it.height.is_none()),
            variants: shown
                .map(|it| LadderVariant {
                    uri: it.playlist().0,
                    bandwidth: it.bandwidth,
                    formats: it.formats.as_ref(),
                })
                .collect(),
        }
    }

    /// Under which name entries know a rung that was made.
    fn key_of(&self, made: &MadeRung) -> Option<Arc<str>> {
        let mut wanted = self.rungs.iter().filter(|it| it.wanted);
        let rung = wanted.find(|it| it.is(&made.name, (Some(made.height), made.audio)))?;
        Some(Arc::clone(&rung.key))
    }

    fn told(&mut self, stage: &mut Stage<'_>, height: Option<u32>, key: &str, formats: &Formats) {
        let mut rungs = self.rungs.iter_mut();
        let Some(rung) = rungs.find(|it| it.height == height && *it.key == *key) else {
            return;
        };
        let before = rung.is_lower();
        rung.formats = Some(formats.clone());
        if let (Some(wanted), Some(height)) = (rung.height, rung.is_lower())
            && before != Some(height)
        {
            let rung = Arc::clone(&rung.name);
            stage.notify(Notice::RungLower {
                rung,
                wanted,
                height,
            });
        }
    }

    fn lists_source(&self) -> bool {
        self.rungs.iter().any(|it| it.height.is_none() && it.wanted)
    }

    pub(super) fn shown<'a>(&'a self, window: &'a Window) -> impl Iterator<Item = Shown<'a>> {
        let newest = window.entries.back();
        let shown = self.rungs.iter().filter(|it| it.wanted);
        shown.map(move |it| {
            let bandwidth = it.bandwidth.map(|it| it.peak);
            let has = newest.is_some_and(|entry| it.length_of(entry).is_some());
            Shown {
                name: &it.name,
                bandwidth,
                complete: has,
                lower: it.is_lower(),
            }
        })
    }
}

impl Publisher {
    /// Viewers open, or will open, the rungs of a ladder.
    pub(crate) fn has_rungs(&self) -> bool {
        self.board.is_some()
    }

    /// Takes the ladder that is wanted into force, where that can be: what viewers have opened as a media
    /// playlist stays one, and what they opened as a multivariant playlist too; where it `runs`, that is said.
    /// Gives whether it is in force.
    pub(crate) fn settle_ladder(
        &mut self,
        stage: &mut Stage<'_>,
        ladder: Option<&Ladder>,
        runs: bool,
    ) -> bool {
        let listed = self.windows.iter().any(|window| !window.entries.is_empty());
        let open = listed || self.in_flight.is_some() || self.entry.is_some();
        if ladder.is_none() && !open {
            (self.board, self.front) = (None, None);
        }
        let said = self.ladder_waits.take();
        if ladder.is_some() && self.board.is_none() {
            // A multivariant playlist of the source's media alone is there already.
            if self.has_several() && ladder.is_some_and(|it| it.rungs.is_empty()) {
                return false;
            }
            if open || self.has_several() {
                let why = if self.has_several() {
                    LadderWaits::Several
                } else {
                    LadderWaits::Opened
                };
                if runs && said.is_none() {
                    stage.notify(Notice::LadderWaits { why });
                }
                self.ladder_waits = runs.then_some(why).or(said);
                return false;
            }
            self.board = Some(Board { rungs: Vec::new() });
        }
        let Some(board) = &mut self.board else {
            return false;
        };
        if board.settle(ladder) {
            // What viewers open changes with the next version, whatever its source has told by then.
            self.windows[super::ONLY].dirty |= listed;
            self.entry_untold = false;
        }
        ladder.is_some()
    }

    /// Why the ladder that is wanted is not in force.
    pub(crate) fn ladder_waits(&self) -> Option<LadderWaits> {
        self.ladder_waits
    }

    /// When viewers may see the rungs; `None` while there is nothing to be played.
    pub(super) fn rungs_open_at(&self, board: &Board) -> Option<Timestamp> {
        // What viewers have open goes on, with gaps where all its rungs have left and others are still to enter.
        let is_open = self.ended || self.entry.is_some();
        let opens = is_open || board.opens(&self.windows[super::ONLY]);
        opens.then(Timestamp::default)
    }

    /// What was made of a segment, by the names under which it is listed. What nobody wants any more goes.
    pub(super) fn take_rungs(&mut self, stage: &mut Stage<'_>, done: &mut Finished) {
        let made = std::mem::take(&mut done.rungs);
        if let (Some(board), Some(formats)) = (&mut self.board, &done.formats) {
            board.told(stage, None, SOURCE_NAME, formats);
        }
        for mut made in made {
            let key = self.board.as_ref().and_then(|board| board.key_of(&made));
            let Some(key) = key else {
                self.retention.retire(made.object, stage.now.monotonic);
                continue;
            };
            if let (Some(board), Some(Ok(formats))) = (&mut self.board, &made.stored.formats) {
                board.told(stage, Some(made.height), &key, formats);
            }
            made.name = key;
            done.rungs.push(made);
        }
    }

    /// What the source's list, or its media, tells of it, where no worker has.
    pub(super) fn source_told(&mut self, formats: Option<&Formats>) {
        let source = self.board.iter_mut().flat_map(|it| &mut it.rungs);
        let mut source = source.filter(|it| it.height.is_none() && it.formats.is_none());
        if let (Some(source), Some(formats)) = (source.next(), formats) {
            source.formats = Some(formats.clone());
        }
    }

    /// The rungs that are wanted.
    pub(crate) fn rungs(&self) -> Vec<Shown<'_>> {
        let board = self.board.as_ref().zip(self.windows.first());
        board.map_or_else(Vec::new, |(board, window)| board.shown(window).collect())
    }

    /// Whether the source's own media is listed.
    pub(super) fn lists_source(&self) -> bool {
        self.board.as_ref().is_none_or(Board::lists_source)
    }
}

impl SavedRung {
    pub(super) fn of(made: MadeRung) -> Self {
        Self {
            name: made.name,
            stored: crate::checkpoint::SavedObject {
                object: made.object,
                length: made.stored.length,
                hash: made.stored.hash,
            },
        }
    }
}
