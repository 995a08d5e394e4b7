//! The real HTTP origin, asked by the real client, and the real stores, worked on by a channel's
//! worker, keep the contracts in `testdata/contracts`, as the simulated ones do (`sim/tests/contracts.rs`).

use hls_relay::checkpoint_file::{CheckpointFile, Found};
use hls_relay::fetch::{Fetcher, Keys, SourceAccess};
use hls_relay::origin_server::OriginServer;
use hls_relay::output::{Output, Shown};
use hls_relay::store::{Content, Store};
use hls_relay::worker::{Channel, Kept, Worker};
use hls_relay_core::checkpoint::{CHECKPOINT_FORMAT, Checkpoint, SavedTrack};
use hls_relay_core::command::{self, Command, Download, ObjectCheck, Publish, PublishedPlaylist};
use hls_relay_core::date_ranges::DateRanges;
use hls_relay_core::event::{Event, LoadedPlaylist, StoreError};
use hls_relay_core::ids::{ContentHash, Epoch, Generation, ObjectName, PlaylistName, RequestId};
use hls_relay_core::time::{Span, WallTime};
use hls_relay_sim::contract::{
    Case, LIMITS, OriginAct, StoreAct, fetch_words, origin_cases, origin_of, playlist_words,
    store_cases, store_words,
};
use hls_relay_sim::origin::MediaLoop;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use url::Url;

const ORIGIN: &str = include_str!("../../testdata/contracts/origin.txt");
const STORE: &str = include_str!("../../testdata/contracts/store.txt");
const LONG: Duration = Duration::from_secs(50);
const EPOCH: Epoch = Epoch(1);

#[tokio::test]
async fn the_real_origin_keeps_the_contract() {
    for case in origin_cases(ORIGIN).unwrap() {
        let mut client = Client::of(&case).await;
        for step in &case.steps {
            let came = client.act(&step.act).await;
            assert_eq!(came, step.expected, "{}: {:?}", case.title, step.act);
        }
    }
}

/// Somebody who asks a real origin.
struct Client {
    server: OriginServer,
    fetcher: Fetcher,
    access: SourceAccess,
    /// The last list that came.
    list: String,
    etag: Option<Arc<str>>,
}

impl Client {
    async fn of(case: &Case<OriginAct>) -> Self {
        let listen = ([127, 0, 0, 1], 0).into();
        let server = OriginServer::start(origin_of(case), listen).await.unwrap();
        let url = Url::parse(&server.url()).unwrap();
        Self {
            server,
            fetcher: Fetcher::new(),
            access: SourceAccess::new(&url, &HeaderMap::new()),
            list: String::new(),
            etag: None,
        }
    }

    async fn act(&mut self, act: &OriginAct) -> String {
        match act {
            OriginAct::HasEntityTags | OriginAct::HasTokens | OriginAct::HasCookies => {}
            OriginAct::Fault(kind) => self.server.inject(kind.clone(), LONG),
            OriginAct::Cured => self.server.set_faults(Vec::new()),
            OriginAct::Playlist { again } => return self.playlist(*again).await,
            OriginAct::Segment(number) => return self.segment(*number).await,
        }
        String::new()
    }

    async fn playlist(&mut self, again: bool) -> String {
        let url = self.server.url();
        let etag = self.etag.clone().filter(|_| again);
        let load = self
            .fetcher
            .playlist(&self.access, &url, etag.as_deref(), &LIMITS);
        let outcome = load.await;
        if let Ok(LoadedPlaylist::Body { body, etag, .. }) = &outcome {
            self.list = String::from_utf8_lossy(&body.0).into_owned();
            self.etag.clone_from(etag);
        }
        playlist_words(&url, &outcome)
    }

    async fn segment(&mut self, number: u64) -> String {
        let name = format!("seg{number}.ts");
        let listed = self.list.lines().find(|line| line.starts_with(&name));
        let url = format!(
            "http://{}/live/{}",
            self.server.address(),
            listed.unwrap_or(&name)
        );
        let store = Store::memory();
        let mut object = store.create(&object("it")).unwrap();
        let (download, keys) = (download(&url), Keys::default());
        let get = self
            .fetcher
            .segment(&self.access, &download, &keys, &mut object);
        match get.await {
            Ok(_) => {
                let stored = object.commit().await.unwrap();
                let offered = self.server.truth();
                let made = offered.iter().find(|it| it.media.number == number);
                let made = made.map(|it| hash_of(&MediaLoop::embedded().bytes(&it.media)));
                let whole = made == Some(stored.hash);
                if whole { "whole" } else { "other media" }.to_owned()
            }
            Err(error) => fetch_words(&error),
        }
    }
}

