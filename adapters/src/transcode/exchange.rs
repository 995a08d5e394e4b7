//! What goes to and fro between a node and the workers that make rungs for it: objects, and what came of an
//! order.
//!
//! A worker shows that it has read the cluster's secret in Redis. It gets the objects of orders that wait for an
//! answer, and no others; the first answer to an order is taken, and later ones are told that it is over.

use super::queue::{Order, OrderName};
use crate::cluster::PEER_SECRET;
use crate::store::{Content, Store};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use hls_relay_core::event::{TranscodeError, Transcoded};
use hls_relay_core::ids::ObjectName;
use hls_relay_core::node::ChannelId;
use hls_relay_core::planted::Planted;
use hls_relay_core::turn::Turn;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Where an order's objects are had, and its answer is told, before its name. No channel is named so.
pub(super) const WORK_PATH: &str = "/.hls-relay/work/";
/// The longest head of an answer, in bytes: words of eight rungs take a tenth of it.
const MOST_HEAD_BYTES: usize = 64 << 10;
/// An answer comes in within this, or another one may come.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The orders of a node that wait for an answer. A clone is the same.
#[derive(Clone)]
pub struct Exchange {
    inner: Arc<Inner>,
}

struct Inner {
    tag: u64,
    last: AtomicU64,
    open: Mutex<HashMap<OrderName, Open>>,
}

/// An order that waits.
struct Open {
    channel: ChannelId,
    store: Store,
    objects: Vec<ObjectName>,
    most: usize,
    answered: oneshot::Sender<Answer>,
}

/// What a worker has made of an order.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) head: Head,
    /// One for each rung that was made, in their order; none where they are in the folder.
    pub(super) rungs: Vec<Bytes>,
}

/// What it says of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// What came of it.
    pub(super) outcome: Result<Transcoded, TranscodeError>,
    /// Which worker it was.
    pub(super) worker: String,
    /// How often it was given to a worker.
    pub(super) attempt: u64,
    /// What was made lies in the folder that both see, under [`in_folder`] names.
    pub(super) in_folder: bool,
}

/// Why a body is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("it is cut short")]
    Short,
    #[error("it is longer than what was ordered can be")]
    Long,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("its pieces are not as long as it says")]
    Lengths,
}

/// What a rung is called in a folder that both see, before it was taken.
pub(super) fn in_folder(order: &OrderName, attempt: u64, place: usize) -> String {
    format!("{}-{attempt}-{place}", order.text())
}

/// An order that waits for as long as this is there.
pub(super) struct Waits<'a> {
    exchange: &'a Exchange,
    name: OrderName,
    /// Whether its channel waits for another one.
    pub(super) turn: Turn,
    /// Comes once.
    pub(super) answered: oneshot::Receiver<Answer>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.exchange.open().remove(&self.name);
    }
}

impl Default for Exchange {
    fn default() -> Self {
        let inner = Inner {
            tag: RandomState::new().hash_one(0),
            last: AtomicU64::new(0),
            open: Mutex::default(),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }
}

impl Exchange {
    /// A name for the next order.
    pub(super) fn next_name(&self) -> OrderName {
        let number = self.inner.last.fetch_add(1, Ordering::Relaxed);
        OrderName::new(self.inner.tag, number)
    }

    /// An order may be answered from here on.
    pub(super) fn wait(&self, order: &Order, store: &Store) -> Waits<'_> {
        let (answered, answer) = oneshot::channel();
        let most = usize::try_from(order.most_bytes()).unwrap_or(usize::MAX);
        let open = Open {
            channel: order.channel.clone(),
            store: store.clone(),
            objects: order.inputs.iter().map(|it| it.object.clone()).collect(),
            most: most.saturating_add(MOST_HEAD_BYTES),
            answered,
        };
        let mut all = self.open();
        let has_one = all.values().any(|it| it.channel == order.channel);
        let turn = Turn::of(has_one, Planted::default());
        all.insert(order.name.clone(), open);
        Waits {
            exchange: self,
            name: order.name.clone(),
            turn,
            answered: answer,
        }
    }

