//! What is looked at in Redis, when, and what it tells: of channels, of nodes, of what is ours no more.

use super::*;

impl Member {
    pub(super) fn advance_looks<S>(
        &mut self,
        now: Timestamp,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if self.looking.is_some() || self.contact == Contact::Away || self.looks_from > now {
            return;
        }
        let at = if self.scan_at <= now {
            self.hinted.clear();
            LookAt::All
        } else if !self.hinted.is_empty() {
            LookAt::Channels(std::mem::take(&mut self.hinted).into_iter().collect())
        } else if self.nodes_at <= now {
            LookAt::Nodes
        } else {
            return;
        };
        let request = self.request();
        self.looking = Some((request, now, at.clone()));
        commands.push(ClusterCommand::Look { request, at });
    }

    pub(super) fn looked<S>(
        &mut self,
        now: Timestamp,
        request: RequestId,
        outcome: Result<(RedisId, Look), CallError>,
        room: &Room,
        (orders, commands): (&mut Vec<Order<S>>, &mut Vec<ClusterCommand<S>>),
    ) {
        let Some((_, sent_at, at)) = self.looking.take_if(|(own, _, _)| *own == request) else {
            return;
        };
        let Ok((redis, look)) = outcome else {
            self.looks_from = now + RETRY;
            if let LookAt::Channels(ids) = at {
                self.hinted.extend(ids);
            }
            return;
        };
        self.sees(now, redis);
        // What was asked for before the last break is of before it.
        if self.contact == Contact::Away || sent_at < self.reached_since {
            return;
        }
        let looked_at: Option<BTreeSet<ChannelId>> = match at {
            LookAt::All => None,
            LookAt::Nodes => Some(BTreeSet::new()),
            LookAt::Channels(ids) => Some(ids.into_iter().collect()),
        };
        let mut found: BTreeMap<_, _> = look.channels.into_iter().collect();
        for (id, seen) in &found {
            let place = self.places.entry(id.clone()).or_insert(Place {
                seen: None,
                seat: VACANT,
                refused: None,
                vacant_since: None,
            });
            // A claim was planned of a channel as it was.
            let as_it_was = |it: &(ChannelSeen, Timestamp)| {
                (&it.0.owner, it.0.epoch) == (&seen.owner, seen.epoch)
            };
            if let Seat::Vacant { claim_at, .. } = &mut place.seat
                && !place.seen.as_ref().is_some_and(as_it_was)
                && !self.planted.makes(Mistake::TakenIsClaimed)
            {
                *claim_at = None;
            }
            place.seen = Some((seen.clone(), sent_at));
        }
        for (id, place) in &mut self.places {
            if looked_at.as_ref().is_none_or(|it| it.contains(id)) {
                if found.remove(id).is_none() {
                    place.seen = None;
                }
                place.compare(&self.incarnation, id, sent_at, orders);
            }
        }
        self.places
            .retain(|_, place| place.seen.is_some() || !matches!(place.seat, Seat::Vacant { .. }));
        if let Some(nodes) = look.nodes {
            self.nodes_looked_at(now, sent_at, nodes);
        }
        if looked_at.is_none() {
            self.scan_at = now + SCAN_EVERY.max(SCAN_EACH * self.places.len() as u64);
            if self.planted.makes(Mistake::NoScan) {
                self.scan_at = now + Span::from_secs(3_600);
            }
            self.tell_lost(now, sent_at, commands);
            self.tell_gone(sent_at, commands);
            self.even_out(now, room, orders);
        }
        self.consider(now, room);
    }

    fn nodes_looked_at(&mut self, now: Timestamp, sent_at: Timestamp, nodes: Vec<NodeSeen>) {
        self.nodes_at = sent_at + NODES_EVERY;
        self.nodes_seen = Some(sent_at);
        self.nodes = nodes
            .into_iter()
            .map(|it| (it.incarnation.node.clone(), it))
            .collect();
        let own = &self.incarnation.node;
        let others = || self.nodes.values().filter(|it| it.incarnation.node != *own);
        let alive: BTreeSet<_> = others().map(|it| it.incarnation.node.clone()).collect();
        for name in &alive {
            let peer = self.peers.entry(name.clone()).or_insert(Peer {
                asked: None,
                ask_at: Timestamp::default(),
                named: Named::Yes,
            });
            peer.named = Named::Yes;
        }
        self.peers.retain(|name, peer| match peer.named {
            _ if alive.contains(name) => true,
            Named::Yes => {
                peer.named = Named::NotSince(now);
                true
            }
            Named::NotSince(_) => true,
            Named::NoMore(since) => sent_at <= since,
        });
        let knowing = others().filter(|it| it.peers.contains(own));
        self.known_by
            .extend(knowing.map(|it| it.incarnation.clone()));
        let owners: BTreeSet<_> = self
            .places
            .values()
            .filter_map(|it| it.seen.as_ref()?.0.owner.as_ref())
            .collect();
        let is_live = |it: &Incarnation| {
            self.nodes
                .get(&it.node)
                .is_some_and(|node| node.incarnation == *it)
        };
        self.known_by
            .retain(|it| is_live(it) || owners.contains(it));
        self.strangers
            .retain(|it, _| !is_live(it) && owners.contains(it));
    }

    /// Asks those whose channels could be taken over whether they are really dead.
    pub(super) fn advance_strangers<S>(
        &mut self,
        now: Timestamp,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if self.contact == Contact::Away {
            return;
        }
        for (incarnation, stranger) in &mut self.strangers {
            if stranger.asked.is_none() && stranger.ask_at <= now && !stranger.is_over {
                self.last_request += 1;
                let request = RequestId(self.last_request);
                stranger.asked = Some(request);
                let peer = incarnation.node.clone();
                commands.push(ClusterCommand::AskPeer { request, peer });
            }
        }
    }
}

impl Place {
    /// What Redis says of a channel of ours, as of an answer that was asked for then.
    fn compare<S>(
        &mut self,
        own: &Incarnation,
        id: &ChannelId,
        sent_at: Timestamp,
        orders: &mut Vec<Order<S>>,
    ) {
        let Seat::Ours {
            grant,
            since,
            under_way,
            forgotten,
            ..
        } = &mut self.seat
        else {
            if let Seat::Vacant { claim_at, .. } = &mut self.seat
                && self
                    .seen
                    .as_ref()
                    .is_none_or(|(seen, _)| !seen.needs_owner(Planted::default()))
            {
                *claim_at = None;
            }
            return;
        };
        // What is being written now, or was since, is not seen yet.
        if sent_at <= *since || under_way.is_some() {
            return;
        }
        match &self.seen {
            None => *forgotten = true,
            Some((seen, _)) if seen.epoch < grant.epoch => *forgotten = true,
            Some((seen, _)) if seen.epoch > grant.epoch || seen.owner.as_ref() != Some(own) => {
                self.seat = Seat::Leaving;
                orders.push(Order::Disown(id.clone()));
            }
            Some(_) => {}
        }
    }
}
