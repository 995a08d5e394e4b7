//! How often sources are asked: never faster than DESIGN 5.8 allows.

use super::{Held, broken};
use crate::lines::lines;
use crate::origin::believed;
use crate::plan::Plan;
use hls_relay_core::command::LoadPlaylist;
use hls_relay_core::config::{
    ASSUMED_TARGET_DURATION, QUICK_RETRY_FOR, RETRY_JITTER_PERCENT, ReloadPolicy, SLOWEST_RETRY,
};
use hls_relay_core::digest::Digest;
use hls_relay_core::event::{FetchError, LoadedPlaylist};
use hls_relay_core::time::{Span, Timestamp};
use memchr::{memchr, memchr2, memrchr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sources of one process; another process knows nothing of its predecessor's requests.
#[derive(Debug, Default)]
pub struct PaceChecks {
    sources: BTreeMap<Arc<str>, Source>,
}

/// A request for a playlist.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// When it was sent.
    pub at: Timestamp,
    /// By how much it and those before it came later than they might, since there was something new.
    pub delayed: Span,
}

/// Loads that fail one after the other.
#[derive(Clone, Copy, Debug)]
struct Failing {
    /// When the first of them was sent.
    since: Timestamp,
    /// So many have failed after the first minute.
    tries: u32,
}

/// What is known of one source.
#[derive(Debug)]
struct Source {
    sent_at: Timestamp,
    /// The wait before it was over then.
    due_at: Timestamp,
    in_flight: bool,
    /// The least wait to the next request, and from when on.
    wait: Span,
    from: Timestamp,
    /// So much lateness need not be waited for once more; it may be.
    forgiven: Span,
    /// By how much requests have come later than they might since there was something new.
    delayed: Span,
    /// It has failed since then, for all that is known by whoever follows it.
    failing: Option<Failing>,
    target_duration: Option<Span>,
    /// What the last list that may be used has listed.
    listed: Vec<u64>,
    /// The last line of that list ends.
    whole: bool,
}

impl PaceChecks {
    /// A playlist is asked for.
    pub fn sent(&mut self, now: Timestamp, load: &LoadPlaylist) -> Held {
        let listed = self.listed_beside(&load.url);
        let asked = self
            .sources
            .entry(without_query(&load.url).into())
            .or_insert_with(|| Source {
                sent_at: Timestamp::default(),
                due_at: Timestamp::default(),
                in_flight: false,
                wait: Span::ZERO,
                from: Timestamp::default(),
                forgiven: Span::ZERO,
                delayed: Span::ZERO,
                failing: None,
                target_duration: None,
                listed,
                whole: true,
            });
        if asked.in_flight {
            return broken(
                "5.8 one request for a playlist at a time",
                format!("the answer from {} first", load.url),
                "asked again",
            );
        }
        let waited = now.since(asked.from);
        if waited < asked.wait {
            return broken(
                "5.8 a source is not asked too often",
                format!("{} ms from request to request", asked.wait.as_millis()),
                format!("{} ms for {}", waited.as_millis(), load.url),
            );
        }
        asked.due_at = asked.from + asked.wait;
        asked.delayed += waited.saturating_sub(asked.wait + asked.forgiven);
        asked.sent_at = now;
        asked.in_flight = true;
        Ok(())
    }

    /// What a playlist that is asked for the first time has listed under another name: in the folder of a track
    /// there is one.
    fn listed_beside(&self, url: &str) -> Vec<u64> {
        let folder = |url: &str| url.rsplit_once('/').map(|it| it.0.to_owned());
        if self.sources.contains_key(without_query(url)) {
            return Vec::new();
        }
        let own = folder(without_query(url));
        let mut beside = self.sources.iter().filter(|(it, _)| folder(it) == own);
        beside
            .next()
            .map_or(Vec::new(), |(_, it)| it.listed.clone())
    }

    /// Since there was last something new the source has been asked as often as it may be: what appeared
    /// right after a request could be seen no earlier than with the next one.
    pub fn is_eager(&self, url: &str, now: Timestamp) -> bool {
        let asked = self.sources.get(without_query(url));
        asked.is_some_and(|asked| asked.is_eager(now))
    }

    /// The same of a source's tracks, which lie beside its multivariant playlist.
    pub fn is_any_eager(&self, multivariant: &str, now: Timestamp) -> bool {
        let folder = multivariant
            .rfind('/')
            .map_or(multivariant, |at| &multivariant[..at]);
        let mut tracks = self
            .sources
            .iter()
            .filter(|(url, _)| url.starts_with(folder));
        tracks.any(|(_, asked)| asked.is_eager(now))
    }

