//! What viewers ask of a channel that another node has: its answer is handed on, or the viewer is sent there.

use super::hands::{Hands, REDIS_PATIENCE};
use crate::control_store::in_redis::RedisStore;
use crate::output::Outputs;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hls_relay_core::event::Desired;
use hls_relay_core::ids::PlaylistName;
use hls_relay_core::node::{ChannelId, Incarnation};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Says that a node asks for a viewer. Such a request is never handed on again.
pub const VIA: HeaderName = HeaderName::from_static("hls-relay-via");
/// So many viewers are answered from elsewhere at once; a segment takes the longest.
const MOST_AT_ONCE: usize = 2_000;
/// A look at Redis is waited for so long where it was looked at before.
const LOOK_WITHIN: Duration = Duration::from_millis(250);
/// So many channels are being looked for in Redis at once.
const MOST_LOOKS: usize = 64;
/// What is known of so many channels is kept.
const MOST_KNOWN: usize = 20_000;
/// What was found is true for so long, or until its owner does not answer.
const FRESH: Duration = Duration::from_millis(500);
/// Between two looks for a channel whose owner does not answer, or that had none.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Between two such looks for whatever channels: one that is dead may have had a thousand.
const LOOKS_APART: Duration = Duration::from_millis(5);
/// Who had a channel last is asked for so long while nobody has it: he may still show what there was.
pub const FORMER: Duration = Duration::from_secs(10);
/// A channel that was there is asked about for so long after it has vanished from Redis.
const GONE_AFTER: Duration = Duration::from_secs(15);
/// Whoever leaves waits so long for those who take his channels.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks.
const TAKEN_AGAIN: Duration = Duration::from_millis(100);
/// To the head of the answer.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// From one piece of a body to the next.
const PIECE_WITHIN: Duration = Duration::from_secs(10);

/// What a viewer has asked that its owner has to know.
const ASKED: [HeaderName; 4] = [
    header::ACCEPT_ENCODING,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
];
/// What the owner says that its viewer has to know.
const TOLD: [HeaderName; 10] = [
    header::ACCEPT_RANGES,
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::RETRY_AFTER,
    header::VARY,
];

/// How viewers get to the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ToOwner {
    /// Through this node.
    #[default]
    Proxy,
    /// By themselves: they are sent there with 307.
    Redirect,
}

/// The way to the other nodes. A clone is the same.
#[derive(Clone)]
pub struct Elsewhere {
    inner: Arc<Inner>,
}

struct Inner {
    hands: Hands,
    store: RedisStore,
    client: reqwest::Client,
    to_owner: ToOwner,
    room: Arc<Semaphore>,
    looks: Semaphore,
    /// When the next look for a channel without an owner that answers may be made.
    next_look: Mutex<Instant>,
    known: Mutex<BTreeMap<ChannelId, Known>>,
}

#[derive(Clone)]
struct Known {
    /// When that was asked for which has been found.
    looked_at: Instant,
    /// When somebody has last begun to look.
    looking_since: Instant,
    whose: Whose,
    /// Who had it last, and until when he is asked.
    former: Option<(String, Instant)>,
    /// It is in Redis no more since then.
    gone_since: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// There is nothing of such a channel.
    None,
    /// It is to be had soon.
    Nobody,
    /// This node's own.
    Mine,
    /// That of the node at this address.
    At(String),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No such channel.
    Unknown,
    /// It has no owner at this moment.
    Nobody,
    /// Its owner does not answer.
    Silent,
    /// There is no room to ask its owner, or nobody says who that is.
    NotNow,
}

impl Elsewhere {
    /// The ways from this node.
    pub fn new(hands: Hands, store: RedisStore, to_owner: ToOwner) -> Self {
        let inner = Inner {
            hands,
            store,
            client: super::asks_nodes(),
            to_owner,
            room: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            looks: Semaphore::new(MOST_LOOKS),
            next_look: Mutex::new(Instant::now()),
            known: Mutex::default(),
        };
        let inner = Arc::new(inner);
        Self { inner }
    }

    /// The hands of this node.
    pub fn hands(&self) -> &Hands {
        &self.inner.hands
    }

    /// What the owner of a channel answers to a viewer.
    pub async fn answer(
        &self,
        channel: &str,
        file: &str,
        method: &Method,
        head: &HeaderMap,
    ) -> Result<Response, NoAnswer> {
        let id = ChannelId::new(channel).map_err(|_| NoAnswer::Unknown)?;
        // No file of a channel is named otherwise.
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
        if !file.bytes().all(plain) {
            return Err(NoAnswer::Unknown);
        }
        let asked = (file, method, head);
        let known = self.find(&id).await?;
        let asked_at = Instant::now();
        let answer = self.lead(&id, &known, asked).await;
        match answer {
            Err(NoAnswer::Silent) => {}
            Err(NoAnswer::Nobody) if known.whose == Whose::Nobody => {}
            Ok(_) | Err(_) => return answer,
        }
        // Another node may have the channel already.
        match self.find_after(&id, asked_at).await {
            Some(now) if now.whose != known.whose => self.lead(&id, &now, asked).await,
            Some(_) | None => answer,
        }
    }

