//! The live origin of the tests with real media: what it lists, and how it answers.

#[allow(dead_code, unreachable_pub)]
#[path = "stage/live_folder/mod.rs"]
mod live_folder;

use hls_relay_core::playlist::{MediaPlaylist, Playlist, PlaylistType, parse};
use hls_relay_core::time::{Span, WallTime};
use live_folder::{Course, LiveFolder, Shown, Ways, live, media};
use reqwest::{Client, Response};

const SHOWN: Shown = Shown {
    course: Course::Live,
    window: 6,
    behind: 0,
    counted_higher: 0,
    date_time: None,
};

fn vod(kind: &str) -> MediaPlaylist {
    let text = std::fs::read(media(kind).join("index.m3u8")).unwrap();
    media_playlist(&text)
}

fn media_playlist(text: &[u8]) -> MediaPlaylist {
    match parse(text).unwrap() {
        Playlist::Media(playlist) => playlist,
        Playlist::Multivariant(_) => panic!("a multivariant playlist"),
    }
}

fn at(vod: &MediaPlaylist, shown: &Shown, seconds: u64) -> MediaPlaylist {
    media_playlist(live(vod, shown, Span::from_secs(seconds)).as_bytes())
}

#[test]
fn the_window_slides_over_the_loop_and_begins_again_behind_a_discontinuity() {
    let vod = vod("fmp4");
    for seconds in 0..60 {
        let list = at(&vod, &SHOWN, seconds);
        assert_eq!(list.media_sequence, seconds / 2, "at {seconds} s");
        assert_eq!(list.segments.len(), 6);
        assert!(!list.end_list && list.playlist_type.is_none());
        for segment in &list.segments {
            let number = segment.media_sequence;
            let (round, place) = (number / 8, number % 8);
            let query = if round > 0 {
                format!("?round={round}")
            } else {
                String::new()
            };
            assert_eq!(&*segment.uri, format!("{place}.m4s{query}"));
            assert_eq!(
                segment.discontinuity_sequence,
                number / 8,
                "segment {number}"
            );
            assert_eq!(segment.discontinuity, number > 0 && number % 8 == 0);
            assert!(segment.map.is_some() && segment.date_time.is_none());
        }
    }
}

#[test]
fn an_event_keeps_what_it_listed_and_ends_as_the_vod_it_becomes() {
    let vod = vod("resized");
    let shown = |course| Shown { course, ..SHOWN };
    let whole = at(&vod, &shown(Course::Vod), 0);
    assert_eq!(whole.playlist_type, Some(PlaylistType::Vod));
    assert!(whole.end_list && whole.segments.len() == 16);
    for seconds in 0..40 {
        let list = at(&vod, &shown(Course::Event), seconds);
        assert_eq!(list.playlist_type, Some(PlaylistType::Event));
        assert_eq!(list.end_list, seconds >= 20, "at {seconds} s");
        let length = usize::try_from(seconds / 2 + 6).unwrap().min(16);
        assert_eq!(list.segments, whole.segments[..length]);
    }
}

#[test]
fn date_times_go_on_over_the_loops_border() {
    let vod = vod("audio");
    let first = WallTime::from_micros(1_700_000_000_000_000);
    let shown = Shown {
        date_time: Some(first),
        ..SHOWN
    };
    let mut expected = first;
    for number in 0..40 {
        let list = at(&vod, &shown, number * 2 + 1);
        let segment = list
            .segments
            .iter()
            .find(|it| it.media_sequence == number)
            .unwrap();
        assert_eq!(segment.date_time, Some(expected), "segment {number}");
        let duration = segment.duration.as_micros().cast_signed();
        expected = WallTime::from_micros(expected.as_micros() + duration);
    }
}

/// The IV of the first key follows from the number that a segment was encrypted under.
#[test]
fn ivs_by_number_are_said_once_the_number_is_another() {
    let vod = vod("aes128");
    for seconds in (0..60).step_by(2) {
        for segment in at(&vod, &SHOWN, seconds).segments {
            let (round, place) = (segment.media_sequence / 8, segment.media_sequence % 8);
            let key = &segment.keys[0];
            assert_eq!(
                key.uri(),
                Some(["key/0.key", "key/1.key"][usize::from(place >= 4)])
            );
            let iv = key
                .iv()
                .map(|iv| u128::from_str_radix(&iv[2..], 16).unwrap());
            match (place, round) {
                (0..4, 0) => assert_eq!(iv, None),
                (0..4, _) => assert_eq!(iv, Some(place.into())),
                _ => assert_eq!(iv, Some(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
            }
        }
    }
}

#[test]
fn a_list_may_be_behind_the_others() {
    let vod = vod("fmp4");
    let behind = Shown { behind: 3, ..SHOWN };
    for seconds in 6..60 {
        let (list, late) = (at(&vod, &SHOWN, seconds), at(&vod, &behind, seconds));
        assert_eq!(late.end_media_sequence() + 3, list.end_media_sequence());
    }
}

async fn get(origin: &LiveFolder, path: &str, headers: &[(&str, &str)]) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("http://{}/{path}", origin.address));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.send().await.unwrap()
}

