//! A machine on a bench: a source that is a function of time, a store that never fails unless told,
//! and a clock that jumps from wakeup to wakeup. Every version that becomes visible and every delete
//! passes the strict [`checker`].

#![allow(
    dead_code,
    clippy::wildcard_enum_match_arm,
    reason = "each test file uses a part of the bench"
)]

pub(crate) mod checker;
pub(crate) mod date_ranges;
pub(crate) mod multivariant;
pub(crate) mod origin;

use checker::Checker;
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::command::{
    ByteSpan, Command, Content, Decrypt, Preload, Publish, Transcode, TranscodeRung,
};
pub(crate) use hls_relay_core::config::Spec;
use hls_relay_core::config::{HolePolicy, KeyPolicy, ReloadPolicy, Selection, Source};
use hls_relay_core::event::{
    Configure, Desired, Event, FetchError, LoadedPlaylist, PlaylistBody, PreloadError, StoreError,
    StoredSegment, TranscodeError, Transcoded,
};
use hls_relay_core::formats::{Formats, Unreadable};
use hls_relay_core::ids::{ContentHash, Epoch, Generation, PlaylistName, RequestId};
use hls_relay_core::journal;
use hls_relay_core::ladder::{Ladder, Rung};
use hls_relay_core::notice::Notice;
use hls_relay_core::playlist::{self, MediaPlaylist, Playlist, Resolution};
use hls_relay_core::relay::{Relay, Status};
use hls_relay_core::tags::TagPolicy;
use hls_relay_core::time::{Now, Timestamp, WallTime};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub(crate) const SEC: u64 = 1_000_000;
pub(crate) const URL: &str = "http://origin.example/live/index.m3u8";
pub(crate) const START_WALL: i64 = 1_800_000_000_000_000;

/// What a load of a URL gives at a moment (seconds since the start, in microseconds).
pub(crate) type SourceAt = Box<dyn Fn(u64, &str) -> Result<String, FetchError>>;
/// What a download of a URL gives: the time it takes, or how it fails.
pub(crate) type SegmentAt = Box<dyn Fn(u64, &str) -> Result<u64, FetchError>>;

/// What a URL's media says of itself.
pub(crate) type FormatsAt = Box<dyn Fn(&str) -> Result<Formats, Unreadable>>;

/// How long a worker takes, and what comes of it.
pub(crate) type TranscodeAt =
    Box<dyn FnMut(u64, &Transcode) -> (u64, Result<Transcoded, TranscodeError>)>;
/// How long edges take, and what they answer.
pub(crate) type PreloadAt = Box<dyn Fn(u64, &Preload) -> (u64, Vec<Result<(), PreloadError>>)>;

/// A body as bytes, in place of what the source gives.
pub(crate) type RawAt = Box<dyn Fn(u64, &str) -> Option<Vec<u8>>>;
/// How long the store looks what is left, and whether it can tell.
pub(crate) type CheckAt = Box<dyn Fn(u64) -> (u64, Result<(), StoreError>)>;
/// How long a request takes that is sent at a moment.
pub(crate) type TakesAt = Box<dyn Fn(u64, &str) -> u64>;
/// What a URL holds, or leads to, at a moment.
pub(crate) type ContentAt = Box<dyn Fn(u64, &str) -> String>;

pub(crate) struct Asked {
    pub(crate) url: String,
    pub(crate) generation: Generation,
    pub(crate) source: usize,
    pub(crate) byte_range: Option<ByteSpan>,
    pub(crate) decrypt: Option<Decrypt>,
    /// Where it is stored; empty for a playlist.
    pub(crate) object: String,
}