    /// Asks who has a channel, or had it.
    async fn lead(
        &self,
        id: &ChannelId,
        known: &Known,
        (file, method, head): (&str, &Method, &HeaderMap),
    ) -> Result<Response, NoAnswer> {
        let former = known.former.as_ref();
        let former = former.filter(|(_, until)| Instant::now() < *until);
        let former = former.map(|(address, _)| address);
        let (address, former) = match &known.whose {
            Whose::At(address) => (address, former),
            Whose::None => return Err(NoAnswer::Unknown),
            Whose::Nobody | Whose::Mine => (former.ok_or(NoAnswer::Nobody)?, None),
        };
        let url = url_of(address, id, file);
        match (self.inner.to_owner, former) {
            (ToOwner::Proxy, None) => self.ask(&url, method, head).await,
            (ToOwner::Proxy, Some(former)) => {
                let answer = self.ask(&url, method, head).await;
                if !answer.as_ref().is_ok_and(has_not_yet) {
                    return answer;
                }
                let url = url_of(former, id, file);
                let earlier = self.ask(&url, method, head).await;
                earlier
                    .ok()
                    .filter(|it| !has_not_yet(it))
                    .map_or(answer, Ok)
            }
            (ToOwner::Redirect, _) => {
                let fields = [
                    (header::LOCATION, &*url),
                    (header::CACHE_CONTROL, "no-store"),
                ];
                Ok((StatusCode::TEMPORARY_REDIRECT, fields).into_response())
            }
        }
    }

    /// Waits until the others show the channels that were handed on to them: this node is asked for them until
    /// then.
    pub async fn until_taken(&self, outputs: &Outputs) {
        let until = Instant::now() + TAKEN_WITHIN;
        let mut waiting = outputs.handed_on();
        while !waiting.is_empty() && self.inner.hands.has_others() && Instant::now() < until {
            tokio::time::sleep(TAKEN_AGAIN).await;
            let asked = waiting.iter().map(|name| self.is_taken(name));
            let answers = futures_util::future::join_all(asked).await;
            let mut answers = answers.into_iter();
            waiting.retain(|_| !answers.next().unwrap_or(true));
        }
    }

    /// Whether another node has a channel and shows it.
    async fn is_taken(&self, name: &str) -> bool {
        let Ok(id) = ChannelId::new(name) else {
            return true;
        };
        let Ok(Whose::At(address)) = self.find(&id).await.map(|it| it.whose) else {
            return false;
        };
        let url = url_of(&address, &id, PlaylistName::ENTRY);
        let answer = self.ask(&url, &Method::HEAD, &HeaderMap::new()).await;
        answer.is_ok_and(|it| it.status().is_success())
    }

    /// Whose a channel is. While Redis is away that stays as it was.
    async fn find(&self, id: &ChannelId) -> Result<Known, NoAnswer> {
        let before = self.known().get(id).cloned();
        if let Some(known) = before.as_ref().filter(|it| it.looked_at.elapsed() < FRESH) {
            return Ok(known.clone());
        }
        // Nobody waits for Redis where it is known to be away, or long where there is something to go by.
        let reaches_redis = self.inner.hands.contact().reaches_redis;
        if !reaches_redis && let Some(known) = before.clone().or_else(|| self.as_seen_last(id)) {
            return Ok(known);
        }
        let patience = match before {
            Some(_) => LOOK_WITHIN,
            None => REDIS_PATIENCE,
        };
        self.find_anew(id, before, patience).await
    }

    /// Whose a channel was when this node last looked at all of them, though no viewer has asked it for this one yet.
    fn as_seen_last(&self, id: &ChannelId) -> Option<Known> {
        let owner = self.inner.hands.owner_of(id)?;
        let now = Instant::now();
        Some(Known {
            looked_at: now,
            looking_since: now,
            whose: self.whose(&owner),
            former: None,
            gone_since: None,
        })
    }

    fn whose(&self, owner: &Incarnation) -> Whose {
        let hands = &self.inner.hands;
        match owner.node == hands.myself().name {
            true => Whose::Mine,
            false => hands.address_of(owner).map_or(Whose::Nobody, Whose::At),
        }
    }

