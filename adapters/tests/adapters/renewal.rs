//! URLs that run out, over real HTTP: the multivariant playlist is asked for new ones, once for all that wait.

use crate::support::binary::Relay;
use crate::support::raw_server::{Act, Asked, RawServer, answer, ok};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// All that was given out before runs out then.
const OVER: Duration = Duration::from_secs(5);
/// How long the relay goes on.
const WATCH: Duration = Duration::from_secs(13);
/// New ones take a moment: what has run out meanwhile waits for the same.
const MOMENT: Duration = Duration::from_millis(200);
/// Segments in a list, each of one second.
const WINDOW: u64 = 6;

/// When each token was given out, and the answer to who comes with one that has run out.
struct Origin {
    started: Instant,
    issued: Mutex<Vec<Duration>>,
    refusal: &'static str,
}

impl Origin {
    fn answer(&self, asked: &Asked) -> Vec<Act> {
        let now = self.started.elapsed();
        if asked.path == "/live/entry.m3u8" {
            let mut issued = self.issued.lock().unwrap();
            let token = issued.len();
            issued.push(now);
            let variants = [("high", 2_000_000), ("low", 500_000)].map(|(name, bandwidth)| {
                format!("#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}\n{name}/list.m3u8?token={token}\n")
            });
            let mut given = vec![Act::Pause(MOMENT)];
            given.extend(ok(format!("#EXTM3U\n{}", variants.concat()).as_bytes()));
            return given;
        }
        let token = asked.path.split_once("token=").map(|it| it.1);
        let token: Option<usize> = token.and_then(|it| it.parse().ok());
        let issued = token.and_then(|it| self.issued.lock().unwrap().get(it).copied());
        let is_good = issued.is_some_and(|issued| now < OVER || issued >= OVER);
        let Some(token) = token.filter(|_| is_good) else {
            return vec![answer(self.refusal, "", b"")];
        };
        if !asked.path.contains(".m3u8") {
            return ok(asked.path.split('?').next().unwrap_or_default().as_bytes());
        }
        let first = now.as_secs();
        let segments =
            (first..first + WINDOW).map(|it| format!("#EXTINF:1,\n{it}.ts?token={token}\n"));
        let segments: String = segments.collect();
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE";
        ok(format!("{head}:{first}\n{segments}").as_bytes())
    }
}

async fn renews(refusal: &'static str) {
    let shared = Arc::new(Origin {
        started: Instant::now(),
        issued: Mutex::default(),
        refusal,
    });
    let answering = shared.clone();
    let origin = RawServer::start(move |asked| answering.answer(asked)).await;
    let url = origin.url("/live/entry.m3u8");
    let relay = Relay::start(&["relay", &url, "--window", "20"]);
    tokio::time::sleep(WATCH.saturating_sub(shared.started.elapsed())).await;
    let entries = shared.issued.lock().unwrap().len();
    assert_eq!(entries, 2, "{refusal}: {}", relay.log());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for name in ["v0.m3u8", "v1.m3u8"] {
        let list = relay.address.replace("index.m3u8", name);
        let list = client.get(list).send().await.unwrap().text().await.unwrap();
        assert!(
            !list.contains("#EXT-X-GAP") && !list.contains("#EXT-X-DISCONTINUITY\n"),
            "{list}"
        );
        let newest = list.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let newest = relay.address.replace("index.m3u8", newest);
        let newest = client
            .get(newest)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let number = newest
            .rsplit('/')
            .next()
            .and_then(|it| it.strip_suffix(".ts"));
        let number: u64 = number.unwrap().parse().unwrap();
        assert!(number >= WATCH.as_secs(), "{newest}: it has not gone on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_that_have_run_out_are_renewed_once_for_all_variants() {
    let refusals = ["401 Unauthorized", "403 Forbidden", "410 Gone"];
    let tests = refusals.map(|refusal| tokio::spawn(renews(refusal)));
    for test in tests {
        test.await.unwrap();
    }
}
