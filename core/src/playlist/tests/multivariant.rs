//! Multivariant playlists.

use super::*;

pub(super) fn multivariant(text: &str) -> MultivariantPlaylist {
    match parse(text.as_bytes()) {
        Ok(Playlist::Multivariant(playlist)) => playlist,
        other => panic!("{other:?}"),
    }
}

fn variants(playlist: &MultivariantPlaylist) -> Vec<(u64, &str)> {
    playlist
        .variants
        .iter()
        .map(|variant| (variant.bandwidth, &*variant.uri))
        .collect()
}

#[test]
fn variants_and_renditions_are_read_with_their_uris() {
    let text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n# comment\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aac\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1280000,AVERAGE-BANDWIDTH=1000000,CODECS=\"avc1.4d401f,mp4a.40.2\",\
        RESOLUTION=1280x720,AUDIO=\"aac\"\n\n#EXT-X-OTHER\nlow/index.m3u8?t=1\n\
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n";
    let playlist = multivariant(text);
    assert_eq!(playlist.version, Some(6));
    assert!(playlist.independent_segments && playlist.flaws.is_empty());
    let variant = &playlist.variants[0];
    assert_eq!(variants(&playlist), [(1_280_000, "low/index.m3u8?t=1")]);
    assert_eq!(variant.average_bandwidth, Some(1_000_000));
    assert_eq!(
        variant.resolution,
        Some(Resolution {
            width: 1_280,
            height: 720
        })
    );
    assert_eq!(variant.codecs.as_deref(), Some("avc1.4d401f,mp4a.40.2"));
    assert_eq!(variant.audio.as_deref(), Some("aac"));
    assert!(playlist.lines[variant.tag_line].starts_with("#EXT-X-STREAM-INF:BANDWIDTH=1280000"));
    assert_eq!(&*playlist.lines[variant.uri_line], "low/index.m3u8?t=1");
    let rendition = &playlist.renditions[0];
    assert_eq!((&*rendition.kind, &*rendition.group_id), ("AUDIO", "aac"));
    assert_eq!(rendition.uri.as_deref(), Some("en.m3u8"));
    assert!(rendition.default);

    let typed = [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "",
    ];
    let others = text.lines().filter(|line| !typed.contains(line));
    assert_eq!(others.collect::<Vec<_>>(), texts(&playlist.lines));
}

#[test]
fn c_06_a_variant_that_cannot_be_used_takes_its_uri_with_it() {
    for bad in [
        "BANDWIDTH=2,REQ-FOO=\"x\"",
        "BANDWIDTH=2,FOO",
        "BANDWIDTH=2,BANDWIDTH=3",
        "BANDWIDTH=2,CODECS=\"open",
    ] {
        let playlist = multivariant(&format!(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\none\n#EXT-X-STREAM-INF:{bad}\ntwo\n\
             #EXT-X-STREAM-INF:BANDWIDTH=3\nthree\n",
        ));
        assert_eq!(variants(&playlist), [(1, "one"), (3, "three")], "{bad}");
        assert_eq!(playlist.flaws[0].kind, FlawKind::UnusableVariant);
    }
}

#[test]
fn c_54_sound_at_an_empty_uri_is_part_of_the_variant() {
    let playlist = multivariant(
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\none\n",
    );
    let [sound] = &playlist.renditions[..] else {
        panic!("{playlist:?}");
    };
    assert_eq!(sound.uri, None);
    assert_eq!(sound.attributes.get("URI"), None);
}

#[test]
fn a_variant_that_does_not_say_its_bit_rate_is_one_all_the_same() {
    for silent in ["CODECS=\"avc1\"", "BANDWIDTH=2.5", "BANDWIDTH=0"] {
        let playlist = multivariant(&format!(
            "#EXTM3U\n#EXT-X-STREAM-INF:{silent}\none\n#EXT-X-STREAM-INF:{silent}\ntwo\n",
        ));
        assert_eq!(variants(&playlist), [(0, "one"), (0, "two")], "{silent}");
        assert_eq!(playlist.flaws[0].kind, FlawKind::NoBandwidth);
        assert_eq!(
            playlist.first_alike(1),
            1,
            "nothing says that they are the same"
        );
    }
}

#[test]
fn c_06_uris_without_a_variant_and_variants_without_a_uri_mean_nothing() {
    let playlist = multivariant(
        "#EXTM3U\nstray\n#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-STREAM-INF:BANDWIDTH=2\ntwo\n\
         #EXT-X-MEDIA:TYPE=AUDIO\nstray\n#EXT-X-STREAM-INF:BANDWIDTH=4",
    );
    assert_eq!(variants(&playlist), [(2, "two")]);
    let found: Vec<_> = playlist
        .flaws
        .iter()
        .map(|flaw| (flaw.kind, flaw.count))
        .collect();
    let expected = [
        (FlawKind::NoFinalNewline, 1),
        (FlawKind::StrayUri, 2),
        (FlawKind::UnusableVariant, 3),
    ];
    assert_eq!(found, expected);
    assert!(playlist.renditions.is_empty());
}

#[test]
fn c_05_the_limits_of_a_media_playlist_hold_here_too() {
    let text = "#EXTM3U\n#EXT-X-VERSION:14\n#EXT-X-STREAM-INF:BANDWIDTH=1\none\n";
    assert!(matches!(
        refused(text),
        PlaylistError::UnsupportedVersion { .. }
    ));
    let text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-VERSION:4\n#EXT-X-STREAM-INF:BANDWIDTH=1\none\n";
    assert!(matches!(refused(text), PlaylistError::Conflict { .. }));
}
