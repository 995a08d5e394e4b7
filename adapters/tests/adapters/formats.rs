//! A source that does not say what its media is made of, over real HTTP, relayed by the real binary.

use crate::support::binary::Relay;
use crate::support::raw_server::{Act, RawServer, answer, ok};
use std::time::{Duration, Instant};

fn media(path: &str) -> Option<Vec<u8>> {
    std::fs::read(format!(
        "{}/../testdata/media{path}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .ok()
}

fn file(path: &str) -> Vec<Act> {
    media(path).map_or_else(|| vec![answer("404 Not Found", "", b"")], |it| ok(&it))
}

/// The multivariant playlist as it is relayed once all is.
async fn relayed(relay: &Relay) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let began = Instant::now();
    let get = async |url: &str| client.get(url).send().await.unwrap().text().await.unwrap();
    loop {
        let track = relay.address.replace("index.m3u8", "v0.m3u8");
        if get(&track).await.contains("#EXT-X-ENDLIST") {
            return get(&relay.address).await;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{}", relay.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Tags of variants and of I-frames, without what is told of their bit rates.
fn tags(list: &str) -> Vec<Vec<String>> {
    let tags = list.lines().filter(|it| it.contains("STREAM-INF:"));
    let parts = |tag: &str| {
        let known = ["CODECS=\"", "RESOLUTION="].map(|name| {
            let value = tag.split(name).nth(1).unwrap_or("-");
            let end = if name.ends_with('"') { '"' } else { ',' };
            value.split(end).next().unwrap_or_default().to_owned()
        });
        known.to_vec()
    };
    tags.map(parts).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s_36_s_37_formats_and_sizes_are_found_in_fragmented_mp4() {
    const LIST: &str = include_str!("../../../testdata/media/multi/index.m3u8");
    let silent: Vec<String> = LIST.lines().map(without_formats).collect();
    let silent = silent.join("\n");
    assert!(!silent.contains("CODECS") && !silent.contains("RESOLUTION"));
    let origin = RawServer::start(move |asked| match &*asked.path {
        "/multi/index.m3u8" => ok(silent.as_bytes()),
        path => file(path),
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/multi/index.m3u8")]);
    let list = relayed(&relay).await;
    assert_eq!(tags(&list), tags(LIST), "{list}");
}

fn without_formats(line: &str) -> String {
    let Some(at) = line.find(",CODECS=") else {
        return line.to_owned();
    };
    let rest = &line[at..];
    let keep = ["FRAME-RATE", "URI"];
    let keep = keep.into_iter().filter_map(|it| rest.find(it)).min();
    format!("{},{}", &line[..at], &rest[keep.unwrap()..])
}

#[tokio::test(flavor = "multi_thread")]
async fn s_36_s_37_formats_and_sizes_are_found_in_transport_streams_and_behind_encryption() {
    let origin = RawServer::start(|asked| match &*asked.path {
        "/main.m3u8" => ok(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=90000\naes128/index.m3u8\n"),
        path => file(path),
    })
    .await;
    let url = origin.url("/main.m3u8");
    let relay = Relay::start(&["relay", &url, "--keys", "decrypt"]);
    let list = relayed(&relay).await;
    let told = tags(&list).remove(0);
    assert!(
        told[0].starts_with("avc1.") && told[0].ends_with(",mp4a.40.2"),
        "{list}"
    );
    assert!(told[1].contains('x'), "{list}");
    // Nobody can look into what stays encrypted, and all else is as ever.
    let relay = Relay::start(&["relay", &url]);
    assert_eq!(tags(&relayed(&relay).await), [["-", "-"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn media_that_tells_nothing_is_relayed_and_said_once() {
    let ts = media("/ts/loop0.ts").unwrap();
    let origin = RawServer::start(move |asked| match &*asked.path {
        "/main.m3u8" => ok(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=90000\nv.m3u8\n"),
        "/v.m3u8" => ok(
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n\
            #EXTINF:1,\n0.ts\n#EXTINF:1,\n1.ts\n#EXTINF:1,\n2.ts\n#EXTINF:1,\n3.ts\n\
            #EXTINF:1,\n4.ts\n#EXT-X-ENDLIST\n",
        ),
        // Cut in its first packets, turned around, and nothing of the kind.
        "/0.ts" => ok(&ts[..188 * 2]),
        "/1.ts" => ok(&ts.iter().rev().copied().collect::<Vec<_>>()),
        "/2.ts" => ok(&[0x47; 188 * 40]),
        "/3.ts" => ok(b"\0\0\0\x08moov\0\0\0\x08moov"),
        _ => ok(b"G media"),
    })
    .await;
    let relay = Relay::start(&["relay", &origin.url("/main.m3u8")]);
    let list = relayed(&relay).await;
    assert_eq!(tags(&list), [["-", "-"]]);
    let log = relay.log();
    assert_eq!(log.matches("made of").count(), 1, "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let track = relay.address.replace("index.m3u8", "v0.m3u8");
    let text = reqwest::get(track).await.unwrap().text().await.unwrap();
    assert_eq!(text.matches("#EXTINF").count(), 5, "{text}");
    assert!(!text.contains("#EXT-X-GAP"), "{text}");
}