pub(crate) struct Bench {
    pub(crate) relay: Relay,
    pub(crate) now: u64,
    pub(crate) source: SourceAt,
    pub(crate) segment: SegmentAt,
    pub(crate) publish: Box<dyn Fn(u64) -> Result<(), StoreError>>,
    /// Where redirects lead: from the URL asked to the URL that answers.
    pub(crate) redirect: ContentAt,
    pub(crate) raw: RawAt,
    /// How long a load takes that is sent at a moment.
    pub(crate) load_takes: TakesAt,
    /// The source knows entity tags, and answers 304.
    pub(crate) etags: bool,
    pub(crate) check: CheckAt,
    pub(crate) checker: Checker,
    /// The last checkpoint that was saved.
    pub(crate) saved: Option<Checkpoint>,
    /// What a URL holds; by default it is told by the URL without its query.
    pub(crate) content: ContentAt,
    /// What it says of itself, to who looks into it.
    pub(crate) formats: FormatsAt,
    /// What was looked into.
    pub(crate) looks: Vec<String>,
    /// How long rungs take, and what comes of them.
    pub(crate) transcode: TranscodeAt,
    /// How long edges take, and what they answer.
    pub(crate) preload: PreloadAt,
    /// (asked at, what for)
    pub(crate) transcodes: Vec<(u64, Transcode)>,
    pub(crate) preloads: Vec<(u64, Preload)>,
    /// How long the sources' keys are.
    pub(crate) key_bytes: u64,
    /// Downloads under way and where they store.
    getting: BTreeMap<RequestId, String>,
    /// By how many microseconds the wall clock of our machine is off.
    pub(crate) wall_off: fn(u64) -> i64,
    /// When the process began: its monotonic clock starts there.
    born: u64,
    pub(crate) due: VecDeque<(u64, Event)>,
    /// (sent at, URL)
    pub(crate) loads: Vec<(u64, String)>,
    /// (sent at, URL, object)
    pub(crate) downloads: Vec<(u64, String, String)>,
    /// Who asked for what: every request to a source.
    pub(crate) requests: Vec<Asked>,
    pub(crate) published: Vec<(u64, Publish)>,
    pub(crate) deleted: Vec<(u64, String)>,
    pub(crate) notices: Vec<(u64, Notice)>,
    pub(crate) objects: BTreeMap<String, u64>,
    pub(crate) withdrawn: usize,
    /// The lines of its steps, where they are written down.
    pub(crate) journal: Option<Vec<String>>,
    revision: u64,
}

pub(crate) fn seconds(secs: u64) -> hls_relay_core::time::Span {
    hls_relay_core::time::Span::from_secs(secs)
}

pub(crate) fn spec(urls: &[&str]) -> Spec {
    Spec {
        sources: urls
            .iter()
            .map(|url| Source {
                url: Arc::from(*url),
            })
            .collect(),
        window: Some(6),
        room: None,
        hole: HolePolicy::Gap,
        reload: ReloadPolicy::LastSegment,
        keys: KeyPolicy::default(),
        selection: Selection::default(),
        tags: TagPolicy::default(),
        ladder: None,
        preload: None,
    }
}

/// Rungs that are called by their heights.
pub(crate) fn ladder(heights: &[u32], passthrough: bool) -> Option<Ladder> {
    let rung = |height: &u32| Rung {
        name: format!("{height}p").into(),
        height: *height,
        bitrate: u64::from(*height) * 1_000,
    };
    let rungs = heights.iter().map(rung).collect();
    Some(Ladder::of(rungs, passthrough))
}

/// All rungs of a segment, as a worker tells them.
pub(crate) fn made(transcode: &Transcode) -> Transcoded {
    let formats = |height| Formats {
        codecs: vec!["avc1.64001f".into(), "mp4a.40.2".into()],
        resolution: Some(Resolution {
            width: u64::from(height) * 16 / 9,
            height: u64::from(height),
        }),
        frame_rate: Some(29_970),
    };
    let rung = |rung: &TranscodeRung| {
        Ok(StoredSegment {
            length: rung.bitrate / 8 * transcode.duration.as_millis() / 1_000,
            hash: hash(&rung.object.0),
            formats: Some(Ok(formats(rung.height))),
        })
    };
    Transcoded {
        input: formats(1_080),
        rungs: transcode.rungs.iter().map(rung).collect(),
        waited: seconds(0),
        took: seconds(1),
    }
}

impl Bench {
    pub(crate) fn new(source: SourceAt) -> Self {
        Self::restored(source, None, 7)
    }

