//! Which channels this node claims, when, and from whom.

use super::spread::Share;
use super::*;

impl Member {
    /// Plans a claim for each channel that wants an owner and may have this one.
    pub(super) fn consider(&mut self, now: Timestamp, room: &Room) {
        // Who was dead while promises still held may have come back with the help of one.
        let counts = |at: &Timestamp| self.claims_from.is_some_and(|from| *at >= from);
        let nodes_seen = self.nodes_seen.filter(counts);
        let Some(nodes_seen) = nodes_seen.filter(|_| self.stays()) else {
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
                    ) if seen.needs_owner(self.planted)
                        && *at <= nodes_seen
                        && !place.is_refused(now) =>
                    {
                        Some((id.clone(), seen.clone(), *avoid_until))
                    }
                    _ => None,
                });
        let vacant: Vec<_> = vacant.collect();
        if vacant.is_empty() {
            return;
        }
        // However little of its capacity a node runs: an emptier one is to be there before it, or it would have to give it on.
        let own = Share {
            running: room.taken,
            capacity: room.capacity,
        };
        let emptier = own.emptier(&self.shares_of_others());
        for (id, seen, avoid_until) in vacant {
            let free = match &seen.owner {
                None => true,
                Some(owner) => self.may_follow(now, owner),
            };
            if !free || (seen.owner.is_none() && !seen.runs_only_with(room, planned)) {
                continue;
            }
            let running = room.taken + planned;
            let capacity = room.capacity;
            let delay = CLAIM_AFTER_EMPTIER * emptier.min(MOST_EMPTIER) as u64
                + CLAIM_DELAY.scaled(running.min(capacity) as u64, capacity.max(1) as u64);
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

    /// Sends the claims that are due.
    pub(super) fn advance_claims<S>(
        &mut self,
        now: Timestamp,
        room: &Room,
        commands: &mut Vec<ClusterCommand<S>>,
    ) {
        let reached = self.contact == Contact::Reached && self.registered;
        let may_claim = reached && self.lease.is_valid(now) && self.takes_more(now);
        let Some(redis) = self.redis.filter(|_| may_claim) else {
            return;
        };
        let asked = |it: &&Place| matches!(it.seat, Seat::Asked { .. });
        let asked = self.places.values().filter(asked).count();
        let mut left = CLAIMS_AT_ONCE.saturating_sub(asked);
        let mut free = room.capacity.saturating_sub(room.taken + asked);
        for (id, place) in &mut self.places {
            let (Seat::Vacant { claim_at, .. }, Some((seen, _))) = (&mut place.seat, &place.seen)
            else {
                continue;
            };
            if left == 0 || claim_at.is_none_or(|at| at > now) {
                continue;
            }
            let lives = |owner: &Incarnation| {
                let node = self.nodes.get(&owner.node);
                let taken = self.planted.makes(Mistake::TakenIsClaimed);
                let is = node.is_some_and(|it| it.incarnation == *owner);
                *owner != self.incarnation && is && !taken
            };
            let has_room = free > 0 || !seen.takes_place();
            // Without room, a dead owner's name is taken off, so that others see that it is nobody's.
            if seen.owner.as_ref().is_some_and(lives) || (!has_room && seen.owner.is_none()) {
                *claim_at = None;
                continue;
            }
            left -= 1;
            self.last_request += 1;
            let (request, id) = (RequestId(self.last_request), id.clone());
            let follows = match &seen.owner {
                None => Follows::Nobody,
                Some(owner) if owner.node == self.incarnation.node => Follows::OneThatAsksUs,
                Some(owner) if self.known_by.contains(owner) => Follows::OneThatAsksUs,
                Some(_) => Follows::Stranger,
            };
            commands.push(match &seen.owner {
                Some(owner) if !has_room => ClusterCommand::Free {
                    request,
                    id,
                    expected: (owner.clone(), seen.epoch),
                },
                Some(_) | None => ClusterCommand::Claim {
                    request,
                    id,
                    incarnation: self.incarnation.clone(),
                    expected: (seen.owner.clone(), seen.epoch),
                    redis,
                },
            });
            free -= usize::from(seen.takes_place() && has_room);
            place.seat = Seat::Asked { request, follows };
        }
    }

    /// It is neither to leave, nor has it lost its store.
    fn stays(&self) -> bool {
        !self.leaving && !self.draining && !self.fitness.is_unfit()
    }

    /// It may have more, and Redis is there for long enough.
    pub(super) fn takes_more(&self, now: Timestamp) -> bool {
        self.stays() && self.claims_from.is_some_and(|it| it <= now)
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
        let was = place.seen.take();
        let Ok(ClaimOutcome::Claimed {
            epoch,
            record,
            removed,
            seen_ago,
            seen_by,
            claims,
        }) = outcome
        else {
            // What nobody can claim, as its spec cannot be read, is not tried all the time.
            let refused = outcome.is_ok().then_some(was).flatten();
            place.refused = refused.map(|(seen, _)| (seen, now + AVOID));
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
            again_at: now,
        };
        orders.push(Order::Own {
            id,
            record,
            removed,
            grant,
        });
    }
}

impl Place {
    /// It was claimed in vain as it is now, not long ago.
    fn is_refused(&self, now: Timestamp) -> bool {
        let seen = self.seen.as_ref().map(|it| &it.0);
        let refused = self.refused.as_ref();
        refused.is_some_and(|(was, until)| seen == Some(was) && now < *until)
    }

    fn is_planned(&self) -> bool {
        matches!(
            self.seat,
            Seat::Vacant {
                claim_at: Some(_),
                ..
            }
        )
    }
}

impl ChannelSeen {
    pub(super) fn needs_owner(&self, planted: Planted) -> bool {
        let unfinished = self.unfinished && !planted.makes(Mistake::StopLeftToTheDead);
        self.removed || unfinished || self.desired == Desired::Run
    }

    pub(super) fn takes_place(&self) -> bool {
        !self.removed && self.desired == Desired::Run
    }

    /// Whether there is room for it behind what is planned.
    fn runs_only_with(&self, room: &Room, planned: usize) -> bool {
        !self.takes_place() || room.taken + planned < room.capacity
    }
}
