//! What a source offers: a body read, its URIs resolved, its segments told apart.

use super::history::Lost;
use crate::checkpoint::Identity;
use crate::event::FetchError;
use crate::limits;
use crate::notice::{Break, Refusal};
use crate::playlist::{self, Context, Playlist, PlaylistType, Segment, Variables, excerpt};
use crate::time::{Place, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use url::Url;

/// A segment that the source offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offered {
    /// As the source lists it.
    pub(crate) segment: Segment,
    /// The URL that its list came from.
    pub(crate) base: Arc<str>,
    /// Absolute URL, or why there is none.
    pub(crate) url: Result<Arc<str>, FetchError>,
    pub(crate) identity: Identity,
    /// The run of the encoder, counted by its loader.
    pub(crate) run: u64,
    pub(crate) first_listed: Timestamp,
    /// How long before `first_listed` it had appeared, as far as is known.
    pub(crate) lag: Span,
    /// A discontinuity that the source itself did not put here.
    pub(crate) broken: Option<Break>,
    /// What was lost right before it.
    pub(crate) lost: Option<Lost>,
    /// Where it begins on the time axis of its source, where that has several tracks.
    pub(crate) place: Option<Place>,
}

/// What a load has brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// All that is listed, oldest first.
    pub(crate) listed: Vec<Offered>,
    /// The first of `listed` that is new; its length where none is.
    pub(crate) first_new: usize,
    /// The run of the encoder has changed: what was listed before is gone for good.
    pub(crate) restarted: bool,
    /// It is the first from another place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) elsewhere: bool,
    /// For how long nothing new had come before it.
    #[serde(default)]
    pub(crate) silence: Span,
    /// As far as it is believed.
    pub(crate) target_duration: Span,
    /// See [`About`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) whole: bool,
    /// See [`About`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) complete: bool,
    /// It is a VOD: nothing of it changes, and nothing leaves it (RFC 8216 4.3.3.5).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fixed: bool,
}

impl Listing {
    /// It lies so many microseconds later on the axis of its source.
    pub(crate) fn shift_by(&mut self, by: i64) {
        for place in self.listed.iter_mut().filter_map(|it| it.place.as_mut()) {
            *place = place.shifted_by(by);
        }
    }

    /// Its source keeps all that it ever had, and may go on.
    pub(crate) fn keeps_and_goes_on(&self) -> bool {
        self.whole && !self.fixed
    }

    /// Nothing is relayed of before `from`: a discontinuity there parts nothing.
    pub(crate) fn begins_at(&mut self, from: Place) {
        let until = |it: &&mut Offered| it.place.is_some_and(|place| place <= from);
        let listed = self.listed.iter_mut().filter(until);
        listed.for_each(|it| it.segment.discontinuity = false);
    }
}

/// What a list says of itself as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) target_duration: Span,
    pub(crate) head: Vec<Arc<str>>,
    /// What stands behind the last segment of a list that has ended.
    pub(crate) closing: Vec<Arc<str>>,
    pub(crate) independent_segments: bool,
    pub(crate) i_frames_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) playlist_type: Option<PlaylistType>,
    /// It keeps all that it ever had: by its type, or as it had ended before anybody asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) whole: bool,
    /// And has come to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) complete: bool,
    /// Nobody says where players are to begin: with its first segment, then, also while ours is not complete yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) begins_with_first: bool,
    /// The number of its first segment: what it says of its beginning is of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<u64>,
}

/// Reads a playlist; one from nowhere is refused.
pub(super) fn understand(
    base: &Url,
    body: &[u8],
    variables: Option<&Variables>,
) -> Result<Playlist, Refusal> {
    let context = Context {
        url: Some(base),
        variables,
    };
    playlist::parse_with(body, &context).map_err(Refusal::Playlist)
}

/// Where the newest list came from, and its URIs resolved: most of them stand in the next one as well.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolved {
    /// As it was told, and read.
    from: Option<(Arc<str>, Url)>,
    base: Arc<str>,
    uris: BTreeMap<Arc<str>, Address>,
}

/// Of so many URIs more than the newest list has those that have left it are forgotten.
const MOST_LEFT: usize = 8;

/// Where a segment is, and what it is called there.
#[derive(Clone, Debug)]
struct Address {
    url: Result<Arc<str>, FetchError>,
    path: Arc<str>,
}

impl Resolved {
    /// The URL that a list came from, read.
    pub(super) fn base(&mut self, url: &str) -> Result<Url, Refusal> {
        if let Some((_, base)) = self.from.as_ref().filter(|(told, _)| **told == *url) {
            return Ok(base.clone());
        }
        let base = Url::parse(url).map_err(|_| Refusal::BadBase(url.into()))?;
        self.from = Some((url.into(), base.clone()));
        Ok(base)
    }

