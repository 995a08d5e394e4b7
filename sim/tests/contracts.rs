//! The simulated origin, store and queue keep the contracts in `testdata/contracts`, as the real ones do
//! (`adapters/tests/contracts.rs`, `adapters/tests/workers/queue.rs`).

use hls_relay_core::checkpoint::{CHECKPOINT_FORMAT, Checkpoint, SavedTrack};
use hls_relay_core::command::ObjectCheck;
use hls_relay_core::date_ranges::DateRanges;
use hls_relay_core::event::{FetchError, LoadedPlaylist, StoredSegment};
use hls_relay_core::ids::{ContentHash, ObjectName, PlaylistName};
use hls_relay_core::time::{Span, Timestamp, WallTime};
use hls_relay_sim::contract::{
    Case, LIMITS, OriginAct, QueueAct, StoreAct, fetch_words, given_words, order_words,
    origin_cases, origin_of, playlist_words, queue_cases, store_cases, store_words, waiting_words,
};
use hls_relay_sim::network::{self, Content, Cookies};
use hls_relay_sim::origin::{Origin, OriginRequest, RequestCounter};
use hls_relay_sim::published::{self, Version};
use hls_relay_sim::store::{
    Saved, Store, StoreFault, StoreFaultKind, StoreKind, StorePlan, StoreWork,
};
use hls_relay_sim::workers::queue::{Entry, Queue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ORIGIN: &str = include_str!("../../testdata/contracts/origin.txt");
const STORE: &str = include_str!("../../testdata/contracts/store.txt");
const QUEUE: &str = include_str!("../../testdata/contracts/queue.txt");
/// Nothing happens at an origin of the contract but what a case says: any moment will do.
const NOW: Span = Span::from_secs(1);

#[test]
fn the_simulated_origin_keeps_the_contract() {
    let cases = origin_cases(ORIGIN).unwrap();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for case in cases {
        let mut client = Client::of(&case);
        for step in &case.steps {
            let came = client.act(&step.act);
            assert_eq!(came, step.expected, "{}: {:?}", case.title, step.act);
        }
    }
}

/// Somebody who asks a simulated origin.
struct Client {
    origin: Origin,
    counter: RequestCounter,
    /// The last list that came.
    list: String,
    etag: Option<String>,
    cookies: Cookies,
}

impl Client {
    fn of(case: &Case<OriginAct>) -> Self {
        Self {
            origin: Origin::new(origin_of(case)),
            counter: RequestCounter::default(),
            list: String::new(),
            etag: None,
            cookies: Cookies::default(),
        }
    }

    fn act(&mut self, act: &OriginAct) -> String {
        match act {
            OriginAct::HasEntityTags | OriginAct::HasTokens | OriginAct::HasCookies => {}
            OriginAct::Fault(kind) => self.origin.inject(NOW, Span::from_secs(50), kind.clone()),
            OriginAct::Cured => self.origin.set_faults(Vec::new()),
            OriginAct::Playlist { again } => return self.playlist(*again),
            OriginAct::Segment(number) => return self.segment(*number),
        }
        String::new()
    }

    fn playlist(&mut self, again: bool) -> String {
        let etag = self.etag.clone().filter(|_| again);
        let path = self.origin.spec().playlist_path.clone();
        let asked = format!("http://{}{path}", self.origin.spec().hosts[0]);
        let (url, what) = self.ask(asked.clone(), etag);
        let outcome = what.map(|content| match content {
            Content::NotModified => LoadedPlaylist::NotModified,
            Content::Bytes { body, etag } => {
                self.list = String::from_utf8_lossy(&body.0).into_owned();
                self.etag = etag.as_deref().map(str::to_owned);
                let url = url.into();
                LoadedPlaylist::Body { url, body, etag }
            }
            Content::Redirect(_) | Content::Media(_) => panic!("{content:?} for a playlist"),
        });
        playlist_words(&asked, &outcome)
    }

    fn segment(&mut self, number: u64) -> String {
        let name = format!("seg{number}.ts");
        let listed = self.list.lines().find(|line| line.starts_with(&name));
        let host = &self.origin.spec().hosts[0];
        let url = format!("http://{host}/live/{}", listed.unwrap_or(&name));
        match self.ask(url, None).1 {
            Ok(Content::Media(media)) => {
                let offered = self.origin.segments_offered(NOW);
                let whole = offered
                    .iter()
                    .any(|it| it.media == media && media.number == number);
                if whole { "whole" } else { "other media" }.to_owned()
            }
            Ok(other) => format!("{other:?} for a segment"),
            Err(error) => fetch_words(&error),
        }
    }

    /// GETs, and follows redirects as far as a client does.
    fn ask(
        &mut self,
        mut url: String,
        etag: Option<String>,
    ) -> (String, Result<Content, FetchError>) {
        for _ in 0..=LIMITS.max_redirects {
            let (host, path) = url["http://".len()..].split_once('/').unwrap();
            let request = OriginRequest {
                host: host.to_owned(),
                path_and_query: format!("/{path}"),
                range: None,
                if_none_match: etag.clone(),
                cookie: None,
                sequence: 0,
            };
            let sequence = self.counter.next(request.path());
            let request = self.cookies.with(request.numbered(sequence));
            let reply = self.origin.respond(NOW, &request);
            self.cookies.keep(&request.host, &reply);
            match network::receive(reply, &LIMITS, Span::ZERO).what {
                Ok(Content::Redirect(location)) => url = location,
                what => return (url, what),
            }
        }
        let error = FetchError::TooManyRedirects(LIMITS.max_redirects);
        (url, Err(error))
    }
}

#[test]
fn the_simulated_stores_keep_the_contract() {
    let cases = store_cases(STORE).unwrap();
    assert!(cases.len() >= 8, "{} cases", cases.len());
    for (kind, name) in [
        (StoreKind::Memory, "memory"),
        (StoreKind::Directory, "directory"),
    ] {
        for case in &cases {
            let is_of_another =
                |act: &StoreAct| matches!(act, StoreAct::Only(only) if only != name);
            if case.steps.iter().any(|step| is_of_another(&step.act)) {
                continue;
            }
            let mut shelf = Shelf::new(kind);
            for step in &case.steps {
                let came = shelf.act(&step.act);
                assert_eq!(
                    came, step.expected,
                    "{name}: {}: {:?}",
                    case.title, step.act
                );
            }
        }
    }
}

/// A simulated store, worked on as the world does.
struct Shelf {
    kind: StoreKind,
    plan: StorePlan,
    store: Store,
}

impl Shelf {
    fn new(kind: StoreKind) -> Self {
        let plan = StorePlan {
            kind,
            latency: Span::ZERO,
            jitter: Span::ZERO,
            faults: Vec::new(),
        };
        let store = Store::default();
        Self { kind, plan, store }
    }

    fn act(&mut self, act: &StoreAct) -> String {
        match act {
            StoreAct::Only(_) => {}
            StoreAct::Put(name, content) => {
                return self.work(StoreWork::Put, |store| {
                    store.put(object(name), &stored(content))
                });
            }
            StoreAct::Has(name) => {
                let found = self.store.objects.get(&object(name));
                return found.map_or("nothing".to_owned(), |found| text_of(found.hash));
            }
            StoreAct::Delete(names) => {
                return self.work(StoreWork::Delete, |store| {
                    for name in names {
                        store.objects.remove(&object(name));
                    }
                });
            }
            StoreAct::Check { asked, keep } => {
                let asked: Vec<ObjectCheck> = asked.iter().map(|it| check(&it.0, &it.1)).collect();
                let keep: Vec<ObjectName> = keep.iter().map(|name| object(name)).collect();
                return names(&self.store.check(&asked, &keep));
            }
            StoreAct::Publish(number, playlists) => {
                return self.work(StoreWork::Publish, |store| {
                    store.checkpoint = Some(saved(*number));
                    for (name, text) in playlists {
                        let name = PlaylistName(name.as_str().into());
                        store.playlists.insert(name, Arc::new(version(text)));
                    }
                });
            }
            StoreAct::Shown(name) => {
                let name = PlaylistName(name.as_str().into());
                let shown = self.store.playlists.get(&name);
                return shown
                    .map_or("nothing", |version| &*version.segments[0].uri)
                    .to_owned();
            }
            StoreAct::Withdraw => {
                return self.work(StoreWork::Delete, |store| store.playlists.clear());
            }
            StoreAct::Save(number) => {
                return self.work(StoreWork::Save, |store| {
                    store.checkpoint = Some(saved(*number));
                });
            }
            StoreAct::Saved => {
                let saved = self.store.checkpoint.as_ref();
                return saved.map_or("nothing".to_owned(), |it| {
                    it.checkpoint.tracks[0].media_sequence.to_string()
                });
            }
            StoreAct::Restart => self.store.crash(self.kind),
            StoreAct::Broken => self.plan.faults.push(StoreFault {
                from: Span::ZERO,
                until: Span::from_secs(1),
                on: StoreWork::Everything,
                kind: StoreFaultKind::Failing,
            }),
            StoreAct::Mended => self.plan.faults.clear(),
        }
        String::new()
    }

    fn work(&mut self, work: StoreWork, apply: impl FnOnce(&mut Store)) -> String {
        let fault = self.plan.fault(Timestamp::default(), work);
        match fault.and_then(|it| it.kind.error()) {
            Some(error) => store_words(&error).to_owned(),
            None => {
                apply(&mut self.store);
                "done".to_owned()
            }
        }
    }
}

fn object(name: &str) -> ObjectName {
    ObjectName(name.into())
}

/// A content stands for itself: its hash is its text.
fn stored(content: &str) -> StoredSegment {
    let mut hash = [0; 32];
    hash[..content.len()].copy_from_slice(content.as_bytes());
    StoredSegment {
        length: content.len() as u64,
        hash: ContentHash(hash),
        formats: None,
    }
}

fn text_of(hash: ContentHash) -> String {
    String::from_utf8_lossy(&hash.0)
        .trim_end_matches('\0')
        .to_owned()
}

fn check(name: &str, content: &str) -> ObjectCheck {
    let StoredSegment { length, hash, .. } = stored(content);
    let object = object(name);
    ObjectCheck {
        object,
        length,
        hash,
    }
}

fn names(there: &[ObjectCheck]) -> String {
    let names: Vec<&str> = there.iter().map(|it| &*it.object.0).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(" ")
    }
}

