//! How many segments a node transcodes at once, and whose turn it is.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The slots of a node; a clone shares them.
///
/// Channels take turns: one that waits with many segments gets no more than one that waits with one.
#[derive(Clone, Debug)]
pub struct Slots {
    state: Arc<Mutex<State>>,
    count: NonZeroUsize,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Those with work that waits, the next one first. None is without any.
    waiting: VecDeque<(Arc<str>, VecDeque<oneshot::Sender<Slot>>)>,
}

/// The right to transcode; given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    /// `None` once it was given on.
    slots: Option<Slots>,
}

impl Slots {
    /// So many, all of them free.
    pub fn new(count: NonZeroUsize) -> Self {
        let state = State {
            free: count.get(),
            waiting: VecDeque::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            count,
        }
    }

    /// How many there are.
    pub fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// How much work waits for one.
    pub fn waiting(&self) -> usize {
        let state = self.state();
        let waiting = state.waiting.iter();
        waiting.map(|(_, all)| all.len()).sum()
    }

    /// Waits for the channel's turn. Dropped before that, it waits no more.
    pub async fn turn(&self, channel: &Arc<str>) -> Slot {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return self.slot();
            }
            let (given, turn) = oneshot::channel();
            state.wait(channel, given);
            turn
        };
        match turn.await {
            Ok(slot) => slot,
            // Nobody drops the other end while the slots are there, which this holds.
            Err(_) => std::future::pending().await,
        }
    }

    fn slot(&self) -> Slot {
        Slot {
            slots: Some(self.clone()),
        }
    }

    /// Gives a slot to whose turn it is, if anybody waits.
    fn give_back(&self) {
        loop {
            let next = self.state().next();
            let Some(next) = next else {
                return;
            };
            // One that waits no more hands it back, and it is not to be counted as free meanwhile.
            match next.send(self.slot()) {
                Ok(()) => return,
                Err(mut refused) => drop(refused.slots.take()),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, channel: &Arc<str>, given: oneshot::Sender<Slot>) {
        match self.waiting.iter_mut().find(|(it, _)| it == channel) {
            Some((_, all)) => {
                // Those that were given up take no room.
                all.retain(|it| !it.is_closed());
                all.push_back(given);
            }
            None => self.waiting.push_back((channel.clone(), [given].into())),
        }
    }

    /// Whose turn it is; a free slot more where nobody waits.
    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        while let Some((channel, mut all)) = self.waiting.pop_front() {
            let next = all.pop_front();
            if !all.is_empty() {
                self.waiting.push_back((channel, all));
            }
            if next.is_some() {
                return next;
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::pin::Pin;

    type Turn = Pin<Box<dyn Future<Output = Slot>>>;

    fn asks(slots: &Slots, channel: &str) -> Turn {
        let (slots, channel) = (slots.clone(), channel.into());
        let mut turn: Turn = Box::pin(async move { slots.turn(&channel).await });
        assert!(turn.as_mut().now_or_never().is_none(), "it has to wait");
        turn
    }

    fn one() -> (Slots, Slot) {
        let slots = Slots::new(NonZeroUsize::MIN);
        let first = slots.turn(&"first".into()).now_or_never();
        (slots, first.expect("one is free"))
    }

    #[test]
    fn channels_take_turns() {
        let (slots, mut slot) = one();
        let asked = ["a", "a", "a", "b", "c", "b"];
        let mut turns: Vec<_> = asked.map(|it| (it, asks(&slots, it))).into();
        assert_eq!(slots.waiting(), 6);
        let mut order = String::new();
        while !turns.is_empty() {
            drop(slot);
            let mut now = turns
                .iter_mut()
                .enumerate()
                .filter_map(|(at, (_, turn))| Some((at, turn.now_or_never()?)));
            let (at, given) = now.next().expect("somebody's turn");
            assert!(now.next().is_none(), "one slot, one turn");
            drop(now);
            slot = given;
            order += turns.remove(at).0;
        }
        assert_eq!(order, "abcaba");
        drop(slot);
        assert!(slots.turn(&"a".into()).now_or_never().is_some());
    }

    #[test]
    fn a_turn_that_is_given_up_is_the_next_ones() {
        let (slots, slot) = one();
        let (given_up, mut next) = (asks(&slots, "a"), asks(&slots, "b"));
        drop(given_up);
        drop(slot);
        let slot = next.as_mut().now_or_never().expect("its turn");
        // One that was given and never taken.
        let (never_taken, mut last) = (asks(&slots, "a"), asks(&slots, "b"));
        drop(slot);
        drop(never_taken);
        let slot = last.as_mut().now_or_never().expect("its turn");
        drop(slot);
        assert!(slots.turn(&"c".into()).now_or_never().is_some());
        assert_eq!(slots.waiting(), 0);
    }
}
