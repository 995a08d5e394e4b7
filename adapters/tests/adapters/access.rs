//! Where a source may lead us, and what strangers get to know.

use crate::fetch::{LIMITS, access};
use crate::support::raw_server::{Asked, RawServer, answer, ok, redirect};
use hls_relay::fetch::{Fetcher, SourceAccess};
use hls_relay_core::event::{FetchError, LoadedPlaylist};
use reqwest::header::{HeaderMap, HeaderValue};
use url::Url;

async fn load(
    fetcher: &Fetcher,
    access: &SourceAccess,
    url: &str,
) -> Result<LoadedPlaylist, FetchError> {
    fetcher.playlist(access, url, None, &LIMITS).await
}

fn refused(host: &str) -> Result<LoadedPlaylist, FetchError> {
    Err(FetchError::PrivateAddress(host.into()))
}

fn with_headers(url: &str, headers: &[(&'static str, &'static str)]) -> SourceAccess {
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    SourceAccess::new(&Url::parse(url).unwrap(), &HeaderMap::from_iter(pairs))
}

/// A name that the world takes for public, at a server of ours.
fn public_name(server: &RawServer) -> (Fetcher, String) {
    let fetcher = Fetcher::with_pinned(vec![("192-0-2-1.example".to_owned(), server.address)]);
    (
        fetcher,
        format!(
            "http://192-0-2-1.example:{}/live.m3u8",
            server.address.port()
        ),
    )
}

/// As if DNS had said that the configured name is public.
fn public_access(name: &str) -> SourceAccess {
    let mut url = Url::parse(name).unwrap();
    url.set_host(Some("192.0.2.1")).unwrap();
    access(url.as_str())
}

#[tokio::test]
async fn c_36_a_public_source_does_not_lead_to_private_addresses() {
    let private = RawServer::always(ok(b"#EXTM3U\n")).await;
    let port = private.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
    ] {
        let target = format!("http://{host}:{port}/x");
        let shown = Url::parse(&target).unwrap().host_str().unwrap().to_owned();
        let origin = RawServer::always(redirect(&target)).await;
        let (fetcher, url) = public_name(&origin);
        let access = public_access(&url);
        assert_eq!(
            load(&fetcher, &access, &url).await,
            refused(&shown),
            "redirect to {host}"
        );
        assert_eq!(origin.asked().len(), 1);
        assert_eq!(
            load(&fetcher, &access, &target).await,
            refused(&shown),
            "listed {host}"
        );
    }
    assert_eq!(private.connections(), 0, "refused before anything was sent");
}

#[tokio::test]
async fn c_36_a_source_on_this_host_may_lead_to_it_but_not_to_a_metadata_service() {
    let edge = RawServer::always(ok(b"#EXTM3U\n")).await;
    let to = format!("http://localhost:{}/x", edge.address.port());
    let origin = RawServer::always(redirect(&to)).await;
    let url = origin.url("/live.m3u8");
    assert!(load(&Fetcher::new(), &access(&url), &url).await.is_ok());
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
    ] {
        let origin = RawServer::always(redirect(target)).await;
        let url = origin.url("/live.m3u8");
        let host = Url::parse(target).unwrap().host_str().unwrap().to_owned();
        assert_eq!(
            load(&Fetcher::new(), &access(&url), &url).await,
            refused(&host)
        );
    }
}

#[tokio::test]
async fn credentials_stay_with_the_configured_host() {
    let stranger = RawServer::always(ok(b"#EXTM3U\n")).await;
    let to = format!("http://localhost:{}/x", stranger.address.port());
    let origin = RawServer::always(redirect(&to)).await;
    let url = origin.url("/live.m3u8");
    let headers = [
        ("authorization", "Bearer secret"),
        ("cookie", "session=secret"),
        ("proxy-authorization", "Basic secret"),
        ("x-tenant", "blue"),
        ("user-agent", "player/1"),
    ];
    let access = with_headers(&url, &headers);
    load(&Fetcher::new(), &access, &url).await.unwrap();
    let (ours, theirs) = (&origin.asked()[0], &stranger.asked()[0]);
    for (name, value) in headers {
        assert_eq!(ours.header(name).as_deref(), Some(value));
    }
    for name in ["authorization", "cookie", "proxy-authorization", "referer"] {
        assert_eq!(theirs.header(name), None, "{name}");
    }
    assert_eq!(theirs.header("x-tenant").as_deref(), Some("blue"));
    assert_eq!(theirs.header("user-agent").as_deref(), Some("player/1"));
}

