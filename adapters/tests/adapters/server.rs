//! What viewers and caches are answered.

use flate2::read::GzDecoder;
use hls_relay::output::{Output, Outputs, Shown};
use hls_relay::server;
use hls_relay::store::Store;
use hls_relay_core::command::PublishedPlaylist;
use hls_relay_core::ids::{ObjectName, PlaylistName};
use hls_relay_core::time::Span;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const TEXT: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n";
const MEDIA: &[u8] = b"0123456789";

/// A server with one channel, "live", that has one segment.
struct Served {
    output: Arc<Output>,
    address: String,
    client: Client,
    folder: tempfile::TempDir,
}

impl Served {
    async fn memory() -> Self {
        Self::with(Store::memory(), tempfile::tempdir().unwrap()).await
    }

    async fn directory() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::with(Store::directory(folder.path(), "live").unwrap(), folder).await
    }

    async fn newest() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::directory(folder.path(), "live").unwrap();
        Self::with(store.with_newest(Arc::default()), folder).await
    }

    async fn with(store: Store, folder: tempfile::TempDir) -> Self {
        put(&store, "a.ts", MEDIA).await;
        let output = Arc::new(Output::new(store));
        let outputs = Outputs::default();
        outputs.insert("live".into(), output.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(server::serve(
            listener,
            outputs,
            None,
            std::future::pending(),
        ));
        Self {
            output,
            address,
            client: Client::builder().no_gzip().build().unwrap(),
            folder,
        }
    }

    fn show(&self, text: &str) {
        self.publish(&[PublishedPlaylist::entry(text)]);
    }

    fn publish(&self, playlists: &[PublishedPlaylist]) {
        self.output
            .publish(playlists, Span::from_millis(2_900), Span::from_secs(77));
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.address))
    }

    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let ask = self.ask(Method::GET, path);
        let ask = fields
            .iter()
            .fold(ask, |ask, (name, value)| ask.header(*name, *value));
        ask.send().await.unwrap()
    }
}

async fn put(store: &Store, name: &str, bytes: &[u8]) {
    let mut object = store.create(&ObjectName(name.into())).unwrap();
    object.write(bytes).await.unwrap();
    object.commit().await.unwrap();
}

