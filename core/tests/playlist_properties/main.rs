//! Properties of the playlist module, over hand-written, mutated and generated playlists.
//!
//! - `files`: what each playlist of `testdata/playlists` says
//! - `generate`: models as a publisher may make them
//! - `mutate`: playlists as a hostile or broken origin may send them
//! - `accounting`: every line of an accepted body is found again, in order
//! - `referee`: two other parsers read the same text

mod accounting;
mod files;
mod generate;
mod mutate;
mod referee;

use hls_relay_core::playlist::{FlawKind, MediaPlaylist, Playlist, PlaylistError, parse, render};
use proptest::prelude::*;
use std::sync::Arc;

/// Name and bytes of each playlist of `testdata/playlists`.
const FILES: [(&str, &[u8]); 10] = [
    (
        "live",
        include_bytes!("../../../testdata/playlists/live.m3u8"),
    ),
    (
        "vod",
        include_bytes!("../../../testdata/playlists/vod.m3u8"),
    ),
    (
        "event",
        include_bytes!("../../../testdata/playlists/event.m3u8"),
    ),
    (
        "keys",
        include_bytes!("../../../testdata/playlists/keys.m3u8"),
    ),
    (
        "byte_ranges",
        include_bytes!("../../../testdata/playlists/byte_ranges.m3u8"),
    ),
    (
        "i_frames",
        include_bytes!("../../../testdata/playlists/i_frames.m3u8"),
    ),
    (
        "low_latency",
        include_bytes!("../../../testdata/playlists/low_latency.m3u8"),
    ),
    (
        "vendor",
        include_bytes!("../../../testdata/playlists/vendor.m3u8"),
    ),
    (
        "flawed",
        include_bytes!("../../../testdata/playlists/flawed.m3u8"),
    ),
    (
        "multivariant",
        include_bytes!("../../../testdata/playlists/multivariant.m3u8"),
    ),
];

fn media(body: &[u8]) -> MediaPlaylist {
    match parse(body) {
        Ok(Playlist::Media(playlist)) => playlist,
        other => panic!("no media playlist: {other:?}"),
    }
}

/// The same list as the writer orders it: of the kept lines of a segment, parts come last.
fn in_written_order(mut playlist: MediaPlaylist) -> MediaPlaylist {
    let place = |line: &Arc<str>| match line.split([':', ' ', '\t']).next() {
        Some("#EXT-X-PART") => 1,
        _ => 0,
    };
    for segment in &mut playlist.segments {
        segment.tags.sort_by_key(place);
    }
    playlist
}

/// Checks that what is written says the same as `playlist`, flaws and the stated version aside.
fn check_round_trip(playlist: &MediaPlaylist) -> Result<(), TestCaseError> {
    let written = render(playlist);
    prop_assert_eq!(&render(playlist), &written, "not the same each time");
    let mut again = media(written.as_bytes());
    // A date that was counted is written, and then has a text.
    for (segment, before) in again.segments.iter_mut().zip(&playlist.segments) {
        if before.date_time_text.is_none() {
            segment.date_time_text = None;
        }
    }
    again.version = playlist.version;
    again.flaws = playlist.flaws.clone();
    prop_assert_eq!(
        again,
        in_written_order(playlist.clone()),
        "written as\n{}",
        written
    );
    Ok(())
}

/// Everything that must hold for whatever an origin sends.
fn check_body(body: &[u8]) -> Result<(), TestCaseError> {
    match parse(body) {
        Ok(Playlist::Media(playlist)) => {
            accounting::check(body, &playlist)?;
            referee::check_reading(body, &playlist)?;
            // A TAB is a control character: it is read, and never written.
            if playlist.flaws.iter().all(|flaw| flaw.kind != FlawKind::Tab) {
                check_round_trip(&playlist)?;
            }
        }
        Ok(Playlist::Multivariant(playlist)) => {
            let text = std::str::from_utf8(body).expect("accepted text is UTF-8");
            for variant in &playlist.variants {
                prop_assert!(
                    text.lines()
                        .any(|line| line.trim_matches([' ', '\t']) == &*variant.uri)
                );
                prop_assert_eq!(&playlist.lines[variant.uri_line], &variant.uri);
            }
        }
        Err(PlaylistError::ReadersDisagree { line }) => {
            return Err(TestCaseError::fail(format!(
                "the readers disagree on line {line}"
            )));
        }
        Err(error) => {
            let message = error.to_string();
            prop_assert!(message.chars().count() < 400, "{}", message);
            prop_assert!(!message.contains(char::is_control), "{}", message);
        }
    }
    Ok(())
}

#[test]
fn every_file_and_every_beginning_of_it_is_read_safely() {
    for (name, body) in FILES {
        for end in 0..=body.len() {
            check_body(&body[..end]).unwrap_or_else(|error| panic!("{name}, {end} bytes: {error}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn what_is_written_is_read_again(playlist in generate::playlist()) {
        let written = render(&playlist);
        let again = media(written.as_bytes());
        prop_assert!(again.flaws.is_empty(), "{:?}\n{}", again.flaws, written);
        check_round_trip(&playlist)?;
        accounting::check(written.as_bytes(), &again)?;
        referee::check_reading(written.as_bytes(), &again)?;
    }

    #[test]
    fn s_63_the_text_is_clean(playlist in generate::playlist()) {
        let written = render(&playlist);
        prop_assert!(written.starts_with("#EXTM3U\n#EXT-X-VERSION:"));
        prop_assert!(written.ends_with('\n') && !written.contains("\n\n"));
        prop_assert!(!written.chars().any(|character| character != '\n' && character.is_control()));
    }

    #[test]
    fn m3u8_rs_reads_what_is_written(playlist in generate::playlist()) {
        referee::check_writing(&playlist)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn broken_playlists_are_read_safely(body in mutate::mutated_file()) {
        check_body(&body.0)?;
    }

    #[test]
    fn lines_in_any_order_are_read_safely(body in mutate::shuffled_lines()) {
        check_body(&body.0)?;
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_safely(body in prop::collection::vec(any::<u8>(), 0..400)) {
        check_body(&body)?;
        let behind_a_header = [b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n", &*body].concat();
        check_body(&behind_a_header)?;
    }
}
