//! What one origin is asked at a time: at most so many requests of a whole process, shared fairly by its
//! channels, so that none of them can keep the others from their sources.
//!
//! A channel gets a turn while it has fewer requests under way there than are left to others. One that is
//! alone so has half of them, two have a third each; however many one would take, another one never waits
//! for it to finish.

use hls_relay_core::event::FetchError;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use url::Url;

/// Requests to one origin, and so connections, of a node.
pub(super) const MOST_REQUESTS: usize = 16;
/// After the end of an answer its connection is back among the idle ones, or closed, within this time. A turn is held as
/// much longer: the next request would find no idle connection, and make one more than there are turns. Nobody is woken
/// for that where nobody waits: whoever asks next sees what has ended.
const BACK_WITHIN: Duration = Duration::from_millis(5);

/// The turns at all origins. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    state: Arc<Mutex<State>>,
}

/// A channel's part in them.
#[derive(Clone, Debug)]
pub(super) struct Share {
    turns: Turns,
    channel: Arc<str>,
}

/// Scheme, host and port.
type Authority = (String, String, u16);

#[derive(Debug, Default)]
struct State {
    /// Those with a request under way, or one that waits.
    origins: BTreeMap<Authority, Origin>,
    /// What has ended and is still counted, and until when.
    ended: VecDeque<(Instant, Authority, Arc<str>)>,
}

#[derive(Debug, Default)]
struct Origin {
    /// Requests under way, by channel; none of 0.
    under_way: BTreeMap<Arc<str>, usize>,
    /// In the order in which they came.
    waiting: VecDeque<(Arc<str>, oneshot::Sender<Turn>)>,
}

/// One request may be made for as long as this is held.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` once it is given back.
    held: Option<(Turns, Authority, Arc<str>)>,
}

impl Turns {
    pub(super) fn share(&self, channel: &Arc<str>) -> Share {
        Share {
            turns: self.clone(),
            channel: channel.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what has ended long enough ago, at all origins.
    fn settle(&self, state: &mut State) {
        let now = Instant::now();
        while let Some((_, at, channel)) = state.ended.pop_front_if(|(until, ..)| *until <= now) {
            if let Some(origin) = state.origins.get_mut(&at) {
                origin.end(&channel);
            }
            self.give(&at, state);
        }
    }

    /// The same once all that has ended by now has done so long enough ago.
    fn settle_later(&self, runtime: &Handle) {
        let turns = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(BACK_WITHIN).await;
            turns.settle(&mut turns.lock());
        });
    }

    /// Gives turns to those who may have one now.
    fn give(&self, at: &Authority, state: &mut State) {
        let Some(origin) = state.origins.get_mut(at) else {
            return;
        };
        while let Some((channel, waiting)) = origin.next() {
            *origin.under_way.entry(channel.clone()).or_default() += 1;
            let held = Some((self.clone(), at.clone(), channel.clone()));
            if let Err(mut turn) = waiting.send(Turn { held }) {
                // Whoever waited has gone, and the lock is held.
                turn.held = None;
                origin.end(&channel);
            }
        }
        if origin.under_way.is_empty() && origin.waiting.is_empty() {
            state.origins.remove(at);
        }
    }
}

impl Origin {
    /// The next to have a turn: of the channel with the fewest, the one that waits longest.
    fn next(&mut self) -> Option<(Arc<str>, oneshot::Sender<Turn>)> {
        let taken: usize = self.under_way.values().sum();
        let free = MOST_REQUESTS.saturating_sub(taken);
        let own = |channel: &Arc<str>| self.under_way.get(channel).copied().unwrap_or_default();
        let waiting = self.waiting.iter().enumerate();
        let least = waiting.min_by_key(|(_, (channel, _))| own(channel));
        let (index, _) = least.filter(|(_, (channel, _))| own(channel) < free)?;
        self.waiting.remove(index)
    }

    fn end(&mut self, channel: &Arc<str>) {
        if let Some(count) = self.under_way.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(channel);
            }
        }
    }
}

