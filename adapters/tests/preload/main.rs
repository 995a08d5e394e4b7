//! The real binary in front of two real edges: nginx with a cache. The first viewer of a segment is told that it
//! was there already.

#[allow(dead_code)]
#[path = "../node/operator.rs"]
mod operator;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../node/viewers.rs"]
mod viewers;

use hls_relay::fetch::Fetcher;
use hls_relay::preload::{EdgeAccess, preload};
use hls_relay_core::command::{Preload, PreloadEdge};
use hls_relay_core::event::{FetchError, PreloadError};
use hls_relay_core::ids::{Epoch, Generation, ObjectName, RequestId};
use hls_relay_core::preload::PreloadMethod;
use hls_relay_core::time::Span;
use operator::Node;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;
use stage::live_folder::{LiveFolder, Ways};
use stage::relay::{Relay, any_address};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// An nginx of the test's own; it ends with it.
struct Edge {
    address: SocketAddr,
    nginx: Child,
    _folder: TempDir,
}

impl Edge {
    /// Fetches from the relay what it has not.
    fn start(relay: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let address = free();
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, configuration(folder.path(), address, relay)).unwrap();
        let nginx = Command::new(program())
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(folder.path())
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            address,
            nginx,
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/live/", self.address)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Its worker sees that and ends, too.
        let quit = format!("kill -QUIT {}", self.nginx.id());
        let _ = Command::new("sh").args(["-c", &quit]).status();
        let _ = self.nginx.wait();
    }
}

fn program() -> &'static str {
    // Debian keeps it out of the way of people.
    match Path::new("/usr/sbin/nginx").exists() {
        true => "/usr/sbin/nginx",
        false => "nginx",
    }
}

fn configuration(folder: &Path, address: SocketAddr, relay: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/pid; events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            proxy_cache_path {folder}/cache keys_zone=edge:1m;
            server {{
                listen {address};
                location / {{
                    proxy_pass http://{relay};
                    proxy_cache edge;
                    proxy_cache_lock on;
                    add_header X-Cache $upstream_cache_status always;
                }}
                location /fetch {{
                    if ($http_x_fetch != sesame) {{ return 403; }}
                    proxy_pass http://{address}/live/$arg_object;
                }}
                location /prefetch {{
                    if ($request_method != POST) {{ return 405; }}
                    if ($http_content_type != application/json) {{ return 415; }}
                    proxy_method GET; proxy_pass_request_body off; proxy_set_header Content-Length '';
                    proxy_pass http://{address}/live/$arg_object;
                }}
            }}
        }}"
    )
}

