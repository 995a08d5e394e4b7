//! Unit tests of the playlist module. Where a test shows a protocol rule, its name begins with the
//! rule's id.

mod attributes;
mod bandwidth;
mod date_range;
mod date_time;
mod guard;
mod head;
mod keys;
pub(super) mod multivariant;
mod render;
mod render_multivariant;
mod segments;
mod stored;
mod variables;

use super::*;

/// The first two lines that every media playlist here begins with.
const START: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n";

/// A media playlist that must be accepted.
fn media(text: &str) -> MediaPlaylist {
    match parse(text.as_bytes()) {
        Ok(Playlist::Media(playlist)) => playlist,
        Ok(Playlist::Multivariant(_)) => panic!("read as a multivariant playlist: {text}"),
        Err(error) => panic!("refused: {error}\n{text}"),
    }
}

/// The same behind [`START`].
fn list(lines: &str) -> MediaPlaylist {
    media(&format!("{START}{lines}"))
}

/// Why a text is refused.
fn refused(text: &str) -> PlaylistError {
    match parse(text.as_bytes()) {
        Err(error) => error,
        Ok(_) => panic!("accepted: {text}"),
    }
}

/// The same behind [`START`].
fn list_refused(lines: &str) -> PlaylistError {
    refused(&format!("{START}{lines}"))
}

/// The kinds of flaws of a list, in the order in which they were met.
fn flaws(playlist: &MediaPlaylist) -> Vec<FlawKind> {
    playlist.flaws.iter().map(|flaw| flaw.kind).collect()
}

fn texts(lines: &[Arc<str>]) -> Vec<&str> {
    lines.iter().map(|line| &**line).collect()
}

fn uris(playlist: &MediaPlaylist) -> Vec<&str> {
    playlist
        .segments
        .iter()
        .map(|segment| &*segment.uri)
        .collect()
}

fn micros(micros: u64) -> Span {
    Span::from_micros(micros)
}