#[tokio::test]
async fn the_stores_in_memory_and_in_a_directory_keep_the_contract() {
    for case in store_cases(STORE).unwrap() {
        for kind in ["memory", "directory"] {
            let is_of_another =
                |act: &StoreAct| matches!(act, StoreAct::Only(only) if only != kind);
            if case.steps.iter().any(|step| is_of_another(&step.act)) {
                continue;
            }
            let mut shelf = Shelf::new(kind == "directory");
            for step in &case.steps {
                let came = shelf.act(&step.act).await;
                assert_eq!(
                    came, step.expected,
                    "{kind}: {}: {:?}",
                    case.title, step.act
                );
            }
        }
    }
}

/// A store with the worker of its channel.
struct Shelf {
    folder: TempDir,
    on_disk: bool,
    process: Option<Process>,
    requests: u64,
}

struct Process {
    worker: Worker,
    output: Arc<Output>,
}

impl Shelf {
    fn new(on_disk: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Some(Process::start(&folder, on_disk));
        Self {
            folder,
            on_disk,
            process,
            requests: 0,
        }
    }

    async fn act(&mut self, act: &StoreAct) -> String {
        match act {
            StoreAct::Only(_) => {}
            StoreAct::Put(name, content) => return words(self.put(name, content).await),
            StoreAct::Has(name) => {
                let Some(found) = self.process().output.store().get(name) else {
                    return "nothing".to_owned();
                };
                let bytes = match found.content {
                    Content::Memory(bytes) => bytes.to_vec(),
                    Content::File(path) => std::fs::read(path).unwrap(),
                };
                return String::from_utf8(bytes).unwrap();
            }
            StoreAct::Delete(names) => {
                let objects = names.iter().map(|name| object(name)).collect();
                let delete = |request| Command::Delete {
                    request,
                    epoch: EPOCH,
                    objects,
                };
                return self.work(delete).await;
            }
            StoreAct::Check { asked, keep } => {
                let objects = asked.iter().map(|it| check(&it.0, &it.1)).collect();
                let keep = keep.iter().map(|name| object(name)).collect();
                let look = |request| Command::CheckObjects {
                    request,
                    epoch: EPOCH,
                    objects,
                    keep,
                };
                return self.work(look).await;
            }
            StoreAct::Publish(number, playlists) => {
                return self.publish(*number, playlists).await;
            }
            StoreAct::Shown(name) => return self.shown(name),
            StoreAct::Withdraw => {
                return self
                    .work(|request| Command::Withdraw {
                        request,
                        epoch: EPOCH,
                    })
                    .await;
            }
            StoreAct::Save(number) => {
                let checkpoint = Arc::new(checkpoint(*number));
                let save = |request| Command::SaveCheckpoint {
                    request,
                    epoch: EPOCH,
                    checkpoint,
                };
                return self.work(save).await;
            }
            StoreAct::Saved => return self.saved(),
            StoreAct::Restart => self.restart(),
            StoreAct::Broken => std::fs::rename(self.objects(), self.aside()).unwrap(),
            StoreAct::Mended => std::fs::rename(self.aside(), self.objects()).unwrap(),
        }
        String::new()
    }

    async fn put(&mut self, name: &str, content: &str) -> Result<(), StoreError> {
        let store = self.process().output.store().clone();
        let mut writer = store.create(&object(name))?;
        writer.write(content.as_bytes()).await?;
        let stored = writer.commit().await?;
        assert_eq!(stored.length, content.len() as u64);
        assert_eq!(stored.hash, hash_of(content.as_bytes()));
        Ok(())
    }

    async fn publish(&mut self, number: u64, playlists: &[(String, String)]) -> String {
        let checkpoint = Arc::new(checkpoint(number));
        let playlist = |(name, text): &(String, String)| PublishedPlaylist {
            name: PlaylistName(name.as_str().into()),
            text: text.as_str().into(),
        };
        let playlists = playlists.iter().map(playlist).collect();
        let publish = |request| {
            Command::Publish(Publish {
                request,
                generation: Generation(1),
                epoch: EPOCH,
                playlists,
                max_age: Span::from_secs(1),
                segment_max_age: Span::from_secs(60),
                checkpoint,
            })
        };
        self.work(publish).await
    }

