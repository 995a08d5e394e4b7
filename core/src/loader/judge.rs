//! What a changed list brings: what of it is new, what was lost before it, and what is learnt from it.

use super::history::{Lost, Verdict};
use super::offer::{About, Listing, Offered, is_low_latency};
use super::phase::Phase;
use super::reload::Pacing;
use super::{ListedRanges, Loader, UnderWay, date_ranges, middle};
use crate::checkpoint::Identity;
use crate::config;
use crate::event::FetchError;
use crate::notice::{Break, Notice, Trouble};
use crate::planted::Mistake;
use crate::playlist::{MediaPlaylist, PlaylistType, resolve_foreign};
use crate::stage::Stage;
use crate::time::{Span, Timestamp};
use url::Url;

impl Loader {
    /// A target duration as far as the newest list makes it believable.
    pub(crate) fn believed(&self, target_duration: Span) -> Span {
        let longest = self.pacing.map(|pacing| pacing.longest);
        longest.map_or(target_duration, |it| config::believed(target_duration, it))
    }

    pub(super) fn changed(
        &mut self,
        stage: &mut Stage<'_>,
        load: UnderWay,
        base: &Url,
        mut list: MediaPlaylist,
    ) -> Option<Listing> {
        // A list that ends in the middle of a line may have been cut in its last URI; a source that
        // always writes them so has not.
        let open_end = list.last_uri_may_be_cut();
        if open_end && !self.open_end {
            list.segments.pop();
        }
        self.open_end = open_end;
        self.say_flaws(stage, &list.flaws);
        self.strays.sort(&mut list);
        let was_ended = std::mem::replace(&mut self.ended, list.end_list);
        self.fixed = list.end_list && list.playlist_type == Some(PlaylistType::Vod);
        let was_older = self.older;
        let first = load.first_there || self.pacing.is_none();
        self.pacing = Pacing::of(&list.segments);
        self.target_duration = Some(self.believed(list.target_duration));
        let of_segments = list.segments.iter_mut().flat_map(|it| &mut it.tags);
        for line in list
            .head
            .iter_mut()
            .chain(of_segments)
            .chain(&mut list.tail)
        {
            resolve_foreign(line, base);
        }
        let date_ranges = date_ranges::of(&mut list, base);
        let whole = list.playlist_type.is_some() || (list.end_list && (first || self.about.whole));
        let complete = whole && list.end_list;
        let mut head = list.head.iter();
        let begins_with_first = complete && !head.any(|it| it.starts_with("#EXT-X-START:"));
        let begins_at = list.segments.first().map(|it| it.media_sequence);
        let closing = list.closing().filter(|_| list.end_list);
        let closing = closing.filter(|line| !is_low_latency(line));
        let about = About {
            closing: closing.cloned().collect(),
            // Ours stays for good: what nobody can believe is not taken over.
            target_duration: Span::from_secs(self.target_duration().rounded_secs()),
            head: list
                .head
                .into_iter()
                .filter(|line| !is_low_latency(line))
                .collect(),
            independent_segments: list.independent_segments,
            i_frames_only: list.i_frames_only,
            playlist_type: list.playlist_type,
            whole,
            complete,
            begins_with_first,
            first: begins_at,
        };
        let now = stage.now.monotonic;
        let mut listed = self.resolved.offer(base, list.segments, now);
        if list.i_frames_only {
            refuse_pieces_of_cipher(&mut listed);
        }
        let silence = now.since(self.grown_at) + self.silent_before;
        let first_new = self.judge(stage, load, (&mut listed, silence), was_ended);
        // The first list of all, or from elsewhere, is a change, and so is one after another edge's.
        let nothing_new = first_new.is_some_and(|(first_new, _)| first_new == listed.len());
        self.schedule(stage, load, nothing_new && !first && !was_older);
        let (first_new, restarted) = first_new?;
        let target_duration = self.target_duration();
        self.about = about;
        self.date_ranges = ListedRanges::new(date_ranges, self.run);
        Some(Listing {
            listed,
            first_new,
            restarted,
            elsewhere: load.first_there,
            silence,
            target_duration,
            whole,
            complete,
            fixed: self.fixed,
        })
    }

