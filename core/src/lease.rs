//! May a node act as owner now, and until when; what an unknown outcome means.
//!
//! A lease is counted from when its renewal was sent, less a margin, so it ends here before it can have ended
//! in Redis, whatever the answer took. An answer that never came extends nothing. Where Redis is away from
//! everybody, each peer that says so promises to claim nothing for a while ([`GRACE`]): while all of them do,
//! the lease goes on without Redis.

use crate::node::NodeName;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a node's key stays in Redis after a renewal, by the clock of Redis.
pub const LEASE: Span = Span::from_secs(5);
/// A renewal is sent so often.
pub const RENEW_EVERY: Span = Span::from_micros(LEASE.as_micros() / 3);
/// Who has Redis again, or finds another one, claims nothing for so long: until then, owners that went on
/// without it have registered what they own, or have stopped.
pub const GRACE: Span = LEASE;
/// What a clock may gain or lose on another one in a lease (1 % each), and what a viewer's answer takes between
/// the last look at the lease and its last byte on the way.
pub const MARGIN: Span = Span::from_micros(LEASE.as_micros() / 20);

/// The lease of one incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// It may act as owner before this. Never falls.
    until: Option<Timestamp>,
    /// Since Redis was away: when each peer was asked that has said the same since.
    vouched: BTreeMap<NodeName, Timestamp>,
}

impl Lease {
    /// Until when it may act as owner; `None` before it was ever granted.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether it may act as owner.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Redis has it, for a renewal that was sent then. That Redis still had it proves that nobody has taken
    /// over, even where it has run out here.
    pub fn renewed(&mut self, sent_at: Timestamp) {
        self.vouched.clear();
        self.extend(sent_at + LEASE);
    }

    /// A peer that was asked then has said that it has no Redis either.
    pub fn vouched(&mut self, by: NodeName, asked_at: Timestamp) {
        self.vouched.insert(by, asked_at);
    }

    /// A peer has Redis: what it said before holds for its time, and it will say no more.
    pub fn denied(&mut self, by: &NodeName) {
        self.vouched.remove(by);
    }

    /// Goes on without Redis where every one of `peers` has promised to claim nothing; with no peer there is
    /// nobody who could. What has run out is not revived by promises: between the two somebody may have claimed.
    pub fn go_on<'a>(&mut self, now: Timestamp, peers: impl Iterator<Item = &'a NodeName>) -> bool {
        let mut least = Some(now);
        for peer in peers {
            least = least.min(self.vouched.get(peer).copied());
        }
        let promised = least.filter(|_| self.is_valid(now));
        if let Some(asked_at) = promised {
            self.extend(asked_at + GRACE);
        }
        promised.is_some()
    }

    fn extend(&mut self, until: Timestamp) {
        self.until = self.until.max(Some(until - MARGIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::default() + Span::from_millis(millis)
    }

    fn peer(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    #[test]
    fn it_is_counted_from_when_the_renewal_was_sent() {
        let mut lease = Lease::default();
        assert!(!lease.is_valid(at(0)));
        lease.renewed(at(1_000));
        assert!(lease.is_valid(at(5_749)) && !lease.is_valid(at(5_750)));
        // An older answer that comes late takes nothing away.
        lease.renewed(at(0));
        assert_eq!(lease.valid_until(), Some(at(5_750)));
    }

    #[test]
    fn it_goes_on_while_every_peer_has_promised() {
        let peers = [peer("b"), peer("c")];
        let mut lease = Lease::default();
        lease.renewed(at(0));
        lease.vouched(peer("b"), at(3_000));
        assert!(!lease.go_on(at(3_100), peers.iter()));
        lease.vouched(peer("c"), at(3_500));
        assert!(lease.go_on(at(3_600), peers.iter()));
        assert_eq!(lease.valid_until(), Some(at(7_750)));
        lease.denied(&peer("b"));
        lease.vouched(peer("c"), at(5_000));
        assert!(!lease.go_on(at(5_100), peers.iter()));
        assert_eq!(lease.valid_until(), Some(at(7_750)));
    }

    #[test]
    fn one_that_has_run_out_is_not_revived_by_promises() {
        let mut lease = Lease::default();
        lease.renewed(at(0));
        lease.vouched(peer("b"), at(4_700));
        assert!(!lease.go_on(at(4_800), [peer("b")].iter()));
        assert!(!lease.go_on(at(4_800), [].into_iter()));
        lease.renewed(at(4_900));
        assert!(lease.go_on(at(9_000), [].into_iter()));
    }
}
