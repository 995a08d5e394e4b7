//! The writer of multivariant playlists.

use super::multivariant::multivariant;
use super::*;
use url::Url;

const LIST: &str = "#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
# a comment
#EXT-X-CONTENT-STEERING:SERVER-URI=\"/steering\",PATHWAY-ID=\"a\"
#EXT-X-SESSION-DATA:DATA-ID=\"com.example.title\",VALUE=\"x\"
#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\",KEYFORMAT=\"com.apple.streamingkeydelivery\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"hi\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,URI=\"hi/en.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"lo\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,URI=\"lo/en.m3u8\"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"CC1\",INSTREAM-ID=\"CC1\"
#EXT-X-STREAM-INF:BANDWIDTH=100,AUDIO=\"lo\",CLOSED-CAPTIONS=\"cc\",SCORE=1.0
# between
low.m3u8?token=1
#EXT-X-STREAM-INF:BANDWIDTH=200,AUDIO=\"hi\",CLOSED-CAPTIONS=\"cc\",SCORE=2.0
high.m3u8
#EXT-X-VENDOR:1
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=10,URI=\"i.m3u8\"
";

/// [`LIST`] with everything changed that can be.
const CHANGED: &str = "#EXTM3U
#EXT-X-VERSION:5
#EXT-X-INDEPENDENT-SEGMENTS
# a comment
#EXT-X-SESSION-DATA:DATA-ID=\"com.example.title\",VALUE=\"x\"
#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://other\",KEYFORMAT=\"com.apple.streamingkeydelivery\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"hi\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,URI=\"a0.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"lo\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,URI=\"a1.m3u8\"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"CC1\",INSTREAM-ID=\"CC1\"
# between
#EXT-X-STREAM-INF:BANDWIDTH=150,AUDIO=\"lo\",CLOSED-CAPTIONS=\"cc\",SCORE=1.0,AVERAGE-BANDWIDTH=120,RESOLUTION=640x360,CODECS=\"avc1.4d401f\"
v0.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=200,AUDIO=\"hi\",CLOSED-CAPTIONS=\"cc\",SCORE=2.0
v1.m3u8
#EXT-X-VENDOR:1
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=10,URI=\"i0.m3u8\"
";

fn uri(uri: &str) -> Edit {
    Edit::Keep(Changes {
        uri: Some(uri.into()),
        ..Changes::default()
    })
}

/// What is written, without its first lines.
fn written(list: &str, edits: &MultivariantEdits) -> Vec<String> {
    let text = render_multivariant(&multivariant(list), edits);
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:") && text.ends_with('\n'));
    text.lines().skip(2).map(str::to_owned).collect()
}

/// One variant behind these lines, with these attributes.
fn one(lines: &str, attributes: &str) -> Vec<String> {
    let text = format!("#EXTM3U\n{lines}\n#EXT-X-STREAM-INF:BANDWIDTH=1{attributes}\nv.m3u8\n");
    written(&text, &MultivariantEdits::default())
}

#[test]
fn what_is_changed_is_changed_and_all_else_stands_where_it_stood() {
    let edits = MultivariantEdits {
        variants: vec![
            Edit::Keep(Changes {
                uri: Some("v0.m3u8".into()),
                bandwidth: Some(150),
                average_bandwidth: Some(120),
                codecs: Some("avc1.4d401f".into()),
                resolution: Some(Resolution {
                    width: 640,
                    height: 360,
                }),
            }),
            uri("v1.m3u8"),
        ],
        renditions: vec![uri("a0.m3u8"), uri("a1.m3u8")],
        i_frame_variants: vec![uri("i0.m3u8")],
        session_keys: vec![uri("skd://other")],
        ..MultivariantEdits::default()
    };
    let text = render_multivariant(&multivariant(LIST), &edits);
    assert_eq!(text, CHANGED);
    assert_eq!(text, render_multivariant(&multivariant(LIST), &edits));
}

#[test]
fn s_38_what_is_left_out_takes_its_groups_along() {
    let edits = MultivariantEdits {
        variants: vec![Edit::LeaveOut],
        ..MultivariantEdits::default()
    };
    let lines = written(LIST, &edits).join("\n");
    assert!(!lines.contains("low.m3u8") && !lines.contains("lo/en.m3u8"));
    assert!(lines.contains("high.m3u8") && lines.contains("hi/en.m3u8"));
    assert!(lines.contains("\"cc\""), "another variant refers to it");

    let edits = MultivariantEdits {
        renditions: vec![Edit::LeaveOut, Edit::default(), Edit::LeaveOut],
        ..MultivariantEdits::default()
    };
    let lines = written(LIST, &edits);
    let streams: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("#EXT-X-STREAM-INF"))
        .collect();
    let expected = [
        "#EXT-X-STREAM-INF:BANDWIDTH=100,AUDIO=\"lo\",SCORE=1.0",
        "#EXT-X-STREAM-INF:BANDWIDTH=200,SCORE=2.0",
    ];
    assert_eq!(streams, expected);
}

