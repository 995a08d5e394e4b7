//! One channel put together: its store, its state, its journal and the driver around them. `relay` opens
//! one, `node` many.

mod inherit;

use crate::checkpoint_file::{CheckpointFile, Found, StateError};
use crate::cli::StoreArg;
use crate::cluster::owned::Owned;
use crate::driver::{Control, Driver};
use crate::fetch::Fetcher;
use crate::journal::Recorder;
use crate::output::Output;
use crate::store::{Newest, OpenError, Store};
use crate::transcode::makers::Makers;
use crate::worker::{Channel, Kept, Worker};
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::event::StoreError;
use hls_relay_core::ids::Epoch;
use hls_relay_core::node::ChannelId;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What is left of the journal at the end is waited for so long.
const LAST_LINES: Duration = Duration::from_secs(2);
/// Stands in the folder of segments, beside those of channels: it is gone with the disk.
const MARK: &str = ".hls-relay";
/// What a disk must have room for, in bytes: some segments.
const ROOM: u64 = 8 << 20;
/// And this where it had none: what has been given away is deleted, and is not to be room enough to have it back.
const ROOM_AGAIN: u64 = 8 * ROOM;
/// Without a cluster a channel has one owner, this one.
pub(crate) const ONLY_EPOCH: Epoch = Epoch(1);

/// Where the parts of channels are, the same for all channels of a process.
#[derive(Clone)]
pub struct Places {
    /// Where segments are kept.
    pub store: StoreArg,
    /// Of those that are kept as files, what is in memory, too.
    pub newest: Arc<Newest>,
    /// The folder of checkpoints, if they are kept.
    pub state: Option<PathBuf>,
    /// The folder of journals, if they are kept, and what one may take.
    pub journal: Option<(PathBuf, u64)>,
    /// The connections to the sources.
    pub fetcher: Fetcher,
    /// Who makes the rungs of ladders.
    pub makers: Makers,
}

/// A channel whose driver is ready to run.
pub struct Opened {
    /// To be run until it is told to leave.
    pub driver: Driver,
    /// How it is told.
    pub control: mpsc::Sender<Control>,
    /// What its viewers see.
    pub output: Arc<Output>,
    /// Done when all of the journal is written.
    pub recorded: Option<oneshot::Receiver<()>>,
}

/// Why a channel cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    /// The folder of segments.
    #[error("{0}")]
    Store(OpenError),
    /// The folder of checkpoints.
    #[error("{0}")]
    State(StateError),
    /// The folder of journals.
    #[error("{0}")]
    Journal(OpenError),
    /// What an earlier process has left cannot be taken away.
    #[error("{0}")]
    Leftovers(StoreError),
}

