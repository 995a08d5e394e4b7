//! Several tracks behind a multivariant playlist.

use super::*;

/// Two variants, the second two segments behind and numbered otherwise; a language with segments of its
/// own length; subtitles; I-frames.
fn presentation() -> PresentationSpec {
    let variant = |bandwidth, height| TrackSpec::new(TrackKind::Variant { bandwidth, height });
    let language = "en".to_owned();
    PresentationSpec {
        tracks: vec![
            variant(2_000_000, 720),
            TrackSpec {
                behind: 2,
                media_sequence: Some(500),
                ..variant(2_000_000, 360)
            },
            TrackSpec {
                durations: Some(SegmentDurations::Constant(Span::from_millis(1_920))),
                ..TrackSpec::new(TrackKind::Audio {
                    language: language.clone(),
                })
            },
            TrackSpec::new(TrackKind::Subtitles { language }),
            TrackSpec::new(TrackKind::IFrames {
                bandwidth: 90_000,
                height: 720,
            }),
        ],
        ..PresentationSpec::default()
    }
}

fn with_faults(presentation: PresentationSpec, faults: Vec<Fault>) -> Origin {
    Origin::new(OriginSpec {
        presentation: Some(presentation),
        faults,
        ..spec()
    })
}

fn get(origin: &Origin, at: Span, path: &str) -> OriginReply {
    origin.respond(at, &OriginRequest::get(format!("/live/{path}")))
}

fn list(origin: &Origin, at: Span, track: usize) -> String {
    text_of(get(origin, at, &format!("t{track}/index.m3u8")))
}