#[test]
fn c_54_a_group_that_nobody_is_in_is_not_referred_to() {
    let lines = one("# no group", ",AUDIO=\"gone\",SUBTITLES=\"gone\"");
    assert_eq!(lines[1], "#EXT-X-STREAM-INF:BANDWIDTH=1");
    // A group is a name and a type.
    let lines = one(
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"n\"",
        ",AUDIO=\"g\",VIDEO=\"g\"",
    );
    assert_eq!(lines[1], "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"g\"");
}

#[test]
fn c_54_renditions_that_could_not_be_found_are_left_out() {
    for bad in [
        "TYPE=SUBTITLES,GROUP-ID=\"g\",NAME=\"n\"",
        "TYPE=CLOSED-CAPTIONS,GROUP-ID=\"g\",NAME=\"n\"",
        "TYPE=CLOSED-CAPTIONS,GROUP-ID=\"g\",NAME=\"n\",INSTREAM-ID=\"CC1\",URI=\"c\"",
        "TYPE=SMELL,GROUP-ID=\"g\",NAME=\"n\",URI=\"s\"",
    ] {
        let attributes = ",SUBTITLES=\"g\",CLOSED-CAPTIONS=\"g\"";
        let lines = one(&format!("#EXT-X-MEDIA:{bad}"), attributes);
        assert_eq!(lines, ["#EXT-X-STREAM-INF:BANDWIDTH=1", "v.m3u8"], "{bad}");
    }
}

#[test]
fn s_38_a_group_has_one_default_which_players_may_choose() {
    let media = |name: &str, more: &str| {
        format!("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"{name}\",DEFAULT=YES{more}")
    };
    let both = format!("{}\n{}", media("a", ",AUTOSELECT=NO"), media("b", ""));
    let lines = one(&both, ",AUDIO=\"g\"");
    assert!(lines[0].ends_with("DEFAULT=YES,AUTOSELECT=YES"));
    assert!(lines[1].ends_with("NAME=\"b\",DEFAULT=NO"));
}

#[test]
fn s_38_no_captions_is_said_of_all_variants_or_of_none() {
    let two = |second: &str| {
        let text = format!(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CLOSED-CAPTIONS=NONE\none\n\
             #EXT-X-STREAM-INF:BANDWIDTH=2{second}\ntwo\n"
        );
        written(&text, &MultivariantEdits::default())
    };
    assert!(two("")[0].ends_with("BANDWIDTH=1"));
    let both = two(",CLOSED-CAPTIONS=NONE");
    assert!(both[0].ends_with("=NONE") && both[2].ends_with("=NONE"));
}

