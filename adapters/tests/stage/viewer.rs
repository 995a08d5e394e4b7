//! A viewer that polls the published playlist as fast as an impatient player would, believes nothing,
//! and fetches all that is listed every time it changes.

use super::published::{Entry, Published};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// From one look at the playlist to the next.
const POLL: Duration = Duration::from_millis(100);
/// Whatever is listed comes so soon, also from a busy machine (S-11: it is not paced by its making).
const AT_ONCE: Duration = Duration::from_secs(3);
/// What HTTP headers and this viewer's own rhythm may be off when it asks for what has left the list.
const RETENTION_MARGIN: Duration = Duration::from_secs(2);

pub type Hash = [u8; 32];

/// What one viewer saw, from the first version to the last.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Every version, with the time at which it was first seen.
    pub versions: Vec<(Duration, Published)>,
    /// Every segment that was ever listed, by its number.
    pub segments: BTreeMap<u64, Seen>,
    /// Every answer that was no playlist, with its time: a status, or 0 where there was none.
    pub refusals: Vec<(Duration, u16)>,
    /// What a strict player would have stumbled over.
    pub complaints: Vec<String>,
}

/// A segment as it was first listed.
#[derive(Clone, Debug)]
pub struct Seen {
    pub entry: Entry,
    pub listed_at: Duration,
    /// Of its bytes; `None` for a gap.
    pub hash: Option<Hash>,
    /// It left the list then, and of all lists that held it the longest was so long.
    left: Option<Duration>,
    longest: Duration,
    /// A cache that asked for it last may answer for it until then.
    fresh_until: Duration,
    died: bool,
}

/// A viewer at work.
pub struct Viewer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    url: String,
    zero: Instant,
    /// The relay's process is away: refused connections are no complaint.
    away: AtomicBool,
    /// The source ends its presentation, so ENDLIST is expected, and after it a new run.
    may_end: AtomicBool,
    leaving: AtomicBool,
    watched: Mutex<Watched>,
    /// The bytes of every segment, so that viewers of real media can be tried on them.
    keep: Mutex<Option<BTreeMap<u64, Vec<u8>>>>,
}

impl Viewer {
    /// Watches `url`; times are counted from `zero`.
    pub fn start(url: String, zero: Instant) -> Self {
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        let shared = Arc::new(Shared {
            client,
            url,
            zero,
            away: AtomicBool::new(false),
            may_end: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            watched: Mutex::default(),
            keep: Mutex::default(),
        });
        let task = tokio::spawn(watch(shared.clone()));
        Self { shared, task }
    }

    /// What has been listed until now was in the memory of a process that died: unless it is listed
    /// again, nobody can have it.
    pub fn media_died(&self) {
        let mut watched = self.shared.watched.lock().unwrap();
        for seen in watched.segments.values_mut() {
            seen.died = true;
        }
    }

    /// The relay's process is gone from now on, or is wanted back.
    pub fn relay_is_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::Relaxed);
    }

    /// The source is going to end its presentation.
    pub fn may_end(&self) {
        self.shared.may_end.store(true, Ordering::Relaxed);
    }

    /// Keeps the bytes of all segments from now on.
    pub fn keep_media(&self) {
        self.shared.keep.lock().unwrap().get_or_insert_default();
    }

    /// The bytes that were kept, by media sequence number.
    pub fn media(&self) -> BTreeMap<u64, Vec<u8>> {
        self.shared.keep.lock().unwrap().clone().unwrap_or_default()
    }

    /// What was seen so far.
    pub fn watched(&self) -> Watched {
        self.shared.watched.lock().unwrap().clone()
    }

    /// Stops looking, sees whether what has left the list is still there (S-09, S-10), and tells.
    pub async fn finish(self) -> Watched {
        self.shared.leaving.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.shared.check_retention().await;
        self.shared.watched.lock().unwrap().clone()
    }
}

