//! What is seen of channels and nodes, and what follows: claims, registrations, what is given away.

use super::*;

impl Member {
    pub(super) fn looked<S>(
        &mut self,
        now: Timestamp,
        request: RequestId,
        outcome: Result<(RedisId, Look), CallError>,
        room: &Room,
        orders: &mut Vec<Order<S>>,
    ) {
        let Some((_, sent_at, at)) = self.looking.take_if(|(own, _, _)| *own == request) else {
            return;
        };
        let Ok((redis, look)) = outcome else {
            (self.nodes_at, self.scan_at) = match at {
                LookAt::All => (now + RETRY, now + RETRY),
                LookAt::Nodes => (now + RETRY, self.scan_at),
                LookAt::Channels(ids) => {
                    self.hinted.extend(ids);
                    (now + RETRY, self.scan_at)
                }
            };
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
            });
            // A claim was planned of a channel as it was.
            let as_it_was = |it: &(ChannelSeen, Timestamp)| {
                (&it.0.owner, it.0.epoch) == (&seen.owner, seen.epoch)
            };
            if let Seat::Vacant { claim_at, .. } = &mut place.seat
                && !place.seen.as_ref().is_some_and(as_it_was)
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
            self.nodes_looked_at(sent_at, nodes);
        }
        if looked_at.is_none() {
            self.scan_at = now + SCAN_EVERY.max(SCAN_EACH * self.places.len() as u64);
            if self.planted.makes(Mistake::NoScan) {
                self.scan_at = now + Span::from_secs(3_600);
            }
            self.even_out(room, now, orders);
        }
        self.consider(now, room);
    }

    fn nodes_looked_at(&mut self, sent_at: Timestamp, nodes: Vec<NodeSeen>) {
        self.nodes_at = sent_at + NODES_EVERY;
        self.nodes_seen = Some(sent_at);
        self.nodes = nodes
            .into_iter()
            .map(|it| (it.incarnation.node.clone(), it))
            .collect();
        let own = &self.incarnation.node;
        let others = || self.nodes.values().filter(|it| it.incarnation.node != *own);
        let peers = others().map(|it| it.incarnation.node.clone());
        let mut before = std::mem::take(&mut self.peers);
        self.peers = peers
            .map(|name| {
                let peer = before.remove(&name).unwrap_or_default();
                (name, peer)
            })
            .collect();
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

    /// Whether this node may take over from an owner: the owner is dead, and would have asked this node before it
    /// went on without Redis.
    fn may_follow(&mut self, now: Timestamp, owner: &Incarnation) -> bool {
        let node = self.nodes.get(&owner.node);
        if *owner == self.incarnation {
            // A claim whose answer was lost.
            return true;
        }
        if node.is_some_and(|it| it.incarnation == *owner) {
            return false;
        }
        if owner.node == self.incarnation.node || node.is_some() || self.known_by.contains(owner) {
            return true;
        }
        let stranger = self.strangers.entry(owner.clone()).or_insert(Stranger {
            dead_since: now,
            is_over: false,
            asked: None,
            ask_at: now,
        });
        stranger.is_over || now.since(stranger.dead_since) >= STRANGERS_WAIT
    }

    /// Plans a claim for each channel that wants an owner and may have this one.
    pub(super) fn consider(&mut self, now: Timestamp, room: &Room) {
        // Who was dead while promises still held may have come back with the help of one.
        let counts = |at: &Timestamp| self.claims_from.is_some_and(|from| *at >= from);
        let nodes_seen = self.nodes_seen.filter(counts);
        let Some(nodes_seen) = nodes_seen.filter(|_| self.leaving.is_none()) else {
            return;
        };
        let mut planned = self.places.values().filter(|it| it.is_planned()).count();
        let vacant =
            self.places
                .iter()
                .filter_map(|(id, place)| match (&place.seat, &place.seen) {
                    (
                        Seat::Vacant {
                            claim_at: None,
                            avoid_until,
                        },
                        Some((seen, at)),
                    ) if seen.needs_owner(self.planted) && *at <= nodes_seen => {
                        Some((id.clone(), seen.clone(), *avoid_until))
                    }
                    _ => None,
                });
        let vacant: Vec<_> = vacant.collect();
        for (id, seen, avoid_until) in vacant {
            let free = match &seen.owner {
                None => true,
                Some(owner) => self.may_follow(now, owner),
            };
            if !free || (seen.owner.is_none() && !seen.runs_only_with(room, planned)) {
                continue;
            }
            let share = (room.taken + planned) as u64;
            let delay =
                CLAIM_DELAY.scaled(share.min(room.capacity as u64), room.capacity.max(1) as u64);
            let spread = Span::from_millis(self.rng.draw() % CLAIM_SPREAD_MILLIS);
            let at = (now + delay + spread)
                .max(avoid_until)
                .max(self.claims_from.unwrap_or(now));
            planned += 1;
            if let Some(place) = self.places.get_mut(&id)
                && let Seat::Vacant { claim_at, .. } = &mut place.seat
            {
                *claim_at = Some(at);
            }
        }
    }

    /// Sends what is due: claims, registrations, releases.
    pub(super) fn advance_places<S>(
        &mut self,
        now: Timestamp,
        room: &Room,
        record: impl Fn(&ChannelId) -> Option<(Record<S>, bool)>,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        let reached = self.contact == Contact::Reached && self.registered;
        let may_claim =
            reached && self.lease.is_valid(now) && self.claims_from.is_some_and(|it| it <= now);
        let asked = self
            .places
            .values()
            .filter(|it| matches!(it.seat, Seat::Asked { .. }))
            .count();
        let mut left = CLAIMS_AT_ONCE.saturating_sub(asked);
        let mut free = room.capacity.saturating_sub(room.taken + asked);
        for (id, place) in &mut self.places {
            let id = id.clone();
            match &mut place.seat {
                Seat::Vacant { claim_at, .. } => {
                    let due = claim_at.is_some_and(|at| at <= now) && may_claim && left > 0;
                    let (Some((seen, _)), Some(redis), true) = (&place.seen, self.redis, due)
                    else {
                        continue;
                    };
                    let lives = |owner: &Incarnation| {
                        let node = self.nodes.get(&owner.node);
                        node.is_some_and(|it| it.incarnation == *owner)
                    };
                    let lost = |it: &Incarnation| *it == self.incarnation;
                    if seen.owner.as_ref().is_some_and(|it| lives(it) && !lost(it)) {
                        *claim_at = None;
                        continue;
                    }
                    left -= 1;
                    let takes = seen.takes_place();
                    self.last_request += 1;
                    let request = RequestId(self.last_request);
                    if takes && free == 0 {
                        *claim_at = None;
                        let Some(owner) = seen.owner.clone() else {
                            continue;
                        };
                        let expected = (owner, seen.epoch);
                        place.seat = Seat::Asked {
                            request,
                            follows: Follows::Nobody,
                        };
                        commands.push(ClusterCommand::Free {
                            request,
                            id,
                            expected,
                        });
                        continue;
                    }
                    free -= usize::from(takes);
                    let follows = match &seen.owner {
                        None => Follows::Nobody,
                        Some(owner) if owner.node == self.incarnation.node => {
                            Follows::OneThatAsksUs
                        }
                        Some(owner) if self.known_by.contains(owner) => Follows::OneThatAsksUs,
                        Some(_) => Follows::Stranger,
                    };
                    let incarnation = self.incarnation.clone();
                    let expected = (seen.owner.clone(), seen.epoch);
                    place.seat = Seat::Asked { request, follows };
                    commands.push(ClusterCommand::Claim {
                        request,
                        id,
                        incarnation,
                        expected,
                        redis,
                    });
                }
                Seat::Ours {
                    grant,
                    under_way,
                    forgotten,
                    ..
                } if *forgotten && under_way.is_none() && reached => {
                    let Some((record, removed)) = record(&id) else {
                        continue;
                    };
                    self.last_request += 1;
                    let request = RequestId(self.last_request);
                    (*under_way, *forgotten) = (Some(request), false);
                    let grant = grant.clone();
                    commands.push(ClusterCommand::Register {
                        request,
                        id,
                        grant,
                        record,
                        removed,
                    });
                }
                Seat::Ours {
                    under_way,
                    revision,
                    ..
                } if under_way.is_none() && reached => {
                    let newer = |(seen, _): &(ChannelSeen, Timestamp)| seen.revision > *revision;
                    if place.seen.as_ref().is_some_and(newer) {
                        self.last_request += 1;
                        let request = RequestId(self.last_request);
                        *under_way = Some(request);
                        commands.push(ClusterCommand::Read { request, id });
                    }
                }
                Seat::Releasing {
                    grant,
                    unfinished,
                    erased,
                    request,
                    again_at,
                } if request.is_none() && *again_at <= now && reached => {
                    self.last_request += 1;
                    let own = RequestId(self.last_request);
                    *request = Some(own);
                    let (grant, unfinished, erased) = (grant.clone(), *unfinished, *erased);
                    commands.push(ClusterCommand::Release {
                        request: own,
                        id,
                        grant,
                        unfinished,
                        erased,
                    });
                }
                Seat::Asked { .. } | Seat::Ours { .. } | Seat::Leaving | Seat::Releasing { .. } => {
                }
            }
        }
    }

    pub(super) fn claimed<S>(
        &mut self,
        now: Timestamp,
        request: RequestId,
        id: ChannelId,
        outcome: Result<ClaimOutcome<S>, CallError>,
        orders: &mut Vec<Order<S>>,
    ) {
        let Some(place) = self.places.get_mut(&id) else {
            return;
        };
        let Seat::Asked {
            request: own,
            follows,
        } = place.seat
        else {
            return;
        };
        if own != request {
            return;
        }
        place.seat = VACANT;
        place.seen = None;
        let Ok(ClaimOutcome::Claimed {
            epoch,
            record,
            removed,
            seen_ago,
            seen_by,
            claims,
        }) = outcome
        else {
            self.hinted.insert(id);
            return;
        };
        // An owner that went on without Redis has saved nothing meanwhile; another Redis may lack what was saved,
        // and so may a checkpoint of an owner before the last one.
        let surely_newest = |ago: Span| {
            // Promises held for a grace from then on, and what was sent before may have come so much later.
            let sure_from = self.reached_since + GRACE * 2;
            let all_along = now.since(sure_from) > ago + MARGIN;
            let by_last = seen_by.is_some() && seen_by == self.redis && claims <= 1;
            by_last
                && match follows {
                    Follows::Nobody => true,
                    Follows::OneThatAsksUs => all_along,
                    Follows::Stranger => false,
                }
        };
        let newest =
            seen_ago.is_none_or(surely_newest) || self.planted.makes(Mistake::OldCheckpointTrusted);
        let past = seen_ago.filter(|_| !newest);
        let skip = past.map(|past| Skip::behind(past, claims));
        let grant = Grant {
            incarnation: self.incarnation.clone(),
            epoch,
            skip,
        };
        place.seat = Seat::Ours {
            grant: grant.clone(),
            since: now,
            revision: record.revision,
            under_way: None,
            forgotten: false,
        };
        orders.push(Order::Own {
            id,
            record,
            removed,
            grant,
        });
    }

    /// A registration, a release, or a dead owner's name taken off.
    pub(super) fn written<S>(
        &mut self,
        now: Timestamp,
        request: RequestId,
        id: ChannelId,
        outcome: Result<Fence, CallError>,
        orders: &mut Vec<Order<S>>,
    ) {
        let Some(place) = self.places.get_mut(&id) else {
            return;
        };
        match &mut place.seat {
            Seat::Asked { request: own, .. } if *own == request => {
                place.seat = VACANT;
                place.seen = None;
                self.hinted.insert(id);
            }
            Seat::Ours {
                since,
                under_way,
                forgotten,
                ..
            } if *under_way == Some(request) => {
                *under_way = None;
                match outcome {
                    Ok(Fence::Done) => {
                        *since = now;
                        self.hinted.insert(id);
                    }
                    Ok(Fence::Fenced(_)) => {
                        place.seat = Seat::Leaving;
                        orders.push(Order::Disown(id));
                    }
                    Ok(Fence::Lost) | Err(_) => *forgotten = true,
                }
            }
            Seat::Releasing {
                request: own,
                again_at,
                ..
            } if *own == Some(request) => match outcome {
                Ok(_) => {
                    place.seat = Seat::Vacant {
                        claim_at: None,
                        avoid_until: now + AVOID,
                    };
                    place.seen = None;
                    self.hinted.insert(id);
                }
                Err(_) => (*own, *again_at) = (None, now + RETRY),
            },
            Seat::Vacant { .. }
            | Seat::Asked { .. }
            | Seat::Ours { .. }
            | Seat::Leaving
            | Seat::Releasing { .. } => {}
        }
    }

    pub(super) fn fenced<S>(&mut self, id: ChannelId, epoch: Epoch, orders: &mut Vec<Order<S>>) {
        if let Some(place) = self.places.get_mut(&id)
            && let Seat::Ours { grant, .. } = &place.seat
            && grant.epoch <= epoch
        {
            place.seat = Seat::Leaving;
            orders.push(Order::Disown(id));
        }
    }

    pub(super) fn forgotten(&mut self, id: &ChannelId) {
        if let Some(Place {
            seat: Seat::Ours { forgotten, .. },
            ..
        }) = self.places.get_mut(id)
        {
            *forgotten = true;
        }
    }

    /// Gives a few channels away where another node is clearly emptier.
    fn even_out<S>(&mut self, room: &Room, now: Timestamp, orders: &mut Vec<Order<S>>) {
        let settled = self.claims_from.is_some_and(|it| it <= now) && self.leaving.is_none();
        let moving = |it: &Place| {
            it.is_planned()
                || matches!(
                    it.seat,
                    Seat::Leaving | Seat::Asked { .. } | Seat::Releasing { .. }
                )
        };
        if !settled || self.places.values().any(moving) {
            return;
        }
        let others = self
            .nodes
            .values()
            .filter(|it| it.incarnation.node != self.incarnation.node && !it.draining);
        let emptier = others.filter(|it| {
            it.load + 1 < room.taken
                && (it.load + 1) * room.capacity <= (room.taken - 1) * it.capacity
        });
        // What all of them lack to be as full as this one after it.
        let Some(least) =
            emptier.min_by_key(|it| (it.load * 1_000 / it.capacity.max(1), &it.incarnation.node))
        else {
            return;
        };
        let surplus = (room.taken - least.load) / 2;
        let running = self.places.iter_mut().filter(|(_, place)| {
            let runs = place
                .seen
                .as_ref()
                .is_some_and(|(seen, _)| seen.takes_place());
            runs && matches!(place.seat, Seat::Ours { .. })
        });
        for (id, place) in running.take(surplus.min(GIVEN_AT_ONCE)) {
            place.seat = Seat::Leaving;
            orders.push(Order::GiveAway(id.clone()));
        }
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

    pub(super) fn advance_looks<S>(
        &mut self,
        now: Timestamp,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        if self.looking.is_some() || self.contact == Contact::Away {
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
}

impl Place {
    fn is_planned(&self) -> bool {
        matches!(
            self.seat,
            Seat::Vacant {
                claim_at: Some(_),
                ..
            }
        )
    }

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

impl ChannelSeen {
    fn needs_owner(&self, planted: Planted) -> bool {
        let unfinished = self.unfinished && !planted.makes(Mistake::StopLeftToTheDead);
        self.removed || unfinished || self.desired == Desired::Run
    }

    fn takes_place(&self) -> bool {
        !self.removed && self.desired == Desired::Run
    }

    /// Whether there is room for it behind what is planned.
    fn runs_only_with(&self, room: &Room, planned: usize) -> bool {
        !self.takes_place() || room.taken + planned < room.capacity
    }
}
