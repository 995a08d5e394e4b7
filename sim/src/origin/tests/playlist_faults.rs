//! What may be wrong with the playlist: the version that is seen, its text, its reply.

use super::*;

#[test]
fn a_frozen_playlist_is_the_one_from_before() {
    let origin = with(ViewFault::Freeze);
    let frozen = text(&origin, secs(10));
    assert_eq!(text(&origin, Span::from_millis(19_999)), frozen);
    assert_eq!(summary(&origin, secs(20)), "10 to seg15.ts");
    assert_eq!(
        segment(&origin, secs(19), "seg14.ts").status,
        200,
        "only the playlist is frozen"
    );
}

#[test]
fn a_playlist_goes_backwards_and_comes_back() {
    let origin = with(ViewFault::GoBackwards { by: 3 });
    assert_eq!(summary(&origin, secs(9)), "4 to seg9.ts");
    assert_eq!(summary(&origin, secs(10)), "2 to seg7.ts");
    assert_eq!(summary(&origin, secs(20)), "10 to seg15.ts");
}

#[test]
fn two_edges_take_turns() {
    let origin = with(ViewFault::TwoEdges { lag: 1 });
    let last = |at, sequence| load_again(&origin, at, sequence).listed.unwrap().last;
    assert_eq!(
        [0, 1, 2, 3].map(|sequence| last(secs(12), sequence)),
        [11, 10, 11, 10]
    );
    assert_eq!([0, 1].map(|sequence| last(secs(9), sequence)), [9, 9]);
}

#[test]
fn tokens_rotate_while_the_fault_lasts() {
    let origin = with(TextFault::RotatingTokens);
    let body = |at, sequence| load_again(&origin, at, sequence).body;
    assert_ne!(body(secs(10), 0), body(secs(10), 1));
    assert_eq!(body(secs(9), 0), body(secs(9), 1));
}

#[test]
fn what_is_listed_meanwhile_cannot_be_asked_for_and_stays_so() {
    let origin = with(TextFault::ForeignScheme);
    let foreign = |at| {
        let uris = uris(&origin, secs(at));
        let foreign = uris.iter().filter(|uri| uri.starts_with("ftp://"));
        foreign.cloned().collect::<Vec<_>>()
    };
    assert_eq!(foreign(9), [""; 0]);
    assert_eq!(foreign(11), ["ftp://elsewhere.test/live/seg10.ts"]);
    let five = (10..15).map(|number| format!("ftp://elsewhere.test/live/seg{number}.ts"));
    assert_eq!(foreign(20), five.collect::<Vec<_>>());
    let offered = origin.segments_offered(secs(30));
    let fetchable = |number: u64| offered.iter().find(|it| it.media.number == number);
    let fetchable = [9, 10, 14, 15].map(|number| fetchable(number).map(|it| it.fetchable));
    assert_eq!(
        fetchable,
        [Some(true), Some(false), Some(false), Some(true)]
    );
}

#[test]
fn a_version_is_claimed() {
    let origin = with(TextFault::Version { version: 14 });
    assert!(text(&origin, secs(10)).contains("#EXT-X-VERSION:14\n"));
    assert!(text(&origin, secs(9)).contains("#EXT-X-VERSION:3\n"));
}

#[test]
fn tags_come_twice() {
    let lines = |agree, tag| {
        let text = text(&with(TextFault::DuplicateTags { agree }), secs(10));
        text.lines()
            .filter_map(|line| line.strip_prefix(tag))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(true, "#EXT-X-TARGETDURATION:"), ["2", "2"]);
    assert_eq!(lines(false, "#EXT-X-TARGETDURATION:"), ["2", "3"]);
    assert_eq!(lines(false, "#EXT-X-MEDIA-SEQUENCE:"), ["5", "6"]);
}

#[test]
fn bytes_that_are_no_text() {
    let body = |kind: TextFault, at| load(&with(kind), at).body;
    let Body::Bytes(bytes) = body(TextFault::NotUtf8, secs(10)) else {
        panic!("bytes")
    };
    assert!(bytes.starts_with(b"#EXTM3U\n") && String::from_utf8(bytes).is_err());
    let Body::Text(text) = body(TextFault::NulByte, secs(10)) else {
        panic!("text")
    };
    assert!(text.contains('\0'));
    let Body::Text(text) = body(TextFault::ByteOrderMark, secs(10)) else {
        panic!("text")
    };
    assert!(text.starts_with("\u{feff}#EXTM3U\n"));
    for kind in [
        TextFault::NotUtf8,
        TextFault::NulByte,
        TextFault::ByteOrderMark,
    ] {
        assert_eq!(
            body(kind, secs(9)),
            load(&Origin::new(spec()), secs(9)).body
        );
    }
}