/// A playlist that lists a segment of this name.
fn version(text: &str) -> Version {
    let playlist = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXTINF:2.000,\n{text}\n"
    );
    published::parse(1, Timestamp::default(), &playlist.into(), None).unwrap()
}

fn saved(media_sequence: u64) -> Saved {
    let checkpoint = Checkpoint {
        format: CHECKPOINT_FORMAT,
        saved_at: WallTime::from_micros(0),
        target_duration: Span::from_secs(2),
        ended: false,
        entry: None,
        tracks: vec![SavedTrack {
            name: PlaylistName(PlaylistName::ENTRY.into()),
            media_sequence,
            discontinuity_sequence: 0,
            independent_segments: false,
            i_frames_only: false,
            playlist_type: None,
            whole: false,
            complete: false,
            begins_with_first: false,
            begins_at: None,
            first_of_source: None,
            medium: None,
            formats: None,
            bandwidth: None,
            measured: Span::ZERO,
            closing: Vec::new(),
            head: Vec::new(),
            date_ranges: DateRanges::default(),
            window: Vec::new(),
            position: None,
            still_ended: false,
        }],
        retired: Vec::new(),
        leaving: Vec::new(),
        rungs: None,
    };
    Saved {
        checkpoint: Arc::new(checkpoint),
        version: 1,
    }
}

