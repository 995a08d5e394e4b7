//! A VOD playlist as a live one: a window that slides over it and begins again behind a
//! discontinuity; or as one that keeps all of it and ends. What the list says is a function of the time.

use hls_relay_core::playlist::{Key, MediaPlaylist, PlaylistType, Segment, render};
use hls_relay_core::time::{Span, WallTime};

/// Rounds of the loop in a list that ends.
const ROUNDS: u64 = 2;

/// How a list goes on.
#[derive(Clone, Copy, Debug, Default)]
pub enum Course {
    /// Its window slides, for ever.
    #[default]
    Live,
    /// It grows as the live one does, and nothing leaves it before it ends, nor then.
    Event,
    /// It is whole from the beginning.
    Vod,
}

/// How a list is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    pub course: Course,
    /// Segments in the list, and those that are listed at time zero.
    pub window: usize,
    /// How many segments the encoder is behind that of the other lists.
    pub behind: usize,
    /// It counts its segments higher by so many than the others do.
    pub counted_higher: u64,
    /// The date of the first segment; without it no segment has one.
    pub date_time: Option<WallTime>,
}

/// The text of the list when it has been there for so long.
pub fn live(vod: &MediaPlaylist, shown: &Shown, elapsed: Span) -> String {
    let window = shown.window as u64;
    let head_start: Span = (0..shown.window)
        .map(|at| nth(vod, at as u64).duration)
        .sum();
    let position = Span::from_micros(elapsed.as_micros() + head_start.as_micros());
    let made = finished(vod, position)
        .saturating_sub(shown.behind as u64)
        .max(1);
    let all = ROUNDS * vod.segments.len() as u64;
    let (playlist_type, first, end) = match shown.course {
        Course::Live => (None, made.saturating_sub(window), made),
        Course::Event => (Some(PlaylistType::Event), 0, made.min(all)),
        Course::Vod => (Some(PlaylistType::Vod), 0, all),
    };
    let segments: Vec<_> = (first..end)
        .map(|number| segment(vod, shown, number))
        .collect();
    let head = &segments[0];
    render(&MediaPlaylist {
        media_sequence: head.media_sequence,
        discontinuity_sequence: head.discontinuity_sequence - u64::from(head.discontinuity),
        playlist_type,
        end_list: playlist_type.is_some() && end == all,
        segments,
        ..vod.clone()
    })
}

/// How many segments are finished at a place of the endless timeline.
fn finished(vod: &MediaPlaylist, position: Span) -> u64 {
    let count = vod.segments.len() as u64;
    let length = vod.duration().as_micros();
    let (rounds, mut rest) = (position.as_micros() / length, position.as_micros() % length);
    let durations = vod
        .segments
        .iter()
        .map(|segment| segment.duration.as_micros());
    let whole = durations.take_while(|duration| {
        let fits = *duration <= rest;
        rest = rest.saturating_sub(*duration);
        fits
    });
    rounds * count + whole.count() as u64
}

fn nth(vod: &MediaPlaylist, number: u64) -> &Segment {
    let count = vod.segments.len() as u64;
    &vod.segments[usize::try_from(number % count).unwrap()]
}

fn segment(vod: &MediaPlaylist, shown: &Shown, number: u64) -> Segment {
    let original = nth(vod, number);
    let count = vod.segments.len() as u64;
    let round = number / count;
    let begins = round * vod.duration().as_micros()
        + vod.segments[..usize::try_from(number % count).unwrap()]
            .iter()
            .map(|segment| segment.duration.as_micros())
            .sum::<u64>();
    let again = round > 0;
    let keys = original.keys.iter().map(|key| match again {
        true => with_iv(key, original.media_sequence),
        false => key.clone(),
    });
    Segment {
        uri: match again {
            true => format!("{}?round={round}", original.uri).into(),
            false => original.uri.clone(),
        },
        media_sequence: vod.media_sequence + shown.counted_higher + number,
        discontinuity: again && number.is_multiple_of(count),
        discontinuity_sequence: round,
        date_time: shown
            .date_time
            .map(|first| WallTime::from_micros(first.as_micros() + begins.cast_signed())),
        keys: keys.collect(),
        ..original.clone()
    }
}

/// A segment keeps the IV that it was encrypted with when its number has become another one.
fn with_iv(key: &Key, media_sequence: u64) -> Key {
    if key.iv().is_some() {
        return key.clone();
    }
    let iv = format!("0x{media_sequence:032x}");
    Key {
        attributes: key.attributes.with_plain("IV", &iv),
    }
}
