//! What is relayed of a multivariant playlist, as the command line says it, over real HTTP.

use crate::support::binary::Relay;
use crate::support::raw_server::{RawServer, answer, ok};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ENTRY: &str = "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"E\",LANGUAGE=\"en-GB\",DEFAULT=YES,AUTOSELECT=YES,URI=\"sound-en/list.m3u8\"\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"D\",LANGUAGE=\"de\",AUTOSELECT=YES,URI=\"sound-de/list.m3u8\"\n\
    #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"t\",NAME=\"E\",LANGUAGE=\"en\",URI=\"text-en/list.m3u8\"\n\
    #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"t\",NAME=\"D\",LANGUAGE=\"de\",URI=\"text-de/list.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=6000000,CODECS=\"hvc1.2.4.L123,mp4a.40.2\",RESOLUTION=1920x1080,AUDIO=\"a\",SUBTITLES=\"t\"\n\
    high/list.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=3000000,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,AUDIO=\"a\",SUBTITLES=\"t\"\n\
    middle/list.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS=\"avc1.4d401e,mp4a.40.2\",RESOLUTION=640x360,AUDIO=\"a\",SUBTITLES=\"t\"\n\
    low/list.m3u8\n\
    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,CODECS=\"avc1.64001f\",RESOLUTION=1280x720,URI=\"frames/list.m3u8\"\n";

/// Segments in a list, each of one second.
const WINDOW: u64 = 4;

/// Relays it with these arguments until so many lists are there. Gives what viewers open, and the folders of which
/// anything was asked.
async fn relayed(arguments: &[&str], lists: usize) -> (String, BTreeSet<String>) {
    let began = Instant::now();
    let media = move |head: &str| {
        let first = began.elapsed().as_secs();
        let segments = (first..first + WINDOW).map(|it| format!("#EXTINF:1,\n{it}.ts\n"));
        let segments: String = segments.collect();
        let numbers = format!("#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        ok(format!("#EXTM3U\n{head}{numbers}{segments}").as_bytes())
    };
    let origin = RawServer::start(move |asked| match &*asked.path {
        "/live/entry.m3u8" => ok(ENTRY.as_bytes()),
        "/live/frames/list.m3u8" => media("#EXT-X-I-FRAMES-ONLY\n"),
        path if path.ends_with("/list.m3u8") => media(""),
        path if path.ends_with(".ts") => ok(path.as_bytes()),
        _ => vec![answer("404 Not Found", "", b"")],
    })
    .await;
    let url = origin.url("/live/entry.m3u8");
    let relay = Relay::start(&[&["relay", &url], arguments].concat());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let entry = loop {
        let answer = client.get(&relay.address).send().await.unwrap();
        let is_there = answer.status() == 200;
        let entry = answer.text().await.unwrap();
        if is_there && entry.matches(".m3u8").count() >= lists {
            break entry;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{}", relay.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let asked = origin.asked();
    let below = asked.iter().filter_map(|it| it.path.strip_prefix("/live/"));
    let folders = below.filter_map(|path| Some(path.split_once('/')?.0.to_owned()));
    (entry, folders.collect())
}

/// What is not selected is neither listed nor asked for (C-13).
#[tokio::test(flavor = "multi_thread")]
async fn c_13_what_the_command_line_selects_is_relayed_and_nothing_else_is_asked_for() {
    let languages = ["sound-en", "sound-de", "text-en", "text-de"];
    let all = [&["high", "middle", "low", "frames"][..], &languages].concat();
    let cases: [(&[&str], Vec<&str>); 6] = [
        (&[], all),
        (
            &["--max-height", "720"],
            [&["middle", "low", "frames"][..], &languages].concat(),
        ),
        (
            &["--min-height", "720", "--codec", "avc1"],
            [&["middle", "frames"][..], &languages].concat(),
        ),
        (
            &["--max-bandwidth", "1000000"],
            [&["low", "frames"][..], &languages].concat(),
        ),
        (
            &["--language", "en", "--codec", "hvc1"],
            vec!["high", "sound-en", "text-en"],
        ),
        (
            &["--language", "de", "--max-height", "360"],
            vec!["low", "sound-de", "text-de"],
        ),
    ];
    for (arguments, expected) in cases {
        let (entry, asked) = relayed(arguments, expected.len()).await;
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(asked, expected, "{arguments:?}");
        let count = |tag: &str| entry.matches(tag).count();
        let of = |names: &[&str]| {
            expected
                .iter()
                .filter(|it| names.iter().any(|name| it.starts_with(name)))
                .count()
        };
        assert_eq!(
            count("#EXT-X-STREAM-INF:"),
            of(&["high", "middle", "low"]),
            "{entry}"
        );
        assert_eq!(count("TYPE=AUDIO"), of(&["sound"]), "{entry}");
        assert_eq!(count("TYPE=SUBTITLES"), of(&["text"]), "{entry}");
        assert_eq!(
            count("#EXT-X-I-FRAME-STREAM-INF:"),
            of(&["frames"]),
            "{entry}"
        );
        for (language, name) in [("LANGUAGE=\"en", "en"), ("LANGUAGE=\"de", "de")] {
            let selected = expected.contains(&format!("sound-{name}"));
            assert_eq!(entry.contains(language), selected, "{arguments:?}: {entry}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_that_leaves_nothing_says_so() {
    let origin = RawServer::start(|_| ok(ENTRY.as_bytes())).await;
    let relay = Relay::start(&[
        "relay",
        &origin.url("/live/entry.m3u8"),
        "--min-height",
        "2160",
    ]);
    relay.wait_for_log("is one that the channel selects");
}
