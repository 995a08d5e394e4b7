//! Carries out the commands of one channel. Each that starts work becomes a task, and each task
//! comes back with exactly one completion, even if it panics. [`Channel`] does the work itself.

mod channel;
mod told;

pub use channel::{Channel, Kept};

use crate::clock;
use crate::fetch::SourceAccess;
use crate::mask::mask_url;
use crate::notices::{self, Speaker};
use crate::preload::{self, EdgeAccess};
use futures_util::FutureExt;
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::command::{Command, Download, LoadPlaylist, Preload, Transcode};
use hls_relay_core::event::{Event, FetchError, PreloadError, StoreError, TranscodeError};
use hls_relay_core::ids::{Epoch, Generation, RequestId};
use hls_relay_core::notice::{Notice, SwitchReason};
use hls_relay_core::relay::Relay;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use told::Told;

/// How long the tasks of a machine that is being restarted are waited for.
const ABANDON: Duration = Duration::from_secs(5);

/// What those whom a configuration names are asked with.
#[derive(Clone, Debug, Default)]
pub struct Accesses {
    /// For each source, in its order.
    pub sources: Vec<Arc<SourceAccess>>,
    /// For each edge that is warmed, in its order.
    pub edges: Vec<Arc<EdgeAccess>>,
}

impl From<Vec<Arc<SourceAccess>>> for Accesses {
    fn from(sources: Vec<Arc<SourceAccess>>) -> Self {
        Self {
            sources,
            edges: Vec::new(),
        }
    }
}

/// The hands of one machine.
pub struct Worker {
    channel: Arc<Channel>,
    epoch: Epoch,
    /// Wished for, and not known to be in force yet.
    wished: BTreeMap<u64, Accesses>,
    in_force: BTreeMap<Generation, Accesses>,
    revision: u64,
    generation: Generation,
    running: HashMap<RequestId, CancellationToken>,
    completed: mpsc::UnboundedSender<(RequestId, Event)>,
    completions: mpsc::UnboundedReceiver<(RequestId, Event)>,
    /// Done once the latest work on the store is.
    last_store_work: Option<oneshot::Receiver<()>>,
    checkpoint: Option<Arc<Checkpoint>>,
    /// A change of source that has not been made yet, or not at all, in words.
    change: Option<Arc<str>>,
    told: Told,
}

impl Worker {
    /// Hands without work. `checkpoint` is what the machine begins with.
    pub fn new(channel: Arc<Channel>, epoch: Epoch, checkpoint: Option<Arc<Checkpoint>>) -> Self {
        // Never fuller than the number of requests that the machine has under way.
        let (completed, completions) = mpsc::unbounded_channel();
        Self {
            channel,
            epoch,
            wished: BTreeMap::new(),
            in_force: BTreeMap::new(),
            revision: 0,
            generation: Generation(0),
            running: HashMap::new(),
            completed,
            completions,
            last_store_work: None,
            checkpoint,
            change: None,
            told: Told::default(),
        }
    }

    /// The channel it works for.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// A change of source that is under way, or refused, in words.
    pub fn change(&self) -> Option<Arc<str>> {
        self.change.clone()
    }

    /// The URL of a source, masked; of the newest generation where this one is not in force.
    pub fn source_url(&self, generation: Generation, source: usize) -> Option<String> {
        let newest = || self.in_force.values().next_back();
        let accesses = self.in_force.get(&generation).or_else(newest)?;
        Some(mask_url(&accesses.sources.get(source)?.public_url()))
    }

    /// A machine for these hands, which goes on from the last checkpoint. Each has a seed of its own,
    /// from the system's randomness.
    pub fn new_machine(&self) -> Relay {
        let seed = RandomState::new().hash_one(clock::wall());
        Relay::new(seed, self.epoch, self.checkpoint.as_deref().cloned())
    }

    /// Keeps the access to the sources of a configuration until its machine says which generation
    /// that is.
    pub fn expect(&mut self, revision: u64, accesses: Accesses) {
        self.wished.insert(revision, accesses);
    }

    /// The next completion. Waits for ever while nothing is under way.
    pub async fn next_completion(&mut self) -> Event {
        loop {
            if let Some((request, event)) = self.completions.recv().await {
                self.running.remove(&request);
                return event;
            }
        }
    }

    /// Stops everything and forgets what was under way: the machine that asked for it is no more.
    pub async fn abandon(&mut self) {
        self.running.values().for_each(CancellationToken::cancel);
        let all_done = async {
            while !self.running.is_empty() {
                self.next_completion().await;
            }
        };
        let _ = tokio::time::timeout(ABANDON, all_done).await;
        // What still runs then reports to nobody.
        (self.completed, self.completions) = mpsc::unbounded_channel();
        self.running.clear();
        self.in_force.clear();
    }

