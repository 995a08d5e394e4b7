//! What the commands of a channel work on, and how each of them is done.

use crate::checkpoint_file::CheckpointFile;
use crate::cluster::owned::Owned;
use crate::fetch::{Fetcher, Keys, SourceAccess};
use crate::output::Output;
use crate::transcode::makers::Makers;
use hls_relay_core::checkpoint::Checkpoint;
use hls_relay_core::command::{Download, Publish, Transcode};
use hls_relay_core::event::{FetchError, StoreError, StoredSegment, TranscodeError, Transcoded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// What the commands of a channel work on.
pub struct Channel {
    /// Its name.
    pub name: Arc<str>,
    /// The connections, shared by all channels of the process.
    pub fetcher: Fetcher,
    /// Those of its sources, where segments are decrypted.
    keys: Keys,
    /// What its viewers see.
    pub output: Arc<Output>,
    /// Where its checkpoint is kept.
    pub(super) kept: Kept,
    /// Says the failure of a checkpoint only once in a row.
    checkpoint_failing: AtomicBool,
    /// Who makes the rungs of its segments.
    makers: Makers,
}

/// Where a channel's checkpoint is kept.
pub enum Kept {
    /// It ends with the process.
    Nowhere,
    /// In a file of this host.
    InFile(CheckpointFile),
    /// In Redis, where a successor finds it.
    InRedis(Arc<Owned>),
}

impl Channel {
    /// The parts of a channel, put together.
    pub fn new(name: Arc<str>, fetcher: Fetcher, output: Arc<Output>, kept: Kept) -> Self {
        let checkpoint_failing = AtomicBool::new(false);
        Self {
            name,
            fetcher,
            keys: Keys::default(),
            output,
            kept,
            checkpoint_failing,
            makers: Makers::nobody("this process makes no ladders"),
        }
    }

    /// The same with these who make the rungs of its segments.
    pub fn transcoded_by(self, makers: Makers) -> Self {
        Self { makers, ..self }
    }

    pub(super) async fn download(
        &self,
        access: &SourceAccess,
        download: &Download,
        cancelled: &CancellationToken,
    ) -> Result<StoredSegment, FetchError> {
        let mut object = self
            .output
            .store()
            .create(&download.object)
            .map_err(FetchError::Store)?;
        let fetch = self
            .fetcher
            .segment(access, download, &self.keys, &mut object);
        let formats = match cancelled.run_until_cancelled(fetch).await {
            None => return Err(FetchError::Cancelled),
            Some(outcome) => outcome?,
        };
        // From here on it is not stopped: a cancelled object must not turn up after all.
        let stored = object.commit().await.map_err(FetchError::Store)?;
        Ok(StoredSegment { formats, ..stored })
    }

    pub(super) async fn transcode(
        &self,
        work: &Transcode,
        cancelled: &CancellationToken,
    ) -> Result<Transcoded, TranscodeError> {
        let store = self.output.store();
        self.makers
            .transcode(&self.name, store, work, cancelled)
            .await
    }

    /// The checkpoint first, so that a successor never knows less than a viewer. On a host by itself viewers come
    /// before successors, so a checkpoint that fails is only told; where the successor may be elsewhere, and begin
    /// at any moment, nothing becomes visible.
    pub(super) async fn publish(self: Arc<Self>, publish: Publish) -> Result<(), StoreError> {
        if let Kept::InRedis(owned) = &self.kept {
            let saved = owned.save(publish.checkpoint.clone()).await;
            self.tell_checkpoint(&saved);
            saved?;
        }
        let waits = matches!(self.kept, Kept::InFile(_)) || self.output.store().is_on_disk();
        if !waits {
            return self.write(&publish);
        }
        // All files in one go: each way to where waiting is allowed and back costs as much as they do.
        let write = move || self.write(&publish);
        tokio::task::spawn_blocking(write)
            .await
            .unwrap_or(Err(StoreError::Unknown))
    }

    /// May wait for the disk.
    fn write(&self, publish: &Publish) -> Result<(), StoreError> {
        if let Kept::InFile(file) = &self.kept {
            self.tell_checkpoint(&file.save(&publish.checkpoint));
        }
        let Publish {
            playlists,
            max_age,
            segment_max_age,
            ..
        } = publish;
        self.output.store().publish(playlists)?;
        self.output.publish(playlists, *max_age, *segment_max_age);
        Ok(())
    }

    pub(super) async fn withdraw(self: Arc<Self>) -> Result<(), StoreError> {
        self.output.withdraw();
        self.output.store().withdraw().await
    }

    pub(super) async fn save(&self, checkpoint: Arc<Checkpoint>) -> Result<(), StoreError> {
        let file = match &self.kept {
            Kept::Nowhere => return Ok(()),
            Kept::InRedis(owned) => return owned.save(checkpoint).await,
            Kept::InFile(file) => file.clone(),
        };
        let save = move || file.save(&checkpoint);
        tokio::task::spawn_blocking(save)
            .await
            .unwrap_or(Err(StoreError::Unknown))
    }

    fn tell_checkpoint(&self, outcome: &Result<(), StoreError>) {
        let was_failing = self
            .checkpoint_failing
            .swap(outcome.is_err(), Ordering::Relaxed);
        let (channel, epoch) = (&*self.name, self.epoch());
        let in_redis = matches!(self.kept, Kept::InRedis(_));
        match outcome {
            Err(error) if !was_failing && in_redis => {
                tracing::warn!(channel, epoch, "a version is not published: {error}");
            }
            Err(error) if !was_failing => tracing::error!(
                channel,
                "the checkpoint cannot be saved: {error}; the relay goes on, but a restart would \
                 go on from an older state"
            ),
            Ok(()) if was_failing => {
                tracing::info!(channel, epoch, "the checkpoint is saved again");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// In a cluster: counts its owners.
    fn epoch(&self) -> Option<u64> {
        match &self.kept {
            Kept::InRedis(owned) => Some(owned.epoch().0),
            Kept::Nowhere | Kept::InFile(_) => None,
        }
    }
}