    /// What viewers get; of a directory: whoever reads its files.
    fn shown(&mut self, name: &str) -> String {
        if self.on_disk {
            let file = self.objects().join(name);
            return std::fs::read_to_string(file).unwrap_or_else(|_| "nothing".to_owned());
        }
        match self.process().output.shown() {
            Shown::Version(version) => version.playlist(name).map_or_else(
                || "nothing".to_owned(),
                |playlist| String::from_utf8(playlist.plain.to_vec()).unwrap(),
            ),
            Shown::Nothing | Shown::Withdrawn => "nothing".to_owned(),
        }
    }

    /// What the next process would find, read past the lock of this one.
    fn saved(&self) -> String {
        let Ok(json) = std::fs::read(self.folder.path().join("state/news.json")) else {
            return "nothing".to_owned();
        };
        let saved: Checkpoint = serde_json::from_slice(&json).unwrap();
        saved.tracks[0].media_sequence.to_string()
    }

    async fn work(&mut self, command: impl FnOnce(RequestId) -> Command) -> String {
        self.requests += 1;
        let request = RequestId(self.requests);
        let worker = &mut self.process().worker;
        worker.carry_out(&mut vec![command(request)]);
        match worker.next_completion().await {
            Event::ObjectsChecked { outcome, .. } => match outcome {
                Ok(there) if there.is_empty() => "nothing".to_owned(),
                Ok(there) => {
                    let names: Vec<&str> = there.iter().map(|it| &*it.object.0).collect();
                    names.join(" ")
                }
                Err(error) => store_words(&error).to_owned(),
            },
            Event::Published { outcome, .. }
            | Event::Deleted { outcome, .. }
            | Event::Withdrawn { outcome, .. }
            | Event::CheckpointSaved { outcome, .. } => words(outcome),
            event @ (Event::Transcoded { .. }
            | Event::Preloaded { .. }
            | Event::Tick
            | Event::ShutDown
            | Event::Configure(_)
            | Event::PlaylistLoaded { .. }
            | Event::Downloaded { .. }) => panic!("{event:?}"),
        }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// The old process has to be gone before the new one can have its folders.
    fn restart(&mut self) {
        self.process = None;
        self.process = Some(Process::start(&self.folder, self.on_disk));
    }

    fn objects(&self) -> std::path::PathBuf {
        self.folder.path().join("store/news")
    }

    fn aside(&self) -> std::path::PathBuf {
        self.folder.path().join("store/elsewhere")
    }
}

impl Process {
    fn start(folder: &TempDir, on_disk: bool) -> Self {
        let store = if on_disk {
            Store::directory(&folder.path().join("store"), "news").unwrap()
        } else {
            Store::memory()
        };
        let (file, found) = CheckpointFile::open(&folder.path().join("state"), "news").unwrap();
        assert!(!matches!(found, Found::Refused { .. }), "{found:?}");
        let output = Arc::new(Output::new(store));
        let channel = Channel::new(
            "news".into(),
            Fetcher::new(),
            output.clone(),
            Kept::InFile(file),
        );
        let worker = Worker::new(Arc::new(channel), EPOCH, None);
        Self { worker, output }
    }
}

fn words(outcome: Result<(), StoreError>) -> String {
    match outcome {
        Ok(()) => "done".to_owned(),
        Err(error) => store_words(&error).to_owned(),
    }
}

fn download(url: &str) -> Download {
    Download {
        request: RequestId(1),
        generation: Generation(1),
        epoch: EPOCH,
        source: 0,
        url: url.into(),
        content: command::Content::Segment,
        byte_range: None,
        decrypt: None,
        look: false,
        may_be_empty: false,
        object: object("it"),
        limits: LIMITS,
    }
}

fn object(name: &str) -> ObjectName {
    ObjectName(name.into())
}

fn hash_of(bytes: &[u8]) -> ContentHash {
    ContentHash(Sha256::digest(bytes).into())
}

fn check(name: &str, content: &str) -> ObjectCheck {
    ObjectCheck {
        object: object(name),
        length: content.len() as u64,
        hash: hash_of(content.as_bytes()),
    }
}

fn checkpoint(media_sequence: u64) -> Checkpoint {
    Checkpoint {
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
    }
}