    /// Whether other nodes want to know how the channel is after these commands.
    pub fn tells_others(&self, commands: &[Command]) -> bool {
        let is_told = |command: &Command| {
            matches!(
                command,
                Command::Publish(_)
                    | Command::SaveCheckpoint { .. }
                    | Command::Notify(Notice::StateChanged { .. })
            )
        };
        matches!(self.channel.kept, Kept::InRedis(_)) && commands.iter().any(is_told)
    }

    /// Puts down how the channel is; a version that is published by these commands takes it along.
    pub fn tell_others(&self, status: Arc<str>, commands: &[Command]) {
        let Kept::InRedis(owned) = &self.channel.kept else {
            return;
        };
        owned.observe(status);
        let takes_along =
            |it: &Command| matches!(it, Command::Publish(_) | Command::SaveCheckpoint { .. });
        if !commands.iter().any(takes_along) {
            let owned = owned.clone();
            tokio::spawn(async move { owned.tell().await });
        }
    }

    /// Carries out the commands of one step. What is told comes first: it says which sources a new
    /// generation has, and its first request may stand before it.
    pub fn carry_out(&mut self, commands: &mut Vec<Command>) {
        commands.iter().for_each(|command| self.note(command));
        commands.drain(..).for_each(|command| self.start(command));
    }

    fn note(&mut self, command: &Command) {
        let Command::Notify(notice) = command else {
            return;
        };
        self.note_change(notice);
        if self.told.has(notice) {
            return;
        }
        let speaker = Speaker {
            channel: &self.channel.name,
            epoch: self.epoch.0,
            revision: self.revision,
            generation: self.generation.0,
        };
        notices::log(speaker, notice);
    }

    /// Follows a configuration from its wish to its first segment.
    fn note_change(&mut self, notice: &Notice) {
        let said = || Some(notice.to_string().into());
        if let Notice::Configured {
            revision,
            generation,
        } = *notice
        {
            self.become_configured(revision, Generation(generation));
        } else if let Notice::ConfigureRefused { .. }
        | Notice::Preparing {
            why: SwitchReason::Reconfigured,
            ..
        } = notice
        {
            // Why the one before could not take over is worth more than which one is next.
            self.change = self.change.take().or_else(said);
        } else if matches!(notice, Notice::PreparationFailed { .. }) && self.change.is_some() {
            self.change = said();
        } else if matches!(notice, Notice::Switched { .. }) {
            self.change = None;
        }
    }

    fn become_configured(&mut self, revision: u64, generation: Generation) {
        (self.revision, self.generation) = (revision, generation);
        self.change = None;
        if let Some(accesses) = self.wished.remove(&revision) {
            self.in_force.insert(generation, accesses);
        }
        self.wished.retain(|wished, _| *wished > revision);
    }

    fn start(&mut self, command: Command) {
        let channel = self.channel.clone();
        match command {
            Command::LoadPlaylist(load) => self.load_playlist(load),
            Command::Download(download) => self.begin_download(download),
            Command::Transcode(work) => self.transcode(work),
            Command::Preload(work) => self.preload(work),
            Command::CheckObjects {
                request,
                epoch: _,
                objects,
                keep,
            } => {
                let completion = move |outcome| Event::ObjectsChecked { request, outcome };
                let work = async move { channel.output.store().check(objects, keep).await };
                self.on_store(request, work, completion);
            }
            Command::Publish(publish) => {
                let request = publish.request;
                let completion = move |outcome| Event::Published { request, outcome };
                self.checkpoint = Some(publish.checkpoint.clone());
                // What is listed now is what the older ones would still be asked for.
                self.in_force = self.in_force.split_off(&publish.generation);
                self.on_store(request, channel.publish(publish), completion);
            }
            Command::Delete {
                request,
                epoch: _,
                objects,
            } => {
                let completion = move |outcome| Event::Deleted { request, outcome };
                let work = async move { channel.output.store().delete(objects).await };
                self.on_store(request, work, completion);
            }
            Command::Withdraw { request, epoch: _ } => {
                let completion = move |outcome| Event::Withdrawn { request, outcome };
                self.on_store(request, channel.withdraw(), completion);
            }
            Command::SaveCheckpoint {
                request,
                epoch: _,
                checkpoint,
            } => {
                let completion = move |outcome| Event::CheckpointSaved { request, outcome };
                self.checkpoint = Some(checkpoint.clone());
                let work = async move { channel.save(checkpoint).await };
                self.on_store(request, work, completion);
            }
            Command::Cancel { request } => {
                if let Some(running) = self.running.get(&request) {
                    running.cancel();
                }
            }
            Command::Notify(_) => {}
        }
    }

