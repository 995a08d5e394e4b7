//! Redis and the peers: renewals, what an incarnation has lost, who promises what.

use super::*;

impl Member {
    pub(super) fn renewed<S>(
        &mut self,
        now: Timestamp,
        request: RequestId,
        outcome: Result<(RedisId, Renewal), CallError>,
        orders: &mut Vec<Order<S>>,
    ) {
        let Some((_, sent_at)) = self.renewing.take_if(|(own, _)| *own == request) else {
            return;
        };
        let Ok((redis, renewal)) = outcome else {
            self.become_away(now);
            self.renew_at = now + self.rng.jittered(RETRY);
            return;
        };
        match renewal {
            // A key that was made anew, and its answer has come when the lease was over: meanwhile somebody may have
            // claimed.
            Renewal::Held
                if !self.registered
                    && self.lease.valid_until().is_some()
                    && !self.lease.is_valid(now)
                    && !self.planted.makes(Mistake::ExpiredIncarnationRevived) =>
            {
                self.become_another(orders);
                self.renew_at = now;
            }
            Renewal::Held => {
                let counted_from = if self.planted.makes(Mistake::LeaseCountedFromReply) {
                    now
                } else {
                    sent_at
                };
                self.lease.renewed(counted_from);
                for peer in self.peers.values_mut() {
                    if let Named::NotSince(since) = peer.named
                        && since <= sent_at
                    {
                        peer.named = Named::NoMore(now);
                    }
                }
                // What others are to see has come up since.
                if self.renew_at <= sent_at {
                    self.renew_at = sent_at + RENEW_EVERY;
                }
                let is_new = !self.registered;
                self.registered = true;
                self.become_reached(now, redis, is_new);
            }
            Renewal::Missing => {
                let goes_on = self.lease.is_valid(now)
                    || self.planted.makes(Mistake::ExpiredIncarnationRevived);
                if self.lease.valid_until().is_some() && !goes_on {
                    self.become_another(orders);
                }
                // Nobody need know it any more.
                self.registered = false;
                self.known_by.clear();
                self.renew_at = now;
            }
            Renewal::Other { left } => {
                if self.lease.valid_until().is_some() {
                    self.become_another(orders);
                }
                self.registered = false;
                self.renew_at = now + left.max(RETRY);
            }
        }
    }

    pub(super) fn become_away(&mut self, now: Timestamp) {
        if self.contact == Contact::Away {
            return;
        }
        self.contact = Contact::Away;
        self.forget_what_was_seen();
        for peer in self.peers.values_mut() {
            peer.ask_at = now;
        }
    }

    /// Redis is there, or there again, or another one, or has forgotten this node.
    fn become_reached(&mut self, now: Timestamp, redis: RedisId, is_new: bool) {
        let same = self.contact == Contact::Reached && self.redis == Some(redis) && !is_new;
        self.contact = Contact::Reached;
        self.alone = false;
        if same {
            return;
        }
        self.redis = Some(redis);
        self.reached_since = now;
        self.claims_from = Some(now + GRACE);
        if self.planted.makes(Mistake::ClaimInGrace) {
            self.claims_from = Some(now);
        }
        self.forget_what_was_seen();
        (self.looks_from, self.nodes_at, self.scan_at) = (now, now, now);
        for place in self.places.values_mut() {
            if let Seat::Ours { forgotten, .. } = &mut place.seat {
                *forgotten = true;
            }
        }
    }

    /// Another Redis than before has answered: it may have lost the last writes.
    pub(super) fn sees(&mut self, now: Timestamp, redis: RedisId) {
        if self.contact == Contact::Reached && self.redis != Some(redis) {
            self.become_reached(now, redis, true);
            self.renew_at = now;
        }
    }

    /// What the others have may have changed unseen.
    fn forget_what_was_seen(&mut self) {
        self.nodes_seen = None;
        self.claims_from = self
            .claims_from
            .filter(|_| self.contact == Contact::Reached);
        for place in self.places.values_mut() {
            place.seen = None;
            if let Seat::Vacant { claim_at, .. } = &mut place.seat {
                *claim_at = None;
            }
        }
    }

    /// The life of this incarnation is over, and with it all it owned.
    fn become_another<S>(&mut self, orders: &mut Vec<Order<S>>) {
        self.incarnation.run = self.rng.draw();
        self.lease = Lease::default();
        self.registered = false;
        self.told = None;
        self.known_by.clear();
        for (id, place) in &mut self.places {
            match place.seat {
                Seat::Ours { .. } => {
                    place.seat = Seat::Leaving;
                    orders.push(Order::Disown(id.clone()));
                }
                Seat::Releasing { .. } | Seat::Asked { .. } => place.seat = VACANT,
                Seat::Leaving | Seat::Vacant { .. } => {}
            }
        }
    }