    pub(crate) fn restored(source: SourceAt, checkpoint: Option<Checkpoint>, seed: u64) -> Self {
        Self {
            relay: Relay::new(seed, Epoch(1), checkpoint),
            now: 0,
            source,
            segment: Box::new(|_, _| Ok(50_000)),
            publish: Box::new(|_| Ok(())),
            redirect: Box::new(|_, url| url.to_owned()),
            raw: Box::new(|_, _| None),
            load_takes: Box::new(|_, _| 10_000),
            etags: false,
            check: Box::new(|_| (1_000, Ok(()))),
            checker: Checker::default(),
            saved: None,
            content: Box::new(|_, url| url.split('?').next().unwrap_or_default().to_owned()),
            formats: Box::new(|_| Err(Unreadable::Container)),
            looks: Vec::new(),
            transcode: Box::new(|_, it| (SEC, Ok(made(it)))),
            preload: Box::new(|_, it| (SEC / 10, vec![Ok(()); it.edges.len()])),
            transcodes: Vec::new(),
            preloads: Vec::new(),
            key_bytes: 16,
            wall_off: |_| 0,
            getting: BTreeMap::new(),
            born: 0,
            due: VecDeque::new(),
            loads: Vec::new(),
            downloads: Vec::new(),
            requests: Vec::new(),
            published: Vec::new(),
            deleted: Vec::new(),
            notices: Vec::new(),
            objects: BTreeMap::new(),
            withdrawn: 0,
            journal: None,
            revision: 0,
        }
    }

    /// `kill -9` now, and another process that goes on from what was saved. Its monotonic clock starts
    /// anew; a store in memory is empty.
    pub(crate) fn kill(&mut self, seed: u64, store_survives: bool) {
        self.relay = Relay::new(seed, Epoch(seed), self.saved.clone());
        (self.born, self.revision) = (self.now, 0);
        self.due.clear();
        let now = self.now;
        self.objects.retain(|_, at| store_survives && *at <= now);
        self.checker.killed();
    }

    pub(crate) fn configure(&mut self, spec: Spec, desired: Desired) {
        self.revision += 1;
        self.revise(self.revision, spec, desired);
    }

    pub(crate) fn revise(&mut self, revision: u64, spec: Spec, desired: Desired) {
        let wanted = Configure {
            revision,
            desired,
            spec: Arc::new(spec),
        };
        self.step(Event::Configure(wanted));
    }

    pub(crate) fn status(&self) -> Status {
        self.relay.status(self.clock())
    }

    /// What the newest listed segment holds.
    pub(crate) fn relayed_last(&self) -> &str {
        let relayed = self.checker.relayed();
        relayed.into_iter().flatten().next_back().unwrap_or("")
    }

    /// Completions of each kind for a request that is not under way.
    pub(crate) fn stray(&mut self, request: u64) {
        let request = RequestId(request);
        let stored = StoredSegment {
            length: 1,
            hash: hash(""),
            formats: None,
        };
        let outcome = Ok(());
        self.step(Event::PlaylistLoaded {
            request,
            outcome: Ok(LoadedPlaylist::NotModified),
        });
        self.step(Event::Downloaded {
            request,
            outcome: Ok(stored),
        });
        self.step(Event::ObjectsChecked {
            request,
            outcome: Ok(Vec::new()),
        });
        self.step(Event::Published {
            request,
            outcome: Err(StoreError::Full),
        });
        self.step(Event::Deleted {
            request,
            outcome: outcome.clone(),
        });
        self.step(Event::Withdrawn {
            request,
            outcome: outcome.clone(),
        });
        self.step(Event::CheckpointSaved { request, outcome });
    }

    pub(crate) fn run(&mut self, spec: Spec) {
        self.configure(spec, Desired::Run);
    }

    pub(crate) fn clock(&self) -> Now {
        Now {
            monotonic: Timestamp::from_micros(self.now - self.born),
            wall: WallTime::from_micros(START_WALL + self.now as i64 + (self.wall_off)(self.now)),
        }
    }

