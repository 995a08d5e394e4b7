//! What several segments need, as init sections and keys, and edges are asked for once: until they may have let
//! go of it again.

use crate::checkpoint::SavedObject;
use crate::config;
use crate::ids::{ObjectName, RequestId};
use crate::limits::REMEMBERED_WARM;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// What all edges of a channel have, or are being asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shared {
    /// What was needed last stands last.
    known: Vec<Known>,
    /// Caches may keep objects so long, as far as they are told at present; nothing before the first list.
    kept_for: Option<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    object: ObjectName,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// They are being asked for it, and were told so when that began.
    Asked { request: RequestId, kept_for: Span },
    /// They have it until then.
    Warm { until: Timestamp },
}

impl Shared {
    /// Nothing was asked for, or said.
    pub(super) fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// Caches are told that they may keep objects so long.
    pub(crate) fn kept_for(&mut self, span: Option<Span>) {
        self.kept_for = span;
    }

    /// Edges may lack it, and nobody is asking them. That it is needed is noted.
    pub(super) fn is_cold(&mut self, object: &ObjectName, now: Timestamp) -> bool {
        let Some(at) = self.known.iter().position(|it| it.object == *object) else {
            return true;
        };
        let it = self.known.remove(at);
        let is_known = match it.state {
            State::Asked { .. } => true,
            State::Warm { until } => now < until,
        };
        if is_known {
            self.known.push(it);
        }
        !is_known
    }

    /// Edges are being asked for one of these.
    pub(super) fn is_awaited(&self, resources: &[SavedObject]) -> bool {
        let asked = |it: &&Known| matches!(it.state, State::Asked { .. });
        let mut asked = self.known.iter().filter(asked);
        asked.any(|it| resources.iter().any(|other| other.object == it.object))
    }

    /// They are asked for these by that request.
    pub(super) fn ask(&mut self, request: RequestId, objects: &[ObjectName]) {
        for object in objects {
            let state = State::Asked {
                request,
                kept_for: self.told(),
            };
            let object = object.clone();
            self.known.push(Known { object, state });
        }
        let surplus = self.known.len().saturating_sub(REMEMBERED_WARM);
        self.known.drain(..surplus);
    }

    /// All of them have what that request was for; or one of them may not, and is asked again with the next
    /// segment that needs it.
    pub(crate) fn answered(&mut self, request: RequestId, all_have_it: bool, now: Timestamp) {
        let told = self.told();
        self.known.retain_mut(|it| match it.state {
            State::Asked {
                request: own,
                kept_for,
            } if own == request => {
                // A second is what the ages of HTTP are counted in: asked for too early, an edge would answer
                // with what it has, and keep that no longer.
                let until = now + kept_for.max(told) + Span::from_secs(1);
                it.state = State::Warm { until };
                all_have_it
            }
            State::Asked { .. } | State::Warm { .. } => true,
        });
    }

    fn told(&self) -> Span {
        self.kept_for.unwrap_or(config::OBJECTS_KEPT_AT_FIRST)
    }

    /// Other edges are asked from now on.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ObjectName {
        ObjectName(format!("{number}.mp4").into())
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    #[test]
    fn what_edges_have_is_cold_again_once_caches_may_have_let_go_of_it() {
        let mut shared = Shared::default();
        shared.kept_for(Some(Span::from_secs(24)));
        assert!(shared.is_cold(&name(1), at(0)));
        shared.ask(RequestId(7), &[name(1)]);
        assert!(!shared.is_cold(&name(1), at(1)));
        // What is listed meanwhile tells a longer age, and which one the edge was told is not known.
        shared.kept_for(Some(Span::from_secs(30)));
        shared.answered(RequestId(7), true, at(2));
        assert!(!shared.is_cold(&name(1), at(32)));
        assert!(shared.is_cold(&name(1), at(33)));
    }

    #[test]
    fn what_one_edge_may_lack_is_cold() {
        let mut shared = Shared::default();
        shared.ask(RequestId(7), &[name(1)]);
        shared.ask(RequestId(8), &[name(2)]);
        shared.answered(RequestId(7), false, at(1));
        assert!(shared.is_cold(&name(1), at(1)) && !shared.is_cold(&name(2), at(1)));
    }

    #[test]
    fn what_was_needed_last_is_remembered_of_many() {
        let mut shared = Shared::default();
        for number in 0..=REMEMBERED_WARM {
            assert!(!shared.is_cold(&name(0), at(1)) || number == 0);
            shared.ask(RequestId(1), &[name(number)]);
        }
        assert_eq!(shared.known.len(), REMEMBERED_WARM);
        assert!(!shared.is_cold(&name(0), at(1)) && shared.is_cold(&name(1), at(1)));
    }
}