/// Whoever asks for it next gets it, as nobody else asks in between.
fn free() -> SocketAddr {
    TcpListener::bind(any_address())
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The segments of a list.
async fn listed(url: &str) -> Vec<String> {
    let Ok(answer) = reqwest::get(url).await else {
        return Vec::new();
    };
    if !answer.status().is_success() {
        return Vec::new();
    }
    let list = answer.text().await.unwrap();
    let names = list.lines().filter(|line| !line.starts_with('#'));
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_first_viewer_finds_each_segment_at_both_edges() {
    let origin = LiveFolder::of("byterange", Ways::default()).await;
    let address = free();
    let edges = [Edge::start(address), Edge::start(address)];
    let urls = edges.each_ref().map(Edge::url);
    let arguments = ["--preload", &urls[0], "--preload", &urls[1]];
    let relay = Relay::start(&origin.url(), address, &arguments, Instant::now());
    let begun = Instant::now();
    let mut asked = Vec::new();
    // Each segment once, the moment it is listed.
    while asked.len() < 8 {
        assert!(begun.elapsed() < PATIENCE, "{asked:?}: {:#?}", relay.log());
        for name in listed(&relay.url).await {
            if asked.contains(&name) {
                continue;
            }
            for edge in &urls {
                let answer = reqwest::get(format!("{edge}{name}")).await.unwrap();
                assert_eq!(answer.status(), 200, "{name}");
                let cached = answer.headers()["x-cache"].to_str().unwrap().to_owned();
                assert_eq!(cached, "HIT", "{name} at {edge}: {:#?}", relay.log());
                assert!(!answer.bytes().await.unwrap().is_empty());
            }
            asked.push(name);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // An edge that is gone is told of, and keeps nobody.
    let [gone, _stays] = edges;
    drop(gone);
    let known = asked.len();
    while asked.len() < known + 3 {
        assert!(begun.elapsed() < PATIENCE, "{:#?}", relay.log());
        for name in listed(&relay.url).await {
            if !asked.contains(&name) {
                asked.push(name);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = relay.log();
    assert!(
        log.iter().any(|line| line.kind == "edge_failed"),
        "{log:#?}"
    );
}

/// What stands in a list beside segments: init sections and keys.
async fn needed(url: &str) -> Vec<String> {
    let list = reqwest::get(url).await.unwrap().text().await.unwrap();
    let of = |line: &str| {
        line.split_once("URI=\"")?
            .1
            .split('"')
            .next()
            .map(str::to_owned)
    };
    list.lines().filter_map(of).collect()
}

/// The first who asks an edge for each init section, key and segment of the kind is told that it has it.
async fn is_found_with_all_it_needs(kind: &str, arguments: &[&str]) {
    let origin = LiveFolder::of(kind, Ways::default()).await;
    let address = free();
    let edge = Edge::start(address);
    let url = edge.url();
    let arguments = [&["--preload", &url], arguments].concat();
    let relay = Relay::start(&origin.url(), address, &arguments, Instant::now());
    let begun = Instant::now();
    let (mut asked, mut segments) = (Vec::new(), 0);
    while segments < 8 {
        assert!(begun.elapsed() < PATIENCE, "{asked:?}: {:#?}", relay.log());
        let media = listed(&relay.url).await;
        let beside = match media.is_empty() {
            true => Vec::new(),
            false => needed(&relay.url).await,
        };
        segments = media.len();
        for name in beside.into_iter().chain(media) {
            if asked.contains(&name) {
                continue;
            }
            let answer = reqwest::get(format!("{url}{name}")).await.unwrap();
            let cached = answer.headers()["x-cache"].to_str().unwrap().to_owned();
            let found = (answer.status().as_u16(), cached.as_str());
            assert_eq!(found, (200, "HIT"), "{kind}, {name}: {:#?}", relay.log());
            asked.push(name);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(asked.len() > segments, "{kind}: {asked:?}");
}

#[tokio::test]
async fn what_segments_need_is_found_there_too() {
    tokio::join!(
        is_found_with_all_it_needs("fmp4", &[]),
        is_found_with_all_it_needs("aes128", &["--keys", "rehost"])
    );
}

/// The segments of a list that are no gaps.
async fn media(url: &str) -> Vec<String> {
    let Ok(answer) = reqwest::get(url).await else {
        return Vec::new();
    };
    let list = answer.text().await.unwrap_or_default();
    let names = list
        .lines()
        .filter(|it| it.ends_with(".ts") && !it.starts_with("gap-"));
    names.map(str::to_owned).collect()
}

/// One edge is asked by HEAD, the others by what they have for being told: with a header of its own, and by POST.
#[tokio::test(flavor = "multi_thread")]
async fn rungs_are_there_too_however_an_edge_is_asked() {
    let origin = LiveFolder::of("byterange", Ways::default()).await;
    let data = TempDir::new().unwrap();
    let node = Node::start(data.path(), &[]);
    let address = node
        .address()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let edges = [(); 3].map(|()| Edge::start(address));
    let [_, fetch, prefetch] = edges.each_ref().map(|it| it.address);
    let fetch = format!("http://{fetch}/fetch?object={{object}}&token=x");
    let prefetch = format!("http://{prefetch}/prefetch?object={{object}}");
    let spec = json!({
        "sources": [origin.url()], "window": 6,
        "ladder": [{ "height": 96 }], "ladder_preset": "ultrafast",
        "preload": [
            { "url": edges[0].url(), "method": "head" },
            { "url": fetch, "headers": ["X-Fetch: sesame"] },
            { "url": prefetch, "method": "post", "body": r#"{"fetch": "{object}"}"# },
        ],
    });
    assert_eq!(node.put("live", spec).await.status, 201);
    let (begun, mut asked) = (Instant::now(), Vec::new());
    let mut hits = BTreeMap::new();
    // A machine with too much to do lists some before the edges have them: what is found there has come in time.
    while hits.len() < 6 || hits.values().any(|it| *it < 4) {
        assert!(
            begun.elapsed() < PATIENCE,
            "{hits:?} of {asked:?}\n{}",
            node.log()
        );
        for list in ["source", "96p"] {
            for name in media(&format!("{}/live/{list}.m3u8", node.address())).await {
                if asked.contains(&name) {
                    continue;
                }
                for (at, edge) in edges.iter().enumerate() {
                    let answer = reqwest::get(format!("{}{name}", edge.url())).await.unwrap();
                    assert_eq!(answer.status(), 200, "{name}");
                    if answer.headers()["x-cache"] == "HIT" {
                        *hits.entry((list, at)).or_insert(0) += 1;
                    }
                }
                asked.push(name);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{hits:?} of {} segments", asked.len());
}

/// An API of a CDN that answers so, and what it was told.
fn prefetches(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind(any_address()).unwrap();
    let url = format!(
        "http://{}/v1/prefetch?key=k1",
        listener.local_addr().unwrap()
    );
    let told = std::thread::spawn(move || {
        let (mut stream, mut told) = (listener.accept().unwrap().0, Vec::new());
        while !told.ends_with(b"}") {
            let mut piece = [0; 4_096];
            let read = stream.read(&mut piece).unwrap();
            told.extend_from_slice(&piece[..read]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(told).unwrap()
    });
    (url, told)
}

fn work(method: PreloadMethod, objects: &[&str]) -> Preload {
    Preload {
        request: RequestId(1),
        generation: Generation(1),
        epoch: Epoch(1),
        objects: objects.iter().map(|it| ObjectName((*it).into())).collect(),
        edges: vec![PreloadEdge {
            edge: 0,
            url: "what may be seen".into(),
            method,
        }],
        within: Span::from_secs(10),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_is_told_by_post_what_to_fetch_and_leads_it_to_nobody_else() {
    let accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    let moved = "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
    let form = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/x-form"))]);
    for (answer, headers, content_type, outcome) in [
        (accepted, HeaderMap::new(), "application/json", Ok(())),
        (moved, form, "text/x-form", Err("it answers 307".to_owned())),
    ] {
        let (url, told) = prefetches(answer);
        let body = Some(r#"{"urls": ["https://e/{object}"]}"#.to_owned());
        let edge = Arc::new(EdgeAccess::new(url, headers, body, 4).unwrap());
        let work = work(PreloadMethod::Post, &["a-7.ts"]);
        let said = preload(&Fetcher::new(), &[edge], &work, &CancellationToken::new()).await;
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].clone().map_err(|it| it.to_string()), outcome);
        let told = told.join().unwrap();
        assert!(
            told.starts_with("POST /v1/prefetch?key=k1 HTTP/1.1\r\n"),
            "{told}"
        );
        assert!(
            told.contains(&format!("content-type: {content_type}\r\n")),
            "{told}"
        );
        assert!(
            told.ends_with(r#"{"urls": ["https://e/a-7.ts"]}"#),
            "{told}"
        );
    }
}

/// Whatever is wanted of it at once, an edge gets no more requests at a time than is said.
#[tokio::test(flavor = "multi_thread")]
async fn an_edge_gets_so_many_requests_at_a_time() {
    let listener = tokio::net::TcpListener::bind(any_address()).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let app = axum::Router::new().fallback({
        let most = Arc::clone(&most);
        move || async move {
            most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            busy.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let serving = tokio::spawn(async { axum::serve(listener, app).await });
    let edges = [Arc::new(
        EdgeAccess::new(url, HeaderMap::new(), None, 3).unwrap(),
    )];
    let (fetcher, cancelled) = (Fetcher::new(), CancellationToken::new());
    let names = ["a", "b", "c", "d", "e"];
    let segments = [(); 2].map(|()| work(PreloadMethod::Get, &names));
    let both = segments
        .each_ref()
        .map(|it| preload(&fetcher, &edges, it, &cancelled));
    let outcomes = futures_util::future::join_all(both).await;
    assert_eq!(outcomes, [vec![Ok(())], vec![Ok(())]]);
    assert_eq!(most.load(Ordering::SeqCst), 3);
    serving.abort();
}

/// The edge says of one object at once that it has not got it, and takes its time to send the other one.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_an_edge_has_not_keeps_no_other_from_being_warm() {
    let listener = TcpListener::bind(any_address()).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let is_sent = Arc::new(AtomicBool::new(false));
    let sent = Arc::clone(&is_sent);
    std::thread::spawn(move || {
        let asked = [(); 2].map(|()| {
            let (mut stream, mut head) = (listener.accept().unwrap().0, [0; 1_024]);
            let read = stream.read(&mut head).unwrap();
            (stream, head[..read].starts_with(b"GET /lacking"))
        });
        for (mut stream, is_lacking) in asked.iter().map(|(stream, it)| (stream, it)) {
            let answer: &[u8] = match is_lacking {
                true => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                false => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
            };
            stream.write_all(answer).unwrap();
        }
        std::thread::sleep(Duration::from_millis(300));
        sent.store(true, Ordering::SeqCst);
        let slow = asked.iter().find(|it| !it.1);
        slow.unwrap()
            .0
            .try_clone()
            .unwrap()
            .write_all(b"67890")
            .unwrap();
    });
    let work = work(PreloadMethod::Get, &["lacking", "slow"]);
    let access = EdgeAccess::new(url, HeaderMap::new(), None, 4);
    let access = Arc::new(access.unwrap());
    let outcome = preload(&Fetcher::new(), &[access], &work, &CancellationToken::new()).await;
    let lacks = PreloadError::Failed(FetchError::Status(404));
    assert_eq!(outcome, [Err(lacks)]);
    assert!(is_sent.load(Ordering::SeqCst), "it was broken off");
}