    /// A peer, or one that wants to be known, asks.
    pub(super) fn asked<S>(
        &mut self,
        now: Timestamp,
        request: RequestId,
        by: NodeName,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if by != self.incarnation.node {
            let peer = Peer {
                asked: None,
                ask_at: now,
                named: Named::Yes,
            };
            self.peers.entry(by).or_insert(peer).named = Named::Yes;
        }
        let answer = PeerAnswer {
            incarnation: self.incarnation.clone(),
            contact: self.contact,
        };
        commands.push(ClusterCommand::Answer { request, answer });
    }

    pub(super) fn peer_answered(
        &mut self,
        now: Timestamp,
        request: RequestId,
        outcome: Result<PeerAnswer, CallError>,
    ) {
        for (name, peer) in &mut self.peers {
            let Some((_, asked_at)) = peer.asked.take_if(|(own, _)| *own == request) else {
                continue;
            };
            peer.ask_at = asked_at + ASK_EVERY;
            match &outcome {
                Ok(PeerAnswer {
                    contact: Contact::Away,
                    ..
                }) => {
                    self.lease.vouched(name.clone(), asked_at);
                }
                Ok(PeerAnswer {
                    contact: Contact::Reached,
                    ..
                }) => self.lease.denied(name),
                Err(_) => {}
            }
        }
        for (incarnation, stranger) in &mut self.strangers {
            if stranger.asked.take_if(|own| *own == request).is_none() {
                continue;
            }
            stranger.ask_at = now + ASK_EVERY;
            match &outcome {
                Ok(answer) if answer.incarnation == *incarnation => stranger.dead_since = now,
                Ok(_) => stranger.is_over = true,
                Err(_) => {}
            }
        }
    }

    /// Renews, asks the peers where Redis is away, and says until when all that holds.
    pub(super) fn advance_lease<S>(
        &mut self,
        now: Timestamp,
        room: &Room,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if self.renewing.is_none() && self.renew_at <= now && !self.left {
            let request = self.request();
            let named = self.peers.iter().filter(|it| it.1.named == Named::Yes);
            let peers = named.map(|(name, _)| name.clone()).collect();
            self.renewing = Some((request, now));
            commands.push(ClusterCommand::Renew {
                request,
                incarnation: self.incarnation.clone(),
                first: !self.registered,
                capacity: if self.takes_more(now) {
                    room.capacity
                } else {
                    0
                },
                load: room.taken,
                peers,
            });
        }
        if self.contact == Contact::Away && self.lease.valid_until().is_some() {
            let names: Vec<_> = self.peers.keys().cloned().collect();
            for name in names {
                let request = RequestId(self.last_request + 1);
                let Some(peer) = self.peers.get_mut(&name) else {
                    continue;
                };
                if peer.asked.is_none() && peer.ask_at <= now {
                    self.last_request += 1;
                    peer.asked = Some((request, now));
                    commands.push(ClusterCommand::AskPeer {
                        request,
                        peer: name,
                    });
                }
            }
            self.go_on_at = now + ASK_EVERY;
            self.alone = if self.planted.makes(Mistake::CutOffGoesOn) {
                self.lease.go_on(now, [].into_iter())
            } else {
                self.lease.go_on(now, self.peers.keys())
            };
        }
        let told = self.lease.valid_until().map(|until| (until, self.alone));
        if told != self.told {
            self.told = told;
            if let Some((until, alone)) = told {
                commands.push(ClusterCommand::ValidUntil {
                    incarnation: self.incarnation.clone(),
                    until,
                    alone,
                });
            }
        }
    }

    /// When the lease wants to be looked at next.
    pub(super) fn lease_wakeup(&self) -> Option<Timestamp> {
        let renew = self.renewing.is_none().then_some(self.renew_at);
        let away = self.contact == Contact::Away && self.lease.valid_until().is_some();
        let peers = self.peers.values().filter(|it| away && it.asked.is_none());
        let peers = peers.map(|it| it.ask_at).min();
        let by_itself = away && self.peers.is_empty() && self.lease.is_valid(self.go_on_at);
        let by_itself = by_itself.then_some(self.go_on_at);
        [renew, peers, by_itself].into_iter().flatten().min()
    }
}
