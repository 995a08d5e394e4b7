//! How soon what could not be had is asked for again: segments, and what they are read with. Never before the back-off
//! is over, but where the origin has served another segment meanwhile, or what a list names may be of another run of its
//! encoder.

use super::{Held, broken};
use crate::origin::{Listed, without_tokens};
use hls_relay_core::command::{Content, Download};
use hls_relay_core::config::{RETRY_JITTER_PERCENT, SEGMENT_RETRY};
use hls_relay_core::digest::Digest;
use hls_relay_core::event::Event;
use hls_relay_core::ids::RequestId;
use hls_relay_core::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// What failed longer ago than this may be asked for whenever somebody likes.
const FELT: Span = Span::from_secs(30);

/// What one process has asked for in vain.
#[derive(Debug, Default)]
pub struct RetryChecks {
    asked: BTreeMap<RequestId, Asked>,
    /// By a digest of the address and of the range.
    failed: BTreeMap<u64, Failed>,
    /// When a segment last came, by origin and track.
    served_at: BTreeMap<(usize, u16), Timestamp>,
    /// What a track lists.
    listed: BTreeMap<(usize, u16), Listed>,
}

/// A request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    what: u64,
    place: (usize, u16),
    content: Content,
}

/// Requests for one thing that have failed since it was last had.
#[derive(Clone, Copy, Debug)]
struct Failed {
    place: (usize, u16),
    times: u32,
    at: Timestamp,
}

impl RetryChecks {
    /// A track lists this now. Where that does not go on from what it listed before, there may be other bytes at the
    /// same address.
    pub fn listed(&mut self, place: (usize, u16), lists: Listed) {
        let before = self.listed.insert(place, lists).unwrap_or(lists);
        let goes_on = before.first.saturating_sub(1)..=before.last.saturating_add(1);
        if lists.run != before.run || !goes_on.contains(&lists.first) {
            self.failed.retain(|_, it| it.place != place);
        }
    }

    /// Something is asked for, of a track of an origin. No source has a target duration below `least_target`.
    pub fn sent(
        &mut self,
        now: Timestamp,
        download: &Download,
        place: (usize, u16),
        least_target: Span,
    ) -> Held {
        let content = download.content;
        // A segment stays the same one under another token; what it needs is then asked for anew.
        let what = match content {
            Content::Segment => without_tokens(&download.url),
            Content::InitSection | Content::Key => download.url.to_string(),
        };
        let what = Digest::of(&(what, &download.byte_range));
        let asked = Asked {
            what,
            place,
            content,
        };
        self.asked.insert(download.request, asked);
        let Some(failed) = self.failed.get(&what) else {
            return Ok(());
        };
        let serves = content == Content::Segment && self.served_at.get(&place) >= Some(&failed.at);
        let least = least_wait(failed.times, least_target);
        let waited = now.since(failed.at);
        if serves || waited >= least {
            return Ok(());
        }
        broken(
            "what could not be had is not asked for again at once",
            format!(
                "at least {} ms after attempt {} has failed",
                least.as_millis(),
                failed.times
            ),
            format!("{} ms for {}", waited.as_millis(), download.url),
        )
    }

    /// Nobody wants it any more, whatever comes of it, or somebody else does.
    pub fn cancelled(&mut self, request: RequestId) {
        if let Some(asked) = self.asked.remove(&request) {
            self.failed.remove(&asked.what);
        }
    }

    /// What came of it.
    pub fn event(&mut self, now: Timestamp, event: &Event) {
        let Event::Downloaded { request, outcome } = event else {
            return;
        };
        let Some(asked) = self.asked.remove(request) else {
            return;
        };
        match outcome {
            Ok(_) => {
                self.failed.remove(&asked.what);
                if asked.content == Content::Segment {
                    self.served_at.insert(asked.place, now);
                }
            }
            Err(_) => {
                self.failed.retain(|_, it| now.since(it.at) < FELT);
                let failed = self.failed.entry(asked.what);
                let place = asked.place;
                let times = 0;
                let failed = failed.or_insert(Failed {
                    place,
                    times,
                    at: now,
                });
                (failed.times, failed.at) = (failed.times + 1, now);
            }
        }
    }

    /// Whoever asks from now on may not know what has failed.
    pub fn followed_anew(&mut self) {
        self.failed.clear();
    }
}

/// The first wait, then twice as much each time, up to half a target duration.
fn least_wait(times: u32, least_target: Span) -> Span {
    let wait = SEGMENT_RETRY * (1 << times.saturating_sub(1).min(16));
    let wait = wait.min(least_target.half());
    wait.scaled(100 - RETRY_JITTER_PERCENT, 100)
}