    pub(crate) fn step(&mut self, event: Event) {
        if event == Event::ShutDown {
            self.checker.shut_down();
        }
        let mut commands = Vec::new();
        let recorded = self.journal.as_ref().map(|_| event.clone());
        self.relay.step(self.clock(), event, &mut commands);
        let now = self.clock();
        if let (Some(journal), Some(event)) = (&mut self.journal, recorded) {
            journal.push(journal::encode_record(&journal::Record {
                seq: journal.len() as u64,
                now,
                event,
                digest: Some(journal::digest_of(&commands)),
            }));
        }
        for command in commands {
            self.dispatch(command);
        }
        self.due.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    fn dispatch(&mut self, command: Command) {
        let now = self.now;
        match command {
            Command::LoadPlaylist(load) => {
                self.loads.push((now, load.url.to_string()));
                self.requests.push(Asked {
                    url: load.url.to_string(),
                    generation: load.generation,
                    source: load.source,
                    byte_range: None,
                    decrypt: None,
                    object: String::new(),
                });
                let raw = (self.raw)(now, &load.url).map(Ok);
                let body = raw.unwrap_or_else(|| (self.source)(now, &load.url).map(String::into));
                let outcome = body.map(|bytes| {
                    let tag = String::from_utf8_lossy(&bytes).into_owned();
                    let etag = self.etags.then(|| Arc::from(tag));
                    if etag.is_some() && etag == load.etag {
                        return LoadedPlaylist::NotModified;
                    }
                    LoadedPlaylist::Body {
                        url: (self.redirect)(now, &load.url).into(),
                        body: PlaylistBody(bytes.into()),
                        etag,
                    }
                });
                let request = load.request;
                let at = now + (self.load_takes)(now, &load.url);
                self.due
                    .push_back((at, Event::PlaylistLoaded { request, outcome }));
            }
            Command::Download(get) => {
                self.downloads
                    .push((now, get.url.to_string(), get.object.to_string()));
                assert!(
                    get.url.starts_with("http"),
                    "no other scheme is ever fetched: {}",
                    get.url
                );
                self.requests.push(Asked {
                    url: get.url.to_string(),
                    generation: get.generation,
                    source: get.source,
                    byte_range: get.byte_range,
                    decrypt: get.decrypt.clone(),
                    object: get.object.to_string(),
                });
                let whole = get.limits.whole;
                let in_time = |taken| match taken > whole.as_micros() {
                    true => Err(FetchError::WholeTimeout(whole)),
                    false => Ok(taken),
                };
                let taken = (self.segment)(now, &get.url).and_then(in_time);
                let waited = match taken {
                    Err(FetchError::WholeTimeout(_)) => whole.as_micros(),
                    _ => 20_000,
                };
                let at = now + taken.as_ref().copied().unwrap_or(waited);
                let length = match get.content {
                    Content::Key => self.key_bytes,
                    Content::Segment | Content::InitSection => 1_000,
                };
                let mut bytes = (self.content)(now, &get.url);
                if get.byte_range.is_some() || get.decrypt.is_some() {
                    bytes += &format!(" {:?} {:?}", get.byte_range, get.decrypt);
                }
                let outcome = taken.map(|_| StoredSegment {
                    length,
                    hash: hash(&bytes),
                    formats: get.look.then(|| (self.formats)(&get.url)),
                });
                if get.look {
                    self.looks.push(get.url.to_string());
                }
                if outcome.is_ok() {
                    self.objects.insert(get.object.to_string(), at);
                    self.getting.insert(get.request, get.object.to_string());
                    let content = (self.content)(now, &get.url);
                    self.checker.stored(&get.object.0, &content);
                }
                let request = get.request;
                self.due
                    .push_back((at, Event::Downloaded { request, outcome }));
            }
            Command::Transcode(it) => {
                let (takes, outcome) = (self.transcode)(now, &it);
                let request = it.request;
                if outcome.is_ok() {
                    let objects = it.rungs.iter().map(|rung| rung.object.to_string());
                    self.objects.extend(objects.map(|name| (name, now + takes)));
                }
                self.transcodes.push((now, it));
                let completion = Event::Transcoded { request, outcome };
                self.due.push_back((now + takes, completion));
            }
            Command::Preload(it) => {
                let (takes, outcomes) = (self.preload)(now, &it);
                let request = it.request;
                self.preloads.push((now, it));
                let completion = Event::Preloaded { request, outcomes };
                self.due.push_back((now + takes, completion));
            }
            Command::Publish(publish) => {
                let (request, outcome) = (publish.request, (self.publish)(now));
                self.saved = Some(Checkpoint::clone(&publish.checkpoint));
                if outcome.is_ok() {
                    let several = self.checker.several;
                    for playlist in &publish.playlists {
                        let is_entry = &*playlist.name.0 == PlaylistName::ENTRY;
                        let is_media = playlist.text.contains("#EXT-X-TARGETDURATION");
                        if several && is_entry {
                            // A source that was one media playlist is one to viewers, too.
                            if !is_media {
                                self.check_entry(&playlist.text, &publish);
                            }
                        } else {
                            self.check_stored(&playlist.text);
                        }
                    }
                    if !several {
                        self.checker.version(now, publish.entry().unwrap());
                    }
                    self.published.push((now, publish));
                } else {
                    self.checker.not_published();
                }
                self.due
                    .push_back((now + 5_000, Event::Published { request, outcome }));
            }
            Command::Delete {
                request, objects, ..
            } => {
                for object in objects {
                    self.delete(&object.0);
                }
                let outcome = Ok(());
                self.due
                    .push_back((now + 1_000, Event::Deleted { request, outcome }));
            }
            Command::CheckObjects {
                request,
                objects,
                keep,
                ..
            } => {
                let (takes, outcome) = (self.check)(now);
                let kept = objects.iter().map(|it| &it.object).chain(&keep);
                let kept: Vec<String> = kept.map(ToString::to_string).collect();
                let left_over = self.objects.keys().filter(|name| !kept.contains(name));
                for name in left_over.cloned().collect::<Vec<_>>() {
                    self.delete(&name);
                }
                let there = |name: &str| self.objects.contains_key(name);
                let present = objects
                    .into_iter()
                    .filter(|it| there(&it.object.0))
                    .collect();
                let outcome = outcome.map(|()| present);
                self.due
                    .push_back((now + takes, Event::ObjectsChecked { request, outcome }));
            }
            Command::Withdraw { request, .. } => {
                self.withdrawn += 1;
                self.checker.withdrawn(now);
                self.due.push_back((
                    now + 1_000,
                    Event::Withdrawn {
                        request,
                        outcome: Ok(()),
                    },
                ));
            }
            Command::SaveCheckpoint {
                request,
                checkpoint,
                ..
            } => {
                self.saved = Some(Checkpoint::clone(&checkpoint));
                let outcome = Ok(());
                self.due
                    .push_back((now + 1_000, Event::CheckpointSaved { request, outcome }));
            }
            Command::Cancel { request } => {
                let object = self.getting.remove(&request);
                self.objects
                    .retain(|name, at| *at <= now || Some(name) != object.as_ref());
                let cancelled = FetchError::Cancelled;
                for (at, event) in &mut self.due {
                    match event {
                        Event::PlaylistLoaded {
                            request: own,
                            outcome,
                        } if *own == request => {
                            (*at, *outcome) = (now, Err(cancelled.clone()));
                        }
                        Event::Downloaded {
                            request: own,
                            outcome,
                        } if *own == request => {
                            (*at, *outcome) = (now, Err(cancelled.clone()));
                        }
                        Event::Transcoded {
                            request: own,
                            outcome,
                        } if *own == request => {
                            (*at, *outcome) = (now, Err(TranscodeError::Cancelled));
                        }
                        Event::Preloaded {
                            request: own,
                            outcomes,
                        } if *own == request => {
                            *at = now;
                            outcomes.fill(Err(PreloadError::Cancelled));
                        }
                        _ => {}
                    }
                }
            }
            Command::Notify(notice) => self.notices.push((now, notice)),
        }
    }

    fn delete(&mut self, name: &str) {
        if self.objects.remove(name).is_some() {
            self.checker.deleted(self.now, name);
            self.deleted.push((self.now, name.to_owned()));
        }
    }

    /// A multivariant playlist is right to the letter, and all that it leads to is there with it.
    fn check_entry(&self, text: &str, version: &Publish) {
        let named = match multivariant::check(text) {
            Ok(named) => named,
            Err(_) if self.checker.free_entry => return,
            Err(why) => panic!("{why}\n{text}"),
        };
        let versions = self.published.iter().map(|(_, it)| it).chain([version]);
        let shown: Vec<_> = versions
            .flat_map(|it| &it.playlists)
            .map(|it| &it.name.0)
            .collect();
        for name in named {
            assert!(
                shown.iter().any(|it| ***it == *name),
                "{name} is not there:\n{text}"
            );
        }
    }

    /// What holds for every version: everything listed can be fetched (S-11).
    fn check_stored(&self, text: &str) {
        for segment in media(text).segments.iter().filter(|segment| !segment.gap) {
            let stored = self.objects.get(&*segment.uri);
            assert!(
                stored.is_some_and(|at| *at <= self.now),
                "not stored: {}",
                segment.uri
            );
        }
    }

    /// Lets time pass until `until` microseconds.
    pub(crate) fn pass(&mut self, until: u64) {
        for _ in 0..100_000 {
            let event = self.due.front().map(|(at, _)| *at);
            let wake = self.relay.next_wakeup();
            let wake = wake.map(|(at, _)| at.as_micros() + self.born);
            let next = event.into_iter().chain(wake).min();
            let Some(at) = next.filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = at.max(self.now);
            match event.filter(|due| *due <= at) {
                Some(_) => {
                    let (_, event) = self.due.pop_front().expect("an event is due");
                    self.step(event);
                }
                None => self.step(Event::Tick),
            }
        }
        panic!(
            "100,000 steps and not at {until}: next {:?}",
            self.relay.next_wakeup()
        );
    }

    pub(crate) fn media_of(&self, index: usize) -> MediaPlaylist {
        media(self.published[index].1.entry().unwrap())
    }

    pub(crate) fn last(&self) -> MediaPlaylist {
        let (_, publish) = self.published.last().expect("something is published");
        media(publish.entry().unwrap())
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let (_, publish) = self.published.last().expect("something is published");
        Checkpoint::clone(&publish.checkpoint)
    }

    pub(crate) fn holes(&self) -> u64 {
        let holes = self.notices.iter().map(|(_, notice)| match notice {
            Notice::Hole { segments, .. } => *segments,
            _ => 0,
        });
        holes.sum()
    }

    /// What was downloaded and stored more than once, queries aside.
    pub(crate) fn downloaded_twice(&self) -> Vec<String> {
        let path = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        let mut paths: Vec<String> = self.downloads.iter().map(|it| path(&it.1)).collect();
        paths.sort();
        let twice = paths.windows(2).filter(|pair| pair[0] == pair[1]);
        twice.map(|pair| pair[0].clone()).collect()
    }

    pub(crate) fn told(&self, what: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(|(_, notice)| what(notice))
    }

    /// When the playlist of a URL was asked for, and what came between two loads.
    pub(crate) fn loads_of(&self, url: &str) -> Vec<u64> {
        let of = self.loads.iter().filter(|(_, asked)| asked == url);
        of.map(|(at, _)| *at).collect()
    }

    /// The segments asked for, in order, without the folder.
    pub(crate) fn asked(&self) -> Vec<&str> {
        let names = self.downloads.iter();
        names
            .map(|(_, url, _)| url.rsplit('/').next().unwrap_or(url))
            .collect()
    }

    /// How often our playlists carry a discontinuity, counted over all segments ever listed.
    pub(crate) fn discontinuities(&self) -> u64 {
        let last = self.last();
        let listed = last.segments.iter().filter(|segment| segment.discontinuity);
        last.discontinuity_sequence + listed.count() as u64
    }
}

pub(crate) fn media(text: &str) -> MediaPlaylist {
    match playlist::parse(text.as_bytes()).expect("ours can be read") {
        Playlist::Media(list) => list,
        Playlist::Multivariant(_) => panic!("ours is a media playlist"),
    }
}

fn hash(content: &str) -> ContentHash {
    let mut hash = [0_u8; 32];
    for (index, byte) in content.bytes().enumerate() {
        let slot: &mut u8 = &mut hash[index % 32];
        *slot = slot.wrapping_mul(31).wrapping_add(byte);
    }
    ContentHash(hash)
}

/// A live source: segment `n` of `micros` appears at `(n + 1) × micros`, after `first`; six are listed.
pub(crate) fn live(micros: u64, first: u64, prefix: &str) -> impl Fn(u64) -> String + use<> {
    let prefix = prefix.to_owned();
    move |now| {
        let made = now / micros;
        let oldest = made.saturating_sub(6);
        let target = micros.div_ceil(1_000_000);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            first + oldest
        );
        for n in oldest..made {
            let secs = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            text += &format!("#EXTINF:{secs},\n{prefix}{}.ts\n", first + n);
        }
        text
    }
}