    /// What a list that came from `base` offers.
    pub(super) fn offer(
        &mut self,
        base: &Url,
        segments: Vec<Segment>,
        now: Timestamp,
    ) -> Vec<Offered> {
        if *self.base != *base.as_str() {
            self.base = base.as_str().into();
            self.uris.clear();
        }
        if self.uris.len() > segments.len() + MOST_LEFT {
            let listed: BTreeSet<&str> = segments.iter().map(|it| &*it.uri).collect();
            self.uris.retain(|uri, _| listed.contains(&**uri));
        }
        let offer = |segment: Segment| {
            let known = self.uris.get(&segment.uri).cloned();
            let address = known.unwrap_or_else(|| {
                let address = Address::of(base, &segment.uri);
                let uri = Arc::clone(&segment.uri);
                self.uris.insert(uri, address.clone());
                address
            });
            offer(&self.base, segment, address, now)
        };
        segments.into_iter().map(offer).collect()
    }
}

impl Address {
    fn of(base: &Url, uri: &str) -> Self {
        let resolved = resolve(base, uri);
        let path = path_of(base, uri, resolved.as_ref().ok());
        let url = resolved.map(|url| String::from(url).into());
        Self { url, path }
    }
}

fn offer(base: &Arc<str>, mut segment: Segment, address: Address, now: Timestamp) -> Offered {
    segment.tags.retain(|line| !is_low_latency(line));
    Offered {
        identity: Identity {
            media_sequence: segment.media_sequence,
            path: address.path,
            byte_range: segment.byte_range.map(|range| (range.offset, range.length)),
            date_time: segment.date_time,
            discontinuity_sequence: segment.discontinuity_sequence,
            duration: segment.duration,
        },
        base: Arc::clone(base),
        url: address.url,
        segment,
        run: 0,
        first_listed: now,
        lag: Span::ZERO,
        broken: None,
        lost: None,
        place: None,
    }
}

/// What a segment is called, whichever server and folder the list was redirected to: below the list's
/// own folder by its place there, elsewhere by its whole path. Never with the query, nor with the
/// parameters of the last component (RFC 3986 3.3): both are places of tokens.
fn path_of(base: &Url, uri: &str, url: Option<&Url>) -> Arc<str> {
    let text = without_parameters(uri.split(['?', '#']).next().unwrap_or(uri));
    let absolute = text.starts_with('/') || text.contains("://");
    let Some(url) = url.filter(|_| absolute) else {
        return text.into();
    };
    let folder = base
        .path()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let below = url
        .path()
        .strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix('/'));
    without_parameters(below.unwrap_or(url.path())).into()
}

fn without_parameters(path: &str) -> &str {
    let file_at = path.rfind('/').map_or(0, |at| at + 1);
    match path[file_at..].find(';') {
        Some(at) if at > 0 => &path[..file_at + at],
        Some(_) | None => path,
    }
}

/// RFC 3986 5.2 against the URL that answered (C-34, C-35); http and https only (C-36).
pub(crate) fn resolve(base: &Url, uri: &str) -> Result<Url, FetchError> {
    let refused = || FetchError::BadUrl(excerpt(uri).into());
    let url = base.join(uri).map_err(|_| refused())?;
    let fetched = matches!(url.scheme(), "http" | "https");
    let fits = url.as_str().len() <= limits::MAX_URL_BYTES;
    if fetched && fits {
        Ok(url)
    } else {
        Err(refused())
    }
}

/// Lines that promise low latency, or name parts at the source: the relay plays such a source as an
/// ordinary one and must not promise what it does not do.
pub(super) fn is_low_latency(line: &str) -> bool {
    const TAGS: [&str; 6] = [
        "PART",
        "PART-INF",
        "SERVER-CONTROL",
        "PRELOAD-HINT",
        "RENDITION-REPORT",
        "SKIP",
    ];
    let tag = line
        .strip_prefix("#EXT-X-")
        .map(|rest| rest.split(':').next().unwrap_or(rest));
    tag.is_some_and(|tag| TAGS.contains(&tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_the_lists_is_forgotten() {
        let base = Url::parse("http://source.test/live/list.m3u8").unwrap();
        let mut resolved = Resolved::default();
        for number in 0..1_000 {
            let body = format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:{number}\n\
                 #EXTINF:6,\n{number}.ts\n#EXTINF:6,\n{}.ts\n",
                number + 1
            );
            let Ok(Playlist::Media(list)) = playlist::parse(body.as_bytes()) else {
                panic!("a media playlist");
            };
            let listed = resolved.offer(&base, list.segments, Timestamp::default());
            let url = format!("http://source.test/live/{number}.ts");
            assert_eq!(listed[0].url, Ok(url.as_str().into()));
            assert!(resolved.uris.len() <= listed.len() + MOST_LEFT + 1);
        }
    }
}
