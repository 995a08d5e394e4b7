//! Variables and references to them.

use super::*;
use url::Url;

fn fault(error: PlaylistError) -> VariableFault {
    let PlaylistError::BadVariable { fault, .. } = error else {
        panic!("{error}");
    };
    fault
}

/// A list behind [`START`], read with what it may take from outside.
fn read(lines: &str, context: &Context<'_>) -> Result<MediaPlaylist, PlaylistError> {
    match parse_with(format!("{START}{lines}").as_bytes(), context)? {
        Playlist::Media(playlist) => Ok(playlist),
        Playlist::Multivariant(_) => panic!("it is a media playlist"),
    }
}

fn faulty(lines: &str) -> VariableFault {
    fault(list_refused(lines))
}

const SEGMENT: &str = "#EXTINF:6,\na.ts\n";

#[test]
fn c_37_references_are_replaced_where_they_may_stand_and_nowhere_else() {
    let playlist = list(
        "#EXT-X-DEFINE:NAME=\"host\",VALUE=\"https://cdn.example\"\n\
         #EXT-X-DEFINE:NAME=\"iv\",VALUE=\"0x12\"\n\
         #EXT-X-START:TIME-OFFSET=-1,X-NOTE=\"{$iv}\"\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"{$host}/key?{$iv}\",IV={$iv}\n\
         #EXT-X-MAP:URI=\"{$host}/init.mp4\"\n\
         #EXT-X-DATERANGE:ID=\"{$iv}\",START-DATE=\"2026-01-01T00:00:00Z\",SCTE35-OUT={$iv}\n\
         # {$host} in a comment, \"{$host}\" {$nobody}\n\
         #EXTINF:6,\"{$host}\"\n{$host}/{$iv}{$x {$}.ts\n",
    );
    let segment = &playlist.segments[0];
    assert_eq!(&*segment.uri, "https://cdn.example/0x12{$x {$}.ts");
    assert_eq!(&*segment.title, "\"{$host}\"");
    let key = &segment.keys[0];
    assert_eq!(key.uri(), Some("https://cdn.example/key?0x12"));
    assert_eq!(key.iv(), Some("0x12"));
    let map = segment.map.as_ref().expect("a map");
    assert_eq!(&*map.uri, "https://cdn.example/init.mp4");
    let tags = [
        "#EXT-X-DATERANGE:ID=\"0x12\",START-DATE=\"2026-01-01T00:00:00Z\",SCTE35-OUT=0x12",
        "# {$host} in a comment, \"https://cdn.example\" {$nobody}",
    ];
    assert_eq!(texts(&segment.tags), tags);
    assert_eq!(
        texts(&playlist.head),
        ["#EXT-X-START:TIME-OFFSET=-1,X-NOTE=\"0x12\""]
    );
    let written = render(&playlist);
    assert!(!written.contains("DEFINE"), "{written}");
    assert!(written.contains("#EXT-X-VERSION:6\n"), "{written}");
}

#[test]
fn c_37_a_reference_needs_its_definition_before_it() {
    let define = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n";
    let undefined = VariableFault::Undefined("a".to_owned());
    assert_eq!(faulty(&format!("#EXTINF:6,\n{{$a}}\n{define}")), undefined);
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"{$a}\"\n";
    assert_eq!(faulty(&format!("{key}{define}{SEGMENT}")), undefined);
    // A vendor's tag means by it what the vendor likes.
    let playlist = list(&format!("#EXT-X-CUE-OUT:\"{{$a}}\"\n{SEGMENT}"));
    assert_eq!(
        texts(&playlist.segments[0].tags),
        ["#EXT-X-CUE-OUT:\"{$a}\""]
    );
}

#[test]
fn c_37_what_a_value_holds_is_not_looked_at_again() {
    let playlist = list(
        "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$b}\"\n#EXT-X-DEFINE:NAME=\"b\",VALUE=\"{$a}\"\n\
         #EXTINF:6,\n{$a}{$b}.ts\n",
    );
    assert_eq!(uris(&playlist), ["{$b}{$a}.ts"]);
}