    /// The pages for workers. `is_worker` says whether what somebody shows is what workers know.
    pub fn router(&self, is_worker: impl Fn(&str) -> bool + Send + Sync + 'static) -> Router {
        let pages = Pages {
            exchange: self.clone(),
            is_worker: Arc::new(is_worker),
        };
        Router::new()
            .route(&format!("{WORK_PATH}{{order}}"), post(answer))
            .route(&format!("{WORK_PATH}{{order}}/{{object}}"), get(object))
            .with_state(pages)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<OrderName, Open>> {
        self.inner
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Pages {
    exchange: Exchange,
    is_worker: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Pages {
    /// The order, where it waits and this is a worker's request.
    fn order(&self, name: String, head: &HeaderMap) -> Option<OrderName> {
        let secret = head.get(PEER_SECRET).and_then(|it| it.to_str().ok());
        let name = OrderName::try_from(name).ok()?;
        let is_worker = (self.is_worker)(secret.unwrap_or_default());
        (is_worker && self.exchange.open().contains_key(&name)).then_some(name)
    }
}

async fn object(
    State(pages): State<Pages>,
    Path((order, object)): Path<(String, String)>,
    head: HeaderMap,
) -> Response {
    let found = pages.order(order, &head).and_then(|name| {
        let open = pages.exchange.open();
        let open = open.get(&name)?;
        let named = open.objects.iter().any(|it| *it.0 == *object);
        named.then(|| open.store.get(&object))?
    });
    let bytes = match found.map(|it| it.content) {
        Some(Content::Memory(bytes)) => Ok(bytes),
        Some(Content::File(path)) => tokio::fs::read(path).await.map(Bytes::from).map_err(drop),
        None => Err(()),
    };
    match bytes {
        Ok(bytes) => ([(header::CACHE_CONTROL, "no-store")], bytes).into_response(),
        Err(()) => over(),
    }
}

async fn answer(
    State(pages): State<Pages>,
    Path(order): Path<String>,
    head: HeaderMap,
    body: Body,
) -> Response {
    let Some(name) = pages.order(order, &head) else {
        return over();
    };
    let most = pages.exchange.open().get(&name).map(|it| it.most);
    let read = timeout(ANSWER_WITHIN, read(body, most.unwrap_or(0)));
    let answer = match read.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    // Whoever is first takes it out, and nobody is second.
    let Some(open) = pages.exchange.open().remove(&name) else {
        return over();
    };
    match open.answered.send(answer) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => over(),
    }
}

/// Nobody waits for it, or ever has.
fn over() -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::GONE, no_store).into_response()
}

async fn read(body: Body, most: usize) -> Result<Answer, AnswerError> {
    let mut bytes = BytesMut::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| AnswerError::Short)?;
        if bytes.len() + piece.len() > most {
            return Err(AnswerError::Long);
        }
        bytes.extend_from_slice(&piece);
    }
    Answer::read(bytes.freeze())
}

impl Answer {
    /// As it is sent: the length of the head in four bytes, the head, and the rungs.
    pub(super) fn text(&self) -> Vec<u8> {
        let head = serde_json::to_vec(&self.head).unwrap_or_default();
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
        let mut text = length.to_be_bytes().to_vec();
        text.extend_from_slice(&head);
        self.rungs.iter().for_each(|it| text.extend_from_slice(it));
        text
    }

    fn read(mut bytes: Bytes) -> Result<Self, AnswerError> {
        if bytes.len() < 4 {
            return Err(AnswerError::Short);
        }
        let length = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
        if length > MOST_HEAD_BYTES {
            return Err(AnswerError::Long);
        }
        if bytes.len() < length {
            return Err(AnswerError::Short);
        }
        let head = bytes.split_to(length);
        let head: Head = serde_json::from_slice(&head).map_err(|error| {
            AnswerError::Unreadable(crate::one_line::one_line(&error.to_string()))
        })?;
        let mut rungs = Vec::new();
        if let (Ok(told), false) = (&head.outcome, head.in_folder) {
            for stored in told.rungs.iter().flatten() {
                let length = usize::try_from(stored.length).unwrap_or(usize::MAX);
                if bytes.len() < length {
                    return Err(AnswerError::Lengths);
                }
                rungs.push(bytes.split_to(length));
            }
        }
        match bytes.is_empty() {
            true => Ok(Self { head, rungs }),
            false => Err(AnswerError::Lengths),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hls_relay_core::event::{RungError, StoredSegment};
    use hls_relay_core::formats::Formats;
    use hls_relay_core::ids::ContentHash;
    use hls_relay_core::time::Span;

    fn answer() -> Answer {
        let stored = |length| StoredSegment {
            length,
            hash: ContentHash([7; 32]),
            formats: None,
        };
        let failed = RungError::Encode("no".into());
        let head = Head {
            outcome: Ok(Transcoded {
                input: Formats::default(),
                rungs: vec![Ok(stored(3)), Err(failed), Ok(stored(2))],
                waited: Span::ZERO,
                took: Span::ZERO,
            }),
            worker: "w".to_owned(),
            attempt: 1,
            in_folder: false,
        };
        let rungs = vec![Bytes::from_static(b"abc"), Bytes::from_static(b"de")];
        Answer { head, rungs }
    }

    #[tokio::test]
    async fn an_answer_is_read_whole_or_not_at_all() {
        let text = answer().text();
        let of = async |bytes: &[u8]| read(Body::from(bytes.to_vec()), text.len()).await;
        assert_eq!(of(&text).await, Ok(answer()));
        for short in 0..text.len() {
            let error = of(&text[..short]).await.unwrap_err();
            assert!(
                matches!(error, AnswerError::Short | AnswerError::Lengths),
                "{short}: {error}"
            );
        }
        let one_more = [&*text, b"x"].concat();
        assert_eq!(of(&one_more).await, Err(AnswerError::Long));
        let one_more = Answer::read(Bytes::from(one_more));
        assert_eq!(one_more, Err(AnswerError::Lengths));
        let huge = [0xFF; 8];
        assert_eq!(of(&huge).await, Err(AnswerError::Long));
        let nonsense = [&4_u32.to_be_bytes()[..], b"null"].concat();
        assert!(matches!(
            of(&nonsense).await,
            Err(AnswerError::Unreadable(_))
        ));
    }
}