    /// The last request.
    pub fn asked(&self, url: &str) -> Option<Asked> {
        self.sources.get(without_query(url)).map(|asked| Asked {
            at: asked.sent_at,
            delayed: asked.delayed,
        })
    }

    /// The answer. After a playlist that may not be used only the pace of failures is owed. Gives the target
    /// duration that was told.
    pub fn answered(
        &mut self,
        now: Timestamp,
        url: &str,
        (outcome, usable): (&Result<LoadedPlaylist, FetchError>, bool),
        policy: ReloadPolicy,
    ) -> Option<Span> {
        let told = self.told_target_duration(url);
        let asked = self.sources.get_mut(without_query(url))?;
        // After a cancelled request another one may be under way.
        if matches!(outcome, Err(FetchError::Cancelled)) {
            return None;
        }
        asked.in_flight = false;
        (asked.from, asked.forgiven) = (asked.sent_at, Span::ZERO);
        let target = told.unwrap_or(ASSUMED_TARGET_DURATION);
        let text = match outcome {
            Ok(LoadedPlaylist::Body { body, .. }) => Text::read(&body.0).filter(|_| usable),
            Ok(LoadedPlaylist::NotModified) | Err(_) => None,
        };
        // A multivariant playlist, where there never was a list of segments, is what was asked for; it may be refused.
        let leads_on = asked.target_duration.is_none() && is_multivariant(outcome);
        asked.wait = match (&text, outcome) {
            (Some(text), _) => asked.body(text, policy),
            (None, _) if leads_on => {
                let half = target.min(ASSUMED_TARGET_DURATION).half();
                half.scaled(100 - RETRY_JITTER_PERCENT, 100)
            }
            (None, Ok(LoadedPlaylist::NotModified)) => target.half(),
            (None, _) => {
                // Who follows a source anew has not been told its target duration yet.
                asked.failed(now, target.min(ASSUMED_TARGET_DURATION))
            }
        };
        let failed =
            text.is_none() && !leads_on && !matches!(outcome, Ok(LoadedPlaylist::NotModified));
        asked.failing = asked.failing.filter(|_| failed);
        text.map(|text| text.target_duration)
    }

    /// Who is asked for the first time is taken to have what others of its place have told.
    fn told_target_duration(&self, url: &str) -> Option<Span> {
        let own = self.sources.get(without_query(url));
        own.and_then(|it| it.target_duration).or_else(|| {
            let host = |url: &str| url.split('/').nth(2).map(str::to_owned);
            let beside = self.sources.iter();
            let beside = beside.filter(|(other, _)| host(other) == host(url));
            beside.filter_map(|(_, it)| it.target_duration).min()
        })
    }

    /// Nobody waits for the answer any more, which might have brought something new.
    pub fn cancelled(&mut self, url: &str) {
        let told = self.told_target_duration(url);
        if let Some(asked) = self.sources.get_mut(without_query(url)) {
            asked.in_flight = false;
            (asked.from, asked.forgiven) = (asked.sent_at, Span::ZERO);
            asked.wait = told.unwrap_or(ASSUMED_TARGET_DURATION).half();
        }
    }

    /// Sources may be followed by somebody else from now on, who knows how they may be asked, and not for how long
    /// they have failed.
    pub fn followed_anew(&mut self) {
        self.sources
            .values_mut()
            .for_each(|asked| asked.failing = None);
    }
}

impl Source {
    /// Half a target duration for the first minute, then twice as much each time (DESIGN 5.8).
    fn failed(&mut self, now: Timestamp, target_duration: Span) -> Span {
        let failing = self.failing.get_or_insert(Failing {
            since: self.sent_at,
            tries: 0,
        });
        let half = target_duration.half();
        let mut wait = half;
        if now.since(failing.since) >= QUICK_RETRY_FOR {
            failing.tries += 1;
            wait = (half * (1 << failing.tries.min(16))).min(SLOWEST_RETRY.max(half));
        }
        wait.scaled(100 - RETRY_JITTER_PERCENT, 100)
    }

    fn is_eager(&self, now: Timestamp) -> bool {
        let may_ask_at = self.from + self.forgiven + self.wait;
        self.delayed == Span::ZERO && now <= may_ask_at
    }

    fn body(&mut self, text: &Text, policy: ReloadPolicy) -> Span {
        let changed = text.segments.iter().any(|it| !self.listed.contains(it));
        // Nobody can tell whether what has no line end is there as a whole, or was new in the list after it.
        let sure = std::mem::replace(&mut self.whole, text.whole) && text.whole;
        if changed {
            self.delayed = Span::ZERO;
        }
        self.listed.clone_from(&text.segments);
        self.target_duration = Some(text.target_duration);
        if text.ended {
            // A slow look for a new run, at the pace of failures.
            return text
                .target_duration
                .half()
                .scaled(100 - RETRY_JITTER_PERCENT, 100);
        }
        match policy {
            _ if !changed || !sure => text.target_duration.half(),
            ReloadPolicy::LastSegment => {
                self.forgive_lateness(text);
                text.last_segment.max(text.target_duration.half())
            }
            ReloadPolicy::TargetDuration => {
                self.forgive_lateness(text);
                text.target_duration
            }
        }
    }