#[test]
fn the_simulated_queue_keeps_the_contract() {
    let cases = queue_cases(QUEUE).unwrap();
    assert!(cases.len() >= 10, "{} cases", cases.len());
    for case in cases {
        let mut workers = Workers::default();
        for step in &case.steps {
            let came = workers.act(&step.act);
            assert_eq!(came, step.expected, "{}: {:?}", case.title, step.act);
        }
    }
}

/// Workers at a simulated queue.
#[derive(Default)]
struct Workers {
    now: Timestamp,
    queue: Queue<u64>,
    entries: BTreeMap<u64, Entry>,
    left: BTreeSet<String>,
}

impl Workers {
    fn act(&mut self, act: &QueueAct) -> String {
        let number = |worker: &str| u64::from(worker.as_bytes()[0]);
        match act {
            QueueAct::Add {
                order,
                turn,
                within,
                ..
            } => match self.queue.add(self.now, *order, *within, *turn) {
                Some(entry) => {
                    self.entries.insert(*order, entry);
                    "put down".to_owned()
                }
                None => "nobody".to_owned(),
            },
            QueueAct::Take(worker) => {
                let given = self.queue.take(self.now, number(worker));
                given_words(given.map(|it| (it.order, it.attempt)))
            }
            QueueAct::Hold(worker, orders) => {
                let entry = |order: &u64| self.entries[order];
                let entries: Vec<_> = orders.iter().map(entry).collect();
                let takes_more = !self.left.contains(worker);
                let now = self.now;
                let held = self.queue.hold(now, number(worker), &entries, takes_more);
                let held = orders.iter().filter(|it| held.contains(&self.entries[it]));
                order_words(&held.copied().collect::<Vec<_>>())
            }
            QueueAct::Finish(order) => {
                self.queue.finish(self.entries[order]);
                "done".to_owned()
            }
            QueueAct::Leave(worker) => {
                self.queue.leave(number(worker));
                self.left.insert(worker.clone());
                "done".to_owned()
            }
            QueueAct::Wait(time) => {
                self.now = self.now + *time;
                String::new()
            }
            QueueAct::Look => waiting_words(self.queue.look(self.now)),
            QueueAct::Dead => order_words(&self.queue.dead),
        }
    }
}
