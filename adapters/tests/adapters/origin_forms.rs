//! Sources as they are, over real HTTP, relayed by the real binary.

use crate::support::binary::Relay;
use crate::support::raw_server::{Act, Asked, RawServer, answer, ok, redirect};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use url::Url;

/// What a channel gives its viewers: the playlist, and what each of its segments holds.
struct Relayed {
    list: String,
    segments: Vec<Option<String>>,
}

/// Waits for a playlist that `enough` is true for, with what it is asked for by.
async fn listed(
    relay: &Relay,
    enough: impl Fn(&str) -> bool,
    within: Duration,
) -> (String, reqwest::Client) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let began = Instant::now();
    loop {
        let list = client.get(&relay.address).send().await.unwrap();
        let list = list.text().await.unwrap();
        if enough(&list) {
            return (list, client);
        }
        assert!(began.elapsed() < within, "{list}\n{}", relay.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits for a playlist that `enough` is true for, and fetches what it lists. Gaps hold nothing.
async fn relayed(relay: &Relay, enough: impl Fn(&str) -> bool) -> Relayed {
    let (list, client) = listed(relay, enough, Duration::from_secs(60)).await;
    let base = Url::parse(&relay.address).unwrap();
    let (mut segments, mut gap) = (Vec::new(), false);
    for line in list.lines() {
        gap |= line == "#EXT-X-GAP";
        if line.starts_with('#') {
            continue;
        }
        if std::mem::take(&mut gap) {
            segments.push(None);
            continue;
        }
        let answer = client.get(base.join(line).unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{line} in\n{list}");
        segments.push(Some(answer.text().await.unwrap()));
    }
    Relayed { list, segments }
}

fn ended(list: &str) -> bool {
    list.contains("#EXT-X-ENDLIST")
}

/// A list that is over, of segments with these URIs.
fn over<'a>(uris: impl IntoIterator<Item = &'a str>) -> String {
    let segments = uris.into_iter().map(|uri| format!("#EXTINF:1,\n{uri}\n"));
    let segments: String = segments.collect();
    format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n{segments}#EXT-X-ENDLIST\n"
    )
}

/// A segment that says by which path it was asked for.
fn named(asked: &Asked) -> Vec<Act> {
    ok(asked.path.as_bytes())
}

fn some(paths: &[&str]) -> Vec<Option<String>> {
    paths.iter().map(|path| Some((*path).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn c_34_relative_urls_of_every_form_lead_where_they_led() {
    let origin = RawServer::start(|asked| {
        let host = asked.header("host").unwrap();
        let (absolute, scheme) = (
            format!("http://{host}/abs/6.ts"),
            format!("//{host}/s/5.ts"),
        );
        match &*asked.path {
            // The playlist moves, and with it the base of all that is relative.
            "/start.m3u8" => redirect("/a/b/live.m3u8?x=1"),
            "/a/b/live.m3u8?x=1" => ok(over([
                "1.ts",
                "./2.ts",
                "../up/3.ts",
                "/root/4.ts",
                &*scheme,
                &*absolute,
                "?seg=7",
                "x/y/../../8.ts",
                "seg 9 é.ts",
                "10.ts#part",
            ])
            .as_bytes()),
            // And so does a segment.
            "/root/4.ts" => redirect("../moved/4.ts?to=1"),
            _ => named(asked),
        }
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/start.m3u8")]);
    let relayed = relayed(&relay, ended).await;
    let expected = [
        "/a/b/1.ts",
        "/a/b/2.ts",
        "/a/up/3.ts",
        "/moved/4.ts?to=1",
        "/s/5.ts",
        "/abs/6.ts",
        "/a/b/live.m3u8?seg=7",
        "/a/b/8.ts",
        "/a/b/seg%209%20%C3%A9.ts",
        "/a/b/10.ts",
    ];
    assert_eq!(relayed.segments, some(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_heads_say_and_how_lines_end_does_not_matter() {
    let origin = RawServer::start(|asked| {
        // Types that lie, a clock that is wrong, and what caches would make of both.
        let fields = "content-type: text/html\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                      expires: Fri, 01 Jan 2100 00:00:00 GMT\r\nage: 999999\r\n";
        let body = match asked.path.ends_with(".m3u8") {
            true => format!("\u{FEFF}{}", over(["1.ts", "2.ts", "3.ts"])).replace('\n', "\r\n"),
            false => asked.path.clone(),
        };
        vec![answer("200 OK", fields, body.as_bytes())]
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/live.m3u8")]);
    let relayed = relayed(&relay, ended).await;
    assert_eq!(relayed.segments, some(&["/1.ts", "/2.ts", "/3.ts"]));
    assert!(!relayed.list.contains('\r') && relayed.list.starts_with("#EXTM3U\n"));
}

/// Its time of day is decades off in every field of every answer, and its date-times are of another time
/// still, with a jump among them.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_wrong_are_passed_on_and_decide_nothing() {
    const DATES: [&str; 4] = [
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T00:00:02.000Z",
        "2100-02-03T04:05:06.789+09:00",
        "2100-02-03T02:05:07.789+09:00",
    ];
    let origin = RawServer::start(|asked| {
        let fields = "date: Fri, 01 Jan 2100 00:00:00 GMT\r\n\
                      last-modified: Sat, 01 Jan 2101 00:00:00 GMT\r\n\
                      expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                      set-cookie: session=5; Max-Age=3600; Path=/\r\n";
        let segments = DATES.iter().enumerate().map(|(number, date)| {
            format!("#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF:1,\n{number}.ts\n")
        });
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n";
        let list = format!("{head}{}#EXT-X-ENDLIST\n", segments.collect::<String>());
        match asked.path.ends_with(".m3u8") {
            true => vec![answer("200 OK", fields, list.as_bytes())],
            // Whoever had taken the cookie for an old one would not have the media.
            false if asked.header("cookie").is_none() => vec![answer("403 Forbidden", fields, b"")],
            false => vec![answer("200 OK", fields, asked.path.as_bytes())],
        }
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/live.m3u8")]);
    let relayed = relayed(&relay, ended).await;
    assert_eq!(
        relayed.segments,
        some(&["/0.ts", "/1.ts", "/2.ts", "/3.ts"])
    );
    let told = relayed.list.lines();
    let told = told.filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    assert_eq!(told.collect::<Vec<_>>(), DATES);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_is_reached_over_ipv6() {
    let origin = RawServer::start_at("[::1]:0", |asked| match asked.path.ends_with(".m3u8") {
        true => ok(over(["1.ts", "2.ts", "3.ts"]).as_bytes()),
        false => named(asked),
    })
    .await;
    let url = origin.url("/live.m3u8");
    assert!(url.starts_with("http://[::1]:"), "{url}");
    let relay = Relay::start(&["relay", &url]);
    let relayed = relayed(&relay, ended).await;
    assert_eq!(relayed.segments, some(&["/1.ts", "/2.ts", "/3.ts"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_08_a_vod_is_relayed_to_its_end_and_not_asked_for_again() {
    let names: Vec<String> = (0..40).map(|n| format!("/{n}.ts")).collect();
    let uris = names.clone();
    let origin = RawServer::start(move |asked| match asked.path.ends_with(".m3u8") {
        true => ok(over(uris.iter().map(|it| &it[1..])).as_bytes()),
        false => named(asked),
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/vod.m3u8")]);
    let relayed = relayed(&relay, ended).await;
    let names: Vec<&str> = names.iter().map(|it| &**it).collect();
    assert_eq!(relayed.segments, some(&names));
    assert!(relayed.list.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lists = origin
        .asked()
        .into_iter()
        .filter(|it| it.path.ends_with(".m3u8"));
    assert_eq!(lists.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_relayed_as_it_grows_and_ends() {
    let loads = AtomicUsize::new(0);
    let origin = RawServer::start(move |asked| {
        if !asked.path.ends_with(".m3u8") {
            return named(asked);
        }
        let count = (15 + loads.fetch_add(1, Ordering::Relaxed)).min(19);
        let uris: Vec<String> = (0..count).map(|n| format!("{n}.ts")).collect();
        let list = over(uris.iter().map(|it| &**it)).replace(":VOD", ":EVENT");
        match count {
            19 => ok(list.as_bytes()),
            _ => ok(list.replace("#EXT-X-ENDLIST\n", "").as_bytes()),
        }
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/event.m3u8")]);
    let relayed = relayed(&relay, ended).await;
    let expected = (0..19).map(|n| Some(format!("/{n}.ts")));
    assert_eq!(relayed.segments, expected.collect::<Vec<_>>());
    assert!(relayed.list.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn c_27_a_range_that_the_origin_does_not_have_is_a_gap_and_stops_nothing() {
    let origin = RawServer::start(|asked| {
        let Some(range) = asked.header("range") else {
            let list = over(["all.ts"; 4]);
            let ranges = ["4@0", "4@4", "4@90", "4@8"];
            let list = ranges.iter().fold(list, |list, range| {
                list.replacen(
                    "#EXTINF:1,\n",
                    &format!("#EXT-X-BYTERANGE:{range}\n#EXTINF:1.0,\n"),
                    1,
                )
            });
            return ok(list.as_bytes());
        };
        let part = |bytes: &str, body: &str| {
            let fields = format!("content-range: bytes {bytes}/12\r\n");
            vec![answer("206 Partial Content", &fields, body.as_bytes())]
        };
        match &*range {
            "bytes=0-3" => part("0-3", "aaaa"),
            "bytes=4-7" => part("4-7", "bbbb"),
            "bytes=8-11" => part("8-11", "cccc"),
            _ => vec![answer(
                "416 Range Not Satisfiable",
                "content-range: bytes */12\r\n",
                b"",
            )],
        }
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/live.m3u8")]);
    let relayed = relayed(&relay, ended).await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        relayed.segments,
        [text("aaaa"), text("bbbb"), None, text("cccc")]
    );
}

/// A gigabyte is all that the memory of a channel may hold: the rest of a film is missing, and the operator is told why.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_vod_that_is_larger_than_memory_the_beginning_is_relayed_and_the_rest_is_said_to_be_missing()
 {
    let uris: Vec<String> = (0..20).map(|n| format!("{n}.ts")).collect();
    let list = over(uris.iter().map(|it| &**it));
    // So slow is no machine that one of the first is given up for those behind it.
    let list = list
        .replace("DURATION:1", "DURATION:5")
        .replace("EXTINF:1", "EXTINF:5");
    let origin = RawServer::start(move |asked| match asked.path.ends_with(".m3u8") {
        true => ok(list.as_bytes()),
        false => ok(&vec![7; 64 << 20]),
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/film.m3u8")]);
    let (list, _) = listed(&relay, ended, Duration::from_secs(120)).await;
    let uris = list.lines().filter(|line| !line.starts_with('#'));
    let had: Vec<bool> = uris.map(|uri| !uri.starts_with("gap-")).collect();
    // Several are on their way when the room ends: which of these have the last of it is chance.
    let beginning = had.iter().take_while(|had| **had).count();
    let all = had.iter().filter(|had| **had).count();
    assert!(beginning >= 10 && all <= 16, "{list}");
    let log = relay.log();
    let told = log.lines().any(|line| {
        line.contains("hole of") && line.contains("with --store DIR there is no such limit")
    });
    assert!(told, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_segments_the_newest_are_relayed() {
    let uris: Vec<String> = (0..10_000).map(|n| format!("segment-{n:05}.ts")).collect();
    let list = over(uris.iter().map(|it| &**it));
    let origin = RawServer::start(move |asked| match asked.path.ends_with(".m3u8") {
        true => ok(list.as_bytes()),
        false => named(asked),
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/dvr.m3u8"), "--window", "100"]);
    let relayed = relayed(&relay, ended).await;
    let newest: Vec<_> = (9_900..10_000)
        .map(|n| Some(format!("/segment-{n:05}.ts")))
        .collect();
    assert_eq!(relayed.segments, newest);
}

/// Where nobody says anything there is nothing but a header, or nothing at all: a segment like any other, and no hole.
#[tokio::test(flavor = "multi_thread")]
async fn subtitles_in_which_nobody_says_anything_are_relayed() {
    const SAID: &str = "WEBVTT\n\n00:02.000 --> 00:03.000\nHello\n";
    let origin = RawServer::start(|asked| match &*asked.path {
        "/main.m3u8" => ok(
            b"#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"a\",URI=\"s.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=9000,SUBTITLES=\"s\"\nv.m3u8\n",
        ),
        "/v.m3u8" => ok(over(["1.ts", "2.ts", "3.ts", "4.ts", "5.ts"]).as_bytes()),
        "/s.m3u8" => ok(over(["1.vtt", "2.vtt", "3.vtt", "/?text=4", "5.vtt"]).as_bytes()),
        "/1.vtt" | "/?text=4" => ok(b""),
        "/5.vtt" => vec![answer("204 No Content", "", b"")],
        "/2.vtt" => ok(b"WEBVTT\n"),
        "/3.vtt" => ok(SAID.as_bytes()),
        _ => named(asked),
    })
    .await;
    let mut relay = Relay::start(&["relay", &origin.url("/main.m3u8")]);
    let whole = |list: &str| ended(list) || list.contains("#EXT-X-STREAM-INF");
    listed(&relay, whole, Duration::from_secs(60)).await;
    relay.address = relay.address.replace("index.m3u8", "s0.m3u8");
    let relayed = relayed(&relay, ended).await;
    assert_eq!(
        relayed.segments,
        some(&["", "WEBVTT\n", SAID, "", ""]),
        "{}\n{}",
        relayed.list,
        relay.log()
    );
    let asked = origin.asked();
    assert_eq!(asked.iter().filter(|it| it.path == "/1.vtt").count(), 1);
}