    /// Whose a channel is by a look that was begun after this moment, at which its owner had not answered yet. However
    /// many viewers want to know, one looks for all of them, and not too often. `None` where there is no such look to
    /// be had soon.
    async fn find_after(&self, id: &ChannelId, moment: Instant) -> Option<Known> {
        while self.inner.hands.contact().reaches_redis {
            let (before, wait) = {
                let mut all = self.known();
                let known = all.get_mut(id)?;
                if known.looked_at > moment {
                    return Some(known.clone());
                }
                let before = known.clone();
                let now = Instant::now();
                let again_at = known.looking_since + LOOK_AGAIN;
                if again_at <= now {
                    known.looking_since = now;
                }
                (before, again_at.saturating_duration_since(now))
            };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
                continue;
            }
            tokio::time::sleep_until(self.turn()?).await;
            return self.find_anew(id, Some(before), LOOK_WITHIN).await.ok();
        }
        None
    }

    /// When the next look may be made for a channel without an owner that answers; `None` where too many wait for
    /// theirs.
    fn turn(&self) -> Option<Instant> {
        let next = self.inner.next_look.lock();
        let mut next = next.unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let turn = now.max(*next);
        if turn - now > LOOK_WITHIN {
            return None;
        }
        *next = turn + LOOKS_APART;
        Some(turn)
    }

    async fn find_anew(
        &self,
        id: &ChannelId,
        before: Option<Known>,
        patience: Duration,
    ) -> Result<Known, NoAnswer> {
        let looked_at = Instant::now();
        let whose = match self.inner.looks.try_acquire() {
            Ok(_permit) => timeout(patience, self.look(id)).await.ok().flatten(),
            Err(_) => None,
        };
        let known = match whose {
            Some(whose) => next(before, whose, looked_at),
            None => Known {
                looked_at,
                ..before.ok_or(NoAnswer::NotNow)?
            },
        };
        let mut all = self.known();
        if all.len() >= MOST_KNOWN {
            all.clear();
        }
        all.insert(id.clone(), known.clone());
        Ok(known)
    }

    /// `None` where Redis does not say.
    async fn look(&self, id: &ChannelId) -> Option<Whose> {
        let Some(found) = self.inner.store.look(id).await.ok()? else {
            return Some(Whose::None);
        };
        let Some(entry) = found.entry_or_owner() else {
            return Some(Whose::Nobody);
        };
        let owner = entry
            .owner
            .as_deref()
            .and_then(|it| it.parse::<Incarnation>().ok());
        Some(match owner {
            Some(owner) => self.whose(&owner),
            None if entry.desired == Desired::Stop && !entry.unfinished => Whose::None,
            None => Whose::Nobody,
        })
    }

    async fn ask(
        &self,
        url: &str,
        method: &Method,
        head: &HeaderMap,
    ) -> Result<Response, NoAnswer> {
        let permit = self.inner.room.clone().try_acquire_owned();
        let permit = permit.map_err(|_| NoAnswer::NotNow)?;
        let mut request = self.inner.client.request(method.clone(), url);
        for name in ASKED {
            for value in head.get_all(&name) {
                request = request.header(&name, value);
            }
        }
        request = request.header(VIA, &**self.inner.hands.myself().name.name());
        let asked = timeout(HEAD_WITHIN, request.send()).await;
        let answer = asked.ok().and_then(Result::ok).ok_or(NoAnswer::Silent)?;
        let mut told = Response::new(Body::empty());
        *told.status_mut() = answer.status();
        for name in TOLD {
            for value in answer.headers().get_all(&name) {
                told.headers_mut().append(&name, HeaderValue::clone(value));
            }
        }
        *told.body_mut() = body(answer, permit);
        Ok(told)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<ChannelId, Known>> {
        self.inner
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has only just got a channel shows nothing of it yet, and may not have all that was listed before.
pub fn has_not_yet(answer: &Response) -> bool {
    let status = answer.status();
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::NOT_FOUND
}

fn url_of(address: &str, id: &ChannelId, file: &str) -> String {
    format!("{}/{id}/{file}", address.trim_end_matches('/'))
}

/// What is known of a channel once it was looked for. Redis that has come back without it may yet be told, so
/// what was there is not gone at once.
fn next(before: Option<Known>, found: Whose, now: Instant) -> Known {
    let (mut former, mut gone_since) = (None, None);
    let mut whose = found;
    if let Some(before) = before {
        if whose == Whose::None && (before.gone_since.is_some() || before.whose != Whose::None) {
            gone_since = before.gone_since.or(Some(now));
        }
        former = match before.whose {
            Whose::At(address) if whose != Whose::At(address.clone()) => {
                Some((address, now + FORMER))
            }
            Whose::At(_) | Whose::None | Whose::Nobody | Whose::Mine => before.former,
        };
    }
    if gone_since.is_some_and(|it| now - it < GONE_AFTER) {
        whose = Whose::Nobody;
    }
    let is_back = |(address, _): &(String, Instant)| whose == Whose::At(address.clone());
    if whose == Whose::None || former.as_ref().is_some_and(is_back) {
        former = None;
    }
    Known {
        looked_at: now,
        looking_since: now,
        whose,
        former,
        gone_since,
    }
}

/// Handed on piece by piece: what breaks off there breaks off here.
fn body(answer: reqwest::Response, permit: OwnedSemaphorePermit) -> Body {
    let pieces = stream::unfold(Some((answer, permit)), async |state| {
        let (mut answer, permit) = state?;
        let piece: Result<Bytes, std::io::Error> = match timeout(PIECE_WITHIN, answer.chunk()).await
        {
            Ok(Ok(Some(piece))) => return Some((Ok(piece), Some((answer, permit)))),
            Ok(Ok(None)) => return None,
            Ok(Err(error)) => Err(std::io::Error::other(error)),
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        };
        Some((piece, None))
    });
    Body::from_stream(pieces)
}
