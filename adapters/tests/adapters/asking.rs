//! How the real binary asks its sources: headers, user agent, proxies; and who gets to know of it.

use crate::fetch::{LIMITS, access};
use crate::support::binary::{Relay, command};
use crate::support::raw_server::{Act, Asked, RawServer, answer, ok};
use hls_relay::fetch::Fetcher;
use hls_relay_core::event::FetchError;
use std::time::{Duration, Instant};
use url::Url;

/// Three segments, and no more to come.
const LIST: &[u8] = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n\
    #EXTINF:1,\n1.ts\n#EXTINF:1,\n2.ts\n#EXTINF:1,\n3.ts\n#EXT-X-ENDLIST\n";

fn vod(asked: &Asked) -> Vec<Act> {
    match asked.path.ends_with(".ts") {
        true => ok(b"media"),
        false => ok(LIST),
    }
}

/// Waits until a channel lists all three.
async fn until_relayed(relay: &Relay) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let began = Instant::now();
    loop {
        let answer = client.get(&relay.address).send().await.unwrap();
        if answer.text().await.unwrap().matches("#EXTINF").count() == 3 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{}", relay.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_is_asked_with_its_own_headers() {
    let backup = RawServer::start(vod).await;
    let main = RawServer::always(vec![answer("503 Service Unavailable", "", b"")]).await;
    let (first, second) = (main.url("/a.m3u8"), backup.url("/b.m3u8"));
    let (one, two) = (main.address.to_string(), backup.address.to_string());
    let relay = Relay::start(&[
        "relay",
        &first,
        "--backup",
        &second,
        "--user-agent",
        "player/9",
        "--header",
        "X-All: 1",
        "--header-for",
        &one,
        "Authorization: Bearer one",
        "--header-for",
        &two,
        "Authorization: Bearer two",
    ]);
    until_relayed(&relay).await;
    for (server, token) in [(&main, "Bearer one"), (&backup, "Bearer two")] {
        for asked in server.asked() {
            assert_eq!(asked.header("authorization").as_deref(), Some(token));
            assert_eq!(asked.header("user-agent").as_deref(), Some("player/9"));
            assert_eq!(asked.header("x-all").as_deref(), Some("1"));
        }
    }
    assert!(backup.asked().len() >= 4 && !main.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_asked_through_the_proxy_that_is_given() {
    let proxy = RawServer::start(vod).await;
    let through = proxy.url("").replace("http://", "http://us%65r:hunter2@");
    // No DNS knows the name: only the proxy does.
    let relay = Relay::start(&[
        "relay",
        "http://origin.invalid/ch/live.m3u8",
        "--proxy",
        &through,
    ]);
    until_relayed(&relay).await;
    let asked = proxy.asked();
    let paths: Vec<_> = asked.iter().map(|it| &*it.path).collect();
    assert_eq!(paths[0], "http://origin.invalid/ch/live.m3u8");
    assert!(
        paths.contains(&"http://origin.invalid/ch/3.ts"),
        "{paths:?}"
    );
    for it in &asked {
        // "user:hunter2"
        let login = it.header("proxy-authorization");
        assert_eq!(login.as_deref(), Some("Basic dXNlcjpodW50ZXIy"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_proxy_only_makes_the_connection() {
    let proxy = RawServer::always(vec![answer("502 Bad Gateway", "", b"")]).await;
    let through = Fetcher::through(Some(Url::parse(&proxy.url("")).unwrap()));
    let url = "https://origin.invalid/live.m3u8";
    let outcome = through.playlist(&access(url), url, None, &LIMITS).await;
    assert!(
        matches!(outcome, Err(FetchError::Connect(_))),
        "{outcome:?}"
    );
    assert_eq!(proxy.asked()[0].path, "origin.invalid:443");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_36_no_proxy_leads_a_public_source_to_an_address_of_its_network() {
    let proxy = RawServer::always(ok(LIST)).await;
    let through = Fetcher::through(Some(Url::parse(&proxy.url("")).unwrap()));
    let access = access("http://origin.invalid/live.m3u8");
    let inside = "http://10.0.0.1/live.m3u8";
    let outcome = through.playlist(&access, inside, None, &LIMITS).await;
    assert_eq!(outcome, Err(FetchError::PrivateAddress("10.0.0.1".into())));
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_decides_nothing_but_by_a_name_of_our_own() {
    let (origin, proxy) = (RawServer::start(vod).await, RawServer::start(vod).await);
    let url = origin.url("/live.m3u8");
    let mut direct = command(&["relay", &url]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        direct.env(name, proxy.url(""));
    }
    until_relayed(&Relay::spawn(direct)).await;
    assert_eq!(proxy.connections(), 0);
    let mut through = command(&["relay", &url]);
    through.env("HLS_RELAY_PROXY", proxy.url(""));
    let before = origin.asked().len();
    until_relayed(&Relay::spawn(through)).await;
    assert_eq!(origin.asked().len(), before);
    assert!(proxy.connections() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_secret_stands_in_no_log_and_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().to_str().unwrap();
    let proxy = RawServer::start(vod).await;
    let through = proxy.url("").replace("http://", "http://us1:secret1@");
    let relay = Relay::start(&[
        "relay",
        "http://us2:secret2@origin.invalid/live.m3u8?token=secret3",
        "--proxy",
        &through,
        "--user-agent",
        "secret4",
        "--header",
        "X-Key: secret5",
        "--header-for",
        "origin.invalid",
        "Cookie: id=secret6",
        "--log-level",
        "trace",
        "--journal",
        journal,
    ]);
    until_relayed(&relay).await;
    let sent = &proxy.asked()[0];
    assert_eq!(sent.header("cookie").as_deref(), Some("id=secret6"));
    assert_eq!(sent.header("x-key").as_deref(), Some("secret5"));
    relay.signal("INT");
    let (status, log) = relay.wait();
    assert!(status.success());
    let mut recorded = String::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next)
            .unwrap()
            .map(|it| it.unwrap().path())
        {
            match path.is_dir() {
                true => folders.push(path),
                false => recorded += &String::from_utf8_lossy(&std::fs::read(path).unwrap()),
            }
        }
    }
    assert!(recorded.contains("origin.invalid"), "{recorded}");
    for number in [1, 2, 3, 4, 5, 6] {
        let secret = format!("secret{number}");
        assert!(!log.contains(&secret), "{secret} in {log}");
        // A journal holds the URLs of the source with their queries, and says so (--help).
        assert!(
            number == 3 || !recorded.contains(&secret),
            "{secret} in {recorded}"
        );
    }
}