fn field<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("(none)", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn s_43_playlists_and_segments_have_their_types() {
    let served = Served::memory().await;
    served.show(TEXT);
    let playlist = served.get("/live/index.m3u8", &[]).await;
    assert_eq!(
        field(&playlist, "content-type"),
        "application/vnd.apple.mpegurl"
    );
    assert_eq!(field(&playlist, "content-length"), TEXT.len().to_string());
    assert_eq!(playlist.text().await.unwrap(), TEXT);
    let segment = served.get("/live/a.ts?session=1", &[]).await;
    assert_eq!(field(&segment, "content-type"), "video/mp2t");
    assert_eq!(segment.bytes().await.unwrap(), MEDIA);
}

#[tokio::test]
async fn s_44_gzip_only_when_offered_and_never_for_media() {
    let served = Served::memory().await;
    served.show(TEXT);
    let offered = [("accept-encoding", "br, gzip")];
    let zipped = served.get("/live/index.m3u8", &offered).await;
    assert_eq!(field(&zipped, "content-encoding"), "gzip");
    assert_eq!(field(&zipped, "vary"), "accept-encoding");
    let length: usize = field(&zipped, "content-length").parse().unwrap();
    let body = zipped.bytes().await.unwrap();
    assert_eq!(length, body.len());
    let mut text = String::new();
    GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
    assert_eq!(text, TEXT);
    for fields in [&[][..], &[("accept-encoding", "gzip;q=0")]] {
        let plain = served.get("/live/index.m3u8", fields).await;
        assert_eq!(field(&plain, "content-encoding"), "(none)");
        assert_eq!(field(&plain, "vary"), "accept-encoding");
        assert_eq!(plain.text().await.unwrap(), TEXT);
    }
    let media = served.get("/live/a.ts", &offered).await;
    assert_eq!(
        (field(&media, "content-encoding"), field(&media, "vary")),
        ("(none)", "(none)")
    );
    assert_eq!(media.bytes().await.unwrap(), MEDIA);
}

#[tokio::test]
async fn s_45_caches_are_told_how_long() {
    let served = Served::memory().await;
    let before = served.get("/live/index.m3u8", &[]).await;
    assert_eq!(field(&before, "cache-control"), "no-store");
    served.show(TEXT);
    let playlist = served.get("/live/index.m3u8", &[]).await;
    assert_eq!(field(&playlist, "cache-control"), "max-age=2");
    let segment = served.get("/live/a.ts", &[]).await;
    assert_eq!(
        field(&segment, "cache-control"),
        "public, max-age=77, immutable"
    );
    let gone = served.get("/live/b.ts", &[]).await;
    assert_eq!(
        (gone.status(), field(&gone, "cache-control")),
        (StatusCode::NOT_FOUND, "max-age=5")
    );
}

#[tokio::test]
async fn before_the_first_playlist_players_are_asked_to_wait() {
    let served = Served::memory().await;
    for path in ["/live/index.m3u8", "/live/still-being-fetched-again.ts"] {
        let answer = served.get(path, &[]).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(field(&answer, "retry-after"), "2");
        assert_eq!(field(&answer, "access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn s_46_a_presentation_that_was_withdrawn_is_not_found() {
    let served = Served::memory().await;
    served.show(TEXT);
    served.output.withdraw();
    assert_eq!(
        served.get("/live/index.m3u8", &[]).await.status(),
        StatusCode::NOT_FOUND
    );
    served.show(TEXT);
    assert_eq!(
        served.get("/live/index.m3u8", &[]).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn s_01_all_playlists_of_a_version_are_shown_in_one_step() {
    let served = Served::memory().await;
    let playlist = |name: &str, text: &str| PublishedPlaylist {
        name: PlaylistName(name.into()),
        text: text.into(),
    };
    let names = ["index.m3u8", "v0.m3u8", "a0.m3u8"];
    let path = |name: &str| format!("/live/{name}");
    let first = served.get(&path("v0.m3u8"), &[]).await;
    assert_eq!(first.status(), StatusCode::SERVICE_UNAVAILABLE);
    served.publish(&names.map(|name| playlist(name, &format!("#EXTM3U\n#first {name}\n"))));
    let shown = served.output.shown();
    served.publish(&[playlist("v0.m3u8", "#EXTM3U\n#second v0.m3u8\n")]);

    for (name, round) in [
        ("index.m3u8", "first"),
        ("v0.m3u8", "second"),
        ("a0.m3u8", "first"),
    ] {
        let text = format!("#EXTM3U\n#{round} {name}\n");
        let plain = served.get(&path(name), &[]).await;
        assert_eq!(
            field(&plain, "content-type"),
            "application/vnd.apple.mpegurl"
        );
        assert_eq!(field(&plain, "cache-control"), "max-age=2");
        let etag = field(&plain, "etag").to_owned();
        assert_eq!(plain.text().await.unwrap(), text);
        let again = served.get(&path(name), &[("if-none-match", &etag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let zipped = served
            .get(&path(name), &[("accept-encoding", "gzip")])
            .await;
        assert_eq!(field(&zipped, "content-encoding"), "gzip");
        let head = served.ask(Method::HEAD, &path(name)).send().await.unwrap();
        assert_eq!(field(&head, "content-length"), text.len().to_string());
        assert!(head.bytes().await.unwrap().is_empty());
    }
    let unknown = served.get(&path("v1.m3u8"), &[]).await;
    assert_eq!(
        (unknown.status(), field(&unknown, "cache-control")),
        (StatusCode::NOT_FOUND, "max-age=5")
    );
    // Whoever holds the version before still has all of it.
    let Shown::Version(before) = shown else {
        panic!("{shown:?}")
    };
    let v0 = before.playlist("v0.m3u8").unwrap();
    assert_eq!(&*v0.plain, b"#EXTM3U\n#first v0.m3u8\n");

    served.output.withdraw();
    for name in names {
        let answer = served.get(&path(name), &[]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{name}");
    }
    served.publish(&[playlist("index.m3u8", TEXT)]);
    let left = served.get(&path("v0.m3u8"), &[]).await;
    assert_eq!(left.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn s_44_webvtt_is_packed_for_who_takes_it() {
    const CUES: &[u8] = b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n";
    let gzip = ("accept-encoding", "gzip");
    for served in [Served::memory().await, Served::directory().await] {
        put(served.output.store(), "s.vtt", CUES).await;
        served.show(TEXT);
        let plain = served.get("/live/s.vtt", &[]).await;
        assert_eq!(field(&plain, "content-encoding"), "(none)");
        assert_eq!(field(&plain, "vary"), "accept-encoding");
        assert_eq!(field(&plain, "content-type"), "text/vtt; charset=utf-8");
        let plain_etag = field(&plain, "etag").to_owned();
        assert_eq!(plain.bytes().await.unwrap(), CUES);

        let zipped = served.get("/live/s.vtt", &[gzip]).await;
        assert_eq!(field(&zipped, "content-encoding"), "gzip");
        assert_eq!(field(&zipped, "vary"), "accept-encoding");
        let etag = field(&zipped, "etag").to_owned();
        assert_ne!(etag, plain_etag);
        let length = field(&zipped, "content-length").to_owned();
        let body = zipped.bytes().await.unwrap();
        assert_eq!(length, body.len().to_string());
        let mut text = Vec::new();
        GzDecoder::new(&*body).read_to_end(&mut text).unwrap();
        assert_eq!(text, CUES);

        let head = served.ask(Method::HEAD, "/live/s.vtt");
        let head = head.header(gzip.0, gzip.1).send().await.unwrap();
        assert_eq!(field(&head, "content-length"), length);
        let fields = [gzip, ("if-none-match", etag.as_str())];
        let known = served.get("/live/s.vtt", &fields).await;
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        let fields = [gzip, ("range", "bytes=0-5")];
        let part = served.get("/live/s.vtt", &fields).await;
        assert_eq!(field(&part, "content-encoding"), "(none)");
        assert_eq!(part.bytes().await.unwrap(), &b"WEBVTT"[..]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_the_front_page_says_what_is() {
    let served = Served::memory().await;
    served.show(TEXT);
    for path in [
        "/other/index.m3u8",
        "/live",
        "/live/",
        "/live/a/b.ts",
        "/live/..%2fa.ts",
        "/x",
    ] {
        assert_eq!(
            served.get(path, &[]).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let front = served.get("/", &[]).await.text().await.unwrap();
    assert!(
        front.contains(&format!("{}/live/index.m3u8\n", served.address)),
        "{front}"
    );
    let posted = served
        .ask(Method::POST, "/live/index.m3u8")
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn an_entity_tag_that_is_known_gets_304() {
    let served = Served::directory().await;
    served.show(TEXT);
    for (path, fields) in [
        ("/live/index.m3u8", &[][..]),
        ("/live/index.m3u8", &[("accept-encoding", "gzip")]),
        ("/live/a.ts", &[]),
    ] {
        let etag = field(&served.get(path, fields).await, "etag").to_owned();
        for sent in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
            let fields = [fields, &[("if-none-match", &*sent)]].concat();
            let answer = served.get(path, &fields).await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{path} {sent}");
            assert_eq!(field(&answer, "etag"), etag);
            assert!(field(&answer, "cache-control").contains("max-age"));
            assert!(answer.bytes().await.unwrap().is_empty());
        }
        let other = [fields, &[("if-none-match", "\"x\"")]].concat();
        assert_eq!(served.get(path, &other).await.status(), StatusCode::OK);
    }
    let old = field(&served.get("/live/index.m3u8", &[]).await, "etag").to_owned();
    served.show("#EXTM3U\n");
    let changed = served
        .get("/live/index.m3u8", &[("if-none-match", &old)])
        .await;
    assert_eq!(changed.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_compressed_text_has_a_tag_of_its_own() {
    let served = Served::memory().await;
    served.show(TEXT);
    let plain = field(&served.get("/live/index.m3u8", &[]).await, "etag").to_owned();
    let zipped = served
        .get("/live/index.m3u8", &[("accept-encoding", "gzip")])
        .await;
    assert_ne!(field(&zipped, "etag"), plain);
}

#[tokio::test]
async fn s_69_segments_are_served_in_ranges_from_memory_and_from_files() {
    for served in [
        Served::memory().await,
        Served::directory().await,
        Served::newest().await,
    ] {
        served.show(TEXT);
        for (range, part, shown) in [
            ("bytes=2-4", &b"234"[..], "bytes 2-4/10"),
            ("bytes=7-", b"789", "bytes 7-9/10"),
            ("bytes=-1", b"9", "bytes 9-9/10"),
            ("bytes=0-99", MEDIA, "bytes 0-9/10"),
        ] {
            let answer = served.get("/live/a.ts", &[("range", range)]).await;
            assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
            assert_eq!(field(&answer, "content-range"), shown);
            assert_eq!(field(&answer, "content-length"), part.len().to_string());
            assert_eq!(answer.bytes().await.unwrap(), part);
        }
        let beyond = served.get("/live/a.ts", &[("range", "bytes=10-")]).await;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(field(&beyond, "content-range"), "bytes */10");
        let several = served
            .get("/live/a.ts", &[("range", "bytes=0-1,4-5")])
            .await;
        assert_eq!(several.status(), StatusCode::OK);
        let whole = served.get("/live/a.ts", &[]).await;
        assert_eq!(field(&whole, "accept-ranges"), "bytes");
        let etag = field(&whole, "etag").to_owned();
        let same = served
            .get("/live/a.ts", &[("range", "bytes=0-1"), ("if-range", &etag)])
            .await;
        assert_eq!(same.status(), StatusCode::PARTIAL_CONTENT);
        let other = served
            .get(
                "/live/a.ts",
                &[("range", "bytes=0-1"), ("if-range", "\"x\"")],
            )
            .await;
        assert_eq!(other.bytes().await.unwrap(), MEDIA);
    }
}

#[tokio::test]
async fn s_69_head_tells_what_get_would_and_sends_nothing() {
    for served in [Served::memory().await, Served::directory().await] {
        served.show(TEXT);
        for path in ["/live/index.m3u8", "/live/a.ts"] {
            let head = served.ask(Method::HEAD, path).header("range", "bytes=0-1");
            let (head, get) = (head.send().await.unwrap(), served.get(path, &[]).await);
            assert_eq!(head.status(), StatusCode::OK);
            for name in ["content-type", "content-length", "etag", "cache-control"] {
                assert_eq!(field(&head, name), field(&get, name), "{path} {name}");
                assert_ne!(field(&head, name), "(none)");
            }
            assert!(head.bytes().await.unwrap().is_empty());
        }
        let missing = served.ask(Method::HEAD, "/live/b.ts").send().await.unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn s_69_a_page_of_another_site_may_read_everything() {
    let served = Served::memory().await;
    served.show(TEXT);
    for path in ["/live/index.m3u8", "/live/a.ts", "/live/b.ts", "/nothing"] {
        let answer = served
            .get(path, &[("origin", "https://player.example")])
            .await;
        assert_eq!(field(&answer, "access-control-allow-origin"), "*", "{path}");
        let exposed = field(&answer, "access-control-expose-headers").to_ascii_lowercase();
        for name in [
            "content-range",
            "content-length",
            "age",
            "etag",
            "date",
            "retry-after",
        ] {
            assert!(
                exposed.split(',').any(|item| item.trim() == name),
                "{name} in {exposed}"
            );
        }
    }
    let preflight = served
        .ask(Method::OPTIONS, "/live/a.ts")
        .header("origin", "https://player.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "range, if-none-match");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(field(&answer, "access-control-allow-methods").contains("GET"));
    assert_eq!(
        field(&answer, "access-control-allow-headers"),
        "range, if-none-match"
    );
    assert_eq!(field(&answer, "access-control-max-age"), "86400");
}

/// Readers that never pause, until each has seen many versions of very different lengths.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_01_many_readers_see_only_whole_versions() {
    let served = Arc::new(Served::memory().await);
    let text = |number: usize| {
        format!(
            "#EXTM3U\n{}#END {number}\n",
            "#x\n".repeat(number * number % 7_919)
        )
    };
    let versions: Vec<String> = (0..200).map(text).collect();
    let known: Arc<HashSet<String>> = Arc::new(versions.iter().cloned().collect());
    served.show(&versions[0]);
    let reader = |zipped: bool| {
        let (served, known) = (served.clone(), known.clone());
        async move {
            let fields: &[_] = if zipped {
                &[("accept-encoding", "gzip")]
            } else {
                &[]
            };
            let mut seen: HashSet<String> = HashSet::new();
            while seen.len() < 20 {
                let answer = served.get("/live/index.m3u8", fields).await;
                assert_eq!(answer.status(), StatusCode::OK);
                let text = unzipped(&answer.bytes().await.unwrap());
                assert!(
                    known.contains(&text),
                    "a version that was never published: {text}"
                );
                seen.insert(text);
            }
        }
    };
    let readers: Vec<_> = (0..8)
        .map(|number| tokio::spawn(reader(number % 2 == 0)))
        .collect();
    for version in versions.iter().cycle() {
        served.show(version);
        tokio::time::sleep(Duration::from_millis(1)).await;
        if readers.iter().all(JoinHandle::is_finished) {
            break;
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

fn unzipped(body: &[u8]) -> String {
    let mut text = String::new();
    if body.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(body).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(body).unwrap());
    }
    text
}

#[tokio::test]
async fn a_file_that_somebody_took_away_is_not_found() {
    let served = Served::directory().await;
    served.show(TEXT);
    std::fs::remove_file(served.folder.path().join("live/a.ts")).unwrap();
    assert_eq!(
        served.get("/live/a.ts", &[]).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn one_of_the_newest_is_given_without_its_file_and_not_once_it_is_deleted() {
    let served = Served::newest().await;
    served.show(TEXT);
    std::fs::remove_file(served.folder.path().join("live/a.ts")).unwrap();
    let answer = served.get("/live/a.ts", &[]).await;
    assert_eq!(answer.bytes().await.unwrap(), MEDIA);
    let name = ObjectName("a.ts".into());
    served.output.store().delete(vec![name]).await.unwrap();
    assert_eq!(
        served.get("/live/a.ts", &[]).await.status(),
        StatusCode::NOT_FOUND
    );
}