    /// Finds what is new, marks breaks and losses on it, and learns from it.
    /// `None`: an older list, of no use.
    fn judge(
        &mut self,
        stage: &mut Stage<'_>,
        load: UnderWay,
        (listed, silence): (&mut [Offered], Span),
        was_ended: bool,
    ) -> Option<(usize, bool)> {
        let (now, sent) = (stage.now.monotonic, load.sent);
        let before = self
            .history
            .known()
            .back()
            .map(|id| id.discontinuity_sequence);
        let mut identities: Vec<Identity> = listed.iter().map(|it| it.identity.clone()).collect();
        self.history.strip(&mut identities, silence, self.ended);
        let named = listed.iter_mut().zip(&identities);
        named.for_each(|(it, identity)| it.identity.clone_from(identity));
        let target_duration = self.target_duration();
        let restored = self.history.is_restored();
        let verdict = match load.first_there {
            true => self
                .history
                .observe_elsewhere(&identities, target_duration, silence),
            false => self.history.observe(&identities, target_duration, silence),
        };
        let (number, broken, lost) = match verdict {
            Verdict::Older { .. } if stage.makes(Mistake::StaleEdgeTakenForNew) => (0, None, None),
            Verdict::Older { behind } => {
                self.in_vain = true;
                if !self.older && behind > 0 {
                    stage.notify(Notice::StaleEdge {
                        source: self.source,
                        behind,
                    });
                    self.trouble = Some(Trouble::OlderEdge);
                }
                self.older = behind > 0;
                // The end of an older run does not end ours.
                self.ended = was_ended;
                return None;
            }
            Verdict::GoesOn {
                first_new,
                lost: None,
            } if restored && stage.makes(Mistake::RestartPassesOverOne) => {
                let fresh = |it: &&Identity| it.media_sequence >= first_new;
                let mut fresh = identities.iter().filter(fresh);
                let passed = fresh.next().filter(|_| fresh.next().is_some());
                let lost = passed.map(|it| Lost {
                    first: it.media_sequence,
                    segments: 1,
                    duration: it.duration,
                });
                (first_new + u64::from(lost.is_some()), None, lost)
            }
            Verdict::GoesOn { first_new, lost } => (first_new, None, lost),
            Verdict::Restarted { first_new, why } => {
                self.phase = Phase::default();
                self.run += 1;
                let marked = !stage.makes(Mistake::RestartUnmarked);
                (first_new, Some(why).filter(|_| marked), None)
            }
        };
        self.older = false;
        let anew = std::mem::take(&mut self.begins_anew);
        let (number, broken, lost) = match anew {
            true => (0, None, None),
            false => (number, broken, lost),
        };
        let first_new = listed.partition_point(|it| it.identity.media_sequence < number);
        let fresh = &mut listed[first_new..];
        let grown: Span = fresh.iter().map(|it| it.identity.duration).sum();
        if let Some(first) = fresh.first_mut() {
            first.lost = lost;
            first.broken = broken.or(was_ended.then_some(Break::NewRun)).or_else(|| {
                let own = u64::from(first.segment.discontinuity);
                let unseen = before.filter(|_| !anew).is_some_and(|dsn| {
                    first.identity.discontinuity_sequence > dsn.saturating_add(own)
                });
                unseen.then_some(Break::Hole)
            });
            if lost.is_some() {
                self.phase = Phase::default();
            }
            self.phase
                .grew(middle(sent, now), first.identity.duration, grown);
            self.grew(now);
        } else {
            self.phase.unchanged(middle(sent, now));
            self.in_vain = true;
            self.trouble = Some(Trouble::Unchanged);
        }
        let lag = self.phase.lag(middle(sent, now));
        let run = self.run;
        listed[first_new..]
            .iter_mut()
            .for_each(|it| (it.lag, it.run) = (lag, run));
        Some((first_new, broken.is_some()))
    }

    fn grew(&mut self, now: Timestamp) {
        if self.healthy_since.is_none() || self.is_pausing(now) {
            self.healthy_since = Some(now);
        }
        (self.grown_at, self.silent_before) = (now, Span::ZERO);
        self.in_vain = false;
        self.trouble = None;
    }
}

/// An I-frame in a resource under AES-128 can be decrypted where the blocks around it are known (C-33). As an
/// object of its own it has none, and no player could make anything of it.
fn refuse_pieces_of_cipher(listed: &mut [Offered]) {
    let is_piece = |it: &&mut Offered| {
        let mut keys = it.segment.keys.iter();
        it.segment.byte_range.is_some() && keys.any(|key| key.method() == "AES-128")
    };
    for it in listed.iter_mut().filter(is_piece) {
        it.url = Err(FetchError::Key(
            "an I-frame is a piece of what is encrypted as a whole (AES-128 and EXT-X-BYTERANGE)"
                .into(),
        ));
    }
}
