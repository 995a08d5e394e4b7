//! Keys and init sections: what they apply to.

use super::*;
use crate::limits;

/// The METHOD and URI of each key of each segment.
fn scopes(playlist: &MediaPlaylist) -> Vec<Vec<String>> {
    let scope = |segment: &Segment| {
        let named = |key: &Key| format!("{} {}", key.method(), key.uri().unwrap());
        segment.keys.iter().map(named).collect()
    };
    playlist.segments.iter().map(scope).collect()
}

const SEGMENT: &str = "#EXTINF:6,\ns\n";

#[test]
fn c_29_a_key_applies_until_the_next_of_its_format() {
    let playlist = list(&format!(
        "{SEGMENT}#EXT-X-KEY:METHOD=AES-128,URI=\"a\"\n{SEGMENT}{SEGMENT}\
         #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"w\",KEYFORMAT=\"urn:wide\"\n{SEGMENT}\
         #EXT-X-KEY:METHOD=AES-128,URI=\"b\",KEYFORMAT=\"identity\"\n{SEGMENT}\
         #EXT-X-KEY:METHOD=NONE\n{SEGMENT}",
    ));
    let expected: [&[&str]; 6] = [
        &[],
        &["AES-128 a"],
        &["AES-128 a"],
        &["AES-128 a", "SAMPLE-AES w"],
        &["AES-128 b", "SAMPLE-AES w"],
        &[],
    ];
    assert_eq!(scopes(&playlist), expected);
}

#[test]
fn c_29_none_ends_the_keys_of_all_formats() {
    let playlist = list(&format!(
        "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"w\",KEYFORMAT=\"urn:wide\"\n\
         #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"p\",KEYFORMAT=\"urn:play\"\n{SEGMENT}\
         #EXT-X-KEY:METHOD=NONE,KEYFORMAT=\"identity\"\n{SEGMENT}",
    ));
    assert_eq!(playlist.segments[0].keys.len(), 2);
    assert!(playlist.segments[1].keys.is_empty());
    assert!(flaws(&playlist).contains(&FlawKind::AttributesOnNone));
}

#[test]
fn c_29_equal_keys_are_shared_and_restated_ones_change_nothing() {
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"a\",IV=0x1\n";
    let playlist = list(&format!("#EXT-X-VERSION:3\n{key}{SEGMENT}{key}{SEGMENT}"));
    assert!(Arc::ptr_eq(
        &playlist.segments[0].keys,
        &playlist.segments[1].keys
    ));
    assert!(flaws(&playlist).is_empty());
    let written = render(&playlist);
    assert_eq!(written.matches("#EXT-X-KEY").count(), 1);
}

#[test]
fn c_29_a_key_that_is_replaced_before_it_applies_is_said() {
    let playlist = list(&format!(
        "#EXT-X-KEY:METHOD=AES-128,URI=\"a\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"b\"\n{SEGMENT}",
    ));
    assert_eq!(scopes(&playlist), [["AES-128 b"]]);
    assert_eq!(flaws(&playlist), [FlawKind::UnusedTag]);
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"a\"\n";
    let ended = list(&format!(
        "{key}{SEGMENT}{key}#EXT-X-KEY:METHOD=NONE\n{SEGMENT}"
    ));
    assert_eq!(flaws(&ended), [FlawKind::UnusedTag]);
}

#[test]
fn c_30_unknown_methods_and_attributes_are_kept_untouched() {
    let attributes = "METHOD=FOO-9,URI=\"skd://k\",KEYFORMAT=\"com.x\",KEYID=0x12,X-A=\"1,2\"";
    let playlist = list(&format!(
        "#EXT-X-VERSION:5\n#EXT-X-KEY:{attributes}\n{SEGMENT}"
    ));
    let key = &playlist.segments[0].keys[0];
    assert_eq!(key.attributes.as_str(), attributes);
    assert_eq!((key.method(), key.uri()), ("FOO-9", Some("skd://k")));
    assert_eq!((key.keyformat(), key.iv()), ("com.x", None));
    assert!(render(&playlist).contains(&format!("#EXT-X-KEY:{attributes}\n")));
}

#[test]
fn c_07_keys_that_cannot_be_understood_are_refused() {
    let fault = |attributes: &str| {
        let error = list_refused(&format!("#EXT-X-KEY:{attributes}\n{SEGMENT}"));
        let PlaylistError::BadAttributes { at, fault } = error else {
            panic!("{attributes}: {error}");
        };
        assert_eq!(at.line, 3);
        fault
    };
    let missing = |name: &str| AttributeFault::Missing(name.to_owned());
    let bad = |name: &str| AttributeFault::BadValue(name.to_owned());
    assert_eq!(fault(""), missing("METHOD"));
    assert_eq!(fault("URI=\"k\""), missing("METHOD"));
    assert_eq!(fault("METHOD=AES-128"), missing("URI"));
    assert_eq!(fault("METHOD=AES-128,URI=\"k\",IV=12"), bad("IV"));
    assert_eq!(fault("METHOD=AES-128,URI=\"k\",IV=0x"), bad("IV"));
    assert_eq!(
        fault(&format!("METHOD=AES-128,URI=\"k\",IV=0x{}", "1".repeat(33))),
        bad("IV")
    );
    assert_eq!(fault("METHOD==AES-128,URI=\"k\""), bad("METHOD"));
    assert_eq!(fault("METHOD=\"A,B\",URI=\"k\""), bad("METHOD"));
    assert_eq!(
        fault("METHOD=AES-128,URI=\"k\",FOO"),
        AttributeFault::NoValue
    );
    let conflict = AttributeFault::Conflict("URI".to_owned());
    assert_eq!(fault("METHOD=AES-128,URI=\"k\",URI=\"l\""), conflict);
}