    fn load_playlist(&mut self, load: LoadPlaylist) {
        let request = load.request;
        self.say_begun(request, "load_playlist", &load.url);
        let completion = move |outcome| Event::PlaylistLoaded { request, outcome };
        let (channel, access) = (
            self.channel.clone(),
            self.access(load.generation, load.source),
        );
        let cancel = CancellationToken::new();
        let cancelled = cancel.clone();
        let work = async move {
            let access = access?;
            let fetch =
                channel
                    .fetcher
                    .playlist(&access, &load.url, load.etag.as_deref(), &load.limits);
            cancelled
                .run_until_cancelled(fetch)
                .await
                .unwrap_or(Err(FetchError::Cancelled))
        };
        self.spawn(request, cancel, work, completion, Err(panicked()));
    }

    fn begin_download(&mut self, download: Download) {
        let request = download.request;
        self.say_begun(request, "download", &download.url);
        let completion = move |outcome| Event::Downloaded { request, outcome };
        let (channel, access) = (
            self.channel.clone(),
            self.access(download.generation, download.source),
        );
        let cancel = CancellationToken::new();
        let cancelled = cancel.clone();
        let work = async move {
            let access = access?;
            channel.download(&access, &download, &cancelled).await
        };
        self.spawn(request, cancel, work, completion, Err(panicked()));
    }

    fn transcode(&mut self, work: Transcode) {
        let request = work.request;
        let completion = move |outcome| Event::Transcoded { request, outcome };
        let cancel = CancellationToken::new();
        let (channel, cancelled) = (self.channel.clone(), cancel.clone());
        let work = async move { channel.transcode(&work, &cancelled).await };
        let lost = TranscodeError::WorkerLost("a mistake of our own; the log has it".into());
        self.spawn(request, cancel, work, completion, Err(lost));
    }

    fn preload(&mut self, work: Preload) {
        let request = work.request;
        let completion = move |outcomes| Event::Preloaded { request, outcomes };
        let cancel = CancellationToken::new();
        let (channel, cancelled) = (self.channel.clone(), cancel.clone());
        let accesses = self.in_force.get(&work.generation);
        let edges = accesses.map(|it| it.edges.clone()).unwrap_or_default();
        let lost = vec![Err(PreloadError::Failed(panicked())); work.edges.len()];
        let work =
            async move { preload::preload(&channel.fetcher, &edges, &work, &cancelled).await };
        self.spawn(request, cancel, work, completion, lost);
    }

    fn say_begun(&self, request: RequestId, kind: &str, url: &str) {
        // The URL is masked only where somebody reads it.
        if tracing::enabled!(tracing::Level::DEBUG) {
            let (channel, url) = (&*self.channel.name, mask_url(url));
            tracing::debug!(channel, request = request.0, kind, url, "begun");
        }
    }

    fn access(
        &self,
        generation: Generation,
        source: usize,
    ) -> Result<Arc<SourceAccess>, FetchError> {
        let accesses = self.in_force.get(&generation);
        accesses
            .and_then(|all| all.sources.get(source))
            .cloned()
            .ok_or_else(|| {
                let missing = format!("generation {} has no source {source}", generation.0);
                FetchError::Protocol(missing.into())
            })
    }

    /// Work on the store goes in the order of its commands: a version never overtakes the one before.
    fn on_store<T: Send + 'static>(
        &mut self,
        request: RequestId,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
        completion: impl FnOnce(Result<T, StoreError>) -> Event + Send + 'static,
    ) {
        let (done, after_this) = oneshot::channel();
        let before = self.last_store_work.replace(after_this);
        let in_turn = async move {
            if let Some(before) = before {
                // Ends with the sender, which is also dropped by work that panics.
                let _ = before.await;
            }
            let outcome = work.await;
            drop::<oneshot::Sender<()>>(done);
            outcome
        };
        // It has no middle at which it could stop, so a cancel comes too late by definition.
        let uncancelled = CancellationToken::new();
        self.spawn(
            request,
            uncancelled,
            in_turn,
            completion,
            Err(StoreError::Unknown),
        );
    }

    fn spawn<T: Send + 'static>(
        &mut self,
        request: RequestId,
        cancel: CancellationToken,
        work: impl Future<Output = T> + Send + 'static,
        completion: impl FnOnce(T) -> Event + Send + 'static,
        if_panicked: T,
    ) {
        let (channel, completed) = (self.channel.clone(), self.completed.clone());
        self.running.insert(request, cancel);
        tokio::spawn(async move {
            let start = Instant::now();
            let outcome = AssertUnwindSafe(work)
                .catch_unwind()
                .await
                .unwrap_or(if_panicked);
            let (event, took_ms) = (completion(outcome), start.elapsed().as_millis());
            let (channel, kind) = (&*channel.name, notices::kind_of_event(&event));
            tracing::debug!(channel, request = request.0, took_ms, kind, "done");
            // Nobody listens to the work of a machine that is no more.
            let _ = completed.send((request, event));
        });
    }
}

fn panicked() -> FetchError {
    FetchError::Protocol("a mistake of our own; the log has it".into())
}
