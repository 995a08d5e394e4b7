//! The control store of a node by itself: one file, each change on disk before it is answered.

use super::{ChangeError, Changed, ControlStoreError, Listed, MOST_CHANNELS, OnChange, failed};
use crate::spec::ChannelSpec;
use hls_relay_core::event::Desired;
use hls_relay_core::node::{Applied, Change, ChannelId, Condition, Record, Writer, apply};
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Records as JSON, by channel.
const CHANNELS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("channels");
/// Counters by name.
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// The newest revision of all.
const REVISION: &str = "revision";
/// Of what is written here. Another one is not touched.
const FORMAT: &str = "format";
const FORMAT_IN_USE: u64 = 1;
/// Of pages in memory: all that is read twice is a record of a kilobyte.
const CACHE_BYTES: usize = 4 << 20;

/// The store. A clone is the same one.
#[derive(Clone)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    /// Told of each change in the order in which they were made.
    on_change: Mutex<OnChange>,
}

impl EmbeddedStore {
    /// Opens the file, or makes it.
    pub fn open(path: &Path, on_change: OnChange) -> Result<Self, ControlStoreError> {
        let unusable = |why: String| ControlStoreError::Unusable {
            path: path.to_owned(),
            why,
        };
        // It holds what the sources are asked with.
        let mut private = OpenOptions::new();
        let made = private.write(true).create(true).truncate(false).mode(0o600);
        let made = made.open(path).map_err(|error| unusable(error.to_string()));
        drop::<std::fs::File>(made?);
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path);
        let database = database.map_err(|error| {
            if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
                ControlStoreError::InUse(path.to_owned())
            } else {
                unusable(error.to_string())
            }
        })?;
        begin(&database).map_err(unusable)?;
        let on_change = Mutex::new(on_change);
        Ok(Self {
            shared: Arc::new(Shared {
                database,
                on_change,
            }),
        })
    }

    /// Makes a change, or says why not. Nobody sees half of it, and no crash takes it back.
    pub async fn change(
        &self,
        id: &ChannelId,
        writer: Writer,
        change: Change<ChannelSpec>,
        condition: Condition,
    ) -> Result<Changed, ChangeError> {
        let (shared, id) = (self.shared.clone(), id.clone());
        let make = move || {
            // Held over the change: who is told of changes hears of them in their order.
            let on_change = &shared.on_change;
            let on_change = on_change.lock().unwrap_or_else(PoisonError::into_inner);
            let (changed, written) = make_change(&shared.database, &id, writer, change, condition)?;
            if written {
                on_change(changed.told_of(id));
            }
            Ok(changed)
        };
        let made = tokio::task::spawn_blocking(make).await;
        made.unwrap_or_else(|error| Err(failed(error)))
    }

    /// One channel.
    pub async fn get(&self, id: &ChannelId) -> Result<Option<Record<ChannelSpec>>, ChangeError> {
        let id = id.clone();
        self.read(move |database| {
            let read = database.begin_read().map_err(failed)?;
            let channels = read.open_table(CHANNELS).map_err(failed)?;
            let found = channels.get(&**id.name()).map_err(failed)?;
            Ok(found.and_then(|bytes| understood(id.name(), bytes.value())))
        })
        .await
    }

    /// All channels, by their names.
    pub async fn list(&self) -> Result<Vec<Listed>, ChangeError> {
        self.read(|database| {
            let read = database.begin_read().map_err(failed)?;
            let channels = read.open_table(CHANNELS).map_err(failed)?;
            let mut listed = Vec::new();
            for row in channels.iter().map_err(failed)? {
                let (name, bytes) = row.map_err(failed)?;
                let id = ChannelId::new(name.value()).ok();
                let record = understood(name.value(), bytes.value());
                listed.extend(id.zip(record));
            }
            Ok(listed)
        })
        .await
    }

    /// The names of all channels, those that cannot be read as well.
    pub async fn ids(&self) -> Result<Vec<ChannelId>, ChangeError> {
        self.read(|database| {
            let read = database.begin_read().map_err(failed)?;
            let channels = read.open_table(CHANNELS).map_err(failed)?;
            let mut ids = Vec::new();
            for row in channels.iter().map_err(failed)? {
                let (name, _) = row.map_err(failed)?;
                ids.extend(ChannelId::new(name.value()).ok());
            }
            Ok(ids)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, ChangeError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || read(&shared.database)).await;
        done.unwrap_or_else(|error| Err(failed(error)))
    }
}

