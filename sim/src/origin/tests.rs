//! The ordinary live case.

use super::*;

fn text(origin: &Origin, at: Span) -> String {
    let reply = origin.respond(at, &OriginRequest::get("/live/index.m3u8"));
    let Body::Text(text) = reply.body else {
        panic!("not a text: {reply:?}")
    };
    text
}

#[test]
fn a_live_playlist_moves_on_with_its_segments() {
    let origin = Origin::new(OriginSpec {
        window: 3,
        backlog: 3,
        ..OriginSpec::default()
    });
    let first = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n\
                 #EXTINF:2.000000,\nseg0.ts\n#EXTINF:2.000000,\nseg1.ts\n#EXTINF:2.000000,\nseg2.ts\n";
    assert_eq!(text(&origin, Span::ZERO), first);
    assert_eq!(text(&origin, Span::from_micros(1_999_999)), first);
    let second = text(&origin, Span::from_secs(2));
    assert!(
        second.contains("#EXT-X-MEDIA-SEQUENCE:1\n") && second.ends_with("seg3.ts\n"),
        "{second}"
    );
}