#[test]
fn fifty_megabytes_of_tags_take_no_room() {
    let body = load(&with(TextFault::HugeTags { bytes: 50_000_000 }), secs(10)).body;
    let Body::Repeat { head, unit, times } = &body else {
        panic!("{body:?}")
    };
    assert!(head.starts_with(b"#EXTM3U\n") && unit.starts_with(b"#EXT-X-") && *times > 1_000);
    assert!(body.len().abs_diff(50_000_000) < 20_000);
}

#[test]
fn a_status_in_place_of_the_playlist() {
    let origin = with(PlaylistFault::Status { code: 500 });
    assert_eq!(
        [9, 10, 20].map(|at| load(&origin, secs(at)).status),
        [200, 500, 200]
    );
    assert_eq!(segment(&origin, secs(10), "seg10.ts").status, 200);
}

#[test]
fn a_page_for_people() {
    let reply = load(&with(PlaylistFault::Html200), secs(10));
    assert_eq!(reply.headers.content_type, Some("text/html; charset=utf-8"));
    assert!(text_of(reply).starts_with("<!DOCTYPE html>"));
}

#[test]
fn an_empty_body() {
    let reply = load(&with(PlaylistFault::EmptyBody), secs(10));
    assert_eq!((reply.status, reply.body), (200, Body::Empty));
}

#[test]
fn a_redirect_without_end() {
    let origin = with(PlaylistFault::RedirectLoop);
    let mut path = "/live/index.m3u8".to_owned();
    for hop in 1..=30 {
        let reply = origin.respond(secs(10), &OriginRequest::get(path));
        assert_eq!(reply.status, 302);
        let location = reply.headers.location.unwrap();
        path = location
            .strip_prefix("http://origin.test")
            .unwrap()
            .to_owned();
        assert_eq!(path, format!("/live/index.m3u8?hop={hop}"));
    }
    assert_eq!(load(&origin, secs(9)).status, 200);
}

#[test]
fn a_redirect_to_another_host_where_all_stands_in_another_folder() {
    let origin = with(PlaylistFault::RedirectToOtherHost);
    let reply = load(&origin, secs(10));
    let location = reply.headers.location.as_deref();
    assert_eq!(
        (reply.status, location),
        (302, Some("http://edge.test/edge/live/index.m3u8"))
    );

    let at_edge = |path: &str| {
        let request = OriginRequest {
            host: "edge.test".to_owned(),
            ..OriginRequest::get(path)
        };
        origin.respond(secs(10), &request)
    };
    assert!(text_of(at_edge("/edge/live/index.m3u8")).ends_with("seg10.ts\n"));
    assert_eq!(at_edge("/edge/live/seg10.ts").status, 200);
    assert_eq!(
        at_edge("/live/seg10.ts").status,
        404,
        "it must be resolved against the new place"
    );
    assert_eq!(
        segment(&origin, secs(10), "../edge/live/seg10.ts").status,
        404
    );
    assert_eq!(load(&origin, secs(9)).status, 200);
}

#[test]
fn gzip_asked_for_by_nobody() {
    let origin = with(PlaylistFault::UnaskedGzip);
    assert_eq!(
        [9, 10, 20].map(|at| load(&origin, secs(at)).headers.gzip),
        [false, true, false]
    );
    assert!(text(&origin, secs(10)).starts_with("#EXTM3U\n"));
}

#[test]
fn a_gzip_bomb() {
    let reply = load(&with(PlaylistFault::GzipBomb { bytes: 1 << 30 }), secs(10));
    assert!(reply.headers.gzip);
    assert!(reply.body.len() >= 1 << 30);
}

#[test]
fn a_content_type_that_lies() {
    let origin = with(PlaylistFault::WrongContentType);
    let reply = load(&origin, secs(10));
    assert_eq!(reply.headers.content_type, Some("text/html; charset=utf-8"));
    assert!(text_of(reply).starts_with("#EXTM3U\n"));
    let before = load(&origin, secs(9)).headers.content_type;
    assert_eq!(before, Some("application/vnd.apple.mpegurl"));
}