    /// After a change the lateness of a timer, as far as it is small, may be taken out of the next wait:
    /// then it does not add up, and as no wait begins before the one before it was over, the mean pace
    /// is never faster than allowed.
    fn forgive_lateness(&mut self, text: &Text) {
        let most = text.last_segment.scaled(1, 50).min(Span::from_millis(50));
        self.from = self.due_at.max(self.sent_at - most);
        self.forgiven = self.sent_at.since(self.from);
    }
}

/// What of a playlist times the next reload, read by somebody who shares nothing with the core.
struct Text {
    target_duration: Span,
    last_segment: Span,
    ended: bool,
    /// Its last line ends.
    whole: bool,
    /// What it lists, by the names of files and the ranges in them: a token or a host that changes is no
    /// change, and nor is what has left.
    segments: Vec<u64>,
}

impl Text {
    fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut target_duration = None;
        let (mut last, mut longest) = (None, Span::ZERO);
        let mut duration = None;
        let whole = text.ends_with('\n');
        let (mut segments, mut ended) = (Vec::new(), false);
        let mut range = "";
        for line in lines(text) {
            let value = |tag: &str| line.strip_prefix(tag);
            if !line.starts_with('#') {
                let end = memchr2(b'?', b';', line.as_bytes());
                let path = line[..end.unwrap_or(line.len())].trim_ascii();
                let name_at = memrchr(b'/', path.as_bytes());
                last = duration.take().or(last);
                let name = &path[name_at.map_or(0, |at| at + 1)..];
                segments.push(Digest::of(&(name, std::mem::take(&mut range))));
            } else if let Some(bytes) = value("#EXT-X-BYTERANGE:") {
                range = bytes;
            } else if let Some(rest) = value("#EXTINF:") {
                let end = memchr(b',', rest.as_bytes());
                let own = seconds(&rest[..end.unwrap_or(rest.len())])?;
                longest = longest.max(own);
                duration = Some(own);
            } else {
                target_duration = target_duration.or(value("#EXT-X-TARGETDURATION:"));
                ended |= line == "#EXT-X-ENDLIST";
            }
        }
        Some(Self {
            target_duration: believed(rounded_up(seconds(target_duration?)?), longest),
            last_segment: last?,
            ended,
            whole,
            segments,
        })
    }
}

fn is_multivariant(outcome: &Result<LoadedPlaylist, FetchError>) -> bool {
    let Ok(LoadedPlaylist::Body { body, .. }) = outcome else {
        return false;
    };
    let text = std::str::from_utf8(&body.0).unwrap_or_default();
    lines(text).any(|line| line.starts_with("#EXT-X-STREAM-INF:"))
}

fn rounded_up(span: Span) -> Span {
    Span::from_secs(span.as_micros().div_ceil(1_000_000))
}

/// Decimal seconds; what is less than a microsecond is left out.
fn seconds(text: &str) -> Option<Span> {
    let text = text.trim_ascii();
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (mut micros, mut place) = (0_u64, None);
    for byte in text.bytes() {
        match (byte, place) {
            (b'0'..=b'9', Some(0)) => {}
            (b'0'..=b'9', _) => {
                let digit = u64::from(byte - b'0');
                micros = micros.checked_mul(10)?.checked_add(digit)?;
                place = place.map(|place: u32| place - 1);
            }
            (b'.', None) => place = Some(6),
            _ => return None,
        }
    }
    let scale = 10_u64.pow(place.unwrap_or(6));
    Some(Span::from_micros(micros.checked_mul(scale)?))
}

/// A playlist is the same one whatever token it is asked for with.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// The address under which a plan's origin has its playlist.
pub fn playlist_url(plan: &Plan, origin: usize) -> Arc<str> {
    let spec = &plan.origins[origin];
    format!("http://{}{}", spec.hosts[0], spec.playlist_path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_microsecond() {
        for (text, micros) in [
            ("6", 6_000_000),
            ("6.", 6_000_000),
            (" 6.5 ", 6_500_000),
            ("0.000001", 1),
            ("4.00000199", 4_000_001),
        ] {
            assert_eq!(seconds(text), Some(Span::from_micros(micros)), "{text}");
        }
        for text in ["", ".5", "-1", "1.2.3", "6s", "99999999999999999999"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
