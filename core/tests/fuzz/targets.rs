//! What is fuzzed, one function a target: they take any bytes, and panic where a promise is broken.
//!
//! `fuzz/` gives them to libFuzzer, and [`super`] goes through what is kept.

use crate::support::{Bench, SEC, URL, media, multivariant, spec};
use hls_relay_core::event::FetchError;
use hls_relay_core::playlist::{
    MultivariantEdits, Playlist, PlaylistError, parse, render, render_multivariant,
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What parts the bodies of a series.
const BETWEEN: &[u8] = b"\n----\n";

/// A body is read or refused; what is written of it is read as the same, and written the same again.
pub(crate) fn playlist(body: &[u8]) {
    let playlist = match parse(body) {
        Ok(playlist) => playlist,
        Err(PlaylistError::ReadersDisagree { line }) => {
            panic!("the readers disagree on line {line}")
        }
        Err(error) => {
            let told = error.to_string();
            assert!(
                told.chars().count() < 400 && !told.contains(char::is_control),
                "{told}"
            );
            return;
        }
    };
    let text = written(&playlist);
    if matches!(&playlist, Playlist::Multivariant(list) if list.variants.is_empty()) {
        // None of its variants can be used: nothing of it is ever published.
        return;
    }
    let again = parse(text.as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{error} in\n{text}"));
    assert_eq!(written(&again), text);
    match (&playlist, &again) {
        (Playlist::Media(list), Playlist::Media(again)) => {
            assert_eq!(list.end_list, again.end_list);
            assert_eq!(list.media_sequence, again.media_sequence);
            assert_eq!(list.segments.len(), again.segments.len());
            for (before, after) in list.segments.iter().zip(&again.segments) {
                assert_eq!(before.duration, after.duration);
                assert_eq!(before.byte_range, after.byte_range);
                assert_eq!(before.date_time, after.date_time);
                assert_eq!(before.discontinuity_sequence, after.discontinuity_sequence);
                assert_eq!((before.gap, &before.keys), (after.gap, &after.keys));
                assert_eq!(before.tags.len(), after.tags.len());
            }
        }
        (Playlist::Multivariant(list), Playlist::Multivariant(again)) => {
            assert_eq!(list.variants.len(), again.variants.len());
        }
        (Playlist::Media(_), _) | (Playlist::Multivariant(_), _) => panic!("another kind:\n{text}"),
    }
}

fn written(playlist: &Playlist) -> String {
    match playlist {
        Playlist::Media(list) => render(list),
        Playlist::Multivariant(list) => render_multivariant(list, &MultivariantEdits::default()),
    }
}

/// A series of bodies, parted by `----` lines, is what a source answers, load by load; an empty one is
/// an error of its server. Whatever they are, what is published keeps every rule of the checker.
pub(crate) fn reloads(series: &[u8]) {
    let mut bodies = parts(series);
    bodies.truncate(16);
    let several = series.windows(10).any(|it| it == b"STREAM-INF");
    // What a multivariant playlist says against the rules stays as the source says it.
    let is_faulty = |body: &Vec<u8>| match std::str::from_utf8(body) {
        Ok(text) => text.contains("STREAM-INF") && multivariant::check(text).is_err(),
        Err(_) => true,
    };
    let free_entry = bodies.iter().any(is_faulty);
    let last = bodies.len() - 1;
    let (served, loads) = (bodies, AtomicUsize::new(0));
    let mut bench = Bench::new(Box::new(|_, _| Err(FetchError::Status(503))));
    bench.raw = Box::new(move |_, _| {
        let load = loads.fetch_add(1, Ordering::Relaxed);
        let body = &served[load.min(last)];
        (!body.is_empty()).then(|| body.clone())
    });
    bench.content = Box::new(|_, url| url.to_owned());
    bench.checker.several = several;
    bench.checker.lying_dates = true;
    bench.checker.free_date_ranges = true;
    // Bodies that are refused make holes and late versions, in ways that a viewer cannot tell.
    bench.checker.free_pace = true;
    bench.checker.free_entry = free_entry;
    bench.now = 20 * SEC;
    bench.run(spec(&[URL]));
    bench.pass(80 * SEC);
    for playlist in bench.published.iter().flat_map(|(_, it)| &it.playlists) {
        if !(several && playlist.text.contains("STREAM-INF")) {
            media(&playlist.text);
        }
    }
}

fn parts(series: &[u8]) -> Vec<Vec<u8>> {
    let (mut parts, mut rest) = (Vec::new(), series);
    while let Some(at) = rest.windows(BETWEEN.len()).position(|it| it == BETWEEN) {
        // The line end before the mark is the body's own.
        parts.push(rest[..if at == 0 { 0 } else { at + 1 }].to_vec());
        rest = &rest[at + BETWEEN.len()..];
    }
    parts.push(rest.to_vec());
    parts
}
