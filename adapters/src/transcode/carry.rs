//! How a worker gets what an order takes, and tells what came of it: through the folder of `--store` where it is
//! the one that the node has, else from and to the node.

use super::exchange::{Answer, Head, WORK_PATH, in_folder};
use super::queue::{Input, Order, Taken};
use crate::cluster::{PEER_SECRET, asks_nodes};
use crate::store::{Content, Store, hidden};
use bytes::Bytes;
use hls_relay_core::event::{StoreError, TranscodeError, Transcoded};
use hls_relay_core::ids::{ContentHash, ObjectName};
use reqwest::StatusCode;
use sha2::{Digest, Sha256};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An answer that was not taken is told again so much later, as long as it is of use.
const TELL_AGAIN: Duration = Duration::from_millis(200);

/// The ways of a worker.
pub(super) struct Carrier {
    client: reqwest::Client,
    folder: Option<PathBuf>,
}

/// Why an answer has not arrived.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTold {
    #[error("its node cannot be asked: {0}")]
    Away(String),
    #[error("its node answers {0}")]
    Refused(StatusCode),
}

impl Carrier {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            client: asks_nodes(),
            folder,
        }
    }

    /// Puts what an order takes into a store.
    ///
    /// # Errors
    /// What is not there, or is not what it should be.
    pub(super) async fn bring(
        &self,
        order: &Order,
        secret: &str,
        store: &Store,
    ) -> Result<(), TranscodeError> {
        for input in &order.inputs {
            let bytes = match self.read_folder(order, input).await {
                Some(bytes) => bytes,
                None => self.ask_node(order, input, secret).await?,
            };
            put(store, &input.object, &bytes)
                .await
                .map_err(TranscodeError::Store)?;
        }
        Ok(())
    }

    /// Tells what came of an order, until the node has heard it.
    pub(super) async fn tell(
        &self,
        taken: &Taken,
        order: &Order,
        secret: &str,
        worker: &str,
        outcome: Result<Transcoded, TranscodeError>,
        store: &Store,
    ) -> Result<(), NotTold> {
        let mut rungs = Vec::new();
        if let Ok(told) = &outcome {
            let made = order
                .work
                .rungs
                .iter()
                .zip(&told.rungs)
                .filter(|(_, it)| it.is_ok());
            for (rung, _) in made {
                rungs.push(bytes_of(store, &rung.object));
            }
        }
        let left = match &outcome {
            Ok(told) => self.leave_in_folder(taken, order, told, store).await,
            Err(_) => None,
        };
        let head = Head {
            outcome,
            worker: worker.to_owned(),
            attempt: taken.attempt,
            in_folder: left.is_some(),
        };
        if left.is_some() {
            rungs.clear();
        }
        let text = Bytes::from(Answer { head, rungs }.text());
        let told = loop {
            let told = self.post(order, secret, text.clone()).await;
            if !matches!(told, Err(NotTold::Away(_))) {
                break told;
            }
            tokio::time::sleep(TELL_AGAIN).await;
        };
        if told.is_ok() {
            // They are the node's now.
            left.into_iter().for_each(Left::keep);
        }
        told
    }

    async fn post(&self, order: &Order, secret: &str, text: Bytes) -> Result<(), NotTold> {
        let url = format!("{}{WORK_PATH}{}", base(order), order.name.text());
        let sent = self.client.post(url).header(PEER_SECRET, secret).body(text);
        let answer = sent.send().await;
        let answer = answer.map_err(|error| NotTold::Away(in_words(error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(NotTold::Refused(status)),
        }
    }

    async fn read_folder(&self, order: &Order, input: &Input) -> Option<Vec<u8>> {
        let path = self.place(order)?.join(&*input.object.0);
        let length = tokio::fs::metadata(&path).await.ok()?.len();
        if length != input.length {
            return None;
        }
        let bytes = tokio::fs::read(&path).await.ok()?;
        (hash(&bytes) == input.hash).then_some(bytes)
    }

    /// The folder in which a node has the objects of an order's channel.
    fn place(&self, order: &Order) -> Option<PathBuf> {
        let root = self.folder.as_ref()?;
        let epoch = order.work.epoch.0.to_string();
        Some(root.join(&**order.channel.name()).join(epoch))
    }

    async fn ask_node(
        &self,
        order: &Order,
        input: &Input,
        secret: &str,
    ) -> Result<Vec<u8>, TranscodeError> {
        let object = &input.object;
        let failed = |words: String| TranscodeError::Store(StoreError::Failed(words.into()));
        let url = format!("{}{WORK_PATH}{}/{object}", base(order), order.name.text());
        let asked = self.client.get(url).header(PEER_SECRET, secret).send();
        let answer = asked.await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(|error| failed(in_words(error)))?;
        let most = usize::try_from(input.length).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|it| failed(in_words(it)))? {
            if bytes.len() + piece.len() > most {
                return Err(failed(format!("{object} is longer than its node says")));
            }
            bytes.extend_from_slice(&piece);
        }
        if bytes.len() < most || hash(&bytes) != input.hash {
            return Err(failed(format!("{object} is not what its node says")));
        }
        Ok(bytes)
    }

    /// Puts what was made beside what it was made of, where that is there; nothing, or all of it.
    async fn leave_in_folder(
        &self,
        taken: &Taken,
        order: &Order,
        told: &Transcoded,
        store: &Store,
    ) -> Option<Left> {
        let place = self.place(order)?;
        let source = place.join(&*order.work.input.0);
        tokio::fs::metadata(&source).await.ok()?;
        let mut left = Left::default();
        let made = order.work.rungs.iter().zip(&told.rungs).enumerate();
        for (number, (rung, _)) in made.filter(|(_, (_, it))| it.is_ok()) {
            let name = hidden(&in_folder(&order.name, taken.attempt, number));
            let path = place.join(name);
            left.0.push(path.clone());
            if let Err(error) = write(&path, &bytes_of(store, &rung.object)).await {
                tracing::debug!("{}: {error}; it is sent to its node", path.display());
                return None;
            }
        }
        Some(left)
    }
}

/// Files that go away unless somebody takes them.
#[derive(Default)]
struct Left(Vec<PathBuf>);

impl Left {
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    tokio::fs::write(path, bytes).await?;
    // The web server that reads it is another user, and so may be the node.
    tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).await
}

async fn put(store: &Store, object: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
    let mut writer = store.create(object)?;
    writer.write(bytes).await?;
    writer.commit().await.map(drop)
}

/// What was made is in memory.
fn bytes_of(store: &Store, object: &ObjectName) -> Bytes {
    match store.get(&object.0).map(|it| it.content) {
        Some(Content::Memory(bytes)) => bytes,
        Some(Content::File(_)) | None => Bytes::new(),
    }
}

fn base(order: &Order) -> &str {
    order.node.trim_end_matches('/')
}

fn hash(bytes: &[u8]) -> ContentHash {
    ContentHash(Sha256::digest(bytes).into())
}

/// With what is behind it, and without the URL, which is said elsewhere.
fn in_words(error: reqwest::Error) -> String {
    use std::error::Error;
    let error = error.without_url();
    let behind = error
        .source()
        .map(|it| format!(": {it}"))
        .unwrap_or_default();
    crate::one_line::one_line(&format!("{error}{behind}"))
}