#[tokio::test]
async fn userinfo_becomes_basic_authentication_for_its_host_and_is_told_to_nobody() {
    let stranger = RawServer::always(ok(b"#EXTM3U\n")).await;
    let to = format!("http://localhost:{}/x", stranger.address.port());
    let origin = RawServer::start(move |asked| match &*asked.path {
        "/live.m3u8" => redirect(&to),
        _ => ok(b"#EXTM3U\n"),
    })
    .await;
    let url = origin.url("/live.m3u8");
    let access = access(&url.replace("http://", "http://us%65r:p%40ss@"));
    assert_eq!(*access.public_url(), *url);
    let fetcher = Fetcher::new();
    load(&fetcher, &access, &url).await.unwrap();
    let loaded = load(&fetcher, &access, &origin.url("/other.m3u8"))
        .await
        .unwrap();
    // "user:p@ss"
    let basic = Some("Basic dXNlcjpwQHNz".to_owned());
    let sent: Vec<_> = origin
        .asked()
        .iter()
        .map(|asked| asked.header("authorization"))
        .collect();
    assert_eq!(sent, [basic.clone(), basic]);
    assert_eq!(stranger.asked()[0].header("authorization"), None);
    let LoadedPlaylist::Body { url, .. } = loaded else {
        panic!("not modified")
    };
    assert_eq!(
        *url,
        *origin.url("/other.m3u8"),
        "the base that the core learns has no password"
    );
}

#[tokio::test]
async fn cookies_come_back_to_their_host_and_stay_within_their_source() {
    let stranger = RawServer::always(ok(b"#EXTM3U\n")).await;
    let origin = RawServer::start(|asked| match &*asked.path {
        "/live.m3u8" => {
            let fields = "set-cookie: token=t1; Path=/\r\nset-cookie: only=m; Path=/media\r\n";
            vec![answer(
                "302 Found",
                &format!("{fields}location: /next.m3u8\r\n"),
                b"",
            )]
        }
        _ => ok(b"#EXTM3U\n"),
    })
    .await;
    let (fetcher, url) = (Fetcher::new(), origin.url("/live.m3u8"));
    let first = with_headers(&url, &[("cookie", "mine=1")]);
    load(&fetcher, &first, &url).await.unwrap();
    load(&fetcher, &first, &origin.url("/media/1.ts"))
        .await
        .unwrap();
    let elsewhere = format!("http://localhost:{}/x", stranger.address.port());
    load(&fetcher, &first, &elsewhere).await.unwrap();
    load(&fetcher, &access(&url), &origin.url("/media/1.ts"))
        .await
        .unwrap();
    let cookies = |asked: &[Asked]| -> Vec<Vec<String>> {
        let sorted = |line: String| {
            let mut pairs: Vec<_> = line.split("; ").map(str::to_owned).collect();
            pairs.sort();
            pairs
        };
        asked
            .iter()
            .map(|asked| asked.header("cookie").map(sorted).unwrap_or_default())
            .collect()
    };
    let expected: [&[&str]; 4] = [
        &["mine=1"],
        &["mine=1", "token=t1"],
        &["mine=1", "only=m", "token=t1"],
        &[],
    ];
    assert_eq!(cookies(&origin.asked()), expected);
    assert_eq!(cookies(&stranger.asked()), [Vec::<String>::new()]);
}

#[tokio::test]
async fn an_origin_that_sets_a_new_cookie_each_time_does_not_fill_the_request() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let origin = RawServer::start(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        vec![answer(
            "200 OK",
            &format!("set-cookie: c{number}={}; Path=/\r\n", "x".repeat(180)),
            b"#EXTM3U\n",
        )]
    })
    .await;
    let (fetcher, url) = (Fetcher::new(), origin.url("/live.m3u8"));
    let access = access(&url);
    for _ in 0..120 {
        load(&fetcher, &access, &url).await.unwrap();
    }
    let longest = origin
        .asked()
        .into_iter()
        .filter_map(|asked| asked.header("cookie"))
        .map(|c| c.len());
    let longest = longest.max().unwrap();
    assert!((1_000..5_000).contains(&longest), "{longest}");
}

#[tokio::test]
async fn origins_see_who_asks() {
    let origin = RawServer::always(ok(b"#EXTM3U\n")).await;
    let url = origin.url("/live.m3u8");
    load(&Fetcher::new(), &access(&url), &url).await.unwrap();
    let agent = origin.asked()[0].header("user-agent").unwrap();
    assert_eq!(agent, format!("hls-relay/{}", env!("CARGO_PKG_VERSION")));
}
