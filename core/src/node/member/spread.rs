//! How running channels spread over the nodes: by capacity, and each moves once.
//!
//! Who gives how much is worked out by every node in the same way, from what stands in Redis. So two do not give
//! the same, and a node that has come gets no more than it is to have.

use super::*;
use std::cmp::Ordering;

/// Of what a node is to give away it gives a part at each scan, and the rest with the next ones: each move is a
/// moment without a new segment, and they are not to come all at once.
const GIVEN_IN: usize = 4;
const GIVEN_AT_LEAST: usize = 2;
const GIVEN_AT_MOST: usize = CLAIMS_AT_ONCE;
/// What nobody has taken for longer is on its way to nobody.
const ON_ITS_WAY: Span = Span::from_secs(10);

/// What a node runs, of what it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) running: usize,
    /// 0 of one that takes none, and is to give all.
    pub(super) capacity: usize,
}

impl Share {
    /// So many of the others would take one more rather.
    pub(super) fn emptier(&self, others: &[Self]) -> usize {
        let takes =
            |it: &&Self| it.running < it.capacity && it.takes_rather(self) == Ordering::Less;
        others.iter().filter(takes).count()
    }

    /// Who is fuller without one of its channels gives it rather.
    fn gives_rather(&self, other: &Self) -> Ordering {
        let without = |it: &Self, by: &Self| product(it.running.saturating_sub(1), by.capacity);
        let takes_none = |it: &Self| it.capacity == 0;
        let fuller = without(self, other).cmp(&without(other, self));
        takes_none(self).cmp(&takes_none(other)).then(fuller)
    }

    /// Who is emptier with one more takes it rather: that one is the lesser.
    fn takes_rather(&self, other: &Self) -> Ordering {
        product(self.running + 1, other.capacity).cmp(&product(other.running + 1, self.capacity))
    }

    /// Whether it is no fuller with one more than `giver` is without it.
    fn may_take_from(&self, giver: &Self) -> bool {
        let with = product(self.running + 1, giver.capacity);
        with <= product(giver.running - 1, self.capacity)
    }
}

fn product(one: usize, other: usize) -> u128 {
    one as u128 * other as u128
}

/// So many the node at `own` gives away, once those that are `on_their_way` have come to who takes them.
fn to_give(own: usize, mut shares: Vec<Share>, on_their_way: usize) -> usize {
    let taker = |shares: &[Share]| {
        let takers = (0..shares.len()).filter(|it| shares[*it].running < shares[*it].capacity);
        takers.min_by(|one, other| shares[*one].takes_rather(&shares[*other]))
    };
    for _ in 0..on_their_way {
        let Some(taker) = taker(&shares) else { break };
        shares[taker].running += 1;
    }
    let mut given = 0;
    while let Some(taker) = taker(&shares) {
        let givers = (0..shares.len()).filter(|it| shares[*it].running > 0);
        let giver = givers.max_by(|one, other| shares[*one].gives_rather(&shares[*other]));
        let Some(giver) = giver.filter(|it| shares[taker].may_take_from(&shares[*it])) else {
            break;
        };
        shares[giver].running -= 1;
        shares[taker].running += 1;
        given += usize::from(giver == own);
    }
    given
}

impl Member {
    /// What each other node runs, of what it may.
    pub(super) fn shares_of_others(&self) -> Vec<Share> {
        let own = &self.incarnation.node;
        let others = self.nodes.iter().filter(|(name, _)| *name != own);
        let share = |it: &NodeSeen| Share {
            running: 0,
            capacity: it.capacity,
        };
        let mut shares: BTreeMap<_, _> = others.map(|(name, it)| (name, share(it))).collect();
        for place in self.places.values() {
            let owner = place.run_by(&self.incarnation, &self.nodes).flatten();
            if let Some(share) = owner.and_then(|it| shares.get_mut(it)) {
                share.running += 1;
            }
        }
        shares.into_values().collect()
    }

    /// Gives some channels away where another node is clearly emptier, or this one is to have none.
    pub(super) fn even_out<S>(&mut self, now: Timestamp, room: &Room, orders: &mut Vec<Order<S>>) {
        let settled = self.claims_from.is_some_and(|it| it <= now) && !self.leaving;
        if !settled || self.planted.makes(Mistake::NeverEvensOut) {
            return;
        }
        let is_own = |name: &NodeName| *name == self.incarnation.node;
        let others = self
            .nodes
            .values()
            .filter(|it| !is_own(&it.incarnation.node));
        // Where nobody can keep it either, each keeps what it has.
        let can_keep = |it: &NodeSeen| it.capacity > 0;
        let others_can = self.fitness.is_lasting() && others.clone().any(can_keep);
        let gives_all = self.draining || others_can;
        let capacities = others.map(|it| (&it.incarnation.node, it.capacity));
        let own = if gives_all { 0 } else { room.capacity };
        let own = (&self.incarnation.node, own);
        let share = |capacity| Share {
            running: 0,
            capacity,
        };
        let mut shares: BTreeMap<&NodeName, Share> = capacities
            .chain([own])
            .map(|(name, capacity)| (name, share(capacity)))
            .collect();
        let mut on_their_way = 0;
        for place in self.places.values_mut() {
            let Some(owner) = place.run_by(&self.incarnation, &self.nodes) else {
                continue;
            };
            match owner.and_then(|it| shares.get_mut(it)) {
                Some(share) => {
                    share.running += 1;
                    place.vacant_since = None;
                }
                None => {
                    let since = *place.vacant_since.get_or_insert(now);
                    on_their_way += usize::from(now.since(since) < ON_ITS_WAY);
                }
            }
        }
        let own = shares.keys().position(|it| is_own(it)).unwrap_or_default();
        let all = to_give(own, shares.into_values().collect(), on_their_way)
            + usize::from(self.planted.makes(Mistake::GivesOneTooMany));
        let now_given = match others_can {
            // Nothing is lost by giving all at once that cannot be relayed here.
            true => all,
            false => all.min((all / GIVEN_IN).clamp(GIVEN_AT_LEAST, GIVEN_AT_MOST)),
        };
        self.give(now_given, gives_all, orders);
    }

