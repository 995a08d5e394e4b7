//! Unit tests of the playlist module, by protocol rule.

use super::*;

/// A live list in MPEG-TS: parsed, written, and parsed again.
#[test]
fn a_live_list_survives_the_round_trip() {
    let text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:100\n\
        #EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:00.500Z\n#EXTINF:5.005,one, two\na.ts?t=1\n\
        #EXT-X-CUE-OUT:30\n#EXT-X-DISCONTINUITY\n#EXTINF:6,\nb.ts\n#EXT-X-DATERANGE:ID=\"x\"\n";
    let Playlist::Media(list) = parse(text.as_bytes()).unwrap() else {
        panic!("not media")
    };
    assert_eq!(list.segments.len(), 2);
    assert_eq!(list.end_media_sequence(), 102);
    assert_eq!(list.duration(), Span::from_micros(11_005_000));
    let written = render(&list);
    assert_eq!(
        written,
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:100\n\
        #EXT-X-DISCONTINUITY-SEQUENCE:0\n\
        #EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:00.500Z\n#EXTINF:5.005000,one, two\na.ts?t=1\n\
        #EXT-X-CUE-OUT:30\n#EXT-X-DISCONTINUITY\n#EXTINF:6.000000,\nb.ts\n\
        #EXT-X-DATERANGE:ID=\"x\"\n"
    );
    assert_eq!(parse(written.as_bytes()).unwrap(), Playlist::Media(list));
}