impl Places {
    /// Makes the folder of segments, and sees that they can be kept there: where they cannot, no channel can be opened.
    pub fn prepare(&self) -> Result<(), OpenFailure> {
        let StoreArg::Directory(root) = &self.store else {
            return Ok(());
        };
        let open = |()| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(root.join(MARK))
        };
        let made = std::fs::create_dir_all(root).and_then(open).map(drop);
        let made = made.and_then(|()| tempfile::tempfile_in(root).map(drop));
        made.map_err(|error| unusable(root, error))
    }

    /// Sees that segments can be kept: there is room for them, and for more if there `was_none`, in the folder that was there
    /// at the start. Where a disk was taken away, its place may be another folder.
    pub fn can_keep(&self, was_none: bool) -> Result<(), OpenFailure> {
        let StoreArg::Directory(root) = &self.store else {
            return Ok(());
        };
        let mark = root.join(MARK);
        std::fs::metadata(&mark).map_err(|error| unusable(&mark, error))?;
        let room = if was_none { ROOM_AGAIN } else { ROOM };
        let made = tempfile::tempfile_in(root).and_then(|file| reserve(&file, room));
        made.map_err(|error| unusable(root, error))
    }

    /// Takes the channel's folders for this process. In a cluster it is opened in the name of its owner.
    pub async fn open(
        &self,
        name: &Arc<str>,
        owned: Option<Arc<Owned>>,
    ) -> Result<Opened, OpenFailure> {
        let (places, of) = (self.clone(), name.clone());
        let epoch = owned.as_ref().map_or(ONLY_EPOCH, |it| it.epoch());
        let validity = owned.as_ref().map(|it| it.validity().clone());
        // Locks are waited for, and files read.
        let parts = tokio::task::spawn_blocking(move || places.take(&of, owned));
        let broken = |_| OpenFailure::Leftovers(StoreError::Unknown);
        let (store, (kept, checkpoint), recording) = parts.await.map_err(broken)??;
        if checkpoint.is_none() {
            empty(&store).await.map_err(OpenFailure::Leftovers)?;
        }
        let (recorder, recorded) = recording.unzip();
        let output = Output::new(store);
        let output = Arc::new(match validity {
            Some(validity) => output.while_valid(validity),
            None => output,
        });
        let fetcher = self.fetcher.for_channel(name);
        let channel = Channel::new(name.clone(), fetcher, output.clone(), kept)
            .transcoded_by(self.makers.clone());
        let worker = Worker::new(Arc::new(channel), epoch, checkpoint);
        let (driver, control) = Driver::new(worker, recorder);
        Ok(Opened {
            driver,
            control,
            output,
            recorded,
        })
    }

    /// Deletes what is left of a channel that nobody wants any more. Its journal stays: it may be what
    /// somebody wants to read then.
    pub async fn erase(&self, name: &str) -> io::Result<()> {
        if let StoreArg::Directory(root) = &self.store {
            let folder = root.join(name);
            inherit::forget(&folder);
            if folder.is_dir() {
                let (root, of) = (root.clone(), name.to_owned());
                let opening = move || Store::directory(&root, &of);
                let store = tokio::task::spawn_blocking(opening).await?;
                let store = store.map_err(io::Error::other)?;
                empty(&store).await.map_err(io::Error::other)?;
                drop(store);
                // What somebody else has put there stays, and is told.
                std::fs::remove_dir(folder)?;
            }
        }
        match &self.state {
            Some(folder) => CheckpointFile::erase(folder, name),
            None => Ok(()),
        }
    }

    /// The channels of which an earlier process has left a state.
    pub fn left_over(&self) -> io::Result<Vec<ChannelId>> {
        let Some(folder) = self.state.as_deref().filter(|it| it.is_dir()) else {
            return Ok(Vec::new());
        };
        let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>()?;
        let names = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_suffix(".json"));
        Ok(names.filter_map(|name| ChannelId::new(name).ok()).collect())
    }

    fn take(&self, name: &Arc<str>, owned: Option<Arc<Owned>>) -> Result<Taken, OpenFailure> {
        let checkpoint = owned.as_ref().and_then(|it| it.checkpoint());
        let directory = |root: &Path, name: &str| -> Result<Store, OpenFailure> {
            let store = Store::directory(root, name).map_err(OpenFailure::Store)?;
            Ok(store.with_newest(self.newest.clone()))
        };
        let store = match (&self.store, &owned) {
            (StoreArg::Memory, _) => Store::memory(),
            (StoreArg::Directory(root), None) => directory(root, name)?,
            (StoreArg::Directory(root), Some(owned)) => {
                let folder = root.join(&**name);
                let epoch = owned.epoch().0;
                let store = directory(&folder, &epoch.to_string())?;
                inherit::inherit(&folder, epoch, checkpoint.as_deref());
                store
            }
        };
        let in_cluster = owned.is_some();
        let state = match (owned, &self.state) {
            (Some(owned), _) => (Kept::InRedis(owned), checkpoint),
            (None, Some(folder)) => open_state(folder, name).map_err(OpenFailure::State)?,
            (None, None) => (Kept::Nowhere, None),
        };
        let recording = self.journal.as_ref();
        let recording =
            recording.map(|(folder, most_bytes)| Recorder::start(folder, name, *most_bytes));
        let recording = match recording.transpose() {
            Ok(recording) => recording,
            // Its last owner may still have it, where several nodes have one folder: a channel is worth more.
            Err(error) if in_cluster => {
                tracing::warn!(
                    channel = &**name,
                    "it is relayed without a journal: {error}"
                );
                None
            }
            Err(error) => return Err(OpenFailure::Journal(error)),
        };
        Ok((store, state, recording))
    }
}

/// Has so many bytes of room for a file, as far as its file system can tell without anything being written.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, bytes)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn unusable(path: &Path, error: io::Error) -> OpenFailure {
    let path = path.to_owned();
    OpenFailure::Store(OpenError::Unusable { path, error })
}

type Taken = (Store, State, Option<(Recorder, oneshot::Receiver<()>)>);
type State = (Kept, Option<Arc<Checkpoint>>);

fn open_state(folder: &Path, channel: &str) -> Result<State, StateError> {
    let (file, found) = CheckpointFile::open(folder, channel)?;
    let checkpoint = match found {
        Found::Nothing => None,
        Found::Checkpoint(checkpoint) => Some(Arc::from(checkpoint)),
        Found::Refused { why, moved_to } => {
            tracing::error!(
                channel,
                "the saved state cannot be used: {why}; it is kept as {}, and the numbering begins \
                 anew",
                moved_to.display()
            );
            None
        }
    };
    Ok((Kept::InFile(file), checkpoint))
}

/// Without a checkpoint nobody knows what the files in the folder were.
async fn empty(store: &Store) -> Result<(), StoreError> {
    store.withdraw().await?;
    store.check(Vec::new(), Vec::new()).await.map(drop)
}

/// Waits until a journal is written. A disk that hangs keeps nobody.
pub async fn last_lines(recorded: Option<oneshot::Receiver<()>>) {
    if let Some(recorded) = recorded {
        let _ = tokio::time::timeout(LAST_LINES, recorded).await;
    }
}