fn uris_in(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn the_multivariant_playlist_names_every_track() {
    let origin = with_faults(presentation(), Vec::new());
    let codecs = "CODECS=\"avc1.4d401f,mp4a.40.2\"";
    let groups = "FRAME-RATE=25.000,AUDIO=\"sound\",SUBTITLES=\"text\"";
    let english = "NAME=\"en\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES";
    let expected = [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        &format!("#EXT-X-STREAM-INF:BANDWIDTH=2000000,{codecs},RESOLUTION=1280x720,{groups}"),
        "t0/index.m3u8",
        &format!("#EXT-X-STREAM-INF:BANDWIDTH=2000000,{codecs},RESOLUTION=640x360,{groups}"),
        "t1/index.m3u8",
        &format!("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"sound\",{english},URI=\"t2/index.m3u8\""),
        &format!("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",{english},URI=\"t3/index.m3u8\""),
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,CODECS=\"avc1.4d401f\",RESOLUTION=1280x720,\
         URI=\"t4/index.m3u8\"",
    ];
    assert_eq!(
        text(&origin, Span::ZERO).lines().collect::<Vec<_>>(),
        expected
    );
    assert_eq!(get(&origin, Span::ZERO, "t5/index.m3u8").status, 404);
}

#[test]
fn every_segment_of_every_track_is_there_and_is_its_own() {
    let origin = with_faults(presentation(), Vec::new());
    let mut hashes = std::collections::BTreeSet::new();
    for track in 0..5 {
        let text = list(&origin, secs(20), track);
        assert_eq!(uris_in(&text).len(), 6);
        for uri in uris_in(&text) {
            let reply = get(&origin, secs(20), &format!("t{track}/{uri}"));
            assert_eq!(reply.status, 200, "track {track}: {uri}");
            let Body::Media { media, len, .. } = reply.body else {
                panic!("{reply:?}")
            };
            assert_eq!(usize::from(media.track), track);
            assert_eq!(origin.media_bytes(&media).len() as u64, len);
            assert!(hashes.insert(media.hash));
        }
    }
    let text = list(&origin, secs(20), 3);
    let reply = get(&origin, secs(20), &format!("t3/{}", uris_in(&text)[0]));
    assert_eq!(reply.headers.content_type, Some("text/vtt"));
    assert!(list(&origin, secs(20), 4).contains("#EXT-X-I-FRAMES-ONLY\n"));
}

#[test]
fn the_first_track_is_what_the_origin_would_be_without_the_others() {
    let alone = Origin::new(spec());
    let origin = with_faults(presentation(), Vec::new());
    let media = |origin: &Origin| {
        let offered = origin.segments_offered(secs(60));
        offered.iter().map(|it| it.media).collect::<Vec<_>>()
    };
    assert_eq!(media(&alone), media(origin.track(0)));
}

#[test]
fn tracks_share_a_timeline_and_are_out_of_step_as_told() {
    let origin = with_faults(presentation(), Vec::new());
    let offered = |track| origin.track(track).segments_offered(secs(60));
    let newest = |track| offered(track).pop().unwrap();
    assert_eq!(newest(0).starts, newest(1).starts + secs(4));
    assert_eq!(newest(1).media.number, 500 + newest(0).media.number - 2);
    // What begins at the same moment has the same presentation time.
    let zero = |it: &Offered| it.starts.as_micros() - it.media.start_tick as i64 * 100 / 9;
    let expected = zero(&newest(0));
    for track in 0..5 {
        for segment in offered(track) {
            assert!(
                zero(&segment).abs_diff(expected) < 12,
                "{track}: {segment:?}"
            );
        }
    }
}

#[test]
fn s_27_a_discontinuity_cuts_all_tracks_at_one_moment() {
    let kind = EncoderFault::DiscontinuityWithTimestampJump { ticks: 900_000 };
    let origin = with_faults(presentation(), vec![Fault::new(secs(11), secs(1), kind)]);
    let cut = |track| {
        let offered = origin.track(track).segments_offered(secs(40));
        let at = offered.iter().position(|it| it.discontinuity).unwrap();
        let (before, first) = (&offered[at - 1], &offered[at]);
        assert_eq!(before.starts + before.media.duration, first.starts);
        assert_eq!(before.media.number + 1, first.media.number);
        (first.starts, first.media.start_tick)
    };
    for track in 1..5 {
        assert_eq!(cut(track), cut(0), "track {track}");
    }
}

#[test]
fn a_restart_begins_all_tracks_at_its_number() {
    for (media_sequence, names) in [(170, Names::New), (0, Names::Same)] {
        let kind = EncoderFault::Restart {
            media_sequence,
            names,
        };
        let origin = Origin::new(OriginSpec {
            media_sequence: 100,
            presentation: Some(presentation()),
            faults: vec![Fault::new(secs(11), secs(1), kind)],
            ..spec()
        });
        for track in 0..5 {
            let offered = origin.track(track).segments_offered(secs(40));
            let first = offered.iter().find(|it| it.media.run == 1).unwrap();
            assert_eq!(first.media.number, media_sequence, "track {track}");
        }
    }
}

#[test]
fn a_track_that_dies_leaves_the_others_alone_and_returns() {
    let dies = |kind: FaultKind| Fault::new(secs(10), secs(10), kind).of_track(1);
    let playlist = PlaylistFault::Status { code: 503 };
    let segments = SegmentFault::Missing { which: Which::All };
    let faults = vec![dies(playlist.into()), dies(segments.into())];
    let origin = with_faults(presentation(), faults);
    let status = |at, path: &str| get(&origin, at, path).status;
    for (at, expected) in [(secs(9), 200), (secs(10), 503), (secs(20), 200)] {
        assert_eq!(status(at, "t1/index.m3u8"), expected);
        assert_eq!(status(at, "t0/index.m3u8"), 200);
        assert_eq!(status(at, "index.m3u8"), 200);
    }
    assert_eq!(status(secs(9), "t1/seg505.ts"), 200);
    assert_eq!(status(secs(10), "t1/seg505.ts"), 404);
    assert_eq!(status(secs(10), "t0/seg5.ts"), 200);
}

#[test]
fn a_track_that_falls_behind_never_goes_back() {
    let falls = Fault::new(secs(10), secs(20), ViewFault::FallBehind { by: 3 }).of_track(0);
    let origin = with_faults(presentation(), vec![falls]);
    let newest = |at: u64| {
        let text = list(&origin, secs(at), 0);
        let last = uris_in(&text).pop().unwrap().to_owned();
        last[3..last.len() - 3].parse::<u64>().unwrap()
    };
    let seen = [8, 10, 15, 16, 18, 28, 30].map(newest);
    assert_eq!(seen, [9, 10, 10, 10, 11, 16, 20]);
}

#[test]
fn byte_ranges_of_one_file_follow_each_other() {
    let files = PresentationSpec {
        segments_per_file: Some(4),
        ..presentation()
    };
    let origin = with_faults(files, Vec::new());
    let text = list(&origin, secs(20), 0);
    let ranges = text
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:"));
    let mut ends = BTreeMap::new();
    for (range, uri) in ranges.zip(uris_in(&text)) {
        let (len, offset) = range.split_once('@').unwrap();
        let (len, offset): (u64, u64) = (len.parse().unwrap(), offset.parse().unwrap());
        if let Some(end) = ends.insert(uri.to_owned(), offset + len) {
            assert_eq!(offset, end, "{uri}");
        }
        let request = OriginRequest {
            range: Some((offset, Some(offset + len - 1))),
            ..OriginRequest::get(format!("/live/t0/{uri}"))
        };
        let reply = origin.respond(secs(20), &request);
        assert_eq!((reply.status, reply.body.len()), (206, len));
        assert_eq!(reply.headers.content_range.map(|it| it.0), Some(offset));
    }
    assert!(ends.len() == 2 || ends.len() == 3, "{ends:?}");
}

#[test]
fn keys_rotate_and_their_server_can_be_down() {
    let encrypted = PresentationSpec {
        container: Container::Fragments,
        segments_per_key: Some(2),
        ..presentation()
    };
    let down = Fault::new(
        secs(10),
        secs(60),
        PresentationFault::KeysDown { code: 500 },
    );
    let origin = with_faults(encrypted, vec![down]);
    let text = list(&origin, Span::ZERO, 0);
    let head: Vec<&str> = text.lines().filter(|line| line.contains("URI=")).collect();
    let expected = [
        "#EXT-X-MAP:URI=\"init0-0.mp4\"",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"r0-0.key\"",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"r0-1.key\"",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"r0-2.key\"",
    ];
    assert_eq!(head, expected);
    assert!(text.contains("seg0.m4s\n"));
    let key = |at, name: &str| get(&origin, at, &format!("t0/{name}"));
    assert_eq!(key(secs(9), "r0-0.key").body.len(), 16);
    assert_ne!(key(secs(9), "r0-0.key").body, key(secs(9), "r0-1.key").body);
    assert_eq!(key(secs(10), "r0-0.key").status, 500);
    assert_eq!(key(secs(70), "r0-0.key").status, 200);
}

#[test]
fn an_init_section_changes_under_its_name() {
    let fragments = PresentationSpec {
        container: Container::Fragments,
        ..presentation()
    };
    let changes = Fault::new(secs(10), secs(1), PresentationFault::InitSectionsChange);
    let origin = with_faults(fragments, vec![changes]);
    let init = |at, track: u16| {
        let reply = get(&origin, at, &format!("t{track}/init0-0.mp4"));
        assert_eq!(reply.headers.content_type, Some("video/mp4"));
        let Body::Media { media, .. } = reply.body else {
            panic!("{reply:?}")
        };
        origin.media_bytes(&media)
    };
    assert_eq!(init(secs(1), 0), init(secs(9), 0));
    assert_ne!(init(secs(9), 0), init(secs(10), 0));
    assert_eq!(init(secs(10), 0), init(secs(90), 0));
    assert_ne!(init(secs(1), 0), init(secs(1), 1));
}

#[test]
fn tokens_are_refused_from_when_they_expire_until_the_list_of_tracks_is_loaded_again() {
    let tokens = PresentationSpec {
        expiring_tokens: true,
        ..presentation()
    };
    for code in [401, 403, 410] {
        let kind = PresentationFault::TokensExpire { code };
        let origin = with_faults(tokens.clone(), vec![Fault::new(secs(10), secs(1), kind)]);
        let track = |at| uris_in(&text(&origin, at))[0].to_owned();
        let segment = |at, track: &str| {
            let text = text_of(get(&origin, at, track));
            format!("t0/{}", uris_in(&text).pop().unwrap())
        };
        let old = track(secs(9));
        assert_eq!(old, "t0/index.m3u8?issued=9000000");
        let old_segment = segment(secs(9), &old);
        assert_eq!(get(&origin, secs(9), &old_segment).status, 200);
        for path in [old.as_str(), &old_segment, "t0/index.m3u8"] {
            assert_eq!(get(&origin, secs(10), path).status, code, "{path}");
        }
        let new = track(secs(10));
        let new_segment = segment(secs(11), &new);
        assert_eq!(get(&origin, secs(11), &new_segment).status, 200);
        assert_eq!(get(&origin, secs(99), &old).status, code);
        assert_eq!(get(&origin, secs(99), &new).status, 200);
    }
}

#[test]
fn another_view_is_an_alternative_to_the_pictures_of_all_variants() {
    let mut spec = presentation();
    spec.packed_audio = true;
    let view = "left".to_owned();
    spec.tracks.push(TrackSpec::new(TrackKind::Video { view }));
    let origin = with_faults(spec, Vec::new());
    let text = text_of(get(&origin, secs(0), "index.m3u8"));
    let own = "TYPE=VIDEO,GROUP-ID=\"views\",NAME=\"own\",DEFAULT=YES,AUTOSELECT=YES\n";
    let left = "TYPE=VIDEO,GROUP-ID=\"views\",NAME=\"left\",URI=\"t5/index.m3u8\"\n";
    assert!(text.contains(own) && text.contains(left), "{text}");
    let mut variants = text.lines().filter(|it| it.starts_with("#EXT-X-STREAM"));
    assert!(variants.all(|it| it.contains(",VIDEO=\"views\"")));
    assert!(list(&origin, secs(0), 5).contains("seg3.ts\n"));
    assert!(list(&origin, secs(0), 2).contains("seg3.aac\n"));
    let sound = get(&origin, secs(0), "t2/seg3.aac");
    assert_eq!(sound.headers.content_type, Some("audio/aac"));
}

#[test]
fn what_another_place_has_listed_of_the_same_media_is_offered() {
    let mut presentation = presentation();
    let first = TrackSpec {
        behind: 0,
        ..presentation.tracks[1].clone()
    };
    presentation.tracks.push(first);
    let origin = with_faults(presentation, Vec::new());
    let at = Span::from_secs(60);
    let newest = |track| {
        let listed = list(&origin, at, track);
        let name = listed.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let path = format!("/live/t{track}/{name}");
        origin.segment_at(at, &OriginRequest::get(path)).unwrap()
    };
    let [behind, first] = [newest(1), newest(5)].map(|it| it.number);
    assert_eq!(behind + 2, first);
    let offered = origin.track(1).segments_numbered(&(behind..first + 9), at);
    let numbers = offered.iter().map(|it| it.media.number);
    assert!(numbers.eq(behind..=first));
}