    /// Those first that it has had for the longest, so that none is moved again and again. What does not run goes
    /// with a node that is to have nothing.
    fn give<S>(&mut self, count: usize, all: bool, orders: &mut Vec<Order<S>>) {
        let mut running = Vec::new();
        for (id, place) in &mut self.places {
            let (Seat::Ours { grant, .. }, Some((seen, _))) = (&place.seat, &place.seen) else {
                continue;
            };
            if seen.takes_place() {
                running.push((grant.epoch, id.clone()));
            } else if all {
                place.seat = Seat::Leaving;
                orders.push(Order::GiveAway(id.clone()));
            }
        }
        running.sort();
        for (_, id) in running.into_iter().take(count) {
            if let Some(place) = self.places.get_mut(&id) {
                place.seat = Seat::Leaving;
                orders.push(Order::GiveAway(id));
            }
        }
    }
}

impl Place {
    /// Of one that should run: which node does so, if any lives that does and goes on.
    fn run_by<'a>(
        &self,
        own: &'a Incarnation,
        nodes: &'a BTreeMap<NodeName, NodeSeen>,
    ) -> Option<Option<&'a NodeName>> {
        let seen = self.seen.as_ref().map(|it| &it.0);
        if let Seat::Ours { .. } = self.seat {
            let runs = seen.is_none_or(ChannelSeen::takes_place);
            return runs.then_some(Some(&own.node));
        }
        let seen = seen.filter(|it| it.takes_place())?;
        let owner = seen.owner.as_ref().filter(|it| *it != own);
        let node = owner.and_then(|it| nodes.get(&it.node).filter(|node| node.incarnation == *it));
        Some(node.map(|it| &it.incarnation.node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All give what they are to give until nobody gives anything; says how many have moved.
    fn settle(nodes: &mut [(usize, usize)]) -> usize {
        let mut moved = 0;
        loop {
            let shares: Vec<_> = nodes
                .iter()
                .map(|&(running, capacity)| Share { running, capacity })
                .collect();
            let given: Vec<_> = (0..nodes.len())
                .map(|own| to_give(own, shares.clone(), 0))
                .collect();
            let on_their_way: usize = given.iter().sum();
            if on_their_way == 0 {
                return moved;
            }
            moved += on_their_way;
            for (node, given) in nodes.iter_mut().zip(given) {
                node.0 -= given;
            }
            for _ in 0..on_their_way {
                // The emptiest claims first.
                let free = nodes.iter_mut().filter(|it| it.0 < it.1);
                let taker = free.min_by_key(|it| (it.0 + 1) * 10_000 / it.1).unwrap();
                taker.0 += 1;
            }
        }
    }

    #[test]
    fn each_channel_that_moves_moves_once_and_then_none_does() {
        for (mut nodes, wanted, moves) in [
            // A node has come.
            (vec![(6, 10), (0, 10)], vec![3, 3], 3),
            (vec![(5, 10), (5, 10), (0, 10)], vec![4, 3, 3], 3),
            // By capacity.
            (vec![(9, 10), (0, 5)], vec![6, 3], 3),
            // Five that have little, and one that has nothing.
            (vec![(2, 9); 5], vec![2; 5], 0),
            // What cannot be split stays.
            (vec![(1, 1), (0, 10)], vec![1, 0], 0),
            (vec![(1, 10), (0, 10)], vec![1, 0], 0),
            // One that takes none gives all, as far as there is room.
            (vec![(4, 0), (0, 3)], vec![1, 3], 3),
            (
                vec![(250, 1_000), (250, 1_000), (0, 1_000)],
                vec![167, 167, 166],
                166,
            ),
        ] {
            let before = nodes.clone();
            assert_eq!(settle(&mut nodes), moves, "{before:?} to {nodes:?}");
            let mut running: Vec<_> = nodes.iter().map(|it| it.0).collect();
            if nodes.iter().all(|it| it.1 == nodes[0].1) {
                running.sort_by(|one, other| other.cmp(one));
            }
            assert_eq!(running, wanted, "{before:?}");
        }
    }

    #[test]
    fn what_is_on_its_way_to_a_node_is_not_given_to_it_again() {
        let share = |running| Share {
            running,
            capacity: 10,
        };
        let shares = vec![share(3), share(1)];
        assert_eq!(to_give(0, shares.clone(), 0), 1);
        assert_eq!(to_give(0, shares, 1), 0);
    }
}