/// Sees that the tables are there, and that we understand them.
fn begin(database: &Database) -> Result<(), String> {
    let begin = || -> Result<u64, redb::Error> {
        let write = database.begin_write()?;
        let format = {
            write.open_table(CHANNELS)?;
            let mut counters = write.open_table(COUNTERS)?;
            let known = counters.get(FORMAT)?.map(|it| it.value());
            if known.is_none() {
                counters.insert(FORMAT, FORMAT_IN_USE)?;
            }
            known.unwrap_or(FORMAT_IN_USE)
        };
        write.commit()?;
        Ok(format)
    };
    match begin() {
        Ok(FORMAT_IN_USE) => Ok(()),
        Ok(other) => Err(format!(
            "it has format {other}, and this version of hls-relay writes format {FORMAT_IN_USE}"
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// The change as one transaction; `true` where it was written.
fn make_change(
    database: &Database,
    id: &ChannelId,
    writer: Writer,
    change: Change<ChannelSpec>,
    condition: Condition,
) -> Result<(Changed, bool), ChangeError> {
    let write = database.begin_write().map_err(failed)?;
    let made = change_in(&write, id, writer, change, condition);
    match &made {
        Ok((_, true)) => write.commit().map_err(failed)?,
        // Nothing has been written.
        Ok((_, false)) | Err(_) => write.abort().map_err(failed)?,
    }
    made
}

fn change_in(
    write: &WriteTransaction,
    id: &ChannelId,
    writer: Writer,
    change: Change<ChannelSpec>,
    condition: Condition,
) -> Result<(Changed, bool), ChangeError> {
    let name = &**id.name();
    let mut channels = write.open_table(CHANNELS).map_err(failed)?;
    let mut counters = write.open_table(COUNTERS).map_err(failed)?;
    let current = channels.get(name).map_err(failed)?;
    let current = current.and_then(|bytes| understood(name, bytes.value()));
    let is_new = current.is_none();
    let newest = counters.get(REVISION).map_err(failed)?;
    let next = newest.map_or(0, |it| it.value()) + 1;
    let applied = apply(current.as_ref(), writer, change, condition, next)?;
    let changed = |record: Option<Record<ChannelSpec>>, revision| Changed {
        revision,
        record,
        is_new,
    };
    let changed = match applied {
        Applied::Same(record) => {
            let revision = record.revision;
            return Ok((changed(Some(record), revision), false));
        }
        Applied::Written(record) => {
            if is_new && channels.len().map_err(failed)? >= MOST_CHANNELS {
                return Err(ChangeError::Full);
            }
            let bytes = serde_json::to_vec(&Stored::of(&record)).map_err(failed)?;
            channels.insert(name, &*bytes).map_err(failed)?;
            changed(Some(record), next)
        }
        Applied::Removed => {
            channels.remove(name).map_err(failed)?;
            changed(None, next)
        }
    };
    counters.insert(REVISION, next).map_err(failed)?;
    Ok((changed, true))
}

/// A record as it stands there.
#[derive(Serialize, Deserialize)]
struct Stored {
    revision: u64,
    desired: Desired,
    writer: Writer,
    spec: Arc<ChannelSpec>,
}

impl Stored {
    fn of(record: &Record<ChannelSpec>) -> Self {
        let Record {
            revision,
            desired,
            writer,
            spec,
        } = record.clone();
        Self {
            revision,
            desired,
            writer,
            spec,
        }
    }

    fn record(self) -> Record<ChannelSpec> {
        let Self {
            revision,
            desired,
            writer,
            spec,
        } = self;
        Record {
            revision,
            desired,
            writer,
            spec,
        }
    }
}

/// A record that cannot be read is as good as none; what is put in its place is read again.
fn understood(channel: &str, bytes: &[u8]) -> Option<Record<ChannelSpec>> {
    let read = serde_json::from_slice::<Stored>(bytes).map(Stored::record);
    let said = |error: &serde_json::Error| {
        // The words of the error may be those of the record, and so a secret.
        let (what, at) = (error.classify(), error.column());
        tracing::error!(channel, ?what, at, "what is stored of it cannot be read");
    };
    read.inspect_err(said).ok()
}
