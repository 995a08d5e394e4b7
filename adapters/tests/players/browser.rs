//! hls.js in a real browser without a screen: a page that plays and reports.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::Html;
use axum::routing::{get, post};
use serde::Deserialize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
const PAGE: &str = include_str!("../browser/page.html");
/// What the browser may take to start, and hls.js to begin, on a busy machine.
const BEGIN: Duration = Duration::from_secs(60);
/// As distributions name it.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What the page tells.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) version: String,
    /// When the first frame was shown, in seconds on the page's clock.
    pub(crate) began: Option<f64>,
    pub(crate) errors: Vec<serde_json::Value>,
    pub(crate) events: Vec<ElementEvent>,
    pub(crate) samples: Vec<Sample>,
    /// Of the whole, in seconds, where it is known.
    pub(crate) duration: Option<f64>,
    /// The heights of the pictures themselves, one each time that their size is another one.
    pub(crate) sizes: Vec<u32>,
    /// The heights of the pictures that may be chosen.
    pub(crate) heights: Vec<Option<u32>>,
    /// The heights of the levels that were shown, one after the other.
    pub(crate) switched: Vec<u32>,
    /// The newest list of pictures.
    pub(crate) list: Option<List>,
    /// The languages of the sound that was chosen, one after the other.
    pub(crate) languages: Vec<String>,
    /// The languages of the sound that may be chosen.
    pub(crate) audio: Vec<String>,
    /// And of the subtitles.
    pub(crate) subtitles: Vec<String>,
    /// The subtitles that were shown.
    pub(crate) cues: Vec<String>,
    /// Fragments that were buffered.
    pub(crate) fragments: u32,
    /// How many of them were under AES-128.
    pub(crate) decrypted: u32,
    /// How many of them had an init section.
    pub(crate) initialized: u32,
}

/// A media playlist as hls.js has it.
#[derive(Debug, Deserialize)]
pub(crate) struct List {
    /// The value of EXT-X-PLAYLIST-TYPE.
    #[serde(rename = "type")]
    pub(crate) playlist_type: Option<String>,
    /// It goes on.
    pub(crate) live: bool,
    pub(crate) segments: usize,
    /// The seconds of all its segments, as it says.
    pub(crate) stated: f64,
    /// The same, those that were read as long as their media is.
    pub(crate) duration: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ElementEvent {
    pub(crate) at: f64,
    pub(crate) name: String,
    pub(crate) current_time: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    pub(crate) at: f64,
    pub(crate) current_time: f64,
    pub(crate) frames: u64,
    pub(crate) dropped: u64,
    pub(crate) audio_bytes: u64,
    pub(crate) video_bytes: u64,
}

/// Plays a URL for so long after its first frame, or to its end.
pub(crate) async fn play(source: &str, length: Duration) -> Report {
    play_with(source, length, "").await
}

/// The same, and loads the next of its levels every so many seconds.
pub(crate) async fn play_and_switch(source: &str, length: Duration, seconds: u64) -> Report {
    play_with(source, length, &format!("&switch={seconds}")).await
}

/// The same, and chooses the next language of sound and of subtitles after so many seconds.
pub(crate) async fn play_and_choose(source: &str, length: Duration, seconds: u64) -> Report {
    play_with(source, length, &format!("&language={seconds}")).await
}

async fn play_with(source: &str, length: Duration, asked: &str) -> Report {
    let (send, mut receive) = mpsc::channel(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pages = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/hls.js", get(hls_js))
        .route("/report", post(report))
        .with_state(send);
    let serving = tokio::spawn(async { axum::serve(listener, pages).await });

    let page = format!(
        "http://{address}/?source={source}&seconds={}{asked}",
        length.as_secs()
    );
    let profile = TempDir::new().unwrap();
    let said = profile.path().join("said.log");
    let mut browser = open(&page, profile.path(), &said);
    let report = tokio::time::timeout(length + BEGIN, receive.recv()).await;
    let _ = browser.kill();
    let _ = browser.wait();
    serving.abort();
    let said = std::fs::read_to_string(said).unwrap_or_default();
    match report {
        Ok(Some(report)) => serde_json::from_slice(&report).unwrap(),
        Ok(None) | Err(_) => panic!("the page never reported; the browser said:\n{said}"),
    }
}

/// It has met no error, and has not waited since it began.
pub(crate) fn check_undisturbed(report: &Report) {
    // A request that hls.js itself takes back when it changes the level is told as one.
    let own = |it: &&serde_json::Value| it["details"] == "aborted" && it["fatal"] == false;
    let errors: Vec<_> = report.errors.iter().filter(|it| !own(it)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let began = report.began.expect("hls.js began");
    let stalls: Vec<_> = report.events.iter().filter(|it| it.at > began).collect();
    assert!(stalls.is_empty(), "hls.js stalled: {stalls:#?}");
}

async fn hls_js() -> ([(header::HeaderName, &'static str); 1], Vec<u8>) {
    let path = Path::new(FOLDER).join("node_modules/hls.js/dist/hls.min.js");
    let script = std::fs::read(&path).expect("hls.js, installed by ./test setup");
    ([(header::CONTENT_TYPE, "text/javascript")], script)
}

async fn report(State(send): State<mpsc::Sender<Bytes>>, body: Bytes) {
    let _ = send.send(body).await;
}

fn open(page: &str, profile: &Path, said: &Path) -> Child {
    let said = std::fs::File::create(said).unwrap();
    for browser in BROWSERS {
        let child = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-proxy-server",
                "--autoplay-policy=no-user-gesture-required",
                "--enable-logging=stderr",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said.try_clone().unwrap())
            .spawn();
        if let Ok(child) = child {
            return child;
        }
    }
    panic!("no Chromium, which ./test setup installs");
}