async fn watch(shared: Arc<Shared>) {
    while !shared.leaving.load(Ordering::Relaxed) {
        let next = Instant::now() + POLL;
        shared.look().await;
        tokio::time::sleep_until(next.into()).await;
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.zero.elapsed()
    }

    fn complain(&self, what: String) {
        let at = self.now().as_secs_f64();
        let complaint = format!("{at:.2} s: {what}");
        self.watched.lock().unwrap().complaints.push(complaint);
    }

    /// One look at the playlist.
    async fn look(&self) {
        let away = self.away.load(Ordering::Relaxed);
        let answer = match self.client.get(&self.url).send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.watched.lock().unwrap().refusals.push((self.now(), 0));
                if !away && !self.away.load(Ordering::Relaxed) {
                    self.complain(format!("the playlist cannot be fetched: {error:?}"));
                }
                return;
            }
        };
        let status = answer.status();
        if status != StatusCode::OK {
            let at = self.now();
            let begun = {
                let mut watched = self.watched.lock().unwrap();
                watched.refusals.push((at, status.as_u16()));
                !watched.versions.is_empty()
            };
            // After a restart there is nothing to serve for a moment; a relay that runs has no excuse.
            if (begun && !away) || status != StatusCode::SERVICE_UNAVAILABLE {
                self.complain(format!("the playlist answers {status}"));
            }
            return;
        }
        match answer.text().await {
            Ok(text) => self.read(&text).await,
            Err(_) if self.away.load(Ordering::Relaxed) => {}
            Err(error) => self.complain(format!("the playlist breaks off: {error:?}")),
        }
    }

    async fn read(&self, text: &str) {
        let before = {
            let watched = self.watched.lock().unwrap();
            watched.versions.last().map(|(_, version)| version.clone())
        };
        if before.as_ref().is_some_and(|before| before.text == text) {
            return;
        }
        let version = match Published::read(text) {
            Ok(version) => version,
            Err(why) => return self.complain(format!("not a playlist: {why}\n{text}")),
        };
        let at = self.now();
        let may_end = self.may_end.load(Ordering::Relaxed);
        let mut wrong = version.flaws();
        if let Some(before) = &before {
            wrong.extend(before.forbidden_edits(&version, may_end));
        }
        if version.ended && !may_end {
            wrong.push("EXT-X-ENDLIST, and the source has not ended".to_owned());
        }
        for what in wrong {
            self.complain(format!("{what}\nin:\n{text}"));
        }
        self.remember(at, before.as_ref(), &version);
        for entry in &version.entries {
            self.fetch(entry).await;
        }
    }

    fn remember(&self, at: Duration, before: Option<&Published>, version: &Published) {
        let mut watched = self.watched.lock().unwrap();
        let length = version.duration();
        for entry in &version.entries {
            let seen = watched.segments.entry(entry.number).or_insert(Seen {
                entry: entry.clone(),
                listed_at: at,
                hash: None,
                left: None,
                longest: length,
                fresh_until: Duration::ZERO,
                died: false,
            });
            seen.longest = seen.longest.max(length);
            seen.died = false;
        }
        let gone = before.map_or(0..0, |before| before.media_sequence..version.media_sequence);
        for number in gone {
            if let Some(seen) = watched.segments.get_mut(&number) {
                seen.left.get_or_insert(at);
            }
        }
        watched.versions.push((at, version.clone()));
    }

    /// S-11: whatever is listed can be had at once, and is the same every time (S-02).
    async fn fetch(&self, entry: &Entry) {
        if entry.gap {
            return;
        }
        let asked = self.now();
        match self.get(&entry.uri).await {
            Ok((bytes, max_age)) => {
                let took = self.now() - asked;
                if took > AT_ONCE {
                    self.complain(format!("S-11: {} took {took:?}", entry.uri));
                }
                if let Some(seen) = self.watched.lock().unwrap().segments.get_mut(&entry.number) {
                    seen.fresh_until = asked + max_age;
                }
                self.compare(entry, &bytes);
                if let Some(kept) = self.keep.lock().unwrap().as_mut() {
                    kept.insert(entry.number, bytes);
                }
            }
            Err(_) if self.away.load(Ordering::Relaxed) => {}
            Err(why) => self.complain(format!("S-11: {} is listed, and: {why}", entry.uri)),
        }
    }

    fn compare(&self, entry: &Entry, bytes: &[u8]) {
        let hash: Hash = Sha256::digest(bytes).into();
        let mut watched = self.watched.lock().unwrap();
        let known = watched
            .segments
            .get_mut(&entry.number)
            .map(|seen| *seen.hash.get_or_insert(hash));
        drop(watched);
        if known.is_some_and(|known| known != hash) {
            self.complain(format!("S-02: {} has other bytes than before", entry.uri));
        }
    }

    /// Its bytes, and how long a cache may keep them.
    async fn get(&self, uri: &str) -> Result<(Vec<u8>, Duration), String> {
        let url = reqwest::Url::parse(&self.url)
            .and_then(|base| base.join(uri))
            .map_err(|error| error.to_string())?;
        let answer = self.client.get(url).send().await;
        let answer = answer.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let kind = answer.headers().get("content-type").cloned();
        if status != StatusCode::OK {
            return Err(format!("it answers {status}"));
        }
        if kind.is_none_or(|kind| kind != "video/mp2t") {
            return Err("S-43: its Content-Type is not video/mp2t".to_owned());
        }
        let Some(max_age) = max_age(answer.headers()) else {
            return Err("S-10: it does not say how long it may be kept".to_owned());
        };
        let bytes = answer.bytes().await.map_err(|error| format!("{error:?}"))?;
        Ok((bytes.to_vec(), max_age))
    }

    /// S-09: a segment that has left the list is there for its own duration and that of the longest
    /// list that held it. S-10: as long as a cache may answer for it, which was told when it was there last.
    async fn check_retention(&self) {
        let segments = self.watched.lock().unwrap().segments.clone();
        for seen in segments
            .values()
            .filter(|seen| seen.hash.is_some() && !seen.died)
        {
            let Some(left) = seen.left else { continue };
            let retained = left + seen.entry.duration + seen.longest - RETENTION_MARGIN;
            let until = retained.max(seen.fresh_until);
            if self.now() > until {
                continue;
            }
            match self.get(&seen.entry.uri).await {
                Ok((bytes, _)) => self.compare(&seen.entry, &bytes),
                Err(why) => self.complain(format!(
                    "S-09, S-10: {} left the list at {left:?}, may be asked for until {retained:?} and kept by caches until {:?}, and: {why}",
                    seen.entry.uri,
                    seen.fresh_until
                )),
            }
        }
    }
}

/// `max-age` of `Cache-Control`.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("cache-control")?.to_str().ok()?;
    let seconds = value
        .split(',')
        .find_map(|it| it.trim().strip_prefix("max-age="))?;
    Some(Duration::from_secs(seconds.parse().ok()?))
}
