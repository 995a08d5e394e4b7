//! What a request brings home, and by which name it fails.

use crate::support::raw_server::{Act, RawServer, answer, head, ok, redirect};
use flate2::{Compression, write::GzEncoder};
use hls_relay::fetch::{Fetcher, Keys, SourceAccess};
use hls_relay::store::Store;
use hls_relay_core::command::{ByteSpan, Content, Decrypt, Download, FetchLimits};
use hls_relay_core::event::{FetchError, LoadedPlaylist, StoredSegment};
use hls_relay_core::ids::{Epoch, Generation, ObjectName, RequestId};
use hls_relay_core::time::Span;
use reqwest::header::HeaderMap;
use std::io::Write;
use url::Url;

pub(crate) const LIMITS: FetchLimits = FetchLimits {
    first_byte: Span::from_secs(2),
    whole: Span::from_secs(5),
    least_bytes: 0,
    rate_window: Span::from_secs(1),
    max_bytes: 1 << 20,
    max_redirects: 4,
};

/// Access as configured for this URL, without headers.
pub(crate) fn access(url: &str) -> SourceAccess {
    SourceAccess::new(&Url::parse(url).unwrap(), &HeaderMap::new())
}

pub(crate) async fn load(
    server: &RawServer,
    limits: &FetchLimits,
) -> Result<LoadedPlaylist, FetchError> {
    let url = server.url("/live.m3u8");
    Fetcher::new()
        .playlist(&access(&url), &url, None, limits)
        .await
}

/// A whole segment, or a part of a resource.
pub(crate) fn wanted(url: &str, byte_range: Option<ByteSpan>, limits: &FetchLimits) -> Download {
    Download {
        request: RequestId(1),
        generation: Generation(1),
        epoch: Epoch(1),
        source: 0,
        url: url.into(),
        content: Content::Segment,
        byte_range,
        decrypt: None,
        look: false,
        may_be_empty: false,
        object: ObjectName("a.ts".into()),
        limits: *limits,
    }
}

/// Downloads into a store and gives what is then in it.
pub(crate) async fn download(
    server: &RawServer,
    byte_range: Option<ByteSpan>,
    limits: &FetchLimits,
) -> Result<(StoredSegment, Vec<u8>), FetchError> {
    let url = server.url("/1.ts");
    let store = Store::memory();
    let mut object = store.create(&ObjectName("a.ts".into())).unwrap();
    let wanted = wanted(&url, byte_range, limits);
    Fetcher::new()
        .segment(&access(&url), &wanted, &Keys::default(), &mut object)
        .await?;
    let stored = object.commit().await.unwrap();
    let hls_relay::store::Content::Memory(bytes) = store.get("a.ts").unwrap().content else {
        panic!("a file in a store in memory");
    };
    Ok((stored, bytes.to_vec()))
}