impl Share {
    /// Waits for a turn at the origin of a URL.
    pub(super) async fn turn(&self, url: &Url, patience: Duration) -> Result<Turn, FetchError> {
        let at = (
            url.scheme().to_owned(),
            url.host_str().unwrap_or_default().to_ascii_lowercase(),
            url.port_or_known_default().unwrap_or_default(),
        );
        let (waiting, turn) = oneshot::channel();
        {
            let mut state = self.turns.lock();
            self.turns.settle(&mut state);
            let origin = state.origins.entry(at.clone()).or_default();
            // Those who gave up leave no more behind than who still wait.
            origin.waiting.retain(|(_, waiting)| !waiting.is_closed());
            origin.waiting.push_back((self.channel.clone(), waiting));
            self.turns.give(&at, &mut state);
            if state.is_waited_for(&at) && state.ended.iter().any(|(_, ended, _)| *ended == at) {
                self.turns.settle_later(&Handle::current());
            }
        }
        match tokio::time::timeout(patience, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(FetchError::Connect(
                format!("all {MOST_REQUESTS} connections to this origin are in use").into(),
            )),
        }
    }
}

impl State {
    fn is_waited_for(&self, at: &Authority) -> bool {
        let origin = self.origins.get(at);
        origin.is_some_and(|it| it.waiting.iter().any(|(_, waiting)| !waiting.is_closed()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some((turns, at, channel)) = self.held.take() else {
            return;
        };
        let mut state = turns.lock();
        let until = Instant::now() + BACK_WITHIN;
        // Where the runtime ends nobody waits for a turn.
        if state.is_waited_for(&at)
            && let Ok(runtime) = Handle::try_current()
        {
            turns.settle_later(&runtime);
        }
        state.ended.push_back((until, at, channel));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    fn url() -> Url {
        Url::parse("http://Origin.example/a").unwrap()
    }

    async fn take_all(share: &Share) -> Vec<Turn> {
        let mut turns = Vec::new();
        while let Ok(turn) = share.turn(&url(), NO_TIME).await {
            turns.push(turn);
        }
        turns
    }

    async fn given_back() {
        tokio::time::sleep(BACK_WITHIN * 4).await;
    }

    #[tokio::test]
    async fn no_channel_can_take_what_others_need() {
        let all = Turns::default();
        let greedy = take_all(&all.share(&"greedy".into())).await;
        assert_eq!(greedy.len(), 8);
        let other = take_all(&all.share(&"other".into())).await;
        assert_eq!(other.len(), 4);
        let mut third = Vec::new();
        for channel in ["a", "b", "c"] {
            third.extend(take_all(&all.share(&channel.into())).await);
        }
        assert_eq!(third.len(), 4, "never more than sixteen in all");
        let elsewhere = Url::parse("http://origin.example:81/").unwrap();
        let share = all.share(&"greedy".into());
        drop(share.turn(&elsewhere, NO_TIME).await.unwrap());
        drop((greedy, other, third));
        given_back().await;
        let turn = share.turn(&elsewhere, NO_TIME).await.unwrap();
        let known: Vec<_> = all.lock().origins.keys().map(|it| it.2).collect();
        assert_eq!(
            known,
            [81],
            "nothing is left behind once anybody asks again"
        );
        assert!(all.lock().ended.is_empty());
        drop(turn);
    }

    #[tokio::test]
    async fn a_turn_that_ends_goes_to_the_channel_with_the_fewest() {
        let all = Turns::default();
        let (one, two) = (all.share(&"one".into()), all.share(&"two".into()));
        let mut greedy = take_all(&one).await;
        let mut held = take_all(&two).await;
        held.truncate(1);
        given_back().await;
        let long = Duration::from_secs(5);
        let (one_waits, two_waits) = (one.clone(), two.clone());
        let waits = tokio::spawn(async move { one_waits.turn(&url(), long).await });
        tokio::task::yield_now().await;
        let other = tokio::spawn(async move { two_waits.turn(&url(), long).await });
        let second = other.await.unwrap().unwrap();
        assert!(!waits.is_finished(), "it has its half already");
        drop(second);
        greedy.truncate(2);
        drop(waits.await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn who_gives_up_takes_no_turn() {
        let all = Turns::default();
        let share = all.share(&"one".into());
        let greedy = take_all(&share).await;
        share.turn(&url(), NO_TIME).await.unwrap_err();
        drop(greedy);
        assert_eq!(
            take_all(&share).await.len(),
            0,
            "connections are not idle at once"
        );
        given_back().await;
        assert_eq!(take_all(&share).await.len(), 8);
    }

    #[tokio::test]
    async fn who_comes_while_connections_are_on_their_way_back_waits_for_them_alone() {
        let all = Turns::default();
        let share = all.share(&"one".into());
        // Nobody waits when they end.
        drop(take_all(&share).await);
        let long = Duration::from_secs(5);
        let began = Instant::now();
        drop(share.turn(&url(), long).await.unwrap());
        assert!(began.elapsed() < long / 2);
    }
}