/// The second round of sixteen seconds begins where the first one ended.
#[tokio::test]
async fn times_of_fragmented_mp4_and_subtitles_go_on() {
    let origin = LiveFolder::of("multi", Ways::default()).await;
    for (folder, rate) in [("video-180", 12_800), ("audio-en", 48_000)] {
        let first = get(&origin, &format!("{folder}/0.m4s"), &[]).await;
        let later = get(&origin, &format!("{folder}/0.m4s?round=1"), &[]).await;
        let (first, later) = (first.bytes().await.unwrap(), later.bytes().await.unwrap());
        assert_eq!(first.len(), later.len());
        let time = |bytes: &[u8], name: &[u8], skip: usize| {
            let at = bytes.windows(4).position(|four| four == name).unwrap() + 8 + skip;
            u64::from_be_bytes(*bytes[at..].first_chunk().unwrap())
        };
        for (name, skip) in [(b"tfdt", 0), (b"sidx", 8)] {
            let moved = time(&later, name, skip) - time(&first, name, skip);
            assert_eq!(moved, 16 * rate, "{folder}");
        }
    }
    let cues = get(&origin, "text-de/0.vtt?round=2", &[])
        .await
        .text()
        .await
        .unwrap();
    assert!(cues.contains("MPEGTS:2880000,LOCAL:00:00:00.000"), "{cues}");
}

#[tokio::test]
async fn ranges_are_answered_with_206_and_416_or_not_at_all() {
    let origin = LiveFolder::of("byterange", Ways::default()).await;
    let whole = std::fs::read(media("byterange").join("0.ts")).unwrap();
    let part = get(&origin, "0.ts", &[("range", "bytes=188-375")]).await;
    assert_eq!(part.status(), 206);
    let said = part.headers()["content-range"].to_str().unwrap().to_owned();
    assert_eq!(said, format!("bytes 188-375/{}", whole.len()));
    assert_eq!(part.bytes().await.unwrap(), whole[188..376]);
    let beyond = get(&origin, "0.ts", &[("range", "bytes=99999999-")]).await;
    assert_eq!(beyond.status(), 416);
    origin.change(|ways| ways.ignores_range = true);
    let ignored = get(&origin, "0.ts", &[("range", "bytes=188-375")]).await;
    assert_eq!(ignored.status(), 200);
    assert_eq!(ignored.bytes().await.unwrap(), whole);
    let answered: Vec<_> = origin.answered().iter().map(|it| it.status).collect();
    assert_eq!(answered, [206, 416, 200]);
}

#[tokio::test]
async fn keys_may_want_a_header_or_be_down() {
    let origin = LiveFolder::of("aes128", Ways::default()).await;
    assert_eq!(get(&origin, "key/0.key", &[]).await.status(), 200);
    origin.change(|ways| ways.key_header = Some(("x-token", "open")));
    assert_eq!(get(&origin, "key/0.key", &[]).await.status(), 403);
    assert_eq!(
        get(&origin, "key/0.key", &[("x-token", "open")])
            .await
            .status(),
        200
    );
    assert_eq!(get(&origin, "0.ts", &[]).await.status(), 200);
    origin.change(|ways| ways.keys_are_down = true);
    assert_eq!(
        get(&origin, "key/0.key", &[("x-token", "open")])
            .await
            .status(),
        503
    );
}

#[tokio::test]
async fn a_variant_dies_and_comes_back() {
    let origin = LiveFolder::of("multi", Ways::default()).await;
    for (dead, expected) in [(vec!["video-108"], 503), (vec![], 200)] {
        origin.change(|ways| ways.dead = dead);
        for path in ["video-108/index.m3u8", "video-108/0.m4s"] {
            assert_eq!(get(&origin, path, &[]).await.status(), expected, "{path}");
        }
        for path in ["index.m3u8", "video-180/index.m3u8", "audio-de/init.mp4"] {
            assert_eq!(get(&origin, path, &[]).await.status(), 200, "{path}");
        }
    }
    assert_eq!(get(&origin, "../fmp4/index.m3u8", &[]).await.status(), 404);
}