#[test]
fn s_64_quotes_amiss_are_put_right() {
    let playlist = list(&format!(
        "#EXT-X-KEY:METHOD=\"AES-128\",URI=k.bin,X=\"1\"\n{SEGMENT}"
    ));
    let key = &playlist.segments[0].keys[0];
    assert_eq!(
        key.attributes.as_str(),
        "METHOD=AES-128,URI=\"k.bin\",X=\"1\""
    );
    assert_eq!(flaws(&playlist), [FlawKind::QuotesAmiss]);
    let none = list(&format!(
        "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n{SEGMENT}#EXT-X-KEY:METHOD=\"NONE\"\n{SEGMENT}",
    ));
    assert!(none.segments[1].keys.is_empty());
}

#[test]
fn c_63_keys_in_force_have_a_limit() {
    let keys = |count: usize| -> String {
        let key = |number| format!("#EXT-X-KEY:METHOD=X,URI=\"k\",KEYFORMAT=\"{number}\"\n");
        (0..count).map(key).collect()
    };
    let full = list(&format!("{}{SEGMENT}", keys(limits::KEYS_IN_FORCE)));
    assert_eq!(full.segments[0].keys.len(), limits::KEYS_IN_FORCE);
    let error = list_refused(&format!("{}{SEGMENT}", keys(limits::KEYS_IN_FORCE + 1)));
    assert!(matches!(error, PlaylistError::TooManyKeys { .. }));
}

#[test]
fn c_28_a_map_applies_until_the_next_one_and_over_discontinuities() {
    let playlist = list(&format!(
        "{SEGMENT}#EXT-X-MAP:URI=\"i1\"\n{SEGMENT}#EXT-X-DISCONTINUITY\n{SEGMENT}\
         #EXT-X-MAP:URI=\"i2\",BYTERANGE=\"10@20\",X-A=b\n{SEGMENT}",
    ));
    let maps: Vec<_> = playlist
        .segments
        .iter()
        .map(|segment| segment.map.as_deref())
        .collect();
    let uris = maps.iter().map(|map| map.map(|map| &*map.uri));
    assert_eq!(
        uris.collect::<Vec<_>>(),
        [None, Some("i1"), Some("i1"), Some("i2")]
    );
    let last = maps[3].unwrap();
    assert_eq!(
        last.byte_range,
        Some(ByteRange {
            offset: 20,
            length: 10
        })
    );
    assert_eq!(last.attributes.as_str(), "X-A=b");
}

#[test]
fn c_28_a_map_without_uri_or_with_a_wrong_range_is_refused() {
    for bad in [
        "",
        "BYTERANGE=\"1@0\"",
        "URI=\"\"",
        "URI=\"i\",URI=\"j\"",
        "URI=\"i",
    ] {
        let error = list_refused(&format!("#EXT-X-MAP:{bad}\n{SEGMENT}"));
        assert!(
            matches!(error, PlaylistError::BadAttributes { .. }),
            "{bad}"
        );
    }
    for bad in ["0@0", "x", "1@18446744073709551615"] {
        let error = list_refused(&format!(
            "#EXT-X-MAP:URI=\"i\",BYTERANGE=\"{bad}\"\n{SEGMENT}"
        ));
        assert!(matches!(error, PlaylistError::BadByteRange { .. }), "{bad}");
    }
    let playlist = list(&format!("#EXT-X-MAP:URI=\"i\",BYTERANGE=\"9\"\n{SEGMENT}"));
    let map = playlist.segments[0].map.as_ref().unwrap();
    assert_eq!(
        map.byte_range,
        Some(ByteRange {
            offset: 0,
            length: 9
        })
    );
    assert!(flaws(&playlist).contains(&FlawKind::MapRangeWithoutOffset));
}

#[test]
fn c_29_the_keys_of_a_map_are_those_in_force_where_it_stands() {
    let playlist = list(&format!(
        "#EXT-X-MAP:URI=\"clear\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n{SEGMENT}\
         #EXT-X-MAP:URI=\"locked\"\n{SEGMENT}#EXT-X-KEY:METHOD=NONE\n{SEGMENT}",
    ));
    let locks = playlist.segments.iter().map(|segment| {
        let map = segment.map.as_ref().unwrap();
        (&*map.uri, map.keys.len(), segment.keys.len())
    });
    assert_eq!(
        locks.collect::<Vec<_>>(),
        [("clear", 0, 1), ("locked", 1, 1), ("locked", 1, 0)]
    );
    let again = media(&render(&playlist));
    assert_eq!(again.segments, playlist.segments);
}
