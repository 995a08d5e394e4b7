//! Between a node's channels and its membership of a cluster: what is claimed is opened, what is shut is handed
//! back.

use super::{Channel, ChannelId, ClusterEvent, Fate, Node, NodeCommand, Order, Phase, Room};
use crate::time::Timestamp;
use std::collections::BTreeSet;

impl<S> Node<S> {
    pub(super) fn take_of_cluster(
        &mut self,
        now: Timestamp,
        event: ClusterEvent<S>,
        touched: &mut BTreeSet<ChannelId>,
        commands: &mut Vec<NodeCommand<S>>,
    ) {
        let room = self.room();
        let Some(member) = &mut self.member else {
            return;
        };
        let (mut orders, mut wanted) = (Vec::new(), Vec::new());
        member.take(now, event, &room, &mut orders, &mut wanted);
        commands.extend(wanted.into_iter().map(NodeCommand::Cluster));
        for order in orders {
            touched.insert(self.obey(order, commands));
        }
    }

    fn obey(&mut self, order: Order<S>, commands: &mut Vec<NodeCommand<S>>) -> ChannelId {
        match order {
            Order::Own {
                id,
                record,
                removed,
                grant,
            } => {
                let channel = Channel::new(record, removed, Some(grant));
                self.channels.insert(id.clone(), channel);
                id
            }
            Order::Want {
                id,
                record,
                removed,
            } => {
                if let Some(channel) = self.channels.get_mut(&id)
                    && channel.record.revision < record.revision
                {
                    (channel.record, channel.removed) = (record, removed);
                }
                id
            }
            Order::GiveAway(id) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.fate = Fate::GivenAway;
                }
                id
            }
            Order::Disown(id) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.fate = Fate::Lost;
                    // It does not come to a good end in time.
                    if channel.phase == Phase::Closing {
                        commands.push(NodeCommand::Abandon { id: id.clone() });
                    }
                }
                id
            }
        }
    }

    /// Hands back what is shut, and does what is due between this node and the others.
    pub(super) fn advance_cluster(&mut self, now: Timestamp, commands: &mut Vec<NodeCommand<S>>) {
        let (room, leaving, capacity) = (self.room(), self.leaving, self.capacity);
        let Some(member) = &mut self.member else {
            return;
        };
        let taken = self.channels.values().filter(|it| it.takes_place).count();
        self.channels.retain(|id, channel| {
            let Phase::Shut { pause } = &channel.phase else {
                return true;
            };
            let erased = channel.removed && channel.erased;
            // What was wanted again while others took the room is for a node that has some.
            let has_no_room = pause.is_none() && !channel.rested && taken >= capacity;
            let goes =
                leaving || erased || channel.rested || channel.fate != Fate::Kept || has_no_room;
            match &channel.grant {
                Some(grant) if goes && channel.fate != Fate::Lost => {
                    let unfinished = !channel.rested && !erased;
                    member.shut(id, grant.clone(), unfinished, erased);
                }
                Some(_) if goes => member.lost(id),
                Some(_) | None => {}
            }
            !goes
        });
        if leaving {
            member.leave(now, self.channels.is_empty());
        }
        if member.begin_trial(now) {
            commands.push(NodeCommand::TryStore);
        }
        let channels = &self.channels;
        let record = |id: &ChannelId| {
            let channel = channels.get(id)?;
            Some((channel.record.clone(), channel.removed))
        };
        let mut wanted = Vec::new();
        member.advance(now, &room, record, &mut wanted);
        commands.extend(wanted.into_iter().map(NodeCommand::Cluster));
    }

    fn room(&self) -> Room {
        let taken = self.channels.values().filter(|it| it.takes_place).count();
        Room {
            capacity: self.capacity,
            taken,
        }
    }
}