fn text(loaded: Result<LoadedPlaylist, FetchError>) -> String {
    match loaded.unwrap() {
        LoadedPlaylist::Body { body, .. } => String::from_utf8(body.0.to_vec()).unwrap(),
        LoadedPlaylist::NotModified => panic!("not modified"),
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn is_refused_as_page(server: &RawServer) {
    let refused = download(server, None, &LIMITS).await.unwrap_err();
    assert!(
        matches!(&refused, FetchError::Protocol(why) if why.contains("page")),
        "{refused}"
    );
}

/// A portal that answers everything with its login page, and media under a wrong name.
#[tokio::test]
async fn a_page_is_no_segment_and_media_called_a_page_is() {
    let html = |body: &[u8]| {
        vec![answer(
            "200 OK",
            "content-type: text/html; charset=utf-8\r\n",
            body,
        )]
    };
    let portal = RawServer::always(html(b"\n<!DOCTYPE html><p>Log in</p>")).await;
    is_refused_as_page(&portal).await;
    let media = RawServer::always(html(b"G media")).await;
    assert_eq!(download(&media, None, &LIMITS).await.unwrap().1, b"G media");
}

/// Types lie: what begins as a page is one, whatever it is called and in however many pieces it comes.
#[tokio::test]
async fn a_page_that_is_called_media_is_no_segment_and_what_is_only_like_one_is() {
    let media = |body: &[u8]| answer("200 OK", "content-type: video/mp2t\r\n", body);
    for page in [
        &b"<!DOCTYPE html><p>Log in</p>"[..],
        b"\xef\xbb\xbf\r\n <HTML lang=en>",
        b"<!doctype HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">",
    ] {
        let portal = RawServer::always(vec![media(page)]).await;
        is_refused_as_page(&portal).await;
    }
    let bytes = head(
        "200 OK",
        "content-type: video/mp2t\r\ncontent-length: 16\r\n",
    );
    let pieces = [&b"\n<!DOC"[..], b"TYPE htm", b"l>"];
    let pieces = pieces.map(|it| Act::Send(it.to_vec()));
    let slow = RawServer::always([vec![bytes], pieces.to_vec()].concat()).await;
    is_refused_as_page(&slow).await;
    // Subtitles may be of markup as well, and a cue may speak of it.
    for media_of in [
        &b"<?xml version=\"1.0\"?><tt/>"[..],
        b"WEBVTT\n\n00:00.000 --> 00:01.000\n<html>",
        b"<htm",
    ] {
        let server = RawServer::always(vec![media(media_of)]).await;
        assert_eq!(download(&server, None, &LIMITS).await.unwrap().1, media_of);
    }
}

#[tokio::test]
async fn c_35_the_base_is_the_url_that_answers_in_the_end() {
    let edge = RawServer::always(ok(b"#EXTM3U\n")).await;
    let to = edge.url("/b/x.m3u8?t=1#frag");
    let server = RawServer::start(move |asked| match &*asked.path {
        "/live.m3u8" => redirect("../a/./next.m3u8"),
        "/a/next.m3u8" => redirect(&to),
        other => panic!("asked for {other}"),
    })
    .await;
    let LoadedPlaylist::Body { url, .. } = load(&server, &LIMITS).await.unwrap() else {
        panic!("not modified");
    };
    assert_eq!(*url, *edge.url("/b/x.m3u8?t=1"));
    assert_eq!(
        server.connections(),
        1,
        "a redirect leaves its connection in use"
    );
}

#[tokio::test]
async fn c_63_redirects_end_at_the_limit() {
    let server = RawServer::always(redirect("/live.m3u8")).await;
    assert_eq!(
        load(&server, &LIMITS).await,
        Err(FetchError::TooManyRedirects(4))
    );
    assert_eq!(server.asked().len(), 5, "the first request and four hops");
}

#[tokio::test]
async fn c_36_only_http_is_followed() {
    for location in ["file:///etc/passwd", "data:text/plain,x", "ftp://host/x"] {
        let server = RawServer::always(redirect(location)).await;
        let loaded = load(&server, &LIMITS).await;
        assert!(
            matches!(loaded, Err(FetchError::BadUrl(_))),
            "{location}: {loaded:?}"
        );
    }
    let nowhere = RawServer::always(vec![answer("302 Found", "", b"")]).await;
    assert_eq!(load(&nowhere, &LIMITS).await, Err(FetchError::Status(302)));
}

#[tokio::test]
async fn c_36_the_url_of_a_segment_is_checked_like_any_other() {
    let (fetcher, store) = (Fetcher::new(), Store::memory());
    let access = access("http://127.0.0.1/live.m3u8");
    for url in [
        "file:///etc/passwd",
        "data:video/mp2t;base64,RwA=",
        "not a url",
    ] {
        let mut object = store.create(&ObjectName("a.ts".into())).unwrap();
        let outcome = fetcher
            .segment(
                &access,
                &wanted(url, None, &LIMITS),
                &Keys::default(),
                &mut object,
            )
            .await;
        assert!(
            matches!(outcome, Err(FetchError::BadUrl(_))),
            "{url}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_is_told_and_its_body_left() {
    for status in [400, 401, 403, 404, 410, 416, 429, 500, 503, 204] {
        let line = format!("{status} Whatever");
        let acts = vec![
            head(&line, "transfer-encoding: chunked\r\n"),
            Act::Flood(vec![b'x'; 9]),
        ];
        let acts = if status == 204 {
            vec![head(&line, "")]
        } else {
            acts
        };
        let server = RawServer::always(acts).await;
        assert_eq!(
            load(&server, &LIMITS).await,
            Err(FetchError::Status(status))
        );
        assert_eq!(
            download(&server, None, &LIMITS).await,
            Err(FetchError::Status(status))
        );
    }
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    for kind in [
        "text/html",
        "text/plain; charset=latin1",
        "video/mp2t",
        "nonsense",
    ] {
        let fields = format!("content-type: {kind}\r\n");
        let server = RawServer::always(vec![answer("200 OK", &fields, b"#EXTM3U\n")]).await;
        assert_eq!(text(load(&server, &LIMITS).await), "#EXTM3U\n");
    }
}

#[tokio::test]
async fn c_12_an_entity_tag_is_sent_back_and_304_is_unchanged() {
    let server = RawServer::start(|asked| match asked.header("if-none-match").as_deref() {
        Some("\"v1\"") => vec![answer("304 Not Modified", "", b"")],
        _ => vec![answer("200 OK", "etag: \"v1\"\r\n", b"#EXTM3U\n")],
    })
    .await;
    let (fetcher, url) = (Fetcher::new(), server.url("/live.m3u8"));
    let access = access(&url);
    let first = fetcher
        .playlist(&access, &url, None, &LIMITS)
        .await
        .unwrap();
    let LoadedPlaylist::Body { etag, .. } = first else {
        panic!("not modified")
    };
    assert_eq!(etag.as_deref(), Some("\"v1\""));
    let second = fetcher
        .playlist(&access, &url, etag.as_deref(), &LIMITS)
        .await;
    assert_eq!(second, Ok(LoadedPlaylist::NotModified));
    assert_eq!(server.connections(), 1, "the connection is used again");
    let unasked = RawServer::always(vec![answer("304 Not Modified", "", b"")]).await;
    assert_eq!(load(&unasked, &LIMITS).await, Err(FetchError::Status(304)));
}

#[tokio::test]
async fn gzip_is_undone_asked_for_or_not_named_or_not() {
    let packed = gzip(b"#EXTM3U\n");
    let fields = "content-encoding: gzip\r\n";
    let named = RawServer::always(vec![answer("200 OK", fields, &packed)]).await;
    assert_eq!(text(load(&named, &LIMITS).await), "#EXTM3U\n");
    assert_eq!(
        named.asked()[0].header("accept-encoding").as_deref(),
        Some("gzip")
    );
    let unnamed = RawServer::always(vec![answer("200 OK", "", &packed)]).await;
    assert_eq!(text(load(&unnamed, &LIMITS).await), "#EXTM3U\n");

    let media = RawServer::always(vec![answer("200 OK", fields, &gzip(b"media"))]).await;
    assert_eq!(download(&media, None, &LIMITS).await.unwrap().1, b"media");
    assert_eq!(
        media.asked()[0].header("accept-encoding").as_deref(),
        Some("identity")
    );
    let range = Some(ByteSpan {
        offset: 1,
        length: 3,
    });
    assert_eq!(download(&media, range, &LIMITS).await.unwrap().1, b"edi");
}

#[tokio::test]
async fn codings_that_cannot_be_undone_are_named() {
    let brotli = answer("200 OK", "content-encoding: br\r\n", b"x");
    let server = RawServer::always(vec![brotli]).await;
    assert_eq!(
        load(&server, &LIMITS).await,
        Err(FetchError::BadEncoding("br".into()))
    );
    let lie = RawServer::always(vec![answer(
        "200 OK",
        "content-encoding: gzip\r\n",
        b"plain",
    )])
    .await;
    assert!(matches!(
        load(&lie, &LIMITS).await,
        Err(FetchError::BadEncoding(_))
    ));
}

#[tokio::test]
async fn c_27_a_range_is_had_from_a_part_and_from_the_whole() {
    let range = Some(ByteSpan {
        offset: 2,
        length: 3,
    });
    let part = answer(
        "206 Partial Content",
        "content-range: bytes 2-4/10\r\n",
        b"234",
    );
    let part = RawServer::always(vec![part]).await;
    let (stored, bytes) = download(&part, range, &LIMITS).await.unwrap();
    assert_eq!((stored.length, &*bytes), (3, &b"234"[..]));
    assert_eq!(
        part.asked()[0].header("range").as_deref(),
        Some("bytes=2-4")
    );
    let whole = RawServer::always(ok(b"0123456789")).await;
    assert_eq!(download(&whole, range, &LIMITS).await.unwrap().1, b"234");
    // A whole that never ends is left as soon as the range is there.
    let chunked = head("200 OK", "transfer-encoding: chunked\r\n");
    let endless = RawServer::always(vec![chunked, Act::Flood(b"4\r\n0123\r\n".to_vec())]).await;
    assert_eq!(download(&endless, range, &LIMITS).await.unwrap().1, b"230");
}

#[tokio::test]
async fn c_27_another_range_than_asked_for_is_refused() {
    let range = Some(ByteSpan {
        offset: 2,
        length: 3,
    });
    for fields in [
        "content-range: bytes 0-2/10\r\n",
        "content-range: bytes 2-3/10\r\n",
        "",
    ] {
        let server = RawServer::always(vec![answer("206 Partial Content", fields, b"234")]).await;
        assert_eq!(
            download(&server, range, &LIMITS).await,
            Err(FetchError::WrongRange)
        );
    }
    let fields = "content-range: bytes 2-4/10\r\n";
    let short = RawServer::always(vec![answer("206 Partial Content", fields, b"23")]).await;
    let outcome = download(&short, range, &LIMITS).await;
    assert_eq!(
        outcome,
        Err(FetchError::Truncated {
            received: 2,
            expected: 3
        })
    );
    let beyond = RawServer::always(vec![answer("416 Range Not Satisfiable", "", b"")]).await;
    assert_eq!(
        download(&beyond, range, &LIMITS).await,
        Err(FetchError::Status(416))
    );
    let unasked = RawServer::always(vec![answer("206 Partial Content", fields, b"234")]).await;
    assert_eq!(
        download(&unasked, None, &LIMITS).await,
        Err(FetchError::WrongRange)
    );
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_cut_short() {
    let acts = vec![
        head("200 OK", "content-length: 100\r\n"),
        Act::Send(vec![7; 40]),
        Act::Close,
    ];
    let server = RawServer::always(acts).await;
    let expected = FetchError::Truncated {
        received: 40,
        expected: 100,
    };
    assert_eq!(
        download(&server, None, &LIMITS).await,
        Err(expected.clone())
    );
    assert_eq!(load(&server, &LIMITS).await, Err(expected));
}

#[tokio::test]
async fn a_connection_that_breaks_is_interrupted() {
    let reset = vec![
        head("200 OK", "content-length: 100\r\n"),
        Act::Send(vec![7; 40]),
        Act::Reset,
    ];
    let reset = RawServer::always(reset).await;
    let outcome = download(&reset, None, &LIMITS).await;
    assert_eq!(outcome, Err(FetchError::Interrupted { received: 40 }));
    let chunked = head("200 OK", "transfer-encoding: chunked\r\n");
    let acts = vec![chunked, Act::Send(b"4\r\n0123\r\n".to_vec()), Act::Close];
    let chunked = RawServer::always(acts).await;
    let outcome = download(&chunked, None, &LIMITS).await;
    assert_eq!(outcome, Err(FetchError::Interrupted { received: 4 }));
    for act in [Act::Reset, Act::Close] {
        let silent = RawServer::always(vec![act]).await;
        assert_eq!(
            load(&silent, &LIMITS).await,
            Err(FetchError::Interrupted { received: 0 })
        );
    }
}

#[tokio::test]
async fn nothing_where_a_segment_should_be_is_said() {
    assert_eq!(
        download(&RawServer::always(ok(b"")).await, None, &LIMITS).await,
        Err(FetchError::Empty)
    );
    assert_eq!(
        text(load(&RawServer::always(ok(b"")).await, &LIMITS).await),
        ""
    );
}

#[tokio::test]
async fn no_listener_is_no_connection_and_gibberish_is_no_http() {
    let server =
        RawServer::always(vec![Act::Send(b"SSH-2.0-x\r\n\r\n".to_vec()), Act::Close]).await;
    assert!(matches!(
        load(&server, &LIMITS).await,
        Err(FetchError::Protocol(_))
    ));
    let url = server.url("/live.m3u8");
    drop(server);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let loaded = Fetcher::new()
        .playlist(&access(&url), &url, None, &LIMITS)
        .await;
    let Err(FetchError::Connect(why)) = loaded else {
        panic!("{loaded:?}")
    };
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_stored_segment_has_the_length_and_hash_of_its_bytes() {
    use sha2::{Digest, Sha256};
    let media: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let server = RawServer::always(ok(&media)).await;
    let (stored, bytes) = download(&server, None, &LIMITS).await.unwrap();
    assert_eq!(bytes, media);
    assert_eq!(
        (stored.length, stored.hash.0),
        (300_000, Sha256::digest(&media).into())
    );
}

/// What `openssl enc -aes-128-cbc -K 00..0f -iv 00..02` makes of sixteen times "G".
const ENCRYPTED: [u8; 32] = [
    0xc7, 0x7c, 0x00, 0x6c, 0xfc, 0xa1, 0x49, 0xc9, 0x39, 0xfc, 0x7d, 0xe5, 0x9e, 0x24, 0xcf, 0xbc,
    0xc9, 0x0b, 0x84, 0x12, 0x73, 0xd3, 0xfa, 0x21, 0x70, 0x70, 0x16, 0x6e, 0xf1, 0x09, 0x54, 0xda,
];

#[tokio::test]
async fn segments_are_decrypted_with_a_key_that_is_fetched_once() {
    let key: Vec<u8> = (0..16).collect();
    let server = RawServer::start(move |asked| match &*asked.path {
        "/1.key" => ok(&key),
        "/short.key" => ok(b"short"),
        "/none.key" => vec![answer("404 Not Found", "", b"")],
        _ => ok(&ENCRYPTED),
    })
    .await;
    let (fetcher, store, keys) = (Fetcher::new(), Store::memory(), Keys::default());
    let (url, mut iv) = (server.url("/1.ts"), [0; 16]);
    iv[15] = 2;
    for (number, key) in [
        (1, "/1.key"),
        (2, "/1.key"),
        (3, "DATA:;base64,AAECAwQFBgcICQoLDA0ODw=="),
        (4, "data:,%00%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f"),
        (5, "/short.key"),
        (6, "/none.key"),
        (7, "data:;base64,c2VjcmV0"),
        (8, "data:secret"),
    ] {
        let key_url = match key.starts_with('/') {
            true => server.url(key),
            false => key.to_owned(),
        };
        let decrypt = Some(Decrypt {
            key_url: key_url.into(),
            iv,
        });
        let wanted = Download {
            decrypt,
            ..wanted(&url, None, &LIMITS)
        };
        let name = format!("{number}.ts");
        let mut object = store.create(&ObjectName(name.as_str().into())).unwrap();
        let outcome = fetcher
            .segment(&access(&url), &wanted, &keys, &mut object)
            .await;
        if number > 4 {
            assert!(
                matches!(outcome, Err(FetchError::Key(_))),
                "{key}: {outcome:?}"
            );
            let told = format!("{outcome:?}");
            assert!(!told.contains("secret") && !told.contains("c2Vj"), "{told}");
            continue;
        }
        outcome.unwrap();
        object.commit().await.unwrap();
        let hls_relay::store::Content::Memory(bytes) = store.get(&name).unwrap().content else {
            panic!("a file in a store in memory");
        };
        assert_eq!(&bytes[..], [b'G'; 16]);
    }
    let asked = server.asked();
    assert_eq!(
        asked.iter().filter(|it| it.path == "/1.key").count(),
        1,
        "{asked:?}"
    );
}