#[test]
fn s_42_scores_stand_on_all_variants_or_on_none_and_the_names_of_things_stay() {
    let text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,SCORE=1.5,PATHWAY-ID=\"p\"\none\n\
        #EXT-X-STREAM-INF:BANDWIDTH=2,STABLE-VARIANT-ID=\"s\",REQ-VIDEO-LAYOUT=\"CH-STEREO\"\ntwo\n";
    let lines = written(text, &MultivariantEdits::default());
    let expected = [
        "#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID=\"p\"",
        "one",
        "#EXT-X-STREAM-INF:BANDWIDTH=2,STABLE-VARIANT-ID=\"s\",REQ-VIDEO-LAYOUT=\"CH-STEREO\"",
        "two",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn s_40_a_list_of_i_frames_has_a_bit_rate_and_a_uri() {
    for bad in [
        "BANDWIDTH=1",
        "URI=\"i.m3u8\"",
        "BANDWIDTH=x,URI=\"i.m3u8\"",
    ] {
        let lines = one(&format!("#EXT-X-I-FRAME-STREAM-INF:{bad}"), "");
        assert_eq!(lines, ["#EXT-X-STREAM-INF:BANDWIDTH=1", "v.m3u8"], "{bad}");
    }
    let good = "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"";
    assert_eq!(one(good, "")[0], good);
}

#[test]
fn s_41_session_data_are_here_or_there_and_once_for_a_language() {
    let data = |more: &str| format!("#EXT-X-SESSION-DATA:DATA-ID=\"d\"{more}");
    let (here, there) = (
        data(",VALUE=\"v\""),
        data(",LANGUAGE=\"de\",URI=\"d.json\""),
    );
    let all = [
        data(""),
        here.clone(),
        data(",VALUE=\"v\",URI=\"d.json\""),
        there.clone(),
        data(",VALUE=\"other\""),
    ];
    let lines = one(&all.join("\n"), "");
    assert_eq!(lines[..2], [here, there]);
    assert_eq!(lines.len(), 4);
}

#[test]
fn s_41_session_keys_are_keys() {
    let key = "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"";
    // Each by itself, so that none is taken for another's sake.
    for none in ["METHOD=NONE,URI=\"k\"", "METHOD=AES-128", "URI=\"k\""] {
        let lines = one(&format!("#EXT-X-SESSION-KEY:{none}\n{key}"), "");
        assert_eq!(lines[0], key, "{none}");
        assert_eq!(lines.len(), 3, "{none}");
    }
}

#[test]
fn s_29_a_multivariant_playlist_states_the_lowest_version_that_is_enough() {
    let version = |line: &str| {
        let text =
            format!("#EXTM3U\n#EXT-X-VERSION:13\n{line}\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n");
        let text = render_multivariant(&multivariant(&text), &MultivariantEdits::default());
        let line = text.lines().nth(1).and_then(|line| line.split_once(':'));
        line.map(|(_, version)| version.to_owned())
            .unwrap_or_default()
    };
    let media = |more: &str| format!("#EXT-X-MEDIA:GROUP-ID=\"g\",NAME=\"n\",{more}");
    assert_eq!(version("#"), "1");
    let key = "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"";
    assert_eq!(version(&format!("{key},IV=0x1")), "2");
    assert_eq!(version(&format!("{key},KEYFORMAT=\"identity\"")), "5");
    let captions = "TYPE=CLOSED-CAPTIONS,INSTREAM-ID";
    assert_eq!(version(&media(&format!("{captions}=\"CC1\""))), "1");
    assert_eq!(version(&media(&format!("{captions}=\"SERVICE1\""))), "7");
    assert_eq!(version(&media("TYPE=AUDIO,INSTREAM-ID=\"1\"")), "13");
    let layout = "#EXT-X-STREAM-INF:BANDWIDTH=1,REQ-VIDEO-LAYOUT=\"CH-MONO\"\nw";
    assert_eq!(version(layout), "12");
}

#[test]
fn c_34_uris_that_are_not_ours_lead_to_where_they_led() {
    let base = Url::parse("https://origin.example/a/b/index.m3u8?x=1").expect("a URL");
    let edits = MultivariantEdits {
        variants: vec![uri("v0.m3u8")],
        base: Some(base),
        ..MultivariantEdits::default()
    };
    let text = "#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"d\",URI=\"../d.json\"\n\
        #EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"data:text/plain,0\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\n//other/high.m3u8\n";
    let lines = written(text, &edits);
    let expected = [
        "#EXT-X-SESSION-DATA:DATA-ID=\"d\",URI=\"https://origin.example/a/d.json\"",
        "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"data:text/plain,0\"",
        "#EXT-X-STREAM-INF:BANDWIDTH=1",
        "v0.m3u8",
        "#EXT-X-STREAM-INF:BANDWIDTH=2",
        "https://other/high.m3u8",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn s_64_quotes_amiss_in_a_multivariant_playlist_are_put_right() {
    let lines = one(
        "#EXT-X-MEDIA:TYPE=\"AUDIO\",GROUP-ID=g,NAME=n,DEFAULT=\"YES\"",
        ",CODECS=avc1.4d401f,RESOLUTION=\"640x360\",AUDIO=g",
    );
    let expected = [
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"n\",DEFAULT=YES",
        "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.4d401f\",RESOLUTION=640x360,AUDIO=\"g\"",
        "v.m3u8",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn c_06_what_cannot_be_used_is_not_passed_on() {
    let lines = one(
        "stray\n#EXT-X-STREAM-INF:BANDWIDTH=2,REQ-FOO=\"x\"\nasked",
        "",
    );
    assert_eq!(lines, ["#EXT-X-STREAM-INF:BANDWIDTH=1", "v.m3u8"]);
}

#[test]
fn c_60_the_same_media_from_another_place_is_told() {
    let list = multivariant(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID=\"a\"\none\n\
         #EXT-X-STREAM-INF:BANDWIDTH=2\ntwo\n#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID=\"b\"\nthree\n",
    );
    let alike: Vec<usize> = (0..3).map(|index| list.first_alike(index)).collect();
    assert_eq!(alike, [0, 1, 0]);
}

/// With groups of their own, the backup's first as well as last.
#[test]
fn c_60_groups_with_the_same_renditions_elsewhere_are_no_difference() {
    let media = |group: &str, rest: &str| {
        format!("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",{rest},URI=\"{group}.m3u8\"\n")
    };
    let variant = |group: &str, rest: &str| {
        format!(
            "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"{group}\"{rest}\n{group}-v.m3u8\n"
        )
    };
    let english = "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES";
    let list = |backup: &str, pathway: &str| {
        let [one, two] = [media("aac", english), media("aac-backup", backup)];
        let variants = variant("aac", "") + &variant("aac-backup", pathway);
        multivariant(&format!("#EXTM3U\n{two}{one}{variants}"))
    };
    assert_eq!(list(english, "").first_alike(1), 0);
    assert_eq!(list(english, ",PATHWAY-ID=\"b\"").first_alike(1), 0);
    for other in [
        "NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,CHANNELS=\"6\"",
        "NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=YES",
    ] {
        assert_eq!(list(other, "").first_alike(1), 1, "{other}");
    }
    // A group that nothing stands in is not the same as another one.
    let empty = variant("one", "") + &variant("two", "");
    assert_eq!(multivariant(&format!("#EXTM3U\n{empty}")).first_alike(1), 1);
}