#[test]
fn c_37_a_value_cannot_leave_its_place() {
    let define = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"0x1,METHOD=NONE\"\n";
    let lines = format!("{define}#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV={{$a}}\n{SEGMENT}");
    assert_eq!(faulty(&lines), VariableFault::BadValue("IV".to_owned()));
    let blank = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\" \"\n#EXTINF:6,\n{$a}\n";
    assert_eq!(faulty(blank), VariableFault::NoUri);
    // A value that begins like a tag is still a URI.
    let tag = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"#EXT-X-ENDLIST\"\n#EXTINF:6,\n{$a}\n";
    let playlist = list(tag);
    assert_eq!(uris(&playlist), ["#EXT-X-ENDLIST"]);
    assert!(!media(&render(&playlist)).end_list);
}

#[test]
fn c_37_replacing_has_its_limits() {
    let value = "x".repeat(8_000);
    let define = format!("#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{value}\"\n");
    let long = format!("{define}#EXTINF:6,\n{{$a}}{{$a}}{{$a}}\n");
    assert_eq!(faulty(&long), VariableFault::TooLong);
    let many = format!("{define}{}", "#EXTINF:6,\n{$a}{$a}\n".repeat(300));
    assert_eq!(faulty(&many), VariableFault::TooLong);
    let defines: String = (0..257)
        .map(|n| format!("#EXT-X-DEFINE:NAME=\"a{n}\",VALUE=\"b\"\n"))
        .collect();
    assert_eq!(faulty(&defines), VariableFault::TooMany);
}

#[test]
fn c_38_a_definition_has_one_form_and_a_name_of_its_own() {
    let define = |attributes: &str| faulty(&format!("#EXT-X-DEFINE:{attributes}\n{SEGMENT}"));
    for bad in [
        "VALUE=\"b\"",
        "NAME=\"a\"",
        "NAME=\"a\",VALUE=\"b\",IMPORT=\"a\"",
        "IMPORT=\"a\",QUERYPARAM=\"a\"",
        "QUERYPARAM=\"a\",VALUE=\"b\"",
    ] {
        assert_eq!(define(bad), VariableFault::NoForm, "{bad}");
    }
    let bad = VariableFault::BadName("a b".to_owned());
    assert_eq!(define("NAME=\"a b\",VALUE=\"b\""), bad);
    let twice = "NAME=\"a\",VALUE=\"b\"\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"c\"";
    assert_eq!(define(twice), VariableFault::Twice("a".to_owned()));
    let same = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n".repeat(2);
    let playlist = list(&format!("{same}{SEGMENT}"));
    assert_eq!(flaws(&playlist), [FlawKind::RepeatedTag]);
}

#[test]
fn c_38_a_media_playlist_imports_what_its_multivariant_playlist_defined() {
    let multivariant = "#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"{$a}\"\n{$a}.m3u8\n";
    let multivariant = super::multivariant::multivariant(multivariant);
    assert_eq!(&*multivariant.variants[0].uri, "b.m3u8");
    assert_eq!(multivariant.variants[0].codecs.as_deref(), Some("b"));
    assert_eq!(multivariant.lines.len(), 2);

    let lines = "#EXT-X-DEFINE:IMPORT=\"a\"\n#EXTINF:6,\n{$a}.ts\n";
    let context = Context {
        variables: Some(&multivariant.variables),
        ..Context::default()
    };
    let playlist = read(lines, &context).expect("it is defined");
    assert_eq!(uris(&playlist), ["b.ts"]);
    let missing = VariableFault::Missing("a".to_owned());
    assert_eq!(faulty(lines), missing);
    let own = "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"a\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n";
    assert_eq!(fault(refused(own)), missing);
}

#[test]
fn c_38_a_query_parameter_is_taken_from_the_url_that_answered() {
    let url = Url::parse("https://o/l.m3u8?t=a%2Fb+c%3D&empty=&none&bad=%0A").expect("a URL");
    let context = Context {
        url: Some(&url),
        ..Context::default()
    };
    let lines =
        |name: &str| format!("#EXT-X-DEFINE:QUERYPARAM=\"{name}\"\n#EXTINF:6,\n{{${name}}}\n");
    let playlist = read(&lines("t"), &context).expect("it is there");
    // A form would have a space for the plus; a token has it, and the origin wants it back.
    assert_eq!(uris(&playlist), ["a/b+c="]);
    for name in ["empty", "none", "other"] {
        let error = read(&lines(name), &context).expect_err(name);
        assert_eq!(fault(error), VariableFault::Missing(name.to_owned()));
    }
    let error = read(&lines("bad"), &context).expect_err("a line end");
    assert_eq!(fault(error), VariableFault::BadValue("bad".to_owned()));
    assert_eq!(faulty(&lines("t")), VariableFault::Missing("t".to_owned()));
}
